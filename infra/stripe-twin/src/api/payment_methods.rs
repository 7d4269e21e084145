//! PaymentMethods. <https://docs.stripe.com/api/payment_methods>

use serde_json::{Value, json};

use super::{
    Answer, ApiError, Params, World,
    cards::{self, Behaviour, TestCard},
};

#[derive(Debug, Clone)]
pub(crate) struct PaymentMethod {
    pub(crate) id: String,
    created: i64,
    pub(crate) card: TestCard,
    pub(crate) customer: Option<String>,
    /// Whether the customer authenticated a setup for off-session payments.
    pub(crate) set_up: bool,
    /// Whether it was used without a customer: then never again
    /// (<https://docs.stripe.com/api/payment_methods/attach>).
    pub(crate) used_up: bool,
    /// `apple_pay` or `google_pay`, if the card came from one.
    pub(crate) wallet: Option<&'static str>,
}

impl PaymentMethod {
    pub(crate) fn render(&self) -> Value {
        let card = &self.card;
        json!({
            "id": self.id,
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": billing_details(),
            "card": {
                "brand": card.brand,
                "checks": {
                    "address_line1_check": null,
                    "address_postal_code_check": null,
                    "cvc_check": "pass",
                },
                "country": "US",
                "display_brand": card.brand,
                "exp_month": 12,
                "exp_year": 2034,
                "fingerprint": format!("twin{}", card.last4),
                "funding": "credit",
                "generated_from": null,
                "last4": card.last4,
                "networks": { "available": [card.brand], "preferred": null },
                "regulated_status": "unregulated",
                "three_d_secure_usage": { "supported": true },
                "wallet": self.wallet.map(|kind| json!({
                    "dynamic_last4": card.last4, "type": kind, kind: {},
                })),
            },
            "created": self.created,
            "customer": self.customer,
            "livemode": false,
            "metadata": {},
            "type": "card",
        })
    }
}

pub(crate) fn billing_details() -> Value {
    json!({
        "address": {
            "city": null,
            "country": null,
            "line1": null,
            "line2": null,
            "postal_code": null,
            "state": null,
        },
        "email": null,
        "name": null,
        "phone": null,
        "tax_id": null,
    })
}

/// The PaymentMethod that a parameter names; a test token makes a new one
/// (<https://docs.stripe.com/testing#cards>).
pub(crate) fn resolve(world: &mut World, named: &str) -> Answer<PaymentMethod> {
    if let Some(known) = world.payment_methods.find(named) {
        return Ok(known.clone());
    }
    let Some(card) = cards::find(named) else {
        return Err(ApiError::missing_reference("PaymentMethod", named, "payment_method"));
    };
    let id = world.id("pm");
    let created = world.now;
    let set_up = card.behaviour == Behaviour::AlreadySetUp;
    let method =
        PaymentMethod { id, created, card, customer: None, set_up, used_up: false, wallet: None };
    world.payment_methods.insert(&method.id, method.clone());
    Ok(method)
}

/// Attaches and gives the PaymentMethod's id. Cards that decline cannot be attached, but for the
/// one made for it (<https://docs.stripe.com/testing#declined-payments>).
pub(crate) fn attach_to(world: &mut World, named: &str, customer: &str) -> Answer<String> {
    let method = resolve(world, named)?;
    if method.used_up {
        return Err(used_up());
    }
    if method.customer.as_deref().is_some_and(|other| other != customer) {
        let message = "The payment method you provided has already been attached to a customer.";
        return Err(ApiError::invalid(None, Some("payment_method"), message));
    }
    if let Behaviour::Declines { code, decline_code } = method.card.behaviour {
        return Err(ApiError::card(code, decline_code, "Your card was declined."));
    }
    let stored = world.payment_methods.get_mut(&method.id)?;
    stored.customer = Some(customer.to_owned());
    let rendered = stored.render();
    world.emit("payment_method.attached", rendered);
    Ok(method.id)
}

/// Stripe says it in words only.
pub(crate) fn used_up() -> Box<ApiError> {
    let message = "The provided PaymentMethod was previously used with a PaymentIntent without \
        Customer attachment, or was detached from a Customer. It may not be used again.";
    ApiError::invalid(None, None, message)
}

pub(crate) fn attach(world: &mut World, id: &str, mut params: Params) -> Answer<Value> {
    let customer = params.required("customer")?;
    params.finish()?;
    world.customers.referenced(&customer, "customer")?;
    let id = attach_to(world, id, &customer)?;
    Ok(world.payment_methods.get(&id)?.render())
}

/// Detaches for good: "after a PaymentMethod is detached, it can no longer be used for a payment or
/// re-attached to a Customer" (<https://docs.stripe.com/api/payment_methods/detach>).
pub(crate) fn detach(world: &mut World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    let method = world.payment_methods.get_mut(id)?;
    if method.customer.take().is_none() {
        let message = "The payment method you provided is not attached to a customer so \
            detachment is impossible.";
        return Err(ApiError::invalid(None, Some("payment_method"), message));
    }
    method.used_up = true;
    let rendered = method.render();
    world.emit("payment_method.detached", rendered.clone());
    Ok(rendered)
}

/// What Stripe.js makes of a card that the holder's wallet gives: a control of the twin
/// (<https://docs.stripe.com/api/payment_methods/object>, `card.wallet`).
pub(crate) fn from_wallet(world: &mut World, card: &str, wallet: &str) -> Answer<Value> {
    let kinds = ["apple_pay", "google_pay"];
    let Some(kind) = kinds.into_iter().find(|kind| *kind == wallet) else {
        let message = "wallet is apple_pay or google_pay";
        return Err(ApiError::invalid(None, Some("wallet"), message));
    };
    let id = resolve(world, card)?.id;
    let method = world.payment_methods.get_mut(&id)?;
    method.wallet = Some(kind);
    Ok(method.render())
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.payment_methods.get(id)?.render())
}

pub(crate) fn list(world: &World, customer: Option<&str>, mut params: Params) -> Answer<Value> {
    let customer = match customer {
        Some(customer) => {
            world.customers.get(customer)?;
            customer.to_owned()
        }
        None => params.required("customer")?,
    };
    params.one_of("type", &["card"])?;
    let mine = |method: &PaymentMethod| method.customer.as_ref() == Some(&customer);
    world.payment_methods.page(params, "/v1/payment_methods", mine, PaymentMethod::render)
}
