//! The axes of a tariff: cut wherever one of its restrictions begins or ends, so that within a cell
//! every restriction holds everywhere or nowhere.

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Weekday};
use ocpi::ReservationRestrictionType;
use rust_decimal::Decimal;

use super::cover::{Axis, Block, Cells};
use crate::compile::{Compiled, Rule};

/// The axes.
#[derive(Debug, Clone)]
pub(super) struct Space {
    pub(super) days: Vec<Day>,
    pub(super) times: Scale<NaiveTime>,
    pub(super) energies_wh: Scale<Decimal>,
    pub(super) durations_s: Scale<u32>,
    pub(super) powers_kw: Scale<Decimal>,
    pub(super) currents_a: Scale<Decimal>,
}

/// One weekday of a span of dates in which it occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    /// The first date of the span; none: since ever.
    pub(super) from: Option<NaiveDate>,
    /// The date after the last of the span; none: for ever.
    pub(super) until: Option<NaiveDate>,
    pub(super) weekday: Weekday,
}

/// An axis of numbers or times: each cell goes from its start to the next cell's.
#[derive(Debug, Clone)]
pub(super) struct Scale<T> {
    pub(super) starts: Vec<T>,
}

impl<T: Ord + Copy> Scale<T> {
    fn new(zero: T, thresholds: impl Iterator<Item = T>) -> Self {
        let mut starts: Vec<T> = thresholds.filter(|threshold| *threshold > zero).collect();
        starts.push(zero);
        starts.sort_unstable();
        starts.dedup();
        Self { starts }
    }

    pub(super) fn all(&self) -> Cells {
        Cells::of(self.starts.len(), |_| true)
    }

    /// The cells that lie in `min..max`.
    pub(super) fn within(&self, min: Option<T>, max: Option<T>) -> Cells {
        let starts_after =
            |cell| self.starts.get(cell).is_some_and(|s| min.is_none_or(|m| *s >= m));
        let ends_before = |cell: usize| {
            max.is_none_or(|max| self.starts.get(cell + 1).is_some_and(|end| *end <= max))
        };
        Cells::of(self.starts.len(), |cell| starts_after(cell) && ends_before(cell))
    }

    /// The cell at zero.
    pub(super) fn first(&self) -> Cells {
        Cells::of(self.starts.len(), |cell| cell == 0)
    }
}

impl Space {
    /// The space that the rules of `tariff` cut, and the dates `also` besides.
    pub(super) fn new(tariff: &Compiled, also: &[NaiveDate]) -> Self {
        let rules = || tariff.components.iter().map(|component| &component.rule);
        let mut dates: Vec<NaiveDate> = also.to_vec();
        dates.extend(rules().flat_map(|rule| rule.start_date.into_iter().chain(rule.end_date)));
        dates.sort_unstable();
        dates.dedup();
        let times = rules().filter_map(|rule| rule.time).flat_map(|(start, end)| [start, end]);
        let energies = rules().flat_map(|rule| rule.min_wh.into_iter().chain(rule.max_wh));
        let durations = rules().flat_map(|rule| rule.min_s.into_iter().chain(rule.max_s));
        let powers = rules().flat_map(|rule| rule.power.min.into_iter().chain(rule.power.max));
        let currents =
            rules().flat_map(|rule| rule.current.min.into_iter().chain(rule.current.max));
        Self {
            days: days(&dates),
            times: Scale::new(NaiveTime::MIN, times),
            energies_wh: Scale::new(Decimal::ZERO, energies),
            durations_s: Scale::new(0, durations),
            powers_kw: Scale::new(Decimal::ZERO, powers),
            currents_a: Scale::new(Decimal::ZERO, currents),
        }
    }

    /// Every moment.
    pub(super) fn all(&self) -> Block {
        self.block(&Rule::default())
    }

    /// The moments at which `rule` holds. Negative limits are as good as none: nothing is below 0.
    pub(super) fn block(&self, rule: &Rule) -> Block {
        let expired_only = rule.reservation == Some(ReservationRestrictionType::ReservationExpires);
        Block([
            self.days_of(rule),
            rule.time.map_or_else(|| self.times.all(), |window| self.window(window)),
            self.energies_wh.within(rule.min_wh, rule.max_wh),
            self.durations_s.within(rule.min_s, rule.max_s),
            self.powers_kw.within(rule.power.min, rule.power.max),
            self.currents_a.within(rule.current.min, rule.current.max),
            Cells::of(2, |expired| expired == 1 || !expired_only),
        ])
    }

    /// The days of `from..until`.
    pub(super) fn between(&self, from: Option<NaiveDate>, until: Option<NaiveDate>) -> Cells {
        let rule = Rule { start_date: from, end_date: until, ..Rule::default() };
        self.days_of(&rule)
    }

    /// The moment at which a session begins: nothing charged, no time gone by.
    pub(super) fn start(&self) -> Block {
        let all = self.all();
        let all = all.with(Axis::Energy, &self.energies_wh.first());
        all.with(Axis::Duration, &self.durations_s.first())
    }

    fn days_of(&self, rule: &Rule) -> Cells {
        let holds = |day: &Day| {
            rule.start_date.is_none_or(|start| day.from.is_some_and(|from| from >= start))
                && rule.end_date.is_none_or(|end| day.until.is_some_and(|until| until <= end))
                && rule.days.is_none_or(|days| days.contains(day.weekday))
        };
        Cells::of(self.days.len(), |cell| self.days.get(cell).is_some_and(holds))
    }

    fn window(&self, (start, end): (NaiveTime, NaiveTime)) -> Cells {
        if start < end {
            return self.times.within(Some(start), Some(end));
        }
        self.times.within(Some(start), None).or(&self.times.within(None, Some(end)))
    }
}

/// The weekdays of every span between two of `dates`, and of the time before and after them.
fn days(dates: &[NaiveDate]) -> Vec<Day> {
    let starts = std::iter::once(None).chain(dates.iter().copied().map(Some));
    let ends = dates.iter().copied().map(Some).chain([None]);
    let week = (0..7).filter_map(|day| Weekday::try_from(day).ok());
    let mut days = Vec::new();
    for (from, until) in starts.zip(ends) {
        let occurs = |day: &Weekday| match from.zip(until) {
            None => true,
            Some((from, until)) => first_on(from, *day).is_some_and(|date| date < until),
        };
        days.extend(week.clone().filter(occurs).map(|weekday| Day { from, until, weekday }));
    }
    days
}

/// The first `day` from `date` on.
fn first_on(date: NaiveDate, day: Weekday) -> Option<NaiveDate> {
    date.checked_add_days(Days::new(u64::from(day.days_since(date.weekday()))))
}
