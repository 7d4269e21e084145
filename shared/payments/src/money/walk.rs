//! Random walks through a payment.
//!
//! Each begins with a site's policy, a card (saved, saved and held by the app, or presented to a
//! reader), an amount to hold and a price, and takes up to 90 events of these:
//!
//! - a worker makes the next call, or dies before it, or after it and before its answer is stored;
//!   a call that was made comes again, late;
//! - the issuer pays, declines, wants the cardholder, or finds the amount too small;
//! - Stripe's news (holds lost, money taken, pages paid on and closed, refunds, disputes) comes in
//!   any order, is doubled or lost;
//! - the session is looked at, late, twice or never, grows beyond its hold, gets its price; hours
//!   pass: holds run out and are renewed, refused charges are retried, pages close;
//! - somebody releases or captures a hold, or gives money back, in Stripe's dashboard;
//! - a call fails for good, and a person has it tried again;
//! - the driver pays on a page, asks for one, pays again with another card, disputes; a person
//!   waives, writes off, refunds in parts, has a refund that failed tried again, says what one made
//!   at Stripe takes back; a dispute that was decided turns.
//!
//! In the end workers live, all other news is lost, and time passes until nothing is left to do.
//! Stripe is a model of its own ([`bank`]), strict: it stops the walk when it is asked for what
//! must never be asked (a second capture, a charge while money is held or a page is open, another
//! amount under the same key, more than is owed, a third hold). After every store and at the end:
//! captured + owed + waived + written off − surplus = price, nothing booked that was not taken,
//! nothing to be given back is lost or given back twice; a session is told to stop only while it runs uncovered, and not too
//! often; at the end also no hold and no page left open, all that was taken is booked, and what was
//! too much is given back.
//!
//! The steps that walks take from one state to another are the state diagram in `ARCHITECTURE.md`,
//! and no others ([`diagram`]).

mod bank;
mod diagram;

use bank::{Bank, Mood};
use std::{collections::BTreeSet, thread};

use chrono::{DateTime, TimeDelta, Utc};
use network::{Beyond, HoldRef, PaymentPolicy, StripePaymentIntentId};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use quantities::{Amount, Currency, SessionId, TransactionId};

use super::{
    Card, Forgiven, LinkState, Look, MoneyError, Payment, RefundBy, RefundState, Step, StuckWhy,
    apply, collect_again, credit_made, expect, forgive, give_up_on, learn, look as money_look,
    look_again_at, must_stop, next_step, offer_link, refund, refund_again, request, resume,
    stand_in, stop_if_uncovered, tests::saved, watched,
};

pub(super) fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::EUR)
}

fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// How far a worker gets with one step.
#[derive(Debug, Clone, Copy)]
enum Pass {
    DiesBeforeTheCall,
    DiesAfterTheCall,
    Completes,
}

/// What happens next in the world.
#[derive(Debug, Clone, Copy)]
enum Event {
    Work(Pass, Mood),
    /// A call that was made once is made again, by a worker that was slow.
    LateCall(prop::sample::Index),
    Deliver(prop::sample::Index),
    Repeat(prop::sample::Index),
    Lose(prop::sample::Index),
    Wait(i64),
    /// Somebody looks at the session: the next look (or one that was counted), what it finds, what
    /// may be held at most, when the next is due, in minutes.
    Look {
        is_repeat: bool,
        expected: Option<i64>,
        most: Option<i64>,
        next: Option<i64>,
    },
    Expect(i64),
    Price,
    DriverPays,
    DriverAsksForLink,
    DriverPaysAgain,
    Forgive(Forgiven),
    Refund(i64),
    /// A person has one that failed tried again.
    RefundAgain(prop::sample::Index),
    /// One that was made at Stripe is credited.
    Credit(prop::sample::Index),
    /// A person says that one was made at Stripe in the place of one that failed.
    StandIn(prop::sample::Index, prop::sample::Index),
    Dispute(prop::sample::Index),
    DisputeEnds(prop::sample::Index, bool),
    DisputeTurns(prop::sample::Index),
    RefundFails(prop::sample::Index),
    /// Somebody releases a hold in Stripe's dashboard.
    Release,
    /// Somebody captures one there.
    CaptureElsewhere(prop::sample::Index, i64),
    /// Somebody gives money back there.
    RefundElsewhere(prop::sample::Index, i64),
    /// The next call is answered with what no repeat can help.
    Stick,
    Resume,
}

