//! DynamoDB: the only crate that knows tables, keys, attributes and conditions.
//!
//! Invariant: every change that must happen once is one conditional write (or one transaction of
//! them), and the event that tells of it is written in the same transaction, to the outbox.

mod access;
mod after_sale;
mod catalog;
mod chargers;
mod deliveries;
mod entitlements;
mod error;
mod exceptions;
mod item;
mod mails;
mod outbox;
mod payments;
mod rated;
mod sessions;
mod so_far;
mod stands;
mod stripe_events;
mod tables;
mod usage;
mod wallets;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;

pub use access::IndexKey;
pub use after_sale::{DailyLimit, DisputeRow, Issued, Stored};
pub use chargers::{CallRecord, CallState, ConnectorRow};
pub use deliveries::Delivery;
pub use error::{Saved, StoreError};
pub use outbox::{Change, envelope_in};
pub use payments::OpenPayment;
pub use rated::Rated;
pub use sessions::{End, EndsIn, SessionFile, StartContext, Started};
pub use so_far::{PricedWith, SoFar};
pub use stands::Paired;
pub use stripe_events::{StripeEventRow, UndeliveredProgress};
pub use tables::Tables;
pub use usage::{AccountUsage, PlanState, UsageChange};
pub use wallets::Debtor;

/// The tables, with the function's own role. Connect once, in `main`.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    tables: Tables,
}

impl Store {
    /// A store over the tables that the environment names.
    ///
    /// # Errors
    ///
    /// [`StoreError::Environment`] when a table's variable is not set.
    pub fn from_environment(aws: &SdkConfig) -> Result<Self, StoreError> {
        Ok(Self::new(aws, Tables::from_environment()?))
    }

    /// A store over `tables`.
    #[must_use]
    pub fn new(aws: &SdkConfig, tables: Tables) -> Self {
        Self { client: Client::new(aws), tables }
    }
}
