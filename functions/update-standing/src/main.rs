//! `update-standing`: notes what a driver owes on their wallet and on each of their tags, where
//! Authorize, StartTransaction and a start from the app read it; and takes it off again when it is
//! settled.
//!
//! What it notes is what the payment says now, not what its message says: so it does not matter in
//! which order messages come, or how often. While it notes, the payment must not move.

use anyhow::bail;
use lambda_runtime::Error;
use messages::{Envelope, Event};
use runtime::{Function, Invocation};
use standing::{Noted, note};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("update-standing").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler =
        async |envelope, invocation: &Invocation| update(&store, envelope, invocation).await;
    function.serve_queue(handler).await
}

async fn update(store: &Store, envelope: Envelope, invocation: &Invocation) -> anyhow::Result<()> {
    let (Event::PaymentOwed { session_id, .. } | Event::PaymentCleared { session_id }) =
        envelope.event
    else {
        bail!("update-standing does not know what to do with {}", envelope.event.event_type());
    };
    let session = store.session(session_id).await?;
    let noted = note(store, session_id, session.driver_id.as_ref(), &session.id_tag).await?;
    invocation.outcome(match noted {
        Noted::Owes => "owes",
        Noted::OwesNothing => "owes nothing",
    });
    Ok(())
}
