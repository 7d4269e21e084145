//! Refunds and disputes of one payment, in any order: the books close on what the driver got.
//!
//! The bank withdraws what is left, wins or loses it, and turns a verdict; refunds are decided,
//! asked for, refused while the bank has the money, fail later, and are tried again. What Stripe
//! tells comes late, twice and in any order; in the end all of it is known.

use std::collections::BTreeSet;

use ledger::Account;
use messages::Envelope;
use payments::{
    Refusal,
    money::{Refund, credit_made, refund_again, request, stand_in},
};
use proptest::prelude::*;

use super::*;

const TAKEN: i64 = 1000;

#[derive(Debug, Clone, Copy)]
enum Turn {
    Decide(i64),
    Again(prop::sample::Index),
    /// A worker asks Stripe for the next refund.
    Ask,
    RefundFails(prop::sample::Index),
    /// Somebody gives so much back at Stripe.
    Elsewhere(i64),
    /// That is credited.
    Credit(prop::sample::Index),
    /// It was made in the place of one that failed.
    StandIn(prop::sample::Index, prop::sample::Index),
    Disputes,
    /// The dispute that stands is decided, or its verdict turns.
    Verdict {
        won: bool,
    },
    Charges,
    Hear(prop::sample::Index),
}

fn turn() -> impl Strategy<Value = Turn> {
    let pick = any::<prop::sample::Index>;
    prop_oneof![
        2 => (1..=TAKEN).prop_map(Turn::Decide),
        1 => Just(Turn::Decide(TAKEN)),
        2 => pick().prop_map(Turn::Again),
        3 => Just(Turn::Ask),
        1 => pick().prop_map(Turn::RefundFails),
        1 => (1..=TAKEN).prop_map(Turn::Elsewhere),
        1 => pick().prop_map(Turn::Credit),
        1 => (pick(), pick()).prop_map(|(made, failed)| Turn::StandIn(made, failed)),
        2 => Just(Turn::Disputes),
        3 => any::<bool>().prop_map(|won| Turn::Verdict { won }),
        1 => Just(Turn::Charges),
        4 => pick().prop_map(Turn::Hear),
    ]
}

/// Stripe and the bank, what is known here, and what was booked.
struct World {
    payment: Payment,
    entries: Vec<JournalEntry>,
    ids: BTreeSet<String>,
    credited: i64,
    /// Refunds at Stripe that stand: ours by number, those of others without, and how much.
    refunds: Vec<(Option<u32>, String, i64)>,
    /// How many others made.
    theirs: u32,
    dispute: Option<Dispute>,
    news: Vec<News>,
    hour: i64,
}

impl World {
    fn new() -> Self {
        let payment = paid();
        let capture = JournalEntry::capture("capture".to_owned(), at(0), eur(TAKEN)).unwrap();
        let (entries, ids) = (vec![capture], BTreeSet::new());
        let (refunds, news) = (Vec::new(), Vec::new());
        let (credited, theirs, dispute, hour) = (0, 0, None, 0);
        Self { payment, entries, ids, credited, refunds, theirs, dispute, news, hour }
    }

    /// Stores, tells and books, each event once.
    fn store(&mut self, next: Payment) {
        for event in told(Some(&self.payment), &next, at(self.hour)).unwrap() {
            let envelope = Envelope::new(event, at(self.hour), None);
            assert!(self.ids.insert(envelope.id.clone()), "told twice: {}", envelope.id);
            self.entries.extend(envelope.event.journal().cloned());
        }
        let ids: BTreeSet<_> = self.entries.iter().map(JournalEntry::id).collect();
        assert_eq!(ids.len(), self.entries.len(), "booked twice");
        self.payment = next;
    }

    fn with_the_bank(&self) -> i64 {
        self.dispute.as_ref().map_or(0, |dispute| dispute.with_the_bank().minor)
    }

    fn given_back(&self) -> i64 {
        self.refunds.iter().map(|(.., minor)| minor).sum()
    }

