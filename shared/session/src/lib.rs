//! What a charging session is: its record, its timeline, and what a person has to decide about it.
//!
//! Invariant: functions of their inputs. When a session begins or ends is what the charger said;
//! the time of arrival is always given by the caller.

mod clock;
mod exception;
mod finding;
mod identity;
mod readings;
mod record;
mod rollover;
mod route;
mod sampled;
mod settle;
mod signed;
mod so_far;
mod start;
mod timeline;

pub use exception::{ExceptionReason, ExceptionRecord, ExceptionState, Resolution};
pub use finding::{Finding, FindingCode, Findings};
pub use identity::{StartIdentity, app_start_tag, digest, payload_digest};
pub use readings::{is_deliverable, samples_of, timeline};
pub use record::{Session, SessionState, StopTransactionEffect};
pub use route::{Resolved, Route, resolve};
pub use settle::{Ends, settle};
pub use signed::{
    Nature, SignedFormat, SignedReading, SignedReadings, SignedRecord, Verification, is_meter_key,
};
pub use so_far::so_far;
pub use start::{Start, authorize};
pub use timeline::{ConnectorStatus, MeterSample, StatusChange, Timeline, released_at};

#[cfg(test)]
mod test_anomalies;
#[cfg(test)]
mod test_readings;
#[cfg(test)]
mod test_signed;
#[cfg(test)]
mod test_soup;
#[cfg(test)]
mod test_starts;
#[cfg(test)]
mod test_stops;
