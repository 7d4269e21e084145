//! The driver's app over HTTP.

use anyhow::{Context as _, ensure};
use chrono::{TimeDelta, Utc};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tallywatt::platform::Service;

use crate::{
    harness::{Charge, Suite, World, eventually},
    terminal::exception,
};

/// 5 kWh by day: 5 × 0.40 = 2.00, with 21 % VAT 2.42; half of it 1.21.
const CHARGE: Charge = Charge { hour: 10, minutes: 30, start_wh: 1_000, wh: 5_000 };

pub(crate) async fn the_app_shows_price_running_cost_history_and_receipt(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-app-1", "APP-01");
    world.paying_tag("APP-CARD-01", driver).await?;
    let mut station = world.station(id).await?;

    let path = format!("/chargers/{id}/connectors/1/price");
    let (status, price) = world.driver(driver, Method::GET, &path).await?;
    assert_eq!(status, 200, "{price:#}");
    assert_eq!((&price["currency"], &price["hold"]["minor"]), (&json!("EUR"), &json!(3000)));
    let components = price["components"].as_array().context("no components")?;
    let energy = components.iter().find(|one| one["dimension"] == "ENERGY");
    let now = energy.context("no price of energy")?;
    ensure!(["0.4", "0.3"].map(|p| json!(p)).contains(&now["excl_tax"]), "{price:#}");

    let (status, start) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(status, 202, "{start:#}");
    let (_, again) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(again["id"], start["id"], "the same key is the same start");
    let told = station.awaits("RemoteStartTransaction").await?;
    let tag = told["idTag"].as_str().context("no tag came")?.to_owned();
    let (session, number) = station.start(&tag, CHARGE).await?;
    station.half(number, CHARGE).await?;
    let id = start["id"].as_str().context("a start without id")?;
    let (_, started) = world.driver(driver, Method::GET, &format!("/starts/{id}")).await?;
    assert_eq!(started["status"], "started", "{started:#}");
    assert_eq!(started["session_id"], session.to_string());

    let path = format!("/sessions/{session}");
    let (_, live) = world.driver(driver, Method::GET, &path).await?;
    assert_eq!(
        (&live["state"], &live["energy_kwh"]),
        (&json!("active"), &json!("2.5")),
        "{live:#}"
    );
    let bill = &live["price"];
    assert_eq!((&bill["is_final"], &bill["total_incl_tax"]["minor"]), (&json!(false), &json!(121)));

    let token = world.platform.token(driver, &[])?;
    let stop = format!("/driver{path}/stop");
    let (status, answer) = world.http().try_ask(&token, Method::POST, &stop, None).await?;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(station.awaits("RemoteStopTransaction").await?["transactionId"], number);
    station.stop(number, CHARGE).await?;
    paid_and_told(world, driver, &session.to_string()).await
}

/// The app shows one hold and one capture, in the session, in the history and on the receipt.
async fn paid_and_told(world: &World, driver: &str, session: &str) -> anyhow::Result<()> {
    let path = format!("/sessions/{session}");
    let paid = eventually("the payment in the app", async || {
        let (_, seen) = world.driver(driver, Method::GET, &path).await?;
        Ok((seen["payment"]["status"] == "paid").then_some(seen))
    });
    let paid = match paid.await {
        Ok(paid) => paid,
        Err(error) => return Err(error.context(world.troubles().await)),
    };
    assert_eq!(paid["price"]["is_final"], true, "{paid:#}");
    assert_eq!(paid["payment"]["captured"]["minor"], 242, "{paid:#}");
    let (_, history) = world.driver(driver, Method::GET, "/sessions").await?;
    let history = history["sessions"].as_array().context("no history")?;
    assert_eq!(history.len(), 1, "{history:#?}");
    assert_eq!((&history[0]["id"], &history[0]["total"]["minor"]), (&json!(session), &json!(242)));

    let (status, receipt) = world.driver(driver, Method::GET, &format!("{path}/receipt")).await?;
    assert_eq!(status, 200, "{receipt:#}");
    let total = &receipt["bill"]["total_incl_tax"]["minor"];
    assert_eq!((total, &receipt["energy_kwh"]), (&json!(242), &json!("5")), "{receipt:#}");
    let url = format!("{}/driver{path}/receipt", world.platform.http_url()?);
    let token = world.platform.token(driver, &[])?;
    let page = Client::builder().no_proxy().build()?.get(url).bearer_auth(token);
    let page = page.header("accept", "text/html").send().await?;
    let kind = page.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    ensure!(kind.is_some_and(|kind| kind.starts_with("text/html")), "{kind:?}");
    let page = page.text().await?;
    ensure!(page.contains("2.42") && page.contains("Amsterdam Zuid"), "{page}");
    Ok(())
}