    fn happens(&mut self, turn: Turn) {
        self.hour += 1;
        match turn {
            Turn::Decide(minor) => {
                if let Ok(next) = refund(self.payment.clone(), eur(minor), "slow", &[]) {
                    self.credited += minor;
                    self.store(next);
                }
            }
            Turn::Again(pick) => {
                if let Ok(next) = refund_again(self.payment.clone(), self.number(pick)) {
                    self.store(next);
                }
            }
            Turn::Ask => self.ask(),
            Turn::RefundFails(pick) => {
                if !self.refunds.is_empty() {
                    let failed = self.refunds.remove(pick.index(self.refunds.len()));
                    self.news.push(told_of(&failed, RefundState::Failed));
                }
            }
            Turn::Elsewhere(minor) => {
                if minor <= TAKEN - self.given_back() && self.with_the_bank() == 0 {
                    self.theirs += 1;
                    let made = (None, format!("re_theirs_{}", self.theirs), minor);
                    self.news.push(told_of(&made, RefundState::Succeeded));
                    self.refunds.push(made);
                }
            }
            Turn::Credit(pick) => {
                let number = self.number(pick);
                let known = self.payment.refunds.iter().find(|refund| refund.number == number);
                let is_new = known.is_some_and(|refund| !refund.credited);
                if let (true, Ok(next)) = (is_new, credit_made(self.payment.clone(), number)) {
                    let made = known.and_then(Refund::made_of_sale).unwrap();
                    self.credited += made.minor;
                    self.store(next);
                }
            }
            Turn::StandIn(made, failed) => {
                let (made, failed) = (self.number(made), self.number(failed));
                if let Ok(next) = stand_in(self.payment.clone(), made, failed) {
                    self.store(next);
                }
            }
            Turn::Disputes => self.disputes(),
            Turn::Verdict { won } => self.verdict(won),
            Turn::Charges => {
                if let Some(dispute) = &mut self.dispute {
                    let fee = dispute.fee.map_or(0, |fee| fee.minor);
                    dispute.fee = Some(eur(fee + 1500));
                    self.tell();
                }
            }
            Turn::Hear(pick) => {
                if !self.news.is_empty() {
                    let news = self.news[pick.index(self.news.len())].clone();
                    self.hear(news);
                }
            }
        }
    }

    fn number(&self, pick: prop::sample::Index) -> u32 {
        u32::try_from(pick.index(self.payment.refunds.len() + 1)).unwrap()
    }

    /// What others gave back of the sale and nobody has credited.
    fn uncredited(&self) -> i64 {
        let theirs = self.payment.refunds.iter().filter(|refund| !refund.credited);
        theirs.filter_map(Refund::made_of_sale).map(|part| part.minor).sum()
    }

    fn hear(&mut self, news: News) {
        let next = learn(self.payment.clone(), news).unwrap();
        self.store(next);
    }

    fn ask(&mut self) {
        let Some((asked, step)) = request(self.payment.clone(), at(self.hour)) else { return };
        let payments::money::Step::Refund { number } = step else { panic!("{step:?}") };
        let minor = asked.refunds.iter().find(|it| it.number == number).unwrap().amount.minor;
        let left = TAKEN - self.given_back() - self.with_the_bank();
        let outcome = if self.with_the_bank() > 0 || minor > left {
            let code = "charge_disputed".to_owned();
            Outcome::Refused { refusal: Refusal { code, decline_code: None } }
        } else {
            let id = format!("re_{number}");
            self.refunds.push((Some(number), id.clone(), minor));
            Outcome::Refunded { id, state: RefundState::Pending }
        };
        self.store(asked.clone());
        self.store(apply(asked, &step, outcome, at(self.hour)).unwrap());
    }

    /// The bank withdraws what is left; once more, if it gave it back before.
    fn disputes(&mut self) {
        let left = TAKEN - self.given_back() - self.with_the_bank();
        if left == 0 || self.with_the_bank() > 0 {
            return;
        }
        let first = Dispute { amount: eur(left), ..dispute("needs_response", self.hour) };
        let dispute = self.dispute.get_or_insert(first);
        dispute.withdrawn = eur(dispute.withdrawn.minor + left);
        "needs_response".clone_into(&mut dispute.status);
        self.tell();
    }

    fn verdict(&mut self, won: bool) {
        let held = self.with_the_bank();
        let Some(dispute) = self.dispute.as_mut().filter(|_| held > 0) else { return };
        if won {
            // What was lost comes back and is called lost all the same.
            let status = if dispute.status == "lost" { "lost" } else { "won" };
            status.clone_into(&mut dispute.status);
            dispute.reinstated = dispute.withdrawn;
            dispute.fee_returned = dispute.fee;
        } else {
            "lost".clone_into(&mut dispute.status);
        }
        self.tell();
    }

    fn tell(&mut self) {
        let hour = at(self.hour);
        let dispute = self.dispute.as_mut().unwrap();
        dispute.as_of = hour;
        self.news.push(News::Dispute(dispute.clone()));
    }

    fn ends(&mut self) {
        if self.dispute.as_ref().is_some_and(|dispute| !dispute.is_closed()) {
            self.hour += 1;
            self.verdict(false);
        }
        for news in self.news.clone() {
            self.hear(news);
        }
        while self.payment.refunds.iter().any(|refund| refund.state == RefundState::Wanted) {
            self.ask();
        }
    }

    fn net(&self, account: Account) -> i64 {
        self.entries.iter().map(|entry| entry.net_minor(account)).sum()
    }
}

