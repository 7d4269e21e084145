//! After the sale: money given back, debts let go, disputes won and lost, roaming sessions taken
//! back; each with its books.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use quantities::SessionId;
use reqwest::Method;
use serde_json::{Value, json};
use stripe_twin::DeclineRule;

use crate::harness::{Card, Charge, Suite, World, eventually, is_captured, is_held, is_owed};

const SITE: &str = "SALE-01";
/// A fee of 1.00, and 5 kWh at 0.40: 3.00, with 21 % VAT 3.63.
const CHARGE: Charge = Charge { hour: 10, minutes: 30, start_wh: 1_000, wh: 5_000 };
const GROSS: i64 = 363;

/// A site of its own seller, so that its series of credit notes is this test's alone.
async fn site(world: &World, id: &str) -> anyhow::Result<()> {
    let seller =
        json!({ "name": format!("{id} B.V."), "address": "Amsterdam", "company_number": id });
    let jurisdiction = json!({
        "per_kwh_allowed": true,
        "taxes": [{ "name": "VAT", "percent": "21" }],
        "seller": seller,
    });
    world.site(id, json!({ "jurisdiction": jurisdiction })).await?;
    let tariff = format!("{id}-RETAIL");
    let component =
        |kind: &str, price: f64| json!({ "type": kind, "price": price, "step_size": 1 });
    let components = [component("FLAT", 1.0), component("ENERGY", 0.4)];
    let elements = json!([{ "price_components": components }]);
    let body = json!({ "tariff": { "id": tariff, "currency": "EUR", "elements": elements } });
    world.operator(Method::POST, &format!("/tariffs/{tariff}/versions"), Some(&body)).await?;
    world.offer(id, &tariff).await
}

/// Charges at `site` with a test card of Stripe's, and gives the session once it is paid.
async fn paid(world: &World, site: &str, id: &str, card: &str) -> anyhow::Result<SessionId> {
    let card = world.card(card).await?;
    let session = charged(world, site, id, &card, CHARGE).await?;
    let file = world.file_when(session, "the capture", is_captured).await?;
    assert_eq!(file["payment"]["captured"]["minor"], GROSS, "{:#}", file["payment"]);
    Ok(session)
}

async fn charged(
    world: &World,
    site: &str,
    id: &str,
    card: &Card,
    charge: Charge,
) -> anyhow::Result<SessionId> {
    let tag = format!("{id}-TAG");
    world.tag(&tag, &format!("driver-{}", id.to_lowercase()), card, json!({})).await?;
    let mut station = world.station_at(site, id).await?;
    let (session, number) = station.start(&tag, charge).await?;
    station.stop(number, charge).await?;
    station.leave().await;
    Ok(session)
}

/// Posts as somebody with `role`; gives the answer or, as an error, what refuses it.
async fn decide(
    world: &World,
    (subject, role): (&str, &str),
    session: SessionId,
    what: &str,
    key: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let token = world.platform.token(subject, &[role])?;
    let path = format!("/operator/sessions/{session}/{what}");
    world.http().post_once(&token, &path, key, body).await
}

