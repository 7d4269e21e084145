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
use proptest::{option, prelude::*, sample::select};
use tallywatt::{
    lint::{self, LintArgs},
    price::{self, PriceArgs},
    quote::{self, QuoteArgs},
};

/// What is tried: a case, and what went wrong with its files.
#[derive(Debug, Clone)]
struct Attempt {
    pair: Pair,
    in_tariff: Vec<Mutation>,
    in_happened: Vec<Mutation>,
    plan: Option<(String, Vec<Mutation>)>,
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
    let plan = prop_oneof![
        1 => (select(corpus::plans()), Mutation::some()),
        1 => (select(corpus::plans()), untouched()),
    ];
    let zone = option::weighted(0.8, select(ZONES));
    (select(corpus::pairs()), changes, option::weighted(0.2, plan), zone).prop_map(
        |(pair, (in_tariff, in_happened), plan, zone)| {
            let timezone = zone.map(str::to_owned);
            Attempt { pair, in_tariff, in_happened, plan, timezone }
        },
    )
}

impl Attempt {
    /// Writes its files into `folder`: the arguments that price them, and their size in bytes.
    fn write(&self, folder: &Path) -> (PriceArgs, usize) {
        let tariff = mutate(&self.pair.tariff, &self.in_tariff);
        let happened = match self.pair.kind {
            Kind::Recording => mutate_lines(&self.pair.happened, &self.in_happened),
            Kind::Cdr | Kind::Timeline => mutate(&self.pair.happened, &self.in_happened),
        };
        let mut bytes = tariff.len() + happened.len();
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
        if let Some((plan, mutations)) = &self.plan {
            let plan = mutate(plan, mutations);
            bytes += plan.len();
            fs::write(folder.join("plan.json"), plan).unwrap();
            args.rules.plan = Some(folder.join("plan.json"));
        }
        args.rules.timezone.clone_from(&self.timezone);
        (args, bytes)
    }
}

/// Prices it in this process: everything that can be said about the answer.
#[test]
fn every_input_is_priced_or_refused_with_a_line_for_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let tally = Tally::default();
    engine::fuzz("in the library", 8, &attempts(), |attempt| {
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

/// What is told of a tariff before it is published or while it is on offer, whatever it says.
#[test]
fn every_tariff_is_looked_at_and_quoted_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tally = Tally::default();
    engine::fuzz("lint and quote", 8, &attempts(), |attempt| {
        let (args, bytes) = attempt.write(folder.path());
        let lint_args = LintArgs { tariff: args.tariff.clone(), ..LintArgs::default() };
        let linted = engine::timed(&attempt.pair.name, bytes, || lint::lint(&lint_args));
        match linted.map_err(TestCaseError::fail)? {
            Ok(linted) => judge::text(&linted.to_string())?,
            Err(problems) => judge::problems(&problems, folder.path())?,
        }
        let quote_args = QuoteArgs {
            tariff: args.tariff,
            hours: 48,
            kwh: Some(30.into()),
            minutes: Some(90),
            rules: args.rules,
            ..QuoteArgs::default()
        };
        let at = "2026-03-28T22:00:00Z".parse().unwrap();
        let quoted = engine::timed(&attempt.pair.name, bytes, || quote::quote(&quote_args, at));
        let quoted = quoted.map_err(TestCaseError::fail)?;
        tally.count(&quoted);
        match quoted {
            Ok(quoted) => judge::text(&quoted.to_string()),
            Err(problems) => judge::problems(&problems, folder.path()),
        }
    });
    tally.proves_something();
}

/// The same of the command itself: exit code, standard output and standard error.
#[test]
fn the_command_ends_with_0_or_2_and_never_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    engine::fuzz("the command", 2, &attempts(), |attempt| {
        let (args, bytes) = attempt.write(folder.path());
        let ended = engine::timed(&attempt.pair.name, bytes, || program::run(&args, folder.path()));
        let json = price::answer(&args).and_then(|answer| answer.to_json());
        judge::ended(&ended.map_err(TestCaseError::fail)?, &json, folder.path())
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
