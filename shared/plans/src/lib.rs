//! What OCPI cannot say, in a small language beside the tariff. Pure.
//!
//! A [`Plan`] changes what a member or a fleet pays of the tariff that is on offer to them.
//! `rating` applies it in its one order: start fee waived, allowance first, discount on what the
//! allowance left. A [`Schedule`] is a utility's time-of-use prices; it becomes an OCPI tariff.
//!
//! Invariant: nothing here prices a session; `rating` applies what is stated here.
//!
//! # Example: a gold membership
//!
//! 10 % off energy, no start fee, and an hour of standing idle a month for nothing.
//!
//! ```
//! let gold = r#"{
//!     "id": "gold",
//!     "name": "Gold",
//!     "currency": "EUR",
//!     "time_zone": "Europe/Amsterdam",
//!     "discounts": [{"dimension": "ENERGY", "by": {"percent": 10}}],
//!     "waive_start_fee": true,
//!     "allowances": [{"dimension": "PARKING_TIME", "quantity": 60, "per": "month"}]
//! }"#;
//! let plan = plans::read::plan(gold).unwrap();
//! assert_eq!(plan.sites, plans::Scope::All);
//! ```
//!
//! # Example: a fleet
//!
//! 2,000 kWh a month for all its vehicles together, then 0.35 per kWh instead of the tariff's
//! price, at the sites of one group; no vehicle starts any more in a month in which 5,000.00 are
//! spent, and accounting files it under 4711.
//!
//! ```
//! let fleet = r#"{
//!     "id": "parcel-fleet",
//!     "name": "Parcel fleet",
//!     "currency": "EUR",
//!     "time_zone": "Europe/Berlin",
//!     "sites": {"only": {"groups": ["depots"]}},
//!     "discounts": [{"dimension": "ENERGY", "by": {"price": 0.35}}],
//!     "allowances": [{"dimension": "ENERGY", "quantity": 2000, "per": "month"}],
//!     "spending_cap": {"amount": 5000, "currency": "EUR", "per": "month"},
//!     "cost_centre": "4711"
//! }"#;
//! let plan = plans::read::plan(fleet).unwrap();
//! assert!(plan.sites.covers(&"S7".parse().unwrap(), &["depots".to_owned()]));
//! // Written back, it is the same plan.
//! assert_eq!(plans::read::plan(&plans::write(&plan).unwrap()).unwrap(), plan);
//! ```
//!
//! # Example: a utility's time-of-use schedule
//!
//! Dear on the afternoons of summer weekdays, cheap else; 4 July is no weekday, and when it is a
//! Sunday, Monday is none either. Sold with 20 % and 0.05 per kWh on top, in tenths of a cent.
//!
//! ```
//! let schedule = r#"{
//!     "name": "Time of use",
//!     "source": "the utility's page on its rates, prices since 1 January 2026",
//!     "currency": "USD",
//!     "time_zone": "America/Los_Angeles",
//!     "seasons": [
//!         {"name": "summer", "from": "06-01", "to": "09-30", "days": [
//!             {"on": ["weekdays"], "periods": [
//!                 {"name": "peak", "from": "16:00", "to": "21:00", "price": 0.48},
//!                 {"name": "off-peak", "from": "21:00", "to": "16:00", "price": 0.23}]},
//!             {"on": ["weekends", "holidays"], "periods": [
//!                 {"name": "off-peak", "from": "00:00", "to": "24:00", "price": 0.23}]}]},
//!         {"name": "winter", "from": "10-01", "to": "05-31", "days": [
//!             {"on": ["every_day"], "periods": [
//!                 {"name": "off-peak", "from": "00:00", "to": "24:00", "price": 0.23}]}]}],
//!     "holidays": [
//!         {"name": "Independence Day", "on": "07-04", "observed": "sunday_to_monday"},
//!         {"name": "Labor Day", "on": {"nth": 1, "weekday": "MONDAY", "month": 9}}],
//!     "margin": {"percent": 20, "per_kwh": 0.05, "decimals": 3}
//! }"#;
//! let schedule = plans::read::schedule(schedule).unwrap();
//! assert!(schedule.validate().is_empty());
//!
//! let around = ocpi::read::tariff(
//!     r#"{"id": "tou", "currency": "USD", "elements": [
//!         {"price_components": [{"type": "FLAT", "price": 1.00}]}]}"#,
//! ).unwrap();
//! let [from, until] = ["2026-01-01", "2027-01-01"].map(|date| date.parse().unwrap());
//! let span = plans::schedule::Span { from, until };
//! let tariff = schedule.compile(span, schedule.time_zone, &around).unwrap();
//! // Labor Day, the afternoons of summer, everything else, and the start fee. Independence Day is
//! // a Saturday in 2026: that is cheap anyway.
//! let prices = tariff.elements.iter().map(|element| element.price_components[0].price);
//! let prices: Vec<String> = prices.map(|price| price.to_string()).collect();
//! assert_eq!(prices, ["0.326", "0.626", "0.326", "1"]);
//! ```

mod finding;
mod local;
mod plan;
pub mod read;
pub mod schedule;
mod usage;
mod validate;

use serde::Serialize;

pub use finding::{Finding, Severity};
pub use plan::{
    Allowance, Discount, Period, Plan, PlanVersion, Reduction, Scope, SpendingCap, in_force,
};
pub use schedule::Schedule;
pub use usage::{Month, MonthError, Usage, UsageError};
pub use validate::Known;

/// Writes a [`Plan`] as JSON that [`read`] reads as the same one.
///
/// # Errors
///
/// A number has more digits than a JSON number holds (see [`ocpi::number`]).
pub fn write<T: Serialize>(plan: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(plan)
}
