//! The account's balance: what every movement of money leaves behind, and the payouts that empty
//! it. <https://docs.stripe.com/api/balance_transactions>, <https://docs.stripe.com/api/payouts>

use serde_json::{Value, json};

use super::{Answer, Params, World};

const DAY_S: i64 = 24 * 3600;
/// From a payment to the day it can be paid out
/// (<https://docs.stripe.com/payouts#payout-speed>: it depends on the country; two days are usual).
const AVAILABLE_AFTER_S: i64 = 2 * DAY_S;

/// One movement of the balance.
#[derive(Debug, Clone)]
pub(crate) struct BalanceTransaction {
    pub(crate) id: String,
    /// Gross, in minor units; negative when money leaves.
    pub(crate) amount: i64,
    /// Stripe's fee for it.
    pub(crate) fee: i64,
    pub(crate) currency: String,
    created: i64,
    available_on: i64,
    kind: Kind,
    /// The charge, refund, dispute or payout that moved it.
    source: String,
    payout: Option<String>,
}

/// `balance_transaction.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Charge,
    Refund,
    RefundFailure,
    /// A dispute that takes money, or gives it back.
    Adjustment,
    Payout,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::RefundFailure => "refund_failure",
            Self::Adjustment => "adjustment",
            Self::Payout => "payout",
        }
    }

    /// <https://docs.stripe.com/reports/reporting-categories>
    const fn reporting_category(self, amount: i64) -> &'static str {
        match self {
            Self::Adjustment if amount > 0 => "dispute_reversal",
            Self::Adjustment => "dispute",
            other => other.name(),
        }
    }
}

impl BalanceTransaction {
    pub(crate) fn render(&self, now: i64) -> Value {
        let fees: Vec<Value> = (self.fee != 0)
            .then(|| {
                json!({
                    "amount": self.fee,
                    "application": null,
                    "currency": self.currency,
                    "description": "Stripe processing fees",
                    "type": "stripe_fee",
                })
            })
            .into_iter()
            .collect();
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": self.available_on,
            "balance_type": "payments",
            "created": self.created,
            "currency": self.currency,
            "description": null,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": fees,
            "net": self.amount - self.fee,
            "reporting_category": self.kind.reporting_category(self.amount),
            "source": self.source,
            "status": if self.available_on <= now { "available" } else { "pending" },
            "type": self.kind.name(),
        })
    }

    const fn net(&self) -> i64 {
        self.amount - self.fee
    }
}

/// 1.5 % and 25 minor units, as for European cards at <https://stripe.com/pricing>; half a minor
/// unit counts as a whole one.
pub(crate) const fn charge_fee(amount: i64) -> i64 {
    (amount * 15 + 500) / 1000 + 25
}

/// Notes a movement and gives its id.
pub(crate) fn note(
    world: &mut World,
    kind: Kind,
    amount: i64,
    fee: i64,
    currency: &str,
    source: &str,
) -> String {
    let id = world.id("txn");
    let waits = if amount > 0 { AVAILABLE_AFTER_S } else { 0 };
    let transaction = BalanceTransaction {
        id: id.clone(),
        amount,
        fee,
        currency: currency.to_owned(),
        created: world.now,
        available_on: world.now + waits,
        kind,
        source: source.to_owned(),
        payout: None,
    };
    world.balance_transactions.insert(&id, transaction);
    id
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.balance_transactions.get(id)?.render(world.now))
}

/// With `payout`, what a payout consists of: how payouts are reconciled
/// (<https://docs.stripe.com/payouts/reconciliation>).
pub(crate) fn list(world: &World, mut params: Params) -> Answer<Value> {
    let payout = params.text("payout");
    if let Some(payout) = &payout {
        world.payouts.referenced(payout, "payout")?;
    }
    let (source, kind) = (params.text("source"), params.text("type"));
    let keep = |transaction: &BalanceTransaction| {
        payout.is_none_or_eq(transaction.payout.as_ref())
            && source.is_none_or_eq(Some(&transaction.source))
            && kind.as_ref().is_none_or(|kind| transaction.kind.name() == kind)
    };
    let now = world.now;
    let url = "/v1/balance_transactions";
    world.balance_transactions.page(params, url, keep, |transaction| transaction.render(now))
}

