//! Money: exact while it is computed, rounded once, paid in minor units.

use std::{fmt, str::FromStr};

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

/// How a jurisdiction rounds: which way, and how often.
///
/// OCPI leaves rounding to contract and law; the default is commercial rounding of the total, which
/// European consumer law and accounting packages expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    /// Which way an amount between two minor units goes.
    #[serde(default)]
    pub mode: RoundingMode,
    /// What is rounded.
    #[serde(default)]
    pub scope: RoundingScope,
}

/// Which way an amount between two minor units goes. All of them treat a credit as its debit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundingMode {
    /// To the nearest; a tie away from zero.
    #[default]
    HalfUp,
    /// To the nearest; a tie to the even one.
    HalfEven,
    /// Towards zero.
    Down,
}

impl RoundingMode {
    const fn strategy(self) -> RoundingStrategy {
        match self {
            Self::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Self::HalfEven => RoundingStrategy::MidpointNearestEven,
            Self::Down => RoundingStrategy::ToZero,
        }
    }
}

/// What is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundingScope {
    /// The total, once; the lines share it out.
    #[default]
    Total,
    /// Every line; the total is their sum.
    Line,
}

/// Why an amount could not be computed. Never a zero instead: no price means no invoice. It is as
/// small as it is so that an amount or an error is no bigger than an amount, and never on the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The arithmetic left the representable range, so its input was not a real session.
    #[error("money arithmetic overflowed")]
    Overflow,
    /// Two currencies met in one sum.
    #[error("cannot combine {left} with {right}")]
    CurrencyMismatch {
        /// Currency of the left operand.
        left: Currency,
        /// Currency of the right operand.
        right: Currency,
    },
}

/// Not an ISO 4217 code in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an ISO 4217 currency code")]
pub struct UnknownCurrency(pub String);

/// A tax percentage outside 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tax of {0} % is outside 0 to 100")]
pub struct TaxOutOfRange(pub Decimal);

/// An ISO 4217 currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(iso_currency::Currency::EUR);
    /// The US dollar.
    pub const USD: Self = Self(iso_currency::Currency::USD);

    /// Decimal digits of the minor unit: 2 for EUR, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        self.0.exponent().map_or(2, u32::from)
    }

    /// The ISO 4217 code in capitals, as OCPI and accounting spell it.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        iso_currency::Currency::from_code(&code.to_ascii_uppercase())
            .map(Self)
            .ok_or_else(|| UnknownCurrency(code.to_owned()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A tax rate in percent, 0 to 100: 19 means 19 %, as OCPI's `vat` states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct TaxPercent(Decimal);

impl TaxPercent {
    /// No tax.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The percentage as a number: 19 for 19 %.
    #[must_use]
    pub const fn percent(self) -> Decimal {
        self.0
    }
}

impl TryFrom<Decimal> for TaxPercent {
    type Error = TaxOutOfRange;

    fn try_from(percent: Decimal) -> Result<Self, TaxOutOfRange> {
        let valid = (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&percent);
        if valid { Ok(Self(percent)) } else { Err(TaxOutOfRange(percent)) }
    }
}

impl From<TaxPercent> for Decimal {
    fn from(tax: TaxPercent) -> Self {
        tax.0
    }
}

/// An exact amount of money in major units, before rounding. Not payable: see [`Amount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Major units (euros), with whatever decimals the computation has produced.
    pub value: Decimal,
    /// The currency of `value`.
    pub currency: Currency,
}

impl Money {
    /// `value` major units of `currency`.
    #[must_use]
    pub const fn new(value: Decimal, currency: Currency) -> Self {
        Self { value, currency }
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::new(Decimal::ZERO, currency)
    }

    /// The sum of both.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        same_currency(self.currency, other.currency)?;
        let value = self.value.checked_add(other.value).ok_or(MoneyError::Overflow)?;
        Ok(Self { value, ..self })
    }

    /// This amount `factor` times.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub fn checked_mul(self, factor: Decimal) -> Result<Self, MoneyError> {
        let value = self.value.checked_mul(factor).ok_or(MoneyError::Overflow)?;
        Ok(Self { value, ..self })
    }

    /// Rounds to the minor unit of the currency.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`] when the minor units exceed 64 bits.
    pub fn round(self, mode: RoundingMode) -> Result<Amount, MoneyError> {
        self.to_minor(mode.strategy())
    }

    /// Rounds away from zero: for an amount that is to be enough for another, such as a hold. What
    /// is billed is never rounded like this.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`] when the minor units exceed 64 bits.
    pub fn round_up(self) -> Result<Amount, MoneyError> {
        self.to_minor(RoundingStrategy::AwayFromZero)
    }

    /// The minor units, `scale` in a major one, where few digits make whole numbers enough.
    fn few_to_minor(self, scale: i64, strategy: RoundingStrategy) -> Option<i64> {
        let parts = self.value.unpack();
        let high = i32::try_from(parts.mid).ok().filter(|_| parts.hi == 0)?;
        let mantissa = ((i64::from(high) << 32) | i64::from(parts.lo)).checked_mul(scale)?;
        let unit = 10_i64.checked_pow(parts.scale)?;
        let (whole, rest) = (mantissa / unit, mantissa % unit);
        let left = unit - rest;
        let up = match strategy {
            RoundingStrategy::MidpointAwayFromZero => rest >= left,
            RoundingStrategy::MidpointNearestEven => {
                rest > left || (rest == left && whole % 2 == 1)
            }
            RoundingStrategy::ToZero => false,
            RoundingStrategy::AwayFromZero => rest > 0,
            _ => return None,
        };
        let minor = whole.checked_add(i64::from(up))?;
        Some(if parts.negative { -minor } else { minor })
    }

    fn to_minor(self, strategy: RoundingStrategy) -> Result<Amount, MoneyError> {
        let scale = 10_i64.checked_pow(self.currency.minor_digits()).ok_or(MoneyError::Overflow)?;
        if let Some(minor) = self.few_to_minor(scale, strategy) {
            return Ok(Amount { minor, currency: self.currency });
        }
        let minor = self.value.checked_mul(Decimal::from(scale)).ok_or(MoneyError::Overflow)?;
        let minor = minor.round_dp_with_strategy(0, strategy).to_i64();
        Ok(Amount { minor: minor.ok_or(MoneyError::Overflow)?, currency: self.currency })
    }
}

