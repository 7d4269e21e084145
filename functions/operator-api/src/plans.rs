//! Plans: immutable versions of what a member or a fleet pays less, and what accounts have used.

use std::collections::BTreeSet;

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use http_api::{
    AmountView, Body, Log, Operator, Param, PlanRefView, Problem, ProblemType, ReadNetwork,
    Violation, WriteNetwork,
};
use network::{Offer, PlanMembership};
use plans::{Finding, Known, Month, Plan, PlanVersion, Severity};
use quantities::{AccountId, PlanId, PlanRef};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::Saved;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

/// How often the next version number is tried for when others publish at the same time.
const ATTEMPTS_MAX: u32 = 5;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, publish)).routes(routes!(get)).routes(routes!(usage))
}

/// A plan version to publish.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    /// Sessions that start from this moment on have it. Not in the past, but for the first version
    /// of a plan, which nobody can have had.
    from: DateTime<Utc>,
    /// What it says: `name`, `currency`, `time_zone` (whose months count), `sites`, `discounts`,
    /// `waive_start_fee`, `allowances`, `spending_cap`, `cost_centre`. `id` is the path's, given or
    /// not.
    #[schema(value_type = Object)]
    plan: Map<String, Value>,
}

/// A published plan version. It never changes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PlanVersion)]
struct PlanView {
    /// Which plan, and which version of it.
    reference: PlanRefView,
    /// Sessions that start from this moment on have it, until a later version begins.
    from: DateTime<Utc>,
    /// What it says.
    #[schema(value_type = Object)]
    plan: Plan,
    /// What is to be known about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<FindingView>,
}

/// Something to be known about a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PlanFinding)]
struct FindingView {
    /// Stable code.
    code: String,
    /// JSON pointer (RFC 6901) to what it is about.
    #[schema(example = "/plan/discounts/0")]
    pointer: String,
    /// What, and what to do.
    message: String,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        Self { code: finding.code, pointer: pointer(&finding.place), message: finding.message }
    }
}

/// What an account has used under a plan in a calendar month.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AccountUsage)]
struct UsageView {
    /// The month, on the calendars of the plan's time zone.
    #[schema(example = "2026-03")]
    month: String,
    /// Energy in kWh.
    energy_kwh: Decimal,
    /// Minutes of charging.
    charging_minutes: Decimal,
    /// Minutes of standing idle.
    idle_minutes: Decimal,
    /// What was to be paid, taxes included.
    spent: AmountView,
    /// Until when the account starts nothing more, because it has reached its spending cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    capped_until: Option<DateTime<Utc>>,
}

fn view(version: PlanVersion, findings: Vec<FindingView>) -> PlanView {
    PlanView {
        reference: (&version.reference).into(),
        from: version.from,
        plan: version.plan,
        findings,
    }
}

/// Lists the published versions of a plan, oldest first.
#[utoipa::path(get, path = "/operator/plans/{id}/versions",
    tag = "plans", operation_id = "list_plan_versions",
    params(("id" = String, Path)),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = Vec<PlanView>)))]
async fn list(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Param(id): Param<PlanId>,
) -> Result<Json<Vec<PlanView>>, Problem> {
    let versions = api.store.plan_versions(&id).await?;
    Ok(Json(versions.into_iter().map(|version| view(version, vec![])).collect()))
}

/// Gets one version of a plan.
#[utoipa::path(get, path = "/operator/plans/{id}/versions/{version}",
    tag = "plans", operation_id = "get_plan_version",
    params(("id" = String, Path), ("version" = u32, Path)),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = PlanView)))]
async fn get(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Param((id, version)): Param<(PlanId, u32)>,
) -> Result<Json<PlanView>, Problem> {
    let version = api.store.plan(&PlanRef { id, version }).await?;
    Ok(Json(view(version, vec![])))
}

/// Publishes the next version of a plan. The same content again is the same version. Sessions that
/// run keep the version that was in force when they started.
#[utoipa::path(post, path = "/operator/plans/{id}/versions",
    tag = "plans", operation_id = "publish_plan_version",
    params(("id" = String, Path)),
    request_body = PlanBody,
    security(("jwt" = ["admin"])),
    responses((status = 200, description = "This is the newest version already", body = PlanView),
        (status = 201, body = PlanView)))]
