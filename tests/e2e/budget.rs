//! Must show 5: what each message may ask of AWS.

use anyhow::Context as _;
use tallywatt::budget::Usage;

use crate::harness::Suite;

pub(crate) async fn every_message_keeps_to_its_budget(suite: &Suite) -> anyhow::Result<()> {
    let budget = &suite.before().await?.budget;
    let of = |message: &str| {
        let usage = budget.message(message);
        usage.with_context(|| format!("no {message} was measured: this test proved nothing"))
    };
    // Reads, items of these, writes, transactions, items of these, SQS, anything else.
    let limits = [
        ("handshake, checked", [1, 1, 0, 0, 0, 0, 0]),
        ("handshake, accepted", [0, 0, 1, 0, 0, 0, 0]),
        ("BootNotification", [0, 0, 1, 0, 0, 0, 0]),
        ("Heartbeat", [0, 0, 0, 0, 0, 0, 0]),
        ("Authorize", [1, 1, 0, 0, 0, 0, 0]),
        // Site, offers and entitlement in one batch; session and event in one transaction.
        ("StartTransaction", [1, 3, 0, 1, 2, 0, 0]),
        ("MeterValues", [0, 0, 1, 0, 0, 0, 0]),
        ("StopTransaction", [1, 1, 0, 1, 2, 0, 0]),
    ];
    for (message, limits) in limits {
        let usage = of(message)?;
        let Usage { invocations, reads, read_items, writes, transactions, .. } = usage;
        let Usage { transaction_items, queue_requests, other, .. } = usage;
        let found =
            [reads, read_items, writes, transactions, transaction_items, queue_requests, other];
        assert_eq!(found, limits.map(|limit| limit * invocations), "{message}: {usage:?}");
    }
    Ok(())
}
