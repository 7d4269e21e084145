//! HTTP routes behind API Gateway's HTTP API (payload 2.0).

use std::{future::Future, sync::Arc};

use lambda_http::{
    Error, IntoResponse, RequestExt as _, aws_lambda_events::encodings::Body, service_fn,
};

use crate::{Function, Invocation};

/// A request's body: text or bytes, base64 already undone.
pub type HttpBody = Body;

/// A request as API Gateway hands it on; the claims of a verified JWT are in its extensions.
pub type HttpRequest = lambda_http::http::Request<HttpBody>;

/// An answer to a request.
pub type HttpResponse<B> = lambda_http::http::Response<B>;

impl Function {
    /// Serves HTTP requests: `handler` gets the request, with the invocation to log with. The line
    /// is written once the answer is known; an answer there always is, errors included.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be reached.
    pub async fn serve_http<H, F, B>(self, handler: H) -> Result<(), Error>
    where
        H: Fn(HttpRequest, Arc<Invocation>) -> F,
        F: Future<Output = HttpResponse<B>> + Send,
        HttpResponse<B>: IntoResponse,
    {
        let name = self.name;
        let handler = &handler;
        let one = |request: HttpRequest| {
            let context = request.lambda_context_ref().cloned().unwrap_or_default();
            let invocation = Arc::new(Invocation::begin(name, &context));
            invocation.field("method", request.method().as_str());
            let answer = handler(request, invocation.clone());
            async move {
                let response = answer.await;
                invocation.field("status", response.status().as_u16());
                invocation.end();
                Ok::<_, Error>(response)
            }
        };
        lambda_http::run(service_fn(one)).await
    }
}
