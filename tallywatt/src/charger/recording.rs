//! Recorded sessions: `events/ocpp/<case>/frames.jsonl`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// A session to play.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What it was read from, for people.
    pub name: String,
    /// What the charger does, in order.
    pub steps: Vec<Step>,
}

/// One thing the charger does.
#[derive(Debug, Clone)]
pub enum Step {
    /// It calls the central system.
    Call {
        /// When, by the recording.
        at: DateTime<Utc>,
        /// The recorded message id.
        id: String,
        /// The action.
        action: String,
        /// The request.
        payload: Value,
        /// The transactionId in the recorded answer: the placeholder for the real one.
        transaction_id: Option<i64>,
    },
    /// It waits until the central system calls it.
    AwaitCall {
        /// When, by the recording.
        at: DateTime<Utc>,
        /// The action it waits for.
        action: String,
        /// The recorded tag of a RemoteStartTransaction: the placeholder for the real one.
        id_tag: Option<String>,
    },
    /// It drops the connection and opens it again.
    Reconnect {
        /// When, by the recording.
        at: DateTime<Utc>,
    },
}

impl Step {
    /// When it happens, by the recording.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Call { at, .. } | Self::AwaitCall { at, .. } | Self::Reconnect { at } => *at,
        }
    }

    /// Whether it is a call of `action`.
    #[must_use]
    pub fn calls(&self, action: &str) -> bool {
        matches!(self, Self::Call { action: named, .. } if named == action)
    }

    /// Whether it waits for a call of `action`.
    #[must_use]
    pub fn awaits(&self, action: &str) -> bool {
        matches!(self, Self::AwaitCall { action: named, .. } if named == action)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: DateTime<Utc>,
    #[serde(default)]
    from: Option<Party>,
    #[serde(default)]
    frame: Option<Vec<Value>>,
    #[serde(default)]
    reconnect: bool,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Party {
    Charger,
    Central,
}

impl Recording {
    /// Reads a `frames.jsonl`, or the one in a case's folder.
    ///
    /// # Errors
    ///
    /// When there is none, or a line is not one of a recording; the error names the line.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file: PathBuf =
            if path.is_dir() { path.join("frames.jsonl") } else { path.to_path_buf() };
        let text = fs::read_to_string(&file)
            .with_context(|| format!("cannot read the recording {}", file.display()))?;
        Self::parse(&file.display().to_string(), &text)
    }

    /// Reads the text of a recording; `name` is for messages.
    ///
    /// # Errors
    ///
    /// When a line is not one of a recording; the error names the line.
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let mut steps = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            read_line(line, &mut steps).with_context(|| format!("{name}, line {number}"))?;
        }
        if steps.is_empty() {
            bail!("{name} has nothing to play");
        }
        Ok(Self { name: name.to_owned(), steps })
    }
}

fn read_line(line: &str, steps: &mut Vec<Step>) -> anyhow::Result<()> {
    let Line { at, from, frame, reconnect } = serde_json::from_str(line)?;
    if reconnect {
        steps.push(Step::Reconnect { at });
        return Ok(());
    }
    let (Some(from), Some(frame)) = (from, frame) else {
        bail!("neither a frame with its sender nor a reconnect");
    };
    let text = |index: usize| frame.get(index).and_then(Value::as_str).map(str::to_owned);
    match (from, frame.first().and_then(Value::as_u64)) {
        (_, Some(2)) => {
            let (Some(id), Some(action), Some(payload)) = (text(1), text(2), frame.get(3)) else {
                bail!("the call is not whole");
            };
            let payload = payload.clone();
            steps.push(if from == Party::Charger {
                Step::Call { at, id, action, payload, transaction_id: None }
            } else {
                let id_tag = payload.get("idTag").and_then(Value::as_str).map(str::to_owned);
                Step::AwaitCall { at, action, id_tag }
            });
        }
        // Of the recorded answers only the number of a transaction matters: the rest is the
        // central system's to say again.
        (Party::Central, Some(3)) => {
            let given = frame.get(2).and_then(|payload| payload.get("transactionId"));
            if let Some(Step::Call { id, transaction_id, .. }) = steps.last_mut()
                && text(1).as_ref() == Some(id)
            {
                *transaction_id = given.and_then(Value::as_i64);
            }
        }
        (_, Some(3 | 4)) => {}
        _ => bail!("the frame has no message type"),
    }
    Ok(())
}
