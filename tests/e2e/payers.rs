//! Every way of paying, and what happens to whoever owes.

use anyhow::{Context as _, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use quantities::SessionId;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use stripe_twin::DeclineRule;

use crate::harness::{
    Card, Charge, Station, Suite, World, eventually, is_captured, is_owed, session_id,
};

/// 5 kWh by day: 5 × 0.40 = 2.00, with 21 % VAT 2.42.
const CHARGE: Charge = Charge { hour: 8, minutes: 30, start_wh: 0, wh: 5_000 };
const CHARGE_GROSS: i64 = 242;
/// 100 kWh: 40.00, with VAT 48.40; 30.00 of it are held.
const LARGE: Charge = Charge { hour: 10, minutes: 60, start_wh: 0, wh: 100_000 };
const LARGE_OWED: i64 = 1840;

pub(crate) async fn every_payer_has_its_route_its_fees_and_its_books(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, fleet, town) = ("driver-payer-1", "fleet-17", "town-of-zuid");
    let card = world.card("pm_card_visa").await?;
    world.tag("PAY-MEMBER", driver, &card, json!({ "tier": "gold" })).await?;
    let account =
        |account, kind| json!({ "kind": "account", "account": account, "account_kind": kind });
    for (tag, payer) in [
        ("PAY-FLEET", account(fleet, "fleet")),
        ("PAY-TOWN", account(town, "contract")),
        ("PAY-FREE", json!({ "kind": "free" })),
    ] {
        let body = json!({ "status": "Accepted", "driver_id": driver, "payer": payer });
        world.operator(Method::PUT, &format!("/entitlements/{tag}"), Some(&body)).await?;
    }
    let mut station = world.station("PAY-01").await?;

    // 5 × 0.29 = 1.45; × 1.21 = 1.7545: the member's tariff, with the card on file.
    let member = charged(world, &mut station, "PAY-MEMBER", CHARGE).await?;
    let file = world.file_when(member, "the member's capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], 175, "{:#}", file["payment"]);
    shows(world, driver, &file, ("saved_card", "gold", "AMS-GOLD", "paid")).await?;

    // By invoice: priced and booked on the account, and Stripe hears nothing of it.
    let (mut hour, mut start_wh) = (10, 5_000);
    for (tag, debtor, route) in [("PAY-FLEET", fleet, "fleet"), ("PAY-TOWN", town, "contract")] {
        let charge = Charge { hour, start_wh, ..CHARGE };
        let session = charged(world, &mut station, tag, charge).await?;
        let file = world.file_when(session, "the price", is_published).await?;
        let sale = &file["journal"][0];
        assert_eq!(sale["debtor"], debtor, "{sale:#}");
        assert_eq!(booked(sale, "invoiced_receivable"), CHARGE_GROSS, "{sale:#}");
        assert_eq!(booked(sale, "accounts_receivable"), 0, "{sale:#}");
        no_money_moved(world, &file)?;
        shows(world, driver, &file, (route, "retail", "AMS-RETAIL", "invoiced")).await?;
        (hour, start_wh) = (hour + 2, start_wh + 5_000);
    }

    // Free: 2.00 of revenue at list price, and 2.00 taken off; no tax, nothing owed.
    let charge = Charge { hour, start_wh, ..CHARGE };
    let session = charged(world, &mut station, "PAY-FREE", charge).await?;
    let file = world.file_when(session, "the price of nothing", is_published).await?;
    let total = &file["priced"]["totals"]["total"];
    assert_eq!((&total["excl_vat"]["minor"], &total["incl_vat"]["minor"]), (&json!(0), &json!(0)));
    let lines = file["priced"]["lines"].as_array().context("no lines")?;
    let items: Vec<_> = lines.iter().filter_map(|line| line["item"].as_str()).collect();
    assert_eq!(items, ["ENERGY", "FREE"], "{lines:#?}");
    let sale = &file["journal"][0];
    assert_eq!(booked(sale, "charging_revenue"), -200, "{sale:#}");
    assert_eq!(booked(sale, "plan_reductions"), 200, "{sale:#}");
    no_money_moved(world, &file)?;
    shows(world, driver, &file, ("free", "retail", "AMS-RETAIL", "free")).await
}

pub(crate) async fn a_wallet_added_in_the_app_pays_for_a_session(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, other, id) = ("driver-payer-2", "driver-payer-3", "PAY-02");
    let mut station = world.station(id).await?;
    let (_, none) = world.driver(driver, Method::GET, "/payment-methods").await?;
    assert_eq!(none, json!([]));
    let (status, refused) = world.app_start(driver, id, "none").await?;
    assert_eq!((status, problem(&refused)), (409, "no-payment-method"), "{refused:#}");

    let first = added(world, driver, "first", "pm_card_visa", Some("apple_pay")).await?;
    let again = set_up(world, driver, "first").await?;
    ensure!(again["id"] == set_up(world, driver, "first").await?["id"], "one key, one setup");
    let (_, listed) = world.driver(driver, Method::GET, "/payment-methods").await?;
    let expected = json!([{
        "id": first, "brand": "visa", "last4": "4242", "wallet": "apple_pay",
        "expiry_month": 12, "expiry_year": 2034, "is_default": false,
    }]);
    assert_eq!(listed, expected);
    // Somebody else's is as good as none, whoever knows its id.
    let default = format!("/payment-methods/{first}/default");
    set_up(world, other, "other").await?;
    for (method, path) in
        [(Method::PUT, default.as_str()), (Method::DELETE, &default[..default.len() - 8])]
    {
        let (status, answer) = world.driver(other, method, path).await?;
        assert_eq!((status, problem(&answer)), (404, "not-found"), "{answer:#}");
    }
    let (status, made) = world.driver(driver, Method::PUT, &default).await?;
    assert_eq!((status, &made["is_default"]), (200, &json!(true)), "{made:#}");

    let (status, start) = world.app_start(driver, id, "with-wallet").await?;
    assert_eq!(status, 202, "{start:#}");
    let told = station.awaits("RemoteStartTransaction").await?;
    let tag = told["idTag"].as_str().context("no tag came")?.to_owned();
    let (session, number) = station.start(&tag, CHARGE).await?;
    let remove = format!("/payment-methods/{first}");
    let (status, answer) = world.driver(driver, Method::DELETE, &remove).await?;
    assert_eq!(
        (status, problem(&answer)),
        (409, "conflict"),
        "a running session needs it: {answer:#}"
    );
    station.stop(number, CHARGE).await?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], CHARGE_GROSS, "{:#}", file["payment"]);
    shows(world, driver, &file, ("app_wallet", "retail", "AMS-RETAIL", "paid")).await?;

    let second = added(world, driver, "second", "pm_card_mastercard", None).await?;
    let (status, _) =
        world.driver(driver, Method::PUT, &format!("/payment-methods/{second}/default")).await?;
    assert_eq!(status, 200);
    let (status, answer) = world.driver(driver, Method::DELETE, &remove).await?;
    assert_eq!(status, 204, "{answer:#}");
    let (_, left) = world.driver(driver, Method::GET, "/payment-methods").await?;
    assert_eq!((left.as_array().map(Vec::len), &left[0]["id"]), (Some(1), &json!(second)));
    assert_eq!((&left[0]["brand"], &left[0]["is_default"]), (&json!("mastercard"), &json!(true)));
    Ok(())
}

