//! The same questions to Tallywatt's own engine.

use anyhow::Result;
use chrono_tz::Tz;
use ocpi::{Cdr, Tariff};
use rating::{PricedSession, RatingError, Rules};
use session::Timeline;

/// Prices a CDR. A component that states no VAT has none, as OCPI says.
///
/// # Errors
///
/// [`RatingError`].
pub fn price(tariff: &Tariff, cdr: &Cdr, zone: Tz) -> Result<PricedSession, RatingError> {
    Pricer::new(tariff)?.price_cdr(cdr, zone)
}

/// A tariff compiled once, for any number of sessions.
pub struct Pricer(rating::Pricer);

impl Pricer {
    /// Compiles `tariff`.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub fn new(tariff: &Tariff) -> Result<Self, RatingError> {
        rating::Pricer::foreign(tariff).map(Self)
    }

    /// Prices a CDR.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub fn price_cdr(&self, cdr: &Cdr, zone: Tz) -> Result<PricedSession, RatingError> {
        self.0.price_cdr(cdr, &Rules::unknown(zone))
    }

    /// Prices what a charger reported.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub fn rate(&self, timeline: &Timeline, zone: Tz) -> Result<PricedSession, RatingError> {
        self.0.rate(timeline, &Rules::unknown(zone))
    }
}
