//! From runs to a bill: quantities summed up, stepped and priced; amounts rounded once.

use ocpi::{Price, Tariff};
use quantities::{Amount, Currency, Money, MoneyError, TariffRef, TaxPercent, WattHours};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    Cost, FindingCode, Item, Line, Method, PricedSession, RatingError, Segment, SegmentKind,
    Totals, Unit,
    compile::{Bounds, Compiled, Component},
    exact::{Exact, WH_PER_KWH},
    label::describe,
    stretch::{Findings, moment},
    walk::Run,
};

/// How the input is interpolated; part of every result.
const INTERPOLATION: &str = "linear between readings, to 0.1 Wh at a boundary";
/// How amounts are rounded; part of every result.
const ROUNDING: &str = "exact until the total; total half away from zero to the minor unit; \
                        lines by largest remainder so that they add up to it";

/// What a bill is made from.
pub(crate) struct Bill<'a> {
    pub(crate) tariff: &'a Tariff,
    pub(crate) compiled: &'a Compiled,
    pub(crate) reference: TariffRef,
    pub(crate) runs: &'a [Run],
    /// The tax of a component that states no VAT. `None`: none is added.
    pub(crate) tax: Option<TaxPercent>,
}

impl Bill<'_> {
    /// The priced session.
    ///
    /// # Errors
    ///
    /// [`RatingError`] on overflow.
    pub(crate) fn write(self, mut findings: Findings) -> Result<PricedSession, RatingError> {
        let mut charges = self.charges()?;
        charges.step_up(self.compiled)?;
        let mut drafts = Vec::with_capacity(charges.list.len() + 1);
        for charge in &charges.list {
            drafts.push(self.draft(charge, &mut findings)?);
        }
        self.limit(&mut drafts)?;
        let currency = self.compiled.currency;
        let amounts = round(&drafts, currency)?;
        let totals = totals(&drafts, &amounts, currency)?;
        let lines = drafts.into_iter().zip(amounts).map(|(draft, amount)| draft.line(amount));
        let segments: Vec<Segment> = self.runs.iter().map(|run| self.segment(run)).collect();
        let first = self.runs.first().map_or(Decimal::ZERO, |run| run.energy_from);
        let last = self.runs.last().map_or(Decimal::ZERO, |run| run.energy_to);
        let seconds = |charging: bool| {
            let counted = self.runs.iter().filter(|run| is_session(run.kind, charging));
            Decimal::new(counted.map(|run| run.time_ms).sum(), 3).normalize()
        };
        Ok(PricedSession {
            tariff: self.reference.clone(),
            currency,
            lines: lines.collect(),
            segments,
            totals,
            total_energy: WattHours::new((last - first).normalize()),
            total_time_s: seconds(true) + seconds(false),
            total_parking_time_s: seconds(false),
            findings: findings.into_sorted(),
            method: Method {
                interpolation: INTERPOLATION.to_owned(),
                rounding: ROUNDING.to_owned(),
            },
        })
    }

    /// How much of what falls under which component.
    fn charges(&self) -> Result<Charges, RatingError> {
        let mut charges = Charges::default();
        for (index, run) in self.runs.iter().enumerate().filter(|(_, run)| run.billable) {
            let wh = run.energy_to.checked_sub(run.energy_from).ok_or(MoneyError::Overflow)?;
            let reserved = run.kind == SegmentKind::Reservation;
            if let Some(flat) = run.flat {
                let item = if reserved { Item::ReservationFlat } else { Item::Flat };
                charges.add(item, flat, Decimal::ONE, index, run)?;
            }
            if let Some(energy) = run.energy.filter(|_| !wh.is_zero()) {
                charges.add(Item::Energy, energy, wh, index, run)?;
                charges.last_energy = Some(energy);
            }
            let Some(time) = run.time.filter(|_| run.time_ms > 0) else { continue };
            let item = match run.kind {
                SegmentKind::Reservation => Item::ReservationTime,
                SegmentKind::Idle => Item::ParkingTime,
                _ => Item::Time,
            };
            charges.add(item, time, Decimal::from(run.time_ms), index, run)?;
            match item {
                Item::ReservationTime => charges.last_reservation = Some(time),
                item => charges.last_time = Some((item, time)),
            }
        }
        charges.list.sort_by_key(|charge| charge.item);
        Ok(charges)
    }

    fn draft(&self, charge: &Charge, findings: &mut Findings) -> Result<Draft, RatingError> {
        let component = charge.component(self.compiled)?;
        let (price, quantity) = (component.price, charge.billed);
        let excl = match charge.item {
            Item::Energy => Exact::for_energy(price, quantity)?,
            Item::Time | Item::ParkingTime | Item::ReservationTime => {
                Exact::for_time(price, quantity.to_i64().ok_or(MoneyError::Overflow)?)?
            }
            _ => Exact::for_once(price)?,
        };
        let tax = component.vat.or(self.tax);
        if tax.is_none() && !excl.is_zero() {
            let detail = "a price component states no VAT; none is added";
            findings.note(FindingCode::VatNotStated, moment(charge.from_ms), detail);
        }
        let percent = tax.map_or(Decimal::ZERO, TaxPercent::percent);
        let incl = excl.plus_percent(percent)?;
        Ok(Draft { line: self.unpriced_line(charge, component, tax), excl, incl })
    }

    fn unpriced_line(
        &self,
        charge: &Charge,
        component: &Component,
        tax_percent: Option<TaxPercent>,
    ) -> Line {
        let (scale, unit, rate_unit) = match charge.item {
            Item::Energy => (WH_PER_KWH, Unit::KilowattHour, Unit::KilowattHour),
            Item::Time | Item::ParkingTime | Item::ReservationTime => {
                (Decimal::ONE_THOUSAND, Unit::Second, Unit::Hour)
            }
            _ => (Decimal::ONE, Unit::Session, Unit::Session),
        };
        Line {
            item: charge.item,
            description: describe(charge.item, &component.rule),
            element: Some(component.element),
            quantity: (charge.billed / scale).normalize(),
            measured: (charge.measured / scale).normalize(),
            unit,
            rate: component.price,
            rate_unit,
            tax_percent,
            amount: Cost::zero(self.compiled.currency),
            from: moment(charge.from_ms),
            to: moment(charge.to_ms),
            energy: WattHours::new(charge.energy_wh.normalize()),
            segments: charge.segments.clone(),
        }
    }

    fn segment(&self, run: &Run) -> Segment {
        let power = if self.compiled.uses_power() { run.power_kw } else { Bounds::default() };
        Segment {
            start: moment(run.start_ms),
            end: moment(run.end_ms),
            energy: WattHours::new((run.energy_to - run.energy_from).normalize()),
            kind: run.kind,
            min_power_kw: power.low,
            max_power_kw: power.high,
        }
    }

    /// Adds what a minimum or maximum price asks for. Both views are limited on their own
    /// (`mod_tariffs`, Tariff object); a limit stated without VAT carries the bill's own tax.
    fn limit(&self, drafts: &mut Vec<Draft>) -> Result<(), RatingError> {
        let mut excl = Exact::ZERO;
        let mut incl = Exact::ZERO;
        for draft in &*drafts {
            excl = excl.plus(draft.excl)?;
            incl = incl.plus(draft.incl)?;
        }
        let with_tax = |amount: Exact| {
            let percent = self.tax.map_or(Decimal::ZERO, TaxPercent::percent);
            if excl.is_zero() { amount.plus_percent(percent) } else { amount.scaled(incl, excl) }
        };
        let limits = |limit: Price| -> Result<(Exact, Exact), MoneyError> {
            let limit_excl = Exact::for_once(limit.excl_vat)?;
            let limit_incl = match limit.incl_vat {
                Some(incl) => Exact::for_once(incl)?,
                None => with_tax(limit_excl)?,
            };
            Ok((limit_excl, limit_incl))
        };
        let mut more = (Item::MinPrice, excl, incl);
        if let Some(limit) = self.tariff.min_price {
            let (least_excl, least_incl) = limits(limit)?;
            more = (Item::MinPrice, excl.max(least_excl), incl.max(least_incl));
        }
        if let Some(limit) = self.tariff.max_price {
            let (most_excl, most_incl) = limits(limit)?;
            if more.1 > most_excl || more.2 > most_incl {
                more = (Item::MaxPrice, more.1.min(most_excl), more.2.min(most_incl));
            }
        }
        let (item, limited_excl, limited_incl) = more;
        let (excl, incl) = (limited_excl.minus(excl)?, limited_incl.minus(incl)?);
        if excl.is_zero() && incl.is_zero() {
            return Ok(());
        }
        drafts.push(Draft { line: self.limit_line(item, excl)?, excl, incl });
        Ok(())
    }

    fn limit_line(&self, item: Item, amount: Exact) -> Result<Line, RatingError> {
        let from_ms = self.runs.first().map_or(0, |run| run.start_ms);
        let to_ms = self.runs.last().map_or(0, |run| run.end_ms);
        Ok(Line {
            item,
            description: describe(item, &crate::compile::Rule::default()),
            element: None,
            quantity: Decimal::ONE,
            measured: Decimal::ONE,
            unit: Unit::Session,
            rate: amount.major()?.normalize(),
            rate_unit: Unit::Session,
            tax_percent: None,
            amount: Cost::zero(self.compiled.currency),
            from: moment(from_ms),
            to: moment(to_ms),
            energy: WattHours::ZERO,
            segments: Vec::new(),
        })
    }
}

