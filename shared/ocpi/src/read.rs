//! Reads tariffs and CDRs that others wrote: all that is wrong is told at once, and what does not
//! matter to a price may be missing.
//!
//! serde's own reading stops at the first problem and insists on every field. A tariff or CDR from
//! a file, a partner or a form is read here; a field that no price depends on and that is missing
//! becomes `#NA`, as OCPI writes what is not available.

mod node;

use std::fmt;

use quantities::{Currency, TaxPercent};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::{
    AuthMethod, Cdr, CdrDimension, CdrDimensionType, CdrLocation, CdrToken, ChargingPeriod,
    GeoLocation, Price, PriceComponent, Tariff, TariffElement, TariffRestrictions, TokenType,
};
use node::Node;

/// Something wrong with a tariff or CDR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `elements[0].price_components[1].price`; empty for the whole text.
    pub path: String,
    /// What.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Reads a _Tariff_ object.
///
/// # Errors
///
/// Every problem found.
pub fn tariff(text: &str) -> Result<Tariff, Vec<Problem>> {
    read(text, tariff_at)
}

/// Reads a _CDR_ object.
///
/// # Errors
///
/// Every problem found.
pub fn cdr(text: &str) -> Result<Cdr, Vec<Problem>> {
    read(text, cdr_at)
}

fn read<T>(text: &str, read: impl FnOnce(&Node) -> T) -> Result<T, Vec<Problem>> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        vec![Problem { path: String::new(), message: format!("not JSON: {error}") }]
    })?;
    let root = Node::root(&value);
    let result = if value.is_object() {
        Some(read(&root))
    } else {
        root.problem("not a JSON object");
        None
    };
    let problems = root.into_problems();
    result.filter(|_| problems.is_empty()).ok_or(problems)
}

fn tariff_at(node: &Node) -> Tariff {
    let elements = node.field("elements").list();
    if elements.is_empty() && node.field("elements").is_list() {
        node.field("elements").problem("empty; a tariff has at least one element");
    }
    Tariff {
        country_code: node.field("country_code").text_or_na(),
        party_id: node.field("party_id").text_or_na(),
        id: node.field("id").text_or_na(),
        currency: currency(&node.field("currency")),
        tariff_type: node.field("type").any_text(),
        tariff_alt_text: node.field("tariff_alt_text").parsed_or_default(),
        tariff_alt_url: node.field("tariff_alt_url").any_text(),
        tax_included: node
            .field("tax_included")
            .present()
            .and_then(|stated| stated.value("YES, NO or N/A")),
        preauthorize_amount: node.field("preauthorize_amount").parsed_number(),
        min_price: node.field("min_price").present().map(|price| price_at(&price)),
        max_price: node.field("max_price").present().map(|price| price_at(&price)),
        elements: elements.iter().map(element_at).collect(),
        start_date_time: node.field("start_date_time").present().map(|at| at.date_time()),
        end_date_time: node.field("end_date_time").present().map(|at| at.date_time()),
        energy_mix: node.field("energy_mix").parsed(),
        last_updated: node.field("last_updated").any_date_time().unwrap_or_default(),
    }
}

fn currency(node: &Node) -> String {
    let code = node.text();
    if !code.is_empty() && code.parse::<Currency>().is_err() {
        node.problem(&format!("`{code}` is not an ISO 4217 currency code"));
    }
    code
}

fn price_at(node: &Node) -> Price {
    Price {
        excl_vat: node.field("excl_vat").number(),
        incl_vat: node.field("incl_vat").present().map(|incl| incl.number()),
    }
}

fn element_at(node: &Node) -> TariffElement {
    let components = node.field("price_components");
    let list = components.list();
    if list.is_empty() && components.is_list() {
        components.problem("empty; an element has at least one price component");
    }
    TariffElement {
        price_components: list.iter().filter_map(component_at).collect(),
        restrictions: node.field("restrictions").present().map(|stated| restrictions_at(&stated)),
    }
}

fn component_at(node: &Node) -> Option<PriceComponent> {
    let dimension = node.field("type").value("ENERGY, FLAT, PARKING_TIME or TIME");
    let vat = node.field("vat").present().map(|vat| {
        let percent = vat.number();
        if TaxPercent::try_from(percent).is_err() {
            vat.problem(&format!("{percent} is not a percentage from 0 to 100"));
        }
        percent
    });
    let price = node.field("price").number();
    // Without a step size there is nothing to round up to.
    let step_size = node.field("step_size").present().map_or(1, |step| step.integer());
    Some(PriceComponent { dimension: dimension?, price, vat, step_size })
}

