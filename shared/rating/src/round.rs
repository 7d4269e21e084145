//! The one place where a bill's amounts are rounded.
//!
//! By default only the total is, without and with tax, and the lines share it out. Where a line
//! carries several taxes, each of them is rounded by itself, for each is owed to somebody else;
//! where prices are with tax, what is paid is rounded, and each tax in it. Under a minimum or
//! maximum price the total is rounded without and with tax whatever the taxes, so that the limit
//! holds to the minor unit. A jurisdiction can ask for every line to be rounded instead: then the
//! total is their sum. Whichever it is, lines, taxes and total add up.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap, ops::Neg};

use quantities::{Amount, Currency, Money, MoneyError, Rounding, RoundingMode, RoundingScope};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use smallvec::SmallVec;

use crate::{
    Cost, Item, Line, LineTax, LineTaxes, TaxTotal,
    draft::{Draft, Drafts, Sums},
    exact::{Exact, Number, Overflow, power_of_ten},
    taxes::{TaxSet, Taxes},
};

/// The rule in words, part of every result, for one mode: for each [`Fixed`] of a bill, and where
/// every line is rounded.
macro_rules! words {
    ($mode:literal) => {
        (
            concat!(
                "exact until the total; total without tax and each tax ",
                $mode,
                " to the minor unit; lines by largest remainder so that they add up to it"
            ),
            concat!(
                "exact until the total; total with tax and each tax ",
                $mode,
                " to the minor unit; lines by largest remainder so that they add up to it"
            ),
            concat!(
                "exact until the total; total ",
                $mode,
                " to the minor unit; lines by largest remainder so that they add up to it"
            ),
            concat!(
                "exact until the line; every line and each tax on it ",
                $mode,
                " to the minor unit; the total is their sum"
            ),
        )
    };
}

const fn in_words(rounding: Rounding, fixed: Fixed) -> Cow<'static, str> {
    let (net, gross, both, line) = match rounding.mode {
        RoundingMode::HalfUp => words!("half away from zero"),
        RoundingMode::HalfEven => words!("half to even"),
        RoundingMode::Down => words!("towards zero"),
    };
    Cow::Borrowed(match (rounding.scope, fixed) {
        (RoundingScope::Line, _) => line,
        (RoundingScope::Total, Fixed::Net) => net,
        (RoundingScope::Total, Fixed::Gross) => gross,
        (RoundingScope::Total, Fixed::Both) => both,
    })
}

/// Decimals of an amount that a quotient cannot spoil: it ends after 28 digits, and what its parts
/// add up to can fall short of a half by the last of them. Products have fewer decimals than these.
const SOUND_DECIMALS: u32 = 20;

/// Rounds `exact` to minor units.
fn round(exact: Exact, currency: Currency, mode: RoundingMode) -> Result<i64, Overflow> {
    let major = Decimal::from(exact.major()?);
    let sound = if major.scale() > SOUND_DECIMALS { major.round_dp(SOUND_DECIMALS) } else { major };
    // All that can go wrong with one amount is that it is too large.
    Money::new(sound, currency).round(mode).map(|amount| amount.minor).map_err(|_| Overflow)
}

/// As many as most bills have lines, or taxes.
type Few<T> = SmallVec<[T; 4]>;

/// A line's amounts: its tax by row of the bill's taxes.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) amount: Cost,
    pub(crate) taxes: LineTaxes,
}

impl Settled {
    /// Takes off what `other` comes to, whose taxes are the same.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    pub(crate) fn take_off(&mut self, other: &Line) -> Result<(), MoneyError> {
        self.amount = Cost {
            excl_vat: self.amount.excl_vat.checked_sub(other.amount.excl_vat)?,
            incl_vat: self.amount.incl_vat.checked_sub(other.amount.incl_vat)?,
        };
        for tax in &mut self.taxes {
            let same = other.taxes.iter().filter(|other| other.tax == tax.tax);
            let amounts = same.map(|other| other.amount);
            tax.amount = amounts.into_iter().try_fold(tax.amount, Amount::checked_sub)?;
        }
        Ok(())
    }
}

/// Rounds amounts (without tax, with tax) that carry the taxes of `set`. `is_given`: both views
/// are stated, and not one by the other and the taxes.
///
/// # Errors
///
/// [`MoneyError`].
pub(crate) fn settle_line(
    set: TaxSet,
    (excl, incl): (Exact, Exact),
    is_given: bool,
    taxes: &Taxes<'_>,
    currency: Currency,
    mode: RoundingMode,
) -> Result<Settled, MoneyError> {
    let tax = incl.minus(excl)?;
    let rows = taxes.rows(set);
    let mut parts: Few<Exact> = Few::new();
    for row in rows.clone() {
        parts.push(taxes.part(set, row, tax)?);
    }
    let fixed = if is_given { Fixed::Both } else { Fixed::of_prices(taxes) };
    let rounded = fixed.round((excl, incl), &parts, currency, mode)?;
    let amount = |minor| Amount::new(minor, currency);
    let settled =
        rows.zip(rounded.taxes).map(|(tax, minor)| LineTax { tax, amount: amount(minor) });
    let amount = Cost { excl_vat: amount(rounded.excl), incl_vat: amount(rounded.incl) };
    Ok(Settled { amount, taxes: settled.collect() })
}

