//! A place in a JSON text that notes what is wrong with it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Problem;
use crate::{Price, datetime, number};

/// A value, where it is, and the list that its problems go to.
pub(super) struct Node<'a> {
    path: String,
    value: Option<&'a Value>,
    problems: Rc<RefCell<Vec<Problem>>>,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value: Some(value), problems: Rc::default() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.take()
    }

    pub(super) fn problem(&self, message: &str) {
        let problem = Problem { path: self.path.clone(), message: message.to_owned() };
        self.problems.borrow_mut().push(problem);
    }

    fn child(&self, path: String, value: Option<&'a Value>) -> Self {
        // An explicit null is the same as an absent field.
        let value = value.filter(|value| !value.is_null());
        Self { path, value, problems: Rc::clone(&self.problems) }
    }

    pub(super) fn field(&self, name: &str) -> Self {
        let path =
            if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        self.child(path, self.value.and_then(|value| value.get(name)))
    }

    pub(super) fn present(&self) -> Option<Self> {
        self.value.map(|value| self.child(self.path.clone(), Some(value)))
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.is_some_and(Value::is_array)
    }

    pub(super) fn list(&self) -> Vec<Self> {
        let Some(value) = self.needed() else { return Vec::new() };
        let Some(list) = value.as_array() else {
            self.problem("not a list");
            return Vec::new();
        };
        let item = |(index, value)| self.child(format!("{}[{index}]", self.path), Some(value));
        list.iter().enumerate().map(item).collect()
    }

    /// All fields but `known`.
    pub(super) fn fields_beside(&self, known: &[&str]) -> BTreeMap<String, Value> {
        let Some(fields) = self.value.and_then(Value::as_object) else {
            self.problem("not an object");
            return BTreeMap::new();
        };
        let other = fields.iter().filter(|(name, value)| {
            let name = name.as_str();
            !known.contains(&name) && !value.is_null()
        });
        other.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn needed(&self) -> Option<&'a Value> {
        if self.value.is_none() {
            self.problem("missing");
        }
        self.value
    }

    pub(super) fn text(&self) -> String {
        let Some(value) = self.needed() else { return String::new() };
        self.any_text().unwrap_or_else(|| {
            self.problem(&format!("{value} is not a text"));
            String::new()
        })
    }

    /// The text, or `#NA`.
    pub(super) fn text_or_na(&self) -> String {
        self.any_text().unwrap_or_else(|| "#NA".to_owned())
    }

    /// The text, if it is one.
    pub(super) fn any_text(&self) -> Option<String> {
        self.value?.as_str().map(str::to_owned)
    }

    pub(super) fn number(&self) -> Decimal {
        let Some(value) = self.needed() else { return Decimal::ZERO };
        self.parsed_number().unwrap_or_else(|| {
            self.problem(&format!("{value} is not a number"));
            Decimal::ZERO
        })
    }

    /// The number, if it is one.
    pub(super) fn parsed_number(&self) -> Option<Decimal> {
        number::deserialize(self.value?).ok()
    }

    pub(super) fn integer(&self) -> u32 {
        let Some(value) = self.needed() else { return 0 };
        let integer = self.parsed_number().filter(Decimal::is_integer).and_then(|n| n.to_u32());
        integer.unwrap_or_else(|| {
            self.problem(&format!("{value} is not a whole number from 0 on"));
            0
        })
    }

    /// A value of an enum, which `allowed` describes.
    pub(super) fn value<T: DeserializeOwned>(&self, allowed: &str) -> Option<T> {
        self.needed()?;
        let parsed = self.parsed();
        if parsed.is_none() {
            let text = self.any_text().unwrap_or_else(|| "this".to_owned());
            self.problem(&format!("`{text}` is not {allowed}"));
        }
        parsed
    }

    /// The value as serde reads it, if it does.
    pub(super) fn parsed<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(self.value?).ok()
    }

    pub(super) fn parsed_or_default<T: DeserializeOwned + Default>(&self) -> T {
        self.parsed().unwrap_or_default()
    }

    /// A price that no other price depends on; a CDR of 2.1.1 states a bare number.
    pub(super) fn any_price(&self) -> Option<Price> {
        let bare = || self.parsed_number().map(|excl_vat| Price { excl_vat, incl_vat: None });
        self.parsed().or_else(bare)
    }

    pub(super) fn date_time(&self) -> DateTime<Utc> {
        if self.needed().is_none() {
            return DateTime::default();
        }
        self.any_date_time().unwrap_or_else(|| {
            self.refuse_text("a date and time such as 2015-06-29T20:39:09Z");
            DateTime::default()
        })
    }

    /// The date and time, if it is one.
    pub(super) fn any_date_time(&self) -> Option<DateTime<Utc>> {
        datetime::parse(self.value?.as_str()?)
    }

    pub(super) fn time_of_day(&self) -> String {
        let text = self.text();
        let time = NaiveTime::parse_from_str(&text, "%H:%M").ok().filter(|_| text.len() == 5);
        if time.is_none() && self.value.is_some_and(Value::is_string) {
            self.refuse_text("a time of day such as 19:45");
        }
        text
    }

    pub(super) fn date(&self) -> String {
        let text = self.text();
        let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
        if date.is_none() && self.value.is_some_and(Value::is_string) {
            self.refuse_text("a date such as 2015-12-24");
        }
        text
    }

    fn refuse_text(&self, expected: &str) {
        let shown = match self.value {
            Some(Value::String(text)) => format!("`{text}`"),
            Some(value) => value.to_string(),
            None => "nothing".to_owned(),
        };
        self.problem(&format!("{shown} is not {expected}"));
    }
}