/// What the books of a session say of each account: debits less credits, in minor units.
fn books(file: &Value) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    let entries = file["journal"].as_array().into_iter().flatten();
    for line in entries.flat_map(|entry| entry["lines"].as_array().into_iter().flatten()) {
        let minor = line["amount"]["minor"].as_i64().unwrap_or_default();
        let signed = if line["side"] == "debit" { minor } else { -minor };
        *sums.entry(line["account"].as_str().unwrap_or_default().to_owned()).or_default() += signed;
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn expected(accounts: &[(&str, i64)]) -> BTreeMap<String, i64> {
    accounts.iter().map(|(account, sum)| ((*account).to_owned(), *sum)).collect()
}

/// Waits until the books of a session say this.
async fn booked(
    world: &World,
    session: SessionId,
    accounts: &[(&str, i64)],
) -> anyhow::Result<Value> {
    let wanted = expected(accounts);
    world.file_when(session, &format!("the books {wanted:?}"), |file| books(file) == wanted).await
}

/// The decisions about a session once each is carried out.
async fn decisions(world: &World, session: SessionId, state: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!("/sessions/{session}/refunds");
    eventually(format!("refunds of {session} that {state}"), async || {
        let decisions = world.operator(Method::GET, &path, None).await?;
        let decisions = decisions.as_array().context("no list")?.clone();
        let is_done = |refund: &Value| refund["state"] == state;
        let done = decisions.iter().all(|decision| {
            let refunds = decision["refunds"].as_array();
            let credited = decision["kind"] != "refund" || decision["credit_note"].is_string();
            credited && refunds.is_none_or(|refunds| refunds.iter().all(is_done))
        });
        Ok(done.then_some(decisions))
    })
    .await
}

const FINANCE: (&str, &str) = ("finance-1", "finance");

pub(crate) async fn a_part_a_line_and_the_rest_are_given_back_each_with_its_credit_note(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    site(world, SITE).await?;
    let session = paid(world, SITE, "SALE-1", "pm_card_visa").await?;
    let part = json!({ "amount": { "minor": 100, "currency": "EUR" }, "reason": "slow" });
    let refund =
        async |key: &str, body: &Value| decide(world, FINANCE, session, "refunds", key, body).await;
    let first = refund("part", &part).await?;
    assert_eq!((&first["amount"]["minor"], &first["kind"]), (&json!(100), &json!("refund")));
    assert_eq!(refund("part", &part).await?["id"], first["id"], "the same key is the same refund");
    let other = json!({ "full": true, "reason": "slow" });
    ensure!(refund("part", &other).await.is_err_and(|error| error.to_string().contains("422")));
    decisions(world, session, "succeeded").await?;

    let file = world.file(session).await?;
    let lines = file["priced"]["lines"].as_array().context("no lines")?;
    let flat = lines.iter().position(|line| line["item"] == "FLAT").context("no fee")? + 1;
    let line = json!({ "lines": [flat], "reason": "no fee was to be" });
    assert_eq!(refund("line", &line).await?["amount"]["minor"], 121);
    let again = refund("line again", &line).await;
    ensure!(again.is_err_and(|error| error.to_string().contains("409")), "a line, twice");
    let rest = refund("rest", &json!({ "full": true, "reason": "sorry" })).await?;
    assert_eq!(rest["amount"]["minor"], GROSS - 100 - 121);
    let nothing = refund("more", &json!({ "full": true, "reason": "more" })).await;
    ensure!(nothing.is_err_and(|error| error.to_string().contains("409")), "nothing is left");

    let done = decisions(world, session, "succeeded").await?;
    let mut numbers: Vec<_> = done.iter().filter_map(|d| d["credit_note"].as_str()).collect();
    numbers.sort_unstable();
    let series: BTreeSet<_> = numbers.iter().filter_map(|n| n.rsplit_once('-')).collect();
    let names: BTreeSet<_> = series.iter().map(|(name, _)| *name).collect();
    let nth: Vec<_> = series.into_iter().map(|(_, nth)| nth).collect();
    assert_eq!(
        (names.len(), nth),
        (1, vec!["000001", "000002", "000003"]),
        "a series without gaps"
    );
    // Sold, taken, credited, given back: nothing is left on any account.
    let file = booked(world, session, &[]).await?;
    let payment = &file["payment"];
    assert_eq!(payment["captured"]["minor"], GROSS, "what was taken stays told: {payment:#}");
    let intent = payment["taken"][0]["payment_intent"].as_str().context("nothing taken")?;
    let charge = charge_of(world, intent)?;
    assert_eq!(charge["amount_refunded"], GROSS, "{charge:#}");
    let (_, receipt) =
        world.driver("driver-sale-1", Method::GET, &format!("/sessions/{session}/receipt")).await?;
    assert_eq!(receipt["credit_notes"].as_array().map(Vec::len), Some(3), "{receipt:#}");
    eventually("the credit notes at the accounting system", async || {
        let events = world.inbox.received().events;
        let ours = |kind: &str| {
            let prefix = format!("{kind}:{session}:");
            events.keys().filter(|id| id.starts_with(&prefix)).count()
        };
        let told = (ours("credit_note.issued"), ours("payment.refunded"));
        Ok((told == (3, 3)).then_some(()))
    })
    .await
}

fn charge_of(world: &World, intent: &str) -> anyhow::Result<Value> {
    let charge = world.intent(intent)?["latest_charge"].clone();
    let state = world.platform.stripe().state();
    let mut charges: Vec<&Value> = match &state["charges"] {
        Value::Array(all) => all.iter().collect(),
        Value::Object(all) => all.values().collect(),
        _ => Vec::new(),
    };
    charges.retain(|known| known["id"] == charge);
    charges.first().map(|found| (*found).clone()).context("Stripe has no such charge")
}

/// The shared platform lets support give back 3.00 of a session and 5.00 a day.
pub(crate) async fn support_gives_back_up_to_its_limits_and_finance_beyond(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    site(world, "SALE-02").await?;
    let first = paid(world, "SALE-02", "SALE-21", "pm_card_visa").await?;
    let second = paid(world, "SALE-02", "SALE-22", "pm_card_visa").await?;
    let support = ("support-limited", "support");
    let amount = |minor: i64| json!({ "amount": { "minor": minor, "currency": "EUR" }, "reason": "goodwill" });
    let refused = |answer: anyhow::Result<Value>| {
        answer.is_err_and(|error| error.to_string().contains("403"))
    };
    decide(world, support, first, "refunds", "a", &amount(200)).await?;
    let beyond = decide(world, support, first, "refunds", "b", &amount(101)).await;
    ensure!(refused(beyond), "3.01 of one session");
    decide(world, support, second, "refunds", "c", &amount(300)).await?;
    let beyond = decide(world, support, first, "refunds", "d", &amount(1)).await;
    ensure!(refused(beyond), "5.01 on one day");
    decide(world, FINANCE, first, "refunds", "e", &amount(101)).await?;
    let admin = ("admin-1", "admin");
    ensure!(refused(decide(world, admin, first, "refunds", "f", &amount(1)).await));
    ensure!(refused(decide(world, support, first, "waiver", "g", &json!({ "reason": "x" })).await));
    decisions(world, first, "succeeded").await?;
    let file = world.file(first).await?;
    assert_eq!(file["payment"]["refunds"].as_array().map(Vec::len), Some(2));
    Ok(())
}

pub(crate) async fn a_refund_that_fails_later_is_still_owed_and_can_be_tried_again(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    site(world, "SALE-03").await?;
    let session = paid(world, "SALE-03", "SALE-31", "pm_card_refundFail").await?;
    let full = json!({ "full": true, "reason": "sorry" });
    decide(world, FINANCE, session, "refunds", "full", &full).await?;
    decisions(world, session, "succeeded").await?;
    world.platform.stripe().advance(std::time::Duration::from_secs(3_700));
    decisions(world, session, "failed").await?;
    // The money is with us again, and the driver's by the credit note.
    let back = [("refunds_payable", -GROSS), ("stripe_clearing", GROSS)];
    booked(world, session, &back).await?;
    let again = json!({ "again": 1, "reason": "the card works again" });
    decide(world, FINANCE, session, "refunds", "again", &again).await?;
    let twice = decide(world, FINANCE, session, "refunds", "twice", &again).await;
    ensure!(twice.is_err_and(|error| error.to_string().contains("409")), "tried again once");
    booked(world, session, &[]).await?;
    let path = format!("/sessions/{session}/refunds");
    let decisions = world.operator(Method::GET, &path, None).await?;
    let notes = decisions.as_array().into_iter().flatten();
    let notes = notes.filter(|decision| decision["credit_note"].is_string()).count();
    assert_eq!(notes, 1, "it was credited once: {decisions:#}");
    what_fails_at_stripe_and_is_made_again_there_is_credited_once(world).await
}

/// A part of the test above: no other moves Stripe's clock, by which these refunds fail.
async fn what_fails_at_stripe_and_is_made_again_there_is_credited_once(
    world: &World,
) -> anyhow::Result<()> {
    let session = paid(world, "SALE-03", "SALE-32", "pm_card_refundFail").await?;
    let file = world.file(session).await?;
    let intent = file["payment"]["taken"][0]["payment_intent"].as_str().context("not taken")?;
    let form = [("payment_intent", intent), ("amount", "200")];
    world.stripe("POST", "/v1/refunds", &form).await?;
    // 2.00 of 3.63 are credited in proportion: 1.65 and 0.35 VAT.
    let (revenue, tax) = (("charging_revenue", -135), ("tax_payable", -28));
    booked(world, session, &[revenue, ("stripe_clearing", GROSS - 200), tax]).await?;
    world.platform.stripe().advance(std::time::Duration::from_secs(3_700));
    let failed = [revenue, ("refunds_payable", -200), ("stripe_clearing", GROSS), tax];
    booked(world, session, &failed).await?;
    world.stripe("POST", "/v1/refunds", &form).await?;
    let detail = eventually("the refund that is not credited", async || {
        let open = world.operator(Method::GET, "/exceptions", None).await?;
        let mut ours = open.as_array().into_iter().flatten();
        let ours = ours.find(|one| one["session_id"] == session.to_string());
        Ok(ours.filter(|one| one["reason"] == "uncredited_refund").cloned())
    })
    .await?;
    let why = detail["detail"].as_str().unwrap_or_default();
    ensure!(why.contains("refund 2 may be in place of refund 1"), "{detail:#}");
    booked(world, session, &[revenue, ("stripe_clearing", GROSS - 200), tax]).await?;
    // Nothing is owed of the first, and no more than 1.63 is left of the sale.
    for (key, what) in [("1 again", "again"), ("2 made", "made")] {
        let number = if what == "again" { 1 } else { 2 };
        let body = json!({ what: number, "reason": "the card works again" });
        let answer = decide(world, FINANCE, session, "refunds", key, &body).await;
        ensure!(answer.is_err_and(|error| error.to_string().contains("409")), "{key}");
    }
    world.settled().await?;
    booked(world, session, &[revenue, ("stripe_clearing", GROSS - 200), tax]).await?;
    Ok(())
}

/// Has a cardholder dispute what a session took, and gives the dispute once it is known here.
async fn disputed(world: &World, session: SessionId) -> anyhow::Result<String> {
    let file = world.file(session).await?;
    let intent = file["payment"]["taken"][0]["payment_intent"].as_str().context("not taken")?;
    let charge = world.intent(intent)?["latest_charge"].clone();
    let body = json!({ "charge": charge, "reason": "fraudulent" });
    let dispute = control(world, "/_twin/disputes", &body).await?;
    let id = dispute["id"].as_str().context("a dispute without id")?.to_owned();
    eventually("the dispute among those that are open", async || {
        let open = world.operator(Method::GET, "/disputes", None).await?;
        let mut ours = open.as_array().into_iter().flatten();
        Ok(ours.any(|known| known["id"] == id && known["withdrawn"] == true).then_some(()))
    })
    .await?;
    Ok(id)
}

async fn control(world: &World, path: &str, body: &Value) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}{path}", world.platform.stripe_url());
    let answer = client.post(url).json(body).send().await?;
    ensure!(answer.status().is_success(), "{path} was answered with {}", answer.status());
    Ok(answer.json().await?)
}

