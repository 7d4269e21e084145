//! The requests and the few fields that are read, as narrow as in [`super::super::calls`].

use std::collections::{BTreeMap, HashMap};

use chrono::DateTime;
use network::StripePaymentIntentId;
use quantities::Amount;
use serde::Serialize;
use stripe::StripeRequest;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::super::{PaymentError, Reference, StripeAmount, amount::parameter, calls::metadata};
use crate::{
    Refusal,
    money::{Card, Outcome, RefundState},
};

pub(super) fn refusal(code: &str) -> Refusal {
    Refusal { code: code.to_owned(), decline_code: None }
}

/// A PaymentIntent with its charge. <https://docs.stripe.com/api/charges/object>
#[derive(Debug, miniserde::Deserialize)]
pub(super) struct HeldIntent {
    pub(super) status: String,
    pub(super) amount: StripeAmount,
    pub(super) amount_received: StripeAmount,
    latest_charge: Option<Charge>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Charge {
    payment_method_details: Option<Details>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Details {
    card: Option<CardDetails>,
    card_present: Option<PresentDetails>,
}

#[derive(Debug, miniserde::Deserialize)]
pub(super) struct CardDetails {
    pub(super) capture_before: Option<i64>,
    pub(super) incremental_authorization: Option<Availability>,
    pub(super) overcapture: Option<Overcapture>,
}

/// Of a card at a reader. <https://docs.stripe.com/terminal/features/incremental-authorizations>
#[derive(Debug, miniserde::Deserialize)]
pub(super) struct PresentDetails {
    pub(super) capture_before: Option<i64>,
    pub(super) incremental_authorization_supported: Option<bool>,
}

#[derive(Debug, miniserde::Deserialize)]
pub(super) struct Availability {
    pub(super) status: String,
}

#[derive(Debug, miniserde::Deserialize)]
pub(super) struct Overcapture {
    pub(super) status: String,
    pub(super) maximum_amount_capturable: StripeAmount,
}

impl HeldIntent {
    pub(super) fn card(&self) -> Option<&CardDetails> {
        self.details()?.card.as_ref()
    }

    pub(super) fn card_present(&self) -> Option<&PresentDetails> {
        self.details()?.card_present.as_ref()
    }

    fn details(&self) -> Option<&Details> {
        self.latest_charge.as_ref()?.payment_method_details.as_ref()
    }
}

/// What is wanted of a PaymentIntent beside itself.
const CHARGE: [&str; 1] = ["latest_charge"];

#[derive(Debug, Serialize)]
struct Expand {
    expand: [&'static str; 1],
}

/// A PaymentIntent and its charge in one read.
#[derive(Debug)]
pub(super) struct RetrieveHeld<'a> {
    pub(super) payment_intent: &'a StripePaymentIntentId,
}

impl StripeRequest for RetrieveHeld<'_> {
    type Output = HeldIntent;

    fn build(&self) -> RequestBuilder {
        let path = format!("/payment_intents/{}", self.payment_intent);
        RequestBuilder::new(StripeMethod::Get, path).query(&Expand { expand: CHARGE })
    }
}

/// <https://docs.stripe.com/api/payment_intents/increment_authorization>
#[derive(Debug, Serialize)]
pub(super) struct Increment<'a> {
    #[serde(skip)]
    payment_intent: &'a StripePaymentIntentId,
    amount: StripeAmount,
    expand: [&'static str; 1],
}

impl<'a> Increment<'a> {
    pub(super) const fn new(
        payment_intent: &'a StripePaymentIntentId,
        amount: StripeAmount,
    ) -> Self {
        Self { payment_intent, amount, expand: CHARGE }
    }
}

impl StripeRequest for Increment<'_> {
    type Output = HeldIntent;

    fn build(&self) -> RequestBuilder {
        let path = format!("/payment_intents/{}/increment_authorization", self.payment_intent);
        RequestBuilder::new(StripeMethod::Post, path).form(self)
    }
}

/// A page as Stripe has it. <https://docs.stripe.com/api/checkout/sessions/object>
#[derive(Debug, miniserde::Deserialize)]
pub(super) struct Page {
    id: String,
    status: String,
    payment_status: String,
    url: Option<String>,
    expires_at: i64,
    payment_intent: Option<String>,
}

impl Page {
    pub(super) fn made(self, call: &'static str) -> Result<Outcome, PaymentError> {
        let expires_at = DateTime::from_timestamp(self.expires_at, 0);
        let (Some(url), Some(expires_at)) = (self.url, expires_at) else {
            return Err(PaymentError::unknown(call));
        };
        Ok(Outcome::LinkMade { id: self.id, url, expires_at })
    }

    /// `None` while it is open, or its money is on its way.
    pub(super) fn closed(self) -> Option<Outcome> {
        match (self.status.as_str(), self.payment_status.as_str(), self.payment_intent) {
            ("complete", "paid", Some(id)) => {
                Some(Outcome::LinkPaid { payment_intent: StripePaymentIntentId(id) })
            }
            ("expired", ..) => Some(Outcome::LinkExpired),
            _ => None,
        }
    }
}

