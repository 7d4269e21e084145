//! What to ask of Stripe next.

use chrono::{DateTime, TimeDelta, Utc};
use network::{Beyond, OnOutage};
use quantities::Amount;

use super::{
    record::{Debt, Hold, Payment, Pending, RefundState},
    step::Step,
    watch::missed_at,
};

/// How long after a call without an answer somebody looks again, should the queue not have brought
/// it by then; each further wait is twice as long …
const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(4);
/// … up to this.
const AGAIN_WITHIN: TimeDelta = TimeDelta::hours(1);

/// So often a running session's call is asked again after the same wait.
const TRIES_WHILE_RUNNING: u32 = 5;

/// How often a hold is asked for without an answer before it counts as an outage.
const QUICK_TRIES: u32 = 3;

/// How often one hold is raised at most.
/// <https://docs.stripe.com/payments/incremental-authorization>
const RAISES_MAX: u32 = 10;

/// The next write at Stripe, or `None` when there is nothing to do now.
///
/// Nothing, while it is stuck. What is pending is asked again before anything else; holds that were
/// replaced, and then one that is needed no more, are released before anything that Stripe may not
/// answer; then refunds; then what the session needs.
#[must_use]
pub fn next_step(payment: &Payment, now: DateTime<Utc>) -> Option<Step> {
    if payment.stuck.is_some() {
        return None;
    }
    if let Some(pending) = &payment.pending {
        return Some(pending.step);
    }
    if let Some(old) = payment.to_release.first() {
        return Some(Step::CancelHold { number: old.number });
    }
    if let Some(hold) = payment.hold.as_ref().filter(|hold| is_over(payment, hold)) {
        return Some(Step::CancelHold { number: hold.number });
    }
    let wanted = |refund: &&super::Refund| refund.state == RefundState::Wanted;
    if let Some(refund) = payment.refunds.iter().find(wanted) {
        return Some(Step::Refund { number: refund.number });
    }
    match payment.total {
        None => while_running(payment, now),
        Some(_) => when_priced(payment, now),
    }
}

/// Whether the charger is to be told to stop: no hold covers what is being delivered, and none can
/// be had; or nobody knows whether one can, and the site wants nothing delivered then.
#[must_use]
pub fn must_stop(payment: &Payment, now: DateTime<Utc>) -> bool {
    let policy = &payment.policy;
    if payment.total.is_some() {
        return false;
    }
    if let Some(Pending { step, attempt, .. }) = &payment.pending {
        let asks = matches!(step, Step::PlaceHold { .. } | Step::RaiseHold { .. });
        let is_outage = *attempt >= QUICK_TRIES || payment.stuck.is_some();
        return asks && is_outage && policy.on_outage == OnOutage::Stop;
    }
    if next_step(payment, now).is_some() {
        return false;
    }
    match &payment.hold {
        None if payment.hold_refused => true,
        None => payment.holds_asked > 0 && policy.renew_before_minutes.is_some(),
        Some(hold) => {
            let beyond = payment.wanted.minor > hold.terms.amount.minor;
            (beyond && policy.beyond != Beyond::GoOn) || runs_out(payment, hold, now)
        }
    }
}

/// When this payment is to be looked at again: soon, if there is a step to take that nobody may be
/// taking; else when time alone brings one (a hold that runs out, a retry, a link that closes), or
/// the charger is to be told once more.
/// `None`: never.
#[must_use]
pub fn look_again_at(payment: &Payment, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let stop = payment.stop_again_at.filter(|_| must_stop(payment, now));
    if payment.stuck.is_some() {
        return stop;
    }
    if let Some(pending) = &payment.pending {
        let again = pending.tried_at + pause(payment, pending);
        return Some(stop.map_or(again, |stop| stop.min(again)));
    }
    if next_step(payment, now).is_some() {
        return Some(now + AGAIN_AFTER);
    }
    let hold = payment.hold.as_ref().filter(|_| payment.total.is_none());
    let ends = hold.and_then(|hold| hold.terms.capture_before);
    let renewal = ends.zip(payment.policy.renew_before()).map(|(ends, before)| ends - before);
    let renewal = renewal.filter(|at| *at > now);
    let owing = payment.total.is_some() && !payment.owed.is_zero();
    let debt = payment.debt.as_ref().filter(|_| owing);
    let retry = debt.and_then(|debt| retry_at(payment, debt));
    let link = payment.open_link().map(|link| link.expires_at);
    let look = missed_at(payment).filter(|_| payment.total.is_none());
    [renewal, retry, link, look, stop].into_iter().flatten().min()
}

