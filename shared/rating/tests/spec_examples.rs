//! The worked examples of OCPI's tariff and CDR chapters, as a table: what the text states, and ours.
//!
//! `events/rating/spec-examples.json` lists every example with an amount, and the case that prices
//! it. Where the text contradicts itself, the row says what is right and why.
//! `cargo test -p rating --test spec_examples -- --nocapture` prints the table.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use chrono_tz::Tz;
use network::Tax;
use ocpi::{Version, read};
use quantities::Currency;
use rating::{Report, Rules};
use rust_decimal::Decimal;
use serde::Deserialize;

/// One example in one or more versions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    /// Chapter and heading.
    section: String,
    versions: Vec<Version>,
    /// An earlier edition that states something else.
    edition: Option<String>,
    /// The directory, without the prefix that tells the version.
    case: String,
    /// The amounts that the text states.
    #[serde(default)]
    stated: Amounts,
    /// What they have to be, where the text is wrong.
    ours: Option<Amounts>,
    /// Why.
    why: Option<String>,
    /// The amount that follows from stated quantities, where no amount is stated.
    computed: Option<Amounts>,
    /// How it follows.
    how: Option<String>,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq)]
#[serde(deny_unknown_fields)]
struct Amounts {
    #[serde(default, with = "ocpi::number::option")]
    excl_vat: Option<Decimal>,
    #[serde(default, with = "ocpi::number::option")]
    incl_vat: Option<Decimal>,
}

/// What of `case.json` a price depends on; the golden test reads all of it.
#[derive(Deserialize)]
struct Case {
    time_zone: Option<Tz>,
    taxes: Option<Vec<Tax>>,
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/rating")
}

fn prefix(version: Version) -> &'static str {
    match version {
        Version::V2_1_1 => "spec211-",
        Version::V2_2_1 => "spec-",
        Version::V2_3_0 => "spec23-",
    }
}

fn text(dir: &Path, file: &str) -> String {
    let path = dir.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The total of a case, read as `version` and as nothing else.
fn price(name: &str, version: Version) -> (Currency, Amounts) {
    let dir = cases().join(name);
    let case: Case = serde_json::from_str(&text(&dir, "case.json")).unwrap();
    let tariff = read::tariff_as(&text(&dir, "tariff.json"), Some(version)).unwrap();
    let cdr = read::cdr_as(&text(&dir, "cdr.json"), Some(version)).unwrap();
    let detected = read::cdr_as(&text(&dir, "cdr.json"), None).unwrap();
    assert_eq!(detected.version, version, "{name}: the CDR does not tell its version");
    let zone = case.time_zone.unwrap_or(Tz::UTC);
    let rules = Rules { taxes: case.taxes.as_deref(), ..Rules::unknown(zone) };
    let priced = rating::cdr::price(&tariff.value, &cdr.value, &rules).unwrap();
    let total = Report::from(&priced).total_cost;
    let currency = tariff.value.currency.parse().unwrap();
    (currency, Amounts { excl_vat: Some(total.excl_vat), incl_vat: total.incl_vat })
}

fn shown(amounts: Amounts) -> String {
    let one = |amount: Option<Decimal>| {
        let cents = |mut amount: Decimal| {
            amount.rescale(amount.scale().max(2));
            amount.to_string()
        };
        amount.map_or("-".to_owned(), cents)
    };
    format!("{} / {}", one(amounts.excl_vat), one(amounts.incl_vat))
}

/// What is expected and ours agree, as far as something is expected.
fn agrees(expected: Amounts, ours: Amounts) -> bool {
    let same = |expected: Option<Decimal>, ours| expected.is_none() || expected == ours;
    expected != Amounts::default()
        && same(expected.excl_vat, ours.excl_vat)
        && same(expected.incl_vat, ours.incl_vat)
}

#[test]
fn every_example_of_the_specification_prices_as_it_states() {
    let list = text(&cases(), "spec-examples.json");
    let examples: Vec<Example> = serde_json::from_str(&list).unwrap();
    let mut tested = BTreeSet::new();
    let mut wrong = Vec::new();
    println!("{:42} {:5} {:18} {:18} section", "case", "OCPI", "stated", "ours");
    for example in &examples {
        let because = example.why.as_ref().or(example.how.as_ref());
        assert_eq!(
            example.ours.is_some() || example.computed.is_some(),
            because.is_some(),
            "{}: an amount of our own needs its reason, and no other does",
            example.section
        );
        let expected = example.ours.or(example.computed).unwrap_or(example.stated);
        let edition = example.edition.as_ref();
        let edition = edition.map_or(String::new(), |edition| format!(" (edition: {edition})"));
        for version in example.versions.iter().copied() {
            let name = format!("{}{}", prefix(version), example.case);
            let (currency, ours) = price(&name, version);
            let row = format!(
                "{name:42} {version:5} {:18} {:18} {}{edition}, {currency}",
                shown(example.stated),
                shown(ours),
                example.section
            );
            println!("{row}");
            if let Some(because) = because {
                println!("{:42} {because}", "");
            }
            if !agrees(expected, ours) {
                wrong.push(row);
            }
            tested.insert(name);
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
    let dirs = fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().path());
    let dirs = dirs.filter(|path| path.is_dir());
    let names = dirs.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let spec =
        |name: &String| Version::ALL.iter().any(|version| name.starts_with(prefix(*version)));
    let there: BTreeSet<_> = names.filter(spec).collect();
    assert_eq!(there, tested, "every case of the specification is in the table, and has files");
}
