//! Payments: the record of what a session's driver paid, the rules it moves by, and the Stripe
//! adapter that carries them out.
//!
//! Invariant: [`machine`] and the record are pure; only [`stripe`] talks to anybody. At most one
//! capture per session, and from the moment a session is priced captured + owed = total.

pub mod machine;
pub mod money;
mod record;
pub mod stripe;
pub mod webhook;

pub use machine::{MachineError, Outcome, Step};
pub use record::{DifferenceState, Payment, PaymentState, Refusal};
pub use stripe::{PaymentError, StripeClient};
