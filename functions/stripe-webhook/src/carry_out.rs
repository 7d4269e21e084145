//! Who follows an event: a file for each kind of object that events are about.

use collection::ChangeError;
use http_api::Problem;
use payments::webhook::{StripeEvent, WebhookError};
use runtime::Invocation;
use store::StoreError;

use crate::{
    after_sale::{follow_dispute, follow_refund},
    api::Api,
    intents::{follow_intent, follow_pay_link},
    memberships, readers,
};

/// Why an event was not carried out.
#[derive(Debug)]
pub(crate) enum Failed {
    /// What it is about cannot be read: sending it again would not help.
    Unreadable(WebhookError),
    /// To be answered with: Stripe sends it again.
    Problem(Problem),
}

impl From<WebhookError> for Failed {
    fn from(error: WebhookError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<ChangeError> for Failed {
    fn from(error: ChangeError) -> Self {
        Self::Problem(anyhow::Error::from(error).into())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Problem(error.into())
    }
}

/// Carries out what `event` says. Doing so again changes nothing.
pub(crate) async fn carry_out(
    api: &Api,
    event: &StripeEvent,
    log: &Invocation,
) -> Result<(), Failed> {
    match object(&event.event_type) {
        "customer.subscription" | "invoice" => memberships::follow(api, event, log).await,
        "terminal.reader" => readers::follow(api, event, log).await,
        "payment_intent" => follow_intent(api, event, log).await,
        "refund" => follow_refund(api, event, log).await,
        "charge.dispute" => follow_dispute(api, event, log).await,
        "checkout.session" => follow_pay_link(api, event, log).await,
        _ => {
            log.outcome("recorded");
            Ok(())
        }
    }
}

/// The kind of object that events of this type are about: all but the last word.
fn object(event_type: &str) -> &str {
    event_type.rsplit_once('.').map_or(event_type, |(object, _)| object)
}
