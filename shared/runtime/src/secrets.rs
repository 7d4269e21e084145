//! Secrets Manager, read once per process and again after a while.

use std::{
    collections::HashMap,
    error::Error,
    sync::Mutex,
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata},
};
use serde::Deserialize;

/// After this long a secret is read again, so that a rotation reaches warm processes.
const FRESH: Duration = Duration::from_mins(5);

/// Why a secret could not be had. Names the secret, never its value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager refused or did not answer.
    #[error("secret {name} could not be read ({code})")]
    Unavailable {
        /// Its name.
        name: String,
        /// AWS's error code.
        code: String,
        /// The SDK's own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It does not have the form it must have.
    #[error("secret {name} is not what it must be: {rule}")]
    Malformed {
        /// Its name.
        name: String,
        /// What it must be.
        rule: &'static str,
    },
}

/// What the Stripe secret holds.
#[derive(Clone, Deserialize)]
pub struct StripeSecret {
    /// The API key (`sk_…` or a restricted `rk_…`).
    pub api_key: String,
    /// The signing secret of the webhook endpoint (`whsec_…`).
    pub webhook_secret: String,
}

/// Secrets Manager, with the function's own role.
#[derive(Debug)]
pub struct Secrets {
    client: Client,
    known: Mutex<HashMap<String, (Instant, String)>>,
}

impl Secrets {
    /// Connects. Once, in `main`.
    #[must_use]
    pub fn new(aws: &SdkConfig) -> Self {
        Self { client: Client::new(aws), known: Mutex::default() }
    }

    /// The secret called `name`, as text.
    ///
    /// # Errors
    ///
    /// [`SecretError`].
    pub async fn text(&self, name: &str) -> Result<String, SecretError> {
        if let Some(text) = self.fresh(name) {
            return Ok(text);
        }
        let answer = self.client.get_secret_value().secret_id(name).send().await;
        let answer = answer.map_err(|error| SecretError::Unavailable {
            name: name.to_owned(),
            code: error.code().unwrap_or("no answer").to_owned(),
            source: DisplayErrorContext(error).to_string().into(),
        })?;
        let rule = "a text";
        let text =
            answer.secret_string.ok_or(SecretError::Malformed { name: name.into(), rule })?;
        if let Ok(mut known) = self.known.lock() {
            known.insert(name.to_owned(), (Instant::now(), text.clone()));
        }
        Ok(text)
    }

    /// The Stripe secret called `name`.
    ///
    /// # Errors
    ///
    /// [`SecretError`].
    pub async fn stripe(&self, name: &str) -> Result<StripeSecret, SecretError> {
        let rule = "JSON with `api_key` and `webhook_secret`";
        serde_json::from_str(&self.text(name).await?)
            .map_err(|_| SecretError::Malformed { name: name.to_owned(), rule })
    }

    fn fresh(&self, name: &str) -> Option<String> {
        let known = self.known.lock().ok()?;
        let (read_at, text) = known.get(name)?;
        (read_at.elapsed() < FRESH).then(|| text.clone())
    }
}
