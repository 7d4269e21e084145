//! What intentions and answers change.

use chrono::{DateTime, Utc};

use super::{
    decide::next_step,
    error::MoneyError,
    record::{
        Debt, Hold, HoldTerms, LinkState, PayLink, Payment, Pending, RefundState, Stuck, StuckWhy,
        Taken, TakenBy,
    },
    step::{Outcome, Step},
};
use crate::Refusal;

/// The code of an amount below what Stripe takes.
const TOO_SMALL: &str = "amount_too_small";

/// The record with the intention of the next step, to be stored before the call is made; `None`
/// when there is nothing to do now.
#[must_use]
pub fn request(payment: Payment, now: DateTime<Utc>) -> Option<(Payment, Step)> {
    let step = next_step(&payment, now)?;
    let pending = match payment.pending {
        // The idempotency key lives from the first time on, so a repeat keeps that moment.
        Some(known) => Pending { tried_at: now, attempt: known.attempt.saturating_add(1), ..known },
        None => Pending { step, since: now, tried_at: now, attempt: 1 },
    };
    Some((Payment { pending: Some(pending), ..payment }, step))
}

/// The record of a payment whose next step a repeat would not bring further, to be stored in place
/// of an answer.
#[must_use]
pub fn give_up_on(payment: Payment, why: StuckWhy, now: DateTime<Utc>) -> Payment {
    Payment { stuck: Some(Stuck { why, since: now }), ..payment }
}

/// The record after Stripe's answer to `step`, to be stored before anything else acts on it.
///
/// # Errors
///
/// [`MoneyError::OutOfStep`] when the step is not the pending one, or the outcome is not one of its
/// own; [`MoneyError`] when amounts do not add up.
pub fn apply(
    payment: Payment,
    step: &Step,
    outcome: Outcome,
    now: DateTime<Utc>,
) -> Result<Payment, MoneyError> {
    if payment.pending.as_ref().map(|pending| &pending.step) != Some(step) {
        return Err(payment.out_of_step("an outcome of this step"));
    }
    let mut next = Payment { pending: None, stuck: None, ..payment };
    match (*step, outcome) {
        (_, Outcome::Refused { refusal }) => refused(&mut next, step, refusal, now),
        (Step::PlaceHold { number, .. }, Outcome::Held { payment_intent, terms }) => {
            next.holds_asked = number;
            // Somebody may have captured it by now.
            if next.taken.iter().all(|taken| taken.payment_intent != payment_intent) {
                let placed = Hold::new(number, payment_intent, terms);
                next.to_release.extend(next.hold.replace(placed));
            }
        }
        (Step::RaiseHold { number, attempt, .. }, Outcome::Raised { terms }) => {
            raised(&mut next, number, attempt, terms);
        }
        (Step::Capture { number, .. } | Step::RaiseHold { number, .. }, Outcome::HoldLost)
        | (Step::CancelHold { number }, Outcome::Canceled) => gone(&mut next, number),
        (
            Step::Capture { number, .. }
            | Step::RaiseHold { number, .. }
            | Step::CancelHold { number },
            Outcome::Captured { amount },
        ) => {
            let mut holds = next.hold.iter().chain(&next.to_release);
            let hold = holds.find(|hold| hold.number == number);
            let hold = hold.ok_or_else(|| next.out_of_step("a capture without its hold"))?;
            let payment_intent = hold.payment_intent.clone();
            gone(&mut next, number);
            take(&mut next, TakenBy::Capture, payment_intent, amount);
        }
        (Step::ChargeDifference { amount, .. }, Outcome::Charged { payment_intent }) => {
            take(&mut next, TakenBy::Difference, payment_intent, amount);
        }
        (Step::MakePayLink { number, amount }, Outcome::LinkMade { id, url, expires_at }) => {
            let state = LinkState::Open;
            next.links.push(PayLink { number, id, url, amount, expires_at, state });
            page_decided(&mut next, number, now);
        }
        (Step::ExpirePayLink { number }, Outcome::LinkExpired) => {
            close(&mut next, number, LinkState::Expired);
        }
        (Step::ExpirePayLink { number }, Outcome::LinkPaid { payment_intent }) => {
            paid_on(&mut next, number, payment_intent);
        }
        (Step::Refund { number }, Outcome::Refunded { id, state }) => {
            set_refund(&mut next, number, Some(id), state);
        }
        _ => return Err(next.out_of_step("an outcome of another step")),
    }
    next.balanced()
}

