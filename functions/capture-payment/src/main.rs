//! `capture-payment`: takes what a session costs: captures the hold, charges what it does not
//! cover, releases it when nothing is due. Also releases the hold of a start from the app that came
//! to nothing.

mod take;

use lambda_runtime::Error;
use payments::StripeClient;
use runtime::{Function, Invocation, Metric, Secrets};
use store::{Store, StoreError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("capture-payment").await?;
    let store = Store::from_environment(&function.aws)?;
    let secrets = Secrets::new(&function.aws);
    let secret = secrets.stripe(&function.variable("STRIPE_SECRET_NAME")?).await?;
    let base = function.variable("STRIPE_API_BASE")?;
    let stripe = StripeClient::new(&secret.api_key, Some(&base))?;
    let handler = async |envelope, invocation: &Invocation| {
        let result = take::take(&store, &stripe, envelope, invocation).await;
        result.inspect_err(|error| {
            // Somebody else moved the payment: the message comes again and finds it done.
            if !matches!(error.downcast_ref(), Some(StoreError::Stale { .. })) {
                invocation.count(Metric::FailedCaptures, 1);
            }
        })
    };
    function.serve_queue(handler).await
}