fn restrictions_at(node: &Node) -> TariffRestrictions {
    let known = [
        "start_time",
        "end_time",
        "start_date",
        "end_date",
        "min_kwh",
        "max_kwh",
        "min_current",
        "max_current",
        "min_power",
        "max_power",
        "min_duration",
        "max_duration",
        "day_of_week",
        "reservation",
    ];
    let number = |name| node.field(name).present().map(|field| field.number());
    let integer = |name| node.field(name).present().map(|field| field.integer());
    let days = node.field("day_of_week");
    let days = if days.present().is_some() { days.list() } else { Vec::new() };
    TariffRestrictions {
        start_time: node.field("start_time").present().map(|time| time.time_of_day()),
        end_time: node.field("end_time").present().map(|time| time.time_of_day()),
        start_date: node.field("start_date").present().map(|date| date.date()),
        end_date: node.field("end_date").present().map(|date| date.date()),
        min_kwh: number("min_kwh"),
        max_kwh: number("max_kwh"),
        min_current: number("min_current"),
        max_current: number("max_current"),
        min_power: number("min_power"),
        max_power: number("max_power"),
        min_duration: integer("min_duration"),
        max_duration: integer("max_duration"),
        day_of_week: days.iter().filter_map(|day| day.value("MONDAY to SUNDAY")).collect(),
        reservation: node
            .field("reservation")
            .present()
            .and_then(|kind| kind.value("RESERVATION or RESERVATION_EXPIRES")),
        other: node.fields_beside(&known),
    }
}

fn cdr_at(node: &Node) -> Cdr {
    let text = |name| node.field(name).any_text();
    let cost = |name| node.field(name).any_price();
    let start_date_time = node.field("start_date_time").date_time();
    let end_date_time = node.field("end_date_time").date_time();
    let currency = currency(&node.field("currency"));
    let periods = periods_at(&node.field("charging_periods"), start_date_time, end_date_time);
    let mut energies = periods.iter().filter_map(|p| p.volume(CdrDimensionType::Energy));
    let energy = energies.try_fold(Decimal::ZERO, Decimal::checked_add).unwrap_or_default();
    Cdr {
        country_code: node.field("country_code").text_or_na(),
        party_id: node.field("party_id").text_or_na(),
        id: node.field("id").text_or_na(),
        start_date_time,
        end_date_time,
        session_id: text("session_id"),
        cdr_token: token_at(&node.field("cdr_token")),
        auth_method: node.field("auth_method").parsed().unwrap_or(AuthMethod::Whitelist),
        authorization_reference: text("authorization_reference"),
        cdr_location: location_at(&node.field("cdr_location")),
        meter_id: text("meter_id"),
        currency,
        tariffs: node.field("tariffs").parsed_or_default(),
        charging_periods: periods,
        signed_data: node.field("signed_data").parsed(),
        total_cost: cost("total_cost").unwrap_or(Price { excl_vat: Decimal::ZERO, incl_vat: None }),
        total_fixed_cost: cost("total_fixed_cost"),
        total_energy: node.field("total_energy").parsed_number().unwrap_or(energy),
        total_energy_cost: cost("total_energy_cost"),
        total_time: node.field("total_time").parsed_number().unwrap_or_default(),
        total_time_cost: cost("total_time_cost"),
        total_parking_time: node.field("total_parking_time").parsed_number(),
        total_parking_cost: cost("total_parking_cost"),
        total_reservation_cost: cost("total_reservation_cost"),
        remark: text("remark"),
        invoice_reference_id: text("invoice_reference_id"),
        credit: node.field("credit").parsed(),
        credit_reference_id: text("credit_reference_id"),
        home_charging_compensation: node.field("home_charging_compensation").parsed(),
        last_updated: node.field("last_updated").any_date_time().unwrap_or_default(),
    }
}

fn periods_at(
    node: &Node,
    start: chrono::DateTime<chrono::Utc>,
    end: chrono::DateTime<chrono::Utc>,
) -> Vec<ChargingPeriod> {
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
        periods.push(ChargingPeriod {
            start_date_time,
            dimensions: dimensions.iter().filter_map(dimension_at).collect(),
            tariff_id: period.field("tariff_id").any_text(),
        });
    }
    periods
}

