//! An axum router as a Lambda function: one invocation a request, one line an invocation.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{MatchedPath, Request},
    http::{HeaderValue, Uri, header},
    middleware::{Next, from_fn},
    response::Response,
};
use lambda_http::tower::ServiceExt as _;
use runtime::{Function, HttpRequest, Invocation, Metric};

use crate::{Problem, ProblemType};

/// The invocation, for handlers that have something to log.
pub type Log = Extension<Arc<Invocation>>;

/// What the log is to say of a problem that was answered; in the response's extensions.
#[derive(Debug, Clone)]
pub struct Told {
    pub(crate) code: &'static str,
    pub(crate) cause: Option<Arc<anyhow::Error>>,
    pub(crate) refusal: bool,
}

impl Told {
    /// Writes it into the line.
    pub fn log(&self, invocation: &Invocation) {
        invocation.outcome(self.code);
        if self.refusal {
            invocation.count(Metric::Refusals, 1);
        }
        if let Some(cause) = &self.cause {
            invocation.fail(cause);
        }
    }
}

/// Serves `router`.
///
/// # Errors
///
/// When Lambda's runtime API cannot be reached.
pub async fn serve(function: Function, router: Router) -> Result<(), lambda_http::Error> {
    let router = complete(router);
    function
        .serve_http(move |request, invocation| answer(router.clone(), request, invocation))
        .await
}

fn complete(router: Router) -> Router {
    router
        .route_layer(from_fn(note_route))
        .fallback(async |uri: Uri| {
            let detail = format!("There is nothing at {}; see the OpenAPI document.", uri.path());
            Problem::new(ProblemType::NoSuchPath, detail)
        })
        .method_not_allowed_fallback(async || {
            let detail = "The path has other methods; see the OpenAPI document.";
            Problem::new(ProblemType::MethodNotAllowed, detail)
        })
}

async fn answer(router: Router, mut request: HttpRequest, invocation: Arc<Invocation>) -> Response {
    request.extensions_mut().insert(invocation.clone());
    let mut response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if let Some(told) = response.extensions().get::<Told>() {
        told.log(&invocation);
    }
    let headers = response.headers_mut();
    // Everything here is somebody's own, or changes.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The route as it is written, for the line: the path itself may name a tag.
async fn note_route(request: Request, next: Next) -> Response {
    let invocation = request.extensions().get::<Arc<Invocation>>();
    if let (Some(invocation), Some(route)) = (invocation, request.extensions().get::<MatchedPath>())
    {
        invocation.field("route", route.as_str());
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::{http::Method, routing::get};

    use super::*;

    async fn status_of(method: Method, path: &str) -> u16 {
        let router = complete(Router::new().route("/driver/sessions", get(async || "none")));
        let mut request = HttpRequest::new(runtime::HttpBody::Empty);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let invocation = Arc::new(Invocation::at("driver-api", "r1", None, now));
        let response = answer(router, request, invocation).await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        response.status().as_u16()
    }

    #[tokio::test]
    async fn every_request_is_answered_with_its_status() {
        assert_eq!(status_of(Method::GET, "/driver/sessions").await, 200);
        assert_eq!(status_of(Method::POST, "/driver/sessions").await, 405);
        assert_eq!(status_of(Method::GET, "/driver/nothing").await, 404);
    }
}
