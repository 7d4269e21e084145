//! What is asked of Stripe, and what it says.

use chrono::{DateTime, Utc};
use network::StripePaymentIntentId;
use quantities::{Amount, SessionId};
use serde::{Deserialize, Serialize};

use super::record::{HoldTerms, RefundState};
use crate::Refusal;

/// One write at Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Hold money on the saved card: a PaymentIntent with manual capture, off session.
    PlaceHold {
        /// The how manieth of the session, from 1.
        number: u32,
        /// How much.
        amount: Amount,
    },
    /// Raise what the present hold holds.
    RaiseHold {
        /// The hold.
        number: u32,
        /// The how manieth try with this hold, from 1.
        attempt: u32,
        /// To how much, in all.
        amount: Amount,
    },
    /// Take this much of the present hold and release the rest.
    Capture {
        /// The hold.
        number: u32,
        /// The how manieth try with this hold, from 1.
        attempt: u32,
        /// How much; above the hold only where its charge allows.
        amount: Amount,
    },
    /// Release a hold.
    CancelHold {
        /// The hold.
        number: u32,
    },
    /// Take what is owed off session, with a PaymentIntent of its own.
    ChargeDifference {
        /// The how manieth try, from 1.
        attempt: u32,
        /// How much.
        amount: Amount,
    },
    /// Make a page where the driver pays what is owed.
    MakePayLink {
        /// The how manieth of the session, from 1.
        number: u32,
        /// How much.
        amount: Amount,
    },
    /// Close that page, unless it was paid on.
    ExpirePayLink {
        /// The link.
        number: u32,
    },
    /// Give money back: amount and PaymentIntent are the refund's.
    Refund {
        /// The refund.
        number: u32,
    },
}

/// What Stripe said to a [`Step`]. A timeout or an outage is none of these: then nobody knows, and
/// the step is asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The amount of a [`Step::PlaceHold`] is held.
    Held {
        /// By this PaymentIntent.
        payment_intent: StripePaymentIntentId,
        /// What can be done with it.
        terms: HoldTerms,
    },
    /// The hold of a [`Step::RaiseHold`] was raised.
    Raised {
        /// What can be done with it now.
        terms: HoldTerms,
    },
    /// The hold of a [`Step::Capture`] was captured; or, by somebody at Stripe, that of a
    /// [`Step::RaiseHold`] or [`Step::CancelHold`].
    Captured {
        /// What was taken, whoever asked for how much.
        amount: Amount,
    },
    /// The hold of a [`Step::CancelHold`] is gone.
    Canceled,
    /// The hold of a [`Step::Capture`] or [`Step::RaiseHold`] is gone, and no money was taken.
    HoldLost,
    /// The amount of a [`Step::ChargeDifference`] was taken.
    Charged {
        /// By this PaymentIntent.
        payment_intent: StripePaymentIntentId,
    },
    /// The page of a [`Step::MakePayLink`] is open.
    LinkMade {
        /// Stripe's id of the Checkout Session.
        id: String,
        /// Where it is.
        url: String,
        /// When it closes by itself.
        expires_at: DateTime<Utc>,
    },
    /// The page of a [`Step::ExpirePayLink`] is closed, and nobody paid on it.
    LinkExpired,
    /// The page of a [`Step::ExpirePayLink`] was paid on before it could be closed.
    LinkPaid {
        /// By this PaymentIntent.
        payment_intent: StripePaymentIntentId,
    },
    /// A [`Step::Refund`] was accepted.
    Refunded {
        /// Stripe's id of the refund.
        id: String,
        /// Where it stands.
        state: RefundState,
    },
    /// The step was refused; no money moved.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

impl Step {
    /// What the write is for, once per session: the tail of its idempotency key and the `purpose`
    /// in the metadata of what it makes.
    #[must_use]
    pub fn purpose(&self) -> String {
        match self {
            Self::PlaceHold { number, .. } => format!("hold/{number}"),
            Self::RaiseHold { number, attempt, .. } => format!("hold/{number}/raise/{attempt}"),
            Self::Capture { number, attempt, .. } => format!("hold/{number}/capture/{attempt}"),
            Self::CancelHold { number } => format!("hold/{number}/cancel"),
            Self::ChargeDifference { attempt, .. } => format!("difference/{attempt}"),
            Self::MakePayLink { number, .. } => format!("link/{number}"),
            Self::ExpirePayLink { number } => format!("link/{number}/expire"),
            Self::Refund { number } => format!("refund/{number}"),
        }
    }

    /// The idempotency key of the write, derived from what it is for.
    #[must_use]
    pub fn idempotency_key(&self, session_id: SessionId) -> String {
        key(session_id, &self.purpose())
    }
}

/// The idempotency key of the write that serves `purpose` in a session.
pub(crate) fn key(session_id: SessionId, purpose: &str) -> String {
    format!("tallywatt/{session_id}/{purpose}")
}
