//! Reading whatever else Stripe has: for those who follow other objects than payments.

use std::{collections::BTreeMap, marker::PhantomData};

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

impl StripeClient {
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
