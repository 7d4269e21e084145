//! From runs to a bill: quantities priced, limits applied, amounts rounded once.

use std::{borrow::Cow, mem, sync::Arc};

use plans::{Month, Usage, UsageError};
use quantities::{Amount, MoneyError, TariffRef, WattHours};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    Cost, FindingCode, Item, Line, Method, PlanApplied, PricedSession, RatingError, Rules, Segment,
    SegmentKind, Totals, Unit, Why,
    charges::{Charge, Charges},
    compile::{Bounds, Compiled},
    draft::{Draft, Drafts},
    exact::{Exact, thousandth, to_wh, trim},
    limit::{Span, cap_idle, limit, set_free},
    plan::Applier,
    round::{Settled, Settlement, settle},
    stretch::{Findings, moment},
    taxes::Taxes,
    walk::Run,
};

/// How the input is interpolated; part of every result.
const INTERPOLATION: &str = "linear between readings, to 0.1 Wh at a boundary";

/// What a bill is made from.
pub(crate) struct Bill<'a> {
    pub(crate) compiled: &'a Compiled,
    pub(crate) reference: &'a TariffRef,
    pub(crate) runs: &'a [Run],
    pub(crate) rules: &'a Rules<'a>,
    /// The most that idle time costs.
    pub(crate) idle_cap: Option<Decimal>,
}

