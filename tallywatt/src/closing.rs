//! The closing check: what every party knows, laid side by side.
//!
//! Chargers say how much energy flowed, the store how it was priced, Stripe what was taken, the
//! partner what it was sent, the accounting system what was booked. Each is asked itself, and they
//! must agree to the watt-hour and the cent.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use ledger::{Account, JournalEntry};
use messages::Queue;
use ocpi::Cdr;
use payments::Payment;
use quantities::{Amount, Currency, SessionId, WattHours};
use rating::PricedSession;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;

use crate::{
    inbox::{Inbox, Received},
    platform::Platform,
    scenario::Played,
};

/// One check and how it came out.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What must hold.
    pub name: &'static str,
    /// Whether it does.
    pub ok: bool,
    /// The numbers.
    pub detail: String,
}

/// What the store holds of one session.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionRows {
    /// The record's `state`.
    pub state: String,
    /// What kind of payer the record names.
    pub payer: String,
    /// The price.
    pub rated: Option<PricedSession>,
    /// The payment by card.
    pub payment: Option<Payment>,
    /// The CDR.
    pub cdr: Option<Cdr>,
    /// The journal entries.
    pub journal: Vec<JournalEntry>,
}

/// Everything that the closing check is made from.
#[derive(Debug)]
pub struct Closing {
    /// Sessions by id, as the tables have them.
    pub sessions: BTreeMap<SessionId, SessionRows>,
    /// Reasons of the open exceptions.
    pub exceptions: Vec<String>,
    received: Received,
    stripe: Value,
    queued: Vec<&'static str>,
    dead: Vec<&'static str>,
}

/// What else the sessions table holds.
const FOREIGN: [&str; 3] = ["STAND#", "TAP#", "DISPUTE#"];

type Sums = BTreeMap<&'static str, i64>;

impl Closing {
    /// Asks every party.
    ///
    /// # Errors
    ///
    /// When one does not answer, or a row is not what it must be.
    pub async fn read(platform: &Platform, inbox: &Inbox) -> anyhow::Result<Self> {
        let mut sessions: BTreeMap<SessionId, SessionRows> = BTreeMap::new();
        for item in platform.items("SessionsTable").await? {
            let (pk, sk) = (text(&item, "pk")?, text(&item, "sk")?);
            if FOREIGN.iter().any(|foreign| pk.starts_with(foreign)) {
                continue;
            }
            let id = pk.strip_prefix("SESSION#").context("a foreign key in the sessions table")?;
            let rows = sessions.entry(id.parse()?).or_default();
            match sk {
                "META" => {
                    text(&item, "state")?.clone_into(&mut rows.state);
                    let payer = item.pointer("/payer/M/kind/S").and_then(Value::as_str);
                    payer.context("a session names no payer")?.clone_into(&mut rows.payer);
                }
                "RATED" => rows.rated = Some(document(&item)?),
                "PAYMENT" => rows.payment = Some(document(&item)?),
                "CDR" => rows.cdr = Some(document(&item)?),
                sk if sk.starts_with("JOURNAL#") => rows.journal.push(document(&item)?),
                _ => {}
            }
        }
        let mut exceptions = Vec::new();
        for item in platform.items("ExceptionsTable").await? {
            if item.get("gsi_open").is_some() {
                exceptions.push(text(&item, "reason")?.to_owned());
            }
        }
        exceptions.sort();
        let (mut queued, mut dead) = (Vec::new(), Vec::new());
        for queue in Queue::ALL {
            if !platform.to_be_done(queue).await?.is_empty() {
                queued.push(queue.name());
            }
            if !platform.dead_letters(queue).await?.is_empty() {
                dead.push(queue.name());
            }
        }
        let (received, stripe) = (inbox.received(), platform.stripe().state());
        Ok(Self { sessions, exceptions, received, stripe, queued, dead })
    }

    /// Checks everything against what was played.
    #[must_use]
    pub fn checks(&self, played: &[Played]) -> Vec<Check> {
        vec![
            sessions_answered(played),
            self.energy(played),
            self.money(),
            self.stripe_agrees(),
            self.no_hold_open(),
            self.books(),
            self.accounting(),
            self.cdrs(),
            self.exceptions(played),
            self.queues(),
        ]
    }

    fn energy(&self, played: &[Played]) -> Check {
        let mut wrong = Vec::new();
        let (mut flowed, mut rated) = (Decimal::ZERO, Decimal::ZERO);
        for played in played.iter().filter(|played| played.case.outcome == "rated") {
            let expected = played.case.energy().map(WattHours::wh).unwrap_or_default();
            let rows = played.session_id.and_then(|id| self.sessions.get(&id));
            let priced = rows.and_then(|rows| rows.rated.as_ref());
            let billed = priced.map_or(Decimal::NEGATIVE_ONE, |priced| priced.total_energy.wh());
            flowed += expected;
            rated += billed;
            if expected != billed {
                wrong
                    .push(format!("{}: {expected} Wh flowed, {billed} Wh rated", played.case.name));
            }
        }
        check("energy in = energy rated", &wrong, format!("{flowed} Wh = {rated} Wh"))
    }

