//! CDRs module: the object as OCPI 2.2.1 spells it (`mod_cdrs.asciidoc`). Everything inside works
//! with this one.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Price, Tariff, datetime, null_as_default, number};

/// `CDR` object: a concluded session and its costs. Immutable once sent.
///
/// Since 2.2.1 its fields are the same in every version; `P` is the version's price, and `T` its
/// tariff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "P: Serialize, T: Serialize",
    deserialize = "P: Deserialize<'de>, T: Deserialize<'de>"
))]
pub struct Cdr<P = Price, T = Tariff> {
    /// ISO 3166-1 alpha-2 code of the CPO that owns it.
    pub country_code: String,
    /// ISO 15118 id of the CPO that owns it.
    pub party_id: String,
    /// `CiString(39)`, unique per CPO.
    pub id: String,
    /// Start of the session, or of the reservation before it.
    #[serde(with = "datetime")]
    pub start_date_time: DateTime<Utc>,
    /// When the session was completed, parking included.
    #[serde(with = "datetime")]
    pub end_date_time: DateTime<Utc>,
    /// The session it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The token that started it.
    pub cdr_token: CdrToken,
    /// How it was authorized.
    pub auth_method: AuthMethod,
    /// The eMSP's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_reference: Option<String>,
    /// Where it took place.
    pub cdr_location: CdrLocation,
    /// The meter inside the charge point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter_id: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// The tariffs that apply.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub tariffs: Vec<T>,
    /// What happened, in order of time.
    pub charging_periods: Vec<ChargingPeriod>,
    /// Signed meter data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_data: Option<SignedData>,
    /// All costs.
    pub total_cost: P,
    /// Fixed costs, such as a start fee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_fixed_cost: Option<P>,
    /// Energy in kWh.
    #[serde(with = "number")]
    pub total_energy: Decimal,
    /// Cost of energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_energy_cost: Option<P>,
    /// Hours of the session, charging and not.
    #[serde(with = "number")]
    pub total_time: Decimal,
    /// Cost of charging time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_time_cost: Option<P>,
    /// Hours not charging.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub total_parking_time: Option<Decimal>,
    /// Cost of parking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_parking_cost: Option<P>,
    /// Cost of the reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_reservation_cost: Option<P>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// An invoice to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_reference_id: Option<String>,
    /// Whether it takes back another CDR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<bool>,
    /// The CDR it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_reference_id: Option<String>,
    /// Whether a driver's own home charger is compensated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_charging_compensation: Option<bool>,
    /// When it was made.
    #[serde(with = "datetime")]
    pub last_updated: DateTime<Utc>,
}

impl Cdr {
    /// The Credit CDR that takes this one back, made at `now`: all its data, an id and a
    /// `last_updated` of its own, and a negative `total_cost`; nothing else changes
    /// (`mod_cdrs.asciidoc`, "Credit CDRs"). The id is the original's with `-C`, so that there is
    /// only one.
    #[must_use]
    pub fn credited(&self, now: DateTime<Utc>) -> Self {
        let Price { excl_vat, incl_vat } = self.total_cost;
        Self {
            id: format!("{}-C", self.id),
            total_cost: Price { excl_vat: -excl_vat, incl_vat: incl_vat.map(|price| -price) },
            credit: Some(true),
            credit_reference_id: Some(self.id.clone()),
            last_updated: now,
            ..self.clone()
        }
    }
}

/// `CdrToken` class. It names a person: do not log it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdrToken {
    /// ISO 3166-1 alpha-2 code of the eMSP that owns the token.
    pub country_code: String,
    /// ISO 15118 id of the eMSP that owns the token.
    pub party_id: String,
    /// What the reader saw.
    pub uid: String,
    /// What kind of token it is.
    #[serde(rename = "type")]
    pub token_type: TokenType,
    /// The driver's contract (eMA id).
    pub contract_id: String,
}

