//! A card that is asked for at a reader.

use chrono::{DateTime, TimeDelta, Utc};
use network::{HoldRef, StripePaymentIntentId, StripeReaderId};
use quantities::{Amount, ChargePointId, ConnectorId, IdTag, ReaderId, SessionId, TapId};
use serde::{Deserialize, Serialize};

/// How long a reader waits for a card.
pub(super) const PRESENT_WITHIN: TimeDelta = TimeDelta::minutes(2);
/// How long after the window what belongs into it may still be on its way: the event of a start,
/// the word of a card. Before that no card is released for want of a session, and no session given
/// up for want of a card.
pub(super) const GRACE: TimeDelta = TimeDelta::minutes(1);

/// A card that is asked for at a reader, for one connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// Its id.
    pub id: TapId,
    /// The reader.
    pub reader_id: ReaderId,
    /// The reader at Stripe.
    pub stripe_reader: StripeReaderId,
    /// The charger.
    pub charge_point_id: ChargePointId,
    /// The connector.
    pub connector_id: ConnectorId,
    /// What is to be held.
    pub amount: Amount,
    /// How far apart card and session may arrive, in seconds.
    pub window_s: u32,
    /// What the charger is told to start with once the card is held; `None`: it starts by itself.
    pub start_with: Option<IdTag>,
    /// When it was asked for.
    pub begun_at: DateTime<Utc>,
    /// The PaymentIntent, once there is one.
    pub payment_intent: Option<StripePaymentIntentId>,
    /// How far it got.
    pub state: TapState,
}

/// How far a tap got. [`TapState::Matched`] and [`TapState::Released`] are final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TapState {
    /// It is stored. Stripe may or may not have heard of it.
    Requested,
    /// Its PaymentIntent is there. The reader may or may not show it.
    Made,
    /// The reader shows the amount and waits for a card.
    OnReader {
        /// Until then.
        until: DateTime<Utc>,
    },
    /// A card is held and waits for its session.
    Held {
        /// The hold.
        hold: HoldRef,
        /// When the card was presented.
        at: DateTime<Utc>,
    },
    /// It pays for this session.
    Matched {
        /// The session.
        session_id: SessionId,
    },
    /// It comes to nothing: whatever is held is being released.
    Releasing {
        /// Why.
        why: Why,
    },
    /// It came to nothing, and nothing is held.
    Released {
        /// Why.
        why: Why,
    },
}

/// Why a tap comes to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// The card was declined, or the reader could not take it.
    Refused {
        /// Stripe's decline code, failure code or error code.
        code: String,
    },
    /// No card was presented in time, or another payment took the reader.
    NotPresented,
    /// The card was held, and no session came for it.
    NoSession,
    /// Whoever asked for it does not want it any more.
    Canceled,
    /// Somebody captured it at Stripe, and no session used it: a person gives it back.
    Captured {
        /// What was taken.
        amount: Amount,
    },
}

/// One call to Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make the PaymentIntent.
    Make,
    /// Show it on the reader.
    Present,
    /// Look what became of it. A read.
    Look,
    /// Take it off the reader and cancel it.
    Release,
}

/// What Stripe said to a [`Step`]. A timeout or an outage is none of these: then nobody knows, and
/// the step is made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// To [`Step::Make`]: it is made.
    Made {
        /// The PaymentIntent.
        payment_intent: StripePaymentIntentId,
    },
    /// To [`Step::Present`]: the reader shows it, or might.
    Presented,
    /// To [`Step::Look`]: no card yet.
    Waiting,
    /// To [`Step::Look`]: a card is held. To [`Step::Release`] of a card that was not presented:
    /// it was, in the last moment.
    Held {
        /// The hold.
        hold: HoldRef,
        /// When the card was presented, by Stripe's clock.
        at: DateTime<Utc>,
    },
    /// To every step but the last: there will be no card.
    Nothing {
        /// Why.
        why: Why,
    },
    /// To [`Step::Release`]: nothing is held, and no card can be presented for it any more.
    Released,
    /// To [`Step::Release`]: somebody had captured it at Stripe.
    Captured {
        /// What was taken.
        amount: Amount,
    },
}

