//! Load, decide, store.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use messages::{Envelope, Event};
use network::{Owed, Payer, owes_now};
use payments::Payment;
use quantities::IdTag;
use runtime::Invocation;
use session::Session;
use store::{Debtor, Saved, Store};

/// How often it begins anew because payment or records moved, before its message has to come again.
const ATTEMPTS_MAX: u32 = 5;

pub(crate) async fn on_event(
    store: &Store,
    envelope: Envelope,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let (Event::PaymentOwed { session_id, .. } | Event::PaymentCleared { session_id }) =
        envelope.event
    else {
        bail!("update-standing does not know what to do with {}", envelope.event.event_type());
    };
    let session = store.session(session_id).await?;
    for _ in 0..ATTEMPTS_MAX {
        let payment = store.payment(session_id).await?.context("there is no such payment")?;
        let owed = owed(&payment);
        if note(store, &session, &payment, owed.as_ref()).await? == Saved::New {
            invocation.outcome(if owed.is_some() { "owes" } else { "owes nothing" });
            return Ok(());
        }
    }
    bail!("payment or records moved {ATTEMPTS_MAX} times while the debt was noted")
}

/// What is owed, if it is a debt.
fn owed(payment: &Payment) -> Option<Owed> {
    let debt = payment.debt.as_ref()?;
    let (session_id, amount) = (payment.session_id, payment.owed);
    Some(Owed { session_id, amount, since: debt.refused_at })
}

/// Notes it on every record; [`Saved::Duplicate`] when one of them, or the payment, has moved.
async fn note(
    store: &Store,
    session: &Session,
    payment: &Payment,
    now: Option<&Owed>,
) -> anyhow::Result<Saved> {
    let said = (session.id, payment.version);
    // The wallet first: whoever makes a new tag of the driver's looks there.
    if let Some(driver) = &session.driver_id {
        let seen = store.wallet(driver).await?.owes;
        let owes = owes_now(&seen, session.id, now);
        let debtor = Debtor::Driver(driver);
        if owes != seen && store.note_owed(said, debtor, &seen, &owes).await? == Saved::Duplicate {
            return Ok(Saved::Duplicate);
        }
    }
    for id_tag in tags(store, session).await? {
        let Some(known) = store.entitlement(&id_tag).await? else { continue };
        let owes = owes_now(&known.owes, session.id, now);
        // The tag of a start from the app opens one session, which has begun; a reader's is
        // nobody's: the next to present a card there owes nothing.
        let is_nobodys = known.app_start.is_some() || known.payer == Payer::Reader;
        if is_nobodys || owes == known.owes {
            continue;
        }
        let debtor = Debtor::Tag(&id_tag);
        if store.note_owed(said, debtor, &known.owes, &owes).await? == Saved::Duplicate {
            return Ok(Saved::Duplicate);
        }
    }
    Ok(Saved::New)
}

/// The tags of the session's driver, and the one that it was started with.
async fn tags(store: &Store, session: &Session) -> anyhow::Result<BTreeSet<IdTag>> {
    let mut tags = BTreeSet::from([session.id_tag.clone()]);
    if let Some(driver) = &session.driver_id {
        let known = store.entitlements_of(driver).await?;
        tags.extend(known.into_iter().map(|known| known.id_tag));
    }
    Ok(tags)
}
