//! PaymentIntents. <https://docs.stripe.com/api/payment_intents>,
//! <https://docs.stripe.com/payments/paymentintents/lifecycle>

mod confirm;
mod increment;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Answer, ApiError, Params, World,
    charges::{self, Hold},
    minimum, payment_methods,
};
pub(crate) use confirm::{authenticate, charge_off_session, of_checkout, pay, present, process};
pub(crate) use increment::increment_authorization;

/// `payment_intent.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

impl Status {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) amount_received: i64,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) cancellation_reason: Option<String>,
    /// `automatic_async` or `manual`.
    pub(crate) capture_method: String,
    pub(crate) created: i64,
    pub(crate) currency: String,
    pub(crate) customer: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) last_payment_error: Option<Value>,
    pub(crate) latest_charge: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) payment_method: Option<String>,
    /// Named by the request; without it Stripe offers whatever the dashboard enables.
    pub(crate) payment_method_types: Option<Vec<String>>,
    pub(crate) allow_redirects: bool,
    pub(crate) setup_future_usage: Option<String>,
    pub(crate) status: Status,
    /// Paid at a reader (`payment_method_types: [card_present]`).
    pub(crate) present: bool,
    /// What the request asks the hold for.
    pub(crate) asked: Hold,
    /// Attempts to raise the hold, refused ones included.
    pub(crate) increments: u32,
}

impl PaymentIntent {
    pub(crate) fn is_manual(&self) -> bool {
        self.capture_method == "manual"
    }

    pub(crate) fn render(&self) -> Value {
        let held = if self.status == Status::RequiresCapture { self.amount } else { 0 };
        let automatic = self.payment_method_types.is_none().then(|| {
            let redirects = if self.allow_redirects { "always" } else { "never" };
            json!({ "allow_redirects": redirects, "enabled": true })
        });
        let next_action = (self.status == Status::RequiresAction)
            .then(|| json!({ "type": "use_stripe_sdk", "use_stripe_sdk": {} }));
        let types = self.payment_method_types.clone().unwrap_or_else(|| vec!["card".to_owned()]);
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": held,
            "amount_details": { "tip": {} },
            "amount_received": self.amount_received,
            "application": null,
            "application_fee_amount": null,
            "automatic_payment_methods": automatic,
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": self.capture_method,
            "client_secret": format!("{}_secret_twin", self.id),
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "description": self.description,
            "excluded_payment_method_types": null,
            "last_payment_error": self.last_payment_error,
            "latest_charge": self.latest_charge,
            "livemode": false,
            "metadata": self.metadata,
            "next_action": next_action,
            "on_behalf_of": null,
            "payment_method": self.payment_method,
            "payment_method_configuration_details": null,
            "payment_method_options": {
                "card": {
                    "installments": null,
                    "mandate_options": null,
                    "network": null,
                    "request_three_d_secure": "automatic",
                },
            },
            "payment_method_types": types,
            "processing": null,
            "receipt_email": null,
            "review": null,
            "setup_future_usage": self.setup_future_usage,
            "shipping": null,
            "source": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": self.status.name(),
            "transfer_data": null,
            "transfer_group": null,
        })
    }

    /// The error of an operation that this status does not allow
    /// (<https://docs.stripe.com/error-codes#payment-intent-unexpected-state>).
    pub(crate) fn unexpected_state(&self, done: &str, allowed: &str) -> Box<ApiError> {
        let message = format!(
            "This PaymentIntent could not be {done} because it has a status of {}. Only a \
             PaymentIntent with one of the following statuses may be {done}: {allowed}.",
            self.status.name(),
        );
        ApiError::state("payment_intent_unexpected_state", message, Some(self.render()))
    }
}

