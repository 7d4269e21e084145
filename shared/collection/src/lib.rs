//! Carries a payment forward: the intention is stored, Stripe is asked, the outcome is stored and
//! told, until there is nothing left to ask.
//!
//! Invariant: nothing is asked of Stripe that is not stored first, and nothing happens upon an
//! answer before it is stored; `authorize-payment` and `capture-payment` differ only in what they
//! begin with. Two of them on one payment at once: the store's optimistic lock stops the slower,
//! whose message comes again.

use anyhow::Context as _;
use ledger::JournalEntry;
use messages::{ChargerAction, ChargerCall, Envelope, Event};
use network::Payer;
use payments::{
    DifferenceState, Payment, PaymentState, Step, StripeClient,
    machine::{apply, next_step, request},
};
use quantities::Amount;
use runtime::{Function, Invocation, Metric, Secrets};
use session::Session;
use store::Store;
use uuid::Uuid;

/// How long a charger is asked to stop a session whose hold was refused.
const STOP_FOR: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

/// Stripe, with the function's own secret.
///
/// # Errors
///
/// When the secret cannot be read or the environment names none.
pub async fn stripe(function: &Function) -> anyhow::Result<StripeClient> {
    let secrets = Secrets::new(&function.aws);
    let secret = secrets.stripe(&function.variable("STRIPE_SECRET_NAME")?).await?;
    let base = function.variable("STRIPE_API_BASE")?;
    Ok(StripeClient::new(&secret.api_key, Some(&base))?)
}

/// The payment of a session: the one that is stored, or a new one when the payer's card is known.
/// `None` when nothing is collected by card.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn payment_of(store: &Store, session: &Session) -> anyhow::Result<Option<Payment>> {
    if let Some(payment) = store.payment(session.id).await? {
        return Ok(Some(payment));
    }
    let Payer::Card { customer, payment_method } = session.payer.clone() else { return Ok(None) };
    Ok(Some(match session.placed_hold.clone() {
        Some(hold) => Payment::with_placed_hold(session.id, customer, payment_method, hold),
        None => Payment::new(session.id, customer, payment_method, session.hold),
    }))
}

/// Takes every step that the payment has before it.
///
/// # Errors
///
/// When Stripe or the store did not answer, or somebody else moved the payment: the message comes
/// again and goes on from what is stored, with the same idempotency keys.
pub async fn advance(
    store: &Store,
    stripe: &StripeClient,
    session: &Session,
    payment: Payment,
    invocation: &Invocation,
) -> anyhow::Result<Payment> {
    let mut payment = payment;
    if payment.version == 0 || next_step(&payment).is_none() {
        payment = first_save(store, payment, invocation).await?;
    }
    while let Some(step) = next_step(&payment) {
        let requested = request(payment, &step, invocation.now())?;
        payment = store.save_payment(requested, &[]).await.context("storing the intention")?;
        let outcome = stripe.perform(&payment, &step).await;
        let outcome = outcome.with_context(|| format!("asking Stripe to {}", step.purpose()))?;
        let answered = apply(payment, &step, outcome)?;
        let told = told(session, &answered, &step, invocation)?;
        payment = store.save_payment(answered, &told).await.context("storing the outcome")?;
        count(&payment, &step, invocation);
    }
    Ok(payment)
}

/// Stores a payment that begins with a hold from the app, or has learnt its total and needs no
/// step; others are stored with their first step.
async fn first_save(
    store: &Store,
    payment: Payment,
    invocation: &Invocation,
) -> anyhow::Result<Payment> {
    let placed = payment.version == 0 && payment.state == PaymentState::Held;
    let (session_id, amount) = (payment.session_id, payment.hold);
    let told =
        placed.then(|| envelope(Event::PaymentAuthorized { session_id, amount }, invocation));
    let told: Vec<_> = told.into_iter().collect();
    Ok(store.save_payment(payment, &told).await?)
}

/// What the outcome of a step tells others.
fn told(
    session: &Session,
    payment: &Payment,
    step: &Step,
    invocation: &Invocation,
) -> anyhow::Result<Vec<Envelope>> {
    let session_id = payment.session_id;
    let code = || {
        let refusal = payment.refusal.as_ref();
        refusal.map_or("unknown", payments::Refusal::reason).to_owned()
    };
    let events = match (step, payment.state, payment.difference) {
        (Step::PlaceHold { amount }, PaymentState::Held, _) => {
            vec![Event::PaymentAuthorized { session_id, amount: *amount }]
        }
        (Step::PlaceHold { .. }, _, _) => {
            let refused = Event::PaymentRefused { session_id, code: code() };
            vec![refused, Event::ChargerCall(stop_call(session, invocation))]
        }
        (Step::Capture { amount }, PaymentState::Captured, _) => {
            let payment_intent = payment.payment_intent.clone();
            vec![captured(payment, payment_intent, *amount, invocation)?]
        }
        (Step::ChargeDifference { amount }, _, DifferenceState::Paid) => {
            let payment_intent = payment.difference_payment_intent.clone();
            vec![captured(payment, payment_intent, *amount, invocation)?]
        }
        (Step::ChargeDifference { amount }, _, _) => {
            vec![Event::PaymentOwed { session_id, amount: *amount, code: code() }]
        }
        (Step::CancelHold, _, _) => vec![Event::PaymentReleased { session_id }],
        // The hold was lost: the machine charges the whole amount next, and that is told.
        (Step::Capture { .. }, _, _) => vec![],
    };
    Ok(events.into_iter().map(|event| envelope(event, invocation)).collect())
}

fn captured(
    payment: &Payment,
    payment_intent: Option<network::StripePaymentIntentId>,
    amount: Amount,
    invocation: &Invocation,
) -> anyhow::Result<Event> {
    let payment_intent = payment_intent.context("money was taken by no PaymentIntent")?;
    let id = format!("capture:{payment_intent}");
    let journal = JournalEntry::capture(id, invocation.now(), amount)?;
    let session_id = payment.session_id;
    Ok(Event::PaymentCaptured { session_id, payment_intent, amount, journal })
}

/// The call that stops a session nobody can pay for.
fn stop_call(session: &Session, invocation: &Invocation) -> ChargerCall {
    let name = format!("stop/{}", session.id);
    ChargerCall {
        charge_point_id: session.charge_point_id.clone(),
        unique_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
        action: ChargerAction::RemoteStopTransaction { transaction_id: session.transaction_id.0 },
        expires_at: invocation.now() + STOP_FOR,
    }
}

fn envelope(event: Event, invocation: &Invocation) -> Envelope {
    Envelope::new(event, invocation.now(), invocation.trace())
}

fn count(payment: &Payment, step: &Step, invocation: &Invocation) {
    match step {
        Step::PlaceHold { .. } if payment.state != PaymentState::Held => {
            invocation.count(Metric::Refusals, 1);
        }
        Step::Capture { amount } if payment.state == PaymentState::Captured => {
            invocation.count_money(Metric::CapturedMinor, *amount);
        }
        Step::ChargeDifference { amount } if payment.difference == DifferenceState::Paid => {
            invocation.count_money(Metric::CapturedMinor, *amount);
        }
        Step::ChargeDifference { .. } => invocation.count(Metric::FailedCaptures, 1),
        _ => {}
    }
    invocation.outcome(step.purpose());
}
