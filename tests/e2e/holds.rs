//! What is held while a session runs: raised, replaced, or the charger stopped, as the site has it;
//! and what becomes of sessions while Stripe does not answer.

use anyhow::{Context as _, ensure};
use chrono::{TimeDelta, Utc};
use quantities::SessionId;
use serde_json::{Value, json};
use stripe_twin::{Fault, FaultKind};
use tallywatt::platform::{Service, TestSwitches};

use crate::harness::{Charge, Station, Suite, World, is_captured, is_held};

/// 12 kWh by day at 0.40 are 4.80, with 21 % VAT 5.81; 5.00 are held.
const CHARGE: Charge = Charge { hour: 10, minutes: 30, start_wh: 1_000, wh: 12_000 };
const CHARGE_GROSS: i64 = 581;

/// 10.3 kWh cost 4.99 so far; at 100 kW another cent takes a second.
const NEAR_WH: u32 = 10_300;

pub(crate) async fn a_running_session_is_covered_or_stopped_as_its_site_has_it(
    suite: &Suite,
) -> anyhow::Result<()> {
    let _alone = suite.alone().await;
    let world = &World::start(TestSwitches::default()).await?;
    // Standard pricing: no hold can be raised.
    a_second_hold_takes_the_place_of_the_first(world).await?;
    near_the_hold_the_charger_is_stopped(world).await?;
    interchange_plus(world).await?;
    a_hold_is_raised_before_it_is_used_up(world).await?;
    a_hold_from_the_app_is_raised_up_to_what_the_site_allows(world).await?;
    a_hold_that_runs_out_is_renewed(world).await?;
    world.settled().await
}

pub(crate) async fn while_stripe_does_not_answer_the_site_decides(
    suite: &Suite,
) -> anyhow::Result<()> {
    let _alone = suite.alone().await;
    let world = &World::start(TestSwitches::default()).await?;
    it_charges_and_is_collected_later(world).await?;
    // The answer breaks off, or never comes; not the work: there is a hold that nobody knows of.
    it_starts_from_the_app_without_a_hold(world, "OUT-02", FaultKind::ResetAfter).await?;
    it_starts_from_the_app_without_a_hold(world, "OUT-04", FaultKind::Hang).await?;
    a_site_that_wants_nothing_delivered_stops(world).await?;
    world.settled().await
}

async fn a_second_hold_takes_the_place_of_the_first(world: &World) -> anyhow::Result<()> {
    let policy = json!({ "raise": true, "beyond": "new_hold", "holds_max": 2 });
    let (session, number, mut station) = near(world, "HOLD-01", policy).await?;
    let replaced = |file: &Value| held_minor(file) == Some(750) && is_quiet(file);
    let file = world.file_when(session, "the second hold", replaced).await?;
    assert_eq!(file["payment"]["hold"]["number"], 2, "{:#}", file["payment"]);
    assert_eq!(intents(world, "HOLD-01").await?, [("canceled", 500), ("requires_capture", 750)]);
    station.stop(number, CHARGE).await?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], CHARGE_GROSS, "{:#}", file["payment"]);
    assert_eq!(intents(world, "HOLD-01").await?, [("canceled", 500), ("succeeded", 750)]);
    ensure!(station.was_left_alone(), "the charger was called");
    Ok(())
}

async fn near_the_hold_the_charger_is_stopped(world: &World) -> anyhow::Result<()> {
    let policy = json!({ "raise": true, "beyond": "stop" });
    let (session, number, mut station) = near(world, "HOLD-02", policy).await?;
    assert_eq!(station.awaits("RemoteStopTransaction").await?["transactionId"], number);
    // It obeys at once: all that it delivered is covered.
    let stopped = Charge { wh: NEAR_WH + 20, minutes: 21, ..CHARGE };
    station.stop(number, stopped).await?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    let payment = &file["payment"];
    // 10.32 kWh: 4.128, with 21 % VAT 4.995.
    let paid = (&payment["captured"]["minor"], &payment["owed"]["minor"]);
    assert_eq!(paid, (&json!(499), &json!(0)), "{payment:#}");
    assert_eq!(intents(world, "HOLD-02").await?, [("succeeded", 500)]);
    ensure!(station.was_left_alone(), "it was called more than once");
    Ok(())
}

