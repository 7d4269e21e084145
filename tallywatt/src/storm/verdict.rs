//! What must hold after a storm, asked of every party.

mod kinds;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use payments::money::RefundState;
use quantities::{Amount, Money, RoundingMode, SessionId};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    kind::{Ending, Kind},
    plan::Visit,
    visit::Visited,
};
use crate::{
    closing::{Check, SessionRows},
    inbox::Received,
};

/// The least that a card is charged, in euro cents.
/// <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>
const LEAST_CHARGED: i64 = 50;

/// Everything that the checks of a storm are made from.
pub(super) struct Evidence<'a> {
    pub(super) visits: &'a [Visited],
    pub(super) sessions: &'a BTreeMap<SessionId, SessionRows>,
    pub(super) stripe: &'a Value,
    pub(super) received: &'a Received,
}

/// A PaymentIntent at Stripe.
struct Intent<'a> {
    id: &'a str,
    status: &'a str,
    manual: bool,
    amount: i64,
    received: i64,
    /// The session it was made for; that of a start from the app has none yet.
    session: Option<SessionId>,
}

impl<'a> Evidence<'a> {
    /// What must hold beside the closing check.
    pub(super) fn checks(&self) -> Vec<Check> {
        vec![
            self.every_visit_counts(),
            self.prices(),
            self.endings(),
            self.adds_up(),
            self.one_capture(),
            self.nothing_held(),
            self.told_once(),
            self.partner(),
            self.grown_holds(),
            self.invoiced(),
            self.given_back(),
        ]
    }

