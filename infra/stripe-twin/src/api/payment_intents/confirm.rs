//! Confirming a PaymentIntent: what the card, or a rule that a test set, says to it.

use std::collections::BTreeMap;

use super::{
    super::{
        Answer, ApiError, Params, World,
        cards::Behaviour,
        charges::{self, Charge, Hold},
        payment_methods::{self, PaymentMethod},
    },
    PaymentIntent, Status,
};

/// The code of a rule that leaves the issuer time
/// (<https://docs.stripe.com/payments/paymentintents/lifecycle>).
const PROCESSING: &str = "processing";
const DAY_S: i64 = 24 * 3600;
/// Online holds that the customer was there for, and all but Visa's
/// (<https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>, "Authorization validity
/// windows").
const HOLD_S: i64 = 7 * DAY_S;
/// Visa holds that the merchant made alone: 4 days and 18 hours (same page).
const VISA_OFF_SESSION_HOLD_S: i64 = 4 * DAY_S + 18 * 3600;

/// Holds that were asked to last
/// (<https://docs.stripe.com/payments/extended-authorization>).
const EXTENDED_HOLD_S: i64 = 30 * DAY_S;
/// Holds made at a reader (<https://docs.stripe.com/terminal/payments/collect-card-payment>:
/// "within 2 days").
const PRESENT_HOLD_S: i64 = 2 * DAY_S;

/// What goes with a confirmation.
#[derive(Debug, Default)]
pub(crate) struct Options {
    off_session: Option<bool>,
    error_on_requires_action: Option<bool>,
    return_url: Option<String>,
}

impl Options {
    pub(super) fn take(params: &mut Params) -> Answer<Self> {
        Ok(Self {
            off_session: params.boolean("off_session")?,
            error_on_requires_action: params.boolean("error_on_requires_action")?,
            return_url: params.text("return_url"),
        })
    }

    pub(super) const fn any(&self) -> bool {
        self.off_session.is_some()
            || self.error_on_requires_action.is_some()
            || self.return_url.is_some()
    }

    fn is_off_session(&self) -> bool {
        self.off_session == Some(true)
    }
}

/// Since API version 2023-08-16 an intent without named payment method types takes all that the
/// dashboard enables, and those may redirect
/// (<https://docs.stripe.com/upgrades#2023-08-16>).
pub(super) fn check_redirects(intent: &PaymentIntent, options: &Options) -> Answer<()> {
    let named = intent.payment_method_types.is_some();
    let stays = named || !intent.allow_redirects || options.is_off_session();
    if stays || options.return_url.is_some() {
        return Ok(());
    }
    let message = "This PaymentIntent is configured to accept payment methods enabled in your \
        Dashboard. Because some of these payment methods might redirect your customer off of your \
        page, you must provide a `return_url`.";
    Err(ApiError::invalid(None, Some("return_url"), message))
}

/// Puts a PaymentMethod on the intent; one of a customer serves only that customer
/// (<https://docs.stripe.com/payments/save-and-reuse>).
pub(super) fn set_payment_method(
    world: &mut World,
    intent: &mut PaymentIntent,
    named: &str,
) -> Answer<()> {
    let method = payment_methods::resolve(world, named)?;
    if method.used_up {
        return Err(payment_methods::used_up());
    }
    if method.customer.is_some() && method.customer != intent.customer {
        let message = "The PaymentMethod provided belongs to a Customer. Please include the \
            Customer in the `customer` parameter on the PaymentIntent.";
        return Err(ApiError::invalid(None, Some("payment_method"), message));
    }
    intent.payment_method = Some(method.id);
    if intent.status == Status::RequiresPaymentMethod {
        intent.status = Status::RequiresConfirmation;
    }
    Ok(())
}

/// What a card says to a payment.
enum Verdict {
    Approved,
    Declined { code: String, decline_code: Option<String> },
    AuthenticationRequired,
    Processing,
}

