//! A priced session as it is shown: OCPI's own names and JSON numbers.

use ocpi::Price;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::{Finding, Item, Line, Method, PricedSession, Segment, SegmentKind, Unit};
use chrono::{DateTime, Utc};

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
    /// What is billed.
    pub lines: Vec<ReportLine>,
    /// What happened.
    pub segments: Vec<ReportSegment>,
    /// What was untidy.
    pub findings: Vec<Finding>,
    /// How it was computed.
    pub method: Method,
}

/// One line of the bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportLine {
    /// What is billed.
    #[serde(rename = "type")]
    pub item: Item,
    /// The same in words.
    pub description: String,
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
    /// Price without VAT.
    #[serde(with = "ocpi::number")]
    pub rate: Decimal,
    /// What `rate` is for one of.
    pub rate_unit: Unit,
    /// VAT in percent; null where none is stated.
    #[serde(with = "ocpi::number::option")]
    pub vat: Option<Decimal>,
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
    fn from(priced: &PricedSession) -> Self {
        let totals = &priced.totals;
        let hours = |seconds: Decimal| (seconds / Decimal::from(3600)).round_dp(4).normalize();
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
            lines: priced.lines.iter().map(ReportLine::from).collect(),
            segments: priced.segments.iter().map(ReportSegment::from).collect(),
            findings: priced.findings.clone(),
            method: priced.method.clone(),
        }
    }
}

impl From<&Line> for ReportLine {
    fn from(line: &Line) -> Self {
        Self {
            item: line.item,
            description: line.description.clone(),
            element: line.element,
            quantity: shown(line.quantity),
            measured: shown(line.measured),
            unit: line.unit,
            rate: shown(line.rate),
            rate_unit: line.rate_unit,
            vat: line.tax_percent.map(|tax| shown(tax.percent())),
            cost: line.amount.into(),
            from: line.from,
            to: line.to,
            energy: shown(line.energy.kwh()),
            segments: line.segments.clone(),
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

/// A number as far as JSON carries it: 15 digits. Nothing is computed from it.
fn shown(number: Decimal) -> Decimal {
    number.round_sf(15).unwrap_or(number).normalize()
}
