//! Stripe's events as they came: stored before they are answered, so that a crash loses none.
//! Key: the event's id. `UNDELIVERED`: how far the list of those is worked through that Stripe
//! could not deliver.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Saved, Store, StoreError,
    item::{PK, expiry, from_item, instant, s, to_item},
};

/// Stripe lists undelivered events for 30 days; ours are kept a little longer.
const KEPT: TimeDelta = TimeDelta::days(35);

const UNDELIVERED: &str = "UNDELIVERED";

/// How far the list of events that Stripe could not deliver is worked through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndeliveredProgress {
    /// Those that were created before are taken, …
    pub taken_until: DateTime<Utc>,
    /// … all but these, which failed and are kept: they are tried again first.
    pub failed: Vec<String>,
}

/// One event of Stripe's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeEventRow {
    /// Stripe's id (`evt_…`).
    pub id: String,
    /// Stripe's type, e.g. `customer.subscription.updated`.
    pub event_type: String,
    /// The body as it came.
    pub body: String,
    /// When it first arrived.
    pub received_at: DateTime<Utc>,
    /// When what it says was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Stores an event, once, and gives it as it stands: one that was handled need not be again.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn keep_stripe_event(
        &self,
        row: &StripeEventRow,
    ) -> Result<StripeEventRow, StoreError> {
        let mut item = to_item(&row.id, row)?;
        item.insert(PK.to_owned(), s(&row.id));
        item.insert("expires_at".to_owned(), expiry(row.received_at + KEPT));
        let table = &self.tables.stripe_events;
        if self.put_new(table, item).await? == Saved::New {
            return Ok(row.clone());
        }
        let missing = || StoreError::NotFound { what: "Stripe event", id: row.id.clone() };
        self.stripe_event(&row.id).await?.ok_or_else(missing)
    }

    /// An event as it stands, if it is here. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn stripe_event(&self, id: &str) -> Result<Option<StripeEventRow>, StoreError> {
        let item = self.get(&self.tables.stripe_events, id, None).await?;
        item.map(from_item).transpose()
    }

    /// How far the list of undelivered events is worked through; `None`: nobody has begun. One
    /// read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn undelivered_progress(&self) -> Result<Option<UndeliveredProgress>, StoreError> {
        let item = self.get(&self.tables.stripe_events, UNDELIVERED, None).await?;
        item.map(from_item).transpose()
    }

    /// Stores how far the list of undelivered events is worked through. Of two at once each has
    /// taken all that was left when it began, so either may be the last to say so. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn keep_undelivered_progress(
        &self,
        progress: &UndeliveredProgress,
    ) -> Result<(), StoreError> {
        let mut item = to_item(UNDELIVERED, progress)?;
        item.insert(PK.to_owned(), s(UNDELIVERED));
        self.put(&self.tables.stripe_events, item).await
    }

    /// Marks an event as carried out. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn stripe_event_handled(
        &self,
        id: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let values = vec![(":at", s(instant(at)))];
        let table = &self.tables.stripe_events;
        self.update(
            table,
            &[(PK, id)],
            "SET handled_at = :at",
            "attribute_exists(pk)",
            &[],
            values,
        )
        .await?;
        Ok(())
    }
}