/// Which views of an amount are rounded; what is left follows from these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fixed {
    /// Without tax, and each tax.
    Net,
    /// With tax, and each tax.
    Gross,
    /// Without tax and with tax. The taxes share the difference.
    Both,
}

/// An amount rounded to minor units: what there is without tax and the taxes are what there is with
/// tax.
struct Rounded {
    excl: i64,
    incl: i64,
    taxes: Few<i64>,
}

impl Fixed {
    /// What a line is rounded by.
    fn of_prices(taxes: &Taxes<'_>) -> Self {
        if taxes.are_included() { Self::Gross } else { Self::Net }
    }

    /// What a bill is rounded by. A limit holds in both views, after rounding too.
    fn of_bill(taxes: &Taxes<'_>, is_limited: bool) -> Self {
        match (taxes.are_included(), taxes.are_several()) {
            _ if is_limited => Self::Both,
            (true, _) => Self::Gross,
            (false, true) => Self::Net,
            (false, false) => Self::Both,
        }
    }

    fn round(
        self,
        (excl, incl): (Exact, Exact),
        taxes: &[Exact],
        currency: Currency,
        mode: RoundingMode,
    ) -> Result<Rounded, Overflow> {
        if self == Self::Both {
            let (excl, incl) = (round(excl, currency, mode)?, round(incl, currency, mode)?);
            // Of a limit over several taxes one can be left with less than none: it has none.
            let excl = if incl >= 0 { excl.min(incl) } else { excl };
            let mut parts: Few<Part> = Few::new();
            for (place, tax) in taxes.iter().enumerate() {
                let exact = tax.major()?;
                parts.push(Part { place, group: place, exact, room: None, minor: 0 });
            }
            let tax = incl.checked_sub(excl).ok_or(Overflow)?;
            apportion(&mut parts, tax, currency.minor_digits())?;
            let taxes: Few<i64> = parts.iter().map(|part| part.minor).collect();
            // Without a tax there is one price; both views of it are the same.
            let incl = if taxes.is_empty() { excl } else { incl };
            return Ok(Rounded { excl, incl, taxes });
        }
        let mut rounded = Few::new();
        let mut sum = 0_i64;
        for tax in taxes {
            let tax = round(*tax, currency, mode)?;
            sum = sum.checked_add(tax).ok_or(Overflow)?;
            rounded.push(tax);
        }
        let (excl, incl) = if self == Self::Net {
            let excl = round(excl, currency, mode)?;
            (excl, excl.checked_add(sum).ok_or(Overflow)?)
        } else {
            let incl = round(incl, currency, mode)?;
            (incl.checked_sub(sum).ok_or(Overflow)?, incl)
        };
        Ok(Rounded { excl, incl, taxes: rounded })
    }
}

/// Rounds a bill, whose lines then have what they cost; `is_limited`: it has a minimum or maximum
/// price. Returns its taxes, and how it was rounded in words.
///
/// # Errors
///
/// [`MoneyError`].
pub(crate) fn settle(
    drafts: &mut Drafts<'_>,
    is_limited: bool,
) -> Result<(Vec<TaxTotal>, Cow<'static, str>), MoneyError> {
    let fixed = Fixed::of_bill(&drafts.taxes, is_limited);
    if drafts.rounding.scope == RoundingScope::Total {
        share_out(drafts, fixed)?;
    }
    let (mut totals, places) = drafts.taxes.totals(drafts.currency);
    for line in &mut drafts.lines {
        for tax in &mut line.taxes {
            tax.tax = places.get(tax.tax).copied().unwrap_or(tax.tax);
            let Some(total) = totals.get_mut(tax.tax) else { continue };
            total.base = total.base.checked_add(line.amount.excl_vat)?;
            total.amount = total.amount.checked_add(tax.amount)?;
        }
    }
    Ok((totals, in_words(drafts.rounding, fixed)))
}

