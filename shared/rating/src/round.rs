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
use smallvec::{SmallVec, smallvec};

use crate::{
    Cost, Item, Line, LineTax, TaxTotal,
    draft::{Draft, Drafts, Sums},
    exact::{Exact, few_digits, power_of_ten},
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

/// Rounds `exact`.
pub(crate) fn round(
    exact: Exact,
    currency: Currency,
    mode: RoundingMode,
) -> Result<Amount, MoneyError> {
    let major = exact.major()?;
    let sound = if major.scale() > SOUND_DECIMALS { major.round_dp(SOUND_DECIMALS) } else { major };
    Money::new(sound, currency).round(mode)
}

/// As many as most bills have lines, or taxes.
type Few<T> = SmallVec<[T; 4]>;

/// A line's amounts: its tax by row of the bill's taxes.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) amount: Cost,
    pub(crate) taxes: Vec<LineTax>,
}

/// The lines of a bill with what they cost, and its taxes.
pub(crate) struct Settlement {
    pub(crate) lines: Vec<Line>,
    pub(crate) taxes: Vec<TaxTotal>,
    /// How they were rounded, in words.
    pub(crate) method: Cow<'static, str>,
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
    let settled = rows.zip(rounded.taxes).map(|(tax, amount)| LineTax { tax, amount });
    let amount = Cost { excl_vat: rounded.excl, incl_vat: rounded.incl };
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

/// An amount rounded: what there is without tax and the taxes are what there is with tax.
struct Rounded {
    excl: Amount,
    incl: Amount,
    taxes: Few<Amount>,
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
    ) -> Result<Rounded, MoneyError> {
        if self == Self::Both {
            let (excl, incl) = (round(excl, currency, mode)?, round(incl, currency, mode)?);
            // Of a limit over several taxes one can be left with less than none: it has none.
            let excl = if incl.minor >= 0 { excl.min(incl)? } else { excl };
            let mut parts: Few<Decimal> = Few::new();
            for tax in taxes {
                parts.push(tax.major()?);
            }
            let taxes = apportion(&parts, incl.checked_sub(excl)?, |_| None)?;
            // Without a tax there is one price; both views of it are the same.
            let incl = if taxes.is_empty() { excl } else { incl };
            return Ok(Rounded { excl, incl, taxes });
        }
        let mut rounded = Few::new();
        let mut sum = Amount::zero(currency);
        for tax in taxes {
            let tax = round(*tax, currency, mode)?;
            sum = sum.checked_add(tax)?;
            rounded.push(tax);
        }
        let (excl, incl) = if self == Self::Net {
            let excl = round(excl, currency, mode)?;
            (excl, excl.checked_add(sum)?)
        } else {
            let incl = round(incl, currency, mode)?;
            (incl.checked_sub(sum)?, incl)
        };
        Ok(Rounded { excl, incl, taxes: rounded })
    }
}

/// Rounds a bill; `is_limited`: it has a minimum or maximum price.
///
/// # Errors
///
/// [`MoneyError`].
pub(crate) fn settle(mut drafts: Drafts<'_>, is_limited: bool) -> Result<Settlement, MoneyError> {
    let fixed = Fixed::of_bill(&drafts.taxes, is_limited);
    if drafts.rounding.scope == RoundingScope::Total {
        share_out(&mut drafts, fixed)?;
    }
    let Drafts { mut lines, taxes, currency, rounding, .. } = drafts;
    let zero = Amount::zero(currency);
    let mut rows: Few<(Amount, Amount)> = smallvec![(zero, zero); taxes.len()];
    for line in &lines {
        for tax in &line.taxes {
            let Some((base, amount)) = rows.get_mut(tax.tax) else { continue };
            *base = base.checked_add(line.amount.excl_vat)?;
            *amount = amount.checked_add(tax.amount)?;
        }
    }
    let (taxes, places) = taxes.into_totals(&rows, currency);
    for tax in lines.iter_mut().flat_map(|line| &mut line.taxes) {
        tax.tax = places.get(tax.tax).copied().unwrap_or(tax.tax);
    }
    Ok(Settlement { lines, taxes, method: in_words(rounding, fixed) })
}

