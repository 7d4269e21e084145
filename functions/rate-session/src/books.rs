//! What a price books, and what it counts against the account.

use chrono::{DateTime, Utc};
use ledger::{Account, JournalEntry, Sale, TaxOwed};
use network::{Payer, PlanMembership};
use quantities::{Amount, MoneyError};
use rating::{Item, PricedSession, TaxTotal};
use session::Session;
use store::{PlanState, UsageChange};

/// A price, what it books, and what it counts against the account.
#[derive(Debug)]
pub(crate) struct Bill<'a> {
    pub(crate) priced: PricedSession,
    pub(crate) journal: JournalEntry,
    pub(crate) usage: Option<UsageChange<'a>>,
}

impl<'a> Bill<'a> {
    /// The books of `priced`.
    ///
    /// # Errors
    ///
    /// When amounts do not add up.
    pub(crate) fn new(
        session: &'a Session,
        priced: PricedSession,
        plan: Option<&'a PlanState>,
        booked_at: DateTime<Utc>,
    ) -> anyhow::Result<Self> {
        let journal = sale(session, &priced, plan, booked_at)?;
        let usage = usage(session, &priced, plan)?;
        Ok(Self { priced, journal, usage })
    }
}

/// The sale of `session`: what it costs, each tax in it, and what its plan took off.
fn sale(
    session: &Session,
    priced: &PricedSession,
    plan: Option<&PlanState>,
    booked_at: DateTime<Utc>,
) -> anyhow::Result<JournalEntry> {
    let (receivable, debtor) = match &session.payer {
        Payer::Roaming { .. } => (Account::RoamingReceivable, None),
        Payer::Account { account, .. } => (Account::InvoicedReceivable, Some(account.clone())),
        Payer::Card { .. } | Payer::Reader | Payer::Free | Payer::Unknown => {
            (Account::AccountsReceivable, None)
        }
    };
    let owed = |tax: &TaxTotal| {
        let TaxTotal { name, percent, account_number, amount, .. } = tax.clone();
        (TaxOwed { name: name.into_owned(), percent, account_number }, amount)
    };
    Ok(JournalEntry::sale(Sale {
        id: format!("sale:{}", session.id),
        booked_at,
        receivable,
        debtor,
        gross: priced.gross(),
        reductions: reductions(priced)?,
        taxes: priced.taxes.iter().map(owed).collect(),
        seller: session.jurisdiction.seller.as_ref().map(|seller| seller.name.clone()),
        cost_centre: session.plan.as_ref().and_then(|member| cost_centre(member, plan)),
    })?)
}

/// The membership's own, else its plan's.
fn cost_centre(member: &PlanMembership, plan: Option<&PlanState>) -> Option<String> {
    let of_plan = || plan.and_then(|plan| plan.version.plan.cost_centre.clone());
    member.cost_centre.clone().or_else(of_plan)
}

/// What the plan took off the tariff's prices, or the whole price where nobody pays, before taxes;
/// negative where the plan's own price is above the tariff's.
fn reductions(priced: &PricedSession) -> Result<Amount, MoneyError> {
    let by_plan = [Item::StartFeeWaived, Item::Allowance, Item::Discount, Item::Free];
    let lines = priced.lines.iter().filter(|line| by_plan.contains(&line.item));
    let zero = Amount::zero(priced.currency);
    lines.map(|line| line.amount.excl_vat).try_fold(zero, Amount::checked_sub)
}

/// What the account has used with this session, where a plan counts it.
fn usage<'a>(
    session: &'a Session,
    priced: &PricedSession,
    plan: Option<&'a PlanState>,
) -> anyhow::Result<Option<UsageChange<'a>>> {
    let (Some(member), Some(plan), Some(applied)) = (&session.plan, plan, &priced.plan) else {
        return Ok(None);
    };
    let read = &plan.usage;
    let after = read.used.checked_add(&applied.usage)?;
    let month_end = after.month.end(plan.version.plan.time_zone);
    let month_end = month_end.filter(|_| applied.spending_cap_reached);
    // What began before this session's end had every right to.
    let capped = session.ended_at.zip(month_end);
    Ok(Some(UsageChange { member, read, after, capped }))
}
