//! Credit notes: what is taken back of a receipt, tax by tax.
//!
//! A credit note has a number of its own in a series of its seller without gaps, names the receipt
//! it corrects (Directive 2006/112/EC, article 219), and states the taxes it takes back by rate.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ledger::{LedgerError, Part, Sold, TaxOwed};
use network::LegalEntity;
use quantities::{Amount, MoneyError, SessionId};
use rating::{Item, Line, PricedSession};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How much of a receipt is credited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All that is left of it.
    All,
    /// So much, taxes included: of everything in proportion.
    Amount(Amount),
    /// These lines of it, by their position from 1, each with what was taken off it.
    Lines(Vec<u32>),
}

/// A credit note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditNote {
    /// Its number in the seller's series, as people read it.
    pub number: String,
    /// The session whose receipt it corrects.
    pub session_id: SessionId,
    /// When the session began: when what it takes back was sold.
    pub sold_at: DateTime<Utc>,
    /// The site's time zone.
    pub time_zone: Tz,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// Why, in the words of whoever decided it.
    pub reason: String,
    /// The lines of the receipt that it takes back, by position from 1 and in words; empty: a part
    /// of everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<(u32, String)>,
    /// What it takes back.
    pub credited: Credited,
    /// Who issues it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<LegalEntity>,
}

/// What a credit note takes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credited {
    /// As it is booked.
    pub part: Part,
    /// Without tax.
    pub excl_tax: Amount,
    /// With tax: what is given back, or owed no more.
    pub incl_tax: Amount,
    /// The taxes in it, by rate.
    pub taxes: Vec<CreditedTax>,
}

/// A tax that a credit note takes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditedTax {
    /// Which.
    pub tax: TaxOwed,
    /// What it was on, without tax. Where several rates share a part of everything, each of these
    /// is rounded by itself; the taxes themselves add up to the cent.
    pub base: Amount,
    /// How much of it.
    pub amount: Amount,
}

/// Whose series a credit note's number is of: name and company number together. When one of them is
/// corrected a new series begins, with other numbers (Directive 2006/112/EC, article 226 (2), allows
/// several series).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller(pub String);

impl Seller {
    /// The seller of a session; one name for all that state none.
    #[must_use]
    pub fn of(entity: Option<&LegalEntity>) -> Self {
        let named = |entity: &LegalEntity| {
            let number = entity.company_number.as_deref().unwrap_or_default();
            format!("{}|{number}", entity.name)
        };
        Self(entity.map_or_else(|| "operator".to_owned(), named))
    }

    /// The number of the `n`th credit note of the series. The series is in it, made from whose it
    /// is, so that no two credit notes have the same number.
    #[must_use]
    pub fn number(&self, n: u64) -> String {
        let digest = hex::encode_upper(Sha256::digest(&self.0));
        format!("CN-{}-{n:06}", digest.get(..6).unwrap_or_default())
    }
}

/// Why nothing can be credited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreditError {
    /// There is no such line, or it is not one that can be given back by itself.
    #[error("line {position} of the receipt cannot be credited by itself")]
    NoSuchLine {
        /// Its position, from 1.
        position: u32,
    },
    /// Nothing is left of it, or less than is asked for.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Amounts do not add up.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// What `scope` of a receipt costs, taxes included, if nothing of it was credited before.
///
/// # Errors
///
/// [`CreditError`].
pub fn amount_of(price: &PricedSession, scope: &Scope) -> Result<Amount, CreditError> {
    match scope {
        Scope::All => Ok(price.gross()),
        Scope::Amount(amount) => Ok(*amount),
        Scope::Lines(lines) => Ok(of_lines(price, lines)?.gross()?),
    }
}

/// What a credit note over `scope` takes back of what is `left` of the sale: for lines what they
/// are on the receipt, if that is left; else `amount` of everything in proportion.
///
/// # Errors
///
/// [`CreditError`] when less than `amount` is left.
pub fn credited(
    price: &PricedSession,
    left: &Sold,
    scope: &Scope,
    amount: Amount,
) -> Result<Credited, CreditError> {
    if let Scope::Lines(positions) = scope {
        let part = of_lines(price, positions)?;
        if part.gross()? == amount && left.without(&part).is_ok() {
            let billed = taken_with(price, positions)?;
            return Credited::new(part, |tax| base_of(price, &billed, tax));
        }
    }
    let part = left.part(amount)?;
    let (net, left_net) = (part.net()?, left.all().net()?);
    let every: Vec<&Line> = price.lines.iter().collect();
    Credited::new(part, |tax| {
        // What it is on in the whole bill, in proportion; all of it, where it is on everything.
        let whole = base_of(price, &every, tax)?;
        let is_on_all = whole == price.net();
        if is_on_all || left_net.is_zero() {
            return Ok(net);
        }
        Ok(scaled(whole, net, price.net())?)
    })
}

