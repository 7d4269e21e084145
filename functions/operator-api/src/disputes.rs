//! Disputes: what banks took back, and what is answered.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use http_api::{
    AmountView, AnswerDisputes, Body, Check, Log, Operator, Param, Problem, ProblemType,
    ReadSessions,
};
use payments::PaymentError;
use payments::StripeClient;
use receipts::{Case, Decided, Decision, Evidence, Receipt, evidence};
use serde::{Deserialize, Serialize};
use session::timeline;
use store::{DisputeRow, SessionFile, Stored};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(packet, answer))
}

/// A dispute.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Dispute)]
struct DisputeView {
    /// Stripe's id of it.
    id: String,
    /// The session whose payment is disputed.
    session_id: String,
    /// How much of it.
    amount: AmountView,
    /// Why, in Stripe's words.
    #[schema(example = "fraudulent")]
    reason: String,
    /// `needs_response`, `under_review`, `won`, `lost`, `warning_…`.
    #[schema(example = "needs_response")]
    status: String,
    /// Until when evidence is taken.
    due_by: Option<DateTime<Utc>>,
    /// Whether the bank has the money.
    withdrawn: bool,
    /// What Stripe charges for it, less what it gave back.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<AmountView>,
}

/// An answer to a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = DisputeAnswer)]
enum AnswerBody {
    /// Submit the evidence. Once: a bank looks at what it gets first.
    Submit {
        /// Why it is right to fight it.
        reason: String,
    },
    /// Give it up: it is lost.
    Accept {
        /// Why.
        reason: String,
    },
}

/// The answer was given.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DisputeAnswered)]
struct AnsweredView {
    /// The dispute's status at Stripe now.
    #[schema(example = "under_review")]
    status: String,
}

/// Lists the disputes that are not closed, the one that is due last first.
#[utoipa::path(get, path = "/operator/disputes",
    tag = "disputes", operation_id = "list_disputes",
    security(("jwt" = ["support", "finance"])),
    responses((status = 200, body = Vec<DisputeView>)))]
async fn list(
    _: Operator<ReadSessions>,
    State(api): State<Api>,
) -> Result<Json<Vec<DisputeView>>, Problem> {
    let open = api.store.open_disputes().await?;
    Ok(Json(open.into_iter().map(DisputeView::from).collect()))
}

/// Gets a dispute, closed or not.
#[utoipa::path(get, path = "/operator/disputes/{dispute_id}",
    tag = "disputes", operation_id = "get_dispute",
    params(("dispute_id" = String, Path)),
    security(("jwt" = ["support", "finance"])),
    responses((status = 200, body = DisputeView)))]
async fn get(
    _: Operator<ReadSessions>,
    State(api): State<Api>,
    Param(id): Param<String>,
) -> Result<Json<DisputeView>, Problem> {
    Ok(Json(row(&api, &id).await?.into()))
}

/// Gets the evidence that the session gives: the fields of Stripe's `dispute.evidence`.
#[utoipa::path(get, path = "/operator/disputes/{dispute_id}/evidence",
    tag = "disputes", operation_id = "get_evidence",
    params(("dispute_id" = String, Path)),
    security(("jwt" = ["support", "finance"])),
    responses((status = 200, body = BTreeMap<String, String>)))]
async fn packet(
    _: Operator<ReadSessions>,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<String>,
) -> Result<Json<BTreeMap<String, String>>, Problem> {
    let row = row(&api, &id).await?;
    log.session(row.session_id);
    let file = api.store.session_file(row.session_id).await?;
    Ok(Json(Box::pin(built(&api, file)).await?.0))
}

/// Answers a dispute with the evidence, or gives it up. The same answer again is one answer.
#[utoipa::path(post, path = "/operator/disputes/{dispute_id}/evidence",
    tag = "disputes", operation_id = "answer_dispute",
    params(("dispute_id" = String, Path)),
    request_body = AnswerBody,
    security(("jwt" = ["finance"])),
    responses((status = 202, description = "Stripe has it", body = AnsweredView)))]
