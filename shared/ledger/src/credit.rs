//! What a credit takes back of a sale: revenue and each tax as they were booked, to the cent.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use quantities::{AccountId, Amount, Currency, MoneyError};
use serde::{Deserialize, Serialize};

use crate::{Account, JournalEntry, JournalLine, LedgerError, Side, TaxOwed, reductions_line};

/// What is left of a sale after what was credited of it: never less than nothing of anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    left: Part,
    seller: Option<String>,
    cost_centre: Option<String>,
    debtor: Option<AccountId>,
}

/// A part of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Revenue at the tariff's prices, without tax.
    pub revenue: Amount,
    /// What plans took off it; negative where their own price is above the tariff's.
    pub reductions: Amount,
    /// The taxes on it, one by one.
    pub taxes: Vec<(TaxOwed, Amount)>,
}

impl Part {
    /// Nothing.
    #[must_use]
    pub const fn nothing(currency: Currency) -> Self {
        let zero = Amount::zero(currency);
        Self { revenue: zero, reductions: zero, taxes: Vec::new() }
    }

    /// Without taxes: revenue less what plans took off.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    pub fn net(&self) -> Result<Amount, MoneyError> {
        self.revenue.checked_sub(self.reductions)
    }

    /// Taxes included.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    pub fn gross(&self) -> Result<Amount, MoneyError> {
        self.taxes.iter().try_fold(self.net()?, |sum, (_, tax)| sum.checked_add(*tax))
    }

    /// How much of `tax` is in it.
    #[must_use]
    pub fn tax(&self, tax: &TaxOwed) -> Amount {
        let known = self.taxes.iter().find(|(known, _)| known == tax);
        known.map_or(Amount::zero(self.revenue.currency), |(_, amount)| *amount)
    }

    /// Adds `amount` of `tax`.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    pub fn add_tax(&mut self, tax: &TaxOwed, amount: Amount) -> Result<(), MoneyError> {
        match self.taxes.iter_mut().find(|(known, _)| known == tax) {
            Some((_, sum)) => *sum = sum.checked_add(amount)?,
            None => self.taxes.push((tax.clone(), amount)),
        }
        Ok(())
    }
}

impl Sold {
    /// What is left of the sale that `entries` book and credit; entries of other things, such as
    /// captures, change nothing.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Sum`] when they do not add up in `currency`.
    pub fn of(entries: &[JournalEntry], currency: Currency) -> Result<Self, LedgerError> {
        let mut sold =
            Self { left: Part::nothing(currency), seller: None, cost_centre: None, debtor: None };
        for entry in entries {
            let sum = |source| LedgerError::Sum { id: entry.id().to_owned(), source };
            for line in entry.lines() {
                sold.left.book(line).map_err(sum)?;
            }
            sold.seller = sold.seller.or_else(|| entry.seller().map(str::to_owned));
            sold.debtor = sold.debtor.or_else(|| entry.debtor().cloned());
            sold.cost_centre = sold.cost_centre.or_else(|| entry.cost_centre().map(str::to_owned));
        }
        Ok(sold)
    }

    /// All that is left.
    #[must_use]
    pub const fn all(&self) -> &Part {
        &self.left
    }

    /// The part of what is left that costs `amount`, taxes included: without tax and each tax in
    /// proportion, by largest remainder, so that it adds up; all of it for all of it.
    ///
    /// # Errors
    ///
    /// [`LedgerError::MoreThanSold`] when less is left, or `amount` is not above zero.
    pub fn part(&self, amount: Amount) -> Result<Part, LedgerError> {
        let left = self.gross()?;
        if amount.currency != left.currency || amount.minor < 1 || amount.minor > left.minor {
            return Err(LedgerError::MoreThanSold { left });
        }
        if amount == left {
            return Ok(self.left.clone());
        }
        let net = summed(self.left.net())?;
        let mut weights = vec![net.minor];
        weights.extend(self.left.taxes.iter().map(|(_, tax)| tax.minor));
        let in_currency = |minor| Amount::new(minor, left.currency);
        let shares = summed(shares(amount.minor, &weights))?;
        let Some((net_part, shares)) = shares.split_first() else {
            return Err(LedgerError::MoreThanSold { left });
        };
        let reductions = scaled(self.left.reductions.minor, *net_part, net.minor);
        let reductions = in_currency(summed(reductions)?);
        let taxes = self.left.taxes.iter().zip(shares);
        Ok(Part {
            revenue: summed(in_currency(*net_part).checked_add(reductions))?,
            reductions,
            taxes: taxes.map(|((tax, _), share)| (tax.clone(), in_currency(*share))).collect(),
        })
    }

