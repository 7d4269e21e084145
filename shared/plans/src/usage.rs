//! What an account has used: the basis of its allowances and its spending cap.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use chrono_tz::Tz;
use ocpi::TariffDimensionType;
use quantities::{Amount, Currency, MoneyError};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Allowance, Period, SpendingCap, local::first_moment};

/// Milliseconds in a minute.
const MS_PER_MINUTE: Decimal = Decimal::from_parts(60_000, 0, 0, false, 0);

/// A calendar month. A session belongs to the month in which it starts, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i32,
    month: u32,
}

/// Why a text is no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a month such as 2026-03")]
pub struct MonthError(String);

impl Month {
    /// The month that `at` is in, on the calendars of `zone`.
    #[must_use]
    pub fn of(at: DateTime<Utc>, zone: Tz) -> Self {
        let local = at.with_timezone(&zone);
        Self { year: local.year(), month: local.month() }
    }

    /// When it ends on the calendars of `zone`: the first moment of the next month, which is not
    /// midnight where the clocks skip that. `None` beyond the years that can be told.
    #[must_use]
    pub fn end(self, zone: Tz) -> Option<DateTime<Utc>> {
        let first = NaiveDate::from_ymd_opt(self.year, self.month, 1)?;
        first_moment(first.checked_add_months(Months::new(1))?, zone)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let first = format!("{text}-01");
        let first = NaiveDate::parse_from_str(&first, "%Y-%m-%d").ok();
        let month = first.map(|date| Self { year: date.year(), month: date.month() });
        // Only the one spelling: months are keys.
        month.filter(|month| month.to_string() == text).ok_or_else(|| MonthError(text.to_owned()))
    }
}

impl TryFrom<String> for Month {
    type Error = MonthError;

    fn try_from(text: String) -> Result<Self, MonthError> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

/// What an account used in a calendar month, or what one session adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The month.
    pub month: Month,
    /// Energy, in Wh.
    pub energy_wh: Decimal,
    /// Time charging, in milliseconds.
    pub time_ms: i64,
    /// Time idle, in milliseconds.
    pub parking_ms: i64,
    /// What was to be paid, taxes included.
    pub spent: Amount,
}

/// Why usage could not be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// The usage of two months met in one sum.
    #[error("cannot combine the usage of {left} with that of {right}")]
    MonthMismatch {
        /// The month of the left operand.
        left: Month,
        /// The month of the right operand.
        right: Month,
    },
    /// Energy or time left the representable range.
    #[error("the usage of {0} overflowed")]
    Overflow(Month),
    /// An allowance of something that is not used up.
    #[error("there is no allowance of {}", .0.as_str())]
    NoQuantity(TariffDimensionType),
    /// What was spent.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl Usage {
    /// Nothing yet, in `month`.
    #[must_use]
    pub const fn none(month: Month, currency: Currency) -> Self {
        let spent = Amount::zero(currency);
        Self { month, energy_wh: Decimal::ZERO, time_ms: 0, parking_ms: 0, spent }
    }

    /// The sum of both.
    ///
    /// # Errors
    ///
    /// [`UsageError`]: months or currencies differ, or the sum overflows.
    pub fn checked_add(&self, other: &Self) -> Result<Self, UsageError> {
        let (left, right) = (self.month, other.month);
        if left != right {
            return Err(UsageError::MonthMismatch { left, right });
        }
        let overflow = UsageError::Overflow(left);
        let energy_wh = self.energy_wh.checked_add(other.energy_wh);
        Ok(Self {
            month: left,
            energy_wh: energy_wh.ok_or_else(|| overflow.clone())?,
            time_ms: self.time_ms.checked_add(other.time_ms).ok_or_else(|| overflow.clone())?,
            parking_ms: self.parking_ms.checked_add(other.parking_ms).ok_or(overflow)?,
            spent: self.spent.checked_add(other.spent)?,
        })
    }
}

impl Allowance {
    /// What a session may still have for nothing after `used`: Wh of energy, milliseconds of time.
    /// Never negative: what was used above an allowance was paid for.
    ///
    /// # Errors
    ///
    /// [`UsageError::NoQuantity`] for `FLAT`, [`UsageError::Overflow`].
    pub fn left(&self, used: &Usage) -> Result<Decimal, UsageError> {
        let (unit, used_up) = match self.dimension {
            TariffDimensionType::Energy => (Decimal::ONE_THOUSAND, used.energy_wh),
            TariffDimensionType::Time => (MS_PER_MINUTE, Decimal::from(used.time_ms)),
            TariffDimensionType::ParkingTime => (MS_PER_MINUTE, Decimal::from(used.parking_ms)),
            TariffDimensionType::Flat => return Err(UsageError::NoQuantity(self.dimension)),
        };
        let overflow = || UsageError::Overflow(used.month);
        let given = self.quantity.checked_mul(unit).ok_or_else(overflow)?;
        let left = match self.per {
            Period::Session => given,
            Period::Month => given.checked_sub(used_up).ok_or_else(overflow)?,
        };
        Ok(left.max(Decimal::ZERO))
    }
}

