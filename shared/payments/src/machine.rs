//! What to ask of Stripe next, and what its answers change. Pure.
//!
//! Whoever carries a payment on does, until [`next_step`] is `None`:
//!
//! 1. [`request`] the step and store the record: the intention is known before the call;
//! 2. make the call with [`Step::idempotency_key`];
//! 3. [`apply`] the outcome and store the record, with the events that tell of it.
//!
//! After a crash anywhere the stored record says which call to make again; the key makes it the
//! same call.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use network::StripePaymentIntentId;
use quantities::{Amount, MoneyError, SessionId};

use crate::record::{DifferenceState, Payment, PaymentState, Refusal};

pub(crate) const HOLD: &str = "hold";
pub(crate) const CAPTURE: &str = "capture";
pub(crate) const CANCEL: &str = "cancel";
pub(crate) const DIFFERENCE: &str = "difference/1";

/// The idempotency key of the write that serves `purpose` in a session.
pub(crate) fn key(session_id: SessionId, purpose: &str) -> String {
    format!("tallywatt/{session_id}/{purpose}")
}

/// One write at Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Hold money on the saved card: a PaymentIntent with manual capture, off session.
    PlaceHold {
        /// How much.
        amount: Amount,
    },
    /// Take this much of the hold and release the rest.
    Capture {
        /// How much; never more than is held.
        amount: Amount,
    },
    /// Release the hold.
    CancelHold,
    /// Take what the hold does not cover, off session, with a PaymentIntent of its own.
    ChargeDifference {
        /// How much.
        amount: Amount,
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
    },
    /// The amount of a [`Step::Capture`] was taken.
    Captured,
    /// The hold of a [`Step::CancelHold`] is gone.
    Canceled,
    /// The hold of a [`Step::Capture`] is gone, and no money was taken.
    HoldLost,
    /// The amount of a [`Step::ChargeDifference`] was taken.
    Charged {
        /// By this PaymentIntent.
        payment_intent: StripePaymentIntentId,
    },
    /// A [`Step::PlaceHold`], [`Step::Capture`] or [`Step::ChargeDifference`] was refused; no
    /// money moved. (A capture is refused when it is below Stripe's least amount.)
    Refused {
        /// Why.
        refusal: Refusal,
        /// The PaymentIntent that was made and is not paid, if one was.
        payment_intent: Option<StripePaymentIntentId>,
    },
}

/// Why a payment cannot move as asked. Each is a bug of ours or a record in need of a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// A step or an outcome that does not belong to the payment's state.
    #[error("payment of session {session_id} in state {state:?} cannot take {what}")]
    OutOfStep {
        /// The session.
        session_id: SessionId,
        /// Where its hold is.
        state: PaymentState,
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
    /// Amounts do not add up.
    #[error("payment of session {session_id} cannot be summed")]
    Sum {
        /// The session.
        session_id: SessionId,
        /// Why.
        #[source]
        source: MoneyError,
    },
}

impl Step {
    /// What the write is for, once per session: the tail of its idempotency key and the `purpose`
    /// in the PaymentIntent's metadata.
    #[must_use]
    pub const fn purpose(&self) -> &'static str {
        match self {
            Self::PlaceHold { .. } => HOLD,
            Self::Capture { .. } => CAPTURE,
            Self::CancelHold => CANCEL,
            Self::ChargeDifference { .. } => DIFFERENCE,
        }
    }

    /// The idempotency key of the write, derived from what it is for.
    #[must_use]
    pub fn idempotency_key(&self, session_id: SessionId) -> String {
        key(session_id, self.purpose())
    }
}

/// The next write at Stripe, or `None` when there is nothing to do until the session has its
/// price, or ever.
#[must_use]
pub fn next_step(payment: &Payment) -> Option<Step> {
    use PaymentState as State;

    match (payment.state, payment.total) {
        // A site that holds nothing waits for the price.
        (State::Created, None) if payment.hold.is_zero() => None,
        (State::Created, None) | (State::HoldRequested, _) => {
            Some(Step::PlaceHold { amount: payment.hold })
        }
        (State::Held | State::CaptureRequested, Some(total)) if !total.is_zero() => {
            // Both are in one currency: `with_total` saw to it.
            let amount = total.min(payment.hold).ok()?;
            Some(Step::Capture { amount })
        }
        (State::Held | State::CaptureRefused | State::CancelRequested, Some(_)) => {
            Some(Step::CancelHold)
        }
        (State::Held, None) => None,
        // There is no hold, or no longer. A session that is priced before anything was asked of
        // Stripe gets none: it would serve nobody.
        _ => next_difference(payment),
    }
}

