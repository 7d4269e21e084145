//! `tallywatt storm`: a thousand sessions while one request in ten to Stripe meets each kind of
//! fault and its webhooks are lost, doubled and reordered; then every party is asked whether each
//! session was charged once.

mod afterwards;
mod crowd;
mod kind;
mod plan;
mod reader;
mod scene;
mod table;
mod verdict;
mod visit;
mod weather;

use std::{
    cell::Cell,
    convert::Infallible,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use chrono::{TimeDelta, Utc};
use futures_util::future::try_join_all;
use messages::Queue;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use stripe_twin::Twin;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::sleep,
};

pub use kind::{Ending, Kind};

use self::{
    plan::Station, scene::Scene, table::Table, verdict::Evidence, visit::Visited, weather::Toll,
};
use crate::{
    closing::{Check, Closing},
    inbox::Inbox,
    network::Network,
    platform::{Platform, PlatformArgs, Progress, Service},
};

/// How long the pipeline may go on after the last visit.
const SETTLED_WITHIN: Duration = Duration::from_mins(15);
/// How long people who see to a visit's money are waited for, in the storm and after it.
const PATIENCE: [Duration; 2] = [Duration::from_secs(30), Duration::from_mins(5)];
/// How often an operator goes round after the storm.
const ROUNDS_MAX: u32 = 5;
/// One for each site.
const CHARGERS_MIN: u64 = 5;
/// Fewer would not have one of each kind.
const SESSIONS_MIN: u64 = 30;

/// What differs from the usual local platform: workers have the time that they have in production,
/// so that an answer they wait for in vain does not cost them the next attempt; and what failed
/// comes again at once.
const PARAMETERS: [(&str, &str); 2] =
    [("WorkerTimeoutSeconds", "30"), ("QueueVisibilitySeconds", "8")];

/// Charges a crowd while Stripe fails, and checks every cent.
///
/// One request in ten to Stripe meets each of: 429, 409, 500, an HTML 502, a connection that breaks
/// before the work or after it, and slowness; one webhook in ten is lost, one in ten comes twice,
/// and all come in disorder. Then the weather clears, an operator sends round again what failed too
/// often, and all parties are asked.
#[derive(Debug, Clone, clap::Args)]
pub struct StormArgs {
    /// How many sessions.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(SESSIONS_MIN..=20_000))]
    sessions: u64,
    /// How many chargers play them.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u64).range(CHARGERS_MIN..=200))]
    chargers: u64,
    /// What decides who charges where, when and how much; the faults fall where they fall.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// What came of a storm.
#[derive(Debug, Serialize)]
pub struct Outcome {
    sessions: usize,
    seed: u64,
    seconds: u64,
    /// Messages that had failed too often and were sent round again afterwards, and payments that
    /// were still waiting for Stripe.
    again: u64,
    toll: Toll,
    table: Table,
    /// What must hold.
    pub checks: Vec<Check>,
}

impl Outcome {
    /// Whether everything holds.
    #[must_use]
    pub fn ok(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.ok)
    }
}

