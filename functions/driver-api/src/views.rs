//! Sessions, prices and payments as a driver sees them.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use http_api::{AmountView, Problem, TariffRefView};
use network::Payer;
use payments::{Payment, money::Card};
use rating::{Item, Line, LineExplanation, PricedSession, Unit};
use receipts::Paid;
use rust_decimal::Decimal;
use serde::Serialize;
use session::{Route, Session, SessionState};
use store::SessionFile;
use utoipa::ToSchema;

use crate::{sessions::Priced, words::RefusalView};

const PENDING: &str = "The card is about to be asked.";

/// A session in the history.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SessionSummary)]
pub(crate) struct SummaryView {
    /// Its id.
    id: String,
    /// Where it is on its way: `active`, `ended`, `awaiting_release`, `held`, `rated`, `waived`.
    #[schema(value_type = String, example = "rated")]
    state: SessionState,
    /// The site.
    site_id: String,
    /// The charger.
    charge_point_id: String,
    /// The connector.
    connector_id: u32,
    /// When it began.
    started_at: DateTime<Utc>,
    /// When it ended.
    ended_at: Option<DateTime<Utc>>,
    /// Energy in kWh, once it is priced.
    energy_kwh: Option<Decimal>,
    /// What it cost, tax included, once it is priced.
    total: Option<AmountView>,
}

/// A session.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// Its id.
    id: String,
    /// Where it is on its way: `active`, `ended`, `awaiting_release` (the idle fee runs until the
    /// connector is free), `held` (a person looks at it), `rated`, `waived` (nothing is charged).
    #[schema(value_type = String, example = "active")]
    state: SessionState,
    /// The site.
    site_id: String,
    /// The charger.
    charge_point_id: String,
    /// The connector.
    connector_id: u32,
    /// The site's IANA time zone.
    time_zone: String,
    /// When it began.
    started_at: DateTime<Utc>,
    /// When it ended.
    ended_at: Option<DateTime<Utc>>,
    /// Which way it is paid: `app_wallet`, `saved_card`, `reader`, `fleet`, `contract`, `roaming`,
    /// `free`, or `none` when nobody is known to pay.
    #[schema(value_type = String, example = "app_wallet")]
    route: Route,
    /// What it is priced by.
    fees: FeesView,
    /// Energy in kWh, so far or finally.
    energy_kwh: Option<Decimal>,
    /// What it costs, so far or finally. None while a person looks at it.
    price: Option<BillView>,
    /// How it is paid.
    payment: PaymentView,
}

/// What a session is priced by, as it was when the session started.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Fees)]
pub(crate) struct FeesView {
    /// The driver's price group: `retail`, or their membership.
    tier: String,
    /// The tariff version. None: nothing was on offer.
    tariff: Option<TariffRefView>,
    /// The plan beside it; the version in force at the start applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
}

/// What a session costs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Bill)]
pub(crate) struct BillView {
    /// Whether this is the price that is paid; else the cost so far.
    is_final: bool,
    /// What is billed. The lines add up to the totals.
    lines: Vec<LineView>,
    /// The total without tax.
    total_excl_tax: AmountView,
    /// The tax in it.
    total_tax: AmountView,
    /// What is paid.
    total_incl_tax: AmountView,
}

/// One line of a bill.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = BillLine)]
pub(crate) struct LineView {
    /// What is billed: `ENERGY`, `TIME`, `PARKING_TIME`, `FLAT`, …
    #[schema(value_type = String, example = "ENERGY")]
    item: Item,
    /// The same in words.
    description: String,
    /// How much is billed, in `unit`.
    quantity: Decimal,
    /// `kWh`, `s` or `session`.
    #[schema(value_type = String, example = "kWh")]
    unit: Unit,
    /// Major units without tax per `rate_unit`.
    rate: Decimal,
    /// What `rate` is for one of: `kWh`, `h` or `session`.
    #[schema(value_type = String, example = "kWh")]
    rate_unit: Unit,
    /// Taxes in percent, all together; none where none is stated.
    tax_percent: Option<Decimal>,
    /// What it costs without tax.
    excl_tax: AmountView,
    /// What it costs with tax.
    incl_tax: AmountView,
    /// Start of what it bills.
    from: DateTime<Utc>,
    /// End of what it bills.
    to: DateTime<Utc>,
    /// Why it is there, in words.
    reason: String,
    /// Over how much of what, in words.
    over: String,
}

