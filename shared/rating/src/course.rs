//! From what a charger reported to stretches: readings set straight, time told apart.

use quantities::{QuantityError, WattHours};
use rust_decimal::Decimal;
use session::{ConnectorStatus, StatusChange, Timeline};

use crate::{
    FindingCode, RatingError, SegmentKind,
    compile::Bounds,
    exact::{Reading, power_kw},
    stretch::{Course, Findings, Stretch, moment},
};

/// The course of `timeline`. Times are taken to the millisecond.
///
/// The start and stop register are what is billed; readings in between only tell when. Reading
/// twice, or out of order, changes nothing.
///
/// # Errors
///
/// [`RatingError`] when the session cannot have happened.
pub(crate) fn course(timeline: &Timeline, uses_power: bool) -> Result<Course, RatingError> {
    let start_ms = timeline.started_at.timestamp_millis();
    let end_ms = timeline.ended_at.timestamp_millis();
    let (started_at, ended_at) = (timeline.started_at, timeline.ended_at);
    if end_ms < start_ms {
        return Err(RatingError::EndsBeforeStart { started_at, ended_at });
    }
    if timeline.meter_stop < timeline.meter_start {
        let (start, stop) = (timeline.meter_start, timeline.meter_stop);
        return Err(RatingError::MeterBackwards { start, stop });
    }
    let mut findings = Findings::default();
    let readings = readings(timeline, &mut findings)?;
    let mut states = States::new(timeline, start_ms, end_ms);
    let mut stretches = Vec::with_capacity(readings.len() + states.changes.len());
    for pair in readings.windows(2) {
        let &[from, to] = pair else { continue };
        let power = if uses_power { power_kw(from, to)? } else { None };
        let power_kw = power.map(Bounds::exactly).unwrap_or_default();
        states.split(from.at_ms, to.at_ms, |start_ms, end_ms, state| {
            let kind = state.kind(to.wh > from.wh);
            if state == State::Flow && kind == SegmentKind::Idle {
                let detail = "no status was reported; no energy flowed, so the time is idle";
                findings.note(FindingCode::IdleFromEnergy, moment(start_ms), detail);
            }
            let time_ms = end_ms - start_ms;
            let current_a = still(kind);
            let billable = true;
            let stretch = Stretch {
                start_ms,
                end_ms,
                kind,
                time_ms,
                from,
                to,
                power_kw,
                current_a,
                billable,
            };
            stretches.push(stretch);
        });
    }
    let released_ms = released(timeline, end_ms, &mut findings);
    if released_ms > end_ms {
        after_the_end(timeline, released_ms, &mut states, &mut stretches)?;
    }
    Ok(Course {
        stretches,
        session_start_ms: start_ms,
        reservation_expired: false,
        stated: false,
        findings,
    })
}

/// The time from the end until the connector is free. Idle is only what the charger says is idle
/// (Finishing, SuspendedEV), at the end or after it: a session that was told after an offline
/// period is followed by the first status of the charger's next start, hours later, and nobody
/// knows of anybody who stood there all that time.
fn after_the_end(
    timeline: &Timeline,
    released_ms: i64,
    states: &mut States,
    stretches: &mut Vec<Stretch>,
) -> Result<(), QuantityError> {
    let at_ms = timeline.ended_at.timestamp_millis();
    let rest = Reading { at_ms, wh: energy(timeline.meter_stop, timeline.meter_start)? };
    states.forget();
    states.split(at_ms, released_ms, |start_ms, end_ms, state| {
        let kind = match state {
            State::Idle => SegmentKind::Idle,
            State::Charging | State::Flow | State::Operator | State::Free => SegmentKind::Operator,
        };
        stretches.push(Stretch {
            start_ms,
            end_ms,
            kind,
            time_ms: end_ms - start_ms,
            from: rest,
            to: rest,
            power_kw: Bounds::exactly(Decimal::ZERO),
            current_a: Bounds::exactly(Decimal::ZERO),
            billable: true,
        });
    });
    Ok(())
}

/// A vehicle that does not charge draws no current, whether somebody measured it or not.
pub(crate) fn still(kind: SegmentKind) -> Bounds {
    match kind {
        SegmentKind::Charging | SegmentKind::Unstated => Bounds::default(),
        _ => Bounds::exactly(Decimal::ZERO),
    }
}

