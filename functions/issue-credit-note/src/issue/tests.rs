//! What is given back is credited once, whoever says so, and left to a person where it is not clear.

use ledger::{JournalEntry, Sale};
use network::{HoldRef, PaymentPolicy, StripePaymentIntentId};
use payments::{
    Payment,
    money::{Card, News, Outcome, apply, learn, refund, refund_again, request, stand_in},
};
use quantities::{Currency, SessionId, TransactionId};
use receipts::Credited;
use serde_json::json;
use session::Session;

use super::*;

const PAID: RefundState = RefundState::Succeeded;

fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::EUR)
}

fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn session() -> Session {
    serde_json::from_value(json!({
        "id": SessionId::of(&"CP1".parse().unwrap(), TransactionId(1)),
        "state": "rated",
        "charge_point_id": "CP1",
        "connector_id": 1,
        "transaction_id": 1,
        "site_id": "S1",
        "time_zone": "Europe/Berlin",
        "id_tag": "RDR-1",
        "payer": { "kind": "reader" },
        "jurisdiction": { "per_kwh_allowed": true, "taxes": [] },
        "hold": { "minor": 10000, "currency": "EUR" },
        "silent_after_s": 3600,
        "release_wait_s": 3600,
        "started_at": noon(),
        "received_at": noon(),
        "meter_start": "10000",
        "start_frame": "[]",
    }))
    .unwrap()
}

/// A sale of so much, all of it captured.
fn sold(gross: i64) -> SessionFile {
    taken(gross, gross)
}

