//! `send-receipt`: mails a session's receipt when its money is settled, what is owed when a card
//! was refused, and each credit note; to the driver who wants it, or to whom an operator names.
//!
//! Each mail is stored before it is sent and again with what SES said. A crash between the two, or
//! an answer that is lost, sends it twice; nothing sends it never. An address that SES refuses is
//! kept with the mail, where the operator sees it.

mod due;
mod mailer;
mod send;

use chrono::TimeDelta;
use lambda_runtime::Error;
use mailer::Mailer;
use runtime::{Function, Invocation};
use send::Sender;
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("send-receipt").await?;
    let timeout_s = function.variable("TIMEOUT_SECONDS")?.parse()?;
    let sender = Sender {
        store: Store::from_environment(&function.aws)?,
        mailer: Mailer::of(&function)?,
        app_url: function.variable("DRIVER_APP_URL")?,
        patience: TimeDelta::seconds(timeout_s),
    };
    // Boxed: the futures of two SDKs are large.
    let handler = async |envelope, invocation: &Invocation| {
        Box::pin(sender.on_event(envelope, invocation)).await
    };
    function.serve_queue(handler).await
}
