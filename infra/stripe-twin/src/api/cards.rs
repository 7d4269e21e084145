//! Stripe's test cards, by their PaymentMethod tokens. <https://docs.stripe.com/testing>

/// What a test card does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Pays.
    Pays,
    /// Declines every charge, and to be attached to a customer
    /// (<https://docs.stripe.com/testing#declined-payments>).
    Declines {
        /// `error.code`.
        code: &'static str,
        /// `error.decline_code`.
        decline_code: Option<&'static str>,
    },
    /// Attaches to a customer and declines every charge (same page, "Decline after attaching").
    DeclinesOnceAttached,
    /// Wants the customer on every payment
    /// (<https://docs.stripe.com/testing#authentication-and-setup>, "Always authenticate").
    AlwaysAuthenticates,
    /// Wants the customer unless it was set up for off-session payments (same page, "Authenticate
    /// unless set up").
    AuthenticatesUnlessSetUp,
    /// Set up already: off session it pays, on session it wants the customer (same page, "Already
    /// set up").
    AlreadySetUp,
    /// Wants the customer, then has no money (same page, "Insufficient funds").
    AuthenticatesThenDeclines,
    /// Pays; its refunds succeed later (<https://docs.stripe.com/testing#refunds>).
    RefundsLate,
    /// Pays; its refunds fail later (same page).
    RefundFails,
    /// Pays, and its holder disputes the charge (<https://docs.stripe.com/testing#disputes>).
    Disputes {
        /// `dispute.reason`.
        reason: &'static str,
        /// Whether the bank only asks.
        inquiry: bool,
    },
}

/// A test card.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestCard {
    /// The token that stands for it.
    pub(crate) token: &'static str,
    /// `card.brand`.
    pub(crate) brand: &'static str,
    /// `card.last4`.
    pub(crate) last4: &'static str,
    /// What it does.
    pub(crate) behaviour: Behaviour,
}

const fn declined(decline_code: &'static str) -> Behaviour {
    Behaviour::Declines { code: "card_declined", decline_code: Some(decline_code) }
}

const fn refused(code: &'static str) -> Behaviour {
    Behaviour::Declines { code, decline_code: None }
}

const fn disputes(reason: &'static str, inquiry: bool) -> Behaviour {
    Behaviour::Disputes { reason, inquiry }
}

const fn visa(token: &'static str, last4: &'static str, behaviour: Behaviour) -> TestCard {
    TestCard { token, brand: "visa", last4, behaviour }
}

const CARDS: [TestCard; 24] = [
    visa("pm_card_visa", "4242", Behaviour::Pays),
    visa("pm_card_visa_debit", "5556", Behaviour::Pays),
    visa("pm_card_de", "0016", Behaviour::Pays),
    TestCard {
        token: "pm_card_mastercard",
        brand: "mastercard",
        last4: "4444",
        behaviour: Behaviour::Pays,
    },
    TestCard { token: "pm_card_amex", brand: "amex", last4: "8431", behaviour: Behaviour::Pays },
    TestCard { token: "pm_card_jcb", brand: "jcb", last4: "0505", behaviour: Behaviour::Pays },
    visa("pm_card_visa_chargeDeclined", "0002", declined("generic_decline")),
    visa("pm_card_visa_chargeDeclinedInsufficientFunds", "9995", declined("insufficient_funds")),
    visa("pm_card_visa_chargeDeclinedLostCard", "9987", declined("lost_card")),
    visa("pm_card_visa_chargeDeclinedStolenCard", "9979", declined("stolen_card")),
    visa(
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        "6975",
        declined("card_velocity_exceeded"),
    ),
    visa("pm_card_chargeDeclinedExpiredCard", "0069", refused("expired_card")),
    visa("pm_card_chargeDeclinedIncorrectCvc", "0127", refused("incorrect_cvc")),
    visa("pm_card_chargeDeclinedProcessingError", "0119", refused("processing_error")),
    visa("pm_card_chargeCustomerFail", "0341", Behaviour::DeclinesOnceAttached),
    visa("pm_card_authenticationRequired", "3184", Behaviour::AlwaysAuthenticates),
    visa("pm_card_authenticationRequiredOnSetup", "3155", Behaviour::AuthenticatesUnlessSetUp),
    visa("pm_card_authenticationRequiredSetupForOffSession", "0446", Behaviour::AlreadySetUp),
    visa(
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "3178",
        Behaviour::AuthenticatesThenDeclines,
    ),
    visa("pm_card_pendingRefund", "7726", Behaviour::RefundsLate),
    visa("pm_card_refundFail", "5126", Behaviour::RefundFails),
    visa("pm_card_createDispute", "0259", disputes("fraudulent", false)),
    visa(
        "pm_card_createDisputeProductNotReceived",
        "2685",
        disputes("product_not_received", false),
    ),
    visa("pm_card_createDisputeInquiry", "1976", disputes("fraudulent", true)),
];

/// The card that `token` stands for.
pub(crate) fn find(token: &str) -> Option<TestCard> {
    CARDS.into_iter().find(|card| card.token == token)
}
