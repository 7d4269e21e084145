//! OCPI CDRs: written from a priced session, and priced with a tariff.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use network::{Charger, RoamingPartner, Site, Tax};
use ocpi::{Cdr, Tariff};
use session::Session;

use crate::{PricedSession, RatingError, TariffVersion};

/// All that a CDR is made from.
#[derive(Debug, Clone, Copy)]
pub struct CdrInput<'a> {
    /// The session.
    pub session: &'a Session,
    /// Its price.
    pub priced: &'a PricedSession,
    /// The tariff version it was priced with.
    pub tariff: &'a TariffVersion,
    /// Where it took place.
    pub site: &'a Site,
    /// At which charger.
    pub charger: &'a Charger,
    /// The eMSP, when the payer is a roaming one.
    pub partner: Option<&'a RoamingPartner>,
    /// Our own OCPI `country_code`.
    pub country_code: &'a str,
    /// Our own OCPI `party_id`.
    pub party_id: &'a str,
    /// When the CDR is made.
    pub now: DateTime<Utc>,
}

/// The OCPI 2.2.1 CDR of a priced session. It prices to the same totals with [`price`].
///
/// # Errors
///
/// [`RatingError`].
pub fn build(input: &CdrInput<'_>) -> Result<Cdr, RatingError> {
    let _ = input;
    todo!()
}

/// Prices a CDR's charging periods with `tariff` in the local time of `zone`. Where a component
/// states no VAT, `tax` applies; without `tax` no VAT is added, as OCPI says.
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
    let _ = (tariff, cdr, zone, tax);
    todo!()
}
