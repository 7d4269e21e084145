//! The Stripe adapter.
//!
//! Invariant: a business outcome is `Ok`; an error means that nobody knows, or that we have a bug.
//! Every write carries an idempotency key derived from what it is for, so asking again is always
//! safe. When the key can no longer tell (it remembers a 500, was used with other parameters, or is
//! older than Stripe keeps it), the adapter reads what Stripe has before it asks anew. While it may
//! still tell, the adapter returns at once: whoever asked asks again.

mod amount;
mod calls;
mod disputes;
mod failure;
mod get;
mod money;
mod terminal;
#[cfg(test)]
mod tests;
mod wallet;

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use network::{
    HoldRef, HoldRequest, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId,
};
use quantities::{Amount, ChargePointId, ConnectorId, Currency, SessionId, TapId};

pub(crate) use self::amount::StripeAmount;
pub use self::{
    amount::{AmountError, charges_exactly},
    failure::PaymentError,
    get::Undelivered,
    wallet::{MethodSetup, SavedMethod},
};
use self::{
    calls::{Cancel, Capture, Create, Intent, List, Retrieve},
    failure::Failure,
};
use crate::{Refusal, money::step_key};

/// Stripe keeps idempotency keys for at least 24 hours; a little less is certain.
/// <https://docs.stripe.com/api/idempotent_requests>
const KEY_LIFE: TimeDelta = TimeDelta::hours(23);
/// Clocks differ: what we intended at noon Stripe may have made at 11:59.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);
/// What the two writes for a start from the app are for.
const HOLD: &str = "hold";
const CANCEL: &str = "cancel";
/// The statuses of a PaymentIntent that has come to something.
/// <https://docs.stripe.com/payments/paymentintents/lifecycle>
const DECIDED: [&str; 4] = ["requires_capture", "succeeded", "canceled", "requires_payment_method"];
/// The status of one whose issuer has not decided yet.
const PROCESSING: &str = "processing";
/// How often a key that remembers a 500 is replaced by the next one, at the first try of a write.
const KEYS_AT_FIRST: u32 = 3;
/// After how long there is one more for what is repeated; the next after twice as long, and so on.
const ANOTHER_KEY_AFTER: TimeDelta = TimeDelta::minutes(10);

/// What a payment is for: the name of its writes, and what Stripe's records say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A session.
    Session(SessionId),
    /// A start from the app, before there is a session.
    Start(String),
    /// A card at a reader, before there is a session.
    Tap {
        /// The tap.
        tap_id: TapId,
        /// For this charger.
        charge_point_id: ChargePointId,
        /// For this connector.
        connector_id: ConnectorId,
    },
}

impl Reference {
    /// What Stripe's record says it is for, if we said so.
    pub(crate) fn of(metadata: &HashMap<String, String>) -> Option<Self> {
        if let Some(id) = metadata.get("session_id") {
            return id.parse().ok().map(Self::Session);
        }
        if let Some(id) = metadata.get("start_id") {
            return Some(Self::Start(id.clone()));
        }
        Some(Self::Tap {
            tap_id: metadata.get("tap_id")?.parse().ok()?,
            charge_point_id: metadata.get("charge_point_id")?.parse().ok()?,
            connector_id: ConnectorId(metadata.get("connector_id")?.parse().ok()?),
        })
    }

    fn key(&self, purpose: &str) -> String {
        match self {
            Self::Session(id) => step_key(*id, purpose),
            Self::Start(id) => format!("tallywatt/start/{id}/{purpose}"),
            Self::Tap { tap_id, .. } => format!("tallywatt/tap/{tap_id}/{purpose}"),
        }
    }
}

/// Money to be taken from a saved card while its owner is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffSession<'a> {
    /// Whose card.
    pub customer: &'a StripeCustomerId,
    /// Which card.
    pub payment_method: &'a StripePaymentMethodId,
    /// How much.
    pub amount: Amount,
    /// When it was first intended, if it may have been asked for before: what Stripe has since
    /// then is looked up when the idempotency key is too old to tell.
    pub requested_at: Option<DateTime<Utc>>,
}

impl<'a> From<&'a HoldRequest> for OffSession<'a> {
    fn from(hold: &'a HoldRequest) -> Self {
        Self {
            customer: &hold.customer,
            payment_method: &hold.payment_method,
            amount: hold.amount,
            requested_at: Some(hold.requested_at),
        }
    }
}

/// What came of asking for a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldOutcome {
    /// The money is held.
    Held(HoldRef),
    /// The issuer, or Stripe, refused.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The PaymentIntent that was made, if one was.
        payment_intent: Option<StripePaymentIntentId>,
    },
}

