//! Invoices of subscriptions, and what becomes of those that are not paid.
//! <https://docs.stripe.com/api/invoices>,
//! <https://docs.stripe.com/billing/revenue-recovery/smart-retries>

use serde_json::{Value, json};

use super::{Answer, ApiError, Params, World, payment_intents, subscriptions};

const DAY_S: i64 = 24 * 3600;
/// When a failed payment is tried again. Stripe chooses the moments itself or takes a schedule like
/// this one (same page, "Custom retry schedule").
const RETRIES_AFTER_S: [i64; 3] = [3 * DAY_S, 5 * DAY_S, 7 * DAY_S];

#[derive(Debug, Clone)]
pub(crate) struct Invoice {
    pub(crate) id: String,
    amount: i64,
    attempts: usize,
    billing_reason: &'static str,
    created: i64,
    currency: String,
    customer: String,
    next_attempt: Option<i64>,
    pub(crate) status: &'static str,
    pub(crate) subscription: String,
}

impl Invoice {
    pub(crate) fn render(&self) -> Value {
        let paid = self.status == "paid";
        json!({
            "id": self.id,
            "object": "invoice",
            "amount_due": self.amount,
            "amount_paid": if paid { self.amount } else { 0 },
            "amount_remaining": if paid { 0 } else { self.amount },
            "attempt_count": self.attempts,
            "attempted": self.attempts > 0,
            "auto_advance": self.status == "open",
            "billing_reason": self.billing_reason,
            "collection_method": "charge_automatically",
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "livemode": false,
            "metadata": {},
            "next_payment_attempt": self.next_attempt,
            // Since API version 2025-03-31 (<https://docs.stripe.com/api/invoices/object>).
            "parent": {
                "quote_details": null,
                "subscription_details": { "metadata": {}, "subscription": self.subscription },
                "type": "subscription_details",
            },
            "status": self.status,
        })
    }
}

/// What an invoice is for.
pub(crate) struct Due {
    pub(crate) amount: i64,
    pub(crate) billing_reason: &'static str,
    pub(crate) currency: String,
    pub(crate) customer: String,
    pub(crate) subscription: String,
}

/// Makes an invoice and charges it; gives its id and whether it was paid.
pub(crate) fn bill(world: &mut World, due: Due, method: Option<&str>) -> (String, bool) {
    let id = world.id("in");
    let invoice = Invoice {
        id: id.clone(),
        amount: due.amount,
        attempts: 0,
        billing_reason: due.billing_reason,
        created: world.now,
        currency: due.currency,
        customer: due.customer,
        next_attempt: None,
        status: "open",
        subscription: due.subscription,
    };
    world.emit("invoice.created", invoice.render());
    world.invoices.insert(&id, invoice);
    let paid = attempt(world, &id, method).unwrap_or(false);
    (id, paid)
}

/// Tries to get an open invoice paid.
fn attempt(world: &mut World, id: &str, method: Option<&str>) -> Answer<bool> {
    let invoice = world.invoices.get(id)?.clone();
    let paid = invoice.amount == 0
        || method.is_some_and(|method| {
            let Invoice { customer, amount, currency, .. } = &invoice;
            payment_intents::charge_off_session(world, customer, method, *amount, currency).is_ok()
        });
    let now = world.now;
    let invoice = world.invoices.get_mut(id)?;
    // A clock moved by weeks lets every attempt happen at its time.
    let at = invoice.next_attempt.unwrap_or(now);
    let next = RETRIES_AFTER_S.get(invoice.attempts).map(|after| at + after);
    invoice.attempts += 1;
    invoice.next_attempt = next.filter(|_| !paid);
    invoice.status = if paid { "paid" } else { "open" };
    let rendered = invoice.render();
    if paid {
        world.emit("invoice.paid", rendered.clone());
        world.emit("invoice.payment_succeeded", rendered);
    } else {
        world.emit("invoice.payment_failed", rendered);
    }
    Ok(paid)
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.invoices.get(id)?.render())
}

pub(crate) fn list(world: &World, mut params: Params) -> Answer<Value> {
    let (customer, subscription) = (params.text("customer"), params.text("subscription"));
    let statuses = ["draft", "open", "paid", "uncollectible", "void"];
    let status = params.one_of("status", &statuses)?;
    let keep = |invoice: &Invoice| {
        customer.as_ref().is_none_or(|customer| invoice.customer == *customer)
            && subscription.as_ref().is_none_or(|id| invoice.subscription == *id)
            && status.as_ref().is_none_or(|status| invoice.status == status)
    };
    world.invoices.page(params, "/v1/invoices", keep, Invoice::render)
}

/// <https://docs.stripe.com/api/invoices/pay>: the subscription recovers with it.
pub(crate) fn pay(world: &mut World, id: &str, mut params: Params) -> Answer<Value> {
    let method = params.text("payment_method");
    params.finish()?;
    let invoice = world.invoices.get(id)?.clone();
    if invoice.status != "open" {
        let message = "Invoice is already paid.";
        return Err(ApiError::state("invoice_not_open", message.to_owned(), None));
    }
    let method = match method {
        Some(method) => Some(method),
        None => subscriptions::payment_method(world, &invoice.subscription),
    };
    if !attempt(world, id, method.as_deref())? {
        let message = "Your card was declined.";
        return Err(ApiError::card("card_declined", Some("generic_decline"), message));
    }
    subscriptions::recovered(world, &invoice.subscription);
    Ok(world.invoices.get(id)?.render())
}

/// Tries again what is due for it. After the last attempt the subscription is canceled (same page:
/// canceled, unpaid or left past due, as the account has it).
pub(crate) fn retry(world: &mut World) {
    for id in world.invoices.ids() {
        let due = |world: &World| {
            let invoice = world.invoices.find(&id)?;
            let next = invoice.next_attempt.filter(|at| *at <= world.now)?;
            (invoice.status == "open").then(|| (next, invoice.subscription.clone()))
        };
        while let Some((_, subscription)) = due(world) {
            let method = subscriptions::payment_method(world, &subscription);
            let paid = attempt(world, &id, method.as_deref()).unwrap_or(false);
            let gave_up = world.invoices.find(&id).is_some_and(|i| i.next_attempt.is_none());
            if paid {
                subscriptions::recovered(world, &subscription);
            } else if gave_up {
                subscriptions::given_up(world, &subscription);
            }
        }
    }
}

/// Nothing more is tried for a subscription that has ended.
pub(crate) fn void_open(world: &mut World, subscription: &str) {
    for id in world.invoices.ids() {
        let Ok(invoice) = world.invoices.get_mut(&id) else { continue };
        if invoice.subscription == subscription && invoice.status == "open" {
            invoice.next_attempt = None;
        }
    }
}
