//! Must show 1: recorded sessions become money.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};

use crate::harness::Suite;

/// What each recorded session costs, in minor units: without tax, with tax, held, captured, owed.
///
/// Worked out by hand from events/network/network.json and the case's energy and times. In
/// Amsterdam (21 % VAT): retail 0.40 a kWh from 07:00 to 21:00 and 0.30 otherwise, gold 0.29, idle
/// 6.00 an hour after 15 minutes. In Chicago (10.25 % tax): 1.00 and 3.00 an hour.
const COSTS: [(&str, i64, i64, i64, i64, i64); 12] = [
    // 8.1 × 0.40 = 3.24; × 1.21 = 3.9204. Idle for 2 minutes costs nothing.
    ("app-start", 324, 392, 3000, 392, 0),
    // Night: 32.4 × 0.30 = 9.72; × 1.21 = 11.7612.
    ("clocks-forward", 972, 1176, 3000, 1176, 0),
    // 108 × 0.40 = 43.20; × 1.21 = 52.272: the hold and a second charge.
    ("cost-above-hold", 4320, 5227, 3000, 5227, 0),
    // 16.2 × 0.40 = 6.48; idle 40 + 25 − 15 = 50 minutes, 5.00; 11.48 × 1.21 = 13.8908.
    ("idle-after-full", 1148, 1389, 3000, 1389, 0),
    // 13.5 × 0.29 = 3.915; × 1.21 = 4.737 15.
    ("member", 392, 474, 3000, 474, 0),
    // 0.083 × 0.40 = 0.0332; × 1.21 = 0.040 172: less than Stripe takes, so it is owed.
    ("offline-begin-zero", 3, 4, 3000, 0, 4),
    // 7.2 × 0.40 = 2.88; × 1.21 = 3.4848.
    ("reconnect", 288, 348, 3000, 348, 0),
    // 9 × 0.40 + 9 × 0.30 = 6.30; × 1.21 = 7.623.
    ("retail-time-of-use", 630, 762, 3000, 762, 0),
    // 17.25 × 0.40 = 6.90; × 1.21 = 8.349. A partner pays: nothing is held or captured.
    ("roaming", 690, 835, 0, 0, 0),
    // 5.04 × 0.40 = 2.016; × 1.21 = 2.439 36.
    ("stop-repeated", 202, 244, 3000, 244, 0),
    // 1.00 + 2.25 × 3.00 = 7.75; × 1.1025 = 8.544 375. The 16.2 kWh cost nothing.
    ("time-based-site", 775, 854, 2500, 854, 0),
    // 10.8 × 0.40 = 4.32; × 1.21 = 5.2272.
    ("vendor-quirks", 432, 523, 3000, 523, 0),
];

pub(crate) async fn every_recorded_session_becomes_what_its_case_says(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let before = suite.before().await?;
    assert_eq!(before.played.len(), world.cases.len());
    for played in &before.played {
        let case = &played.case;
        assert_eq!(played.report.faults, Vec::<String>::new(), "{}", case.name);
        assert_eq!(played.report.ended_early, None, "{}", case.name);
        let Some(id) = played.session_id else {
            ensure!(case.outcome == "exception", "{}: no session", case.name);
            continue;
        };
        let rows = before.closing.sessions.get(&id).with_context(|| case.name.clone())?;
        let state = if case.outcome == "rated" { "rated" } else { "held" };
        let file = world.file(id).await?;
        ensure!(rows.state == state, "{} is {}: {file:#}", case.name, rows.state);
        if let Some(priced) = rows.rated.as_ref() {
            assert_eq!(Some(priced.total_energy), case.energy(), "{}", case.name);
            assert_eq!(rows.journal.len(), journal_entries(&case.name), "{}", case.name);
        }
    }
    Ok(())
}

/// The sale, and every taking of money.
fn journal_entries(case: &str) -> usize {
    match case {
        // The hold and the difference.
        "cost-above-hold" => 3,
        // Nobody took money yet.
        "roaming" | "offline-begin-zero" => 1,
        _ => 2,
    }
}

pub(crate) async fn every_recorded_session_costs_what_was_worked_out_by_hand(
    suite: &Suite,
) -> anyhow::Result<()> {
    let before = suite.before().await?;
    let rated = before.played.iter().filter(|played| played.case.outcome == "rated").count();
    assert_eq!(rated, COSTS.len(), "a case is missing in the table");
    let mut wrong = String::new();
    for (case, net, gross, hold, captured, owed) in COSTS {
        let rows = before.rows(case)?;
        let priced = rows.rated.as_ref().with_context(|| format!("{case} has no price"))?;
        let payment = rows.payment.as_ref();
        let minor = |amount: Option<quantities::Amount>| amount.map_or(0, |amount| amount.minor);
        let found = (
            priced.net().minor,
            priced.gross().minor,
            minor(payment.map(|payment| payment.wanted)),
            minor(payment.map(|payment| payment.captured)),
            minor(payment.map(|payment| payment.owed)),
        );
        let expected = (net, gross, hold, captured, owed);
        if found != expected {
            let lines = serde_json::to_string_pretty(&priced.lines)?;
            writeln!(wrong, "{case} is {found:?} and not {expected:?}: {lines}")?;
        }
    }
    assert_eq!(wrong, "");
    let waiting = before.rows("silent")?.payment.as_ref().context("no payment")?;
    assert!(waiting.hold.is_some() && waiting.taken.is_empty(), "{waiting:?}");
    Ok(())
}

pub(crate) async fn every_party_agrees_when_all_are_through(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    world.must_hold(&suite.before().await?.checks).await
}
