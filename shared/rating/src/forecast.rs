//! What a session that runs will have cost, if it goes on as now; and how long what is held on the
//! card is enough, whatever the vehicle does.
//!
//! There is no second way to compute a price: a forecast is the price, by the same rating as the
//! bill, of the session as it would have gone.

use chrono::{DateTime, TimeDelta, Utc};
use network::{ExpectedEnergy, HoldRule};
use quantities::{Amount, MoneyError, Power, WattHours};
use rust_decimal::{Decimal, RoundingStrategy};
use session::{ConnectorStatus, MeterSample, Timeline};

use crate::{Pricer, RatingError, Rules};

/// Seconds in an hour.
const SECONDS_PER_HOUR: Decimal = Decimal::from_parts(3600, 0, 0, false, 0);

/// How fast energy flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// As it flows now. Nothing is known to flow in a session that nothing is known of.
    pub as_now: Power,
    /// As fast as it could.
    pub most: Power,
}

impl Pace {
    /// The pace of a session whose `timeline` runs until now, at a connector that delivers
    /// `max_power_w` watts at most, at a site with `rule`.
    ///
    /// What flows now is the power that the last reading told, or that there was on average since
    /// the reading before, whichever is more. Before the first reading it is the most that the
    /// connector delivers, and where that is not known either, the power that the site's rule
    /// expects. A vehicle that was reported not to charge, and of which no reading since says
    /// otherwise, takes nothing.
    #[must_use]
    pub fn of(timeline: &Timeline, max_power_w: Option<u32>, rule: Option<&HoldRule>) -> Self {
        let max = max_power_w.map(Decimal::from);
        let rule = rule.and_then(expected_power).unwrap_or_default();
        let told = |sample: MeterSample| sample.power.map(Power::watts).unwrap_or_default();
        let as_now = match (last_interval(timeline), stood(timeline)) {
            (Some((_, to)), Some(since)) if to.at < since => Decimal::ZERO,
            // It stopped in between: what there was on average says nothing of now.
            (Some((from, to)), Some(since)) if from.at < since => told(to),
            (Some((from, to)), _) => average(from, to).max(told(to)),
            (None, Some(_)) => Decimal::ZERO,
            (None, None) => max.unwrap_or(rule),
        };
        let as_now = as_now.max(Decimal::ZERO);
        let most = max.unwrap_or(rule).max(as_now);
        Self { as_now: Power::new(as_now), most: Power::new(most) }
    }
}

/// The power that `rule` expects on average.
fn expected_power(rule: &HoldRule) -> Option<Decimal> {
    match rule.energy {
        ExpectedEnergy::PowerKw(kw) => Some(Decimal::from(u64::from(kw) * 1000)),
        ExpectedEnergy::Kwh(kwh) => {
            let minutes = Decimal::from(rule.minutes);
            Decimal::from(u64::from(kwh) * 60_000).checked_div(minutes)
        }
    }
}

/// The last reading, and the one before: the start, if there is no other.
fn last_interval(timeline: &Timeline) -> Option<(MeterSample, MeterSample)> {
    let (at, energy) = (timeline.started_at, timeline.meter_start);
    let start = MeterSample { at, energy, power: None };
    let mut samples: Vec<MeterSample> = timeline.samples.clone();
    samples.retain(|sample| sample.at > start.at);
    samples.sort_by_key(|sample| (sample.at, sample.energy));
    let last = samples.pop()?;
    let before = samples.into_iter().rev().find(|sample| sample.at < last.at);
    Some((before.unwrap_or(start), last))
}

/// The power from one reading to a later one, in watts.
fn average(from: MeterSample, to: MeterSample) -> Decimal {
    let rise = to.energy.wh().checked_sub(from.energy.wh());
    let lasts = Decimal::new((to.at - from.at).num_milliseconds(), 3);
    let power = rise.and_then(|rise| rise.checked_mul(SECONDS_PER_HOUR)?.checked_div(lasts));
    power.unwrap_or_default()
}

