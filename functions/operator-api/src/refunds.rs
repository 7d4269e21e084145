//! After the sale: money given back, debts let go, roaming sessions taken back.
//!
//! What is billed by invoice is credited to its account: no money moves. What somebody gave back at
//! Stripe is credited by itself, or by a person where it is not clear what it takes back.
//!
//! Each is a decision, stored once under the Idempotency-Key together with the payment that it
//! changes, in one transaction; what follows (the refund at Stripe, the credit note, the books) is
//! told in the same transaction.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use chrono::{DateTime, Utc};
use http_api::{
    AmountView, Body, Check, CreditPartners, ForgiveDebts, Log, Operator, Param, Problem,
    ProblemType, ReadSessions, RefundDrivers, Role, idempotency_key,
};
use ledger::{Account, Sold};
use messages::{Envelope, Event};
use network::Payer;
use payments::{
    MoneyError, Payment,
    money::{Forgiven, Refund, RefundState, credit_made, forgive, refund, refund_again, stand_in},
};
use quantities::{Amount, SessionId};
use rating::PricedSession;
use receipts::{Decided, Decision, Scope, amount_of};
use runtime::Function;
use serde::{Deserialize, Serialize};
use session::digest;
use store::{DailyLimit, SessionFile, StoreError, Stored};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

/// How often a decision is made anew because somebody else changed the payment meanwhile.
const ATTEMPTS_MAX: u32 = 5;
/// Of a roaming session there is one credit.
const CREDIT: &str = "credit";

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, give_back))
        .routes(routes!(waive))
        .routes(routes!(write_off))
        .routes(routes!(credit))
}

/// What support may give back without finance, in minor units of the session's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of one session, in all.
    pub(crate) session: i64,
    /// By one person on one day (UTC), in all.
    pub(crate) day: i64,
}

impl Limits {
    /// Those that the deployment sets.
    pub(crate) fn of(function: &Function) -> anyhow::Result<Self> {
        Ok(Self {
            session: function.variable("SUPPORT_REFUND_SESSION_MINOR")?.parse()?,
            day: function.variable("SUPPORT_REFUND_DAY_MINOR")?.parse()?,
        })
    }
}

/// Money to be given back, or credited: exactly one of `full`, `amount`, `lines`, `again` and
/// `made`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Refund)]
struct RefundBody {
    /// All that is left of what was taken; what is still owed is waived with it.
    #[serde(default)]
    full: bool,
    /// So much, taxes included.
    amount: Option<AmountView>,
    /// These lines of the receipt, by position from 1, each with what was taken off it.
    lines: Option<Vec<u32>>,
    /// What the refund of this number, which failed, did not give back. It is credited already.
    again: Option<u32>,
    /// The refund of this number, which somebody made at Stripe, is to be credited: it takes back a
    /// part of this sale. Nothing more is given back.
    made: Option<u32>,
    /// With `made`: it was made in place of the refund of this number, which failed, and is credited
    /// with that one, as far as that is still owed. What it gives back beyond that is another's, or
    /// `made` alone.
    in_place_of: Option<u32>,
    /// Why; the credit note says so.
    #[schema(example = "the charger delivered too slowly")]
    reason: String,
}

/// Why.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Reason)]
struct ReasonBody {
    /// Why.
    reason: String,
}

/// What was decided about a session after the sale, and what came of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Decision)]
struct DecisionView {
    /// Its id.
    id: String,
    /// `refund`, `refund_again`, `refund_made`, `refund_in_place`, `waive`, `write_off`, `credit`,
    /// `submit_evidence`, `accept_dispute`.
    #[schema(example = "refund")]
    kind: String,
    /// How much, taxes included, where it is an amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<AmountView>,
    /// Why.
    reason: String,
    /// Who decided: the subject of their token.
    by: String,
    /// When.
    at: DateTime<Utc>,
    /// The refunds that carry it out: one for each PaymentIntent that took money.
    refunds: Vec<RefundView>,
    /// The number of its credit note, once issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_note: Option<String>,
}

