//! Tariffs module: the object as OCPI 2.2.1 spells it (`mod_tariffs.asciidoc`), with the fields
//! that 2.3.0 added. Everything inside works with this one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{EnergyMix, datetime, null_as_default, number};

/// `Tariff` object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tariff {
    /// ISO 3166-1 alpha-2 code of the CPO that owns it.
    pub country_code: String,
    /// ISO 15118 id of the CPO that owns it.
    pub party_id: String,
    /// `CiString(36)`, unique within the CPO's platform.
    pub id: String,
    /// ISO 4217 code.
    pub currency: String,
    /// `TariffType`: `AD_HOC_PAYMENT`, `REGULAR`, …; valid for all sessions when absent.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub tariff_type: Option<String>,
    /// Human-readable texts.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub tariff_alt_text: Vec<DisplayText>,
    /// A page that explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff_alt_url: Option<String>,
    /// Whether the prices of the components are with taxes (2.3.0). Absent: 2.2.1 does not ask, its
    /// prices are without VAT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_included: Option<TaxIncluded>,
    /// What a payment terminal should reserve on a card (2.3.0 with payments).
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub preauthorize_amount: Option<Decimal>,
    /// A session costs at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_price: Option<Price>,
    /// A session costs at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<Price>,
    /// What is priced when; per dimension the first element that matches applies.
    pub elements: Vec<TariffElement>,
    /// From when it is valid.
    #[serde(default, with = "datetime::option", skip_serializing_if = "Option::is_none")]
    pub start_date_time: Option<DateTime<Utc>>,
    /// Until when it is valid.
    #[serde(default, with = "datetime::option", skip_serializing_if = "Option::is_none")]
    pub end_date_time: Option<DateTime<Utc>>,
    /// Where the energy comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_mix: Option<EnergyMix>,
    /// When it was last changed.
    #[serde(with = "datetime")]
    pub last_updated: DateTime<Utc>,
}

impl Tariff {
    /// Whether the prices of the components are with taxes, where that is not stated too.
    #[must_use]
    pub fn tax_included(&self) -> TaxIncluded {
        self.tax_included.unwrap_or(TaxIncluded::No)
    }
}

/// `TaxIncluded` enum (2.3.0): what a tariff's prices say about taxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaxIncluded {
    /// Taxes are in the prices.
    Yes,
    /// Taxes come on top of the prices.
    No,
    /// No taxes apply to the tariff.
    #[serde(rename = "N/A")]
    NotApplicable,
}

/// `DisplayText` class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisplayText {
    /// ISO 639-1 code.
    pub language: String,
    /// Plain text.
    pub text: String,
}

/// `Price` class: an amount in the currency of the object it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Without VAT.
    #[serde(with = "number")]
    pub excl_vat: Decimal,
    /// With VAT.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub incl_vat: Option<Decimal>,
}

/// `TariffElement` class: components that apply under the same restrictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TariffElement {
    /// What is priced.
    pub price_components: Vec<PriceComponent>,
    /// When; always, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<TariffRestrictions>,
}

/// `PriceComponent` class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceComponent {
    /// The dimension that is priced.
    #[serde(rename = "type")]
    pub dimension: TariffDimensionType,
    /// Price per unit: per kWh, per hour, or flat. Without taxes, unless the tariff says that they
    /// are included.
    #[serde(with = "number")]
    pub price: Decimal,
    /// VAT in percent. Absent: no VAT is stated, which is not the same as 0 %.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub vat: Option<Decimal>,
    /// The dimension is billed in blocks of this many Wh or seconds.
    pub step_size: u32,
}

/// `TariffDimensionType` enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TariffDimensionType {
    /// Per kWh; `step_size` in Wh.
    Energy,
    /// Once a session.
    Flat,
    /// Per hour not charging; `step_size` in seconds.
    ParkingTime,
    /// Per hour charging, or reserved; `step_size` in seconds.
    Time,
}

impl TariffDimensionType {
    /// The value as OCPI spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Energy => "ENERGY",
            Self::Flat => "FLAT",
            Self::ParkingTime => "PARKING_TIME",
            Self::Time => "TIME",
        }
    }
}

/// `TariffRestrictions` class: when an element is active. All that are set must hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TariffRestrictions {
    /// Local time of day `HH:MM` from which on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Local time of day `HH:MM` until which; before `start_time` means the next day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// Local date `YYYY-MM-DD` from which on, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// Local date `YYYY-MM-DD` until which, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
    /// From this energy of the session on, in kWh, inclusive.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub min_kwh: Option<Decimal>,
    /// Until this energy of the session, in kWh, exclusive.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub max_kwh: Option<Decimal>,
    /// While the current is at least this many ampere, summed over the phases.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub min_current: Option<Decimal>,
    /// While the current is below this many ampere, summed over the phases.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub max_current: Option<Decimal>,
    /// While the power is at least this many kW.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub min_power: Option<Decimal>,
    /// While the power is below this many kW.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub max_power: Option<Decimal>,
    /// From this duration of the session on, in seconds, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_duration: Option<u32>,
    /// Until this duration of the session, in seconds, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<u32>,
    /// On these local days; on all, if empty.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub day_of_week: Vec<DayOfWeek>,
    /// The element prices a reservation, not a charging session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationRestrictionType>,
    /// Restrictions that OCPI 2.2.1 does not know. Kept, because whoever prices the tariff must
    /// refuse it rather than ignore them.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// `DayOfWeek` enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the days explain themselves")]
pub enum DayOfWeek {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<DayOfWeek> for chrono::Weekday {
    fn from(day: DayOfWeek) -> Self {
        match day {
            DayOfWeek::Monday => Self::Mon,
            DayOfWeek::Tuesday => Self::Tue,
            DayOfWeek::Wednesday => Self::Wed,
            DayOfWeek::Thursday => Self::Thu,
            DayOfWeek::Friday => Self::Fri,
            DayOfWeek::Saturday => Self::Sat,
            DayOfWeek::Sunday => Self::Sun,
        }
    }
}

/// `ReservationRestrictionType` enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReservationRestrictionType {
    /// A reservation.
    Reservation,
    /// A reservation that no session followed.
    ReservationExpires,
}
