//! What comparing memberships with the platform that bills them found.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{SubscriptionId, SubscriptionStatus};

/// What a nightly run found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reconciliation {
    /// When it began, or was asked for.
    pub started_at: DateTime<Utc>,
    /// Subscriptions that the platform listed: those that have not ended.
    pub listed: usize,
    /// Entries whose tier a subscription pays for.
    pub entries: usize,
    /// Entries that said what the platform says: their word is as fresh as this run now.
    pub confirmed: usize,
    /// Entries that did not, and do now.
    pub repaired: usize,
    /// What was wrong with them.
    #[serde(default)]
    pub drifts: Vec<Drift>,
    /// Subscriptions of our entries that the platform has never heard of; they give nothing now.
    #[serde(default)]
    pub unheard_of: Vec<SubscriptionId>,
    /// Subscriptions that run at the platform and nobody here has, for a person to look at.
    pub unclaimed: usize,
    /// Some of these.
    #[serde(default)]
    pub unclaimed_ids: Vec<SubscriptionId>,
    /// What could not be compared; the next run does.
    #[serde(default)]
    pub failures: Vec<String>,
}

/// One entry that did not say what the platform says. Names no tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// What the entry said.
    pub was: SubscriptionStatus,
    /// What the platform says.
    pub is: SubscriptionStatus,
    /// The end of the paid period as the entry had it.
    pub period_end_was: DateTime<Utc>,
    /// The end of the paid period as the platform has it.
    pub period_end_is: DateTime<Utc>,
}