impl Tap {
    /// The next call, if one is due.
    #[must_use]
    pub const fn step(&self) -> Option<Step> {
        match self.state {
            TapState::Requested => Some(Step::Make),
            TapState::Made => Some(Step::Present),
            TapState::OnReader { .. } => Some(Step::Look),
            TapState::Releasing { .. } => Some(Step::Release),
            TapState::Held { .. } | TapState::Matched { .. } | TapState::Released { .. } => None,
        }
    }

    /// Whether it is decided, for good.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self.state, TapState::Matched { .. } | TapState::Released { .. })
    }

    /// How far apart card and session may arrive.
    #[must_use]
    pub fn window(&self) -> TimeDelta {
        TimeDelta::seconds(self.window_s.into())
    }

    /// Until when a card that was presented at `at` waits for its session.
    #[must_use]
    pub fn waits_until(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        at + self.window() + GRACE
    }

    /// Whether a card may be held for it that nobody here knows of before Stripe is asked.
    #[must_use]
    pub const fn may_be_held(&self) -> bool {
        matches!(
            self.state,
            TapState::Made
                | TapState::OnReader { .. }
                | TapState::Releasing { why: Why::NotPresented }
        )
    }

    /// As time alone makes it: what was not presented, and what no session came for, is released.
    pub(super) fn turned(self, now: DateTime<Utc>) -> Self {
        let late = now - self.begun_at >= PRESENT_WITHIN;
        let why = match self.state {
            TapState::Requested | TapState::Made if late => Why::NotPresented,
            TapState::Held { at, .. } if self.waits_until(at) <= now => Why::NoSession,
            _ => return self,
        };
        self.releasing(why)
    }

    /// As the outcome of its step makes it. What does not belong to where it is changes nothing.
    pub(super) fn applied(self, outcome: Outcome, now: DateTime<Utc>) -> Self {
        match (&self.state, outcome) {
            (TapState::Requested, Outcome::Made { payment_intent }) => {
                Self { payment_intent: Some(payment_intent), state: TapState::Made, ..self }
            }
            (TapState::Made, Outcome::Presented) => {
                Self { state: TapState::OnReader { until: now + PRESENT_WITHIN }, ..self }
            }
            (TapState::OnReader { until }, Outcome::Waiting) if *until <= now => {
                self.releasing(Why::NotPresented)
            }
            (
                TapState::OnReader { .. } | TapState::Releasing { why: Why::NotPresented },
                Outcome::Held { hold, at },
            ) => Self { state: TapState::Held { hold, at: at.min(now) }, ..self },
            (
                TapState::Requested | TapState::Made | TapState::OnReader { .. },
                Outcome::Nothing { why },
            ) => self.releasing(why),
            (TapState::Releasing { why }, Outcome::Released) => {
                let state = TapState::Released { why: why.clone() };
                Self { state, ..self }
            }
            (TapState::Releasing { .. }, Outcome::Captured { amount }) => {
                Self { state: TapState::Released { why: Why::Captured { amount } }, ..self }
            }
            _ => self,
        }
    }

    /// Not wanted any more, unless it is decided. A card that was not presented in time still counts
    /// until it is off the reader, but not for who has given up.
    pub(super) fn canceled(self) -> Self {
        let waits = matches!(self.state, TapState::Releasing { why: Why::NotPresented });
        let decided = matches!(self.state, TapState::Releasing { .. }) && !waits;
        if decided || self.is_final() { self } else { self.releasing(Why::Canceled) }
    }

    fn releasing(self, why: Why) -> Self {
        // Before it has a PaymentIntent that we know of it is on no reader: nothing to release.
        let state = match self.payment_intent {
            Some(_) => TapState::Releasing { why },
            None => TapState::Released { why },
        };
        Self { state, ..self }
    }
}
