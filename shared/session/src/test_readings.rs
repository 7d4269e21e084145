//! What becomes of readings as chargers send them.

use chrono::{DateTime, Utc};
use network::{Jurisdiction, Payer};
use ocpp::MeterValuesRequest;
use proptest::prelude::*;
use quantities::{Amount, Currency, TransactionId, WattHours};

use crate::{
    ConnectorStatus, Finding, FindingCode, MeterSample, Session, SessionState, StatusChange,
    Timeline, samples_of,
};

/// `HH:MM` on the day of the session, UTC.
pub(crate) fn at(time: &str) -> DateTime<Utc> {
    format!("2026-03-10T{time}:00Z").parse().unwrap()
}

/// A session that started at 16:00 with the register at 1000 Wh.
pub(crate) fn running() -> Session {
    let charge_point_id = "CP1".parse().unwrap();
    let transaction_id = TransactionId(7);
    Session {
        id: quantities::SessionId::of(&charge_point_id, transaction_id),
        state: SessionState::Active,
        charge_point_id,
        connector_id: quantities::ConnectorId(1),
        transaction_id,
        site_id: "S1".parse().unwrap(),
        time_zone: chrono_tz::Europe::Amsterdam,
        id_tag: "TAG".parse().unwrap(),
        driver_id: None,
        route: crate::Route::None,
        payer: Payer::Unknown,
        tier: network::Tier::retail(),
        tariff: None,
        jurisdiction: Jurisdiction::taxed(vec![]),
        plan: None,
        site_groups: vec![],
        from_app: false,
        hold: amount(),
        placed_hold: None,
        payment_policy: network::PaymentPolicy::default(),
        silent_after_s: 1800,
        release_wait_s: 3600,
        started_at: at("16:00"),
        received_at: at("16:00"),
        meter_start: WattHours::from(1000),
        ended_at: None,
        end_received_at: None,
        meter_stop: None,
        billed_by_person: false,
        stop_reason: None,
        released_at: None,
        start_frame: String::new(),
        stop_frame: None,
    }
}

fn amount() -> Amount {
    Amount { minor: 5000, currency: Currency::EUR }
}

/// It stopped at 17:00 with the register at 21000 Wh.
pub(crate) fn ended() -> Session {
    let meter_stop = Some(WattHours::from(21_000));
    Session { ended_at: Some(at("17:00")), meter_stop, state: SessionState::Ended, ..running() }
}

/// A MeterValues frame with one reading, and its arrival.
pub(crate) fn reading(time: &str, sampled: &str) -> (DateTime<Utc>, String) {
    let frame = format!(
        r#"[2,"{time}","MeterValues",{{"connectorId":1,"transactionId":7,"meterValue":[
            {{"timestamp":"2026-03-10T{time}:00Z","sampledValue":[{sampled}]}}]}}]"#
    );
    (at(time), frame)
}