fn refused(next: &mut Payment, step: &Step, refusal: Refusal, now: DateTime<Utc>) {
    match *step {
        Step::PlaceHold { number, .. } => {
            next.holds_asked = number;
            next.hold_refused = true;
        }
        Step::RaiseHold { number, attempt, .. } => {
            if let Some(hold) = present(next, number) {
                hold.raises = attempt;
                hold.terms.raisable = false;
            }
        }
        Step::Capture { number, attempt, amount } => {
            if let Some(hold) = present(next, number) {
                hold.captures_refused = attempt;
                // Above the hold the card may have changed its mind; the hold itself is certain.
                let above = amount.minor > hold.terms.amount.minor;
                hold.terms.most = hold.terms.amount;
                hold.uncapturable = !above;
            }
        }
        Step::ChargeDifference { attempt, .. } => {
            next.debt = Some(Debt {
                attempts: attempt,
                refused_at: now,
                hopeless: refusal.code == TOO_SMALL,
                again_now: false,
                link_wanted: refusal.customer_must_act(),
            });
        }
        Step::MakePayLink { number, .. } => page_decided(next, number, now),
        Step::Refund { number } => set_refund(next, number, None, RefundState::Failed),
        // The adapter reads where the object stands, so neither is ever refused.
        Step::CancelHold { .. } | Step::ExpirePayLink { .. } => {}
    }
    next.refusal = Some(refusal);
}

/// A page was made, or cannot be: no other is wanted for now. What a presented card did not cover
/// is a debt from then on.
fn page_decided(payment: &mut Payment, number: u32, now: DateTime<Utc>) {
    payment.links_asked = number;
    let none_yet =
        Debt { attempts: 0, refused_at: now, hopeless: true, again_now: false, link_wanted: false };
    payment.debt.get_or_insert(none_yet).link_wanted = false;
}

fn present(payment: &mut Payment, number: u32) -> Option<&mut Hold> {
    payment.hold.as_mut().filter(|hold| hold.number == number)
}

fn raised(payment: &mut Payment, number: u32, attempt: u32, terms: HoldTerms) {
    if let Some(hold) = present(payment, number) {
        hold.raises = attempt;
        hold.terms = terms;
    }
}

/// The hold is at Stripe no more.
pub(super) fn gone(payment: &mut Payment, number: u32) {
    payment.hold = payment.hold.take().filter(|hold| hold.number != number);
    payment.to_release.retain(|hold| hold.number != number);
}

/// Money was taken: once per PaymentIntent, however often it is told.
pub(super) fn take(
    payment: &mut Payment,
    by: TakenBy,
    payment_intent: network::StripePaymentIntentId,
    amount: quantities::Amount,
) {
    if payment.taken.iter().all(|taken| taken.payment_intent != payment_intent) {
        payment.taken.push(Taken { by, payment_intent, amount });
    }
}

/// Closes a link that is open; what is final stays.
pub(super) fn close(payment: &mut Payment, number: u32, state: LinkState) {
    let links = payment.links.iter_mut();
    let mut open = links.filter(|link| link.number == number && link.state == LinkState::Open);
    if let Some(link) = open.next() {
        link.state = state;
    }
}

/// The driver paid on a link.
pub(super) fn paid_on(
    payment: &mut Payment,
    number: u32,
    payment_intent: network::StripePaymentIntentId,
) {
    close(payment, number, LinkState::Paid);
    let link = payment.links.iter().find(|link| link.number == number);
    if let Some(amount) = link.map(|link| link.amount) {
        take(payment, TakenBy::Link, payment_intent, amount);
    }
}

/// A refund is as far as the furthest that is known of it.
pub(super) fn set_refund(
    payment: &mut Payment,
    number: u32,
    id: Option<String>,
    state: RefundState,
) {
    if let Some(refund) = payment.refunds.iter_mut().find(|refund| refund.number == number) {
        refund.state = refund.state.max(state);
        refund.id = refund.id.take().or(id);
    }
}