/// Rounds the total, and shares it out to the lines. Where prices are before several taxes, the
/// amounts without tax are shared out and each tax; else the amounts with tax, for they are what is
/// paid, and the taxes in them. A line that costs nothing gets nothing.
fn share_out(drafts: &mut Drafts<'_>, fixed: Fixed) -> Result<(), MoneyError> {
    let Drafts { lines, list: drafts, taxes, currency, rounding } = drafts;
    let (currency, mode) = (*currency, rounding.mode);
    let sums = Sums::of(drafts, taxes)?;
    let rounded = fixed.round(sums.total()?, &sums.by_row(taxes)?, currency, mode)?;
    let groups = groups(drafts);
    let from_net = !taxes.are_included() && taxes.are_several();
    let mut parts: Few<Decimal> = Few::new();
    for draft in &*drafts {
        parts.push(if from_net { draft.excl } else { draft.incl }.major()?);
    }
    let total = if from_net { rounded.excl } else { rounded.incl };
    let shared = share(&parts, &groups, total, |_| None)?;
    for ((line, draft), amount) in lines.iter_mut().zip(&*drafts).zip(&shared) {
        line.amount = Cost { excl_vat: *amount, incl_vat: *amount };
        line.taxes = Vec::with_capacity(taxes.rows(draft.set).len());
    }
    for (row, total) in rounded.taxes.iter().enumerate() {
        share_tax(row, *total, drafts, taxes, &groups, from_net, lines)?;
    }
    Ok(())
}

/// Shares one tax out to the lines that carry it: on top of what they cost, or out of it.
fn share_tax(
    row: usize,
    total: Amount,
    drafts: &[Draft],
    taxes: &Taxes<'_>,
    groups: &[usize],
    on_top: bool,
    lines: &mut [Line],
) -> Result<(), MoneyError> {
    let (mut parts, mut places): (Few<Decimal>, Few<usize>) = (Few::new(), Few::new());
    for (place, draft) in drafts.iter().enumerate() {
        if taxes.rows(draft.set).contains(&row) {
            let tax = draft.incl.minus(draft.excl)?;
            parts.push(taxes.part(draft.set, row, tax)?.major()?);
            places.push(place);
        }
    }
    let own: Few<usize> = places.iter().filter_map(|place| groups.get(*place).copied()).collect();
    let room = |part: usize| {
        let line = places.get(part).and_then(|place| lines.get(*place));
        line.filter(|_| !on_top).map(|line| line.amount.excl_vat.minor)
    };
    let shares = share(&parts, &own, total, room)?;
    for (&place, &amount) in places.iter().zip(&shares) {
        let Some(line) = lines.get_mut(place) else { continue };
        if on_top {
            line.amount.incl_vat = line.amount.incl_vat.checked_add(amount)?;
        } else {
            line.amount.excl_vat = line.amount.excl_vat.checked_sub(amount)?;
        }
        line.taxes.push(LineTax { tax: row, amount });
    }
    Ok(())
}

/// For every line the first of those that it is settled with: what is taken off a line goes with
/// it, all idle time goes with the cap on it, and where nobody pays, all that has the same taxes.
/// So a sum that is whole stays what it is.
fn groups(drafts: &[Draft]) -> Few<usize> {
    if drafts.last().is_some_and(|draft| draft.item == Item::Free) {
        let first = |draft: &Draft| drafts.iter().position(|other| other.set == draft.set);
        return drafts.iter().filter_map(first).collect();
    }
    let is_idle = |draft: &Draft| draft.item == Item::ParkingTime;
    let capped = drafts.iter().any(|draft| draft.item == Item::IdleCap);
    let idle = drafts.iter().position(is_idle).filter(|_| capped);
    let group = |(place, draft): (usize, &Draft)| {
        let first = draft.reduces.unwrap_or(place);
        let of_cap = draft.item == Item::IdleCap || drafts.get(first).is_some_and(is_idle);
        idle.filter(|_| of_cap).unwrap_or(first)
    };
    drafts.iter().enumerate().map(group).collect()
}

/// Shares `total` out to `parts` (major units), first to their `groups`, then within these.
fn share(
    parts: &[Decimal],
    groups: &[usize],
    total: Amount,
    room: impl Fn(usize) -> Option<i64>,
) -> Result<Few<Amount>, MoneyError> {
    if groups.is_sorted_by(|earlier, later| earlier < later) {
        // Each part is a group of its own.
        return apportion(parts, total, room);
    }
    let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, group) in groups.iter().enumerate() {
        places.entry(*group).or_default().push(place);
    }
    let part = |place: &usize| parts.get(*place).copied().unwrap_or_default();
    let mut sums = Vec::with_capacity(places.len());
    for places in places.values() {
        let sum = places.iter().map(part).try_fold(Decimal::ZERO, Decimal::checked_add);
        sums.push(sum.ok_or(MoneyError::Overflow)?);
    }
    let totals = apportion(&sums, total, |_| None)?;
    let mut shares: Few<Amount> = smallvec![Amount::zero(total.currency); parts.len()];
    for (places, total) in places.values().zip(totals) {
        let own: Vec<Decimal> = places.iter().map(part).collect();
        let room = |part: usize| places.get(part).and_then(|place| room(*place));
        for (place, amount) in places.iter().zip(apportion(&own, total, room)?) {
            if let Some(share) = shares.get_mut(*place) {
                *share = amount;
            }
        }
    }
    Ok(shares)
}

