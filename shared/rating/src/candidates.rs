//! Which of very many components may apply at a moment, without asking each of them.
//!
//! A tariff of a few elements is asked one by one. One with a price for every minute of the day, or
//! for every hour of a year, is looked up: by time of day, date, duration or energy, whichever
//! leaves the fewest components to ask.

use std::ops::{Deref, DerefMut};

use chrono::{NaiveDate, NaiveTime};
use rust_decimal::Decimal;

use crate::compile::{Component, Moment, Rule};

/// Fewer components than this are asked one by one.
const MANY: usize = 16;
/// The most places that components may have in an index, so that it stays small.
const PLACES_MAX: usize = 4_000_000;

/// The components of one dimension, by their index, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    all: Vec<usize>,
    index: Option<Index>,
}

impl Deref for List {
    type Target = Vec<usize>;

    fn deref(&self) -> &Vec<usize> {
        &self.all
    }
}

impl DerefMut for List {
    fn deref_mut(&mut self) -> &mut Vec<usize> {
        &mut self.all
    }
}

impl List {
    /// Makes the index, where one helps. To be called when the list is complete.
    pub(crate) fn index(&mut self, components: &[Component]) {
        self.index = Index::new(&self.all, components);
    }

    /// Those that may apply at `moment`, in order.
    pub(crate) fn candidates(&self, moment: &Moment) -> &[usize] {
        self.index.as_ref().map_or(&self.all, |index| index.candidates(moment))
    }

    /// The most that are asked at once.
    pub(crate) fn most_candidates(&self) -> usize {
        let most = |index: &Index| index.slots.iter().map(Vec::len).max().unwrap_or_default();
        self.index.as_ref().map_or(self.all.len(), most)
    }
}

/// Components by the value of one of the things that they depend on.
#[derive(Debug, Clone)]
struct Index {
    keys: Keys,
    /// One more than there are keys: the components of the values from a key on, below the next.
    slots: Vec<Vec<usize>>,
}

/// The values at which something changes, ascending.
#[derive(Debug, Clone)]
enum Keys {
    Time(Vec<NaiveTime>),
    Date(Vec<NaiveDate>),
    ElapsedMs(Vec<i64>),
    EnergyWh(Vec<Decimal>),
}

/// From a value on, below another; without one, from or to the end of all values.
type Span<K> = (Option<K>, Option<K>);

impl Index {
    fn new(list: &[usize], components: &[Component]) -> Option<Self> {
        if list.len() < MANY {
            return None;
        }
        let rules = |list: &[usize]| -> Vec<(usize, Rule)> {
            let component = |index: &usize| Some((*index, components.get(*index)?.rule.clone()));
            list.iter().filter_map(component).collect()
        };
        let rules = rules(list);
        let indexes = [
            by(&rules, times, Keys::Time),
            by(&rules, |rule| [Some((rule.start_date, rule.end_date)), None], Keys::Date),
            by(
                &rules,
                |rule| [Some((rule.min_s.map(ms), rule.max_s.map(ms))), None],
                Keys::ElapsedMs,
            ),
            by(&rules, |rule| [Some((rule.min_wh, rule.max_wh)), None], Keys::EnergyWh),
        ];
        let asked = |index: &Self| index.slots.iter().map(Vec::len).max();
        let best = indexes.into_iter().flatten().min_by_key(asked);
        best.filter(|index| asked(index) < Some(list.len()))
    }

    fn candidates(&self, moment: &Moment) -> &[usize] {
        let slot = match &self.keys {
            Keys::Time(keys) => slot(keys, &moment.local.time()),
            Keys::Date(keys) => slot(keys, &moment.local.date()),
            Keys::ElapsedMs(keys) => slot(keys, &moment.elapsed_ms),
            Keys::EnergyWh(keys) => slot(keys, &moment.energy_wh),
        };
        self.slots.get(slot).map_or(&[], Vec::as_slice)
    }
}

fn slot<K: Ord>(keys: &[K], value: &K) -> usize {
    keys.partition_point(|key| key <= value)
}

fn ms(seconds: u32) -> i64 {
    i64::from(seconds) * 1000
}

/// A window over midnight is two.
fn times(rule: &Rule) -> [Option<Span<NaiveTime>>; 2] {
    match rule.time {
        None => [Some((None, None)), None],
        Some((start, end)) if start < end => [Some((Some(start), Some(end))), None],
        Some((start, end)) => [Some((None, Some(end))), Some((Some(start), None))],
    }
}

