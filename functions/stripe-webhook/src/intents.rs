//! `payment_intent.*` and `checkout.session.*`. A payment is driven by our own calls; what Stripe
//! tells unasked is news: a hold that somebody else released or that ran out, a pay link that was
//! paid on or closed. `capture-payment` goes on with what that changes.

use payments::{
    money::{News, learn},
    reader::TapState,
    webhook::{IntentEvent, PayLinkEvent, StripeEvent, TapPlace},
};
use quantities::SessionId;
use runtime::Invocation;

use crate::{api::Api, carry_out::Failed, readers};

/// The type of the event that ends a hold.
const CANCELED: &str = "payment_intent.canceled";
/// The type of the event that says only what we have done ourselves.
const CREATED: &str = "payment_intent.created";

/// Follows an event of a PaymentIntent.
pub(crate) async fn follow_intent(
    api: &Api,
    event: &StripeEvent,
    log: &Invocation,
) -> Result<(), Failed> {
    let IntentEvent { payment_intent, status, mut session_id, tap } = IntentEvent::read(event)?;
    log.field("payment_intent_status", status);
    if let Some(TapPlace { tap_id, charge_point_id, connector_id }) = tap {
        // A card that was matched is its session's; any other is looked after at its connector.
        match api.store.tap(tap_id).await?.map(|tap| tap.state) {
            Some(TapState::Matched { session_id: of }) => session_id = Some(of),
            _ if event.event_type == CREATED => {}
            _ => readers::look(api, event, charge_point_id, connector_id, log).await?,
        }
    }
    let session_id = session_id.filter(|_| event.event_type == CANCELED);
    tell(api, session_id, News::HoldLost { payment_intent }, log).await
}

/// Follows an event of a page that a driver could pay on.
pub(crate) async fn follow_pay_link(
    api: &Api,
    event: &StripeEvent,
    log: &Invocation,
) -> Result<(), Failed> {
    let Some(PayLinkEvent { id, paid_by, session_id }) = PayLinkEvent::read(event)? else {
        log.outcome("recorded");
        return Ok(());
    };
    let news = match paid_by {
        Some(payment_intent) => News::LinkPaid { id, payment_intent },
        None => News::LinkExpired { id },
    };
    tell(api, Some(session_id), news, log).await
}

/// Tells the payment of a session, if there is one, and if it did not know.
pub(crate) async fn tell(
    api: &Api,
    session_id: Option<SessionId>,
    news: News,
    log: &Invocation,
) -> Result<(), Failed> {
    let Some(session_id) = session_id else {
        log.outcome("recorded");
        return Ok(());
    };
    log.session(session_id);
    let learnt = |payment| learn(payment, news.clone());
    let changed = collection::change(&api.store, session_id, log, learnt).await?;
    let is_news = changed.is_some_and(|changed| changed.before != changed.after);
    log.outcome(if is_news { "learnt" } else { "recorded" });
    Ok(())
}
