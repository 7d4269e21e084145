//! Random walks: cards, sessions, cancellations, crashes, late starts, captures at Stripe's
//! dashboard and a Stripe that does not answer against a strict reader. At the end every card that
//! was held pays for one session or is released, or a person is told once that it was captured; and
//! a card and a start that lie within the window have met.

use chrono::{DateTime, TimeDelta, Utc};
use network::{HoldRef, StripePaymentIntentId, StripeReaderId};
use proptest::{collection::vec, prelude::*};
use quantities::{Amount, ConnectorId, Currency, ReaderId, SessionId, TapId, TransactionId};

use super::{tap::GRACE, *};

const WINDOW_S: u32 = 60;

/// What happens at the connector.
#[derive(Debug, Clone)]
enum Happens {
    /// Somebody asks for a card.
    Begin,
    /// Somebody presents one: it is held, or declined.
    Present { good: bool },
    /// A session starts with the reader's tag; its message comes once or twice, now or later.
    Start { twice: bool, late: bool },
    /// The messages of starts that were under way come.
    Deliver,
    /// Sessions that were missed have stopped, and are held for a person.
    Stop,
    /// Stripe answers no more, or again.
    Silence { silent: bool },
    /// Whoever asked for a card wants it no more.
    Cancel,
    /// Somebody captures the newest hold in Stripe's dashboard.
    Capture,
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
    silent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Card {
    None,
    Declined,
    Held(DateTime<Utc>),
    /// By somebody at Stripe.
    Captured(DateTime<Utc>),
    Canceled,
}

impl Stripe {
    fn card(&mut self, tap: TapId) -> &mut Card {
        let index = self.intents.iter().position(|(of, _)| *of == tap).unwrap();
        &mut self.intents[index].1
    }

    /// `None`: the request does not arrive.
    fn asked(&mut self, tap: &Tap, step: Step) -> Option<Outcome> {
        (!self.silent).then(|| self.answer(tap, step))
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
                Card::Held(at) | Card::Captured(at) => held(payment_intent, tap, at),
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
                match self.card(tap.id) {
                    Card::Held(at) | Card::Captured(at) if tap.may_be_held() => {
                        held(payment_intent, tap, *at)
                    }
                    Card::Captured(_) => Outcome::Captured { amount: tap.amount },
                    card => {
                        *card = Card::Canceled;
                        Outcome::Released
                    }
                }
            }
        }
    }
}

fn held(payment_intent: StripePaymentIntentId, tap: &Tap, at: DateTime<Utc>) -> Outcome {
    Outcome::Held { hold: HoldRef::plain(payment_intent, tap.amount), at }
}

/// What is stored, and what the world knows.
#[derive(Debug)]
struct World {
    stand: Stand,
    decided: Vec<Tap>,
    /// Which tap each session got.
    paid: Vec<(SessionId, TapId)>,
    missed: Vec<SessionId>,
    started: Vec<(SessionId, DateTime<Utc>)>,
    /// Starts whose messages are under way.
    under_way: Vec<Waiting>,
    /// Good cards, as they were presented.
    presented: Vec<(TapId, DateTime<Utc>)>,
    canceled: Vec<TapId>,
    stripe: Stripe,
    now: DateTime<Utc>,
    taps: u32,
}

