//! A priced session as it is shown: OCPI's own names and JSON numbers.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ocpi::Price;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::{
    Explanation, Finding, Item, Line, LineExplanation, Method, PlanApplied, PricedSession, Segment,
    SegmentKind, TaxTotal, Unit,
};

/// What `tallywatt price --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// ISO 4217 code.
    pub currency: String,
    /// Everything.
    pub total_cost: Price,
    /// Flat fees.
    pub total_fixed_cost: Price,
    /// Energy.
    pub total_energy_cost: Price,
    /// Charging time.
    pub total_time_cost: Price,
    /// Idle time.
    pub total_parking_cost: Price,
    /// Reservation.
    pub total_reservation_cost: Price,
    /// In kWh.
    #[serde(with = "ocpi::number")]
    pub total_energy: Decimal,
    /// In hours, to four decimals.
    #[serde(with = "ocpi::number")]
    pub total_time: Decimal,
    /// In hours, to four decimals.
    #[serde(with = "ocpi::number")]
    pub total_parking_time: Decimal,
    /// The taxes in the total.
    pub taxes: Vec<ReportTax>,
    /// Whether the rates of the lines are with tax.
    pub tax_included: bool,
    /// The plan that was applied; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<ReportPlan>,
    /// The order in which the rules of pricing apply.
    pub precedence: &'static [&'static str],
    /// What is billed.
    pub lines: Vec<ReportLine>,
    /// What happened.
    pub segments: Vec<ReportSegment>,
    /// What was untidy.
    pub findings: Vec<Finding>,
    /// How it was computed.
    pub method: Method,
}

/// A tax in the total, in the words of OCPI 2.3.0 `TaxAmount`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportTax {
    /// What it is called.
    pub name: String,
    /// The seller's account with the authority that it is paid to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
    /// Its rate.
    #[serde(with = "ocpi::number")]
    pub percentage: Decimal,
    /// What it is on, in major units.
    #[serde(with = "ocpi::number")]
    pub base: Decimal,
    /// The tax, in major units.
    #[serde(with = "ocpi::number")]
    pub amount: Decimal,
}

/// A line's part of a tax.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReportLineTax {
    /// Index of the tax in the report's `taxes`.
    pub tax: usize,
    /// How much of it is in the line, in major units.
    #[serde(with = "ocpi::number")]
    pub amount: Decimal,
}

/// One line of the bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportLine {
    /// What is billed.
    #[serde(rename = "type")]
    pub item: Item,
    /// The same in words.
    pub description: Arc<str>,
    /// Index of the tariff element.
    pub element: Option<usize>,
    /// How much is billed.
    #[serde(with = "ocpi::number")]
    pub quantity: Decimal,
    /// How much was measured.
    #[serde(with = "ocpi::number")]
    pub measured: Decimal,
    /// Unit of both.
    pub unit: Unit,
    /// Price as the tariff states it: with tax, if `tax_included`.
    #[serde(with = "ocpi::number")]
    pub rate: Decimal,
    /// What `rate` is for one of.
    pub rate_unit: Unit,
    /// Taxes in percent, all together; null where none is stated.
    #[serde(with = "ocpi::number::option")]
    pub vat: Option<Decimal>,
    /// The taxes on it.
    pub taxes: Vec<ReportLineTax>,
    /// What it costs.
    pub cost: Price,
    /// Start of the first segment it comes from.
    pub from: DateTime<Utc>,
    /// End of the last segment it comes from.
    pub to: DateTime<Utc>,
    /// Energy of these segments in kWh.
    #[serde(with = "ocpi::number")]
    pub energy: Decimal,
    /// Indexes of these segments.
    pub segments: Vec<usize>,
    /// Index of the price component in its element.
    pub component: Option<usize>,
    /// Index of the line that it takes something off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduces: Option<usize>,
    /// Without tax, before rounding.
    #[serde(with = "ocpi::number")]
    pub exact_excl_vat: Decimal,
    /// With tax, before rounding.
    #[serde(with = "ocpi::number")]
    pub exact_incl_vat: Decimal,
    /// Why it is there and how its amount came about, in words.
    pub why: LineExplanation,
}

