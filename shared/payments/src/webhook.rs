//! Stripe's events: the signature first, then the few fields that anybody here acts on. What an
//! event is about is read by the file for its kind of object.
//!
//! Events come more than once and in no order (<https://docs.stripe.com/webhooks>), so each says
//! what it is about and when it was made, and whoever stores it decides whether it is news.

mod disputes;
mod intents;
mod pay_links;
mod readers;
mod refunds;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use stripe_webhook::{Webhook, WebhookError as SignatureError};

pub use self::{
    disputes::dispute, intents::IntentEvent, pay_links::PayLinkEvent, readers::ReaderEvent,
    refunds::RefundEvent,
};

/// The events that an endpoint at Stripe has to be enabled for. Others are stored and change
/// nothing.
pub const EVENT_TYPES: &[&str] = &[
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.voided",
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.created",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "refund.created",
    "refund.failed",
    "refund.updated",
    "terminal.reader.action_failed",
    "terminal.reader.action_succeeded",
];

/// An event whose signature was good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeEvent {
    /// Stripe's id (`evt_…`): the same on every delivery.
    pub id: String,
    /// Stripe's type, e.g. `payment_intent.canceled`.
    pub event_type: String,
    /// When it happened, by Stripe's clock, which tells it to the second.
    pub created: DateTime<Utc>,
    /// The object it is about, as it was then: JSON.
    pub object: String,
}

impl StripeEvent {
    /// The object as what an event of this type must be about.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Unreadable`].
    fn object<T: DeserializeOwned>(&self) -> Result<T, WebhookError> {
        serde_json::from_str(&self.object).map_err(|_| self.unreadable())
    }

    /// The error that it is about something else than its type says.
    #[must_use]
    pub fn unreadable(&self) -> WebhookError {
        let (event_id, event_type) = (self.id.clone(), self.event_type.clone());
        WebhookError::Unreadable { event_id, event_type }
    }
}

/// Why a webhook is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The signature is missing, malformed, of another secret, or too old: answer 400.
    #[error("the webhook's signature is not good")]
    Signature,
    /// Signed by Stripe and not understood: not the sender's fault. Keep it and fetch the object.
    #[error("cannot read the signed webhook {event_id} of type {event_type}")]
    Unreadable {
        /// Its id; empty when not even that could be read.
        event_id: String,
        /// Its type; empty when not even that could be read.
        event_type: String,
    },
}

/// Checks the signature (five minutes of `now` at most) and reads the event.
///
/// # Errors
///
/// [`WebhookError`].
pub fn verify(
    body: &str,
    signature_header: &str,
    secret: &str,
    now: DateTime<Utc>,
) -> Result<StripeEvent, WebhookError> {
    let now = now.timestamp();
    // The library reads the body into its own types after the signature was good; whether it can
    // does not matter here.
    match Webhook::construct_event_with_timestamp(body, signature_header, secret, now) {
        Ok(_) | Err(SignatureError::BadParse(_)) => read(body),
        Err(_) => Err(WebhookError::Signature),
    }
}

/// Reads an event that Stripe itself listed: nobody else can have made it.
///
/// # Errors
///
/// [`WebhookError::Unreadable`].
pub fn listed_event(body: &str) -> Result<StripeEvent, WebhookError> {
    read(body)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    created: i64,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a serde_json::value::RawValue,
}

fn read(body: &str) -> Result<StripeEvent, WebhookError> {
    let unreadable = |event_id: &str, event_type: &str| WebhookError::Unreadable {
        event_id: event_id.to_owned(),
        event_type: event_type.to_owned(),
    };
    let envelope: Envelope<'_> = serde_json::from_str(body).map_err(|_| unreadable("", ""))?;
    let Some(created) = DateTime::from_timestamp(envelope.created, 0) else {
        return Err(unreadable(&envelope.id, &envelope.event_type));
    };
    let object = envelope.data.object.get().to_owned();
    Ok(StripeEvent { id: envelope.id, event_type: envelope.event_type, created, object })
}