fn released(timeline: &Timeline, end_ms: i64, findings: &mut Findings) -> i64 {
    let Some(released_at) = timeline.released_at else { return end_ms };
    let released_ms = released_at.timestamp_millis();
    if released_ms < end_ms {
        let detail = "the connector was reported free before the end; the end is billed";
        findings.note(FindingCode::ReleasedBeforeEnd, released_at, detail);
    }
    released_ms.max(end_ms)
}

/// To a millionth of a Wh: finer than any meter, and coarse enough for a CDR's numbers.
fn energy(reading: WattHours, start: WattHours) -> Result<Decimal, QuantityError> {
    reading.checked_sub(start).map(|energy| energy.wh().round_dp(6))
}

/// The readings to interpolate between, from start to end and never falling.
fn readings(timeline: &Timeline, findings: &mut Findings) -> Result<Vec<Reading>, RatingError> {
    let start = Reading { at_ms: timeline.started_at.timestamp_millis(), wh: Decimal::ZERO };
    let end = Reading {
        at_ms: timeline.ended_at.timestamp_millis(),
        wh: energy(timeline.meter_stop, timeline.meter_start)?,
    };
    let mut readings = Vec::with_capacity(timeline.samples.len() + 2);
    for sample in &timeline.samples {
        let wh = energy(sample.energy, timeline.meter_start)?;
        readings.push(Reading { at_ms: sample.at.timestamp_millis(), wh });
    }
    readings.sort_unstable_by_key(|reading| (reading.at_ms, reading.wh));
    readings.dedup();
    readings.retain(|reading| {
        let outside = reading.at_ms < start.at_ms || reading.at_ms > end.at_ms;
        if outside {
            let detail = "readings from before the start or after the end are set aside";
            findings.note(FindingCode::SampleOutsideSession, moment(reading.at_ms), detail);
        }
        let at_edge = |edge: Reading| reading.at_ms == edge.at_ms && reading.wh != edge.wh;
        let beyond = reading.wh < start.wh || reading.wh > end.wh;
        if !outside && (beyond || at_edge(start) || at_edge(end)) {
            let detail = "readings that contradict the start or the stop register are set aside";
            findings.note(FindingCode::SampleOutOfRange, moment(reading.at_ms), detail);
        }
        !outside && !beyond && reading.at_ms > start.at_ms && reading.at_ms < end.at_ms
    });
    readings.dedup_by(|later, earlier| {
        let conflict = later.at_ms == earlier.at_ms;
        if conflict {
            let detail = "of two readings of one moment the lower one is used";
            findings.note(FindingCode::SampleConflicting, moment(later.at_ms), detail);
        }
        conflict
    });
    let mut readings = never_falling(readings, findings);
    readings.insert(0, start);
    readings.push(end);
    Ok(readings)
}

/// Sets aside as few readings as possible so that the rest never falls: one wrong reading cannot
/// take the right ones after it with it. Where the choice is open, the earlier readings stay.
fn never_falling(readings: Vec<Reading>, findings: &mut Findings) -> Vec<Reading> {
    if readings.is_sorted_by_key(|reading| reading.wh) {
        return readings;
    }
    // How many readings from each on can be kept, itself included: the longest run that never
    // falls, found from the end. `heads[n]` is the highest start of a run of n + 1 readings.
    let mut heads: Vec<Decimal> = Vec::new();
    let mut lengths = vec![0_usize; readings.len()];
    for (reading, length) in readings.iter().zip(&mut lengths).rev() {
        let shorter = heads.partition_point(|head| *head >= reading.wh);
        match heads.get_mut(shorter) {
            Some(head) => *head = reading.wh,
            None => heads.push(reading.wh),
        }
        *length = shorter + 1;
    }
    let mut missing = heads.len();
    let mut highest = Decimal::ZERO;
    let mut lengths = lengths.into_iter();
    let kept = readings.into_iter().filter(|reading| {
        let length = lengths.next().unwrap_or_default();
        let keep = length == missing && missing > 0 && reading.wh >= highest;
        if keep {
            missing -= 1;
            highest = reading.wh;
        } else {
            let detail = "readings that fall are set aside, as few as possible";
            findings.note(FindingCode::SampleDecreasing, moment(reading.at_ms), detail);
        }
        keep
    });
    kept.collect()
}

