//! The delivery log of webhooks and CDRs. Partition: what is delivered; sort key: to whom. Beside it
//! the reports of nightly runs. Partition: [`RECONCILIATION`]; sort key: when.

use chrono::{DateTime, TimeDelta, Utc};
use network::Reconciliation;
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    access::Range,
    item::{PK, SK, expiry, from_item, s, sortable, to_item},
};

/// How long the log is kept.
const KEPT: TimeDelta = TimeDelta::days(90);

/// Partition of the reports of `reconcile-subscriptions`.
const RECONCILIATION: &str = "RECONCILIATION";

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

    /// Stores what a run found.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn log_reconciliation(&self, report: &Reconciliation) -> Result<(), StoreError> {
        let mut item = to_item(RECONCILIATION, report)?;
        item.insert(PK.to_owned(), s(RECONCILIATION));
        item.insert(SK.to_owned(), s(sortable(report.started_at)));
        item.insert("expires_at".to_owned(), expiry(report.started_at + KEPT));
        self.put(&self.tables.deliveries, item).await
    }

    /// What the run that began, or was asked for, then found; none until it is through.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn reconciliation(
        &self,
        started_at: DateTime<Utc>,
    ) -> Result<Option<Reconciliation>, StoreError> {
        let at = sortable(started_at);
        let item = self.get(&self.tables.deliveries, RECONCILIATION, Some(&at)).await?;
        item.map(from_item).transpose()
    }

    /// What the runs of the last weeks found, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn reconciliations(&self) -> Result<Vec<Reconciliation>, StoreError> {
        let items = self.query(&self.tables.deliveries, RECONCILIATION, Range::All).await?;
        items.into_iter().rev().map(from_item).collect()
    }
}
