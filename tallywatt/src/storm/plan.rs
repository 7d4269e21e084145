//! Who visits which charger when: drawn from a seed, the same for the same seed.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Days, TimeDelta, Utc};
use quantities::{ChargePointId, DriverId, IdTag, SiteId};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use super::kind::{HOLD_SITE, Kind, READER_SITE, RETAIL_SITE, Span, TERMINAL_SITE};

/// The first day of visits. On each day a charger has one, by day everywhere: before 09:00 UTC and
/// seven hours on, it is between 7 and 21 in Amsterdam.
const FIRST_DAY: &str = "2026-05-04T07:00:00Z";
/// Full power, in watts: less than any charger could deliver.
const POWER_W: u32 = 15_000;
/// The longest pause before each message, in milliseconds: some sessions end while their hold is
/// still being placed, others long after.
const PAUSE_MS_MAX: u64 = 1_000;

/// One visit to a charger.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    /// From 1, over all.
    pub(super) number: usize,
    pub(super) kind: Kind,
    pub(super) driver: DriverId,
    pub(super) id_tag: IdTag,
    pub(super) from: DateTime<Utc>,
    /// When no more energy flows.
    pub(super) full: DateTime<Utc>,
    /// When the transaction ends.
    pub(super) until: DateTime<Utc>,
    /// When the connector is free.
    pub(super) gone: DateTime<Utc>,
    pub(super) start_wh: u32,
    pub(super) energy_wh: u32,
    /// The pause before each message, in real time.
    pub(super) pause: Duration,
}

/// A charger and who visits it, in order.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) id: ChargePointId,
    pub(super) site: SiteId,
    /// The tag that sessions start with whose card is presented at its reader.
    pub(super) reader_tag: IdTag,
    pub(super) visits: Vec<Visit>,
}

/// Draws `sessions` visits to `chargers` chargers.
///
/// # Errors
///
/// When there are so many that ids run out.
pub(super) fn draw(sessions: usize, chargers: usize, seed: u64) -> anyhow::Result<Vec<Station>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut kinds = mix(sessions);
    kinds.shuffle(&mut rng);
    let mut stations = Vec::new();
    for (site, count) in share(&kinds, chargers) {
        for turn in 0..count {
            // The chargers of a site take turns.
            let at_site = kinds.iter().enumerate().filter(|(_, kind)| kind.site() == site);
            let mine = at_site.enumerate().filter(|(nth, _)| nth % count == turn);
            let mine = mine.map(|(_, (at, kind))| (at + 1, *kind)).collect::<Vec<_>>();
            let number = stations.len() + 1;
            stations.push(station(&mut rng, number, site, &mine, &kinds)?);
        }
    }
    Ok(stations)
}

fn station(
    rng: &mut StdRng,
    number: usize,
    site: &str,
    mine: &[(usize, Kind)],
    kinds: &[Kind],
) -> anyhow::Result<Station> {
    let id: ChargePointId =
        format!("STORM-{}-{number:03}", site.get(..1).unwrap_or_default()).parse()?;
    let reader_tag: IdTag = format!("READER{number:03}").parse()?;
    let mut register_wh = 1_000;
    let mut visits = Vec::new();
    for (day, (number, kind)) in mine.iter().enumerate() {
        let mut visit = visit(rng, *number, *kind, day, register_wh, kinds)?;
        if kind.at_reader() {
            visit.id_tag.clone_from(&reader_tag);
        }
        register_wh += visit.energy_wh;
        visits.push(visit);
    }
    Ok(Station { id, site: site.parse()?, reader_tag, visits })
}

/// How many of each kind: by weight, at least one of each.
fn mix(sessions: usize) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Retail) {
        kinds.extend(std::iter::repeat_n(kind, (kind.weight() * sessions / 100).max(1)));
    }
    kinds.truncate(sessions);
    kinds.resize(sessions, Kind::Retail);
    kinds
}