pub(crate) async fn whoever_pays_a_start_from_the_app_has_their_route_and_their_fees(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let id = "PAY-05";
    let mut station = world.station(id).await?;
    let account =
        |account, kind| json!({ "kind": "account", "account": account, "account_kind": kind });
    let ways = [
        ("driver-payer-5", "account:fleet-19", "fleet", account("fleet-19", "fleet"), "gold"),
        ("driver-payer-6", "account:town-2", "contract", account("town-2", "contract"), "retail"),
        ("driver-payer-7", "free", "free", json!({ "kind": "free" }), "retail"),
    ];
    let (mut hour, mut start_wh) = (8, 0);
    for (driver, pay_with, route, payer, tier) in ways {
        let body = json!({
            "status": "Accepted", "driver_id": driver, "payer": payer, "tier": tier,
        });
        let tag = format!("/entitlements/PAY-APP-{}", route.to_uppercase());
        world.operator(Method::PUT, &tag, Some(&body)).await?;
        let path = format!("/chargers/{id}/connectors/1/price?kwh=5");
        let (_, price) = world.driver(driver, Method::GET, &path).await?;
        assert_eq!((&price["pay_with"], &price["tier"]), (&json!(pay_with), &json!(tier)));
        let expected = json!([{ "pay_with": pay_with, "route": route }]);
        assert_eq!((&price["ways_to_pay"], &price["hold"]), (&expected, &Value::Null));
        let costs = price["estimate"]["total_incl_tax"]["minor"].as_i64();
        ensure!((costs == Some(0)) == (route == "free"), "{price:#}");
        let (status, refused) =
            world.app_start_with(driver, id, "not-theirs", Some("account:fleet-18")).await?;
        assert_eq!((status, problem(&refused)), (409, "no-payment-method"), "{refused:#}");

        let charge = Charge { hour, start_wh, ..CHARGE };
        let session =
            started_from_app(world, &mut station, driver, (pay_with, None), charge).await?;
        let file = world.file_when(session, "the price", is_published).await?;
        assert_eq!(file["session"]["payer"], payer, "{file:#}");
        no_money_moved(world, &file)?;
        let tariff = if tier == "gold" { "AMS-GOLD" } else { "AMS-RETAIL" };
        let paid = if route == "free" { "free" } else { "invoiced" };
        shows(world, driver, &file, (route, tier, tariff, paid)).await?;
        (hour, start_wh) = (hour + 2, start_wh + 5_000);
    }

    // Who has a card of their own pays with it, unless they say otherwise.
    let driver = "driver-payer-5";
    world.paying_tag("PAY-APP-CARD", driver).await?;
    for (pay_with, named, route, tier, tariff, paid) in [
        ("card", None, "app_wallet", "retail", "AMS-RETAIL", "paid"),
        ("account:fleet-19", Some("account:fleet-19"), "fleet", "gold", "AMS-GOLD", "invoiced"),
    ] {
        let charge = Charge { hour, start_wh, ..CHARGE };
        let session =
            started_from_app(world, &mut station, driver, (pay_with, named), charge).await?;
        let is_done = |file: &Value| is_published(file) && (named.is_some() || is_captured(file));
        let file = world.file_when(session, "the end", is_done).await?;
        shows(world, driver, &file, (route, tier, tariff, paid)).await?;
        (hour, start_wh) = (hour + 2, start_wh + 5_000);
    }

    // Who is blocked is not served without their tag; and it is known who blocked them.
    let tag = "/entitlements/PAY-APP-FREE";
    let payer = json!({ "kind": "free" });
    let body = json!({ "status": "Blocked", "driver_id": "driver-payer-7", "payer": payer });
    let known = world.operator(Method::PUT, tag, Some(&body)).await?;
    assert_eq!(known["changed"]["by"], "operator", "{known:#}");
    let (status, refused) = world.app_start("driver-payer-7", id, "blocked").await?;
    assert_eq!((status, problem(&refused)), (409, "blocked"), "{refused:#}");
    world.operator(Method::DELETE, tag, None).await.map(drop)
}

