//! `ocpp-maintenance-notification`: answers FirmwareStatusNotification and
//! DiagnosticsStatusNotification (OCPP 1.6, 4.4 and 4.5). They concern no money: the status goes
//! to the log, and nothing else is asked.

use lambda_runtime::Error;
use ocpp::{
    CallRefusal, DiagnosticsStatusNotificationRequest, EmptyResponse,
    FirmwareStatusNotificationRequest, Frame, read_call,
};
use runtime::{Function, Invocation, Metric, OcppMessage};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let handler = async |message: OcppMessage, invocation: &Invocation| {
        Ok(match answer(&message.text, invocation) {
            Ok(frame) => Some(frame),
            Err(refusal) => {
                invocation.count(Metric::BadFrames, 1);
                invocation.field("refusal", refusal.to_string());
                refusal.reply()
            }
        })
    };
    Function::start("ocpp-maintenance-notification").await?.serve_message(handler).await
}

fn answer(text: &str, invocation: &Invocation) -> Result<Frame, CallRefusal> {
    match read_call::<FirmwareStatusNotificationRequest>(text) {
        Ok(call) => {
            invocation.field("firmware_status", call.request.status.as_str());
            Ok(call.answer(&EmptyResponse {}))
        }
        Err(CallRefusal::OtherAction { .. }) => {
            let call = read_call::<DiagnosticsStatusNotificationRequest>(text)?;
            invocation.field("diagnostics_status", call.request.status.as_str());
            Ok(call.answer(&EmptyResponse {}))
        }
        Err(refusal) => Err(refusal),
    }
}
