//! Charging or idle, where no status says it: by power and by energy.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod support;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use ocpi::{PriceComponent, TariffDimensionType, TariffElement};
use proptest::{collection::vec, option, prelude::*, sample::Index};
use quantities::{Power, WattHours};
use rating::{FindingCode, PricedSession, SegmentKind, rate};
use rust_decimal::Decimal;
use session::{ConnectorStatus, MeterSample, StatusChange, Timeline};

use crate::support::{rules, version};

fn start() -> DateTime<Utc> {
    "2026-03-02T10:00:00Z".parse().unwrap()
}

fn minute(minute: i64) -> DateTime<Utc> {
    start() + Duration::minutes(minute)
}

/// A reading in tenths of a Wh, with the power that was told.
fn sample(at: i64, tenths: i64, watts: Option<i64>) -> MeterSample {
    let power = watts.map(|watts| Power::new(Decimal::from(watts)));
    MeterSample { at: minute(at), energy: WattHours::new(Decimal::new(tenths, 1)), power }
}

/// An hour with these readings and this register at the end.
fn hour(samples: Vec<MeterSample>, tenths: i64) -> Timeline {
    let meter_stop = WattHours::new(Decimal::new(tenths, 1));
    Timeline {
        started_at: start(),
        ended_at: minute(60),
        meter_stop,
        samples,
        ..Default::default()
    }
}

fn priced(timeline: &Timeline) -> PricedSession {
    let component =
        |dimension| PriceComponent { dimension, price: Decimal::ONE, vat: None, step_size: 1 };
    let dimensions = [TariffDimensionType::Time, TariffDimensionType::ParkingTime];
    let price_components = dimensions.map(component).to_vec();
    let tariff = version(vec![TariffElement { price_components, restrictions: None }], 0);
    rate(&tariff, timeline, &rules(Tz::UTC, "0")).unwrap()
}

/// Minutes of the session until which each kind lasts.
fn kinds(timeline: &Timeline) -> Vec<(SegmentKind, i64)> {
    let segments = priced(timeline).segments;
    segments.iter().map(|part| (part.kind, (part.end - start()).num_minutes())).collect()
}

fn codes(timeline: &Timeline) -> Vec<FindingCode> {
    priced(timeline).findings.iter().map(|finding| finding.code).collect()
}

use SegmentKind::{Charging, Idle};

#[test]
fn a_hundred_watts_on_average_are_charging_and_less_is_idle() {
    assert_eq!(kinds(&hour(vec![], 1000)), [(Charging, 60)]);
    assert_eq!(kinds(&hour(vec![], 999)), [(Idle, 60)]);
    assert_eq!(codes(&hour(vec![], 1000)), []);
    assert_eq!(codes(&hour(vec![], 999)), [FindingCode::IdleFromEnergy]);
}

#[test]
fn power_counts_where_the_register_stands_still() {
    // A register of whole kWh.
    let samples = vec![sample(10, 0, Some(3000)), sample(20, 0, Some(3000)), sample(40, 0, None)];
    assert_eq!(kinds(&hour(samples, 0)), [(Charging, 40), (Idle, 60)]);
}

#[test]
fn an_interval_in_which_charging_begins_or_ends_is_charging() {
    let samples = vec![
        sample(10, 0, Some(0)),
        sample(20, 50, Some(100)),
        sample(30, 100, Some(99)),
        sample(40, 150, Some(99)),
    ];
    let timeline = hour(samples, 200);
    assert_eq!(kinds(&timeline), [(Idle, 10), (Charging, 30), (Idle, 60)]);
    assert_eq!(codes(&timeline), [FindingCode::IdleFromPower]);
}

#[test]
fn energy_that_flowed_is_charging_whatever_power_was_told() {
    let samples = vec![sample(20, 0, Some(0)), sample(40, 50_000, Some(0))];
    assert_eq!(kinds(&hour(samples, 50_000)), [(Idle, 20), (Charging, 40), (Idle, 60)]);
}

#[test]
fn a_status_decides_over_power_and_energy() {
    let mut timeline = hour(vec![sample(30, 100_000, Some(20_000))], 200_000);
    let change = |at, status| StatusChange { at: minute(at), status };
    timeline.statuses =
        vec![change(0, ConnectorStatus::Charging), change(40, ConnectorStatus::SuspendedEV)];
    assert_eq!(kinds(&timeline), [(Charging, 40), (Idle, 60)]);
    assert_eq!(codes(&timeline), []);
    // A status that says nothing leaves it to the meter again.
    timeline.statuses.push(change(50, ConnectorStatus::Unknown));
    assert_eq!(kinds(&timeline), [(Charging, 40), (Idle, 50), (Charging, 60)]);
}

