//! What a minimum or maximum price adds or takes away.

use std::sync::{Arc, LazyLock};

use ocpi::Price;
use quantities::MoneyError;
use rust_decimal::Decimal;

use crate::{
    Item, Line,
    compile::Compiled,
    draft::{Draft, Drafts, Group, Sums},
    exact::Exact,
    stretch::moment,
    taxes::TaxSet,
    walk::Run,
};

static MIN_PRICE: LazyLock<Arc<str>> = LazyLock::new(|| "Minimum price".into());
static MAX_PRICE: LazyLock<Arc<str>> = LazyLock::new(|| "Maximum price".into());
static IDLE_CAP: LazyLock<Arc<str>> = LazyLock::new(|| "Cap on idle fees".into());

/// From when to when a line is about, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

impl Span {
    /// All of `runs`.
    pub(crate) fn of(runs: &[Run]) -> Self {
        Self {
            from_ms: runs.first().map_or(0, |run| run.start_ms),
            to_ms: runs.last().map_or(0, |run| run.end_ms),
        }
    }
}

/// Adds what a minimum or maximum price asks for: one line for every set of taxes on the bill, in
/// proportion. Both views are limited on their own (`mod_tariffs`, Tariff object); a limit stated
/// without VAT carries the bill's own taxes.
///
/// # Errors
///
/// [`MoneyError`].
pub(crate) fn limit(
    drafts: &mut Drafts<'_>,
    tariff: &Compiled,
    span: Span,
) -> Result<(), MoneyError> {
    if tariff.min_price.is_none() && tariff.max_price.is_none() {
        return Ok(());
    }
    let mut sums = Sums::of(&drafts.list, &drafts.taxes)?;
    let (excl, incl) = sums.total()?;
    let limits = |limit: Price| -> Result<(Exact, Exact), MoneyError> {
        let limit_excl = Exact::for_once(limit.excl_vat)?;
        let limit_incl = match limit.incl_vat {
            Some(incl) => Exact::for_once(incl)?,
            None if excl.is_zero() => limit_excl.plus_percent(drafts.taxes.percent(TaxSet::All))?,
            None => limit_excl.scaled(incl, excl)?,
        };
        Ok((limit_excl, limit_incl))
    };
    let mut limited = (Item::MinPrice, excl, incl);
    if let Some(limit) = tariff.min_price {
        let (least_excl, least_incl) = limits(limit)?;
        limited = (Item::MinPrice, excl.max(least_excl), incl.max(least_incl));
    }
    if let Some(limit) = tariff.max_price {
        let (most_excl, most_incl) = limits(limit)?;
        if limited.1 > most_excl || limited.2 > most_incl {
            limited = (Item::MaxPrice, limited.1.min(most_excl), limited.2.min(most_incl));
        }
    }
    let (item, limited_excl, limited_incl) = limited;
    let change = (limited_excl.minus(excl)?, limited_incl.minus(incl)?);
    if change.0.is_zero() && change.1.is_zero() {
        return Ok(());
    }
    sums.groups.retain(|group| !group.excl.is_zero() || !group.incl.is_zero());
    let limited = (limited_excl, limited_incl);
    for (set, excl, incl) in spread(drafts, &sums.groups, change, limited)? {
        let description = if item == Item::MinPrice { &MIN_PRICE } else { &MAX_PRICE };
        let line = line(item, description, drafts, excl, incl, span)?;
        drafts.add_given(line, set, (excl, incl))?;
    }
    Ok(())
}

