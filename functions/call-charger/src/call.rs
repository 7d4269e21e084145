//! Load, decide, store, reply.

use anyhow::{Context as _, bail};
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use messages::{ChargerCall, Envelope, Event};
use ocpp::Frame;
use runtime::Invocation;
use serde_json::Value;
use store::{CallState, Store};

pub(crate) async fn call(
    store: &Store,
    connections: &Client,
    envelope: Envelope,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let Event::ChargerCall(call) = envelope.event else {
        bail!("call-charger does not know what to do with {}", envelope.event.event_type());
    };
    let id = &call.charge_point_id;
    invocation.field("charge_point_id", id.as_str());
    if store.begin_call(&call).await?.state != CallState::Pending {
        invocation.outcome("repeat");
        return Ok(());
    }
    if call.expires_at <= invocation.now() {
        store.end_call(id, &call.unique_id, CallState::Expired, "not connected in time").await?;
        invocation.outcome("expired");
        return Ok(());
    }
    let connection = store.connection(id).await?.context("the charger is not connected")?;
    let frame = frame(&call)?.to_string();
    let request = connections.post_to_connection().connection_id(connection);
    request.data(Blob::new(frame)).send().await.context("posting to the connection")?;
    invocation.outcome("sent");
    Ok(())
}

/// The OCPP frame of a call: its action and payload as the event spells them.
fn frame(call: &ChargerCall) -> anyhow::Result<Frame> {
    let action = serde_json::to_value(&call.action)?;
    let name = action.get("action").and_then(Value::as_str).context("a call has no action")?;
    let payload = action.get("payload").context("a call has no payload")?;
    Ok(Frame::call(&call.unique_id, name, payload))
}

#[cfg(test)]
mod tests {
    use messages::ChargerAction;

    use super::*;

    #[test]
    fn a_remote_stop_is_spelled_as_ocpp_spells_it() {
        let call = ChargerCall {
            charge_point_id: "CP1".parse().unwrap(),
            unique_id: "u1".to_owned(),
            action: ChargerAction::RemoteStopTransaction { transaction_id: 7 },
            expires_at: "2026-03-01T12:00:00Z".parse().unwrap(),
        };
        let frame = frame(&call).unwrap().to_string();
        assert_eq!(frame, r#"[2,"u1","RemoteStopTransaction",{"transactionId":7}]"#);
    }
}
