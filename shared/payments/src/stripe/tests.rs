//! The adapter against the twin, over HTTP.

use network::{HoldRef, PaymentPolicy};
use quantities::{Currency, TransactionId};
use serde_json::Value;
use stripe::StripeRequest;
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_twin::{DeclineRule, Fault, FaultKind, Twin, TwinConfig};
use tokio::net::TcpListener;

use super::*;
use crate::money::{self, Card, Payment, TakenBy};

pub(super) const EVERY_FAULT: [FaultKind; 8] = [
    FaultKind::RateLimit,
    FaultKind::LockTimeout,
    FaultKind::ServerError,
    FaultKind::ServerErrorAfterWrite,
    FaultKind::BadGateway,
    FaultKind::ResetBefore,
    FaultKind::ResetAfter,
    FaultKind::Slow,
];
pub(super) const DAY: Duration = Duration::from_hours(24);

/// A twin, our client on it, and a customer with a saved card.
pub(super) struct Bench {
    pub(super) twin: Twin,
    pub(super) stripe: StripeClient,
    customer: StripeCustomerId,
    pub(super) card: StripePaymentMethodId,
}

pub(super) async fn bench(token: &str) -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let twin = stripe_twin::serve(listener, TwinConfig::default()).unwrap();
    let stripe = StripeClient::new(twin.api_key(), Some(&twin.url())).unwrap();
    let stripe =
        stripe.with_backoff(Duration::from_millis(2)).with_return_url("https://driver.example/");
    let customer = post(&twin, "customers", &[]).await;
    let customer = StripeCustomerId(customer["id"].as_str().unwrap().to_owned());
    let attach = format!("payment_methods/{token}/attach");
    let card = post(&twin, &attach, &[("customer", &customer.0)]).await;
    let card = StripePaymentMethodId(card["id"].as_str().unwrap().to_owned());
    Bench { twin, stripe, customer, card }
}

pub(super) async fn post(twin: &Twin, path: &str, form: &[(&str, &str)]) -> Value {
    let request = reqwest::Client::new().post(format!("{}/v1/{path}", twin.url()));
    let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = request.bearer_auth(twin.api_key()).body(body.join("&"));
    let form = "application/x-www-form-urlencoded";
    let answer = request.header("content-type", form).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

pub(super) fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::EUR)
}

impl Bench {
    pub(super) fn payment(&self, transaction: i32, hold_minor: i64) -> Payment {
        let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(transaction));
        Payment::new(session, self.saved(), eur(hold_minor), PaymentPolicy::default())
    }

    pub(super) fn saved(&self) -> Card {
        Card::Saved { customer: self.customer.clone(), payment_method: self.card.clone() }
    }

    fn off_session(&self, minor: i64) -> OffSession<'_> {
        OffSession {
            customer: &self.customer,
            payment_method: &self.card,
            amount: eur(minor),
            requested_at: None,
        }
    }

    async fn hold(&self, reference: &Reference, minor: i64) -> StripePaymentIntentId {
        match self.stripe.place_hold(reference, self.off_session(minor)).await.unwrap() {
            HoldOutcome::Held(placed) => placed.payment_intent,
            refused @ HoldOutcome::Refused { .. } => panic!("{refused:?}"),
        }
    }

    /// Carries a payment on as the functions do; a queue repeats what nobody knows the end of.
    pub(super) async fn carry_on(&self, mut payment: Payment) -> Payment {
        let now = failure::now();
        for _ in 0..60 {
            let Some((requested, step)) = money::request(payment.clone(), now) else {
                return payment;
            };
            payment = requested;
            match self.stripe.carry_out(&payment, &step).await {
                Ok(outcome) => payment = money::apply(payment, &step, outcome, now).unwrap(),
                Err(error) => assert!(error.is_retryable(), "{step:?}: {error}"),
            }
        }
        panic!("{payment:?}");
    }

    /// From the hold to the end of the money.
    async fn pay(&self, transaction: i32, hold_minor: i64, total_minor: i64) -> Payment {
        let payment = self.carry_on(self.payment(transaction, hold_minor)).await;
        self.carry_on(payment.with_total(eur(total_minor)).unwrap()).await
    }

    pub(super) fn intents(&self) -> Vec<Value> {
        self.twin.state()["payment_intents"].as_array().unwrap().clone()
    }

    /// Money taken by all PaymentIntents, and how many holds are still open.
    pub(super) fn taken_and_open(&self) -> (i64, usize) {
        let intents = self.intents();
        let taken = intents.iter().map(|intent| intent["amount_received"].as_i64().unwrap());
        let open = intents.iter().filter(|intent| intent["status"] == "requires_capture");
        (taken.sum(), open.count())
    }
}

