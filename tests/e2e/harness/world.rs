//! A running platform with its network, and what a test does to it over the surfaces that everybody
//! has: HTTP, OCPP, Stripe.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, ensure};
use quantities::{ChargePointId, SessionId, TransactionId};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tallywatt::{
    budget::{self, Budget, RequestLog},
    closing::{Check, Closing, SessionRows},
    inbox::Inbox,
    network::{Http, Network},
    platform::{Options, Platform, Progress, TestSwitches, workspace},
    scenario::{Case, Manner, Played, play_all},
};
use tempfile::TempDir;

use super::{Station, eventually};

/// What the demo's site in Amsterdam is called; most tests happen there.
pub(crate) const SITE: &str = "AMS-01";

const SETTLED_WITHIN: Duration = Duration::from_mins(3);

/// Failed messages come again sooner than on the usual local platform, and support gives less back.
const PARAMETERS: [(&str, &str); 4] = [
    ("QueueVisibilitySeconds", "6"),
    ("WorkerTimeoutSeconds", "6"),
    ("SupportRefundSessionMinor", "300"),
    ("SupportRefundDayMinor", "500"),
];

/// A platform, seeded.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) platform: Platform,
    pub(crate) inbox: Inbox,
    pub(crate) network: Network,
    pub(crate) cases: Vec<Case>,
    stripe: reqwest::Client,
    _folder: TempDir,
}

/// The recorded sessions as the shared world played them.
#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) played: Vec<Played>,
    pub(crate) closing: Closing,
    pub(crate) checks: Vec<Check>,
    pub(crate) budget: Budget,
    /// How many PaymentIntents there were at Stripe, by their status.
    pub(crate) intents: BTreeMap<String, usize>,
}

/// Who is to pay for a tag's sessions, and how.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) customer: String,
    pub(crate) payment_method: String,
}

