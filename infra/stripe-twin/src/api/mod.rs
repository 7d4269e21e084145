//! Stripe's objects and endpoints, without HTTP around them: parameters in, an object out.

mod balance;
mod cards;
mod catalog;
mod charges;
mod checkout;
mod customers;
mod disputes;
mod error;
mod events;
mod invoices;
mod minimum;
mod params;
mod payment_intents;
mod payment_methods;
mod refunds;
mod setup_intents;
mod subscriptions;
mod table;
mod terminal;
mod world;

use serde_json::Value;

pub(crate) use checkout::pay as pay_checkout;
pub(crate) use disputes::{
    REASONS as DISPUTE_REASONS, decide as decide_dispute, open as open_dispute,
};
pub(crate) use error::{Answer, ApiError};
pub(crate) use params::Params;
pub(crate) use payment_intents::{authenticate, expire as expire_hold, process};
pub(crate) use payment_methods::from_wallet;
pub(crate) use setup_intents::authenticate as authenticate_setup;
pub(crate) use terminal::set_refusal as refuse_at_reader;
pub(crate) use world::World;

/// Answers one request to `/v1/…`.
pub(crate) fn answer(world: &mut World, method: &str, path: &str, params: Params) -> Answer<Value> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let Some(("v1", rest)) = segments.split_first().map(|(first, rest)| (*first, rest)) else {
        return Err(unrecognized(method, path));
    };
    let answered = match rest.first().copied() {
        Some("customers" | "payment_methods" | "setup_intents") => {
            wallets(world, method, rest, params)
        }
        Some("payment_intents" | "charges") => payments(world, method, rest, params),
        Some("refunds" | "disputes" | "balance_transactions" | "payouts") => {
            afterwards(world, method, rest, params)
        }
        Some("products" | "prices" | "subscriptions" | "invoices") => {
            memberships(world, method, rest, params)
        }
        Some("terminal" | "test_helpers") => readers(world, method, rest, params),
        Some("checkout" | "events") => others(world, method, rest, params),
        _ => None,
    };
    answered.unwrap_or_else(|| Err(unrecognized(method, path)))
}

fn unrecognized(method: &str, path: &str) -> Box<ApiError> {
    let message = format!("Unrecognized request URL ({method}: {path}).");
    ApiError::other(404, "invalid_request_error", None, &message)
}

/// What an endpoint answers; none if there is no such endpoint.
type Routed = Option<Answer<Value>>;

fn wallets(world: &mut World, method: &str, path: &[&str], params: Params) -> Routed {
    Some(match (method, path) {
        ("POST", ["customers"]) => customers::create(world, params),
        ("GET", ["customers", id]) => customers::retrieve(world, id, params),
        ("GET", ["customers", id, "payment_methods"]) => {
            payment_methods::list(world, Some(id), params)
        }
        ("GET", ["payment_methods"]) => payment_methods::list(world, None, params),
        ("GET", ["payment_methods", id]) => payment_methods::retrieve(world, id, params),
        ("POST", ["payment_methods", id, "attach"]) => payment_methods::attach(world, id, params),
        ("POST", ["payment_methods", id, "detach"]) => payment_methods::detach(world, id, params),
        ("POST", ["setup_intents"]) => setup_intents::create(world, params),
        ("GET", ["setup_intents", id]) => setup_intents::retrieve(world, id, params),
        ("POST", ["setup_intents", id, "confirm"]) => setup_intents::confirm(world, id, params),
        ("POST", ["setup_intents", id, "cancel"]) => setup_intents::cancel(world, id, params),
        _ => return None,
    })
}

fn payments(world: &mut World, method: &str, path: &[&str], params: Params) -> Routed {
    Some(match (method, path) {
        ("POST", ["payment_intents"]) => payment_intents::create(world, params),
        ("GET", ["payment_intents"]) => payment_intents::list(world, params),
        ("GET", ["payment_intents", id]) => payment_intents::retrieve(world, id, params),
        ("POST", ["payment_intents", id, "confirm"]) => payment_intents::confirm(world, id, params),
        ("POST", ["payment_intents", id, "capture"]) => payment_intents::capture(world, id, params),
        ("POST", ["payment_intents", id, "cancel"]) => payment_intents::cancel(world, id, params),
        ("POST", ["payment_intents", id, "increment_authorization"]) => {
            payment_intents::increment_authorization(world, id, params)
        }
        ("GET", ["charges", id]) => charges::retrieve(world, id, params),
        _ => return None,
    })
}