async fn publish(
    _: Operator<WriteNetwork>,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<PlanId>,
    Body(body): Body<PlanBody>,
) -> Result<(StatusCode, Json<PlanView>), Problem> {
    let plan = read(&id, body.plan)?;
    let findings = refuse_errors(findings(&api, &plan, body.from).await?)?;
    let reference = PlanRef { id: id.clone(), version: 1 };
    let mut version = PlanVersion { reference, from: body.from, plan };
    for _ in 0..ATTEMPTS_MAX {
        if let Some(newest) = api.store.plan_versions(&id).await?.pop() {
            if newest.from == version.from && newest.plan == version.plan {
                return Ok((StatusCode::OK, Json(view(newest, findings))));
            }
            follows(&version, &newest, log.now())?;
            version.reference.version = newest.reference.version.saturating_add(1);
        }
        if api.store.publish_plan(&version).await? == Saved::New {
            return Ok((StatusCode::CREATED, Json(view(version, findings))));
        }
    }
    let detail = "Others publish versions of this plan just now. Look at theirs and try again.";
    Err(Problem::new(ProblemType::Stale, detail))
}

/// Gets what an account has used in a calendar month, such as `2026-03`.
#[utoipa::path(get, path = "/operator/plans/{id}/accounts/{account}/usage/{month}",
    tag = "plans", operation_id = "get_usage",
    params(("id" = String, Path), ("account" = String, Path), ("month" = String, Path)),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = UsageView)))]
async fn usage(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Param((plan, account, month)): Param<(PlanId, AccountId, Month)>,
) -> Result<Json<UsageView>, Problem> {
    let version = api.store.plan_versions(&plan).await?.pop();
    let version = version.ok_or_else(|| Problem::not_found("plan"))?;
    let member = PlanMembership { plan, account, cost_centre: None };
    let used = api.store.usage(&member, month, version.plan.currency).await?.used;
    let minutes = |ms: i64| (Decimal::from(ms) / Decimal::from(60_000)).normalize();
    Ok(Json(UsageView {
        month: used.month.to_string(),
        energy_kwh: (used.energy_wh / Decimal::ONE_THOUSAND).normalize(),
        charging_minutes: minutes(used.time_ms),
        idle_minutes: minutes(used.parking_ms),
        spent: used.spent.into(),
        capped_until: api.store.capped_until(&member).await?,
    }))
}

/// What is wrong with it in this network: at the sites that it covers, under the tariffs that are
/// on offer there from its beginning on.
async fn findings(api: &Api, plan: &Plan, from: DateTime<Utc>) -> Result<Vec<Finding>, Problem> {
    let sites = api.store.sites().await?;
    let covered = sites.iter().filter(|site| plan.sites.covers(&site.id, &site.groups));
    let offers = try_join_all(covered.map(|site| api.store.offers(&site.id))).await?;
    let on_offer = offers.iter().flat_map(|offers| offers.by_tier.values());
    let on_offer = on_offer.flat_map(|offers| from_then_on(offers, from));
    let on_offer: BTreeSet<_> = on_offer.map(|offer| offer.tariff.clone()).collect();
    let versions = on_offer.iter().map(|tariff| api.store.tariff(tariff));
    let tariffs = try_join_all(versions).await?.into_iter().map(|version| version.tariff);
    let tariffs: Vec<_> = tariffs.collect();
    // Before anything is on offer, there is nothing to hold it against.
    let tariffs = (!tariffs.is_empty()).then_some(&*tariffs);
    Ok(plan.validate(&Known { sites: Some(&sites), tariffs }))
}

/// The offer in force at `from`, and those that follow.
fn from_then_on(offers: &[Offer], from: DateTime<Utc>) -> &[Offer] {
    let begun = offers.partition_point(|offer| offer.from <= from);
    offers.get(begun.saturating_sub(1)..).unwrap_or_default()
}