/// How a session is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Payment)]
pub(crate) struct PaymentView {
    /// How far it is.
    pub(crate) status: PaymentStatus,
    /// The same in words.
    pub(crate) message: String,
    /// What is held on the card.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<AmountView>,
    /// What was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    captured: Option<AmountView>,
    /// What is still owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    owed: Option<AmountView>,
    /// Why the card was last refused, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refusal: Option<RefusalView>,
}

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PaymentStatus {
    /// A roaming provider bills the driver.
    Roaming,
    /// A fleet or another account is billed by invoice.
    Invoiced,
    /// The session is free of charge.
    Free,
    /// Nobody is known to pay.
    Nobody,
    /// Nothing is held yet.
    Pending,
    /// Money is held on the card.
    Held,
    /// The card was refused when money was to be held.
    Refused,
    /// The hold is gone before the price was known; the card is charged without it.
    HoldLost,
    /// The price is known and being taken.
    Collecting,
    /// All is paid.
    Paid,
    /// Nothing is due.
    NothingDue,
    /// The card was refused; the rest is owed.
    Owed,
}

impl SummaryView {
    pub(crate) fn of(session: &Session, priced: Option<&PricedSession>) -> Self {
        Self {
            id: session.id.to_string(),
            state: session.state,
            site_id: session.site_id.to_string(),
            charge_point_id: session.charge_point_id.to_string(),
            connector_id: session.connector_id.0,
            started_at: session.started_at,
            ended_at: session.ended_at,
            energy_kwh: priced.map(|priced| priced.total_energy.kwh()),
            total: priced.map(|priced| priced.gross().into()),
        }
    }
}

impl SessionView {
    pub(crate) fn of(file: &SessionFile, priced: &Priced) -> Result<Self, Problem> {
        let session = &file.session;
        let zone = session.time_zone;
        let bill = |price: &PricedSession| BillView::of(price, file.rated.is_some(), zone);
        Ok(Self {
            id: session.id.to_string(),
            state: session.state,
            site_id: session.site_id.to_string(),
            charge_point_id: session.charge_point_id.to_string(),
            connector_id: session.connector_id.0,
            time_zone: session.time_zone.name().to_owned(),
            started_at: session.started_at,
            ended_at: session.ended_at,
            route: session.route,
            fees: FeesView::of(session),
            energy_kwh: priced.energy.map(quantities::WattHours::kwh),
            price: priced.price.as_ref().map(bill).transpose()?,
            payment: PaymentView::of(session, file.payment.as_ref()),
        })
    }
}

impl FeesView {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            tier: session.tier.as_str().to_owned(),
            tariff: session.tariff.as_ref().map(TariffRefView::from),
            plan: session.plan.as_ref().map(|member| member.plan.to_string()),
        }
    }
}

impl BillView {
    pub(crate) fn of(price: &PricedSession, is_final: bool, zone: Tz) -> Result<Self, Problem> {
        let explained = price.explain(zone).lines;
        let lines = price.lines.iter().zip(explained);
        Ok(Self {
            is_final,
            lines: lines.map(|(line, why)| LineView::of(line, price, why)).collect(),
            total_excl_tax: price.net().into(),
            total_tax: price.tax().map_err(anyhow::Error::from)?.into(),
            total_incl_tax: price.gross().into(),
        })
    }
}

impl LineView {
    fn of(line: &Line, price: &PricedSession, why: LineExplanation) -> Self {
        Self {
            item: line.item,
            description: line.description.to_string(),
            quantity: line.quantity.normalize(),
            unit: line.unit,
            rate: line.rate.normalize(),
            rate_unit: line.rate_unit,
            tax_percent: price.tax_percent(line).map(|percent| percent.normalize()),
            excl_tax: line.amount.excl_vat.into(),
            incl_tax: line.amount.incl_vat.into(),
            from: line.from,
            to: line.to,
            reason: why.reason,
            over: why.over,
        }
    }
}

