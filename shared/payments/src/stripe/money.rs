//! The calls that the steps of [`crate::money`] stand for.

#[cfg(test)]
mod tests;
mod wire;

use chrono::{DateTime, Utc};
use network::{HoldRef, StripePaymentIntentId};
use quantities::Amount;

use self::wire::{Checkout, Expire, HeldIntent, Increment, MakeCheckout, MakeRefund, Refunds};
use super::{
    CaptureOutcome, ChargeOutcome, Made, OffSession, PaymentError, Reference, ReleaseOutcome,
    StripeAmount, StripeClient, failure::Failure, numbered,
};
use crate::{
    Refusal,
    money::{Card, Hold, HoldTerms, Outcome, Payment, Refund, Step},
};

impl StripeClient {
    /// Makes the one call that `step` stands for and gives the outcome to
    /// [`apply`](crate::money::apply). `payment` is the record that was stored with the intention
    /// ([`request`](crate::money::request)).
    ///
    /// # Errors
    ///
    /// [`PaymentError`].
    pub async fn carry_out(&self, payment: &Payment, step: &Step) -> Result<Outcome, PaymentError> {
        let number = payment.pending.as_ref().map_or(1, |pending| pending.attempt);
        let stripe = self.at_try(number);
        stripe.within("carry out a step", stripe.make(payment, step)).await
    }

    async fn make(&self, payment: &Payment, step: &Step) -> Result<Outcome, PaymentError> {
        let reference = Reference::Session(payment.session_id);
        let purpose = step.purpose();
        let key = reference.key(&purpose);
        match *step {
            Step::PlaceHold { amount, .. } => {
                let made = self
                    .create(&reference, &purpose, off_session(payment, amount)?, "manual")
                    .await?;
                self.held(made, amount).await
            }
            Step::RaiseHold { number, amount, .. } => {
                self.raise(&key, &hold(payment, number)?.payment_intent, amount).await
            }
            Step::Capture { number, amount, .. } => {
                let Hold { payment_intent, terms, .. } = hold(payment, number)?;
                Ok(match self.capture(&key, payment_intent, amount, terms.amount).await? {
                    CaptureOutcome::Captured(amount) => Outcome::Captured { amount },
                    CaptureOutcome::HoldLost => Outcome::HoldLost,
                    CaptureOutcome::Refused(refusal) => Outcome::Refused { refusal },
                })
            }
            Step::CancelHold { number } => {
                let held = &hold(payment, number)?.payment_intent;
                Ok(match self.end_hold(&key, held, payment.wanted.currency).await? {
                    ReleaseOutcome::Released => Outcome::Canceled,
                    ReleaseOutcome::Captured(amount) => Outcome::Captured { amount },
                })
            }
            Step::ChargeDifference { amount, .. } => {
                let made =
                    self.create(&reference, &purpose, off_session(payment, amount)?, "automatic");
                Ok(match super::charged(made.await?)? {
                    ChargeOutcome::Charged { payment_intent } => {
                        Outcome::Charged { payment_intent }
                    }
                    ChargeOutcome::Refused { refusal, .. } => Outcome::Refused { refusal },
                })
            }
            Step::MakePayLink { amount, .. } => self.make_link(payment, &purpose, amount).await,
            Step::ExpirePayLink { number } => self.expire_link(payment, &key, number).await,
            Step::Refund { number } => self.refund(payment, &purpose, number).await,
        }
    }

    /// A hold with what its charge says can be done with it.
    async fn held(&self, made: Made, amount: Amount) -> Result<Outcome, PaymentError> {
        let intent = match made {
            Made::Intent(intent) => intent,
            Made::Refused { refusal, .. } => return Ok(Outcome::Refused { refusal }),
        };
        let payment_intent = intent.id();
        if intent.status == "requires_capture" {
            let terms = self.read_held("place hold", &payment_intent).await?.terms(amount)?;
            return Ok(Outcome::Held { payment_intent, terms });
        }
        // Gone meanwhile: it was held, and what became of it the next step finds out.
        if matches!(intent.status.as_str(), "succeeded" | "canceled") {
            return Ok(Outcome::Held { payment_intent, terms: HoldTerms::plain(amount) });
        }
        match intent.refusal() {
            Some(refusal) => Ok(Outcome::Refused { refusal }),
            None => Err(intent.unexpected("place hold")),
        }
    }

