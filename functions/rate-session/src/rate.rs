//! Load, decide, store.

use anyhow::{Context as _, bail};
use chrono::TimeDelta;
use messages::{Envelope, Event};
use quantities::SessionId;
use rating::{Rules, TariffVersion};
use runtime::{Invocation, Metric};
use session::{
    ExceptionReason, ExceptionRecord, Session, SessionState, Timeline, released_at, timeline,
};
use store::{PlanState, Rated, Store};

use crate::books::Bill;

/// How long before the start the connector's status may have been reported.
const STATUS_LEAD: TimeDelta = TimeDelta::minutes(10);

/// How far a charger's clock may be ahead of ours for its statuses to be seen.
const STATUS_AHEAD: TimeDelta = TimeDelta::days(1);

/// How often a session is priced anew because its account used more meanwhile, before its message
/// has to come again.
const ATTEMPTS_MAX: u32 = 8;

pub(crate) async fn on_event(
    store: &Store,
    envelope: Envelope,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    match envelope.event {
        Event::SessionEnded { session_id }
        | Event::SessionReleased { session_id }
        | Event::SessionResolved { session_id, .. } => rate(store, session_id, invocation).await,
        other => bail!("rate-session does not know what to do with {}", other.event_type()),
    }
}

async fn rate(store: &Store, session_id: SessionId, invocation: &Invocation) -> anyhow::Result<()> {
    let mut file = store.session_file(session_id).await?;
    if file.session.state != SessionState::Ended {
        // A repeat, or somebody was faster: the state says that it is taken care of.
        invocation.outcome("not waiting for a price");
        return Ok(());
    }
    let session = &file.session;
    // Neither an occupied connector nor doubtful readings hold what a person has decided.
    let by_person = session.billed_by_person;
    if session.waits_for_card() {
        // Whoever matches its card sends it back here, and whoever finds none holds it.
        invocation.outcome("waits for its card");
        return Ok(());
    }
    if !session.has_payer() {
        let detail = "the idTag of the transaction is nobody's who could pay, or might not start";
        let detail = detail.to_owned();
        return hold(store, session, ExceptionReason::NoPayer, detail, invocation).await;
    }
    let Some(reference) = &session.tariff else {
        let detail = "no tariff was on offer at the site when the session began".to_owned();
        return hold(store, session, ExceptionReason::NoTariff, detail, invocation).await;
    };
    let tariff = store.tariff(reference).await?;
    let ended_at = session.ended_at.context("an ended session has no end")?;
    let (id, connector) = (&session.charge_point_id, session.connector_id);
    // The connector first: what is reported after this read fails the wait's condition.
    let seen = store.connector(id, connector).await?;
    let (from, to) = (session.started_at - STATUS_LEAD, invocation.now() + STATUS_AHEAD);
    let statuses = store.statuses(id, connector, from, to).await?;

    // A person bills until the end they have named; idle time after it is theirs to include.
    file.session.released_at = None;
    if tariff.has_idle_fee() && !by_person {
        let Some(released_at) = released_at(ended_at, &statuses) else {
            store.await_release(&file.session, seen.as_ref()).await?;
            invocation.outcome("awaiting release");
            return Ok(());
        };
        file.session.released_at = Some(released_at);
    }
    // What it can deliver, and the keys its meters sign with.
    let charger = store.charger(&file.session.charge_point_id).await?;
    let (session, frames, now) = (&file.session, &file.meter_values, invocation.now());
    let timeline = timeline(session, frames, &statuses, now, charger.as_ref());
    invocation.field("findings", timeline.findings.len());
    let doubts: Vec<_> = timeline
        .findings
        .iter()
        .filter(|finding| finding.code.holds_billing())
        .map(|finding| format!("{}: {}", finding.code, finding.detail))
        .collect();
    if !doubts.is_empty() && !by_person {
        let reason = ExceptionReason::Unratable;
        return hold(store, &file.session, reason, doubts.join("; "), invocation).await;
    }
    price(store, &file.session, &tariff, &timeline, invocation).await
}

/// Prices with what the account has used so far, and again when others used more meanwhile.
async fn price(
    store: &Store,
    session: &Session,
    tariff: &TariffVersion,
    timeline: &Timeline,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    for _ in 0..ATTEMPTS_MAX {
        let plan = store.plan_state(session).await?;
        let in_force = plan.as_ref().map(PlanState::in_force);
        let rules = Rules::pinned(session).with_plan(in_force);
        // What cannot be priced, or not be booked, is a person's; trying again would not help.
        let bill = rating::rate(tariff, timeline, &rules).map_err(anyhow::Error::new);
        let bill =
            bill.and_then(|priced| Bill::new(session, priced, plan.as_ref(), invocation.now()));
        let bill = match bill {
            Ok(bill) => bill,
            Err(error) => {
                let (reason, detail) = (ExceptionReason::Unratable, format!("{error:#}"));
                return hold(store, session, reason, detail, invocation).await;
            }
        };
        if save(store, session, &bill, invocation).await? != Rated::UsageMoved {
            return Ok(());
        }
    }
    bail!("the account's usage changed {ATTEMPTS_MAX} times while the session was priced")
}

async fn save(
    store: &Store,
    session: &Session,
    bill: &Bill<'_>,
    invocation: &Invocation,
) -> anyhow::Result<Rated> {
    let Bill { priced, journal, usage } = bill;
    let event = Event::SessionRated {
        session_id: session.id,
        total: priced.gross(),
        journal: journal.clone(),
    };
    let envelope = Envelope::new(event, invocation.now(), invocation.trace());
    let rated = store.rate(session, priced, journal, &envelope, usage.as_ref()).await?;
    if rated == Rated::New {
        invocation.count(Metric::SessionsRated, 1);
        invocation.count_money(Metric::RevenueMinor, priced.gross());
        invocation.count_energy(priced.total_energy);
        invocation.outcome("rated");
    }
    Ok(rated)
}

async fn hold(
    store: &Store,
    session: &Session,
    reason: ExceptionReason,
    detail: String,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let exception = ExceptionRecord::of_session(reason, session, detail, invocation.now());
    // A session can be held again after a decision, whose record stays as it is.
    let exception = exception.distinguished(&invocation.now().to_rfc3339());
    store.hold(session, &exception).await?;
    invocation.count(Metric::Exceptions, 1);
    invocation.outcome(reason.code());
    Ok(())
}
