//! `refund.*` and `charge.dispute.*`: money that moves after the sale. A refund of ours says in its
//! metadata whose it is; of a dispute only the PaymentIntent is known, and Stripe is asked.

use http_api::Problem;
use payments::{
    money::News,
    webhook::{RefundEvent, StripeEvent, dispute},
};
use runtime::Invocation;

use crate::{api::Api, carry_out::Failed, intents::tell};

/// Follows an event of a refund.
pub(crate) async fn follow_refund(
    api: &Api,
    event: &StripeEvent,
    log: &Invocation,
) -> Result<(), Failed> {
    let Some(refund) = RefundEvent::read(event)? else {
        // Somebody gave money back at Stripe's dashboard: the event is kept.
        log.outcome("recorded");
        return Ok(());
    };
    tell(api, Some(refund.session_id), refund.news(), log).await
}

/// Follows an event of a dispute.
pub(crate) async fn follow_dispute(
    api: &Api,
    event: &StripeEvent,
    log: &Invocation,
) -> Result<(), Failed> {
    let dispute = dispute(event)?;
    log.field("dispute_status", dispute.status.as_str());
    let session_id = api.stripe().await?.session_of(&dispute.payment_intent).await;
    let session_id = session_id.map_err(Problem::unavailable)?;
    tell(api, session_id, News::Dispute(dispute), log).await
}
