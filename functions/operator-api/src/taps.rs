//! Cards that kiosks and chargers' terminals ask for: stored here, asked for by `authorize-payment`.

#[cfg(test)]
mod test_begin;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use http_api::{
    AmountView, Body, Check, Log, Operator, Param, Problem, ProblemType, TakeCards, idempotency_key,
};
use messages::{Envelope, Event};
use network::{Connector, Reader, Tier};
use payments::reader::{Stand, Tap, TapState, Why};
use quantities::{Amount, ConnectorId, ReaderId, TapId};
use rating::Rules;
use serde::{Deserialize, Serialize};
use session::ConnectorStatus;
use store::StoreError;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{api::Api, readers::known};

/// How often a change is made anew because somebody else was faster.
const CHANGES_MAX: u32 = 5;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(post)).routes(routes!(get)).routes(routes!(cancel))
}

/// Which connector is to be paid for. A reader with one connector need not name it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TapBody {
    /// The charger.
    #[serde(default)]
    charge_point_id: Option<String>,
    /// The connector, from 1.
    #[serde(default)]
    connector_id: Option<u32>,
}

/// A card that is asked for at a reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Tap)]
struct TapView {
    /// Its id.
    id: String,
    /// The reader.
    reader_id: String,
    /// The charger.
    charge_point_id: String,
    /// The connector.
    connector_id: u32,
    /// What is held.
    amount: AmountView,
    /// How far it got.
    status: TapStatus,
    /// Why it comes to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<TapReason>,
    /// What card or reader was refused with, in Stripe's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "insufficient_funds")]
    code: Option<String>,
    /// The session that it pays for.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
}

/// How far a tap got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TapStatus {
    /// The reader is being told.
    Requested,
    /// The reader waits for a card.
    OnReader,
    /// A card is held and waits for its session.
    Held,
    /// It pays for a session.
    Matched,
    /// It comes to nothing; what is held is being released.
    Releasing,
    /// It came to nothing, and nothing is held.
    Released,
}

/// Why a tap comes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TapReason {
    /// The card was declined, or the reader could not take it.
    Refused,
    /// No card was presented in time.
    NotPresented,
    /// No session came for the card in time.
    NoSession,
    /// Whoever asked for it did not want it any more.
    Canceled,
    /// Somebody captured it at Stripe, and no session used it: a person gives it back.
    Captured,
}

impl From<Tap> for TapView {
    fn from(tap: Tap) -> Self {
        let (status, why, session_id) = match tap.state {
            TapState::Requested | TapState::Made => (TapStatus::Requested, None, None),
            TapState::OnReader { .. } => (TapStatus::OnReader, None, None),
            TapState::Held { .. } => (TapStatus::Held, None, None),
            TapState::Matched { session_id } => (TapStatus::Matched, None, Some(session_id)),
            TapState::Releasing { why } => (TapStatus::Releasing, Some(why), None),
            TapState::Released { why } => (TapStatus::Released, Some(why), None),
        };
        let (reason, code) = match why {
            None => (None, None),
            Some(Why::Refused { code }) => (Some(TapReason::Refused), Some(code)),
            Some(Why::NotPresented) => (Some(TapReason::NotPresented), None),
            Some(Why::NoSession) => (Some(TapReason::NoSession), None),
            Some(Why::Canceled) => (Some(TapReason::Canceled), None),
            Some(Why::Captured { .. }) => (Some(TapReason::Captured), None),
        };
        Self {
            id: tap.id.to_string(),
            reader_id: tap.reader_id.into(),
            charge_point_id: tap.charge_point_id.into(),
            connector_id: tap.connector_id.0,
            amount: tap.amount.into(),
            status,
            reason,
            code,
            session_id: session_id.map(|id| id.to_string()),
        }
    }
}

/// Asks for a card at a reader: the amount that the site holds is shown there, and held on the card
/// that is presented. The same Idempotency-Key is the same tap; for another card, use a new one.
#[utoipa::path(post, path = "/operator/readers/{id}/taps", tag = "readers",
    operation_id = "begin_tap",
    params(("id" = String, Path), ("Idempotency-Key" = String, Header,
        description = "1 to 255 visible ASCII characters, new for every tap")),
    request_body = TapBody,
    security(("jwt" = ["support", "kiosk"])),
    responses((status = 202, description = "The reader is being told", body = TapView)))]