pub(crate) async fn what_is_done_at_stripes_dashboard_is_known_booked_and_credited(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    site(world, "SALE-08").await?;
    let session = paid(world, "SALE-08", "SALE-81", "pm_card_visa").await?;
    let file = world.file(session).await?;
    let intent = file["payment"]["taken"][0]["payment_intent"].as_str().context("not taken")?;
    let refund = async |amount: &str| {
        world.stripe("POST", "/v1/refunds", &[("payment_intent", intent), ("amount", amount)]).await
    };
    refund("100").await?;
    // 1.00 of 3.63 is credited in proportion: 0.83 and 0.17 VAT.
    let part = [("charging_revenue", -217), ("stripe_clearing", GROSS - 100), ("tax_payable", -46)];
    let file = booked(world, session, &part).await?;
    let made = &file["payment"]["refunds"][0];
    assert_eq!((&made["by"], &made["amount"]["minor"]), (&json!("stripe"), &json!(100)));
    let more = json!({ "amount": { "minor": GROSS - 99, "currency": "EUR" }, "reason": "more" });
    let refused = decide(world, FINANCE, session, "refunds", "more", &more).await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("409")), "less is left");
    let rest = json!({ "full": true, "reason": "sorry" });
    let given = decide(world, FINANCE, session, "refunds", "rest", &rest).await?;
    assert_eq!(given["amount"]["minor"], GROSS - 100);
    let file = booked(world, session, &[]).await?;
    assert_eq!(file["payment"]["refunds"].as_array().map(Vec::len), Some(2), "each is one refund");
    dispute_in_another_currency(world).await
}

