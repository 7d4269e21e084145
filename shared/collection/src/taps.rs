//! Carries the cards at a connector's reader forward: each is asked for, held, given to its session
//! or released; a session that no card came for is stopped and held for a person.
//!
//! Invariant: `authorize-payment` alone does this. Everybody else stores what they know and tells
//! `tap.due`.

use chrono::{DateTime, TimeDelta, Utc};
use messages::{ChargerAction, ChargerCall, Envelope, Event};
use network::StripePaymentIntentId;
use payments::{
    PaymentError, StripeClient,
    reader::{Outcome, Stand, Tap, TapState, Waiting, Why},
};
use quantities::{Amount, ChargePointId, ConnectorId, SessionId};
use runtime::{Invocation, Metric};
use session::{ExceptionReason, ExceptionRecord, Session, SessionState};
use store::{Paired, Saved, Store, StoreError};
use uuid::Uuid;

/// How long a charger is asked to start.
const START_FOR: TimeDelta = TimeDelta::seconds(60);
/// How long a charger is asked to stop.
const STOP_FOR: TimeDelta = TimeDelta::minutes(10);
/// How often Stripe is asked again that does not answer, in seconds.
const ASK_AGAIN_S: i64 = 10;
/// So many changes can be made at a connector at once; what is left is told anew.
const CHANGES_MAX: usize = 24;
/// How often a stand is read that others change meanwhile.
const READS_MAX: u32 = 5;

/// A session was started with a reader's tag: it gets the card that is there, or waits for one.
///
/// # Errors
///
/// When Stripe or the store did not answer, or somebody else changed the stand: the message comes
/// again.
pub async fn arrive(
    store: &Store,
    stripe: &StripeClient,
    session: &Session,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let (charge_point_id, connector_id) = (&session.charge_point_id, session.connector_id);
    let readers = store.readers().await?;
    let reader = readers.iter().find(|reader| reader.serves(charge_point_id, connector_id));
    let window = reader.map(|reader| TimeDelta::seconds(reader.window_s.into()));
    let waiting = Waiting::new(session.id, session.received_at, window);
    while_stale(async || {
        let stand = store.stand(charge_point_id, connector_id).await?;
        let arrived = stand.clone().arrive(waiting.clone());
        if arrived != stand {
            let told = due_at(&arrived, waiting.until, invocation);
            store.save_stand(arrived, &[told], None).await?;
        }
        Ok(())
    })
    .await?;
    advance(store, stripe, charge_point_id, connector_id, invocation).await
}

/// Does all that is to be done at a connector.
///
/// # Errors
///
/// As [`arrive`].
pub async fn advance(
    store: &Store,
    stripe: &StripeClient,
    charge_point_id: &ChargePointId,
    connector_id: ConnectorId,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    while_stale(async || {
        let stand = store.stand(charge_point_id, connector_id).await?;
        advance_once(store, stripe, stand, invocation).await
    })
    .await
}

/// Somebody else changed the stand meanwhile: it is read again and decided anew.
async fn while_stale(mut work: impl AsyncFnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    for _ in 1..READS_MAX {
        match work().await {
            Err(error) if matches!(error.downcast_ref(), Some(StoreError::Stale { .. })) => {}
            done => return done,
        }
    }
    work().await
}

async fn advance_once(
    store: &Store,
    stripe: &StripeClient,
    mut stand: Stand,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let mut asked = Ok(());
    for _ in 0..CHANGES_MAX {
        if let Some(pair) = stand.pair() {
            let event = Event::TapMatched { session_id: pair.session_id };
            let told = envelope(event, invocation);
            stand = match store.pair(stand.clone(), &pair, &told).await? {
                Paired::Paired(stand) => {
                    invocation.session(pair.session_id);
                    invocation.outcome("matched");
                    *stand
                }
                Paired::SessionGone => {
                    store.save_stand(stand.without(pair.session_id), &[], None).await?
                }
            };
            continue;
        }
        let (answer, now) = (ask(stripe, &stand).await, invocation.now());
        let next = match &answer {
            Ok(Some(outcome)) => stand.clone().apply(outcome.clone(), now),
            Ok(None) | Err(_) => stand.clone(),
        };
        // A refusal to say is an answer too, or a session would run on for as long as that lasts.
        let answered = !matches!(&answer, Err(error) if error.is_retryable());
        asked = answer.map(drop);
        // What time does to it does not wait for Stripe.
        let next = next.turn(now);
        if next != stand {
            stand = save(store, &stand, next, invocation).await?;
            continue;
        }
        let Some((next, session_id)) = stand.miss(now, answered) else { break };
        stand = store.save_stand(next, &[], None).await?;
        invocation.session(session_id);
    }
    give_up_missed(store, &stand, invocation).await?;
    match asked {
        // Weather is no failure of the message: it is asked again, and by the sweep.
        Err(error) if crate::is_outage(&error) => {
            store.tell_once(&ask_again(&stand, invocation)).await?;
            invocation.outcome("no answer from Stripe");
            Ok(())
        }
        asked => Ok(asked?),
    }
}

