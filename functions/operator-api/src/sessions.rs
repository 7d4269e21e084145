//! Sessions: what is open, and the whole file of one for audit.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use http_api::{Log, Operator, Param, Problem, ReadSessions, TariffRefView};
use quantities::SessionId;
use serde::Serialize;
use serde_json::Value;
use session::{Route, Session, timeline};
use store::{SessionFile, StoreError};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{api::Api, mails::MailView};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// A session that is not done.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct OpenSession {
    /// Its id.
    id: String,
    /// Where it is on its way: `active`, `ended`, `awaiting_release`.
    #[schema(value_type = String)]
    state: Value,
    /// The charger.
    charge_point_id: String,
    /// The connector.
    connector_id: u32,
    /// The site.
    site_id: String,
    /// Which way it is paid: `app_wallet`, `saved_card`, `reader`, `fleet`, `contract`, `roaming`,
    /// `free`, or `none` when nobody is known to pay.
    #[schema(value_type = String)]
    route: Route,
    /// The price group that it started in.
    tier: String,
    /// The tariff version. None: nothing was on offer.
    tariff: Option<TariffRefView>,
    /// The plan beside it.
    plan: Option<String>,
    /// When it began, by the charger's clock.
    started_at: DateTime<Utc>,
    /// When its transaction ended.
    ended_at: Option<DateTime<Utc>>,
}

/// All that is stored about one session.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SessionFile)]
struct FileView {
    /// The record, with the frames that began and ended it.
    #[schema(value_type = Object)]
    session: Value,
    /// How many MeterValues messages are kept.
    meter_values: usize,
    /// What is untidy about its readings.
    #[schema(value_type = Vec<Object>)]
    findings: Value,
    /// The price, once rated: lines, segments, totals.
    #[schema(value_type = Option<Object>)]
    priced: Value,
    /// The payment, once there is one.
    #[schema(value_type = Option<Object>)]
    payment: Value,
    /// The OCPI 2.2.1 CDR, once published.
    #[schema(value_type = Option<Object>)]
    cdr: Value,
    /// Its journal entries.
    #[schema(value_type = Vec<Object>)]
    journal: Value,
    /// What was delivered of it, to whom.
    deliveries: Vec<DeliveryView>,
    /// What was mailed of it.
    mails: Vec<MailView>,
}

/// The delivery of one event, or of the CDR, to one recipient.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryView {
    /// What.
    event_id: String,
    /// To whom: a webhook subscriber or a roaming partner.
    recipient: String,
    /// How often it was tried.
    attempts: u32,
    /// HTTP status of the last answer.
    last_status: Option<u16>,
    /// When it was last tried.
    last_attempt_at: DateTime<Utc>,
    /// When it was taken.
    delivered_at: Option<DateTime<Utc>>,
}

/// Lists the sessions that are not done, newest first.
#[utoipa::path(get, path = "/operator/sessions",
    tag = "sessions", operation_id = "list_open_sessions",
    security(("jwt" = ["support", "finance"])),
    responses((status = 200, body = Vec<OpenSession>)))]
async fn list(
    _: Operator<ReadSessions>,
    State(api): State<Api>,
) -> Result<Json<Vec<OpenSession>>, Problem> {
    let sessions = api.store.open_sessions().await?;
    let open = |session: Session| {
        Ok(OpenSession {
            id: session.id.to_string(),
            state: json(&session.state)?,
            charge_point_id: session.charge_point_id.to_string(),
            connector_id: session.connector_id.0,
            site_id: session.site_id.to_string(),
            route: session.route,
            tier: session.tier.as_str().to_owned(),
            tariff: session.tariff.as_ref().map(TariffRefView::from),
            plan: session.plan.as_ref().map(|member| member.plan.to_string()),
            started_at: session.started_at,
            ended_at: session.ended_at,
        })
    };
    sessions.into_iter().map(open).collect::<Result<_, Problem>>().map(Json)
}

/// Gets all that is stored about a session.
#[utoipa::path(get, path = "/operator/sessions/{session_id}",
    tag = "sessions", operation_id = "get_session",
    params(("session_id" = String, Path)),
    security(("jwt" = ["support", "finance"])),
    responses((status = 200, body = FileView)))]