/// The object with what `expand[]` asks for (<https://docs.stripe.com/api/expanding_objects>).
fn expanded(world: &World, id: &str, expand: &[String]) -> Answer<Value> {
    let intent = world.payment_intents.get(id)?;
    let mut object = intent.render();
    for field in expand {
        let (table_entry, name) = match field.as_str() {
            "latest_charge" => {
                let charge = intent.latest_charge.as_deref().and_then(|id| world.charges.find(id));
                (charge.map(super::charges::Charge::render), "latest_charge")
            }
            "payment_method" => {
                let method = intent.payment_method.as_deref();
                let method = method.and_then(|id| world.payment_methods.find(id));
                (method.map(payment_methods::PaymentMethod::render), "payment_method")
            }
            "customer" => {
                let customer = intent.customer.as_deref();
                let customer = customer.and_then(|id| world.customers.find(id));
                (customer.map(super::customers::Customer::render), "customer")
            }
            other => {
                let message = format!("This property cannot be expanded ({other}).");
                return Err(ApiError::invalid(None, Some("expand"), message));
            }
        };
        if let Some(expanded) = table_entry {
            object[name] = expanded;
        }
    }
    Ok(object)
}

/// `off_session` and `error_on_requires_action` go with `confirm` only
/// (<https://docs.stripe.com/api/payment_intents/create>).
pub(crate) fn create(world: &mut World, mut params: Params) -> Answer<Value> {
    let expand = params.list("expand");
    let confirm = params.boolean("confirm")?.unwrap_or(false);
    let options = confirm::Options::take(&mut params)?;
    if !confirm && options.any() {
        let message = "off_session, error_on_requires_action and return_url can only be used with \
            confirm=true";
        return Err(ApiError::invalid(None, Some("confirm"), message));
    }
    let mut intent = draft(world, &mut params)?;
    let payment_method = params.text("payment_method");
    params.finish()?;
    if confirm && payment_method.is_none() {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment \
            method.";
        let code = Some("payment_intent_unexpected_state");
        return Err(ApiError::invalid(code, Some("payment_method"), message));
    }
    if confirm {
        confirm::check_redirects(&intent, &options)?;
    }
    if let Some(named) = payment_method {
        confirm::set_payment_method(world, &mut intent, &named)?;
    }
    let id = intent.id.clone();
    world.emit("payment_intent.created", intent.render());
    world.payment_intents.insert(&id, intent);
    if confirm {
        confirm::run(world, &id, &options)?;
    }
    expanded(world, &id, &expand)
}

fn draft(world: &mut World, params: &mut Params) -> Answer<PaymentIntent> {
    let amount = params.required_integer("amount")?;
    let currency = params.required("currency")?;
    minimum::check_currency(&currency)?;
    minimum::check(amount, &currency, "amount")?;
    let customer = params.text("customer");
    if let Some(customer) = &customer {
        world.customers.referenced(customer, "customer")?;
    }
    let capture_method =
        params.one_of("capture_method", &["automatic", "automatic_async", "manual"])?;
    let setup_future_usage = params.one_of("setup_future_usage", &["off_session", "on_session"])?;
    let types = params.list("payment_method_types");
    let known = |kind: &&String| !matches!(kind.as_str(), "card" | "card_present");
    if let Some(other) = types.iter().find(known) {
        let message = format!("The payment method type provided: {other} is invalid.");
        return Err(ApiError::invalid(None, Some("payment_method_types"), message));
    }
    let present = types.iter().any(|kind| kind == "card_present");
    let asked = asked(params)?;
    let mut automatic = params.nested("automatic_payment_methods");
    let enabled = automatic.boolean("enabled")?;
    let redirects = automatic.one_of("allow_redirects", &["always", "never"])?;
    automatic.finish()?;
    if enabled == Some(true) && !types.is_empty() {
        let message = "You may only specify one of these parameters: \
            automatic_payment_methods, payment_method_types.";
        return Err(ApiError::invalid(None, Some("automatic_payment_methods"), message));
    }
    let description = params.text("description");
    let metadata = params.metadata()?;
    let id = world.id("pi");
    Ok(PaymentIntent {
        id,
        amount,
        amount_received: 0,
        canceled_at: None,
        cancellation_reason: None,
        capture_method: capture_method.unwrap_or_else(|| "automatic_async".to_owned()),
        created: world.now,
        currency,
        customer,
        description,
        last_payment_error: None,
        latest_charge: None,
        metadata,
        payment_method: None,
        payment_method_types: (!types.is_empty()).then_some(types),
        allow_redirects: redirects.as_deref() != Some("never"),
        setup_future_usage,
        status: Status::RequiresPaymentMethod,
        present,
        asked,
        increments: 0,
    })
}

