//! Subscriptions of one price, as far as a membership needs them.
//! <https://docs.stripe.com/api/subscriptions>,
//! <https://docs.stripe.com/billing/subscriptions/overview>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Answer, ApiError, Params, World,
    catalog::Price,
    invoices::{self, Due},
};

#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    item_id: String,
    customer: String,
    price: Price,
    quantity: i64,
    default_payment_method: Option<String>,
    pub(crate) status: &'static str,
    cancel_at_period_end: bool,
    canceled_at: Option<i64>,
    ended_at: Option<i64>,
    created: i64,
    /// Since API version 2025-03-31 periods are the items'
    /// (<https://docs.stripe.com/changelog/basil>).
    current_period_start: i64,
    current_period_end: i64,
    trial_end: Option<i64>,
    /// `pause_collection.behavior`.
    pause: Option<String>,
    /// `trial_settings.end_behavior.missing_payment_method`.
    without_method: String,
    warned_of_trial_end: bool,
    metadata: BTreeMap<String, String>,
    latest_invoice: Option<String>,
}

impl Subscription {
    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id,
            "object": "subscription",
            "application": null,
            "application_fee_percent": null,
            "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
            "billing_cycle_anchor": self.created,
            "billing_cycle_anchor_config": null,
            "billing_mode": { "flexible": null, "type": "classic" },
            "billing_schedules": [],
            "billing_thresholds": null,
            "cancel_at": self.cancel_at_period_end.then_some(self.current_period_end),
            "cancel_at_period_end": self.cancel_at_period_end,
            "canceled_at": self.canceled_at,
            "cancellation_details": { "comment": null, "feedback": null, "reason": null },
            "collection_method": "charge_automatically",
            "created": self.created,
            "currency": self.price.currency,
            "customer": self.customer,
            "days_until_due": null,
            "default_payment_method": self.default_payment_method,
            "default_source": null,
            "default_tax_rates": [],
            "description": null,
            "discounts": [],
            "ended_at": self.ended_at,
            "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
            "items": {
                "object": "list",
                "data": [self.render_item()],
                "has_more": false,
                "total_count": 1,
                "url": format!("/v1/subscription_items?subscription={}", self.id),
            },
            "latest_invoice": self.latest_invoice,
            "livemode": false,
            "metadata": self.metadata,
            "next_pending_invoice_item_invoice": null,
            "on_behalf_of": null,
            "pause_collection": self.pause.as_ref().map(|behavior| json!({ "behavior": behavior, "resumes_at": null })),
            "payment_settings": {
                "payment_method_options": null,
                "payment_method_types": null,
                "save_default_payment_method": "off",
            },
            "pending_invoice_item_interval": null,
            "pending_setup_intent": null,
            "pending_update": null,
            "schedule": null,
            "start_date": self.created,
            "status": self.status,
            "test_clock": null,
            "transfer_data": null,
            "trial_end": self.trial_end,
            "trial_settings": { "end_behavior": { "missing_payment_method": self.without_method } },
            "trial_start": self.trial_end.map(|_| self.created),
        })
    }

    fn render_item(&self) -> Value {
        json!({
            "id": self.item_id,
            "object": "subscription_item",
            "billing_thresholds": null,
            "created": self.created,
            "current_period_end": self.current_period_end,
            "current_period_start": self.current_period_start,
            "discounts": [],
            "metadata": {},
            "plan": self.price.render_plan(),
            "price": self.price.render(),
            "quantity": self.quantity,
            "subscription": self.id,
            "tax_rates": [],
        })
    }
}