/// The answer to the tap's call, if one is due.
async fn ask(stripe: &StripeClient, stand: &Stand) -> Result<Option<Outcome>, PaymentError> {
    match stand.tap.as_ref().zip(stand.step()) {
        Some((tap, step)) => stripe.at_reader(tap, step).await.map(Some),
        None => Ok(None),
    }
}

/// Stores what became of the tap, with what follows from it.
async fn save(
    store: &Store,
    before: &Stand,
    next: Stand,
    invocation: &Invocation,
) -> Result<Stand, StoreError> {
    let Some(tap) = next.tap.as_ref().filter(|tap| before.tap.as_ref() != Some(tap)) else {
        return store.save_stand(next, &[], None).await;
    };
    let mut told = Vec::new();
    let mut exception = None;
    match &tap.state {
        TapState::OnReader { until } => told.push(due_at(&next, *until, invocation)),
        TapState::Held { at, .. } => {
            told.push(due_at(&next, tap.waits_until(*at), invocation));
            let call = next.pair().is_none().then(|| start_call(tap, invocation)).flatten();
            told.extend(call);
            invocation.outcome("held");
        }
        TapState::Released { why } => {
            exception = match (why, &tap.payment_intent) {
                (Why::NoSession, _) => Some(unmatched(tap, invocation)),
                (Why::Captured { amount }, Some(payment_intent)) => {
                    let charger = &tap.charge_point_id;
                    Some(unused_capture(charger, payment_intent, *amount, invocation))
                }
                _ => None,
            };
            invocation.outcome("released");
        }
        TapState::Releasing { why: Why::Refused { code } } => {
            invocation.count(Metric::Refusals, 1);
            invocation.field("decline", code.as_str());
        }
        _ => {}
    }
    let stand = store.save_stand(next, &told, exception.as_ref()).await?;
    if exception.is_some() {
        invocation.count(Metric::Exceptions, 1);
    }
    Ok(stand)
}

/// Each session that no card came for: one that runs is stopped, and a person is told; one that has
/// ended is held for them.
async fn give_up_missed(
    store: &Store,
    stand: &Stand,
    invocation: &Invocation,
) -> Result<(), StoreError> {
    let mut next = stand.clone();
    for missed in stand.waiting.iter().filter(|waiting| waiting.missed) {
        let session = store.find_session(missed.session_id).await?;
        let Some(session) = session.filter(Session::waits_for_card) else {
            next = next.without(missed.session_id);
            continue;
        };
        let exception = no_card(&session, invocation);
        if session.state == SessionState::Ended {
            store.hold(&session, &exception).await?;
            next = next.without(missed.session_id);
        } else {
            let late = invocation.now() - missed.until;
            let call = Event::ChargerCall(stop_call(&session, late, invocation));
            store.tell_once(&envelope(call, invocation)).await?;
            if store.raise(&exception).await? == Saved::New {
                invocation.count(Metric::Exceptions, 1);
            }
        }
        invocation.outcome("no card presented");
    }
    if next != *stand {
        store.save_stand(next, &[], None).await?;
    }
    Ok(())
}

/// A look at the stand at `moment`, told with the change that makes it worth one.
fn due_at(stand: &Stand, moment: DateTime<Utc>, invocation: &Invocation) -> Envelope {
    let cause = format!("v{}", stand.version.saturating_add(1));
    due(stand, cause, invocation).not_before(moment)
}

/// A look at the stand soon. However many find at a time that Stripe does not answer, they tell of
/// one look.
fn ask_again(stand: &Stand, invocation: &Invocation) -> Envelope {
    let turn = invocation.now().timestamp() / ASK_AGAIN_S + 2;
    let moment = DateTime::from_timestamp(turn * ASK_AGAIN_S, 0).unwrap_or(invocation.now());
    due(stand, format!("again:{turn}"), invocation).not_before(moment)
}

