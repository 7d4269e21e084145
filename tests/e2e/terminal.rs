//! Cards at readers: before the start, after it, declined, without a session, without a webhook.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use quantities::SessionId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Charge, SITE, Station, Suite, World, eventually};

/// 5 kWh by day: 5 × 0.40 = 2.00, with 21 % VAT 2.42.
const CHARGE: Charge = Charge { hour: 10, minutes: 30, start_wh: 1_000, wh: 5_000 };
const CHARGE_GROSS: i64 = 242;
/// 3 kWh: 1.20, with VAT 1.45.
const SHORT: Charge = Charge { wh: 3_000, ..CHARGE };
const SHORT_GROSS: i64 = 145;

/// Cards of <https://docs.stripe.com/terminal/references/testing#simulated-test-cards>.
const GOOD: &str = "4242424242424242";
const NO_FUNDS: &str = "4000000000009995";

/// A reader of ours and the device at Stripe.
struct Terminal<'a> {
    world: &'a World,
    id: String,
    device: String,
    tag: String,
}

impl<'a> Terminal<'a> {
    /// A reader for the first connector of each charger; `differs` says in what it is not like
    /// others.
    async fn new(
        world: &'a World,
        id: &str,
        chargers: &[&str],
        differs: &Value,
    ) -> anyhow::Result<Self> {
        let form =
            [("display_name", id), ("address[line1]", "Herengracht 1"), ("address[country]", "NL")];
        let location = world.stripe("POST", "/v1/terminal/locations", &form).await?;
        let location = location["id"].as_str().context("a location without id")?;
        let form = [("registration_code", "simulated-wpe"), ("location", location)];
        let device = world.stripe("POST", "/v1/terminal/readers", &form).await?;
        let device = device["id"].as_str().context("a reader without id")?.to_owned();
        let connectors: Vec<Value> = chargers
            .iter()
            .map(|charger| json!({ "charge_point_id": charger, "connector_id": 1 }))
            .collect();
        let mut body = json!({
            "stripe_reader": device, "site_id": SITE, "connectors": connectors,
        });
        let fields = body.as_object_mut().context("no object")?;
        fields.extend(differs.as_object().cloned().unwrap_or_default());
        let reader = world.operator(Method::PUT, &format!("/readers/{id}"), Some(&body)).await?;
        let tag = reader["id_tag"].as_str().context("a reader without tag")?.to_owned();
        Ok(Self { world, id: id.to_owned(), device, tag })
    }

