//! Stopping from the app.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use http_api::{Driver, Log, Param, Problem, ProblemType};
use messages::{ChargerAction, ChargerCall, Envelope, Event};
use quantities::SessionId;
use serde::Serialize;
use session::{Session, SessionState};
use store::{CallRecord, CallState};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{api::Api, sessions::theirs};

/// How long the charger is asked to stop.
const CALL_FOR: TimeDelta = TimeDelta::minutes(10);
/// How often a session can be asked to stop anew.
const CALLS_MAX: u32 = 20;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(stop))
}

/// A stop that was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Stop)]
struct StopView {
    /// The session.
    session_id: String,
    /// `stopping`: the charger is being told; look at the session to see it end.
    #[schema(example = "stopping")]
    status: String,
}

/// Stops a session: the charger is told to. Asking again tells it again only when it has not heard
/// or has refused.
#[utoipa::path(post, path = "/driver/sessions/{session_id}/stop", tag = "sessions",
    operation_id = "stop_session",
    params(("session_id" = String, Path)),
    security(("jwt" = [])),
    responses((status = 202, description = "The charger is being told", body = StopView)))]
async fn stop(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<SessionId>,
) -> Result<(StatusCode, Json<StopView>), Problem> {
    log.session(id);
    let session = api.store.find_session(id).await?;
    let session = session.ok_or_else(|| Problem::not_found("session"))?;
    theirs(&session, &driver)?;
    if session.state != SessionState::Active {
        return Err(Problem::new(ProblemType::Conflict, "The session has already ended."));
    }
    tell(&api, &session, &log).await?;
    let view = StopView { session_id: id.to_string(), status: "stopping".to_owned() };
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Tells the charger, unless it is being told or has agreed.
async fn tell(api: &Api, session: &Session, log: &Log) -> Result<(), Problem> {
    for number in 1..=CALLS_MAX {
        let call = call(session, number, log.now());
        let standing = api.store.call(&call.charge_point_id, &call.unique_id).await?;
        if standing.as_ref().is_some_and(came_to_nothing) {
            continue;
        }
        if standing.is_none() {
            let event = Event::ChargerCall(call);
            api.store.tell_once(&Envelope::new(event, log.now(), log.trace())).await?;
        }
        log.field("call", number);
        return Ok(());
    }
    let detail = "The charger does not stop. Unplug the vehicle, or call the operator.";
    Err(Problem::new(ProblemType::ChargerUnavailable, detail))
}

fn call(session: &Session, number: u32, now: DateTime<Utc>) -> ChargerCall {
    let mut name = format!("stop/{}/driver", session.id);
    if number > 1 {
        name = format!("{name}/{number}");
    }
    ChargerCall {
        charge_point_id: session.charge_point_id.clone(),
        unique_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
        action: ChargerAction::RemoteStopTransaction { transaction_id: session.transaction_id.0 },
        expires_at: now + CALL_FOR,
    }
}

fn came_to_nothing(call: &CallRecord) -> bool {
    match call.state {
        CallState::Pending => false,
        CallState::Answered => call.answer.as_deref() != Some("Accepted"),
        CallState::Expired => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::tests::session;

    fn record(state: CallState, answer: Option<&str>) -> CallRecord {
        let call = call(&session(), 1, session().started_at);
        CallRecord { call, state, answer: answer.map(str::to_owned) }
    }

    #[test]
    fn a_charger_that_has_refused_or_never_heard_is_told_again() {
        assert!(came_to_nothing(&record(CallState::Answered, Some("Rejected"))));
        assert!(came_to_nothing(&record(CallState::Expired, Some("not connected in time"))));
        assert!(!came_to_nothing(&record(CallState::Answered, Some("Accepted"))));
        assert!(!came_to_nothing(&record(CallState::Pending, None)));
    }

    #[test]
    fn each_telling_is_a_call_of_its_own_and_the_same_whenever_it_is_made() {
        let session = session();
        let later = session.started_at + TimeDelta::hours(1);
        let first = call(&session, 1, session.started_at);
        assert_eq!(first.unique_id, call(&session, 1, later).unique_id);
        assert_ne!(first.unique_id, call(&session, 2, later).unique_id);
        assert!(first.unique_id.len() <= 36);
    }
}