fn told_of((number, id, minor): &(Option<u32>, String, i64), state: RefundState) -> News {
    let (number, id, payment_intent) = (*number, id.clone(), intent());
    News::Refund { number, id, payment_intent, amount: eur(*minor), state }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_the_driver_got_is_what_was_credited_and_what_was_lost(
        turns in prop::collection::vec(turn(), 0..25)
    ) {
        let mut world = World::new();
        for turn in turns {
            world.happens(turn);
        }
        world.ends();
        let got = world.given_back() + world.with_the_bank();
        let still_owed = world.payment.refunds.iter().map(|it| it.still_owed().minor).sum::<i64>();
        let fee = world.dispute.as_ref().and_then(Dispute::fee_left).map_or(0, |fee| fee.minor);
        // The credit notes are issued elsewhere.
        let credited = world.credited + world.uncredited();
        prop_assert_eq!(credited - world.net(Account::RefundsPayable), still_owed);
        prop_assert_eq!(world.net(Account::DisputedFunds), 0);
        prop_assert_eq!(world.net(Account::DisputeFees), fee);
        prop_assert_eq!(world.net(Account::StripeClearing), TAKEN - got - fee);
        let lost = world.net(Account::ChargebackLosses);
        prop_assert!(lost >= 0);
        prop_assert_eq!(got + still_owed, credited + lost);
    }
}

/// A full refund that the dispute overtook.
fn overtaken() -> World {
    let mut world = World::new();
    for turn in [Turn::Decide(TAKEN), Turn::Disputes] {
        world.happens(turn);
    }
    world.hear(world.news[0].clone());
    assert_eq!(world.payment.refunds[0].still_owed(), eur(TAKEN));
    world
}

#[test]
fn a_refund_that_a_lost_dispute_overtook_is_settled_by_it() {
    let mut world = overtaken();
    world.happens(Turn::Verdict { won: false });
    world.ends();
    assert_eq!(world.net(Account::ChargebackLosses), 0);
    assert_eq!(world.net(Account::RefundsPayable), TAKEN);
    assert!(world.payment.refunds[0].still_owed().is_zero());
    assert!(refund_again(world.payment, 1).is_err(), "the driver has it");
}

#[test]
fn what_was_lost_and_comes_back_is_owed_again() {
    let mut world = overtaken();
    for turn in [Turn::Verdict { won: false }, Turn::Verdict { won: true }] {
        world.happens(turn);
    }
    world.ends();
    assert_eq!(world.net(Account::ChargebackLosses), 0);
    assert_eq!(world.net(Account::RefundsPayable), 0);
    let next = refund_again(world.payment.clone(), 1).unwrap();
    world.store(next);
    world.happens(Turn::Ask);
    assert_eq!((world.given_back(), world.net(Account::StripeClearing)), (TAKEN, 0));
}

#[test]
fn surplus_that_the_bank_took_for_good_is_not_given_back_again() {
    let mut world = World::new();
    let payment_intent = StripePaymentIntentId("pi_2".to_owned());
    let dispute = Dispute {
        payment_intent: payment_intent.clone(),
        amount: eur(250),
        withdrawn: eur(250),
        ..dispute("lost", 1)
    };
    world.hear(News::Dispute(dispute));
    let purpose = String::new();
    world.hear(News::Taken { payment_intent, amount: eur(250), purpose });
    assert_eq!(world.payment.surplus_left(), None);
    assert_eq!(world.net(Account::RefundsPayable), 0);
    assert_eq!(world.net(Account::ChargebackLosses), 0);
    assert!(request(world.payment, at(2)).is_none());
}

#[test]
fn surplus_that_fails_at_stripe_is_booked_back_and_given_back_once() {
    let mut world = World::new();
    let payment_intent = StripePaymentIntentId("pi_2".to_owned());
    let purpose = String::new();
    let taken = payment_intent.clone();
    world.hear(News::Taken { payment_intent: taken, amount: eur(250), purpose });
    let made = |state| {
        let (id, payment_intent) = ("re_9".to_owned(), payment_intent.clone());
        News::Refund { number: None, id, payment_intent, amount: eur(250), state }
    };
    world.hear(made(RefundState::Succeeded));
    assert_eq!(world.net(Account::RefundsPayable), 0);
    world.hear(made(RefundState::Failed));
    assert_eq!(world.net(Account::RefundsPayable), -250);
    assert!(request(world.payment.clone(), at(8)).is_none(), "a person decides");
    let next = refund_again(world.payment.clone(), 2).unwrap();
    world.store(next);
    world.happens(Turn::Ask);
    assert_eq!((world.given_back(), world.net(Account::RefundsPayable)), (250, 0));
    // The capture of the 2.50 is told elsewhere.
    assert_eq!(world.net(Account::StripeClearing), TAKEN - 250);
    world.hear(made(RefundState::Failed));
    assert!(request(world.payment, at(9)).is_none());
}

#[test]
fn what_failed_at_stripe_before_it_was_credited_is_no_part_of_what_the_bank_took() {
    let mut world = World::new();
    let payment_intent = world.payment.taken[0].payment_intent.clone();
    for state in [RefundState::Succeeded, RefundState::Failed] {
        let (id, payment_intent) = ("re_9".to_owned(), payment_intent.clone());
        world.hear(News::Refund { number: None, id, payment_intent, amount: eur(400), state });
    }
    for turn in [Turn::Disputes, Turn::Verdict { won: false }] {
        world.happens(turn);
    }
    world.ends();
    assert_eq!(world.net(Account::RefundsPayable), 0);
    assert_eq!(world.net(Account::ChargebackLosses), TAKEN);
}
