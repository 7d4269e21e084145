//! The entitlement cache. Key `TOKEN#<idTag>`; indexes by driver, by subscription, and of starts
//! from the app that no session has used yet.

use chrono::{DateTime, Utc};
use messages::Envelope;
use network::{Entitlement, StripeSubscriptionId, Subscription};
use quantities::{DriverId, IdTag};

use crate::{
    Change, Saved, Store, StoreError,
    item::{Item, PK, from_item, s, sortable, to_item},
    outbox::Transacted,
};

/// Value of `gsi_pending` on starts from the app that no session has used yet.
const PENDING: &str = "PENDING";

pub(crate) fn token_pk(id_tag: &IdTag) -> String {
    format!("TOKEN#{}", id_tag.as_str())
}

impl Store {
    /// The entry of an idTag. One read: all that Authorize does.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn entitlement(&self, id_tag: &IdTag) -> Result<Option<Entitlement>, StoreError> {
        let item = self.get(&self.tables.entitlements, &token_pk(id_tag), None).await?;
        item.map(from_item).transpose()
    }

    /// Stores an entry over the one before.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_entitlement(&self, entitlement: &Entitlement) -> Result<(), StoreError> {
        self.put(&self.tables.entitlements, entitlement_item(entitlement)?).await
    }

    /// Removes an entry.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn delete_entitlement(&self, id_tag: &IdTag) -> Result<(), StoreError> {
        self.delete(&self.tables.entitlements, &token_pk(id_tag), None).await
    }

    /// The lasting entries of a driver; the one-time tags of starts from the app, of which there is
    /// one for every session, are not among them. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn entitlements_of(&self, driver: &DriverId) -> Result<Vec<Entitlement>, StoreError> {
        let table = &self.tables.entitlements;
        let items = self.query_index(table, "by_driver", "gsi_driver", driver.as_str()).await?;
        items.into_iter().map(from_item).collect()
    }

    /// The entries whose tier a subscription pays for. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn entitlements_by_subscription(
        &self,
        subscription: &StripeSubscriptionId,
    ) -> Result<Vec<Entitlement>, StoreError> {
        let table = &self.tables.entitlements;
        let key = subscription.0.as_str();
        let items = self.query_index(table, "by_subscription", "gsi_subscription", key).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Stores what Stripe said of the subscription behind an entry, unless Stripe has said
    /// something newer. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn update_subscription(
        &self,
        id_tag: &IdTag,
        subscription: &Subscription,
    ) -> Result<Saved, StoreError> {
        let pk = token_pk(id_tag);
        let updated = self
            .update(
                &self.tables.entitlements,
                &[(PK, &pk)],
                "SET subscription.#status = :status, subscription.current_period_end = :end, \
                 subscription.as_of = :as_of",
                "subscription.id = :id AND subscription.as_of <= :as_of",
                &[("#status", "status")],
                vec![
                    (":status", s(&subscription.status)),
                    (":end", s(rfc3339(subscription.current_period_end))),
                    (":as_of", s(rfc3339(subscription.as_of))),
                    (":id", s(&subscription.id.0)),
                ],
            )
            .await?;
        Ok(if updated.is_some() { Saved::New } else { Saved::Duplicate })
    }

    /// Stores the one-time entry of a start from the app with the call that starts the charger,
    /// once, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn begin_app_start(
        &self,
        entitlement: &Entitlement,
        created_at: DateTime<Utc>,
        call: &Envelope,
    ) -> Result<Saved, StoreError> {
        let mut item = entitlement_item(entitlement)?;
        item.insert("gsi_pending".to_owned(), s(PENDING));
        item.insert("gsi_at".to_owned(), s(sortable(created_at)));
        let change = Change::default()
            .put(&self.tables.entitlements, item, Some("attribute_not_exists(pk)"))?
            .tell(&self.tables.outbox, call)?;
        Ok(match self.commit(change).await? {
            Transacted::Committed => Saved::New,
            Transacted::Refused { .. } => Saved::Duplicate,
        })
    }

    /// Starts from the app that no session has used. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn pending_app_starts(&self) -> Result<Vec<Entitlement>, StoreError> {
        let table = &self.tables.entitlements;
        let items = self.query_index(table, "pending_start", "gsi_pending", PENDING).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Gives up a start that no session has used: its tag no longer opens anything, and
    /// `start.abandoned` releases the hold. Which of session and this comes first decides.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn abandon_app_start(
        &self,
        id_tag: &IdTag,
        envelope: &Envelope,
    ) -> Result<Saved, StoreError> {
        let change = Change::default()
            .update(
                &self.tables.entitlements,
                &[(PK, &token_pk(id_tag))],
                "SET #status = :expired REMOVE gsi_pending",
                "attribute_exists(gsi_pending) AND attribute_not_exists(app_start.used_by)",
                &[("#status", "status")],
                vec![(":expired", s("Expired"))],
            )?
            .tell(&self.tables.outbox, envelope)?;
        Ok(match self.commit(change).await? {
            Transacted::Committed => Saved::New,
            Transacted::Refused { .. } => Saved::Duplicate,
        })
    }
}

/// An instant as serde writes it into records, so that strings compare as instants.
fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn entitlement_item(entitlement: &Entitlement) -> Result<Item, StoreError> {
    let pk = token_pk(&entitlement.id_tag);
    // The key is the tag: left out of messages, it names a person.
    let mut item = to_item("TOKEN#…", entitlement)?;
    item.insert(PK.to_owned(), s(pk));
    if let Some(driver) = entitlement.driver_id.as_ref().filter(|_| entitlement.app_start.is_none())
    {
        item.insert("gsi_driver".to_owned(), s(driver.as_str()));
    }
    if let Some(subscription) = &entitlement.subscription {
        item.insert("gsi_subscription".to_owned(), s(&subscription.id.0));
    }
    Ok(item)
}
