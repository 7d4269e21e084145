//! `customer.subscription.*` and `invoice.*`.

use chrono::{DateTime, Utc};
use network::StripeSubscriptionId;
use serde::Deserialize;

use super::{StripeEvent, WebhookError};

/// What an event `customer.subscription.*` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionEvent {
    /// The subscription.
    pub subscription: StripeSubscriptionId,
    /// Its status then: `active`, `trialing`, `past_due`, `canceled`, …
    pub status: String,
    /// When the paid period ends: the earliest of its items'.
    pub current_period_end: DateTime<Utc>,
}

impl SubscriptionEvent {
    /// Reads `event`.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Unreadable`].
    pub fn read(event: &StripeEvent) -> Result<Self, WebhookError> {
        let subscription: Subscription = event.object()?;
        let ends = subscription.items.data.iter().map(|item| item.current_period_end).min();
        let ends = ends.and_then(|end| DateTime::from_timestamp(end, 0));
        Ok(Self {
            subscription: StripeSubscriptionId(subscription.id),
            status: subscription.status,
            current_period_end: ends.ok_or_else(|| event.unreadable())?,
        })
    }
}

/// What an event `invoice.*` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceEvent {
    /// Whether it was paid.
    pub paid: bool,
    /// The subscription it bills, if it bills one.
    pub subscription: Option<StripeSubscriptionId>,
}

impl InvoiceEvent {
    /// Reads `event`.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Unreadable`].
    pub fn read(event: &StripeEvent) -> Result<Self, WebhookError> {
        let invoice: Invoice = event.object()?;
        let details = invoice.parent.and_then(|parent| parent.subscription_details);
        Ok(Self {
            paid: event.event_type == "invoice.paid",
            subscription: details.and_then(|d| d.subscription).map(StripeSubscriptionId),
        })
    }
}

#[derive(Deserialize)]
struct Subscription {
    id: String,
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
