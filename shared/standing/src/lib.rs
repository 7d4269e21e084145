//! What drivers owe, noted on their wallet and on each of their tags, where whoever starts a session
//! reads it with the one record that they read anyway.
//!
//! Two write it: [`note`], when a payment has moved, and [`put`], when an operator makes or changes a
//! tag. They order themselves by the wallet: `note` writes it first and looks then which tags it
//! lists; `put` stores the tag and lists it in one transaction that the wallet must not have moved
//! before. So a tag is either listed when `note` looks, or made with what `note` wrote.
//!
//! Invariant: once every message has been heard, a tag says what is owed now, whatever came when,
//! how often, and wherever one of them died.

mod note;
mod put;
mod records;
#[cfg(test)]
mod tests;

pub use note::{NoteError, Noted, note};
pub use put::put;
pub use records::{Debt, Records};
