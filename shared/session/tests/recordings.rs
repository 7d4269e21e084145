//! Every recorded session of `events/ocpp` is read as the platform reads it, and held to what its
//! `case.json` says.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use network::{Charger, Jurisdiction, Payer};
use ocpp::{
    AuthorizeRequest, BootNotificationRequest, Frame, StartTransactionRequest,
    StatusNotificationRequest, StopTransactionRequest,
};
use quantities::{Amount, Currency, SessionId, TransactionId, WattHours};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;
use session::{ConnectorStatus, Finding, FindingCode, Session, SessionState, StatusChange};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    shows: String,
    charge_point_id: String,
    time_zone: chrono_tz::Tz,
    id_tag: String,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    energy_wh: Option<Decimal>,
    provenance: String,
}

#[derive(Deserialize)]
struct Line {
    at: DateTime<Utc>,
    from: Option<String>,
    frame: Option<Value>,
}

struct Recording {
    case: Case,
    /// The charger's calls: time, action, text.
    calls: Vec<(DateTime<Utc>, String, String)>,
}

fn recordings() -> Vec<Recording> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/ocpp");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 15, "recordings are missing");
    folders.iter().map(|folder| recording(folder)).collect()
}

fn recording(folder: &Path) -> Recording {
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    let case: Case = serde_json::from_str(&read("case.json")).unwrap();
    assert_eq!(folder.file_name().unwrap().to_str().unwrap(), case.name);
    let mut calls = Vec::new();
    let mut open = None;
    for line in read("frames.jsonl").lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let Some(frame) = line.frame else { continue };
        let text = frame.to_string();
        let parsed = Frame::parse(&text).unwrap_or_else(|e| panic!("{}: {e}: {text}", case.name));
        match (line.from.as_deref(), parsed) {
            (Some("charger"), Frame::Call { id, action, .. }) => {
                open = Some(id);
                calls.push((line.at, action, text));
            }
            (Some("central"), Frame::CallResult { id, .. }) => assert_eq!(open.take(), Some(id)),
            _ => {}
        }
    }
    Recording { case, calls }
}

impl Recording {
    fn texts(&self, action: &str) -> impl Iterator<Item = (DateTime<Utc>, &String)> {
        let of_action = self.calls.iter().filter(move |(_, named, _)| named == action);
        of_action.map(|(at, _, text)| (*at, text))
    }

    /// The session its StartTransaction and first StopTransaction make, if it has a start.
    fn session(&self) -> Option<Session> {
        let (received_at, start_frame) = self.texts("StartTransaction").next()?;
        let start = ocpp::read_call::<StartTransactionRequest>(start_frame).unwrap().request;
        let stop_frame = self.texts("StopTransaction").next().map(|(_, text)| text.clone());
        let stop = stop_frame
            .as_ref()
            .map(|text| ocpp::read_call::<StopTransactionRequest>(text).unwrap().request);
        let charge_point_id = self.case.charge_point_id.parse().unwrap();
        let transaction_id = TransactionId(1);
        Some(Session {
            id: SessionId::of(&charge_point_id, transaction_id),
            state: SessionState::Active,
            charge_point_id,
            connector_id: start.connector_id,
            transaction_id,
            site_id: "S1".parse().unwrap(),
            time_zone: self.case.time_zone,
            id_tag: start.id_tag,
            driver_id: None,
            route: session::Route::None,
            payer: Payer::Unknown,
            tier: network::Tier::retail(),
            tariff: None,
            jurisdiction: Jurisdiction::taxed(vec![]),
            plan: None,
            site_groups: vec![],
            from_app: false,
            hold: Amount::new(0, Currency::EUR),
            placed_hold: None,
            payment_policy: network::PaymentPolicy::default(),
            silent_after_s: 1800,
            release_wait_s: 3600,
            started_at: start.timestamp,
            received_at,
            meter_start: start.meter_start,
            ended_at: stop.as_ref().map(|stop| stop.timestamp),
            end_received_at: None,
            meter_stop: stop.as_ref().map(|stop| stop.meter_stop),
            billed_by_person: false,
            stop_reason: None,
            released_at: None,
            start_frame: start_frame.clone(),
            stop_frame,
        })
    }

    fn timeline(&self) -> Option<(Session, session::Timeline, Vec<Finding>)> {
        self.timeline_at(None)
    }

    fn timeline_at(
        &self,
        charger: Option<&Charger>,
    ) -> Option<(Session, session::Timeline, Vec<Finding>)> {
        let session = self.session()?;
        let frames: Vec<_> =
            self.texts("MeterValues").map(|(at, text)| (at, text.clone())).collect();
        let statuses: Vec<_> = self
            .texts("StatusNotification")
            .map(|(at, text)| {
                let status = ocpp::read_call::<StatusNotificationRequest>(text).unwrap().request;
                let at = status.timestamp.unwrap_or(at);
                StatusChange { at, status: ConnectorStatus::from(&status.status) }
            })
            .collect();
        let timeline = session::timeline(&session, &frames, &statuses, session.started_at, charger);
        let findings = timeline.findings.clone();
        Some((session, timeline, findings))
    }
}

