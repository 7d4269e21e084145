//! Payment methods: what the driver keeps at Stripe to pay with.
//!
//! A payment method is the driver's when Stripe says that their customer has it. Nothing that the
//! app sends is taken for it.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use futures_util::future::try_join_all;
use http_api::{Driver, Log, Param, Problem, ProblemType, idempotency_key};
use network::{Entitlement, Payer, StripeCustomerId, StripePaymentMethodId, Wallet};
use payments::{
    SavedMethod,
    money::{Card, Payment},
};
use quantities::DriverId;
use serde::Serialize;
use session::{Session, SessionState};
use store::Saved;
use tokio::try_join;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{api::Api, starts::no_outcome};

/// The newest sessions of a driver that are looked through before a method is removed.
const SESSIONS_LOOKED_AT: i32 = 50;
/// How often a tag's payer is changed anew because somebody else changed it meanwhile.
const ATTEMPTS_MAX: u32 = 5;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove))
        .routes(routes!(make_default))
}

/// A payment method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PaymentMethod)]
pub(crate) struct MethodView {
    /// Its id.
    #[schema(example = "pm_1MqLiJLkdIwHu7ixUEgbFdYF")]
    id: String,
    /// The card's brand.
    #[schema(example = "visa")]
    brand: String,
    /// The card's last four digits.
    #[schema(example = "4242")]
    last4: String,
    /// `apple_pay` or `google_pay`, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "apple_pay")]
    wallet: Option<String>,
    /// The month of its expiry.
    expiry_month: u32,
    /// The year of its expiry.
    expiry_year: u32,
    /// Whether the driver pays with it unless they say otherwise.
    is_default: bool,
}

/// A payment method that is being added.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PaymentMethodSetup)]
struct SetupView {
    /// The SetupIntent.
    id: String,
    /// For the app's Payment Element, which completes it.
    client_secret: String,
}

/// Lists the driver's payment methods, newest first.
#[utoipa::path(get, path = "/driver/payment-methods", tag = "payment methods",
    operation_id = "list_payment_methods",
    security(("jwt" = [])),
    responses((status = 200, body = Vec<MethodView>)))]
async fn list(driver: Driver, State(api): State<Api>) -> Result<Json<Vec<MethodView>>, Problem> {
    let (wallet, tags) = known_of(&api, &driver.id).await?;
    let Some(customer) = wallet.customer_among(&tags) else { return Ok(Json(vec![])) };
    let methods = api.cards.stripe().await?.methods_of(&customer).await.map_err(no_outcome)?;
    let default = default_of(&wallet, &tags);
    let view = |method: SavedMethod| MethodView::of(method, default.as_ref());
    Ok(Json(methods.into_iter().map(view).collect()))
}

/// Begins to add a payment method: a card, Apple Pay or Google Pay. The app's Payment Element
/// completes it with the client secret; then it is listed, and can be made the default one. The
/// same Idempotency-Key is the same setup.
#[utoipa::path(post, path = "/driver/payment-methods", tag = "payment methods",
    operation_id = "add_payment_method",
    params(("Idempotency-Key" = String, Header,
        description = "1 to 255 visible ASCII characters, new for every method")),
    security(("jwt" = [])),
    responses((status = 201, body = SetupView)))]
async fn add(
    driver: Driver,
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<SetupView>), Problem> {
    let key = session::digest(idempotency_key(&headers)?);
    let (wallet, tags) = known_of(&api, &driver.id).await?;
    let stripe = api.cards.stripe().await?;
    let customer = match (&wallet.customer, wallet.customer_among(&tags)) {
        (Some(customer), _) => customer.clone(),
        (None, of_tags) => {
            let made = match of_tags {
                Some(customer) => customer,
                None => stripe.create_customer(&driver.id).await.map_err(no_outcome)?,
            };
            let wallet = api.store.begin_wallet(&driver.id, &made).await?;
            wallet.customer.unwrap_or(made)
        }
    };
    let setup = stripe.set_up_method(&driver.id, &customer, &key).await.map_err(no_outcome)?;
    let view = SetupView { id: setup.id, client_secret: setup.client_secret };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Makes a payment method the one that the driver pays with: from the app, and with their tags.
#[utoipa::path(put, path = "/driver/payment-methods/{payment_method}/default",
    tag = "payment methods", operation_id = "set_default_payment_method",
    params(("payment_method" = String, Path)),
    security(("jwt" = [])),
    responses((status = 200, body = MethodView)))]
async fn make_default(
    driver: Driver,
    State(api): State<Api>,
    Param(id): Param<String>,
) -> Result<Json<MethodView>, Problem> {
    let (wallet, tags) = known_of(&api, &driver.id).await?;
    let (customer, method) = theirs(&api, &wallet, &tags, &id).await?;
    api.store.begin_wallet(&driver.id, &customer).await?;
    api.store.set_default_method(&driver.id, Some(&method.id)).await?;
    let payer = Payer::Card { customer, payment_method: method.id.clone() };
    for tag in tags {
        pay_with(&api, tag, &payer).await?;
    }
    let default = Some(method.id.clone());
    Ok(Json(MethodView::of(method, default.as_ref())))
}

/// Removes a payment method, for good. One that a session or a debt needs, or that a tag of the
/// driver's pays with, stays.
#[utoipa::path(delete, path = "/driver/payment-methods/{payment_method}",
    tag = "payment methods", operation_id = "remove_payment_method",
    params(("payment_method" = String, Path)),
    security(("jwt" = [])),
    responses((status = 204)))]
