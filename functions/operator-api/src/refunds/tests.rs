//! What is refused after the sale, and what it is refused for.

use chrono::TimeDelta;
use ledger::{JournalEntry, Sale};
use network::{HoldRef, PaymentPolicy, StripePaymentIntentId};
use payments::{
    Refusal,
    money::{Card, News, Outcome as Answer, apply, learn, request},
};
use quantities::Currency;
use serde_json::json;

use super::*;
use crate::sessions::tests::session;

fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::EUR)
}

fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn price(gross: i64) -> PricedSession {
    let amount = json!({ "minor": gross, "currency": "EUR" });
    let cost = json!({ "excl_vat": amount, "incl_vat": amount });
    serde_json::from_value(json!({
        "tariff": { "id": "T1", "version": 1 },
        "currency": "EUR",
        "lines": [],
        "segments": [],
        "totals": {
            "total": cost, "fixed": cost, "energy": cost, "time": cost, "parking": cost,
            "reservation": cost,
        },
        "taxes": [],
        "total_energy": "10000",
        "total_time_s": "3600",
        "total_parking_time_s": "0",
        "findings": [],
        "method": { "interpolation": "", "rounding": "" },
    }))
    .unwrap()
}

/// A sale of so much; 10.00 were held at a reader and are captured.
fn sold(gross: i64) -> SessionFile {
    let session = session();
    let hold = HoldRef::plain(StripePaymentIntentId("pi_1".to_owned()), eur(1_000));
    let policy = PaymentPolicy::default();
    let payment = Payment::with_placed_hold(session.id, Card::Present, hold, policy);
    let payment = payment.with_total(eur(gross)).unwrap();
    let payment = answered(payment, Answer::Captured { amount: eur(1_000) });
    let sale = Sale {
        id: "sale".to_owned(),
        booked_at: noon(),
        receivable: Account::AccountsReceivable,
        debtor: None,
        gross: eur(gross),
        reductions: eur(0),
        taxes: vec![],
        seller: None,
        cost_centre: None,
    };
    SessionFile {
        session,
        meter_values: vec![],
        rated: Some(price(gross)),
        payment: Some(payment),
        cdr: None,
        credit_cdr: None,
        journal: vec![JournalEntry::sale(sale).unwrap()],
        decisions: vec![],
        credit_notes: vec![],
        mails: vec![],
    }
}

/// The next step of a payment is answered so.
fn answered(payment: Payment, answer: Answer) -> Payment {
    let (requested, step) = request(payment, noon()).unwrap();
    apply(requested, &step, answer, noon()).unwrap()
}

/// Stripe tells of a refund: ours by its number, or one that somebody made there.
fn told(
    file: SessionFile,
    number: Option<u32>,
    id: &str,
    minor: i64,
    state: RefundState,
) -> SessionFile {
    let payment_intent = StripePaymentIntentId("pi_1".to_owned());
    let (id, amount) = (id.to_owned(), eur(minor));
    let news = News::Refund { number, id, payment_intent, amount, state };
    let payment = file.payment.map(|payment| learn(payment, news).unwrap());
    SessionFile { payment, ..file }
}

/// Somebody decides: what it says, and the payment as it is then.
fn decided(file: SessionFile, id: &str, outcome: (Option<Payment>, Decided)) -> SessionFile {
    let mut file = file;
    let (payment, what) = outcome;
    let (reason, by) = ("slow".to_owned(), "finance-1".to_owned());
    let (id, request) = (id.to_owned(), id.to_owned());
    file.decisions.push(Decision { id, request, what, reason, by, at: noon() });
    file.payment = payment.or(file.payment);
    file
}

fn asks(file: &SessionFile, asked: &Asked) -> Result<(Option<Payment>, Decided), Problem> {
    refunded(file, asked, "slow", None)
}

