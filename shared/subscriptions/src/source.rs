//! What a platform that bills memberships must be able to say.

use network::{Subscription, SubscriptionId};

/// A platform that bills memberships: one implementation, in one file.
///
/// Chargebee's would read `content.subscription.id` of any event, `GET /subscriptions/{id}` and
/// `GET /subscriptions?limit=100&offset=…`, and translate: `in_trial` is `Trialing`, `active` and
/// `non_renewing` are `Active` (the latter with `ends_at` from `current_term_end`), `paused` is
/// `Paused`, `future` is `Incomplete`, `cancelled` is `Canceled`; `due_invoices_count > 0` with
/// dunning `in_progress` is `PastDue`; the tier stands in the item price's metadata. Zuora's would
/// do the same with `GET /v1/subscriptions/{key}` and an account's `balance`. Neither touches
/// anything else: the cache, the rule, the order and the nightly run do not know platforms.
pub trait Source: Sync {
    /// The subscription that an event says something of; none if it is about no subscription.
    /// Nothing else of the event is believed.
    ///
    /// # Errors
    ///
    /// [`UnreadableEvent`]: it is of a type that is about subscriptions and names none.
    fn subscription_of(
        &self,
        event_type: &str,
        object: &str,
    ) -> Result<Option<SubscriptionId>, UnreadableEvent>;

    /// A subscription as it is now; `None` if the platform has never heard of it. When it was said
    /// and how long it is gone by is the caller's business.
    ///
    /// # Errors
    ///
    /// [`SourceError`].
    fn fetch(
        &self,
        id: &SubscriptionId,
    ) -> impl Future<Output = Result<Option<Subscription>, SourceError>> + Send;

    /// Some of the subscriptions that have not ended, from `after` on.
    ///
    /// # Errors
    ///
    /// [`SourceError`].
    fn page(
        &self,
        after: Option<&Cursor>,
    ) -> impl Future<Output = Result<Page, SourceError>> + Send;
}

/// Where a page ended, in the platform's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// The subscriptions on it, each read by itself: one that cannot be stops no other.
    pub subscriptions: Vec<(SubscriptionId, Result<Subscription, SourceError>)>,
    /// Where the next begins; none if this is the last.
    pub next: Option<Cursor>,
}

/// An event about a subscription that names none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event of type {event_type} names no subscription")]
pub struct UnreadableEvent {
    /// Its type.
    pub event_type: String,
}

/// The platform did not answer, or with something that cannot be read. Safe to ask again.
#[derive(Debug, thiserror::Error)]
#[error("the subscription platform did not say")]
pub struct SourceError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
