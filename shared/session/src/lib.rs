//! What a charging session is: its record, its timeline, and what a person has to decide about it.
//!
//! Invariant: functions of their inputs. When a session begins or ends is what the charger said;
//! the time of arrival is always given by the caller.

mod exception;
mod record;
mod timeline;

pub use exception::{ExceptionReason, ExceptionRecord, ExceptionState, Resolution};
pub use record::{Session, SessionState, StopTransactionEffect};
pub use timeline::{ConnectorStatus, MeterSample, StatusChange, Timeline};
