//! Carries a payment forward: the intention is stored, Stripe is asked, the outcome is stored and
//! told, until there is nothing left to ask.
//!
//! Invariant: nothing is asked of Stripe that is not stored first, and nothing happens upon an
//! answer before it is stored. [`advance`] asks Stripe, and only `authorize-payment` and
//! `capture-payment` run it; everybody else uses [`change`], which has `capture-payment` go on. Two
//! of them on one payment at once: the store's optimistic lock stops the slower, who begins anew
//! from what is stored.

mod told;

pub mod taps;

use anyhow::Context as _;
use messages::{ChargerAction, ChargerCall, Envelope, Event};
use network::Payer;
use payments::{
    MoneyError, Payment, PaymentError, StripeClient,
    money::{
        Card, Outcome, Step, StuckWhy, apply, give_up_on, request, stop_if_uncovered, stopped,
        watched,
    },
};
use quantities::SessionId;
use runtime::{Function, Invocation, Metric, Secrets};
use session::{ExceptionReason, ExceptionRecord, Session};
use store::{Store, StoreError};
use uuid::Uuid;

pub use told::told;

/// How long a charger is asked to stop a session that no hold covers.
const STOP_FOR: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
/// A call that Stripe has not answered so often waits for the sweep; before, the queue repeats it.
const QUICK_TRIES_MAX: u32 = 3;
/// How often a change is made anew because somebody else was faster.
const CHANGES_MAX: u32 = 5;

/// Stripe, with the function's own secret.
///
/// # Errors
///
/// When the secret cannot be read or the environment names none.
pub async fn stripe(function: &Function) -> anyhow::Result<StripeClient> {
    let secrets = Secrets::new(&function.aws);
    let secret = secrets.stripe(&function.variable("STRIPE_SECRET_NAME")?).await?;
    let base = function.variable("STRIPE_API_BASE")?;
    let stripe = StripeClient::new(&secret.api_key, Some(&base))?;
    Ok(stripe.with_return_url(&function.variable("DRIVER_APP_URL")?))
}

/// Makes `change` to the payment of a session, and takes every step that it has before it then.
/// `None` when nothing is collected by card.
///
/// When Stripe is out the payment is left with its call pending: it is looked at again later and
/// later, and `GET /operator/payments` shows it. When no repeat could help, the payment says that
/// it is stuck and why, and a person is told, once.
///
/// # Errors
///
/// When Stripe did not answer for the first times, when the store did not, or somebody else moved
/// the payment: the message comes again and goes on from what is stored, with the same idempotency
/// keys. [`MoneyError`] of `change`.
pub async fn advance(
    store: &Store,
    stripe: &StripeClient,
    session: &Session,
    invocation: &Invocation,
    change: impl FnOnce(Payment) -> Result<Payment, MoneyError>,
) -> anyhow::Result<Option<Payment>> {
    let now = invocation.now();
    let mut stored = store.payment(session.id).await?;
    let Some(first) = stored.clone().or_else(|| begun(session)) else { return Ok(None) };
    // What has ended needs no stop; it can still cost more until the connector is free.
    let runs = session.ended_at.is_none();
    let settle = |payment| {
        let payment = watched(payment, now);
        if runs { stop_if_uncovered(payment, now) } else { stopped(payment) }
    };
    let mut payment = settle(change(first)?);
    loop {
        // An outcome is stored together with the intention that follows it.
        let (next, step) = match request(payment.clone(), now) {
            Some((requested, step)) => (requested, Some(step)),
            None => (payment, None),
        };
        payment = save(store, session, stored.as_ref(), next, invocation).await?;
        let Some(step) = step else { return Ok(Some(payment)) };
        let outcome = match stripe.carry_out(&payment, &step).await {
            Ok(outcome) => outcome,
            Err(error) if is_outage(&error) && tries(&payment) >= QUICK_TRIES_MAX => {
                invocation.count(Metric::WaitingPayments, 1);
                invocation.outcome("waiting for Stripe");
                let waiting = settle(payment.clone());
                return save(store, session, Some(&payment), waiting, invocation).await.map(Some);
            }
            Err(error) if is_outage(&error) => {
                let asked = format!("asking Stripe for {}", step.purpose());
                return Err(anyhow::Error::from(error).context(asked));
            }
            Err(error) => {
                let why = error.stuck();
                return stick(store, session, payment, why, &settle, invocation).await.map(Some);
            }
        };
        if matches!(&outcome, Outcome::Refused { refusal } if refusal.is_rejection()) {
            invocation.count(Metric::RejectedCalls, 1);
        }
        stored = Some(payment.clone());
        let applied = apply(payment.clone(), &step, outcome, now).map(&settle);
        // What cannot be booked cannot be stored either.
        let fits = applied.map_err(|error| error.to_string()).and_then(|after| {
            let told = told(Some(&payment), &after, now);
            told.map(|_| after).map_err(|error| error.to_string())
        });
        payment = match fits {
            Ok(after) => after,
            Err(what) => {
                let why = StuckWhy::Unfit { what };
                return stick(store, session, payment, why, &settle, invocation).await.map(Some);
            }
        };
        log(&payment, &step, invocation);
    }
}

