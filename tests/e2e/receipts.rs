//! Receipts by e-mail: one mail for whoever wants it, none for anybody else.

use anyhow::{Context as _, ensure};
use messages::{Envelope, Event};
use quantities::{Amount, Currency, SessionId};
use reqwest::Method;
use serde_json::{Value, json};
use stripe_twin::DeclineRule;
use tallywatt::platform::Service;

use crate::{
    harness::{Charge, Suite, World, eventually, is_captured, is_owed},
    terminal::walked_up,
};

/// What every address of these tests ends with: the log has none of it.
pub(crate) const MAIL_DOMAIN: &str = "mail.example.net";

/// 5 kWh by day: 5 × 0.40 = 2.00, with 21 % VAT 2.42.
const CHARGE: Charge = Charge { hour: 10, minutes: 30, start_wh: 1_000, wh: 5_000 };
/// 100 kWh: 40.00, with VAT 48.40; 30.00 are held.
const LARGE: Charge = Charge { hour: 10, minutes: 60, start_wh: 1_000, wh: 100_000 };

/// Where a driver of these tests gets mail.
pub(crate) fn address_of(driver: &str) -> String {
    format!("{}@{MAIL_DOMAIN}", driver.to_lowercase())
}

/// Has a driver's receipts mailed, and gives the address.
pub(crate) async fn wants_mail(world: &World, driver: &str) -> anyhow::Result<String> {
    let address = address_of(driver);
    let token = world.platform.token_with_email(driver, &address, true)?;
    let body = json!({ "by_email": true });
    let wish = world.http().ask(&token, Method::PUT, "/driver/receipts", Some(&body)).await?;
    ensure!(wish == json!({ "by_email": true, "email": address }), "{wish}");
    Ok(address)
}

/// What SES has sent to an address, the first first.
pub(crate) async fn mails_to(world: &World, address: &str) -> anyhow::Result<Vec<Value>> {
    let mut mails = world.platform.aws().mails().await?;
    mails.retain(|mail| mail["To"] == json!([address]));
    Ok(mails)
}

/// Waits until SES has sent so many mails to an address; no more than that.
async fn mailed(world: &World, address: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    let found = eventually(format!("{count} mails to a driver"), async || {
        let mails = mails_to(world, address).await?;
        Ok((mails.len() >= count).then_some(mails))
    });
    let mails = match found.await {
        Ok(mails) => mails,
        Err(error) => return Err(error.context(world.troubles().await)),
    };
    ensure!(mails.len() == count, "more than {count} mails: {mails:#?}");
    Ok(mails)
}

/// A session at a charger of its own, with the tag `<id>-TAG`, ended.
async fn charged(world: &World, id: &str, charge: Charge) -> anyhow::Result<SessionId> {
    let mut station = world.station(id).await?;
    let (session, number) = station.start(&format!("{id}-TAG"), charge).await?;
    station.stop(number, charge).await?;
    station.leave().await;
    Ok(session)
}

/// The session's mails as the operator sees them, once all are in this state.
async fn shown(world: &World, session: SessionId, states: &[&str]) -> anyhow::Result<Vec<Value>> {
    let of = |file: &Value| file["mails"].as_array().cloned().unwrap_or_default();
    let are_so = |file: &Value| {
        let mails = of(file);
        let seen: Vec<_> = mails.iter().map(|mail| mail["state"].as_str().unwrap_or("")).collect();
        seen == states
    };
    Ok(of(&world.file_when(session, &format!("mails {states:?}"), are_so).await?))
}

/// Sends an event to the receipts queue once more, and waits until it is said what came of it.
async fn again(
    world: &World,
    session: SessionId,
    event: Event,
    outcome: &str,
) -> anyhow::Result<()> {
    let envelope = Envelope::new(event, chrono::Utc::now(), None);
    let request = json!({
        "QueueUrl": world.platform.output("ReceiptsQueue")?,
        "MessageBody": serde_json::to_string(&envelope)?,
    });
    world.platform.aws().call(Service::Sqs, "SendMessage", &request).await?;
    logged(world, session, outcome).await
}

async fn logged(world: &World, session: SessionId, outcome: &str) -> anyhow::Result<()> {
    let session = session.to_string();
    let is_ours = |line: &Value| {
        line["Function"] == "send-receipt"
            && line["session_id"] == session.as_str()
            && line["outcome"] == outcome
    };
    world.logged(&format!("{session} {outcome}"), is_ours).await.map(drop)
}

