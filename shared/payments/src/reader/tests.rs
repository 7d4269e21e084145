//! Card and session in every order.

use chrono::{DateTime, TimeDelta, Utc};
use network::{HoldRef, StripePaymentIntentId, StripeReaderId};
use quantities::{Amount, ConnectorId, Currency, ReaderId, SessionId, TapId, TransactionId};

use super::*;

fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    noon() + TimeDelta::seconds(seconds)
}

fn tap(key: &str, begun_at: DateTime<Utc>) -> Tap {
    let reader_id: ReaderId = "kiosk-1".parse().unwrap();
    Tap {
        id: TapId::of(&reader_id, key),
        reader_id,
        stripe_reader: StripeReaderId("tmr_1".to_owned()),
        charge_point_id: "CP1".parse().unwrap(),
        connector_id: ConnectorId(1),
        amount: Amount::new(3000, Currency::EUR),
        window_s: 60,
        start_with: Some("RDR-1".parse().unwrap()),
        begun_at,
        payment_intent: None,
        state: TapState::Requested,
    }
}

fn hold() -> HoldRef {
    let payment_intent = StripePaymentIntentId("pi_1".to_owned());
    HoldRef::plain(payment_intent, Amount::new(3000, Currency::EUR))
}

fn session(number: i32) -> SessionId {
    SessionId::of(&"CP1".parse().unwrap(), TransactionId(number))
}

fn waiting(number: i32, since: DateTime<Utc>) -> Waiting {
    Waiting::new(session(number), since, Some(TimeDelta::seconds(60)))
}

fn empty() -> Stand {
    Stand::empty("CP1".parse().unwrap(), ConnectorId(1))
}

/// A stand whose reader shows the tap that began at noon.
fn on_reader(stand: Stand) -> Stand {
    let stand = stand.begin(tap("one", noon())).unwrap();
    assert_eq!(stand.step(), Some(Step::Make));
    let payment_intent = hold().payment_intent;
    let stand = stand.apply(Outcome::Made { payment_intent }, noon());
    assert_eq!(stand.step(), Some(Step::Present));
    let stand = stand.apply(Outcome::Presented, noon());
    assert_eq!(stand.step(), Some(Step::Look));
    stand
}

/// The card is presented and seen so many seconds after noon.
fn held(stand: Stand, seconds: i64) -> Stand {
    stand.apply(Outcome::Held { hold: hold(), at: at(seconds) }, at(seconds))
}

fn state(stand: &Stand) -> TapState {
    stand.tap.clone().unwrap().state
}

#[test]
fn a_card_before_its_session_and_one_after_it_pay_alike() {
    let before = held(on_reader(empty()), 10);
    assert_eq!(before.pair(), None);
    let before = before.arrive(waiting(1, at(30)));
    let after = held(on_reader(empty().arrive(waiting(1, at(-20)))), 10);
    for stand in [before, after] {
        let pair = stand.pair().unwrap();
        assert_eq!((pair.session_id, &pair.hold), (session(1), &hold()));
        let stand = stand.paired(&pair);
        assert_eq!(state(&stand), TapState::Matched { session_id: session(1) });
        assert_eq!(stand.pair(), None);
        let (stand, decided) = stand.cleared();
        assert!(stand.is_empty() && decided.is_some());
    }
}

#[test]
fn the_window_is_counted_between_the_card_and_the_start_whenever_they_are_looked_at() {
    // The last moment of the window, in both orders.
    let stand = held(on_reader(empty().arrive(waiting(1, at(-50)))), 10);
    assert!(stand.pair().is_some());
    assert!(held(on_reader(empty()), 10).arrive(waiting(1, at(70))).pair().is_some());
    // A second beyond.
    let late = held(on_reader(empty().arrive(waiting(1, at(-51)))), 10);
    assert_eq!(late.pair(), None);
    assert_eq!(held(on_reader(empty()), 10).arrive(waiting(1, at(71))).pair(), None);
    // Seen an hour late: what belongs together does so still, and time takes neither.
    let seen_late = on_reader(empty().arrive(waiting(1, noon())));
    let seen_late = seen_late.apply(Outcome::Held { hold: hold(), at: at(10) }, at(3_600));
    assert!(seen_late.pair().is_some());
    assert_eq!(seen_late.clone().turn(at(3_600)), seen_late);
    assert_eq!(seen_late.miss(at(3_600), true), None);
}

