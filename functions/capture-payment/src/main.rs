//! `capture-payment`: takes what a session costs: captures the hold, charges what it does not
//! cover, releases it when nothing is due. Also releases the hold of a start from the app that came
//! to nothing.

use anyhow::bail;
use lambda_runtime::Error;
use messages::{Envelope, Event};
use payments::{StripeClient, stripe::Reference};
use quantities::{Amount, SessionId};
use runtime::{Function, Invocation, Metric, Secrets};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("capture-payment").await?;
    let store = Store::from_environment(&function.aws)?;
    let secrets = Secrets::new(&function.aws);
    let secret = secrets.stripe(&function.variable("STRIPE_SECRET_NAME")?).await?;
    let base = function.variable("STRIPE_API_BASE")?;
    let stripe = StripeClient::new(&secret.api_key, Some(&base))?;
    let handler = async |envelope, invocation: &Invocation| {
        let result = take(&store, &stripe, envelope, invocation).await;
        result.inspect_err(|_| invocation.count(Metric::FailedCaptures, 1))
    };
    function.serve_queue(handler).await
}

async fn take(
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
        other => bail!("capture-payment does not know what to do with {}", other.event_type()),
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
