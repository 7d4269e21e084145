//! Payments: item `PAYMENT` of the session's partition, written under an optimistic lock, with
//! what it tells and books in the same transaction.
//!
//! Sparse index `open`: in partition `DUE` payments by when they are to be looked at again, in
//! `OWED` those that nothing will move by itself, by when that came to be: debts, payments that are
//! stuck, what was taken too much and is not given back; in `UNPRICED` payments that only wait for
//! a price, by when they were last looked at.

use chrono::{DateTime, Utc};
use messages::{Envelope, Queue};
use payments::{Payment, money::look_again_at};
use quantities::SessionId;
use session::ExceptionRecord;

use crate::{
    Change, DisputeRow, Store, StoreError,
    item::{Item, PK, SK, from_document, s, sortable, string},
    sessions::{document, journal_item, session_pk},
};

pub(crate) const PAYMENT: &str = "PAYMENT";

/// Value of `gsi_open` on payments that are to be looked at again.
const DUE: &str = "DUE";
/// Value of `gsi_open` on payments that wait for the driver or a person.
const WAITS: &str = "OWED";
/// Value of `gsi_open` on payments that have no price yet, and nothing else to wait for.
const UNPRICED: &str = "UNPRICED";

/// A payment that is to be looked at again, or waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPayment {
    /// The record.
    pub payment: Payment,
    /// When it is looked at again; `None`: when somebody does something about it.
    pub look_at: Option<DateTime<Utc>>,
}

impl Store {
    /// The payment of a session, if there is one. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn payment(&self, id: SessionId) -> Result<Option<Payment>, StoreError> {
        let item = self.get(&self.tables.sessions, &session_pk(id), Some(PAYMENT)).await?;
        item.as_ref().map(from_document).transpose()
    }

    /// Stores a payment over the version it was read as, and what that tells and books, in one
    /// transaction. Gives the payment with its new version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when somebody else has changed it: read and decide again.
    pub async fn save_payment(
        &self,
        payment: Payment,
        now: DateTime<Utc>,
        envelopes: &[Envelope],
    ) -> Result<Payment, StoreError> {
        let (payment, change) = self.saving(payment, now, envelopes)?;
        self.committed(change, "payment").await?;
        Ok(payment)
    }

    /// As [`Store::save_payment`], of a payment that is stuck: with the exception that tells a
    /// person of it. One that was raised before is raised again.
    ///
    /// # Errors
    ///
    /// As [`Store::save_payment`].
    pub async fn save_stuck_payment(
        &self,
        payment: Payment,
        now: DateTime<Utc>,
        envelopes: &[Envelope],
        exception: &ExceptionRecord,
    ) -> Result<Payment, StoreError> {
        let (payment, change) = self.saving(payment, now, envelopes)?;
        self.committed(self.raise_in(change, exception)?, "payment").await?;
        Ok(payment)
    }

    /// The payment with its new version, and the writes that store it with what it tells.
    pub(crate) fn saving(
        &self,
        payment: Payment,
        now: DateTime<Utc>,
        envelopes: &[Envelope],
    ) -> Result<(Payment, Change), StoreError> {
        let seen = payment.version;
        let mut payment = Payment { version: seen + 1, ..payment };
        let told = envelopes.iter().filter(|told| told.event.queues().contains(&Queue::Accounting));
        payment.told.extend(told.map(|told| told.id.clone()));
        let pk = session_pk(payment.session_id);
        let mut item = document(&pk, PAYMENT, &payment)?;
        item.insert("version".to_owned(), s(payment.version.to_string()));
        let due = look_again_at(&payment, now).map(|at| (DUE, at));
        let waits = payment.waits_for_somebody(now).map(|since| (WAITS, since));
        let unpriced = payment.total.is_none().then_some((UNPRICED, now));
        if let Some((open, at)) = due.or(waits).or(unpriced) {
            item.insert("gsi_open".to_owned(), s(open));
            item.insert("gsi_at".to_owned(), s(sortable(at)));
        }
        let change = Change::default();
        let mut change = if seen == 0 {
            change.put(&self.tables.sessions, item, Some("attribute_not_exists(pk)"))?
        } else {
            let values = vec![(":seen", s(seen.to_string()))];
            change.put_if(&self.tables.sessions, item, Some("version = :seen"), values)?
        };
        for dispute in &payment.disputes {
            let row = DisputeRow { session_id: payment.session_id, dispute: dispute.clone() };
            change = self.put_dispute(change, &row)?;
        }
        let change = self.telling(change, payment.session_id, envelopes)?;
        Ok((payment, change))
    }

    /// The change with what it tells and books of a session.
    pub(crate) fn telling(
        &self,
        change: Change,
        session_id: SessionId,
        envelopes: &[Envelope],
    ) -> Result<Change, StoreError> {
        let pk = session_pk(session_id);
        let mut change = change;
        for envelope in envelopes {
            if let Some(journal) = envelope.event.journal() {
                change = change.put(&self.tables.sessions, journal_item(&pk, journal)?, None)?;
            }
            change = change.tell(&self.tables.outbox, envelope)?;
        }
        Ok(change)
    }

    /// Payments that are to be looked at again, or wait for somebody. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn open_payments(&self) -> Result<Vec<OpenPayment>, StoreError> {
        let table = &self.tables.sessions;
        let due = self.query_index(table, "open", "gsi_open", DUE).await?;
        let owed = self.query_index(table, "open", "gsi_open", WAITS).await?;
        due.into_iter().chain(owed).map(|item| open_payment(&item)).collect()
    }

    /// Payments whose time has come. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn due_payments(&self, now: DateTime<Utc>) -> Result<Vec<Payment>, StoreError> {
        let table = &self.tables.sessions;
        let due = self.query_index_until(table, "open", ("gsi_open", DUE), now).await?;
        due.iter().map(from_document).collect()
    }

    /// Payments that have had no price since `until`, and nothing else to wait for: their sessions
    /// run, or the news of the price was lost. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn unpriced_payments(
        &self,
        until: DateTime<Utc>,
    ) -> Result<Vec<Payment>, StoreError> {
        let table = &self.tables.sessions;
        let found = self.query_index_until(table, "open", ("gsi_open", UNPRICED), until).await?;
        found.iter().map(from_document).collect()
    }

    /// Tells that a payment is due, and looks at it again at `look_at` should that be lost.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when it was changed meanwhile: who did that told of it.
    pub async fn tell_due(
        &self,
        payment: &Payment,
        look_at: DateTime<Utc>,
        envelope: &Envelope,
    ) -> Result<(), StoreError> {
        let pk = session_pk(payment.session_id);
        let change = Change::default().update(
            &self.tables.sessions,
            &[(PK, &pk), (SK, PAYMENT)],
            "SET gsi_at = :at",
            "version = :seen AND attribute_exists(gsi_open)",
            &[],
            vec![(":at", s(sortable(look_at))), (":seen", s(payment.version.to_string()))],
        )?;
        self.committed(change.tell(&self.tables.outbox, envelope)?, "payment").await
    }
}

fn open_payment(item: &Item) -> Result<OpenPayment, StoreError> {
    let payment: Payment = from_document(item)?;
    let corrupt = |error| StoreError::Corrupt {
        key: session_pk(payment.session_id),
        source: Box::new(error),
    };
    let look_at = match string(item, "gsi_open")? {
        DUE => Some(string(item, "gsi_at")?.parse().map_err(corrupt)?),
        _ => None,
    };
    Ok(OpenPayment { payment, look_at })
}
