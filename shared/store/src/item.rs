//! Between records and DynamoDB items.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

/// A DynamoDB item.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Partition and sort key names, the same in every table.
pub(crate) const PK: &str = "pk";
pub(crate) const SK: &str = "sk";

/// A string attribute.
pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// An instant as it sorts: UTC with milliseconds, always the same width.
pub(crate) fn sortable(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An instant as serde writes it into records, so that equal instants are equal strings.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A time-to-live attribute: epoch seconds.
pub(crate) fn expiry(at: DateTime<Utc>) -> AttributeValue {
    AttributeValue::N(at.timestamp().to_string())
}

/// A record as an item, without keys. Absent options are left out, so that sparse indexes and
/// `attribute_not_exists` mean what they say.
pub(crate) fn to_item<T: Serialize>(key: &str, record: &T) -> Result<Item, StoreError> {
    let unwritable = |source| StoreError::Unwritable { key: key.to_owned(), source };
    let mut item: Item =
        serde_dynamo::to_item(record).map_err(|error| unwritable(Box::new(error)))?;
    item.retain(|_, value| !value.is_null());
    Ok(item)
}

/// An item as a record; keys and index attributes are ignored.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    let key = key_of(&item);
    let corrupt = |error| StoreError::Corrupt { key, source: Box::new(error) };
    serde_dynamo::from_item(item).map_err(corrupt)
}

/// A record kept as JSON text in the attribute `doc`: OCPI objects and prices, whose numbers are
/// exact as JSON and would not be as DynamoDB maps.
pub(crate) fn to_document<T: Serialize>(
    key: &str,
    record: &T,
) -> Result<AttributeValue, StoreError> {
    let unwritable =
        |error| StoreError::Unwritable { key: key.to_owned(), source: Box::new(error) };
    serde_json::to_string(record).map(AttributeValue::S).map_err(unwritable)
}

/// Reads back what [`to_document`] wrote.
pub(crate) fn from_document<T: DeserializeOwned>(item: &Item) -> Result<T, StoreError> {
    let text = string(item, "doc")?;
    let corrupt = |error| StoreError::Corrupt { key: key_of(item), source: Box::new(error) };
    serde_json::from_str(text).map_err(corrupt)
}

/// A string attribute that must be there.
pub(crate) fn string<'a>(item: &'a Item, attribute: &str) -> Result<&'a str, StoreError> {
    let found = item.get(attribute).and_then(|value| value.as_s().ok());
    found.map(String::as_str).ok_or_else(|| StoreError::Corrupt {
        key: key_of(item),
        source: format!("attribute `{attribute}` is missing or not a string").into(),
    })
}

/// The item's key, for an error message.
fn key_of(item: &Item) -> String {
    let part = |name| item.get(name).and_then(|value| value.as_s().ok());
    match (part(PK), part(SK)) {
        // The tag names a person.
        (Some(pk), _) if pk.starts_with("TOKEN#") => "TOKEN#…".to_owned(),
        (Some(pk), _) if pk.starts_with("DRIVER#") => "DRIVER#…".to_owned(),
        (Some(pk), Some(sk)) => format!("{pk} {sk}"),
        (Some(pk), None) => pk.clone(),
        _ => "without key".to_owned(),
    }
}
