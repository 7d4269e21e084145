//! Tariffs: immutable versions of an OCPI tariff with its terms.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use http_api::{
    Body, Log, Operator, Param, Problem, ProblemType, ReadNetwork, TariffRefView, Violation,
    WriteNetwork,
};
use ocpi::{Tariff, Version, read::Reading};
use quantities::{TariffId, TariffRef};
use rating::{Place, Severity, TariffFinding, TariffVersion, Terms};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::Saved;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{api::Api, schedules::ScheduleBody, terms::TermsBody};

/// How often the next version number is tried for when others publish at the same time.
const ATTEMPTS_MAX: u32 = 5;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, publish)).routes(routes!(get))
}

/// A tariff version to publish.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TariffBody {
    /// An OCPI Tariff object of version 2.2.1 or 2.3.0. `country_code`, `party_id` and `id` are
    /// ours, given or not; `last_updated` is when it is published.
    #[schema(value_type = Object)]
    tariff: Map<String, Value>,
    /// What OCPI cannot say.
    #[serde(default)]
    #[schema(value_type = TermsBody, required = false)]
    terms: Terms,
    /// Prices of energy from a utility's schedule; the tariff then states all others.
    #[serde(default)]
    schedule: Option<ScheduleBody>,
}

/// A published tariff version. It never changes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TariffVersion)]
struct TariffView {
    /// Which tariff, and which version of it.
    reference: TariffRefView,
    /// The OCPI Tariff object: 2.2.1, with `tax_included` of 2.3.0 where it was given.
    #[schema(value_type = Object)]
    tariff: Tariff,
    /// What OCPI cannot say.
    #[schema(value_type = TermsBody)]
    terms: Terms,
    /// What is to be known about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<FindingView>,
}

/// Something to be known about a tariff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TariffFinding)]
pub(crate) struct FindingView {
    /// Stable code.
    code: String,
    /// Index of the element it is about; none when it is about the whole tariff.
    #[serde(skip_serializing_if = "Option::is_none")]
    element: Option<usize>,
    /// What, and what to do.
    message: String,
}

impl From<TariffFinding> for FindingView {
    fn from(finding: TariffFinding) -> Self {
        Self { code: finding.code, element: finding.element, message: finding.message }
    }
}

fn view(version: TariffVersion, findings: Vec<FindingView>) -> TariffView {
    TariffView {
        reference: (&version.reference).into(),
        tariff: version.tariff,
        terms: version.terms,
        findings,
    }
}

/// Lists the published versions of a tariff, oldest first.
#[utoipa::path(get, path = "/operator/tariffs/{id}/versions",
    tag = "tariffs", operation_id = "list_tariff_versions",
    params(("id" = String, Path)),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = Vec<TariffView>)))]
async fn list(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Param(id): Param<TariffId>,
) -> Result<Json<Vec<TariffView>>, Problem> {
    let versions = api.store.tariff_versions(&id).await?;
    Ok(Json(versions.into_iter().map(|version| view(version, vec![])).collect()))
}

/// Gets one version of a tariff.
#[utoipa::path(get, path = "/operator/tariffs/{id}/versions/{version}",
    tag = "tariffs", operation_id = "get_tariff_version",
    params(("id" = String, Path), ("version" = u32, Path)),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = TariffView)))]
async fn get(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Param((id, version)): Param<(TariffId, u32)>,
) -> Result<Json<TariffView>, Problem> {
    let version = api.store.tariff(&TariffRef { id, version }).await?;
    Ok(Json(view(version, vec![])))
}

/// Publishes the next version of a tariff. The same content again is the same version.
#[utoipa::path(post, path = "/operator/tariffs/{id}/versions",
    tag = "tariffs", operation_id = "publish_tariff_version",
    params(("id" = String, Path)),
    request_body = TariffBody,
    security(("jwt" = ["admin"])),
    responses((status = 200, description = "This is the newest version already", body = TariffView),
        (status = 201, body = TariffView)))]
async fn publish(
    _: Operator<WriteNetwork>,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<TariffId>,
    Body(body): Body<TariffBody>,
) -> Result<(StatusCode, Json<TariffView>), Problem> {
    let tariff = read(&api, &id, body.tariff, log.now())?;
    let tariff = match body.schedule {
        Some(schedule) => schedule.compile(&tariff)?,
        None => tariff,
    };
    let reference = TariffRef { id: id.clone(), version: 1 };
    let mut version = TariffVersion { reference, tariff, terms: body.terms };
    // What is wrong with it at a site is asked when it is put on offer there.
    let findings = version.validate(&Place::anywhere());
    let findings = refuse_errors(ProblemType::InvalidTariff, findings)?;
    for _ in 0..ATTEMPTS_MAX {
        let newest = api.store.tariff_versions(&id).await?.pop();
        if let Some(newest) = newest {
            if same_content(&newest, &version) {
                return Ok((StatusCode::OK, Json(view(newest, findings))));
            }
            version.reference.version = newest.reference.version.saturating_add(1);
        }
        if api.store.publish_tariff(&version).await? == Saved::New {
            return Ok((StatusCode::CREATED, Json(view(version, findings))));
        }
    }
    let detail = "Others publish versions of this tariff just now. Look at theirs and try again.";
    Err(Problem::new(ProblemType::Stale, detail))
}

