//! Lines in the making, with exact amounts.

use quantities::{Amount, Currency, MoneyError, Rounding, RoundingScope};
use smallvec::{SmallVec, smallvec};

use crate::{
    Item, Line, LineTax,
    exact::{Exact, Overflow},
    round::{Settled, settle_line},
    taxes::{TaxSet, Taxes},
};

/// A line's exact amounts.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) item: Item,
    /// Which line it reduces.
    pub(crate) reduces: Option<usize>,
    pub(crate) set: TaxSet,
    pub(crate) excl: Exact,
    pub(crate) incl: Exact,
    /// Both amounts before any rounding.
    pub(crate) exact: (Exact, Exact),
    /// Whether both amounts are given, and not one by the other and the taxes.
    pub(crate) is_given: bool,
}

/// Lines in the making.
#[derive(Debug)]
pub(crate) struct Drafts<'a> {
    /// The lines. Where every line is rounded by itself, with what they cost.
    pub(crate) lines: Vec<Line>,
    /// Of each line its exact amounts.
    pub(crate) list: SmallVec<[Draft; 2]>,
    pub(crate) taxes: Taxes<'a>,
    pub(crate) currency: Currency,
    pub(crate) rounding: Rounding,
}

impl<'a> Drafts<'a> {
    /// No lines yet.
    pub(crate) fn new(taxes: Taxes<'a>, currency: Currency, rounding: Rounding) -> Self {
        Self { lines: Vec::new(), list: SmallVec::new(), taxes, currency, rounding }
    }

    /// Makes room for `count` lines.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.lines.reserve_exact(count);
        self.list.reserve_exact(count);
    }

    /// Adds `line` at `price`, which is with tax or without as all the tariff's prices are.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    #[inline]
    pub(crate) fn add(&mut self, line: Line, set: TaxSet, price: Exact) -> Result<(), MoneyError> {
        let percent = self.taxes.percent(set);
        let (excl, incl) = if self.taxes.are_included() {
            (price.less_percent(percent)?, price)
        } else {
            (price, price.plus_percent(percent)?)
        };
        self.push(line, set, (excl, incl), false)
    }

    /// Adds `line` at `excl` without tax and `incl` with it.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    pub(crate) fn add_given(
        &mut self,
        line: Line,
        set: TaxSet,
        exact: (Exact, Exact),
    ) -> Result<(), MoneyError> {
        self.push(line, set, exact, true)
    }

    /// Puts the taxes of `set` on lines that carry none, at what they cost: it is a limit that tells
    /// of these taxes, and its own line that has them to pay.
    pub(crate) fn tell_taxes(&mut self, set: TaxSet) {
        let nothing = Amount::zero(self.currency);
        for (draft, line) in self.list.iter_mut().zip(&mut self.lines) {
            if !self.taxes.rows(draft.set).is_empty() {
                continue;
            }
            draft.set = set;
            draft.is_given = true;
            if self.rounding.scope == RoundingScope::Line {
                let taxes = self.taxes.rows(set).map(|tax| LineTax { tax, amount: nothing });
                line.taxes.extend(taxes);
            }
        }
    }

    #[inline]
    fn push(
        &mut self,
        line: Line,
        set: TaxSet,
        exact: (Exact, Exact),
        is_given: bool,
    ) -> Result<(), MoneyError> {
        let (item, reduces, (excl, incl)) = (line.item, line.why.reduces, exact);
        self.lines.push(line);
        self.list.push(Draft { item, reduces, set, excl, incl, exact, is_given });
        let [.., line] = self.lines.as_mut_slice() else { return Ok(()) };
        line.why.exact_excl_vat = excl.major()?.trimmed().into();
        line.why.exact_incl_vat = incl.major()?.trimmed().into();
        if self.rounding.scope == RoundingScope::Line { self.settle_last() } else { Ok(()) }
    }

    /// Rounds the last line by itself.
    fn settle_last(&mut self) -> Result<(), MoneyError> {
        let [.., draft] = self.list.as_slice() else { return Ok(()) };
        let Settled { amount, taxes } = self.settle(draft)?;
        let ([.., draft], [.., line]) = (self.list.as_mut_slice(), self.lines.as_mut_slice())
        else {
            return Ok(());
        };
        draft.excl = Exact::for_once(amount.excl_vat.to_money().value)?;
        draft.incl = Exact::for_once(amount.incl_vat.to_money().value)?;
        draft.is_given = true;
        (line.amount, line.taxes) = (amount, taxes);
        Ok(())
    }

    /// Rounds `draft` by itself. A line that changes others is what it makes of their rounded sum,
    /// so that what is left is rounded once, and never falls below nothing by rounding.
    fn settle(&self, draft: &Draft) -> Result<Settled, MoneyError> {
        let (mut excl, mut incl) = (draft.excl, draft.incl);
        let reduces = draft.reduces.is_some();
        for (other, _) in self.changed_by(draft) {
            let (of_excl, of_incl) = if reduces { other.exact } else { (other.excl, other.incl) };
            (excl, incl) = (excl.plus(of_excl)?, incl.plus(of_incl)?);
        }
        let amounts = (excl, incl);
        let mode = self.rounding.mode;
        let mut left =
            settle_line(draft.set, amounts, draft.is_given, &self.taxes, self.currency, mode)?;
        for (_, line) in self.changed_by(draft) {
            left.take_off(line)?;
        }
        Ok(left)
    }

    /// The lines before `draft`, the last one, that it changes: what it is taken off with all that was
    /// taken off it before; for a cap or a limit, all that it limits and that has the same taxes.
    fn changed_by(&self, draft: &Draft) -> impl Iterator<Item = (&Draft, &Line)> {
        let is_changed = move |(place, (other, _)): &(usize, (&Draft, &Line))| {
            let changed = other.reduces.unwrap_or(*place);
            match draft.item {
                _ if draft.reduces.is_some() => draft.reduces == Some(changed),
                Item::IdleCap => other.set == draft.set && self.is_idle(changed),
                Item::MinPrice | Item::MaxPrice | Item::Free => other.set == draft.set,
                _ => false,
            }
        };
        let before = self.list.len().saturating_sub(1);
        let all = self.list.iter().zip(&self.lines).take(before).enumerate();
        all.filter(is_changed).map(|(_, changed)| changed)
    }

    fn is_idle(&self, place: usize) -> bool {
        let item = self.list.get(place).map(|draft| draft.item);
        matches!(item, Some(Item::ParkingTime | Item::IdleCap))
    }
}

