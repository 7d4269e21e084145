//! Must show 4: who is no member any more pays what everybody pays, from the next session on.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, SecondsFormat, Utc};
use quantities::SessionId;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use crate::harness::{Station, Suite, World, eventually, session_id};

/// What the site sells to members and to everybody.
const GOLD: &str = "AMS-GOLD";
const RETAIL: &str = "AMS-RETAIL";

/// Whoever takes Stripe's list of what it could not deliver takes what another test wants lost.
static UNDELIVERED: Mutex<()> = Mutex::const_new(());

/// A member: their tag, and the subscription that they pay for at Stripe.
struct Member {
    tag: String,
    customer: String,
    subscription: String,
}

impl Member {
    /// Subscribes a customer with `test_card` to a price for gold, until `trial_end` for nothing,
    /// and enters the tag, whose sessions another card pays.
    async fn new(
        world: &World,
        tag: &str,
        test_card: &str,
        trial_end: Option<DateTime<Utc>>,
    ) -> anyhow::Result<Self> {
        let card = world.card(test_card).await?;
        let paid = [("default_payment_method", card.payment_method.as_str())];
        Self::subscribed(world, tag, &card.customer, trial_end, &paid).await
    }

    /// The same for a customer; `more` says how it is paid.
    async fn subscribed(
        world: &World,
        tag: &str,
        customer: &str,
        trial_end: Option<DateTime<Utc>>,
        more: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let id = |object: &Value| object["id"].as_str().map(str::to_owned).context("no id");
        let product = id(&world.stripe("POST", "/v1/products", &[("name", "Gold")]).await?)?;
        let price = [
            ("currency", "eur"),
            ("unit_amount", "500"),
            ("product", product.as_str()),
            ("recurring[interval]", "month"),
            ("metadata[tier]", "gold"),
        ];
        let price = id(&world.stripe("POST", "/v1/prices", &price).await?)?;
        let trial_end_s = trial_end.map(|at| at.timestamp().to_string());
        let mut form = vec![("customer", customer), ("items[0][price]", price.as_str())];
        form.extend(more);
        form.extend(trial_end_s.as_deref().map(|at| ("trial_end", at)));
        let made = world.stripe("POST", "/v1/subscriptions", &form).await?;
        let subscription = id(&made)?;
        let end = made["items"]["data"][0]["current_period_end"].as_i64().context("no period")?;
        let end = DateTime::from_timestamp(end, 0).context("no time")?;
        let entered = json!({
            "tier": "gold",
            "subscription": {
                "id": subscription, "status": made["status"], "current_period_end": end,
            },
        });
        let payer = world.card("pm_card_visa").await?;
        world.tag(tag, &format!("driver-{}", tag.to_lowercase()), &payer, entered).await?;
        Ok(Self { tag: tag.to_owned(), customer: customer.to_owned(), subscription })
    }

    async fn known(&self, world: &World) -> anyhow::Result<Value> {
        let path = format!("/entitlements/{}", self.tag);
        let known = world.operator(Method::GET, &path, None).await?;
        Ok(known["subscription"].clone())
    }

    /// What is known of the subscription once it has this status.
    async fn is(&self, world: &World, status: &str) -> anyhow::Result<Value> {
        let path = format!("/v1/subscriptions/{}", self.subscription);
        let found = eventually(format!("{} being {status}", self.tag), async || {
            // What time brings about happens at the twin when it is asked for something.
            world.stripe("GET", &path, &[]).await?;
            let known = self.known(world).await?;
            Ok((known["status"] == status).then_some(known))
        });
        match found.await {
            Ok(known) => Ok(known),
            Err(error) => {
                let known = self.known(world).await?;
                Err(error.context(format!("{known:#}\n{}", world.troubles().await)))
            }
        }
    }

    async fn cancel(&self, world: &World) -> anyhow::Result<()> {
        let path = format!("/v1/subscriptions/{}", self.subscription);
        world.stripe("DELETE", &path, &[]).await.map(drop)
    }

    async fn update(&self, world: &World, form: &[(&str, &str)]) -> anyhow::Result<()> {
        let path = format!("/v1/subscriptions/{}", self.subscription);
        world.stripe("POST", &path, form).await.map(drop)
    }

