use std::collections::HashMap;

use network::{HoldRef, StripeCustomerId, StripePaymentMethodId};
use proptest::prelude::*;
use quantities::{Currency, TransactionId};

use super::*;

fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::EUR)
}

fn at(second: u32) -> DateTime<Utc> {
    format!("2026-03-01T12:00:{second:02}Z").parse().unwrap()
}

fn session() -> SessionId {
    SessionId::of(&"CP1".parse().unwrap(), TransactionId(1))
}

fn payment(hold_minor: i64) -> Payment {
    let customer = StripeCustomerId("cus_1".to_owned());
    let payment_method = StripePaymentMethodId("pm_1".to_owned());
    Payment::new(session(), customer, payment_method, eur(hold_minor))
}

fn held(hold_minor: i64) -> Payment {
    let Payment { session_id, customer, payment_method, .. } = payment(0);
    let payment_intent = StripePaymentIntentId("pi_hold".to_owned());
    let placed = HoldRef { payment_intent, amount: eur(hold_minor) };
    Payment::with_placed_hold(session_id, customer, payment_method, placed)
}

fn refused(code: &str) -> Outcome {
    let refusal = Refusal { code: code.to_owned(), decline_code: None };
    Outcome::Refused { refusal, payment_intent: None }
}

fn charged() -> Outcome {
    Outcome::Charged { payment_intent: StripePaymentIntentId("pi_difference".to_owned()) }
}

/// Makes the next step, which has to be `step`, and applies `outcome`.
fn after(payment: Payment, step: Step, outcome: Outcome) -> Payment {
    assert_eq!(next_step(&payment), Some(step));
    let requested = request(payment, &step, at(0)).unwrap();
    apply(requested, &step, outcome).unwrap()
}

#[test]
fn a_session_below_its_hold_is_captured_exactly() {
    let payment = held(5000).with_total(eur(1234)).unwrap();
    let payment = after(payment, Step::Capture { amount: eur(1234) }, Outcome::Captured);
    assert_eq!((payment.captured, payment.owed), (eur(1234), eur(0)));
    assert!(payment.is_settled());
}

#[test]
fn a_free_session_releases_its_hold() {
    let payment = held(5000).with_total(eur(0)).unwrap();
    let payment = after(payment, Step::CancelHold, Outcome::Canceled);
    assert_eq!(payment.state, PaymentState::Canceled);
    assert!(payment.is_settled());
}

#[test]
fn what_the_hold_does_not_cover_is_charged_apart() {
    // 62.00 cost − 50.00 held = 12.00 difference.
    let payment = held(5000).with_total(eur(6200)).unwrap();
    let payment = after(payment, Step::Capture { amount: eur(5000) }, Outcome::Captured);
    let payment = after(payment, Step::ChargeDifference { amount: eur(1200) }, charged());
    assert_eq!((payment.captured, payment.owed), (eur(6200), eur(0)));
    assert!(payment.is_settled());
}

#[test]
fn a_declined_difference_is_owed_and_says_why() {
    let payment = held(5000).with_total(eur(6200)).unwrap();
    let payment = after(payment, Step::Capture { amount: eur(5000) }, Outcome::Captured);
    let difference = Step::ChargeDifference { amount: eur(1200) };
    let payment = after(payment, difference, refused("authentication_required"));
    assert_eq!((payment.captured, payment.owed), (eur(5000), eur(1200)));
    assert!(payment.refusal.as_ref().unwrap().customer_must_act());
    assert!(payment.is_settled());
}

#[test]
fn a_session_without_a_hold_is_charged_whole_once_then_owed() {
    let hold = Step::PlaceHold { amount: eur(5000) };
    let payment = after(payment(5000), hold, refused("card_declined"));
    assert_eq!(next_step(&payment), None);
    let payment = payment.with_total(eur(900)).unwrap();
    let whole = Step::ChargeDifference { amount: eur(900) };
    let payment = after(payment, whole, refused("card_declined"));
    assert_eq!((payment.captured, payment.owed), (eur(0), eur(900)));
    assert!(payment.is_settled());
}