async fn a_hold_is_raised_before_it_is_used_up(world: &World) -> anyhow::Result<()> {
    let policy = json!({ "raise": true, "beyond": "stop" });
    let (session, number, mut station) = near(world, "HOLD-03", policy).await?;
    let raised = |file: &Value| held_minor(file) == Some(750) && is_quiet(file);
    let file = world.file_when(session, "the raised hold", raised).await?;
    let hold = &file["payment"]["hold"];
    assert_eq!((&hold["number"], &hold["raises"]), (&json!(1), &json!(1)), "{hold:#}");
    assert_eq!(intents(world, "HOLD-03").await?, [("requires_capture", 750)]);
    let looks = file["payment"]["looks"].as_u64().context("no looks")?;
    // It goes on, and is looked at on: 7.26 would be near the hold again.
    read(&mut station, number, 15_000, 29).await?;
    let again = |file: &Value| held_minor(file) == Some(1125) && is_quiet(file);
    let file = world.file_when(session, "the hold raised again", again).await?;
    ensure!(file["payment"]["looks"].as_u64() > Some(looks), "{:#}", file["payment"]);
    station.stop(number, Charge { wh: 16_000, ..CHARGE }).await?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    // 16 kWh: 6.40, with 21 % VAT 7.744.
    assert_eq!(file["payment"]["captured"]["minor"], 774, "{:#}", file["payment"]);
    assert_eq!(intents(world, "HOLD-03").await?, [("succeeded", 1125)]);
    ensure!(station.was_left_alone(), "the charger was called");
    // The chain of looks ends with the session.
    let over = |file: &Value| file["payment"]["look_at"] == Value::Null;
    world.file_when(session, "the end of the looks", over).await?;
    Ok(())
}

async fn a_hold_from_the_app_is_raised_up_to_what_the_site_allows(
    world: &World,
) -> anyhow::Result<()> {
    let most = json!({ "minor": 600, "currency": "EUR" });
    let policy = json!({ "raise": true, "beyond": "stop", "hold_max": most });
    let (driver, id) = ("driver-HOLD-04", "HOLD-04");
    let mut station = prepared(world, id, policy).await?;
    let (status, start) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(status, 202, "{start:#}");
    let told = station.awaits("RemoteStartTransaction").await?;
    let tag = told["idTag"].as_str().context("no tag came")?.to_owned();
    let (session, number) = station.start(&tag, CHARGE).await?;
    read(&mut station, number, NEAR_WH, 20).await?;
    let raised = |file: &Value| held_minor(file) == Some(600) && is_quiet(file);
    world.file_when(session, "the raised hold", raised).await?;
    assert_eq!(intents(world, id).await?, [("requires_capture", 600)]);
    // 12.3 kWh are 5.95: beyond what may be held the site has it stopped.
    read(&mut station, number, 12_300, 25).await?;
    assert_eq!(station.awaits("RemoteStopTransaction").await?["transactionId"], number);
    station.stop(number, Charge { wh: 12_310, ..CHARGE }).await?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], 596, "{:#}", file["payment"]);
    assert_eq!(intents(world, id).await?, [("succeeded", 600)]);
    Ok(())
}

async fn a_hold_that_runs_out_is_renewed(world: &World) -> anyhow::Result<()> {
    let policy = json!({
        "raise": true, "beyond": "stop", "renew_before_minutes": 720, "holds_max": 2,
    });
    let id = "HOLD-05";
    let mut station = prepared(world, id, policy).await?;
    let (session, number) = station.start(&tag_of(id), CHARGE).await?;
    let file = world.file_when(session, "the hold", is_held).await?;
    let ends = file["payment"]["hold"]["terms"]["capture_before"].as_str().context("no end")?;
    ensure!(ends.parse::<chrono::DateTime<Utc>>()? > Utc::now() + TimeDelta::days(4), "{ends}");
    // As if it had been placed days ago: it runs out in ten hours.
    rewind(world, session, Utc::now() + TimeDelta::hours(10)).await?;
    let renewed = |file: &Value| file["payment"]["hold"]["number"] == 2 && is_quiet(file);
    world.file_when(session, "the renewed hold", renewed).await?;
    assert_eq!(intents(world, id).await?, [("canceled", 500), ("requires_capture", 500)]);
    let short = Charge { wh: 5_000, ..CHARGE };
    station.stop(number, short).await?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], 242, "{:#}", file["payment"]);
    ensure!(station.was_left_alone(), "the charger was called");
    Ok(())
}

async fn it_charges_and_is_collected_later(world: &World) -> anyhow::Result<()> {
    let id = "OUT-01";
    let mut station = prepared(world, id, json!({})).await?;
    down(world);
    let (session, number) = station.start(&tag_of(id), CHARGE).await?;
    let asking = |file: &Value| file["payment"]["pending"]["step"]["step"] == "place_hold";
    world.file_when(session, "a hold that is being asked for", asking).await?;
    station.half(number, CHARGE).await?;
    up(world);
    world.file_when(session, "the hold", is_held).await?;
    // And once more at the end.
    down(world);
    station.stop(number, CHARGE).await?;
    let asking = |file: &Value| file["payment"]["pending"]["step"]["step"] == "capture";
    let file = world.file_when(session, "a capture that is being asked for", asking).await?;
    assert_eq!(file["payment"]["owed"]["minor"], 500.max(CHARGE_GROSS), "{:#}", file["payment"]);
    assert_eq!(file["session"]["state"], "rated");
    up(world);
    let all = |file: &Value| file["payment"]["captured"]["minor"] == CHARGE_GROSS;
    let file = world.file_when(session, "all of the money", all).await?;
    assert_eq!(file["payment"]["owed"]["minor"], 0, "{:#}", file["payment"]);
    ensure!(station.was_left_alone(), "the charger was called");
    Ok(())
}

