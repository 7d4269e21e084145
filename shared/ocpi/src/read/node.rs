//! A place in a JSON text that notes what is wrong with it, and what of it nobody read.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Problem;
use crate::{Version, datetime, number};

/// What is noted on the way.
#[derive(Default)]
struct Notes {
    problems: RefCell<Vec<Problem>>,
    left_out: RefCell<Vec<Problem>>,
    read: RefCell<BTreeSet<String>>,
    read_whole: RefCell<BTreeSet<String>>,
}

/// A value, where it is, and the lists that what is said about it goes to.
pub(crate) struct Node<'a> {
    path: String,
    value: Option<&'a Value>,
    version: Version,
    notes: Rc<Notes>,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value, version: Version) -> Self {
        Self { path: String::new(), value: Some(value), version, notes: Rc::default() }
    }

    /// The version that the text is written in.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// What is wrong, and what was left out; to be called at the root.
    pub(crate) fn into_notes(self) -> (Vec<Problem>, Vec<Problem>) {
        let mut unread = BTreeMap::new();
        if let Some(value) = self.value {
            self.find_unread(&self.path, value, &mut unread);
        }
        let mut left_out = self.notes.left_out.take();
        left_out.extend(unread.into_values().map(|(path, times)| {
            let more = if times > 1 { format!(", {times} times") } else { String::new() };
            let message = format!("not a field of OCPI {} that is kept{more}", self.version);
            Problem { path, message }
        }));
        (self.notes.problems.take(), left_out)
    }

    /// The fields that nobody asked for, by their path without indices: the first, and how many.
    fn find_unread(
        &self,
        path: &str,
        value: &Value,
        unread: &mut BTreeMap<String, (String, usize)>,
    ) {
        if self.notes.read_whole.borrow().contains(path) {
            return;
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                    let path = join(path, name);
                    if self.notes.read.borrow().contains(&path) {
                        self.find_unread(&path, value, unread);
                    } else {
                        let times =
                            &mut unread.entry(without_indices(&path)).or_insert((path, 0)).1;
                        *times = times.saturating_add(1);
                    }
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.find_unread(&format!("{path}[{index}]"), value, unread);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn problem(&self, message: &str) {
        self.notes.problems.borrow_mut().push(self.says(message));
    }

    /// Notes that something was not kept.
    pub(crate) fn left_out(&self, message: &str) {
        self.notes.left_out.borrow_mut().push(self.says(message));
    }

    /// Whether it is this text.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.value.and_then(Value::as_str) == Some(text)
    }

    fn says(&self, message: &str) -> Problem {
        Problem { path: self.path.clone(), message: message.to_owned() }
    }

    fn child(&self, path: String, value: Option<&'a Value>) -> Self {
        // An explicit null is the same as an absent field.
        let value = value.filter(|value| !value.is_null());
        Self { path, value, version: self.version, notes: Rc::clone(&self.notes) }
    }

    pub(crate) fn field(&self, name: &str) -> Self {
        let path = join(&self.path, name);
        self.notes.read.borrow_mut().insert(path.clone());
        self.child(path, self.value.and_then(|value| value.get(name)))
    }

    pub(crate) fn present(&self) -> Option<Self> {
        self.value.map(|value| self.child(self.path.clone(), Some(value)))
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.is_some_and(Value::is_array)
    }

    pub(crate) fn list(&self) -> Vec<Self> {
        let Some(value) = self.needed() else { return Vec::new() };
        let Some(list) = value.as_array() else {
            self.problem("not a list");
            return Vec::new();
        };
        let item = |(index, value)| self.child(format!("{}[{index}]", self.path), Some(value));
        list.iter().enumerate().map(item).collect()
    }

    /// The items, or none where there is no list.
    pub(crate) fn any_list(&self) -> Vec<Self> {
        if self.value.is_some() && !self.is_list() {
            self.left_out("not a list");
        }
        if self.is_list() { self.list() } else { Vec::new() }
    }

    /// Reads this value apart from the rest: what is wrong with it is only a reason to leave it
    /// out.
    pub(crate) fn apart<T>(&self, read: impl FnOnce(&Self) -> T) -> Option<T> {
        let before = self.notes.problems.take();
        let result = read(self);
        let problems = self.notes.problems.replace(before);
        let good = problems.is_empty();
        self.notes.left_out.borrow_mut().extend(problems);
        good.then_some(result)
    }

    /// Refuses every field but `known`: what a price is made of is not left out without a word.
    pub(crate) fn only(&self, known: &[&str]) {
        let fields = self.value.and_then(Value::as_object).into_iter().flatten();
        for (name, _) in
            fields.filter(|(name, value)| !known.contains(&name.as_str()) && !value.is_null())
        {
            self.field(name).refuse();
        }
    }

    /// Refuses a field that this version does not have, and that a price depends on.
    pub(crate) fn refuse(&self) {
        if self.value.is_none() {
            return;
        }
        self.notes.read_whole.borrow_mut().insert(self.path.clone());
        let version = self.version;
        self.problem(&format!("not a field of OCPI {version}, and a price may depend on it"));
    }

    /// All fields but `known`.
    pub(crate) fn fields_beside(&self, known: &[&str]) -> BTreeMap<String, Value> {
        let Some(fields) = self.value.and_then(Value::as_object) else {
            self.problem("not an object");
            return BTreeMap::new();
        };
        let other = fields.iter().filter(|(name, value)| {
            let name = name.as_str();
            !known.contains(&name) && !value.is_null()
        });
        other.map(|(name, value)| (name.clone(), self.field(name).whole(value))).collect()
    }

    fn whole(&self, value: &Value) -> Value {
        self.notes.read_whole.borrow_mut().insert(self.path.clone());
        value.clone()
    }

    fn needed(&self) -> Option<&'a Value> {
        if self.value.is_none() {
            self.problem("missing");
        }
        self.value
    }

    pub(crate) fn text(&self) -> String {
        let Some(value) = self.needed() else { return String::new() };
        if !value.is_string() {
            self.problem(&format!("{} is not a text", short(value.to_string())));
        }
        value.as_str().unwrap_or_default().to_owned()
    }

    /// The text, or `#NA`.
    pub(crate) fn text_or_na(&self) -> String {
        self.any_text().unwrap_or_else(|| "#NA".to_owned())
    }

    /// The text, if it is one.
    pub(crate) fn any_text(&self) -> Option<String> {
        let text = self.value?.as_str();
        if text.is_none() {
            self.left_out("not a text");
        }
        text.map(str::to_owned)
    }

    pub(crate) fn number(&self) -> Decimal {
        let Some(value) = self.needed() else { return Decimal::ZERO };
        number::deserialize(value).unwrap_or_else(|_| {
            self.problem(&format!("{} is not a number", short(value.to_string())));
            Decimal::ZERO
        })
    }

    /// A number; also one in quotes, as in the CDR example of OCPI 2.1.1.
    pub(crate) fn number_or_text(&self) -> Decimal {
        let quoted = self.value.and_then(Value::as_str).and_then(|text| text.parse().ok());
        quoted.unwrap_or_else(|| self.number())
    }

    /// The number, if it is one.
    pub(crate) fn any_number(&self) -> Option<Decimal> {
        let number = number::deserialize(self.value?).ok();
        if number.is_none() {
            self.left_out("not a number");
        }
        number
    }

    pub(crate) fn integer(&self) -> u32 {
        let Some(value) = self.needed() else { return 0 };
        let number = number::deserialize(value).ok().filter(Decimal::is_integer);
        number.and_then(|number| number.to_u32()).unwrap_or_else(|| {
            let shown = short(value.to_string());
            self.problem(&format!("{shown} is not a whole number from 0 on"));
            0
        })
    }

    /// A value of an enum, which `allowed` describes.
    pub(crate) fn value<T: DeserializeOwned>(&self, allowed: &str) -> Option<T> {
        let value = self.needed()?;
        let parsed = T::deserialize(value).ok();
        if parsed.is_none() {
            let text = short(value.as_str().unwrap_or("this").to_owned());
            self.problem(&format!("`{text}` is not {allowed}"));
        }
        parsed
    }

    /// The value as serde reads it, if it does.
    pub(crate) fn parsed<T: DeserializeOwned>(&self) -> Option<T> {
        let value = self.value?;
        self.notes.read_whole.borrow_mut().insert(self.path.clone());
        let parsed = T::deserialize(value);
        if let Err(error) = &parsed {
            self.left_out(&short(error.to_string()));
        }
        parsed.ok()
    }

    pub(crate) fn parsed_or_default<T: DeserializeOwned + Default>(&self) -> T {
        self.parsed().unwrap_or_default()
    }

    pub(crate) fn date_time(&self) -> DateTime<Utc> {
        let Some(value) = self.needed() else { return DateTime::default() };
        value.as_str().and_then(datetime::parse).unwrap_or_else(|| {
            self.refuse_text("a date and time such as 2015-06-29T20:39:09Z");
            DateTime::default()
        })
    }

    /// The date and time, if it is one.
    pub(crate) fn any_date_time(&self) -> Option<DateTime<Utc>> {
        let at = self.value?.as_str().and_then(datetime::parse);
        if at.is_none() {
            self.left_out("not a date and time");
        }
        at
    }

    pub(crate) fn time_of_day(&self) -> String {
        let text = self.text();
        let time = NaiveTime::parse_from_str(&text, "%H:%M").ok().filter(|_| text.len() == 5);
        if time.is_none() && self.value.is_some_and(Value::is_string) {
            self.refuse_text("a time of day such as 19:45");
        }
        text
    }

    pub(crate) fn date(&self) -> String {
        let text = self.text();
        let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
        if date.is_none() && self.value.is_some_and(Value::is_string) {
            self.refuse_text("a date such as 2015-12-24");
        }
        text
    }

    fn refuse_text(&self, expected: &str) {
        let shown = match self.value {
            Some(Value::String(text)) => format!("`{}`", short(text.clone())),
            Some(value) => short(value.to_string()),
            None => "nothing".to_owned(),
        };
        self.problem(&format!("{shown} is not {expected}"));
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The most of what others wrote that is shown in a line, in characters.
const SHOWN_MAX: usize = 80;

/// The text, or its beginning.
pub(super) fn short(text: String) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text,
    }
}

/// `elements[].restrictions.x` of `elements[3].restrictions.x`.
fn without_indices(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| {
        path + "[]" + part.trim_start_matches(|c| c != ']').trim_start_matches(']')
    })
}
