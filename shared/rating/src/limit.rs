//! What a minimum or maximum price adds or takes away.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use ocpi::Price;
use quantities::MoneyError;
use rust_decimal::Decimal;

use crate::{
    Item, Line, Segment,
    compile::Compiled,
    draft::{Drafts, Sums},
    exact::Exact,
    taxes::TaxSet,
};

static MIN_PRICE: LazyLock<Arc<str>> = LazyLock::new(|| "Minimum price".into());
static MAX_PRICE: LazyLock<Arc<str>> = LazyLock::new(|| "Maximum price".into());
static FREE: LazyLock<Arc<str>> = LazyLock::new(|| "Free of charge".into());
static IDLE_CAP: LazyLock<Arc<str>> = LazyLock::new(|| "Cap on idle fees".into());

/// From when to when a line is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    from: DateTime<Utc>,
    pub(crate) to: DateTime<Utc>,
}

impl Span {
    /// All of `segments`.
    pub(crate) fn of(segments: &[Segment]) -> Self {
        Self {
            from: segments.first().map_or(DateTime::UNIX_EPOCH, |segment| segment.start),
            to: segments.last().map_or(DateTime::UNIX_EPOCH, |segment| segment.end),
        }
    }
}

/// Adds what a minimum or maximum price asks for: one line for every set of taxes on the bill, in
/// proportion. Both views keep to the limit (`mod_tariffs`, notes at `min_price` and `max_price`:
/// "they both apply"), each on its own as in the specification's example, as long as the rates on
/// the bill can make up the tax that remains, to the minor unit. A limit of another tax must not
/// change what tax is owed: then the bill becomes dearer or cheaper as a whole, its taxes with it.
/// A limit stated without VAT carries the bill's own taxes. Where there is nothing to go by, on a
/// bill of 0 or one whose taxes nobody knows, a minimum's two views are billed as they stand.
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
            _ if drafts.taxes.are_none() => limit_excl,
            Some(incl) => Exact::for_once(incl)?,
            None if excl.is_zero() => limit_excl.plus_percent(drafts.taxes.percent(TaxSet::All))?,
            None => limit_excl.scaled(incl, excl)?,
        };
        Ok((limit_excl, limit_incl))
    };
    let rates = Rates::of(&sums, drafts)?;
    let unknown = sums.groups.iter().all(|group| drafts.taxes.are_unknown(group.set));
    let (mut item, mut limited) = (Item::MinPrice, (excl, incl));
    if let Some(limit) = tariff.min_price {
        limited = raised(limited, limits(limit)?, unknown, &rates)?;
    }
    if let Some(limit) = tariff.max_price {
        let lowered = lowered(limited, limits(limit)?, &rates)?;
        if lowered != limited {
            (item, limited) = (Item::MaxPrice, lowered);
        }
    }
    if limited == (excl, incl) {
        return Ok(());
    }
    set_in_order(&mut sums, drafts);
    add_change(drafts, item, &sums, limited, span)
}

/// Takes off all that the session costs: nobody pays, a maximum of 0 which is not the tariff's.
///
/// # Errors
///
/// [`MoneyError`].
pub(crate) fn set_free(drafts: &mut Drafts<'_>, span: Span) -> Result<(), MoneyError> {
    let mut sums = Sums::of(&drafts.list, &drafts.taxes)?;
    set_in_order(&mut sums, drafts);
    if sums.groups.is_empty() {
        return Ok(());
    }
    add_change(drafts, Item::Free, &sums, (Exact::ZERO, Exact::ZERO), span)
}

/// Leaves what costs something. The last one takes what is left, also of the tax: it has to have
/// some.
fn set_in_order(sums: &mut Sums, drafts: &Drafts<'_>) {
    sums.groups.retain(|group| !group.excl.is_zero() || !group.incl.is_zero());
    sums.groups.sort_by_key(|group| drafts.taxes.percent(group.set));
}

/// Between which rates the tax on a bill is.
struct Rates {
    lowest: Decimal,
    highest: Decimal,
    /// As far as two amounts may be off that were rounded.
    unit: Exact,
}

impl Rates {
    fn of(sums: &Sums, drafts: &Drafts<'_>) -> Result<Self, MoneyError> {
        let groups = sums.groups.iter().filter(|group| !group.excl.is_zero());
        let percents = groups.map(|group| drafts.taxes.percent(group.set));
        let unit = Exact::for_once(Decimal::new(1, drafts.currency.minor_digits()))?;
        Ok(Self {
            lowest: percents.clone().min().unwrap_or_default(),
            highest: percents.max().unwrap_or_default(),
            unit,
        })
    }

    /// Whether they can make up the tax between `excl` and `incl`.
    fn make_up(&self, (excl, incl): (Exact, Exact)) -> Result<bool, MoneyError> {
        let least = excl.plus_percent(self.lowest)?.minus(self.unit)?;
        let most = excl.plus_percent(self.highest)?.plus(self.unit)?;
        Ok(least <= incl && incl <= most)
    }
}

