//! Sessions: everything about one charging session is one partition.
//!
//! Partition `SESSION#<id>`; sort keys `META` (the record), `SAMPLE#<read at>#<digest>` (a
//! MeterValues message), `RATED`, `PAYMENT`, `CDR`, `JOURNAL#<entry>`; those of what is decided and
//! written afterwards are in `after_sale` and `mails`.

use std::{collections::HashMap, ops::RangeInclusive};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use chrono::{DateTime, Utc};
use ledger::JournalEntry;
use messages::Envelope;
use network::{Entitlement, Offers, Site};
use ocpi::Cdr;
use payments::{Payment, money::Refund};
use quantities::{Amount, DriverId, IdTag, MoneyError, SessionId, SiteId, WattHours};
use rating::PricedSession;
use receipts::{CreditNote, Decided, Decision, Mail};
use session::{ExceptionRecord, Session, SessionState};

use crate::{
    Change, Saved, Store, StoreError,
    access::Range,
    after_sale::{CREDIT_CDR, CREDIT_NOTE, DECISION},
    catalog, entitlements,
    error::dynamo,
    item::{
        Item, PK, SK, from_document, from_item, instant, s, sortable, string, to_document, to_item,
    },
    mails::MAIL,
    outbox::Transacted,
};

/// Sort key of the session record.
pub(crate) const META: &str = "META";

/// Sort key of the CDR.
const CDR: &str = "CDR";

/// Value of `gsi_open` on sessions that are not done.
const OPEN: &str = "OPEN";

/// What StartTransaction needs to know, read in one request.
#[derive(Debug, Clone)]
pub struct StartContext {
    /// The charger's site.
    pub site: Option<Site>,
    /// What the site offers.
    pub offers: Offers,
    /// The idTag's entry in the entitlement cache.
    pub entitlement: Option<Entitlement>,
}

/// What became of a StartTransaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// The session is new.
    New,
    /// A session with this transactionId is there already: the same message again, or, very
    /// rarely, another transaction with the same number.
    Exists(Box<Session>),
    /// The app start behind the idTag was used or abandoned before.
    StartSpent,
    /// The account has reached its plan's spending cap: it starts nothing more in that month.
    Capped,
}

/// All that is stored about one session, from one query.
#[derive(Debug, Clone)]
pub struct SessionFile {
    /// The record.
    pub session: Session,
    /// MeterValues messages in order of reading: when each arrived, and the frame as it came.
    pub meter_values: Vec<(DateTime<Utc>, String)>,
    /// The price, once rated.
    pub rated: Option<PricedSession>,
    /// The payment, once there is one.
    pub payment: Option<Payment>,
    /// The CDR, once published.
    pub cdr: Option<Cdr>,
    /// The credit CDR, once published.
    pub credit_cdr: Option<Cdr>,
    /// What it has booked.
    pub journal: Vec<JournalEntry>,
    /// What was decided about it after the sale, the earliest first.
    pub decisions: Vec<Decision>,
    /// Its credit notes, each with what it credits, the earliest first.
    pub credit_notes: Vec<(String, CreditNote)>,
    /// What was mailed of it, or is to be, each with its key.
    pub mails: Vec<(String, Mail)>,
}

impl SessionFile {
    /// How much can be credited under `key` for what was given back, of `sold`, which is what is left
    /// of the sale: no more than what was paid by card and is credited to nobody, nor to be, as
    /// people decided here and as is known of what was made at Stripe. Never below zero.
    ///
    /// # Errors
    ///
    /// [`MoneyError`] when amounts do not add up.
    pub fn left_to_credit(&self, key: &str, sold: Amount) -> Result<Amount, MoneyError> {
        let Some(payment) = &self.payment else { return Ok(sold) };
        let decided = self.decisions.iter();
        let decided = decided.filter_map(|it| Some((it.id.as_str(), it.what.credits()?)));
        let made = payment.refunds.iter().filter(|refund| refund.credited);
        let made = made.filter_map(|it| Some((it.id.as_deref()?, it.takes_back()?)));
        let mut others = decided.chain(made).filter(|(id, _)| *id != key).map(|(_, amount)| amount);
        let left = others.try_fold(payment.paid(), Amount::checked_sub)?.min(sold)?;
        Ok(Amount::new(left.minor.max(0), left.currency))
    }