#[test]
fn a_start_at_the_end_of_the_window_gets_its_card_though_its_event_comes_later() {
    let stand = held(on_reader(empty()), 10);
    // Stored in the last second of the window, told a minute later.
    let stand = stand.turn(at(128)).arrive(waiting(1, at(69)));
    assert_eq!(stand.pair().map(|pair| pair.session_id), Some(session(1)));
}

#[test]
fn nobody_is_given_up_while_stripe_does_not_say_what_became_of_their_card() {
    let stand = on_reader(empty().arrive(waiting(1, noon())));
    assert_eq!(stand.miss(at(119), true), None, "the word of a card may still be on its way");
    assert!(stand.miss(at(120), true).is_some());
    assert_eq!(stand.miss(at(3_600), false), None);
    // An hour later Stripe says that the card was there all the time.
    let stand = stand.apply(Outcome::Held { hold: hold(), at: at(30) }, at(3_600)).turn(at(3_600));
    assert_eq!(stand.pair().map(|pair| pair.session_id), Some(session(1)));
    // What is not known of a card that can only have come later keeps nobody.
    let over = empty().arrive(waiting(1, at(-121)));
    assert!(on_reader(over).miss(at(0), false).is_some());
    // Nor does what cannot hold anything.
    let stand = empty().arrive(waiting(1, noon())).begin(tap("one", noon())).unwrap();
    assert!(stand.miss(at(120), false).is_some());
}

#[test]
fn a_card_that_is_presented_in_the_last_moment_is_not_taken_for_one_that_never_came() {
    let stand = on_reader(empty().arrive(waiting(1, at(100))));
    let stand = stand.apply(Outcome::Waiting, at(120));
    assert_eq!(state(&stand), TapState::Releasing { why: Why::NotPresented });
    assert_eq!(stand.miss(at(220), false), None);
    let stand = stand.apply(Outcome::Held { hold: hold(), at: at(120) }, at(121));
    assert_eq!(stand.pair().map(|pair| pair.session_id), Some(session(1)));
}

#[test]
fn of_two_sessions_the_later_gets_the_card_and_the_other_goes_without() {
    let stand = empty().arrive(waiting(1, at(0))).arrive(waiting(2, at(5)));
    let stand = held(on_reader(stand), 10);
    let pair = stand.pair().unwrap();
    assert_eq!(pair.session_id, session(2));
    let (stand, _) = stand.paired(&pair).cleared();
    assert_eq!((stand.pair(), stand.waiting.len()), (None, 1));
    let (stand, missed) = stand.miss(at(120), true).unwrap();
    assert_eq!(missed, session(1));
    assert_eq!(stand.miss(at(120), true), None, "each is missed once");
    assert!(stand.is_due(at(121)), "until it needs no card any more");
    assert!(stand.without(missed).is_empty());
}

#[test]
fn a_session_that_was_given_up_gets_its_card_until_it_has_stopped() {
    let (stand, missed) =
        on_reader(empty().arrive(waiting(1, noon()))).miss(at(120), true).unwrap();
    let found = |at_s| Outcome::Held { hold: hold(), at: at(at_s) };
    let in_time = stand.clone().apply(found(60), at(125));
    assert_eq!(in_time.pair().map(|pair| pair.session_id), Some(missed));
    assert_eq!(stand.clone().apply(found(61), at(125)).pair(), None, "a second too late");
    assert_eq!(stand.without(missed).apply(found(60), at(125)).pair(), None);
}

#[test]
fn where_no_reader_stands_no_card_is_waited_for() {
    let stand = empty().arrive(Waiting::new(session(1), noon(), None));
    assert!(stand.miss(noon(), true).is_some());
}

