//! Memberships and fleets: what a plan takes off a tariff's prices, shared by all of an account.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use quantities::SessionId;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::{Charge, Station, Suite, World, eventually, session_id};

/// 5 kWh by day in Amsterdam: 5 × 0.40 = 2.00, with 21 % VAT 2.42.
const CHARGE: Charge = Charge { hour: 10, minutes: 30, start_wh: 1_000, wh: 5_000 };

/// When the plans of these tests begin, long before their sessions.
const FROM: &str = "2026-01-01T00:00:00Z";

/// Publishes a version of a plan in euro; `says` adds to it.
async fn publish(world: &World, id: &str, from: &str, says: Value) -> anyhow::Result<Value> {
    let mut plan = json!({ "name": id, "currency": "EUR", "time_zone": "Europe/Amsterdam" });
    let fields = plan.as_object_mut().context("no object")?;
    fields.extend(says.as_object().context("no object")?.clone());
    let body = json!({ "from": from, "plan": plan });
    world.operator(Method::POST, &format!("/plans/{id}/versions"), Some(&body)).await
}

/// A tag with a card that pays, under a plan.
async fn member(world: &World, tag: &str, plan: &str, account: &str) -> anyhow::Result<()> {
    let card = world.card("pm_card_visa").await?;
    let plan = json!({ "plan": { "plan": plan, "account": account } });
    world.tag(tag, &format!("driver-{account}"), &card, plan).await
}

fn is_rated(file: &Value) -> bool {
    file["session"]["state"] == "rated"
}

/// The entry that books what a session has sold.
pub(crate) fn sale(file: &Value) -> anyhow::Result<&Value> {
    let mut entries = file["journal"].as_array().into_iter().flatten();
    let sale = entries.find(|entry| entry["id"].as_str().is_some_and(|id| id.starts_with("sale")));
    sale.with_context(|| format!("no sale in {:#}", file["journal"]))
}

/// Minor units on one side of an account, in what a session has sold.
fn sold(file: &Value, account: &str, side: &str) -> anyhow::Result<i64> {
    let lines = sale(file)?["lines"].as_array().into_iter().flatten();
    let ours = lines.filter(|line| line["account"] == account && line["side"] == side);
    Ok(ours.filter_map(|line| line["amount"]["minor"].as_i64()).sum())
}

pub(crate) async fn a_member_pays_less_at_the_sites_of_the_plan_and_stands_free_for_a_while(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    world.site("AMS-05", json!({ "groups": ["canal-ring"] })).await?;
    world.offer("AMS-05", "AMS-RETAIL").await?;
    let says = json!({
        "sites": { "only": { "groups": ["canal-ring"] } },
        "discounts": [{ "dimension": "ENERGY", "by": { "percent": 10 } }],
        "allowances": [{ "dimension": "PARKING_TIME", "quantity": 30, "per": "session" }],
        "cost_centre": "MEMBERS",
    });
    publish(world, "CANAL", FROM, says).await?;
    member(world, "PLAN-TAG-01", "CANAL", "plan-1").await?;

    let mut station = world.station_at("AMS-05", "PLAN-01").await?;
    let (session, number) = station.start("PLAN-TAG-01", CHARGE).await?;
    station.half(number, CHARGE).await?;
    station.stop_and_stay(number, CHARGE).await?;
    station.status_at("Available", &CHARGE.at(90)).await?;
    // 2.00 less 10 % is 1.80. An hour idle: 15 minutes of grace, 30 free, 15 at 6.00 an hour are
    // 1.50. 3.30 × 1.21 = 3.993.
    let file = world.file_when(session, "the member's price", is_rated).await?;
    let total = &file["priced"]["totals"]["total"];
    assert_eq!(
        (&total["excl_vat"]["minor"], &total["incl_vat"]["minor"]),
        (&json!(330), &json!(399)),
        "{:#}",
        file["priced"]
    );
    // By the tariff alone 2.00 and 4.50; the plan took off 0.20 and 3.00.
    assert_eq!(sold(&file, "charging_revenue", "credit")?, 650, "{:#}", file["journal"]);
    assert_eq!(sold(&file, "plan_reductions", "debit")?, 320, "{:#}", file["journal"]);
    assert_eq!(sold(&file, "tax_payable", "credit")?, 69, "{:#}", file["journal"]);
    assert_eq!(sale(&file)?["cost_centre"], "MEMBERS", "{:#}", file["journal"]);

    // At another site the plan does not apply.
    let mut elsewhere = world.station("PLAN-02").await?;
    let (session, number) = elsewhere.start("PLAN-TAG-01", CHARGE).await?;
    elsewhere.stop(number, CHARGE).await?;
    let file = world.file_when(session, "the price elsewhere", is_rated).await?;
    assert_eq!(file["priced"]["totals"]["total"]["incl_vat"]["minor"], 242, "{file:#}");
    assert_eq!(sold(&file, "plan_reductions", "debit")?, 0, "{:#}", file["journal"]);
    Ok(())
}