/// Takes off what all idle time of the session costs above `cap`, which is with tax or without as
/// the tariff's prices are.
///
/// # Errors
///
/// [`MoneyError`].
pub(crate) fn cap_idle(
    drafts: &mut Drafts<'_>,
    cap: Decimal,
    span: Span,
) -> Result<(), MoneyError> {
    let included = drafts.taxes.are_included();
    let is_idle = |draft: &&Draft| {
        let reduced = draft.line.why.reduces.and_then(|reduced| drafts.list.get(reduced));
        reduced.unwrap_or(draft).line.item == Item::ParkingTime
    };
    let mut sums = Sums::default();
    for draft in drafts.list.iter().filter(is_idle) {
        sums.add(draft.set, draft.excl, draft.incl)?;
    }
    let price = |group: &Group| if included { group.incl } else { group.excl };
    let sum = sums.groups.iter().try_fold(Exact::ZERO, |sum, group| sum.plus(price(group)))?;
    let mut rest = Exact::for_once(cap)?.minus(sum)?;
    if rest >= Exact::ZERO {
        return Ok(());
    }
    sums.groups.retain(|group| !price(group).is_zero());
    let (all, last) = (rest, sums.groups.len());
    for (place, group) in sums.groups.iter().enumerate() {
        let part = if place + 1 < last { all.scaled(price(group), sum)? } else { rest };
        rest = rest.minus(part)?;
        let line = line(Item::IdleCap, &IDLE_CAP, drafts, part, part, span)?;
        drafts.add(line, group.set, part)?;
    }
    Ok(())
}

/// `change` (without and with tax) by set of taxes, in proportion to what `groups` cost. Where none
/// of them is taxed and the limit is, its tax is what the `limited` total of both views tells.
fn spread(
    drafts: &mut Drafts<'_>,
    groups: &[Group],
    (excl, incl): (Exact, Exact),
    limited: (Exact, Exact),
) -> Result<Vec<(TaxSet, Exact, Exact)>, MoneyError> {
    let tax = incl.minus(excl)?;
    let sum = |part: fn(&Group) -> Result<Exact, MoneyError>| {
        groups.iter().try_fold(Exact::ZERO, |sum, group| sum.plus(part(group)?))
    };
    let all_excl = sum(|group| Ok(group.excl))?;
    let all_tax = sum(|group| group.incl.minus(group.excl))?;
    let sole = match groups {
        [] => Some(drafts.taxes.of(None)),
        [group] => Some(group.set),
        _ if all_excl.is_zero() => groups.first().map(|group| group.set),
        _ => None,
    };
    let untaxed = drafts.taxes.rows(sole.unwrap_or(TaxSet::All)).is_empty();
    if untaxed && !tax.is_zero() && all_tax.is_zero() {
        return Ok(vec![(drafts.taxes.implied(limited.0, limited.1)?, excl, incl)]);
    }
    if let Some(set) = sole {
        return Ok(vec![(set, excl, incl)]);
    }
    let (mut rest_excl, mut rest_tax) = (excl, tax);
    let mut parts = Vec::with_capacity(groups.len());
    for (place, group) in groups.iter().enumerate() {
        let (mut part_excl, mut part_tax) = (rest_excl, rest_tax);
        if place + 1 < groups.len() {
            part_excl = excl.scaled(group.excl, all_excl)?;
            let weights = if all_tax.is_zero() {
                (group.excl, all_excl)
            } else {
                (group.incl.minus(group.excl)?, all_tax)
            };
            part_tax = tax.scaled(weights.0, weights.1)?;
            rest_excl = rest_excl.minus(part_excl)?;
            rest_tax = rest_tax.minus(part_tax)?;
        }
        parts.push((group.set, part_excl, part_excl.plus(part_tax)?));
    }
    Ok(parts)
}

/// A line that changes the sum of others.
fn line(
    item: Item,
    description: &Arc<str>,
    drafts: &Drafts<'_>,
    excl: Exact,
    incl: Exact,
    span: Span,
) -> Result<Line, MoneyError> {
    let rate = if drafts.taxes.are_included() { incl } else { excl };
    Ok(Line {
        description: Arc::clone(description),
        rate: rate.major()?.normalize(),
        from: moment(span.from_ms),
        to: moment(span.to_ms),
        ..Line::blank(item, drafts.currency)
    })
}
