//! Money that moves after the sale.

use chrono::{DateTime, Utc};
use quantities::Amount;

use crate::{
    Account::{
        self, AccountsReceivable, BadDebts, ChargebackLosses, DisputeFees, DisputedFunds,
        RefundsPayable, StripeClearing,
    },
    JournalEntry, JournalLine, LedgerError,
    Side::{Credit, Debit},
};

/// What happens to disputed money, in the order in which it does.
/// <https://docs.stripe.com/disputes/how-disputes-work>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeMove {
    /// The bank took it back.
    Withdrawn,
    /// The bank gave it back: the dispute was won.
    Reinstated,
    /// The bank keeps it: the dispute was lost. The sale stands; the loss is an expense.
    Lost,
    /// It is lost no more: what was lost came back, or the verdict was another after all.
    Recovered,
}

impl JournalEntry {
    /// Money was taken beyond what was owed: it is the driver's. The sale is as it was.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn surplus(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        Self::moved(id, booked_at, (AccountsReceivable, RefundsPayable), amount)
    }

    /// Money that was credited, or taken too much, was given back.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn refund(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        Self::moved(id, booked_at, (RefundsPayable, StripeClearing), amount)
    }

    /// Money that was given back did not arrive and is ours again; it is still to be given back.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn refund_failed(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        Self::moved(id, booked_at, (StripeClearing, RefundsPayable), amount)
    }

    /// What a driver owes will not come.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn write_off(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        Self::moved(id, booked_at, (BadDebts, AccountsReceivable), amount)
    }

    /// What was written off came after all.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn recovery(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        Self::moved(id, booked_at, (AccountsReceivable, BadDebts), amount)
    }

    /// Disputed money moved.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn dispute(
        id: String,
        booked_at: DateTime<Utc>,
        moved: DisputeMove,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        let (debit, credit) = match moved {
            DisputeMove::Withdrawn => (DisputedFunds, StripeClearing),
            DisputeMove::Reinstated => (StripeClearing, DisputedFunds),
            DisputeMove::Lost => (ChargebackLosses, DisputedFunds),
            DisputeMove::Recovered => (DisputedFunds, ChargebackLosses),
        };
        Self::moved(id, booked_at, (debit, credit), amount)
    }

    /// Stripe charged its fee for a dispute.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn dispute_fee(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        Self::moved(id, booked_at, (DisputeFees, StripeClearing), amount)
    }

    /// Stripe gave a fee for a dispute back.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn dispute_fee_returned(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        Self::moved(id, booked_at, (StripeClearing, DisputeFees), amount)
    }

    /// What a refund did not give back the driver has from their bank, by a dispute that was lost:
    /// so much of it is no loss, but paid what was to be given back.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn charged_back(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        Self::moved(id, booked_at, (RefundsPayable, ChargebackLosses), amount)
    }

    /// The bank gave that back to us: it is still to be given back.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Negative`] when `amount` is negative.
    pub fn charged_back_no_more(
        id: String,
        booked_at: DateTime<Utc>,
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        Self::moved(id, booked_at, (ChargebackLosses, RefundsPayable), amount)
    }

    fn moved(
        id: String,
        booked_at: DateTime<Utc>,
        (debit, credit): (Account, Account),
        amount: Amount,
    ) -> Result<Self, LedgerError> {
        let lines =
            vec![JournalLine::new(debit, Debit, amount), JournalLine::new(credit, Credit, amount)];
        Self::new(id, booked_at, amount.currency, lines)
    }
}

#[cfg(test)]
mod tests {
    use quantities::Currency;

    use super::*;
    use crate::{
        Sold,
        tests::{at, eur, sale, tax},
    };

    fn net(entries: &[JournalEntry], account: Account) -> i64 {
        entries.iter().map(|entry| entry.net_minor(account)).sum()
    }

    /// 11.90 with 19 % VAT, sold and taken.
    fn taken() -> Vec<JournalEntry> {
        let sale = JournalEntry::sale(sale(1190, 0, vec![tax("VAT", "19", 190)])).unwrap();
        vec![sale, JournalEntry::capture("c".into(), at(), eur(1190)).unwrap()]
    }