/// The credit note of so much is booked. What is in it does not matter here.
fn booked(file: SessionFile, key: &str, minor: i64) -> SessionFile {
    let mut file = file;
    let refunds = file.payment.iter_mut().flat_map(|payment| &mut payment.refunds);
    for made in refunds.filter(|refund| refund.id.as_deref() == Some(key)) {
        made.credited = true;
    }
    let left = Sold::of(&file.journal, Currency::EUR).unwrap();
    let part = left.part(eur(minor)).unwrap();
    let entry = left.credit(key.to_owned(), noon(), Account::RefundsPayable, &part).unwrap();
    let note = json!({
        "number": "CN-1", "session_id": file.session.id, "sold_at": noon(),
        "time_zone": "Europe/Berlin", "issued_at": noon(), "reason": "slow",
        "credited": { "part": part, "excl_tax": eur(minor), "incl_tax": eur(minor), "taxes": [] },
    });
    file.journal.push(entry);
    file.credit_notes.push((key.to_owned(), serde_json::from_value(note).unwrap()));
    file
}

/// 6.00 of 10.00 were given back by us and failed; somebody gave 6.00 back at Stripe.
fn failed_and_made_at_stripe() -> SessionFile {
    let file = sold(1_000);
    let part = asks(&file, &Asked::New(Scope::Amount(eur(600)))).unwrap();
    let mut file = decided(file, "part", part);
    let pending = Answer::Refunded { id: "re_1".to_owned(), state: RefundState::Pending };
    file.payment = file.payment.map(|payment| answered(payment, pending));
    let failed = told(file, Some(1), "re_1", 600, RefundState::Failed);
    told(failed, None, "re_2", 600, RefundState::Succeeded)
}

#[track_caller]
fn conflicts<T>(answer: Result<T, Problem>, why: &str) {
    let problem = answer.err().expect("it is let through");
    let said = format!("{problem:?}");
    assert!(said.contains("Conflict") && said.contains(why), "{said}");
}

#[test]
fn what_was_made_at_stripe_is_credited_as_far_as_something_is_left_of_the_sale() {
    let queued = failed_and_made_at_stripe();
    let file = booked(queued.clone(), "part", 600);
    for file in [&queued, &file] {
        conflicts(asks(file, &Asked::Made(2)), "4.00 EUR are left");
    }
    let less = told(sold(1_000), None, "re_1", 400, RefundState::Succeeded);
    let what = asks(&less, &Asked::Made(1)).unwrap().1;
    assert_eq!(what, Decided::RefundMade { refund: 1, amount: eur(400) });
}

#[test]
fn what_failed_is_not_given_back_again_while_it_may_have_been_made_again_at_stripe() {
    let file = booked(failed_and_made_at_stripe(), "part", 600);
    conflicts(asks(&file, &Asked::Again(1)), "Refund 2 was made at Stripe");
    // It was not: 4.00 are of another part of the sale.
    let part = told(sold(1_000), None, "re_1", 400, RefundState::Succeeded);
    let failed = told(booked(part, "re_1", 400), None, "re_1", 400, RefundState::Failed);
    assert!(asks(&failed, &Asked::Again(1)).is_ok());
    let other = told(failed, None, "re_2", 400, RefundState::Succeeded);
    conflicts(asks(&other, &Asked::Again(1)), "Refund 2 was made at Stripe");
    let credited = asks(&other, &Asked::Made(2)).unwrap();
    assert!(asks(&decided(other, "made", credited), &Asked::Again(1)).is_ok());
    // That the first failed was heard after the second was credited by itself: the same question.
    let first = told(sold(1_000), None, "re_1", 400, RefundState::Succeeded);
    let both = told(booked(first, "re_1", 400), None, "re_2", 600, RefundState::Succeeded);
    let late = told(booked(both, "re_2", 600), None, "re_1", 400, RefundState::Failed);
    conflicts(asks(&late, &Asked::Again(1)), "Refund 2 was made at Stripe");
    let said = asks(&late, &Asked::Made(2)).unwrap();
    let sure = decided(late, "sure", said);
    conflicts(asks(&sure, &Asked::Made(2)), "is not decided");
    assert!(asks(&sure, &Asked::Again(1)).is_ok());
}