    /// What is left without `part`, if it is there.
    ///
    /// # Errors
    ///
    /// [`LedgerError::MoreThanSold`] when less than that is left of revenue, of what plans took
    /// off, or of one of the taxes.
    pub fn without(&self, part: &Part) -> Result<Self, LedgerError> {
        let mut left = self.left.clone();
        left.revenue = summed(left.revenue.checked_sub(part.revenue))?;
        left.reductions = summed(left.reductions.checked_sub(part.reductions))?;
        for (tax, amount) in &part.taxes {
            let negated = Amount::new(-amount.minor, amount.currency);
            summed(left.add_tax(tax, negated))?;
        }
        let is_between = |left: i64, before: i64| {
            left.signum() * before.signum() >= 0 && left.abs() <= before.abs()
        };
        let fits = left.revenue.minor >= 0
            && part.revenue.minor >= 0
            && is_between(left.reductions.minor, self.left.reductions.minor)
            && left.taxes.iter().all(|(_, tax)| tax.minor >= 0)
            && part.taxes.iter().all(|(_, tax)| tax.minor >= 0);
        if fits {
            return Ok(Self { left, ..self.clone() });
        }
        Err(LedgerError::MoreThanSold { left: self.gross()? })
    }

    /// Takes `part` of the sale back, in favour of `of`: [`Account::RefundsPayable`] when money is
    /// to be given back, or the receivable when it never came.
    ///
    /// # Errors
    ///
    /// [`LedgerError::MoreThanSold`] as [`Sold::without`].
    pub fn credit(
        &self,
        id: String,
        booked_at: DateTime<Utc>,
        of: Account,
        part: &Part,
    ) -> Result<JournalEntry, LedgerError> {
        self.without(part)?;
        let gross = part.gross().map_err(|source| LedgerError::Sum { id: id.clone(), source })?;
        let sold = reductions_line(part.reductions);
        let side = if sold.side == Side::Debit { Side::Credit } else { Side::Debit };
        let mut lines = vec![
            JournalLine::new(Account::ChargingRevenue, Side::Debit, part.revenue),
            JournalLine { side, ..sold },
        ];
        lines.extend(part.taxes.iter().map(|(tax, amount)| JournalLine {
            tax: Some(tax.clone()),
            ..JournalLine::new(Account::TaxPayable, Side::Debit, *amount)
        }));
        lines.push(JournalLine::new(of, Side::Credit, gross));
        let entry = JournalEntry::new(id, booked_at, gross.currency, lines)?;
        let (seller, cost_centre) = (self.seller.clone(), self.cost_centre.clone());
        Ok(JournalEntry { seller, cost_centre, debtor: self.debtor.clone(), ..entry })
    }

    fn gross(&self) -> Result<Amount, LedgerError> {
        summed(self.left.gross())
    }
}

impl Part {
    /// Adds what a line books of a sale.
    fn book(&mut self, line: &JournalLine) -> Result<(), MoneyError> {
        let amount = match line.side {
            Side::Credit => line.amount,
            Side::Debit => Amount::new(-line.amount.minor, line.amount.currency),
        };
        match (line.account, &line.tax) {
            (Account::ChargingRevenue, _) => self.revenue = self.revenue.checked_add(amount)?,
            (Account::PlanReductions, _) => {
                self.reductions = self.reductions.checked_sub(amount)?;
            }
            (Account::TaxPayable, Some(tax)) => self.add_tax(tax, amount)?,
            _ => {}
        }
        Ok(())
    }
}

