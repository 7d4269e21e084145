//! What pricing walks along: stretches of a session within which energy flows evenly.

use chrono::{DateTime, Utc};

use crate::{
    Finding, FindingCode, SegmentKind,
    compile::Bounds,
    exact::{Reading, interpolate},
};

/// A part of a session in which nothing changes and energy follows one straight line.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) kind: SegmentKind,
    /// The time to bill: how long it lasts, unless a CDR states otherwise.
    pub(crate) time_ms: i64,
    /// The straight line: two readings around the stretch.
    pub(crate) from: Reading,
    /// See `from`.
    pub(crate) to: Reading,
    /// Only where the tariff asks for it: most do not, and a stretch is small without.
    pub(crate) power: Option<Box<Powers>>,
    /// Whether a tariff is relevant in it at all.
    pub(crate) billable: bool,
}

/// Power and current, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Powers {
    pub(crate) power_kw: Bounds,
    pub(crate) current_a: Bounds,
}

impl Stretch {
    /// The stretch from one reading to another.
    pub(crate) const fn between(
        from: Reading,
        to: Reading,
        kind: SegmentKind,
        time_ms: i64,
        billable: bool,
    ) -> Self {
        let (start_ms, end_ms) = (from.at_ms, to.at_ms);
        Self { start_ms, end_ms, kind, time_ms, from, to, power: None, billable }
    }

    /// Power and current.
    pub(crate) fn powers(&self) -> Powers {
        self.power.as_deref().copied().unwrap_or_default()
    }

    /// The session's energy at `at_ms`, on the straight line, in millionths of a Wh.
    pub(crate) fn energy_at(&self, at_ms: i64) -> i64 {
        // All the energy of a moment without duration has flowed when it is over.
        if self.start_ms == self.end_ms {
            return self.to.uwh;
        }
        interpolate(self.from, self.to, at_ms)
    }

    /// The billed time up to `at_ms`; a stated time is spread evenly.
    pub(crate) fn time_until(&self, at_ms: i64) -> i64 {
        let lasts = self.end_ms - self.start_ms;
        if at_ms >= self.end_ms || lasts == 0 {
            return self.time_ms;
        }
        let part = i128::from(self.time_ms) * i128::from(at_ms - self.start_ms) / i128::from(lasts);
        i64::try_from(part).unwrap_or(self.time_ms)
    }
}

/// All of a session, ready to be walked along.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// In order of time, each starting where the one before ends.
    pub(crate) stretches: Vec<Stretch>,
    /// Where the charging session begins, after its reservation.
    pub(crate) session_start_ms: i64,
    /// Whether it is a reservation that no session followed.
    pub(crate) reservation_expired: bool,
    /// Whether its parts are a CDR's periods, which end wherever a price changes.
    pub(crate) stated: bool,
    pub(crate) findings: Findings,
}

/// Findings by code, each once with a count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Notes one more occurrence of `code` at `at`.
    pub(crate) fn note(&mut self, code: FindingCode, at: DateTime<Utc>, detail: &str) {
        if let Some(finding) = self.0.iter_mut().find(|finding| finding.code == code) {
            finding.count = finding.count.saturating_add(1);
            finding.first_at = finding.first_at.min(at);
        } else {
            self.0.push(Finding { code, count: 1, first_at: at, detail: detail.to_owned() });
        }
    }

    /// Takes over what was found out about the readings of a session that started at `started_at`.
    pub(crate) fn take(&mut self, found: Vec<session::Finding>, started_at: DateTime<Utc>) {
        self.0.extend(found.into_iter().map(|finding| Finding {
            code: FindingCode::Reading(finding.code),
            count: finding.count,
            first_at: finding.at.unwrap_or(started_at),
            detail: finding.detail,
        }));
    }

    /// The findings in the order of their codes.
    pub(crate) fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.code);
        self.0
    }
}

/// The moment `ms` milliseconds after 1970.
pub(crate) fn moment(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
