//! What a running session will cost is what it costs, if it goes on as now.

use chrono::TimeDelta;
use network::Tax;
use proptest::{collection::vec, prelude::*, sample::select};
use quantities::{Amount, Power, WattHours};
use rating::{Forecast, Pace, Pricer, Rules, TariffVersion};
use rust_decimal::Decimal;
use session::{MeterSample, Timeline};

use crate::{
    generators::{
        plans::account,
        sessions::timeline,
        tariffs::{On, elements, tariff, version, with_steps},
        taxes, zone,
    },
    rate,
};

/// A session that runs: nobody has said anything for a while, nor of what is to come.
fn running() -> impl Strategy<Value = Timeline> {
    (timeline(), 0_i64..5_000).prop_map(|(mut timeline, silent_s)| {
        timeline.released_at = None;
        timeline.ended_at += TimeDelta::seconds(silent_s);
        timeline.statuses.retain(|change| change.at < timeline.ended_at);
        timeline
    })
}

/// As many kW, as even a number as makes whole tenths of a Wh each second.
fn pace(now: i64, more: i64) -> Pace {
    let power = |steps: i64| Power::new(Decimal::from(steps * 360));
    Pace { as_now: power(now), most: power(now + more) }
}

/// What it costs after `seconds` at the first of its paces.
fn cost_in(
    tariff: &TariffVersion,
    timeline: &Timeline,
    rules: &Rules<'_>,
    pace: Pace,
    seconds: i64,
) -> Amount {
    let pricer = Pricer::new(tariff).unwrap();
    let forecast = Forecast::new(&pricer, rules, timeline, pace, true).unwrap();
    forecast.cost_in(TimeDelta::seconds(seconds)).unwrap()
}

fn rules(zone: chrono_tz::Tz, taxes: &[Tax]) -> Rules<'_> {
    Rules { taxes: Some(taxes), ..Rules::unknown(zone) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Plans, minimum and maximum prices, steps and idle fees included.
    #[test]
    fn a_session_is_never_expected_to_cost_less_than_it_has_cost(
        tariff in tariff(), timeline in running(), zone in zone(), taxes in taxes(),
        account in proptest::option::of(account(false)), power in 0_i64..400, seconds in 0_i64..2_000,
    ) {
        let account = account.map(|it| it.of(&tariff.tariff.currency, timeline.started_at));
        let rules = rules(zone, &taxes).with_plan(account.as_ref().map(|it| it.in_force()));
        let so_far = rating::rate(&tariff, &timeline, &rules).unwrap().gross();
        let expected = cost_in(&tariff, &timeline, &rules, pace(power, 0), seconds);
        prop_assert!(expected.minor >= so_far.minor, "{expected} after {so_far}");
    }

    /// Where no step makes a shorter session dearer.
    #[test]
    fn what_a_session_is_expected_to_cost_grows_with_time(
        elements in elements(&[On::Clock, On::Duration, On::Energy]), timeline in running(),
        zone in zone(), taxes in taxes(), power in 0_i64..400,
        sooner in 0_i64..1_000, longer in 0_i64..1_000,
    ) {
        let tariff = version(with_steps(elements, 0), "EUR", 0);
        let (rules, pace) = (rules(zone, &taxes), pace(power, 0));
        let first = cost_in(&tariff, &timeline, &rules, pace, sooner);
        let second = cost_in(&tariff, &timeline, &rules, pace, sooner + longer);
        prop_assert!(first.minor <= second.minor, "{first}, then {second}");
    }

    /// However often it is looked at and read on the way, the bill is what was expected, but for
    /// a step that had made the shorter session dearer.
    #[test]
    fn a_session_that_goes_on_as_expected_costs_what_was_expected(
        tariff in tariff(), timeline in running(), zone in zone(), taxes in taxes(),
        power in 0_i64..400, waits in vec(1_i64..600, 1..6),
    ) {
        let (rules, pace) = (rules(zone, &taxes), pace(power, 0));
        let total: i64 = waits.iter().sum();
        let expected = cost_in(&tariff, &timeline, &rules, pace, total);
        let silent = timeline.ended_at - timeline.samples.last().unwrap().at;
        let mut went_on = timeline.clone();
        let mut seconds = silent.num_seconds();
        for wait in waits {
            seconds += wait;
            went_on.ended_at += TimeDelta::seconds(wait);
            let risen = Decimal::new(seconds * power, 1);
            went_on.meter_stop = WattHours::new(timeline.meter_stop.wh() + risen);
            let (at, energy) = (went_on.ended_at, went_on.meter_stop);
            went_on.samples.push(MeterSample { at, energy, power: None });
        }
        let billed = rate(&tariff, &went_on, zone, &taxes).gross();
        let so_far = rating::rate(&tariff, &timeline, &rules).unwrap().gross();
        prop_assert_eq!(billed.minor.max(so_far.minor), expected.minor);
    }

    /// Whatever the vehicle does until the next look and for as long again as it takes to act.
    #[test]
    fn until_the_next_look_what_is_held_is_enough_at_full_power(
        elements in elements(&[On::Clock, On::Duration, On::Energy]), timeline in running(),
        zone in zone(), taxes in taxes(), power in 0_i64..200, more in 0_i64..200,
        held in 0_i64..20_000, lead in select(vec![1_i64, 2, 30, 60, 900]),
    ) {
        let tariff = version(with_steps(elements, 0), "EUR", 0);
        let (rules, pace) = (rules(zone, &taxes), pace(power, more));
        let pricer = Pricer::new(&tariff).unwrap();
        let forecast = Forecast::new(&pricer, &rules, &timeline, pace, true).unwrap();
        let held = Amount::new(held, forecast.cost().currency);
        let (lead, at_most) = (TimeDelta::seconds(lead), TimeDelta::seconds(900));
        let look = forecast.look_in(held, lead, at_most).unwrap();
        prop_assert!(lead <= look && look <= at_most);
        let full = Pace { as_now: pace.most, ..pace };
        let cost = |later: TimeDelta| {
            cost_in(&tariff, &timeline, &rules, full, (later + lead).num_seconds())
        };
        if look > lead {
            prop_assert!(cost(look).minor <= held.minor, "{} above {held} in {look}", cost(look));
        }
        if look < at_most {
            let late = cost(look + TimeDelta::seconds(1));
            prop_assert!(late.minor > held.minor, "{late} is covered by {held}: looked too often");
        }
    }
}
