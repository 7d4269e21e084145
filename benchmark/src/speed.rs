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
    pub tariffs: u64,
    /// Sessions of each of them.
    pub sessions: usize,
}

/// Rounds in a turn; the first turn is thrown away.
const ROUNDS: usize = 5;

/// Measures everything, and prints it as it comes.
///
/// # Errors
///
/// The two disagree on a price, or the reference has ended.
pub fn run(effort: &Effort) -> Result<()> {
    let mut reference = Reference::start()?;
    println!("| Session | From | Tallywatt, sessions/s | ocpi-tariffs, sessions/s | Ratio |");
    println!("|---|---|---:|---:|---:|");
    let hour = cases::an_hour(&mut reference)?;
    case("1 h, 12 samples", &hour, effort, &mut reference)?;
    let night = cases::a_night(&mut reference)?;
    let fewer = Effort { repeats: effort.repeats.div_ceil(20), ..*effort };
    case("overnight, 600 samples, four times of use", &night, &fewer, &mut reference)?;
    mixed(effort, &mut reference)?;
    println!();
    linear(effort)
}

/// One session in all the ways it can be priced.
fn case(name: &str, pair: &Pair, effort: &Effort, reference: &mut Reference) -> Result<()> {
    let pricer = Pricer::new(&pair.tariff)?;
    let same = vec![pair; effort.repeats];
    let [parsed, json] = theirs(&same, effort.turns, reference)?;
    let short = cases::shortest(pair, reference)?;
    let [short_parsed, _] = theirs(&vec![&short; effort.repeats], effort.turns, reference)?;
    let ours = median(rounds(effort.turns, || price_cdrs(&pricer, &same)));
    row(name, "the same CDR, parsed", effort.repeats, ours?, parsed);
    let texts = same.iter().map(|pair| Session::new(&pair.tariff, &pair.cdr, pair.zone));
    let texts = texts.collect::<Result<Vec<_>>>()?;
    let ours = median(rounds(effort.turns, || price_texts(&texts)));
    row("", "the same CDR and tariff, JSON", effort.repeats, ours?, json);
    let ours = median(rounds(effort.turns, || rate(&pricer, &same)));
    let periods = short.cdr.charging_periods.len();
    let from = format!("the samples; a CDR of {periods} period(s), parsed");
    row("", &from, effort.repeats, ours?, short_parsed);
    Ok(())
}

/// Random sessions, a thousand for each tariff.
fn mixed(effort: &Effort, reference: &mut Reference) -> Result<()> {
    let (mut ours, mut parsed, mut count) = ([0; 2], [0; 2], 0);
    for seed in 0..effort.tariffs {
        let pairs = cases::mixed(seed, effort.sessions, reference)?;
        let pairs: Vec<&Pair> = pairs.iter().collect();
        let tariff = &pairs.first().context("no session")?.tariff;
        let from_cdrs = median(rounds(2, || price_cdrs(&Pricer::new(tariff)?, &pairs)))?;
        let texts = pairs.iter().map(|pair| Session::new(&pair.tariff, &pair.cdr, pair.zone));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let from_texts = median(rounds(2, || price_texts(&texts)))?;
        for (sum, took) in ours.iter_mut().zip([from_cdrs, from_texts]) {
            *sum += took;
        }
        for (sum, took) in parsed.iter_mut().zip(theirs(&pairs, 2, reference)?) {
            *sum += took;
        }
        count += pairs.len();
    }
    let name = format!("{count} mixed, {} tariffs", effort.tariffs);
    row(&name, "the same CDRs, parsed", count, ours[0], parsed[0]);
    row("", "the same CDRs and tariffs, JSON", count, ours[1], parsed[1]);
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
        let took = median(rounds(effort.turns, || rate(&pricer, &same)))?;
        let session = Decimal::from(took) / Decimal::from(repeats);
        let sample = session / Decimal::from(count);
        println!("| {count} | {} | {} |", session.round(), sample.round_dp(1));
    }
    Ok(())
}

fn row(name: &str, from: &str, sessions: usize, ours: u64, theirs: u64) {
    let per_second = |ns: u64| {
        let rate = Decimal::from(sessions) * Decimal::from(1_000_000_000) / Decimal::from(ns);
        // Three digits: the others are noise.
        rate.round_sf(3).unwrap_or(rate).normalize()
    };
    let ratio = (Decimal::from(theirs) / Decimal::from(ours)).round_dp(1);
    println!("| {name} | {from} | {} | {} | {ratio} |", per_second(ours), per_second(theirs));
}

/// The medians of the reference from its parsed trees and from JSON, nanoseconds a round.
fn theirs(pairs: &[&Pair], turns: usize, reference: &mut Reference) -> Result<[u64; 2]> {
    let sessions = pairs.iter().map(|pair| Session::new(&pair.tariff, &pair.cdr, pair.zone));
    reference.load(&sessions.collect::<Result<Vec<_>>>()?)?;
    let mut of = |from| {
        reference.time(from, ROUNDS)?;
        let turns = (0..turns).map(|_| reference.time(from, ROUNDS));
        let took = turns.collect::<Result<Vec<_>>>()?;
        median(Ok(took.concat()))
    };
    Ok([of(From::Parsed)?, of(From::Json)?])
}

/// Times `round`, after a turn to warm up.
fn rounds(turns: usize, mut round: impl FnMut() -> Result<()>) -> Result<Vec<u64>> {
    let mut took = Vec::with_capacity(turns * ROUNDS);
    for index in 0..(turns + 1) * ROUNDS {
        let began = ThreadTime::now();
        round()?;
        let ns = u64::try_from(began.elapsed().as_nanos())?;
        if index >= ROUNDS {
            took.push(ns);
        }
    }
    Ok(took)
}

fn median(took: Result<Vec<u64>>) -> Result<u64> {
    let mut took = took?;
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
