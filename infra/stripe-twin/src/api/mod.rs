//! Stripe's objects and endpoints, without HTTP around them: parameters in, an object out.

mod cards;
mod catalog;
mod charges;
mod customers;
mod error;
mod events;
mod minimum;
mod params;
mod payment_intents;
mod payment_methods;
mod subscriptions;
mod table;
mod world;

use serde_json::Value;

pub(crate) use error::{Answer, ApiError};
pub(crate) use params::Params;
pub(crate) use payment_intents::authenticate;
pub(crate) use world::World;

/// Answers one request to `/v1/…`.
pub(crate) fn answer(world: &mut World, method: &str, path: &str, params: Params) -> Answer<Value> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method, segments.as_slice()) {
        ("POST", ["v1", "customers"]) => customers::create(world, params),
        ("GET", ["v1", "customers", id]) => customers::retrieve(world, id, params),
        ("GET", ["v1", "customers", id, "payment_methods"]) => {
            payment_methods::list(world, Some(id), params)
        }
        ("GET", ["v1", "payment_methods"]) => payment_methods::list(world, None, params),
        ("GET", ["v1", "payment_methods", id]) => payment_methods::retrieve(world, id, params),
        ("POST", ["v1", "payment_methods", id, "attach"]) => {
            payment_methods::attach(world, id, params)
        }
        ("POST", ["v1", "payment_intents"]) => payment_intents::create(world, params),
        ("GET", ["v1", "payment_intents"]) => payment_intents::list(world, params),
        ("GET", ["v1", "payment_intents", id]) => payment_intents::retrieve(world, id, params),
        ("POST", ["v1", "payment_intents", id, "confirm"]) => {
            payment_intents::confirm(world, id, params)
        }
        ("POST", ["v1", "payment_intents", id, "capture"]) => {
            payment_intents::capture(world, id, params)
        }
        ("POST", ["v1", "payment_intents", id, "cancel"]) => {
            payment_intents::cancel(world, id, params)
        }
        ("GET", ["v1", "charges", id]) => charges::retrieve(world, id, params),
        ("POST", ["v1", "products"]) => catalog::create_product(world, params),
        ("GET", ["v1", "products", id]) => catalog::retrieve_product(world, id, params),
        ("POST", ["v1", "prices"]) => catalog::create_price(world, params),
        ("GET", ["v1", "prices", id]) => catalog::retrieve_price(world, id, params),
        ("POST", ["v1", "subscriptions"]) => subscriptions::create(world, params),
        ("GET", ["v1", "subscriptions", id]) => subscriptions::retrieve(world, id, params),
        ("POST", ["v1", "subscriptions", id]) => subscriptions::update(world, id, params),
        ("DELETE", ["v1", "subscriptions", id]) => subscriptions::cancel(world, id, params),
        ("GET", ["v1", "events"]) => events::list(world, params),
        ("GET", ["v1", "events", id]) => events::retrieve(world, id, params),
        _ => {
            let message = format!("Unrecognized request URL ({method}: {path}).");
            Err(ApiError::other(404, "invalid_request_error", None, &message))
        }
    }
}