/// Rounds the total, and shares it out to the lines. Where prices are before several taxes, the
/// amounts without tax are shared out and each tax; else the amounts with tax, for they are what is
/// paid, and the taxes in them. A line that costs nothing gets nothing.
fn share_out(drafts: &mut Drafts<'_>, fixed: Fixed) -> Result<(), MoneyError> {
    let Drafts { lines, list: drafts, taxes, currency, rounding } = drafts;
    let (currency, mode) = (*currency, rounding.mode);
    let digits = currency.minor_digits();
    let sums = Sums::of(drafts, taxes)?;
    let rounded = fixed.round(sums.total()?, &sums.by_row(taxes)?, currency, mode)?;
    let groups = Groups::of(drafts);
    let from_net = !taxes.are_included() && taxes.are_several();
    let mut parts: Few<Part> = Few::new();
    for (place, draft) in drafts.iter().enumerate() {
        let exact = if from_net { draft.excl } else { draft.incl }.major()?;
        let group = groups.of_line(place, draft, drafts);
        parts.push(Part { place, group, exact, room: None, minor: 0 });
    }
    share(&mut parts, if from_net { rounded.excl } else { rounded.incl }, digits)?;
    for (line, part) in lines.iter_mut().zip(&parts) {
        let amount = Amount::new(part.minor, currency);
        line.amount = Cost { excl_vat: amount, incl_vat: amount };
    }
    for (row, total) in rounded.taxes.iter().enumerate() {
        let mut parts: Few<Part> = Few::new();
        for (place, (draft, line)) in drafts.iter().zip(&*lines).enumerate() {
            if taxes.rows(draft.set).contains(&row) {
                let tax = draft.incl.minus(draft.excl)?;
                let exact = taxes.part(draft.set, row, tax)?.major()?;
                let group = groups.of_line(place, draft, drafts);
                let room = (!from_net).then_some(line.amount.excl_vat.minor);
                parts.push(Part { place, group, exact, room, minor: 0 });
            }
        }
        share(&mut parts, *total, digits)?;
        book_tax(row, &parts, from_net, currency, lines)?;
    }
    Ok(())
}

/// Puts a tax that was shared out on the lines: on top of what they cost, or out of it.
fn book_tax(
    row: usize,
    parts: &[Part],
    on_top: bool,
    currency: Currency,
    lines: &mut [Line],
) -> Result<(), MoneyError> {
    for part in parts {
        let Some(line) = lines.get_mut(part.place) else { continue };
        let amount = Amount::new(part.minor, currency);
        if on_top {
            line.amount.incl_vat = line.amount.incl_vat.checked_add(amount)?;
        } else {
            line.amount.excl_vat = line.amount.excl_vat.checked_sub(amount)?;
        }
        line.taxes.push(LineTax { tax: row, amount });
    }
    Ok(())
}

/// Which lines are settled together: what is taken off a line goes with it, all idle time goes with
/// the cap on it, and where nobody pays, all that has the same taxes. So a sum that is whole stays
/// what it is.
struct Groups {
    /// Nobody pays.
    is_free: bool,
    /// The first line of idle time, where there is a cap on it.
    capped: Option<usize>,
}

impl Groups {
    fn of(drafts: &[Draft]) -> Self {
        let is_capped = drafts.iter().any(|draft| draft.item == Item::IdleCap);
        Self {
            is_free: drafts.last().is_some_and(|draft| draft.item == Item::Free),
            capped: drafts.iter().position(is_idle).filter(|_| is_capped),
        }
    }

    /// The first of the lines that `draft`, the one at `place`, is settled with.
    fn of_line(&self, place: usize, draft: &Draft, drafts: &[Draft]) -> usize {
        if self.is_free {
            return drafts.iter().position(|other| other.set == draft.set).unwrap_or(place);
        }
        let first = draft.reduces.unwrap_or(place);
        let of_cap = || draft.item == Item::IdleCap || drafts.get(first).is_some_and(is_idle);
        self.capped.filter(|_| of_cap()).unwrap_or(first)
    }
}

fn is_idle(draft: &Draft) -> bool {
    draft.item == Item::ParkingTime
}

/// A line's part of a total that is shared out.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// The line.
    place: usize,
    /// The first of the lines that it is settled with.
    group: usize,
    /// Its part in major units.
    exact: Number,
    /// What it has to stay within, if it can: from 0 to so many minor units.
    room: Option<i64>,
    /// What it gets, in minor units.
    minor: i64,
}

/// Shares `total`, in minor units of so many `digits`, out to `parts`, first to their groups, then
/// within these.
fn share(parts: &mut [Part], total: i64, digits: u32) -> Result<(), Overflow> {
    if parts.is_sorted_by(|earlier, later| earlier.group < later.group) {
        // Each part is a group of its own.
        return apportion(parts, total, digits);
    }
    let mut groups: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
    for (place, part) in parts.iter().enumerate() {
        groups.entry(part.group).or_default().push(Part { place, ..*part });
    }
    let mut sums: Few<Part> = Few::new();
    for (group, own) in &groups {
        let exacts = own.iter().map(|part| part.exact);
        let exact = exacts.into_iter().try_fold(Number::ZERO, Number::plus)?;
        sums.push(Part { place: *group, group: *group, exact, room: None, minor: 0 });
    }
    apportion(&mut sums, total, digits)?;
    for (own, sum) in groups.values_mut().zip(&sums) {
        apportion(own, sum.minor, digits)?;
        for part in own {
            if let Some(share) = parts.get_mut(part.place) {
                share.minor = part.minor;
            }
        }
    }
    Ok(())
}

