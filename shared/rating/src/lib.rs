//! Prices a session against an OCPI tariff, and writes the result as an OCPI CDR. Pure.
//!
//! Invariant: nowhere else is the price of a session computed. [`rate`] is one function from
//! (tariff, timeline, time zone, tax) to a [`PricedSession`]; running cost, capture, receipt, CDR
//! and journal are all made from its result.
//!
//! The way through: `compile` reads the tariff once, `course` sets the readings straight and tells
//! charging from idle, `walk` stops wherever a price can change, `bill` sums up, steps and rounds.

mod bill;
pub mod cdr;
mod compile;
mod course;
mod error;
mod exact;
mod label;
mod local;
mod priced;
mod quote;
mod report;
mod stretch;
mod tariff;
mod validate;
mod walk;

use chrono_tz::Tz;
use network::Tax;
use ocpi::Tariff;
use session::Timeline;

use crate::{
    bill::Bill,
    compile::Compiled,
    course::course,
    stretch::{Course, moment},
    walk::walk,
};

pub use error::RatingError;
pub use priced::{
    Cost, Finding, FindingCode, Item, Line, Method, PricedSession, Segment, SegmentKind, Totals,
    Unit,
};
pub use quote::{PriceInForce, Quote, quote};
pub use report::{Report, ReportLine, ReportSegment};
pub use tariff::{TariffVersion, Terms, foreign_reference, needs_time_zone};
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
    price(tariff, timeline, zone, Some(tax))
}

/// The same where the tax may not be known: without `tax`, no VAT is added where none is stated.
///
/// # Errors
///
/// [`RatingError`].
pub fn price(
    tariff: &TariffVersion,
    timeline: &Timeline,
    zone: Tz,
    tax: Option<&Tax>,
) -> Result<PricedSession, RatingError> {
    let compiled = Compiled::new(&tariff.tariff)?;
    let mut course = course(timeline, compiled.uses_power())?;
    note_validity(&tariff.tariff, &mut course);
    let runs = walk(&compiled, &mut course, zone, tariff.terms.idle_grace_s)?;
    let bill = Bill {
        tariff: &tariff.tariff,
        compiled: &compiled,
        reference: tariff.reference.clone(),
        runs: &runs,
        tax: tax.map(|tax| tax.percent),
    };
    bill.write(course.findings)
}

/// The tariff offered at the start applies throughout; that it was not valid then is worth a note.
fn note_validity(tariff: &Tariff, course: &mut Course) {
    let start = moment(course.session_start_ms);
    let too_early = tariff.start_date_time.is_some_and(|from| start < from);
    let too_late = tariff.end_date_time.is_some_and(|until| start >= until);
    if too_early || too_late {
        let detail = "the tariff was not valid at the start; it applies because it was offered";
        course.findings.note(FindingCode::TariffNotValid, start, detail);
    }
}
