//! Which components apply at a local time, and what they cost per unit.

use chrono::NaiveDateTime;
use ocpi::TariffDimensionType;
use quantities::TaxPercent;
use rust_decimal::Decimal;

use super::{PriceInForce, PriceTax};
use crate::{
    RatingError, Rules, Terms, Unit,
    compile::{Bounds, Compiled, Component, Moment, Rule},
    exact::Exact,
    label,
    plan::taken_off,
    taxes::Taxes,
    terms::Idle,
};

/// What is shown of a moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) prices: Vec<PriceInForce>,
    pub(super) later: Vec<PriceInForce>,
}

/// A tariff as somebody with certain rules sees it.
pub(super) struct View<'a> {
    tariff: &'a Compiled,
    idle: Idle<'a>,
    rules: &'a Rules<'a>,
    taxes: Taxes<'a>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        tariff: &'a Compiled,
        terms: &'a Terms,
        rules: &'a Rules<'a>,
    ) -> Result<Self, RatingError> {
        let taxes = Taxes::new(rules.taxes, tariff.tax_included)?;
        Ok(Self { tariff, idle: Idle::of(&terms.idle), rules, taxes })
    }

    /// The prices of a session that starts when clocks show `local`.
    pub(super) fn at(&mut self, local: NaiveDateTime) -> Result<Shown, RatingError> {
        let tariff = self.tariff;
        let none: &[usize] = &[];
        let parking = if self.idle.is_quiet(local) { none } else { &tariff.parking };
        let mut shown = Shown { prices: Vec::new(), later: Vec::new() };
        for list in [&tariff.energy, &tariff.time, parking, &tariff.flat] {
            let (now, later) = in_force(tariff, list, local);
            for component in now {
                shown.prices.push(self.price(component)?);
            }
            for component in later {
                shown.later.push(self.price(component)?);
            }
        }
        Ok(shown)
    }

    fn price(&mut self, component: &Component) -> Result<PriceInForce, RatingError> {
        let set = self.taxes.of(component.vat);
        let percent = self.taxes.percent(set);
        let price = Exact::for_once(self.after_plan(component)?)?;
        let (excl, incl) = if self.taxes.are_included() {
            (price.less_percent(percent)?, price)
        } else {
            (price, price.plus_percent(percent)?)
        };
        let unit = match component.dimension {
            TariffDimensionType::Energy => Unit::KilowattHour,
            TariffDimensionType::Flat => Unit::Session,
            TariffDimensionType::ParkingTime | TariffDimensionType::Time => Unit::Hour,
        };
        let taxes = self.taxes.named(set);
        Ok(PriceInForce {
            dimension: component.dimension,
            element: component.element,
            component: component.position,
            listed: component.price,
            excl_vat: excl.major()?.trimmed().into(),
            incl_vat: incl.major()?.trimmed().into(),
            unit,
            tax_percent: TaxPercent::try_from(percent)?,
            taxes: taxes
                .map(|(name, percent)| PriceTax { name: name.to_owned(), percent })
                .collect(),
            step_size: component.step_size,
            depends_on_power: component.rule.depends_on_power(),
            conditions: label::conditions(&of_session(&component.rule)),
        })
    }

    /// The price per unit less the plan's discount. What costs nothing stays so.
    fn after_plan(&self, component: &Component) -> Result<Decimal, RatingError> {
        let price = component.price;
        let Some(plan) = self.rules.plan.map(|in_force| &in_force.plan.plan) else {
            return Ok(price);
        };
        if component.dimension == TariffDimensionType::Flat && plan.waive_start_fee {
            return Ok(Decimal::ZERO);
        }
        match plan.discount(component.dimension) {
            Some(discount) if !price.is_zero() => {
                let off = taken_off(discount.by, price)?;
                Ok(price.checked_sub(off).ok_or(quantities::MoneyError::Overflow)?)
            }
            _ => Ok(price),
        }
    }
}

/// The part of `rule` that asks about the session, not about the clock.
fn of_session(rule: &Rule) -> Rule {
    Rule { time: None, start_date: None, end_date: None, days: None, ..rule.clone() }
}

/// The components of `list` that can apply to a session that starts at `local`: those from its
/// start on (the first that applies, preceded by those that apply at certain powers), and those
/// that take over with its energy or duration.
fn in_force<'a>(
    tariff: &'a Compiled,
    list: &[usize],
    local: NaiveDateTime,
) -> (Vec<&'a Component>, Vec<&'a Component>) {
    let start = Moment {
        local,
        elapsed_ms: 0,
        energy_wh: Decimal::ZERO,
        power_kw: Bounds::default(),
        current_a: Bounds::default(),
        reservation_expired: false,
    };
    let (mut now, mut later) = (Vec::new(), Vec::new());
    let mut is_decided = false;
    for component in list.iter().filter_map(|index| tariff.components.get(*index)) {
        let rule = &component.rule;
        let at_this_hour = of_clock(rule).holds_apart_from_power(&start);
        if !at_this_hour {
            continue;
        }
        if !is_decided && rule.holds_apart_from_power(&start) {
            now.push(component);
            is_decided = !rule.depends_on_power();
        } else {
            later.push(component);
        }
        let is_flat_and_due = is_decided && component.dimension == TariffDimensionType::Flat;
        if is_flat_and_due || of_session(rule) == Rule::default() {
            break;
        }
    }
    (now, later)
}

/// The part of `rule` that asks about the clock.
fn of_clock(rule: &Rule) -> Rule {
    let Rule { time, start_date, end_date, days, .. } = *rule;
    Rule { time, start_date, end_date, days, ..Rule::default() }
}
