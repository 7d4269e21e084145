//! Why a session costs what it costs, line by line, in words and in the order of the rules.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use plans::{Period, Reduction};
use quantities::{Currency, TaxPercent};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::{Item, Line, PlanRule, PricedSession, Unit};

/// The order in which the rules of pricing apply, each to what those before it have left.
pub const PRECEDENCE: [&str; 11] = [
    "the tariff on offer to the driver's tier at the start, whatever is published later",
    "per dimension the first tariff element whose restrictions all hold",
    "of standing time: the operator's is never idle time; then quiet hours, then grace",
    "step_size, once a dimension, on the component used last",
    "the plan: the start fee waived",
    "the plan: allowances, earliest use first",
    "the plan: discounts on what no allowance covers",
    "the cap on idle fees",
    "min_price, then max_price",
    "taxes, each on the price before taxes",
    "rounding, once",
];

/// Why a session costs what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// [`PRECEDENCE`].
    pub order: &'static [&'static str],
    /// One for every line, in the same order.
    pub lines: Vec<LineExplanation>,
}

/// Why a line is there and how its amount came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineExplanation {
    /// Which element and component applied, or which rule, and why.
    pub reason: String,
    /// Over how much of what, from when to when.
    pub over: String,
    /// At which price.
    pub price: String,
    /// What `step_size` added; null where it added nothing.
    pub step: Option<String>,
    /// Which taxes are on it.
    pub taxes: Vec<String>,
    /// How its amount was rounded.
    pub rounding: String,
}

impl PricedSession {
    /// Why it costs what it costs, with times as the clocks in `zone` show them.
    #[must_use]
    pub fn explain(&self, zone: Tz) -> Explanation {
        let line = |line: &Line| Words { priced: self, line, zone }.explanation();
        Explanation { order: &PRECEDENCE, lines: self.lines.iter().map(line).collect() }
    }
}

/// A line to be put in words.
struct Words<'a> {
    priced: &'a PricedSession,
    line: &'a Line,
    zone: Tz,
}

impl Words<'_> {
    fn explanation(&self) -> LineExplanation {
        LineExplanation {
            reason: self.reason(),
            over: self.over(),
            price: self.price(),
            step: self.step(),
            taxes: self.taxes(),
            rounding: self.rounding(),
        }
    }

    fn reason(&self) -> String {
        let why = &self.line.why;
        if let (Some(element), Some(component)) = (self.line.element, why.component) {
            let dimension = dimension(self.line.item);
            let held = match &*why.conditions {
                "" => "it has no restrictions".to_owned(),
                conditions => format!("its restrictions held: {conditions}"),
            };
            return format!(
                "elements[{element}].price_components[{component}]: the first with {dimension} \
                 that applied; {held}"
            );
        }
        let reduced = why.reduces.and_then(|line| self.priced.lines.get(line));
        let reduced = reduced.map_or("the lines above", |line| &*line.description);
        match (self.line.item, why.plan) {
            (_, Some(rule)) => format!("{}; taken off {reduced}", self.plan_rule(rule)),
            (Item::IdleCap, _) => {
                "the terms beside the tariff: all idle time of a session costs at most so much"
                    .to_owned()
            }
            (Item::MinPrice, _) => "min_price: a session costs at least so much".to_owned(),
            (Item::MaxPrice, _) => "max_price: a session costs at most so much".to_owned(),
            (Item::Free, _) => "nobody pays: the session is free of charge".to_owned(),
            _ => reduced.to_owned(),
        }
    }

    fn plan_rule(&self, rule: PlanRule) -> String {
        let plan = self.priced.plan.as_ref();
        let plan = plan.map_or("the plan".to_owned(), |plan| format!("plan {}", plan.reference));
        let rule = match rule {
            PlanRule::NoStartFee => "no start fee".to_owned(),
            PlanRule::Allowance { quantity, per } => {
                let per = match per {
                    Period::Session => "session",
                    Period::Month => "month",
                };
                let unit = if self.line.unit == Unit::KilowattHour { "kWh" } else { "min" };
                format!("{} {unit} a {per} included, earliest use first", quantity.normalize())
            }
            PlanRule::Discount(reduction) => {
                discount(reduction, self.priced.currency, self.line.rate_unit)
            }
        };
        format!("{plan}: {rule}")
    }

    fn over(&self) -> String {
        let (from, to) = (self.moment(self.line.from), self.moment(self.line.to));
        let quantity = match self.line.unit {
            Unit::KilowattHour => format!("{} kWh", self.line.quantity),
            Unit::Second => duration(self.line.quantity),
            Unit::Hour => format!("{} h", self.line.quantity),
            Unit::Session => "once".to_owned(),
        };
        let parts = match self.line.segments.len() {
            0 | 1 => String::new(),
            parts => format!(", in {parts} parts"),
        };
        format!("{quantity}, from {from} to {to}{parts}")
    }

    fn price(&self) -> String {
        let view = match (self.line.taxes.is_empty(), self.priced.rates_include_tax) {
            (true, _) => "",
            (false, true) => ", with tax",
            (false, false) => ", without tax",
        };
        let price = price(self.line.rate, self.priced.currency, self.line.rate_unit);
        format!("{price}{view}")
    }

    fn step(&self) -> Option<String> {
        let Line { quantity, measured, .. } = self.line;
        (quantity != measured).then(|| {
            let (size, unit, measured) = match self.line.unit {
                Unit::KilowattHour => (self.line.why.step_size, "Wh", format!("{measured} kWh")),
                _ => (self.line.why.step_size, "s", duration(*measured)),
            };
            format!("measured {measured}; the dimension is billed in steps of {size} {unit}")
        })
    }

    fn taxes(&self) -> Vec<String> {
        let taxes = self.line.taxes.iter().filter_map(|part| {
            let tax = self.priced.taxes.get(part.tax)?;
            let percent = TaxPercent::percent(tax.percent).normalize();
            Some(format!("{} {percent} %: {}", tax.name, part.amount))
        });
        taxes.collect()
    }

    fn rounding(&self) -> String {
        let (why, amount) = (&self.line.why, self.line.amount);
        let exact = |value: Decimal| value.round_dp(8).normalize();
        let (excl, incl) = (exact(why.exact_excl_vat), exact(why.exact_incl_vat));
        if self.line.taxes.is_empty() {
            return format!("{excl} exactly, {} billed", amount.excl_vat);
        }
        let (net, gross) = (amount.excl_vat, amount.incl_vat);
        format!("{excl} without tax and {incl} with it exactly, {net} and {gross} billed")
    }

    fn moment(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

const fn dimension(item: Item) -> &'static str {
    match item {
        Item::ReservationFlat => "FLAT of a reservation",
        Item::ReservationTime => "TIME of a reservation",
        Item::Flat => "FLAT",
        Item::Energy => "ENERGY",
        Item::Time => "TIME",
        Item::ParkingTime => "PARKING_TIME",
        Item::StartFeeWaived
        | Item::Allowance
        | Item::Discount
        | Item::IdleCap
        | Item::MinPrice
        | Item::MaxPrice
        | Item::Free => "a price",
    }
}

