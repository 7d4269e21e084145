use std::time::{Duration, SystemTime};

use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;
use stripe_twin::{Twin, TwinConfig, WebhookEndpoint};
use tokio::{net::TcpListener, sync::mpsc};

use network::StripePaymentIntentId;
use quantities::{Amount, Currency};

use super::*;
use crate::stripe::Reference;

const SECRET: &str = "whsec_test";
const NOW: i64 = 1_770_000_000;

fn at(timestamp: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(timestamp, 0).unwrap()
}

fn signed(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{NOW}.{body}").as_bytes());
    format!("t={NOW},v1={}", hex::encode(mac.finalize().into_bytes()))
}

fn event(event_type: &str, object: &serde_json::Value) -> String {
    let data = json!({ "object": object });
    json!({ "id": "evt_1", "type": event_type, "created": NOW, "data": data }).to_string()
}

fn read_signed(body: &str) -> Result<StripeEvent, WebhookError> {
    verify(body, &signed(SECRET, body), SECRET, at(NOW))
}

#[test]
fn an_event_says_when_it_was_made_and_what_it_is_about() {
    let intent = json!({
        "id": "pi_1", "status": "canceled", "amount_received": 0, "currency": "eur",
    });
    let read = read_signed(&event("payment_intent.canceled", &intent)).unwrap();
    let said = IntentEvent {
        payment_intent: StripePaymentIntentId("pi_1".to_owned()),
        status: "canceled".to_owned(),
        about: None,
        purpose: String::new(),
        received: Amount::new(0, Currency::EUR),
    };
    assert_eq!((IntentEvent::read(&read), read.created), (Ok(said), at(NOW)));
}

#[test]
fn a_card_at_a_reader_is_found_by_what_we_said_of_it() {
    let tap_id = quantities::TapId::of(&"kiosk-1".parse().unwrap(), "key");
    let metadata = json!({
        "tap_id": tap_id.to_string(), "charge_point_id": "CP1", "connector_id": "2",
    });
    let intent = json!({
        "id": "pi_1", "status": "requires_capture", "amount_received": 0, "currency": "eur",
        "metadata": metadata,
    });
    let read = read_signed(&event("payment_intent.amount_capturable_updated", &intent)).unwrap();
    let place = Reference::Tap {
        tap_id,
        charge_point_id: "CP1".parse().unwrap(),
        connector_id: quantities::ConnectorId(2),
    };
    assert_eq!(IntentEvent::read(&read).unwrap().about, Some(place));
    let reader = json!({ "id": "tmr_1", "action": { "status": "failed" } });
    let read = read_signed(&event("terminal.reader.action_failed", &reader)).unwrap();
    assert_eq!(ReaderEvent::read(&read).unwrap().reader.0, "tmr_1");
}

#[test]
fn a_bad_signature_is_refused() {
    let body = event("payment_intent.created", &json!({ "id": "pi_1", "status": "x" }));
    let refused = [
        verify(&body, &signed("whsec_other", &body), SECRET, at(NOW)),
        verify(&format!("{body} "), &signed(SECRET, &body), SECRET, at(NOW)),
        verify(&body, &signed(SECRET, &body), SECRET, at(NOW + 301)),
        verify(&body, "", SECRET, at(NOW)),
        verify(&body, "t=x,v1=00", SECRET, at(NOW)),
    ];
    for answer in refused {
        assert_eq!(answer, Err(WebhookError::Signature));
    }
}

#[test]
fn what_cannot_be_read_is_not_called_badly_signed() {
    let read = read_signed(&event("payment_intent.canceled", &json!({ "id": "pi_1" }))).unwrap();
    let event_type = "payment_intent.canceled".to_owned();
    let unreadable = IntentEvent::read(&read);
    assert_eq!(unreadable, Err(WebhookError::Unreadable { event_id: "evt_1".into(), event_type }));
    let no_json = WebhookError::Unreadable { event_id: String::new(), event_type: String::new() };
    assert_eq!(read_signed("no json"), Err(no_json));
}

#[test]
fn a_type_that_nobody_acts_on_is_kept_by_its_name() {
    let read = read_signed(&event("mandate.updated", &json!({}))).unwrap();
    assert_eq!((read.event_type.as_str(), read.object.as_str()), ("mandate.updated", "{}"));
}

async fn receive(
    State(seen): State<mpsc::UnboundedSender<(String, String)>>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let signature = headers.get("stripe-signature").unwrap().to_str().unwrap().to_owned();
    seen.send((signature, body)).unwrap();
    StatusCode::OK
}

