//! A reader, good cards and bad ones, against the twin, over HTTP.

use network::PaymentPolicy;
use quantities::{ConnectorId, ReaderId, SessionId, TapId, TransactionId};
use serde_json::Value;
use stripe_twin::{DeclineRule, Fault};

use super::super::tests::{Bench, EVERY_FAULT, bench, eur, post};
use super::*;
use crate::{
    money::{self, Card, Payment},
    reader::{Stand, TapState},
};

async fn reader(bench: &Bench) -> StripeReaderId {
    let address = ("address[country]", "NL");
    let line = ("address[line1]", "Herengracht 1");
    let form = [("display_name", "Amsterdam"), address, line];
    let location = post(&bench.twin, "terminal/locations", &form).await;
    let location = location["id"].as_str().unwrap();
    let form = [("registration_code", "simulated-wpe"), ("location", location)];
    let reader = post(&bench.twin, "terminal/readers", &form).await;
    StripeReaderId(reader["id"].as_str().unwrap().to_owned())
}

fn now() -> DateTime<Utc> {
    super::super::failure::now()
}

fn stand(reader: &StripeReaderId, connector: u32) -> Stand {
    let reader_id: ReaderId = "kiosk-1".parse().unwrap();
    let connector_id = ConnectorId(connector);
    let charge_point_id = "CP1".parse().unwrap();
    let tap = Tap {
        id: TapId::of(&reader_id, &connector.to_string()),
        reader_id,
        stripe_reader: reader.clone(),
        charge_point_id,
        connector_id,
        amount: eur(3000),
        window_s: 60,
        start_with: None,
        begun_at: now(),
        payment_intent: None,
        state: TapState::Requested,
    };
    Stand::empty("CP1".parse().unwrap(), connector_id).begin(tap).unwrap()
}

impl Bench {
    /// Carries the stand on until nothing is due, or nothing changes.
    async fn carry(&self, mut stand: Stand) -> Stand {
        for _ in 0..60 {
            let Some((tap, step)) = stand.tap.clone().zip(stand.step()) else { return stand };
            match self.stripe.at_reader(&tap, step).await {
                Ok(outcome) => {
                    let next = stand.clone().apply(outcome, now());
                    if next == stand {
                        return stand;
                    }
                    stand = next;
                }
                Err(error) => assert!(error.is_retryable(), "{step:?}: {error}"),
            }
        }
        panic!("{stand:?}");
    }

    async fn present_card(&self, reader: &StripeReaderId, number: &str) -> Value {
        let path = format!("test_helpers/terminal/readers/{reader}/present_payment_method");
        let form = [("type", "card_present"), ("card_present[number]", number)];
        post(&self.twin, &path, &form).await
    }

    fn status(&self, stand: &Stand) -> String {
        let id = stand.tap.as_ref().unwrap().payment_intent.clone().unwrap();
        let intents = self.intents();
        let intent = intents.iter().find(|intent| intent["id"] == id.0).unwrap();
        intent["status"].as_str().unwrap().to_owned()
    }
}

fn state(stand: &Stand) -> TapState {
    stand.tap.clone().unwrap().state
}

const GOOD: &str = "4242424242424242";
const NO_FUNDS: &str = "4000000000009995";

#[tokio::test]
async fn a_card_that_is_presented_is_held_and_can_be_released() {
    let bench = bench("pm_card_visa").await;
    let reader = reader(&bench).await;
    let stand = bench.carry(stand(&reader, 1)).await;
    assert!(matches!(state(&stand), TapState::OnReader { .. }), "{stand:?}");
    bench.present_card(&reader, GOOD).await;
    let stand = bench.carry(stand).await;
    let TapState::Held { hold, at } = state(&stand) else { panic!("{stand:?}") };
    assert_eq!(hold.amount, eur(3000));
    assert!((now() - at).num_seconds() < 60);
    assert_eq!(bench.taken_and_open(), (0, 1));
    let tap_id = stand.tap.clone().unwrap().id;
    let stand = bench.carry(stand.cancel(tap_id)).await;
    assert_eq!(state(&stand), TapState::Released { why: Why::Canceled });
    assert_eq!(bench.taken_and_open(), (0, 0));
}

