//! Reads a _CDR_ object of any version into the one that everything works with.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    node::Node,
    tariff::{currency, tariff_at},
};
use crate::{
    AuthMethod, Cdr, CdrDimension, CdrDimensionType, CdrLocation, CdrToken, ChargingPeriod,
    GeoLocation, Price, Tariff, TokenType, Version, v2_1_1,
};

pub(super) fn cdr_at(node: &Node) -> Cdr {
    let early = node.version() == Version::V2_1_1;
    let start_date_time = node.field("start_date_time").date_time();
    let end = if early { "stop_date_time" } else { "end_date_time" };
    let end_date_time = node.field(end).date_time();
    let currency = currency(&node.field("currency"));
    let periods = periods_at(&node.field("charging_periods"), start_date_time, end_date_time);
    let mut energies = periods.iter().filter_map(|p| p.volume(CdrDimensionType::Energy));
    let energy = energies.try_fold(Decimal::ZERO, Decimal::checked_add).unwrap_or_default();
    let mut cdr = Cdr {
        country_code: "#NA".to_owned(),
        party_id: "#NA".to_owned(),
        id: node.field("id").text_or_na(),
        start_date_time,
        end_date_time,
        session_id: None,
        cdr_token: if early { v2_1_1::token(node) } else { token_at(&node.field("cdr_token")) },
        auth_method: node.field("auth_method").parsed().unwrap_or(AuthMethod::Whitelist),
        authorization_reference: None,
        cdr_location: if early {
            v2_1_1::location_at(&node.field("location"))
        } else {
            location_at(&node.field("cdr_location"))
        },
        meter_id: node.field("meter_id").any_text(),
        currency,
        tariffs: tariffs_at(&node.field("tariffs")),
        charging_periods: periods,
        signed_data: None,
        total_cost: cost_at(&node.field("total_cost")).unwrap_or(NOTHING),
        total_fixed_cost: None,
        total_energy: node.field("total_energy").any_number().unwrap_or(energy),
        total_energy_cost: None,
        total_time: node.field("total_time").any_number().unwrap_or_default(),
        total_time_cost: None,
        total_parking_time: node.field("total_parking_time").any_number(),
        total_parking_cost: None,
        total_reservation_cost: None,
        remark: node.field("remark").any_text(),
        invoice_reference_id: None,
        credit: None,
        credit_reference_id: None,
        home_charging_compensation: None,
        last_updated: node.field("last_updated").any_date_time().unwrap_or_default(),
    };
    if !early {
        since_2_2_1(node, &mut cdr);
    }
    cdr
}

const NOTHING: Price = Price { excl_vat: Decimal::ZERO, incl_vat: None };

/// The fields that 2.1.1 does not know.
fn since_2_2_1(node: &Node, cdr: &mut Cdr) {
    let text = |name| node.field(name).any_text();
    let cost = |name| cost_at(&node.field(name));
    cdr.country_code = node.field("country_code").text_or_na();
    cdr.party_id = node.field("party_id").text_or_na();
    cdr.session_id = text("session_id");
    cdr.authorization_reference = text("authorization_reference");
    cdr.signed_data = node.field("signed_data").parsed();
    cdr.total_fixed_cost = cost("total_fixed_cost");
    cdr.total_energy_cost = cost("total_energy_cost");
    cdr.total_time_cost = cost("total_time_cost");
    cdr.total_parking_cost = cost("total_parking_cost");
    cdr.total_reservation_cost = cost("total_reservation_cost");
    cdr.invoice_reference_id = text("invoice_reference_id");
    cdr.credit = node.field("credit").parsed();
    cdr.credit_reference_id = text("credit_reference_id");
    cdr.home_charging_compensation = node.field("home_charging_compensation").parsed();
}

/// The tariffs of a CDR. It can be priced with another one, so that a bad one is only left out.
fn tariffs_at(node: &Node) -> Vec<Tariff> {
    node.any_list().iter().filter_map(|tariff| tariff.apart(tariff_at)).collect()
}

/// What a CDR says it costs, which no price depends on.
fn cost_at(node: &Node) -> Option<Price> {
    let node = node.present()?;
    if node.version() == Version::V2_1_1 {
        return node.any_number().map(|excl_vat| Price { excl_vat, incl_vat: None });
    }
    node.apart(if node.version() >= Version::V2_3_0 { taxed_at } else { price_at })
}

fn price_at(node: &Node) -> Price {
    Price {
        excl_vat: node.field("excl_vat").number(),
        incl_vat: node.field("incl_vat").present().map(|incl| incl.number()),
    }
}