/// Twice as long after each try; while energy flows that nothing covers, only after the fifth.
fn pause(payment: &Payment, pending: &Pending) -> TimeDelta {
    let even = if payment.total.is_none() { TRIES_WHILE_RUNNING } else { 1 };
    let doublings = pending.attempt.saturating_sub(even).min(10);
    (AGAIN_AFTER * 2_i32.pow(doublings)).min(AGAIN_WITHIN)
}

fn while_running(payment: &Payment, now: DateTime<Utc>) -> Option<Step> {
    let policy = &payment.policy;
    let number = payment.holds_asked.saturating_add(1);
    let most = payment.hold_max.map_or(payment.wanted.minor, |most| most.minor);
    let amount = Amount::new(payment.wanted.minor.min(most), payment.wanted.currency);
    let another = Step::PlaceHold { number, amount };
    let may_ask =
        payment.is_saved() && !payment.hold_refused && payment.holds_asked < policy.holds_max;
    let Some(hold) = &payment.hold else {
        // A site that holds nothing waits for the price; what was lost is replaced where renewed.
        let wanted = !payment.wanted.is_zero()
            && (payment.holds_asked == 0 || policy.renew_before_minutes.is_some());
        return (wanted && may_ask).then_some(another);
    };
    if runs_out(payment, hold, now) && may_ask {
        return Some(another);
    }
    if amount.minor <= hold.terms.amount.minor {
        return None;
    }
    if policy.raise && hold.terms.raisable && hold.raises < RAISES_MAX {
        let attempt = hold.raises.saturating_add(1);
        return Some(Step::RaiseHold { number: hold.number, attempt, amount });
    }
    (policy.beyond == Beyond::NewHold && may_ask).then_some(another)
}

/// Whether nothing is to be captured of a hold any more.
fn is_over(payment: &Payment, hold: &Hold) -> bool {
    let settled = payment.owed.is_zero() || hold.uncapturable || payment.is_captured();
    payment.total.is_some() && settled
}

fn when_priced(payment: &Payment, now: DateTime<Utc>) -> Option<Step> {
    let amount = payment.owed;
    if let Some(hold) = &payment.hold {
        let number = hold.number;
        let attempt = hold.captures_refused.saturating_add(1);
        // Both are in one currency: `balanced` saw to it.
        let amount = amount.min(hold.terms.most).ok()?;
        return Some(Step::Capture { number, attempt, amount });
    }
    let retry = payment.debt.as_ref().and_then(|debt| retry_at(payment, debt));
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
    let page = Step::MakePayLink { number: payment.links_asked.saturating_add(1), amount };
    let Some(debt) = &payment.debt else {
        let charge = Step::ChargeDifference { attempt: 1, amount };
        return Some(if payment.is_saved() { charge } else { page });
    };
    if debt.link_wanted && payment.links_asked < payment.policy.links_max {
        return Some(page);
    }
    retry.then_some(Step::ChargeDifference { attempt: debt.attempts.saturating_add(1), amount })
}

fn runs_out(payment: &Payment, hold: &Hold, now: DateTime<Utc>) -> bool {
    let ends = hold.terms.capture_before.zip(payment.policy.renew_before());
    ends.is_some_and(|(ends, before)| ends - before <= now)
}

/// When a refused charge is tried again, if it is.
fn retry_at(payment: &Payment, debt: &Debt) -> Option<DateTime<Utc>> {
    if debt.again_now {
        return Some(debt.refused_at);
    }
    let after = payment.policy.retry_after(debt.attempts).filter(|_| !debt.hopeless)?;
    debt.refused_at.checked_add_signed(after)
}