/// A discount in words: `10 % off`, `2.00 EUR per h off`, `0.35 EUR per kWh instead`.
pub(crate) fn discount(reduction: Reduction, currency: Currency, unit: Unit) -> String {
    match reduction {
        Reduction::Percent(percent) => format!("{} % off", percent.normalize()),
        Reduction::Amount(amount) => format!("{} off", price(amount, currency, unit)),
        Reduction::Price(fixed) => format!("{} instead", price(fixed, currency, unit)),
    }
}

/// A price with all its decimals, at least as many as the currency has.
fn price(value: Decimal, currency: Currency, unit: Unit) -> String {
    let mut value = value.normalize();
    value.rescale(value.scale().max(currency.minor_digits()));
    let per = match unit {
        Unit::KilowattHour => " per kWh",
        Unit::Second => " per s",
        Unit::Hour => " per h",
        Unit::Session => "",
    };
    format!("{value} {currency}{per}")
}

/// Seconds as `1 h 5 min 30 s`.
fn duration(seconds: Decimal) -> String {
    let (hour, minute) = (Decimal::from(3600), Decimal::from(60));
    let (hours, rest) = ((seconds / hour).trunc(), seconds % hour);
    let (minutes, rest) = ((rest / minute).trunc(), (rest % minute).normalize());
    let parts = [(hours, "h"), (minutes, "min"), (rest, "s")];
    let parts = parts.into_iter().filter(|(number, _)| !number.is_zero());
    let parts: Vec<String> = parts.map(|(number, unit)| format!("{number} {unit}")).collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_people_say_it() {
        let words = |seconds: &str| duration(seconds.parse().unwrap());
        assert_eq!(words("3905"), "1 h 5 min 5 s");
        assert_eq!(words("86400"), "24 h");
        assert_eq!(words("12.50"), "12.5 s");
        assert_eq!(words("0"), "0 s");
    }

    #[test]
    fn a_price_has_the_decimals_of_its_currency_and_all_its_own() {
        let words = |value: &str, code: &str| {
            price(value.parse().unwrap(), code.parse().unwrap(), Unit::KilowattHour)
        };
        assert_eq!(words("0.4", "EUR"), "0.40 EUR per kWh");
        assert_eq!(words("0.4125", "EUR"), "0.4125 EUR per kWh");
        assert_eq!(words("35.00", "JPY"), "35 JPY per kWh");
        assert_eq!(words("0.03", "KWD"), "0.030 KWD per kWh");
    }
}
