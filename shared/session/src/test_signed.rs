//! Signed readings: records of real meters, records that we sign ourselves, and what is made of
//! them.

use chrono::{DateTime, Utc};
use network::Charger;
use ocmf::{
    IdentificationLevel, IdentificationType, Location, MeterState, OcmfTime, Pagination,
    TransactionMarker, Unit, encoding,
    sign::{ReadingSpec, RecordBuilder, Secp256r1Signer, Signer as _},
};
use quantities::WattHours;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::json;

use crate::{
    FindingCode, Nature, Session, SignedReadings, Timeline, Verification,
    test_readings::{at, codes, ended},
    timeline,
};

/// A case of `events/ocmf`.
#[derive(Deserialize)]
struct Published {
    name: String,
    key: String,
    records: Vec<String>,
}

fn published(name: &str) -> Published {
    let records = include_str!("../../../events/ocmf/records.json");
    let records: Vec<Published> = serde_json::from_str(records).unwrap();
    records.into_iter().find(|record| record.name == name).unwrap()
}

fn charger(meter_public_keys: Vec<String>) -> Charger {
    Charger {
        id: "CP1".parse().unwrap(),
        site_id: "S1".parse().unwrap(),
        time_zone: chrono_tz::UTC,
        password_hash: String::new(),
        evse_id: String::new(),
        power_type: "AC_3_PHASE".to_owned(),
        standard: "IEC_62196_T2".to_owned(),
        max_electric_power: None,
        meter_public_keys,
    }
}

/// A session from 16:00 to 17:00 that billed these registers, with `values` as signed data in its
/// StopTransaction.
fn session(start: &str, stop: &str, values: &[String]) -> Session {
    let wh = |text: &str| WattHours::new(text.parse::<Decimal>().unwrap());
    let sampled: Vec<_> = values
        .iter()
        .map(|value| json!({"value": value, "format": "SignedData", "context": "Transaction.End"}))
        .collect();
    let frame = json!([2, "9", "StopTransaction", {
        "transactionId": 7, "meterStop": stop, "timestamp": "2026-03-10T17:00:00Z",
        "transactionData": [{"timestamp": "2026-03-10T17:00:00Z", "sampledValue": sampled}],
    }]);
    Session {
        meter_start: wh(start),
        meter_stop: Some(wh(stop)),
        stop_frame: Some(frame.to_string()),
        ..ended()
    }
}

fn read(session: &Session, keys: &[&str]) -> (Timeline, Vec<FindingCode>) {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    let timeline = timeline(session, &[], &[], at("17:00"), Some(&charger(keys)));
    let found = codes(&timeline.findings);
    (timeline, found)
}

/// What the published record of a meter proves of a session that billed from `start` to `stop`.
fn proves(name: &str, start: &str, stop: &str) -> Vec<FindingCode> {
    let published = published(name);
    read(&session(start, stop, &published.records), &[&published.key]).1
}

#[test]
fn records_of_real_meters_are_verified_and_bound_to_what_is_billed() {
    use FindingCode::{SignatureInvalid, SignedMeterFault, SignedUnchecked, SignedVerified};
    // 0.2596 to 0.2597 kWh.
    assert_eq!(proves("keba", "259.6", "259.7"), [SignedVerified]);
    assert_eq!(proves("keba-altered", "259.6", "259.7"), [SignatureInvalid]);
    assert_eq!(proves("ebz-secp192r1", "2850685", "2850951"), [SignedVerified]);
    // Begin and end in a record each, the registers as padded texts, and a count of seconds.
    assert_eq!(proves("nano-secp256k1", "9038", "9038"), [SignedVerified]);
    // 57.584 to 58.685 kWh into the vehicle, beside a register of what came back.
    assert_eq!(proves("lem-import-and-export", "57584", "58685"), [SignedVerified]);
    assert_eq!(proves("nzr-secp384r1", "0", "0"), [SignedVerified]);
    // No free library in Rust has brainpool curves: kept, and said so.
    assert_eq!(proves("nzr-brainpool", "1833", "1833"), [SignedUnchecked]);
    // The meter says that its reading is not to be billed.
    assert_eq!(proves("bauer-faulty", "0", "0"), [SignedVerified, SignedMeterFault]);
    assert_eq!(proves("isabellenhuette-bare-key", "0", "0"), [SignedVerified, SignedMeterFault]);
}

#[test]
fn other_energy_than_the_signed_one_is_held() {
    let keba = published("keba");
    for (start, stop) in [("259.6", "1260"), ("100", "259.7"), ("0", "0.1")] {
        let (_, found) = read(&session(start, stop, &keba.records), &[&keba.key]);
        let differs = [FindingCode::SignedVerified, FindingCode::SignedEnergyDiffers];
        assert_eq!(found, differs, "{start} to {stop}");
    }
    assert!(FindingCode::SignedEnergyDiffers.holds_billing());
    assert!(FindingCode::SignatureInvalid.holds_billing());
    assert!(FindingCode::SignedMeterFault.holds_billing());
    assert!(!FindingCode::SignedKeyUnknown.holds_billing());
}