/// The account settles in USD: the fee is booked as it is charged.
async fn dispute_in_another_currency(world: &World) -> anyhow::Result<()> {
    let session = paid(world, "SALE-08", "SALE-82", "pm_card_visa").await?;
    let file = world.file(session).await?;
    let intent = file["payment"]["taken"][0]["payment_intent"].as_str().context("not taken")?;
    let charge = world.intent(intent)?["latest_charge"].clone();
    let body = json!({ "charge": charge, "reason": "fraudulent", "settles_in": "usd" });
    control(world, "/_twin/disputes", &body).await?;
    let fee = |file: &Value| {
        let entries = file["journal"].as_array().into_iter().flatten();
        let mut lines = entries.flat_map(|entry| entry["lines"].as_array().into_iter().flatten());
        lines.find(|line| line["account"] == "dispute_fees").cloned()
    };
    let file = world.file_when(session, "the fee", |file| fee(file).is_some()).await?;
    let fee = fee(&file).context("no fee")?;
    assert_eq!(fee["amount"], json!({ "minor": 1_500, "currency": "USD" }));
    Ok(())
}

pub(crate) async fn what_is_captured_too_much_at_stripe_is_given_back_by_itself(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    site(world, "SALE-09").await?;
    let card = world.card("pm_card_visa").await?;
    world.tag("SALE-91-TAG", "driver-sale-91", &card, json!({})).await?;
    let mut station = world.station_at("SALE-09", "SALE-91").await?;
    let (session, number) = station.start("SALE-91-TAG", CHARGE).await?;
    let file = world.file_when(session, "the hold", is_held).await?;
    let hold = file["payment"]["hold"]["payment_intent"].as_str().context("no hold")?;
    world.stripe("POST", &format!("/v1/payment_intents/{hold}/capture"), &[]).await?;
    let taken = |file: &Value| file["payment"]["captured"]["minor"].as_i64() > Some(0);
    world.file_when(session, "what was taken", taken).await?;
    station.stop(number, CHARGE).await?;
    station.leave().await;
    let sold = [("charging_revenue", -300), ("stripe_clearing", GROSS), ("tax_payable", -63)];
    let file = booked(world, session, &sold).await?;
    let payment = &file["payment"];
    let minor = |field: &str| payment[field]["minor"].as_i64().unwrap_or_default();
    assert_eq!(minor("captured") - minor("surplus"), GROSS, "{payment:#}");
    assert_eq!((minor("owed"), &payment["refunds"][0]["by"]), (0, &json!("surplus")));
    let charge = charge_of(world, hold)?;
    assert_eq!(charge["amount_refunded"].as_i64(), Some(minor("surplus")), "{charge:#}");
    let open = world.operator(Method::GET, "/payments", None).await?;
    let mut open = open.as_array().into_iter().flatten();
    ensure!(!open.any(|known| known["session_id"] == session.to_string()), "it is settled");
    Ok(())
}

