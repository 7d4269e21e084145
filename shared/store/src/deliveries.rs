//! The delivery log of webhooks. Partition: the event's id; sort key: the subscriber.

use chrono::{DateTime, TimeDelta, Utc};
use quantities::SubscriberId;
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    access::Range,
    item::{PK, SK, expiry, from_item, s, to_item},
};

/// How long the log is kept.
const KEPT: TimeDelta = TimeDelta::days(90);

/// The delivery of one event to one subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// To whom.
    pub subscriber_id: SubscriberId,
    /// How often it was tried.
    pub attempts: u32,
    /// HTTP status of the last answer; none when there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    /// When it was last tried.
    pub last_attempt_at: DateTime<Utc>,
    /// When the subscriber took it (a 2xx answer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<DateTime<Utc>>,
}

impl Store {
    /// The deliveries of an event, so far.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn deliveries(&self, event_id: &str) -> Result<Vec<Delivery>, StoreError> {
        let items = self.query(&self.tables.deliveries, event_id, Range::All).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Logs an attempt over the one before.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn log_delivery(
        &self,
        event_id: &str,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let mut item = to_item(event_id, delivery)?;
        item.insert(PK.to_owned(), s(event_id));
        item.insert(SK.to_owned(), s(delivery.subscriber_id.as_str()));
        item.insert("expires_at".to_owned(), expiry(delivery.last_attempt_at + KEPT));
        self.put(&self.tables.deliveries, item).await
    }
}