#[test]
fn what_was_made_at_stripe_in_place_of_what_failed_is_not_credited_once_more() {
    let file = booked(failed_and_made_at_stripe(), "part", 600);
    let in_place = |made, failed| Asked::InPlace { made, failed };
    conflicts(asks(&file, &in_place(2, 2)), "no such refund that failed");
    conflicts(asks(&file, &in_place(1, 1)), "is not decided");
    let said = asks(&file, &in_place(2, 1)).unwrap();
    let amount = eur(600);
    assert_eq!(said.1, Decided::RefundInPlace { refund: 2, failed: 1, amount });
    assert_eq!(said.1.credits(), None);
    let said = decided(file.clone(), "said", said);
    conflicts(asks(&said, &Asked::Again(1)), "still owed");
    conflicts(asks(&said, &Asked::Made(2)), "is not decided");
    // 4.00 of the 10.00 are left, and no question is open.
    assert!(asks(&said, &Asked::New(Scope::Amount(eur(400)))).is_ok());
    conflicts(asks(&said, &Asked::New(Scope::Amount(eur(401)))), "4.00 EUR are left");
    // It fails, too: it is tried again.
    let failed = told(said, None, "re_2", 600, RefundState::Failed);
    let again = asks(&failed, &Asked::Again(2)).unwrap().1;
    assert!(matches!(again, Decided::RefundAgain { amount, .. } if amount == eur(600)));
    // It cannot be in place of what is owed no more, nor if it is credited by itself.
    let more = told(file.clone(), None, "re_3", 300, RefundState::Succeeded);
    let first = asks(&more, &in_place(2, 1)).unwrap();
    conflicts(asks(&decided(more, "first", first), &in_place(3, 1)), "still owed");
    conflicts(asks(&booked(file, "re_2", 400), &in_place(2, 1)), "credited already");
}

#[test]
fn only_what_was_made_at_stripe_is_in_place_of_another() {
    let asked = |body| Asked::of(&serde_json::from_value(body).unwrap());
    let in_place = asked(json!({ "made": 3, "in_place_of": 2, "reason": "slow" })).unwrap();
    assert_eq!(in_place, Asked::InPlace { made: 3, failed: 2 });
    assert!(asked(json!({ "full": true, "in_place_of": 2, "reason": "slow" })).is_err());
    assert!(asked(json!({ "in_place_of": 2, "reason": "slow" })).is_err());
}

#[test]
fn what_was_made_at_stripe_beyond_what_failed_is_credited_by_itself() {
    // 6.00 were decided, and somebody gave all 10.00 back at Stripe.
    let file = sold(1_000);
    let part = asks(&file, &Asked::New(Scope::Amount(eur(600)))).unwrap();
    let file = booked(decided(file, "part", part), "part", 600);
    let all = told(file, None, "re_2", 1_000, RefundState::Succeeded);
    assert_eq!(all.payment.as_ref().unwrap().refunds[0].state, RefundState::Failed);
    conflicts(asks(&all, &Asked::Made(2)), "4.00 EUR are left");
    let said = asks(&all, &Asked::InPlace { made: 2, failed: 1 }).unwrap();
    let amount = eur(600);
    assert_eq!(said.1, Decided::RefundInPlace { refund: 2, failed: 1, amount });
    let said = decided(all, "said", said);
    let rest = asks(&said, &Asked::Made(2)).unwrap();
    assert_eq!(rest.1, Decided::RefundMade { refund: 2, amount: eur(400) });
    conflicts(asks(&decided(said, "rest", rest), &Asked::Made(2)), "is not decided");
}

#[test]
fn what_is_decided_to_be_credited_is_no_more_left() {
    let first = told(sold(1_000), None, "re_1", 600, RefundState::Succeeded);
    let both = told(first, None, "re_2", 400, RefundState::Succeeded);
    let more = told(both.clone(), None, "re_3", 600, RefundState::Succeeded);
    let said = |file: SessionFile| {
        let made = asks(&file, &Asked::Made(1)).unwrap();
        decided(file, "made", made)
    };
    assert!(asks(&said(both), &Asked::Made(2)).is_ok());
    conflicts(asks(&said(more), &Asked::Made(3)), "4.00 EUR are left");
}

