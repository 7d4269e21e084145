//! Wrong bills that others sent: each priced right here, on the session, on its CDR, and on the
//! CDR priced again. The stories are in `events/rating/field-*/case.json`.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod support;

use std::{collections::BTreeSet, fs, path::PathBuf};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use network::Tax;
use ocpi::{PriceComponent, TariffDimensionType, TariffElement};
use quantities::{TariffRef, WattHours};
use rating::{PricedSession, Rules, TariffVersion, Terms, rate};
use rust_decimal::Decimal;
use serde::Deserialize;
use session::{ConnectorStatus, FindingCode, Session, StatusChange, Timeline};

use crate::support::{cdr_of, rules, session_of, site, version};

/// The case, and what somebody billed for it, in major units.
const BILLED_ELSEWHERE: [(&str, &[&str]); 8] = [
    // Integers.
    ("field-1082", &["10", "10.00"]),
    // The life of the meter: 910.031 kWh.
    ("field-begin-reading-zero", &["364.01", "440.45"]),
    // Idle at the charging rate.
    ("field-idle-not-charging", &["18.00", "21.78"]),
    ("field-idle-for-days", &["290.00", "289.25", "290.05"]),
    ("field-open-for-days", &["290.00", "289.25"]),
    // Prices by the hour taken for prices by the minute, and the other way round.
    ("field-per-hour", &["60.00", "72.60", "0.02"]),
    // Two formulas.
    ("field-session-and-cdr", &["25.20", "30.24"]),
    // A quarter of an hour billed twice because the clocks went back.
    ("dst-25-hours", &[]),
];

#[derive(Deserialize)]
struct Case {
    time_zone: Tz,
    taxes: Vec<Tax>,
    #[serde(default)]
    terms: Terms,
    stated: ocpi::Price,
}

fn cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/rating")
}

fn read(name: &str) -> (Case, TariffVersion, Timeline) {
    let text = |file: &str| fs::read_to_string(cases().join(name).join(file)).unwrap();
    let case: Case = serde_json::from_str(&text("case.json")).unwrap();
    let tariff = ocpi::read::tariff(&text("tariff.json")).unwrap();
    let reference = TariffRef { id: tariff.id.parse().unwrap(), version: 1 };
    let version = TariffVersion { reference, tariff, terms: case.terms.clone() };
    (case, version, serde_json::from_str(&text("timeline.json")).unwrap())
}

fn price(case: &Case, tariff: &TariffVersion, timeline: &Timeline) -> PricedSession {
    let rules = Rules { taxes: Some(&case.taxes), ..Rules::unknown(case.time_zone) };
    rate(tariff, timeline, &rules).unwrap()
}

#[test]
fn what_others_billed_wrong_is_right_on_session_and_cdr_alike() {
    for (name, wrong) in BILLED_ELSEWHERE {
        let (case, tariff, timeline) = read(name);
        let priced = price(&case, &tariff, &timeline);
        let total = ocpi::Price::from(priced.totals.total);
        assert_eq!(total, case.stated, "{name}");
        for wrong in wrong {
            let wrong: Decimal = wrong.parse().unwrap();
            assert!(total.excl_vat != wrong && total.incl_vat != Some(wrong), "{name}: {wrong}");
        }
        let mut session = session_of(&timeline);
        session.jurisdiction.taxes.clone_from(&case.taxes);
        let cdr = cdr_of(&priced, &tariff, &session, &site(case.time_zone));
        assert_eq!(cdr.total_cost, total, "{name}: the CDR has the session's total");
        assert_eq!(cdr.total_energy, priced.total_energy.kwh(), "{name}");
        // OCPI has no words for a cap on idle fees.
        if case.terms.idle.cap.is_none() {
            let rules = Rules { taxes: Some(&case.taxes), ..Rules::unknown(case.time_zone) };
            let again = rating::cdr::price(&cdr.tariffs[0], &cdr, &rules).unwrap();
            assert_eq!(again.totals, priced.totals, "{name}: priced again");
        }
    }
}

#[test]
fn no_story_from_the_field_is_left_out() {
    let told: BTreeSet<_> = BILLED_ELSEWHERE.iter().map(|(name, _)| (*name).to_owned()).collect();
    let entries = fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    let stories: BTreeSet<_> = names.filter(|name| name.starts_with("field-")).collect();
    assert!(stories.len() >= 7, "this test proved nothing");
    assert_eq!(stories.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new());
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn per_kwh(price: &str) -> TariffVersion {
    let component = PriceComponent {
        dimension: TariffDimensionType::Energy,
        price: price.parse().unwrap(),
        vat: None,
        step_size: 1,
    };
    version(vec![TariffElement { price_components: vec![component], restrictions: None }], 0)
}

/// 0.083 kWh between registers of 909.948 and 910.031 kWh.
fn offline() -> Session {
    session_of(&Timeline {
        started_at: at("2026-03-02T10:00:00Z"),
        ended_at: at("2026-03-02T10:30:00Z"),
        meter_start: WattHours::from(909_948),
        meter_stop: WattHours::from(910_031),
        ..Timeline::default()
    })
}

/// A MeterValues message with one reading.
fn reading(time: &str, value: &str) -> (DateTime<Utc>, String) {
    let frame = format!(
        r#"[2,"1","MeterValues",{{"connectorId":1,"transactionId":7,"meterValue":[
            {{"timestamp":"{time}","sampledValue":[{value}]}}]}}]"#
    );
    (at(time), frame)
}

