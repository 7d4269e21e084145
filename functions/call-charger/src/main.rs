//! `call-charger`: sends our own OCPP calls through the charger's open connection.
//!
//! The call's record is stored first, and its OCPP message id is the same on every attempt; the
//! first answer counts. A call to a charger that is away is tried again until it is pointless.

mod call;

use aws_sdk_apigatewaymanagement::Client;
use lambda_runtime::Error;
use runtime::{Function, Invocation};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("call-charger").await?;
    let store = Store::from_environment(&function.aws)?;
    let connections = Client::new(&function.aws);
    let handler = async |envelope, invocation: &Invocation| {
        call::call(&store, &connections, envelope, invocation).await
    };
    function.serve_queue(handler).await
}
