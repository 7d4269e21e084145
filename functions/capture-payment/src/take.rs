//! Load, decide, store, reply.

use anyhow::{Context as _, bail};
use collection::taps;
use messages::{Envelope, Event};
use network::HoldRef;
use payments::{
    MoneyError, Payment, StripeClient,
    stripe::{HoldOutcome, OffSession, Reference, ReleaseOutcome},
};
use quantities::{Amount, ChargePointId, SessionId};
use runtime::{Invocation, Metric};
use session::{Session, SessionState};
use store::{Saved, Store};

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
        Event::StartAbandoned { id_tag, hold } => {
            let start = Reference::Start(hold.payment_intent.to_string());
            let charger = async || {
                let start = store.entitlement(&id_tag).await?.and_then(|tag| tag.app_start);
                Ok(start.context("a start that nobody knows")?.charge_point_id)
            };
            let stripe = stripe.asked_since(envelope.at);
            release(store, &stripe, &start, &hold, charger, invocation).await
        }
        // Nobody knows whether its hold was placed. The same request again, under the same key, gives
        // the same PaymentIntent; at worst it is made now, and released at once.
        Event::StartInterrupted { start_id, hold } => {
            let charger = async || {
                let start = store.start_intent(&start_id).await?;
                Ok(start.context("a start that nobody knows")?.terms.charge_point_id)
            };
            let start = Reference::Start(start_id.clone());
            let stripe = stripe.asked_since(hold.requested_at);
            match stripe.place_hold(&start, OffSession::from(&hold)).await? {
                HoldOutcome::Held(placed) => {
                    release(store, &stripe, &start, &placed, charger, invocation).await
                }
                HoldOutcome::Refused { .. } => {
                    invocation.outcome("nothing held");
                    Ok(())
                }
            }
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

/// Releases the hold of a start that came to nothing. Of what somebody captured at Stripe a person
/// is told, once.
async fn release(
    store: &Store,
    stripe: &StripeClient,
    start: &Reference,
    hold: &HoldRef,
    charger: impl AsyncFnOnce() -> anyhow::Result<ChargePointId>,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let HoldRef { payment_intent, amount, .. } = hold;
    match stripe.cancel(start, payment_intent, amount.currency).await? {
        ReleaseOutcome::Released => invocation.outcome("released"),
        ReleaseOutcome::Captured(taken) => {
            let charger = charger().await?;
            let exception = taps::unused_capture(&charger, payment_intent, taken, invocation);
            if store.raise(&exception).await? == Saved::New {
                invocation.count(Metric::Exceptions, 1);
            }
            invocation.outcome("captured at Stripe");
        }
    }
    Ok(())
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
