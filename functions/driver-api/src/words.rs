//! Refusals in words that help a driver.

use payments::Refusal;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a card was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Refusal)]
pub(crate) struct RefusalView {
    /// Stripe's error code.
    #[schema(example = "card_declined")]
    pub(crate) code: String,
    /// The issuer's reason, where it may be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "insufficient_funds")]
    pub(crate) decline_code: Option<String>,
    /// Whether the driver can make it work by confirming the payment themselves.
    pub(crate) customer_must_act: bool,
    /// What it means, and what to do.
    pub(crate) message: String,
}

/// Reasons that whoever holds the card is not to learn: it may not be theirs.
/// <https://docs.stripe.com/declines/codes>
const NOT_TOLD: [&str; 6] = [
    "fraudulent",
    "lost_card",
    "merchant_blacklist",
    "pickup_card",
    "restricted_card",
    "stolen_card",
];

impl From<&Refusal> for RefusalView {
    fn from(refusal: &Refusal) -> Self {
        let told = |code: &str| !NOT_TOLD.contains(&code);
        let generic = || "generic_decline".to_owned();
        let decline_code = refusal.decline_code.clone();
        Self {
            code: if told(&refusal.code) { refusal.code.clone() } else { generic() },
            decline_code: decline_code.map(|code| if told(&code) { code } else { generic() }),
            customer_must_act: refusal.customer_must_act(),
            message: message(refusal).to_owned(),
        }
    }
}

fn message(refusal: &Refusal) -> &'static str {
    match refusal.reason() {
        "authentication_required" => {
            "Your bank wants you to confirm the payment. Confirm it in the app, or use another card."
        }
        "insufficient_funds" => {
            "There is not enough money or credit on the card. Use another card, or top it up."
        }
        "expired_card" => "The card has expired. Use another card.",
        "incorrect_cvc"
        | "invalid_cvc"
        | "incorrect_number"
        | "invalid_number"
        | "invalid_expiry_month"
        | "invalid_expiry_year" => {
            "The card's details are not right. Enter the card again, or use another one."
        }
        "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => {
            "The card's limit is reached. Ask your bank, or use another card."
        }
        "card_not_supported" | "currency_not_supported" | "not_permitted" => {
            "The card cannot be used for this kind of payment. Use another card."
        }
        "processing_error" | "issuer_not_available" | "try_again_later" | "reenter_transaction" => {
            "Your bank could not be asked just now. Try again in a moment."
        }
        "amount_too_small" => "The amount is too small to be taken from a card.",
        _ => "Your bank has refused the payment. Ask your bank, or use another card.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(decline_code: &str) -> RefusalView {
        let decline_code = Some(decline_code.to_owned());
        RefusalView::from(&Refusal { code: "card_declined".to_owned(), decline_code })
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert!(told("insufficient_funds").message.contains("top it up"));
        let confirm = told("authentication_required");
        assert!(confirm.customer_must_act && confirm.message.contains("Confirm"));
    }

    #[test]
    fn whoever_found_a_card_does_not_learn_that_it_is_missed() {
        for code in ["lost_card", "stolen_card", "fraudulent"] {
            let told = told(code);
            assert_eq!(told.decline_code.as_deref(), Some("generic_decline"));
            assert_eq!(told.message, super::tests::told("do_not_honor").message);
        }
    }
}
