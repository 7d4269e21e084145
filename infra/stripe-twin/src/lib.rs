//! A strict stand-in for the part of Stripe that Tallywatt uses, for tests and the demo.
//!
//! It is small and remembers everything in memory, but where it answers, it answers as Stripe's
//! documents say: unknown parameters are refused, idempotency keys are replayed, compared and
//! locked, holds expire, cards decline by Stripe's own test tokens, webhooks are signed, repeated
//! and out of order. Each module names the pages it follows. What Stripe has and the twin has not
//! is refused as an unknown parameter or URL, never ignored.
//!
//! Beside Stripe's API it has a control API under `/_twin/…`, see [`Twin`]: everything that can be
//! asked of the handle can be asked over HTTP.
//!
//! Its objects have the shape of API version `2026-09-30.endive`.

#![recursion_limit = "256"] // `json!` recurses once per field, and Stripe has many.

mod api;
mod clock;
mod control;
mod faults;
mod http;
mod idempotency;
mod server;
mod webhooks;

pub use faults::{DeclineRule, Fault, FaultKind};
pub use server::{Twin, TwinConfig, TwinError, serve};
pub use webhooks::WebhookEndpoint;
