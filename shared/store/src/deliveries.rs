//! The delivery log of webhooks and CDRs. Partition: what is delivered; sort key: to whom.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    access::Range,
    item::{PK, SK, expiry, from_item, s, to_item},
};

/// How long the log is kept.
const KEPT: TimeDelta = TimeDelta::days(90);

/// The delivery of one event, or CDR, to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// To whom: the id of a webhook subscriber or roaming partner.
    pub recipient: String,
    /// How often it was tried.
    pub attempts: u32,
    /// HTTP status of the last answer; none when there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    /// When it was last tried.
    pub last_attempt_at: DateTime<Utc>,
    /// When the recipient took it (a 2xx answer).
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
        item.insert(SK.to_owned(), s(&delivery.recipient));
        item.insert("expires_at".to_owned(), expiry(delivery.last_attempt_at + KEPT));
        self.put(&self.tables.deliveries, item).await
    }
}