/// One refund at Stripe.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RefundStatus)]
struct RefundView {
    /// Its number.
    number: u32,
    /// How much.
    amount: AmountView,
    /// `wanted`, `pending`, `succeeded` or `failed`.
    #[schema(value_type = String, example = "succeeded")]
    state: RefundState,
    /// Of one that failed: how much is still to be given back. What was tried again, or what the
    /// driver has from their bank by a lost dispute, is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    still_owed: Option<AmountView>,
}

/// Lists what was decided about a session after the sale.
#[utoipa::path(get, path = "/operator/sessions/{session_id}/refunds",
    tag = "after the sale", operation_id = "list_refunds",
    params(("session_id" = String, Path)),
    security(("jwt" = ["support", "finance"])),
    responses((status = 200, body = Vec<DecisionView>)))]
async fn list(
    _: Operator<ReadSessions>,
    State(api): State<Api>,
    log: Log,
    Param(id): Param<SessionId>,
) -> Result<Json<Vec<DecisionView>>, Problem> {
    log.session(id);
    let file = api.store.session_file(id).await?;
    Ok(Json(file.decisions.iter().map(|decision| view(decision, &file)).collect()))
}

/// Gives money back; a session that is billed by invoice is credited to its account instead. While
/// something is still owed only all can be given back: the debt is waived
/// with it. The same Idempotency-Key is the same refund.
#[utoipa::path(post, path = "/operator/sessions/{session_id}/refunds",
    tag = "after the sale", operation_id = "refund",
    params(("session_id" = String, Path), ("Idempotency-Key" = String, Header,
        description = "1 to 255 visible ASCII characters, new for every refund")),
    request_body = RefundBody,
    security(("jwt" = ["support", "finance"])),
    responses((status = 202, description = "Stripe is being asked, or the account credited",
        body = DecisionView)))]
async fn give_back(
    operator: Operator<RefundDrivers>,
    State(api): State<Api>,
    log: Log,
    headers: HeaderMap,
    Param(id): Param<SessionId>,
    Body(body): Body<RefundBody>,
) -> Result<(StatusCode, Json<DecisionView>), Problem> {
    log.session(id);
    let asked = Asked::of(&body)?;
    let draft = Draft::new(&headers, &operator.subject, &body.reason, &asked)?;
    let limits = (!operator.has(Role::Finance)).then_some(api.limits);
    let decide = |file: &SessionFile| {
        let (payment, what) = refunded(file, &asked, &draft.reason, limits)?;
        let credits = match what {
            Decided::RefundMade { amount, .. } => Some(amount),
            // What it gives back beyond the other is to be asked for.
            Decided::RefundInPlace { refund, .. } => {
                let refunds = payment.iter().flat_map(|payment| &payment.refunds);
                refunds.filter(|it| it.number == refund).find_map(Refund::made_of_sale)
            }
            ref other => other.credits(),
        };
        let event = credits.map(|amount| Event::RefundDecided {
            session_id: id,
            decision: draft.id.clone(),
            amount,
        });
        Ok((what, payment, event))
    };
    made(&api, id, &log, &draft, decide, limits).await
}

/// Waives what is owed: it was not right to ask for it. The driver gets a credit note. A page where
/// they could pay is closed first; what they pay until then stays paid.
#[utoipa::path(post, path = "/operator/sessions/{session_id}/waiver",
    tag = "after the sale", operation_id = "waive_debt",
    params(("session_id" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = ReasonBody,
    security(("jwt" = ["finance"])),
    responses((status = 202, body = DecisionView)))]
async fn waive(
    operator: Operator<ForgiveDebts>,
    State(api): State<Api>,
    log: Log,
    headers: HeaderMap,
    Param(id): Param<SessionId>,
    Body(body): Body<ReasonBody>,
) -> Result<(StatusCode, Json<DecisionView>), Problem> {
    let draft = Draft::new(&headers, &operator.subject, &body.reason, "waive")?;
    let_go(draft, &api, &log, id, Forgiven::Waived).await
}

/// Writes off what is owed: it was right to ask for it, and will not come. The sale stands.
#[utoipa::path(post, path = "/operator/sessions/{session_id}/write-off",
    tag = "after the sale", operation_id = "write_off_debt",
    params(("session_id" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = ReasonBody,
    security(("jwt" = ["finance"])),
    responses((status = 202, body = DecisionView)))]
