//! The payment methods that a driver keeps for later: cards, and Apple Pay and Google Pay, which
//! are cards with a `wallet`.
//!
//! <https://docs.stripe.com/payments/save-and-reuse>

use std::collections::BTreeMap;

use network::{StripeCustomerId, StripePaymentMethodId};
use quantities::DriverId;
use serde::Serialize;
use stripe::StripeRequest;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::{PaymentError, StripeClient, numbered};

/// Payment methods of one customer that are listed; nobody has more cards.
const LISTED_MAX: u32 = 100;

/// A payment method as a driver recognizes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedMethod {
    /// Its id.
    pub id: StripePaymentMethodId,
    /// Whose it is; nobody's once it is detached.
    pub customer: Option<StripeCustomerId>,
    /// `visa`, `mastercard`, …
    pub brand: String,
    /// The last four digits; of a wallet, those of the card behind it.
    pub last4: String,
    /// `apple_pay`, `google_pay`, …, if it is one.
    pub wallet: Option<String>,
    /// Month of its expiry, from 1.
    pub expiry_month: u32,
    /// Year of its expiry.
    pub expiry_year: u32,
}

/// A setup that the app's Payment Element completes.
#[derive(Clone, PartialEq, Eq)]
pub struct MethodSetup {
    /// The SetupIntent.
    pub id: String,
    /// What the Payment Element needs: whoever has it can complete the setup. Never logged.
    pub client_secret: String,
}

impl std::fmt::Debug for MethodSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MethodSetup").field("id", &self.id).finish_non_exhaustive()
    }
}

impl StripeClient {
    /// The customer of a driver, made now; the same one when it was asked for within a day. Keep
    /// it: a customer is not looked for.
    ///
    /// <https://docs.stripe.com/api/customers/create>
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn create_customer(
        &self,
        driver: &DriverId,
    ) -> Result<StripeCustomerId, PaymentError> {
        let metadata = BTreeMap::from([("driver_id", driver.as_str())]);
        let key = format!("tallywatt/driver/{driver}/customer");
        let made = self.keep("create customer", &key, &CreateCustomer { metadata }).await?;
        Ok(StripeCustomerId(made.id))
    }

    /// Begins to save a payment method for charges while its owner is away: the app's Payment
    /// Element completes it, with all that the bank wants. The same `request` is the same setup.
    ///
    /// <https://docs.stripe.com/api/setup_intents/create>. `card` covers Apple Pay and Google Pay:
    /// <https://docs.stripe.com/payments/payment-methods/integration-options>.
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn set_up_method(
        &self,
        driver: &DriverId,
        customer: &StripeCustomerId,
        request: &str,
    ) -> Result<MethodSetup, PaymentError> {
        let create = CreateSetup {
            customer: &customer.0,
            usage: "off_session",
            payment_method_types: ["card"],
        };
        let key = format!("tallywatt/driver/{driver}/setup/{request}");
        let made = self.keep("set up method", &key, &create).await?;
        Ok(MethodSetup { id: made.id, client_secret: made.client_secret })
    }

    /// The payment methods of a customer, newest first.
    ///
    /// <https://docs.stripe.com/api/payment_methods/customer_list>
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn methods_of(
        &self,
        customer: &StripeCustomerId,
    ) -> Result<Vec<SavedMethod>, PaymentError> {
        let call = "list methods";
        let list = ListMethods { customer, kind: "card", limit: LISTED_MAX };
        let page = self.send(call, None, &list).await;
        let page = page.map_err(|failure| failure.into_error(call))?;
        Ok(page.data.into_iter().filter_map(Method::saved).collect())
    }

