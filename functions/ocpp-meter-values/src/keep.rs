//! Load, decide, store, reply.

use ocpp::{EmptyResponse, MeterValuesRequest};
use quantities::SessionId;
use runtime::{Invocation, OcppCall};
use store::Store;

pub(crate) async fn keep(
    store: &Store,
    call: OcppCall<MeterValuesRequest>,
    invocation: &Invocation,
) -> anyhow::Result<EmptyResponse> {
    let OcppCall { caller, request, frame, .. } = call;
    let read_at = request.meter_value.iter().map(|value| value.timestamp).min();
    let read_at = read_at.unwrap_or(invocation.now());
    let charge_point_id = &caller.charge_point_id;
    let digest = session::payload_digest(&frame);
    match request.transaction_id.filter(|transaction| transaction.0 > 0) {
        Some(transaction_id) => {
            let session_id = SessionId::of(charge_point_id, transaction_id);
            invocation.session(session_id);
            store.keep_meter_values(session_id, read_at, &digest, invocation.now(), &frame).await?;
        }
        None => {
            let connector_id = request.connector_id;
            let (id, at) = (charge_point_id, read_at);
            store.keep_meter_outside_transaction(id, connector_id, at, &digest, &frame).await?;
        }
    }
    Ok(EmptyResponse {})
}
