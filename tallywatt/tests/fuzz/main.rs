//! Whatever is in a file, `tallywatt price` prices it or says what is wrong with it: no panic, no
//! hang, exit code 2 and one clear line for every problem.
//!
//! Inputs are real cases with changes in them, the same ones every time. `cargo test` tries some
//! seconds' worth; this goes on for ten minutes, with other seeds:
//!
//! ```text
//! FUZZ_SECONDS=600 FUZZ_SEED=1000 cargo test -p tallywatt --test fuzz -- --nocapture
//! ```

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod corpus;
mod engine;
mod json;
mod judge;
mod mutation;
mod program;
mod sizes;

use std::{cell::Cell, fs, path::Path};

use corpus::{Kind, Pair};
use mutation::{Mutation, mutate, mutate_lines};
use proptest::{prelude::*, sample::select};
use tallywatt::price::{self, PriceArgs};

/// What is tried: a case, and what went wrong with its files.
#[derive(Debug, Clone)]
struct Attempt {
    pair: Pair,
    in_tariff: Vec<Mutation>,
    in_happened: Vec<Mutation>,
    timezone: Option<String>,
}

/// Zones whose clocks do different things.
const ZONES: &[&str] =
    &["Europe/Amsterdam", "America/St_Johns", "Australia/Lord_Howe", "America/Havana"];

fn attempts() -> impl Strategy<Value = Attempt> {
    let untouched = || Just(Vec::new());
    let changes = prop_oneof![
        4 => (Mutation::some(), untouched()),
        4 => (untouched(), Mutation::some()),
        2 => (Mutation::some(), Mutation::some()),
        1 => (untouched(), untouched()),
    ];
    (select(corpus::pairs()), changes, proptest::option::weighted(0.8, select(ZONES))).prop_map(
        |(pair, (in_tariff, in_happened), zone)| {
            let timezone = zone.map(str::to_owned);
            Attempt { pair, in_tariff, in_happened, timezone }
        },
    )
}

impl Attempt {
    /// Writes its files into `folder`: the arguments that price them, and how much there is to read.
    fn write(&self, folder: &Path) -> (PriceArgs, usize) {
        let tariff = mutate(&self.pair.tariff, &self.in_tariff);
        let happened = match self.pair.kind {
            Kind::Recording => mutate_lines(&self.pair.happened, &self.in_happened),
            Kind::Cdr | Kind::Timeline => mutate(&self.pair.happened, &self.in_happened),
        };
        let bytes = tariff.len() + happened.len();
        let file = match self.pair.kind {
            Kind::Cdr => "cdr.json",
            Kind::Timeline => "timeline.json",
            Kind::Recording => "frames.jsonl",
        };
        fs::write(folder.join("tariff.json"), tariff).unwrap();
        fs::write(folder.join(file), happened).unwrap();
        let mut args = PriceArgs { tariff: folder.join("tariff.json"), ..PriceArgs::default() };
        let happened = Some(folder.join(file));
        match self.pair.kind {
            Kind::Cdr => args.cdr = happened,
            Kind::Timeline => args.timeline = happened,
            Kind::Recording => args.session = happened,
        }
        args.timezone.clone_from(&self.timezone);
        (args, bytes)
    }
}

/// Prices it in this process: everything that can be said about the answer.
#[test]
fn every_input_is_priced_or_refused_with_a_line_for_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let tally = Tally::default();
    engine::fuzz("in the library", &attempts(), |attempt| {
        let (args, bytes) = attempt.write(folder.path());
        let answer = engine::timed(&attempt.pair.name, bytes, || price::answer(&args));
        let answer = answer.map_err(TestCaseError::fail)?;
        tally.count(&answer);
        match answer {
            Ok(answer) => judge::answer(&answer),
            Err(problems) => judge::problems(&problems, folder.path()),
        }
    });
    tally.proves_something();
}

/// The same of the command itself: exit code, standard output and standard error.
#[test]
fn the_command_ends_with_0_or_2_and_never_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    engine::fuzz("the command", &attempts(), |attempt| {
        let (args, bytes) = attempt.write(folder.path());
        let ended = engine::timed(&attempt.pair.name, bytes, || program::run(&args, folder.path()));
        judge::ended(&ended.map_err(TestCaseError::fail)?, &price::answer(&args), folder.path())
    });
}

/// How the attempts ended.
#[derive(Default)]
struct Tally {
    priced: Cell<u32>,
    refused: Cell<u32>,
}

impl Tally {
    fn count<T, E>(&self, result: &Result<T, E>) {
        let counter = if result.is_ok() { &self.priced } else { &self.refused };
        counter.set(counter.get() + 1);
    }

    /// Changes that never spoil anything, or always do, try nothing.
    fn proves_something(&self) {
        let (priced, refused) = (self.priced.get(), self.refused.get());
        println!("{priced} priced, {refused} refused");
        assert!(priced.min(refused) * 20 > priced + refused, "{priced} priced, {refused} refused");
    }
}
