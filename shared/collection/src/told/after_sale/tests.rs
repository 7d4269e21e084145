//! Whatever the order of Stripe's news, each thing is told once and the books come out the same.

use network::{PaymentPolicy, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId};
use payments::money::{Card, News, Outcome, apply, learn, refund, request};
use quantities::{Currency, SessionId, TransactionId};

use super::*;

mod books;

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
    apply(payment, &step, Outcome::Captured { amount: eur(1000) }, at(0)).unwrap()
}

fn dispute(status: &str, hour: i64) -> Dispute {
    Dispute {
        id: "du_1".to_owned(),
        payment_intent: intent(),
        amount: eur(1000),
        reason: "fraudulent".to_owned(),
        status: status.to_owned(),
        due_by: None,
        withdrawn: eur(0),
        reinstated: eur(0),
        fee: None,
        fee_returned: None,
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
    let withdrawn = Dispute { withdrawn: eur(1000), fee, ..dispute("needs_response", 0) };
    let answered = Dispute { withdrawn: eur(1000), fee, ..dispute("under_review", 1) };
    let back = Dispute { reinstated: eur(1000), withdrawn: eur(1000), fee, ..dispute("won", 2) };
    let won = [opened.clone(), withdrawn.clone(), answered.clone(), back.clone(), back];
    let lost = Dispute { withdrawn: eur(1000), fee, ..dispute("lost", 2) };
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
    let lost = Dispute { withdrawn: eur(1000), fee: Some(eur(1500)), ..dispute("lost", 2) };
    let (told, _) = heard(&[News::Dispute(lost)]);
    assert_eq!(told, ["fee_charged", "lost", "opened", "withdrawn"]);
}

#[test]
fn a_refund_is_told_when_it_leaves_and_when_it_comes_back() {
    let asked = refund(paid(), eur(400), "slow", &[]).unwrap();
    let news = |state| refund_news(Some(1), 400, state);
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

fn refund_news(number: Option<u32>, minor: i64, state: RefundState) -> News {
    let id = "re_1".to_owned();
    News::Refund { number, id, payment_intent: intent(), amount: eur(minor), state }
}

/// What the change tells, and what it books of refunds payable and of clearing.
fn tells(before: &Payment, after: &Payment) -> (Vec<&'static str>, i64, i64) {
    let events = told(Some(before), after, at(0)).unwrap();
    let net = |account| {
        let entries = events.iter().filter_map(Event::journal);
        entries.map(|entry| entry.net_minor(account)).sum()
    };
    let words = events.iter().map(Event::event_type).collect();
    let (payable, clearing) = (ledger::Account::RefundsPayable, ledger::Account::StripeClearing);
    (words, net(payable), net(clearing))
}

#[test]
fn a_refund_made_at_stripe_is_booked_and_to_be_credited_once() {
    let before = paid();
    let made = learn(before.clone(), refund_news(None, 400, RefundState::Succeeded)).unwrap();
    assert_eq!(tells(&before, &made), (vec!["payment.refunded", "refund.made"], 400, -400));
    let again = learn(made.clone(), refund_news(None, 400, RefundState::Succeeded)).unwrap();
    assert_eq!(again, made);
    // It comes back: it is credited, so it is still to be given back.
    let failed = learn(made.clone(), refund_news(None, 400, RefundState::Failed)).unwrap();
    assert_eq!(tells(&made, &failed), (vec!["payment.refund_failed"], -400, 400));
    // Of one that has failed before it was heard of, nothing is told.
    let failed = learn(before.clone(), refund_news(None, 400, RefundState::Failed)).unwrap();
    assert_eq!(tells(&before, &failed), (vec![], 0, 0));
    let late = learn(failed.clone(), refund_news(None, 400, RefundState::Succeeded)).unwrap();
    assert_eq!(late, failed);
}

#[test]
fn a_refund_of_ours_that_is_heard_of_before_its_answer_is_no_second_one() {
    let asked = request(refund(paid(), eur(400), "slow", &[]).unwrap(), at(1)).unwrap();
    let heard = learn(asked.0.clone(), refund_news(Some(1), 400, RefundState::Succeeded)).unwrap();
    assert_eq!(tells(&asked.0, &heard), (vec!["payment.refunded"], 400, -400));
    let (id, state) = ("re_1".to_owned(), RefundState::Pending);
    let answered = apply(heard.clone(), &asked.1, Outcome::Refunded { id, state }, at(1)).unwrap();
    assert_eq!(tells(&heard, &answered), (vec![], 0, 0));
    assert_eq!(answered.refunds.len(), 1);
}

#[test]
fn what_was_written_off_and_is_paid_after_all_is_booked_as_recovered() {
    let session = paid();
    let written_off = Payment { total: Some(eur(1500)), written_off: eur(500), ..session };
    let payment_intent = StripePaymentIntentId("pi_2".to_owned());
    let taken = News::Taken { payment_intent, amount: eur(500), purpose: String::new() };
    let recovered = learn(written_off.clone(), taken).unwrap();
    let events = told(Some(&written_off), &recovered, at(0)).unwrap();
    let [Event::PaymentRecovered { amount, journal, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(*amount, eur(500));
    assert_eq!(journal.net_minor(ledger::Account::BadDebts), -500);
}

#[test]
fn what_is_taken_too_much_is_told_once_and_given_back_without_touching_the_sale() {
    let before = paid();
    let payment_intent = StripePaymentIntentId("pi_2".to_owned());
    let taken = News::Taken { payment_intent, amount: eur(250), purpose: String::new() };
    let over = learn(before.clone(), taken.clone()).unwrap();
    let (words, payable, clearing) = tells(&before, &over);
    // That it was taken is told beside this, as money always is.
    assert_eq!(words, ["payment.overpaid"]);
    assert_eq!((payable, clearing), (-250, 0));
    assert_eq!(learn(over.clone(), taken).unwrap(), over);
    let (asked, step) = request(over, at(1)).unwrap();
    assert_eq!(step.purpose(), "refund/1");
    let (id, state) = ("re_1".to_owned(), RefundState::Succeeded);
    let back = apply(asked.clone(), &step, Outcome::Refunded { id, state }, at(1)).unwrap();
    assert_eq!(tells(&asked, &back), (vec!["payment.refunded"], 250, -250));
}
