//! A utility's time-of-use schedule, and the tariff that passes it on.

mod calendar;
mod check;
mod compile;
mod day;
mod holidays;

use chrono::{Datelike, NaiveDate, Weekday};
use chrono_tz::Tz;
use ocpi::number;
use quantities::{Currency, MoneyError};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

pub use calendar::{DateRule, MonthDay, MonthDayError};
pub use compile::{RUN_OVER_DAYS, Span};
pub use day::{ClockTime, ClockTimeError, DayKind, DayPrices, PricePeriod};
pub use holidays::{Holiday, Observed};

use day::{Profile, Window};

/// What a utility charges per kWh at which time, and what is put on top.
///
/// Every time and date is local, through summer time and back: hours are what clocks show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The utility's name for it.
    pub name: String,
    /// Where its prices are published, and since when they hold.
    pub source: String,
    /// The currency of its prices.
    pub currency: Currency,
    /// Whose clocks and calendars count.
    pub time_zone: Tz,
    /// Seasons that together cover every day of a year once.
    pub seasons: Vec<Season>,
    /// Days that are priced as holidays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<Holiday>,
    /// What is put on top of the utility's prices; they are passed through as they are without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Margin>,
}

/// A part of the year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Season {
    /// What the utility calls it.
    pub name: String,
    /// Its first day.
    pub from: DateRule,
    /// Its last day; before `from` it is in the next year.
    pub to: DateRule,
    /// Its days and their prices; every kind of day once.
    pub days: Vec<DayPrices>,
}

/// What is put on top of a utility's price per kWh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Margin {
    /// Percent of the utility's price.
    #[serde(default, with = "number")]
    pub percent: Decimal,
    /// Per kWh, added after the percentage.
    #[serde(default, with = "number")]
    pub per_kwh: Decimal,
    /// Decimals of the price per kWh that results, half away from zero.
    pub decimals: u32,
}

impl Margin {
    /// The price per kWh to sell at.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub fn on(&self, price: Decimal) -> Result<Decimal, MoneyError> {
        let hundredths = Decimal::ONE_HUNDRED.checked_add(self.percent);
        let factor = hundredths.and_then(|sum| sum.checked_mul(Decimal::new(1, 2)));
        let marked_up = factor.and_then(|factor| price.checked_mul(factor));
        let sold = marked_up.and_then(|price| price.checked_add(self.per_kwh));
        let sold = sold.ok_or(MoneyError::Overflow)?;
        // A price per kWh is not yet an amount of money: that is rounded once, when it is billed.
        let half_away = RoundingStrategy::MidpointAwayFromZero;
        Ok(sold.round_dp_with_strategy(self.decimals, half_away).normalize())
    }
}

impl Schedule {
    /// The price to sell at where the utility's is `price`.
    fn sold(&self, price: Decimal) -> Result<Decimal, MoneyError> {
        self.margin.map_or(Ok(price), |margin| margin.on(price))
    }
}

impl Season {
    /// Whether `date` is in it.
    fn contains(&self, date: NaiveDate) -> bool {
        let in_year = |rule: &DateRule| rule.in_year(date.year()).first().copied();
        match (in_year(&self.from), in_year(&self.to)) {
            (Some(from), Some(to)) if from <= to => (from..=to).contains(&date),
            (Some(from), Some(to)) => date >= from || date <= to,
            _ => false,
        }
    }

    /// The prices of such a day; `None` is a holiday.
    fn day(
        &self,
        schedule: &Schedule,
        day: Option<Weekday>,
    ) -> Result<Option<Profile>, MoneyError> {
        let prices = self.days.iter().find(|prices| prices.on.iter().any(|kind| kind.covers(day)));
        let Some(prices) = prices else { return Ok(None) };
        let mut windows = Vec::new();
        for period in &prices.periods {
            let price = schedule.sold(period.price)?;
            let minutes = period.minutes().into_iter();
            windows.extend(minutes.map(|(from, to)| Window { from, to, price }));
        }
        Ok(Some(Profile::new(windows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_a_percentage_then_an_amount_then_rounded_once() {
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        let margin = Margin { percent: number("12.5"), per_kwh: number("0.02"), decimals: 4 };
        // 0.0741 × 1.125 = 0.0833625, + 0.02 = 0.1033625
        assert_eq!(margin.on(number("0.0741")).unwrap(), number("0.1034"));
        // 0.1 × 1.125 + 0.02 = 0.1325: nothing to round, and no zeros at the end.
        assert_eq!(margin.on(number("0.1")).unwrap().to_string(), "0.1325");
        // A tie goes away from zero: 0.00005 at no margin.
        let none = Margin { percent: Decimal::ZERO, per_kwh: Decimal::ZERO, decimals: 4 };
        assert_eq!(none.on(number("0.00005")).unwrap(), number("0.0001"));
        assert_eq!(margin.on(Decimal::MAX), Err(MoneyError::Overflow));
    }
}
