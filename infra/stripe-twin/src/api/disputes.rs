//! Disputes, from the cardholder's complaint to the issuer's verdict.
//! <https://docs.stripe.com/api/disputes>, <https://docs.stripe.com/disputes/how-disputes-work>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, ApiError, Params, World, balance};

/// How long a merchant has to answer; it depends on the network, seven days at the least
/// (<https://docs.stripe.com/disputes/responding>).
const ANSWER_WITHIN_S: i64 = 9 * 24 * 3600;
/// Charged when a dispute is opened, and kept even when it is won
/// (<https://docs.stripe.com/disputes/how-disputes-work#dispute-fees>).
const FEE: i64 = 1500;
/// <https://docs.stripe.com/api/disputes/update>: per text, and all of them together.
const TEXT_MAX: usize = 20_000;
const TEXTS_MAX: usize = 150_000;

/// The texts of `dispute.evidence` that a service can give. Files the twin does not keep.
const TEXTS: [&str; 17] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "uncategorized_text",
];

/// `dispute.reason`, as far as an issuer here gives them.
pub(crate) const REASONS: [&str; 8] = [
    "credit_not_processed",
    "duplicate",
    "fraudulent",
    "general",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
];

#[derive(Debug, Clone)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    amount: i64,
    balance_transactions: Vec<String>,
    charge: String,
    created: i64,
    currency: String,
    /// The currency of its balance transactions.
    settles_in: String,
    due_by: i64,
    evidence: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    payment_intent: String,
    reason: String,
    status: &'static str,
    submissions: u32,
}

impl Dispute {
    fn is_open(&self) -> bool {
        matches!(self.status, "needs_response" | "warning_needs_response")
    }

    pub(crate) fn render(&self, world: &World) -> Value {
        let transactions = self.balance_transactions.iter();
        let transactions = transactions.filter_map(|id| world.balance_transactions.find(id));
        let transactions: Vec<Value> = transactions.map(|t| t.render(world.now)).collect();
        let mut evidence = json!({});
        for name in TEXTS {
            evidence[name] = json!(self.evidence.get(name));
        }
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": transactions,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": evidence,
            "evidence_details": {
                "due_by": self.due_by,
                "enhanced_eligibility": {},
                "has_evidence": !self.evidence.is_empty(),
                "past_due": self.due_by <= world.now,
                "submission_count": self.submissions,
            },
            "is_charge_refundable": self.status.starts_with("warning"),
            "livemode": false,
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method_details": {
                "card": {
                    "brand": "visa",
                    "case_type": if self.status.starts_with("warning") { "inquiry" } else { "chargeback" },
                    "network_reason_code": "10.4",
                },
                "type": "card",
            },
            "reason": self.reason,
            "status": self.status,
        })
    }
}

/// A cardholder disputes a captured charge: the money goes at once. An inquiry only asks
/// (<https://docs.stripe.com/disputes/how-disputes-work#inquiries>). Its balance transactions are in
/// the currency that the account settles in, whatever the charge was in
/// (<https://docs.stripe.com/api/balance_transactions/object>).
pub(crate) fn open(
    world: &mut World,
    charge: &str,
    reason: &str,
    is_inquiry: bool,
    settles_in: Option<&str>,
) -> Answer<Value> {
    let id = world.id("du");
    let now = world.now;
    let charge = world.charges.get_mut(charge)?;
    if !charge.captured || charge.disputed {
        let message = "Only a captured charge without a dispute can be disputed.";
        return Err(ApiError::invalid(None, Some("charge"), message));
    }
    let amount = charge.amount_captured - charge.refunded_of_captured();
    charge.disputed = !is_inquiry;
    let mut dispute = Dispute {
        id: id.clone(),
        amount,
        balance_transactions: Vec::new(),
        charge: charge.id.clone(),
        created: now,
        currency: charge.currency.clone(),
        settles_in: settles_in.unwrap_or(&charge.currency).to_owned(),
        due_by: now + ANSWER_WITHIN_S,
        evidence: BTreeMap::new(),
        metadata: BTreeMap::new(),
        payment_intent: charge.payment_intent.clone(),
        reason: reason.to_owned(),
        status: if is_inquiry { "warning_needs_response" } else { "needs_response" },
        submissions: 0,
    };
    if !is_inquiry {
        let (kind, currency) = (balance::Kind::Adjustment, &dispute.settles_in);
        let taken = balance::note(world, kind, -amount, FEE, currency, &id);
        dispute.balance_transactions.push(taken);
    }
    world.disputes.insert(&id, dispute);
    let rendered = world.disputes.get(&id)?.render(world);
    world.emit("charge.dispute.created", rendered.clone());
    if !is_inquiry {
        world.emit("charge.dispute.funds_withdrawn", rendered.clone());
    }
    Ok(rendered)
}

pub(crate) fn retrieve(world: &World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    Ok(world.disputes.get(id)?.render(world))
}

