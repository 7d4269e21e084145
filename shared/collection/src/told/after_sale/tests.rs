//! Whatever the order of Stripe's news, each thing is told once and the books come out the same.

use network::{PaymentPolicy, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId};
use payments::money::{Card, News, Outcome, apply, learn, refund, request};
use quantities::{Currency, SessionId, TransactionId};

use super::*;

fn at(hour: i64) -> DateTime<Utc> {
    let noon: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    noon + chrono::TimeDelta::hours(hour)
}

fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::EUR)
}

fn intent() -> StripePaymentIntentId {
    StripePaymentIntentId("pi_1".to_owned())
}

/// A session of which 10.00 were held and taken.
fn paid() -> Payment {
    let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
    let customer = StripeCustomerId("cus_1".to_owned());
    let payment_method = StripePaymentMethodId("pm_1".to_owned());
    let card = Card::Saved { customer, payment_method };
    let placed = network::HoldRef::plain(intent(), eur(1000));
    let held = Payment::with_placed_hold(session, card, placed, PaymentPolicy::default());
    let (payment, step) = request(held.with_total(eur(1000)).unwrap(), at(0)).unwrap();
    apply(payment, &step, Outcome::Captured, at(0)).unwrap()
}

fn dispute(status: &str, hour: i64) -> Dispute {
    Dispute {
        id: "du_1".to_owned(),
        payment_intent: intent(),
        amount: eur(1000),
        reason: "fraudulent".to_owned(),
        status: status.to_owned(),
        due_by: None,
        withdrawn: false,
        reinstated: false,
        fee: None,
        as_of: at(hour),
    }
}

/// What is told when `news` comes in this order, and what it books in all.
fn heard(news: &[News]) -> (Vec<String>, Vec<(ledger::Account, i64)>) {
    let (mut payment, mut words, mut entries) = (paid(), Vec::new(), Vec::new());
    for news in news {
        let next = learn(payment.clone(), news.clone()).unwrap();
        for event in told(Some(&payment), &next, at(0)).unwrap() {
            entries.extend(event.journal().cloned());
            words.push(match &event {
                Event::PaymentDisputed { change, .. } => change.name().to_owned(),
                other => other.event_type().to_owned(),
            });
        }
        payment = next;
    }
    words.sort();
    let accounts = [
        ledger::Account::StripeClearing,
        ledger::Account::DisputedFunds,
        ledger::Account::DisputeFees,
        ledger::Account::ChargebackLosses,
    ];
    let net = |account| entries.iter().map(|entry| entry.net_minor(account)).sum();
    (words, accounts.map(|account| (account, net(account))).into())
}

/// Every order of `all`.
fn orders(all: &[News]) -> Vec<Vec<News>> {
    let Some((first, rest)) = all.split_first() else { return vec![vec![]] };
    let mut orders_of_all = Vec::new();
    for order in orders(rest) {
        for place in 0..=order.len() {
            let mut longer = order.clone();
            longer.insert(place, first.clone());
            orders_of_all.push(longer);
        }
    }
    orders_of_all
}

#[test]
fn a_dispute_is_told_the_same_in_whatever_order_stripe_tells_of_it() {
    let fee = Some(eur(1500));
    let opened = dispute("needs_response", 0);
    let withdrawn = Dispute { withdrawn: true, fee, ..dispute("needs_response", 0) };
    let answered = Dispute { withdrawn: true, fee, ..dispute("under_review", 1) };
    let back = Dispute { reinstated: true, withdrawn: true, fee, ..dispute("won", 2) };
    let won = [opened.clone(), withdrawn.clone(), answered.clone(), back.clone(), back];
    let lost = Dispute { withdrawn: true, fee, ..dispute("lost", 2) };
    let lost = [opened, withdrawn, answered, lost];
    let cases = [
        (
            won.to_vec(),
            ["fee_charged", "opened", "reinstated", "withdrawn", "won"].to_vec(),
            -1500,
            0,
        ),
        (lost.to_vec(), ["fee_charged", "lost", "opened", "withdrawn"].to_vec(), -2500, 1000),
    ];
    for (disputes, words, clearing, loss) in cases {
        let news: Vec<News> = disputes.into_iter().map(News::Dispute).collect();
        for order in orders(&news) {
            let (told, net) = heard(&order);
            assert_eq!(told, words, "{order:#?}");
            let minor: Vec<i64> = net.iter().map(|(_, minor)| *minor).collect();
            assert_eq!(minor, [clearing, 0, 1500, loss], "{order:#?}");
        }
    }
}

#[test]
fn a_dispute_of_which_only_the_verdict_is_heard_is_booked_in_full() {
    let lost = Dispute { withdrawn: true, fee: Some(eur(1500)), ..dispute("lost", 2) };
    let (told, _) = heard(&[News::Dispute(lost)]);
    assert_eq!(told, ["fee_charged", "lost", "opened", "withdrawn"]);
}

#[test]
fn a_refund_is_told_when_it_leaves_and_when_it_comes_back() {
    let asked = refund(paid(), eur(400), "slow", &[]).unwrap();
    let news = |state| News::Refund { number: 1, id: "re_1".to_owned(), state };
    let mut payment = asked;
    let mut words = Vec::new();
    for state in
        [RefundState::Pending, RefundState::Succeeded, RefundState::Failed, RefundState::Succeeded]
    {
        let next = learn(payment.clone(), news(state)).unwrap();
        let events = told(Some(&payment), &next, at(0)).unwrap();
        words.extend(events.iter().map(|event| (event.event_type(), event.journal().is_some())));
        payment = next;
    }
    assert_eq!(words, [("payment.refunded", true), ("payment.refund_failed", true)]);
    let refused = refund(paid(), eur(400), "slow", &[]).unwrap();
    let failed = learn(refused.clone(), news(RefundState::Failed)).unwrap();
    let events = told(Some(&refused), &failed, at(0)).unwrap();
    assert!(matches!(&events[..], [Event::RefundFailed { journal: None, .. }]), "{events:?}");
}
