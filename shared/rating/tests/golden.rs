//! Every directory in `events/rating` is one case:
//! - `tariff.json`, an OCPI tariff;
//! - `cdr.json`, an OCPI CDR, or `timeline.json`, a session as a charger reported it;
//! - `plan.json`, if a plan applies;
//! - `case.json`: what it is about, where its numbers come from, time zone, tax, terms, and the
//!   total that somebody else stated or computed by hand;
//! - `expected.json`, our full answer, approved by a person.
//!
//! `UPDATE_EXPECT=1` rewrites `expected.json`, and only that: the stated total stays a judge.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use std::{env, fs, path::Path};

use chrono::DateTime;
use chrono_tz::Tz;
use network::Tax;
use ocpi::Price;
use plans::{PlanVersion, Usage};
use quantities::{PlanRef, Rounding};
use rating::{PlanInForce, PricedSession, Report, Rules, TariffVersion, Terms};
use serde::Deserialize;
use session::Timeline;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    source: String,
    #[serde(default)]
    time_zone: Option<Tz>,
    /// The jurisdiction's taxes; absent: not known.
    #[serde(default)]
    taxes: Option<Vec<Tax>>,
    #[serde(default)]
    rounding: Rounding,
    #[serde(default)]
    terms: Terms,
    /// What the account of `plan.json` has used in the month.
    #[serde(default)]
    used: Option<Usage>,
    stated: Price,
}

fn text(dir: &Path, file: &str) -> Option<String> {
    fs::read_to_string(dir.join(file)).ok()
}

fn price(dir: &Path, case: &Case) -> PricedSession {
    let tariff = ocpi::read::tariff(&text(dir, "tariff.json").unwrap()).unwrap();
    let zone = case.time_zone.unwrap_or(Tz::UTC);
    let plan = plan(dir);
    let plan = plan.as_ref().map(|plan| PlanInForce { plan, used: case.used.as_ref().unwrap() });
    let rules =
        Rules { zone, taxes: case.taxes.as_deref(), rounding: case.rounding, plan, is_free: false };
    if let Some(cdr) = text(dir, "cdr.json") {
        let cdr = ocpi::read::cdr(&cdr).unwrap();
        return rating::cdr::price(&tariff, &cdr, &rules).unwrap();
    }
    let timeline: Timeline = serde_json::from_str(&text(dir, "timeline.json").unwrap()).unwrap();
    let reference = quantities::TariffRef { id: tariff.id.parse().unwrap(), version: 1 };
    let version = TariffVersion { reference, tariff, terms: case.terms.clone() };
    assert!(case.taxes.is_some(), "a timeline needs its taxes");
    rating::rate(&version, &timeline, &rules).unwrap()
}

fn plan(dir: &Path) -> Option<PlanVersion> {
    let plan = plans::read::plan(&text(dir, "plan.json")?).unwrap();
    let reference = PlanRef { id: plan.id.clone(), version: 1 };
    Some(PlanVersion { reference, from: DateTime::UNIX_EPOCH, plan })
}

#[test]
fn every_case_prices_to_its_stated_total_and_its_approved_answer() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/rating");
    let mut dirs: Vec<_> = fs::read_dir(&cases).unwrap().map(|dir| dir.unwrap().path()).collect();
    dirs.retain(|dir| dir.is_dir());
    dirs.sort();
    let mut wrong = Vec::new();
    for dir in &dirs {
        let name = dir.file_name().unwrap().to_string_lossy();
        let case: Case = serde_json::from_str(&text(dir, "case.json").unwrap())
            .unwrap_or_else(|error| panic!("{name}/case.json: {error}"));
        assert!(!case.about.is_empty() && !case.source.is_empty(), "{name}: say what and whence");
        let report = Report::new(&price(dir, &case), case.time_zone.unwrap_or(Tz::UTC));
        let total = report.total_cost;
        let incl_differs = case.stated.incl_vat.is_some_and(|incl| Some(incl) != total.incl_vat);
        if case.stated.excl_vat != total.excl_vat || incl_differs {
            wrong.push(format!("{name}: stated {:?}, ours {total:?}", case.stated));
        }
        let actual = serde_json::to_string_pretty(&report).unwrap() + "\n";
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(dir.join("expected.json"), &actual).unwrap();
        }
        if text(dir, "expected.json").as_ref() != Some(&actual) {
            wrong.push(format!("{name}: our answer is not the approved one; ours is\n{actual}"));
        }
    }
    assert!(!dirs.is_empty(), "no cases in {}: this test proved nothing", cases.display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