pub(crate) fn list(world: &World, mut params: Params) -> Answer<Value> {
    let (charge, intent) = (params.text("charge"), params.text("payment_intent"));
    let keep = |dispute: &Dispute| {
        charge.as_ref().is_none_or(|charge| dispute.charge == *charge)
            && intent.as_ref().is_none_or(|intent| dispute.payment_intent == *intent)
    };
    world.disputes.page(params, "/v1/disputes", keep, |dispute| dispute.render(world))
}

/// Evidence is kept, and submitted unless `submit` is false; once only
/// (<https://docs.stripe.com/api/disputes/update>). What the texts of
/// <https://docs.stripe.com/testing#disputes> say decides at once: `winning_evidence`,
/// `losing_evidence`; other evidence is under review until the control API decides.
pub(crate) fn update(world: &mut World, id: &str, mut params: Params) -> Answer<Value> {
    let submit = params.boolean("submit")?.unwrap_or(true);
    let metadata = params.metadata()?;
    let mut texts = params.nested("evidence");
    let given = TEXTS.into_iter().filter_map(|name| Some((name.to_owned(), texts.text(name)?)));
    let given: BTreeMap<String, String> = given.collect();
    texts.finish()?;
    params.finish()?;
    let long = given.iter().find(|(_, text)| text.chars().count() > TEXT_MAX);
    if let Some((name, _)) = long {
        let message = format!("evidence[{name}] has more than {TEXT_MAX} characters.");
        return Err(ApiError::invalid(None, Some("evidence"), message));
    }
    let dispute = world.disputes.get_mut(id)?;
    dispute.metadata.extend(metadata);
    if given.is_empty() {
        return Ok(world.disputes.get(id)?.render(world));
    }
    if !dispute.is_open() {
        let message = "This dispute has already been closed or its evidence submitted.";
        return Err(ApiError::state("dispute_evidence_submitted", message.to_owned(), None));
    }
    dispute.evidence.extend(given);
    if dispute.evidence.values().map(|text| text.chars().count()).sum::<usize>() > TEXTS_MAX {
        let message = format!("All evidence together has more than {TEXTS_MAX} characters.");
        return Err(ApiError::invalid(None, Some("evidence"), message));
    }
    if submit {
        dispute.submissions += 1;
        let warning = dispute.status.starts_with("warning");
        dispute.status = if warning { "warning_under_review" } else { "under_review" };
    }
    let verdict = dispute.evidence.get("uncategorized_text").cloned().filter(|_| submit);
    let rendered = world.disputes.get(id)?.render(world);
    world.emit("charge.dispute.updated", rendered);
    match verdict.as_deref() {
        Some("winning_evidence") => decide(world, id, true),
        Some("losing_evidence") => decide(world, id, false),
        _ => Ok(world.disputes.get(id)?.render(world)),
    }
}

/// The merchant gives in: the dispute is lost (<https://docs.stripe.com/api/disputes/close>).
pub(crate) fn close(world: &mut World, id: &str, params: Params) -> Answer<Value> {
    params.finish()?;
    if !world.disputes.get(id)?.is_open() {
        let message = "This dispute is already closed or under review.";
        return Err(ApiError::state("dispute_closed", message.to_owned(), None));
    }
    decide(world, id, false)
}

/// The issuer decides. An inquiry ends without money having moved.
pub(crate) fn decide(world: &mut World, id: &str, won: bool) -> Answer<Value> {
    let dispute = world.disputes.get_mut(id)?;
    let closed = matches!(dispute.status, "won" | "lost" | "warning_closed");
    if closed {
        let message = "This dispute is already closed.";
        return Err(ApiError::state("dispute_closed", message.to_owned(), None));
    }
    let warning = dispute.status.starts_with("warning");
    dispute.status = match (warning, won) {
        (true, _) => "warning_closed",
        (false, true) => "won",
        (false, false) => "lost",
    };
    let (amount, currency) = (dispute.amount, dispute.settles_in.clone());
    let given_back = won && !warning;
    if given_back {
        let kind = balance::Kind::Adjustment;
        let transaction = balance::note(world, kind, amount, 0, &currency, id);
        world.disputes.get_mut(id)?.balance_transactions.push(transaction);
    }
    let rendered = world.disputes.get(id)?.render(world);
    if given_back {
        world.emit("charge.dispute.funds_reinstated", rendered.clone());
    }
    world.emit("charge.dispute.closed", rendered.clone());
    Ok(rendered)
}

/// Who does not answer in time has lost.
pub(crate) fn expire(world: &mut World) {
    let late = world.disputes.iter().filter(|d| d.is_open() && d.due_by <= world.now);
    let late: Vec<String> = late.map(|dispute| dispute.id.clone()).collect();
    for id in late {
        // They were all open a moment ago.
        let _ = decide(world, &id, false);
    }
}
