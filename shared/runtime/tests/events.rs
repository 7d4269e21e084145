//! The sample events of `events/lambda` are what the functions take them for.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use std::{fs, path::Path};

use aws_lambda_events::{apigw::ApiGatewayWebsocketProxyRequest, sqs::SqsEvent};
use messages::{Envelope, Event, Queue};
use ocpp::{AuthorizeRequest, read_call};
use runtime::Caller;
use serde::de::DeserializeOwned;

fn sample<T: DeserializeOwned>(name: &str) -> T {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/lambda");
    serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn a_message_says_who_sends_it_without_a_look_up() {
    let event: ApiGatewayWebsocketProxyRequest = sample("ocpp-message.json");
    let caller = Caller::of(&event).unwrap();
    assert_eq!(caller.charge_point_id.as_str(), "CP1");
    assert_eq!(caller.site_id.as_str(), "AMS-01");
    assert_eq!(caller.time_zone, chrono_tz::Europe::Amsterdam);
    let call = read_call::<AuthorizeRequest>(&event.body.unwrap()).unwrap();
    assert_eq!(call.id, "19223201");
}

#[test]
fn a_message_without_the_authorizers_context_is_nobodys() {
    let mut event: ApiGatewayWebsocketProxyRequest = sample("ocpp-message.json");
    event.request_context.authorizer.fields.remove("siteId");
    let error = Caller::of(&event).unwrap_err().to_string();
    assert!(error.contains("siteId"), "{error}");
}

#[test]
fn a_queue_message_is_an_envelope_for_that_queue() {
    let event: SqsEvent = sample("queue-message.json");
    let body = event.records[0].body.as_deref().unwrap();
    let envelope: Envelope = serde_json::from_str(body).unwrap();
    assert!(matches!(envelope.event, Event::SessionEnded { .. }));
    assert_eq!(envelope.event.queues(), [Queue::Rating]);
    assert_eq!(
        envelope.trace.as_deref(),
        event.records[0].attributes.get("AWSTraceHeader").map(String::as_str)
    );
}
