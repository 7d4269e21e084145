//! Load, compose, store.

#[cfg(test)]
mod tests;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use ledger::{Account, Sold};
use messages::{Envelope, Event};
use network::Payer;
use payments::{
    Payment,
    money::{Refund, RefundState, credit_made},
};
use quantities::Amount;
use rating::PricedSession;
use receipts::{CreditNote, Decided, Decision, Scope, Seller, credited};
use runtime::{Invocation, Metric};
use session::{ExceptionReason, ExceptionRecord};
use store::{Issued, Saved, SessionFile, Store};

/// How often a credit note is composed anew because others took its number or changed the payment,
/// before its message has to come again.
const ATTEMPTS_MAX: u32 = 8;

/// What Stripe told of is in the payment.
const UNKNOWN: &str = "a refund that nobody made at Stripe";

/// What is credited, and why.
struct Asked {
    /// What it is known by in its session.
    key: String,
    /// The refund that was made at Stripe, if it is for one.
    made: Option<u32>,
    /// Whether it is what that gives back beyond another, of which nobody has said what it is.
    is_rest: bool,
    scope: Scope,
    amount: Amount,
    reason: String,
    /// In whose favour.
    account: Account,
}

pub(crate) async fn on_event(
    store: &Store,
    envelope: Envelope,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let Envelope { event, at, .. } = envelope;
    let Some(session_id) = event.session_id() else {
        bail!("issue-credit-note does not know what to do with {}", event.event_type());
    };
    for _ in 0..ATTEMPTS_MAX {
        // The series first: whatever is credited of this seller after this read moves it.
        let session = store.session(session_id).await?;
        let seller = Seller::of(session.jurisdiction.seller.as_ref());
        let issued = store.credit_notes_issued(&seller).await?;
        let known = store.payment(session_id).await?;
        let file = store.session_file(session_id).await?;
        // A file is read item by item: what was decided meanwhile may be in it in part.
        if known != file.payment {
            continue;
        }
        let asked = asked(&event, at, &file)?;
        if file.credit_notes.iter().any(|(key, _)| *key == asked.key) {
            invocation.outcome("repeat");
            return Ok(());
        }
        match verdict(&asked, &file)? {
            Verdict::Credit => {}
            Verdict::Nothing(outcome) => {
                invocation.outcome(outcome);
                return Ok(());
            }
            Verdict::AskAPerson(why) => {
                return ask_a_person(store, &file, &event, &asked, &why, invocation).await;
            }
        }
        let outcome = match issue(store, &file, &asked, (&seller, issued), invocation).await? {
            Issued::New => "issued",
            Issued::Exists => "repeat",
            Issued::Moved => continue,
        };
        invocation.outcome(outcome);
        return Ok(());
    }
    bail!("the series of credit notes, or the payment, moved {ATTEMPTS_MAX} times")
}

/// What the event says is to be credited.
fn asked(event: &Event, at: DateTime<Utc>, file: &SessionFile) -> anyhow::Result<Asked> {
    match event {
        Event::RefundDecided { decision, amount: told, .. } => {
            let decided = file.decisions.iter().find(|known| known.id == *decision);
            let decided = decided.context("a refund that nobody decided")?;
            let (key, made, scope, amount) = match &decided.what {
                Decided::Refund { scope, amount, .. } => {
                    (decided.id.clone(), None, scope.clone(), *amount)
                }
                // As by itself: it is credited once, whoever says so.
                Decided::RefundMade { refund, amount } => {
                    let key = id_at_stripe(file, *refund)?;
                    (key, Some(*refund), Scope::Amount(*amount), *amount)
                }
                Decided::RefundInPlace { refund, .. } => {
                    let rest = refund_of(file, *refund).and_then(Refund::made_of_sale);
                    let rest = rest.unwrap_or(*told);
                    (decided.id.clone(), Some(*refund), Scope::Amount(rest), rest)
                }
                _ => bail!("decision {decision} is not to refund"),
            };
            let is_rest = matches!(decided.what, Decided::RefundInPlace { .. });
            let account = match file.session.payer {
                Payer::Account { .. } => Account::InvoicedReceivable,
                _ => Account::RefundsPayable,
            };
            let reason = decided.reason.clone();
            Ok(Asked { key, made, is_rest, scope, amount, reason, account })
        }
        Event::RefundMade { number, refund, amount, .. } => {
            // A person may have said since what it is, in part in place of another.
            let amount = refund_of(file, *number).and_then(Refund::takes_back).unwrap_or(*amount);
            let is_its = |decision: &&Decision| match decision.what {
                Decided::RefundMade { refund, .. } => refund == *number,
                _ => false,
            };
            let said = file.decisions.iter().find(is_its);
            Ok(Asked {
                key: refund.clone(),
                made: Some(*number),
                is_rest: false,
                scope: Scope::Amount(amount),
                amount,
                reason: said.map_or("given back", |decision| &decision.reason).to_owned(),
                account: Account::RefundsPayable,
            })
        }
        Event::PaymentWaived { amount, .. } => {
            let waived = waived_by(&file.decisions, at);
            Ok(Asked {
                key: "waiver".to_owned(),
                made: None,
                is_rest: false,
                scope: Scope::Amount(*amount),
                amount: *amount,
                reason: waived.map_or("waived", |decision| &decision.reason).to_owned(),
                account: Account::AccountsReceivable,
            })
        }
        other => bail!("issue-credit-note does not know what to do with {}", other.event_type()),
    }
}

