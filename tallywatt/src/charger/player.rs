//! Plays a recording: sends its calls one at a time, answers the central system's, and gets every
//! call answered whatever happens to the connection.

use std::{
    collections::{BTreeMap, VecDeque},
    io::ErrorKind,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, SecondsFormat, Utc};
use ocpp::{ErrorCode, Frame, MeterValuesRequest};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite;

use super::{
    Connection, Exchange, PlayReport, PlayedTransaction, Received, Recording, Refused, Step,
};

/// How often the first connection is tried: about three seconds. What was there once is waited for
/// longer.
const FIRST_ATTEMPTS_MAX: u32 = 6;

/// How to play.
#[derive(Debug, Clone)]
pub struct PlayOptions {
    /// WebSocket endpoint, without the charge point's identity.
    pub url: String,
    /// Identity of the charge point.
    pub charge_point_id: String,
    /// Its password.
    pub password: String,
    /// What to play.
    pub recording: Recording,
    /// How fast.
    pub pace: Pace,
    /// How often each call is sent: the second time with the same message id, as after a lost
    /// answer; from the third on under a new one, as after a reboot. All answers must be equal.
    pub repeat: u8,
    /// How long an answer may take until the call is sent again.
    pub answer_max: Duration,
    /// How often a call is sent until the play is given up.
    pub attempts_max: u32,
    /// How long to wait for a call that the recording waits for.
    pub await_call_max: Duration,
    /// How long to stay connected at the end, for calls of the central system.
    pub linger: Duration,
}

/// How fast a recording is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the answers come.
    Fast,
    /// With a pause before each step.
    Pause(Duration),
    /// As recorded.
    RealTime,
}

impl PlayOptions {
    /// Plays `recording` once, as fast as the answers come.
    #[must_use]
    pub fn new(url: &str, charge_point_id: &str, password: &str, recording: Recording) -> Self {
        Self {
            url: url.to_owned(),
            charge_point_id: charge_point_id.to_owned(),
            password: password.to_owned(),
            recording,
            pace: Pace::Fast,
            repeat: 1,
            answer_max: Duration::from_secs(15),
            attempts_max: 20,
            await_call_max: Duration::from_mins(1),
            linger: Duration::ZERO,
        }
    }
}

/// Plays a recording to its end, or until the central system ends it.
///
/// # Errors
///
/// [`Refused`] when the central system refuses the connection; any other error when it cannot be
/// reached, a call is never answered, or an awaited start never comes. Wrong answers are no error:
/// see [`PlayReport::faults`].
pub async fn play(options: PlayOptions) -> anyhow::Result<PlayReport> {
    let (recording, linger) = (options.recording.clone(), options.linger);
    let mut charger = Charger::connect(options).await?;
    let mut report = charger.play(recording).await?;
    charger.listen(linger).await?;
    charger.0.disconnect().await;
    // What was exchanged while it lingered is part of it.
    let after = charger.0.report;
    report.connections += after.connections;
    report.exchanges.extend(after.exchanges);
    Ok(report)
}

/// A connected charger, for one recording after the other.
#[derive(Debug)]
pub struct Charger(Box<Player>);

impl Charger {
    /// Connects; `options.recording` is not played yet.
    ///
    /// # Errors
    ///
    /// As [`play`].
    pub async fn connect(options: PlayOptions) -> anyhow::Result<Self> {
        let mut player = Player::new(options);
        player.connect(FIRST_ATTEMPTS_MAX).await?;
        Ok(Self(Box::new(player)))
    }

    /// Plays a recording to its end, or until the central system ends it.
    ///
    /// # Errors
    ///
    /// As [`play`].
    pub async fn play(&mut self, recording: Recording) -> anyhow::Result<PlayReport> {
        self.begin(recording).await?;
        Ok(self.end())
    }

    /// Plays the first part of a recording: [`Charger::go_on`] plays the next, [`Charger::end`]
    /// tells of all.
    ///
    /// # Errors
    ///
    /// As [`play`].
    pub async fn begin(&mut self, recording: Recording) -> anyhow::Result<()> {
        self.0.begin(recording);
        self.run().await
    }

    /// Plays the next part of what was begun, unless the central system has ended it.
    ///
    /// # Errors
    ///
    /// As [`play`].
    pub async fn go_on(&mut self, recording: Recording) -> anyhow::Result<()> {
        self.0.steps = recording.steps.into();
        self.run().await
    }

    /// What was exchanged since it was begun.
    pub fn end(&mut self) -> PlayReport {
        let idle = PlayReport::new(&self.0.options);
        std::mem::replace(&mut self.0.report, idle)
    }