    /// Charges 5 kWh now and gives the tariff that the session has.
    async fn tariff_now(&self, world: &World, station: &mut Station) -> anyhow::Result<String> {
        let (session, number) = start_now(station, &self.tag).await?;
        stop_now(station, number).await?;
        let file = world.file(session).await?;
        let tariff = file["session"]["tariff"]["id"].as_str();
        Ok(tariff.with_context(|| format!("no tariff: {file:#}"))?.to_owned())
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

async fn start_now(station: &mut Station, tag: &str) -> anyhow::Result<(SessionId, i64)> {
    let payload = json!({
        "connectorId": 1, "idTag": tag, "meterStart": 1_000, "timestamp": now(),
    });
    let answer = station.call("StartTransaction", payload).await?;
    ensure!(answer["idTagInfo"]["status"] == "Accepted", "StartTransaction: {answer}");
    let number = answer["transactionId"].as_i64().context("no transactionId")?;
    Ok((session_id(&station.id, number)?, number))
}

async fn stop_now(station: &mut Station, number: i64) -> anyhow::Result<()> {
    let payload = json!({
        "transactionId": number, "meterStop": 6_000, "timestamp": now(), "reason": "Local",
    });
    station.call("StopTransaction", payload).await?;
    station.status_at("Available", &now()).await
}

/// The newest report of a nightly run that names this subscription.
async fn reported(world: &World, subscription: &str) -> anyhow::Result<Value> {
    let reports = world.operator(Method::GET, "/reconciliations", None).await?;
    let reports = reports.as_array().context("no list")?;
    let mut drifts = reports.iter().filter_map(|report| report["drifts"].as_array()).flatten();
    let drift = drifts.find(|drift| drift["subscription"] == subscription).cloned();
    drift.with_context(|| format!("{subscription} is in none of {reports:#?}"))
}

pub(crate) async fn a_lapse_at_the_charger_is_seen_at_once_and_the_next_session_is_retail(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let member = Member::new(world, "LAPSE-01", "pm_card_visa", None).await?;
    let mut station = world.station("MEMBER-01").await?;
    let (running, number) = start_now(&mut station, &member.tag).await?;

    // The driver stands at the charger and holds their card to it, again and again.
    let began = Instant::now();
    member.cancel(world).await?;
    let mut answered = Vec::new();
    let patience = Duration::from_secs(30);
    let mut is_known = false;
    while answered.len() < 5 || !is_known {
        ensure!(began.elapsed() < patience, "not seen in {patience:?}");
        let asked = json!({ "idTag": member.tag });
        let answer = station.call("Authorize", asked).await?;
        assert_eq!(answer["idTagInfo"]["status"], "Accepted");
        answered.push(began.elapsed());
        is_known = is_known || member.known(world).await?["status"] == "canceled";
    }
    // One more, after what was known was read.
    station.call("Authorize", json!({ "idTag": member.tag })).await?;
    answered.push(began.elapsed());
    let seen = eventually("the log of every Authorize", async || {
        let lines = world.log().await?;
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let own = |line: &Value| {
            line["Function"] == "ocpp-authorize" && line["charge_point_id"] == "MEMBER-01"
        };
        let tiers: Vec<_> = lines.filter(own).map(|line| line["tier"].clone()).collect();
        Ok((tiers.len() == answered.len()).then_some(tiers))
    });
    let tiers = seen.await?;
    let first = tiers.iter().position(|tier| tier == "retail");
    let first = first.with_context(|| format!("never seen: {tiers:?}"))?;
    ensure!(tiers.iter().skip(first).all(|tier| tier == "retail"), "not kept: {tiers:?}");
    writeln!(
        io::stdout(),
        "canceled at Stripe; seen by the {}. of {} Authorize, answered {} ms after the cancellation \
         was asked for",
        first + 1,
        tiers.len(),
        answered[first].as_millis(),
    )?;

    stop_now(&mut station, number).await?;
    let rated = |file: &Value| file["session"]["state"] == "rated";
    let file = world.file_when(running, "the member's price", rated).await?;
    assert_eq!(file["session"]["tariff"]["id"], GOLD, "the running session keeps its price");
    assert_eq!(member.tariff_now(world, &mut station).await?, RETAIL);
    Ok(())
}

pub(crate) async fn trial_failure_recovery_pause_and_return_are_followed(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let mut station = world.station("MEMBER-02").await?;
    // A card that is good until it is charged: the trial ends and the first bill fails.
    let card = "pm_card_chargeCustomerFail";
    let trial_end = Utc::now() + Duration::from_secs(8);
    let member = Member::new(world, "TRIAL-01", card, Some(trial_end)).await?;
    member.update(world, &[("metadata[note]", "trial")]).await?;
    let known = eventually("Stripe's word of the trial", async || {
        let known = member.known(world).await?;
        Ok(known["known"]["as_of"].is_string().then_some(known))
    });
    let known = known.await?;
    assert_eq!((&known["status"], &known["known"]["tier"]), (&json!("trialing"), &json!("gold")));
    assert_eq!(member.tariff_now(world, &mut station).await?, GOLD);

    let known = member.is(world, "past_due").await?;
    assert_eq!(known["known"]["invoice"], "failed", "{known:#}");
    assert_eq!(member.tariff_now(world, &mut station).await?, RETAIL);

    let open = format!("/v1/invoices?subscription={}&status=open", member.subscription);
    let invoices = world.stripe("GET", &open, &[]).await?;
    let invoice = invoices["data"][0]["id"].as_str().context("no open invoice")?;
    let attach = [("customer", member.customer.as_str())];
    let good = world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", &attach).await?;
    let pay = [("payment_method", good["id"].as_str().context("no card")?)];
    world.stripe("POST", &format!("/v1/invoices/{invoice}/pay"), &pay).await?;
    let known = member.is(world, "active").await?;
    assert_eq!(known["known"]["invoice"], "settled", "{known:#}");
    assert_eq!(member.tariff_now(world, &mut station).await?, GOLD);

    member.update(world, &[("pause_collection[behavior]", "void")]).await?;
    member.is(world, "paused").await?;
    assert_eq!(member.tariff_now(world, &mut station).await?, RETAIL);
    member.update(world, &[("pause_collection", "")]).await?;
    member.is(world, "active").await?;
    assert_eq!(member.tariff_now(world, &mut station).await?, GOLD);

    member.update(world, &[("cancel_at_period_end", "true")]).await?;
    let leaving = eventually("the day it ends", async || {
        let known = member.known(world).await?;
        Ok(known["known"]["ends_at"].is_string().then_some(known))
    });
    let leaving = leaving.await?;
    assert_eq!(leaving["known"]["ends_at"], leaving["current_period_end"]);
    assert_eq!(member.tariff_now(world, &mut station).await?, GOLD, "paid until then");
    Ok(())
}

pub(crate) async fn a_trial_without_a_card_is_paused_and_resumed(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let mut station = world.station("MEMBER-04").await?;
    let customer = world.stripe("POST", "/v1/customers", &[]).await?;
    let customer = customer["id"].as_str().context("a customer without id")?;
    let trial_end = Utc::now() + Duration::from_secs(8);
    let pauses = [("trial_settings[end_behavior][missing_payment_method]", "pause")];
    let member = Member::subscribed(world, "TRIAL-02", customer, Some(trial_end), &pauses).await?;
    member.update(world, &[("metadata[note]", "trial")]).await?;
    member.is(world, "trialing").await?;
    assert_eq!(member.tariff_now(world, &mut station).await?, GOLD);

    // customer.subscription.paused is all that tells of the end.
    let known = member.is(world, "paused").await?;
    assert!(known["known"]["as_of"].is_string(), "{known:#}");
    assert_eq!(member.tariff_now(world, &mut station).await?, RETAIL);

    let attach = [("customer", customer)];
    let card = world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", &attach).await?;
    let card = card["id"].as_str().context("no card")?;
    member.update(world, &[("default_payment_method", card)]).await?;
    let resume = format!("/v1/subscriptions/{}/resume", member.subscription);
    world.stripe("POST", &resume, &[]).await?;
    let known = member.is(world, "active").await?;
    assert_eq!(known["known"]["invoice"], "settled", "{known:#}");
    assert_eq!(member.tariff_now(world, &mut station).await?, GOLD);
    Ok(())
}

pub(crate) async fn a_lost_webhook_is_caught_by_the_expiry_and_by_the_night(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let _alone = UNDELIVERED.lock().await;
    let mut station = world.station("MEMBER-03").await?;
    let trial_end = Utc::now() + Duration::from_secs(15);
    let brief = Member::new(world, "LOST-01", "pm_card_visa", Some(trial_end)).await?;
    let long = Member::new(world, "LOST-02", "pm_card_visa", None).await?;
    for member in [&brief, &long] {
        world.platform.stripe().lose_events_of(&member.customer);
        member.cancel(world).await?;
        // Nobody has told us: this is how long a member may stay one, and no longer.
        assert_eq!(member.tariff_now(world, &mut station).await?, GOLD);
    }
    let left = (trial_end - Utc::now()).to_std().unwrap_or_default();
    sleep(left + Duration::from_secs(1)).await;
    assert_eq!(brief.known(world).await?["status"], "trialing", "nothing was told");
    assert_eq!(brief.tariff_now(world, &mut station).await?, RETAIL, "the expiry");
    assert_eq!(long.known(world).await?["status"], "active", "nothing was told");
    assert_eq!(long.tariff_now(world, &mut station).await?, GOLD);

    compared_now(world, &long.subscription).await?;
    assert_eq!(long.known(world).await?["status"], "canceled");
    assert_eq!(long.tariff_now(world, &mut station).await?, RETAIL, "the nightly run");
    let drift = reported(world, &long.subscription).await?;
    assert_eq!((&drift["was"], &drift["is"]), (&json!("active"), &json!("canceled")));
    let drift = reported(world, &brief.subscription).await?;
    assert_eq!((&drift["was"], &drift["is"]), (&json!("trialing"), &json!("canceled")));
    let counted = |line: &Value| {
        line["Function"] == "reconcile-subscriptions"
            && line["MembershipDrift"].as_u64().is_some_and(|drift| drift >= 2)
    };
    world.logged("the drift as a metric", counted).await?;
    Ok(())
}

/// The nightly comparison, by an operator who does not wait for the night: the report is where the
/// answer says, and names `drifted`. The next night finds nothing wrong with it any more.
async fn compared_now(world: &World, drifted: &str) -> anyhow::Result<()> {
    let asked = world.operator(Method::POST, "/reconciliations", None).await?;
    let path = asked["report"].as_str().context("no report is named")?;
    let path = path.strip_prefix("/operator").context("it is elsewhere")?.to_owned();
    let token = world.platform.token("operator", &["support"])?;
    let report = eventually("the report that was asked for", async || {
        let path = format!("/operator{path}");
        let (status, report) = world.http().try_ask(&token, Method::GET, &path, None).await?;
        ensure!(matches!(status, 200 | 404), "{report:#}");
        Ok((status == 200).then_some(report))
    });
    let report = match report.await {
        Ok(report) => report,
        Err(error) => return Err(error.context(world.troubles().await)),
    };
    assert_eq!(report["started_at"], asked["started_at"]);
    let names = |report: &Value| {
        let drifts = report["drifts"].as_array().into_iter().flatten();
        drifts.filter(|drift| drift["subscription"] == drifted).count()
    };
    assert_eq!(names(&report), 1, "{report:#}");
    world.platform.invoke("reconcile-subscriptions", &json!({})).await?;
    let reports = world.operator(Method::GET, "/reconciliations", None).await?;
    assert_eq!(names(&reports[0]), 0, "{:#}", reports[0]);
    assert!(reports[0]["started_at"].as_str() > asked["started_at"].as_str());
    Ok(())
}

pub(crate) async fn a_lost_webhook_is_taken_from_stripes_list(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let _alone = UNDELIVERED.lock().await;
    let member = Member::new(world, "LOST-03", "pm_card_visa", None).await?;
    world.platform.stripe().lose_events_of(&member.customer);
    member.cancel(world).await?;
    let answer = world.platform.fetch_undelivered().await?;
    assert_eq!(answer["statusCode"], 200, "{answer:#}");
    assert_eq!(member.known(world).await?["status"], "canceled");
    // From outside there is no such path.
    let url = format!("{}/stripe/undelivered", world.platform.http_url()?);
    let refused = reqwest::Client::builder().no_proxy().build()?.post(url).send().await?;
    assert_eq!(refused.status().as_u16(), 404);
    Ok(())
}

pub(crate) async fn a_long_list_of_lost_webhooks_is_worked_through(
    suite: &Suite,
) -> anyhow::Result<()> {
    const MANY: usize = 150;
    let world = &*suite.shared().await?;
    let _alone = UNDELIVERED.lock().await;
    let card = world.card("pm_card_visa").await?;
    world.platform.stripe().lose_events_of(&card.customer);
    let form = [("amount", "1000"), ("currency", "eur"), ("customer", card.customer.as_str())];
    for _ in 0..MANY {
        world.stripe("POST", "/v1/payment_intents", &form).await?;
    }
    let answer = world.platform.fetch_undelivered().await?;
    assert_eq!(answer["statusCode"], 200, "{answer:#}");
    let rows = world.platform.items("StripeEventsTable").await?;
    let ours = rows.iter().filter(|row| row["body"].to_string().contains(&card.customer));
    let handled = ours.filter(|row| row["handled_at"].is_object()).count();
    assert_eq!(handled, MANY, "more than are taken at once");
    let progress =
        rows.iter().find(|row| row["pk"]["S"] == "UNDELIVERED").context("no progress")?;
    let until: DateTime<Utc> = progress["taken_until"]["S"].as_str().context("no time")?.parse()?;
    assert!(Utc::now() - until < chrono::TimeDelta::hours(1), "the next run goes on from {until}");
    Ok(())
}