/// A payable amount in minor units (cents for EUR): the only money that leaves the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Amount {
    /// Minor units; negative for a credit.
    pub minor: i64,
    /// The currency `minor` counts in.
    pub currency: Currency,
}

impl Amount {
    /// `minor` minor units of `currency`.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Whether there is nothing to pay.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum of both.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        same_currency(self.currency, other.currency)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// This less `other`.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        same_currency(self.currency, other.currency)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// The smaller of both.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`].
    pub fn min(self, other: Self) -> Result<Self, MoneyError> {
        same_currency(self.currency, other.currency)?;
        Ok(Self { minor: self.minor.min(other.minor), ..self })
    }

    /// The same amount in major units, exact.
    #[must_use]
    pub fn to_money(self) -> Money {
        Money::new(Decimal::new(self.minor, self.currency.minor_digits()), self.currency)
    }
}

impl fmt::Display for Amount {
    /// Major units with all minor digits and the code: `12.50 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_money().value, self.currency)
    }
}

fn same_currency(left: Currency, right: Currency) -> Result<(), MoneyError> {
    if left == right { Ok(()) } else { Err(MoneyError::CurrencyMismatch { left, right }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(value: &str, code: &str) -> Money {
        Money::new(value.parse().unwrap(), code.parse().unwrap())
    }

    #[test]
    fn ties_round_away_from_zero_at_the_minor_unit_of_each_currency() {
        let cases = [
            ("0.005", "EUR", 1),
            ("-0.005", "EUR", -1),
            ("10.8160", "EUR", 1082),
            ("100.5", "JPY", 101),
            ("1.0005", "KWD", 1001),
        ];
        for (value, code, minor) in cases {
            let rounded = money(value, code).round(RoundingMode::HalfUp).unwrap();
            assert_eq!(rounded.minor, minor, "{value} {code}");
        }
    }

    #[test]
    fn a_tie_goes_where_the_mode_says_and_a_credit_like_its_debit() {
        let cases = [("0.015", 2, 2, 1), ("0.025", 3, 2, 2), ("0.029", 3, 3, 2)];
        for (value, up, even, down) in cases {
            for (mode, minor) in [
                (RoundingMode::HalfUp, up),
                (RoundingMode::HalfEven, even),
                (RoundingMode::Down, down),
            ] {
                let round = |value: &str| money(value, "EUR").round(mode).unwrap().minor;
                assert_eq!(round(value), minor, "{value} {mode:?}");
                assert_eq!(round(&format!("-{value}")), -minor, "-{value} {mode:?}");
            }
        }
    }

    #[test]
    fn what_is_to_be_enough_is_rounded_up() {
        for (value, minor) in [("10.001", 1001), ("10.00", 1000), ("-0.001", -1)] {
            assert_eq!(money(value, "EUR").round_up().unwrap().minor, minor, "{value}");
        }
        assert_eq!(money("100.1", "JPY").round_up().unwrap().minor, 101);
    }

    #[test]
    fn currencies_do_not_mix() {
        let mixed = Amount::new(1, Currency::EUR).checked_add(Amount::new(1, Currency::USD));
        assert!(matches!(mixed, Err(MoneyError::CurrencyMismatch { .. })));
    }

    #[test]
    fn an_overflow_is_an_error_and_never_a_zero() {
        assert_eq!(
            Money::new(Decimal::MAX, Currency::EUR).round(RoundingMode::HalfUp),
            Err(MoneyError::Overflow)
        );
        assert_eq!(
            Amount::new(i64::MAX, Currency::EUR).checked_add(Amount::new(1, Currency::EUR)),
            Err(MoneyError::Overflow)
        );
    }

    #[test]
    fn amounts_print_all_their_minor_digits() {
        assert_eq!(Amount::new(1250, Currency::EUR).to_string(), "12.50 EUR");
        assert_eq!(Amount::new(-5, Currency::EUR).to_string(), "-0.05 EUR");
        assert_eq!(Amount::new(101, "JPY".parse().unwrap()).to_string(), "101 JPY");
    }

    proptest! {
        #[test]
        fn a_payable_amount_survives_the_way_through_major_units(minor in -9_000_000_000_i64..9_000_000_000) {
            let amount = Amount::new(minor, Currency::EUR);
            prop_assert_eq!(amount.to_money().round(RoundingMode::Down).unwrap(), amount);
        }
    }
}
