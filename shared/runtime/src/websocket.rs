//! WebSocket routes: who calls, what they say, and the answer that always comes.

use anyhow::Context as _;
use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use lambda_runtime::Error;
use ocpp::{ErrorCode, Frame, Incoming, Request, Warning, read_call};
use quantities::{ChargePointId, SiteId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Function, Invocation, Metric};

/// The largest frame that is read, in bytes. API Gateway's own limit is 128 KB; the local platform
/// has none, so it is kept here too.
const FRAME_BYTES_MAX: usize = 128 * 1024;

/// The charger behind a connection, as `authorize-connection` handed it on: no later message looks
/// it up.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The charger.
    pub charge_point_id: ChargePointId,
    /// Its site.
    pub site_id: SiteId,
    /// The site's time zone.
    pub time_zone: Tz,
    /// API Gateway's id of the connection.
    pub connection_id: String,
    /// Since when the connection stands.
    pub connected_at: DateTime<Utc>,
}

impl Caller {
    /// The context that `authorize-connection` returns, which API Gateway repeats on every message.
    #[must_use]
    pub fn context(id: &ChargePointId, site: &SiteId, time_zone: Tz) -> Value {
        json!({
            "chargePointId": id.as_str(),
            "siteId": site.as_str(),
            "timeZone": time_zone.name(),
        })
    }

    /// The caller of a message.
    ///
    /// # Errors
    ///
    /// When the authorizer's context is missing a part: the connection was not authorized by us.
    pub fn of(event: &ApiGatewayWebsocketProxyRequest) -> anyhow::Result<Self> {
        let authorizer = &event.request_context.authorizer.fields;
        let text = |name: &str| {
            let value = authorizer.get(name).and_then(Value::as_str);
            value.with_context(|| format!("the authorizer context has no {name}"))
        };
        let connection_id = event.request_context.connection_id.clone();
        let connected_at = DateTime::from_timestamp_millis(event.request_context.connected_at);
        Ok(Self {
            charge_point_id: text("chargePointId")?.parse()?,
            site_id: text("siteId")?.parse()?,
            time_zone: text("timeZone")?.parse().context("reading the time zone")?,
            connection_id: connection_id.context("the event has no connectionId")?,
            connected_at: connected_at.context("the event's connectedAt is no time")?,
        })
    }
}

/// One OCPP call of a known action.
#[derive(Debug, Clone)]
pub struct OcppCall<R> {
    /// Who calls.
    pub caller: Caller,
    /// What they ask.
    pub request: R,
    /// What was untidy about it.
    pub warnings: Vec<Warning>,
    /// The frame as it came, for audit.
    pub frame: String,
}

/// One OCPP message on the `$default` route: anything.
#[derive(Debug, Clone)]
pub struct OcppMessage {
    /// Who sends it.
    pub caller: Caller,
    /// The text as it came.
    pub text: String,
}

/// What a WebSocket route answers. The body goes to the charger as one message.
#[derive(Debug, Clone, Serialize)]
pub struct Reply {
    #[serde(rename = "statusCode")]
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Reply {
    /// Nothing to say.
    #[must_use]
    pub const fn empty() -> Self {
        Self { status_code: 200, headers: None, body: None }
    }

    /// The connection is accepted with this subprotocol.
    #[must_use]
    pub fn subprotocol(protocol: &str) -> Self {
        let headers = json!({ "Sec-WebSocket-Protocol": protocol });
        Self { status_code: 200, headers: Some(headers), body: None }
    }

    /// The connection is refused with this HTTP status.
    #[must_use]
    pub const fn refuse(status_code: u16) -> Self {
        Self { status_code, headers: None, body: None }
    }

    fn frame(frame: &Frame) -> Self {
        Self { status_code: 200, headers: None, body: Some(frame.to_string()) }
    }
}

impl Function {
    /// Serves the route of one OCPP action. The charger is always answered: with `handler`'s
    /// response, with the CALLERROR that names what is wrong with its frame, or, when `handler`
    /// fails, with InternalError, upon which a charger sends a transaction message again.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be reached.
    pub async fn serve_ocpp<R, F>(self, handler: F) -> Result<(), Error>
    where
        R: Request,
        F: AsyncFn(OcppCall<R>, &Invocation) -> anyhow::Result<R::Response>,
    {
        self.serve_ocpp_keeping(handler, async |_: &OcppMessage, _: &str, _: &Invocation| Ok(()))
            .await
    }

