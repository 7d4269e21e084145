//! A session of three lines, for this crate's tests.

use chrono::{DateTime, TimeDelta, Utc};
use ledger::Sold;
use quantities::{Amount, Currency, TaxPercent, WattHours};
use rating::{
    Cost, Item, Line, LineTax, Method, PricedSession, TariffVersion, TaxTotal, Totals, Unit, Why,
};
use rust_decimal::Decimal;
use serde_json::json;
use session::Session;

use crate::{CreditNote, Receipt, Scope, credited};

/// Noon of 1 March 2026, UTC, and so many minutes.
pub(crate) fn at(minute: i64) -> DateTime<Utc> {
    let noon: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    noon + TimeDelta::minutes(minute)
}

pub(crate) const fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::EUR)
}

fn cost(excl: i64, incl: i64) -> Cost {
    let eur = |minor| Amount::new(minor, Currency::EUR);
    Cost { excl_vat: eur(excl), incl_vat: eur(incl) }
}

fn line(item: Item, is_taxed: bool, amount: Cost) -> Line {
    let tax = amount.incl_vat.checked_sub(amount.excl_vat).unwrap();
    let (quantity, unit, rate_unit) = match item {
        Item::Energy => (Decimal::new(10_500, 3), Unit::KilowattHour, Unit::KilowattHour),
        _ => (Decimal::from(3_900), Unit::Second, Unit::Hour),
    };
    Line {
        item,
        description: format!("{item:?} <b>").into(),
        element: Some(0),
        quantity,
        measured: quantity,
        unit,
        rate: Decimal::new(4, 1),
        rate_unit,
        taxes: is_taxed.then_some(LineTax { tax: 0, amount: tax }).into_iter().collect(),
        amount,
        from: at(0),
        to: at(30),
        energy: WattHours::from(10_500),
        segments: vec![0].into(),
        why: Why::default(),
    }
}

/// 6.79 EUR: energy 5.08, idle time 1.21, a flat fee of 0.50 without tax.
pub(crate) fn priced() -> PricedSession {
    let lines = vec![
        line(Item::Energy, true, cost(420, 508)),
        line(Item::ParkingTime, true, cost(100, 121)),
        line(Item::Flat, false, cost(50, 50)),
    ];
    let none = cost(0, 0);
    PricedSession {
        tariff: quantities::TariffRef { id: "AMS-RETAIL".parse().unwrap(), version: 3 },
        currency: Currency::EUR,
        lines,
        segments: vec![],
        totals: Totals {
            total: cost(570, 679),
            fixed: cost(50, 50),
            energy: cost(420, 508),
            time: none,
            parking: cost(100, 121),
            reservation: none,
        },
        // 21 %: 4.20 + 1.00 without tax, 0.88 + 0.21 of tax; nothing stated on the flat 0.50.
        taxes: vec![TaxTotal {
            name: "VAT".into(),
            percent: TaxPercent::try_from(Decimal::from(21)).unwrap(),
            account_number: None,
            base: Amount::new(520, Currency::EUR),
            amount: Amount::new(109, Currency::EUR),
        }],
        rates_include_tax: false,
        plan: None,
        total_energy: WattHours::from(10_500),
        total_time_s: Decimal::from(1_800),
        total_parking_time_s: Decimal::ZERO,
        findings: vec![],
        signed: None,
        method: Method {
            activity: None,
            interpolation: "".into(),
            rounding: "".into(),
            minor_digits: 2,
        },
    }
}

pub(crate) fn tariff() -> TariffVersion {
    let tariff = json!({
        "country_code": "NL", "party_id": "TWT", "id": "AMS-RETAIL", "currency": "EUR",
        "elements": [{ "price_components": [
            { "type": "ENERGY", "price": 0.4, "step_size": 1 },
            { "type": "FLAT", "price": 0.5, "step_size": 1 },
        ] }],
        "last_updated": "2026-01-01T00:00:00Z",
    });
    TariffVersion {
        reference: priced().tariff,
        tariff: ocpi::read::tariff(&tariff.to_string()).unwrap(),
        terms: rating::Terms::default(),
    }
}

fn session() -> Session {
    serde_json::from_value(json!({
        "id": "7a113a77-0000-5000-8000-0cb10badcafe",
        "state": "rated",
        "charge_point_id": "CP1",
        "connector_id": 1,
        "transaction_id": 7,
        "site_id": "AMS-01",
        "time_zone": "Europe/Amsterdam",
        "id_tag": "04A1",
        "driver_id": "driver-1",
        "payer": { "kind": "unknown" },
        "tariff": { "id": "AMS-RETAIL", "version": 3 },
        "jurisdiction": {
            "per_kwh_allowed": true,
            "taxes": [{ "name": "VAT", "percent": "21" }],
        },
        "hold": { "minor": 3000, "currency": "EUR" },
        "placed_hold": null,
        "silent_after_s": 3600,
        "release_wait_s": 3600,
        "started_at": at(0),
        "received_at": at(0),
        "meter_start": "0",
        "ended_at": at(30),
        "end_received_at": null,
        "meter_stop": null,
        "stop_reason": null,
        "released_at": null,
        "start_frame": "[2,\"1\",\"StartTransaction\",{\"idTag\":\"04a1\"}]",
        "stop_frame": null,
    }))
    .unwrap()
}

pub(crate) fn receipt() -> Receipt {
    let session = session();
    let site = json!({
        "id": "AMS-01",
        "name": "Zuid & <script>alert(1)</script>",
        "address": {
            "street": "Strawinskylaan 1",
            "postal_code": "1077 XW",
            "city": "Amsterdam",
            "country": "NLD",
            "latitude": "52.339300",
            "longitude": "4.873100",
        },
        "time_zone": "Europe/Amsterdam",
        "currency": "EUR",
        "jurisdiction": session.jurisdiction,
        "hold": session.hold,
        "silent_after_s": 3600,
        "release_wait_s": 3600,
    });
    Receipt {
        session,
        site: serde_json::from_value(site).unwrap(),
        price: priced(),
        paid: vec!["6.79 EUR were taken from the card.".to_owned()],
        credit_notes: vec![],
    }
}

/// The second line, given back.
pub(crate) fn note(reason: &str) -> CreditNote {
    let receipt = receipt();
    let price = &receipt.price;
    let sold = Sold::of(&crate::credit_note::tests::books(price), Currency::EUR).unwrap();
    let scope = Scope::Lines(vec![2]);
    CreditNote {
        number: crate::Seller::of(None).number(7),
        session_id: receipt.session.id,
        sold_at: receipt.session.started_at,
        time_zone: receipt.session.time_zone,
        issued_at: at(600),
        reason: reason.to_owned(),
        lines: vec![(2, price.lines[1].description.to_string())],
        credited: credited(price, &sold, &scope, eur(121)).unwrap(),
        seller: None,
    }
}