fn event() -> impl Strategy<Value = Event> {
    let pick = any::<prop::sample::Index>;
    let pass = prop_oneof![
        1 => Just(Pass::DiesBeforeTheCall),
        1 => Just(Pass::DiesAfterTheCall),
        3 => Just(Pass::Completes),
    ];
    prop_oneof![
        12 => (pass, mood()).prop_map(|(pass, mood)| Event::Work(pass, mood)),
        1 => pick().prop_map(Event::LateCall),
        3 => pick().prop_map(Event::Deliver),
        1 => pick().prop_map(Event::Repeat),
        1 => pick().prop_map(Event::Lose),
        2 => (1_i64..200).prop_map(Event::Wait),
        2 => (1_i64..15_000).prop_map(Event::Expect),
        2 => Just(Event::Price),
        2 => Just(Event::DriverPays),
        1 => Just(Event::DriverAsksForLink),
        1 => Just(Event::DriverPaysAgain),
        1 => prop_oneof![Just(Forgiven::Waived), Just(Forgiven::WrittenOff)]
            .prop_map(Event::Forgive),
        2 => (1_i64..8_000).prop_map(Event::Refund),
        1 => pick().prop_map(Event::RefundAgain),
        1 => pick().prop_map(Event::Credit),
        1 => (pick(), pick()).prop_map(|(made, failed)| Event::StandIn(made, failed)),
        1 => pick().prop_map(Event::Dispute),
        1 => (pick(), any::<bool>()).prop_map(|(pick, won)| Event::DisputeEnds(pick, won)),
        1 => pick().prop_map(Event::DisputeTurns),
        2 => pick().prop_map(Event::RefundFails),
        2 => Just(Event::Release),
        2 => (pick(), 1_i64..15_000).prop_map(|(pick, minor)| Event::CaptureElsewhere(pick, minor)),
        2 => (pick(), 1_i64..8_000).prop_map(|(pick, minor)| Event::RefundElsewhere(pick, minor)),
        1 => Just(Event::Stick),
        1 => Just(Event::Resume),
        3 => seen(),
    ]
}

fn seen() -> impl Strategy<Value = Event> {
    let amount = || prop::option::weighted(0.8, 1_i64..15_000);
    (prop::bool::weighted(0.2), amount(), prop::option::of(1_i64..12_000), amount()).prop_map(
        |(is_repeat, expected, most, next)| {
            let next = next.map(|next| next % 60 + 1);
            Event::Look { is_repeat, expected, most, next }
        },
    )
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        4 => Just(Mood::Pays),
        2 => Just(Mood::Declines),
        1 => Just(Mood::Authenticates),
        1 => Just(Mood::TooSmall),
    ]
}

fn policy() -> impl Strategy<Value = PaymentPolicy> {
    let beyond = prop_oneof![Just(Beyond::NewHold), Just(Beyond::Stop), Just(Beyond::GoOn)];
    let renew = prop::option::of((1_u32..48).prop_map(|hours| hours * 60));
    let retries = prop::collection::vec(1_u32..72, 0..4);
    (any::<bool>(), beyond, renew, 1_u32..5, retries, 0_u32..4).prop_map(
        |(raise, beyond, renew_before_minutes, holds_max, retry_after_hours, links_max)| {
            PaymentPolicy {
                raise,
                beyond,
                renew_before_minutes,
                holds_max,
                retry_after_hours,
                links_max,
                ..PaymentPolicy::default()
            }
        },
    )
}

