//! Exact arithmetic: nothing is rounded here, and whatever does not fit is an error.

use quantities::MoneyError;
use rust_decimal::{Decimal, RoundingStrategy};

/// Wh in a kWh.
pub(crate) const WH_PER_KWH: Decimal = Decimal::ONE_THOUSAND;
/// Milliseconds in an hour.
pub(crate) const MS_PER_HOUR: i64 = 3_600_000;

/// One by a hundred.
const HUNDREDTH: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// Decimals of an interpolated reading in Wh: OCPI numbers have four decimals of a kWh.
const INTERPOLATED_DECIMALS: u32 = 1;

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
        let hundredths = Decimal::ONE_HUNDRED.checked_add(percent).ok_or(MoneyError::Overflow)?;
        mul(self.0, mul(hundredths, HUNDREDTH)?).map(Self)
    }

    /// What gives this with `percent` added; exact to the digits that a decimal has.
    pub(crate) fn less_percent(self, percent: Decimal) -> Result<Self, MoneyError> {
        let hundredths = Decimal::ONE_HUNDRED.checked_add(percent).ok_or(MoneyError::Overflow)?;
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
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::Overflow)
    }

    pub(crate) fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_sub(other.0).map(Self).ok_or(MoneyError::Overflow)
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// In major units.
    pub(crate) fn major(self) -> Result<Decimal, MoneyError> {
        self.0.checked_div(Decimal::from(3600)).ok_or(MoneyError::Overflow)
    }
}

fn mul(left: Decimal, right: Decimal) -> Result<Decimal, MoneyError> {
    left.checked_mul(right).ok_or(MoneyError::Overflow)
}

/// A reading of the session's own energy: 0 at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) at_ms: i64,
    pub(crate) wh: Decimal,
}

/// The energy at `at_ms` on the straight line between two readings, as exact as a decimal can say
/// it. It never leaves the two readings.
pub(crate) fn interpolate(from: Reading, to: Reading, at_ms: i64) -> Result<Decimal, MoneyError> {
    if at_ms <= from.at_ms {
        return Ok(from.wh);
    }
    if at_ms >= to.at_ms {
        return Ok(to.wh);
    }
    let span = Decimal::from(to.at_ms - from.at_ms);
    let part = Decimal::from(at_ms - from.at_ms);
    let rise = to.wh.checked_sub(from.wh).ok_or(MoneyError::Overflow)?;
    let risen = mul(rise, part)?.checked_div(span).ok_or(MoneyError::Overflow)?;
    let wh = from.wh.checked_add(risen).ok_or(MoneyError::Overflow)?;
    Ok(wh.clamp(from.wh, to.wh))
}

/// The whole tenths of `wh`: what of it can be billed at a boundary.
pub(crate) fn tenths(wh: Decimal) -> Decimal {
    wh.round_dp_with_strategy(INTERPOLATED_DECIMALS, RoundingStrategy::ToZero)
}

/// When the straight line between two readings reaches `wh`, to the millisecond.
pub(crate) fn reaches(from: Reading, to: Reading, wh: Decimal) -> Result<i64, MoneyError> {
    use rust_decimal::prelude::ToPrimitive;
    let rise = to.wh.checked_sub(from.wh).ok_or(MoneyError::Overflow)?;
    let part = wh.checked_sub(from.wh).ok_or(MoneyError::Overflow)?;
    let span = Decimal::from(to.at_ms - from.at_ms);
    let elapsed = mul(span, part)?.checked_div(rise).ok_or(MoneyError::Overflow)?;
    let elapsed = elapsed.round().to_i64().ok_or(MoneyError::Overflow)?;
    Ok(from.at_ms + elapsed.clamp(0, to.at_ms - from.at_ms))
}

/// The mean power between two readings in kW, to a tenth of a watt: as exact as a CDR can say it.
pub(crate) fn power_kw(from: Reading, to: Reading) -> Result<Option<Decimal>, MoneyError> {
    let span = Decimal::from(to.at_ms - from.at_ms);
    if span.is_zero() {
        return Ok(None);
    }
    let rise = to.wh.checked_sub(from.wh).ok_or(MoneyError::Overflow)?;
    let power = mul(rise, Decimal::from(3600))?.checked_div(span).ok_or(MoneyError::Overflow)?;
    Ok(Some(power.round_dp(4)))
}
