//! What is wrong with a plan or a schedule before it is published.

use serde::{Deserialize, Serialize};

/// Something about a plan or a schedule that its publisher should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether it refuses publication.
    pub severity: Severity,
    /// Stable code.
    pub code: String,
    /// The field it is about, `discounts[0].by`; empty when it is about the whole.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is refused.
    Error,
    /// It is accepted.
    Warning,
}

/// Findings as they are made.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn error(&mut self, code: &str, place: impl Into<String>, message: String) {
        self.add(Severity::Error, code, place.into(), message);
    }

    pub(crate) fn warning(&mut self, code: &str, place: impl Into<String>, message: String) {
        self.add(Severity::Warning, code, place.into(), message);
    }

    fn add(&mut self, severity: Severity, code: &str, place: String, message: String) {
        self.0.push(Finding { severity, code: code.to_owned(), place, message });
    }

    pub(crate) fn into_list(self) -> Vec<Finding> {
        self.0
    }
}