/// `payment_method_options`: what a hold shall be able to do, where the card and the account's
/// pricing allow (<https://docs.stripe.com/payments/flexible-payments>; at a reader
/// <https://docs.stripe.com/terminal/features/incremental-authorizations>).
fn asked(params: &mut Params) -> Answer<Hold> {
    let mut options = params.nested("payment_method_options");
    let mut card = options.nested("card");
    let mut if_available = |name| -> Answer<bool> {
        Ok(card.one_of(name, &["if_available", "never"])?.as_deref() == Some("if_available"))
    };
    let mut asked = Hold {
        incremental: if_available("request_incremental_authorization")?,
        overcapture: if_available("request_overcapture")?,
        extended: if_available("request_extended_authorization")?,
    };
    card.finish()?;
    let mut card_present = options.nested("card_present");
    let incremental = card_present.boolean("request_incremental_authorization_support")?;
    let extended = card_present.boolean("request_extended_authorization")?;
    asked.incremental |= incremental == Some(true);
    asked.extended |= extended == Some(true);
    card_present.finish()?;
    options.finish()?;
    Ok(asked)
}

pub(crate) fn retrieve(world: &World, id: &str, mut params: Params) -> Answer<Value> {
    let expand = params.list("expand");
    params.finish()?;
    expanded(world, id, &expand)
}

/// <https://docs.stripe.com/api/payment_intents/list>
pub(crate) fn list(world: &World, mut params: Params) -> Answer<Value> {
    let customer = params.text("customer");
    if let Some(customer) = &customer {
        world.customers.referenced(customer, "customer")?;
    }
    let mut created = params.nested("created");
    let (from, until) = (created.integer("gte")?, created.integer("lte")?);
    created.finish()?;
    let keep = |intent: &PaymentIntent| {
        customer.as_ref().is_none_or(|customer| intent.customer.as_ref() == Some(customer))
            && from.is_none_or(|from| intent.created >= from)
            && until.is_none_or(|until| intent.created <= until)
    };
    world.payment_intents.page(params, "/v1/payment_intents", keep, PaymentIntent::render)
}

/// <https://docs.stripe.com/api/payment_intents/confirm>
pub(crate) fn confirm(world: &mut World, id: &str, mut params: Params) -> Answer<Value> {
    let expand = params.list("expand");
    let options = confirm::Options::take(&mut params)?;
    let payment_method = params.text("payment_method");
    params.finish()?;
    let mut intent = world.payment_intents.get(id)?.clone();
    if !matches!(
        intent.status,
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction
    ) {
        let allowed = "requires_payment_method, requires_confirmation, requires_action";
        return Err(intent.unexpected_state("confirmed", allowed));
    }
    confirm::check_redirects(&intent, &options)?;
    match payment_method {
        Some(named) => confirm::set_payment_method(world, &mut intent, &named)?,
        None if intent.payment_method.is_none() => {
            let message = "You cannot confirm this PaymentIntent because it's missing a payment \
                method."
                .to_owned();
            let code = "payment_intent_unexpected_state";
            return Err(ApiError::state(code, message, Some(intent.render())));
        }
        None => {}
    }
    world.payment_intents.insert(id, intent);
    confirm::run(world, id, &options)?;
    expanded(world, id, &expand)
}

