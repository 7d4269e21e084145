//! The record: facts, and at most one pending intention.

use chrono::{DateTime, Utc};
use network::{
    HoldRef, PaymentPolicy, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId,
};
use quantities::{Amount, SessionId};
use serde::{Deserialize, Serialize};

use super::{error::MoneyError, give_back, step::Step};
use crate::Refusal;

/// What is known of one session's payment by card (item `PAYMENT` of the session's partition).
///
/// Changed only by this module. Stored before every call to Stripe and after every answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The session that is paid for.
    pub session_id: SessionId,
    /// The card that pays.
    pub card: Card,
    /// What the site wants done where there is a choice, as it was when the session started.
    #[serde(default)]
    pub policy: PaymentPolicy,
    /// What is to be held while the session runs. It only grows; zero: nothing is held.
    pub wanted: Amount,
    /// The most that may be held, as far as it is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_max: Option<Amount>,
    /// Looks at the running session so far: see [`look`](super::look()).
    #[serde(default)]
    pub looks: u32,
    /// When the next is due, while the session is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<DateTime<Utc>>,
    /// The hold that will be captured, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Holds whose place was taken by another: to be released.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_release: Vec<Hold>,
    /// Holds asked for so far: the number of the last.
    pub holds_asked: u32,
    /// Whether a hold was refused: no further one is asked for.
    pub hold_refused: bool,
    /// What the session costs, tax included; zero when nothing is to be paid. Set once, never
    /// changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Amount>,
    /// Each taking of money.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Taken>,
    /// The sum of `taken`. What was given back or withdrawn later is not subtracted.
    pub captured: Amount,
    /// What is still to be paid: `total` less `captured`, `waived` and `written_off`; zero before
    /// the session has a price.
    pub owed: Amount,
    /// What was taken beyond what was to be paid, if anything was: it is given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surplus: Option<Amount>,
    /// What a person let the driver off.
    pub waived: Amount,
    /// What nobody expects to be paid any more.
    pub written_off: Amount,
    /// That a person wants `owed` waived or written off: done as soon as nothing is being
    /// collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgive: Option<Forgiven>,
    /// There since a charge of what is owed was refused, until it is paid or forgiven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debt: Option<Debt>,
    /// Pages where the driver can or could pay. At most the last is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<PayLink>,
    /// Pages asked for so far: the number of the last.
    #[serde(default)]
    pub links_asked: u32,
    /// What is or was to be given back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<Refund>,
    /// What the driver's bank disputes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<Dispute>,
    /// Why Stripe last refused, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Whether the charger was told to stop, because no hold covers what it delivers.
    #[serde(default)]
    pub stop_asked: bool,
    /// How often it was.
    #[serde(default)]
    pub stops: u32,
    /// When it is told again, should it deliver on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_again_at: Option<DateTime<Utc>>,
    /// The call in progress: it may or may not have reached Stripe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Why no further step is taken, if none is: a repeat would fail as the last one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Stuck>,
    /// Ids of the events by which others were told of it, in order: the store adds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
    /// Optimistic lock. 0 is a record that was never stored. The store writes `version + 1` on
    /// the condition that it finds `version`; nothing else changes it.
    pub version: u64,
}

/// The card that pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Card {
    /// Saved: it can be charged while its owner is away.
    Saved {
        /// Whose.
        customer: StripeCustomerId,
        /// Which.
        payment_method: StripePaymentMethodId,
    },
    /// Presented to a reader: it pays what was held there. For what the hold does not cover the
    /// driver gets a pay link.
    Present,
}

/// A call in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What is asked for, as it was first asked for.
    pub step: Step,
    /// When it was first intended: its idempotency key is good for a day after.
    pub since: DateTime<Utc>,
    /// When it was last intended.
    pub tried_at: DateTime<Utc>,
    /// How often it was intended, from 1.
    pub attempt: u32,
}

