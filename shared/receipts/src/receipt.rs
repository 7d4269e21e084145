//! The receipt.

use network::Site;
use rating::PricedSession;
use session::Session;

use crate::{CreditNote, page, text};

/// What a receipt is made of. Its number is the session's id: there is one of each session.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// What was sold.
    pub session: Session,
    /// Where.
    pub site: Site,
    /// At which price.
    pub price: PricedSession,
    /// How it was paid, in sentences.
    pub paid: Vec<String>,
    /// What was credited of it since.
    pub credit_notes: Vec<CreditNote>,
}

impl Receipt {
    /// The receipt as a page to read and print: no script, nothing loaded, everything escaped.
    #[must_use]
    pub fn page(&self) -> String {
        page::receipt(self).into_string()
    }

    /// The receipt as plain text, for e-mail.
    #[must_use]
    pub fn text(&self) -> String {
        text::receipt(self)
    }
}

impl CreditNote {
    /// The credit note as a page to read and print.
    #[must_use]
    pub fn page(&self) -> String {
        page::credit_note(self).into_string()
    }

    /// The credit note as plain text, for e-mail.
    #[must_use]
    pub fn text(&self) -> String {
        text::credit_note(self)
    }
}
