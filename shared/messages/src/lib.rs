//! The events that travel from the outbox through queues, and which queues each one goes to.
//!
//! An event is written in the same DynamoDB transaction as the change it tells of; its id is made
//! from what it tells, so the same change never tells it twice.

use chrono::{DateTime, Utc};
use ledger::JournalEntry;
use network::{HoldRef, HoldRequest, StripePaymentIntentId};
use quantities::{Amount, ChargePointId, ConnectorId, ExceptionId, IdTag, SessionId};
use serde::{Deserialize, Serialize};

/// An event on its way: what is in the outbox row, the SQS message body, and the webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The same for the same event, however often it is sent: see [`Envelope::new`].
    pub id: String,
    /// When the change was made, by our clock.
    pub at: DateTime<Utc>,
    /// `X-Amzn-Trace-Id` of the invocation that made it, so that a trace runs through the queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Before this moment, by our clock, nobody is to look at it; none: at once. It is kept back
    /// by its queue, which does so for a quarter of an hour at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// A transaction began. → payment authorization.
    #[serde(rename = "session.started")]
    SessionStarted {
        /// The session.
        session_id: SessionId,
    },
    /// A session that runs is to be looked at: whether what is held is still enough. → payment
    /// authorization, when it is time for the look.
    #[serde(rename = "session.watched")]
    SessionWatched {
        /// The session.
        session_id: SessionId,
        /// The how manieth look, from 1.
        number: u32,
    },
    /// A transaction ended and is to be priced. → rating.
    #[serde(rename = "session.ended")]
    SessionEnded {
        /// The session.
        session_id: SessionId,
    },
    /// The connector of an ended session is free. → rating.
    #[serde(rename = "session.released")]
    SessionReleased {
        /// The session.
        session_id: SessionId,
    },
    /// A person decided how a held session is billed. → rating.
    #[serde(rename = "session.resolved")]
    SessionResolved {
        /// The session.
        session_id: SessionId,
        /// The exception that held it.
        exception_id: ExceptionId,
    },
    /// A session has its price. → capture, CDR, receipts and accounting.
    #[serde(rename = "session.rated")]
    SessionRated {
        /// The session.
        session_id: SessionId,
        /// What it costs, tax included.
        total: Amount,
        /// What it books.
        journal: JournalEntry,
    },
    /// A person decided to bill nothing. → capture (which releases the hold) and accounting.
    #[serde(rename = "session.waived")]
    SessionWaived {
        /// The session.
        session_id: SessionId,
    },
    /// A hold was placed or raised. → accounting.
    #[serde(rename = "payment.authorized")]
    PaymentAuthorized {
        /// The session.
        session_id: SessionId,
        /// The PaymentIntent that holds it.
        payment_intent: StripePaymentIntentId,
        /// What it holds, in all.
        amount: Amount,
    },
    /// A hold was refused. → accounting.
    #[serde(rename = "payment.refused")]
    PaymentRefused {
        /// The session.
        session_id: SessionId,
        /// Stripe's decline code or error code.
        code: String,
    },
    /// Money was taken. → receipts and accounting.
    #[serde(rename = "payment.captured")]
    PaymentCaptured {
        /// The session.
        session_id: SessionId,
        /// The PaymentIntent that took it.
        payment_intent: StripePaymentIntentId,
        /// How much.
        amount: Amount,
        /// What it books.
        journal: JournalEntry,
    },
    /// More was taken than was to be paid: what is too much is given back. → accounting.
    #[serde(rename = "payment.overpaid")]
    PaymentOverpaid {
        /// The session.
        session_id: SessionId,
        /// How much more that is than before.
        amount: Amount,
        /// How much was taken too much, in all.
        surplus: Amount,
        /// What it books.
        journal: JournalEntry,
    },
    /// A hold was released, or ran out, without taking money. → accounting.
    #[serde(rename = "payment.released")]
    PaymentReleased {
        /// The session.
        session_id: SessionId,
        /// The PaymentIntent that held it.
        payment_intent: StripePaymentIntentId,
    },
    /// Money is owed that could not be taken. → standing, receipts and accounting.
    #[serde(rename = "payment.owed")]
    PaymentOwed {
        /// The session.
        session_id: SessionId,
        /// How much is still owed.
        amount: Amount,
        /// Stripe's decline code or error code.
        code: String,
    },
    /// What was owed is owed no more: it was paid or forgiven. → standing, receipts and accounting.
    #[serde(rename = "payment.cleared")]
    PaymentCleared {
        /// The session.
        session_id: SessionId,
    },
    /// Money that was to be given back is on its way. → accounting.
    #[serde(rename = "payment.refunded")]
    PaymentRefunded {
        /// The session.
        session_id: SessionId,
        /// The how manieth refund of the session.
        number: u32,
        /// The PaymentIntent that had taken it.
        payment_intent: StripePaymentIntentId,
        /// How much.
        amount: Amount,
        /// What it books.
        journal: JournalEntry,
    },
    /// Money that was to be given back was not: it is still to be. → accounting.
    #[serde(rename = "payment.refund_failed")]
    RefundFailed {
        /// The session.
        session_id: SessionId,
        /// The how manieth refund of the session.
        number: u32,
        /// How much.
        amount: Amount,
        /// What it books, if the money had left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        journal: Option<JournalEntry>,
    },
    /// Somebody decided to give money back. → credit notes.
    #[serde(rename = "refund.decided")]
    RefundDecided {
        /// The session.
        session_id: SessionId,
        /// The decision.
        decision: String,
        /// How much.
        amount: Amount,
    },
    /// Somebody gave a part of the sale back at Stripe, without us. → credit notes.
    #[serde(rename = "refund.made")]
    RefundMade {
        /// The session.
        session_id: SessionId,
        /// The how manieth refund of the session.
        number: u32,
        /// Stripe's id of it.
        refund: String,
        /// How much of the sale that is.
        amount: Amount,
    },
    /// A driver was let off what they owed: it was not right to ask for it. → credit notes, which
    /// books it, receipts and accounting.
    #[serde(rename = "payment.waived")]
    PaymentWaived {
        /// The session.
        session_id: SessionId,
        /// How much.
        amount: Amount,
    },
    /// What a driver owes is not expected any more. → accounting.
    #[serde(rename = "payment.written_off")]
    PaymentWrittenOff {
        /// The session.
        session_id: SessionId,
        /// How much.
        amount: Amount,
        /// What it books.
        journal: JournalEntry,
    },
    /// What was written off was paid after all. → accounting.
    #[serde(rename = "payment.recovered")]
    PaymentRecovered {
        /// The session.
        session_id: SessionId,
        /// How much.
        amount: Amount,
        /// How much stays written off.
        written_off: Amount,
        /// What it books.
        journal: JournalEntry,
    },
    /// What a refund that failed owes changed because the driver has it from their bank, by a
    /// dispute that was lost; or has it no more, because the bank gave it back to us. → accounting.
    #[serde(rename = "payment.refund_charged_back")]
    RefundChargedBack {
        /// The session.
        session_id: SessionId,
        /// The how manieth refund of the session.
        number: u32,
        /// How much of it the driver has from their bank now.
        amount: Amount,
        /// What it books.
        journal: JournalEntry,
    },
    /// A dispute began, moved money, or ended. → accounting.
    #[serde(rename = "payment.disputed")]
    PaymentDisputed {
        /// The session.
        session_id: SessionId,
        /// Stripe's id of the dispute.
        dispute: String,
        /// What happened.
        change: DisputeChange,
        /// How much is disputed; of money that moved, how much did by this change.
        amount: Amount,
        /// How much did so far, this change with it; of a beginning, a verdict or an end, how much
        /// was withdrawn and reinstated until then, together. It tells a change from one like it
        /// before.
        so_far: Amount,
        /// Why, in Stripe's words.
        reason: String,
        /// What it books, if money moved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        journal: Option<JournalEntry>,
    },
    /// A credit note was issued. → receipts and accounting.
    #[serde(rename = "credit_note.issued")]
    CreditNoteIssued {
        /// The session.
        session_id: SessionId,
        /// What it credits: a decision, or the waiver.
        key: String,
        /// Its number in its seller's series.
        number: String,
        /// How much it credits, tax included.
        amount: Amount,
        /// What it books.
        journal: JournalEntry,
    },
    /// A roaming session was taken back from the partner. → CDR and accounting.
    #[serde(rename = "session.credited")]
    SessionCredited {
        /// The session.
        session_id: SessionId,
        /// How much, tax included.
        amount: Amount,
        /// What it books.
        journal: JournalEntry,
    },
    /// Somebody asked for a receipt or credit note to be mailed to an address. → receipts.
    #[serde(rename = "receipt.requested")]
    ReceiptRequested {
        /// The session.
        session_id: SessionId,
        /// The mail's key in the session, where the address is: it is in no message.
        mail: String,
    },
    /// There is something to do for a payment: somebody changed it, or its time has come.
    /// → capture.
    #[serde(rename = "payment.due")]
    PaymentDue {
        /// The session.
        session_id: SessionId,
        /// The version of the payment that this was told of.
        version: u64,
    },
    /// A start from the app came to nothing. → capture, which releases its hold.
    #[serde(rename = "start.abandoned")]
    StartAbandoned {
        /// The one-time tag of the start.
        id_tag: IdTag,
        /// The hold to release.
        hold: HoldRef,
    },
    /// A start from the app broke off while its hold was being placed: nobody knows whether it
    /// was. → capture, which finds out and releases it.
    #[serde(rename = "start.interrupted")]
    StartInterrupted {
        /// The start.
        start_id: String,
        /// The hold as it was asked for.
        hold: HoldRequest,
    },
    /// There may be something to do at a connector that is paid at a reader. → payment
    /// authorization.
    #[serde(rename = "tap.due")]
    TapDue {
        /// The charger.
        charge_point_id: ChargePointId,
        /// The connector.
        connector_id: ConnectorId,
        /// What sets this time apart from others.
        cause: String,
    },
    /// A session that was started with a reader's tag has its card. → payment authorization.
    #[serde(rename = "tap.matched")]
    TapMatched {
        /// The session.
        session_id: SessionId,
    },
    /// An operator wants memberships compared with the platform that bills them. → reconciliations.
    #[serde(rename = "reconciliation.requested")]
    ReconciliationRequested {
        /// When; the report is filed under it.
        requested_at: DateTime<Utc>,
    },
    /// A charger is to be told something. → charger calls.
    #[serde(rename = "charger.call")]
    ChargerCall(ChargerCall),
}

