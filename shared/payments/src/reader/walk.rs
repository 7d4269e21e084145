//! Random walks: cards, sessions, cancellations, crashes and lost news against a strict reader, and
//! at the end every card that was held pays for one session or is released.

use chrono::{DateTime, TimeDelta, Utc};
use network::{HoldRef, StripePaymentIntentId, StripeReaderId};
use proptest::{collection::vec, prelude::*};
use quantities::{Amount, ConnectorId, Currency, ReaderId, SessionId, TapId, TransactionId};

use super::*;

const WINDOW_S: u32 = 60;

/// What happens at the connector.
#[derive(Debug, Clone)]
enum Happens {
    /// Somebody asks for a card.
    Begin,
    /// Somebody presents one: it is held, or declined.
    Present { good: bool },
    /// A session starts with the reader's tag; its message comes once or twice.
    Start { twice: bool },
    /// Whoever asked for a card wants it no more.
    Cancel,
    /// Somebody carries the stand on; a crash loses the answer to so many a call.
    Advance { crash_at: Option<u8> },
    /// Time passes.
    Pass { seconds: i64 },
}

/// The reader and the cards at Stripe.
#[derive(Debug, Default)]
struct Stripe {
    /// Each PaymentIntent by the tap that it was made for.
    intents: Vec<(TapId, Card)>,
    shown: Option<TapId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Card {
    None,
    Declined,
    Held(DateTime<Utc>),
    Canceled,
}

impl Stripe {
    fn card(&mut self, tap: TapId) -> &mut Card {
        let index = self.intents.iter().position(|(of, _)| *of == tap).unwrap();
        &mut self.intents[index].1
    }

    fn answer(&mut self, tap: &Tap, step: Step) -> Outcome {
        let payment_intent = StripePaymentIntentId(format!("pi_{}", tap.id));
        match step {
            Step::Make => {
                // The same idempotency key is the same PaymentIntent.
                if self.intents.iter().all(|(of, _)| *of != tap.id) {
                    self.intents.push((tap.id, Card::None));
                }
                Outcome::Made { payment_intent }
            }
            Step::Present => {
                if *self.card(tap.id) == Card::None {
                    self.shown = Some(tap.id);
                }
                Outcome::Presented
            }
            Step::Look => match *self.card(tap.id) {
                Card::Held(at) => {
                    Outcome::Held { hold: HoldRef::plain(payment_intent, tap.amount), at }
                }
                Card::Declined => {
                    Outcome::Nothing { why: Why::Refused { code: "card_declined".to_owned() } }
                }
                Card::Canceled => Outcome::Nothing { why: Why::NotPresented },
                Card::None => Outcome::Waiting,
            },
            Step::Release => {
                if self.shown == Some(tap.id) {
                    self.shown = None;
                }
                *self.card(tap.id) = Card::Canceled;
                Outcome::Released
            }
        }
    }
}

/// What is stored, and what the world knows.
#[derive(Debug)]
struct World {
    stand: Stand,
    decided: Vec<Tap>,
    /// Which tap each session got.
    paid: Vec<(SessionId, TapId)>,
    missed: Vec<SessionId>,
    started: Vec<SessionId>,
    stripe: Stripe,
    now: DateTime<Utc>,
    taps: u32,
}

fn reader() -> ReaderId {
    "kiosk-1".parse().unwrap()
}

impl World {
    fn new() -> Self {
        Self {
            stand: Stand::empty("CP1".parse().unwrap(), ConnectorId(1)),
            decided: vec![],
            paid: vec![],
            missed: vec![],
            started: vec![],
            stripe: Stripe::default(),
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
            taps: 0,
        }
    }

