//! `payment_intent.*`. A payment is driven by our own calls and not by events: only a hold that
//! somebody else released, or that ran out, is news.

use network::StripePaymentIntentId;
use payments::{
    PaymentState,
    machine::hold_lost,
    webhook::{IntentEvent, StripeEvent},
};
use quantities::SessionId;
use runtime::Invocation;
use store::StoreError;

use crate::{api::Api, carry_out::Failed};

/// The type of the event that ends a hold.
const CANCELED: &str = "payment_intent.canceled";

/// Follows `event`.
pub(crate) async fn follow(api: &Api, event: &StripeEvent, log: &Invocation) -> Result<(), Failed> {
    let said = IntentEvent::read(event)?;
    log.field("payment_intent_status", said.status.as_str());
    if let Some(id) = said.session_id {
        log.session(id);
        if event.event_type == CANCELED {
            return Ok(lose_hold(api, id, &said.payment_intent, log).await?);
        }
    }
    log.outcome("recorded");
    Ok(())
}

/// The hold of a session is gone: its whole price is charged when it is known.
async fn lose_hold(
    api: &Api,
    session_id: SessionId,
    payment_intent: &StripePaymentIntentId,
    log: &Invocation,
) -> Result<(), StoreError> {
    let payment = api.store.payment(session_id).await?;
    let held = payment.filter(|payment| {
        payment.state == PaymentState::Held
            && payment.payment_intent.as_ref() == Some(payment_intent)
    });
    let Some(payment) = held else {
        // Canceled by ourselves, or not the hold.
        log.outcome("recorded");
        return Ok(());
    };
    api.store.save_payment(hold_lost(payment), &[]).await?;
    log.outcome("hold lost");
    Ok(())
}
