//! What happened at the connector, in order of time: the input of rating.

use chrono::{DateTime, Utc};
use quantities::{Power, WattHours};
use serde::{Deserialize, Serialize};

use crate::{Finding, SignedReadings};

/// All that rating knows of one session. Samples and statuses may come in any order and repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// StartTransaction's timestamp.
    pub started_at: DateTime<Utc>,
    /// StopTransaction's timestamp; for a running session, the moment it is looked at.
    pub ended_at: DateTime<Utc>,
    /// When the connector was free again; idle time is counted until then. `None`: at `ended_at`.
    pub released_at: Option<DateTime<Utc>>,
    /// Register at the start.
    pub meter_start: WattHours,
    /// Register at the end.
    pub meter_stop: WattHours,
    /// Register readings in between.
    pub samples: Vec<MeterSample>,
    /// Status changes of the connector.
    pub statuses: Vec<StatusChange>,
    /// What is doubtful about the readings it was made from; the result repeats it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What the meter signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedReadings>,
}

/// One reading of the energy import register (`Energy.Active.Import.Register`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterSample {
    /// When the charger read it.
    pub at: DateTime<Utc>,
    /// What the register showed.
    pub energy: WattHours,
    /// Power at that moment (`Power.Active.Import`), when the same message told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
}

/// A connector's status from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Which status.
    pub status: ConnectorStatus,
}

/// OCPP 1.6 `ChargePointStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectorStatus {
    /// Free.
    Available,
    /// Occupied, no session yet.
    Preparing,
    /// Energy may flow.
    Charging,
    /// The charger does not offer energy: the operator's time.
    SuspendedEVSE,
    /// The vehicle does not take energy: the driver's time.
    SuspendedEV,
    /// The session is over, the vehicle still there: the driver's time.
    Finishing,
    /// Reserved.
    Reserved,
    /// Out of service.
    Unavailable,
    /// Broken: the operator's time.
    Faulted,
    /// A status that OCPP 1.6 does not know; the raw frame keeps its text.
    #[serde(other)]
    Unknown,
}

impl ConnectorStatus {
    /// Whether the time in this status is the driver's idle time.
    #[must_use]
    pub const fn is_idle(self) -> bool {
        matches!(self, Self::SuspendedEV | Self::Finishing)
    }

    /// Whether an ended session's vehicle has left the connector, or the operator has taken it.
    #[must_use]
    pub const fn releases(self) -> bool {
        !matches!(self, Self::SuspendedEV | Self::Finishing | Self::Unknown)
    }
}

/// When the connector of a session that ended at `ended_at` was free of its vehicle, if it is.
///
/// It was free at once when it was already Available then (some chargers report the unplugging
/// before the stop), else with the first status after the end that releases it.
#[must_use]
pub fn released_at(ended_at: DateTime<Utc>, statuses: &[StatusChange]) -> Option<DateTime<Utc>> {
    let before = statuses.iter().filter(|change| change.at <= ended_at);
    let last_before = before.max_by_key(|c| (c.at, c.status == ConnectorStatus::Available));
    if last_before.is_some_and(|change| change.status == ConnectorStatus::Available) {
        return Some(ended_at);
    }
    let after = statuses.iter().filter(|change| change.at > ended_at && change.status.releases());
    after.map(|change| change.at).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u32) -> DateTime<Utc> {
        format!("2026-03-01T12:{minute:02}:00Z").parse().unwrap()
    }

    fn statuses(changes: &[(u32, ConnectorStatus)]) -> Vec<StatusChange> {
        changes
            .iter()
            .map(|(minute, status)| StatusChange { at: at(*minute), status: *status })
            .collect()
    }

    #[test]
    fn a_connector_is_free_when_it_says_so_after_the_end() {
        use ConnectorStatus::{Available, Charging, Finishing};
        let waiting = statuses(&[(0, Charging), (11, Finishing)]);
        assert_eq!(released_at(at(10), &waiting), None);
        let left = statuses(&[(30, Available), (0, Charging), (11, Finishing)]);
        assert_eq!(released_at(at(10), &left), Some(at(30)));
    }

    #[test]
    fn a_connector_that_was_free_before_the_stop_arrived_is_free_at_the_end() {
        use ConnectorStatus::{Available, Charging};
        let early = statuses(&[(0, Charging), (9, Available)]);
        assert_eq!(released_at(at(10), &early), Some(at(10)));
    }

    #[test]
    fn the_next_session_on_the_connector_ends_the_idle_time_of_the_last() {
        use ConnectorStatus::{Charging, Finishing, Preparing};
        let next = statuses(&[(0, Charging), (11, Finishing), (20, Preparing)]);
        assert_eq!(released_at(at(10), &next), Some(at(20)));
    }
}