/// Errors as a problem, warnings to pass on.
pub(crate) fn refuse_errors(
    kind: ProblemType,
    findings: Vec<TariffFinding>,
) -> Result<Vec<FindingView>, Problem> {
    if findings.iter().all(|finding| finding.severity != Severity::Error) {
        return Ok(findings.into_iter().map(FindingView::from).collect());
    }
    let violation = |finding: TariffFinding| Violation {
        pointer: match (finding.element, finding.component) {
            (None, _) => "/tariff".to_owned(),
            (Some(element), None) => format!("/tariff/elements/{element}"),
            (Some(element), Some(component)) => {
                format!("/tariff/elements/{element}/price_components/{component}")
            }
        },
        detail: finding.message,
        code: Some(finding.code),
    };
    Err(Problem::invalid(kind, findings.into_iter().map(violation).collect()))
}

/// The OCPI tariff as ours: our id and our party, changed now.
fn read(
    api: &Api,
    id: &TariffId,
    given: Map<String, Value>,
    now: DateTime<Utc>,
) -> Result<Tariff, Problem> {
    let mut violations = Vec::new();
    let mut wrong = |pointer: String, detail: String| {
        violations.push(Violation { pointer, detail, code: None });
    };
    let ours =
        [("country_code", &*api.country_code), ("party_id", &*api.party_id), ("id", id.as_str())];
    let mut given = Value::Object(given);
    for (field, ours) in ours {
        let stated = given.get(field).is_some_and(|stated| stated != ours);
        if stated {
            wrong(format!("/tariff/{field}"), format!("must be `{ours}`, or left out"));
        }
        given[field] = ours.into();
    }
    given["last_updated"] = now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into();
    match ocpi::read::tariff_as(&given.to_string(), None) {
        Ok(Reading { value: tariff, version, .. }) => {
            let understood = understood(&tariff, version)?;
            let mut unknown = Vec::new();
            not_in(&understood, &given, "/tariff", &mut unknown);
            for pointer in unknown {
                // A misspelt restriction that is ignored is a wrong price.
                wrong(pointer, format!("OCPI {version} has no such field"));
            }
            if violations.is_empty() {
                return Ok(tariff);
            }
        }
        Err(problems) => {
            for problem in problems {
                let path = problem.path.replace(['.', '['], "/").replace(']', "");
                wrong(format!("/tariff/{path}").trim_end_matches('/').to_owned(), problem.message);
            }
        }
    }
    Err(Problem::invalid(ProblemType::InvalidTariff, violations))
}

/// The tariff in the words of `version`.
fn understood(tariff: &Tariff, version: Version) -> Result<Value, Problem> {
    let written = match version {
        Version::V2_3_0 => serde_json::to_value(ocpi::v2_3_0::Tariff::from(tariff.clone())),
        Version::V2_1_1 | Version::V2_2_1 => serde_json::to_value(tariff),
    };
    written.map_err(|error| anyhow::Error::from(error).into())
}

/// Pointers to what `given` states and `understood` lacks.
fn not_in(understood: &Value, given: &Value, pointer: &str, unknown: &mut Vec<String>) {
    match (given, understood) {
        (Value::Object(given), _) => {
            for (name, value) in given {
                let pointer = format!("{pointer}/{name}");
                match understood.get(name) {
                    Some(understood) => not_in(understood, value, &pointer, unknown),
                    None if says_nothing(value) => {}
                    None => unknown.push(pointer),
                }
            }
        }
        (Value::Array(given), Value::Array(understood)) => {
            for (index, (value, understood)) in given.iter().zip(understood).enumerate() {
                not_in(understood, value, &format!("{pointer}/{index}"), unknown);
            }
        }
        _ => {}
    }
}

fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn same_content(a: &TariffVersion, b: &TariffVersion) -> bool {
    let a_tariff = Tariff { last_updated: b.tariff.last_updated, ..a.tariff.clone() };
    a_tariff == b.tariff && a.terms == b.terms
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unknown_in(given: &Value) -> Vec<String> {
        let read = ocpi::read::tariff_as(&given.to_string(), None);
        let Reading { value, version, .. } = match read {
            Ok(reading) => reading,
            Err(problems) => return problems.into_iter().map(|problem| problem.path).collect(),
        };
        let understood = understood(&value, version).unwrap();
        let mut unknown = Vec::new();
        not_in(&understood, given, "/tariff", &mut unknown);
        unknown
    }

    #[test]
    fn a_misspelt_restriction_is_not_ignored() {
        let tariff = |element: &Value| {
            json!({
                "country_code": "DE", "party_id": "TWT", "id": "T1", "currency": "EUR",
                "elements": [element], "last_updated": "2026-01-01T00:00:00Z",
            })
        };
        let component = json!({ "type": "ENERGY", "price": 0.49, "vat": 19, "step_size": 1 });
        let good = json!({
            "price_components": [component],
            "restrictions": { "day_of_week": [], "start_time": "08:00" },
        });
        assert_eq!(unknown_in(&tariff(&good)), Vec::<String>::new());
        let misspelt = json!({ "price_components": [component], "restriction": { "max_kwh": 5 } });
        assert_eq!(unknown_in(&tariff(&misspelt)), ["elements[0].restriction"]);
        let odd = json!({ "type": "ENERGY", "price": 0.49, "stepsize": 1000, "step_size": 1 });
        let odd = json!({ "price_components": [odd] });
        assert_eq!(unknown_in(&tariff(&odd)), ["elements[0].price_components[0].stepsize"]);
        let mut newer = tariff(&good);
        newer["tax_included"] = "YES".into();
        newer["min_price"] = json!({ "before_taxes": 0.5 });
        assert_eq!(unknown_in(&newer), Vec::<String>::new(), "2.3.0 is understood too");
    }
}