/// A part's claim to one more minor unit than the whole ones it has; the smallest comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim<R> {
    rank: u8,
    remainder: Reverse<R>,
    place: usize,
}

/// Shares `total` out to `parts` (major units) by largest remainder; nothing is lost, unless there
/// is nobody to share it out to. `room` is what a part has to stay within, if it can: from 0 to so
/// many minor units. A part of nothing comes last.
fn apportion(
    parts: &[Decimal],
    total: Amount,
    room: impl Fn(usize) -> Option<i64>,
) -> Result<Few<Amount>, MoneyError> {
    let digits = total.currency.minor_digits();
    if parts.len() == 1 {
        return Ok(smallvec![total]);
    }
    let mut floors: Few<(i64, i64)> = Few::new();
    floors.extend(parts.iter().map_while(|part| quick_floor(*part, digits)));
    if floors.len() == parts.len() {
        return by_remainder(parts, &floors, total, room);
    }
    let mut floors: Few<(i64, Decimal)> = Few::with_capacity(parts.len());
    for part in parts {
        floors.push(floor(*part, digits)?);
    }
    by_remainder(parts, &floors, total, room)
}

/// Shares `total` out to `parts`, of which `floors` are the whole minor units and what is left.
fn by_remainder<R: Copy + Ord + Neg<Output = R>>(
    parts: &[Decimal],
    floors: &[(i64, R)],
    total: Amount,
    room: impl Fn(usize) -> Option<i64>,
) -> Result<Few<Amount>, MoneyError> {
    let mut shares = Few::with_capacity(parts.len());
    let mut claims: Few<Claim<R>> = Few::with_capacity(parts.len());
    let mut rest = total.minor;
    for (place, (part, &(minor, remainder))) in parts.iter().zip(floors).enumerate() {
        let rank = match room(place) {
            _ if part.is_zero() => 3,
            Some(room) if minor < 0 && minor < room => 0,
            Some(room) if minor >= 0 && minor >= room => 2,
            _ => 1,
        };
        claims.push(Claim { rank, remainder: Reverse(remainder), place });
        rest = rest.checked_sub(minor).ok_or(MoneyError::Overflow)?;
        shares.push(Amount::new(minor, total.currency));
    }
    if rest < 0 {
        for claim in &mut claims {
            // The smallest remainder gives first; who has nothing, last.
            claim.remainder = Reverse(-claim.remainder.0);
        }
    }
    if rest != 0 && !claims.is_empty() {
        claims.sort_unstable();
        hand_out(rest, &claims, &mut shares)?;
    }
    Ok(shares)
}

/// Decimals of what [`quick_floor`] leaves.
const REST_DECIMALS: u32 = 18;

/// As [`floor`], with what is left counted in whole numbers. `None`: there are too many digits.
fn quick_floor(part: Decimal, minor_digits: u32) -> Option<(i64, i64)> {
    let mantissa = few_digits(part)?;
    let Some(decimals) = part.scale().checked_sub(minor_digits) else {
        return Some((mantissa.checked_mul(power_of_ten(minor_digits - part.scale())?)?, 0));
    };
    let unit = power_of_ten(decimals)?;
    let rest = mantissa.rem_euclid(unit).checked_mul(power_of_ten(REST_DECIMALS - decimals)?)?;
    Some((mantissa.div_euclid(unit), rest))
}

/// The whole minor units in `part`, and what is left of it in minor units, from 0 to 1.
fn floor(part: Decimal, minor_digits: u32) -> Result<(i64, Decimal), MoneyError> {
    let scale = 10_i64.checked_pow(minor_digits).ok_or(MoneyError::Overflow)?;
    let exact = part.checked_mul(Decimal::from(scale)).ok_or(MoneyError::Overflow)?;
    let whole = exact.floor();
    let remainder = exact.checked_sub(whole).ok_or(MoneyError::Overflow)?;
    Ok((whole.to_i64().ok_or(MoneyError::Overflow)?, remainder))
}

/// Adds `rest` minor units to `shares`, one each in the order of `claims`, and again from the
/// first; a negative rest is taken away likewise.
fn hand_out<R>(rest: i64, claims: &[Claim<R>], shares: &mut [Amount]) -> Result<(), MoneyError> {
    let people = i64::try_from(claims.len()).map_err(|_| MoneyError::Overflow)?;
    let (each, odd) = (rest / people, rest % people);
    let count = usize::try_from(odd.unsigned_abs()).map_err(|_| MoneyError::Overflow)?;
    for (order, claim) in claims.iter().enumerate() {
        let more = if order < count { odd.signum() } else { 0 };
        let Some(share) = shares.get_mut(claim.place) else { continue };
        let minor = share.minor.checked_add(each).and_then(|minor| minor.checked_add(more));
        share.minor = minor.ok_or(MoneyError::Overflow)?;
    }
    Ok(())
}