/// The components of `rules` by the values that `spans` gives them; none where it would be too big.
fn by<K: Ord + Copy>(
    rules: &[(usize, Rule)],
    spans: impl Fn(&Rule) -> [Option<Span<K>>; 2],
    into_keys: impl FnOnce(Vec<K>) -> Keys,
) -> Option<Index> {
    let all = || rules.iter().flat_map(|(index, rule)| spans(rule).map(|span| (*index, span)));
    let mut keys: Vec<K> =
        all().filter_map(|(_, span)| span).flat_map(|(from, to)| [from, to]).flatten().collect();
    keys.sort_unstable();
    keys.dedup();
    let slots_of = |(from, to): Span<K>| {
        let from = from.map_or(0, |from| slot(&keys, &from));
        from..to.map_or(keys.len() + 1, |to| slot(&keys, &to)).max(from)
    };
    let places: usize = all().filter_map(|(_, span)| span).map(|span| slots_of(span).len()).sum();
    if keys.is_empty() || places > PLACES_MAX {
        return None;
    }
    let mut slots = vec![Vec::new(); keys.len() + 1];
    for (index, span) in all().filter_map(|(index, span)| Some((index, span?))) {
        for slot in slots.get_mut(slots_of(span)).unwrap_or_default() {
            slot.push(index);
        }
    }
    Some(Index { keys: into_keys(keys), slots })
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;
    use ocpi::{Tariff, TariffElement, TariffRestrictions};
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::compile::{Bounds, Compiled, Holds};

    fn restrictions() -> impl Strategy<Value = TariffRestrictions> {
        let time = || option::of((0_u32..24).prop_map(|hour| format!("{hour:02}:00")));
        let date = || option::of((1_u32..9).prop_map(|day| format!("2026-05-{day:02}")));
        let seconds = || option::of(0_u32..100);
        let kwh = || option::of((0_i64..100).prop_map(|kwh| Decimal::new(kwh, 1)));
        let times = (time(), time(), date(), date());
        (times, seconds(), seconds(), kwh(), kwh()).prop_map(
            |((start_time, end_time, start_date, end_date), min, max, min_kwh, max_kwh)| {
                TariffRestrictions {
                    start_time,
                    end_time,
                    start_date,
                    end_date,
                    min_duration: min,
                    max_duration: max,
                    min_kwh,
                    max_kwh,
                    ..TariffRestrictions::default()
                }
            },
        )
    }

    fn tariff(restrictions: Vec<TariffRestrictions>) -> Tariff {
        let text = r#"{"id":"T","currency":"EUR","elements":[
            {"price_components":[{"type":"ENERGY","price":0.25}]}]}"#;
        let mut tariff = ocpi::read::tariff(text).unwrap();
        let components = tariff.elements[0].price_components.clone();
        let element = |restrictions| TariffElement {
            price_components: components.clone(),
            restrictions: Some(restrictions),
        };
        tariff.elements = restrictions.into_iter().map(element).collect();
        tariff
    }

    proptest! {
        #[test]
        fn asking_the_candidates_is_asking_all(
            restrictions in vec(restrictions(), MANY..60), hour in 0_u32..24, day in 1_u32..9,
            elapsed_ms in 0_i64..100_000, wh in 0_i64..10_000,
        ) {
            let compiled = Compiled::new(&tariff(restrictions)).unwrap();
            let date = NaiveDate::from_ymd_opt(2026, 5, day).unwrap();
            let local: NaiveDateTime = date.and_hms_opt(hour, 0, 0).unwrap();
            let moment = Moment {
                local,
                elapsed_ms,
                energy_wh: Decimal::from(wh),
                power_kw: Bounds::default(),
                current_a: Bounds::default(),
                reservation_expired: false,
            };
            let holds = |index: &&usize| {
                compiled.components[**index].rule.holds(&moment) == Holds::Yes
            };
            let candidates = compiled.energy.candidates(&moment).iter().filter(holds);
            let all = compiled.energy.iter().filter(holds);
            prop_assert_eq!(candidates.collect::<Vec<_>>(), all.collect::<Vec<_>>());
        }
    }

    #[test]
    fn of_a_price_for_every_minute_one_is_asked() {
        let clock = |minute: u32| Some(format!("{:02}:{:02}", minute / 60 % 24, minute % 60));
        let minute = |minute| TariffRestrictions {
            start_time: clock(minute),
            end_time: clock(minute + 1),
            ..TariffRestrictions::default()
        };
        let compiled = Compiled::new(&tariff((0..1440).map(minute).collect())).unwrap();
        assert_eq!(compiled.energy.most_candidates(), 1);
    }
}
