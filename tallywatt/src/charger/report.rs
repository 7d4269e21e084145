//! What came of a play.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::PlayOptions;

/// Everything that was exchanged, and what came of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayReport {
    /// The recording.
    pub recording: String,
    /// The charger.
    pub charge_point_id: String,
    /// Calls and their answers, in order, of both sides.
    pub exchanges: Vec<Exchange>,
    /// The transactions that were given a number.
    pub transactions: Vec<PlayedTransaction>,
    /// The status each connector was last reported in.
    pub final_statuses: BTreeMap<u64, String>,
    /// How often the connection was opened.
    pub connections: u32,
    /// How often a call had to be sent again because its answer did not come.
    pub retries: u32,
    /// Why the session was not played to its end, where it was not: `Authorize: Blocked`.
    pub ended_early: Option<String>,
    /// What is wrong with answers: a repeated call answered otherwise, an unexpected refusal.
    pub faults: Vec<String>,
}

/// A call and its answer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// Whether the charger made the call, or the central system did.
    pub from_charger: bool,
    /// When it was sent or came in, by this machine's clock.
    pub sent_at: DateTime<Utc>,
    /// When the answer came in or was sent.
    pub answered_at: DateTime<Utc>,
    /// The action.
    pub action: String,
    /// The call's frame.
    pub call: Value,
    /// The answer's frame.
    pub answer: Value,
    /// How often the call was sent until this answer came.
    pub attempts: u32,
}

/// A transaction that was played.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayedTransaction {
    /// The placeholder in the recording.
    pub recorded_id: i64,
    /// The number it was given.
    pub transaction_id: i64,
    /// The `idTagInfo.status` it was given it with.
    pub status: String,
    /// Whether it was stopped before the recording says so, at the central system's word.
    pub stopped_early: bool,
}

impl PlayReport {
    /// Nothing was played yet.
    pub(super) fn new(options: &PlayOptions) -> Self {
        Self {
            recording: options.recording.name.clone(),
            charge_point_id: options.charge_point_id.clone(),
            exchanges: Vec::new(),
            transactions: Vec::new(),
            final_statuses: BTreeMap::new(),
            connections: 0,
            retries: 0,
            ended_early: None,
            faults: Vec::new(),
        }
    }

    /// Whether every answer was right. A session that the central system ended is.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.faults.is_empty()
    }

    /// The payloads of the answers to the charger's calls of `action`.
    pub fn answers(&self, action: &str) -> impl Iterator<Item = &Value> {
        let calls = self.exchanges.iter().filter(move |e| e.from_charger && e.action == action);
        calls.filter_map(|exchange| exchange.answer.get(2))
    }
}

impl fmt::Display for PlayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Exchange { from_charger, action, answer, attempts, sent_at, answered_at, .. } in
            &self.exchanges
        {
            let direction = if *from_charger { "→" } else { "←" };
            let took = (*answered_at - *sent_at).num_milliseconds();
            write!(f, "{direction} {action:<30} {took:>6} ms  ")?;
            let answer = answer.as_array().map_or(&[][..], |parts| &parts[2.min(parts.len())..]);
            let parts: Vec<_> = answer.iter().map(ToString::to_string).collect();
            write!(f, "{}", parts.join(" "))?;
            if *attempts > 1 {
                write!(f, "  ({attempts} attempts)")?;
            }
            writeln!(f)?;
        }
        for transaction in &self.transactions {
            let PlayedTransaction { transaction_id, status, stopped_early, .. } = transaction;
            let early = if *stopped_early { ", stopped early" } else { "" };
            writeln!(f, "transaction {transaction_id}: {status}{early}")?;
        }
        if let Some(why) = &self.ended_early {
            writeln!(f, "ended early: {why}")?;
        }
        for fault in &self.faults {
            writeln!(f, "fault: {fault}")?;
        }
        Ok(())
    }
}
