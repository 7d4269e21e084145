//! Stripe and the issuer behind it, as far as a payment sees them: written from Stripe's documents
//! and not from our record, and strict.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use network::StripePaymentIntentId;

use super::{
    super::{Dispute, HoldTerms, News, Outcome, Payment, RefundState, Step},
    eur,
};
use crate::Refusal;

/// What the issuer says to the next call that asks for money.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mood {
    Pays,
    Declines,
    Authenticates,
    TooSmall,
}

impl Mood {
    fn refusal(self, is_charge: bool) -> Option<Outcome> {
        let code = match self {
            Self::Declines => "card_declined",
            Self::Authenticates if is_charge => "authentication_required",
            Self::TooSmall => "amount_too_small",
            Self::Pays | Self::Authenticates => return None,
        };
        Some(refused(code))
    }
}

fn refused(code: &str) -> Outcome {
    Outcome::Refused { refusal: Refusal { code: code.to_owned(), decline_code: None } }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Held,
    Succeeded,
    Canceled,
}

#[derive(Debug)]
struct Intent {
    status: Status,
    is_hold: bool,
    amount: i64,
    capture_before: DateTime<Utc>,
    taken: i64,
    withdrawn: i64,
    dispute: Option<Dispute>,
}

#[derive(Debug)]
struct Link {
    amount: i64,
    expires_at: DateTime<Utc>,
    /// The intent it was paid by.
    paid: Option<usize>,
    is_open: bool,
}

#[derive(Debug)]
struct Back {
    intent: usize,
    /// Of ours, its number; none of one that somebody made at Stripe.
    number: Option<u32>,
    amount: i64,
    failed: bool,
}

/// The books of the bank.
pub(super) struct Bank {
    pub(super) now: DateTime<Utc>,
    pub(super) news: Vec<News>,
    raisable: bool,
    over_percent: i64,
    /// What the session costs: more must never be taken.
    total: i64,
    keys: HashMap<String, (String, Outcome)>,
    intents: Vec<Intent>,
    links: Vec<Link>,
    refunds: Vec<Back>,
}

fn intent_id(index: usize) -> StripePaymentIntentId {
    StripePaymentIntentId(format!("pi_{index}"))
}

fn index(id: &str) -> usize {
    id.split_once('_').unwrap().1.parse().unwrap()
}

impl Bank {
    pub(super) fn new(now: DateTime<Utc>, raisable: bool, over_percent: i64, total: i64) -> Self {
        Self {
            now,
            news: Vec::new(),
            raisable,
            over_percent,
            total,
            keys: HashMap::new(),
            intents: Vec::new(),
            links: Vec::new(),
            refunds: Vec::new(),
        }
    }

    /// One write. A key does its work once; with other parameters it is an error.
    pub(super) fn call(&mut self, payment: &Payment, step: Step, mood: Mood) -> Outcome {
        let key = step.idempotency_key(payment.session_id);
        let parameters = parameters(payment, step);
        if let Some((before, answer)) = self.keys.get(&key) {
            assert_eq!(*before, parameters, "{key} is used with other parameters");
            return answer.clone();
        }
        let before = self.taken();
        let answer = self.work(payment, step, mood);
        let more = self.taken() - before;
        assert!(more <= (self.total - before).max(0), "more is taken than is owed: {step:?}");
        if more > 0 {
            // What is taken at once is taken by what was made last, or by the capture of a hold.
            let taken = match step {
                Step::Capture { number, .. } => index(&hold(payment, number).0),
                _ => self.intents.len() - 1,
            };
            self.tell_taken(taken, step.purpose());
        }
        self.keys.insert(key, (parameters, answer.clone()));
        answer
    }

    /// A call that was made before, again.
    pub(super) fn repeat(&mut self, payment: &Payment, step: Step) {
        let known = self.keys.contains_key(&step.idempotency_key(payment.session_id));
        assert!(known, "a late call does something new: {step:?}");
        self.call(payment, step, Mood::Pays);
    }

