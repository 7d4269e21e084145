//! Payloads as chargers send them, tidy and untidy.

use proptest::prelude::*;
use quantities::{TransactionId, WattHours};
use rust_decimal::Decimal;

use crate::{
    AuthorizationStatus, AuthorizeRequest, AuthorizeResponse, BootNotificationRequest,
    BootNotificationResponse, ChargePointStatus, DataTransferRequest, ErrorCode, Frame, IdTagInfo,
    Incoming, Measurand, MeterValuesRequest, PayloadError, RegistrationStatus, Request,
    StartTransactionRequest, StartTransactionResponse, StatusNotificationRequest, StopReason,
    StopTransactionRequest, StopTransactionResponse, UnitOfMeasure, ValueFormat, WarningCode,
    decimal_of, read_call, timestamp_of,
};

fn read<R: Request>(payload: &str) -> Incoming<R> {
    read_call(&format!(r#"[2,"1","{}",{payload}]"#, R::ACTION)).unwrap()
}

fn refused<R: Request + std::fmt::Debug>(payload: &str) -> (ErrorCode, String) {
    let refusal = read_call::<R>(&format!(r#"[2,"1","{}",{payload}]"#, R::ACTION)).unwrap_err();
    match refusal.reply().unwrap() {
        Frame::CallError { code, description, .. } => (code, description),
        other => panic!("not a refusal: {other}"),
    }
}

fn wh(text: &str) -> WattHours {
    WattHours::new(text.parse().unwrap())
}

#[test]
fn a_start_is_read_as_the_specification_writes_it() {
    let start = read::<StartTransactionRequest>(
        r#"{"connectorId":1,"idTag":"04a1b2c3","meterStart":1234,
            "timestamp":"2026-03-10T16:40:00Z"}"#,
    );
    assert_eq!(start.request.connector_id.0, 1);
    assert_eq!(start.request.id_tag.as_str(), "04A1B2C3");
    assert_eq!(start.request.meter_start, WattHours::from(1234));
    assert_eq!(start.request.timestamp.to_rfc3339(), "2026-03-10T16:40:00+00:00");
    assert_eq!(start.warnings, []);
}

#[test]
fn a_meter_reading_keeps_every_digit_however_it_is_written() {
    for (written, read_as) in [
        ("1234567890.123", "1234567890.123"),
        // As a float this would become 0.1000000000000000055…
        ("0.1", "0.1"),
        (r#"" 12.5 ""#, "12.5"),
        (r#""1e3""#, "1000"),
        ("1.5E2", "150"),
        (r#""+7""#, "7"),
        ("-1", "-1"),
        ("9007199254740993", "9007199254740993"),
    ] {
        let start = read::<StartTransactionRequest>(&format!(
            r#"{{"connectorId":1,"idTag":"A","meterStart":{written},
                "timestamp":"2026-03-10T16:40:00Z"}}"#
        ));
        assert_eq!(start.request.meter_start, wh(read_as), "{written}");
    }
}

#[test]
fn a_start_that_lacks_its_reading_is_an_occurence_violation() {
    let (code, description) = refused::<StartTransactionRequest>(
        r#"{"connectorId":1,"idTag":"A","timestamp":"2026-03-10T16:40:00Z"}"#,
    );
    assert_eq!(code, ErrorCode::OccurenceConstraintViolation);
    assert_eq!(description, "`meterStart` is missing");
}

#[test]
fn a_start_with_a_field_of_another_type_is_a_type_violation() {
    for payload in [
        r#"{"connectorId":{},"idTag":"A","meterStart":0,"timestamp":"2026-03-10T16:40:00Z"}"#,
        r#"{"connectorId":1.5,"idTag":"A","meterStart":0,"timestamp":"2026-03-10T16:40:00Z"}"#,
        r#"{"connectorId":1,"idTag":["A"],"meterStart":0,"timestamp":"2026-03-10T16:40:00Z"}"#,
        r#"{"connectorId":1,"idTag":"A","meterStart":true,"timestamp":"2026-03-10T16:40:00Z"}"#,
        r#"{"connectorId":1,"idTag":"A","meterStart":"much","timestamp":"2026-03-10T16:40:00Z"}"#,
        r#"{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":1773160800}"#,
    ] {
        let (code, _) = refused::<StartTransactionRequest>(payload);
        assert_eq!(code, ErrorCode::TypeConstraintViolation, "{payload}");
    }
}

#[test]
fn an_impossible_value_is_a_property_violation_that_does_not_repeat_the_value() {
    let (code, description) = refused::<AuthorizeRequest>(r#"{"idTag":"MUCH-TOO-LONG-FOR-A-TAG"}"#);
    assert_eq!(code, ErrorCode::PropertyConstraintViolation);
    assert!(!description.contains("MUCH"), "{description}");
    for payload in [
        r#"{"connectorId":-1,"idTag":"A","meterStart":0,"timestamp":"2026-03-10T16:40:00Z"}"#,
        r#"{"connectorId":1,"idTag":"","meterStart":0,"timestamp":"2026-03-10T16:40:00Z"}"#,
        r#"{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":"yesterday"}"#,
    ] {
        let (code, _) = refused::<StartTransactionRequest>(payload);
        assert_eq!(code, ErrorCode::PropertyConstraintViolation, "{payload}");
    }
}

#[test]
fn numbers_written_as_texts_and_vendor_fields_do_not_stop_a_message() {
    let start = read::<StartTransactionRequest>(
        r#"{"connectorId":"2","idTag":12345678,"meterStart":"10.5","reservationId":"none",
            "timestamp":"2026-03-10T16:40:00Z","com.vendor.session":{"deep":[1,2]}}"#,
    );
    assert_eq!(start.request.connector_id.0, 2);
    assert_eq!(start.request.id_tag.as_str(), "12345678");
    assert_eq!(start.request.reservation_id, None);
    assert_eq!(start.warnings.len(), 1);
    assert_eq!(start.warnings[0].field, "reservationId");
    assert_eq!(start.warnings[0].code, WarningCode::Unreadable);
}

#[test]
fn a_time_without_offset_is_utc_and_says_so() {
    let start = read::<StartTransactionRequest>(
        r#"{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":"2026-03-10T16:40:00.5"}"#,
    );
    assert_eq!(start.request.timestamp.to_rfc3339(), "2026-03-10T16:40:00.500+00:00");
    assert_eq!(start.warnings[0].code, WarningCode::TimeWithoutOffset);
}

#[test]
fn times_are_read_in_the_forms_that_occur() {
    for text in [
        "2026-03-10T16:40:00Z",
        "2026-03-10T16:40:00.000Z",
        "2026-03-10T17:40:00+01:00",
        "2026-03-10T17:40:00.000000+0100",
        "2026-03-10 16:40:00Z",
        "2026-03-10t16:40:00z",
        " 2026-03-10T16:40:00Z ",
    ] {
        let (at, has_offset) = timestamp_of(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(at.to_rfc3339(), "2026-03-10T16:40:00+00:00", "{text}");
        assert!(has_offset, "{text}");
    }
    assert_eq!(timestamp_of("2026-03-10"), None);
    assert_eq!(timestamp_of("2026-13-10T16:40:00Z"), None);
}

#[test]
fn a_comma_is_not_guessed_to_be_a_decimal_point() {
    assert_eq!(decimal_of("1,234"), None);
    assert_eq!(decimal_of("1_000"), None);
    assert_eq!(decimal_of("NaN"), None);
    assert_eq!(decimal_of("+-1"), None);
    assert_eq!(decimal_of(""), None);
    assert_eq!(decimal_of("1e99"), None);
}

#[test]
fn a_stop_for_a_number_nobody_was_given_is_read() {
    for (written, id) in [
        (r#""transactionId":-1,"#, -1),
        (r#""transactionId":0,"#, 0),
        (r#""transactionId":"77","#, 77),
        (r#""transactionId":77.0,"#, 77),
        // Beyond 32 bits, absent, or null: nobody's number, and not lost.
        (r#""transactionId":4294967295,"#, -1),
        (r#""transactionId":null,"#, -1),
        ("", -1),
    ] {
        let stop = read::<StopTransactionRequest>(&format!(
            r#"{{{written}"meterStop":2000,"timestamp":"2026-03-10T17:40:00Z"}}"#
        ));
        assert_eq!(stop.request.transaction_id, TransactionId(id), "{written}");
    }
}

#[test]
fn a_stop_keeps_a_reason_it_does_not_know_and_drops_only_broken_readings() {
    let stop = read::<StopTransactionRequest>(
        r#"{"transactionId":5,"idTag":"","meterStop":"2000","timestamp":"2026-03-10T17:40:00Z",
            "reason":"TimeLimitReached","transactionData":[
              {"timestamp":"2026-03-10T16:40:00Z",
               "sampledValue":[{"value":"1000","context":"Transaction.Begin"}]},
              {"timestamp":"never","sampledValue":[{"value":"1500"}]},
              7,
              {"timestamp":"2026-03-10T17:40:00Z",
               "sampledValue":[{"value":2000,"context":"Transaction.End"},{}]}
            ]}"#,
    );
    assert_eq!(stop.request.reason, Some(StopReason::Other("TimeLimitReached".into())));
    assert_eq!(stop.request.id_tag, None);
    let readings: Vec<_> = stop.request.transaction_data.iter().map(|m| &m.sampled_value).collect();
    assert_eq!(readings.len(), 2);
    assert_eq!(readings[1][0].value, "2000");
    let fields: Vec<_> = stop.warnings.iter().map(|warning| warning.field.as_str()).collect();
    assert_eq!(
        fields,
        ["idTag", "transactionData[1]", "transactionData[2]", "transactionData[3].sampledValue[1]"]
    );
}

#[test]
fn a_value_gets_the_defaults_of_the_specification() {
    let values = read::<MeterValuesRequest>(
        r#"{"connectorId":1,"transactionId":5,"meterValue":[
            {"timestamp":"2026-03-10T16:45:00Z","sampledValue":[{"value":"1500"}]}]}"#,
    );
    let sample = &values.request.meter_value[0].sampled_value[0];
    assert_eq!(sample.measurand, Measurand::EnergyActiveImportRegister);
    assert_eq!(sample.format, ValueFormat::Raw);
    assert_eq!((&sample.phase, &sample.unit), (&None, &None));
}

#[test]
fn signed_data_and_unknown_units_survive_untouched() {
    let values = read::<MeterValuesRequest>(
        r#"{"connectorId":1,"meterValue":{"timestamp":"2026-03-10T16:45:00Z","sampledValue":[
            {"value":"OCMF|{\"FV\":\"1.0\"}|{\"SD\":\"30\"}","format":"SignedData"},
            {"value":"3","unit":"MWh","measurand":"Vendor.Thing"}]}}"#,
    );
    let samples = &values.request.meter_value[0].sampled_value;
    assert_eq!(samples[0].value, r#"OCMF|{"FV":"1.0"}|{"SD":"30"}"#);
    assert_eq!(samples[0].format, ValueFormat::SignedData);
    assert_eq!(samples[1].unit, Some(UnitOfMeasure::Other("MWh".into())));
    assert_eq!(samples[1].measurand, Measurand::Other("Vendor.Thing".into()));
}

#[test]
fn a_stop_without_a_reading_still_stops_the_transaction() {
    for written in ["", r#""meterStop":null,"#, r#""meterStop":"n/a","#] {
        let stop = read::<StopTransactionRequest>(&format!(
            r#"{{{written}"transactionId":5,"timestamp":"2026-03-10T17:40:00Z"}}"#
        ));
        assert_eq!(stop.request.meter_stop, WattHours::from(-1));
        assert_eq!(stop.warnings.len(), 1);
    }
}

#[test]
fn a_status_of_the_vendors_own_is_kept() {
    let status = read::<StatusNotificationRequest>(r#"{"connectorId":1,"status":"Occupied"}"#);
    assert_eq!(status.request.status, ChargePointStatus::Other("Occupied".into()));
    assert_eq!(status.warnings[0].code, WarningCode::Missing);
}

#[test]
fn a_boot_without_vendor_and_a_data_transfer_with_an_object_are_read() {
    let boot = read::<BootNotificationRequest>(r#"{"chargePointModel":"M1"}"#).request;
    assert_eq!((boot.charge_point_vendor.as_str(), boot.charge_point_model.as_str()), ("", "M1"));
    let data = read::<DataTransferRequest>(r#"{"vendorId":"v","data":{"a":1}}"#).request;
    assert_eq!(data.data.as_deref(), Some(r#"{"a":1}"#));
}

#[test]
fn a_payload_error_names_its_code() {
    assert_eq!(PayloadError::NotAnObject.error_code(), ErrorCode::FormationViolation);
}

#[test]
fn answers_are_spelled_as_the_specification_spells_them() {
    let at = "2026-03-10T16:40:00.123456789Z".parse().unwrap();
    let info = IdTagInfo {
        status: AuthorizationStatus::Accepted,
        expiry_date: Some(at),
        parent_id_tag: Some("FLEET1".parse().unwrap()),
    };
    let json = |value: &dyn erased::Json| value.json();
    assert_eq!(
        json(&BootNotificationResponse {
            current_time: at,
            interval: 300,
            status: RegistrationStatus::Accepted
        }),
        r#"{"currentTime":"2026-03-10T16:40:00.123Z","interval":300,"status":"Accepted"}"#
    );
    assert_eq!(
        json(&AuthorizeResponse { id_tag_info: info }),
        concat!(
            r#"{"idTagInfo":{"status":"Accepted","expiryDate":"2026-03-10T16:40:00.123Z","#,
            r#""parentIdTag":"FLEET1"}}"#
        )
    );
    assert_eq!(
        json(&StartTransactionResponse {
            id_tag_info: IdTagInfo::of(AuthorizationStatus::ConcurrentTx),
            transaction_id: TransactionId(7)
        }),
        r#"{"idTagInfo":{"status":"ConcurrentTx"},"transactionId":7}"#
    );
    assert_eq!(json(&StopTransactionResponse { id_tag_info: None }), "{}");
}

mod erased {
    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}

/// Payloads with the fields that are looked at, and values that are not expected.
const PAYLOAD: &str = concat!(
    r#"\{("(connectorId|transactionId|meterStop|timestamp|transactionData|reason)":"#,
    r#"("\PC{0,12}"|-?[0-9]{1,40}(\.[0-9]{1,40})?(e[0-9]{1,4})?|null|\[\{\}\]),?){0,6}\}"#,
);

proptest! {
    #[test]
    fn no_payload_makes_the_reader_panic(payload in PAYLOAD) {
        let call = |action: &str| format!(r#"[2,"1","{action}",{payload}]"#);
        let _ = read_call::<StopTransactionRequest>(&call("StopTransaction"));
        let _ = read_call::<MeterValuesRequest>(&call("MeterValues"));
    }

    #[test]
    fn every_number_a_meter_can_show_is_read_exactly(
        mantissa in -1_000_000_000_000_i64..1_000_000_000_000,
        scale in 0_u32..6,
    ) {
        let number = Decimal::new(mantissa, scale);
        prop_assert_eq!(decimal_of(&number.to_string()), Some(number));
    }
}
