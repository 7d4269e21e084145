//! What is swept, and how.

use chrono::TimeDelta;
use messages::{Envelope, Event};
use network::{Entitlement, StartIntent};
use payments::{Payment, reader::Stand};
use runtime::{Invocation, Metric};
use session::{ExceptionReason, ExceptionRecord, Session, SessionState, released_at, timeline};
use store::{End, EndsIn, Store, StoreError};

/// An ended session without a price for this long is stuck: its messages failed.
const PRICED_WITHIN: TimeDelta = TimeDelta::minutes(15);
/// A hold that is being placed for this long is not: a request lives for half a minute, and whoever
/// sends it again does so by now.
const PLACED_WITHIN: TimeDelta = TimeDelta::minutes(10);
/// A payment that was told to be due is told again after this long, if nobody carried it on.
const CARRIED_ON_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// A payment without a price is looked at after this long, and again.
const UNPRICED_FOR: TimeDelta = TimeDelta::hours(6);

/// Sweeps once; gives what failed, so that one bad session stops no other, nor one list that cannot
/// be read the others.
pub(crate) async fn sweep(store: &Store, invocation: &Invocation) -> Vec<String> {
    let mut failures = Vec::new();
    sessions(store, invocation, &mut failures).await;
    for start in listed(store.pending_app_starts().await, "starts from the app", &mut failures) {
        let swept = give_up_if_old(store, &start, invocation).await;
        collect(swept, "a start from the app", &mut failures);
    }
    for intent in listed(store.start_intents().await, "interrupted starts", &mut failures) {
        let swept = give_up_if_interrupted(store, intent, invocation).await;
        collect(swept, "an interrupted start from the app", &mut failures);
    }
    let due = store.due_payments(invocation.now()).await;
    for payment in listed(due, "due payments", &mut failures) {
        let swept = carry_on(store, &payment, CARRIED_ON_WITHIN, invocation).await;
        collect(swept, &format!("payment of {}", payment.session_id), &mut failures);
    }
    let unpriced = store.unpriced_payments(invocation.now() - UNPRICED_FOR).await;
    for payment in listed(unpriced, "payments without a price", &mut failures) {
        let swept = carry_on(store, &payment, TimeDelta::zero(), invocation).await;
        collect(swept, &format!("payment of {}", payment.session_id), &mut failures);
    }
    for stand in listed(store.stands().await, "connectors with readers", &mut failures) {
        let swept = look_again(store, &stand, invocation).await;
        collect(swept, "a connector with a reader", &mut failures);
    }
    failures
}

async fn sessions(store: &Store, invocation: &Invocation, failures: &mut Vec<String>) {
    let mut stuck = 0;
    for session in listed(store.open_sessions().await, "open sessions", failures) {
        let swept = match session.state {
            SessionState::Active => close_if_silent(store, &session, invocation).await,
            SessionState::AwaitingRelease => hold_if_never_free(store, &session, invocation).await,
            SessionState::Ended if is_stuck(&session, invocation) => {
                stuck += 1;
                Ok(())
            }
            _ => Ok(()),
        };
        collect(swept, &session.id.to_string(), failures);
    }
    invocation.count(Metric::StuckSessions, stuck);
}

/// What there is to sweep of one kind; a list that cannot be read is a failure of its own.
fn listed<T>(list: Result<Vec<T>, StoreError>, what: &str, failures: &mut Vec<String>) -> Vec<T> {
    list.unwrap_or_else(|error| {
        failures.push(failure(what, error));
        Vec::new()
    })
}

/// A session that moved on while it was looked at needs no sweeping.
fn collect(swept: Result<(), StoreError>, what: &str, failures: &mut Vec<String>) {
    match swept {
        Ok(()) | Err(StoreError::Stale { .. }) => {}
        Err(error) => failures.push(failure(what, error)),
    }
}

fn failure(what: &str, error: StoreError) -> String {
    format!("{what}: {:#}", anyhow::Error::new(error))
}

async fn close_if_silent(
    store: &Store,
    session: &Session,
    invocation: &Invocation,
) -> Result<(), StoreError> {
    let silent_after = TimeDelta::seconds(session.silent_after_s.into());
    let heard = store.last_heard(session).await?;
    if invocation.now() - heard < silent_after {
        return Ok(());
    }
    let file = store.session_file(session.id).await?;
    let until = file.session.started_at;
    let timeline = timeline(&file.session, &file.meter_values, &[], until, None);
    let detail = format!(
        "the charger was last heard of at {heard}; closed from its last reading, {} Wh at {}",
        timeline.meter_stop.wh(),
        timeline.ended_at
    );
    let exception = ExceptionRecord::of_session(
        ExceptionReason::SilentCharger,
        session,
        detail,
        invocation.now(),
    );
    let end = End {
        ended_at: timeline.ended_at,
        received_at: invocation.now(),
        meter_stop: timeline.meter_stop,
        stop_reason: None,
        stop_frame: None,
    };
    store.end(session, &end, &EndsIn::Hold(exception), None).await?;
    invocation.session(session.id);
    invocation.count(Metric::Exceptions, 1);
    Ok(())
}

