//! `refund.*` and `charge.dispute.*`: money that moves after the sale. A refund of ours says in its
//! metadata whose it is; of a dispute, and of a refund that somebody made at Stripe, only the
//! PaymentIntent is known, and Stripe is asked.

use http_api::Problem;
use network::StripePaymentIntentId;
use payments::{
    PaymentError,
    money::News,
    stripe::Reference,
    webhook::{RefundEvent, StripeEvent, dispute},
};
use quantities::SessionId;
use runtime::Invocation;

use crate::{
    api::Api,
    carry_out::Failed,
    intents::{session_of, tell},
};

/// Follows an event of a refund.
pub(crate) async fn follow_refund(
    api: &Api,
    event: &StripeEvent,
    log: &Invocation,
) -> Result<(), Failed> {
    let Some(refund) = RefundEvent::read(event)? else {
        log.outcome("recorded");
        return Ok(());
    };
    let session_id = match refund.about {
        Some(Reference::Session(id)) => Some(id),
        _ => session_paid_with(api, &refund.payment_intent).await?,
    };
    tell(api, session_id, refund.news(), log).await
}

/// Follows an event of a dispute.
pub(crate) async fn follow_dispute(
    api: &Api,
    event: &StripeEvent,
    log: &Invocation,
) -> Result<(), Failed> {
    let dispute = dispute(event)?;
    log.field("dispute_status", dispute.status.as_str());
    let session_id = session_paid_with(api, &dispute.payment_intent).await?;
    tell(api, session_id, News::Dispute(dispute), log).await
}

/// The session that a PaymentIntent took money for.
async fn session_paid_with(
    api: &Api,
    payment_intent: &StripePaymentIntentId,
) -> Result<Option<SessionId>, Failed> {
    let about = match api.stripe().await?.reference_of(payment_intent).await {
        // Of another account, or of test data: asking again gives the same.
        Err(PaymentError::Rejected { status: 404, .. }) => None,
        about => about.map_err(Problem::unavailable)?,
    };
    session_of(api, about.as_ref()).await
}