/// The record in the store, Stripe, and what has happened between them.
struct World {
    stored: Payment,
    bank: Bank,
    total: Amount,
    calls: Vec<(Payment, Step)>,
    /// The answers that were seen, by step and outcome.
    seen: BTreeSet<String>,
    /// The changes of state that were seen: from, to, by what.
    edges: BTreeSet<diagram::Edge>,
    /// When the charger was last told to stop.
    stopped_at: Option<DateTime<Utc>>,
    /// What people decided to give back, each of it once.
    decided: i64,
}

fn surplus(payment: &Payment) -> i64 {
    payment.surplus.map_or(0, |surplus| surplus.minor)
}

/// How much surplus is given back, or about to be.
fn surplus_back(payment: &Payment) -> i64 {
    let back = payment.refunds.iter().filter(|refund| refund.state != RefundState::Failed);
    back.filter_map(|refund| refund.surplus).map(|surplus| surplus.minor).sum()
}

/// What of that is given back or about to be, is with the driver's bank, or waits for a person.
fn accounted_for(payment: &Payment) -> i64 {
    let minor = |amount: Option<Amount>| amount.map_or(0, |amount| amount.minor);
    let of = |refund: &super::Refund| match refund.state {
        RefundState::Failed => refund.still_owed().minor + minor(refund.charged_back),
        _ if refund.by != RefundBy::Stripe || refund.credited => refund.amount.minor,
        _ => minor(refund.surplus) + minor(refund.in_place),
    };
    payment.refunds.iter().map(of).sum()
}

/// Where the first hold comes from.
#[derive(Debug, Clone, Copy)]
enum Begin {
    /// It is asked for when the session has begun.
    Session,
    /// The app has placed it before.
    App,
    /// A card was presented to a reader.
    Reader,
}

impl World {
    fn new(
        policy: PaymentPolicy,
        begin: Begin,
        wanted: i64,
        total: i64,
        terms: (bool, i64),
    ) -> Self {
        let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
        let (raisable, over_percent) = terms;
        let mut bank = Bank::new(noon(), raisable, over_percent, total);
        let mut placed = || HoldRef::plain(bank.placed_before(wanted), eur(wanted));
        let stored = match begin {
            _ if wanted == 0 => Payment::new(session, saved("pm_1"), eur(0), policy),
            Begin::Session => Payment::new(session, saved("pm_1"), eur(wanted), policy),
            Begin::App => Payment::with_placed_hold(session, saved("pm_1"), placed(), policy),
            Begin::Reader => Payment::with_placed_hold(session, Card::Present, placed(), policy),
        };
        let edges = BTreeSet::from([diagram::first(&stored)]);
        let (calls, seen) = (Vec::new(), BTreeSet::new());
        let (total, stopped_at, decided) = (eur(total), None, 0);
        Self { stored, bank, total, calls, seen, edges, stopped_at, decided }
    }

    /// Writes and reads back, and checks what must hold of every record that is stored.
    fn store(&mut self, payment: &Payment, why: &str) {
        self.edges.extend(diagram::edge(&self.stored, payment, why));
        let text = serde_json::to_string(payment).unwrap();
        self.stored = serde_json::from_str(&text).unwrap();
        assert_eq!(self.stored, *payment);
        let Payment { captured, owed, waived, written_off, .. } = payment;
        if payment.total.is_some() {
            let minor = [captured, owed, waived, written_off].map(|amount| amount.minor);
            assert!(minor.iter().all(|minor| *minor >= 0), "{payment:?}");
            let surplus = surplus(payment);
            assert!(surplus == 0 || owed.is_zero(), "{payment:?}");
            assert_eq!(minor.iter().sum::<i64>() - surplus, self.total.minor, "{payment:?}");
        }
        assert!(captured.minor <= self.bank.taken(), "we book what nobody took: {payment:?}");
        for taken in &payment.taken {
            // Of one that was made at Stripe news may come before that of one that failed.
            let live =
                |r: &&super::Refund| r.state != RefundState::Failed && r.by != RefundBy::Stripe;
            let back = payment.refunds.iter().filter(live);
            let back = back.filter(|refund| refund.payment_intent == taken.payment_intent);
            assert!(back.map(|refund| refund.amount.minor).sum::<i64>() <= taken.amount.minor);
        }
        let wished = payment.refunds.iter().filter(|refund| refund.by == RefundBy::Surplus);
        assert!(wished.map(|refund| refund.amount.minor).sum::<i64>() <= surplus(payment));
        assert!(surplus_back(payment) <= surplus(payment), "given back twice: {payment:?}");
        for taken in &payment.taken {
            let of_it = |id: &StripePaymentIntentId| *id == taken.payment_intent;
            let disputes = payment.disputes.iter().filter(|it| of_it(&it.payment_intent));
            let lost = disputes.map(|dispute| dispute.lost().minor).sum::<i64>();
            let settled = payment.refunds.iter().filter(|it| of_it(&it.payment_intent));
            let settled = settled.filter_map(|refund| refund.charged_back);
            assert!(settled.map(|part| part.minor).sum::<i64>() <= lost, "{payment:?}");
        }
        let (due, accounted) = (self.due(), accounted_for(payment));
        assert!(accounted <= due, "given back twice, {accounted} of {due}: {payment:?}");
        let open = payment.links.iter().filter(|link| link.state == LinkState::Open);
        assert!(open.count() <= 1);
    }

