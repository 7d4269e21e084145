//! Where in an object we are, and what was found wrong on the way.

use chrono::{NaiveDate, NaiveTime};
use quantities::Currency;

use crate::{Version, read::Problem};

pub(super) struct Check {
    version: Version,
    path: String,
    problems: Vec<Problem>,
}

/// A text of a certain form.
#[derive(Clone, Copy)]
pub(super) enum Text {
    TimeOfDay,
    Date,
    /// Decimal degrees with up to so many digits before the point.
    Degrees(usize),
}

impl Check {
    pub(super) fn new(version: Version) -> Self {
        Self { version, path: String::new(), problems: Vec::new() }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(super) fn problem(&mut self, name: &str, message: &str) {
        let path =
            if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        self.problems.push(Problem { path, message: message.to_owned() });
    }

    /// Checks what is in the field `name`.
    pub(super) fn within(&mut self, name: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        check(self);
        self.path.truncate(length);
    }

    /// Checks every item of the list `name`.
    pub(super) fn each<T>(&mut self, name: &str, items: &[T], check: impl Fn(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            self.within(&format!("{name}[{index}]"), |within| check(within, item));
        }
    }

    pub(super) fn not_empty<T>(&mut self, name: &str, items: &[T]) {
        if items.is_empty() {
            self.problem(name, "empty; at least one is needed");
        }
    }

    /// At most `most` characters.
    pub(super) fn length(&mut self, name: &str, text: &str, most: usize) {
        let length = text.chars().count();
        if length > most {
            self.problem(name, &format!("{length} characters; at most {most} are allowed"));
        }
    }

    /// `string(most)`: printable.
    pub(super) fn text(&mut self, name: &str, text: &str, most: usize) {
        self.length(name, text, most);
        if text.chars().any(char::is_control) {
            self.problem(name, "has characters that cannot be printed");
        }
    }

    pub(super) fn any_text(&mut self, name: &str, text: Option<&String>, most: usize) {
        if let Some(text) = text {
            self.text(name, text, most);
        }
    }

    /// `CiString(most)`, as an id: printable ASCII, and something.
    pub(super) fn ci(&mut self, name: &str, text: &str, most: usize) {
        self.length(name, text, most);
        if text.is_empty() {
            self.problem(name, "empty");
        }
        if text.chars().any(|c| !(' '..='~').contains(&c)) {
            self.problem(name, "has characters that are not printable ASCII");
        }
    }

    pub(super) fn any_ci(&mut self, name: &str, text: Option<&String>, most: usize) {
        if let Some(text) = text {
            self.ci(name, text, most);
        }
    }

    /// A code of exactly `length` letters or digits.
    pub(super) fn code(&mut self, name: &str, code: &str, length: usize, of: &str) {
        if code.len() != length || !code.bytes().all(|c| c.is_ascii_alphanumeric()) {
            self.problem(name, &format!("`{code}` is not a code of {length} characters ({of})"));
        }
    }

    pub(super) fn currency(&mut self, code: &str) {
        if code.parse::<Currency>().is_err() {
            self.problem("currency", &format!("`{code}` is not an ISO 4217 currency code"));
        }
    }

    pub(super) fn any_of(&mut self, name: &str, text: Option<&String>, allowed: &[&str]) {
        if let Some(text) = text.filter(|text| !allowed.contains(&text.as_str())) {
            self.problem(name, &format!("`{text}` is not one of {}", allowed.join(", ")));
        }
    }

    pub(super) fn form(&mut self, name: &str, text: Option<&String>, form: Text) {
        let Some(text) = text else { return };
        if !form.fits(text) {
            self.problem(name, &format!("`{text}` is not {}", form.such_as()));
        }
    }
}

impl Text {
    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::TimeOfDay => text.len() == 5 && NaiveTime::parse_from_str(text, "%H:%M").is_ok(),
            Self::Date => text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
            Self::Degrees(most) => {
                let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
                let parts = text.strip_prefix('-').unwrap_or(text).split_once('.');
                parts.is_some_and(|(whole, part)| {
                    digits(whole)
                        && digits(part)
                        && (1..=most).contains(&whole.len())
                        && (5..=7).contains(&part.len())
                })
            }
        }
    }

    fn such_as(self) -> &'static str {
        match self {
            Self::TimeOfDay => "a time of day such as 19:45",
            Self::Date => "a date such as 2015-12-24",
            Self::Degrees(_) => "decimal degrees with 5 to 7 decimals such as 50.770774",
        }
    }
}
