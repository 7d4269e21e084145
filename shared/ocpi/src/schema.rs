//! What OCPI's schemas ask of a tariff or CDR that is sent: lengths, characters, enum values, lists
//! that may not be empty. 2.2.1 and 2.3.0 ask the same but for what is said here.
//!
//! What a tariff means, and whether it makes sense, is not asked here.

mod check;

use crate::{
    Cdr, CdrDimensionType, CdrLocation, ChargingPeriod, SignedData, Tariff, TariffElement,
    TariffRestrictions, TaxIncluded, TokenType, Version, read::Problem,
};
use check::{Check, Text};

const TARIFF_TYPES: [&str; 5] =
    ["AD_HOC_PAYMENT", "PROFILE_CHEAP", "PROFILE_FAST", "PROFILE_GREEN", "REGULAR"];
const CONNECTOR_FORMATS: [&str; 2] = ["SOCKET", "CABLE"];
const POWER_TYPES: [&str; 5] = ["AC_1_PHASE", "AC_2_PHASE", "AC_2_PHASE_SPLIT", "AC_3_PHASE", "DC"];

/// What `version` forbids of a _Tariff_ object; nothing, if it may be sent.
#[must_use]
pub fn tariff(tariff: &Tariff, version: Version) -> Vec<Problem> {
    let mut check = Check::new(version);
    tariff_at(&mut check, tariff);
    check.into_problems()
}

/// What `version` forbids of a _CDR_ object; nothing, if it may be sent.
#[must_use]
pub fn cdr(cdr: &Cdr, version: Version) -> Vec<Problem> {
    let mut check = Check::new(version);
    owner(&mut check, &cdr.country_code, &cdr.party_id);
    let id_length = if cdr.credit == Some(true) { 39 } else { 36 };
    check.ci("id", &cdr.id, id_length);
    check.any_ci("session_id", cdr.session_id.as_ref(), 36);
    check.any_ci("authorization_reference", cdr.authorization_reference.as_ref(), 36);
    check.any_text("meter_id", cdr.meter_id.as_ref(), 255);
    check.currency(&cdr.currency);
    check.any_text("remark", cdr.remark.as_ref(), 255);
    check.any_ci("invoice_reference_id", cdr.invoice_reference_id.as_ref(), 39);
    check.any_ci("credit_reference_id", cdr.credit_reference_id.as_ref(), 39);
    if cdr.credit == Some(true) && cdr.credit_reference_id.is_none() {
        check.problem("credit_reference_id", "missing; a credit CDR names the CDR it takes back");
    }
    if cdr.end_date_time < cdr.start_date_time {
        check.problem("end_date_time", "before start_date_time");
    }
    check.within("cdr_token", |check| {
        let token = &cdr.cdr_token;
        owner(check, &token.country_code, &token.party_id);
        check.ci("uid", &token.uid, 36);
        check.ci("contract_id", &token.contract_id, 36);
        if token.token_type == TokenType::Emaid && check.version() < Version::V2_3_0 {
            check.problem("type", "OCPI 2.2.1 has no EMAID");
        }
    });
    check.within("cdr_location", |check| location_at(check, &cdr.cdr_location));
    check.each("tariffs", &cdr.tariffs, tariff_at);
    check.not_empty("charging_periods", &cdr.charging_periods);
    check.each("charging_periods", &cdr.charging_periods, period_at);
    if let Some(signed) = &cdr.signed_data {
        check.within("signed_data", |check| signed_at(check, signed));
    }
    check.into_problems()
}

fn owner(check: &mut Check, country_code: &str, party_id: &str) {
    check.code("country_code", country_code, 2, "ISO 3166-1 alpha-2");
    check.code("party_id", party_id, 3, "ISO 15118");
}

