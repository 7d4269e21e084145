//! The surface as a whole: its state, its routes, its document.

use std::sync::Arc;

use http_api::{Problem, document, role_table};
use network::Trust;
use payments::StripeClient;
use queues::Queues;
use runtime::{Function, Secrets};
use store::Store;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    chargers, dead_letters, disputes, entitlements, exceptions, mails, offers, open_payments,
    partners, plans, readers, reconciliations,
    refunds::{self, Limits},
    sessions, sites, subscribers, taps, tariffs,
};

/// What the handlers work with.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) secrets: Arc<Secrets>,
    /// Prefix of the secrets' names.
    pub(crate) stack: Arc<str>,
    /// Our country code in OCPI.
    pub(crate) country_code: Arc<str>,
    /// Our party id in OCPI.
    pub(crate) party_id: Arc<str>,
    /// How long what an operator says of a subscription is gone by.
    pub(crate) trust: Trust,
    /// Name of the Stripe secret.
    pub(crate) stripe_secret: Arc<str>,
    /// Where Stripe is.
    pub(crate) stripe_base: Arc<str>,
    /// What support may give back.
    pub(crate) limits: Limits,
    /// Whether the deployment names a sender of mail.
    pub(crate) sends_mail: bool,
}

impl Api {
    /// What the function's configuration says.
    ///
    /// # Errors
    ///
    /// When a variable is missing or says nothing that can be read.
    pub(crate) fn of(function: &Function) -> anyhow::Result<Self> {
        Ok(Self {
            store: Store::from_environment(&function.aws)?,
            queues: Queues::new(&function.aws),
            secrets: Arc::new(Secrets::new(&function.aws)),
            stack: function.variable("STACK_NAME")?.into(),
            country_code: function.variable("OPERATOR_COUNTRY_CODE")?.into(),
            party_id: function.variable("OPERATOR_PARTY_ID")?.into(),
            trust: Trust::parse(
                &function.variable("MEMBERSHIP_TRUST_HOURS")?,
                &function.variable("MEMBERSHIP_WHEN_STALE")?,
            )?,
            stripe_secret: function.variable("STRIPE_SECRET_NAME")?.into(),
            stripe_base: function.variable("STRIPE_API_BASE")?.into(),
            limits: Limits::of(function)?,
            sends_mail: !function.variable("RECEIPT_SENDER")?.is_empty(),
        })
    }

    /// Stripe, which only disputes are answered at.
    pub(crate) async fn stripe(&self) -> Result<StripeClient, Problem> {
        let secret = self.secrets.stripe(&self.stripe_secret).await;
        let secret = secret.map_err(Problem::unavailable)?;
        let client = StripeClient::new(&secret.api_key, Some(&self.stripe_base));
        client.map_err(|error| anyhow::Error::from(error).into())
    }
}

/// Every route, with its part of the document.
pub(crate) fn router() -> OpenApiRouter<Api> {
    let description = format!(
        "What an operator's staff does. The token's claim `roles` decides who may do what; no role \
         includes another.\n\n{}\nErrors are problem details (RFC 9457). Amounts of money are \
         whole minor units; energy and percentages are decimals, as text.",
        role_table()
    );
    let document = document::start("Tallywatt for operators", &description);
    OpenApiRouter::with_openapi(document)
        .merge(sites::router())
        .merge(offers::router())
        .merge(chargers::router())
        .merge(tariffs::router())
        .merge(plans::router())
        .merge(readers::router())
        .merge(taps::router())
        .merge(entitlements::router())
        .merge(reconciliations::router())
        .merge(partners::router())
        .merge(subscribers::router())
        .merge(exceptions::router())
        .merge(sessions::router())
        .merge(open_payments::router())
        .merge(refunds::router())
        .merge(mails::router())
        .merge(disputes::router())
        .merge(dead_letters::router())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
    use axum::{
        Router,
        body::Body,
        http::{Request, header},
    };
    use http_api::Role;
    use lambda_http::{request::RequestContext, tower::ServiceExt as _};
    use runtime::Invocation;
    use serde_json::{Value, json};
    use store::Tables;

    use super::*;

    #[test]
    fn the_committed_document_is_what_the_routes_say() {
        let document = document::complete(router().into_openapi());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/openapi/operator.json");
        document::hold(&document, &path).unwrap();
    }

    /// Nothing listens there: whoever gets past the claims fails, but not with 401 or 403.
    fn nowhere() -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .endpoint_url("http://127.0.0.1:1")
            .retry_config(RetryConfig::disabled())
            .build()
    }

    /// The state of the handlers on this AWS.
    pub(crate) fn api(aws: &SdkConfig) -> Api {
        Api {
            store: Store::new(aws, Tables::with_prefix("test")),
            queues: Queues::new(aws),
            secrets: Arc::new(Secrets::new(aws)),
            stack: "test".into(),
            country_code: "DE".into(),
            party_id: "TWT".into(),
            trust: Trust::parse("72", "retail").unwrap(),
            stripe_secret: "test/stripe".into(),
            stripe_base: "http://127.0.0.1:1".into(),
            limits: Limits { session: 5_000, day: 25_000 },
            sends_mail: true,
        }
    }

    fn service() -> Router {
        router().split_for_parts().0.with_state(api(&nowhere()))
    }

    fn request(method: &str, path: &str, claims: Option<Value>) -> Request<Body> {
        let authorizer = claims.map(|claims| json!({ "jwt": { "claims": claims } }));
        let context = json!({
            "http": { "method": method }, "timeEpoch": 0, "authorizer": authorizer,
        });
        let context: RequestContext = serde_json::from_value(context).unwrap();
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .extension(context)
            .extension(Arc::new(Invocation::at("operator-api", "r1", None, now)))
            .body(Body::from("{}"))
            .unwrap()
    }

    async fn status(method: &str, path: &str, claims: Option<Value>) -> u16 {
        let response = service().oneshot(request(method, path, claims)).await.unwrap();
        response.status().as_u16()
    }

    #[tokio::test]
    async fn every_route_lets_in_exactly_the_roles_that_its_document_names() {
        let document = serde_json::to_value(router().into_openapi()).unwrap();
        let mut routes = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            let uri = path
                .replace("{connector}", "1")
                .replace("{version}", "1")
                .replace("{exception_id}", "7a113a77-0000-5000-8000-0cb10badcafe")
                .replace("{session_id}", "7a113a77-0000-5000-8000-0cb10badcafe")
                .replace("{dispute_id}", "du_1")
                .replace("{queue}", "rating");
            let uri = uri.replace(['{', '}'], "");
            for (method, operation) in item.as_object().unwrap() {
                let method = method.to_uppercase();
                let named = operation["security"][0]["jwt"].as_array().unwrap();
                assert_eq!(status(&method, &uri, None).await, 401, "{method} {uri}");
                for role in Role::ALL {
                    let claims = json!({ "sub": "op-1", "roles": format!("[{role}]") });
                    let status = status(&method, &uri, Some(claims)).await;
                    let may = named.contains(&role.name().into());
                    assert_eq!(status != 403, may, "{role} gets {status} at {method} {uri}");
                }
                routes += 1;
            }
        }
        assert!(routes > 20, "{routes}");
    }
}
