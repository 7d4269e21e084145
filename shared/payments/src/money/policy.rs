//! What a site wants done where there is a choice.

use chrono::TimeDelta;

/// What a site wants done where there is a choice. Time is counted by the caller's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether a hold is raised where its charge says that it can be.
    pub raise: bool,
    /// What happens when a session comes near its hold, and raising is no way.
    pub beyond: Beyond,
    /// How long before a hold runs out it is renewed by a new one; a lost one is replaced, too.
    /// `None`: holds run out, and the whole price is charged at the end.
    pub renew_before: Option<TimeDelta>,
    /// Holds asked for in one session, renewals included.
    pub holds_max: u32,
    /// When a refused charge is tried again, counted from each refusal. Then it stays a debt.
    pub retries: Vec<TimeDelta>,
    /// Pay links made in one session.
    pub links_max: u32,
}

/// What happens when a session comes near its hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// A new, larger hold takes the place of the first.
    NewHold,
    /// The charger is told to stop.
    Stop,
    /// It goes on; the difference is charged at the end.
    GoOn,
}

impl Default for Policy {
    /// One hold, one charge of the difference, no links: what is refused is owed.
    fn default() -> Self {
        Self {
            raise: false,
            beyond: Beyond::GoOn,
            renew_before: None,
            holds_max: 1,
            retries: Vec::new(),
            links_max: 0,
        }
    }
}
