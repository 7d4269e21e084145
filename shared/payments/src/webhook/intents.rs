//! `payment_intent.*`.

use network::StripePaymentIntentId;
use quantities::SessionId;
use serde::Deserialize;

use super::{StripeEvent, WebhookError};

/// What an event `payment_intent.*` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentEvent {
    /// The PaymentIntent.
    pub payment_intent: StripePaymentIntentId,
    /// Its status then.
    pub status: String,
    /// The session it is for, when we said so.
    pub session_id: Option<SessionId>,
}

impl IntentEvent {
    /// Reads `event`.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Unreadable`].
    pub fn read(event: &StripeEvent) -> Result<Self, WebhookError> {
        let intent: PaymentIntent = event.object()?;
        Ok(Self {
            payment_intent: StripePaymentIntentId(intent.id),
            status: intent.status,
            session_id: intent.metadata.session_id.and_then(|id| id.parse().ok()),
        })
    }
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