fn dimension_at(node: &Node) -> Option<CdrDimension> {
    let dimension: CdrDimensionType = node.field("type").value("a CdrDimensionType")?;
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
    let coordinates = node.field("coordinates");
    CdrLocation {
        id: node.field("id").text_or_na(),
        name: node.field("name").any_text(),
        address: node.field("address").text_or_na(),
        city: node.field("city").text_or_na(),
        postal_code: node.field("postal_code").any_text(),
        state: node.field("state").any_text(),
        country: node.field("country").text_or_na(),
        coordinates: GeoLocation {
            latitude: coordinates.field("latitude").text_or_na(),
            longitude: coordinates.field("longitude").text_or_na(),
        },
        evse_uid: node.field("evse_uid").text_or_na(),
        evse_id: node.field("evse_id").text_or_na(),
        connector_id: node.field("connector_id").text_or_na(),
        connector_standard: node.field("connector_standard").text_or_na(),
        connector_format: node.field("connector_format").text_or_na(),
        connector_power_type: node.field("connector_power_type").text_or_na(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(problems: &[Problem]) -> Vec<String> {
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn everything_that_is_wrong_with_a_tariff_is_told_at_once() {
        let text = r#"{"currency":"EURO","elements":[
            {"price_components":[{"type":"ENERGY","price":"0.25","step_size":1},
                                 {"type":"KWH","price":0.1,"vat":120}],
             "restrictions":{"start_time":"9:00","max_duration":-1,"day_of_week":["FUNDAY"]}},
            {"price_components":[]}]}"#;
        assert_eq!(
            lines(&tariff(text).unwrap_err()),
            [
                "currency: `EURO` is not an ISO 4217 currency code",
                "elements[0].price_components[0].price: \"0.25\" is not a number",
                "elements[0].price_components[1].type: `KWH` is not ENERGY, FLAT, PARKING_TIME or TIME",
                "elements[0].price_components[1].vat: 120 is not a percentage from 0 to 100",
                "elements[0].restrictions.start_time: `9:00` is not a time of day such as 19:45",
                "elements[0].restrictions.max_duration: -1 is not a whole number from 0 on",
                "elements[0].restrictions.day_of_week[0]: `FUNDAY` is not MONDAY to SUNDAY",
                "elements[1].price_components: empty; an element has at least one price component",
            ]
        );
    }

    #[test]
    fn everything_that_is_wrong_with_a_cdr_is_told_at_once() {
        let text = r#"{"start_date_time":"2026-01-01T10:00:00Z","end_date_time":"yesterday",
            "charging_periods":[{"start_date_time":"2026-01-01T10:00:00Z",
                                 "dimensions":[{"type":"ENERGY","volume":-1}]},
                                {"start_date_time":"2026-01-01T09:00:00Z"}]}"#;
        assert_eq!(
            lines(&cdr(text).unwrap_err()),
            [
                "end_date_time: `yesterday` is not a date and time such as 2015-06-29T20:39:09Z",
                "currency: missing",
                "charging_periods: the CDR ends before it starts",
                "charging_periods[0].dimensions[0].volume: -1 is negative",
                "charging_periods[1].start_date_time: starts before the period in front of it",
                "charging_periods[1].dimensions: missing",
            ]
        );
    }

    #[test]
    fn what_no_price_depends_on_may_be_missing() {
        let text = r#"{"currency":"EUR","elements":[
            {"price_components":[{"type":"FLAT","price":0.00}]}]}"#;
        assert_eq!(tariff(text).unwrap().party_id, "#NA");
    }

    #[test]
    fn a_restriction_of_another_version_is_kept_for_pricing_to_refuse() {
        let text = r#"{"currency":"EUR","elements":[{"price_components":[],
            "restrictions":{"max_soc":80,"min_kwh":null}}]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let root = Node::root(&value);
        let read = tariff_at(&root);
        let restrictions = read.elements[0].restrictions.clone().unwrap();
        assert_eq!(restrictions.other.keys().collect::<Vec<_>>(), ["max_soc"]);
    }

    #[test]
    fn what_is_not_json_is_one_problem() {
        assert!(lines(&tariff("{").unwrap_err())[0].starts_with("not JSON: "));
        assert_eq!(lines(&tariff("[]").unwrap_err()), ["not a JSON object"]);
    }
}
