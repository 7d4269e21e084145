//! Must show 3 and 4: repeats and crashes change no cent.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use ledger::JournalEntry;
use messages::Queue;
use payments::webhook::EVENT_TYPES;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use stripe_twin::{Fault, FaultKind, WebhookEndpoint};
use tallywatt::{
    budget::RequestLog,
    closing::{Closing, SessionRows},
    network::driver_id,
    platform::{Platform, Service, TestSwitches},
    scenario::{Manner, Played, play_all},
};
use tokio::time::sleep;

use crate::{
    harness::{Suite, World, rows},
    receipts::{address_of, mails_to, wants_mail},
};

/// What a session came to, in the words that a driver, an accountant and a partner would use.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    state: String,
    gross: Option<String>,
    captured: Option<String>,
    owed: Option<String>,
    cdr: Option<String>,
    /// Sums by side and account: a hold that comes too late is charged in one sum instead of two,
    /// which is the same money.
    booked: BTreeMap<String, i64>,
}

impl Outcome {
    fn of(rows: &SessionRows) -> Self {
        let payment = rows.payment.as_ref();
        let mut booked = BTreeMap::new();
        for line in rows.journal.iter().flat_map(JournalEntry::lines) {
            let account = format!("{:?} {:?} {}", line.side, line.account, line.amount.currency);
            *booked.entry(account).or_default() += line.amount.minor;
        }
        Self {
            state: rows.state.clone(),
            gross: rows.rated.as_ref().map(|priced| priced.gross().to_string()),
            captured: payment.map(|payment| payment.captured.to_string()),
            owed: payment.map(|payment| payment.owed.to_string()),
            cdr: rows.cdr.as_ref().map(|cdr| format!("{:?}", cdr.total_cost)),
            booked,
        }
    }
}

fn outcomes(played: &[Played], closing: &Closing) -> anyhow::Result<BTreeMap<String, Outcome>> {
    let mut outcomes = BTreeMap::new();
    for Played { case, session_id, .. } in played {
        if session_id.is_some() {
            let outcome = Outcome::of(rows(played, closing, &case.name)?);
            outcomes.insert(case.name.clone(), outcome);
        }
    }
    Ok(outcomes)
}

pub(crate) async fn everything_sent_and_delivered_twice_charges_once(
    suite: &Suite,
) -> anyhow::Result<()> {
    let before = suite.before().await?;
    let folder = tempfile::tempdir()?;
    let log = RequestLog::new(folder.path().join("requests.jsonl"));
    let switches = TestSwitches { deliver_twice: true, request_log: Some(log.path().to_owned()) };
    let _alone = suite.alone().await;
    let world = World::start(switches).await?;
    stripe_repeats(&world).await?;
    all_want_mail(&world).await?;
    let manner = Manner { repeat: 2, ..Manner::default() };
    let played = world.play(&world.cases, manner).await?;
    let closing = world.close().await?;
    assert_eq!(calls(&played), 2 * calls(&before.played), "every call was sent twice");

    world.must_hold(&closing.checks(&played)).await?;
    same(&outcomes(&played, &closing)?, &outcomes(&before.played, &before.closing)?);
    assert_eq!(world.intents(), before.intents, "PaymentIntents at Stripe by status");
    // Had it not been so, nothing would be shown: a rated session has one message for its CDR.
    let rated = before.played.iter().filter(|played| played.case.outcome == "rated").count();
    let given = log.since(0)?.get("publish-cdr").map_or(0, |usage| usage.records);
    ensure!(usize::try_from(given)? >= 2 * rated, "only {given} messages for {rated} CDRs");
    mailed_once(&world).await
}

/// Every driver wants their receipts by e-mail.
async fn all_want_mail(world: &World) -> anyhow::Result<()> {
    for case in &world.cases {
        wants_mail(world, &driver_id(case)).await?;
    }
    Ok(())
}

/// Whoever paid has a mail.
async fn mailed_at_least_once(
    world: &World,
    played: &[Played],
    closing: &Closing,
) -> anyhow::Result<()> {
    let mut paid = 0;
    for Played { case, session_id, .. } in played {
        let Some(payment) = session_id.and_then(|id| closing.sessions.get(&id)?.payment.as_ref())
        else {
            continue;
        };
        if !payment.captured.is_zero() {
            let mails = mails_to(world, &address_of(&driver_id(case))).await?;
            ensure!(!mails.is_empty(), "no mail for {}", case.name);
            paid += 1;
        }
    }
    ensure!(paid > 5, "only {paid} have paid: this test proved nothing");
    Ok(())
}

/// No mail was sent twice, and there were some.
async fn mailed_once(world: &World) -> anyhow::Result<()> {
    let mut sent = 0;
    for case in &world.cases {
        let mails = mails_to(world, &address_of(&driver_id(case))).await?;
        let texts: BTreeSet<_> = mails.iter().map(|mail| mail["BodyText"].to_string()).collect();
        assert_eq!(texts.len(), mails.len(), "a mail came twice: {mails:#?}");
        sent += mails.len();
    }
    ensure!(sent > 5, "only {sent} mails: this test proved nothing");
    Ok(())
}

