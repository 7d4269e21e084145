//! OCPI 2.3.0 (`2.3.0/release/core`, and `preauthorize_amount` of `2.3.0/release/payments`), read and
//! written.
//!
//! What differs from 2.2.1, and how it is carried:
//! - A tariff says whether its prices are with taxes (`tax_included`). The prices of 2.2.1 are
//!   without VAT, so that a tariff that does not say is written as `NO`, and read as that: the
//!   chapter's own CDR example has a tariff without the field.
//! - `min_price` and `max_price` are a [`PriceLimit`]: other names, the same meaning.
//! - A price of a CDR names each of its taxes ([`TaxAmount`]) where 2.2.1 has one amount with VAT.
//!   Written, the taxes come from whoever priced the session ([`Taxes`]); read by [`crate::read`],
//!   only their sum is kept.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    DisplayText, EnergyMix, TariffElement, TaxIncluded, datetime, null_as_default, number,
    read::Problem,
};

/// `CDR` object.
pub type Cdr = crate::Cdr<Price, Tariff>;

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
    /// `TariffType`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub tariff_type: Option<String>,
    /// Human-readable texts.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub tariff_alt_text: Vec<DisplayText>,
    /// A page that explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff_alt_url: Option<String>,
    /// What a payment terminal should reserve on a card.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub preauthorize_amount: Option<Decimal>,
    /// A session costs at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_price: Option<PriceLimit>,
    /// A session costs at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<PriceLimit>,
    /// What is priced when.
    pub elements: Vec<TariffElement>,
    /// Whether the prices of the components are with taxes.
    #[serde(default = "not_included")]
    pub tax_included: TaxIncluded,
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

fn not_included() -> TaxIncluded {
    TaxIncluded::No
}

/// `PriceLimit` class: the least or most that a session costs. Both amounts apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceLimit {
    /// Without taxes.
    #[serde(with = "number")]
    pub before_taxes: Decimal,
    /// With taxes.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub after_taxes: Option<Decimal>,
}

/// `Price` class: an amount in the currency of the object it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Without taxes.
    #[serde(with = "number")]
    pub before_taxes: Decimal,
    /// Each tax on it.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<TaxAmount>,
}

/// `TaxAmount` class: one tax that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxAmount {
    /// What it is called: `VAT`, `QST`, ….
    pub name: String,
    /// Tax account of the business that remits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
    /// Its rate in percent.
    #[serde(default, with = "number::option", skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Decimal>,
    /// What is due of it.
    #[serde(with = "number")]
    pub amount: Decimal,
}

/// The taxes of each price of a CDR. Where there are none, what a price states with VAT is written
/// as one tax called VAT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taxes {
    /// Of `total_cost`.
    pub total: Vec<TaxAmount>,
    /// Of `total_fixed_cost`.
    pub fixed: Vec<TaxAmount>,
    /// Of `total_energy_cost`.
    pub energy: Vec<TaxAmount>,
    /// Of `total_time_cost`.
    pub time: Vec<TaxAmount>,
    /// Of `total_parking_cost`.
    pub parking: Vec<TaxAmount>,
    /// Of `total_reservation_cost`.
    pub reservation: Vec<TaxAmount>,
}

impl Taxes {
    /// The taxes of the Credit CDR that takes back a CDR with these: those of the total are negative,
    /// as the total is, and nothing else changes. See [`crate::Cdr::credited`].
    #[must_use]
    pub fn credited(self) -> Self {
        let negated = |tax: TaxAmount| TaxAmount { amount: -tax.amount, ..tax };
        Self { total: self.total.into_iter().map(negated).collect(), ..self }
    }
}

impl From<crate::Price> for PriceLimit {
    fn from(price: crate::Price) -> Self {
        Self { before_taxes: price.excl_vat, after_taxes: price.incl_vat }
    }
}

impl From<PriceLimit> for crate::Price {
    fn from(limit: PriceLimit) -> Self {
        Self { excl_vat: limit.before_taxes, incl_vat: limit.after_taxes }
    }
}

impl From<crate::Tariff> for Tariff {
    fn from(tariff: crate::Tariff) -> Self {
        Self {
            tax_included: tariff.tax_included(),
            country_code: tariff.country_code,
            party_id: tariff.party_id,
            id: tariff.id,
            currency: tariff.currency,
            tariff_type: tariff.tariff_type,
            tariff_alt_text: tariff.tariff_alt_text,
            tariff_alt_url: tariff.tariff_alt_url,
            preauthorize_amount: tariff.preauthorize_amount,
            min_price: tariff.min_price.map(PriceLimit::from),
            max_price: tariff.max_price.map(PriceLimit::from),
            elements: tariff.elements,
            start_date_time: tariff.start_date_time,
            end_date_time: tariff.end_date_time,
            energy_mix: tariff.energy_mix,
            last_updated: tariff.last_updated,
        }
    }
}

