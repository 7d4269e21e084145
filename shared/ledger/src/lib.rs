//! Double-entry journal: what each money event books, balanced by construction.
//!
//! Invariant: a [`JournalEntry`] exists only if its debits equal its credits in one currency;
//! reading one from storage checks it again.

mod after_sale;
mod credit;

pub use after_sale::DisputeMove;
pub use credit::{Part, Sold};

use chrono::{DateTime, Utc};
use quantities::{AccountId, Amount, Currency, MoneyError, TaxPercent};
use serde::{Deserialize, Serialize};

/// An account of the chart that Tallywatt books to; the accounting system maps them to its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Asset: what drivers owe.
    AccountsReceivable,
    /// Asset: what accounts owe that are billed by invoice; the entry names the account.
    InvoicedReceivable,
    /// Asset: what roaming partners owe.
    RoamingReceivable,
    /// Asset: money at Stripe, not yet paid out.
    StripeClearing,
    /// Income: charging sold at the tariff's prices, tax excluded.
    ChargingRevenue,
    /// Contra income: what plans took off the tariff's prices (waived fees, allowances, discounts).
    /// Revenue less this is what was earned; apart, both the list price and what a plan costs are
    /// seen. A tariff's own limits (idle cap, maximum price) are part of its price, not here.
    PlanReductions,
    /// Liability: tax collected for the state; its line names which tax.
    TaxPayable,
    /// Liability: what was credited to drivers and is not given back yet.
    RefundsPayable,
    /// Asset: money that a cardholder's bank took back and has not ruled on.
    DisputedFunds,
    /// Expense: what Stripe charges for a dispute; it stays, whoever wins.
    DisputeFees,
    /// Expense: what was lost in disputes.
    ChargebackLosses,
    /// Expense: what was owed and nobody expects to be paid any more, its taxes included: whether
    /// the state gives them back is for the accountant to claim.
    BadDebts,
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

/// Which tax a line of [`Account::TaxPayable`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxOwed {
    /// What the receipt calls it.
    pub name: String,
    /// Its rate in percent.
    pub percent: TaxPercent,
    /// The seller's account with the authority that it is paid to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
}

/// One line of an entry: a positive amount on one side of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// The account.
    pub account: Account,
    /// The side.
    pub side: Side,
    /// How much; never negative.
    pub amount: Amount,
    /// Which tax it is, on a line of tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<TaxOwed>,
}

impl JournalLine {
    const fn new(account: Account, side: Side, amount: Amount) -> Self {
        Self { account, side, amount, tax: None }
    }
}

/// Charging that was sold, as its price says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The entry's id.
    pub id: String,
    /// When it is booked.
    pub booked_at: DateTime<Utc>,
    /// Who owes it: a driver, an account or a partner.
    pub receivable: Account,
    /// The account that is billed by invoice, if one is.
    pub debtor: Option<AccountId>,
    /// What it costs, taxes included.
    pub gross: Amount,
    /// What plans took off the tariff's prices, before taxes; negative where a plan's own price is
    /// above the tariff's.
    pub reductions: Amount,
    /// The taxes in `gross`, one by one.
    pub taxes: Vec<(TaxOwed, Amount)>,
    /// Who sold it, and owes the taxes.
    pub seller: Option<String>,
    /// The buyer's cost centre.
    pub cost_centre: Option<String>,
}

/// A balanced journal entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct JournalEntry {
    id: String,
    booked_at: DateTime<Utc>,
    currency: Currency,
    lines: Vec<JournalLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seller: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_centre: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    debtor: Option<AccountId>,
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
    /// More is to be credited than is left of the sale.
    #[error("no more than {left} is left of the sale, or not in that composition")]
    MoreThanSold {
        /// What is left of it, taxes included.
        left: Amount,
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
    #[serde(default)]
    seller: Option<String>,
    #[serde(default)]
    cost_centre: Option<String>,
    #[serde(default)]
    debtor: Option<AccountId>,
}

impl TryFrom<Unchecked> for JournalEntry {
    type Error = LedgerError;

    fn try_from(entry: Unchecked) -> Result<Self, LedgerError> {
        let Unchecked { id, booked_at, currency, lines, seller, cost_centre, debtor } = entry;
        let checked = Self::new(id, booked_at, currency, lines)?;
        Ok(Self { seller, cost_centre, debtor, ..checked })
    }
}