/// Starts from the app, charges and stops; a start is good for one session, and its key for one way
/// to pay.
async fn started_from_app(
    world: &World,
    station: &mut Station,
    driver: &str,
    (pay_with, named): (&str, Option<&str>),
    charge: Charge,
) -> anyhow::Result<SessionId> {
    let id = station.id.clone();
    let key = format!("{pay_with}-{}", charge.hour);
    let (status, start) = world.app_start_with(driver, &id, &key, named).await?;
    assert_eq!((status, &start["pay_with"]), (202, &json!(pay_with)), "{start:#}");
    let (status, again) = world.app_start_with(driver, &id, &key, named).await?;
    assert_eq!((status, &again["id"]), (202, &start["id"]), "{again:#}");
    let other = if pay_with == "free" { "card" } else { "free" };
    let (status, refused) = world.app_start_with(driver, &id, &key, Some(other)).await?;
    assert_eq!((status, problem(&refused)), (422, "idempotency-key-reused"), "{refused:#}");
    let told = station.awaits("RemoteStartTransaction").await?;
    let tag = told["idTag"].as_str().context("no tag came")?.to_owned();
    let (session, number) = station.start(&tag, charge).await?;
    assert_eq!(authorize(station, &tag).await?, "Invalid", "it is used up");
    let start = start["id"].as_str().context("a start without id")?;
    let (_, seen) = world.driver(driver, Method::GET, &format!("/starts/{start}")).await?;
    assert_eq!(seen["session_id"], session.to_string(), "{seen:#}");
    station.stop(number, charge).await?;
    Ok(session)
}

