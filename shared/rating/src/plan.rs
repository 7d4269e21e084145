//! What a plan takes off: the start fee, what an allowance covers, discounts on the rest.
//!
//! Every reduction is a line of its own, so that the list price and what is taken off are both
//! seen. A reservation is not part of a plan, and what the tariff gives for nothing stays for
//! nothing: it uses up no allowance, and no price takes its place.

use std::{collections::BTreeMap, sync::Arc};

use ocpi::TariffDimensionType;
use plans::{Allowance, Period, PlanVersion, Reduction, Usage};
use quantities::MoneyError;
use rust_decimal::Decimal;
use smallvec::smallvec;

use crate::{
    Indexes, Item, Line, PlanRule, RatingError, Segment, SegmentKind, Why,
    bill::{Extent, in_units, price_of, units},
    charges::Charge,
    compile::Compiled,
    draft::Drafts,
    exact::{Exact, Number, to_wh},
    explain,
    walk::Run,
};

/// A plan and what its account has used, for one session.
#[derive(Debug, Clone, Copy)]
pub struct PlanInForce<'a> {
    /// The version that the session has; it covers the session's site.
    pub plan: &'a PlanVersion,
    /// What the account used before this session, in the month in which it starts.
    pub used: &'a Usage,
}

/// Applies a plan to the lines of one bill.
pub(crate) struct Applier<'a, 'b> {
    pub(crate) plan: PlanInForce<'a>,
    pub(crate) tariff: &'a Compiled,
    pub(crate) runs: &'a [Run],
    pub(crate) segments: &'a [Segment],
    pub(crate) charges: &'a [Charge],
    /// The lines, the first of which are those of `charges`, in the same order.
    pub(crate) drafts: &'a mut Drafts<'b>,
}

/// How much of a charge is taken off, and where that was used.
struct Cover {
    charge: usize,
    quantity: Decimal,
    segments: Indexes,
}

