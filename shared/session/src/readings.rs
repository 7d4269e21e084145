//! From what a charger sent to the timeline that rating reads: meter values into samples, with
//! every doubt named.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use network::Charger;
use ocpp::{
    ChargePointStatus, MeterValue, MeterValuesRequest, ReadingContext, StopTransactionRequest,
};
use quantities::{Power, WattHours};
use rust_decimal::Decimal;

use crate::{
    ConnectorStatus, Ends, Finding, FindingCode, Findings, MeterSample, Session, StatusChange,
    Timeline,
    clock::{Message, doubt_clock},
    rollover::register_of,
    sampled::{Reading, Sampled},
    settle::{FAR_WH, NEAR_WH, is_above, settle},
    signed::SignedReadings,
};

/// More than any connector delivers, in watts: the megawatt charging system ends at 3.75 MW.
const POWER_MAX_W: i64 = 4_000_000;

/// How long a charger may say nothing of its register without a note.
const GAP: TimeDelta = TimeDelta::hours(1);

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
/// is later, with the energy of that reading; an ended one does not look at `until`. `charger`
/// says what it can deliver and with which keys its meters sign; without it, nothing is known of
/// either.
///
/// Start and end are what StartTransaction and StopTransaction said; what every doubt about them
/// or about the readings leads to is in the table at [`FindingCode`].
#[must_use]
pub fn timeline(
    session: &Session,
    meter_values: &[(DateTime<Utc>, String)],
    statuses: &[StatusChange],
    until: DateTime<Utc>,
    charger: Option<&Charger>,
) -> Timeline {
    let mut findings = Findings::default();
    let mut told = read_all(session, meter_values, &mut findings);
    let power_max = charger.and_then(power_max);
    let register = Register::of(session, &told, power_max, &mut findings);
    told.registers_from_intervals(register.start, &mut findings);
    let between = register.between(&told, session);
    let ends = register.ends(session, power_max);
    let samples = settle(&between, &ends, &mut findings).into_owned();
    let last = samples.last();
    let ended_at = session.ended_at.unwrap_or_else(|| {
        let at_least = last.map_or(session.started_at, |sample| sample.at);
        until.max(at_least).max(session.started_at)
    });
    let meter_stop =
        register.stop.unwrap_or_else(|| last.map_or(register.start, |sample| sample.energy));
    let keys = charger.map_or(&[][..], |charger| charger.meter_public_keys.as_slice());
    let signed = SignedReadings::of(&told.signed, keys, session, &mut findings);
    let mut timeline = Timeline {
        started_at: session.started_at,
        ended_at,
        released_at: session.released_at,
        meter_start: register.start,
        meter_stop,
        samples,
        statuses: in_order(statuses),
        findings: Vec::new(),
        signed,
    };
    check_ends(session, &timeline, &ends, &mut findings);
    doubt_gaps(&timeline, &mut findings);
    timeline.findings = findings.into_sorted();
    timeline
}

/// The readings of the energy import register in `values`, one for each moment that has one, with
/// the power that was told with it.
///
/// `Transaction.Begin` and `Transaction.End` readings are among them; [`timeline`] knows better
/// what to do with those.
#[must_use]
pub fn samples_of(values: &[MeterValue]) -> (Vec<MeterSample>, Vec<Finding>) {
    let mut findings = Findings::default();
    let mut told = Sampled::default();
    told.read(values, &mut findings);
    let samples = told.readings.iter().map(|reading| told.with_power(reading.sample));
    (samples.collect(), findings.into_sorted())
}

/// Whether the charger can have delivered the energy between two registers in the time between
/// them; `true` when nobody knows its power. Readings of its meter are judged alike.
#[must_use]
pub fn is_deliverable(
    charger: &Charger,
    start: (DateTime<Utc>, WattHours),
    stop: (DateTime<Utc>, WattHours),
) -> bool {
    !Ends { start, stop: None, power_max: power_max(charger) }.jumps(start, stop)
}

/// The rated power and a tenth, for meters and power electronics are not exact.
fn power_max(charger: &Charger) -> Option<Power> {
    let rated = Decimal::from(charger.max_electric_power?);
    rated.checked_mul(Decimal::new(11, 1)).map(Power::new)
}