/// Whether time of `kind` is part of the session, and charging or not.
const fn is_session(kind: SegmentKind, charging: bool) -> bool {
    match kind {
        SegmentKind::Charging | SegmentKind::Unstated => charging,
        SegmentKind::Idle | SegmentKind::Grace | SegmentKind::Operator => !charging,
        SegmentKind::Reservation => false,
    }
}

/// Charges by item and component, and which component of each kind was the last one used.
#[derive(Default)]
struct Charges {
    list: Vec<Charge>,
    last_energy: Option<usize>,
    last_time: Option<(Item, usize)>,
    last_reservation: Option<usize>,
}

/// What falls under one component: Wh, milliseconds, or 1 for a flat fee.
struct Charge {
    item: Item,
    component: usize,
    measured: Decimal,
    billed: Decimal,
    from_ms: i64,
    to_ms: i64,
    energy_wh: Decimal,
    segments: Vec<usize>,
}

impl Charge {
    fn component<'a>(&self, tariff: &'a Compiled) -> Result<&'a Component, RatingError> {
        let component = tariff.components.get(self.component);
        component.ok_or(RatingError::Money(MoneyError::Overflow))
    }
}

impl Charges {
    fn add(
        &mut self,
        item: Item,
        component: usize,
        quantity: Decimal,
        segment: usize,
        run: &Run,
    ) -> Result<(), MoneyError> {
        let energy_wh = run.energy_to.checked_sub(run.energy_from).ok_or(MoneyError::Overflow)?;
        let same = |charge: &&mut Charge| charge.item == item && charge.component == component;
        let Some(charge) = self.list.iter_mut().find(same) else {
            self.list.push(Charge {
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

/// What `total` lacks to a multiple of `step`; nothing for a step of 0.
fn missing_to_step(total: Decimal, step: Decimal) -> Result<Decimal, MoneyError> {
    if step.is_zero() {
        return Ok(Decimal::ZERO);
    }
    let rest = total.checked_rem(step).ok_or(MoneyError::Overflow)?;
    Ok(if rest.is_zero() { Decimal::ZERO } else { step - rest })
}

/// A line and its exact amounts.
struct Draft {
    line: Line,
    excl: Exact,
    incl: Exact,
}

impl Draft {
    fn line(self, amount: Cost) -> Line {
        Line { amount, ..self.line }
    }
}

/// Rounds the total once, and shares it out to the lines so that they add up to it: amounts with
/// tax first, for they are what is paid, then the tax in them. A line's tax is then right to the
/// minor unit, and zero where no tax is due.
fn round(drafts: &[Draft], currency: Currency) -> Result<Vec<Cost>, MoneyError> {
    let mut excl = Exact::ZERO;
    let mut incl = Exact::ZERO;
    for draft in drafts {
        excl = excl.plus(draft.excl)?;
        incl = incl.plus(draft.incl)?;
    }
    let excl = Money::new(excl.major()?, currency).round()?;
    let incl = Money::new(incl.major()?, currency).round()?;
    let gross = drafts.iter().map(|draft| draft.incl.major());
    let gross = share(&gross.collect::<Result<Vec<_>, _>>()?, incl)?;
    let taxes = drafts.iter().map(|draft| draft.incl.minus(draft.excl)?.major());
    let taxes = share(&taxes.collect::<Result<Vec<_>, _>>()?, incl.checked_sub(excl)?)?;
    let pairs = gross.into_iter().zip(taxes);
    pairs
        .map(|(incl_vat, tax)| Ok(Cost { excl_vat: incl_vat.checked_sub(tax)?, incl_vat }))
        .collect()
}

/// Shares `total` out to `parts` (major units) by largest remainder.
fn share(parts: &[Decimal], total: Amount) -> Result<Vec<Amount>, MoneyError> {
    let unit = Amount::new(1, total.currency).to_money().value;
    let mut shares = Vec::with_capacity(parts.len());
    let mut remainders = Vec::with_capacity(parts.len());
    let mut rest = total.minor;
    for part in parts {
        let minor = part.checked_div(unit).ok_or(MoneyError::Overflow)?;
        let floor = minor.floor();
        remainders.push(minor - floor);
        let floor = floor.to_i64().ok_or(MoneyError::Overflow)?;
        rest = rest.checked_sub(floor).ok_or(MoneyError::Overflow)?;
        shares.push(floor);
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|left, right| remainders.get(*right).cmp(&remainders.get(*left)));
    for index in order.into_iter().take(usize::try_from(rest).unwrap_or_default()) {
        if let Some(share) = shares.get_mut(index) {
            *share = share.checked_add(1).ok_or(MoneyError::Overflow)?;
        }
    }
    Ok(shares.into_iter().map(|minor| Amount::new(minor, total.currency)).collect())
}

fn totals(drafts: &[Draft], amounts: &[Cost], currency: Currency) -> Result<Totals, MoneyError> {
    let zero = Cost::zero(currency);
    let mut totals = Totals {
        total: zero,
        fixed: zero,
        energy: zero,
        time: zero,
        parking: zero,
        reservation: zero,
    };
    for (draft, amount) in drafts.iter().zip(amounts) {
        totals.total = totals.total.checked_add(*amount)?;
        let group = match draft.line.item {
            Item::Flat => &mut totals.fixed,
            Item::Energy => &mut totals.energy,
            Item::Time => &mut totals.time,
            Item::ParkingTime => &mut totals.parking,
            Item::ReservationFlat | Item::ReservationTime => &mut totals.reservation,
            Item::MinPrice | Item::MaxPrice => continue,
        };
        *group = group.checked_add(*amount)?;
    }
    Ok(totals)
}
