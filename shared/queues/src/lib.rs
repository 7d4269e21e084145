//! SQS: sending envelopes to their queues, and moving dead letters back.

use std::{env, error::Error};

use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{
        MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
        SendMessageBatchRequestEntry,
    },
};
use chrono::{DateTime, Utc};
use messages::{Envelope, Queue};

/// The most messages one SendMessageBatch takes.
const BATCH_MAX: usize = 10;

/// The longest that SQS keeps a message back, in seconds.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatchRequestEntry.html>
const DELAY_MAX_S: i32 = 900;

/// Why a queue could not be used. Nothing is lost: what was not sent is sent again.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// A queue's URL is not in the environment.
    #[error("environment variable {variable} is not set: the template sets it")]
    Environment {
        /// Which variable.
        variable: String,
    },
    /// SQS refused or did not answer.
    #[error("SQS {operation} on {queue} failed ({code})")]
    Sqs {
        /// The API operation.
        operation: &'static str,
        /// Our name of the queue.
        queue: &'static str,
        /// AWS's error code.
        code: String,
        /// The SDK's own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// SQS took some messages of a batch and not others.
    #[error("SQS did not take {failed} of {sent} messages for {queue}")]
    Partial {
        /// Our name of the queue.
        queue: &'static str,
        /// How many were refused.
        failed: usize,
        /// How many were sent.
        sent: usize,
    },
    /// An envelope could not be written as JSON.
    #[error("event {id} cannot be written")]
    Unwritable {
        /// The envelope's id.
        id: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// The queues, with the function's own role. Connect once, in `main`.
#[derive(Debug, Clone)]
pub struct Queues {
    client: Client,
}

/// What waits in a dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetters {
    /// The queue they failed in.
    pub queue: Queue,
    /// About how many there are.
    pub count: u64,
}

impl Queues {
    /// Queues over the URLs that the environment names.
    #[must_use]
    pub fn new(aws: &SdkConfig) -> Self {
        Self { client: Client::new(aws) }
    }

    /// Sends each envelope to all of its queues at `now`; those that have a time before which they
    /// are not to be looked at are kept back until then. May send one twice when called again after
    /// an error; consumers take that as normal.
    ///
    /// # Errors
    ///
    /// [`QueueError`] when any message was not taken: send them all again.
    pub async fn send(&self, envelopes: &[Envelope], now: DateTime<Utc>) -> Result<(), QueueError> {
        for queue in Queue::ALL {
            let due = envelopes.iter().filter(|envelope| envelope.event.queues().contains(&queue));
            let due: Vec<_> = due.collect();
            for batch in due.chunks(BATCH_MAX) {
                self.send_batch(queue, batch, now).await?;
            }
        }
        Ok(())
    }

    async fn send_batch(
        &self,
        queue: Queue,
        batch: &[&Envelope],
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let mut request = self.client.send_message_batch().queue_url(url(queue)?);
        for (index, envelope) in batch.iter().enumerate() {
            request = request.entries(entry(index, envelope, now)?);
        }
        let answer = request.send().await.map_err(failed("SendMessageBatch", queue))?;
        match answer.failed().len() {
            0 => Ok(()),
            failed => Err(QueueError::Partial { queue: queue.name(), failed, sent: batch.len() }),
        }
    }

    /// About how many dead letters each queue has.
    ///
    /// # Errors
    ///
    /// [`QueueError`].
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetters>, QueueError> {
        let mut all = Vec::new();
        for queue in Queue::ALL {
            let name = QueueAttributeName::ApproximateNumberOfMessages;
            let request = self.client.get_queue_attributes().queue_url(dead_letter_url(queue)?);
            let answer = request.attribute_names(name.clone()).send().await;
            let answer = answer.map_err(failed("GetQueueAttributes", queue))?;
            let count = answer.attributes().and_then(|all| all.get(&name)?.parse().ok());
            all.push(DeadLetters { queue, count: count.unwrap_or_default() });
        }
        Ok(all)
    }

    /// Moves up to `limit` dead letters of `queue` back to it; gives how many. Each is sent before
    /// it is deleted: an interruption repeats a message rather than losing it.
    ///
    /// # Errors
    ///
    /// [`QueueError`]; what was moved until then stays moved.
    pub async fn redrive(&self, queue: Queue, limit: u32) -> Result<u32, QueueError> {
        let from = dead_letter_url(queue)?;
        let to = url(queue)?;
        let mut moved = 0;
        while moved < limit {
            let request = self.client.receive_message().queue_url(&from);
            let request = request.max_number_of_messages(10).visibility_timeout(60);
            let received = request.send().await.map_err(failed("ReceiveMessage", queue))?;
            let letters = received.messages.unwrap_or_default();
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                let send = self.client.send_message().queue_url(&to).set_message_body(letter.body);
                send.send().await.map_err(failed("SendMessage", queue))?;
                let delete = self.client.delete_message().queue_url(&from);
                let delete = delete.set_receipt_handle(letter.receipt_handle);
                delete.send().await.map_err(failed("DeleteMessage", queue))?;
                moved += 1;
            }
        }
        Ok(moved)
    }
}

