//! Why a table could not be read or written, and what a conditional write did.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// What a conditional write did. A message that comes again is a normal event, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The change was made.
    New,
    /// It had been made before (or something newer had); nothing was touched.
    Duplicate,
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A table's name is not in the environment.
    #[error("environment variable {variable} is not set: the template sets it")]
    Environment {
        /// Which variable.
        variable: &'static str,
    },
    /// An item does not have the shape this version expects; it is left as it is.
    #[error("item {key} cannot be read")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A record could not be turned into an item.
    #[error("record for {key} cannot be written")]
    Unwritable {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Something that must be there is not.
    #[error("there is no {what} {id}")]
    NotFound {
        /// Kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The item changed since it was read; read it again and decide again.
    #[error("{what} changed since it was read")]
    Stale {
        /// Kind of thing.
        what: &'static str,
    },
    /// DynamoDB refused or did not answer; safe to try again.
    #[error("DynamoDB {operation} failed ({code})")]
    Dynamo {
        /// The API operation.
        operation: &'static str,
        /// AWS's error code, or what kind of failure it was.
        code: String,
        /// The SDK's own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Wraps an SDK error for the log.
pub(crate) fn dynamo<E, R>(operation: &'static str) -> impl FnOnce(SdkError<E, R>) -> StoreError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    move |error| {
        let code = error.code().unwrap_or("no answer").to_owned();
        StoreError::Dynamo { operation, code, source: Box::new(error) }
    }
}
