//! What is possible, but hardly meant: prices in another unit, blocks larger than a session.
//!
//! The limits are rough on purpose: they are to catch a factor of 60 or 100, not a bold price.

use ocpi::{PriceComponent, Tariff, TariffDimensionType};
use rust_decimal::Decimal;

use super::{At, Findings};

/// A block larger than what most vehicles take, in Wh.
const STEP_WH_MAX: u32 = 50_000;
/// A block longer than most sessions, in seconds.
const STEP_S_MAX: u32 = 12 * 3600;

/// Prices below and above are hardly meant, in euros (or what [`euros`] says of it) per unit.
struct Usual {
    low: Decimal,
    high: Decimal,
}

pub(super) fn check(tariff: &Tariff, findings: &mut Findings) {
    let unit = euros(&tariff.currency);
    for (index, element) in tariff.elements.iter().enumerate() {
        for (position, component) in element.price_components.iter().enumerate() {
            let at = At::Component(index, position);
            step(at, index, component, findings);
            price(at, index, component, unit, &tariff.currency, findings);
        }
    }
    maximum(tariff, findings);
}

/// About how many units of a currency are a euro: enough to tell a price per minute from one per
/// hour. One that is not listed counts like the euro, or a hundred times as much without cents.
fn euros(currency: &str) -> Decimal {
    let units = match currency.to_ascii_uppercase().as_str() {
        "KWD" | "BHD" | "OMR" | "JOD" => return Decimal::new(4, 1),
        "PLN" | "RON" | "ILS" | "AED" | "SAR" | "QAR" | "MYR" | "BRL" => 4,
        "DKK" | "NOK" | "SEK" | "CNY" | "HKD" | "MOP" => 8,
        "CZK" | "MXN" | "TWD" | "ZAR" | "UAH" | "THB" | "MDL" | "MKD" => 20,
        "TRY" | "PHP" | "EGP" | "UYU" => 45,
        "INR" | "RSD" | "ALL" | "RUB" | "JPY" | "ISK" | "DOP" | "KES" => 100,
        "HUF" | "AMD" | "CRC" | "KZT" => 400,
        "KRW" | "CLP" | "ARS" => 1000,
        "COP" => 4000,
        "IDR" | "VND" | "LAK" => 15_000,
        code => match code.parse::<quantities::Currency>() {
            Ok(known) if known.minor_digits() == 0 => 100,
            _ => 1,
        },
    };
    Decimal::from(units)
}

fn usual(dimension: TariffDimensionType) -> Usual {
    let (low, high) = match dimension {
        // A cent to five euros a kWh.
        TariffDimensionType::Energy => (Decimal::new(1, 2), Decimal::from(5)),
        // 50 cents to 120 euros an hour: a cent to two euros a minute.
        TariffDimensionType::Time | TariffDimensionType::ParkingTime => {
            (Decimal::new(5, 1), Decimal::from(120))
        }
        TariffDimensionType::Flat => (Decimal::new(1, 2), Decimal::from(100)),
    };
    Usual { low, high }
}

fn price(
    at: At,
    index: usize,
    component: &PriceComponent,
    unit: Decimal,
    currency: &str,
    findings: &mut Findings,
) {
    use TariffDimensionType::{Energy, Flat, ParkingTime, Time};
    let Usual { low, high } = usual(component.dimension);
    let is_above = |limit: Decimal| limit.checked_mul(unit).is_some_and(|l| component.price > l);
    let is_below = |limit: Decimal| limit.checked_mul(unit).is_some_and(|l| component.price < l);
    let (price, name) = (component.price.normalize(), component.dimension.as_str());
    let message = if component.price > Decimal::ZERO && is_below(low) {
        match component.dimension {
            Time | ParkingTime => {
                let hour = price.checked_mul(Decimal::from(60)).unwrap_or(price).normalize();
                format!("OCPI's prices are per hour; if it is per minute, write {hour}")
            }
            Energy => "OCPI's prices are per kWh, in major units; is it per Wh?".to_owned(),
            Flat => "OCPI's prices are in major units; is it right?".to_owned(),
        }
    } else if is_above(high) {
        match component.dimension {
            Time | ParkingTime => "OCPI's prices are per hour, in major units; is it in cents, or \
                                   was it multiplied by 60 twice?"
                .to_owned(),
            Energy | Flat => "OCPI's prices are in major units; is it in cents?".to_owned(),
        }
    } else {
        return;
    };
    let per = match component.dimension {
        Energy => " per kWh",
        Time | ParkingTime => " per hour",
        Flat => "",
    };
    let message = format!("element {index} prices {name} at {price} {currency}{per}; {message}");
    findings.warning(at, "implausible_price", message);
}

fn step(at: At, index: usize, component: &PriceComponent, findings: &mut Findings) {
    let name = component.dimension.as_str();
    let (max, unit) = match component.dimension {
        TariffDimensionType::Flat => return,
        TariffDimensionType::Energy => (STEP_WH_MAX, "Wh"),
        TariffDimensionType::Time | TariffDimensionType::ParkingTime => (STEP_S_MAX, "s"),
    };
    let size = component.step_size;
    if size == 0 {
        let message = format!(
            "element {index} bills {name} in blocks of 0 {unit}; OCPI asks for at least 1, which \
             is what it is read as; state 1"
        );
        findings.warning(at, "step_size_zero", message);
    } else if size > max {
        let message = format!(
            "element {index} bills {name} in blocks of {size} {unit}, larger than most sessions: \
             all of them cost the same; step_size is in {unit}, lower it"
        );
        findings.warning(at, "step_size_large", message);
    }
}

/// A maximum that every session reaches.
fn maximum(tariff: &Tariff, findings: &mut Findings) {
    let Some(max) = tariff.max_price.map(|limit| limit.excl_vat) else { return };
    let elements = tariff.elements.iter().enumerate();
    for (index, element) in elements.filter(|(_, element)| element.restrictions.is_none()) {
        for (position, component) in element.price_components.iter().enumerate() {
            if component.dimension == TariffDimensionType::Flat && component.price >= max {
                let price = component.price.normalize();
                let message = format!(
                    "element {index} has a session fee of {price}, which reaches the max_price of \
                     {max} by itself; nothing else is ever billed: raise max_price"
                );
                findings.warning(At::Component(index, position), "max_price_reached", message);
            }
        }
    }
}
