//! Load, decide, store, reply.

use anyhow::{Context as _, bail};
use messages::{Envelope, Event};
use network::HoldRequest;
use payments::{
    MoneyError, Payment, StripeClient,
    stripe::{HoldOutcome, OffSession, Reference},
};
use quantities::{Amount, SessionId};
use runtime::Invocation;
use session::{Session, SessionState};
use store::Store;

pub(crate) async fn take(
    store: &Store,
    stripe: &StripeClient,
    envelope: Envelope,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    match envelope.event {
        Event::SessionRated { session_id, total, .. } => {
            let session = store.session(session_id).await?;
            let priced = |payment: Payment| payment.with_total(total);
            carry_on(store, stripe, &session, invocation, priced).await
        }
        // A person decided that nothing is due.
        Event::SessionWaived { session_id } => {
            let session = store.session(session_id).await?;
            carry_on(store, stripe, &session, invocation, free).await
        }
        Event::PaymentDue { session_id, .. } => {
            when_due(store, stripe, session_id, invocation).await
        }
        Event::StartAbandoned { hold, .. } => {
            let start = Reference::Start(hold.payment_intent.to_string());
            stripe.cancel(&start, &hold.payment_intent).await?;
            invocation.outcome("released");
            Ok(())
        }
        Event::StartInterrupted { start_id, hold } => {
            let released = release_if_placed(stripe, start_id, &hold).await?;
            invocation.outcome(if released { "released" } else { "nothing held" });
            Ok(())
        }
        other => bail!("capture-payment does not know what to do with {}", other.event_type()),
    }
}

/// Takes what is to be taken now. The event that tells of the price may be lost for good: whoever
/// looks at a payment that has none looks whether the session has one.
async fn when_due(
    store: &Store,
    stripe: &StripeClient,
    session_id: SessionId,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let session = store.session(session_id).await?;
    match session.state {
        SessionState::Waived => carry_on(store, stripe, &session, invocation, free).await,
        SessionState::Rated => {
            let rated = store.rated(session_id).await?.context("a rated session has no price")?;
            let priced = |payment: Payment| payment.with_total(rated.gross());
            carry_on(store, stripe, &session, invocation, priced).await
        }
        _ => carry_on(store, stripe, &session, invocation, Ok).await,
    }
}

fn free(payment: Payment) -> Result<Payment, MoneyError> {
    let nothing = Amount::zero(payment.wanted.currency);
    payment.with_total(nothing)
}

/// Releases a hold of which nobody knows whether it was placed. The same request again, under the
/// same key, gives the same PaymentIntent; at worst it is made now, and released at once.
async fn release_if_placed(
    stripe: &StripeClient,
    start_id: String,
    hold: &HoldRequest,
) -> anyhow::Result<bool> {
    let reference = Reference::Start(start_id);
    match stripe.place_hold(&reference, OffSession::from(hold)).await? {
        HoldOutcome::Held(placed) => {
            stripe.cancel(&reference, &placed.payment_intent).await?;
            Ok(true)
        }
        HoldOutcome::Refused { .. } => Ok(false),
    }
}

/// Makes `change` to a session's payment, and takes what is to be taken.
async fn carry_on(
    store: &Store,
    stripe: &StripeClient,
    session: &Session,
    invocation: &Invocation,
    change: impl FnOnce(Payment) -> Result<Payment, MoneyError>,
) -> anyhow::Result<()> {
    let payment = collection::advance(store, stripe, session, invocation, change).await?;
    if payment.is_none() {
        invocation.outcome("not collected by card");
    }
    Ok(())
}