    /// Whether a refund that was made at Stripe has its credit note.
    #[must_use]
    pub fn has_note_of(&self, made: &Refund) -> bool {
        self.credit_notes.iter().any(|(key, _)| Some(key) == made.id.as_ref())
    }

    /// Whether a person said of a refund that was made at Stripe that it takes back a part of the
    /// sale of its own.
    #[must_use]
    pub fn is_said_made(&self, made: &Refund) -> bool {
        let is_its = |decision: &Decision| match decision.what {
            Decided::RefundMade { refund, .. } => refund == made.number,
            _ => false,
        };
        self.decisions.iter().any(is_its)
    }
}

/// How a transaction ended.
#[derive(Debug, Clone)]
pub struct End {
    /// StopTransaction's timestamp.
    pub ended_at: DateTime<Utc>,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Register at the end.
    pub meter_stop: WattHours,
    /// OCPP `Reason`, as sent.
    pub stop_reason: Option<String>,
    /// The frame as it came; none when a person or the sweep ended the session.
    pub stop_frame: Option<String>,
}

/// Where an ended session goes.
#[derive(Debug, Clone)]
pub enum EndsIn {
    /// To rating: `session.ended` is told.
    Rating(Envelope),
    /// To a person.
    Hold(ExceptionRecord),
}

pub(crate) fn session_pk(id: SessionId) -> String {
    format!("SESSION#{id}")
}

/// A session state as its attribute.
pub(crate) fn state(state: SessionState) -> AttributeValue {
    s(match state {
        SessionState::Active => "active",
        SessionState::Ended => "ended",
        SessionState::AwaitingRelease => "awaiting_release",
        SessionState::Held => "held",
        SessionState::Rated => "rated",
        SessionState::Waived => "waived",
    })
}

impl Store {
    /// Reads site, offers and entitlement in one request.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; also when DynamoDB left a part unread, which is safe to try again.
    pub async fn start_context(
        &self,
        site: &SiteId,
        id_tag: &IdTag,
    ) -> Result<StartContext, StoreError> {
        let catalog_key = |kind: &str| key(&[(PK, kind), (SK, site.as_str())]);
        let token = entitlements::token_pk(id_tag);
        let keys = |keys: Vec<Item>| {
            KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()
        };
        let incomplete = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Dynamo {
            operation: "BatchGetItem",
            code: "incomplete request".to_owned(),
            source: Box::new(error),
        };
        let catalog = vec![catalog_key(catalog::SITE), catalog_key(catalog::OFFERS)];
        let request = self
            .client
            .batch_get_item()
            .request_items(&self.tables.catalog, keys(catalog).map_err(incomplete)?)
            .request_items(
                &self.tables.entitlements,
                keys(vec![key(&[(PK, &token)])]).map_err(incomplete)?,
            );
        let answer = request.send().await.map_err(dynamo("BatchGetItem"))?;
        if answer.unprocessed_keys.is_some_and(|unread| !unread.is_empty()) {
            return Err(StoreError::Dynamo {
                operation: "BatchGetItem",
                code: "UnprocessedKeys".to_owned(),
                source: "DynamoDB left keys unread".into(),
            });
        }
        let mut found = answer.responses.unwrap_or_default();
        let mut context = StartContext { site: None, offers: Offers::default(), entitlement: None };
        for item in found.remove(&self.tables.catalog).unwrap_or_default() {
            if string(&item, PK)? == catalog::SITE {
                context.site = Some(from_item(item)?);
            } else {
                context.offers = from_item(item)?;
            }
        }
        let tokens = found.remove(&self.tables.entitlements).unwrap_or_default();
        context.entitlement = tokens.into_iter().next().map(from_item).transpose()?;
        Ok(context)
    }

