//! The plan of a member or a fleet, and its versions.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ocpi::{TariffDimensionType, number};
use quantities::{Currency, Money, PlanId, PlanRef, SiteId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// One immutable version of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanVersion {
    /// Which plan, and which version of it.
    pub reference: PlanRef,
    /// Sessions that start from this moment on have it, until a later version begins.
    pub from: DateTime<Utc>,
    /// What it says.
    pub plan: Plan,
}

/// The version of one plan that a session which starts at `at` has: the latest to have begun; of
/// two that began at one moment, the higher. `None` before the first.
///
/// `versions` are of one plan, in any order.
#[must_use]
pub fn in_force(versions: &[PlanVersion], at: DateTime<Utc>) -> Option<&PlanVersion> {
    let begun = versions.iter().filter(|version| version.from <= at);
    begun.max_by_key(|version| (version.from, version.reference.version))
}

/// What a membership or a fleet contract changes about a tariff.
///
/// It comes on top of the tariff that is on offer to the driver's tier, and applies to the prices
/// as that tariff states them: with tax where they include it, without where they do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// What the receipt calls it.
    pub name: String,
    /// The currency of its amounts and prices; it applies to tariffs in it.
    pub currency: Currency,
    /// Whose calendar months count.
    pub time_zone: Tz,
    /// Where it applies.
    #[serde(default)]
    pub sites: Scope,
    /// What is cheaper, at most one a dimension.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    /// Whether starting a session (`FLAT`) costs nothing.
    #[serde(default)]
    pub waive_start_fee: bool,
    /// What is free, at most one a dimension; shared by all who charge on the account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowances: Vec<Allowance>,
    /// How much the account may spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spending_cap: Option<SpendingCap>,
    /// What accounting files it under, unless the membership names its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_centre: Option<String>,
}

impl Plan {
    /// The discount on `dimension`, if there is one.
    #[must_use]
    pub fn discount(&self, dimension: TariffDimensionType) -> Option<&Discount> {
        self.discounts.iter().find(|discount| discount.dimension == dimension)
    }

    /// What is free of `dimension`, if anything is.
    #[must_use]
    pub fn allowance(&self, dimension: TariffDimensionType) -> Option<&Allowance> {
        self.allowances.iter().find(|allowance| allowance.dimension == dimension)
    }
}

/// Where a plan applies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// At every site.
    #[default]
    All,
    /// At the sites named, and at every site of the groups named.
    Only {
        /// Sites.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sites: Vec<SiteId>,
        /// Groups of sites, as the sites name them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
    },
}

impl Scope {
    /// Whether it covers `site`, which belongs to `groups`.
    #[must_use]
    pub fn covers(&self, site: &SiteId, groups: &[String]) -> bool {
        match self {
            Self::All => true,
            Self::Only { sites, groups: covered } => {
                sites.contains(site) || groups.iter().any(|group| covered.contains(group))
            }
        }
    }
}

/// A lower price for one dimension. It applies to what an allowance of the dimension left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// The dimension, as the tariff prices it.
    pub dimension: TariffDimensionType,
    /// What happens to its price.
    pub by: Reduction,
}

/// What a discount does to a price: per kWh, per hour, or per session for `FLAT`, as in OCPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Takes off this many percent.
    Percent(#[serde(with = "number")] Decimal),
    /// Takes off this much of the plan's currency per unit; a price never falls below zero.
    Amount(#[serde(with = "number")] Decimal),
    /// Takes the place of the price per unit, where the tariff asks one: what it gives for nothing
    /// stays for nothing.
    Price(#[serde(with = "number")] Decimal),
}

/// A quantity that costs nothing, used in order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// `ENERGY`, `TIME` or `PARKING_TIME`. A free start is [`Plan::waive_start_fee`].
    pub dimension: TariffDimensionType,
    /// kWh of energy, minutes of time.
    #[serde(with = "number")]
    pub quantity: Decimal,
    /// How often it is given anew.
    pub per: Period,
}

/// How often something is given anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// For every session.
    Session,
    /// For every calendar month of the account, in the plan's time zone.
    Month,
}

