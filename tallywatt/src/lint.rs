//! `tallywatt lint`: what is wrong with a tariff before anybody is billed by it. No platform.

use std::{fmt, path::PathBuf, process::ExitCode};

use chrono_tz::Tz;
use network::{Jurisdiction, Site};
use ocpi::{Tariff, Version, read::Reading};
use quantities::Currency;
use rating::{Place, Severity, TariffFinding, TariffVersion, Terms};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::price::{
    BAD_INPUT,
    input::{self, Problems},
    layout::wrap,
    left_out, refuse,
};

/// Find what is wrong with an OCPI tariff
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct LintArgs {
    /// OCPI Tariff object, as JSON
    #[arg(value_name = "TARIFF")]
    pub tariff: PathBuf,
    /// 2.1.1, 2.2.1 or 2.3.0 [default: told by the fields of the tariff]
    #[arg(long, value_name = "VERSION")]
    pub ocpi_version: Option<Version>,
    /// Site where it is to be sold, as JSON: its law, currency and local time
    #[arg(long, value_name = "FILE")]
    pub site: Option<PathBuf>,
    /// What law says where it is to be sold, as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "site")]
    pub jurisdiction: Option<PathBuf>,
    /// ISO 4217 code that prices have to be in
    #[arg(long, value_name = "CODE", conflicts_with = "site")]
    pub currency: Option<Currency>,
    /// IANA time zone of the site
    #[arg(long, value_name = "ZONE", conflicts_with = "site")]
    pub timezone: Option<Tz>,
    /// Power of the strongest charger that it is to be sold at
    #[arg(long, value_name = "KW")]
    pub max_power: Option<Decimal>,
    /// Terms beside the tariff, as JSON
    #[arg(long, value_name = "FILE")]
    pub terms: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tallywatt lint tariff.json
  tallywatt lint tariff.json --site site.json --max-power 150
  tallywatt lint tariff.json --jurisdiction law.json --currency EUR --json

Exit codes: 0 no errors (there may be warnings); 2 errors, or input that cannot be read.";

/// What is printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Linted {
    /// The version of OCPI that the tariff was read as.
    pub ocpi_version: Version,
    /// What is wrong, in the order of the tariff.
    pub findings: Vec<TariffFinding>,
    /// What was not read, because nothing depends on it.
    pub left_out: Vec<String>,
}

impl Linted {
    /// How many findings are as bad as this.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Says what is wrong with the tariff that `args` name.
///
/// # Errors
///
/// When the answer cannot be printed.
pub fn run(args: &LintArgs) -> anyhow::Result<ExitCode> {
    let linted = match lint(args) {
        Ok(linted) => linted,
        Err(problems) => return refuse(&problems),
    };
    let text = if args.json { serde_json::to_string_pretty(&linted)? } else { linted.to_string() };
    input::print(&text)?;
    let errors = linted.count(Severity::Error);
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(BAD_INPUT) })
}

/// What is wrong with the tariff.
///
/// # Errors
///
/// Every problem that keeps the files from being read, a line each.
pub fn lint(args: &LintArgs) -> Result<Linted, Vec<String>> {
    let mut problems = Problems::default();
    let read = |text: &str| ocpi::read::tariff_as(text, args.ocpi_version);
    let tariff = problems.keep(input::read(&args.tariff, read));
    let site = args.site.as_ref().map(|path| input::read(path, input::json::<Site>)).transpose();
    let site = problems.keep(site);
    let law = args.jurisdiction.as_ref();
    let law = law.map(|path| input::read(path, input::json::<Jurisdiction>)).transpose();
    let law = problems.keep(law);
    let terms = args.terms.as_ref().map(|path| input::read(path, input::json::<Terms>));
    let terms = problems.keep(terms.transpose());
    let (Some(tariff), Some(site), Some(law), Some(terms)) = (tariff, site, law, terms) else {
        return Err(problems.into_lines());
    };
    let mut place = site.as_ref().map_or(Place::anywhere(), Place::at);
    place.jurisdiction = place.jurisdiction.or(law.as_ref());
    place.currency = place.currency.or(args.currency);
    place.zone = place.zone.or(args.timezone);
    if let Some(kw) = args.max_power {
        (place.known_power_kw, place.max_power_kw) = (Some(kw), Some(kw));
    }
    found(tariff, terms.unwrap_or_default(), &place).map_err(|problem| vec![input::line(&problem)])
}

