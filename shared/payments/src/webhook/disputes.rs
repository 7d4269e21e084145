//! `charge.dispute.*`. <https://docs.stripe.com/api/disputes/object>

use chrono::DateTime;
use network::StripePaymentIntentId;
use quantities::{Amount, Currency};
use serde::Deserialize;

use super::{StripeEvent, WebhookError};
use crate::{money::Dispute, stripe::StripeAmount};

/// Reads an event `charge.dispute.*`.
///
/// What became of the money is in the balance transactions that the dispute carries, so every event
/// tells all that happened before it, whichever of them is lost.
///
/// # Errors
///
/// [`WebhookError::Unreadable`].
pub fn dispute(event: &StripeEvent) -> Result<Dispute, WebhookError> {
    let object: Object = event.object()?;
    let currency = object.currency.to_ascii_uppercase();
    let currency: Currency = currency.parse().map_err(|_| event.unreadable())?;
    let payment_intent = object.payment_intent.ok_or_else(|| event.unreadable())?;
    let moved = object.balance_transactions.unwrap_or_default();
    let fee = fee(&moved, event)?;
    let amount = object.amount.exactly(currency).map_err(|_| event.unreadable())?;
    let is = |suffix: &str| event.event_type == format!("charge.dispute.{suffix}");
    let due_by = object.evidence_details.and_then(|details| details.due_by);
    let withdrawn = is("funds_withdrawn")
        || object.status == "lost"
        || moved.iter().any(|moved| moved.amount.is_negative());
    Ok(Dispute {
        id: object.id,
        payment_intent: StripePaymentIntentId(payment_intent),
        amount,
        reason: object.reason,
        status: object.status,
        due_by: due_by.and_then(|at| DateTime::from_timestamp(at, 0)),
        withdrawn,
        reinstated: is("funds_reinstated") || moved.iter().any(|moved| moved.amount.is_positive()),
        fee,
        as_of: event.created,
    })
}

/// What Stripe charges for it, in the currency of its balance transactions: the one that the
/// account settles in, which all of them are in.
/// <https://docs.stripe.com/api/balance_transactions/object#balance_transaction_object-currency>
fn fee(moved: &[Moved], event: &StripeEvent) -> Result<Option<Amount>, WebhookError> {
    let mut sum: Option<Amount> = None;
    for Moved { fee, currency, .. } in moved {
        let currency = currency.parse().map_err(|_| event.unreadable())?;
        let fee = fee.exactly(currency).map_err(|_| event.unreadable())?;
        if !fee.is_zero() {
            let next = sum.map_or(Ok(fee), |sum| sum.checked_add(fee));
            sum = Some(next.map_err(|_| event.unreadable())?);
        }
    }
    Ok(sum.filter(|fee| fee.minor > 0))
}

#[derive(Deserialize)]
struct Object {
    id: String,
    amount: StripeAmount,
    currency: String,
    payment_intent: Option<String>,
    reason: String,
    status: String,
    balance_transactions: Option<Vec<Moved>>,
    evidence_details: Option<Details>,
}

#[derive(Deserialize)]
struct Moved {
    amount: StripeAmount,
    currency: String,
    fee: StripeAmount,
}

#[derive(Deserialize)]
struct Details {
    due_by: Option<i64>,
}
