//! What is wrong with a tariff before it is published.

use network::Jurisdiction;
use quantities::Currency;
use serde::{Deserialize, Serialize};

use crate::TariffVersion;

/// Something about a tariff that its publisher should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffFinding {
    /// Whether it refuses publication.
    pub severity: Severity,
    /// Index of the element it is about; none when it is about the whole tariff.
    pub element: Option<usize>,
    /// Stable code.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The tariff is refused.
    Error,
    /// The tariff is accepted.
    Warning,
}

impl TariffVersion {
    /// Everything that is wrong with it at a site of `jurisdiction` and `currency`.
    #[must_use]
    pub fn validate(&self, jurisdiction: &Jurisdiction, currency: Currency) -> Vec<TariffFinding> {
        let _ = (jurisdiction, currency);
        Vec::new()
    }
}
