//! Reconciliations: what comparing memberships with the platform that bills them found. It is done
//! every night, and when somebody asks for it.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use http_api::{Log, Operator, Param, Problem, WriteEntitlements};
use messages::{Envelope, Event};
use network::Reconciliation;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, post)).routes(routes!(get))
}

/// What one run found and did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reconciliation)]
struct ReconciliationView {
    /// When it began, or was asked for.
    started_at: DateTime<Utc>,
    /// Subscriptions that the platform listed: those that have not ended.
    listed: usize,
    /// Entitlements whose tier a subscription pays for.
    entries: usize,
    /// Those that said what the platform says.
    confirmed: usize,
    /// Those that did not, and do now.
    repaired: usize,
    /// What was wrong with them: a hundred at most.
    drifts: Vec<DriftView>,
    /// Subscriptions of entitlements that the platform has never heard of; they give nothing now.
    unheard_of: Vec<String>,
    /// Subscriptions that run at the platform and no entitlement has.
    unclaimed: usize,
    /// A hundred of these at most.
    unclaimed_ids: Vec<String>,
    /// What could not be compared.
    failures: Vec<String>,
}

/// One entitlement that did not say what the platform says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
struct DriftView {
    /// The subscription.
    subscription: String,
    /// The status that the entitlement had.
    #[schema(example = "active")]
    was: String,
    /// The status at the platform.
    #[schema(example = "canceled")]
    is: String,
    /// The end of the paid period that the entitlement had.
    period_end_was: DateTime<Utc>,
    /// The end of the paid period at the platform.
    period_end_is: DateTime<Utc>,
}

impl From<Reconciliation> for ReconciliationView {
    fn from(report: Reconciliation) -> Self {
        let drifts = report.drifts.into_iter().map(|drift| DriftView {
            subscription: drift.subscription.0,
            was: drift.was.as_str().to_owned(),
            is: drift.is.as_str().to_owned(),
            period_end_was: drift.period_end_was,
            period_end_is: drift.period_end_is,
        });
        Self {
            started_at: report.started_at,
            listed: report.listed,
            entries: report.entries,
            confirmed: report.confirmed,
            repaired: report.repaired,
            drifts: drifts.collect(),
            unheard_of: report.unheard_of.into_iter().map(|id| id.0).collect(),
            unclaimed: report.unclaimed,
            unclaimed_ids: report.unclaimed_ids.into_iter().map(|id| id.0).collect(),
            failures: report.failures,
        }
    }
}

/// Lists what the runs found, newest first.
#[utoipa::path(get, path = "/operator/reconciliations",
    tag = "entitlements", operation_id = "list_reconciliations",
    security(("jwt" = ["admin", "support"])),
    responses((status = 200, body = [ReconciliationView])))]
async fn list(
    _: Operator<WriteEntitlements>,
    State(api): State<Api>,
) -> Result<Json<Vec<ReconciliationView>>, Problem> {
    let reports = api.store.reconciliations().await?;
    Ok(Json(reports.into_iter().map(ReconciliationView::from).collect()))
}

/// A run that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReconciliationRequest)]
struct RequestView {
    /// Its name.
    started_at: DateTime<Utc>,
    /// Where its report will be, when it is through.
    #[schema(example = "/operator/reconciliations/2026-03-01T12:00:00.000Z")]
    report: String,
}

/// Compares now, as every night: soon after, the report is where the answer says; until then there
/// is none (404).
#[utoipa::path(post, path = "/operator/reconciliations",
    tag = "entitlements", operation_id = "request_reconciliation",
    security(("jwt" = ["admin", "support"])),
    responses((status = 202, description = "It is being done", body = RequestView,
        headers(("Location" = String, description = "Where its report will be")))))]
async fn post(
    _: Operator<WriteEntitlements>,
    State(api): State<Api>,
    log: Log,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<RequestView>), Problem> {
    let requested_at = log.now().trunc_subsecs(3);
    let event = Event::ReconciliationRequested { requested_at };
    api.store.tell_once(&Envelope::new(event, log.now(), log.trace())).await?;
    let name = requested_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let report = format!("/operator/reconciliations/{name}");
    let view = RequestView { started_at: requested_at, report: report.clone() };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, report)], Json(view)))
}

/// Gets what one run found.
#[utoipa::path(get, path = "/operator/reconciliations/{started_at}",
    tag = "entitlements", operation_id = "get_reconciliation",
    params(("started_at" = String, Path, description = "When it began, or was asked for")),
    security(("jwt" = ["admin", "support"])),
    responses((status = 200, body = ReconciliationView)))]
async fn get(
    _: Operator<WriteEntitlements>,
    State(api): State<Api>,
    Param(started_at): Param<DateTime<Utc>>,
) -> Result<Json<ReconciliationView>, Problem> {
    let report = api.store.reconciliation(started_at).await?;
    let report = report.ok_or_else(|| Problem::not_found("reconciliation"))?;
    Ok(Json(report.into()))
}
