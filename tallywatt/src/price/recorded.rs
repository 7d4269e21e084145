//! The timeline of a recorded OCPP session.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use network::{Jurisdiction, Payer};
use ocpp::{
    MeterValuesRequest, Request, StartTransactionRequest, StatusNotificationRequest,
    StopTransactionRequest,
};
use quantities::{Amount, ChargePointId, Currency, SessionId, TransactionId};
use serde::Deserialize;
use serde_json::{Value, json};
use session::{ConnectorStatus, Session, SessionState, StatusChange, Timeline};

use super::input::line;
use crate::charger::{Recording, Step};

/// A recording, as rating reads it.
pub(super) struct Recorded {
    pub(super) timeline: Timeline,
    /// Told by the `case.json` beside the recording.
    pub(super) time_zone: Option<Tz>,
    pub(super) notes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    time_zone: Tz,
}

/// A call of the charger: when, and its frame.
struct Call {
    at: DateTime<Utc>,
    action: String,
    frame: String,
    transaction_id: Option<i64>,
}

impl Recorded {
    /// What a charger reported, by itself.
    pub(super) fn of(timeline: Timeline) -> Self {
        Self { timeline, time_zone: None, notes: Vec::new() }
    }

    /// Reads the first transaction of the recording at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, Vec<String>> {
        read(path).map_err(|problems| problems.iter().map(|problem| line(problem)).collect())
    }
}

fn read(path: &Path) -> Result<Recorded, Vec<String>> {
    let recording = Recording::read(path).map_err(|error| vec![format!("{error:#}")])?;
    let name = &recording.name;
    let calls: Vec<Call> = recording.steps.iter().filter_map(call).collect();
    let mut starts = calls.iter().filter(|call| call.action == StartTransactionRequest::ACTION);
    let Some(start) = starts.next() else {
        return Err(vec![format!("{name}: no StartTransaction, so there is nothing to price")]);
    };
    let mut notes = Vec::new();
    if starts.any(|other| other.transaction_id != start.transaction_id) {
        notes.push("only the first transaction of the recording is priced".to_owned());
    }
    let until = calls.iter().map(|call| call.at).max().unwrap_or(start.at);
    let statuses = statuses(&calls, request::<StartTransactionRequest>(name, start)?.connector_id);
    let mut session = session(name, start, &calls)?;
    match session.ended_at {
        Some(ended_at) => session.released_at = session::released_at(ended_at, &statuses),
        None => notes.push("the transaction never stops; it is priced to its last message".into()),
    }
    let transaction = start.transaction_id;
    let meter_values: Vec<_> = calls
        .iter()
        .filter(|call| call.action == MeterValuesRequest::ACTION && belongs(call, transaction))
        .map(|call| (call.at, call.frame.clone()))
        .collect();
    let timeline = session::timeline(&session, &meter_values, &statuses, until, None);
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let case = folder.and_then(|folder| fs::read_to_string(folder.join("case.json")).ok());
    let case = case.and_then(|text| serde_json::from_str::<Case>(&text).ok());
    Ok(Recorded { timeline, time_zone: case.map(|case| case.time_zone), notes })
}

fn call(step: &Step) -> Option<Call> {
    let Step::Call { at, id, action, payload, transaction_id } = step else { return None };
    let frame = json!([2, id, action, payload]).to_string();
    let named = payload.get("transactionId").and_then(Value::as_i64);
    let transaction_id = named.or(*transaction_id);
    Some(Call { at: *at, action: action.clone(), frame, transaction_id })
}

/// Whether a message is about `transaction`; one that names none is taken to be.
fn belongs(call: &Call, transaction: Option<i64>) -> bool {
    call.transaction_id.is_none() || transaction.is_none() || call.transaction_id == transaction
}

fn request<R: Request>(name: &str, call: &Call) -> Result<R, Vec<String>> {
    let read = ocpp::read_call::<R>(&call.frame);
    let told = |error| vec![format!("{name}: {} at {}: {error:?}", call.action, call.at)];
    read.map(|received| received.request).map_err(told)
}

fn statuses(calls: &[Call], connector: quantities::ConnectorId) -> Vec<StatusChange> {
    let told = calls.iter().filter(|call| call.action == StatusNotificationRequest::ACTION);
    let read = told.filter_map(|call| {
        let read = ocpp::read_call::<StatusNotificationRequest>(&call.frame).ok()?;
        Some((call.at, read.request))
    });
    read.filter(|(_, told)| told.connector_id == connector)
        .map(|(at, told)| StatusChange {
            at: told.timestamp.unwrap_or(at),
            status: ConnectorStatus::from(&told.status),
        })
        .collect()
}

/// The session as the pipeline would store it; who pays and where does not matter here.
fn session(name: &str, start: &Call, calls: &[Call]) -> Result<Session, Vec<String>> {
    let started: StartTransactionRequest = request(name, start)?;
    let is_stop = |call: &&Call| {
        call.action == StopTransactionRequest::ACTION && belongs(call, start.transaction_id)
    };
    let stop = calls.iter().find(is_stop);
    let stopped = stop.map(|stop| request::<StopTransactionRequest>(name, stop)).transpose()?;
    let unnamed = |error: quantities::IdError| vec![error.to_string()];
    let charge_point_id: ChargePointId = "recorded".parse().map_err(unnamed)?;
    let transaction_id = TransactionId(1);
    Ok(Session {
        id: SessionId::of(&charge_point_id, transaction_id),
        state: SessionState::Ended,
        charge_point_id,
        connector_id: started.connector_id,
        transaction_id,
        site_id: "recorded".parse().map_err(unnamed)?,
        time_zone: Tz::UTC,
        id_tag: started.id_tag,
        driver_id: None,
        route: session::Route::None,
        payer: Payer::Unknown,
        tier: network::Tier::retail(),
        tariff: None,
        jurisdiction: Jurisdiction::taxed(vec![]),
        plan: None,
        site_groups: vec![],
        from_app: false,
        hold: Amount::zero(Currency::EUR),
        placed_hold: None,
        payment_policy: network::PaymentPolicy::default(),
        silent_after_s: 0,
        release_wait_s: 0,
        started_at: started.timestamp,
        received_at: start.at,
        meter_start: started.meter_start,
        ended_at: stopped.as_ref().map(|stopped| stopped.timestamp),
        end_received_at: stop.map(|stop| stop.at),
        meter_stop: stopped.as_ref().map(|stopped| stopped.meter_stop),
        billed_by_person: false,
        stop_reason: None,
        released_at: None,
        start_frame: start.frame.clone(),
        stop_frame: stop.map(|stop| stop.frame.clone()),
    })
}
