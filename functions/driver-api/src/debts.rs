//! What the driver owes, and how they settle it.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use collection::ChangeError;
use futures_util::future::try_join_all;
use http_api::{AmountView, Body, Driver, Log, Param, Problem, ProblemType};
use network::Owed;
use payments::{
    MoneyError, Payment,
    money::{Card, collect_again, offer_link},
};
use quantities::SessionId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::Api,
    methods::{known_of, theirs as their_method},
    sessions::theirs,
    words::RefusalView,
};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(pay)).routes(routes!(link))
}

/// What is owed for one session.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Debt)]
struct DebtView {
    /// The session.
    session_id: String,
    /// How much is owed.
    amount: AmountView,
    /// Since when.
    since: DateTime<Utc>,
    /// Why it could not be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalView>,
    /// Whether it is being taken, or a page to pay on is being made, just now.
    in_progress: bool,
    /// A page at Stripe to pay on, if one is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_link: Option<String>,
}

/// With what a debt is paid.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PayBody {
    /// One of the driver's payment methods; the one that was refused, if left out.
    #[serde(default)]
    #[schema(example = "pm_1MqLiJLkdIwHu7ixUEgbFdYF")]
    payment_method: Option<String>,
}

/// Lists what the driver owes, the oldest first. Until it is settled, they start nothing that their
/// own card would pay.
#[utoipa::path(get, path = "/driver/debts", tag = "debts", operation_id = "list_debts",
    security(("jwt" = [])),
    responses((status = 200, body = Vec<DebtView>)))]
async fn list(driver: Driver, State(api): State<Api>) -> Result<Json<Vec<DebtView>>, Problem> {
    let owes = api.store.wallet(&driver.id).await?.owes;
    let payments = owes.iter().map(|owed| api.store.payment(owed.session_id));
    let payments = try_join_all(payments).await?;
    let known = owes.iter().zip(payments);
    let debts = known.filter_map(|(owed, payment)| DebtView::of(&payment?, Some(owed)));
    Ok(Json(debts.collect()))
}

/// Pays a debt with one of the driver's payment methods, now. Look at the debts to see it go.
#[utoipa::path(post, path = "/driver/debts/{session_id}/pay", tag = "debts",
    operation_id = "pay_debt",
    params(("session_id" = String, Path)),
    request_body = PayBody,
    security(("jwt" = [])),
    responses((status = 202, description = "The card is being asked", body = DebtView)))]
async fn pay(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<SessionId>,
    Body(body): Body<PayBody>,
) -> Result<(StatusCode, Json<DebtView>), Problem> {
    let payment = debt_of(&api, &driver, id, &log).await?;
    let card = match body.payment_method {
        Some(asked) => {
            let (wallet, tags) = known_of(&api, &driver.id).await?;
            let (customer, method) = their_method(&api, &wallet, &tags, &asked).await?;
            Card::Saved { customer, payment_method: method.id }
        }
        None => payment.card,
    };
    changed(&api, id, &log, |payment| collect_again(payment, card.clone())).await
}

/// Asks for a page at Stripe to pay a debt on, with any card. Look at the debts to see it come.
#[utoipa::path(post, path = "/driver/debts/{session_id}/link", tag = "debts",
    operation_id = "link_debt",
    params(("session_id" = String, Path)),
    security(("jwt" = [])),
    responses((status = 202, description = "The page is being made", body = DebtView)))]
async fn link(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<SessionId>,
) -> Result<(StatusCode, Json<DebtView>), Problem> {
    debt_of(&api, &driver, id, &log).await?;
    changed(&api, id, &log, offer_link).await
}

/// The payment of a session of this driver's that is owed for.
async fn debt_of(api: &Api, driver: &Driver, id: SessionId, log: &Log) -> Result<Payment, Problem> {
    log.session(id);
    let session = api.store.find_session(id).await?;
    theirs(&session.ok_or_else(|| Problem::not_found("session"))?, driver)?;
    let payment = api.store.payment(id).await?.filter(|payment| payment.bars().is_some());
    payment.ok_or_else(no_debt)
}

fn no_debt() -> Problem {
    Problem::new(ProblemType::Conflict, "Nothing is owed for this session.")
}

async fn changed(
    api: &Api,
    id: SessionId,
    log: &Log,
    change: impl Fn(Payment) -> Result<Payment, MoneyError>,
) -> Result<(StatusCode, Json<DebtView>), Problem> {
    let changed = collection::change(&api.store, id, log, change).await.map_err(problem)?;
    let payment = changed.ok_or_else(no_debt)?.after;
    let view = DebtView::of(&payment, None).ok_or_else(no_debt)?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

fn problem(error: ChangeError) -> Problem {
    match error {
        ChangeError::Money(MoneyError::InProgress { .. }) => {
            let detail = "The card is being asked just now. Look at the debts again in a moment.";
            Problem::new(ProblemType::Conflict, detail)
        }
        ChangeError::Money(MoneyError::OutOfStep { .. }) => no_debt(),
        ChangeError::Store(error) => error.into(),
        error => anyhow::Error::from(error).into(),
    }
}

impl DebtView {
    /// None if nothing is owed that could be paid.
    fn of(payment: &Payment, owed: Option<&Owed>) -> Option<Self> {
        let debt = payment.bars()?;
        Some(Self {
            session_id: payment.session_id.to_string(),
            amount: payment.owed.into(),
            since: owed.map_or(debt.refused_at, |owed| owed.since),
            refusal: payment.refusal.as_ref().map(RefusalView::from),
            in_progress: payment.pending.is_some() || debt.again_now || debt.link_wanted,
            pay_link: payment.open_link().map(|link| link.url.clone()),
        })
    }
}
