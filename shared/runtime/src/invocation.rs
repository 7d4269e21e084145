//! One invocation: its clock, its trace, and the one line it writes.
//!
//! The line is a log entry and, by the `_aws` member, CloudWatch's embedded metric format at once:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use chrono::{DateTime, Utc};
use lambda_runtime::Context;
use quantities::{Amount, SessionId, WattHours};
use serde_json::{Map, Value, json};

/// The CloudWatch namespace of all metrics.
const NAMESPACE: &str = "Tallywatt";

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Sessions started.
    SessionsStarted,
    /// Sessions priced.
    SessionsRated,
    /// Energy priced, in Wh.
    EnergyWh,
    /// Revenue priced, tax included, in minor units of its currency (a dimension).
    RevenueMinor,
    /// Money captured, in minor units.
    CapturedMinor,
    /// Captures that were refused or could not be made.
    FailedCaptures,
    /// Requests refused: bad password, unknown tag, bad signature, somebody else's session.
    Refusals,
    /// Malformed or unknown OCPP frames.
    BadFrames,
    /// Exceptions raised for a person.
    Exceptions,
    /// Messages and calls that had to be tried again.
    Retries,
    /// Age of a queue message when it was handled, in ms.
    QueueAgeMs,
    /// Sessions that are not done and should be.
    StuckSessions,
    /// Payments left waiting, because Stripe does not answer.
    WaitingPayments,
    /// Calls whose request Stripe finds wrong.
    RejectedCalls,
    /// Webhooks delivered.
    Deliveries,
    /// Mails that SES will not take.
    RefusedMails,
    /// Events of Stripe that nobody here can read, or that fail when they are taken again.
    UnhandledEvents,
    /// Memberships that did not say what the platform that bills them says.
    MembershipDrift,
    /// Subscriptions that run at the platform and nobody here has.
    UnclaimedSubscriptions,
}

impl Metric {
    const fn name(self) -> &'static str {
        match self {
            Self::SessionsStarted => "SessionsStarted",
            Self::SessionsRated => "SessionsRated",
            Self::EnergyWh => "EnergyWh",
            Self::RevenueMinor => "RevenueMinor",
            Self::CapturedMinor => "CapturedMinor",
            Self::FailedCaptures => "FailedCaptures",
            Self::Refusals => "Refusals",
            Self::BadFrames => "BadFrames",
            Self::Exceptions => "Exceptions",
            Self::Retries => "Retries",
            Self::QueueAgeMs => "QueueAgeMs",
            Self::StuckSessions => "StuckSessions",
            Self::WaitingPayments => "WaitingPayments",
            Self::RejectedCalls => "RejectedCalls",
            Self::Deliveries => "Deliveries",
            Self::RefusedMails => "RefusedMails",
            Self::UnhandledEvents => "UnhandledEvents",
            Self::MembershipDrift => "MembershipDrift",
            Self::UnclaimedSubscriptions => "UnclaimedSubscriptions",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::QueueAgeMs => "Milliseconds",
            Self::EnergyWh | Self::RevenueMinor | Self::CapturedMinor => "None",
            _ => "Count",
        }
    }
}

/// One invocation of a function.
#[derive(Debug)]
pub struct Invocation {
    function: &'static str,
    request_id: String,
    trace: Option<String>,
    began: Instant,
    now: DateTime<Utc>,
    // Locks, because an HTTP router shares the invocation with its handlers; never contended.
    fields: Mutex<Map<String, Value>>,
    metrics: Mutex<BTreeMap<Metric, i64>>,
}

impl Invocation {
    /// Begins now. The only place where a function reads the clock.
    pub(crate) fn begin(function: &'static str, context: &Context) -> Self {
        Self::at(function, &context.request_id, context.xray_trace_id.clone(), Utc::now())
    }

