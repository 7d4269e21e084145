//! A published tariff version: an OCPI tariff and the terms that OCPI cannot state.

use ocpi::{Tariff, TariffDimensionType};
use quantities::TariffRef;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

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

/// What OCPI cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// The first seconds of a session's idle time that cost nothing, counted over the whole
    /// session: a vehicle that pauses twice has one grace period, not two.
    #[serde(default)]
    pub idle_grace_s: u32,
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
