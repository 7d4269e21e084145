//! What happens when something on the way fails, is refused, or needs a person.

use std::net::Ipv4Addr;

use anyhow::{Context as _, ensure};
use messages::Queue;
use quantities::SessionId;
use reqwest::Method;
use serde_json::{Value, json};
use stripe_twin::{DeclineRule, Fault, FaultKind};
use tallywatt::{inbox::Inbox, platform::Service};

use crate::harness::{Charge, Suite, World, eventually, is_captured, is_held, is_owed, session_id};

/// 5 kWh by day: 5 × 0.40 = 2.00, with 21 % VAT 2.42.
const CHARGE: Charge = Charge { hour: 10, minutes: 30, start_wh: 1_000, wh: 5_000 };
const CHARGE_GROSS: i64 = 242;

pub(crate) async fn a_subscriber_that_failed_gets_its_event_again_and_the_others_do_not(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let flaky = Inbox::start(Ipv4Addr::LOCALHOST.into()).await?;
    let body = json!({
        "url": flaky.accounting_url(),
        "signing_secret": flaky.webhook_secret(),
        "event_types": ["session.rated"],
    });
    let path = "/subscribers/flaky";
    world.operator(Method::PUT, path, Some(&body)).await?;
    let result = flaky_subscriber(world, &flaky).await;
    // Gone whatever came of it, or other tests' events would wait for it.
    let gone = world.operator(Method::DELETE, path, None).await;
    result?;
    gone.map(drop)
}

async fn flaky_subscriber(world: &World, flaky: &Inbox) -> anyhow::Result<()> {
    let event = {
        flaky.fail_next(2);
        let session = charged(world, "PIPE-01", "PIPE-TAG-01", "driver-pipe-1").await?;
        format!("session.rated:{session}")
    };
    let received = eventually("the event at the subscriber that failed", async || {
        let received = flaky.received();
        Ok(received.events.contains_key(&event).then_some(received))
    })
    .await?;
    assert_eq!(received.refused, Vec::<String>::new(), "it came with its signature");
    assert_eq!(received.fail_next, 0);
    ensure!(received.webhooks >= received.events.len() + 2, "{received:?}");
    let told = &received.events[&event];
    assert_eq!(told["type"], "session.rated", "{told:#}");

    let (_, session) = event.split_once(':').context("an event without subject")?;
    let file = world.file(session.parse()?).await?;
    let attempts = |recipient: &str| {
        let deliveries = file["deliveries"].as_array().into_iter().flatten();
        let mut ours = deliveries.filter(|d| d["event_id"] == event && d["recipient"] == recipient);
        ours.next().map(|delivery| delivery["attempts"].clone())
    };
    assert_eq!(attempts("accounting"), Some(json!(1)), "{:#}", file["deliveries"]);
    // Both failures can have met this event, or others of the same moment.
    let to_flaky = attempts("flaky").and_then(|attempts| attempts.as_u64()).unwrap_or_default();
    ensure!((1..=3).contains(&to_flaky), "{:#}", file["deliveries"]);
    Ok(())
}

/// A station charges with a tag that pays, and leaves.
async fn charged(world: &World, id: &str, tag: &str, driver: &str) -> anyhow::Result<SessionId> {
    world.paying_tag(tag, driver).await?;
    let mut station = world.station(id).await?;
    let (session, number) = station.start(tag, CHARGE).await?;
    station.half(number, CHARGE).await?;
    station.stop(number, CHARGE).await?;
    station.leave().await;
    Ok(session)
}

