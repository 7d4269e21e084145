//! `notify-accounting`: delivers session and payment events as signed webhooks (Standard Webhooks),
//! each with the journal entry it books.
//!
//! Each subscriber's delivery is logged on its own; a message comes again until every subscriber
//! has taken it, and those that have are not asked again.

mod deliver;
mod webhook;

use deliver::Notifier;
use lambda_runtime::Error;
use runtime::{Function, Invocation, Secrets};
use store::Store;
use webhook::Webhooks;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("notify-accounting").await?;
    let notifier = Notifier {
        store: Store::from_environment(&function.aws)?,
        webhooks: Webhooks::new(Secrets::new(&function.aws), function.variable("STACK_NAME")?)?,
    };
    let handler =
        async |envelope, invocation: &Invocation| notifier.on_event(&envelope, invocation).await;
    function.serve_queue(handler).await
}
