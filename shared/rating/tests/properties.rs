//! What holds for every tariff and every session.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod support;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use ocpi::{
    CdrDimension, CdrDimensionType, ChargingPeriod, PriceComponent, TariffDimensionType,
    TariffElement, TariffRestrictions,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use quantities::{Amount, WattHours};
use rating::{PricedSession, Rules, TariffVersion};
use rust_decimal::Decimal;
use session::{ConnectorStatus, MeterSample, StatusChange, Timeline};
use support::{rules, session_of, site, version};

const ZONES: [Tz; 3] = [Tz::Europe__Amsterdam, Tz::America__New_York, Tz::UTC];

fn price() -> impl Strategy<Value = Decimal> {
    (0_i64..20_000).prop_map(|price| Decimal::new(price, 4))
}

fn component() -> impl Strategy<Value = PriceComponent> {
    let dimension = select(vec![
        TariffDimensionType::Energy,
        TariffDimensionType::Flat,
        TariffDimensionType::ParkingTime,
        TariffDimensionType::Time,
    ]);
    let vat = option::of(select(vec![Decimal::ZERO, Decimal::new(52, 1), Decimal::from(21)]));
    let step_size = select(vec![0_u32, 1, 60, 900, 500]);
    (dimension, price(), vat, step_size).prop_map(|(dimension, price, vat, step_size)| {
        PriceComponent { dimension, price, vat, step_size }
    })
}

fn restrictions() -> impl Strategy<Value = TariffRestrictions> {
    let time = || option::weighted(0.3, (0_u32..24, select(vec![0_u32, 15, 30])));
    let clock = |time: Option<(u32, u32)>| time.map(|(h, m)| format!("{h:02}:{m:02}"));
    let kwh = || option::weighted(0.2, (0_i64..300).prop_map(|kwh| Decimal::new(kwh, 1)));
    let seconds = || option::weighted(0.2, 0_u32..20_000);
    let kw = || option::weighted(0.2, (0_i64..300).prop_map(|kw| Decimal::new(kw, 1)));
    (time(), time(), kwh(), kwh(), seconds(), seconds(), kw()).prop_map(
        move |(start, end, min_kwh, max_kwh, min_duration, max_duration, min_power)| {
            TariffRestrictions {
                start_time: clock(start),
                end_time: clock(end),
                min_kwh,
                max_kwh,
                min_duration,
                max_duration,
                min_power,
                ..TariffRestrictions::default()
            }
        },
    )
}

fn tariff() -> impl Strategy<Value = TariffVersion> {
    let element = (vec(component(), 1..4), option::of(restrictions()));
    let element = element.prop_map(|(price_components, restrictions)| TariffElement {
        price_components,
        restrictions,
    });
    (vec(element, 1..6), 0_u32..2_000).prop_map(|(elements, grace)| version(elements, grace))
}

/// A session of up to 30 hours around a change of the clocks, read every few minutes or hours.
fn timeline() -> impl Strategy<Value = Timeline> {
    let status = select(vec![
        ConnectorStatus::Charging,
        ConnectorStatus::SuspendedEV,
        ConnectorStatus::SuspendedEVSE,
        ConnectorStatus::Faulted,
        ConnectorStatus::Available,
    ]);
    let readings = vec((1_i64..5_000, 0_i64..9_000), 1..12);
    (0_i64..80_000, readings, vec((0_i64..60_000, status), 0..6), option::of(0_i64..9_000))
        .prop_map(|(start_s, readings, statuses, released_s)| {
            let started_at = at("2026-10-24T12:00:00Z") + Duration::seconds(start_s);
            let (mut now, mut wh) = (started_at, Decimal::new(1_234_567, 1));
            let meter_start = WattHours::new(wh);
            let mut samples = Vec::new();
            for (seconds, rise) in readings {
                now += Duration::seconds(seconds);
                wh += Decimal::new(rise, 1);
                samples.push(MeterSample { at: now, energy: WattHours::new(wh), power: None });
            }
            let statuses = statuses.into_iter().map(|(seconds, status)| StatusChange {
                at: started_at + Duration::seconds(seconds),
                status,
            });
            Timeline {
                started_at,
                ended_at: now,
                released_at: released_s.map(|seconds| now + Duration::seconds(seconds)),
                meter_start,
                meter_stop: WattHours::new(wh),
                samples,
                statuses: statuses.collect(),
            }
        })
}