/// Stripe's id of a refund that was made there.
fn id_at_stripe(file: &SessionFile, number: u32) -> anyhow::Result<String> {
    let id = refund_of(file, number).and_then(|refund| refund.id.clone());
    id.context(UNKNOWN)
}

fn refund_of(file: &SessionFile, number: u32) -> Option<&Refund> {
    let mut refunds = file.payment.iter().flat_map(|payment| &payment.refunds);
    refunds.find(|refund| refund.number == number)
}

/// The decision by which the driver had been let off at this moment: the first that could, for
/// there is one debt, and nothing more is owed after it. When it is carried out others may have
/// been made.
fn waived_by(decisions: &[Decision], at: DateTime<Utc>) -> Option<&Decision> {
    let lets_off = |known: &&Decision| match known.what {
        Decided::Waive | Decided::Refund { scope: Scope::All, .. } => known.at <= at,
        _ => false,
    };
    decisions.iter().filter(lets_off).min_by_key(|known| known.at)
}

/// What is to be done about what is asked.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Credit,
    /// Nothing, and why.
    Nothing(&'static str),
    /// It is not clear, and why.
    AskAPerson(String),
}

/// What to do about what is asked. A refund that was made at Stripe may be in place of another. What
/// a person says can be wrong only in that less is left of the sale, for others credited some of it
/// meanwhile.
fn verdict(asked: &Asked, file: &SessionFile) -> anyhow::Result<Verdict> {
    let made = asked.made.map(|number| refund_of(file, number).context(UNKNOWN)).transpose()?;
    // What a person said is to be credited is, whatever else comes.
    let open = made.filter(|made| !made.credited);
    if let Some(made) = open
        && let Some(verdict) = unsaid(asked, made, file)
    {
        return Ok(verdict);
    }
    if asked.is_rest {
        return Ok(Verdict::Nothing("decided meanwhile"));
    }
    let sold = Sold::of(&file.journal, asked.amount.currency)?.all().gross()?;
    let left = if open.is_some() { file.left_to_credit(&asked.key, sold)? } else { sold };
    if asked.amount.minor <= left.minor {
        return Ok(Verdict::Credit);
    }
    let what = asked.made.map_or("it".to_owned(), |number| format!("refund {number}"));
    Ok(Verdict::AskAPerson(format!("{what} is more than the {left} that are left of the sale")))
}

/// What to do about a refund that was made at Stripe, and of which no person has said that it is to
/// be credited, if it is not to be credited by itself.
fn unsaid(asked: &Asked, made: &Refund, file: &SessionFile) -> Option<Verdict> {
    if made.state == RefundState::Failed {
        // Nothing went back, so nothing is to be taken back of the sale.
        return Some(Verdict::Nothing("failed meanwhile"));
    }
    if made.made_of_sale().is_none() {
        return Some(Verdict::Nothing("in place of another"));
    }
    if asked.is_rest || made.in_place.is_some() {
        let why = format!("refund {} is in place of another in part", made.number);
        return Some(Verdict::AskAPerson(why));
    }
    may_be_in_place(made.number, file).map(Verdict::AskAPerson)
}

