//! Which taxes apply to what, and how much of an amount each of them is.

use std::{borrow::Cow, ops::Range};

use network::Tax;
use ocpi::TaxIncluded;
use quantities::{Amount, Currency, MoneyError, TaxPercent};
use rust_decimal::Decimal;
use smallvec::SmallVec;

use crate::{
    TaxTotal,
    exact::{Exact, Overflow},
};

/// What a tax is called that nobody has named.
const UNNAMED: &str = "VAT";

/// The taxes on one line, each on the price before taxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaxSet {
    /// None is stated.
    None,
    /// All of the jurisdiction's, which may be none.
    All,
    /// One that a component states, by its row.
    One(usize),
}

/// The taxes of one bill.
#[derive(Debug)]
pub(crate) struct Taxes<'a> {
    /// The jurisdiction's, then those that components state.
    rows: SmallVec<[Row<'a>; 2]>,
    jurisdiction: Option<&'a [Tax]>,
    jurisdiction_percent: Decimal,
    included: TaxIncluded,
}

#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    /// None: nobody has named it.
    name: Option<&'a str>,
    percent: TaxPercent,
    account_number: Option<&'a str>,
    used: bool,
}

impl<'a> Row<'a> {
    const fn new(
        name: Option<&'a str>,
        percent: TaxPercent,
        account_number: Option<&'a str>,
    ) -> Self {
        Self { name, percent, account_number, used: false }
    }
}

impl<'a> Taxes<'a> {
    /// The taxes of `jurisdiction`; `None` when they are not known.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub(crate) fn new(
        jurisdiction: Option<&'a [Tax]>,
        included: TaxIncluded,
    ) -> Result<Self, MoneyError> {
        let taxes = jurisdiction.unwrap_or_default();
        let mut rows = SmallVec::new();
        let mut jurisdiction_percent = Decimal::ZERO;
        for tax in taxes {
            let sum = jurisdiction_percent.checked_add(tax.percent.percent());
            jurisdiction_percent = sum.ok_or(MoneyError::Overflow)?;
            let (name, account_number) = (Some(tax.name.as_str()), tax.account_number.as_deref());
            rows.push(Row::new(name, tax.percent, account_number));
        }
        Ok(Self { rows, jurisdiction, jurisdiction_percent, included })
    }

    /// Whether prices are with tax.
    pub(crate) fn are_included(&self) -> bool {
        self.included == TaxIncluded::Yes
    }

    /// Whether there are no taxes, whatever anybody states.
    pub(crate) fn are_none(&self) -> bool {
        self.included == TaxIncluded::NotApplicable
    }

    /// Whether `set` is empty because nobody has said which taxes there are.
    pub(crate) fn are_unknown(&self, set: TaxSet) -> bool {
        set == TaxSet::None && !self.are_none()
    }

    /// The taxes of a component that states `vat`, which stands in the place of the
    /// jurisdiction's.
    pub(crate) fn of(&mut self, vat: Option<TaxPercent>) -> TaxSet {
        if self.are_none() {
            return TaxSet::None;
        }
        let set = match vat {
            None if self.jurisdiction.is_none() => return TaxSet::None,
            None => TaxSet::All,
            Some(percent) => self.stated(percent),
        };
        for row in self.rows(set) {
            if let Some(row) = self.rows.get_mut(row) {
                row.used = true;
            }
        }
        set
    }

    /// The one tax of `percent`: the jurisdiction's own, if that is the one, else one that is
    /// called like its first.
    fn stated(&mut self, percent: TaxPercent) -> TaxSet {
        let own = self.jurisdiction.unwrap_or_default();
        if let [tax] = own
            && tax.percent == percent
        {
            return TaxSet::All;
        }
        let mut stated = self.rows.iter().enumerate().skip(own.len());
        if let Some((row, _)) = stated.find(|(_, row)| row.percent == percent) {
            return TaxSet::One(row);
        }
        let name = own.first().map(|tax| tax.name.as_str());
        let account_number = own.first().and_then(|tax| tax.account_number.as_deref());
        self.rows.push(Row::new(name, percent, account_number));
        TaxSet::One(self.rows.len() - 1)
    }

    /// The rows of `set`.
    pub(crate) fn rows(&self, set: TaxSet) -> Range<usize> {
        match set {
            TaxSet::None => 0..0,
            TaxSet::All => 0..self.jurisdiction.unwrap_or_default().len(),
            TaxSet::One(row) => row..row + 1,
        }
    }

    /// The name and rate of every tax of `set`.
    pub(crate) fn named(&self, set: TaxSet) -> impl Iterator<Item = (&str, TaxPercent)> {
        let rows = self.rows.iter().take(self.rows(set).end).skip(self.rows(set).start);
        rows.map(|row| (row.name.unwrap_or(UNNAMED), row.percent))
    }

    /// All percentages of `set` together.
    pub(crate) fn percent(&self, set: TaxSet) -> Decimal {
        match set {
            TaxSet::None => Decimal::ZERO,
            TaxSet::All => self.jurisdiction_percent,
            TaxSet::One(row) => self.row_percent(row),
        }
    }

    fn row_percent(&self, row: usize) -> Decimal {
        self.rows.get(row).map_or(Decimal::ZERO, |row| row.percent.percent())
    }

    /// The part of `tax`, all the tax that `set` puts on something, that is of `row`.
    ///
    /// # Errors
    ///
    /// [`Overflow`].
    pub(crate) fn part(&self, set: TaxSet, row: usize, tax: Exact) -> Result<Exact, Overflow> {
        let rows = self.rows(set);
        if !rows.contains(&row) {
            return Ok(Exact::ZERO);
        }
        let percent = self.percent(set);
        if rows.len() == 1 {
            Ok(tax)
        } else if percent.is_zero() {
            // Only a limit that states a tax of its own has any: it is the first one's.
            Ok(if row == rows.start { tax } else { Exact::ZERO })
        } else {
            tax.times(self.row_percent(row), percent)
        }
    }

    /// The set of a tax that only a limit tells of, by the bill's total without and with it. Where
    /// the two views have nothing to do with each other, no percentage tells, and it says 0.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub(crate) fn implied(&mut self, excl: Exact, incl: Exact) -> Result<TaxSet, MoneyError> {
        let hundred = Exact::for_once(Decimal::ONE_HUNDRED)?;
        let percent = if excl.is_zero() {
            Decimal::ZERO
        } else {
            Decimal::from(hundred.scaled(incl.minus(excl)?, excl)?.major()?).round_dp(4).normalize()
        };
        Ok(self.of(Some(TaxPercent::try_from(percent).unwrap_or(TaxPercent::ZERO))))
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether any line has several taxes.
    pub(crate) fn are_several(&self) -> bool {
        self.rows.iter().take(self.rows(TaxSet::All).len()).filter(|row| row.used).count() > 1
    }

    /// The rows that are used as totals of nothing yet; and for every row its index among them.
    pub(crate) fn totals(&self, currency: Currency) -> (Vec<TaxTotal>, SmallVec<[usize; 4]>) {
        let mut totals = Vec::with_capacity(self.rows.len());
        let mut places = SmallVec::new();
        let (base, amount) = (Amount::zero(currency), Amount::zero(currency));
        for row in &self.rows {
            places.push(totals.len());
            if row.used {
                totals.push(TaxTotal {
                    name: match row.name {
                        Some(name) => Cow::Owned(name.to_owned()),
                        None => Cow::Borrowed(UNNAMED),
                    },
                    percent: row.percent,
                    account_number: row.account_number.map(str::to_owned),
                    base,
                    amount,
                });
            }
        }
        (totals, places)
    }
}
