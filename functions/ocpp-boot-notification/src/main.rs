//! `ocpp-boot-notification`: keeps what the charger says of itself and gives it the time.
//! One write.

use lambda_runtime::Error;
use ocpp::{BootNotificationRequest, BootNotificationResponse, RegistrationStatus};
use runtime::{Function, Invocation, OcppCall};
use store::Store;

/// Seconds between heartbeats: well below API Gateway's 10 idle minutes.
const HEARTBEAT_INTERVAL_S: u32 = 240;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("ocpp-boot-notification").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |call, invocation: &Invocation| keep(&store, call, invocation).await;
    function.serve_ocpp(handler).await
}

async fn keep(
    store: &Store,
    call: OcppCall<BootNotificationRequest>,
    invocation: &Invocation,
) -> anyhow::Result<BootNotificationResponse> {
    store.keep_boot(&call.caller.charge_point_id, &call.frame, invocation.now()).await?;
    Ok(BootNotificationResponse {
        current_time: invocation.now(),
        interval: HEARTBEAT_INTERVAL_S,
        status: RegistrationStatus::Accepted,
    })
}
