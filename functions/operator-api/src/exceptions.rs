//! Exceptions: what was kept for a person, and what they decide.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use http_api::{
    Body, Check, Log, Operator, Param, Problem, ProblemType, ReadExceptions, ResolveExceptions,
};
use messages::{Envelope, Event};
use network::Charger;
use quantities::{ExceptionId, WattHours};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use session::{ExceptionRecord, ExceptionState, Resolution, Session, SessionState, is_deliverable};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(resolve))
}

/// What a person has to decide, or has decided.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Exception)]
struct ExceptionView {
    /// Its id.
    id: String,
    /// Why it is here.
    #[schema(example = "silent_charger")]
    reason: String,
    /// What was seen.
    detail: String,
    /// The charger it is about.
    charge_point_id: String,
    /// The session it is about, when there is one.
    session_id: Option<String>,
    /// The OCPP frame that raised it, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<String>,
    /// When it was raised.
    raised_at: DateTime<Utc>,
    /// What was decided; none while it is open.
    resolved: Option<ResolvedView>,
}

/// A decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Resolved)]
struct ResolvedView {
    /// Who decided: the subject of their token.
    by: String,
    /// When.
    at: DateTime<Utc>,
    /// What.
    resolution: ResolutionBody,
}

/// What a person decides about an exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Resolution)]
enum ResolutionBody {
    /// Bill the held session with this end.
    Bill {
        /// The stop reading to bill, in Wh.
        #[schema(example = "1234500")]
        meter_stop_wh: Decimal,
        /// The end to bill.
        ended_at: DateTime<Utc>,
        /// Why this is right.
        reason: String,
    },
    /// Bill nothing for the held session; a hold on a card is released.
    Waive {
        /// Why.
        reason: String,
    },
    /// Nothing is to be done: no session is held because of it.
    Dismiss {
        /// Why.
        reason: String,
    },
}

impl From<Resolution> for ResolutionBody {
    fn from(resolution: Resolution) -> Self {
        match resolution {
            Resolution::Bill { meter_stop, ended_at, reason } => {
                Self::Bill { meter_stop_wh: meter_stop.wh(), ended_at, reason }
            }
            Resolution::Waive { reason } => Self::Waive { reason },
            Resolution::Dismiss { reason } => Self::Dismiss { reason },
        }
    }
}

impl From<ResolutionBody> for Resolution {
    fn from(body: ResolutionBody) -> Self {
        match body {
            ResolutionBody::Bill { meter_stop_wh, ended_at, reason } => {
                Self::Bill { meter_stop: WattHours::new(meter_stop_wh), ended_at, reason }
            }
            ResolutionBody::Waive { reason } => Self::Waive { reason },
            ResolutionBody::Dismiss { reason } => Self::Dismiss { reason },
        }
    }
}

impl From<ExceptionRecord> for ExceptionView {
    fn from(exception: ExceptionRecord) -> Self {
        let resolved = match exception.state {
            ExceptionState::Open => None,
            ExceptionState::Resolved { by, at, resolution } => {
                Some(ResolvedView { by, at, resolution: resolution.into() })
            }
        };
        Self {
            id: exception.id.to_string(),
            reason: exception.reason.code().to_owned(),
            detail: exception.detail,
            charge_point_id: exception.charge_point_id.to_string(),
            session_id: exception.session_id.map(|id| id.to_string()),
            frame: exception.frame,
            raised_at: exception.raised_at,
            resolved,
        }
    }
}

/// Lists the exceptions that nobody has decided yet, newest first.
#[utoipa::path(get, path = "/operator/exceptions",
    tag = "exceptions", operation_id = "list_exceptions",
    security(("jwt" = ["support", "finance"])),
    responses((status = 200, body = Vec<ExceptionView>)))]
async fn list(
    _: Operator<ReadExceptions>,
    State(api): State<Api>,
) -> Result<Json<Vec<ExceptionView>>, Problem> {
    let exceptions = api.store.open_exceptions().await?;
    Ok(Json(exceptions.into_iter().map(ExceptionView::from).collect()))
}

/// Gets an exception, decided or not.
#[utoipa::path(get, path = "/operator/exceptions/{exception_id}",
    tag = "exceptions", operation_id = "get_exception",
    params(("exception_id" = String, Path)),
    security(("jwt" = ["support", "finance"])),
    responses((status = 200, body = ExceptionView)))]
