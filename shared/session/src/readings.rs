//! From what a charger sent to the timeline that rating reads: meter values into samples, with
//! every doubt named.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use ocpp::{
    ChargePointStatus, Location, Measurand, MeterValue, MeterValuesRequest, Phase, ReadingContext,
    SampledValue, StopTransactionRequest, UnitOfMeasure, ValueFormat,
};
use quantities::{Power, WattHours};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{ConnectorStatus, MeterSample, Session, StatusChange, Timeline};

/// More than any connector delivers, in watts: the megawatt charging system ends at 3.75 MW. A
/// register that rises faster has jumped.
const POWER_MAX_W: i64 = 4_000_000;

/// How far a charger's clock may run ahead of ours before it is worth telling.
const CLOCK_AHEAD_MAX: TimeDelta = TimeDelta::minutes(5);

/// Something about a session's readings that a person may want to know; once for each code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What, for machines.
    pub code: FindingCode,
    /// When the first reading that shows it was taken, when it is about readings.
    pub at: Option<DateTime<Utc>>,
    /// How often it was found.
    pub count: u32,
    /// What the first one is, for people. No personal data.
    pub detail: String,
}

/// What a [`Finding`] is about. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// A stored frame could not be read; it is left out.
    FrameUnreadable,
    /// A part of a frame could not be read; it is left out.
    ValueUnreadable,
    /// A time without offset was read as UTC.
    TimeWithoutOffset,
    /// A register in a unit that is not one of energy; it is left out.
    UnknownUnit,
    /// No total was sent: the phases were added up.
    SumOfPhases,
    /// A register that was not measured at the outlet.
    OtherLocation,
    /// Signed data came with a reading; it is kept in its frame, untouched.
    SignedData,
    /// `Transaction.Begin` is 0 while the transaction started at another reading. It is left out.
    BeginZero,
    /// `Transaction.Begin` is not the reading the transaction started with.
    BeginDiffers,
    /// The transaction started at 0 and its first reading shows that the register was not at 0.
    StartZero,
    /// `Transaction.End` is not the reading the transaction stopped with.
    EndDiffers,
    /// A reading is below an earlier one; it is left out.
    RegisterBackwards,
    /// A reading is above the one the transaction stopped with; it is left out.
    AboveStop,
    /// A reading rises faster than any charger delivers; it is left out.
    ImplausibleJump,
    /// A reading from before the start or after the end; it is left out.
    OutsideTransaction,
    /// The charger's clock runs ahead of ours.
    ClockAhead,
    /// The stop reading is below the start reading.
    StopBelowStart,
    /// The transaction ends before it starts.
    EndBeforeStart,
    /// More energy in all than any charger delivers in the time.
    ImplausibleEnergy,
}

impl FindingCode {
    /// Whether the session's energy or time itself is in doubt, so that a person has to decide
    /// before it is billed. All others concern single readings in between.
    #[must_use]
    pub const fn holds_billing(self) -> bool {
        matches!(
            self,
            Self::StartZero | Self::StopBelowStart | Self::EndBeforeStart | Self::ImplausibleEnergy
        )
    }
}

impl From<&ChargePointStatus> for ConnectorStatus {
    fn from(status: &ChargePointStatus) -> Self {
        match status {
            ChargePointStatus::Available => Self::Available,
            ChargePointStatus::Preparing => Self::Preparing,
            ChargePointStatus::Charging => Self::Charging,
            ChargePointStatus::SuspendedEVSE => Self::SuspendedEVSE,
            ChargePointStatus::SuspendedEV => Self::SuspendedEV,
            ChargePointStatus::Finishing => Self::Finishing,
            ChargePointStatus::Reserved => Self::Reserved,
            ChargePointStatus::Unavailable => Self::Unavailable,
            ChargePointStatus::Faulted => Self::Faulted,
            ChargePointStatus::Other(_) => Self::Unknown,
        }
    }
}