async fn write_off(
    operator: Operator<ForgiveDebts>,
    State(api): State<Api>,
    log: Log,
    headers: HeaderMap,
    Param(id): Param<SessionId>,
    Body(body): Body<ReasonBody>,
) -> Result<(StatusCode, Json<DecisionView>), Problem> {
    let draft = Draft::new(&headers, &operator.subject, &body.reason, "write_off")?;
    let_go(draft, &api, &log, id, Forgiven::WrittenOff).await
}

/// Takes a roaming session back: the partner gets a credit CDR. Once.
#[utoipa::path(post, path = "/operator/sessions/{session_id}/credits",
    tag = "after the sale", operation_id = "credit_roaming_session",
    params(("session_id" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = ReasonBody,
    security(("jwt" = ["finance"])),
    responses((status = 202, body = DecisionView)))]
async fn credit(
    operator: Operator<CreditPartners>,
    State(api): State<Api>,
    log: Log,
    headers: HeaderMap,
    Param(id): Param<SessionId>,
    Body(body): Body<ReasonBody>,
) -> Result<(StatusCode, Json<DecisionView>), Problem> {
    let mut draft = Draft::new(&headers, &operator.subject, &body.reason, CREDIT)?;
    CREDIT.clone_into(&mut draft.id);
    let decide = |file: &SessionFile| {
        let price = priced(file)?;
        if !matches!(file.session.payer, Payer::Roaming { .. }) {
            return Err(conflict("The session is not a roaming partner's: refund it instead."));
        }
        let sold = Sold::of(&file.journal, price.currency).map_err(anyhow::Error::from)?;
        let entry = format!("credit:{id}");
        let journal = sold.credit(entry, log.now(), Account::RoamingReceivable, sold.all());
        let journal = journal.map_err(anyhow::Error::from)?;
        let (session_id, amount) = (id, price.gross());
        let event = Event::SessionCredited { session_id, amount, journal };
        Ok((Decided::Credit, None, Some(event)))
    };
    made(&api, id, &log, &draft, decide, None).await
}

async fn let_go(
    draft: Draft,
    api: &Api,
    log: &Log,
    id: SessionId,
    how: Forgiven,
) -> Result<(StatusCode, Json<DecisionView>), Problem> {
    made(api, id, log, &draft, |file| forgiven(file, how), None).await
}

/// What is owed, let go.
fn forgiven(file: &SessionFile, how: Forgiven) -> Result<Outcome, Problem> {
    let payment = collected(file)?;
    if payment.owed.is_zero() {
        return Err(conflict("Nothing is owed."));
    }
    // What is being taken may be taken: then there is nothing to let off, and nobody would know.
    if payment.is_collecting() {
        return Err(conflict("The payment is being collected. Try again in a moment."));
    }
    let what = match how {
        Forgiven::Waived => Decided::Waive,
        Forgiven::WrittenOff => Decided::WriteOff,
    };
    Ok((what, Some(let_off(payment, how)?), None))
}

/// The payment with what is owed let off, unless somebody else has decided otherwise.
fn let_off(payment: &Payment, how: Forgiven) -> Result<Payment, Problem> {
    forgive(payment.clone(), how).map_err(|error| match payment.forgive {
        Some(Forgiven::Waived) => conflict("What is owed is being waived already."),
        Some(Forgiven::WrittenOff) => conflict("What is owed is being written off already."),
        None => refused(error),
    })
}

/// A decision to be made.
struct Draft {
    id: String,
    request: String,
    reason: String,
    by: String,
}

impl Draft {
    fn new(
        headers: &HeaderMap,
        by: &str,
        reason: &str,
        asked: impl std::fmt::Debug,
    ) -> Result<Self, Problem> {
        let key = idempotency_key(headers)?;
        let mut check = Check::default();
        let reason = check.text("/reason", reason, 500);
        let reason = check.finish(|| reason)?;
        let request = digest(&format!("{asked:?} {reason}"));
        Ok(Self { id: digest(key), request, reason, by: by.to_owned() })
    }

    fn decided(&self, what: Decided, at: DateTime<Utc>) -> Decision {
        let Self { id, request, reason, by } = self;
        let (id, request) = (id.clone(), request.clone());
        Decision { id, request, what, reason: reason.clone(), by: by.clone(), at }
    }
}

