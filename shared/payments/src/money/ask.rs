//! What people and the running session want of a payment.

use chrono::{DateTime, TimeDelta, Utc};
use quantities::Amount;

use super::{
    decide::must_stop,
    error::MoneyError,
    record::{Card, Forgiven, Payment},
};

/// How long a charger has to stop before it is told again.
const STOP_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(10);

/// The record of a session that is going to need `amount` held. What is wanted only grows.
#[must_use]
pub fn expect(payment: Payment, amount: Amount) -> Payment {
    let grows = payment.total.is_none()
        && amount.currency == payment.wanted.currency
        && amount.minor > payment.wanted.minor;
    if grows { Payment { wanted: amount, ..payment } } else { payment }
}

/// The record of a running session whose charger is told to stop, if it has to; again after a
/// while, for what it is told can be lost.
#[must_use]
pub fn stop_if_uncovered(payment: Payment, now: DateTime<Utc>) -> Payment {
    let told = payment.stop_again_at.is_some_and(|at| at > now);
    if told || !must_stop(&payment, now) {
        return payment;
    }
    let stop_again_at = Some(now + STOP_AGAIN_AFTER);
    let stops = payment.stops.saturating_add(1);
    Payment { stop_asked: true, stops, stop_again_at, ..payment }
}

/// The record of a session that runs no more: its charger is not told again.
#[must_use]
pub fn stopped(payment: Payment) -> Payment {
    Payment { stop_again_at: None, ..payment }
}

/// The record of a payment that is stuck, tried again because a person says so.
#[must_use]
pub fn resume(payment: Payment) -> Payment {
    Payment { stuck: None, ..payment }
}

/// Lets the driver off what is owed: at once, or as soon as nothing is being collected. What was
/// taken by then stays taken. A call that Stripe has rejected for good collects nothing.
///
/// # Errors
///
/// [`MoneyError::OutOfStep`] before the session has its price, and while it is to be let off in
/// the other way: what was decided first stands.
pub fn forgive(payment: Payment, how: Forgiven) -> Result<Payment, MoneyError> {
    if payment.total.is_none() {
        return Err(payment.out_of_step("forgiveness before it has a price"));
    }
    if payment.forgive.is_some_and(|decided| decided != how) {
        return Err(payment.out_of_step("forgiveness of another kind"));
    }
    let is_over = !payment.is_collecting();
    let next = Payment { forgive: Some(how), ..resume(payment) };
    let pending = next.pending.clone().filter(|_| !is_over);
    Payment { pending, ..next }.balanced()
}

/// The driver pays a debt with this saved card, now.
///
/// # Errors
///
/// [`MoneyError::InProgress`] while a call is being made: with which card is decided.
/// [`MoneyError::OutOfStep`] when there is no debt, or the card is not saved.
pub fn collect_again(payment: Payment, with: Card) -> Result<Payment, MoneyError> {
    let mut next = resume(payment);
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
    let mut next = resume(payment);
    let is_open = next.open_link().is_some();
    let Some(debt) = &mut next.debt else { return Err(next.out_of_step("a pay link")) };
    debt.link_wanted = !is_open;
    Ok(next)
}