/// Takes all or a part of what is held and releases the rest, once.
///
/// <https://docs.stripe.com/api/payment_intents/capture>
pub(crate) fn capture(world: &mut World, id: &str, mut params: Params) -> Answer<Value> {
    let expand = params.list("expand");
    let amount = params.integer("amount_to_capture")?;
    let metadata = params.metadata()?;
    params.finish()?;
    let intent = world.payment_intents.get_mut(id)?;
    if intent.status != Status::RequiresCapture {
        return Err(intent.unexpected_state("captured", "requires_capture"));
    }
    let amount = amount.unwrap_or(intent.amount);
    minimum::check(amount, &intent.currency, "amount_to_capture")?;
    let charge = intent.latest_charge.as_deref().and_then(|id| world.charges.find(id));
    let most = charge.map_or(intent.amount, charges::Charge::maximum_capturable);
    if amount > most {
        let message = format!(
            "The amount_to_capture must be less than or equal to the capturable amount ({most}).",
        );
        let (code, param) = (Some("amount_too_large"), Some("amount_to_capture"));
        return Err(ApiError::invalid(code, param, message));
    }
    intent.metadata.extend(metadata);
    intent.status = Status::Succeeded;
    intent.amount_received = amount;
    let (charge, rendered) = (intent.latest_charge.clone(), intent.render());
    world.emit("payment_intent.succeeded", rendered);
    if let Some(charge) = charge {
        charges::captured(world, &charge, amount)?;
    }
    expanded(world, id, &expand)
}

/// <https://docs.stripe.com/api/payment_intents/cancel>
pub(crate) fn cancel(world: &mut World, id: &str, mut params: Params) -> Answer<Value> {
    let expand = params.list("expand");
    let reasons = ["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
    let reason = params.one_of("cancellation_reason", &reasons)?;
    params.finish()?;
    let intent = world.payment_intents.get(id)?;
    if matches!(intent.status, Status::Processing | Status::Succeeded | Status::Canceled) {
        let allowed = "requires_payment_method, requires_capture, requires_confirmation, \
            requires_action";
        return Err(intent.unexpected_state("canceled", allowed));
    }
    set_canceled(world, id, reason)?;
    expanded(world, id, &expand)
}

/// What is held goes back to the customer; its charge shows it as refunded.
fn set_canceled(world: &mut World, id: &str, reason: Option<String>) -> Answer<()> {
    let now = world.now;
    let intent = world.payment_intents.get_mut(id)?;
    let held = intent.status == Status::RequiresCapture;
    intent.status = Status::Canceled;
    intent.canceled_at = Some(now);
    intent.cancellation_reason = reason;
    let (charge, rendered) = (intent.latest_charge.clone(), intent.render());
    if let Some(charge) = charge.filter(|_| held) {
        let charge = world.charges.get_mut(&charge)?;
        charge.amount_refunded = charge.amount;
    }
    world.emit("payment_intent.canceled", rendered);
    Ok(())
}

/// A hold runs out before its time: the clock is everybody's, this is one hold's.
pub(crate) fn expire(world: &mut World, id: &str) -> Answer<serde_json::Value> {
    let intent = world.payment_intents.get(id)?;
    if intent.status != Status::RequiresCapture {
        return Err(intent.unexpected_state("expired", "requires_capture"));
    }
    set_canceled(world, id, Some("automatic".to_owned()))?;
    Ok(world.payment_intents.get(id)?.render())
}

/// Cancels holds that were not captured in time
/// (<https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>). Stripe names the reasons
/// it gives itself without saying which is whose; `automatic` is the twin's reading.
pub(crate) fn expire_holds(world: &mut World) {
    let held = world.payment_intents.iter().filter(|i| i.status == Status::RequiresCapture);
    let expired = held.filter(|intent| {
        let charge = intent.latest_charge.as_deref().and_then(|id| world.charges.find(id));
        let capture_before = charge.and_then(|charge| charge.capture_before);
        capture_before.is_some_and(|capture_before| capture_before <= world.now)
    });
    let expired: Vec<String> = expired.map(|intent| intent.id.clone()).collect();
    for id in expired {
        // They were all there a moment ago.
        let _ = set_canceled(world, &id, Some("automatic".to_owned()));
    }
}
