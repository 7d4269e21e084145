//! OCPP's `SampledValue`s: units, phases, places and contexts, down to readings of one register.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ocpp::{
    Location, Measurand, MeterValue, Phase, ReadingContext, SampledValue, UnitOfMeasure,
    ValueFormat,
};
use quantities::{Power, WattHours};
use rust_decimal::Decimal;

use crate::{FindingCode, Findings, MeterSample};

/// A register reading and why it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) sample: MeterSample,
    pub(crate) context: ReadingContext,
}

/// Signed data as it came, and why it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedText {
    pub(crate) at: DateTime<Utc>,
    pub(crate) context: ReadingContext,
    pub(crate) text: String,
}

/// What is in a number of `MeterValue`s.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    /// Of the energy import register.
    pub(crate) readings: Vec<Reading>,
    /// `Energy.Active.Import.Interval`: what flowed until then, since the last one.
    pub(crate) intervals: Vec<(DateTime<Utc>, Decimal)>,
    pub(crate) signed: Vec<SignedText>,
    /// `Power.Active.Import` by moment; of two of one moment the higher.
    powers: BTreeMap<DateTime<Utc>, Power>,
}

impl Sampled {
    /// Adds what is in `values`.
    pub(crate) fn read(&mut self, values: &[MeterValue], findings: &mut Findings) {
        for value in values {
            let at = value.timestamp;
            let of = |measurand: Measurand| {
                value.sampled_value.iter().filter(move |s| s.measurand == measurand)
            };
            for signed in value.sampled_value.iter().filter(|s| is_signed(s)) {
                let (context, text) = (signed.context.clone(), signed.value.clone());
                self.signed.push(SignedText { at, context, text });
            }
            // A power that cannot be read decides nothing about money.
            let quietly = &mut Findings::default();
            if let Some(watts) = total(of(Measurand::PowerActiveImport), power_factor, at, quietly)
            {
                let known = self.powers.entry(at).or_insert(Power::new(watts));
                *known = (*known).max(Power::new(watts));
            }
            self.read_registers(value, findings);
            let interval = of(Measurand::EnergyActiveImportInterval);
            if let Some(wh) = total(interval, energy_factor, at, findings) {
                self.intervals.push((at, wh));
            }
        }
    }

    /// Both ends of a transaction can come under one timestamp: they are two readings.
    fn read_registers(&mut self, value: &MeterValue, findings: &mut Findings) {
        let at = value.timestamp;
        let ends = [ReadingContext::TransactionBegin, ReadingContext::TransactionEnd];
        let between = ReadingContext::SamplePeriodic;
        let context_of =
            |s: &SampledValue| ends.iter().find(|end| **end == s.context).unwrap_or(&between);
        for context in ends.iter().chain([&between]) {
            let registers = value
                .sampled_value
                .iter()
                .filter(|s| s.measurand == Measurand::EnergyActiveImportRegister)
                .filter(|s| context_of(s) == context);
            if let Some(wh) = total(registers, energy_factor, at, findings) {
                let sample = MeterSample { at, energy: WattHours::new(wh), power: None };
                self.readings.push(Reading { sample, context: context.clone() });
            }
        }
    }

    /// Every reading with the power that was told of its moment, be it in another message.
    pub(crate) fn with_power(&self, sample: MeterSample) -> MeterSample {
        MeterSample { power: self.powers.get(&sample.at).copied(), ..sample }
    }

    /// Where no register came in between, one that counts the intervals from `start` on.
    pub(crate) fn registers_from_intervals(&mut self, start: WattHours, findings: &mut Findings) {
        let is_end = |reading: &Reading| {
            let ends = [ReadingContext::TransactionBegin, ReadingContext::TransactionEnd];
            ends.contains(&reading.context)
        };
        if self.intervals.is_empty() || !self.readings.iter().all(is_end) {
            return;
        }
        let mut intervals = std::mem::take(&mut self.intervals);
        intervals.sort_unstable();
        intervals.dedup_by_key(|(at, _)| *at);
        let mut register = start;
        for (at, wh) in intervals {
            let counted = register.checked_add(WattHours::new(wh.max(Decimal::ZERO)));
            let Ok(energy) = counted else { break };
            register = energy;
            let detail = "no register was sent; intervals were added up from the start";
            findings.note(FindingCode::FromIntervals, at, detail);
            let sample = MeterSample { at, energy, power: None };
            self.readings.push(Reading { sample, context: ReadingContext::SamplePeriodic });
        }
    }
}

