//! `update-standing`: notes what a driver owes on their wallet and on each of their tags, where
//! Authorize, StartTransaction and a start from the app read it; and takes it off again when it is
//! settled.
//!
//! What it notes is what the payment says now, not what its message says: so it does not matter in
//! which order messages come, or how often. While it notes, the payment must not move.

mod note;

use lambda_runtime::Error;
use runtime::{Function, Invocation};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("update-standing").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |envelope, invocation: &Invocation| {
        note::on_event(&store, envelope, invocation).await
    };
    function.serve_queue(handler).await
}
