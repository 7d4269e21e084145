//! `reconcile-subscriptions`: every night, compares the memberships here with the subscriptions at
//! the platform that bills them, both ways; repairs what differs, and reports it.
//!
//! What an event did not tell is found here. Each entry is its own conditional write, so a run may
//! stop anywhere and the next goes on.

use anyhow::Context as _;
use lambda_runtime::Error;
use network::Trust;
use runtime::{Function, Invocation, Metric};
use serde_json::Value;
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
    let handler =
        async |_: Value, invocation: &Invocation| night(&store, &source, trust, invocation).await;
    function.serve(handler).await
}

async fn night(
    store: &Store,
    source: &StripeSubscriptions,
    trust: Trust,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let report = reconcile(store, source, trust, invocation.now()).await?;
    store.log_reconciliation(&report).await.context("storing the report")?;
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    invocation.field("entries", report.entries);
    invocation.field("repaired", report.repaired);
    invocation.count(Metric::MembershipDrift, count(report.repaired));
    invocation.count(Metric::UnclaimedSubscriptions, count(report.unclaimed));
    anyhow::ensure!(report.failures.is_empty(), "not compared: {}", report.failures.join("; "));
    Ok(())
}