async fn answer(
    operator: Operator<AnswerDisputes>,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<String>,
    Body(body): Body<AnswerBody>,
) -> Result<(StatusCode, Json<AnsweredView>), Problem> {
    let row = row(&api, &id).await?;
    log.session(row.session_id);
    if row.dispute.is_closed() {
        return Err(Problem::new(ProblemType::Conflict, "The dispute is closed."));
    }
    let (what, reason) = body.read()?;
    let what = match what {
        Answer::Submit => {
            let file = api.store.session_file(row.session_id).await?;
            let evidence = Box::pin(built(&api, file)).await?;
            Decided::SubmitEvidence { dispute: id.clone(), evidence }
        }
        Answer::Accept => Decided::AcceptDispute { dispute: id.clone() },
    };
    let decision = decision(what, &id, reason, operator.subject, log.now());
    // Known before Stripe is asked. The same again asks again with what was decided first: the
    // session may have learnt something since, and one key is for one text.
    let stored =
        api.store.decide(row.session_id, &decision, None, None, None, log.now(), &[]).await?;
    let decision = if let Stored::Exists(standing) = stored { *standing } else { decision };
    let stripe = api.stripe().await?.asked_since(decision.at);
    let answered = match &decision.what {
        Decided::SubmitEvidence { evidence, .. } => stripe.submit_evidence(&id, &evidence.0).await,
        _ => stripe.accept_dispute(&id).await,
    };
    let status = match answered {
        Ok(dispute) => dispute.status,
        Err(error) => return Err(told(&stripe, &id, error).await),
    };
    log.field("dispute_status", status.as_str());
    log.outcome("answered");
    Ok((StatusCode::ACCEPTED, Json(AnsweredView { status })))
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Submit,
    Accept,
}

impl AnswerBody {
    /// What is answered, and why.
    fn read(&self) -> Result<(Answer, String), Problem> {
        let (answer, reason) = match self {
            Self::Submit { reason } => (Answer::Submit, reason),
            Self::Accept { reason } => (Answer::Accept, reason),
        };
        let mut check = Check::default();
        let reason = check.text("/reason", reason, 500);
        check.finish(|| reason.map(|reason| (answer, reason)))
    }
}

fn decision(
    what: Decided,
    dispute: &str,
    reason: String,
    by: String,
    at: DateTime<Utc>,
) -> Decision {
    let name = if matches!(what, Decided::AcceptDispute { .. }) { "accept" } else { "evidence" };
    let id = format!("{name}-{dispute}");
    Decision { id, request: name.to_owned(), what, reason, by, at }
}

async fn row(api: &Api, id: &str) -> Result<DisputeRow, Problem> {
    api.store.dispute(id).await?.ok_or_else(|| Problem::not_found("dispute"))
}

async fn built(api: &Api, file: SessionFile) -> Result<Evidence, Problem> {
    let missing = |what: &str| anyhow::anyhow!("a disputed session has no {what}");
    let SessionFile { session, meter_values, rated, payment, credit_notes, .. } = file;
    let price = rated.ok_or_else(|| missing("price"))?;
    let site = api.store.site(&session.site_id).await?.ok_or_else(|| missing("site"))?;
    let tariff = api.store.tariff(&price.tariff).await?;
    let charger = api.store.charger(&session.charge_point_id).await?;
    let until = session.started_at;
    let timeline = timeline(&session, &meter_values, &[], until, charger.as_ref());
    let taken = payment.map(|payment| format!("{} were taken from the card.", payment.captured));
    let credit_notes = credit_notes.into_iter().map(|(_, note)| note).collect();
    let receipt = Receipt { session, site, price, paid: taken.into_iter().collect(), credit_notes };
    let meter_values = meter_values.as_slice();
    Ok(evidence(&Case { receipt: &receipt, tariff: &tariff, timeline: &timeline, meter_values }))
}

/// What became of an answer that Stripe did not take: it is too late only if the dispute says so.
async fn told(stripe: &StripeClient, id: &str, error: PaymentError) -> Problem {
    if !matches!(error, PaymentError::Rejected { .. }) {
        return Problem::unavailable(error);
    }
    match stripe.dispute(id).await {
        Ok(now) if matches!(now.status.as_str(), "needs_response" | "warning_needs_response") => {
            Problem::from(anyhow::Error::from(error))
        }
        Ok(now) => {
            let detail = format!("Stripe takes no answer any more: the dispute is {}.", now.status);
            Problem::new(ProblemType::Conflict, &detail).because(error)
        }
        Err(unknown) => Problem::unavailable(unknown),
    }
}

impl From<DisputeRow> for DisputeView {
    fn from(row: DisputeRow) -> Self {
        let DisputeRow { session_id, dispute } = row;
        Self {
            withdrawn: dispute.is_withdrawn(),
            fee: dispute.fee_left().map(AmountView::from),
            id: dispute.id,
            session_id: session_id.to_string(),
            amount: dispute.amount.into(),
            reason: dispute.reason,
            status: dispute.status,
            due_by: dispute.due_by,
        }
    }
}