/// All that the messages say, and what is odd about the messages.
fn read_all(
    session: &Session,
    meter_values: &[(DateTime<Utc>, String)],
    findings: &mut Findings,
) -> Sampled {
    let mut sampled = Sampled::default();
    let mut messages = Vec::new();
    let mut known = BTreeSet::new();
    for (arrived, frame) in meter_values {
        let Some(request) = read_frame::<MeterValuesRequest>(frame, findings) else {
            continue;
        };
        let before = sampled.readings.len();
        sampled.read(&request.meter_value, findings);
        let read = sampled.readings.get(before..).unwrap_or_default();
        for Reading { sample, context } in read {
            if !known.insert((sample.at, sample.energy, context.as_str().to_owned())) {
                findings.note(FindingCode::Repeated, sample.at, "a reading came more than once");
            }
        }
        let newest = read.iter().map(|Reading { sample, .. }| (sample.at, Some(sample.energy)));
        let stamps = request.meter_value.iter().map(|value| (value.timestamp, None));
        if let Some((stamped, energy)) = newest.chain(stamps).max() {
            messages.push(Message { arrived: *arrived, stamped, energy });
        }
    }
    if let Some(frame) = &session.stop_frame
        && let Some(request) = read_frame::<StopTransactionRequest>(frame, findings)
    {
        sampled.read(&request.transaction_data, findings);
    }
    doubt_clock(session, messages, findings);
    sampled
}

