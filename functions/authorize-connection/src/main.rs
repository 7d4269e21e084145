//! `authorize-connection`: the authorizer of `$connect`. Checks the charger's Basic authentication
//! (OCPP-J 1.6 security profiles 1 and 2) and hands its identity, site and time zone on, so that no
//! later message looks them up. One read.

mod credentials;
mod decide;

use lambda_runtime::Error;
use runtime::{Function, Invocation};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("authorize-connection").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler =
        async |event, invocation: &Invocation| decide::decide(&store, event, invocation).await;
    function.serve(handler).await
}
