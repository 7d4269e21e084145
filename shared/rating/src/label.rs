//! Lines in words, for people.

use std::fmt::Write;

use crate::{Item, compile::Rule, exact::WH_PER_KWH};

/// What `item` is, with the part of its element's restrictions that tells lines apart:
/// `Energy (16:00–21:00)`.
pub(crate) fn describe(item: Item, rule: &Rule) -> String {
    let mut text = match item {
        Item::ReservationFlat => "Reservation fee",
        Item::ReservationTime => "Reservation time",
        Item::Flat => "Session fee",
        Item::Energy => "Energy",
        Item::Time => "Charging time",
        Item::ParkingTime => "Idle time",
        Item::MinPrice => "Minimum price",
        Item::MaxPrice => "Maximum price",
    }
    .to_owned();
    let conditions = conditions(rule);
    if !conditions.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, " ({})", conditions.join(", "));
    }
    text
}

fn conditions(rule: &Rule) -> Vec<String> {
    let mut conditions = Vec::new();
    if let Some((start, end)) = rule.time {
        conditions.push(format!("{}–{}", start.format("%H:%M"), end.format("%H:%M")));
    }
    if let Some(days) = rule.days {
        conditions.push(days.to_string());
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
    conditions
}