pub(crate) async fn a_driver_who_wants_it_gets_each_receipt_and_credit_note_once(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-mail-1", "MAIL-01");
    world.paying_tag("MAIL-01-TAG", driver).await?;
    let address = wants_mail(world, driver).await?;
    let session = charged(world, id, CHARGE).await?;

    let mails = mailed(world, &address, 1).await?;
    let mail = &mails[0];
    assert_eq!(mail["Source"], "Tallywatt <receipts@tallywatt.example>");
    let subject = "Receipt for 2.42 EUR, charging at Amsterdam Zuid on 2026-06-10";
    assert_eq!(mail["Subject"], subject, "{mail:#}");
    let text = mail["BodyText"].as_str().context("a mail without text")?;
    for line in [
        "5 kWh at 0.40 EUR/kWh without tax: 2.42 EUR with tax",
        "Total without tax: 2.00 EUR",
        "VAT 21 % on 2.00 EUR: 0.42 EUR",
        "Total: 2.42 EUR",
        "2.42 EUR were taken from the card. Nothing else is held.",
        &session.to_string(),
    ] {
        ensure!(text.contains(line), "`{line}` is not in:\n{text}");
    }
    let page = mail["BodyHtml"].as_str().context("a mail without a page")?;
    ensure!(page.contains("2.42 EUR") && page.contains("Amsterdam Zuid"), "{page}");

    let seen = shown(world, session, &["sent"]).await?;
    assert_eq!(seen[0]["what"], "receipt");
    assert_eq!(seen[0]["to"], format!("d…@{MAIL_DOMAIN}"), "the address is nobody's business");
    assert_eq!(seen[0]["message_id"], mail["MessageId"]);
    let path = format!("/sessions/{session}/receipt");
    let (_, receipt) = world.driver(driver, Method::GET, &path).await?;
    assert_eq!(receipt["mailed_at"], seen[0]["at"], "{receipt:#}");

    // Whatever comes again, and in whatever order.
    let events = [
        Event::PaymentCleared { session_id: session },
        Event::PaymentOwed {
            session_id: session,
            amount: Amount::new(242, Currency::EUR),
            code: String::new(),
        },
    ];
    for event in events {
        again(world, session, event, "repeat").await?;
    }
    mailed(world, &address, 1).await?;

    let token = world.platform.token("finance-mail", &["finance"])?;
    let path = format!("/operator/sessions/{session}/refunds");
    let part = json!({ "amount": { "minor": 121, "currency": "EUR" }, "reason": "too slow" });
    world.http().post_once(&token, &path, "part", &part).await?;
    let mails = mailed(world, &address, 2).await?;
    let (subject, text) = (&mails[1]["Subject"], mails[1]["BodyText"].as_str().unwrap_or(""));
    ensure!(subject.as_str().is_some_and(|s| s.starts_with("Credit note CN-")), "{subject}");
    for line in ["Reason:       too slow", "VAT 21 % on 1.00 EUR: 0.21 EUR", "Credited: 1.21 EUR"] {
        ensure!(text.contains(line), "`{line}` is not in:\n{text}");
    }
    let seen = shown(world, session, &["sent", "sent"]).await?;
    ensure!(seen.iter().any(|mail| mail["credit_note"].is_string()), "{seen:#?}");
    Ok(())
}

pub(crate) async fn a_mail_whose_sender_died_is_sent_again(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-mail-2", "MAIL-02");
    world.paying_tag("MAIL-02-TAG", driver).await?;
    let address = wants_mail(world, driver).await?;
    let session = charged(world, id, CHARGE).await?;
    mailed(world, &address, 1).await?;
    shown(world, session, &["sent"]).await?;

    // As if the function had died an hour ago, between SES's answer and the next write.
    let an_hour_ago = (chrono::Utc::now() - chrono::TimeDelta::hours(1)).to_rfc3339();
    let died = json!({
        "TableName": world.platform.output("SessionsTable")?,
        "Key": { "pk": { "S": format!("SESSION#{session}") }, "sk": { "S": "MAIL#receipt" } },
        "UpdateExpression": "SET tried_at = :at REMOVE outcome",
        "ExpressionAttributeValues": { ":at": { "S": an_hour_ago } },
    });
    world.platform.aws().call(Service::DynamoDb, "UpdateItem", &died).await?;
    again(world, session, Event::PaymentCleared { session_id: session }, "sent").await?;
    mailed(world, &address, 2).await?;
    shown(world, session, &["sent"]).await?;
    Ok(())
}

pub(crate) async fn who_does_not_want_mail_or_has_no_verified_address_gets_none(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-mail-3", "MAIL-03");
    world.paying_tag("MAIL-03-TAG", driver).await?;
    let address = format!("stranger@{MAIL_DOMAIN}");
    let wish = json!({ "by_email": true });
    let unverified = world.platform.token_with_email(driver, &address, false)?;
    for token in [unverified, world.platform.token(driver, &[])?] {
        let asked = world.http().try_ask(&token, Method::PUT, "/driver/receipts", Some(&wish));
        let (status, problem) = asked.await?;
        assert_eq!(status, 409, "{problem}");
        assert_eq!(problem["type"], "urn:tallywatt:problem:email-not-verified");
    }
    let none = json!({ "by_email": false });
    assert_eq!(world.driver(driver, Method::GET, "/receipts").await?, (200, none.clone()));
    // Who wanted it and thought better of it.
    let wanted = wants_mail(world, driver).await?;
    let known = json!({ "by_email": true, "email": wanted });
    assert_eq!(world.driver(driver, Method::GET, "/receipts").await?, (200, known));
    let forgotten = world.driver(driver, Method::DELETE, "/receipts").await?;
    assert_eq!(forgotten.0, 204, "{forgotten:?}");
    assert_eq!(world.driver(driver, Method::GET, "/receipts").await?, (200, none));

    let session = charged(world, id, CHARGE).await?;
    world.file_when(session, "the capture", is_captured).await?;
    let event = Event::PaymentCleared { session_id: session };
    again(world, session, event, "nobody wants it").await?;
    shown(world, session, &[]).await?;
    for address in [&address, &wanted] {
        ensure!(mails_to(world, address).await?.is_empty(), "mail to {address}");
    }
    Ok(())
}