fn start(id: &str) -> Reference {
    Reference::Start(id.to_owned())
}

#[tokio::test]
async fn a_hold_is_captured_in_part_and_the_rest_is_released() {
    let bench = bench("pm_card_visa").await;
    let payment = bench.pay(1, 5000, 1234).await;
    assert_eq!((payment.taken[0].by, payment.captured), (TakenBy::Capture, eur(1234)));
    assert_eq!(bench.taken_and_open(), (1234, 0));
    assert_eq!(bench.intents()[0]["status"], "succeeded");
}

#[tokio::test]
async fn every_write_says_what_it_is_for() {
    let bench = bench("pm_card_visa").await;
    let payment = bench.pay(1, 5000, 6200).await;
    let intents = bench.intents();
    let purposes: Vec<&Value> = intents.iter().map(|i| &i["metadata"]["purpose"]).collect();
    assert_eq!(purposes, ["hold/1", "difference/1"]);
    for intent in &intents {
        assert_eq!(intent["metadata"]["session_id"], payment.session_id.to_string());
    }
    assert_eq!((payment.taken[1].by, payment.owed), (TakenBy::Difference, eur(0)));
}

#[tokio::test]
async fn asking_twice_holds_once() {
    let bench = bench("pm_card_visa").await;
    let first = bench.hold(&start("s1"), 5000).await;
    assert_eq!(bench.hold(&start("s1"), 5000).await, first);
    assert_eq!(bench.intents().len(), 1);
    let other = bench.hold(&start("s2"), 5000).await;
    assert_ne!(other, first);
}

#[tokio::test]
async fn a_declined_hold_is_an_outcome_and_stays_one() {
    let bench = bench("pm_card_chargeCustomerFail").await;
    for _ in 0..2 {
        let asked = bench.stripe.place_hold(&start("s1"), bench.off_session(5000)).await.unwrap();
        let HoldOutcome::Refused { refusal, payment_intent } = asked else { panic!("{asked:?}") };
        assert_eq!(refusal.code, "card_declined");
        assert_eq!(refusal.decline_code.as_deref(), Some("generic_decline"));
        assert!(payment_intent.is_some());
    }
    assert_eq!(bench.intents().len(), 1);
}

#[tokio::test]
async fn a_card_that_wants_its_owner_says_so() {
    let bench = bench("pm_card_authenticationRequired").await;
    let payment = bench.carry_on(bench.payment(1, 0).with_total(eur(5000)).unwrap()).await;
    assert!(payment.refusal.as_ref().unwrap().customer_must_act());
    assert_eq!((payment.owed, payment.open_link().unwrap().amount), (eur(5000), eur(5000)));
}

#[tokio::test]
async fn a_difference_that_is_declined_is_owed() {
    let bench = bench("pm_card_visa").await;
    bench.twin.decline(DeclineRule {
        payment_method: bench.card.0.clone(),
        capture_method: Some("automatic".to_owned()),
        above: 0,
        code: "card_declined".to_owned(),
        decline_code: Some("insufficient_funds".to_owned()),
    });
    let payment = bench.pay(1, 5000, 6200).await;
    assert_eq!((payment.captured, payment.owed), (eur(5000), eur(1200)));
    assert_eq!(payment.refusal.unwrap().reason(), "insufficient_funds");
    assert_eq!(bench.taken_and_open(), (5000, 0));
}

