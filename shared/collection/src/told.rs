//! What a change of a payment tells others: read from the record before and after it, so that
//! whoever makes a change tells the same.

mod after_sale;

use chrono::{DateTime, Utc};
use ledger::{JournalEntry, LedgerError};
use messages::Event;
use payments::{Payment, Refusal, money::Hold};
use quantities::Amount;

/// What the change from `before` (nothing, when the payment is new) to `after` tells.
///
/// # Errors
///
/// [`LedgerError`] when what was taken cannot be booked.
pub fn told(
    before: Option<&Payment>,
    after: &Payment,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, LedgerError> {
    let session_id = after.session_id;
    let mut events = Vec::new();
    for (hold, amount) in held(Some(after)) {
        if !held(before).any(|(known, was)| same(known, hold) && was == amount) {
            let payment_intent = hold.payment_intent.clone();
            events.push(Event::PaymentAuthorized { session_id, payment_intent, amount });
        }
    }
    if after.hold_refused && !before.is_some_and(|before| before.hold_refused) {
        events.push(Event::PaymentRefused { session_id, code: code(after) });
    }
    for taken in newly_taken(before, after) {
        let (payment_intent, amount) = (taken.payment_intent.clone(), taken.amount);
        let journal = JournalEntry::capture(format!("capture:{payment_intent}"), now, amount)?;
        events.push(Event::PaymentCaptured { session_id, payment_intent, amount, journal });
    }
    for (hold, _) in held(before) {
        let stands = held(Some(after)).any(|(known, _)| same(known, hold));
        let is_taken = after.taken.iter().any(|taken| taken.payment_intent == hold.payment_intent);
        if !stands && !is_taken {
            let payment_intent = hold.payment_intent.clone();
            events.push(Event::PaymentReleased { session_id, payment_intent });
        }
    }
    match (before.and_then(|before| before.debt.as_ref()), &after.debt) {
        (None, Some(_)) => {
            let (amount, code) = (after.owed, code(after));
            events.push(Event::PaymentOwed { session_id, amount, code });
        }
        (Some(_), None) => events.push(Event::PaymentCleared { session_id }),
        _ => {}
    }
    events.extend(after_sale::told(before, after, now)?);
    Ok(events)
}

/// Money that was taken by the change.
pub(crate) fn newly_taken<'a>(
    before: Option<&Payment>,
    after: &'a Payment,
) -> &'a [payments::money::Taken] {
    // What was taken is never taken back from the record, and each taking is added at its end.
    let known = before.map_or(0, |before| before.taken.len());
    after.taken.get(known..).unwrap_or_default()
}

fn held(payment: Option<&Payment>) -> impl Iterator<Item = (&Hold, Amount)> {
    let holds =
        payment.into_iter().flat_map(|payment| payment.hold.iter().chain(&payment.to_release));
    holds.map(|hold| (hold, hold.terms.amount))
}

fn same(one: &Hold, other: &Hold) -> bool {
    one.payment_intent == other.payment_intent
}

fn code(payment: &Payment) -> String {
    payment.refusal.as_ref().map_or("uncovered", Refusal::reason).to_owned()
}

#[cfg(test)]
mod tests;
