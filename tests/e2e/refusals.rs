//! Must show 6: who and what is refused, how, and what the log says of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use quantities::ChargePointId;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tallywatt::charger::{Connection, Refused};

use crate::{
    harness::{Charge, Station, Suite, World, eventually},
    receipts::{MAIL_DOMAIN, wants_mail},
};

const CHARGE: Charge = Charge { hour: 10, minutes: 30, start_wh: 1_000, wh: 5_000 };

pub(crate) async fn a_charger_without_the_right_password_is_refused(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let id = "REFUSE-01";
    let password = world.charger(id).await?;
    let url = world.platform.charger_url()?;

    let wrong = Connection::open(url, id, "not-the-password-of-it").await;
    assert_eq!(refusal(wrong)?, Refused::Status(403));
    let unknown = Connection::open(url, "REFUSE-99", &password).await;
    assert_eq!(refusal(unknown)?, Refused::Status(403));
    // The name and password of one charger at the address of another.
    let other = world.cases.first().context("no case")?.charge_point_id.as_str();
    let basic =
        |name: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")));
    assert_eq!(handshake(world, other, Some(&basic(id)), true).await?, 403);
    assert_eq!(handshake(world, id, None, true).await?, 401);
    let unagreed = handshake(world, id, Some(&basic(id)), false).await?;
    ensure!((400..500).contains(&unagreed), "no subprotocol was answered with {unagreed}");
    assert_eq!(handshake(world, id, Some(&basic(id)), true).await?, 101);

    let told = async |function: &str, id: &str, outcome: &str| {
        let line = world.logged(outcome, |line| {
            line["Function"] == function
                && line["charge_point_id"] == id
                && line["outcome"] == outcome
        });
        let line = line.await?;
        ensure!(line["Refusals"] == 1, "{line}");
        anyhow::Ok(())
    };
    told("authorize-connection", id, "wrong password").await?;
    told("authorize-connection", "REFUSE-99", "unknown charger").await?;
    told("connect-charger", id, "no common subprotocol").await
}

fn refusal(opened: anyhow::Result<Connection>) -> anyhow::Result<Refused> {
    match opened {
        Ok(_) => anyhow::bail!("the charger was let in"),
        Err(error) => error.downcast_ref::<Refused>().copied().context(format!("{error:#}")),
    }
}

/// The HTTP status of a WebSocket handshake.
async fn handshake(
    world: &World,
    id: &str,
    authorization: Option<&str>,
    subprotocol: bool,
) -> anyhow::Result<u16> {
    let url = format!("{}/{id}", world.platform.charger_url()?).replacen("ws", "http", 1);
    let mut request = Client::builder().no_proxy().build()?.get(url);
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    if subprotocol {
        request = request.header("sec-websocket-protocol", "ocpp1.6");
    }
    Ok(request.send().await?.status().as_u16())
}