/// The queue's own repeats are over soon; then the payment waits, seen by the operator. At a person's
/// word Stripe is asked at once; else the sweep has it asked when its time has come.
pub(crate) async fn a_capture_that_stripe_cannot_make_waits_and_is_made_when_stripe_is_back(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    world.paying_tag("PIPE-TAG-02", "driver-pipe-2").await?;
    let mut station = world.station("PIPE-02").await?;
    let (session, number) = station.start("PIPE-TAG-02", CHARGE).await?;
    let file = world.file_when(session, "the hold", is_held).await?;
    let hold = &file["payment"]["hold"]["payment_intent"];
    let intent = hold.as_str().context("no intent")?.to_owned();
    let outage = Fault::by_chance(FaultKind::BadGateway, 1000);
    world.platform.stripe().fault(outage.on(&format!("{intent}/capture")));
    station.stop(number, CHARGE).await?;

    let waiting = async {
        waits_for_stripe(world, session, 3).await?;
        let path = format!("/payments/{session}/collect");
        world.operator(Method::POST, &path, None).await?;
        waits_for_stripe(world, session, 4).await
    };
    let waiting = waiting.await;
    world.platform.stripe().clear_faults();
    let waiting = match waiting {
        Ok(waiting) => waiting,
        Err(error) => return Err(error.context(world.troubles().await)),
    };
    assert_eq!(waiting["step"], "hold/1/capture/1", "{waiting:#}");
    assert_eq!(waiting["owed"]["minor"], CHARGE_GROSS, "{waiting:#}");
    assert_eq!(world.intent(&intent)?["status"], "requires_capture");
    world
        .logged("a failed capture", |line| {
            line["Function"] == "capture-payment" && line["FailedCaptures"].as_i64() > Some(0)
        })
        .await?;

    // Half an hour later.
    let time_has_come = json!({
        "TableName": world.platform.output("SessionsTable")?,
        "Key": { "pk": { "S": format!("SESSION#{session}") }, "sk": { "S": "PAYMENT" } },
        "UpdateExpression": "SET gsi_at = :now",
        "ExpressionAttributeValues": { ":now": { "S": "2026-06-10T12:00:00.000Z" } },
    });
    world.platform.aws().call(Service::DynamoDb, "UpdateItem", &time_has_come).await?;
    world.platform.sweep().await?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], CHARGE_GROSS, "{:#}", file["payment"]);
    assert_eq!(world.intent(&intent)?["amount_received"], CHARGE_GROSS);
    let open = world.operator(Method::GET, "/payments", None).await?;
    ensure!(!open.to_string().contains(&session.to_string()), "still open: {open:#}");
    Ok(())
}

/// The operator's word on a payment that the queue repeats no more.
async fn waits_for_stripe(world: &World, session: SessionId, tries: u32) -> anyhow::Result<Value> {
    eventually("the payment to wait for Stripe", async || {
        let open = world.operator(Method::GET, "/payments", None).await?;
        let mut open = open.as_array().into_iter().flatten();
        let ours = open.find(|one| one["session_id"] == session.to_string());
        let waits = |one: &&Value| one["waits_for"] == "stripe" && one["tries"] == tries;
        Ok(ours.filter(waits).cloned())
    })
    .await
}

