//! Where calendar months end.

use chrono::TimeDelta;
use chrono_tz::Tz;
use plans::Month;

#[test]
fn a_month_ends_at_local_midnight_or_when_the_clocks_have_skipped_it() {
    let ends = [
        ("2026-06", Tz::Europe__Amsterdam, "2026-06-30T22:00:00+00:00"),
        ("2026-12", Tz::America__Toronto, "2027-01-01T05:00:00+00:00"),
        // Asunción skipped midnight on 1 October 2017: the month began at 01:00, UTC−3.
        ("2017-09", Tz::America__Asuncion, "2017-10-01T04:00:00+00:00"),
    ];
    for (month, zone, expected) in ends {
        let month: Month = month.parse().unwrap();
        let end = month.end(zone).unwrap();
        assert_eq!(Month::of(end - TimeDelta::milliseconds(1), zone), month);
        assert_ne!(Month::of(end, zone), month);
        assert_eq!(end.to_rfc3339(), expected);
    }
}