    fn money(&self) -> Check {
        let (mut rated, mut taken, mut owed) = (Sums::new(), Sums::new(), Sums::new());
        let mut forgiven = Sums::new();
        let mut wrong = Vec::new();
        for (id, rows) in &self.sessions {
            let Some(priced) = &rows.rated else { continue };
            let total = priced.gross();
            add(&mut rated, total);
            match &rows.payment {
                Some(payment) => {
                    add(&mut taken, payment.captured);
                    add(&mut owed, payment.owed);
                    add(&mut forgiven, payment.waived);
                    add(&mut forgiven, payment.written_off);
                    if let Some(surplus) = payment.surplus {
                        let given_back = Amount::new(-surplus.minor, surplus.currency);
                        add(&mut taken, given_back);
                    }
                    if payment.total != Some(total) {
                        wrong.push(format!("{id}: the payment knows another total"));
                    }
                }
                // A partner owes it, by CDR, or an account, by invoice.
                None => add(&mut owed, total),
            }
        }
        let mut sum = taken.clone();
        for (currency, minor) in owed.iter().chain(&forgiven) {
            *sum.entry(currency).or_default() += minor;
        }
        if sum != rated {
            wrong.push("the sums differ".to_owned());
        }
        let [rated, taken, owed, forgiven] = [&rated, &taken, &owed, &forgiven].map(show);
        let detail = format!("{rated} = {taken} + {owed} + {forgiven}");
        check("money rated = captured + owed + forgiven", &wrong, detail)
    }

    fn stripe_agrees(&self) -> Check {
        let mut stripe = Sums::new();
        let mut per_intent: BTreeMap<&str, i64> = BTreeMap::new();
        for intent in intents(&self.stripe) {
            let received = intent.get("amount_received").and_then(Value::as_i64).unwrap_or(-1);
            let code = intent.get("currency").and_then(Value::as_str).unwrap_or_default();
            if let (Ok(currency), true) = (code.parse::<Currency>(), received != 0) {
                add(&mut stripe, Amount::new(received, currency));
                let id = intent.get("id").and_then(Value::as_str).unwrap_or_default();
                per_intent.insert(id, received);
            }
        }
        let mut ours = Sums::new();
        let mut wrong = Vec::new();
        for payment in self.payments() {
            add(&mut ours, payment.captured);
            for taken in &payment.taken {
                let received = per_intent.remove(taken.payment_intent.0.as_str());
                if received != Some(taken.amount.minor) {
                    let id = payment.session_id;
                    wrong.push(format!("{id}: {taken:?}, but Stripe took {received:?}"));
                }
            }
        }
        wrong.extend(per_intent.keys().map(|id| format!("Stripe took money with {id}: whose?")));
        check(
            "captured here = received at Stripe",
            &wrong,
            format!("{} = {}", show(&ours), show(&stripe)),
        )
    }

    fn no_hold_open(&self) -> Check {
        let held = intents(&self.stripe).filter(|intent| {
            intent.get("status").and_then(Value::as_str) == Some("requires_capture")
        });
        let open: BTreeSet<&str> =
            held.filter_map(|intent| intent.get("id").and_then(Value::as_str)).collect();
        // A session that a person has to decide about keeps its hold until then.
        let waiting = self.sessions.values().filter(|rows| rows.state == "held");
        let kept: BTreeSet<&str> = waiting
            .filter_map(|rows| rows.payment.as_ref()?.hold.as_ref())
            .map(|hold| hold.payment_intent.0.as_str())
            .collect();
        let wrong: Vec<_> = open.difference(&kept).map(|id| format!("{id} still holds")).collect();
        let detail = format!("{} open, all of sessions held for a person", open.len());
        check("no hold left open", &wrong, detail)
    }

    fn books(&self) -> Check {
        let (booked, mut wrong) = self.booked();
        let mut ids = BTreeSet::new();
        let mut receivable = Sums::new();
        for entry in &booked {
            let sum = receivable.entry(entry.currency().code()).or_default();
            *sum += entry.net_minor(Account::AccountsReceivable);
            *sum += entry.net_minor(Account::InvoicedReceivable);
            *sum += entry.net_minor(Account::RoamingReceivable);
            if !ids.insert(entry.id().to_owned()) {
                wrong.push(format!("{} is booked twice", entry.id()));
            }
        }
        let stored: BTreeSet<String> = self
            .sessions
            .values()
            .flat_map(|rows| rows.journal.iter().map(|entry| entry.id().to_owned()))
            .collect();
        for id in stored.symmetric_difference(&ids) {
            wrong.push(format!("{id} is known to one side only"));
        }
        let mut owed = Sums::new();
        for rows in self.sessions.values() {
            match (&rows.rated, &rows.payment) {
                (Some(_), Some(payment)) => add(&mut owed, payment.owed),
                (Some(priced), None) => add(&mut owed, priced.gross()),
                (None, _) => {}
            }
        }
        owed.retain(|_, minor| *minor != 0);
        receivable.retain(|_, minor| *minor != 0);
        if owed != receivable {
            wrong.push(format!("receivable {} but owed {}", show(&receivable), show(&owed)));
        }
        check(
            "books balanced",
            &wrong,
            format!("{} entries, receivable {}", ids.len(), show(&receivable)),
        )
    }

