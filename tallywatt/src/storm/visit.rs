//! A visit, played over the charger's own connection.

use std::{convert::Infallible, time::Duration};

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use quantities::ChargePointId;
use serde_json::{Value, json};
use tokio::{sync::mpsc::UnboundedSender, time::sleep, try_join};

use super::{
    kind::Kind,
    plan::{Station, Visit},
    reader::Kiosk,
    scene::{HOLD_WAIT_MAX, LOOK_EVERY, Scene, WAIT_MAX, meanwhile},
    verdict,
};
use crate::{
    charger::{Charger, Pace, PlayOptions, PlayReport, Recording, Step},
    network::Http,
    scenario::{Case, Played, session_of},
};

/// The tag that a start from the app replaces.
const APP_TAG: &str = "FROM-THE-APP";
/// How often a driver presses the button of an app that shows an error, and how soon again.
const PRESSES_MAX: u32 = 60;
const PRESS_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often they start anew.
const STARTS_MAX: u32 = 5;
/// How long a charger without a visitor listens at a time.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a charger sends a message that is not answered.
const ATTEMPTS_MAX: u32 = 60;

/// A visit that is over.
#[derive(Debug, Clone)]
pub(super) struct Visited {
    pub(super) visit: Visit,
    pub(super) played: Played,
    /// The driver left before there was the hold they stayed for: Stripe was not to be reached.
    pub(super) in_vain: bool,
}

/// Connects a charger of the plan and plays its visits, one after the other, telling of each that
/// is over. Then it stays, for what it is still called to do: this ends only with an error.
///
/// # Errors
///
/// When the charger or the app is refused or never answered.
pub(super) async fn play(
    scene: &Scene<'_>,
    station: &Station,
    over: &UnboundedSender<Visited>,
) -> anyhow::Result<Infallible> {
    let boot = boot(station);
    let (id, password) = (station.id.as_str(), &scene.equipment(&station.id)?.password);
    let mut options = PlayOptions::new(scene.platform.charger_url()?, id, password, boot.clone());
    options.attempts_max = ATTEMPTS_MAX;
    options.await_call_max = WAIT_MAX;
    let mut charger = Charger::connect(options).await?;
    charger.play(boot).await?;
    for visit in &station.visits {
        let number = visit.number;
        let over_with = one(scene, &mut charger, station, visit).await;
        let (report, in_vain) =
            over_with.with_context(|| format!("visit {number} ({})", visit.kind.name()))?;
        let case = case(&station.id, &station.site, visit, &report);
        let session_id = session_of(&case.charge_point_id, &report)?;
        let played = Played { case, report, session_id };
        let visited = Visited { visit: visit.clone(), played, in_vain };
        over.send(visited).context("nobody counts the visits")?;
    }
    loop {
        charger.listen(PATIENCE).await?;
    }
}

/// What the charger says of a visit, and whether the driver left before there was the hold they
/// stayed for.
async fn one(
    scene: &Scene<'_>,
    charger: &mut Charger,
    station: &Station,
    visit: &Visit,
) -> anyhow::Result<(PlayReport, bool)> {
    charger.set_pace(Pace::Pause(visit.pause));
    if matches!(visit.kind, Kind::Raised | Kind::SecondHold) {
        return beyond_the_hold(scene, charger, station, visit).await;
    }
    Ok((undisturbed(scene, charger, station, visit).await?, false))
}

async fn undisturbed(
    scene: &Scene<'_>,
    charger: &mut Charger,
    station: &Station,
    visit: &Visit,
) -> anyhow::Result<PlayReport> {
    match visit.kind {
        Kind::App => {
            let driving = insist(scene, &station.id, visit);
            let (report, ()) = try_join!(charger.play(recording(visit)), driving)?;
            Ok(report)
        }
        Kind::AppCharger | Kind::AppDeclined => {
            not_from_app(scene, charger, &station.id, visit).await
        }
        Kind::ReaderBefore => {
            let mut kiosk = Kiosk::new(scene, station, visit)?;
            let (report, ()) = try_join!(charger.play(recording(visit)), kiosk.wait())?;
            Ok(report)
        }
        Kind::ReaderAfter => {
            let mut kiosk = Kiosk::new(scene, station, visit)?;
            charger.begin(started(visit)).await?;
            meanwhile(charger, WAIT_MAX, async || kiosk.look().await).await?;
            charger.go_on(charged(visit)).await?;
            charger.go_on(stopped(visit)).await?;
            Ok(charger.end())
        }
        Kind::ReaderDeclined => {
            let mut kiosk = Kiosk::new(scene, station, visit)?;
            charger.begin(nothing(visit)).await?;
            meanwhile(charger, WAIT_MAX, async || kiosk.look().await).await?;
            Ok(charger.end())
        }
        _ => charger.play(recording(visit)).await,
    }
}

