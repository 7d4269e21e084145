//! Cards presented at a reader, and the sessions they pay for. Pure.
//!
//! What there is at one connector is one record, the [`Stand`]: the tap that is under way there,
//! and the sessions that were started with a reader's tag and have no card yet. Everybody who
//! changes anything stores the stand over the version it was read as, so card and session may come
//! in either order, at once, twice or never, and each finds the other. Whoever carries it on does,
//! until there is nothing left:
//!
//! 1. if [`Stand::pair`] says so, gives the session its card;
//! 2. lets time do its part ([`Stand::turn`], [`Stand::miss`]);
//! 3. makes the call that [`Stand::step`] names, and stores what [`Stand::apply`] makes of the
//!    outcome.
//!
//! Invariants: a tap serves one session at most and a session has one tap at most; a card that
//! is held and serves no session is released; nothing is asked of Stripe before the tap is stored.

mod stand;
mod tap;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;

pub use stand::{Occupied, Pair, Stand, Waiting};
pub use tap::{Outcome, Step, Tap, TapState, Why};
