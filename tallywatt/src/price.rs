//! `tallywatt price`: prices an OCPI tariff against a CDR or a recorded session. No platform.

mod country;
mod recorded;
mod table;
#[cfg(test)]
mod test_price;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use chrono_tz::Tz;
use network::Tax;
use ocpi::{Price, Tariff, read::Problem};
use quantities::TaxPercent;
use rating::{IdleTerms, PricedSession, Report, Rules, TariffVersion, Terms};
use rust_decimal::Decimal;
use serde::Serialize;

/// Bad input, as the README promises.
const BAD_INPUT: u8 = 2;

/// Price a CDR or a recorded session with an OCPI tariff
#[derive(Debug, clap::Args)]
pub struct PriceArgs {
    /// OCPI 2.2.1 Tariff object, as JSON
    #[arg(long, value_name = "FILE")]
    pub tariff: PathBuf,
    /// OCPI 2.2.1 CDR object, as JSON
    #[arg(long, value_name = "FILE", required_unless_present = "session")]
    pub cdr: Option<PathBuf>,
    /// Recorded OCPP session: a frames.jsonl, or its folder
    #[arg(long, value_name = "FILE", conflicts_with = "cdr")]
    pub session: Option<PathBuf>,
    /// IANA time zone of the site, such as Europe/Amsterdam [default: told by the CDR's country]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// VAT in percent where the tariff states none
    #[arg(long, value_name = "PERCENT")]
    pub vat: Option<Decimal>,
    /// First seconds of idle time that cost nothing (recorded sessions only)
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub idle_grace_s: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What is printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Answer {
    #[serde(flatten)]
    report: Report,
    /// The zone whose local time the prices were looked up in; null where none mattered.
    time_zone: Option<&'static str>,
    /// What the CDR itself says it costs.
    stated_total_cost: Option<Price>,
    /// What the reader of a recorded session noted.
    notes: Vec<String>,
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
        Err(problems) => {
            let mut stderr = io::stderr().lock();
            for problem in problems {
                writeln!(stderr, "error: {problem}")?;
            }
            return Ok(ExitCode::from(BAD_INPUT));
        }
    };
    let text =
        if args.json { serde_json::to_string_pretty(&answer)? } else { table::render(&answer) };
    writeln!(io::stdout().lock(), "{}", text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// The answer, or everything that is in its way.
fn answer(args: &PriceArgs) -> Result<Answer, Vec<String>> {
    let mut problems = Vec::new();
    let tariff = keep(read(&args.tariff, ocpi::read::tariff), &mut problems);
    let zone = keep(args.timezone.as_deref().map(zone_named).transpose(), &mut problems).flatten();
    let tax = keep(args.vat.map(vat).transpose(), &mut problems).flatten();
    match (&args.cdr, &args.session) {
        (Some(path), _) => {
            let cdr = keep(read(path, ocpi::read::cdr), &mut problems);
            let (Some(tariff), Some(cdr), []) = (&tariff, &cdr, problems.as_slice()) else {
                return Err(problems);
            };
            let country = country::zone(&cdr.cdr_location.country);
            let unknown = format!(
                "the tariff depends on local time, and country {} does not tell the time zone: \
                 give --timezone",
                cdr.cdr_location.country
            );
            let zone = zone_for(tariff, zone.or(country), unknown)?;
            let priced = rating::cdr::price(tariff, cdr, &rules(zone, tax.as_ref()));
            let priced = priced.map_err(|error| vec![error.to_string()])?;
            Ok(Answer::new(&priced, zone, Some(cdr.total_cost), vec![]))
        }
        (None, Some(path)) => {
            let recorded = keep(recorded::read(path), &mut problems);
            let (Some(tariff), Some(recorded), []) = (tariff, recorded, problems.as_slice()) else {
                return Err(problems);
            };
            let unknown = "the tariff depends on local time: give --timezone".to_owned();
            let zone = zone_for(&tariff, zone.or(recorded.time_zone), unknown)?;
            let reference = rating::foreign_reference(&tariff).map_err(|e| vec![e.to_string()])?;
            let idle = IdleTerms { grace_s: args.idle_grace_s, ..IdleTerms::default() };
            let terms = Terms { idle };
            let version = TariffVersion { reference, tariff, terms };
            let rules = rules(zone, tax.as_ref());
            let priced = rating::rate(&version, &recorded.timeline, &rules);
            let priced = priced.map_err(|error| vec![error.to_string()])?;
            Ok(Answer::new(&priced, zone, None, recorded.notes))
        }
        (None, None) => Err(vec!["give --cdr or --session".to_owned()]),
    }
}

impl Answer {
    fn new(
        priced: &PricedSession,
        zone: Option<Tz>,
        stated_total_cost: Option<Price>,
        notes: Vec<String>,
    ) -> Self {
        let report = Report::from(priced);
        Self { report, time_zone: zone.map(Tz::name), stated_total_cost, notes }
    }
}

fn rules(zone: Option<Tz>, tax: Option<&Tax>) -> Rules<'_> {
    let zone = zone.unwrap_or(Tz::UTC);
    Rules { taxes: tax.map(std::slice::from_ref), ..Rules::unknown(zone) }
}

/// The zone to price in; `None` where the tariff has no local times.
fn zone_for(tariff: &Tariff, zone: Option<Tz>, unknown: String) -> Result<Option<Tz>, Vec<String>> {
    match rating::needs_time_zone(tariff) {
        Ok(true) if zone.is_none() => Err(vec![unknown]),
        Ok(needed) => Ok(zone.filter(|_| needed)),
        Err(error) => Err(vec![error.to_string()]),
    }
}

fn keep<T>(result: Result<T, Vec<String>>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

fn read<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, Vec<Problem>>,
) -> Result<T, Vec<String>> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| vec![format!("{name}: {error}")])?;
    let told = |problem: &Problem| format!("{name}: {problem}");
    parse(&text).map_err(|problems| problems.iter().map(told).collect())
}

fn zone_named(name: &str) -> Result<Tz, Vec<String>> {
    name.parse().map_err(|_| {
        vec![format!("--timezone: `{name}` is not an IANA time zone such as Europe/Amsterdam")]
    })
}

fn vat(percent: Decimal) -> Result<Tax, Vec<String>> {
    let percent = TaxPercent::try_from(percent).map_err(|error| vec![format!("--vat: {error}")])?;
    Ok(Tax { name: "VAT".to_owned(), percent, account_number: None })
}