/// Whether it is weather: nothing is wrong with the payment, and all others fare the same.
const fn is_outage(error: &PaymentError) -> bool {
    error.is_retryable() || error.is_of_account()
}

/// Stores that a payment is stuck, with the exception for the person who looks at it.
async fn stick(
    store: &Store,
    session: &Session,
    payment: Payment,
    why: StuckWhy,
    settle: impl Fn(Payment) -> Payment,
    invocation: &Invocation,
) -> anyhow::Result<Payment> {
    let now = invocation.now();
    let step = payment.pending.as_ref().map(|pending| pending.step.purpose()).unwrap_or_default();
    let detail = format!(
        "the payment does not go on: {step}: {why}; nothing more is tried before \
         POST /operator/payments/{}/collect",
        session.id
    );
    let reason = ExceptionReason::PaymentStuck;
    let exception = ExceptionRecord::of_session(reason, session, detail, now);
    let after = settle(give_up_on(payment.clone(), why, now));
    let events = events(session, Some(&payment), &after, invocation)?;
    let stored = store.save_stuck_payment(after, now, &events, &exception).await;
    let stored = stored.context("storing that the payment is stuck")?;
    invocation.count(Metric::Exceptions, 1);
    invocation.outcome("stuck");
    Ok(stored)
}

/// A payment before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// As it was stored.
    pub before: Payment,
    /// As it is stored now: the same, if the change changed nothing.
    pub after: Payment,
}

/// Why a payment was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The payment cannot move so.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The store did not take it, or somebody else was faster each time.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it books does not balance.
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
}

