//! What we answer (OCPP 1.6, chapter 6), exactly as the specification spells it; and what chargers
//! answer to calls of ours.

use chrono::{DateTime, SecondsFormat, Utc};
use quantities::{IdTag, TransactionId};
use serde::{Deserialize, Serialize, Serializer};

use crate::{AuthorizationStatus, DataTransferStatus, RegistrationStatus, RemoteStartStopStatus};

/// What we know of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdTagInfo {
    /// Whether it may charge.
    pub status: AuthorizationStatus,
    /// Until when a charger may keep this answer.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_time")]
    pub expiry_date: Option<DateTime<Utc>>,
    /// The group it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id_tag: Option<IdTag>,
}

impl IdTagInfo {
    /// Only a status.
    #[must_use]
    pub const fn of(status: AuthorizationStatus) -> Self {
        Self { status, expiry_date: None, parent_id_tag: None }
    }
}

/// Answer to Authorize (6.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizeResponse {
    /// About the tag.
    pub id_tag_info: IdTagInfo,
}

/// Answer to BootNotification (6.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BootNotificationResponse {
    /// Our clock.
    #[serde(serialize_with = "time")]
    pub current_time: DateTime<Utc>,
    /// Seconds between heartbeats.
    pub interval: u32,
    /// Whether the charger may go on.
    pub status: RegistrationStatus,
}

/// Answer to Heartbeat (6.30).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatResponse {
    /// Our clock.
    #[serde(serialize_with = "time")]
    pub current_time: DateTime<Utc>,
}

/// Answer to StartTransaction (6.46).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartTransactionResponse {
    /// About the tag.
    pub id_tag_info: IdTagInfo,
    /// The number of the transaction.
    pub transaction_id: TransactionId,
}

/// Answer to StopTransaction (6.50).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StopTransactionResponse {
    /// About the tag, when the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_tag_info: Option<IdTagInfo>,
}

/// Answer to DataTransfer (6.16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataTransferResponse {
    /// Whether it was understood.
    pub status: DataTransferStatus,
    /// Anything, in the vendor's own form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// Answer without content, such as to StatusNotification (6.48) and MeterValues (6.32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EmptyResponse {}

/// A charger's answer to RemoteStartTransaction (6.34) and RemoteStopTransaction (6.36).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteStartStopResponse {
    /// Whether it will do so.
    pub status: RemoteStartStopStatus,
}

fn time<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    // Milliseconds: some chargers cannot read more decimals.
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[expect(clippy::ref_option, reason = "serde hands fields by reference")]
fn optional_time<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}