    /// What was exchanged so far.
    #[must_use]
    pub const fn so_far(&self) -> &PlayReport {
        &self.0.report
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        let player = &mut self.0;
        while player.report.ended_early.is_none()
            && let Some(at) = player.steps.front().map(Step::at)
        {
            // The central system may speak during the pause, and the step be what it is called to.
            player.pace(at).await?;
            let Some(step) = player.steps.pop_front() else { break };
            let Some(step) = player.or_stop_early(step) else { continue };
            match step {
                Step::Reconnect { .. } => {
                    player.disconnect().await;
                    player.reconnect().await?;
                }
                wait @ Step::AwaitCall { .. } => player.await_call(wait).await?,
                call @ Step::Call { .. } => player.call(call).await?,
            }
        }
        Ok(())
    }

    /// Plays at another pace from now on.
    pub const fn set_pace(&mut self, pace: Pace) {
        self.0.options.pace = pace;
    }

    /// Plays nothing for this long, and answers what the central system calls.
    ///
    /// # Errors
    ///
    /// As [`play`].
    pub async fn listen(&mut self, patience: Duration) -> anyhow::Result<()> {
        self.0.listen(patience).await
    }
}

#[derive(Debug)]
struct Player {
    options: PlayOptions,
    steps: VecDeque<Step>,
    connection: Option<Connection>,
    report: PlayReport,
    /// Recorded transactionId → the one it was given.
    transactions: BTreeMap<i64, i64>,
    /// The recorded placeholder tag and the one a RemoteStartTransaction gave.
    started_with: Option<(String, String)>,
    /// Answers given to the central system's calls, by message id: a repeated call gets the same.
    given: BTreeMap<String, String>,
    /// Actions the central system has called that no step has waited for yet.
    called: Vec<String>,
    /// The step that waits now.
    awaited: Option<Step>,
    /// The transaction that runs, and what a stop of it now would say.
    running: Option<Running>,
    /// Set when the running transaction is to stop at once: the OCPP `Reason`.
    stop_now: Option<&'static str>,
    /// When the last step was, by the recording, and by the clock.
    last: Option<(DateTime<Utc>, Instant)>,
}

#[derive(Debug)]
struct Running {
    recorded_id: i64,
    transaction_id: i64,
    at: DateTime<Utc>,
    register_wh: Value,
}

/// How a call ended.
enum Outcome {
    /// With this answer.
    Answered(Frame),
    /// Without one that can be taken: it is to be sent again.
    Lost,
}

impl Player {
    fn new(options: PlayOptions) -> Self {
        Self {
            steps: VecDeque::new(),
            connection: None,
            report: PlayReport::new(&options),
            options,
            transactions: BTreeMap::new(),
            started_with: None,
            given: BTreeMap::new(),
            called: Vec::new(),
            awaited: None,
            running: None,
            stop_now: None,
            last: None,
        }
    }

    /// Forgets the recording before; a start or stop that belonged to it is over.
    fn begin(&mut self, recording: Recording) {
        self.options.recording = recording;
        self.report.recording.clone_from(&self.options.recording.name);
        self.steps = self.options.recording.steps.clone().into();
        self.transactions.clear();
        self.started_with = None;
        self.called.clear();
        self.awaited = None;
        self.running = None;
        self.stop_now = None;
        self.last = None;
    }

    /// Opens the connection again, patiently unless it is refused.
    async fn reconnect(&mut self) -> anyhow::Result<()> {
        self.connect(self.options.attempts_max).await
    }

