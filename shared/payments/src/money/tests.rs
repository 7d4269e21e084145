//! The machine, step by step.

use chrono::{DateTime, TimeDelta, Utc};
use network::{
    Beyond, HoldRef, PaymentPolicy, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId,
};
use quantities::{Amount, SessionId, TransactionId};

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

fn captured(minor: i64) -> Outcome {
    Outcome::Captured { amount: eur(minor) }
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
    let payment = after(payment, at(0), "hold/1/capture/1", captured(5000));
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
    let payment = after(payment, at(0), "hold/1/capture/1", captured(1234));
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
        let later = at(0) + TimeDelta::minutes(9);
        assert_eq!(stop_if_uncovered(asked.clone(), later), asked);
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
    let payment = after(payment, at(0), "hold/1/capture/1", captured(5750));
    assert_eq!((payment.captured, payment.owed), (eur(5750), eur(450)));
    assert!(after(payment, at(0), "difference/1", charged()).is_settled());
}

#[test]
fn a_card_that_does_not_keep_its_word_is_captured_up_to_the_hold() {
    let placed = Outcome::Held { payment_intent: intent("pi_1"), terms: terms(5000, 5750, false) };
    let payment = after(payment(5000), at(0), "hold/1", placed).with_total(eur(6200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", refused("amount_too_large"));
    let payment = after(payment, at(0), "hold/1/capture/2", captured(5000));
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
    assert_eq!(payment.bars(), None, "no card could ever pay it");
}

#[test]
fn a_debt_that_can_be_paid_bars_its_driver_until_it_is() {
    let owing = in_debt("card_declined");
    assert_eq!(owing.bars(), owing.debt.as_ref());
    assert_eq!(forgive(owing, Forgiven::WrittenOff).unwrap().bars(), None);
    // A card at a reader is not charged again, but there is a page.
    let payment = Payment { card: Card::Present, ..payment(0) }.with_total(eur(2000)).unwrap();
    let payment = after(payment, at(0), "link/1", refused("rate_limit"));
    assert!(payment.bars().is_some());
}

#[test]
fn what_was_written_off_and_is_paid_after_all_is_written_off_no_more() {
    let payment = forgive(in_debt("card_declined"), Forgiven::WrittenOff).unwrap();
    let written_off = payment.written_off.minor;
    let part = learn(payment, taken("pi_8", 200, "")).unwrap();
    assert_eq!((part.written_off, surplus_of(&part)), (eur(written_off - 200), None));
    let more = learn(part, taken("pi_9", written_off, "")).unwrap();
    assert_eq!((more.written_off, surplus_of(&more)), (eur(0), Some(200)));
    assert_eq!(more.refunds[0].amount, eur(200), "only what is too much goes back");
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
fn what_was_decided_first_of_a_debt_stands() {
    for (first, other) in
        [(Forgiven::Waived, Forgiven::WrittenOff), (Forgiven::WrittenOff, Forgiven::Waived)]
    {
        let decided = forgive(linked(), first).unwrap();
        let otherwise = forgive(decided.clone(), other);
        assert!(matches!(otherwise, Err(MoneyError::OutOfStep { .. })), "{otherwise:?}");
        assert_eq!(forgive(decided.clone(), first).unwrap(), decided);
    }
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
    let news = |state| refund_news(Some(1), "re_1", 5000, state);
    let payment = learn(payment, news(RefundState::Failed)).unwrap();
    let payment = learn(payment, news(RefundState::Succeeded)).unwrap();
    assert_eq!(payment.refunds[0].state, RefundState::Failed);
    assert_eq!(payment.refundable().unwrap(), eur(6200));
}

fn refund_news(number: Option<u32>, id: &str, minor: i64, state: RefundState) -> News {
    let (id, payment_intent) = (id.to_owned(), intent("pi_1"));
    News::Refund { number, id, payment_intent, amount: eur(minor), state }
}

fn dispute(status: &str, hour: i64) -> Dispute {
    Dispute {
        id: "du_1".to_owned(),
        payment_intent: intent("pi_1"),
        amount: eur(5000),
        reason: "fraudulent".to_owned(),
        status: status.to_owned(),
        due_by: Some(at(200)),
        withdrawn: eur(0),
        reinstated: eur(0),
        fee: None,
        fee_returned: None,
        as_of: at(hour),
    }
}

#[test]
fn what_a_dispute_has_withdrawn_cannot_be_refunded_until_it_is_won() {
    let withdrawn = Dispute { withdrawn: eur(5000), ..dispute("needs_response", 2) };
    let payment = refund(paid(), eur(100), "goodwill", &[]).unwrap();
    let payment = learn(payment, News::Dispute(withdrawn)).unwrap();
    // What was decided and not asked for yet is given up.
    assert_eq!(payment.refunds[0].state, RefundState::Failed);
    assert_eq!(payment.refundable().unwrap(), eur(1200));
    let won = Dispute { reinstated: eur(5000), ..dispute("won", 9) };
    let payment = learn(payment, News::Dispute(won)).unwrap();
    assert_eq!(payment.refundable().unwrap(), eur(6200));
}

#[test]
fn news_of_a_dispute_may_come_in_any_order() {
    let story = [
        dispute("needs_response", 1),
        Dispute { withdrawn: eur(5000), ..dispute("needs_response", 1) },
        dispute("under_review", 2),
        Dispute { withdrawn: eur(5000), ..dispute("lost", 2) },
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
    let payment = apply(requested, &step, captured(900), at(0)).unwrap();
    let repeated = apply(payment, &step, captured(900), at(0));
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
    let waits = |payment: Payment, tries: usize| -> Vec<i64> {
        let mut waits = Vec::new();
        let (mut payment, _) = request(payment, at(1)).unwrap();
        for _ in 0..tries {
            waits.push((look_again_at(&payment, at(1)).unwrap() - at(1)).num_minutes());
            (payment, _) = request(payment, at(1)).unwrap();
        }
        waits
    };
    assert_eq!(waits(held(5000).with_total(eur(900)).unwrap(), 6), [4, 8, 16, 32, 60, 60]);
    // While energy flows that nothing covers, sooner.
    assert_eq!(waits(payment(5000), 10), [4, 4, 4, 4, 4, 8, 16, 32, 60, 60]);
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
    let payment = after(payment, at(0), "hold/1/capture/1", captured(5000));
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

fn taken(id: &str, minor: i64, purpose: &str) -> News {
    let payment_intent = intent(id);
    News::Taken { payment_intent, amount: eur(minor), purpose: purpose.to_owned() }
}

fn surplus_of(payment: &Payment) -> Option<i64> {
    payment.surplus.map(|surplus| surplus.minor)
}

#[test]
fn a_hold_that_is_captured_at_stripe_is_money_and_what_is_too_much_is_given_back() {
    let running = learn(held(5000), taken("pi_1", 5000, "hold/1")).unwrap();
    assert_eq!((running.hold.clone(), running.captured), (None, eur(5000)));
    let priced = running.with_total(eur(1200)).unwrap();
    assert_eq!((surplus_of(&priced), priced.owed), (Some(3800), eur(0)));
    let given = Outcome::Refunded { id: "re_1".to_owned(), state: RefundState::Succeeded };
    let done = after(priced, at(1), "refund/1", given);
    assert_eq!(done.refunds[0].by, RefundBy::Surplus);
    assert!(idle(&done, at(1)) && done.surplus_left().is_none());
    // The sale can be given back as if nothing had been.
    assert_eq!(done.refundable().unwrap(), eur(1200));
}

#[test]
fn a_call_finds_what_was_captured_at_stripe_and_takes_it_for_a_fact() {
    let payment = held(5000).with_total(eur(1200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", captured(3000));
    assert_eq!((payment.captured, surplus_of(&payment)), (eur(3000), Some(1800)));
    let free = held(5000).with_total(eur(0)).unwrap();
    let free = after(free, at(0), "hold/1/cancel", captured(100));
    assert_eq!((free.captured, surplus_of(&free)), (eur(100), Some(100)));
    assert!(free.hold.is_none());
}

#[test]
fn news_of_our_own_captures_changes_nothing() {
    let payment = held(5000).with_total(eur(1200)).unwrap();
    let (asked, _) = request(payment.clone(), at(0)).unwrap();
    let news = taken("pi_1", 1200, "hold/1");
    assert_eq!(learn(asked.clone(), news.clone()).unwrap(), asked, "the call finds out");
    let paid = after(payment, at(0), "hold/1/capture/1", captured(1200));
    assert_eq!(learn(paid.clone(), news).unwrap(), paid);
}

#[test]
fn a_surplus_that_could_not_be_given_back_waits_for_a_person() {
    let payment = held(5000).with_total(eur(1200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", captured(3000));
    let payment = after(payment, at(1), "refund/1", refused("expired_or_canceled_card"));
    assert!(idle(&payment, at(1000)) && look_again_at(&payment, at(1)).is_none());
    assert_eq!(payment.surplus_left(), Some(eur(1800)));
    assert_eq!(payment.waits_for_somebody(at(2)), Some(at(2)));
    let payment = refund_again(payment, 1).unwrap();
    assert_eq!((payment.surplus_left(), payment.refunds[1].surplus), (None, Some(eur(1800))));
    assert!(matches!(refund_again(payment, 2), Err(MoneyError::OutOfStep { .. })));
}

#[test]
fn what_is_given_back_at_stripe_is_surplus_first_and_then_of_the_sale() {
    let payment = held(5000).with_total(eur(1200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", captured(3000));
    // Somebody is faster than the machine: it gives back what is left of the surplus.
    let news = |id: &str, minor| refund_news(None, id, minor, RefundState::Succeeded);
    let payment = learn(payment, news("re_1", 1500)).unwrap();
    let wishes: Vec<_> = payment.refunds.iter().map(|r| (r.by, r.amount.minor)).collect();
    assert_eq!(wishes, [(RefundBy::Stripe, 1500), (RefundBy::Surplus, 300)]);
    assert_eq!(payment.refunds[0].made_of_sale(), None);
    let payment = learn(payment, news("re_2", 500)).unwrap();
    let second = payment.refunds.iter().find(|r| r.id.as_deref() == Some("re_2")).unwrap();
    assert_eq!((second.surplus, second.made_of_sale()), (Some(eur(300)), Some(eur(200))));
    assert!(idle(&payment, at(1)), "{payment:?}");
    assert_eq!(payment.refundable().unwrap(), eur(1000));
}

#[test]
fn a_surplus_that_somebody_gave_back_at_stripe_is_not_tried_again() {
    let payment = held(5000).with_total(eur(2000)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", captured(3000));
    let failed = after(payment, at(1), "refund/1", refused("expired_or_canceled_card"));
    assert!(refund_again(failed.clone(), 1).is_ok());
    // A part of it: the rest is.
    let news = refund_news(None, "re_8", 300, RefundState::Succeeded);
    let rest = refund_again(learn(failed.clone(), news).unwrap(), 1).unwrap();
    let last = rest.refunds.last().unwrap();
    assert_eq!((last.amount, last.surplus, rest.surplus_left()), (eur(700), Some(eur(700)), None));
    assert!(matches!(refund_again(rest, 1), Err(MoneyError::OutOfStep { .. })));
    let news = refund_news(None, "re_9", 1000, RefundState::Succeeded);
    let given = learn(failed, news).unwrap();
    assert_eq!(given.refundable().unwrap(), eur(2000), "it could be paid out of the sale");
    assert!(matches!(refund_again(given, 1), Err(MoneyError::OutOfStep { .. })));
}

#[test]
fn surplus_that_was_given_back_at_stripe_and_failed_there_goes_back_once() {
    let payment = held(5000).with_total(eur(1200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", captured(3000));
    let made = |id: &str, state| refund_news(None, id, 1800, state);
    let told = |payment: Payment, news| learn(payment, news).unwrap();
    let given = told(payment, made("re_1", RefundState::Succeeded));
    assert!(idle(&given, at(1)) && given.surplus_left().is_none());
    // It waits for a person, who may be the one that made it: nothing goes back by itself.
    let failed = told(given, made("re_1", RefundState::Failed));
    let surplus = Some(eur(1800));
    assert_eq!((failed.surplus_left(), failed.refunds.len()), (surplus, 1));
    assert!(idle(&failed, at(2)) && failed.waits_for_somebody(at(2)).is_some());
    // They make it once more there: it is the surplus, and nothing is of the sale.
    let there = told(failed.clone(), made("re_2", RefundState::Succeeded));
    assert_eq!((there.surplus_left(), there.refunds[1].made_of_sale()), (None, None));
    assert!(matches!(refund_again(there, 2), Err(MoneyError::OutOfStep { .. })));
    // Or here, once.
    let here = refund_again(failed, 2).unwrap();
    let ours = &here.refunds[1];
    assert_eq!((ours.by, ours.amount, ours.surplus), (RefundBy::Decision, eur(1800), surplus));
    assert_eq!(here.surplus_left(), None);
    assert!(matches!(refund_again(here, 2), Err(MoneyError::OutOfStep { .. })));
}

/// 62.00 of 80.00: 18.00 were taken too much.
fn overpaid() -> Payment {
    let payment = held(10_000).with_total(eur(6200)).unwrap();
    after(payment, at(0), "hold/1/capture/1", captured(8000))
}

/// Stripe tells of a refund that somebody made there.
fn told(payment: &Payment, id: &str, minor: i64, state: RefundState) -> Payment {
    learn(payment.clone(), refund_news(None, id, minor, state)).unwrap()
}

/// 18.00 of surplus and 5.00 of the sale, given back at Stripe under this number.
fn mixed() -> (Payment, u32) {
    let given = told(&overpaid(), "re_1", 2300, RefundState::Succeeded);
    assert_eq!(given.refunds[0].made_of_sale(), Some(eur(500)));
    let number = given.refunds[0].number;
    (given, number)
}

fn newest(payment: &Payment) -> (i64, Option<Amount>) {
    payment.refunds.last().map(|refund| (refund.amount.minor, refund.surplus)).unwrap()
}

#[test]
fn of_what_failed_at_stripe_uncredited_only_the_surplus_is_owed() {
    let (given, number) = mixed();
    let failed = told(&given, "re_1", 2300, RefundState::Failed);
    let surplus = refund_again(failed.clone(), number).unwrap();
    assert_eq!(newest(&surplus), (1800, Some(eur(1800))));
    assert!(refund_again(surplus, number).is_err());
    assert!(credit_made(failed.clone(), number).is_err(), "it takes back nothing any more");
    // Nor has the driver's bank anything of it in its place but that.
    let lost = Dispute { amount: eur(8000), withdrawn: eur(8000), ..dispute("lost", 2) };
    let disputed = learn(failed, News::Dispute(lost)).unwrap();
    assert_eq!(disputed.refunds[0].charged_back, Some(eur(1800)));
}

#[test]
fn of_surplus_and_sale_that_failed_at_stripe_each_goes_back_once() {
    let (given, number) = mixed();
    let credited = credit_made(given, number).unwrap();
    let failed = told(&credited, "re_1", 2300, RefundState::Failed);
    let all = refund_again(failed.clone(), number).unwrap();
    assert_eq!(newest(&all), (2300, Some(eur(1800))));
    assert!(refund_again(all, number).is_err());
    // The surplus made again there: only the 5.00 are left, once.
    let there = told(&failed, "re_2", 1800, RefundState::Succeeded);
    assert_eq!(there.surplus_left(), None);
    let rest = refund_again(there.clone(), number).unwrap();
    assert_eq!(newest(&rest), (500, Some(eur(0))));
    assert!(refund_again(rest, number).is_err());
    // A dispute that is lost settles nothing that was made again, and hides no surplus.
    let lost = Dispute { amount: eur(6200), withdrawn: eur(6200), ..dispute("lost", 2) };
    let disputed = learn(there, News::Dispute(lost)).unwrap();
    assert_eq!(disputed.refunds[0].charged_back, Some(eur(500)));
    let more = learn(disputed, taken("pi_2", 1000, "")).unwrap();
    assert_eq!(newest(&more), (1000, Some(eur(1000))));
    let purpose = format!("refund/{}", more.refunds.last().unwrap().number);
    let refused = after(more, at(3), &purpose, refused("expired_or_canceled_card"));
    assert_eq!(refused.surplus_left(), Some(eur(1000)));
}

#[test]
fn what_the_bank_had_and_gave_back_is_owed_once() {
    let payment = learn(overpaid(), taken("pi_2", 1800, "")).unwrap();
    // 36.00 of surplus and 4.00 of the sale, all of the first PaymentIntent.
    let given = told(&payment, "re_1", 4000, RefundState::Succeeded);
    let number = given.refunds[0].number;
    let credited = credit_made(given, number).unwrap();
    let lost = Dispute { amount: eur(2200), withdrawn: eur(2200), ..dispute("lost", 2) };
    let disputed = learn(credited, News::Dispute(lost.clone())).unwrap();
    let failed = told(&disputed, "re_1", 4000, RefundState::Failed);
    assert_eq!(failed.refunds[0].charged_back, Some(eur(2200)));
    let again = refund_again(failed, number).unwrap();
    assert_eq!(newest(&again), (1800, Some(eur(1400))));
    // The bank turns, and the 22.00 wait for a person: nothing goes back by itself.
    let turned = Dispute { status: "won".to_owned(), reinstated: eur(2200), as_of: at(9), ..lost };
    let known = again.refunds.len();
    let turned = learn(again, News::Dispute(turned)).unwrap();
    let same = told(&turned, "re_1", 4000, RefundState::Failed);
    assert_eq!((same.refunds.len(), &same), (known, &turned));
    assert_eq!(turned.refunds[0].still_owed(), eur(2200));
    let rest = refund_again(turned, number).unwrap();
    let ours = rest.refunds.iter().filter(|refund| refund.by == RefundBy::Decision);
    assert_eq!(ours.map(|refund| refund.amount.minor).sum::<i64>(), 4000);
}

#[test]
fn what_was_made_at_stripe_in_place_of_another_is_that_one_made_again() {
    let payment = refund(paid(), eur(4000), "slow", &[1]).unwrap();
    let pending = Outcome::Refunded { id: "re_1".to_owned(), state: RefundState::Failed };
    let failed = after(payment, at(1), "refund/1", pending);
    let there = told(&failed, "re_2", 3000, RefundState::Succeeded);
    let stands = stand_in(there.clone(), 2, 1).unwrap();
    assert_eq!(
        (stands.refunds[0].still_owed(), stands.refunds[1].made_of_sale()),
        (eur(1000), None)
    );
    assert!(stand_in(stands.clone(), 2, 1).is_err() && credit_made(stands.clone(), 2).is_err());
    // It fails as well: what it was to give back is owed, whoever asks for it.
    let both = told(&stands, "re_2", 3000, RefundState::Failed);
    assert_eq!(both.refunds.iter().map(|r| r.still_owed().minor).collect::<Vec<_>>(), [1000, 3000]);
    // It is none if it is credited by itself.
    let credited = credit_made(there.clone(), 2).unwrap();
    assert!(matches!(stand_in(credited, 2, 1), Err(MoneyError::OutOfStep { .. })));
    // What is more than is owed takes back a part of the sale by itself.
    let more = told(&there, "re_3", 4100, RefundState::Succeeded);
    let part = stand_in(more, 3, 1).unwrap();
    assert_eq!(part.refunds[2].made_of_sale(), Some(eur(100)));
    let owed = |payment: &Payment| payment.refunds[2].still_owed();
    assert_eq!(owed(&told(&part, "re_3", 4100, RefundState::Failed)), eur(4000));
    let all = credit_made(part, 3).unwrap();
    assert_eq!(owed(&told(&all, "re_3", 4100, RefundState::Failed)), eur(4100));
}

#[test]
fn surplus_that_failed_after_it_was_made_again_at_stripe_is_that_one_made_again() {
    // The machine's refund is on its way; somebody makes another of as much.
    let pending = Outcome::Refunded { id: "re_1".to_owned(), state: RefundState::Pending };
    let asked = after(overpaid(), at(1), "refund/1", pending);
    let there = told(&asked, "re_2", 1800, RefundState::Succeeded);
    assert_eq!(there.refunds[1].made_of_sale(), Some(eur(1800)));
    let failed = refund_news(Some(1), "re_1", 1800, RefundState::Failed);
    let failed = learn(there, failed).unwrap();
    let stands = stand_in(failed, 2, 1).unwrap();
    assert_eq!((stands.refunds[1].surplus, stands.surplus_left()), (Some(eur(1800)), None));
    assert!(refund_again(stands, 1).is_err());
}

#[test]
fn a_lost_dispute_takes_the_place_of_surplus_that_failed_at_stripe() {
    let payment = held(5000).with_total(eur(1200)).unwrap();
    let payment = after(payment, at(0), "hold/1/capture/1", captured(3000));
    let made = |state| refund_news(None, "re_1", 1800, state);
    let given = learn(payment, made(RefundState::Succeeded)).unwrap();
    let lost = Dispute { amount: eur(1200), withdrawn: eur(1200), ..dispute("lost", 2) };
    let disputed = learn(given, News::Dispute(lost)).unwrap();
    assert_eq!(disputed.surplus_left(), None);
    let failed = learn(disputed, made(RefundState::Failed)).unwrap();
    // The driver has 12.00 of the 18.00 from the bank.
    assert_eq!(failed.surplus_left(), Some(eur(600)));
    let again = refund_again(failed, 2).unwrap();
    let ours = again.refunds.last().unwrap();
    assert_eq!((ours.amount, ours.surplus, again.surplus_left()), (eur(600), Some(eur(600)), None));
}

#[test]
fn a_refund_made_at_stripe_takes_the_place_of_one_that_is_only_wanted() {
    let wanted = refund(paid(), eur(4000), "slow", &[]).unwrap();
    let news = refund_news(None, "re_9", 3000, RefundState::Succeeded);
    let (asked, _) = request(wanted.clone(), at(2)).unwrap();
    let given_up = learn(wanted, news.clone()).unwrap();
    assert_eq!(given_up.refunds[0].state, RefundState::Failed);
    // One that Stripe is being asked for finds out itself.
    let waiting = learn(asked, news).unwrap();
    assert_eq!(waiting.refunds[0].state, RefundState::Wanted);
    let refused = after(waiting, at(2), "refund/1", refused("amount_too_large"));
    assert_eq!((refused.refunds[0].state, refused.refunds.len()), (RefundState::Failed, 2));
}

#[test]
fn a_second_refund_under_the_number_of_one_is_a_fact_of_its_own() {
    let payment = refund(paid(), eur(400), "slow", &[]).unwrap();
    let news = |id| refund_news(Some(1), id, 400, RefundState::Succeeded);
    let payment = learn(payment, news("re_1")).unwrap();
    assert_eq!(learn(payment.clone(), news("re_1")).unwrap(), payment);
    let twice = learn(payment, news("re_2")).unwrap();
    assert_eq!(twice.refunds[1].by, RefundBy::Stripe);
    assert_eq!(twice.refundable().unwrap(), eur(5400));
}

fn stuck(payment: Payment) -> Payment {
    let (requested, _) = request(payment, at(0)).unwrap();
    let param = "amount".to_owned();
    let why = StuckWhy::Rejected { status: 400, error: "parameter_invalid".to_owned(), param };
    give_up_on(requested, why, at(0))
}

#[test]
fn a_payment_that_is_stuck_is_tried_again_only_when_somebody_says_so_or_news_comes() {
    let payment = stuck(held(5000).with_total(eur(900)).unwrap());
    assert!(idle(&payment, at(1000)) && look_again_at(&payment, at(0)).is_none());
    assert_eq!(payment.waits_for_somebody(at(9)), Some(at(0)));
    assert_eq!(payment.clone().with_total(eur(900)).unwrap(), payment, "it is no news");
    let again = after(resume(payment.clone()), at(1), "hold/1/capture/1", captured(900));
    assert!(again.is_settled() && again.stuck.is_none());
    let news = learn(payment.clone(), News::Dispute(dispute("needs_response", 1))).unwrap();
    assert_eq!(next_step(&news, at(1)).unwrap().purpose(), "hold/1/capture/1");
    let no_news = News::LinkExpired { id: "cs_9".to_owned() };
    assert_eq!(learn(payment.clone(), no_news).unwrap(), payment);
    let running = stuck(self::payment(5000));
    assert!(running.with_total(eur(900)).unwrap().stuck.is_none(), "the price is new");
}

#[test]
fn a_charge_that_is_stuck_goes_on_when_stripe_tells_that_it_was_taken() {
    let payment = self::payment(0).with_total(eur(900)).unwrap();
    let (requested, charge) = request(payment, at(0)).unwrap();
    let why = StuckWhy::Unexpected { status: "requires_action".to_owned() };
    let payment = give_up_on(requested, why, at(0));
    assert!(idle(&learn(payment.clone(), News::LinkExpired { id: String::new() }).unwrap(), at(1)));
    let told = learn(payment, taken("pi_d", 900, "difference/1")).unwrap();
    assert_eq!((next_step(&told, at(1)), told.captured), (Some(charge), eur(0)));
    assert!(after(told, at(1), "difference/1", charged()).is_settled());
}

#[test]
fn a_hold_that_is_needed_no_more_does_not_wait_for_a_refund() {
    let payment = learn(held(5000), taken("pi_0", 2000, "")).unwrap();
    let payment = payment.with_total(eur(1200)).unwrap();
    assert_eq!(payment.refunds[0].amount, eur(800));
    let payment = after(payment, at(0), "hold/1/cancel", Outcome::Canceled);
    assert_eq!(next_step(&payment, at(0)), Some(Step::Refund { number: 1 }));
}

#[test]
fn what_stripe_rejected_for_good_holds_up_no_decision() {
    let payment = stuck(held(5000).with_total(eur(900)).unwrap());
    assert!(!payment.is_collecting());
    let waived = forgive(payment.clone(), Forgiven::Waived).unwrap();
    assert_eq!((waived.owed, waived.waived), (eur(0), eur(900)));
    assert_eq!(next_step(&waived, at(1)), Some(Step::CancelHold { number: 1 }));
    // Of a call that may still take money nobody knows.
    let (asked, _) = request(held(5000).with_total(eur(900)).unwrap(), at(0)).unwrap();
    let waits = forgive(asked, Forgiven::Waived).unwrap();
    assert_eq!((waits.is_collecting(), waits.owed), (true, eur(900)));
}

#[test]
fn a_charger_is_told_to_stop_again_while_it_delivers_uncovered() {
    let minutes = |minutes| at(0) + TimeDelta::minutes(minutes);
    let payment = after(payment(5000), at(0), "hold/1", refused("card_declined"));
    let told = stop_if_uncovered(payment, at(0));
    assert_eq!((told.stop_asked, told.stops), (true, 1));
    assert_eq!(look_again_at(&told, at(0)), Some(minutes(10)));
    assert_eq!(stop_if_uncovered(told.clone(), minutes(9)), told);
    let again = stop_if_uncovered(told, minutes(10));
    assert_eq!((again.stops, again.stop_again_at), (2, Some(minutes(20))));
    let ended = stopped(again.clone());
    assert_eq!(look_again_at(&ended, minutes(11)), None);
    let priced = again.with_total(eur(100)).unwrap();
    assert_eq!(stop_if_uncovered(priced.clone(), minutes(60)), priced, "it is over");
}

#[test]
fn the_hold_of_a_presented_card_is_raised_where_its_charge_says_so() {
    let mut payment = expect(tapped(), eur(6000));
    payment.hold.as_mut().unwrap().terms.raisable = true;
    assert!(!must_stop(&payment, at(0)));
    let raised = Outcome::Raised { terms: terms(6000, 6000, true) };
    let payment = after(payment, at(0), "hold/1/raise/1", raised);
    assert_eq!(payment.hold.as_ref().unwrap().terms.amount, eur(6000));
    assert!(idle(&payment, at(0)) && !must_stop(&payment, at(0)));
    // Refused, there is no other hold to be had: the session is not covered.
    let payment = expect(payment, eur(7000));
    let payment = after(payment, at(1), "hold/1/raise/2", refused("card_declined"));
    assert!(idle(&payment, at(1)) && must_stop(&payment, at(1)));
}
