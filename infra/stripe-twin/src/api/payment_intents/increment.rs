//! Raising a hold. <https://docs.stripe.com/payments/incremental-authorization>,
//! <https://docs.stripe.com/api/payment_intents/increment_authorization>

use serde_json::Value;

use super::{
    super::{Answer, ApiError, Params, World, minimum},
    Status, expanded,
};

/// Attempts for each intent, refused ones included.
const ATTEMPTS_MAX: u32 = 10;

/// Raises what is held to `amount`. Refused by the issuer, the old hold stands and nothing of the
/// intent or its charge changes.
pub(crate) fn increment_authorization(
    world: &mut World,
    id: &str,
    mut params: Params,
) -> Answer<Value> {
    let expand = params.list("expand");
    let amount = params.required_integer("amount")?;
    let description = params.text("description");
    let metadata = params.metadata()?;
    params.finish()?;
    let intent = world.payment_intents.get(id)?;
    if intent.status != Status::RequiresCapture {
        return Err(intent.unexpected_state("incremented", "requires_capture"));
    }
    minimum::check(amount, &intent.currency, "amount")?;
    if amount <= intent.amount {
        let message = format!("The amount must be greater than what is held ({}).", intent.amount);
        return Err(ApiError::invalid(None, Some("amount"), message));
    }
    let charge_id = intent.latest_charge.clone().unwrap_or_default();
    if !world.charges.get(&charge_id)?.hold.incremental {
        let message = "This PaymentIntent is not eligible for incremental authorization.";
        return Err(ApiError::invalid(None, None, message));
    }
    if intent.increments >= ATTEMPTS_MAX {
        let message = format!("A PaymentIntent can be incremented {ATTEMPTS_MAX} times at most.");
        return Err(ApiError::state("payment_intent_unexpected_state", message, None));
    }
    let method = intent.payment_method.clone().unwrap_or_default();
    let rules = world.decline_rules.iter();
    let mut refusing =
        rules.filter(|rule| rule.applies_to(&method, &intent.capture_method, amount));
    let refused = refusing.next().map(|rule| (rule.code.clone(), rule.decline_code.clone()));
    let intent = world.payment_intents.get_mut(id)?;
    intent.increments += 1;
    if let Some((code, decline_code)) = refused {
        return Err(ApiError::card(&code, decline_code.as_deref(), "Your card was declined."));
    }
    intent.amount = amount;
    intent.description = description.or(intent.description.take());
    intent.metadata.extend(metadata);
    let rendered = intent.render();
    world.charges.get_mut(&charge_id)?.amount = amount;
    world.emit("payment_intent.amount_capturable_updated", rendered);
    expanded(world, id, &expand)
}
