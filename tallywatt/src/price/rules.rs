//! What applies besides a tariff and what happened: local time, taxes, rounding, terms, plan.

use std::{path::PathBuf, str::FromStr};

use chrono_tz::Tz;
use network::{Jurisdiction, Tax};
use ocpi::Tariff;
use quantities::{Rounding, RoundingMode, RoundingScope, TaxPercent};
use rating::{IdleTerms, Rules, TariffVersion, Terms};
use rust_decimal::Decimal;

use super::{
    input::{self, Problems},
    plan::{StatedPlan, StatedUse},
};

/// What applies besides the tariff
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RuleArgs {
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
    #[arg(long, value_name = "MODE[,SCOPE]", value_parser = rounding)]
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
}

/// All that applies besides the tariff and what happened.
pub(crate) struct With {
    pub(crate) place: Place,
    pub(crate) terms: StatedTerms,
    pub(crate) plan: StatedPlan,
}

impl With {
    /// What `args` say.
    pub(crate) fn read(args: &RuleArgs, problems: &mut Problems) -> Option<Self> {
        let place = Place::of(args, problems);
        let terms = StatedTerms::of(args, problems);
        let plan = StatedPlan::of(args, problems);
        Some(Self { place: place?, terms: terms?, plan: plan? })
    }
}

/// What the arguments say about the terms beside a tariff.
pub(crate) struct StatedTerms(Terms);

impl StatedTerms {
    fn of(args: &RuleArgs, problems: &mut Problems) -> Option<Self> {
        let Some(path) = &args.terms else {
            let idle = IdleTerms { grace_s: args.idle_grace_s, ..IdleTerms::default() };
            return Some(Self(Terms { idle }));
        };
        problems.keep(input::read(path, input::json)).map(Self)
    }

    /// `tariff` with these terms.
    pub(crate) fn version(self, tariff: Tariff) -> Result<TariffVersion, String> {
        let reference = rating::foreign_reference(&tariff).map_err(|error| error.to_string())?;
        Ok(TariffVersion { reference, tariff, terms: self.0 })
    }
}

/// What the arguments say about the place.
pub(crate) struct Place {
    zone: Option<Tz>,
    /// `None`: nobody said.
    taxes: Option<Vec<Tax>>,
    rounding: Rounding,
}

/// A tax as `--tax` states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedTax(Tax);

impl FromStr for StatedTax {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not NAME=PERCENT such as VAT=21 or GST=5,123456789RT");
        let (name, rest) =
            text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(form)?;
        let (percent, account) = match rest.split_once(',') {
            Some((percent, account)) => (percent, Some(account.to_owned())),
            None => (rest, None),
        };
        let percent: Decimal = percent.trim().parse().map_err(|_| form())?;
        tax(name, percent, account).map(Self)
    }
}

fn tax(name: &str, percent: Decimal, account_number: Option<String>) -> Result<Tax, String> {
    let percent = TaxPercent::try_from(percent).map_err(|error| error.to_string())?;
    Ok(Tax { name: name.to_owned(), percent, account_number })
}

/// Reads `--rounding`.
pub(crate) fn rounding(text: &str) -> Result<Rounding, String> {
    let (mode, scope) = text.split_once(',').unwrap_or((text, "total"));
    let mode = match mode {
        "half-up" => RoundingMode::HalfUp,
        "half-even" => RoundingMode::HalfEven,
        "down" => RoundingMode::Down,
        _ => return Err(format!("`{mode}` is not half-up, half-even or down")),
    };
    let scope = match scope {
        "total" => RoundingScope::Total,
        "line" => RoundingScope::Line,
        _ => return Err(format!("`{scope}` is not total or line")),
    };
    Ok(Rounding { mode, scope })
}

impl Place {
    /// What `args` say.
    fn of(args: &RuleArgs, problems: &mut Problems) -> Option<Self> {
        let zone = args.timezone.as_deref().map(zone_named).transpose();
        let zone = problems.keep(zone.map_err(|problem| vec![problem]));
        let vat = args.vat.map(|percent| tax("VAT", percent, None)).transpose();
        let vat = problems.keep(vat.map_err(|problem| vec![format!("--vat: {problem}")]));
        let file = args.jurisdiction.as_deref();
        let jurisdiction = file.map(|path| input::read(path, input::json::<Jurisdiction>));
        let jurisdiction = problems.keep(jurisdiction.transpose())?;
        let stated: Vec<Tax> =
            args.tax.iter().map(|StatedTax(tax)| tax.clone()).chain(vat?).collect();
        let taxes = (!stated.is_empty()).then_some(stated);
        let lawful = jurisdiction.as_ref().map(|law| law.rounding);
        Some(Self {
            zone: zone?,
            rounding: args.rounding.or(lawful).unwrap_or_default(),
            taxes: taxes.or(jurisdiction.map(|law| law.taxes)),
        })
    }

    /// The zone to price in, which something else may tell where the arguments do not; `None`
    /// where neither the tariff nor the `terms` beside it have local times.
    pub(crate) fn zone(
        &self,
        tariff: &Tariff,
        terms: Option<&StatedTerms>,
        told: Option<Tz>,
        unknown: String,
    ) -> Result<Option<Tz>, String> {
        let zone = self.zone.or(told);
        let quiet = terms.is_some_and(|terms| !terms.0.idle.quiet_hours.is_empty());
        let needed = rating::needs_time_zone(tariff).map_err(|error| error.to_string())?;
        match needed || quiet {
            true if zone.is_none() => Err(unknown),
            needed => Ok(zone.filter(|_| needed)),
        }
    }

    /// The rules in the local time of the arguments' zone or the one that something else tells.
    /// Where neither does, local time does not matter, and times are shown in UTC.
    pub(crate) fn rules(&self, told: Option<Tz>) -> Rules<'_> {
        Rules {
            zone: self.zone.or(told).unwrap_or(Tz::UTC),
            taxes: self.taxes.as_deref(),
            rounding: self.rounding,
            plan: None,
            is_free: false,
        }
    }
}

fn zone_named(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let name = input::line(name);
        format!("--timezone: `{name}` is not an IANA time zone such as Europe/Amsterdam")
    })
}
