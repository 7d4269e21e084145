//! Card readers that a server drives.
//! <https://docs.stripe.com/terminal/payments/setup-reader/bbpos-wisepose>,
//! <https://docs.stripe.com/api/terminal/readers>; cards are presented by the test helpers
//! (<https://docs.stripe.com/terminal/references/testing#simulated-reader>).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, ApiError, Params, World, payment_intents};

#[derive(Debug)]
pub(crate) struct Location {
    id: String,
    display_name: String,
    address: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
}

impl Location {
    pub(crate) fn render(&self) -> Value {
        let line = |name: &str| self.address.get(name);
        json!({
            "id": self.id,
            "object": "terminal.location",
            "address": {
                "city": line("city"),
                "country": line("country"),
                "line1": line("line1"),
                "line2": line("line2"),
                "postal_code": line("postal_code"),
                "state": line("state"),
            },
            "display_name": self.display_name,
            "livemode": false,
            "metadata": self.metadata,
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) id: String,
    label: String,
    location: String,
    metadata: BTreeMap<String, String>,
    action: Option<Action>,
    /// With what it refuses every request, if a test wants it to.
    refuses: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Action {
    payment_intent: String,
    status: &'static str,
    /// `failure_code` and `failure_message`.
    failure: Option<(String, String)>,
}

impl Reader {
    pub(crate) fn render(&self) -> Value {
        let action = self.action.as_ref().map(|action| {
            json!({
                "failure_code": action.failure.as_ref().map(|(code, _)| code),
                "failure_message": action.failure.as_ref().map(|(_, message)| message),
                "process_payment_intent": { "payment_intent": action.payment_intent },
                "status": action.status,
                "type": "process_payment_intent",
            })
        });
        json!({
            "id": self.id,
            "object": "terminal.reader",
            "action": action,
            "device_sw_version": "",
            "device_type": "simulated_wisepos_e",
            "ip_address": "0.0.0.0",
            "label": self.label,
            "last_seen_at": null,
            "livemode": false,
            "location": self.location,
            "metadata": self.metadata,
            "serial_number": self.id,
            "status": "online",
        })
    }
}

pub(crate) fn create_location(world: &mut World, mut params: Params) -> Answer<Value> {
    let display_name = params.required("display_name")?;
    let mut stated = params.nested("address");
    let (line1, country) = (stated.required("line1")?, stated.required("country")?);
    let mut address =
        BTreeMap::from([("line1".to_owned(), line1), ("country".to_owned(), country)]);
    for name in ["line2", "city", "postal_code", "state"] {
        address.extend(stated.text(name).map(|value| (name.to_owned(), value)));
    }
    stated.finish()?;
    let metadata = params.metadata()?;
    params.finish()?;
    let location = Location { id: world.id("tml"), display_name, address, metadata };
    let rendered = location.render();
    let id = location.id.clone();
    world.locations.insert(&id, location);
    Ok(rendered)
}

/// Simulated readers only: `simulated-wpe` and the like.
pub(crate) fn create_reader(world: &mut World, mut params: Params) -> Answer<Value> {
    let code = params.required("registration_code")?;
    let label = params.text("label");
    let location = params.required("location")?;
    let metadata = params.metadata()?;
    params.finish()?;
    world.locations.referenced(&location, "location")?;
    if !code.starts_with("simulated-") {
        let message = "The twin has simulated readers only (registration_code simulated-wpe).";
        return Err(ApiError::invalid(None, Some("registration_code"), message));
    }
    let id = world.id("tmr");
    let label = label.unwrap_or_else(|| id.clone());
    let reader = Reader { id: id.clone(), label, location, metadata, action: None, refuses: None };
    let rendered = reader.render();
    world.readers.insert(&id, reader);
    Ok(rendered)
}

pub(crate) fn retrieve_reader(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.readers.get(id)?.render())
}

pub(crate) fn list_readers(world: &World, mut params: Params) -> Answer<Value> {
    let location = params.text("location");
    let keep = |reader: &Reader| location.as_ref().is_none_or(|l| reader.location == *l);
    world.readers.page(params, "/v1/terminal/readers", keep, Reader::render)
}

/// Shows the amount and waits for a card
/// (<https://docs.stripe.com/api/terminal/readers/process_payment_intent>).
pub(crate) fn process_payment_intent(
    world: &mut World,
    id: &str,
    mut params: Params,
) -> Answer<Value> {
    let named = params.required("payment_intent")?;
    params.nested("process_config");
    params.finish()?;
    let intent = world.payment_intents.referenced(&named, "payment_intent")?;
    if !intent.present {
        let message = "The PaymentIntent is to have payment_method_types [card_present].";
        return Err(ApiError::invalid(None, Some("payment_intent"), message));
    }
    if intent.status != payment_intents::Status::RequiresPaymentMethod {
        // "Avoiding double charges" of <https://docs.stripe.com/terminal/payments/collect-card-payment>
        let message = "Payment intent must be in the requires_payment_method state to be \
            processed by a reader.";
        return Err(ApiError::invalid(Some("intent_invalid_state"), None, message));
    }
    let reader = world.readers.get_mut(id)?;
    reader.check()?;
    // "Payments that have not begun processing can be replaced with a new payment" ("Reader busy"
    // of the same page); here a card is processed the moment it is presented.
    reader.action = Some(Action { payment_intent: named, status: "in_progress", failure: None });
    Ok(reader.render())
}

impl Reader {
    fn is_waiting(&self) -> bool {
        self.action.as_ref().is_some_and(|action| action.status == "in_progress")
    }

    /// Whether it does what it is asked. "Handle errors" of
    /// <https://docs.stripe.com/terminal/payments/collect-card-payment>.
    fn check(&self) -> Answer<()> {
        match self.refuses {
            None => Ok(()),
            Some(code) => {
                let message = format!("The reader does not take the request ({code}).");
                Err(ApiError::invalid(Some(code), None, message))
            }
        }
    }
}

/// From now on the reader refuses with `code`, or with nothing; no page of Stripe's API, a control
/// of the twin.
pub(crate) fn set_refusal(world: &mut World, id: &str, code: Option<&str>) -> Answer<Value> {
    let known = ["terminal_reader_busy", "terminal_reader_offline", "terminal_reader_timeout"];
    let refuses = code.map(|code| known.into_iter().find(|known| *known == code));
    if refuses == Some(None) {
        let message = format!("The twin's readers refuse with one of {}.", known.join(", "));
        return Err(ApiError::invalid(None, Some("refuses"), message));
    }
    let reader = world.readers.get_mut(id)?;
    reader.refuses = refuses.flatten();
    Ok(reader.render())
}

/// <https://docs.stripe.com/api/terminal/readers/cancel_action>
pub(crate) fn cancel_action(world: &mut World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    let reader = world.readers.get_mut(id)?;
    reader.check()?;
    reader.action = None;
    Ok(reader.render())
}

/// Somebody holds a card to the reader; `card_present[number]` says which
/// (<https://docs.stripe.com/api/terminal/readers/present_payment_method>). Numbers are those of
/// <https://docs.stripe.com/terminal/references/testing#simulated-test-cards>.
pub(crate) fn present_payment_method(
    world: &mut World,
    id: &str,
    mut params: Params,
) -> Answer<Value> {
    params.one_of("type", &["card_present"])?;
    let mut card = params.nested("card_present");
    let number = card.text("number").unwrap_or_else(|| "4242424242424242".to_owned());
    card.finish()?;
    params.finish()?;
    let token = match number.as_str() {
        "4242424242424242" => "pm_card_visa",
        "5555555555554444" => "pm_card_mastercard",
        "4000000000000002" => "pm_card_visa_chargeDeclined",
        "4000000000009995" => "pm_card_visa_chargeDeclinedInsufficientFunds",
        "4000000000000069" => "pm_card_chargeDeclinedExpiredCard",
        other => {
            let message = format!("The twin's readers do not know the card {other}.");
            return Err(ApiError::invalid(None, Some("card_present"), message));
        }
    };
    let reader = world.readers.get(id)?;
    let Some(action) = reader.action.clone().filter(|_| reader.is_waiting()) else {
        let message = "The reader is not waiting for a card.";
        return Err(ApiError::invalid(None, None, message));
    };
    let paid = payment_intents::present(world, &action.payment_intent, token);
    let (status, failure, kind) = match paid {
        Ok(()) => ("succeeded", None, "terminal.reader.action_succeeded"),
        Err(error) => {
            let code = error.decline_code.or(error.code).unwrap_or_default();
            ("failed", Some((code, error.message)), "terminal.reader.action_failed")
        }
    };
    let reader = world.readers.get_mut(id)?;
    reader.action = Some(Action { status, failure, ..action });
    let rendered = reader.render();
    world.emit(kind, rendered.clone());
    Ok(rendered)
}