/// What came of charging a saved card.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ChargeOutcome {
    /// The money was taken.
    Charged {
        /// By this PaymentIntent.
        payment_intent: StripePaymentIntentId,
    },
    /// The issuer, or Stripe, refused.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The PaymentIntent that was made, if one was.
        payment_intent: Option<StripePaymentIntentId>,
    },
}

/// What came of capturing a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
enum CaptureOutcome {
    /// So much was taken and the rest released: what was asked for, unless somebody captured it
    /// at Stripe before.
    Captured(Amount),
    /// The hold had run out or was released: nothing was taken.
    HoldLost,
    /// Stripe refused this amount: nothing was taken, the hold stands.
    Refused(Refusal),
}

/// What became of a hold that was to be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// Nothing is held, and nothing was taken.
    Released,
    /// Somebody had captured it at Stripe: so much was taken.
    Captured(Amount),
}

/// A client for one Stripe account.
#[derive(Clone)]
pub struct StripeClient {
    client: stripe::Client,
    backoff: Duration,
    budget: Duration,
    return_url: Option<String>,
    /// How many keys a write may have used in all when its call ends.
    keys_max: u32,
}

impl std::fmt::Debug for StripeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StripeClient").finish_non_exhaustive()
    }
}

impl StripeClient {
    /// A client with the account's secret key, for api.stripe.com or `base_url`.
    ///
    /// # Errors
    ///
    /// [`PaymentError::Configuration`]: the key or the URL is malformed.
    pub fn new(api_key: &str, base_url: Option<&str>) -> Result<Self, PaymentError> {
        let builder = stripe::ClientBuilder::new(api_key).timeout(failure::TIMEOUT);
        let builder = match base_url.filter(|url| !url.is_empty()) {
            // The library joins the version to the base as it is.
            Some(url) => builder.url(format!("{}/", url.trim_end_matches('/'))),
            None => builder,
        };
        let client = builder.build().map_err(|_| PaymentError::Configuration)?;
        let (backoff, budget) = (failure::BACKOFF, failure::BUDGET);
        Ok(Self { client, backoff, budget, return_url: None, keys_max: KEYS_AT_FIRST })
    }

    /// The same client with another first pause between attempts; each further one is doubled.
    #[must_use]
    pub fn with_backoff(self, backoff: Duration) -> Self {
        Self { backoff, ..self }
    }

    /// The same client with another time for all that is asked for one purpose. After it, nobody
    /// knows.
    #[must_use]
    pub fn with_budget(self, budget: Duration) -> Self {
        Self { budget, ..self }
    }

    /// The same client with the page that a driver comes back to after paying on a pay link.
    #[must_use]
    pub fn with_return_url(self, url: &str) -> Self {
        Self { return_url: Some(url.to_owned()), ..self }
    }

    /// The same client at the given repeat of a write, from 1. Each repeat has a key of its own
    /// left when all before it are spent: in an outage that answers writes with 500s, tries use
    /// keys up, and the first try after it must find one.
    fn at_try(&self, number: u32) -> Self {
        Self { keys_max: KEYS_AT_FIRST.saturating_add(number), ..self.clone() }
    }

    /// The same client for what was first asked for at `since`. Whoever only repeats a message or a
    /// request has no number for the try, so one key more serves each time the age has doubled: an
    /// outage ends at some time, and then there is one left, while all of a day can still be walked
    /// through within the time of one call.
    #[must_use]
    pub fn asked_since(&self, since: DateTime<Utc>) -> Self {
        let age = (failure::now() - since).num_minutes() / ANOTHER_KEY_AFTER.num_minutes();
        let more = age.checked_ilog2().map_or(0, |doubled| doubled + 1);
        let keys_max = self.keys_max.max(KEYS_AT_FIRST.saturating_add(more));
        Self { keys_max, ..self.clone() }
    }

