//! The machine, step by step.

use chrono::{DateTime, TimeDelta, Utc};
use network::{
    Beyond, HoldRef, PaymentPolicy, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId,
};
use quantities::{SessionId, TransactionId};

use super::{walk::eur, *};
use crate::Refusal;

fn at(hour: i64) -> DateTime<Utc> {
    "2026-03-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hour)
}

fn intent(id: &str) -> StripePaymentIntentId {
    StripePaymentIntentId(id.to_owned())
}

fn payment(wanted: i64) -> Payment {
    let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
    Payment::new(session, saved("pm_1"), eur(wanted), generous())
}

pub(super) fn saved(payment_method: &str) -> Card {
    let customer = StripeCustomerId("cus_1".to_owned());
    Card::Saved { customer, payment_method: StripePaymentMethodId(payment_method.to_owned()) }
}

fn held(minor: i64) -> Payment {
    let Payment { session_id, card, policy, .. } = payment(0);
    let placed = HoldRef::plain(intent("pi_1"), eur(minor));
    Payment::with_placed_hold(session_id, card, placed, policy)
}

/// All there is: raises, second holds, renewals, retries after 1 h and 24 h, links.
fn generous() -> PaymentPolicy {
    PaymentPolicy {
        raise: true,
        beyond: Beyond::NewHold,
        renew_before_minutes: Some(12 * 60),
        holds_max: 3,
        retry_after_hours: vec![1, 24],
        links_max: 2,
        ..PaymentPolicy::default()
    }
}

fn terms(minor: i64, most: i64, raisable: bool) -> HoldTerms {
    HoldTerms { amount: eur(minor), most: eur(most), capture_before: Some(at(160)), raisable }
}

fn refused(code: &str) -> Outcome {
    Outcome::Refused { refusal: Refusal { code: code.to_owned(), decline_code: None } }
}

fn charged() -> Outcome {
    Outcome::Charged { payment_intent: intent("pi_d") }
}

/// Makes the next step, which has to be the one of this purpose, and applies `outcome`.
fn after(payment: Payment, now: DateTime<Utc>, purpose: &str, outcome: Outcome) -> Payment {
    let (requested, step) = request(payment, now).unwrap();
    assert_eq!(step.purpose(), purpose);
    apply(requested, &step, outcome, now).unwrap()
}

fn idle(payment: &Payment, now: DateTime<Utc>) -> bool {
    next_step(payment, now).is_none()
}