#[test]
fn a_hold_that_ran_out_is_made_up_for_by_a_charge() {
    let payment = held(5000).with_total(eur(900)).unwrap();
    let payment = after(payment, Step::Capture { amount: eur(900) }, Outcome::HoldLost);
    let payment = after(payment, Step::ChargeDifference { amount: eur(900) }, charged());
    assert_eq!((payment.captured, payment.owed), (eur(900), eur(0)));
}

#[test]
fn a_price_below_the_least_amount_releases_the_hold_and_is_owed() {
    let payment = held(5000).with_total(eur(20)).unwrap();
    let capture = Step::Capture { amount: eur(20) };
    let payment = after(payment, capture, refused("amount_too_small"));
    let payment = after(payment, Step::CancelHold, Outcome::Canceled);
    let rest = Step::ChargeDifference { amount: eur(20) };
    let payment = after(payment, rest, refused("amount_too_small"));
    assert_eq!((payment.captured, payment.owed), (eur(0), eur(20)));
    assert!(payment.is_settled());
}

#[test]
fn a_session_priced_before_its_hold_was_asked_for_gets_none() {
    let payment = payment(5000).with_total(eur(900)).unwrap();
    assert_eq!(next_step(&payment), Some(Step::ChargeDifference { amount: eur(900) }));
}

#[test]
fn a_site_that_holds_nothing_charges_the_price() {
    assert_eq!(next_step(&payment(0)), None);
    let payment = payment(0).with_total(eur(900)).unwrap();
    assert_eq!(next_step(&payment), Some(Step::ChargeDifference { amount: eur(900) }));
}

#[test]
fn a_price_never_changes() {
    let payment = held(5000).with_total(eur(900)).unwrap();
    let again = payment.clone().with_total(eur(900)).unwrap();
    assert_eq!(again, payment);
    let session_id = session();
    assert_eq!(payment.with_total(eur(901)), Err(MachineError::TotalChanged { session_id }));
}

#[test]
fn an_outcome_is_applied_once() {
    let step = Step::Capture { amount: eur(900) };
    let payment = held(5000).with_total(eur(900)).unwrap();
    let payment = after(payment, step, Outcome::Captured);
    let repeated = apply(payment, &step, Outcome::Captured);
    assert!(matches!(repeated, Err(MachineError::OutOfStep { .. })));
}

#[test]
fn a_repeated_intention_keeps_the_moment_its_key_was_born() {
    let step = Step::PlaceHold { amount: eur(5000) };
    let first = request(payment(5000), &step, at(1)).unwrap();
    let again = request(first, &step, at(2)).unwrap();
    assert_eq!((again.requested_at, again.attempts), (Some(at(1)), 2));
}

#[test]
fn keys_say_what_a_write_is_for() {
    let steps = [
        Step::PlaceHold { amount: eur(1) },
        Step::Capture { amount: eur(1) },
        Step::CancelHold,
        Step::ChargeDifference { amount: eur(1) },
    ];
    let keys = steps.map(|step| step.idempotency_key(session()));
    let tail = |key: &String| key.split_once(&session().to_string()).unwrap().1.to_owned();
    let tails: Vec<String> = keys.iter().map(tail).collect();
    assert_eq!(tails, ["/hold", "/capture", "/cancel", "/difference/1"]);
}

/// What one pass of a worker does before it dies.
#[derive(Debug, Clone, Copy)]
enum Pass {
    /// Dies with the intention stored and the call not made.
    DiesBeforeTheCall,
    /// Dies with the call made and its outcome not stored.
    DiesAfterTheCall,
    /// Lives.
    Completes,
}

fn pass() -> impl Strategy<Value = Pass> {
    prop_oneof![Just(Pass::DiesBeforeTheCall), Just(Pass::DiesAfterTheCall), Just(Pass::Completes),]
}

