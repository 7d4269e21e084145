//! Energy and power as meters report them.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Why a quantity could not be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The result is outside the representable range.
    #[error("energy arithmetic overflowed")]
    Overflow,
}

/// Electrical energy in watt-hours; a register reading or a difference of two.
///
/// A decimal, because real meters report fractions (`1234.5 Wh`, `0.083 kWh`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WattHours(Decimal);

impl WattHours {
    /// No energy.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// `wh` watt-hours.
    #[must_use]
    pub const fn new(wh: Decimal) -> Self {
        Self(wh)
    }

    /// `kwh` kilowatt-hours.
    ///
    /// # Errors
    ///
    /// [`QuantityError::Overflow`].
    pub fn from_kwh(kwh: Decimal) -> Result<Self, QuantityError> {
        kwh.checked_mul(Decimal::ONE_THOUSAND).map(Self).ok_or(QuantityError::Overflow)
    }

    /// The number of watt-hours.
    #[must_use]
    pub const fn wh(self) -> Decimal {
        self.0
    }

    /// The number of kilowatt-hours, exact.
    #[must_use]
    pub fn kwh(self) -> Decimal {
        (self.0 / Decimal::ONE_THOUSAND).normalize()
    }

    /// The sum of both.
    ///
    /// # Errors
    ///
    /// [`QuantityError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, QuantityError> {
        self.0.checked_add(other.0).map(Self).ok_or(QuantityError::Overflow)
    }

    /// This less `other`; negative when `other` is larger.
    ///
    /// # Errors
    ///
    /// [`QuantityError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, QuantityError> {
        self.0.checked_sub(other.0).map(Self).ok_or(QuantityError::Overflow)
    }
}

impl From<i64> for WattHours {
    fn from(wh: i64) -> Self {
        Self(Decimal::from(wh))
    }
}

impl fmt::Display for WattHours {
    /// In kWh, as people read it: `12.5 kWh`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kWh", self.kwh())
    }
}

/// Electrical power in watts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Power(Decimal);

impl Power {
    /// `watts` watts.
    #[must_use]
    pub const fn new(watts: Decimal) -> Self {
        Self(watts)
    }

    /// The number of watts.
    #[must_use]
    pub const fn watts(self) -> Decimal {
        self.0
    }
}
