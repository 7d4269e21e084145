//! An event comes in: the signature, the store, what it says, the mark that it is done.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use chrono::{DateTime, Utc};
use http_api::{Log, Problem, ProblemType};
use payments::webhook::{StripeEvent, WebhookError, verify};
use runtime::{Invocation, Metric};
use store::StripeEventRow;

use crate::{
    api::Api,
    carry_out::{Failed, carry_out},
};

/// Stripe's header with the time and the signatures.
const SIGNATURE: &str = "stripe-signature";

/// A webhook that Stripe has signed, or an event that it has listed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Stripe's id of it, or one made from its content.
    pub(crate) id: String,
    /// Its type, as far as it has one.
    pub(crate) event_type: String,
    /// The event, if it is one.
    pub(crate) event: Result<StripeEvent, WebhookError>,
}

pub(crate) async fn receive(
    State(api): State<Api>,
    log: Log,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let secret = api.secrets.stripe(&api.secret_name).await.map_err(Problem::unavailable)?;
    let body = std::str::from_utf8(&body).map_err(|_| bad_signature())?;
    let signed = read(body, &headers, &secret.webhook_secret, log.now())?;
    log.field("stripe_event", signed.id.as_str());
    log.field("stripe_event_type", signed.event_type.as_str());
    if keep(&api, &signed, body, &log).await? {
        follow(&api, signed, &log).await?;
    } else {
        log.outcome("repeat");
    }
    Ok(StatusCode::OK)
}

/// Stores an event; whether it is still to be carried out.
pub(crate) async fn keep(
    api: &Api,
    signed: &Signed,
    body: &str,
    log: &Invocation,
) -> Result<bool, Problem> {
    let standing = api.store.keep_stripe_event(&signed.row(body, log.now())).await?;
    Ok(standing.handled_at.is_none())
}

/// Carries an event out that is stored, and marks it so.
pub(crate) async fn follow(api: &Api, signed: Signed, log: &Invocation) -> Result<(), Problem> {
    let carried_out = match signed.event {
        Ok(event) => carry_out(api, &event, log).await,
        Err(error) => Err(error.into()),
    };
    match carried_out {
        Ok(()) => api.store.stripe_event_handled(&signed.id, log.now()).await?,
        // Not the sender's fault, and sending it again would not help: kept for a person, who is
        // alarmed.
        Err(Failed::Unreadable(error)) => {
            log.field("unreadable", error.to_string());
            log.count(Metric::UnhandledEvents, 1);
            log.outcome("unreadable");
        }
        Err(Failed::Problem(problem)) => return Err(problem),
    }
    Ok(())
}

impl Signed {
    fn row(&self, body: &str, now: DateTime<Utc>) -> StripeEventRow {
        StripeEventRow {
            id: self.id.clone(),
            event_type: self.event_type.clone(),
            body: body.to_owned(),
            received_at: now,
            handled_at: None,
        }
    }
}

fn read(
    body: &str,
    headers: &HeaderMap,
    secret: &str,
    now: DateTime<Utc>,
) -> Result<Signed, Problem> {
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let event = verify(body, signature.unwrap_or_default(), secret, now);
    let (id, event_type) = match &event {
        Ok(event) => (event.id.clone(), event.event_type.clone()),
        Err(WebhookError::Signature) => return Err(bad_signature()),
        Err(WebhookError::Unreadable { event_id, event_type }) => {
            let digest = || format!("unreadable_{}", session::digest(body));
            let id = if event_id.is_empty() { digest() } else { event_id.clone() };
            (id, event_type.clone())
        }
    };
    Ok(Signed { id, event_type, event })
}

fn bad_signature() -> Problem {
    let detail = "The header Stripe-Signature does not fit the body, or is too old.";
    Problem::new(ProblemType::BadSignature, detail)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use hmac::{Hmac, Mac as _};
    use serde_json::{Value, json};
    use sha2::Sha256;

    use super::*;

    const SECRET: &str = "whsec_test";

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn signed(secret: &str, body: &str) -> HeaderMap {
        let at = now().timestamp();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}.{body}").as_bytes());
        let value = format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()));
        HeaderMap::from_iter([(SIGNATURE.parse().unwrap(), HeaderValue::from_str(&value).unwrap())])
    }

    fn event(object: &Value) -> String {
        let created = now().timestamp();
        let data = json!({ "object": object });
        json!({ "id": "evt_1", "type": "payment_intent.canceled", "created": created, "data": data })
            .to_string()
    }

    fn status(body: &str, headers: &HeaderMap) -> Option<u16> {
        let refused = read(body, headers, SECRET, now()).err();
        refused.map(|problem| problem.status().as_u16())
    }

    #[test]
    fn what_stripe_has_not_signed_is_refused() {
        let body = event(&json!({ "id": "pi_1", "status": "canceled" }));
        assert_eq!(status(&body, &signed(SECRET, &body)), None);
        assert_eq!(status(&body, &HeaderMap::new()), Some(400));
        assert_eq!(status(&body, &signed("whsec_other", &body)), Some(400));
        assert_eq!(status(&format!("{body} "), &signed(SECRET, &body)), Some(400));
    }

    #[test]
    fn signed_nonsense_is_kept_under_an_id_made_from_it() {
        let kept = |body: &str| read(body, &signed(SECRET, body), SECRET, now()).unwrap();
        let (one, other) = (kept("not JSON"), kept("not JSON either"));
        assert!(one.id.starts_with("unreadable_"));
        assert_eq!(one, kept("not JSON"));
        assert_ne!(one, other);
    }
}
