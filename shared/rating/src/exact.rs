//! Exact arithmetic: nothing is rounded here, and whatever does not fit is an error.

use quantities::MoneyError;
use rust_decimal::Decimal;

/// Wh in a kWh.
pub(crate) const WH_PER_KWH: Decimal = Decimal::ONE_THOUSAND;
/// Milliseconds in an hour.
pub(crate) const MS_PER_HOUR: i64 = 3_600_000;

/// One by a hundred.
const HUNDREDTH: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// An amount in 3600ths of the major unit. A price per hour times seconds, and a price per kWh
/// times Wh, are whole multiples of it, so sums of them have no recurring decimals to lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Exact(Decimal);

impl Exact {
    pub(crate) const ZERO: Self = Self(Decimal::ZERO);

    /// `price` per hour for `ms` milliseconds.
    pub(crate) fn for_time(price: Decimal, ms: i64) -> Result<Self, MoneyError> {
        mul(price, Decimal::new(ms, 3)).map(Self)
    }

    /// `price` per kWh for `wh` watt-hours.
    pub(crate) fn for_energy(price: Decimal, wh: Decimal) -> Result<Self, MoneyError> {
        mul(mul(price, wh)?, Decimal::new(36, 1)).map(Self)
    }

    /// `price` once.
    pub(crate) fn for_once(price: Decimal) -> Result<Self, MoneyError> {
        mul(price, Decimal::from(3600)).map(Self)
    }

    /// This with `percent` added.
    pub(crate) fn plus_percent(self, percent: Decimal) -> Result<Self, MoneyError> {
        let hundredths = add(Decimal::ONE_HUNDRED, percent)?;
        mul(self.0, mul(hundredths, HUNDREDTH)?).map(Self)
    }

    /// What gives this with `percent` added; exact to the digits that a decimal has.
    pub(crate) fn less_percent(self, percent: Decimal) -> Result<Self, MoneyError> {
        let hundredths = add(Decimal::ONE_HUNDRED, percent)?;
        let parts = mul(self.0, Decimal::ONE_HUNDRED)?;
        parts.checked_div(hundredths).map(Self).ok_or(MoneyError::Overflow)
    }

    /// This times `numerator` by `denominator`.
    pub(crate) fn scaled(self, numerator: Self, denominator: Self) -> Result<Self, MoneyError> {
        self.times(numerator.0, denominator.0)
    }

    /// This times `numerator` by `denominator`, both plain numbers.
    pub(crate) fn times(
        self,
        numerator: Decimal,
        denominator: Decimal,
    ) -> Result<Self, MoneyError> {
        let product = mul(self.0, numerator)?;
        product.checked_div(denominator).map(Self).ok_or(MoneyError::Overflow)
    }

    pub(crate) fn plus(self, other: Self) -> Result<Self, MoneyError> {
        add(self.0, other.0).map(Self)
    }