impl Bill<'_> {
    /// The priced session.
    ///
    /// # Errors
    ///
    /// [`RatingError`] on overflow.
    pub(crate) fn write(self, mut findings: Findings) -> Result<PricedSession, RatingError> {
        let (drafts, usage) = self.drafts(&mut findings)?;
        let Drafts { mut list, taxes, currency, rounding } = drafts;
        let is_limited = self.is_limited();
        let rates_include_tax = taxes.are_included();
        let Settlement { lines, taxes, method } =
            settle(&mut list, taxes, currency, rounding, is_limited)?;
        let settled = list.into_iter().zip(lines);
        let lines = settled.map(|(Draft { line, .. }, Settled { amount, taxes })| {
            let rate = rate(&line, amount, rates_include_tax);
            Line { rate, taxes, amount, ..line }
        });
        let lines: Vec<Line> = lines.collect();
        let (charging, idle) = self.seconds()?;
        let first = self.runs.first().map_or(0, |run| run.from_uwh);
        let last = self.runs.last().map_or(0, |run| run.to_uwh);
        let energy = to_wh(last.checked_sub(first).ok_or(MoneyError::Overflow)?);
        let totals = Totals::of(&lines, currency)?;
        let plan = self.plan_applied(usage, totals.total.incl_vat, &mut findings)?;
        Ok(PricedSession {
            tariff: self.reference.clone(),
            currency,
            totals,
            lines,
            segments: self.segments(),
            taxes,
            rates_include_tax,
            plan,
            total_energy: WattHours::new(trim(energy)),
            total_time_s: charging.checked_add(idle).ok_or(MoneyError::Overflow)?,
            total_parking_time_s: idle,
            findings: findings.into_sorted(),
            signed: None,
            method: Method {
                activity: None,
                interpolation: Cow::Borrowed(INTERPOLATION),
                rounding: method,
                minor_digits: self.compiled.currency.minor_digits(),
            },
        })
    }

    /// All lines with their exact amounts, and what they add to the usage of the plan's account.
    fn drafts(&self, findings: &mut Findings) -> Result<(Drafts<'_>, Option<Usage>), RatingError> {
        let mut charges = Charges::of(self.runs, self.compiled)?;
        let (least, most) = (self.compiled.min_price, self.compiled.max_price);
        let is_changed = least.or(most).is_some() || self.idle_cap.is_some();
        let mut drafts = Drafts {
            list: Vec::with_capacity(charges.list.len() + usize::from(is_changed)),
            taxes: Taxes::new(self.rules.taxes, self.compiled.tax_included)?,
            currency: self.compiled.currency,
            rounding: self.rules.rounding,
        };
        for charge in &mut charges.list {
            self.draft(charge, &mut drafts, findings)?;
        }
        let usage = self.apply_plan(&charges.list, &mut drafts, findings)?;
        let span = Span::of(self.runs);
        if let Some(cap) = self.idle_cap {
            cap_idle(&mut drafts, cap, span)?;
        }
        limit(&mut drafts, self.compiled, span)?;
        if self.rules.is_free {
            set_free(&mut drafts, span)?;
        }
        Ok((drafts, usage))
    }

    /// Whether something limits the total: its own price, or that nobody pays it.
    const fn is_limited(&self) -> bool {
        let Compiled { min_price, max_price, .. } = self.compiled;
        min_price.is_some() || max_price.is_some() || self.rules.is_free
    }

    /// Adds the lines of the plan, if there is one for this currency.
    fn apply_plan(
        &self,
        charges: &[Charge],
        drafts: &mut Drafts<'_>,
        findings: &mut Findings,
    ) -> Result<Option<Usage>, RatingError> {
        let Some(plan) = self.rules.plan else { return Ok(None) };
        let start = self.runs.iter().find(|run| run.kind != SegmentKind::Reservation);
        let start = moment(start.or(self.runs.first()).map_or(0, |run| run.start_ms));
        if plan.plan.plan.currency != self.compiled.currency {
            let detail = "the plan is in another currency than the tariff; it is not applied";
            findings.note(FindingCode::PlanNotApplied, start, detail);
            return Ok(None);
        }
        let (left, right) = (Month::of(start, plan.plan.plan.time_zone), plan.used.month);
        if left != right {
            return Err(UsageError::MonthMismatch { left, right }.into());
        }
        let (tariff, runs) = (self.compiled, self.runs);
        Applier { plan, tariff, runs, charges, drafts }.apply().map(Some)
    }

    /// What the plan has come to, now that the price is known.
    fn plan_applied(
        &self,
        usage: Option<Usage>,
        gross: Amount,
        findings: &mut Findings,
    ) -> Result<Option<PlanApplied>, RatingError> {
        let Some((plan, usage)) = self.rules.plan.zip(usage) else { return Ok(None) };
        let usage = Usage { spent: gross, ..usage };
        let spending_cap_reached = match plan.plan.plan.spending_cap {
            Some(cap) => cap.is_reached(&plan.used.checked_add(&usage)?)?,
            None => false,
        };
        if spending_cap_reached {
            let end = moment(Span::of(self.runs).to_ms);
            let detail = "the account has reached its spending cap; this session is billed in full";
            findings.note(FindingCode::SpendingCapReached, end, detail);
        }
        let reference = plan.plan.reference.clone();
        Ok(Some(PlanApplied { reference, usage, spending_cap_reached }))
    }

    /// Seconds of the session in which the vehicle charged, and in which it did not.
    fn seconds(&self) -> Result<(Decimal, Decimal), MoneyError> {
        let (mut charging_ms, mut idle_ms) = (0_i64, 0_i64);
        for run in self.runs {
            let sum_ms = match run.kind {
                SegmentKind::Charging | SegmentKind::Unstated => &mut charging_ms,
                SegmentKind::Idle
                | SegmentKind::Grace
                | SegmentKind::Quiet
                | SegmentKind::Operator => &mut idle_ms,
                SegmentKind::Reservation => continue,
            };
            *sum_ms = sum_ms.checked_add(run.time_ms).ok_or(MoneyError::Overflow)?;
        }
        let seconds = |ms| trim(Decimal::new(ms, 3));
        Ok((seconds(charging_ms), seconds(idle_ms)))
    }

    fn draft(
        &self,
        charge: &mut Charge,
        drafts: &mut Drafts<'_>,
        findings: &mut Findings,
    ) -> Result<(), RatingError> {
        let component = charge.component(self.compiled)?;
        let amount = price_of(charge.item, component.price, charge.billed)?;
        let set = drafts.taxes.of(component.vat);
        if drafts.taxes.are_unknown(set) && !amount.is_zero() {
            let detail = "a price component states no VAT; none is added";
            findings.note(FindingCode::VatNotStated, moment(charge.from_ms), detail);
        }
        let (unit, rate_unit) = units(charge.item);
        let quantity = in_units(charge.item, charge.billed)?;
        let is_stepped = charge.billed != charge.measured;
        let line = Line {
            item: charge.item,
            description: Arc::clone(&component.description),
            element: Some(component.element),
            quantity,
            measured: if is_stepped { in_units(charge.item, charge.measured)? } else { quantity },
            unit,
            rate: component.price,
            rate_unit,
            taxes: Vec::new(),
            amount: Cost::zero(self.compiled.currency),
            from: moment(charge.from_ms),
            to: moment(charge.to_ms),
            energy: WattHours::new(trim(charge.energy_wh)),
            segments: segments(charge, self.rules.plan.is_some()),
            why: Why {
                component: Some(component.position),
                conditions: Arc::clone(&component.conditions),
                step_size: component.step_size,
                ..Why::default()
            },
        };
        Ok(drafts.add(line, set, amount)?)
    }

    fn segments(&self) -> Vec<Segment> {
        let uses_power = self.compiled.uses_power();
        let segment = |run: &Run| {
            let power = if uses_power { run.power_kw } else { Bounds::default() };
            Segment {
                start: moment(run.start_ms),
                end: moment(run.end_ms),
                energy: WattHours::new(trim(run.wh())),
                kind: run.kind,
                min_power_kw: power.low,
                max_power_kw: power.high,
            }
        };
        self.runs.iter().map(segment).collect()
    }
}

