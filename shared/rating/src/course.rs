//! From what a charger reported to stretches: readings set straight, time told apart.

use chrono::{DateTime, Utc};
use quantities::{MoneyError, Power, WattHours};
use rust_decimal::Decimal;
use session::{ConnectorStatus, Ends, MeterSample, StatusChange, Timeline, settle};

use crate::{
    FindingCode, RatingError, SegmentKind,
    compile::Bounds,
    exact::{MS_PER_HOUR, Reading, micro_wh, power_kw},
    stretch::{Course, Findings, Powers, Stretch, moment},
};

/// The least power that counts as charging, in watts. A vehicle that charges draws 6 A or more
/// (IEC 61851-1), 720 W at 120 V; one that is full draws a few tens of watts for itself, and a
/// meter's own error is below that.
const CHARGING_W: i64 = 100;

/// How far the messages of one event may be apart: chargers send the status before the transaction
/// message or after it.
const ONE_EVENT_MS: i64 = 60_000;

/// The course of `timeline`. Times are taken to the millisecond.
///
/// The start and stop register are what is billed; readings in between only tell when. Reading
/// twice, or out of order, changes nothing.
///
/// # Errors
///
/// [`RatingError`] when the session cannot have happened.
pub(crate) fn course(timeline: &Timeline, asks_power: bool) -> Result<Course, RatingError> {
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
    // An idle time that goes on is one, however often it was read.
    let mut told_until = None;
    for pair in readings.windows(2) {
        let &[earlier, later] = pair else { continue };
        let (from, to) = (earlier.reading, later.reading);
        let charges = states.ask_the_meter && charges(earlier, later);
        let power = if asks_power { power_kw(from, to)? } else { None };
        let power_kw = power.map(Bounds::exactly).unwrap_or_default();
        states.split(from.at_ms, to.at_ms, |start_ms, end_ms, state| {
            let kind = state.kind(charges);
            if state == State::Flow && kind == SegmentKind::Idle {
                if told_until != Some(start_ms) {
                    note_told_idle(earlier, later, start_ms, &mut findings);
                }
                told_until = Some(end_ms);
            }
            let time_ms = end_ms - start_ms;
            let powers = || Box::new(Powers { power_kw, current_a: still(kind) });
            let billable = true;
            let stretch = Stretch {
                start_ms,
                end_ms,
                kind,
                time_ms,
                from,
                to,
                power: asks_power.then(powers),
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

fn note_told_idle(earlier: Told, later: Told, start_ms: i64, findings: &mut Findings) {
    let (code, detail) = if earlier.power.or(later.power).is_some() {
        let detail = "no status was reported; the power told was below 100 W: idle";
        (FindingCode::IdleFromPower, detail)
    } else {
        let detail = "no status was reported; less than 100 W flowed: idle";
        (FindingCode::IdleFromEnergy, detail)
    };
    findings.note(code, moment(start_ms), detail);
}

/// The time from the end until the connector is free. Idle is only what the charger says is idle
/// (Finishing, SuspendedEV), at the end or after it, or Finishing just before it: a session that
/// was told after an offline period is followed by the first status of the charger's next start,
/// hours later, and nobody knows of anybody who stood there all that time.
fn after_the_end(
    timeline: &Timeline,
    released_ms: i64,
    states: &mut States,
    stretches: &mut Vec<Stretch>,
) -> Result<(), MoneyError> {
    let at_ms = timeline.ended_at.timestamp_millis();
    let uwh = energy(timeline.meter_stop, timeline.meter_start)?;
    let rest = Reading { at_ms, uwh };
    let none = Bounds::exactly(Decimal::ZERO);
    states.end(at_ms);
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
            power: Some(Box::new(Powers { power_kw: none, current_a: none })),
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

/// The energy from one register to another, in millionths of a Wh.
fn energy(register: WattHours, start: WattHours) -> Result<i64, MoneyError> {
    let (register, start) = (micro_wh(register.wh()), micro_wh(start.wh()));
    let energy = register.zip(start).and_then(|(register, start)| register.checked_sub(start));
    energy.ok_or(MoneyError::Overflow)
}

/// A reading, with the power that was told with it.
#[derive(Debug, Clone, Copy)]
struct Told {
    reading: Reading,
    power: Option<Power>,
}

/// The readings to interpolate between, from start to end and never falling.
fn readings(timeline: &Timeline, findings: &mut Findings) -> Result<Vec<Told>, RatingError> {
    findings.take(timeline.findings.clone(), timeline.started_at);
    if let Some(readings) = straight(timeline, &timeline.samples)? {
        return Ok(readings);
    }
    let ends = Ends {
        start: (timeline.started_at, timeline.meter_start),
        stop: Some((timeline.ended_at, timeline.meter_stop)),
        power_max: None,
    };
    let mut doubts = session::Findings::default();
    let samples = settle(&timeline.samples, &ends, &mut doubts);
    findings.take(doubts.into_sorted(), timeline.started_at);
    let readings = straight(timeline, &samples)?;
    readings.ok_or(RatingError::Money(MoneyError::Overflow))
}

/// The readings of `samples`, if they are straight already: in order of time, one for each moment
/// between start and end, never falling. Most sessions' are, and nothing is to be settled.
fn straight(
    timeline: &Timeline,
    samples: &[MeterSample],
) -> Result<Option<Vec<Told>>, RatingError> {
    let told = |at: DateTime<Utc>, uwh, power| {
        let reading = Reading { at_ms: at.timestamp_millis(), uwh };
        Told { reading, power }
    };
    let rise = energy(timeline.meter_stop, timeline.meter_start)?;
    let mut readings = Vec::with_capacity(samples.len() + 2);
    let start_ms = timeline.started_at.timestamp_millis();
    let end_ms = timeline.ended_at.timestamp_millis();
    let mut last = Reading { at_ms: start_ms, uwh: 0 };
    readings.push(told(timeline.started_at, 0, None));
    for sample in samples {
        // Too much for a register: it is set aside when the readings are settled.
        let Ok(uwh) = energy(sample.energy, timeline.meter_start) else { return Ok(None) };
        let here = told(sample.at, uwh, sample.power);
        let at_ms = here.reading.at_ms;
        // The moments of start and stop have readings of their own.
        if (at_ms, uwh) == (start_ms, 0) || (at_ms, uwh) == (end_ms, rise) {
            continue;
        }
        if at_ms <= last.at_ms || at_ms >= end_ms || uwh < last.uwh || uwh > rise {
            return Ok(None);
        }
        last = here.reading;
        readings.push(here);
    }
    readings.push(told(timeline.ended_at, rise, None));
    Ok(Some(readings))
}

/// Whether a vehicle charges between two readings, by what the meter says: [`CHARGING_W`] or more
/// on average, or at either reading. A register of few digits can stand still while energy flows,
/// so the power that was told counts first; and an interval in which charging begins or ends is
/// charging, for doubt favours the driver.
fn charges(from: Told, to: Told) -> bool {
    let threshold = Decimal::from(CHARGING_W);
    let told = [from.power, to.power].into_iter().flatten();
    if told.into_iter().any(|power| power.watts() >= threshold) {
        return true;
    }
    let (from, to) = (from.reading, to.reading);
    let risen = i128::from(to.uwh) - i128::from(from.uwh);
    let lasts = i128::from(to.at_ms) - i128::from(from.at_ms);
    // Millionths of a Wh in milliseconds to watts, without a division.
    risen > 0 && risen * i128::from(MS_PER_HOUR) >= i128::from(CHARGING_W) * lasts * 1_000_000
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
    const fn kind(self, charges: bool) -> SegmentKind {
        match (self, charges) {
            (Self::Charging, _) | (Self::Free | Self::Flow, true) => SegmentKind::Charging,
            (Self::Idle, _) | (Self::Flow, false) => SegmentKind::Idle,
            (Self::Operator, _) | (Self::Free, false) => SegmentKind::Operator,
        }
    }
}

impl State {
    const fn asks_the_meter(self) -> bool {
        matches!(self, Self::Flow | Self::Free)
    }
}

impl From<ConnectorStatus> for State {
    fn from(status: ConnectorStatus) -> Self {
        match status {
            // The transaction runs and the charger is still getting ready: charging time, which a
            // tariff's TIME bills, and not idle time.
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

/// Of two statuses of one moment the later here wins: what the operator is to blame for before
/// charging, and charging before idle. Idle is what has to be beyond doubt, so the vehicle is taken
/// to charge, also under a tariff whose `TIME` costs more than its `PARKING_TIME`.
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
    /// Whether any of them leaves it to the meter.
    ask_the_meter: bool,
    /// When the vehicle was last reported to be about to leave, if that was the last word before
    /// the end.
    finishing_ms: Option<i64>,
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
        let began = before.is_some_and(|change| {
            let charging = State::from(change.status) == State::Charging;
            charging && start_ms - ms(change) <= ONE_EVENT_MS
        });
        let last = statuses.iter().rev().find(|change| ms(change) < end_ms);
        let finishing = last.filter(|change| change.status == ConnectorStatus::Finishing);
        let now = if began || during { State::Charging } else { State::Flow };
        let during = statuses.iter().filter(|change| ms(change) >= start_ms);
        let changes: Vec<_> =
            during.map(|change| (ms(change), State::from(change.status))).collect();
        let states = changes.iter().map(|(_, state)| *state).chain([now]);
        let ask_the_meter = states.into_iter().any(State::asks_the_meter);
        let finishing_ms = finishing.map(|change| ms(change));
        Self { changes, next: 0, now, ask_the_meter, finishing_ms }
    }

    /// From the end on, what was said before says nothing, but for a Finishing of the same event.
    fn end(&mut self, end_ms: i64) {
        let stays = self.finishing_ms.is_some_and(|at_ms| end_ms - at_ms <= ONE_EVENT_MS);
        self.now = if stays { State::Idle } else { State::Flow };
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
