//! The tables' names.

use std::env;

use crate::StoreError;

/// Name of each table, as the template passes them to the functions.
#[derive(Debug, Clone)]
pub struct Tables {
    pub(crate) sessions: String,
    pub(crate) chargers: String,
    pub(crate) entitlements: String,
    pub(crate) catalog: String,
    pub(crate) outbox: String,
    pub(crate) exceptions: String,
    pub(crate) stripe_events: String,
    pub(crate) deliveries: String,
    pub(crate) usage: String,
}

impl Tables {
    /// Tables whose names begin with `prefix`, for those who do not run in a function.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |kind: &str| format!("{prefix}-{kind}");
        Self {
            sessions: name("sessions"),
            chargers: name("chargers"),
            entitlements: name("entitlements"),
            catalog: name("catalog"),
            outbox: name("outbox"),
            exceptions: name("exceptions"),
            stripe_events: name("stripe-events"),
            deliveries: name("deliveries"),
            usage: name("usage"),
        }
    }

    /// Reads `SESSIONS_TABLE`, `CHARGERS_TABLE` and so on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Environment`] naming the variable that is not set.
    pub fn from_environment() -> Result<Self, StoreError> {
        let name = |variable| env::var(variable).map_err(|_| StoreError::Environment { variable });
        Ok(Self {
            sessions: name("SESSIONS_TABLE")?,
            chargers: name("CHARGERS_TABLE")?,
            entitlements: name("ENTITLEMENTS_TABLE")?,
            catalog: name("CATALOG_TABLE")?,
            outbox: name("OUTBOX_TABLE")?,
            exceptions: name("EXCEPTIONS_TABLE")?,
            stripe_events: name("STRIPE_EVENTS_TABLE")?,
            deliveries: name("DELIVERIES_TABLE")?,
            usage: name("USAGE_TABLE")?,
        })
    }
}
