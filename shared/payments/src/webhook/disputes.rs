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
    let [fee, fee_returned] = fees(&moved, event)?;
    let amount = object.amount.exactly(currency).map_err(|_| event.unreadable())?;
    let is = |suffix: &str| event.event_type == format!("charge.dispute.{suffix}");
    let due_by = object.evidence_details.and_then(|details| details.due_by);
    let in_all = |is: fn(StripeAmount) -> bool, at_least: bool| {
        let sum = sum(&moved, amount, is, event)?;
        // An event can come with less than it says.
        Ok(if sum.is_zero() && at_least { amount } else { sum })
    };
    let was_taken = is("funds_withdrawn") || object.status == "lost";
    let withdrawn = in_all(StripeAmount::is_negative, was_taken)?;
    let reinstated = in_all(StripeAmount::is_positive, is("funds_reinstated"))?;
    Ok(Dispute {
        id: object.id,
        payment_intent: StripePaymentIntentId(payment_intent),
        amount,
        reason: object.reason,
        status: object.status,
        due_by: due_by.and_then(|at| DateTime::from_timestamp(at, 0)),
        withdrawn,
        reinstated,
        fee,
        fee_returned,
        as_of: event.created,
    })
}

/// How much was moved in one direction: each as it was, or, where the account settles in another
/// currency than the card was charged in, all that is disputed.
fn sum(
    moved: &[Moved],
    disputed: Amount,
    is: fn(StripeAmount) -> bool,
    event: &StripeEvent,
) -> Result<Amount, WebhookError> {
    let mut sum = Amount::zero(disputed.currency);
    let moved = moved.iter().filter(|moved| is(moved.amount) && !moved.is_a_fee());
    for Moved { amount, currency, .. } in moved {
        let settled_in: Currency = currency.parse().map_err(|_| event.unreadable())?;
        let part = if settled_in == disputed.currency {
            amount.exactly(settled_in).map_err(|_| event.unreadable())?
        } else {
            disputed
        };
        let part = Amount::new(part.minor.saturating_abs(), sum.currency);
        sum = sum.checked_add(part).map_err(|_| event.unreadable())?;
    }
    Ok(sum)
}

/// What Stripe charges for it, and what of that it gives back, in the currency of its balance
/// transactions: the one that the account settles in, which all of them are in.
/// <https://docs.stripe.com/api/balance_transactions/object#balance_transaction_object-currency>
fn fees(moved: &[Moved], event: &StripeEvent) -> Result<[Option<Amount>; 2], WebhookError> {
    let mut sums: [Option<Amount>; 2] = [None, None];
    for moved in moved {
        let currency = moved.currency.parse().map_err(|_| event.unreadable())?;
        let mut fee = moved.fee.exactly(currency).map_err(|_| event.unreadable())?;
        if moved.is_a_fee() {
            let amount = moved.amount.exactly(currency).map_err(|_| event.unreadable())?;
            fee = fee.checked_sub(amount).map_err(|_| event.unreadable())?;
        }
        let part = Amount::new(fee.minor.saturating_abs(), fee.currency);
        let sum = &mut sums[usize::from(fee.minor < 0)];
        if !part.is_zero() {
            let next = sum.map_or(Ok(part), |sum| sum.checked_add(part));
            *sum = Some(next.map_err(|_| event.unreadable())?);
        }
    }
    Ok(sums)
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
    reporting_category: Option<String>,
}

impl Moved {
    /// Whether it moves a fee, and nothing that is disputed.
    /// <https://docs.stripe.com/reports/reporting-categories>
    fn is_a_fee(&self) -> bool {
        self.reporting_category.as_deref() == Some("fee")
    }
}

#[derive(Deserialize)]
struct Details {
    due_by: Option<i64>,
}
