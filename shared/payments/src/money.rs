//! One session's money: what is known of it, what to ask of Stripe next, and what answers and news
//! change. Pure.
//!
//! The record ([`Payment`]) is facts and at most one pending intention. Whoever carries it on does,
//! until [`next_step`] is `None`:
//!
//! 1. [`request`] the step and store the record: the intention is known before the call;
//! 2. make the call with [`Step::idempotency_key`];
//! 3. [`apply`] the outcome and store the record, with the events that tell of it; the next
//!    intention may be stored in the same write.
//!
//! After a crash anywhere the stored record says which call to make again, with the same key and
//! the same amount. News from Stripe ([`learn`]) may come at any time, in any order, twice or
//! never.
//!
//! Invariants: money is collected by one way at a time; we capture at most one hold, once; from the
//! moment a session is priced captured + owed + waived + written off − surplus = total. What was
//! taken is a fact, whoever took it: what is too much is given back.

mod ask;
mod change;
mod decide;
mod error;
mod give_back;
mod news;
mod record;
mod step;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
mod watch;

pub use ask::{collect_again, expect, forgive, offer_link, resume, stop_if_uncovered, stopped};
pub use change::{apply, give_up_on, request};
pub use decide::{look_again_at, must_stop, next_step};
pub use error::MoneyError;
pub use give_back::{credit_made, refund, refund_again, stand_in};
pub use news::{News, learn};
pub use record::{
    Card, Debt, Dispute, Forgiven, Hold, HoldTerms, LinkState, PayLink, Payment, Pending, Refund,
    RefundBy, RefundState, Stuck, StuckWhy, Taken, TakenBy,
};
pub(crate) use step::key as step_key;
pub use step::{Outcome, Step};
pub use watch::{Look, look, watched};
