//! `terminal.reader.action_…`.

use network::StripeReaderId;
use serde::Deserialize;

use super::{StripeEvent, WebhookError};

/// What an event `terminal.reader.action_…` says: at which reader something was done. What, Stripe
/// is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderEvent {
    /// The reader.
    pub reader: StripeReaderId,
}

impl ReaderEvent {
    /// Reads `event`.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Unreadable`].
    pub fn read(event: &StripeEvent) -> Result<Self, WebhookError> {
        let reader: Reader = event.object()?;
        Ok(Self { reader: StripeReaderId(reader.id) })
    }
}

#[derive(Deserialize)]
struct Reader {
    id: String,
}