/// Stripe sends every event to a second endpoint, which is the same function, and there twice and
/// in disorder.
async fn stripe_repeats(world: &World) -> anyhow::Result<()> {
    let request = json!({ "SecretId": world.platform.output("StripeSecretName")? });
    let aws = world.platform.aws();
    let secret = aws.call(Service::SecretsManager, "GetSecretValue", &request).await?;
    let secret = secret["SecretString"].as_str().context("no Stripe secret")?;
    let secret: Value = serde_json::from_str(secret)?;
    world.platform.stripe().add_webhook_endpoint(WebhookEndpoint {
        url: format!("{}/stripe/webhook", world.platform.http_url()?),
        secret: secret["webhook_secret"].as_str().context("no webhook secret")?.to_owned(),
        enabled_events: EVENT_TYPES.iter().map(|&name| name.to_owned()).collect(),
        duplicate_per_mille: 1000,
        lose_per_mille: 0,
        disorder_ms: 500,
        retry_ms: 500,
    });
    Ok(())
}

/// How many calls the chargers made.
fn calls(played: &[Played]) -> usize {
    let exchanges = played.iter().flat_map(|played| &played.report.exchanges);
    exchanges.filter(|exchange| exchange.from_charger).count()
}

/// Compares case by case, so that a difference names its case.
fn same(found: &BTreeMap<String, Outcome>, expected: &BTreeMap<String, Outcome>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (case, outcome) in found {
        assert_eq!(Some(outcome), expected.get(case), "{case}");
    }
}

pub(crate) async fn a_stripe_that_fails_often_charges_once(suite: &Suite) -> anyhow::Result<()> {
    let before = suite.before().await?;
    let _alone = suite.alone().await;
    let world = World::start(TestSwitches::default()).await?;
    // One request in four meets one of these.
    let kinds = [
        FaultKind::RateLimit,
        FaultKind::LockTimeout,
        FaultKind::ServerErrorAfterWrite,
        FaultKind::BadGateway,
        FaultKind::ResetBefore,
        FaultKind::ResetAfter,
    ];
    for kind in kinds {
        world.platform.stripe().fault(Fault::by_chance(kind, 40).on("/v1/payment_intents"));
    }
    let playing =
        play_all(&world.platform, &world.network, &world.cases, Manner::default(), |_| {});
    let (played, ()) = tokio::try_join!(playing, start_patiently(&world))?;
    world.settled().await?;
    let faults = world.platform.stripe().state()["faults"].clone();
    world.platform.stripe().clear_faults();
    let counts = faults.as_object().context("no counts of faults")?.values();
    let met: u64 = counts.filter_map(Value::as_u64).sum();
    ensure!(met > 5, "only {faults} went wrong: this test proved nothing");
    recover(&world).await?;
    let closing = world.close().await?;
    let wrong = world.must_hold(&closing.checks(&played)).await;
    wrong.with_context(|| format!("after faults: {faults}"))?;
    same(&outcomes(&played, &closing)?, &outcomes(&before.played, &before.closing)?);
    Ok(())
}

pub(crate) async fn killed_processes_lose_and_double_nothing(suite: &Suite) -> anyhow::Result<()> {
    let before = suite.before().await?;
    let _alone = suite.alone().await;
    let world = World::start(TestSwitches::default()).await?;
    all_want_mail(&world).await?;
    let manner = Manner { attempts_max: 60, ..Manner::default() };

    let mut killed = BTreeMap::new();
    let played = {
        let playing = play_patiently(&world, manner);
        let killing = kill(&world.platform, &mut killed);
        tokio::select! {
            played = playing => played?,
            never = killing => match never {},
        }
    };
    let kills: usize = killed.values().sum();
    ensure!(kills > 10, "only {killed:?} were killed: this test proved nothing");
    recover(&world).await?;
    let closing = world.close().await?;

    let wrong = world.must_hold(&closing.checks(&played)).await;
    wrong.with_context(|| format!("after {kills} kills: {killed:?}"))?;
    same(&outcomes(&played, &closing)?, &outcomes(&before.played, &before.closing)?);
    mailed_at_least_once(&world, &played, &closing).await
}

/// Plays every case; the pipeline works on the first while the last still charge, and goes on for a
/// while under the same fire.
async fn play_patiently(world: &World, manner: Manner) -> anyhow::Result<Vec<Played>> {
    let playing = play_all(&world.platform, &world.network, &world.cases, manner, |_| {});
    let (played, ()) = tokio::try_join!(playing, start_patiently(world))?;
    sleep(Duration::from_secs(5)).await;
    Ok(played)
}

/// A driver whose app shows an error presses the button again: it is the same start.
async fn start_patiently(world: &World) -> anyhow::Result<()> {
    const PRESSES_MAX: u32 = 60;
    for press in 1.. {
        match world.network.start_from_app(&world.platform, &world.cases).await {
            Ok(()) => break,
            // The stop before was done, though its answer was lost.
            Err(error) if format!("{error:#}").contains("already ended") => break,
            Err(error) if press == PRESSES_MAX => return Err(error),
            Err(_) => sleep(Duration::from_millis(500)).await,
        }
    }
    Ok(())
}

/// Kills a process of a function every 150 to 300 ms, for ever. The seed makes the pauses the same
/// on every run; which process it hits is chance.
async fn kill(
    platform: &Platform,
    killed: &mut BTreeMap<String, usize>,
) -> std::convert::Infallible {
    let mut pauses = StdRng::seed_from_u64(7);
    loop {
        sleep(Duration::from_millis(pauses.random_range(150..300))).await;
        if let Some(function) = platform.kill_random_function_process() {
            *killed.entry(function).or_default() += 1;
        }
    }
}

/// What an operator does after a bad day: what failed too often is sent round again.
async fn recover(world: &World) -> anyhow::Result<()> {
    world.settled().await?;
    for queue in Queue::ALL {
        if !world.platform.dead_letters(queue).await?.is_empty() {
            let path = format!("/dead-letters/{}/redrive", queue.name());
            world.operator(Method::POST, &path, Some(&json!({}))).await?;
        }
    }
    Ok(())
}
