//! `tallywatt quote`: what a session that starts then would pay. No platform.

use std::{fmt, path::PathBuf, process::ExitCode};

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use ocpi::{TariffDimensionType, Version};
use quantities::WattHours;
use rating::{Expected, PriceInForce, Pricer, Quote, Report, Rules, Unit};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::price::{
    RuleArgs,
    input::{self, Problems},
    layout::{columns, wrap},
    money, refuse,
    rules::With,
};

/// Quote the prices of a session before it starts
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct QuoteArgs {
    /// OCPI Tariff object, as JSON
    #[arg(long, value_name = "FILE")]
    pub tariff: PathBuf,
    /// 2.1.1, 2.2.1 or 2.3.0 [default: told by the fields of the tariff]
    #[arg(long, value_name = "VERSION")]
    pub ocpi_version: Option<Version>,
    /// When the session starts [default: now]
    #[arg(long, value_name = "MOMENT")]
    pub at: Option<DateTime<Utc>>,
    /// How many hours of changes to show
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = hours())]
    pub hours: u16,
    /// Energy of the session to estimate
    #[arg(long, value_name = "KWH", requires = "minutes")]
    pub kwh: Option<Decimal>,
    /// Minutes that it charges
    #[arg(long, value_name = "MINUTES", requires = "kwh")]
    pub minutes: Option<u16>,
    /// Minutes that it stands there afterwards
    #[arg(long, value_name = "MINUTES", default_value_t = 0, requires = "kwh")]
    pub idle_minutes: u16,
    /// What applies besides the tariff
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// No more than a quote of some weeks.
fn hours() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(..=1000)
}

const EXAMPLES: &str = "\
Examples:
  tallywatt quote --tariff tariff.json --timezone Europe/Amsterdam --vat 21
  tallywatt quote --tariff tariff.json --timezone Europe/Amsterdam --vat 21 \\
      --at 2026-03-02T17:00:00Z --kwh 30 --minutes 90 --idle-minutes 20

Exit codes: 0 quoted; 2 the input is not good enough, with a line on standard error for
every problem.";

/// What is printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quoted {
    /// Prices now, and when they change.
    pub quote: Quote,
    /// What the expected session would cost.
    pub estimate: Option<Report>,
    /// The zone whose local time the prices were looked up in.
    pub time_zone: &'static str,
}

/// Quotes what `args` name and prints it.
///
/// # Errors
///
/// When the answer cannot be printed.
pub fn run(args: &QuoteArgs) -> anyhow::Result<ExitCode> {
    let quoted = match quote(args, args.at.unwrap_or_else(Utc::now)) {
        Ok(quoted) => quoted,
        Err(problems) => return refuse(&problems),
    };
    let text = if args.json { serde_json::to_string_pretty(&quoted)? } else { quoted.to_string() };
    input::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The prices of a session that starts `at`.
///
/// # Errors
///
/// Everything that is in its way, a line each.
pub fn quote(args: &QuoteArgs, at: DateTime<Utc>) -> Result<Quoted, Vec<String>> {
    let mut problems = Problems::default();
    let read = |text: &str| ocpi::read::tariff_as(text, args.ocpi_version);
    let tariff = problems.keep(input::read(&args.tariff, read));
    let with = With::read(&args.rules, &mut problems);
    let (Some(tariff), Some(with)) = (tariff, with) else { return Err(problems.into_lines()) };
    let quoted = || {
        let unknown = "the tariff depends on local time: give --timezone".to_owned();
        with.place.zone(&tariff.value, Some(&with.terms), None, unknown)?;
        let plan = with.plan.at(at)?;
        let rules = with.place.rules(None).with_plan(plan.in_force());
        let pricer = Pricer::new(&with.terms.version(tariff.value)?).map_err(|e| e.to_string())?;
        quoted(args, &pricer, at, &rules)
    };
    quoted().map_err(|problem: String| vec![input::line(&problem)])
}

fn quoted(
    args: &QuoteArgs,
    pricer: &Pricer,
    at: DateTime<Utc>,
    rules: &Rules<'_>,
) -> Result<Quoted, String> {
    let horizon = Duration::hours(i64::from(args.hours));
    let quote = pricer.quote(at, horizon, rules).map_err(|error| error.to_string())?;
    let estimate = match (args.kwh, args.minutes) {
        (Some(kwh), Some(minutes)) => {
            let expected = Expected {
                energy: WattHours::from_kwh(kwh).map_err(|error| format!("--kwh: {error}"))?,
                charging_s: u32::from(minutes) * 60,
                idle_s: u32::from(args.idle_minutes) * 60,
            };
            let session = pricer.estimate(at, &expected, rules);
            Some(Report::new(&session.map_err(|error| error.to_string())?, rules.zone))
        }
        _ => None,
    };
    Ok(Quoted { quote, estimate, time_zone: rules.zone.name() })
}

impl fmt::Display for Quoted {
    /// For people: at most 100 columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = &self.quote;
        let code = quote.currency.code();
        let mut rows =
            vec![["From", "For", "Excl. tax", "Incl. tax", ""].map(str::to_owned).to_vec()];
        rows.extend(self.rows(quote.at, &quote.prices));
        for change in &quote.changes {
            rows.extend(self.rows(change.at, &change.prices));
        }
        write!(f, "{}", columns(&rows))?;
        for later in &quote.later {
            let (what, price) = (what(later.dimension), unit_price(later.incl_vat, later, code));
            let line = format!("Later: {what} at {price} with tax, {}", later.conditions);
            f.write_str(&wrap(&line, 0, 7))?;
        }
        if quote.idle_grace_s > 0 {
            writeln!(f, "The first {} s of idle time are free.", quote.idle_grace_s)?;
        }
        if let Some(cap) = quote.idle_cap {
            writeln!(f, "All idle time of a session costs at most {} {code}.", money(cap, code))?;
        }
        for free in &quote.free {
            let unit = if free.dimension == TariffDimensionType::Energy { "kWh" } else { "min" };
            let what = what(free.dimension);
            writeln!(f, "The plan has {} {unit} of {what} left for nothing.", free.left)?;
        }
        if let Some(estimate) = &self.estimate {
            let total = estimate.total_cost;
            let incl = money(total.incl_vat.unwrap_or(total.excl_vat), code);
            let excl = money(total.excl_vat, code);
            let (energy, time) = (estimate.total_energy, estimate.total_time);
            writeln!(f, "\n{energy} kWh in {time} h: {incl} {code}, {excl} without tax")?;
        }
        Ok(())
    }
}