/// What a status says about the time that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Charging,
    Idle,
    Operator,
    /// Nobody there: nothing is billed but energy that flows all the same.
    Free,
    /// Nothing: whether energy flows decides.
    Flow,
}

impl State {
    const fn kind(self, energy_flows: bool) -> SegmentKind {
        match (self, energy_flows) {
            (Self::Charging, _) | (Self::Free | Self::Flow, true) => SegmentKind::Charging,
            (Self::Idle, _) | (Self::Flow, false) => SegmentKind::Idle,
            (Self::Operator, _) | (Self::Free, false) => SegmentKind::Operator,
        }
    }
}

impl From<ConnectorStatus> for State {
    fn from(status: ConnectorStatus) -> Self {
        match status {
            // The transaction runs and the charger is still getting ready: not the driver's fault.
            ConnectorStatus::Charging | ConnectorStatus::Preparing => Self::Charging,
            ConnectorStatus::SuspendedEV | ConnectorStatus::Finishing => Self::Idle,
            ConnectorStatus::SuspendedEVSE
            | ConnectorStatus::Faulted
            | ConnectorStatus::Unavailable => Self::Operator,
            // Some chargers report the vehicle gone before they stop the transaction.
            ConnectorStatus::Available | ConnectorStatus::Reserved => Self::Free,
            ConnectorStatus::Unknown => Self::Flow,
        }
    }
}

/// Of two statuses of one moment the later here wins: doubt favours the driver.
const fn rank(status: ConnectorStatus) -> u8 {
    match status {
        ConnectorStatus::Unknown => 0,
        ConnectorStatus::Available => 1,
        ConnectorStatus::Reserved => 2,
        ConnectorStatus::Preparing => 3,
        ConnectorStatus::Finishing => 4,
        ConnectorStatus::SuspendedEV => 5,
        ConnectorStatus::Charging => 6,
        ConnectorStatus::SuspendedEVSE => 7,
        ConnectorStatus::Unavailable => 8,
        ConnectorStatus::Faulted => 9,
    }
}

/// The state of the connector along the session.
struct States {
    changes: Vec<(i64, State)>,
    next: usize,
    now: State,
}

impl States {
    fn new(timeline: &Timeline, start_ms: i64, end_ms: i64) -> Self {
        let mut statuses: Vec<&StatusChange> = timeline.statuses.iter().collect();
        statuses.sort_unstable_by_key(|change| (change.at, rank(change.status)));
        let ms = |change: &StatusChange| change.at.timestamp_millis();
        let before = statuses.iter().rev().find(|change| ms(change) < start_ms);
        let during = statuses.iter().any(|change| (start_ms..end_ms).contains(&ms(change)));
        // A status from before the start counts only if it speaks of this session: what the one
        // before left behind does not. Until the first status of its own, a session that has any
        // is getting ready; one that has none is told by its energy.
        let began = before.is_some_and(|change| State::from(change.status) == State::Charging);
        let now = if began || during { State::Charging } else { State::Flow };
        let during = statuses.iter().filter(|change| ms(change) >= start_ms);
        let changes = during.map(|change| (ms(change), State::from(change.status))).collect();
        Self { changes, next: 0, now }
    }

    /// From here on, what was said before says nothing.
    const fn forget(&mut self) {
        self.now = State::Flow;
    }

    /// Calls `each` for every part of `start_ms` to `end_ms` with one state. Spans have to come in
    /// order of time.
    fn split(&mut self, start_ms: i64, end_ms: i64, mut each: impl FnMut(i64, i64, State)) {
        let mut from_ms = start_ms;
        while let Some(&(at_ms, state)) = self.changes.get(self.next) {
            if at_ms > from_ms && at_ms < end_ms && state != self.now {
                each(from_ms, at_ms, self.now);
                from_ms = at_ms;
            }
            if at_ms >= end_ms {
                break;
            }
            self.now = state;
            self.next += 1;
        }
        each(from_ms, end_ms, self.now);
    }
}
