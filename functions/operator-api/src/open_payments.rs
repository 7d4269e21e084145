//! Payments that are not settled: what is owed, since when, why, and when it is looked at again;
//! those that are stuck, and what was taken too much.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use http_api::{AmountView, Log, Operator, Param, Problem, ReadSessions, RedriveQueues};
use messages::{Envelope, Event};
use payments::{Refusal, money::resume};
use quantities::SessionId;
use serde::Serialize;
use store::OpenPayment;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(collect))
}

/// A payment that is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OpenPayment)]
struct OpenPaymentView {
    /// The session.
    session_id: String,
    /// What it waits for.
    waits_for: WaitsFor,
    /// Since when: the first try of a call that Stripe has not answered, or the last refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<DateTime<Utc>>,
    /// When it is looked at again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_look: Option<DateTime<Utc>>,
    /// What the session costs, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<AmountView>,
    /// What was taken.
    captured: AmountView,
    /// What is still owed.
    owed: AmountView,
    /// What was taken too much and is not given back: its refund failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    surplus: Option<AmountView>,
    /// Why nothing more is tried, if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<String>,
    /// The call that Stripe has not answered, such as `hold/1/capture/1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    /// How often that call, or the charge that was refused, was tried.
    tries: u32,
    /// Why Stripe last refused, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
}

/// What an open payment waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WaitsFor {
    /// Stripe, which has not answered.
    Stripe,
    /// Us: the next step is to be taken.
    Us,
    /// The driver, who can pay on an open page.
    PayLink,
    /// The next try of a charge that was refused.
    Retry,
    /// The driver or a person: nothing more happens by itself.
    Somebody,
}

impl OpenPaymentView {
    /// `None` when all is well: a hold that will be renewed waits for nothing.
    fn of(open: &OpenPayment) -> Option<Self> {
        let OpenPayment { payment, look_at } = open;
        let is_open_link = payment.open_link().is_some();
        let surplus = payment.surplus_left();
        let asked = payment.pending.as_ref().map_or(0, |pending| pending.attempt);
        let stuck = payment.stuck.as_ref().map(|stuck| stuck.since);
        let (waits_for, since, tries) = match (&payment.pending, &payment.debt) {
            _ if stuck.is_some() => (WaitsFor::Somebody, stuck, asked),
            (Some(pending), _) => (WaitsFor::Stripe, Some(pending.since), pending.attempt),
            (None, Some(debt)) => {
                let waits_for = match look_at {
                    _ if is_open_link => WaitsFor::PayLink,
                    Some(_) => WaitsFor::Retry,
                    None => WaitsFor::Somebody,
                };
                (waits_for, Some(debt.refused_at), debt.attempts)
            }
            (None, None) if surplus.is_some() => (WaitsFor::Somebody, None, 0),
            (None, None) if payment.total.is_none() || payment.is_settled() => return None,
            (None, None) => (WaitsFor::Us, None, 0),
        };
        Some(Self {
            session_id: payment.session_id.to_string(),
            waits_for,
            since,
            next_look: *look_at,
            total: payment.total.map(AmountView::from),
            captured: payment.captured.into(),
            owed: payment.owed.into(),
            surplus: surplus.map(AmountView::from),
            stuck: payment.stuck.as_ref().map(|stuck| stuck.why.to_string()),
            step: payment.pending.as_ref().map(|pending| pending.step.purpose()),
            tries,
            refusal: payment.refusal.as_ref().map(Refusal::reason).map(str::to_owned),
        })
    }
}

/// Lists the payments that are not settled: calls that Stripe has not answered, debts, those that
/// are stuck, and what was taken too much and could not be given back.
#[utoipa::path(get, path = "/operator/payments",
    tag = "payments", operation_id = "list_open_payments",
    security(("jwt" = ["support", "finance"])),
    responses((status = 200, body = Vec<OpenPaymentView>)))]
async fn list(
    _: Operator<ReadSessions>,
    State(api): State<Api>,
) -> Result<Json<Vec<OpenPaymentView>>, Problem> {
    let open = api.store.open_payments().await?;
    Ok(Json(open.iter().filter_map(OpenPaymentView::of).collect()))
}

/// Has a session's payment looked at now, instead of when its time has come. What Stripe was asked
/// and has not answered is asked again, also when the payment is stuck; a charge that was refused
/// is not repeated by this.
#[utoipa::path(post, path = "/operator/payments/{session_id}/collect",
    tag = "payments", operation_id = "collect_payment",
    params(("session_id" = String, Path)),
    security(("jwt" = ["finance"])),
    responses((status = 202, description = "It is being looked at")))]
