//! What Authorize takes, beside the floor: Heartbeat, whose function asks nothing of anybody. An
//! earlier build of Authorize may stand beside both, as a function of its own over the same table.
//!
//! All are invoked in the same way, in short rounds that take turns, so that whatever else the
//! machine does falls on all of them.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    budget::{RequestLog, Usage},
    network::Network,
    platform::Platform,
};

/// The tag that is asked for: a member with a subscription and a card.
const TAG: &str = "BUDGET-01";
const AUTHORIZE: &str = "ocpp-authorize";
/// What the earlier build is deployed as.
const BEFORE: &str = "ocpp-authorize-before";

const WARM_UP: u32 = 50;
const ROUNDS: u32 = 100;
const PER_ROUND: u32 = 10;

/// What each of them took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Floor {
    /// The floor first.
    pub rows: Vec<Taken>,
}

/// What one of them took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Which.
    pub name: &'static str,
    /// How often it was invoked.
    pub invocations: u32,
    /// What it asked of AWS, all invocations together.
    pub requests: u32,
    /// Half of the invocations took no longer, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 took no longer, in microseconds.
    pub p99_us: u64,
}

/// One that is measured.
struct Subject {
    name: &'static str,
    function: &'static str,
    event: Value,
    taken: Vec<Duration>,
    usage: Usage,
}

impl Subject {
    fn new(name: &'static str, function: &'static str, action: &str, payload: &Value) -> Self {
        let event = event(action, payload);
        Self { name, function, event, taken: Vec::new(), usage: Usage::default() }
    }

    async fn invoke(&self, platform: &Platform) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let answer = platform.invoke(self.function, &self.event).await?;
        let took = began.elapsed();
        let body = answer["body"].as_str().unwrap_or_default();
        let good = body.contains("currentTime") || body.contains("Accepted");
        ensure!(good, "{} answered {answer}", self.name);
        Ok(took)
    }

    async fn round(&mut self, platform: &Platform, log: &RequestLog) -> anyhow::Result<()> {
        let from = log.length()?;
        for _ in 0..PER_ROUND {
            let took = self.invoke(platform).await?;
            self.taken.push(took);
        }
        for usage in log.since(from)?.into_values() {
            self.usage += usage;
        }
        Ok(())
    }

    fn taken(mut self) -> Taken {
        self.taken.sort_unstable();
        let at = |percent: usize| {
            let index = (self.taken.len() * percent).div_ceil(100).saturating_sub(1);
            let took = self.taken.get(index).copied().unwrap_or_default();
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
        };
        let Usage { invocations, reads, writes, transactions, queue_requests, other, .. } =
            self.usage;
        let requests = reads + writes + transactions + queue_requests + other;
        Taken { name: self.name, invocations, requests, p50_us: at(50), p99_us: at(99) }
    }
}

/// Measures the floor, Authorize as it is, and the build of an earlier one at `before`.
///
/// # Errors
///
/// When a function cannot be deployed or does not accept the tag.
pub async fn measure(
    platform: &Platform,
    network: &Network,
    log: &RequestLog,
    before: Option<&Path>,
) -> anyhow::Result<Floor> {
    let entitlement = json!({
        "status": "Accepted",
        "tier": "gold",
        "driver_id": "driver-budget",
        "subscription": {
            "id": "sub_budget", "status": "active", "current_period_end": "2100-01-01T00:00:00Z",
        },
        "payer": { "kind": "card", "customer": "cus_budget", "payment_method": "pm_budget" },
    });
    let token = platform.token("operator", &["admin"])?;
    let path = format!("/operator/entitlements/{TAG}");
    network.http().ask(&token, Method::PUT, &path, Some(&entitlement)).await?;

    let tag = json!({ "idTag": TAG });
    let mut subjects = vec![
        Subject::new("Heartbeat, the floor", "ocpp-heartbeat", "Heartbeat", &json!({})),
        Subject::new("Authorize", AUTHORIZE, "Authorize", &tag),
    ];
    if let Some(build) = before {
        deploy_beside(platform, build).await?;
        subjects.push(Subject::new("Authorize, the earlier build", BEFORE, "Authorize", &tag));
    }
    for subject in &subjects {
        for _ in 0..WARM_UP {
            subject.invoke(platform).await?;
        }
    }
    for round in 0..ROUNDS {
        let first = usize::try_from(round)? % subjects.len();
        subjects.rotate_left(first);
        for subject in &mut subjects {
            subject.round(platform, log).await?;
        }
        subjects.rotate_right(first);
    }
    Ok(Floor { rows: subjects.into_iter().map(Subject::taken).collect() })
}

