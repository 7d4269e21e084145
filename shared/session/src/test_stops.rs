//! What a StopTransaction does, whenever it comes: none is dropped, none ends a session twice.

use quantities::WattHours;

use crate::{
    Session, SessionState, StopTransactionEffect,
    test_readings::{ended, running},
};

fn stop(message_id: &str, meter_stop: i64) -> String {
    format!(
        r#"[2,"{message_id}","StopTransaction",{{"transactionId":7,"meterStop":{meter_stop},
            "timestamp":"2026-03-10T17:00:00Z"}}]"#
    )
}

fn effect(session: &Session, message_id: &str, meter_stop: i64) -> StopTransactionEffect {
    session.on_stop(WattHours::from(meter_stop), &stop(message_id, meter_stop))
}

/// Seen in the field: a stop that waited in the charger's queue was dropped because the session
/// had been closed, and the session cost nothing at all.
#[test]
fn a_stop_that_was_queued_ends_a_session_that_the_sweep_has_closed() {
    let closed = Session { state: SessionState::Held, stop_frame: None, ..ended() };
    assert_eq!(effect(&closed, "1", 23_000), StopTransactionEffect::End);
    assert_eq!(effect(&closed, "1", 999), StopTransactionEffect::HoldMeterBackwards);
}

#[test]
fn a_stop_that_comes_again_under_another_message_id_changes_nothing() {
    let first = Session { stop_frame: Some(stop("1", 21_000)), ..ended() };
    assert_eq!(effect(&first, "2", 21_000), StopTransactionEffect::Repeat);
    assert_eq!(effect(&first, "2", 21_001), StopTransactionEffect::Conflict);
}

#[test]
fn a_stop_after_a_persons_decision_is_kept_for_a_person() {
    for state in [SessionState::Rated, SessionState::Waived, SessionState::Ended] {
        let decided = Session { state, billed_by_person: true, stop_frame: None, ..ended() };
        assert_eq!(effect(&decided, "1", 21_000), StopTransactionEffect::Conflict, "{state:?}");
    }
}

#[test]
fn a_stop_at_the_start_reading_ends_a_session_without_energy() {
    assert_eq!(effect(&running(), "1", 1000), StopTransactionEffect::End);
    assert_eq!(effect(&running(), "1", 999), StopTransactionEffect::HoldMeterBackwards);
    assert_eq!(effect(&running(), "1", -1), StopTransactionEffect::HoldMeterBackwards);
}