/// Some chargers report the vehicle gone before they stop the transaction.
#[test]
fn at_a_connector_that_is_reported_free_only_what_flows_is_charging() {
    let mut timeline = hour(vec![sample(20, 100_000, None), sample(40, 200_000, None)], 200_000);
    let change = |at, status| StatusChange { at: minute(at), status };
    timeline.statuses =
        vec![change(0, ConnectorStatus::Charging), change(20, ConnectorStatus::Available)];
    assert_eq!(kinds(&timeline), [(Charging, 40), (SegmentKind::Operator, 60)]);
    assert_eq!(codes(&timeline), []);
}

#[test]
fn a_vehicle_that_finishes_with_the_stop_stands_idle_whichever_message_came_first() {
    use ConnectorStatus::{Charging, Finishing, SuspendedEV};
    let with = |statuses: &[(i64, ConnectorStatus)]| {
        let statuses = statuses.iter().map(|(second, status)| StatusChange {
            at: start() + Duration::seconds(*second),
            status: *status,
        });
        let statuses = statuses.collect();
        Timeline { statuses, released_at: Some(minute(180)), ..hour(Vec::new(), 100_000) }
    };
    let idle = |timeline: &Timeline| priced(timeline).totals.parking.excl_vat.minor;
    let stop = 3600;
    assert_eq!(idle(&with(&[(1, Charging), (stop, Finishing)])), 200);
    // Two seconds of the session itself, which are less than a cent.
    assert_eq!(idle(&with(&[(1, Charging), (stop - 2, Finishing)])), 200);
    // Long before the stop, or something else since: nobody knows how long the vehicle stood.
    assert_eq!(idle(&with(&[(1, Charging), (stop - 61, Finishing)])), 2);
    assert_eq!(idle(&with(&[(1, Charging), (stop - 20, Finishing), (stop - 10, Charging)])), 0);
    assert_eq!(idle(&with(&[(1, Charging), (stop - 30, SuspendedEV)])), 1);
}

#[test]
fn what_the_session_before_left_behind_says_nothing() {
    let charging = |at| vec![StatusChange { at, status: ConnectorStatus::Charging }];
    let told = Timeline {
        statuses: charging(start() - Duration::minutes(8)),
        ..hour(vec![sample(30, 100_000, None)], 100_000)
    };
    assert_eq!(kinds(&told), [(SegmentKind::Charging, 30), (SegmentKind::Idle, 60)]);
    // Just before the start it is this session's: some chargers say so first.
    let own = Timeline { statuses: charging(start() - Duration::seconds(3)), ..told };
    assert_eq!(kinds(&own), [(SegmentKind::Charging, 60)]);
}

#[test]
fn the_result_names_how_charging_was_told_from_idle() {
    let method = priced(&hour(vec![], 1000)).method;
    assert!(method.activity.unwrap().contains("100 W"));
}

fn number() -> impl Strategy<Value = Decimal> {
    let odd = [Decimal::MAX, Decimal::MIN, Decimal::new(1, 28), Decimal::from(-1)];
    let plain = (-10_i64..300_000).prop_map(|tenths| Decimal::new(tenths, 1));
    prop_oneof![12 => plain, 1 => prop::sample::select(odd.to_vec())]
}

fn soup() -> impl Strategy<Value = Timeline> {
    let far = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC];
    let at = prop_oneof![
        15 => (-600_i64..4_200).prop_map(|seconds| start() + Duration::seconds(seconds)),
        1 => prop::sample::select(far.to_vec()),
    ];
    let sample = (at, number(), option::of(number())).prop_map(|(at, energy, power)| MeterSample {
        at,
        energy: WattHours::new(energy),
        power: power.map(Power::new),
    });
    (vec(sample, 0..30), 0_i64..200_000).prop_map(|(samples, tenths)| hour(samples, tenths))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any soup of readings: no panic, and all of the energy between start and stop, no more.
    #[test]
    fn energy_is_conserved_whatever_is_read_in_between(timeline in soup(), turn in any::<Index>()) {
        let once = priced(&timeline);
        prop_assert_eq!(once.total_energy, timeline.meter_stop);
        let parts = once.segments.iter().map(|part| part.energy.wh());
        prop_assert_eq!(parts.sum::<Decimal>(), timeline.meter_stop.wh());
        prop_assert!(once.segments.iter().all(|part| part.energy >= WattHours::ZERO));
        let mut other = timeline.clone();
        other.samples.extend(timeline.samples.iter().rev());
        let by = turn.index(other.samples.len() + 1);
        other.samples.rotate_left(by);
        prop_assert_eq!(priced(&other), once);
    }
}