/// Exact sums of lines, by their taxes.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) groups: SmallVec<[Group; 4]>,
}

/// The exact sum of the lines with one set of taxes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    pub(crate) set: TaxSet,
    pub(crate) excl: Exact,
    pub(crate) incl: Exact,
}

impl Sums {
    /// The sums of `drafts`. The taxes of a set are computed once, from its sum: so nothing is lost
    /// to the digits that a decimal has.
    ///
    /// # Errors
    ///
    /// [`Overflow`].
    pub(crate) fn of(drafts: &[Draft], taxes: &Taxes<'_>) -> Result<Self, Overflow> {
        let mut sums = Self::default();
        for draft in drafts.iter().filter(|draft| !draft.is_given) {
            sums.add(draft.set, draft.excl, draft.incl)?;
        }
        for group in &mut sums.groups {
            let percent = taxes.percent(group.set);
            if taxes.are_included() {
                group.excl = group.incl.less_percent(percent)?;
            } else {
                group.incl = group.excl.plus_percent(percent)?;
            }
        }
        for draft in drafts.iter().filter(|draft| draft.is_given) {
            sums.add(draft.set, draft.excl, draft.incl)?;
        }
        Ok(sums)
    }

    fn add(&mut self, set: TaxSet, excl: Exact, incl: Exact) -> Result<(), Overflow> {
        let Some(group) = self.groups.iter_mut().find(|group| group.set == set) else {
            self.groups.push(Group { set, excl, incl });
            return Ok(());
        };
        group.excl = group.excl.plus(excl)?;
        group.incl = group.incl.plus(incl)?;
        Ok(())
    }

    /// All of it, without and with tax.
    ///
    /// # Errors
    ///
    /// [`Overflow`].
    pub(crate) fn total(&self) -> Result<(Exact, Exact), Overflow> {
        let mut groups = self.groups.iter().map(|group| (group.excl, group.incl));
        let first = groups.next().unwrap_or((Exact::ZERO, Exact::ZERO));
        groups.try_fold(first, |(excl, incl), (of_excl, of_incl)| {
            Ok((excl.plus(of_excl)?, incl.plus(of_incl)?))
        })
    }

    /// The tax of every row of `taxes`.
    ///
    /// # Errors
    ///
    /// [`Overflow`].
    pub(crate) fn by_row(&self, taxes: &Taxes<'_>) -> Result<SmallVec<[Exact; 4]>, Overflow> {
        let mut rows: SmallVec<[Exact; 4]> = smallvec![Exact::ZERO; taxes.len()];
        for group in &self.groups {
            let tax = group.incl.minus(group.excl)?;
            for row in taxes.rows(group.set) {
                let Some(sum) = rows.get_mut(row) else { continue };
                *sum = sum.plus(taxes.part(group.set, row, tax)?)?;
            }
        }
        Ok(rows)
    }
}