    /// Holds money: a PaymentIntent with manual capture, confirmed off session.
    ///
    /// <https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn place_hold(
        &self,
        reference: &Reference,
        hold: OffSession<'_>,
    ) -> Result<HoldOutcome, PaymentError> {
        self.within("place hold", self.place(reference, hold)).await
    }

    async fn place(
        &self,
        reference: &Reference,
        hold: OffSession<'_>,
    ) -> Result<HoldOutcome, PaymentError> {
        let amount = hold.amount;
        let made = self.create(reference, HOLD, hold, "manual").await?;
        let intent = match made {
            Made::Intent(intent) => intent,
            Made::Refused { refusal, payment_intent } => {
                return Ok(HoldOutcome::Refused { refusal, payment_intent });
            }
        };
        if intent.status == "requires_capture" {
            return Ok(HoldOutcome::Held(self.hold_ref(intent.id(), amount).await?));
        }
        // Captured or canceled meanwhile: it was held, and what became of it is found out later.
        if matches!(intent.status.as_str(), "succeeded" | "canceled") {
            return Ok(HoldOutcome::Held(HoldRef::plain(intent.id(), amount)));
        }
        let payment_intent = Some(intent.id());
        match intent.refusal() {
            Some(refusal) => Ok(HoldOutcome::Refused { refusal, payment_intent }),
            None => Err(intent.unexpected("place hold")),
        }
    }

    /// Takes `amount` of a hold and releases the rest.
    ///
    /// <https://docs.stripe.com/api/payment_intents/capture>. An intent is captured once at most,
    /// so when the key cannot tell, the intent itself does. Of a hold that is `held`, more is taken
    /// only as far as Stripe likes: what it says against that is a refusal.
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    async fn capture(
        &self,
        key: &str,
        payment_intent: &StripePaymentIntentId,
        amount: Amount,
        held: Amount,
    ) -> Result<CaptureOutcome, PaymentError> {
        let call = "capture";
        let sent = StripeAmount::of(amount)?;
        let capture = Capture { payment_intent, amount_to_capture: sent };
        for attempt in 1..=self.keys_max {
            let key = numbered(key.to_owned(), attempt);
            let failure = match self.write(call, &key, &capture).await {
                Ok(intent) => return captured(&intent, amount.currency),
                Err(Failure::Refused { refusal, .. }) => {
                    return Ok(CaptureOutcome::Refused(refusal));
                }
                Err(failure) => failure.worth_a_look(call)?,
            };
            let intent = self.read(call, payment_intent).await?;
            if intent.status == "canceled" {
                return Ok(CaptureOutcome::HoldLost);
            }
            if intent.status != "requires_capture" {
                return captured(&intent, amount.currency);
            }
            let over = amount.minor > held.minor;
            if let Some(refusal) = failure.refusal().filter(|_| over) {
                return Ok(CaptureOutcome::Refused(refusal));
            }
            failure.another_key(call)?;
        }
        Err(PaymentError::unknown(call))
    }

    /// Releases a hold in `currency`. One that is gone already is as good.
    ///
    /// <https://docs.stripe.com/api/payment_intents/cancel>
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn cancel(
        &self,
        reference: &Reference,
        payment_intent: &StripePaymentIntentId,
        currency: Currency,
    ) -> Result<ReleaseOutcome, PaymentError> {
        let key = reference.key(CANCEL);
        self.within("cancel", self.end_hold(&key, payment_intent, currency)).await
    }

    /// Releases a hold, or finds that it is none any more.
    async fn end_hold(
        &self,
        key: &str,
        payment_intent: &StripePaymentIntentId,
        currency: Currency,
    ) -> Result<ReleaseOutcome, PaymentError> {
        let call = "cancel";
        for attempt in 1..=self.keys_max {
            let key = numbered(key.to_owned(), attempt);
            let failure = match self.write(call, &key, &Cancel { payment_intent }).await {
                Ok(intent) => return released(&intent, currency),
                Err(failure) => failure.worth_a_look(call)?,
            };
            let intent = self.read(call, payment_intent).await?;
            if matches!(intent.status.as_str(), "canceled" | "succeeded") {
                return released(&intent, currency);
            }
            failure.another_key(call)?;
        }
        Err(PaymentError::unknown(call))
    }

    /// Creates and confirms a PaymentIntent, once for `reference` and `purpose` whatever happens.
    async fn create(
        &self,
        reference: &Reference,
        purpose: &str,
        asked: OffSession<'_>,
        capture_method: &'static str,
    ) -> Result<Made, PaymentError> {
        let since = asked.requested_at.map(|at| at - CLOCK_SKEW);
        if asked.requested_at.is_some_and(|at| failure::now() - at > KEY_LIFE)
            && let Some(intent) = self.find(reference, purpose, asked.customer, since).await?
        {
            return self.decided(intent).await;
        }
        let create = Create::new(reference, purpose, &asked, capture_method)?;
        for attempt in 1..=self.keys_max {
            let key = numbered(reference.key(purpose), attempt);
            let failure = match self.write("create", &key, &create).await {
                Ok(intent) => return self.decided(intent).await,
                Err(Failure::Refused { refusal, payment_intent }) => {
                    return Ok(Made::Refused { refusal, payment_intent });
                }
                Err(failure) => failure.worth_a_look("create")?,
            };
            if let Some(intent) = self.find(reference, purpose, asked.customer, since).await? {
                return self.decided(intent).await;
            }
            if let Some(refusal) = self.card_gone(&failure, &asked).await? {
                return Ok(Made::Refused { refusal, payment_intent: None });
            }
            // A 500 that is remembered is a first request that is over, and nothing came of it.
            failure.another_key_for("create", asked.requested_at)?;
        }
        Err(PaymentError::unknown("create"))
    }

    /// An intent once its issuer has decided. A key tells only how it stood at first, so one that was
    /// not decided then is read. While it is not, nobody knows: whoever asks again sees it.
    async fn decided(&self, intent: Intent) -> Result<Made, PaymentError> {
        let call = "create";
        if DECIDED.contains(&intent.status.as_str()) {
            return Ok(Made::Intent(intent));
        }
        let intent = self.read(call, &intent.id()).await?;
        if intent.status == PROCESSING {
            return Err(PaymentError::unknown(call));
        }
        Ok(Made::Intent(intent))
    }

    /// Whether a request was rejected because its card is not its customer's any more. Stripe names
    /// neither code nor parameter then, as with a bug of ours, so the card itself has to tell.
    async fn card_gone(
        &self,
        failure: &Failure,
        asked: &OffSession<'_>,
    ) -> Result<Option<Refusal>, PaymentError> {
        let Failure::Bug(PaymentError::Rejected { status: 400, .. }) = failure else {
            return Ok(None);
        };
        let card = self.method(asked.payment_method).await?;
        let is_theirs = card.is_some_and(|card| card.customer.as_ref() == Some(asked.customer));
        let code = "payment_method_unexpected_state".to_owned();
        Ok((!is_theirs).then_some(Refusal { code, decline_code: None }))
    }

    /// The newest PaymentIntent that was made for `reference` and `purpose`. Listing sees every
    /// write that is done (Stripe's search does not).
    async fn find(
        &self,
        reference: &Reference,
        purpose: &str,
        customer: &StripeCustomerId,
        since: Option<DateTime<Utc>>,
    ) -> Result<Option<Intent>, PaymentError> {
        let mut starting_after = None;
        loop {
            let list = List::new(customer, since, starting_after.as_deref());
            let page = self.send("list", None, &list).await.map_err(|f| f.into_error("list"))?;
            let oldest = page.data.last().map(|intent| intent.id.clone());
            let mine = |intent: &Intent| intent.is_for(reference, purpose);
            if let Some(found) = page.data.into_iter().find(mine) {
                return Ok(Some(found));
            }
            if !page.has_more || oldest.is_none() {
                return Ok(None);
            }
            starting_after = oldest;
        }
    }

    async fn read(
        &self,
        call: &'static str,
        payment_intent: &StripePaymentIntentId,
    ) -> Result<Intent, PaymentError> {
        let read = self.send(call, None, &Retrieve { payment_intent }).await;
        read.map_err(|failure| failure.into_error(call))
    }
}