fn summed<T>(sum: Result<T, MoneyError>) -> Result<T, LedgerError> {
    sum.map_err(|source| LedgerError::Sum { id: "credit".to_owned(), source })
}

/// `amount` in proportion to `weights`, none of which is negative and whose sum it does not exceed:
/// each share is at most its weight, and they add up.
fn shares(amount: i64, weights: &[i64]) -> Result<Vec<i64>, MoneyError> {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let exact = weights.iter().map(|weight| {
        let product = i128::from(amount) * i128::from(*weight);
        Some((product.checked_div(whole)?, product.checked_rem(whole)?))
    });
    let exact = exact.collect::<Option<Vec<(i128, i128)>>>().ok_or(MoneyError::Overflow)?;
    let given: i128 = exact.iter().map(|(share, _)| share).sum();
    let missing = usize::try_from(i128::from(amount) - given).map_err(|_| MoneyError::Overflow)?;
    let mut largest: Vec<usize> = (0..exact.len()).collect();
    largest.sort_by_key(|index| Reverse(exact.get(*index).map(|(_, rest)| *rest)));
    largest.truncate(missing);
    let rounded = exact.iter().enumerate();
    let rounded = rounded.map(|(i, (share, _))| share + i128::from(largest.contains(&i)));
    rounded.map(|share| i64::try_from(share).map_err(|_| MoneyError::Overflow)).collect()
}

