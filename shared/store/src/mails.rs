//! Mails about a session: sort keys `MAIL#<key>` in its partition.

use aws_sdk_dynamodb::types::AttributeValue;
use messages::Envelope;
use quantities::SessionId;
use receipts::Mail;

use crate::{
    Change, Saved, Store, StoreError,
    item::{Item, PK, SK, from_item, s, to_item},
    outbox::Transacted,
    sessions::session_pk,
};

/// What the sort keys of mails begin with.
pub(crate) const MAIL: &str = "MAIL#";

impl Store {
    /// Stores a mail that somebody asked for, once under its key, and tells `envelope` of it. Gives
    /// the one that was asked for before, if one was.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn request_mail(
        &self,
        session_id: SessionId,
        key: &str,
        mail: &Mail,
        envelope: &Envelope,
    ) -> Result<Option<Mail>, StoreError> {
        let change = Change::default()
            .put(
                &self.tables.sessions,
                row(session_id, key, mail)?,
                Some("attribute_not_exists(pk)"),
            )?
            .tell(&self.tables.outbox, envelope)?;
        match self.commit(change).await? {
            Transacted::Committed => Ok(None),
            Transacted::Refused { standing: Some(item), .. } => from_item(item).map(Some),
            Transacted::Refused { standing: None, .. } => Err(StoreError::Stale { what: "mail" }),
        }
    }

    /// Stores that a mail is being sent. `Duplicate`: somebody else is sending it, or has.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn begin_mail(
        &self,
        session_id: SessionId,
        key: &str,
        mail: &Mail,
    ) -> Result<Saved, StoreError> {
        let condition =
            "attribute_not_exists(pk) OR (attempts = :seen AND attribute_not_exists(outcome))";
        let seen = (":seen", number(mail.attempts.saturating_sub(1)));
        let item = row(session_id, key, mail)?;
        self.put_if(&self.tables.sessions, item, condition, vec![seen]).await
    }

    /// Stores what came of a mail. `Duplicate`: somebody else has begun to send it again.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn end_mail(
        &self,
        session_id: SessionId,
        key: &str,
        mail: &Mail,
    ) -> Result<Saved, StoreError> {
        let condition = "attempts = :seen AND attribute_not_exists(outcome)";
        let seen = (":seen", number(mail.attempts));
        let item = row(session_id, key, mail)?;
        self.put_if(&self.tables.sessions, item, condition, vec![seen]).await
    }
}

fn row(session_id: SessionId, key: &str, mail: &Mail) -> Result<Item, StoreError> {
    let pk = session_pk(session_id);
    let mut item = to_item(&pk, mail)?;
    item.insert(PK.to_owned(), s(pk));
    item.insert(SK.to_owned(), s(format!("{MAIL}{key}")));
    Ok(item)
}

fn number(value: u32) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
