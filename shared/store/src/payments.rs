//! Payments: item `PAYMENT` of the session's partition, written under an optimistic lock, with
//! what it tells and books in the same transaction.
//!
//! Sparse index `open`, partition `DUE`: payments by when they are to be looked at again.

use chrono::{DateTime, Utc};
use messages::{Envelope, Event, Queue};
use payments::{Payment, money::look_again_at};
use quantities::SessionId;

use crate::{
    Change, Store, StoreError,
    item::{from_document, s, sortable},
    sessions::{document, journal_item, session_pk},
};

const PAYMENT: &str = "PAYMENT";

/// Value of `gsi_open` on payments that are to be looked at again.
const DUE: &str = "DUE";

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
        let seen = payment.version;
        let mut payment = Payment { version: seen + 1, ..payment };
        let told = envelopes.iter().filter(|told| told.event.queues().contains(&Queue::Accounting));
        payment.told.extend(told.map(|told| told.id.clone()));
        let pk = session_pk(payment.session_id);
        let mut item = document(&pk, PAYMENT, &payment)?;
        item.insert("version".to_owned(), s(payment.version.to_string()));
        if let Some(at) = look_again_at(&payment, now) {
            item.insert("gsi_open".to_owned(), s(DUE));
            item.insert("gsi_at".to_owned(), s(sortable(at)));
        }
        let change = Change::default();
        let mut change = if seen == 0 {
            change.put(&self.tables.sessions, item, Some("attribute_not_exists(pk)"))?
        } else {
            let values = vec![(":seen", s(seen.to_string()))];
            change.put_if(&self.tables.sessions, item, Some("version = :seen"), values)?
        };
        for envelope in envelopes {
            if let Event::PaymentCaptured { journal, .. } = &envelope.event {
                change = change.put(&self.tables.sessions, journal_item(&pk, journal)?, None)?;
            }
            change = change.tell(&self.tables.outbox, envelope)?;
        }
        self.committed(change, "payment").await?;
        Ok(payment)
    }
}