async fn get(
    _: Operator<ReadExceptions>,
    State(api): State<Api>,
    Param(id): Param<ExceptionId>,
) -> Result<Json<ExceptionView>, Problem> {
    Ok(Json(api.store.exception(id).await?.into()))
}

/// Decides an exception. The same decision again is answered as before and changes nothing.
#[utoipa::path(post, path = "/operator/exceptions/{exception_id}/resolution",
    tag = "exceptions", operation_id = "resolve_exception",
    params(("exception_id" = String, Path)),
    request_body = ResolutionBody,
    security(("jwt" = ["support"])),
    responses((status = 200, body = ExceptionView)))]
async fn resolve(
    operator: Operator<ResolveExceptions>,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<ExceptionId>,
    Body(body): Body<ResolutionBody>,
) -> Result<Json<ExceptionView>, Problem> {
    let exception = api.store.exception(id).await?;
    let session = match exception.session_id {
        Some(session_id) => {
            log.session(session_id);
            api.store.find_session(session_id).await?
        }
        None => None,
    };
    if let ExceptionState::Resolved { resolution, .. } = &exception.state {
        if ResolutionBody::from(resolution.clone()) == body {
            return Ok(Json(exception.into()));
        }
        let detail = "The exception was decided before, differently.";
        return Err(Problem::new(ProblemType::Conflict, detail));
    }
    let charger = match &session {
        Some(session) => api.store.charger(&session.charge_point_id).await?,
        None => None,
    };
    examine(&body, session.as_ref(), charger.as_ref(), log.now())?;
    let event = event(&body, &exception, session.as_ref());
    let envelope = event.map(|event| Envelope::new(event, log.now(), log.trace()));
    let resolution = body.into();
    let state = ExceptionState::Resolved { by: operator.subject, at: log.now(), resolution };
    let resolved = ExceptionRecord { state, ..exception };
    // A dismissal touches no session.
    let session = session.as_ref().filter(|_| envelope.is_some());
    api.store.resolve(&resolved, session, envelope.as_ref()).await?;
    log.outcome("resolved");
    Ok(Json(resolved.into()))
}

/// Whether the decision fits the session as it stands, and what its charger can have done by `now`.
fn examine(
    body: &ResolutionBody,
    session: Option<&Session>,
    charger: Option<&Charger>,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let held = session.filter(|session| session.state == SessionState::Held);
    let conflict = |detail: &str| Err(Problem::new(ProblemType::Conflict, detail));
    let mut check = Check::default();
    let (ResolutionBody::Bill { reason, .. }
    | ResolutionBody::Waive { reason }
    | ResolutionBody::Dismiss { reason }) = body;
    check.text("/reason", reason, 500);
    match (body, held) {
        (ResolutionBody::Dismiss { .. }, Some(_)) => {
            return conflict("The session is held because of it: bill it or waive it.");
        }
        (ResolutionBody::Dismiss { .. }, None) | (ResolutionBody::Waive { .. }, Some(_)) => {}
        (_, None) if session.is_none() => {
            return conflict("The exception is about no session: it can only be dismissed.");
        }
        (_, None) => {
            return conflict("The session is not held: the exception can only be dismissed.");
        }
        (ResolutionBody::Bill { .. }, Some(session)) if !session.has_payer() => {
            return conflict("Nobody is known who could pay: the session can only be waived.");
        }
        (ResolutionBody::Bill { .. }, Some(session)) if session.tariff.is_none() => {
            return conflict("No tariff was on offer: the session can only be waived.");
        }
        (ResolutionBody::Bill { meter_stop_wh, ended_at, .. }, Some(session)) => {
            let start = session.meter_start;
            let detail = format!("must not be below the start reading, {} Wh", start.wh());
            check.that("/meter_stop_wh", *meter_stop_wh >= start.wh(), &detail);
            let detail = format!("must not be before the start, {}", session.started_at);
            check.that("/ended_at", *ended_at >= session.started_at, &detail);
            // By the charger's clock, which may be ahead of ours.
            let latest = now.max(session.started_at + (now - session.received_at));
            let detail = format!("must not be in the future, after {latest}");
            check.that("/ended_at", *ended_at <= latest, &detail);
            let end = (*ended_at, WattHours::new(*meter_stop_wh));
            let is_possible = charger
                .is_none_or(|charger| is_deliverable(charger, (session.started_at, start), end));
            let detail = "is more than the charger delivers in that time; is it in Wh?";
            check.that("/meter_stop_wh", is_possible || end.1 < start, detail);
        }
    }
    check.finish(|| Some(()))
}

