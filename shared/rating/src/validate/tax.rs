//! What is said of taxes: by the components, by the tariff as a whole, by the jurisdiction.

use network::Jurisdiction;
use ocpi::{Tariff, TaxIncluded};
use quantities::TaxPercent;
use rust_decimal::Decimal;

use super::{At, Findings, Place};

pub(super) fn check(tariff: &Tariff, place: &Place, findings: &mut Findings) {
    let mut stated = Vec::new();
    let mut missing = Vec::new();
    for (index, element) in tariff.elements.iter().enumerate() {
        for (position, component) in element.price_components.iter().enumerate() {
            let at = At::Component(index, position);
            let name = component.dimension.as_str();
            match component.vat {
                Some(vat) if TaxPercent::try_from(vat).is_err() => {
                    let message = format!(
                        "element {index} states a vat of {vat} % for {name}; it is a percentage \
                         from 0 to 100, 19 for 19 %"
                    );
                    findings.error(at, "vat_out_of_range", message);
                }
                Some(vat) => stated.push((at, vat)),
                None if component.price.is_zero() => {}
                None => missing.push((at, name)),
            }
        }
    }
    missing_vat(&missing, !stated.is_empty(), place, findings);
    for (at, vat) in &stated {
        differs(*at, *vat, tariff, place, findings);
    }
    included(tariff, &stated, !missing.is_empty(), place, findings);
    limits(tariff, &stated, missing.is_empty(), findings);
}

/// Whether the site's jurisdiction says what tax applies; none: not asked.
fn taxes(place: &Place) -> Option<Vec<Decimal>> {
    place.jurisdiction.map(percents)
}

fn percents(jurisdiction: &Jurisdiction) -> Vec<Decimal> {
    jurisdiction.taxes.iter().map(|tax| tax.percent.percent()).collect()
}

fn sum(percents: &[Decimal]) -> Option<Decimal> {
    percents.iter().try_fold(Decimal::ZERO, |sum, percent| sum.checked_add(*percent))
}

fn missing_vat(
    missing: &[(At, &str)],
    others_state_one: bool,
    place: &Place,
    findings: &mut Findings,
) {
    if taxes(place).is_some_and(|taxes| !taxes.is_empty()) {
        return;
    }
    if others_state_one {
        for (at, name) in missing {
            let At::Component(index, _) = at else { continue };
            let message = format!(
                "element {index} states no vat for {name}, while others do; where the site has no \
                 tax of its own, none is added: state it, 0 if there is none"
            );
            findings.warning(*at, "vat_missing", message);
        }
    } else if !missing.is_empty() && place.jurisdiction.is_some() {
        let message = "no component states a vat and the site has no tax: none is billed; if \
                       that is right, state a vat of 0";
        findings.warning(At::Tariff, "no_tax", message);
    }
}

fn differs(at: At, vat: Decimal, tariff: &Tariff, place: &Place, findings: &mut Findings) {
    let At::Component(index, position) = at else { return };
    let Some(taxes) = taxes(place).filter(|taxes| !taxes.is_empty()) else { return };
    let component = tariff.elements.get(index).and_then(|e| e.price_components.get(position));
    let name = component.map_or("", |component| component.dimension.as_str());
    let Some(site) = sum(&taxes).filter(|site| *site != vat || taxes.len() > 1) else { return };
    let (vat, site) = (vat.normalize(), site.normalize());
    let message = if taxes.len() > 1 {
        format!(
            "element {index} states a vat of {vat} % for {name}, which replaces the site's {} \
             taxes of together {site} %, and the receipt will not tell them apart; leave vat out",
            taxes.len()
        )
    } else {
        format!(
            "element {index} states a vat of {vat} % for {name}, the site has {site} %; the \
             tariff's is billed: correct it, or leave vat out"
        )
    };
    findings.warning(at, "vat_differs", message);
}

fn included(
    tariff: &Tariff,
    stated: &[(At, Decimal)],
    some_state_none: bool,
    place: &Place,
    findings: &mut Findings,
) {
    let taxes = taxes(place);
    match tariff.tax_included() {
        TaxIncluded::NotApplicable => {
            for (at, vat) in stated.iter().filter(|(_, vat)| !vat.is_zero()) {
                let At::Component(index, _) = at else { continue };
                let vat = vat.normalize();
                let message = format!(
                    "element {index} states a vat of {vat} %, but tax_included says that no tax \
                     applies; remove the vat, or say YES or NO"
                );
                findings.error(*at, "tax_included_contradicts", message);
            }
            if taxes.is_some_and(|taxes| taxes.iter().any(|percent| !percent.is_zero())) {
                let message = "tax_included says that no tax applies, but the site has one; say \
                               YES or NO, or offer it at a site without";
                findings.error(At::Tariff, "tax_included_contradicts", message);
            }
        }
        TaxIncluded::Yes => {
            if some_state_none && taxes.is_some_and(|taxes| taxes.is_empty()) {
                let message = "tax_included says that taxes are in the prices, but neither every \
                               component nor the site says which; state each component's vat";
                findings.warning(At::Tariff, "included_tax_unknown", message);
            }
        }
        TaxIncluded::No => {}
    }
}

/// A limit that is stated with and without tax, where all components have one tax.
fn limits(tariff: &Tariff, stated: &[(At, Decimal)], all_state: bool, findings: &mut Findings) {
    let Some((_, vat)) = stated.first().filter(|_| all_state) else { return };
    if stated.iter().any(|(_, other)| other != vat) {
        return;
    }
    for (name, limit) in [("min_price", tariff.min_price), ("max_price", tariff.max_price)] {
        let Some((excl, incl)) = limit.and_then(|limit| Some((limit.excl_vat, limit.incl_vat?)))
        else {
            continue;
        };
        let Some(expected) = plus_percent(excl, *vat) else { continue };
        let tolerance = Decimal::new(1, 2);
        if expected.checked_sub(incl).is_none_or(|off| off.abs() >= tolerance) {
            let (vat, expected) = (vat.normalize(), expected.normalize());
            let message = format!(
                "{name} is {excl} without and {incl} with tax, but with the components' vat of \
                 {vat} % it would be {expected}; both are held to: correct one"
            );
            findings.warning(At::Tariff, "limit_tax_differs", message);
        }
    }
}

/// A price per unit as it is shown to drivers under `jurisdiction`.
pub(super) fn shown(
    price: Decimal,
    vat: Option<Decimal>,
    tariff: &Tariff,
    jurisdiction: &Jurisdiction,
) -> Option<Decimal> {
    let percent = match vat {
        Some(vat) => vat,
        None => sum(&percents(jurisdiction))?,
    };
    let included = tariff.tax_included() == TaxIncluded::Yes;
    match (included, jurisdiction.prices_include_tax) {
        (false, true) => plus_percent(price, percent),
        (true, false) => {
            let hundredths = Decimal::ONE_HUNDRED.checked_add(percent)?;
            price.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(hundredths)
        }
        _ => Some(price),
    }
}

fn plus_percent(amount: Decimal, percent: Decimal) -> Option<Decimal> {
    let hundredths = Decimal::ONE_HUNDRED.checked_add(percent)?;
    amount.checked_mul(hundredths)?.checked_div(Decimal::ONE_HUNDRED)
}