    fn work(&mut self, payment: &Payment, step: Step, mood: Mood) -> Outcome {
        match step {
            Step::PlaceHold { amount, .. } => self.place(amount.minor, mood),
            Step::RaiseHold { number, amount, .. } => {
                let hold = index(&hold(payment, number).0);
                self.raise(hold, amount.minor, mood)
            }
            Step::Capture { number, amount, .. } => {
                let hold = index(&hold(payment, number).0);
                self.capture(hold, amount.minor, mood)
            }
            Step::CancelHold { number } => {
                let hold = &mut self.intents[index(&hold(payment, number).0)];
                if hold.status == Status::Succeeded {
                    return captured(hold);
                }
                hold.status = Status::Canceled;
                Outcome::Canceled
            }
            Step::ChargeDifference { amount, .. } => self.charge(amount.minor, mood),
            Step::MakePayLink { amount, .. } => self.make_link(amount.minor, mood),
            Step::ExpirePayLink { number } => {
                let link = payment.links.iter().find(|link| link.number == number).unwrap();
                let link = &mut self.links[index(&link.id)];
                link.is_open = false;
                match link.paid {
                    Some(intent) => Outcome::LinkPaid { payment_intent: intent_id(intent) },
                    None => Outcome::LinkExpired,
                }
            }
            Step::Refund { number } => {
                let refund = payment.refunds.iter().find(|r| r.number == number).unwrap();
                self.refund(number, index(&refund.payment_intent.0), refund.amount.minor)
            }
        }
    }

    fn place(&mut self, amount: i64, mood: Mood) -> Outcome {
        assert!(amount > 0);
        assert!(self.open_holds() <= 1, "a third hold while two are open");
        if let Some(refusal) = mood.refusal(true) {
            return refusal;
        }
        let payment_intent = intent_id(self.intents.len());
        self.intents.push(Intent {
            status: Status::Held,
            is_hold: true,
            amount,
            capture_before: self.now + TimeDelta::days(7),
            taken: 0,
            withdrawn: 0,
            dispute: None,
        });
        let terms = self.terms(self.intents.len() - 1);
        Outcome::Held { payment_intent, terms }
    }

    /// Money is held before the session begins.
    pub(super) fn placed_before(&mut self, amount: i64) -> StripePaymentIntentId {
        match self.place(amount, Mood::Pays) {
            Outcome::Held { payment_intent, .. } => payment_intent,
            refused => panic!("{refused:?}"),
        }
    }

    fn terms(&self, hold: usize) -> HoldTerms {
        let intent = &self.intents[hold];
        HoldTerms {
            amount: eur(intent.amount),
            most: eur(self.most(intent)),
            capture_before: Some(intent.capture_before),
            raisable: self.raisable,
        }
    }

    fn most(&self, hold: &Intent) -> i64 {
        hold.amount + hold.amount * self.over_percent / 100
    }

    fn raise(&mut self, hold: usize, amount: i64, mood: Mood) -> Outcome {
        let intent = &mut self.intents[hold];
        match intent.status {
            Status::Canceled => return Outcome::HoldLost,
            Status::Succeeded => return captured(intent),
            Status::Held => {}
        }
        assert!(self.raisable, "a hold is raised that cannot be");
        assert!(amount > intent.amount, "a hold is not raised");
        if let Some(refusal) = mood.refusal(false) {
            return refusal;
        }
        intent.amount = amount;
        Outcome::Raised { terms: self.terms(hold) }
    }

    fn capture(&mut self, hold: usize, amount: i64, mood: Mood) -> Outcome {
        let most = self.most(&self.intents[hold]);
        let captures = self.captures();
        let intent = &mut self.intents[hold];
        match intent.status {
            Status::Canceled => return Outcome::HoldLost,
            Status::Succeeded => return captured(intent),
            Status::Held => {}
        }
        assert_eq!(captures, 0, "a second capture");
        assert!(amount > 0 && amount <= most, "more is captured than can be");
        // A card may allow less above the hold than it said, and nothing below Stripe's minimum.
        match mood {
            Mood::Declines if amount > intent.amount => return refused("amount_too_large"),
            Mood::TooSmall => return refused("amount_too_small"),
            _ => {}
        }
        intent.status = Status::Succeeded;
        intent.taken = amount;
        captured(intent)
    }

    fn charge(&mut self, amount: i64, mood: Mood) -> Outcome {
        assert_eq!(self.open_links(), 0, "charged while the driver can pay on a page");
        assert_eq!(self.open_holds(), 0, "charged while money is held");
        match mood.refusal(true) {
            Some(refusal) => refusal,
            None => Outcome::Charged { payment_intent: intent_id(self.paid(amount)) },
        }
    }

    fn paid(&mut self, amount: i64) -> usize {
        assert!(amount > 0);
        self.intents.push(Intent {
            status: Status::Succeeded,
            is_hold: false,
            amount,
            capture_before: self.now,
            taken: amount,
            withdrawn: 0,
            dispute: None,
        });
        self.intents.len() - 1
    }

    fn make_link(&mut self, amount: i64, mood: Mood) -> Outcome {
        assert_eq!(self.open_links(), 0, "two pages to pay on");
        if matches!(mood, Mood::TooSmall) {
            return refused("amount_too_small");
        }
        let id = format!("cs_{}", self.links.len());
        let expires_at = self.now + TimeDelta::hours(24);
        self.links.push(Link { amount, expires_at, paid: None, is_open: true });
        Outcome::LinkMade { url: format!("https://pay/{id}"), id, expires_at }
    }

