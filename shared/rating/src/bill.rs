//! From runs to a bill: quantities priced, limits applied, amounts rounded once.

use std::{borrow::Cow, mem, sync::Arc};

use chrono::{DateTime, Utc};
use plans::{Month, Usage, UsageError};
use quantities::{Amount, MoneyError, TariffRef, WattHours};
use rust_decimal::Decimal;

use crate::{
    Cost, FindingCode, Indexes, Item, Line, LineTaxes, Method, PlanApplied, PricedSession,
    RatingError, Rules, Segment, SegmentKind, Totals, Unit, Why,
    charges::{Charge, Charges},
    compile::{Bounds, Compiled},
    draft::Drafts,
    exact::{Exact, Number, Overflow, UWH_DECIMALS, trimmed},
    limit::{Span, cap_idle, limit, set_free},
    plan::Applier,
    round::settle,
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
        let segments = self.segments();
        let currency = self.compiled.currency;
        let taxes = Taxes::new(self.rules.taxes, self.compiled.tax_included)?;
        let mut drafts = Drafts::new(taxes, currency, self.rules.rounding);
        let usage = self.fill(&mut drafts, &segments, &mut findings)?;
        let rates_include_tax = drafts.taxes.are_included();
        let (taxes, method) = settle(&mut drafts, self.is_limited())?;
        let mut lines = drafts.lines;
        for line in &mut lines {
            line.rate = rate(line, rates_include_tax);
        }
        let totals = Totals::of(&lines, currency)?;
        let (charging, idle) = self.seconds()?;
        Ok(PricedSession {
            tariff: self.reference.clone(),
            currency,
            totals,
            lines,
            plan: self.plan_applied(usage, totals.total.incl_vat, &segments, &mut findings)?,
            segments,
            taxes,
            rates_include_tax,
            total_energy: self.energy()?,
            total_time_s: charging.checked_add(idle).ok_or(MoneyError::Overflow)?,
            total_parking_time_s: idle,
            findings: findings.into_sorted(),
            signed: None,
            method: Method {
                activity: None,
                interpolation: Cow::Borrowed(INTERPOLATION),
                rounding: method,
                minor_digits: currency.minor_digits(),
            },
        })
    }

    /// Adds all lines with their exact amounts. Returns what they add to the usage of the plan's
    /// account.
    fn fill(
        &self,
        drafts: &mut Drafts<'_>,
        segments: &[Segment],
        findings: &mut Findings,
    ) -> Result<Option<Usage>, RatingError> {
        let mut charges = Charges::default();
        charges.add_all(self.runs, self.compiled)?;
        let is_changed = self.is_limited() || self.idle_cap.is_some();
        drafts.reserve(charges.list.len() + usize::from(is_changed));
        for charge in &mut charges.list {
            self.draft(charge, segments, drafts, findings)?;
        }
        let usage = self.apply_plan(&charges.list, segments, drafts, findings)?;
        let span = Span::of(segments);
        if let Some(cap) = self.idle_cap {
            cap_idle(drafts, cap, span)?;
        }
        limit(drafts, self.compiled, span)?;
        if self.rules.is_free {
            set_free(drafts, span)?;
        }
        Ok(usage)
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
        segments: &[Segment],
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
        Applier { plan, tariff, runs, segments, charges, drafts }.apply().map(Some)
    }

    /// What the plan has come to, now that the price is known.
    fn plan_applied(
        &self,
        usage: Option<Usage>,
        gross: Amount,
        segments: &[Segment],
        findings: &mut Findings,
    ) -> Result<Option<PlanApplied>, RatingError> {
        let Some((plan, usage)) = self.rules.plan.zip(usage) else { return Ok(None) };
        let usage = Usage { spent: gross, ..usage };
        let spending_cap_reached = match plan.plan.plan.spending_cap {
            Some(cap) => cap.is_reached(&plan.used.checked_add(&usage)?)?,
            None => false,
        };
        if spending_cap_reached {
            let end = Span::of(segments).to;
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
        let seconds = |ms| trimmed(ms, 3);
        Ok((seconds(charging_ms), seconds(idle_ms)))
    }

    /// Adds the line of `charge`.
    fn draft(
        &self,
        charge: &mut Charge,
        segments: &[Segment],
        drafts: &mut Drafts<'_>,
        findings: &mut Findings,
    ) -> Result<(), RatingError> {
        let component = charge.component(self.compiled)?;
        let billed = charge.quantity(charge.billed);
        let amount = price_of(charge.item, component.price, billed)?;
        let set = drafts.taxes.of(component.vat);
        let (unit, rate_unit) = units(charge.item);
        let quantity = in_units(charge.item, billed)?;
        let measured = if charge.billed == charge.measured {
            quantity
        } else {
            in_units(charge.item, charge.quantity(charge.measured))?
        };
        let Extent { from, to, energy } = Extent::of(segments, &charge.segments)?;
        if drafts.taxes.are_unknown(set) && !amount.is_zero() {
            let detail = "a price component states no VAT; none is added";
            findings.note(FindingCode::VatNotStated, from, detail);
        }
        let line = Line {
            item: charge.item,
            description: Arc::clone(&component.description),
            element: Some(component.element),
            quantity,
            measured,
            unit,
            rate: component.price,
            rate_unit,
            taxes: LineTaxes::new(),
            amount: Cost::zero(self.compiled.currency),
            from,
            to,
            energy,
            segments: self.segments_of(charge),
            why: Why {
                component: Some(component.position),
                conditions: Arc::clone(&component.conditions),
                step_size: component.step_size,
                exact_excl_vat: Decimal::ZERO,
                exact_incl_vat: Decimal::ZERO,
                reduces: None,
                plan: None,
            },
        };
        Ok(drafts.add(line, set, amount)?)
    }

    /// The segments of `charge`, which keeps them only where a plan asks for them.
    fn segments_of(&self, charge: &mut Charge) -> Indexes {
        match self.rules.plan {
            Some(_) => charge.segments.clone(),
            None => mem::take(&mut charge.segments),
        }
    }

    /// All energy of the session.
    fn energy(&self) -> Result<WattHours, MoneyError> {
        let first = self.runs.first().map_or(0, |run| run.from_uwh);
        let last = self.runs.last().map_or(0, |run| run.to_uwh);
        let uwh = last.checked_sub(first).ok_or(MoneyError::Overflow)?;
        Ok(WattHours::new(trimmed(uwh, UWH_DECIMALS)))
    }

    fn segments(&self) -> Vec<Segment> {
        let uses_power = self.compiled.uses_power();
        let segment = |run: &Run| {
            let power = if uses_power { run.power_kw } else { Bounds::default() };
            Segment {
                start: moment(run.start_ms),
                end: moment(run.end_ms),
                energy: WattHours::new(trimmed(run.uwh(), UWH_DECIMALS)),
                kind: run.kind,
                min_power_kw: power.low,
                max_power_kw: power.high,
            }
        };
        self.runs.iter().map(segment).collect()
    }
}

