//! Reading whatever else Stripe has: for those who follow other objects than payments.

use std::{collections::BTreeMap, marker::PhantomData};

use miniserde::json::{Object, Value};
use stripe::StripeRequest;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::{PaymentError, StripeClient};

struct Get<'a, T> {
    path: &'a str,
    query: &'a BTreeMap<&'a str, String>,
    output: PhantomData<fn() -> T>,
}

impl<T> StripeRequest for Get<'_, T> {
    type Output = T;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, self.path).query(&self.query)
    }
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// Each with its id, as JSON.
    pub events: Vec<(String, String)>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<String>,
}

#[derive(miniserde::Deserialize)]
struct List {
    data: Vec<Object>,
    has_more: bool,
}

impl StripeClient {
    /// Events that at least one of the account's endpoints has not taken, newest first, of the last
    /// thirty days. <https://docs.stripe.com/api/events/list>
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn undelivered_events(&self, after: Option<&str>) -> Result<Events, PaymentError> {
        let call = "list events";
        let mut query =
            BTreeMap::from([("delivery_success", "false".to_owned()), ("limit", "100".to_owned())]);
        query.extend(after.map(|after| ("starting_after", after.to_owned())));
        let page = self.get::<List>(call, "/events", &query).await?;
        let page = page.ok_or(PaymentError::Unknown { call })?;
        let mut events = Vec::new();
        for event in page.data {
            let Some(Value::String(id)) = event.get("id") else {
                return Err(PaymentError::Unknown { call });
            };
            events.push((id.clone(), miniserde::json::to_string(&event)));
        }
        let next = events.last().map(|(id, _)| id.clone()).filter(|_| page.has_more);
        Ok(Events { events, next })
    }

    /// The object or list at `path` (without `/v1`), as far as `T` reads it; `None` if Stripe has
    /// no such object.
    ///
    /// # Errors
    ///
    /// [`PaymentError`]; [`PaymentError::Unknown`] too when the answer lacks what `T` must have.
    pub async fn get<T: miniserde::Deserialize>(
        &self,
        call: &'static str,
        path: &str,
        query: &BTreeMap<&str, String>,
    ) -> Result<Option<T>, PaymentError> {
        let get = Get { path, query, output: PhantomData };
        match self.send(call, None, &get).await.map_err(|failure| failure.into_error(call)) {
            Ok(found) => Ok(Some(found)),
            Err(PaymentError::Rejected { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
