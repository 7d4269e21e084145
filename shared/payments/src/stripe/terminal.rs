//! The calls that the steps of a [`Tap`] stand for, at a reader that a server drives.
//!
//! <https://docs.stripe.com/terminal/payments/collect-card-payment?terminal-sdk-platform=server-driven>

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use network::{HoldRef, StripePaymentIntentId, StripeReaderId};
use quantities::Amount;
use serde::Serialize;
use stripe::StripeRequest;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::{
    HOLD, PaymentError, Reference, ReleaseOutcome, StripeAmount, StripeClient, amount,
    calls::{Intent, LastPaymentError, metadata, refusal},
    failure::Failure,
    numbered,
};
use crate::reader::{Outcome, Step, Tap, Why};

/// The purpose of showing a payment on the reader.
const PRESENT: &str = "present";
/// Of the codes with which a reader does not take a payment, the one that may mean that it has.
/// "Reader timeout" on the page above.
const TIMEOUT: &str = "terminal_reader_timeout";

impl StripeClient {
    /// Makes the one call that `step` of `tap` stands for and gives the outcome to
    /// [`Stand::apply`](crate::reader::Stand::apply). The tap is stored as it is.
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn at_reader(&self, tap: &Tap, step: Step) -> Result<Outcome, PaymentError> {
        let stripe = self.asked_since(tap.begun_at);
        stripe.within("ask the reader", stripe.ask_reader(tap, step)).await
    }

    async fn ask_reader(&self, tap: &Tap, step: Step) -> Result<Outcome, PaymentError> {
        let reference = Reference::Tap {
            tap_id: tap.id,
            charge_point_id: tap.charge_point_id.clone(),
            connector_id: tap.connector_id,
        };
        match (step, &tap.payment_intent) {
            (Step::Make, _) => self.make_present(&reference, tap.amount).await,
            (Step::Present, Some(intent)) => {
                self.present(&reference, &tap.stripe_reader, intent).await
            }
            (Step::Look, Some(intent)) => self.look(&tap.stripe_reader, intent, tap.amount).await,
            (Step::Release, Some(intent)) => {
                self.clear_reader(&reference, &tap.stripe_reader, intent).await?;
                // From here on no card can be presented; in the last moment one may have been.
                if tap.may_be_held()
                    && let held @ Outcome::Held { .. } =
                        self.look(&tap.stripe_reader, intent, tap.amount).await?
                {
                    return Ok(held);
                }
                Ok(match self.cancel(&reference, intent, tap.amount.currency).await? {
                    ReleaseOutcome::Released => Outcome::Released,
                    ReleaseOutcome::Captured(amount) => Outcome::Captured { amount },
                })
            }
            // It never had one, so nothing can be at the reader.
            (Step::Release, None) => Ok(Outcome::Released),
            (Step::Present | Step::Look, None) => Err(PaymentError::NoIntent { tap_id: tap.id }),
        }
    }

    /// A PaymentIntent that a card is to be presented for. It holds nothing until then, so one that
    /// was made and not told of does no harm.
    async fn make_present(
        &self,
        reference: &Reference,
        amount: Amount,
    ) -> Result<Outcome, PaymentError> {
        let call = "make card present";
        let make = MakePresent::new(reference, amount)?;
        for attempt in 1..=self.keys_max {
            let key = numbered(reference.key(HOLD), attempt);
            match self.write(call, &key, &make).await {
                Ok(intent) => return Ok(Outcome::Made { payment_intent: intent.id() }),
                Err(Failure::Refused { refusal, .. }) => {
                    let why = Why::Refused { code: refusal.reason().to_owned() };
                    return Ok(Outcome::Nothing { why });
                }
                Err(failure) => failure.another_key(call)?,
            }
        }
        Err(PaymentError::unknown(call))
    }

