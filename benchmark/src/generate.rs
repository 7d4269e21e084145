//! Random tariffs and sessions, the same for the same seed.

mod course;
mod tariff;

use std::{collections::BTreeSet, iter};

use chrono_tz::Tz;
use ocpi::{Cdr, Tariff};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use session::Timeline;

pub use course::{Course, Piece};
pub use tariff::{empty as empty_tariff, empty_cdr};

/// A tariff, and a session to price with it.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The site's time zone.
    pub zone: Tz,
    /// The tariff.
    pub tariff: Tariff,
    /// The session as a CDR.
    pub cdr: Cdr,
    /// The same session as its meter tells it. It says the same as the CDR only where the pair has
    /// no quirks.
    pub timeline: Timeline,
    /// What is unusual about it.
    pub quirks: BTreeSet<Quirk>,
}

/// Something in a tariff or a CDR that leaves room for more than one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// A reservation before the session, and elements that price it.
    Reservation,
    /// Periods of any number of seconds, whose hours do not fit four decimals.
    RoundedHours,
    /// A price changes within a period.
    UnsplitPeriods,
    /// A period's power and current go from below a limit to above it.
    PowerRange,
    /// A period states only one bound of power and current, or none.
    PowerUnstated,
    /// A period states a volume of 0.
    ZeroVolume,
    /// A period states charging and parking time.
    MixedPeriod,
    /// Some periods name no tariff.
    PeriodWithoutTariff,
    /// An element applies from a time of day to the same time of day.
    WholeDay,
    /// The tariff is not valid at the start.
    NotValid,
    /// A period states another time than it lasts.
    OtherTime,
}

impl Quirk {
    const ALL: [Self; 11] = [
        Self::Reservation,
        Self::RoundedHours,
        Self::UnsplitPeriods,
        Self::PowerRange,
        Self::PowerUnstated,
        Self::ZeroVolume,
        Self::MixedPeriod,
        Self::PeriodWithoutTariff,
        Self::WholeDay,
        Self::NotValid,
        Self::OtherTime,
    ];
}

/// The pair of `seed`. Half of all pairs have one quirk.
#[must_use]
pub fn pair(seed: u64) -> Pair {
    let mut random = StdRng::seed_from_u64(seed);
    let with_quirk = random.random_bool(0.5);
    let quirk = Quirk::ALL.choose(&mut random).copied();
    let quirks = quirk.filter(|_| with_quirk).into_iter().collect();
    let zone = zone(&mut random);
    let course = Course::random(&mut random, &quirks);
    let tariff = tariff::random(&mut random, &course, zone, &quirks);
    of(&mut random, &course, tariff, zone, quirks)
}

/// Sessions without quirks that one tariff is made for, without end.
pub fn sessions(seed: u64) -> impl Iterator<Item = Pair> {
    let mut random = StdRng::seed_from_u64(seed);
    let none = BTreeSet::new();
    let zone = zone(&mut random);
    let course = Course::random(&mut random, &none);
    let mut tariff = tariff::random(&mut random, &course, zone, &none);
    (tariff.start_date_time, tariff.end_date_time) = (None, None);
    iter::repeat_with(move || {
        let course = Course::random(&mut random, &none);
        of(&mut random, &course, tariff.clone(), zone, none.clone())
    })
}

/// `course` priced by `tariff`, without quirks.
#[must_use]
pub fn plain(course: &Course, tariff: Tariff, zone: Tz) -> Pair {
    of(&mut StdRng::seed_from_u64(0), course, tariff, zone, BTreeSet::new())
}

fn zone(random: &mut StdRng) -> Tz {
    let zones = [Tz::Europe__Amsterdam, Tz::America__Los_Angeles, Tz::Asia__Kathmandu];
    zones.choose(random).copied().unwrap_or(Tz::UTC)
}

fn of(
    random: &mut StdRng,
    course: &Course,
    tariff: Tariff,
    zone: Tz,
    quirks: BTreeSet<Quirk>,
) -> Pair {
    let cdr = course.cdr(random, &tariff, zone, &quirks);
    let timeline = course.timeline(&cdr);
    Pair { zone, tariff, cdr, timeline, quirks }
}
