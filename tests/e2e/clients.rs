//! Must show 2: charging-station clients that are not ours.

use std::fs;

use anyhow::Context as _;
use quantities::{SessionId, WattHours};
use serde_json::Value;
use tallywatt::platform::workspace;
use tokio::process::Command;

use crate::harness::{Suite, World, is_captured, node_modules, python, run, session_id};

pub(crate) async fn the_python_client_goes_through_a_session(suite: &Suite) -> anyhow::Result<()> {
    let clients = workspace().join("tests/clients");
    let python = python(&fs::read(clients.join("requirements.txt"))?).await?;
    let mut client = Command::new(python);
    client.arg(clients.join("ocpp_client.py"));
    let world = &*suite.shared().await?;
    let session = played(world, client, "CLIENT-PY-1", "CLIENT-PY").await?;
    paid(world, session, 2_500).await
}

pub(crate) async fn the_node_client_goes_through_a_session_in_strict_mode(
    suite: &Suite,
) -> anyhow::Result<()> {
    let clients = workspace().join("tests/clients");
    let modules = node_modules(&clients).await?;
    let mut client = Command::new("node");
    client.arg(clients.join("ocpp_rpc_client.js")).env("NODE_PATH", modules);
    let world = &*suite.shared().await?;
    let session = played(world, client, "CLIENT-JS-1", "CLIENT-JS").await?;
    paid(world, session, 7_400).await
}

/// Lets the client play; every one of its checks must hold.
async fn played(
    world: &World,
    mut client: Command,
    charger: &str,
    tag: &str,
) -> anyhow::Result<SessionId> {
    let password = world.charger(charger).await?;
    world.paying_tag(tag, "driver-clients").await?;
    let url = world.platform.charger_url()?;
    let said = run(client.args([url, charger, &password, tag])).await;
    let said = match said {
        Ok(said) => said,
        Err(error) => return Err(error.context(world.troubles().await)),
    };
    let report: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    assert_eq!(report["ok"], true, "{report:#}");
    let number = report["transactionId"].as_i64().context("no transactionId")?;
    session_id(charger, number)
}

/// What it costs depends on the time of day that it is: the client's clock is ours.
async fn paid(world: &World, session: SessionId, wh: i64) -> anyhow::Result<()> {
    let file = world.file_when(session, "the money of the client's session", is_captured).await?;
    let energy: WattHours = serde_json::from_value(file["priced"]["total_energy"].clone())?;
    assert_eq!(energy, WattHours::from(wh), "{:#}", file["priced"]);
    Ok(())
}