async fn post(
    _: Operator<TakeCards>,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<ReaderId>,
    headers: HeaderMap,
    Body(body): Body<TapBody>,
) -> Result<(StatusCode, Json<TapView>), Problem> {
    let reader = known(&api, &id).await?;
    let tap_id = TapId::of(&id, idempotency_key(&headers)?);
    log.field("tap_id", tap_id.to_string());
    let connector = chosen(&reader, &body)?;
    if let Some(standing) = api.store.tap(tap_id).await? {
        return same(standing, connector, &log);
    }
    available(&api, connector).await?;
    let tap = Tap {
        id: tap_id,
        reader_id: reader.id.clone(),
        stripe_reader: reader.stripe_reader.clone(),
        charge_point_id: connector.charge_point_id.clone(),
        connector_id: connector.connector_id,
        amount: amount(&api, &reader, &log).await?,
        window_s: reader.window_s,
        start_with: reader.starts_charger.then(|| reader.id_tag.clone()),
        begun_at: log.now(),
        payment_intent: None,
        state: TapState::Requested,
    };
    if let Some(standing) = begin(&api, &tap, &log).await? {
        return same(standing, connector, &log);
    }
    log.outcome("requested");
    Ok((StatusCode::ACCEPTED, Json(tap.into())))
}

/// The answer to a request for a tap that was begun before.
fn same(
    standing: Tap,
    connector: &Connector,
    log: &Log,
) -> Result<(StatusCode, Json<TapView>), Problem> {
    let is_same = standing.charge_point_id == connector.charge_point_id
        && standing.connector_id == connector.connector_id;
    if !is_same {
        let detail = "This Idempotency-Key was used for another connector. Use a new one.";
        return Err(Problem::new(ProblemType::KeyReused, detail));
    }
    log.outcome("repeat");
    Ok((StatusCode::ACCEPTED, Json(standing.into())))
}

/// Gets a tap: what became of the card.
#[utoipa::path(get, path = "/operator/readers/{id}/taps/{tap_id}", tag = "readers",
    operation_id = "get_tap",
    params(("id" = String, Path), ("tap_id" = String, Path)),
    security(("jwt" = ["support", "kiosk"])),
    responses((status = 200, body = TapView)))]
async fn get(
    _: Operator<TakeCards>,
    State(api): State<Api>,
    Param((id, tap_id)): Param<(ReaderId, TapId)>,
) -> Result<Json<TapView>, Problem> {
    Ok(Json(of_reader(&api, &id, tap_id).await?.into()))
}

/// Gives a tap up: the reader is cleared, and what is held is released. A card that a session has
/// got stays the session's.
#[utoipa::path(post, path = "/operator/readers/{id}/taps/{tap_id}/cancel", tag = "readers",
    operation_id = "cancel_tap",
    params(("id" = String, Path), ("tap_id" = String, Path)),
    security(("jwt" = ["support", "kiosk"])),
    responses((status = 202, description = "What becomes of it", body = TapView)))]
async fn cancel(
    _: Operator<TakeCards>,
    State(api): State<Api>,
    log: Log,
    Param((id, tap_id)): Param<(ReaderId, TapId)>,
) -> Result<(StatusCode, Json<TapView>), Problem> {
    let tap = of_reader(&api, &id, tap_id).await?;
    log.field("tap_id", tap_id.to_string());
    if cancel_at_stand(&api, &tap, &log).await? {
        log.outcome("canceled");
    }
    Ok((StatusCode::ACCEPTED, Json(of_reader(&api, &id, tap_id).await?.into())))
}

/// Begins a tap at what there is at its connector now, so again when somebody else was faster. Gives
/// the one that stands, if it was begun before.
async fn begin(api: &Api, tap: &Tap, log: &Log) -> Result<Option<Tap>, Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let stand = api.store.stand(&tap.charge_point_id, tap.connector_id).await?;
        // Read after the stand: whatever of it the stand has, or had, is seen.
        if let Some(standing) = api.store.tap(tap.id).await? {
            return Ok(Some(standing));
        }
        let begun = stand.begin(tap.clone()).map_err(|_| {
            let detail = "Another card is asked for at this connector, or is held for it.";
            Problem::new(ProblemType::Conflict, detail)
        })?;
        let told = look(&begun, format!("begin:{}", tap.id), log);
        match api.store.begin_tap(begun, &told).await {
            Ok(_) => return Ok(None),
            Err(StoreError::Stale { .. }) if attempt < CHANGES_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives a tap up as it is now, so again when somebody else was faster. Whether there was something
/// to give up.
async fn cancel_at_stand(api: &Api, tap: &Tap, log: &Log) -> Result<bool, Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let stand = api.store.stand(&tap.charge_point_id, tap.connector_id).await?;
        let canceled = stand.clone().cancel(tap.id);
        if canceled == stand {
            return Ok(false);
        }
        let told = look(&canceled, format!("cancel:{}", tap.id), log);
        match api.store.save_stand(canceled, &[told], None).await {
            Ok(_) => return Ok(true),
            Err(StoreError::Stale { .. }) if attempt < CHANGES_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn of_reader(api: &Api, id: &ReaderId, tap_id: TapId) -> Result<Tap, Problem> {
    let tap = api.store.tap(tap_id).await?.filter(|tap| tap.reader_id == *id);
    tap.ok_or_else(|| Problem::not_found("tap"))
}

/// The connector that is named, or the only one.
fn chosen<'a>(reader: &'a Reader, body: &TapBody) -> Result<&'a Connector, Problem> {
    let mut connectors = reader.connectors.iter().filter(|connector| {
        let charger = connector.charge_point_id.as_str();
        body.charge_point_id.as_deref().is_none_or(|named| named == charger)
            && body.connector_id.is_none_or(|named| ConnectorId(named) == connector.connector_id)
    });
    let mut check = Check::default();
    let chosen = connectors.next();
    check.that("", chosen.is_some(), "no such connector is paid at this reader");
    check.that("", connectors.next().is_none(), "several connectors are paid at it: name one");
    check.finish(|| chosen)
}

