//! `tallywatt price`: prices an OCPI tariff against a CDR or a session. No platform.

mod country;
pub(crate) mod input;
pub(crate) mod layout;
mod place;
mod plan;
mod recorded;
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
use quantities::Rounding;
use rating::{IdleTerms, PricedSession, Report, TariffVersion, Terms};
use rust_decimal::Decimal;
use serde::Serialize;

use input::Problems;
use place::{Place, StatedTax};
use plan::{StatedPlan, StatedUse};
use recorded::Recorded;

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
    /// IANA time zone of the site, such as Europe/Amsterdam [default: told by the CDR's country]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// A tax where the tariff states none; may be repeated
    #[arg(long, value_name = "NAME=PERCENT[,ACCOUNT]")]
    pub tax: Vec<StatedTax>,
    /// The same as --tax VAT=PERCENT
    #[arg(long, value_name = "PERCENT", conflicts_with = "tax")]
    pub vat: Option<Decimal>,
    /// What law says at the site, as JSON: its taxes and how it rounds
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tax", "vat"])]
    pub jurisdiction: Option<PathBuf>,
    /// half-up, half-even or down, of the total or of every line: half-even,line
    #[arg(long, value_name = "MODE[,SCOPE]", value_parser = place::rounding)]
    pub rounding: Option<Rounding>,
    /// First seconds of idle time that cost nothing (not for a CDR)
    #[arg(long, value_name = "SECONDS", default_value_t = 0, conflicts_with = "terms")]
    pub idle_grace_s: u32,
    /// Terms beside the tariff, as JSON: idle fee's grace, cap and quiet hours (not for a CDR)
    #[arg(long, value_name = "FILE")]
    pub terms: Option<PathBuf>,
    /// Plan of the driver or fleet, as JSON
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// What the plan's account used before, in the same month
    #[arg(long, value_name = "kwh=N,minutes=N,idle_minutes=N,spent=N", requires = "plan")]
    pub used: Option<StatedUse>,
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
    let answer = match answer(args) {
        Ok(answer) => answer,
        Err(problems) => return refuse(&problems),
    };
    let text = if args.json { serde_json::to_string_pretty(&answer)? } else { answer.to_string() };
    writeln!(io::stdout().lock(), "{}", text.trim_end())?;
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
    let place = Place::of(args, &mut problems);
    let terms = terms(args, &mut problems);
    let plan = StatedPlan::of(args, &mut problems);
    let happened = Happened::read(args, &mut problems);
    let (Some(tariff), Some(place), Some(terms), Some(plan), Some(happened)) =
        (tariff, place, terms, plan, happened)
    else {
        return Err(problems.into_lines());
    };
    let with = With { place, terms, plan };
    with.price(tariff, happened).map_err(|problem| vec![input::line(&problem)])
}

fn terms(args: &PriceArgs, problems: &mut Problems) -> Option<Terms> {
    let Some(path) = &args.terms else {
        let idle = IdleTerms { grace_s: args.idle_grace_s, ..IdleTerms::default() };
        return Some(Terms { idle });
    };
    problems.keep(input::read(path, input::json))
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

/// All that is known besides the tariff and what happened.
struct With {
    place: Place,
    terms: Terms,
    plan: StatedPlan,
}

impl With {
    fn price(self, tariff: Reading<ocpi::Tariff>, happened: Happened) -> Result<Answer, String> {
        let mut notes = left_out("tariff", &tariff);
        let tariff = tariff.value;
        match happened {
            Happened::Cdr(cdr) => {
                notes.extend(left_out("CDR", &cdr));
                let cdr = cdr.value;
                let country = &cdr.cdr_location.country;
                let unknown = format!(
                    "the tariff depends on local time, and country {country} does not tell the \
                     time zone: give --timezone"
                );
                let zone = self.place.zone(&tariff, country::zone(country), unknown)?;
                let plan = self.plan.at(cdr.start_date_time)?;
                let rules = self.place.rules(zone).with_plan(plan.in_force());
                let priced = rating::cdr::price(&tariff, &cdr, &rules);
                let priced = priced.map_err(|error| error.to_string())?;
                Ok(Answer::new(&priced, zone, Some(cdr.total_cost), notes))
            }
            Happened::Timeline(recorded) => {
                notes.extend(recorded.notes);
                let unknown = "the tariff depends on local time: give --timezone".to_owned();
                let zone = self.place.zone(&tariff, recorded.time_zone, unknown)?;
                let plan = self.plan.at(recorded.timeline.started_at)?;
                let rules = self.place.rules(zone).with_plan(plan.in_force());
                let reference = rating::foreign_reference(&tariff).map_err(|e| e.to_string())?;
                let version = TariffVersion { reference, tariff, terms: self.terms };
                let priced = rating::rate(&version, &recorded.timeline, &rules);
                let priced = priced.map_err(|error| error.to_string())?;
                Ok(Answer::new(&priced, zone, None, notes))
            }
        }
    }
}

/// What of a file was not read, as notes.
fn left_out<T>(what: &str, reading: &Reading<T>) -> Vec<String> {
    let note = |left: &Problem| input::line(&format!("{what}: {left}"));
    reading.left_out.iter().map(note).collect()
}

impl Answer {
    fn new(
        priced: &PricedSession,
        zone: Option<Tz>,
        stated_total_cost: Option<Price>,
        notes: Vec<String>,
    ) -> Self {
        Self {
            report: Report::new(priced, zone.unwrap_or(Tz::UTC)),
            time_zone: zone.map(Tz::name),
            stated_total_cost,
            notes,
        }
    }
}
