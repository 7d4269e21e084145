//! Chargers: their configuration, connection, connectors, status timeline and our calls to them.
//!
//! Partition `CHARGER#<id>`; sort keys `CONFIG`, `CONNECTION`, `BOOT`, `CONNECTOR#<n>`,
//! `STATUS#<n>#<at>`, `METER#<n>#<at>`, `CALL#<uniqueId>`.

use chrono::{DateTime, TimeDelta, Utc};
use messages::{ChargerCall, Envelope, Event};
use network::Charger;
use quantities::{ChargePointId, ConnectorId, SessionId, SiteId};
use serde::{Deserialize, Serialize};
use session::{ConnectorStatus, Session, SessionState, StatusChange};

use crate::{
    Change, Saved, Store, StoreError,
    access::Range,
    item::{Item, PK, SK, expiry, from_item, instant, s, sortable, to_item},
    outbox::Transacted,
    sessions::{META, session_pk},
};

/// How long the status timeline and readings outside transactions are kept.
const TIMELINE_KEPT: TimeDelta = TimeDelta::days(400);

/// How long the record of a call of ours is kept.
const CALL_KEPT: TimeDelta = TimeDelta::days(30);

/// A connector as it last reported, and the ended session that waits for it to be free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorRow {
    /// Its latest status by the charger's clock.
    pub status: ConnectorStatus,
    /// Since when, in the store's sortable form.
    pub status_at: String,
    /// The session whose idle fee ends when the connector is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting: Option<SessionId>,
}

/// A call of ours and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// What was to be said.
    pub call: ChargerCall,
    /// How far it got.
    pub state: CallState,
    /// The charger's `status`, or its error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// How far a call of ours got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// To be sent, or sent and not answered.
    Pending,
    /// Answered; the first answer counts.
    Answered,
    /// Given up: the charger was not connected in time.
    Expired,
}

fn pk(id: &ChargePointId) -> String {
    format!("CHARGER#{id}")
}

fn connector_sk(connector: ConnectorId) -> String {
    format!("CONNECTOR#{connector}")
}

/// Begins the keys of the statuses at `at`; the status itself follows, for two may share a moment.
fn status_sk(connector: ConnectorId, at: DateTime<Utc>) -> String {
    format!("STATUS#{connector}#{}", sortable(at))
}

/// A status as its attribute and in keys: as OCPP spells it.
fn status_text(status: ConnectorStatus) -> Result<String, StoreError> {
    let unwritable =
        |error| StoreError::Unwritable { key: "status".to_owned(), source: Box::new(error) };
    let text = serde_json::to_value(status).map_err(unwritable)?;
    Ok(text.as_str().unwrap_or("Unknown").to_owned())
}

fn keyed(mut item: Item, pk: &str, sk: &str) -> Item {
    item.insert(PK.to_owned(), s(pk));
    item.insert(SK.to_owned(), s(sk));
    item
}