/// Runs the storm on a platform of its own.
///
/// # Errors
///
/// When the platform cannot be started, or a visit cannot be played. A check that does not hold is
/// no error but exit code 1.
pub async fn run(args: &StormArgs, json: bool) -> anyhow::Result<ExitCode> {
    let progress = Progress::visible();
    let mut options = args.platform.options(progress.clone())?;
    for (name, value) in PARAMETERS {
        options.parameters.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    let platform = Platform::start(options).await?;
    let inbox = Inbox::start(args.platform.listen()).await?;
    let network = Network::seed(&platform, &inbox, &[]).await?;
    let (sessions, chargers) = (usize::try_from(args.sessions)?, usize::try_from(args.chargers)?);
    let outcome = rage(&platform, &inbox, &network, sessions, chargers, args.seed, &progress).await;
    let ok = outcome.as_ref().is_ok_and(Outcome::ok);
    if !ok {
        for line in platform.complaints().await?.iter().rev().take(10) {
            progress.say(line);
        }
    }
    let outcome = outcome?;
    if json {
        println!("{}", serde_json::to_string_pretty(&outcome).context("the result is not JSON")?);
    } else {
        print!("{outcome}");
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lets `sessions` drawn from `seed` happen on a seeded platform, in a storm, and asks everybody.
///
/// # Errors
///
/// When a visit cannot be played, or the pipeline does not come to rest.
pub async fn rage(
    platform: &Platform,
    inbox: &Inbox,
    network: &Network,
    sessions: usize,
    chargers: usize,
    seed: u64,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let stations = plan::draw(sessions, chargers, seed)?;
    let step = progress.begin(format!("made {} chargers and their drivers", stations.len()));
    let scene = &crowd::invite(platform, network, &stations).await?;
    step.done();

    let stripe = platform.stripe();
    let fair = Toll::so_far(stripe)?;
    let began = Instant::now();
    weather::begin(stripe);
    let (over, visits) = mpsc::unbounded_channel();
    let (unfinished, to_see_to) = mpsc::unbounded_channel();
    let open = Cell::new(0);
    let happening = async {
        let visits = count(visits, sessions, &unfinished, &open, progress).await?;
        let step = progress.begin("went on with them in the storm, as far as it let");
        let [in_storm, afterwards] = PATIENCE;
        rest(platform).await?;
        finish(&open, in_storm).await;
        rest(platform).await?;
        let toll = Toll::so_far(stripe)?.since(&fair);
        step.done();
        weather::end(stripe);
        let step = progress.begin("went on in fair weather");
        age_starts(platform).await?;
        platform.fetch_undelivered().await?;
        let mut again = recover(platform, network).await?;
        finish(&open, afterwards).await;
        again += recover(platform, network).await?;
        step.done();
        anyhow::Ok((visits, toll, again))
    };
    let (visits, toll, again) = tokio::select! {
        happened = happening => happened?,
        never = play(scene, &stations, &over) => match never? {},
        never = afterwards::attend(scene, to_see_to, &open) => match never? {},
    };
    let closing = Closing::read(platform, inbox).await?;
    let (state, received) = (stripe.state(), inbox.received());
    let evidence = Evidence {
        visits: &visits,
        sessions: &closing.sessions,
        stripe: &state,
        received: &received,
    };
    let played: Vec<_> = visits.iter().map(|visited| visited.played.clone()).collect();
    let mut checks = closing.checks(&played);
    checks.extend(evidence.checks());
    let detail = format!("{} faults in {} requests", toll.hit(), toll.requests);
    checks.push(Check { name: "every kind of fault went off", ok: toll.is_a_storm(), detail });
    let seconds = began.elapsed().as_secs();
    let table = Table::of(&evidence)?;
    Ok(Outcome { sessions, seed, seconds, again, toll, table, checks })
}

/// Plays every station at once and tells of each visit that is over. Chargers do not leave when
/// nobody charges: this ends only with an error.
async fn play(
    scene: &Scene<'_>,
    stations: &[Station],
    over: &UnboundedSender<Visited>,
) -> anyhow::Result<Infallible> {
    try_join_all(stations.iter().map(|station| visit::play(scene, station, over))).await?;
    bail!("there is no charger")
}

/// Takes in the visits that are over until it has `sessions` of them; passes those on with which
/// somebody still has to do, and counts them in `open`.
async fn count(
    mut over: UnboundedReceiver<Visited>,
    sessions: usize,
    unfinished: &UnboundedSender<Visited>,
    open: &Cell<usize>,
    progress: &Progress,
) -> anyhow::Result<Vec<Visited>> {
    let step = progress.begin(format!("played {sessions} sessions in the storm"));
    let mut visits = Vec::new();
    while visits.len() < sessions {
        let visited = over.recv().await.context("the chargers have stopped")?;
        if visited.visit.kind.goes_on() {
            open.set(open.get() + 1);
            unfinished.send(visited.clone()).context("nobody sees to it")?;
        }
        visits.push(visited);
        step.note(&format!("{} of {sessions}", visits.len()));
    }
    step.done();
    Ok(visits)
}

/// Waits until nothing is left to do, neither in the queues nor for Stripe's events.
async fn rest(platform: &Platform) -> anyhow::Result<()> {
    platform.settled(SETTLED_WITHIN).await?;
    let deadline = Instant::now() + SETTLED_WITHIN;
    while pending(platform.stripe()) > 0 {
        ensure!(Instant::now() < deadline, "Stripe's events are never received");
        sleep(Duration::from_millis(200)).await;
    }
    platform.settled(SETTLED_WITHIN).await
}

/// Waits until people have seen to everything, at most so long.
async fn finish(open: &Cell<usize>, patience: Duration) {
    let deadline = Instant::now() + patience;
    while open.get() > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(200)).await;
    }
}

fn pending(stripe: &Twin) -> u64 {
    let state = stripe.state();
    state.pointer("/webhooks/pending").and_then(Value::as_u64).unwrap_or_default()
}

/// Lets the minutes pass after which the sweep looks for the hold of a start from the app whose
/// request to Stripe was not answered: until then it might still be placed.
async fn age_starts(platform: &Platform) -> anyhow::Result<()> {
    let table = platform.output("EntitlementsTable")?;
    let at = (Utc::now() - TimeDelta::minutes(11)).to_rfc3339();
    for item in platform.items("EntitlementsTable").await? {
        if item["gsi_pending"]["S"] != "INTENDED" {
            continue;
        }
        let aged = json!({
            "TableName": table,
            "Key": { "pk": item["pk"] },
            "UpdateExpression": "SET #hold.requested_at = :at",
            "ConditionExpression": "attribute_exists(gsi_pending)",
            "ExpressionAttributeNames": { "#hold": "hold" },
            "ExpressionAttributeValues": { ":at": { "S": at } },
        });
        platform.aws().call(Service::DynamoDb, "UpdateItem", &aged).await?;
    }
    Ok(())
}

/// What an operator does after a bad day: what failed too often is sent round again, payments that
/// wait for Stripe are collected now instead of by and by, and the sweep looks at everything. Gives
/// how many messages and payments that were.
async fn recover(platform: &Platform, network: &Network) -> anyhow::Result<u64> {
    let operator = platform.token("operator", &["finance"])?;
    let ask = async |method: Method, path: &str, body: Option<&Value>| {
        network.http().ask(&operator, method, &format!("/operator{path}"), body).await
    };
    let mut again = 0;
    for _ in 0..ROUNDS_MAX {
        rest(platform).await?;
        platform.sweep().await?;
        rest(platform).await?;
        let before = again;
        for queue in Queue::ALL {
            if platform.dead_letters(queue).await?.is_empty() {
                continue;
            }
            let (path, all) =
                (format!("/dead-letters/{}/redrive", queue.name()), json!({ "limit": 500 }));
            let answer = ask(Method::POST, &path, Some(&all)).await?;
            again += answer.get("moved").and_then(Value::as_u64).context("how many moved?")?;
        }
        let open = ask(Method::GET, "/payments", None).await?;
        let waits = |payment: &&Value| {
            let waits_for = payment.get("waits_for").and_then(Value::as_str);
            matches!(waits_for, Some("stripe" | "us"))
        };
        for payment in open.as_array().into_iter().flatten().filter(waits) {
            let id = payment.get("session_id").and_then(Value::as_str);
            let path = format!("/payments/{}/collect", id.context("whose payment?")?);
            ask(Method::POST, &path, None).await?;
            again += 1;
        }
        if again == before {
            break;
        }
    }
    Ok(again)
}
