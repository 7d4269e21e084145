//! What is to be given back: as people decide it, and by itself what was taken too much.

use network::StripePaymentIntentId;
use quantities::Amount;

use super::{
    ask::resume,
    error::MoneyError,
    record::{Dispute, Payment, Refund, RefundBy, RefundState, Taken},
    step::Step,
};

/// Why the machine gives money back.
const SURPLUS: &str = "more was taken than was to be paid";

/// Gives `amount` back, of what was taken first first: one refund for each PaymentIntent.
///
/// # Errors
///
/// [`MoneyError::RefundTooLarge`] when less is left, or `amount` is not above zero;
/// [`MoneyError::OutOfStep`] before the session has its price.
pub fn refund(
    payment: Payment,
    amount: Amount,
    reason: &str,
    lines: &[u32],
) -> Result<Payment, MoneyError> {
    let nothing = Amount::zero(amount.currency);
    let asked = Asked { amount, surplus: nothing, reason, lines };
    decided(payment, &asked)
}

/// Gives back once more what the refund `number` did not, which failed, as far as it is still owed:
/// all of it, or only what it was to give back of the surplus.
///
/// # Errors
///
/// [`MoneyError::OutOfStep`] when there is none that failed, or nothing of it is owed; as
/// [`refund`].
pub fn refund_again(payment: Payment, number: u32, owed: Owed) -> Result<Payment, MoneyError> {
    let failed = payment.refunds.iter().find(|known| known.number == number).cloned();
    let Some(failed) = failed else {
        return Err(payment.out_of_step("another try of a refund that there is not"));
    };
    let Refund { reason, lines, .. } = &failed;
    let surplus = failed.surplus_still_owed();
    let amount = if owed == Owed::All { failed.still_owed() } else { surplus };
    if amount.is_zero() {
        return Err(payment.out_of_step("another try of a refund that is owed no more"));
    }
    let mut next = decided(payment, &Asked { amount, surplus, reason, lines })?;
    let before = failed.again.unwrap_or(Amount::zero(amount.currency));
    let again = next.sum(before.checked_add(amount))?;
    let mut refunds = next.refunds.iter_mut();
    if let Some(failed) = refunds.find(|known| known.number == number) {
        failed.again = Some(again);
    }
    Ok(next)
}

/// What of a refund that failed is still owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// All of it.
    All,
    /// What it was to give back of the surplus; nobody has credited the rest.
    Surplus,
}

/// What is asked to be given back.
struct Asked<'a> {
    amount: Amount,
    /// How much of it was taken too much.
    surplus: Amount,
    reason: &'a str,
    lines: &'a [u32],
}

fn decided(payment: Payment, asked: &Asked<'_>) -> Result<Payment, MoneyError> {
    let Asked { amount, surplus, reason, lines } = *asked;
    if payment.total.is_none() {
        return Err(payment.out_of_step("a refund before it has a price"));
    }
    let refundable = payment.refundable()?;
    let missing = payment.sum(refundable.checked_sub(amount))?;
    if amount.minor < 1 || missing.minor < 0 {
        return Err(MoneyError::RefundTooLarge { session_id: payment.session_id, refundable });
    }
    let mut next = resume(payment);
    let (mut rest, mut surplus) = (amount, surplus);
    for taken in next.taken.clone() {
        let part = next.sum(rest.min(next.refundable_of(&taken)?))?;
        if part.is_zero() {
            continue;
        }
        rest = next.sum(rest.checked_sub(part))?;
        let of_surplus = next.sum(surplus.min(part))?;
        surplus = next.sum(surplus.checked_sub(of_surplus))?;
        let wanted = wanted(&next, &taken, part, RefundBy::Decision, of_surplus);
        next.refunds.push(Refund { reason: reason.to_owned(), lines: lines.to_vec(), ..wanted });
    }
    Ok(next)
}

fn wanted(
    payment: &Payment,
    taken: &Taken,
    amount: Amount,
    by: RefundBy,
    surplus: Amount,
) -> Refund {
    Refund {
        number: next_number(payment),
        payment_intent: taken.payment_intent.clone(),
        amount,
        reason: SURPLUS.to_owned(),
        lines: Vec::new(),
        by,
        surplus: Some(surplus),
        again: None,
        charged_back: None,
        id: None,
        state: RefundState::Wanted,
    }
}

pub(super) fn next_number(payment: &Payment) -> u32 {
    payment.refunds.iter().map(|refund| refund.number).max().unwrap_or(0).saturating_add(1)
}

/// The record with its surplus to be given back, once, as far as it is there; of what was taken
/// last first. A refund of it that failed is tried again by a person, one that was made at Stripe
/// too: who made it there may make it once more.
///
/// What the machine wants and has not asked for is decided anew each time: somebody may have given
/// it back at Stripe meanwhile.
pub(super) fn surplus(payment: Payment) -> Result<Payment, MoneyError> {
    let mut next = payment;
    let zero = Amount::zero(next.wanted.currency);
    let surplus = next.surplus.unwrap_or(zero);
    let asked = asked(&next);
    next.refunds.retain(|refund| {
        let is_wish = refund.by == RefundBy::Surplus && refund.state == RefundState::Wanted;
        !is_wish || asked == Some(refund.number)
    });
    tell_apart(&mut next, surplus)?;
    let given_back = Amount::new(next.surplus_given_back(), surplus.currency);
    let failed = next.refunds.iter().filter(|refund| refund.state == RefundState::Failed);
    let mut due = failed
        .map(Refund::surplus_still_owed)
        .try_fold(next.sum(surplus.checked_sub(given_back))?, |left, part| {
            next.sum(left.checked_sub(part))
        })?;
    for taken in next.taken.clone().into_iter().rev() {
        // What the bank has for good needs no refund of ours: one that failed stands for it.
        let lost = next.sum(lost_of(&next, &taken))?;
        let there = next.refundable_of(&taken)?;
        for (most, state) in [(lost, RefundState::Failed), (there, RefundState::Wanted)] {
            let part = next.sum(due.min(most))?;
            if part.minor < 1 {
                continue;
            }
            due = next.sum(due.checked_sub(part))?;
            let wish = wanted(&next, &taken, part, RefundBy::Surplus, part);
            next.refunds.push(Refund { state, ..wish });
        }
    }
    Ok(next)
}

