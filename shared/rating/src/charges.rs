//! How much of what falls under which price component, stepped up.

use std::collections::BTreeMap;

use quantities::MoneyError;
use smallvec::{SmallVec, smallvec};

use crate::{
    Indexes, Item, RatingError, SegmentKind,
    compile::{Compiled, Component},
    exact::{Number, UWH_DECIMALS},
    walk::Run,
};

/// Most sessions have no more charges than this.
const FEW: usize = 4;
/// Fewer charges than this are looked through one by one.
const MANY: usize = 16;

/// Charges by item and component, and which component of each kind was the last one used.
#[derive(Debug, Default)]
pub(crate) struct Charges {
    pub(crate) list: SmallVec<[Charge; FEW]>,
    /// By component where in `list` its charge is; empty while there are few.
    places: BTreeMap<usize, usize>,
    last_energy: Option<usize>,
    last_time: Option<(Item, usize)>,
    last_reservation: Option<usize>,
}

/// What falls under one component: millionths of a Wh, milliseconds, or 1 for a flat fee.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) item: Item,
    pub(crate) component: usize,
    pub(crate) measured: i64,
    pub(crate) billed: i64,
    /// Where it was used.
    pub(crate) segments: Indexes,
}

impl Charge {
    pub(crate) fn component<'a>(&self, tariff: &'a Compiled) -> Result<&'a Component, RatingError> {
        let component = tariff.components.get(self.component);
        component.ok_or(RatingError::NoComponent { component: self.component })
    }

    /// `count` of it in Wh, milliseconds, or times.
    pub(crate) fn quantity(&self, count: i64) -> Number {
        Number::Few(count, if self.item == Item::Energy { UWH_DECIMALS } else { 0 }).trimmed()
    }
}

impl Charges {
    /// Adds what `runs` amount to under `tariff`, all of a session, in the order of their items.
    ///
    /// # Errors
    ///
    /// [`RatingError`] on overflow.
    pub(crate) fn add_all(&mut self, runs: &[Run], tariff: &Compiled) -> Result<(), RatingError> {
        for (index, run) in runs.iter().enumerate().filter(|(_, run)| run.billable) {
            self.add_run(index, run)?;
        }
        self.list.sort_by_key(|charge| charge.item);
        self.step_up(tariff)
    }

    fn add_run(&mut self, index: usize, run: &Run) -> Result<(), RatingError> {
        let uwh = run.uwh();
        let reserved = run.kind == SegmentKind::Reservation;
        if let Some(flat) = run.flat {
            let item = if reserved { Item::ReservationFlat } else { Item::Flat };
            self.add(item, flat, 1, index)?;
        }
        if let Some(energy) = run.energy.filter(|_| uwh != 0) {
            self.add(Item::Energy, energy, uwh, index)?;
            self.last_energy = Some(energy);
        }
        let Some(time) = run.time.filter(|_| run.time_ms > 0) else { return Ok(()) };
        let item = match run.kind {
            SegmentKind::Reservation => Item::ReservationTime,
            SegmentKind::Idle => Item::ParkingTime,
            _ => Item::Time,
        };
        self.add(item, time, run.time_ms, index)?;
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
        count: i64,
        segment: usize,
    ) -> Result<(), MoneyError> {
        let place = self.place(component);
        let Some(charge) = place.and_then(|place| self.list.get_mut(place)) else {
            let segments = smallvec![segment];
            self.push(Charge { item, component, measured: count, billed: count, segments });
            return Ok(());
        };
        charge.measured = charge.measured.checked_add(count).ok_or(MoneyError::Overflow)?;
        charge.billed = charge.measured;
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
            let mut total = 0_i64;
            for charge in self.list.iter().filter(|charge| charge.item == item) {
                total = total.checked_add(charge.measured).ok_or(MoneyError::Overflow)?;
            }
            let is_last = |charge: &&mut Charge| charge.item == item && charge.component == last;
            let Some(charge) = self.list.iter_mut().find(is_last) else { continue };
            // A step is of Wh or seconds.
            let unit = if item == Item::Energy { 1_000_000 } else { 1_000 };
            let extra =
                missing_to_step(total, i64::from(charge.component(tariff)?.step_size) * unit);
            charge.billed = charge.billed.checked_add(extra).ok_or(MoneyError::Overflow)?;
        }
        Ok(())
    }
}

/// What `total` lacks to a multiple of `step`; nothing for a step of 0.
const fn missing_to_step(total: i64, step: i64) -> i64 {
    match total.checked_rem(step) {
        None | Some(0) => 0,
        Some(rest) => step - rest,
    }
}