/// The payment, if it does not know yet, with the refund that was made at Stripe and is credited:
/// should it fail, that is owed.
fn knowing(asked: &Asked, file: &SessionFile) -> anyhow::Result<Option<Payment>> {
    let made = asked.made.and_then(|number| refund_of(file, number));
    let (made, payment) = (made.filter(|made| !made.credited), file.payment.as_ref());
    let Some((made, payment)) = made.zip(payment) else { return Ok(None) };
    Ok(Some(credit_made(payment.clone(), made.number)?))
}

/// Which refund that failed the refund `number` may be in place of, if there is one: the money is
/// credited already then, or was never of the sale, for it was surplus. Who tried it again here may
/// not have known that somebody did at Stripe.
fn may_be_in_place(number: u32, file: &SessionFile) -> Option<String> {
    let refunds = file.payment.iter().flat_map(|payment| &payment.refunds);
    let failed = refunds.filter(|it| it.number != number && it.state == RefundState::Failed);
    let is_owed = |it: &&Refund| !it.still_owed().is_zero();
    let has_surplus = |it: &Refund| it.surplus.is_some_and(|surplus| !surplus.is_zero());
    let is_tried_again = |it: &Refund| {
        let mut tries = file.decisions.iter().map(|decision| &decision.what);
        tries
            .any(|what| matches!(what, Decided::RefundAgain { failed, .. } if *failed == it.number))
    };
    let may_be_it = |it: &&Refund| has_surplus(it) || is_tried_again(it);
    let failed = failed.clone().find(is_owed).or_else(|| failed.clone().find(may_be_it))?;
    Some(format!("refund {number} may be in place of refund {}, which failed", failed.number))
}

async fn ask_a_person(
    store: &Store,
    file: &SessionFile,
    event: &Event,
    asked: &Asked,
    why: &str,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let how = if asked.made.is_some() { "was given back at Stripe" } else { "was decided" };
    let detail = format!("{} {how} and is not credited: {why}", asked.amount);
    let reason = ExceptionReason::UncreditedRefund;
    let exception = ExceptionRecord::of_session(reason, &file.session, detail, invocation.now());
    if store.raise(&exception.distinguished(known_by(event, asked))).await? == Saved::New {
        invocation.count(Metric::Exceptions, 1);
    }
    invocation.outcome("left to a person");
    Ok(())
}

/// What the exception is known by in its session. What a person decides about one that was raised
/// can raise another, for the first may be resolved.
fn known_by<'a>(event: &'a Event, asked: &'a Asked) -> &'a str {
    match event {
        Event::RefundDecided { decision, .. } => decision,
        _ => &asked.key,
    }
}

async fn issue(
    store: &Store,
    file: &SessionFile,
    asked: &Asked,
    (seller, issued): (&Seller, u64),
    invocation: &Invocation,
) -> anyhow::Result<Issued> {
    let session = &file.session;
    let price = file.rated.as_ref().context("a session without a price is credited")?;
    let left = Sold::of(&file.journal, price.currency)?;
    let credited = credited(price, &left, &asked.scope, asked.amount)?;
    let id = format!("credit:{}:{}", session.id, asked.key);
    let journal = left.credit(id, invocation.now(), asked.account, &credited.part)?;
    let note = CreditNote {
        number: seller.number(issued + 1),
        session_id: session.id,
        sold_at: session.started_at,
        time_zone: session.time_zone,
        issued_at: invocation.now(),
        reason: asked.reason.clone(),
        lines: lines(price, &asked.scope),
        credited,
        seller: session.jurisdiction.seller.clone(),
    };
    let event = Event::CreditNoteIssued {
        session_id: session.id,
        key: asked.key.clone(),
        number: note.number.clone(),
        amount: note.credited.incl_tax,
        journal,
    };
    let envelope = Envelope::new(event, invocation.now(), invocation.trace());
    let (series, payment) = ((seller, issued), knowing(asked, file)?);
    Ok(store.issue_credit_note(&asked.key, &note, &envelope, series, payment).await?)
}

/// The lines that it takes back, in words.
fn lines(price: &PricedSession, scope: &Scope) -> Vec<(u32, String)> {
    let Scope::Lines(positions) = scope else { return Vec::new() };
    let named = positions.iter().filter_map(|position| {
        let index = usize::try_from(*position).ok()?.checked_sub(1)?;
        Some((*position, price.lines.get(index)?.description.to_string()))
    });
    named.collect()
}
