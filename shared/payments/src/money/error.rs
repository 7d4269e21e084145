//! Why a payment cannot move.

use quantities::{Amount, SessionId};

/// Why a payment cannot move as asked. Each is a bug of ours, a request to refuse, or a record in
/// need of a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// A step or an outcome that does not belong where the payment is.
    #[error("payment of session {session_id} cannot take {what}")]
    OutOfStep {
        /// The session.
        session_id: SessionId,
        /// What was tried.
        what: &'static str,
    },
    /// A session was priced twice, differently.
    #[error("payment of session {session_id} has another total already")]
    TotalChanged {
        /// The session.
        session_id: SessionId,
    },
    /// A session cannot cost less than nothing.
    #[error("payment of session {session_id} was given a negative total")]
    NegativeTotal {
        /// The session.
        session_id: SessionId,
    },
    /// It can be asked again when the call in progress is over.
    #[error("payment of session {session_id} is being collected")]
    InProgress {
        /// The session.
        session_id: SessionId,
    },
    /// More is to be given back than is left of what was taken.
    #[error("payment of session {session_id} has {refundable} left to give back")]
    RefundTooLarge {
        /// The session.
        session_id: SessionId,
        /// What is left.
        refundable: Amount,
    },
    /// Amounts do not add up.
    #[error("payment of session {session_id} cannot be summed")]
    Sum {
        /// The session.
        session_id: SessionId,
        /// Why.
        #[source]
        source: quantities::MoneyError,
    },
}
