//! A charger under a test's hand.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context as _, bail, ensure};
use quantities::SessionId;
use serde_json::{Value, json};
use tallywatt::charger::{Connection, Received};

use super::world::session_id;

const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// A connected charger that says what it is told to say. It accepts whatever it is called to do,
/// unless it is told to refuse.
#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) id: String,
    connection: Connection,
    sent: u32,
    refuses: bool,
    called: VecDeque<(String, Value)>,
}

/// A session that one of these charged: noon in Amsterdam, for as many minutes and watt-hours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge {
    pub(crate) hour: u32,
    pub(crate) minutes: u32,
    pub(crate) start_wh: u32,
    pub(crate) wh: u32,
}

impl Charge {
    /// When it has run for `minutes`, on a day in June: an hour and more is the next hour.
    pub(crate) fn at(self, minutes: u32) -> String {
        let (hour, minute) = (self.hour + minutes / 60, minutes % 60);
        format!("2026-06-10T{hour:02}:{minute:02}:00Z")
    }
}

impl Station {
    pub(crate) async fn connect(url: &str, id: &str, password: &str) -> anyhow::Result<Self> {
        let connection = Connection::open(url, id, password).await?;
        Ok(Self { id: id.to_owned(), connection, sent: 0, refuses: false, called: VecDeque::new() })
    }

    /// From now on it refuses what it is called to do.
    pub(crate) const fn refuse(&mut self) {
        self.refuses = true;
    }

    /// Makes a call and gives the payload of its CALLRESULT.
    pub(crate) async fn call(&mut self, action: &str, payload: Value) -> anyhow::Result<Value> {
        self.sent += 1;
        let id = format!("m-{}", self.sent);
        let text = json!([2, id, action, payload]).to_string();
        let answer = self.exchange(&text).await?;
        ensure!(answer[0] == 3 && answer[1] == id, "{text} was answered {answer}");
        Ok(answer[2].clone())
    }

    /// Sends a text as it is and gives the frame that comes back.
    pub(crate) async fn exchange(&mut self, text: &str) -> anyhow::Result<Value> {
        self.send(text).await?;
        let shown: String = text.chars().take(100).collect();
        match self.receive(ANSWER_WITHIN).await? {
            Some(answer) => Ok(answer),
            None => bail!("{shown} was never answered"),
        }
    }

    pub(crate) async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        self.connection.send(text).await
    }

    /// The next frame that is no call; calls are accepted meanwhile.
    pub(crate) async fn receive(&mut self, patience: Duration) -> anyhow::Result<Option<Value>> {
        loop {
            let text = match self.connection.receive(patience).await {
                Received::Text(text) => text,
                Received::Nothing => return Ok(None),
                Received::Closed => bail!("{}: the connection was closed", self.id),
            };
            let frame: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
            if frame[0] != 2 {
                return Ok(Some(frame));
            }
            let status = if self.refuses { "Rejected" } else { "Accepted" };
            let answer = json!([3, frame[1], { "status": status }]).to_string();
            self.connection.send(&answer).await?;
            let action = frame[2].as_str().context("a call without action")?.to_owned();
            self.called.push_back((action, frame[3].clone()));
        }
    }

    /// Waits to be called with `action`, accepts, and gives the payload.
    pub(crate) async fn awaits(&mut self, action: &str) -> anyhow::Result<Value> {
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(250);
        loop {
            if let Some(index) = self.called.iter().position(|(called, _)| called == action) {
                let (_, payload) = self.called.remove(index).context("it was just there")?;
                return Ok(payload);
            }
            ensure!(waited < ANSWER_WITHIN, "{} was never called to {action}", self.id);
            ensure!(self.receive(step).await?.is_none(), "an answer to nothing");
            waited += step;
        }
    }

    pub(crate) async fn status_at(&mut self, status: &str, at: &str) -> anyhow::Result<()> {
        let payload = json!({
            "connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": at,
        });
        self.call("StatusNotification", payload).await.map(drop)
    }

    /// Begins a charge with `tag`; gives the session and the number of its transaction.
    pub(crate) async fn start(
        &mut self,
        tag: &str,
        charge: Charge,
    ) -> anyhow::Result<(SessionId, i64)> {
        let at = charge.at(0);
        let payload = json!({
            "connectorId": 1, "idTag": tag, "meterStart": charge.start_wh, "timestamp": at,
        });
        let answer = self.call("StartTransaction", payload).await?;
        ensure!(answer["idTagInfo"]["status"] == "Accepted", "StartTransaction: {answer}");
        let number = answer["transactionId"].as_i64().context("no transactionId")?;
        self.status_at("Charging", &at).await?;
        Ok((session_id(&self.id, number)?, number))
    }

    /// A reading after half of the charge.
    pub(crate) async fn half(&mut self, number: i64, charge: Charge) -> anyhow::Result<()> {
        let wh = charge.start_wh + charge.wh / 2;
        let payload = json!({
            "connectorId": 1,
            "transactionId": number,
            "meterValue": [{
                "timestamp": charge.at(charge.minutes / 2),
                "sampledValue": [{ "value": wh.to_string() }],
            }],
        });
        self.call("MeterValues", payload).await.map(drop)
    }

    /// Ends a charge, and the vehicle leaves at once.
    pub(crate) async fn stop(&mut self, number: i64, charge: Charge) -> anyhow::Result<()> {
        self.stop_and_stay(number, charge).await?;
        self.status_at("Available", &charge.at(charge.minutes)).await
    }

    /// Ends a charge; the vehicle is still there.
    pub(crate) async fn stop_and_stay(
        &mut self,
        number: i64,
        charge: Charge,
    ) -> anyhow::Result<()> {
        let at = charge.at(charge.minutes);
        let payload = json!({
            "transactionId": number,
            "meterStop": charge.start_wh + charge.wh,
            "timestamp": at,
            "reason": "Local",
        });
        self.call("StopTransaction", payload).await?;
        self.status_at("Finishing", &at).await
    }

    /// Whether nobody has called it, beyond what a test waited for.
    pub(crate) fn was_left_alone(&self) -> bool {
        self.called.is_empty()
    }

    pub(crate) async fn leave(self) {
        self.connection.close().await;
    }
}
