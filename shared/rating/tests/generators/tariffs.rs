//! Tariffs with any components, restrictions, steps and limits.

use chrono::NaiveTime;
use ocpi::{
    DayOfWeek, Price, PriceComponent, Tariff, TariffDimensionType, TariffElement,
    TariffRestrictions,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use quantities::TariffRef;
use rating::{IdleTerms, QuietHours, TariffVersion, Terms};
use rust_decimal::Decimal;

use super::{currency, percent};

/// What a price may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// Time of day, weekday, date.
    Clock,
    /// How long the session has lasted.
    Duration,
    /// How much energy has flowed.
    Energy,
    /// How fast it flows.
    Power,
}

/// On everything that a charger reports.
pub(crate) const ON_ALL: &[On] = &[On::Clock, On::Duration, On::Energy, On::Power];

/// A price per kWh, hour or session, with four decimals; some are free.
pub(crate) fn price() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        6 => (0_i64..20_000).prop_map(|price| Decimal::new(price, 4)),
        2 => (0_i64..2_000).prop_map(|price| Decimal::new(price, 2)),
        1 => Just(Decimal::ZERO),
    ]
}

/// What is priced.
pub(crate) fn dimension() -> impl Strategy<Value = TariffDimensionType> {
    select(vec![
        TariffDimensionType::Energy,
        TariffDimensionType::Energy,
        TariffDimensionType::Flat,
        TariffDimensionType::ParkingTime,
        TariffDimensionType::Time,
    ])
}

/// A component; its step is of Wh or seconds.
pub(crate) fn component() -> impl Strategy<Value = PriceComponent> {
    let step_size = select(vec![0_u32, 1, 1, 7, 60, 500, 900, 3600]);
    (dimension(), price(), option::weighted(0.4, percent()), step_size).prop_map(
        |(dimension, price, vat, step_size)| PriceComponent { dimension, price, vat, step_size },
    )
}

/// Restrictions of the kinds that `depends` allows; each is more often absent than not.
pub(crate) fn restrictions(depends: &'static [On]) -> impl Strategy<Value = TariffRestrictions> {
    let minute = select(vec![0_u32, 0, 1, 15, 30, 45, 59]);
    let time = option::weighted(0.4, (0_u32..24, minute));
    let date = option::weighted(0.15, (20_u32..31).prop_map(|day| format!("2026-10-{day:02}")));
    let days = select(vec![
        DayOfWeek::Monday,
        DayOfWeek::Thursday,
        DayOfWeek::Saturday,
        DayOfWeek::Sunday,
    ]);
    let days = prop_oneof![3 => Just(vec![]), 1 => vec(days, 1..4)];
    let clock = (time.clone(), time, date.clone(), date, days);
    let tenths = |most: i64| option::weighted(0.25, (0..most).prop_map(|n| Decimal::new(n, 1)));
    let duration = (option::weighted(0.2, 0_u32..20_000), option::weighted(0.2, 0_u32..20_000));
    // A threshold may be finer than what energy is interpolated to.
    let fine = option::weighted(0.1, (0_i64..30_000_000).prop_map(|n| Decimal::new(n, 6)));
    let energy = (tenths(300), tenths(300), fine);
    let power = (tenths(300), tenths(300));
    (clock, duration, energy, power).prop_map(move |(clock, duration, energy, power)| {
        let mut restrictions = TariffRestrictions::default();
        if depends.contains(&On::Clock) {
            let text = |(hour, minute)| format!("{hour:02}:{minute:02}");
            restrictions.start_time = clock.0.map(text);
            restrictions.end_time = clock.1.map(text);
            restrictions.start_date = clock.2;
            restrictions.end_date = clock.3;
            restrictions.day_of_week = clock.4;
        }
        if depends.contains(&On::Duration) {
            (restrictions.min_duration, restrictions.max_duration) = duration;
        }
        if depends.contains(&On::Energy) {
            restrictions.min_kwh = energy.2.or(energy.0);
            restrictions.max_kwh = energy.1;
        }
        if depends.contains(&On::Power) {
            (restrictions.min_power, restrictions.max_power) = power;
        }
        restrictions
    })
}

/// Elements of the kinds that `depends` allows.
pub(crate) fn elements(depends: &'static [On]) -> impl Strategy<Value = Vec<TariffElement>> {
    let element = (vec(component(), 1..4), option::weighted(0.7, restrictions(depends)));
    let element = element.prop_map(|(price_components, restrictions)| TariffElement {
        price_components,
        restrictions,
    });
    vec(element, 1..7)
}

