//! `publish-cdr`: writes the OCPI 2.2.1 CDR of a rated session, once, and posts it to the eMSP when
//! the token was a roaming one.

mod partner;
mod publish;

use lambda_runtime::Error;
use partner::Partners;
use publish::Publisher;
use runtime::{Function, Invocation, Secrets};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("publish-cdr").await?;
    let publisher = Publisher {
        store: Store::from_environment(&function.aws)?,
        partners: Partners::new(Secrets::new(&function.aws), function.variable("STACK_NAME")?)?,
        country_code: function.variable("OPERATOR_COUNTRY_CODE")?,
        party_id: function.variable("OPERATOR_PARTY_ID")?,
    };
    let handler =
        async |envelope, invocation: &Invocation| publisher.on_event(envelope, invocation).await;
    function.serve_queue(handler).await
}