/// A plan that was applied, and what the session adds to its account's usage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportPlan {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// The month that the session counts in.
    pub month: String,
    /// In kWh.
    #[serde(with = "ocpi::number")]
    pub energy: Decimal,
    /// In hours, to four decimals.
    #[serde(with = "ocpi::number")]
    pub time: Decimal,
    /// In hours, to four decimals.
    #[serde(with = "ocpi::number")]
    pub parking_time: Decimal,
    /// Whether the account has reached its spending cap.
    pub spending_cap_reached: bool,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportSegment {
    /// Its start.
    pub start: DateTime<Utc>,
    /// Its end.
    pub end: DateTime<Utc>,
    /// What it was.
    pub kind: SegmentKind,
    /// Energy in kWh.
    #[serde(with = "ocpi::number")]
    pub energy: Decimal,
}

impl From<&PricedSession> for Report {
    /// With times in UTC.
    fn from(priced: &PricedSession) -> Self {
        Self::new(priced, Tz::UTC)
    }
}

impl Report {
    /// `priced`, explained with times as the clocks in `zone` show them.
    #[must_use]
    pub fn new(priced: &PricedSession, zone: Tz) -> Self {
        let totals = &priced.totals;
        let Explanation { order, lines: why } = priced.explain(zone);
        let lines = priced.lines.iter().zip(why);
        Self {
            currency: priced.currency.code().to_owned(),
            total_cost: totals.total.into(),
            total_fixed_cost: totals.fixed.into(),
            total_energy_cost: totals.energy.into(),
            total_time_cost: totals.time.into(),
            total_parking_cost: totals.parking.into(),
            total_reservation_cost: totals.reservation.into(),
            total_energy: shown(priced.total_energy.kwh()),
            total_time: hours(priced.total_time_s),
            total_parking_time: hours(priced.total_parking_time_s),
            taxes: priced.taxes.iter().map(ReportTax::from).collect(),
            tax_included: priced.rates_include_tax,
            plan: priced.plan.as_ref().map(ReportPlan::from),
            precedence: order,
            lines: lines.map(|(line, why)| ReportLine::of(line, priced, why)).collect(),
            segments: priced.segments.iter().map(ReportSegment::from).collect(),
            findings: priced.findings.clone(),
            method: priced.method.clone(),
        }
    }
}

impl From<&TaxTotal> for ReportTax {
    fn from(tax: &TaxTotal) -> Self {
        Self {
            name: tax.name.clone().into_owned(),
            account_number: tax.account_number.clone(),
            percentage: shown(tax.percent.percent()),
            base: tax.base.to_money().value,
            amount: tax.amount.to_money().value,
        }
    }
}

impl ReportLine {
    fn of(line: &Line, priced: &PricedSession, why: LineExplanation) -> Self {
        let part = |tax: &crate::LineTax| ReportLineTax {
            tax: tax.tax,
            amount: tax.amount.to_money().value,
        };
        Self {
            item: line.item,
            description: Arc::clone(&line.description),
            element: line.element,
            quantity: shown(line.quantity),
            measured: shown(line.measured),
            unit: line.unit,
            rate: shown(line.rate),
            rate_unit: line.rate_unit,
            vat: priced.tax_percent(line).map(shown),
            taxes: line.taxes.iter().map(part).collect(),
            cost: line.amount.into(),
            from: line.from,
            to: line.to,
            energy: shown(line.energy.kwh()),
            segments: line.segments.to_vec(),
            component: line.why.component,
            reduces: line.why.reduces,
            exact_excl_vat: shown(line.why.exact_excl_vat),
            exact_incl_vat: shown(line.why.exact_incl_vat),
            why,
        }
    }
}

impl From<&PlanApplied> for ReportPlan {
    fn from(plan: &PlanApplied) -> Self {
        let usage = plan.usage;
        Self {
            id: plan.reference.id.to_string(),
            version: plan.reference.version,
            month: usage.month.to_string(),
            energy: shown(usage.energy_wh / Decimal::ONE_THOUSAND),
            time: hours(Decimal::new(usage.time_ms, 3)),
            parking_time: hours(Decimal::new(usage.parking_ms, 3)),
            spending_cap_reached: plan.spending_cap_reached,
        }
    }
}

impl From<&Segment> for ReportSegment {
    fn from(segment: &Segment) -> Self {
        Self {
            start: segment.start,
            end: segment.end,
            kind: segment.kind,
            energy: shown(segment.energy.kwh()),
        }
    }
}

/// Hours to the four decimals that an OCPI number has.
fn hours(seconds: Decimal) -> Decimal {
    (seconds / Decimal::from(3600)).round_dp(4).normalize()
}

/// A number as far as JSON carries it: 15 digits. Nothing is computed from it.
fn shown(number: Decimal) -> Decimal {
    number.round_sf(15).unwrap_or(number).normalize()
}