#[tokio::test]
async fn a_few_cents_are_owed_for_stripe_does_not_take_them() {
    let bench = bench("pm_card_visa").await;
    let payment = bench.pay(1, 5000, 20).await;
    assert_eq!((payment.captured, payment.owed), (eur(0), eur(20)));
    assert_eq!(payment.refusal.unwrap().code, "amount_too_small");
    assert_eq!(bench.taken_and_open(), (0, 0));
}

#[tokio::test]
async fn a_hold_that_ran_out_is_charged_anew() {
    let bench = bench("pm_card_visa").await;
    let payment = bench.carry_on(bench.payment(1, 5000)).await;
    bench.twin.advance(8 * DAY);
    let payment = bench.carry_on(payment.with_total(eur(900)).unwrap()).await;
    assert_eq!((payment.captured, payment.taken[0].by), (eur(900), TakenBy::Difference));
    assert_eq!(bench.taken_and_open(), (900, 0));
}

#[tokio::test]
async fn a_repeat_after_the_keys_have_died_finds_the_hold_it_had_placed() {
    let bench = bench("pm_card_visa").await;
    let first = bench.hold(&start("s1"), 5000).await;
    bench.twin.advance(DAY + DAY);
    let requested_at = Some(failure::now() - TimeDelta::hours(25));
    let asked = OffSession { requested_at, ..bench.off_session(5000) };
    let again = bench.stripe.place_hold(&start("s1"), asked).await.unwrap();
    let HoldOutcome::Held(again) = again else { panic!("{again:?}") };
    assert_eq!((again.payment_intent, again.amount), (first, eur(5000)));
    assert_eq!(bench.intents().len(), 1);
}

#[tokio::test]
async fn a_hold_placed_before_the_session_is_captured_by_it() {
    let bench = bench("pm_card_visa").await;
    let placed = HoldRef::plain(bench.hold(&start("s1"), 5000).await, eur(5000));
    let Payment { session_id, card, policy, .. } = bench.payment(1, 0);
    let payment = Payment::with_placed_hold(session_id, card, placed, policy);
    let payment = bench.carry_on(payment.with_total(eur(900)).unwrap()).await;
    assert_eq!(payment.captured, eur(900));
    assert_eq!(bench.taken_and_open(), (900, 0));
}

#[tokio::test]
async fn an_abandoned_hold_is_released_once_and_again() {
    let bench = bench("pm_card_visa").await;
    let hold = bench.hold(&start("s1"), 5000).await;
    for _ in 0..2 {
        let ended = bench.stripe.cancel(&start("s1"), &hold, Currency::EUR).await.unwrap();
        assert_eq!((ended, bench.taken_and_open()), (ReleaseOutcome::Released, (0, 0)));
        bench.twin.advance(2 * DAY);
    }
}

#[tokio::test]
async fn a_hold_that_somebody_captured_at_stripe_is_told_of_when_it_is_released() {
    let bench = bench("pm_card_visa").await;
    let hold = bench.hold(&start("s1"), 5000).await;
    let path = format!("payment_intents/{hold}/capture");
    post(&bench.twin, &path, &[("amount_to_capture", "900")]).await;
    for _ in 0..2 {
        let ended = bench.stripe.cancel(&start("s1"), &hold, Currency::EUR).await.unwrap();
        assert_eq!(ended, ReleaseOutcome::Captured(eur(900)));
        bench.twin.advance(2 * DAY);
    }
}

