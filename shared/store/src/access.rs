//! The single-item requests that every table's module is made of.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError,
    },
    types::{AttributeValue, ReturnValue},
};
use chrono::{DateTime, Utc};

use crate::{
    Saved, Store, StoreError,
    error::dynamo,
    item::{Item, PK, SK, s, sortable},
    outbox::{CONFLICT_ATTEMPTS_MAX, CONFLICT_PAUSE},
};

/// Where a page of an index ended.
#[derive(Debug, Clone)]
pub struct IndexKey(Item);

/// One page-free query: all items of a partition whose sort key begins with, or lies between.
pub(crate) enum Range<'a> {
    /// The whole partition.
    All,
    /// Sort keys that begin so.
    BeginsWith(&'a str),
    /// Sort keys from the first to the second, both included.
    Between(&'a str, &'a str),
}

impl Store {
    /// The item under this key, as it stands now (a consistent read).
    pub(crate) async fn get(
        &self,
        table: &str,
        pk: &str,
        sk: Option<&str>,
    ) -> Result<Option<Item>, StoreError> {
        let mut request = self.client.get_item().table_name(table).key(PK, s(pk));
        if let Some(sk) = sk {
            request = request.key(SK, s(sk));
        }
        let answer = request.consistent_read(true).send().await.map_err(dynamo("GetItem"))?;
        Ok(answer.item)
    }

    /// Puts `item` over whatever was there.
    pub(crate) async fn put(&self, table: &str, item: Item) -> Result<(), StoreError> {
        let request = self.client.put_item().table_name(table).set_item(Some(item));
        request.send().await.map_err(dynamo("PutItem"))?;
        Ok(())
    }

    /// Puts `item` if there is none under its key.
    pub(crate) async fn put_new(&self, table: &str, item: Item) -> Result<Saved, StoreError> {
        self.put_if(table, item, "attribute_not_exists(pk)", vec![]).await
    }

    /// Puts `item` if `condition` holds of what is there; `values` fill its placeholders.
    pub(crate) async fn put_if(
        &self,
        table: &str,
        item: Item,
        condition: &str,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<Saved, StoreError> {
        let mut request = self
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .condition_expression(condition);
        for (placeholder, value) in values {
            request = request.expression_attribute_values(placeholder, value);
        }
        match request.send().await {
            Ok(_) => Ok(Saved::New),
            Err(error) if is_duplicate(&error) => Ok(Saved::Duplicate),
            Err(error) => Err(dynamo("PutItem")(error)),
        }
    }

    /// Updates one item and gives it back as it is after; `None` when `condition` did not hold.
    pub(crate) async fn update(
        &self,
        table: &str,
        key: &[(&str, &str)],
        expression: &str,
        condition: &str,
        names: &[(&str, &str)],
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<Option<Item>, StoreError> {
        let mut request = self
            .client
            .update_item()
            .table_name(table)
            .update_expression(expression)
            .condition_expression(condition)
            .return_values(ReturnValue::AllNew);
        for (name, value) in key {
            request = request.key(*name, s(*value));
        }
        for (placeholder, name) in names {
            request = request.expression_attribute_names(*placeholder, *name);
        }
        for (placeholder, value) in values {
            request = request.expression_attribute_values(placeholder, value);
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            match request.clone().send().await {
                Ok(answer) => return Ok(Some(answer.attributes.unwrap_or_default())),
                Err(error) if is_refused(&error) => return Ok(None),
                // It met a transaction on the same item, which the SDK does not try again.
                Err(error) if meets_transaction(&error) && attempt < CONFLICT_ATTEMPTS_MAX => {
                    tokio::time::sleep(CONFLICT_PAUSE * 2_u32.pow(attempt)).await;
                }
                Err(error) => return Err(dynamo("UpdateItem")(error)),
            }
        }
    }

    /// Deletes the item under this key, if there is one.
    pub(crate) async fn delete(&self, table: &str, pk: &str, sk: &str) -> Result<(), StoreError> {
        let request = self.client.delete_item().table_name(table).key(PK, s(pk)).key(SK, s(sk));
        request.send().await.map_err(dynamo("DeleteItem"))?;
        Ok(())
    }

    /// Deletes the item under this key if `condition` holds; says whether it did.
    pub(crate) async fn delete_if(
        &self,
        table: &str,
        pk: &str,
        condition: &str,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<bool, StoreError> {
        let request = self.client.delete_item().table_name(table).key(PK, s(pk));
        let mut request = request.condition_expression(condition);
        for (placeholder, value) in values {
            request = request.expression_attribute_values(placeholder, value);
        }
        let is_refused = DeleteItemError::is_conditional_check_failed_exception;
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(is_refused) => Ok(false),
            Err(error) => Err(dynamo("DeleteItem")(error)),
        }
    }

    /// All items of a partition in `range`, in order of the sort key, as they stand now.
    pub(crate) async fn query(
        &self,
        table: &str,
        pk: &str,
        range: Range<'_>,
    ) -> Result<Vec<Item>, StoreError> {
        let request = self.client.query().table_name(table).consistent_read(true);
        let request = request.expression_attribute_values(":pk", s(pk));
        let request = match range {
            Range::All => request.key_condition_expression("pk = :pk"),
            Range::BeginsWith(prefix) => request
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", s(prefix)),
            Range::Between(from, to) => request
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":from", s(from))
                .expression_attribute_values(":to", s(to)),
        };
        let pages = request.into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(dynamo("Query"))
    }

    /// Some of a sparse index's items, in no order, and where to go on.
    pub(crate) async fn scan_index(
        &self,
        table: &str,
        index: &str,
        after: Option<IndexKey>,
    ) -> Result<(Vec<Item>, Option<IndexKey>), StoreError> {
        let request = self.client.scan().table_name(table).index_name(index);
        let request = request.set_exclusive_start_key(after.map(|key| key.0));
        let answer = request.send().await.map_err(dynamo("Scan"))?;
        let next = answer.last_evaluated_key.map(IndexKey);
        Ok((answer.items.unwrap_or_default(), next))
    }

    /// All items of an index partition, newest first where the index sorts by time.
    pub(crate) async fn query_index(
        &self,
        table: &str,
        index: &str,
        attribute: &str,
        value: &str,
    ) -> Result<Vec<Item>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(table)
            .index_name(index)
            .key_condition_expression("#key = :key")
            .expression_attribute_names("#key", attribute)
            .expression_attribute_values(":key", s(value))
            .scan_index_forward(false);
        let pages = request.into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(dynamo("Query"))
    }

    /// The items of an index partition whose `gsi_at` is no later than `until`, oldest first.
    pub(crate) async fn query_index_until(
        &self,
        table: &str,
        index: &str,
        (attribute, value): (&str, &str),
        until: DateTime<Utc>,
    ) -> Result<Vec<Item>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(table)
            .index_name(index)
            .key_condition_expression("#key = :key AND gsi_at <= :until")
            .expression_attribute_names("#key", attribute)
            .expression_attribute_values(":key", s(value))
            .expression_attribute_values(":until", s(sortable(until)));
        let pages = request.into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(dynamo("Query"))
    }
}

fn is_refused<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}

fn meets_transaction<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_transaction_conflict_exception)
}

fn is_duplicate<R>(error: &SdkError<PutItemError, R>) -> bool {
    error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception)
}