    /// A hold that was placed before its session began, with what can be done with it.
    pub(super) async fn hold_ref(
        &self,
        payment_intent: StripePaymentIntentId,
        amount: Amount,
    ) -> Result<HoldRef, PaymentError> {
        let terms = self.read_held("place hold", &payment_intent).await?.terms(amount)?;
        let HoldTerms { amount, most, capture_before, raisable } = terms;
        Ok(HoldRef { payment_intent, amount, most: Some(most), capture_before, raisable })
    }

    async fn read_held(
        &self,
        call: &'static str,
        payment_intent: &StripePaymentIntentId,
    ) -> Result<HeldIntent, PaymentError> {
        let read = self.send(call, None, &wire::RetrieveHeld { payment_intent }).await;
        read.map_err(|failure| failure.into_error(call))
    }

    /// Raises a hold to `amount`. Refused, the hold stands as it was.
    ///
    /// <https://docs.stripe.com/api/payment_intents/increment_authorization>
    async fn raise(
        &self,
        key: &str,
        payment_intent: &StripePaymentIntentId,
        amount: Amount,
    ) -> Result<Outcome, PaymentError> {
        let call = "raise hold";
        let sent = StripeAmount::of(amount)?;
        let increment = Increment::new(payment_intent, sent);
        for attempt in 1..=self.keys_max {
            let key = numbered(key.to_owned(), attempt);
            let failure = match self.send(call, Some(&key), &increment).await {
                Ok(intent) => return Ok(Outcome::Raised { terms: intent.terms(amount)? }),
                Err(Failure::Refused { refusal, .. }) => return Ok(Outcome::Refused { refusal }),
                // Rejected is also what was raised under a key that Stripe has forgotten.
                Err(failure) => failure.worth_a_look(call)?,
            };
            let intent = self.read_held(call, payment_intent).await?;
            match intent.status.as_str() {
                "canceled" => return Ok(Outcome::HoldLost),
                "succeeded" => {
                    let amount = intent.amount_received.exactly(amount.currency)?;
                    return Ok(Outcome::Captured { amount });
                }
                "requires_capture" if intent.amount == sent => {
                    return Ok(Outcome::Raised { terms: intent.terms(amount)? });
                }
                // The hold stands as it was, and can be raised no more.
                "requires_capture" if let Some(refusal) = no_more(&failure) => {
                    return Ok(Outcome::Refused { refusal });
                }
                _ => failure.another_key(call)?,
            }
        }
        Err(PaymentError::unknown(call))
    }

    /// Opens a page where the driver pays. One that was made and not told of is shown to nobody,
    /// and closes by itself within a day.
    ///
    /// <https://docs.stripe.com/api/checkout/sessions/create>
    async fn make_link(
        &self,
        payment: &Payment,
        purpose: &str,
        amount: Amount,
    ) -> Result<Outcome, PaymentError> {
        let call = "make pay link";
        let reference = Reference::Session(payment.session_id);
        let return_url = self.return_url.as_deref().ok_or(PaymentError::Configuration)?;
        let make = MakeCheckout::new(&reference, purpose, &payment.card, amount, return_url)?;
        for attempt in 1..=self.keys_max {
            let key = numbered(reference.key(purpose), attempt);
            match self.send(call, Some(&key), &make).await {
                Ok(page) => return page.made(call),
                Err(failure) => match failure.refusal() {
                    Some(refusal) => return Ok(Outcome::Refused { refusal }),
                    None => failure.another_key(call)?,
                },
            }
        }
        Err(PaymentError::unknown(call))
    }

    /// Closes a page, or finds that it was paid on.
    ///
    /// <https://docs.stripe.com/api/checkout/sessions/expire>
    async fn expire_link(
        &self,
        payment: &Payment,
        key: &str,
        number: u32,
    ) -> Result<Outcome, PaymentError> {
        let call = "expire pay link";
        let link = payment.links.iter().find(|link| link.number == number);
        let id = &link.ok_or_else(|| missing(payment, "pay link"))?.id;
        for attempt in 1..=self.keys_max {
            let key = numbered(key.to_owned(), attempt);
            let failure = match self.send(call, Some(&key), &Expire { id }).await {
                Ok(page) => return page.closed().ok_or(PaymentError::unknown(call)),
                Err(failure) => failure.worth_a_look(call)?,
            };
            // Refused because it is not open any more, or not known: where it stands decides.
            let read = self.send(call, None, &Checkout { id }).await;
            let page = read.map_err(|failure| failure.into_error(call))?;
            match page.closed() {
                Some(outcome) => return Ok(outcome),
                None => failure.another_key(call)?,
            }
        }
        Err(PaymentError::unknown(call))
    }