#[tokio::test]
async fn any_fault_at_any_call_changes_nothing_about_the_money() {
    // (hold, total, taken): captured in part, free, with a difference.
    for (hold, total) in [(5000, 1234), (5000, 0), (5000, 6200)] {
        for kind in EVERY_FAULT {
            for (path, times) in [("/payment_intents", 1), ("/capture", 2), ("/cancel", 2)] {
                let bench = bench("pm_card_visa").await;
                let slow_ms = 20;
                bench.twin.fault(Fault { slow_ms, ..Fault::next(kind, times).on(path) });
                let payment = bench.pay(1, hold, total).await;
                let seen = (payment.captured.minor, payment.owed.minor);
                assert_eq!(seen, (total, 0), "{kind:?} at {path}");
                assert_eq!(bench.taken_and_open(), (total, 0), "{kind:?} at {path}");
            }
        }
    }
}

#[tokio::test]
async fn sessions_in_bad_weather_are_paid_exactly_once() {
    let bench = bench("pm_card_visa").await;
    for kind in EVERY_FAULT {
        bench.twin.fault(Fault { slow_ms: 5, ..Fault::by_chance(kind, 70) });
    }
    let mut rated = 0;
    for transaction in 0..60_i32 {
        // Some free, some below the hold, some above it.
        let total = i64::from(transaction % 4) * 2400;
        rated += total;
        let payment = bench.pay(transaction, 5000, total).await;
        assert!(payment.is_settled(), "{payment:?}");
        assert_eq!((payment.captured, payment.owed), (eur(total), eur(0)));
    }
    bench.twin.clear_faults();
    assert_eq!(bench.taken_and_open(), (rated, 0));
    let faults = bench.twin.state()["faults"].clone();
    assert_eq!(faults.as_object().unwrap().len(), EVERY_FAULT.len(), "{faults}");
}

#[tokio::test]
async fn a_wrong_key_is_our_bug_and_is_not_told_to_anybody() {
    let bench = bench("pm_card_visa").await;
    let stripe = StripeClient::new("sk_test_wrong", Some(&bench.twin.url())).unwrap();
    let error = stripe.place_hold(&start("s1"), bench.off_session(5000)).await.unwrap_err();
    assert!(matches!(error, PaymentError::Rejected { status: 401, .. }), "{error}");
    assert!(!error.is_retryable());
    assert!(!format!("{error} {error:?} {stripe:?}").contains("sk_test"));
}

#[tokio::test]
async fn an_outage_is_an_error_that_can_be_repeated() {
    let stripe = StripeClient::new("sk_test_tallywatt", Some("http://127.0.0.1:1")).unwrap();
    let stripe = stripe.with_backoff(Duration::from_millis(1));
    let error = stripe.reference_of(&StripePaymentIntentId("pi_1".to_owned())).await.unwrap_err();
    assert!(error.is_retryable());
}

#[tokio::test]
async fn what_was_captured_by_somebody_else_is_told_with_its_amount() {
    let bench = bench("pm_card_visa").await;
    let hold = bench.hold(&start("s1"), 5000).await;
    let all = eur(5000);
    bench.stripe.capture("tallywatt/1", &hold, eur(900), all).await.unwrap();
    let again = bench.stripe.capture("tallywatt/2", &hold, eur(901), all).await.unwrap();
    assert_eq!(again, CaptureOutcome::Captured(eur(900)));
}

#[tokio::test]
async fn a_charge_that_its_issuer_takes_time_for_goes_on_when_it_has_decided() {
    for pays in [true, false] {
        let bench = bench("pm_card_visa").await;
        let rule = |code: &str| DeclineRule {
            payment_method: bench.card.0.clone(),
            capture_method: Some("automatic".to_owned()),
            above: 0,
            code: code.to_owned(),
            decline_code: None,
        };
        bench.twin.decline(rule("processing"));
        let payment = bench.payment(1, 0).with_total(eur(900)).unwrap();
        let (mut asked, step) = money::request(payment, failure::now()).unwrap();
        for _ in 0..2 {
            let error = bench.stripe.carry_out(&asked, &step).await.unwrap_err();
            assert!(error.is_retryable(), "it is not decided yet: {error}");
            asked = money::request(asked, failure::now()).unwrap().0;
        }
        if !pays {
            bench.twin.decline(rule("card_declined"));
        }
        let intent = bench.intents()[0]["id"].as_str().unwrap().to_owned();
        let decides = format!("{}/_twin/payment_intents/{intent}/process", bench.twin.url());
        assert!(reqwest::Client::new().post(decides).send().await.unwrap().status().is_success());
        let payment = bench.carry_on(asked).await;
        let (taken, owed) = if pays { (900, 0) } else { (0, 900) };
        assert_eq!((payment.captured, payment.owed), (eur(taken), eur(owed)));
        assert_eq!((bench.taken_and_open(), bench.intents().len()), ((taken, 0), 1));
    }
}

