//! What must hold of some kinds of visits beside.

use std::collections::{BTreeMap, BTreeSet};

use ledger::Account;
use quantities::AccountId;
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

/// So many more drivers can leave before there is the hold they stay for than do not.
const FEW_LEFT: usize = 2;
/// What is held at first where holds grow.
const FIRST_HOLD: i64 = 1_000;

impl Evidence<'_> {
    /// The visits of some kinds that became sessions.
    fn of(&self, kinds: &[Kind]) -> impl Iterator<Item = (&Visited, &SessionRows)> {
        let visits = self.visits.iter().filter(move |it| kinds.contains(&it.visit.kind));
        visits.filter_map(|visited| Some((visited, self.rows(visited)?)))
    }

    /// What went beyond its hold was paid by one larger hold: the same one, raised, or the second,
    /// the first having been released. Where the driver left before Stripe could be reached it is
    /// charged otherwise, by which no hold is left open; no more than a few more of them leave than
    /// stay.
    pub(super) fn grown_holds(&self) -> Check {
        let mut wrong = Vec::new();
        let mut intents = self.intents(&mut wrong);
        let (mut raised, mut replaced, mut left) = (0, 0, 0);
        for (visited, _) in self.of(&[Kind::Raised, Kind::SecondHold]) {
            let theirs = visited.played.session_id.and_then(|id| intents.remove(&id));
            let mut seen: Vec<_> =
                theirs.iter().flatten().map(|it| (it.status, it.amount)).collect();
            seen.sort_unstable();
            let is_over = |(status, _): &(&str, i64)| ["canceled", "succeeded"].contains(status);
            if visited.in_vain && seen.iter().all(is_over) {
                left += 1;
                continue;
            }
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
        if left > FEW_LEFT + raised + replaced {
            wrong.push(format!("{left} drivers left before Stripe answered"));
        }
        let detail = format!("{raised} raised, {replaced} replaced, {left} left before an answer");
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
                rows.journal.iter().map(|it| it.debtor().map(AccountId::as_str)).collect();
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
        let refunded = self.refunded();
        let mut numbers = BTreeSet::new();
        let mut count = 0;
        for visited in self.visits {
            let Some(id) = visited.played.session_id else { continue };
            let theirs = intents.remove(&id).unwrap_or_default();
            let back = theirs.iter().filter_map(|intent| refunded.get(intent.id)).sum();
            let meant = price(visited).map(|price| given_back(visited.visit.kind, price).minor);
            let once: &[i64] = if back == 0 { &[] } else { &[back] };
            let [notes, refunds] = ["credit_note.issued", "payment.refunded"]
                .map(|kind| self.told(kind, &id.to_string()));
            let amounts =
                [&notes, &refunds].map(|told| told.iter().map(|it| it.0).collect::<Vec<_>>());
            if meant.as_ref().ok() != Some(&back) || amounts.iter().any(|told| told != once) {
                let name = &visited.played.case.name;
                wrong.push(format!("{name}: {back} given back of {meant:?}, told {amounts:?}"));
            }
            numbers.extend(notes.into_iter().filter_map(|(_, number)| number));
            count += once.len();
        }
        // One seller, one series.
        let parts = numbers.iter().filter_map(|it| it.rsplit_once('-'));
        let (series, places): (BTreeSet<&str>, BTreeSet<usize>) = parts
            .map(|(series, place)| (series, place.parse::<usize>().unwrap_or_default()))
            .unzip();
        if series.len() > 1 || places != (1..=count).collect() {
            wrong.push(format!("the credit notes are {numbers:?}"));
        }
        check(
            "given back what was to be, with its credit note",
            &wrong,
            format!("{count} sessions"),
        )
    }

    /// What Stripe has given back, by PaymentIntent.
    fn refunded(&self) -> BTreeMap<&str, i64> {
        let mut sums = BTreeMap::new();
        let refunds = self.stripe.get("refunds").and_then(Value::as_array).into_iter().flatten();
        let good =
            refunds.filter(|it| it.get("status").and_then(Value::as_str) == Some("succeeded"));
        for refund in good {
            let intent = refund.get("payment_intent").and_then(Value::as_str).unwrap_or_default();
            let amount = refund.get("amount").and_then(Value::as_i64).unwrap_or(i64::MIN);
            *sums.entry(intent).or_default() += amount;
        }
        sums
    }

    /// The events of a kind about a session that accounting was told: amount, and number if it has
    /// one.
    fn told(&self, kind: &str, session: &str) -> Vec<(i64, Option<String>)> {
        let text = |event: &Value, path: &str| event.pointer(path)?.as_str().map(str::to_owned);
        let events = self.received.events.values().filter(|event| {
            text(event, "/type").as_deref() == Some(kind)
                && text(event, "/data/session_id").as_deref() == Some(session)
        });
        let read = |event: &Value| {
            let amount = event.pointer("/data/amount/minor").and_then(Value::as_i64);
            (amount.unwrap_or(-1), text(event, "/data/number").filter(|it| it.starts_with("CN-")))
        };
        events.map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use quantities::{SessionId, TransactionId};
    use serde_json::json;

    use super::*;
    use crate::{
        charger::PlayReport,
        inbox::Received,
        scenario::{Case, Played},
        storm::{kind::Ending, plan},
    };

    /// 10 kWh by day: 4.00, with 21 % VAT 4.84.
    fn visited(kind: Kind) -> Visited {
        let stations = plan::draw(100, 10, 1).unwrap();
        let mut visits = stations.iter().flat_map(|station| &station.visits);
        let visit = visits.find(|visit| visit.kind == kind).unwrap().clone();
        let charger = "CP1";
        let case = json!({
            "name": kind.name(), "shows": "", "chargePointId": charger, "site": "AMS-01",
            "idTag": "TAG", "energyWh": 10_000, "outcome": "rated",
        });
        let case: Case = serde_json::from_value(case).unwrap();
        let session_id = SessionId::of(&case.charge_point_id, TransactionId(1));
        let report = PlayReport {
            recording: String::new(),
            charge_point_id: charger.to_owned(),
            exchanges: Vec::new(),
            transactions: Vec::new(),
            final_statuses: BTreeMap::new(),
            connections: 1,
            retries: 0,
            ended_early: None,
            faults: Vec::new(),
        };
        let played = Played { case, report, session_id: Some(session_id) };
        Visited { visit, played, in_vain: false }
    }

    /// Whether the checks of grown holds, accounts and money given back hold when Stripe has these
    /// PaymentIntents (status, amount) and gave this back, and accounting was told so.
    fn holds(kind: Kind, intents: &[(&str, i64)], back: i64, told: &[i64]) -> [bool; 3] {
        holds_of(&[visited(kind)], intents, back, told)
    }

    /// The same of visits that are all one session.
    fn holds_of(visits: &[Visited], intents: &[(&str, i64)], back: i64, told: &[i64]) -> [bool; 3] {
        let id = visits[0].played.session_id.unwrap();
        let intents = intents.iter().zip(1..).map(|((status, amount), number)| {
            json!({
                "id": format!("pi_{number}"), "status": status, "capture_method": "manual",
                "amount": amount, "amount_received": 0, "metadata": { "session_id": id },
            })
        });
        let refund = json!({ "payment_intent": "pi_1", "amount": back, "status": "succeeded" });
        let stripe = json!({ "payment_intents": intents.collect::<Vec<_>>(), "refunds": [refund] });
        let mut received = Received::default();
        for kind in ["credit_note.issued", "payment.refunded"] {
            for (number, amount) in (1..).zip(told) {
                let amount = json!({ "minor": amount, "currency": "EUR" });
                let number = format!("CN-9F3A2C-{number:06}");
                let data = json!({ "session_id": id, "amount": amount, "number": number });
                let event = json!({ "type": kind, "data": data });
                received.events.insert(format!("{kind}{number}"), event);
            }
        }
        let rows = SessionRows { payer: "account".to_owned(), ..SessionRows::default() };
        let sessions = BTreeMap::from([(id, rows)]);
        let evidence =
            Evidence { visits, sessions: &sessions, stripe: &stripe, received: &received };
        [evidence.grown_holds(), evidence.invoiced(), evidence.given_back()].map(|check| check.ok)
    }

    #[test]
    fn a_hold_that_did_not_grow_is_found() {
        let grown = |kind, intents: &[(&str, i64)]| holds(kind, intents, 0, &[])[0];
        assert!(grown(Kind::Raised, &[("succeeded", 1_500)]));
        assert!(!grown(Kind::Raised, &[("succeeded", 1_000)]));
        assert!(!grown(Kind::Raised, &[("succeeded", 1_500), ("succeeded", 300)]));
        assert!(grown(Kind::SecondHold, &[("canceled", 1_000), ("succeeded", 1_500)]));
        assert!(!grown(Kind::SecondHold, &[("requires_capture", 1_000), ("succeeded", 1_500)]));
        assert!(!grown(Kind::SecondHold, &[("succeeded", 1_500)]));
    }

    #[test]
    fn who_leaves_before_stripe_answers_leaves_no_hold_and_is_seldom() {
        let left = |count, intents: &[(&str, i64)]| {
            let visit = Visited { in_vain: true, ..visited(Kind::SecondHold) };
            holds_of(&vec![visit; count], intents, 0, &[])[0]
        };
        assert!(left(1, &[("canceled", 1_000), ("succeeded", 484)]));
        assert!(!left(1, &[("requires_capture", 1_000), ("succeeded", 484)]));
        assert!(left(FEW_LEFT, &[]) && !left(FEW_LEFT + 1, &[]));
    }

    #[test]
    fn who_leaves_before_the_hold_has_grown_may_owe_what_no_card_pays() {
        let is_as_meant = |kind, in_vain, found, owed| {
            super::super::is_as_meant(&Visited { in_vain, ..visited(kind) }, Some(found), owed)
        };
        assert!(is_as_meant(Kind::Raised, true, Ending::PartlyOwed, 42));
        assert!(!is_as_meant(Kind::Raised, true, Ending::PartlyOwed, 50));
        assert!(!is_as_meant(Kind::Raised, true, Ending::Owed, 42));
        assert!(!is_as_meant(Kind::Raised, false, Ending::PartlyOwed, 42));
        assert!(!is_as_meant(Kind::BelowMinimum, true, Ending::PartlyOwed, 42));
    }

    #[test]
    fn an_account_that_owes_nothing_in_the_books_is_found() {
        assert!(holds(Kind::Retail, &[], 0, &[])[1]);
        assert!(!holds(Kind::Fleet, &[], 0, &[])[1]);
    }

    #[test]
    fn what_was_given_back_twice_or_to_the_wrong_one_or_untold_is_found() {
        let back = |kind, amount, told: &[i64]| holds(kind, &[("succeeded", 484)], amount, told)[2];
        assert!(back(Kind::GivenBack, 484, &[484]));
        assert!(back(Kind::PartGivenBack, 161, &[161]));
        assert!(!back(Kind::PartGivenBack, 484, &[484]));
        assert!(!back(Kind::GivenBack, 484, &[]));
        assert!(!back(Kind::GivenBack, 484, &[242, 242]));
        assert!(!back(Kind::GivenBack, 0, &[]));
        assert!(!back(Kind::Retail, 484, &[484]));
        assert!(back(Kind::Retail, 0, &[]));
    }
}