impl Credited {
    fn new(
        part: Part,
        base: impl Fn(&TaxOwed) -> Result<Amount, CreditError>,
    ) -> Result<Self, CreditError> {
        let taxes = part.taxes.iter().map(|(tax, amount)| {
            Ok(CreditedTax { tax: tax.clone(), base: base(tax)?, amount: *amount })
        });
        let taxes = taxes.collect::<Result<Vec<_>, CreditError>>()?;
        // A tax of nothing is named where it applies.
        let taxes = taxes.into_iter().filter(|tax| !tax.base.is_zero() || !tax.amount.is_zero());
        Ok(Self { excl_tax: part.net()?, incl_tax: part.gross()?, taxes: taxes.collect(), part })
    }
}

/// The lines at `positions`, from 1, and those that take something off them.
fn taken_with<'a>(
    price: &'a PricedSession,
    positions: &[u32],
) -> Result<Vec<&'a Line>, CreditError> {
    let mut wanted = Vec::with_capacity(positions.len());
    for position in positions {
        let index = usize::try_from(*position).ok().and_then(|position| position.checked_sub(1));
        let line = index.and_then(|index| price.lines.get(index));
        let is_sold = |line: &&Line| line.amount.incl_vat.minor > 0 && line.item != Item::MinPrice;
        match (index, line.filter(is_sold)) {
            (Some(index), Some(_)) if !wanted.contains(&index) => wanted.push(index),
            _ => return Err(CreditError::NoSuchLine { position: *position }),
        }
    }
    let lines = price.lines.iter().enumerate();
    let with = lines.filter(|(index, line)| {
        wanted.contains(index) || line.why.reduces.is_some_and(|reduced| wanted.contains(&reduced))
    });
    Ok(with.map(|(_, line)| line).collect())
}

/// What the lines at `positions` are of the sale.
fn of_lines(price: &PricedSession, positions: &[u32]) -> Result<Part, CreditError> {
    let mut part = Part::nothing(price.currency);
    for line in taken_with(price, positions)? {
        let by_plan = matches!(
            line.item,
            Item::StartFeeWaived | Item::Allowance | Item::Discount | Item::Free
        );
        if by_plan {
            part.reductions = part.reductions.checked_sub(line.amount.excl_vat)?;
        } else {
            part.revenue = part.revenue.checked_add(line.amount.excl_vat)?;
        }
        for due in &line.taxes {
            let Some(tax) = price.taxes.get(due.tax) else { continue };
            let owed = TaxOwed {
                name: tax.name.clone().into_owned(),
                percent: tax.percent,
                account_number: tax.account_number.clone(),
            };
            part.add_tax(&owed, due.amount)?;
        }
    }
    if part.gross()?.minor < 1 {
        let position = positions.first().copied().unwrap_or_default();
        return Err(CreditError::NoSuchLine { position });
    }
    Ok(part)
}

/// What `tax` is on in `lines`.
fn base_of(price: &PricedSession, lines: &[&Line], tax: &TaxOwed) -> Result<Amount, CreditError> {
    let is_it = |index: usize| {
        price.taxes.get(index).is_some_and(|known| {
            known.name == tax.name
                && known.percent == tax.percent
                && known.account_number == tax.account_number
        })
    };
    let with_it = lines.iter().filter(|line| line.taxes.iter().any(|due| is_it(due.tax)));
    let zero = Amount::zero(price.currency);
    Ok(with_it.map(|line| line.amount.excl_vat).try_fold(zero, Amount::checked_add)?)
}

/// `amount * part / whole`, rounded half away from zero.
fn scaled(amount: Amount, part: Amount, whole: Amount) -> Result<Amount, MoneyError> {
    if whole.is_zero() {
        return Ok(Amount::zero(amount.currency));
    }
    let product = i128::from(amount.minor) * i128::from(part.minor) * 2;
    let whole = i128::from(whole.minor);
    let rounded = (product + whole * product.signum() * whole.signum()) / (whole * 2);
    let minor = i64::try_from(rounded).map_err(|_| MoneyError::Overflow)?;
    Ok(Amount::new(minor, amount.currency))
}

#[cfg(test)]
pub(crate) mod tests {
    use ledger::{Account, JournalEntry, Sale};
    use proptest::prelude::*;
    use quantities::Currency;

    use super::*;
    use crate::test_support::{at, eur, priced};

    #[test]
    fn no_two_series_share_a_number() {
        let seller = |name: &str, company_number: Option<&str>| {
            Seller::of(Some(&LegalEntity {
                name: name.to_owned(),
                address: "Amsterdam".to_owned(),
                company_number: company_number.map(str::to_owned),
            }))
        };
        let series = [
            Seller::of(None),
            seller("Laadpunt B.V.", None),
            seller("Laadpunt B.V.", Some("12345678")),
            // The same register number in another country's register.
            seller("Ladepunkt GmbH", Some("12345678")),
        ];
        let numbers: std::collections::BTreeSet<_> = series.iter().map(|s| s.number(1)).collect();
        assert_eq!(numbers.len(), series.len(), "{numbers:?}");
        assert!(numbers.iter().all(|number| number.len() == 16 && number.ends_with("-000001")));
        assert_eq!(series[2].number(12), seller("Laadpunt B.V.", Some("12345678")).number(12));
    }

