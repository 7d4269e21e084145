//! The steps against the twin, over HTTP.

use network::{Beyond, PaymentPolicy};
use stripe_twin::{DeclineRule, Fault, FaultKind};

use super::super::tests::{Bench, EVERY_FAULT, bench, eur, post};
use super::*;
use crate::money;
use crate::money::RefundState;

fn policy() -> PaymentPolicy {
    PaymentPolicy {
        raise: true,
        beyond: Beyond::NewHold,
        holds_max: 3,
        links_max: 1,
        ..PaymentPolicy::default()
    }
}

impl Bench {
    fn money(&self, transaction: i32, wanted: i64) -> Payment {
        Payment { policy: policy(), ..self.payment(transaction, wanted) }
    }

    async fn control(&self, path: &str, body: &serde_json::Value) {
        let request = reqwest::Client::new().post(format!("{}/_twin/{path}", self.twin.url()));
        let answer = request.json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    async fn priced(&self, payment: Payment, minor: i64) -> Payment {
        self.carry_on(payment.with_total(eur(minor)).unwrap()).await
    }
}

#[tokio::test]
async fn a_hold_is_raised_and_exceeded_where_the_charge_says_so() {
    let bench = bench("pm_card_visa").await;
    bench.control("account", &serde_json::json!({ "ic_plus": true })).await;
    let payment = bench.carry_on(bench.money(1, 5000)).await;
    let terms = payment.hold.as_ref().unwrap().terms;
    assert!(terms.raisable && terms.capture_before.is_some());
    let payment = bench.carry_on(money::expect(payment, eur(6000))).await;
    assert_eq!(payment.hold.as_ref().unwrap().terms.amount, eur(6000));
    // 15 % above 60.00 is 69.00.
    let payment = bench.priced(payment, 6800).await;
    assert_eq!((payment.captured, payment.owed), (eur(6800), eur(0)));
    assert_eq!(bench.taken_and_open(), (6800, 0));
    assert_eq!(bench.intents().len(), 1);
}

#[tokio::test]
async fn a_hold_that_cannot_be_raised_is_replaced() {
    let bench = bench("pm_card_visa").await;
    let payment = bench.carry_on(bench.money(1, 5000)).await;
    let payment = bench.carry_on(money::expect(payment, eur(6000))).await;
    assert_eq!(bench.taken_and_open(), (0, 1));
    let payment = bench.priced(payment, 5500).await;
    assert_eq!((payment.captured, bench.taken_and_open()), (eur(5500), (5500, 0)));
}

async fn with_link(bench: &Bench) -> Payment {
    bench.twin.decline(DeclineRule {
        payment_method: bench.card.0.clone(),
        capture_method: Some("automatic".to_owned()),
        above: 0,
        code: "authentication_required".to_owned(),
        decline_code: Some("authentication_required".to_owned()),
    });
    let payment = bench.carry_on(bench.money(1, 5000)).await;
    bench.priced(payment, 6200).await
}

#[tokio::test]
async fn a_page_that_was_paid_on_is_found_when_it_is_closed() {
    let bench = bench("pm_card_visa").await;
    let payment = with_link(&bench).await;
    let link = payment.open_link().unwrap();
    assert_eq!(link.amount, eur(1200));
    let pay = format!("checkout/sessions/{}/pay", link.id);
    bench.control(&pay, &serde_json::json!({ "card": "pm_card_visa" })).await;
    let payment = money::forgive(payment, money::Forgiven::Waived).unwrap();
    let payment = bench.carry_on(payment).await;
    assert_eq!((payment.captured, payment.waived), (eur(6200), eur(0)));
    assert_eq!(bench.taken_and_open(), (6200, 0));
}

#[tokio::test]
async fn a_page_that_nobody_paid_on_is_closed_once_and_again() {
    let bench = bench("pm_card_visa").await;
    let payment = with_link(&bench).await;
    post(&bench.twin, &format!("checkout/sessions/{}/expire", payment.links[0].id), &[]).await;
    let payment = money::forgive(payment, money::Forgiven::WrittenOff).unwrap();
    let payment = bench.carry_on(payment).await;
    assert_eq!((payment.captured, payment.written_off), (eur(5000), eur(1200)));
}

#[tokio::test]
async fn any_fault_at_any_new_call_changes_nothing_about_the_money() {
    for kind in EVERY_FAULT {
        for path in ["/increment_authorization", "/payment_intents", "/refunds", "/capture"] {
            let bench = bench("pm_card_visa").await;
            bench.control("account", &serde_json::json!({ "ic_plus": true })).await;
            bench.twin.fault(Fault { slow_ms: 5, ..Fault::next(kind, 2).on(path) });
            let payment = bench.carry_on(bench.money(1, 5000)).await;
            let payment = bench.carry_on(money::expect(payment, eur(6000))).await;
            let payment = bench.priced(payment, 5800).await;
            let payment = money::refund(payment, eur(800), "broken plug", &[]).unwrap();
            let payment = bench.carry_on(payment).await;
            assert_eq!(payment.captured, eur(5800), "{kind:?} at {path}");
            assert_eq!(payment.refunds[0].state, RefundState::Succeeded, "{kind:?} at {path}");
            assert_eq!(bench.taken_and_open(), (5800, 0), "{kind:?} at {path}");
            let refunds = bench.twin.state()["refunds"].as_array().unwrap().len();
            assert_eq!(refunds, 1, "{kind:?} at {path}");
        }
    }
}

/// Stripe refuses the next request in words only.
fn rejected(bench: &Bench, path: &str) {
    bench.twin.fault(Fault::next(FaultKind::Rejected, 1).on(path));
}

#[tokio::test]
async fn a_raise_that_is_rejected_leaves_the_hold_as_it_was() {
    let bench = bench("pm_card_visa").await;
    let mut payment = bench.carry_on(bench.money(1, 5000)).await;
    // What the charge said when it was made holds no more.
    payment.hold.as_mut().unwrap().terms.raisable = true;
    let payment = bench.carry_on(money::expect(payment, eur(6000))).await;
    assert!(payment.refusal.as_ref().unwrap().is_rejection(), "{payment:?}");
    assert_eq!((payment.holds_asked, bench.taken_and_open()), (2, (0, 1)));
    assert_eq!(bench.priced(payment, 5500).await.captured, eur(5500));
}

#[tokio::test]
async fn a_capture_above_the_hold_that_is_rejected_takes_what_is_held() {
    for rejects in [true, false] {
        let bench = bench("pm_card_visa").await;
        let mut payment = bench.carry_on(bench.money(1, 5000)).await;
        payment.hold.as_mut().unwrap().terms.most = eur(5750);
        if rejects {
            rejected(&bench, "/capture");
        }
        let payment = bench.priced(payment, 5500).await;
        let taken: Vec<_> = payment.taken.iter().map(|taken| taken.amount).collect();
        assert_eq!((taken, payment.owed), (vec![eur(5000), eur(500)], eur(0)));
        assert_eq!(bench.taken_and_open(), (5500, 0));
    }
}

#[tokio::test]
async fn a_page_that_is_rejected_leaves_a_debt_and_nothing_in_its_way() {
    let bench = bench("pm_card_visa").await;
    rejected(&bench, "/checkout");
    let payment = with_link(&bench).await;
    assert!(payment.refusal.as_ref().unwrap().is_rejection(), "{payment:?}");
    assert_eq!(
        (payment.links.len(), payment.owed, payment.pending.is_some()),
        (0, eur(1200), false)
    );
    let payment = money::refund(payment, eur(800), "broken plug", &[]);
    let payment = bench.carry_on(payment.unwrap()).await;
    assert_eq!(payment.refunds[0].state, RefundState::Succeeded);
}

#[tokio::test]
async fn a_page_for_another_app_is_made_under_another_key() {
    let bench = bench("pm_card_visa").await;
    let payment = bench.money(1, 0).with_total(eur(900)).unwrap();
    let payment = Payment { card: Card::Present, ..payment };
    let (requested, step) = money::request(payment, super::super::failure::now()).unwrap();
    let first = bench.stripe.carry_out(&requested, &step).await.unwrap();
    let stripe = bench.stripe.clone().with_return_url("https://new.driver.example/");
    let second = stripe.carry_out(&requested, &step).await.unwrap();
    let (Outcome::LinkMade { id, .. }, Outcome::LinkMade { id: other, .. }) = (&first, &second)
    else {
        panic!("{first:?} {second:?}");
    };
    assert_ne!(id, other);
}

#[tokio::test]
async fn a_refund_of_what_was_given_back_at_stripe_is_refused() {
    // (given back at Stripe, code): a part of it, all of it.
    for (gone, code) in [("3000", "amount_too_large"), ("4200", "charge_already_refunded")] {
        let bench = bench("pm_card_visa").await;
        let payment = bench.priced(bench.carry_on(bench.money(1, 5000)).await, 4200).await;
        let intent = &payment.taken[0].payment_intent.0;
        post(&bench.twin, "refunds", &[("payment_intent", intent), ("amount", gone)]).await;
        let payment = money::refund(payment, eur(4200), "broken plug", &[]).unwrap();
        let payment = bench.carry_on(payment).await;
        assert_eq!(payment.refunds[0].state, RefundState::Failed);
        let refusal = payment.refusal.unwrap();
        assert_eq!((refusal.code.as_str(), refusal.is_rejection()), (code, false));
    }
}

#[tokio::test]
async fn a_refund_with_other_parameters_than_before_is_made_once() {
    let bench = bench("pm_card_visa").await;
    let payment = bench.priced(bench.carry_on(bench.money(1, 5000)).await, 4200).await;
    let payment = money::refund(payment, eur(800), "broken plug", &[]).unwrap();
    let then = super::super::failure::now() - chrono::TimeDelta::minutes(3);
    let (requested, step) = money::request(payment, then).unwrap();
    let first = bench.stripe.carry_out(&requested, &step).await.unwrap();
    // Another release asks for it otherwise.
    let mut changed = requested.clone();
    changed.refunds[0].amount = eur(801);
    assert_eq!(bench.stripe.carry_out(&changed, &step).await.unwrap(), first);
    assert_eq!(bench.twin.state()["refunds"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_place_to_return_to_there_is_no_page() {
    let bench = bench("pm_card_visa").await;
    let stripe = StripeClient { return_url: None, ..bench.stripe.clone() };
    let payment = bench.money(1, 0).with_total(eur(900)).unwrap();
    let step = Step::MakePayLink { number: 1, amount: eur(900) };
    let error = stripe.carry_out(&payment, &step).await.unwrap_err();
    assert_eq!(error, PaymentError::Configuration);
    assert!(bench.twin.state()["checkout_sessions"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_repeat_after_the_keys_have_died_finds_what_was_done() {
    let bench = bench("pm_card_visa").await;
    bench.control("account", &serde_json::json!({ "ic_plus": true })).await;
    let payment = money::expect(bench.carry_on(bench.money(1, 5000)).await, eur(6000));
    // The worker dies after the call, and the next one comes two days later.
    let long_ago = super::super::failure::now() - chrono::TimeDelta::hours(25);
    let (requested, raise) = money::request(payment, long_ago).unwrap();
    let first = bench.stripe.carry_out(&requested, &raise).await.unwrap();
    bench.twin.advance(2 * super::super::tests::DAY);
    assert_eq!(bench.stripe.carry_out(&requested, &raise).await.unwrap(), first);
    let raised = money::apply(requested, &raise, first, long_ago).unwrap();
    let paid = bench.priced(raised, 5800).await;
    let refunding = money::refund(paid, eur(800), "broken plug", &[]).unwrap();
    let (requested, refund) = money::request(refunding, long_ago).unwrap();
    let first = bench.stripe.carry_out(&requested, &refund).await.unwrap();
    bench.twin.advance(2 * super::super::tests::DAY);
    assert_eq!(bench.stripe.carry_out(&requested, &refund).await.unwrap(), first);
    assert_eq!(bench.twin.state()["refunds"].as_array().unwrap().len(), 1);
}

/// Each 500 is remembered under its key. Tries in an outage use keys up, and the first try after it
/// still has one.
#[tokio::test]
async fn an_outage_that_spends_every_key_it_is_given_ends_with_the_outage() {
    let bench = bench("pm_card_visa").await;
    bench.twin.fault(Fault::next(FaultKind::ServerError, 20).on("/payment_intents"));
    let payment = bench.carry_on(bench.money(1, 5000)).await;
    let payment = bench.priced(payment, 4200).await;
    assert_eq!((payment.captured, bench.taken_and_open()), (eur(4200), (4200, 0)));
}
