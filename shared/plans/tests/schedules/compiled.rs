//! What a schedule is compiled to, element by element.

use chrono_tz::Tz;
use ocpi::{Tariff, TariffDimensionType, TariffElement};
use plans::{
    Finding, Schedule,
    schedule::{DateRule, DayKind, DayPrices, Holiday, Observed, Span},
};

use crate::sample::{ZONE, all_day, around, date, period, schedule, season};

#[test]
fn what_cannot_be_compiled_says_why() {
    let days = vec![all_day(vec![DayKind::EveryDay], 10)];
    let mut schedule = schedule(vec![season("all year", "01-01", "12-31", days)]);
    let on = DateRule::Dates { dates: vec![date("2025-11-04")] };
    schedule.holidays =
        vec![Holiday { name: "Election".to_owned(), on, observed: Observed::SameDay }];
    let year = Span { from: date("2026-01-01"), until: date("2027-01-01") };
    let mut tariff = around();
    tariff.currency = "USD".to_owned();
    tariff.elements[0].price_components[0].dimension = TariffDimensionType::Energy;
    let codes = |refused: Result<Tariff, Vec<Finding>>| -> Vec<String> {
        refused.unwrap_err().into_iter().map(|finding| finding.code).collect()
    };
    assert_eq!(
        codes(schedule.compile(year, Tz::America__Winnipeg, &tariff)),
        ["time_zone_mismatch", "holiday_not_in_span", "currency_mismatch", "energy_twice"]
    );
    let backwards = Span { from: year.until, until: year.from };
    assert_eq!(codes(schedule.compile(backwards, ZONE, &around())), ["span"]);
    // Another name for the same clocks is no other time zone.
    schedule.holidays.clear();
    assert!(schedule.compile(year, Tz::America__New_York, &around()).is_ok());
}

#[test]
fn hours_over_midnight_stay_one_element_where_nothing_else_restricts_them() {
    let periods = vec![
        period("overnight", "23:00", "07:00", 3),
        period("day", "07:00", "16:00", 9),
        period("peak", "16:00", "21:00", 39),
        period("evening", "21:00", "23:00", 9),
    ];
    let days = vec![DayPrices { on: vec![DayKind::EveryDay], periods }];
    let schedule = schedule(vec![season("all year", "01-01", "12-31", days)]);
    let span = Span { from: date("2026-01-01"), until: date("2027-01-01") };
    let tariff = schedule.compile(span, ZONE, &around()).unwrap();
    let hours: Vec<_> = tariff
        .elements
        .iter()
        .map(|element| {
            let stated = element.restrictions.clone().unwrap_or_default();
            let hours = (stated.start_time, stated.end_time);
            assert_eq!((stated.start_date, stated.end_date), (None, None));
            (element.price_components[0].price.to_string(), hours)
        })
        .collect();
    let between = |from: &str, to: &str| (Some(from.to_owned()), Some(to.to_owned()));
    assert_eq!(
        hours,
        [
            ("0.39".to_owned(), between("16:00", "21:00")),
            ("0.03".to_owned(), between("23:00", "07:00")),
            ("0.09".to_owned(), (None, None)),
            ("1".to_owned(), (None, None)),
        ]
    );
    assert_eq!(tariff.start_date_time.unwrap().to_rfc3339(), "2026-01-01T05:00:00+00:00");
    assert_eq!(tariff.end_date_time.unwrap().to_rfc3339(), "2027-01-01T05:00:00+00:00");
}

/// The hours and holidays of San Diego Gas & Electric's three-period schedules (sdge.com, "Total
/// Electric Rates"; a holiday on a Saturday is not moved); the prices are ours.
fn three_periods() -> Schedule {
    use DayKind::{Holidays, Weekdays, Weekends};
    let year_part = |name: &str, from: &str, to: &str, cents: [i64; 3], midday: bool| {
        let [super_off, off, on] = cents;
        let mut weekdays = vec![
            period("super off-peak", "00:00", "06:00", super_off),
            period("on-peak", "16:00", "21:00", on),
            period("off-peak", "21:00", "24:00", off),
        ];
        if midday {
            weekdays.extend([
                period("off-peak", "06:00", "10:00", off),
                period("super off-peak", "10:00", "14:00", super_off),
                period("off-peak", "14:00", "16:00", off),
            ]);
        } else {
            weekdays.push(period("off-peak", "06:00", "16:00", off));
        }
        let others = vec![
            period("super off-peak", "00:00", "14:00", super_off),
            period("off-peak", "14:00", "16:00", off),
            period("on-peak", "16:00", "21:00", on),
            period("off-peak", "21:00", "24:00", off),
        ];
        let days = vec![
            DayPrices { on: vec![Weekdays], periods: weekdays },
            DayPrices { on: vec![Weekends, Holidays], periods: others },
        ];
        season(name, from, to, days)
    };
    let holiday = |name: &str, day: &str| Holiday {
        name: name.to_owned(),
        on: DateRule::Fixed(day.parse().unwrap()),
        observed: Observed::SundayToMonday,
    };
    let winter = [12, 20, 35];
    let mut schedule = schedule(vec![
        year_part("summer", "06-01", "10-31", [12, 25, 60], false),
        year_part("winter", "11-01", "02-29", winter, false),
        year_part("spring", "03-01", "04-30", winter, true),
        year_part("May", "05-01", "05-31", winter, false),
    ]);
    schedule.holidays =
        vec![holiday("Independence Day", "07-04"), holiday("Veterans Day", "11-11")];
    schedule
}

#[test]
fn a_tariff_is_as_small_as_its_schedule_allows() {
    let schedule = three_periods();
    assert_eq!(schedule.validate(), []);
    let span = Span { from: date("2027-01-01"), until: date("2028-01-01") };
    let tariff = schedule.compile(span, ZONE, &around()).unwrap();
    let line = |element: &TariffElement| {
        let stated = element.restrictions.clone().unwrap_or_default();
        let range = |from: Option<String>, to: Option<String>| {
            format!("{}..{}", from.unwrap_or_default(), to.unwrap_or_default())
        };
        let dates = range(stated.start_date, stated.end_date);
        let times = range(stated.start_time, stated.end_time);
        let days = stated.day_of_week.len();
        format!("{} {dates} {times} {days}", element.price_components[0].price)
    };
    let lines: Vec<String> = tariff.elements.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            // 4 July 2027 is a Sunday, observed on Monday; what differs from a Monday is its morning.
            "0.12 2027-07-05..2027-07-06 06:00..14:00 0",
            "0.12 2027-11-11..2027-11-12 06:00..14:00 0",
            // All year.
            "0.12 .. 00:00..06:00 5",
            "0.12 .. 00:00..14:00 2",
            // Winter, spring, winter, summer, winter.
            "0.35 ..2027-03-01 16:00..21:00 0",
            "0.12 2027-03-01..2027-05-01 10:00..14:00 5",
            "0.35 2027-03-01..2027-05-01 16:00..21:00 0",
            "0.35 2027-05-01..2027-06-01 16:00..21:00 0",
            "0.60 2027-06-01..2027-11-01 16:00..21:00 0",
            "0.25 2027-06-01..2027-11-01 .. 0",
            "0.35 2027-11-01.. 16:00..21:00 0",
            "0.20 .. .. 0",
            // The start fee.
            "1 .. .. 0",
        ]
    );
}
