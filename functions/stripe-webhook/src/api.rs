//! The surface as a whole: its state and its routes.

use std::sync::Arc;

use axum::{Router, routing::post};
use http_api::Problem;
use network::Trust;
use payments::StripeClient;
use runtime::Secrets;
use store::Store;

use crate::{receive::receive, undelivered::take_undelivered};

/// What the handler works with.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) secrets: Arc<Secrets>,
    /// Name of the Stripe secret, which has the webhook's signing secret.
    pub(crate) secret_name: Arc<str>,
    /// Where Stripe is; empty is Stripe itself.
    pub(crate) stripe_base: Arc<str>,
    /// How long what Stripe says of a subscription is gone by.
    pub(crate) trust: Trust,
}

impl Api {
    /// Stripe, with the key as it is now.
    pub(crate) async fn stripe(&self) -> Result<StripeClient, Problem> {
        let secret = self.secrets.stripe(&self.secret_name).await.map_err(Problem::unavailable)?;
        let client = StripeClient::new(&secret.api_key, Some(&self.stripe_base));
        client.map_err(Problem::unavailable)
    }
}

/// The route that Stripe is told of, and the one of the schedule.
pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/stripe/webhook", post(receive))
        .route("/stripe/undelivered", post(take_undelivered))
}
