//! `tallywatt demo`: chargers connect, sessions become money, and everybody is asked whether it
//! adds up.

use std::{io::IsTerminal as _, path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use serde_json::json;

use crate::{
    closing::{Check, Closing, SessionRows},
    inbox::Inbox,
    network::Network,
    platform::{Platform, PlatformArgs, Progress, workspace},
    scenario::{Case, Manner, Played, play_all},
    up,
};

/// The cases that the demo plays, by their folder below `events/ocpp`.
const CASES: [&str; 8] = [
    "retail-time-of-use",
    "time-based-site",
    "member",
    "cost-above-hold",
    "roaming",
    "idle-after-full",
    "app-start",
    "silent",
];

/// How long the pipeline may take after the last message of the last charger.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);

/// Shows the whole system at work.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// Leave everything running afterwards, and print where it is.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs the demo.
///
/// # Errors
///
/// When the platform cannot be started or a charger cannot play. A check that does not hold is no
/// error but exit code 1.
pub async fn run(args: &DemoArgs, json: bool) -> anyhow::Result<ExitCode> {
    let progress = Progress::visible();
    let platform = Platform::start(args.platform.options(progress.clone())?).await?;
    let inbox = Inbox::start(args.platform.listen()).await?;
    let cases = cases(&workspace().join("events/ocpp"))?;

    let step = progress.begin("seeded sites, chargers, tariffs and drivers");
    let network = Network::seed(&platform, &inbox, &cases).await?;
    step.done();
    let result = play(&platform, &inbox, &network, &cases, &progress).await;
    let checked = result.as_ref().ok().map(|(played, closing)| closing.checks(played));
    let checks = checked.unwrap_or_default();
    let ok = !checks.is_empty() && checks.iter().all(|check| check.ok);
    if !ok {
        // The last ones tell most; the first ones are often their repetition.
        for line in platform.complaints().await?.iter().rev().take(10) {
            progress.say(line);
        }
    }
    let (played, closing) = result?;
    if json {
        print_json(&played, &closing, &checks)?;
    } else {
        print_text(&played, &closing, &checks);
    }
    if args.keep {
        return up::linger(&platform, json).await;
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays the cases, waits until the pipeline has nothing left to do, and reads what everybody
/// knows.
///
/// # Errors
///
/// When a charger cannot play, or the pipeline does not come to rest.
pub async fn play(
    platform: &Platform,
    inbox: &Inbox,
    network: &Network,
    cases: &[Case],
    progress: &Progress,
) -> anyhow::Result<(Vec<Played>, Closing)> {
    let step = progress.begin("played the sessions");
    let starting = network.start_from_app(platform, cases);
    let playing = play_all(platform, network, cases, Manner::default(), |played| {
        step.note(&played.case.name);
    });
    let (played, ()) = tokio::try_join!(playing, starting)?;
    step.done();

    let step = progress.begin("rated, captured, published and booked them");
    platform.settled(SETTLED_WITHIN).await?;
    // What the schedule does every minute: the silent charger has been silent long enough.
    tokio::time::sleep(network.silence()).await;
    platform.sweep().await?;
    platform.settled(SETTLED_WITHIN).await?;
    let closing = Closing::read(platform, inbox).await?;
    step.done();
    Ok((played, closing))
}

fn cases(folder: &Path) -> anyhow::Result<Vec<Case>> {
    CASES.iter().map(|name| Case::read(&folder.join(name))).collect()
}

fn rows<'a>(played: &Played, closing: &'a Closing) -> Option<&'a SessionRows> {
    closing.sessions.get(&played.session_id?)
}

fn print_json(played: &[Played], closing: &Closing, checks: &[Check]) -> anyhow::Result<()> {
    let sessions: Vec<_> = played
        .iter()
        .map(|played| {
            json!({
                "case": played.case.name,
                "shows": played.case.shows,
                "session_id": played.session_id,
                "charge_point_id": played.case.charge_point_id,
                "result": rows(played, closing),
            })
        })
        .collect();
    let result = json!({ "sessions": sessions, "checks": checks });
    println!("{}", serde_json::to_string_pretty(&result).context("the result is not JSON")?);
    Ok(())
}

fn print_text(played: &[Played], closing: &Closing, checks: &[Check]) {
    for played in played {
        println!("\n{}: {}", played.case.name, played.case.shows);
        match rows(played, closing) {
            Some(rows) => print_session(rows),
            None => println!("  no session"),
        }
    }
    println!("\nClosing check");
    let colour = std::io::stdout().is_terminal();
    for Check { name, ok, detail } in checks {
        let mark = match (ok, colour) {
            (true, true) => "\u{1b}[32mok\u{1b}[0m    ",
            (false, true) => "\u{1b}[31mFAILED\u{1b}[0m",
            (true, false) => "ok    ",
            (false, false) => "FAILED",
        };
        println!("  {mark} {name}: {detail}");
    }
}

fn print_session(rows: &SessionRows) {
    let Some(priced) = &rows.rated else {
        println!("  {}: kept for a person to decide", rows.state);
        return;
    };
    for line in &priced.lines {
        println!(
            "  {:<34} {:>10} {:<8} at {:>7} {:>10} (incl. tax {})",
            line.description,
            line.quantity.normalize().to_string(),
            unit(line.unit),
            line.rate.normalize().to_string(),
            line.amount.excl_vat.to_string(),
            line.amount.incl_vat,
        );
    }
    println!("  total {} for {}", priced.gross(), priced.total_energy);
    match &rows.payment {
        Some(payment) => println!(
            "  hold {}, captured {}, owed {}{}",
            payment.wanted,
            payment.captured,
            payment.owed,
            payment.refusal.as_ref().map(|r| format!(" ({})", r.reason())).unwrap_or_default(),
        ),
        None => println!("  no card: a partner pays by CDR"),
    }
    if let Some(cdr) = &rows.cdr {
        let total = cdr.total_cost.incl_vat.unwrap_or(cdr.total_cost.excl_vat);
        println!(
            "  CDR {}: {} periods, total_cost {total} {}",
            cdr.id,
            cdr.charging_periods.len(),
            cdr.currency
        );
    }
    for entry in &rows.journal {
        let lines: Vec<_> = entry.lines().iter().map(journal_line).collect();
        println!("  journal {}", lines.join(", "));
    }
}

fn journal_line(line: &ledger::JournalLine) -> String {
    let account = serde_json::to_value(line.account).ok();
    let account = account.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
    let side = match line.side {
        ledger::Side::Debit => "debit",
        ledger::Side::Credit => "credit",
    };
    format!("{side} {account} {}", line.amount)
}

fn unit(unit: rating::Unit) -> String {
    serde_json::to_value(unit).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