/// Deploys an earlier build of Authorize with the role and the variables of the present one.
async fn deploy_beside(platform: &Platform, build: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("making a folder for the earlier build")?;
    let bootstrap = folder.path().join("bootstrap");
    fs::copy(build, &bootstrap).with_context(|| format!("reading {}", build.display()))?;
    let zip = folder.path().join("function.zip");
    let python = ["-m", "zipfile", "-c"];
    let zipped = Command::new("python3").args(python).arg(&zip).arg(&bootstrap).status();
    ensure!(zipped.context("starting python3")?.success(), "cannot zip {}", build.display());
    let code = BASE64_STANDARD.encode(fs::read(&zip).context("reading the zip")?);
    platform.copy_function(AUTHORIZE, BEFORE, &code).await
}

/// The event of a WebSocket route.
fn event(action: &str, payload: &Value) -> Value {
    json!({
        "requestContext": {
            "routeKey": action,
            "authorizer": {
                "chargePointId": "BUDGET-CP", "siteId": "AMS-01", "timeZone": "Europe/Amsterdam",
                "principalId": "BUDGET-CP",
            },
            "messageId": "m", "eventType": "MESSAGE", "messageDirection": "IN", "stage": "live",
            "extendedRequestId": "e", "requestId": "r", "connectionId": "c", "apiId": "a",
            "requestTime": "01/Mar/2026:12:00:05 +0000", "requestTimeEpoch": 1_772_366_405_000_i64,
            "connectedAt": 1_772_366_400_000_i64, "identity": { "sourceIp": "192.0.2.1" },
            "domainName": "budget",
        },
        "body": json!([2, "1", action, payload]).to_string(),
        "isBase64Encoded": false,
    })
}

impl Floor {
    /// The table as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "What Authorize takes, beside the floor: {} invocations of each in rounds of \
             {PER_ROUND} that take turns, debug builds on the local platform.\n\n\
             | message | requests each | p50, ms | p99, ms | p50 over the floor | p99 over the \
             floor |\n|---|--:|--:|--:|--:|--:|\n",
            ROUNDS * PER_ROUND,
        );
        let floor = self.rows.first();
        for row in &self.rows {
            let over = |of: fn(&Taken) -> u64| match floor {
                Some(floor) if floor.name != row.name => ms(of(row)) - ms(of(floor)),
                _ => Decimal::ZERO,
            };
            let each = Decimal::from(row.requests).checked_div(row.invocations.into());
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                row.name,
                each.unwrap_or_default().round_dp(2).normalize(),
                ms(row.p50_us),
                ms(row.p99_us),
                over(|row| row.p50_us),
                over(|row| row.p99_us),
            );
        }
        text
    }
}

/// Milliseconds with two decimals.
fn ms(us: u64) -> Decimal {
    let mut shown = (Decimal::from(us) / Decimal::ONE_THOUSAND).round_dp(2);
    shown.rescale(2);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_take_no_longer_than_the_median_and_one_of_a_hundred_longer_than_p99() {
        let mut subject = Subject::new("a", "f", "Heartbeat", &json!({}));
        subject.taken = (1..=200).rev().map(Duration::from_micros).collect();
        subject.usage = Usage { invocations: 200, reads: 200, ..Usage::default() };
        let taken = subject.taken();
        assert_eq!((taken.p50_us, taken.p99_us, taken.requests), (100, 198, 200));
    }

    #[test]
    fn the_table_says_how_much_more_than_the_floor_it_took() {
        let row = |name, requests, p50_us, p99_us| Taken {
            name,
            invocations: 100,
            requests,
            p50_us,
            p99_us,
        };
        let rows = vec![row("floor", 0, 7_004, 12_000), row("Authorize", 100, 9_500, 14_250)];
        let text = Floor { rows }.markdown();
        assert!(text.contains("| floor | 0 | 7.00 | 12.00 | 0 | 0 |"), "{text}");
        assert!(text.contains("| Authorize | 1 | 9.50 | 14.25 | 2.50 | 2.25 |"), "{text}");
    }
}