async fn get(
    _: Operator<ReadSessions>,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<SessionId>,
) -> Result<Json<FileView>, Problem> {
    log.session(id);
    let file = api.store.session_file(id).await?;
    let deliveries = deliveries(&api, &file).await?;
    let until = file.session.started_at;
    let charger = api.store.charger(&file.session.charge_point_id).await?;
    let readings = timeline(&file.session, &file.meter_values, &[], until, charger.as_ref());
    Ok(Json(FileView {
        session: json(&file.session)?,
        meter_values: file.meter_values.len(),
        findings: json(&readings.findings)?,
        priced: json(&file.rated)?,
        payment: json(&file.payment)?,
        cdr: json(&file.cdr)?,
        journal: json(&file.journal)?,
        deliveries,
        mails: file.mails.iter().map(|(_, mail)| MailView::of(mail, &file)).collect(),
    }))
}

fn json<T: Serialize>(record: &T) -> Result<Value, Problem> {
    serde_json::to_value(record).map_err(|error| anyhow::Error::from(error).into())
}

async fn deliveries(api: &Api, file: &SessionFile) -> Result<Vec<DeliveryView>, StoreError> {
    let of_event = async |event_id: String| {
        let deliveries = api.store.deliveries(&event_id).await?;
        let view = |delivery: store::Delivery| DeliveryView {
            event_id: event_id.clone(),
            recipient: delivery.recipient,
            attempts: delivery.attempts,
            last_status: delivery.last_status,
            last_attempt_at: delivery.last_attempt_at,
            delivered_at: delivery.delivered_at,
        };
        Ok::<Vec<_>, StoreError>(deliveries.into_iter().map(view).collect())
    };
    let found = try_join_all(event_ids(file).into_iter().map(of_event)).await?;
    Ok(found.into_iter().flatten().collect())
}

/// The events that can have been told of a session, and its CDR.
fn event_ids(file: &SessionFile) -> Vec<String> {
    let id = file.session.id;
    let of_session = [
        "session.started",
        "session.rated",
        "session.waived",
        "session.credited",
        "cdr",
        "credit-cdr",
    ];
    let of_session = of_session.iter().map(|kind| format!("{kind}:{id}"));
    let of_payment = file.payment.iter().flat_map(|payment| payment.told.iter().cloned());
    let of_notes =
        file.credit_notes.iter().map(|(key, _)| format!("credit_note.issued:{id}:{key}"));
    of_session.chain(of_payment).chain(of_notes).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use messages::{Envelope, Event};
    use payments::{Payment, money::Card};
    use serde_json::json;

    use super::*;

    /// A session that runs since noon, from 10 kWh on.
    pub(crate) fn session() -> Session {
        serde_json::from_value(json!({
            "id": "7a113a77-0000-5000-8000-0cb10badcafe",
            "state": "active",
            "charge_point_id": "CP1",
            "connector_id": 1,
            "transaction_id": 7,
            "site_id": "S1",
            "time_zone": "Europe/Berlin",
            "id_tag": "04A1",
            "driver_id": "driver-1",
            "payer": { "kind": "card", "customer": "cus_1", "payment_method": "pm_1" },
            "tariff": { "id": "T1", "version": 1 },
            "jurisdiction": {
                "per_kwh_allowed": true,
                "taxes": [{ "name": "VAT", "percent": "19" }],
            },
            "hold": { "minor": 5000, "currency": "EUR" },
            "placed_hold": null,
            "silent_after_s": 3600,
            "release_wait_s": 3600,
            "started_at": "2026-03-01T12:00:00Z",
            "received_at": "2026-03-01T12:00:01Z",
            "meter_start": "10000",
            "ended_at": null,
            "end_received_at": null,
            "meter_stop": null,
            "stop_reason": null,
            "released_at": null,
            "start_frame": "[]",
            "stop_frame": null,
        }))
        .unwrap()
    }

    #[test]
    fn the_events_of_a_session_are_found_under_the_ids_they_were_told_by() {
        let session = session();
        let session_id = session.id;
        let told = vec![format!("payment.refused:{session_id}")];
        let policy = session.payment_policy.clone();
        let payment =
            Payment { told, ..Payment::new(session_id, Card::Present, session.hold, policy) };
        let file = SessionFile {
            session,
            meter_values: vec![],
            rated: None,
            payment: Some(payment),
            cdr: None,
            credit_cdr: None,
            journal: vec![],
            decisions: vec![],
            credit_notes: vec![],
            mails: vec![],
        };
        let ids = event_ids(&file);
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        let code = String::new();
        let events = [
            Event::SessionStarted { session_id },
            Event::SessionWaived { session_id },
            Event::PaymentRefused { session_id, code },
        ];
        for event in events {
            let envelope = Envelope::new(event, at, None);
            assert!(ids.contains(&envelope.id), "{}", envelope.id);
        }
    }
}