impl PaymentView {
    pub(crate) fn of(session: &Session, payment: Option<&Payment>) -> Self {
        if let Some(payment) = payment {
            return Self::of_card(session, payment);
        }
        let (status, message) = match (&session.payer, &session.placed_hold) {
            (Payer::Card { customer, payment_method }, Some(hold)) => {
                // Held by the app before the session began; its own record follows.
                let (customer, payment_method) = (customer.clone(), payment_method.clone());
                let card = Card::Saved { customer, payment_method };
                let policy = session.payment_policy.clone();
                let placed = Payment::with_placed_hold(session.id, card, hold.clone(), policy);
                return Self::of_card(session, &placed);
            }
            (Payer::Card { .. }, None) => (PaymentStatus::Pending, PENDING.to_owned()),
            (Payer::Roaming { .. }, _) => (PaymentStatus::Roaming, Paid::Roaming.to_string()),
            (Payer::Account { .. }, _) => (PaymentStatus::Invoiced, Paid::Invoiced.to_string()),
            (Payer::Free, _) => (PaymentStatus::Free, Paid::Free.to_string()),
            (Payer::Reader, _) => {
                (PaymentStatus::Pending, "Present a card at the reader.".to_owned())
            }
            (Payer::Unknown, _) => {
                let message = "Nobody is charged before a person has looked at it.";
                (PaymentStatus::Nobody, message.to_owned())
            }
        };
        Self { status, message, held: None, captured: None, owed: None, refusal: None }
    }

    /// How far it is, for a receipt: in sentences.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let refusal = self.refusal.as_ref().map(|refusal| refusal.message.clone());
        [Some(self.message.clone()), refusal].into_iter().flatten().collect()
    }

    fn of_card(session: &Session, payment: &Payment) -> Self {
        let status = status(session, payment);
        let has_price = payment.total.is_some();
        Self {
            status,
            message: message(status, payment),
            held: payment.hold.as_ref().map(|hold| hold.terms.amount.into()),
            captured: has_price.then(|| payment.captured.into()),
            owed: has_price.then(|| payment.owed.into()),
            refusal: payment.refusal.as_ref().map(RefusalView::from),
        }
    }
}

fn status(session: &Session, payment: &Payment) -> PaymentStatus {
    match (payment.total, &payment.hold) {
        // The price is on its way to the payment.
        (None, _) if session.state == SessionState::Rated => PaymentStatus::Collecting,
        (Some(_), _) if !payment.is_settled() => PaymentStatus::Collecting,
        (Some(_), _) if payment.owed.minor > 0 => PaymentStatus::Owed,
        (Some(_), _) if payment.captured.is_zero() => PaymentStatus::NothingDue,
        (Some(_), _) => PaymentStatus::Paid,
        (None, Some(_)) => PaymentStatus::Held,
        (None, None) if payment.hold_refused => PaymentStatus::Refused,
        (None, None) if payment.holds_asked > 0 => PaymentStatus::HoldLost,
        (None, None) => PaymentStatus::Pending,
    }
}

