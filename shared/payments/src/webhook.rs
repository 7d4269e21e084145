//! Stripe's events: the signature first, then the few fields that anybody here acts on.
//!
//! Events come more than once and in no order (<https://docs.stripe.com/webhooks>), so each says
//! what it is about and when it was made, and whoever stores it decides whether it is news.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use network::{StripeCustomerId, StripePaymentIntentId, StripeSubscriptionId};
use quantities::SessionId;
use serde::Deserialize;
use stripe_webhook::{Webhook, WebhookError as SignatureError};

/// The events that an endpoint at Stripe has to be enabled for. Others are stored and change
/// nothing.
pub const EVENT_TYPES: [&str; 13] = [
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.updated",
    "invoice.paid",
    "invoice.payment_failed",
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.created",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
];

/// An event whose signature was good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeEvent {
    /// Stripe's id (`evt_…`): the same on every delivery.
    pub id: String,
    /// Stripe's type, e.g. `payment_intent.canceled`.
    pub event_type: String,
    /// When it happened, by Stripe's clock.
    pub created: DateTime<Utc>,
    /// What it is about.
    pub about: About,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// `payment_intent.*`: the PaymentIntent as it was then.
    PaymentIntent {
        /// The PaymentIntent.
        payment_intent: StripePaymentIntentId,
        /// Its status then.
        status: String,
        /// The session it is for, when we said so.
        session_id: Option<SessionId>,
    },
    /// `customer.subscription.*`: the subscription as it was then.
    Subscription {
        /// The subscription.
        subscription: StripeSubscriptionId,
        /// Who pays for it.
        customer: StripeCustomerId,
        /// Its status then: `active`, `trialing`, `past_due`, `canceled`, …
        status: String,
        /// When the paid period ends: the earliest of its items'.
        current_period_end: DateTime<Utc>,
    },
    /// `invoice.paid` and `invoice.payment_failed`.
    Invoice {
        /// Whether it was paid.
        paid: bool,
        /// The subscription it bills, if it bills one.
        subscription: Option<StripeSubscriptionId>,
        /// Who pays.
        customer: Option<StripeCustomerId>,
    },
    /// An event of a type that nobody here acts on.
    Unknown,
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

#[derive(Deserialize)]
struct PaymentIntent {
    id: String,
    status: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    session_id: Option<String>,
}

#[derive(Deserialize)]
struct Subscription {
    id: String,
    customer: String,
    status: String,
    items: Items,
}

/// Since API version 2025-03-31 the period is the items'.
/// <https://docs.stripe.com/changelog/basil>
#[derive(Deserialize)]
struct Items {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    current_period_end: i64,
}

#[derive(Deserialize)]
struct Invoice {
    customer: Option<String>,
    parent: Option<InvoiceParent>,
}

#[derive(Deserialize)]
struct InvoiceParent {
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Deserialize)]
struct SubscriptionDetails {
    subscription: Option<String>,
}

fn read(body: &str) -> Result<StripeEvent, WebhookError> {
    let unreadable = |event_id: &str, event_type: &str| WebhookError::Unreadable {
        event_id: event_id.to_owned(),
        event_type: event_type.to_owned(),
    };
    let envelope: Envelope<'_> = serde_json::from_str(body).map_err(|_| unreadable("", ""))?;
    let about = about(&envelope.event_type, envelope.data.object.get());
    let created = DateTime::from_timestamp(envelope.created, 0);
    let (Some(about), Some(created)) = (about, created) else {
        return Err(unreadable(&envelope.id, &envelope.event_type));
    };
    Ok(StripeEvent { id: envelope.id, event_type: envelope.event_type, created, about })
}

/// `None` when the object lacks what its type must have.
fn about(event_type: &str, object: &str) -> Option<About> {
    if event_type.starts_with("payment_intent.") {
        let intent: PaymentIntent = serde_json::from_str(object).ok()?;
        return Some(About::PaymentIntent {
            payment_intent: StripePaymentIntentId(intent.id),
            status: intent.status,
            session_id: intent.metadata.session_id.and_then(|id| id.parse().ok()),
        });
    }
    match event_type {
        "customer.subscription.created"
        | "customer.subscription.updated"
        | "customer.subscription.deleted"
        | "customer.subscription.paused"
        | "customer.subscription.resumed" => {
            let subscription: Subscription = serde_json::from_str(object).ok()?;
            let ends = subscription.items.data.iter().map(|item| item.current_period_end);
            Some(About::Subscription {
                subscription: StripeSubscriptionId(subscription.id),
                customer: StripeCustomerId(subscription.customer),
                status: subscription.status,
                current_period_end: DateTime::from_timestamp(ends.min()?, 0)?,
            })
        }
        "invoice.paid" | "invoice.payment_failed" => {
            let invoice: Invoice = serde_json::from_str(object).ok()?;
            let details = invoice.parent.and_then(|parent| parent.subscription_details);
            Some(About::Invoice {
                paid: event_type == "invoice.paid",
                subscription: details.and_then(|d| d.subscription).map(StripeSubscriptionId),
                customer: invoice.customer.map(StripeCustomerId),
            })
        }
        _ => Some(About::Unknown),
    }
}