fn tariff_at(check: &mut Check, tariff: &Tariff) {
    owner(check, &tariff.country_code, &tariff.party_id);
    check.ci("id", &tariff.id, 36);
    check.currency(&tariff.currency);
    check.any_of("type", tariff.tariff_type.as_ref(), &TARIFF_TYPES);
    check.each("tariff_alt_text", &tariff.tariff_alt_text, |check, shown| {
        check.code("language", &shown.language, 2, "ISO 639-1");
        check.text("text", &shown.text, 512);
    });
    check.any_text("tariff_alt_url", tariff.tariff_alt_url.as_ref(), 255);
    if check.version() < Version::V2_3_0 && tariff.tax_included() == TaxIncluded::Yes {
        check.problem("tax_included", "OCPI 2.2.1 has no prices with taxes; state them without");
    }
    check.not_empty("elements", &tariff.elements);
    check.each("elements", &tariff.elements, element_at);
    if let Some(mix) = &tariff.energy_mix {
        check.within("energy_mix", |check| {
            check.any_text("supplier_name", mix.supplier_name.as_ref(), 64);
            check.any_text("energy_product_name", mix.energy_product_name.as_ref(), 64);
        });
    }
}

fn element_at(check: &mut Check, element: &TariffElement) {
    check.not_empty("price_components", &element.price_components);
    if let Some(restrictions) = &element.restrictions {
        check.within("restrictions", |check| restrictions_at(check, restrictions));
    }
}

fn restrictions_at(check: &mut Check, restrictions: &TariffRestrictions) {
    for (name, time) in
        [("start_time", &restrictions.start_time), ("end_time", &restrictions.end_time)]
    {
        check.form(name, time.as_ref(), Text::TimeOfDay);
    }
    for (name, date) in
        [("start_date", &restrictions.start_date), ("end_date", &restrictions.end_date)]
    {
        check.form(name, date.as_ref(), Text::Date);
    }
    for name in restrictions.other.keys() {
        check.problem(name, "no restriction of OCPI");
    }
}

fn location_at(check: &mut Check, location: &CdrLocation) {
    check.ci("id", &location.id, 36);
    check.any_text("name", location.name.as_ref(), 255);
    check.text("address", &location.address, 45);
    check.text("city", &location.city, 45);
    check.any_text("postal_code", location.postal_code.as_ref(), 10);
    check.any_text("state", location.state.as_ref(), 20);
    check.code("country", &location.country, 3, "ISO 3166-1 alpha-3");
    check.within("coordinates", |check| {
        check.form("latitude", Some(&location.coordinates.latitude), Text::Degrees(2));
        check.form("longitude", Some(&location.coordinates.longitude), Text::Degrees(3));
    });
    check.ci("evse_uid", &location.evse_uid, 36);
    check.ci("evse_id", &location.evse_id, 48);
    check.ci("connector_id", &location.connector_id, 36);
    check.any_of("connector_format", Some(&location.connector_format), &CONNECTOR_FORMATS);
    check.any_of("connector_power_type", Some(&location.connector_power_type), &POWER_TYPES);
}

fn period_at(check: &mut Check, period: &ChargingPeriod) {
    check.any_ci("tariff_id", period.tariff_id.as_ref(), 36);
    check.not_empty("dimensions", &period.dimensions);
    check.each("dimensions", &period.dimensions, |check, stated| match stated.dimension {
        CdrDimensionType::Unknown => check.problem("type", "no CdrDimensionType"),
        CdrDimensionType::Current
        | CdrDimensionType::EnergyExport
        | CdrDimensionType::EnergyImport
        | CdrDimensionType::Power
        | CdrDimensionType::StateOfCharge => check.problem("type", "for sessions, not for CDRs"),
        _ => {}
    });
}

fn signed_at(check: &mut Check, signed: &SignedData) {
    check.ci("encoding_method", &signed.encoding_method, 36);
    check.any_text("public_key", signed.public_key.as_ref(), 512);
    check.any_text("url", signed.url.as_ref(), 512);
    check.not_empty("signed_values", &signed.signed_values);
    check.each("signed_values", &signed.signed_values, |check, value| {
        check.ci("nature", &value.nature, 32);
        // Readings of some meters have line breaks; the chapter names no format.
        check.length("plain_data", &value.plain_data, 5000);
        check.length("signed_data", &value.signed_data, 5000);
    });
}

#[cfg(test)]
mod tests;