pub(crate) async fn a_session_billed_by_invoice_is_credited_to_its_account(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    site(world, "SALE-10").await?;
    let payer = json!({ "kind": "account", "account": "fleet-10", "account_kind": "fleet" });
    let tag = json!({ "status": "Accepted", "driver_id": "driver-sale-10", "payer": payer });
    world.operator(Method::PUT, "/entitlements/SALE-101-TAG", Some(&tag)).await?;
    let mut station = world.station_at("SALE-10", "SALE-101").await?;
    let (session, number) = station.start("SALE-101-TAG", CHARGE).await?;
    station.stop(number, CHARGE).await?;
    station.leave().await;
    let sold = [("charging_revenue", -300), ("invoiced_receivable", GROSS), ("tax_payable", -63)];
    booked(world, session, &sold).await?;
    let part = json!({ "amount": { "minor": 121, "currency": "EUR" }, "reason": "slow" });
    decide(world, FINANCE, session, "refunds", "part", &part).await?;
    let left = [("charging_revenue", -200), ("invoiced_receivable", 242), ("tax_payable", -42)];
    let file = booked(world, session, &left).await?;
    let entries = file["journal"].as_array().context("no books")?;
    let credit = entries
        .iter()
        .find(|entry| entry["id"].as_str().is_some_and(|id| id.starts_with("credit:")));
    assert_eq!(credit.context("no credit")?["debtor"], "fleet-10");
    let more = json!({ "amount": { "minor": 243, "currency": "EUR" }, "reason": "more" });
    let refused = decide(world, FINANCE, session, "refunds", "more", &more).await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("409")), "more than is left");
    let rest = json!({ "full": true, "reason": "sorry" });
    // Two who decide at once.
    let (one, other) = tokio::join!(
        decide(world, FINANCE, session, "refunds", "rest", &rest),
        decide(world, FINANCE, session, "refunds", "the rest", &rest),
    );
    ensure!(one.is_ok() != other.is_ok(), "one of them: {one:?} {other:?}");
    let file = booked(world, session, &[]).await?;
    assert_eq!(file["payment"], Value::Null, "Stripe has no part in it");
    let again = decide(world, FINANCE, session, "refunds", "again", &rest).await;
    ensure!(again.is_err_and(|error| error.to_string().contains("409")), "nothing is left");
    let done = decisions(world, session, "succeeded").await?;
    ensure!(done.iter().all(|decision| decision["credit_note"].is_string()), "{done:#?}");
    Ok(())
}

