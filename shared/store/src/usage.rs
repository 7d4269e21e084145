//! What accounts have used under their plans. Partition: plan and account; sort key: the calendar
//! month, or `CAPPED` for the mark that the account has reached its spending cap.
//!
//! Ids have no `#` in them, so no two plans and accounts share a key.

use std::ops::RangeInclusive;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use network::{PlanMembership, Site};
use plans::{Month, Plan, PlanVersion, Usage};
use quantities::{Amount, Currency, MoneyError};
use rating::PlanInForce;
use session::Session;

use crate::{
    Change, Store, StoreError,
    item::{Item, PK, SK, from_document, s, sortable},
    sessions::document,
};

/// Sort key of the mark that an account has reached its cap.
const CAPPED: &str = "CAPPED";

/// Counts the changes of an item.
const REVISION: &str = "revision";

/// What an account has used in a month, as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountUsage {
    /// What it has used.
    pub used: Usage,
    /// How often it changed; 0 before the first time.
    revision: u64,
}

/// The plan of a session, and what its account had used when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanState {
    /// The version that was in force when the session started.
    pub version: PlanVersion,
    /// What the account has used in the month of the start.
    pub usage: AccountUsage,
}

impl PlanState {
    /// As rating wants it.
    #[must_use]
    pub const fn in_force(&self) -> PlanInForce<'_> {
        PlanInForce { plan: &self.version, used: &self.usage.used }
    }

    /// What the account may still spend in that month, if the plan has a cap.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    pub fn left_to_spend(&self) -> Result<Option<Amount>, MoneyError> {
        let cap = self.version.plan.spending_cap.as_ref();
        cap.map(|cap| cap.left(&self.usage.used)).transpose()
    }
}

/// What an account has used once a session is counted.
#[derive(Debug, Clone, Copy)]
pub struct UsageChange<'a> {
    /// Whose.
    pub member: &'a PlanMembership,
    /// As the price was computed from it.
    pub read: &'a AccountUsage,
    /// With the session.
    pub after: Usage,
    /// Once the account has reached its cap, from when to when it starts nothing more: to the end
    /// of the month.
    pub capped: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

fn usage_pk(member: &PlanMembership) -> String {
    format!("PLAN#{}#{}", member.plan, member.account)
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

impl Store {
    /// The plan that `session` is priced with, and what its account has used so far. `None`: it
    /// has none, or none that applies to its site, its currency or the moment it started. Two
    /// reads, or none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn plan_state(&self, session: &Session) -> Result<Option<PlanState>, StoreError> {
        let Some(member) = &session.plan else { return Ok(None) };
        // What is held is in the site's currency, which is that of its tariffs.
        let currency = session.hold.currency;
        let applies = |plan: &Plan| {
            plan.currency == currency && plan.sites.covers(&session.site_id, &session.site_groups)
        };
        self.plan_at(member, session.started_at, applies).await
    }

    /// The same for a session that `member` begins at `site` at `at`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn plan_state_at(
        &self,
        member: Option<&PlanMembership>,
        site: &Site,
        at: DateTime<Utc>,
    ) -> Result<Option<PlanState>, StoreError> {
        let Some(member) = member else { return Ok(None) };
        let applies = |plan: &Plan| {
            plan.currency == site.currency && plan.sites.covers(&site.id, &site.groups)
        };
        self.plan_at(member, at, applies).await
    }

    async fn plan_at(
        &self,
        member: &PlanMembership,
        at: DateTime<Utc>,
        applies: impl Fn(&Plan) -> bool,
    ) -> Result<Option<PlanState>, StoreError> {
        let versions = self.plan_versions(&member.plan).await?;
        let in_force = plans::in_force(&versions, at);
        let Some(version) = in_force.filter(|version| applies(&version.plan)) else {
            return Ok(None);
        };
        let plan = &version.plan;
        let usage = self.usage(member, Month::of(at, plan.time_zone), plan.currency).await?;
        Ok(Some(PlanState { version: version.clone(), usage }))
    }

    /// What an account has used in `month`; nothing, in `currency`, before its first session. One
    /// read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn usage(
        &self,
        member: &PlanMembership,
        month: Month,
        currency: Currency,
    ) -> Result<AccountUsage, StoreError> {
        let month_sk = month.to_string();
        let item = self.get(&self.tables.usage, &usage_pk(member), Some(&month_sk)).await?;
        let Some(item) = item else {
            return Ok(AccountUsage { used: Usage::none(month, currency), revision: 0 });
        };
        Ok(AccountUsage { used: from_document(&item)?, revision: revision(&item)? })
    }

    /// Until when an account starts nothing more, if it has reached its cap. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn capped_until(
        &self,
        member: &PlanMembership,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let item = self.get(&self.tables.usage, &usage_pk(member), Some(CAPPED)).await?;
        item.as_ref().map(capped_until).transpose()
    }

    /// Lets the change happen only if the account may start something all the while.
    pub(crate) fn unless_capped(
        &self,
        change: Change,
        member: &PlanMembership,
        must_be_free: &RangeInclusive<DateTime<Utc>>,
    ) -> Result<Change, StoreError> {
        let pk = usage_pk(member);
        change.check(
            &self.tables.usage,
            &[(PK, &pk), (SK, CAPPED)],
            "attribute_not_exists(pk) OR capped_until <= :from OR capped_since > :until",
            vec![
                (":from", s(sortable(*must_be_free.start()))),
                (":until", s(sortable(*must_be_free.end()))),
            ],
        )
    }

    /// Counts what a session used, if nothing else was counted since it was read.
    pub(crate) fn count(
        &self,
        change: Change,
        usage: &UsageChange<'_>,
    ) -> Result<Change, StoreError> {
        let UsageChange { member, read, after, .. } = usage;
        let mut item = document(&usage_pk(member), &after.month.to_string(), after)?;
        item.insert(REVISION.to_owned(), number(read.revision.saturating_add(1)));
        let table = &self.tables.usage;
        if read.revision == 0 {
            return change.put(table, item, Some("attribute_not_exists(pk)"));
        }
        let seen = vec![(":seen", number(read.revision))];
        change.put_if(table, item, Some("revision = :seen"), seen)
    }

    /// Marks the account as one that has reached its cap. The first mark of a month stands, and so
    /// does one of a later month.
    pub(crate) fn mark_capped(
        &self,
        change: Change,
        usage: &UsageChange<'_>,
        (since, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Change, StoreError> {
        let mut item = Item::new();
        item.insert(PK.to_owned(), s(usage_pk(usage.member)));
        item.insert(SK.to_owned(), s(CAPPED));
        item.insert("capped_since".to_owned(), s(sortable(since)));
        item.insert("capped_until".to_owned(), s(sortable(until)));
        let values = vec![(":until", s(sortable(until)))];
        let condition = "attribute_not_exists(pk) OR capped_until < :until";
        change.put_if(&self.tables.usage, item, Some(condition), values)
    }
}

fn revision(item: &Item) -> Result<u64, StoreError> {
    let found = item.get(REVISION).and_then(|value| value.as_n().ok());
    found.and_then(|text| text.parse().ok()).ok_or_else(|| corrupt("no revision".into()))
}

fn capped_until(item: &Item) -> Result<DateTime<Utc>, StoreError> {
    let text = crate::item::string(item, "capped_until")?;
    text.parse().map_err(|error: chrono::ParseError| corrupt(Box::new(error)))
}

fn corrupt(source: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Corrupt { key: "usage of an account".to_owned(), source }
}