pub(crate) async fn a_start_that_the_card_refuses_starts_nothing(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-app-2", "APP-02");
    let card = world.card("pm_card_chargeCustomerFail").await?;
    world.tag("APP-CARD-02", driver, &card, json!({})).await?;
    let mut station = world.station(id).await?;
    let (status, refused) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(status, 402, "{refused:#}");
    assert_eq!(refused["type"], "urn:tallywatt:problem:payment-refused", "{refused:#}");
    assert_eq!(refused["code"], "card_declined", "{refused:#}");
    let (_, history): (u16, Value) = world.driver(driver, Method::GET, "/sessions").await?;
    assert_eq!(history["sessions"], json!([]), "{history:#}");
    // Whatever was to be told the charger has gone out.
    world.settled().await?;
    let heartbeat = station.call("Heartbeat", json!({})).await?;
    ensure!(heartbeat["currentTime"].is_string(), "{heartbeat}");
    ensure!(station.was_left_alone(), "the charger was called");
    Ok(())
}

pub(crate) async fn a_charger_that_refuses_to_start_releases_the_hold(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-app-3", "APP-03");
    let card = world.card("pm_card_visa").await?;
    world.tag("APP-CARD-03", driver, &card, json!({})).await?;
    let mut station = world.station(id).await?;
    station.refuse();
    let (status, start) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(status, 202, "{start:#}");
    let of_customer = || {
        let mut all = world.all_intents().into_iter();
        all.find(|intent| intent["customer"] == card.customer.as_str())
    };
    assert_eq!(of_customer().context("no hold")?["status"], "requires_capture");
    station.awaits("RemoteStartTransaction").await?;
    let start = start["id"].as_str().context("a start without id")?;
    let released = eventually("the release of the hold", async || {
        let (_, start) = world.driver(driver, Method::GET, &format!("/starts/{start}")).await?;
        let canceled = of_customer().is_some_and(|intent| intent["status"] == "canceled");
        Ok((start["status"] == "abandoned" && canceled).then_some(()))
    });
    match released.await {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(world.troubles().await)),
    }
}

pub(crate) async fn a_start_whose_hold_is_captured_at_stripe_and_comes_to_nothing_is_told(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-app-5", "APP-05");
    let card = world.card("pm_card_visa").await?;
    world.tag("APP-CARD-05", driver, &card, json!({})).await?;
    let mut station = world.station(id).await?;
    station.refuse();
    let (status, start) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(status, 202, "{start:#}");
    let mut all = world.all_intents().into_iter();
    let intent = all.find(|intent| intent["customer"] == card.customer.as_str());
    let intent = intent.context("no hold")?["id"].as_str().context("no id")?.to_owned();
    let capture = format!("/v1/payment_intents/{intent}/capture");
    world.stripe("POST", &capture, &[("amount_to_capture", "900")]).await?;
    station.awaits("RemoteStartTransaction").await?;
    let told = exception(world, "unused_capture", id).await?["detail"].to_string();
    ensure!(told.contains("9.00 EUR") && told.contains(&intent), "{told}");
    Ok(())
}

pub(crate) async fn a_start_that_dies_while_its_hold_is_placed_leaves_no_hold(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-app-4", "APP-04");
    let card = world.card("pm_card_visa").await?;
    world.tag("APP-CARD-04", driver, &card, json!({})).await?;
    let mut station = world.station(id).await?;
    let (status, start) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(status, 202, "{start:#}");
    let told = station.awaits("RemoteStartTransaction").await?;
    let tag = told["idTag"].as_str().context("no tag came")?;
    let start = start["id"].as_str().context("a start without id")?;

    // As if the request had died eleven minutes ago, between Stripe's answer and the next write.
    let table = world.platform.output("EntitlementsTable")?;
    let key = |pk: String| json!({ "TableName": table, "Key": { "pk": { "S": pk } } });
    let mut rewound = key(format!("START#{start}"));
    rewound["UpdateExpression"] =
        "SET #state.#status = :requested, gsi_pending = :intended, #hold.requested_at = :at".into();
    rewound["ExpressionAttributeNames"] =
        json!({ "#state": "state", "#status": "status", "#hold": "hold" });
    let at = (Utc::now() - TimeDelta::minutes(11)).to_rfc3339();
    rewound["ExpressionAttributeValues"] = json!({
        ":requested": { "S": "requested" }, ":intended": { "S": "INTENDED" }, ":at": { "S": at },
    });
    let aws = world.platform.aws();
    aws.call(Service::DynamoDb, "DeleteItem", &key(format!("TOKEN#{tag}"))).await?;
    aws.call(Service::DynamoDb, "UpdateItem", &rewound).await?;

    world.platform.sweep().await?;
    let intents = || {
        let all = world.all_intents().into_iter();
        let mine = all.filter(|intent| intent["customer"] == card.customer.as_str());
        mine.map(|intent| intent["status"].clone()).collect::<Vec<_>>()
    };
    let released = eventually("the release of the hold", async || {
        Ok((intents() == [json!("canceled")]).then_some(()))
    });
    if let Err(error) = released.await {
        return Err(error.context(world.troubles().await));
    }
    let (_, seen) = world.driver(driver, Method::GET, &format!("/starts/{start}")).await?;
    assert_eq!(seen["status"], "abandoned", "{seen:#}");
    let (_, again) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(again["status"], "abandoned", "{again:#}");
    assert_eq!(intents(), [json!("canceled")], "a late repeat holds nothing");
    Ok(())
}