/// The bill (without tax, with tax) as it reaches `least` in both views.
fn raised(
    (excl, incl): (Exact, Exact),
    least: (Exact, Exact),
    unknown: bool,
    rates: &Rates,
) -> Result<(Exact, Exact), MoneyError> {
    let apart = (excl.max(least.0), incl.max(least.1));
    if apart == (excl, incl) || excl.is_zero() || unknown || rates.make_up(apart)? {
        return Ok(apart);
    }
    let by_excl = (least.0, incl.scaled(least.0, excl)?);
    if by_excl.1 >= least.1 { Ok(by_excl) } else { Ok((excl.scaled(least.1, incl)?, least.1)) }
}

/// The bill (without tax, with tax) as it stays within `most` in both views.
fn lowered(
    (excl, incl): (Exact, Exact),
    most: (Exact, Exact),
    rates: &Rates,
) -> Result<(Exact, Exact), MoneyError> {
    let apart = (excl.min(most.0), incl.min(most.1));
    if apart == (excl, incl) || excl.is_zero() || rates.make_up(apart)? {
        return Ok(apart);
    }
    let by_excl = (most.0, incl.scaled(most.0, excl)?);
    if by_excl.1 <= most.1 { Ok(by_excl) } else { Ok((excl.scaled(most.1, incl)?, most.1)) }
}

/// Adds the lines of `item` that make of what `sums` cost what is `limited`, without and with tax:
/// one for every set of taxes, in proportion to what it costs. The last one takes what is left to
/// the limit, so that it holds where every line is rounded too. Where no line is taxed and the
/// limit is, its tax is what the total of both views tells.
fn add_change(
    drafts: &mut Drafts<'_>,
    item: Item,
    sums: &Sums,
    limited: (Exact, Exact),
    span: Span,
) -> Result<(), MoneyError> {
    let (excl, incl) = sums.total()?;
    let tax = incl.minus(excl)?;
    let change = limited.0.minus(excl)?;
    let change_of_tax = limited.1.minus(incl)?.minus(change)?;
    let mut groups = sums.groups.as_slice();
    if excl.is_zero() {
        groups = groups.get(..1).unwrap_or_default();
    }
    let mut last = match groups {
        [.., last] => last.set,
        [] => drafts.taxes.of(None),
    };
    if tax.is_zero() && drafts.taxes.rows(last).is_empty() && !change_of_tax.is_zero() {
        last = drafts.taxes.implied(limited.0, limited.1)?;
        groups = &[];
        drafts.tell_taxes(last);
    }
    for group in groups.iter().take(groups.len().saturating_sub(1)) {
        let part = change.scaled(group.excl, excl)?;
        let part_of_tax = if tax.is_zero() {
            change_of_tax.scaled(group.excl, excl)?
        } else {
            change_of_tax.scaled(group.incl.minus(group.excl)?, tax)?
        };
        add_part(drafts, item, group.set, (part, part.plus(part_of_tax)?), span)?;
    }
    let (excl, incl) = Sums::of(&drafts.list, &drafts.taxes)?.total()?;
    let rest = (limited.0.minus(excl)?, limited.1.minus(incl)?);
    add_part(drafts, item, last, rest, span)
}

fn add_part(
    drafts: &mut Drafts<'_>,
    item: Item,
    set: TaxSet,
    (excl, incl): (Exact, Exact),
    span: Span,
) -> Result<(), MoneyError> {
    let description = match item {
        Item::MinPrice => &MIN_PRICE,
        Item::Free => &FREE,
        _ => &MAX_PRICE,
    };
    drafts.add_given(line(item, description, drafts, span), set, (excl, incl))
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
    let cap = Exact::for_once(cap)?;
    let (mut groups, sum) = idle(drafts)?;
    if sum <= cap {
        return Ok(());
    }
    groups.retain(|(_, price)| !price.is_zero());
    let change = cap.minus(sum)?;
    for (place, (set, price)) in groups.iter().enumerate() {
        // The last one takes what is left to the cap, so that it holds where every line is rounded.
        let is_last = place + 1 == groups.len();
        let part =
            if is_last { cap.minus(idle(drafts)?.1)? } else { change.scaled(*price, sum)? };
        drafts.add(line(Item::IdleCap, &IDLE_CAP, drafts, span), *set, part)?;
    }
    Ok(())
}

/// What idle time costs in the view of the tariff, by its taxes and in all, what is taken off it
/// considered.
fn idle(drafts: &Drafts<'_>) -> Result<(Vec<(TaxSet, Exact)>, Exact), MoneyError> {
    let mut groups: Vec<(TaxSet, Exact)> = Vec::new();
    let mut all = Exact::ZERO;
    for draft in &drafts.list {
        let reduced = draft.reduces.and_then(|reduced| drafts.list.get(reduced));
        if !matches!(reduced.unwrap_or(draft).item, Item::ParkingTime | Item::IdleCap) {
            continue;
        }
        let price = if drafts.taxes.are_included() { draft.incl } else { draft.excl };
        all = all.plus(price)?;
        match groups.iter_mut().find(|(set, _)| *set == draft.set) {
            Some((_, sum)) => *sum = sum.plus(price)?,
            None => groups.push((draft.set, price)),
        }
    }
    Ok((groups, all))
}

/// A line that changes the sum of others.
fn line(item: Item, description: &Arc<str>, drafts: &Drafts<'_>, span: Span) -> Line {
    Line {
        description: Arc::clone(description),
        from: span.from,
        to: span.to,
        ..Line::blank(item, drafts.currency)
    }
}
