//! Products and prices, as far as a membership needs them.
//! <https://docs.stripe.com/api/products>, <https://docs.stripe.com/api/prices>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, ApiError, Params, World, minimum};

#[derive(Debug)]
pub(crate) struct Product {
    id: String,
    name: String,
    created: i64,
    metadata: BTreeMap<String, String>,
}

impl Product {
    fn render(&self) -> Value {
        json!({
            "id": self.id,
            "object": "product",
            "active": true,
            "created": self.created,
            "default_price": null,
            "description": null,
            "images": [],
            "livemode": false,
            "marketing_features": [],
            "metadata": self.metadata,
            "name": self.name,
            "package_dimensions": null,
            "shippable": null,
            "statement_descriptor": null,
            "tax_code": null,
            "type": "service",
            "unit_label": null,
            "updated": self.created,
            "url": null,
        })
    }
}

/// A recurring price: `interval` times `interval_count`.
#[derive(Debug, Clone)]
pub(crate) struct Price {
    pub(crate) id: String,
    pub(crate) unit_amount: i64,
    pub(crate) currency: String,
    product: String,
    interval: String,
    interval_count: i64,
    created: i64,
    metadata: BTreeMap<String, String>,
}

impl Price {
    /// The length of its period. Months are 30 and years 365 days long here; Stripe keeps the day
    /// of the month.
    pub(crate) fn period_s(&self) -> i64 {
        let days = match self.interval.as_str() {
            "day" => 1,
            "week" => 7,
            "year" => 365,
            _ => 30,
        };
        days * 24 * 3600 * self.interval_count
    }

    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id,
            "object": "price",
            "active": true,
            "billing_scheme": "per_unit",
            "created": self.created,
            "currency": self.currency,
            "custom_unit_amount": null,
            "livemode": false,
            "lookup_key": null,
            "metadata": self.metadata,
            "nickname": null,
            "product": self.product,
            "recurring": {
                "interval": self.interval,
                "interval_count": self.interval_count,
                "meter": null,
                "trial_period_days": null,
                "usage_type": "licensed",
            },
            "tax_behavior": "unspecified",
            "tiers_mode": null,
            "transform_quantity": null,
            "type": "recurring",
            "unit_amount": self.unit_amount,
            "unit_amount_decimal": self.unit_amount.to_string(),
        })
    }

    /// The older face of a price, which subscription items still show.
    pub(crate) fn render_plan(&self) -> Value {
        json!({
            "id": self.id,
            "object": "plan",
            "active": true,
            "amount": self.unit_amount,
            "amount_decimal": self.unit_amount.to_string(),
            "billing_scheme": "per_unit",
            "created": self.created,
            "currency": self.currency,
            "interval": self.interval,
            "interval_count": self.interval_count,
            "livemode": false,
            "metadata": self.metadata,
            "meter": null,
            "nickname": null,
            "product": self.product,
            "tiers_mode": null,
            "transform_usage": null,
            "trial_period_days": null,
            "usage_type": "licensed",
        })
    }
}

pub(crate) fn create_product(world: &mut World, mut params: Params) -> Answer<Value> {
    let name = params.required("name")?;
    let metadata = params.metadata()?;
    params.finish()?;
    let product = Product { id: world.id("prod"), name, created: world.now, metadata };
    let rendered = product.render();
    let id = product.id.clone();
    world.products.insert(&id, product);
    Ok(rendered)
}

pub(crate) fn retrieve_product(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.products.get(id)?.render())
}

/// Recurring prices only.
pub(crate) fn create_price(world: &mut World, mut params: Params) -> Answer<Value> {
    let currency = params.required("currency")?;
    minimum::check_currency(&currency)?;
    let unit_amount = params.required_integer("unit_amount")?;
    let product = params.required("product")?;
    world.products.referenced(&product, "product")?;
    let mut recurring = params.nested("recurring");
    let interval = recurring.one_of("interval", &["day", "week", "month", "year"])?;
    let interval_count = recurring.integer("interval_count")?.unwrap_or(1);
    recurring.finish()?;
    let metadata = params.metadata()?;
    params.finish()?;
    let Some(interval) = interval else {
        let message = "The twin has recurring prices only.";
        return Err(ApiError::invalid(None, Some("recurring[interval]"), message));
    };
    let (id, created) = (world.id("price"), world.now);
    let price =
        Price { id, unit_amount, currency, product, interval, interval_count, created, metadata };
    let rendered = price.render();
    let id = price.id.clone();
    world.prices.insert(&id, price);
    Ok(rendered)
}

pub(crate) fn retrieve_price(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.prices.get(id)?.render())
}
