//! What has happened in a session that is not over, by the charger's own clock.

use chrono::{DateTime, TimeDelta, Utc};
use network::Charger;
use ocpp::MeterValuesRequest;

use crate::{Session, StatusChange, Timeline, clock::AHEAD_MAX, released_at, timeline};

/// The timeline of `session` until `now`, by our clock: what its cost so far is the price of.
///
/// Time runs by the charger's clock: as it was in its newest message, and on from when that came.
/// So a session whose messages were queued offline, and one that is played again, cost what they
/// would have cost then.
///
/// While a vehicle stands at the connector of an ended session, idle time runs on if the tariff
/// `has_idle_fee`. The rest is as in [`timeline`](timeline()).
#[must_use]
pub fn so_far(
    session: &Session,
    meter_values: &[(DateTime<Utc>, String)],
    statuses: &[StatusChange],
    now: DateTime<Utc>,
    has_idle_fee: bool,
    charger: Option<&Charger>,
) -> Timeline {
    let now = charger_time(session, meter_values, now);
    let timeline = timeline(session, meter_values, statuses, now, charger);
    let released_at = match session.ended_at {
        Some(ended_at) if has_idle_fee => {
            Some(released_at(ended_at, statuses).unwrap_or_else(|| now.max(ended_at)))
        }
        _ => timeline.released_at,
    };
    Timeline { released_at, ..timeline }
}

/// What the charger's clock says at `now`: the message that was least on its way tells how far it
/// is ahead of ours. One that is further ahead than the start, and than a clock may be, was stamped
/// by a wrong clock and tells nothing.
fn charger_time(
    session: &Session,
    meter_values: &[(DateTime<Utc>, String)],
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let start = session.started_at - session.received_at;
    let end = session.stop_frame.as_ref().and(session.ended_at).zip(session.end_received_at);
    let end = end.map(|(stamped, arrived)| stamped - arrived);
    let ahead = |(arrived, frame): &(DateTime<Utc>, String)| -> Option<TimeDelta> {
        let call = ocpp::read_call::<MeterValuesRequest>(frame).ok()?;
        let stamped = call.request.meter_value.iter().map(|value| value.timestamp).max()?;
        Some(stamped - *arrived)
    };
    let readings = meter_values.iter().filter_map(ahead);
    let believed = readings.chain(end).filter(|ahead| *ahead <= start.max(AHEAD_MAX));
    let ahead = believed.max().map_or(start, |newest| newest.max(start));
    now.checked_add_signed(ahead).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ConnectorStatus,
        test_readings::{at, ended, running, wh},
    };

    fn ends(meter_values: &[(DateTime<Utc>, String)], now: &str) -> DateTime<Utc> {
        so_far(&running(), meter_values, &[], at(now), false, None).ended_at
    }

    /// That reading, come when `arrived`.
    fn told(arrived: DateTime<Utc>, time: &str, energy: i64) -> (DateTime<Utc>, String) {
        (arrived, wh(time, energy).1)
    }

    #[test]
    fn a_session_that_is_told_as_it_happens_has_lasted_until_now() {
        assert_eq!(ends(&[], "16:20"), at("16:20"));
        assert_eq!(ends(&[wh("16:15", 4000)], "16:20"), at("16:20"));
    }

    #[test]
    fn a_session_that_is_played_again_has_lasted_until_its_newest_reading_and_on_from_there() {
        let half_a_year = TimeDelta::days(180);
        let played = |second| at("16:00") + half_a_year + TimeDelta::seconds(second);
        let session = Session { received_at: played(0), ..running() };
        let frames = [told(played(1), "16:15", 4000), told(played(2), "16:30", 8000)];
        let now = played(5);
        let timeline = so_far(&session, &frames, &[], now, false, None);
        assert_eq!(timeline.ended_at, at("16:30") + TimeDelta::seconds(3));
        // A repeat tells nothing new, and takes nothing back.
        let repeated = [&frames[..], &[told(played(4), "16:15", 4000)]].concat();
        assert_eq!(so_far(&session, &repeated, &[], now, false, None).ended_at, timeline.ended_at);
    }

    #[test]
    fn a_reading_of_a_wrong_clock_does_not_move_time() {
        let wrong = told(at("16:10"), "19:00", 4000);
        assert_eq!(charger_time(&running(), &[wrong], at("16:20")), at("16:20"));
        // Whoever was as far ahead from the start on is only ahead.
        let ahead = Session { received_at: at("13:10"), ..running() };
        let readings = [told(at("13:25"), "16:15", 4000)];
        assert_eq!(charger_time(&ahead, &readings, at("13:30")), at("16:20"));
    }

    fn released(session: &Session, idle_fee: bool, free: Option<&str>) -> Option<DateTime<Utc>> {
        let status = ConnectorStatus::Available;
        let statuses: Vec<_> =
            free.map(|time| StatusChange { at: at(time), status }).into_iter().collect();
        so_far(session, &[], &statuses, at("17:30"), idle_fee, None).released_at
    }

    #[test]
    fn the_idle_fee_of_an_ended_session_runs_until_the_vehicle_leaves() {
        let (running, ended) = (running(), ended());
        assert_eq!(released(&ended, true, None), Some(at("17:30")), "it still stands there");
        assert_eq!(released(&ended, true, Some("17:20")), Some(at("17:20")));
        assert_eq!(released(&ended, false, None), None, "standing there costs nothing");
        assert_eq!(released(&running, true, None), None, "it still charges");
    }
}
