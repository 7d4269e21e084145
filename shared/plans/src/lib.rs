//! What OCPI cannot say, in a small language beside the tariff. Pure.
//!
//! A [`Plan`] changes what a member or a fleet pays of the tariff that is on offer to them.
//!
//! Invariant: nothing here prices a session; `rating` applies what is stated here.

mod plan;
mod usage;

pub use plan::{
    Allowance, Discount, Period, Plan, PlanVersion, Reduction, Scope, SpendingCap, in_force,
};
pub use usage::{Month, MonthError, Usage, UsageError};
