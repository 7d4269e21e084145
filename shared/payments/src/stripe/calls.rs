//! The requests we make and the few fields we read, kept narrow: the library's own types of a
//! PaymentIntent cost megabytes of code in every function that links them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use network::{StripeCustomerId, StripePaymentIntentId};
use serde::Serialize;
use stripe::StripeRequest;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::{OffSession, PaymentError, Reference, StripeAmount, amount};
use crate::Refusal;

/// The part of a PaymentIntent that we read. <https://docs.stripe.com/api/payment_intents/object>
#[derive(Debug, miniserde::Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount_received: StripeAmount,
    pub(super) metadata: HashMap<String, String>,
    pub(super) last_payment_error: Option<LastPaymentError>,
}

/// Why the last attempt failed.
#[derive(Debug, miniserde::Deserialize)]
pub(super) struct LastPaymentError {
    code: Option<String>,
    decline_code: Option<String>,
}

/// A page of a list. <https://docs.stripe.com/api/pagination>
#[derive(Debug, miniserde::Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Intent>,
    pub(super) has_more: bool,
}

impl Intent {
    pub(super) fn id(&self) -> StripePaymentIntentId {
        StripePaymentIntentId(self.id.clone())
    }

    /// The refusal of the last attempt, when that is where it stands.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let stands = matches!(self.status.as_str(), "requires_payment_method" | "requires_action");
        self.last_payment_error.as_ref().filter(|_| stands).map(refusal)
    }

    pub(super) fn is_for(&self, reference: &Reference, purpose: &str) -> bool {
        metadata(reference, purpose)
            .iter()
            .all(|(name, value)| self.metadata.get(*name) == Some(value))
    }

    pub(super) fn unexpected(&self, call: &'static str) -> PaymentError {
        let payment_intent = self.id();
        PaymentError::Unexpected { call, payment_intent, status: self.status.clone() }
    }
}

pub(super) fn refusal(error: &LastPaymentError) -> Refusal {
    let code = error.code.clone().unwrap_or_else(|| "card_declined".to_owned());
    Refusal { code, decline_code: error.decline_code.clone() }
}

pub(super) fn metadata(reference: &Reference, purpose: &str) -> BTreeMap<&'static str, String> {
    let mut about = match reference {
        Reference::Session(id) => BTreeMap::from([("session_id", id.to_string())]),
        Reference::Start(id) => BTreeMap::from([("start_id", id.clone())]),
        Reference::Tap { tap_id, charge_point_id, connector_id } => BTreeMap::from([
            ("tap_id", tap_id.to_string()),
            ("charge_point_id", charge_point_id.to_string()),
            ("connector_id", connector_id.to_string()),
        ]),
    };
    about.insert("purpose", purpose.to_owned());
    about
}

/// <https://docs.stripe.com/api/payment_intents/create>
#[derive(Debug, Serialize)]
pub(super) struct Create<'a> {
    amount: StripeAmount,
    currency: String,
    customer: &'a str,
    payment_method: &'a str,
    /// Named, because what the dashboard enables may redirect the customer, who is not here.
    payment_method_types: [&'static str; 1],
    capture_method: &'static str,
    confirm: bool,
    off_session: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method_options: Option<Options>,
    metadata: BTreeMap<&'static str, String>,
}

impl<'a> Create<'a> {
    pub(super) fn new(
        reference: &Reference,
        purpose: &str,
        asked: &OffSession<'a>,
        capture_method: &'static str,
    ) -> Result<Self, PaymentError> {
        Ok(Self {
            amount: StripeAmount::of(asked.amount)?,
            currency: amount::parameter(asked.amount.currency),
            customer: &asked.customer.0,
            payment_method: &asked.payment_method.0,
            payment_method_types: ["card"],
            capture_method,
            confirm: true,
            off_session: true,
            payment_method_options: (capture_method == "manual").then(Options::default),
            metadata: metadata(reference, purpose),
        })
    }
}

/// What a hold shall be able to do where card and account allow; its charge says whether it can.
/// <https://docs.stripe.com/payments/flexible-payments>
#[derive(Debug, Default, Serialize)]
struct Options {
    card: CardOptions,
}

#[derive(Debug, Serialize)]
struct CardOptions {
    request_incremental_authorization: &'static str,
    request_overcapture: &'static str,
}

impl Default for CardOptions {
    fn default() -> Self {
        let wanted = "if_available";
        Self { request_incremental_authorization: wanted, request_overcapture: wanted }
    }
}

/// <https://docs.stripe.com/api/payment_intents/capture>
#[derive(Debug, Serialize)]
pub(super) struct Capture<'a> {
    #[serde(skip)]
    pub(super) payment_intent: &'a StripePaymentIntentId,
    pub(super) amount_to_capture: StripeAmount,
}

/// <https://docs.stripe.com/api/payment_intents/cancel>
#[derive(Debug)]
pub(super) struct Cancel<'a> {
    pub(super) payment_intent: &'a StripePaymentIntentId,
}

/// <https://docs.stripe.com/api/payment_intents/retrieve>
#[derive(Debug)]
pub(super) struct Retrieve<'a> {
    pub(super) payment_intent: &'a StripePaymentIntentId,
}

/// <https://docs.stripe.com/api/payment_intents/list>
#[derive(Debug, Serialize)]
pub(super) struct List<'a> {
    customer: &'a str,
    limit: u32,
    #[serde(rename = "created[gte]", skip_serializing_if = "Option::is_none")]
    created_from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
}

impl<'a> List<'a> {
    pub(super) fn new(
        customer: &'a StripeCustomerId,
        since: Option<DateTime<Utc>>,
        starting_after: Option<&'a str>,
    ) -> Self {
        let created_from = since.map(|since| since.timestamp());
        Self { customer: &customer.0, limit: 100, created_from, starting_after }
    }
}

impl StripeRequest for Create<'_> {
    type Output = Intent;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, "/payment_intents").form(self)
    }
}

impl StripeRequest for Capture<'_> {
    type Output = Intent;

    fn build(&self) -> RequestBuilder {
        let path = format!("/payment_intents/{}/capture", self.payment_intent);
        RequestBuilder::new(StripeMethod::Post, path).form(self)
    }
}

impl StripeRequest for Cancel<'_> {
    type Output = Intent;

    fn build(&self) -> RequestBuilder {
        let path = format!("/payment_intents/{}/cancel", self.payment_intent);
        RequestBuilder::new(StripeMethod::Post, path)
    }
}

impl StripeRequest for Retrieve<'_> {
    type Output = Intent;

    fn build(&self) -> RequestBuilder {
        let path = format!("/payment_intents/{}", self.payment_intent);
        RequestBuilder::new(StripeMethod::Get, path)
    }
}

impl StripeRequest for List<'_> {
    type Output = Page;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, "/payment_intents").query(self)
    }
}
