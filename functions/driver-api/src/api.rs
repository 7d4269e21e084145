//! The surface as a whole: its state, its routes, its document.

use std::{sync::Arc, time::Duration};

use http_api::{Problem, document};
use payments::StripeClient;
use runtime::Secrets;
use store::Store;
use tokio::sync::OnceCell;
use utoipa_axum::router::OpenApiRouter;

use crate::{debts, mailing, methods, prices, receipt, sessions, starts, stop};

/// How long Stripe may take: no longer than a driver waits, and than is left of this function's
/// life once it has looked for a charger that is just connecting.
const STRIPE_BUDGET: Duration = Duration::from_secs(8);

/// What the handlers work with.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) cards: Arc<Cards>,
    /// Whether the deployment names a sender of mail.
    pub(crate) sends_mail: bool,
}

/// Stripe, connected when a card is first needed: most requests only read.
#[derive(Debug)]
pub(crate) struct Cards {
    secrets: Secrets,
    secret_name: String,
    base: String,
    client: OnceCell<StripeClient>,
}

impl Cards {
    pub(crate) fn new(secrets: Secrets, secret_name: String, base: String) -> Self {
        Self { secrets, secret_name, base, client: OnceCell::new() }
    }

    pub(crate) async fn stripe(&self) -> Result<&StripeClient, Problem> {
        let connect = || async {
            let secret = self.secrets.stripe(&self.secret_name).await;
            let secret = secret.map_err(Problem::unavailable)?;
            let client = StripeClient::new(&secret.api_key, Some(&self.base));
            let client = client.map_err(anyhow::Error::from)?;
            Ok(client.with_budget(STRIPE_BUDGET))
        };
        self.client.get_or_try_init(connect).await
    }
}

/// Every route, with its part of the document.
pub(crate) fn router() -> OpenApiRouter<Api> {
    let description = "What a driver's app does. The driver is the token's subject and sees only \
                       what is theirs; anything else answers 404. Errors are problem details (RFC \
                       9457). Amounts of money are whole minor units; prices, energy and \
                       percentages are decimals, as text.";
    let document = document::start("Tallywatt for drivers", description);
    OpenApiRouter::with_openapi(document)
        .merge(prices::router())
        .merge(starts::router())
        .merge(sessions::router())
        .merge(stop::router())
        .merge(receipt::router())
        .merge(mailing::router())
        .merge(methods::router())
        .merge(debts::router())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
    use axum::{
        Router,
        body::Body,
        http::{Request, header},
    };
    use lambda_http::{request::RequestContext, tower::ServiceExt as _};
    use runtime::Invocation;
    use serde_json::{Value, json};
    use store::Tables;

    use super::*;

    #[test]
    fn the_committed_document_is_what_the_routes_say() {
        let document = document::complete(router().into_openapi());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/openapi/driver.json");
        document::hold(&document, &path).unwrap();
    }

    /// Nothing listens there: whoever gets past the claims fails, but not with 401.
    fn service() -> Router {
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .endpoint_url("http://127.0.0.1:1")
            .retry_config(RetryConfig::disabled())
            .build();
        let cards = Cards::new(Secrets::new(&aws), "test/stripe".to_owned(), String::new());
        let store = Store::new(&aws, Tables::with_prefix("test"));
        router().split_for_parts().0.with_state(Api {
            store,
            cards: Arc::new(cards),
            sends_mail: true,
        })
    }

    async fn status(method: &str, path: &str, claims: Option<Value>, key: Option<&str>) -> u16 {
        let authorizer = claims.map(|claims| json!({ "jwt": { "claims": claims } }));
        let context = json!({
            "http": { "method": method }, "timeEpoch": 0, "authorizer": authorizer,
        });
        let context: RequestContext = serde_json::from_value(context).unwrap();
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .extension(context)
            .extension(Arc::new(Invocation::at("driver-api", "r1", None, now)));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let start = json!({ "charge_point_id": "CP1", "connector_id": 1 });
        let body = match path {
            "/driver/starts" => start,
            "/driver/receipts" => json!({ "by_email": true }),
            _ => json!({}),
        };
        let request = request.body(Body::from(body.to_string())).unwrap();
        service().oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn no_route_is_served_to_nobody() {
        let document = serde_json::to_value(router().into_openapi()).unwrap();
        let mut routes = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            let uri = path
                .replace("{connector_id}", "1")
                .replace("{charge_point_id}", "CP1")
                .replace("{session_id}", "7a113a77-0000-5000-8000-0cb10badcafe")
                .replace("{payment_method}", "pm_1")
                .replace("{start_id}", "7a113a77-0000-5000-8000-0cb10badcafe");
            for method in item.as_object().unwrap().keys() {
                let method = method.to_uppercase();
                let driver = Some(json!({
                    "sub": "driver-1", "email": "ada@example.com", "email_verified": "true",
                }));
                assert_eq!(status(&method, &uri, None, Some("k1")).await, 401, "{method} {uri}");
                assert_eq!(status(&method, &uri, driver, Some("k1")).await, 503, "{method} {uri}");
                routes += 1;
            }
        }
        assert_eq!(routes, 17);
    }

    #[tokio::test]
    async fn mail_to_an_address_that_nobody_has_verified_is_refused_before_anything_is_stored() {
        let unverified = json!({ "sub": "driver-1", "email": "ada@example.com" });
        assert_eq!(status("PUT", "/driver/receipts", Some(unverified), None).await, 409);
        let unknown = json!({ "sub": "driver-1", "email_verified": "true" });
        assert_eq!(status("PUT", "/driver/receipts", Some(unknown), None).await, 409);
    }

    #[tokio::test]
    async fn a_start_without_a_key_is_refused_before_anything_is_read() {
        let driver = Some(json!({ "sub": "driver-1" }));
        assert_eq!(status("POST", "/driver/starts", driver, None).await, 400);
    }
}