    fn happens(&mut self, what: &Happens) {
        match *what {
            Happens::Begin => {
                self.taps += 1;
                let tap = Tap {
                    id: TapId::of(&reader(), &self.taps.to_string()),
                    reader_id: reader(),
                    stripe_reader: StripeReaderId("tmr_1".to_owned()),
                    charge_point_id: "CP1".parse().unwrap(),
                    connector_id: ConnectorId(1),
                    amount: Amount::new(3000, Currency::EUR),
                    window_s: WINDOW_S,
                    start_with: None,
                    begun_at: self.now,
                    payment_intent: None,
                    state: TapState::Requested,
                };
                if let Ok(stand) = self.stand.clone().begin(tap) {
                    self.stand = stand;
                }
            }
            Happens::Present { good } => {
                if let Some(tap) = self.stripe.shown.take() {
                    let card = if good { Card::Held(self.now) } else { Card::Declined };
                    *self.stripe.card(tap) = card;
                }
            }
            Happens::Start { twice } => {
                let number = i32::try_from(self.started.len()).unwrap();
                let session_id = SessionId::of(&"CP1".parse().unwrap(), TransactionId(number));
                self.started.push(session_id);
                let until = self.now + TimeDelta::seconds(WINDOW_S.into());
                let waiting = Waiting { session_id, since: self.now, until, missed: false };
                for _ in 0..=u8::from(twice) {
                    self.stand = self.stand.clone().arrive(waiting.clone());
                }
            }
            Happens::Cancel => {
                if let Some(tap) = &self.stand.tap {
                    self.stand = self.stand.clone().cancel(tap.id);
                }
                self.clear();
            }
            Happens::Advance { crash_at } => self.advance(crash_at),
            Happens::Pass { seconds } => self.now += TimeDelta::seconds(seconds),
        }
    }

    fn clear(&mut self) {
        let (stand, decided) = self.stand.clone().cleared();
        self.stand = stand;
        self.decided.extend(decided);
    }

    /// As the function does it; a crash drops the answer to a call.
    fn advance(&mut self, crash_at: Option<u8>) {
        for call in 0..32 {
            if let Some(pair) = self.stand.pair() {
                assert!(self.paid.iter().all(|(known, _)| *known != pair.session_id));
                self.paid.push((pair.session_id, pair.tap_id));
                self.stand = self.stand.clone().paired(&pair);
                self.clear();
                continue;
            }
            let before = self.stand.clone();
            if let (Some(tap), Some(step)) = (&before.tap, before.step()) {
                let outcome = self.stripe.answer(tap, step);
                if crash_at == Some(call) {
                    return;
                }
                self.stand = before.clone().apply(outcome, self.now);
            }
            if self.stand == before {
                self.stand = before.clone().turn(self.now);
            }
            self.clear();
            if self.stand != before {
                continue;
            }
            match self.stand.miss(self.now) {
                Some((stand, session_id)) => {
                    self.stand = stand;
                    self.missed.push(session_id);
                }
                None => return,
            }
        }
        panic!("the stand never comes to rest: {self:?}");
    }

    /// Whatever happened: a sweep or two after the last window everything is decided.
    fn ends(mut self) -> Result<(), TestCaseError> {
        for _ in 0..4 {
            self.now += TimeDelta::seconds(200);
            self.advance(None);
        }
        prop_assert!(self.stand.tap.is_none(), "{self:?}");
        for (tap, card) in &self.stripe.intents {
            let paid = self.paid.iter().filter(|(_, by)| by == tap).count();
            prop_assert!(paid <= 1, "a tap that pays twice");
            let is_held = matches!(card, Card::Held(_));
            prop_assert_eq!(is_held, paid == 1, "{:?} of {:?}", card, tap);
        }
        for session in &self.started {
            let paid = self.paid.iter().filter(|(known, _)| known == session).count();
            let missed = self.missed.iter().filter(|known| *known == session).count();
            prop_assert_eq!(paid + missed, 1, "{} is paid or missed, once", session);
        }
        Ok(())
    }
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        2 => Just(Happens::Begin),
        3 => prop::bool::weighted(0.8).prop_map(|good| Happens::Present { good }),
        2 => any::<bool>().prop_map(|twice| Happens::Start { twice }),
        1 => Just(Happens::Cancel),
        6 => prop::option::of(0..4_u8).prop_map(|crash_at| Happens::Advance { crash_at }),
        2 => prop_oneof![1..20_i64, 50..70_i64, 110..130_i64]
            .prop_map(|seconds| Happens::Pass { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn every_card_that_is_held_pays_for_one_session_or_is_released(
        all in vec(happens(), 1..40),
    ) {
        let mut world = World::new();
        for what in &all {
            world.happens(what);
        }
        world.ends()?;
    }
}