/// The key has made another request before.
pub(crate) fn key_reused() -> Problem {
    let detail = "This Idempotency-Key was used for another request. Use a new one.";
    Problem::new(ProblemType::KeyReused, detail)
}

/// What is decided, what it makes of the payment, and what it tells beside that.
type Outcome = (Decided, Option<Payment>, Option<Event>);

/// Decides, and stores that, once; anew when somebody else changed the payment meanwhile.
async fn made(
    api: &Api,
    id: SessionId,
    log: &Log,
    draft: &Draft,
    decide: impl Fn(&SessionFile) -> Result<Outcome, Problem>,
    limits: Option<Limits>,
) -> Result<(StatusCode, Json<DecisionView>), Problem> {
    log.session(id);
    for _ in 0..ATTEMPTS_MAX {
        let mut file = api.store.session_file(id).await?;
        if let Some(standing) = file.decisions.iter().find(|known| known.id == draft.id) {
            return same(standing, draft, &file, log);
        }
        let (what, payment, event) = decide(&file)?;
        let decision = draft.decided(what, log.now());
        let envelopes = envelopes(id, file.payment.as_ref(), payment.as_ref(), event, log)?;
        let limit = limits.zip(decision.what.credits()).map(|(limits, amount)| DailyLimit {
            person: draft.by.clone(),
            day: log.now().date_naive(),
            amount,
            most: limits.day,
        });
        // A payment is written over the version that was read. Without one, two who decide at once
        // are told apart by this.
        let nth = payment.is_none().then_some(file.decisions.len() + 1);
        let stored =
            api.store.decide(id, &decision, payment, nth, limit.as_ref(), log.now(), &envelopes);
        match stored.await {
            Ok(Stored::New(payment)) => {
                file.payment = payment.or(file.payment);
                log.outcome("decided");
                return Ok((StatusCode::ACCEPTED, Json(view(&decision, &file))));
            }
            Ok(Stored::Exists(standing)) => return same(&standing, draft, &file, log),
            Ok(Stored::LimitReached) => {
                return Err(beyond("you have given back as much as you may on one day"));
            }
            Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Stale { what: "payment" }.into())
}

/// What the decision tells: its own event, what the change of the payment tells, and that the
/// payment is due.
fn envelopes(
    session_id: SessionId,
    before: Option<&Payment>,
    after: Option<&Payment>,
    event: Option<Event>,
    log: &Log,
) -> Result<Vec<Envelope>, Problem> {
    let mut events: Vec<Event> = event.into_iter().collect();
    if let Some(after) = after {
        let told = collection::told(before, after, log.now()).map_err(anyhow::Error::from)?;
        events.extend(told);
        events.push(Event::PaymentDue { session_id, version: after.version + 1 });
    }
    let envelope = |event| Envelope::new(event, log.now(), log.trace());
    Ok(events.into_iter().map(envelope).collect())
}

/// The answer to a decision that was made before.
fn same(
    standing: &Decision,
    draft: &Draft,
    file: &SessionFile,
    log: &Log,
) -> Result<(StatusCode, Json<DecisionView>), Problem> {
    if standing.request != draft.request {
        return Err(key_reused());
    }
    log.outcome("repeat");
    Ok((StatusCode::ACCEPTED, Json(view(standing, file))))
}

/// What is asked to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    New(Scope),
    Again(u32),
    Made(u32),
    InPlace { made: u32, failed: u32 },
}

impl Asked {
    fn of(body: &RefundBody) -> Result<Self, Problem> {
        let mut check = Check::default();
        let amount = body.amount.as_ref().map(|amount| {
            let currency = check.parse("/amount/currency", &amount.currency);
            check.that("/amount/minor", amount.minor > 0, "must be above 0");
            currency.map(|currency| Amount::new(amount.minor, currency))
        });
        let mut asked = Vec::new();
        asked.extend(body.full.then_some(Self::New(Scope::All)));
        asked.extend(amount.flatten().map(|amount| Self::New(Scope::Amount(amount))));
        asked.extend(body.lines.clone().map(|lines| Self::New(Scope::Lines(lines))));
        asked.extend(body.again.map(Self::Again));
        asked.extend(body.made.map(|made| match body.in_place_of {
            Some(failed) => Self::InPlace { made, failed },
            None => Self::Made(made),
        }));
        let is_of_made = body.in_place_of.is_none() || body.made.is_some();
        check.that("/in_place_of", is_of_made, "says of `made` what it is in place of");
        let is_one = asked.len() == 1 || amount == Some(None);
        check.that("", is_one, "say exactly one of full, amount, lines, again and made");
        check.finish(|| asked.pop())
    }
}

