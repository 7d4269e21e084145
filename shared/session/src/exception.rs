//! Exceptions: what is kept, never billed silently, and resolved by a person.

use chrono::{DateTime, Utc};
use quantities::{ChargePointId, ExceptionId, SessionId, WattHours};
use serde::{Deserialize, Serialize};

use crate::Session;

/// Why a person has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionReason {
    /// StopTransaction for a transactionId we never gave (−1 and 0 included).
    UnknownTransaction,
    /// The stop reading is below the start reading.
    MeterBackwards,
    /// The charger went silent and never sent StopTransaction.
    SilentCharger,
    /// The idTag of the transaction is nobody's who could pay.
    NoPayer,
    /// No tariff was on offer when the session began.
    NoTariff,
    /// A second StopTransaction says something else than the first.
    ConflictingStop,
    /// The connector was never reported free after the session.
    NeverReleased,
    /// Rating could not price the session; the detail says why.
    Unratable,
    /// A transaction message lacks what it cannot do without; the frame is all there is of it.
    UnreadableMessage,
    /// A card was held at a reader, and no session came for it. It is released.
    UnmatchedTap,
    /// A session was started with a reader's tag, and no card was presented for it in time.
    NoCardPresented,
    /// A payment does not go on: a call at Stripe fails, and a repeat would. The detail says why.
    PaymentStuck,
    /// Money was captured at Stripe, without us, on a hold that no session used: it is to be given
    /// back there.
    UnusedCapture,
    /// Money was given back at Stripe, without us, and it is not clear what part of the sale that
    /// was: no credit note is issued for it.
    UncreditedRefund,
}

/// One exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionRecord {
    /// Its id, made from its subject: one subject, one exception.
    pub id: ExceptionId,
    /// Why it is here.
    pub reason: ExceptionReason,
    /// What was seen, in a sentence for the person who resolves it. No personal data.
    pub detail: String,
    /// The charger it is about.
    pub charge_point_id: ChargePointId,
    /// The session it is about, when there is one.
    pub session_id: Option<SessionId>,
    /// The frame that raised it, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<String>,
    /// When it was raised.
    pub raised_at: DateTime<Utc>,
    /// Whether it is still open.
    pub state: ExceptionState,
}

/// Whether an exception is open, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ExceptionState {
    /// Nobody has decided yet.
    Open,
    /// Somebody has.
    Resolved {
        /// Subject of the operator's JWT.
        by: String,
        /// When.
        at: DateTime<Utc>,
        /// What was decided.
        resolution: Resolution,
    },
}

/// What a person can decide about an exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Resolution {
    /// Bill the session with this end.
    Bill {
        /// The stop reading to bill.
        meter_stop: WattHours,
        /// The end to bill.
        ended_at: DateTime<Utc>,
        /// Why this is right.
        reason: String,
    },
    /// Bill nothing; a hold is released.
    Waive {
        /// Why.
        reason: String,
    },
    /// Nothing to do: the exception is understood and no session is touched.
    Dismiss {
        /// Why.
        reason: String,
    },
}

impl ExceptionReason {
    /// The reason's stable code, as JSON spells it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownTransaction => "unknown_transaction",
            Self::MeterBackwards => "meter_backwards",
            Self::SilentCharger => "silent_charger",
            Self::NoPayer => "no_payer",
            Self::NoTariff => "no_tariff",
            Self::ConflictingStop => "conflicting_stop",
            Self::NeverReleased => "never_released",
            Self::Unratable => "unratable",
            Self::UnreadableMessage => "unreadable_message",
            Self::UnmatchedTap => "unmatched_tap",
            Self::NoCardPresented => "no_card_presented",
            Self::PaymentStuck => "payment_stuck",
            Self::UnusedCapture => "unused_capture",
            Self::UncreditedRefund => "uncredited_refund",
        }
    }
}

impl ExceptionRecord {
    /// An open exception about a session.
    #[must_use]
    pub fn of_session(
        reason: ExceptionReason,
        session: &Session,
        detail: String,
        raised_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: Self::id_of(reason, &session.id.to_string()),
            reason,
            detail,
            charge_point_id: session.charge_point_id.clone(),
            session_id: Some(session.id),
            frame: None,
            raised_at,
            state: ExceptionState::Open,
        }
    }

    /// An open exception about a message of a charger that belongs to no session of ours.
    #[must_use]
    pub fn of_message(
        reason: ExceptionReason,
        charge_point_id: &ChargePointId,
        subject: &str,
        detail: String,
        raised_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: Self::id_of(reason, &format!("{charge_point_id}/{subject}")),
            reason,
            detail,
            charge_point_id: charge_point_id.clone(),
            session_id: None,
            frame: None,
            raised_at,
            state: ExceptionState::Open,
        }
    }

    /// An open exception about a transaction message that is refused: what it says of energy must
    /// not be lost with it.
    #[must_use]
    pub fn of_unreadable(
        charge_point_id: &ChargePointId,
        frame: &str,
        refusal: &str,
        raised_at: DateTime<Utc>,
    ) -> Self {
        let subject = crate::payload_digest(frame);
        let reason = ExceptionReason::UnreadableMessage;
        let detail = format!("a transaction message was refused: {refusal}");
        Self::of_message(reason, charge_point_id, &subject, detail, raised_at).with_frame(frame)
    }

    /// The same with an id of its own among those of its reason and session.
    #[must_use]
    pub fn distinguished(self, by: &str) -> Self {
        let id = ExceptionId::about(&format!("{}/{by}", self.id));
        Self { id, ..self }
    }

    /// The same, with the frame that raised it.
    #[must_use]
    pub fn with_frame(self, frame: &str) -> Self {
        Self { frame: Some(frame.to_owned()), ..self }
    }

    /// The same, decided.
    #[must_use]
    pub fn resolved(self, by: &str, at: DateTime<Utc>, resolution: Resolution) -> Self {
        Self { state: ExceptionState::Resolved { by: by.to_owned(), at, resolution }, ..self }
    }

    /// The id of the exception for `reason` about `subject`: a session's id, say.
    #[must_use]
    pub fn id_of(reason: ExceptionReason, subject: &str) -> ExceptionId {
        ExceptionId::about(&format!("{}/{subject}", reason.code()))
    }
}