/// <https://docs.stripe.com/api/checkout/sessions/create>
#[derive(Debug, Serialize)]
pub(super) struct MakeCheckout<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    /// What is paid at once; others settle days later.
    payment_method_types: [&'static str; 1],
    success_url: &'a str,
    line_items: [LineItem; 1],
    metadata: BTreeMap<&'static str, String>,
    payment_intent_data: IntentData,
}

#[derive(Debug, Serialize)]
struct LineItem {
    quantity: u32,
    price_data: PriceData,
}

#[derive(Debug, Serialize)]
struct PriceData {
    currency: String,
    unit_amount: StripeAmount,
    product_data: ProductData,
}

#[derive(Debug, Serialize)]
struct ProductData {
    name: &'static str,
}

#[derive(Debug, Serialize)]
struct IntentData {
    metadata: BTreeMap<&'static str, String>,
}

impl<'a> MakeCheckout<'a> {
    pub(super) fn new(
        reference: &Reference,
        purpose: &str,
        card: &'a Card,
        amount: Amount,
        success_url: &'a str,
    ) -> Result<Self, PaymentError> {
        let customer = match card {
            Card::Saved { customer, .. } => Some(customer.0.as_str()),
            Card::Present => None,
        };
        let price_data = PriceData {
            currency: parameter(amount.currency),
            unit_amount: StripeAmount::of(amount)?,
            product_data: ProductData { name: "Charging session" },
        };
        Ok(Self {
            mode: "payment",
            customer,
            payment_method_types: ["card"],
            success_url,
            line_items: [LineItem { quantity: 1, price_data }],
            metadata: metadata(reference, purpose),
            payment_intent_data: IntentData { metadata: metadata(reference, purpose) },
        })
    }
}

impl StripeRequest for MakeCheckout<'_> {
    type Output = Page;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, "/checkout/sessions").form(self)
    }
}

/// <https://docs.stripe.com/api/checkout/sessions/retrieve>
#[derive(Debug)]
pub(super) struct Checkout<'a> {
    pub(super) id: &'a str,
}

impl StripeRequest for Checkout<'_> {
    type Output = Page;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, format!("/checkout/sessions/{}", self.id))
    }
}

/// <https://docs.stripe.com/api/checkout/sessions/expire>
#[derive(Debug)]
pub(super) struct Expire<'a> {
    pub(super) id: &'a str,
}

impl StripeRequest for Expire<'_> {
    type Output = Page;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, format!("/checkout/sessions/{}/expire", self.id))
    }
}

/// A refund as Stripe has it. <https://docs.stripe.com/api/refunds/object>
#[derive(Debug, miniserde::Deserialize)]
pub(super) struct MadeRefund {
    id: String,
    status: String,
    metadata: Option<HashMap<String, String>>,
}

impl MadeRefund {
    pub(super) fn outcome(&self) -> Outcome {
        Outcome::Refunded { id: self.id.clone(), state: RefundState::of(&self.status) }
    }
}

/// <https://docs.stripe.com/api/refunds/create>
#[derive(Debug, Serialize)]
pub(super) struct MakeRefund<'a> {
    payment_intent: &'a str,
    amount: StripeAmount,
    reason: &'static str,
    metadata: BTreeMap<&'static str, String>,
}

impl<'a> MakeRefund<'a> {
    pub(super) fn new(
        reference: &Reference,
        purpose: &str,
        payment_intent: &'a StripePaymentIntentId,
        amount: Amount,
    ) -> Result<Self, PaymentError> {
        Ok(Self {
            payment_intent: &payment_intent.0,
            amount: StripeAmount::of(amount)?,
            reason: "requested_by_customer",
            metadata: metadata(reference, purpose),
        })
    }
}

impl StripeRequest for MakeRefund<'_> {
    type Output = MadeRefund;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, "/refunds").form(self)
    }
}

/// <https://docs.stripe.com/api/refunds/list>. One payment has no hundred refunds.
#[derive(Debug, Serialize)]
pub(super) struct Refunds<'a> {
    payment_intent: &'a str,
    limit: u32,
}

impl<'a> Refunds<'a> {
    pub(super) fn of(payment_intent: &'a StripePaymentIntentId) -> Self {
        Self { payment_intent: &payment_intent.0, limit: 100 }
    }
}

#[derive(Debug, miniserde::Deserialize)]
pub(super) struct RefundPage {
    data: Vec<MadeRefund>,
}

impl RefundPage {
    pub(super) fn find(self, reference: &Reference, purpose: &str) -> Option<MadeRefund> {
        let wanted = metadata(reference, purpose);
        self.data.into_iter().find(|refund| {
            let known = refund.metadata.as_ref();
            wanted.iter().all(|(name, value)| known.and_then(|m| m.get(*name)) == Some(value))
        })
    }
}

impl StripeRequest for Refunds<'_> {
    type Output = RefundPage;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, "/refunds").query(self)
    }
}
