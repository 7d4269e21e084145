//! `ocpp-meter-values`: keeps a MeterValues message as it came. One write, no read.
//!
//! The session's id follows from charger and transactionId, the row's key from what was read: the
//! same message again replaces itself. Readings without a transaction (clock-aligned, or under the
//! −1 and 0 of an offline charger) are kept with the charger.

mod keep;

use lambda_runtime::Error;
use runtime::{Function, Invocation, OcppMessage};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("ocpp-meter-values").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |call, invocation: &Invocation| keep::keep(&store, call, invocation).await;
    let keep = async |message: &OcppMessage, why: &str, invocation: &Invocation| {
        let id = &message.caller.charge_point_id;
        Ok(store.keep_unreadable(id, &message.text, why, invocation.now()).await?)
    };
    function.serve_ocpp_keeping(handler, keep).await
}
