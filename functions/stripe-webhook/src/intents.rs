//! `payment_intent.*` and `checkout.session.*`. A payment is driven by our own calls; what Stripe
//! tells unasked is news: a hold that somebody else released or captured, or that ran out, money
//! that was taken, a pay link that was paid on or closed. `capture-payment` goes on with what that
//! changes.

use payments::{
    money::{News, learn},
    reader::TapState,
    stripe::Reference,
    webhook::{IntentEvent, PayLinkEvent, StripeEvent},
};
use quantities::SessionId;
use runtime::Invocation;
use session::app_start_tag;

use crate::{api::Api, carry_out::Failed, readers};

/// The type of the event that ends a hold.
const CANCELED: &str = "payment_intent.canceled";
/// The type of the event that says that money was taken.
const SUCCEEDED: &str = "payment_intent.succeeded";
/// The type of the event that says only what we have done ourselves.
const CREATED: &str = "payment_intent.created";

/// Follows an event of a PaymentIntent.
pub(crate) async fn follow_intent(
    api: &Api,
    event: &StripeEvent,
    log: &Invocation,
) -> Result<(), Failed> {
    let IntentEvent { payment_intent, status, about, purpose, received } =
        IntentEvent::read(event)?;
    log.field("payment_intent_status", status);
    let news = match event.event_type.as_str() {
        CANCELED => Some(News::HoldLost { payment_intent }),
        SUCCEEDED => Some(News::Taken { payment_intent, amount: received, purpose }),
        _ => None,
    };
    // A card that was matched is its session's; any other is looked after at its connector.
    let is_tap = matches!(about, Some(Reference::Tap { .. })) && event.event_type != CREATED;
    let session_id = match &about {
        about if is_tap || news.is_some() => session_of(api, about.as_ref()).await?,
        _ => None,
    };
    if let (None, true, Some(Reference::Tap { charge_point_id, connector_id, .. })) =
        (session_id, is_tap, about)
    {
        readers::look(api, event, charge_point_id, connector_id, log).await?;
    }
    let Some(news) = news else {
        log.outcome("recorded");
        return Ok(());
    };
    tell(api, session_id, news, log).await
}

/// The session that is paid with what was made for this: a hold can be older than its session.
pub(crate) async fn session_of(
    api: &Api,
    about: Option<&Reference>,
) -> Result<Option<SessionId>, Failed> {
    match about {
        Some(Reference::Session(id)) => Ok(Some(*id)),
        Some(Reference::Start(id)) => {
            let Ok(id_tag) = app_start_tag(id) else { return Ok(None) };
            let start = api.store.entitlement(&id_tag).await?.and_then(|tag| tag.app_start);
            Ok(start.and_then(|start| start.used_by))
        }
        Some(Reference::Tap { tap_id, .. }) => {
            Ok(match api.store.tap(*tap_id).await?.map(|tap| tap.state) {
                Some(TapState::Matched { session_id }) => Some(session_id),
                _ => None,
            })
        }
        None => Ok(None),
    }
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