/// What is no event at all ends as a dead letter, again when it is re-driven, and its body is in no
/// log.
pub(crate) async fn what_is_no_event_ends_as_a_dead_letter_and_can_be_redriven(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let queue = world.platform.output("CaptureQueue")?;
    let garbage = json!({ "QueueUrl": queue, "MessageBody": r#"{"nonsense":"GARBAGE-BODY"}"# });
    world.platform.aws().call(Service::Sqs, "SendMessage", &garbage).await?;
    dead_letters(world, Queue::Capture, 1).await?;
    let redrive = json!({ "limit": 10 });
    let path = "/dead-letters/capture/redrive";
    let moved = world.operator(Method::POST, path, Some(&redrive)).await?;
    assert_eq!(moved["moved"], 1, "{moved}");
    dead_letters(world, Queue::Capture, 1).await?;
    let log = world.log().await?;
    ensure!(!log.iter().any(|line| line.contains("GARBAGE-BODY")), "a body is in the log");
    Ok(())
}

/// Waits until the operator's surface shows `count` dead letters of a queue.
async fn dead_letters(world: &World, queue: Queue, count: u64) -> anyhow::Result<()> {
    eventually(format!("{count} dead letters of {}", queue.name()), async || {
        let listed = world.operator(Method::GET, "/dead-letters", None).await?;
        let mut all = listed.as_array().into_iter().flatten();
        let found = all.find(|dead| dead["queue"] == queue.name());
        Ok(found.is_some_and(|dead| dead["count"] == count).then_some(()))
    })
    .await
}

pub(crate) async fn a_person_bills_waives_and_dismisses_what_was_kept(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let before = suite.before().await?;
    let listed = world.operator(Method::GET, "/exceptions", None).await?;
    let mut listed: Vec<Value> = serde_json::from_value(listed)?;
    // Those that the recorded sessions left; other tests have theirs.
    let kept = ["silent_charger", "meter_backwards", "unknown_transaction"];
    listed.retain(|exception| kept.map(Value::from).contains(&exception["reason"]));
    let of = |reason: &str| listed.iter().filter(|e| e["reason"] == reason).collect::<Vec<_>>();

    // The driver was there: 5.4 kWh by day, 5.4 × 0.40 = 2.16; × 1.21 = 2.6136.
    let silent = of("silent_charger");
    let [silent] = silent.as_slice() else { anyhow::bail!("{listed:#?}") };
    let session = before.session("silent")?;
    assert_eq!(silent["session_id"], session.to_string());
    let dismissed = resolve(world, silent, json!({ "action": "dismiss", "reason": "x" })).await?;
    assert_eq!(dismissed.0, 409, "a held session is not dismissed: {}", dismissed.1);
    let bill = json!({
        "action": "bill",
        "meter_stop_wh": "225500",
        "ended_at": "2026-08-11T18:30:00Z",
        "reason": "read at the charger",
    });
    for _ in 0..2 {
        let (status, answer) = resolve(world, silent, bill.clone()).await?;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["resolved"]["by"], "operator");
    }
    let file = world.file_when(session, "the money of the billed session", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], 261, "{:#}", file["priced"]);
    assert_eq!(file["session"]["state"], "rated");

    // The meter ran backwards: nobody knows, so nothing is billed, and the hold is released.
    let backwards = of("meter_backwards");
    let [backwards] = backwards.as_slice() else { anyhow::bail!("{listed:#?}") };
    let session = before.session("meter-backwards")?;
    let file = world.file(session).await?;
    let intent =
        file["payment"]["hold"]["payment_intent"].as_str().context("no intent")?.to_owned();
    let waive = json!({ "action": "waive", "reason": "the meter was changed" });
    let (status, answer) = resolve(world, backwards, waive).await?;
    assert_eq!(status, 200, "{answer}");
    let released = |file: &Value| {
        let payment = &file["payment"];
        payment["total"]["minor"] == 0 && !is_held(file) && payment["pending"] == Value::Null
    };
    let file = world.file_when(session, "the hold's release", released).await?;
    assert_eq!(file["session"]["state"], "waived");
    assert_eq!(world.intent(&intent)?["status"], "canceled");

    // Stops of unknown transactions: seen, and nothing to bill.
    let unknown = of("unknown_transaction");
    ensure!(unknown.len() >= 3, "{listed:#?}");
    for exception in unknown {
        ensure!(exception["frame"].as_str().is_some_and(|f| f.contains("StopTransaction")));
        let dismiss = json!({ "action": "dismiss", "reason": "charged offline by staff" });
        let (status, answer) = resolve(world, exception, dismiss).await?;
        assert_eq!(status, 200, "{answer}");
    }
    let left = world.operator(Method::GET, "/exceptions", None).await?;
    for exception in &listed {
        let id = exception["id"].as_str().context("no id")?;
        assert!(!left.to_string().contains(id), "{id} is still open");
    }
    Ok(())
}

async fn resolve(world: &World, exception: &Value, body: Value) -> anyhow::Result<(u16, Value)> {
    let id = exception["id"].as_str().context("an exception without id")?;
    let token = world.platform.token("operator", &["support"])?;
    let path = format!("/operator/exceptions/{id}/resolution");
    world.http().try_ask(&token, Method::POST, &path, Some(&body)).await
}

pub(crate) async fn a_refused_hold_stops_the_session_which_says_why(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let card = world.card("pm_card_chargeCustomerFail").await?;
    world.tag("PIPE-TAG-03", "driver-pipe-3", &card, json!({})).await?;
    let mut station = world.station("PIPE-03").await?;
    let (session, number) = station.start("PIPE-TAG-03", CHARGE).await?;
    let told = match station.awaits("RemoteStopTransaction").await {
        Ok(told) => told,
        Err(error) => return Err(error.context(world.troubles().await)),
    };
    assert_eq!(told["transactionId"], number);
    station.stop(number, CHARGE).await?;

    // The energy until then is owed: the card refuses that too.
    let file = world.file_when(session, "what is owed", is_owed).await?;
    let payment = &file["payment"];
    assert_eq!(payment["hold_refused"], true, "{payment:#}");
    assert_eq!(payment["refusal"]["code"], "card_declined", "{payment:#}");
    assert_eq!(payment["owed"]["minor"], CHARGE_GROSS, "{payment:#}");
    assert_eq!(payment["captured"]["minor"], 0, "{payment:#}");
    for event in ["payment.refused", "payment.owed"] {
        let id = format!("{event}:{session}");
        eventually(format!("{event} at the accounting system"), async || {
            Ok(world.inbox.received().events.contains_key(&id).then_some(()))
        })
        .await?;
    }
    let path = format!("/sessions/{session}");
    let (_, seen) = world.driver("driver-pipe-3", Method::GET, &path).await?;
    assert_eq!(seen["payment"]["status"], "owed", "{seen:#}");
    ensure!(seen["payment"]["message"].as_str().is_some_and(|told| !told.is_empty()), "{seen:#}");
    Ok(())
}