/// One batch entry; the trace of the change goes along, so that it runs through the queue.
fn entry(
    index: usize,
    envelope: &Envelope,
    now: DateTime<Utc>,
) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let unwritable = |source| QueueError::Unwritable { id: envelope.id.clone(), source };
    let body = serde_json::to_string(envelope).map_err(unwritable)?;
    let mut entry =
        SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body);
    // Without a time of its own a message keeps to the delay of its queue, which 0 would undo.
    entry = entry.set_delay_seconds(envelope.not_before.map(|at| delay_s(at, now)));
    if let Some(trace) = &envelope.trace {
        let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace);
        if let Ok(value) = value.build() {
            let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
            entry = entry.message_system_attributes(name, value);
        }
    }
    entry.build().map_err(|source| QueueError::Sqs {
        operation: "SendMessageBatch",
        queue: "any",
        code: "incomplete request".to_owned(),
        source: Box::new(source),
    })
}

/// How long to keep back what is not to be looked at before `not_before`, in whole seconds: rather
/// a little long than too early.
fn delay_s(not_before: DateTime<Utc>, now: DateTime<Utc>) -> i32 {
    let whole = (not_before - now).num_milliseconds().saturating_add(999) / 1000;
    i32::try_from(whole.clamp(0, DELAY_MAX_S.into())).unwrap_or(DELAY_MAX_S)
}

fn url(queue: Queue) -> Result<String, QueueError> {
    let variable = queue.url_variable();
    env::var(variable).map_err(|_| QueueError::Environment { variable: variable.to_owned() })
}

fn dead_letter_url(queue: Queue) -> Result<String, QueueError> {
    let variable = queue.url_variable().replace("_QUEUE_URL", "_DLQ_URL");
    env::var(&variable).map_err(|_| QueueError::Environment { variable })
}

fn failed<E, R>(operation: &'static str, queue: Queue) -> impl FnOnce(SdkError<E, R>) -> QueueError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    move |error| {
        let code = error.code().unwrap_or("no answer").to_owned();
        QueueError::Sqs { operation, queue: queue.name(), code, source: Box::new(error) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use messages::Event;
    use quantities::{SessionId, TransactionId};

    use super::*;

    fn delay(not_before_ms: Option<i64>) -> Option<i32> {
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let session_id = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
        let envelope = Envelope::new(Event::SessionEnded { session_id }, now, None);
        let envelope = match not_before_ms {
            Some(ms) => envelope.not_before(now + TimeDelta::milliseconds(ms)),
            None => envelope,
        };
        entry(0, &envelope, now).unwrap().delay_seconds
    }

    #[test]
    fn a_message_is_kept_back_until_its_time_and_never_longer_than_sqs_can() {
        assert_eq!(delay(None), None, "the queue's own delay stands");
        assert_eq!(delay(Some(-5_000)), Some(0), "its time has passed");
        assert_eq!(delay(Some(1)), Some(1), "rather late than early");
        assert_eq!(delay(Some(60_000)), Some(60));
        assert_eq!(delay(Some(86_400_000)), Some(900));
    }
}