impl Applier<'_, '_> {
    /// Adds the plan's lines. Returns what the session adds to the account's usage, its price aside.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub(crate) fn apply(mut self) -> Result<Usage, RatingError> {
        let billed = |charge: &Charge| Decimal::from(charge.quantity(charge.billed));
        let mut left: Vec<Decimal> = self.charges.iter().map(billed).collect();
        self.waive(&mut left)?;
        for allowance in &self.plan.plan.plan.allowances {
            self.allow(allowance, &mut left)?;
        }
        self.discount(&left)?;
        self.usage()
    }

    fn waive(&mut self, left: &mut [Decimal]) -> Result<(), RatingError> {
        if !self.plan.plan.plan.waive_start_fee {
            return Ok(());
        }
        let charges = self.charges;
        for (index, charge) in charges.iter().enumerate() {
            let price = self.price(charge)?;
            if charge.item != Item::Flat || price.is_zero() {
                continue;
            }
            let cover = Cover::all_of(index, charge, Decimal::ONE);
            let text = format!("{}, no start fee", self.plan.plan.plan.name);
            self.take_off(Item::StartFeeWaived, &cover, price, &text, PlanRule::NoStartFee)?;
            if let Some(left) = left.get_mut(index) {
                *left = Decimal::ZERO;
            }
        }
        Ok(())
    }

    fn allow(&mut self, allowance: &Allowance, left: &mut [Decimal]) -> Result<(), RatingError> {
        let item = match allowance.dimension {
            TariffDimensionType::Energy => Item::Energy,
            TariffDimensionType::Time => Item::Time,
            TariffDimensionType::ParkingTime => Item::ParkingTime,
            TariffDimensionType::Flat => return Ok(()),
        };
        let free = allowance.left(self.plan.used)?;
        for cover in self.covers(item, free)? {
            let Some(charge) = self.charges.get(cover.charge) else { continue };
            let price = self.price(charge)?;
            let per = match allowance.per {
                Period::Session => "session",
                Period::Month => "month",
            };
            let unit = if item == Item::Energy { "kWh" } else { "min" };
            let name = &self.plan.plan.plan.name;
            let given = allowance.quantity.normalize();
            let text = format!("{name}, {given} {unit} a {per} included");
            let rule = PlanRule::Allowance { quantity: allowance.quantity, per: allowance.per };
            self.take_off(Item::Allowance, &cover, price, &text, rule)?;
            if let Some(left) = left.get_mut(cover.charge) {
                *left = left.checked_sub(cover.quantity).ok_or(MoneyError::Overflow)?;
            }
        }
        Ok(())
    }

    /// What `free` (Wh or milliseconds) covers of `item`: the earliest use first, whichever
    /// component prices it, and what `step_size` added last.
    fn covers(&self, item: Item, free: Decimal) -> Result<Vec<Cover>, RatingError> {
        let mut free = if item == Item::Energy { free } else { free.floor() };
        let mut of_component = BTreeMap::new();
        for (place, charge) in self.charges.iter().enumerate() {
            if charge.item == item && !self.price(charge)?.is_zero() {
                of_component.insert(charge.component, place);
            }
        }
        let mut covers: BTreeMap<usize, Cover> = BTreeMap::new();
        for (segment, run) in self.runs.iter().enumerate().filter(|(_, run)| run.billable) {
            let Some((component, quantity)) = used(run, item) else { continue };
            let Some(place) = of_component.get(&component) else { continue };
            let part = quantity.min(free);
            if !part.is_zero() {
                free = free.checked_sub(part).ok_or(MoneyError::Overflow)?;
                Cover::add(&mut covers, *place, part, segment)?;
            }
        }
        for place in of_component.into_values() {
            let Some(charge) = self.charges.get(place) else { continue };
            let stepped = Decimal::from(charge.quantity(charge.billed - charge.measured)).min(free);
            if !stepped.is_zero() {
                free = free.checked_sub(stepped).ok_or(MoneyError::Overflow)?;
                let cover = covers.entry(place);
                let cover = cover.or_insert_with(|| Cover::all_of(place, charge, Decimal::ZERO));
                let sum = cover.quantity.checked_add(stepped);
                cover.quantity = sum.ok_or(MoneyError::Overflow)?;
            }
        }
        Ok(covers.into_values().collect())
    }

    fn discount(&mut self, left: &[Decimal]) -> Result<(), RatingError> {
        let charges = self.charges;
        for (index, (charge, left)) in charges.iter().zip(left).enumerate() {
            let Some(dimension) = dimension(charge.item) else { continue };
            let Some(discount) = self.plan.plan.plan.discount(dimension) else { continue };
            let price = self.price(charge)?;
            let off = taken_off(discount.by, price)?;
            if price.is_zero() || left.is_zero() || off.is_zero() {
                continue;
            }
            let cover = Cover::all_of(index, charge, *left);
            let (_, rate_unit) = units(charge.item);
            let by = explain::discount(discount.by, self.tariff.currency, rate_unit);
            let text = format!("{}, {by}", self.plan.plan.plan.name);
            self.take_off(Item::Discount, &cover, off, &text, PlanRule::Discount(discount.by))?;
        }
        Ok(())
    }

    /// Adds the line that takes `off` per unit off what `cover` says.
    fn take_off(
        &mut self,
        item: Item,
        cover: &Cover,
        off: Decimal,
        text: &str,
        rule: PlanRule,
    ) -> Result<(), RatingError> {
        let Some(charge) = self.charges.get(cover.charge) else { return Ok(()) };
        let component = charge.component(self.tariff)?;
        let set = self.drafts.taxes.of(component.vat);
        let taken = Number::from(cover.quantity).trimmed();
        let amount = Exact::ZERO.minus(price_of(charge.item, off, taken)?)?;
        let (unit, rate_unit) = units(charge.item);
        let quantity = in_units(charge.item, taken)?;
        let Extent { from, to, energy } = Extent::of(self.segments, &cover.segments)?;
        let line = Line {
            description: Arc::from(format!("{text}: {}", component.description)),
            quantity,
            measured: quantity,
            unit,
            rate: -off,
            rate_unit,
            from,
            to,
            energy,
            segments: cover.segments.clone(),
            why: Why { reduces: Some(cover.charge), plan: Some(rule), ..Why::default() },
            ..Line::blank(item, self.drafts.currency)
        };
        Ok(self.drafts.add(line, set, amount)?)
    }

    /// What the session adds to the usage that allowances are counted by.
    fn usage(&self) -> Result<Usage, RatingError> {
        let mut usage = Usage::none(self.plan.used.month, self.tariff.currency);
        for charge in self.charges {
            if self.price(charge)?.is_zero() {
                continue;
            }
            let ms = |sum: i64| sum.checked_add(charge.billed).ok_or(MoneyError::Overflow);
            match charge.item {
                Item::Energy => {
                    let sum = usage.energy_wh.checked_add(to_wh(charge.billed));
                    usage.energy_wh = sum.ok_or(MoneyError::Overflow)?;
                }
                Item::Time => usage.time_ms = ms(usage.time_ms)?,
                Item::ParkingTime => usage.parking_ms = ms(usage.parking_ms)?,
                _ => {}
            }
        }
        Ok(usage)
    }

    fn price(&self, charge: &Charge) -> Result<Decimal, RatingError> {
        Ok(charge.component(self.tariff)?.price)
    }
}