impl From<Tariff> for crate::Tariff {
    fn from(tariff: Tariff) -> Self {
        Self {
            country_code: tariff.country_code,
            party_id: tariff.party_id,
            id: tariff.id,
            currency: tariff.currency,
            tariff_type: tariff.tariff_type,
            tariff_alt_text: tariff.tariff_alt_text,
            tariff_alt_url: tariff.tariff_alt_url,
            tax_included: Some(tariff.tax_included),
            preauthorize_amount: tariff.preauthorize_amount,
            min_price: tariff.min_price.map(crate::Price::from),
            max_price: tariff.max_price.map(crate::Price::from),
            elements: tariff.elements,
            start_date_time: tariff.start_date_time,
            end_date_time: tariff.end_date_time,
            energy_mix: tariff.energy_mix,
            last_updated: tariff.last_updated,
        }
    }
}

/// The CDR in 2.3.0, its prices with `taxes`.
///
/// # Errors
///
/// Every price whose taxes do not add up to what it states with VAT.
pub fn cdr(cdr: crate::Cdr, taxes: Taxes) -> Result<Cdr, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut with = |name: &str, price: Option<crate::Price>, taxes: Vec<TaxAmount>| {
        let price = taxed(price, taxes);
        let message = price.as_ref().err().map(|message| (*message).to_owned());
        let path = format!("{name}.taxes");
        problems.extend(message.map(|message| Problem { path, message }));
        price.ok().flatten()
    };
    let total_cost = with("total_cost", Some(cdr.total_cost), taxes.total);
    let result = Cdr {
        country_code: cdr.country_code,
        party_id: cdr.party_id,
        id: cdr.id,
        start_date_time: cdr.start_date_time,
        end_date_time: cdr.end_date_time,
        session_id: cdr.session_id,
        cdr_token: cdr.cdr_token,
        auth_method: cdr.auth_method,
        authorization_reference: cdr.authorization_reference,
        cdr_location: cdr.cdr_location,
        meter_id: cdr.meter_id,
        currency: cdr.currency,
        tariffs: cdr.tariffs.into_iter().map(Tariff::from).collect(),
        charging_periods: cdr.charging_periods,
        signed_data: cdr.signed_data,
        total_cost: total_cost.unwrap_or(NOTHING),
        total_fixed_cost: with("total_fixed_cost", cdr.total_fixed_cost, taxes.fixed),
        total_energy: cdr.total_energy,
        total_energy_cost: with("total_energy_cost", cdr.total_energy_cost, taxes.energy),
        total_time: cdr.total_time,
        total_time_cost: with("total_time_cost", cdr.total_time_cost, taxes.time),
        total_parking_time: cdr.total_parking_time,
        total_parking_cost: with("total_parking_cost", cdr.total_parking_cost, taxes.parking),
        total_reservation_cost: with(
            "total_reservation_cost",
            cdr.total_reservation_cost,
            taxes.reservation,
        ),
        remark: cdr.remark,
        invoice_reference_id: cdr.invoice_reference_id,
        credit: cdr.credit,
        credit_reference_id: cdr.credit_reference_id,
        home_charging_compensation: cdr.home_charging_compensation,
        last_updated: cdr.last_updated,
    };
    if problems.is_empty() { Ok(result) } else { Err(problems) }
}

const NOTHING: Price = Price { before_taxes: Decimal::ZERO, taxes: Vec::new() };

/// The price with its taxes, or why they are not its taxes.
fn taxed(
    price: Option<crate::Price>,
    taxes: Vec<TaxAmount>,
) -> Result<Option<Price>, &'static str> {
    let Some(price) = price else {
        let stated = "taxes of a price that is not stated";
        return if taxes.is_empty() { Ok(None) } else { Err(stated) };
    };
    let before_taxes = price.excl_vat;
    let Some(after_taxes) = price.incl_vat else { return Ok(Some(Price { before_taxes, taxes })) };
    let due = after_taxes.checked_sub(before_taxes).ok_or("more than a number holds")?;
    if taxes.is_empty() {
        let vat = TaxAmount {
            name: "VAT".to_owned(),
            account_number: None,
            percentage: None,
            amount: due,
        };
        let taxes = if due.is_zero() { Vec::new() } else { vec![vat] };
        return Ok(Some(Price { before_taxes, taxes }));
    }
    let amounts = taxes.iter().map(|tax| tax.amount);
    let sum = amounts.into_iter().try_fold(Decimal::ZERO, Decimal::checked_add);
    if sum != Some(due) {
        return Err("do not add up to the difference of the price with and without VAT");
    }
    Ok(Some(Price { before_taxes, taxes }))
}
