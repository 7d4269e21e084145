//! `checkout.session.completed` and `checkout.session.expired`.

use network::StripePaymentIntentId;
use quantities::SessionId;
use serde::Deserialize;

use super::{StripeEvent, WebhookError};

/// What an event of a pay link says: it was paid on, or it closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayLinkEvent {
    /// Stripe's id of the Checkout Session.
    pub id: String,
    /// The PaymentIntent that it was paid with; `None`: it closed, and nobody paid.
    pub paid_by: Option<StripePaymentIntentId>,
    /// The session it is for.
    pub session_id: SessionId,
}

impl PayLinkEvent {
    /// Reads `event`; `None` when the page is none of ours: a platform sells memberships on such
    /// pages, too.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Unreadable`], also when it is neither paid on nor closed: what is to be paid
    /// later is nothing that our pages take.
    pub fn read(event: &StripeEvent) -> Result<Option<Self>, WebhookError> {
        let page: Checkout = event.object()?;
        let Some(session_id) = page.metadata.session_id else { return Ok(None) };
        let session_id = session_id.parse().map_err(|_| event.unreadable())?;
        let paid_by = page.payment_intent.map(StripePaymentIntentId);
        let paid_by = match (page.status.as_deref(), page.payment_status.as_str(), paid_by) {
            (Some("complete"), "paid", Some(intent)) => Some(intent),
            (Some("expired"), "unpaid", _) => None,
            _ => return Err(event.unreadable()),
        };
        Ok(Some(Self { id: page.id, paid_by, session_id }))
    }
}

/// <https://docs.stripe.com/api/checkout/sessions/object>
#[derive(Deserialize)]
struct Checkout {
    id: String,
    status: Option<String>,
    payment_status: String,
    payment_intent: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    session_id: Option<String>,
}
