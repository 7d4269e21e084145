//! Webhook subscribers and the secrets their webhooks are signed with.

use axum::{Json, extract::State, http::StatusCode};
use http_api::{Body, Check, Operator, Param, Problem, WritePartners};
use network::WebhookSubscriber;
use quantities::SubscriberId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{api::Api, partners::is_url, secret};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put, delete))
        .routes(routes!(new_secret))
}

/// A system that gets session and payment events as signed webhooks (Standard Webhooks).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SubscriberBody {
    /// Where events are posted.
    #[schema(example = "https://books.example/tallywatt")]
    url: String,
    /// Which events it wants (`session.rated`, …); empty means all.
    #[serde(default)]
    event_types: Vec<String>,
    /// The secret to sign with, `whsec_` and base64. Left out, it stays as it is; a new subscriber
    /// without one gets one.
    #[serde(default, skip_serializing_if = "secret::is_told_once")]
    #[schema(write_only)]
    signing_secret: Option<String>,
}

/// A webhook subscriber.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookSubscriber)]
struct SubscriberView {
    /// Its id.
    id: String,
    #[serde(flatten)]
    subscriber: SubscriberBody,
    /// A signing secret that was made for it just now. It is told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_signing_secret: Option<String>,
}

/// A new signing secret. It is told once.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct NewSigningSecret {
    /// The secret: `whsec_` and base64.
    signing_secret: String,
}

fn view(subscriber: WebhookSubscriber, new_signing_secret: Option<String>) -> SubscriberView {
    let WebhookSubscriber { id, url, event_types } = subscriber;
    let subscriber = SubscriberBody { url, event_types, signing_secret: None };
    SubscriberView { id: id.into(), subscriber, new_signing_secret }
}

/// Lists the webhook subscribers.
#[utoipa::path(get, path = "/operator/subscribers",
    tag = "subscribers", operation_id = "list_subscribers",
    security(("jwt" = ["admin"])),
    responses((status = 200, body = Vec<SubscriberView>)))]
async fn list(
    _: Operator<WritePartners>,
    State(api): State<Api>,
) -> Result<Json<Vec<SubscriberView>>, Problem> {
    let subscribers = api.store.subscribers().await?;
    Ok(Json(subscribers.into_iter().map(|subscriber| view(subscriber, None)).collect()))
}

/// Gets a webhook subscriber.
#[utoipa::path(get, path = "/operator/subscribers/{id}",
    tag = "subscribers", operation_id = "get_subscriber",
    params(("id" = String, Path)),
    security(("jwt" = ["admin"])),
    responses((status = 200, body = SubscriberView)))]
async fn get(
    _: Operator<WritePartners>,
    State(api): State<Api>,
    Param(id): Param<SubscriberId>,
) -> Result<Json<SubscriberView>, Problem> {
    Ok(Json(view(known(&api, &id).await?, None)))
}

/// Creates or changes a webhook subscriber.
#[utoipa::path(put, path = "/operator/subscribers/{id}",
    tag = "subscribers", operation_id = "put_subscriber",
    params(("id" = String, Path)),
    request_body = SubscriberBody,
    security(("jwt" = ["admin"])),
    responses((status = 200, body = SubscriberView), (status = 201, body = SubscriberView)))]
async fn put(
    _: Operator<WritePartners>,
    State(api): State<Api>,
    Param(id): Param<SubscriberId>,
    Body(body): Body<SubscriberBody>,
) -> Result<(StatusCode, Json<SubscriberView>), Problem> {
    let is_new = api.store.subscriber(&id).await?.is_none();
    let given = body.signing_secret.clone();
    let subscriber = read(id, body)?;
    let made = (is_new && given.is_none()).then(secret::signing_secret);
    // The secret first: what is posted to a subscriber that is known can always be signed.
    if let Some(secret) = given.as_ref().or(made.as_ref()) {
        store_secret(&api, &subscriber.id, secret).await?;
    }
    api.store.put_subscriber(&subscriber).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view(subscriber, made))))
}

/// Gives a webhook subscriber a new signing secret. Functions that run use it within five minutes.
#[utoipa::path(post, path = "/operator/subscribers/{id}/secret",
    tag = "subscribers", operation_id = "set_subscriber_secret",
    params(("id" = String, Path)),
    security(("jwt" = ["admin"])),
    responses((status = 200, body = NewSigningSecret)))]
async fn new_secret(
    _: Operator<WritePartners>,
    State(api): State<Api>,
    Param(id): Param<SubscriberId>,
) -> Result<Json<NewSigningSecret>, Problem> {
    let subscriber = known(&api, &id).await?;
    let signing_secret = secret::signing_secret();
    store_secret(&api, &subscriber.id, &signing_secret).await?;
    Ok(Json(NewSigningSecret { signing_secret }))
}

/// Removes a webhook subscriber and its secret: it gets nothing from now on.
#[utoipa::path(delete, path = "/operator/subscribers/{id}",
    tag = "subscribers", operation_id = "delete_subscriber",
    params(("id" = String, Path)),
    security(("jwt" = ["admin"])),
    responses((status = 204)))]
async fn delete(
    _: Operator<WritePartners>,
    State(api): State<Api>,
    Param(id): Param<SubscriberId>,
) -> Result<StatusCode, Problem> {
    api.store.delete_subscriber(&id).await?;
    let name = WebhookSubscriber::secret_name(&id, &api.stack);
    api.secrets.delete(&name).await.map_err(Problem::unavailable)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn known(api: &Api, id: &SubscriberId) -> Result<WebhookSubscriber, Problem> {
    api.store.subscriber(id).await?.ok_or_else(|| Problem::not_found("subscriber"))
}

async fn store_secret(api: &Api, id: &SubscriberId, secret: &str) -> Result<(), Problem> {
    let name = WebhookSubscriber::secret_name(id, &api.stack);
    api.secrets.put(&name, secret).await.map_err(Problem::unavailable)
}

fn read(id: SubscriberId, body: SubscriberBody) -> Result<WebhookSubscriber, Problem> {
    let mut check = Check::default();
    is_url(&mut check, "/url", &body.url);
    for (index, event_type) in body.event_types.iter().enumerate() {
        let is_known = messages::ACCOUNTING.contains(&event_type.as_str());
        let pointer = format!("/event_types/{index}");
        check.that(&pointer, is_known, &format!("one of {}", messages::ACCOUNTING.join(", ")));
    }
    let is_secret = body.signing_secret.as_deref().is_none_or(secret::is_signing_secret);
    check.that("/signing_secret", is_secret, "must be `whsec_` and 24 to 64 bytes in base64");
    check.finish(|| Some(WebhookSubscriber { id, url: body.url, event_types: body.event_types }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_cannot_wait_for_an_event_that_never_comes() {
        let body = SubscriberBody {
            url: "https://books.example/hook".to_owned(),
            event_types: vec!["payment.refunded".to_owned(), "session.priced".to_owned()],
            signing_secret: Some("whsec_short".to_owned()),
        };
        let problem = read("books".parse().unwrap(), body).unwrap_err();
        let pointers: Vec<_> = problem.errors().iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["/event_types/1", "/signing_secret"]);
        assert!(!format!("{problem:?}").contains("whsec_short"));
    }
}