    /// What is stored of a visit's session.
    pub(super) fn rows(&self, visited: &Visited) -> Option<&'a SessionRows> {
        self.sessions.get(&visited.played.session_id?)
    }

    /// Every visit that was to become a session became one, and nothing else did.
    fn every_visit_counts(&self) -> Check {
        let mut wrong = Vec::new();
        let mut ours = BTreeSet::new();
        for visited in self.visits {
            let began = visited.played.session_id.is_some_and(|id| ours.insert(id));
            if began == (visited.visit.kind.ending() == Ending::NoSession) {
                wrong.push(format!("{}: a session began: {began}", visited.played.case.name));
            }
        }
        let others = self.sessions.keys().filter(|id| !ours.contains(id));
        wrong.extend(others.map(|id| format!("{id} is nobody's visit")));
        check("every visit is one session", &wrong, format!("{} sessions", ours.len()))
    }

    /// The price is what a pencil makes of energy and time.
    fn prices(&self) -> Check {
        let mut wrong = Vec::new();
        let mut priced = 0;
        for visited in self.visits {
            let Some(rows) = self.rows(visited) else { continue };
            let found = rows.rated.as_ref().map(rating::PricedSession::gross);
            match price(visited) {
                Ok(meant) if found == Some(meant) => priced += 1,
                meant => {
                    wrong.push(format!("{}: {found:?} for {meant:?}", visited.played.case.name));
                }
            }
        }
        check("prices as worked out beforehand", &wrong, format!("{priced} prices"))
    }

    /// The weather changes nobody's ending: who can pay has paid, and who cannot owes.
    fn endings(&self) -> Check {
        let mut wrong = Vec::new();
        for visited in self.visits {
            let found = self.ending(visited);
            let payment = self.rows(visited).and_then(|rows| rows.payment.as_ref());
            let owed = payment.map_or(0, |payment| payment.owed.minor);
            if !is_as_meant(visited, found, owed) {
                let sums = payment.map(|it| format!("{} captured, {} owed", it.captured, it.owed));
                let session = visited.played.session_id.map(|id| id.to_string());
                let name = &visited.played.case.name;
                wrong.push(format!("{name}: {found:?} {sums:?} {session:?}"));
            }
        }
        let detail = format!("{} visits", self.visits.len());
        check("every visit ends as on a calm day", &wrong, detail)
    }

    /// How a visit ended, as the records say. `None`: not at all.
    pub(super) fn ending(&self, visited: &Visited) -> Option<Ending> {
        if visited.played.session_id.is_none() {
            return Some(Ending::NoSession);
        }
        let rows = self.rows(visited)?;
        let total = rows.rated.as_ref()?.gross();
        let Some(payment) = &rows.payment else {
            return match rows.payer.as_str() {
                "roaming" => Some(Ending::ByPartner),
                "account" => Some(Ending::ByInvoice),
                _ => None,
            };
        };
        let back = payment.refunds.iter().map(|refund| match refund.state {
            RefundState::Succeeded => Some(refund.amount.minor),
            _ => None,
        });
        let back: i64 = back.sum::<Option<i64>>()?;
        match (payment.captured.minor, payment.owed.minor) {
            (0, 0) if total.is_zero() => Some(Ending::NothingDue),
            (captured, 0) if captured == total.minor => match back {
                0 => Some(Ending::Paid),
                all if all == captured => Some(Ending::GivenBack),
                _ => Some(Ending::PartGivenBack),
            },
            (0, owed) if owed == total.minor => Some(Ending::Owed),
            (captured, owed) if captured > 0 && owed > 0 => Some(Ending::PartlyOwed),
            _ => None,
        }
    }

    /// Captured + owed + waived = charged, session by session.
    fn adds_up(&self) -> Check {
        let mut wrong = Vec::new();
        let mut sums = 0;
        for (id, rows) in self.sessions {
            let (Some(rated), Some(payment)) = (&rows.rated, &rows.payment) else { continue };
            let parts = [payment.captured, payment.owed, payment.waived, payment.written_off];
            let sum: i64 = parts.iter().map(|part| part.minor).sum();
            let charged = rated.gross().minor;
            if sum != charged || parts.iter().any(|part| part.minor < 0) {
                wrong.push(format!("{id}: {charged} charged, {sum} captured, owed and waived"));
            }
            sums += 1;
        }
        check("captured + owed + waived = charged", &wrong, format!("{sums} sessions, one by one"))
    }

    /// Stripe took one hold of each session at most, and in all what the record says.
    fn one_capture(&self) -> Check {
        let mut wrong = Vec::new();
        let mut intents = self.intents(&mut wrong);
        let (mut all_captures, mut all_charges) = (0, 0);
        for (id, rows) in self.sessions {
            let theirs = intents.remove(id).unwrap_or_default();
            let taken = || theirs.iter().filter(|intent| intent.received > 0);
            let captures = taken().filter(|intent| intent.manual).count();
            let charges = taken().count() - captures;
            let sum = taken().map(|intent| intent.received).sum::<i64>();
            let known = rows.payment.as_ref().map_or(0, |payment| payment.captured.minor);
            if captures > 1 || charges > 1 || sum != known {
                wrong.push(format!(
                    "{id}: {captures} captures and {charges} charges took {sum}, not {known}"
                ));
            }
            all_captures += captures;
            all_charges += charges;
        }
        wrong.extend(
            intents.keys().map(|id| format!("Stripe has money of {id}, which is no session")),
        );
        let detail = format!("{all_captures} holds captured, {all_charges} charges beside them");
        check("one capture per session at most", &wrong, detail)
    }

    /// No PaymentIntent waits for anything: each is paid, released, or refused.
    fn nothing_held(&self) -> Check {
        let mut wrong = Vec::new();
        let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
        for intent in read_intents(self.stripe, &mut wrong) {
            *statuses.entry(intent.status).or_default() += 1;
            if matches!(intent.status, "requires_capture" | "processing" | "requires_confirmation")
            {
                wrong.push(format!("{} is {}", intent.id, intent.status));
            }
        }
        check("no money held at Stripe", &wrong, format!("{statuses:?}"))
    }

    /// The accounting system has each session's price once, and each taking of money once.
    fn told_once(&self) -> Check {
        let mut wrong = Vec::new();
        let mut told: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for event in self.received.events.values() {
            let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
            let session = event.pointer("/data/session_id").and_then(Value::as_str);
            *told.entry((kind, session.unwrap_or_default())).or_default() += 1;
        }
        let mut intents = self.intents(&mut wrong);
        for (id, rows) in self.sessions {
            let id_text = id.to_string();
            let theirs = intents.remove(id).unwrap_or_default();
            let taken = theirs.iter().filter(|intent| intent.received > 0).count();
            let rated = usize::from(rows.rated.is_some());
            for (kind, meant) in [("session.rated", rated), ("payment.captured", taken)] {
                let found = told.get(&(kind, id_text.as_str())).copied().unwrap_or_default();
                if found != meant {
                    wrong.push(format!("{id}: {found} times {kind}, not {meant}"));
                }
            }
        }
        let detail = format!("{} events, each once", self.received.events.len());
        check("accounting told of every price and payment once", &wrong, detail)
    }

    /// The partner has a CDR of each of its sessions and of no other.
    fn partner(&self) -> Check {
        let roaming = self.visits.iter().filter(|visited| visited.visit.kind == Kind::Roaming);
        let cdrs =
            roaming.filter_map(|visited| Some(self.rows(visited)?.cdr.as_ref()?.id.as_str()));
        let meant: BTreeSet<&str> = cdrs.collect();
        let found: BTreeSet<&str> = self.received.cdrs.keys().map(String::as_str).collect();
        let wrong: Vec<_> = meant
            .symmetric_difference(&found)
            .map(|id| format!("CDR {id} is known to one side only"))
            .collect();
        check("the partner has its CDRs and no others", &wrong, format!("{} CDRs", found.len()))
    }

    /// The PaymentIntents by session. Each names its session; that of a start from the app is named
    /// by the session's payment.
    fn intents(&self, wrong: &mut Vec<String>) -> BTreeMap<SessionId, Vec<Intent<'a>>> {
        let mut by_intent: BTreeMap<&str, SessionId> = BTreeMap::new();
        for (id, rows) in self.sessions {
            let taken = rows.payment.iter().flat_map(|payment| &payment.taken);
            by_intent.extend(taken.map(|taken| (taken.payment_intent.0.as_str(), *id)));
        }
        let mut sessions: BTreeMap<SessionId, Vec<Intent>> = BTreeMap::new();
        for intent in read_intents(self.stripe, wrong) {
            match intent.session.or_else(|| by_intent.get(intent.id).copied()) {
                Some(session) => sessions.entry(session).or_default().push(intent),
                None if intent.received > 0 => {
                    wrong.push(format!("{} took money for no session", intent.id));
                }
                // The hold of a start that came to nothing.
                None => {}
            }
        }
        sessions
    }
}

