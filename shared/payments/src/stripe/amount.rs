//! Amounts as Stripe counts them, which is not always in ISO 4217's minor units.
//!
//! Invariant: no amount goes to Stripe or comes from there but as a [`StripeAmount`].
//! <https://docs.stripe.com/currencies>

#[cfg(test)]
mod tests;

use miniserde::de::Visitor;
use quantities::{Amount, Currency};
use serde::{Deserialize, Serialize};

/// "Zero-decimal currencies": counted in whole ones.
const WHOLE: [&str; 15] = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
/// "Special cases": counted in hundredths, and only whole ones are moved.
const WHOLE_IN_HUNDREDTHS: [&str; 2] = ["ISK", "UGX"];
/// "Three-decimal currencies": counted in thousandths, and the last digit must be 0.
const THOUSANDTHS: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// An amount that one side can count and the other cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Ours: finer than what Stripe moves in that currency.
    #[error("Stripe cannot move exactly {0}")]
    TooFine(Amount),
    /// Stripe's: no whole number of minor units.
    #[error("{units} of Stripe's units are no whole amount of {currency}")]
    Fraction {
        /// As Stripe counts.
        units: i64,
        /// In this currency.
        currency: Currency,
    },
}

/// Whether every amount of `currency` can be charged at Stripe as it was billed.
#[must_use]
pub fn charges_exactly(currency: Currency) -> bool {
    Step::of(currency).minor == 1
}

/// An amount in Stripe's units of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct StripeAmount(i64);

impl StripeAmount {
    /// `amount` as Stripe counts it.
    ///
    /// # Errors
    ///
    /// [`AmountError::TooFine`]: never rounded, for what is charged is what was billed.
    pub(crate) fn of(amount: Amount) -> Result<Self, AmountError> {
        let step = Step::of(amount.currency);
        let steps = (amount.minor % step.minor == 0).then_some(amount.minor / step.minor);
        let units = steps.and_then(|steps| steps.checked_mul(step.units));
        units.map(Self).ok_or(AmountError::TooFine(amount))
    }

    /// The same amount as we count it.
    ///
    /// # Errors
    ///
    /// [`AmountError::Fraction`].
    pub(crate) fn exactly(self, currency: Currency) -> Result<Amount, AmountError> {
        let step = Step::of(currency);
        let parts = self.0.checked_mul(step.minor).filter(|parts| parts % step.units == 0);
        let fraction = AmountError::Fraction { units: self.0, currency };
        parts.map(|parts| Amount::new(parts / step.units, currency)).ok_or(fraction)
    }

    /// The most that can be moved without exceeding this: for a limit that Stripe states.
    pub(crate) fn at_most(self, currency: Currency) -> Result<Amount, AmountError> {
        let step = Step::of(currency);
        Self(self.0 - self.0.rem_euclid(step.units)).exactly(currency)
    }

    /// Whether money comes in.
    pub(crate) const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether money goes out.
    pub(crate) const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

/// The parameter `currency`: "all lowercase letters".
pub(super) fn parameter(currency: Currency) -> String {
    currency.code().to_ascii_lowercase()
}

/// The least that Stripe moves of a currency, as both sides count it.
struct Step {
    units: i64,
    minor: i64,
}

impl Step {
    fn of(currency: Currency) -> Self {
        let code = currency.code();
        // "Currencies are two-decimal currencies unless otherwise specified."
        let (units, in_one) = match code {
            _ if WHOLE.contains(&code) => (1, 1),
            _ if WHOLE_IN_HUNDREDTHS.contains(&code) => (100, 100),
            _ if THOUSANDTHS.contains(&code) => (10, 1000),
            _ => (1, 100),
        };
        let minor = units * 10_i64.pow(currency.minor_digits());
        // Powers of ten: one divides the other.
        if minor >= in_one {
            Self { units, minor: minor / in_one }
        } else {
            Self { units: units * (in_one / minor), minor: 1 }
        }
    }
}

miniserde::make_place!(Place);

impl Visitor for Place<StripeAmount> {
    fn negative(&mut self, units: i64) -> miniserde::Result<()> {
        self.out = Some(StripeAmount(units));
        Ok(())
    }

    fn nonnegative(&mut self, units: u64) -> miniserde::Result<()> {
        self.negative(i64::try_from(units).map_err(|_| miniserde::Error)?)
    }
}

impl miniserde::Deserialize for StripeAmount {
    fn begin(out: &mut Option<Self>) -> &mut dyn Visitor {
        Place::new(out)
    }
}