    /// What is the driver's in all: what was too much, what people decided to give back, and what
    /// others gave back at Stripe and is credited.
    fn due(&self) -> i64 {
        let credited = self.stored.refunds.iter().filter(|refund| refund.credited);
        let credited = credited.filter_map(super::Refund::takes_back);
        let credited = credited.map(|part| part.minor).sum::<i64>();
        surplus(&self.stored) + self.decided + credited
    }

    fn work(&mut self, pass: Pass, mood: Mood) {
        let now = self.bank.now;
        let Some((requested, step)) = request(self.stored.clone(), now) else {
            return;
        };
        self.store(&requested, "an intention");
        if matches!(pass, Pass::DiesBeforeTheCall) {
            return;
        }
        self.calls.push((requested.clone(), step));
        let outcome = self.bank.call(&requested, step, mood);
        if matches!(pass, Pass::DiesAfterTheCall) {
            return;
        }
        let name = |debug: String| debug.split([' ', '(']).next().unwrap().to_owned();
        let answer = name(format!("{outcome:?}"));
        self.seen.insert(format!("{} {answer}", name(format!("{step:?}"))));
        let why = diagram::answer(&step, &outcome);
        let answered = self.settled(&apply(requested, &step, outcome, now).unwrap());
        self.store(&answered, &why);
    }

    /// What goes with every change that is stored: the next look, and whether to stop.
    fn settled(&mut self, payment: &Payment) -> Payment {
        let now = self.bank.now;
        let settled = stop_if_uncovered(watched(payment.clone(), now), now);
        if settled.stops > payment.stops {
            assert!(payment.total.is_none() && must_stop(payment, now), "{payment:?}");
            let since = self.stopped_at.map(|at| now - at);
            assert!(since.is_none_or(|since| since >= TimeDelta::minutes(10)), "{payment:?}");
            self.stopped_at = Some(now);
            self.seen.insert(format!("seen: told to stop {}", settled.stops.min(2)));
        }
        assert_eq!(settled, stop_if_uncovered(watched(settled.clone(), now), now), "repeated");
        settled
    }

    /// A look at the running session.
    fn look(&mut self, look: Look) {
        let before = self.stored.clone();
        let after = money_look(before.clone(), look);
        if after.looks > before.looks {
            self.seen.insert("seen: a look".to_owned());
        }
        assert_eq!(money_look(after.clone(), look), after, "a look counts once");
        assert!(after.wanted.minor >= before.wanted.minor, "what is wanted only grows");
        let after = self.settled(&after);
        self.store(&after, "growth");
    }

    /// The next call fails, and would again.
    fn sticks(&mut self) {
        if let Some((requested, _)) = request(self.stored.clone(), self.bank.now) {
            let why = StuckWhy::Unexpected { status: "processing".to_owned() };
            let stuck = self.settled(&give_up_on(requested, why, self.bank.now));
            assert_eq!(next_step(&stuck, self.bank.now), None);
            self.store(&stuck, "a failure for good");
        }
    }

