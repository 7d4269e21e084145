//! What people and the running session want of a payment.

use chrono::{DateTime, Utc};
use quantities::Amount;

use super::{
    decide::must_stop,
    error::MoneyError,
    record::{Card, Forgiven, Payment, Refund, RefundState},
};

/// The record of a session that is going to need `amount` held. What is wanted only grows.
#[must_use]
pub fn expect(payment: Payment, amount: Amount) -> Payment {
    let grows = payment.total.is_none()
        && amount.currency == payment.wanted.currency
        && amount.minor > payment.wanted.minor;
    if grows { Payment { wanted: amount, ..payment } } else { payment }
}

/// The record of a session whose charger is told to stop, if it has to be and was not yet.
#[must_use]
pub fn stop_if_uncovered(payment: Payment, now: DateTime<Utc>) -> Payment {
    let stop_asked = payment.stop_asked || must_stop(&payment, now);
    Payment { stop_asked, ..payment }
}

/// Lets the driver off what is owed: at once, or as soon as nothing is being collected. What was
/// taken by then stays taken.
///
/// # Errors
///
/// [`MoneyError::OutOfStep`] before the session has its price.
pub fn forgive(payment: Payment, how: Forgiven) -> Result<Payment, MoneyError> {
    if payment.total.is_none() {
        return Err(payment.out_of_step("forgiveness before it has a price"));
    }
    Payment { forgive: Some(how), ..payment }.balanced()
}

/// The driver pays a debt with this saved card, now.
///
/// # Errors
///
/// [`MoneyError::InProgress`] while a call is being made: with which card is decided.
/// [`MoneyError::OutOfStep`] when there is no debt, or the card is not saved.
pub fn collect_again(payment: Payment, with: Card) -> Result<Payment, MoneyError> {
    let mut next = payment;
    if next.pending.is_some() {
        return Err(MoneyError::InProgress { session_id: next.session_id });
    }
    let is_saved = matches!(with, Card::Saved { .. });
    let Some(debt) = next.debt.as_mut().filter(|_| is_saved) else {
        return Err(next.out_of_step("a repeated charge"));
    };
    debt.again_now = true;
    debt.link_wanted = false;
    next.card = with;
    Ok(next)
}

/// The driver wants to pay a debt on a page of Stripe's.
///
/// # Errors
///
/// [`MoneyError::OutOfStep`] when there is no debt.
pub fn offer_link(payment: Payment) -> Result<Payment, MoneyError> {
    let mut next = payment;
    let is_open = next.open_link().is_some();
    let Some(debt) = &mut next.debt else { return Err(next.out_of_step("a pay link")) };
    debt.link_wanted = !is_open;
    Ok(next)
}

/// Gives `amount` back, of what was taken first first: one refund for each PaymentIntent.
///
/// # Errors
///
/// [`MoneyError::RefundTooLarge`] when less is left, or `amount` is not above zero.
pub fn refund(
    payment: Payment,
    amount: Amount,
    reason: &str,
    lines: &[u32],
) -> Result<Payment, MoneyError> {
    let refundable = payment.refundable()?;
    let missing = payment.sum(refundable.checked_sub(amount))?;
    if amount.minor < 1 || missing.minor < 0 {
        return Err(MoneyError::RefundTooLarge { session_id: payment.session_id, refundable });
    }
    let mut next = payment;
    let mut rest = amount;
    for taken in next.taken.clone() {
        let part = next.sum(rest.min(next.refundable_of(&taken)?))?;
        if part.is_zero() {
            continue;
        }
        rest = next.sum(rest.checked_sub(part))?;
        let last = next.refunds.last().map_or(0, |refund| refund.number);
        next.refunds.push(Refund {
            number: last.saturating_add(1),
            payment_intent: taken.payment_intent,
            amount: part,
            reason: reason.to_owned(),
            lines: lines.to_vec(),
            id: None,
            state: RefundState::Wanted,
        });
    }
    Ok(next)
}