/// The rate of `line`. What changes the sum of others is at the rate that it comes to.
fn rate(line: &Line, with_tax: bool) -> Decimal {
    match line.item {
        Item::IdleCap | Item::MinPrice | Item::MaxPrice | Item::Free if with_tax => {
            line.amount.incl_vat.to_money().value
        }
        Item::IdleCap | Item::MinPrice | Item::MaxPrice | Item::Free => {
            line.amount.excl_vat.to_money().value
        }
        _ => line.rate,
    }
}

/// When some of a session's segments are, and the energy that flows in them.
pub(crate) struct Extent {
    pub(crate) from: DateTime<Utc>,
    pub(crate) to: DateTime<Utc>,
    pub(crate) energy: WattHours,
}

impl Extent {
    /// Of those of `segments` that `indexes` name, in order of time.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub(crate) fn of(segments: &[Segment], indexes: &[usize]) -> Result<Self, MoneyError> {
        let mut named = indexes.iter().filter_map(|index| segments.get(*index));
        let Some(&Segment { start: from, end, energy, .. }) = named.next() else {
            let epoch = DateTime::UNIX_EPOCH;
            return Ok(Self { from: epoch, to: epoch, energy: WattHours::ZERO });
        };
        let mut extent = Self { from, to: end, energy };
        for segment in named {
            let sum = extent.energy.wh().checked_add(segment.energy.wh());
            extent.energy =
                WattHours::new(Number::from(sum.ok_or(MoneyError::Overflow)?).trimmed().into());
            extent.to = segment.end;
        }
        Ok(extent)
    }
}

/// What `quantity` (Wh, milliseconds, or 1, without zeros at the end) of `item` costs at `price`.
pub(crate) fn price_of(item: Item, price: Decimal, quantity: Number) -> Result<Exact, Overflow> {
    match item {
        Item::Energy => Exact::for_energy(price, quantity),
        Item::Time | Item::ParkingTime | Item::ReservationTime => Exact::for_time(price, quantity),
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
pub(crate) fn in_units(item: Item, quantity: Number) -> Result<Decimal, Overflow> {
    Ok(match units(item).0 {
        Unit::KilowattHour | Unit::Second => quantity.thousandth()?.trimmed().into(),
        Unit::Session | Unit::Hour => quantity.trimmed().into(),
    })
}
