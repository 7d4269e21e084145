//! `ocpp-start-transaction`: opens a session. One batch read, one transaction.
//!
//! The transactionId follows from what the charger says, so the same StartTransaction gets the same
//! number and the session is stored once, whatever the message id.

mod start;

use lambda_runtime::Error;
use runtime::{Function, Invocation, OcppMessage};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("ocpp-start-transaction").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler =
        async |call, invocation: &Invocation| start::start(&store, call, invocation).await;
    let keep = async |message: &OcppMessage, why: &str, invocation: &Invocation| {
        let id = &message.caller.charge_point_id;
        Ok(store.keep_unreadable(id, &message.text, why, invocation.now()).await?)
    };
    function.serve_ocpp_keeping(handler, keep).await
}
