//! `stripe-webhook`: takes events from Stripe.
//!
//! Trigger: `POST /stripe/webhook`. Stripe's signature is the authorization. An event is stored
//! before anything acts on it and answered when what it says is carried out; until then Stripe
//! sends it again, for three days. Repeats and disorder change nothing.

mod api;
mod carry_out;
mod intents;
mod receive;
mod subscriptions;

use std::sync::Arc;

use api::Api;
use lambda_http::Error;
use runtime::{Function, Secrets};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("stripe-webhook").await?;
    let api = Api {
        store: Store::from_environment(&function.aws)?,
        secrets: Arc::new(Secrets::new(&function.aws)),
        secret_name: function.variable("STRIPE_SECRET_NAME")?.into(),
    };
    http_api::serve(function, api::router().with_state(api)).await
}
