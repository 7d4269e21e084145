//! The European Union's rules for ad hoc prices: Regulation (EU) 2023/1804 (AFIR), article 5(4).
//!
//! At publicly accessible recharging points of 50 kW and more the ad hoc price is based on the
//! price per kWh, and only a fee per minute against long occupancy may come on top (first
//! subparagraph); these two are what is shown at the station (second). Both hold for points
//! deployed from 13 April 2024 (fourth); older ones are not known here, so all are taken for new.
//! Below 50 kW all components are shown, in the order kWh, minute, session, other (third): that
//! order is the quote's. A tariff for contracts only is not an ad hoc price.

use network::Jurisdiction;
use ocpi::{PriceComponent, Tariff, TariffDimensionType, TariffElement};
use rust_decimal::Decimal;

use super::{At, Findings, Place, Severity, law::priced, tax};

/// The power from which on the price is per kWh, in kW.
const FAST_KW: u32 = 50;

pub(super) fn check(
    tariff: &Tariff,
    place: &Place,
    jurisdiction: &Jurisdiction,
    findings: &mut Findings,
) {
    minutes(tariff, jurisdiction, findings);
    let fast = Decimal::from(FAST_KW);
    let (severity, when) = if place.known_power_kw.is_some_and(|power| power >= fast) {
        (Severity::Error, "at 50 kW and more")
    } else if place.max_power_kw.is_none() {
        (Severity::Warning, "if a charger here has 50 kW or more,")
    } else {
        return;
    };
    let mut fast = Fast { severity, when, findings };
    fast.whole(tariff);
    for (at, element, component) in priced(tariff) {
        fast.component(at, element, component);
    }
}

/// What is asked of points of 50 kW and more.
struct Fast<'a> {
    severity: Severity,
    when: &'static str,
    findings: &'a mut Findings,
}

impl Fast<'_> {
    fn find(&mut self, severity: Severity, at: At, code: &str, message: &str) {
        let message = format!("{message} (Regulation (EU) 2023/1804, article 5(4))");
        self.findings.add(severity, at, code, message);
    }

    fn whole(&mut self, tariff: &Tariff) {
        let when = self.when;
        let is_free = priced(tariff).next().is_none();
        if !is_free && !priced(tariff).any(|(.., c)| c.dimension == TariffDimensionType::Energy) {
            let message =
                format!("{when} an ad hoc price is based on kWh; add an ENERGY component");
            self.find(self.severity, At::Tariff, "afir_no_price_per_kwh", &message);
        }
        if tariff.min_price.is_some_and(|limit| limit.excl_vat > Decimal::ZERO) {
            let message = format!(
                "{when} an ad hoc price is based on kWh; a min_price makes small sessions cost \
                 more than their kWh: leave it out"
            );
            self.find(Severity::Warning, At::Tariff, "afir_min_price", &message);
        }
    }

    fn component(&mut self, at: At, element: &TariffElement, component: &PriceComponent) {
        let At::Component(index, _) = at else { return };
        let when = self.when;
        let stated = element.restrictions.as_ref();
        let is_late = stated.and_then(|stated| stated.min_duration).is_some_and(|after| after > 0);
        let by_power = stated.is_some_and(|stated| stated.min_power.or(stated.max_power).is_some());
        match component.dimension {
            TariffDimensionType::Flat => {
                let message = format!(
                    "element {index} has a session fee; {when} an ad hoc price has a price per \
                     kWh and an occupancy fee per minute only: remove it"
                );
                self.find(self.severity, at, "afir_session_fee", &message);
            }
            TariffDimensionType::Time if is_late => {
                let message = format!(
                    "element {index} prices TIME after a while; {when} that is lawful only as a \
                     fee against long occupancy: PARKING_TIME says so plainly"
                );
                self.find(Severity::Warning, at, "afir_time_as_occupancy", &message);
            }
            TariffDimensionType::Time => {
                let message = format!(
                    "element {index} prices charging TIME; {when} only a fee against long \
                     occupancy may be per minute: use PARKING_TIME, or TIME with a min_duration"
                );
                self.find(self.severity, at, "afir_time", &message);
            }
            TariffDimensionType::Energy if by_power => {
                let message = format!(
                    "element {index} prices ENERGY by power; {when} the price per kWh is shown \
                     before the session, when the vehicle's power is not known: use one price"
                );
                self.find(Severity::Warning, at, "afir_price_by_power", &message);
            }
            TariffDimensionType::Energy | TariffDimensionType::ParkingTime => {}
        }
    }
}

/// Prices of time are shown per minute (second and third subparagraph), and OCPI's are per hour.
fn minutes(tariff: &Tariff, jurisdiction: &Jurisdiction, findings: &mut Findings) {
    use TariffDimensionType::{ParkingTime, Time};
    for (at, _, component) in priced(tariff) {
        let At::Component(index, _) = at else { continue };
        if !matches!(component.dimension, Time | ParkingTime) {
            continue;
        }
        let shown = tax::shown(component.price, component.vat, tariff, jurisdiction);
        let minute = shown.and_then(|shown| shown.checked_div(Decimal::from(60)));
        let Some((shown, minute)) = shown.zip(minute) else { continue };
        if minute.round_dp(4) != minute {
            let (name, shown) = (component.dimension.as_str(), shown.normalize());
            let message = format!(
                "element {index} prices {name} at {shown} per hour as it is shown, which is no \
                 round price per minute ({}…), and per minute it has to be shown (Regulation (EU) \
                 2023/1804, article 5(4)); choose a price that divides by 60",
                minute.trunc_with_scale(6)
            );
            findings.warning(at, "afir_minute_not_exact", message);
        }
    }
}