    /// An invocation at a given moment, for tests of handlers.
    #[must_use]
    pub fn at(
        function: &'static str,
        request_id: &str,
        trace: Option<String>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            function,
            request_id: request_id.to_owned(),
            trace,
            began: Instant::now(),
            now,
            fields: Mutex::default(),
            metrics: Mutex::default(),
        }
    }

    /// When it began, by our clock.
    #[must_use]
    pub const fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Its `X-Amzn-Trace-Id`, to go with every event it tells.
    #[must_use]
    pub fn trace(&self) -> Option<String> {
        self.trace.clone()
    }

    /// Adds a field to the line. Never a tag, a secret, a body or a name.
    pub fn field(&self, name: &str, value: impl Into<Value>) {
        lock(&self.fields).insert(name.to_owned(), value.into());
    }

    /// Says which session this is about. Several (in a batch) are listed.
    pub fn session(&self, id: SessionId) {
        let mut fields = lock(&self.fields);
        let id = Value::from(id.to_string());
        match fields.get_mut("session_id") {
            None => {
                fields.insert("session_id".to_owned(), id);
            }
            Some(Value::Array(ids)) => ids.push(id),
            Some(one) if *one != id => *one = json!([one.take(), id]),
            Some(_) => {}
        }
    }

    /// Says what came of it, in a word or two: `accepted`, `repeat`, `held`.
    pub fn outcome(&self, outcome: &str) {
        self.field("outcome", outcome);
    }

    /// Adds to a metric.
    pub fn count(&self, metric: Metric, value: i64) {
        let mut metrics = lock(&self.metrics);
        let sum = metrics.entry(metric).or_default();
        *sum = sum.saturating_add(value);
    }

    /// Adds money to a metric, under its currency.
    pub fn count_money(&self, metric: Metric, amount: Amount) {
        self.field("Currency", amount.currency.code());
        self.count(metric, amount.minor);
    }

    /// Adds energy to a metric, in whole Wh: metrics are for watching, not for billing.
    pub fn count_energy(&self, energy: WattHours) {
        let wh = energy.wh().trunc().try_into().unwrap_or(i64::MAX);
        self.count(Metric::EnergyWh, wh);
    }

    /// Says that it failed, with the chain of causes, though the caller gets an answer.
    pub fn fail(&self, error: &anyhow::Error) {
        self.field("error", format!("{error:#}"));
    }

    /// Writes the line.
    pub(crate) fn end(&self) {
        let text = self.line().to_string();
        // The one line of this invocation; CloudWatch Logs reads standard output.
        #[expect(clippy::print_stdout, reason = "standard output is a function's log")]
        {
            println!("{text}");
        }
    }

    fn line(&self) -> Value {
        let mut line = lock(&self.fields).clone();
        let level = if line.contains_key("error") { "ERROR" } else { "INFO" };
        line.insert("Function".to_owned(), self.function.into());
        line.insert("level".to_owned(), level.into());
        line.insert("request_id".to_owned(), self.request_id.clone().into());
        let duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        line.insert("duration_ms".to_owned(), duration_ms.into());
        if let Some(trace) = &self.trace {
            line.insert("trace".to_owned(), trace.clone().into());
        }
        let metrics = lock(&self.metrics);
        for (metric, value) in metrics.iter() {
            line.insert(metric.name().to_owned(), (*value).into());
        }
        if !metrics.is_empty() {
            line.insert("_aws".to_owned(), self.embedded_metrics(&line, &metrics));
        }
        Value::Object(line)
    }

    fn embedded_metrics(
        &self,
        line: &Map<String, Value>,
        metrics: &BTreeMap<Metric, i64>,
    ) -> Value {
        let dimensions = if line.contains_key("Currency") {
            json!([["Function"], ["Function", "Currency"]])
        } else {
            json!([["Function"]])
        };
        let definitions: Vec<_> = metrics
            .keys()
            .map(|metric| json!({ "Name": metric.name(), "Unit": metric.unit() }))
            .collect();
        json!({
            "Timestamp": self.now.timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": dimensions,
                "Metrics": definitions,
            }],
        })
    }
}

/// A line half written by a handler that panicked is better than no line.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use quantities::{Currency, TransactionId};

    use super::*;

    fn invocation() -> Invocation {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        Invocation::at("rate-session", "r1", Some("Root=1-a".into()), now)
    }

    #[test]
    fn the_line_is_a_log_entry_and_embedded_metrics_at_once() {
        let invocation = invocation();
        invocation.count(Metric::SessionsRated, 1);
        invocation.count_money(Metric::RevenueMinor, Amount::new(1082, Currency::EUR));
        let line = invocation.line();
        assert_eq!(line["RevenueMinor"], 1082);
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metrics["Metrics"].as_array().unwrap().len(), 2);
        assert_eq!(metrics["Dimensions"], json!([["Function"], ["Function", "Currency"]]));
        assert_eq!(line["_aws"]["Timestamp"], 1_772_366_400_000_i64);
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let error = anyhow::anyhow!("DynamoDB is away").context("reading the session");
        let invocation = invocation();
        invocation.fail(&error);
        let line = invocation.line();
        assert_eq!(line["error"], "reading the session: DynamoDB is away");
        assert_eq!(line["level"], "ERROR");
    }

    #[test]
    fn a_batch_names_all_its_sessions() {
        let invocation = invocation();
        let id = |n| SessionId::of(&"CP1".parse().unwrap(), TransactionId(n));
        for n in [1, 2, 3] {
            invocation.session(id(n));
        }
        assert_eq!(invocation.line()["session_id"].as_array().unwrap().len(), 3);
    }
}
