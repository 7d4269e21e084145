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

/// Gives back once more what the refund `number` did not, which failed, as far as it is still owed.
///
/// # Errors
///
/// [`MoneyError::OutOfStep`] when there is none that failed, or nothing of it is owed; as
/// [`refund`].
pub fn refund_again(payment: Payment, number: u32) -> Result<Payment, MoneyError> {
    let failed = owed(&payment, number)?.clone();
    let Refund { reason, lines, .. } = &failed;
    let (amount, surplus) = (failed.still_owed(), failed.surplus_still_owed());
    let mut next = decided(payment, &Asked { amount, surplus, reason, lines })?;
    again(&mut next, number, amount, surplus)?;
    Ok(next)
}

/// The record with what the refund `number`, which somebody made at Stripe, takes back of the sale
/// credited: should it fail, that is owed.
///
/// # Errors
///
/// [`MoneyError::OutOfStep`] when there is none that left us and takes back a part of the sale.
pub fn credit_made(payment: Payment, number: u32) -> Result<Payment, MoneyError> {
    made_of_sale(&payment, number)?;
    let mut next = payment;
    for made in next.refunds.iter_mut().filter(|known| known.number == number) {
        made.credited = true;
    }
    Ok(next)
}

/// The record with the refund `number`, which somebody made at Stripe, in the place of `failed`,
/// which failed: it gives back what that did not, its surplus first, as far as it goes, and so much
/// of it is credited with that one.
///
/// # Errors
///
/// [`MoneyError::OutOfStep`] when there is no such refund, it is credited by itself, or nothing of
/// the other is owed.
pub fn stand_in(payment: Payment, number: u32, failed: u32) -> Result<Payment, MoneyError> {
    let (made, of_sale) = made_of_sale(&payment, number)?;
    if made.credited {
        return Err(payment.out_of_step("a refund that is credited, in place of another"));
    }
    let owed = owed(&payment, failed)?;
    let part = payment.sum(of_sale.min(owed.still_owed()))?;
    let of_surplus = payment.sum(part.min(owed.surplus_still_owed()))?;
    let rest = payment.sum(part.checked_sub(of_surplus))?;
    let more = |known: Option<Amount>, more: Amount| {
        let known = known.unwrap_or(Amount::zero(more.currency));
        payment.sum(known.checked_add(more)).map(Some)
    };
    let (surplus, in_place) = (more(made.surplus, of_surplus)?, more(made.in_place, rest)?);
    let mut next = payment;
    again(&mut next, failed, part, of_surplus)?;
    for made in next.refunds.iter_mut().filter(|known| known.number == number) {
        (made.surplus, made.in_place) = (surplus, in_place);
    }
    Ok(next)
}

/// A refund that failed and is still owed.
fn owed(payment: &Payment, number: u32) -> Result<&Refund, MoneyError> {
    let failed = payment.refunds.iter().find(|known| known.number == number);
    let failed = failed.filter(|failed| !failed.still_owed().is_zero());
    failed.ok_or_else(|| payment.out_of_step("another try of a refund of which nothing is owed"))
}

/// A refund that was made at Stripe and left us, and what it takes back of the sale.
fn made_of_sale(payment: &Payment, number: u32) -> Result<(&Refund, Amount), MoneyError> {
    let made = payment.refunds.iter().find(|known| known.number == number);
    let made = made.and_then(|made| Some((made, made.made_of_sale()?)));
    made.ok_or_else(|| payment.out_of_step("a refund that nobody made at Stripe of the sale"))
}

/// So much of a refund that failed is wanted again.
fn again(
    payment: &mut Payment,
    number: u32,
    amount: Amount,
    of_surplus: Amount,
) -> Result<(), MoneyError> {
    let session_id = payment.session_id;
    for failed in payment.refunds.iter_mut().filter(|known| known.number == number) {
        let more = failed.clone().wanted_again(amount, of_surplus);
        *failed = more.map_err(|source| MoneyError::Sum { session_id, source })?;
    }
    Ok(())
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
    let (number, payment_intent) = (next_number(payment), taken.payment_intent.clone());
    let (reason, surplus) = (SURPLUS.to_owned(), Some(surplus));
    Refund { reason, surplus, ..Refund::new(number, payment_intent, amount, by) }
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
    let theirs: i64 = next.refunds.iter().map(Refund::surplus_less_again).sum();
    let mut due = next.sum(surplus.checked_sub(Amount::new(theirs, surplus.currency)))?;
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
    for failed in payment.refunds.clone() {
        let part = sum(instead.min(failed.surplus_still_owed()))?;
        if part.minor > 0 {
            instead = sum(instead.checked_sub(part))?;
            again(payment, failed.number, part, part)?;
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