/// The payment with what is asked given back, and that as a decision; without payment for what is
/// billed by invoice.
fn refunded(
    file: &SessionFile,
    asked: &Asked,
    reason: &str,
    limits: Option<Limits>,
) -> Result<(Option<Payment>, Decided), Problem> {
    let scope = match asked {
        Asked::New(scope) => scope,
        Asked::Again(number) => return again(file, collected(file)?, *number),
        Asked::Made(number) => return made_at_stripe(file, collected(file)?, *number),
        Asked::InPlace { made, failed } => {
            return in_place(file, collected(file)?, *made, *failed);
        }
    };
    let lines = if let Scope::Lines(lines) = scope { lines.as_slice() } else { &[] };
    if matches!(file.session.payer, Payer::Account { .. }) {
        let left = sum(priced(file)?.gross().checked_sub(credited(file)?))?;
        let amount = asked_for(file, scope, left, left, limits)?;
        return Ok((None, Decided::Refund { scope: scope.clone(), amount, refunds: Vec::new() }));
    }
    let payment = able_to_give(collected(file)?, scope, limits)?;
    let surplus = payment.surplus.unwrap_or(Amount::zero(payment.captured.currency));
    let left = sum(payment.captured.checked_sub(surplus))?;
    let left = sum(left.checked_sub(credited(file)?))?;
    let refundable = payment.refundable().map_err(refused)?;
    let amount = asked_for(file, scope, left, sum(left.min(refundable))?, limits)?;
    let (payment, refunds) = asking(payment, amount, reason, lines)?;
    Ok((Some(payment), Decided::Refund { scope: scope.clone(), amount, refunds }))
}

/// The payment as it can give money back. What is owed is let off first, all of it or nothing: who
/// gets money back owes none.
fn able_to_give(
    payment: &Payment,
    scope: &Scope,
    limits: Option<Limits>,
) -> Result<Payment, Problem> {
    if payment.owed.is_zero() {
        return Ok(payment.clone());
    }
    if payment.is_collecting() {
        return Err(conflict("The payment is being collected. Try again in a moment."));
    }
    if *scope != Scope::All {
        return Err(conflict("Something is still owed: waive it, or give back all."));
    }
    // Who has limits gives money back; letting debts off is not theirs.
    if limits.is_some() {
        return Err(beyond("something is still owed, and only finance lets that off"));
    }
    let_off(payment, Forgiven::Waived)
}

/// How much `scope` is, if so much is left and may be given back; `all` is what all is.
fn asked_for(
    file: &SessionFile,
    scope: &Scope,
    left: Amount,
    all: Amount,
    limits: Option<Limits>,
) -> Result<Amount, Problem> {
    let amount = match scope {
        Scope::All => all,
        scope => amount_of(priced(file)?, scope).map_err(|error| conflict(&error.to_string()))?,
    };
    if amount.currency != left.currency || amount.minor > left.minor || amount.minor < 1 {
        return Err(conflict(&format!("{left} are left to be given back.")));
    }
    if let Scope::Lines(lines) = scope
        && lines.iter().any(|line| lines_given_back(file).any(|given| given == line))
    {
        return Err(conflict("One of the lines was given back before."));
    }
    let before = credited(file)?.minor;
    if limits.is_some_and(|limits| before.saturating_add(amount.minor) > limits.session) {
        return Err(beyond("it is more than support may give back of one session"));
    }
    Ok(amount)
}