    /// Gives money back, once for the refund's number.
    ///
    /// <https://docs.stripe.com/api/refunds/create>
    async fn refund(
        &self,
        payment: &Payment,
        purpose: &str,
        number: u32,
    ) -> Result<Outcome, PaymentError> {
        let call = "refund";
        let reference = Reference::Session(payment.session_id);
        let refund = payment.refunds.iter().find(|refund| refund.number == number);
        let refund = refund.ok_or_else(|| missing(payment, "refund"))?;
        let since = payment.pending.as_ref().map(|pending| pending.since);
        if since.is_some_and(|at| super::failure::now() - at > super::KEY_LIFE)
            && let Some(known) = self.refunded(&reference, purpose, refund).await?
        {
            return Ok(known);
        }
        let Refund { payment_intent, amount, .. } = refund;
        let asked = MakeRefund::new(&reference, purpose, payment_intent, *amount)?;
        for attempt in 1..=self.keys_max {
            let key = numbered(reference.key(purpose), attempt);
            let failure = match self.send(call, Some(&key), &asked).await {
                Ok(made) => return Ok(made.outcome()),
                Err(failure) => failure.worth_a_look(call)?,
            };
            // Whatever is said against it: an earlier request may have made it.
            if let Some(known) = self.refunded(&reference, purpose, refund).await? {
                return Ok(known);
            }
            match less_is_left(&failure).or_else(|| failure.refusal()) {
                Some(refusal) => return Ok(Outcome::Refused { refusal }),
                None => failure.another_key_for(call, since)?,
            }
        }
        Err(PaymentError::unknown(call))
    }

    /// What became of a refund that was made before, if it was.
    async fn refunded(
        &self,
        reference: &Reference,
        purpose: &str,
        refund: &Refund,
    ) -> Result<Option<Outcome>, PaymentError> {
        let call = "list refunds";
        let known = self.send(call, None, &Refunds::of(&refund.payment_intent)).await;
        let known = known.map_err(|failure| failure.into_error(call))?;
        Ok(known.find(reference, purpose).map(|made| made.outcome()))
    }
}

/// Why a hold cannot be raised, if it is not the call that went wrong.
fn no_more(failure: &Failure) -> Option<Refusal> {
    match failure {
        // It was raised as often as Stripe allows.
        Failure::State => Some(wire::refusal("increments_exhausted")),
        rejected => rejected.refusal(),
    }
}

/// That somebody gave back at Stripe what was to be given back here. Its code comes with the
/// parameter, or not.
fn less_is_left(failure: &Failure) -> Option<Refusal> {
    match failure {
        Failure::State => Some(wire::refusal("payment_intent_unexpected_state")),
        Failure::Bug(PaymentError::Rejected { status: 400, param, .. }) if param == "amount" => {
            Some(wire::refusal("amount_too_large"))
        }
        _ => None,
    }
}

fn hold(payment: &Payment, number: u32) -> Result<&Hold, PaymentError> {
    let mut holds = payment.hold.iter().chain(&payment.to_release);
    holds.find(|hold| hold.number == number).ok_or_else(|| missing(payment, "hold"))
}

/// The saved card, for a write of the pending step.
fn off_session(payment: &Payment, amount: Amount) -> Result<OffSession<'_>, PaymentError> {
    let Card::Saved { customer, payment_method } = &payment.card else {
        return Err(missing(payment, "saved card"));
    };
    let requested_at = payment.pending.as_ref().map(|pending| pending.since);
    Ok(OffSession { customer, payment_method, amount, requested_at })
}

const fn missing(payment: &Payment, what: &'static str) -> PaymentError {
    PaymentError::Missing { session_id: payment.session_id, what }
}

impl HeldIntent {
    /// What its charge says; what it does not say, it does not allow.
    fn terms(&self, asked: Amount) -> Result<HoldTerms, PaymentError> {
        let plain = HoldTerms::plain(self.amount.exactly(asked.currency)?);
        if let Some(present) = self.card_present() {
            return Ok(HoldTerms {
                capture_before: present.capture_before.and_then(at),
                raisable: present.incremental_authorization_supported == Some(true),
                ..plain
            });
        }
        let Some(card) = self.card() else { return Ok(plain) };
        let over = card.overcapture.as_ref().filter(|over| over.status == "available");
        let most = over.map_or(self.amount, |over| over.maximum_amount_capturable);
        let raise = card.incremental_authorization.as_ref();
        Ok(HoldTerms {
            most: most.at_most(asked.currency)?,
            capture_before: card.capture_before.and_then(at),
            raisable: raise.is_some_and(|raise| raise.status == "available"),
            ..plain
        })
    }
}

fn at(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}