/// The rate of `line`. What changes the sum of others is at the rate that it comes to.
fn rate(line: &Line, amount: Cost, with_tax: bool) -> Decimal {
    match line.item {
        Item::IdleCap | Item::MinPrice | Item::MaxPrice | Item::Free if with_tax => {
            amount.incl_vat.to_money().value
        }
        Item::IdleCap | Item::MinPrice | Item::MaxPrice | Item::Free => {
            amount.excl_vat.to_money().value
        }
        _ => line.rate,
    }
}

/// The segments of `charge`, which keeps them only where a plan asks for them.
fn segments(charge: &mut Charge, keep: bool) -> Vec<usize> {
    if keep { charge.segments.clone() } else { mem::take(&mut charge.segments) }
}

/// What `quantity` (Wh, milliseconds, or 1) of `item` costs at `price`.
pub(crate) fn price_of(item: Item, price: Decimal, quantity: Decimal) -> Result<Exact, MoneyError> {
    match item {
        Item::Energy => Exact::for_energy(price, trim(quantity)),
        Item::Time | Item::ParkingTime | Item::ReservationTime => {
            Exact::for_time(price, quantity.to_i64().ok_or(MoneyError::Overflow)?)
        }
        _ => Exact::for_once(price),
    }
}

/// The unit of `item`'s line, and that of its rate.
pub(crate) const fn units(item: Item) -> (Unit, Unit) {
    match item {
        Item::Energy => (Unit::KilowattHour, Unit::KilowattHour),
        Item::Time | Item::ParkingTime | Item::ReservationTime => (Unit::Second, Unit::Hour),
        _ => (Unit::Session, Unit::Session),
    }
}

/// `quantity` (Wh, milliseconds, or 1) of `item` in the unit of its line.
pub(crate) fn in_units(item: Item, quantity: Decimal) -> Result<Decimal, MoneyError> {
    match units(item).0 {
        Unit::KilowattHour | Unit::Second => thousandth(quantity).map(trim),
        Unit::Session | Unit::Hour => Ok(trim(quantity)),
    }
}