fn read_frame<R: ocpp::Request>(frame: &str, findings: &mut Findings) -> Option<R> {
    let call = match ocpp::read_call::<R>(frame) {
        Ok(call) => call,
        Err(refusal) => {
            let detail = format!("a {} frame was left out: {refusal}", R::ACTION);
            findings.note(FindingCode::FrameUnreadable, None, detail);
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
        findings.note(code, None, format!("{}: {}", R::ACTION, warning.field));
    }
    Some(call.request)
}

/// The register as it is billed: what stands in for a reading that is none, and the digits that a
/// rollover took.
#[derive(Debug, Clone, Copy)]
struct Register {
    start: WattHours,
    /// `None` while the session runs, and when nothing can stand in for a stop without a reading.
    stop: Option<WattHours>,
    /// What readings below the start lack since the rollover.
    wrapped: Option<WattHours>,
}

impl Register {
    fn of(
        session: &Session,
        sampled: &Sampled,
        power_max: Option<Power>,
        findings: &mut Findings,
    ) -> Self {
        let read = |end: ReadingContext| {
            let at_end = sampled.readings.iter().filter(move |reading| reading.context == end);
            at_end.map(|reading| reading.sample).filter(|sample| sample.energy >= WattHours::ZERO)
        };
        let begin = read(ReadingContext::TransactionBegin).min_by_key(|s| (s.at, s.energy));
        let end = read(ReadingContext::TransactionEnd).max_by_key(|s| (s.at, s.energy));
        let mut register =
            Self { start: session.meter_start, stop: session.meter_stop, wrapped: None };
        if register.start < WattHours::ZERO {
            let first = sampled.readings.iter().map(|reading| reading.sample);
            let first = begin.or_else(|| first.min_by_key(|s| (s.at, s.energy)));
            register.start = first.map_or(register.start, |sample| sample.energy);
            let detail = format!("meterStart is {}", session.meter_start);
            findings.note(FindingCode::StartMissing, session.started_at, detail);
        } else if let Some(begin) = begin {
            doubt_begin(register.start, begin, findings);
        }
        match register.stop {
            Some(stop) if stop < WattHours::ZERO => {
                register.stop = end.map(|sample| sample.energy);
                findings.note(FindingCode::StopMissing, None, format!("meterStop is {stop}"));
            }
            Some(stop) => {
                if let Some(end) = end {
                    doubt_end(stop, end, findings);
                }
            }
            None => {}
        }
        register.unrolled(session, sampled, power_max, findings)
    }

    /// With the stop that lies beyond the end of the register's digits. Of a running session, the
    /// readings tell.
    fn unrolled(
        mut self,
        session: &Session,
        sampled: &Sampled,
        power_max: Option<Power>,
        findings: &mut Findings,
    ) -> Self {
        let start = (session.started_at, self.start);
        let last = sampled.readings.iter().map(|Reading { sample, .. }| (sample.at, sample.energy));
        let last = match (self.stop, session.ended_at) {
            (Some(stop), Some(ended_at)) => Some((ended_at, stop)),
            _ => last.max(),
        };
        let Some(last) = last else { return self };
        self.wrapped = register_of(start, last, power_max);
        if let Some(size) = self.wrapped {
            let detail = format!("from {} to {} across {size}", self.start, last.1);
            findings.note(FindingCode::RegisterRollover, last.0, detail);
            self.stop = self.stop.map(|stop| self.beyond(stop));
        }
        self
    }

    /// A reading below the start is one after the rollover.
    fn beyond(&self, energy: WattHours) -> WattHours {
        let after = self.wrapped.filter(|_| energy < self.start && energy >= WattHours::ZERO);
        after.and_then(|size| energy.checked_add(size).ok()).unwrap_or(energy)
    }

    /// The readings that are neither of the begin nor, once the session has one, of the end.
    fn between(&self, sampled: &Sampled, session: &Session) -> Vec<MeterSample> {
        let until = session.ended_at.filter(|_| self.stop.is_none());
        let between = sampled.readings.iter().filter(|reading| match reading.context {
            ReadingContext::TransactionBegin => false,
            ReadingContext::TransactionEnd => self.stop.is_none(),
            // The last reading is to stand in for the stop.
            _ => until.is_none_or(|until| reading.sample.at <= until),
        });
        let beyond = |reading: &Reading| {
            let energy = self.beyond(reading.sample.energy);
            sampled.with_power(MeterSample { energy, ..reading.sample })
        };
        between.map(beyond).collect()
    }

    fn ends(&self, session: &Session, power_max: Option<Power>) -> Ends {
        let stop = self.stop.and_then(|stop| Some((session.ended_at?, stop)));
        let power_max = Some(power_max.unwrap_or(Power::new(Decimal::from(POWER_MAX_W))));
        Ends { start: (session.started_at, self.start), stop, power_max }
    }
}

/// `Transaction.Begin` adds nothing to what StartTransaction said, but may contradict it. After an
/// offline period chargers send 0: taken as the start, it would bill the meter's whole life.
fn doubt_begin(started: WattHours, begin: MeterSample, findings: &mut Findings) {
    let read = begin.energy;
    if !are_apart(read, started, NEAR_WH) {
        return;
    }
    let is_far = are_apart(read, started, FAR_WH);
    let code = if read == WattHours::ZERO {
        FindingCode::BeginZero
    } else if started == WattHours::ZERO && is_far {
        FindingCode::StartZero
    } else if is_far {
        FindingCode::BeginContradicts
    } else {
        FindingCode::BeginDiffers
    };
    findings.note(code, begin.at, format!("Transaction.Begin is {read}, meterStart {started}"));
}

fn doubt_end(stopped: WattHours, end: MeterSample, findings: &mut Findings) {
    let read = end.energy;
    let code = if are_apart(read, stopped, FAR_WH) {
        FindingCode::EndContradicts
    } else if are_apart(read, stopped, NEAR_WH) {
        FindingCode::EndDiffers
    } else {
        return;
    };
    findings.note(code, end.at, format!("Transaction.End is {read}, meterStop {stopped}"));
}

fn are_apart(one: WattHours, other: WattHours, by: Decimal) -> bool {
    is_above(one, other, by) || is_above(other, one, by)
}

fn check_ends(session: &Session, timeline: &Timeline, ends: &Ends, findings: &mut Findings) {
    let (start, stop) = (timeline.meter_start, timeline.meter_stop);
    let stop_is_read = session.meter_stop.is_none_or(|stop| stop >= WattHours::ZERO);
    if stop < start && stop_is_read {
        let detail = format!("stopped at {stop}, started at {start}");
        findings.note(FindingCode::StopBelowStart, timeline.ended_at, detail);
    }
    if timeline.ended_at < timeline.started_at {
        let detail = "the transaction ends before it starts";
        findings.note(FindingCode::EndBeforeStart, timeline.ended_at, detail);
    }
    let first = (timeline.started_at, start);
    let last = timeline.samples.last().map_or(first, |sample| (sample.at, sample.energy));
    // Against the last reading: a start of 0 that was wrong shows as one jump at some moment.
    if ends.jumps(last, (timeline.ended_at, stop)) {
        let detail = format!("{stop} from {}", last.1);
        findings.note(FindingCode::ImplausibleEnergy, timeline.ended_at, detail);
    }
}

fn doubt_gaps(timeline: &Timeline, findings: &mut Findings) {
    let mut last = (timeline.started_at, timeline.meter_start);
    let end = (timeline.ended_at, timeline.meter_stop);
    let samples = timeline.samples.iter().map(|sample| (sample.at, sample.energy));
    for (at, energy) in samples.chain([end]) {
        if at - last.0 > GAP && is_above(energy, last.1, FAR_WH) {
            let detail = format!("from {} to {at} no reading; energy is interpolated", last.0);
            findings.note(FindingCode::ReadingGap, last.0, detail);
        }
        last = (at, energy);
    }
}

fn in_order(statuses: &[StatusChange]) -> Vec<StatusChange> {
    let mut statuses = statuses.to_vec();
    // Stable: of two changes in the same second the one that was told later stays later.
    statuses.sort_by_key(|change| change.at);
    statuses.dedup();
    statuses
}

impl Session {
    /// Whether the register came to the end of its digits and `meter_stop`, read at `ended_at`, is
    /// no step back. Of the charger's power nothing is known here; rating looks again.
    pub(crate) fn rolled_over(&self, meter_stop: WattHours, ended_at: DateTime<Utc>) -> bool {
        let start = (self.started_at, self.meter_start);
        register_of(start, (ended_at, meter_stop), None).is_some()
    }
}