/// More flows than the first hold covers, which is there by then; and the vehicle goes when what is
/// held covers all. A driver does not stay for either for ever.
async fn beyond_the_hold(
    scene: &Scene<'_>,
    charger: &mut Charger,
    station: &Station,
    visit: &Visit,
) -> anyhow::Result<(PlayReport, bool)> {
    charger.begin(started(visit)).await?;
    let session = session_of(&station.id, charger.so_far())?.context("no session began")?;
    let price = verdict::price_of(visit, visit.energy_wh.into())?;
    let held = async |least: i64| {
        let payment = scene.payment(session).await?;
        let quiet = payment.filter(|it| it.pending.is_none() && it.to_release.is_empty());
        let amount = quiet.and_then(|payment| Some(payment.hold?.terms.amount.minor));
        anyhow::Ok(amount.filter(|amount| *amount >= least))
    };
    let first = meanwhile(charger, HOLD_WAIT_MAX, async || held(1).await).await?;
    charger.go_on(charged(visit)).await?;
    let grown = match first {
        Some(_) => meanwhile(charger, HOLD_WAIT_MAX, async || held(price.minor).await).await?,
        None => None,
    };
    charger.go_on(stopped(visit)).await?;
    Ok((charger.end(), grown.is_none()))
}

/// Starts from the app, and starts anew when that came to nothing: the charger was told too late.
async fn insist(scene: &Scene<'_>, id: &ChargePointId, visit: &Visit) -> anyhow::Result<()> {
    let driver = scene.platform.token(visit.driver.as_str(), &[])?;
    for attempt in 1..=STARTS_MAX {
        let start = press(scene.http(), &driver, id, visit, attempt).await?;
        let path = format!("/driver/starts/{}", start.context("a good card was refused")?);
        loop {
            sleep(LOOK_EVERY).await;
            let start = scene.try_get(&driver, &path).await.unwrap_or_default();
            match start.get("status").and_then(Value::as_str) {
                Some("started") => return Ok(()),
                Some("abandoned") => break,
                _ => {}
            }
        }
    }
    bail!("it never started")
}

/// A start from the app that comes to nothing: the card is refused, or the charger refuses.
async fn not_from_app(
    scene: &Scene<'_>,
    charger: &mut Charger,
    id: &ChargePointId,
    visit: &Visit,
) -> anyhow::Result<PlayReport> {
    let driver = scene.platform.token(visit.driver.as_str(), &[])?;
    let Some(start) = press(scene.http(), &driver, id, visit, 1).await? else {
        return charger.play(nothing(visit)).await;
    };
    // A charger that plays nothing refuses what it is called to do.
    charger.begin(nothing(visit)).await?;
    let path = format!("/driver/starts/{start}");
    let abandoned = async || {
        let start = scene.try_get(&driver, &path).await.unwrap_or_default();
        Ok((start.get("status").and_then(Value::as_str) == Some("abandoned")).then_some(()))
    };
    let told = meanwhile(charger, WAIT_MAX, abandoned).await?;
    told.context("the charger refused, and the app was never told")?;
    Ok(charger.end())
}

/// Starts from the app, and presses again while it shows an error: it is the same start. Gives the
/// start's id; `None` when the card was refused.
async fn press(
    http: &Http,
    driver: &str,
    id: &ChargePointId,
    visit: &Visit,
    attempt: u32,
) -> anyhow::Result<Option<String>> {
    let body = json!({ "charge_point_id": id, "connector_id": 1 });
    let key = format!("storm-{}-{attempt}", visit.number);
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
        payer: None,
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
    let mut recording = started(visit);
    for part in [charged(visit), stopped(visit)] {
        recording.steps.extend(part.steps);
    }
    recording
}

/// From the tag, or the word, to the first energy.
fn started(visit: &Visit) -> Recording {
    let Visit { kind, from, start_wh, .. } = visit;
    let mut calls = Calls::new(&format!("{}-start", visit.number));
    let tag = if kind.by_app() { APP_TAG } else { visit.id_tag.as_str() };
    if kind.by_app() || *kind == Kind::ReaderBefore {
        calls.await_start(*from, tag);
    } else if !kind.at_reader() {
        calls.add(*from, "Authorize", json!({ "idTag": tag }));
    }
    calls.start(*from, tag, *start_wh);
    calls.status(*from, "Charging");
    calls.recording()
}

/// All the energy. Who waits for a larger hold tells of it at once.
fn charged(visit: &Visit) -> Recording {
    let Visit { kind, from, full, until, start_wh, energy_wh, .. } = visit;
    let mut calls = Calls::new(&format!("{}-charge", visit.number));
    let at_once = matches!(kind, Kind::Raised | Kind::SecondHold);
    if !at_once {
        calls.reading(*from + (*full - *from) / 2, start_wh + energy_wh / 2);
    }
    if at_once || full != until {
        calls.reading(*full, start_wh + energy_wh);
    }
    if full != until {
        calls.status(*full, "SuspendedEV");
    }
    calls.recording()
}

fn stopped(visit: &Visit) -> Recording {
    let Visit { until, gone, start_wh, energy_wh, .. } = visit;
    let mut calls = Calls::new(&format!("{}-stop", visit.number));
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

    fn await_start(&mut self, at: DateTime<Utc>, tag: &str) {
        let (action, id_tag) = ("RemoteStartTransaction".to_owned(), Some(tag.to_owned()));
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
