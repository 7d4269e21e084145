//! Events. <https://docs.stripe.com/api/events>

use serde_json::{Value, json};

use super::{Answer, ApiError, Params, World, world::API_VERSION};

/// So many `types` can be asked for at once.
const TYPES_MAX: usize = 20;

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) created: i64,
    /// The object as it was when it happened.
    pub(crate) object: Value,
}

impl Event {
    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created,
            "data": { "object": self.object },
            "livemode": false,
            "pending_webhooks": 0,
            "request": { "id": null, "idempotency_key": null },
            "type": self.kind,
        })
    }
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.events.get(id)?.render())
}

/// With `type` or `types[]`; an ending `*` stands for every rest, as in Stripe's own. Those of a
/// time with `created[gte]` and `created[lt]`. Those that some endpoint has not taken with
/// `delivery_success=false` (<https://docs.stripe.com/webhooks/process-undelivered-events>).
pub(crate) fn list(world: &World, mut params: Params) -> Answer<Value> {
    let mut types = params.list("types");
    let one = params.text("type");
    if types.len() > TYPES_MAX || (one.is_some() && !types.is_empty()) {
        let message = "Up to 20 `types`, or one `type`, but not both.";
        return Err(ApiError::invalid(None, Some("types"), message));
    }
    types.extend(one);
    let mut created = params.nested("created");
    let (from, before) = (created.integer("gte")?, created.integer("lt")?);
    created.finish()?;
    let delivered = params.boolean("delivery_success")?;
    let wanted = |event: &Event| {
        if from.is_some_and(|from| event.created < from)
            || before.is_some_and(|before| event.created >= before)
        {
            return false;
        }
        if delivered.is_some_and(|delivered| delivered == world.undelivered.contains(&event.id)) {
            return false;
        }
        let fits = |kind: &String| match kind.strip_suffix('*') {
            Some(start) => event.kind.starts_with(start),
            None => event.kind == *kind,
        };
        types.is_empty() || types.iter().any(fits)
    };
    world.events.page(params, "/v1/events", wanted, Event::render)
}