impl World {
    /// Starts a platform and seeds the network of all recorded sessions.
    pub(crate) async fn start(switches: TestSwitches) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        Self::start_in(switches, folder).await
    }

    async fn start_in(switches: TestSwitches, folder: TempDir) -> anyhow::Result<Self> {
        let parameters = PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let options = Options {
            parameters: parameters.into(),
            switches,
            progress: Progress::silent(),
            ..Options::default()
        };
        let platform = Platform::start(options).await?;
        let inbox = Inbox::start(Ipv4Addr::LOCALHOST.into()).await?;
        let cases = Case::read_all(&workspace().join("events/ocpp"))?;
        let network = match Network::seed(&platform, &inbox, &cases).await {
            Ok(network) => network,
            Err(error) => {
                let log = platform.emulator_log();
                return Err(error.context(format!("seeding the network; the emulator:\n{log}")));
            }
        };
        let stripe = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { platform, inbox, network, cases, stripe, _folder: folder })
    }

    /// The shared world: measures a few sessions alone, then plays all others together.
    pub(crate) async fn shared() -> anyhow::Result<(Self, Before)> {
        let folder = tempfile::tempdir()?;
        let log = RequestLog::new(folder.path().join("requests.jsonl"));
        let switches =
            TestSwitches { request_log: Some(log.path().to_owned()), ..TestSwitches::default() };
        let world = Self::start_in(switches, folder).await?;
        match world.play_before(&log).await {
            Ok(before) => Ok((world, before)),
            Err(error) => Err(error.context(world.troubles().await)),
        }
    }

    async fn play_before(&self, log: &RequestLog) -> anyhow::Result<Before> {
        let mut played = Vec::new();
        let mut measured = Vec::new();
        let (alone, together): (Vec<Case>, Vec<Case>) = self
            .cases
            .iter()
            .cloned()
            .partition(|case| budget::MEASURED.contains(&case.name.as_str()));
        for case in alone {
            let (usage, of_case) =
                budget::measure(&self.platform, &self.network, log, case).await?;
            measured.push(usage);
            played.extend(of_case);
        }
        played.extend(self.play(&together, Manner::default()).await?);
        let closing = self.close().await?;
        let checks = closing.checks(&played);
        let intents = self.intents();
        Ok(Before { played, closing, checks, budget: Budget::of(measured), intents })
    }

    /// Plays `cases` together, the start from the app included.
    pub(crate) async fn play(&self, cases: &[Case], manner: Manner) -> anyhow::Result<Vec<Played>> {
        let starting = self.network.start_from_app(&self.platform, cases);
        let playing = play_all(&self.platform, &self.network, cases, manner, |_| {});
        let (played, ()) = tokio::try_join!(playing, starting)?;
        Ok(played)
    }

    /// Waits until nothing is left to do, sweeps, and asks everybody.
    pub(crate) async fn close(&self) -> anyhow::Result<Closing> {
        self.settled().await?;
        // The silent charger has to be silent long enough.
        tokio::time::sleep(self.network.silence()).await;
        self.platform.sweep().await?;
        self.settled().await?;
        Closing::read(&self.platform, &self.inbox).await
    }

    /// Waits until the queues are empty.
    pub(crate) async fn settled(&self) -> anyhow::Result<()> {
        self.platform.settled(SETTLED_WITHIN).await
    }

    /// Every check must hold.
    pub(crate) async fn must_hold(&self, checks: &[Check]) -> anyhow::Result<()> {
        let wrong: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let shown = wrong.iter().map(|check| format!("{}: {}\n", check.name, check.detail));
        let shown: String = shown.collect();
        anyhow::bail!("the closing check does not hold:\n{shown}{}", self.troubles().await)
    }

    /// PaymentIntents at Stripe by status.
    pub(crate) fn intents(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for intent in self.all_intents() {
            let status = intent["status"].as_str().unwrap_or("none").to_owned();
            *counts.entry(status).or_default() += 1;
        }
        counts
    }

    /// A PaymentIntent as Stripe has it.
    pub(crate) fn intent(&self, id: &str) -> anyhow::Result<Value> {
        let found = self.all_intents().into_iter().find(|intent| intent["id"] == id);
        found.with_context(|| format!("Stripe knows no {id}"))
    }

    /// All PaymentIntents as Stripe has them.
    pub(crate) fn all_intents(&self) -> Vec<Value> {
        list(&self.platform.stripe().state()["payment_intents"]).cloned().collect()
    }

    pub(crate) const fn http(&self) -> &Http {
        self.network.http()
    }

    /// Asks the operator's surface with every role; an error when it refuses.
    pub(crate) async fn operator(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let token = self.platform.token("operator", &["admin", "support", "finance"])?;
        self.http().ask(&token, method, &format!("/operator{path}"), body).await
    }

    /// Asks the driver's surface as `driver`; gives status and answer.
    pub(crate) async fn driver(
        &self,
        driver: &str,
        method: Method,
        path: &str,
    ) -> anyhow::Result<(u16, Value)> {
        let token = self.platform.token(driver, &[])?;
        self.http().try_ask(&token, method, &format!("/driver{path}"), None).await
    }

    /// Starts from the app as `driver`; gives status and answer.
    pub(crate) async fn app_start(
        &self,
        driver: &str,
        charge_point_id: &str,
        key: &str,
    ) -> anyhow::Result<(u16, Value)> {
        self.app_start_with(driver, charge_point_id, key, None).await
    }

    /// The same, paid as is named.
    pub(crate) async fn app_start_with(
        &self,
        driver: &str,
        charge_point_id: &str,
        key: &str,
        pay_with: Option<&str>,
    ) -> anyhow::Result<(u16, Value)> {
        let token = self.platform.token(driver, &[])?;
        let request = self.stripe.post(format!("{}/driver/starts", self.platform.http_url()?));
        let body = json!({
            "charge_point_id": charge_point_id, "connector_id": 1, "pay_with": pay_with,
        });
        let request = request.bearer_auth(token).header("Idempotency-Key", key).json(&body);
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// Makes a site like those in Amsterdam; `differs` says in what it is not.
    pub(crate) async fn site(&self, id: &str, differs: Value) -> anyhow::Result<()> {
        let mut body = json!({
            "name": id,
            "address": {
                "street": "Herengracht 1", "postal_code": "1015 BA", "city": "Amsterdam",
                "country": "NLD", "latitude": "52.378000", "longitude": "4.889900",
            },
            "time_zone": "Europe/Amsterdam",
            "currency": "EUR",
            "jurisdiction": {
                "per_kwh_allowed": true, "taxes": [{ "name": "VAT", "percent": "21" }],
            },
            "hold": { "minor": 3000, "currency": "EUR" },
            "silent_after_s": 3600,
            "release_wait_s": 86400,
        });
        let fields = body.as_object_mut().context("no object")?;
        fields.extend(serde_json::from_value::<Map<String, Value>>(differs)?);
        self.operator(Method::PUT, &format!("/sites/{id}"), Some(&body)).await?;
        Ok(())
    }

    /// Offers the first version of a tariff to everybody at a site.
    pub(crate) async fn offer(&self, site: &str, tariff: &str) -> anyhow::Result<()> {
        let tariff = json!({ "id": tariff, "version": 1 });
        let body = json!({ "tier": "retail", "tariff": tariff, "from": "2026-01-01T00:00:00Z" });
        self.operator(Method::PUT, &format!("/sites/{site}/offers"), Some(&body)).await?;
        Ok(())
    }

    /// Makes a charger at [`SITE`] and gives its password.
    pub(crate) async fn charger(&self, id: &str) -> anyhow::Result<String> {
        self.charger_at(SITE, id).await
    }

    /// Makes a charger at `site` and gives its password.
    pub(crate) async fn charger_at(&self, site: &str, id: &str) -> anyhow::Result<String> {
        let body = json!({
            "site_id": site,
            "evse_id": format!("NL*TWT*E{}", id.replace('-', "")),
            "power_type": "AC_3_PHASE",
            "standard": "IEC_62196_T2",
        });
        self.operator(Method::PUT, &format!("/chargers/{id}"), Some(&body)).await?;
        let path = format!("/chargers/{id}/password");
        let answer = self.operator(Method::POST, &path, None).await?;
        Ok(answer["password"].as_str().context("no password came back")?.to_owned())
    }

    /// Makes a charger at [`SITE`], connects it and boots it.
    pub(crate) async fn station(&self, id: &str) -> anyhow::Result<Station> {
        self.station_at(SITE, id).await
    }

    /// Makes a charger at `site`, connects it and boots it.
    pub(crate) async fn station_at(&self, site: &str, id: &str) -> anyhow::Result<Station> {
        let password = self.charger_at(site, id).await?;
        let mut station = Station::connect(self.platform.charger_url()?, id, &password).await?;
        let boot = json!({ "chargePointVendor": "Voltwerk", "chargePointModel": "VW-AC22" });
        let boot = station.call("BootNotification", boot).await?;
        ensure!(boot["status"] == "Accepted", "{boot}");
        station.status_at("Available", "2026-06-10T09:00:00Z").await?;
        Ok(station)
    }

    /// A customer with a card at Stripe, one of Stripe's test cards.
    pub(crate) async fn card(&self, test_card: &str) -> anyhow::Result<Card> {
        let customer = self.stripe("POST", "/v1/customers", &[]).await?;
        let customer = customer["id"].as_str().context("a customer without id")?.to_owned();
        let path = format!("/v1/payment_methods/{test_card}/attach");
        let method = self.stripe("POST", &path, &[("customer", &customer)]).await?;
        let payment_method = method["id"].as_str().context("a card without id")?.to_owned();
        Ok(Card { customer, payment_method })
    }

    /// Makes a tag of `driver` whose sessions this card pays; `more` adds to the entitlement.
    pub(crate) async fn tag(
        &self,
        tag: &str,
        driver: &str,
        card: &Card,
        more: Value,
    ) -> anyhow::Result<()> {
        let Card { customer, payment_method } = card;
        let mut body = json!({
            "status": "Accepted",
            "driver_id": driver,
            "payer": { "kind": "card", "customer": customer, "payment_method": payment_method },
        });
        let fields = body.as_object_mut().context("no object")?;
        fields.extend(serde_json::from_value::<Map<String, Value>>(more)?);
        self.operator(Method::PUT, &format!("/entitlements/{tag}"), Some(&body)).await?;
        Ok(())
    }

    /// A tag of `driver` with a card that pays.
    pub(crate) async fn paying_tag(&self, tag: &str, driver: &str) -> anyhow::Result<()> {
        let card = self.card("pm_card_visa").await?;
        self.tag(tag, driver, &card, json!({})).await
    }

    /// Asks Stripe itself.
    pub(crate) async fn stripe(
        &self,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.platform.stripe_url());
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.stripe.request(method.parse()?, url);
        let request = request.bearer_auth(self.platform.stripe().api_key());
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let response = request.send().await?;
        let good = response.status().is_success();
        let answer: Value = response.json().await?;
        ensure!(good, "Stripe answered {method} {path} with {answer}");
        Ok(answer)
    }

    /// All that is stored about a session.
    pub(crate) async fn file(&self, session_id: SessionId) -> anyhow::Result<Value> {
        self.operator(Method::GET, &format!("/sessions/{session_id}"), None).await
    }

    /// The session's file once it says what is waited for.
    pub(crate) async fn file_when(
        &self,
        session_id: SessionId,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let found = eventually(what, async || {
            let file = self.file(session_id).await?;
            Ok(is_so(&file).then_some(file))
        });
        match found.await {
            Ok(file) => Ok(file),
            Err(error) => {
                let file = self.file(session_id).await?;
                let troubles = self.troubles().await;
                Err(error.context(format!("{session_id} is {file:#}\n{troubles}")))
            }
        }
    }

    /// Every log line of every function, oldest first.
    pub(crate) async fn log(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.platform.log_events().await?.into_iter().map(|(_, line)| line).collect())
    }

    /// The line of an invocation, once it is in the log: what [`runtime::Invocation`] writes.
    pub(crate) async fn logged(
        &self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        eventually(format!("a log line: {what}"), async || {
            let lines = self.log().await?;
            let parsed = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
            Ok(parsed.filter(|line: &Value| line.is_object()).find(|line| wanted(line)))
        })
        .await
    }

    /// What functions complained of, for a failed test's message.
    pub(crate) async fn troubles(&self) -> String {
        const LINES_MAX: usize = 40;
        let lines = match self.log().await {
            Ok(lines) => lines,
            Err(error) => return format!("no log: {error:#}"),
        };
        let told = |line: &&String| {
            let parsed = serde_json::from_str::<Value>(line).ok();
            parsed.is_none_or(|line| {
                let quiet = line["level"] == "INFO" && line.get("failures").is_none();
                line.is_object() && !quiet
            })
        };
        let ours = |line: &&String| {
            !["START RequestId", "END RequestId", "REPORT RequestId", "INIT_START"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        let bad: Vec<&String> = lines.iter().filter(ours).filter(told).collect();
        let shown = bad.iter().skip(bad.len().saturating_sub(LINES_MAX));
        let mut text = format!("what functions complained of ({} lines):\n", bad.len());
        for line in shown {
            text = text + line.trim_end() + "\n";
        }
        let emulator = self.platform.emulator_log();
        let last: Vec<&str> = emulator.lines().rev().take(LINES_MAX).collect();
        text += "the emulator's last lines:\n";
        for line in last.into_iter().rev() {
            text = text + line + "\n";
        }
        text
    }
}

impl Before {
    /// What is stored of the session that came of a case.
    pub(crate) fn rows(&self, case: &str) -> anyhow::Result<&SessionRows> {
        rows(&self.played, &self.closing, case)
    }

    /// The id of the session that came of a case.
    pub(crate) fn session(&self, case: &str) -> anyhow::Result<SessionId> {
        let played = self.played.iter().find(|played| played.case.name == case);
        let id = played.and_then(|played| played.session_id);
        id.with_context(|| format!("no session came of {case}"))
    }
}

/// What is stored of the session that came of a case.
pub(crate) fn rows<'a>(
    played: &[Played],
    closing: &'a Closing,
    case: &str,
) -> anyhow::Result<&'a SessionRows> {
    let played = played.iter().find(|played| played.case.name == case);
    let id = played.and_then(|played| played.session_id);
    let rows = id.and_then(|id| closing.sessions.get(&id));
    rows.with_context(|| format!("no session came of {case}"))
}

/// The session of a transaction.
pub(crate) fn session_id(charger: &str, transaction_id: i64) -> anyhow::Result<SessionId> {
    let charger: ChargePointId = charger.parse()?;
    Ok(SessionId::of(&charger, TransactionId(i32::try_from(transaction_id)?)))
}

fn list(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(all) => Box::new(all.iter()),
        Value::Object(all) => Box::new(all.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Whether money is held on a card for the session of this file.
pub(crate) fn is_held(file: &Value) -> bool {
    file["payment"]["hold"]["payment_intent"].is_string()
}

/// Whether money was taken for the session of this file, and nothing more is being asked.
pub(crate) fn is_captured(file: &Value) -> bool {
    let payment = &file["payment"];
    payment["captured"]["minor"].as_i64() > Some(0) && payment["pending"] == Value::Null
}

/// Whether a charge for the session of this file was refused.
pub(crate) fn is_owed(file: &Value) -> bool {
    file["payment"]["debt"].is_object()
}