/// The same from the messages: after an offline period the charger says that it began at 0.
#[test]
fn a_begin_of_zero_in_a_message_does_not_bill_the_meters_life() {
    let session = offline();
    let begin = reading("2026-03-02T10:00:00Z", r#"{"value":"0","context":"Transaction.Begin"}"#);
    let frames = [begin, reading("2026-03-02T10:10:00Z", r#"{"value":"909980"}"#)];
    let timeline = session::timeline(&session, &frames, &[], session.started_at, None);
    let priced = rate(&per_kwh("0.40"), &timeline, &rules(Tz::UTC, "21")).unwrap();
    assert_eq!(priced.total_energy, WattHours::from(83));
    assert_eq!(priced.gross().to_string(), "0.04 EUR");
    // The result says what was wrong, by the same code as the session.
    let [finding] = priced.findings.as_slice() else { panic!("{:?}", priced.findings) };
    assert_eq!(finding.code, rating::FindingCode::Reading(FindingCode::BeginZero));
    assert_eq!(serde_json::to_value(finding.code).unwrap(), "begin_zero");
    assert!(!FindingCode::BeginZero.holds_billing());
}

/// The same session, its times written in local time on one invoice and in UTC on the other.
#[test]
fn a_night_of_changing_clocks_has_one_price_however_its_times_are_written() {
    for (name, offsets) in [("dst-23-hours", [1, 2]), ("dst-25-hours", [2, 1])] {
        let (case, tariff, timeline) = read(name);
        let once = price(&case, &tariff, &timeline);
        let written = serde_json::to_string(&timeline).unwrap();
        for hours in offsets {
            let offset = chrono::FixedOffset::east_opt(hours * 3600).unwrap();
            let moments = timeline.samples.iter().map(|sample| sample.at);
            let moments = moments.chain([timeline.started_at, timeline.ended_at]);
            let local = moments.fold(written.clone(), |text, at| {
                let utc = serde_json::to_string(&at).unwrap();
                let local = format!("\"{}\"", at.with_timezone(&offset).to_rfc3339());
                text.replace(&utc, &local)
            });
            assert_ne!(local, written, "{name}");
            let again: Timeline = serde_json::from_str(&local).unwrap();
            assert_eq!(price(&case, &tariff, &again), once, "{name}");
        }
    }
}

/// What the meter signed goes with the result, and with the CDR to whoever wants to check it.
#[test]
fn signed_readings_are_in_the_result_and_in_the_cdr_to_the_byte() {
    let published: serde_json::Value =
        serde_json::from_str(include_str!("../../../events/ocmf/records.json")).unwrap();
    let record = published[0]["records"][0].as_str().unwrap();
    let signed = serde_json::json!({"value": record, "format": "SignedData",
        "context": "Transaction.End"});
    let session = session_of(&Timeline {
        started_at: at("2026-03-02T10:00:00Z"),
        ended_at: at("2026-03-02T10:30:00Z"),
        meter_start: WattHours::new(Decimal::new(2596, 1)),
        meter_stop: WattHours::new(Decimal::new(2597, 1)),
        ..Timeline::default()
    });
    let frames = [reading("2026-03-02T10:30:00Z", &signed.to_string())];
    let mut charger = support::charger();
    charger.meter_public_keys = vec![published[0]["key"].as_str().unwrap().to_owned()];
    let now = session.started_at;
    let timeline = session::timeline(&session, &frames, &[], now, Some(&charger));
    let tariff = per_kwh("0.40");
    let priced = rate(&tariff, &timeline, &rules(Tz::UTC, "21")).unwrap();
    let verified = rating::FindingCode::Reading(FindingCode::SignedVerified);
    assert!(priced.findings.iter().any(|finding| finding.code == verified));
    let cdr = cdr_of(&priced, &tariff, &session, &site(Tz::UTC));
    assert_eq!(ocpi::read::cdr(&serde_json::to_string(&cdr).unwrap()).unwrap(), cdr);
    let signed = cdr.signed_data.unwrap();
    assert_eq!(signed.encoding_method, "OCMF");
    let [value] = signed.signed_values.as_slice() else { panic!("{signed:?}") };
    assert_eq!((value.nature.as_str(), value.plain_data.as_str()), ("End", record));
    let decoded =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &value.signed_data);
    assert_eq!(decoded.unwrap(), record.as_bytes());
    assert!(signed.public_key.is_some());
}

/// Faults and the charger's own pauses are nobody's idle time, however long.
#[test]
fn a_charger_that_pauses_bills_no_idle_time() {
    let (case, tariff, mut timeline) = read("field-idle-not-charging");
    for change in &mut timeline.statuses {
        if change.status == ConnectorStatus::SuspendedEV {
            *change = StatusChange { status: ConnectorStatus::SuspendedEVSE, ..*change };
        }
    }
    assert_eq!(price(&case, &tariff, &timeline).net().to_string(), "6.00 EUR");
}
