//! A small storm by the command: every kind of visit, every kind of fault, and no cent wrong.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::harness::{Suite, outcome, tallywatt};

const SESSIONS: u64 = 60;

pub(crate) async fn a_storm_charges_every_session_once(suite: &Suite) -> anyhow::Result<()> {
    let _alone = suite.alone().await;
    let sessions = SESSIONS.to_string();
    let arguments = ["storm", "--sessions", &sessions, "--chargers", "20", "--json"];
    let (code, out, err) = outcome(tallywatt()?.args(arguments)).await?;
    ensure!(code == Some(0), "exit code {code:?}\n{out}\n{err}");
    let said: Value = serde_json::from_str(&out).with_context(|| out.clone())?;
    let checks = said["checks"].as_array().context("no checks")?;
    ensure!(checks.len() > 20 && checks.iter().all(|check| check["ok"] == true), "{said:#}");

    let faults = said["toll"]["faults"].as_object().context("no faults")?;
    let hit: u64 = faults.values().filter_map(Value::as_u64).sum();
    let requests = said["toll"]["requests"].as_u64().context("no requests")?;
    // Seven kinds, one request in ten each.
    ensure!(faults.len() == 8 && hit * 2 > requests, "{:#}", said["toll"]);
    let visits = said["table"]["visits"].as_array().context("no visits")?;
    let visits = visits.iter().filter_map(|row| row["visits"].as_u64());
    assert_eq!(visits.sum::<u64>(), SESSIONS, "{said:#}");
    Ok(())
}