/// A filter that holds for everything when it is not set.
trait Filter {
    fn is_none_or_eq(&self, other: Option<&String>) -> bool;
}

impl Filter for Option<String> {
    fn is_none_or_eq(&self, other: Option<&String>) -> bool {
        self.is_none() || self.as_ref() == other
    }
}

/// Money on its way to the bank.
#[derive(Debug, Clone)]
pub(crate) struct Payout {
    pub(crate) id: String,
    amount: i64,
    currency: String,
    created: i64,
    balance_transaction: String,
}

impl Payout {
    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id,
            "object": "payout",
            "amount": self.amount,
            "application_fee": null,
            "application_fee_amount": null,
            "arrival_date": self.created,
            "automatic": true,
            "balance_transaction": self.balance_transaction,
            "created": self.created,
            "currency": self.currency,
            "description": "STRIPE PAYOUT",
            "destination": "ba_twin",
            "failure_balance_transaction": null,
            "failure_code": null,
            "failure_message": null,
            "livemode": false,
            "metadata": {},
            "method": "standard",
            "original_payout": null,
            "reconciliation_status": "completed",
            "reversed_by": null,
            "source_type": "card",
            "statement_descriptor": null,
            "status": "paid",
            "trace_id": null,
            "type": "bank_account",
        })
    }
}

pub(crate) fn retrieve_payout(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.payouts.get(id)?.render())
}

pub(crate) fn list_payouts(world: &World, params: Params) -> Answer<Value> {
    world.payouts.page(params, "/v1/payouts", |_| true, Payout::render)
}

/// Pays out what has become available, once a UTC day and per currency
/// (<https://docs.stripe.com/payouts#payout-schedule>, "daily"). What is owed to Stripe waits for
/// better days.
pub(crate) fn pay_out(world: &mut World) {
    let day = world.now / DAY_S;
    if std::mem::replace(&mut world.paid_out_until, day) == day {
        return;
    }
    let available = |t: &&BalanceTransaction| t.payout.is_none() && t.available_on / DAY_S < day;
    let due = world.balance_transactions.iter().filter(available);
    let mut currencies: Vec<String> = due.map(|t| t.currency.clone()).collect();
    currencies.sort();
    currencies.dedup();
    for currency in currencies {
        let due = world.balance_transactions.iter().filter(available);
        let due: Vec<(String, i64)> =
            due.filter(|t| t.currency == currency).map(|t| (t.id.clone(), t.net())).collect();
        let amount: i64 = due.iter().map(|(_, net)| net).sum();
        if amount <= 0 {
            continue;
        }
        let id = world.id("po");
        let balance_transaction = note(world, Kind::Payout, -amount, 0, &currency, &id);
        let parts = due.iter().map(|(part, _)| part).chain([&balance_transaction]);
        for part in parts {
            if let Ok(transaction) = world.balance_transactions.get_mut(part) {
                transaction.payout = Some(id.clone());
            }
        }
        let created = world.now;
        let payout = Payout { id: id.clone(), amount, currency, created, balance_transaction };
        let rendered = payout.render();
        world.payouts.insert(&id, payout);
        world.emit("payout.created", rendered.clone());
        world.emit("payout.paid", rendered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_s_payout_is_the_sum_of_its_parts_and_comes_once() {
        let mut world = World::new(1);
        world.tick(10 * DAY_S);
        note(&mut world, Kind::Charge, 10_000, charge_fee(10_000), "eur", "ch_1");
        note(&mut world, Kind::Refund, -1_000, 0, "eur", "re_1");
        world.tick(11 * DAY_S);
        assert_eq!(world.payouts.len(), 0, "the refund alone is no payout");
        world.tick(13 * DAY_S);
        let payout = world.payouts.iter().next().unwrap().clone();
        assert_eq!(payout.amount, 10_000 - 175 - 1_000);
        let parts = world.balance_transactions.iter().filter(|t| t.payout.is_some());
        assert_eq!(parts.map(BalanceTransaction::net).sum::<i64>(), 0);
        world.tick(14 * DAY_S);
        assert_eq!(world.payouts.len(), 1);
    }
}