/// The first invoice is charged at once; when that fails the subscription is `incomplete`
/// (<https://docs.stripe.com/billing/subscriptions/overview#payment-status>).
pub(crate) fn create(world: &mut World, mut params: Params) -> Answer<Value> {
    let customer = params.required("customer")?;
    world.customers.referenced(&customer, "customer")?;
    let default_payment_method = params.text("default_payment_method");
    if let Some(method) = &default_payment_method {
        world.payment_methods.referenced(method, "default_payment_method")?;
    }
    let cancel_at_period_end = params.boolean("cancel_at_period_end")?.unwrap_or(false);
    let trial_end = params.integer("trial_end")?;
    let trial_days = params.integer("trial_period_days")?;
    let without_method = end_behavior(&mut params)?;
    let metadata = params.metadata()?;
    let (price, quantity) = one_item(world, &mut params)?;
    params.finish()?;

    let trial_end = trial_end.or(trial_days.map(|days| world.now + days * 24 * 3600));
    let (id, item_id, now) = (world.id("sub"), world.id("si"), world.now);
    let mut subscription = Subscription {
        id: id.clone(),
        item_id,
        customer,
        current_period_end: trial_end.unwrap_or(now + price.period_s()),
        price,
        quantity,
        default_payment_method,
        status: "trialing",
        cancel_at_period_end,
        canceled_at: None,
        ended_at: None,
        created: now,
        current_period_start: now,
        trial_end,
        pause: None,
        without_method,
        warned_of_trial_end: false,
        metadata,
        latest_invoice: None,
    };
    if trial_end.is_none() {
        let paid = bill(world, &mut subscription, "subscription_create");
        subscription.status = if paid { "active" } else { "incomplete" };
    }
    Ok(save(world, subscription, "customer.subscription.created"))
}

/// What becomes of a trial that ends without a payment method
/// (<https://docs.stripe.com/billing/subscriptions/trials#create-free-trials-without-payment>).
fn end_behavior(params: &mut Params) -> Answer<String> {
    let mut settings = params.nested("trial_settings");
    let mut behavior = settings.nested("end_behavior");
    let known = ["cancel", "create_invoice", "pause"];
    let chosen = behavior.one_of("missing_payment_method", &known)?;
    behavior.finish()?;
    settings.finish()?;
    Ok(chosen.unwrap_or_else(|| "create_invoice".to_owned()))
}

fn one_item(world: &World, params: &mut Params) -> Answer<(Price, i64)> {
    let mut items = params.objects("items").into_iter();
    let (Some(mut item), None) = (items.next(), items.next()) else {
        let message = "The twin has subscriptions of one item.";
        return Err(ApiError::invalid(Some("parameter_missing"), Some("items"), message));
    };
    let price = item.required("price")?;
    let quantity = item.integer("quantity")?.unwrap_or(1);
    item.finish()?;
    Ok((world.prices.referenced(&price, "items[0][price]")?.clone(), quantity))
}

pub(crate) fn retrieve(world: &World, id: &str, mut params: Params) -> Answer<Value> {
    let expand = expansions(&mut params, "latest_invoice")?;
    params.finish()?;
    Ok(expanded(world, world.subscriptions.get(id)?, expand))
}

/// Whether `expand[]` asks for `field`, the only one that the twin expands
/// (<https://docs.stripe.com/api/expanding_objects>).
fn expansions(params: &mut Params, field: &str) -> Answer<bool> {
    let asked = params.list("expand");
    if let Some(other) = asked.iter().find(|asked| *asked != field) {
        let message = format!("This property cannot be expanded ({other}).");
        return Err(ApiError::invalid(None, Some("expand"), message));
    }
    Ok(!asked.is_empty())
}

fn expanded(world: &World, subscription: &Subscription, expand: bool) -> Value {
    let mut rendered = subscription.render();
    let invoice = subscription.latest_invoice.as_ref().filter(|_| expand);
    if let Some(invoice) = invoice.and_then(|id| world.invoices.find(id)) {
        rendered["latest_invoice"] = invoice.render();
    }
    rendered
}