    /// A change that people want; what is refused changes nothing.
    fn want(&mut self, why: &str, change: impl FnOnce(Payment) -> Result<Payment, MoneyError>) {
        match change(self.stored.clone()) {
            Ok(changed) => self.store(&changed, why),
            Err(
                MoneyError::OutOfStep { .. }
                | MoneyError::InProgress { .. }
                | MoneyError::RefundTooLarge { .. },
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn deliver(&mut self, pick: prop::sample::Index, is_repeated: bool) {
        if self.bank.news.is_empty() {
            return;
        }
        let index = pick.index(self.bank.news.len());
        let news = self.bank.news[index].clone();
        if !is_repeated {
            self.bank.news.remove(index);
        }
        self.want(diagram::told(&news), |payment| learn(payment, news.clone()));
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Work(pass, mood) => self.work(pass, mood),
            Event::LateCall(pick) if !self.calls.is_empty() => {
                let (payment, step) = self.calls[pick.index(self.calls.len())].clone();
                self.bank.repeat(&payment, step);
            }
            Event::Deliver(pick) => self.deliver(pick, false),
            Event::Repeat(pick) => self.deliver(pick, true),
            Event::Lose(pick) if !self.bank.news.is_empty() => {
                self.bank.news.remove(pick.index(self.bank.news.len()));
            }
            Event::LateCall(_) | Event::Lose(_) => {}
            Event::Look { is_repeat, expected, most, next } => {
                let number = self.stored.looks + u32::from(!is_repeat);
                let next_at = next.map(|minutes| self.bank.now + TimeDelta::minutes(minutes));
                let (expected, most) = (expected.map(eur), most.map(eur));
                self.look(Look { number, expected, most, next_at });
            }
            Event::Wait(hours) => self.bank.wait_until(self.bank.now + TimeDelta::hours(hours)),
            Event::Expect(minor) => self.want("growth", |payment| Ok(expect(payment, eur(minor)))),
            Event::Price => {
                let total = self.total;
                self.want("price", |payment| payment.with_total(total));
            }
            // The driver knows only of a page that we have shown.
            Event::DriverPays => {
                if let Some(shown) = self.stored.links.last() {
                    self.bank.driver_pays(&shown.id, shown.number);
                }
            }
            Event::DriverAsksForLink => self.want("the driver asks for a page", offer_link),
            Event::DriverPaysAgain => {
                self.want("the driver pays again", |p| collect_again(p, saved("pm_2")));
            }
            Event::Forgive(how) => self.want(diagram::FORGIVEN, |p| forgive(p, how)),
            Event::Refund(minor) => {
                let wanted = |payment| refund(payment, eur(minor), "because", &[1]);
                if wanted(self.stored.clone()).is_ok() {
                    self.decided += minor;
                }
                self.want("a refund is wanted", wanted);
            }
            Event::RefundAgain(pick) => self.refund_again(pick),
            Event::Credit(pick) => {
                if let Some(made) = self.refund_that(pick, |refund| refund.made_of_sale().is_some())
                {
                    self.want("it is credited", |payment| credit_made(payment, made));
                }
            }
            Event::StandIn(made, failed) => self.stand_in(made, failed),
            Event::Dispute(pick) => self.bank.dispute(pick),
            Event::DisputeEnds(pick, won) => self.bank.dispute_ends(pick, won),
            Event::DisputeTurns(pick) => self.bank.dispute_turns(pick),
            Event::RefundFails(pick) => self.bank.refund_fails(pick),
            Event::Release => self.bank.release(),
            Event::CaptureElsewhere(pick, minor) => self.bank.capture_elsewhere(pick, minor),
            Event::RefundElsewhere(pick, minor) => self.bank.refund_elsewhere(pick, minor),
            Event::Stick => self.sticks(),
            Event::Resume => self.want("a person", |payment| Ok(resume(payment))),
        }
    }

    /// The number of one of the refunds that are so.
    fn refund_that(
        &self,
        pick: prop::sample::Index,
        is_so: impl Fn(&super::Refund) -> bool,
    ) -> Option<u32> {
        let are_so: Vec<_> = self.stored.refunds.iter().filter(|refund| is_so(refund)).collect();
        let last = are_so.len().checked_sub(1)?;
        Some(are_so[pick.index(last + 1)].number)
    }

    fn refund_again(&mut self, pick: prop::sample::Index) {
        let has_failed = |refund: &super::Refund| refund.state == RefundState::Failed;
        let Some(number) = self.refund_that(pick, has_failed) else { return };
        let known = self.stored.refunds.len();
        self.want("a refund is wanted", |payment| refund_again(payment, number));
        let failed = self.stored.refunds.iter().find(|refund| refund.number == number);
        let is_theirs = failed.is_some_and(|failed| failed.by == RefundBy::Stripe);
        for again in self.stored.refunds.iter().skip(known) {
            let of_surplus = again.surplus.map_or(0, |surplus| surplus.minor);
            let what = match is_theirs {
                true if of_surplus > 0 => "a surplus that failed at Stripe",
                true => "a part of the sale that failed at Stripe",
                false => "a refund",
            };
            self.seen.insert(format!("seen: {what} tried again"));
        }
    }

    fn stand_in(&mut self, made: prop::sample::Index, failed: prop::sample::Index) {
        let is_made = |refund: &super::Refund| refund.made_of_sale().is_some();
        let is_owed = |refund: &super::Refund| !refund.still_owed().is_zero();
        let made = self.refund_that(made, is_made);
        let Some((made, failed)) = made.zip(self.refund_that(failed, is_owed)) else { return };
        self.want("it is in place of another", |payment| stand_in(payment, made, failed));
        if self.stored.refunds.iter().any(|refund| refund.in_place.is_some()) {
            self.seen.insert("seen: a refund made at Stripe in place of another".to_owned());
        }
    }

    /// Everything is through that can be: workers live, all other news is lost, time passes.
    fn ends(&mut self, mood: Mood) {
        let total = self.total;
        self.want("price", |payment| payment.with_total(total));
        self.want("a person", |payment| Ok(resume(payment)));
        for _ in 0..200 {
            if next_step(&self.stored, self.bank.now).is_some() {
                self.work(Pass::Completes, mood);
                continue;
            }
            let Some(at) = look_again_at(&self.stored, self.bank.now) else { return };
            assert!(at > self.bank.now, "nothing to do at {at}: {:?}", self.stored);
            self.bank.wait_until(at);
        }
        panic!("it never ends: {:?}", self.stored);
    }
}

/// A walk: the policy, where the first hold comes from, what is wanted held, the price, whether
/// holds can be raised and by how many percent exceeded, what happens, and how the issuer is at the
/// end.
type Walk = (PaymentPolicy, Begin, i64, i64, (bool, i64), Vec<Event>, Mood);

fn walk() -> impl Strategy<Value = Walk> {
    (
        policy(),
        prop_oneof![3 => Just(Begin::Session), 1 => Just(Begin::App), 2 => Just(Begin::Reader)],
        prop_oneof![1 => Just(0_i64), 5 => 1_i64..10_000],
        prop_oneof![1 => Just(0_i64), 3 => 1_i64..20_000],
        (any::<bool>(), prop_oneof![Just(0_i64), Just(15), Just(100)]),
        prop::collection::vec(event(), 0..90),
        mood(),
    )
}

fn walked((policy, begin, wanted, total, terms, events, last_mood): Walk) -> World {
    let mut world = World::new(policy, begin, wanted, total, terms);
    for event in events {
        world.happens(event);
    }
    world.ends(last_mood);
    world
}

/// What must hold at the end.
fn closes(world: &World) {
    let payment = &world.stored;
    assert!(payment.is_settled(), "{payment:?}");
    assert!(payment.open_link().is_none(), "{payment:?}");
    let sums = [payment.captured, payment.owed, payment.waived, payment.written_off];
    let sum = sums.iter().map(|sum| sum.minor).sum::<i64>();
    assert_eq!(sum - surplus(payment), world.total.minor);
    // What is too much goes back as far as it is there.
    let wished = payment.refunds.iter().map(super::Refund::surplus_less_again).sum::<i64>();
    let unwished = surplus(payment) - wished;
    assert!(unwished == 0 || payment.refundable().unwrap().is_zero(), "{payment:?}");
    let accounted = accounted_for(payment) + unwished;
    assert_eq!(accounted, world.due(), "what is the driver's is lost: {payment:?}");
    for number in world.bank.refunded() {
        let known = payment.refunds.iter().find(|refund| refund.number == number);
        let stands = known.is_some_and(|refund| refund.state != RefundState::Failed);
        assert!(stands, "refund {number} stands at Stripe: {payment:?}");
    }
    assert_eq!(payment.captured.minor, world.bank.taken(), "{payment:?}");
    assert_eq!(world.bank.open_holds(), 0, "a hold is left open: {payment:?}");
    assert_eq!(world.bank.open_links(), 0, "a page is left open: {payment:?}");
    world.bank.audit();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_session_is_paid_owed_or_forgiven_exactly_once(walk in walk()) {
        closes(&walked(walk));
    }
}

/// As many walks of as many parties as it takes to see every rare way.
const WALKS: usize = 8_000;
const PARTIES: u8 = 2;

/// Every answer that a step can have.
const ANSWERS: [&str; 30] = [
    "CancelHold Canceled",
    "CancelHold Captured",
    "Capture Captured",
    "Capture HoldLost",
    "Capture Refused",
    "ChargeDifference Charged",
    "ChargeDifference Refused",
    "ExpirePayLink LinkExpired",
    "ExpirePayLink LinkPaid",
    "MakePayLink LinkMade",
    "MakePayLink Refused",
    "PlaceHold Held",
    "PlaceHold Refused",
    "RaiseHold Captured",
    "RaiseHold HoldLost",
    "RaiseHold Raised",
    "RaiseHold Refused",
    "Refund Refunded",
    "Refund Refused",
    "seen: a dispute",
    "seen: a look",
    "seen: a part of the sale that failed at Stripe tried again",
    "seen: a refund made at Stripe",
    "seen: a refund made at Stripe in place of another",
    "seen: a refund tried again",
    "seen: a second hold",
    "seen: a surplus",
    "seen: a surplus that failed at Stripe tried again",
    "seen: told to stop 1",
    "seen: told to stop 2",
];

#[test]
fn the_walks_come_everywhere() {
    let (seen, edges) = thread::scope(|scope| {
        let parties: Vec<_> =
            (1..=PARTIES).map(|party| scope.spawn(move || sights(party))).collect();
        let sights = parties.into_iter().map(|party| party.join().unwrap());
        sights.reduce(|(seen, edges), (more, others)| (&seen | &more, &edges | &others)).unwrap()
    });
    assert_eq!(seen, ANSWERS.map(str::to_owned).into());
    diagram::must_be(&edges);
}

/// What one party sees on its walks, which close as they must.
fn sights(party: u8) -> (BTreeSet<String>, BTreeSet<diagram::Edge>) {
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &[party; 16]);
    let (walks, mut runner) = (walk(), TestRunner::new_with_rng(Config::default(), rng));
    let (mut seen, mut edges) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..WALKS {
        let mut world = walked(walks.new_tree(&mut runner).unwrap().current());
        closes(&world);
        seen.append(&mut world.seen);
        edges.append(&mut world.edges);
        if world.stored.holds_asked > 1 {
            seen.insert("seen: a second hold".to_owned());
        }
        if !world.stored.disputes.is_empty() {
            seen.insert("seen: a dispute".to_owned());
        }
        if world.stored.surplus.is_some() {
            seen.insert("seen: a surplus".to_owned());
        }
        let of_sale = world.stored.refunds.iter().filter_map(super::Refund::made_of_sale);
        if of_sale.count() > 0 {
            seen.insert("seen: a refund made at Stripe".to_owned());
        }
    }
    (seen, edges)
}