async fn it_starts_from_the_app_without_a_hold(
    world: &World,
    id: &str,
    kind: FaultKind,
) -> anyhow::Result<()> {
    let driver = &format!("driver-{id}");
    let mut station = prepared(world, id, json!({})).await?;
    world.platform.stripe().fault(Fault::by_chance(kind, 1000));
    let (status, start) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(status, 202, "{start:#}");
    let told = station.awaits("RemoteStartTransaction").await?;
    let tag = told["idTag"].as_str().context("no tag came")?.to_owned();
    let (session, number) = station.start(&tag, CHARGE).await?;
    up(world);
    world.file_when(session, "the session's own hold", is_held).await?;
    station.stop(number, CHARGE).await?;
    let all = |file: &Value| file["payment"]["captured"]["minor"] == CHARGE_GROSS;
    world.file_when(session, "all of the money", all).await?;

    // The sweep finds the hold that nobody knew of, once its request can live no more.
    let start = start["id"].as_str().context("a start without id")?;
    let table = world.platform.output("EntitlementsTable")?;
    let at = (Utc::now() - TimeDelta::minutes(11)).to_rfc3339();
    let rewound = json!({
        "TableName": table,
        "Key": { "pk": { "S": format!("START#{start}") } },
        "UpdateExpression": "SET #hold.requested_at = :at",
        "ConditionExpression": "attribute_exists(gsi_pending)",
        "ExpressionAttributeNames": { "#hold": "hold" },
        "ExpressionAttributeValues": { ":at": { "S": at } },
    });
    world.platform.aws().call(Service::DynamoDb, "UpdateItem", &rewound).await?;
    world.platform.sweep().await?;
    crate::harness::eventually("the release of the hold nobody knew of", async || {
        let open =
            intents(world, id).await?.into_iter().any(|(status, _)| status == "requires_capture");
        Ok((!open).then_some(()))
    })
    .await?;
    let taken = intents(world, id).await?.into_iter().filter(|(status, _)| *status == "succeeded");
    assert_eq!(taken.map(|(_, minor)| minor).collect::<Vec<_>>(), [500, CHARGE_GROSS - 500]);
    let (_, seen) = world.driver(driver, reqwest::Method::GET, &format!("/starts/{start}")).await?;
    assert_eq!(seen["status"], "started", "{seen:#}");
    Ok(())
}

async fn a_site_that_wants_nothing_delivered_stops(world: &World) -> anyhow::Result<()> {
    let id = "OUT-03";
    let mut station = prepared(world, id, json!({ "on_outage": "stop" })).await?;
    down(world);
    let (status, refused) = world.app_start(&format!("driver-{id}"), id, "key-1").await?;
    assert_eq!(status, 503, "{refused:#}");
    assert_eq!(refused["type"], "urn:tallywatt:problem:unavailable", "{refused:#}");
    let (session, number) = station.start(&tag_of(id), CHARGE).await?;
    assert_eq!(station.awaits("RemoteStopTransaction").await?["transactionId"], number);
    let short = Charge { wh: 500, minutes: 2, ..CHARGE };
    station.stop(number, short).await?;
    up(world);
    // What was delivered until then is collected: 0.5 kWh are 0.242.
    let owing = |file: &Value| file["payment"]["total"]["minor"] == 24 && is_quiet(file);
    let file = world.file_when(session, "what became of the money", owing).await?;
    ensure!(file["payment"]["stop_asked"] == true, "{:#}", file["payment"]);
    Ok(())
}

/// A site with that policy, looked at every second, with a charger and somebody who pays.
async fn prepared(world: &World, id: &str, policy: Value) -> anyhow::Result<Station> {
    let mut payment = json!({ "watch_at_least_s": 1, "watch_at_most_s": 2 });
    let fields = payment.as_object_mut().context("no object")?;
    fields.extend(serde_json::from_value::<serde_json::Map<String, Value>>(policy)?);
    let hold = json!({ "minor": 500, "currency": "EUR" });
    world.site(id, json!({ "hold": hold, "payment": payment })).await?;
    world.offer(id, "AMS-RETAIL").await?;
    world.paying_tag(&tag_of(id), &format!("driver-{id}")).await?;
    world.station_at(id, id).await
}

