//! Sending, and sorting what goes wrong: retry, refusal, the customer must act, our bug.
//!
//! <https://docs.stripe.com/error-low-level>, <https://docs.stripe.com/error-handling>

use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use network::StripePaymentIntentId;
use quantities::{SessionId, TapId};
use stripe::{
    ApiErrors, ApiErrorsType, IdempotencyKey, RequestStrategy, StripeError, StripeRequest,
};

use super::{AmountError, StripeClient, calls::Intent};
use crate::{Refusal, money::StuckWhy};

/// One attempt. Stripe answers in a second or two; whoever waits longer than this asks again.
pub(super) const TIMEOUT: Duration = Duration::from_secs(6);
/// The first pause between attempts; each further one is doubled.
pub(super) const BACKOFF: Duration = Duration::from_millis(150);
/// Attempts of one call; the queue behind the function repeats the rest.
const ATTEMPTS_MAX: u32 = 4;
/// All that is asked for one purpose, attempts, pauses and reads together: two of them fit into the
/// life of a function, with what has to be stored afterwards.
pub(super) const BUDGET: Duration = Duration::from_secs(12);
/// A key is refused to another request while its first one still runs. No request runs as long as
/// this: Stripe's own clients give up before.
const RUNS_AT_MOST: TimeDelta = TimeDelta::minutes(2);

/// Why a payment call has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// Nobody knows whether it happened: an outage, a timeout, an answer that cannot be read.
    /// Ask again, as often as it takes.
    #[error("no answer from Stripe to {call}")]
    Unknown {
        /// The call.
        call: &'static str,
    },
    /// Stripe says that the request is wrong: a bug of ours, or a key that may not do this.
    /// Asking again gives the same.
    #[error("Stripe rejects {call} with {status}: {code} {param}")]
    Rejected {
        /// The call.
        call: &'static str,
        /// HTTP status.
        status: u16,
        /// Stripe's error code; empty when it gives none.
        code: String,
        /// The parameter it is about; empty when it names none.
        param: String,
    },
    /// A PaymentIntent is where none of our calls can have brought it: for a person to see.
    #[error("{call} finds {payment_intent} in status {status}")]
    Unexpected {
        /// The call.
        call: &'static str,
        /// The PaymentIntent.
        payment_intent: StripePaymentIntentId,
        /// Its status.
        status: String,
    },
    /// A step that needs what the payment has not: a bug of ours.
    #[error("payment of session {session_id} has no such {what}")]
    Missing {
        /// The session.
        session_id: SessionId,
        /// What.
        what: &'static str,
    },
    /// A tap without PaymentIntent where it must have one: a bug of ours.
    #[error("tap {tap_id} has no PaymentIntent")]
    NoIntent {
        /// The tap.
        tap_id: TapId,
    },
    /// An amount that Stripe does not move, or that we cannot count: a currency that nobody should
    /// have been able to configure.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The API key or the base URL is malformed.
    #[error("the Stripe client is configured wrongly")]
    Configuration,
}

impl PaymentError {
    pub(super) const fn unknown(call: &'static str) -> Self {
        Self::Unknown { call }
    }

    /// Whether asking again, with the same key, can help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Whether it is about the account and not about the call: the key is revoked, say. Then every
    /// call fails, until somebody has set that right.
    #[must_use]
    pub const fn is_of_account(&self) -> bool {
        matches!(self, Self::Configuration | Self::Rejected { status: 401 | 403, .. })
    }

    /// Why a payment cannot go on, whose call failed so.
    #[must_use]
    pub fn stuck(self) -> StuckWhy {
        match self {
            Self::Rejected { status, code, param, .. } => {
                StuckWhy::Rejected { status, error: code, param }
            }
            Self::Unexpected { status, .. } => StuckWhy::Unexpected { status },
            other => StuckWhy::Unfit { what: other.to_string() },
        }
    }
}

