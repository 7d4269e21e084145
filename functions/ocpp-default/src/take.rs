//! Load, decide, store, reply.

use messages::{ChargerAction, Envelope, Event};
use ocpp::{ErrorCode, Frame, RemoteStartStopResponse, RemoteStartStopStatus};
use runtime::{Invocation, Metric, OcppMessage};
use store::{CallRecord, CallState, Store};

pub(crate) async fn take(
    store: &Store,
    message: OcppMessage,
    invocation: &Invocation,
) -> anyhow::Result<Option<Frame>> {
    let charge_point_id = &message.caller.charge_point_id;
    let (id, answer) = match Frame::parse(&message.text) {
        Ok(Frame::CallResult { id, payload }) => {
            let status = serde_json::from_str::<RemoteStartStopResponse>(payload.as_json());
            let status = status.map(|response| response.status.as_str().to_owned());
            (id, status.unwrap_or_else(|_| "Unknown".to_owned()))
        }
        Ok(Frame::CallError { id, code, .. }) => (id, code.as_str().to_owned()),
        Ok(Frame::Call { id, action, .. }) => {
            invocation.count(Metric::BadFrames, 1);
            invocation.outcome("not implemented");
            let description = format!("{action} is not known here");
            return Ok(Some(Frame::call_error(&id, ErrorCode::NotImplemented, &description)));
        }
        Err(error) => {
            invocation.count(Metric::BadFrames, 1);
            invocation.outcome("refused");
            invocation.field("refusal", error.to_string());
            return Ok(error.reply());
        }
    };
    invocation.field("answer", answer.clone());
    let call = store.end_call(charge_point_id, &id, CallState::Answered, &answer).await?;
    if let Some(call) = call
        && answer != RemoteStartStopStatus::Accepted.as_str()
    {
        give_up_start(store, &call, invocation).await?;
    }
    Ok(None)
}

/// A charger that does not start on our word leaves a hold that nobody will use.
async fn give_up_start(
    store: &Store,
    call: &CallRecord,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let ChargerAction::RemoteStartTransaction { id_tag, .. } = &call.call.action else {
        return Ok(());
    };
    let entitlement = store.entitlement(id_tag).await?;
    let Some(start) = entitlement.and_then(|known| known.app_start) else { return Ok(()) };
    let abandoned = start.hold.map(|hold| {
        let event = Event::StartAbandoned { id_tag: id_tag.clone(), hold };
        Envelope::new(event, invocation.now(), invocation.trace())
    });
    store.abandon_app_start(id_tag, abandoned.as_ref()).await?;
    invocation.outcome("start refused");
    Ok(())
}
