//! Receipts by e-mail: whether the driver wants them.

use axum::{Json, extract::State, http::StatusCode};
use http_api::{Body, Driver, Problem, ProblemType};
use network::EmailAddress;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get, set, forget))
}

/// What a driver wants.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReceiptsWish)]
struct WishBody {
    /// Whether receipts and credit notes are mailed.
    by_email: bool,
}

/// What a driver gets.
// Without Debug: an address is shown to nobody else.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Receipts)]
struct WishView {
    /// Whether receipts and credit notes are mailed.
    by_email: bool,
    /// Where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.com")]
    email: Option<String>,
}

/// Says whether the driver's receipts are mailed, and where to.
#[utoipa::path(get, path = "/driver/receipts", tag = "receipts", operation_id = "get_receipts",
    security(("jwt" = [])),
    responses((status = 200, body = WishView)))]
async fn get(driver: Driver, State(api): State<Api>) -> Result<Json<WishView>, Problem> {
    let wallet = api.store.wallet(&driver.id).await?;
    Ok(Json(WishView::of(wallet.receipts_to.as_ref())))
}

/// Has the driver's receipts and credit notes mailed from now on, or no more. They go to the
/// address in the token (claim `email`), which its issuer must have verified (`email_verified`):
/// nobody has mail sent to a stranger. Another address in a later token counts once this is sent
/// with it.
#[utoipa::path(put, path = "/driver/receipts", tag = "receipts", operation_id = "set_receipts",
    request_body = WishBody,
    security(("jwt" = [])),
    responses((status = 200, body = WishView)))]
async fn set(
    driver: Driver,
    State(api): State<Api>,
    Body(body): Body<WishBody>,
) -> Result<Json<WishView>, Problem> {
    let to = if body.by_email { Some(address(&api, &driver)?) } else { None };
    api.store.set_receipts_to(&driver.id, to).await?;
    Ok(Json(WishView::of(to)))
}

/// Mails no more, and forgets the address.
#[utoipa::path(delete, path = "/driver/receipts", tag = "receipts",
    operation_id = "forget_receipts",
    security(("jwt" = [])),
    responses((status = 204)))]
async fn forget(driver: Driver, State(api): State<Api>) -> Result<StatusCode, Problem> {
    api.store.set_receipts_to(&driver.id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where mail to the driver goes.
fn address<'a>(api: &Api, driver: &'a Driver) -> Result<&'a EmailAddress, Problem> {
    if !api.sends_mail {
        let detail = "The operator sends no mail. The receipt of each session is in the app.";
        return Err(Problem::new(ProblemType::Conflict, detail));
    }
    driver.email.as_ref().ok_or_else(|| {
        let detail = "Your account has no verified e-mail address (claims `email` and \
                      `email_verified`). Verify it where you sign in, sign in again, and try again.";
        Problem::new(ProblemType::EmailNotVerified, detail)
    })
}

impl WishView {
    fn of(to: Option<&EmailAddress>) -> Self {
        Self { by_email: to.is_some(), email: to.map(|to| to.as_str().to_owned()) }
    }
}
