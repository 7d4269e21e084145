//! Each change tells what it is, once.

use network::{
    HoldRef, PaymentPolicy, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId,
};
use payments::money::{
    Card, Forgiven, HoldTerms, News, Outcome, apply, collect_again, expect, forgive, learn, request,
};
use quantities::{Currency, SessionId, TransactionId};

use super::*;

fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::EUR)
}

fn intent(id: &str) -> StripePaymentIntentId {
    StripePaymentIntentId(id.to_owned())
}

fn policy() -> PaymentPolicy {
    PaymentPolicy { raise: true, holds_max: 2, ..PaymentPolicy::default() }
}

fn payment(wanted: i64) -> Payment {
    let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
    let customer = StripeCustomerId("cus_1".to_owned());
    let payment_method = StripePaymentMethodId("pm_1".to_owned());
    Payment::new(session, Card::Saved { customer, payment_method }, eur(wanted), policy())
}

fn held(minor: i64) -> Payment {
    let Payment { session_id, card, policy, .. } = payment(0);
    let placed = HoldRef::plain(intent("pi_1"), eur(minor));
    Payment::with_placed_hold(session_id, card, placed, policy)
}

fn after(payment: &Payment, outcome: Outcome) -> Payment {
    let (requested, step) = request(payment.clone(), now()).unwrap();
    apply(requested, &step, outcome, now()).unwrap()
}

fn refused() -> Outcome {
    Outcome::Refused { refusal: Refusal { code: "card_declined".to_owned(), decline_code: None } }
}

/// What is told, in words.
fn tells(before: Option<&Payment>, after: &Payment) -> Vec<String> {
    let events = told(before, after, now()).unwrap();
    let word = |event: &Event| match event {
        Event::PaymentAuthorized { payment_intent, amount, .. } => {
            format!("authorized {payment_intent} {amount}")
        }
        Event::PaymentReleased { payment_intent, .. } => format!("released {payment_intent}"),
        Event::PaymentCaptured { payment_intent, amount, .. } => {
            format!("captured {payment_intent} {amount}")
        }
        Event::PaymentOwed { amount, code, .. } => format!("owed {amount} {code}"),
        Event::PaymentRefused { code, .. } => format!("refused {code}"),
        other => other.event_type().to_owned(),
    };
    events.iter().map(word).collect()
}

#[test]
fn a_hold_is_told_when_it_is_placed_and_again_when_it_is_raised() {
    assert_eq!(tells(None, &held(5000)), ["authorized pi_1 50.00 EUR"]);
    assert_eq!(tells(Some(&held(5000)), &held(5000)), Vec::<String>::new());
    let terms = HoldTerms { raisable: true, ..HoldTerms::plain(eur(5000)) };
    let placed = after(&payment(5000), Outcome::Held { payment_intent: intent("pi_1"), terms });
    let wanting = expect(placed, eur(6000));
    let terms = HoldTerms::plain(eur(6000));
    let raised = after(&wanting, Outcome::Raised { terms });
    assert_eq!(tells(Some(&wanting), &raised), ["authorized pi_1 60.00 EUR"]);
}

#[test]
fn a_refused_hold_is_told_and_why() {
    let payment = payment(5000);
    assert_eq!(tells(Some(&payment), &after(&payment, refused())), ["refused card_declined"]);
}

#[test]
fn a_captured_hold_is_told_as_money_and_not_as_released() {
    let priced = held(5000).with_total(eur(900)).unwrap();
    let captured = after(&priced, Outcome::Captured { amount: eur(900) });
    assert_eq!(tells(Some(&priced), &captured), ["captured pi_1 9.00 EUR"]);
}

#[test]
fn a_hold_that_served_nothing_is_told_as_released() {
    let free = held(5000).with_total(eur(0)).unwrap();
    assert_eq!(tells(Some(&free), &after(&free, Outcome::Canceled)), ["released pi_1"]);
    let lost = News::HoldLost { payment_intent: intent("pi_1") };
    assert_eq!(tells(Some(&held(1)), &learn(held(1), lost).unwrap()), ["released pi_1"]);
}

#[test]
fn a_debt_is_told_once_and_that_it_is_cleared() {
    let priced = payment(0).with_total(eur(900)).unwrap();
    let owed = after(&priced, refused());
    assert_eq!(tells(Some(&priced), &owed), ["owed 9.00 EUR card_declined"]);
    let forgiven = forgive(owed.clone(), Forgiven::Waived).unwrap();
    assert_eq!(tells(Some(&owed), &forgiven), ["payment.cleared", "payment.waived"]);
}

#[test]
fn a_debt_that_is_paid_tells_the_money_and_that_it_is_cleared() {
    let owed = after(&payment(0).with_total(eur(900)).unwrap(), refused());
    let again = collect_again(owed.clone(), owed.card.clone()).unwrap();
    let paid = after(&again, Outcome::Charged { payment_intent: intent("pi_2") });
    assert_eq!(tells(Some(&again), &paid), ["captured pi_2 9.00 EUR", "payment.cleared"]);
}
