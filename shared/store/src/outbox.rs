//! Transactions, and the outbox rows that go into them.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, ConditionCheck, Put,
        ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use chrono::TimeDelta;
use messages::Envelope;

use crate::{
    Saved, Store, StoreError,
    error::dynamo,
    item::{Item, PK, expiry, s, to_document},
};

/// How long an outbox row is kept after it was relayed.
const KEPT: TimeDelta = TimeDelta::days(7);

/// How often a write that met a transaction is tried before the caller is told.
pub(crate) const CONFLICT_ATTEMPTS_MAX: u32 = 5;

/// The first pause between two tries is twice this long, each further one twice the last.
pub(crate) const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

/// Writes that happen together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Change {
    items: Vec<TransactWriteItem>,
}

/// What became of a [`Change`].
#[derive(Debug)]
pub(crate) enum Transacted {
    /// All of it was written.
    Committed,
    /// None of it was: the condition of the write at `index` did not hold.
    Refused {
        /// Which write, in the order they were added.
        index: usize,
        /// The item as it stands, where the write asked for it.
        standing: Option<Item>,
    },
}

impl Change {
    /// Puts `item` if `condition` holds; with no condition, whatever was there.
    pub(crate) fn put(
        self,
        table: &str,
        item: Item,
        condition: Option<&str>,
    ) -> Result<Self, StoreError> {
        self.put_if(table, item, condition, vec![])
    }

    /// Puts `item` if `condition` holds; `values` fill its placeholders.
    pub(crate) fn put_if(
        mut self,
        table: &str,
        item: Item,
        condition: Option<&str>,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<Self, StoreError> {
        let mut put = Put::builder()
            .table_name(table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (placeholder, value) in values {
            put = put.expression_attribute_values(placeholder, value);
        }
        let put = put.build().map_err(|error| incomplete("Put", error))?;
        self.items.push(TransactWriteItem::builder().put(put).build());
        Ok(self)
    }

    /// Updates one item; `names` and `values` fill the placeholders of both expressions.
    pub(crate) fn update(
        mut self,
        table: &str,
        key: &[(&str, &str)],
        expression: &str,
        condition: &str,
        names: &[(&str, &str)],
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<Self, StoreError> {
        let mut update = Update::builder()
            .table_name(table)
            .update_expression(expression)
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (name, value) in key {
            update = update.key(*name, s(*value));
        }
        for (placeholder, name) in names {
            update = update.expression_attribute_names(*placeholder, *name);
        }
        for (placeholder, value) in values {
            update = update.expression_attribute_values(placeholder, value);
        }
        let update = update.build().map_err(|error| incomplete("Update", error))?;
        self.items.push(TransactWriteItem::builder().update(update).build());
        Ok(self)
    }

    /// How many writes and checks it has: the index of the next.
    pub(crate) const fn len(&self) -> usize {
        self.items.len()
    }

    /// Writes nothing, but lets the change happen only if `condition` holds for an item.
    pub(crate) fn check(
        mut self,
        table: &str,
        key: &[(&str, &str)],
        condition: &str,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<Self, StoreError> {
        let mut check = ConditionCheck::builder().table_name(table).condition_expression(condition);
        for (name, value) in key {
            check = check.key(*name, s(*value));
        }
        for (placeholder, value) in values {
            check = check.expression_attribute_values(placeholder, value);
        }
        let check = check.build().map_err(|error| incomplete("ConditionCheck", error))?;
        self.items.push(TransactWriteItem::builder().condition_check(check).build());
        Ok(self)
    }

    /// Tells of the change: the envelope goes to the outbox with it.
    pub(crate) fn tell(self, table: &str, envelope: &Envelope) -> Result<Self, StoreError> {
        self.put(table, outbox_item(envelope)?, None)
    }
}

fn outbox_item(envelope: &Envelope) -> Result<Item, StoreError> {
    let mut item = Item::new();
    item.insert(PK.to_owned(), s(&envelope.id));
    item.insert("body".to_owned(), to_document(&envelope.id, envelope)?);
    item.insert("expires_at".to_owned(), expiry(envelope.at + KEPT));
    Ok(item)
}

/// The envelope in the stream image of an outbox row.
///
/// # Errors
///
/// [`StoreError::Corrupt`] when there is none in it; park the record, do not drop it.
pub fn envelope_in(image: serde_dynamo::Item) -> Result<Envelope, StoreError> {
    #[derive(serde::Deserialize)]
    struct Row {
        body: String,
    }
    let corrupt = |source| StoreError::Corrupt { key: "outbox row".to_owned(), source };
    let row: Row = serde_dynamo::from_item(image).map_err(|error| corrupt(Box::new(error)))?;
    serde_json::from_str(&row.body).map_err(|error| corrupt(Box::new(error)))
}

impl Store {
    /// Tells of `envelope` alone, again if it was told before. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn tell(&self, envelope: &Envelope) -> Result<(), StoreError> {
        self.put(&self.tables.outbox, outbox_item(envelope)?).await
    }

    /// Tells of `envelope` alone, once. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn tell_once(&self, envelope: &Envelope) -> Result<Saved, StoreError> {
        self.put_new(&self.tables.outbox, outbox_item(envelope)?).await
    }

    /// Tells of `envelope` alone, and again if it was told before. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn tell_again(&self, envelope: &Envelope) -> Result<(), StoreError> {
        self.put(&self.tables.outbox, outbox_item(envelope)?).await
    }

    /// Commits `change`. A meeting with another transaction is tried again; a condition that does
    /// not hold is an answer, not an error.
    pub(crate) async fn commit(&self, change: Change) -> Result<Transacted, StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = self.client.transact_write_items();
            let sent = request.set_transact_items(Some(change.items.clone())).send().await;
            let Err(error) = sent else { return Ok(Transacted::Committed) };
            let reasons = cancellation_reasons(&error);
            if let Some(index) = position(reasons, "ConditionalCheckFailed") {
                let standing = reasons.get(index).and_then(|reason| reason.item.clone());
                return Ok(Transacted::Refused { index, standing });
            }
            let conflict = position(reasons, "TransactionConflict").is_some();
            if !conflict || attempt >= CONFLICT_ATTEMPTS_MAX {
                return Err(dynamo("TransactWriteItems")(error));
            }
            tokio::time::sleep(CONFLICT_PAUSE * 2_u32.pow(attempt)).await;
        }
    }
}

fn cancellation_reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> &[CancellationReason] {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            canceled.cancellation_reasons()
        }
        _ => &[],
    }
}

fn position(reasons: &[CancellationReason], code: &str) -> Option<usize> {
    reasons.iter().position(|reason| reason.code() == Some(code))
}

fn incomplete(operation: &'static str, error: aws_sdk_dynamodb::error::BuildError) -> StoreError {
    StoreError::Dynamo { operation, code: "incomplete request".to_owned(), source: Box::new(error) }
}