/// What happens to a dispute. Each is told once, in whatever order Stripe tells of it, and again
/// when it happens again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeChange {
    /// It began.
    Opened,
    /// The bank took the money back.
    Withdrawn,
    /// Stripe charged a fee.
    FeeCharged,
    /// Stripe gave a fee back.
    FeeReturned,
    /// The bank gave the money back.
    Reinstated,
    /// It ended for us.
    Won,
    /// It ended against us.
    Lost,
    /// What was lost is not: it came back, or the verdict was another after all.
    Recovered,
    /// It ended, and no money had moved.
    Closed,
}

impl DisputeChange {
    /// Its name, as events spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Withdrawn => "withdrawn",
            Self::FeeCharged => "fee_charged",
            Self::FeeReturned => "fee_returned",
            Self::Reinstated => "reinstated",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Recovered => "recovered",
            Self::Closed => "closed",
        }
    }
}

/// A call of ours to a charger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargerCall {
    /// The charger.
    pub charge_point_id: ChargePointId,
    /// Our OCPP message id (`uniqueId`), at most 36 characters; the same on every attempt.
    pub unique_id: String,
    /// OCPP action and payload.
    #[serde(flatten)]
    pub action: ChargerAction,
    /// After this moment the call is pointless and is dropped, its record saying so.
    pub expires_at: DateTime<Utc>,
}

