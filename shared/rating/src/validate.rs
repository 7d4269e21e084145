//! What is wrong with a tariff before it is published.

use network::Jurisdiction;
use ocpi::{Price, TariffDimensionType, TariffElement, TariffRestrictions};
use quantities::{Currency, TaxPercent};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{TariffVersion, compile::Compiled};

/// Something about a tariff that its publisher should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffFinding {
    /// Whether it refuses publication.
    pub severity: Severity,
    /// Index of the element it is about; none when it is about the whole tariff.
    pub element: Option<usize>,
    /// Stable code.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The tariff is refused.
    Error,
    /// The tariff is accepted.
    Warning,
}

impl TariffVersion {
    /// Everything that is wrong with it at a site of `jurisdiction` and `currency`.
    #[must_use]
    pub fn validate(&self, jurisdiction: &Jurisdiction, currency: Currency) -> Vec<TariffFinding> {
        let mut findings = Vec::new();
        let tariff = &self.tariff;
        if !tariff.currency.eq_ignore_ascii_case(currency.code()) {
            let stated = &tariff.currency;
            let message = format!("the tariff is in {stated}, the site sells in {currency}");
            findings.push(error(None, "currency_mismatch", message));
        }
        if tariff.elements.is_empty() {
            let message = "the tariff has no element; a free one has a FLAT component of 0.00";
            findings.push(error(None, "no_element", message.to_owned()));
        }
        limits(tariff.min_price, tariff.max_price, &mut findings);
        for (index, element) in tariff.elements.iter().enumerate() {
            components(index, element, jurisdiction, &mut findings);
            if let Some(stated) = &element.restrictions {
                restrictions(index, stated, &mut findings);
            }
        }
        // What the checks above do not name, pricing itself would refuse.
        if findings.iter().all(|finding| finding.severity != Severity::Error)
            && let Err(refusal) = Compiled::new(tariff)
        {
            findings.push(error(None, "not_priceable", refusal.to_string()));
        }
        findings
    }
}

fn error(element: Option<usize>, code: &str, message: String) -> TariffFinding {
    TariffFinding { severity: Severity::Error, element, code: code.to_owned(), message }
}

fn warning(element: Option<usize>, code: &str, message: String) -> TariffFinding {
    TariffFinding { severity: Severity::Warning, element, code: code.to_owned(), message }
}

fn limits(min: Option<Price>, max: Option<Price>, findings: &mut Vec<TariffFinding>) {
    let (Some(min), Some(max)) = (min, max) else { return };
    let with_vat = min.incl_vat.zip(max.incl_vat);
    if min.excl_vat > max.excl_vat || with_vat.is_some_and(|(min, max)| min > max) {
        let message = "min_price is above max_price; lower the one or raise the other";
        findings.push(error(None, "min_above_max", message.to_owned()));
    }
}

fn components(
    index: usize,
    element: &TariffElement,
    jurisdiction: &Jurisdiction,
    findings: &mut Vec<TariffFinding>,
) {
    if element.price_components.is_empty() {
        let message = format!("element {index} has no price component; add one or remove it");
        findings.push(error(Some(index), "no_price_component", message));
    }
    let reservation = element.restrictions.as_ref().and_then(|stated| stated.reservation);
    for (position, component) in element.price_components.iter().enumerate() {
        let dimension = component.dimension;
        let name = dimension.as_str();
        let mut refuse = |code, message| findings.push(error(Some(index), code, message));
        if dimension == TariffDimensionType::Energy && !jurisdiction.per_kwh_allowed {
            let message = format!(
                "element {index} prices ENERGY, but energy may not be sold per kWh at this site; \
                 price TIME instead"
            );
            refuse("energy_not_allowed", message);
        }
        if component.price < Decimal::ZERO {
            let price = component.price;
            let message = format!("element {index} prices {name} at {price}; a price is 0 or more");
            refuse("negative_price", message);
        }
        if component.vat.is_some_and(|vat| TaxPercent::try_from(vat).is_err()) {
            let message = format!("element {index} states a vat for {name} outside 0 to 100 %");
            refuse("vat_out_of_range", message);
        }
        let earlier = element.price_components.iter().take(position);
        if earlier.map(|other| other.dimension).any(|other| other == dimension) {
            let message = format!("element {index} prices {name} twice; the second never applies");
            findings.push(warning(Some(index), "dimension_twice", message));
        }
        let no_meaning =
            matches!(dimension, TariffDimensionType::Energy | TariffDimensionType::ParkingTime);
        if reservation.is_some() && no_meaning {
            let message = format!(
                "element {index} prices {name} of a reservation, which has none; remove it"
            );
            findings.push(warning(Some(index), "reservation_dimension", message));
        }
    }
}

fn restrictions(index: usize, stated: &TariffRestrictions, findings: &mut Vec<TariffFinding>) {
    for (name, _) in stated.other.iter().filter(|(_, value)| !value.is_null()) {
        let message = format!("element {index} has the unknown restriction `{name}`; remove it");
        findings.push(error(Some(index), "unsupported_restriction", message));
    }
    for limit in ["min_current", "max_current"] {
        let set = if limit == "min_current" { stated.min_current } else { stated.max_current };
        if set.is_some() {
            let message = format!(
                "element {index} depends on `{limit}`, but chargers report energy, not current; \
                 use min_power or max_power"
            );
            findings.push(error(Some(index), "current_not_measured", message));
        }
    }
    let empty = [
        ("kwh", stated.min_kwh.zip(stated.max_kwh).is_some_and(|(min, max)| min >= max)),
        ("power", stated.min_power.zip(stated.max_power).is_some_and(|(min, max)| min >= max)),
        (
            "duration",
            stated.min_duration.zip(stated.max_duration).is_some_and(|(min, max)| min >= max),
        ),
        (
            "date",
            stated
                .start_date
                .as_ref()
                .zip(stated.end_date.as_ref())
                .is_some_and(|(start, end)| start >= end),
        ),
    ];
    for (name, _) in empty.into_iter().filter(|(_, is_empty)| *is_empty) {
        let message = format!("element {index} never applies: its {name} range is empty");
        findings.push(error(Some(index), "contradictory_restrictions", message));
    }
}