/// What happened at the connector, for rating and the live view.
///
/// `meter_values` are MeterValues frames as they came, each with its time of arrival; the readings
/// in StopTransaction's `transactionData` are added from the session's own stop frame. All may
/// repeat and come in any order. A running session ends at `until`, or at its last reading if that
/// is later, with the energy of that reading; an ended one does not look at `until`.
///
/// Start and end are what StartTransaction and StopTransaction said; readings never move them.
#[must_use]
pub fn timeline(
    session: &Session,
    meter_values: &[(DateTime<Utc>, String)],
    statuses: &[StatusChange],
    until: DateTime<Utc>,
) -> (Timeline, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut readings = Vec::new();
    for (received_at, frame) in meter_values {
        let Some(request) = read_frame::<MeterValuesRequest>(frame, &mut findings) else {
            continue;
        };
        let newest = request.meter_value.iter().map(|value| value.timestamp).max();
        if let Some(at) = newest.filter(|at| *at - *received_at > CLOCK_AHEAD_MAX) {
            findings.push(Finding::new(FindingCode::ClockAhead, at, "the clock runs ahead"));
        }
        readings.extend(readings_of(&request.meter_value, &mut findings));
    }
    if let Some(frame) = &session.stop_frame
        && let Some(request) = read_frame::<StopTransactionRequest>(frame, &mut findings)
    {
        readings.extend(readings_of(&request.transaction_data, &mut findings));
    }
    let samples = fold(session, readings, &mut findings);
    let last = samples.last();
    let ended_at = session.ended_at.unwrap_or_else(|| {
        let at_least = last.map_or(session.started_at, |sample| sample.at);
        until.max(at_least).max(session.started_at)
    });
    let meter_stop = session
        .meter_stop
        .unwrap_or_else(|| last.map_or(session.meter_start, |sample| sample.energy));
    let timeline = Timeline {
        started_at: session.started_at,
        ended_at,
        released_at: session.released_at,
        meter_start: session.meter_start,
        meter_stop,
        samples,
        statuses: in_order(statuses),
    };
    check_ends(&timeline, &mut findings);
    (timeline, one_for_each_code(findings))
}

/// The readings of the energy import register in `values`, one for each moment that has one, with
/// the power that was told with it.
///
/// `Transaction.Begin` and `Transaction.End` readings are among them; [`timeline`] knows better
/// what to do with those.
#[must_use]
pub fn samples_of(values: &[MeterValue]) -> (Vec<MeterSample>, Vec<Finding>) {
    let mut findings = Vec::new();
    let readings = readings_of(values, &mut findings);
    let samples = readings.into_iter().map(|reading| reading.sample).collect();
    (samples, one_for_each_code(findings))
}

impl Finding {
    fn new(code: FindingCode, at: DateTime<Utc>, detail: &str) -> Self {
        Self { code, at: Some(at), count: 1, detail: detail.to_owned() }
    }

    fn of_frame(code: FindingCode, detail: String) -> Self {
        Self { code, at: None, count: 1, detail }
    }
}

/// A long session repeats what is odd about its charger with every reading: it is told once.
fn one_for_each_code(findings: Vec<Finding>) -> Vec<Finding> {
    let mut by_code: BTreeMap<FindingCode, Finding> = BTreeMap::new();
    for finding in findings {
        let Some(first) = by_code.get_mut(&finding.code) else {
            by_code.insert(finding.code, finding);
            continue;
        };
        let count = first.count.saturating_add(finding.count);
        if finding.at < first.at {
            *first = finding;
        }
        first.count = count;
    }
    by_code.into_values().collect()
}

/// A register reading and why it was taken.
struct Reading {
    sample: MeterSample,
    context: ReadingContext,
}

fn read_frame<R: ocpp::Request>(frame: &str, findings: &mut Vec<Finding>) -> Option<R> {
    let call = match ocpp::read_call::<R>(frame) {
        Ok(call) => call,
        Err(refusal) => {
            let detail = format!("a {} frame was left out: {refusal}", R::ACTION);
            findings.push(Finding::of_frame(FindingCode::FrameUnreadable, detail));
            return None;
        }
    };
    for warning in call.warnings {
        let code = match warning.code {
            ocpp::WarningCode::TimeWithoutOffset => FindingCode::TimeWithoutOffset,
            ocpp::WarningCode::Missing | ocpp::WarningCode::Unreadable => {
                FindingCode::ValueUnreadable
            }
        };
        let detail = format!("{}: {}", R::ACTION, warning.field);
        findings.push(Finding::of_frame(code, detail));
    }
    Some(call.request)
}