fn read_intents<'a>(stripe: &'a Value, wrong: &mut Vec<String>) -> Vec<Intent<'a>> {
    let text = |value: &'a Value, name: &str| value.get(name).and_then(Value::as_str);
    let read = |value: &'a Value| {
        Some(Intent {
            id: text(value, "id")?,
            status: text(value, "status")?,
            manual: text(value, "capture_method")? == "manual",
            amount: value.get("amount")?.as_i64()?,
            received: value.get("amount_received")?.as_i64()?,
            session: value.pointer("/metadata/session_id").and_then(|id| id.as_str()?.parse().ok()),
        })
    };
    let mut intents = Vec::new();
    for value in stripe.get("payment_intents").and_then(Value::as_array).into_iter().flatten() {
        match read(value) {
            Some(intent) => intents.push(intent),
            None => wrong.push(format!("no PaymentIntent: {value}")),
        }
    }
    intents
}

/// What a visit cost by the tariffs of `events/network`, worked out without the rating engine.
pub(super) fn price(visited: &Visited) -> anyhow::Result<Amount> {
    let wh = visited.played.case.energy_wh.context("the charger told no energy")?;
    price_of(&visited.visit, wh)
}

/// What a visit costs in which so much energy flows.
pub(super) fn price_of(visit: &Visit, wh: i64) -> anyhow::Result<Amount> {
    let kwh = Decimal::new(wh, 3);
    let minutes =
        |from: DateTime<Utc>, until: DateTime<Utc>| Decimal::from((until - from).num_minutes());
    let (net, tax) = match visit.kind {
        // A dollar, and three for each hour; 10.25 % on top.
        Kind::PerMinute => {
            let hours = minutes(visit.from, visit.until) / Decimal::from(60);
            (Decimal::ONE + Decimal::from(3) * hours, Decimal::new(1025, 2))
        }
        // 0.29 for members, 0.40 for others, each kWh; six euros for each idle hour after the first
        // quarter; 21 % on top.
        kind => {
            let per_kwh =
                if kind == Kind::Member { Decimal::new(29, 2) } else { Decimal::new(40, 2) };
            let idle = minutes(visit.full, visit.gone) - Decimal::from(15);
            let idle = idle.max(Decimal::ZERO) / Decimal::from(10);
            (per_kwh * kwh + idle, Decimal::from(21))
        }
    };
    let gross = net * (Decimal::ONE + tax / Decimal::ONE_HUNDRED);
    Ok(Money::new(gross, visit.kind.currency()).round(RoundingMode::HalfUp)?)
}

