//! Exceptions: what a person has to decide. Key: the exception's id; the index `open` lists the
//! undecided ones.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use messages::Envelope;
use quantities::{ChargePointId, ExceptionId};
use session::{ExceptionRecord, ExceptionState, Resolution, Session, SessionState};

use crate::{
    Change, Saved, Store, StoreError,
    item::{Item, PK, SK, from_item, instant, s, sortable, to_item},
    sessions::{META, session_pk, state},
};

impl Store {
    /// Raises an exception, once. One write.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn raise(&self, exception: &ExceptionRecord) -> Result<Saved, StoreError> {
        self.put_new(&self.tables.exceptions, exception_item(exception)?).await
    }

    /// Keeps a transaction message that is refused: what it says of energy is not lost with it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn keep_unreadable(
        &self,
        charge_point_id: &ChargePointId,
        frame: &str,
        refusal: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let exception = ExceptionRecord::of_unreadable(charge_point_id, frame, refusal, at);
        self.raise(&exception).await.map(drop)
    }

    /// Raises an exception with a change; one that is there already is raised again.
    pub(crate) fn raise_in(
        &self,
        change: Change,
        exception: &ExceptionRecord,
    ) -> Result<Change, StoreError> {
        change.put(&self.tables.exceptions, exception_item(exception)?, None)
    }

    /// Resolves an exception with a change, on the condition that nobody has.
    pub(crate) fn clear_in(
        &self,
        change: Change,
        resolved: &ExceptionRecord,
    ) -> Result<Change, StoreError> {
        let item = exception_item(resolved)?;
        change.put(&self.tables.exceptions, item, Some("attribute_exists(gsi_open)"))
    }

    /// One exception.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] when there is none with this id.
    pub async fn exception(&self, id: ExceptionId) -> Result<ExceptionRecord, StoreError> {
        let item = self.get(&self.tables.exceptions, &id.to_string(), None).await?;
        let missing = || StoreError::NotFound { what: "exception", id: id.to_string() };
        from_item(item.ok_or_else(missing)?)
    }

    /// The exceptions nobody has decided yet, newest first. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn open_exceptions(&self) -> Result<Vec<ExceptionRecord>, StoreError> {
        let items = self.query_index(&self.tables.exceptions, "open", "gsi_open", "OPEN").await?;
        items.into_iter().map(from_item).collect()
    }

    /// Stores a person's decision and carries it out, once: `resolved` is the exception with its
    /// decision; the session it is about, if any, follows; `envelope` tells of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when it was decided in the meantime, or the session is not held.
    pub async fn resolve(
        &self,
        resolved: &ExceptionRecord,
        session: Option<&Session>,
        envelope: Option<&Envelope>,
    ) -> Result<(), StoreError> {
        let ExceptionState::Resolved { resolution, .. } = &resolved.state else {
            return Err(StoreError::Stale { what: "exception" });
        };
        let mut change = self.clear_in(Change::default(), resolved)?;
        if let Some(session) = session {
            change = self.carry_out(change, session, resolution)?;
        }
        if let Some(envelope) = envelope {
            change = change.tell(&self.tables.outbox, envelope)?;
        }
        self.committed(change, "exception or session").await
    }

    fn carry_out(
        &self,
        change: Change,
        session: &Session,
        resolution: &Resolution,
    ) -> Result<Change, StoreError> {
        let pk = session_pk(session.id);
        let key = [(PK, pk.as_str()), (SK, META)];
        let held = (":held", state(SessionState::Held));
        let names = [("#state", "state")];
        let table = &self.tables.sessions;
        match resolution {
            Resolution::Bill { meter_stop, ended_at, .. } => change.update(
                table,
                &key,
                "SET #state = :to, meter_stop = :meter, ended_at = :ended, gsi_open = :open, \
                 billed_by_person = :true REMOVE released_at",
                "#state = :held",
                &names,
                vec![
                    held,
                    (":to", state(SessionState::Ended)),
                    (":meter", s(meter_stop.wh().to_string())),
                    (":ended", s(instant(*ended_at))),
                    (":open", s("OPEN")),
                    (":true", AttributeValue::Bool(true)),
                ],
            ),
            Resolution::Waive { .. } => change.update(
                table,
                &key,
                "SET #state = :to REMOVE gsi_open",
                "#state = :held",
                &names,
                vec![held, (":to", state(SessionState::Waived))],
            ),
            Resolution::Dismiss { .. } => Ok(change),
        }
    }
}

fn exception_item(exception: &ExceptionRecord) -> Result<Item, StoreError> {
    let pk = exception.id.to_string();
    let mut item = to_item(&pk, exception)?;
    item.insert(PK.to_owned(), s(pk));
    item.insert("gsi_at".to_owned(), s(sortable(exception.raised_at)));
    if exception.state == ExceptionState::Open {
        item.insert("gsi_open".to_owned(), s("OPEN"));
    }
    Ok(item)
}
