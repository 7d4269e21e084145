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
mod mails;
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

use api::Api;
use lambda_http::Error;
use runtime::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("operator-api").await?;
    let api = Api::of(&function)?;
    let (router, _) = api::router().split_for_parts();
    http_api::serve(function, router.with_state(api)).await
}