/// What we can tell a charger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", content = "payload")]
pub enum ChargerAction {
    /// Start with this tag at this connector (OCPP 1.6, 5.11).
    RemoteStartTransaction {
        /// The connector.
        #[serde(rename = "connectorId")]
        connector_id: u32,
        /// The tag to start with.
        #[serde(rename = "idTag")]
        id_tag: IdTag,
    },
    /// Stop this transaction (OCPP 1.6, 5.12).
    RemoteStopTransaction {
        /// The transaction.
        #[serde(rename = "transactionId")]
        transaction_id: i32,
    },
}

/// The types of the events that go to accounting, and so to webhook subscribers.
pub const ACCOUNTING: [&str; 19] = [
    "session.started",
    "session.rated",
    "session.waived",
    "session.credited",
    "payment.authorized",
    "payment.refused",
    "payment.captured",
    "payment.overpaid",
    "payment.released",
    "payment.owed",
    "payment.cleared",
    "payment.refunded",
    "payment.refund_failed",
    "payment.refund_charged_back",
    "payment.waived",
    "payment.written_off",
    "payment.recovered",
    "payment.disputed",
    "credit_note.issued",
];

/// A queue of ours. Each has one consumer and one dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Queue {
    /// → `authorize-payment`.
    PaymentAuthorization,
    /// → `rate-session`.
    Rating,
    /// → `capture-payment`.
    Capture,
    /// → `publish-cdr`.
    Cdr,
    /// → `notify-accounting`.
    Accounting,
    /// → `call-charger`.
    ChargerCalls,
    /// → `update-standing`.
    Standing,
    /// → `issue-credit-note`.
    CreditNotes,
    /// → `send-receipt`.
    Receipts,
    /// → `reconcile-subscriptions`.
    Reconciliations,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 10] = [
        Self::PaymentAuthorization,
        Self::Rating,
        Self::Capture,
        Self::Cdr,
        Self::Accounting,
        Self::ChargerCalls,
        Self::Standing,
        Self::CreditNotes,
        Self::Receipts,
        Self::Reconciliations,
    ];

    /// The name it has in URLs and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaymentAuthorization => "payment-authorization",
            Self::Rating => "rating",
            Self::Capture => "capture",
            Self::Cdr => "cdr",
            Self::Accounting => "accounting",
            Self::ChargerCalls => "charger-calls",
            Self::Standing => "standing",
            Self::CreditNotes => "credit-notes",
            Self::Receipts => "receipts",
            Self::Reconciliations => "reconciliations",
        }
    }

    /// The environment variable with its URL; the dead-letter queue's has `_DLQ_URL` instead.
    #[must_use]
    pub const fn url_variable(self) -> &'static str {
        match self {
            Self::PaymentAuthorization => "PAYMENT_AUTHORIZATION_QUEUE_URL",
            Self::Rating => "RATING_QUEUE_URL",
            Self::Capture => "CAPTURE_QUEUE_URL",
            Self::Cdr => "CDR_QUEUE_URL",
            Self::Accounting => "ACCOUNTING_QUEUE_URL",
            Self::ChargerCalls => "CHARGER_CALLS_QUEUE_URL",
            Self::Standing => "STANDING_QUEUE_URL",
            Self::CreditNotes => "CREDIT_NOTES_QUEUE_URL",
            Self::Receipts => "RECEIPTS_QUEUE_URL",
            Self::Reconciliations => "RECONCILIATIONS_QUEUE_URL",
        }
    }
}