/// A payment that goes on only when a person has it tried again, or something is known that was
/// not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stuck {
    /// Why.
    pub why: StuckWhy,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Why a payment is stuck: a bug of ours, or something done at Stripe that nobody foresaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum StuckWhy {
    /// Stripe will not have the request.
    #[error("Stripe rejected the call with {status}: {error} {param}")]
    Rejected {
        /// HTTP status.
        status: u16,
        /// Stripe's error code; empty when it gives none.
        error: String,
        /// The parameter it is about; empty when it names none.
        param: String,
    },
    /// A PaymentIntent is where none of our calls can have brought it.
    #[error("the PaymentIntent is in status {status}")]
    Unexpected {
        /// Its status at Stripe.
        status: String,
    },
    /// The record does not have what the call needs, or cannot take what came of it.
    #[error("the record does not fit: {what}")]
    Unfit {
        /// In which way.
        what: String,
    },
}

/// Money held on the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The how manieth of the session, from 1.
    pub number: u32,
    /// The PaymentIntent that holds it.
    pub payment_intent: StripePaymentIntentId,
    /// What can be done with it.
    pub terms: HoldTerms,
    /// Tries to raise it.
    pub raises: u32,
    /// Refused tries to capture it.
    pub captures_refused: u32,
    /// Whether its capture was refused for good: to be released.
    pub uncapturable: bool,
}

/// What can be done with a hold, by its charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldTerms {
    /// What is held.
    pub amount: Amount,
    /// The most that can be captured: more than is held where the card allows.
    pub most: Amount,
    /// When it runs out, if Stripe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_before: Option<DateTime<Utc>>,
    /// Whether it can be raised.
    pub raisable: bool,
}

impl HoldTerms {
    /// A hold that can be captured up to its amount, and of which nothing else is known.
    #[must_use]
    pub const fn plain(amount: Amount) -> Self {
        Self { amount, most: amount, capture_before: None, raisable: false }
    }
}

/// Money taken from the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// How.
    pub by: TakenBy,
    /// The PaymentIntent.
    pub payment_intent: StripePaymentIntentId,
    /// How much.
    pub amount: Amount,
}

/// How money was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenBy {
    /// By the capture of a hold.
    Capture,
    /// By a charge off session.
    Difference,
    /// By the driver, on a pay link.
    Link,
}

/// How a debt is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgiven {
    /// It was not right to ask for it.
    Waived,
    /// It was right, and will not come.
    WrittenOff,
}

/// What is owed after a refused charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// Charges tried.
    pub attempts: u32,
    /// When the last was refused: retries are counted from here.
    pub refused_at: DateTime<Utc>,
    /// Whether no repeat can help: the amount is below what a card pays.
    pub hopeless: bool,
    /// Whether the driver asked for another try, now.
    pub again_now: bool,
    /// Whether the driver has to act, or asked to: a pay link is to be made.
    pub link_wanted: bool,
}

/// A page at Stripe where the driver pays what is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayLink {
    /// The how manieth of the session, from 1.
    pub number: u32,
    /// Stripe's id of the Checkout Session.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// How much it asks for.
    pub amount: Amount,
    /// When it closes by itself.
    pub expires_at: DateTime<Utc>,
    /// Where it stands.
    pub state: LinkState,
}

/// Where a pay link stands. The last two are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It can be paid on.
    Open,
    /// It was paid on.
    Paid,
    /// It closed, and nobody paid.
    Expired,
}

/// Who gives money back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundBy {
    /// A person, who decided it here.
    #[default]
    Decision,
    /// The machine: it was taken beyond what was to be paid.
    Surplus,
    /// Somebody at Stripe, without us.
    Stripe,
}

/// Money given back, of one PaymentIntent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The how manieth of the session, from 1.
    pub number: u32,
    /// Of what was taken by this PaymentIntent.
    pub payment_intent: StripePaymentIntentId,
    /// How much.
    pub amount: Amount,
    /// Why, in the words of whoever decided it.
    pub reason: String,
    /// For which lines of the receipt; empty: for the session as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<u32>,
    /// Who gives it back.
    #[serde(default)]
    pub by: RefundBy,
    /// How much of it gives surplus back; the rest takes back a part of the sale. Of one that was
    /// made at Stripe it is not known before the session has its price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surplus: Option<Amount>,
    /// Of one that failed: how much of it is wanted again, as another refund, or was made again at
    /// Stripe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Amount>,
    /// How much of `again` was to be given back of the surplus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_surplus: Option<Amount>,
    /// Of one that was made at Stripe: how much of it gives back what others, that failed, did not
    /// give back of the sale, as a person says. It is credited with those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<Amount>,
    /// Of one that was made at Stripe: whether the rest of it, which takes back a part of the sale,
    /// is credited. Then that is owed, too, should it fail.
    #[serde(default)]
    pub credited: bool,
    /// Of one that failed: how much of it the driver has from their bank instead, by a dispute
    /// that we lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_back: Option<Amount>,
    /// Stripe's id of it, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it stands.
    pub state: RefundState,
}

