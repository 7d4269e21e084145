//! Payments: item `PAYMENT` of the session's partition, written under an optimistic lock, with
//! what it tells and books in the same transaction.

use messages::{Envelope, Event};
use payments::Payment;
use quantities::SessionId;

use crate::{
    Change, Store, StoreError,
    item::{from_document, s},
    sessions::{document, journal_item, session_pk},
};

const PAYMENT: &str = "PAYMENT";

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
        envelopes: &[Envelope],
    ) -> Result<Payment, StoreError> {
        let seen = payment.version;
        let payment = Payment { version: seen + 1, ..payment };
        let pk = session_pk(payment.session_id);
        let mut item = document(&pk, PAYMENT, &payment)?;
        item.insert("version".to_owned(), s(payment.version.to_string()));
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