#[test]
fn the_same_session_told_twice_waits_once() {
    let stand = empty().arrive(waiting(1, at(0))).arrive(waiting(1, at(0)));
    assert_eq!(stand.waiting.len(), 1);
}

#[test]
fn a_connector_takes_one_tap_at_a_time() {
    let stand = on_reader(empty());
    assert_eq!(stand.clone().begin(tap("two", at(5))), Err(Occupied));
    let held = held(stand, 10);
    assert_eq!(held.begin(tap("two", at(15))), Err(Occupied));
}

#[test]
fn a_card_that_no_session_comes_for_is_released() {
    let stand = held(on_reader(empty()), 10);
    assert!(!stand.is_due(at(129)));
    assert_eq!(stand.clone().turn(at(129)), stand);
    assert!(stand.is_due(at(130)));
    let stand = stand.turn(at(130));
    assert_eq!(state(&stand), TapState::Releasing { why: Why::NoSession });
    // A session that comes while it is being released does not get it.
    let stand = stand.arrive(waiting(1, at(65)));
    assert_eq!(stand.pair(), None);
    assert_eq!(stand.step(), Some(Step::Release));
    let (stand, decided) = stand.apply(Outcome::Released, at(131)).cleared();
    assert_eq!(decided.unwrap().state, TapState::Released { why: Why::NoSession });
    assert_eq!(stand.waiting.len(), 1);
}

#[test]
fn a_declined_card_and_one_that_never_comes_leave_nothing_at_the_reader() {
    let why = Why::Refused { code: "insufficient_funds".to_owned() };
    let declined = on_reader(empty()).apply(Outcome::Nothing { why: why.clone() }, at(5));
    assert_eq!(state(&declined), TapState::Releasing { why });
    let stand = on_reader(empty());
    let stand = stand.apply(Outcome::Waiting, at(119));
    assert!(matches!(state(&stand), TapState::OnReader { .. }));
    let stand = stand.apply(Outcome::Waiting, at(120));
    assert_eq!(state(&stand), TapState::Releasing { why: Why::NotPresented });
}

#[test]
fn a_tap_that_stripe_was_never_asked_for_needs_no_release() {
    let stand = empty().begin(tap("one", noon())).unwrap();
    assert_eq!(stand.clone().turn(at(119)), stand);
    let decided = stand.turn(at(120)).cleared().1.unwrap();
    assert_eq!(decided.state, TapState::Released { why: Why::NotPresented });
}

#[test]
fn who_asked_for_a_card_can_want_it_no_more_until_it_is_decided() {
    let stand = held(on_reader(empty()), 10);
    let tap_id = stand.tap.clone().unwrap().id;
    let other = TapId::of(&"kiosk-1".parse().unwrap(), "other");
    assert_eq!(stand.clone().cancel(other), stand);
    let canceled = stand.clone().cancel(tap_id);
    assert_eq!(state(&canceled), TapState::Releasing { why: Why::Canceled });
    assert_eq!(canceled.clone().cancel(tap_id), canceled);
    let paired = stand.clone().arrive(waiting(1, at(12)));
    let paired = paired.clone().paired(&paired.pair().unwrap());
    assert_eq!(paired.clone().cancel(tap_id), paired, "the session has it");
    // While the reader is cleared, a card of the last moment would count.
    let late = on_reader(empty()).apply(Outcome::Waiting, at(120));
    assert!(matches!(state(&held(late.clone(), 121)), TapState::Held { .. }));
    let given_up = late.cancel(tap_id);
    assert_eq!(state(&given_up), TapState::Releasing { why: Why::Canceled });
    assert_eq!(held(given_up.clone(), 121), given_up);
}

#[test]
fn an_outcome_that_comes_too_late_changes_nothing() {
    let stand = on_reader(empty()).cancel(TapId::of(&"kiosk-1".parse().unwrap(), "one"));
    for outcome in [Outcome::Presented, Outcome::Held { hold: hold(), at: at(5) }, Outcome::Waiting]
    {
        assert_eq!(stand.clone().apply(outcome, at(6)), stand);
    }
}
