//! Local time: when a site's clocks show a time of day, through summer time and back.

use std::ops::Range;

use chrono::{DateTime, Days, LocalResult, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

use crate::{RatingError, stretch::moment};

/// The years 1970 to 9999, in milliseconds after 1970.
const CALENDAR_MS: Range<i64> = 0..253_402_300_800_000;

/// Whether local time can be told at all: chrono's own range ends where an offset would leave it.
pub(crate) fn check_calendar(at_ms: i64) -> Result<(), RatingError> {
    let known = CALENDAR_MS.contains(&at_ms);
    if known { Ok(()) } else { Err(RatingError::OutsideCalendar { at: moment(at_ms) }) }
}

/// Local date and time of `at`.
pub(crate) fn local(zone: Tz, at: DateTime<Utc>) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// Every moment between `start` and `end` at which the clocks show one of `times`, or are put
/// forward or back. In an hour that comes twice, a time comes twice; in one that is skipped, the
/// clock change stands for it.
pub(crate) fn moments(
    zone: Tz,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    times: &[NaiveTime],
    into: &mut Vec<DateTime<Utc>>,
) {
    let mut date = local(zone, start).date();
    let last = local(zone, end).date();
    let mut before = start;
    while date <= last {
        for time in times {
            match zone.from_local_datetime(&date.and_time(*time)) {
                LocalResult::Single(at) => into.push(at.to_utc()),
                LocalResult::Ambiguous(first, second) => {
                    into.extend([first.to_utc(), second.to_utc()]);
                }
                LocalResult::None => {}
            }
        }
        let day = before + chrono::Duration::days(1);
        let after = if date == last { end } else { day.min(end) };
        into.extend(clock_change(zone, before, after));
        before = after;
        let Some(next) = date.checked_add_days(Days::new(1)) else { break };
        date = next;
    }
}

/// The moment between `before` and `after` (about a day) at which the clocks change, if any.
fn clock_change(zone: Tz, before: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    let old = offset(before);
    if old == offset(after) {
        return None;
    }
    let (mut low, mut high) = (before.timestamp(), after.timestamp());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let is_old = DateTime::from_timestamp(middle, 0).is_some_and(|at| offset(at) == old);
        if is_old { low = middle } else { high = middle }
    }
    DateTime::from_timestamp(high, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments_of(zone: Tz, start: &str, end: &str, times: &[&str]) -> Vec<String> {
        let times: Vec<NaiveTime> = times.iter().map(|time| time.parse().unwrap()).collect();
        let (start, end) = (start.parse().unwrap(), end.parse().unwrap());
        let mut found = Vec::new();
        moments(zone, start, end, &times, &mut found);
        found.retain(|at| start < *at && *at < end);
        found.sort_unstable();
        found.dedup();
        found.iter().map(|at| at.format("%dT%H:%M").to_string()).collect()
    }

    #[test]
    fn a_day_of_23_hours_skips_half_past_two_but_not_its_price_change() {
        // Clocks go from 02:00 to 03:00 at 01:00 UTC on 2026-03-29.
        let found = moments_of(
            Tz::Europe__Amsterdam,
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
            &["02:30:00", "17:00:00"],
        );
        assert_eq!(found, ["29T01:00", "29T15:00"]);
    }

    #[test]
    fn a_day_of_25_hours_shows_half_past_two_twice() {
        // Clocks go from 03:00 to 02:00 at 01:00 UTC on 2026-10-25.
        let found = moments_of(
            Tz::Europe__Amsterdam,
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
            &["02:30:00", "17:00:00"],
        );
        assert_eq!(found, ["25T00:30", "25T01:00", "25T01:30", "25T16:00"]);
    }

    #[test]
    fn midnight_comes_once_a_day_in_the_zone_of_the_site() {
        let found = moments_of(
            Tz::America__Los_Angeles,
            "2026-01-01T00:00:00Z",
            "2026-01-03T00:00:00Z",
            &["00:00:00"],
        );
        assert_eq!(found, ["01T08:00", "02T08:00"]);
    }
}
