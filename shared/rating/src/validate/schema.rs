//! What OCPI asks of a Tariff object and reading does not: lengths, codes, formats
//! (`mod_tariffs`, Tariff Object; `types`).

use std::collections::BTreeSet;

use ocpi::{
    DisplayText, Price, PriceComponent, Tariff,
    TariffDimensionType::{Energy, ParkingTime},
    TariffElement,
};
use rust_decimal::Decimal;

use super::{At, Findings};

/// `TariffType` (`mod_tariffs`).
const TYPES: [&str; 5] =
    ["AD_HOC_PAYMENT", "PROFILE_CHEAP", "PROFILE_FAST", "PROFILE_GREEN", "REGULAR"];
/// `CiString(36)`.
const ID_MAX: usize = 36;
/// `URL`: `string(255)` (`types`).
const URL_MAX: usize = 255;
/// `DisplayText.text`: `string(512)` (`types`).
const TEXT_MAX: usize = 512;
/// Decimals of an OCPI number (`types`).
const DECIMALS: u32 = 4;

pub(super) fn check(tariff: &Tariff, findings: &mut Findings) {
    identity(tariff, findings);
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
    if tariff.elements.is_empty() {
        let message = "the tariff has no element; a free one has a FLAT component of 0.00";
        findings.error(At::Tariff, "no_element", message);
    }
    for (index, element) in tariff.elements.iter().enumerate() {
        self::element(index, element, findings);
    }
}

fn identity(tariff: &Tariff, findings: &mut Findings) {
    let Tariff { country_code, party_id, id, tariff_type, .. } = tariff;
    let is_code = |code: &str, length| {
        code.len() == length && code.chars().all(|c| c.is_ascii_alphanumeric())
    };
    if !is_code(country_code, 2) {
        let message = format!("country_code is `{country_code}`; it must be two letters, like NL");
        findings.error(At::Tariff, "country_code_invalid", message);
    }
    if !is_code(party_id, 3) {
        let message = format!("party_id is `{party_id}`; it must be three letters or digits");
        findings.error(At::Tariff, "party_id_invalid", message);
    }
    let printable = id.chars().all(|c| matches!(c, ' '..='~'));
    if id.is_empty() || id.len() > ID_MAX || !printable {
        let message = format!("id `{id}` must be 1 to {ID_MAX} printable ASCII characters");
        findings.error(At::Tariff, "id_invalid", message);
    }
    if let Some(stated) = tariff_type
        && !TYPES.contains(&stated.as_str())
    {
        let message = format!("type `{stated}` is none of {}", TYPES.join(", "));
        findings.error(At::Tariff, "type_unknown", message);
    }
}

fn texts(tariff: &Tariff, findings: &mut Findings) {
    if let Some(url) = &tariff.tariff_alt_url {
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if !is_web || url.len() > URL_MAX || url.contains(char::is_whitespace) {
            let message = format!(
                "tariff_alt_url must be a web address of up to {URL_MAX} characters, \
                 beginning with https://"
            );
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
    if language.len() != 2 || !language.chars().all(|c| c.is_ascii_alphabetic()) {
        let message = format!(
            "tariff_alt_text has the language `{language}`; it must be an ISO 639-1 code, like nl"
        );
        findings.error(At::Tariff, "alt_text_language", message);
    }
    if text.is_empty() || text.chars().count() > TEXT_MAX {
        let message =
            format!("tariff_alt_text in `{language}` must have 1 to {TEXT_MAX} characters");
        findings.error(At::Tariff, "alt_text_length", message);
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
    if element.price_components.is_empty() {
        let message = format!("element {index} has no price component; add one or remove it");
        findings.error(At::Element(index), "no_price_component", message);
    }
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
