//! A tap begins once: the same request twice, at once and late, at a DynamoDB in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use axum::{Extension, Router};
use network::StripeReaderId;
use runtime::Invocation;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Barrier};

use super::*;

/// Table, partition key and sort key.
type Key = [String; 3];

/// As much of DynamoDB as a stand and its taps need.
#[derive(Debug)]
struct Dynamo {
    items: Mutex<BTreeMap<Key, Value>>,
    /// Transactions so far. The first two come at the same time.
    transactions: AtomicUsize,
    first_two: Barrier,
}

fn key_of(table: &Value, key: &Value) -> Key {
    [table, &key["pk"]["S"], &key["sk"]["S"]].map(|part| part.as_str().unwrap_or("").to_owned())
}

impl Dynamo {
    fn get(&self, request: &Value) -> Value {
        let key = key_of(&request["TableName"], &request["Key"]);
        match self.items.lock().unwrap().get(&key) {
            Some(item) => json!({ "Item": item }),
            None => json!({}),
        }
    }

    /// Writes all or nothing; gives what stands in the way, write by write.
    fn transact(&self, request: &Value) -> Result<(), Vec<Value>> {
        let mut items = self.items.lock().unwrap();
        let puts = request["TransactItems"].as_array().unwrap().iter().map(|write| &write["Put"]);
        let mut next = items.clone();
        let mut reasons = Vec::new();
        for put in puts {
            let key = key_of(&put["TableName"], &put["Item"]);
            let known = items.get(&key);
            let holds = match put["ConditionExpression"].as_str() {
                None => true,
                Some("attribute_not_exists(pk)") => known.is_none(),
                Some("version = :seen") => {
                    let seen = &put["ExpressionAttributeValues"][":seen"];
                    known.is_some_and(|known| known["version"] == *seen)
                }
                Some(other) => panic!("{other} is not known here"),
            };
            let code = if holds { "None" } else { "ConditionalCheckFailed" };
            reasons.push(json!({ "Code": code }));
            next.insert(key, put["Item"].clone());
        }
        if reasons.iter().any(|reason| reason["Code"] != "None") {
            return Err(reasons);
        }
        *items = next;
        Ok(())
    }
}

async fn answer(
    State(dynamo): State<Arc<Dynamo>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, Json<Value>) {
    let request: Value = serde_json::from_str(&body).unwrap();
    let target = headers["x-amz-target"].to_str().unwrap();
    if target.ends_with(".GetItem") {
        return (StatusCode::OK, Json(dynamo.get(&request)));
    }
    assert!(target.ends_with(".TransactWriteItems"), "{target}");
    if dynamo.transactions.fetch_add(1, Ordering::SeqCst) < 2 {
        dynamo.first_two.wait().await;
    }
    match dynamo.transact(&request) {
        Ok(()) => (StatusCode::OK, Json(json!({}))),
        Err(reasons) => {
            let error = json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "CancellationReasons": reasons,
            });
            (StatusCode::BAD_REQUEST, Json(error))
        }
    }
}

/// The handlers' state on a DynamoDB of its own.
async fn api() -> Api {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dynamo = Dynamo {
        items: Mutex::default(),
        transactions: AtomicUsize::default(),
        first_two: Barrier::new(2),
    };
    let router = Router::new().fallback(answer).with_state(Arc::new(dynamo));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let credentials = Credentials::new("test", "test", None, None, "test");
    let aws = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .build();
    crate::api::tests::api(&aws)
}

fn log() -> Log {
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    Extension(Arc::new(Invocation::at("operator-api", "r1", None, now)))
}

fn tap(key: &str) -> Tap {
    let reader_id: ReaderId = "R1".parse().unwrap();
    Tap {
        id: TapId::of(&reader_id, key),
        reader_id,
        stripe_reader: StripeReaderId("tmr_1".to_owned()),
        charge_point_id: "CP1".parse().unwrap(),
        connector_id: ConnectorId(1),
        amount: Amount::new(3_000, quantities::Currency::EUR),
        window_s: 60,
        start_with: None,
        begun_at: log().now(),
        payment_intent: None,
        state: TapState::Requested,
    }
}

/// A tap that was begun by the first of two requests that came at once.
async fn begun_twice_at_once(api: &Api, tap: &Tap) {
    let (log, other_log) = (log(), log());
    let (one, other) = tokio::join!(begin(api, tap, &log), begin(api, tap, &other_log));
    let mut answers = [one, other].map(|answer| answer.expect("the tap that is under way"));
    answers.sort_by_key(Option::is_some);
    assert_eq!(answers, [None, Some(tap.clone())], "one begins it, the other finds it");
}

#[tokio::test]
async fn the_same_key_sent_twice_at_once_is_one_tap() {
    let (api, tap) = (api().await, tap("k"));
    begun_twice_at_once(&api, &tap).await;
    let stand = api.store.stand(&tap.charge_point_id, tap.connector_id).await.unwrap();
    assert_eq!((stand.version, stand.tap), (1, Some(tap)));
}

#[tokio::test]
async fn a_tap_that_is_decided_does_not_begin_anew() {
    let (api, tap) = (api().await, tap("k"));
    begun_twice_at_once(&api, &tap).await;
    assert!(cancel_at_stand(&api, &tap, &log()).await.unwrap());
    let standing = begin(&api, &tap, &log()).await.unwrap();
    let state = TapState::Released { why: Why::Canceled };
    assert_eq!(standing.map(|standing| standing.state), Some(state.clone()));
    // Nor for a request that looked for it before it was begun, and at the stand after.
    let stand = api.store.stand(&tap.charge_point_id, tap.connector_id).await.unwrap();
    let begun = stand.begin(tap.clone()).unwrap();
    let told = look(&begun, "late".to_owned(), &log());
    let late = api.store.begin_tap(begun, &told).await;
    assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
    assert_eq!(api.store.tap(tap.id).await.unwrap().map(|tap| tap.state), Some(state));
}

#[tokio::test]
async fn another_card_is_not_asked_for_meanwhile() {
    let (api, first) = (api().await, tap("k"));
    begun_twice_at_once(&api, &first).await;
    let refused = begin(&api, &tap("other"), &log()).await;
    assert!(format!("{refused:?}").contains("Conflict"), "{refused:?}");
}