    /// Stores a new session and its `session.started` in one transaction; a start from the app is
    /// used up with it, and an account whose spending cap is reached while it `must_be_free` begins
    /// none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn start(
        &self,
        session: &Session,
        must_be_free: &RangeInclusive<DateTime<Utc>>,
        envelope: &Envelope,
    ) -> Result<Started, StoreError> {
        let pk = session_pk(session.id);
        let mut item = to_item(&pk, session)?;
        item.insert(PK.to_owned(), s(&pk));
        item.insert(SK.to_owned(), s(META));
        item.insert("gsi_open".to_owned(), s(OPEN));
        item.insert("gsi_at".to_owned(), s(sortable(session.started_at)));
        if let Some(driver) = &session.driver_id {
            item.insert("gsi_driver".to_owned(), s(driver.as_str()));
        }
        let mut change = Change::default()
            .put(&self.tables.sessions, item, Some("attribute_not_exists(pk)"))?
            .tell(&self.tables.outbox, envelope)?;
        let cap_index = session.plan.as_ref().map(|_| change.len());
        if let Some(member) = &session.plan {
            change = self.unless_capped(change, member, must_be_free)?;
        }
        if session.from_app {
            change = change.update(
                &self.tables.entitlements,
                &[(PK, &entitlements::token_pk(&session.id_tag))],
                "SET app_start.used_by = :session REMOVE gsi_pending",
                "attribute_exists(gsi_pending) AND attribute_not_exists(app_start.used_by)",
                &[],
                vec![(":session", s(session.id.to_string()))],
            )?;
        }
        match self.commit(change).await? {
            Transacted::Committed => Ok(Started::New),
            Transacted::Refused { index: 0, standing: Some(item) } => {
                Ok(Started::Exists(Box::new(from_item(item)?)))
            }
            Transacted::Refused { index: 0, standing: None } => {
                Ok(Started::Exists(Box::new(self.session(session.id).await?)))
            }
            Transacted::Refused { index, .. } if Some(index) == cap_index => Ok(Started::Capped),
            Transacted::Refused { .. } => Ok(Started::StartSpent),
        }
    }

    /// Keeps a MeterValues message. One write, no read; the same message again replaces itself.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn keep_meter_values(
        &self,
        session_id: SessionId,
        read_at: DateTime<Utc>,
        digest: &str,
        received_at: DateTime<Utc>,
        frame: &str,
    ) -> Result<(), StoreError> {
        let mut item = Item::new();
        item.insert(PK.to_owned(), s(session_pk(session_id)));
        item.insert(SK.to_owned(), s(format!("SAMPLE#{}#{digest}", sortable(read_at))));
        item.insert("frame".to_owned(), s(frame));
        item.insert("received_at".to_owned(), s(sortable(received_at)));
        self.put(&self.tables.sessions, item).await
    }

    /// The record of a session. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] when there is no such session.
    pub async fn session(&self, id: SessionId) -> Result<Session, StoreError> {
        let found = self.find_session(id).await?;
        found.ok_or_else(|| StoreError::NotFound { what: "session", id: id.to_string() })
    }

    /// The record of a session, if there is one. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let item = self.get(&self.tables.sessions, &session_pk(id), Some(META)).await?;
        item.map(from_item).transpose()
    }

    /// Everything about a session. One query.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] when there is no such session.
    pub async fn session_file(&self, id: SessionId) -> Result<SessionFile, StoreError> {
        let items = self.query(&self.tables.sessions, &session_pk(id), Range::All).await?;
        let mut session = None;
        let (mut meter_values, mut journal) = (vec![], vec![]);
        let (mut rated, mut payment, mut cdr, mut credit_cdr) = (None, None, None, None);
        let (mut decisions, mut credit_notes, mut mails) = (Vec::<Decision>::new(), vec![], vec![]);
        for item in items {
            match string(&item, SK)? {
                META => session = Some(from_item(item)?),
                "RATED" => rated = Some(from_document(&item)?),
                "PAYMENT" => payment = Some(from_document(&item)?),
                CDR => cdr = Some(from_document(&item)?),
                CREDIT_CDR => credit_cdr = Some(from_document(&item)?),
                sk if sk.starts_with(DECISION) => decisions.push(from_document(&item)?),
                sk if sk.starts_with("SAMPLE#") => meter_values.push(sample(&item)?),
                sk if sk.starts_with("JOURNAL#") => journal.push(from_document(&item)?),
                sk => {
                    if let Some(key) = sk.strip_prefix(CREDIT_NOTE) {
                        let note: CreditNote = from_document(&item)?;
                        credit_notes.push((key.to_owned(), note));
                    } else if let Some(key) = sk.strip_prefix(MAIL) {
                        mails.push((key.to_owned(), from_item(item)?));
                    }
                }
            }
        }
        decisions.sort_by_key(|decision| decision.at);
        credit_notes.sort_by_key(|(_, note)| note.issued_at);
        let missing = || StoreError::NotFound { what: "session", id: id.to_string() };
        let session = session.ok_or_else(missing)?;
        Ok(SessionFile {
            session,
            meter_values,
            rated,
            payment,
            cdr,
            credit_cdr,
            journal,
            decisions,
            credit_notes,
            mails,
        })
    }

    /// When a session was last heard of: its last MeterValues, or its start. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn last_heard(&self, session: &Session) -> Result<DateTime<Utc>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.tables.sessions)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sample)")
            .expression_attribute_values(":pk", s(session_pk(session.id)))
            .expression_attribute_values(":sample", s("SAMPLE#"))
            .scan_index_forward(false)
            .limit(1);
        let newest = request.send().await.map_err(dynamo("Query"))?.items.unwrap_or_default();
        let heard = newest.first().map(sample).transpose()?;
        Ok(heard
            .map_or(session.received_at, |(received_at, _)| received_at.max(session.received_at)))
    }

    /// Ends a session, once: its end, and the event or the exception, in one transaction. An
    /// exception that the end makes void is `cleared` with it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when the session is no longer in the state it was read in.
    pub async fn end(
        &self,
        session: &Session,
        end: &End,
        ends_in: &EndsIn,
        cleared: Option<&ExceptionRecord>,
    ) -> Result<(), StoreError> {
        let to = match ends_in {
            EndsIn::Rating(_) => SessionState::Ended,
            EndsIn::Hold(_) => SessionState::Held,
        };
        let mut values = vec![
            (":to", state(to)),
            (":from", state(session.state)),
            (":ended", s(instant(end.ended_at))),
            (":received", s(instant(end.received_at))),
            (":meter", s(end.meter_stop.wh().to_string())),
        ];
        let mut set = "SET #state = :to, ended_at = :ended, end_received_at = :received, \
                       meter_stop = :meter"
            .to_owned();
        if let Some(reason) = &end.stop_reason {
            set.push_str(", stop_reason = :reason");
            values.push((":reason", s(reason)));
        }
        if let Some(frame) = &end.stop_frame {
            set.push_str(", stop_frame = :frame");
            values.push((":frame", s(frame)));
        }
        match ends_in {
            EndsIn::Rating(_) => {
                set.push_str(", gsi_open = :open");
                values.push((":open", s(OPEN)));
            }
            EndsIn::Hold(_) => set.push_str(" REMOVE gsi_open"),
        }
        let change = Change::default().update(
            &self.tables.sessions,
            &[(PK, &session_pk(session.id)), (SK, META)],
            &set,
            "#state = :from AND attribute_not_exists(stop_frame)",
            &[("#state", "state")],
            values,
        )?;
        let mut change = match ends_in {
            EndsIn::Rating(envelope) => change.tell(&self.tables.outbox, envelope)?,
            EndsIn::Hold(exception) => self.raise_in(change, exception)?,
        };
        if let Some(cleared) = cleared {
            change = self.clear_in(change, cleared)?;
        }
        self.committed(change, "session").await
    }

    /// Holds a session for a person.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when the session is no longer in the state it was read in.
    pub async fn hold(
        &self,
        session: &Session,
        exception: &ExceptionRecord,
    ) -> Result<(), StoreError> {
        let change = Change::default().update(
            &self.tables.sessions,
            &[(PK, &session_pk(session.id)), (SK, META)],
            "SET #state = :held REMOVE gsi_open",
            "#state = :from",
            &[("#state", "state")],
            vec![(":held", state(SessionState::Held)), (":from", state(session.state))],
        )?;
        self.committed(self.raise_in(change, exception)?, "session").await
    }

    /// Stores the CDR of a session, once; the first one stands and is given back.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn keep_cdr(&self, id: SessionId, cdr: &Cdr) -> Result<Cdr, StoreError> {
        self.keep_cdr_as(id, CDR, cdr).await
    }

    pub(crate) async fn keep_cdr_as(
        &self,
        id: SessionId,
        sk: &str,
        cdr: &Cdr,
    ) -> Result<Cdr, StoreError> {
        let pk = session_pk(id);
        let item = document(&pk, sk, cdr)?;
        if self.put_new(&self.tables.sessions, item).await? == Saved::New {
            return Ok(cdr.clone());
        }
        let standing = self.get(&self.tables.sessions, &pk, Some(sk)).await?;
        let missing = || StoreError::NotFound { what: "CDR", id: id.to_string() };
        from_document(&standing.ok_or_else(missing)?)
    }

    /// A driver's sessions, newest first. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn sessions_of(&self, driver: &DriverId) -> Result<Vec<Session>, StoreError> {
        let table = &self.tables.sessions;
        let items = self.query_index(table, "by_driver", "gsi_driver", driver.as_str()).await?;
        items.into_iter().map(from_item).collect()
    }

    /// The newest `limit` of a driver's sessions that began before `before`, newest first.
    /// Eventually consistent. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn sessions_of_before(
        &self,
        driver: &DriverId,
        before: DateTime<Utc>,
        limit: i32,
    ) -> Result<Vec<Session>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.tables.sessions)
            .index_name("by_driver")
            .key_condition_expression("gsi_driver = :driver AND gsi_at < :before")
            .expression_attribute_values(":driver", s(driver.as_str()))
            .expression_attribute_values(":before", s(sortable(before)))
            .scan_index_forward(false)
            .limit(limit);
        let items = request.send().await.map_err(dynamo("Query"))?.items.unwrap_or_default();
        items.into_iter().map(from_item).collect()
    }

    /// Sessions that are not done: running, waiting, or not yet priced. Eventually consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn open_sessions(&self) -> Result<Vec<Session>, StoreError> {
        let items = self.query_index(&self.tables.sessions, "open", "gsi_open", OPEN).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Commits a change in which a refused condition means that the caller's view is old.
    pub(crate) async fn committed(
        &self,
        change: Change,
        what: &'static str,
    ) -> Result<(), StoreError> {
        match self.commit(change).await? {
            Transacted::Committed => Ok(()),
            Transacted::Refused { .. } => Err(StoreError::Stale { what }),
        }
    }
}

/// An item of a session's partition that holds a record as a document.
pub(crate) fn document<T: serde::Serialize>(
    pk: &str,
    sk: &str,
    record: &T,
) -> Result<Item, StoreError> {
    let mut item = key(&[(PK, pk), (SK, sk)]);
    item.insert("doc".to_owned(), to_document(pk, record)?);
    Ok(item)
}

/// The item of a journal entry.
pub(crate) fn journal_item(pk: &str, entry: &JournalEntry) -> Result<Item, StoreError> {
    document(pk, &format!("JOURNAL#{}", entry.id()), entry)
}

fn key(parts: &[(&str, &str)]) -> HashMap<String, AttributeValue> {
    parts.iter().map(|(name, value)| ((*name).to_owned(), s(*value))).collect()
}

fn sample(item: &Item) -> Result<(DateTime<Utc>, String), StoreError> {
    let received_at = string(item, "received_at")?;
    let corrupt = |error| StoreError::Corrupt {
        key: string(item, SK).unwrap_or_default().to_owned(),
        source: Box::new(error),
    };
    Ok((received_at.parse().map_err(corrupt)?, string(item, "frame")?.to_owned()))
}