    pub(crate) fn minus(self, other: Self) -> Result<Self, MoneyError> {
        match aligned(self.0, other.0, i64::checked_sub) {
            Some(difference) => Ok(Self(difference)),
            None => slowly(Decimal::checked_sub, self.0, other.0).map(Self),
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// In major units.
    pub(crate) fn major(self) -> Result<Decimal, MoneyError> {
        match whole_quotient(self.0) {
            Some((mantissa, scale)) => Ok(Decimal::new(mantissa, scale)),
            None => slowly(Decimal::checked_div, self.0, Decimal::from(3600)),
        }
    }

    /// In major units, without zeros at the end.
    pub(crate) fn major_trimmed(self) -> Result<Decimal, MoneyError> {
        match whole_quotient(self.0) {
            Some((mantissa, scale)) => Ok(trimmed(mantissa, scale)),
            None => self.major().map(trim),
        }
    }
}

/// A 3600th of `value`, as mantissa and scale, where that has an end in decimals and few digits, as
/// it has for what was multiplied by 36 before: without a long division.
fn whole_quotient(value: Decimal) -> Option<(i64, u32)> {
    let mantissa = few_digits(value)?;
    let scale = value.scale().checked_add(2).filter(|scale| *scale <= Decimal::MAX_SCALE)?;
    (mantissa % 36 == 0).then_some((mantissa / 36, scale))
}

/// `value` by a thousand.
pub(crate) fn thousandth(value: Decimal) -> Result<Decimal, MoneyError> {
    let mut thousandth = value;
    // More decimals do the same as a division, as long as there is room for them.
    match thousandth.set_scale(value.scale() + 3) {
        Ok(()) => Ok(thousandth),
        Err(_) => value.checked_div(Decimal::ONE_THOUSAND).ok_or(MoneyError::Overflow),
    }
}

/// [`Decimal::normalize`], quicker where there are few digits.
pub(crate) fn trim(value: Decimal) -> Decimal {
    match few_digits(value) {
        Some(mantissa) => trimmed(mantissa, value.scale()),
        None => value.normalize(),
    }
}

/// `mantissa` with `scale` decimals, of which those that are 0 at the end are left out.
pub(crate) fn trimmed(mantissa: i64, scale: u32) -> Decimal {
    let (mantissa, scale) = without_zeros(mantissa, scale);
    Decimal::new(mantissa, scale)
}

/// How many decimals `value` has, those that are 0 at the end aside.
pub(crate) fn decimals(value: Decimal) -> u32 {
    match few_digits(value) {
        Some(mantissa) => without_zeros(mantissa, value.scale()).1,
        None => value.normalize().scale(),
    }
}

fn without_zeros(mut mantissa: i64, mut scale: u32) -> (i64, u32) {
    if mantissa == 0 {
        return (0, 0);
    }
    while scale >= 4 && mantissa % 10_000 == 0 {
        mantissa /= 10_000;
        scale -= 4;
    }
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    (mantissa, scale)
}

/// The mantissa of `value` where it has few digits, which is the usual case and the quick one.
pub(crate) fn few_digits(value: Decimal) -> Option<i64> {
    let parts = value.unpack();
    let high = i32::try_from(parts.mid).ok().filter(|_| parts.hi == 0)?;
    let mantissa = (i64::from(high) << 32) | i64::from(parts.lo);
    Some(if parts.negative { -mantissa } else { mantissa })
}

#[inline]
fn add(left: Decimal, right: Decimal) -> Result<Decimal, MoneyError> {
    match aligned(left, right, i64::checked_add) {
        Some(sum) => Ok(sum),
        None => slowly(Decimal::checked_add, left, right),
    }
}

/// What `compute` makes of numbers of many digits. Never inlined, so that what has few digits is.
#[cold]
#[inline(never)]
fn slowly(
    compute: fn(Decimal, Decimal) -> Option<Decimal>,
    left: Decimal,
    right: Decimal,
) -> Result<Decimal, MoneyError> {
    compute(left, right).ok_or(MoneyError::Overflow)
}

/// The sum or difference of two decimals with few digits. `None`: it has many, or is nothing.
#[inline]
fn aligned(
    left: Decimal,
    right: Decimal,
    combine: impl Fn(i64, i64) -> Option<i64>,
) -> Option<Decimal> {
    let scale = left.scale().max(right.scale());
    let with_scale = |value: Decimal| {
        let mantissa = few_digits(value)?;
        let missing = scale - value.scale();
        if missing == 0 { Some(mantissa) } else { mantissa.checked_mul(power_of_ten(missing)?) }
    };
    let mantissa = combine(with_scale(left)?, with_scale(right)?)?;
    (mantissa != 0).then(|| Decimal::new(mantissa, scale))
}

fn mul(left: Decimal, right: Decimal) -> Result<Decimal, MoneyError> {
    let product = few_digits(left).zip(few_digits(right));
    let product = product.and_then(|(left, right)| left.checked_mul(right));
    let scale = left.scale() + right.scale();
    match product {
        Some(product) if product != 0 && scale <= Decimal::MAX_SCALE => {
            Ok(Decimal::new(product, scale))
        }
        _ => slowly(Decimal::checked_mul, left, right),
    }
}

/// Millionths of a Wh in a tenth of a Wh: OCPI numbers have four decimals of a kWh.
const UWH_PER_TENTH: i64 = 100_000;
/// Decimals of a Wh in a count of millionths.
pub(crate) const UWH_DECIMALS: u32 = 6;

/// `value` in whole units of 10^-`decimals`, half to even. `None`: it does not fit.
pub(crate) fn scaled_integer(value: Decimal, decimals: u32) -> Option<i64> {
    let value = if value.scale() > decimals { value.round_dp(decimals) } else { value };
    let factor = power_of_ten(decimals.checked_sub(value.scale())?)?;
    few_digits(value)?.checked_mul(factor)
}

/// `hours` in milliseconds, half to even. `None`: they do not fit.
pub(crate) fn hours_to_ms(hours: Decimal) -> Option<i64> {
    // An hour is 36 times 100,000 ms: up to five decimals are whole ones.
    if let Some(unit) = 5_u32.checked_sub(hours.scale()).and_then(power_of_ten)
        && let Some(hours) = few_digits(hours)
    {
        return hours.checked_mul(36 * unit);
    }
    let ms = hours.mantissa().checked_mul(MS_PER_HOUR.into())?;
    i64::try_from(half_even(ms, 10_i128.checked_pow(hours.scale())?)?).ok()
}

/// 10 to the power of `exponent`, where it fits.
pub(crate) fn power_of_ten(exponent: u32) -> Option<i64> {
    const POWERS: [i64; 19] = {
        let mut powers = [1; 19];
        let mut exponent = 1;
        while exponent < powers.len() {
            powers[exponent] = powers[exponent - 1] * 10;
            exponent += 1;
        }
        powers
    };
    POWERS.get(usize::try_from(exponent).ok()?).copied()
}

/// `wh` in millionths of a Wh: finer than any meter, and coarse enough for a CDR's numbers. `None`:
/// it is more than a meter shows.
pub(crate) fn micro_wh(wh: Decimal) -> Option<i64> {
    scaled_integer(wh, UWH_DECIMALS)
}

/// Millionths of a Wh as Wh.
pub(crate) fn to_wh(uwh: i64) -> Decimal {
    Decimal::new(uwh, UWH_DECIMALS)
}

/// A reading of the session's own energy: 0 at its start. Energy is counted in millionths of a Wh
/// while a course is walked along, for whole numbers are exact and quick; see [`micro_wh`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) at_ms: i64,
    pub(crate) uwh: i64,
}

/// The energy at `at_ms` on the straight line between two readings, rounded down. It never leaves
/// the two readings.
pub(crate) fn interpolate(from: Reading, to: Reading, at_ms: i64) -> i64 {
    if at_ms <= from.at_ms {
        return from.uwh;
    }
    if at_ms >= to.at_ms {
        return to.uwh;
    }
    // Differences and products of two i64 fit an i128.
    let span = i128::from(to.at_ms) - i128::from(from.at_ms);
    let part = i128::from(at_ms) - i128::from(from.at_ms);
    let risen = (i128::from(to.uwh) - i128::from(from.uwh)) * part / span;
    i64::try_from(i128::from(from.uwh) + risen).unwrap_or(to.uwh)
}

/// The whole tenths of a Wh in `uwh`: what of it can be billed at a boundary.
pub(crate) const fn tenths(uwh: i64) -> i64 {
    uwh - uwh % UWH_PER_TENTH
}

/// When the straight line between two readings reaches `uwh`, to the millisecond.
pub(crate) fn reaches(from: Reading, to: Reading, uwh: i64) -> i64 {
    let span = i128::from(to.at_ms) - i128::from(from.at_ms);
    let part = i128::from(uwh) - i128::from(from.uwh);
    let rise = i128::from(to.uwh) - i128::from(from.uwh);
    let elapsed = half_even(span * part, rise).unwrap_or(0).clamp(0, span);
    i64::try_from(i128::from(from.at_ms) + elapsed).unwrap_or(to.at_ms)
}

/// The mean power between two readings in kW, to a tenth of a watt: as exact as a CDR can say it.
/// `None`: they are of one moment.
pub(crate) fn power_kw(from: Reading, to: Reading) -> Result<Option<Decimal>, MoneyError> {
    let span = i128::from(to.at_ms) - i128::from(from.at_ms);
    let rise = i128::from(to.uwh) - i128::from(from.uwh);
    // A millionth of a Wh in a millisecond is 3.6 W.
    let Some(tenths_of_w) = half_even(rise * 36, span) else { return Ok(None) };
    let tenths_of_w = i64::try_from(tenths_of_w).map_err(|_| MoneyError::Overflow)?;
    Ok(Some(Decimal::new(tenths_of_w, 4)))
}

/// `numerator` by `denominator`, to the nearest whole number, half to even. `None`: the denominator
/// is not above zero.
fn half_even(numerator: i128, denominator: i128) -> Option<i128> {
    if denominator <= 0 {
        return None;
    }
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let left = denominator - rest;
    Some(if rest > left || (rest == left && floor % 2 != 0) { floor + 1 } else { floor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_millionths_is_the_decimal_rounded_half_to_even() {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(micro_wh(decimal("12.5")), Some(12_500_000));
        assert_eq!(micro_wh(decimal("0.0000005")), Some(0));
        assert_eq!(micro_wh(decimal("0.0000015")), Some(2));
        assert_eq!(micro_wh(decimal("9223372036854.775807")), Some(i64::MAX));
        assert_eq!(micro_wh(decimal("9223372036854.775808")), None);
        assert_eq!(to_wh(12_500_000), decimal("12.5"));
    }

    #[test]
    fn what_is_quick_is_what_is_slow() {
        for text in ["0", "0.00", "-12.3400", "1200", "79228162514264337593543950335", "0.036"] {
            let value: Decimal = text.parse().unwrap();
            let trimmed = trim(value);
            assert_eq!((trimmed.mantissa(), trimmed.scale()), {
                let slow = value.normalize();
                (slow.mantissa(), slow.scale())
            });
            assert_eq!(thousandth(value).unwrap(), value / Decimal::ONE_THOUSAND, "{text}");
            assert_eq!(Exact(value).major().unwrap(), value / Decimal::from(3600), "{text}");
        }
        let tiny = Decimal::new(36, 28);
        assert_eq!(Exact(tiny).major().unwrap(), tiny / Decimal::from(3600));
        assert_eq!(thousandth(tiny).unwrap(), tiny / Decimal::ONE_THOUSAND);
        for (hours, ms) in [("0.6667", 2_400_120), ("0.0000001", 0), ("0.00000014", 1)] {
            assert_eq!(hours_to_ms(hours.parse().unwrap()), Some(ms), "{hours}");
        }
        assert_eq!(hours_to_ms(Decimal::MAX), None);
    }

    #[test]
    fn quotients_are_rounded_half_to_even() {
        let cases =
            [(7, 2, 4), (5, 2, 2), (-5, 2, -2), (-7, 2, -4), (8, 3, 3), (-8, 3, -3), (6, 3, 2)];
        for (numerator, denominator, expected) in cases {
            assert_eq!(half_even(numerator, denominator), Some(expected));
        }
        assert_eq!(half_even(1, 0), None);
    }

    #[test]
    fn the_line_between_two_readings_is_exact() {
        let from = Reading { at_ms: 1_000, uwh: 2_000_000 };
        let to = Reading { at_ms: 4_000, uwh: 3_000_000 };
        assert_eq!(interpolate(from, to, 2_000), 2_333_333);
        assert_eq!(interpolate(from, to, 9_000), 3_000_000);
        assert_eq!(reaches(from, to, 2_500_000), 2_500);
        // A Wh in three seconds.
        assert_eq!(power_kw(from, to), Ok(Some(Decimal::new(12, 1))));
        assert_eq!(power_kw(from, from), Ok(None));
        assert_eq!(tenths(2_333_333), 2_300_000);
    }
}