/// A refund that failed, tried again.
fn again(
    file: &SessionFile,
    payment: &Payment,
    number: u32,
) -> Result<(Option<Payment>, Decided), Problem> {
    let failed = payment.refunds.iter().find(|refund| refund.number == number);
    let failed = failed.filter(|refund| refund.still_owed().minor > 0);
    if failed.is_none() {
        return Err(conflict("There is no such refund that failed and is still owed."));
    }
    // What was made at Stripe may be this one, made again there: then nothing is owed any more. That
    // it was credited by itself says nothing, for that this one failed may have been heard later.
    let is_unclear = |made: &&Refund| made.made_of_sale().is_some() && !file.is_said_made(made);
    if let Some(made) = payment.refunds.iter().find(is_unclear) {
        return Err(conflict(&format!(
            "Refund {} was made at Stripe and may be in its place. Say first whether it is \
             (in_place_of) or was made for something else.",
            made.number
        )));
    }
    let known = payment.refunds.len();
    let payment = refund_again(payment.clone(), number).map_err(refused)?;
    let asked = payment.refunds.iter().skip(known).map(|refund| refund.amount.minor);
    let amount = Amount::new(asked.sum(), payment.wanted.currency);
    let refunds = numbers_after(&payment, known);
    Ok((Some(payment), Decided::RefundAgain { failed: number, refunds, amount }))
}

/// A refund that was made at Stripe, to be credited because a person says what it takes back.
fn made_at_stripe(
    file: &SessionFile,
    payment: &Payment,
    number: u32,
) -> Result<(Option<Payment>, Decided), Problem> {
    let (made, amount) = undecided(file, payment, number)?;
    let sold = Sold::of(&file.journal, priced(file)?.currency).map_err(anyhow::Error::from)?;
    let key = made.id.as_deref().unwrap_or_default();
    let left = sum(file.left_to_credit(key, sum(sold.all().gross())?))?;
    if amount.minor > left.minor && !file.has_note_of(made) {
        return Err(conflict(&format!("{left} are left of the sale to be credited.")));
    }
    let payment = credit_made(payment.clone(), number).map_err(refused)?;
    Ok((Some(payment), Decided::RefundMade { refund: number, amount }))
}

/// A refund that was made at Stripe, as another try of one that failed.
fn in_place(
    file: &SessionFile,
    payment: &Payment,
    number: u32,
    failed: u32,
) -> Result<(Option<Payment>, Decided), Problem> {
    let (made, of_sale) = undecided(file, payment, number)?;
    if made.credited {
        return Err(conflict("It is credited already, as a part of the sale of its own."));
    }
    let other = payment.refunds.iter().find(|refund| refund.number == failed);
    let owed = other.map(Refund::still_owed).filter(|owed| owed.minor > 0);
    let owed =
        owed.ok_or_else(|| conflict("There is no such refund that failed and is still owed."));
    let amount = sum(of_sale.min(owed?))?;
    let payment = stand_in(payment.clone(), number, failed).map_err(refused)?;
    Ok((Some(payment), Decided::RefundInPlace { refund: number, failed, amount }))
}

/// A refund that was made at Stripe and of which no person has said what it takes back, and how
/// much of the sale that is, if it is of the sale.
fn undecided<'a>(
    file: &SessionFile,
    payment: &'a Payment,
    number: u32,
) -> Result<(&'a Refund, Amount), Problem> {
    let made = payment.refunds.iter().find(|refund| refund.number == number);
    let made = made.filter(|refund| !file.is_said_made(refund));
    made.and_then(|made| Some((made, made.made_of_sale()?))).ok_or_else(|| {
        conflict("There is no such refund that was made at Stripe and is not decided.")
    })
}

/// The payment with these refunds wanted, and their numbers.
fn asking(
    payment: Payment,
    amount: Amount,
    reason: &str,
    lines: &[u32],
) -> Result<(Payment, Vec<u32>), Problem> {
    let known = payment.refunds.len();
    let payment = refund(payment, amount, reason, lines).map_err(refused)?;
    let numbers = numbers_after(&payment, known);
    Ok((payment, numbers))
}

fn numbers_after(payment: &Payment, known: usize) -> Vec<u32> {
    payment.refunds.iter().skip(known).map(|refund| refund.number).collect()
}