    /// Shows the amount on the reader. A payment that nobody has presented a card for gives way.
    ///
    /// <https://docs.stripe.com/api/terminal/readers/process_payment_intent>
    async fn present(
        &self,
        reference: &Reference,
        reader: &StripeReaderId,
        payment_intent: &StripePaymentIntentId,
    ) -> Result<Outcome, PaymentError> {
        let call = "present";
        let process = Process { reader, payment_intent: &payment_intent.0 };
        for attempt in 1..=self.keys_max {
            let key = numbered(reference.key(PRESENT), attempt);
            let Err(failure) = self.send(call, Some(&key), &process).await else {
                return Ok(Outcome::Presented);
            };
            match refused_by_reader(&failure) {
                // It may show it all the same: asked again, then looked at.
                Some(TIMEOUT) => {}
                // A card was presented before the answer came back.
                Some("intent_invalid_state") => return Ok(Outcome::Presented),
                Some(code) => {
                    let why = Why::Refused { code: code.to_owned() };
                    return Ok(Outcome::Nothing { why });
                }
                None => failure.another_key(call)?,
            }
        }
        Ok(Outcome::Presented)
    }

    /// What became of a payment on the reader: the PaymentIntent's word before the reader's, which
    /// may have lost its connection after the card was held ("Payment timeout").
    async fn look(
        &self,
        reader: &StripeReaderId,
        payment_intent: &StripePaymentIntentId,
        asked: Amount,
    ) -> Result<Outcome, PaymentError> {
        let call = "look at reader";
        let read = self.send(call, None, &RetrievePresent { payment_intent }).await;
        let intent = read.map_err(|failure| failure.into_error(call))?;
        match intent.status.as_str() {
            "requires_capture" => {
                let at = intent.presented_at().ok_or(PaymentError::unknown(call))?;
                let amount = intent.amount.exactly(asked.currency)?;
                let hold = self.hold_ref(payment_intent.clone(), amount).await?;
                return Ok(Outcome::Held { hold, at });
            }
            // Somebody captured it at Stripe, before it was looked at: what it holds is taken. Its
            // session finds that out; without one, its release does.
            "succeeded" => {
                let at = intent.presented_at().ok_or(PaymentError::unknown(call))?;
                let amount = intent.amount_received.exactly(asked.currency)?;
                return Ok(Outcome::Held {
                    hold: HoldRef::plain(payment_intent.clone(), amount),
                    at,
                });
            }
            "canceled" => return Ok(Outcome::Nothing { why: Why::NotPresented }),
            _ => {}
        }
        if let Some(error) = &intent.last_payment_error {
            let code = refusal(error).reason().to_owned();
            return Ok(Outcome::Nothing { why: Why::Refused { code } });
        }
        let reader = self.reader(call, reader).await?;
        Ok(match reader.as_ref().and_then(|reader| reader.action_for(payment_intent)) {
            Some(action) if action.status == "failed" => {
                let code = action.failure_code.clone().unwrap_or_else(|| "unknown".to_owned());
                Outcome::Nothing { why: Why::Refused { code } }
            }
            Some(_) => Outcome::Waiting,
            // Another payment took its place, or somebody cleared the reader or took it away.
            None => Outcome::Nothing { why: Why::NotPresented },
        })
    }

    /// Takes a payment off the reader, if it is what the reader shows.
    ///
    /// <https://docs.stripe.com/api/terminal/readers/cancel_action>
    async fn clear_reader(
        &self,
        reference: &Reference,
        reader: &StripeReaderId,
        payment_intent: &StripePaymentIntentId,
    ) -> Result<(), PaymentError> {
        let call = "clear reader";
        let shown = self.reader(call, reader).await?;
        let shown = shown.as_ref().and_then(|shown| shown.action_for(payment_intent));
        if shown.is_none_or(|action| action.status != "in_progress") {
            return Ok(());
        }
        for attempt in 1..=self.keys_max {
            let key = numbered(reference.key("clear"), attempt);
            let Err(failure) = self.send(call, Some(&key), &CancelAction { reader }).await else {
                return Ok(());
            };
            match refused_by_reader(&failure) {
                // In the middle of an authorization: over in seconds, then it is released.
                Some("terminal_reader_busy") => return Err(PaymentError::unknown(call)),
                // Whatever it shows, its PaymentIntent is canceled next.
                Some(_) => return Ok(()),
                None => failure.another_key(call)?,
            }
        }
        Err(PaymentError::unknown(call))
    }

