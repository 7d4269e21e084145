//! A visit, played over the charger's own connection.

use std::{convert::Infallible, time::Duration};

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use quantities::ChargePointId;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{Instant, sleep},
};

use super::{
    kind::Kind,
    plan::{Station, Visit},
};
use crate::{
    charger::{Charger, Pace, PlayOptions, PlayReport, Recording, Step},
    network::Http,
    platform::Platform,
    scenario::{Case, Played, session_of},
};

/// The tag that a start from the app replaces.
const APP_TAG: &str = "FROM-THE-APP";
/// How often a driver presses the button of an app that shows an error, and how soon again.
const PRESSES_MAX: u32 = 60;
const PRESS_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long a charger waits for the start that the app was promised.
const AWAIT_CALL_MAX: Duration = Duration::from_secs(90);
/// How long a charger without a visitor listens at a time.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a charger sends a message that is not answered.
const ATTEMPTS_MAX: u32 = 60;

/// A visit that is over.
#[derive(Debug)]
pub(super) struct Visited {
    pub(super) visit: Visit,
    pub(super) played: Played,
}

/// Connects a charger of the plan and plays its visits, one after the other, telling of each that
/// is over. Then it stays, for what it is still called to do: this ends only with an error.
///
/// # Errors
///
/// When the charger or the app is refused or never answered.
pub(super) async fn play(
    platform: &Platform,
    http: &Http,
    station: Station,
    password: &str,
    over: &UnboundedSender<Visited>,
) -> anyhow::Result<Infallible> {
    let boot = boot(&station);
    let id = station.id.as_str();
    let mut options = PlayOptions::new(platform.charger_url()?, id, password, boot.clone());
    options.attempts_max = ATTEMPTS_MAX;
    options.await_call_max = AWAIT_CALL_MAX;
    let mut charger = Charger::connect(options).await?;
    charger.play(boot).await?;
    for visit in station.visits {
        let number = visit.number;
        let report = one(platform, http, &mut charger, &station.id, &visit).await;
        let report = report.with_context(|| format!("visit {number} ({})", visit.kind.name()))?;
        let case = case(&station.id, &station.site, &visit, &report);
        let session_id = session_of(&case, &report)?;
        let visited = Visited { visit, played: Played { case, report, session_id } };
        over.send(visited).context("nobody counts the visits")?;
    }
    loop {
        charger.listen(PATIENCE).await?;
    }
}

async fn one(
    platform: &Platform,
    http: &Http,
    charger: &mut Charger,
    id: &ChargePointId,
    visit: &Visit,
) -> anyhow::Result<PlayReport> {
    charger.set_pace(Pace::Pause(visit.pause));
    if !visit.kind.by_app() {
        return charger.play(recording(visit)).await;
    }
    let driver = platform.token(visit.driver.as_str(), &[])?;
    let Some(start) = press(http, &driver, id, visit).await? else {
        return charger.play(nothing(visit)).await;
    };
    if visit.kind != Kind::AppCharger {
        return charger.play(recording(visit)).await;
    }
    // A charger that plays nothing refuses what it is called to do.
    let report = charger.play(nothing(visit)).await?;
    let path = format!("/driver/starts/{start}");
    let until = Instant::now() + AWAIT_CALL_MAX;
    while Instant::now() < until {
        charger.listen(PRESS_AGAIN_AFTER).await?;
        let start = http.try_ask(&driver, Method::GET, &path, None).await;
        let status = start.as_ref().ok().and_then(|(_, start)| start.get("status")?.as_str());
        if status == Some("abandoned") {
            return Ok(report);
        }
    }
    bail!("the charger refused, and the app was never told")
}

/// Starts from the app, and presses again while it shows an error: it is the same start. Gives the
/// start's id; `None` when the card was refused.
async fn press(
    http: &Http,
    driver: &str,
    id: &ChargePointId,
    visit: &Visit,
) -> anyhow::Result<Option<String>> {
    let body = json!({ "charge_point_id": id, "connector_id": 1 });
    let key = format!("storm-{}", visit.number);
    for _ in 0..PRESSES_MAX {
        match http.try_post_once(driver, "/driver/starts", &key, &body).await {
            Ok((202, start)) => {
                let id = start.get("id").and_then(Value::as_str);
                return Ok(Some(id.context("a start without id")?.to_owned()));
            }
            Ok((402, _)) => return Ok(None),
            Ok((status @ ..500, answer)) => bail!("the app was answered {status}: {answer}"),
            Ok(_) | Err(_) => sleep(PRESS_AGAIN_AFTER).await,
        }
    }
    bail!("the app was never answered")
}