async fn answer(world: &World, dispute: &str, action: &str) -> anyhow::Result<Value> {
    let body = json!({ "action": action, "reason": "the meter says so" });
    world.operator(Method::POST, &format!("/disputes/{dispute}/evidence"), Some(&body)).await
}

/// Waits until a dispute stands so.
async fn stands(world: &World, dispute: &str, status: &str) -> anyhow::Result<()> {
    eventually(format!("{dispute} {status}"), async || {
        let known = world.operator(Method::GET, &format!("/disputes/{dispute}"), None).await?;
        Ok((known["status"] == status).then_some(()))
    })
    .await
}

pub(crate) async fn a_dispute_is_answered_with_the_sessions_evidence_and_won(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    site(world, "SALE-04").await?;
    let session = paid(world, "SALE-04", "SALE-41", "pm_card_visa").await?;
    let dispute = disputed(world, session).await?;
    let lost = [
        ("charging_revenue", -300),
        ("dispute_fees", 1_500),
        ("disputed_funds", GROSS),
        ("stripe_clearing", -1_500),
        ("tax_payable", -63),
    ];
    booked(world, session, &lost).await?;
    let full = json!({ "full": true, "reason": "no" });
    let refund = decide(world, FINANCE, session, "refunds", "no", &full).await;
    ensure!(refund.is_err_and(|error| error.to_string().contains("409")), "the bank has it");

    let path = format!("/disputes/{dispute}/evidence");
    let evidence = world.operator(Method::GET, &path, None).await?;
    let text = |field: &str| evidence[field].as_str().unwrap_or_default().to_owned();
    ensure!(text("product_description").contains("PRICE SHOWN AT THE START"), "{evidence:#}");
    ensure!(text("product_description").contains("Total: 3.63 EUR"), "{evidence:#}");
    assert_eq!(text("service_date"), "2026-06-10");
    ensure!(text("access_activity_log").contains("transaction ended, meter 6 kWh"), "{evidence:#}");
    let frames = text("uncategorized_text");
    ensure!(frames.contains("StopTransaction"), "{frames}");
    ensure!(!frames.contains("SALE-41-TAG"), "the tag opens an account: {frames}");

    assert_eq!(answer(world, &dispute, "submit").await?["status"], "under_review");
    let at_stripe = world.stripe("GET", &format!("/v1/disputes/{dispute}"), &[]).await?;
    assert_eq!(at_stripe["evidence"]["uncategorized_text"], evidence["uncategorized_text"]);
    assert_eq!(at_stripe["evidence_details"]["submission_count"], 1);
    let path = format!("/_twin/disputes/{dispute}/decide");
    control(world, &path, &json!({ "won": true })).await?;
    stands(world, &dispute, "won").await?;
    let won = [
        ("charging_revenue", -300),
        ("dispute_fees", 1_500),
        ("stripe_clearing", GROSS - 1_500),
        ("tax_payable", -63),
    ];
    booked(world, session, &won).await?;
    let (twice, gross) = (2 * GROSS, GROSS);
    let changes = [
        ("opened", gross),
        ("withdrawn", gross),
        ("fee_charged", 1_500),
        ("reinstated", gross),
        ("won", twice),
    ];
    told_once(world, &dispute, &changes).await
}

