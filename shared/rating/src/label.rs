//! Lines in words, for people.

use std::sync::Arc;

use ocpi::{ReservationRestrictionType, TariffDimensionType};

use crate::{compile::Rule, exact::WH_PER_KWH};

/// What a component prices, with the conditions that tell it from others: `Energy (16:00–21:00)`.
pub(crate) fn describe(
    dimension: TariffDimensionType,
    reservation: Option<ReservationRestrictionType>,
    conditions: &str,
) -> Arc<str> {
    let what = match (dimension, reservation) {
        (TariffDimensionType::Flat, Some(_)) => "Reservation fee",
        (_, Some(_)) => "Reservation time",
        (TariffDimensionType::Flat, None) => "Session fee",
        (TariffDimensionType::Energy, None) => "Energy",
        (TariffDimensionType::Time, None) => "Charging time",
        (TariffDimensionType::ParkingTime, None) => "Idle time",
    };
    if conditions.is_empty() { what.into() } else { format!("{what} ({conditions})").into() }
}

/// The restrictions of `rule` in words: `16:00–21:00, Mon Tue, up to 20 kWh`.
pub(crate) fn conditions(rule: &Rule) -> String {
    let mut conditions = Vec::new();
    if let Some((start, end)) = rule.time {
        conditions.push(format!("{}–{}", start.format("%H:%M"), end.format("%H:%M")));
    }
    if let Some(days) = rule.days {
        conditions.push(days.to_string());
    }
    match (rule.start_date, rule.end_date) {
        (Some(from), Some(until)) => conditions.push(format!("{from} until {until}")),
        (Some(from), None) => conditions.push(format!("from {from}")),
        (None, Some(until)) => conditions.push(format!("until {until}")),
        (None, None) => {}
    }
    let range = |name: &str, min: Option<String>, max: Option<String>| match (min, max) {
        (Some(min), Some(max)) => Some(format!("{min} to {max} {name}")),
        (Some(min), None) => Some(format!("from {min} {name}")),
        (None, Some(max)) => Some(format!("up to {max} {name}")),
        (None, None) => None,
    };
    let kwh = |wh: rust_decimal::Decimal| (wh / WH_PER_KWH).normalize().to_string();
    let minutes = |seconds: u32| {
        let minutes = rust_decimal::Decimal::from(seconds) / rust_decimal::Decimal::from(60);
        minutes.round_dp(1).normalize().to_string()
    };
    let number = |number: rust_decimal::Decimal| number.normalize().to_string();
    conditions.extend(range("kWh", rule.min_wh.map(kwh), rule.max_wh.map(kwh)));
    conditions.extend(range("min", rule.min_s.map(minutes), rule.max_s.map(minutes)));
    conditions.extend(range("kW", rule.power.min.map(number), rule.power.max.map(number)));
    conditions.extend(range("A", rule.current.min.map(number), rule.current.max.map(number)));
    conditions.join(", ")
}
