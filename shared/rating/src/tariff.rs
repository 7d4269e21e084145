//! A published tariff version: an OCPI tariff and the terms that OCPI cannot state.

use ocpi::{Tariff, TariffDimensionType};
use quantities::{IdError, TariffRef};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{RatingError, Terms, compile::Compiled};

/// One immutable version of a tariff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TariffVersion {
    /// Which tariff, and which version of it.
    pub reference: TariffRef,
    /// The prices, in OCPI's own language.
    pub tariff: Tariff,
    /// The terms beside them.
    #[serde(default)]
    pub terms: Terms,
}

impl TariffVersion {
    /// Whether standing idle costs anything, so that the session's end is when the connector is
    /// free again.
    #[must_use]
    pub fn has_idle_fee(&self) -> bool {
        let components = self.tariff.elements.iter().flat_map(|element| &element.price_components);
        components
            .filter(|component| component.dimension == TariffDimensionType::ParkingTime)
            .any(|component| component.price > Decimal::ZERO)
    }
}

/// The reference of a tariff that somebody else wrote: its id with `-` for the characters that OCPI
/// allows and our own ids do not, in version 1.
///
/// # Errors
///
/// [`quantities::IdError`] when the id is empty.
pub fn foreign_reference(tariff: &Tariff) -> Result<TariffRef, IdError> {
    let fitting = |c: char| if c.is_ascii_alphanumeric() || "-_.:*|".contains(c) { c } else { '-' };
    let id: String = tariff.id.chars().map(fitting).take(36).collect();
    Ok(TariffRef { id: id.parse()?, version: 1 })
}

/// Whether `tariff` has prices that depend on local time, so that its price needs a time zone.
///
/// # Errors
///
/// [`RatingError`] when the tariff cannot be read.
pub fn needs_time_zone(tariff: &Tariff) -> Result<bool, RatingError> {
    Ok(Compiled::new(tariff)?.is_local())
}