fn check(name: &'static str, wrong: &[String], detail: String) -> Check {
    const SHOWN_MAX: usize = 20;
    let ok = wrong.is_empty();
    if ok {
        return Check { name, ok, detail };
    }
    let shown = wrong.get(..SHOWN_MAX.min(wrong.len())).unwrap_or_default().join("; ");
    Check { name, ok, detail: format!("{detail}; {} wrong: {shown}", wrong.len()) }
}

/// Whether a visit that owes so much ended as it would have on a calm day, or as the storm may well
/// have it end.
fn is_as_meant(visited: &Visited, found: Option<Ending>, owed: i64) -> bool {
    let meant = visited.visit.kind.ending();
    match found {
        Some(found) if found == meant => true,
        // Without a hold in time all of it is charged at once, and refused.
        Some(Ending::Owed) => meant == Ending::PartlyOwed,
        // Told to stop before any energy flowed.
        Some(Ending::NothingDue) => meant == Ending::Owed,
        // Who leaves before the hold has grown is charged the rest, if a card pays as little.
        Some(Ending::PartlyOwed) => {
            meant == Ending::Paid && visited.in_vain && owed < LEAST_CHARGED
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use network::{
        HoldRef, PaymentPolicy, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId,
    };
    use payments::{
        Payment,
        money::{Card, Outcome, apply, request},
    };
    use quantities::{Currency, TransactionId};
    use serde_json::json;

    use super::*;

    /// A session of 9.00 that was captured from a hold of 30.00.
    fn captured() -> (SessionId, SessionRows) {
        let id = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
        let customer = StripeCustomerId("cus_1".to_owned());
        let payment_method = StripePaymentMethodId("pm_1".to_owned());
        let card = Card::Saved { customer, payment_method };
        let payment_intent = StripePaymentIntentId("pi_1".to_owned());
        let hold = HoldRef::plain(payment_intent, Amount::new(3000, Currency::EUR));
        let payment = Payment::with_placed_hold(id, card, hold, PaymentPolicy::default());
        let payment = payment.with_total(Amount::new(900, Currency::EUR)).unwrap();
        let now = DateTime::UNIX_EPOCH;
        let (asked, step) = request(payment, now).unwrap();
        let captured = Outcome::Captured { amount: Amount::new(900, Currency::EUR) };
        let payment = apply(asked, &step, captured, now).unwrap();
        (id, SessionRows { payment: Some(payment), ..SessionRows::default() })
    }

    fn intent(id: &str, status: &str, received: i64, session: SessionId) -> Value {
        json!({
            "id": id, "status": status, "capture_method": "manual", "amount": 3_000,
            "amount_received": received,
            "metadata": { "session_id": session.to_string() },
        })
    }

    /// The names of the checks that do not hold when Stripe has these PaymentIntents and accounting
    /// was told this often of the capture.
    fn wrong(intents: &[Value], told: u32) -> Vec<&'static str> {
        let (id, rows) = captured();
        let sessions = BTreeMap::from([(id, rows)]);
        let stripe = json!({ "payment_intents": intents });
        let mut received = Received::default();
        for number in 0..told {
            let event = json!({ "type": "payment.captured", "data": { "session_id": id } });
            received.events.insert(number.to_string(), event);
        }
        let evidence =
            Evidence { visits: &[], sessions: &sessions, stripe: &stripe, received: &received };
        let checks = [evidence.one_capture(), evidence.nothing_held(), evidence.told_once()];
        checks.iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn what_is_wrong_is_found() {
        let (id, _) = captured();
        let paid = || intent("pi_1", "succeeded", 900, id);
        let (capture, held, told) = (
            "one capture per session at most",
            "no money held at Stripe",
            "accounting told of every price and payment once",
        );
        assert_eq!(wrong(&[paid()], 1), [""; 0]);
        assert_eq!(wrong(&[paid(), intent("pi_2", "succeeded", 900, id)], 1), [capture, told]);
        assert_eq!(wrong(&[intent("pi_1", "succeeded", 901, id)], 1), [capture]);
        assert_eq!(wrong(&[paid(), intent("pi_2", "requires_capture", 0, id)], 1), [held]);
        assert_eq!(wrong(&[paid()], 0), [told]);
        assert_eq!(wrong(&[paid()], 2), [told]);
        let stranger = SessionId::of(&"CP2".parse().unwrap(), TransactionId(1));
        let foreign = intent("pi_2", "succeeded", 1, stranger);
        assert_eq!(wrong(&[paid(), foreign], 1), [capture]);
    }
}
