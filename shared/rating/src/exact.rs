//! Exact arithmetic: nothing is rounded here, and whatever does not fit is an error.

use std::cmp::Ordering;

use quantities::MoneyError;
use rust_decimal::Decimal;

use crate::RatingError;

/// Wh in a kWh.
pub(crate) const WH_PER_KWH: Decimal = Decimal::ONE_THOUSAND;
/// Milliseconds in an hour.
pub(crate) const MS_PER_HOUR: i64 = 3_600_000;

/// What does not fit a [`Decimal`]: [`MoneyError::Overflow`] without anything to carry about, for it
/// is asked for at every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow;

impl From<Overflow> for MoneyError {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}

impl From<Overflow> for RatingError {
    fn from(overflow: Overflow) -> Self {
        Self::Money(overflow.into())
    }
}

/// A decimal, kept as a whole number while it has few digits: that is the usual case, and the quick
/// one. Its arithmetic is that of [`Decimal`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    /// So many units of the last one of so many decimals, which are [`Decimal::MAX_SCALE`] at most.
    Few(i64, u32),
    /// More digits than that.
    Many(Decimal),
}

impl From<Decimal> for Number {
    #[inline]
    fn from(value: Decimal) -> Self {
        few_digits(value).map_or(Self::Many(value), |units| Self::Few(units, value.scale()))
    }
}

impl From<Number> for Decimal {
    #[inline]
    fn from(number: Number) -> Self {
        match number {
            Number::Few(units, decimals) => Self::new(units, decimals),
            Number::Many(value) => value,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match aligned(*self, *other) {
            Some((left, right, _)) => left.cmp(&right),
            None => Decimal::from(*self).cmp(&Decimal::from(*other)),
        }
    }
}

impl Number {
    pub(crate) const ZERO: Self = Self::Few(0, 0);

    #[inline]
    pub(crate) fn plus(self, other: Self) -> Result<Self, Overflow> {
        let sum = aligned(self, other);
        match sum.and_then(|(left, right, decimals)| Some((left.checked_add(right)?, decimals))) {
            Some((sum, decimals)) => Ok(Self::Few(sum, decimals)),
            None => slowly(Decimal::checked_add, self, other),
        }
    }

    #[inline]
    fn minus(self, other: Self) -> Result<Self, Overflow> {
        let rest = aligned(self, other);
        match rest.and_then(|(left, right, decimals)| Some((left.checked_sub(right)?, decimals))) {
            Some((rest, decimals)) => Ok(Self::Few(rest, decimals)),
            None => slowly(Decimal::checked_sub, self, other),
        }
    }

    #[inline]
    fn times(self, other: Self) -> Result<Self, Overflow> {
        if let (Self::Few(left, of_left), Self::Few(right, of_right)) = (self, other)
            && let Some(product) = left.checked_mul(right)
            && of_left + of_right <= Decimal::MAX_SCALE
        {
            return Ok(Self::Few(product, of_left + of_right));
        }
        slowly(Decimal::checked_mul, self, other)
    }

    /// By 10 to the power of `decimals`.
    ///
    /// # Errors
    ///
    /// [`Overflow`].
    fn shifted(self, decimals: u32) -> Result<Self, Overflow> {
        self.times(Self::Few(1, decimals))
    }

    /// By a thousand.
    ///
    /// # Errors
    ///
    /// [`Overflow`].
    pub(crate) fn thousandth(self) -> Result<Self, Overflow> {
        self.shifted(3)
    }

    pub(crate) const fn is_zero(self) -> bool {
        match self {
            Self::Few(units, _) => units == 0,
            Self::Many(value) => value.is_zero(),
        }
    }

    /// Without zeros at the end: [`Decimal::normalize`].
    pub(crate) fn trimmed(self) -> Self {
        match self {
            Self::Few(units, decimals) => {
                let (units, decimals) = without_zeros(units, decimals);
                Self::Few(units, decimals)
            }
            Self::Many(value) => value.normalize().into(),
        }
    }
}

/// Two numbers of few digits in units of the same decimal, and which one it is.
#[inline]
fn aligned(left: Number, right: Number) -> Option<(i64, i64, u32)> {
    let (Number::Few(left, of_left), Number::Few(right, of_right)) = (left, right) else {
        return None;
    };
    match of_left.cmp(&of_right) {
        Ordering::Equal => Some((left, right, of_left)),
        Ordering::Less => {
            Some((left.checked_mul(power_of_ten(of_right - of_left)?)?, right, of_right))
        }
        Ordering::Greater => {
            Some((left, right.checked_mul(power_of_ten(of_left - of_right)?)?, of_left))
        }
    }
}

/// What `compute` makes of numbers of many digits. Never inlined, so that what has few digits is.
#[cold]
#[inline(never)]
fn slowly(
    compute: fn(Decimal, Decimal) -> Option<Decimal>,
    left: Number,
    right: Number,
) -> Result<Number, Overflow> {
    compute(left.into(), right.into()).map(Number::from).ok_or(Overflow)
}

/// An amount in 3600ths of the major unit. A price per hour times seconds, and a price per kWh
/// times Wh, are whole multiples of it, so sums of them have no recurring decimals to lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exact(Number);

impl Exact {
    pub(crate) const ZERO: Self = Self(Number::ZERO);

    /// `price` per hour for `ms` milliseconds.
    pub(crate) fn for_time(price: Decimal, ms: Number) -> Result<Self, Overflow> {
        Number::from(price).times(ms.thousandth()?).map(Self)
    }

