//! `connect-charger`: the `$connect` route. Agrees on the OCPP subprotocol and remembers the
//! connection. One write.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use lambda_runtime::Error;
use runtime::{Caller, Function, Invocation, Metric, Reply};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("connect-charger").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |caller, event, invocation: &Invocation| {
        connect(&store, caller, &event, invocation).await
    };
    function.serve_connection(handler).await
}

async fn connect(
    store: &Store,
    caller: Caller,
    event: &ApiGatewayWebsocketProxyRequest,
    invocation: &Invocation,
) -> anyhow::Result<Reply> {
    let offered = event.headers.get_all("sec-websocket-protocol").iter();
    let mut offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    if !offered.any(|protocol| protocol.trim() == ocpp::SUBPROTOCOL) {
        invocation.count(Metric::Refusals, 1);
        invocation.outcome("no common subprotocol");
        return Ok(Reply::refuse(400));
    }
    store.connect(&caller.charge_point_id, &caller.connection_id, invocation.now()).await?;
    invocation.outcome("connected");
    Ok(Reply::subprotocol(ocpp::SUBPROTOCOL))
}