/// Since when the vehicle was reported not to charge, if that is the last word of this session.
fn stood(timeline: &Timeline) -> Option<DateTime<Utc>> {
    let mut statuses: Vec<_> = timeline.statuses.iter().collect();
    statuses.retain(|change| change.at >= timeline.started_at);
    statuses.sort_by_key(|change| change.at);
    let charges = |status| {
        use ConnectorStatus::{Charging, Preparing, Unknown};
        matches!(status, Charging | Preparing | Unknown)
    };
    let first =
        statuses.iter().rposition(|change| charges(change.status)).map_or(0, |last| last + 1);
    statuses.get(first).map(|change| change.at)
}

/// A session that runs, and how it goes on.
#[derive(Debug, Clone, Copy)]
pub struct Forecast<'a> {
    pricer: &'a Pricer,
    rules: &'a Rules<'a>,
    /// Until now.
    timeline: &'a Timeline,
    pace: Pace,
    /// Whether the transaction runs; afterwards only idle time does, until the connector is free.
    is_active: bool,
    cost: Amount,
}

impl<'a> Forecast<'a> {
    /// Begins with what the session has cost so far: the price of `timeline`, which ends now.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub fn new(
        pricer: &'a Pricer,
        rules: &'a Rules<'a>,
        timeline: &'a Timeline,
        pace: Pace,
        is_active: bool,
    ) -> Result<Self, RatingError> {
        let cost = pricer.rate(timeline, rules)?.gross();
        Ok(Self { pricer, rules, timeline, pace, is_active, cost })
    }

    /// What it has cost so far, taxes included.
    #[must_use]
    pub const fn cost(&self) -> Amount {
        self.cost
    }

    /// What it will have cost `later`, taxes included, if it goes on as now: what would be billed
    /// then, and never less than what would be billed now.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub fn cost_in(&self, later: TimeDelta) -> Result<Amount, RatingError> {
        self.at_power(self.pace.as_now, later)
    }

    /// How long until somebody has to look again, so that there is `lead` left from then until the
    /// session could have cost `held`: at full power, and never longer than `at_most`. Where there
    /// is no such time, it is `lead`.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub fn look_in(
        &self,
        held: Amount,
        lead: TimeDelta,
        at_most: TimeDelta,
    ) -> Result<TimeDelta, RatingError> {
        let covered = |seconds: i64| -> Result<bool, RatingError> {
            let then = TimeDelta::seconds(seconds) + lead;
            let cost = self.at_power(self.pace.most, then)?;
            Ok(cost.min(held)? == cost)
        };
        let (mut good, mut bad) = (lead.num_seconds(), at_most.num_seconds() + 1);
        if good + 1 < bad && covered(bad - 1)? {
            return Ok(at_most);
        }
        while good + 1 < bad {
            let middle = good + (bad - good) / 2;
            if covered(middle)? { good = middle } else { bad = middle }
        }
        Ok(TimeDelta::seconds(good))
    }

    fn at_power(&self, power: Power, later: TimeDelta) -> Result<Amount, RatingError> {
        let timeline = self.timeline_in(power, later)?;
        let cost = self.pricer.rate(&timeline, self.rules)?.gross();
        // A last step of a dearer component can make a shorter session cost more.
        Ok(if cost.min(self.cost)? == cost { self.cost } else { cost })
    }

    /// The session as it would have gone.
    fn timeline_in(&self, power: Power, later: TimeDelta) -> Result<Timeline, RatingError> {
        let mut timeline = self.timeline.clone();
        let after = |at: DateTime<Utc>| {
            at.checked_add_signed(later).ok_or(RatingError::OutsideCalendar { at })
        };
        if !self.is_active {
            timeline.released_at = timeline.released_at.map(after).transpose()?;
            return Ok(timeline);
        }
        timeline.ended_at = after(timeline.ended_at)?;
        let (at, energy) = match last_interval(&timeline) {
            Some((_, last)) => (last.at, last.energy),
            None => (timeline.started_at, timeline.meter_start),
        };
        let lasts = Decimal::new((timeline.ended_at - at).num_milliseconds().max(0), 3);
        let flows = power.watts().checked_mul(lasts).ok_or(MoneyError::Overflow)?;
        let flows = flows / SECONDS_PER_HOUR;
        let flows = flows.round_dp_with_strategy(1, RoundingStrategy::ToPositiveInfinity);
        let energy = energy.checked_add(WattHours::new(flows));
        timeline.meter_stop = energy.map_err(|_| MoneyError::Overflow)?;
        Ok(timeline)
    }
}

