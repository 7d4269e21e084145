//! Ids that follow from what a message says, so that the same message always gives the same id.

use chrono::{DateTime, Utc};
use ocpp::Frame;
use quantities::{ChargePointId, ConnectorId, IdError, IdTag, TransactionId, WattHours};
use sha2::{Digest as _, Sha256};

/// What makes a StartTransaction this one and no other. Its OCPP message id does not: a charger
/// that reboots sends the same transaction under a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartIdentity<'a> {
    /// The charger.
    pub charge_point_id: &'a ChargePointId,
    /// The connector.
    pub connector_id: ConnectorId,
    /// The tag.
    pub id_tag: &'a IdTag,
    /// Its timestamp.
    pub started_at: DateTime<Utc>,
    /// Its register reading.
    pub meter_start: WattHours,
}

impl StartIdentity<'_> {
    /// The transactionId that this start gets at the given attempt; a further attempt is for the
    /// rare start whose number another transaction of the charger already has.
    ///
    /// Positive, 31 bits: chargers use 0 and −1 for transactions without a number.
    #[must_use]
    pub fn transaction_id(&self, attempt: u32) -> TransactionId {
        let text = format!(
            "{}/{}/{}/{}/{}/{attempt}",
            self.charge_point_id,
            self.connector_id,
            self.id_tag.as_str(),
            self.started_at.timestamp_millis(),
            self.meter_start.wh().normalize(),
        );
        let digest = Sha256::digest(text.as_bytes());
        let number = digest.iter().take(4).fold(0_i32, |n, byte| (n << 8) | i32::from(*byte));
        TransactionId((number & i32::MAX).max(1))
    }
}

/// A short digest of a text, for keys that must be the same for the same content.
#[must_use]
pub fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    hex::encode(digest.get(..8).unwrap_or_default())
}

/// The one-time tag of a start from the app, 20 characters. No card reader reads such a tag from a
/// card: theirs are hexadecimal.
///
/// # Errors
///
/// [`IdError`] never, as long as a tag takes as many characters.
pub fn app_start_tag(start_id: &str) -> Result<IdTag, IdError> {
    format!("APP-{}", digest(&format!("tag/{start_id}"))).parse()
}

/// A digest of what a call says, whatever its message id: a message that is sent again, after a
/// reboot even under another id, has the same.
#[must_use]
pub fn payload_digest(frame: &str) -> String {
    match Frame::parse(frame) {
        Ok(Frame::Call { payload, .. }) => digest(payload.as_json()),
        _ => digest(frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_start_gets_the_same_positive_number_and_another_one_another() {
        let charge_point_id = &"CP1".parse().unwrap();
        let id_tag = &"TAG".parse().unwrap();
        let start = |wh: i64| StartIdentity {
            charge_point_id,
            connector_id: ConnectorId(1),
            id_tag,
            started_at: "2026-03-01T12:00:00Z".parse().unwrap(),
            meter_start: WattHours::from(wh),
        };
        for wh in 0..1_000 {
            let number = start(wh).transaction_id(0);
            assert!(number.0 > 0);
            assert_eq!(number, start(wh).transaction_id(0));
            assert_ne!(number, start(wh + 1).transaction_id(0));
            assert_ne!(number, start(wh).transaction_id(1));
        }
    }
}
