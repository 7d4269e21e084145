//! Reachability and gaps against brute force: the rules of pricing itself, asked at many moments.

use std::collections::HashSet;

use chrono::{Datelike, Days, NaiveDate, NaiveTime};
use ocpi::{PriceComponent, Tariff, TariffDimensionType, TariffElement, TariffRestrictions};
use proptest::{collection::vec, option, prelude::*, sample::select};
use rust_decimal::Decimal;

use super::{
    cover::{Axis, Block, Cells},
    reach::{Domain, Priced, Survey, powers, survey},
    space::{Scale, Space},
};
use crate::compile::{Bounds, Compiled, Component, Holds, Moment};

const FROM: &str = "2026-03-01";
const UNTIL: &str = "2026-04-05";

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn restrictions() -> impl Strategy<Value = TariffRestrictions> {
    let time = || option::weighted(0.4, select(vec!["00:00", "06:00", "12:00", "18:30"]));
    let dates = ["2026-02-20", "2026-03-14", "2026-03-16", "2026-03-29", "2026-05-01"];
    let date = || option::weighted(0.2, select(dates.to_vec()));
    let days = option::weighted(0.3, prop::sample::subsequence(week(), 1..7));
    let number = || option::weighted(0.2, select(vec![0_u32, 10, 20]));
    let amps = || option::weighted(0.05, select(vec![16_u32, 32]));
    let kinds = vec!["RESERVATION", "RESERVATION_EXPIRES"];
    let reservation = option::weighted(0.2, select(kinds));
    let numbers = (number(), number(), number(), number(), number(), number(), amps());
    ((time(), time()), (date(), date()), days, numbers, reservation).prop_map(
        |(times, dates, days, numbers, reservation)| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let decimal = |number: Option<u32>| number.map(Decimal::from);
            let (min_kwh, max_kwh, min_power, max_power, min_s, max_s, amps) = numbers;
            let kind = reservation.map(|kind| serde_json::from_value(kind.into()).unwrap());
            TariffRestrictions {
                start_time: text(times.0),
                end_time: text(times.1),
                start_date: text(dates.0),
                end_date: text(dates.1),
                day_of_week: days.unwrap_or_default(),
                min_kwh: decimal(min_kwh),
                max_kwh: decimal(max_kwh),
                min_power: decimal(min_power),
                max_power: decimal(max_power),
                min_duration: min_s,
                max_duration: max_s,
                min_current: decimal(amps),
                reservation: kind,
                ..TariffRestrictions::default()
            }
        },
    )
}

fn week() -> Vec<ocpi::DayOfWeek> {
    use ocpi::DayOfWeek::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    vec![Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday]
}

fn tariff() -> impl Strategy<Value = Tariff> {
    use TariffDimensionType::{Energy, Flat, ParkingTime, Time};
    let component = (select(vec![Energy, Energy, Flat, ParkingTime, Time]), 0_i64..3);
    let component = component.prop_map(|(dimension, price)| PriceComponent {
        dimension,
        price: Decimal::from(price),
        vat: None,
        step_size: 1,
    });
    let element = (vec(component, 1..3), option::weighted(0.9, restrictions()));
    let element = element.prop_map(|(price_components, restrictions)| TariffElement {
        price_components,
        restrictions,
    });
    vec(element, 1..7).prop_map(|elements| {
        let json = r#"{"country_code":"NL","party_id":"TWT","id":"T","currency":"EUR",
            "elements":[],"last_updated":"2026-03-01T00:00:00Z"}"#;
        Tariff { elements, ..serde_json::from_str(json).unwrap() }
    })
}

/// A moment, independent of any cell.
#[derive(Debug, Clone, Copy)]
struct Point {
    date: NaiveDate,
    time: NaiveTime,
    wh: Decimal,
    seconds: u32,
    kw: Decimal,
    amps: Decimal,
    expired: bool,
}

impl Point {
    fn moment(self) -> Moment {
        Moment {
            local: self.date.and_time(self.time),
            elapsed_ms: i64::from(self.seconds) * 1000,
            energy_wh: self.wh,
            power_kw: Bounds::exactly(self.kw),
            current_a: Bounds::exactly(self.amps),
            reservation_expired: self.expired,
        }
    }