/// Those that have not ended, unless `status` says otherwise; `all` for all
/// (<https://docs.stripe.com/api/subscriptions/list>).
pub(crate) fn list(world: &World, mut params: Params) -> Answer<Value> {
    let customer = params.text("customer");
    let expand = expansions(&mut params, "data.latest_invoice")?;
    let statuses =
        ["active", "all", "canceled", "incomplete", "past_due", "paused", "trialing", "unpaid"];
    let status = params.one_of("status", &statuses)?;
    let keep = |subscription: &Subscription| {
        let wanted = match status.as_deref() {
            None => subscription.status != "canceled",
            Some("all") => true,
            Some(status) => subscription.status == status,
        };
        wanted && customer.as_ref().is_none_or(|customer| subscription.customer == *customer)
    };
    let render = |subscription: &Subscription| expanded(world, subscription, expand);
    world.subscriptions.page(params, "/v1/subscriptions", keep, render)
}

pub(crate) fn update(world: &mut World, id: &str, mut params: Params) -> Answer<Value> {
    // An empty `pause_collection` resumes (<https://docs.stripe.com/billing/subscriptions/pause-payment>).
    let resume = params.is_emptied("pause_collection");
    let mut pause = params.nested("pause_collection");
    let behavior = pause.one_of("behavior", &["keep_as_draft", "mark_uncollectible", "void"])?;
    pause.finish()?;
    let cancel_at_period_end = params.boolean("cancel_at_period_end")?;
    let default_payment_method = params.text("default_payment_method");
    let metadata = params.metadata()?;
    params.finish()?;
    let mut subscription = world.subscriptions.get(id)?.clone();
    if subscription.status == "canceled" {
        let message = "A canceled subscription can only update its cancellation_details.";
        return Err(ApiError::state("subscription_canceled", message.to_owned(), None));
    }
    if let Some(at_end) = cancel_at_period_end {
        subscription.cancel_at_period_end = at_end;
        subscription.canceled_at = at_end.then_some(world.now);
    }
    if let Some(method) = default_payment_method {
        world.payment_methods.referenced(&method, "default_payment_method")?;
        subscription.default_payment_method = Some(method);
    }
    if resume || behavior.is_some() {
        subscription.pause = behavior;
    }
    subscription.metadata.extend(metadata);
    Ok(save(world, subscription, "customer.subscription.updated"))
}

/// <https://docs.stripe.com/api/subscriptions/cancel>
pub(crate) fn cancel(world: &mut World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    let mut subscription = world.subscriptions.get(id)?.clone();
    if subscription.status == "canceled" {
        return Err(ApiError::not_found("subscription", id, "id"));
    }
    end(&mut subscription, world.now);
    invoices::void_open(world, id);
    Ok(save(world, subscription, "customer.subscription.deleted"))
}

/// Resumes what a trial without a payment method has paused: a new period begins, and with its
/// invoice paid the subscription is active again
/// (<https://docs.stripe.com/api/subscriptions/resume>). The twin knows the default
/// `billing_cycle_anchor` only, `now`, and leaves an unpaid one paused.
pub(crate) fn resume(world: &mut World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    let mut subscription = world.subscriptions.get(id)?.clone();
    if subscription.status != "paused" {
        let message = "This subscription cannot be resumed because it is not paused.";
        return Err(ApiError::invalid(None, None, message));
    }
    subscription.current_period_start = world.now;
    subscription.current_period_end = world.now + subscription.price.period_s();
    if !bill(world, &mut subscription, "subscription_update") {
        return Ok(save(world, subscription, "customer.subscription.updated"));
    }
    subscription.status = "active";
    Ok(save(world, subscription, "customer.subscription.resumed"))
}

fn end(subscription: &mut Subscription, now: i64) {
    subscription.status = "canceled";
    subscription.canceled_at = subscription.canceled_at.or(Some(now));
    subscription.ended_at = Some(now);
}

fn save(world: &mut World, subscription: Subscription, event: &str) -> Value {
    let rendered = subscription.render();
    let id = subscription.id.clone();
    world.subscriptions.insert(&id, subscription);
    world.emit(event, rendered.clone());
    rendered
}