pub(crate) async fn a_membership_that_ends_at_stripe_ends_here(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let card = world.card("pm_card_visa").await?;
    let product = world.stripe("POST", "/v1/products", &[("name", "Gold")]).await?;
    let product = product["id"].as_str().context("a product without id")?;
    let price = [
        ("currency", "eur"),
        ("unit_amount", "500"),
        ("product", product),
        ("recurring[interval]", "month"),
    ];
    let price = world.stripe("POST", "/v1/prices", &price).await?;
    let membership = [
        ("customer", card.customer.as_str()),
        ("default_payment_method", card.payment_method.as_str()),
        ("items[0][price]", price["id"].as_str().context("a price without id")?),
    ];
    let membership = world.stripe("POST", "/v1/subscriptions", &membership).await?;
    assert_eq!(membership["status"], "active", "{membership:#}");
    let id = membership["id"].as_str().context("a subscription without id")?;
    let gold = json!({
        "tier": "gold",
        "subscription": {
            "id": id, "status": "active", "current_period_end": "2036-01-01T00:00:00Z",
        },
    });
    let tag = "PIPE-TAG-04";
    world.tag(tag, "driver-pipe-4", &card, gold).await?;

    let mut station = world.station("PIPE-04").await?;
    let (session, number) = station.start(tag, CHARGE).await?;
    station.stop(number, CHARGE).await?;
    // 5 × 0.29 = 1.45; × 1.21 = 1.7545.
    let rated = |file: &Value| file["session"]["state"] == "rated";
    let file = world.file_when(session, "the member's price", rated).await?;
    assert_eq!(file["session"]["tariff"]["id"], "AMS-GOLD", "{:#}", file["session"]);
    assert_eq!(file["priced"]["totals"]["total"]["incl_vat"]["minor"], 175, "{:#}", file["priced"]);

    world.stripe("DELETE", &format!("/v1/subscriptions/{id}"), &[]).await?;
    let ended = eventually("the end of the membership", async || {
        let known = world.operator(Method::GET, &format!("/entitlements/{tag}"), None).await?;
        Ok((known["subscription"]["status"] == "canceled").then_some(()))
    });
    if let Err(error) = ended.await {
        return Err(error.context(world.troubles().await));
    }
    let later = Charge { hour: 12, start_wh: 6_000, ..CHARGE };
    let (session, number) = station.start(tag, later).await?;
    station.stop(number, later).await?;
    let file = world.file_when(session, "the price after it", rated).await?;
    assert_eq!(file["session"]["tariff"]["id"], "AMS-RETAIL", "{:#}", file["session"]);
    let total = &file["priced"]["totals"]["total"]["incl_vat"]["minor"];
    assert_eq!(total, CHARGE_GROSS, "{:#}", file["priced"]);
    Ok(())
}

pub(crate) async fn a_session_is_priced_when_the_connector_is_free(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    world.paying_tag("PIPE-TAG-05", "driver-pipe-5").await?;
    let mut station = world.station("PIPE-05").await?;
    let (session, number) = station.start("PIPE-TAG-05", CHARGE).await?;
    station.stop_and_stay(number, CHARGE).await?;
    let waiting = |file: &Value| file["session"]["state"] == "awaiting_release";
    let file = world.file_when(session, "the wait for the connector", waiting).await?;
    assert_eq!(file["priced"], Value::Null);
    station.status_at("Available", &CHARGE.at(90)).await?;
    // An hour less 15 minutes at 6.00 is 4.50; with the 2.00 of energy and 21 % VAT 7.865.
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], 787, "{:#}", file["priced"]);
    Ok(())
}

/// At the site where nobody waits long: the sweep gives the session to a person, who names the end
/// that is billed, and no idle time after it.
pub(crate) async fn a_connector_that_is_never_free_is_a_persons_to_decide(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    world.paying_tag("PIPE-TAG-09", "driver-pipe-9").await?;
    let mut station = world.station_at("AMS-03", "PIPE-09").await?;
    let (session, number) = station.start("PIPE-TAG-09", CHARGE).await?;
    station.half(number, CHARGE).await?;
    station.stop_and_stay(number, CHARGE).await?;
    let state = |is: &'static str| move |file: &Value| file["session"]["state"] == is;
    world.file_when(session, "the wait for the connector", state("awaiting_release")).await?;
    let held = eventually("the sweep giving it to a person", async || {
        world.platform.sweep().await?;
        let file = world.file(session).await?;
        Ok(state("held")(&file).then_some(file))
    });
    let file = match held.await {
        Ok(file) => file,
        Err(error) => return Err(error.context(world.troubles().await)),
    };
    assert!(file["priced"] == Value::Null && is_held(&file), "{file:#}");

    let listed = world.operator(Method::GET, "/exceptions", None).await?;
    let mut ours = listed.as_array().into_iter().flatten();
    let exception = ours.find(|one| one["session_id"] == session.to_string());
    let exception = exception.with_context(|| format!("nobody is told: {listed:#}"))?;
    assert_eq!(exception["reason"], "never_released", "{exception:#}");
    let bill = json!({
        "action": "bill",
        "meter_stop_wh": (CHARGE.start_wh + CHARGE.wh).to_string(),
        "ended_at": CHARGE.at(CHARGE.minutes),
        "reason": "the vehicle was gone when staff came by",
    });
    let (status, answer) = resolve(world, exception, bill).await?;
    assert_eq!(status, 200, "{answer}");
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], CHARGE_GROSS, "{:#}", file["priced"]);
    Ok(())
}

