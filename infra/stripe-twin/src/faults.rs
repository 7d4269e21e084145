//! Faults on order: what goes wrong between a client and Stripe, and what issuers say on demand.

use std::collections::BTreeMap;

use rand::{Rng, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// What goes wrong. <https://docs.stripe.com/error-low-level> tells which of these Stripe's
/// idempotency keys remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 429 before anything else: not remembered.
    RateLimit,
    /// 409 `lock_timeout`, before anything else: not remembered.
    LockTimeout,
    /// 500 instead of the work: remembered, so the same key gets it again.
    ServerError,
    /// The work is done and the answer is 500: remembered all the same.
    ServerErrorAfterWrite,
    /// 502 with an HTML page from some proxy: nothing was done or remembered.
    BadGateway,
    /// The connection breaks before the work.
    ResetBefore,
    /// The connection breaks after the work; its answer is remembered.
    ResetAfter,
    /// The work takes [`Fault::slow_ms`] longer; meanwhile its key is in use.
    Slow,
    /// The work is done and no answer ever comes, though the connection stands; it is remembered.
    Hang,
    /// 400 with neither code nor parameter, before anything else: not remembered.
    Rejected,
}

/// An order for faults. It goes off for the next [`Fault::next`] requests, or for some of all
/// requests by [`Fault::per_mille`]. Test helpers are none of them: they are what people do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// How many requests it still hits; 0 leaves it to chance.
    #[serde(default)]
    pub next: u32,
    /// The chance of each request, in thousandths, when [`Fault::next`] was 0 from the start.
    #[serde(default)]
    pub per_mille: u32,
    /// Only requests with this in their path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only requests of this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// How long a [`FaultKind::Slow`] takes, in milliseconds.
    #[serde(default)]
    pub slow_ms: u64,
}

impl Fault {
    /// `kind` for the next `next` requests.
    #[must_use]
    pub const fn next(kind: FaultKind, next: u32) -> Self {
        Self { kind, next, per_mille: 0, path: None, method: None, slow_ms: 500 }
    }

    /// `kind` for some of all requests, by chance in thousandths.
    #[must_use]
    pub const fn by_chance(kind: FaultKind, per_mille: u32) -> Self {
        Self { kind, next: 0, per_mille, path: None, method: None, slow_ms: 500 }
    }

    /// The same for paths that contain `path` only.
    #[must_use]
    pub fn on(self, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    fn concerns(&self, method: &str, path: &str) -> bool {
        self.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
    }
}

/// The orders that are in force, how many requests came, and how often each kind went off.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    orders: Vec<Fault>,
    requests: u64,
    counts: BTreeMap<FaultKind, u64>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.orders.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.orders.clear();
    }

    pub(crate) fn orders(&self) -> &[Fault] {
        &self.orders
    }

    pub(crate) const fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) const fn counts(&self) -> &BTreeMap<FaultKind, u64> {
        &self.counts
    }

    /// The fault of this request, if it gets one: the first order that goes off.
    pub(crate) fn draw(&mut self, rng: &mut StdRng, method: &str, path: &str) -> Option<Fault> {
        self.requests += 1;
        let at = self.orders.iter().position(|order| {
            order.concerns(method, path)
                && (order.next > 0 || rng.random_range(0..1000) < order.per_mille)
        })?;
        let order = self.orders.get_mut(at)?;
        let drawn = order.clone();
        if order.next == 1 {
            self.orders.remove(at);
        } else {
            order.next = order.next.saturating_sub(1);
        }
        *self.counts.entry(drawn.kind).or_default() += 1;
        Some(drawn)
    }
}

/// Makes an issuer refuse. Stripe's test cards decline every charge or none; that a card takes a
/// small hold and refuses the larger charge after it, no test card shows, so this rule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclineRule {
    /// The PaymentMethod it concerns (`pm_…`, as attached).
    pub payment_method: String,
    /// Only intents with this capture method: `manual` for holds, `automatic` for charges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_method: Option<String>,
    /// Only amounts above this, in minor units.
    #[serde(default)]
    pub above: i64,
    /// `error.code`; `authentication_required` does what the cards do that want their customer, and
    /// `processing` refuses nothing: the intent stays in that status until it is processed.
    pub code: String,
    /// `error.decline_code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
}

impl DeclineRule {
    pub(crate) fn applies_to(&self, method: &str, capture_method: &str, amount: i64) -> bool {
        self.payment_method == method
            && self.capture_method.as_ref().is_none_or(|wanted| capture_method.starts_with(wanted))
            && amount > self.above
    }
}