impl Event {
    /// The event's type, as webhooks name it.
    #[must_use]
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::SessionStarted { .. } => "session.started",
            Self::SessionWatched { .. } => "session.watched",
            Self::SessionEnded { .. } => "session.ended",
            Self::SessionReleased { .. } => "session.released",
            Self::SessionResolved { .. } => "session.resolved",
            Self::SessionRated { .. } => "session.rated",
            Self::SessionWaived { .. } => "session.waived",
            Self::PaymentAuthorized { .. } => "payment.authorized",
            Self::PaymentRefused { .. } => "payment.refused",
            Self::PaymentCaptured { .. } => "payment.captured",
            Self::PaymentOverpaid { .. } => "payment.overpaid",
            Self::PaymentReleased { .. } => "payment.released",
            Self::PaymentOwed { .. } => "payment.owed",
            Self::PaymentCleared { .. } => "payment.cleared",
            Self::PaymentRefunded { .. } => "payment.refunded",
            Self::RefundFailed { .. } => "payment.refund_failed",
            Self::RefundDecided { .. } => "refund.decided",
            Self::RefundMade { .. } => "refund.made",
            Self::PaymentWaived { .. } => "payment.waived",
            Self::PaymentWrittenOff { .. } => "payment.written_off",
            Self::PaymentRecovered { .. } => "payment.recovered",
            Self::RefundChargedBack { .. } => "payment.refund_charged_back",
            Self::PaymentDisputed { .. } => "payment.disputed",
            Self::CreditNoteIssued { .. } => "credit_note.issued",
            Self::SessionCredited { .. } => "session.credited",
            Self::ReceiptRequested { .. } => "receipt.requested",
            Self::PaymentDue { .. } => "payment.due",
            Self::StartAbandoned { .. } => "start.abandoned",
            Self::StartInterrupted { .. } => "start.interrupted",
            Self::TapDue { .. } => "tap.due",
            Self::TapMatched { .. } => "tap.matched",
            Self::ReconciliationRequested { .. } => "reconciliation.requested",
            Self::ChargerCall(_) => "charger.call",
        }
    }

    /// The queues it goes to.
    #[must_use]
    pub const fn queues(&self) -> &'static [Queue] {
        match self {
            Self::SessionStarted { .. } => &[Queue::PaymentAuthorization, Queue::Accounting],
            Self::SessionWatched { .. } | Self::TapDue { .. } | Self::TapMatched { .. } => {
                &[Queue::PaymentAuthorization]
            }
            Self::SessionEnded { .. }
            | Self::SessionReleased { .. }
            | Self::SessionResolved { .. } => &[Queue::Rating],
            Self::SessionRated { .. } => {
                &[Queue::Capture, Queue::Cdr, Queue::Receipts, Queue::Accounting]
            }
            Self::SessionWaived { .. } => &[Queue::Capture, Queue::Accounting],
            Self::PaymentAuthorized { .. }
            | Self::PaymentRefused { .. }
            | Self::PaymentOverpaid { .. }
            | Self::PaymentReleased { .. }
            | Self::PaymentRefunded { .. }
            | Self::RefundFailed { .. }
            | Self::RefundChargedBack { .. }
            | Self::PaymentWrittenOff { .. }
            | Self::PaymentRecovered { .. }
            | Self::PaymentDisputed { .. } => &[Queue::Accounting],
            Self::PaymentCaptured { .. } | Self::CreditNoteIssued { .. } => {
                &[Queue::Receipts, Queue::Accounting]
            }
            Self::PaymentOwed { .. } | Self::PaymentCleared { .. } => {
                &[Queue::Standing, Queue::Receipts, Queue::Accounting]
            }
            Self::RefundDecided { .. } | Self::RefundMade { .. } => &[Queue::CreditNotes],
            Self::PaymentWaived { .. } => &[Queue::CreditNotes, Queue::Receipts, Queue::Accounting],
            Self::ReceiptRequested { .. } => &[Queue::Receipts],
            Self::SessionCredited { .. } => &[Queue::Cdr, Queue::Accounting],
            Self::PaymentDue { .. }
            | Self::StartAbandoned { .. }
            | Self::StartInterrupted { .. } => &[Queue::Capture],
            Self::ReconciliationRequested { .. } => &[Queue::Reconciliations],
            Self::ChargerCall(_) => &[Queue::ChargerCalls],
        }
    }

    /// The session it is about, when it is about one.
    #[must_use]
    pub const fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::SessionStarted { session_id }
            | Self::SessionWatched { session_id, .. }
            | Self::SessionEnded { session_id }
            | Self::SessionReleased { session_id }
            | Self::SessionResolved { session_id, .. }
            | Self::SessionRated { session_id, .. }
            | Self::SessionWaived { session_id }
            | Self::PaymentAuthorized { session_id, .. }
            | Self::PaymentRefused { session_id, .. }
            | Self::PaymentCaptured { session_id, .. }
            | Self::PaymentOverpaid { session_id, .. }
            | Self::PaymentReleased { session_id, .. }
            | Self::PaymentOwed { session_id, .. }
            | Self::PaymentCleared { session_id }
            | Self::PaymentRefunded { session_id, .. }
            | Self::RefundFailed { session_id, .. }
            | Self::RefundDecided { session_id, .. }
            | Self::RefundMade { session_id, .. }
            | Self::PaymentWaived { session_id, .. }
            | Self::PaymentWrittenOff { session_id, .. }
            | Self::PaymentRecovered { session_id, .. }
            | Self::RefundChargedBack { session_id, .. }
            | Self::PaymentDisputed { session_id, .. }
            | Self::CreditNoteIssued { session_id, .. }
            | Self::SessionCredited { session_id, .. }
            | Self::ReceiptRequested { session_id, .. }
            | Self::PaymentDue { session_id, .. }
            | Self::TapMatched { session_id } => Some(*session_id),
            Self::StartAbandoned { .. }
            | Self::StartInterrupted { .. }
            | Self::TapDue { .. }
            | Self::ReconciliationRequested { .. }
            | Self::ChargerCall(_) => None,
        }
    }

    /// What it books, if it books anything.
    #[must_use]
    pub const fn journal(&self) -> Option<&JournalEntry> {
        match self {
            Self::SessionRated { journal, .. }
            | Self::PaymentCaptured { journal, .. }
            | Self::PaymentOverpaid { journal, .. }
            | Self::PaymentRefunded { journal, .. }
            | Self::RefundChargedBack { journal, .. }
            | Self::PaymentWrittenOff { journal, .. }
            | Self::PaymentRecovered { journal, .. }
            | Self::CreditNoteIssued { journal, .. }
            | Self::SessionCredited { journal, .. } => Some(journal),
            Self::RefundFailed { journal, .. } | Self::PaymentDisputed { journal, .. } => {
                journal.as_ref()
            }
            _ => None,
        }
    }

    /// What sets this event apart from others of its type; with the type it makes the id.
    fn subject(&self) -> String {
        match self {
            // A session can hold and take money more than once.
            Self::PaymentAuthorized { payment_intent, amount, .. } => {
                format!("{payment_intent}:{}", amount.minor)
            }
            Self::PaymentCaptured { payment_intent, .. }
            | Self::PaymentReleased { payment_intent, .. } => payment_intent.to_string(),
            Self::PaymentDue { session_id, version } => format!("{session_id}:{version}"),
            Self::PaymentRefunded { session_id, number, .. }
            | Self::RefundFailed { session_id, number, .. }
            | Self::SessionWatched { session_id, number } => format!("{session_id}:{number}"),
            // It only grows.
            Self::PaymentOverpaid { session_id, surplus, .. } => {
                format!("{session_id}:{}", surplus.minor)
            }
            Self::RefundMade { session_id, refund, .. } => format!("{session_id}:{refund}"),
            Self::RefundDecided { session_id, decision, .. } => format!("{session_id}:{decision}"),
            Self::PaymentDisputed { dispute, change, so_far, .. } => {
                format!("{dispute}:{}:{}", change.name(), so_far.minor)
            }
            // It only falls.
            Self::PaymentRecovered { session_id, written_off, .. } => {
                format!("{session_id}:{}", written_off.minor)
            }
            // It goes both ways: its entry says after what.
            Self::RefundChargedBack { journal, .. } => journal.id().to_owned(),
            Self::CreditNoteIssued { session_id, key, .. } => format!("{session_id}:{key}"),
            Self::ReceiptRequested { session_id, mail } => format!("{session_id}:{mail}"),
            // A session can be held more than once.
            Self::SessionResolved { exception_id, .. } => exception_id.to_string(),
            Self::StartAbandoned { hold, .. } => hold.payment_intent.to_string(),
            Self::StartInterrupted { start_id, .. } => start_id.clone(),
            Self::ReconciliationRequested { requested_at } => {
                requested_at.timestamp_millis().to_string()
            }
            Self::TapDue { charge_point_id, connector_id, cause } => {
                format!("{charge_point_id}:{connector_id}:{cause}")
            }
            Self::ChargerCall(call) => call.unique_id.clone(),
            _ => self.session_id().map(|id| id.to_string()).unwrap_or_default(),
        }
    }
}

