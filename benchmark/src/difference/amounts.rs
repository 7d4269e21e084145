//! From exact amounts to what either engine makes of them.

use anyhow::{Result, ensure};
use ocpi::{Price, Tariff};
use quantities::Currency;
use rating::PricedSession;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::reference::{Amounts, Answer};

/// The reference counts in nanoseconds, and JSON carries 15 digits: what is left of an hour without
/// end in decimals is beyond these.
const EXACT_DECIMALS: u32 = 9;

/// Whether both say the same, to the minor unit.
pub(super) fn same(ours: &PricedSession, theirs: &Answer) -> bool {
    cents(theirs, ours.currency) == Some(our_cents(ours))
}

/// Both views of our total, in minor units.
fn our_cents(ours: &PricedSession) -> (Decimal, Decimal) {
    (ours.net().to_money().value, ours.gross().to_money().value)
}

/// Both views of their total, to the minor unit. None where it has no amount with VAT.
pub(super) fn cents(theirs: &Answer, currency: Currency) -> Option<(Decimal, Decimal)> {
    if theirs.refused.is_some() {
        return None;
    }
    let round = |amount| to_minor(amount, currency);
    match theirs.total {
        Some(total) => Some((round(total.excl_vat), round(total.incl_vat?))),
        None => Some((Decimal::ZERO, Decimal::ZERO)),
    }
}

fn to_minor(amount: Decimal, currency: Currency) -> Decimal {
    let strategy = RoundingStrategy::MidpointAwayFromZero;
    amount
        .round_dp_with_strategy(EXACT_DECIMALS, strategy)
        .round_dp_with_strategy(currency.minor_digits(), strategy)
        .normalize()
}

/// An exact amount with a tariff's limits applied.
pub(super) struct Limited {
    excl_vat: Decimal,
    incl_vat: Decimal,
    /// Whether the reference applies the limits differently.
    pub(super) is_theirs_another: bool,
}

impl Limited {
    /// Whether four decimals on the way to the minor unit make a difference.
    pub(super) fn rounded_twice(&self, currency: Currency) -> bool {
        let differs = |amount| to_minor(four(amount), currency) != to_minor(amount, currency);
        differs(self.excl_vat) || differs(self.incl_vat)
    }

    /// Whether it is what Tallywatt says.
    pub(super) fn check(&self, ours: &PricedSession) -> Result<()> {
        let round = |amount| to_minor(amount, ours.currency);
        let expected = (round(self.excl_vat), round(self.incl_vat));
        let found = our_cents(ours);
        ensure!(
            expected == (found.0.normalize(), found.1.normalize()),
            "restated, the reference says {expected:?} and Tallywatt {found:?}"
        );
        Ok(())
    }
}

/// Applies `tariff`'s minimum and maximum to both views, as OCPI rules (`mod_tariffs`, notes at
/// `min_price` and `max_price`): each on its own, unless no VAT that is on the bill could then be
/// in it; then to the bill as a whole, until both hold.
pub(super) fn limited(
    exact: Option<Amounts>,
    tariff: &Tariff,
    ours: &PricedSession,
) -> Option<Limited> {
    let before = match exact {
        Some(exact) => (exact.excl_vat, exact.incl_vat?),
        None => (Decimal::ZERO, Decimal::ZERO),
    };
    // A limit that states no VAT carries what the bill carries.
    let views = |limit: Price| {
        let carried = || {
            if before.0.is_zero() { limit.excl_vat } else { limit.excl_vat * before.1 / before.0 }
        };
        (limit.excl_vat, limit.incl_vat.unwrap_or_else(carried))
    };
    let vat = Vat::of(ours);
    let (mut excl, mut incl) = before;
    if let Some(least) = tariff.min_price.map(views) {
        let apart = (excl.max(least.0), incl.max(least.1));
        let as_a_whole = || {
            let factor = (least.0 / excl).max(least.1 / incl);
            (excl * factor, incl * factor)
        };
        let stands = apart == (excl, incl) || excl.is_zero() || vat.is_unknown;
        (excl, incl) = if stands || vat.is_in(apart) { apart } else { as_a_whole() };
    }
    if let Some(most) = tariff.max_price.map(views) {
        let apart = (excl.min(most.0), incl.min(most.1));
        let as_a_whole = || {
            let factor = (most.0 / excl).min(most.1 / incl);
            (excl * factor, incl * factor)
        };
        let stands = apart == (excl, incl) || excl.is_zero();
        (excl, incl) = if stands || vat.is_in(apart) { apart } else { as_a_whole() };
    }
    let theirs = as_they_limit(exact, tariff);
    let same = match theirs {
        Some(theirs) => four(excl) == theirs.excl_vat && Some(four(incl)) == theirs.incl_vat,
        None => excl.is_zero() && incl.is_zero(),
    };
    Some(Limited { excl_vat: excl, incl_vat: incl, is_theirs_another: !same })
}

/// The VAT on a bill, in percent.
struct Vat {
    lowest: Decimal,
    highest: Decimal,
    minor_unit: Decimal,
    /// Whether no component states any.
    is_unknown: bool,
}

impl Vat {
    fn of(ours: &PricedSession) -> Self {
        let consumed = ours.lines.iter().filter(|line| line.element.is_some());
        let is_unknown = consumed.clone().all(|line| line.taxes.is_empty());
        let billed = consumed.filter(|line| !line.why.exact_excl_vat.is_zero());
        let percents = billed.map(|line| ours.tax_percent(line).unwrap_or_default());
        Self {
            lowest: percents.clone().min().unwrap_or_default(),
            highest: percents.max().unwrap_or_default(),
            minor_unit: Decimal::new(1, ours.currency.minor_digits()),
            is_unknown,
        }
    }

    /// Whether it can be what is between `excl` and `incl`, to the minor unit.
    fn is_in(&self, (excl, incl): (Decimal, Decimal)) -> bool {
        let with = |percent| excl + excl * percent / Decimal::ONE_HUNDRED;
        with(self.lowest) - self.minor_unit <= incl && incl <= with(self.highest) + self.minor_unit
    }
}

/// The reference compares amounts without VAT first and those with VAT only where these are equal,
/// replaces both at once, and limits nothing where nothing has a price.
fn as_they_limit(exact: Option<Amounts>, tariff: &Tariff) -> Option<Amounts> {
    let exact = exact?;
    let mut total = Amounts { excl_vat: four(exact.excl_vat), incl_vat: exact.incl_vat.map(four) };
    let key = |amounts: Amounts| (amounts.excl_vat, amounts.incl_vat);
    let limit = |price: Price| Amounts { excl_vat: price.excl_vat, incl_vat: price.incl_vat };
    if let Some(least) = tariff.min_price.map(limit)
        && key(total) < key(least)
    {
        total = least;
    }
    if let Some(most) = tariff.max_price.map(limit)
        && key(total) > key(most)
    {
        total = most;
    }
    Some(total)
}

/// Whether the reference's total is its own exact amount, limited and rounded as it does it.
pub(super) fn check_theirs(theirs: &Answer, tariff: &Tariff) -> Result<()> {
    let expected = as_they_limit(theirs.exact, tariff);
    ensure!(theirs.total == expected, "the reference's total is not {expected:?}: {theirs:?}");
    Ok(())
}

/// To the four decimals of an OCPI number, as the reference rounds.
fn four(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(4, RoundingStrategy::MidpointNearestEven)
}
