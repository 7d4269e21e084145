//! `tallywatt price`, as a program.

use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use tallywatt::platform::workspace;
use tokio::process::Command;

use crate::harness::Suite;

/// Exit code, standard output and standard error of `tallywatt price` in `events/rating`.
async fn price(arguments: &[&str]) -> anyhow::Result<(Option<i32>, String, String)> {
    // The tests run from the target folder that the platform has just built into.
    let here = std::env::current_exe()?;
    let built = here.ancestors().find(|folder| folder.join("tallywatt").is_file());
    let program = built.context("tallywatt is not built")?.join("tallywatt");
    let mut command = Command::new(program);
    command.arg("price").args(arguments).current_dir(workspace().join("events/rating"));
    let output = command.stdin(Stdio::null()).output().await.context("starting tallywatt")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
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
