//! The tariff says what the schedule says, at every moment.

use chrono::{Datelike, NaiveDate, TimeDelta, Weekday};
use ocpi::{Tariff, TariffDimensionType};
use plans::{
    Schedule, Severity,
    schedule::{DateRule, DayKind, DayPrices, Holiday, Observed, PricePeriod, Season, Span},
};
use proptest::{prelude::*, sample::subsequence};
use rust_decimal::Decimal;

use crate::sample::{ZONE, around, date, period, schedule, season};

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
