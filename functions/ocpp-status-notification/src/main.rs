//! `ocpp-status-notification`: keeps the status timeline of a connector (two writes), and lets a
//! session go to rating that ended and waited for the connector to be free (one transaction more).

use lambda_runtime::Error;
use messages::{Envelope, Event};
use ocpp::{EmptyResponse, StatusNotificationRequest};
use runtime::{Function, Invocation, OcppCall};
use session::{ConnectorStatus, StatusChange};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("ocpp-status-notification").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |call, invocation: &Invocation| keep(&store, call, invocation).await;
    function.serve_ocpp(handler).await
}

async fn keep(
    store: &Store,
    call: OcppCall<StatusNotificationRequest>,
    invocation: &Invocation,
) -> anyhow::Result<EmptyResponse> {
    let OcppCall { caller, request, frame, .. } = call;
    let (id, connector) = (&caller.charge_point_id, request.connector_id);
    let at = request.timestamp.unwrap_or(invocation.now());
    let change = StatusChange { at, status: ConnectorStatus::from(&request.status) };
    let row = store.record_status(id, connector, change, &frame).await?;

    let awaiting = row.and_then(|row| row.awaiting).filter(|_| change.status.releases());
    if let Some(session_id) = awaiting {
        invocation.session(session_id);
        let event = Event::SessionReleased { session_id };
        let envelope = Envelope::new(event, invocation.now(), invocation.trace());
        store.release(id, connector, session_id, at, &envelope).await?;
        invocation.outcome("released");
    }
    Ok(EmptyResponse {})
}
