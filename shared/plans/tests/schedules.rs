//! Schedules: what is wrong with them is named, and the tariff says what the schedule says.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use chrono::{Datelike, NaiveDate, TimeDelta, Weekday};
use chrono_tz::Tz;
use ocpi::{Tariff, TariffDimensionType, TariffElement};
use plans::{
    Finding, Schedule, Severity,
    schedule::{
        DateRule, DayKind, DayPrices, Holiday, Margin, Observed, PricePeriod, Season, Span,
    },
};
use proptest::{prelude::*, sample::subsequence};
use rust_decimal::Decimal;

const ZONE: Tz = Tz::America__Toronto;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A tariff that only charges for starting.
fn around() -> Tariff {
    let text = r#"{"country_code":"CA","party_id":"TWT","id":"TOU","currency":"CAD","elements":[
        {"price_components":[{"type":"FLAT","price":1.00,"step_size":1}]}],
        "last_updated":"2026-01-01T00:00:00Z"}"#;
    serde_json::from_str(text).unwrap()
}

fn period(name: &str, from: &str, to: &str, cents: i64) -> PricePeriod {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    PricePeriod { name: name.to_owned(), from, to, price: Decimal::new(cents, 2) }
}

fn all_day(on: Vec<DayKind>, cents: i64) -> DayPrices {
    DayPrices { on, periods: vec![period("all day", "00:00", "24:00", cents)] }
}

fn season(name: &str, from: &str, to: &str, days: Vec<DayPrices>) -> Season {
    let rule = |day: &str| DateRule::Fixed(day.parse().unwrap());
    Season { name: name.to_owned(), from: rule(from), to: rule(to), days }
}

fn schedule(seasons: Vec<Season>) -> Schedule {
    Schedule {
        name: "TOU".to_owned(),
        source: "a utility".to_owned(),
        currency: "CAD".parse().unwrap(),
        time_zone: ZONE,
        seasons,
        holidays: vec![],
        margin: None,
    }
}

fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{}: {}: {}", f.code, f.place, f.message)).collect()
}

/// An element for energy, its restrictions read.
struct Element {
    price: Decimal,
    minutes: (u32, u32),
    from: NaiveDate,
    until: NaiveDate,
    days: Vec<Weekday>,
}

fn minute_of(clock: &str) -> u32 {
    let (hours, minutes) = clock.split_once(':').unwrap();
    hours.parse::<u32>().unwrap() * 60 + minutes.parse::<u32>().unwrap()
}

fn elements(tariff: &Tariff) -> Vec<Element> {
    let mut elements = Vec::new();
    for element in &tariff.elements {
        let component = &element.price_components[0];
        if component.dimension == TariffDimensionType::Energy {
            let stated = element.restrictions.clone().unwrap_or_default();
            let clock = |text: &Option<String>| text.as_deref().map_or(0, minute_of);
            let dated = |text: &Option<String>| text.as_deref().map(date);
            elements.push(Element {
                price: component.price,
                minutes: (clock(&stated.start_time), clock(&stated.end_time)),
                from: dated(&stated.start_date).unwrap_or(NaiveDate::MIN),
                until: dated(&stated.end_date).unwrap_or(NaiveDate::MAX),
                days: stated.day_of_week.iter().map(|day| (*day).into()).collect(),
            });
        }
    }
    elements
}

impl Element {
    /// As OCPI reads it; hours over midnight count only where no day and no date restricts them.
    fn holds(&self, date: NaiveDate, minute: u32) -> bool {
        let (start, end) = self.minutes;
        let whole_days = self.days.is_empty() && self.from == NaiveDate::MIN;
        let in_hours = if start < end {
            start <= minute && minute < end
        } else {
            assert!(end == 0 || whole_days, "over midnight, but not on every day");
            minute >= start || minute < end
        };
        in_hours
            && (self.from..self.until).contains(&date)
            && (self.days.is_empty() || self.days.contains(&date.weekday()))
    }
}