pub(crate) fn wh(time: &str, wh: i64) -> (DateTime<Utc>, String) {
    reading(time, &format!(r#"{{"value":"{wh}"}}"#))
}

/// As the platform reads it, of a charger that nothing is known of.
fn timeline(
    session: &Session,
    meter_values: &[(DateTime<Utc>, String)],
    statuses: &[StatusChange],
    until: DateTime<Utc>,
) -> (Timeline, Vec<Finding>) {
    let timeline = crate::timeline(session, meter_values, statuses, until, None);
    let findings = timeline.findings.clone();
    (timeline, findings)
}

fn samples(
    of: &[(DateTime<Utc>, String)],
    session: &Session,
) -> (Vec<(String, String)>, Vec<FindingCode>) {
    let (timeline, findings) = timeline(session, of, &[], at("16:30"));
    let shown = |sample: &MeterSample| {
        (sample.at.format("%H:%M").to_string(), sample.energy.wh().normalize().to_string())
    };
    (timeline.samples.iter().map(shown).collect(), codes(&findings))
}

pub(crate) fn codes(findings: &[Finding]) -> Vec<FindingCode> {
    findings.iter().map(|finding| finding.code).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(at, wh)| ((*at).to_owned(), (*wh).to_owned())).collect()
}

#[test]
fn readings_come_in_any_order_and_repeat() {
    let frames = [wh("16:20", 9000), wh("16:10", 5000), wh("16:20", 9000), wh("16:10", 5000)];
    let (samples, findings) = samples(&frames, &ended());
    assert_eq!(samples, pairs(&[("16:10", "5000"), ("16:20", "9000")]));
    assert_eq!(findings, [FindingCode::Repeated]);
}

#[test]
fn kilowatt_hours_and_watt_hours_are_the_same_energy() {
    let frames = [
        reading("16:10", r#"{"value":"5.000","unit":"kWh"}"#),
        reading("16:20", r#"{"value":"9000.5","unit":"Wh"}"#),
        reading(
            "16:30",
            r#"{"value":13.25,"unit":"KWH","measurand":"Energy.Active.Import.Register"}"#,
        ),
    ];
    let (samples, findings) = samples(&frames, &ended());
    assert_eq!(samples, pairs(&[("16:10", "5000"), ("16:20", "9000.5"), ("16:30", "13250")]));
    assert_eq!(findings, []);
}

#[test]
fn a_register_in_an_unknown_unit_is_named_and_not_guessed() {
    let frames = [reading("16:10", r#"{"value":"5","unit":"MWh"}"#), wh("16:20", 9000)];
    let (samples, findings) = samples(&frames, &ended());
    assert_eq!(samples, pairs(&[("16:20", "9000")]));
    assert_eq!(findings, [FindingCode::UnknownUnit]);
}

#[test]
fn phases_are_added_up_only_when_there_is_no_total() {
    let phases = r#"{"value":"1000","phase":"L1"},{"value":"2000","phase":"L2"},
        {"value":"3000.5","phase":"L3"}"#;
    let frames = [
        reading("16:10", phases),
        reading("16:20", &format!(r#"{phases},{{"value":"9000"}}"#)),
        // Between phases there is no energy of its own.
        reading("16:30", r#"{"value":"1","phase":"L1-L2"}"#),
    ];
    let (samples, findings) = samples(&frames, &ended());
    assert_eq!(samples, pairs(&[("16:10", "6000.5"), ("16:20", "9000")]));
    assert_eq!(findings, [FindingCode::SumOfPhases]);
}

#[test]
fn the_register_at_the_outlet_is_the_one_that_is_sold() {
    let frames = [
        reading("16:10", r#"{"value":"5500","location":"Inlet"},{"value":"5000"}"#),
        reading("16:20", r#"{"value":"9000","location":"Inlet"}"#),
        reading("16:30", r#"{"value":"9900","location":"EV"}"#),
    ];
    let (samples, findings) = samples(&frames, &ended());
    assert_eq!(samples, pairs(&[("16:10", "5000"), ("16:20", "9000")]));
    assert_eq!(findings, [FindingCode::OtherLocation]);
}

#[test]
fn power_goes_with_the_reading_it_came_with() {
    let frames = [
        reading(
            "16:10",
            r#"{"value":"5000"},{"value":"7.4","measurand":"Power.Active.Import","unit":"kW"}"#,
        ),
        reading("16:20", r#"{"value":"9000"},{"value":"hot","measurand":"Power.Active.Import"}"#),
        reading("16:25", r#"{"value":"11000","measurand":"Power.Active.Import","unit":"W"}"#),
    ];
    let (timeline, findings) = timeline(&ended(), &frames, &[], at("16:30"));
    let power: Vec<_> = timeline
        .samples
        .iter()
        .map(|s| s.power.map(|p| p.watts().normalize().to_string()))
        .collect();
    assert_eq!(power, [Some("7400".to_owned()), None]);
    assert_eq!(findings, []);
}

#[test]
fn other_measurands_are_not_the_register() {
    let frames = [reading(
        "16:10",
        r#"{"value":"99","measurand":"SoC","unit":"Percent"},
           {"value":"400","measurand":"Energy.Reactive.Import.Interval","unit":"varh"},
           {"value":"400","measurand":"Energy.Active.Export.Register","unit":"Wh"}"#,
    )];
    assert_eq!(samples(&frames, &ended()), (vec![], vec![]));
}

#[test]
fn signed_data_is_flagged_and_its_plain_twin_is_read() {
    let frames = [reading(
        "16:10",
        r#"{"value":"OCMF|{}|{}","format":"SignedData","unit":"kWh"},
           {"value":"5000","format":"Raw"}"#,
    )];
    let (samples, findings) = samples(&frames, &ended());
    assert_eq!(samples, pairs(&[("16:10", "5000")]));
    assert_eq!(findings, [FindingCode::SignedKeyUnknown, FindingCode::SignedIncomplete]);
}

/// The case from the field: 0.083 kWh were billed as 910.031 kWh, the meter's whole life.
#[test]
fn a_begin_of_zero_after_an_offline_period_is_flagged_and_not_taken_as_the_start() {
    let session = Session {
        meter_start: WattHours::from(909_948),
        meter_stop: Some(WattHours::from(910_031)),
        ..ended()
    };
    let begin = reading("16:00", r#"{"value":"0","context":"Transaction.Begin","unit":"Wh"}"#);
    let (timeline, findings) = timeline(&session, &[begin, wh("16:30", 910_000)], &[], at("17:00"));
    assert_eq!(codes(&findings), [FindingCode::BeginZero]);
    let energy = timeline.meter_stop.checked_sub(timeline.meter_start).unwrap();
    assert_eq!(energy, WattHours::from(83));
    assert_eq!(timeline.samples.len(), 1);
}

/// The same the other way round: the start said 0, the register did not.
#[test]
fn a_start_of_zero_that_the_readings_contradict_goes_to_a_person() {
    let session = Session {
        meter_start: WattHours::ZERO,
        meter_stop: Some(WattHours::from(910_031)),
        ..ended()
    };
    let begin = reading("16:00", r#"{"value":"909948","context":"Transaction.Begin"}"#);
    let (_, findings) = timeline(&session, &[begin], &[], at("17:00"));
    assert_eq!(codes(&findings), [FindingCode::StartZero]);
    let (_, findings) = timeline(&session, &[wh("16:05", 909_960)], &[], at("17:00"));
    assert!(codes(&findings).contains(&FindingCode::StartZero), "{findings:?}");
    assert!(FindingCode::StartZero.holds_billing());
}

#[test]
fn both_ends_under_one_timestamp_are_two_readings_and_neither_is_in_between() {
    let mut session = ended();
    session.stop_frame = Some(
        r#"[2,"9","StopTransaction",{"transactionId":7,"meterStop":21000,
            "timestamp":"2026-03-10T17:00:00Z","transactionData":[
            {"timestamp":"2026-03-10T17:00:00Z","sampledValue":[
              {"value":"1000","context":"Transaction.Begin"},
              {"value":"21000","context":"Transaction.End"}]},
            {"timestamp":"2026-03-10T16:40:00Z","sampledValue":[
              {"value":"14","unit":"kWh","context":"Sample.Clock"}]}]}]"#
            .to_owned(),
    );
    let (samples, findings) = samples(&[wh("16:20", 8000)], &session);
    assert_eq!(samples, pairs(&[("16:20", "8000"), ("16:40", "14000")]));
    assert_eq!(findings, []);
}

#[test]
fn an_end_that_contradicts_the_stop_is_told() {
    let mut session = ended();
    session.meter_stop = Some(WattHours::from(20_000));
    let end = reading("17:00", r#"{"value":"21000","context":"Transaction.End"}"#);
    assert_eq!(samples(&[end], &session), (vec![], vec![FindingCode::EndDiffers]));
    let far = reading("17:00", r#"{"value":"21001","context":"Transaction.End"}"#);
    assert_eq!(samples(&[far], &session), (vec![], vec![FindingCode::EndContradicts]));
}

#[test]
fn a_reading_that_runs_backwards_or_jumps_is_left_out_and_the_next_one_counts() {
    let frames = [
        wh("16:10", 5000),
        wh("16:20", 4000),
        wh("16:30", 90_000_000),
        wh("16:40", 13_000),
        wh("15:50", 9000),
        wh("17:10", 20_000),
    ];
    let (samples_ended, findings) = samples(&frames, &ended());
    assert_eq!(samples_ended, pairs(&[("16:10", "5000"), ("16:40", "13000")]));
    assert_eq!(
        findings,
        [FindingCode::OutsideTransaction, FindingCode::RegisterBackwards, FindingCode::AboveStop]
    );
    let (samples_running, findings) = samples(&frames[..4], &running());
    assert_eq!(samples_running, pairs(&[("16:10", "5000"), ("16:40", "13000")]));
    assert_eq!(findings, [FindingCode::RegisterBackwards, FindingCode::ImplausibleJump]);
}

#[test]
fn the_register_at_rest_before_the_start_is_nothing_to_tell() {
    assert_eq!(samples(&[wh("15:59", 1000)], &ended()), (vec![], vec![]));
}

#[test]
fn a_running_session_ends_now_with_its_last_reading() {
    let (timeline, _) = timeline(&running(), &[wh("16:10", 5000)], &[], at("16:30"));
    assert_eq!((timeline.ended_at, timeline.meter_stop), (at("16:30"), WattHours::from(5000)));
}

#[test]
fn a_running_session_without_readings_has_used_nothing_and_never_ends_before_it_starts() {
    let (timeline, findings) = timeline(&running(), &[], &[], at("15:00"));
    assert_eq!((timeline.ended_at, timeline.meter_stop), (at("16:00"), WattHours::from(1000)));
    assert_eq!(findings, []);
}

#[test]
fn an_ended_session_does_not_look_at_the_clock() {
    let (timeline, _) = timeline(&ended(), &[], &[], at("23:00"));
    assert_eq!((timeline.ended_at, timeline.meter_stop), (at("17:00"), WattHours::from(21_000)));
}

#[test]
fn a_stop_below_the_start_or_beyond_belief_goes_to_a_person() {
    let backwards = Session { meter_stop: Some(WattHours::from(-1)), ..ended() };
    let (timeline_of_it, findings) = timeline(&backwards, &[wh("16:10", 5000)], &[], at("17:00"));
    assert_eq!(codes(&findings), [FindingCode::StopMissing]);
    assert_eq!(timeline_of_it.samples.len(), 1, "the person needs the readings");
    assert_eq!(timeline_of_it.meter_stop, WattHours::from(5000), "the last reading stands in");
    let below = Session { meter_stop: Some(WattHours::from(999)), ..ended() };
    let (_, findings) = timeline(&below, &[], &[], at("17:00"));
    assert_eq!(codes(&findings), [FindingCode::StopBelowStart]);
    let huge = Session { meter_stop: Some(WattHours::from(99_000_000)), ..ended() };
    let (_, findings) = timeline(&huge, &[], &[], at("17:00"));
    assert_eq!(codes(&findings), [FindingCode::ImplausibleEnergy]);
    let reversed = Session { ended_at: Some(at("15:00")), ..ended() };
    let (_, findings) = timeline(&reversed, &[], &[], at("17:00"));
    assert!(codes(&findings).contains(&FindingCode::EndBeforeStart));
    assert!(findings.iter().all(|finding| finding.code.holds_billing()));
}

#[test]
fn a_frame_that_cannot_be_read_costs_only_itself() {
    let broken = (at("16:05"), "[2,\"1\",\"MeterValues\"".to_owned());
    let half = reading("16:10", r#"{"value":"five"}"#);
    let (samples, findings) = samples(&[broken, half, wh("16:20", 9000)], &ended());
    assert_eq!(samples, pairs(&[("16:20", "9000")]));
    assert_eq!(findings, [FindingCode::FrameUnreadable, FindingCode::ValueUnreadable]);
}

#[test]
fn a_clock_that_runs_ahead_is_told_and_one_that_was_offline_is_not() {
    let (_, frame) = wh("16:20", 9000);
    let (_, ahead) = samples(&[(at("16:10"), frame.clone())], &ended());
    assert_eq!(ahead, [FindingCode::ClockAhead]);
    let (_, late) = samples(&[(at("23:00"), frame)], &ended());
    assert_eq!(late, []);
}

#[test]
fn what_is_odd_about_a_charger_is_told_once_with_its_number() {
    let phase = |time, wh: u32| reading(time, &format!(r#"{{"value":"{wh}","phase":"L1"}}"#));
    let frames = [phase("16:20", 9000), phase("16:10", 5000)];
    let (_, findings) = timeline(&ended(), &frames, &[], at("17:00"));
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].count, findings[0].at), (2, Some(at("16:10"))));
}

#[test]
fn statuses_are_put_in_order_and_repeats_are_dropped() {
    let change = |time, status| StatusChange { at: at(time), status };
    let charging = change("16:01", ConnectorStatus::Charging);
    let full = change("16:40", ConnectorStatus::SuspendedEV);
    let (timeline, _) = timeline(&ended(), &[], &[full, charging, full], at("17:00"));
    assert_eq!(timeline.statuses, [charging, full]);
}

#[test]
fn a_status_of_the_vendors_own_is_unknown_here() {
    let status = ocpp::ChargePointStatus::Other("Occupied".into());
    assert_eq!(ConnectorStatus::from(&status), ConnectorStatus::Unknown);
}

#[test]
fn samples_of_one_message_keep_the_ends_of_a_transaction() {
    let (_, frame) = reading("16:00", r#"{"value":"1000","context":"Transaction.Begin"}"#);
    let call = ocpp::read_call::<MeterValuesRequest>(&frame).unwrap();
    let (samples, _) = samples_of(&call.request.meter_value);
    assert_eq!(samples.len(), 1);
}

#[test]
fn numbers_beyond_any_meter_do_no_harm() {
    let most = rust_decimal::Decimal::MAX;
    let session = Session {
        meter_start: WattHours::new(-most),
        meter_stop: Some(WattHours::new(most)),
        ..ended()
    };
    let value = |context: &str| format!(r#"{{"value":"{most}","unit":"kWh"{context}}}"#);
    let frames = [
        reading("16:00", &format!(r#"{{"value":"{most}","context":"Transaction.Begin"}}"#)),
        reading("16:10", &value("")),
        reading("16:20", &format!(r#"{{"value":"{most}"}}"#)),
    ];
    let (_, findings) = timeline(&session, &frames, &[], at("17:00"));
    assert!(codes(&findings).contains(&FindingCode::StartMissing), "{findings:?}");
    let from_zero = Session { meter_start: WattHours::ZERO, ..session };
    let (_, findings) = timeline(&from_zero, &frames[1..], &[], at("17:00"));
    assert!(codes(&findings).contains(&FindingCode::ImplausibleEnergy), "{findings:?}");
}

proptest! {
    /// Whatever a charger sends, samples lie in the transaction, in order, and never fall.
    #[test]
    fn samples_are_always_in_order_and_within_the_transaction(
        readings in proptest::collection::vec((0_u32..24, 0_u32..60, -5_000_i64..30_000), 0..20),
        is_ended in any::<bool>(),
    ) {
        let session = if is_ended { ended() } else { running() };
        let frames: Vec<_> =
            readings.iter().map(|(h, m, energy)| wh(&format!("{h:02}:{m:02}"), *energy)).collect();
        let (timeline, _) = timeline(&session, &frames, &[], at("16:30"));
        let mut last = (timeline.started_at, timeline.meter_start);
        for sample in &timeline.samples {
            prop_assert!(sample.at >= last.0 && sample.energy >= last.1);
            last = (sample.at, sample.energy);
        }
        prop_assert!(last.0 <= timeline.ended_at && last.1 <= timeline.meter_stop);
    }
}
