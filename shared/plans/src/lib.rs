//! What OCPI cannot say, in a small language beside the tariff. Pure.
//!
//! A [`Plan`] changes what a member or a fleet pays of the tariff that is on offer to them.
//! `rating` applies it in its one order: start fee waived, allowance first, discount on what the
//! allowance left.
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

mod finding;
mod plan;
pub mod read;
pub mod schedule;
mod usage;

use serde::Serialize;

pub use finding::{Finding, Severity};
pub use plan::{
    Allowance, Discount, Period, Plan, PlanVersion, Reduction, Scope, SpendingCap, in_force,
};
pub use schedule::Schedule;
pub use usage::{Month, MonthError, Usage, UsageError};

/// Writes a [`Plan`] as JSON that [`read`] reads as the same one.
///
/// # Errors
///
/// A number has more digits than a JSON number holds (see [`ocpi::number`]).
pub fn write<T: Serialize>(plan: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(plan)
}
