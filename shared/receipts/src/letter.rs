//! Receipt and credit note as mails.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use network::Site;
use quantities::Amount;

use crate::{CreditNote, Receipt};

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it is about, in one line.
    pub subject: String,
    /// All of it as text, to read and print.
    pub text: String,
    /// The same as a page.
    pub html: String,
}

impl Receipt {
    /// The receipt as a mail.
    #[must_use]
    pub fn letter(&self) -> Letter {
        self.about(&format!("Receipt for {}", self.price.gross()))
    }

    /// The receipt as a mail that says first that `owed` of it is still to be paid.
    #[must_use]
    pub fn reminder(&self, owed: Amount) -> Letter {
        self.about(&format!("{owed} still owed"))
    }

    fn about(&self, what: &str) -> Letter {
        let Self { session, site, .. } = self;
        let subject = subject(what, site, session.started_at, session.time_zone);
        Letter { subject, text: self.text(), html: self.page() }
    }
}

impl CreditNote {
    /// The credit note as a mail; the session was at `site`.
    #[must_use]
    pub fn letter(&self, site: &Site) -> Letter {
        let what = format!("Credit note {}: {}", self.number, self.credited.incl_tax);
        let subject = subject(&what, site, self.sold_at, self.time_zone);
        Letter { subject, text: self.text(), html: self.page() }
    }
}

/// A subject is one line, whatever a site is called.
fn subject(what: &str, site: &Site, at: DateTime<Utc>, zone: Tz) -> String {
    let day = at.with_timezone(&zone).format("%Y-%m-%d");
    let subject = format!("{what}, charging at {} on {day}", site.name);
    subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use crate::test_support::{eur, note, receipt};

    #[test]
    fn a_subject_names_amount_site_and_the_sites_day_in_one_line() {
        let mut receipt = receipt();
        receipt.site.name = "Zuid\r\nBcc: eve@example.com".to_owned();
        // Half past eleven in the evening of 28 February, UTC: in Amsterdam it is March.
        receipt.session.started_at = "2026-02-28T23:30:00Z".parse().unwrap();
        let subject = "Receipt for 6.79 EUR, charging at Zuid  Bcc: eve@example.com on 2026-03-01";
        assert_eq!(receipt.letter().subject, subject);
        let owed = receipt.reminder(eur(121)).subject;
        assert!(owed.starts_with("1.21 EUR still owed, charging at Zuid"), "{owed}");
    }

    #[test]
    fn a_letter_says_the_same_as_text_and_as_page() {
        let receipt = receipt();
        let letter = receipt.letter();
        assert_eq!((&letter.text, &letter.html), (&receipt.text(), &receipt.page()));
        assert!(letter.text.contains("Total: 6.79 EUR"), "{}", letter.text);
        assert!(letter.html.contains("6.79 EUR"), "{}", letter.html);
        let note = note("too slow");
        let credited = note.letter(&receipt.site);
        let subject = format!("Credit note {}: 1.21 EUR, charging at Zuid", note.number);
        assert!(credited.subject.starts_with(&subject), "{}", credited.subject);
        assert!(credited.text.contains("VAT 21 % on 1.00 EUR: 0.21 EUR"), "{}", credited.text);
    }
}
