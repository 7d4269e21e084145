//! Refunds. <https://docs.stripe.com/api/refunds>, <https://docs.stripe.com/refunds>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, ApiError, Params, World, balance, cards::Behaviour, minimum};

/// How long a refund takes that does not succeed at once. Stripe says "some time later"
/// (<https://docs.stripe.com/testing#refunds>).
const SETTLES_AFTER_S: i64 = 3600;

#[derive(Debug, Clone)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) amount: i64,
    balance_transaction: String,
    charge: String,
    created: i64,
    currency: String,
    failure_reason: Option<&'static str>,
    metadata: BTreeMap<String, String>,
    payment_intent: String,
    reason: Option<String>,
    status: &'static str,
    /// What becomes of it later, and when.
    settles: Option<(i64, &'static str)>,
}

impl Refund {
    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "destination_details": {
                "card": { "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund" },
                "type": "card",
            },
            "failure_reason": self.failure_reason,
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status,
            "transfer_reversal": null,
        })
    }
}

/// A charge, named itself or by its PaymentIntent, gives back all that is left or a part of it,
/// as often as something is left.
pub(crate) fn create(world: &mut World, mut params: Params) -> Answer<Value> {
    let (charge, intent) = (params.text("charge"), params.text("payment_intent"));
    let amount = params.integer("amount")?;
    let reasons = ["duplicate", "fraudulent", "requested_by_customer"];
    let reason = params.one_of("reason", &reasons)?;
    let metadata = params.metadata()?;
    params.finish()?;
    let charge = match (charge, intent) {
        (Some(charge), None) => charge,
        (None, Some(intent)) => {
            let intent = world.payment_intents.referenced(&intent, "payment_intent")?;
            let without = || {
                let message = format!(
                    "This PaymentIntent ({}) does not have a successful charge to refund.",
                    intent.id
                );
                ApiError::state("payment_intent_unexpected_state", message, Some(intent.render()))
            };
            intent
                .latest_charge
                .clone()
                .filter(|_| intent.amount_received > 0)
                .ok_or_else(without)?
        }
        _ => {
            let message = "One of the following params should be provided for this request: \
                payment_intent or charge.";
            let code = Some("parameter_missing");
            return Err(ApiError::invalid(code, Some("payment_intent"), message));
        }
    };
    let amount = refundable(world, &charge, amount)?;
    let refund = give_back(world, &charge, amount, reason, metadata)?;
    Ok(refund.render())
}

/// How much is given back: what was asked for, if it is there.
fn refundable(world: &World, charge: &str, amount: Option<i64>) -> Answer<i64> {
    let charge = world.charges.referenced(charge, "charge")?;
    if !charge.captured {
        let message = "The twin refunds what was captured; a hold is released by canceling its \
            PaymentIntent.";
        return Err(ApiError::invalid(None, Some("charge"), message));
    }
    if charge.disputed {
        let message = format!("Charge {} has been charged back; cannot issue a refund.", charge.id);
        return Err(ApiError::state("charge_disputed", message, None));
    }
    let left = charge.amount_captured - charge.refunded_of_captured();
    if left == 0 {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(ApiError::state("charge_already_refunded", message, None));
    }
    let amount = amount.unwrap_or(left);
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        let code = Some("parameter_invalid_integer");
        return Err(ApiError::invalid(code, Some("amount"), message));
    }
    minimum::check_step(amount, &charge.currency, "amount")?;
    if amount > left {
        let message = format!(
            "Refund amount ({amount}) is greater than unrefunded amount on charge ({left})."
        );
        return Err(ApiError::invalid(None, Some("amount"), message));
    }
    Ok(amount)
}

fn give_back(
    world: &mut World,
    charge_id: &str,
    amount: i64,
    reason: Option<String>,
    metadata: BTreeMap<String, String>,
) -> Answer<Refund> {
    let (id, now) = (world.id("re"), world.now);
    let charge = world.charges.get_mut(charge_id)?;
    charge.amount_refunded += amount;
    // <https://docs.stripe.com/testing#refunds>
    let (status, later) = match charge.card.behaviour {
        Behaviour::RefundsLate => ("pending", Some("succeeded")),
        Behaviour::RefundFails => ("succeeded", Some("failed")),
        _ => ("succeeded", None),
    };
    let mut refund = Refund {
        id: id.clone(),
        amount,
        balance_transaction: String::new(),
        charge: charge_id.to_owned(),
        created: now,
        currency: charge.currency.clone(),
        failure_reason: None,
        metadata,
        payment_intent: charge.payment_intent.clone(),
        reason,
        status,
        settles: later.map(|status| (now + SETTLES_AFTER_S, status)),
    };
    let rendered_charge = charge.render();
    // Stripe keeps its fee for the payment (<https://docs.stripe.com/refunds>).
    let (kind, currency) = (balance::Kind::Refund, refund.currency.clone());
    refund.balance_transaction = balance::note(world, kind, -amount, 0, &currency, &id);
    world.refunds.insert(&id, refund.clone());
    world.emit("refund.created", refund.render());
    world.emit("charge.refunded", rendered_charge);
    Ok(refund)
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.refunds.get(id)?.render())
}

pub(crate) fn list(world: &World, mut params: Params) -> Answer<Value> {
    let (charge, intent) = (params.text("charge"), params.text("payment_intent"));
    let keep = |refund: &Refund| {
        charge.as_ref().is_none_or(|charge| refund.charge == *charge)
            && intent.as_ref().is_none_or(|intent| refund.payment_intent == *intent)
    };
    world.refunds.page(params, "/v1/refunds", keep, Refund::render)
}

/// Lets late refunds succeed and failing ones fail: then the money is the merchant's again
/// (<https://docs.stripe.com/refunds#failed-refunds>).
pub(crate) fn settle(world: &mut World) {
    for id in world.refunds.ids() {
        let Ok(refund) = world.refunds.get_mut(&id) else { continue };
        let Some((_, status)) = refund.settles.filter(|(at, _)| *at <= world.now) else { continue };
        refund.settles = None;
        refund.status = status;
        let failed = status == "failed";
        refund.failure_reason = failed.then_some("expired_or_canceled_card");
        let refund = refund.clone();
        if failed {
            let (kind, currency) = (balance::Kind::RefundFailure, &refund.currency);
            balance::note(world, kind, refund.amount, 0, currency, &refund.id);
            if let Ok(charge) = world.charges.get_mut(&refund.charge) {
                charge.amount_refunded -= refund.amount;
            }
        }
        world.emit("refund.updated", refund.render());
        world.emit("charge.refund.updated", refund.render());
        if failed {
            world.emit("refund.failed", refund.render());
        }
    }
}
