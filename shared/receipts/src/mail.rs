//! The record of a mail: what is mailed to whom, and what came of it.
//!
//! It is stored before the mail is sent, and again with the outcome. A crash between the two sends
//! it a second time, never not at all; a repeat of what it is sent upon sends nothing.

use chrono::{DateTime, TimeDelta, Utc};
use network::EmailAddress;
use serde::{Deserialize, Serialize};

/// A mail about a session. There is one of each key: see [`Mailing::key`] and [`Requested::key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// What is mailed.
    pub what: Mailing,
    /// To whom, as far as it may be shown.
    pub to: String,
    /// Who asked for it, if somebody did: else it is the driver's own wish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Requested>,
    /// How often it was begun to be sent.
    pub attempts: u32,
    /// When it last was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<DateTime<Utc>>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<MailOutcome>,
}

/// What is mailed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mailing {
    /// The receipt.
    Receipt,
    /// The receipt, with what is still owed.
    Owed,
    /// The credit note of what it credits.
    CreditNote {
        /// What it credits.
        credits: String,
    },
}

/// A mail that one of the operator's staff asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Who: the subject of their token.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// A digest of what was asked for: another request under the same key is not a repeat.
    pub request: String,
    /// Where it goes, until it has gone: then nobody needs it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<EmailAddress>,
}

/// What came of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MailOutcome {
    /// SES has taken it.
    Sent {
        /// SES's id of it.
        message_id: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// SES will not take it: the address, or what is in it, is refused.
    Refused {
        /// SES's error code.
        code: String,
        /// When.
        at: DateTime<Utc>,
    },
}

/// What is to be done about a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// To store this, and to send it.
    Send(Mail),
    /// Somebody else may be sending it: to look again later.
    Wait,
    /// Nothing.
    Done,
}

impl Mailing {
    /// The key of the mail that the driver's own wish is: there is one for each.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Receipt => "receipt".to_owned(),
            Self::Owed => "owed".to_owned(),
            Self::CreditNote { credits } => format!("credit-note:{credits}"),
        }
    }
}

impl Requested {
    /// The key of a mail that was asked for under the id `id`.
    #[must_use]
    pub fn key(id: &str) -> String {
        format!("requested:{id}")
    }
}

impl Mail {
    /// A mail that nobody has begun to send.
    #[must_use]
    pub fn new(what: Mailing, to: &EmailAddress, requested: Option<Requested>) -> Self {
        let to = to.masked();
        Self { what, to, requested, attempts: 0, tried_at: None, outcome: None }
    }

    /// What whoever comes to send it at `now` does. Whoever began before may need as long as
    /// `patience`; after that they are gone, and nobody knows whether they sent it.
    #[must_use]
    pub fn turn(self, now: DateTime<Utc>, patience: TimeDelta) -> Turn {
        if self.outcome.is_some() {
            return Turn::Done;
        }
        if self.tried_at.is_some_and(|at| now < at + patience) {
            return Turn::Wait;
        }
        let attempts = self.attempts.saturating_add(1);
        Turn::Send(Self { attempts, tried_at: Some(now), ..self })
    }

    /// The mail with what came of it; where it went is forgotten.
    #[must_use]
    pub fn ended(self, outcome: MailOutcome) -> Self {
        let requested = self.requested.map(|asked| Requested { address: None, ..asked });
        Self { requested, outcome: Some(outcome), ..self }
    }

    /// When it was sent, if it was.
    #[must_use]
    pub fn sent_at(&self) -> Option<DateTime<Utc>> {
        match &self.outcome {
            Some(MailOutcome::Sent { at, .. }) => Some(*at),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::at;

    const PATIENCE: TimeDelta = TimeDelta::minutes(1);

    fn address() -> EmailAddress {
        "ada@example.com".parse().unwrap()
    }

    fn begun(mail: Mail, minute: i64) -> Mail {
        match mail.turn(at(minute), PATIENCE) {
            Turn::Send(mail) => mail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mail_is_sent_once_and_again_only_after_whoever_began_it_is_gone() {
        let mail = begun(Mail::new(Mailing::Receipt, &address(), None), 0);
        assert_eq!((mail.attempts, mail.tried_at), (1, Some(at(0))));
        assert_eq!(mail.clone().turn(at(0), PATIENCE), Turn::Wait);
        let again = begun(mail, 1);
        assert_eq!(again.attempts, 2, "a crash between may send it twice, but never not");
        let sent = MailOutcome::Sent { message_id: "m1".to_owned(), at: at(1) };
        let sent = again.ended(sent);
        assert_eq!(sent.clone().turn(at(9), PATIENCE), Turn::Done);
        assert_eq!(sent.sent_at(), Some(at(1)));
    }

    #[test]
    fn a_refused_address_is_not_tried_again() {
        let mail = begun(Mail::new(Mailing::Owed, &address(), None), 0);
        let mail = mail.ended(MailOutcome::Refused { code: "MessageRejected".into(), at: at(0) });
        assert_eq!((mail.sent_at(), mail.turn(at(9), PATIENCE)), (None, Turn::Done));
    }

    #[test]
    fn an_address_that_was_asked_for_is_kept_until_the_mail_has_gone() {
        let requested = Requested {
            by: "support-1".to_owned(),
            at: at(0),
            request: String::new(),
            address: Some(address()),
        };
        let mail = begun(Mail::new(Mailing::Receipt, &address(), Some(requested)), 0);
        assert!(serde_json::to_string(&mail).unwrap().contains("ada@example.com"));
        let sent = MailOutcome::Sent { message_id: "m1".to_owned(), at: at(0) };
        let mail = mail.ended(sent);
        let stored = serde_json::to_string(&mail).unwrap();
        assert!(!stored.contains("ada@") && stored.contains("a…@example.com"), "{stored}");
        assert_eq!(serde_json::from_str::<Mail>(&stored).unwrap(), mail);
    }

    #[test]
    fn each_thing_is_mailed_under_a_key_of_its_own() {
        let note = |credits: &str| Mailing::CreditNote { credits: credits.to_owned() }.key();
        let keys = [Mailing::Receipt.key(), Mailing::Owed.key(), note("d1"), note("waiver")];
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }
}
