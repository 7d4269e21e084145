//! Starting from the app: where a card pays, the money is held first; then the charger is told to
//! start.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use chrono::TimeDelta;
use http_api::{
    AmountView, Body, Check, Driver, Log, Param, Problem, ProblemType, TariffRefView,
    idempotency_key,
};
use messages::{ChargerAction, ChargerCall, Envelope, Event};
use network::{
    Entitlement, EntitlementStatus, HoldRef, HoldRequest, OnOutage, Owed, Payer, PlanMembership,
    StartIntent, StartState, StartTerms, Wallet,
};
use payments::{
    PaymentError, Refusal,
    stripe::{HoldOutcome, OffSession, Reference},
};
use quantities::{Amount, ChargePointId, ConnectorId, DriverId, IdTag};
use runtime::Metric;
use serde::{Deserialize, Serialize};
use serde_json::json;
use session::ConnectorStatus;
use store::{CallRecord, CallState, Saved};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    api::Api,
    means::PayWith,
    on_offer::{OnOffer, on_offer},
    words::RefusalView,
};

/// How long the one-time tag opens the charger.
const TAG_GOOD_FOR: TimeDelta = TimeDelta::minutes(10);
/// How long the charger is asked to start.
const CALL_FOR: TimeDelta = TimeDelta::seconds(60);
/// A charger that changes its connection is back within seconds: so often it is looked for …
const LOOKS_MAX: u32 = 20;
/// … and so long in between.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(post)).routes(routes!(get))
}

/// Where to charge.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StartBody {
    /// The charger.
    charge_point_id: String,
    /// The connector, from 1.
    connector_id: u32,
    /// The tariff version that the driver was shown. If another is on offer now, nothing starts.
    #[serde(default)]
    tariff: Option<TariffRefView>,
    /// With what it is paid: one of the price's `ways_to_pay`; the first of them, if left out.
    #[serde(default)]
    #[schema(example = "card")]
    pay_with: Option<String>,
}

/// A start from the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Start)]
struct StartView {
    /// Its id.
    id: String,
    /// How far it got.
    status: StartStatus,
    /// With what it is paid: `card`, `account:` and the account's id, or `free`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "card")]
    pay_with: Option<String>,
    /// The session, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// What the charger answered to RemoteStartTransaction: `Accepted` or `Rejected`.
    #[serde(skip_serializing_if = "Option::is_none")]
    charger_answer: Option<String>,
}

/// How far a start got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StartStatus {
    /// The money is being held, or is held and the charger was told; the session has not begun.
    Pending,
    /// The session has begun.
    Started,
    /// No session has begun in time; the hold is released.
    Abandoned,
    /// The card was refused: nothing starts.
    Refused,
}

/// A start as it was asked for.
struct Asked {
    id: Uuid,
    id_tag: IdTag,
    charge_point_id: ChargePointId,
    connector_id: ConnectorId,
    tariff: Option<TariffRefView>,
    pay_with: Option<PayWith>,
}

/// A start that may go on: what it pins, and who pays.
struct Agreed {
    terms: StartTerms,
    payer: Payer,
    /// What is to be held, where a card pays.
    amount: Amount,
}

/// Starts a session: holds the site's amount on the driver's card, then tells the charger to start.
/// If the card is refused, nothing starts. When the payment provider does not answer, the site
/// decides: it charges and is collected later, or nothing starts (`unavailable`). Where an account
/// or nobody pays, nothing is held. The driver's own card pays before the account of a fleet, that
/// before one by contract, and that before nobody; `pay_with` names another way. The same
/// Idempotency-Key is the same start with the same answer; after a refusal, try again with a new
/// key.
#[utoipa::path(post, path = "/driver/starts", tag = "starts",
    operation_id = "start",
    params(("Idempotency-Key" = String, Header,
        description = "1 to 255 visible ASCII characters, new for every start")),
    request_body = StartBody,
    security(("jwt" = [])),
    responses((status = 202, description = "The charger is being told", body = StartView)))]
