//! Our own command, as a program: its exit codes and what it prints.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tallywatt::platform::workspace;
use tokio::process::Command;

use crate::harness::{Suite, outcome, tallywatt};

/// Exit code, standard output and standard error of `tallywatt price` in `events/rating`.
async fn price(arguments: &[&str]) -> anyhow::Result<(Option<i32>, String, String)> {
    let mut command = tallywatt()?;
    command.arg("price").args(arguments).current_dir(workspace().join("events/rating"));
    outcome(&mut command).await
}

pub(crate) async fn an_example_of_the_specification_is_priced(suite: &Suite) -> anyhow::Result<()> {
    suite.shared().await?;
    let case = "spec-time-and-parking";
    let (tariff, cdr) = (format!("{case}/tariff.json"), format!("{case}/cdr.json"));
    let arguments = ["--tariff", &tariff, "--cdr", &cdr, "--json"];
    let (code, out, err) = price(&arguments).await?;
    assert_eq!(code, Some(0), "{err}");
    let priced: Value = serde_json::from_str(&out).with_context(|| out.clone())?;
    for total in ["total_cost", "total_time_cost", "total_parking_cost", "total_energy_cost"] {
        assert!(!priced[total]["excl_vat"].is_null(), "{total} in {priced:#}");
    }
    assert!(!priced["currency"].is_null() && priced["lines"].is_array(), "{priced:#}");
    Ok(())
}

pub(crate) async fn bad_input_is_told_a_line_for_every_problem(
    suite: &Suite,
) -> anyhow::Result<()> {
    suite.shared().await?;
    let folder = tempfile::tempdir()?;
    let bad = folder.path().join("bad.json");
    std::fs::write(&bad, r#"{ "id": 7, "currency": "??" }"#)?;
    let bad = bad.to_str().context("a path that is not text")?;
    let (code, out, err) = price(&["--tariff", "missing.json", "--cdr", bad]).await?;
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines.len() > 2 && lines.iter().all(|line| line.starts_with("error: ")), "{err}");
    assert!(lines.iter().any(|line| line.contains("missing.json")), "{err}");
    assert!(lines.iter().any(|line| line.contains("currency")), "{err}");
    let (code, ..) = price(&["--tariff", bad]).await?;
    assert_eq!(code, Some(2), "neither CDR nor session");
    Ok(())
}

pub(crate) async fn the_simulated_charger_plays_alone_and_fails_with_a_wrong_password(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let case = world.cases.iter().find(|case| case.name == "reconnect").context("no such case")?;
    let id = &case.charge_point_id;
    let charger = |password: &str| -> anyhow::Result<Command> {
        let mut command = tallywatt()?;
        command.args(["charger", "--json", "--url", world.platform.charger_url()?]);
        command.args(["--id", id.as_str(), "--password", password]).arg("--play").arg(&case.folder);
        Ok(command)
    };
    // It was played before: the same messages get the same answers.
    let (code, out, err) = outcome(&mut charger(world.network.password(id)?)?).await?;
    assert_eq!(code, Some(0), "{err}");
    let report: Value = serde_json::from_str(&out).with_context(|| out.clone())?;
    assert_eq!((&report["connections"], &report["faults"]), (&json!(3), &json!([])), "{report:#}");
    let (code, _, err) = outcome(&mut charger("not-the-password")?).await?;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("403"), "{err}");
    Ok(())
}

pub(crate) async fn the_demo_ends_well_and_says_so_in_json(suite: &Suite) -> anyhow::Result<()> {
    suite.before().await?;
    let _alone = suite.alone().await;
    let (code, out, err) = outcome(tallywatt()?.args(["demo", "--json"])).await?;
    assert_eq!(code, Some(0), "{out}\n{err}");
    let said: Value = serde_json::from_str(&out).with_context(|| out.clone())?;
    let sessions = said["sessions"].as_array().context("no sessions")?;
    let checks = said["checks"].as_array().context("no checks")?;
    ensure!(sessions.len() > 5 && checks.len() > 5, "{said:#}");
    for check in checks {
        assert_eq!(check["ok"], true, "{check:#}");
        ensure!(check["name"].is_string() && check["detail"].is_string(), "{check:#}");
    }
    Ok(())
}