impl Quoted {
    /// The prices from `at` on, a row each.
    fn rows(&self, at: DateTime<Utc>, prices: &[PriceInForce]) -> Vec<Vec<String>> {
        let code = self.quote.currency.code();
        let zone: Tz = self.time_zone.parse().unwrap_or(Tz::UTC);
        let at = at.with_timezone(&zone).format("%Y-%m-%d %H:%M %Z").to_string();
        let mut rows = Vec::new();
        for (place, price) in prices.iter().enumerate() {
            rows.push(vec![
                if place == 0 { at.clone() } else { String::new() },
                what(price.dimension).to_owned(),
                unit_price(price.excl_vat, price, code),
                unit_price(price.incl_vat, price, code),
                price.conditions.clone(),
            ]);
        }
        if rows.is_empty() {
            rows.push(vec![at, "nothing".to_owned(), String::new(), String::new(), String::new()]);
        }
        rows
    }
}

const fn what(dimension: TariffDimensionType) -> &'static str {
    match dimension {
        TariffDimensionType::Energy => "energy",
        TariffDimensionType::Flat => "a session",
        TariffDimensionType::ParkingTime => "idle time",
        TariffDimensionType::Time => "charging time",
    }
}

fn unit_price(value: Decimal, price: &PriceInForce, code: &str) -> String {
    let unit = match price.unit {
        Unit::KilowattHour => "/kWh",
        Unit::Second => "/s",
        Unit::Hour => "/h",
        Unit::Session => "",
    };
    // A quotient may have more decimals than anybody reads.
    format!("{}{unit}", money(value.round_dp(6), code))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn args() -> QuoteArgs {
        let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
        let mut args = QuoteArgs {
            tariff: events.join("rating/retail-time-of-use/tariff.json"),
            hours: 24,
            ..QuoteArgs::default()
        };
        args.rules.timezone = Some("Europe/Amsterdam".to_owned());
        args.rules.vat = Some(Decimal::from(21));
        args
    }

    #[test]
    fn prices_are_told_now_and_when_they_change() {
        let quoted = quote(&args(), "2026-03-10T14:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(
            quoted.to_string(),
            "\
From                        For  Excl. tax   Incl. tax
2026-03-10 15:00 CET     energy   0.34/kWh  0.4114/kWh
                      a session       0.35      0.4235
2026-03-10 16:00 CET     energy   0.52/kWh  0.6292/kWh
                      a session       0.35      0.4235
2026-03-10 21:00 CET     energy   0.34/kWh  0.4114/kWh
                      a session       0.35      0.4235
"
        );
    }

    #[test]
    fn an_expected_session_is_estimated_as_it_would_be_billed() {
        let mut args = args();
        (args.kwh, args.minutes) = (Some(Decimal::from(18)), Some(120));
        let quoted = quote(&args, "2026-03-10T19:00:00Z".parse().unwrap()).unwrap();
        // From 20:00 to 22:00 local: 9 kWh at 0.52 and 9 at 0.34 from 21:00 on, and the start.
        let total = quoted.estimate.unwrap().total_cost;
        assert_eq!(total.excl_vat, "8.09".parse().unwrap());
    }

    #[test]
    fn a_quote_needs_to_know_whose_local_time_it_is() {
        let mut args = args();
        args.rules.timezone = None;
        let problems = quote(&args, Utc::now()).unwrap_err();
        assert_eq!(problems, ["the tariff depends on local time: give --timezone"]);
    }
}
