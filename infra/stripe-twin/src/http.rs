//! One request to Stripe's API: what happens to it before and after its endpoint.
//!
//! The order is Stripe's (<https://docs.stripe.com/error-low-level>): rate limiter, key of the
//! account, idempotency layer, endpoint.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    api::{self, ApiError, Params},
    faults::{Fault, FaultKind},
    idempotency::{Fingerprint, Lookup, Saved},
    server::{Connection, Shared},
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const STRIPE_SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");

/// A request, taken apart.
struct Request {
    method: String,
    path: String,
    params: Params,
    /// Of a POST only: other methods ignore it.
    idempotency_key: Option<String>,
}

/// Answers anything outside `/_twin`.
pub(crate) async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // What a person does at a reader is no request that a fault could hit.
    let by_hand = uri.path().starts_with("/v1/test_helpers/");
    let fault = (!by_hand).then(|| shared.draw_fault(method.as_str(), uri.path())).flatten();
    if let Some(refused) = refuse_early(fault.as_ref(), &shared, &headers, &method) {
        return refused;
    }
    if is(fault.as_ref(), FaultKind::ResetBefore) {
        connection.reset();
    }
    if connection.is_reset() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let query = uri.query().unwrap_or_default().as_bytes();
    let encoded = if method == Method::POST { &body[..] } else { query };
    let key = headers.get(&IDEMPOTENCY_KEY).filter(|_| method == Method::POST);
    let request = Request {
        method: method.to_string(),
        path: uri.path().to_owned(),
        params: Params::parse(encoded),
        idempotency_key: key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned()),
    };
    // A client that does not wait any longer stops nothing: its work is done all the same.
    let working = answer(shared, request, fault.clone());
    let Ok(response) = tokio::spawn(working).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if is(fault.as_ref(), FaultKind::ResetAfter) {
        connection.reset();
    }
    if is(fault.as_ref(), FaultKind::Hang) {
        std::future::pending::<()>().await;
    }
    response
}

fn is(fault: Option<&Fault>, kind: FaultKind) -> bool {
    fault.is_some_and(|fault| fault.kind == kind)
}

/// Everything before the idempotency layer: no key remembers it.
fn refuse_early(
    fault: Option<&Fault>,
    shared: &Shared,
    headers: &HeaderMap,
    method: &Method,
) -> Option<Response> {
    if is(fault, FaultKind::RateLimit) {
        let message = "Request rate limit exceeded.";
        let error = ApiError::other(429, "invalid_request_error", Some("rate_limit"), message);
        return Some(refused(&error));
    }
    if is(fault, FaultKind::LockTimeout) {
        let message = "This object cannot be accessed right now because another API request or \
            Stripe process is currently accessing it.";
        let error = ApiError::other(409, "invalid_request_error", Some("lock_timeout"), message);
        return Some(refused(&error));
    }
    if is(fault, FaultKind::Rejected) {
        let message = "Something about this request is wrong.";
        return Some(refused(&ApiError::invalid(None, None, message)));
    }
    if is(fault, FaultKind::BadGateway) {
        let page = "<html><body><h1>502 Bad Gateway</h1></body></html>";
        let html = [(header::CONTENT_TYPE, "text/html")];
        return Some((StatusCode::BAD_GATEWAY, html, page).into_response());
    }
    if !is_authorized(headers, &shared.api_key) {
        let message = "Invalid API Key provided.";
        return Some(refused(&ApiError::other(401, "invalid_request_error", None, message)));
    }
    // <https://docs.stripe.com/api/versioning>: another major release has other shapes.
    let version = headers.get(&STRIPE_VERSION).map(|version| version.to_str().unwrap_or_default());
    if version.is_some_and(|version| !version.ends_with(".endive")) {
        let message = "Invalid Stripe API version: the twin speaks endive.";
        return Some(refused(&ApiError::invalid(None, None, message)));
    }
    // <https://docs.stripe.com/api>: "form-encoded request bodies".
    let form = headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if *method == Method::POST && !form {
        let message = "Invalid request: the body is to be form-encoded.";
        return Some(refused(&ApiError::invalid(None, None, message)));
    }
    None
}

/// The key as a Bearer token or as the user name of Basic
/// (<https://docs.stripe.com/api/authentication>).
fn is_authorized(headers: &HeaderMap, api_key: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    let Some((scheme, credentials)) = given.and_then(|given| given.split_once(' ')) else {
        return false;
    };
    match scheme {
        "Bearer" => credentials == api_key,
        "Basic" => BASE64_STANDARD
            .decode(credentials)
            .is_ok_and(|user| user == format!("{api_key}:").into_bytes()),
        _ => false,
    }
}

async fn answer(shared: Arc<Shared>, request: Request, fault: Option<Fault>) -> Response {
    let fault = fault.as_ref();
    if let Some(key) = &request.idempotency_key {
        let fingerprint: Fingerprint =
            (request.method.clone(), request.path.clone(), request.params.fingerprint());
        match shared.begin(key, fingerprint) {
            Lookup::Fresh => {}
            Lookup::Replay(saved) => {
                let mut response = rendered(saved);
                response.headers_mut().insert(IDEMPOTENT_REPLAYED, header_true());
                return response;
            }
            Lookup::Refused(error) => return refused(&error),
        }
    }
    if let Some(fault) = fault.filter(|fault| fault.kind == FaultKind::Slow) {
        tokio::time::sleep(Duration::from_millis(fault.slow_ms)).await;
    }
    let (saved, executed) = execute(&shared, &request, fault);
    if let Some(key) = &request.idempotency_key {
        if executed {
            shared.finish(key, saved.clone());
        } else {
            shared.release(key);
        }
    }
    rendered(saved)
}

/// Runs the endpoint. The flag says whether its idempotency key keeps the answer.
fn execute(shared: &Shared, request: &Request, fault: Option<&Fault>) -> (Saved, bool) {
    let server_error = || {
        let message = "An unknown error occurred.";
        (500, ApiError::other(500, "api_error", None, message).body().to_string())
    };
    if is(fault, FaultKind::ServerError) {
        return (server_error(), true);
    }
    let answered = shared.with_world(|world| {
        api::answer(world, &request.method, &request.path, request.params.clone())
    });
    let (saved, executed) = match answered {
        Ok(object) => ((200, object.to_string()), true),
        Err(error) => ((error.status, error.body().to_string()), error.executed),
    };
    if is(fault, FaultKind::ServerErrorAfterWrite) {
        return (server_error(), executed);
    }
    (saved, executed)
}

fn rendered((status, body): Saved) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn refused(error: &ApiError) -> Response {
    let mut response = rendered((error.status, error.body().to_string()));
    if matches!(error.status, 409 | 429) {
        response.headers_mut().insert(STRIPE_SHOULD_RETRY, header_true());
    }
    response
}

const fn header_true() -> axum::http::HeaderValue {
    axum::http::HeaderValue::from_static("true")
}
