//! Reading files: whatever is wrong with one is told, a line for every problem.

use std::{
    fmt::Display,
    fs,
    io::{self, Write as _},
    path::Path,
    str,
};

use chrono::{DateTime, Utc};
use ocpi::read::Problem;
use quantities::WattHours;
use serde::de::DeserializeOwned;
use serde_json::Value;
use session::{MeterSample, StatusChange, Timeline};

/// The longest part of a problem that is shown as it is, in characters.
const SHOWN: usize = 240;
/// How many problems of a file are told one by one.
const TOLD: usize = 100;

/// Writes `text` to standard output. Whoever has read enough of it may leave.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Collects what is wrong with everything that is read, so that all of it is told at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    /// What was read, unless there is something wrong with it.
    pub(crate) fn keep<T>(&mut self, read: Result<T, Vec<String>>) -> Option<T> {
        read.map_err(|found| self.0.extend(found)).ok()
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.0
    }
}

/// Reads the file at `path` with `parse`.
pub(crate) fn read<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, Vec<Problem>>,
) -> Result<T, Vec<String>> {
    let name = path.display();
    let bytes = fs::read(path).map_err(|error| vec![named(&name, &error)])?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let at = error.valid_up_to();
        vec![named(&name, &format_args!("not UTF-8 text, from byte {at} on"))]
    })?;
    // Some editors begin a file with a mark that says it is UTF-8; JSON knows none.
    parse(text.trim_start_matches('\u{feff}')).map_err(|problems| all(&name, &problems))
}

/// The problems of a file as lines: the first ones, and how many more there are.
fn all(name: &dyn Display, problems: &[Problem]) -> Vec<String> {
    let mut lines: Vec<_> = problems.iter().take(TOLD).map(|told| named(name, told)).collect();
    if let Some(more) = problems.len().checked_sub(TOLD).filter(|more| *more > 0) {
        lines.push(named(name, &format_args!("and {more} more problems")));
    }
    lines
}

fn named(name: &dyn Display, problem: &dyn Display) -> String {
    format!("{}: {}", line(&name.to_string()), line(&problem.to_string()))
}

/// `text` as one line that a terminal shows as it is: what a file contains may be anything.
pub(crate) fn line(text: &str) -> String {
    let hidden = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
    let mut shown = String::with_capacity(text.len().min(4 * SHOWN));
    let length = text.chars().count();
    for (position, c) in text.chars().enumerate() {
        // What is wrong is said at the end, where it is at the beginning.
        let (first, last) = (SHOWN / 2, length.saturating_sub(SHOWN / 2));
        if length > SHOWN && position == first {
            shown.push('…');
        }
        if length > SHOWN && (first..last).contains(&position) {
            continue;
        }
        if hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// Reads a JSON text that serde knows how to read, and says where it does not fit.
pub(crate) fn json<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Problem>> {
    let problem = |path: String, error: String| vec![Problem { path, message: error }];
    let value: Value = serde_json::from_str(text)
        .map_err(|error| problem(String::new(), format!("not JSON: {error}")))?;
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let path = error.path().to_string();
        problem(if path == "." { String::new() } else { path }, error.into_inner().to_string())
    })
}

/// Reads a timeline: what a charger reported of a session.
pub(super) fn timeline(text: &str) -> Result<Timeline, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new() };
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            reader.problem("", &format!("not JSON: {error}"));
            return Err(reader.problems);
        }
    };
    if !value.is_object() {
        reader.problem("", "not a JSON object");
        return Err(reader.problems);
    }
    let timeline = reader.timeline(&value);
    timeline.filter(|_| reader.problems.is_empty()).ok_or(reader.problems)
}

const MOMENT: &str = "a date and time such as 2026-03-02T10:30:00Z";
const ENERGY: &str = "a register reading in Wh such as \"90994.8\"";

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn timeline(&mut self, value: &Value) -> Option<Timeline> {
        let started_at = self.needed(value, "started_at", MOMENT);
        let ended_at = self.needed(value, "ended_at", MOMENT);
        let released_at = self.optional(value, "released_at", MOMENT);
        let meter_start: Option<WattHours> = self.needed(value, "meter_start", ENERGY);
        let meter_stop = self.needed(value, "meter_stop", ENERGY);
        let samples = self.list(value, "samples", |reader, path, item| {
            Some(MeterSample {
                at: reader.needed_at::<DateTime<Utc>>(path, item, "at", MOMENT)?,
                energy: reader.needed_at(path, item, "energy", ENERGY)?,
                power: reader.optional_at(path, item, "power", "a power in W such as \"11040\""),
            })
        });
        let statuses = self.list(value, "statuses", |reader, path, item| {
            Some(StatusChange {
                at: reader.needed_at(path, item, "at", MOMENT)?,
                status: reader.needed_at(path, item, "status", "a status such as Charging")?,
            })
        });
        Some(Timeline {
            started_at: started_at?,
            ended_at: ended_at?,
            released_at,
            meter_start: meter_start?,
            meter_stop: meter_stop?,
            samples,
            statuses,
            findings: self.optional(value, "findings", "a list of findings").unwrap_or_default(),
            signed: self.optional(value, "signed", "what a meter signed"),
        })
    }

    fn problem(&mut self, path: &str, message: &str) {
        self.problems.push(Problem { path: path.to_owned(), message: message.to_owned() });
    }

    fn needed<T: DeserializeOwned>(&mut self, of: &Value, name: &str, what: &str) -> Option<T> {
        self.needed_at("", of, name, what)
    }

    fn optional<T: DeserializeOwned>(&mut self, of: &Value, name: &str, what: &str) -> Option<T> {
        self.optional_at("", of, name, what)
    }

    fn needed_at<T: DeserializeOwned>(
        &mut self,
        path: &str,
        of: &Value,
        name: &str,
        what: &str,
    ) -> Option<T> {
        if of.get(name).is_none_or(Value::is_null) {
            self.problem(&format!("{path}{name}"), "missing");
            return None;
        }
        self.optional_at(path, of, name, what)
    }

    fn optional_at<T: DeserializeOwned>(
        &mut self,
        path: &str,
        of: &Value,
        name: &str,
        what: &str,
    ) -> Option<T> {
        let value = of.get(name).filter(|value| !value.is_null())?;
        let read = T::deserialize(value).ok();
        if read.is_none() {
            let shown = match value {
                Value::Array(_) => "a list".to_owned(),
                Value::Object(_) => "an object".to_owned(),
                value => value.to_string(),
            };
            self.problem(&format!("{path}{name}"), &format!("{shown} is not {what}"));
        }
        read
    }

    /// The items of a list that may be absent.
    fn list<T>(
        &mut self,
        of: &Value,
        name: &str,
        mut read: impl FnMut(&mut Self, &str, &Value) -> Option<T>,
    ) -> Vec<T> {
        match of.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => {
                let item = |(index, item)| read(self, &format!("{name}[{index}]."), item);
                items.iter().enumerate().filter_map(item).collect()
            }
            Some(_) => {
                self.problem(name, "not a list");
                Vec::new()
            }
        }
    }
}
