//! `refund.*`. <https://docs.stripe.com/api/refunds/object>

use quantities::SessionId;
use serde::Deserialize;

use super::{StripeEvent, WebhookError};
use crate::money::{News, RefundState};

/// What an event `refund.*` says, when the refund is one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundEvent {
    /// The session whose money is given back.
    pub session_id: SessionId,
    /// Its number in the session's payment.
    pub number: u32,
    /// Stripe's id of it.
    pub id: String,
    /// Where it stood then.
    pub state: RefundState,
}

impl RefundEvent {
    /// Reads `event`; `None` for a refund that somebody made without us, at Stripe's dashboard.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Unreadable`].
    pub fn read(event: &StripeEvent) -> Result<Option<Self>, WebhookError> {
        let refund: Refund = event.object()?;
        let Metadata { session_id, purpose } = refund.metadata.unwrap_or_default();
        let session_id = session_id.and_then(|id| id.parse().ok());
        let number = purpose.as_deref().and_then(|purpose| purpose.strip_prefix("refund/"));
        let number = number.and_then(|number| number.parse().ok());
        let state = RefundState::of(&refund.status);
        let ours = session_id.zip(number);
        Ok(ours.map(|(session_id, number)| Self { session_id, number, id: refund.id, state }))
    }

    /// The same as news of the payment.
    #[must_use]
    pub fn news(&self) -> News {
        News::Refund { number: self.number, id: self.id.clone(), state: self.state }
    }
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    status: String,
    metadata: Option<Metadata>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    session_id: Option<String>,
    purpose: Option<String>,
}
