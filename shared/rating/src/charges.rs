//! How much of what falls under which price component, stepped up.

use std::collections::HashMap;

use quantities::MoneyError;
use rust_decimal::Decimal;

use crate::{
    Item, RatingError, SegmentKind,
    compile::{Compiled, Component},
    exact::{few_digits, power_of_ten},
    walk::Run,
};

/// Most sessions have no more charges than this.
const FEW: usize = 4;
/// Fewer charges than this are looked through one by one.
const MANY: usize = 16;

/// Charges by item and component, and which component of each kind was the last one used.
#[derive(Debug, Default)]
pub(crate) struct Charges {
    pub(crate) list: Vec<Charge>,
    /// By component where in `list` its charge is; empty while there are few.
    places: HashMap<usize, usize>,
    last_energy: Option<usize>,
    last_time: Option<(Item, usize)>,
    last_reservation: Option<usize>,
}

/// What falls under one component: Wh, milliseconds, or 1 for a flat fee.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) item: Item,
    pub(crate) component: usize,
    pub(crate) measured: Decimal,
    pub(crate) billed: Decimal,
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) energy_wh: Decimal,
    pub(crate) segments: Vec<usize>,
}

impl Charge {
    pub(crate) fn component<'a>(&self, tariff: &'a Compiled) -> Result<&'a Component, RatingError> {
        let component = tariff.components.get(self.component);
        component.ok_or(RatingError::NoComponent { component: self.component })
    }
}

impl Charges {
    /// What `runs` amount to under `tariff`, in the order of their items.
    ///
    /// # Errors
    ///
    /// [`RatingError`] on overflow.
    pub(crate) fn of(runs: &[Run], tariff: &Compiled) -> Result<Self, RatingError> {
        let mut charges = Self { list: Vec::with_capacity(FEW), ..Self::default() };
        for (index, run) in runs.iter().enumerate().filter(|(_, run)| run.billable) {
            charges.add_run(index, run)?;
        }
        charges.list.sort_by_key(|charge| charge.item);
        charges.step_up(tariff)?;
        Ok(charges)
    }

    fn add_run(&mut self, index: usize, run: &Run) -> Result<(), RatingError> {
        let wh = run.wh();
        let reserved = run.kind == SegmentKind::Reservation;
        if let Some(flat) = run.flat {
            let item = if reserved { Item::ReservationFlat } else { Item::Flat };
            self.add(item, flat, Decimal::ONE, index, run)?;
        }
        if let Some(energy) = run.energy.filter(|_| !wh.is_zero()) {
            self.add(Item::Energy, energy, wh, index, run)?;
            self.last_energy = Some(energy);
        }
        let Some(time) = run.time.filter(|_| run.time_ms > 0) else { return Ok(()) };
        let item = match run.kind {
            SegmentKind::Reservation => Item::ReservationTime,
            SegmentKind::Idle => Item::ParkingTime,
            _ => Item::Time,
        };
        self.add(item, time, Decimal::from(run.time_ms), index, run)?;
        match item {
            Item::ReservationTime => self.last_reservation = Some(time),
            item => self.last_time = Some((item, time)),
        }
        Ok(())
    }

    fn add(
        &mut self,
        item: Item,
        component: usize,
        quantity: Decimal,
        segment: usize,
        run: &Run,
    ) -> Result<(), MoneyError> {
        let energy_wh = run.wh();
        let place = self.place(component);
        let Some(charge) = place.and_then(|place| self.list.get_mut(place)) else {
            self.push(Charge {
                item,
                component,
                measured: quantity,
                billed: quantity,
                from_ms: run.start_ms,
                to_ms: run.end_ms,
                energy_wh,
                segments: vec![segment],
            });
            return Ok(());
        };
        charge.measured = charge.measured.checked_add(quantity).ok_or(MoneyError::Overflow)?;
        charge.billed = charge.measured;
        charge.energy_wh = charge.energy_wh.checked_add(energy_wh).ok_or(MoneyError::Overflow)?;
        charge.to_ms = run.end_ms;
        charge.segments.push(segment);
        Ok(())
    }

    /// Where the charge of `component` is: each prices one item only.
    fn place(&self, component: usize) -> Option<usize> {
        if self.places.is_empty() {
            return self.list.iter().position(|charge| charge.component == component);
        }
        self.places.get(&component).copied()
    }

    fn push(&mut self, charge: Charge) {
        self.list.push(charge);
        if self.list.len() >= MANY {
            let unplaced = self.list.iter().enumerate().skip(self.places.len());
            self.places.extend(unplaced.map(|(place, charge)| (charge.component, place)));
        }
    }

    /// Applies `step_size` once for energy, and once for charging and parking time together: the
    /// last component used rounds up the total of its own dimension, and bills the difference
    /// (`mod_cdrs`, `step_size`). An exact multiple is not rounded up: the text says "greater than
    /// the consumed amount", its example bills 101 to 125 Wh alike, and the example is sensible.
    fn step_up(&mut self, tariff: &Compiled) -> Result<(), RatingError> {
        let energy = self.last_energy.map(|component| (Item::Energy, component));
        let reservation = self.last_reservation.map(|component| (Item::ReservationTime, component));
        for (item, last) in [energy, self.last_time, reservation].into_iter().flatten() {
            let mut total = Decimal::ZERO;
            for charge in self.list.iter().filter(|charge| charge.item == item) {
                total = total.checked_add(charge.measured).ok_or(MoneyError::Overflow)?;
            }
            let is_last = |charge: &&mut Charge| charge.item == item && charge.component == last;
            let Some(charge) = self.list.iter_mut().find(is_last) else { continue };
            let step = Decimal::from(charge.component(tariff)?.step_size);
            let unit = if item == Item::Energy { Decimal::ONE } else { Decimal::ONE_THOUSAND };
            let extra = missing_to_step(total, step * unit)?;
            charge.billed = charge.billed.checked_add(extra).ok_or(MoneyError::Overflow)?;
        }
        Ok(())
    }
}

/// What is left of `total` above whole steps, where there are few digits.
fn quick_rest(total: Decimal, step: Decimal) -> Option<Decimal> {
    let (rest, step) = (few_digits(total)?, few_digits(step).filter(|_| step.scale() == 0)?);
    let step = step.checked_mul(power_of_ten(total.scale())?)?;
    Some(Decimal::new(rest.checked_rem(step)?, total.scale()))
}

/// What `total` lacks to a multiple of `step`; nothing for a step of 0.
fn missing_to_step(total: Decimal, step: Decimal) -> Result<Decimal, MoneyError> {
    if step.is_zero() {
        return Ok(Decimal::ZERO);
    }
    let rest = quick_rest(total, step);
    let rest = rest.or_else(|| total.checked_rem(step)).ok_or(MoneyError::Overflow)?;
    Ok(if rest.is_zero() { Decimal::ZERO } else { step - rest })
}