    fn refund(&mut self, number: u32, intent: usize, amount: i64) -> Outcome {
        let paid = &self.intents[intent];
        if paid.dispute.is_some() {
            return refused("charge_disputed");
        }
        if self.given_back(intent) + amount > paid.taken {
            let at_stripe = |back: &Back| back.intent == intent && back.number.is_none();
            assert!(self.refunds.iter().any(at_stripe), "over-refunded");
            return refused("amount_too_large");
        }
        assert!(amount > 0);
        self.refunds.push(Back { intent, number: Some(number), amount, failed: false });
        let id = format!("re_{}", self.refunds.len() - 1);
        Outcome::Refunded { id, state: RefundState::Pending }
    }

    /// The numbers of refunds of ours that stand.
    pub(super) fn refunded(&self) -> impl Iterator<Item = u32> + '_ {
        self.refunds.iter().filter(|back| !back.failed).filter_map(|back| back.number)
    }

    fn given_back(&self, intent: usize) -> i64 {
        let back = self.refunds.iter().filter(|back| back.intent == intent && !back.failed);
        back.map(|back| back.amount).sum()
    }

    pub(super) fn refund_fails(&mut self, pick: proptest::sample::Index) {
        let Some(last) = self.refunds.len().checked_sub(1) else { return };
        let chosen = pick.index(last + 1);
        let back = &mut self.refunds[chosen];
        back.failed = true;
        for state in [RefundState::Succeeded, RefundState::Failed] {
            self.tell_refund(chosen, state);
        }
    }

    fn tell_refund(&mut self, chosen: usize, state: RefundState) {
        let back = &self.refunds[chosen];
        let (payment_intent, id) = (intent_id(back.intent), format!("re_{chosen}"));
        let (number, amount) = (back.number, eur(back.amount));
        self.news.push(News::Refund { number, id, payment_intent, amount, state });
    }

    /// Somebody gives money back in Stripe's dashboard.
    pub(super) fn refund_elsewhere(&mut self, pick: proptest::sample::Index, minor: i64) {
        let Some(last) = self.intents.len().checked_sub(1) else { return };
        let intent = pick.index(last + 1);
        let amount = minor.min(self.intents[intent].taken - self.given_back(intent));
        if amount > 0 && self.intents[intent].dispute.is_none() {
            self.refunds.push(Back { intent, number: None, amount, failed: false });
            self.tell_refund(self.refunds.len() - 1, RefundState::Succeeded);
        }
    }

    /// Somebody captures a hold in Stripe's dashboard.
    pub(super) fn capture_elsewhere(&mut self, pick: proptest::sample::Index, minor: i64) {
        let is_held = |number: &usize| self.intents[*number].status == Status::Held;
        let capturable: Vec<_> = (0..self.intents.len()).filter(is_held).collect();
        let Some(last) = capturable.len().checked_sub(1) else { return };
        let hold = capturable[pick.index(last + 1)];
        let amount = minor.min(self.most(&self.intents[hold]));
        let intent = &mut self.intents[hold];
        intent.status = Status::Succeeded;
        intent.taken = amount;
        self.tell_taken(hold, "hold".to_owned());
    }

    fn tell_taken(&mut self, taken: usize, purpose: String) {
        let amount = eur(self.intents[taken].taken);
        self.news.push(News::Taken { payment_intent: intent_id(taken), amount, purpose });
    }

    pub(super) fn driver_pays(&mut self, link: &str, number: u32) {
        let chosen = index(link);
        if !self.links[chosen].is_open {
            return;
        }
        let intent = self.paid(self.links[chosen].amount);
        let link = &mut self.links[chosen];
        link.is_open = false;
        link.paid = Some(intent);
        let id = format!("cs_{chosen}");
        self.news.push(News::LinkPaid { id, payment_intent: intent_id(intent) });
        self.tell_taken(intent, format!("link/{number}"));
        assert!(self.taken() <= self.total, "the driver paid what was paid already");
    }

    /// A cardholder disputes what is left of a payment: the bank takes it at once.
    pub(super) fn dispute(&mut self, pick: proptest::sample::Index) {
        let Some(last) = self.intents.len().checked_sub(1) else { return };
        let chosen = pick.index(last + 1);
        let left = self.intents[chosen].taken - self.given_back(chosen);
        let intent = &mut self.intents[chosen];
        if left == 0 || intent.dispute.is_some() {
            return;
        }
        intent.withdrawn = left;
        let opened = Dispute {
            id: format!("du_{chosen}"),
            payment_intent: intent_id(chosen),
            amount: eur(left),
            reason: "fraudulent".to_owned(),
            status: "needs_response".to_owned(),
            due_by: Some(self.now + TimeDelta::days(9)),
            withdrawn: eur(0),
            reinstated: eur(0),
            fee: None,
            fee_returned: None,
            as_of: self.now,
        };
        let taken = Dispute { withdrawn: eur(left), ..opened.clone() };
        intent.dispute = Some(taken.clone());
        self.news.push(News::Dispute(taken));
        self.news.push(News::Dispute(opened));
    }

    pub(super) fn dispute_ends(&mut self, pick: proptest::sample::Index, won: bool) {
        let Some(last) = self.intents.len().checked_sub(1) else { return };
        let intent = &mut self.intents[pick.index(last + 1)];
        let Some(dispute) = intent.dispute.as_mut().filter(|d| !d.is_closed()) else { return };
        dispute.status = if won { "won" } else { "lost" }.to_owned();
        dispute.as_of = self.now;
        if won {
            dispute.reinstated = dispute.withdrawn;
            intent.withdrawn = 0;
        }
        self.news.push(News::Dispute(dispute.clone()));
    }

    /// What was decided turns: the bank gives back what it had for good, or takes once more what it
    /// had given back.
    pub(super) fn dispute_turns(&mut self, pick: proptest::sample::Index) {
        let Some(last) = self.intents.len().checked_sub(1) else { return };
        let intent = &mut self.intents[pick.index(last + 1)];
        let Some(dispute) = intent.dispute.as_mut().filter(|d| d.is_closed()) else { return };
        if dispute.status == "lost" {
            "won".clone_into(&mut dispute.status);
            dispute.reinstated = dispute.withdrawn;
            intent.withdrawn = 0;
        } else {
            "lost".clone_into(&mut dispute.status);
            dispute.withdrawn = dispute.withdrawn.checked_add(dispute.amount).unwrap();
            intent.withdrawn = dispute.amount.minor;
        }
        dispute.as_of = self.now;
        self.news.push(News::Dispute(dispute.clone()));
    }

    pub(super) fn wait_until(&mut self, at: DateTime<Utc>) {
        self.now = self.now.max(at);
        for (number, intent) in self.intents.iter_mut().enumerate() {
            if intent.status == Status::Held && intent.capture_before <= self.now {
                intent.status = Status::Canceled;
                self.news.push(News::HoldLost { payment_intent: intent_id(number) });
            }
        }
        for (number, link) in self.links.iter_mut().enumerate() {
            if link.is_open && link.expires_at <= self.now {
                link.is_open = false;
                self.news.push(News::LinkExpired { id: format!("cs_{number}") });
            }
        }
    }

    pub(super) fn release(&mut self) {
        let mut held = self.intents.iter_mut().enumerate().rev();
        let held = held.find(|(_, intent)| intent.status == Status::Held);
        if let Some((number, intent)) = held {
            intent.status = Status::Canceled;
            self.news.push(News::HoldLost { payment_intent: intent_id(number) });
        }
    }

    pub(super) fn taken(&self) -> i64 {
        self.intents.iter().map(|intent| intent.taken).sum()
    }

    pub(super) fn captures(&self) -> usize {
        let taken = self.intents.iter().filter(|i| i.is_hold && i.status == Status::Succeeded);
        taken.count()
    }

    pub(super) fn open_holds(&self) -> usize {
        self.intents.iter().filter(|intent| intent.status == Status::Held).count()
    }

    pub(super) fn open_links(&self) -> usize {
        self.links.iter().filter(|link| link.is_open).count()
    }

    /// Nothing was given back or withdrawn that was not taken.
    pub(super) fn audit(&self) {
        for (number, intent) in self.intents.iter().enumerate() {
            assert!(self.given_back(number) + intent.withdrawn <= intent.taken, "{intent:?}");
        }
    }
}

/// What a key was first used with: everything that is sent.
fn parameters(payment: &Payment, step: Step) -> String {
    match step {
        Step::Refund { number } => {
            let refund = payment.refunds.iter().find(|r| r.number == number).unwrap();
            format!("{step:?} {} {}", refund.amount, refund.payment_intent)
        }
        Step::PlaceHold { .. } | Step::ChargeDifference { .. } => {
            format!("{step:?} {:?}", payment.card)
        }
        _ => format!("{step:?}"),
    }
}

fn captured(hold: &Intent) -> Outcome {
    Outcome::Captured { amount: eur(hold.taken) }
}

fn hold(payment: &Payment, number: u32) -> StripePaymentIntentId {
    let mut holds = payment.hold.iter().chain(&payment.to_release);
    holds.find(|hold| hold.number == number).unwrap().payment_intent.clone()
}
