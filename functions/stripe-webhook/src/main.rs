//! `stripe-webhook`: takes events from Stripe.
//!
//! Trigger: `POST /stripe/webhook`. Stripe's signature is the authorization. An event is stored
//! before anything acts on it and answered when what it says is carried out; until then Stripe
//! sends it again, for three days. Repeats and disorder change nothing.
//!
//! Trigger too: a schedule, whose event is `POST /stripe/undelivered`. What Stripe could not
//! deliver is taken from its list, for as long as there is time; the next run goes on.

mod after_sale;
mod api;
mod carry_out;
mod intents;
mod memberships;
mod readers;
mod receive;
mod undelivered;

use std::sync::Arc;

use api::Api;
use lambda_http::Error;
use network::Trust;
use runtime::{Function, Secrets};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("stripe-webhook").await?;
    let api = Api {
        store: Store::from_environment(&function.aws)?,
        secrets: Arc::new(Secrets::new(&function.aws)),
        secret_name: function.variable("STRIPE_SECRET_NAME")?.into(),
        stripe_base: function.variable("STRIPE_API_BASE")?.into(),
        trust: Trust::parse(
            &function.variable("MEMBERSHIP_TRUST_HOURS")?,
            &function.variable("MEMBERSHIP_WHEN_STALE")?,
        )?,
    };
    http_api::serve(function, api::router().with_state(api)).await
}