/// A session there that has nearly used what is held.
async fn near(world: &World, id: &str, policy: Value) -> anyhow::Result<(SessionId, i64, Station)> {
    let mut station = prepared(world, id, policy).await?;
    let (session, number) = station.start(&tag_of(id), CHARGE).await?;
    let watched = |file: &Value| held_minor(file) == Some(500) && file["payment"]["looks"] != 0;
    let file = world.file_when(session, "a look at the session", watched).await?;
    ensure!(held_minor(&file) == Some(500) && intents(world, id).await?.len() == 1, "{file:#}");
    read(&mut station, number, NEAR_WH, 20).await?;
    Ok((session, number, station))
}

/// So much after as many minutes, at 100 kW.
async fn read(station: &mut Station, number: i64, wh: u32, minutes: u32) -> anyhow::Result<()> {
    let register = CHARGE.start_wh + wh;
    let payload = json!({
        "connectorId": 1,
        "transactionId": number,
        "meterValue": [{
            "timestamp": CHARGE.at(minutes),
            "sampledValue": [
                { "value": register.to_string() },
                { "value": "100000", "measurand": "Power.Active.Import", "unit": "W" },
            ],
        }],
    });
    station.call("MeterValues", payload).await.map(drop)
}

fn tag_of(id: &str) -> String {
    format!("TAG-{id}")
}

fn held_minor(file: &Value) -> Option<i64> {
    file["payment"]["hold"]["terms"]["amount"]["minor"].as_i64()
}

/// Nothing is being asked of Stripe, and nothing is left to release.
fn is_quiet(file: &Value) -> bool {
    let payment = &file["payment"];
    payment["pending"] == Value::Null && payment["to_release"] == Value::Null
}

/// The PaymentIntents of the site's driver at Stripe, oldest first: status and amount.
async fn intents(world: &World, id: &str) -> anyhow::Result<Vec<(&'static str, i64)>> {
    let path = format!("/entitlements/{}", tag_of(id));
    let known = world.operator(reqwest::Method::GET, &path, None).await?;
    let customer = known["payer"]["customer"].as_str().context("no customer")?;
    let mut all = world.all_intents();
    all.retain(|intent| intent["customer"] == customer);
    all.sort_by_key(|intent| intent["created"].as_i64());
    let told = |intent: &Value| {
        let status = match intent["status"].as_str() {
            Some("canceled") => "canceled",
            Some("requires_capture") => "requires_capture",
            Some("succeeded") => "succeeded",
            _ => "another",
        };
        Ok((status, intent["amount"].as_i64().context("no amount")?))
    };
    all.iter().map(told).collect()
}

/// Stripe does not answer any more.
fn down(world: &World) {
    world.platform.stripe().fault(Fault::by_chance(FaultKind::BadGateway, 1000));
}

fn up(world: &World) {
    world.platform.stripe().clear_faults();
}

/// The account gets interchange-plus pricing: its cards' holds can be raised.
async fn interchange_plus(world: &World) -> anyhow::Result<()> {
    let url = format!("{}/_twin/account", world.platform.stripe_url());
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.post(url).json(&json!({ "ic_plus": true })).send().await?;
    ensure!(answer.status().is_success(), "{answer:?}");
    Ok(())
}

/// Has the stored hold run out at another moment. Looks write the record all the time: it is tried
/// until none came in between, and one that does afterwards begins anew.
async fn rewind(
    world: &World,
    session: SessionId,
    ends: chrono::DateTime<Utc>,
) -> anyhow::Result<()> {
    let table = world.platform.output("SessionsTable")?;
    let key = json!({ "pk": { "S": format!("SESSION#{session}") }, "sk": { "S": "PAYMENT" } });
    crate::harness::eventually("a moment without a look", async || {
        let aws = world.platform.aws();
        let get = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
        let found = aws.call(Service::DynamoDb, "GetItem", &get).await?;
        let text = found["Item"]["doc"]["S"].as_str().context("no payment")?;
        let mut payment: Value = serde_json::from_str(text)?;
        payment["hold"]["terms"]["capture_before"] = json!(ends);
        let version = payment["version"].as_u64().context("no version")? + 1;
        payment["version"] = json!(version);
        let update = json!({
            "TableName": table,
            "Key": key,
            "UpdateExpression": "SET doc = :doc, version = :version",
            "ConditionExpression": "version = :seen",
            "ExpressionAttributeValues": {
                ":doc": { "S": payment.to_string() },
                ":version": { "S": version.to_string() },
                ":seen": found["Item"]["version"],
            },
        });
        Ok(aws.call(Service::DynamoDb, "UpdateItem", &update).await.ok().map(drop))
    })
    .await
}
