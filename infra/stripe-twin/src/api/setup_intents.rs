//! SetupIntents: a card saved for later without a payment now.
//! <https://docs.stripe.com/api/setup_intents>, <https://docs.stripe.com/payments/save-and-reuse>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, ApiError, Params, World, cards::Behaviour, payment_methods};

#[derive(Debug, Clone)]
pub(crate) struct SetupIntent {
    pub(crate) id: String,
    created: i64,
    cancellation_reason: Option<String>,
    customer: Option<String>,
    last_setup_error: Option<Value>,
    metadata: BTreeMap<String, String>,
    payment_method: Option<String>,
    status: &'static str,
    usage: String,
}

impl SetupIntent {
    pub(crate) fn render(&self) -> Value {
        let next_action = (self.status == "requires_action")
            .then(|| json!({ "type": "use_stripe_sdk", "use_stripe_sdk": {} }));
        json!({
            "id": self.id,
            "object": "setup_intent",
            "application": null,
            "automatic_payment_methods": null,
            "cancellation_reason": self.cancellation_reason,
            "client_secret": format!("{}_secret_twin", self.id),
            "created": self.created,
            "customer": self.customer,
            "description": null,
            "excluded_payment_method_types": null,
            "flow_directions": null,
            "last_setup_error": self.last_setup_error,
            "latest_attempt": null,
            "livemode": false,
            "mandate": null,
            "metadata": self.metadata,
            "next_action": next_action,
            "on_behalf_of": null,
            "payment_method": self.payment_method,
            "payment_method_configuration_details": null,
            "payment_method_options": { "card": { "mandate_options": null, "network": null, "request_three_d_secure": "automatic" } },
            "payment_method_types": ["card"],
            "single_use_mandate": null,
            "status": self.status,
            "usage": self.usage,
        })
    }

    fn unexpected_state(&self, done: &str) -> Box<ApiError> {
        let status = self.status;
        let message =
            format!("This SetupIntent could not be {done} because it has a status of {status}.");
        ApiError::state("setup_intent_unexpected_state", message, None)
    }
}

/// Cards only; `payment_method_types[]=card` has to say so.
pub(crate) fn create(world: &mut World, mut params: Params) -> Answer<Value> {
    let customer = params.text("customer");
    if let Some(customer) = &customer {
        world.customers.referenced(customer, "customer")?;
    }
    let confirm = params.boolean("confirm")?.unwrap_or(false);
    let usage = params.one_of("usage", &["off_session", "on_session"])?;
    let metadata = params.metadata()?;
    let types = params.list("payment_method_types");
    let payment_method = params.text("payment_method");
    params.finish()?;
    if types != ["card"] {
        let message = "The twin sets up cards: payment_method_types is to be [card].";
        return Err(ApiError::invalid(None, Some("payment_method_types"), message));
    }
    if confirm && payment_method.is_none() {
        let message = "You cannot confirm this SetupIntent because it's missing a payment method.";
        let code = Some("setup_intent_unexpected_state");
        return Err(ApiError::invalid(code, Some("payment_method"), message));
    }
    let method = match payment_method {
        Some(named) => Some(payment_methods::resolve(world, &named)?.id),
        None => None,
    };
    let id = world.id("seti");
    let intent = SetupIntent {
        id: id.clone(),
        created: world.now,
        cancellation_reason: None,
        customer,
        last_setup_error: None,
        metadata,
        status: if method.is_some() { "requires_confirmation" } else { "requires_payment_method" },
        payment_method: method,
        usage: usage.unwrap_or_else(|| "off_session".to_owned()),
    };
    world.emit("setup_intent.created", intent.render());
    world.setup_intents.insert(&id, intent);
    if confirm {
        run(world, &id)?;
    }
    Ok(world.setup_intents.get(&id)?.render())
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.setup_intents.get(id)?.render())
}

pub(crate) fn confirm(world: &mut World, id: &str, mut params: Params) -> Answer<Value> {
    let payment_method = params.text("payment_method");
    params.text("return_url");
    params.finish()?;
    let mut intent = world.setup_intents.get(id)?.clone();
    if matches!(intent.status, "succeeded" | "canceled") {
        return Err(intent.unexpected_state("confirmed"));
    }
    if let Some(named) = payment_method {
        intent.payment_method = Some(payment_methods::resolve(world, &named)?.id);
    }
    if intent.payment_method.is_none() {
        return Err(intent.unexpected_state("confirmed"));
    }
    world.setup_intents.insert(id, intent);
    run(world, id)?;
    Ok(world.setup_intents.get(id)?.render())
}

pub(crate) fn cancel(world: &mut World, id: &str, mut params: Params) -> Answer<Value> {
    let reasons = ["abandoned", "duplicate", "requested_by_customer"];
    let reason = params.one_of("cancellation_reason", &reasons)?;
    params.finish()?;
    let intent = world.setup_intents.get_mut(id)?;
    if matches!(intent.status, "succeeded" | "canceled") {
        return Err(intent.unexpected_state("canceled"));
    }
    intent.status = "canceled";
    intent.cancellation_reason = reason;
    let rendered = intent.render();
    world.emit("setup_intent.canceled", rendered.clone());
    Ok(rendered)
}

/// Asks the card. Most agree; some want their holder first
/// (<https://docs.stripe.com/testing#authentication-and-setup>).
fn run(world: &mut World, id: &str) -> Answer<()> {
    let intent = world.setup_intents.get(id)?.clone();
    let named = intent.payment_method.clone().unwrap_or_default();
    let method = world.payment_methods.referenced(&named, "payment_method")?.clone();
    match method.card.behaviour {
        Behaviour::Declines { code, decline_code } => {
            let mut error = ApiError::card(code, decline_code, "Your card was declined.");
            error.payment_method = Some(method.render());
            let intent = world.setup_intents.get_mut(id)?;
            intent.status = "requires_payment_method";
            intent.payment_method = None;
            intent.last_setup_error = error.body().get("error").cloned();
            let rendered = intent.render();
            world.emit("setup_intent.setup_failed", rendered);
            Err(error)
        }
        Behaviour::AlwaysAuthenticates
        | Behaviour::AuthenticatesUnlessSetUp
        | Behaviour::AuthenticatesThenDeclines => {
            let intent = world.setup_intents.get_mut(id)?;
            intent.status = "requires_action";
            let rendered = intent.render();
            world.emit("setup_intent.requires_action", rendered);
            Ok(())
        }
        _ => succeed(world, id),
    }
}

/// The holder of a card in `requires_action` authenticates: a control of the twin.
pub(crate) fn authenticate(world: &mut World, id: &str) -> Answer<Value> {
    let intent = world.setup_intents.get(id)?;
    if intent.status != "requires_action" {
        return Err(intent.unexpected_state("authenticated"));
    }
    succeed(world, id)?;
    Ok(world.setup_intents.get(id)?.render())
}

fn succeed(world: &mut World, id: &str) -> Answer<()> {
    let intent = world.setup_intents.get(id)?.clone();
    let named = intent.payment_method.unwrap_or_default();
    if let Some(customer) = &intent.customer {
        payment_methods::attach_to(world, &named, customer)?;
    }
    world.payment_methods.get_mut(&named)?.set_up = intent.usage == "off_session";
    let intent = world.setup_intents.get_mut(id)?;
    intent.status = "succeeded";
    intent.last_setup_error = None;
    let rendered = intent.render();
    world.emit("setup_intent.succeeded", rendered);
    Ok(())
}