/// What went wrong with one call.
#[derive(Debug)]
pub(super) enum Failure {
    /// The issuer or Stripe refused; the customer may have to act. An outcome.
    Refused { refusal: Refusal, payment_intent: Option<StripePaymentIntentId> },
    /// The PaymentIntent is not in a state for it: what state it is in decides.
    State,
    /// A 500 that the idempotency key remembers: the request is over, its result not told.
    ServerError,
    /// The key was used with other parameters, by another release or configuration: it tells
    /// nothing of what came of them.
    KeyReused,
    /// Not known; the same key may tell later.
    Unknown,
    /// Ours.
    Bug(PaymentError),
}

impl Failure {
    /// Goes on to look up what Stripe has, unless the same key tells later: then nothing is gained
    /// by more questions now.
    pub(super) fn worth_a_look(self, call: &'static str) -> Result<Self, PaymentError> {
        match self {
            Self::Unknown => Err(PaymentError::unknown(call)),
            Self::Bug(error) if !matches!(error, PaymentError::Rejected { .. }) => Err(error),
            other => Ok(other),
        }
    }

    /// Goes on with the next key if the present one will never tell more.
    pub(super) fn another_key(self, call: &'static str) -> Result<(), PaymentError> {
        match self {
            Self::ServerError | Self::KeyReused => Ok(()),
            other => Err(other.into_error(call)),
        }
    }

    /// The same for what must not be made twice, and is not at Stripe: a request with other
    /// parameters that was intended at `since` may still be running.
    pub(super) fn another_key_for(
        self,
        call: &'static str,
        since: Option<DateTime<Utc>>,
    ) -> Result<(), PaymentError> {
        let over = since.is_some_and(|at| now() - at > RUNS_AT_MOST);
        if matches!(self, Self::KeyReused) && !over {
            return Err(PaymentError::unknown(call));
        }
        self.another_key(call)
    }

    /// The refusal that it is, if Stripe says for certain that it does not do this. Asking again
    /// gives the same.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.clone()),
            Self::Bug(PaymentError::Rejected { status: 400, code, param, .. }) => {
                Some(Refusal::rejected(code, param))
            }
            _ => None,
        }
    }

    pub(super) fn into_error(self, call: &'static str) -> PaymentError {
        match self {
            Self::Bug(error) => error,
            Self::Refused { refusal, .. } => PaymentError::Rejected {
                call,
                status: 402,
                code: refusal.code,
                param: String::new(),
            },
            Self::State | Self::ServerError | Self::KeyReused | Self::Unknown => {
                PaymentError::unknown(call)
            }
        }
    }
}

/// The verdict on one attempt.
enum Verdict {
    Again(Failure),
    Final(Failure),
}

impl StripeClient {
    /// A write under `key`, repeated while its outcome is not known.
    pub(super) async fn write<R: StripeRequest<Output = Intent>>(
        &self,
        call: &'static str,
        key: &str,
        request: &R,
    ) -> Result<Intent, Failure> {
        self.send(call, Some(key), request).await
    }

