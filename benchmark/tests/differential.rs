//! 10,000 tariffs and sessions, priced by both engines.

use std::collections::BTreeMap;

use benchmark::{
    difference::{Class, Outcome, compare},
    generate, ours,
    reference::Reference,
};

const PAIRS: u64 = 10_000;

#[test]
fn every_disagreement_is_of_a_known_class() {
    let mut reference = Reference::start().unwrap();
    let mut counts: BTreeMap<Class, u64> = BTreeMap::new();
    let mut agree = 0;
    let mut unexplained = Vec::new();
    for seed in 0..PAIRS {
        let pair = generate::pair(seed);
        match compare(&pair, &mut reference).unwrap() {
            Outcome::Agree => agree += 1,
            Outcome::Differ(classes) => {
                for class in classes {
                    *counts.entry(class).or_default() += 1;
                }
            }
            Outcome::Unexplained(why) => {
                unexplained.push(format!("seed {seed}, {:?}: {why}", pair.quirks));
            }
        }
    }
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    // The README's table is this test's result.
    let readme = include_str!("../README.md");
    let mut rows = vec![format!("| They agree to the minor unit | {agree} |")];
    rows.extend(Class::ALL.map(|class| {
        let count = counts.get(&class).copied().unwrap_or_default();
        format!("| {class:?} | {count} |")
    }));
    let missing: Vec<_> = rows.into_iter().filter(|row| !readme.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "not in README.md:\n{}", missing.join("\n"));
}

#[test]
fn readings_and_a_cdr_of_the_same_session_have_one_price() {
    let mut compared = 0;
    for seed in 0..1_000 {
        for pair in generate::sessions(seed).take(3) {
            // Of a power that a CDR states the meter knows the average only.
            if pair.cdr.charging_periods.iter().any(|period| period.dimensions.len() > 2) {
                continue;
            }
            let pricer = ours::Pricer::new(&pair.tariff).unwrap();
            let read = pricer.rate(&pair.timeline, pair.zone).unwrap();
            let stated = pricer.price_cdr(&pair.cdr, pair.zone).unwrap();
            assert_eq!(read.totals, stated.totals, "seed {seed}");
            compared += 1;
        }
    }
    assert!(compared > 1_000, "only {compared} were compared");
}