#[test]
fn no_more_is_credited_of_refunds_than_was_paid() {
    // 10.00 of 16.00 were paid; 10.00 of them were to be given back, and somebody did 6.00 of it.
    let file = sold(1_600);
    let payment = file.payment.clone().map(|payment| {
        let refused = Refusal { code: "card_declined".to_owned(), decline_code: None };
        let page = Answer::Refused { refusal: refused };
        forgive(answered(payment, page), Forgiven::WrittenOff).unwrap()
    });
    let file = SessionFile { payment, ..file };
    let all = asks(&file, &Asked::New(Scope::All)).unwrap();
    let file = booked(decided(file, "all", all), "all", 1_000);
    let made = told(file, None, "re_2", 600, RefundState::Succeeded);
    conflicts(asks(&made, &Asked::Made(2)), "0.00 EUR are left");
    assert!(asks(&made, &Asked::InPlace { made: 2, failed: 1 }).is_ok());
}

#[test]
fn surplus_that_fails_at_stripe_can_be_given_back_here_uncredited_as_it_is() {
    // 10.00 are taken of 6.00, and somebody gives 4.00 back at Stripe before the machine does.
    let given = told(sold(600), None, "re_1", 400, RefundState::Succeeded);
    let failed = told(given, None, "re_1", 400, RefundState::Failed);
    let number = failed.payment.as_ref().unwrap().refunds[0].number;
    let again = asks(&failed, &Asked::Again(number)).unwrap();
    let Decided::RefundAgain { amount, .. } = again.1 else { panic!("{again:?}") };
    assert_eq!(amount, eur(400));
    conflicts(asks(&decided(failed, "again", again), &Asked::Again(number)), "still owed");
}

#[test]
fn surplus_of_the_machine_that_fails_late_may_have_been_made_again_at_stripe() {
    let asked = sold(600);
    let paid = Answer::Refunded { id: "re_1".to_owned(), state: RefundState::Succeeded };
    let payment = asked.payment.clone().map(|payment| answered(payment, paid));
    let file = SessionFile { payment, ..asked };
    // Heard before the failure it is of the sale, and credited by itself.
    let there = booked(told(file, None, "re_2", 400, RefundState::Succeeded), "re_2", 400);
    let failed = told(there, Some(1), "re_1", 400, RefundState::Failed);
    conflicts(asks(&failed, &Asked::Again(1)), "Refund 2 was made at Stripe");
    let said = asks(&failed, &Asked::Made(2)).unwrap();
    assert!(asks(&decided(failed, "sure", said), &Asked::Again(1)).is_ok());
}

#[test]
fn of_what_failed_at_stripe_uncredited_the_surplus_can_be_given_back_here() {
    let given = told(sold(600), None, "re_1", 500, RefundState::Succeeded);
    let failed = told(given, None, "re_1", 500, RefundState::Failed);
    let number = failed.payment.as_ref().unwrap().refunds[0].number;
    let (payment, what) = asks(&failed, &Asked::Again(number)).unwrap();
    let Decided::RefundAgain { amount, .. } = what else { panic!("{what:?}") };
    assert_eq!(amount, eur(400));
    let once = SessionFile { payment, ..failed };
    conflicts(asks(&once, &Asked::Again(number)), "still owed");
}

#[test]
fn a_debt_is_let_go_as_it_was_decided_first() {
    // 10.00 of 20.00 are owed on a page that is open: it is closed before anything is let off.
    let file = sold(2_000);
    let page = Answer::LinkMade {
        id: "cs_1".to_owned(),
        url: "https://pay/cs_1".to_owned(),
        expires_at: noon() + TimeDelta::hours(24),
    };
    let payment = file.payment.clone().map(|payment| answered(payment, page));
    let file = SessionFile { payment, ..file };
    let after = |how| {
        let (what, payment, _) = forgiven(&file, how).unwrap();
        decided(file.clone(), "first", (payment, what))
    };
    let waived = after(Forgiven::Waived);
    assert_eq!(waived.payment.as_ref().unwrap().forgive, Some(Forgiven::Waived));
    conflicts(forgiven(&waived, Forgiven::WrittenOff), "being waived already");
    assert!(forgiven(&waived, Forgiven::Waived).is_ok());
    let written_off = after(Forgiven::WrittenOff);
    conflicts(forgiven(&written_off, Forgiven::Waived), "being written off already");
    conflicts(asks(&written_off, &Asked::New(Scope::All)), "being written off already");
    assert!(asks(&waived, &Asked::New(Scope::All)).is_ok());
}