/// Errors as a problem, warnings to pass on.
fn refuse_errors(findings: Vec<Finding>) -> Result<Vec<FindingView>, Problem> {
    if findings.iter().all(|finding| finding.severity != Severity::Error) {
        return Ok(findings.into_iter().map(FindingView::from).collect());
    }
    let violation = |finding: Finding| Violation {
        pointer: pointer(&finding.place),
        detail: finding.message,
        code: Some(finding.code),
    };
    let violations = findings.into_iter().map(violation).collect();
    Err(Problem::invalid(ProblemType::InvalidPlan, violations))
}

/// The plan as it was written, under the id of the path.
fn read(id: &PlanId, mut given: Map<String, Value>) -> Result<Plan, Problem> {
    let invalid = |pointer: String, detail: String| Violation { pointer, detail, code: None };
    let stated = given.insert("id".to_owned(), id.as_str().into());
    let mut violations = Vec::new();
    if stated.is_some_and(|stated| stated != id.as_str()) {
        violations.push(invalid("/plan/id".to_owned(), format!("must be `{id}`, or left out")));
    }
    match plans::read::plan(&Value::Object(given).to_string()) {
        Ok(plan) if violations.is_empty() => return Ok(plan),
        Ok(_) => {}
        Err(problems) => {
            let problems = problems.into_iter();
            violations
                .extend(problems.map(|problem| invalid(pointer(&problem.path), problem.message)));
        }
    }
    Err(Problem::invalid(ProblemType::InvalidPlan, violations))
}

/// A place such as `discounts[0].by` as a JSON pointer into the request.
fn pointer(place: &str) -> String {
    let place = place.replace(['.', '['], "/").replace(']', "");
    format!("/plan/{place}").trim_end_matches('/').to_owned()
}

/// What a version must have in common with those before it. What an account has used is counted by
/// month in one currency: neither changes while it counts.
fn follows(version: &PlanVersion, before: &PlanVersion, now: DateTime<Utc>) -> Result<(), Problem> {
    let mut violations = Vec::new();
    let mut wrong = |pointer: &str, detail: String| {
        violations.push(Violation { pointer: pointer.to_owned(), detail, code: None });
    };
    if version.from < now {
        wrong("/from", format!("must not be in the past; it is {now} now"));
    }
    let (next, last) = (&version.plan, &before.plan);
    if next.currency != last.currency {
        wrong("/plan/currency", format!("must stay {}; make a new plan", last.currency));
    }
    if next.time_zone != last.time_zone {
        wrong("/plan/time_zone", format!("must stay {}; make a new plan", last.time_zone));
    }
    if violations.is_empty() {
        return Ok(());
    }
    Err(Problem::invalid(ProblemType::InvalidPlan, violations))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(from: &str, currency: &str) -> PlanVersion {
        let id: PlanId = "GOLD".parse().unwrap();
        let plan = json!({ "name": "Gold", "currency": currency, "time_zone": "Europe/Berlin" });
        let plan = read(&id, plan.as_object().unwrap().clone()).unwrap();
        PlanVersion { reference: PlanRef { id, version: 1 }, from: from.parse().unwrap(), plan }
    }

    #[test]
    fn all_that_is_wrong_with_a_plan_is_told_with_its_place() {
        let given = json!({
            "id": "SILVER", "name": "Gold", "currency": "EUR", "time_zone": "Berlin",
            "discounts": [{ "dimension": "ENERGY", "by": { "percents": 10 } }],
        });
        let problem = read(&"GOLD".parse().unwrap(), given.as_object().unwrap().clone());
        let problem = problem.unwrap_err();
        let told: Vec<_> = problem.errors().iter().map(|error| error.pointer.as_str()).collect();
        assert!(told.contains(&"/plan/id"), "{told:?}");
        assert!(told.contains(&"/plan/time_zone"), "{told:?}");
        assert!(told.contains(&"/plan/discounts/0/by/percents"), "{told:?}");
    }

    #[test]
    fn a_version_begins_neither_in_the_past_nor_in_another_currency() {
        let now = "2026-03-01T00:00:00Z".parse().unwrap();
        let first = version("2020-01-01T00:00:00Z", "EUR");
        assert!(follows(&version("2026-03-01T00:00:00Z", "EUR"), &first, now).is_ok());
        let problem = follows(&version("2026-02-28T23:59:59Z", "USD"), &first, now).unwrap_err();
        assert_eq!(problem.errors().len(), 2, "{problem:?}");
    }
}