fn readings_of(values: &[MeterValue], findings: &mut Vec<Finding>) -> Vec<Reading> {
    let mut readings = Vec::new();
    for value in values {
        let at = value.timestamp;
        let sampled = || value.sampled_value.iter();
        if sampled().any(|sampled| sampled.format == ValueFormat::SignedData) {
            let detail = "signed data is kept in its frame";
            findings.push(Finding::new(FindingCode::SignedData, at, detail));
        }
        let power = {
            let measured = sampled().filter(|s| s.measurand == Measurand::PowerActiveImport);
            // A power that cannot be read decides nothing about money.
            total(measured, power_factor, at, &mut Vec::new()).map(Power::new)
        };
        // Both ends of a transaction can come under one timestamp: they are two readings.
        let contexts = [ReadingContext::TransactionBegin, ReadingContext::TransactionEnd];
        let context_of = |s: &SampledValue| {
            contexts.iter().find(|c| **c == s.context).unwrap_or(&ReadingContext::SamplePeriodic)
        };
        for context in contexts.iter().chain([&ReadingContext::SamplePeriodic]) {
            let registers = sampled()
                .filter(|s| s.measurand == Measurand::EnergyActiveImportRegister)
                .filter(|s| context_of(s) == context);
            if let Some(wh) = total(registers, energy_factor, at, findings) {
                let sample = MeterSample { at, energy: WattHours::new(wh), power };
                readings.push(Reading { sample, context: context.clone() });
            }
        }
    }
    readings
}

/// The value for all phases together, at the outlet if one was measured there.
fn total<'a>(
    sampled: impl Iterator<Item = &'a SampledValue>,
    factor: fn(Option<&UnitOfMeasure>) -> Option<Decimal>,
    at: DateTime<Utc>,
    findings: &mut Vec<Finding>,
) -> Option<Decimal> {
    let mut doubt = |code, detail: &str| findings.push(Finding::new(code, at, detail));
    let mut by_place: BTreeMap<u8, BTreeMap<Option<u8>, Decimal>> = BTreeMap::new();
    for value in sampled.filter(|value| value.format != ValueFormat::SignedData) {
        let Some(factor) = factor(value.unit.as_ref()) else {
            let unit = value.unit.as_ref().map_or("", UnitOfMeasure::as_str);
            doubt(FindingCode::UnknownUnit, &format!("a register in `{unit}` was left out"));
            continue;
        };
        let number = ocpp::decimal_of(&value.value).and_then(|n| n.checked_mul(factor));
        let Some(number) = number else {
            doubt(FindingCode::ValueUnreadable, "a register that is not a number was left out");
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
        doubt(FindingCode::OtherLocation, "the register was not measured at the outlet");
    }
    if let Some(all) = by_phase.get(&None) {
        return Some(*all);
    }
    doubt(FindingCode::SumOfPhases, "the registers of the phases were added up");
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
        Some(UnitOfMeasure::Other(text)) if text.trim().eq_ignore_ascii_case("wh") => {
            Some(Decimal::ONE)
        }
        Some(UnitOfMeasure::Other(text)) if text.trim().eq_ignore_ascii_case("kwh") => {
            Some(Decimal::ONE_THOUSAND)
        }
        Some(_) => None,
    }
}

/// Watts in one of `unit`.
fn power_factor(unit: Option<&UnitOfMeasure>) -> Option<Decimal> {
    match unit {
        None | Some(UnitOfMeasure::W) => Some(Decimal::ONE),
        Some(UnitOfMeasure::KW) => Some(Decimal::ONE_THOUSAND),
        Some(_) => None,
    }
}

/// The readings that can be believed, in order of time, one for each moment.
fn fold(
    session: &Session,
    readings: Vec<Reading>,
    findings: &mut Vec<Finding>,
) -> Vec<MeterSample> {
    let mut by_moment: BTreeMap<DateTime<Utc>, MeterSample> = BTreeMap::new();
    for Reading { sample, context } in readings {
        match context {
            ReadingContext::TransactionBegin => {
                findings.extend(doubt_about_begin(session, sample));
                continue;
            }
            ReadingContext::TransactionEnd if session.meter_stop.is_some() => {
                findings.extend(doubt_about_end(session, sample));
                continue;
            }
            _ => {}
        }
        let known = by_moment.entry(sample.at).or_insert(sample);
        // Two readings of one moment: the later one is the higher one.
        if sample.energy >= known.energy {
            *known = MeterSample { power: sample.power.or(known.power), ..sample };
        }
    }
    let mut samples: Vec<MeterSample> = Vec::new();
    let mut last = (session.started_at, session.meter_start);
    for sample in by_moment.into_values() {
        match doubt_about_sample(session, last, sample) {
            Some(code) => {
                let detail = format!("a reading of {} was left out", sample.energy);
                findings.push(Finding::new(code, sample.at, &detail));
                let first_of_all = samples.is_empty() && session.meter_start == WattHours::ZERO;
                if first_of_all && code == FindingCode::ImplausibleJump {
                    findings.push(Finding::new(FindingCode::StartZero, sample.at, &detail));
                }
            }
            None if sample.at < session.started_at => {}
            None => {
                last = (sample.at, sample.energy);
                samples.push(sample);
            }
        }
    }
    samples
}

