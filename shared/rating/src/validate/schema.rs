//! What OCPI asks of a Tariff object and reading does not: lengths, codes and formats as
//! [`ocpi::schema`] has them, and what the chapter says in words (`mod_tariffs`, Tariff Object).

use std::collections::BTreeSet;

use ocpi::{
    DisplayText, Price, PriceComponent, Tariff,
    TariffDimensionType::{Energy, ParkingTime},
    TariffElement, Version,
    number::DECIMALS,
};
use rust_decimal::Decimal;

use super::{At, Findings};

pub(super) fn check(tariff: &Tariff, findings: &mut Findings) {
    // The version that can say most; what an older one cannot is seen when it is sent.
    for problem in ocpi::schema::tariff(tariff, Version::V2_3_0) {
        let (at, code, remedy) = about(&problem.path);
        findings.error(at, code, format!("{problem}; {remedy}"));
    }
    texts(tariff, findings);
    limits(tariff.min_price, tariff.max_price, findings);
    if tariff.preauthorize_amount.is_some_and(|amount| amount < Decimal::ZERO) {
        let message =
            "preauthorize_amount is below 0; state what is to be reserved or leave it out";
        findings.error(At::Tariff, "negative_preauthorize_amount", message);
    }
    if let Some((start, end)) = tariff.start_date_time.zip(tariff.end_date_time)
        && start >= end
    {
        let message = format!(
            "the tariff is valid from {start} until {end}, which is never; exchange \
             start_date_time and end_date_time or leave one out"
        );
        findings.error(At::Tariff, "never_valid", message);
    }
    for (index, element) in tariff.elements.iter().enumerate() {
        self::element(index, element, findings);
    }
}

/// What a problem with the field at `path` is about, its code, and what to do.
fn about(path: &str) -> (At, &'static str, &'static str) {
    if let Some((index, field)) = in_element(path) {
        let (code, remedy) = match field {
            "price_components" => ("no_price_component", "add one or remove the element"),
            "restrictions.start_time" | "restrictions.end_time" => ("time_invalid", "correct it"),
            "restrictions.start_date" | "restrictions.end_date" => ("date_invalid", "correct it"),
            _ => ("unsupported_restriction", "remove it"),
        };
        return (At::Element(index), code, remedy);
    }
    let (code, remedy) = match path {
        "country_code" => ("country_code_invalid", "state two letters, like NL"),
        "party_id" => ("party_id_invalid", "state three letters or digits"),
        "id" => ("id_invalid", "choose another"),
        "currency" => ("currency_invalid", "state one like EUR"),
        "type" => ("type_unknown", "choose one, or leave it out"),
        "tariff_alt_url" => ("alt_url_invalid", "choose another"),
        "elements" => ("no_element", "a free one has a FLAT component of 0.00"),
        _ if path.starts_with("energy_mix") => ("energy_mix_invalid", "shorten it"),
        _ if path.ends_with("].language") => ("alt_text_language", "state one like nl"),
        _ => ("alt_text_invalid", "write up to 512 characters in one line"),
    };
    (At::Tariff, code, remedy)
}

/// `3` and `restrictions.end_time` of `elements[3].restrictions.end_time`.
fn in_element(path: &str) -> Option<(usize, &str)> {
    let (index, field) = path.strip_prefix("elements[")?.split_once("].")?;
    Some((index.parse().ok()?, field))
}

fn texts(tariff: &Tariff, findings: &mut Findings) {
    if let Some(url) = &tariff.tariff_alt_url {
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if !is_web || url.contains(' ') {
            let message = "tariff_alt_url must be a web address, beginning with https://";
            findings.error(At::Tariff, "alt_url_invalid", message);
        }
    }
    let mut languages = BTreeSet::new();
    for stated in &tariff.tariff_alt_text {
        let language = &stated.language;
        if !languages.insert(language.to_ascii_lowercase()) {
            let message = format!(
                "tariff_alt_text says something twice in `{language}`; drivers see one of the \
                 two; keep one"
            );
            findings.warning(At::Tariff, "alt_text_twice", message);
        }
        text(stated, findings);
    }
}

fn text(DisplayText { language, text }: &DisplayText, findings: &mut Findings) {
    if text.is_empty() {
        let message = format!("tariff_alt_text in `{language}` is empty; write it or leave it out");
        findings.error(At::Tariff, "alt_text_empty", message);
    }
    if text.contains("</") || text.contains("/>") || text.contains("<br") {
        let message = format!(
            "tariff_alt_text in `{language}` has markup; OCPI allows none, drivers would see it; \
             write plain text"
        );
        findings.error(At::Tariff, "alt_text_markup", message);
    }
}

fn limits(min: Option<Price>, max: Option<Price>, findings: &mut Findings) {
    for (name, limit) in [("min_price", min), ("max_price", max)] {
        let Some(limit) = limit else { continue };
        let amounts = [Some(limit.excl_vat), limit.incl_vat];
        if amounts.into_iter().flatten().any(|amount| amount < Decimal::ZERO) {
            let message = format!("{name} is below 0; a limit is 0 or more");
            findings.error(At::Tariff, "negative_limit", message);
        }
        if limit.incl_vat.is_some_and(|incl| incl < limit.excl_vat) {
            let message =
                format!("{name} is less with tax than without; exchange excl_vat and incl_vat");
            findings.error(At::Tariff, "limit_tax_reversed", message);
        }
    }
    let Some((min, max)) = min.zip(max) else { return };
    let with_vat = min.incl_vat.zip(max.incl_vat);
    if min.excl_vat > max.excl_vat || with_vat.is_some_and(|(min, max)| min > max) {
        let message = "min_price is above max_price; lower the one or raise the other";
        findings.error(At::Tariff, "min_above_max", message);
    }
}

fn element(index: usize, element: &TariffElement, findings: &mut Findings) {
    let restrictions = element.restrictions.as_ref();
    let of_reservation = restrictions.is_some_and(|stated| stated.reservation.is_some());
    let mut seen = BTreeSet::new();
    for (position, stated) in element.price_components.iter().enumerate() {
        let at = At::Component(index, position);
        component(at, index, stated, findings);
        let (name, dimension) = (stated.dimension.as_str(), stated.dimension);
        if !seen.insert(dimension) {
            let message = format!(
                "element {index} prices {name} twice; the second never applies; remove one"
            );
            findings.warning(at, "dimension_twice", message);
        }
        if of_reservation && matches!(dimension, Energy | ParkingTime) {
            let message = format!(
                "element {index} prices {name} of a reservation, which has none; remove it"
            );
            findings.warning(at, "reservation_dimension", message);
        }
    }
}

fn component(at: At, index: usize, component: &PriceComponent, findings: &mut Findings) {
    let (name, price) = (component.dimension.as_str(), component.price.normalize());
    if price < Decimal::ZERO {
        let message = format!("element {index} prices {name} at {price}; a price is 0 or more");
        findings.error(at, "negative_price", message);
    }
    if price.scale() > DECIMALS {
        let message = format!(
            "element {index} prices {name} at {price}; OCPI numbers have {DECIMALS} decimals, and a \
             partner may cut the rest off; round it"
        );
        findings.warning(at, "too_many_decimals", message);
    }
}
