//! What there is at one connector: the tap under way and the sessions without a card.

use chrono::{DateTime, TimeDelta, Utc};
use network::HoldRef;
use quantities::{ChargePointId, ConnectorId, SessionId, TapId};
use serde::{Deserialize, Serialize};

use super::tap::{GRACE, Outcome, Step, Tap, TapState};

/// What there is at one connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// The charger.
    pub charge_point_id: ChargePointId,
    /// The connector.
    pub connector_id: ConnectorId,
    /// The tap under way. One that is decided is here no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tap: Option<Tap>,
    /// Sessions that a card is waited for, in the order they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// Optimistic lock. 0 is a record that was never stored. The store writes `version + 1` on the
    /// condition that it finds `version`; nothing else changes it.
    pub version: u64,
}

/// A session that was started with a reader's tag and has no card yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The session.
    pub session_id: SessionId,
    /// When its start arrived, by our clock.
    pub since: DateTime<Utc>,
    /// Until when a card is waited for.
    pub until: DateTime<Utc>,
    /// Whether that passed: the charger is told to stop, and a person decides. Until it has stopped
    /// a card that was presented in time is still its own.
    pub missed: bool,
}

impl Waiting {
    /// A session whose start arrived at `since`, at a connector whose reader has this window. Where
    /// there is no reader nobody can present a card.
    #[must_use]
    pub fn new(session_id: SessionId, since: DateTime<Utc>, window: Option<TimeDelta>) -> Self {
        let until = window.map_or(since, |window| since + window + GRACE);
        Self { session_id, since, until, missed: false }
    }
}

/// A card and the session it pays for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The tap.
    pub tap_id: TapId,
    /// What it holds.
    pub hold: HoldRef,
    /// The session.
    pub session_id: SessionId,
}

/// Another tap is under way at the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another tap is under way at the connector")]
pub struct Occupied;

impl Stand {
    /// A connector where nothing is.
    #[must_use]
    pub const fn empty(charge_point_id: ChargePointId, connector_id: ConnectorId) -> Self {
        Self { charge_point_id, connector_id, tap: None, waiting: Vec::new(), version: 0 }
    }

    /// With `tap` under way.
    ///
    /// # Errors
    ///
    /// [`Occupied`].
    pub fn begin(self, tap: Tap) -> Result<Self, Occupied> {
        if self.tap.is_some() { Err(Occupied) } else { Ok(Self { tap: Some(tap), ..self }) }
    }

    /// Without the tap of this id, once what it holds is released.
    #[must_use]
    pub fn cancel(self, tap_id: TapId) -> Self {
        let tap = self.tap.map(|tap| if tap.id == tap_id { tap.canceled() } else { tap });
        Self { tap, ..self }
    }

    /// With a session that has no card yet; one that is here already stays as it is.
    #[must_use]
    pub fn arrive(self, session: Waiting) -> Self {
        let mut next = self;
        if next.waiting.iter().all(|known| known.session_id != session.session_id) {
            next.waiting.push(session);
        }
        next
    }

    /// Without a session that needs no card any more.
    #[must_use]
    pub fn without(self, session_id: SessionId) -> Self {
        let mut next = self;
        next.waiting.retain(|waiting| waiting.session_id != session_id);
        next
    }

    /// The card and the session that belong together: what the reader holds for this connector goes
    /// to the session that came last, if no more than the window lies between the two. When either
    /// became known does not matter.
    #[must_use]
    pub fn pair(&self) -> Option<Pair> {
        let tap = self.tap.as_ref()?;
        let TapState::Held { hold, at } = &tap.state else { return None };
        let near = |session: &&Waiting| (*at - session.since).abs() <= tap.window();
        let session = self.waiting.iter().filter(near).max_by_key(|session| session.since)?;
        Some(Pair { tap_id: tap.id, hold: hold.clone(), session_id: session.session_id })
    }

    /// With `pair` made: the tap is decided, the session waits no more.
    #[must_use]
    pub fn paired(self, pair: &Pair) -> Self {
        let mut next = self.without(pair.session_id);
        if let Some(tap) = next.tap.as_mut().filter(|tap| tap.id == pair.tap_id) {
            tap.state = TapState::Matched { session_id: pair.session_id };
        }
        next
    }

    /// As time alone makes the tap; one that has its session is the session's.
    #[must_use]
    pub fn turn(self, now: DateTime<Utc>) -> Self {
        if self.pair().is_some() {
            return self;
        }
        Self { tap: self.tap.map(|tap| tap.turned(now)), ..self }
    }

    /// The first session that no card came for in time, marked so; `None` if there is none that is
    /// not marked yet. While Stripe does not answer what became of a card that may be a session's,
    /// the session is not missed (`answered`: it was asked at `now`, or there was nothing to ask).
    #[must_use]
    pub fn miss(&self, now: DateTime<Utc>, answered: bool) -> Option<(Self, SessionId)> {
        let mut next = self.clone();
        let paired = self.pair().map(|pair| pair.session_id);
        let unknown = self.tap.as_ref().filter(|tap| !answered && tap.may_be_held());
        let late = |session: &&mut Waiting| {
            let may_have_one = unknown.is_some_and(|tap| tap.begun_at <= session.until);
            let is_over = !session.missed && session.until <= now && !may_have_one;
            is_over && Some(session.session_id) != paired
        };
        let session = next.waiting.iter_mut().find(late)?;
        session.missed = true;
        let session_id = session.session_id;
        Some((next, session_id))
    }

    /// The next call to Stripe, if one is due.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        self.tap.as_ref().and_then(Tap::step)
    }

    /// With the outcome of the tap's step.
    #[must_use]
    pub fn apply(self, outcome: Outcome, now: DateTime<Utc>) -> Self {
        Self { tap: self.tap.map(|tap| tap.applied(outcome, now)), ..self }
    }

    /// The tap that is decided, and the stand without it.
    #[must_use]
    pub fn cleared(self) -> (Self, Option<Tap>) {
        match self.tap {
            Some(tap) if tap.is_final() => (Self { tap: None, ..self }, Some(tap)),
            _ => (self, None),
        }
    }

    /// Whether somebody has to come back to it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tap.is_none() && self.waiting.is_empty()
    }

    /// Whether something is to be done at `now` that no news may bring: what the sweep looks for.
    #[must_use]
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        let turned = self
            .tap
            .as_ref()
            .is_some_and(|tap| tap.step().is_some() || tap.clone().turned(now).state != tap.state);
        let missed = self.waiting.iter().any(|session| session.missed || session.until <= now);
        turned || missed || self.pair().is_some()
    }
}
