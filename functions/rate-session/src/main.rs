//! `rate-session`: prices an ended session, once. The only function that computes a price to be
//! paid; capture, receipt, CDR and journal all use its result.
//!
//! A session that cannot be priced is held for a person, never priced at zero or at a guess.

mod books;
mod rate;

use lambda_runtime::Error;
use runtime::{Function, Invocation};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("rate-session").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |envelope, invocation: &Invocation| {
        rate::on_event(&store, envelope, invocation).await
    };
    function.serve_queue(handler).await
}