#[cfg(test)]
mod tests {
    use session::StatusChange;

    use super::*;

    fn at(minute: u32) -> DateTime<Utc> {
        format!("2026-03-01T12:{minute:02}:00Z").parse().unwrap()
    }

    /// A session from 12:00 on: minutes, Wh, and the watts told with them.
    fn timeline(
        readings: &[(u32, i64, Option<i64>)],
        statuses: &[(u32, ConnectorStatus)],
    ) -> Timeline {
        let sample = |(minute, wh, watts): &(u32, i64, Option<i64>)| MeterSample {
            at: at(*minute),
            energy: WattHours::from(*wh),
            power: watts.map(|watts| Power::new(watts.into())),
        };
        let status = |(minute, status): &(u32, ConnectorStatus)| StatusChange {
            at: at(*minute),
            status: *status,
        };
        Timeline {
            started_at: at(0),
            ended_at: at(30),
            samples: readings.iter().map(sample).collect(),
            statuses: statuses.iter().map(status).collect(),
            ..Timeline::default()
        }
    }

    fn pace(timeline: &Timeline, max_w: Option<u32>, rule: Option<HoldRule>) -> (i64, i64) {
        let pace = Pace::of(timeline, max_w, rule.as_ref());
        let watts = |power: Power| i64::try_from(power.watts().round()).unwrap();
        (watts(pace.as_now), watts(pace.most))
    }

    const RULE: HoldRule = HoldRule {
        energy: ExpectedEnergy::Kwh(30),
        minutes: 90,
        idle_minutes: 0,
        margin_percent: 0,
        at_least: None,
    };

    #[test]
    fn the_pace_is_what_the_last_readings_say() {
        // 2 kWh in 10 minutes are 12 kW.
        let even = timeline(&[(10, 1000, None), (20, 3000, None)], &[]);
        assert_eq!(pace(&even, Some(22_000), None), (12_000, 22_000));
        assert_eq!(pace(&even, None, None), (12_000, 12_000));
        let rising = timeline(&[(10, 1000, None), (20, 3000, Some(15_000))], &[]);
        assert_eq!(pace(&rising, Some(11_000), None), (15_000, 15_000));
        let only = timeline(&[(30, 5000, None)], &[]);
        assert_eq!(pace(&only, Some(22_000), None), (10_000, 22_000));
    }

    #[test]
    fn before_the_first_reading_it_is_what_the_connector_delivers_or_the_site_expects() {
        let new = timeline(&[], &[(0, ConnectorStatus::Charging)]);
        assert_eq!(pace(&new, Some(22_000), Some(RULE)), (22_000, 22_000));
        assert_eq!(pace(&new, None, Some(RULE)), (20_000, 20_000));
        assert_eq!(pace(&new, None, None), (0, 0));
    }

    #[test]
    fn a_vehicle_that_stands_takes_nothing_until_a_reading_says_otherwise() {
        use ConnectorStatus::{Charging, SuspendedEV};
        let readings = [(10, 1000, None), (20, 3000, None)];
        let stands = |minute| timeline(&readings, &[(0, Charging), (minute, SuspendedEV)]);
        assert_eq!(pace(&stands(25), Some(22_000), None), (0, 22_000), "since the last reading");
        assert_eq!(pace(&stands(15), Some(22_000), None), (0, 22_000), "in between");
        assert_eq!(
            pace(&stands(10), Some(22_000), None),
            (12_000, 22_000),
            "it flows all the same"
        );
        let again = timeline(&readings, &[(15, SuspendedEV), (18, Charging)]);
        assert_eq!(pace(&again, None, None), (12_000, 12_000));
        let before = timeline(&[], &[(0, SuspendedEV)]);
        assert_eq!(pace(&before, Some(22_000), None), (0, 22_000));
    }
}
