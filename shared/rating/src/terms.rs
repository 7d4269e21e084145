//! What a tariff's publisher says beside it: what standing idle costs, and when it does not.

use chrono::{Datelike, NaiveDateTime, NaiveTime, Weekday};
use ocpi::DayOfWeek;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What OCPI cannot say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// When idle time is billed, and how much of it at most.
    #[serde(default)]
    pub idle: IdleTerms,
}

/// Terms of the idle fee. The time of the operator (`SuspendedEVSE`, a fault) is never idle time,
/// whatever they say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleTerms {
    /// The first seconds of a session's idle time that cost nothing, counted over the whole
    /// session: a vehicle that pauses twice has one grace period, not two. Quiet hours do not use
    /// it up.
    #[serde(default)]
    pub grace_s: u32,
    /// The most that all idle time of a session costs: major units in the tariff's currency, with
    /// tax or without as the tariff's prices are. What the driver's plan takes off comes first.
    #[serde(default, with = "ocpi::number::option", skip_serializing_if = "Option::is_none")]
    pub cap: Option<Decimal>,
    /// Hours in which idle time costs nothing, such as at night.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quiet_hours: Vec<QuietHours>,
}

/// A daily window in the site's local time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Its start, `HH:MM`.
    #[serde(with = "hh_mm")]
    pub start: NaiveTime,
    /// Its end, `HH:MM`, exclusive. At or before `start` it is on the next day.
    #[serde(with = "hh_mm")]
    pub end: NaiveTime,
    /// The days that it starts on: a window over midnight belongs to its first day. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<DayOfWeek>,
}

impl QuietHours {
    /// Whether it is quiet at `local`.
    pub(crate) fn contain(&self, local: NaiveDateTime) -> bool {
        let (time, today) = (local.time(), local.weekday());
        let starts_on = |day: Weekday| {
            self.days.is_empty() || self.days.iter().any(|stated| Weekday::from(*stated) == day)
        };
        if self.start < self.end {
            return self.start <= time && time < self.end && starts_on(today);
        }
        (time >= self.start && starts_on(today)) || (time < self.end && starts_on(today.pred()))
    }
}

/// The terms of the idle fee as `walk` asks for them.
#[derive(Debug, Default)]
pub(crate) struct Idle<'a> {
    pub(crate) grace_ms: i64,
    quiet_hours: &'a [QuietHours],
}

impl<'a> Idle<'a> {
    pub(crate) fn of(terms: &'a IdleTerms) -> Self {
        Self { grace_ms: i64::from(terms.grace_s) * 1000, quiet_hours: &terms.quiet_hours }
    }

    /// Whether local time matters.
    pub(crate) fn is_local(&self) -> bool {
        !self.quiet_hours.is_empty()
    }

    /// The local times at which quiet hours begin or end.
    pub(crate) fn times(&self) -> impl Iterator<Item = NaiveTime> {
        self.quiet_hours.iter().flat_map(|hours| [hours.start, hours.end])
    }

    /// Whether it is quiet at `local`.
    pub(crate) fn is_quiet(&self, local: NaiveDateTime) -> bool {
        self.quiet_hours.iter().any(|hours| hours.contain(local))
    }
}

/// A time of day as `HH:MM`.
mod hh_mm {
    use chrono::NaiveTime;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(time: &NaiveTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&time.format("%H:%M"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NaiveTime, D::Error> {
        let text = String::deserialize(from)?;
        let time = NaiveTime::parse_from_str(&text, "%H:%M").ok().filter(|_| text.len() == 5);
        time.ok_or_else(|| de::Error::custom(format!("`{text}` is not a time such as 22:00")))
    }
}