fn window() -> TimeDelta {
    TimeDelta::seconds(WINDOW_S.into())
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
            under_way: vec![],
            presented: vec![],
            canceled: vec![],
            stripe: Stripe::default(),
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
            taps: 0,
        }
    }

    fn happens(&mut self, what: &Happens) {
        match *what {
            Happens::Begin => self.begin(),
            Happens::Present { good } => {
                if let Some(tap) = self.stripe.shown.take() {
                    let card = if good { Card::Held(self.now) } else { Card::Declined };
                    *self.stripe.card(tap) = card;
                    if good {
                        self.presented.push((tap, self.now));
                    }
                }
            }
            Happens::Start { twice, late } => self.start(twice, late),
            Happens::Deliver => self.deliver(TimeDelta::zero()),
            Happens::Stop => self.stand.waiting.retain(|waiting| !waiting.missed),
            Happens::Silence { silent } => self.stripe.silent = silent,
            Happens::Cancel => {
                if let Some(tap) = &self.stand.tap {
                    self.canceled.push(tap.id);
                    self.stand = self.stand.clone().cancel(tap.id);
                }
                self.clear();
            }
            Happens::Capture => {
                let mut cards = self.stripe.intents.iter_mut().rev().map(|(_, card)| card);
                if let Some((card, at)) = cards.find_map(|card| match *card {
                    Card::Held(at) => Some((card, at)),
                    _ => None,
                }) {
                    *card = Card::Captured(at);
                }
            }
            Happens::Advance { crash_at } => self.advance(crash_at),
            Happens::Pass { seconds } => self.pass(seconds),
        }
    }

    fn begin(&mut self) {
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

    fn start(&mut self, twice: bool, late: bool) {
        let number = i32::try_from(self.started.len()).unwrap();
        let session_id = SessionId::of(&"CP1".parse().unwrap(), TransactionId(number));
        self.started.push((session_id, self.now));
        let waiting = Waiting::new(session_id, self.now, Some(window()));
        if twice || late {
            self.under_way.push(waiting.clone());
        }
        if !late {
            self.stand = self.stand.clone().arrive(waiting);
        }
    }

    /// The messages of starts that were under way for so long come.
    fn deliver(&mut self, after: TimeDelta) {
        let now = self.now;
        let come = |waiting: &mut Waiting| now - waiting.since >= after;
        let due: Vec<_> = self.under_way.extract_if(.., come).collect();
        for waiting in due {
            // The function leaves alone what has its card or has stopped.
            let id = waiting.session_id;
            let is_paid = self.paid.iter().any(|(known, _)| *known == id);
            if !is_paid && !self.missed.contains(&id) {
                self.stand = self.stand.clone().arrive(waiting);
            }
        }
    }

    /// Time passes; no message is under way for longer than the grace.
    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.deliver(GRACE);
            self.now += TimeDelta::seconds(1);
        }
        self.deliver(GRACE);
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
            let mut answered = true;
            if let (Some(tap), Some(step)) = (&before.tap, before.step()) {
                let outcome = self.stripe.asked(tap, step);
                if crash_at == Some(call) {
                    return;
                }
                answered = outcome.is_some();
                if let Some(outcome) = outcome {
                    self.stand = before.clone().apply(outcome, self.now);
                }
            }
            self.stand = self.stand.clone().turn(self.now);
            self.clear();
            if self.stand != before {
                continue;
            }
            match self.stand.miss(self.now, answered) {
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
        self.stripe.silent = false;
        for _ in 0..4 {
            self.advance(None);
            self.pass(200);
        }
        self.advance(None);
        prop_assert!(self.stand.tap.is_none(), "{self:?}");
        for (tap, card) in &self.stripe.intents {
            let paid = self.paid.iter().filter(|(_, by)| by == tap).count();
            prop_assert!(paid <= 1, "a tap that pays twice");
            let is_told = |known: &&Tap| {
                let is_captured = |why: &Why| matches!(why, Why::Captured { .. });
                known.id == *tap
                    && matches!(&known.state, TapState::Released { why } if is_captured(why))
            };
            let told = self.decided.iter().filter(is_told).count();
            let (uses, tells) = match card {
                Card::Held(_) => (1, 0),
                Card::Captured(_) => (1 - told, told),
                Card::None | Card::Declined | Card::Canceled => (0, 0),
            };
            prop_assert_eq!((paid, told), (uses, tells), "{:?} of {:?}", card, tap);
        }
        for (session, since) in &self.started {
            let paid = self.paid.iter().filter(|(known, _)| known == session).count();
            let missed = self.missed.iter().filter(|known| *known == session).count();
            prop_assert!(paid <= 1 && missed <= 1 && paid + missed > 0, "{} is forgotten", session);
            for (tap, at) in self.presented.iter().filter(|_| paid == 0) {
                let used = self.paid.iter().any(|(_, by)| by == tap) || self.canceled.contains(tap);
                let near = (*at - *since).abs() <= window();
                prop_assert!(used || !near, "{} and {:?} have not met: {:?}", session, tap, self);
            }
        }
        Ok(())
    }
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        2 => Just(Happens::Begin),
        3 => prop::bool::weighted(0.8).prop_map(|good| Happens::Present { good }),
        2 => any::<(bool, bool)>().prop_map(|(twice, late)| Happens::Start { twice, late }),
        1 => Just(Happens::Deliver),
        1 => Just(Happens::Stop),
        1 => any::<bool>().prop_map(|silent| Happens::Silence { silent }),
        1 => Just(Happens::Cancel),
        1 => Just(Happens::Capture),
        6 => prop::option::of(0..4_u8).prop_map(|crash_at| Happens::Advance { crash_at }),
        2 => prop_oneof![1..20_i64, 50..70_i64, 110..130_i64]
            .prop_map(|seconds| Happens::Pass { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn every_card_that_is_held_pays_for_one_session_or_is_released_and_those_in_time_meet(
        all in vec(happens(), 1..40),
    ) {
        let mut world = World::new();
        for what in &all {
            world.happens(what);
        }
        world.ends()?;
    }

    /// One card and one start, second by second: however late the start is told, whenever somebody
    /// looks, and for however long Stripe does not answer.
    #[test]
    fn a_card_and_a_start_in_time_meet_however_late_either_becomes_known(
        (card, start) in (1..119_i64, 1..180_i64),
        late in 0..=60_i64,
        (silence, for_s) in (2..300_i64, 0..300_i64),
        looks in vec(2..400_i64, 0..12),
    ) {
        let mut world = World::new();
        world.happens(&Happens::Begin);
        world.happens(&Happens::Advance { crash_at: None });
        for second in 1..400 {
            world.pass(1);
            world.stripe.silent = (silence..silence + for_s).contains(&second);
            if second == card {
                world.happens(&Happens::Present { good: true });
            }
            if second == start {
                world.start(false, true);
            }
            world.deliver(TimeDelta::seconds(late));
            if looks.contains(&second) {
                world.happens(&Happens::Advance { crash_at: None });
                world.happens(&Happens::Stop);
            }
        }
        prop_assert_eq!(world.presented.len(), 1, "the reader shows it until it is taken off");
        world.ends()?;
    }
}
