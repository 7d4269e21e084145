//! Quantities as people read them.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rating::Unit;
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use session::Verification;

pub(crate) const fn signature(verification: Verification) -> &'static str {
    match verification {
        Verification::Verified => "yes, and the signature is good",
        Verification::OwnKey => "yes, unchanged; whose key it is was not checked",
        Verification::KeyUnknown => "yes; the meter's key is not known here",
        Verification::Unchecked => "yes; the signature could not be checked here",
        Verification::Invalid => "yes, but the signature is not good",
    }
}

pub(crate) const fn view_of_tax(is_included: bool) -> &'static str {
    if is_included { "with tax" } else { "without tax" }
}

pub(crate) fn moment(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z").to_string()
}

pub(crate) fn quantity(quantity: Decimal, unit: Unit) -> String {
    match unit {
        Unit::KilowattHour => format!("{} kWh", quantity.normalize()),
        Unit::Hour => format!("{} h", quantity.normalize()),
        Unit::Second => duration(quantity),
        Unit::Session => quantity.normalize().to_string(),
    }
}

fn duration(seconds: Decimal) -> String {
    let whole = seconds.trunc().to_u64().filter(|_| seconds.fract().is_zero());
    let Some(whole) = whole else { return format!("{} s", seconds.normalize()) };
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    let parts = [(hours, "h"), (minutes, "min"), (seconds, "s")];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// The most decimals of a rate in words. One that is computed, such as a price without the tax that
/// was in it, may have 28; amounts are always computed from the exact one.
const RATE_DECIMALS: u32 = 6;

/// A rate to be read: to six decimals.
#[must_use]
pub fn short_rate(rate: Decimal) -> Decimal {
    rate.round_dp(RATE_DECIMALS).normalize()
}

/// A rate with at least the two decimals that people expect of money, and at most six.
pub(crate) fn rate(rate: Decimal) -> String {
    let mut rate = short_rate(rate);
    if rate.scale() < 2 {
        rate.rescale(2);
    }
    rate.to_string()
}

pub(crate) const fn per(unit: Unit) -> &'static str {
    match unit {
        Unit::KilowattHour => "/kWh",
        Unit::Second => "/s",
        Unit::Hour => "/h",
        Unit::Session => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_two_to_six_decimals() {
        let words = |number: &str| rate(number.parse().unwrap());
        assert_eq!(words("-2.6666666666666666666666666667"), "-2.666667");
        assert_eq!(words("0.4132231404958677685950413223"), "0.413223");
        assert_eq!(words("0.4"), "0.40");
        assert_eq!(words("0.0001000"), "0.0001");
    }

    #[test]
    fn a_time_is_written_as_people_say_it() {
        let words = |seconds: &str| duration(seconds.parse().unwrap());
        assert_eq!(words("3905"), "1 h 5 min 5 s");
        assert_eq!(words("3600"), "1 h");
        assert_eq!(words("0"), "0 s");
        assert_eq!(words("12.5"), "12.5 s");
    }
}
