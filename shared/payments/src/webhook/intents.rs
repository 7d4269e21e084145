//! `payment_intent.*`.

use std::collections::HashMap;

use network::StripePaymentIntentId;
use quantities::{Amount, Currency};
use serde::Deserialize;

use super::{StripeEvent, WebhookError};
use crate::stripe::{Reference, StripeAmount};

/// What an event `payment_intent.*` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentEvent {
    /// The PaymentIntent.
    pub payment_intent: StripePaymentIntentId,
    /// Its status then.
    pub status: String,
    /// What it is for, when we said so.
    pub about: Option<Reference>,
    /// The purpose that we gave it; empty when we gave none.
    pub purpose: String,
    /// What it had taken then.
    pub received: Amount,
}

impl IntentEvent {
    /// Reads `event`.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Unreadable`].
    pub fn read(event: &StripeEvent) -> Result<Self, WebhookError> {
        let PaymentIntent { id, status, amount_received, currency, metadata } = event.object()?;
        let currency: Currency = currency.parse().map_err(|_| event.unreadable())?;
        Ok(Self {
            payment_intent: StripePaymentIntentId(id),
            status,
            about: Reference::of(&metadata),
            purpose: metadata.get("purpose").cloned().unwrap_or_default(),
            received: amount_received.exactly(currency).map_err(|_| event.unreadable())?,
        })
    }
}

#[derive(Deserialize)]
struct PaymentIntent {
    id: String,
    status: String,
    amount_received: StripeAmount,
    currency: String,
    #[serde(default)]
    metadata: HashMap<String, String>,
}
