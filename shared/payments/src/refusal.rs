//! Why Stripe refused.

use serde::{Deserialize, Serialize};

/// Why Stripe refused to hold or take money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stripe's error code: `card_declined`, `authentication_required`, `expired_card`, …
    pub code: String,
    /// The issuer's reason behind `card_declined`: `insufficient_funds`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
}

impl Refusal {
    /// Whether the customer can make it work by confirming it themselves (3-D Secure).
    #[must_use]
    pub fn customer_must_act(&self) -> bool {
        self.code == "authentication_required"
            || self.decline_code.as_deref() == Some("authentication_required")
    }

    /// The most telling code: the issuer's where there is one.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.decline_code.as_deref().unwrap_or(&self.code)
    }
}
