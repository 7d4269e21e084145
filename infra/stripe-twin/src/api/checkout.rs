//! Checkout Sessions in payment mode: a page where a driver pays what is owed.
//! <https://docs.stripe.com/api/checkout/sessions>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, ApiError, Params, World, minimum, payment_intents};

const HOUR_S: i64 = 3600;

#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    amount: i64,
    client_reference_id: Option<String>,
    created: i64,
    currency: String,
    customer: Option<String>,
    expires_at: i64,
    metadata: BTreeMap<String, String>,
    intent_metadata: BTreeMap<String, String>,
    payment_intent: Option<String>,
    status: &'static str,
    success_url: String,
}

impl Session {
    pub(crate) fn render(&self) -> Value {
        let url = (self.status == "open")
            .then(|| format!("https://checkout.stripe.com/c/pay/{}", self.id));
        json!({
            "id": self.id,
            "object": "checkout.session",
            "amount_subtotal": self.amount,
            "amount_total": self.amount,
            "cancel_url": null,
            "client_reference_id": self.client_reference_id,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "expires_at": self.expires_at,
            "livemode": false,
            "metadata": self.metadata,
            "mode": "payment",
            "payment_intent": self.payment_intent,
            "payment_status": if self.status == "complete" { "paid" } else { "unpaid" },
            "status": self.status,
            "success_url": self.success_url,
            "ui_mode": "hosted",
            "url": url,
        })
    }
}

/// One line with a price of its own (`price_data`), hosted by Stripe.
pub(crate) fn create(world: &mut World, mut params: Params) -> Answer<Value> {
    let mode = params.required("mode")?;
    if mode != "payment" {
        let message = "The twin has Checkout Sessions in payment mode only.";
        return Err(ApiError::invalid(None, Some("mode"), message));
    }
    let types = params.list("payment_method_types");
    if types.iter().any(|kind| kind != "card") {
        let message = "The twin takes cards: payment_method_types is to be [card].";
        return Err(ApiError::invalid(None, Some("payment_method_types"), message));
    }
    let success_url = params.required("success_url")?;
    let customer = params.text("customer");
    if let Some(customer) = &customer {
        world.customers.referenced(customer, "customer")?;
    }
    let client_reference_id = params.text("client_reference_id");
    let expires_at = params.integer("expires_at")?.unwrap_or(world.now + 24 * HOUR_S);
    // <https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-expires_at>
    if !(world.now + HOUR_S / 2..=world.now + 24 * HOUR_S).contains(&expires_at) {
        let message = "expires_at is 30 minutes to 24 hours from now.";
        return Err(ApiError::invalid(None, Some("expires_at"), message));
    }
    let metadata = params.metadata()?;
    let mut intent_data = params.nested("payment_intent_data");
    let intent_metadata = intent_data.metadata()?;
    intent_data.finish()?;
    let (amount, currency) = line(&mut params)?;
    params.finish()?;
    let id = world.id("cs_test");
    let session = Session {
        id: id.clone(),
        amount,
        client_reference_id,
        created: world.now,
        currency,
        customer,
        expires_at,
        metadata,
        intent_metadata,
        payment_intent: None,
        status: "open",
        success_url,
    };
    let rendered = session.render();
    world.checkout_sessions.insert(&id, session);
    Ok(rendered)
}

fn line(params: &mut Params) -> Answer<(i64, String)> {
    let mut lines = params.objects("line_items").into_iter();
    let (Some(mut line), None) = (lines.next(), lines.next()) else {
        let message = "The twin has Checkout Sessions of one line.";
        return Err(ApiError::invalid(Some("parameter_missing"), Some("line_items"), message));
    };
    let quantity = line.required_integer("quantity")?;
    let mut price = line.nested("price_data");
    let currency = price.required("currency")?;
    let unit_amount = price.required_integer("unit_amount")?;
    let mut product = price.nested("product_data");
    product.required("name")?;
    product.text("description");
    product.finish()?;
    price.finish()?;
    line.finish()?;
    let amount = unit_amount.saturating_mul(quantity);
    minimum::check_currency(&currency)?;
    minimum::check(amount, &currency, "line_items")?;
    Ok((amount, currency))
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.checkout_sessions.get(id)?.render())
}

/// <https://docs.stripe.com/api/checkout/sessions/expire>
pub(crate) fn expire(world: &mut World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    if world.checkout_sessions.get(id)?.status != "open" {
        let message = "Only Checkout Sessions with a status of open can be expired.";
        return Err(ApiError::state("checkout_session_not_open", message.to_owned(), None));
    }
    end(world, id, "expired", "checkout.session.expired")
}

fn end(world: &mut World, id: &str, status: &'static str, event: &str) -> Answer<Value> {
    let session = world.checkout_sessions.get_mut(id)?;
    session.status = status;
    let rendered = session.render();
    world.emit(event, rendered.clone());
    Ok(rendered)
}

/// The driver pays on the page, with a test card: a control of the twin. Declined, the session
/// stays open.
pub(crate) fn pay(world: &mut World, id: &str, card: &str) -> Answer<Value> {
    let session = world.checkout_sessions.get(id)?.clone();
    if session.status != "open" {
        let message = "This Checkout Session is not open.";
        return Err(ApiError::state("checkout_session_not_open", message.to_owned(), None));
    }
    let intent = payment_intents::of_checkout(
        world,
        session.amount,
        &session.currency,
        session.customer.as_deref(),
        session.intent_metadata.clone(),
    );
    world.checkout_sessions.get_mut(id)?.payment_intent = Some(intent.clone());
    payment_intents::pay(world, &intent, card)?;
    end(world, id, "complete", "checkout.session.completed")
}

/// Ends what nobody paid in time.
pub(crate) fn expire_unpaid(world: &mut World) {
    let late = world.checkout_sessions.iter();
    let late = late.filter(|session| session.status == "open" && session.expires_at <= world.now);
    let late: Vec<String> = late.map(|session| session.id.clone()).collect();
    for id in late {
        // They were all there a moment ago.
        let _ = end(world, &id, "expired", "checkout.session.expired");
    }
}