/// OCPP 1.6, 4.2 and 4.8: a charger lets a tag stop the transaction of another if both have the same
/// `parentIdTag`, which it knows from our answers. Whoever started it pays.
pub(crate) async fn a_tag_of_the_same_group_may_stop_what_another_pays(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id, group) = ("driver-payer-8", "PAY-08", "PAY-FAMILY");
    let card = world.card("pm_card_visa").await?;
    world.tag("PAY-PARENT", driver, &card, json!({ "parent_id_tag": group })).await?;
    let free = json!({
        "status": "Accepted", "parent_id_tag": group, "payer": { "kind": "free" },
    });
    world.operator(Method::PUT, "/entitlements/PAY-CHILD", Some(&free)).await?;
    let mut station = world.station(id).await?;
    for tag in ["PAY-PARENT", "PAY-CHILD"] {
        let answer = station.call("Authorize", json!({ "idTag": tag })).await?;
        assert_eq!(answer["idTagInfo"]["parentIdTag"], group, "{answer:#}");
    }
    // A start from the app belongs to the group of the tag that it is made as.
    let (status, start) = world.app_start(driver, id, "family").await?;
    assert_eq!(status, 202, "{start:#}");
    let told = station.awaits("RemoteStartTransaction").await?;
    let begin = json!({
        "connectorId": 1, "idTag": told["idTag"], "meterStart": 0, "timestamp": CHARGE.at(0),
    });
    let answer = station.call("StartTransaction", begin).await?;
    assert_eq!(
        answer["idTagInfo"],
        json!({
            "status": "Accepted", "parentIdTag": group,
            "expiryDate": answer["idTagInfo"]["expiryDate"],
        })
    );
    let number = answer["transactionId"].as_i64().context("no transactionId")?;
    let stop = json!({
        "transactionId": number, "idTag": "PAY-CHILD", "meterStop": CHARGE.wh,
        "timestamp": CHARGE.at(CHARGE.minutes), "reason": "Local",
    });
    station.call("StopTransaction", stop).await?;
    station.status_at("Available", &CHARGE.at(CHARGE.minutes)).await?;
    let session = session_id(id, number)?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], CHARGE_GROSS, "{:#}", file["payment"]);
    shows(world, driver, &file, ("app_wallet", "retail", "AMS-RETAIL", "paid")).await
}

