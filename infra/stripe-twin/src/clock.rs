//! The twin's clock: the machine's, moved forward on demand.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Seconds since the epoch, as Stripe counts them. Only ever moves forward, as Stripe's test
/// clocks do (<https://docs.stripe.com/billing/testing/test-clocks>).
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_s: AtomicI64,
}

impl Clock {
    /// The twin's time.
    pub(crate) fn now(&self) -> i64 {
        Self::wall() + self.ahead_s.load(Ordering::SeqCst)
    }

    /// The machine's time: what webhook signatures carry, for their readers have no twin's clock.
    pub(crate) fn wall() -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 4)
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_secs()).unwrap_or(i64::MAX / 4);
        self.ahead_s.fetch_add(by, Ordering::SeqCst);
    }
}