fn message(status: PaymentStatus, payment: &Payment) -> String {
    let (taken, owed) = (payment.paid(), payment.owed);
    let held = payment.hold.as_ref().map_or(payment.wanted, |hold| hold.terms.amount);
    let message = match status {
        PaymentStatus::Held => {
            return format!("{held} are held on the card until the price is known.");
        }
        PaymentStatus::Paid => {
            return Paid::Taken(taken).to_string();
        }
        PaymentStatus::Owed => {
            return Paid::Owed { taken, owed }.to_string();
        }
        PaymentStatus::Refused => "The card was refused, so the session is stopped.",
        PaymentStatus::HoldLost => "The hold is gone; the card is charged when the price is known.",
        PaymentStatus::Collecting => return Paid::Collecting.to_string(),
        PaymentStatus::NothingDue => return Paid::NothingDue.to_string(),
        PaymentStatus::Pending
        | PaymentStatus::Roaming
        | PaymentStatus::Invoiced
        | PaymentStatus::Free
        | PaymentStatus::Nobody => PENDING,
    };
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use network::{StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId};
    use payments::{
        Refusal,
        money::{Outcome, apply, request},
    };
    use quantities::{Amount, Currency};

    use super::*;
    use crate::sessions::tests::session;

    fn eur(minor: i64) -> Amount {
        Amount::new(minor, Currency::EUR)
    }

    fn held() -> Payment {
        let customer = StripeCustomerId("cus_1".to_owned());
        let payment_method = StripePaymentMethodId("pm_1".to_owned());
        let payment_intent = StripePaymentIntentId("pi_1".to_owned());
        let hold = network::HoldRef::plain(payment_intent, eur(3000));
        let card = Card::Saved { customer, payment_method };
        let policy = network::PaymentPolicy::default();
        Payment::with_placed_hold(session().id, card, hold, policy)
    }

    /// After the next step, which Stripe answered with `outcome`.
    fn after(payment: Payment, outcome: Outcome) -> Payment {
        let now = session().started_at;
        let (requested, step) = request(payment, now).unwrap();
        apply(requested, &step, outcome, now).unwrap()
    }

    fn told(payment: &Payment) -> PaymentView {
        PaymentView::of(&session(), Some(payment))
    }

    #[test]
    fn what_is_held_is_told_before_the_price_is_known() {
        let told = told(&held());
        assert_eq!(told.status, PaymentStatus::Held);
        assert_eq!(told.message, "30.00 EUR are held on the card until the price is known.");
        assert_eq!(told.captured, None);
    }

    #[test]
    fn what_the_app_has_held_is_told_before_the_payment_has_its_own_record() {
        let Card::Saved { customer, payment_method } = held().card else { panic!("no card") };
        let payment_intent = StripePaymentIntentId("pi_1".to_owned());
        let begun = Session {
            payer: Payer::Card { customer, payment_method },
            placed_hold: Some(network::HoldRef::plain(payment_intent, eur(3000))),
            ..session()
        };
        assert_eq!(PaymentView::of(&begun, None).status, PaymentStatus::Held);
        let walked_up = Session { placed_hold: None, ..begun };
        assert_eq!(PaymentView::of(&walked_up, None).status, PaymentStatus::Pending);
    }

    #[test]
    fn a_hold_is_not_called_open_once_the_price_is_known() {
        let rated = Session { state: SessionState::Rated, ..session() };
        let told = PaymentView::of(&rated, Some(&held()));
        assert_eq!(told.status, PaymentStatus::Collecting);
    }

    #[test]
    fn a_capture_in_progress_is_not_called_paid() {
        let priced = held().with_total(eur(1250)).unwrap();
        assert_eq!(told(&priced).status, PaymentStatus::Collecting);
        let paid = told(&after(priced, Outcome::Captured { amount: eur(1250) }));
        assert_eq!((paid.status, paid.held), (PaymentStatus::Paid, None));
    }

    #[test]
    fn a_refused_difference_is_owed_and_says_why() {
        let refusal = Refusal {
            code: "card_declined".to_owned(),
            decline_code: Some("insufficient_funds".to_owned()),
        };
        let captured =
            after(held().with_total(eur(3250)).unwrap(), Outcome::Captured { amount: eur(3000) });
        let told = told(&after(captured, Outcome::Refused { refusal }));
        assert_eq!(told.status, PaymentStatus::Owed);
        let words = "30.00 EUR were taken from the card; 2.50 EUR are still owed.";
        assert_eq!(told.message, words);
        assert!(told.refusal.unwrap().message.contains("not enough money"));
    }

    #[test]
    fn a_session_that_costs_nothing_takes_nothing() {
        let zero = held().with_total(eur(0)).unwrap();
        let released = after(zero, Outcome::Canceled);
        assert_eq!(told(&released).status, PaymentStatus::NothingDue);
    }
}
