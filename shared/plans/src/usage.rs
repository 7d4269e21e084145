//! What an account has used: the basis of its allowances and its spending cap.

use std::{fmt, str::FromStr};

use chrono::{
    DateTime, Datelike as _, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::Tz;
use ocpi::TariffDimensionType;
use quantities::{Amount, Currency, MoneyError};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Allowance, Period, SpendingCap};

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
        let midnight = first.checked_add_months(Months::new(1))?.and_time(NaiveTime::MIN);
        let quarters = (0..96).map(|quarter| midnight + TimeDelta::minutes(15 * quarter));
        let mut told = quarters.filter_map(|local| zone.from_local_datetime(&local).earliest());
        told.next().map(|end| end.to_utc())
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