#[tokio::test]
async fn a_declined_card_leaves_neither_a_hold_nor_a_payment_to_be_made() {
    let bench = bench("pm_card_visa").await;
    let reader = reader(&bench).await;
    let stand = bench.carry(stand(&reader, 1)).await;
    bench.present_card(&reader, NO_FUNDS).await;
    let stand = bench.carry(stand).await;
    let why = Why::Refused { code: "insufficient_funds".to_owned() };
    assert_eq!(state(&stand), TapState::Released { why });
    assert_eq!(bench.status(&stand), "canceled");
}

#[tokio::test]
async fn what_nobody_presented_a_card_for_gives_way_to_the_next() {
    let bench = bench("pm_card_visa").await;
    let reader = reader(&bench).await;
    let first = bench.carry(stand(&reader, 1)).await;
    let second = bench.carry(stand(&reader, 2)).await;
    assert!(matches!(state(&second), TapState::OnReader { .. }), "{second:?}");
    let first = bench.carry(first).await;
    assert_eq!(state(&first), TapState::Released { why: Why::NotPresented });
    assert_eq!(bench.status(&first), "canceled");
    // The reader still shows the second.
    bench.present_card(&reader, GOOD).await;
    let second = bench.carry(second).await;
    assert!(matches!(state(&second), TapState::Held { .. }), "{second:?}");
}

#[tokio::test]
async fn a_card_that_is_presented_as_the_reader_gives_up_is_held_all_the_same() {
    let bench = bench("pm_card_visa").await;
    let reader = reader(&bench).await;
    let stand = bench.carry(stand(&reader, 1)).await;
    let gives_up = stand.apply(Outcome::Waiting, now() + chrono::TimeDelta::minutes(3));
    assert_eq!(state(&gives_up), TapState::Releasing { why: Why::NotPresented });
    bench.present_card(&reader, GOOD).await;
    let stand = bench.carry(gives_up).await;
    assert!(matches!(state(&stand), TapState::Held { .. }), "{stand:?}");
    assert_eq!(bench.taken_and_open(), (0, 1));
}

#[tokio::test]
async fn a_payment_that_is_canceled_is_taken_off_the_reader() {
    let bench = bench("pm_card_visa").await;
    let reader = reader(&bench).await;
    let stand = bench.carry(stand(&reader, 1)).await;
    let tap_id = stand.tap.clone().unwrap().id;
    let stand = bench.carry(stand.cancel(tap_id)).await;
    assert_eq!(state(&stand), TapState::Released { why: Why::Canceled });
    let view = bench.stripe.reader("test", &reader).await.unwrap().unwrap();
    assert!(view.action.is_none(), "{view:?}");
}

#[tokio::test]
async fn a_card_that_somebody_captures_at_stripe_pays_for_a_session_or_a_person_is_told() {
    // Captured before the card is looked at, and after.
    for captured_first in [true, false] {
        let bench = bench("pm_card_visa").await;
        let reader = reader(&bench).await;
        let mut stand = bench.carry(stand(&reader, 1)).await;
        bench.present_card(&reader, GOOD).await;
        if !captured_first {
            stand = bench.carry(stand).await;
        }
        let intent = stand.tap.clone().unwrap().payment_intent.unwrap();
        let capture = format!("payment_intents/{intent}/capture");
        post(&bench.twin, &capture, &[("amount_to_capture", "900")]).await;
        let stand = bench.carry(stand).await;
        let TapState::Held { hold, .. } = state(&stand) else { panic!("{stand:?}") };
        // What covers a session is what there is.
        assert_eq!(hold.amount, if captured_first { eur(900) } else { eur(3000) });
        let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
        let policy = PaymentPolicy::default();
        let payment = Payment::with_placed_hold(session, Card::Present, hold, policy);
        let payment = bench.carry_on(payment.with_total(eur(500)).unwrap()).await;
        assert_eq!((payment.captured, payment.surplus), (eur(900), Some(eur(400))));
        // No session came for it.
        let tap_id = stand.tap.clone().unwrap().id;
        let told = bench.carry(stand.cancel(tap_id)).await;
        assert_eq!(state(&told), TapState::Released { why: Why::Captured { amount: eur(900) } });
    }
}