impl Refund {
    /// One that is wanted, of which nothing else is known.
    pub(super) const fn new(
        number: u32,
        payment_intent: StripePaymentIntentId,
        amount: Amount,
        by: RefundBy,
    ) -> Self {
        Self {
            number,
            payment_intent,
            amount,
            reason: String::new(),
            lines: Vec::new(),
            by,
            surplus: None,
            again: None,
            again_surplus: None,
            in_place: None,
            credited: false,
            charged_back: None,
            id: None,
            state: RefundState::Wanted,
        }
    }

    /// How much of the sale it takes back by itself, if it was made at Stripe, left us, and that is
    /// known: nobody has decided that here.
    #[must_use]
    pub fn made_of_sale(&self) -> Option<Amount> {
        self.of_sale().filter(|_| self.state.is_paid())
    }

    /// How much of the sale it takes back by itself, if it was made at Stripe. Of one that failed
    /// only what is credited: the credit note stands.
    #[must_use]
    pub fn takes_back(&self) -> Option<Amount> {
        self.of_sale().filter(|_| self.credited || self.state.is_paid())
    }

    fn of_sale(&self) -> Option<Amount> {
        let surplus = self.surplus.filter(|_| self.by == RefundBy::Stripe)?;
        let others = surplus.minor.saturating_add(minor(self.in_place));
        let part = Amount::new(self.amount.minor.saturating_sub(others), self.amount.currency);
        Some(part).filter(|part| part.minor > 0)
    }

    /// How much of it is still to be given back, because it failed and neither another refund nor
    /// the driver's bank took its place. What was made at Stripe and takes back a part of the sale
    /// that nobody has credited is not owed.
    #[must_use]
    pub fn still_owed(&self) -> Amount {
        self.failed_less(&[self.again, self.charged_back])
    }

    /// What failed and is not wanted again: what the driver's bank can take the place of.
    pub(super) fn not_wanted_again(&self) -> Amount {
        self.failed_less(&[self.again])
    }

    /// How much of the surplus that it was to give back is still to be: another refund or the
    /// driver's bank gives the surplus first.
    pub(super) fn surplus_still_owed(&self) -> Amount {
        let left = self.surplus_less_again().saturating_sub(self.surplus_charged_back());
        let is_failed = self.state == RefundState::Failed;
        Amount::new(if is_failed { left } else { 0 }, self.amount.currency)
    }

    /// How much of the surplus is this refund's to give, whether it does or not. What it failed to
    /// give and is wanted again is another's.
    pub(super) fn surplus_less_again(&self) -> i64 {
        minor(self.surplus).saturating_sub(minor(self.again_surplus))
    }

    /// How much of the surplus that it was to give back the driver has from their bank.
    pub(super) fn surplus_charged_back(&self) -> i64 {
        minor(self.charged_back).min(self.surplus_less_again())
    }

    /// The record with so much of it wanted again.
    pub(super) fn wanted_again(
        self,
        amount: Amount,
        of_surplus: Amount,
    ) -> Result<Self, quantities::MoneyError> {
        let more = |known: Option<Amount>, more: Amount| {
            known.unwrap_or(Amount::zero(more.currency)).checked_add(more)
        };
        let again = Some(more(self.again, amount)?);
        let again_surplus = Some(more(self.again_surplus, of_surplus)?);
        Ok(Self { again, again_surplus, ..self })
    }

    fn failed_less(&self, done: &[Option<Amount>]) -> Amount {
        let uncredited = self.of_sale().filter(|_| !self.credited);
        let is_known = self.state == RefundState::Failed && self.surplus.is_some();
        let amount = if is_known { self.amount.minor } else { 0 };
        let done = [&[uncredited], done].concat();
        let left = done.into_iter().fold(amount, |left, done| left.saturating_sub(minor(done)));
        Amount::new(left.max(0), self.amount.currency)
    }
}

