//! `capture-payment`: takes what a session costs: captures the hold, charges what it does not
//! cover, releases it when nothing is due. Also releases the hold of a start from the app that came
//! to nothing.

mod take;

use lambda_runtime::Error;
use runtime::{Function, Invocation, Metric};
use store::{Store, StoreError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("capture-payment").await?;
    let store = Store::from_environment(&function.aws)?;
    let stripe = collection::stripe(&function).await?;
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