/// What the issuer will say.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "four independent answers, no state")]
struct Issuer {
    holds: bool,
    loses_hold: bool,
    takes_capture: bool,
    takes_difference: bool,
}

fn issuer() -> impl Strategy<Value = Issuer> {
    any::<(bool, bool, bool, bool)>().prop_map(|(holds, loses_hold, takes_capture, rest)| Issuer {
        holds,
        loses_hold,
        takes_capture,
        takes_difference: rest,
    })
}

/// Stripe as far as the machine sees it: a key makes a write happen once.
#[derive(Debug, Default)]
struct Books {
    answers: HashMap<String, Outcome>,
    open_hold: bool,
    captures: u32,
    taken_minor: i64,
}

impl Books {
    fn call(&mut self, issuer: Issuer, step: Step) -> Outcome {
        let key = step.idempotency_key(session());
        if let Some(answer) = self.answers.get(&key) {
            return answer.clone();
        }
        let answer = self.work(issuer, step);
        self.answers.insert(key, answer.clone());
        answer
    }

    fn work(&mut self, issuer: Issuer, step: Step) -> Outcome {
        match step {
            Step::PlaceHold { .. } if issuer.holds => {
                self.open_hold = true;
                Outcome::Held { payment_intent: StripePaymentIntentId("pi_hold".to_owned()) }
            }
            Step::Capture { .. } if issuer.loses_hold => {
                self.open_hold = false;
                Outcome::HoldLost
            }
            Step::Capture { amount } if issuer.takes_capture => {
                assert!(self.open_hold, "captured a hold that is not there");
                self.open_hold = false;
                self.captures += 1;
                self.taken_minor += amount.minor;
                Outcome::Captured
            }
            Step::CancelHold => {
                self.open_hold = false;
                Outcome::Canceled
            }
            Step::ChargeDifference { amount } if issuer.takes_difference => {
                self.taken_minor += amount.minor;
                charged()
            }
            Step::PlaceHold { .. } | Step::Capture { .. } | Step::ChargeDifference { .. } => {
                refused("card_declined")
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_dies_and_repeats_a_session_is_paid_or_owed_exactly_once(
        issuer in issuer(),
        hold_minor in 1_i64..10_000,
        total_minor in 0_i64..20_000,
        priced_after in 0_usize..6,
        passes in prop::collection::vec(pass(), 0..24),
    ) {
        let total = eur(total_minor);
        let mut books = Books::default();
        let mut stored = payment(hold_minor);
        // After the random passes every worker lives, so that the payment comes to its end.
        let passes = passes.into_iter().chain([Pass::Completes; 8]);
        for (number, pass) in passes.enumerate() {
            if number >= priced_after {
                stored = stored.with_total(total).unwrap();
            }
            let Some(step) = next_step(&stored) else { continue };
            stored = request(stored, &step, at(0)).unwrap();
            let outcome = match pass {
                Pass::DiesBeforeTheCall => continue,
                Pass::DiesAfterTheCall => {
                    books.call(issuer, step);
                    continue;
                }
                Pass::Completes => books.call(issuer, step),
            };
            stored = apply(stored, &step, outcome).unwrap();
            if let Some(total) = stored.total {
                prop_assert_eq!(stored.captured.checked_add(stored.owed).unwrap(), total);
            }
        }
        prop_assert!(stored.is_settled(), "{:?}", stored);
        prop_assert_eq!(stored.captured.checked_add(stored.owed).unwrap(), total);
        prop_assert_eq!(stored.captured.minor, books.taken_minor);
        prop_assert!(books.captures <= 1);
        prop_assert!(!books.open_hold, "a hold is left open: {:?}", stored);
    }

    #[test]
    fn a_record_reads_back_from_storage_as_it_was(hold_minor in 0_i64..10_000) {
        let payment = held(hold_minor).with_total(eur(20)).unwrap();
        let text = serde_json::to_string(&payment).unwrap();
        prop_assert_eq!(serde_json::from_str::<Payment>(&text).unwrap(), payment);
    }
}