/// A twin whose events all come twice, and what is received of them.
async fn twin_and_receiver() -> (Twin, mpsc::UnboundedReceiver<(String, String)>) {
    let (send, receiver) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().route("/", post(receive)).with_state(send);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let endpoint = WebhookEndpoint {
        duplicate_per_mille: 1000,
        disorder_ms: 20,
        ..WebhookEndpoint::new(&url, SECRET)
    };
    let config = TwinConfig { webhook_endpoints: vec![endpoint], ..TwinConfig::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (stripe_twin::serve(listener, config).unwrap(), receiver)
}

#[tokio::test]
async fn the_twins_webhooks_are_read_and_their_repeats_recognised() {
    let (twin, mut receiver) = twin_and_receiver().await;
    let form = "amount=5000&currency=eur&payment_method=pm_card_visa&confirm=true\
        &payment_method_types[]=card&capture_method=manual";
    let request = reqwest::Client::new().post(format!("{}/v1/payment_intents", twin.url()));
    let request = request.bearer_auth(twin.api_key()).body(form);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let answer = request.header(kind.0, kind.1).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let mut ids = Vec::new();
    for _ in 0..4 {
        let next = tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await;
        let (signature, body) = next.unwrap().unwrap();
        let read = verify(&body, &signature, SECRET, SystemTime::now().into()).unwrap();
        IntentEvent::read(&read).unwrap();
        ids.push(read.id);
    }
    ids.sort();
    assert_eq!((&ids[0], &ids[2]), (&ids[1], &ids[3]));
    assert_ne!(ids[0], ids[2]);
}

fn dispute_event(event_type: &str, status: &str, moved: &serde_json::Value) -> StripeEvent {
    let object = json!({
        "id": "du_1", "amount": 363, "currency": "eur", "payment_intent": "pi_1",
        "reason": "fraudulent", "status": status, "balance_transactions": moved,
        "evidence_details": { "due_by": NOW + 60 },
    });
    read_signed(&event(event_type, &object)).unwrap()
}

#[test]
fn a_dispute_says_what_became_of_its_money_whichever_event_tells_of_it() {
    let taken = json!({ "amount": -363, "currency": "eur", "fee": 1500 });
    let back = json!({ "amount": 363, "currency": "eur", "fee": 0 });
    let read = |event_type: &str, status: &str, moved: serde_json::Value| {
        dispute(&dispute_event(event_type, status, &moved)).unwrap()
    };
    let inquiry = read("charge.dispute.created", "warning_needs_response", json!([]));
    let sums = |it: &crate::money::Dispute| {
        let fee = |fee: Option<Amount>| fee.map_or(0, |fee| fee.minor);
        (it.withdrawn.minor, it.reinstated.minor, fee(it.fee), fee(it.fee_returned))
    };
    assert_eq!(sums(&inquiry), (0, 0, 0, 0));
    assert_eq!((inquiry.due_by, inquiry.as_of), (Some(at(NOW + 60)), at(NOW)));
    let opened = read("charge.dispute.created", "needs_response", json!([taken]));
    assert_eq!(sums(&opened), (363, 0, 1500, 0));
    let won = read("charge.dispute.closed", "won", json!([taken, back]));
    assert_eq!(sums(&won), (363, 363, 1500, 0), "the fee stays charged");
    let lost = read("charge.dispute.closed", "lost", json!(null));
    assert_eq!(sums(&lost), (363, 0, 0, 0), "who has lost has not got it");
    let again = read("charge.dispute.funds_withdrawn", "won", json!([taken, back, taken]));
    assert_eq!(sums(&again), (726, 363, 3000, 0), "who has won can lose it again");
    // Answering costs a fee of its own, which comes back with a win.
    let countered = json!({
        "amount": -1500, "currency": "eur", "fee": 0, "reporting_category": "fee",
    });
    let returned = json!({ "amount": 363, "currency": "eur", "fee": -1500 });
    let won = read("charge.dispute.closed", "won", json!([taken, countered, returned]));
    assert_eq!(sums(&won), (363, 363, 3000, 1500));
    let abroad = json!([{ "amount": -400, "currency": "usd", "fee": 1500 }]);
    let abroad = read("charge.dispute.updated", "needs_response", abroad);
    assert_eq!(abroad.fee, Some(Amount::new(1500, Currency::USD)), "as the account settles");
    assert_eq!(abroad.withdrawn, Amount::new(363, Currency::EUR), "as it was charged");
}

#[test]
fn a_refund_of_ours_says_which_it_is_and_another_whose_money_it_gives_back() {
    let session_id = "7a113a77-0000-5000-8000-0cb10badcafe";
    let read = |metadata: serde_json::Value, status: &str| {
        let object = json!({
            "id": "re_1", "amount": 100, "currency": "eur", "payment_intent": "pi_1",
            "status": status, "metadata": metadata,
        });
        let read = RefundEvent::read(&read_signed(&event("refund.updated", &object)).unwrap());
        read.unwrap().unwrap()
    };
    let ours = json!({ "session_id": session_id, "purpose": "refund/3" });
    let read_ours = read(ours.clone(), "failed");
    assert_eq!(read_ours.about, Some(Reference::Session(session_id.parse().unwrap())));
    assert_eq!((read_ours.number, read_ours.id.as_str()), (Some(3), "re_1"));
    assert_eq!(read_ours.state, crate::money::RefundState::Failed);
    assert_eq!(read(ours, "requires_action").state, crate::money::RefundState::Pending);
    let theirs = read(json!({}), "succeeded");
    assert_eq!((theirs.about, theirs.number), (None, None));
    assert_eq!((theirs.payment_intent.0.as_str(), theirs.amount.minor), ("pi_1", 100));
    assert_eq!(read(json!(null), "succeeded").about, None);
    let other = json!({ "session_id": session_id, "purpose": "hold/1" });
    assert_eq!(read(other, "failed").number, None);
    let of_no_intent = json!({ "id": "re_1", "amount": 1, "currency": "eur", "status": "failed" });
    let read = read_signed(&event("refund.updated", &of_no_intent)).unwrap();
    assert_eq!(RefundEvent::read(&read), Ok(None));
}
