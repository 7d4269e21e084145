//! `tallywatt price`: prices an OCPI tariff against a CDR or a session. No platform.

mod country;
pub(crate) mod input;
pub(crate) mod layout;
mod plan;
mod recorded;
pub(crate) mod rules;
mod table;
#[cfg(test)]
mod test_price;

use std::{
    fmt,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use chrono_tz::Tz;
use ocpi::{
    Price, Version,
    read::{Problem, Reading},
};
use rating::Report;
use serde::Serialize;

use input::Problems;
use recorded::Recorded;
use rules::With;
pub(crate) use table::money;

pub use plan::StatedUse;
pub use rules::{RuleArgs, StatedTax};

/// Bad input, as the README promises.
pub(crate) const BAD_INPUT: u8 = 2;

/// Price a CDR or a session with an OCPI tariff, and say why
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct PriceArgs {
    /// OCPI Tariff object, as JSON
    #[arg(long, value_name = "FILE")]
    pub tariff: PathBuf,
    /// OCPI CDR object, as JSON
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["session", "timeline"],
        conflicts_with_all = ["session", "timeline"],
    )]
    pub cdr: Option<PathBuf>,
    /// Recorded OCPP session: a frames.jsonl, or its folder
    #[arg(long, value_name = "FILE", conflicts_with = "timeline")]
    pub session: Option<PathBuf>,
    /// What a charger reported of a session, as JSON
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// 2.1.1, 2.2.1 or 2.3.0 [default: told by the fields of tariff and CDR]
    #[arg(long, value_name = "VERSION")]
    pub ocpi_version: Option<Version>,
    /// What applies besides tariff and session
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tallywatt price --tariff tariff.json --cdr cdr.json
  tallywatt price --tariff tariff.json --timeline session.json --timezone America/Toronto \\
      --tax GST=5,123456789RT0001 --tax QST=9.975
  tallywatt price --tariff tariff.json --timeline session.json --plan plan.json --used kwh=180
  tallywatt price --tariff tariff.json --session frames.jsonl --vat 21 --json

Exit codes: 0 priced; 2 the input is not good enough, with a line on standard error for
every problem.";

/// What is printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    #[serde(flatten)]
    report: Report,
    /// The zone whose local time the prices were looked up in; null where none mattered.
    time_zone: Option<&'static str>,
    /// What the CDR itself says it costs.
    stated_total_cost: Option<Price>,
    /// What the reader of the input noted.
    notes: Vec<String>,
}

impl fmt::Display for Answer {
    /// For people: at most 100 columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table::render(self))
    }
}

/// Prices what `args` name and prints it. Bad input is told on standard error, a line for every
/// problem, and ends with exit code 2.
///
/// # Errors
///
/// When the answer cannot be printed.
pub fn run(args: &PriceArgs) -> anyhow::Result<ExitCode> {
    let answered = answer(args)
        .and_then(|answer| if args.json { answer.to_json() } else { Ok(answer.to_string()) });
    match answered {
        Ok(text) => input::print(&text)?,
        Err(problems) => return refuse(&problems),
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells what is wrong with the input.
pub(crate) fn refuse(problems: &[String]) -> anyhow::Result<ExitCode> {
    let mut stderr = io::stderr().lock();
    for problem in problems {
        writeln!(stderr, "error: {problem}")?;
    }
    Ok(ExitCode::from(BAD_INPUT))
}

/// The answer.
///
/// # Errors
///
/// Everything that is in its way, a line each.
pub fn answer(args: &PriceArgs) -> Result<Answer, Vec<String>> {
    let mut problems = Problems::default();
    let version = args.ocpi_version;
    let read = |text: &str| ocpi::read::tariff_as(text, version);
    let tariff = problems.keep(input::read(&args.tariff, read));
    let with = With::read(&args.rules, &mut problems);
    let happened = Happened::read(args, &mut problems);
    let (Some(tariff), Some(with), Some(happened)) = (tariff, with, happened) else {
        return Err(problems.into_lines());
    };
    priced(with, tariff, happened).map_err(|problem| vec![input::line(&problem)])
}

/// What is priced.
enum Happened {
    Cdr(Box<Reading<ocpi::Cdr>>),
    Timeline(Box<Recorded>),
}

impl Happened {
    fn read(args: &PriceArgs, problems: &mut Problems) -> Option<Self> {
        if let Some(path) = &args.cdr {
            let read = |text: &str| ocpi::read::cdr_as(text, args.ocpi_version);
            return problems.keep(input::read(path, read)).map(|cdr| Self::Cdr(Box::new(cdr)));
        }
        let recorded = match (&args.session, &args.timeline) {
            (Some(path), _) => Recorded::read(path),
            (None, Some(path)) => input::read(path, input::timeline).map(Recorded::of),
            (None, None) => Err(vec!["give --cdr, --session or --timeline".to_owned()]),
        };
        problems.keep(recorded).map(|recorded| Self::Timeline(Box::new(recorded)))
    }
}

fn priced(with: With, tariff: Reading<ocpi::Tariff>, happened: Happened) -> Result<Answer, String> {
    let mut notes = left_out("tariff", &tariff);
    notes.extend(with.plan.note());
    let tariff = tariff.value;
    match happened {
        Happened::Cdr(cdr) => {
            notes.extend(left_out("CDR", &cdr));
            let cdr = cdr.value;
            let country = &cdr.cdr_location.country;
            let unknown = format!(
                "the tariff depends on local time, and country {country} does not tell the time \
                 zone: give --timezone"
            );
            let told = country::zone(country);
            let zone = with.place.zone(&tariff, None, told, unknown)?;
            let plan = with.plan.at(cdr.start_date_time)?;
            let rules = with.place.rules(told).with_plan(plan.in_force());
            let priced = rating::cdr::price(&tariff, &cdr, &rules);
            let priced = priced.map_err(|error| error.to_string())?;
            let report = Report::new(&priced, rules.zone);
            Ok(Answer::new(report, zone, Some(cdr.total_cost), notes))
        }
        Happened::Timeline(recorded) => {
            notes.extend(recorded.notes);
            let unknown = "the tariff depends on local time: give --timezone".to_owned();
            let told = recorded.time_zone;
            let zone = with.place.zone(&tariff, Some(&with.terms), told, unknown)?;
            let plan = with.plan.at(recorded.timeline.started_at)?;
            let rules = with.place.rules(told).with_plan(plan.in_force());
            let version = with.terms.version(tariff)?;
            let priced = rating::rate(&version, &recorded.timeline, &rules);
            let priced = priced.map_err(|error| error.to_string())?;
            Ok(Answer::new(Report::new(&priced, rules.zone), zone, None, notes))
        }
    }
}

/// What of a file was not read, as notes.
pub(crate) fn left_out<T>(what: &str, reading: &Reading<T>) -> Vec<String> {
    let note = |left: &Problem| input::line(&format!("{what}: {left}"));
    reading.left_out.iter().map(note).collect()
}

impl Answer {
    /// As JSON.
    ///
    /// # Errors
    ///
    /// An amount has more digits than a JSON number carries: no price of this world.
    pub fn to_json(&self) -> Result<String, Vec<String>> {
        serde_json::to_string_pretty(self).map_err(|error| vec![input::line(&error.to_string())])
    }

    fn new(
        report: Report,
        zone: Option<Tz>,
        stated_total_cost: Option<Price>,
        notes: Vec<String>,
    ) -> Self {
        Self { report, time_zone: zone.map(Tz::name), stated_total_cost, notes }
    }
}
