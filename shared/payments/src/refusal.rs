//! Why Stripe refused.

use serde::{Deserialize, Serialize};

/// Why Stripe refused to hold or take money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stripe's error code: `card_declined`, `authentication_required`, `expired_card`, …; or
    /// `invalid_request_error`, its type of error for a request that is wrong in itself.
    pub code: String,
    /// The issuer's reason behind `card_declined`: `insufficient_funds`, …; or what is wrong with
    /// the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
}

/// <https://docs.stripe.com/api/errors#errors-type>
const INVALID_REQUEST: &str = "invalid_request_error";

impl Refusal {
    /// That Stripe finds the request wrong: by its code, or else by the parameter that it names.
    pub(crate) fn rejected(code: &str, param: &str) -> Self {
        let named = [code, param].into_iter().find(|name| !name.is_empty());
        Self { code: INVALID_REQUEST.to_owned(), decline_code: named.map(str::to_owned) }
    }

    /// Whether it is our request that was refused, and not a card: for a person to look at.
    #[must_use]
    pub fn is_rejection(&self) -> bool {
        self.code == INVALID_REQUEST
    }

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