/// What disputes lost of a PaymentIntent, less what failed refunds of it wait for.
fn lost_of(payment: &Payment, taken: &Taken) -> Result<Amount, quantities::MoneyError> {
    let of_it = |id: &StripePaymentIntentId| *id == taken.payment_intent;
    let lost = payment.disputes.iter().filter(|dispute| of_it(&dispute.payment_intent));
    let zero = Amount::zero(taken.amount.currency);
    let lost = lost.map(Dispute::lost).try_fold(zero, Amount::checked_add)?;
    let failed = payment.refunds.iter().filter(|refund| of_it(&refund.payment_intent));
    failed.map(Refund::not_wanted_again).try_fold(lost, Amount::checked_sub)
}

/// The record with what failed refunds of a PaymentIntent owe settled by what the bank took of it
/// for good: the driver has it from there. If that comes back to us, it is owed again.
pub(super) fn charged_back(payment: Payment) -> Result<Payment, MoneyError> {
    let mut next = payment;
    for taken in next.taken.clone() {
        let of_it = |id: &StripePaymentIntentId| *id == taken.payment_intent;
        let mut left = Amount::zero(taken.amount.currency);
        for dispute in next.disputes.iter().filter(|dispute| of_it(&dispute.payment_intent)) {
            left = next.sum(left.checked_add(dispute.lost()))?;
        }
        for index in 0..next.refunds.len() {
            let refund = &next.refunds[index];
            if of_it(&refund.payment_intent) {
                let part = next.sum(left.min(refund.not_wanted_again()))?;
                left = next.sum(left.checked_sub(part))?;
                next.refunds[index].charged_back = Some(part).filter(|part| part.minor > 0);
            }
        }
    }
    Ok(next)
}

/// What was given back at Stripe is surplus as far as there is some that is not given back; then
/// nobody waits any more for those that failed to. It waits for what it is of to be known as taken.
fn tell_apart(payment: &mut Payment, surplus: Amount) -> Result<(), MoneyError> {
    let session_id = payment.session_id;
    let sum = |sum: Result<Amount, quantities::MoneyError>| {
        sum.map_err(|source| MoneyError::Sum { session_id, source })
    };
    let back = Amount::new(payment.surplus_given_back(), surplus.currency);
    let mut left = sum(surplus.checked_sub(back))?;
    let nothing = Amount::zero(surplus.currency);
    let known: Vec<_> = payment.taken.iter().map(|taken| &taken.payment_intent).collect();
    let mut instead = nothing;
    for refund in &mut payment.refunds {
        let is_new = known.contains(&&refund.payment_intent)
            && refund.by == RefundBy::Stripe
            && refund.surplus.is_none();
        if is_new && refund.state.is_paid() {
            let part = if left.minor > 0 { sum(left.min(refund.amount))? } else { nothing };
            left = sum(left.checked_sub(part))?;
            instead = sum(instead.checked_add(part))?;
            refund.surplus = Some(part);
        }
    }
    for failed in payment.refunds.iter_mut().filter(|known| known.state == RefundState::Failed) {
        let part = sum(instead.min(failed.surplus_still_owed()))?;
        if part.minor > 0 {
            instead = sum(instead.checked_sub(part))?;
            failed.again = Some(sum(failed.again.unwrap_or(nothing).checked_add(part))?);
        }
    }
    Ok(())
}

/// Gives up what people want back, was not asked for, and is not there any more: the bank has it,
/// or somebody gave it back at Stripe.
pub(super) fn give_up(payment: &mut Payment) -> Result<(), MoneyError> {
    let asked = asked(payment);
    for taken in payment.taken.clone() {
        let of_it = |id: &StripePaymentIntentId| *id == taken.payment_intent;
        let withdrawn = |known: &Dispute| of_it(&known.payment_intent) && known.is_withdrawn();
        let is_with_the_bank = payment.disputes.iter().any(withdrawn);
        while is_with_the_bank || payment.left_of(&taken)?.minor < 0 {
            let mut wanted = payment.refunds.iter_mut().rev().filter(|refund| {
                refund.by == RefundBy::Decision && refund.state == RefundState::Wanted
            });
            let is_given_up = |refund: &&mut Refund| {
                of_it(&refund.payment_intent) && asked != Some(refund.number)
            };
            let Some(last) = wanted.find(is_given_up) else { break };
            last.state = RefundState::Failed;
        }
    }
    Ok(())
}

/// The refund that Stripe is being asked for.
fn asked(payment: &Payment) -> Option<u32> {
    match payment.pending.as_ref()?.step {
        Step::Refund { number } => Some(number),
        _ => None,
    }
}
