//! A payment's ways beside the plain one: owed and then paid on a page, without a hold, for
//! nothing.

use anyhow::{Context as _, ensure};
use quantities::SessionId;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use stripe_twin::DeclineRule;
use tallywatt::platform::Service;

use crate::harness::{Charge, Suite, World, eventually, is_captured, is_held};

/// 5 kWh by day: 5 × 0.40 = 2.00, with 21 % VAT 2.42.
const CHARGE: Charge = Charge { hour: 10, minutes: 30, start_wh: 1_000, wh: 5_000 };

/// 30.00 are held and 48.40 cost; for the difference the bank wants the driver, who gets a page and
/// pays there with another card.
pub(crate) async fn what_the_bank_wants_confirmed_is_owed_paid_on_a_page_and_cleared(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let card = world.card("pm_card_visa").await?;
    let confirm = || "authentication_required".to_owned();
    world.platform.stripe().decline(DeclineRule {
        payment_method: card.payment_method.clone(),
        capture_method: Some("automatic".to_owned()),
        above: 0,
        code: confirm(),
        decline_code: Some(confirm()),
    });
    world.tag("PAY-TAG-01", "driver-pay-1", &card, json!({})).await?;
    let mut station = world.station("PAY-01").await?;
    // 100 × 0.40 = 40.00; × 1.21 = 48.40.
    let large = Charge { wh: 100_000, minutes: 60, ..CHARGE };
    let (session, number) = station.start("PAY-TAG-01", large).await?;
    station.stop(number, large).await?;
    let linked = |file: &Value| file["payment"]["links"][0]["state"] == "open";
    let file = world.file_when(session, "the pay link", linked).await?;
    let payment = &file["payment"];
    let minor = |of: &str| payment[of]["minor"].as_i64();
    assert_eq!((minor("captured"), minor("owed")), (Some(3000), Some(1840)), "{payment:#}");
    let open = world.operator(Method::GET, "/payments", None).await?;
    let mut open = open.as_array().into_iter().flatten();
    let ours = open.find(|one| one["session_id"] == session.to_string());
    assert_eq!(ours.context("no open payment")?["waits_for"], "pay_link");

    let link = payment["links"][0]["id"].as_str().context("no page")?;
    let page = format!("checkout/sessions/{link}/pay");
    control(world, &page, &json!({ "card": "pm_card_mastercard" })).await?;
    let paid = |file: &Value| file["payment"]["owed"]["minor"] == 0;
    let file = world.file_when(session, "the money from the page", paid).await?;
    let payment = &file["payment"];
    assert_eq!(payment["captured"]["minor"], 4840, "{payment:#}");
    assert_eq!(payment["taken"][1]["by"], "link", "{payment:#}");
    let intent = payment["taken"][1]["payment_intent"].as_str().context("no intent")?;
    assert_eq!(world.intent(intent)?["amount_received"], 1840);
    let captured = format!("payment.captured:{intent}");
    told(
        world,
        &[&format!("payment.owed:{session}"), &format!("payment.cleared:{session}"), &captured],
    )
    .await
}

pub(crate) async fn without_its_hold_a_session_is_charged_in_full(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    world.paying_tag("PAY-TAG-02", "driver-pay-2").await?;
    let mut station = world.station("PAY-02").await?;
    let (session, number) = station.start("PAY-TAG-02", CHARGE).await?;
    let file = world.file_when(session, "the hold", is_held).await?;
    let hold = file["payment"]["hold"]["payment_intent"].as_str().context("no hold")?.to_owned();
    control(world, &format!("payment_intents/{hold}/expire"), &json!({})).await?;
    world.file_when(session, "the news that it is gone", |file| !is_held(file)).await?;
    told(world, &[&format!("payment.released:{hold}")]).await?;
    station.stop(number, CHARGE).await?;
    let file = world.file_when(session, "the charge", is_captured).await?;
    let taken = &file["payment"]["taken"];
    assert_eq!(
        (&taken[0]["by"], &taken[0]["amount"]["minor"]),
        (&json!("difference"), &json!(242))
    );
    ensure!(taken[1].is_null(), "{taken:#}");
    assert_eq!(world.intent(&hold)?["amount_received"], 0);
    Ok(())
}

