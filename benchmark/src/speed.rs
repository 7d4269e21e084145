//! How fast, beside the reference.

use std::hint::black_box;

use anyhow::{Context, Result, anyhow};
use chrono_tz::Tz;
use cpu_time::ThreadTime;
use ocpi::{Cdr, Tariff};
use rust_decimal::Decimal;

use crate::{
    cases,
    generate::Pair,
    ours::Pricer,
    reference::{From, Reference, Session},
};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How often the two take turns.
    pub turns: usize,
    /// Pricings of one session in a round.
    pub repeats: usize,
    /// Tariffs of the mixed case.
    pub tariffs: usize,
    /// Sessions of each of them.
    pub sessions: usize,
}

/// Rounds in a turn.
const ROUNDS: usize = 5;

/// How the two take turns.
struct Race<'a> {
    reference: &'a mut Reference,
    turns: usize,
    /// Rounds in a turn.
    rounds: usize,
}

/// Nanoseconds of one round, the median of many.
#[derive(Clone, Copy, Default)]
struct Times {
    ours: u64,
    theirs: u64,
}

/// Measures everything, and prints it as it comes.
///
/// # Errors
///
/// The two disagree on a price, or the reference has ended.
pub fn run(effort: &Effort) -> Result<()> {
    let reference = &mut Reference::start()?;
    println!("| Session | From | Tallywatt, sessions/s | ocpi-tariffs, sessions/s | Ratio |");
    println!("|---|---|---:|---:|---:|");
    let hour = cases::an_hour(reference)?;
    case("1 h, 12 samples", &hour, effort, reference)?;
    let night = cases::a_night(reference)?;
    let fewer = Effort { repeats: effort.repeats.div_ceil(20), ..*effort };
    case("overnight, 600 samples, four times of use", &night, &fewer, reference)?;
    mixed(effort, reference)?;
    println!();
    linear(effort)
}

/// One session in all the ways it can be priced.
fn case(name: &str, pair: &Pair, effort: &Effort, reference: &mut Reference) -> Result<()> {
    let pricer = Pricer::new(&pair.tariff)?;
    let short = cases::shortest(pair, reference)?;
    let same = vec![pair; effort.repeats];
    let texts = texts(&same)?;
    let mut race = Race { reference, turns: effort.turns, rounds: ROUNDS };
    race.reference.load(&texts)?;
    let times = race.run(From::Parsed, || price_cdrs(&pricer, &same))?;
    row(name, "the same CDR, parsed", effort.repeats, times);
    let times = race.run(From::Json, || price_texts(&texts))?;
    row("", "the same CDR and tariff, JSON", effort.repeats, times);
    race.reference.load(&self::texts(&vec![&short; effort.repeats])?)?;
    let times = race.run(From::Parsed, || rate(&pricer, &same))?;
    let periods = short.cdr.charging_periods.len();
    let plural = if periods == 1 { "" } else { "s" };
    let from = format!("the samples; a CDR of {periods} period{plural}, parsed");
    row("", &from, effort.repeats, times);
    Ok(())
}

/// Random sessions, many for each of many tariffs.
fn mixed(effort: &Effort, reference: &mut Reference) -> Result<()> {
    let (mut parsed, mut json) = (Times::default(), Times::default());
    let mut all = cases::Mixed::new(effort.sessions);
    for _ in 0..effort.tariffs {
        let pairs = all.next(reference)?;
        let pairs: Vec<&Pair> = pairs.iter().collect();
        let tariff = &pairs.first().context("no session")?.tariff;
        let texts = texts(&pairs)?;
        // A round is many sessions as it is.
        let mut race = Race { reference, turns: 3, rounds: 1 };
        race.reference.load(&texts)?;
        parsed.add(race.run(From::Parsed, || price_cdrs(&Pricer::new(tariff)?, &pairs))?);
        json.add(race.run(From::Json, || price_texts(&texts))?);
    }
    let count = effort.tariffs * effort.sessions;
    let name = format!("{count} mixed, {} tariffs of {}", effort.tariffs, all.tried());
    row(&name, "the same CDRs, parsed", count, parsed);
    row("", "the same CDRs and tariffs, JSON", count, json);
    Ok(())
}

