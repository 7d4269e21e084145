//! `tallywatt schedule`: a utility's time-of-use schedule becomes an OCPI tariff. No platform.

use std::{
    fmt::Display,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use chrono::NaiveDate;
use chrono_tz::Tz;
use ocpi::{Tariff, Version, read::Problem};
use plans::{Finding, Schedule, Severity, schedule::Span};
use serde_json::Value;

use crate::price::refuse;

/// Compile a utility's time-of-use schedule to an OCPI tariff
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ScheduleArgs {
    /// Schedule: seasons, days, hours, prices, holidays, margin, as JSON
    #[arg(long, value_name = "FILE")]
    pub schedule: PathBuf,
    /// OCPI Tariff object with everything but the ENERGY prices, as JSON
    #[arg(long, value_name = "FILE")]
    pub around: PathBuf,
    /// First day that it is valid
    #[arg(long, value_name = "DATE")]
    pub from: NaiveDate,
    /// Day after the last that it is valid
    #[arg(long, value_name = "DATE")]
    pub until: NaiveDate,
    /// IANA time zone of the site [default: the schedule's]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<Tz>,
    /// 2.2.1 or 2.3.0
    #[arg(long, value_name = "VERSION", default_value = "2.2.1")]
    pub ocpi_version: Version,
}

const EXAMPLES: &str = "\
Example:
  tallywatt schedule --schedule schedule.json --around around.json \\
      --from 2026-01-01 --until 2027-01-01 > tariff.json

Exit codes: 0 compiled; 2 the input is not good enough, with a line on standard error for
every problem. Warnings are on standard error too.";

/// A tariff, and what its publisher should know all the same.
#[derive(Debug)]
pub struct Compiled {
    /// The OCPI object.
    pub tariff: Value,
    /// Warnings, a line each.
    pub warnings: Vec<String>,
}

/// Compiles what `args` name and prints it.
///
/// # Errors
///
/// When the tariff cannot be printed.
pub fn run(args: &ScheduleArgs) -> anyhow::Result<ExitCode> {
    let Compiled { tariff, warnings } = match compile(args) {
        Ok(compiled) => compiled,
        Err(problems) => return refuse(&problems),
    };
    let mut stderr = io::stderr().lock();
    for warning in warnings {
        writeln!(stderr, "warning: {warning}")?;
    }
    writeln!(io::stdout().lock(), "{tariff:#}")?;
    Ok(ExitCode::SUCCESS)
}

/// The tariff.
///
/// # Errors
///
/// Everything that is in its way, a line each.
pub fn compile(args: &ScheduleArgs) -> Result<Compiled, Vec<String>> {
    let schedule = read(&args.schedule, plans::read::schedule);
    let around = read(&args.around, ocpi::read::tariff);
    let (schedule, around): (Schedule, Tariff) = match (schedule, around) {
        (Ok(schedule), Ok(around)) => (schedule, around),
        (schedule, around) => {
            let problems = [schedule.err(), around.err()];
            return Err(problems.into_iter().flatten().flatten().collect());
        }
    };
    let name = args.schedule.display();
    let told = |finding: &Finding| line(&name, &finding.place, &finding.message);
    let span = Span { from: args.from, until: args.until };
    let zone = args.timezone.unwrap_or(schedule.time_zone);
    let tariff = schedule
        .compile(span, zone, &around)
        .map_err(|findings| findings.iter().map(told).collect::<Vec<_>>())?;
    let written = ocpi::write::tariff(&tariff, args.ocpi_version)
        .map_err(|problems| all(&args.around.display(), &problems))?;
    let findings = schedule.validate();
    let warnings = findings.iter().filter(|finding| finding.severity == Severity::Warning);
    let mut warnings: Vec<String> = warnings.map(told).collect();
    warnings.extend(all(&args.around.display(), &written.left_out));
    Ok(Compiled { tariff: written.json, warnings })
}

fn read<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, Vec<Problem>>,
) -> Result<T, Vec<String>> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| vec![format!("{name}: {error}")])?;
    parse(&text).map_err(|problems| all(&name, &problems))
}

fn all(name: &dyn Display, problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| line(name, &problem.path, &problem.message)).collect()
}

fn line(name: &dyn Display, place: &str, message: &str) -> String {
    let colon = if place.is_empty() { "" } else { ": " };
    format!("{name}: {place}{colon}{message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ontario(file: &str) -> PathBuf {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/rating/utility-ontario");
        [folder, file].iter().collect()
    }

    fn args() -> ScheduleArgs {
        ScheduleArgs {
            schedule: ontario("schedule.json"),
            around: ontario("around.json"),
            from: "2022-11-01".parse().unwrap(),
            until: "2023-11-01".parse().unwrap(),
            timezone: None,
            ocpi_version: Version::V2_2_1,
        }
    }

    #[test]
    fn a_utilitys_schedule_becomes_the_tariff_that_was_checked_by_hand() {
        let compiled = compile(&args()).unwrap();
        assert_eq!(compiled.warnings, [""; 0]);
        let expected = fs::read_to_string(ontario("tariff.json")).unwrap();
        assert_eq!(compiled.tariff, serde_json::from_str::<Value>(&expected).unwrap());
    }

    #[test]
    fn what_cannot_be_compiled_is_told_with_file_and_place() {
        let swapped = ScheduleArgs {
            schedule: ontario("around.json"),
            around: ontario("schedule.json"),
            ..args()
        };
        let problems = compile(&swapped).unwrap_err();
        assert!(
            problems
                .iter()
                .any(|line| line
                    .ends_with("around.json: seasons: missing or empty; state at least one")),
            "{problems:#?}"
        );
        assert!(
            problems.iter().any(|line| line.ends_with("schedule.json: elements: missing")),
            "{problems:#?}"
        );
        let elsewhere = ScheduleArgs { timezone: Some(Tz::America__Winnipeg), ..args() };
        let problems = compile(&elsewhere).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].contains("schedule.json: time_zone: "), "{problems:#?}");
        let nowhere = ScheduleArgs { schedule: "no/such/file".into(), ..args() };
        assert!(compile(&nowhere).unwrap_err()[0].starts_with("no/such/file: "));
    }
}