fn is_signed(value: &SampledValue) -> bool {
    value.format == ValueFormat::SignedData
}

/// The value for all phases together, at the outlet if one was measured there.
fn total<'a>(
    sampled: impl Iterator<Item = &'a SampledValue>,
    factor: fn(Option<&UnitOfMeasure>) -> Option<Decimal>,
    at: DateTime<Utc>,
    findings: &mut Findings,
) -> Option<Decimal> {
    let mut by_place: BTreeMap<u8, BTreeMap<Option<u8>, Decimal>> = BTreeMap::new();
    for value in sampled.filter(|value| !is_signed(value)) {
        let Some(factor) = factor(value.unit.as_ref()) else {
            let unit = value.unit.as_ref().map_or("", UnitOfMeasure::as_str);
            let detail = format!("a register in `{}` was left out", unit.escape_debug());
            findings.note(FindingCode::UnknownUnit, at, detail);
            continue;
        };
        let number = ocpp::decimal_of(&value.value).and_then(|n| n.checked_mul(factor));
        let Some(number) = number else {
            let detail = "a register that is not a number was left out";
            findings.note(FindingCode::ValueUnreadable, at, detail);
            continue;
        };
        let (Some(place), Some(phase)) = (place(&value.location), phase(value.phase.as_ref()))
        else {
            continue;
        };
        by_place.entry(place).or_default().entry(phase).or_insert(number);
    }
    let (place, by_phase) = by_place.into_iter().next()?;
    if place > 0 {
        let detail = "the register was not measured at the outlet";
        findings.note(FindingCode::OtherLocation, at, detail);
    }
    if let Some(all) = by_phase.get(&None) {
        return Some(*all);
    }
    let detail = "the registers of the phases were added up";
    findings.note(FindingCode::SumOfPhases, at, detail);
    by_phase.into_values().try_fold(Decimal::ZERO, Decimal::checked_add)
}

/// How close to the driver's socket, 0 the closest; the vehicle's own measuring is not the
/// charger's to sell by.
fn place(location: &Location) -> Option<u8> {
    match location {
        Location::Outlet => Some(0),
        Location::Cable => Some(1),
        Location::Body | Location::Other(_) => Some(2),
        Location::Inlet => Some(3),
        Location::EV => None,
    }
}

/// `Some(None)` for all phases together, `None` for what is not a phase's energy.
#[expect(clippy::option_option, reason = "absent is a meaning of its own: all phases together")]
fn phase(phase: Option<&Phase>) -> Option<Option<u8>> {
    match phase {
        None => Some(None),
        Some(Phase::L1 | Phase::L1N) => Some(Some(1)),
        Some(Phase::L2 | Phase::L2N) => Some(Some(2)),
        Some(Phase::L3 | Phase::L3N) => Some(Some(3)),
        Some(_) => None,
    }
}

/// Watt-hours in one of `unit`; not stated is Wh (OCPP 1.6, `SampledValue`).
fn energy_factor(unit: Option<&UnitOfMeasure>) -> Option<Decimal> {
    match unit {
        None | Some(UnitOfMeasure::Wh) => Some(Decimal::ONE),
        Some(UnitOfMeasure::KWh) => Some(Decimal::ONE_THOUSAND),
        Some(UnitOfMeasure::Other(text)) if is_called(text, "wh") => Some(Decimal::ONE),
        Some(UnitOfMeasure::Other(text)) if is_called(text, "kwh") => Some(Decimal::ONE_THOUSAND),
        Some(_) => None,
    }
}

/// Watts in one of `unit`.
fn power_factor(unit: Option<&UnitOfMeasure>) -> Option<Decimal> {
    match unit {
        None | Some(UnitOfMeasure::W) => Some(Decimal::ONE),
        Some(UnitOfMeasure::KW) => Some(Decimal::ONE_THOUSAND),
        Some(UnitOfMeasure::Other(text)) if is_called(text, "w") => Some(Decimal::ONE),
        Some(UnitOfMeasure::Other(text)) if is_called(text, "kw") => Some(Decimal::ONE_THOUSAND),
        Some(_) => None,
    }
}

fn is_called(unit: &str, name: &str) -> bool {
    unit.trim().eq_ignore_ascii_case(name)
}
