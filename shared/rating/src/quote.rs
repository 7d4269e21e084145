//! The price at a charger now.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use network::Tax;
use ocpi::TariffDimensionType;
use quantities::{Currency, TariffRef, TaxPercent};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{RatingError, TariffVersion, Unit};

/// What a session that starts now pays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// The tariff version.
    pub tariff: TariffRef,
    /// The currency of the prices.
    pub currency: Currency,
    /// The components in force, in the order of AFIR: kWh, hour, idle hour, session.
    pub prices: Vec<PriceInForce>,
    /// When the first of these prices changes with the time of day or date; none within a week.
    pub valid_until: Option<DateTime<Utc>>,
    /// Idle seconds that cost nothing.
    pub idle_grace_s: u32,
}

/// One component in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceInForce {
    /// What it prices.
    pub dimension: TariffDimensionType,
    /// Index of the tariff element it comes from.
    pub element: usize,
    /// Price without tax per `unit`.
    pub excl_vat: Decimal,
    /// Price with tax per `unit`, exact.
    pub incl_vat: Decimal,
    /// What the price is for one of.
    pub unit: Unit,
    /// Tax in percent.
    pub tax_percent: TaxPercent,
    /// Billed in blocks of this many Wh or seconds.
    pub step_size: u32,
    /// Whether it applies only at certain powers or currents of the session to come.
    pub depends_on_power: bool,
}

/// The components in force at `at` for a session that starts then.
///
/// # Errors
///
/// [`RatingError`].
pub fn quote(
    tariff: &TariffVersion,
    at: DateTime<Utc>,
    zone: Tz,
    tax: &Tax,
) -> Result<Quote, RatingError> {
    let _ = (tariff, at, zone, tax);
    todo!()
}