/// `TokenType` enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TokenType {
    /// Used once.
    AdHocUser,
    /// A user of an app.
    AppUser,
    /// The vehicle's contract, by ISO 15118; since 2.3.0.
    Emaid,
    /// A card or fob.
    Rfid,
    /// Something else; also any value that OCPI 2.3.0 does not know.
    #[serde(other)]
    Other,
}

/// `AuthMethod` enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthMethod {
    /// The eMSP was asked.
    AuthRequest,
    /// A command such as `StartSession`.
    Command,
    /// Known here, nobody was asked.
    Whitelist,
}

/// `CdrLocation` class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdrLocation {
    /// `CiString(36)`.
    pub id: String,
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Street and number, string(45).
    pub address: String,
    /// City, string(45).
    pub city: String,
    /// Postal code, string(10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// State or province.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// ISO 3166-1 alpha-3.
    pub country: String,
    /// Position.
    pub coordinates: GeoLocation,
    /// `CiString(36)`.
    pub evse_uid: String,
    /// eMI3 EVSE id, `CiString(48)`.
    pub evse_id: String,
    /// `CiString(36)`.
    pub connector_id: String,
    /// `ConnectorType`, e.g. `IEC_62196_T2`.
    pub connector_standard: String,
    /// `ConnectorFormat`: `SOCKET` or `CABLE`.
    pub connector_format: String,
    /// `PowerType`, e.g. `AC_3_PHASE`.
    pub connector_power_type: String,
}

/// `GeoLocation` class; OCPI writes coordinates as strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoLocation {
    /// Decimal degrees north.
    pub latitude: String,
    /// Decimal degrees east.
    pub longitude: String,
}

/// `ChargingPeriod` class; it ends where the next one starts, the last with the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargingPeriod {
    /// Its start.
    #[serde(with = "datetime")]
    pub start_date_time: DateTime<Utc>,
    /// What happened in it.
    pub dimensions: Vec<CdrDimension>,
    /// The tariff that applies; none, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff_id: Option<String>,
}

impl ChargingPeriod {
    /// The volume it states for `dimension`.
    #[must_use]
    pub fn volume(&self, dimension: CdrDimensionType) -> Option<Decimal> {
        self.dimensions.iter().find(|stated| stated.dimension == dimension).map(|d| d.volume)
    }
}

/// `CdrDimension` class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdrDimension {
    /// What is measured.
    #[serde(rename = "type")]
    pub dimension: CdrDimensionType,
    /// How much, in the dimension's own unit.
    #[serde(with = "number")]
    pub volume: Decimal,
}

/// `CdrDimensionType` enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CdrDimensionType {
    /// Average current in A. Sessions only.
    Current,
    /// Energy in kWh.
    Energy,
    /// Energy fed back, in kWh. Sessions only.
    EnergyExport,
    /// Energy charged, in kWh. Sessions only.
    EnergyImport,
    /// Highest current in A, summed over the phases.
    MaxCurrent,
    /// Lowest current in A, summed over the phases.
    MinCurrent,
    /// Highest power in kW.
    MaxPower,
    /// Lowest power in kW.
    MinPower,
    /// Hours in which the vehicle did not ask for power.
    ParkingTime,
    /// Average power in kW. Sessions only.
    Power,
    /// Hours reserved.
    ReservationTime,
    /// Percent. Sessions only.
    StateOfCharge,
    /// Hours charging.
    Time,
    /// A dimension that OCPI does not know; nothing in it prices it.
    #[serde(other)]
    Unknown,
}

/// `SignedData` class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedData {
    /// `OCMF`, ….
    pub encoding_method: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding_method_version: Option<i64>,
    /// Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The signed readings.
    pub signed_values: Vec<SignedValue>,
    /// Where a driver can check them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// `SignedValue` class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedValue {
    /// `Start`, `Intermediate` or `End`.
    pub nature: String,
    /// The plain reading.
    pub plain_data: String,
    /// The signed reading, base64.
    pub signed_data: String,
}
