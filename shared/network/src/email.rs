//! E-mail addresses.

use std::{fmt, str::FromStr};

use email_address::Options;
use serde::{Deserialize, Serialize};

/// The longest address that mail can be sent to (RFC 3696, erratum 1690).
const LENGTH_MAX: usize = 254;

/// An address that a mail can be sent to: `local-part@domain`, without a name beside it.
///
/// Only what SES takes: it knows no SMTPUTF8, so both parts are ASCII, and a domain with other
/// letters is written in Punycode. Quoted local parts, which hardly anybody has and which can hold
/// anything, are left out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// A text is no address. It does not say which: it may be somebody's all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, such as name@example.com, in ASCII")]
pub struct NotAnAddress;

impl EmailAddress {
    /// The address. It names a person: do not log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What may be shown of it: enough for whoever knows it to know it again.
    #[must_use]
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or_default();
        let first: String = local.chars().take(1).collect();
        format!("{first}…@{domain}")
    }
}

impl FromStr for EmailAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let options =
            Options::default().with_required_tld().without_domain_literal().without_display_text();
        let plain = text.is_ascii() && !text.contains('"') && text.len() <= LENGTH_MAX;
        match email_address::EmailAddress::parse_with_options(text, options) {
            Ok(address) if plain => Ok(Self(address.into())),
            _ => Err(NotAnAddress),
        }
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        text.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

impl fmt::Debug for EmailAddress {
    /// Hides the address, which names a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_ses_takes() {
        for good in ["ada@example.com", "ada.l+ev@mail.example.co.uk", "o'neill@xn--mnchen-3ya.de"]
        {
            assert_eq!(good.parse::<EmailAddress>().unwrap().as_str(), good);
        }
        let long = format!("ada@{}example.com", "a.".repeat(130));
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada@[127.0.0.1]",
            "Ada <ada@example.com>",
            "ada@example.com, bob@example.com",
            "ada@example.com\r\nBcc: bob@example.com",
            "\"a\r\nb\"@example.com",
            "\"a b\"@example.com",
            "ädä@example.com",
            "ada@münchen.de",
            " ada@example.com",
            long.as_str(),
        ] {
            assert_eq!(bad.parse::<EmailAddress>(), Err(NotAnAddress), "{bad:?}");
        }
    }

    #[test]
    fn an_address_is_shown_to_nobody() {
        let address: EmailAddress = "ada@example.com".parse().unwrap();
        assert_eq!(format!("{address:?}"), "EmailAddress(…)");
        assert_eq!(address.masked(), "a…@example.com");
        assert!(!NotAnAddress.to_string().contains("ada"));
    }
}