fn afterwards(world: &mut World, method: &str, path: &[&str], params: Params) -> Routed {
    Some(match (method, path) {
        ("POST", ["refunds"]) => refunds::create(world, params),
        ("GET", ["refunds"]) => refunds::list(world, params),
        ("GET", ["refunds", id]) => refunds::retrieve(world, id, params),
        ("GET", ["disputes"]) => disputes::list(world, params),
        ("GET", ["disputes", id]) => disputes::retrieve(world, id, params),
        ("POST", ["disputes", id]) => disputes::update(world, id, params),
        ("POST", ["disputes", id, "close"]) => disputes::close(world, id, params),
        ("GET", ["balance_transactions"]) => balance::list(world, params),
        ("GET", ["balance_transactions", id]) => balance::retrieve(world, id, params),
        ("GET", ["payouts"]) => balance::list_payouts(world, params),
        ("GET", ["payouts", id]) => balance::retrieve_payout(world, id, params),
        _ => return None,
    })
}

fn memberships(world: &mut World, method: &str, path: &[&str], params: Params) -> Routed {
    Some(match (method, path) {
        ("POST", ["products"]) => catalog::create_product(world, params),
        ("GET", ["products", id]) => catalog::retrieve_product(world, id, params),
        ("POST", ["prices"]) => catalog::create_price(world, params),
        ("GET", ["prices", id]) => catalog::retrieve_price(world, id, params),
        ("POST", ["subscriptions"]) => subscriptions::create(world, params),
        ("GET", ["subscriptions"]) => subscriptions::list(world, params),
        ("GET", ["subscriptions", id]) => subscriptions::retrieve(world, id, params),
        ("POST", ["subscriptions", id]) => subscriptions::update(world, id, params),
        ("POST", ["subscriptions", id, "resume"]) => subscriptions::resume(world, id, params),
        ("DELETE", ["subscriptions", id]) => subscriptions::cancel(world, id, params),
        ("GET", ["invoices"]) => invoices::list(world, params),
        ("GET", ["invoices", id]) => invoices::retrieve(world, id, params),
        ("POST", ["invoices", id, "pay"]) => invoices::pay(world, id, params),
        _ => return None,
    })
}

fn readers(world: &mut World, method: &str, path: &[&str], params: Params) -> Routed {
    Some(match (method, path) {
        ("POST", ["terminal", "locations"]) => terminal::create_location(world, params),
        ("POST", ["terminal", "readers"]) => terminal::create_reader(world, params),
        ("GET", ["terminal", "readers"]) => terminal::list_readers(world, params),
        ("GET", ["terminal", "readers", id]) => terminal::retrieve_reader(world, id, params),
        ("POST", ["terminal", "readers", id, "process_payment_intent"]) => {
            terminal::process_payment_intent(world, id, params)
        }
        ("POST", ["terminal", "readers", id, "cancel_action"]) => {
            terminal::cancel_action(world, id, params)
        }
        ("POST", ["test_helpers", "terminal", "readers", id, "present_payment_method"]) => {
            terminal::present_payment_method(world, id, params)
        }
        _ => return None,
    })
}

fn others(world: &mut World, method: &str, path: &[&str], params: Params) -> Routed {
    Some(match (method, path) {
        ("POST", ["checkout", "sessions"]) => checkout::create(world, params),
        ("GET", ["checkout", "sessions", id]) => checkout::retrieve(world, id, params),
        ("POST", ["checkout", "sessions", id, "expire"]) => checkout::expire(world, id, params),
        ("GET", ["events"]) => events::list(world, params),
        ("GET", ["events", id]) => events::retrieve(world, id, params),
        _ => return None,
    })
}
