//! `ocpp-default`: what no other route takes. Answers to our own calls are correlated with them
//! (one write); an unknown action gets NotImplemented; a text that is no frame gets the CALLERROR
//! that OCPP-J names.

mod take;

use lambda_runtime::Error;
use runtime::{Function, Invocation};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("ocpp-default").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler =
        async |message, invocation: &Invocation| take::take(&store, message, invocation).await;
    function.serve_message(handler).await
}