/// Nobody's money is held for a charger that cannot start.
async fn available(api: &Api, connector: &Connector) -> Result<(), Problem> {
    let unavailable = |detail: &str| Problem::new(ProblemType::ChargerUnavailable, detail);
    let Connector { charge_point_id, connector_id } = connector;
    let row = api.store.connector(charge_point_id, *connector_id).await?;
    let broken = [ConnectorStatus::Faulted, ConnectorStatus::Unavailable];
    if row.is_some_and(|row| broken.contains(&row.status)) {
        return Err(unavailable("The connector is out of order. Use another one."));
    }
    if api.store.connection(charge_point_id).await?.is_none() {
        let detail = "The charger is not connected. Use another one, or try again later.";
        return Err(unavailable(detail));
    }
    Ok(())
}

/// What the site holds for somebody who walks up.
async fn amount(api: &Api, reader: &Reader, log: &Log) -> Result<Amount, Problem> {
    let site = api.store.site(&reader.site_id).await?;
    let site = site.ok_or_else(|| anyhow::anyhow!("the reader's site is not configured"))?;
    let offers = api.store.offers(&site.id).await?;
    let tariff = offers.at(&Tier::retail(), log.now());
    let nothing = || Problem::new(ProblemType::Conflict, "Nothing is on offer at this site now.");
    let tariff = api.store.tariff(tariff.ok_or_else(nothing)?).await?;
    let rules = Rules::of(site.time_zone, &site.jurisdiction);
    Ok(rating::hold(&tariff, log.now(), &site, &rules).map_err(anyhow::Error::from)?)
}

/// Tells `authorize-payment` to look at the connector.
fn look(stand: &Stand, cause: String, log: &Log) -> Envelope {
    let (charge_point_id, connector_id) = (stand.charge_point_id.clone(), stand.connector_id);
    let event = Event::TapDue { charge_point_id, connector_id, cause };
    Envelope::new(event, log.now(), log.trace())
}

#[cfg(test)]
mod tests {
    use network::StripeReaderId;
    use serde_json::{Value, json};

    use super::*;

    fn reader(connectors: &[(&str, u32)]) -> Reader {
        let connectors = connectors.iter().map(|(charger, connector)| Connector {
            charge_point_id: charger.parse().unwrap(),
            connector_id: ConnectorId(*connector),
        });
        Reader {
            id: "R1".parse().unwrap(),
            stripe_reader: StripeReaderId("tmr_1".to_owned()),
            site_id: "AMS-01".parse().unwrap(),
            connectors: connectors.collect(),
            id_tag: "RDR-1".parse().unwrap(),
            starts_charger: true,
            window_s: 60,
        }
    }

    fn choose(reader: &Reader, body: Value) -> Option<String> {
        let body = serde_json::from_value(body).unwrap();
        let chosen = chosen(reader, &body).ok()?;
        Some(format!("{}/{}", chosen.charge_point_id, chosen.connector_id))
    }

    #[test]
    fn a_reader_in_a_charger_needs_no_name_for_its_connector() {
        let integrated = reader(&[("CP1", 2)]);
        assert_eq!(choose(&integrated, json!({})).as_deref(), Some("CP1/2"));
        let other = json!({ "charge_point_id": "CP1", "connector_id": 1 });
        assert_eq!(choose(&integrated, other), None);
    }

    #[test]
    fn a_kiosk_says_which_of_its_connectors() {
        let kiosk = reader(&[("CP1", 1), ("CP1", 2), ("CP2", 1)]);
        assert_eq!(choose(&kiosk, json!({})), None);
        assert_eq!(choose(&kiosk, json!({ "charge_point_id": "CP1" })), None);
        assert_eq!(choose(&kiosk, json!({ "charge_point_id": "CP2" })).as_deref(), Some("CP2/1"));
        let named = json!({ "charge_point_id": "CP1", "connector_id": 2 });
        assert_eq!(choose(&kiosk, named).as_deref(), Some("CP1/2"));
    }
}
