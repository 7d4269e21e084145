//! What is to be mailed about a session, and when. Pure.

use messages::Event;
use network::Payer;
use payments::Payment;
use rating::PricedSession;
use receipts::{Mailing, Paid};
use store::SessionFile;

/// What the driver is to be mailed upon `event`, as the file is now: whatever the event says, and
/// in whatever order events come.
pub(crate) fn due(event: &Event, file: &SessionFile) -> Option<Mailing> {
    match event {
        Event::CreditNoteIssued { key, .. } => Some(Mailing::CreditNote { credits: key.clone() }),
        Event::SessionRated { .. }
        | Event::PaymentCaptured { .. }
        | Event::PaymentOwed { .. }
        | Event::PaymentCleared { .. }
        | Event::PaymentWaived { .. } => of_money(file),
        _ => None,
    }
}

/// The receipt once nothing is owed any more, or what is owed once the card was refused. A debt
/// that was written off has no receipt: nobody has paid, and nothing was taken back.
fn of_money(file: &SessionFile) -> Option<Mailing> {
    let written_off = |payment: &Payment| !payment.written_off.is_zero();
    if file.payment.as_ref().is_some_and(written_off) {
        return None;
    }
    match paid(file, file.rated.as_ref()?) {
        Paid::Taken(_) | Paid::NothingDue | Paid::Invoiced | Paid::Free => Some(Mailing::Receipt),
        Paid::Owed { .. } => Some(Mailing::Owed),
        // The partner's customer pays what the partner asks, not this.
        Paid::Roaming | Paid::Collecting => None,
    }
}

/// How a session with its price is paid.
pub(crate) fn paid(file: &SessionFile, price: &PricedSession) -> Paid {
    if let Some(payment) = file.payment.as_ref().filter(|payment| payment.total.is_some()) {
        let (taken, owed) = (payment.paid(), payment.owed);
        return match (owed.is_zero(), payment.debt.is_some()) {
            (true, _) if taken.is_zero() => Paid::NothingDue,
            (true, _) => Paid::Taken(taken),
            (false, true) => Paid::Owed { taken, owed },
            (false, false) => Paid::Collecting,
        };
    }
    match file.session.payer {
        Payer::Account { .. } => Paid::Invoiced,
        Payer::Roaming { .. } => Paid::Roaming,
        Payer::Free => Paid::Free,
        _ if price.gross().is_zero() => Paid::NothingDue,
        _ => Paid::Collecting,
    }
}

#[cfg(test)]
mod tests;