pub(crate) async fn what_is_owed_is_mailed_and_the_receipt_when_it_is_paid(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (driver, id) = ("driver-mail-4", "MAIL-04");
    let card = world.card("pm_card_visa").await?;
    world.tag("MAIL-04-TAG", driver, &card, json!({})).await?;
    let address = wants_mail(world, driver).await?;
    world.platform.stripe().decline(DeclineRule {
        payment_method: card.payment_method.clone(),
        capture_method: Some("automatic".to_owned()),
        above: 0,
        code: "card_declined".to_owned(),
        decline_code: Some("insufficient_funds".to_owned()),
    });
    let session = charged(world, id, LARGE).await?;
    world.file_when(session, "the refused difference", is_owed).await?;
    let mails = mailed(world, &address, 1).await?;
    let subject = "18.40 EUR still owed, charging at Amsterdam Zuid on 2026-06-10";
    assert_eq!(mails[0]["Subject"], subject, "{:#}", mails[0]);
    let text = mails[0]["BodyText"].as_str().unwrap_or_default();
    for line in [
        "Total: 48.40 EUR",
        "30.00 EUR were taken from the card; 18.40 EUR are still owed.",
        "Pay it here: https://driver.example/",
    ] {
        ensure!(text.contains(line), "`{line}` is not in:\n{text}");
    }

    let attached = [("customer", card.customer.as_str())];
    let method = world.stripe("POST", "/v1/payment_methods/pm_card_mastercard/attach", &attached);
    let method = method.await?["id"].as_str().context("a card without id")?.to_owned();
    let token = world.platform.token(driver, &[])?;
    let path = format!("/driver/debts/{session}/pay");
    let with = json!({ "payment_method": method });
    world.http().ask(&token, Method::POST, &path, Some(&with)).await?;
    let mails = mailed(world, &address, 2).await?;
    let text = mails[1]["BodyText"].as_str().unwrap_or_default();
    ensure!(text.contains("48.40 EUR were taken from the card."), "{text}");
    let seen = shown(world, session, &["sent", "sent"]).await?;
    let kinds: Vec<_> = seen.iter().map(|mail| mail["what"].as_str().unwrap_or("")).collect();
    assert_eq!(kinds, ["owed", "receipt"]);
    Ok(())
}

pub(crate) async fn an_operator_mails_a_receipt_to_whoever_walked_up(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let session = walked_up(world, "MAIL-05").await?;
    let address = format!("walk.up@{MAIL_DOMAIN}");
    let support = world.platform.token("support-mail", &["support"])?;
    let path = format!("/operator/sessions/{session}/receipt");
    let post = async |key: &str, body: &Value| {
        world.http().try_post_once(&support, &path, key, body).await
    };
    let (status, refused) = post("bad", &json!({ "email": "walk.up" })).await?;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/email")), "{refused}");
    let body = json!({ "email": address });
    let (status, asked) = post("one", &body).await?;
    assert_eq!((status, &asked["requested_by"]), (202, &json!("support-mail")), "{asked}");
    let mails = mailed(world, &address, 1).await?;
    let text = mails[0]["BodyText"].as_str().unwrap_or_default();
    ensure!(text.contains("Total: 2.42 EUR"), "{text}");
    shown(world, session, &["sent"]).await?;

    let (status, again) = post("one", &body).await?;
    assert_eq!((status, &again["state"]), (202, &json!("sent")), "the same key is the same mail");
    let (status, _) = post("one", &json!({ "email": format!("other@{MAIL_DOMAIN}") })).await?;
    assert_eq!(status, 422, "the same key for another mail");
    let (status, _) =
        post("note", &json!({ "email": address, "credit_note": "CN-999999" })).await?;
    assert_eq!(status, 404);
    let admin = world.platform.token("admin-mail", &["admin"])?;
    let (status, _) = world.http().try_post_once(&admin, &path, "admin", &body).await?;
    assert_eq!(status, 403);
    // Asked for once more, it goes once more.
    assert_eq!(post("two", &body).await?.0, 202);
    mailed(world, &address, 2).await?;
    let seen = shown(world, session, &["sent", "sent"]).await?;
    ensure!(!Value::from(seen).to_string().contains("walk.up@"), "the address is masked");
    let stored = world.platform.items("SessionsTable").await?;
    ensure!(!Value::from(stored).to_string().contains("walk.up@"), "and forgotten");
    Ok(())
}