pub(crate) async fn a_debt_bars_the_next_start_until_it_is_settled(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-payer-4", "PAY-04");
    let card = world.card("pm_card_visa").await?;
    // The issuer lets 30.00 be held and refuses the rest.
    world.platform.stripe().decline(DeclineRule {
        payment_method: card.payment_method.clone(),
        capture_method: Some("automatic".to_owned()),
        above: 0,
        code: "card_declined".to_owned(),
        decline_code: Some("insufficient_funds".to_owned()),
    });
    for tag in ["PAY-DEBT-A", "PAY-DEBT-B"] {
        world.tag(tag, driver, &card, json!({})).await?;
    }
    let payer = json!({ "kind": "account", "account": "fleet-18", "account_kind": "fleet" });
    let fleet = json!({ "status": "Accepted", "driver_id": driver, "payer": payer });
    world.operator(Method::PUT, "/entitlements/PAY-DEBT-F", Some(&fleet)).await?;
    let mut station = world.station(id).await?;
    let session = charged(world, &mut station, "PAY-DEBT-A", LARGE).await?;
    world.file_when(session, "the debt", is_owed).await?;
    barred(world, &mut station, driver).await?;
    let mut station = dated_back(world, station, driver).await?;

    // The same card again is refused again; a stranger's is none of the driver's.
    let path = format!("/driver/debts/{session}/pay");
    let token = world.platform.token(driver, &[])?;
    let pay =
        async |body: Value| world.http().try_ask(&token, Method::POST, &path, Some(&body)).await;
    let stranger = world.card("pm_card_visa").await?;
    let (status, answer) = pay(json!({ "payment_method": stranger.payment_method })).await?;
    assert_eq!((status, problem(&answer)), (404, "not-found"), "{answer:#}");
    let (status, answer) = pay(json!({})).await?;
    assert_eq!((status, &answer["in_progress"]), (202, &json!(true)), "{answer:#}");
    let refused_twice = |file: &Value| file["payment"]["debt"]["attempts"] == 2;
    world.file_when(session, "the second refusal", refused_twice).await?;
    assert_eq!(authorize(&mut station, "PAY-DEBT-A").await?, "Blocked");

    // Another card of theirs settles it, and the next session begins at once.
    let other = another_card(world, &card).await?;
    let (status, answer) = pay(json!({ "payment_method": other })).await?;
    assert_eq!(status, 202, "{answer:#}");
    free_again(world, &mut station, driver, session).await?;
    let number = started_now(&mut station, "PAY-DEBT-B", "Accepted").await?;
    let later = Charge { hour: 14, start_wh: 200_000, ..LARGE };
    let stop = json!({
        "transactionId": number, "meterStop": 100_000, "reason": "Local", "timestamp": now(),
    });
    station.call("StopTransaction", stop).await?;
    station.status_at("Available", &now()).await?;

    // The next debt is paid on a page at Stripe.
    let session = charged(world, &mut station, "PAY-DEBT-A", later).await?;
    world.file_when(session, "the next debt", is_owed).await?;
    blocked(world, &mut station, "PAY-DEBT-B").await?;
    let path = format!("/driver/debts/{session}/link");
    let (status, answer) = world.http().try_ask(&token, Method::POST, &path, None).await?;
    assert_eq!(status, 202, "{answer:#}");
    eventually("the page to pay on", async || {
        let (_, debts) = world.driver(driver, Method::GET, "/debts").await?;
        Ok(debts[0]["pay_link"].is_string().then_some(()))
    })
    .await?;
    let file = world.file(session).await?;
    let link = file["payment"]["links"][0]["id"].as_str().context("no link")?.to_owned();
    let paid = format!("checkout/sessions/{link}/pay");
    twin(world, &paid, json!({ "card": "pm_card_visa" })).await?;
    free_again(world, &mut station, driver, session).await
}

/// The driver's own tags and the app start nothing; what the fleet pays for does.
async fn barred(world: &World, station: &mut Station, driver: &str) -> anyhow::Result<()> {
    for tag in ["PAY-DEBT-A", "PAY-DEBT-B"] {
        blocked(world, station, tag).await?;
    }
    assert_eq!(authorize(station, "PAY-DEBT-F").await?, "Accepted", "a fleet owes nothing");
    let number = started_now(station, "PAY-DEBT-B", "Blocked").await?;
    let nobodys = world.file(session_id(&station.id, number)?).await?;
    assert_eq!(nobodys["session"]["payer"]["kind"], "unknown", "{nobodys:#}");
    assert_eq!(nobodys["session"]["route"], "none", "{nobodys:#}");
    let stop = json!({
        "transactionId": number, "meterStop": 100_000, "reason": "DeAuthorized",
        "timestamp": now(),
    });
    station.call("StopTransaction", stop).await?;
    station.status_at("Available", &now()).await?;

    let (status, refused) = world.app_start(driver, &station.id, "debtor").await?;
    assert_eq!((status, problem(&refused)), (409, "debt-open"), "{refused:#}");
    assert_eq!(refused["debts"][0]["amount"]["minor"], LARGE_OWED, "{refused:#}");
    let fleet = Some("account:fleet-18");
    let (status, start) = world.app_start_with(driver, &station.id, "fleet", fleet).await?;
    assert_eq!((status, &start["pay_with"]), (202, &json!(fleet)), "{start:#}");
    let (_, debts) = world.driver(driver, Method::GET, "/debts").await?;
    assert_eq!(debts[0]["amount"]["minor"], LARGE_OWED, "{debts:#}");
    assert_eq!(debts[0]["refusal"]["decline_code"], "insufficient_funds", "{debts:#}");

    // A tag that is made now is no way round it.
    let again = world.operator(Method::GET, "/entitlements/PAY-DEBT-A", None).await?;
    let mut new = again;
    let fields = new.as_object_mut().context("no object")?;
    fields.remove("id_tag");
    world.operator(Method::PUT, "/entitlements/PAY-DEBT-C", Some(&new)).await?;
    assert_eq!(authorize(station, "PAY-DEBT-C").await?, "Blocked");
    Ok(())
}

