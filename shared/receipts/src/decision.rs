//! What people decide about a session after it was sold.

use chrono::{DateTime, Utc};
use quantities::Amount;
use serde::{Deserialize, Serialize};

use crate::{Evidence, Scope};

/// A decision, and the trail of it: kept with the session, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Set by whoever asks, so that asking again decides nothing more; unique in the session.
    pub id: String,
    /// A digest of what was asked for: another request under the same id is not a repeat.
    pub request: String,
    /// What was decided.
    #[serde(flatten)]
    pub what: Decided,
    /// Why, in their words.
    pub reason: String,
    /// Who: the subject of their token.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Decided {
    /// To give money back, and to credit it.
    Refund {
        /// Of what.
        scope: Scope,
        /// How much, taxes included.
        amount: Amount,
        /// The refunds of the payment that carry it out, by number: one for each PaymentIntent.
        refunds: Vec<u32>,
    },
    /// To try again what a refund that failed did not give back. It was credited with the first.
    RefundAgain {
        /// The refund that failed.
        failed: u32,
        /// The refunds that carry it out.
        refunds: Vec<u32>,
        /// How much.
        amount: Amount,
    },
    /// To credit a refund that somebody made at Stripe: no money moves by this.
    RefundMade {
        /// The refund of the payment.
        refund: u32,
        /// How much of the sale it takes back.
        amount: Amount,
    },
    /// To take a refund that somebody made at Stripe, as far as it goes, for another try of one that
    /// failed: so much was credited with the first, and no money moves by this.
    RefundInPlace {
        /// The refund of the payment.
        refund: u32,
        /// The refund that failed.
        failed: u32,
        /// How much.
        amount: Amount,
    },
    /// To let the driver off what is owed: it was not right to ask for it. It is credited.
    Waive,
    /// To expect what is owed no more, though it was right. The sale stands.
    WriteOff,
    /// To take the session back from the roaming partner.
    Credit,
    /// To answer a dispute with evidence.
    SubmitEvidence {
        /// Stripe's id of the dispute.
        dispute: String,
        /// What is submitted: the same however often Stripe has to be asked.
        evidence: Evidence,
    },
    /// To give a dispute up: it is lost.
    AcceptDispute {
        /// Stripe's id of the dispute.
        dispute: String,
    },
}

impl Decided {
    /// How much was decided to be given back and credited.
    #[must_use]
    pub const fn credits(&self) -> Option<Amount> {
        match self {
            Self::Refund { amount, .. } => Some(*amount),
            _ => None,
        }
    }
}
