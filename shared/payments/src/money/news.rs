//! What Stripe tells unasked: at any time, in any order, twice or never.

use network::StripePaymentIntentId;
use quantities::Amount;

use super::{
    ask::resume,
    change::{close, gone, paid_on, set_refund, take},
    error::MoneyError,
    give_back::{give_up, next_number},
    record::{Dispute, LinkState, Payment, Refund, RefundBy, RefundState, TakenBy},
    step::Step,
};

/// Why there is a refund that nobody here decided.
const MADE_AT_STRIPE: &str = "it was made at Stripe";

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
    /// Money was taken (`payment_intent.succeeded`): by a call of ours, by the driver, or by
    /// somebody at Stripe.
    Taken {
        /// The PaymentIntent.
        payment_intent: StripePaymentIntentId,
        /// How much.
        amount: Amount,
        /// What it was made for: the purpose of the step that made it, if one of ours did.
        purpose: String,
    },
    /// A refund was made or moved (`refund.…`): one of ours, or one that somebody made at Stripe.
    Refund {
        /// Its number, by its metadata, if it is one of ours.
        number: Option<u32>,
        /// Stripe's id of it.
        id: String,
        /// Of what was taken by this PaymentIntent.
        payment_intent: StripePaymentIntentId,
        /// How much.
        amount: Amount,
        /// Where it stands.
        state: RefundState,
    },
    /// A dispute began, moved or ended (`charge.dispute.…`).
    Dispute(Dispute),
}

/// The record with what `news` tells, if that is new; then a payment that was stuck goes on.
///
/// # Errors
///
/// [`MoneyError`] when amounts do not add up.
pub fn learn(payment: Payment, news: News) -> Result<Payment, MoneyError> {
    let known = payment.clone();
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
        News::Taken { payment_intent, amount, purpose } => {
            taken(&mut next, payment_intent, amount, &purpose);
        }
        News::Refund { number, id, payment_intent, amount, state } => {
            let of_ours = number.filter(|number| is_ours(&next, *number, &id));
            match of_ours {
                Some(number) => set_refund(&mut next, number, Some(id), state),
                None => made_at_stripe(&mut next, id, payment_intent, amount, state),
            }
            give_up(&mut next)?;
        }
        News::Dispute(dispute) => {
            merge(&mut next, dispute);
            give_up(&mut next)?;
        }
    }
    let next = next.balanced()?;
    Ok(if next == known { next } else { resume(next) })
}

fn link(payment: &Payment, id: &str) -> Option<u32> {
    payment.links.iter().find(|link| link.id == id).map(|link| link.number)
}

/// A call in progress on that hold finds out itself.
fn lose(payment: &mut Payment, payment_intent: &StripePaymentIntentId) {
    if let Some(number) = hold(payment, payment_intent).filter(|known| !is_asked(payment, *known)) {
        gone(payment, number);
    }
}

/// Money was taken. A call in progress that may have done it finds out itself, even if it was stuck
/// before.
fn taken(
    payment: &mut Payment,
    payment_intent: StripePaymentIntentId,
    amount: Amount,
    purpose: &str,
) {
    let pending = payment.pending.as_ref().map(|pending| pending.step.purpose());
    if pending.is_some_and(|pending| pending == purpose) {
        payment.stuck = None;
        return;
    }
    if let Some(number) = hold(payment, &payment_intent) {
        if !is_asked(payment, number) {
            gone(payment, number);
            take(payment, TakenBy::Capture, payment_intent, amount);
        }
        return;
    }
    let by = match purpose.split_once('/') {
        Some(("link", number)) => {
            if let Ok(number) = number.parse() {
                close(payment, number, LinkState::Paid);
            }
            TakenBy::Link
        }
        Some(("difference", _)) => TakenBy::Difference,
        _ => TakenBy::Capture,
    };
    take(payment, by, payment_intent, amount);
}

/// The number of that hold, if it is held as far as is known.
fn hold(payment: &Payment, payment_intent: &StripePaymentIntentId) -> Option<u32> {
    let mut holds = payment.hold.iter().chain(&payment.to_release);
    holds.find(|hold| hold.payment_intent == *payment_intent).map(|hold| hold.number)
}

/// Whether Stripe is being asked for something about that hold.
fn is_asked(payment: &Payment, hold: u32) -> bool {
    match payment.pending.as_ref().map(|pending| pending.step) {
        Some(
            Step::Capture { number, .. }
            | Step::RaiseHold { number, .. }
            | Step::CancelHold { number },
        ) => number == hold,
        _ => false,
    }
}

/// Whether a refund at Stripe is the one of this number: what was made for it twice is not.
fn is_ours(payment: &Payment, number: u32, id: &str) -> bool {
    let known = payment.refunds.iter().find(|refund| refund.number == number);
    known.is_some_and(|known| known.id.as_deref().is_none_or(|known| known == id))
}

/// Somebody gave money back without us.
fn made_at_stripe(
    payment: &mut Payment,
    id: String,
    payment_intent: StripePaymentIntentId,
    amount: Amount,
    state: RefundState,
) {
    let is_known = |refund: &&Refund| refund.id.as_ref() == Some(&id);
    if let Some(number) = payment.refunds.iter().find(is_known).map(|known| known.number) {
        set_refund(payment, number, None, state);
        return;
    }
    let (number, reason) = (next_number(payment), MADE_AT_STRIPE.to_owned());
    let made = Refund::new(number, payment_intent, amount, RefundBy::Stripe);
    payment.refunds.push(Refund { reason, id: Some(id), state, ..made });
}

/// Sums of money moved only grow. Of the rest the news with more moved counts, for a dispute that
/// was decided can turn; then what ends it, then the newer.
fn merge(payment: &mut Payment, told: Dispute) {
    let Some(known) = payment.disputes.iter_mut().find(|dispute| dispute.id == told.id) else {
        payment.disputes.push(told);
        return;
    };
    let more = |one: Amount, other: Amount| if other.minor > one.minor { other } else { one };
    let most = |one: Option<Amount>, other: Option<Amount>| match (one, other) {
        (Some(one), Some(other)) => Some(more(one, other)),
        (one, other) => one.or(other),
    };
    let withdrawn = more(known.withdrawn, told.withdrawn);
    let reinstated = more(known.reinstated, told.reinstated);
    let fee = most(known.fee, told.fee);
    let fee_returned = most(known.fee_returned, told.fee_returned);
    let is_answered = |dispute: &Dispute| dispute.status.ends_with("under_review");
    let rank = |it: &Dispute| (it.moved().minor, it.is_closed(), it.as_of, is_answered(it));
    let newest = if rank(&told) >= rank(known) { told } else { known.clone() };
    *known = Dispute { withdrawn, reinstated, fee, fee_returned, ..newest };
}
