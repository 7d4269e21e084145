//! `ocpp-stop-transaction`: ends a session. One read, one transaction, and the answer at once.
//!
//! Always accepted to the charger and always kept: what cannot be billed as it stands (an unknown
//! transactionId, a meter that runs backwards, a second end that differs) becomes an exception.

mod stop;

use lambda_runtime::Error;
use runtime::{Function, Invocation, OcppMessage};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("ocpp-stop-transaction").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |call, invocation: &Invocation| stop::stop(&store, call, invocation).await;
    let keep = async |message: &OcppMessage, why: &str, invocation: &Invocation| {
        let id = &message.caller.charge_point_id;
        Ok(store.keep_unreadable(id, &message.text, why, invocation.now()).await?)
    };
    function.serve_ocpp_keeping(handler, keep).await
}
