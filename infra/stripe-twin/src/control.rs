//! The control API under `/_twin/…`, for tests and the demo. JSON in, JSON out, no key.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /_twin/state` | everything, see [`crate::Twin::state`] |
//! | `POST /_twin/clock` `{"advance_s": 604800}` | moves the clock |
//! | `GET`, `POST`, `DELETE /_twin/faults` | shows, adds ([`Fault`]), clears orders for faults |
//! | `POST`, `DELETE /_twin/declines` | adds ([`DeclineRule`]), clears rules of issuers |
//! | `POST /_twin/webhook_endpoints` | adds a [`WebhookEndpoint`] |
//! | `POST /_twin/payment_intents/{id}/authenticate` | the customer passes 3-D Secure |
//! | `POST /_twin/payment_intents/{id}/process` | the issuer decides at last about one in `processing` |
//! | `POST /_twin/payment_intents/{id}/expire` | the hold runs out before its time |
//! | `POST /_twin/setup_intents/{id}/authenticate` | the same for a card that is saved |
//! | `POST /_twin/payment_methods` `{"card":"pm_card_visa","wallet":"apple_pay"}` | a wallet gives a card |
//! | `POST /_twin/checkout/sessions/{id}/pay` `{"card":"pm_card_visa"}` | the driver pays on the page |
//! | `POST /_twin/disputes` `{"charge","reason","inquiry","settles_in"}` | the cardholder disputes a charge; its money moves in another currency, one to one |
//! | `POST /_twin/disputes/{id}/decide` `{"won":true}` | the issuer decides |
//! | `POST /_twin/account` `{"ic_plus":true}` | switches the account's pricing |
//! | `POST /_twin/terminal/readers/{id}` `{"refuses":"terminal_reader_offline"}` | a reader refuses, or `null` |

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api,
    faults::{DeclineRule, Fault},
    http,
    server::Shared,
    webhooks::WebhookEndpoint,
};

/// The control API, and Stripe's for every other path.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/_twin/state", get(state))
        .route("/_twin/clock", post(advance))
        .route("/_twin/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_twin/declines", post(add_decline).delete(clear_declines))
        .route("/_twin/webhook_endpoints", post(add_endpoint))
        .route("/_twin/payment_intents/{id}/authenticate", post(authenticate))
        .route("/_twin/payment_intents/{id}/process", post(process))
        .route("/_twin/payment_intents/{id}/expire", post(expire_hold))
        .route("/_twin/setup_intents/{id}/authenticate", post(authenticate_setup))
        .route("/_twin/payment_methods", post(from_wallet))
        .route("/_twin/checkout/sessions/{id}/pay", post(pay_checkout))
        .route("/_twin/disputes", post(open_dispute))
        .route("/_twin/disputes/{id}/decide", post(decide_dispute))
        .route("/_twin/account", post(account))
        .route("/_twin/terminal/readers/{id}", post(reader))
        .fallback(http::handle)
        .with_state(shared)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_s: u64,
}

async fn state(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.state())
}

async fn advance(State(shared): State<Arc<Shared>>, Json(by): Json<Advance>) -> Json<Value> {
    shared.advance(Duration::from_secs(by.advance_s));
    Json(shared.with_world(|world| json!({ "now": world.now })))
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.with_world(
        |world| json!({ "faults": world.faults.orders(), "counts": world.faults.counts() }),
    ))
}

async fn add_fault(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> StatusCode {
    shared.with_world(|world| world.faults.add(fault));
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.with_world(|world| world.faults.clear());
    StatusCode::NO_CONTENT
}

async fn add_decline(
    State(shared): State<Arc<Shared>>,
    Json(rule): Json<DeclineRule>,
) -> StatusCode {
    shared.with_world(|world| world.decline_rules.push(rule));
    StatusCode::NO_CONTENT
}

async fn clear_declines(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.with_world(|world| world.decline_rules.clear());
    StatusCode::NO_CONTENT
}

async fn add_endpoint(
    State(shared): State<Arc<Shared>>,
    Json(endpoint): Json<WebhookEndpoint>,
) -> StatusCode {
    shared.add_endpoint(endpoint);
    StatusCode::NO_CONTENT
}

async fn authenticate(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    answered(shared.with_world(|world| api::authenticate(world, &id)))
}

async fn process(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    answered(shared.with_world(|world| api::process(world, &id)))
}

async fn expire_hold(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    answered(shared.with_world(|world| api::expire_hold(world, &id)))
}

async fn authenticate_setup(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    answered(shared.with_world(|world| api::authenticate_setup(world, &id)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FromWallet {
    card: String,
    wallet: String,
}

async fn from_wallet(State(shared): State<Arc<Shared>>, Json(made): Json<FromWallet>) -> Response {
    answered(shared.with_world(|world| api::from_wallet(world, &made.card, &made.wallet)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    card: String,
}

async fn pay_checkout(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(pay): Json<Pay>,
) -> Response {
    answered(shared.with_world(|world| api::pay_checkout(world, &id, &pay.card)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenDispute {
    charge: String,
    reason: String,
    #[serde(default)]
    inquiry: bool,
    settles_in: Option<String>,
}

async fn open_dispute(
    State(shared): State<Arc<Shared>>,
    Json(open): Json<OpenDispute>,
) -> Response {
    if !api::DISPUTE_REASONS.contains(&open.reason.as_str()) {
        let message = format!("reason is one of {}", api::DISPUTE_REASONS.join(", "));
        return answered(Err(api::ApiError::invalid(None, Some("reason"), message)));
    }
    let OpenDispute { charge, reason, inquiry, settles_in } = &open;
    let opened = |world: &mut api::World| {
        api::open_dispute(world, charge, reason, *inquiry, settles_in.as_deref())
    };
    answered(shared.with_world(opened))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decide {
    won: bool,
}

async fn decide_dispute(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(decide): Json<Decide>,
) -> Response {
    answered(shared.with_world(|world| api::decide_dispute(world, &id, decide.won)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    ic_plus: bool,
}

async fn account(State(shared): State<Arc<Shared>>, Json(account): Json<Account>) -> StatusCode {
    shared.with_world(|world| world.ic_plus = account.ic_plus);
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReaderRefusal {
    refuses: Option<String>,
}

async fn reader(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(body): Json<ReaderRefusal>,
) -> Response {
    let refuses = body.refuses.as_deref();
    answered(shared.with_world(|world| api::refuse_at_reader(world, &id, refuses)))
}

fn answered(answer: api::Answer<Value>) -> Response {
    match answer {
        Ok(object) => Json(object).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(error.body())).into_response()
        }
    }
}
