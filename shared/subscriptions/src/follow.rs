//! One subscription brought up to date, in an order that can be proved.
//!
//! Stripe's events come in any order, and two of the same second cannot be ordered by what they
//! say. So nobody orders them: an event makes us read the entry (with its revision), then ask the
//! platform, then store the answer over exactly that revision, and begin again if it is no longer
//! there. Each stored answer was therefore given after the one before it was stored, so answers
//! stand in the order in which the platform gave them; and the one that an event brings was given
//! after the event. When all events are followed, what stands was said after the last change.

use chrono::{DateTime, Utc};
use network::{Entitlement, Subscription, SubscriptionId, SubscriptionStatus, Trust, WhenStale};
use quantities::IdTag;
use store::{Saved, Store, StoreError};

use crate::{Source, SourceError};

/// How often an entry that changes under our hands is begun anew.
const ATTEMPTS_MAX: u32 = 8;

/// Where entries with a subscription are kept.
pub trait Cache: Sync {
    /// The entries whose tier a subscription pays for, each as it stands now.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn members(
        &self,
        id: &SubscriptionId,
    ) -> impl Future<Output = Result<Vec<Entitlement>, StoreError>> + Send;

    /// Stores what is known of its subscription over `revision` of an entry; says whether it did.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn write(
        &self,
        id_tag: &IdTag,
        revision: u64,
        known: &Subscription,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl Cache for Store {
    async fn members(&self, id: &SubscriptionId) -> Result<Vec<Entitlement>, StoreError> {
        let mut members = Vec::new();
        for found in self.entitlements_by_subscription(id).await? {
            // The index lags behind.
            let member = self.entitlement(&found.id_tag).await?;
            let is_its = |member: &Entitlement| {
                member.subscription.as_ref().is_some_and(|known| known.id == *id)
            };
            members.extend(member.filter(is_its));
        }
        Ok(members)
    }

    async fn write(
        &self,
        id_tag: &IdTag,
        revision: u64,
        known: &Subscription,
    ) -> Result<bool, StoreError> {
        Ok(self.update_subscription(id_tag, revision, known).await? == Saved::New)
    }
}

/// What came of following a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// Nobody's tier depends on it.
    Nobody,
    /// What the platform says is stored.
    Stored {
        /// What it says.
        said: Subscription,
        /// Whether it has ever heard of it.
        heard_of: bool,
        /// In how many entries.
        entries: usize,
        /// In how many of them it is news.
        changed: usize,
    },
}

/// Why a subscription could not be followed. All are worth another try.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The platform did not say.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The cache did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry kept changing.
    #[error("an entry changed {ATTEMPTS_MAX} times while its subscription was asked for")]
    Busy,
}

/// Stores what `source` says of a subscription now in every entry that depends on it. `now` is a
/// moment before this is called: no answer counts as younger than it is.
///
/// A subscription that the platform has never heard of gives nothing.
///
/// # Errors
///
/// [`FollowError`].
pub async fn follow<C: Cache, S: Source>(
    cache: &C,
    source: &S,
    id: &SubscriptionId,
    trust: Trust,
    now: DateTime<Utc>,
) -> Result<Followed, FollowError> {
    let (mut entries, mut changed) = (0, 0);
    let mut done: Vec<IdTag> = Vec::new();
    for _ in 0..ATTEMPTS_MAX {
        let mut members = cache.members(id).await?;
        members.retain(|member| !done.contains(&member.id_tag));
        if members.is_empty() && done.is_empty() {
            return Ok(Followed::Nobody);
        }
        let found = source.fetch(id).await?;
        let heard_of = found.is_some();
        let said = found.unwrap_or_else(|| unheard_of(id)).trusted(now, trust);
        let mut refused = false;
        for member in members {
            if cache.write(&member.id_tag, member.revision, &said).await? {
                entries += 1;
                let was = member.subscription.as_ref();
                changed += usize::from(was.is_none_or(|was| !was.agrees_with(&said)));
                done.push(member.id_tag);
            } else {
                refused = true;
            }
        }
        if !refused {
            return Ok(Followed::Stored { said, heard_of, entries, changed });
        }
    }
    Err(FollowError::Busy)
}

/// What is stored of a subscription that the platform does not know.
fn unheard_of(id: &SubscriptionId) -> Subscription {
    Subscription {
        id: id.clone(),
        status: SubscriptionStatus::Canceled,
        invoice: None,
        tier: None,
        current_period_end: DateTime::UNIX_EPOCH,
        ends_at: None,
        as_of: DateTime::UNIX_EPOCH,
        stale_after: None,
        when_stale: WhenStale::default(),
    }
}
