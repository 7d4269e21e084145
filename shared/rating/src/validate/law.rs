//! What the law of the site's jurisdiction says about how charging is priced.
//!
//! California's is 4 CCR 4002.11 with NIST Handbook 44, section 3.40: electricity is sold by the
//! kWh or MJ, so time is no measure of it; fees for other services are allowed beside it.

use network::Jurisdiction;
use ocpi::{PriceComponent, Tariff, TariffDimensionType, TariffElement};

use super::{At, Findings, Place, afir};

pub(super) fn check(tariff: &Tariff, place: &Place, findings: &mut Findings) {
    if let Some(stated) = place.currency
        && !tariff.currency.eq_ignore_ascii_case(stated.code())
    {
        let currency = &tariff.currency;
        let message = format!(
            "the tariff is in {currency}, the site sells in {stated}; publish one in {stated}"
        );
        findings.error(At::Tariff, "currency_mismatch", message);
    }
    let Some(jurisdiction) = place.jurisdiction else { return };
    for (at, _, component) in priced(tariff) {
        units(at, component, jurisdiction, findings);
    }
    if jurisdiction.per_kwh_allowed && !jurisdiction.per_time_allowed {
        by_session(tariff, findings);
    }
    if jurisdiction.afir && is_ad_hoc(tariff) {
        afir::check(tariff, place, jurisdiction, findings);
    }
}

/// The components of charging sessions that cost something.
pub(super) fn priced(
    tariff: &Tariff,
) -> impl Iterator<Item = (At, &TariffElement, &PriceComponent)> {
    let elements = tariff.elements.iter().enumerate();
    let of_sessions = elements.filter(|(_, element)| {
        element.restrictions.as_ref().is_none_or(|stated| stated.reservation.is_none())
    });
    of_sessions
        .flat_map(|(index, element)| {
            let components = element.price_components.iter().enumerate();
            components.map(move |(position, component)| {
                (At::Component(index, position), element, component)
            })
        })
        .filter(|(.., component)| !component.price.is_zero())
}

/// Whether it is an ad hoc price: a tariff without a type is for all sessions.
fn is_ad_hoc(tariff: &Tariff) -> bool {
    tariff.tariff_type.as_deref().is_none_or(|stated| stated == "AD_HOC_PAYMENT")
}

fn units(at: At, component: &PriceComponent, jurisdiction: &Jurisdiction, findings: &mut Findings) {
    let At::Component(index, _) = at else { return };
    let instead = |other_allowed, other| if other_allowed { other } else { "FLAT" };
    if component.dimension == TariffDimensionType::Energy && !jurisdiction.per_kwh_allowed {
        let instead = instead(jurisdiction.per_time_allowed, "TIME");
        let message = format!(
            "element {index} prices ENERGY, but energy may not be sold per kWh at this site; \
             price {instead} instead"
        );
        findings.error(at, "energy_not_allowed", message);
    }
    if component.dimension == TariffDimensionType::Time && !jurisdiction.per_time_allowed {
        let instead = instead(jurisdiction.per_kwh_allowed, "ENERGY");
        let message = format!(
            "element {index} prices TIME, but charging may not be sold by time at this site; \
             price {instead} instead, and PARKING_TIME for standing there afterwards"
        );
        findings.error(at, "time_not_allowed", message);
    }
}

/// Where energy is sold by measure, a session fee alone sells it by none.
fn by_session(tariff: &Tariff, findings: &mut Findings) {
    let prices = |dimension| priced(tariff).any(|(.., c)| c.dimension == dimension);
    if prices(TariffDimensionType::Flat) && !prices(TariffDimensionType::Energy) {
        let message = "the tariff has a session fee and no price for energy; where charging may \
                       only be sold per kWh, energy needs a price: add an ENERGY component, of \
                       0.00 if energy is free";
        findings.warning(At::Tariff, "energy_without_price", message);
    }
}
