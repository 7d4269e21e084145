//! The one place where a bill's amounts are rounded.
//!
//! By default only the total is, without and with tax, and the lines share it out. Where a line
//! carries several taxes, each of them is rounded by itself, for each is owed to somebody else;
//! where prices are with tax, what is paid is rounded, and each tax in it. A jurisdiction can ask
//! for every line to be rounded instead: then the total is their sum. Whichever it is, lines,
//! taxes and total add up.

use std::borrow::Cow;

use quantities::{Amount, Currency, Money, MoneyError, Rounding, RoundingMode, RoundingScope};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    Cost, LineTax, TaxTotal,
    draft::{Draft, Sums},
    exact::Exact,
    taxes::Taxes,
};

/// The rule in words; part of every result.
pub(crate) const fn in_words(rounding: Rounding) -> Cow<'static, str> {
    Cow::Borrowed(match (rounding.scope, rounding.mode) {
        (RoundingScope::Total, RoundingMode::HalfUp) => {
            "exact until the total; total half away from zero to the minor unit; \
             lines by largest remainder so that they add up to it"
        }
        (RoundingScope::Total, RoundingMode::HalfEven) => {
            "exact until the total; total half to even to the minor unit; \
             lines by largest remainder so that they add up to it"
        }
        (RoundingScope::Total, RoundingMode::Down) => {
            "exact until the total; total towards zero to the minor unit; \
             lines by largest remainder so that they add up to it"
        }
        (RoundingScope::Line, RoundingMode::HalfUp) => {
            "exact until the line; every line half away from zero to the minor unit; \
             the total is their sum"
        }
        (RoundingScope::Line, RoundingMode::HalfEven) => {
            "exact until the line; every line half to even to the minor unit; \
             the total is their sum"
        }
        (RoundingScope::Line, RoundingMode::Down) => {
            "exact until the line; every line towards zero to the minor unit; \
             the total is their sum"
        }
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
    Money::new(exact.major()?.round_dp(SOUND_DECIMALS), currency).round(mode)
}

/// A line's amounts: its tax by row of the bill's taxes.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) amount: Cost,
    pub(crate) taxes: Vec<LineTax>,
}

/// The amounts of every line of a bill, and its taxes.
pub(crate) struct Settlement {
    pub(crate) lines: Vec<Settled>,
    pub(crate) taxes: Vec<TaxTotal>,
}

/// Rounds one line by itself.
///
/// # Errors
///
/// [`MoneyError`].
pub(crate) fn settle_line(
    draft: &Draft,
    taxes: &Taxes<'_>,
    currency: Currency,
    mode: RoundingMode,
) -> Result<Settled, MoneyError> {
    let tax = draft.incl.minus(draft.excl)?;
    let rows = taxes.rows(draft.set);
    let mut settled = Vec::with_capacity(rows.len());
    let mut sum = Amount::zero(currency);
    for row in rows {
        let amount = round(taxes.part(draft.set, row, tax)?, currency, mode)?;
        sum = sum.checked_add(amount)?;
        settled.push(LineTax { tax: row, amount });
    }
    let amount = if taxes.are_included() {
        let incl_vat = round(draft.incl, currency, mode)?;
        Cost { excl_vat: incl_vat.checked_sub(sum)?, incl_vat }
    } else {
        let excl_vat = round(draft.excl, currency, mode)?;
        Cost { excl_vat, incl_vat: excl_vat.checked_add(sum)? }
    };
    Ok(Settled { amount, taxes: settled })
}

/// Rounds a bill.
///
/// # Errors
///
/// [`MoneyError`].
pub(crate) fn settle(
    drafts: &mut [Draft],
    taxes: Taxes<'_>,
    currency: Currency,
    rounding: Rounding,
) -> Result<Settlement, MoneyError> {
    let mut lines = Vec::with_capacity(drafts.len());
    if rounding.scope == RoundingScope::Line {
        lines.extend(drafts.iter_mut().filter_map(|draft| draft.settled.take()));
    } else {
        lines = share_out(drafts, &taxes, currency, rounding.mode)?;
    }
    let zero = Amount::zero(currency);
    let mut rows = vec![(zero, zero); taxes.len()];
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
    Ok(Settlement { lines, taxes })
}