#[test]
fn the_record_is_kept_to_the_byte_and_named_by_what_is_signed() {
    let keba = published("keba");
    let (timeline, _) = read(&session("259.6", "259.7", &keba.records), &[&keba.key]);
    let signed = timeline.signed.unwrap();
    assert_eq!(signed.verification, Verification::Verified);
    assert_eq!(signed.records[0].text, keba.records[0]);
    assert_eq!(signed.records[0].nature, Nature::End);
    let begin = signed.begin.clone().unwrap();
    assert_eq!(begin.energy, WattHours::new(Decimal::new(2596, 1)));
    assert_eq!(begin.at, Some("2019-08-13T10:03:15Z".parse::<DateTime<Utc>>().unwrap()));
    assert_eq!(begin.sha256, signed.records[0].sha256);
    let key = encoding::base64_decode(signed.public_key.as_ref().unwrap()).unwrap();
    assert_eq!(encoding::hex_encode_upper(&key), keba.key);
    let stored = serde_json::to_string(&signed).unwrap();
    assert_eq!(serde_json::from_str::<SignedReadings>(&stored).unwrap(), signed);
}

/// The meter of our own tests, and its key in hex.
fn meter(secret: u8) -> (Secp256r1Signer, String) {
    let signer = Secp256r1Signer::from_bytes(&[secret; 32]).unwrap();
    let key = encoding::hex_encode(&signer.public_key().unwrap().to_spki());
    (signer, key)
}

fn time(text: &str) -> OcmfTime {
    OcmfTime::parse(text, &Location::at(0), &mut Vec::new()).unwrap()
}

/// The begin or the end in a register, in kWh.
fn reading<'a>(register: &'a str, marker: char, kwh: &str) -> ReadingSpec<'a> {
    let value = kwh.parse::<Decimal>().unwrap();
    let spec = |at| ReadingSpec::new(time(at), value, register, Unit::KWh);
    match marker {
        'B' => spec("2026-03-10T17:00:00,000+0100 S").begin(),
        _ => spec("2026-03-10T18:00:00,000+0100 S").end(),
    }
}

fn signed<'a>(
    readings: impl IntoIterator<Item = ReadingSpec<'a>>,
    signer: &Secp256r1Signer,
) -> String {
    let builder = RecordBuilder::new()
        .gateway("Tallywatt test", "1", "1")
        .pagination(Pagination::transaction(1))
        .meter("Tallywatt", "M1", "1", "1")
        .identification(true, IdentificationLevel::Verified, vec![], IdentificationType::None, "");
    let builder = readings.into_iter().fold(builder, RecordBuilder::reading);
    builder.sign(signer).unwrap().as_str().to_owned()
}

/// A record of one register.
fn record(register: &str, readings: &[(char, &str)], signer: &Secp256r1Signer) -> String {
    signed(readings.iter().map(|(marker, kwh)| reading(register, *marker, kwh)), signer)
}

const LIFE: &str = "01-00:B0.08.00*FF";
const TRANSACTION: &str = "01-00:B3.08.00*FF";

#[test]
fn any_of_the_chargers_meters_may_have_signed() {
    let ((_, other), (signer, key)) = (meter(1), meter(2));
    let text = record(LIFE, &[('B', "1.000"), ('E', "21.000")], &signer);
    let session = session("1000", "21000", &[text]);
    assert_eq!(read(&session, &[&other, &key]).1, [FindingCode::SignedVerified]);
    assert_eq!(read(&session, &[&other]).1, [FindingCode::SignatureInvalid]);
    assert_eq!(read(&session, &[]).1, [FindingCode::SignedKeyUnknown]);
    // A key that nobody can read is no proof against the record.
    assert_eq!(read(&session, &["no key"]).1, [FindingCode::SignedUnchecked]);
}

#[test]
fn one_changed_digit_breaks_the_signature() {
    let (signer, key) = meter(2);
    let text = record(LIFE, &[('B', "1.000"), ('E', "21.000")], &signer);
    let changed = text.replace("21.000", "22.000");
    assert_ne!(text, changed);
    let found = read(&session("1000", "22000", &[changed]), &[&key]).1;
    assert_eq!(found, [FindingCode::SignatureInvalid]);
}