    #[test]
    fn a_full_refund_leaves_every_account_at_zero() {
        let mut books = taken();
        let sold = Sold::of(&books, Currency::EUR).unwrap();
        books.push(sold.credit("n".into(), at(), RefundsPayable, sold.all()).unwrap());
        assert_eq!(net(&books, RefundsPayable), -1190);
        books.push(JournalEntry::refund("r".into(), at(), eur(1190)).unwrap());
        for account in [
            AccountsReceivable,
            StripeClearing,
            Account::ChargingRevenue,
            Account::TaxPayable,
            RefundsPayable,
        ] {
            assert_eq!(net(&books, account), 0, "{account:?}");
        }
    }

    #[test]
    fn a_refund_that_fails_later_is_still_to_be_given_back() {
        let mut books = taken();
        let sold = Sold::of(&books, Currency::EUR).unwrap();
        let part = sold.part(eur(500)).unwrap();
        books.push(sold.credit("n".into(), at(), RefundsPayable, &part).unwrap());
        books.push(JournalEntry::refund("r".into(), at(), eur(500)).unwrap());
        books.push(JournalEntry::refund_failed("f".into(), at(), eur(500)).unwrap());
        assert_eq!(net(&books, RefundsPayable), -500);
        assert_eq!(net(&books, StripeClearing), 1190);
    }

    #[test]
    fn what_is_taken_too_much_is_given_back_and_the_sale_stands() {
        let mut books = taken();
        books.push(JournalEntry::capture("d".into(), at(), eur(1190)).unwrap());
        books.push(JournalEntry::surplus("s".into(), at(), eur(1190)).unwrap());
        assert_eq!(net(&books, AccountsReceivable), 0);
        assert_eq!(net(&books, RefundsPayable), -1190);
        books.push(JournalEntry::refund("r".into(), at(), eur(1190)).unwrap());
        assert_eq!((net(&books, StripeClearing), net(&books, RefundsPayable)), (1190, 0));
        assert_eq!(net(&books, Account::ChargingRevenue), -1000);
        // What was sold is still there to be credited.
        let sold = Sold::of(&books, Currency::EUR).unwrap();
        assert_eq!(sold.all().gross().unwrap(), eur(1190));
    }

    #[test]
    fn a_fee_in_another_currency_is_an_entry_of_its_own() {
        let mut books = taken();
        let fee = Amount::new(1500, Currency::USD);
        books.push(JournalEntry::dispute_fee("f".into(), at(), fee).unwrap());
        assert_eq!(books[2].currency(), Currency::USD);
        let sold = Sold::of(&books, Currency::EUR).unwrap();
        assert_eq!(sold.all().gross().unwrap(), eur(1190));
    }

    #[test]
    fn a_dispute_costs_its_fee_when_it_is_won_and_its_amount_when_it_is_lost() {
        let dispute = |moved| JournalEntry::dispute("d".into(), at(), moved, eur(1190)).unwrap();
        let fee = JournalEntry::dispute_fee("f".into(), at(), eur(1500)).unwrap();
        let mut won = taken();
        won.extend([
            dispute(DisputeMove::Withdrawn),
            fee.clone(),
            dispute(DisputeMove::Reinstated),
        ]);
        assert_eq!(net(&won, StripeClearing), 1190 - 1500);
        let mut lost = taken();
        // In whatever order they are told.
        lost.extend([dispute(DisputeMove::Lost), fee, dispute(DisputeMove::Withdrawn)]);
        assert_eq!(net(&lost, StripeClearing), -1500);
        assert_eq!(net(&lost, ChargebackLosses), 1190);
        for books in [won, lost] {
            assert_eq!(net(&books, DisputedFunds), 0);
            assert_eq!(net(&books, DisputeFees), 1500);
        }
    }

    #[test]
    fn what_is_written_off_is_owed_no_more_and_the_sale_stands() {
        let mut books = vec![taken().remove(0)];
        books.push(JournalEntry::write_off("w".into(), at(), eur(1190)).unwrap());
        assert_eq!(net(&books, AccountsReceivable), 0);
        assert_eq!(net(&books, BadDebts), 1190);
        assert_eq!(net(&books, Account::ChargingRevenue), -1000);
    }

    #[test]
    fn no_amount_is_negative() {
        assert!(JournalEntry::refund("r".into(), at(), eur(-1)).is_err());
        assert!(JournalEntry::surplus("s".into(), at(), eur(-1)).is_err());
        assert!(JournalEntry::write_off("w".into(), at(), eur(-1)).is_err());
        assert!(JournalEntry::dispute("d".into(), at(), DisputeMove::Lost, eur(-1)).is_err());
    }
}
