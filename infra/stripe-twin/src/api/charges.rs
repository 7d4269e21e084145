//! Charges: made by PaymentIntents only. <https://docs.stripe.com/api/charges>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Params, World, cards::TestCard, payment_methods::billing_details};

#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) amount_captured: i64,
    pub(crate) amount_refunded: i64,
    pub(crate) captured: bool,
    /// Until when a hold can be captured.
    pub(crate) capture_before: Option<i64>,
    pub(crate) created: i64,
    pub(crate) currency: String,
    pub(crate) customer: Option<String>,
    /// `failure_code` and the issuer's reason, of a declined one.
    pub(crate) failure: Option<(String, Option<String>)>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) payment_intent: String,
    pub(crate) payment_method: String,
    pub(crate) card: TestCard,
}

impl Charge {
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
            "balance_transaction": null,
            "billing_details": billing_details(),
            "calculated_statement_descriptor": "TALLYWATT",
            "captured": self.captured,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "description": null,
            "disputed": false,
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
            "payment_method_details": { "card": self.card_details(), "type": "card" },
            "receipt_email": null,
            "receipt_number": null,
            "receipt_url": null,
            "refunded": self.amount_refunded == self.amount && !failed,
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

    fn card_details(&self) -> Value {
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
            "extended_authorization": { "status": "disabled" },
            "fingerprint": format!("twin{}", self.card.last4),
            "funding": "credit",
            "incremental_authorization": { "status": "unavailable" },
            "installments": null,
            "last4": self.card.last4,
            "mandate": null,
            "multicapture": { "status": "unavailable" },
            "network": self.card.brand,
            "network_token": { "used": false },
            "network_transaction_id": "104557651805572",
            "overcapture": { "maximum_amount_capturable": self.amount, "status": "unavailable" },
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

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.charges.get(id)?.render())
}
