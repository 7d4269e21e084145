//! What an event changes here.
//!
//! A membership follows its subscription. A payment is driven by our own calls and not by events:
//! only a hold that somebody else released, or that ran out, is news.

use chrono::{DateTime, Utc};
use http_api::Problem;
use network::{StripePaymentIntentId, StripeSubscriptionId, Subscription};
use payments::{
    PaymentState,
    machine::hold_lost,
    webhook::{About, StripeEvent},
};
use quantities::SessionId;
use runtime::Invocation;
use store::{Saved, Store};

/// The type of the event that ends a subscription, whatever its status says.
const DELETED: &str = "customer.subscription.deleted";
/// The type of the event that ends a hold.
const CANCELED: &str = "payment_intent.canceled";

/// Carries out what `event` says. Doing so again changes nothing.
pub(crate) async fn carry_out(
    store: &Store,
    event: &StripeEvent,
    log: &Invocation,
) -> Result<(), Problem> {
    match &event.about {
        About::Subscription { subscription, status, current_period_end, .. } => {
            let said = said(event, subscription, status, *current_period_end);
            update(store, &said, log).await
        }
        About::PaymentIntent { payment_intent, status, session_id } => {
            log.field("payment_intent_status", status.as_str());
            if let Some(id) = session_id {
                log.session(*id);
                if event.event_type == CANCELED {
                    return lose_hold(store, *id, payment_intent, log).await;
                }
            }
            log.outcome("recorded");
            Ok(())
        }
        About::Invoice { paid, .. } => {
            log.field("paid", *paid);
            log.outcome("recorded");
            Ok(())
        }
        About::Unknown => {
            log.outcome("recorded");
            Ok(())
        }
    }
}

/// What Stripe says of a subscription with this event.
fn said(
    event: &StripeEvent,
    subscription: &StripeSubscriptionId,
    status: &str,
    current_period_end: DateTime<Utc>,
) -> Subscription {
    let status = if event.event_type == DELETED { "canceled" } else { status };
    Subscription {
        id: subscription.clone(),
        status: status.to_owned(),
        current_period_end,
        as_of: event.created,
    }
}

async fn update(store: &Store, said: &Subscription, log: &Invocation) -> Result<(), Problem> {
    log.field("subscription_status", said.status.as_str());
    let entitlements = store.entitlements_by_subscription(&said.id).await?;
    let mut updated = 0;
    for entitlement in &entitlements {
        if store.update_subscription(&entitlement.id_tag, said).await? == Saved::New {
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

/// The hold of a session is gone: its whole price is charged when it is known.
async fn lose_hold(
    store: &Store,
    session_id: SessionId,
    payment_intent: &StripePaymentIntentId,
    log: &Invocation,
) -> Result<(), Problem> {
    let payment = store.payment(session_id).await?;
    let held = payment.filter(|payment| {
        payment.state == PaymentState::Held
            && payment.payment_intent.as_ref() == Some(payment_intent)
    });
    let Some(payment) = held else {
        // Canceled by ourselves, or not the hold.
        log.outcome("recorded");
        return Ok(());
    };
    store.save_payment(hold_lost(payment), &[]).await?;
    log.outcome("hold lost");
    Ok(())
}

#[cfg(test)]
mod tests {
    use network::StripeCustomerId;

    use super::*;

    fn event(event_type: &str) -> StripeEvent {
        StripeEvent {
            id: "evt_1".to_owned(),
            event_type: event_type.to_owned(),
            created: "2026-03-01T12:00:00Z".parse().unwrap(),
            about: About::Subscription {
                subscription: StripeSubscriptionId("sub_1".to_owned()),
                customer: StripeCustomerId("cus_1".to_owned()),
                status: "active".to_owned(),
                current_period_end: "2026-04-01T00:00:00Z".parse().unwrap(),
            },
        }
    }

    fn said_by(event: &StripeEvent) -> Subscription {
        let id = StripeSubscriptionId("sub_1".to_owned());
        said(event, &id, "active", "2026-04-01T00:00:00Z".parse().unwrap())
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
