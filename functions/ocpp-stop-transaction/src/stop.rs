//! What each kind of end stores.

use messages::{Envelope, Event};
use ocpp::{StopTransactionRequest, StopTransactionResponse};
use quantities::SessionId;
use runtime::{Invocation, Metric, OcppCall};
use session::{
    ExceptionReason, ExceptionRecord, ExceptionState, Resolution, Session, SessionState,
    StopTransactionEffect,
};
use store::{End, EndsIn, Store};

type Call = OcppCall<StopTransactionRequest>;

pub(crate) async fn stop(
    store: &Store,
    call: Call,
    invocation: &Invocation,
) -> anyhow::Result<StopTransactionResponse> {
    let transaction_id = call.request.transaction_id;
    let session_id = SessionId::of(&call.caller.charge_point_id, transaction_id);
    match store.find_session(session_id).await? {
        None => raise(store, unknown(&call, invocation), invocation).await?,
        Some(session) => {
            invocation.session(session_id);
            end(store, &session, &call, invocation).await?;
        }
    }
    // The tag's own status is left out (it is optional): it would cost a read and change nothing.
    Ok(StopTransactionResponse { id_tag_info: None })
}

async fn end(
    store: &Store,
    session: &Session,
    call: &Call,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let request = &call.request;
    let end = End {
        ended_at: request.timestamp,
        received_at: invocation.now(),
        meter_stop: request.meter_stop,
        stop_reason: request.reason.as_ref().map(|reason| reason.as_str().to_owned()),
        stop_frame: Some(call.frame.clone()),
    };
    match session.on_stop(request.meter_stop, &call.frame) {
        StopTransactionEffect::End => {
            let event = Event::SessionEnded { session_id: session.id };
            let envelope = Envelope::new(event, invocation.now(), invocation.trace());
            let cleared = cleared_by_end(store, session, invocation).await?;
            store.end(session, &end, &EndsIn::Rating(envelope), cleared.as_ref()).await?;
            invocation.outcome("ended");
        }
        StopTransactionEffect::HoldMeterBackwards => {
            let detail = format!(
                "meterStop {} Wh is below meterStart {} Wh",
                request.meter_stop.wh(),
                session.meter_start.wh()
            );
            let reason = ExceptionReason::MeterBackwards;
            let exception = about(reason, session, detail, call, invocation);
            let cleared = cleared_by_end(store, session, invocation).await?;
            store.end(session, &end, &EndsIn::Hold(exception), cleared.as_ref()).await?;
            invocation.count(Metric::Exceptions, 1);
            invocation.outcome("held");
        }
        StopTransactionEffect::Repeat => invocation.outcome("repeat"),
        StopTransactionEffect::Conflict => {
            let detail = "another StopTransaction than the one that ended the session".to_owned();
            let reason = ExceptionReason::ConflictingStop;
            let exception = about(reason, session, detail, call, invocation);
            // Each that differs is one more.
            let exception = exception.distinguished(&session::payload_digest(&call.frame));
            raise(store, exception, invocation).await?;
        }
    }
    Ok(())
}

/// The charger's own word makes the sweep's guess void: its exception is resolved with the end.
async fn cleared_by_end(
    store: &Store,
    session: &Session,
    invocation: &Invocation,
) -> anyhow::Result<Option<ExceptionRecord>> {
    if session.state != SessionState::Held {
        return Ok(None);
    }
    let id = ExceptionRecord::id_of(ExceptionReason::SilentCharger, &session.id.to_string());
    let exception = store.exception(id).await?;
    if exception.state != ExceptionState::Open {
        return Ok(None);
    }
    let reason = "the charger came back and sent its StopTransaction".to_owned();
    let resolution = Resolution::Dismiss { reason };
    Ok(Some(exception.resolved("ocpp-stop-transaction", invocation.now(), resolution)))
}

fn about(
    reason: ExceptionReason,
    session: &Session,
    detail: String,
    call: &Call,
    invocation: &Invocation,
) -> ExceptionRecord {
    let exception = ExceptionRecord::of_session(reason, session, detail, invocation.now());
    exception.with_frame(&call.frame)
}

fn unknown(call: &Call, invocation: &Invocation) -> ExceptionRecord {
    let StopTransactionRequest { transaction_id, meter_stop, timestamp, .. } = &call.request;
    let detail = format!(
        "StopTransaction for transactionId {transaction_id}, which was never given: \
         meterStop {} Wh at {timestamp}",
        meter_stop.wh()
    );
    let subject = format!("{transaction_id}/{}/{}", meter_stop.wh(), timestamp.timestamp_millis());
    ExceptionRecord::of_message(
        ExceptionReason::UnknownTransaction,
        &call.caller.charge_point_id,
        &subject,
        detail,
        invocation.now(),
    )
    .with_frame(&call.frame)
}

async fn raise(
    store: &Store,
    exception: ExceptionRecord,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let saved = store.raise(&exception).await?;
    if saved == store::Saved::New {
        invocation.count(Metric::Exceptions, 1);
    }
    invocation.outcome(exception.reason.code());
    Ok(())
}
