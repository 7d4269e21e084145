//! Every finding about a tariff, each with a small tariff that has it.
//!
//! `findings/<topic>.json` are the cases: what they are about, the place (none: anywhere) and the
//! tariff, in which what is the same everywhere is left out. `findings/<topic>.txt` is what is found,
//! case by case. `UPDATE_EXPECT=1 cargo test -p rating --test findings` rewrites it.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use std::{env, fmt::Write, fs, path::Path};

use network::{Charger, Jurisdiction, Tax};
use quantities::TaxPercent;
use rating::{Place, Severity, TariffFinding, TariffVersion, Terms};
use rust_decimal::Decimal;
use serde_json::{Value, json};

#[test]
fn every_case_has_the_findings_that_are_written_down() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/findings");
    let mut topics = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        topics += 1;
        let found = found(&fs::read_to_string(&path).unwrap());
        let written = path.with_extension("txt");
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&written, &found).unwrap();
        }
        assert_eq!(fs::read_to_string(&written).unwrap_or_default(), found, "{}", path.display());
    }
    assert_eq!(topics, 7);
}

fn found(cases: &str) -> String {
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    let mut text = String::new();
    for case in cases {
        writeln!(text, "# {}", case["about"].as_str().unwrap()).unwrap();
        let findings = findings(&case);
        for finding in &findings {
            writeln!(text, "{}", line(finding)).unwrap();
        }
        if findings.is_empty() {
            writeln!(text, "nothing").unwrap();
        }
        writeln!(text).unwrap();
    }
    text
}

fn line(finding: &TariffFinding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = match (finding.element, finding.component) {
        (None, _) => "tariff".to_owned(),
        (Some(element), None) => format!("elements[{element}]"),
        (Some(element), Some(component)) => {
            format!("elements[{element}].price_components[{component}]")
        }
    };
    format!("{severity} {} at {place}: {}", finding.code, finding.message)
}

fn findings(case: &Value) -> Vec<TariffFinding> {
    let version = version(case);
    let Some(place) = case.get("place") else { return version.validate(&Place::anywhere()) };
    let jurisdiction = jurisdiction(place);
    let text = |field: &str, otherwise: &str| place[field].as_str().unwrap_or(otherwise).to_owned();
    let place = Place {
        jurisdiction: Some(&jurisdiction),
        currency: Some(text("currency", "EUR").parse().unwrap()),
        zone: Some(text("zone", "Europe/Amsterdam").parse().unwrap()),
        known_power_kw: place["max_power_kw"].as_i64().map(Decimal::from),
        max_power_kw: place["max_power_kw"].as_i64().map(Decimal::from),
    };
    version.validate(&place)
}

fn jurisdiction(place: &Value) -> Jurisdiction {
    let flag = |field: &str, otherwise| place[field].as_bool().unwrap_or(otherwise);
    let tax = |percent: &Value| {
        let percent: Decimal = percent.to_string().parse().unwrap();
        let percent = TaxPercent::try_from(percent).unwrap();
        Tax { name: "Tax".to_owned(), percent, account_number: None }
    };
    Jurisdiction {
        per_kwh_allowed: flag("per_kwh_allowed", true),
        per_time_allowed: flag("per_time_allowed", true),
        afir: flag("afir", false),
        prices_include_tax: flag("prices_include_tax", false),
        ..Jurisdiction::taxed(place["taxes"].as_array().unwrap().iter().map(tax).collect())
    }
}

fn version(case: &Value) -> TariffVersion {
    let mut tariff = json!({
        "country_code": "NL", "party_id": "TWT", "id": "T1", "currency": "EUR",
        "last_updated": "2026-01-01T00:00:00Z",
    });
    for (field, value) in case["tariff"].as_object().unwrap() {
        tariff[field] = value.clone();
    }
    for element in tariff["elements"].as_array_mut().unwrap() {
        for component in element["price_components"].as_array_mut().unwrap() {
            if component.get("step_size").is_none() {
                component["step_size"] = 1.into();
            }
        }
    }
    let terms = case.get("terms").cloned();
    TariffVersion {
        reference: quantities::TariffRef { id: "T1".parse().unwrap(), version: 1 },
        tariff: serde_json::from_value(tariff).unwrap(),
        terms: terms.map_or_else(Terms::default, |terms| serde_json::from_value(terms).unwrap()),
    }
}

#[test]
fn where_there_are_too_many_corners_to_look_into_the_publisher_is_told_so() {
    let element = |index: u32| {
        json!({
            "price_components": [{ "type": "ENERGY", "price": 0.4, "vat": 21 }],
            "restrictions": {
                "min_kwh": index * 7 % 101, "max_kwh": index * 7 % 101 + 9,
                "min_power": index * 13 % 103, "max_power": index * 13 % 103 + 9,
                "min_duration": index * 17 % 107, "max_duration": index * 17 % 107 + 9,
            },
        })
    };
    let elements: Vec<Value> = (1..500).map(element).collect();
    let findings = findings(&json!({ "tariff": { "elements": elements } }));
    let codes: Vec<_> = findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["too_many_combinations"]);
}

#[test]
fn a_charger_of_unknown_power_may_be_the_strongest_but_not_the_weakest() {
    let charger = |max_electric_power: Option<u32>| -> Charger {
        serde_json::from_value(json!({
            "id": "CP1", "site_id": "S1", "time_zone": "Europe/Amsterdam", "password_hash": "",
            "evse_id": "NL*TWT*E1", "power_type": "DC", "standard": "IEC_62196_T2_COMBO",
            "max_electric_power": max_electric_power,
        }))
        .unwrap()
    };
    let known = |chargers: &[Charger]| {
        let place = Place::anywhere().with_chargers(chargers);
        (place.known_power_kw, place.max_power_kw)
    };
    let (slow, fast, unknown) = (charger(Some(22_000)), charger(Some(50_000)), charger(None));
    let kw = |kw: i64| Some(Decimal::from(kw));
    assert_eq!(known(&[slow.clone(), fast.clone()]), (kw(50), kw(50)));
    assert_eq!(known(&[slow, unknown.clone()]), (kw(22), None));
    assert_eq!(known(&[unknown, fast]), (kw(50), None));
    assert_eq!(known(&[]), (None, None));
}