    /// `None`: it is not there any more, and shows nothing.
    async fn reader(
        &self,
        call: &'static str,
        reader: &StripeReaderId,
    ) -> Result<Option<ReaderView>, PaymentError> {
        let read = self.send(call, None, &RetrieveReader { reader }).await;
        match read.map_err(|failure| failure.into_error(call)) {
            Ok(view) => Ok(Some(view)),
            Err(PaymentError::Rejected { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The code with which the reader does not do what it was asked, if that is what happened. "Handle
/// errors" on the page above.
fn refused_by_reader(failure: &Failure) -> Option<&str> {
    let Failure::Bug(PaymentError::Rejected { code, .. }) = failure else { return None };
    let of_reader = code.starts_with("terminal_reader_") || code == "intent_invalid_state";
    of_reader.then_some(code)
}

/// <https://docs.stripe.com/terminal/features/incremental-authorizations>
#[derive(Debug, Serialize)]
struct MakePresent {
    amount: StripeAmount,
    currency: String,
    payment_method_types: [&'static str; 1],
    capture_method: &'static str,
    payment_method_options: Options,
    metadata: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct Options {
    card_present: PresentOptions,
}

#[derive(Debug, Serialize)]
struct PresentOptions {
    request_incremental_authorization_support: bool,
}

impl MakePresent {
    fn new(reference: &Reference, asked: Amount) -> Result<Self, PaymentError> {
        let card_present = PresentOptions { request_incremental_authorization_support: true };
        Ok(Self {
            amount: StripeAmount::of(asked)?,
            currency: amount::parameter(asked.currency),
            payment_method_types: ["card_present"],
            capture_method: "manual",
            payment_method_options: Options { card_present },
            metadata: metadata(reference, HOLD),
        })
    }
}

impl StripeRequest for MakePresent {
    type Output = Intent;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, "/payment_intents").form(self)
    }
}

#[derive(Debug, Serialize)]
struct Process<'a> {
    #[serde(skip)]
    reader: &'a StripeReaderId,
    payment_intent: &'a str,
}

impl StripeRequest for Process<'_> {
    type Output = ReaderView;

    fn build(&self) -> RequestBuilder {
        let path = format!("/terminal/readers/{}/process_payment_intent", self.reader);
        RequestBuilder::new(StripeMethod::Post, path).form(self)
    }
}

#[derive(Debug)]
struct CancelAction<'a> {
    reader: &'a StripeReaderId,
}

impl StripeRequest for CancelAction<'_> {
    type Output = ReaderView;

    fn build(&self) -> RequestBuilder {
        let path = format!("/terminal/readers/{}/cancel_action", self.reader);
        RequestBuilder::new(StripeMethod::Post, path)
    }
}

#[derive(Debug)]
struct RetrieveReader<'a> {
    reader: &'a StripeReaderId,
}

impl StripeRequest for RetrieveReader<'_> {
    type Output = ReaderView;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, format!("/terminal/readers/{}", self.reader))
    }
}

/// The part of a reader that we read. <https://docs.stripe.com/api/terminal/readers/object>
#[derive(Debug, miniserde::Deserialize)]
struct ReaderView {
    action: Option<Action>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Action {
    status: String,
    failure_code: Option<String>,
    process_payment_intent: Option<Processed>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Processed {
    payment_intent: String,
}

impl ReaderView {
    fn action_for(&self, payment_intent: &StripePaymentIntentId) -> Option<&Action> {
        self.action.as_ref().filter(|action| {
            let processed = action.process_payment_intent.as_ref();
            processed.is_some_and(|processed| processed.payment_intent == payment_intent.0)
        })
    }
}

#[derive(Debug)]
struct RetrievePresent<'a> {
    payment_intent: &'a StripePaymentIntentId,
}

#[derive(Debug, Serialize)]
struct Expand {
    expand: [&'static str; 1],
}

impl StripeRequest for RetrievePresent<'_> {
    type Output = PresentIntent;

    fn build(&self) -> RequestBuilder {
        let path = format!("/payment_intents/{}", self.payment_intent);
        let expand = Expand { expand: ["latest_charge"] };
        RequestBuilder::new(StripeMethod::Get, path).query(&expand)
    }
}

/// A PaymentIntent with its charge.
#[derive(Debug, miniserde::Deserialize)]
struct PresentIntent {
    status: String,
    amount: StripeAmount,
    amount_received: StripeAmount,
    last_payment_error: Option<LastPaymentError>,
    latest_charge: Option<Charge>,
}

#[derive(Debug, miniserde::Deserialize)]
struct Charge {
    created: i64,
}

impl PresentIntent {
    fn presented_at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.latest_charge.as_ref()?.created, 0)
    }
}