/// 62.00 cost, 50.00 held and captured, 12.00 refused.
fn in_debt(code: &str) -> Payment {
    let payment = held(5000).with_total(eur(6200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", Outcome::Captured);
    after(payment, at(0), "difference/1", refused(code))
}

fn linked() -> Payment {
    let payment = in_debt("authentication_required");
    let (id, url) = ("cs_1".to_owned(), "https://pay/cs_1".to_owned());
    after(payment, at(0), "link/1", Outcome::LinkMade { id, url, expires_at: at(24) })
}

#[test]
fn a_session_below_its_hold_is_captured_exactly() {
    let payment = held(5000).with_total(eur(1234)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", Outcome::Captured);
    assert_eq!((payment.captured, payment.owed), (eur(1234), eur(0)));
    assert!(payment.is_settled());
}

#[test]
fn a_free_session_releases_its_hold() {
    let payment = held(5000).with_total(eur(0)).unwrap();
    assert!(after(payment, at(0), "hold/1/cancel", Outcome::Canceled).is_settled());
}

#[test]
fn near_its_hold_a_session_raises_it_where_it_can_and_else_asks_for_a_larger_one() {
    let placed = |raisable| Outcome::Held {
        payment_intent: intent("pi_1"),
        terms: terms(5000, 5000, raisable),
    };
    let payment = after(payment(5000), at(0), "hold/1", placed(true));
    let payment = expect(payment, eur(6000));
    let payment = after(payment, at(1), "hold/1/raise/1", refused("card_declined"));
    // The issuer said no to the raise: a new hold over all of it, then the old one goes.
    let larger = Outcome::Held { payment_intent: intent("pi_2"), terms: terms(6000, 6000, false) };
    let payment = after(payment, at(1), "hold/2", larger);
    assert_eq!(payment.to_release.len(), 1);
    let payment = after(payment, at(1), "hold/1/cancel", Outcome::Canceled);
    assert_eq!(payment.hold.as_ref().unwrap().number, 2);
    assert!(idle(&payment, at(1)));
}

#[test]
fn a_session_that_no_hold_covers_is_stopped_where_the_site_says_so() {
    let payment = expect(held(5000), eur(6000));
    let stops = |beyond| {
        let policy = PaymentPolicy { beyond, ..PaymentPolicy::default() };
        let asked = stop_if_uncovered(Payment { policy, ..payment.clone() }, at(0));
        assert_eq!(stop_if_uncovered(asked.clone(), at(1)), asked);
        asked.stop_asked
    };
    assert!(stops(Beyond::Stop) && !stops(Beyond::GoOn));
    let payment = after(payment, at(0), "hold/2", refused("card_declined"));
    assert!(must_stop(&payment, at(0)));
    assert!(!must_stop(&held(5000), at(0)));
}

#[test]
fn a_hold_that_runs_out_soon_is_renewed() {
    let first = Outcome::Held { payment_intent: intent("pi_1"), terms: terms(5000, 5000, false) };
    let payment = after(payment(5000), at(0), "hold/1", first);
    assert_eq!(look_again_at(&payment, at(0)), Some(at(148)));
    assert!(idle(&payment, at(147)));
    let next = next_step(&payment, at(148));
    assert_eq!(next, Some(Step::PlaceHold { number: 2, amount: eur(5000) }));
}

#[test]
fn above_the_hold_is_captured_what_the_card_allows_and_the_rest_is_charged() {
    // 15 % above 50.00 is 57.50; 62.00 − 57.50 = 4.50.
    let placed = Outcome::Held { payment_intent: intent("pi_1"), terms: terms(5000, 5750, false) };
    let payment = after(payment(5000), at(0), "hold/1", placed).with_total(eur(6200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", Outcome::Captured);
    assert_eq!((payment.captured, payment.owed), (eur(5750), eur(450)));
    assert!(after(payment, at(0), "difference/1", charged()).is_settled());
}

#[test]
fn a_card_that_does_not_keep_its_word_is_captured_up_to_the_hold() {
    let placed = Outcome::Held { payment_intent: intent("pi_1"), terms: terms(5000, 5750, false) };
    let payment = after(payment(5000), at(0), "hold/1", placed).with_total(eur(6200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", refused("amount_too_large"));
    let payment = after(payment, at(0), "hold/1/capture/2", Outcome::Captured);
    assert_eq!((payment.captured, payment.owed), (eur(5000), eur(1200)));
}

#[test]
fn a_price_below_the_least_amount_is_owed_and_not_asked_for_again() {
    let payment = held(5000).with_total(eur(20)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", refused("amount_too_small"));
    let payment = after(payment, at(0), "hold/1/cancel", Outcome::Canceled);
    let payment = after(payment, at(0), "difference/1", refused("amount_too_small"));
    assert!(payment.is_settled() && idle(&payment, at(1000)));
    assert_eq!(payment.owed, eur(20));
}

#[test]
fn a_refused_difference_is_retried_when_it_was_said_and_then_stays_owed() {
    let payment = in_debt("card_declined");
    assert!(payment.is_settled());
    assert_eq!(look_again_at(&payment, at(0)), Some(at(1)));
    assert!(idle(&payment, at(0)));
    let payment = after(payment, at(1), "difference/2", refused("card_declined"));
    assert!(idle(&payment, at(24)));
    let payment = after(payment, at(25), "difference/3", refused("card_declined"));
    assert!(idle(&payment, at(1000)));
    // The driver brings another card.
    let payment = collect_again(payment, saved("pm_2")).unwrap();
    let payment = after(payment, at(1000), "difference/4", charged());
    assert_eq!((payment.captured, payment.debt), (eur(6200), None));
}

#[test]
fn a_bank_that_wants_the_driver_gets_a_page_and_the_page_is_closed_before_a_retry() {
    let payment = linked();
    assert!(idle(&payment, at(0)));
    let payment = after(payment, at(1), "link/1/expire", Outcome::LinkExpired);
    let payment = after(payment, at(1), "difference/2", charged());
    assert!(payment.is_settled() && payment.owed.is_zero());
}

#[test]
fn a_page_that_was_paid_on_before_it_was_closed_is_not_charged_again() {
    let paid = Outcome::LinkPaid { payment_intent: intent("pi_l") };
    let payment = after(linked(), at(1), "link/1/expire", paid);
    assert_eq!((payment.captured, payment.owed), (eur(6200), eur(0)));
    assert!(idle(&payment, at(1000)));
    let news = News::LinkPaid { id: "cs_1".to_owned(), payment_intent: intent("pi_l") };
    assert_eq!(learn(payment.clone(), news).unwrap(), payment);
}

#[test]
fn a_debt_with_an_open_page_is_forgiven_when_the_page_is_closed() {
    let payment = forgive(linked(), Forgiven::WrittenOff).unwrap();
    assert_eq!(payment.written_off, eur(0));
    let payment = after(payment, at(0), "link/1/expire", Outcome::LinkExpired);
    assert_eq!((payment.written_off, payment.owed), (eur(1200), eur(0)));
}

#[test]
fn a_waived_session_releases_its_hold() {
    let payment = held(5000).with_total(eur(900)).unwrap();
    let payment = forgive(payment, Forgiven::Waived).unwrap();
    assert_eq!((payment.waived, payment.owed), (eur(900), eur(0)));
    assert!(after(payment, at(0), "hold/1/cancel", Outcome::Canceled).is_settled());
}

/// 50.00 captured, 12.00 charged.
fn paid() -> Payment {
    let payment = in_debt("card_declined");
    after(payment, at(1), "difference/2", charged())
}

#[test]
fn a_refund_takes_from_each_payment_what_it_has_and_never_more() {
    let payment = refund(paid(), eur(5500), "broken plug", &[0, 2]).unwrap();
    let parts: Vec<_> = payment.refunds.iter().map(|r| (r.number, r.amount.minor)).collect();
    assert_eq!(parts, [(1, 5000), (2, 500)]);
    let too_much = refund(payment.clone(), eur(701), "", &[]);
    let (session_id, refundable) = (payment.session_id, eur(700));
    assert_eq!(too_much, Err(MoneyError::RefundTooLarge { session_id, refundable }));
    let given = Outcome::Refunded { id: "re_1".to_owned(), state: RefundState::Pending };
    let payment = after(payment, at(2), "refund/1", given);
    let payment = after(payment, at(2), "refund/2", refused("charge_disputed"));
    assert_eq!(payment.refundable().unwrap(), eur(1200));
}

#[test]
fn a_refund_that_failed_after_all_is_not_healed_by_old_news() {
    let payment = refund(paid(), eur(5000), "broken plug", &[]).unwrap();
    let news = |state| News::Refund { number: 1, id: "re_1".to_owned(), state };
    let payment = learn(payment, news(RefundState::Failed)).unwrap();
    let payment = learn(payment, news(RefundState::Succeeded)).unwrap();
    assert_eq!(payment.refunds[0].state, RefundState::Failed);
    assert_eq!(payment.refundable().unwrap(), eur(6200));
}

fn dispute(status: &str, hour: i64) -> Dispute {
    Dispute {
        id: "du_1".to_owned(),
        payment_intent: intent("pi_1"),
        amount: eur(5000),
        reason: "fraudulent".to_owned(),
        status: status.to_owned(),
        due_by: Some(at(200)),
        withdrawn: false,
        reinstated: false,
        fee: None,
        as_of: at(hour),
    }
}

#[test]
fn what_a_dispute_has_withdrawn_cannot_be_refunded_until_it_is_won() {
    let withdrawn = Dispute { withdrawn: true, ..dispute("needs_response", 2) };
    let payment = refund(paid(), eur(100), "goodwill", &[]).unwrap();
    let payment = learn(payment, News::Dispute(withdrawn)).unwrap();
    // What was decided and not asked for yet is given up.
    assert_eq!(payment.refunds[0].state, RefundState::Failed);
    assert_eq!(payment.refundable().unwrap(), eur(1200));
    let won = Dispute { reinstated: true, ..dispute("won", 9) };
    let payment = learn(payment, News::Dispute(won)).unwrap();
    assert_eq!(payment.refundable().unwrap(), eur(6200));
}

#[test]
fn news_of_a_dispute_may_come_in_any_order() {
    let story = [
        dispute("needs_response", 1),
        Dispute { withdrawn: true, ..dispute("needs_response", 1) },
        dispute("under_review", 2),
        dispute("lost", 2),
    ];
    let told = |order: [usize; 4]| {
        let news = order.map(|index| News::Dispute(story[index].clone()));
        news.into_iter().fold(paid(), |payment, news| learn(payment, news).unwrap())
    };
    let told_in_order = told([0, 1, 2, 3]);
    let last = &told_in_order.disputes[0];
    assert_eq!((last.status.as_str(), last.is_withdrawn()), ("lost", true));
    for order in [[3, 2, 1, 0], [2, 3, 0, 1], [1, 3, 3, 2]] {
        assert_eq!(told(order), told_in_order);
    }
}

#[test]
fn a_repeated_intention_keeps_its_moment_and_its_amount() {
    let (first, step) = request(payment(5000), at(1)).unwrap();
    let changed = expect(first, eur(9000)).with_total(eur(900)).unwrap();
    let (again, same) = request(changed, at(2)).unwrap();
    assert_eq!(same, step);
    let pending = again.pending.unwrap();
    assert_eq!((pending.since, pending.tried_at, pending.attempt), (at(1), at(2), 2));
}

#[test]
fn an_outcome_is_applied_once() {
    let payment = held(5000).with_total(eur(900)).unwrap();
    let (requested, step) = request(payment, at(0)).unwrap();
    let payment = apply(requested, &step, Outcome::Captured, at(0)).unwrap();
    let repeated = apply(payment, &step, Outcome::Captured, at(0));
    assert!(matches!(repeated, Err(MoneyError::OutOfStep { .. })));
}

#[test]
fn a_price_never_changes() {
    let payment = held(5000).with_total(eur(900)).unwrap();
    assert_eq!(payment.clone().with_total(eur(900)), Ok(payment.clone()));
    let session_id = payment.session_id;
    assert_eq!(payment.with_total(eur(901)), Err(MoneyError::TotalChanged { session_id }));
}

#[test]
fn a_call_without_an_answer_is_looked_for_again_later_and_later_but_within_the_hour() {
    let (mut payment, _) = request(payment(5000), at(1)).unwrap();
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push((look_again_at(&payment, at(1)).unwrap() - at(1)).num_minutes());
        (payment, _) = request(payment, at(1)).unwrap();
    }
    assert_eq!(waits, [4, 8, 16, 32, 60, 60]);
}

/// 50.00 held at a reader.
fn tapped() -> Payment {
    Payment { card: Card::Present, ..held(5000) }
}

#[test]
fn a_presented_card_is_asked_for_no_other_hold() {
    let payment = expect(tapped(), eur(6000));
    assert!(idle(&payment, at(1)) && must_stop(&payment, at(1)));
}

#[test]
fn what_a_presented_card_did_not_cover_is_a_debt_with_a_pay_link() {
    let payment = tapped().with_total(eur(6200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", Outcome::Captured);
    assert!(!payment.is_settled());
    let (id, url) = ("cs_1".to_owned(), "https://pay/cs_1".to_owned());
    let payment =
        after(payment, at(0), "link/1", Outcome::LinkMade { id, url, expires_at: at(24) });
    assert!(payment.is_settled() && payment.debt.is_some());
    // Nobody pays; the page closes, and the debt stays until the driver asks for another page.
    let payment = after(payment, at(24), "link/1/expire", Outcome::LinkExpired);
    assert!(idle(&payment, at(1000)));
    let no_card = collect_again(payment.clone(), Card::Present);
    assert!(matches!(no_card, Err(MoneyError::OutOfStep { .. })));
    let again = offer_link(payment.clone()).unwrap();
    assert_eq!(next_step(&again, at(25)).unwrap().purpose(), "link/2");
    let payment = collect_again(payment, saved("pm_2")).unwrap();
    let payment = after(payment, at(25), "difference/1", charged());
    assert_eq!((payment.captured, payment.debt), (eur(6200), None));
}

#[test]
fn a_page_that_cannot_be_made_leaves_a_debt() {
    let payment = Payment { card: Card::Present, ..payment(0) }.with_total(eur(20)).unwrap();
    let payment = after(payment, at(0), "link/1", refused("amount_too_small"));
    assert!(payment.is_settled() && idle(&payment, at(1000)));
    assert_eq!(payment.owed, eur(20));
}
