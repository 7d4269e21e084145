//! What must hold of some kinds of visits beside.

use std::collections::{BTreeMap, BTreeSet};

use ledger::Account;
use serde_json::Value;

use super::{Evidence, check, price};
use crate::{
    closing::{Check, SessionRows},
    storm::{
        afterwards::given_back,
        crowd::{CONTRACT, FLEET},
        kind::Kind,
        visit::Visited,
    },
};

/// What is held at first where holds grow.
const FIRST_HOLD: i64 = 1_000;

impl Evidence<'_> {
    /// The visits of some kinds that became sessions.
    fn of(&self, kinds: &[Kind]) -> impl Iterator<Item = (&Visited, &SessionRows)> {
        let visits = self.visits.iter().filter(move |it| kinds.contains(&it.visit.kind));
        visits.filter_map(|visited| Some((visited, self.rows(visited)?)))
    }

    /// What went beyond its hold was paid by one larger hold: the same one, raised, or the second,
    /// the first having been released.
    pub(super) fn grown_holds(&self) -> Check {
        let mut wrong = Vec::new();
        let mut intents = self.intents(&mut wrong);
        let (mut raised, mut replaced) = (0, 0);
        for (visited, _) in self.of(&[Kind::Raised, Kind::SecondHold]) {
            let theirs = visited.played.session_id.and_then(|id| intents.remove(&id));
            let mut seen: Vec<_> =
                theirs.iter().flatten().map(|it| (it.status, it.amount)).collect();
            seen.sort_unstable();
            match (visited.visit.kind, seen.as_slice()) {
                (Kind::Raised, [("succeeded", amount)]) if *amount > FIRST_HOLD => raised += 1,
                (Kind::SecondHold, [("canceled", FIRST_HOLD), ("succeeded", amount)])
                    if *amount > FIRST_HOLD =>
                {
                    replaced += 1;
                }
                _ => wrong.push(format!("{}: {seen:?}", visited.played.case.name)),
            }
        }
        let detail = format!("{raised} raised, {replaced} replaced");
        check("what outgrew its hold was paid by a larger one", &wrong, detail)
    }

    /// What an account pays is its debt in the books, and Stripe hears nothing of it.
    pub(super) fn invoiced(&self) -> Check {
        let mut wrong = Vec::new();
        let intents = self.intents(&mut wrong);
        let mut count = 0;
        for (visited, rows) in self.of(&[Kind::Fleet, Kind::Contract]) {
            let account = if visited.visit.kind == Kind::Fleet { FLEET } else { CONTRACT };
            let debtors: BTreeSet<_> =
                rows.journal.iter().map(|it| it.debtor().map(|debtor| debtor.as_str())).collect();
            let booked = rows.journal.iter().map(|it| it.net_minor(Account::InvoicedReceivable));
            let booked: i64 = booked.sum();
            let asked = visited.played.session_id.is_some_and(|id| intents.contains_key(&id));
            let owed = price(visited).map_or(-1, |price| price.minor);
            if booked != owed || debtors != BTreeSet::from([Some(account)]) || asked {
                let name = &visited.played.case.name;
                wrong.push(format!("{name}: {debtors:?} owes {booked}, Stripe was asked: {asked}"));
            }
            count += 1;
        }
        check("accounts owe what they are to, and no card", &wrong, format!("{count} sessions"))
    }

    /// What was to be given back was, once, by Stripe, with a credit note; and nothing else.
    pub(super) fn given_back(&self) -> Check {
        let mut wrong = Vec::new();
        let mut intents = self.intents(&mut wrong);
        let charges = self.stripe.get("charges").and_then(Value::as_array).into_iter().flatten();
        let refunded: BTreeMap<&str, i64> = charges
            .filter_map(|charge| {
                Some((charge.get("id")?.as_str()?, charge.get("amount_refunded")?.as_i64()?))
            })
            .collect();
        let mut count = 0;
        let mut notes = BTreeSet::new();
        for visited in self.visits {
            let Some(id) = visited.played.session_id else { continue };
            let theirs = intents.remove(&id).unwrap_or_default();
            let of = |charge: &str| refunded.get(charge).copied().unwrap_or_default();
            let back: i64 = theirs.iter().filter_map(|it| it.charge).map(of).sum();
            let meant = price(visited).map(|price| given_back(visited.visit.kind, price).minor);
            let [credited, paid] = ["credit_note.issued", "payment.refunded"].map(|kind| {
                let events = self.received.events.values();
                let about = |event: &&Value| {
                    event.get("type").and_then(Value::as_str) == Some(kind)
                        && event.pointer("/data/session_id").and_then(Value::as_str)
                            == Some(id.to_string().as_str())
                };
                events.filter(about).collect::<Vec<_>>()
            });
            let sum = |events: &[&Value]| -> i64 {
                let amounts = events.iter().map(|event| event.pointer("/data/amount/minor"));
                amounts.map(|amount| amount.and_then(Value::as_i64).unwrap_or(-1)).sum()
            };
            let once = usize::from(meant.as_ref().is_ok_and(|meant| *meant > 0));
            let told = (credited.len(), sum(&credited), paid.len(), sum(&paid));
            if meant.as_ref().ok() != Some(&back) || told != (once, back, once, back) {
                let name = &visited.played.case.name;
                wrong.push(format!("{name}: {back} given back of {meant:?}, told {told:?}"));
            }
            let numbers = credited.iter().filter_map(|note| note.pointer("/data/number")?.as_str());
            notes.extend(numbers.map(str::to_owned));
            count += once;
        }
        // One seller, one series.
        let series: BTreeSet<_> = (1..=count).map(|number| format!("CN-{number:06}")).collect();
        if notes != series {
            wrong.push(format!("the credit notes are {notes:?}"));
        }
        check(
            "given back what was to be, with its credit note",
            &wrong,
            format!("{count} sessions"),
        )
    }
}
