//! What Stripe tells unasked: at any time, in any order, twice or never.

use network::StripePaymentIntentId;

use super::{
    change::{close, gone, paid_on, set_refund},
    error::MoneyError,
    record::{Dispute, LinkState, Payment, RefundState},
    step::Step,
};

/// What Stripe tells unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A hold ran out or was released elsewhere (`payment_intent.canceled`).
    HoldLost {
        /// Its PaymentIntent.
        payment_intent: StripePaymentIntentId,
    },
    /// A pay link was paid on (`checkout.session.completed`).
    LinkPaid {
        /// Stripe's id of the Checkout Session.
        id: String,
        /// The PaymentIntent.
        payment_intent: StripePaymentIntentId,
    },
    /// A pay link closed (`checkout.session.expired`).
    LinkExpired {
        /// Stripe's id of the Checkout Session.
        id: String,
    },
    /// A refund moved (`refund.updated`, `refund.failed`).
    Refund {
        /// Its number, by its metadata.
        number: u32,
        /// Stripe's id of it.
        id: String,
        /// Where it stands.
        state: RefundState,
    },
    /// A dispute began, moved or ended (`charge.dispute.…`).
    Dispute(Dispute),
}

/// The record with what `news` tells, if that is new.
///
/// # Errors
///
/// [`MoneyError`] when amounts do not add up.
pub fn learn(payment: Payment, news: News) -> Result<Payment, MoneyError> {
    let mut next = payment;
    match news {
        News::HoldLost { payment_intent } => lose(&mut next, &payment_intent),
        News::LinkPaid { id, payment_intent } => {
            if let Some(number) = link(&next, &id) {
                paid_on(&mut next, number, payment_intent);
            }
        }
        News::LinkExpired { id } => {
            if let Some(number) = link(&next, &id) {
                close(&mut next, number, LinkState::Expired);
            }
        }
        News::Refund { number, id, state } => set_refund(&mut next, number, Some(id), state),
        News::Dispute(dispute) => {
            merge(&mut next, dispute);
            give_up_refunds(&mut next)?;
        }
    }
    next.balanced()
}

fn link(payment: &Payment, id: &str) -> Option<u32> {
    payment.links.iter().find(|link| link.id == id).map(|link| link.number)
}

/// A call in progress on that hold finds out itself.
fn lose(payment: &mut Payment, payment_intent: &StripePaymentIntentId) {
    let mut holds = payment.hold.iter().chain(&payment.to_release);
    let lost = holds.find(|hold| hold.payment_intent == *payment_intent);
    let Some(number) = lost.map(|hold| hold.number) else { return };
    let pending = payment.pending.as_ref().map(|pending| pending.step);
    let is_asked = match pending {
        Some(
            Step::Capture { number: asked, .. }
            | Step::RaiseHold { number: asked, .. }
            | Step::CancelHold { number: asked },
        ) => asked == number,
        _ => false,
    };
    if !is_asked {
        gone(payment, number);
    }
}

/// Flags of money moved stay once they are seen. Of the rest the newer counts; in the same second,
/// what ends it.
fn merge(payment: &mut Payment, told: Dispute) {
    let Some(known) = payment.disputes.iter_mut().find(|dispute| dispute.id == told.id) else {
        payment.disputes.push(told);
        return;
    };
    let withdrawn = known.withdrawn || told.withdrawn;
    let reinstated = known.reinstated || told.reinstated;
    let fee = known.fee.or(told.fee);
    let is_answered = |dispute: &Dispute| dispute.status.ends_with("under_review");
    let rank = |dispute: &Dispute| (dispute.is_closed(), dispute.as_of, is_answered(dispute));
    if rank(&told) >= rank(known) {
        *known = told;
    }
    (known.withdrawn, known.reinstated, known.fee) = (withdrawn, reinstated, fee);
}

/// Money that the bank has taken cannot be given back as well.
fn give_up_refunds(payment: &mut Payment) -> Result<(), MoneyError> {
    let pending = payment.pending.as_ref().map(|pending| pending.step);
    let disputed: Vec<_> = payment.disputes.iter().filter(|d| d.is_withdrawn()).collect();
    let disputed: Vec<_> = disputed.into_iter().map(|d| d.payment_intent.clone()).collect();
    for refund in &mut payment.refunds {
        let asked = pending == Some(Step::Refund { number: refund.number });
        if refund.state == RefundState::Wanted
            && !asked
            && disputed.contains(&refund.payment_intent)
        {
            refund.state = RefundState::Failed;
        }
    }
    payment.refundable().map(|_| ())
}
