//! What is said in writing about a session: to the driver the receipt and its credit notes, as a
//! page, as text and as a mail; to a bank the evidence of a dispute.
//!
//! Invariant: nothing here computes a price. A receipt shows what was priced; a credit note takes
//! back a part of what was booked, never more.

mod credit_note;
mod decision;
mod evidence;
mod letter;
mod mail;
mod page;
mod paid;
mod receipt;
#[cfg(test)]
mod test_support;
mod text;
mod words;

pub use credit_note::{
    CreditError, CreditNote, Credited, CreditedTax, Scope, Seller, amount_of, credited,
};
pub use decision::{Decided, Decision};
pub use evidence::{Case, Evidence, FIELD_MAX, TOTAL_MAX, evidence};
pub use letter::Letter;
pub use mail::{Mail, MailOutcome, Mailing, Requested, Turn};
pub use paid::Paid;
pub use receipt::Receipt;
pub use words::short_rate;