async fn post(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    headers: HeaderMap,
    Body(body): Body<StartBody>,
) -> Result<(StatusCode, Json<StartView>), Problem> {
    let asked = read(&driver.id, &headers, body)?;
    log.field("start_id", asked.id.to_string());
    if let Some(standing) = api.store.entitlement(&asked.id_tag).await? {
        return again(&standing, &asked, &log);
    }
    let intent = match api.store.start_intent(&asked.id.to_string()).await? {
        Some(intent) => intent,
        None => {
            let agreed = agree(&api, &driver, &asked, &log).await?;
            match agreed.payer.clone() {
                Payer::Card { customer, payment_method } => {
                    let (amount, requested_at) = (agreed.amount, log.now());
                    let hold = HoldRequest { customer, payment_method, amount, requested_at };
                    intend(&api, &asked, agreed.terms, hold).await?
                }
                // There is nothing to hold, and so nothing that somebody would have to know of.
                payer => {
                    let expires_at = log.now() + TAG_GOOD_FOR;
                    let entitlement = agreed.terms.entitlement(payer, expires_at);
                    return begin(&api, &asked, None, &entitlement, &log).await;
                }
            }
        }
    };
    same_start(&intent, &asked)?;
    if intent.state != StartState::Requested {
        return closed(&api, &asked, &log).await;
    }
    available(&api, &asked).await?;
    let hold = hold(&api, &intent, &log).await?;
    let entitlement = intent.entitlement(hold, log.now() + TAG_GOOD_FOR);
    begin(&api, &asked, Some(&intent.start_id), &entitlement, &log).await
}

/// Stores the one-time tag with the call that starts the charger, once.
async fn begin(
    api: &Api,
    asked: &Asked,
    intended: Option<&str>,
    entitlement: &Entitlement,
    log: &Log,
) -> Result<(StatusCode, Json<StartView>), Problem> {
    let call = Envelope::new(Event::ChargerCall(call(asked, log)), log.now(), log.trace());
    let begun = api.store.begin_app_start(intended, entitlement, log.now(), &call).await?;
    if begun == Saved::Duplicate {
        return closed(api, asked, log).await;
    }
    log.outcome("accepted");
    Ok((StatusCode::ACCEPTED, Json(view(asked.id, entitlement, None))))
}

/// Gets a start: whether its session has begun.
#[utoipa::path(get, path = "/driver/starts/{start_id}", tag = "starts",
    operation_id = "get_start",
    params(("start_id" = String, Path)),
    security(("jwt" = [])),
    responses((status = 200, body = StartView)))]
async fn get(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<Uuid>,
) -> Result<Json<StartView>, Problem> {
    log.field("start_id", id.to_string());
    let Some(entitlement) = api.store.entitlement(&id_tag(id)?).await? else {
        let intent = api.store.start_intent(&id.to_string()).await?;
        let intent = intent.ok_or_else(|| Problem::not_found("start"))?;
        if intent.terms.driver_id != driver.id {
            return Err(Problem::somebody_elses("start"));
        }
        return Ok(Json(intent_view(&intent)));
    };
    let app_start = entitlement.app_start.as_ref().ok_or_else(|| Problem::not_found("start"))?;
    if entitlement.driver_id.as_ref() != Some(&driver.id) {
        return Err(Problem::somebody_elses("start"));
    }
    let call = match app_start.used_by {
        Some(_) => None,
        None => api.store.call(&app_start.charge_point_id, &id.to_string()).await?,
    };
    Ok(Json(view(id, &entitlement, call)))
}

fn read(driver: &DriverId, headers: &HeaderMap, body: StartBody) -> Result<Asked, Problem> {
    let key = idempotency_key(headers)?;
    let mut check = Check::default();
    let charge_point_id = check.parse("/charge_point_id", &body.charge_point_id);
    check.that("/connector_id", body.connector_id > 0, "must be 1 or more");
    let pay_with = body.pay_with.as_ref().map(|name| check.parse("/pay_with", name));
    let charge_point_id = check.finish(|| charge_point_id)?;
    let id = start_id(driver, key);
    Ok(Asked {
        id,
        id_tag: id_tag(id)?,
        charge_point_id,
        connector_id: ConnectorId(body.connector_id),
        tariff: body.tariff,
        pay_with: pay_with.flatten(),
    })
}

/// The same key of the same driver is the same start.
fn start_id(driver: &DriverId, key: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("start/{driver}/{key}").as_bytes())
}

/// The one-time tag of a start.
fn id_tag(start_id: Uuid) -> Result<IdTag, Problem> {
    let tag = session::app_start_tag(&start_id.to_string());
    tag.map_err(|error| anyhow::Error::from(error).into())
}