/// A sale of so much, of which so much was captured.
fn taken(gross: i64, captured: i64) -> SessionFile {
    let session = session();
    let intent = StripePaymentIntentId("pi_1".to_owned());
    let hold = HoldRef::plain(intent, eur(10_000));
    let policy = PaymentPolicy::default();
    let payment = Payment::with_placed_hold(session.id, Card::Present, hold, policy);
    let payment = payment.with_total(eur(gross)).unwrap();
    let payment = answered(payment, Outcome::Captured { amount: eur(captured) });
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
        rated: None,
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
fn answered(payment: Payment, outcome: Outcome) -> Payment {
    let (requested, step) = request(payment, noon()).unwrap();
    apply(requested, &step, outcome, noon()).unwrap()
}

/// Stripe tells of a refund that somebody made there.
fn told(file: SessionFile, id: &str, minor: i64, state: RefundState) -> SessionFile {
    let payment_intent = StripePaymentIntentId("pi_1".to_owned());
    let (id, amount) = (id.to_owned(), eur(minor));
    let news = News::Refund { number: None, id, payment_intent, amount, state };
    let payment = file.payment.map(|payment| learn(payment, news).unwrap());
    SessionFile { payment, ..file }
}

/// Its credit note is issued and booked.
fn credited(file: SessionFile, key: &str, minor: i64) -> SessionFile {
    let left = Sold::of(&file.journal, Currency::EUR).unwrap();
    let part = left.part(eur(minor)).unwrap();
    let entry = left.credit(key.to_owned(), noon(), Account::RefundsPayable, &part).unwrap();
    let note = CreditNote {
        number: format!("CN-{key}"),
        session_id: file.session.id,
        sold_at: noon(),
        time_zone: file.session.time_zone,
        issued_at: noon(),
        reason: "given back".to_owned(),
        lines: vec![],
        credited: Credited { part, excl_tax: eur(minor), incl_tax: eur(minor), taxes: vec![] },
        seller: None,
    };
    let mut file = said(file, key);
    file.journal.push(entry);
    file.credit_notes.push((key.to_owned(), note));
    file
}

/// The payment knows that the refund is credited, or about to be.
fn said(file: SessionFile, id: &str) -> SessionFile {
    let made = |refund: &&Refund| refund.id.as_deref() == Some(id);
    let payment = file.payment.map(|payment| {
        let number = payment.refunds.iter().find(made).map(|made| made.number);
        number.map_or(payment.clone(), |number| credit_made(payment, number).unwrap())
    });
    SessionFile { payment, ..file }
}

/// What is done about the refund `number`, as Stripe tells of it.
fn as_told(file: &SessionFile, number: u32) -> Verdict {
    let event = made_event(file, number);
    verdict(&asked(&event, noon(), file).unwrap(), file).unwrap()
}

/// What is done about what was decided under `m`.
fn as_decided(file: &SessionFile, minor: i64) -> Verdict {
    let (session_id, decision, amount) = (file.session.id, "m".to_owned(), eur(minor));
    let event = Event::RefundDecided { session_id, decision, amount };
    verdict(&asked(&event, noon(), file).unwrap(), file).unwrap()
}

#[track_caller]
fn is_a_persons(verdict: &Verdict, why: &str) {
    assert!(matches!(verdict, Verdict::AskAPerson(said) if said.contains(why)), "{verdict:?}");
}

fn made_event(file: &SessionFile, number: u32) -> Event {
    let mut refunds = file.payment.iter().flat_map(|payment| &payment.refunds);
    let made = refunds.find(|refund| refund.number == number).unwrap();
    let (session_id, refund) = (file.session.id, made.id.clone().unwrap());
    Event::RefundMade { session_id, number, refund, amount: made.amount }
}

fn made(number: u32, minor: i64) -> Decision {
    let what = Decided::RefundMade { refund: number, amount: eur(minor) };
    let (id, reason, by) = ("m".to_owned(), "slow".to_owned(), "somebody".to_owned());
    Decision { request: id.clone(), id, what, reason, by, at: noon() }
}

#[test]
fn a_refund_made_at_stripe_that_failed_there_and_is_made_again_there_is_a_persons() {
    let first = told(sold(6_200), "re_1", 400, RefundState::Succeeded);
    assert_eq!(as_told(&first, 1), Verdict::Credit);
    let failed = told(credited(first, "re_1", 400), "re_1", 400, RefundState::Failed);
    let again = told(failed, "re_2", 400, RefundState::Succeeded);
    is_a_persons(&as_told(&again, 2), "in place of refund 1");
}

#[test]
fn so_it_is_while_the_credit_note_that_a_person_wants_of_the_first_is_not_issued_yet() {
    let first = told(sold(6_200), "re_1", 400, RefundState::Succeeded);
    let decided = SessionFile { decisions: vec![made(1, 400)], ..said(first, "re_1") };
    let failed = told(decided, "re_1", 400, RefundState::Failed);
    let again = told(failed, "re_2", 400, RefundState::Succeeded);
    is_a_persons(&as_told(&again, 2), "in place of refund 1");
}

#[test]
fn what_failed_and_is_not_credited_is_credited_as_what_was_made_again() {
    let failed = told(sold(6_200), "re_1", 400, RefundState::Succeeded);
    let failed = told(failed, "re_1", 400, RefundState::Failed);
    let again = told(failed, "re_2", 400, RefundState::Succeeded);
    assert_eq!(as_told(&again, 2), Verdict::Credit);
    // The word of the first, that comes after that: it failed, and takes nothing back.
    assert_eq!(as_told(&again, 1), Verdict::Nothing("failed meanwhile"));
}

#[test]
fn what_was_to_be_credited_when_it_failed_is() {
    let first = said(told(sold(6_200), "re_1", 400, PAID), "re_1");
    let failed = told(first, "re_1", 400, RefundState::Failed);
    assert_eq!(as_told(&failed, 1), Verdict::Credit);
}

#[test]
fn what_was_made_in_place_of_another_is_credited_with_that() {
    let first = credited(told(sold(6_200), "re_1", 400, PAID), "re_1", 400);
    let failed = told(first, "re_1", 400, RefundState::Failed);
    let again = told(failed, "re_2", 400, PAID);
    is_a_persons(&as_told(&again, 2), "in place of refund 1");
    let payment = again.payment.clone().map(|payment| stand_in(payment, 2, 1).unwrap());
    let stands = SessionFile { payment, ..again };
    assert_eq!(as_told(&stands, 2), Verdict::Nothing("in place of another"));
}

#[test]
fn what_was_made_in_place_of_another_in_part_is_credited_for_the_rest_as_a_person_says() {
    let first = credited(told(sold(6_200), "re_1", 400, PAID), "re_1", 400);
    let failed = told(first, "re_1", 400, RefundState::Failed);
    let mut file = told(failed, "re_2", 1_000, PAID);
    file.payment = file.payment.map(|payment| stand_in(payment, 2, 1).unwrap());
    is_a_persons(&as_told(&file, 2), "in place of another in part");
    // So it is when a person says the one and not the other.
    let what = Decided::RefundInPlace { refund: 2, failed: 1, amount: eur(400) };
    file.decisions = vec![Decision { what, ..made(2, 400) }];
    is_a_persons(&as_decided(&file, 600), "in place of another in part");
    let said = said(file, "re_2");
    assert_eq!(as_decided(&said, 600), Verdict::Nothing("decided meanwhile"));
    assert_eq!(as_told(&said, 2), Verdict::Credit);
    assert_eq!(asked(&made_event(&said, 2), noon(), &said).unwrap().amount, eur(600));
}

#[test]
fn what_is_to_be_credited_of_others_is_no_more_left() {
    let first = told(sold(1_000), "re_1", 600, PAID);
    let both = told(said(first, "re_1"), "re_2", 600, PAID);
    assert_eq!(as_told(&both, 1), Verdict::Credit);
    is_a_persons(&as_told(&both, 2), "4.00 EUR that are left");
    is_a_persons(&as_told(&credited(both, "re_1", 600), 2), "4.00 EUR that are left");
}

#[test]
fn surplus_that_failed_at_stripe_and_went_back_here_is_no_part_of_the_sale_there() {
    let given = told(taken(6_200, 7_200), "re_1", 1_000, RefundState::Succeeded);
    let failed = told(given, "re_1", 1_000, RefundState::Failed);
    let number = failed.payment.as_ref().unwrap().refunds[0].number;
    let again = failed.payment.clone().map(|payment| refund_again(payment, number).unwrap());
    let there = told(SessionFile { payment: again, ..failed }, "re_2", 1_000, PAID);
    let number = there.payment.as_ref().unwrap().refunds.last().unwrap().number;
    is_a_persons(&as_told(&there, number), "in place of refund");
}

#[test]
fn what_was_tried_again_here_may_have_been_made_at_stripe_as_well() {
    let given = credited(told(sold(6_200), "re_1", 400, PAID), "re_1", 400);
    let failed = told(given, "re_1", 400, RefundState::Failed);
    let payment = failed.payment.clone().map(|payment| refund_again(payment, 1).unwrap());
    let what = Decided::RefundAgain { failed: 1, refunds: vec![2], amount: eur(400) };
    let decisions = vec![Decision { what, ..made(1, 400) }];
    let again = SessionFile { payment, decisions, ..failed.clone() };
    is_a_persons(&as_told(&told(again, "re_3", 400, PAID), 3), "in place of refund 1");
    // A person said that it was made there, once: another is another part of the sale.
    let mut there = told(failed, "re_2", 400, PAID);
    there.payment = there.payment.map(|payment| stand_in(payment, 2, 1).unwrap());
    assert_eq!(as_told(&told(there, "re_3", 500, PAID), 3), Verdict::Credit);
}

#[test]
fn what_was_decided_is_a_persons_if_less_is_left_of_the_sale() {
    let what =
        Decided::Refund { scope: Scope::Amount(eur(600)), amount: eur(600), refunds: vec![1] };
    let decided = SessionFile { decisions: vec![Decision { what, ..made(1, 600) }], ..sold(1_000) };
    assert_eq!(as_decided(&decided, 600), Verdict::Credit);
    let less = credited(decided, "re_1", 600);
    is_a_persons(&as_decided(&less, 600), "more than the 4.00 EUR that are left");
}

#[test]
fn a_refund_of_ours_that_failed_and_is_made_at_stripe_is_a_persons() {
    let file = sold(6_200);
    let wanted = refund(file.payment.clone().unwrap(), eur(400), "slow", &[]).unwrap();
    let failed = Outcome::Refunded { id: "re_1".to_owned(), state: RefundState::Failed };
    let file = SessionFile { payment: Some(answered(wanted, failed)), ..file };
    let made = told(file, "re_2", 400, RefundState::Succeeded);
    is_a_persons(&as_told(&made, 2), "in place of refund 1");
}

#[test]
fn two_that_arrived_are_two_parts_of_the_sale() {
    let first = told(sold(6_200), "re_1", 400, RefundState::Succeeded);
    let both = told(credited(first, "re_1", 400), "re_2", 400, RefundState::Succeeded);
    assert_eq!(as_told(&both, 2), Verdict::Credit);
}

#[test]
fn what_a_person_has_credited_is_a_persons_again_if_less_is_left_of_the_sale() {
    let both = said(told(sold(1_000), "re_1", 600, RefundState::Succeeded), "re_1");
    let decided = SessionFile { decisions: vec![made(1, 600)], ..both };
    assert_eq!(as_decided(&decided, 600), Verdict::Credit);
    // Another credit note was issued first, which was on its way when this was decided.
    let less = credited(decided.clone(), "part", 600);
    is_a_persons(&as_decided(&less, 600), "more than the 4.00 EUR that are left");
    let (session_id, decision, amount) = (decided.session.id, "m".to_owned(), eur(600));
    let event = Event::RefundDecided { session_id, decision, amount };
    let known = [&made_event(&decided, 1), &event].map(|event| {
        let asked = asked(event, noon(), &decided).unwrap();
        known_by(event, &asked).to_owned()
    });
    assert_ne!(known[0], known[1], "the exception of the first is resolved");
}

#[test]
fn a_refund_made_at_stripe_is_credited_once_whether_it_says_so_itself_or_a_person_does() {
    let file = told(sold(1_000), "re_1", 100, RefundState::Succeeded);
    let file = SessionFile { decisions: vec![made(1, 100)], ..file };
    let (session_id, decision, amount) = (file.session.id, "m".to_owned(), eur(100));
    let by_a_person = Event::RefundDecided { session_id, decision, amount };
    let credited = [made_event(&file, 1), by_a_person].map(|event| {
        let asked = asked(&event, noon(), &file).unwrap();
        (asked.key, asked.amount, asked.account)
    });
    // The store has one credit note of a session under one key.
    assert_eq!(credited[0], ("re_1".to_owned(), amount, Account::RefundsPayable));
    assert_eq!(credited[1], credited[0]);
}

fn decided(reason: &str, what: Decided, hour: u32) -> Decision {
    let at = format!("2026-03-01T{hour:02}:00:00Z").parse().unwrap();
    let (id, by) = (reason.to_owned(), "somebody".to_owned());
    Decision { request: id.clone(), id, what, reason: reason.to_owned(), by, at }
}

#[test]
fn what_is_waived_beyond_what_is_left_of_the_sale_is_a_persons() {
    let file = credited(sold(1_000), "part", 600);
    let event = Event::PaymentWaived { session_id: file.session.id, amount: eur(600) };
    let waived = asked(&event, noon(), &file).unwrap();
    is_a_persons(&verdict(&waived, &file).unwrap(), "4.00 EUR that are left");
}

#[test]
fn a_refund_made_at_stripe_is_credited_in_the_words_of_the_person_who_said_so() {
    let file = said(told(sold(1_000), "re_1", 100, PAID), "re_1");
    let reason = |file: &SessionFile| asked(&made_event(file, 1), noon(), file).unwrap().reason;
    assert_eq!(reason(&file), "given back");
    assert_eq!(reason(&SessionFile { decisions: vec![made(1, 100)], ..file }), "slow");
}

#[test]
fn a_waiver_has_the_reason_of_the_decision_that_waived() {
    let amount = eur(100);
    let refund = |scope| Decided::Refund { scope, amount, refunds: Vec::new() };
    let decisions = [
        decided("later", refund(Scope::All), 9),
        decided("a line", refund(Scope::Lines(vec![1])), 1),
        decided("tried to write it off", Decided::WriteOff, 2),
        decided("waived", Decided::Waive, 3),
        decided("after it", refund(Scope::Amount(amount)), 4),
    ];
    let reason = |hour: u32| {
        let at = format!("2026-03-01T{hour:02}:30:00Z").parse().unwrap();
        waived_by(&decisions, at).map(|decision| decision.reason.as_str())
    };
    assert_eq!([reason(2), reason(3), reason(10)], [None, Some("waived"), Some("waived")]);
    let all = reason(10).is_some() && waived_by(&decisions[..3], decisions[0].at).is_some();
    assert!(all, "a full refund waives, too");
}

#[test]
fn other_events_are_not_credited() {
    let session_id = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
    let event = Event::SessionStarted { session_id };
    assert_eq!(event.session_id(), Some(session_id));
    assert!(!event.queues().contains(&messages::Queue::CreditNotes));
}
