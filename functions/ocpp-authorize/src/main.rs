//! `ocpp-authorize`: answers Authorize from the entitlement cache. One read, no other request.

use lambda_runtime::Error;
use ocpp::{AuthorizationStatus, AuthorizeRequest, AuthorizeResponse};
use runtime::{Function, Invocation, Metric, OcppCall};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("ocpp-authorize").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |call, invocation: &Invocation| authorize(&store, call, invocation).await;
    function.serve_ocpp(handler).await
}

async fn authorize(
    store: &Store,
    call: OcppCall<AuthorizeRequest>,
    invocation: &Invocation,
) -> anyhow::Result<AuthorizeResponse> {
    let entitlement = store.entitlement(&call.request.id_tag).await?;
    let charge_point_id = &call.caller.charge_point_id;
    let id_tag_info = session::authorize(entitlement.as_ref(), charge_point_id, invocation.now());
    invocation.outcome(id_tag_info.status.as_str());
    if let Some(known) = &entitlement {
        invocation.field("tier", known.tier_at(invocation.now()).as_str());
    }
    if id_tag_info.status != AuthorizationStatus::Accepted {
        invocation.count(Metric::Refusals, 1);
    }
    Ok(AuthorizeResponse { id_tag_info })
}