/// The price of the first element that holds.
fn price_of(elements: &[Element], date: NaiveDate, minute: u32) -> Option<Decimal> {
    elements.iter().find(|element| element.holds(date, minute)).map(|element| element.price)
}

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
    let season = |name: &str, from: &str, to: &str, cents: [i64; 3], midday: bool| {
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
        self::season(name, from, to, days)
    };
    let holiday = |name: &str, day: &str| Holiday {
        name: name.to_owned(),
        on: DateRule::Fixed(day.parse().unwrap()),
        observed: Observed::SundayToMonday,
    };
    let winter = [12, 20, 35];
    let mut schedule = schedule(vec![
        season("summer", "06-01", "10-31", [12, 25, 60], false),
        season("winter", "11-01", "02-29", winter, false),
        season("spring", "03-01", "04-30", winter, true),
        season("May", "05-01", "05-31", winter, false),
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

/// A day cut into periods at some of its half hours, beginning anywhere: one is over midnight.
fn periods() -> impl Strategy<Value = Vec<PricePeriod>> {
    let cuts = subsequence((0..48_u16).collect::<Vec<_>>(), 1..6);
    (cuts, prop::collection::vec(5..9_i64, 6)).prop_map(|(cuts, cents)| {
        let clock = |half_hours: u16| format!("{:02}:{:02}", half_hours / 2, half_hours % 2 * 30);
        if cuts.len() == 1 {
            return vec![period("all", "00:00", "24:00", cents[0])];
        }
        let next = cuts.iter().cycle().skip(1);
        let named = cuts.iter().zip(next).zip(cents);
        named.map(|((from, to), cents)| period("p", &clock(*from), &clock(*to), cents)).collect()
    })
}

fn days() -> impl Strategy<Value = Vec<DayPrices>> {
    use DayKind::{
        EveryDay, Friday, Holidays, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday,
        Weekdays, Weekends,
    };
    let partitions = vec![
        vec![vec![EveryDay]],
        vec![vec![Weekdays], vec![Weekends, Holidays]],
        vec![vec![Weekdays], vec![Saturday], vec![Sunday, Holidays]],
        vec![
            vec![Monday, Friday],
            vec![Tuesday, Wednesday, Thursday],
            vec![Weekends],
            vec![Holidays],
        ],
    ];
    (prop::sample::select(partitions), prop::collection::vec(periods(), 4)).prop_map(
        |(partition, periods)| {
            let parts = partition.into_iter().zip(periods);
            parts.map(|(on, periods)| DayPrices { on, periods }).collect()
        },
    )
}

/// A year cut into seasons at the beginnings of some months.
fn seasons() -> impl Strategy<Value = Vec<Season>> {
    let cuts = subsequence((1..13_u32).collect::<Vec<_>>(), 1..5);
    (cuts, prop::collection::vec(days(), 5)).prop_map(|(cuts, days)| {
        let next = cuts.iter().cycle().skip(1);
        let bounds = cuts.iter().zip(next).map(|(from, next)| {
            let last = date("2000-01-01").with_month(*next).unwrap().pred_opt().unwrap();
            (format!("{from:02}-01"), last.format("%m-%d").to_string())
        });
        bounds.zip(days).map(|((from, to), days)| season("s", &from, &to, days)).collect()
    })
}

fn holidays() -> impl Strategy<Value = Vec<Holiday>> {
    let rules = vec![
        DateRule::Fixed("12-25".parse().unwrap()),
        DateRule::Fixed("12-26".parse().unwrap()),
        DateRule::Fixed("02-29".parse().unwrap()),
        DateRule::Nth { nth: 3, weekday: ocpi::DayOfWeek::Monday, month: 2 },
        DateRule::Last { last: ocpi::DayOfWeek::Monday, month: 5 },
        DateRule::Easter { easter: -2 },
        DateRule::Easter { easter: 1 },
    ];
    subsequence(rules, 0..7).prop_map(|rules| {
        let holiday = |on| Holiday { name: "h".to_owned(), on, observed: Observed::SameDay };
        rules.into_iter().map(holiday).collect()
    })
}

/// The periods that a schedule has for a date, looked up, with their minutes.
fn looked_up(schedule: &Schedule, date: NaiveDate) -> Vec<(u32, u32, Decimal)> {
    let on = |rule: &DateRule| rule.in_year(date.year())[0];
    let in_season = |season: &&Season| {
        let (from, to) = (on(&season.from), on(&season.to));
        if from <= to { from <= date && date <= to } else { from <= date || date <= to }
    };
    let mut holidays = schedule.holidays.iter();
    let holiday = holidays.any(|holiday| holiday.on.in_year(date.year()).contains(&date));
    let weekend = matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
    let kinds = |kind: &DayKind| match kind {
        DayKind::EveryDay => true,
        DayKind::Holidays => holiday,
        DayKind::Weekends => !holiday && weekend,
        DayKind::Weekdays => !holiday && !weekend,
        named => !holiday && format!("{named:?}").starts_with(&date.weekday().to_string()),
    };
    let days = schedule.seasons.iter().filter(in_season).flat_map(|season| &season.days);
    let periods = days.filter(|prices| prices.on.iter().any(kinds)).flat_map(|day| &day.periods);
    let minutes = |period: &PricePeriod| {
        let to = minute_of(&period.to.to_string());
        let to = if to == 0 { 1440 } else { to };
        (minute_of(&period.from.to_string()), to, period.price)
    };
    periods.map(minutes).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn at_every_moment_the_tariff_has_the_one_price_that_the_schedule_states(
        seasons in seasons(),
        holidays in holidays(),
        first in 0..1500_i64,
        length in 1..500_i64,
    ) {
        let schedule = Schedule { holidays, ..schedule(seasons) };
        let findings = schedule.validate();
        prop_assert!(findings.iter().all(|f| f.severity == Severity::Warning), "{:?}", findings);
        let from = date("2023-01-01") + TimeDelta::days(first);
        let span = Span { from, until: from + TimeDelta::days(length) };
        let elements = elements(&schedule.compile(span, ZONE, &around()).unwrap());
        // A week longer than it is valid: for sessions that are still running then.
        for day in 0..length + 7 {
            let date = from + TimeDelta::days(day);
            let periods = looked_up(&schedule, date);
            // Periods begin and end at half hours: the first and the last minute of each.
            for minute in (0..1440).filter(|minute| matches!(minute % 30, 0 | 29)) {
                let within = |(from, to, _): &&(u32, u32, Decimal)| {
                    let over_midnight = from >= to;
                    (*from <= minute || over_midnight && minute < *to)
                        && (minute < *to || over_midnight)
                };
                let mut stated = periods.iter().filter(within).map(|(_, _, price)| *price);
                let (one, another) = (stated.next(), stated.next());
                prop_assert!(one.is_some() && another.is_none(), "{} {}", date, minute);
                prop_assert_eq!(price_of(&elements, date, minute), one, "{} {}", date, minute);
            }
        }
        // Long before and after there is a price too.
        for years in [-10, 10] {
            prop_assert!(price_of(&elements, from + TimeDelta::days(365 * years), 720).is_some());
        }
    }
}
