//! SQS batches: each message is done or reported as failed, alone.

use anyhow::Context as _;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::Error;
use messages::Envelope;
use serde_json::Value;

use crate::{Function, Invocation, Metric};

impl Function {
    /// Serves an SQS queue of envelopes: `handle` runs on each message of a batch; those that fail
    /// are reported, so that SQS brings only them again and, after the queue's limit of receives,
    /// parks them with their body in its dead-letter queue. A body that does not parse is a
    /// failure like any other. The trigger must have `ReportBatchItemFailures`.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be reached.
    pub async fn serve_queue<F>(self, handle: F) -> Result<(), Error>
    where
        F: AsyncFn(Envelope, &Invocation) -> anyhow::Result<()>,
    {
        let handle = &handle;
        self.serve(async move |event: SqsEvent, invocation: &Invocation| {
            batch(event, handle, invocation).await
        })
        .await
    }

    /// As [`serve_queue`](Self::serve_queue), for a function that a schedule invokes, too: then
    /// `tick` runs.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be reached.
    pub async fn serve_queue_and_schedule<F, T>(self, handle: F, tick: T) -> Result<(), Error>
    where
        F: AsyncFn(Envelope, &Invocation) -> anyhow::Result<()>,
        T: AsyncFn(&Invocation) -> anyhow::Result<()>,
    {
        let (handle, tick) = (&handle, &tick);
        self.serve(async move |event: Value, invocation: &Invocation| {
            if event.get("Records").is_none() {
                tick(invocation).await?;
                return Ok(SqsBatchResponse::default());
            }
            let event = serde_json::from_value(event).context("the event is of no queue")?;
            batch(event, handle, invocation).await
        })
        .await
    }
}

async fn batch<F>(
    event: SqsEvent,
    handle: &F,
    invocation: &Invocation,
) -> anyhow::Result<SqsBatchResponse>
where
    F: AsyncFn(Envelope, &Invocation) -> anyhow::Result<()>,
{
    let mut response = SqsBatchResponse::default();
    let mut errors = Vec::new();
    for message in event.records {
        let id = message.message_id.clone().unwrap_or_default();
        if let Err(error) = one(&message, handle, invocation).await {
            errors.push(format!("{id}: {error:#}"));
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
    }
    if !errors.is_empty() {
        invocation.count(Metric::Retries, i64::try_from(errors.len())?);
        invocation.field("failures", errors);
    }
    Ok(response)
}

async fn one<F>(message: &SqsMessage, handle: &F, invocation: &Invocation) -> anyhow::Result<()>
where
    F: AsyncFn(Envelope, &Invocation) -> anyhow::Result<()>,
{
    let body = message.body.as_deref().unwrap_or_default();
    let envelope: Envelope = serde_json::from_str(body).context("message body is no event")?;
    let sent_ms = message.attributes.get("SentTimestamp").and_then(|at| at.parse::<i64>().ok());
    if let Some(sent_ms) = sent_ms {
        // Time that a message was kept back on purpose is no age.
        let due_ms = envelope.not_before.map_or(sent_ms, |at| at.timestamp_millis().max(sent_ms));
        let age_ms = invocation.now().timestamp_millis().saturating_sub(due_ms);
        invocation.count(Metric::QueueAgeMs, age_ms.max(0));
    }
    if let Some(session_id) = envelope.event.session_id() {
        invocation.session(session_id);
    }
    invocation.field("event", envelope.event.event_type());
    handle(envelope, invocation).await
}
