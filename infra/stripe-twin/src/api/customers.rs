//! Customers. <https://docs.stripe.com/api/customers>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Params, World, payment_methods};

#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) id: String,
    created: i64,
    email: Option<String>,
    name: Option<String>,
    description: Option<String>,
    metadata: BTreeMap<String, String>,
    pub(crate) default_payment_method: Option<String>,
}

impl Customer {
    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id,
            "object": "customer",
            "address": null,
            "balance": 0,
            "created": self.created,
            "currency": null,
            "default_source": null,
            "delinquent": false,
            "description": self.description,
            "discount": null,
            "email": self.email,
            "invoice_prefix": null,
            "invoice_settings": {
                "custom_fields": null,
                "default_payment_method": self.default_payment_method,
                "footer": null,
                "rendering_options": null,
            },
            "livemode": false,
            "metadata": self.metadata,
            "name": self.name,
            "phone": null,
            "preferred_locales": [],
            "shipping": null,
            "tax_exempt": "none",
            "test_clock": null,
        })
    }
}

/// Takes `payment_method` as well: attached, as Stripe does.
pub(crate) fn create(world: &mut World, mut params: Params) -> Answer<Value> {
    let (email, name) = (params.text("email"), params.text("name"));
    let description = params.text("description");
    let metadata = params.metadata()?;
    let payment_method = params.text("payment_method");
    let mut invoice_settings = params.nested("invoice_settings");
    let default_payment_method = invoice_settings.text("default_payment_method");
    invoice_settings.finish()?;
    params.finish()?;

    let id = world.id("cus");
    let created = world.now;
    let mut customer =
        Customer { id, created, email, name, description, metadata, default_payment_method: None };
    let id = customer.id.clone();
    let mut attached = None;
    if let Some(token) = payment_method {
        attached = Some((token.clone(), payment_methods::attach_to(world, &token, &id)?));
    }
    customer.default_payment_method = match (default_payment_method, attached) {
        (Some(named), Some((token, made))) if named == token => Some(made),
        (named, _) => named,
    };
    let rendered = customer.render();
    world.customers.insert(&id, customer);
    world.emit("customer.created", rendered.clone());
    Ok(rendered)
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.customers.get(id)?.render())
}
