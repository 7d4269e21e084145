//! OCPI CDRs: written from a priced session, and priced with a tariff.

mod build;
pub(crate) mod read;
mod taxes;

use ocpi::{Cdr, Tariff};

pub use build::{CdrInput, build};
pub use taxes::taxes;

use crate::{PricedSession, Pricer, RatingError, Rules};

/// Prices a CDR's charging periods with `tariff` by `rules`: both steps of [`Pricer`].
///
/// # Errors
///
/// [`RatingError`].
pub fn price(tariff: &Tariff, cdr: &Cdr, rules: &Rules<'_>) -> Result<PricedSession, RatingError> {
    Pricer::foreign(tariff)?.price_cdr(cdr, rules)
}