    /// Work of several calls, within the time that there is for it. What is given up so is not
    /// known, as a call without an answer is not.
    pub(super) async fn within<T>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T, PaymentError>>,
    ) -> Result<T, PaymentError> {
        let done = tokio::time::timeout(self.budget, work).await;
        done.unwrap_or(Err(PaymentError::unknown(call)))
    }

    /// A call, repeated while its outcome is not known: a bounded number of times, with pauses, and
    /// within the time that there is.
    pub(super) async fn send<R>(
        &self,
        call: &'static str,
        key: Option<&str>,
        request: &R,
    ) -> Result<R::Output, Failure>
    where
        R: StripeRequest,
        R::Output: miniserde::Deserialize,
    {
        let sent = tokio::time::timeout(self.budget, self.attempts(call, key, request)).await;
        sent.unwrap_or(Err(Failure::Unknown))
    }

    async fn attempts<R>(
        &self,
        call: &'static str,
        key: Option<&str>,
        request: &R,
    ) -> Result<R::Output, Failure>
    where
        R: StripeRequest,
        R::Output: miniserde::Deserialize,
    {
        let mut pause = self.backoff;
        let mut attempt = 1;
        let mut server_errors = 0;
        let mut unanswered = false;
        loop {
            let strategy = match key {
                Some(key) => RequestStrategy::Idempotent(idempotency_key(key)?),
                None => RequestStrategy::Once,
            };
            let sent = request.build().customize().request_strategy(strategy);
            let failure = match sent.send(&self.client).await {
                Ok(answer) => return Ok(answer),
                Err(error) => match sort(call, error) {
                    Verdict::Final(failure) => return Err(failure),
                    Verdict::Again(failure) => failure,
                },
            };
            let is_server_error = matches!(failure, Failure::ServerError);
            server_errors += u32::from(is_server_error);
            unanswered |= !is_server_error;
            // A second 500 under one key is a replay of the first: the key is spent. The library
            // does not show the header that says so (`Idempotent-Replayed`). One 500 need not come
            // from the endpoint, and what an attempt without an answer began may still be running.
            let is_spent = server_errors > 1 && !unanswered;
            if key.is_some() && is_spent {
                return Err(Failure::ServerError);
            }
            if attempt >= ATTEMPTS_MAX {
                return Err(Failure::Unknown);
            }
            tracing::warn!(call, attempt, "no outcome from Stripe, asking again");
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }
}

fn idempotency_key(key: &str) -> Result<IdempotencyKey, Failure> {
    IdempotencyKey::new(key).map_err(|_| Failure::Bug(PaymentError::Configuration))
}

/// Never keeps the library's error: its text shows what Stripe sent.
fn sort(call: &'static str, error: StripeError) -> Verdict {
    match error {
        StripeError::Stripe(error, status) => sort_answer(call, *error, status),
        // A proxy's page in HTML comes as a deserialisation error, too.
        StripeError::JSONDeserialize(_) | StripeError::ClientError(_) | StripeError::Timeout => {
            Verdict::Again(Failure::Unknown)
        }
        StripeError::ConfigError(_) => Verdict::Final(Failure::Bug(PaymentError::Configuration)),
    }
}

fn sort_answer(call: &'static str, error: ApiErrors, status: u16) -> Verdict {
    let code = error.code.as_ref().map(|code| code.as_str().to_owned()).unwrap_or_default();
    let param = error.param.unwrap_or_default();
    let is_refusal = status == 402
        || error.type_ == ApiErrorsType::CardError
        // The amount is below what Stripe takes, or the customer's card is gone: no bug of ours.
        || matches!(
            code.as_str(),
            "amount_too_small" | "amount_too_large" | "charge_disputed" | "charge_already_refunded"
        )
        || (status == 400 && matches!(param.as_str(), "payment_method" | "customer"));
    match status {
        500 => Verdict::Again(Failure::ServerError),
        409 | 424 | 429 | 501.. => Verdict::Again(Failure::Unknown),
        400 if error.type_ == ApiErrorsType::IdempotencyError => Verdict::Final(Failure::KeyReused),
        _ if is_refusal => {
            let code = if code.is_empty() { "card_declined".to_owned() } else { code };
            let refusal = Refusal { code, decline_code: error.decline_code };
            let payment_intent = error.payment_intent.map(|intent| intent.id.as_str().to_owned());
            let payment_intent = payment_intent.map(StripePaymentIntentId);
            Verdict::Final(Failure::Refused { refusal, payment_intent })
        }
        400 if matches!(
            code.as_str(),
            "payment_intent_unexpected_state" | "charge_expired_for_capture"
        ) =>
        {
            Verdict::Final(Failure::State)
        }
        _ => {
            let rejected = PaymentError::Rejected { call, status, code, param };
            Verdict::Final(Failure::Bug(rejected))
        }
    }
}

/// Only the age of a key is measured with it.
pub(super) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}