/// The answer to a start that was made before.
fn again(
    standing: &Entitlement,
    asked: &Asked,
    log: &Log,
) -> Result<(StatusCode, Json<StartView>), Problem> {
    let same = standing.app_start.as_ref().is_some_and(|start| {
        start.charge_point_id == asked.charge_point_id && start.connector_id == asked.connector_id
    });
    if !same || !pays_as_asked(&standing.payer, asked) {
        return Err(key_reused());
    }
    log.outcome("repeat");
    Ok((StatusCode::ACCEPTED, Json(view(asked.id, standing, None))))
}

fn pays_as_asked(payer: &Payer, asked: &Asked) -> bool {
    asked.pay_with.is_none() || asked.pay_with == PayWith::of(payer)
}

fn key_reused() -> Problem {
    let detail = "This Idempotency-Key was used for a start at another connector, at another \
                  price, or paid in another way. Use a new one.";
    Problem::new(ProblemType::KeyReused, detail)
}

/// A start whose hold is being placed goes on where, and at the price, it was first asked for, and
/// with a card.
fn same_start(intent: &StartIntent, asked: &Asked) -> Result<(), Problem> {
    let StartTerms { charge_point_id, connector_id, tariff, .. } = &intent.terms;
    let tariff = TariffRefView::from(tariff);
    let same = *charge_point_id == asked.charge_point_id
        && *connector_id == asked.connector_id
        && asked.tariff.as_ref().is_none_or(|shown| *shown == tariff)
        && asked.pay_with.as_ref().is_none_or(|named| *named == PayWith::Card);
    if same { Ok(()) } else { Err(key_reused()) }
}

/// The answer to a start whose hold is decided: by an earlier request, or, had this one taken too
/// long, by the sweep.
async fn closed(
    api: &Api,
    asked: &Asked,
    log: &Log,
) -> Result<(StatusCode, Json<StartView>), Problem> {
    if let Some(standing) = api.store.entitlement(&asked.id_tag).await? {
        return again(&standing, asked, log);
    }
    let intent = api.store.start_intent(&asked.id.to_string()).await?;
    let intent = intent.ok_or_else(|| anyhow::anyhow!("a start that stands is gone"))?;
    if let StartState::Refused { code, decline_code } = intent.state {
        return Err(refused(&RefusalView::from(&Refusal { code, decline_code })));
    }
    log.outcome("repeat");
    Ok((StatusCode::ACCEPTED, Json(intent_view(&intent))))
}

/// Who is blocked with every tag is not served without one.
fn may_charge(on_offer: &OnOffer) -> Result<(), Problem> {
    if !on_offer.are_blocked {
        return Ok(());
    }
    let detail = "You cannot charge at present. Ask whoever runs the chargers.";
    Err(Problem::new(ProblemType::Blocked, detail))
}

fn same_price(asked: &Asked, on_offer: &OnOffer) -> Result<(), Problem> {
    let now: TariffRefView = (&on_offer.tariff).into();
    match &asked.tariff {
        Some(shown) if *shown != now => {
            let detail = "Another price is on offer now. Show it to the driver and start again.";
            Err(Problem::new(ProblemType::PriceChanged, detail))
        }
        _ => Ok(()),
    }
}

