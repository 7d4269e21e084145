//! Quantities as both surfaces write them.

use quantities::{Amount, PlanRef, TariffRef};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount of money in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Amount)]
pub struct AmountView {
    /// Minor units (cents for EUR).
    #[schema(example = 1250)]
    pub minor: i64,
    /// ISO 4217 code.
    #[schema(example = "EUR")]
    pub currency: String,
}

impl From<Amount> for AmountView {
    fn from(amount: Amount) -> Self {
        Self { minor: amount.minor, currency: amount.currency.code().to_owned() }
    }
}

/// One immutable version of a tariff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TariffRef)]
pub struct TariffRefView {
    /// The tariff.
    #[schema(example = "AC-DAY-NIGHT")]
    pub id: String,
    /// Its version, from 1.
    #[schema(example = 1)]
    pub version: u32,
}

impl From<&TariffRef> for TariffRefView {
    fn from(tariff: &TariffRef) -> Self {
        Self { id: tariff.id.to_string(), version: tariff.version }
    }
}

/// One immutable version of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlanRef)]
pub struct PlanRefView {
    /// The plan.
    #[schema(example = "GOLD")]
    pub id: String,
    /// Its version, from 1.
    #[schema(example = 1)]
    pub version: u32,
}

impl From<&PlanRef> for PlanRefView {
    fn from(plan: &PlanRef) -> Self {
        Self { id: plan.id.to_string(), version: plan.version }
    }
}
