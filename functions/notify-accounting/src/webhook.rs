//! One webhook: body, signature, answer.
//!
//! Headers and signature as Standard Webhooks says
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>):
//! `webhook-id` is the event's id and stays the same on every attempt, so that a subscriber can
//! tell a repeat; `webhook-signature` is an HMAC-SHA256 over id, timestamp and body.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, SecondsFormat, Utc};
use messages::Envelope;
use network::WebhookSubscriber;
use runtime::Secrets;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

/// Well below the function's timeout and the queue's visibility.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Webhooks {
    client: reqwest::Client,
    secrets: Secrets,
    stack: String,
}

impl Webhooks {
    pub(crate) fn new(secrets: Secrets, stack: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { client, secrets, stack })
    }

    /// Posts an event to a subscriber; gives the HTTP status of the answer.
    pub(crate) async fn post(
        &self,
        subscriber: &WebhookSubscriber,
        envelope: &Envelope,
        now: DateTime<Utc>,
    ) -> anyhow::Result<u16> {
        let name = WebhookSubscriber::secret_name(&subscriber.id, &self.stack);
        let secret = self.secrets.text(&name).await?;
        let body = body(envelope)?;
        let timestamp = now.timestamp();
        let signature = sign(&secret, &envelope.id, timestamp, &body)?;
        let request = self
            .client
            .post(&subscriber.url)
            .header("content-type", "application/json")
            .header("webhook-id", &envelope.id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signature)
            .body(body);
        // Without its URL: a subscriber's may hold a token of theirs.
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let response = response.context("posting the webhook")?;
        Ok(response.status().as_u16())
    }
}

/// The payload: `type`, `timestamp` and `data`, as Standard Webhooks recommends.
fn body(envelope: &Envelope) -> anyhow::Result<String> {
    let mut data = serde_json::to_value(&envelope.event)?;
    if let Value::Object(fields) = &mut data {
        fields.remove("type");
    }
    let body = json!({
        "type": envelope.event.event_type(),
        "timestamp": envelope.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "data": data,
    });
    Ok(body.to_string())
}

fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> anyhow::Result<String> {
    let webhook = Webhook::new(secret);
    let webhook = webhook.map_err(|_| anyhow!("the signing secret is not whsec_ and base64"))?;
    webhook
        .sign(id, timestamp, body.as_bytes())
        .map_err(|_| anyhow!("the webhook cannot be signed"))
}

#[cfg(test)]
mod tests {
    use messages::Event;
    use quantities::{SessionId, TransactionId};

    use super::*;

    #[test]
    fn a_subscriber_can_verify_what_we_sign() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        // The worked example of the Standard Webhooks specification.
        let signature =
            sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_body_names_its_type_once() {
        let session_id = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        let envelope = Envelope::new(Event::SessionStarted { session_id }, at, None);
        let body: Value = serde_json::from_str(&body(&envelope).unwrap()).unwrap();
        assert_eq!(body["type"], "session.started");
        assert_eq!(body["data"], json!({ "session_id": session_id.to_string() }));
    }
}
