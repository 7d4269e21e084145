//! What is said beside the tariff: the terms of the idle fee.

use chrono::{Days, NaiveDate, NaiveTime};
use rust_decimal::Decimal;

use super::{At, Findings};
use crate::{IdleTerms, QuietHours, TariffVersion};

/// A grace period longer than most vehicles stand, in seconds.
const GRACE_S_MAX: u32 = 12 * 3600;

/// More quiet hours than this are not added up minute by minute.
const QUIET_HOURS_MAX: usize = 100;

pub(super) fn check(version: &TariffVersion, findings: &mut Findings) {
    let IdleTerms { grace_s, cap, quiet_hours } = &version.terms.idle;
    let says_something = *grace_s > 0 || cap.is_some() || !quiet_hours.is_empty();
    if says_something && !version.has_idle_fee() {
        let message = "the terms of the idle fee have nothing to apply to: no element has a price \
                       for PARKING_TIME; add one, or leave the terms out";
        findings.warning(At::Tariff, "idle_terms_unused", message);
    }
    if let Some(cap) = cap.filter(|cap| *cap <= Decimal::ZERO) {
        let message = format!("the idle fee's cap is {cap}; it is more than 0, or left out");
        findings.error(At::Tariff, "idle_cap_invalid", message);
    }
    if *grace_s > GRACE_S_MAX {
        let message = format!(
            "idle time costs nothing for the first {grace_s} s, longer than most vehicles stand; \
             it is in seconds: lower it"
        );
        findings.warning(At::Tariff, "idle_grace_long", message);
    }
    let is_odd = |hours: &&QuietHours| hours.start == hours.end && hours.start != NaiveTime::MIN;
    for hours in quiet_hours.iter().filter(is_odd) {
        let message = format!(
            "quiet hours from {0} to {0} are read as a whole day; correct one of the times",
            hours.start.format("%H:%M")
        );
        findings.warning(At::Tariff, "quiet_whole_day", message);
    }
    let few = (1..=QUIET_HOURS_MAX).contains(&quiet_hours.len());
    if few && is_always_quiet(&version.terms.idle) {
        let message = "it is quiet all week, so that standing idle never costs anything; shorten \
                       the quiet hours, or remove the price for PARKING_TIME";
        findings.warning(At::Tariff, "always_quiet", message);
    }
}

/// Whether quiet hours leave no minute of a week: they are stated by the minute.
fn is_always_quiet(terms: &IdleTerms) -> bool {
    let monday = NaiveDate::default();
    let mut days = (0..7).filter_map(|day| monday.checked_add_days(Days::new(day)));
    days.all(|date| {
        (0..24 * 60)
            .filter_map(|minute| date.and_hms_opt(minute / 60, minute % 60, 0))
            .all(|local| terms.quiet_hours.iter().any(|hours| hours.contain(local)))
    })
}