/// `amount * part / whole`, toward zero; nothing of nothing.
fn scaled(amount: i64, part: i64, whole: i64) -> Result<i64, MoneyError> {
    if whole == 0 {
        return Ok(0);
    }
    let scaled = i128::from(amount) * i128::from(part) / i128::from(whole);
    i64::try_from(scaled).map_err(|_| MoneyError::Overflow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Sale,
        tests::{at, eur, sale, tax},
    };

    fn sold(sale: Sale) -> (JournalEntry, Sold) {
        let entry = JournalEntry::sale(sale).unwrap();
        let sold = Sold::of(std::slice::from_ref(&entry), Currency::EUR).unwrap();
        (entry, sold)
    }

    fn credit(sold: &Sold, part: &Part) -> JournalEntry {
        sold.credit("credit".to_owned(), at(), Account::RefundsPayable, part).unwrap()
    }

    #[test]
    fn a_part_takes_back_each_tax_in_proportion() {
        // Quebec: 20.00, GST 1.00 and QST 2.00: 23.00. Half of it: 11.50.
        let (_, sold) = sold(sale(2300, 0, vec![tax("GST", "5", 100), tax("QST", "9.975", 200)]));
        let part = sold.part(eur(1150)).unwrap();
        assert_eq!(part.net().unwrap(), eur(1000));
        assert_eq!(part.taxes.iter().map(|(_, tax)| tax.minor).collect::<Vec<_>>(), [50, 100]);
        let entry = credit(&sold, &part);
        assert_eq!(entry.net_minor(Account::RefundsPayable), -1150);
        assert_eq!(entry.net_minor(Account::ChargingRevenue), 1000);
        assert_eq!(entry.net_minor(Account::TaxPayable), 150);
        assert_eq!(entry.seller(), Some("Tallywatt GmbH"));
    }

    #[test]
    fn a_credit_takes_back_what_a_plan_took_off() {
        // 10.00 by the tariff, 4.00 of it free, 19 % on the 6.00 that are left: 7.14.
        let (entry, sold) = sold(sale(714, 400, vec![tax("VAT", "19", 114)]));
        let half = sold.part(eur(357)).unwrap();
        assert_eq!((half.revenue, half.reductions), (eur(500), eur(200)));
        let all = credit(&sold, sold.all());
        for account in [Account::ChargingRevenue, Account::PlanReductions, Account::TaxPayable] {
            assert_eq!(entry.net_minor(account) + all.net_minor(account), 0, "{account:?}");
        }
    }

    #[test]
    fn no_more_is_credited_than_was_sold() {
        let (entry, sold) = sold(sale(1190, 0, vec![tax("VAT", "19", 190)]));
        assert!(matches!(sold.part(eur(1191)), Err(LedgerError::MoreThanSold { .. })));
        assert!(matches!(sold.part(eur(0)), Err(LedgerError::MoreThanSold { .. })));
        let once = credit(&sold, &sold.part(eur(1000)).unwrap());
        let left = Sold::of(&[entry, once], Currency::EUR).unwrap();
        assert!(matches!(left.part(eur(191)), Err(LedgerError::MoreThanSold { .. })));
        assert_eq!(left.part(eur(190)).unwrap().gross().unwrap(), eur(190));
    }

    #[test]
    fn a_part_with_more_of_one_tax_than_is_left_is_refused() {
        let (_, sold) = sold(sale(2000, 0, vec![tax("VAT", "9", 50), tax("VAT", "21", 150)]));
        let (nine, too_much) = (tax("VAT", "9", 51), eur(10));
        let part = Part { revenue: too_much, reductions: eur(0), taxes: vec![nine] };
        let refused = sold.credit("c".to_owned(), at(), Account::RefundsPayable, &part);
        assert!(matches!(refused, Err(LedgerError::MoreThanSold { .. })));
        let other = Part { revenue: eur(10), reductions: eur(0), taxes: vec![tax("GST", "5", 1)] };
        assert!(sold.without(&other).is_err(), "a tax that was never collected");
    }

    #[test]
    fn a_free_sale_has_nothing_to_credit() {
        let (_, sold) = sold(sale(0, 1000, vec![]));
        assert!(sold.part(eur(1)).is_err());
    }

    proptest! {
        /// Whatever is credited in whatever parts: nothing falls below zero on the way, and when
        /// all is credited every account of the sale is at zero.
        #[test]
        fn partial_credits_sum_to_the_sale_and_never_beyond(
            net in 0_i64..100_000, reductions in -50_000_i64..100_000,
            owed in proptest::collection::vec(0_i64..20_000, 0..4),
            parts in proptest::collection::vec(1_i64..60_000, 0..8),
        ) {
            prop_assume!(net + reductions >= 0);
            let names = ["A", "B", "C", "D"];
            let taxes = owed.iter().zip(names).map(|(minor, name)| tax(name, "10", *minor));
            let gross = net + owed.iter().sum::<i64>();
            let sold_as = sale(gross, reductions, taxes.collect());
            let mut entries = vec![JournalEntry::sale(sold_as).unwrap()];
            let mut credited = 0;
            for part in parts {
                let left = Sold::of(&entries, Currency::EUR).unwrap();
                let Ok(part) = left.part(eur(part)) else {
                    prop_assert!(part > gross - credited);
                    continue;
                };
                credited += part.gross().unwrap().minor;
                prop_assert!(part.revenue.minor >= 0);
                prop_assert!(part.taxes.iter().all(|(_, tax)| tax.minor >= 0));
                entries.push(credit(&left, &part));
            }
            prop_assert!(credited <= gross);
            let rest = Sold::of(&entries, Currency::EUR).unwrap();
            prop_assert_eq!(rest.all().gross().unwrap(), eur(gross - credited));
            entries.push(credit(&rest, rest.all()));
            let net = |account| entries.iter().map(|entry| entry.net_minor(account)).sum::<i64>();
            for account in [Account::ChargingRevenue, Account::PlanReductions, Account::TaxPayable] {
                prop_assert_eq!(net(account), 0);
            }
            prop_assert_eq!(net(Account::RefundsPayable), -gross);
        }
    }
}
