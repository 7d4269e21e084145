//! Problem details (RFC 9457): what is wrong, under a stable name, and what to do.

use std::{str::FromStr, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::StoreError;
use utoipa::ToSchema;

use crate::Told;

/// What `type` begins with; the rest is the problem's stable code.
const TYPE_PREFIX: &str = "urn:tallywatt:problem:";

/// A problem on its way to the caller.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ProblemType,
    detail: String,
    errors: Vec<Violation>,
    members: Map<String, Value>,
    cause: Option<Arc<anyhow::Error>>,
    refusal: bool,
}

macro_rules! problem_types {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $title:literal;)+) => {
        /// What can be wrong. The codes are stable; HTTP status and title belong to them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemType {
            $($(#[$doc])* $name,)+
        }

        impl ProblemType {
            /// Its stable code, the end of `type`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// Its HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

problem_types! {
    /// No token, or one without a subject.
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "Who are you?";
    /// The caller's roles do not allow it.
    Forbidden = FORBIDDEN, "forbidden", "Not allowed";
    /// The card was refused; `code` and `decline_code` are Stripe's.
    PaymentRefused = PAYMENT_REQUIRED, "payment-refused", "The card was refused";
    /// There is no such thing, or it is not the caller's.
    NotFound = NOT_FOUND, "not-found", "Not found";
    /// There is no such path.
    NoSuchPath = NOT_FOUND, "no-such-path", "No such path";
    /// The path does not know the method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed";
    /// The request is not what the document describes.
    MalformedRequest = BAD_REQUEST, "malformed-request", "The request cannot be read";
    /// A webhook whose signature is not good.
    BadSignature = BAD_REQUEST, "bad-signature", "The signature is not good";
    /// The request can be read and is wrong; `errors` lists all that is.
    InvalidRequest = UNPROCESSABLE_ENTITY, "invalid-request", "The request is not valid";
    /// The tariff cannot be published or offered; `errors` lists all findings.
    InvalidTariff = UNPROCESSABLE_ENTITY, "invalid-tariff", "The tariff is not valid";
    /// The plan cannot be published; `errors` lists all findings.
    InvalidPlan = UNPROCESSABLE_ENTITY, "invalid-plan", "The plan is not valid";
    /// The Idempotency-Key was used for another request.
    KeyReused = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Idempotency-Key used before";
    /// The state of the thing does not allow it.
    Conflict = CONFLICT, "conflict", "Not in this state";
    /// Somebody else changed it in the meantime.
    Stale = CONFLICT, "changed-meanwhile", "Changed in the meantime";
    /// Another price is on offer than the one that was shown.
    PriceChanged = CONFLICT, "price-changed", "The price has changed";
    /// The charger is not connected, or the connector is out of order.
    ChargerUnavailable = CONFLICT, "charger-unavailable", "The charger is not available";
    /// The driver has no way to pay on file.
    NoPaymentMethod = CONFLICT, "no-payment-method", "No way to pay";
    /// The driver owes money for an earlier session; `debts` says for which and how much.
    DebtOpen = CONFLICT, "debt-open", "Something is still owed";
    /// The driver has tags, and none of them may charge: at least one is blocked.
    Blocked = CONFLICT, "blocked", "Blocked from charging";
    /// The driver's account has reached its spending cap.
    CapReached = CONFLICT, "spending-cap-reached", "The spending cap is reached";
    /// The token does not say that the driver has an e-mail address, and that it is theirs.
    EmailNotVerified = CONFLICT, "email-not-verified", "No verified e-mail address";
    /// The session has no price yet.
    NotPriced = CONFLICT, "not-priced", "No price yet";
    /// Something we depend on did not answer.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "Try again";
    /// A mistake of ours.
    Internal = INTERNAL_SERVER_ERROR, "internal", "Our mistake";
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Violation {
    /// JSON pointer (RFC 6901) to what is wrong.
    #[schema(example = "/currency")]
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
    /// Stable code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Problem details (RFC 9457), `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDetails {
    /// Stable name of the problem: `urn:tallywatt:problem:` and its code.
    #[serde(rename = "type")]
    #[schema(example = "urn:tallywatt:problem:invalid-request")]
    pub kind: String,
    /// The same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong this time, and what to do.
    pub detail: String,
    /// All that is wrong with the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Violation>,
    /// Further members of a type of problem, such as `decline_code`.
    #[serde(flatten)]
    #[schema(ignore)]
    pub members: Map<String, Value>,
}

impl Problem {
    /// A problem; `detail` says what is wrong and what to do.
    #[must_use]
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let refusal = matches!(
            kind,
            ProblemType::Unauthenticated | ProblemType::Forbidden | ProblemType::BadSignature
        );
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            errors: vec![],
            members: Map::new(),
            cause: None,
            refusal,
        }))
    }

    /// There is no `what` of this id.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemType::NotFound, format!("There is no such {what}."))
    }

    /// The `what` is somebody else's: told as if it did not exist, counted as a refusal.
    #[must_use]
    pub fn somebody_elses(what: &str) -> Self {
        let mut problem = Self::not_found(what);
        problem.0.refusal = true;
        problem
    }

    /// All that is wrong with a request.
    #[must_use]
    pub fn invalid(kind: ProblemType, errors: Vec<Violation>) -> Self {
        let count = errors.len();
        let things = if count == 1 { "thing is" } else { "things are" };
        let mut problem = Self::new(kind, format!("{count} {things} wrong, see `errors`."));
        problem.0.errors = errors;
        problem
    }

    /// With a member of its own.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(member.to_owned(), value.into());
        self
    }

    /// With what went wrong inside, for the log only.
    #[must_use]
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.0.cause = Some(Arc::new(cause.into()));
        self
    }

    /// Something we depend on did not answer; nothing was decided.
    #[must_use]
    pub fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        let detail = "Something we depend on did not answer. Try the same request again.";
        Self::new(ProblemType::Unavailable, detail).because(cause)
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.kind.status()
    }

    /// All that is wrong with the request.
    #[must_use]
    pub fn errors(&self) -> &[Violation] {
        &self.0.errors
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ProblemType {
        self.0.kind
    }
}

