//! Reads a _Tariff_ object of any version into the one that everything works with.

use quantities::{Currency, TaxPercent};

use super::node::{Node, short};
use crate::{Price, PriceComponent, Tariff, TariffElement, TariffRestrictions, Version};

pub(super) fn tariff_at(node: &Node) -> Tariff {
    let elements = node.field("elements").list();
    if elements.is_empty() && node.field("elements").is_list() {
        node.field("elements").problem("empty; a tariff has at least one element");
    }
    let mut tariff = Tariff {
        country_code: "#NA".to_owned(),
        party_id: "#NA".to_owned(),
        id: node.field("id").text_or_na(),
        currency: currency(&node.field("currency")),
        tariff_type: None,
        tariff_alt_text: node.field("tariff_alt_text").parsed_or_default(),
        tariff_alt_url: node.field("tariff_alt_url").any_text(),
        tax_included: None,
        preauthorize_amount: None,
        min_price: None,
        max_price: None,
        elements: elements.iter().map(element_at).collect(),
        start_date_time: None,
        end_date_time: None,
        energy_mix: node.field("energy_mix").parsed(),
        last_updated: node.field("last_updated").any_date_time().unwrap_or_default(),
    };
    if node.version() >= Version::V2_2_1 {
        since_2_2_1(node, &mut tariff);
    } else {
        node.field("min_price").refuse();
        node.field("max_price").refuse();
    }
    if node.version() >= Version::V2_3_0 {
        let stated = node.field("tax_included").present();
        tariff.tax_included = stated.and_then(|stated| stated.value("YES, NO or N/A"));
        tariff.preauthorize_amount = node.field("preauthorize_amount").any_number();
    } else if !node.field("tax_included").is("NO") {
        // NO is what older versions mean without saying it.
        node.field("tax_included").refuse();
    }
    tariff
}

/// The fields that 2.1.1 does not know.
fn since_2_2_1(node: &Node, tariff: &mut Tariff) {
    tariff.country_code = node.field("country_code").text_or_na();
    tariff.party_id = node.field("party_id").text_or_na();
    tariff.tariff_type = node.field("type").any_text();
    tariff.min_price = node.field("min_price").present().map(|price| limit_at(&price));
    tariff.max_price = node.field("max_price").present().map(|price| limit_at(&price));
    tariff.start_date_time = node.field("start_date_time").present().map(|at| at.date_time());
    tariff.end_date_time = node.field("end_date_time").present().map(|at| at.date_time());
}

pub(super) fn currency(node: &Node) -> String {
    let code = node.text();
    if !code.is_empty() && code.parse::<Currency>().is_err() {
        let shown = short(code.clone());
        node.problem(&format!("`{shown}` is not an ISO 4217 currency code"));
    }
    code
}

/// A `Price`; a `PriceLimit`, since 2.3.0.
fn limit_at(node: &Node) -> Price {
    let (excl, incl) = if node.version() >= Version::V2_3_0 {
        ("before_taxes", "after_taxes")
    } else {
        ("excl_vat", "incl_vat")
    };
    Price {
        excl_vat: node.field(excl).number(),
        incl_vat: node.field(incl).present().map(|incl| incl.number()),
    }
}

fn element_at(node: &Node) -> TariffElement {
    node.only(&["price_components", "restrictions"]);
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
    let has_vat = node.version() >= Version::V2_2_1;
    let mut known = vec!["type", "price", "step_size"];
    known.extend(has_vat.then_some("vat"));
    node.only(&known);
    let dimension = node.field("type").value("ENERGY, FLAT, PARKING_TIME or TIME");
    let vat = has_vat.then(|| node.field("vat"));
    let vat = vat.and_then(|vat| vat.present()).map(|vat| {
        let percent = vat.number();
        if TaxPercent::try_from(percent).is_err() {
            vat.problem(&format!("{percent} is not a percentage from 0 to 100"));
        }
        percent
    });
    let price = node.field("price");
    let price =
        if node.version() == Version::V2_1_1 { price.number_or_text() } else { price.number() };
    // Without a step size there is nothing to round up to.
    let step_size = node.field("step_size").present().map_or(1, |step| step.integer());
    Some(PriceComponent { dimension: dimension?, price, vat, step_size })
}

/// The restrictions that 2.1.1 knows.
const EARLY: [&str; 11] = [
    "start_time",
    "end_time",
    "start_date",
    "end_date",
    "min_kwh",
    "max_kwh",
    "min_power",
    "max_power",
    "min_duration",
    "max_duration",
    "day_of_week",
];

/// Those that came later.
const LATER: [&str; 3] = ["min_current", "max_current", "reservation"];

fn restrictions_at(node: &Node) -> TariffRestrictions {
    let mut known = EARLY.to_vec();
    let later = node.version() >= Version::V2_2_1;
    if later {
        known.extend(LATER);
    }
    let number = |name| node.field(name).present().map(|field| field.number());
    let integer = |name| node.field(name).present().map(|field| field.integer());
    let current = |name| later.then(|| number(name)).flatten();
    let days = node.field("day_of_week");
    let days = if days.present().is_some() { days.list() } else { Vec::new() };
    let reservation = later.then(|| node.field("reservation").present()).flatten();
    TariffRestrictions {
        start_time: node.field("start_time").present().map(|time| time.time_of_day()),
        end_time: node.field("end_time").present().map(|time| time.time_of_day()),
        start_date: node.field("start_date").present().map(|date| date.date()),
        end_date: node.field("end_date").present().map(|date| date.date()),
        min_kwh: number("min_kwh"),
        max_kwh: number("max_kwh"),
        min_current: current("min_current"),
        max_current: current("max_current"),
        min_power: number("min_power"),
        max_power: number("max_power"),
        min_duration: integer("min_duration"),
        max_duration: integer("max_duration"),
        day_of_week: days.iter().filter_map(|day| day.value("MONDAY to SUNDAY")).collect(),
        reservation: reservation.and_then(|kind| kind.value("RESERVATION or RESERVATION_EXPIRES")),
        other: node.fields_beside(&known),
    }
}