async fn hold_if_never_free(
    store: &Store,
    session: &Session,
    invocation: &Invocation,
) -> Result<(), StoreError> {
    let waited_since = session.end_received_at.unwrap_or(session.received_at);
    let waits = TimeDelta::seconds(session.release_wait_s.into());
    if invocation.now() - waited_since < waits {
        return Ok(());
    }
    let (id, connector) = (&session.charge_point_id, session.connector_id);
    let ended_at = session.ended_at.unwrap_or(waited_since);
    let statuses = store.statuses(id, connector, ended_at, invocation.now()).await?;
    if let Some(at) = released_at(ended_at, &statuses) {
        // It was, but the message that said so did not get as far as the session.
        let event = Event::SessionReleased { session_id: session.id };
        let envelope = Envelope::new(event, invocation.now(), invocation.trace());
        store.release(id, connector, session.id, at, &envelope).await?;
        return Ok(());
    }
    let detail = "the connector was not reported free in time after the session".to_owned();
    let reason = ExceptionReason::NeverReleased;
    let exception = ExceptionRecord::of_session(reason, session, detail, invocation.now());
    let exception = exception.distinguished(&invocation.now().to_rfc3339());
    store.hold(session, &exception).await?;
    invocation.session(session.id);
    invocation.count(Metric::Exceptions, 1);
    Ok(())
}

fn is_stuck(session: &Session, invocation: &Invocation) -> bool {
    let since = session.end_received_at.unwrap_or(session.received_at);
    invocation.now() - since > PRICED_WITHIN
}

async fn give_up_if_old(
    store: &Store,
    start: &Entitlement,
    invocation: &Invocation,
) -> Result<(), StoreError> {
    let Some(app_start) = &start.app_start else { return Ok(()) };
    // Its one-time tag expires when the start does; without an expiry it is over at once.
    if start.expires_at.is_some_and(|expires_at| invocation.now() < expires_at) {
        return Ok(());
    }
    let abandoned = app_start.hold.clone().map(|hold| {
        let event = Event::StartAbandoned { id_tag: start.id_tag.clone(), hold };
        Envelope::new(event, invocation.now(), invocation.trace())
    });
    store.abandon_app_start(&start.id_tag, abandoned.as_ref()).await?;
    Ok(())
}

/// What news was to bring, and has not, is looked up.
async fn look_again(
    store: &Store,
    stand: &Stand,
    invocation: &Invocation,
) -> Result<(), StoreError> {
    if stand.is_due(invocation.now()) {
        let (charge_point_id, connector_id) = (stand.charge_point_id.clone(), stand.connector_id);
        let cause = format!("sweep:{}", invocation.now().timestamp());
        let event = Event::TapDue { charge_point_id, connector_id, cause };
        let envelope = Envelope::new(event, invocation.now(), invocation.trace());
        store.tell_once(&envelope).await?;
    }
    Ok(())
}

/// Whether the hold was placed is not known: the event finds out.
async fn give_up_if_interrupted(
    store: &Store,
    intent: StartIntent,
    invocation: &Invocation,
) -> Result<(), StoreError> {
    if invocation.now() - intent.hold.requested_at < PLACED_WITHIN {
        return Ok(());
    }
    let StartIntent { start_id, hold, .. } = intent;
    let event = Event::StartInterrupted { start_id: start_id.clone(), hold };
    let envelope = Envelope::new(event, invocation.now(), invocation.trace());
    store.abandon_start_intent(&start_id, &envelope).await?;
    Ok(())
}

/// Its time has come: a hold that runs out soon, a retry, a link that closed, a call that Stripe
/// did not answer; or a price that it has not heard of for long, if there is one.
async fn carry_on(
    store: &Store,
    payment: &Payment,
    again_after: TimeDelta,
    invocation: &Invocation,
) -> Result<(), StoreError> {
    let Payment { session_id, version, .. } = *payment;
    let event = Event::PaymentDue { session_id, version };
    let envelope = Envelope::new(event, invocation.now(), invocation.trace());
    store.tell_due(payment, invocation.now() + again_after, &envelope).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_cannot_be_read_is_a_failure_and_stops_no_other() {
        let mut failures = Vec::new();
        let error = StoreError::NotFound { what: "index", id: "open".to_owned() };
        assert!(listed::<Session>(Err(error), "open sessions", &mut failures).is_empty());
        assert_eq!(listed(Ok(vec![1, 2]), "due payments", &mut failures), [1, 2]);
        collect(Err(StoreError::Stale { what: "session" }), "a session", &mut failures);
        assert_eq!(failures, ["open sessions: there is no index open"]);
    }
}
