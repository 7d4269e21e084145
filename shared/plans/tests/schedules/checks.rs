//! What is wrong with a schedule is named.

use plans::{
    Schedule, Severity,
    schedule::{DateRule, DayKind, DayPrices, Holiday, Margin, Observed, Span},
};
use rust_decimal::Decimal;

use crate::sample::{ZONE, all_day, around, date, lines, period, schedule, season};

#[test]
fn every_gap_and_every_overlap_is_named() {
    use DayKind::{EveryDay, Holidays, Monday, Weekdays, Weekends};
    let winter_days = vec![
        DayPrices {
            on: vec![Weekdays],
            periods: vec![
                period("off", "20:00", "07:00", 10),
                period("peak", "07:00", "19:00", 30),
                period("mid", "18:00", "19:00", 20),
                period("never", "12:00", "12:00", 20),
            ],
        },
        all_day(vec![Monday], 10),
    ];
    let mut schedule = schedule(vec![
        season("winter", "11-01", "04-30", winter_days),
        season("summer", "04-29", "10-15", vec![all_day(vec![EveryDay], -5)]),
    ]);
    let on = DateRule::Dates { dates: vec![] };
    schedule.holidays =
        vec![Holiday { name: "Strike".to_owned(), on, observed: Observed::SameDay }];
    schedule.margin = Some(Margin { percent: Decimal::ZERO, per_kwh: Decimal::ZERO, decimals: 9 });
    assert_eq!(
        lines(&schedule.validate()),
        [
            "too_many_decimals: margin.decimals: 9 decimals; use at most 8",
            "holiday_without_date: holidays[0].on: `Strike` is on no date; check its rule, or \
             remove it",
            "day_twice: seasons[0].days: Mon has 2 sets of prices in `winter`; leave it in one of \
             them",
            "day_without_prices: seasons[0].days: Sat has no prices in `winter`; add it to one of \
             `on`",
            "day_without_prices: seasons[0].days: Sun has no prices in `winter`; add it to one of \
             `on`",
            "day_without_prices: seasons[0].days: holidays has no prices in `winter`; add it to \
             one of `on`",
            "empty_period: seasons[0].days[0].periods[3]: `never` from 12:00 to 12:00 is empty; a \
             whole day is from 00:00 to 24:00",
            "period_overlap: seasons[0].days[0].periods: `peak` and `mid` both price 18:00 to \
             19:00; shorten one",
            "period_gap: seasons[0].days[0].periods: 19:00 to 20:00 has no price; add a period or \
             lengthen one",
            "negative_price: seasons[1].days[0].periods[0]: `all day` is sold at -0.05 per kWh for \
             -0.05; a price is 0 or more",
            "season_overlap: seasons: `winter` and `summer` share 04-29 to 04-30; move a season's \
             `from` or `to`",
            "season_gap: seasons: no season has 10-16 to 10-31; move a season's `from` or `to`",
        ]
    );
    // Without holidays nobody has to price them.
    schedule.holidays.clear();
    schedule.seasons[0].days = vec![all_day(vec![Weekdays, Weekends], 10)];
    let codes: Vec<_> = schedule.validate().into_iter().map(|finding| finding.code).collect();
    assert!(!codes.contains(&"day_without_prices".to_owned()), "{codes:?}");
    schedule.seasons[0].days.push(all_day(vec![Holidays], 10));
    schedule.seasons[0].from = DateRule::Easter { easter: 0 };
    let on_easter = schedule.validate();
    assert!(on_easter.iter().all(|finding| !finding.code.starts_with("season_b")));
}

#[test]
fn what_is_right_but_hardly_meant_is_a_warning() {
    let days = vec![
        all_day(vec![DayKind::Weekdays], 11),
        all_day(vec![DayKind::Weekends, DayKind::Holidays], 12),
    ];
    let mut schedule = schedule(vec![season("all year", "01-01", "12-31", days)]);
    schedule.margin = Some(Margin { percent: Decimal::ZERO, per_kwh: Decimal::ZERO, decimals: 1 });
    let findings = schedule.validate();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning));
    assert_eq!(
        lines(&findings),
        [
            "prices_rounded_together: margin.decimals: 2 prices of the utility become 1; use more \
             than 1 decimals to keep them apart",
            "no_holiday: holidays: there are prices for holidays, but no holiday; list them, or \
             remove `holidays` from `on`",
        ]
    );
    let span = Span { from: date("2026-01-01"), until: date("2026-01-02") };
    assert!(schedule.compile(span, ZONE, &around()).is_ok());
}

#[test]
fn a_price_that_cannot_be_written_is_refused() {
    let mut schedule = schedule(vec![season(
        "all year",
        "01-01",
        "12-31",
        vec![all_day(vec![DayKind::EveryDay], 10)],
    )]);
    let per_kwh = "123456789.12345678".parse().unwrap();
    schedule.margin = Some(Margin { percent: Decimal::ZERO, per_kwh, decimals: 8 });
    let codes = |schedule: &Schedule| -> Vec<String> {
        schedule.validate().into_iter().map(|finding| finding.code).collect()
    };
    assert_eq!(codes(&schedule), ["too_many_digits"]);
    schedule.margin = Some(Margin { percent: Decimal::MAX, per_kwh, decimals: 8 });
    assert_eq!(codes(&schedule), ["price"]);
    schedule.margin = Some(Margin { percent: Decimal::ZERO, per_kwh, decimals: 6 });
    assert!(codes(&schedule).is_empty());
}

#[test]
fn a_leap_day_belongs_to_a_season_too() {
    let days = || vec![all_day(vec![DayKind::EveryDay], 10)];
    let year = |end: &str| {
        schedule(vec![season("a", "03-01", "12-31", days()), season("b", "01-01", end, days())])
    };
    assert_eq!(
        lines(&year("02-28").validate()),
        ["season_gap: seasons: no season has 02-29 to 02-29; move a season's `from` or `to`"]
    );
    assert!(year("02-29").validate().is_empty());
}

#[test]
fn a_season_can_begin_on_a_weekday_by_its_number_but_not_on_one_that_is_not_always_there() {
    let days = || vec![all_day(vec![DayKind::EveryDay], 10)];
    let mut schedule = schedule(vec![
        season("summer", "06-01", "09-30", days()),
        season("winter", "10-01", "05-31", days()),
    ]);
    let sunday = |nth, month| DateRule::Nth { nth, weekday: ocpi::DayOfWeek::Sunday, month };
    schedule.seasons[0].from = sunday(1, 6);
    // The days between 1 June and the first Sunday now belong to nobody.
    assert_eq!(schedule.validate()[0].code, "season_gap");
    // Winter ends on the Saturday before: the last one before 7 June.
    let before = "06-07".parse().unwrap();
    schedule.seasons[1].to = DateRule::Before { weekday: ocpi::DayOfWeek::Saturday, before };
    assert_eq!(schedule.validate(), []);
    schedule.seasons[0].from = sunday(5, 6);
    let findings = schedule.validate();
    assert_eq!((findings.len(), findings[0].code.as_str()), (1, "season_boundary"));
}
