//! What a charging session is: its record, its timeline, and what a person has to decide about it.
//!
//! Invariant: functions of their inputs. When a session begins or ends is what the charger said;
//! the time of arrival is always given by the caller.

mod exception;
mod identity;
mod readings;
mod record;
mod start;
mod timeline;

pub use exception::{ExceptionReason, ExceptionRecord, ExceptionState, Resolution};
pub use identity::{StartIdentity, digest, payload_digest};
pub use readings::{Finding, FindingCode, samples_of, timeline};
pub use record::{Session, SessionState, StopTransactionEffect};
pub use start::{Start, authorize};
pub use timeline::{ConnectorStatus, MeterSample, StatusChange, Timeline, released_at};

#[cfg(test)]
mod test_readings;