impl Cover {
    /// `quantity` of `charge`, wherever it was used.
    fn all_of(place: usize, charge: &Charge, quantity: Decimal) -> Self {
        Self { charge: place, quantity, segments: charge.segments.clone() }
    }

    fn add(
        covers: &mut BTreeMap<usize, Self>,
        charge: usize,
        quantity: Decimal,
        segment: usize,
    ) -> Result<(), MoneyError> {
        let Some(cover) = covers.get_mut(&charge) else {
            covers.insert(charge, Self { charge, quantity, segments: smallvec![segment] });
            return Ok(());
        };
        cover.quantity = cover.quantity.checked_add(quantity).ok_or(MoneyError::Overflow)?;
        cover.segments.push(segment);
        Ok(())
    }
}

/// What `run` used of `item`, and which component prices it.
fn used(run: &Run, item: Item) -> Option<(usize, Decimal)> {
    let time = |kind| {
        let time = run.time.filter(|_| run.kind == kind);
        time.map(|component| (component, Decimal::from(run.time_ms)))
    };
    match item {
        Item::Energy => run.energy.map(|component| (component, to_wh(run.uwh()))),
        Item::Time => time(SegmentKind::Charging),
        Item::ParkingTime => time(SegmentKind::Idle),
        _ => None,
    }
}

/// The dimension that a plan speaks of when it means `item`; none of a reservation's.
const fn dimension(item: Item) -> Option<TariffDimensionType> {
    match item {
        Item::Flat => Some(TariffDimensionType::Flat),
        Item::Energy => Some(TariffDimensionType::Energy),
        Item::Time => Some(TariffDimensionType::Time),
        Item::ParkingTime => Some(TariffDimensionType::ParkingTime),
        _ => None,
    }
}

/// What `reduction` takes off `price`. Below zero where a fixed price is the dearer one.
pub(crate) fn taken_off(reduction: Reduction, price: Decimal) -> Result<Decimal, MoneyError> {
    let off = match reduction {
        Reduction::Percent(percent) => {
            let part = price.checked_mul(percent).ok_or(MoneyError::Overflow)?;
            part.checked_div(Decimal::ONE_HUNDRED).ok_or(MoneyError::Overflow)?
        }
        Reduction::Amount(amount) => amount,
        Reduction::Price(fixed) => price.checked_sub(fixed).ok_or(MoneyError::Overflow)?,
    };
    Ok(off.min(price))
}