#[tokio::test]
async fn a_500_after_attempts_without_an_answer_uses_no_other_key() {
    let bench = bench("pm_card_visa").await;
    bench.twin.fault(Fault::next(FaultKind::ResetBefore, 3));
    bench.twin.fault(Fault::next(FaultKind::ServerError, 1));
    let asked = bench.stripe.place_hold(&start("s1"), bench.off_session(5000)).await;
    assert!(asked.unwrap_err().is_retryable(), "one of the first may still be running");
    assert!(bench.intents().is_empty());
    // Two with nothing before them: the second is a replay.
    bench.hold(&start("s1"), 5000).await;
    assert_eq!(bench.intents().len(), 1);
}

#[tokio::test]
async fn what_is_repeated_has_another_key_later_when_an_outage_has_spent_its_keys() {
    let bench = bench("pm_card_visa").await;
    let outage = || {
        let method = Some("POST".to_owned());
        bench.twin.fault(Fault { method, ..Fault::next(FaultKind::ServerError, 6) });
    };
    let later = bench.stripe.asked_since(failure::now() - TimeDelta::minutes(11));
    outage();
    for _ in 0..2 {
        let asked = bench.stripe.place_hold(&start("s1"), bench.off_session(5000)).await;
        assert!(asked.unwrap_err().is_retryable(), "each of its keys remembers a 500");
    }
    let placed = later.place_hold(&start("s1"), bench.off_session(5000)).await.unwrap();
    let HoldOutcome::Held(hold) = placed else { panic!("{placed:?}") };
    assert_eq!((bench.taken_and_open(), bench.intents().len()), ((0, 1), 1));

    outage();
    let (start, hold) = (start("s1"), hold.payment_intent);
    for _ in 0..2 {
        let asked = bench.stripe.cancel(&start, &hold, Currency::EUR).await;
        assert!(asked.unwrap_err().is_retryable(), "so does each key of its release");
    }
    let ended = later.cancel(&start, &hold, Currency::EUR).await.unwrap();
    assert_eq!((ended, bench.taken_and_open()), (ReleaseOutcome::Released, (0, 0)));
}

/// Three minutes after it was intended no request with other parameters still runs.
fn some_time_ago() -> DateTime<Utc> {
    failure::now() - TimeDelta::minutes(3)
}

#[tokio::test]
async fn a_key_that_was_used_with_other_parameters_finds_what_came_of_them() {
    let bench = bench("pm_card_visa").await;
    let first = bench.hold(&start("s1"), 5000).await;
    let asked = OffSession { requested_at: Some(some_time_ago()), ..bench.off_session(6000) };
    let again = bench.stripe.place_hold(&start("s1"), asked).await.unwrap();
    let HoldOutcome::Held(again) = again else { panic!("{again:?}") };
    assert_eq!((again.payment_intent, again.amount), (first, eur(5000)));
    assert_eq!(bench.intents().len(), 1);
}

