//! The entitlement cache. Key `TOKEN#<idTag>`; indexes by driver, by subscription, and of starts
//! from the app that no session has used yet. Next to it the starts as they were asked for, key
//! `START#<start id>`: in the same index under another value until their hold is decided.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use messages::Envelope;
use network::{Entitlement, StartIntent, StartState, Subscription, SubscriptionId, Wallet};
use quantities::{DriverId, IdTag};

use crate::{
    Change, IndexKey, Saved, Store, StoreError,
    item::{Item, PK, from_item, s, sortable, to_item},
    outbox::Transacted,
};

/// Value of `gsi_pending` on starts from the app that no session has used yet.
const PENDING: &str = "PENDING";
/// Value of `gsi_pending` on intended starts whose hold is being placed.
const INTENDED: &str = "INTENDED";
/// An intended start is closed once: by whoever takes it out of the index.
const STILL_INTENDED: &str = "attribute_exists(gsi_pending)";
const CLOSE: &str = "SET #state = :state REMOVE gsi_pending";

pub(crate) fn token_pk(id_tag: &IdTag) -> String {
    format!("TOKEN#{}", id_tag.as_str())
}

fn start_pk(start_id: &str) -> String {
    format!("START#{start_id}")
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

    /// Stores an entry over the one whose revision it has, or as the first; in one transaction with
    /// its place in its driver's wallet, if it has one. `Duplicate` when the wallet owes something
    /// else than it did when it was read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when the entry changed since it was read, or somebody else was first.
    pub async fn put_entitlement(
        &self,
        entitlement: &Entitlement,
        wallet: Option<&Wallet>,
    ) -> Result<Saved, StoreError> {
        let (condition, seen) = at_revision(entitlement.revision);
        let next = Entitlement { revision: entitlement.revision + 1, ..entitlement.clone() };
        let (table, item) = (&self.tables.entitlements, entitlement_item(&next)?);
        let seen = vec![(":seen", seen)];
        let mut change = Change::default().put_if(table, item, Some(condition), seen)?;
        if let Some(wallet) = wallet {
            change = self.list_tag(change, wallet, &entitlement.id_tag)?;
        }
        match self.commit(change).await? {
            Transacted::Committed => Ok(Saved::New),
            Transacted::Refused { index: 0, .. } => Err(StoreError::Stale { what: "entitlement" }),
            Transacted::Refused { .. } => Ok(Saved::Duplicate),
        }
    }

    /// Removes an entry as it was read: a debt that was noted on it meanwhile is not lost.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when the entry changed since it was read.
    pub async fn delete_entitlement(&self, known: &Entitlement) -> Result<(), StoreError> {
        let (condition, seen) = at_revision(known.revision);
        let (table, pk) = (&self.tables.entitlements, token_pk(&known.id_tag));
        if self.delete_if(table, &pk, condition, vec![(":seen", seen)]).await? {
            return Ok(());
        }
        Err(StoreError::Stale { what: "entitlement" })
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
        subscription: &SubscriptionId,
    ) -> Result<Vec<Entitlement>, StoreError> {
        let table = &self.tables.entitlements;
        let key = subscription.0.as_str();
        let items = self.query_index(table, "by_subscription", "gsi_subscription", key).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Stores what is known of the subscription behind an entry, unless the entry changed since
    /// `revision` or has another subscription now. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn update_subscription(
        &self,
        id_tag: &IdTag,
        revision: u64,
        subscription: &Subscription,
    ) -> Result<Saved, StoreError> {
        let pk = token_pk(id_tag);
        let (condition, seen) = at_revision(revision);
        let values = vec![
            (":subscription", AttributeValue::M(to_item("TOKEN#…", subscription)?)),
            (":id", s(&subscription.id.0)),
            (":next", AttributeValue::N((revision + 1).to_string())),
            (":seen", seen),
        ];
        let updated = self
            .update(
                &self.tables.entitlements,
                &[(PK, &pk)],
                "SET subscription = :subscription, revision = :next",
                &format!("subscription.id = :id AND ({condition})"),
                &[],
                values,
            )
            .await?;
        Ok(if updated.is_some() { Saved::New } else { Saved::Duplicate })
    }

    /// The entries whose tier a subscription pays for, some at a time; begins after `after`, the
    /// key that the page before ended with. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn subscribed_entitlements(
        &self,
        after: Option<IndexKey>,
    ) -> Result<(Vec<Entitlement>, Option<IndexKey>), StoreError> {
        let table = &self.tables.entitlements;
        let (items, next) = self.scan_index(table, "by_subscription", after).await?;
        Ok((items.into_iter().map(from_item).collect::<Result<_, _>>()?, next))
    }

    /// A start from the app as it was asked for.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn start_intent(&self, start_id: &str) -> Result<Option<StartIntent>, StoreError> {
        let item = self.get(&self.tables.entitlements, &start_pk(start_id), None).await?;
        item.map(from_item).transpose()
    }

    /// Stores a start before its hold is placed, unless it was stored before. Gives the one that
    /// stands: its hold is the one to ask for.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn intend_start(&self, intent: StartIntent) -> Result<StartIntent, StoreError> {
        let mut item = to_item("START#…", &intent)?;
        item.insert(PK.to_owned(), s(start_pk(&intent.start_id)));
        item.insert("gsi_pending".to_owned(), s(INTENDED));
        item.insert("gsi_at".to_owned(), s(sortable(intent.hold.requested_at)));
        if self.put_new(&self.tables.entitlements, item).await? == Saved::New {
            return Ok(intent);
        }
        let standing = self.start_intent(&intent.start_id).await?;
        standing.ok_or(StoreError::NotFound { what: "start", id: intent.start_id })
    }

    /// Closes a start whose card was refused, unless it is closed. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn refuse_start(
        &self,
        start_id: &str,
        code: &str,
        decline_code: Option<&str>,
    ) -> Result<Saved, StoreError> {
        let decline_code = decline_code.map(str::to_owned);
        let refused = state(&StartState::Refused { code: code.to_owned(), decline_code })?;
        let table = &self.tables.entitlements;
        let pk = start_pk(start_id);
        let (names, values) = (&[("#state", "state")], vec![(":state", refused)]);
        let updated =
            self.update(table, &[(PK, &pk)], CLOSE, STILL_INTENDED, names, values).await?;
        Ok(if updated.is_some() { Saved::New } else { Saved::Duplicate })
    }

    /// Starts from the app whose hold is being placed, or was when their request died. Eventually
    /// consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn start_intents(&self) -> Result<Vec<StartIntent>, StoreError> {
        let table = &self.tables.entitlements;
        let items = self.query_index(table, "pending_start", "gsi_pending", INTENDED).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Gives up a start whose request died while its hold was being placed; `start.interrupted`
    /// finds the hold and releases it. Which of this and [`Store::begin_app_start`] comes first
    /// decides.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn abandon_start_intent(
        &self,
        start_id: &str,
        envelope: &Envelope,
    ) -> Result<Saved, StoreError> {
        let change = self.close_start(Change::default(), start_id, &StartState::Abandoned)?;
        let change = change.tell(&self.tables.outbox, envelope)?;
        Ok(match self.commit(change).await? {
            Transacted::Committed => Saved::New,
            Transacted::Refused { .. } => Saved::Duplicate,
        })
    }

    fn close_start(
        &self,
        change: Change,
        start_id: &str,
        closed: &StartState,
    ) -> Result<Change, StoreError> {
        let (table, pk) = (&self.tables.entitlements, start_pk(start_id));
        let (names, values) = (&[("#state", "state")], vec![(":state", state(closed)?)]);
        change.update(table, &[(PK, &pk)], CLOSE, STILL_INTENDED, names, values)
    }

    /// Stores the one-time entry of a start from the app with the call that starts the charger,
    /// once, in one transaction with the end of the start intended under `start_id`: one that was
    /// given up meanwhile tells no charger to start. One that goes on without its hold stays
    /// intended, for nobody knows whether Stripe has placed it: [`Store::abandon_start_intent`]
    /// finds out. Where no card pays, none was intended.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn begin_app_start(
        &self,
        start_id: Option<&str>,
        entitlement: &Entitlement,
        created_at: DateTime<Utc>,
        call: &Envelope,
    ) -> Result<Saved, StoreError> {
        let mut item = entitlement_item(entitlement)?;
        item.insert("gsi_pending".to_owned(), s(PENDING));
        item.insert("gsi_at".to_owned(), s(sortable(created_at)));
        let is_held = entitlement.app_start.as_ref().is_some_and(|start| start.hold.is_some());
        let change = match start_id {
            None => Change::default(),
            Some(id) if is_held => self.close_start(Change::default(), id, &StartState::Begun)?,
            Some(id) => {
                let (table, pk) = (&self.tables.entitlements, start_pk(id));
                Change::default().check(table, &[(PK, &pk)], STILL_INTENDED, vec![])?
            }
        };
        let change = change
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
    /// `start.abandoned` releases the hold, if there is one. Which of session and this comes first
    /// decides.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn abandon_app_start(
        &self,
        id_tag: &IdTag,
        envelope: Option<&Envelope>,
    ) -> Result<Saved, StoreError> {
        let mut change = Change::default().update(
            &self.tables.entitlements,
            &[(PK, &token_pk(id_tag))],
            "SET #status = :expired REMOVE gsi_pending",
            "attribute_exists(gsi_pending) AND attribute_not_exists(app_start.used_by)",
            &[("#status", "status")],
            vec![(":expired", s("Expired"))],
        )?;
        if let Some(envelope) = envelope {
            change = change.tell(&self.tables.outbox, envelope)?;
        }
        Ok(match self.commit(change).await? {
            Transacted::Committed => Saved::New,
            Transacted::Refused { .. } => Saved::Duplicate,
        })
    }
}

/// The condition that an entry has the revision `:seen`. Those of before there were revisions
/// count as the first.
pub(crate) fn at_revision(revision: u64) -> (&'static str, AttributeValue) {
    let condition = match revision {
        0 => "attribute_not_exists(revision) OR revision = :seen",
        _ => "revision = :seen",
    };
    (condition, AttributeValue::N(revision.to_string()))
}

fn state(state: &StartState) -> Result<AttributeValue, StoreError> {
    to_item("START#…", state).map(AttributeValue::M)
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