    /// A payment method with the customer whose it is; `None` if there is none of that id.
    ///
    /// <https://docs.stripe.com/api/payment_methods/retrieve>
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn method(
        &self,
        id: &StripePaymentMethodId,
    ) -> Result<Option<SavedMethod>, PaymentError> {
        let call = "retrieve method";
        match self.send(call, None, &RetrieveMethod { id }).await {
            Ok(method) => Ok(method.saved()),
            Err(failure) => match failure.into_error(call) {
                PaymentError::Rejected { status: 404, .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Takes a payment method off its customer, for good. One that is off already is as good.
    ///
    /// <https://docs.stripe.com/api/payment_methods/detach>
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn forget_method(&self, id: &StripePaymentMethodId) -> Result<(), PaymentError> {
        self.within("detach method", self.detach(id)).await
    }

    async fn detach(&self, id: &StripePaymentMethodId) -> Result<(), PaymentError> {
        let call = "detach method";
        let key = format!("tallywatt/method/{id}/detach");
        for attempt in 1..=self.keys_max {
            let key = numbered(key.clone(), attempt);
            let Err(failure) = self.send(call, Some(&key), &DetachMethod { id }).await else {
                return Ok(());
            };
            let failure = failure.worth_a_look(call)?;
            if self.method(id).await?.is_none_or(|method| method.customer.is_none()) {
                return Ok(());
            }
            failure.another_key(call)?;
        }
        Err(PaymentError::unknown(call))
    }

    /// Makes an object that does no harm if it is made twice.
    async fn keep<R>(
        &self,
        call: &'static str,
        key: &str,
        request: &R,
    ) -> Result<R::Output, PaymentError>
    where
        R: StripeRequest,
        R::Output: miniserde::Deserialize,
    {
        for attempt in 1..=self.keys_max {
            let key = numbered(key.to_owned(), attempt);
            match self.send(call, Some(&key), request).await {
                Ok(made) => return Ok(made),
                Err(failure) => failure.another_key(call)?,
            }
        }
        Err(PaymentError::unknown(call))
    }
}

#[derive(Debug, miniserde::Deserialize)]
struct Customer {
    id: String,
}

#[derive(miniserde::Deserialize)]
struct SetupIntent {
    id: String,
    client_secret: String,
}

#[derive(Debug, miniserde::Deserialize)]
struct Page {
    data: Vec<Method>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Method {
    id: String,
    customer: Option<String>,
    card: Option<Card>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Card {
    brand: String,
    last4: String,
    exp_month: u32,
    exp_year: u32,
    wallet: Option<CardWallet>,
}

#[derive(Debug, miniserde::Deserialize)]
struct CardWallet {
    #[serde(rename = "type")]
    kind: String,
}

impl Method {
    /// None if it is no card: then it is nothing that a driver pays with here.
    fn saved(self) -> Option<SavedMethod> {
        let Card { brand, last4, exp_month, exp_year, wallet } = self.card?;
        Some(SavedMethod {
            id: StripePaymentMethodId(self.id),
            customer: self.customer.map(StripeCustomerId),
            brand,
            last4,
            wallet: wallet.map(|wallet| wallet.kind),
            expiry_month: exp_month,
            expiry_year: exp_year,
        })
    }
}

#[derive(Debug, Serialize)]
struct CreateCustomer<'a> {
    metadata: BTreeMap<&'static str, &'a str>,
}

#[derive(Debug, Serialize)]
struct CreateSetup<'a> {
    customer: &'a str,
    usage: &'static str,
    payment_method_types: [&'static str; 1],
}

#[derive(Debug, Serialize)]
struct ListMethods<'a> {
    #[serde(skip)]
    customer: &'a StripeCustomerId,
    #[serde(rename = "type")]
    kind: &'static str,
    limit: u32,
}

#[derive(Debug)]
struct RetrieveMethod<'a> {
    id: &'a StripePaymentMethodId,
}

#[derive(Debug)]
struct DetachMethod<'a> {
    id: &'a StripePaymentMethodId,
}

impl StripeRequest for CreateCustomer<'_> {
    type Output = Customer;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, "/customers").form(self)
    }
}

impl StripeRequest for CreateSetup<'_> {
    type Output = SetupIntent;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, "/setup_intents").form(self)
    }
}

impl StripeRequest for ListMethods<'_> {
    type Output = Page;

    fn build(&self) -> RequestBuilder {
        let path = format!("/customers/{}/payment_methods", self.customer);
        RequestBuilder::new(StripeMethod::Get, path).query(self)
    }
}

impl StripeRequest for RetrieveMethod<'_> {
    type Output = Method;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, format!("/payment_methods/{}", self.id))
    }
}

impl StripeRequest for DetachMethod<'_> {
    type Output = Method;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, format!("/payment_methods/{}/detach", self.id))
    }
}
