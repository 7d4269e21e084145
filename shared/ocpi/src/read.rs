//! Reads tariffs and CDRs that others wrote, in every version of OCPI: all that is wrong is told at
//! once, and what does not matter to a price may be missing.
//!
//! serde's own reading stops at the first problem and insists on every field. A tariff or CDR from
//! a file, a partner or a form is read here; a field that no price depends on and that is missing
//! becomes `#NA`, as OCPI writes what is not available. Whatever is read becomes the [`Tariff`] or
//! [`Cdr`] that everything works with; what has no place in it is named.

mod cdr;
mod node;
mod tariff;

use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::{Cdr, Tariff, Version, json};
pub(crate) use {cdr::place_at, node::Node};

/// Something that is wrong with a tariff or CDR, or that was left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `elements[0].price_components[1].price`; empty for the whole text.
    pub path: String,
    /// What.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write_line(f, &self.path)?;
            f.write_str(": ")?;
        }
        write_line(f, &self.message)
    }
}

/// Writes `text`, which may have anything from outside in it, as part of one line.
fn write_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        c if c.is_control() => write!(f, "{}", c.escape_default()),
        c => f.write_char(c),
    })
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<T> {
    /// The object.
    pub value: T,
    /// The version that it was read as.
    pub version: Version,
    /// What of the text is not in `value`, and why. A tariff has nothing among it that a price
    /// depends on: such a field is a problem. Of a CDR, a tariff that has problems is among it.
    pub left_out: Vec<Problem>,
}

/// Reads a _Tariff_ object of any version.
///
/// # Errors
///
/// Every problem found.
pub fn tariff(text: &str) -> Result<Tariff, Vec<Problem>> {
    tariff_as(text, None).map(|reading| reading.value)
}

/// Reads a _CDR_ object of any version.
///
/// # Errors
///
/// Every problem found.
pub fn cdr(text: &str) -> Result<Cdr, Vec<Problem>> {
    cdr_as(text, None).map(|reading| reading.value)
}

/// Reads a _Tariff_ object of `version`, or of the one that its fields tell.
///
/// # Errors
///
/// Every problem found.
pub fn tariff_as(text: &str, version: Option<Version>) -> Result<Reading<Tariff>, Vec<Problem>> {
    read(text, |value| version.unwrap_or_else(|| Version::of_tariff(value)), tariff::tariff_at)
}

/// Reads a _CDR_ object of `version`, or of the one that its fields tell.
///
/// # Errors
///
/// Every problem found.
pub fn cdr_as(text: &str, version: Option<Version>) -> Result<Reading<Cdr>, Vec<Problem>> {
    read(text, |value| version.unwrap_or_else(|| Version::of_cdr(value)), cdr::cdr_at)
}

fn read<T>(
    text: &str,
    version: impl FnOnce(&Value) -> Version,
    read: impl FnOnce(&Node) -> T,
) -> Result<Reading<T>, Vec<Problem>> {
    let json = json::parse(text)?;
    if !json.is_object() {
        let message = "not a JSON object".to_owned();
        return Err(vec![Problem { path: String::new(), message }]);
    }
    let version = version(&json);
    let root = Node::root(&json, version);
    let value = read(&root);
    let (problems, left_out) = root.into_notes();
    if problems.is_empty() { Ok(Reading { value, version, left_out }) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
