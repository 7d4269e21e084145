//! `ocpp-heartbeat`: answers Heartbeat (OCPP 1.6, 4.6) with the time. No request to anything.

use lambda_runtime::Error;
use ocpp::{HeartbeatRequest, HeartbeatResponse};
use runtime::{Function, Invocation, OcppCall};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let handler = async |_: OcppCall<HeartbeatRequest>, invocation: &Invocation| {
        Ok(HeartbeatResponse { current_time: invocation.now() })
    };
    Function::start("ocpp-heartbeat").await?.serve_ocpp(handler).await
}