/// `elements` with one step size, and without a tax of their own.
pub(crate) fn with_steps(mut elements: Vec<TariffElement>, step_size: u32) -> Vec<TariffElement> {
    for component in elements.iter_mut().flat_map(|element| &mut element.price_components) {
        component.step_size = step_size;
        component.vat = None;
    }
    elements
}

/// Prices per kWh that depend on the energy alone.
pub(crate) fn energy_by_energy() -> impl Strategy<Value = Vec<TariffElement>> {
    elements(&[On::Energy]).prop_map(|elements| {
        let mut elements = with_steps(elements, 0);
        for component in elements.iter_mut().flat_map(|element| &mut element.price_components) {
            component.dimension = TariffDimensionType::Energy;
        }
        elements
    })
}

/// Prices in which nothing counts from the start of the session.
pub(crate) fn elements_that_add_up() -> impl Strategy<Value = Vec<TariffElement>> {
    elements(&[On::Clock, On::Power]).prop_map(|elements| {
        let mut elements = with_steps(elements, 0);
        for component in elements.iter_mut().flat_map(|element| &mut element.price_components) {
            if component.dimension == TariffDimensionType::Flat {
                component.dimension = TariffDimensionType::Energy;
            }
        }
        elements
    })
}

/// Any tariff.
pub(crate) fn tariff() -> impl Strategy<Value = TariffVersion> {
    let limits = (limit(0..500), limit(100..5_000));
    (elements(ON_ALL), currency(), limits, idle_terms()).prop_map(
        |(elements, currency, (min_price, max_price), idle)| {
            let mut version = version(elements, currency, 0);
            version.terms.idle = idle;
            version.tariff.min_price = min_price;
            // A minimum above the maximum is refused when a tariff is published.
            version.tariff.max_price = max_price.filter(|max| {
                let fits = |least: Option<Decimal>, most: Option<Decimal>| {
                    least.zip(most).is_none_or(|(least, most)| least <= most)
                };
                min_price.is_none_or(|min| {
                    min.excl_vat <= max.excl_vat && fits(min.incl_vat, max.incl_vat)
                })
            });
            version
        },
    )
}

/// When idle time is billed, and how much of it at most.
fn idle_terms() -> impl Strategy<Value = IdleTerms> {
    let time =
        || (0_u32..24, 0_u32..60).prop_map(|(h, m)| NaiveTime::from_hms_opt(h, m, 0).unwrap());
    let quiet = (time(), time(), vec(select(vec![DayOfWeek::Saturday, DayOfWeek::Sunday]), 0..2));
    let quiet = quiet.prop_map(|(start, end, days)| QuietHours { start, end, days });
    let grace = prop_oneof![Just(0_u32), 1_u32..2_000];
    let cap = option::weighted(0.2, (0_i64..2_000).prop_map(|cents| Decimal::new(cents, 2)));
    (grace, cap, vec(quiet, 0..2)).prop_map(|(grace_s, cap, quiet_hours)| IdleTerms {
        grace_s,
        cap,
        quiet_hours,
    })
}

/// A least or a most price, in cents; with tax it is said to be a fifth more, or not said.
fn limit(cents: std::ops::Range<i64>) -> impl Strategy<Value = Option<Price>> {
    let limit = (cents, any::<bool>()).prop_map(|(cents, with_tax)| {
        let excl_vat = Decimal::new(cents, 2);
        let incl_vat = with_tax.then(|| excl_vat * Decimal::new(12, 1));
        Price { excl_vat, incl_vat }
    });
    option::weighted(0.25, limit)
}

/// Version 3 of the tariff T1.
pub(crate) fn version(elements: Vec<TariffElement>, currency: &str, grace: u32) -> TariffVersion {
    let mut tariff = blank(currency);
    tariff.elements = elements;
    let mut terms = Terms::default();
    terms.idle.grace_s = grace;
    TariffVersion { reference: TariffRef { id: "T1".parse().unwrap(), version: 3 }, tariff, terms }
}

/// A tariff that says as little as possible.
fn blank(currency: &str) -> Tariff {
    let text = format!(
        r#"{{"country_code":"NL","party_id":"TWT","id":"T1","currency":"{currency}","elements":[
            {{"price_components":[{{"type":"FLAT","price":0}}]}}],
            "last_updated":"2026-01-01T00:00:00Z"}}"#
    );
    ocpi::read::tariff(&text).unwrap()
}