/// What an account may spend in a calendar month. A session that crosses it is billed in full and
/// says so; afterwards the account starts no session until the month is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StatedCap", into = "StatedCap")]
pub struct SpendingCap {
    /// The amount, taxes included.
    pub amount: Money,
}

/// A cap as it is written: the period is spelled out, so that nobody has to guess it.
#[derive(Serialize, Deserialize)]
struct StatedCap {
    #[serde(with = "number")]
    amount: Decimal,
    currency: Currency,
    per: Period,
}

impl From<SpendingCap> for StatedCap {
    fn from(cap: SpendingCap) -> Self {
        let Money { value, currency } = cap.amount;
        Self { amount: value, currency, per: Period::Month }
    }
}

impl TryFrom<StatedCap> for SpendingCap {
    type Error = &'static str;

    fn try_from(stated: StatedCap) -> Result<Self, &'static str> {
        match stated.per {
            Period::Month => Ok(Self { amount: Money::new(stated.amount, stated.currency) }),
            Period::Session => Err("a spending cap is per month; a session has the max_price"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u32, from: &str) -> PlanVersion {
        let text = r#"{"id":"gold","name":"Gold","currency":"EUR","time_zone":"Europe/Berlin"}"#;
        PlanVersion {
            reference: PlanRef { id: "gold".parse().unwrap(), version: number },
            from: from.parse().unwrap(),
            plan: serde_json::from_str(text).unwrap(),
        }
    }

    #[test]
    fn a_session_has_the_version_that_had_begun_when_it_started() {
        let versions = [
            version(2, "2026-02-01T00:00:00Z"),
            version(1, "2026-01-01T00:00:00Z"),
            // A correction from the same moment on.
            version(3, "2026-02-01T00:00:00Z"),
        ];
        let at = |at: &str| in_force(&versions, at.parse().unwrap()).map(|v| v.reference.version);
        assert_eq!(at("2025-12-31T23:59:59Z"), None);
        assert_eq!(at("2026-01-31T23:59:59Z"), Some(1));
        assert_eq!(at("2026-02-01T00:00:00Z"), Some(3));
        assert!(in_force(&[], "2026-02-01T00:00:00Z".parse().unwrap()).is_none());
    }

    #[test]
    fn a_plan_covers_the_sites_and_the_groups_that_it_names() {
        let city = "city".to_owned();
        let scope = Scope::Only { sites: vec!["S1".parse().unwrap()], groups: vec![city.clone()] };
        let (s1, s2) = ("S1".parse().unwrap(), "S2".parse().unwrap());
        assert!(scope.covers(&s1, &[]));
        assert!(!scope.covers(&s2, &[]));
        assert!(!scope.covers(&s2, &["country".to_owned()]));
        assert!(scope.covers(&s2, &["country".to_owned(), city]));
        assert!(Scope::All.covers(&s2, &[]));
    }

    #[test]
    fn the_stored_form_of_a_plan_stays_readable() {
        let stored = r#"{"id":"fleet","name":"Fleet","currency":"EUR","time_zone":"Europe/Berlin","sites":{"only":{"sites":["S1"],"groups":["depots"]}},"discounts":[{"dimension":"ENERGY","by":{"price":0.35}},{"dimension":"TIME","by":{"percent":12.5}},{"dimension":"FLAT","by":{"amount":0.5}}],"waive_start_fee":false,"allowances":[{"dimension":"ENERGY","quantity":2000,"per":"month"}],"spending_cap":{"amount":5000,"currency":"EUR","per":"month"},"cost_centre":"4711"}"#;
        let plan: Plan = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&plan).unwrap(), stored);
        assert_eq!(crate::read::plan(stored).unwrap(), plan);
        assert_eq!(
            plan.discount(TariffDimensionType::Energy).unwrap().by,
            Reduction::Price(Decimal::new(35, 2))
        );
        assert!(plan.allowance(TariffDimensionType::Time).is_none());
    }
}
