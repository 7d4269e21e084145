//! The price at a charger before a session: now, in the hours to come, and for what is expected.
//!
//! A driver's screen asks [`Pricer::quote`] for the prices and when they change,
//! [`Pricer::estimate`] for what an expected session would cost, and [`hold`] for the amount to
//! reserve on the card. All three ask the same compiled tariff by the same [`Rules`] as the bill,
//! so what is shown is what is billed:
//!
//! ```
//! # use rating::{Expected, Pricer, RatingError, Rules, TariffVersion};
//! # use chrono::{DateTime, Duration, Utc};
//! # fn shown(version: &TariffVersion, now: DateTime<Utc>, rules: &Rules) -> Result<(), RatingError> {
//! let pricer = Pricer::new(version)?;
//! let quote = pricer.quote(now, Duration::hours(12), rules)?;
//! for price in &quote.prices {
//!     println!("{} {} a {:?}", price.incl_vat, quote.currency, price.unit);
//! }
//! for change in &quote.changes {
//!     println!("from {}: {:?}", change.at, change.prices);
//! }
//! let expected = Expected { energy: 30_000.into(), charging_s: 3600, idle_s: 0 };
//! println!("about {}", pricer.estimate(now, &expected, rules)?.gross());
//! # Ok(())
//! # }
//! ```

mod estimate;
mod price;

use chrono::{DateTime, Duration, Utc};
use ocpi::TariffDimensionType;
use quantities::{Currency, TariffRef, TaxPercent};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    Pricer, RatingError, Rules, TariffVersion, Unit,
    local::{check_calendar, local, moments},
    terms::Idle,
};
use price::{Shown, View};

pub use estimate::{Expected, hold};

/// What a session that starts now pays, and what one that starts later would.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// The tariff version.
    pub tariff: TariffRef,
    /// The currency of the prices.
    pub currency: Currency,
    /// The moment it is for.
    pub at: DateTime<Utc>,
    /// The components in force from the session's start on, in the order of AFIR (Regulation (EU)
    /// 2023/1804, article 5(4)): kWh, hour, idle hour, session. In quiet hours standing idle has
    /// no price.
    pub prices: Vec<PriceInForce>,
    /// The components that come into force with the session's energy or duration, in the same
    /// order; [`PriceInForce::conditions`] says when.
    pub later: Vec<PriceInForce>,
    /// Every moment until the horizon at which these prices change with the local time, in order.
    pub changes: Vec<PriceChange>,
    /// When the first of these prices changes; none until the horizon.
    pub valid_until: Option<DateTime<Utc>>,
    /// Idle seconds that cost nothing.
    pub idle_grace_s: u32,
    /// The most that all idle time of the session costs, with or without tax as the tariff's
    /// prices are.
    pub idle_cap: Option<Decimal>,
    /// What the driver's plan still has for nothing; it comes off before any price applies.
    pub free: Vec<Free>,
}

/// New prices from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceChange {
    /// The moment.
    pub at: DateTime<Utc>,
    /// As [`Quote::prices`].
    pub prices: Vec<PriceInForce>,
    /// As [`Quote::later`].
    pub later: Vec<PriceInForce>,
}

/// One component in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceInForce {
    /// What it prices.
    pub dimension: TariffDimensionType,
    /// Index of the tariff element it comes from.
    pub element: usize,
    /// Index of the component in that element.
    pub component: usize,
    /// Price per `unit` as the tariff states it, before the driver's plan.
    pub listed: Decimal,
    /// Price without tax per `unit`, after what the driver's plan takes off it.
    pub excl_vat: Decimal,
    /// Price with tax per `unit`, after what the driver's plan takes off it; exact.
    pub incl_vat: Decimal,
    /// What the price is for one of.
    pub unit: Unit,
    /// All taxes together in percent; 0 where none is known.
    pub tax_percent: TaxPercent,
    /// The taxes one by one.
    pub taxes: Vec<PriceTax>,
    /// Billed in blocks of this many Wh or seconds.
    pub step_size: u32,
    /// Whether it applies only at certain powers or currents of the session to come.
    pub depends_on_power: bool,
    /// At which energy, duration, power or current of the session it applies, in words; empty
    /// where always.
    pub conditions: String,
}