/// A `Price` of 2.3.0. Without taxes it is not known what comes on top.
fn taxed_at(node: &Node) -> Price {
    let excl_vat = node.field("before_taxes").number();
    let taxes = node.field("taxes").any_list();
    let amounts = taxes.iter().map(|tax| tax.field("amount").number());
    let sum = amounts.into_iter().try_fold(excl_vat, Decimal::checked_add);
    if sum.is_none() {
        node.problem("the taxes add up to more than a number holds");
    }
    Price { excl_vat, incl_vat: sum.filter(|_| !taxes.is_empty()) }
}

fn periods_at(node: &Node, start: DateTime<Utc>, end: DateTime<Utc>) -> Vec<ChargingPeriod> {
    let list = node.list();
    if list.is_empty() && node.is_list() {
        node.problem("empty; a CDR has at least one charging period");
    }
    if end < start {
        node.problem("the CDR ends before it starts");
    }
    let mut latest = None;
    let mut periods = Vec::with_capacity(list.len());
    for period in &list {
        let begins = period.field("start_date_time");
        let start_date_time = begins.date_time();
        if latest.is_some_and(|latest| start_date_time < latest) {
            begins.problem("starts before the period in front of it");
        }
        if start_date_time > end && end >= start {
            begins.problem("starts after the end of the CDR");
        }
        latest = latest.max(Some(start_date_time));
        let dimensions = period.field("dimensions").list();
        let names_tariff = period.version() >= Version::V2_2_1;
        periods.push(ChargingPeriod {
            start_date_time,
            dimensions: dimensions.iter().filter_map(dimension_at).collect(),
            tariff_id: names_tariff.then(|| period.field("tariff_id").any_text()).flatten(),
        });
    }
    periods
}

fn dimension_at(node: &Node) -> Option<CdrDimension> {
    let kind = node.field("type");
    if kind.version() == Version::V2_1_1 && kind.any_text().as_deref() == Some("FLAT") {
        kind.left_out("a flat fee has no volume; the tariff says when it is due");
        node.field("volume");
        return None;
    }
    let dimension: CdrDimensionType = kind.value("a CdrDimensionType")?;
    if dimension == CdrDimensionType::Unknown {
        kind.left_out("nothing prices this dimension; only its volume is kept");
    }
    let volume = node.field("volume").number();
    let may_be_negative = matches!(
        dimension,
        CdrDimensionType::Current
            | CdrDimensionType::Power
            | CdrDimensionType::MinCurrent
            | CdrDimensionType::MinPower
            | CdrDimensionType::Unknown
    );
    if volume < Decimal::ZERO && !may_be_negative {
        node.field("volume").problem(&format!("{volume} is negative"));
    }
    Some(CdrDimension { dimension, volume })
}

fn token_at(node: &Node) -> CdrToken {
    CdrToken {
        country_code: node.field("country_code").text_or_na(),
        party_id: node.field("party_id").text_or_na(),
        uid: node.field("uid").text_or_na(),
        token_type: node.field("type").parsed().unwrap_or(TokenType::Other),
        contract_id: node.field("contract_id").text_or_na(),
    }
}

fn location_at(node: &Node) -> CdrLocation {
    CdrLocation {
        state: node.field("state").any_text(),
        evse_uid: node.field("evse_uid").text_or_na(),
        evse_id: node.field("evse_id").text_or_na(),
        connector_id: node.field("connector_id").text_or_na(),
        connector_standard: node.field("connector_standard").text_or_na(),
        connector_format: node.field("connector_format").text_or_na(),
        connector_power_type: node.field("connector_power_type").text_or_na(),
        ..place_at(node)
    }
}

/// Where, without the connector.
pub(crate) fn place_at(node: &Node) -> CdrLocation {
    let coordinates = node.field("coordinates");
    let unknown = || "#NA".to_owned();
    CdrLocation {
        id: node.field("id").text_or_na(),
        name: node.field("name").any_text(),
        address: node.field("address").text_or_na(),
        city: node.field("city").text_or_na(),
        postal_code: node.field("postal_code").any_text(),
        state: None,
        country: node.field("country").text_or_na(),
        coordinates: GeoLocation {
            latitude: coordinates.field("latitude").text_or_na(),
            longitude: coordinates.field("longitude").text_or_na(),
        },
        evse_uid: unknown(),
        evse_id: unknown(),
        connector_id: unknown(),
        connector_standard: unknown(),
        connector_format: unknown(),
        connector_power_type: unknown(),
    }
}
