//! `operator-api`: what an operator's staff does, over HTTP.
//!
//! Trigger: `ANY /operator/{proxy+}`, behind API Gateway's JWT authorizer. Nothing is taken as done
//! before it is stored; whoever gets an error sends the same request again.

mod api;
mod chargers;
mod dead_letters;
mod disputes;
mod entitlements;
mod exceptions;
mod hold;
mod jurisdiction;
mod offers;
mod open_payments;
mod partners;
mod payment_policy;
mod plans;
mod readers;
mod reconciliations;
mod refunds;
mod schedules;
mod secret;
mod sessions;
mod sites;
mod subscribers;
mod taps;
mod tariffs;
mod terms;

use std::{env, sync::Arc};

use api::Api;
use lambda_http::Error;
use network::Trust;
use queues::Queues;
use refunds::Limits;
use runtime::{Function, Secrets};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("operator-api").await?;
    let api = Api {
        store: Store::from_environment(&function.aws)?,
        queues: Queues::new(&function.aws),
        secrets: Arc::new(Secrets::new(&function.aws)),
        stack: function.variable("STACK_NAME")?.into(),
        country_code: env::var("OPERATOR_COUNTRY_CODE")?.into(),
        party_id: env::var("OPERATOR_PARTY_ID")?.into(),
        trust: Trust::parse(
            &function.variable("MEMBERSHIP_TRUST_HOURS")?,
            &function.variable("MEMBERSHIP_WHEN_STALE")?,
        )?,
        stripe_secret: function.variable("STRIPE_SECRET_NAME")?.into(),
        stripe_base: function.variable("STRIPE_API_BASE")?.into(),
        limits: Limits::of(&function)?,
    };
    let (router, _) = api::router().split_for_parts();
    http_api::serve(function, router.with_state(api)).await
}