    /// A kiosk asks for a card; gives status and answer.
    async fn ask(&self, key: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let token = self.world.platform.token("kiosk", &["kiosk"])?;
        let path = format!("/operator/readers/{}/taps", self.id);
        let url = format!("{}{path}", self.world.platform.http_url()?);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client.post(url).bearer_auth(token).header("Idempotency-Key", key);
        let answer = request.json(body).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// Asks for a card and waits until the reader does; gives the tap's id.
    async fn asked(&self, key: &str, body: &Value) -> anyhow::Result<String> {
        let (status, tap) = self.ask(key, body).await?;
        ensure!(status == 202, "{tap:#}");
        let tap = tap["id"].as_str().context("a tap without id")?.to_owned();
        self.tap_when(&tap, "on_reader").await?;
        Ok(tap)
    }

    async fn tap(&self, tap: &str) -> anyhow::Result<Value> {
        let token = self.world.platform.token("kiosk", &["kiosk"])?;
        let path = format!("/operator/readers/{}/taps/{tap}", self.id);
        self.world.http().ask(&token, Method::GET, &path, None).await
    }

    async fn tap_when(&self, tap: &str, status: &str) -> anyhow::Result<Value> {
        let found = eventually(format!("a tap that is {status}"), async || {
            let tap = self.tap(tap).await?;
            Ok((tap["status"] == status).then_some(tap))
        });
        match found.await {
            Ok(found) => Ok(found),
            Err(error) => {
                let tap = self.tap(tap).await?;
                let troubles = self.world.troubles().await;
                Err(error.context(format!("the tap is {tap:#}\n{troubles}")))
            }
        }
    }

    /// Somebody holds a card to the reader.
    async fn present(&self, number: &str) -> anyhow::Result<()> {
        let path =
            format!("/v1/test_helpers/terminal/readers/{}/present_payment_method", self.device);
        let form = [("type", "card_present"), ("card_present[number]", number)];
        self.world.stripe("POST", &path, &form).await.map(drop)
    }

    /// The PaymentIntent that was made for a tap.
    fn intent(&self, tap: &str) -> anyhow::Result<Value> {
        let mut all = self.world.all_intents().into_iter();
        all.find(|intent| intent["metadata"]["tap_id"] == tap).context("no PaymentIntent")
    }

    /// What was held for the tap paid the session and no more, once.
    async fn paid(&self, tap: &str, session: SessionId, minor: i64) -> anyhow::Result<()> {
        let captured = |file: &Value| file["payment"]["captured"]["minor"] == minor;
        let file = self.world.file_when(session, "the capture", captured).await?;
        assert_eq!(file["payment"]["owed"]["minor"], 0, "{:#}", file["payment"]);
        let intent = self.intent(tap)?;
        assert_eq!(
            (&intent["status"], &intent["amount"], &intent["amount_received"]),
            (&json!("succeeded"), &json!(3000), &json!(minor)),
            "{intent:#}"
        );
        let tap = self.tap_when(tap, "matched").await?;
        assert_eq!(tap["session_id"], session.to_string(), "{tap:#}");
        Ok(())
    }

    /// What was held for the tap is released.
    async fn released(&self, tap: &str, reason: &str) -> anyhow::Result<Value> {
        let seen = self.tap_when(tap, "released").await?;
        assert_eq!(seen["reason"], reason, "{seen:#}");
        let intent = self.intent(tap)?;
        assert_eq!(
            (&intent["status"], &intent["amount_received"]),
            (&json!("canceled"), &json!(0))
        );
        Ok(seen)
    }
}

/// The open exception for `reason` at a charger, once there is one.
pub(crate) async fn exception(world: &World, reason: &str, charger: &str) -> anyhow::Result<Value> {
    eventually(format!("an exception {reason}"), async || {
        let open = world.operator(Method::GET, "/exceptions", None).await?;
        let open = open.as_array().context("no list")?.iter();
        let mut ours = open.filter(|one| one["charge_point_id"] == charger);
        Ok(ours.find(|one| one["reason"] == reason).cloned())
    })
    .await
}

/// Whatever was to be told the charger has gone out, and it was not called.
async fn left_alone(world: &World, station: &mut Station) -> anyhow::Result<()> {
    world.settled().await?;
    station.call("Heartbeat", json!({})).await?;
    ensure!(station.was_left_alone(), "the charger was called");
    Ok(())
}

/// A session that a card at a reader of the charger's own has paid: [`CHARGE`].
pub(crate) async fn walked_up(world: &World, id: &str) -> anyhow::Result<SessionId> {
    let mut station = world.station(id).await?;
    let terminal = Terminal::new(world, &format!("R-{id}"), &[id], &json!({})).await?;
    let tap = terminal.asked("key-1", &json!({})).await?;
    terminal.present(GOOD).await?;
    station.awaits("RemoteStartTransaction").await?;
    let (session, number) = station.start(&terminal.tag, CHARGE).await?;
    station.stop(number, CHARGE).await?;
    terminal.paid(&tap, session, CHARGE_GROSS).await?;
    station.leave().await;
    Ok(session)
}

pub(crate) async fn a_card_before_the_start_pays_for_it(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let mut station = world.station("TERM-01").await?;
    let terminal = Terminal::new(world, "R-TERM-01", &["TERM-01"], &json!({})).await?;
    // The reader in the charger knows of one connector only.
    let tap = terminal.asked("key-1", &json!({})).await?;
    let (_, again) = terminal.ask("key-1", &json!({})).await?;
    assert_eq!(again["id"], tap, "the same key is the same tap");
    let (status, other) = terminal.ask("key-2", &json!({})).await?;
    assert_eq!(status, 409, "one card at a time: {other}");
    left_alone(world, &mut station).await?;

    terminal.present(GOOD).await?;
    let told = station.awaits("RemoteStartTransaction").await?;
    assert_eq!(told, json!({ "connectorId": 1, "idTag": terminal.tag }));
    let (session, number) = station.start(&terminal.tag, CHARGE).await?;
    let matched = terminal.tap_when(&tap, "matched").await?;
    assert_eq!(matched["session_id"], session.to_string());
    station.half(number, CHARGE).await?;
    station.stop(number, CHARGE).await?;
    terminal.paid(&tap, session, CHARGE_GROSS).await?;
    // The connector is free for the next.
    let next = terminal.asked("key-3", &json!({})).await?;
    assert_ne!(next, tap);
    let token = world.platform.token("kiosk", &["kiosk"])?;
    let path = format!("/operator/readers/R-TERM-01/taps/{next}/cancel");
    world.http().ask(&token, Method::POST, &path, None).await?;
    terminal.released(&next, "canceled").await?;
    Ok(())
}

pub(crate) async fn a_card_after_the_start_pays_for_it(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let mut station = world.station("TERM-02").await?;
    let differs = json!({ "starts_charger": false });
    let terminal = Terminal::new(world, "R-TERM-02", &["TERM-02"], &differs).await?;
    let (session, number) = station.start(&terminal.tag, CHARGE).await?;
    let tap = terminal.asked("key-1", &json!({})).await?;
    terminal.present(GOOD).await?;
    terminal.tap_when(&tap, "matched").await?;
    station.half(number, CHARGE).await?;
    station.stop(number, CHARGE).await?;
    terminal.paid(&tap, session, CHARGE_GROSS).await?;

    // So does one that comes when the session is over.
    let short = Charge { hour: 12, ..SHORT };
    let (session, number) = station.start(&terminal.tag, short).await?;
    station.stop(number, short).await?;
    world.settled().await?;
    let file = world.file(session).await?;
    assert_eq!(file["session"]["state"], "ended", "it waits for its card: {file:#}");
    let tap = terminal.asked("key-2", &json!({})).await?;
    terminal.present(GOOD).await?;
    terminal.paid(&tap, session, SHORT_GROSS).await?;
    left_alone(world, &mut station).await
}

pub(crate) async fn a_kiosk_takes_cards_for_several_chargers(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let (a, b) = ("TERM-03A", "TERM-03B");
    let (mut first, mut second) = (world.station(a).await?, world.station(b).await?);
    let terminal = Terminal::new(world, "R-TERM-03", &[a, b], &json!({})).await?;
    let (status, unnamed) = terminal.ask("key-0", &json!({})).await?;
    assert_eq!(status, 422, "{unnamed}");
    let at = |charger: &str| json!({ "charge_point_id": charger, "connector_id": 1 });
    // It is sent twice at once, and again.
    let (twice, at_once) = (at(a), at(a));
    let (one, other) = tokio::join!(terminal.ask("key-1", &twice), terminal.ask("key-1", &at_once));
    let ((one, of_one), (other, of_other)) = (one?, other?);
    assert_eq!((one, other, &of_one["id"]), (202, 202, &of_other["id"]), "{of_one} {of_other}");
    let of_first = terminal.asked("key-1", &at(a)).await?;
    terminal.present(GOOD).await?;
    terminal.tap_when(&of_first, "held").await?;
    let of_second = terminal.asked("key-2", &at(b)).await?;
    terminal.present(GOOD).await?;
    // The second charger starts before the first.
    second.awaits("RemoteStartTransaction").await?;
    let (session_b, number_b) = second.start(&terminal.tag, SHORT).await?;
    first.awaits("RemoteStartTransaction").await?;
    let (session_a, number_a) = first.start(&terminal.tag, CHARGE).await?;
    terminal.tap_when(&of_first, "matched").await?;
    terminal.tap_when(&of_second, "matched").await?;
    first.stop(number_a, CHARGE).await?;
    second.stop(number_b, SHORT).await?;
    terminal.paid(&of_first, session_a, CHARGE_GROSS).await?;
    terminal.paid(&of_second, session_b, SHORT_GROSS).await
}

pub(crate) async fn a_card_that_is_declined_starts_nothing(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let mut station = world.station("TERM-04").await?;
    let terminal = Terminal::new(world, "R-TERM-04", &["TERM-04"], &json!({})).await?;
    let tap = terminal.asked("key-1", &json!({})).await?;
    terminal.present(NO_FUNDS).await?;
    let seen = terminal.released(&tap, "refused").await?;
    assert_eq!(seen["code"], "insufficient_funds", "{seen:#}");
    left_alone(world, &mut station).await?;
    // Nobody is made to pay for all who come by.
    let (path, free) =
        (format!("/operator/entitlements/{}", terminal.tag), json!({ "kind": "free" }));
    let body = json!({ "status": "Accepted", "payer": free });
    let token = world.platform.token("operator", &["support"])?;
    for (method, body) in [(Method::PUT, Some(&body)), (Method::DELETE, None)] {
        let (status, refused) = world.http().try_ask(&token, method, &path, body).await?;
        assert_eq!(status, 409, "{refused:#}");
    }
    // Another card, another tap.
    let tap = terminal.asked("key-2", &json!({})).await?;
    terminal.present(GOOD).await?;
    station.awaits("RemoteStartTransaction").await?;
    let (session, number) = station.start(&terminal.tag, CHARGE).await?;
    terminal.tap_when(&tap, "matched").await?;
    station.stop(number, CHARGE).await?;
    terminal.paid(&tap, session, CHARGE_GROSS).await
}

pub(crate) async fn a_card_without_a_session_is_released_and_told(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let mut station = world.station("TERM-05").await?;
    station.refuse();
    let differs = json!({ "window_s": 10 });
    let terminal = Terminal::new(world, "R-TERM-05", &["TERM-05"], &differs).await?;
    let tap = terminal.asked("key-1", &json!({})).await?;
    terminal.present(GOOD).await?;
    station.awaits("RemoteStartTransaction").await?;
    terminal.tap_when(&tap, "held").await?;
    assert_eq!(terminal.intent(&tap)?["status"], "requires_capture");
    terminal.released(&tap, "no_session").await?;
    let told = exception(world, "unmatched_tap", "TERM-05").await?;
    ensure!(told["detail"].to_string().contains("R-TERM-05"), "{told:#}");
    Ok(())
}

pub(crate) async fn a_card_that_is_captured_at_stripe_and_pays_for_nothing_is_told(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let station = world.station("TERM-08").await?;
    let differs = json!({ "starts_charger": false });
    let terminal = Terminal::new(world, "R-TERM-08", &["TERM-08"], &differs).await?;
    let tap = terminal.asked("key-1", &json!({})).await?;
    terminal.present(GOOD).await?;
    terminal.tap_when(&tap, "held").await?;
    let intent = terminal.intent(&tap)?["id"].as_str().context("no id")?.to_owned();
    let capture = format!("/v1/payment_intents/{intent}/capture");
    world.stripe("POST", &capture, &[("amount_to_capture", "900")]).await?;
    let token = world.platform.token("kiosk", &["kiosk"])?;
    let cancel = format!("/operator/readers/R-TERM-08/taps/{tap}/cancel");
    world.http().ask(&token, Method::POST, &cancel, None).await?;
    let seen = terminal.tap_when(&tap, "released").await?;
    assert_eq!(seen["reason"], "captured", "{seen:#}");
    let told = exception(world, "unused_capture", "TERM-08").await?["detail"].to_string();
    ensure!(told.contains("9.00 EUR") && told.contains(&intent), "{told}");
    // The connector is free for the next.
    terminal.asked("key-2", &json!({})).await?;
    station.leave().await;
    Ok(())
}

pub(crate) async fn a_session_without_a_card_is_stopped_and_held(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let mut station = world.station("TERM-06").await?;
    let differs = json!({ "window_s": 10 });
    let terminal = Terminal::new(world, "R-TERM-06", &["TERM-06"], &differs).await?;
    let (session, number) = station.start(&terminal.tag, CHARGE).await?;
    // Ten seconds, and a minute for what may be under way.
    let open = exception(world, "no_card_presented", "TERM-06").await?;
    assert_eq!(open["session_id"], session.to_string(), "{open:#}");
    let told = station.awaits("RemoteStopTransaction").await?;
    assert_eq!(told["transactionId"], number);
    station.stop(number, CHARGE).await?;
    // The sweep comes every minute; a test cannot wait that long.
    let held = eventually("the held session", async || {
        world.platform.sweep().await?;
        let file = world.file(session).await?;
        Ok((file["session"]["state"] == "held").then_some(file))
    });
    let file = held.await?;
    assert!(file["payment"].is_null(), "{:#}", file["payment"]);
    // Nobody can be billed for it.
    let id = open["id"].as_str().context("an exception without id")?;
    let path = format!("/exceptions/{id}/resolution");
    let bill = json!({
        "action": "bill", "meter_stop_wh": "6000", "ended_at": CHARGE.at(30), "reason": "try",
    });
    let token = world.platform.token("operator", &["support"])?;
    let operator = format!("/operator{path}");
    let (status, answer) =
        world.http().try_ask(&token, Method::POST, &operator, Some(&bill)).await?;
    assert_eq!(status, 409, "{answer}");
    let waive = json!({ "action": "waive", "reason": "no card" });
    world.operator(Method::POST, &path, Some(&waive)).await?;
    let waived = |file: &Value| file["session"]["state"] == "waived";
    world.file_when(session, "the waiver", waived).await?;
    Ok(())
}

pub(crate) async fn a_card_whose_webhooks_are_lost_is_found(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let mut station = world.station("TERM-07").await?;
    let terminal = Terminal::new(world, "R-TERM-07", &["TERM-07"], &json!({})).await?;
    let tap = terminal.asked("key-1", &json!({})).await?;
    let intent = terminal.intent(&tap)?["id"].as_str().context("no id")?.to_owned();
    world.platform.stripe().lose_events_about(&intent);
    let lost = || world.platform.stripe().state()["webhooks"]["lost"].as_u64();
    let before = lost();
    terminal.present(GOOD).await?;
    // `payment_intent.amount_capturable_updated` and `terminal.reader.action_succeeded`.
    ensure!(lost() >= before.map(|before| before + 2), "{before:?} {:?}", lost());
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.platform.sweep().await?;
    station.awaits("RemoteStartTransaction").await?;
    let (session, number) = station.start(&terminal.tag, CHARGE).await?;
    terminal.tap_when(&tap, "matched").await?;
    station.stop(number, CHARGE).await?;
    terminal.paid(&tap, session, CHARGE_GROSS).await
}