    fn accounting(&self) -> Check {
        let wrong = self.received.refused.clone();
        let detail = format!(
            "{} events in {} webhooks, every signature good",
            self.received.events.len(),
            self.received.webhooks
        );
        check("accounting told", &wrong, detail)
    }

    fn cdrs(&self) -> Check {
        let mut wrong = Vec::new();
        let mut posted = 0;
        for (id, rows) in &self.sessions {
            let Some(priced) = &rows.rated else { continue };
            let Some(cdr) = &rows.cdr else {
                wrong.push(format!("{id} has no CDR"));
                continue;
            };
            let total = cdr.total_cost.incl_vat.unwrap_or(cdr.total_cost.excl_vat);
            if total != priced.gross().to_money().value {
                wrong.push(format!("{id}: the CDR says {total}"));
            }
            let roaming = rows.payer == "roaming";
            let sent = self.received.cdrs.get(&cdr.id);
            if roaming && sent != Some(cdr) {
                wrong.push(format!("{id}: the partner has no such CDR"));
            }
            posted += usize::from(sent.is_some());
        }
        let detail = format!("one for every rated session, {posted} posted to the partner");
        check("CDRs published", &wrong, detail)
    }

    fn exceptions(&self, played: &[Played]) -> Check {
        let mut meant: Vec<String> =
            played.iter().flat_map(|played| played.case.exceptions.clone()).collect();
        meant.sort();
        let wrong = if meant == self.exceptions {
            vec![]
        } else {
            vec![format!("open: {:?}, meant: {meant:?}", self.exceptions)]
        };
        check("only the exceptions that were meant", &wrong, format!("{:?}", self.exceptions))
    }

    fn queues(&self) -> Check {
        let queued = self.queued.iter().map(|queue| format!("{queue} is not empty"));
        let dead = self.dead.iter().map(|queue| format!("{queue} has dead letters"));
        let wrong: Vec<_> = queued.chain(dead).collect();
        check("queues empty", &wrong, "no message waiting, none dead".to_owned())
    }

    fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.sessions.values().filter_map(|rows| rows.payment.as_ref())
    }

    /// The journal entries that the accounting system was told, and what is wrong with others:
    /// reading one checks that it balances.
    fn booked(&self) -> (Vec<JournalEntry>, Vec<String>) {
        let (mut booked, mut wrong) = (Vec::new(), Vec::new());
        for (id, event) in &self.received.events {
            let Some(journal) = event.pointer("/data/journal") else { continue };
            match serde_json::from_value(journal.clone()) {
                Ok(entry) => booked.push(entry),
                Err(error) => wrong.push(format!("{id}: {error}")),
            }
        }
        (booked, wrong)
    }
}

fn sessions_answered(played: &[Played]) -> Check {
    let faults = |played: &Played| {
        let faults = played.report.faults.iter();
        faults.map(|fault| format!("{}: {fault}", played.case.name)).collect::<Vec<_>>()
    };
    let wrong: Vec<_> = played.iter().flat_map(faults).collect();
    let exchanges: usize = played.iter().map(|played| played.report.exchanges.len()).sum();
    check("every message answered rightly", &wrong, format!("{exchanges} OCPP calls"))
}

fn check(name: &'static str, wrong: &[String], detail: String) -> Check {
    let ok = wrong.is_empty();
    Check { name, ok, detail: if ok { detail } else { format!("{detail}; {}", wrong.join("; ")) } }
}

fn intents(stripe: &Value) -> impl Iterator<Item = &Value> {
    let intents = stripe.get("payment_intents");
    let listed = intents.and_then(Value::as_array).into_iter().flatten();
    let keyed = intents.and_then(Value::as_object).into_iter().flat_map(serde_json::Map::values);
    listed.chain(keyed)
}

fn add(sums: &mut Sums, amount: Amount) {
    *sums.entry(amount.currency.code()).or_default() += amount.minor;
}

fn show(sums: &Sums) -> String {
    let amounts = sums.iter().filter_map(|(code, minor)| {
        let currency: Currency = code.parse().ok()?;
        Some(Amount::new(*minor, currency).to_string())
    });
    let amounts: Vec<_> = amounts.collect();
    if amounts.is_empty() { "nothing".to_owned() } else { amounts.join(" and ") }
}

fn text<'a>(item: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    let value = item.pointer(&format!("/{name}/S")).and_then(Value::as_str);
    value.with_context(|| format!("a row has no {name}"))
}

fn document<T: serde::de::DeserializeOwned>(item: &Value) -> anyhow::Result<T> {
    serde_json::from_str(text(item, "doc")?).context("reading a row's document")
}