/// Two vehicles share 8 kWh a month: one finds them all, the other what is left, whoever is
/// priced first. Then the account has spent more than it may.
pub(crate) async fn a_fleet_shares_its_allowance_and_starts_nothing_above_its_cap(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let says = json!({
        "discounts": [{ "dimension": "ENERGY", "by": { "price": 0.25 } }],
        "allowances": [{ "dimension": "ENERGY", "quantity": 8, "per": "month" }],
        "spending_cap": { "amount": 0.60, "currency": "EUR", "per": "month" },
    });
    publish(world, "VANS", FROM, says).await?;
    for tag in ["PLAN-VAN-01", "PLAN-VAN-02"] {
        member(world, tag, "VANS", "vans-of-plan").await?;
    }
    let mut one = world.station("PLAN-03").await?;
    let mut other = world.station("PLAN-04").await?;
    let (first, first_number) = one.start("PLAN-VAN-01", CHARGE).await?;
    let (second, second_number) = other.start("PLAN-VAN-02", CHARGE).await?;
    tokio::try_join!(one.stop(first_number, CHARGE), other.stop(second_number, CHARGE))?;

    // 8 of 10 kWh are free; 2 × 0.25 = 0.50, × 1.21 = 0.605.
    let first = world.file_when(first, "the first van's price", is_rated).await?;
    let second = world.file_when(second, "the second van's price", is_rated).await?;
    let gross = |file: &Value| file["priced"]["totals"]["total"]["incl_vat"]["minor"].clone();
    let mut both = [gross(&first).as_i64(), gross(&second).as_i64()];
    both.sort_unstable();
    assert_eq!(both, [Some(0), Some(61)], "{:#}\n{:#}", first["priced"], second["priced"]);
    let path = "/plans/VANS/accounts/vans-of-plan/usage/2026-06";
    let used = world.operator(Method::GET, path, None).await?;
    assert_eq!(
        (&used["energy_kwh"], &used["spent"]["minor"]),
        (&json!("10"), &json!(61)),
        "{used:#}"
    );
    let july: DateTime<Utc> = serde_json::from_value(used["capped_until"].clone())?;
    assert_eq!(july.to_rfc3339(), "2026-06-30T22:00:00+00:00", "midnight in Amsterdam");

    let (status, session) = attempt(&mut one, "PLAN-VAN-01", &CHARGE.at(120)).await?;
    assert_eq!(status, "Blocked");
    let kept = world.file(session).await?;
    assert_eq!(kept["session"]["payer"]["kind"], "unknown", "{kept:#}");
    let (again, same) = attempt(&mut one, "PLAN-VAN-01", &CHARGE.at(120)).await?;
    assert_eq!((again, same), ("Blocked".to_owned(), session), "the same start, the same answer");
    let (status, _) = attempt(&mut one, "PLAN-VAN-01", "2026-07-01T00:00:00Z").await?;
    assert_eq!(status, "Accepted", "a new month");
    Ok(())
}

/// Starts whatever comes of it; gives the status and the session.
async fn attempt(
    station: &mut Station,
    tag: &str,
    at: &str,
) -> anyhow::Result<(String, SessionId)> {
    let payload = json!({ "connectorId": 1, "idTag": tag, "meterStart": 9_000, "timestamp": at });
    let answer = station.call("StartTransaction", payload).await?;
    let number = answer["transactionId"].as_i64().context("no transactionId")?;
    let status = answer["idTagInfo"]["status"].as_str().context("no status")?;
    Ok((status.to_owned(), session_id(&station.id, number)?))
}

