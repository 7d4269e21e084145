//! Disputes: whose they are, answering them, giving them up. <https://docs.stripe.com/api/disputes>

use std::collections::BTreeMap;

use network::StripePaymentIntentId;
use serde::Serialize;
use stripe::StripeRequest;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::{PaymentError, Reference, StripeClient, failure::Failure, numbered};

/// What a dispute is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeView {
    /// `needs_response`, `under_review`, `won`, `lost`, `warning_…`.
    pub status: String,
    /// Whether evidence was given.
    pub has_evidence: bool,
}

impl StripeClient {
    /// What a PaymentIntent took money for, as its metadata says; `None` when it is not one of
    /// ours.
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn reference_of(
        &self,
        payment_intent: &StripePaymentIntentId,
    ) -> Result<Option<Reference>, PaymentError> {
        let call = "retrieve";
        let read = self.send(call, None, &super::calls::Retrieve { payment_intent }).await;
        let intent = read.map_err(|failure| failure.into_error(call))?;
        Ok(Reference::of(&intent.metadata))
    }

    /// A dispute as Stripe has it now.
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn dispute(&self, id: &str) -> Result<DisputeView, PaymentError> {
        let call = "retrieve dispute";
        let read = self.send(call, None, &Retrieve { id }).await;
        read.map(Dispute::view).map_err(|failure| failure.into_error(call))
    }

    /// Submits evidence, once: a bank looks at what it gets first.
    ///
    /// <https://docs.stripe.com/api/disputes/update>
    ///
    /// # Errors
    ///
    /// [`PaymentError`]; [`PaymentError::Rejected`] when the dispute takes none any more.
    pub async fn submit_evidence(
        &self,
        id: &str,
        evidence: &BTreeMap<String, String>,
    ) -> Result<DisputeView, PaymentError> {
        let update = Update { id, evidence, submit: true };
        let (call, key) = ("submit evidence", format!("dispute/{id}/evidence"));
        self.within(call, self.answer(call, &key, id, &update)).await
    }

    /// Gives a dispute up: it is lost at once.
    ///
    /// <https://docs.stripe.com/api/disputes/close>
    ///
    /// # Errors
    ///
    /// [`PaymentError`]; [`PaymentError::Rejected`] when it is closed or under review.
    pub async fn accept_dispute(&self, id: &str) -> Result<DisputeView, PaymentError> {
        let (call, key) = ("accept dispute", format!("dispute/{id}/accept"));
        self.within(call, self.answer(call, &key, id, &Close { id })).await
    }

    async fn answer<R: StripeRequest<Output = Dispute>>(
        &self,
        call: &'static str,
        key: &str,
        id: &str,
        request: &R,
    ) -> Result<DisputeView, PaymentError> {
        for attempt in 1..=self.keys_max {
            let key = numbered(key.to_owned(), attempt);
            match self.send(call, Some(&key), request).await {
                Ok(dispute) => return Ok(dispute.view()),
                Err(failure @ (Failure::ServerError | Failure::KeyReused)) => {
                    // The key does not say how its request went: where the dispute stands does.
                    let now = self.dispute(id).await?;
                    if !matches!(now.status.as_str(), "needs_response" | "warning_needs_response") {
                        return Ok(now);
                    }
                    failure.another_key(call)?;
                }
                Err(failure) => return Err(failure.into_error(call)),
            }
        }
        Err(PaymentError::unknown(call))
    }
}

#[derive(Debug, miniserde::Deserialize)]
struct Dispute {
    status: String,
    evidence_details: Details,
}

#[derive(Debug, miniserde::Deserialize)]
struct Details {
    has_evidence: bool,
}

impl Dispute {
    fn view(self) -> DisputeView {
        DisputeView { status: self.status, has_evidence: self.evidence_details.has_evidence }
    }
}

struct Retrieve<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Update<'a> {
    #[serde(skip)]
    id: &'a str,
    evidence: &'a BTreeMap<String, String>,
    submit: bool,
}

struct Close<'a> {
    id: &'a str,
}

impl StripeRequest for Retrieve<'_> {
    type Output = Dispute;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, format!("/disputes/{}", self.id))
    }
}

impl StripeRequest for Update<'_> {
    type Output = Dispute;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, format!("/disputes/{}", self.id)).form(self)
    }
}

impl StripeRequest for Close<'_> {
    type Output = Dispute;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, format!("/disputes/{}/close", self.id))
    }
}