    async fn connect(&mut self, attempts_max: u32) -> anyhow::Result<()> {
        let mut attempt = 0;
        loop {
            let PlayOptions { url, charge_point_id, password, .. } = &self.options;
            match Connection::open(url, charge_point_id, password).await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    self.report.connections += 1;
                    return Ok(());
                }
                Err(error) => {
                    attempt += 1;
                    if !may_recover(&error) || attempt >= attempts_max {
                        return Err(error);
                    }
                    sleep(backoff(attempt)).await;
                }
            }
        }
    }

    async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }

    /// Waits until it is time for a step recorded at `at`, answering calls meanwhile.
    async fn pace(&mut self, at: DateTime<Utc>) -> anyhow::Result<()> {
        let pause = match (self.options.pace, self.last) {
            (Pace::Fast, _) | (Pace::RealTime, None) => Duration::ZERO,
            (Pace::Pause(pause), _) => pause,
            (Pace::RealTime, Some((last_at, last))) => {
                let gap = (at - last_at).to_std().unwrap_or_default();
                gap.saturating_sub(last.elapsed())
            }
        };
        self.listen(pause).await?;
        self.last = Some((at, Instant::now()));
        Ok(())
    }

    /// Answers the central system's calls for as long as `patience`.
    async fn listen(&mut self, patience: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.receive(left).await {
                Received::Nothing => return Ok(()),
                Received::Closed => self.reconnect().await?,
                Received::Text(text) => {
                    // An answer that comes now is one to a call that was given up and repeated.
                    if let Ok(Frame::Call { id, action, payload }) = Frame::parse(&text) {
                        self.answer(&id, &action, payload.as_json(), &text).await;
                    }
                }
            }
        }
    }

    async fn receive(&mut self, patience: Duration) -> Received {
        let received = match &mut self.connection {
            Some(connection) => connection.receive(patience).await,
            None => Received::Closed,
        };
        if received == Received::Closed {
            self.connection = None;
        }
        received
    }

    async fn await_call(&mut self, step: Step) -> anyhow::Result<()> {
        let Step::AwaitCall { action, .. } = &step else { return Ok(()) };
        let action = action.clone();
        self.awaited = Some(step);
        let until = Instant::now() + self.options.await_call_max;
        loop {
            if let Some(index) = self.called.iter().position(|called| *called == action) {
                self.called.remove(index);
                self.awaited = None;
                return Ok(());
            }
            if Instant::now() >= until {
                // A driver who does not stop in the app pulls the plug; nothing starts by itself.
                anyhow::ensure!(action == "RemoteStopTransaction", "{action} never came");
                self.awaited = None;
                return Ok(());
            }
            self.listen(Duration::from_millis(50)).await?;
        }
    }

    /// Makes a call as often as it is to be repeated, and acts on its answer.
    async fn call(&mut self, step: Step) -> anyhow::Result<()> {
        let Step::Call { at, id, action, mut payload, transaction_id } = step else {
            return Ok(());
        };
        self.fill_in(&mut payload);
        let mut first: Option<Frame> = None;
        for copy in 1..=self.options.repeat {
            let id = if copy < 3 { id.clone() } else { uuid::Uuid::new_v4().to_string() };
            let answer = self.exchange(&id, &action, &payload).await?;
            match &first {
                None => first = Some(answer),
                Some(first) if comparable(first) == comparable(&answer) => {}
                Some(first) => self.report.faults.push(format!(
                    "{action} sent {copy} times was answered {} and then {}",
                    comparable(first),
                    comparable(&answer)
                )),
            }
        }
        let Some(answer) = first else { return Ok(()) };
        self.act_on(at, &action, &payload, transaction_id, &answer);
        Ok(())
    }

    /// Sends one call until it is answered.
    async fn exchange(&mut self, id: &str, action: &str, payload: &Value) -> anyhow::Result<Frame> {
        let call = Frame::call(id, action, payload).to_string();
        let sent_at = now();
        for attempt in 1..=self.options.attempts_max {
            if attempt > 1 {
                self.report.retries += 1;
                sleep(backoff(attempt - 1)).await;
            }
            if let Outcome::Answered(answer) = self.attempt(id, &call).await? {
                self.report.exchanges.push(Exchange {
                    from_charger: true,
                    sent_at,
                    answered_at: now(),
                    action: action.to_owned(),
                    call: as_value(&call),
                    answer: as_value(&answer.to_string()),
                    attempts: attempt,
                });
                return Ok(answer);
            }
        }
        anyhow::bail!("{action} was never answered in {} attempts", self.options.attempts_max)
    }

    async fn attempt(&mut self, id: &str, call: &str) -> anyhow::Result<Outcome> {
        if self.connection.is_none() {
            self.reconnect().await?;
        }
        let Some(connection) = &mut self.connection else { return Ok(Outcome::Lost) };
        if connection.send(call).await.is_err() {
            self.connection = None;
            return Ok(Outcome::Lost);
        }
        let until = Instant::now() + self.options.answer_max;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let text = match self.receive(left).await {
                Received::Text(text) => text,
                Received::Nothing | Received::Closed => return Ok(Outcome::Lost),
            };
            match Frame::parse(&text) {
                Ok(Frame::Call { id, action, payload }) => {
                    self.answer(&id, &action, payload.as_json(), &text).await;
                }
                Ok(Frame::CallError { id: of, code: ErrorCode::InternalError, .. }) if of == id => {
                    return Ok(Outcome::Lost);
                }
                Ok(answer) if answer.id() == id => return Ok(Outcome::Answered(answer)),
                // An answer to a call that was sent again meanwhile.
                Ok(_) => {}
                // API Gateway tells in its own words when a function failed.
                Err(_) => return Ok(Outcome::Lost),
            }
        }
    }

    /// Puts given numbers and tags in the place of recorded ones.
    fn fill_in(&self, payload: &mut Value) {
        if let Some(field) = payload.get_mut("transactionId") {
            let recorded = field.as_i64().or_else(|| field.as_str()?.trim().parse().ok());
            if let Some(given) = recorded.and_then(|recorded| self.transactions.get(&recorded)) {
                *field = if field.is_string() { json!(given.to_string()) } else { json!(given) };
            }
        }
        if let (Some(field), Some((recorded, given))) =
            (payload.get_mut("idTag"), &self.started_with)
            && field.as_str() == Some(recorded)
        {
            *field = json!(given);
        }
    }

    fn act_on(
        &mut self,
        at: DateTime<Utc>,
        action: &str,
        payload: &Value,
        recorded_id: Option<i64>,
        answer: &Frame,
    ) {
        let payload_of_answer = match answer {
            Frame::CallResult { payload, .. } => as_value(payload.as_json()),
            other => {
                self.report.faults.push(format!("{action} was refused: {other}"));
                return;
            }
        };
        let status = payload_of_answer["idTagInfo"]["status"].as_str().unwrap_or_default();
        match action {
            "Authorize" if status != "Accepted" => {
                self.report.ended_early = Some(format!("Authorize: {status}"));
            }
            "BootNotification" if payload_of_answer["status"] != "Accepted" => {
                let status = &payload_of_answer["status"];
                self.report.ended_early = Some(format!("BootNotification: {status}"));
            }
            "StartTransaction" => {
                let Some(transaction_id) = payload_of_answer["transactionId"].as_i64() else {
                    self.report.faults.push("StartTransaction got no transactionId".to_owned());
                    return;
                };
                let recorded_id = recorded_id.unwrap_or(1);
                self.transactions.insert(recorded_id, transaction_id);
                let status = status.to_owned();
                if status != "Accepted" {
                    self.stop_now = Some("DeAuthorized");
                }
                let register_wh = payload["meterStart"].clone();
                self.running = Some(Running { recorded_id, transaction_id, at, register_wh });
                self.report.transactions.push(PlayedTransaction {
                    recorded_id,
                    transaction_id,
                    status,
                    stopped_early: false,
                });
            }
            "MeterValues" => self.note_register(at, payload),
            "StopTransaction" => self.running = None,
            "StatusNotification" => {
                let connector = payload["connectorId"].as_u64().unwrap_or_default();
                let status = payload["status"].as_str().unwrap_or_default().to_owned();
                self.report.final_statuses.insert(connector, status);
            }
            _ => {}
        }
    }

    /// Remembers the last reading, for a stop before the recording's own.
    fn note_register(&mut self, at: DateTime<Utc>, payload: &Value) {
        let Some(running) = &mut self.running else { return };
        let frame = Frame::call("", "MeterValues", payload).to_string();
        let Ok(call) = ocpp::read_call::<MeterValuesRequest>(&frame) else { return };
        let (samples, _) = session::samples_of(&call.request.meter_value);
        let Some(sample) = samples.last() else { return };
        running.at = at;
        // OCPP wants a whole number of watt-hours.
        running.register_wh = match i64::try_from(sample.energy.wh().trunc().mantissa()) {
            Ok(wh) if sample.energy.wh().trunc().scale() == 0 => json!(wh),
            _ => json!(Decimal::to_string(&sample.energy.wh())),
        };
    }

    /// When the running transaction is to stop now: goes on to the recorded StopTransaction, which
    /// then tells the last reading. Returns the step to play.
    fn or_stop_early(&mut self, step: Step) -> Option<Step> {
        let Some(reason) = self.stop_now.take() else { return Some(step) };
        let Some(running) = &self.running else { return Some(step) };
        if step.calls("StopTransaction") || step.awaits("RemoteStopTransaction") {
            return Some(step);
        }
        self.steps.push_front(step);
        let until = self.steps.iter().position(|step| step.calls("StopTransaction"))?;
        self.steps.drain(..until);
        let Some(Step::Call { payload, .. }) = self.steps.front_mut() else { return None };
        payload["meterStop"] = running.register_wh.clone();
        payload["timestamp"] = json!(running.at.to_rfc3339_opts(SecondsFormat::Secs, true));
        payload["reason"] = json!(reason);
        if let Some(fields) = payload.as_object_mut() {
            fields.remove("transactionData");
        }
        if let Some(transaction) = self.report.transactions.last_mut() {
            transaction.stopped_early = true;
        }
        self.steps.pop_front()
    }

    /// Answers a call of the central system.
    async fn answer(&mut self, id: &str, action: &str, payload: &str, call: &str) {
        let sent_at = now();
        let answer = match self.given.get(id) {
            Some(answer) => answer.clone(),
            None => self.decide(id, action, &as_value(payload)).to_string(),
        };
        self.given.insert(id.to_owned(), answer.clone());
        let Some(connection) = &mut self.connection else { return };
        if connection.send(&answer).await.is_err() {
            self.connection = None;
        }
        self.report.exchanges.push(Exchange {
            from_charger: false,
            sent_at,
            answered_at: now(),
            action: action.to_owned(),
            call: as_value(call),
            answer: as_value(&answer),
            attempts: 1,
        });
    }

    fn decide(&mut self, id: &str, action: &str, payload: &Value) -> Frame {
        let accepted = match action {
            "RemoteStartTransaction" => self.accept_start(payload),
            "RemoteStopTransaction" => self.accept_stop(payload),
            "DataTransfer" => {
                return Frame::call_result(id, &json!({ "status": "UnknownVendorId" }));
            }
            _ => {
                let words = "this charger only starts and stops";
                return Frame::call_error(id, ErrorCode::NotImplemented, words);
            }
        };
        if accepted {
            self.called.push(action.to_owned());
        }
        Frame::call_result(id, &json!({ "status": if accepted { "Accepted" } else { "Rejected" } }))
    }

    /// A start is accepted when the recording waits for one.
    fn accept_start(&mut self, payload: &Value) -> bool {
        let waiting = self.waits_for("RemoteStartTransaction");
        let (Some(Some(recorded)), None, Some(given)) =
            (waiting, &self.started_with, payload["idTag"].as_str())
        else {
            return false;
        };
        self.started_with = Some((recorded, given.to_owned()));
        true
    }

    fn accept_stop(&mut self, payload: &Value) -> bool {
        let transaction_id = payload["transactionId"].as_i64();
        let running =
            self.running.as_ref().filter(|run| Some(run.transaction_id) == transaction_id);
        let Some(recorded_id) = running.map(|running| running.recorded_id) else { return false };
        let recorded_stop = self.steps.iter().any(|step| {
            matches!(step, Step::Call { action, payload, .. }
                if action == "StopTransaction" && payload["transactionId"] == recorded_id)
        });
        // A recording that awaits the stop has its own end; in another it comes early. One
        // without a stop is of a charger that no longer listens.
        if recorded_stop && self.waits_for("RemoteStopTransaction").is_none() {
            self.stop_now = Some("Remote");
        }
        recorded_stop
    }

    /// The recorded tag of the step, this one or one still to come, that waits for `action`.
    #[expect(clippy::option_option, reason = "no such step, or a step without a tag")]
    fn waits_for(&self, action: &str) -> Option<Option<String>> {
        self.awaited.iter().chain(&self.steps).find_map(|step| match step {
            Step::AwaitCall { action: awaited, id_tag, .. } if awaited == action => {
                Some(id_tag.clone())
            }
            _ => None,
        })
    }
}

/// Whether a connection that could not be opened may be opened a little later. A central system
/// that says no means it, and a certificate or URL does not get better.
fn may_recover(error: &anyhow::Error) -> bool {
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return matches!(refused, Refused::Status(500..));
    }
    match error.downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Io(io)) => io.kind() != ErrorKind::InvalidData,
        Some(tungstenite::Error::Protocol(_)) | None => true,
        Some(_) => false,
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

fn as_value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::from(json))
}

/// What two answers to the same call have to share: all but their ids and the time of day.
fn comparable(answer: &Frame) -> Value {
    match answer {
        Frame::CallResult { payload, .. } => {
            let mut payload = as_value(payload.as_json());
            if let Some(fields) = payload.as_object_mut() {
                fields.remove("currentTime");
            }
            payload
        }
        Frame::CallError { code, .. } => json!(code),
        Frame::Call { action, .. } => json!(action),
    }
}

/// Doubles from 100 ms up to 5 s.
fn backoff(attempt: u32) -> Duration {
    let doubled = 100_u64.saturating_mul(2_u64.saturating_pow(attempt.saturating_sub(1)));
    Duration::from_millis(doubled.min(5_000))
}