impl Envelope {
    /// Wraps `event`. Its id is made from what it tells, so it can be stored only once.
    #[must_use]
    pub fn new(event: Event, at: DateTime<Utc>, trace: Option<String>) -> Self {
        let id = format!("{}:{}", event.event_type(), event.subject());
        Self { id, at, trace, not_before: None, event }
    }

    /// The same, not to be looked at before `moment`.
    #[must_use]
    pub fn not_before(self, moment: DateTime<Utc>) -> Self {
        Self { not_before: Some(moment), ..self }
    }
}

#[cfg(test)]
mod tests {
    use network::{StripeCustomerId, StripePaymentMethodId};
    use quantities::{Currency, TransactionId};

    use super::*;

    fn session() -> SessionId {
        SessionId::of(&"CP1".parse().unwrap(), TransactionId(1))
    }

    #[test]
    fn the_same_event_has_the_same_id_whenever_it_is_told() {
        let event = Event::SessionEnded { session_id: session() };
        let first = Envelope::new(event.clone(), "2026-01-01T00:00:00Z".parse().unwrap(), None);
        let again = Envelope::new(event, "2026-01-02T00:00:00Z".parse().unwrap(), Some("t".into()));
        assert_eq!(first.id, again.id);
    }

    /// Every event that there is, made of one object with all fields that any of them has.
    #[test]
    fn the_list_for_subscribers_has_every_event_that_goes_to_accounting() {
        let at = "2026-03-01T12:00:00Z";
        let eur = serde_json::json!({ "minor": 900, "currency": "EUR" });
        let journal =
            JournalEntry::capture("1".into(), at.parse().unwrap(), Amount::new(900, Currency::EUR));
        let mut fields = serde_json::json!({
            "session_id": session(), "number": 1, "total": eur, "amount": eur, "surplus": eur,
            "written_off": eur, "so_far": eur, "journal": journal.unwrap(), "payment_intent": "pi_1", "code": "card_declined",
            "decision": "d", "refund": "re_1", "dispute": "dp_1", "change": "opened",
            "reason": "fraudulent", "key": "k", "mail": "m", "version": 1, "start_id": "s",
            "id_tag": "T", "charge_point_id": "CP1",
            "connector_id": 1, "cause": "c", "exception_id": "00000000-0000-0000-0000-000000000000",
            "unique_id": "u", "action": "RemoteStopTransaction", "payload": { "transactionId": 7 },
            "expires_at": at, "requested_at": at,
            "hold": { "payment_intent": "pi_1", "amount": eur, "customer": "cus_1",
                "payment_method": "pm_1", "requested_at": at },
        });
        let source = include_str!("lib.rs").split_once("pub enum Event").unwrap().1;
        let source = source.split_once("\n}").unwrap().0;
        let names = source.split("#[serde(rename = \"").skip(1);
        let names: Vec<&str> = names.map(|rest| rest.split_once('"').unwrap().0).collect();
        assert!(names.len() > ACCOUNTING.len());
        let mut listed = Vec::new();
        for name in names {
            fields["type"] = name.into();
            fields["number"] =
                if name.starts_with("credit_note") { "CN-1".into() } else { 1.into() };
            let event: Event = serde_json::from_value(fields.clone()).unwrap();
            assert_eq!(event.event_type(), name);
            listed.extend(event.queues().contains(&Queue::Accounting).then_some(name));
        }
        listed.sort_unstable();
        let mut told = ACCOUNTING;
        told.sort_unstable();
        assert_eq!(listed, told);
    }

