//! A place in a JSON text that notes what is wrong with it.

use std::{cell::RefCell, str::FromStr};

use ocpi::{number, read::Problem};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde_json::Value;

/// Characters of a wrong value that are shown.
const SHOWN_MAX: usize = 60;

/// Items of a list: more than any plan or schedule needs, few enough to be compared with each
/// other.
const ITEMS_MAX: usize = 500;

/// A number of fewer digits than this is the same when it was read and written (see [`number`]).
const DIGITS_END: u128 = 10_u128.pow(15);

/// A value, where it is, and the list that its problems go to.
pub(super) struct Node<'a> {
    path: String,
    value: Option<&'a Value>,
    problems: &'a RefCell<Vec<Problem>>,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value, problems: &'a RefCell<Vec<Problem>>) -> Self {
        Self { path: String::new(), value: Some(value), problems }
    }

    pub(super) fn problem(&self, message: impl Into<String>) {
        let problem = Problem { path: self.path.clone(), message: message.into() };
        self.problems.borrow_mut().push(problem);
    }

    fn child(&self, path: String, value: Option<&'a Value>) -> Self {
        // An explicit null is the same as an absent field.
        Self { path, value: value.filter(|value| !value.is_null()), problems: self.problems }
    }

    pub(super) fn field(&self, name: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        // Whoever misspells a name may put anything in it; a path is one short line.
        let shown: String = name.escape_debug().take(SHOWN_MAX).collect();
        let path = format!("{}{dot}{shown}", self.path);
        self.child(path, self.value.and_then(|value| value.get(name)))
    }

    /// The field, if it is there.
    pub(super) fn present(&self, name: &str) -> Option<Self> {
        Some(self.field(name)).filter(|field| field.value.is_some())
    }

    /// Whether the field is there and says nothing.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.value.and_then(|value| value.get(name)).is_some_and(Value::is_null)
    }

    /// Whether the field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.present(name).is_some()
    }

    /// Notes every field but `known`: a misspelt one would change a price without a word.
    ///
    /// `false` when this is no object at all.
    pub(super) fn fields(&self, known: &[&str]) -> bool {
        let Some(value) = self.needed() else { return false };
        let Some(fields) = value.as_object() else {
            self.refuse(&format!("an object with {}", known.join(", ")));
            return false;
        };
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            self.field(name).problem(format!("unknown; use {}", known.join(", ")));
        }
        true
    }

    fn needed(&self) -> Option<&'a Value> {
        if self.value.is_none() {
            self.problem("missing");
        }
        self.value
    }

    /// The items; none when the field is absent.
    pub(super) fn list(&self) -> Vec<Self> {
        match self.value {
            None => Vec::new(),
            Some(Value::Array(items)) if items.len() > ITEMS_MAX => {
                self.problem(format!("{} items; state at most {ITEMS_MAX}", items.len()));
                Vec::new()
            }
            Some(Value::Array(items)) => {
                let path = |index| format!("{}[{index}]", self.path);
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.child(path(index), Some(item))).collect()
            }
            Some(_) => {
                self.refuse("a list");
                Vec::new()
            }
        }
    }

    /// Whether it is a list without items, or not there.
    pub(super) fn is_empty(&self) -> bool {
        self.value.is_none_or(|value| value.as_array().is_some_and(Vec::is_empty))
    }

    pub(super) fn is_text(&self) -> bool {
        self.value.is_some_and(Value::is_string)
    }

    /// One line of text: it ends up in messages and on receipts.
    pub(super) fn text(&self) -> Option<String> {
        let value = self.needed()?;
        let line = value.as_str().filter(|text| !text.contains(char::is_control));
        self.or_refuse(line.map(str::to_owned), "one line of text")
    }

    /// A text that `expected` describes.
    pub(super) fn parsed<T: FromStr>(&self, expected: &str) -> Option<T> {
        let value = self.needed()?;
        let parsed = value.as_str().and_then(|text| text.parse().ok());
        self.or_refuse(parsed, expected)
    }

    /// One of the texts of `choices`.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let value = self.needed()?;
        let chosen = choices.iter().find(|(name, _)| value.as_str() == Some(name));
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.or_refuse(chosen.map(|(_, choice)| *choice), &names.join(", "))
    }

    pub(super) fn number(&self) -> Option<Decimal> {
        let value = self.needed()?;
        let number = self.or_refuse(value.is_number().then_some(value), "a number")?;
        let number = number::deserialize(number).ok();
        let exact = number.filter(|number| is_exact(*number, value));
        self.or_refuse(exact, "a number of at most 15 digits")
    }

    pub(super) fn integer(&self, least: i64, most: i64) -> Option<i64> {
        let value = self.needed()?;
        let whole = number::deserialize(value).ok().filter(Decimal::is_integer);
        let fitting = whole.and_then(|n| n.to_i64()).filter(|n| (least..=most).contains(n));
        self.or_refuse(fitting, &format!("a whole number from {least} to {most}"))
    }

    pub(super) fn flag(&self) -> Option<bool> {
        let value = self.needed()?;
        self.or_refuse(value.as_bool(), "true or false")
    }

    fn or_refuse<T>(&self, read: Option<T>, expected: &str) -> Option<T> {
        if read.is_none() {
            self.refuse(expected);
        }
        read
    }

    fn refuse(&self, expected: &str) {
        let shown = self.value.map_or_else(String::new, Value::to_string);
        let start: String = shown.chars().take(SHOWN_MAX).collect();
        let more = if start == shown { "" } else { "…" };
        self.problem(format!("{start}{more} is not {expected}"));
    }
}

/// Whether `number` is all that `value` says, and can be written so.
fn is_exact(number: Decimal, value: &Value) -> bool {
    let written = number::serialize(&number, serde_json::value::Serializer).ok();
    let double = |value: &Value| value.as_f64();
    number.normalize().mantissa().unsigned_abs() < DIGITS_END
        && written.and_then(|written| double(&written)) == double(value)
}
