//! What both HTTP surfaces share: who calls and what they may do, problem details (RFC 9457),
//! reading requests, and the OpenAPI document that a test holds to the code.
//!
//! Invariant: no request is served without the claims of a JWT that API Gateway has verified, and
//! no answer tells why something failed inside; that is in the log.

mod claims;
pub mod document;
mod problem;
mod read;
mod roles;
mod serve;
mod views;

pub use claims::{Driver, Operator};
pub use problem::{Check, Problem, ProblemDetails, ProblemType, Violation};
pub use read::{Body, Param, Params, idempotency_key};
pub use roles::{
    AnswerDisputes, CreditPartners, ForgiveDebts, MailReceipts, Permission, ReadExceptions,
    ReadNetwork, ReadQueues, ReadSessions, RedriveQueues, RefundDrivers, ResolveExceptions, Role,
    TakeCards, WriteEntitlements, WriteNetwork, WritePartners, role_table,
};
pub use serve::{Log, Told, serve};
pub use views::{AmountView, PlanRefView, TariffRefView};