#[tokio::test]
async fn a_key_whose_other_parameters_came_to_nothing_is_replaced_once_they_are_over() {
    let bench = bench("pm_card_visa").await;
    // A 500 that the key remembers.
    bench.twin.fault(Fault::next(FaultKind::ServerError, 1));
    post_fails(&bench, "tallywatt/start/s1/hold").await;
    let just_now = OffSession { requested_at: Some(failure::now()), ..bench.off_session(6000) };
    let error = bench.stripe.place_hold(&start("s1"), just_now).await.unwrap_err();
    assert!(error.is_retryable(), "it may still be running: {error}");
    assert!(bench.intents().is_empty());
    let asked = OffSession { requested_at: Some(some_time_ago()), ..bench.off_session(6000) };
    let held = bench.stripe.place_hold(&start("s1"), asked).await.unwrap();
    let HoldOutcome::Held(held) = held else { panic!("{held:?}") };
    assert_eq!((held.amount, bench.intents().len()), (eur(6000), 1));
}

/// A write of another release under the same key, which fails.
async fn post_fails(bench: &Bench, key: &str) {
    let request = reqwest::Client::new().post(format!("{}/v1/payment_intents", bench.twin.url()));
    let request = request.bearer_auth(bench.twin.api_key()).header("idempotency-key", key);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let request = request.header(form.0, form.1).body("amount=5000&currency=eur");
    assert_eq!(request.send().await.unwrap().status(), 500);
}

#[tokio::test]
async fn a_card_that_is_the_customers_no_more_is_a_refusal() {
    let bench = bench("pm_card_visa").await;
    post(&bench.twin, &format!("payment_methods/{}/detach", bench.card), &[]).await;
    let asked = bench.stripe.place_hold(&start("s1"), bench.off_session(5000)).await.unwrap();
    let HoldOutcome::Refused { refusal, payment_intent: None } = asked else { panic!("{asked:?}") };
    assert_eq!(refusal.code, "payment_method_unexpected_state");
    let payment = bench.carry_on(bench.payment(1, 0).with_total(eur(900)).unwrap()).await;
    assert_eq!((payment.owed, payment.debt.unwrap().attempts), (eur(900), 1));
}

#[tokio::test]
async fn a_customer_who_is_gone_is_a_refusal() {
    let bench = bench("pm_card_visa").await;
    let gone = StripeCustomerId("cus_gone".to_owned());
    let asked = OffSession { customer: &gone, ..bench.off_session(5000) };
    let asked = bench.stripe.place_hold(&start("s1"), asked).await.unwrap();
    let HoldOutcome::Refused { refusal, .. } = asked else { panic!("{asked:?}") };
    assert_eq!(refusal.code, "resource_missing");
}

#[tokio::test]
async fn a_hold_that_stripe_finds_wrong_is_our_bug_while_the_card_is_good() {
    let bench = bench("pm_card_visa").await;
    bench.twin.fault(Fault::next(FaultKind::Rejected, 1));
    let error = bench.stripe.place_hold(&start("s1"), bench.off_session(5000)).await.unwrap_err();
    assert!(matches!(error, PaymentError::Rejected { status: 400, .. }), "{error}");
}

#[tokio::test]
async fn a_stripe_that_never_answers_costs_no_more_than_the_budget() {
    let bench = bench("pm_card_visa").await;
    bench.twin.fault(Fault::by_chance(FaultKind::Hang, 1000));
    let budget = Duration::from_millis(200);
    let stripe = bench.stripe.clone().with_budget(budget);
    let began = std::time::Instant::now();
    let error = stripe.place_hold(&start("s1"), bench.off_session(5000)).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let (payment, step) = money::request(bench.payment(1, 5000), failure::now()).unwrap();
    let error = stripe.carry_out(&payment, &step).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(began.elapsed() < 10 * budget, "{:?}", began.elapsed());
    // The work was done, and the same keys tell.
    bench.twin.clear_faults();
    let first = bench.hold(&start("s1"), 5000).await;
    let payment = bench.carry_on(payment).await;
    assert_ne!(payment.hold.unwrap().payment_intent, first);
    assert_eq!(bench.taken_and_open(), (0, 2));
}