/// What the closing check is to know of a visit.
fn case(id: &ChargePointId, site: &quantities::SiteId, visit: &Visit, report: &PlayReport) -> Case {
    let Visit { number, kind, id_tag, .. } = visit;
    Case {
        name: format!("{} {number}", kind.name()),
        shows: String::new(),
        charge_point_id: id.clone(),
        site: site.clone(),
        id_tag: id_tag.clone(),
        tier: Some(kind.tier().to_owned()),
        payer: (!kind.pays_by_card()).then(|| "roaming".to_owned()),
        energy_wh: flowed(visit, report),
        outcome: if report.transactions.is_empty() { "none" } else { "rated" }.to_owned(),
        exceptions: Vec::new(),
        folder: std::path::PathBuf::new(),
    }
}

/// The energy that the charger says flowed, less than meant where it was stopped.
fn flowed(visit: &Visit, report: &PlayReport) -> Option<i64> {
    let mut stops = report.exchanges.iter().filter(|told| told.action == "StopTransaction");
    let stop = stops.next_back()?.call.pointer("/3/meterStop")?.as_i64()?;
    Some(stop - i64::from(visit.start_wh))
}

fn boot(station: &Station) -> Recording {
    let at = station.visits.first().map_or(DateTime::UNIX_EPOCH, |visit| visit.from);
    let mut calls = Calls::new(&format!("{}-boot", station.id));
    let boot = json!({ "chargePointVendor": "Voltwerk", "chargePointModel": "VW-AC22" });
    calls.add(at, "BootNotification", boot);
    calls.status(at, "Available");
    calls.recording()
}

/// Nobody charges; what a call meant is over.
fn nothing(visit: &Visit) -> Recording {
    Calls::new(&visit.number.to_string()).recording()
}

fn recording(visit: &Visit) -> Recording {
    let Visit { kind, from, full, until, gone, start_wh, energy_wh, .. } = visit;
    let mut calls = Calls::new(&visit.number.to_string());
    let tag = if kind.by_app() { APP_TAG } else { visit.id_tag.as_str() };
    if kind.by_app() {
        calls.await_start(*from);
    } else {
        calls.add(*from, "Authorize", json!({ "idTag": tag }));
    }
    calls.start(*from, tag, *start_wh);
    calls.status(*from, "Charging");
    calls.reading(*from + (*full - *from) / 2, start_wh + energy_wh / 2);
    if full != until {
        calls.reading(*full, start_wh + energy_wh);
        calls.status(*full, "SuspendedEV");
    }
    calls.stop(*until, start_wh + energy_wh);
    if until != gone {
        calls.status(*until, "Finishing");
    }
    calls.status(*gone, "Available");
    calls.recording()
}

/// What a charger sends, being written.
struct Calls {
    name: String,
    steps: Vec<Step>,
}

impl Calls {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), steps: Vec::new() }
    }

    fn recording(self) -> Recording {
        Recording { name: self.name, steps: self.steps }
    }

    fn add(&mut self, at: DateTime<Utc>, action: &str, payload: Value) {
        let id = format!("{}-{}", self.name, self.steps.len());
        let action = action.to_owned();
        self.steps.push(Step::Call { at, id, action, payload, transaction_id: Some(1) });
    }

    fn await_start(&mut self, at: DateTime<Utc>) {
        let (action, id_tag) = ("RemoteStartTransaction".to_owned(), Some(APP_TAG.to_owned()));
        self.steps.push(Step::AwaitCall { at, action, id_tag });
    }

    fn start(&mut self, at: DateTime<Utc>, tag: &str, register_wh: u32) {
        let payload = json!({
            "connectorId": 1, "idTag": tag, "meterStart": register_wh, "timestamp": time(at),
        });
        self.add(at, "StartTransaction", payload);
    }

    fn status(&mut self, at: DateTime<Utc>, status: &str) {
        let payload = json!({
            "connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": time(at),
        });
        self.add(at, "StatusNotification", payload);
    }

    fn reading(&mut self, at: DateTime<Utc>, register_wh: u32) {
        let sample = json!({ "value": register_wh.to_string() });
        let payload = json!({
            "connectorId": 1,
            "transactionId": 1,
            "meterValue": [{ "timestamp": time(at), "sampledValue": [sample] }],
        });
        self.add(at, "MeterValues", payload);
    }

    fn stop(&mut self, at: DateTime<Utc>, register_wh: u32) {
        let payload = json!({
            "transactionId": 1, "meterStop": register_wh, "timestamp": time(at), "reason": "Local",
        });
        self.add(at, "StopTransaction", payload);
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