    /// As [`serve_ocpp`](Self::serve_ocpp), for messages that money depends on: `keep` gets each
    /// one that is refused, and why, before the charger is told so.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be reached.
    pub async fn serve_ocpp_keeping<R, F, K>(self, handler: F, keep: K) -> Result<(), Error>
    where
        R: Request,
        F: AsyncFn(OcppCall<R>, &Invocation) -> anyhow::Result<R::Response>,
        K: AsyncFn(&OcppMessage, &str, &Invocation) -> anyhow::Result<()>,
    {
        let (handler, keep) = (&handler, &keep);
        self.serve_message(async move |message, invocation: &Invocation| {
            let Incoming { id, request, warnings } = match read_call::<R>(&message.text) {
                Ok(incoming) => incoming,
                Err(refusal) => {
                    let why = refusal.to_string();
                    let kept = keep(&message, &why, invocation).await;
                    invocation.count(Metric::BadFrames, 1);
                    invocation.outcome("refused");
                    invocation.field("refusal", why);
                    return Ok(refusal.reply().map(|reply| unless_failed(kept, reply, invocation)));
                }
            };
            if !warnings.is_empty() {
                invocation.field("warnings", warnings.len());
            }
            let OcppMessage { caller, text: frame } = message;
            let call = OcppCall { caller, request, warnings, frame };
            let answered = handler(call, invocation).await;
            let reply = answered.map(|response| Frame::call_result(&id, &response));
            Ok(Some(reply.unwrap_or_else(|error| failed(&id, &error, invocation))))
        })
        .await
    }

    /// Serves the `$default` route: `handler` gets whatever came and says what to answer, if
    /// anything.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be reached.
    pub async fn serve_message<F>(self, handler: F) -> Result<(), Error>
    where
        F: AsyncFn(OcppMessage, &Invocation) -> anyhow::Result<Option<Frame>>,
    {
        let handler = &handler;
        self.serve(async move |event: ApiGatewayWebsocketProxyRequest, invocation: &Invocation| {
            let caller = Caller::of(&event)?;
            invocation.field("charge_point_id", caller.charge_point_id.as_str());
            let text = event.body.unwrap_or_default();
            if text.len() > FRAME_BYTES_MAX {
                invocation.count(Metric::BadFrames, 1);
                invocation.outcome("refused");
                invocation.field("refusal", "frame too large");
                return Ok(Reply::empty());
            }
            // An error here would reach the charger as API Gateway's own text, which is no OCPP.
            let answer = handler(OcppMessage { caller, text }, invocation).await;
            let answer = answer.unwrap_or_else(|error| {
                invocation.fail(&error);
                None
            });
            Ok(answer.as_ref().map_or_else(Reply::empty, Reply::frame))
        })
        .await
    }

    /// Serves `$connect` or `$disconnect`: no message, only a charger that comes or goes.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be reached.
    pub async fn serve_connection<F>(self, handler: F) -> Result<(), Error>
    where
        F: AsyncFn(Caller, ApiGatewayWebsocketProxyRequest, &Invocation) -> anyhow::Result<Reply>,
    {
        let handler = &handler;
        self.serve(async move |event: ApiGatewayWebsocketProxyRequest, invocation: &Invocation| {
            let caller = Caller::of(&event)?;
            invocation.field("charge_point_id", caller.charge_point_id.as_str());
            handler(caller, event, invocation).await
        })
        .await
    }
}

/// The answer to a message that could not be handled: the charger is to send it again.
fn failed(id: &str, error: &anyhow::Error, invocation: &Invocation) -> Frame {
    invocation.fail(error);
    Frame::call_error(id, ErrorCode::InternalError, "try again later")
}

fn unless_failed(done: anyhow::Result<()>, reply: Frame, invocation: &Invocation) -> Frame {
    match done {
        Ok(()) => reply,
        Err(error) => failed(reply.id(), &error, invocation),
    }
}