fn reductions_line(reductions: Amount) -> JournalLine {
    let side = if reductions.minor < 0 { Side::Credit } else { Side::Debit };
    let amount = Amount::new(reductions.minor.saturating_abs(), reductions.currency);
    JournalLine::new(Account::PlanReductions, side, amount)
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
        Ok(Self { id, booked_at, currency, lines, seller: None, cost_centre: None, debtor: None })
    }

    /// Charging was sold: the receivable and what plans took off, against revenue at the tariff's
    /// prices and each tax. What a plan's own price adds to the tariff's is on the other side.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] when the taxes exceed the price, an amount is negative, or currencies mix.
    pub fn sale(sale: Sale) -> Result<Self, LedgerError> {
        let Sale { id, booked_at, receivable, gross, reductions, taxes, .. } = sale;
        let revenue = taxes
            .iter()
            .try_fold(gross, |left, (_, tax)| left.checked_sub(*tax))
            .and_then(|net| net.checked_add(reductions));
        let revenue = match revenue {
            Ok(revenue) => revenue,
            Err(source) => return Err(LedgerError::Sum { id, source }),
        };
        let mut lines = vec![
            JournalLine::new(receivable, Side::Debit, gross),
            reductions_line(reductions),
            JournalLine::new(Account::ChargingRevenue, Side::Credit, revenue),
        ];
        lines.extend(taxes.into_iter().map(|(tax, amount)| JournalLine {
            tax: Some(tax),
            ..JournalLine::new(Account::TaxPayable, Side::Credit, amount)
        }));
        let entry = Self::new(id, booked_at, gross.currency, lines)?;
        let Sale { seller, cost_centre, debtor, .. } = sale;
        Ok(Self { seller, cost_centre, debtor, ..entry })
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
            JournalLine::new(Account::StripeClearing, Side::Debit, amount),
            JournalLine::new(Account::AccountsReceivable, Side::Credit, amount),
        ];
        Self::new(id, booked_at, amount.currency, lines)
    }

    /// Its id, unique in the books.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The account that is billed by invoice, on its sale and what is credited of it.
    #[must_use]
    pub const fn debtor(&self) -> Option<&AccountId> {
        self.debtor.as_ref()
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

    /// Who sold, and owes the taxes; on sales at sites that name their seller.
    #[must_use]
    pub fn seller(&self) -> Option<&str> {
        self.seller.as_deref()
    }

    /// The buyer's cost centre, on sales under a plan that has one.
    #[must_use]
    pub fn cost_centre(&self) -> Option<&str> {
        self.cost_centre.as_deref()
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
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn at() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    pub(crate) fn eur(minor: i64) -> Amount {
        Amount::new(minor, Currency::EUR)
    }

    pub(crate) fn tax(name: &str, percent: &str, minor: i64) -> (TaxOwed, Amount) {
        let percent: rust_decimal::Decimal = percent.parse().unwrap();
        let percent = TaxPercent::try_from(percent).unwrap();
        let owed = TaxOwed { name: name.to_owned(), percent, account_number: None };
        (owed, eur(minor))
    }

    pub(crate) fn sale(gross: i64, reductions: i64, taxes: Vec<(TaxOwed, Amount)>) -> Sale {
        Sale {
            id: "s".to_owned(),
            booked_at: at(),
            receivable: Account::AccountsReceivable,
            debtor: None,
            gross: eur(gross),
            reductions: eur(reductions),
            taxes,
            seller: Some("Tallywatt GmbH".to_owned()),
            cost_centre: None,
        }
    }

    #[test]
    fn a_plan_s_own_price_above_the_tariff_s_is_booked_on_the_other_side() {
        // 10 kWh at 0.20 by the tariff, at 0.35 by the fleet's contract.
        let entry = JournalEntry::sale(sale(417, -150, vec![tax("VAT", "19", 67)])).unwrap();
        let booked = |account, side| {
            let lines = entry.lines().iter();
            let lines = lines.filter(|line| line.account == account && line.side == side);
            lines.map(|line| line.amount.minor).sum::<i64>()
        };
        assert_eq!(booked(Account::ChargingRevenue, Side::Credit), 200);
        assert_eq!(booked(Account::PlanReductions, Side::Credit), 150);
        assert_eq!(booked(Account::PlanReductions, Side::Debit), 0);
        assert_eq!(booked(Account::AccountsReceivable, Side::Debit), 417);
    }

    #[test]
    fn an_entry_that_does_not_balance_cannot_be_read_back() {
        let entry = JournalEntry::sale(sale(1190, 0, vec![tax("VAT", "19", 190)])).unwrap();
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<JournalEntry>(&text).unwrap(), entry);
        let forged = text.replacen("1190", "1191", 1);
        assert!(serde_json::from_str::<JournalEntry>(&forged).is_err(), "{forged}");
    }

    #[test]
    fn an_entry_from_before_taxes_had_names_is_still_read() {
        let stored = r#"{"id":"s","booked_at":"2026-03-01T12:00:00Z","currency":"EUR","lines":[
            {"account":"accounts_receivable","side":"debit","amount":{"minor":1190,"currency":"EUR"}},
            {"account":"charging_revenue","side":"credit","amount":{"minor":1000,"currency":"EUR"}},
            {"account":"tax_payable","side":"credit","amount":{"minor":190,"currency":"EUR"}}]}"#;
        let entry: JournalEntry = serde_json::from_str(stored).unwrap();
        assert_eq!(entry.net_minor(Account::TaxPayable), -190);
    }

    #[test]
    fn each_tax_is_a_line_of_its_own() {
        // Quebec: 5 % GST and 9.975 % QST, both on 20.00.
        let taxes = vec![tax("GST", "5", 100), tax("QST", "9.975", 200)];
        let entry = JournalEntry::sale(sale(2300, 0, taxes)).unwrap();
        let owed = entry.lines().iter().filter_map(|line| Some((line.tax.as_ref()?, line.amount)));
        let owed: Vec<_> = owed.map(|(tax, amount)| (tax.name.as_str(), amount.minor)).collect();
        assert_eq!(owed, [("GST", 100), ("QST", 200)]);
        assert_eq!(entry.net_minor(Account::ChargingRevenue), -2000);
    }

    #[test]
    fn what_a_plan_takes_off_is_seen_beside_the_revenue_at_list_price() {
        // 10.00 by the tariff, 4.00 of it free, 19 % on the 6.00 that are left.
        let entry = JournalEntry::sale(sale(714, 400, vec![tax("VAT", "19", 114)])).unwrap();
        assert_eq!(entry.net_minor(Account::ChargingRevenue), -1000);
        assert_eq!(entry.net_minor(Account::PlanReductions), 400);
        let free = JournalEntry::sale(sale(0, 1000, vec![])).unwrap();
        assert_eq!(free.lines().len(), 2, "nobody owes anything, and both sides are seen");
    }

    #[test]
    fn what_an_account_owes_is_apart_and_names_the_account() {
        let receivable = Account::InvoicedReceivable;
        let debtor = Some("fleet-17".parse().unwrap());
        let sold = Sale { receivable, debtor, ..sale(119, 0, vec![tax("VAT", "19", 19)]) };
        let entry = JournalEntry::sale(sold).unwrap();
        assert_eq!(entry.net_minor(Account::InvoicedReceivable), 119);
        assert_eq!(entry.net_minor(Account::AccountsReceivable), 0);
        let text = serde_json::to_string(&entry).unwrap();
        assert!(text.contains(r#""debtor":"fleet-17""#), "{text}");
        assert_eq!(serde_json::from_str::<JournalEntry>(&text).unwrap(), entry);
    }

    #[test]
    fn a_free_session_books_nothing() {
        assert!(JournalEntry::sale(sale(0, 0, vec![])).unwrap().lines().is_empty());
    }

    #[test]
    fn more_tax_than_price_is_refused() {
        let taxed = JournalEntry::sale(sale(100, 0, vec![tax("VAT", "19", 101)]));
        assert!(matches!(taxed, Err(LedgerError::Negative { .. })));
    }

    #[test]
    fn a_negative_capture_is_refused() {
        let entry = JournalEntry::capture("c".into(), at(), eur(-1));
        assert!(matches!(entry, Err(LedgerError::Negative { .. })));
    }

    proptest! {
        #[test]
        fn a_sale_and_its_capture_leave_nothing_receivable(
            gross in 0_i64..1_000_000, reductions in 0_i64..1_000_000, percent in 0_i64..=100,
        ) {
            let owed = gross * percent / (100 + percent);
            let taxes = vec![tax("VAT", "19", owed)];
            let sale = JournalEntry::sale(sale(gross, reductions, taxes)).unwrap();
            let capture = JournalEntry::capture("c".into(), at(), eur(gross)).unwrap();
            let receivable = Account::AccountsReceivable;
            prop_assert_eq!(sale.net_minor(receivable) + capture.net_minor(receivable), 0);
            let income =
                sale.net_minor(Account::ChargingRevenue) + sale.net_minor(Account::PlanReductions);
            prop_assert_eq!(income + sale.net_minor(Account::TaxPayable), -gross);
        }
    }
}
