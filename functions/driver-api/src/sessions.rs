//! A driver's sessions: history, and one of them, live or done.

use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join_all;
use http_api::{Check, Driver, Log, Param, Params, Problem};
use quantities::{SessionId, WattHours};
use rating::PricedSession;
use serde::{Deserialize, Serialize};
use session::{Session, SessionState};
use store::{SessionFile, SoFar};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::Api,
    views::{SessionView, SummaryView},
};

/// Chargers' clocks run ahead: the newest page begins so much later than now.
pub(crate) const CLOCK_AHEAD: TimeDelta = TimeDelta::days(1);
/// Sessions on a page, when nothing else is asked for.
const PAGE: i32 = 25;
/// Sessions on the largest page.
const PAGE_MAX: i32 = 100;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// Which page of the history.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PageParams {
    /// Only sessions that began before this moment: `next_before` of the page before.
    before: Option<DateTime<Utc>>,
    /// At most so many, 1 to 100; 25 if not given.
    limit: Option<i32>,
}

/// A page of the history.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Sessions)]
struct PageView {
    /// Newest first.
    sessions: Vec<SummaryView>,
    /// Where the next page begins, when there may be one.
    next_before: Option<DateTime<Utc>>,
}

/// A session with what it costs: so far, or finally.
pub(crate) struct Priced {
    pub(crate) energy: Option<WattHours>,
    pub(crate) price: Option<PricedSession>,
}

/// Lists the driver's sessions, newest first.
#[utoipa::path(get, path = "/driver/sessions", tag = "sessions",
    operation_id = "list_sessions",
    params(PageParams),
    security(("jwt" = [])),
    responses((status = 200, body = PageView)))]
async fn list(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    Params(page): Params<PageParams>,
) -> Result<Json<PageView>, Problem> {
    let limit = page.limit.unwrap_or(PAGE);
    let mut check = Check::default();
    check.that("/limit", (1..=PAGE_MAX).contains(&limit), "must be from 1 to 100");
    check.finish(|| Some(()))?;
    let before = page.before.unwrap_or_else(|| log.now() + CLOCK_AHEAD);
    let sessions = api.store.sessions_of_before(&driver.id, before, limit).await?;
    let is_full = usize::try_from(limit).is_ok_and(|limit| sessions.len() >= limit);
    let next_before = sessions.last().filter(|_| is_full).map(|oldest| oldest.started_at);
    let summary = async |session: &Session| -> Result<SummaryView, Problem> {
        let priced = match session.state {
            SessionState::Rated => api.store.rated(session.id).await?,
            _ => None,
        };
        Ok(SummaryView::of(session, priced.as_ref()))
    };
    let sessions = try_join_all(sessions.iter().map(summary)).await?;
    Ok(Json(PageView { sessions, next_before }))
}

/// Gets a session: while it runs, its energy and cost so far; afterwards, the price and how it is
/// paid.
#[utoipa::path(get, path = "/driver/sessions/{session_id}", tag = "sessions",
    operation_id = "get_session",
    params(("session_id" = String, Path)),
    security(("jwt" = [])),
    responses((status = 200, body = SessionView)))]
async fn get(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    let file = file(&api, &driver, id, &log).await?;
    let priced = priced(&api, &file, &log).await?;
    Ok(Json(SessionView::of(&file, &priced)?))
}

/// Everything about a session of this driver's.
pub(crate) async fn file(
    api: &Api,
    driver: &Driver,
    id: SessionId,
    log: &Log,
) -> Result<SessionFile, Problem> {
    log.session(id);
    let file = api.store.session_file(id).await?;
    theirs(&file.session, driver)?;
    Ok(file)
}

/// Refuses whoever is not the session's driver as if there were no such session.
pub(crate) fn theirs(session: &Session, driver: &Driver) -> Result<(), Problem> {
    if session.driver_id.as_ref() == Some(&driver.id) {
        return Ok(());
    }
    Err(Problem::somebody_elses("session"))
}

async fn priced(api: &Api, file: &SessionFile, log: &Log) -> Result<Priced, Problem> {
    if let Some(price) = &file.rated {
        return Ok(Priced { energy: Some(price.total_energy), price: Some(price.clone()) });
    }
    let SoFar { timeline, priced_with, .. } = api.store.so_far(file, log.now()).await?;
    let energy = timeline.meter_stop.checked_sub(timeline.meter_start).ok();
    let energy = energy.filter(|energy| *energy >= WattHours::ZERO);
    let price = match priced_with.map(|with| with.cost(&file.session, &timeline)) {
        None => None,
        Some(Ok(price)) => Some(price),
        Some(Err(error)) => {
            // Rating will hold it for a person; the driver sees the energy.
            log.field("no_running_cost", error.to_string());
            None
        }
    };
    Ok(Priced { energy, price })
}

#[cfg(test)]
pub(crate) mod tests {
    use network::{Jurisdiction, Payer, Tax};
    use quantities::{Amount, Currency, TaxPercent, TransactionId};
    use rust_decimal::Decimal;

    use super::*;

    pub(crate) fn at(minute: u32) -> DateTime<Utc> {
        format!("2026-03-01T12:{minute:02}:00Z").parse().unwrap()
    }

    pub(crate) fn session() -> Session {
        let percent = TaxPercent::try_from(Decimal::from(21)).unwrap();
        Session {
            id: SessionId::of(&"CP1".parse().unwrap(), TransactionId(7)),
            state: SessionState::Active,
            charge_point_id: "CP1".parse().unwrap(),
            connector_id: quantities::ConnectorId(1),
            transaction_id: TransactionId(7),
            site_id: "AMS-01".parse().unwrap(),
            time_zone: chrono_tz::Europe::Amsterdam,
            id_tag: "TAG1".parse().unwrap(),
            driver_id: Some("driver-1".parse().unwrap()),
            route: session::Route::None,
            payer: Payer::Unknown,
            tier: network::Tier::retail(),
            tariff: None,
            jurisdiction: Jurisdiction::taxed(vec![Tax {
                name: "VAT".to_owned(),
                percent,
                account_number: None,
            }]),
            plan: None,
            site_groups: vec![],
            from_app: false,
            hold: Amount::new(3000, Currency::EUR),
            placed_hold: None,
            payment_policy: network::PaymentPolicy::default(),
            silent_after_s: 3600,
            release_wait_s: 3600,
            started_at: at(0),
            received_at: at(0),
            meter_start: WattHours::ZERO,
            ended_at: None,
            end_received_at: None,
            meter_stop: None,
            billed_by_person: false,
            stop_reason: None,
            released_at: None,
            start_frame: String::new(),
            stop_frame: None,
        }
    }

    #[test]
    fn a_driver_sees_only_their_own_sessions() {
        let driver = |id: &str| Driver { id: id.parse().unwrap(), email: None };
        assert!(theirs(&session(), &driver("driver-1")).is_ok());
        let refused = theirs(&session(), &driver("driver-2")).unwrap_err();
        assert_eq!(refused.status().as_u16(), 404);
        let nobodys = Session { driver_id: None, ..session() };
        assert!(theirs(&nobodys, &driver("driver-1")).is_err());
    }
}