fn due(stand: &Stand, cause: String, invocation: &Invocation) -> Envelope {
    let charge_point_id = stand.charge_point_id.clone();
    let event = Event::TapDue { charge_point_id, connector_id: stand.connector_id, cause };
    envelope(event, invocation)
}

fn start_call(tap: &Tap, invocation: &Invocation) -> Option<Envelope> {
    let id_tag = tap.start_with.clone()?;
    let connector_id = tap.connector_id.0;
    let call = ChargerCall {
        charge_point_id: tap.charge_point_id.clone(),
        unique_id: tap.id.to_string(),
        action: ChargerAction::RemoteStartTransaction { connector_id, id_tag },
        expires_at: invocation.now() + START_FOR,
    };
    Some(envelope(Event::ChargerCall(call), invocation))
}

/// The call that stops a session without a card, `late` after its card was missed: another one as
/// soon as the one before has expired, for it can be lost.
fn stop_call(session: &Session, late: TimeDelta, invocation: &Invocation) -> ChargerCall {
    let number = late.num_seconds() / STOP_FOR.num_seconds();
    let name = format!("stop/{}/no-card/{number}", session.id);
    ChargerCall {
        charge_point_id: session.charge_point_id.clone(),
        unique_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
        action: ChargerAction::RemoteStopTransaction { transaction_id: session.transaction_id.0 },
        expires_at: invocation.now() + STOP_FOR,
    }
}

fn unmatched(tap: &Tap, invocation: &Invocation) -> ExceptionRecord {
    let detail = format!(
        "a card was held at reader {} for connector {}, and no session came for it within {} s; \
         the hold is released",
        tap.reader_id, tap.connector_id, tap.window_s
    );
    let (reason, subject) = (ExceptionReason::UnmatchedTap, tap.id.to_string());
    let raised_at = invocation.now();
    ExceptionRecord::of_message(reason, &tap.charge_point_id, &subject, detail, raised_at)
}

/// Somebody captured at Stripe what no session used: who did that knows why, and whether it is to
/// be given back.
#[must_use]
pub fn unused_capture(
    charge_point_id: &ChargePointId,
    payment_intent: &StripePaymentIntentId,
    amount: Amount,
    invocation: &Invocation,
) -> ExceptionRecord {
    let detail = format!(
        "{amount} was captured at Stripe by {payment_intent}, a hold that no session used; unless \
         it was given back since, refund it in Stripe's dashboard"
    );
    let (reason, subject) = (ExceptionReason::UnusedCapture, payment_intent.to_string());
    let raised_at = invocation.now();
    ExceptionRecord::of_message(reason, charge_point_id, &subject, detail, raised_at)
}

fn no_card(session: &Session, invocation: &Invocation) -> ExceptionRecord {
    let detail =
        "the session was started with a reader's tag, and no card was presented for it in \
                  time"
            .to_owned();
    let reason = ExceptionReason::NoCardPresented;
    ExceptionRecord::of_session(reason, session, detail, invocation.now())
}

fn envelope(event: Event, invocation: &Invocation) -> Envelope {
    Envelope::new(event, invocation.now(), invocation.trace())
}

/// What a session that has got its card goes on with: rating may have left it for want of one.
///
/// # Errors
///
/// When the store did not answer.
pub async fn matched(
    store: &Store,
    session_id: SessionId,
    invocation: &Invocation,
) -> Result<Session, StoreError> {
    let session = store.session(session_id).await?;
    if session.state == SessionState::Ended {
        let event = Event::SessionEnded { session_id };
        store.tell_again(&envelope(event, invocation)).await?;
    }
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_find_that_stripe_does_not_answer_one_look_is_told() {
        let stand = Stand::empty("CP1".parse().unwrap(), ConnectorId(1));
        let told = |seconds: i64| {
            let now = DateTime::from_timestamp(1_772_366_400 + seconds, 0).unwrap();
            let told = ask_again(&stand, &Invocation::at("authorize-payment", "r1", None, now));
            assert!(told.not_before > Some(now + TimeDelta::seconds(ASK_AGAIN_S)));
            told.id
        };
        assert_eq!([told(3), told(9)], [told(0), told(0)]);
        assert_ne!(told(10), told(0));
    }
}