#[test]
fn every_recording_has_the_energy_and_the_times_it_says() {
    for recording in recordings() {
        let case = &recording.case;
        let Some((session, timeline, _)) = recording.timeline() else { continue };
        assert_eq!(Some(session.started_at), case.started_at, "{}", case.name);
        assert_eq!(session.ended_at, case.ended_at, "{}", case.name);
        assert_eq!(session.id_tag.as_str(), case.id_tag, "{}", case.name);
        if let Some(expected) = case.energy_wh {
            let energy = timeline.meter_stop.checked_sub(timeline.meter_start).unwrap();
            assert_eq!(energy, WattHours::new(expected), "{}", case.name);
        }
    }
}

#[test]
fn only_the_recordings_that_show_a_doubt_raise_one() {
    for recording in recordings() {
        let Some((_, _, findings)) = recording.timeline() else { continue };
        let found: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        let expected: &[FindingCode] = match recording.case.name.as_str() {
            "meter-backwards" => &[FindingCode::StopBelowStart],
            "offline-begin-zero" => &[FindingCode::BeginZero],
            "vendor-quirks" => &[
                FindingCode::TimeWithoutOffset,
                FindingCode::UnknownUnit,
                FindingCode::SumOfPhases,
                FindingCode::SignedKeyUnknown,
            ],
            _ => &[],
        };
        assert_eq!(found, expected, "{}", recording.case.name);
    }
}

#[test]
fn a_charger_with_every_quirk_loses_no_reading_but_the_one_in_megawatt_hours() {
    let recordings = recordings();
    let quirks = recordings.iter().find(|r| r.case.name == "vendor-quirks").unwrap();
    let (_, timeline, _) = quirks.timeline().unwrap();
    let shown: Vec<_> = timeline
        .samples
        .iter()
        .map(|sample| (sample.at.format("%H:%M").to_string(), sample.energy.wh().normalize()))
        .collect();
    let expected = [("12:10", 314_250), ("12:20", 316_050), ("12:40", 319_650)];
    assert_eq!(shown, expected.map(|(at, wh)| (at.to_owned(), Decimal::from(wh))));
}

/// The key of the meter in `vendor-quirks`; the secret one is 32 times 17.
const QUIRKY_KEY: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200040217e6\
    17f0b6443928278f96999e69a23a4f2c152bdf6d6cdf66e5b80282d4ed194a7debcb97712d2dda3c\
    a85aa8765a56f45fc758599652f2897c65306e5794";

#[test]
fn signed_readings_in_a_recording_are_verified_and_bound_with_the_meters_key() {
    let recordings = recordings();
    let quirks = recordings.iter().find(|r| r.case.name == "vendor-quirks").unwrap();
    let charger = Charger {
        id: quirks.case.charge_point_id.parse().unwrap(),
        site_id: "S1".parse().unwrap(),
        time_zone: quirks.case.time_zone,
        password_hash: String::new(),
        evse_id: String::new(),
        power_type: "AC_3_PHASE".to_owned(),
        standard: "IEC_62196_T2".to_owned(),
        max_electric_power: Some(22_000),
        meter_public_keys: vec![QUIRKY_KEY.to_owned()],
    };
    let (_, timeline, findings) = quirks.timeline_at(Some(&charger)).unwrap();
    let found: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert!(found.contains(&FindingCode::SignedVerified), "{found:?}");
    assert!(!found.iter().any(|code| code.holds_billing()), "{found:?}");
    let signed = timeline.signed.unwrap();
    let energy = |reading: &Option<session::SignedReading>| reading.as_ref().unwrap().energy;
    assert_eq!(energy(&signed.begin), WattHours::from(312_450));
    assert_eq!(energy(&signed.end), WattHours::from(323_250));
}

#[test]
fn every_recording_is_a_whole_sequence_with_its_own_charger_and_tag() {
    let (mut chargers, mut tags) = (BTreeSet::new(), BTreeSet::new());
    for recording in recordings() {
        let case = &recording.case;
        assert!(chargers.insert(case.charge_point_id.clone()), "{} shares its charger", case.name);
        assert!(tags.insert(case.id_tag.clone()), "{} shares its tag", case.name);
        assert!(!case.shows.is_empty() && case.provenance.contains("Composed"), "{}", case.name);
        let (_, first, boot) = &recording.calls[0];
        assert_eq!(first, "BootNotification", "{}", case.name);
        let boot = ocpp::read_call::<BootNotificationRequest>(boot).unwrap().request;
        assert!(!boot.charge_point_vendor.is_empty());
        for (_, authorize) in recording.texts("Authorize") {
            let request = ocpp::read_call::<AuthorizeRequest>(authorize).unwrap().request;
            assert_eq!(request.id_tag.as_str(), case.id_tag, "{}", case.name);
        }
        let times: Vec<_> = recording.calls.iter().map(|(at, ..)| *at).collect();
        assert!(times.is_sorted(), "{}", case.name);
        assert!(times.iter().all(|at| at.to_rfc3339().as_str() < "2026-11"), "{}", case.name);
    }
}
