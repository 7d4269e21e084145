//! Lambda glue: how a function starts, what it logs, and how each kind of trigger is served.
//!
//! Invariant: no business rule here, and nothing swallowed. An OCPP message is answered, with an
//! error if need be; a queue message is either done or reported as failed; every invocation writes
//! one structured line, without tags, secrets or bodies.

mod function;
mod http;
mod invocation;
mod queue;
mod secrets;
mod websocket;

pub use function::Function;
pub use http::{HttpBody, HttpRequest, HttpResponse};
pub use invocation::{Invocation, Metric};
pub use secrets::{SecretError, Secrets, StripeSecret};
pub use websocket::{Caller, OcppCall, OcppMessage, Reply};
