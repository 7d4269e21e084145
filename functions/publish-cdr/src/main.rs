//! `publish-cdr`: writes the OCPI CDR of a rated session, once, and posts it to the eMSP when the
//! token was a roaming one, in the version of OCPI that the eMSP has; and the credit CDR of one that
//! an operator takes back.

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
    let country_code = function.variable("OPERATOR_COUNTRY_CODE")?;
    let party_id = function.variable("OPERATOR_PARTY_ID")?;
    let ours = (country_code.clone(), party_id.clone());
    let secrets = Secrets::new(&function.aws);
    let publisher = Publisher {
        store: Store::from_environment(&function.aws)?,
        partners: Partners::new(secrets, function.variable("STACK_NAME")?, ours)?,
        country_code,
        party_id,
    };
    let handler =
        async |envelope, invocation: &Invocation| publisher.on_event(envelope, invocation).await;
    function.serve_queue(handler).await
}
