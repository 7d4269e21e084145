//! What there is at connectors that are paid at a reader: in the sessions table, partitions
//! `STAND#<charger>#<connector>` (the stand, under an optimistic lock) and `TAP#<id>` (each tap as
//! it is or ended, for whoever asks for it). Stands that are not empty are in the sparse index that
//! the sweep reads.

use aws_sdk_dynamodb::types::AttributeValue;
use messages::Envelope;
use payments::reader::{Pair, Stand, Tap};
use quantities::{ChargePointId, ConnectorId, TapId};
use session::{ExceptionRecord, SessionState};

use crate::{
    Change, Store, StoreError,
    item::{PK, SK, from_document, s, to_item},
    outbox::Transacted,
    sessions::{META, document, session_pk, state},
};

const STAND: &str = "STAND";
const TAP: &str = "TAP";

/// What became of a [`Pair`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paired {
    /// The session has its card. The stand as it is now.
    Paired(Box<Stand>),
    /// The session has a card already, or needs none any more: nothing was written.
    SessionGone,
}

fn stand_pk(charge_point_id: &ChargePointId, connector_id: ConnectorId) -> String {
    format!("STAND#{charge_point_id}#{connector_id}")
}

fn tap_pk(id: TapId) -> String {
    format!("TAP#{id}")
}

impl Store {
    /// What there is at a connector. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn stand(
        &self,
        charge_point_id: &ChargePointId,
        connector_id: ConnectorId,
    ) -> Result<Stand, StoreError> {
        let pk = stand_pk(charge_point_id, connector_id);
        match self.get(&self.tables.sessions, &pk, Some(STAND)).await? {
            Some(item) => from_document(&item),
            None => Ok(Stand::empty(charge_point_id.clone(), connector_id)),
        }
    }

    /// A tap, decided or not. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn tap(&self, id: TapId) -> Result<Option<Tap>, StoreError> {
        let item = self.get(&self.tables.sessions, &tap_pk(id), Some(TAP)).await?;
        item.as_ref().map(from_document).transpose()
    }

    /// The stands that are not empty. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn stands(&self) -> Result<Vec<Stand>, StoreError> {
        let items = self.query_index(&self.tables.sessions, "open", "gsi_open", STAND).await?;
        items.iter().map(from_document).collect()
    }

    /// Stores a stand over the version it was read as, with its tap, what that tells, and the
    /// exception it raises, if any. Gives the stand with its new version; a tap that is decided is
    /// there no more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when somebody else has changed it: read and decide again.
    pub async fn save_stand(
        &self,
        stand: Stand,
        envelopes: &[Envelope],
        exception: Option<&ExceptionRecord>,
    ) -> Result<Stand, StoreError> {
        let (mut change, stand) = self.stand_change(stand, None)?;
        for envelope in envelopes {
            change = change.tell(&self.tables.outbox, envelope)?;
        }
        if let Some(exception) = exception {
            change = self.raise_in(change, exception)?;
        }
        self.committed(change, "stand").await?;
        Ok(stand)
    }

    /// Stores a stand with a tap that begins, and what that tells; each tap begins once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when somebody else has changed the stand, or the tap was begun before.
    pub async fn begin_tap(&self, stand: Stand, envelope: &Envelope) -> Result<Stand, StoreError> {
        let (change, stand) = self.stand_change(stand, Some("attribute_not_exists(pk)"))?;
        self.committed(change.tell(&self.tables.outbox, envelope)?, "stand or tap").await?;
        Ok(stand)
    }

    /// Gives a session its card, once: stand, tap and session, and the event that tells of it, in
    /// one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when somebody else has changed the stand.
    pub async fn pair(
        &self,
        stand: Stand,
        pair: &Pair,
        envelope: &Envelope,
    ) -> Result<Paired, StoreError> {
        let pk = session_pk(pair.session_id);
        let (change, stand) = self.stand_change(stand.paired(pair), None)?;
        let of_session = change.len();
        let hold = to_item(&pk, &pair.hold)?;
        let change = change
            .update(
                &self.tables.sessions,
                &[(PK, &pk), (SK, META)],
                "SET placed_hold = :hold",
                "attribute_exists(pk) AND attribute_not_exists(placed_hold) \
                 AND #state IN (:active, :ended)",
                &[("#state", "state")],
                vec![
                    (":hold", AttributeValue::M(hold)),
                    (":active", state(SessionState::Active)),
                    (":ended", state(SessionState::Ended)),
                ],
            )?
            .tell(&self.tables.outbox, envelope)?;
        match self.commit(change).await? {
            Transacted::Committed => Ok(Paired::Paired(Box::new(stand))),
            Transacted::Refused { index, .. } if index == of_session => Ok(Paired::SessionGone),
            Transacted::Refused { .. } => Err(StoreError::Stale { what: "stand" }),
        }
    }

    /// The writes of a stand and its tap, which holds to `of_tap`: the stand's condition first.
    fn stand_change(
        &self,
        stand: Stand,
        of_tap: Option<&str>,
    ) -> Result<(Change, Stand), StoreError> {
        let seen = stand.version;
        let tap = stand.tap.clone();
        let (stand, _) = stand.cleared();
        let stand = Stand { version: seen + 1, ..stand };
        let pk = stand_pk(&stand.charge_point_id, stand.connector_id);
        let mut item = document(&pk, STAND, &stand)?;
        item.insert("version".to_owned(), s(stand.version.to_string()));
        if !stand.is_empty() {
            item.insert("gsi_open".to_owned(), s(STAND));
            item.insert("gsi_at".to_owned(), s(&pk));
        }
        let table = &self.tables.sessions;
        let mut change = if seen == 0 {
            Change::default().put(table, item, Some("attribute_not_exists(pk)"))?
        } else {
            let values = vec![(":seen", s(seen.to_string()))];
            Change::default().put_if(table, item, Some("version = :seen"), values)?
        };
        if let Some(tap) = tap {
            let item = document(&tap_pk(tap.id), TAP, &tap)?;
            change = change.put(table, item, of_tap)?;
        }
        Ok((change, stand))
    }
}
