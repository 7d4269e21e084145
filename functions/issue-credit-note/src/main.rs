//! `issue-credit-note`: writes the credit note of what was credited of a session, once, with the
//! next number of its seller's series and what it books.
//!
//! Number, credit note, journal entry and event are one transaction: no number is given twice, and
//! none is left out.

mod issue;

use lambda_runtime::Error;
use runtime::{Function, Invocation};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("issue-credit-note").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |envelope, invocation: &Invocation| {
        issue::on_event(&store, envelope, invocation).await
    };
    function.serve_queue(handler).await
}