fn extreme_time() -> impl Strategy<Value = DateTime<Utc>> {
    let near = (0_i64..100_000).prop_map(|s| at("2026-03-28T12:00:00Z") + Duration::seconds(s));
    let far = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, at("9999-12-31T23:59:59Z")];
    prop_oneof![8 => near, 1 => select(far.to_vec())]
}

fn extreme_number() -> impl Strategy<Value = Decimal> {
    let plain = (0_i64..2_000_000).prop_map(|n| Decimal::new(n, 4));
    let far = [Decimal::MAX, Decimal::MIN, Decimal::new(1, 28), Decimal::from(-1), Decimal::ZERO];
    prop_oneof![8 => plain, 1 => select(far.to_vec())]
}

fn extreme_dimension() -> impl Strategy<Value = CdrDimensionType> {
    select(vec![
        CdrDimensionType::Energy,
        CdrDimensionType::Time,
        CdrDimensionType::ParkingTime,
        CdrDimensionType::ReservationTime,
        CdrDimensionType::MinPower,
        CdrDimensionType::MaxPower,
        CdrDimensionType::MaxCurrent,
    ])
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn rate(tariff: &TariffVersion, timeline: &Timeline, zone: Tz) -> PricedSession {
    rating::rate(tariff, timeline, &rules(zone, "21")).unwrap()
}

fn sum(amounts: impl Iterator<Item = Amount>, zero: Amount) -> Amount {
    amounts.fold(zero, |sum, amount| sum.checked_add(amount).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn segments_have_no_holes_and_their_energy_is_the_sessions(
        tariff in tariff(), timeline in timeline(), zone in select(ZONES.to_vec()),
    ) {
        let priced = rate(&tariff, &timeline, zone);
        let energy: Decimal = priced.segments.iter().map(|segment| segment.energy.wh()).sum();
        prop_assert_eq!(energy, timeline.meter_stop.wh() - timeline.meter_start.wh());
        prop_assert_eq!(priced.total_energy.wh(), energy);
        prop_assert_eq!(priced.segments.first().unwrap().start, timeline.started_at);
        let end = timeline.released_at.unwrap_or(timeline.ended_at);
        prop_assert_eq!(priced.segments.last().unwrap().end, end);
        for pair in priced.segments.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
            prop_assert!(pair[0].energy.wh() >= Decimal::ZERO);
        }
        let seconds = Decimal::new((end - timeline.started_at).num_milliseconds(), 3);
        prop_assert_eq!(priced.total_time_s, seconds);
    }

    #[test]
    fn lines_add_up_to_the_total_and_no_line_carries_a_negative_tax(
        tariff in tariff(), timeline in timeline(), zone in select(ZONES.to_vec()),
    ) {
        let priced = rate(&tariff, &timeline, zone);
        let zero = Amount::zero(priced.currency);
        let lines = || priced.lines.iter().map(|line| line.amount);
        prop_assert_eq!(sum(lines().map(|cost| cost.incl_vat), zero), priced.gross());
        prop_assert_eq!(sum(lines().map(|cost| cost.excl_vat), zero), priced.net());
        let groups = priced.totals;
        let groups = [groups.fixed, groups.energy, groups.time, groups.parking];
        prop_assert_eq!(sum(groups.iter().map(|cost| cost.incl_vat), zero), priced.gross());
        for line in &priced.lines {
            prop_assert!(line.amount.incl_vat.minor >= line.amount.excl_vat.minor);
            prop_assert!(line.quantity >= line.measured);
        }
    }

    #[test]
    fn the_order_and_the_number_of_messages_changes_nothing(
        tariff in tariff(), timeline in timeline(), seed in any::<prop::sample::Index>(),
    ) {
        let mut shuffled = timeline.clone();
        shuffled.samples.extend(timeline.samples.iter().rev());
        shuffled.statuses.extend(timeline.statuses.iter().rev());
        let middle = seed.index(shuffled.samples.len());
        shuffled.samples.rotate_left(middle);
        let zone = Tz::Europe__Amsterdam;
        prop_assert_eq!(rate(&tariff, &timeline, zone), rate(&tariff, &shuffled, zone));
    }

    #[test]
    fn reading_an_even_session_more_often_changes_nothing(
        tariff in tariff(), minutes in 2_i64..2_000, wh_a_minute in 1_i64..400, every in 1_i64..60,
    ) {
        let started_at = at("2026-10-24T12:00:00Z");
        let reading = |minute: i64| MeterSample {
            at: started_at + Duration::minutes(minute),
            energy: WattHours::from(wh_a_minute * minute),
            power: None,
        };
        let coarse = Timeline {
            started_at,
            ended_at: started_at + Duration::minutes(minutes),
            released_at: None,
            meter_start: WattHours::ZERO,
            meter_stop: WattHours::from(wh_a_minute * minutes),
            samples: vec![],
            statuses: vec![],
        };
        let mut fine = coarse.clone();
        let step = usize::try_from(every).unwrap();
        fine.samples = (0..=minutes).step_by(step).map(reading).collect();
        let zone = Tz::Europe__Amsterdam;
        prop_assert_eq!(rate(&tariff, &coarse, zone), rate(&tariff, &fine, zone));
    }

    #[test]
    fn the_cdr_prices_to_what_was_billed(
        tariff in tariff(), timeline in timeline(), zone in select(ZONES.to_vec()),
    ) {
        let priced = rate(&tariff, &timeline, zone);
        let cdr = support::cdr_of(&priced, &tariff, &session_of(&timeline), &site(zone));
        let sent = serde_json::to_string(&cdr).unwrap();
        let received = ocpi::read::cdr(&sent).unwrap();
        prop_assert_eq!(&received, &cdr);
        let again = rating::cdr::price(&cdr.tariffs[0], &received, &Rules::unknown(zone)).unwrap();
        prop_assert_eq!(again.totals, priced.totals);
        let amounts = |priced: &PricedSession| -> Vec<_> {
            priced.lines.iter().map(|line| (line.item, line.quantity, line.amount)).collect()
        };
        prop_assert_eq!(amounts(&again), amounts(&priced));
        prop_assert_eq!(&again.findings, &support::unbilled_time(&again));
    }

    #[test]
    fn nothing_that_a_cdr_or_a_tariff_can_say_stops_the_program(
        tariff in tariff(),
        periods in vec((extreme_time(), vec((extreme_dimension(), extreme_number()), 0..4)), 0..5),
        ends in extreme_time(),
        extreme_price in extreme_number(),
        zone in select(ZONES.to_vec()),
    ) {
        let mut tariff = tariff.tariff;
        tariff.elements[0].price_components[0].price = extreme_price;
        tariff.max_price = Some(ocpi::Price { excl_vat: extreme_price, incl_vat: None });
        let charging_periods = periods.into_iter().map(|(start_date_time, dimensions)| {
            let dimension = |(dimension, volume)| CdrDimension { dimension, volume };
            let dimensions = dimensions.into_iter().map(dimension).collect();
            ChargingPeriod { start_date_time, dimensions, tariff_id: None }
        });
        let mut cdr = support::empty_cdr();
        cdr.charging_periods = charging_periods.collect();
        cdr.end_date_time = ends;
        if let Ok(priced) = rating::cdr::price(&tariff, &cdr, &rules(zone, "21")) {
            let zero = Amount::zero(priced.currency);
            let lines = priced.lines.iter().map(|line| line.amount.incl_vat);
            prop_assert_eq!(sum(lines, zero), priced.gross());
        }
    }

    #[test]
    fn what_is_stored_is_read_back_the_same(tariff in tariff(), timeline in timeline()) {
        let priced = rate(&tariff, &timeline, Tz::UTC);
        let stored = serde_json::to_string(&priced).unwrap();
        prop_assert_eq!(serde_json::from_str::<PricedSession>(&stored).unwrap(), priced);
        let stored = serde_json::to_string(&tariff).unwrap();
        prop_assert_eq!(serde_json::from_str::<TariffVersion>(&stored).unwrap(), tariff);
    }
}
