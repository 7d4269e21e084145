//! `relay-outbox`: sends outbox rows from the DynamoDB stream to their queues.
//!
//! A row is relayed at least once: when sending fails, the stream brings the record and those
//! after it again. A record that cannot be read, or that failed too often, goes to the on-failure
//! queue of the trigger, where an alarm stands; the row itself stays in the table.

use anyhow::Context as _;
use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::Error;
use queues::Queues;
use runtime::{Function, Invocation, Metric};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("relay-outbox").await?;
    let queues = Queues::new(&function.aws);
    let handler =
        async |event, invocation: &Invocation| Ok(relay(&queues, event, invocation).await);
    function.serve(handler).await
}

/// Relays record after record; at the first failure, says where to begin again.
async fn relay(queues: &Queues, event: Event, invocation: &Invocation) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    // A row that is written again tells again; only its removal tells nothing.
    let told = event.records.into_iter().filter(|record| record.event_name != "REMOVE");
    for record in told {
        let sequence_number = record.change.sequence_number.clone();
        let Err(error) = relay_one(queues, record, invocation).await else { continue };
        invocation.fail(&error);
        invocation.count(Metric::Retries, 1);
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = sequence_number;
        response.batch_item_failures.push(failure);
        break;
    }
    response
}

async fn relay_one(
    queues: &Queues,
    record: EventRecord,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let envelope = store::envelope_in(record.change.new_image)?;
    if let Some(session_id) = envelope.event.session_id() {
        invocation.session(session_id);
    }
    invocation.field("event", envelope.event.event_type());
    let sent = queues.send(std::slice::from_ref(&envelope), invocation.now()).await;
    sent.context("sending to the queues")
}