    fn is_in(self, space: &Space, block: &Block) -> bool {
        let day = space.days.iter().position(|day| {
            day.from.is_none_or(|from| from <= self.date)
                && day.until.is_none_or(|until| self.date < until)
                && day.weekday == self.date.weekday()
        });
        let cells = [
            (Axis::Day, day),
            (Axis::Time, cell(&space.times, self.time)),
            (Axis::Energy, cell(&space.energies_wh, self.wh)),
            (Axis::Duration, cell(&space.durations_s, self.seconds)),
            (Axis::Power, cell(&space.powers_kw, self.kw)),
            (Axis::Current, cell(&space.currents_a, self.amps)),
            (Axis::Expired, Some(usize::from(self.expired))),
        ];
        cells.into_iter().all(|(axis, cell)| block.cells(axis).unwrap().contains(cell.unwrap()))
    }
}

fn cell<T: Ord + Copy>(scale: &Scale<T>, value: T) -> Option<usize> {
    scale.starts.iter().rposition(|start| *start <= value)
}

fn points() -> impl Strategy<Value = Vec<Point>> {
    let number = || select(vec![0_u32, 0, 5, 9, 10, 11, 15, 19, 20, 25]);
    let point = (0_u64..70, 0_u32..96, number(), number(), number(), any::<bool>(), 0_u32..40);
    let point = point.prop_map(|(day, quarter, kwh, seconds, kw, expired, amps)| Point {
        date: date("2026-02-15") + Days::new(day),
        time: NaiveTime::from_num_seconds_from_midnight_opt(quarter * 900, 0).unwrap(),
        wh: Decimal::from(kwh * 1000),
        seconds,
        kw: Decimal::from(kw),
        amps: Decimal::from(amps),
        expired,
    });
    vec(point, 300)
}

/// A point of every cell: its start, and a date in the span that is the weekday.
fn representatives(space: &Space) -> Vec<Point> {
    let mut points = Vec::new();
    let day = |day: &super::space::Day| {
        let near = day.from.unwrap_or_else(|| day.until.unwrap_or(date(FROM)) - Days::new(7));
        near.iter_days().find(|date| date.weekday() == day.weekday).unwrap()
    };
    for date in space.days.iter().map(day) {
        for time in &space.times.starts {
            for wh in &space.energies_wh.starts {
                for seconds in &space.durations_s.starts {
                    for kw in &space.powers_kw.starts {
                        for amps in &space.currents_a.starts {
                            points.extend([false, true].map(|expired| Point {
                                date,
                                time: *time,
                                wh: *wh,
                                seconds: *seconds,
                                kw: *kw,
                                amps: *amps,
                                expired,
                            }));
                        }
                    }
                }
            }
        }
    }
    points
}

struct Case {
    tariff: Compiled,
    space: Space,
    domain: Domain,
    survey: Survey,
}

impl Case {
    fn new(tariff: &Tariff, max_kw: Option<u32>) -> Self {
        let tariff = Compiled::new(tariff).unwrap();
        let (from, until) = (date(FROM), date(UNTIL));
        let space = Space::new(&tariff, &[from, until]);
        let days = space.between(Some(from), Some(until));
        let domain = Domain { days, powers: powers(&space, max_kw.map(Decimal::from)) };
        let survey = survey(&tariff, &space, &domain);
        assert_eq!(survey.unknown, []);
        Self { tariff, space, domain, survey }
    }

    fn lists(&self) -> Vec<(Priced, Vec<&Component>)> {
        use TariffDimensionType::{Energy, Flat, ParkingTime, Time};
        let list = |dimension, of_reservation, list: &[usize]| {
            let components = list.iter().map(|index| &self.tariff.components[*index]).collect();
            (Priced { dimension, of_reservation }, components)
        };
        vec![
            list(Energy, false, &self.tariff.energy),
            list(Time, false, &self.tariff.time),
            list(ParkingTime, false, &self.tariff.parking),
            list(Flat, false, &self.tariff.flat),
            list(Time, true, &self.tariff.reservation_time),
            list(Flat, true, &self.tariff.reservation_flat),
        ]
    }

    fn is_dead(&self, priced: Priced, element: usize) -> bool {
        let mut dead = self.survey.dead.iter();
        dead.any(|dead| dead.priced == priced && dead.element == element)
    }

    fn is_gap(&self, priced: Priced, point: Point) -> bool {
        let mut gaps = self.survey.gaps.iter().filter(|gap| gap.priced == priced);
        gaps.any(|gap| point.is_in(&self.space, &gap.block))
    }