impl PriceInForce {
    /// What a minute costs, without and with tax, where the price is for time: the regulation asks
    /// for prices per minute, OCPI's are per hour. To four decimals, for display only; publishing
    /// warns of a price that is not exact by the minute (`afir_minute_not_exact`).
    #[must_use]
    pub fn per_minute(&self) -> Option<(Decimal, Decimal)> {
        let minute = |hour: Decimal| Some(hour.checked_div(Decimal::from(60))?.round_dp(4));
        if self.unit != Unit::Hour {
            return None;
        }
        Some((minute(self.excl_vat)?.normalize(), minute(self.incl_vat)?.normalize()))
    }
}

/// A tax on a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceTax {
    /// What it is called.
    pub name: String,
    /// Its rate.
    pub percent: TaxPercent,
}

/// A quantity that costs the driver nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Free {
    /// Of what.
    pub dimension: TariffDimensionType,
    /// How much is left, in kWh or minutes.
    pub left: Decimal,
}

/// [`Pricer::quote`] for a tariff that is quoted once, with the changes of a week.
///
/// # Errors
///
/// [`RatingError`].
pub fn quote(
    tariff: &TariffVersion,
    at: DateTime<Utc>,
    rules: &Rules<'_>,
) -> Result<Quote, RatingError> {
    Pricer::new(tariff)?.quote(at, Duration::days(7), rules)
}

impl Pricer {
    /// The prices of a session that starts at `at`, and how they change until `horizon` later.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub fn quote(
        &self,
        at: DateTime<Utc>,
        horizon: Duration,
        rules: &Rules<'_>,
    ) -> Result<Quote, RatingError> {
        let end = at.checked_add_signed(horizon).ok_or(RatingError::OutsideCalendar { at })?;
        check_calendar(at.timestamp_millis())?;
        check_calendar(end.timestamp_millis())?;
        let mut view = View::new(&self.compiled, &self.terms, rules)?;
        let now = view.at(local(rules.zone, at))?;
        let mut changes: Vec<PriceChange> = Vec::new();
        let mut before = now.clone();
        for moment in self.moments(at, end, rules) {
            let next = view.at(local(rules.zone, moment))?;
            if next != before {
                let Shown { prices, later } = next.clone();
                changes.push(PriceChange { at: moment, prices, later });
                before = next;
            }
        }
        Ok(Quote {
            tariff: self.reference.clone(),
            currency: self.compiled.currency,
            at,
            prices: now.prices,
            later: now.later,
            valid_until: changes.first().map(|change| change.at),
            changes,
            idle_grace_s: self.terms.idle.grace_s,
            idle_cap: self.terms.idle.cap,
            free: free(rules)?,
        })
    }

    /// The moments after `at` until `end` at which local time can change a price.
    fn moments(
        &self,
        at: DateTime<Utc>,
        end: DateTime<Utc>,
        rules: &Rules<'_>,
    ) -> Vec<DateTime<Utc>> {
        let idle = Idle::of(&self.terms.idle);
        let mut times = self.compiled.local_times.clone();
        times.extend(idle.times());
        let mut found = Vec::new();
        if !times.is_empty() {
            moments(rules.zone, at, end, &times, &mut found);
        }
        found.retain(|moment| at < *moment && *moment <= end);
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn free(rules: &Rules<'_>) -> Result<Vec<Free>, RatingError> {
    let Some(in_force) = rules.plan else { return Ok(Vec::new()) };
    let free = |allowance: &plans::Allowance| {
        let dimension = allowance.dimension;
        let left = allowance.left(in_force.used)?;
        let per_unit = match dimension {
            TariffDimensionType::Energy => Decimal::ONE_THOUSAND,
            _ => Decimal::from(60_000),
        };
        let left = left.checked_div(per_unit).ok_or(quantities::MoneyError::Overflow)?;
        Ok(Free { dimension, left: left.normalize() })
    };
    let allowances = in_force.plan.plan.allowances.iter();
    allowances.filter(|a| a.dimension != TariffDimensionType::Flat).map(free).collect()
}