pub(crate) async fn a_second_charge_that_is_refused_is_owed(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let card = world.card("pm_card_visa").await?;
    // The issuer lets 30.00 be held and refuses the rest.
    world.platform.stripe().decline(DeclineRule {
        payment_method: card.payment_method.clone(),
        capture_method: Some("automatic".to_owned()),
        above: 0,
        code: "card_declined".to_owned(),
        decline_code: Some("insufficient_funds".to_owned()),
    });
    world.tag("PIPE-TAG-06", "driver-pipe-6", &card, json!({})).await?;
    let mut station = world.station("PIPE-06").await?;
    // 100 × 0.40 = 40.00; × 1.21 = 48.40.
    let large = Charge { wh: 100_000, minutes: 60, ..CHARGE };
    let (session, number) = station.start("PIPE-TAG-06", large).await?;
    station.stop(number, large).await?;
    let file = world.file_when(session, "the second charge", is_owed).await?;
    let payment = &file["payment"];
    assert_eq!(
        (&payment["captured"]["minor"], &payment["owed"]["minor"]),
        (&json!(3000), &json!(1840))
    );
    assert_eq!(payment["refusal"]["decline_code"], "insufficient_funds", "{payment:#}");
    let owed = format!("payment.owed:{session}");
    eventually("the debt at the accounting system", async || {
        Ok(world.inbox.received().events.contains_key(&owed).then_some(()))
    })
    .await
}

pub(crate) async fn what_nobody_pays_for_and_what_contradicts_itself_is_kept_for_a_person(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let mut station = world.station("PIPE-07").await?;
    // An offline charger let somebody charge whom we do not know.
    let start = json!({
        "connectorId": 1,
        "idTag": "PIPE-NOBODY",
        "meterStart": CHARGE.start_wh,
        "timestamp": CHARGE.at(0),
    });
    let answer = station.call("StartTransaction", start).await?;
    assert_eq!(answer["idTagInfo"]["status"], "Invalid", "{answer}");
    let number = answer["transactionId"].as_i64().context("no transactionId")?;
    let session = session_id("PIPE-07", number)?;
    station.stop(number, CHARGE).await?;
    let held = |file: &Value| file["session"]["state"] == "held";
    let file = world.file_when(session, "the hold for a person", held).await?;
    assert_eq!((&file["priced"], &file["payment"]), (&Value::Null, &Value::Null));
    assert_eq!(reasons(world, session).await?, ["no_payer"]);

    // A charger that stops one transaction twice, and not at the same reading.
    world.paying_tag("PIPE-TAG-07", "driver-pipe-7").await?;
    let later = Charge { hour: 12, start_wh: 6_000, ..CHARGE };
    let (session, number) = station.start("PIPE-TAG-07", later).await?;
    station.stop(number, later).await?;
    world.file_when(session, "the capture", is_captured).await?;
    station.stop(number, Charge { wh: 9_000, ..later }).await?;
    assert_eq!(reasons(world, session).await?, ["conflicting_stop"]);
    world.settled().await?;
    let file = world.file(session).await?;
    assert_eq!(file["payment"]["captured"]["minor"], CHARGE_GROSS, "{:#}", file["payment"]);
    Ok(())
}

/// The reasons of the open exceptions about a session.
async fn reasons(world: &World, session: SessionId) -> anyhow::Result<Vec<String>> {
    let listed = world.operator(Method::GET, "/exceptions", None).await?;
    let all = listed.as_array().context("no list of exceptions")?;
    let ours = all.iter().filter(|exception| exception["session_id"] == session.to_string());
    Ok(ours.filter_map(|exception| exception["reason"].as_str().map(str::to_owned)).collect())
}
