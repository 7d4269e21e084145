//! `authorize-payment`: places the hold when a session starts. When the issuer refuses it, the
//! charger is told to stop, and the session's payment says why.

use anyhow::bail;
use lambda_runtime::Error;
use messages::{Envelope, Event};
use payments::StripeClient;
use runtime::{Function, Invocation};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("authorize-payment").await?;
    let store = Store::from_environment(&function.aws)?;
    let stripe = collection::stripe(&function).await?;
    let handler = async |envelope, invocation: &Invocation| {
        authorize(&store, &stripe, envelope, invocation).await
    };
    function.serve_queue(handler).await
}

async fn authorize(
    store: &Store,
    stripe: &StripeClient,
    envelope: Envelope,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let Event::SessionStarted { session_id } = envelope.event else {
        bail!("authorize-payment does not know what to do with {}", envelope.event.event_type());
    };
    let session = store.session(session_id).await?;
    let payment = collection::advance(store, stripe, &session, invocation, Ok).await?;
    if payment.is_none() {
        invocation.outcome("nothing to hold");
    }
    Ok(())
}