/// What the decision sets in motion.
fn event(
    body: &ResolutionBody,
    exception: &ExceptionRecord,
    session: Option<&Session>,
) -> Option<Event> {
    let session_id = session?.id;
    match body {
        ResolutionBody::Bill { .. } => {
            Some(Event::SessionResolved { session_id, exception_id: exception.id })
        }
        ResolutionBody::Waive { .. } => Some(Event::SessionWaived { session_id }),
        ResolutionBody::Dismiss { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sessions::tests::session;

    fn decision(action: serde_json::Value) -> ResolutionBody {
        serde_json::from_value(action).unwrap()
    }

    fn bill(meter_stop_wh: &str, ended_at: &str) -> ResolutionBody {
        decision(json!({
            "action": "bill", "meter_stop_wh": meter_stop_wh, "ended_at": ended_at,
            "reason": "read off the display",
        }))
    }

    fn now() -> DateTime<Utc> {
        "2026-03-02T00:00:00Z".parse().unwrap()
    }

    fn code(body: &ResolutionBody, session: Option<&Session>) -> Option<u16> {
        examine(body, session, None, now()).err().map(|problem| problem.status().as_u16())
    }

    #[test]
    fn a_person_bills_no_more_than_the_charger_can_have_delivered_by_now() {
        let held = Session { state: SessionState::Held, ..session() };
        let charger: Charger = serde_json::from_value(json!({
            "id": "CP1", "site_id": "S1", "time_zone": "Europe/Berlin", "password_hash": "",
            "evse_id": "", "power_type": "AC_3_PHASE", "standard": "IEC_62196_T2",
            "max_electric_power": 22_000,
        }))
        .unwrap();
        let pointers = |meter_stop_wh: &str, ended_at: &str| {
            let examined =
                examine(&bill(meter_stop_wh, ended_at), Some(&held), Some(&charger), now());
            let errors = examined.err().map(|problem| problem.errors().to_vec());
            let errors = errors.into_iter().flatten();
            errors.map(|error| error.pointer).collect::<Vec<_>>()
        };
        // An hour at 22 kW and a tenth, a minute added: 24.6 kWh from 10 kWh on.
        assert_eq!(pointers("34600", "2026-03-01T13:00:00Z"), [""; 0]);
        assert_eq!(pointers("34700", "2026-03-01T13:00:00Z"), ["/meter_stop_wh"]);
        assert_eq!(pointers("12000000", "2026-03-01T13:00:00Z"), ["/meter_stop_wh"]);
        assert_eq!(pointers("12000", "2026-03-02T00:00:01Z"), ["/ended_at"]);
    }

    #[test]
    fn a_bill_needs_a_held_session_and_an_end_after_its_start() {
        let held = Session { state: SessionState::Held, ..session() };
        let good = bill("12000", "2026-03-01T13:00:00Z");
        assert_eq!(code(&good, Some(&held)), None);
        assert_eq!(code(&good, None), Some(409));
        assert_eq!(code(&good, Some(&session())), Some(409));
        let wrong = bill("9999", "2026-03-01T11:00:00Z");
        assert_eq!(examine(&wrong, Some(&held), None, now()).unwrap_err().errors().len(), 2);
    }

    #[test]
    fn a_held_session_is_not_forgotten_by_dismissing_its_exception() {
        let dismiss = decision(json!({ "action": "dismiss", "reason": "seen" }));
        let held = Session { state: SessionState::Held, ..session() };
        assert_eq!(code(&dismiss, Some(&held)), Some(409));
        let rated = Session { state: SessionState::Rated, ..session() };
        assert_eq!(code(&dismiss, Some(&rated)), None);
        assert_eq!(code(&dismiss, None), None);
    }

    #[test]
    fn a_decision_needs_a_reason() {
        let waive = decision(json!({ "action": "waive", "reason": "  " }));
        let held = Session { state: SessionState::Held, ..session() };
        assert_eq!(code(&waive, Some(&held)), Some(422));
    }
}