fn verdict(
    world: &World,
    intent: &PaymentIntent,
    method: &PaymentMethod,
    off_session: bool,
) -> Verdict {
    let rule = world.decline_rules.iter().find(|rule| {
        let is_over = rule.code == PROCESSING && intent.status == Status::Processing;
        !is_over && rule.applies_to(&method.id, &intent.capture_method, intent.amount)
    });
    if let Some(rule) = rule {
        if rule.code == PROCESSING {
            return Verdict::Processing;
        }
        if rule.code == "authentication_required" {
            return Verdict::AuthenticationRequired;
        }
        return Verdict::Declined {
            code: rule.code.clone(),
            decline_code: rule.decline_code.clone(),
        };
    }
    let declined = |code: &str, decline_code: Option<&str>| Verdict::Declined {
        code: code.to_owned(),
        decline_code: decline_code.map(str::to_owned),
    };
    match method.card.behaviour {
        Behaviour::Pays
        | Behaviour::RefundsLate
        | Behaviour::RefundFails
        | Behaviour::Disputes { .. } => Verdict::Approved,
        Behaviour::Declines { code, decline_code } => declined(code, decline_code),
        Behaviour::DeclinesOnceAttached => declined("card_declined", Some("generic_decline")),
        Behaviour::AlreadySetUp if off_session => Verdict::Approved,
        Behaviour::AuthenticatesUnlessSetUp if off_session && method.set_up => Verdict::Approved,
        Behaviour::AlwaysAuthenticates
        | Behaviour::AuthenticatesUnlessSetUp
        | Behaviour::AlreadySetUp
        | Behaviour::AuthenticatesThenDeclines => Verdict::AuthenticationRequired,
    }
}

/// Asks the card. Off session a card that wants its customer declines with
/// `authentication_required` (<https://docs.stripe.com/payments/save-during-payment>, "Charge the
/// saved payment method later"); on session the intent waits in `requires_action`.
pub(super) fn run(world: &mut World, id: &str, options: &Options) -> Answer<()> {
    let intent = world.payment_intents.get(id)?.clone();
    let method = payment_method(world, &intent)?;
    let off_session = options.is_off_session();
    match verdict(world, &intent, &method, off_session) {
        Verdict::Approved => approve(world, id, &method, off_session),
        Verdict::Declined { code, decline_code } => {
            Err(decline(world, id, &method, &code, decline_code.as_deref())?)
        }
        Verdict::AuthenticationRequired
            if off_session || options.error_on_requires_action == Some(true) =>
        {
            let code = "authentication_required";
            Err(decline(world, id, &method, code, Some(code))?)
        }
        Verdict::AuthenticationRequired => {
            let intent = world.payment_intents.get_mut(id)?;
            intent.status = Status::RequiresAction;
            let rendered = intent.render();
            world.emit("payment_intent.requires_action", rendered);
            Ok(())
        }
        Verdict::Processing => {
            let intent = world.payment_intents.get_mut(id)?;
            intent.status = Status::Processing;
            let rendered = intent.render();
            world.emit("payment_intent.processing", rendered);
            Ok(())
        }
    }
}

/// The issuer of an intent in `processing` decides; no page of Stripe's API, a control of the twin.
pub(crate) fn process(world: &mut World, id: &str) -> Answer<serde_json::Value> {
    let intent = world.payment_intents.get(id)?;
    if intent.status != Status::Processing {
        return Err(intent.unexpected_state("processed", "processing"));
    }
    match run(world, id, &Options { off_session: Some(true), ..Options::default() }) {
        // Declined is decided, too.
        Err(error) if error.status != 402 => Err(error),
        _ => Ok(world.payment_intents.get(id)?.render()),
    }
}

