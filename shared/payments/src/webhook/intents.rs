//! `payment_intent.*`.

use network::StripePaymentIntentId;
use quantities::{ChargePointId, ConnectorId, SessionId, TapId};
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
    /// The card at a reader that it is for, when we said so.
    pub tap: Option<TapPlace>,
}

/// A card that was asked for at a reader, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapPlace {
    /// The tap.
    pub tap_id: TapId,
    /// The charger.
    pub charge_point_id: ChargePointId,
    /// Its connector.
    pub connector_id: ConnectorId,
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
            tap: intent.metadata.tap(),
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
#[expect(clippy::struct_field_names, reason = "the names that Stripe keeps for us")]
struct Metadata {
    session_id: Option<String>,
    tap_id: Option<String>,
    charge_point_id: Option<String>,
    connector_id: Option<String>,
}

impl Metadata {
    fn tap(&self) -> Option<TapPlace> {
        let tap_id = self.tap_id.as_ref()?.parse().ok()?;
        let charge_point_id = self.charge_point_id.as_ref()?.parse().ok()?;
        let connector_id = ConnectorId(self.connector_id.as_ref()?.parse().ok()?);
        Some(TapPlace { tap_id, charge_point_id, connector_id })
    }
}