/// A part's claim to one more minor unit than the whole ones it has; the smallest comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim<R> {
    rank: u8,
    remainder: Reverse<R>,
    place: usize,
}

/// Shares `total` out to `parts` by largest remainder; nothing is lost, unless there is nobody to
/// share it out to. A part of nothing comes last.
fn apportion(parts: &mut [Part], total: i64, digits: u32) -> Result<(), Overflow> {
    if let [only] = parts {
        only.minor = total;
        return Ok(());
    }
    let mut rests: Few<i64> = Few::new();
    for part in &mut *parts {
        let Some((minor, rest)) = quick_floor(part.exact, digits) else { break };
        part.minor = minor;
        rests.push(rest);
    }
    if rests.len() == parts.len() {
        return by_remainder(parts, &rests, total);
    }
    let mut rests: Few<Decimal> = Few::new();
    for part in &mut *parts {
        let (minor, rest) = floor(part.exact, digits)?;
        part.minor = minor;
        rests.push(rest);
    }
    by_remainder(parts, &rests, total)
}

/// Shares `total` out to `parts`, which have their whole minor units; `rests` are what is left of
/// each.
fn by_remainder<R: Copy + Ord + Neg<Output = R>>(
    parts: &mut [Part],
    rests: &[R],
    total: i64,
) -> Result<(), Overflow> {
    let mut rest = total;
    for part in &*parts {
        rest = rest.checked_sub(part.minor).ok_or(Overflow)?;
    }
    if rest == 0 || parts.is_empty() {
        return Ok(());
    }
    let mut claims: Few<Claim<R>> = Few::new();
    for (place, (part, &remainder)) in parts.iter().zip(rests).enumerate() {
        let rank = match part.room {
            _ if part.exact.is_zero() => 3,
            Some(room) if part.minor < 0 && part.minor < room => 0,
            Some(room) if part.minor >= 0 && part.minor >= room => 2,
            _ => 1,
        };
        // Where there is too much, the smallest remainder gives first; who has nothing, last.
        let remainder = Reverse(if rest < 0 { -remainder } else { remainder });
        claims.push(Claim { rank, remainder, place });
    }
    claims.sort_unstable();
    hand_out(rest, &claims, parts)
}

/// Decimals of what [`quick_floor`] leaves.
const REST_DECIMALS: u32 = 18;

/// As [`floor`], with what is left counted in whole numbers. `None`: there are too many digits.
fn quick_floor(part: Number, minor_digits: u32) -> Option<(i64, i64)> {
    let Number::Few(units, decimals) = part else { return None };
    let Some(decimals) = decimals.checked_sub(minor_digits) else {
        return Some((units.checked_mul(power_of_ten(minor_digits - decimals)?)?, 0));
    };
    let minor = power_of_ten(decimals)?;
    let rest = units.rem_euclid(minor).checked_mul(power_of_ten(REST_DECIMALS - decimals)?)?;
    Some((units.div_euclid(minor), rest))
}

/// The whole minor units in `part`, and what is left of it in minor units, from 0 to 1.
fn floor(part: Number, minor_digits: u32) -> Result<(i64, Decimal), Overflow> {
    let scale = 10_i64.checked_pow(minor_digits).ok_or(Overflow)?;
    let exact = Decimal::from(part).checked_mul(Decimal::from(scale));
    let exact = exact.ok_or(Overflow)?;
    let whole = exact.floor();
    let remainder = exact.checked_sub(whole).ok_or(Overflow)?;
    Ok((whole.to_i64().ok_or(Overflow)?, remainder))
}

/// Adds `rest` minor units to `parts`, one each in the order of `claims`, and again from the first;
/// a negative rest is taken away likewise.
fn hand_out<R>(rest: i64, claims: &[Claim<R>], parts: &mut [Part]) -> Result<(), Overflow> {
    let people = i64::try_from(claims.len()).map_err(|_| Overflow)?;
    let (each, odd) = (rest / people, rest % people);
    let count = usize::try_from(odd.unsigned_abs()).map_err(|_| Overflow)?;
    for (order, claim) in claims.iter().enumerate() {
        let more = if order < count { odd.signum() } else { 0 };
        let Some(part) = parts.get_mut(claim.place) else { continue };
        let minor = part.minor.checked_add(each).and_then(|minor| minor.checked_add(more));
        part.minor = minor.ok_or(Overflow)?;
    }
    Ok(())
}