/// What of the sale is given back so far, whether it arrived or not: as it was decided here, and as
/// it was made at Stripe.
fn credited(file: &SessionFile) -> Result<Amount, Problem> {
    let zero = Amount::zero(priced(file)?.currency);
    let decided = file.decisions.iter().filter_map(|decision| decision.what.credits());
    let refunds = file.payment.iter().flat_map(|payment| &payment.refunds);
    let made = refunds.filter_map(Refund::takes_back);
    sum(decided.chain(made).try_fold(zero, Amount::checked_add))
}

fn lines_given_back(file: &SessionFile) -> impl Iterator<Item = &u32> {
    file.decisions.iter().flat_map(|decision| match &decision.what {
        Decided::Refund { scope: Scope::Lines(lines), .. } => lines.as_slice(),
        _ => &[],
    })
}

pub(crate) fn priced(file: &SessionFile) -> Result<&PricedSession, Problem> {
    let detail = "The session has no price yet.";
    file.rated.as_ref().ok_or_else(|| Problem::new(ProblemType::NotPriced, detail))
}

fn collected(file: &SessionFile) -> Result<&Payment, Problem> {
    let payment = file.payment.as_ref().filter(|payment| payment.total.is_some());
    payment.ok_or_else(|| conflict("Nothing is collected by card for this session."))
}

fn sum<T>(sum: Result<T, quantities::MoneyError>) -> Result<T, Problem> {
    sum.map_err(|error| anyhow::Error::from(error).into())
}

fn conflict(detail: &str) -> Problem {
    Problem::new(ProblemType::Conflict, detail)
}

fn beyond(why: &str) -> Problem {
    Problem::new(ProblemType::Forbidden, format!("Finance has to do it: {why}."))
}

fn refused(error: MoneyError) -> Problem {
    match &error {
        MoneyError::RefundTooLarge { refundable, .. } => {
            conflict(&format!("{refundable} are left to be given back."))
        }
        MoneyError::InProgress { .. } => {
            conflict("The payment is being collected. Try again in a moment.")
        }
        MoneyError::OutOfStep { .. } => conflict("The payment is not where this is possible."),
        _ => anyhow::Error::from(error).into(),
    }
}

fn view(decision: &Decision, file: &SessionFile) -> DecisionView {
    let (kind, amount, numbers): (_, _, &[u32]) = match &decision.what {
        Decided::Refund { amount, refunds, .. } => ("refund", Some(*amount), refunds),
        Decided::RefundAgain { amount, refunds, .. } => ("refund_again", Some(*amount), refunds),
        Decided::RefundMade { amount, refund } => {
            ("refund_made", Some(*amount), std::slice::from_ref(refund))
        }
        Decided::RefundInPlace { amount, refund, .. } => {
            ("refund_in_place", Some(*amount), std::slice::from_ref(refund))
        }
        Decided::Waive => ("waive", None, &[]),
        Decided::WriteOff => ("write_off", None, &[]),
        Decided::Credit => ("credit", None, &[]),
        Decided::SubmitEvidence { .. } => ("submit_evidence", None, &[]),
        Decided::AcceptDispute { .. } => ("accept_dispute", None, &[]),
    };
    let refunds = file.payment.iter().flat_map(|payment| &payment.refunds);
    let refunds = refunds.filter(|refund| numbers.contains(&refund.number));
    let refund = |refund: &Refund| RefundView {
        number: refund.number,
        amount: refund.amount.into(),
        state: refund.state,
        still_owed: Some(refund.still_owed()).filter(|it| it.minor > 0).map(AmountView::from),
    };
    let made = refunds.clone().find_map(|refund| refund.id.as_deref());
    let is_its_own = |key: &str| match decision.what {
        Decided::Waive => key == "waiver",
        Decided::RefundMade { .. } => Some(key) == made,
        _ => key == decision.id,
    };
    let note = file.credit_notes.iter().find(|(key, _)| is_its_own(key));
    DecisionView {
        id: decision.id.clone(),
        kind: kind.to_owned(),
        amount: amount.map(AmountView::from),
        reason: decision.reason.clone(),
        by: decision.by.clone(),
        at: decision.at,
        refunds: refunds.map(refund).collect(),
        credit_note: note.map(|(_, note)| note.number.clone()),
    }
}

#[cfg(test)]
mod tests;