pub(crate) async fn a_dispute_that_is_given_up_is_lost_and_booked(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    site(world, "SALE-05").await?;
    let session = paid(world, "SALE-05", "SALE-51", "pm_card_visa").await?;
    let dispute = disputed(world, session).await?;
    assert_eq!(answer(world, &dispute, "accept").await?["status"], "lost");
    stands(world, &dispute, "lost").await?;
    let lost = [
        ("chargeback_losses", GROSS),
        ("charging_revenue", -300),
        ("dispute_fees", 1_500),
        ("stripe_clearing", -1_500),
        ("tax_payable", -63),
    ];
    booked(world, session, &lost).await?;
    let changes =
        [("opened", GROSS), ("withdrawn", GROSS), ("fee_charged", 1_500), ("lost", GROSS)];
    told_once(world, &dispute, &changes).await?;
    let late = answer(world, &dispute, "submit").await;
    ensure!(late.is_err_and(|error| error.to_string().contains("409")), "it is closed");
    Ok(())
}

/// Each change of a dispute is at the accounting system, and no other.
async fn told_once(world: &World, dispute: &str, changes: &[(&str, i64)]) -> anyhow::Result<()> {
    let id =
        |(change, so_far): &(&str, i64)| format!("payment.disputed:{dispute}:{change}:{so_far}");
    let mut wanted: Vec<_> = changes.iter().map(id).collect();
    wanted.sort();
    eventually(format!("{wanted:?} at the accounting system"), async || {
        let events = world.inbox.received().events;
        let ours = events.into_keys().filter(|id| id.contains(dispute));
        Ok((ours.collect::<Vec<_>>() == wanted).then_some(()))
    })
    .await
}

