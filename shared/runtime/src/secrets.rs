//! Secrets Manager, read once per process and again after a while.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    sync::Mutex,
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::{create_secret::CreateSecretError, delete_secret::DeleteSecretError},
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
    /// Secrets Manager did not take it, or did not say so; safe to try again.
    #[error("secret {name} could not be stored ({code})")]
    NotStored {
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

    /// Stores the secret called `name`, whether there was one or not.
    ///
    /// # Errors
    ///
    /// [`SecretError::NotStored`].
    pub async fn put(&self, name: &str, text: &str) -> Result<(), SecretError> {
        let create = self.client.create_secret().name(name).secret_string(text).send().await;
        let Err(error) = create else { return Ok(()) };
        if !error.as_service_error().is_some_and(CreateSecretError::is_resource_exists_exception) {
            return Err(not_stored(name, error));
        }
        let put = self.client.put_secret_value().secret_id(name).secret_string(text).send().await;
        put.map(|_| ()).map_err(|error| not_stored(name, error))
    }

    /// Deletes the secret called `name` at once, if there is one.
    ///
    /// # Errors
    ///
    /// [`SecretError::NotStored`].
    pub async fn delete(&self, name: &str) -> Result<(), SecretError> {
        let request = self.client.delete_secret().secret_id(name);
        // Without a recovery window: the same name must be free for a new secret.
        let delete = request.force_delete_without_recovery(true).send().await;
        match delete {
            Err(error)
                if !error
                    .as_service_error()
                    .is_some_and(DeleteSecretError::is_resource_not_found_exception) =>
            {
                Err(not_stored(name, error))
            }
            _ => Ok(()),
        }
    }

    fn fresh(&self, name: &str) -> Option<String> {
        let known = self.known.lock().ok()?;
        let (read_at, text) = known.get(name)?;
        (read_at.elapsed() < FRESH).then(|| text.clone())
    }
}

fn not_stored<E, R>(name: &str, error: SdkError<E, R>) -> SecretError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: fmt::Debug + Send + Sync + 'static,
{
    SecretError::NotStored {
        name: name.to_owned(),
        code: error.code().unwrap_or("no answer").to_owned(),
        source: DisplayErrorContext(error).to_string().into(),
    }
}
