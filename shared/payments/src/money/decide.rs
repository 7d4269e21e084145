//! What to ask of Stripe next.

use chrono::{DateTime, Utc};

use super::{
    policy::{Beyond, Policy},
    record::{Debt, Hold, Payment, RefundState},
    step::Step,
};

/// The next write at Stripe, or `None` when there is nothing to do now.
///
/// What is pending is asked again before anything else; holds that were replaced are released
/// before others; then refunds; then what the session needs.
#[must_use]
pub fn next_step(payment: &Payment, policy: &Policy, now: DateTime<Utc>) -> Option<Step> {
    if let Some(pending) = &payment.pending {
        return Some(pending.step);
    }
    if let Some(old) = payment.to_release.first() {
        return Some(Step::CancelHold { number: old.number });
    }
    let wanted = |refund: &&super::Refund| refund.state == RefundState::Wanted;
    if let Some(refund) = payment.refunds.iter().find(wanted) {
        return Some(Step::Refund { number: refund.number });
    }
    match payment.total {
        None => while_running(payment, policy, now),
        Some(_) => when_priced(payment, policy, now),
    }
}

/// Whether the charger is to be told to stop: no hold covers what is being delivered, and none can
/// be had.
#[must_use]
pub fn must_stop(payment: &Payment, policy: &Policy, now: DateTime<Utc>) -> bool {
    if payment.total.is_some() || next_step(payment, policy, now).is_some() {
        return false;
    }
    match &payment.hold {
        None if payment.hold_refused => true,
        None => payment.holds_asked > 0 && policy.renew_before.is_some(),
        Some(hold) => {
            let beyond = payment.wanted.minor > hold.terms.amount.minor;
            (beyond && policy.beyond != Beyond::GoOn) || runs_out(hold, policy, now)
        }
    }
}

/// When time alone may bring a step: a hold that runs out, a retry, a link that closes. `None`:
/// never.
#[must_use]
pub fn look_again_at(payment: &Payment, policy: &Policy) -> Option<DateTime<Utc>> {
    let hold = payment.hold.as_ref().filter(|_| payment.total.is_none());
    let ends = hold.and_then(|hold| hold.terms.capture_before);
    let renewal = ends.zip(policy.renew_before).map(|(ends, before)| ends - before);
    let owing = payment.total.is_some() && !payment.owed.is_zero();
    let debt = payment.debt.as_ref().filter(|_| owing);
    let retry = debt.and_then(|debt| retry_at(debt, policy));
    let link = payment.open_link().map(|link| link.expires_at);
    [renewal, retry, link].into_iter().flatten().min()
}

fn while_running(payment: &Payment, policy: &Policy, now: DateTime<Utc>) -> Option<Step> {
    let number = payment.holds_asked.saturating_add(1);
    let another = Step::PlaceHold { number, amount: payment.wanted };
    let may_ask = !payment.hold_refused && payment.holds_asked < policy.holds_max;
    let Some(hold) = &payment.hold else {
        // A site that holds nothing waits for the price; what was lost is replaced where renewed.
        let wanted = !payment.wanted.is_zero()
            && (payment.holds_asked == 0 || policy.renew_before.is_some());
        return (wanted && may_ask).then_some(another);
    };
    if runs_out(hold, policy, now) && may_ask {
        return Some(another);
    }
    if payment.wanted.minor <= hold.terms.amount.minor {
        return None;
    }
    if policy.raise && hold.terms.raisable {
        let attempt = hold.raises.saturating_add(1);
        return Some(Step::RaiseHold { number: hold.number, attempt, amount: payment.wanted });
    }
    (policy.beyond == Beyond::NewHold && may_ask).then_some(another)
}

fn when_priced(payment: &Payment, policy: &Policy, now: DateTime<Utc>) -> Option<Step> {
    let amount = payment.owed;
    if let Some(hold) = &payment.hold {
        let number = hold.number;
        if amount.is_zero() || hold.uncapturable || payment.is_captured() {
            return Some(Step::CancelHold { number });
        }
        let attempt = hold.captures_refused.saturating_add(1);
        // Both are in one currency: `balanced` saw to it.
        let amount = amount.min(hold.terms.most).ok()?;
        return Some(Step::Capture { number, attempt, amount });
    }
    let retry = payment.debt.as_ref().and_then(|debt| retry_at(debt, policy));
    let retry = retry.is_some_and(|at| at <= now);
    if let Some(link) = payment.open_link() {
        // One way of paying at a time. Closing the link also tells whether it was paid on, should
        // the news of that be lost.
        let close = retry || payment.forgive.is_some() || link.expires_at <= now;
        return close.then_some(Step::ExpirePayLink { number: link.number });
    }
    if amount.is_zero() {
        return None;
    }
    let Some(debt) = &payment.debt else {
        return Some(Step::ChargeDifference { attempt: 1, amount });
    };
    let links = u32::try_from(payment.links.len()).ok()?;
    if debt.link_wanted && links < policy.links_max {
        return Some(Step::MakePayLink { number: links.saturating_add(1), amount });
    }
    retry.then_some(Step::ChargeDifference { attempt: debt.attempts.saturating_add(1), amount })
}

fn runs_out(hold: &Hold, policy: &Policy, now: DateTime<Utc>) -> bool {
    let ends = hold.terms.capture_before.zip(policy.renew_before);
    ends.is_some_and(|(ends, before)| ends - before <= now)
}

/// When a refused charge is tried again, if it is.
fn retry_at(debt: &Debt, policy: &Policy) -> Option<DateTime<Utc>> {
    if debt.again_now {
        return Some(debt.refused_at);
    }
    let index = usize::try_from(debt.attempts.checked_sub(1)?).ok()?;
    let after = policy.retries.get(index).filter(|_| !debt.hopeless)?;
    debt.refused_at.checked_add_signed(*after)
}