    /// `price` per kWh for `wh` watt-hours.
    pub(crate) fn for_energy(price: Decimal, wh: Number) -> Result<Self, Overflow> {
        Number::from(price).times(wh)?.times(Number::Few(36, 1)).map(Self)
    }

    /// `price` once.
    pub(crate) fn for_once(price: Decimal) -> Result<Self, Overflow> {
        Number::from(price).times(Number::Few(3600, 0)).map(Self)
    }

    /// This with `percent` added.
    pub(crate) fn plus_percent(self, percent: Decimal) -> Result<Self, Overflow> {
        let hundredths = Number::Few(100, 0).plus(percent.into())?;
        self.0.times(hundredths.shifted(2)?).map(Self)
    }

    /// What gives this with `percent` added; exact to the digits that a decimal has.
    pub(crate) fn less_percent(self, percent: Decimal) -> Result<Self, Overflow> {
        let hundredths = Number::Few(100, 0).plus(percent.into())?;
        let parts = self.0.times(Number::Few(100, 0))?;
        slowly(Decimal::checked_div, parts, hundredths).map(Self)
    }

    /// This times `numerator` by `denominator`.
    pub(crate) fn scaled(self, numerator: Self, denominator: Self) -> Result<Self, Overflow> {
        slowly(Decimal::checked_div, self.0.times(numerator.0)?, denominator.0).map(Self)
    }

    /// This times `numerator` by `denominator`, both plain numbers.
    pub(crate) fn times(self, numerator: Decimal, denominator: Decimal) -> Result<Self, Overflow> {
        self.scaled(Self(numerator.into()), Self(denominator.into()))
    }

    #[inline]
    pub(crate) fn plus(self, other: Self) -> Result<Self, Overflow> {
        self.0.plus(other.0).map(Self)
    }

    #[inline]
    pub(crate) fn minus(self, other: Self) -> Result<Self, Overflow> {
        self.0.minus(other.0).map(Self)
    }

    pub(crate) const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// In major units.
    #[inline]
    pub(crate) fn major(self) -> Result<Number, Overflow> {
        // What was multiplied by 36 before has an end in decimals: no long division.
        match self.0 {
            Number::Few(units, decimals)
                if units % 36 == 0 && decimals + 2 <= Decimal::MAX_SCALE =>
            {
                Ok(Number::Few(units / 36, decimals + 2))
            }
            number => slowly(Decimal::checked_div, number, Number::Few(3600, 0)),
        }
    }
}

/// `units` of the last one of so many `decimals`, of which those that are 0 at the end are left out.
pub(crate) fn trimmed(units: i64, decimals: u32) -> Decimal {
    Number::Few(units, decimals).trimmed().into()
}

/// How many decimals `value` has, those that are 0 at the end aside.
#[inline]
pub(crate) fn decimals(value: Decimal) -> u32 {
    match few_digits(value) {
        Some(mantissa) => without_zeros(mantissa, value.scale()).1,
        None => value.normalize().scale(),
    }
}

#[inline]
fn without_zeros(mut mantissa: i64, mut scale: u32) -> (i64, u32) {
    if mantissa == 0 {
        return (0, 0);
    }
    // A number with so many zeros at the end has at least as many factors of two.
    let mut most = mantissa.trailing_zeros().min(scale);
    for (zeros, power) in
        [(16, 10_000_000_000_000_000), (8, 100_000_000), (4, 10_000), (2, 100), (1, 10)]
    {
        if most >= zeros && mantissa % power == 0 {
            mantissa /= power;
            (scale, most) = (scale - zeros, most - zeros);
        }
    }
    (mantissa, scale)
}

/// The mantissa of `value` where it has few digits.
#[inline]
pub(crate) fn few_digits(value: Decimal) -> Option<i64> {
    let parts = value.unpack();
    let high = i32::try_from(parts.mid).ok().filter(|_| parts.hi == 0)?;
    let mantissa = (i64::from(high) << 32) | i64::from(parts.lo);
    Some(if parts.negative { -mantissa } else { mantissa })
}

/// Millionths of a Wh in a tenth of a Wh: OCPI numbers have four decimals of a kWh.
const UWH_PER_TENTH: i64 = 100_000;
/// Decimals of a Wh in a count of millionths.
pub(crate) const UWH_DECIMALS: u32 = 6;

/// `value` in whole units of 10^-`decimals`, half to even. `None`: it does not fit.
#[inline]
pub(crate) fn scaled_integer(value: Decimal, decimals: u32) -> Option<i64> {
    let value = if value.scale() > decimals { value.round_dp(decimals) } else { value };
    let factor = power_of_ten(decimals.checked_sub(value.scale())?)?;
    few_digits(value)?.checked_mul(factor)
}

/// `hours` in milliseconds, half to even. `None`: they do not fit.
#[inline]
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
#[inline]
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
            let trimmed = Decimal::from(Number::from(value).trimmed());
            assert_eq!((trimmed.mantissa(), trimmed.scale()), {
                let slow = value.normalize();
                (slow.mantissa(), slow.scale())
            });
            let thousandth = Decimal::from(Number::from(value).thousandth().unwrap());
            assert_eq!(thousandth, value / Decimal::ONE_THOUSAND, "{text}");
            let major = Decimal::from(Exact(value.into()).major().unwrap());
            assert_eq!(major, value / Decimal::from(3600), "{text}");
        }
        let tiny = Decimal::new(36, 28);
        let major = Decimal::from(Exact(tiny.into()).major().unwrap());
        assert_eq!(major, tiny / Decimal::from(3600));
        let thousandth = Decimal::from(Number::from(tiny).thousandth().unwrap());
        assert_eq!(thousandth, tiny / Decimal::ONE_THOUSAND);
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