    pub(crate) fn books(price: &PricedSession) -> Vec<JournalEntry> {
        let taxes = price.taxes.iter().map(|tax| {
            let owed = TaxOwed {
                name: tax.name.clone().into_owned(),
                percent: tax.percent,
                account_number: tax.account_number.clone(),
            };
            (owed, tax.amount)
        });
        let sale = Sale {
            id: "sale".to_owned(),
            booked_at: at(0),
            receivable: Account::AccountsReceivable,
            gross: price.gross(),
            reductions: eur(0),
            taxes: taxes.collect(),
            seller: None,
            cost_centre: None,
            debtor: None,
        };
        vec![JournalEntry::sale(sale).unwrap()]
    }

    fn left(books: &[JournalEntry]) -> Sold {
        Sold::of(books, Currency::EUR).unwrap()
    }

    #[test]
    fn a_line_is_credited_as_it_is_on_the_receipt() {
        // Energy 4.20 + 0.88, idle time 1.00 + 0.21, and a flat 0.50 without tax.
        let price = priced();
        let scope = Scope::Lines(vec![2]);
        assert_eq!(amount_of(&price, &scope).unwrap(), eur(121));
        let credited = credited(&price, &left(&books(&price)), &scope, eur(121)).unwrap();
        assert_eq!((credited.excl_tax, credited.incl_tax), (eur(100), eur(121)));
        assert_eq!((credited.taxes[0].base, credited.taxes[0].amount), (eur(100), eur(21)));
        let flat = Scope::Lines(vec![3]);
        let flat = super::credited(&price, &left(&books(&price)), &flat, eur(50)).unwrap();
        assert_eq!((flat.incl_tax, flat.taxes.len()), (eur(50), 0));
    }

    #[test]
    fn a_line_that_is_not_there_or_twice_is_refused() {
        let price = priced();
        for lines in [vec![0], vec![4], vec![1, 1], vec![]] {
            assert!(amount_of(&price, &Scope::Lines(lines.clone())).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn a_line_takes_along_what_was_taken_off_it() {
        let mut price = priced();
        let mut discount = price.lines[0].clone();
        discount.item = Item::Discount;
        discount.amount.excl_vat = eur(-42);
        discount.amount.incl_vat = eur(-51);
        discount.taxes[0].amount = eur(-9);
        discount.why.reduces = Some(0);
        price.lines.push(discount);
        assert_eq!(amount_of(&price, &Scope::Lines(vec![1])).unwrap(), eur(508 - 51));
        assert!(amount_of(&price, &Scope::Lines(vec![4])).is_err(), "a discount by itself");
    }

    #[test]
    fn a_line_of_which_too_little_is_left_is_credited_of_everything() {
        let price = priced();
        let mut books = books(&price);
        let first = credited(&price, &left(&books), &Scope::All, eur(600)).unwrap();
        let entry = left(&books);
        let entry = entry.credit("c".into(), at(0), Account::RefundsPayable, &first.part).unwrap();
        books.push(entry);
        let scope = Scope::Lines(vec![3]);
        let rest = credited(&price, &left(&books), &scope, eur(50)).unwrap();
        assert_eq!(rest.incl_tax, eur(50));
        assert!(credited(&price, &left(&books), &Scope::All, eur(80)).is_err());
    }

    proptest! {
        /// Whatever is credited in whatever order: taxes and amounts sum to the receipt's.
        #[test]
        fn credit_notes_sum_to_the_receipt(parts in proptest::collection::vec(1_i64..400, 0..6)) {
            let price = priced();
            let mut books = books(&price);
            let mut sums = (0, 0, 0);
            let mut note = |amount: i64, books: &mut Vec<JournalEntry>| {
                let sold = left(books);
                let scope = Scope::Amount(eur(amount));
                let Ok(credited) = credited(&price, &sold, &scope, eur(amount)) else { return };
                sums.0 += credited.incl_tax.minor;
                sums.1 += credited.excl_tax.minor;
                sums.2 += credited.taxes.iter().map(|tax| tax.amount.minor).sum::<i64>();
                let id = format!("credit{}", books.len());
                let to = Account::RefundsPayable;
                books.push(sold.credit(id, at(0), to, &credited.part).unwrap());
            };
            for part in parts {
                note(part, &mut books);
            }
            let rest = left(&books).all().gross().unwrap().minor;
            note(rest, &mut books);
            prop_assert_eq!(sums, (679, 570, 109));
        }
    }
}