/// A start that is dated before the debt is barred as long as the charger was connected when it
/// happened; one that it queued offline is the driver's, and billed. Gives the charger connected
/// anew.
async fn dated_back(world: &World, station: Station, driver: &str) -> anyhow::Result<Station> {
    let mut station = station;
    let (_, debts) = world.driver(driver, Method::GET, "/debts").await?;
    let since: DateTime<Utc> = serde_json::from_value(debts[0]["since"].clone())?;
    let before = (since - TimeDelta::milliseconds(500)).to_rfc3339();
    let number = started(&mut station, "PAY-DEBT-A", &before, "Blocked").await?;
    stopped(&mut station, number, &before).await?;

    let id = station.id.clone();
    station.leave().await;
    let path = format!("/chargers/{id}/password");
    let password = world.operator(Method::POST, &path, None).await?;
    let password = password["password"].as_str().context("no password came back")?;
    let mut station = Station::connect(world.platform.charger_url()?, &id, password).await?;
    let number = started(&mut station, "PAY-DEBT-B", &before, "Accepted").await?;
    let file = world.file(session_id(&id, number)?).await?;
    assert_eq!(file["session"]["route"], "saved_card", "{file:#}");
    stopped(&mut station, number, &before).await?;
    Ok(station)
}

/// Ends a session that charged nothing.
async fn stopped(station: &mut Station, number: i64, at: &str) -> anyhow::Result<()> {
    let stop = json!({ "transactionId": number, "meterStop": 100_000, "timestamp": at });
    station.call("StopTransaction", stop).await?;
    station.status_at("Available", at).await
}

async fn free_again(
    world: &World,
    station: &mut Station,
    driver: &str,
    session: SessionId,
) -> anyhow::Result<()> {
    let settled = |file: &Value| file["payment"]["owed"]["minor"] == 0;
    world.file_when(session, "the settled debt", settled).await?;
    for tag in ["PAY-DEBT-A", "PAY-DEBT-B", "PAY-DEBT-C"] {
        let free = eventually(format!("{tag} to be accepted"), async || {
            Ok((authorize(station, tag).await? == "Accepted").then_some(()))
        });
        if let Err(error) = free.await {
            return Err(error.context(world.troubles().await));
        }
    }
    let (_, debts) = world.driver(driver, Method::GET, "/debts").await?;
    assert_eq!(debts, json!([]));
    Ok(())
}

async fn blocked(world: &World, station: &mut Station, tag: &str) -> anyhow::Result<()> {
    let blocked = eventually(format!("{tag} to be blocked"), async || {
        Ok((authorize(station, tag).await? == "Blocked").then_some(()))
    });
    match blocked.await {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(world.troubles().await)),
    }
}

async fn authorize(station: &mut Station, tag: &str) -> anyhow::Result<String> {
    let answer = station.call("Authorize", json!({ "idTag": tag })).await?;
    let status = answer["idTagInfo"]["status"].as_str();
    Ok(status.context("no status came back")?.to_owned())
}

/// Begins a session now, by the clock that debts are dated with.
async fn started_now(station: &mut Station, tag: &str, expected: &str) -> anyhow::Result<i64> {
    started(station, tag, &now(), expected).await
}

