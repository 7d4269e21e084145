//! `customer.subscription.*` and `invoice.*`: a membership follows its subscription. The event only
//! says which; what is stored is what Stripe says when it is asked.

use payments::webhook::StripeEvent;
use runtime::Invocation;
use subscriptions::{
    Followed, Source as _, follow as follow_subscription, stripe::StripeSubscriptions,
};

use crate::{api::Api, carry_out::Failed};

/// Follows `event`.
pub(crate) async fn follow(api: &Api, event: &StripeEvent, log: &Invocation) -> Result<(), Failed> {
    let source = StripeSubscriptions::new(api.stripe().await?);
    let of = source.subscription_of(&event.event_type, &event.object);
    let Some(id) = of.map_err(|_| event.unreadable())? else {
        log.outcome("recorded");
        return Ok(());
    };
    let followed = follow_subscription(&api.store, &source, &id, api.trust, log.now()).await;
    match followed.map_err(http_api::Problem::unavailable)? {
        Followed::Nobody => log.outcome("nobody's subscription"),
        Followed::Stored { said, entries, changed, .. } => {
            log.field("subscription_status", said.status.as_str());
            log.field("entitlements", entries);
            log.outcome(if changed > 0 { "updated" } else { "confirmed" });
        }
    }
    Ok(())
}
