//! Sessions as a charger reports them.

use chrono::{DateTime, Duration, Utc};
use proptest::{collection::vec, option, prelude::*, sample::select};
use quantities::WattHours;
use rust_decimal::Decimal;
use session::{ConnectorStatus, MeterSample, StatusChange, Timeline};

/// Days around which clocks change somewhere, a leap day, the end of a year, and an ordinary one.
fn start() -> impl Strategy<Value = DateTime<Utc>> {
    let days = select(vec![
        "2026-03-08T00:00:00Z",
        "2026-03-28T12:00:00Z",
        "2026-04-04T06:00:00Z",
        "2026-10-03T12:00:00Z",
        "2026-10-24T12:00:00Z",
        "2026-10-24T12:00:00Z",
        "2026-10-31T20:00:00Z",
        "2028-02-28T18:00:00Z",
        "2026-12-31T12:00:00Z",
        "2026-07-15T06:00:00Z",
    ]);
    (days, 0_i64..80_000).prop_map(|(day, seconds)| at(day) + Duration::seconds(seconds))
}

/// A moment.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn status() -> impl Strategy<Value = ConnectorStatus> {
    select(vec![
        ConnectorStatus::Preparing,
        ConnectorStatus::Charging,
        ConnectorStatus::Charging,
        ConnectorStatus::SuspendedEV,
        ConnectorStatus::SuspendedEV,
        ConnectorStatus::SuspendedEVSE,
        ConnectorStatus::Finishing,
        ConnectorStatus::Faulted,
        ConnectorStatus::Available,
        ConnectorStatus::Unknown,
    ])
}

/// A stretch of a session: how many seconds, and by how many tenths of a Wh the register rises.
pub(crate) type Leg = (i64, i64);

/// A session with a reading at the end of every leg, from `start` on.
pub(crate) fn of_legs(start: DateTime<Utc>, legs: &[Leg]) -> Timeline {
    let (mut now, mut wh) = (start, Decimal::new(1_234_567, 1));
    let meter_start = WattHours::new(wh);
    let mut samples = Vec::new();
    for (seconds, rise) in legs {
        now += Duration::seconds(*seconds);
        wh += Decimal::new(*rise, 1);
        samples.push(MeterSample { at: now, energy: WattHours::new(wh), power: None });
    }
    Timeline {
        started_at: start,
        ended_at: now,
        meter_start,
        meter_stop: WattHours::new(wh),
        samples,
        ..Timeline::default()
    }
}

/// Legs in all of which a vehicle charges: 100 W (ten tenths of a Wh in 36 seconds) and more.
pub(crate) fn legs_that_rise() -> impl Strategy<Value = Vec<Leg>> {
    let legs = vec((1_i64..9_000, 1_i64..20_000), 1..16);
    let charging = |(seconds, rise)| (seconds, rise + seconds * 10 / 36);
    legs.prop_map(move |legs| legs.into_iter().map(charging).collect())
}

/// Statuses around a session that starts at noon of 24 October 2026.
pub(crate) fn statuses() -> impl Strategy<Value = Vec<StatusChange>> {
    let start = at("2026-10-24T12:00:00Z");
    let statuses = vec((-3_000_i64..70_000, status()), 0..7);
    statuses.prop_map(move |list| {
        list.into_iter().map(|(seconds, status)| status_at(start, seconds, status)).collect()
    })
}

/// A session of some minutes to two days, with readings and statuses in between.
pub(crate) fn timeline() -> impl Strategy<Value = Timeline> {
    let rise = prop_oneof![1 => Just(0_i64), 4 => 1_i64..20_000, 1 => 1_i64..900_000];
    let legs = vec((1_i64..9_000, rise), 1..16);
    let statuses = vec((-3_000_i64..70_000, status()), 0..7);
    (start(), legs, statuses, option::of(0_i64..9_000)).prop_map(
        |(start, legs, statuses, released_s)| {
            let mut timeline = of_legs(start, &legs);
            let released_at = |seconds| timeline.ended_at + Duration::seconds(seconds);
            timeline.released_at = released_s.map(released_at);
            timeline.statuses =
                statuses.into_iter().map(|(s, status)| status_at(start, s, status)).collect();
            timeline
        },
    )
}

fn status_at(start: DateTime<Utc>, seconds: i64, status: ConnectorStatus) -> StatusChange {
    StatusChange { at: start + Duration::seconds(seconds), status }
}

/// A session in which energy flows evenly from its start to its end, and nothing says more.
pub(crate) fn even() -> impl Strategy<Value = Timeline> {
    (start(), 2_i64..120_000, 0_i64..900_000).prop_map(|(start, seconds, rise)| {
        let mut timeline = of_legs(start, &[(seconds, rise)]);
        timeline.samples.clear();
        timeline
    })
}

/// `timeline` with more readings, each exactly on the line between those around it: of every
/// leg, in thousandths of its duration.
pub(crate) fn read_more_often(timeline: &Timeline, thousandths: &[Vec<u16>]) -> Timeline {
    let mut finer = timeline.clone();
    let first = MeterSample { at: timeline.started_at, energy: timeline.meter_start, power: None };
    let last = MeterSample { at: timeline.ended_at, energy: timeline.meter_stop, power: None };
    let mut known: Vec<MeterSample> = timeline.samples.clone();
    known.retain(|sample| first.at < sample.at && sample.at < last.at);
    known.insert(0, first);
    known.push(last);
    for (pair, parts) in known.windows(2).zip(thousandths) {
        for part in parts {
            finer.samples.push(between(pair[0], pair[1], *part));
        }
    }
    finer
}

/// The reading that is `thousandths` of the way from one to another. Legs last whole seconds and
/// readings have one decimal, so it has no more decimals than a reading may have.
fn between(from: MeterSample, to: MeterSample, thousandths: u16) -> MeterSample {
    let part = i32::from(thousandths);
    let rise = to.energy.wh() - from.energy.wh();
    let energy = from.energy.wh() + rise * Decimal::new(part.into(), 3);
    let at = from.at + (to.at - from.at) / 1000 * part;
    MeterSample { at, energy: WattHours::new(energy), power: None }
}