/// Nobody's money is held for a charger that cannot start.
async fn available(api: &Api, asked: &Asked) -> Result<(), Problem> {
    let id = &asked.charge_point_id;
    let unavailable = |detail: &str| Problem::new(ProblemType::ChargerUnavailable, detail);
    let connector = api.store.connector(id, asked.connector_id).await?;
    let broken = [ConnectorStatus::Faulted, ConnectorStatus::Unavailable];
    if connector.is_some_and(|connector| broken.contains(&connector.status)) {
        return Err(unavailable("The connector is out of order. Use another one."));
    }
    for look in 1..=LOOKS_MAX {
        if api.store.connection(id).await?.is_some() {
            return Ok(());
        }
        if look < LOOKS_MAX {
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }
    Err(unavailable("The charger is not connected. Use another one, or try again later."))
}

/// Decides whether the start may go on, and pins what it goes on with.
async fn agree(api: &Api, driver: &Driver, asked: &Asked, log: &Log) -> Result<Agreed, Problem> {
    let pay_with = asked.pay_with.as_ref();
    let on_offer = on_offer(api, &driver.id, &asked.charge_point_id, pay_with, log.now()).await?;
    may_charge(&on_offer)?;
    same_price(asked, &on_offer)?;
    // What cannot start is not worth a hold, nor one that the sweep would have to look for.
    available(api, asked).await?;
    let payer = on_offer.payer.clone().ok_or_else(|| {
        let detail = "There is no card on file to pay with. Add one and start again.";
        Problem::new(ProblemType::NoPaymentMethod, detail)
    })?;
    // As with a tag: what an account or nobody pays for is not the driver's to answer for.
    if matches!(payer, Payer::Card { .. }) {
        owes_nothing(&on_offer.wallet)?;
    }
    let known = on_offer.entitlement.as_ref();
    let plan = known.and_then(|known| known.plan_at(log.now()));
    may_spend(api, plan, log).await?;
    let (tariff, state) = on_offer.priced_by(api, log.now()).await?;
    let rules = on_offer.rules(state.as_ref());
    let amount = rating::hold(&tariff, log.now(), &on_offer.site, &rules);
    let amount = amount.map_err(anyhow::Error::from)?;
    let terms = StartTerms {
        id_tag: asked.id_tag.clone(),
        parent_id_tag: known.and_then(|known| known.parent_id_tag.clone()),
        driver_id: driver.id.clone(),
        tier: on_offer.tier.clone(),
        plan: plan.cloned(),
        charge_point_id: asked.charge_point_id.clone(),
        connector_id: asked.connector_id,
        tariff: on_offer.tariff.clone(),
    };
    Ok(Agreed { terms, payer, amount })
}

/// Stores the start with all that its hold depends on, before anybody's money is held: a repeat
/// asks for the same hold, and the sweep finds one that nobody went on with.
async fn intend(
    api: &Api,
    asked: &Asked,
    terms: StartTerms,
    hold: HoldRequest,
) -> Result<StartIntent, Problem> {
    let (start_id, state) = (asked.id.to_string(), StartState::Requested);
    Ok(api.store.intend_start(StartIntent { start_id, terms, hold, state }).await?)
}

/// Who owes for a session settles it before the next one.
fn owes_nothing(wallet: &Wallet) -> Result<(), Problem> {
    if wallet.owes.is_empty() {
        return Ok(());
    }
    let debt = |owed: &Owed| {
        let Owed { session_id, amount, .. } = owed;
        json!({ "session_id": session_id, "amount": AmountView::from(*amount) })
    };
    let debts: Vec<_> = wallet.owes.iter().map(debt).collect();
    let detail = "Something is still owed for an earlier session. Pay it and start again.";
    Err(Problem::new(ProblemType::DebtOpen, detail).with("debts", debts))
}

/// An account that has reached its plan's spending cap starts nothing until the month is over.
async fn may_spend(api: &Api, plan: Option<&PlanMembership>, log: &Log) -> Result<(), Problem> {
    let Some(member) = plan else { return Ok(()) };
    match api.store.capped_until(member).await? {
        Some(until) if log.now() < until => {
            let detail = format!("Your account has spent what it may until {until}.");
            Err(Problem::new(ProblemType::CapReached, detail).with("until", until.to_rfc3339()))
        }
        _ => Ok(()),
    }
}

/// Places the hold that was stored. A refusal is stored, too: a repeat gets the same answer. `None`
/// when Stripe does not answer, and the site lets charge all the same.
async fn hold(api: &Api, intent: &StartIntent, log: &Log) -> Result<Option<HoldRef>, Problem> {
    let reference = Reference::Start(intent.start_id.clone());
    let money = OffSession::from(&intent.hold);
    let stripe = api.cards.stripe().await?.asked_since(intent.hold.requested_at);
    let placed = stripe.place_hold(&reference, money).await;
    let placed = match placed {
        Err(error) if error.is_retryable() && charges_all_the_same(api, intent).await? => {
            log.field("no_hold", format!("{:#}", anyhow::Error::new(error)));
            return Ok(None);
        }
        placed => placed.map_err(no_outcome)?,
    };
    match placed {
        HoldOutcome::Held(placed) => Ok(Some(placed)),
        HoldOutcome::Refused { refusal, .. } => {
            let Refusal { code, decline_code } = &refusal;
            api.store.refuse_start(&intent.start_id, code, decline_code.as_deref()).await?;
            log.count(Metric::Refusals, 1);
            log.field("decline", refusal.reason());
            Err(refused(&RefusalView::from(&refusal)))
        }
    }
}

/// What the site wants when Stripe does not answer.
async fn charges_all_the_same(api: &Api, intent: &StartIntent) -> Result<bool, Problem> {
    let charger = api.store.charger(&intent.terms.charge_point_id).await?;
    let Some(charger) = charger else { return Ok(false) };
    let site = api.store.site(&charger.site_id).await?;
    Ok(site.is_some_and(|site| site.payment.on_outage == OnOutage::Charge))
}

pub(crate) fn no_outcome(error: PaymentError) -> Problem {
    if error.is_retryable() {
        return Problem::unavailable(error);
    }
    anyhow::Error::from(error).into()
}

fn refused(refusal: &RefusalView) -> Problem {
    let problem = Problem::new(ProblemType::PaymentRefused, refusal.message.as_str());
    let problem = problem.with("code", refusal.code.as_str());
    let problem = problem.with("customer_must_act", refusal.customer_must_act);
    match &refusal.decline_code {
        Some(decline_code) => problem.with("decline_code", decline_code.as_str()),
        None => problem,
    }
}

fn call(asked: &Asked, log: &Log) -> ChargerCall {
    ChargerCall {
        charge_point_id: asked.charge_point_id.clone(),
        unique_id: asked.id.to_string(),
        action: ChargerAction::RemoteStartTransaction {
            connector_id: asked.connector_id.0,
            id_tag: asked.id_tag.clone(),
        },
        expires_at: log.now() + CALL_FOR,
    }
}

fn view(id: Uuid, entitlement: &Entitlement, call: Option<CallRecord>) -> StartView {
    let used_by = entitlement.app_start.as_ref().and_then(|start| start.used_by);
    // Expired only when the sweep has said so: until then a session may still use the start.
    let status = match (used_by, entitlement.status) {
        (Some(_), _) => StartStatus::Started,
        (None, EntitlementStatus::Accepted) => StartStatus::Pending,
        (None, _) => StartStatus::Abandoned,
    };
    let answered = call.filter(|call| call.state == CallState::Answered);
    StartView {
        id: id.to_string(),
        status,
        pay_with: PayWith::of(&entitlement.payer).map(|name| name.to_string()),
        session_id: used_by.map(|session| session.to_string()),
        charger_answer: answered.and_then(|call| call.answer),
    }
}

/// A start that has no one-time tag yet, or never gets one.
fn intent_view(intent: &StartIntent) -> StartView {
    let status = match intent.state {
        // Begun between two reads of ours: the charger is being told.
        StartState::Requested | StartState::Begun => StartStatus::Pending,
        StartState::Refused { .. } => StartStatus::Refused,
        StartState::Abandoned => StartStatus::Abandoned,
    };
    StartView {
        id: intent.start_id.clone(),
        status,
        pay_with: Some(PayWith::Card.to_string()),
        session_id: None,
        charger_answer: None,
    }
}

#[cfg(test)]
mod tests {
    use network::{AppStart, StripeCustomerId, StripePaymentMethodId, Tier};
    use quantities::{Currency, SessionId, TariffRef, TransactionId};

    use super::*;

    fn start(status: EntitlementStatus, used_by: Option<SessionId>) -> Entitlement {
        let app_start = AppStart {
            charge_point_id: "CP1".parse().unwrap(),
            connector_id: ConnectorId(1),
            tariff: TariffRef { id: "T1".parse().unwrap(), version: 1 },
            amount: Some(Amount::new(3000, Currency::EUR)),
            hold: None,
            used_by,
        };
        Entitlement {
            id_tag: id_tag(Uuid::nil()).unwrap(),
            status,
            parent_id_tag: None,
            expires_at: None,
            driver_id: None,
            tier: Tier::retail(),
            plan: None,
            subscription: None,
            payer: Payer::Unknown,
            app_start: Some(app_start),
            revision: 0,
            owes: Vec::new(),
            changed: None,
        }
    }

    fn driver(id: &str) -> DriverId {
        id.parse().unwrap()
    }

    #[test]
    fn the_same_key_of_the_same_driver_is_the_same_start() {
        let id = start_id(&driver("d1"), "key");
        assert_eq!(id, start_id(&driver("d1"), "key"));
        assert_ne!(id, start_id(&driver("d2"), "key"));
        assert_ne!(id, start_id(&driver("d1"), "other"));
    }

    #[test]
    fn a_tag_fits_ocpp_and_comes_from_no_card() {
        let one = id_tag(start_id(&driver("d1"), "key")).unwrap();
        let other = id_tag(start_id(&driver("d1"), "other")).unwrap();
        assert_eq!(one.as_str().len(), 20);
        assert_ne!(one, other);
        assert!(one.as_str().chars().any(|c| !c.is_ascii_hexdigit()));
    }

    #[test]
    fn a_start_is_pending_until_a_session_uses_it_or_the_sweep_gives_it_up() {
        let status = |start: &Entitlement| view(Uuid::nil(), start, None).status;
        assert_eq!(status(&start(EntitlementStatus::Accepted, None)), StartStatus::Pending);
        assert_eq!(status(&start(EntitlementStatus::Expired, None)), StartStatus::Abandoned);
        let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
        let used = start(EntitlementStatus::Accepted, Some(session));
        let told = view(Uuid::nil(), &used, None);
        assert_eq!(told.status, StartStatus::Started);
        assert_eq!(told.session_id, Some(session.to_string()));
    }

    fn intent(state: StartState) -> StartIntent {
        StartIntent {
            start_id: Uuid::nil().to_string(),
            terms: StartTerms {
                id_tag: id_tag(Uuid::nil()).unwrap(),
                parent_id_tag: None,
                driver_id: driver("d1"),
                tier: Tier::retail(),
                plan: None,
                charge_point_id: "CP1".parse().unwrap(),
                connector_id: ConnectorId(1),
                tariff: TariffRef { id: "T1".parse().unwrap(), version: 1 },
            },
            hold: HoldRequest {
                customer: StripeCustomerId("cus_1".to_owned()),
                payment_method: StripePaymentMethodId("pm_1".to_owned()),
                amount: Amount::new(3000, Currency::EUR),
                requested_at: "2026-03-01T12:00:00Z".parse().unwrap(),
            },
            state,
        }
    }

    #[test]
    fn a_start_whose_hold_is_being_placed_is_pending_until_it_is_refused_or_given_up() {
        let status = |state| intent_view(&intent(state)).status;
        let refused = StartState::Refused { code: "card_declined".to_owned(), decline_code: None };
        assert_eq!(status(StartState::Requested), StartStatus::Pending);
        assert_eq!(status(refused), StartStatus::Refused);
        assert_eq!(status(StartState::Abandoned), StartStatus::Abandoned);
    }

    #[test]
    fn a_repeat_goes_on_only_where_and_at_the_price_that_was_first_asked_for() {
        let intent = intent(StartState::Requested);
        let asked = |connector_id, version: Option<u32>, pay_with: Option<&str>| {
            let StartTerms { id_tag, charge_point_id, tariff, .. } = intent.terms.clone();
            let tariff = version.map(|version| TariffRef { version, ..tariff });
            Asked {
                id: Uuid::nil(),
                id_tag,
                charge_point_id,
                connector_id: ConnectorId(connector_id),
                tariff: tariff.as_ref().map(TariffRefView::from),
                pay_with: pay_with.map(|name| name.parse().unwrap()),
            }
        };
        assert!(same_start(&intent, &asked(1, None, None)).is_ok());
        assert!(same_start(&intent, &asked(1, Some(1), Some("card"))).is_ok());
        let others = [asked(2, None, None), asked(1, Some(2), None), asked(1, None, Some("free"))];
        for other in others {
            assert_eq!(same_start(&intent, &other).unwrap_err().status().as_u16(), 422);
        }
        // The same once the tag is there, whoever pays.
        let account = Payer::Account {
            account: "fleet-17".parse().unwrap(),
            kind: network::AccountKind::Fleet,
        };
        for (named, same) in [(None, true), (Some("account:fleet-17"), true), (Some("card"), false)]
        {
            assert_eq!(pays_as_asked(&account, &asked(1, None, named)), same, "{named:?}");
        }
    }

    #[test]
    fn a_refused_card_answers_402_with_the_issuers_reason() {
        let refusal = Refusal {
            code: "card_declined".to_owned(),
            decline_code: Some("insufficient_funds".to_owned()),
        };
        let problem = refused(&RefusalView::from(&refusal));
        assert_eq!(problem.status().as_u16(), 402);
        assert!(format!("{problem:?}").contains("insufficient_funds"));
    }
}
