//! Prices a session against an OCPI tariff, and writes the result as an OCPI CDR. Pure.
//!
//! Invariant: nowhere else is the price of a session computed. [`rate`] is one function from
//! (tariff, timeline, rules) to a [`PricedSession`]; running cost, capture, receipt, CDR and
//! journal are all made from its result.
//!
//! The way through: `compile` reads the tariff once, `course` sets the readings straight and tells
//! charging from idle, `walk` stops wherever a price can change, `charges` sums up and steps,
//! `bill` prices, `plan` and `limit` take off, `round` rounds.
//!
//! # Precedence
//!
//! One order, which the explanation of every price repeats ([`PRECEDENCE`]):
//!
//! 1. The tariff is the version on offer to the driver's tier at the start; what is published later
//!    changes nothing.
//! 2. Per dimension the first element applies whose restrictions all hold (OCPI 2.2.1,
//!    `mod_tariffs`, Tariff object).
//! 3. Of the time that a vehicle stands, the operator's (`SuspendedEVSE`, a fault) is never idle
//!    time; then come quiet hours, then the grace period; the rest is idle time.
//! 4. `step_size`, once for energy and once for time, on the component used last (`mod_cdrs`).
//! 5. The plan waives the start fee.
//! 6. The plan's allowances cover the earliest use first, across components; what `step_size` added
//!    is used last.
//! 7. The plan's discounts apply to what no allowance covers. A price never falls below 0.
//! 8. The cap on idle fees applies to what the plan has left of them.
//! 9. `min_price`, then `max_price`; where nobody pays, a maximum of 0 in its place.
//! 10. Taxes: all that apply at once, each on the price before taxes. A component's own `vat` takes
//!     the place of the jurisdiction's taxes.
//! 11. Rounding, in one place, as the jurisdiction says.
//!
//! Rules 5 to 9 add lines of their own, negative but for a minimum price, so that the list price
//! and what is taken off are both seen.

mod bill;
mod candidates;
pub mod cdr;
mod charges;
mod compile;
mod course;
mod draft;
mod error;
mod exact;
mod explain;
mod forecast;
mod label;
mod limit;
mod local;
mod plan;
mod priced;
mod pricer;
mod quote;
mod report;
mod round;
mod rules;
mod stretch;
mod tariff;
mod taxes;
mod terms;
mod validate;
mod walk;

pub use error::RatingError;
pub use explain::{Explanation, LineExplanation, PRECEDENCE};
pub use forecast::{Forecast, Pace};
pub use plan::PlanInForce;
pub use priced::{
    Cost, Finding, FindingCode, Indexes, Item, Line, LineTax, LineTaxes, Method, PlanApplied,
    PlanRule, PricedSession, Segment, SegmentKind, TaxTotal, Totals, Unit, Why,
};
pub use pricer::{Pricer, rate};
pub use quote::{Expected, Free, PriceChange, PriceInForce, PriceTax, Quote, hold, quote};
pub use report::{Report, ReportLine, ReportLineTax, ReportPlan, ReportSegment, ReportTax};
pub use rules::Rules;
pub use tariff::{TariffVersion, foreign_reference, needs_time_zone};
pub use terms::{IdleTerms, QuietHours, Terms};
pub use validate::{Place, Severity, TariffFinding};
