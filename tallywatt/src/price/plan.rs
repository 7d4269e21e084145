//! The plan beside the tariff, and what its account has used.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use plans::{Month, Plan, PlanVersion, Scope, Usage};
use quantities::{Money, PlanRef, RoundingMode};
use rating::PlanInForce;
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{
    input::{self, Problems},
    rules::RuleArgs,
};

/// What `--used` states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatedUse {
    kwh: Decimal,
    minutes: Decimal,
    idle_minutes: Decimal,
    spent: Decimal,
}

impl FromStr for StatedUse {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut stated = Self::default();
        for part in text.split(',') {
            let form = || format!("`{part}` is not kwh, minutes, idle_minutes or spent=NUMBER");
            let (name, value) = part.split_once('=').ok_or_else(form)?;
            let place = match name.trim() {
                "kwh" => &mut stated.kwh,
                "minutes" => &mut stated.minutes,
                "idle_minutes" => &mut stated.idle_minutes,
                "spent" => &mut stated.spent,
                _ => return Err(form()),
            };
            *place = value.trim().parse().map_err(|_| form())?;
            if place.is_sign_negative() {
                return Err(format!("`{part}`: nobody can have used less than nothing"));
            }
        }
        Ok(stated)
    }
}

impl StatedUse {
    /// As the usage of an account of `plan`, in the month in which a session starts `at`.
    fn usage(self, plan: &Plan, at: DateTime<Utc>) -> Option<Usage> {
        let ms = |minutes: Decimal| minutes.checked_mul(Decimal::from(60_000))?.to_i64();
        Some(Usage {
            month: Month::of(at, plan.time_zone),
            energy_wh: self.kwh.checked_mul(Decimal::ONE_THOUSAND)?,
            time_ms: ms(self.minutes)?,
            parking_ms: ms(self.idle_minutes)?,
            spent: Money::new(self.spent, plan.currency).round(RoundingMode::HalfUp).ok()?,
        })
    }
}

/// What the arguments say about a plan.
pub(crate) struct StatedPlan {
    plan: Option<Plan>,
    used: StatedUse,
}

impl StatedPlan {
    pub(crate) fn of(args: &RuleArgs, problems: &mut Problems) -> Option<Self> {
        let plan = args.plan.as_ref().map(|path| input::read(path, plans::read::plan));
        let plan = problems.keep(plan.transpose())?;
        Some(Self { plan, used: args.used.unwrap_or_default() })
    }

    /// What has to be taken for granted about it.
    pub(crate) fn note(&self) -> Option<String> {
        let limited = self.plan.as_ref().is_some_and(|plan| plan.sites != Scope::All);
        limited.then(|| "the plan is for some sites only; this is taken to be one".to_owned())
    }

    /// The plan for a session that starts `at`.
    pub(crate) fn at(self, at: DateTime<Utc>) -> Result<PlanAt, String> {
        let Some(plan) = self.plan else { return Ok(PlanAt(None)) };
        let used = self.used.usage(&plan, at).ok_or("--used: more than anybody can have used")?;
        let reference = PlanRef { id: plan.id.clone(), version: 1 };
        let version = PlanVersion { reference, from: DateTime::UNIX_EPOCH, plan };
        Ok(PlanAt(Some((version, used))))
    }
}

/// A plan and what was used of it.
pub(crate) struct PlanAt(Option<(PlanVersion, Usage)>);

impl PlanAt {
    pub(crate) fn in_force(&self) -> Option<PlanInForce<'_>> {
        self.0.as_ref().map(|(plan, used)| PlanInForce { plan, used })
    }
}
