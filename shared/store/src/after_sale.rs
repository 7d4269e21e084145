//! After the sale: decisions and credit notes of the session's partition, disputes, and the two
//! counters that decide who may do how much and which number comes next.
//!
//! Sort keys `DECISION#<id>` and `CREDITNOTE#<decision>` in the session's partition; `DISPUTE#<id>`
//! in the sessions table, with the sparse index `open` while it is not closed; in the usage table
//! `SERIES#<seller>` and `REFUNDS#<person>`, `<day>#<currency>`.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, NaiveDate, Utc};
use messages::Envelope;
use ocpi::Cdr;
use payments::{Payment, money::Dispute};
use quantities::{Amount, SessionId};
use receipts::{CreditNote, Decision, Seller};
use serde::{Deserialize, Serialize};

use crate::{
    Change, Store, StoreError,
    item::{PK, SK, from_document, from_item, s, sortable},
    outbox::Transacted,
    sessions::{META, document, session_pk},
};

/// What the sort keys of decisions begin with.
pub(crate) const DECISION: &str = "DECISION#";
/// What the sort keys begin with by which decisions without a payment follow each other.
const DECIDED: &str = "DECIDED#";
/// What the sort keys of credit notes begin with.
pub(crate) const CREDIT_NOTE: &str = "CREDITNOTE#";
/// Sort key of the credit CDR.
pub(crate) const CREDIT_CDR: &str = "CREDITCDR";
/// Sort key of a seller's series of credit notes.
const CREDIT_NOTES: &str = "CREDIT-NOTES";
/// Value of `gsi_open` on disputes that are not closed.
const DISPUTED: &str = "DISPUTED";

/// What a person has given back on a day so far may not go beyond a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyLimit {
    /// Who: the subject of their token.
    pub person: String,
    /// On which day.
    pub day: NaiveDate,
    /// How much they give back with this.
    pub amount: Amount,
    /// The most of a day, in minor units.
    pub most: i64,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// It stands, with the payment as it is stored now.
    New(Box<Option<Payment>>),
    /// One with its id was made before.
    Exists(Box<Decision>),
    /// The person has reached their limit of the day.
    LimitReached,
}

/// What became of a credit note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// It was issued.
    New,
    /// It was issued before.
    Exists,
    /// Its number has been given to another, or the payment was changed: compose it anew.
    Moved,
}

/// A dispute, and the session that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeRow {
    /// The session.
    pub session_id: SessionId,
    /// The dispute, as it was last told.
    pub dispute: Dispute,
}

impl Store {
    /// Stores a decision about a session, once, with the payment that it changes, what it books and
    /// what it tells, in one transaction; within the limit of whoever decides. `nth`: it is made on
    /// the knowledge of all before it, as the how manieth.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when somebody else has changed the payment, or decided as the same.
    #[expect(clippy::too_many_arguments, reason = "all that one transaction holds")]
    pub async fn decide(
        &self,
        session_id: SessionId,
        decision: &Decision,
        payment: Option<Payment>,
        nth: Option<usize>,
        limit: Option<&DailyLimit>,
        now: DateTime<Utc>,
        envelopes: &[Envelope],
    ) -> Result<Stored, StoreError> {
        let (payment, change) = match payment {
            Some(payment) => {
                let (payment, change) = self.saving(payment, now, envelopes)?;
                (Some(payment), change)
            }
            None => (None, self.telling(Change::default(), session_id, envelopes)?),
        };
        let decided_at = change.len();
        let pk = session_pk(session_id);
        let item = document(&pk, &format!("{DECISION}{}", decision.id), decision)?;
        let mut change =
            change.put(&self.tables.sessions, item, Some("attribute_not_exists(pk)"))?;
        if let Some(nth) = nth {
            let key = [(PK, s(pk)), (SK, s(format!("{DECIDED}{nth}")))];
            let item = key.map(|(name, value)| (name.to_owned(), value)).into();
            change = change.put(&self.tables.sessions, item, Some("attribute_not_exists(pk)"))?;
        }
        let limited_at = change.len();
        let change = match limit.map(|limit| self.within(change.clone(), limit)).transpose()? {
            None => change,
            Some(Some(change)) => change,
            Some(None) => return Ok(Stored::LimitReached),
        };
        match self.commit(change).await? {
            Transacted::Committed => Ok(Stored::New(Box::new(payment))),
            Transacted::Refused { index, standing: Some(item) } if index == decided_at => {
                Ok(Stored::Exists(Box::new(from_document(&item)?)))
            }
            Transacted::Refused { index, .. } if index == limited_at => Ok(Stored::LimitReached),
            Transacted::Refused { .. } => Err(StoreError::Stale { what: "payment" }),
        }
    }

