//! How a session is paid, in words.

use std::fmt;

use quantities::Amount;

/// How a session that has its price is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paid {
    /// The price is being taken from a card.
    Collecting,
    /// So much was taken from a card, and nothing is owed.
    Taken(Amount),
    /// Nothing is due.
    NothingDue,
    /// The card was refused.
    Owed {
        /// What was taken before.
        taken: Amount,
        /// What is owed.
        owed: Amount,
    },
    /// An account is billed for it.
    Invoiced,
    /// A roaming partner bills it.
    Roaming,
    /// Nobody pays, and that is meant.
    Free,
}

impl fmt::Display for Paid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::Taken(amount) => {
                return write!(f, "{amount} were taken from the card. Nothing else is held.");
            }
            Self::Owed { taken, owed } => {
                return write!(f, "{taken} were taken from the card; {owed} are still owed.");
            }
            Self::Collecting => "The price is being taken from the card.",
            Self::NothingDue => "Nothing is due; what was held is released.",
            Self::Invoiced => "Your account is billed for it by invoice.",
            Self::Roaming => "Your charging provider bills you.",
            Self::Free => "The session is free of charge.",
        };
        f.write_str(sentence)
    }
}