/// Makes `change` to the stored payment of a session, tells what that tells, and that the payment
/// is due: `capture-payment` takes the steps that follow. `None` when there is no payment.
///
/// # Errors
///
/// [`ChangeError`].
pub async fn change(
    store: &Store,
    session_id: SessionId,
    invocation: &Invocation,
    change: impl Fn(Payment) -> Result<Payment, MoneyError>,
) -> Result<Option<Changed>, ChangeError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let Some(before) = store.payment(session_id).await? else { return Ok(None) };
        let after = change(before.clone())?;
        if after == before {
            return Ok(Some(Changed { before, after }));
        }
        let mut events = told(Some(&before), &after, invocation.now())?;
        events.push(Event::PaymentDue { session_id, version: before.version + 1 });
        let envelopes = enveloped(events, invocation);
        match store.save_payment(after, invocation.now(), &envelopes).await {
            Ok(after) => {
                count(Some(&before), &after, invocation);
                return Ok(Some(Changed { before, after }));
            }
            Err(StoreError::Stale { .. }) if attempt < CHANGES_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// How often the call in progress was tried.
fn tries(payment: &Payment) -> u32 {
    payment.pending.as_ref().map_or(0, |pending| pending.attempt)
}

/// A new payment of a session, when its payer's card is known, or was presented at a reader.
fn begun(session: &Session) -> Option<Payment> {
    let placed = session.placed_hold.clone();
    let card = match session.payer.clone() {
        Payer::Card { customer, payment_method } => Card::Saved { customer, payment_method },
        Payer::Reader if placed.is_some() => Card::Present,
        _ => return None,
    };
    let policy = session.payment_policy.clone();
    Some(match placed {
        Some(hold) => Payment::with_placed_hold(session.id, card, hold, policy),
        None => Payment::new(session.id, card, session.hold, policy),
    })
}

/// Stores what changed, with what that tells.
async fn save(
    store: &Store,
    session: &Session,
    before: Option<&Payment>,
    after: Payment,
    invocation: &Invocation,
) -> anyhow::Result<Payment> {
    if before == Some(&after) {
        return Ok(after);
    }
    let envelopes = events(session, before, &after, invocation)?;
    let stored = store.save_payment(after, invocation.now(), &envelopes).await;
    let stored = stored.context("storing the payment")?;
    count(before, &stored, invocation);
    Ok(stored)
}

/// What the change tells, and what it has others do.
fn events(
    session: &Session,
    before: Option<&Payment>,
    after: &Payment,
    invocation: &Invocation,
) -> anyhow::Result<Vec<Envelope>> {
    let mut events = told(before, after, invocation.now())?;
    if after.stops > before.map_or(0, |before| before.stops) {
        events.push(Event::ChargerCall(stop_call(session, after.stops, invocation)));
    }
    let mut envelopes = enveloped(events, invocation);
    envelopes.extend(next_look(before, after, invocation));
    Ok(envelopes)
}

fn enveloped(events: Vec<Event>, invocation: &Invocation) -> Vec<Envelope> {
    let envelope = |event| Envelope::new(event, invocation.now(), invocation.trace());
    events.into_iter().map(envelope).collect()
}

/// The look that the change makes due.
fn next_look(
    before: Option<&Payment>,
    after: &Payment,
    invocation: &Invocation,
) -> Option<Envelope> {
    let at = after.look_at?;
    if before.is_some_and(|before| before.look_at == after.look_at) {
        return None;
    }
    let number = after.looks.saturating_add(1);
    let event = Event::SessionWatched { session_id: after.session_id, number };
    Some(Envelope::new(event, invocation.now(), invocation.trace()).not_before(at))
}

/// The call that stops a session that no hold covers; each time it is another.
fn stop_call(session: &Session, number: u32, invocation: &Invocation) -> ChargerCall {
    let name = format!("stop/{}/{number}", session.id);
    ChargerCall {
        charge_point_id: session.charge_point_id.clone(),
        unique_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
        action: ChargerAction::RemoteStopTransaction { transaction_id: session.transaction_id.0 },
        expires_at: invocation.now() + STOP_FOR,
    }
}

fn count(before: Option<&Payment>, after: &Payment, invocation: &Invocation) {
    for taken in told::newly_taken(before, after) {
        invocation.count_money(Metric::CapturedMinor, taken.amount);
    }
    if after.hold_refused && !before.is_some_and(|before| before.hold_refused) {
        invocation.count(Metric::Refusals, 1);
    }
    let tried = |payment: &Payment| payment.debt.as_ref().map_or(0, |debt| debt.attempts);
    if tried(after) > before.map_or(0, tried) {
        invocation.count(Metric::FailedCaptures, 1);
    }
}

fn log(payment: &Payment, step: &Step, invocation: &Invocation) {
    invocation.outcome(&step.purpose());
    if let Some(refusal) = &payment.refusal {
        invocation.field("decline", refusal.reason());
    }
}