#[tokio::test]
async fn a_reader_that_somebody_took_away_holds_up_neither_a_release_nor_a_look() {
    let bench = bench("pm_card_visa").await;
    let reader = reader(&bench).await;
    let gone = |mut stand: Stand| {
        stand.tap.as_mut().unwrap().stripe_reader = StripeReaderId("tmr_gone".to_owned());
        stand
    };
    let shown = gone(bench.carry(stand(&reader, 1)).await);
    let tap_id = shown.tap.clone().unwrap().id;
    let canceled = bench.carry(shown.clone().cancel(tap_id)).await;
    assert_eq!(state(&canceled), TapState::Released { why: Why::Canceled });
    assert_eq!(bench.status(&canceled), "canceled");
    let looked_at = bench.carry(gone(bench.carry(stand(&reader, 2)).await)).await;
    assert_eq!(state(&looked_at), TapState::Released { why: Why::NotPresented });
    // A card that was presented before is held all the same.
    let shown = bench.carry(stand(&reader, 3)).await;
    bench.present_card(&reader, GOOD).await;
    let held = bench.carry(gone(shown)).await;
    assert!(matches!(state(&held), TapState::Held { .. }), "{held:?}");
}

/// <https://docs.stripe.com/terminal/features/incremental-authorizations>
#[tokio::test]
async fn what_a_presented_card_holds_is_raised_up_to_what_the_issuer_takes() {
    let bench = bench("pm_card_visa").await;
    let reader = reader(&bench).await;
    let stand = bench.carry(stand(&reader, 1)).await;
    bench.present_card(&reader, GOOD).await;
    let TapState::Held { hold, .. } = state(&bench.carry(stand).await) else { panic!("no hold") };
    assert!(hold.raisable, "{hold:?}");
    let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
    let policy = PaymentPolicy { raise: true, links_max: 1, ..PaymentPolicy::default() };
    let payment = Payment::with_placed_hold(session, Card::Present, hold, policy);
    let payment = bench.carry_on(money::expect(payment, eur(4500))).await;
    let raised = payment.hold.clone().unwrap();
    assert_eq!((raised.terms.amount, raised.raises), (eur(4500), 1));
    let held = &bench.intents()[0];
    assert_eq!((&held["amount"], &held["status"]), (&4500.into(), &"requires_capture".into()));
    // Nobody may charge a card that was not saved: beyond its hold there is a page to pay on.
    bench.twin.decline(DeclineRule {
        payment_method: held["payment_method"].as_str().unwrap().to_owned(),
        capture_method: None,
        above: 4500,
        code: "card_declined".to_owned(),
        decline_code: None,
    });
    let payment = bench.carry_on(money::expect(payment, eur(6000))).await;
    assert_eq!(payment.hold.as_ref().unwrap().terms.amount, eur(4500));
    let payment = bench.carry_on(payment.with_total(eur(5000)).unwrap()).await;
    assert_eq!((payment.captured, payment.owed), (eur(4500), eur(500)));
    assert_eq!(payment.open_link().unwrap().amount, eur(500));
    assert_eq!(bench.taken_and_open(), (4500, 0));
}

#[tokio::test]
async fn every_fault_is_survived_and_leaves_no_hold() {
    for kind in EVERY_FAULT {
        let bench = bench("pm_card_visa").await;
        let reader = reader(&bench).await;
        bench.twin.fault(Fault { per_mille: 400, slow_ms: 5, ..Fault::next(kind, 0) });
        let stand = bench.carry(stand(&reader, 1)).await;
        bench.twin.clear_faults();
        bench.present_card(&reader, GOOD).await;
        bench.twin.fault(Fault { per_mille: 400, slow_ms: 5, ..Fault::next(kind, 0) });
        let stand = bench.carry(stand).await;
        assert!(matches!(state(&stand), TapState::Held { .. }), "{kind:?}: {stand:?}");
        let tap_id = stand.tap.clone().unwrap().id;
        let stand = bench.carry(stand.cancel(tap_id)).await;
        assert_eq!(bench.status(&stand), "canceled", "{kind:?}");
        assert_eq!(bench.taken_and_open(), (0, 0), "{kind:?}");
    }
}
