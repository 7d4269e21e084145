//! `driver-api`: what a driver's app does, over HTTP.
//!
//! Trigger: `ANY /driver/{proxy+}`, behind API Gateway's JWT authorizer; the driver is the token's
//! subject and sees only what is theirs. A request that got an error is safe to send again: a start
//! with its Idempotency-Key is one start and one hold.

mod api;
mod debts;
mod mailing;
mod means;
mod methods;
mod on_offer;
mod prices;
mod receipt;
mod sessions;
mod starts;
mod stop;
mod views;
mod words;

use std::sync::Arc;

use api::{Api, Cards};
use lambda_http::Error;
use runtime::{Function, Secrets};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("driver-api").await?;
    let api = Api {
        store: Store::from_environment(&function.aws)?,
        cards: Arc::new(Cards::new(
            Secrets::new(&function.aws),
            function.variable("STRIPE_SECRET_NAME")?,
            function.variable("STRIPE_API_BASE")?,
        )),
        sends_mail: !function.variable("RECEIPT_SENDER")?.is_empty(),
    };
    let (router, _) = api::router().split_for_parts();
    http_api::serve(function, router.with_state(api)).await
}
