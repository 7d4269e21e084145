//! The other side of what Tallywatt sends: an accounting system that takes webhooks and an eMSP that
//! takes CDRs. Both check what a real one would: signature, token, form.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::Utc;
use ocpi::{Cdr, Version};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

/// A running accounting system and eMSP in one; ends with the value.
#[derive(Debug)]
pub struct Inbox {
    address: SocketAddr,
    state: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    webhook_secret: String,
    partner_token: String,
    received: Mutex<Received>,
}

/// What came in.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// Webhooks by their id: a repeat is no second event.
    pub events: BTreeMap<String, Value>,
    /// How many webhooks came, repeats included.
    pub webhooks: usize,
    /// CDRs by their id.
    pub cdrs: BTreeMap<String, Cdr>,
    /// CDRs of OCPI 2.3.0 by their id.
    pub newer_cdrs: BTreeMap<String, Value>,
    /// What was refused, and why: bad signature, bad token, no CDR.
    pub refused: Vec<String>,
    /// How many of the next webhooks are answered with HTTP 500 before they are looked at.
    pub fail_next: u32,
}

impl Inbox {
    /// Starts listening on any port of `listen`.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub async fn start(listen: IpAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((listen, 0)).await.context("listening for webhooks")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Shared {
            webhook_secret: webhook_secret(),
            partner_token: Uuid::new_v4().to_string(),
            received: Mutex::default(),
        });
        let app = Router::new()
            .route("/accounting", post(webhook))
            .route("/ocpi/2.2.1/cdrs", post(cdr))
            .route("/ocpi/2.3.0/cdrs", post(newer_cdr))
            .with_state(state.clone());
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, state, task })
    }

    /// Where webhooks are to be posted.
    #[must_use]
    pub fn accounting_url(&self) -> String {
        format!("http://{}/accounting", self.address)
    }

    /// Where CDRs are to be posted.
    #[must_use]
    pub fn cdrs_url(&self) -> String {
        format!("http://{}/ocpi/2.2.1/cdrs", self.address)
    }

    /// Where CDRs of OCPI 2.3.0 are to be posted.
    #[must_use]
    pub fn newer_cdrs_url(&self) -> String {
        format!("http://{}/ocpi/2.3.0/cdrs", self.address)
    }

    /// The secret webhooks must be signed with.
    #[must_use]
    pub fn webhook_secret(&self) -> &str {
        &self.state.webhook_secret
    }

    /// The OCPI credentials token CDRs must be posted with.
    #[must_use]
    pub fn partner_token(&self) -> &str {
        &self.state.partner_token
    }

    /// What has come in so far.
    #[must_use]
    pub fn received(&self) -> Received {
        self.state.lock().clone()
    }

    /// Answers the next `count` webhooks with HTTP 500.
    pub fn fail_next(&self, count: u32) {
        self.state.lock().fail_next = count;
    }
}

/// A signing secret as Standard Webhooks wants it: 24 to 64 random bytes.
fn webhook_secret() -> String {
    let bytes = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    format!("whsec_{}", STANDARD.encode(bytes))
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn webhook(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut received = state.lock();
    received.webhooks += 1;
    if received.fail_next > 0 {
        received.fail_next -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let verified = Webhook::new(&state.webhook_secret)
        .is_ok_and(|webhook| webhook.verify(&body, &headers).is_ok());
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    if let (true, Some(id), Ok(event)) = (verified, id, serde_json::from_slice(&body)) {
        received.events.insert(id.to_owned(), event);
        return StatusCode::NO_CONTENT;
    }
    received.refused.push(format!("webhook {}", id.unwrap_or("without id")));
    StatusCode::BAD_REQUEST
}

async fn cdr(
    State(state): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let mut received = state.lock();
    let cdr: Cdr = match read(&state, &mut received, &headers, &body) {
        Ok(cdr) => cdr,
        Err(refused) => return refused,
    };
    received.cdrs.insert(cdr.id.clone(), cdr);
    answer(StatusCode::CREATED, 1000, "accepted")
}

async fn newer_cdr(
    State(state): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let mut received = state.lock();
    let cdr: Value = match read(&state, &mut received, &headers, &body) {
        Ok(cdr) => cdr,
        Err(refused) => return refused,
    };
    let problems = ocpi::read::cdr_as(&cdr.to_string(), Some(Version::V2_3_0)).err();
    let Some(id) = cdr.get("id").and_then(Value::as_str).filter(|_| problems.is_none()) else {
        received.refused.push(format!("CDR of 2.3.0: {problems:?}"));
        return answer(StatusCode::BAD_REQUEST, 2001, "not a CDR");
    };
    received.newer_cdrs.insert(id.to_owned(), cdr.clone());
    answer(StatusCode::CREATED, 1000, "accepted")
}

/// The CDR in `body`, if it came with our token.
fn read<T: DeserializeOwned>(
    state: &Shared,
    received: &mut Received,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, (StatusCode, Json<Value>)> {
    let expected = format!("Token {}", STANDARD.encode(&state.partner_token));
    let token = headers.get(AUTHORIZATION).and_then(|token| token.to_str().ok());
    if token != Some(expected.as_str()) {
        received.refused.push("CDR with a wrong token".to_owned());
        return Err(answer(StatusCode::UNAUTHORIZED, 2001, "unknown token"));
    }
    serde_json::from_slice(body).map_err(|error| {
        received.refused.push(format!("CDR: {error}"));
        answer(StatusCode::BAD_REQUEST, 2001, "not a CDR")
    })
}

fn answer(status: StatusCode, code: u32, message: &str) -> (StatusCode, Json<Value>) {
    let timestamp = Utc::now().to_rfc3339();
    let body = json!({ "status_code": code, "status_message": message, "timestamp": timestamp });
    (status, Json(body))
}