/// The sites, and how many chargers each has: as many as its visits take time, and the first what
/// is left.
fn share(kinds: &[Kind], chargers: usize) -> Vec<(&'static str, usize)> {
    let all: usize = kinds.iter().map(|kind| kind.patience()).sum();
    let others = [Kind::PerMinute.site(), HOLD_SITE, READER_SITE, TERMINAL_SITE].map(|site| {
        let visits = kinds.iter().filter(|kind| kind.site() == site);
        let theirs: usize = visits.map(|kind| kind.patience()).sum();
        (site, (chargers * theirs / all.max(1)).max(1))
    });
    let taken: usize = others.iter().map(|(_, count)| count).sum();
    let mut sites = vec![(RETAIL_SITE, chargers.saturating_sub(taken).max(1))];
    sites.extend(others);
    sites
}

fn visit(
    rng: &mut StdRng,
    number: usize,
    kind: Kind,
    day: usize,
    start_wh: u32,
    kinds: &[Kind],
) -> anyhow::Result<Visit> {
    let nth = kinds.iter().take(number - 1).filter(|other| **other == kind).count();
    let driver = nth / kind.visits_of_a_driver();
    let kind_number = Kind::ALL.iter().position(|one| *one == kind).unwrap_or_default();
    let first: DateTime<Utc> = FIRST_DAY.parse()?;
    let day = first.checked_add_days(Days::new(u64::try_from(day)?)).context("too many days")?;
    let from = day + TimeDelta::minutes(rng.random_range(0..120));
    let energy_wh = between(rng, kind.energy_wh());
    let (before, after) = kind.idle_minutes();
    let full = from + TimeDelta::minutes(i64::from(energy_wh * 60 / POWER_W) + 5);
    let until = full + TimeDelta::minutes(between(rng, before).into());
    let gone = until + TimeDelta::minutes(between(rng, after).into());
    Ok(Visit {
        number,
        kind,
        driver: format!("storm-{kind_number}-{driver}").parse()?,
        id_tag: format!("STORM{kind_number:02}{driver:06}").parse()?,
        from,
        full,
        until,
        gone,
        start_wh,
        energy_wh,
        pause: Duration::from_millis(rng.random_range(0..PAUSE_MS_MAX)),
    })
}

fn between(rng: &mut StdRng, Span(least, most): Span) -> u32 {
    rng.random_range(least..=most)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_visit_is_at_one_charger_and_every_kind_comes_about() {
        for sessions in [30, 60, 1_000] {
            let stations = draw(sessions, 12, 7).unwrap();
            let visits: Vec<_> = stations.iter().flat_map(|station| &station.visits).collect();
            let numbers: BTreeSet<_> = visits.iter().map(|visit| visit.number).collect();
            assert_eq!((visits.len(), numbers.len()), (sessions, sessions));
            let kinds: BTreeSet<_> = visits.iter().map(|visit| visit.kind).collect();
            assert_eq!(kinds.len(), Kind::ALL.len());
            assert_eq!(stations.len(), 12);
        }
    }

    #[test]
    fn a_seed_says_it_all_and_another_says_otherwise() {
        let told = |seed| format!("{:?}", draw(60, 6, seed).unwrap());
        assert_eq!(told(1), told(1));
        assert_ne!(told(1), told(2));
    }

    #[test]
    fn who_will_owe_money_comes_once() {
        let stations = draw(1_000, 24, 3).unwrap();
        let visits: Vec<_> = stations.iter().flat_map(|station| &station.visits).collect();
        let once =
            |visit: &&&Visit| visit.kind.visits_of_a_driver() == 1 && !visit.kind.at_reader();
        let owing: Vec<_> = visits.iter().filter(once).collect();
        let tags: BTreeSet<_> = owing.iter().map(|visit| visit.id_tag.as_str()).collect();
        assert_eq!((tags.len(), owing.len() > 100), (owing.len(), true));
    }
}