fn minor(amount: Option<Amount>) -> i64 {
    amount.map_or(0, |amount| amount.minor)
}

/// Where a refund stands. It only moves down this list, whatever the order of the news: a refund
/// that succeeded can still fail, and then the money is ours again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// It was decided; Stripe was not asked, or has not answered.
    Wanted,
    /// It is on its way.
    Pending,
    /// It arrived.
    Succeeded,
    /// It did not arrive, or Stripe refused it.
    Failed,
}

impl RefundState {
    /// Where a refund stands that Stripe calls this.
    /// <https://docs.stripe.com/api/refunds/object#refund_object-status>
    pub(crate) fn of(status: &str) -> Self {
        match status {
            "succeeded" => Self::Succeeded,
            "failed" | "canceled" => Self::Failed,
            _ => Self::Pending,
        }
    }

    /// Whether the money has left us.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Pending | Self::Succeeded)
    }
}

/// A dispute of what was taken by one PaymentIntent.
/// <https://docs.stripe.com/api/disputes/object>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Stripe's id of it.
    pub id: String,
    /// What was disputed.
    pub payment_intent: StripePaymentIntentId,
    /// How much of it.
    pub amount: Amount,
    /// Why, in Stripe's words: `fraudulent`, `product_not_received`, …
    pub reason: String,
    /// `needs_response`, `under_review`, `won`, `lost`, `warning_…`.
    pub status: String,
    /// Until when evidence is taken, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_by: Option<DateTime<Utc>>,
    /// How much was taken from us, in all: who has won can lose it again. It only grows.
    pub withdrawn: Amount,
    /// How much was given back to us, in all: even what was lost can come back. It only grows.
    pub reinstated: Amount,
    /// What Stripe charged for it, in all, in the currency that the account settles in: when it
    /// began, and when it was answered. It only grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Amount>,
    /// How much of that Stripe gave back, in all. It only grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_returned: Option<Amount>,
    /// When Stripe said so; older news does not change it.
    pub as_of: DateTime<Utc>,
}

impl Payment {
    /// The payment of a session that holds `wanted` on a card. Nothing is asked of Stripe yet.
    #[must_use]
    pub const fn new(
        session_id: SessionId,
        card: Card,
        wanted: Amount,
        policy: PaymentPolicy,
    ) -> Self {
        let zero = Amount::zero(wanted.currency);
        Self {
            session_id,
            card,
            policy,
            wanted,
            hold_max: None,
            looks: 0,
            look_at: None,
            hold: None,
            to_release: Vec::new(),
            holds_asked: 0,
            hold_refused: false,
            total: None,
            taken: Vec::new(),
            captured: zero,
            owed: zero,
            surplus: None,
            waived: zero,
            written_off: zero,
            forgive: None,
            debt: None,
            links: Vec::new(),
            links_asked: 0,
            refunds: Vec::new(),
            disputes: Vec::new(),
            refusal: None,
            stop_asked: false,
            stops: 0,
            stop_again_at: None,
            pending: None,
            stuck: None,
            told: Vec::new(),
            version: 0,
        }
    }

    /// The payment of a session whose hold was placed before it started: from the app, or at a
    /// reader.
    #[must_use]
    pub fn with_placed_hold(
        session_id: SessionId,
        card: Card,
        placed: HoldRef,
        policy: PaymentPolicy,
    ) -> Self {
        let HoldRef { amount, capture_before, raisable, .. } = placed;
        let most = placed.most.unwrap_or(amount);
        let terms = HoldTerms { amount, most, capture_before, raisable };
        Self {
            hold: Some(Hold::new(1, placed.payment_intent, terms)),
            holds_asked: 1,
            ..Self::new(session_id, card, amount, policy)
        }
    }

    /// The same payment with the session's price, whatever else is known of it.
    ///
    /// # Errors
    ///
    /// [`MoneyError::TotalChanged`] when another total was set before: a price never changes.
    /// [`MoneyError`] for a negative total, or one in another currency than the hold.
    pub fn with_total(self, total: Amount) -> Result<Self, MoneyError> {
        let session_id = self.session_id;
        if self.total.is_some_and(|known| known != total) {
            return Err(MoneyError::TotalChanged { session_id });
        }
        if total.minor < 0 {
            return Err(MoneyError::NegativeTotal { session_id });
        }
        let stuck = self.stuck.clone().filter(|_| self.total.is_some());
        Self { total: Some(total), stuck, ..self }.balanced()
    }