/// 100 kWh: 41.00, with VAT 49.61; 30.00 are held, 19.61 refused.
async fn owed(world: &World, site: &str, id: &str) -> anyhow::Result<SessionId> {
    let card = world.card("pm_card_visa").await?;
    world.platform.stripe().decline(DeclineRule {
        payment_method: card.payment_method.clone(),
        capture_method: Some("automatic".to_owned()),
        above: 0,
        code: "card_declined".to_owned(),
        decline_code: Some("insufficient_funds".to_owned()),
    });
    let large = Charge { wh: 100_000, minutes: 60, ..CHARGE };
    let session = charged(world, site, id, &card, large).await?;
    world.file_when(session, "the refused difference", is_owed).await?;
    Ok(session)
}

pub(crate) async fn a_debt_is_written_off_or_waived_and_the_books_say_which(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    site(world, "SALE-06").await?;
    let bad = owed(world, "SALE-06", "SALE-61").await?;
    let reason = json!({ "reason": "moved abroad" });
    let part = json!({ "amount": { "minor": 100, "currency": "EUR" }, "reason": "slow" });
    let refund = decide(world, FINANCE, bad, "refunds", "part", &part).await;
    ensure!(refund.is_err_and(|error| error.to_string().contains("409")), "who owes gets none");
    decide(world, FINANCE, bad, "write-off", "w", &reason).await?;
    // 41.00 without tax and 8.61 of tax are still sold.
    let written_off = [
        ("bad_debts", 1_961),
        ("charging_revenue", -4_100),
        ("stripe_clearing", 3_000),
        ("tax_payable", -861),
    ];
    let file = booked(world, bad, &written_off).await?;
    assert_eq!(file["payment"]["written_off"]["minor"], 1_961);
    assert_eq!(file["payment"]["owed"]["minor"], 0);

    let wrong = owed(world, "SALE-06", "SALE-62").await?;
    decide(world, FINANCE, wrong, "waiver", "v", &reason).await?;
    let file = world
        .file_when(wrong, "the waiver's credit note", |file| {
            let books = books(file);
            !books.contains_key("accounts_receivable") && books.contains_key("stripe_clearing")
        })
        .await?;
    // 30.00 of 49.61 are still sold: without tax and tax in proportion.
    let sums = books(&file);
    assert_eq!(sums["charging_revenue"] + sums["tax_payable"], -3_000, "{sums:?}");
    assert_eq!(sums["tax_payable"], -521, "{sums:?}");
    assert_eq!(file["payment"]["waived"]["minor"], 1_961);
    // And now the rest.
    let full = json!({ "full": true, "reason": "all of it" });
    let rest = decide(world, FINANCE, wrong, "refunds", "full", &full).await?;
    assert_eq!(rest["amount"]["minor"], 3_000);
    booked(world, wrong, &[]).await?;
    Ok(())
}

pub(crate) async fn a_roaming_session_is_taken_back_with_a_credit_cdr(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let session = suite.before().await?.session("roaming")?;
    let reason = json!({ "reason": "billed by the wrong tariff" });
    let first = decide(world, FINANCE, session, "credits", "c", &reason).await?;
    assert_eq!(first["kind"], "credit");
    let again = decide(world, FINANCE, session, "credits", "c again", &reason).await?;
    assert_eq!(again["id"], first["id"], "once, whatever the key");
    let id = format!("{session}-C");
    let credit = eventually("the credit CDR at the partner", async || {
        Ok(world.inbox.received().cdrs.get(&id).cloned())
    })
    .await?;
    let original = world.inbox.received().cdrs[&session.to_string()].clone();
    assert_eq!(credit.total_cost.excl_vat, -original.total_cost.excl_vat);
    assert_eq!(credit, original.credited(credit.last_updated), "and nothing else");
    booked(world, session, &[]).await?;
    Ok(())
}
