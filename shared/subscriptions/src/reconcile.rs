//! All of them compared with the platform, once a night: what no event told is found.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use network::{
    Drift, Entitlement, Reconciliation, Subscription, SubscriptionId, SubscriptionStatus, Trust,
};
use store::{IndexKey, StoreError};

use crate::{Cache, Cursor, Followed, Source, SourceError, follow};

/// How many entries are looked at side by side.
const ABREAST: usize = 16;
/// How many of a kind a report names; it counts all.
const NAMED_MAX: usize = 100;

/// Why a run ended before it had compared everything; what it had repaired stays so.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The platform cannot be listed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The entries cannot be listed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// That would end every membership at once: rather a wrong key than a truth.
    #[error("the platform lists no subscription at all, and there are members")]
    NothingListed,
}

/// Where all entries with a subscription are listed.
pub trait Entries: Cache {
    /// Some of them, and where to go on.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn entries(
        &self,
        after: Option<IndexKey>,
    ) -> impl Future<Output = Result<(Vec<Entitlement>, Option<IndexKey>), StoreError>> + Send;
}

impl Entries for store::Store {
    async fn entries(
        &self,
        after: Option<IndexKey>,
    ) -> Result<(Vec<Entitlement>, Option<IndexKey>), StoreError> {
        self.subscribed_entitlements(after).await
    }
}

/// Compares every entry with the platform, both ways, and repairs what differs.
///
/// What agrees with the list is confirmed: only the age of what is known changes. What does not is
/// [followed](follow()), because the list was made before the entry was read and must not be
/// stored over it. So is one that could not be read in the list; where no entry has that, it is
/// a failure of the list.
///
/// # Errors
///
/// [`ReconcileError`].
pub async fn reconcile<C: Entries, S: Source>(
    cache: &C,
    source: &S,
    trust: Trust,
    now: DateTime<Utc>,
) -> Result<Reconciliation, ReconcileError> {
    let listed = list(source).await?;
    let mut report =
        Reconciliation { started_at: now, listed: listed.len(), ..Reconciliation::default() };
    let mut claimed: BTreeSet<String> = BTreeSet::new();
    let mut after = None;
    loop {
        let (entries, next) = cache.entries(after).await?;
        if listed.is_empty() && !entries.is_empty() {
            return Err(ReconcileError::NothingListed);
        }
        let ids =
            entries.iter().filter_map(|entry| Some(entry.subscription.as_ref()?.id.0.clone()));
        claimed.extend(ids);
        let compared = entries.into_iter().map(|entry| {
            let listed = &listed;
            async move { compare(cache, source, listed, entry, trust, now).await }
        });
        let mut compared = stream::iter(compared).buffer_unordered(ABREAST);
        while let Some(found) = compared.next().await {
            add(&mut report, found);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    let unclaimed = listed.into_iter().filter(|(id, _)| !claimed.contains(id));
    for (id, said) in unclaimed {
        report.unclaimed += 1;
        if let Err(error) = said {
            name(&mut report.failures, failure(&id, &error.into()));
        }
        name(&mut report.unclaimed_ids, SubscriptionId(id));
    }
    Ok(report)
}

/// What the platform said of each subscription, or why that could not be read.
type Listed = BTreeMap<String, Result<Subscription, SourceError>>;

async fn list<S: Source>(source: &S) -> Result<Listed, SourceError> {
    let mut listed = BTreeMap::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = source.page(after.as_ref()).await?;
        listed.extend(page.subscriptions.into_iter().map(|(id, said)| (id.0, said)));
        after = page.next;
        if after.is_none() {
            return Ok(listed);
        }
    }
}

/// What comparing one entry came to.
enum Found {
    Confirmed,
    Repaired {
        drift: Drift,
        unheard_of: bool,
    },
    /// It has no subscription any more, or somebody has just followed it.
    Moved,
    Failed(String),
}

async fn compare<C: Entries, S: Source>(
    cache: &C,
    source: &S,
    listed: &Listed,
    entry: Entitlement,
    trust: Trust,
    now: DateTime<Utc>,
) -> Found {
    let Some(known) = entry.subscription else { return Found::Moved };
    let failed = |error: anyhow::Error| Found::Failed(failure(&known.id.0, &error));
    let said = listed.get(&known.id.0).and_then(|said| said.as_ref().ok());
    if said.is_some_and(|said| said.agrees_with(&known)) {
        let confirmed = known.clone().trusted(now, trust);
        return match cache.write(&entry.id_tag, entry.revision, &confirmed).await {
            Ok(true) => Found::Confirmed,
            Ok(false) => Found::Moved,
            Err(error) => failed(error.into()),
        };
    }
    // Ended ones are not listed: members of the past.
    let has_ended = known.status == SubscriptionStatus::Canceled && known.is_platforms();
    if has_ended && !listed.contains_key(&known.id.0) {
        return Found::Confirmed;
    }
    match follow(cache, source, &known.id, trust, now).await {
        Ok(Followed::Stored { said, .. }) if said.agrees_with(&known) => Found::Confirmed,
        Ok(Followed::Stored { said, heard_of, .. }) => Found::Repaired {
            unheard_of: !heard_of,
            drift: Drift {
                subscription: known.id.clone(),
                was: known.status,
                is: said.status,
                period_end_was: known.current_period_end,
                period_end_is: said.current_period_end,
            },
        },
        Ok(Followed::Nobody) => Found::Moved,
        Err(error) => failed(error.into()),
    }
}

fn failure(subscription: &str, error: &anyhow::Error) -> String {
    format!("{subscription}: {error:#}")
}

fn add(report: &mut Reconciliation, found: Found) {
    report.entries += 1;
    match found {
        Found::Confirmed => report.confirmed += 1,
        Found::Repaired { drift, unheard_of } => {
            report.repaired += 1;
            if unheard_of {
                name(&mut report.unheard_of, drift.subscription.clone());
            }
            name(&mut report.drifts, drift);
        }
        Found::Moved => {}
        Found::Failed(failure) => name(&mut report.failures, failure),
    }
}

fn name<T>(named: &mut Vec<T>, one: T) {
    if named.len() < NAMED_MAX {
        named.push(one);
    }
}
