//! Reconciliations: what the nightly comparison of memberships with the platform that bills them
//! found.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use http_api::{Operator, Problem, WriteEntitlements};
use network::Reconciliation;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What one run found and did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reconciliation)]
struct ReconciliationView {
    /// When it began.
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

/// Lists what the nightly runs found, newest first.
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