#[tokio::test]
async fn krona_are_held_captured_and_given_back_as_stripe_counts_them() {
    let bench = bench("pm_card_visa").await;
    let isk = |minor| Amount::new(minor, "ISK".parse().unwrap());
    let Payment { session_id, card, policy, .. } = bench.payment(1, 0);
    let payment = bench.carry_on(Payment::new(session_id, card, isk(5000), policy)).await;
    assert_eq!(payment.hold.as_ref().unwrap().terms.amount, isk(5000));
    let payment = bench.carry_on(payment.with_total(isk(6234)).unwrap()).await;
    let payment = money::refund(payment, isk(34), "broken plug", &[]).unwrap();
    let payment = bench.carry_on(payment).await;
    assert_eq!((payment.captured, payment.owed), (isk(6234), isk(0)));
    let amounts: Vec<_> = bench.intents().iter().map(|i| i["amount_received"].clone()).collect();
    assert_eq!(amounts, [500_000, 123_400]);
    assert_eq!(bench.twin.state()["refunds"][0]["amount"], 3400);
}

#[tokio::test]
async fn what_stripe_cannot_move_is_never_asked_for() {
    let bench = bench("pm_card_visa").await;
    let kwd = Amount::new(5124, "KWD".parse().unwrap());
    let asked = OffSession { amount: kwd, ..bench.off_session(1) };
    let error = bench.stripe.place_hold(&start("s1"), asked).await.unwrap_err();
    assert_eq!(error, PaymentError::Amount(AmountError::TooFine(kwd)));
    assert!(!error.is_retryable() && bench.intents().is_empty());
}

/// A GET of one object, read with the library's own type, generated from Stripe's description.
struct Get<T>(String, std::marker::PhantomData<T>);

impl<T> StripeRequest for Get<T> {
    type Output = T;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, self.0.clone())
    }
}

async fn reads_as<T: miniserde::Deserialize>(bench: &Bench, path: &str) -> T {
    let get = Get(path.to_owned(), std::marker::PhantomData::<T>);
    let read = get.customize().send(&bench.stripe.client).await;
    read.unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn the_twins_objects_are_stripes_as_the_library_was_generated_to_read_them() {
    let bench = bench("pm_card_visa").await;
    let payment = bench.pay(1, 5000, 900).await;
    let intent = format!("/payment_intents/{}", payment.taken[0].payment_intent);
    let intent = reads_as::<stripe_shared::PaymentIntent>(&bench, &intent).await;
    let charge = format!("/charges/{}", intent.latest_charge.unwrap().id());
    let charge = reads_as::<stripe_shared::Charge>(&bench, &charge).await;
    let card = charge.payment_method_details.unwrap().card.unwrap();
    assert!(card.capture_before.is_some());
    reads_as::<stripe_shared::Customer>(&bench, &format!("/customers/{}", bench.customer)).await;
    reads_as::<stripe_shared::PaymentMethod>(&bench, &format!("/payment_methods/{}", bench.card))
        .await;
    let product = post(&bench.twin, "products", &[("name", "Gold")]).await;
    let product = product["id"].as_str().unwrap();
    reads_as::<stripe_shared::Product>(&bench, &format!("/products/{product}")).await;
    let price = [
        ("product", product),
        ("currency", "eur"),
        ("unit_amount", "990"),
        ("recurring[interval]", "month"),
    ];
    let price = post(&bench.twin, "prices", &price).await;
    let price = price["id"].as_str().unwrap();
    reads_as::<stripe_shared::Price>(&bench, &format!("/prices/{price}")).await;
    let subscription = [
        ("customer", bench.customer.0.as_str()),
        ("default_payment_method", bench.card.0.as_str()),
        ("items[0][price]", price),
    ];
    let subscription = post(&bench.twin, "subscriptions", &subscription).await;
    let subscription = format!("/subscriptions/{}", subscription["id"].as_str().unwrap());
    let subscription = reads_as::<stripe_shared::Subscription>(&bench, &subscription).await;
    assert_eq!(subscription.status, stripe_shared::SubscriptionStatus::Active);
    let events = reads_as::<stripe_types::List<stripe_shared::Event>>(&bench, "/events?limit=100");
    assert!(events.await.data.len() > 5);
}
