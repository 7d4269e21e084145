//! The payment record of one session.

use chrono::{DateTime, Utc};
use network::{HoldRef, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId};
use quantities::{Amount, MoneyError, SessionId};
use serde::{Deserialize, Serialize};

/// What is known of one session's payment by card (item `PAYMENT` of the session's partition).
///
/// Changed only by [`crate::machine`]. Stored before every call to Stripe and after every answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The session that is paid for.
    pub session_id: SessionId,
    /// Whose card.
    pub customer: StripeCustomerId,
    /// Which card.
    pub payment_method: StripePaymentMethodId,
    /// What is to be held, or is held, on the card; the most a capture can take.
    pub hold: Amount,
    /// Where the hold is.
    pub state: PaymentState,
    /// The PaymentIntent of the hold, once Stripe has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<StripePaymentIntentId>,
    /// What the session costs, tax included; zero when it was waived. Set once, never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Amount>,
    /// Money taken so far, by both PaymentIntents.
    pub captured: Amount,
    /// Where the charge of what the hold did not cover is.
    pub difference: DifferenceState,
    /// The PaymentIntent of that charge, once Stripe has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference_payment_intent: Option<StripePaymentIntentId>,
    /// `total` less `captured`; zero before the session has a price. Whether somebody is still
    /// collecting it says [`crate::machine::next_step`].
    pub owed: Amount,
    /// Why Stripe last refused, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// When the call in progress was first intended: its idempotency key is good for a day after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<DateTime<Utc>>,
    /// How many calls were intended, repeats included.
    pub attempts: u32,
    /// Optimistic lock. 0 is a record that was never stored. The store writes `version + 1` on
    /// the condition that it finds `version`; nothing else changes it.
    pub version: u64,
}

/// Where the hold of a payment is. `…Requested`: the call may or may not have reached Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Nothing was asked of Stripe yet.
    Created,
    /// The hold is being placed.
    HoldRequested,
    /// The money is held.
    Held,
    /// The issuer refused the hold.
    HoldRefused,
    /// The hold ran out, or was released elsewhere, before it was captured.
    HoldLost,
    /// The capture is being made.
    CaptureRequested,
    /// The hold was captured; the rest of it, if any, is released.
    Captured,
    /// The capture was refused: the hold is to be released.
    CaptureRefused,
    /// The hold is being released.
    CancelRequested,
    /// The hold was released; nothing was taken.
    Canceled,
}

/// Where the second charge is: what the hold did not cover, or everything when there is no hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceState {
    /// Not needed, or not yet.
    None,
    /// The charge is being made.
    Requested,
    /// It was paid.
    Paid,
    /// It was refused: the driver owes it.
    Refused,
}

/// Why Stripe refused to hold or take money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stripe's error code: `card_declined`, `authentication_required`, `expired_card`, …
    pub code: String,
    /// The issuer's reason behind `card_declined`: `insufficient_funds`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
}

impl Refusal {
    /// Whether the customer can make it work by confirming it themselves (3-D Secure).
    #[must_use]
    pub fn customer_must_act(&self) -> bool {
        self.code == "authentication_required"
            || self.decline_code.as_deref() == Some("authentication_required")
    }

    /// The most telling code: the issuer's where there is one.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.decline_code.as_deref().unwrap_or(&self.code)
    }
}

impl Payment {
    /// The payment of a session that holds `hold` on a saved card. Nothing is asked of Stripe yet.
    #[must_use]
    pub const fn new(
        session_id: SessionId,
        customer: StripeCustomerId,
        payment_method: StripePaymentMethodId,
        hold: Amount,
    ) -> Self {
        Self {
            session_id,
            customer,
            payment_method,
            hold,
            state: PaymentState::Created,
            payment_intent: None,
            total: None,
            captured: Amount::zero(hold.currency),
            difference: DifferenceState::None,
            difference_payment_intent: None,
            owed: Amount::zero(hold.currency),
            refusal: None,
            requested_at: None,
            attempts: 0,
            version: 0,
        }
    }

    /// The payment of a session whose hold was placed before it started, from the app.
    #[must_use]
    pub fn with_placed_hold(
        session_id: SessionId,
        customer: StripeCustomerId,
        payment_method: StripePaymentMethodId,
        placed: HoldRef,
    ) -> Self {
        Self {
            state: PaymentState::Held,
            payment_intent: Some(placed.payment_intent),
            ..Self::new(session_id, customer, payment_method, placed.amount)
        }
    }

    /// The same payment with the session's price, in any state.
    ///
    /// # Errors
    ///
    /// [`MachineError::TotalChanged`](crate::MachineError::TotalChanged) when another total was
    /// set before: a price never changes. [`MachineError`](crate::MachineError) for a negative
    /// total, or one in another currency than the hold.
    pub fn with_total(self, total: Amount) -> Result<Self, crate::MachineError> {
        use crate::MachineError;

        if self.total.is_some_and(|known| known != total) {
            return Err(MachineError::TotalChanged { session_id: self.session_id });
        }
        if total.minor < 0 {
            return Err(MachineError::NegativeTotal { session_id: self.session_id });
        }
        let owed = total.checked_sub(self.captured).map_err(|source| self.sum_error(source))?;
        Ok(Self { total: Some(total), owed, ..self })
    }

    /// Whether the session has its price and nothing is left to ask of Stripe.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.total.is_some() && crate::machine::next_step(self).is_none()
    }

    pub(crate) const fn sum_error(&self, source: MoneyError) -> crate::MachineError {
        crate::MachineError::Sum { session_id: self.session_id, source }
    }
}