/// Renews what is due, or ends it; a renewal that is not paid is `past_due`
/// (<https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses>).
pub(crate) fn renew(world: &mut World) {
    warn_of_trial_ends(world);
    for id in world.subscriptions.ids() {
        // A clock moved by a year lets every month of it happen.
        while let Some(due) = world.subscriptions.find(&id).filter(|s| is_due(s, world.now)) {
            let mut subscription = due.clone();
            let lacks_method =
                subscription.status == "trialing" && payment_method(world, &id).is_none();
            let event = if subscription.cancel_at_period_end
                || lacks_method && subscription.without_method == "cancel"
            {
                end(&mut subscription, world.now);
                "customer.subscription.deleted"
            } else if lacks_method && subscription.without_method == "pause" {
                subscription.status = "paused";
                "customer.subscription.paused"
            } else {
                let start = subscription.current_period_end;
                subscription.current_period_start = start;
                subscription.current_period_end = start + subscription.price.period_s();
                // A paused collection bills nothing and leaves the status
                // (<https://docs.stripe.com/billing/subscriptions/pause-payment>).
                if subscription.pause.is_none() {
                    let paid = bill(world, &mut subscription, "subscription_cycle");
                    subscription.status = if paid { "active" } else { "past_due" };
                }
                "customer.subscription.updated"
            };
            save(world, subscription, event);
        }
    }
}

/// `customer.subscription.trial_will_end`, three days before
/// (<https://docs.stripe.com/billing/subscriptions/webhooks>).
fn warn_of_trial_ends(world: &mut World) {
    for id in world.subscriptions.ids() {
        let now = world.now;
        let Ok(subscription) = world.subscriptions.get_mut(&id) else { continue };
        let soon = subscription.trial_end.is_some_and(|end| end - 3 * 24 * 3600 <= now);
        if subscription.status == "trialing" && soon && !subscription.warned_of_trial_end {
            subscription.warned_of_trial_end = true;
            let rendered = subscription.render();
            world.emit("customer.subscription.trial_will_end", rendered);
        }
    }
}

fn is_due(subscription: &Subscription, now: i64) -> bool {
    let runs = matches!(subscription.status, "active" | "trialing");
    runs && subscription.current_period_end <= now
}

/// What a subscription is paid with: its own method, or the customer's.
pub(crate) fn payment_method(world: &World, id: &str) -> Option<String> {
    let subscription = world.subscriptions.find(id)?;
    let default = || world.customers.find(&subscription.customer)?.default_payment_method.clone();
    subscription.default_payment_method.clone().or_else(default)
}

/// An open invoice was paid after all.
pub(crate) fn recovered(world: &mut World, id: &str) {
    let Some(subscription) = world.subscriptions.find(id) else { return };
    if matches!(subscription.status, "past_due" | "unpaid" | "incomplete") {
        let subscription = Subscription { status: "active", ..subscription.clone() };
        save(world, subscription, "customer.subscription.updated");
    }
}

/// The last attempt failed.
pub(crate) fn given_up(world: &mut World, id: &str) {
    let Some(subscription) = world.subscriptions.find(id) else { return };
    if subscription.status == "past_due" {
        let mut subscription = subscription.clone();
        end(&mut subscription, world.now);
        save(world, subscription, "customer.subscription.deleted");
    }
}

/// Makes the period's invoice and charges it; says whether it was paid.
fn bill(world: &mut World, subscription: &mut Subscription, billing_reason: &'static str) -> bool {
    let default = world.customers.find(&subscription.customer);
    let default = default.and_then(|customer| customer.default_payment_method.clone());
    let method = subscription.default_payment_method.clone().or(default);
    let due = Due {
        amount: subscription.price.unit_amount * subscription.quantity,
        billing_reason,
        currency: subscription.price.currency.clone(),
        customer: subscription.customer.clone(),
        subscription: subscription.id.clone(),
    };
    let (invoice, paid) = invoices::bill(world, due, method.as_deref());
    subscription.latest_invoice = Some(invoice);
    paid
}