/// What came of creating a PaymentIntent.
enum Made {
    Intent(Intent),
    Refused { refusal: Refusal, payment_intent: Option<StripePaymentIntentId> },
}

fn charged(made: Made) -> Result<ChargeOutcome, PaymentError> {
    let intent = match made {
        Made::Intent(intent) => intent,
        Made::Refused { refusal, payment_intent } => {
            return Ok(ChargeOutcome::Refused { refusal, payment_intent });
        }
    };
    if intent.status == "succeeded" {
        return Ok(ChargeOutcome::Charged { payment_intent: intent.id() });
    }
    let payment_intent = Some(intent.id());
    match intent.refusal() {
        Some(refusal) => Ok(ChargeOutcome::Refused { refusal, payment_intent }),
        None => Err(intent.unexpected("charge")),
    }
}

fn numbered(key: String, attempt: u32) -> String {
    if attempt == 1 { key } else { format!("{key}/again/{attempt}") }
}

fn captured(intent: &Intent, currency: Currency) -> Result<CaptureOutcome, PaymentError> {
    if intent.status == "succeeded" {
        let received = intent.amount_received.exactly(currency)?;
        return Ok(CaptureOutcome::Captured(received));
    }
    Err(intent.unexpected("capture"))
}

fn released(intent: &Intent, currency: Currency) -> Result<ReleaseOutcome, PaymentError> {
    match intent.status.as_str() {
        "canceled" => Ok(ReleaseOutcome::Released),
        "succeeded" => Ok(ReleaseOutcome::Captured(intent.amount_received.exactly(currency)?)),
        _ => Err(intent.unexpected("cancel")),
    }
}