fn found(tariff: Reading<Tariff>, terms: Terms, place: &Place) -> Result<Linted, String> {
    let left_out = left_out("tariff", &tariff);
    let ocpi_version = tariff.version;
    let tariff = tariff.value;
    let reference = rating::foreign_reference(&tariff).map_err(|error| error.to_string())?;
    let mut findings = TariffVersion { reference, tariff, terms }.validate(place);
    for finding in &mut findings {
        finding.message = input::line(&finding.message);
    }
    Ok(Linted { ocpi_version, findings, left_out })
}

impl fmt::Display for Linted {
    /// For people: at most 100 columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Error => "error  ",
                Severity::Warning => "warning",
            };
            let told = format!("{severity}  {} ({})", finding.message, finding.code);
            f.write_str(&wrap(&told, 0, 9))?;
        }
        for left in &self.left_out {
            f.write_str(&wrap(&format!("note     {left}"), 0, 9))?;
        }
        let counted = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let errors = counted(self.count(Severity::Error), "error");
        let warnings = counted(self.count(Severity::Warning), "warning");
        writeln!(f, "{errors}, {warnings}; read as OCPI {}", self.ocpi_version)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn args(folder: &Path, tariff: &str) -> LintArgs {
        let path = folder.join("tariff.json");
        fs::write(&path, tariff).unwrap();
        LintArgs { tariff: path, ..LintArgs::default() }
    }

    const ENERGY: &str = r#"{"country_code":"NL","party_id":"TWT","id":"T1","currency":"EUR",
        "elements":[{"price_components":[{"type":"ENERGY","price":0.30,"vat":21,"step_size":1}]}],
        "last_updated":"2026-01-01T00:00:00Z"}"#;

    #[test]
    fn a_sound_tariff_has_no_errors() {
        let folder = tempfile::tempdir().unwrap();
        let linted = lint(&args(folder.path(), ENERGY)).unwrap();
        assert_eq!(linted.count(Severity::Error), 0, "{linted}");
        assert!(linted.to_string().ends_with("; read as OCPI 2.2.1\n"), "{linted}");
    }

    #[test]
    fn a_tariff_is_held_against_the_law_and_the_currency_of_its_site() {
        let folder = tempfile::tempdir().unwrap();
        let law = folder.path().join("law.json");
        fs::write(&law, r#"{"per_kwh_allowed": false, "taxes": []}"#).unwrap();
        let mut args = args(folder.path(), ENERGY);
        args.jurisdiction = Some(law);
        args.currency = Some(Currency::USD);
        let linted = lint(&args).unwrap();
        let codes: Vec<&str> = linted.findings.iter().map(|found| found.code.as_str()).collect();
        assert!(codes.contains(&"currency_mismatch") && codes.contains(&"energy_not_allowed"));
        assert!(linted.to_string().lines().all(|line| line.chars().count() <= 100), "{linted}");
    }

    #[test]
    fn every_file_that_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = args(folder.path(), r#"{"currency":"EUR","elements":[]}"#);
        let law = folder.path().join("law.json");
        fs::write(&law, r#"{"per_kwh_allowed": true, "taxes": [{"name": "VAT", "percent": 300}]}"#)
            .unwrap();
        args.jurisdiction = Some(law);
        let problems = lint(&args).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[1].contains("law.json: taxes[0].percent: "), "{problems:?}");
    }
}