async fn started(
    station: &mut Station,
    tag: &str,
    at: &str,
    expected: &str,
) -> anyhow::Result<i64> {
    let start = json!({ "connectorId": 1, "idTag": tag, "meterStart": 100_000, "timestamp": at });
    let answer = station.call("StartTransaction", start).await?;
    assert_eq!(answer["idTagInfo"]["status"], expected, "{answer}");
    answer["transactionId"].as_i64().context("no transactionId")
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

async fn charged(
    world: &World,
    station: &mut Station,
    tag: &str,
    charge: Charge,
) -> anyhow::Result<SessionId> {
    let begun = async {
        let (session, number) = station.start(tag, charge).await?;
        station.stop(number, charge).await?;
        Ok(session)
    };
    match begun.await {
        Ok(session) => Ok(session),
        Err(error) => {
            let error: anyhow::Error = error;
            Err(error.context(world.troubles().await))
        }
    }
}

fn is_published(file: &Value) -> bool {
    file["priced"].is_object() && file["cdr"].is_object()
}

/// Net debit of an account in an entry, in minor units.
fn booked(entry: &Value, account: &str) -> i64 {
    let lines = entry["lines"].as_array().into_iter().flatten();
    let lines = lines.filter(|line| line["account"] == account);
    let signed = |line: &Value| {
        let minor = line["amount"]["minor"].as_i64().unwrap_or(i64::MIN);
        if line["side"] == "debit" { minor } else { -minor }
    };
    lines.map(signed).sum()
}

fn no_money_moved(world: &World, file: &Value) -> anyhow::Result<()> {
    assert_eq!(file["payment"], Value::Null, "{:#}", file["payment"]);
    let id = file["session"]["id"].as_str().context("no id")?;
    let mut intents = world.all_intents().into_iter();
    ensure!(!intents.any(|intent| intent["metadata"]["session_id"] == id), "Stripe was asked");
    Ok(())
}

/// Driver, operator and receipt show route and fees.
async fn shows(
    world: &World,
    driver: &str,
    file: &Value,
    (route, tier, tariff, paid): (&str, &str, &str, &str),
) -> anyhow::Result<()> {
    let session = &file["session"];
    assert_eq!((&session["route"], &session["tier"]), (&json!(route), &json!(tier)));
    assert_eq!(session["tariff"]["id"], tariff);
    let path = format!("/sessions/{}", session["id"].as_str().context("no id")?);
    let (_, seen) = world.driver(driver, Method::GET, &path).await?;
    assert_eq!((&seen["route"], &seen["fees"]["tier"]), (&json!(route), &json!(tier)), "{seen:#}");
    assert_eq!(seen["fees"]["tariff"]["id"], tariff, "{seen:#}");
    assert_eq!(seen["payment"]["status"], paid, "{seen:#}");
    let (_, receipt) = world.driver(driver, Method::GET, &format!("{path}/receipt")).await?;
    assert_eq!((&receipt["route"], &receipt["tier"]), (&json!(route), &json!(tier)), "{receipt:#}");
    Ok(())
}

fn problem(answer: &Value) -> &str {
    let kind = answer["type"].as_str().unwrap_or_default();
    kind.strip_prefix("urn:tallywatt:problem:").unwrap_or_default()
}

/// Begins to add a payment method; gives the setup.
async fn set_up(world: &World, driver: &str, key: &str) -> anyhow::Result<Value> {
    let token = world.platform.token(driver, &[])?;
    let path = "/driver/payment-methods";
    let setup = world.http().post_once(&token, path, key, &json!({})).await?;
    ensure!(setup["client_secret"].is_string(), "{setup:#}");
    Ok(setup)
}

/// Adds a card as the app's Payment Element does; gives its id.
async fn added(
    world: &World,
    driver: &str,
    key: &str,
    card: &str,
    wallet: Option<&str>,
) -> anyhow::Result<String> {
    let setup = set_up(world, driver, key).await?;
    let method = match wallet {
        Some(wallet) => {
            let made = json!({ "card": card, "wallet": wallet });
            let made = twin(world, "payment_methods", made).await?;
            made["id"].as_str().context("no payment method")?.to_owned()
        }
        None => card.to_owned(),
    };
    let id = setup["id"].as_str().context("a setup without id")?;
    let path = format!("/v1/setup_intents/{id}/confirm");
    let done = world.stripe("POST", &path, &[("payment_method", &method)]).await?;
    assert_eq!((&done["status"], &done["usage"]), (&json!("succeeded"), &json!("off_session")));
    Ok(done["payment_method"].as_str().context("no payment method")?.to_owned())
}

/// Another card of the same customer; its id.
async fn another_card(world: &World, card: &Card) -> anyhow::Result<String> {
    let customer = card.customer.as_str();
    let path = "/v1/payment_methods/pm_card_mastercard/attach";
    let method = world.stripe("POST", path, &[("customer", customer)]).await?;
    Ok(method["id"].as_str().context("a card without id")?.to_owned())
}

/// What nobody but the twin can do: be the driver.
async fn twin(world: &World, path: &str, body: Value) -> anyhow::Result<Value> {
    let url = format!("{}/_twin/{path}", world.platform.stripe_url());
    let answer = Client::builder().no_proxy().build()?.post(url).json(&body).send().await?;
    let good = answer.status().is_success();
    let answer: Value = answer.json().await?;
    ensure!(good, "{path} was answered {answer:#}");
    Ok(answer)
}