impl Store {
    /// The configuration of a charger. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn charger(&self, id: &ChargePointId) -> Result<Option<Charger>, StoreError> {
        let item = self.get(&self.tables.chargers, &pk(id), Some("CONFIG")).await?;
        item.map(from_item).transpose()
    }

    /// Stores the configuration of a charger over the one before.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_charger(&self, charger: &Charger) -> Result<(), StoreError> {
        let pk = pk(&charger.id);
        let mut item = keyed(to_item(&pk, charger)?, &pk, "CONFIG");
        item.insert("gsi_site".to_owned(), s(charger.site_id.as_str()));
        self.put(&self.tables.chargers, item).await
    }

    /// The chargers of a site.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn chargers_of(&self, site: &SiteId) -> Result<Vec<Charger>, StoreError> {
        let table = &self.tables.chargers;
        let items = self.query_index(table, "by_site", "gsi_site", site.as_str()).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Remembers the connection of a charger; a newer one takes its place. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn connect(
        &self,
        id: &ChargePointId,
        connection_id: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut item = keyed(Item::new(), &pk(id), "CONNECTION");
        item.insert("connection_id".to_owned(), s(connection_id));
        item.insert("connected_at".to_owned(), s(sortable(at)));
        self.put(&self.tables.chargers, item).await
    }

    /// Forgets a connection, unless a newer one has taken its place. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn disconnect(
        &self,
        id: &ChargePointId,
        connection_id: &str,
        at: DateTime<Utc>,
    ) -> Result<Saved, StoreError> {
        let updated = self
            .update(
                &self.tables.chargers,
                &[(PK, &pk(id)), (SK, "CONNECTION")],
                "SET disconnected_at = :at REMOVE connection_id",
                "connection_id = :connection",
                &[],
                vec![(":at", s(sortable(at))), (":connection", s(connection_id))],
            )
            .await?;
        Ok(if updated.is_some() { Saved::New } else { Saved::Duplicate })
    }

    /// The open connection of a charger, as far as known. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn connection(&self, id: &ChargePointId) -> Result<Option<String>, StoreError> {
        let item = self.get(&self.tables.chargers, &pk(id), Some("CONNECTION")).await?;
        let connection = item.as_ref().and_then(|item| item.get("connection_id")?.as_s().ok());
        Ok(connection.cloned())
    }

    /// Keeps the latest BootNotification of a charger. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn keep_boot(
        &self,
        id: &ChargePointId,
        payload: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut item = keyed(Item::new(), &pk(id), "BOOT");
        item.insert("payload".to_owned(), s(payload));
        item.insert("received_at".to_owned(), s(sortable(at)));
        self.put(&self.tables.chargers, item).await
    }

    /// Keeps a MeterValues message outside a transaction (clock-aligned readings). One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn keep_meter_outside_transaction(
        &self,
        id: &ChargePointId,
        connector: ConnectorId,
        read_at: DateTime<Utc>,
        digest: &str,
        frame: &str,
    ) -> Result<(), StoreError> {
        let sk = format!("METER#{connector}#{}#{digest}", sortable(read_at));
        let mut item = keyed(Item::new(), &pk(id), &sk);
        item.insert("frame".to_owned(), s(frame));
        item.insert("expires_at".to_owned(), expiry(read_at + TIMELINE_KEPT));
        self.put(&self.tables.chargers, item).await
    }

    /// Adds a status to a connector's timeline and makes it the latest, unless a newer one is
    /// known. Two writes, each the same when the message comes again. Gives the connector as it is
    /// now; `None` when this status was an old one.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn record_status(
        &self,
        id: &ChargePointId,
        connector: ConnectorId,
        change: StatusChange,
        frame: &str,
    ) -> Result<Option<ConnectorRow>, StoreError> {
        let pk = pk(id);
        let status = status_text(change.status)?;
        let sk = format!("{}#{status}", status_sk(connector, change.at));
        let mut row = keyed(to_item(&pk, &change)?, &pk, &sk);
        row.insert("frame".to_owned(), s(frame));
        row.insert("expires_at".to_owned(), expiry(change.at + TIMELINE_KEPT));
        self.put(&self.tables.chargers, row).await?;

        // Of two statuses of one moment the one that frees the connector stays: invocations are
        // not ordered, and a Finishing stored last must not hide an Available.
        let newer = if change.status.releases() { "status_at <= :at" } else { "status_at < :at" };
        let updated = self
            .update(
                &self.tables.chargers,
                &[(PK, &pk), (SK, &connector_sk(connector))],
                "SET #status = :status, status_at = :at",
                &format!("attribute_not_exists(status_at) OR {newer}"),
                &[("#status", "status")],
                vec![(":status", s(status)), (":at", s(sortable(change.at)))],
            )
            .await?;
        updated.map(from_item).transpose()
    }

    /// The latest known state of a connector. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn connector(
        &self,
        id: &ChargePointId,
        connector: ConnectorId,
    ) -> Result<Option<ConnectorRow>, StoreError> {
        let sk = connector_sk(connector);
        let item = self.get(&self.tables.chargers, &pk(id), Some(&sk)).await?;
        item.map(from_item).transpose()
    }

    /// The status timeline of a connector between two moments, both included.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn statuses(
        &self,
        id: &ChargePointId,
        connector: ConnectorId,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<StatusChange>, StoreError> {
        let (from, to) = (status_sk(connector, from), status_sk(connector, to) + "#~");
        let range = Range::Between(&from, &to);
        let items = self.query(&self.tables.chargers, &pk(id), range).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Lets an ended session wait until its connector is free. The connector must still be as
    /// `seen`: a status that came in between is not missed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when the connector or the session changed: read and decide again.
    pub async fn await_release(
        &self,
        session: &Session,
        seen: Option<&ConnectorRow>,
    ) -> Result<(), StoreError> {
        let (condition, names, mut values): (_, &[_], _) = match seen {
            Some(row) => (
                "status_at = :seen AND #status = :status",
                &[("#status", "status")],
                vec![(":seen", s(&row.status_at)), (":status", s(status_text(row.status)?))],
            ),
            None => ("attribute_not_exists(status_at)", &[], vec![]),
        };
        values.push((":session", s(session.id.to_string())));
        let change = Change::default()
            .update(
                &self.tables.sessions,
                &[(PK, &session_pk(session.id)), (SK, META)],
                "SET #state = :awaiting",
                "#state = :ended",
                &[("#state", "state")],
                vec![
                    (":awaiting", crate::sessions::state(SessionState::AwaitingRelease)),
                    (":ended", crate::sessions::state(SessionState::Ended)),
                ],
            )?
            .update(
                &self.tables.chargers,
                &[(PK, &pk(&session.charge_point_id)), (SK, &connector_sk(session.connector_id))],
                "SET awaiting = :session",
                condition,
                names,
                values,
            )?;
        match self.commit(change).await? {
            Transacted::Committed => Ok(()),
            Transacted::Refused { .. } => Err(StoreError::Stale { what: "connector or session" }),
        }
    }

    /// The connector is free at `at`: the session that waited for it goes to rating.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn release(
        &self,
        id: &ChargePointId,
        connector: ConnectorId,
        session_id: SessionId,
        at: DateTime<Utc>,
        envelope: &Envelope,
    ) -> Result<Saved, StoreError> {
        debug_assert_eq!(envelope.event, Event::SessionReleased { session_id });
        let change = Change::default()
            .update(
                &self.tables.sessions,
                &[(PK, &session_pk(session_id)), (SK, META)],
                "SET #state = :ended, released_at = :at",
                "#state = :awaiting",
                &[("#state", "state")],
                vec![
                    (":ended", crate::sessions::state(SessionState::Ended)),
                    (":awaiting", crate::sessions::state(SessionState::AwaitingRelease)),
                    (":at", s(instant(at))),
                ],
            )?
            .update(
                &self.tables.chargers,
                &[(PK, &pk(id)), (SK, &connector_sk(connector))],
                "REMOVE awaiting",
                "awaiting = :session",
                &[],
                vec![(":session", s(session_id.to_string()))],
            )?
            .tell(&self.tables.outbox, envelope)?;
        Ok(match self.commit(change).await? {
            Transacted::Committed => Saved::New,
            Transacted::Refused { .. } => Saved::Duplicate,
        })
    }

    /// Stores what we are about to tell a charger; a call that is there already stays as it is.
    /// Gives the record as it stands.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn begin_call(&self, call: &ChargerCall) -> Result<CallRecord, StoreError> {
        let record = CallRecord { call: call.clone(), state: CallState::Pending, answer: None };
        let pk = pk(&call.charge_point_id);
        let sk = format!("CALL#{}", call.unique_id);
        let mut item = keyed(to_item(&pk, &record)?, &pk, &sk);
        item.insert("expires_at".to_owned(), expiry(call.expires_at + CALL_KEPT));
        if self.put_new(&self.tables.chargers, item).await? == Saved::New {
            return Ok(record);
        }
        let standing = self.get(&self.tables.chargers, &pk, Some(&sk)).await?;
        let missing = || StoreError::NotFound { what: "call", id: call.unique_id.clone() };
        from_item(standing.ok_or_else(missing)?)
    }

    /// A call of ours and what became of it, if it was begun. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn call(
        &self,
        id: &ChargePointId,
        unique_id: &str,
    ) -> Result<Option<CallRecord>, StoreError> {
        let sk = format!("CALL#{unique_id}");
        let item = self.get(&self.tables.chargers, &pk(id), Some(&sk)).await?;
        item.map(from_item).transpose()
    }

    /// A call of ours ended so: answered by the charger, or expired. The first end counts; `None`
    /// for a later one or for a call we never made. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn end_call(
        &self,
        id: &ChargePointId,
        unique_id: &str,
        state: CallState,
        answer: &str,
    ) -> Result<Option<CallRecord>, StoreError> {
        let state = match state {
            CallState::Pending => "pending",
            CallState::Answered => "answered",
            CallState::Expired => "expired",
        };
        let updated = self
            .update(
                &self.tables.chargers,
                &[(PK, &pk(id)), (SK, &format!("CALL#{unique_id}"))],
                "SET #state = :state, answer = :answer",
                "#state = :pending",
                &[("#state", "state")],
                vec![(":state", s(state)), (":answer", s(answer)), (":pending", s("pending"))],
            )
            .await?;
        updated.map(from_item).transpose()
    }
}
