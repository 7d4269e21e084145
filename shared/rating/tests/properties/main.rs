//! What holds for every tariff and every session.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

#[path = "../generators/mod.rs"]
mod generators;

mod cdr;
mod energy;
mod forecast;
mod money;
mod plans;
mod sampling;
#[path = "../support/mod.rs"]
mod support;

use chrono_tz::Tz;
use network::Tax;
use rating::{PricedSession, Rules, TariffVersion};
use session::Timeline;

/// The priced session.
fn rate(tariff: &TariffVersion, timeline: &Timeline, zone: Tz, taxes: &[Tax]) -> PricedSession {
    let rules = Rules { taxes: Some(taxes), ..Rules::unknown(zone) };
    rating::rate(tariff, timeline, &rules).unwrap()
}

/// The same but for how often something was noted: more readings are more to note.
fn uncounted(mut priced: PricedSession) -> PricedSession {
    for finding in &mut priced.findings {
        finding.count = 1;
    }
    priced
}

/// In minor units.
fn net_and_gross(priced: &PricedSession) -> (i64, i64) {
    (priced.net().minor, priced.gross().minor)
}