/// `Transaction.Begin` adds nothing to what StartTransaction said, but may contradict it. After an
/// offline period chargers send 0: taken as the start, it would bill the meter's whole life.
fn doubt_about_begin(session: &Session, begin: MeterSample) -> Option<Finding> {
    let (read, started) = (begin.energy, session.meter_start);
    if same_when_rounded(read, started) {
        return None;
    }
    let code = if read == WattHours::ZERO {
        FindingCode::BeginZero
    } else if started == WattHours::ZERO && read.wh() >= Decimal::ONE_THOUSAND {
        FindingCode::StartZero
    } else {
        FindingCode::BeginDiffers
    };
    let detail = format!("Transaction.Begin is {read}, meterStart {started}");
    Some(Finding::new(code, begin.at, &detail))
}

fn doubt_about_end(session: &Session, end: MeterSample) -> Option<Finding> {
    let stopped = session.meter_stop.filter(|stop| !same_when_rounded(end.energy, *stop))?;
    let detail = format!("Transaction.End is {}, meterStop {stopped}", end.energy);
    Some(Finding::new(FindingCode::EndDiffers, end.at, &detail))
}

/// `meterStart` and `meterStop` are whole numbers by the specification, readings are not.
fn same_when_rounded(reading: WattHours, whole: WattHours) -> bool {
    reading.checked_sub(whole).is_ok_and(|apart| apart.wh().abs() <= Decimal::ONE)
}

fn doubt_about_sample(
    session: &Session,
    last: (DateTime<Utc>, WattHours),
    sample: MeterSample,
) -> Option<FindingCode> {
    // The register at rest before the start and after the end says nothing new.
    if sample.at < session.started_at {
        let at_rest = sample.energy <= session.meter_start;
        return (!at_rest).then_some(FindingCode::OutsideTransaction);
    }
    if session.ended_at.is_some_and(|ended_at| sample.at > ended_at) {
        return Some(FindingCode::OutsideTransaction);
    }
    if sample.energy < last.1 {
        return Some(FindingCode::RegisterBackwards);
    }
    // A stop below the start is no measure of anything; what the readings say is worth keeping.
    let stop = session.meter_stop.filter(|stop| *stop >= session.meter_start);
    if stop.is_some_and(|stop| sample.energy > stop) {
        return Some(FindingCode::AboveStop);
    }
    jumps(last, (sample.at, sample.energy)).then_some(FindingCode::ImplausibleJump)
}

/// Whether the register rises faster than [`POWER_MAX_W`]. Chargers' times are whole seconds, often
/// minutes apart from their readings, so a minute is added.
fn jumps(from: (DateTime<Utc>, WattHours), to: (DateTime<Utc>, WattHours)) -> bool {
    let seconds = (to.0 - from.0).num_seconds().max(0).saturating_add(60);
    let most = Decimal::from(POWER_MAX_W).checked_mul(Decimal::from(seconds));
    let watt_seconds = to.1.checked_sub(from.1).ok().and_then(|risen| {
        let seconds_an_hour = Decimal::from(3_600);
        risen.wh().checked_mul(seconds_an_hour)
    });
    match (watt_seconds, most) {
        (Some(risen), Some(most)) => risen > most,
        _ => true,
    }
}

fn check_ends(timeline: &Timeline, findings: &mut Vec<Finding>) {
    let mut doubt = |code, detail: String| {
        findings.push(Finding::new(code, timeline.ended_at, &detail));
    };
    let (start, stop) = (timeline.meter_start, timeline.meter_stop);
    if stop < start {
        doubt(FindingCode::StopBelowStart, format!("stopped at {stop}, started at {start}"));
    }
    if timeline.ended_at < timeline.started_at {
        doubt(FindingCode::EndBeforeStart, "the transaction ends before it starts".to_owned());
    }
    let last = timeline
        .samples
        .last()
        .map_or((timeline.started_at, start), |sample| (sample.at, sample.energy));
    // Against the last reading: a start of 0 that was wrong shows as one jump at some moment.
    if jumps(last, (timeline.ended_at, stop)) {
        doubt(FindingCode::ImplausibleEnergy, format!("{stop} from {}", last.1));
    }
}

fn in_order(statuses: &[StatusChange]) -> Vec<StatusChange> {
    let mut statuses = statuses.to_vec();
    // Stable: of two changes in the same second the one that was told later stays later.
    statuses.sort_by_key(|change| change.at);
    statuses.dedup();
    statuses
}