/// The customer of an intent in `requires_action` authenticates; no page of Stripe's API, a
/// control of the twin.
pub(crate) fn authenticate(world: &mut World, id: &str) -> Answer<serde_json::Value> {
    let intent = world.payment_intents.get(id)?.clone();
    if intent.status != Status::RequiresAction {
        return Err(intent.unexpected_state("authenticated", "requires_action"));
    }
    let method = payment_method(world, &intent)?;
    if method.card.behaviour == Behaviour::AuthenticatesThenDeclines {
        let decline_code = Some("insufficient_funds");
        return Err(decline(world, id, &method, "card_declined", decline_code)?);
    }
    approve(world, id, &method, false)?;
    Ok(world.payment_intents.get(id)?.render())
}

/// A card is presented at a reader (<https://docs.stripe.com/terminal/payments/collect-card-payment>).
pub(crate) fn present(world: &mut World, id: &str, card: &str) -> Answer<()> {
    pay(world, id, card)
}

/// A customer pays an intent on a page or reader of Stripe's.
pub(crate) fn pay(world: &mut World, id: &str, card: &str) -> Answer<()> {
    let mut intent = world.payment_intents.get(id)?.clone();
    set_payment_method(world, &mut intent, card)?;
    world.payment_intents.insert(id, intent);
    run(world, id, &Options::default())
}

/// Charges a subscription's invoice: a PaymentIntent of Stripe's own.
pub(crate) fn charge_off_session(
    world: &mut World,
    customer: &str,
    payment_method: &str,
    amount: i64,
    currency: &str,
) -> Answer<()> {
    let mut intent = of_stripe(world, amount, currency, Some(customer));
    intent.description = Some("Subscription".to_owned());
    let id = intent.id.clone();
    set_payment_method(world, &mut intent, payment_method)?;
    world.emit("payment_intent.created", intent.render());
    world.payment_intents.insert(&id, intent);
    run(world, &id, &Options { off_session: Some(true), ..Options::default() })
}

/// The PaymentIntent of a Checkout Session.
pub(crate) fn of_checkout(
    world: &mut World,
    amount: i64,
    currency: &str,
    customer: Option<&str>,
    metadata: BTreeMap<String, String>,
) -> String {
    let mut intent = of_stripe(world, amount, currency, customer);
    intent.metadata = metadata;
    let id = intent.id.clone();
    world.emit("payment_intent.created", intent.render());
    world.payment_intents.insert(&id, intent);
    id
}

/// A PaymentIntent that Stripe makes on its own.
fn of_stripe(
    world: &mut World,
    amount: i64,
    currency: &str,
    customer: Option<&str>,
) -> PaymentIntent {
    PaymentIntent {
        id: world.id("pi"),
        amount,
        amount_received: 0,
        canceled_at: None,
        cancellation_reason: None,
        capture_method: "automatic".to_owned(),
        created: world.now,
        currency: currency.to_owned(),
        customer: customer.map(str::to_owned),
        description: None,
        last_payment_error: None,
        latest_charge: None,
        metadata: BTreeMap::new(),
        payment_method: None,
        payment_method_types: Some(vec!["card".to_owned()]),
        allow_redirects: false,
        setup_future_usage: None,
        status: Status::RequiresPaymentMethod,
        present: false,
        asked: Hold::default(),
        increments: 0,
    }
}

fn payment_method(world: &World, intent: &PaymentIntent) -> Answer<PaymentMethod> {
    let id = intent.payment_method.as_deref().unwrap_or_default();
    Ok(world.payment_methods.referenced(id, "payment_method")?.clone())
}