#[test]
fn every_way_to_carry_a_record_in_ocpp_is_read() {
    let (signer, key) = meter(2);
    let text = record(LIFE, &[('B', "1.000"), ('E', "21.000")], &signer);
    let base64 = encoding::base64_encode(text.as_bytes());
    let own_key = signer.public_key().unwrap().to_oca_base64();
    let container = |data: &str, key: &str| {
        let container = json!({"signedMeterData": data, "signingMethod": "",
            "encodingMethod": "OCMF", "publicKey": key});
        container.to_string()
    };
    let carried = [
        text.clone(),
        base64.clone(),
        encoding::hex_encode(text.as_bytes()),
        container(&base64, ""),
        container(&text, ""),
    ];
    for value in carried {
        let (timeline, found) = read(&session("1000", "21000", &[value]), &[&key]);
        assert_eq!(found, [FindingCode::SignedVerified]);
        assert_eq!(timeline.signed.unwrap().records[0].text, text);
    }
    // A key that comes with the record proves that nobody changed it, not whose it is.
    let with_key = session("1000", "21000", &[container(&base64, &own_key)]);
    assert_eq!(read(&with_key, &[]).1, [FindingCode::SignedOwnKey]);
    let (_, other) = meter(1);
    assert_eq!(read(&with_key, &[&other]).1, [FindingCode::SignatureInvalid]);
}

#[test]
fn a_register_of_the_transaction_is_bound_by_its_difference() {
    let (signer, key) = meter(2);
    let text = record(TRANSACTION, &[('B', "0.000"), ('E', "20.000")], &signer);
    let found = |stop| read(&session("910000", stop, std::slice::from_ref(&text)), &[&key]).1;
    assert_eq!(found("930000"), [FindingCode::SignedVerified]);
    assert_eq!(found("930001"), [FindingCode::SignedVerified], "both are rounded");
    let differs = [FindingCode::SignedVerified, FindingCode::SignedEnergyDiffers];
    assert_eq!(found("930003"), differs);
}

#[test]
fn a_meter_that_signs_few_digits_is_not_contradicted_by_those_it_does_not_show() {
    let (signer, key) = meter(2);
    let text = record(LIFE, &[('B', "1.0"), ('E', "21.0")], &signer);
    let found = |stop| read(&session("1020", stop, std::slice::from_ref(&text)), &[&key]).1;
    assert_eq!(found("21090"), [FindingCode::SignedVerified]);
    let differs = [FindingCode::SignedVerified, FindingCode::SignedEnergyDiffers];
    assert_eq!(found("21110"), differs);
}

#[test]
fn half_a_proof_is_named_and_compared() {
    let (signer, key) = meter(2);
    let begin = [record(LIFE, &[('B', "1.000")], &signer)];
    let incomplete = [FindingCode::SignedVerified, FindingCode::SignedIncomplete];
    assert_eq!(read(&session("1000", "21000", &begin), &[&key]).1, incomplete);
    let found = read(&session("2000", "21000", &begin), &[&key]).1;
    assert!(found.contains(&FindingCode::SignedEnergyDiffers), "{found:?}");
    // Nothing at all, from a meter that signs.
    assert_eq!(read(&session("1000", "21000", &[]), &[&key]).1, [FindingCode::SignedMissing]);
    assert_eq!(read(&session("1000", "21000", &[]), &[]).1, []);
}

#[test]
fn the_same_record_counts_once_and_one_bad_one_spoils_the_proof() {
    let ((other, _), (signer, key)) = (meter(1), meter(2));
    let begin = record(LIFE, &[('B', "1.000")], &signer);
    let end = record(LIFE, &[('E', "21.000")], &signer);
    let values = [end.clone(), begin.clone(), begin.clone(), end.clone()];
    let (timeline, found) = read(&session("1000", "21000", &values), &[&key]);
    assert_eq!(found, [FindingCode::SignedVerified]);
    assert_eq!(timeline.signed.unwrap().records.len(), 2);
    for (begin_by, end_by) in [(&signer, &other), (&other, &signer)] {
        let values =
            [record(LIFE, &[('B', "1.000")], begin_by), record(LIFE, &[('E', "21.000")], end_by)];
        let found = read(&session("1000", "21000", &values), &[&key]).1;
        assert_eq!(found, [FindingCode::SignatureInvalid]);
    }
}

