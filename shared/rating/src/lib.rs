//! Prices a session against an OCPI tariff, and writes the result as an OCPI CDR. Pure.

pub mod cdr;
mod error;
mod priced;
mod quote;
mod tariff;
mod validate;

use chrono_tz::Tz;
use network::Tax;
use session::Timeline;

pub use error::RatingError;
pub use priced::{
    Cost, Finding, FindingCode, Item, Line, Method, PricedSession, Segment, SegmentKind, Totals,
    Unit,
};
pub use quote::{PriceInForce, Quote, quote};
pub use tariff::{TariffVersion, Terms};
pub use validate::{Severity, TariffFinding};

/// Prices `timeline` with `tariff` in the local time of `zone`; `tax` applies to every component
/// that does not state its own VAT.
///
/// # Errors
///
/// [`RatingError`]: an input that cannot be priced is never priced at zero or at a guess.
pub fn rate(
    tariff: &TariffVersion,
    timeline: &Timeline,
    zone: Tz,
    tax: &Tax,
) -> Result<PricedSession, RatingError> {
    let _ = (tariff, timeline, zone, tax);
    todo!()
}
