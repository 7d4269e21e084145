//! The Stripe twin, asked by Stripe's own Python SDK.

use std::fs;

use stripe_twin::{TwinConfig, serve};
use tallywatt::platform::workspace;
use tokio::{net::TcpListener, process::Command};

use crate::harness::{Suite, python, run};

pub(crate) async fn the_twin_is_what_stripes_own_sdk_expects(_: &Suite) -> anyhow::Result<()> {
    let folder = workspace().join("tests/stripe_twin");
    let python = python(&fs::read(folder.join("requirements.txt"))?).await?;
    // A twin of its own: the checks move its clock.
    let twin = serve(TcpListener::bind("127.0.0.1:0").await?, TwinConfig::default())?;
    let mut check = Command::new(python);
    check.arg(folder.join("check_with_sdk.py")).args([&twin.url(), twin.api_key()]);
    run(&mut check).await?;
    Ok(())
}