/// OCPP-J 1.6, table 7. An answer to a frame without a readable id has the id −1, as OCPP 2.0.1
/// says; 1.6 leaves it open.
pub(crate) async fn malformed_frames_get_the_error_that_the_specification_names(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let id = "REFUSE-02";
    let mut station = world.station(id).await?;
    let long = "x".repeat(21);
    let frames = [
        ("this is no JSON".to_owned(), "-1", "FormationViolation"),
        (r#"[2,"a1","Heartbeat",{"#.to_owned(), "a1", "FormationViolation"),
        (r#"{"action":"Heartbeat"}"#.to_owned(), "-1", "FormationViolation"),
        (r#"[2,"a2","Authorize","04A1"]"#.to_owned(), "a2", "FormationViolation"),
        (r#"[2,"a3","Heartbeat"]"#.to_owned(), "a3", "ProtocolError"),
        (r#"[2,"a4"]"#.to_owned(), "a4", "ProtocolError"),
        (r#"[2,"a5","Authorize",{}]"#.to_owned(), "a5", "OccurenceConstraintViolation"),
        (r#"[2,"a6","Authorize",{"idTag":{}}]"#.to_owned(), "a6", "TypeConstraintViolation"),
        (
            format!(r#"[2,"a7","Authorize",{{"idTag":"{long}"}}]"#),
            "a7",
            "PropertyConstraintViolation",
        ),
        (r#"[2,"a8","TransferMoney",{}]"#.to_owned(), "a8", "NotImplemented"),
    ];
    for (frame, id, code) in &frames {
        let answer = station.exchange(frame).await?;
        assert_eq!(
            (&answer[0], &answer[1], &answer[2]),
            (&json!(4), &json!(id), &json!(code)),
            "{frame}: {answer}"
        );
        ensure!(answer[3].is_string() && answer[4].is_object(), "{answer}");
    }
    // What is neither call nor answer is ignored, and the connection goes on.
    station.send(r#"[7,"a9","Heartbeat",{}]"#).await?;
    let heartbeat = station.call("Heartbeat", json!({})).await?;
    ensure!(heartbeat["currentTime"].is_string(), "{heartbeat}");
    station.leave().await;

    // All but the unknown action, and the one that was ignored.
    eventually("a line for every refused frame", async || {
        let lines = world.log().await?;
        let ours = lines.iter().filter(|line| line.contains(id) && line.contains("BadFrames"));
        let refused = ours.filter(|line| line.contains(r#""outcome":"refused""#)).count();
        Ok((refused == frames.len()).then_some(()))
    })
    .await?;
    let lines = world.log().await?;
    assert!(!lines.iter().any(|line| line.contains(&long)), "a refused tag is in the log");
    world
        .logged("an unknown action", |line| {
            line["charge_point_id"] == id && line["outcome"] == "not implemented"
        })
        .await?;
    Ok(())
}

/// API Gateway takes 128 KB; the local platform takes more, and the functions do not.
pub(crate) async fn an_oversized_frame_is_not_taken(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let id = "REFUSE-03";
    world.paying_tag("REFUSE-TAG-03", "driver-refused").await?;
    let mut station = world.station(id).await?;
    let (session, number) = station.start("REFUSE-TAG-03", CHARGE).await?;
    let filler = "x".repeat(130 * 1024);
    let frame = json!([2, "big", "MeterValues", {
        "connectorId": 1,
        "transactionId": number,
        "meterValue": [{
            "timestamp": "2026-06-10T10:10:00Z",
            "sampledValue": [{ "value": "2000" }, { "value": filler, "format": "SignedData" }],
        }],
    }]);
    station.send(&frame.to_string()).await?;
    let answer = station.receive(Duration::from_secs(3)).await?;
    ensure!(answer.is_none_or(|answer| answer[0] != 3), "it was taken");
    station.half(number, CHARGE).await?;
    station.stop(number, CHARGE).await?;
    let rated = |file: &Value| file["session"]["state"] == "rated";
    let file = world.file_when(session, "the price", rated).await?;
    assert_eq!(file["meter_values"], 1, "the oversized one is not among them");
    world
        .logged("an oversized frame", |line| {
            line["charge_point_id"] == id && line["refusal"] == "frame too large"
        })
        .await?;
    Ok(())
}

pub(crate) async fn a_request_without_a_good_token_is_refused(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let good = world.platform.token("driver-1", &["admin"])?;
    let mut parts = good.split('.');
    let (Some(header), Some(claims), Some(signature)) = (parts.next(), parts.next(), parts.next())
    else {
        anyhow::bail!("a token of other than three parts");
    };
    let mut altered: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims)?)?;
    altered["sub"] = json!("driver-2");
    let altered = BASE64_URL_SAFE_NO_PAD.encode(altered.to_string());
    let unsigned = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let foreign = signed_by_another(&format!("{header}.{claims}"))?;
    let tokens = [
        ("none", None),
        ("not a token", Some("abc".to_owned())),
        ("other claims than were signed", Some(format!("{header}.{altered}.{signature}"))),
        ("no signature", Some(format!("{unsigned}.{claims}."))),
        ("the key of another issuer", Some(foreign)),
    ];
    let client = Client::builder().no_proxy().build()?;
    for (what, token) in tokens {
        for path in ["/driver/sessions", "/operator/exceptions"] {
            let mut request = client.get(format!("{}{path}", world.platform.http_url()?));
            if let Some(token) = &token {
                request = request.bearer_auth(token);
            }
            let status = request.send().await?.status().as_u16();
            assert_eq!(status, 401, "{what} at {path}");
        }
    }
    Ok(())
}

/// What was signed, under a key that the issuer never published.
fn signed_by_another(signed: &str) -> anyhow::Result<String> {
    let unspecified = |_| anyhow::anyhow!("cannot sign");
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(unspecified)?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(unspecified)?;
    Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

pub(crate) async fn a_role_that_does_not_allow_it_is_refused(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let tariff = json!({ "tariff": { "id": "AMS-RETAIL" } });
    let dismiss = json!({ "action": "dismiss", "reason": "no" });
    let nothing = "/operator/exceptions/7a113a77-0000-5000-8000-0cb10badcafe/resolution";
    let requests: [(&[&str], Method, &str, Option<&Value>); 5] = [
        // A driver's token has no role.
        (&[], Method::GET, "/operator/sites/AMS-01", None),
        (
            &["support", "finance"],
            Method::POST,
            "/operator/tariffs/AMS-RETAIL/versions",
            Some(&tariff),
        ),
        (&["admin", "finance"], Method::POST, nothing, Some(&dismiss)),
        (
            &["admin", "support"],
            Method::POST,
            "/operator/dead-letters/cdr/redrive",
            Some(&json!({})),
        ),
        (&["admin"], Method::GET, "/operator/sessions", None),
    ];
    for (roles, method, path, body) in requests {
        let token = world.platform.token("operator-2", roles)?;
        let (status, answer) = world.http().try_ask(&token, method, path, body).await?;
        assert_eq!(status, 403, "{roles:?} at {path}: {answer}");
        assert_eq!(answer["type"], "urn:tallywatt:problem:forbidden", "{answer}");
    }
    world
        .logged("a refused role", |line| {
            line["Function"] == "operator-api" && line["status"] == 403 && line["Refusals"] == 1
        })
        .await?;
    Ok(())
}

pub(crate) async fn another_drivers_session_is_not_found(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let session = suite.before().await?.session("member")?;
    for path in ["", "/receipt"] {
        let path = format!("/sessions/{session}{path}");
        let (own, answer) = world.driver("driver-member", Method::GET, &path).await?;
        assert_eq!(own, 200, "{path}: {answer}");
        let (others, answer) = world.driver("driver-roaming", Method::GET, &path).await?;
        assert_eq!(others, 404, "{path}: {answer}");
    }
    let token = world.platform.token("driver-roaming", &[])?;
    let stop = format!("/driver/sessions/{session}/stop");
    let (status, answer) = world.http().try_ask(&token, Method::POST, &stop, None).await?;
    assert_eq!(status, 404, "{answer}");
    let (_, theirs) = world.driver("driver-nobody", Method::GET, "/sessions").await?;
    assert!(!theirs.to_string().contains(&session.to_string()), "{theirs}");
    world
        .logged("somebody else's session", |line| {
            line["Function"] == "driver-api" && line["status"] == 404 && line["Refusals"] == 1
        })
        .await?;
    Ok(())
}

pub(crate) async fn a_webhook_with_a_bad_signature_is_refused(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let client = Client::builder().no_proxy().build()?;
    let url = format!("{}/stripe/webhook", world.platform.http_url()?);
    let body = r#"{"id":"evt_forged","type":"payment_intent.canceled","created":1,"data":{}}"#;
    for signature in [None, Some("t=1,v1=00"), Some("nonsense")] {
        let mut request = client.post(&url).body(body);
        if let Some(signature) = signature {
            request = request.header("stripe-signature", signature);
        }
        let answer = request.send().await?;
        assert_eq!(answer.status().as_u16(), 400, "{signature:?}");
        let answer: Value = answer.json().await?;
        assert_eq!(answer["type"], "urn:tallywatt:problem:bad-signature", "{answer}");
    }
    let kept = world.platform.items("StripeEventsTable").await?;
    assert!(!json!(kept).to_string().contains("evt_forged"), "a forged event was kept");
    world
        .logged("a bad signature", |line| {
            line["Function"] == "stripe-webhook" && line["status"] == 400 && line["Refusals"] == 1
        })
        .await?;
    Ok(())
}

pub(crate) async fn no_secret_is_in_any_log(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let id = "REFUSE-04";
    let password = world.charger(id).await?;
    let token = world.platform.token("driver-secret", &["admin"])?;
    world.paying_tag("SECRET-TAG-04", "driver-secret").await?;
    let url = world.platform.charger_url()?;
    let mut station = Station::connect(url, id, &password).await?;
    let known = station.call("Authorize", json!({ "idTag": "SECRET-TAG-04" })).await?;
    ensure!(known["idTagInfo"]["status"] == "Accepted", "{known}");
    station.leave().await;
    world.driver("driver-secret", Method::GET, "/sessions").await?;
    wants_mail(world, "driver-secret").await?;
    let tariffs = world.http().try_ask(&token, Method::GET, "/operator/tariffs", None).await?;
    ensure!(tariffs.0 < 500, "{tariffs:?}");

    let mut secrets: Vec<(String, String)> = vec![
        ("a password".to_owned(), password),
        ("a tag".to_owned(), "SECRET-TAG-04".to_owned()),
        ("a token".to_owned(), token.split('.').nth(2).unwrap_or(&token).to_owned()),
        ("Stripe's key".to_owned(), world.platform.stripe().api_key().to_owned()),
        ("a driver's address".to_owned(), MAIL_DOMAIN.to_owned()),
        ("the webhooks' secret".to_owned(), world.inbox.webhook_secret().to_owned()),
        ("the partner's token".to_owned(), world.inbox.partner_token().to_owned()),
    ];
    for case in &world.cases {
        let id: &ChargePointId = &case.charge_point_id;
        secrets.push((format!("{id}'s password"), world.network.password(id)?.to_owned()));
        secrets.push((format!("the tag of {}", case.name), case.id_tag.as_str().to_owned()));
    }
    // The last requests are in the log too.
    eventually("the log of the driver's request", async || {
        let lines = world.log().await?;
        Ok(lines.iter().any(|line| line.contains("driver-api")).then_some(()))
    })
    .await?;
    let lines = world.log().await?;
    ensure!(lines.len() > 100, "only {} lines: this test proved nothing", lines.len());
    for line in &lines {
        for (what, secret) in &secrets {
            assert!(!line.contains(secret.as_str()), "{what} is in the log: {line}");
        }
        // Bodies: no OCPP frame, no event of Stripe's, no message of a queue.
        for part in ["sampledValue", "meterStart", "\"object\":\"event\"", "sk_test_", "pm_card"] {
            assert!(!line.contains(part), "a body is in the log: {line}");
        }
    }
    Ok(())
}