impl SpendingCap {
    /// What an account that has spent `used` may still spend in the month; never negative.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn left(&self, used: &Usage) -> Result<Amount, MoneyError> {
        let left = self.amount.round_up()?.checked_sub(used.spent)?;
        Ok(Amount::new(left.minor.max(0), left.currency))
    }

    /// Whether an account that has spent `used` may start no further session in the month.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`].
    pub fn is_reached(&self, used: &Usage) -> Result<bool, MoneyError> {
        let spent = used.spent.to_money();
        if spent.currency != self.amount.currency {
            let (left, right) = (self.amount.currency, spent.currency);
            return Err(MoneyError::CurrencyMismatch { left, right });
        }
        Ok(spent.value >= self.amount.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quantities::Money;

    use super::*;

    const MARCH: Month = Month { year: 2026, month: 3 };

    fn usage(wh: i64, ms: i64, minor: i64) -> Usage {
        Usage {
            month: MARCH,
            energy_wh: Decimal::from(wh),
            time_ms: ms,
            parking_ms: ms / 2,
            spent: Amount::new(minor, Currency::EUR),
        }
    }

    fn allowance(dimension: TariffDimensionType, quantity: i64, per: Period) -> Allowance {
        Allowance { dimension, quantity: Decimal::from(quantity), per }
    }

    #[test]
    fn a_month_begins_when_the_clocks_of_the_plan_say_so() {
        let zone = Tz::Europe__Amsterdam;
        // 00:00 on 1 April in Amsterdam, still 31 March in UTC.
        let midnight = "2026-03-31T22:00:00Z".parse().unwrap();
        assert_eq!(Month::of(midnight, zone).to_string(), "2026-04");
        assert_eq!(Month::of(midnight, Tz::UTC), MARCH);
        assert_eq!("2026-03".parse::<Month>().unwrap(), MARCH);
        for wrong in ["2026-3", "2026-13", "2026", "", "2026-03-01"] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_an_account_used_up_is_not_given_again_before_the_month_is_over() {
        use TariffDimensionType::{Energy, Flat, ParkingTime, Time};
        let used = usage(1_999_500, 90 * 60_000, 0);
        let left = |dimension, quantity, per| allowance(dimension, quantity, per).left(&used);
        assert_eq!(left(Energy, 2000, Period::Month), Ok(Decimal::from(500)));
        assert_eq!(left(Energy, 1000, Period::Month), Ok(Decimal::ZERO));
        assert_eq!(left(Energy, 10, Period::Session), Ok(Decimal::from(10_000)));
        assert_eq!(left(Time, 60, Period::Month), Ok(Decimal::ZERO));
        assert_eq!(left(ParkingTime, 60, Period::Month), Ok(Decimal::from(15 * 60_000)));
        assert_eq!(left(Flat, 1, Period::Month), Err(UsageError::NoQuantity(Flat)));
    }

    #[test]
    fn a_cap_is_reached_by_the_last_cent_and_in_its_own_currency() {
        let cap = SpendingCap { amount: Money::new(Decimal::from(100), Currency::EUR) };
        assert_eq!(cap.is_reached(&usage(0, 0, 9_999)), Ok(false));
        assert_eq!(cap.is_reached(&usage(0, 0, 10_000)), Ok(true));
        let left = |spent| cap.left(&usage(0, 0, spent)).map(|left| left.minor);
        assert_eq!((left(9_999), left(12_000)), (Ok(1), Ok(0)));
        let dollars = Usage::none(MARCH, Currency::USD);
        assert!(matches!(cap.is_reached(&dollars), Err(MoneyError::CurrencyMismatch { .. })));
    }

    #[test]
    fn usage_of_different_months_or_beyond_all_bounds_is_no_sum() {
        let april = Usage { month: Month { year: 2026, month: 4 }, ..usage(1, 1, 1) };
        let mixed = usage(1, 1, 1).checked_add(&april);
        assert!(matches!(mixed, Err(UsageError::MonthMismatch { .. })));
        let full = Usage { time_ms: i64::MAX, ..usage(0, 0, 0) };
        assert_eq!(full.checked_add(&usage(0, 1, 0)), Err(UsageError::Overflow(MARCH)));
    }

    fn sum<'a>(mut sessions: impl Iterator<Item = &'a (i64, i64, i64)>) -> Usage {
        let add = |sum: Usage, (wh, ms, minor): &_| sum.checked_add(&usage(*wh, *ms, *minor));
        sessions.try_fold(usage(0, 0, 0), add).unwrap()
    }

    proptest! {
        #[test]
        fn sessions_counted_in_any_order_use_the_same(
            sessions in prop::collection::vec((0..100_000_i64, 0..10_000_000_i64, 0..9_999_i64), 1..20),
        ) {
            let forwards = sum(sessions.iter());
            prop_assert_eq!(forwards, sum(sessions.iter().rev()));
            let energy: i64 = sessions.iter().map(|(wh, _, _)| wh).sum();
            prop_assert_eq!(forwards.energy_wh, Decimal::from(energy));
        }
    }
}
