//! `customer.subscription.*` and `invoice.*`: a membership follows its subscription.

use network::Subscription;
use payments::webhook::{InvoiceEvent, StripeEvent, SubscriptionEvent};
use runtime::Invocation;
use store::{Saved, StoreError};

use crate::{api::Api, carry_out::Failed};

/// The type of the event that ends a subscription, whatever its status says.
const DELETED: &str = "customer.subscription.deleted";

/// Follows `event`.
pub(crate) async fn follow(api: &Api, event: &StripeEvent, log: &Invocation) -> Result<(), Failed> {
    if event.event_type.starts_with("invoice.") {
        log.field("paid", InvoiceEvent::read(event)?.paid);
        log.outcome("recorded");
        return Ok(());
    }
    let said = said(event, SubscriptionEvent::read(event)?);
    Ok(update(api, &said, log).await?)
}

/// What Stripe says of a subscription with this event.
fn said(event: &StripeEvent, subscription: SubscriptionEvent) -> Subscription {
    let deleted = event.event_type == DELETED;
    Subscription {
        id: subscription.subscription,
        status: if deleted { "canceled".to_owned() } else { subscription.status },
        current_period_end: subscription.current_period_end,
        as_of: event.created,
    }
}

async fn update(api: &Api, said: &Subscription, log: &Invocation) -> Result<(), StoreError> {
    log.field("subscription_status", said.status.as_str());
    let entitlements = api.store.entitlements_by_subscription(&said.id).await?;
    let mut updated = 0;
    for entitlement in &entitlements {
        if api.store.update_subscription(&entitlement.id_tag, said).await? == Saved::New {
            updated += 1;
        }
    }
    log.field("entitlements", entitlements.len());
    log.outcome(match (entitlements.is_empty(), updated) {
        (true, _) => "nobody's subscription",
        (false, 0) => "older than known",
        (false, _) => "updated",
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use network::StripeSubscriptionId;

    use super::*;

    fn event(event_type: &str) -> StripeEvent {
        StripeEvent {
            id: "evt_1".to_owned(),
            event_type: event_type.to_owned(),
            created: "2026-03-01T12:00:00Z".parse().unwrap(),
            object: String::new(),
        }
    }

    fn said_by(event: &StripeEvent) -> Subscription {
        let subscription = SubscriptionEvent {
            subscription: StripeSubscriptionId("sub_1".to_owned()),
            status: "active".to_owned(),
            current_period_end: "2026-04-01T00:00:00Z".parse().unwrap(),
        };
        said(event, subscription)
    }

    #[test]
    fn a_membership_is_as_old_as_stripes_word_of_it() {
        let event = event("customer.subscription.updated");
        let said = said_by(&event);
        assert_eq!((said.as_of, said.status.as_str()), (event.created, "active"));
        assert!(said.holds_at(event.created));
    }

    #[test]
    fn a_deleted_subscription_gives_no_tier_even_within_the_paid_period() {
        let event = event(DELETED);
        assert!(!said_by(&event).holds_at(event.created));
    }
}
