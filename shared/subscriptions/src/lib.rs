//! Memberships follow their subscriptions at the platform that bills them.
//!
//! Three parts. [`Source`] is what a platform must be able to say; [`stripe`] is Stripe's answer,
//! and another platform is another file like it. [`follow`] brings what is known of one
//! subscription up to date, in an order that can be proved. [`reconcile`] compares all of them,
//! once a night.
//!
//! Invariant: an event is a hint that something changed and never the change itself. What is
//! stored is what the platform said when it was asked, after the entry it is stored over was read.

mod follow;
mod reconcile;
mod source;
pub mod stripe;
#[cfg(test)]
mod tests;

pub use follow::{Cache, FollowError, Followed, follow};
pub use reconcile::{Entries, ReconcileError, reconcile};
pub use source::{Cursor, Page, Source, SourceError, UnreadableEvent};