    /// Whether a missing price at `point` is one to tell.
    fn matters(&self, priced: Priced, components: &[&Component], point: Point) -> bool {
        let expires = |component: &&Component| {
            component.rule.reservation == Some(ocpi::ReservationRestrictionType::ReservationExpires)
        };
        let stands = priced.dimension != TariffDimensionType::ParkingTime
            || [(&self.space.powers_kw, point.kw), (&self.space.currents_a, point.amps)]
                .iter()
                .all(|(scale, value)| cell(scale, *value) == Some(0));
        let power = cell(&self.space.powers_kw, point.kw).unwrap();
        (date(FROM)..date(UNTIL)).contains(&point.date)
            && self.domain.powers.contains(power)
            && stands
            && (point.expired || !priced.of_reservation || !components.iter().all(expires))
            && components.iter().any(|component| !component.price.is_zero())
    }
}

fn first<'a>(components: &[&'a Component], point: Point) -> Option<&'a Component> {
    let holds = |component: &&&Component| component.rule.holds(&point.moment()) == Holds::Yes;
    components.iter().find(holds).copied()
}

/// Flat fees and reservations: only day and time count.
fn is_projected(priced: Priced) -> bool {
    priced.dimension == TariffDimensionType::Flat || priced.of_reservation
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 64,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_called_unreachable_never_applies_and_what_is_called_a_gap_is_one(
        tariff in tariff(), points in points(), max_kw in option::of(5_u32..15),
    ) {
        let case = Case::new(&tariff, max_kw);
        for (priced, components) in case.lists() {
            for point in &points {
                let found = first(&components, *point);
                let at_start = Point { wh: Decimal::ZERO, seconds: 0, ..*point };
                let is_due = priced.dimension != TariffDimensionType::Flat
                    || point.is_in(&case.space, &case.space.start())
                    || first(&components, at_start).is_none();
                if let Some(component) = found.filter(|_| is_due) {
                    prop_assert!(!case.is_dead(priced, component.element), "{point:?}");
                }
                if is_projected(priced) {
                    continue;
                }
                let expected = found.is_none() && case.matters(priced, &components, *point);
                prop_assert_eq!(case.is_gap(priced, *point), expected, "{:?} {:?}", priced, point);
            }
        }
    }

    #[test]
    fn nothing_unreachable_and_no_gap_is_missed(tariff in tariff()) {
        let case = Case::new(&tariff, None);
        let all = representatives(&case.space);
        prop_assume!(all.len() < 6_000);
        for (priced, components) in case.lists() {
            let reached: Vec<usize> =
                all.iter().filter_map(|point| Some(first(&components, *point)?.element)).collect();
            for component in &components {
                let holds = |point: &&Point| {
                    component.rule.holds(&point.moment()) == Holds::Yes
                };
                let is_never_first = !reached.contains(&component.element);
                if is_never_first && all.iter().find(holds).is_some() {
                    prop_assert!(case.is_dead(priced, component.element), "{component:?}");
                }
            }
            let day = |point: &Point| (point.date, point.time, point.expired);
            let priced_days: HashSet<_> =
                all.iter().filter(|point| first(&components, **point).is_some()).map(day).collect();
            for point in &all {
                let has_price = if is_projected(priced) {
                    priced_days.contains(&day(point))
                } else {
                    first(&components, *point).is_some()
                };
                let expected = !has_price && case.matters(priced, &components, *point);
                prop_assert_eq!(case.is_gap(priced, *point), expected, "{:?} {:?}", priced, point);
            }
        }
    }
}

#[test]
fn too_many_corners_are_not_guessed_at() {
    // Each element takes another corner of energy, power, duration and time.
    let corner = |index: u32| {
        let limits = TariffRestrictions {
            min_kwh: Some(Decimal::from(index * 7 % 101)),
            min_power: Some(Decimal::from(index * 13 % 103)),
            min_duration: Some(index * 17 % 107),
            min_current: Some(Decimal::from(index * 19 % 109)),
            ..TariffRestrictions::default()
        };
        let component = PriceComponent {
            dimension: TariffDimensionType::Energy,
            price: Decimal::ONE,
            vat: None,
            step_size: 1,
        };
        TariffElement { price_components: vec![component], restrictions: Some(limits) }
    };
    let json = r#"{"country_code":"NL","party_id":"TWT","id":"T","currency":"EUR",
        "elements":[],"last_updated":"2026-03-01T00:00:00Z"}"#;
    let elements = (1..100).rev().map(corner).collect();
    let tariff = Tariff { elements, ..serde_json::from_str(json).unwrap() };
    let compiled = Compiled::new(&tariff).unwrap();
    let space = Space::new(&compiled, &[]);
    let domain =
        Domain { days: Cells::of(space.days.len(), |_| true), powers: powers(&space, None) };
    let survey = survey(&compiled, &space, &domain);
    assert_eq!(survey.unknown.len(), 1);
    assert!(survey.dead.is_empty() && survey.gaps.is_empty());
}
