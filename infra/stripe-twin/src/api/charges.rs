//! Charges: made by PaymentIntents only. <https://docs.stripe.com/api/charges>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Answer, Params, World, balance,
    cards::{Behaviour, TestCard},
    disputes,
    payment_methods::billing_details,
};

#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) amount_captured: i64,
    pub(crate) amount_refunded: i64,
    pub(crate) balance_transaction: Option<String>,
    pub(crate) captured: bool,
    /// Until when a hold can be captured.
    pub(crate) capture_before: Option<i64>,
    pub(crate) created: i64,
    pub(crate) currency: String,
    pub(crate) customer: Option<String>,
    /// Whether its money was taken back by a dispute, whatever became of it.
    pub(crate) disputed: bool,
    /// `failure_code` and the issuer's reason, of a declined one.
    pub(crate) failure: Option<(String, Option<String>)>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) payment_intent: String,
    pub(crate) payment_method: String,
    pub(crate) card: TestCard,
    /// Paid at a reader (`card_present`).
    pub(crate) present: bool,
    /// What may be done with its hold.
    pub(crate) hold: Hold,
}

/// What the card allows of the options that a hold asked for
/// (<https://docs.stripe.com/payments/flexible-payments>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hold {
    /// Whether it can be raised.
    pub(crate) incremental: bool,
    /// Whether more than it can be captured.
    pub(crate) overcapture: bool,
    /// Whether it lasts longer.
    pub(crate) extended: bool,
}

impl Charge {
    /// The most that can be captured. How much more than the hold depends on network, country and
    /// category (<https://docs.stripe.com/payments/overcapture#availability>); here 15 %.
    pub(crate) const fn maximum_capturable(&self) -> i64 {
        if self.hold.overcapture { self.amount + self.amount * 15 / 100 } else { self.amount }
    }

    /// What was given back after the capture.
    pub(crate) const fn refunded_of_captured(&self) -> i64 {
        if self.captured { self.amount_refunded } else { 0 }
    }

    const fn is_refunded(&self) -> bool {
        let whole = if self.captured { self.amount_captured } else { self.amount };
        self.failure.is_none() && self.amount_refunded == whole
    }

    pub(crate) fn render(&self) -> Value {
        let failed = self.failure.is_some();
        let failure_code = self.failure.as_ref().map(|(code, _)| code);
        json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.amount_captured,
            "amount_refunded": self.amount_refunded,
            "application": null,
            "application_fee": null,
            "application_fee_amount": null,
            "balance_transaction": self.balance_transaction,
            "billing_details": billing_details(),
            "calculated_statement_descriptor": "TALLYWATT",
            "captured": self.captured,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "description": null,
            "disputed": self.disputed,
            "failure_balance_transaction": null,
            "failure_code": failure_code,
            "failure_message": failed.then_some("Your card was declined."),
            "fraud_details": {},
            "livemode": false,
            "metadata": self.metadata,
            "on_behalf_of": null,
            "outcome": self.outcome(),
            "paid": !failed,
            "payment_intent": self.payment_intent,
            "payment_method": self.payment_method,
            "payment_method_details": self.method_details(),
            "receipt_email": null,
            "receipt_number": null,
            "receipt_url": null,
            "refunded": self.is_refunded(),
            "review": null,
            "shipping": null,
            "source_transfer": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": if failed { "failed" } else { "succeeded" },
            "transfer_data": null,
            "transfer_group": null,
        })
    }

    fn outcome(&self) -> Value {
        let Some((code, decline_code)) = &self.failure else {
            return json!({
                "network_status": "approved_by_network",
                "reason": null,
                "risk_level": "normal",
                "seller_message": "Payment complete.",
                "type": "authorized",
            });
        };
        json!({
            "network_status": "declined_by_network",
            "reason": decline_code.as_ref().unwrap_or(code),
            "risk_level": "normal",
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        })
    }

    fn method_details(&self) -> Value {
        if self.present {
            return json!({ "card_present": self.card_present_details(), "type": "card_present" });
        }
        json!({ "card": self.card_details(), "type": "card" })
    }

    fn card_present_details(&self) -> Value {
        let mut card = json!({
            "amount_authorized": self.amount,
            "brand": self.card.brand,
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": format!("twin{}", self.card.last4),
            "funding": "credit",
            "generated_card": null,
            "incremental_authorization_supported": self.hold.incremental,
            "last4": self.card.last4,
            "network": self.card.brand,
            "overcapture_supported": self.hold.overcapture,
            "read_method": "contactless_emv",
            "receipt": null,
            "wallet": null,
        });
        if let Some(capture_before) = self.capture_before {
            card["capture_before"] = json!(capture_before);
        }
        card
    }

    fn card_details(&self) -> Value {
        let status = |available: bool| if available { "available" } else { "unavailable" };
        let mut card = json!({
            "amount_authorized": self.amount,
            "authorization_code": "123456",
            "brand": self.card.brand,
            "checks": {
                "address_line1_check": null,
                "address_postal_code_check": null,
                "cvc_check": null,
            },
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "extended_authorization": { "status": if self.hold.extended { "enabled" } else { "disabled" } },
            "fingerprint": format!("twin{}", self.card.last4),
            "funding": "credit",
            "incremental_authorization": { "status": status(self.hold.incremental) },
            "installments": null,
            "last4": self.card.last4,
            "mandate": null,
            "multicapture": { "status": "unavailable" },
            "network": self.card.brand,
            "network_token": { "used": false },
            "network_transaction_id": "104557651805572",
            "overcapture": {
                "maximum_amount_capturable": self.maximum_capturable(),
                "status": status(self.hold.overcapture),
            },
            "regulated_status": "unregulated",
            "three_d_secure": null,
            "wallet": null,
        });
        if let Some(capture_before) = self.capture_before {
            card["capture_before"] = json!(capture_before);
        }
        card
    }
}

/// The money of a charge arrives: in the balance, and in the hands of a cardholder who disputes it
/// at once, if the card is one of those (<https://docs.stripe.com/testing#disputes>).
pub(crate) fn captured(world: &mut World, id: &str, amount: i64) -> Answer<()> {
    let charge = world.charges.get_mut(id)?;
    charge.captured = true;
    charge.amount_captured = amount;
    let (currency, card) = (charge.currency.clone(), charge.card);
    let fee = balance::charge_fee(amount);
    let transaction = balance::note(world, balance::Kind::Charge, amount, fee, &currency, id);
    let charge = world.charges.get_mut(id)?;
    charge.balance_transaction = Some(transaction);
    let rendered = charge.render();
    world.emit("charge.captured", rendered);
    if let Behaviour::Disputes { reason, inquiry } = card.behaviour {
        disputes::open(world, id, reason, inquiry, None)?;
    }
    Ok(())
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.charges.get(id)?.render())
}
