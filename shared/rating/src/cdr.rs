//! OCPI CDRs: written from a priced session, and priced with a tariff.

mod build;
mod read;

use chrono_tz::Tz;
use network::Tax;
use ocpi::{Cdr, Tariff};

pub use build::{CdrInput, build};

use crate::{
    FindingCode, PricedSession, RatingError, bill::Bill, compile::Compiled, foreign_reference,
    note_validity, stretch::moment, walk::walk,
};

/// Prices a CDR's charging periods with `tariff` in the local time of `zone`. Where a component
/// states no VAT, `tax` applies; without `tax` no VAT is added, as OCPI says.
///
/// Only start, end, currency and charging periods of the CDR count; what it says it costs is not
/// looked at.
///
/// # Errors
///
/// [`RatingError`].
pub fn price(
    tariff: &Tariff,
    cdr: &Cdr,
    zone: Tz,
    tax: Option<&Tax>,
) -> Result<PricedSession, RatingError> {
    let compiled = Compiled::new(tariff)?;
    if !cdr.currency.eq_ignore_ascii_case(&tariff.currency) {
        let (left, right) = (cdr.currency.parse()?, compiled.currency);
        return Err(quantities::MoneyError::CurrencyMismatch { left, right }.into());
    }
    let mut course = read::course(cdr, compiled.uses_power())?;
    let names_it = |named: &String| named.eq_ignore_ascii_case(&tariff.id);
    let mut named = cdr.charging_periods.iter().filter_map(|period| period.tariff_id.as_ref());
    if named.any(|named| !names_it(named)) {
        let detail = "the CDR names another tariff than the one it is priced with";
        let at = moment(course.session_start_ms);
        course.findings.note(FindingCode::OtherTariff, at, detail);
    }
    note_validity(tariff, &mut course);
    let runs = walk(&compiled, &mut course, zone, 0)?;
    let bill = Bill {
        tariff,
        compiled: &compiled,
        reference: foreign_reference(tariff)?,
        runs: &runs,
        tax: tax.map(|tax| tax.percent),
    };
    bill.write(course.findings)
}
