//! The storm itself: what goes wrong at Stripe and on the way back.
//!
//! Ten per cent of each kind means: of all requests that reach Stripe, whatever they ask and
//! repeats included, each kind hits one in ten, and no request is hit twice. Seven kinds, so seven
//! requests in ten go wrong. Of the events that Stripe sends, one in ten is lost for good, one in
//! ten of the others is sent twice, and every one waits so long that others overtake it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use stripe_twin::{Fault, FaultKind, Twin, WebhookEndpoint};

/// Of a thousand requests or events.
const PER_MILLE: u32 = 100;
/// A request that is slow and still answered in time.
const SLOW_MS: u64 = 1_500;
/// One that is slower than our client waits (`payments::stripe` gives up after six seconds).
const TOO_SLOW_MS: u64 = 7_000;
/// How long an event may wait.
const DISORDER_MS: u64 = 3_000;

/// A kind of fault at Stripe, with how many of a thousand requests it hits and how long a slow one
/// takes.
struct Gust(FaultKind, u32, u64);

/// Half of the 500s comes instead of the work and half after it, and half of the slow answers come
/// in time.
const GUSTS: [Gust; 9] = [
    Gust(FaultKind::RateLimit, PER_MILLE, 0),
    Gust(FaultKind::LockTimeout, PER_MILLE, 0),
    Gust(FaultKind::ServerError, PER_MILLE / 2, 0),
    Gust(FaultKind::ServerErrorAfterWrite, PER_MILLE / 2, 0),
    Gust(FaultKind::BadGateway, PER_MILLE, 0),
    Gust(FaultKind::ResetBefore, PER_MILLE, 0),
    Gust(FaultKind::ResetAfter, PER_MILLE, 0),
    Gust(FaultKind::Slow, PER_MILLE / 2, SLOW_MS),
    Gust(FaultKind::Slow, PER_MILLE / 2, TOO_SLOW_MS),
];

/// Lets it begin.
pub(super) fn begin(stripe: &Twin) {
    for fault in faults() {
        stripe.fault(fault);
    }
    stripe.disturb_webhooks(|endpoint| {
        endpoint.lose_per_mille = PER_MILLE;
        endpoint.duplicate_per_mille = PER_MILLE;
        endpoint.disorder_ms = DISORDER_MS;
    });
}

/// Lets it end.
pub(super) fn end(stripe: &Twin) {
    stripe.clear_faults();
    stripe.disturb_webhooks(
        |WebhookEndpoint { lose_per_mille, duplicate_per_mille, disorder_ms, .. }| {
            (*lose_per_mille, *duplicate_per_mille, *disorder_ms) = (0, 0, 0);
        },
    );
}

/// The orders. The twin goes through them until one goes off, so each of the later ones has to hit
/// more of the requests that are left.
fn faults() -> Vec<Fault> {
    let mut spared = 1_000;
    let order = |Gust(kind, per_mille, slow_ms)| {
        let chance = (per_mille * 1_000 + spared / 2) / spared;
        spared -= per_mille;
        Fault { slow_ms, ..Fault::by_chance(kind, chance) }
    };
    GUSTS.into_iter().map(order).collect()
}

/// What went wrong, counted by the twin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Toll {
    /// Requests that reached Stripe.
    pub(super) requests: u64,
    /// How many of them each kind of fault hit.
    pub(super) faults: BTreeMap<String, u64>,
    /// Events that Stripe was to send.
    pub(super) events: u64,
    /// Those that were never sent.
    pub(super) lost: u64,
    /// Those that were sent twice.
    pub(super) doubled: u64,
    /// Those that came after a later one.
    pub(super) overtaken: u64,
}

impl Toll {
    /// What the twin has counted so far.
    ///
    /// # Errors
    ///
    /// When it does not say.
    pub(super) fn so_far(stripe: &Twin) -> anyhow::Result<Self> {
        let state = stripe.state();
        let number = |path: &str| {
            let number = state.pointer(path).and_then(Value::as_u64);
            number.with_context(|| format!("the twin does not count {path}"))
        };
        let faults = state.get("faults").and_then(Value::as_object).into_iter().flatten();
        let faults = faults.map(|(kind, count)| (kind.clone(), count.as_u64().unwrap_or_default()));
        let lost = number("/webhooks/lost")?;
        let sent = ["pending", "delivered", "given_up"];
        let sent = sent.into_iter().map(|how| number(&format!("/webhooks/{how}")));
        Ok(Self {
            requests: number("/requests")?,
            faults: faults.collect(),
            events: lost + sent.sum::<anyhow::Result<u64>>()?,
            lost,
            doubled: number("/webhooks/duplicated")?,
            overtaken: number("/webhooks/overtaken")?,
        })
    }

    /// What has come since `before`.
    pub(super) fn since(self, before: &Self) -> Self {
        let known = |kind: &str| before.faults.get(kind).copied().unwrap_or_default();
        let faults = self.faults.iter().map(|(kind, count)| (kind.clone(), count - known(kind)));
        Self {
            requests: self.requests - before.requests,
            faults: faults.collect(),
            events: self.events - before.events,
            lost: self.lost - before.lost,
            doubled: self.doubled - before.doubled,
            overtaken: self.overtaken - before.overtaken,
        }
    }

    /// All faults at Stripe.
    pub(super) fn hit(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Whether every kind of fault went off: otherwise the storm proved nothing.
    pub(super) fn is_a_storm(&self) -> bool {
        let kinds = GUSTS.iter().map(|Gust(kind, ..)| serde_json::to_value(kind));
        let every = kinds.flatten().all(|kind| {
            kind.as_str().is_some_and(|kind| self.faults.get(kind).is_some_and(|count| *count > 0))
        });
        every && self.lost > 0 && self.doubled > 0 && self.overtaken > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_hits_one_request_in_ten_and_none_is_hit_twice() {
        let mut spared = 1_000.0;
        for (fault, Gust(kind, share, _)) in faults().iter().zip(GUSTS) {
            let hit = spared * f64::from(fault.per_mille) / 1_000.0;
            spared -= hit;
            assert!((hit - f64::from(share)).abs() < 1.0, "{kind:?} hits {hit} of 1,000");
        }
        assert!((spared - 300.0).abs() < 3.0, "{spared} of 1,000 are spared");
    }
}