/// The price is stored, and its event is lost for good: the sweep looks at payments that have had
/// none for long.
pub(crate) async fn a_price_that_nobody_was_told_of_is_collected_all_the_same(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    world.paying_tag("PAY-TAG-05", "driver-pay-5").await?;
    let mut station = world.station("PAY-05").await?;
    let (told, number) = station.start("PAY-TAG-05", CHARGE).await?;
    station.stop(number, CHARGE).await?;
    world.file_when(told, "the capture", is_captured).await?;
    let later = Charge { hour: 12, ..CHARGE };
    let (session, _) = station.start("PAY-TAG-05", later).await?;
    world.file_when(session, "the hold", is_held).await?;
    price_like(world, told, session).await?;
    world.platform.sweep().await?;
    world.settled().await?;
    ensure!(!is_captured(&world.file(session).await?), "it has not been without a price for long");

    // Half a day later.
    let time_has_come = json!({
        "TableName": world.platform.output("SessionsTable")?,
        "Key": key(session, "PAYMENT"),
        "UpdateExpression": "SET gsi_at = :then",
        "ConditionExpression": "gsi_open = :unpriced",
        "ExpressionAttributeValues": {
            ":then": { "S": "2026-06-10T12:00:00.000Z" }, ":unpriced": { "S": "UNPRICED" },
        },
    });
    world.platform.aws().call(Service::DynamoDb, "UpdateItem", &time_has_come).await?;
    world.platform.sweep().await?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], 242, "{:#}", file["payment"]);
    Ok(())
}

/// The price of one session as another's: all that rating stores, but what it tells.
async fn price_like(world: &World, priced: SessionId, session: SessionId) -> anyhow::Result<()> {
    let table = world.platform.output("SessionsTable")?;
    let aws = world.platform.aws();
    let get = json!({ "TableName": table, "Key": key(priced, "RATED") });
    let mut item = aws.call(Service::DynamoDb, "GetItem", &get).await?["Item"].take();
    item["pk"] = json!({ "S": format!("SESSION#{session}") });
    let put = json!({ "TableName": table, "Item": item });
    aws.call(Service::DynamoDb, "PutItem", &put).await?;
    let rated = json!({
        "TableName": table,
        "Key": key(session, "META"),
        "UpdateExpression": "SET #state = :rated REMOVE gsi_open",
        "ConditionExpression": "#state = :active",
        "ExpressionAttributeNames": { "#state": "state" },
        "ExpressionAttributeValues": { ":rated": { "S": "rated" }, ":active": { "S": "active" } },
    });
    aws.call(Service::DynamoDb, "UpdateItem", &rated).await.map(drop)
}

fn key(session: SessionId, of: &str) -> Value {
    json!({ "pk": { "S": format!("SESSION#{session}") }, "sk": { "S": of } })
}

pub(crate) async fn a_session_that_costs_nothing_releases_its_hold(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    world.paying_tag("PAY-TAG-03", "driver-pay-3").await?;
    let mut station = world.station("PAY-03").await?;
    let nothing = Charge { wh: 0, minutes: 1, ..CHARGE };
    let (session, number) = station.start("PAY-TAG-03", nothing).await?;
    let file = world.file_when(session, "the hold", is_held).await?;
    let hold = file["payment"]["hold"]["payment_intent"].as_str().context("no hold")?.to_owned();
    station.stop(number, nothing).await?;
    let free = |file: &Value| file["payment"]["total"]["minor"] == 0 && !is_held(file);
    let file = world.file_when(session, "the release", free).await?;
    assert_eq!(file["payment"]["captured"]["minor"], 0, "{:#}", file["payment"]);
    assert_eq!(world.intent(&hold)?["status"], "canceled");
    told(world, &[&format!("payment.released:{hold}")]).await?;
    let path = format!("/sessions/{session}");
    let (_, seen) = world.driver("driver-pay-3", Method::GET, &path).await?;
    assert_eq!(seen["payment"]["status"], "nothing_due", "{seen:#}");
    Ok(())
}

/// Waits until the accounting system was told of these.
async fn told(world: &World, ids: &[&str]) -> anyhow::Result<()> {
    for id in ids {
        eventually(format!("{id} at the accounting system"), async || {
            Ok(world.inbox.received().events.contains_key(*id).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Has something happen at Stripe that is no call of ours.
async fn control(world: &World, path: &str, body: &Value) -> anyhow::Result<()> {
    let url = format!("{}/_twin/{path}", world.platform.stripe_url());
    let sent = Client::builder().no_proxy().build()?.post(url).json(body).send().await?;
    let status = sent.status();
    let said = sent.text().await?;
    ensure!(status.is_success(), "{path}: {status} {said}");
    Ok(())
}