    /// Whether the session has its price and nobody is collecting: it is paid, forgiven, or a debt.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let collected = self.owed.is_zero() || self.debt.is_some();
        self.total.is_some()
            && self.pending.is_none()
            && self.hold.is_none()
            && self.to_release.is_empty()
            && collected
    }

    /// Since when nothing moves it by itself, though something is to be done: it is stuck, a debt,
    /// or what was taken too much could not be given back. `now`, where that is not known.
    #[must_use]
    pub fn waits_for_somebody(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let stuck = self.stuck.as_ref().map(|stuck| stuck.since);
        let debt = self.debt.as_ref().map(|debt| debt.refused_at);
        stuck.or(debt).or_else(|| self.surplus_left().map(|_| now))
    }

    /// What was taken too much and is neither given back nor about to be, if anything is.
    #[must_use]
    pub fn surplus_left(&self) -> Option<Amount> {
        let surplus = self.surplus?;
        let left = surplus.minor.saturating_sub(self.surplus_given_back());
        Some(Amount::new(left, surplus.currency)).filter(|left| left.minor > 0)
    }

    /// How much surplus is given back or about to be: by refunds, or by the driver's bank.
    pub(super) fn surplus_given_back(&self) -> i64 {
        let back = |refund: &Refund| match refund.state {
            RefundState::Failed => refund.surplus_charged_back(),
            _ => minor(refund.surplus),
        };
        self.refunds.iter().map(back).sum()
    }

    /// Whether a call is under way that may take money: not one that Stripe has rejected for good.
    #[must_use]
    pub fn is_collecting(&self) -> bool {
        let rejected =
            self.stuck.as_ref().is_some_and(|stuck| matches!(stuck.why, StuckWhy::Rejected { .. }));
        self.pending.is_some() && !rejected
    }

    /// What was taken and is not too much.
    #[must_use]
    pub fn paid(&self) -> Amount {
        // A part of what was taken: neither is below zero.
        Amount::new(self.captured.minor - minor(self.surplus), self.captured.currency)
    }

    /// The debt, if it bars its driver from the next start. What is too little for any card does
    /// not: a saved card and a pay link are refused alike, so nobody could ever pay it.
    #[must_use]
    pub fn bars(&self) -> Option<&Debt> {
        self.debt.as_ref().filter(|debt| !(debt.hopeless && self.is_saved()))
    }

    /// The page where the driver can pay now, if there is one.
    #[must_use]
    pub fn open_link(&self) -> Option<&PayLink> {
        self.links.iter().find(|link| link.state == LinkState::Open)
    }

    /// What can still be given back: what was taken, less refunds that have not failed, less what
    /// disputes withdrew and did not bring back.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Sum`].
    pub fn refundable(&self) -> Result<Amount, MoneyError> {
        let mut sum = Amount::zero(self.wanted.currency);
        for taken in &self.taken {
            sum = self.sum(sum.checked_add(self.refundable_of(taken)?))?;
        }
        Ok(sum)
    }

    pub(super) fn refundable_of(&self, taken: &Taken) -> Result<Amount, MoneyError> {
        let left = self.left_of(taken)?;
        Ok(Amount::new(left.minor.max(0), left.currency))
    }

    /// Below zero when more is wanted back than is there.
    pub(super) fn left_of(&self, taken: &Taken) -> Result<Amount, MoneyError> {
        let refunds = self.refunds.iter();
        let refunds = refunds.filter(|refund| {
            refund.payment_intent == taken.payment_intent && refund.state != RefundState::Failed
        });
        let disputes = self.disputes.iter();
        let disputes = disputes.filter(|dispute| {
            dispute.payment_intent == taken.payment_intent && dispute.is_withdrawn()
        });
        let gone = refunds.map(|refund| refund.amount).chain(disputes.map(Dispute::with_the_bank));
        let mut left = taken.amount;
        for amount in gone {
            left = self.sum(left.checked_sub(amount))?;
        }
        Ok(left)
    }

    /// The record with `captured`, `owed` and `surplus` as the facts have them, what is to be
    /// forgiven forgiven if nothing is being collected, and the surplus to be given back.
    pub(super) fn balanced(self) -> Result<Self, MoneyError> {
        let mut captured = Amount::zero(self.wanted.currency);
        for taken in &self.taken {
            captured = self.sum(captured.checked_add(taken.amount))?;
        }
        let mut next = Self { captured, ..self };
        let Some(total) = next.total else { return Ok(next) };
        let mut left = total;
        for settled in [next.captured, next.waived, next.written_off] {
            left = next.sum(left.checked_sub(settled))?;
        }
        let zero = Amount::zero(left.currency);
        if left.minor < 0 {
            // It came after all: what was written off is expected again as far as it is there.
            let over = next.sum(zero.checked_sub(left))?;
            let recovered = next.sum(over.min(next.written_off))?;
            next.written_off = next.sum(next.written_off.checked_sub(recovered))?;
            left = next.sum(left.checked_add(recovered))?;
        }
        let surplus = next.sum(zero.checked_sub(left))?;
        next.surplus = Some(surplus).filter(|surplus| surplus.minor > 0);
        next.owed = if left.minor > 0 { left } else { zero };
        if let Some(how) = next.forgive
            && next.pending.is_none()
            && next.open_link().is_none()
        {
            let sum = match how {
                Forgiven::Waived => &mut next.waived,
                Forgiven::WrittenOff => &mut next.written_off,
            };
            *sum = sum
                .checked_add(next.owed)
                .map_err(|source| MoneyError::Sum { session_id: next.session_id, source })?;
            next.owed = zero;
            next.forgive = None;
        }
        if next.owed.is_zero() {
            next.debt = None;
        }
        give_back::charged_back(give_back::surplus(next)?)
    }

    /// Whether the card can be charged while its owner is away.
    pub(super) const fn is_saved(&self) -> bool {
        matches!(self.card, Card::Saved { .. })
    }

    pub(super) fn is_captured(&self) -> bool {
        self.taken.iter().any(|taken| taken.by == TakenBy::Capture)
    }

    pub(super) fn sum(
        &self,
        sum: Result<Amount, quantities::MoneyError>,
    ) -> Result<Amount, MoneyError> {
        sum.map_err(|source| MoneyError::Sum { session_id: self.session_id, source })
    }

    pub(super) const fn out_of_step(&self, what: &'static str) -> MoneyError {
        MoneyError::OutOfStep { session_id: self.session_id, what }
    }
}