    /// The change, if it is within the limit; `None` when it could never be.
    fn within(&self, change: Change, limit: &DailyLimit) -> Result<Option<Change>, StoreError> {
        let room = limit.most.saturating_sub(limit.amount.minor);
        if room < 0 {
            return Ok(None);
        }
        let day = format!("{}#{}", limit.day, limit.amount.currency.code());
        let number = |value: i64| AttributeValue::N(value.to_string());
        let change = change.update(
            &self.tables.usage,
            &[(PK, &format!("REFUNDS#{}", limit.person)), (SK, &day)],
            "ADD given_back :amount",
            "attribute_not_exists(given_back) OR given_back <= :room",
            &[],
            vec![(":amount", number(limit.amount.minor)), (":room", number(room))],
        )?;
        Ok(Some(change))
    }

    /// How many credit notes the series of `seller` has. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn credit_notes_issued(&self, seller: &Seller) -> Result<u64, StoreError> {
        let item = self.get(&self.tables.usage, &series_pk(seller), Some(CREDIT_NOTES)).await?;
        let Some(item) = item else { return Ok(0) };
        let row: SeriesRow = from_item(item)?;
        Ok(row.issued)
    }

    /// Issues a credit note, once for `key` in its session, as the one that follows `issued` in the
    /// series of its seller, with what it books and tells and the payment that knows of it, if it is
    /// to, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn issue_credit_note(
        &self,
        key: &str,
        note: &CreditNote,
        envelope: &Envelope,
        (seller, issued): (&Seller, u64),
        payment: Option<Payment>,
    ) -> Result<Issued, StoreError> {
        let pk = session_pk(note.session_id);
        let item = document(&pk, &format!("{CREDIT_NOTE}{key}"), note)?;
        let number = |value: u64| AttributeValue::N(value.to_string());
        let next = (":next", number(issued.saturating_add(1)));
        let (condition, values) = if issued == 0 {
            ("attribute_not_exists(issued)", vec![next])
        } else {
            ("issued = :issued", vec![next, (":issued", number(issued))])
        };
        let change = match payment {
            Some(payment) => self.saving(payment, envelope.at, &[])?.1,
            None => Change::default(),
        };
        let noted_at = change.len();
        let change =
            change.put(&self.tables.sessions, item, Some("attribute_not_exists(pk)"))?.update(
                &self.tables.usage,
                &[(PK, &series_pk(seller)), (SK, CREDIT_NOTES)],
                "SET issued = :next",
                condition,
                &[],
                values,
            )?;
        let change = self.telling(change, note.session_id, std::slice::from_ref(envelope))?;
        Ok(match self.commit(change).await? {
            Transacted::Committed => Issued::New,
            Transacted::Refused { index, .. } if index == noted_at => Issued::Exists,
            Transacted::Refused { .. } => Issued::Moved,
        })
    }

    /// A dispute, by Stripe's id of it. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn dispute(&self, id: &str) -> Result<Option<DisputeRow>, StoreError> {
        let item = self.get(&self.tables.sessions, &dispute_pk(id), Some(META)).await?;
        item.as_ref().map(from_document).transpose()
    }

    /// The disputes that are not closed. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn open_disputes(&self) -> Result<Vec<DisputeRow>, StoreError> {
        let items = self.query_index(&self.tables.sessions, "open", "gsi_open", DISPUTED).await?;
        items.iter().map(from_document).collect()
    }

    pub(crate) fn put_dispute(
        &self,
        change: Change,
        row: &DisputeRow,
    ) -> Result<Change, StoreError> {
        let mut item = document(&dispute_pk(&row.dispute.id), META, row)?;
        if !row.dispute.is_closed() {
            let at = row.dispute.due_by.unwrap_or(row.dispute.as_of);
            item.insert("gsi_open".to_owned(), s(DISPUTED));
            item.insert("gsi_at".to_owned(), s(sortable(at)));
        }
        change.put(&self.tables.sessions, item, None)
    }

    /// Stores the credit CDR of a session, once; the first one stands and is given back.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn keep_credit_cdr(&self, id: SessionId, cdr: &Cdr) -> Result<Cdr, StoreError> {
        self.keep_cdr_as(id, CREDIT_CDR, cdr).await
    }
}

#[derive(Deserialize)]
struct SeriesRow {
    issued: u64,
}

fn series_pk(seller: &Seller) -> String {
    format!("SERIES#{}", seller.0)
}

fn dispute_pk(id: &str) -> String {
    format!("DISPUTE#{id}")
}
