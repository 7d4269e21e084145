//! Webhook deliveries. <https://docs.stripe.com/webhooks>: signed, repeated until they are
//! answered with 2xx, sometimes twice, in no order.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hmac::{Hmac, Mac};
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::clock::Clock;

/// Stripe repeats for three days with growing pauses; a test cannot wait that long.
const ATTEMPTS_MAX: u32 = 12;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where events go.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEndpoint {
    /// The receiver.
    pub url: String,
    /// Signing secret (`whsec_…`), used as it is.
    pub secret: String,
    /// Event types it gets; empty for all.
    #[serde(default)]
    pub enabled_events: Vec<String>,
    /// Chance of an event to be sent once more after it was received, in thousandths.
    #[serde(default)]
    pub duplicate_per_mille: u32,
    /// Chance of an event never to be sent, in thousandths.
    #[serde(default)]
    pub lose_per_mille: u32,
    /// Each event waits up to this many milliseconds, so that they overtake each other.
    #[serde(default)]
    pub disorder_ms: u64,
    /// Pause before the first repeat, in milliseconds; it doubles.
    #[serde(default = "retry_ms")]
    pub retry_ms: u64,
}

const fn retry_ms() -> u64 {
    100
}

impl std::fmt::Debug for WebhookEndpoint {
    /// Hides the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookEndpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

impl WebhookEndpoint {
    /// An endpoint that gets every event once, in order as far as the network keeps it.
    #[must_use]
    pub fn new(url: &str, secret: &str) -> Self {
        Self {
            url: url.to_owned(),
            secret: secret.to_owned(),
            enabled_events: Vec::new(),
            duplicate_per_mille: 0,
            lose_per_mille: 0,
            disorder_ms: 0,
            retry_ms: retry_ms(),
        }
    }

    fn wants(&self, kind: &str) -> bool {
        self.enabled_events.is_empty() || self.enabled_events.iter().any(|wanted| wanted == kind)
    }
}

/// How deliveries went, by number.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) pending: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) duplicated: AtomicU64,
    /// Received after an event that was sent later.
    pub(crate) overtaken: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) given_up: AtomicU64,
    /// How many deliveries were started, and the latest of those that were received.
    started: AtomicU64,
    latest: AtomicU64,
}

/// Events that some endpoint has not taken: on their way, given up, or lost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Undelivered {
    deliveries: Arc<Mutex<HashMap<String, u32>>>,
}

impl Undelivered {
    fn begin(&self, event: &str) {
        *self.lock().entry(event.to_owned()).or_default() += 1;
    }

    fn done(&self, event: &str) {
        let mut deliveries = self.lock();
        if let Some(left) = deliveries.get_mut(event) {
            *left -= 1;
        }
    }

    pub(crate) fn contains(&self, event: &str) -> bool {
        self.lock().get(event).is_some_and(|left| *left > 0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One event on its way.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) body: String,
}

/// Sends events, each on its own.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    http: reqwest::Client,
    pub(crate) tally: Arc<Tally>,
    pub(crate) undelivered: Undelivered,
}

impl Sender {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { http, tally: Arc::default(), undelivered: Undelivered::default() })
    }

    /// Starts the delivery of one event to one endpoint, unless it is to be lost.
    pub(crate) fn send(&self, endpoint: WebhookEndpoint, event: Outgoing, lose: bool) {
        if !endpoint.wants(&event.kind) {
            return;
        }
        self.undelivered.begin(&event.id);
        if lose || chance(endpoint.lose_per_mille) {
            self.tally.lost.fetch_add(1, Ordering::SeqCst);
            return;
        }
        self.tally.pending.fetch_add(1, Ordering::SeqCst);
        let number = self.tally.started.fetch_add(1, Ordering::SeqCst);
        let sender = self.clone();
        tokio::spawn(async move { sender.deliver(&endpoint, number, &event).await });
    }

    async fn deliver(&self, endpoint: &WebhookEndpoint, number: u64, event: &Outgoing) {
        let body = event.body.as_str();
        let wait_ms = rand::rng().random_range(0..=endpoint.disorder_ms);
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let received = self.repeat_until_received(endpoint, body).await;
        let tally = if received { &self.tally.delivered } else { &self.tally.given_up };
        tally.fetch_add(1, Ordering::SeqCst);
        if received {
            self.undelivered.done(&event.id);
            if self.tally.latest.fetch_max(number, Ordering::SeqCst) > number {
                self.tally.overtaken.fetch_add(1, Ordering::SeqCst);
            }
        }
        if received && chance(endpoint.duplicate_per_mille) {
            self.tally.duplicated.fetch_add(1, Ordering::SeqCst);
            self.post(endpoint, body).await;
        }
        self.tally.pending.fetch_sub(1, Ordering::SeqCst);
    }

    async fn repeat_until_received(&self, endpoint: &WebhookEndpoint, body: &str) -> bool {
        let mut pause = Duration::from_millis(endpoint.retry_ms);
        for _ in 0..ATTEMPTS_MAX {
            if self.post(endpoint, body).await {
                return true;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        tracing::warn!(url = endpoint.url, "webhook given up");
        false
    }

    /// Whether it was answered with 2xx. Every attempt is signed anew, with the time it is made.
    async fn post(&self, endpoint: &WebhookEndpoint, body: &str) -> bool {
        let signature = signature(&endpoint.secret, Clock::wall(), body);
        let request = self.http.post(&endpoint.url).header("stripe-signature", signature);
        let request = request.header("content-type", "application/json; charset=utf-8");
        let answer = request.body(body.to_owned()).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}

fn chance(per_mille: u32) -> bool {
    rand::rng().random_range(0..1000) < per_mille
}

/// `t=…,v1=…`: HMAC-SHA256 of the time, a dot and the body
/// (<https://docs.stripe.com/webhooks#verify-manually>).
fn signature(secret: &str, timestamp: i64, body: &str) -> String {
    // HMAC takes keys of any length, so this cannot fail; an unsigned webhook would be refused.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{timestamp}.{body}").as_bytes());
    format!("t={timestamp},v1={}", hex::encode(mac.finalize().into_bytes()))
}
