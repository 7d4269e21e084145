//! What a restriction says by itself: whether it can ever hold, and during the tariff's validity.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use ocpi::{Tariff, TariffRestrictions};
use plans::schedule::RUN_OVER_DAYS;
use rust_decimal::Decimal;

use super::{At, Findings, Place};
use crate::local::{check_calendar, local};

pub(super) fn check(tariff: &Tariff, place: &Place, findings: &mut Findings) {
    let dates = validity(tariff, place).widest;
    for (index, element) in tariff.elements.iter().enumerate() {
        let Some(stated) = &element.restrictions else { continue };
        unpriceable(index, stated, findings);
        ranges(index, stated, findings);
        times(index, stated, findings);
        outside(index, stated, dates, findings);
        power(index, stated, place, findings);
    }
}

/// Local dates from the first until the last, exclusive; open where there is no end.
type Dates = (Option<NaiveDate>, Option<NaiveDate>);

/// The local dates on which a session with a tariff can begin.
pub(super) struct Validity {
    /// No other dates can be.
    pub(super) widest: Dates,
    /// These are, all day long.
    pub(super) certain: Dates,
}

/// A tariff is offered when it exists: it is not valid before it was last changed. Without a time
/// zone an end can be a date earlier or later.
pub(super) fn validity(tariff: &Tariff, place: &Place) -> Validity {
    let zone = place.zone.unwrap_or(Tz::UTC);
    let slack = Days::new(u64::from(place.zone.is_none()));
    let start = tariff.start_date_time.unwrap_or(tariff.last_updated);
    // A moment that no calendar has is as good as none.
    let known =
        |at: DateTime<Utc>| check_calendar(at.timestamp_millis()).is_ok().then(|| local(zone, at));
    let ends = [Some(start), tariff.end_date_time].map(|at| at.and_then(known));
    let [from, until] = ends;
    let up = |at: NaiveDateTime| {
        if at.time() == NaiveTime::MIN { Some(at.date()) } else { at.date().succ_opt() }
    };
    let earlier = |date: Option<NaiveDate>| date?.checked_sub_days(slack);
    let later = |date: Option<NaiveDate>| date?.checked_add_days(slack);
    Validity {
        widest: (earlier(from.map(|at| at.date())), later(until.and_then(up))),
        certain: (later(from.and_then(up)), earlier(until.map(|at| at.date()))),
    }
}

fn unpriceable(index: usize, stated: &TariffRestrictions, findings: &mut Findings) {
    let at = At::Element(index);
    for (name, limit) in [("min_current", stated.min_current), ("max_current", stated.max_current)]
    {
        if limit.is_some() {
            let message = format!(
                "element {index} depends on `{name}`, but chargers report energy, not current; \
                 use min_power or max_power"
            );
            findings.error(at, "current_not_measured", message);
        }
    }
}

fn ranges(index: usize, stated: &TariffRestrictions, findings: &mut Findings) {
    let at = At::Element(index);
    let seconds = |limit: Option<u32>| limit.map(Decimal::from);
    let ranges = [
        ("min_kwh", stated.min_kwh, "max_kwh", stated.max_kwh),
        ("min_current", stated.min_current, "max_current", stated.max_current),
        ("min_power", stated.min_power, "max_power", stated.max_power),
        (
            "min_duration",
            seconds(stated.min_duration),
            "max_duration",
            seconds(stated.max_duration),
        ),
    ];
    for (min_name, min, max_name, max) in ranges {
        for (name, limit) in [(min_name, min), (max_name, max)] {
            if limit.is_some_and(|limit| limit < Decimal::ZERO) {
                let message = format!("element {index}: {name} is below 0; leave it out");
                findings.warning(at, "negative_restriction", message);
            }
        }
        let Some(max) = max else { continue };
        let least = min.unwrap_or_default().max(Decimal::ZERO);
        if least >= max {
            let message = format!(
                "element {index} never applies: its range goes from {min_name} {least} up to, but \
                 not including, {max_name} {max}; raise {max_name} or remove the element"
            );
            findings.error(at, "contradictory_restrictions", message);
        }
    }
}

fn times(index: usize, stated: &TariffRestrictions, findings: &mut Findings) {
    let at = At::Element(index);
    if let Some((start, end)) = stated.start_time.as_ref().zip(stated.end_time.as_ref())
        && start == end
        && start != "00:00"
    {
        let message = format!(
            "element {index} applies from {start} to {end}, which is read as the whole day; leave \
             both out, or correct one"
        );
        findings.warning(at, "whole_day_window", message);
    }
    let mut days = stated.day_of_week.clone();
    days.sort_unstable();
    days.dedup();
    if days.len() < stated.day_of_week.len() {
        let message = format!("element {index} names a day_of_week twice; remove one");
        findings.warning(at, "day_twice", message);
    }
    let Some((start, end)) = dates(stated) else { return };
    if start >= end {
        let message = format!(
            "element {index} never applies: it starts on {start} and ends before {end} (end_date \
             is exclusive); set end_date to the day after the last"
        );
        findings.error(at, "contradictory_restrictions", message);
        return;
    }
    let mut week = start.iter_days().take_while(|date| *date < end).take(7);
    let wanted = |date: NaiveDate| {
        stated.day_of_week.iter().any(|day| Weekday::from(*day) == date.weekday())
    };
    if !days.is_empty() && !week.any(wanted) {
        let message = format!(
            "element {index} never applies: no day between {start} and {end} is one of its \
             day_of_week; correct the dates or the days"
        );
        findings.error(at, "contradictory_restrictions", message);
    }
}

/// Both dates, where both can be read.
fn dates(stated: &TariffRestrictions) -> Option<(NaiveDate, NaiveDate)> {
    let start = date(stated.start_date.as_ref())?;
    let end = date(stated.end_date.as_ref())?;
    Some((start, end))
}

fn date(text: Option<&String>) -> Option<NaiveDate> {
    text?.parse().ok()
}

fn outside(
    index: usize,
    stated: &TariffRestrictions,
    (from, until): Dates,
    findings: &mut Findings,
) {
    let at = At::Element(index);
    if let Some((end, from)) = date(stated.end_date.as_ref()).zip(from)
        && end <= from
    {
        let message = format!(
            "element {index} is over on {end}, before the tariff is valid on {from}; remove it or \
             correct its end_date"
        );
        findings.warning(at, "outside_validity", message);
    }
    // A session that began before the end is priced by this tariff until it is over.
    let run_over = |until: NaiveDate| until.checked_add_days(Days::new(RUN_OVER_DAYS));
    if let Some((start, until)) = date(stated.start_date.as_ref()).zip(until.and_then(run_over))
        && start >= until
    {
        let message = format!(
            "element {index} begins on {start}, {RUN_OVER_DAYS} days or more after the tariff has \
             ended; remove it or correct its start_date"
        );
        findings.warning(at, "outside_validity", message);
    }
}

fn power(index: usize, stated: &TariffRestrictions, place: &Place, findings: &mut Findings) {
    if let Some((min, max)) = stated.min_power.zip(place.max_power_kw)
        && min > max
    {
        let message = format!(
            "element {index} applies from {min} kW on, but no charger here has more than {max} kW; \
             remove it, or is it in W?"
        );
        findings.warning(At::Element(index), "power_never_reached", message);
    }
}