async fn collect(
    _: Operator<RedriveQueues>,
    State(api): State<Api>,
    log: Log,
    Param(session_id): Param<SessionId>,
) -> Result<StatusCode, Problem> {
    log.session(session_id);
    let resumed = |payment| Ok(resume(payment));
    let changed = collection::change(&api.store, session_id, &log, resumed).await;
    let changed = changed.map_err(anyhow::Error::from)?;
    let changed = changed.ok_or_else(|| Problem::not_found("payment"))?;
    if changed.after != changed.before {
        return Ok(StatusCode::ACCEPTED);
    }
    let version = changed.after.version;
    let event = Event::PaymentDue { session_id, version };
    api.store.tell(&Envelope::new(event, log.now(), log.trace())).await?;
    Ok(StatusCode::ACCEPTED)
}

#[cfg(test)]
mod tests {
    use network::{PaymentPolicy, StripeCustomerId, StripePaymentMethodId};
    use payments::{
        Payment,
        money::{Card, News, Outcome, StuckWhy, apply, give_up_on, learn, look_again_at, request},
    };
    use quantities::{Amount, Currency};

    use super::*;
    use crate::sessions::tests::session;

    fn eur(minor: i64) -> Amount {
        Amount::new(minor, Currency::EUR)
    }

    fn noon() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    /// 9.00 to pay, and nothing held.
    fn priced() -> Payment {
        let customer = StripeCustomerId("cus_1".to_owned());
        let payment_method = StripePaymentMethodId("pm_1".to_owned());
        let card = Card::Saved { customer, payment_method };
        let payment = Payment::new(session().id, card, eur(0), PaymentPolicy::default());
        payment.with_total(eur(900)).unwrap()
    }

    fn open(payment: Payment) -> Option<OpenPaymentView> {
        let look_at = look_again_at(&payment, noon());
        OpenPaymentView::of(&OpenPayment { payment, look_at })
    }

    #[test]
    fn a_call_that_stripe_has_not_answered_is_told_with_its_next_try() {
        let (asked, _) = request(priced(), noon()).unwrap();
        let told = open(asked).unwrap();
        assert_eq!((told.waits_for, told.tries), (WaitsFor::Stripe, 1));
        assert_eq!((told.since, told.step.as_deref()), (Some(noon()), Some("difference/1")));
        assert!(told.next_look > told.since);
    }

    #[test]
    fn a_debt_is_told_until_it_is_paid_and_what_is_paid_is_not() {
        let (asked, step) = request(priced(), noon()).unwrap();
        let refusal = Refusal { code: "expired_card".to_owned(), decline_code: None };
        let owed = apply(asked.clone(), &step, Outcome::Refused { refusal }, noon()).unwrap();
        let told = open(owed).unwrap();
        assert_eq!((told.waits_for, told.next_look), (WaitsFor::Somebody, None));
        assert_eq!((told.owed, told.refusal.as_deref()), (eur(900).into(), Some("expired_card")));
        let payment_intent = network::StripePaymentIntentId("pi_1".to_owned());
        let paid = apply(asked, &step, Outcome::Charged { payment_intent }, noon()).unwrap();
        assert_eq!(open(paid), None);
    }

    #[test]
    fn a_payment_that_is_stuck_waits_for_somebody_and_says_why() {
        let (asked, _) = request(priced(), noon()).unwrap();
        let why = StuckWhy::Unexpected { status: "processing".to_owned() };
        let stuck = give_up_on(asked, why, noon());
        let told = open(stuck.clone()).unwrap();
        assert_eq!((told.waits_for, told.next_look), (WaitsFor::Somebody, None));
        assert_eq!(told.stuck.as_deref(), Some("the PaymentIntent is in status processing"));
        assert_eq!(open(resume(stuck)).unwrap().waits_for, WaitsFor::Stripe);
    }

    #[test]
    fn what_was_taken_too_much_is_told_when_it_cannot_be_given_back() {
        let payment_intent = network::StripePaymentIntentId("pi_1".to_owned());
        let (purpose, amount) = ("hold/1".to_owned(), eur(1000));
        let taken = News::Taken { payment_intent, amount, purpose };
        let paid = learn(priced(), taken).unwrap();
        assert_eq!(open(paid.clone()), None, "it is about to be");
        let (asked, step) = request(paid, noon()).unwrap();
        let refusal = Refusal { code: "charge_disputed".to_owned(), decline_code: None };
        let refused = apply(asked, &step, Outcome::Refused { refusal }, noon()).unwrap();
        let told = open(refused).unwrap();
        assert_eq!((told.waits_for, told.surplus), (WaitsFor::Somebody, Some(eur(100).into())));
    }

    #[test]
    fn a_price_that_is_not_asked_for_yet_waits_for_us() {
        assert_eq!(open(priced()).unwrap().waits_for, WaitsFor::Us);
        let running = Payment { total: None, ..priced() };
        assert_eq!(open(running), None);
    }
}
