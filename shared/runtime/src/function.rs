//! A function's start: its name, its AWS configuration, its log.

use std::{env, pin::Pin};

use anyhow::Context as _;
use aws_config::{AppName, SdkConfig};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};
use tracing_subscriber::EnvFilter;

use crate::Invocation;

/// A Lambda function, started: serve one kind of trigger with it.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name: the folder's, the binary's, and the `app/…` in AWS's request logs.
    pub name: &'static str,
    /// AWS configuration with the function's own role. Share it: clients are made once.
    pub aws: SdkConfig,
}

impl Function {
    /// Starts the function called `name`: sets up the log and reads AWS's configuration.
    ///
    /// # Errors
    ///
    /// When `name` cannot be an SDK application name.
    pub async fn start(name: &'static str) -> anyhow::Result<Self> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
        tracing_subscriber::fmt().json().with_env_filter(filter).without_time().init();
        let app = AppName::new(name).context("naming the function for the SDK")?;
        let aws = aws_config::from_env().app_name(app).load().await;
        Ok(Self { name, aws })
    }

    /// The value of an environment variable that the template sets.
    ///
    /// # Errors
    ///
    /// When it is not set.
    pub fn variable(&self, name: &str) -> anyhow::Result<String> {
        env::var(name).with_context(|| format!("environment variable {name} is not set"))
    }

    /// Serves any trigger: `handler` gets the event and the invocation to log with. One line is
    /// written whatever happens; an error goes back to Lambda, which applies the trigger's retries.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be reached.
    pub async fn serve<E, R, F>(self, handler: F) -> Result<(), Error>
    where
        E: DeserializeOwned,
        R: Serialize,
        F: AsyncFn(E, &Invocation) -> anyhow::Result<R>,
    {
        let name = self.name;
        let handler = &handler;
        // Boxed: the SDK's futures nest so deep that the compiler gives up on their layout.
        let one = |event: LambdaEvent<E>| -> Pin<Box<dyn Future<Output = Result<R, Error>> + '_>> {
            Box::pin(async move {
                let invocation = Invocation::begin(name, &event.context);
                let result = handler(event.payload, &invocation).await;
                if let Err(error) = &result {
                    invocation.fail(error);
                }
                invocation.end();
                result.map_err(|error| Error::from(format!("{error:#}")))
            })
        };
        lambda_runtime::run(service_fn(one)).await
    }
}