impl Hold {
    pub(super) const fn new(
        number: u32,
        payment_intent: StripePaymentIntentId,
        terms: HoldTerms,
    ) -> Self {
        Self { number, payment_intent, terms, raises: 0, captures_refused: 0, uncapturable: false }
    }
}

impl Dispute {
    /// Whether its money is with the bank.
    #[must_use]
    pub const fn is_withdrawn(&self) -> bool {
        self.withdrawn.minor > self.reinstated.minor
    }

    /// How much of it is with the bank.
    #[must_use]
    pub fn with_the_bank(&self) -> Amount {
        let left = self.withdrawn.minor.saturating_sub(self.reinstated.minor);
        Amount::new(left.max(0), self.amount.currency)
    }

    /// How much is lost, as it stands.
    #[must_use]
    pub fn lost(&self) -> Amount {
        let is_lost = self.status == "lost";
        if is_lost { self.with_the_bank() } else { Amount::zero(self.amount.currency) }
    }

    /// How much was moved in either direction, in all. It only grows.
    #[must_use]
    pub const fn moved(&self) -> Amount {
        let minor = self.withdrawn.minor.saturating_add(self.reinstated.minor);
        Amount::new(minor, self.amount.currency)
    }

    /// What it costs in fees, as it stands, if anything.
    #[must_use]
    pub fn fee_left(&self) -> Option<Amount> {
        let fee = self.fee?;
        let left = fee.minor.saturating_sub(minor(self.fee_returned));
        Some(Amount::new(left, fee.currency)).filter(|left| left.minor > 0)
    }

    /// Whether nothing can be said against it any more, by either side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.status.as_str(), "won" | "lost" | "warning_closed" | "prevented")
    }
}
