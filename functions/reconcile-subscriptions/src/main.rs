//! `reconcile-subscriptions`: every night, and when an operator asks for it, compares the memberships
//! here with the subscriptions at the platform that bills them, both ways; repairs what differs, and
//! reports it.
//!
//! What an event did not tell is found here. Each entry is its own conditional write, so a run may
//! stop anywhere and the next goes on.

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use lambda_runtime::Error;
use messages::{Envelope, Event};
use network::{Reconciliation, Trust};
use runtime::{Function, Invocation, Metric};
use store::Store;
use subscriptions::{reconcile, stripe::StripeSubscriptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("reconcile-subscriptions").await?;
    let store = Store::from_environment(&function.aws)?;
    let trust = Trust::parse(
        &function.variable("MEMBERSHIP_TRUST_HOURS")?,
        &function.variable("MEMBERSHIP_WHEN_STALE")?,
    )?;
    let source = StripeSubscriptions::new(collection::stripe(&function).await?);
    let asked = async |envelope: Envelope, invocation: &Invocation| {
        let Event::ReconciliationRequested { requested_at } = envelope.event else {
            bail!("reconcile-subscriptions cannot do {}", envelope.event.event_type());
        };
        run(&store, &source, trust, requested_at, invocation).await
    };
    let night = async |invocation: &Invocation| {
        run(&store, &source, trust, invocation.now(), invocation).await
    };
    function.serve_queue_and_schedule(asked, night).await
}

/// Compares once, and files the report under `started_at`: the same run again, the same report.
async fn run(
    store: &Store,
    source: &StripeSubscriptions,
    trust: Trust,
    started_at: DateTime<Utc>,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let report = reconcile(store, source, trust, invocation.now()).await?;
    let report = Reconciliation { started_at, ..report };
    store.log_reconciliation(&report).await.context("storing the report")?;
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    invocation.field("entries", report.entries);
    invocation.field("repaired", report.repaired);
    invocation.count(Metric::MembershipDrift, count(report.repaired));
    invocation.count(Metric::UnclaimedSubscriptions, count(report.unclaimed));
    anyhow::ensure!(report.failures.is_empty(), "not compared: {}", report.failures.join("; "));
    Ok(())
}
