//! The surface as a whole: one route.

use std::sync::Arc;

use axum::{Router, routing::post};
use runtime::Secrets;
use store::Store;

use crate::receive::receive;

/// What the handler works with.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) secrets: Arc<Secrets>,
    /// Name of the Stripe secret, which has the webhook's signing secret.
    pub(crate) secret_name: Arc<str>,
}

/// The route that Stripe is told of.
pub(crate) fn router() -> Router<Api> {
    Router::new().route("/stripe/webhook", post(receive))
}
