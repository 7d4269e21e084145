//! Stripe's error object. <https://docs.stripe.com/api/errors>

use serde_json::{Value, json};

/// What an endpoint answers: the object, or why not.
pub(crate) type Answer<T> = Result<T, Box<ApiError>>;

/// An error in Stripe's shape.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    /// HTTP status.
    pub(crate) status: u16,
    /// `error.type`.
    pub(crate) kind: &'static str,
    /// `error.code`.
    pub(crate) code: Option<String>,
    /// `error.message`.
    pub(crate) message: String,
    /// `error.param`.
    pub(crate) param: Option<String>,
    /// `error.decline_code`.
    pub(crate) decline_code: Option<String>,
    /// `error.charge`.
    pub(crate) charge: Option<String>,
    /// `error.payment_intent`.
    pub(crate) payment_intent: Option<Value>,
    /// `error.payment_method`.
    pub(crate) payment_method: Option<Value>,
    /// Whether the endpoint had begun to execute: only then its idempotency key keeps the answer.
    pub(crate) executed: bool,
}

impl ApiError {
    /// A request that is wrong in itself: 400, not kept under its idempotency key.
    pub(crate) fn invalid(
        code: Option<&str>,
        param: Option<&str>,
        message: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self {
            status: 400,
            kind: "invalid_request_error",
            code: code.map(str::to_owned),
            message: message.into(),
            param: param.map(str::to_owned),
            decline_code: None,
            charge: None,
            payment_intent: None,
            payment_method: None,
            executed: false,
        })
    }

    /// Something a parameter names does not exist.
    pub(crate) fn missing_reference(what: &str, id: &str, param: &str) -> Box<Self> {
        let message = format!("No such {what}: '{id}'");
        Self::invalid(Some("resource_missing"), Some(param), message)
    }

    /// The object of the URL does not exist.
    pub(crate) fn not_found(what: &str, id: &str, param: &str) -> Box<Self> {
        Box::new(Self { status: 404, ..*Self::missing_reference(what, id, param) })
    }

    /// The object is not in a state that allows the operation: found while executing, so kept.
    pub(crate) fn state(code: &str, message: String, payment_intent: Option<Value>) -> Box<Self> {
        let error = Self::invalid(Some(code), None, message);
        Box::new(Self { payment_intent, executed: true, ..*error })
    }

    /// A card error: 402, kept under its idempotency key.
    pub(crate) fn card(code: &str, decline_code: Option<&str>, message: &str) -> Box<Self> {
        let error = Self::invalid(Some(code), None, message);
        let decline_code = decline_code.map(str::to_owned);
        Box::new(Self { status: 402, kind: "card_error", decline_code, executed: true, ..*error })
    }

    /// An error of another status and type, outside the endpoints.
    pub(crate) fn other(status: u16, kind: &'static str, code: Option<&str>, m: &str) -> Box<Self> {
        Box::new(Self { status, kind, ..*Self::invalid(code, None, m) })
    }

    /// The body Stripe sends.
    pub(crate) fn body(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        let texts = [
            ("code", &self.code),
            ("param", &self.param),
            ("decline_code", &self.decline_code),
            ("charge", &self.charge),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                error[name] = json!(text);
            }
        }
        if let Some(code) = &self.code {
            let page = code.replace('_', "-");
            error["doc_url"] = json!(format!("https://stripe.com/docs/error-codes/{page}"));
        }
        for (name, object) in
            [("payment_intent", &self.payment_intent), ("payment_method", &self.payment_method)]
        {
            if let Some(object) = object {
                error[name] = object.clone();
            }
        }
        json!({ "error": error })
    }
}