/// Rounds the total, and shares it out to the lines: amounts with tax first, for they are what is
/// paid, then the taxes in them. A line's tax is then right to the minor unit, and zero where no
/// tax is due.
fn share_out(
    drafts: &[Draft],
    taxes: &Taxes<'_>,
    currency: Currency,
    mode: RoundingMode,
) -> Result<Vec<Settled>, MoneyError> {
    let (gross, by_row) = totals(drafts, taxes, currency, mode)?;
    let parts = drafts.iter().map(|draft| draft.incl.major());
    let gross = share(&parts.collect::<Result<Vec<_>, _>>()?, gross)?;
    let mut lines: Vec<Settled> = Vec::with_capacity(drafts.len());
    for (draft, incl_vat) in drafts.iter().zip(gross) {
        let taxes = Vec::with_capacity(taxes.rows(draft.set).len());
        lines.push(Settled { amount: Cost { excl_vat: incl_vat, incl_vat }, taxes });
    }
    for (row, total) in by_row.into_iter().enumerate() {
        let mut parts = Vec::with_capacity(drafts.len());
        let mut places = Vec::with_capacity(drafts.len());
        for (place, draft) in drafts.iter().enumerate() {
            if taxes.rows(draft.set).contains(&row) {
                let tax = draft.incl.minus(draft.excl)?;
                parts.push(taxes.part(draft.set, row, tax)?.major()?);
                places.push(place);
            }
        }
        for (place, amount) in places.into_iter().zip(share(&parts, total)?) {
            let Some(line) = lines.get_mut(place) else { continue };
            line.amount.excl_vat = line.amount.excl_vat.checked_sub(amount)?;
            line.taxes.push(LineTax { tax: row, amount });
        }
    }
    Ok(lines)
}

/// What is paid, and each tax in it.
fn totals(
    drafts: &[Draft],
    taxes: &Taxes<'_>,
    currency: Currency,
    mode: RoundingMode,
) -> Result<(Amount, Vec<Amount>), MoneyError> {
    let sums = Sums::of(drafts, taxes)?;
    let (excl, incl) = sums.total()?;
    let by_row = sums.by_row(taxes)?;
    let excl = round(excl, currency, mode)?;
    if !taxes.are_included() && !taxes.are_several() {
        let incl = round(incl, currency, mode)?;
        let parts = by_row.iter().map(|tax| tax.major());
        let tax = incl.checked_sub(excl)?;
        return Ok((incl, share(&parts.collect::<Result<Vec<_>, _>>()?, tax)?));
    }
    let mut rounded = Vec::with_capacity(by_row.len());
    let mut sum = Amount::zero(currency);
    for tax in by_row {
        let tax = round(tax, currency, mode)?;
        sum = sum.checked_add(tax)?;
        rounded.push(tax);
    }
    let gross =
        if taxes.are_included() { round(incl, currency, mode)? } else { excl.checked_add(sum)? };
    Ok((gross, rounded))
}

/// Shares `total` out to `parts` (major units) by largest remainder. Nothing is lost, unless there
/// is nobody to share it out to.
fn share(parts: &[Decimal], total: Amount) -> Result<Vec<Amount>, MoneyError> {
    let scale = 10_i64.checked_pow(total.currency.minor_digits()).ok_or(MoneyError::Overflow)?;
    let mut shares = Vec::with_capacity(parts.len());
    let mut remainders = Vec::with_capacity(parts.len());
    let mut rest = total.minor;
    for (place, part) in parts.iter().enumerate() {
        let minor = part.checked_mul(Decimal::from(scale)).ok_or(MoneyError::Overflow)?;
        let floor = minor.floor();
        remainders.push((minor - floor, place));
        let floor = floor.to_i64().ok_or(MoneyError::Overflow)?;
        rest = rest.checked_sub(floor).ok_or(MoneyError::Overflow)?;
        shares.push(Amount::new(floor, total.currency));
    }
    if rest != 0 && !parts.is_empty() {
        remainders.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(&right.1)));
        hand_out(rest, &remainders, &mut shares)?;
    }
    Ok(shares)
}

/// Adds `rest` minor units to `shares`, one each in the order of `remainders`; or takes them away,
/// in the reverse order.
fn hand_out(
    rest: i64,
    remainders: &[(Decimal, usize)],
    shares: &mut [Amount],
) -> Result<(), MoneyError> {
    let people = i64::try_from(remainders.len()).map_err(|_| MoneyError::Overflow)?;
    let (each, odd) = (rest / people, rest % people);
    let count = usize::try_from(odd.unsigned_abs()).map_err(|_| MoneyError::Overflow)?;
    let mut add = |place: usize, minor: i64| -> Result<(), MoneyError> {
        let Some(share) = shares.get_mut(place) else { return Ok(()) };
        share.minor = share.minor.checked_add(minor).ok_or(MoneyError::Overflow)?;
        Ok(())
    };
    if each != 0 {
        remainders.iter().try_for_each(|(_, place)| add(*place, each))?;
    }
    if odd > 0 {
        remainders.iter().take(count).try_for_each(|(_, place)| add(*place, 1))
    } else {
        remainders.iter().rev().take(count).try_for_each(|(_, place)| add(*place, -1))
    }
}