    #[test]
    fn an_interrupted_start_goes_to_capture_once_for_each_start() {
        let hold = HoldRequest {
            customer: StripeCustomerId("cus_1".into()),
            payment_method: StripePaymentMethodId("pm_1".into()),
            amount: Amount::new(3000, Currency::EUR),
            requested_at: "2026-01-01T00:00:00.123456789Z".parse().unwrap(),
        };
        let at = "2026-01-01T00:10:00Z".parse().unwrap();
        let event = Event::StartInterrupted { start_id: "s1".into(), hold };
        assert_eq!(event.queues(), [Queue::Capture]);
        assert_eq!(event.session_id(), None);
        let envelope = Envelope::new(event, at, None);
        assert_eq!(envelope.id, "start.interrupted:s1");
        let text = serde_json::to_string(&envelope).unwrap();
        assert_eq!(serde_json::from_str::<Envelope>(&text).unwrap(), envelope);
    }

    #[test]
    fn each_look_at_a_session_is_an_event_of_its_own_that_waits_for_its_time() {
        let at: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let look = |number| {
            let event = Event::SessionWatched { session_id: session(), number };
            Envelope::new(event, at, None).not_before(at + chrono::TimeDelta::minutes(5))
        };
        assert_eq!(look(2).id, format!("session.watched:{}:2", session()));
        assert_ne!(look(1).id, look(2).id);
        assert_eq!(look(1).event.queues(), [Queue::PaymentAuthorization]);
        let text = serde_json::to_string(&look(1)).unwrap();
        assert!(text.contains(r#""not_before":"2026-01-01T00:05:00Z""#), "{text}");
        assert_eq!(serde_json::from_str::<Envelope>(&text).unwrap(), look(1));
        // What was told before there was such a time waits for none.
        let old = text.replace(r#""not_before":"2026-01-01T00:05:00Z","#, "");
        assert_eq!(serde_json::from_str::<Envelope>(&old).unwrap().not_before, None);
    }

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let call = Event::ChargerCall(ChargerCall {
            charge_point_id: "CP1".parse().unwrap(),
            unique_id: "u1".into(),
            action: ChargerAction::RemoteStopTransaction { transaction_id: 7 },
            expires_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        });
        let envelope = Envelope::new(call, "2026-01-01T00:00:00Z".parse().unwrap(), None);
        let text = serde_json::to_string(&envelope).unwrap();
        assert!(text.contains(r#""payload":{"transactionId":7}"#), "{text}");
        assert_eq!(serde_json::from_str::<Envelope>(&text).unwrap(), envelope);
    }
}