pub(crate) async fn a_plan_published_while_a_session_runs_is_for_the_next_one(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let tariff = json!({ "tariff": {
        "id": "FLAT-TEN", "currency": "EUR",
        "elements": [{ "price_components": [{ "type": "FLAT", "price": 10.00, "step_size": 1 }] }],
    }});
    world.operator(Method::POST, "/tariffs/FLAT-TEN/versions", Some(&tariff)).await?;
    world.site("AMS-06", json!({})).await?;
    world.offer("AMS-06", "FLAT-TEN").await?;
    let percent = |percent: u32| json!({ "discounts": [{ "dimension": "FLAT", "by": { "percent": percent } }] });
    publish(world, "SWAP", FROM, percent(10)).await?;
    member(world, "PLAN-TAG-05", "SWAP", "plan-5").await?;

    let mut station = world.station_at("AMS-06", "PLAN-05").await?;
    let before = begin_now(&mut station, "PLAN-TAG-05").await?;
    let past = publish(world, "SWAP", "2026-02-01T00:00:00Z", percent(50)).await;
    let refused = past.err().context("a version that began in the past was taken")?.to_string();
    ensure!(refused.contains("invalid-plan") && refused.contains("/from"), "{refused}");
    let from = Utc::now() + TimeDelta::seconds(2);
    let from = from.to_rfc3339_opts(SecondsFormat::Millis, true);
    let second = publish(world, "SWAP", &from, percent(50)).await?;
    assert_eq!(second["reference"], json!({ "id": "SWAP", "version": 2 }), "{second:#}");
    sleep(Duration::from_secs(3)).await;
    let shown = world.operator(Method::GET, "/entitlements/PLAN-TAG-05", None).await?;
    assert_eq!((&shown["plan"]["plan"], &shown["plan"]["version"]), (&json!("SWAP"), &json!(2)));
    end_now(&mut station, before.1).await?;
    let after = begin_now(&mut station, "PLAN-TAG-05").await?;
    end_now(&mut station, after.1).await?;

    // 10.00 less 10 % and 21 % VAT is 10.89; less 50 %, 6.05.
    for (session, version, gross) in [(before.0, 1, 1089), (after.0, 2, 605)] {
        let file = world.file_when(session, "the price", is_rated).await?;
        let priced = &file["priced"];
        assert_eq!(priced["plan"]["reference"]["version"], version, "{priced:#}");
        assert_eq!(priced["totals"]["total"]["incl_vat"]["minor"], gross, "{priced:#}");
    }
    Ok(())
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Begins a session by our own clock.
async fn begin_now(station: &mut Station, tag: &str) -> anyhow::Result<(SessionId, i64)> {
    let payload =
        json!({ "connectorId": 1, "idTag": tag, "meterStart": 7_000, "timestamp": now() });
    let answer = station.call("StartTransaction", payload).await?;
    ensure!(answer["idTagInfo"]["status"] == "Accepted", "StartTransaction: {answer}");
    let number = answer["transactionId"].as_i64().context("no transactionId")?;
    station.status_at("Charging", &now()).await?;
    Ok((session_id(&station.id, number)?, number))
}

async fn end_now(station: &mut Station, number: i64) -> anyhow::Result<()> {
    let payload = json!({ "transactionId": number, "meterStop": 7_000, "timestamp": now() });
    station.call("StopTransaction", payload).await?;
    station.status_at("Available", &now()).await
}

/// A driver with 4 kWh free sees it in the quote, spends what they may, and starts nothing more.
pub(crate) async fn a_driver_sees_what_the_plan_leaves_and_is_told_at_the_cap(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-plan-7", "PLAN-07");
    let component =
        |kind: &str, price: f64| json!({ "type": kind, "price": price, "step_size": 1 });
    let components = [component("FLAT", 1.00), component("ENERGY", 0.40)];
    let tariff = json!({ "tariff": {
        "id": "START-ENERGY", "currency": "EUR", "elements": [{ "price_components": components }],
    }});
    world.operator(Method::POST, "/tariffs/START-ENERGY/versions", Some(&tariff)).await?;
    let expected = json!({ "energy": { "kwh": 20 }, "minutes": 60, "margin_percent": 50 });
    world.site("AMS-07", json!({ "hold_rule": expected })).await?;
    world.offer("AMS-07", "START-ENERGY").await?;
    let says = json!({
        "discounts": [{ "dimension": "ENERGY", "by": { "amount": 0.10 } }],
        "allowances": [{ "dimension": "ENERGY", "quantity": 4, "per": "month" }],
        "spending_cap": { "amount": 1.00, "currency": "EUR", "per": "month" },
    });
    publish(world, "CAREFUL", FROM, says).await?;
    member(world, "PLAN-TAG-07", "CAREFUL", "plan-7").await?;
    let mut station = world.station_at("AMS-07", id).await?;

    let path = format!("/chargers/{id}/connectors/1/price?hours=2&kwh=10&minutes=30");
    let (status, quote) = world.driver(driver, Method::GET, &path).await?;
    assert_eq!(status, 200, "{quote:#}");
    let free = json!([{ "dimension": "ENERGY", "left": "4", "unit": "kWh" }]);
    assert_eq!((&quote["free"], &quote["changes"]), (&free, &json!([])), "{quote:#}");
    assert_eq!(quote["components"][0]["excl_tax"], "0.3", "less 0.10: {quote:#}");
    // 1.00 and 6 of 10 kWh at 0.30: 2.80; × 1.21 = 3.388.
    assert_eq!(quote["estimate"]["total_incl_tax"]["minor"], 339, "{quote:#}");
    // 1.00 and 16 of 20 kWh at 0.30: 5.80; × 1.21 = 7.018, 7.02; and half of it is 10.53.
    assert_eq!(quote["hold"]["minor"], 1053, "{quote:#}");
    let wrong = format!("/chargers/{id}/connectors/1/price?kwh=0");
    assert_eq!(world.driver(driver, Method::GET, &wrong).await?.0, 422);

    // The start alone is 1.21, more than the account may spend in a month.
    let (session, number) = begin_now(&mut station, "PLAN-TAG-07").await?;
    end_now(&mut station, number).await?;
    let file = world.file_when(session, "the price", is_rated).await?;
    assert_eq!(file["priced"]["plan"]["spending_cap_reached"], true, "{:#}", file["priced"]);
    let (status, refused) = world.app_start(driver, id, "key-1").await?;
    assert_eq!(status, 409, "{refused:#}");
    assert_eq!(refused["type"], "urn:tallywatt:problem:spending-cap-reached", "{refused:#}");
    ensure!(refused["until"].is_string(), "{refused:#}");
    Ok(())
}

pub(crate) async fn a_plan_with_mistakes_is_refused_with_all_of_them(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let token = world.platform.token("operator", &["admin"])?;
    let body = json!({ "from": FROM, "plan": {
        "name": "Wrong", "currency": "EUR", "time_zone": "Amsterdam",
        "discounts": [{ "dimension": "ENERGY", "by": { "percent": 10, "price": 0.2 } }],
        "allowance": [],
    }});
    let path = "/operator/plans/WRONG/versions";
    let (status, answer) = world.http().try_ask(&token, Method::POST, path, Some(&body)).await?;
    assert_eq!(status, 422, "{answer:#}");
    assert_eq!(answer["type"], "urn:tallywatt:problem:invalid-plan", "{answer:#}");
    let errors = answer["errors"].as_array().context("no errors")?;
    for pointer in ["/plan/time_zone", "/plan/discounts/0/by", "/plan/allowance"] {
        ensure!(errors.iter().any(|error| error["pointer"] == pointer), "{pointer}: {answer:#}");
    }
    let listed = world.operator(Method::GET, "/plans/WRONG/versions", None).await?;
    assert_eq!(listed, json!([]), "nothing was published");
    // A tag cannot be of a plan that there is not.
    let card = world.card("pm_card_visa").await?;
    let plan = json!({ "plan": { "plan": "WRONG", "account": "plan-6" } });
    let refused = world.tag("PLAN-TAG-06", "driver-plan-6", &card, plan).await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("/plan/plan")), "it was taken");
    eventually("no entitlement", async || {
        let path = "/operator/entitlements/PLAN-TAG-06";
        let asked = world.http().try_ask(&token, Method::GET, path, None).await?;
        Ok((asked.0 == 404).then_some(()))
    })
    .await
}