async fn remove(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<String>,
) -> Result<StatusCode, Problem> {
    let (wallet, tags) = known_of(&api, &driver.id).await?;
    let (_, method) = theirs(&api, &wallet, &tags, &id).await?;
    let method = method.id;
    if tags.iter().any(|known| pays(&known.payer, &method)) {
        return Err(needed("A tag of yours pays with it. Choose another one to pay with first."));
    }
    let pending = api.store.pending_app_starts().await?;
    let mut pending = pending.iter().filter(|known| known.driver_id.as_ref() == Some(&driver.id));
    if pending.any(|known| pays(&known.payer, &method)) {
        return Err(needed("A session that is starting pays with it."));
    }
    let until = log.now() + crate::sessions::CLOCK_AHEAD;
    let sessions = api.store.sessions_of_before(&driver.id, until, SESSIONS_LOOKED_AT).await?;
    let owed = wallet.owes.iter().map(|owed| owed.session_id);
    let paid = sessions.iter().filter(|session| pays(&session.payer, &method));
    if paid.clone().any(|session| !is_done(session)) {
        return Err(needed("A session that is not paid yet pays with it."));
    }
    let payments = paid.map(|session| session.id).chain(owed).map(|id| api.store.payment(id));
    let payments = try_join_all(payments).await?;
    if payments.iter().flatten().any(|payment| needs(payment, &method)) {
        return Err(needed("A session that is not paid yet, or a debt, needs it."));
    }
    if wallet.default_method.as_ref() == Some(&method) {
        api.store.set_default_method(&driver.id, None).await?;
    }
    api.cards.stripe().await?.forget_method(&method).await.map_err(no_outcome)?;
    Ok(StatusCode::NO_CONTENT)
}

fn needed(detail: &str) -> Problem {
    Problem::new(ProblemType::Conflict, detail)
}

fn pays(payer: &Payer, method: &StripePaymentMethodId) -> bool {
    matches!(payer, Payer::Card { payment_method, .. } if payment_method == method)
}

/// Priced, or nothing to be billed: what is still to be collected its payment knows.
const fn is_done(session: &Session) -> bool {
    matches!(session.state, SessionState::Rated | SessionState::Waived)
}

fn needs(payment: &Payment, method: &StripePaymentMethodId) -> bool {
    let with = matches!(
        &payment.card,
        Card::Saved { payment_method, .. } if payment_method == method
    );
    with && (!payment.is_settled() || payment.debt.is_some())
}

/// The driver's wallet and their tags.
pub(crate) async fn known_of(
    api: &Api,
    driver: &DriverId,
) -> Result<(Wallet, Vec<Entitlement>), Problem> {
    Ok(try_join!(api.store.wallet(driver), api.store.entitlements_of(driver))?)
}

/// The driver's customer, and the payment method of this id that it has; refused as if there were
/// none when it is somebody else's.
pub(crate) async fn theirs(
    api: &Api,
    wallet: &Wallet,
    tags: &[Entitlement],
    id: &str,
) -> Result<(StripeCustomerId, SavedMethod), Problem> {
    let missing = || Problem::not_found("payment method");
    // It becomes part of a path at Stripe.
    let is_id = id.starts_with("pm_") && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let id = Some(id).filter(|_| is_id).ok_or_else(missing)?;
    let customer = wallet.customer_among(tags).ok_or_else(missing)?;
    let id = StripePaymentMethodId(id.to_owned());
    let method = api.cards.stripe().await?.method(&id).await.map_err(no_outcome)?;
    let method = method.ok_or_else(missing)?;
    if method.customer.as_ref() != Some(&customer) {
        return Err(Problem::somebody_elses("payment method"));
    }
    Ok((customer, method))
}

/// What the driver pays with unless they say otherwise: what they chose, or else what their tag
/// pays with.
fn default_of(wallet: &Wallet, tags: &[Entitlement]) -> Option<StripePaymentMethodId> {
    let of_tags = || {
        let cards = tags.iter().filter_map(|known| match &known.payer {
            Payer::Card { payment_method, .. } => Some((&known.id_tag, payment_method)),
            _ => None,
        });
        cards.min_by_key(|(tag, _)| *tag).map(|(_, method)| method.clone())
    };
    wallet.default_method.clone().or_else(of_tags)
}

/// Has a tag pay with the driver's own method, where it does or where nobody is known to pay. What
/// an account, a partner or nobody pays for stays so.
async fn pay_with(api: &Api, tag: Entitlement, payer: &Payer) -> Result<(), Problem> {
    let mut standing = Some(tag);
    for _ in 0..ATTEMPTS_MAX {
        let Some(tag) = standing else { return Ok(()) };
        let is_own = matches!(tag.payer, Payer::Card { .. } | Payer::Unknown);
        if !is_own || tag.payer == *payer {
            return Ok(());
        }
        if api.store.set_payer(&tag.id_tag, &tag.payer, payer).await? == Saved::New {
            return Ok(());
        }
        standing = api.store.entitlement(&tag.id_tag).await?;
    }
    let detail = "One of your tags is being changed. Try the same request again.";
    Err(Problem::new(ProblemType::Stale, detail))
}

impl MethodView {
    fn of(method: SavedMethod, default: Option<&StripePaymentMethodId>) -> Self {
        let is_default = default == Some(&method.id);
        let SavedMethod { id, brand, last4, wallet, expiry_month, expiry_year, .. } = method;
        Self { id: id.0, brand, last4, wallet, expiry_month, expiry_year, is_default }
    }
}
