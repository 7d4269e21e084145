//! Energy is neither lost nor made, and more of it never costs less.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use quantities::WattHours;
use rating::PricedSession;
use rust_decimal::Decimal;

use crate::{
    generators::{
        sessions::{Leg, at, even, legs_that_rise, of_legs, statuses, timeline},
        tariffs::{
            On, elements, elements_that_add_up, energy_by_energy, tariff, version, with_steps,
        },
        taxes, zone,
    },
    net_and_gross, rate,
};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn segments_have_no_holes_and_their_energy_is_the_sessions(
        tariff in tariff(), timeline in timeline(), zone in zone(), taxes in taxes(),
    ) {
        let priced = rate(&tariff, &timeline, zone, &taxes);
        let energy: Decimal = priced.segments.iter().map(|segment| segment.energy.wh()).sum();
        prop_assert_eq!(energy, timeline.meter_stop.wh() - timeline.meter_start.wh());
        prop_assert_eq!(priced.total_energy.wh(), energy);
        prop_assert_eq!(priced.segments.first().unwrap().start, timeline.started_at);
        let end = timeline.released_at.unwrap_or(timeline.ended_at);
        prop_assert_eq!(priced.segments.last().unwrap().end, end);
        prop_assert!(priced.segments.iter().all(|segment| segment.energy.wh() >= Decimal::ZERO));
        for pair in priced.segments.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
        }
        let seconds = Decimal::new((end - timeline.started_at).num_milliseconds(), 3);
        prop_assert_eq!(priced.total_time_s, seconds);
    }

    /// No line bills energy that is in none of its segments, and no segment is billed twice.
    #[test]
    fn what_lines_measure_is_what_their_segments_say(
        tariff in tariff(), timeline in timeline(), zone in zone(),
    ) {
        let priced = rate(&tariff, &timeline, zone, &[]);
        let mut billed = vec![0; priced.segments.len()];
        for line in priced.lines.iter().filter(|line| line.unit == rating::Unit::KilowattHour) {
            let segments = line.segments.iter().map(|index| &priced.segments[*index]);
            let wh: Decimal = segments.map(|segment| segment.energy.wh()).sum();
            prop_assert_eq!(line.measured * Decimal::ONE_THOUSAND, wh);
            prop_assert!(line.quantity >= line.measured);
            for index in &line.segments {
                billed[*index] += 1;
            }
        }
        prop_assert!(billed.iter().all(|times| *times <= 1), "{:?}", billed);
    }

    /// Where it must: what is in force depends on time alone, so that both sessions meet the same
    /// prices; one step size, and more energy by whole steps of it in every second, so that no step
    /// that the smaller session paid in part is paid in full by the larger one at a lower price. A
    /// tariff that gets cheaper from some energy or power on can do otherwise: that is its will.
    #[test]
    fn more_energy_in_the_same_time_never_costs_less(
        elements in elements(&[On::Clock, On::Duration]), step in select(vec![0_u32, 1, 1, 60]),
        legs in legs_that_rise(), more in vec(0_i64..30, 16),
        statuses in statuses(), zone in zone(), taxes in taxes(),
    ) {
        let tariff = version(with_steps(elements, step), "EUR", 0);
        let extra = |(seconds, _): &Leg, more: i64| seconds * more * i64::from(step.max(1)) * 10;
        let mut larger = legs.clone();
        for (leg, more) in larger.iter_mut().zip(more) {
            leg.1 += extra(leg, more);
        }
        let cost = |legs: &[Leg]| {
            let mut timeline = of_legs(at("2026-10-24T12:00:00Z"), legs);
            timeline.statuses.clone_from(&statuses);
            net_and_gross(&rate(&tariff, &timeline, zone, &taxes))
        };
        let (less, more) = (cost(&legs), cost(&larger));
        prop_assert!(less.0 <= more.0 && less.1 <= more.1, "{:?} then {:?}", less, more);
    }

    /// The same where the price per kWh depends on the energy alone: however it falls, what came
    /// before stays paid.
    #[test]
    fn a_price_that_falls_with_energy_still_grows_with_it(
        elements in energy_by_energy(), even in even(), more in 0_i64..400_000,
        zone in zone(), taxes in taxes(),
    ) {
        let tariff = version(elements, "EUR", 0);
        let mut larger = even.clone();
        larger.meter_stop = WattHours::new(even.meter_stop.wh() + Decimal::new(more, 1));
        let (less, more) = (
            net_and_gross(&rate(&tariff, &even, zone, &taxes)),
            net_and_gross(&rate(&tariff, &larger, zone, &taxes)),
        );
        prop_assert!(less.0 <= more.0 && less.1 <= more.1, "{:?} then {:?}", less, more);
    }

    /// Where it must: nothing counts from the start of the session (a fee, a grace period, a
    /// duration, an amount of energy, a step), so that a pause to start anew gains nothing.
    #[test]
    fn two_halves_cost_what_the_whole_costs(
        elements in elements_that_add_up(), legs in legs_that_rise(), split in any::<Index>(),
        zone in zone(), taxes in taxes(),
    ) {
        let tariff = version(elements, "EUR", 0);
        let start = at("2026-10-24T12:00:00Z");
        let (first, second) = legs.split_at(split.index(legs.len() + 1));
        let first = of_legs(start, first);
        let second = of_legs(first.ended_at, second);
        let whole = rate(&tariff, &of_legs(start, &legs), zone, &taxes);
        let parts = [rate(&tariff, &first, zone, &taxes), rate(&tariff, &second, zone, &taxes)];
        prop_assert_eq!(quantities(&parts), quantities(std::slice::from_ref(&whole)));
        // Each of the three is rounded once, without tax, and once for every tax.
        let rounded = 3 * (1 + i64::try_from(taxes.len()).unwrap());
        let gross: i64 = parts.iter().map(|part| part.gross().minor).sum();
        prop_assert!((gross - whole.gross().minor).abs() <= rounded);
    }
}

/// How much falls under which component of which element.
fn quantities(
    parts: &[PricedSession],
) -> Vec<(rating::Item, Option<usize>, Option<usize>, Decimal)> {
    let mut sums: Vec<(rating::Item, Option<usize>, Option<usize>, Decimal)> = Vec::new();
    for line in parts.iter().flat_map(|part| &part.lines) {
        let key = (line.item, line.element, line.why.component);
        match sums.iter_mut().find(|sum| (sum.0, sum.1, sum.2) == key) {
            Some(sum) => sum.3 += line.quantity,
            None => sums.push((key.0, key.1, key.2, line.quantity)),
        }
    }
    sums.sort();
    sums
}
