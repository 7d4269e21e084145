//! What happened at the connector, in order of time: the input of rating.

use chrono::{DateTime, Utc};
use quantities::{Power, WattHours};
use serde::{Deserialize, Serialize};

/// All that rating knows of one session. Samples and statuses may come in any order and repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
