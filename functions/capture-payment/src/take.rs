//! Load, decide, store, reply.

use anyhow::bail;
use messages::{Envelope, Event};
use network::HoldRequest;
use payments::StripeClient;
use payments::stripe::{HoldOutcome, OffSession, Reference};
use quantities::{Amount, SessionId};
use runtime::Invocation;
use store::Store;

pub(crate) async fn take(
    store: &Store,
    stripe: &StripeClient,
    envelope: Envelope,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    match envelope.event {
        Event::SessionRated { session_id, total, .. } => {
            collect(store, stripe, session_id, Some(total), invocation).await
        }
        Event::SessionWaived { session_id } => {
            collect(store, stripe, session_id, None, invocation).await
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

/// Releases a hold of which nobody knows whether it was placed. The same request again, under the
/// same key, gives the same PaymentIntent; at worst it is made now, and released at once.
async fn release_if_placed(
    stripe: &StripeClient,
    start_id: String,
    hold: &HoldRequest,
) -> anyhow::Result<bool> {
    let reference = Reference::Start(start_id);
    match stripe.place_hold(&reference, OffSession::from(hold)).await? {
        HoldOutcome::Held { payment_intent, .. } => {
            stripe.cancel(&reference, &payment_intent).await?;
            Ok(true)
        }
        HoldOutcome::Refused { .. } => Ok(false),
    }
}

/// Collects `total`; `None` when a person decided that nothing is due.
async fn collect(
    store: &Store,
    stripe: &StripeClient,
    session_id: SessionId,
    total: Option<Amount>,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let session = store.session(session_id).await?;
    let Some(payment) = collection::payment_of(store, &session).await? else {
        invocation.outcome("not collected by card");
        return Ok(());
    };
    let total = total.unwrap_or(Amount::zero(payment.hold.currency));
    let payment = payment.with_total(total)?;
    collection::advance(store, stripe, &session, payment, invocation).await?;
    Ok(())
}
