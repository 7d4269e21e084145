//! `EnergyMix` (Locations module): where energy comes from. Told to people; no price depends on it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{null_as_default, number};

/// `EnergyMix` class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnergyMix {
    /// All of it from regenerative sources.
    pub is_green_energy: bool,
    /// The sources; together 100 percent.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub energy_sources: Vec<EnergySource>,
    /// What it does to the environment.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub environ_impact: Vec<EnvironmentalImpact>,
    /// Who delivers it, string(64).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier_name: Option<String>,
    /// As what, string(64).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_product_name: Option<String>,
}

/// `EnergySource` class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnergySource {
    /// `EnergySourceCategory`: `SOLAR`, `WIND`, ….
    pub source: String,
    /// Its share in percent.
    #[serde(with = "number")]
    pub percentage: Decimal,
}

/// `EnvironmentalImpact` class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentalImpact {
    /// `EnvironmentalImpactCategory`: `NUCLEAR_WASTE` or `CARBON_DIOXIDE`.
    pub category: String,
    /// In g/kWh.
    #[serde(with = "number")]
    pub amount: Decimal,
}