/// What a sample costs, however many there are.
fn linear(effort: &Effort) -> Result<()> {
    println!("| Samples of a night | ns a session | ns a sample |");
    println!("|---:|---:|---:|");
    for count in [10, 100, 1_000, 10_000] {
        let pair = cases::a_night_of(count)?;
        let repeats = effort.repeats.div_ceil(usize::try_from(count)? / 10);
        let same = vec![&pair; repeats];
        let pricer = Pricer::new(&pair.tariff)?;
        rounds(ROUNDS, || rate(&pricer, &same))?;
        let took = median(rounds(effort.turns * ROUNDS, || rate(&pricer, &same))?)?;
        let session = Decimal::from(took) / Decimal::from(repeats);
        let sample = session / Decimal::from(count);
        println!("| {count} | {} | {} |", session.round(), sample.round_dp(1));
    }
    Ok(())
}

impl Race<'_> {
    /// Times rounds of `ours`, and of the reference with what it was last given, in turns.
    fn run(&mut self, from: From, mut ours: impl FnMut() -> Result<()>) -> Result<Times> {
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        for turn in 0..=self.turns {
            let took = (rounds(self.rounds, &mut ours)?, self.reference.time(from, self.rounds)?);
            // The first turn warms up.
            if turn > 0 {
                own.extend(took.0);
                theirs.extend(took.1);
            }
        }
        Ok(Times { ours: median(own)?, theirs: median(theirs)? })
    }
}

impl Times {
    fn add(&mut self, other: Self) {
        self.ours += other.ours;
        self.theirs += other.theirs;
    }
}

fn row(name: &str, from: &str, sessions: usize, Times { ours, theirs }: Times) {
    let per_second = |ns: u64| {
        let rate = Decimal::from(sessions) * Decimal::from(1_000_000_000) / Decimal::from(ns);
        // Three digits: the others are noise.
        rate.round_sf(3).unwrap_or(rate).normalize()
    };
    let ratio = (Decimal::from(theirs) / Decimal::from(ours)).round_dp(1);
    println!("| {name} | {from} | {} | {} | {ratio} |", per_second(ours), per_second(theirs));
}

/// `pairs` as the reference takes them.
fn texts(pairs: &[&Pair]) -> Result<Vec<Session>> {
    pairs.iter().map(|pair| Session::new(&pair.tariff, &pair.cdr, pair.zone)).collect()
}

/// Nanoseconds of each of `count` rounds.
fn rounds(count: usize, mut round: impl FnMut() -> Result<()>) -> Result<Vec<u64>> {
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let began = ThreadTime::now();
        round()?;
        took.push(u64::try_from(began.elapsed().as_nanos())?);
    }
    Ok(took)
}

fn median(mut took: Vec<u64>) -> Result<u64> {
    took.sort_unstable();
    took.get(took.len() / 2).copied().context("nothing was measured")
}

fn price_cdrs(pricer: &Pricer, pairs: &[&Pair]) -> Result<()> {
    for pair in pairs {
        black_box(pricer.price_cdr(black_box(&pair.cdr), pair.zone)?);
    }
    Ok(())
}

fn rate(pricer: &Pricer, pairs: &[&Pair]) -> Result<()> {
    for pair in pairs {
        black_box(pricer.rate(black_box(&pair.timeline), pair.zone)?);
    }
    Ok(())
}

fn price_texts(sessions: &[Session]) -> Result<()> {
    for session in sessions {
        let read = |problems: Vec<ocpi::read::Problem>| anyhow!("{problems:?}");
        let zone: Tz = session.zone.parse()?;
        let tariff: Tariff = ocpi::read::tariff(black_box(&session.tariff)).map_err(read)?;
        let cdr: Cdr = ocpi::read::cdr(black_box(&session.cdr)).map_err(read)?;
        black_box(Pricer::new(&tariff)?.price_cdr(&cdr, zone)?);
    }
    Ok(())
}
