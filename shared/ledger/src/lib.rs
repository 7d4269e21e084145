//! Double-entry journal: what each money event books, balanced by construction.
//!
//! Invariant: a [`JournalEntry`] exists only if its debits equal its credits in one currency;
//! reading one from storage checks it again.

use chrono::{DateTime, Utc};
use quantities::{Amount, Currency, MoneyError};
use serde::{Deserialize, Serialize};

/// An account of the chart that Tallywatt books to; the accounting system maps them to its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Asset: what drivers owe.
    AccountsReceivable,
    /// Asset: what roaming partners owe.
    RoamingReceivable,
    /// Asset: money at Stripe, not yet paid out.
    StripeClearing,
    /// Income: charging sold, tax excluded.
    ChargingRevenue,
    /// Liability: tax collected for the state.
    TaxPayable,
}

/// Which side of an account a line is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Debit.
    Debit,
    /// Credit.
    Credit,
}

/// One line of an entry: a positive amount on one side of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// The account.
    pub account: Account,
    /// The side.
    pub side: Side,
    /// How much; never negative.
    pub amount: Amount,
}

/// A balanced journal entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct JournalEntry {
    id: String,
    booked_at: DateTime<Utc>,
    currency: Currency,
    lines: Vec<JournalLine>,
}

/// Why lines are not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Debits and credits differ.
    #[error("journal entry {id} does not balance: {debit_minor} debit, {credit_minor} credit")]
    Unbalanced {
        /// The entry.
        id: String,
        /// Sum of debits in minor units.
        debit_minor: i64,
        /// Sum of credits in minor units.
        credit_minor: i64,
    },
    /// A line is negative: the other side of the account is meant.
    #[error("journal entry {id} has a negative line")]
    Negative {
        /// The entry.
        id: String,
    },
    /// Amounts do not add up in one currency.
    #[error("journal entry {id} cannot be summed")]
    Sum {
        /// The entry.
        id: String,
        /// Why.
        #[source]
        source: MoneyError,
    },
}

#[derive(Deserialize)]
struct Unchecked {
    id: String,
    booked_at: DateTime<Utc>,
    currency: Currency,
    lines: Vec<JournalLine>,
}

impl TryFrom<Unchecked> for JournalEntry {
    type Error = LedgerError;

    fn try_from(entry: Unchecked) -> Result<Self, LedgerError> {
        Self::new(entry.id, entry.booked_at, entry.currency, entry.lines)
    }
}

impl JournalEntry {
    /// An entry of these lines; lines of zero are left out.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] when the lines do not balance, are negative, or mix currencies.
    pub fn new(
        id: String,
        booked_at: DateTime<Utc>,
        currency: Currency,
        mut lines: Vec<JournalLine>,
    ) -> Result<Self, LedgerError> {
        lines.retain(|line| !line.amount.is_zero());
        if lines.iter().any(|line| line.amount.minor < 0) {
            return Err(LedgerError::Negative { id });
        }
        let sum = |side| {
            let lines = lines.iter().filter(|line| line.side == side);
            lines.map(|line| line.amount).try_fold(Amount::zero(currency), Amount::checked_add)
        };
        let (debit, credit) = match (sum(Side::Debit), sum(Side::Credit)) {
            (Ok(debit), Ok(credit)) => (debit.minor, credit.minor),
            (Err(source), _) | (_, Err(source)) => return Err(LedgerError::Sum { id, source }),
        };
        if debit != credit {
            let (debit_minor, credit_minor) = (debit, credit);
            return Err(LedgerError::Unbalanced { id, debit_minor, credit_minor });
        }
        Ok(Self { id, booked_at, currency, lines })
    }

    /// Charging was sold: the receivable against revenue and tax.
    ///
    /// `gross` is what the session costs with tax, `tax` the tax in it.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] when `tax` exceeds `gross` or the currencies differ.
    pub fn sale(
        id: String,
        booked_at: DateTime<Utc>,
        receivable: Account,
        gross: Amount,
        tax: Amount,
    ) -> Result<Self, LedgerError> {
        let net = match gross.checked_sub(tax) {
            Ok(net) => net,
            Err(source) => return Err(LedgerError::Sum { id, source }),
        };
        let lines = vec![
            JournalLine { account: receivable, side: Side::Debit, amount: gross },
            JournalLine { account: Account::ChargingRevenue, side: Side::Credit, amount: net },
            JournalLine { account: Account::TaxPayable, side: Side::Credit, amount: tax },
        ];
        Self::new(id, booked_at, gross.currency, lines)
    }

    /// Money was taken at Stripe: clearing against the receivable.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn capture(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        let lines = vec![
            JournalLine { account: Account::StripeClearing, side: Side::Debit, amount },
            JournalLine { account: Account::AccountsReceivable, side: Side::Credit, amount },
        ];
        Self::new(id, booked_at, amount.currency, lines)
    }

    /// Its id, unique in the books.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its lines; empty when nothing was worth booking.
    #[must_use]
    pub fn lines(&self) -> &[JournalLine] {
        &self.lines
    }

    /// Its currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// Debits less credits of `account`, in minor units.
    #[must_use]
    pub fn net_minor(&self, account: Account) -> i64 {
        let lines = self.lines.iter().filter(|line| line.account == account);
        lines
            .map(|line| match line.side {
                Side::Debit => line.amount.minor,
                Side::Credit => -line.amount.minor,
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn eur(minor: i64) -> Amount {
        Amount::new(minor, Currency::EUR)
    }

    #[test]
    fn an_entry_that_does_not_balance_cannot_be_read_back() {
        let entry =
            JournalEntry::sale("s".into(), at(), Account::AccountsReceivable, eur(1190), eur(190));
        let text = serde_json::to_string(&entry.unwrap()).unwrap();
        assert!(serde_json::from_str::<JournalEntry>(&text).is_ok());
        let forged = text.replacen("1190", "1191", 1);
        assert!(serde_json::from_str::<JournalEntry>(&forged).is_err(), "{forged}");
    }

    #[test]
    fn a_free_session_books_nothing() {
        let entry =
            JournalEntry::sale("s".into(), at(), Account::RoamingReceivable, eur(0), eur(0));
        assert!(entry.unwrap().lines().is_empty());
    }

    #[test]
    fn a_negative_sale_is_refused() {
        let entry = JournalEntry::capture("c".into(), at(), eur(-1));
        assert!(matches!(entry, Err(LedgerError::Negative { .. })));
    }

    proptest! {
        #[test]
        fn a_sale_and_its_capture_leave_nothing_receivable(gross in 0_i64..1_000_000, percent in 0_i64..=100) {
            let tax = gross * percent / (100 + percent);
            let sale = JournalEntry::sale("s".into(), at(), Account::AccountsReceivable, eur(gross), eur(tax)).unwrap();
            let capture = JournalEntry::capture("c".into(), at(), eur(gross)).unwrap();
            let receivable = Account::AccountsReceivable;
            prop_assert_eq!(sale.net_minor(receivable) + capture.net_minor(receivable), 0);
            prop_assert_eq!(sale.net_minor(Account::ChargingRevenue) + sale.net_minor(Account::TaxPayable), -gross);
        }
    }
}
