//! Prices a session against an OCPI tariff, and writes the result as an OCPI CDR. Pure.
//!
//! Invariant: nowhere else is the price of a session computed. [`rate`] is one function from
//! (tariff, timeline, rules) to a [`PricedSession`]; running cost, capture, receipt, CDR and
//! journal are all made from its result.
//!
//! The way through: `compile` reads the tariff once, `course` sets the readings straight and tells
//! charging from idle, `walk` stops wherever a price can change, `charges` sums up and steps,
//! `bill` prices, `round` rounds.

mod bill;
pub mod cdr;
mod charges;
mod compile;
mod course;
mod draft;
mod error;
mod exact;
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
pub use plan::PlanInForce;
pub use priced::{
    Cost, Finding, FindingCode, Item, Line, LineTax, Method, PlanApplied, PlanRule, PricedSession,
    Segment, SegmentKind, TaxTotal, Totals, Unit, Why,
};
pub use pricer::{Pricer, rate};
pub use quote::{PriceInForce, Quote, quote};
pub use report::{Report, ReportLine, ReportLineTax, ReportSegment, ReportTax};
pub use rules::Rules;
pub use tariff::{TariffVersion, foreign_reference, needs_time_zone};
pub use terms::{IdleTerms, QuietHours, Terms};
pub use validate::{Place, Severity, TariffFinding};
