//! The price of a session, and all that is written with it.

use ledger::JournalEntry;
use messages::Envelope;
use quantities::SessionId;
use rating::PricedSession;
use session::{Session, SessionState};

use crate::{
    Change, Store, StoreError, UsageChange,
    item::{PK, SK, from_document, instant, s},
    outbox::Transacted,
    sessions::{META, document, journal_item, session_pk, state},
};

/// The place of the account's usage in the transaction; the cap's mark comes behind it.
const USAGE_INDEX: usize = 4;

/// What became of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rated {
    /// It is stored.
    New,
    /// The session had its price before; nothing was touched.
    Duplicate,
    /// The account has used more since its usage was read; nothing was touched. Price it again.
    UsageMoved,
}

impl Store {
    /// Stores what a session costs, once: price, state, journal entry, `session.rated` and what
    /// the account has used with it, in one transaction. The first price stands, and no usage is
    /// counted twice.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when the session is not waiting for its price and has none.
    pub async fn rate(
        &self,
        session: &Session,
        priced: &PricedSession,
        journal: &JournalEntry,
        envelope: &Envelope,
        usage: Option<&UsageChange<'_>>,
    ) -> Result<Rated, StoreError> {
        let change = self.price(session, priced, journal, envelope)?;
        let Some(usage) = usage else { return rated(&self.commit(change).await?) };
        let change = self.count(change, usage)?;
        let Some(capped) = usage.capped else { return rated(&self.commit(change).await?) };
        let marked = self.mark_capped(change.clone(), usage, capped)?;
        match self.commit(marked).await? {
            // The month's mark stands already, or a later one's.
            Transacted::Refused { index, .. } if index > USAGE_INDEX => {
                rated(&self.commit(change).await?)
            }
            outcome => rated(&outcome),
        }
    }

    fn price(
        &self,
        session: &Session,
        priced: &PricedSession,
        journal: &JournalEntry,
        envelope: &Envelope,
    ) -> Result<Change, StoreError> {
        let (table, pk) = (&self.tables.sessions, session_pk(session.id));
        let rated = document(&pk, "RATED", priced)?;
        Change::default()
            .put(table, rated, Some("attribute_not_exists(pk)"))?
            .update(
                table,
                &[(PK, &pk), (SK, META)],
                "SET #state = :rated REMOVE gsi_open",
                "#state = :from AND meter_stop = :meter AND ended_at = :ended",
                &[("#state", "state")],
                vec![
                    (":rated", state(SessionState::Rated)),
                    (":from", state(session.state)),
                    // What was priced is still what is to be billed.
                    (":meter", s(session.meter_stop.unwrap_or_default().wh().to_string())),
                    (":ended", s(session.ended_at.map(instant).unwrap_or_default())),
                ],
            )?
            .put(table, journal_item(&pk, journal)?, None)?
            .tell(&self.tables.outbox, envelope)
    }

    /// What a session costs, once it has its price. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn rated(&self, id: SessionId) -> Result<Option<PricedSession>, StoreError> {
        let item = self.get(&self.tables.sessions, &session_pk(id), Some("RATED")).await?;
        item.as_ref().map(from_document).transpose()
    }
}

fn rated(outcome: &Transacted) -> Result<Rated, StoreError> {
    match outcome {
        Transacted::Committed => Ok(Rated::New),
        Transacted::Refused { index: 0, .. } => Ok(Rated::Duplicate),
        Transacted::Refused { index: USAGE_INDEX, .. } => Ok(Rated::UsageMoved),
        Transacted::Refused { .. } => Err(StoreError::Stale { what: "session" }),
    }
}
