//! Whether a charger's clock can be believed: what its messages are stamped with, against when
//! they came.
//!
//! A message that was queued offline comes long after its time, so a time in the past proves
//! nothing; a time in the future, and a register that rises while the times fall, do.

use chrono::{DateTime, TimeDelta, Utc};
use quantities::WattHours;

use crate::{FindingCode, Findings, Session};

/// How far a charger's clock may be from ours, or move, before it is worth telling.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// How far ahead a start or an end may be and still be billed by the charger's own time. Local
/// time that is sent as UTC is 30 minutes ahead or more, less what the message took.
pub(crate) const AHEAD_MAX: TimeDelta = TimeDelta::minutes(20);

/// OCPP 1.6 is of 2015 and this program of later: a clock before this moment was never set.
/// Clocks begin at 1970 or 2000.
const NEVER_SET_BEFORE: DateTime<Utc> = match DateTime::from_timestamp(1_577_836_800, 0) {
    Some(at) => at,
    None => DateTime::UNIX_EPOCH,
};

/// A message of the charger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Message {
    /// When it came, by our clock.
    pub(crate) arrived: DateTime<Utc>,
    /// When its newest reading was taken, by the charger's.
    pub(crate) stamped: DateTime<Utc>,
    /// That reading.
    pub(crate) energy: Option<WattHours>,
}

impl Message {
    fn ahead(&self) -> TimeDelta {
        self.stamped - self.arrived
    }
}

/// Notes what the session's start, MeterValues and end say about the clock.
pub(crate) fn doubt_clock(
    session: &Session,
    mut meter_values: Vec<Message>,
    findings: &mut Findings,
) {
    let start = Message {
        arrived: session.received_at,
        stamped: session.started_at,
        energy: Some(session.meter_start),
    };
    // An end that the sweep or a person has set is by our clock.
    let end = session.stop_frame.as_ref().filter(|_| !session.billed_by_person).and_then(|_| {
        let (arrived, stamped) = (session.end_received_at?, session.ended_at?);
        Some(Message { arrived, stamped, energy: session.meter_stop })
    });
    for message in meter_values.iter().chain([&start]).chain(&end) {
        if message.ahead() > TOLERANCE {
            findings.note(FindingCode::ClockAhead, message.stamped, "the clock runs ahead");
        }
    }
    for message in [Some(start), end].into_iter().flatten() {
        if message.stamped < NEVER_SET_BEFORE || message.ahead() > AHEAD_MAX {
            let detail = format!("{} cannot be, it came {}", message.stamped, message.arrived);
            findings.note(FindingCode::ClockWrong, message.stamped, detail);
        }
    }
    if let Some(end) = end {
        let moved = (end.ahead() - start.ahead()).abs();
        if start.ahead().max(end.ahead()) > TOLERANCE && moved > TOLERANCE {
            let detail = format!("the clock moved by {} s from start to end", moved.num_seconds());
            findings.note(FindingCode::ClockStep, end.stamped, detail);
        }
    }
    meter_values.push(start);
    meter_values.sort_unstable();
    // Readings may come after the end, when their messages were overtaken by its own.
    meter_values.extend(end);
    doubt_order(&meter_values, findings);
}

/// Messages that came out of order, and times that fall while the register rises.
fn doubt_order(messages: &[Message], findings: &mut Findings) {
    for pair in messages.windows(2) {
        let &[earlier, later] = pair else { continue };
        if later.stamped >= earlier.stamped {
            continue;
        }
        let rises = later.energy.is_some() && later.energy > earlier.energy;
        if rises && earlier.stamped - later.stamped > TOLERANCE {
            let detail = format!("the clock was set back from {}", earlier.stamped);
            findings.note(FindingCode::ClockStep, later.stamped, detail);
        } else {
            let detail = "a reading came after a later one";
            findings.note(FindingCode::OutOfOrder, later.stamped, detail);
        }
    }
}
