//! Reading whatever else Stripe has: for those who follow other objects than payments.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, marker::PhantomData};

use chrono::{DateTime, Utc};
use miniserde::json::{Object, Value};
use stripe::StripeRequest;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::{PaymentError, StripeClient};
use crate::webhook::EVENT_TYPES;

/// So many types of events Stripe lists at once. <https://docs.stripe.com/api/events/list>
const TYPES_MAX: usize = 20;

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

/// Some of the events that an endpoint has not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered {
    /// All that were asked for, each with its id, as JSON.
    All(Vec<(String, String)>),
    /// There are more than were to be taken at once.
    TooMany,
}

/// A page of events, and where the next begins, if there is one.
struct Page {
    events: Vec<(String, String)>,
    next: Option<String>,
}

#[derive(miniserde::Deserialize)]
struct List {
    data: Vec<Object>,
    has_more: bool,
}

impl StripeClient {
    /// Events that at least one of the account's endpoints has not taken, of the types that are
    /// acted upon here, created from `from` on and before `before`; no more than `most`. Stripe has
    /// those of the last thirty days.
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn undelivered_events(
        &self,
        from: DateTime<Utc>,
        before: Option<DateTime<Utc>>,
        most: usize,
    ) -> Result<Undelivered, PaymentError> {
        let mut events = Vec::new();
        for types in EVENT_TYPES.chunks(TYPES_MAX) {
            let mut after = None;
            loop {
                let page = self.undelivered_page(types, from, before, after.as_deref()).await?;
                events.extend(page.events);
                if events.len() > most {
                    return Ok(Undelivered::TooMany);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(Undelivered::All(events))
    }

    async fn undelivered_page(
        &self,
        types: &[&str],
        from: DateTime<Utc>,
        before: Option<DateTime<Utc>>,
        after: Option<&str>,
    ) -> Result<Page, PaymentError> {
        let call = "list events";
        let names: Vec<_> = (0..types.len()).map(|index| format!("types[{index}]")).collect();
        let mut query = BTreeMap::from([
            ("delivery_success", "false".to_owned()),
            ("limit", "100".to_owned()),
            ("created[gte]", from.timestamp().to_string()),
        ]);
        query.extend(before.map(|before| ("created[lt]", before.timestamp().to_string())));
        query.extend(after.map(|after| ("starting_after", after.to_owned())));
        let wanted = types.iter().map(|wanted| (*wanted).to_owned());
        query.extend(names.iter().map(String::as_str).zip(wanted));
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
        Ok(Page { events, next })
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
