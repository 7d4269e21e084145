//! OCPI Tariff and CDR objects as they travel. Pure.
//!
//! Spelled as the specification spells them (`release-2.2.1-bugfixes` of `ocpi/ocpi`): field names
//! in snake case, enum values in capitals, numbers as JSON numbers ([`number`] tells how they stay
//! exact), times in UTC. Fields that a version does not know are ignored, except in a tariff's
//! restrictions, where ignoring one would change a price.

mod cdr;
pub mod datetime;
mod energy_mix;
pub mod json;
pub mod number;
pub mod read;
pub mod schema;
mod tariff;
pub mod v2_1_1;
pub mod v2_3_0;
mod version;
pub mod write;

use serde::{Deserialize, Deserializer};

pub use cdr::{
    AuthMethod, Cdr, CdrDimension, CdrDimensionType, CdrLocation, CdrToken, ChargingPeriod,
    GeoLocation, SignedData, SignedValue, TokenType,
};
pub use energy_mix::{EnergyMix, EnergySource, EnvironmentalImpact};
pub use tariff::{
    DayOfWeek, DisplayText, Price, PriceComponent, ReservationRestrictionType, Tariff,
    TariffDimensionType, TariffElement, TariffRestrictions, TaxIncluded,
};

pub use version::Version;

/// Explicit nulls are common on the wire where a list is empty.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
