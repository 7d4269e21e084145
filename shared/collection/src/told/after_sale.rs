//! What is told of money after the sale: given back, let go, disputed.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use ledger::{DisputeMove, JournalEntry, LedgerError};
use messages::{DisputeChange, Event};
use payments::{
    Payment,
    money::{Dispute, Refund, RefundState},
};
use quantities::Amount;

pub(super) fn told(
    before: Option<&Payment>,
    after: &Payment,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, LedgerError> {
    let mut events = forgiven(before, after, now)?;
    events.extend(overpaid(before, after, now)?);
    for refund in &after.refunds {
        let known = before.iter().flat_map(|before| &before.refunds);
        let known = known.into_iter().find(|known| known.number == refund.number);
        let state = known.map_or(RefundState::Wanted, |known| known.state);
        // Of one that was made at Stripe and failed before it was heard of nothing is to be told.
        let is_over = known.is_none() && refund.state == RefundState::Failed;
        if !is_over {
            events.extend(given_back(after, state, refund, now)?);
        }
        events.extend(made(after, known, refund));
        events.extend(charged_back(after, known, refund, now)?);
    }
    for dispute in &after.disputes {
        let known = before.iter().flat_map(|before| &before.disputes);
        let known = known.into_iter().find(|known| known.id == dispute.id);
        events.extend(disputed(after, known, dispute, now)?);
    }
    Ok(events)
}

/// What the driver was let off, and what nobody expects any more: each is done once, as all of what
/// is owed. And what came of the latter after all.
fn forgiven(
    before: Option<&Payment>,
    after: &Payment,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, LedgerError> {
    let session_id = after.session_id;
    let mut events = Vec::new();
    let was_zero = |amount: fn(&Payment) -> Amount| before.is_none_or(|b| amount(b).is_zero());
    if was_zero(|payment| payment.waived) && !after.waived.is_zero() {
        events.push(Event::PaymentWaived { session_id, amount: after.waived });
    }
    if was_zero(|payment| payment.written_off) && !after.written_off.is_zero() {
        let amount = after.written_off;
        let journal = JournalEntry::write_off(format!("write-off:{session_id}"), now, amount)?;
        events.push(Event::PaymentWrittenOff { session_id, amount, journal });
    }
    let (known, left) = (before.map_or(0, |before| before.written_off.minor), after.written_off);
    if known > left.minor {
        let amount = Amount::new(known.saturating_sub(left.minor), left.currency);
        let id = format!("recovery:{session_id}:{}", left.minor);
        let journal = JournalEntry::recovery(id, now, amount)?;
        events.push(Event::PaymentRecovered { session_id, amount, written_off: left, journal });
    }
    Ok(events)
}

/// What was taken too much: it only grows.
fn overpaid(
    before: Option<&Payment>,
    after: &Payment,
    now: DateTime<Utc>,
) -> Result<Option<Event>, LedgerError> {
    let session_id = after.session_id;
    let Some(surplus) = after.surplus else { return Ok(None) };
    let known = before.and_then(|before| before.surplus).map_or(0, |known| known.minor);
    let amount = Amount::new(surplus.minor.saturating_sub(known), surplus.currency);
    if amount.minor < 1 {
        return Ok(None);
    }
    let id = format!("overpaid:{session_id}:{}", surplus.minor);
    let journal = JournalEntry::surplus(id, now, amount)?;
    Ok(Some(Event::PaymentOverpaid { session_id, amount, surplus, journal }))
}

/// A part of the sale that somebody gave back at Stripe, once that is known.
fn made(payment: &Payment, before: Option<&Refund>, refund: &Refund) -> Option<Event> {
    let amount = refund.made_of_sale().filter(|_| before.and_then(|b| b.surplus).is_none())?;
    let (session_id, number) = (payment.session_id, refund.number);
    let refund = refund.id.clone().unwrap_or_default();
    Some(Event::RefundMade { session_id, number, refund, amount })
}

fn given_back(
    payment: &Payment,
    before: RefundState,
    refund: &Refund,
    now: DateTime<Utc>,
) -> Result<Option<Event>, LedgerError> {
    let session_id = payment.session_id;
    let Refund { number, amount, state, .. } = *refund;
    let id = |what: &str| format!("{what}:{session_id}:{number}");
    Ok(match (before, state) {
        (RefundState::Wanted, state) if state.is_paid() => {
            let journal = JournalEntry::refund(id("refund"), now, amount)?;
            let payment_intent = refund.payment_intent.clone();
            Some(Event::PaymentRefunded { session_id, number, payment_intent, amount, journal })
        }
        (RefundState::Wanted, RefundState::Failed) => {
            Some(Event::RefundFailed { session_id, number, amount, journal: None })
        }
        (before, RefundState::Failed) if before.is_paid() => {
            let journal = JournalEntry::refund_failed(id("refund-failed"), now, amount)?;
            Some(Event::RefundFailed { session_id, number, amount, journal: Some(journal) })
        }
        _ => None,
    })
}

/// What the driver has from their bank of a refund that failed, when that changed.
fn charged_back(
    payment: &Payment,
    before: Option<&Refund>,
    after: &Refund,
    now: DateTime<Utc>,
) -> Result<Option<Event>, LedgerError> {
    let Refund { number, .. } = *after;
    let session_id = payment.session_id;
    let currency = after.amount.currency;
    let minor = |refund: &Refund| refund.charged_back.map_or(0, |back| back.minor);
    let (known, new) = (before.map_or(0, minor), minor(after));
    let amount = Amount::new(new.saturating_sub(known).saturating_abs(), currency);
    // It can come to the same sum again, but only after more was moved.
    let disputes = payment.disputes.iter();
    let disputes = disputes.filter(|dispute| dispute.payment_intent == after.payment_intent);
    let moved: i64 = disputes.map(|dispute| dispute.moved().minor).sum();
    let id = format!("charged-back:{session_id}:{number}:{new}:{moved}");
    let journal = match new.cmp(&known) {
        Ordering::Greater => JournalEntry::charged_back(id, now, amount)?,
        Ordering::Less => JournalEntry::charged_back_no_more(id, now, amount)?,
        Ordering::Equal => return Ok(None),
    };
    let amount = Amount::new(new, currency);
    Ok(Some(Event::RefundChargedBack { session_id, number, amount, journal }))
}

/// One change of a dispute: what, how much by it, how much so far, and what it books.
type Change = (DisputeChange, Amount, Amount, Option<JournalEntry>);

/// Each thing that is new about a dispute: the differences of its sums, and its verdict. What
/// Stripe tells in another order, or never, is told as soon as the dispute shows it.
fn disputed(
    payment: &Payment,
    before: Option<&Dispute>,
    after: &Dispute,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, LedgerError> {
    let mut changes: Vec<Change> = Vec::new();
    if before.is_none() {
        changes.push((DisputeChange::Opened, after.amount, after.moved(), None));
    }
    changes.extend(moved(before, after, now)?);
    changes.extend(fees(before, after, now)?);
    changes.extend(verdict(before, after, now)?);
    let event = |(change, amount, so_far, journal)| Event::PaymentDisputed {
        session_id: payment.session_id,
        dispute: after.id.clone(),
        change,
        amount,
        so_far,
        reason: after.reason.clone(),
        journal,
    };
    Ok(changes.into_iter().map(event).collect())
}

/// What was withdrawn and reinstated since.
fn moved(
    before: Option<&Dispute>,
    after: &Dispute,
    now: DateTime<Utc>,
) -> Result<Vec<Change>, LedgerError> {
    let known = |sum: fn(&Dispute) -> Amount| before.map(sum);
    let sums = [
        (
            DisputeChange::Withdrawn,
            DisputeMove::Withdrawn,
            known(|dispute| dispute.withdrawn),
            after.withdrawn,
        ),
        (
            DisputeChange::Reinstated,
            DisputeMove::Reinstated,
            known(|dispute| dispute.reinstated),
            after.reinstated,
        ),
    ];
    let mut changes = Vec::new();
    for (change, moved, known, sum) in sums {
        if let Some(amount) = grown(known, sum) {
            let id = entry(change, after, sum);
            let journal = JournalEntry::dispute(id, now, moved, amount)?;
            changes.push((change, amount, sum, Some(journal)));
        }
    }
    Ok(changes)
}

/// What Stripe charged and gave back since.
fn fees(
    before: Option<&Dispute>,
    after: &Dispute,
    now: DateTime<Utc>,
) -> Result<Vec<Change>, LedgerError> {
    let mut changes = Vec::new();
    let known = before.and_then(|before| before.fee);
    if let Some((fee, sum)) = after.fee.and_then(|sum| Some((grown(known, sum)?, sum))) {
        let id = entry(DisputeChange::FeeCharged, after, sum);
        let journal = JournalEntry::dispute_fee(id, now, fee)?;
        changes.push((DisputeChange::FeeCharged, fee, sum, Some(journal)));
    }
    let known = before.and_then(|before| before.fee_returned);
    if let Some((fee, sum)) = after.fee_returned.and_then(|sum| Some((grown(known, sum)?, sum))) {
        let id = entry(DisputeChange::FeeReturned, after, sum);
        let journal = JournalEntry::dispute_fee_returned(id, now, fee)?;
        changes.push((DisputeChange::FeeReturned, fee, sum, Some(journal)));
    }
    Ok(changes)
}

/// How it ended, and what is lost by that; or is lost no more.
fn verdict(
    before: Option<&Dispute>,
    after: &Dispute,
    now: DateTime<Utc>,
) -> Result<Vec<Change>, LedgerError> {
    let mut changes = Vec::new();
    let so_far = after.moved();
    let (known, lost) = (before.map_or(Amount::zero(so_far.currency), Dispute::lost), after.lost());
    if let Some(amount) = grown(Some(lost), known) {
        let id = entry(DisputeChange::Recovered, after, so_far);
        let journal = JournalEntry::dispute(id, now, DisputeMove::Recovered, amount)?;
        changes.push((DisputeChange::Recovered, amount, so_far, Some(journal)));
    }
    if let Some(amount) = grown(Some(known), lost) {
        let id = entry(DisputeChange::Lost, after, so_far);
        let journal = JournalEntry::dispute(id, now, DisputeMove::Lost, amount)?;
        changes.push((DisputeChange::Lost, amount, so_far, Some(journal)));
    }
    let is_new = before.is_none_or(|before| before.status != after.status);
    if after.is_closed() && after.status != "lost" && is_new {
        let won = after.status == "won";
        let change = if won { DisputeChange::Won } else { DisputeChange::Closed };
        changes.push((change, after.amount, so_far, None));
    }
    Ok(changes)
}

/// By how much a sum grew, if it did.
fn grown(known: Option<Amount>, sum: Amount) -> Option<Amount> {
    let more = sum.minor.saturating_sub(known.map_or(0, |known| known.minor));
    Some(Amount::new(more, sum.currency)).filter(|more| more.minor > 0)
}

fn entry(change: DisputeChange, dispute: &Dispute, so_far: Amount) -> String {
    format!("dispute-{}:{}:{}", change.name(), dispute.id, so_far.minor)
}

#[cfg(test)]
mod tests;
