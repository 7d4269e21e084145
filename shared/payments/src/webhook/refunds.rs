//! `refund.*`. <https://docs.stripe.com/api/refunds/object>

use std::collections::HashMap;

use network::StripePaymentIntentId;
use quantities::{Amount, Currency};
use serde::Deserialize;

use super::{StripeEvent, WebhookError};
use crate::{
    money::{News, RefundState},
    stripe::{Reference, StripeAmount},
};

/// What an event `refund.*` says: of a refund of ours, or of one that somebody made without us, at
/// Stripe's dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundEvent {
    /// What it is for, when we said so.
    pub about: Option<Reference>,
    /// Its number in the session's payment, when we gave it one.
    pub number: Option<u32>,
    /// Stripe's id of it.
    pub id: String,
    /// Of what was taken by this PaymentIntent.
    pub payment_intent: StripePaymentIntentId,
    /// How much.
    pub amount: Amount,
    /// Where it stood then.
    pub state: RefundState,
}

impl RefundEvent {
    /// Reads `event`; `None` for a refund of a charge that no PaymentIntent made: we make none.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Unreadable`].
    pub fn read(event: &StripeEvent) -> Result<Option<Self>, WebhookError> {
        let refund: Refund = event.object()?;
        let Some(payment_intent) = refund.payment_intent else { return Ok(None) };
        let currency: Currency = refund.currency.parse().map_err(|_| event.unreadable())?;
        let metadata = refund.metadata.unwrap_or_default();
        let number = metadata.get("purpose").and_then(|purpose| purpose.strip_prefix("refund/"));
        Ok(Some(Self {
            about: Reference::of(&metadata),
            number: number.and_then(|number| number.parse().ok()),
            id: refund.id,
            payment_intent: StripePaymentIntentId(payment_intent),
            amount: refund.amount.exactly(currency).map_err(|_| event.unreadable())?,
            state: RefundState::of(&refund.status),
        }))
    }

    /// The same as news of the payment.
    #[must_use]
    pub fn news(&self) -> News {
        let number = self.number.filter(|_| self.about.is_some());
        let (id, payment_intent) = (self.id.clone(), self.payment_intent.clone());
        News::Refund { number, id, payment_intent, amount: self.amount, state: self.state }
    }
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    amount: StripeAmount,
    currency: String,
    payment_intent: Option<String>,
    status: String,
    metadata: Option<HashMap<String, String>>,
}
