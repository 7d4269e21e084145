//! What a site wants done with a driver's money where there is a choice.

use chrono::TimeDelta;
use quantities::Amount;
use serde::{Deserialize, Serialize};

/// What a site wants done with a driver's money where there is a choice. Pinned into the session.
///
/// Time is counted by our clock. The default is the plainest: one hold, one charge of what it does
/// not cover, and a pay link where the bank wants the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentPolicy {
    /// Whether a hold is raised where its charge says that it can be.
    pub raise: bool,
    /// What happens when a session comes near its hold, and raising is no way.
    pub beyond: Beyond,
    /// The most that is held for one session, however it goes on. `None`: what it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_max: Option<Amount>,
    /// How many minutes before a hold runs out it is renewed by a new one; a lost one is replaced,
    /// too. `None`: holds run out, and the whole price is charged at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_before_minutes: Option<u32>,
    /// Holds asked for in one session, renewals included.
    pub holds_max: u32,
    /// After how many hours a refused charge is tried again, counted from each refusal. Then it
    /// stays a debt.
    pub retry_after_hours: Vec<u32>,
    /// Pay links made in one session.
    pub links_max: u32,
    /// What happens when a session needs a hold and Stripe does not answer.
    pub on_outage: OnOutage,
    /// A running session is looked at no more often than every so many seconds …
    pub watch_at_least_s: u32,
    /// … and no less often than every so many; 900 at most.
    pub watch_at_most_s: u32,
}

/// What happens when a session comes near its hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// A new, larger hold takes the place of the first.
    NewHold,
    /// The charger is told to stop.
    Stop,
    /// It goes on; the difference is charged at the end.
    GoOn,
}

/// What happens when a session needs a hold and Stripe does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOutage {
    /// It charges, and is collected later.
    Charge,
    /// It does not start, or is told to stop.
    Stop,
}

impl Default for PaymentPolicy {
    fn default() -> Self {
        Self {
            raise: false,
            beyond: Beyond::GoOn,
            hold_max: None,
            renew_before_minutes: None,
            holds_max: 1,
            retry_after_hours: Vec::new(),
            links_max: 3,
            on_outage: OnOutage::Charge,
            watch_at_least_s: 60,
            watch_at_most_s: 900,
        }
    }
}

impl PaymentPolicy {
    /// How long before a hold runs out it is renewed.
    #[must_use]
    pub fn renew_before(&self) -> Option<TimeDelta> {
        self.renew_before_minutes.map(|minutes| TimeDelta::minutes(minutes.into()))
    }

    /// How long after its refusal the charge of that attempt, from 1, is tried again, if it is.
    #[must_use]
    pub fn retry_after(&self, attempt: u32) -> Option<TimeDelta> {
        let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
        self.retry_after_hours.get(index).map(|hours| TimeDelta::hours((*hours).into()))
    }
}
