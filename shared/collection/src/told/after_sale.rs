//! What is told of money after the sale: given back, let go, disputed.

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
    }
    for dispute in &after.disputes {
        let known = before.iter().flat_map(|before| &before.disputes);
        let known = known.into_iter().find(|known| known.id == dispute.id);
        events.extend(disputed(after, known, dispute, now)?);
    }
    Ok(events)
}

/// What the driver was let off, and what nobody expects any more. Each is done once, as all of what
/// is owed.
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

/// Each thing that is new about a dispute. What Stripe tells in another order, or never, is told
/// as soon as the dispute shows it.
fn disputed(
    payment: &Payment,
    before: Option<&Dispute>,
    after: &Dispute,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, LedgerError> {
    use DisputeChange as Change;

    let moved = |change: DisputeChange, moved: DisputeMove| {
        JournalEntry::dispute(
            format!("dispute-{}:{}", change.name(), after.id),
            now,
            moved,
            after.amount,
        )
    };
    let was = |is: fn(&Dispute) -> bool| before.is_some_and(is);
    let mut changes: Vec<(Change, Amount, Option<JournalEntry>)> = Vec::new();
    if before.is_none() {
        changes.push((Change::Opened, after.amount, None));
    }
    if after.withdrawn && !was(|known| known.withdrawn) {
        let journal = moved(Change::Withdrawn, DisputeMove::Withdrawn)?;
        changes.push((Change::Withdrawn, after.amount, Some(journal)));
    }
    if let (Some(fee), false) = (after.fee, was(|known| known.fee.is_some())) {
        let journal = JournalEntry::dispute_fee(format!("dispute-fee:{}", after.id), now, fee)?;
        changes.push((Change::FeeCharged, fee, Some(journal)));
    }
    if after.reinstated && !was(|known| known.reinstated) {
        let journal = moved(Change::Reinstated, DisputeMove::Reinstated)?;
        changes.push((Change::Reinstated, after.amount, Some(journal)));
    }
    if after.is_closed() && !was(Dispute::is_closed) {
        changes.push(match after.status.as_str() {
            "won" => (Change::Won, after.amount, None),
            "lost" => {
                let journal = moved(Change::Lost, DisputeMove::Lost)?;
                (Change::Lost, after.amount, Some(journal))
            }
            _ => (Change::Closed, after.amount, None),
        });
    }
    let event = |(change, amount, journal)| Event::PaymentDisputed {
        session_id: payment.session_id,
        dispute: after.id.clone(),
        change,
        amount,
        reason: after.reason.clone(),
        journal,
    };
    Ok(changes.into_iter().map(event).collect())
}

#[cfg(test)]
mod tests;