/// Or the result of a long session would not fit where it is stored.
#[test]
fn of_many_records_those_of_begin_and_end_are_kept_and_all_are_checked() {
    let ((other, _), (signer, key)) = (meter(1), meter(2));
    let between = |kwh: usize, signer: &Secp256r1Signer| {
        let at = time("2026-03-10T17:30:00,000+0100 S");
        let value = Decimal::from(kwh);
        let reading = ReadingSpec::new(at, value, LIFE, Unit::KWh);
        signed([reading.transaction(TransactionMarker::parse("C"))], signer)
    };
    let mut values: Vec<_> = (2..20).map(|kwh| between(kwh, &signer)).collect();
    values.insert(3, record(LIFE, &[('B', "1.000")], &signer));
    values.insert(9, record(LIFE, &[('E', "21.000")], &signer));
    let (timeline, found) = read(&session("1000", "21000", &values), &[&key]);
    assert_eq!(found, [FindingCode::SignedVerified]);
    let natures = |timeline: &Timeline| -> Vec<_> {
        timeline.signed.iter().flat_map(|signed| &signed.records).map(|r| r.nature).collect()
    };
    let mut kept = natures(&timeline);
    kept.sort_unstable();
    assert_eq!(kept, [Nature::Start, Nature::End]);
    values.push(between(20, &other));
    let found = read(&session("1000", "21000", &values), &[&key]).1;
    assert_eq!(found, [FindingCode::SignatureInvalid]);
    // Neither end was signed.
    let values: Vec<_> = (2..20).map(|kwh| between(kwh, &signer)).collect();
    let (timeline, found) = read(&session("1000", "21000", &values), &[&key]);
    assert_eq!(found, [FindingCode::SignedVerified, FindingCode::SignedIncomplete]);
    assert_eq!(natures(&timeline), [Nature::Intermediate; 2]);
}

#[test]
fn of_several_registers_the_one_that_is_billed_binds() {
    let (signer, key) = meter(2);
    // Before and after the cable's losses; and one that counts what comes back.
    let values = [
        record(LIFE, &[('B', "5.000"), ('E', "26.000")], &signer),
        record("01-00:B1.08.00*FF", &[('B', "1.000"), ('E', "21.000")], &signer),
        record("01-00:C1.08.00*FF", &[('B', "7.000"), ('E', "27.000")], &signer),
    ];
    let found = |start, stop| read(&session(start, stop, &values), &[&key]).1;
    assert_eq!(found("1000", "21000"), [FindingCode::SignedVerified]);
    assert_eq!(found("5000", "26000"), [FindingCode::SignedVerified]);
    let differs = [FindingCode::SignedVerified, FindingCode::SignedEnergyDiffers];
    assert_eq!(found("7000", "27000"), differs);
}

#[test]
fn a_register_of_the_vendors_own_is_taken_for_import() {
    let (signer, key) = meter(2);
    let values = [record("01-00:98.08.00*FF", &[('B', "1.000"), ('E', "21.000")], &signer)];
    let found = read(&session("1000", "21000", &values), &[&key]).1;
    assert_eq!(found, [FindingCode::SignedVerified]);
}

#[test]
fn a_register_that_begins_at_zero_is_one_of_the_transaction() {
    let (signer, key) = meter(2);
    let values = [record(LIFE, &[('B', "0.000"), ('E', "20.000")], &signer)];
    let found = read(&session("910000", "930000", &values), &[&key]).1;
    assert_eq!(found, [FindingCode::SignedVerified]);
}

#[test]
fn digits_below_a_watt_hour_are_more_than_ocpp_can_say() {
    let (signer, key) = meter(2);
    let values = [record(LIFE, &[('B', "1.0004"), ('E', "21.0006")], &signer)];
    let found = read(&session("1000", "21001", &values), &[&key]).1;
    assert_eq!(found, [FindingCode::SignedVerified]);
}

#[test]
fn a_meter_that_names_a_fault_is_not_billed_by() {
    let (signer, key) = meter(2);
    let faults = [
        reading(LIFE, 'E', "21.000").state(MeterState::Timeout),
        reading(LIFE, 'E', "21.000").error_flags("E"),
        reading(LIFE, 'E', "21.000").error_flags("t"),
    ];
    for fault in faults {
        let values = [signed([reading(LIFE, 'B', "1.000"), fault], &signer)];
        let found = read(&session("1000", "21000", &values), &[&key]).1;
        assert_eq!(found, [FindingCode::SignedVerified, FindingCode::SignedMeterFault]);
    }
}

#[test]
fn the_first_begin_and_the_last_end_are_those_of_the_session() {
    let (signer, key) = meter(2);
    // Two messages of a moment are taken in the order of their text.
    let one = record(LIFE, &[('B', "1.000"), ('E', "20.000")], &signer);
    let other = record(LIFE, &[('B', "2.000"), ('E', "21.000")], &signer);
    assert!(one < other);
    let values = [other, one];
    let found = read(&session("1000", "21000", &values), &[&key]).1;
    assert_eq!(found, [FindingCode::SignedVerified]);
}

#[test]
fn signed_data_that_is_not_ocmf_is_kept_in_its_frame() {
    let values = ["ALFEN;1;2;3".to_owned(), "{\"signedMeterData\":7}".to_owned()];
    let (timeline, found) = read(&session("1000", "21000", &values), &[]);
    assert_eq!(found, [FindingCode::SignedUnchecked]);
    assert_eq!(timeline.signed, None);
}
