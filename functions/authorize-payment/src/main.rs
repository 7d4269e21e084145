//! `authorize-payment`: places the hold when a session starts, and looks at the session while it
//! runs: near the hold, it is raised or replaced, or the charger is told to stop, as the site has
//! it. When the issuer refuses, the charger is told to stop, and the session's payment says why.
//! Also asks for cards at readers, and gives them to their sessions.

mod watch;

use anyhow::bail;
use collection::taps;
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
    let session = match envelope.event {
        Event::SessionStarted { session_id } => store.session(session_id).await?,
        Event::SessionWatched { session_id, number } => {
            return watch::look(store, stripe, session_id, number, invocation).await;
        }
        Event::TapMatched { session_id } => taps::matched(store, session_id, invocation).await?,
        Event::TapDue { charge_point_id, connector_id, .. } => {
            return taps::advance(store, stripe, &charge_point_id, connector_id, invocation).await;
        }
        other => bail!("authorize-payment does not know what to do with {}", other.event_type()),
    };
    if session.waits_for_card() {
        return taps::arrive(store, stripe, &session, invocation).await;
    }
    let payment = collection::advance(store, stripe, &session, invocation, Ok).await?;
    if payment.is_none() {
        invocation.outcome("nothing to hold");
    }
    Ok(())
}