fn next_difference(payment: &Payment) -> Option<Step> {
    let open = matches!(payment.difference, DifferenceState::None | DifferenceState::Requested);
    (open && payment.owed.minor > 0).then_some(Step::ChargeDifference { amount: payment.owed })
}

/// The record with the intention of `step`, to be stored before the call is made.
///
/// # Errors
///
/// [`MachineError::OutOfStep`] when `step` is not what [`next_step`] says.
pub fn request(payment: Payment, step: &Step, now: DateTime<Utc>) -> Result<Payment, MachineError> {
    if next_step(&payment).as_ref() != Some(step) {
        return Err(out_of_step(&payment, "this step"));
    }
    let mut next = payment;
    let again = match step {
        Step::ChargeDifference { .. } => {
            let state = DifferenceState::Requested;
            std::mem::replace(&mut next.difference, state) == state
        }
        Step::PlaceHold { .. } => enter(&mut next, PaymentState::HoldRequested),
        Step::Capture { .. } => enter(&mut next, PaymentState::CaptureRequested),
        Step::CancelHold => enter(&mut next, PaymentState::CancelRequested),
    };
    // The idempotency key lives from the first time on, so a repeat keeps that moment.
    if !again {
        next.requested_at = Some(now);
    }
    next.attempts = next.attempts.saturating_add(1);
    Ok(next)
}

fn enter(payment: &mut Payment, state: PaymentState) -> bool {
    std::mem::replace(&mut payment.state, state) == state
}

/// The record after Stripe's answer to `step`, to be stored before anything else acts on it.
///
/// # Errors
///
/// [`MachineError::OutOfStep`] when the step was not requested, or the outcome is not one of its
/// own; [`MachineError::Sum`] when amounts do not add up.
pub fn apply(payment: Payment, step: &Step, outcome: Outcome) -> Result<Payment, MachineError> {
    let requested = match step {
        Step::PlaceHold { .. } => payment.state == PaymentState::HoldRequested,
        Step::Capture { .. } => payment.state == PaymentState::CaptureRequested,
        Step::CancelHold => payment.state == PaymentState::CancelRequested,
        Step::ChargeDifference { .. } => payment.difference == DifferenceState::Requested,
    };
    if !requested || next_step(&payment).as_ref() != Some(step) {
        return Err(out_of_step(&payment, "an outcome of this step"));
    }
    let mut next = Payment { requested_at: None, ..payment };
    match (step, outcome) {
        (Step::PlaceHold { .. }, Outcome::Held { payment_intent }) => {
            next.state = PaymentState::Held;
            next.payment_intent = Some(payment_intent);
        }
        (Step::PlaceHold { .. }, Outcome::Refused { refusal, payment_intent }) => {
            next.state = PaymentState::HoldRefused;
            next.payment_intent = payment_intent;
            next.refusal = Some(refusal);
        }
        (Step::Capture { amount }, Outcome::Captured) => {
            next = take(next, *amount)?;
            next.state = PaymentState::Captured;
        }
        (Step::Capture { .. }, Outcome::HoldLost) => next.state = PaymentState::HoldLost,
        (Step::Capture { .. }, Outcome::Refused { refusal, .. }) => {
            next.state = PaymentState::CaptureRefused;
            next.refusal = Some(refusal);
        }
        (Step::CancelHold, Outcome::Canceled) => next.state = PaymentState::Canceled,
        (Step::ChargeDifference { amount }, Outcome::Charged { payment_intent }) => {
            next = take(next, *amount)?;
            next.difference = DifferenceState::Paid;
            next.difference_payment_intent = Some(payment_intent);
        }
        (Step::ChargeDifference { .. }, Outcome::Refused { refusal, payment_intent }) => {
            next.difference = DifferenceState::Refused;
            next.difference_payment_intent = payment_intent;
            next.refusal = Some(refusal);
        }
        _ => return Err(out_of_step(&next, "an outcome of another step")),
    }
    Ok(next)
}

/// The record after news that its hold is gone (`payment_intent.canceled`), if that is news.
#[must_use]
pub fn hold_lost(payment: Payment) -> Payment {
    match payment.state {
        PaymentState::Held => Payment { state: PaymentState::HoldLost, ..payment },
        _ => payment,
    }
}

fn take(payment: Payment, amount: Amount) -> Result<Payment, MachineError> {
    let captured = payment.captured.checked_add(amount);
    let captured = captured.map_err(|source| payment.sum_error(source))?;
    let owed = payment.owed.checked_sub(amount).map_err(|source| payment.sum_error(source))?;
    Ok(Payment { captured, owed, ..payment })
}

const fn out_of_step(payment: &Payment, what: &'static str) -> MachineError {
    MachineError::OutOfStep { session_id: payment.session_id, state: payment.state, what }
}