impl From<anyhow::Error> for Problem {
    fn from(cause: anyhow::Error) -> Self {
        let detail = "Something went wrong on our side; it is logged. Try again later.";
        Self::new(ProblemType::Internal, detail).because(cause)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what, .. } => Self::not_found(what).because(error),
            StoreError::Stale { what } => {
                let detail = format!("The {what} changed in the meantime. Read it and try again.");
                Self::new(ProblemType::Stale, detail)
            }
            StoreError::Dynamo { .. } => Self::unavailable(error),
            _ => anyhow::Error::from(error).into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { kind, detail, errors, members, cause, refusal } = *self.0;
        let details = ProblemDetails {
            kind: format!("{TYPE_PREFIX}{}", kind.code()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail,
            errors,
            members,
        };
        let mut response = (kind.status(), axum::Json(details)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if kind == ProblemType::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Told { code: kind.code(), cause, refusal });
        response
    }
}

/// Collects all that is wrong with a request, so that its sender can mend it in one go.
#[derive(Debug, Default)]
pub struct Check {
    violations: Vec<Violation>,
}

impl Check {
    /// `text` as a `T`; what is wrong with it, if it is none, is noted at `pointer`.
    pub fn parse<T>(&mut self, pointer: &str, text: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|error: T::Err| self.wrong(pointer, error.to_string())).ok()
    }

    /// The value, if it is one; what is wrong, if it is not, is noted at `pointer`.
    pub fn value<T, E: std::fmt::Display>(
        &mut self,
        pointer: &str,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|error| self.wrong(pointer, error.to_string())).ok()
    }

    /// Notes `detail` at `pointer` unless `holds`.
    pub fn that(&mut self, pointer: &str, holds: bool, detail: &str) {
        if !holds {
            self.wrong(pointer, detail);
        }
    }

    /// Notes `detail` at `pointer`.
    pub fn wrong(&mut self, pointer: &str, detail: impl Into<String>) {
        let (pointer, detail) = (pointer.to_owned(), detail.into());
        self.violations.push(Violation { pointer, detail, code: None });
    }

    /// A text with something in it and at most `chars_max` characters.
    pub fn text(&mut self, pointer: &str, text: &str, chars_max: usize) -> Option<String> {
        let text = text.trim();
        if !text.is_empty() && text.chars().count() <= chars_max {
            return Some(text.to_owned());
        }
        self.wrong(pointer, format!("must have 1 to {chars_max} characters"));
        None
    }

    /// What was `made` of the request, if nothing is wrong with it.
    ///
    /// # Errors
    ///
    /// [`ProblemType::InvalidRequest`] with all that is.
    pub fn finish<T>(self, made: impl FnOnce() -> Option<T>) -> Result<T, Problem> {
        if !self.violations.is_empty() {
            return Err(Problem::invalid(ProblemType::InvalidRequest, self.violations));
        }
        made().ok_or_else(|| anyhow::anyhow!("a valid request made nothing").into())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn body(problem: Problem) -> ProblemDetails {
        let response = problem.into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn everything_that_is_wrong_is_told_at_once() {
        let mut check = Check::default();
        let currency = check.parse::<quantities::Currency>("/currency", "EURO");
        check.that("/silent_after_s", false, "must be at least 60");
        let made = check.finish(|| currency);
        let told = body(made.unwrap_err()).await;
        assert_eq!(told.kind, "urn:tallywatt:problem:invalid-request");
        assert_eq!(told.status, 422);
        let pointers: Vec<_> = told.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/currency", "/silent_after_s"]);
    }

    #[tokio::test]
    async fn what_went_wrong_inside_is_not_told_outside() {
        let cause = anyhow::anyhow!("table tallywatt-sessions is on fire");
        let told = serde_json::to_string(&body(cause.into()).await).unwrap();
        assert!(!told.contains("fire"), "{told}");
    }

    #[tokio::test]
    async fn a_type_of_problem_can_have_members_of_its_own() {
        let problem = Problem::new(ProblemType::PaymentRefused, "Use another card.");
        let told = body(problem.with("decline_code", "insufficient_funds")).await;
        assert_eq!(
            (told.status, &told.members["decline_code"]),
            (402, &"insufficient_funds".into())
        );
    }
}