fn approve(world: &mut World, id: &str, method: &PaymentMethod, off_session: bool) -> Answer<()> {
    let charge_id = world.id("ch");
    let now = world.now;
    let intent = world.payment_intents.get_mut(id)?;
    let manual = intent.is_manual();
    let mut charge = charge(intent, charge_id.clone(), now, method);
    charge.hold = allowed(intent, method, world.ic_plus);
    let visa_alone = off_session && method.card.brand == "visa";
    let hold_s = match charge.hold {
        Hold { extended: true, .. } => EXTENDED_HOLD_S,
        _ if charge.present => PRESENT_HOLD_S,
        _ if visa_alone => VISA_OFF_SESSION_HOLD_S,
        _ => HOLD_S,
    };
    charge.capture_before = manual.then_some(now + hold_s);
    let amount = intent.amount;
    intent.latest_charge = Some(charge_id.clone());
    intent.last_payment_error = None;
    intent.amount_received = if manual { 0 } else { amount };
    intent.status = if manual { Status::RequiresCapture } else { Status::Succeeded };
    let sets_up = intent.setup_future_usage.is_some();
    let (customer, rendered) = (intent.customer.clone(), intent.render());
    world.charges.insert(&charge_id, charge);
    let stored = world.payment_methods.get_mut(&method.id)?;
    if sets_up {
        // <https://docs.stripe.com/payments/save-during-payment>: saved with the payment.
        stored.set_up = true;
        stored.customer = stored.customer.take().or(customer);
    }
    stored.used_up = stored.customer.is_none();
    let kind = if manual {
        "payment_intent.amount_capturable_updated"
    } else {
        "payment_intent.succeeded"
    };
    world.emit(kind, rendered);
    if !manual {
        charges::captured(world, &charge_id, amount)?;
    }
    Ok(())
}

/// What of that which a request asked for its card allows. Online all of it needs interchange-plus
/// pricing; at a reader increments do not
/// (<https://docs.stripe.com/terminal/features/incremental-authorizations>).
fn allowed(intent: &PaymentIntent, method: &PaymentMethod, ic_plus: bool) -> Hold {
    let asked = intent.asked;
    if !intent.is_manual() {
        return Hold::default();
    }
    let brand = matches!(method.card.brand, "visa" | "mastercard" | "amex" | "discover");
    Hold {
        incremental: asked.incremental && brand && (ic_plus || intent.present),
        overcapture: asked.overcapture && brand && ic_plus,
        extended: asked.extended && brand && (ic_plus || intent.present),
    }
}

/// <https://docs.stripe.com/declines>: the attempt stays on the intent as a failed charge and a
/// `last_payment_error`, and the intent asks for another method.
fn decline(
    world: &mut World,
    id: &str,
    method: &PaymentMethod,
    code: &str,
    decline_code: Option<&str>,
) -> Answer<Box<ApiError>> {
    let charge_id = world.id("ch");
    let now = world.now;
    let intent = world.payment_intents.get_mut(id)?;
    let mut charge = charge(intent, charge_id.clone(), now, method);
    charge.failure = Some((code.to_owned(), decline_code.map(str::to_owned)));
    intent.latest_charge = Some(charge_id.clone());
    intent.status = Status::RequiresPaymentMethod;
    intent.payment_method = None;
    let message = match code {
        "authentication_required" => {
            "Your card was declined. This transaction requires authentication."
        }
        "expired_card" => "Your card has expired.",
        _ => "Your card was declined.",
    };
    let mut error = ApiError::card(code, decline_code, message);
    error.charge = Some(charge_id.clone());
    error.payment_method = Some(method.render());
    intent.last_payment_error = error.body().get("error").cloned();
    let rendered = intent.render();
    error.payment_intent = Some(rendered.clone());
    world.charges.insert(&charge_id, charge);
    world.emit("payment_intent.payment_failed", rendered);
    Ok(error)
}

fn charge(intent: &PaymentIntent, id: String, now: i64, method: &PaymentMethod) -> Charge {
    Charge {
        id,
        amount: intent.amount,
        amount_captured: 0,
        amount_refunded: 0,
        balance_transaction: None,
        captured: false,
        capture_before: None,
        created: now,
        currency: intent.currency.clone(),
        customer: intent.customer.clone(),
        disputed: false,
        failure: None,
        metadata: intent.metadata.clone(),
        payment_intent: intent.id.clone(),
        payment_method: method.id.clone(),
        card: method.card,
        present: intent.present,
        hold: Hold::default(),
    }
}
