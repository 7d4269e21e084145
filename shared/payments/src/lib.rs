//! Payments: what is known of one session's money, the rules it moves by, and the Stripe adapter
//! that carries them out.
//!
//! Invariant: [`money`] and [`reader`] are pure; only [`stripe`] talks to anybody. At most one
//! capture per session, and from the moment a session is priced captured + owed + waived + written
//! off − surplus = total.

pub mod money;
pub mod reader;
mod refusal;
pub mod stripe;
pub mod webhook;

pub use money::{MoneyError, Payment};
pub use refusal::Refusal;
pub use stripe::{MethodSetup, PaymentError, SavedMethod, StripeClient};
