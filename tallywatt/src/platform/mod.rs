//! The platform: the whole system of `infra/template.yaml`, running, with a Stripe twin and an
//! issuer of tokens beside it.
//!
//! By default everything is started here and ends with the [`Platform`] value: MiniStack with the
//! functions' debug builds. An AWS endpoint that is already there can be given instead.

mod args;
mod artifacts;
mod aws;
mod deployment;
mod issuer;
mod ministack;
mod progress;
mod python;

use std::{
    collections::{BTreeMap, HashSet},
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use messages::Queue;
use payments::webhook::EVENT_TYPES;
use serde_json::{Value, json};
use stripe_twin::{Twin, TwinConfig, WebhookEndpoint};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};
use url::Url;

pub use self::{
    args::PlatformArgs,
    aws::{Aws, Refused, Service},
    progress::{Phase, Progress, Step},
};
use self::{deployment::Deployment, issuer::Issuer, ministack::Ministack};

/// The region the emulator pretends to be in.
const LOCAL_REGION: &str = "eu-central-1";
const AUDIENCE: &str = "tallywatt";
const API_KEY: &str = "sk_test_tallywatt";
/// The identity in SES that mails receipts locally.
const MAIL_DOMAIN: &str = "tallywatt.example";
const WEBHOOK_SECRET: &str = "whsec_dGFsbHl3YXR0IGxvY2FsIHBsYXRmb3JtIHNlY3JldA==";
/// The most lines that CloudWatch Logs gives at once.
const LOG_PAGE_MAX: usize = 10_000;

/// What differs locally, as template parameters: quicker retries, so that a test does not wait
/// minutes for what production waits minutes for; and a sender of mail.
const LOCAL_PARAMETERS: [(&str, &str); 6] = [
    ("Architecture", env::consts::ARCH),
    ("WorkerTimeoutSeconds", "10"),
    ("QueueVisibilitySeconds", "15"),
    ("SettleSeconds", "1"),
    ("ReceiptSender", "Tallywatt <receipts@tallywatt.example>"),
    ("ReceiptSenderIdentity", MAIL_DOMAIN),
];

/// How to start a platform.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where.
    pub target: Target,
    /// The stack's name; it begins the names of functions, queues and secrets.
    pub stack: String,
    /// Parameters of the template to set otherwise than usual.
    pub parameters: BTreeMap<String, String>,
    /// Disturbances and records, for tests. On the local platform only.
    pub switches: TestSwitches,
    /// Who is told what is going on.
    pub progress: Progress,
}

/// Where a platform runs.
#[derive(Debug, Clone)]
pub enum Target {
    /// MiniStack, started here, with debug builds made here.
    Local,
    /// An AWS that is already there, asked with the usual `AWS_*` variables. The functions must
    /// be in `target/lambda`, as `cargo lambda build --release` leaves them.
    Existing(Box<Existing>),
}

/// An AWS that is already there, and how it reaches the Stripe twin and the issuer, which still
/// run here.
#[derive(Debug, Clone)]
pub struct Existing {
    /// An emulator's address; `None` is AWS itself.
    pub endpoint: Option<Url>,
    /// The address to listen on: one that the functions can reach.
    pub listen: IpAddr,
    /// Port of the issuer; 0 is any.
    pub issuer_port: u16,
    /// Port of the Stripe twin; 0 is any.
    pub stripe_port: u16,
    /// How API Gateway reaches the issuer, if not by address and port (AWS wants https).
    pub issuer_url: Option<Url>,
    /// How functions reach the Stripe twin, if not by address and port.
    pub stripe_url: Option<Url>,
}

/// What only tests want.
#[derive(Debug, Clone, Default)]
pub struct TestSwitches {
    /// Every SQS message is delivered twice to its consumer.
    pub deliver_twice: bool,
    /// A file that gets one JSON line per AWS request of a function and per invocation.
    pub request_log: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: Target::Local,
            stack: "tallywatt".to_owned(),
            parameters: BTreeMap::new(),
            switches: TestSwitches::default(),
            progress: Progress::silent(),
        }
    }
}

/// A running platform. What was started with it ends with it.
#[derive(Debug)]
pub struct Platform {
    // Order of fields is order of dropping: functions first, then what they talk to.
    ministack: Option<Ministack>,
    issuer: Issuer,
    twin: Twin,
    stripe_url: String,
    aws: Aws,
    outputs: BTreeMap<String, String>,
    progress: Progress,
    stack: String,
}

/// How many messages a queue holds, as SQS says: approximately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Waiting for a consumer.
    pub visible: u64,
    /// With a consumer, or waiting to be tried again.
    pub in_flight: u64,
    /// Not to be delivered yet.
    pub delayed: u64,
}

impl Depth {
    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.visible == 0 && self.in_flight == 0 && self.delayed == 0
    }
}

impl Platform {
    /// Builds the functions, starts what is needed, deploys the template, and connects the Stripe
    /// twin to it.
    ///
    /// # Errors
    ///
    /// When any step fails; the error says which and carries the program's own words. What was
    /// started until then ends.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let places = Places::new()?;
        let Options { target, stack, parameters: given, switches, progress } = options;
        let python = python::interpreter(&places.requirements, &places.own, &progress);
        let (python, ministack, aws, existing) = match target {
            Target::Local => {
                let build = artifacts::build(&places.workspace, &places.debug_builds, &progress);
                let (python, ()) = tokio::try_join!(python, build)?;
                let ministack = Ministack::start(&python, &places, &switches, &progress).await?;
                let aws = Aws::emulator(ministack.endpoint.clone())?;
                (python, Some(ministack), aws, Box::new(Existing::here()))
            }
            Target::Existing(existing) => {
                let aws = Aws::from_environment(existing.endpoint.clone())?;
                (python.await?, None, aws, existing)
            }
        };
        let (issuer, issuer_url) = start_issuer(&existing).await?;
        let (twin, stripe_url) = start_twin(&existing).await?;

        let mut parameters = BTreeMap::from([
            ("JwtIssuer".to_owned(), issuer_url),
            ("JwtAudience".to_owned(), AUDIENCE.to_owned()),
            ("StripeApiBase".to_owned(), stripe_url.clone()),
            ("DriverAppUrl".to_owned(), "https://driver.example/".to_owned()),
        ]);
        if let Some(endpoint) = aws.endpoint() {
            parameters.insert("LocalEndpoint".to_owned(), endpoint.to_owned());
        }
        let local = ministack.is_some();
        if local {
            let differs = LOCAL_PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned()));
            parameters.extend(differs);
        }
        parameters.extend(given);
        let artifacts = if local { &places.debug_builds } else { &places.release_builds };
        let deployment = Deployment { stack: &stack, parameters: &parameters, artifacts, local };
        let outputs = deployment.run(&python, &places, &aws, &progress).await;
        let outputs = outputs.with_context(|| {
            let log = ministack.as_ref().map(Ministack::log).unwrap_or_default();
            format!("cannot deploy {stack}\n{log}")
        })?;
        let platform = Self { ministack, issuer, twin, stripe_url, aws, outputs, progress, stack };
        platform.connect_stripe().await?;
        if local {
            platform.aws.verify_mail_domain(MAIL_DOMAIN).await?;
        }
        Ok(platform)
    }

    /// Gives the functions the twin's keys, and the twin the functions' webhook.
    async fn connect_stripe(&self) -> anyhow::Result<()> {
        let secret = json!({ "api_key": API_KEY, "webhook_secret": WEBHOOK_SECRET });
        let name = self.output("StripeSecretName")?;
        self.put_secret(name, &secret.to_string()).await?;
        self.twin.add_webhook_endpoint(WebhookEndpoint {
            url: format!("{}/stripe/webhook", self.http_url()?),
            secret: WEBHOOK_SECRET.to_owned(),
            enabled_events: EVENT_TYPES.iter().map(|&name| name.to_owned()).collect(),
            duplicate_per_mille: 0,
            lose_per_mille: 0,
            disorder_ms: 0,
            retry_ms: 500,
        });
        Ok(())
    }

    async fn put_secret(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let create = json!({ "Name": name, "SecretString": text });
        let created = self.aws.call(Service::SecretsManager, "CreateSecret", &create).await;
        let Err(error) = created else { return Ok(()) };
        let there = error.downcast_ref::<Refused>();
        if there.is_none_or(|refused| refused.code != "ResourceExistsException") {
            return Err(error);
        }
        let put = json!({ "SecretId": name, "SecretString": text });
        self.aws.call(Service::SecretsManager, "PutSecretValue", &put).await?;
        Ok(())
    }

    /// Where chargers connect, their id added as one more path segment; without a slash at the end.
    ///
    /// # Errors
    ///
    /// When the stack has no such output.
    pub fn charger_url(&self) -> anyhow::Result<&str> {
        self.output("ChargerUrl")
    }

    /// What the operator, driver and Stripe webhook paths are behind; without a slash at the end.
    ///
    /// # Errors
    ///
    /// When the stack has no such output.
    pub fn http_url(&self) -> anyhow::Result<&str> {
        self.output("HttpApiUrl")
    }

    /// An output of the stack, by its name in the template: a table's name, a queue's URL.
    ///
    /// # Errors
    ///
    /// When the stack has no such output.
    pub fn output(&self, name: &str) -> anyhow::Result<&str> {
        let output = self.outputs.get(name).map(String::as_str);
        output.with_context(|| format!("the stack has no output {name}"))
    }

    /// A token that API Gateway accepts, for `subject` with these roles.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn token(&self, subject: &str, roles: &[&str]) -> anyhow::Result<String> {
        self.issuer.token(subject, roles, None)
    }

    /// The same for a driver whose identity provider knows their e-mail address, and has verified
    /// it or not.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn token_with_email(
        &self,
        subject: &str,
        email: &str,
        verified: bool,
    ) -> anyhow::Result<String> {
        self.issuer.token(subject, &[], Some((email, verified)))
    }

    /// The Stripe twin: orders faults and declines, moves its clock, shows its state.
    #[must_use]
    pub const fn stripe(&self) -> &Twin {
        &self.twin
    }

    /// The Stripe twin's address, as functions reach it.
    #[must_use]
    pub fn stripe_url(&self) -> &str {
        &self.stripe_url
    }

    /// AWS, as the one who deployed: for looking at what functions did.
    #[must_use]
    pub const fn aws(&self) -> &Aws {
        &self.aws
    }

    /// The stack's name.
    #[must_use]
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// Runs `sweep-sessions` now, instead of waiting for its schedule.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        self.invoke("sweep-sessions", &json!({})).await.map(drop)
    }

    /// Has `stripe-webhook` fetch now what Stripe could not deliver, instead of waiting for its
    /// schedule. Gives what it answers.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub async fn fetch_undelivered(&self) -> anyhow::Result<Value> {
        let template = fs::read_to_string(workspace().join("infra/template.yaml"))?;
        let (_, after) = template.split_once("Input: >-\n").context("no schedule has an input")?;
        let indented = after.lines().take_while(|line| line.starts_with("              "));
        let event = indented.map(str::trim).collect::<Vec<_>>().join(" ");
        let event = serde_json::from_str(&event).context("reading the schedule's event")?;
        self.invoke("stripe-webhook", &event).await
    }

    /// Runs a function now with `event`, as its schedule would, and gives what it answers.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub async fn invoke(&self, function: &str, event: &Value) -> anyhow::Result<Value> {
        let function = format!("{}-{function}", self.stack);
        self.aws.invoke(&function, event).await
    }

    /// Creates a function beside those of the stack: `name`, as `like` is but with other code, a
    /// zip file in Base64.
    ///
    /// # Errors
    ///
    /// When Lambda does not take it.
    pub async fn copy_function(&self, like: &str, name: &str, code: &str) -> anyhow::Result<()> {
        let full = |function: &str| format!("{}-{function}", self.stack);
        self.aws.copy_function(&full(like), &full(name), code).await
    }

    /// How long each step of the start took.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        self.progress.phases()
    }

    /// What the queue holds.
    ///
    /// # Errors
    ///
    /// When SQS does not say.
    pub async fn depth(&self, queue: Queue) -> anyhow::Result<Depth> {
        self.depth_of(&format!("{}Queue", output_name(queue))).await
    }

    /// What the queue holds of what is to be done now.
    ///
    /// # Errors
    ///
    /// When SQS does not say.
    pub async fn to_be_done(&self, queue: Queue) -> anyhow::Result<Depth> {
        let mut depth = self.depth(queue).await?;
        if queue == Queue::PaymentAuthorization {
            // Looks to come at sessions and readers, also at what is over: nothing waits for them.
            depth.delayed = 0;
        }
        Ok(depth)
    }

    /// What the queue's dead-letter queue holds.
    ///
    /// # Errors
    ///
    /// When SQS does not say.
    pub async fn dead_letters(&self, queue: Queue) -> anyhow::Result<Depth> {
        self.depth_of(&format!("{}DeadLetters", output_name(queue))).await
    }

    async fn depth_of(&self, output: &str) -> anyhow::Result<Depth> {
        let request = json!({ "QueueUrl": self.output(output)?, "AttributeNames": ["All"] });
        let answer = self.aws.call(Service::Sqs, "GetQueueAttributes", &request).await?;
        let count = |name: &str| -> anyhow::Result<u64> {
            let value = answer.pointer(&format!("/Attributes/{name}")).and_then(Value::as_str);
            Ok(value.with_context(|| format!("SQS says no {name} of {output}"))?.parse()?)
        };
        Ok(Depth {
            visible: count("ApproximateNumberOfMessages")?,
            in_flight: count("ApproximateNumberOfMessagesNotVisible")?,
            delayed: count("ApproximateNumberOfMessagesDelayed")?,
        })
    }

    /// Waits until no queue holds anything, and has held nothing for a second: then what the
    /// outbox stream was still to bring has come too.
    ///
    /// # Errors
    ///
    /// When that is not so `within` this time; names the queues.
    pub async fn settled(&self, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        let mut quiet_since = None;
        loop {
            let mut busy = Vec::new();
            for queue in Queue::ALL {
                if !self.to_be_done(queue).await?.is_empty() {
                    busy.push(queue.name());
                }
            }
            let now = Instant::now();
            if busy.is_empty() {
                let since = *quiet_since.get_or_insert(now);
                if now - since >= Duration::from_secs(1) {
                    return Ok(());
                }
            } else {
                quiet_since = None;
                ensure!(now < deadline, "still busy after {within:?}: {}", busy.join(", "));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every item of a table, as DynamoDB's JSON; `table` is the output's name: `SessionsTable`.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub async fn items(&self, table: &str) -> anyhow::Result<Vec<Value>> {
        let mut request = json!({ "TableName": self.output(table)?, "ConsistentRead": true });
        let mut items = Vec::new();
        loop {
            let mut page = self.aws.call(Service::DynamoDb, "Scan", &request).await?;
            if let Some(Value::Array(found)) = page.get_mut("Items").map(Value::take) {
                items.extend(found);
            }
            match page.get_mut("LastEvaluatedKey").map(Value::take) {
                Some(key @ Value::Object(_)) => request["ExclusiveStartKey"] = key,
                _ => return Ok(items),
            }
        }
    }

    /// The log lines of a function (`rate-session`), oldest first: all lines of the streams that
    /// have a line of that function's.
    ///
    /// # Errors
    ///
    /// When CloudWatch Logs cannot be read.
    pub async fn logs(&self, function: &str) -> anyhow::Result<Vec<String>> {
        let own = format!(r#""Function":"{function}""#);
        let events = self.log_events().await?;
        let streams: HashSet<String> = events
            .iter()
            .filter(|(_, message)| message.contains(&own))
            .map(|(stream, _)| stream.clone())
            .collect();
        let lines = events.into_iter().filter(|(stream, _)| streams.contains(stream));
        Ok(lines.map(|(_, message)| message).collect())
    }

    /// What went wrong in any function, oldest first: lines with an error or with failed messages,
    /// and what is no line of ours (a crash).
    ///
    /// # Errors
    ///
    /// When CloudWatch Logs cannot be read.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let lines = self.log_events().await?.into_iter().map(|(_, message)| message);
        let fine = |line: &String| {
            let ours = line.contains(r#""Function":"#);
            let emulators = ["START RequestId", "END RequestId", "REPORT RequestId", "INIT_START"];
            let emulators = emulators.iter().any(|start| line.starts_with(start));
            emulators || (ours && !line.contains(r#""error":"#) && !line.contains(r#""failures":"#))
        };
        Ok(lines.filter(|line| !fine(line) && !line.trim().is_empty()).collect())
    }

    /// Every line of the functions' log with its stream, oldest first.
    ///
    /// # Errors
    ///
    /// When CloudWatch Logs cannot be read.
    pub async fn log_events(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut request = json!({ "logGroupName": self.output("FunctionLogs")? });
        let mut events: Vec<(i64, String, String)> = Vec::new();
        loop {
            let answer = self.aws.call(Service::Logs, "FilterLogEvents", &request).await;
            let mut page = match answer {
                Ok(page) => page,
                // No function has run yet.
                Err(error) if is_not_found(&error) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let text = |event: &Value, name: &str| {
                event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let listed = page.get("events").and_then(Value::as_array).into_iter().flatten();
            let known = events.len();
            events.extend(listed.map(|event| {
                let at = event.get("timestamp").and_then(Value::as_i64).unwrap_or_default();
                (at, text(event, "logStreamName"), text(event, "message"))
            }));
            let token = page.get_mut("nextToken").map(Value::take);
            let last = events.last().map(|(at, ..)| *at);
            match (token, last) {
                (Some(token @ Value::String(_)), _) => request["nextToken"] = token,
                // The emulator has no tokens: what follows is asked for by its time.
                (_, Some(last)) if events.len() - known >= LOG_PAGE_MAX => {
                    ensure!(request["startTime"] != last, "too many log lines in a millisecond");
                    events.retain(|(at, ..)| *at < last);
                    request["startTime"] = last.into();
                }
                _ => break,
            }
        }
        Ok(events.into_iter().map(|(_, stream, message)| (stream, message)).collect())
    }

    /// The emulator's own log; empty elsewhere.
    #[must_use]
    pub fn emulator_log(&self) -> String {
        self.ministack.as_ref().map(Ministack::log).unwrap_or_default()
    }

    /// Kills one of the functions' processes, wherever it is in its work, and gives the function's
    /// name. `None` when none is running, or when the platform is not the local one on Linux.
    #[must_use]
    pub fn kill_random_function_process(&self) -> Option<String> {
        self.ministack.as_ref()?.kill_random_function_process()
    }

    /// The memory that the emulator and its functions hold now, in bytes. `None` when the
    /// platform is not the local one on Linux.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        self.ministack.as_ref()?.resident_bytes()
    }
}

impl Existing {
    /// Listeners on this machine's loopback, on any port.
    const fn here() -> Self {
        Self {
            endpoint: None,
            listen: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            issuer_port: 0,
            stripe_port: 0,
            issuer_url: None,
            stripe_url: None,
        }
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(|refused| refused.code == "ResourceNotFoundException")
}

/// The workspace's root: where Cargo runs us from, or where we were compiled.
#[must_use]
pub fn workspace() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let above = package.and_then(|package| package.parent().map(Path::to_path_buf));
    let compiled = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = above.filter(|folder| folder.join("infra/template.yaml").exists());
    let workspace = workspace.unwrap_or_else(compiled);
    fs::canonicalize(&workspace).unwrap_or(workspace)
}

/// Where everything is, in the workspace and in Cargo's target folder.
struct Places {
    workspace: PathBuf,
    requirements: PathBuf,
    /// Our own folder among Cargo's.
    own: PathBuf,
    debug_builds: PathBuf,
    /// As `cargo lambda build --release` leaves them. Never ours: what goes to AWS is not
    /// overwritten with a debug build.
    release_builds: PathBuf,
}

impl Places {
    fn new() -> anyhow::Result<Self> {
        let workspace = workspace();
        let configured = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let target = workspace.join(configured);
        let own = target.join("tallywatt");
        fs::create_dir_all(&own).with_context(|| format!("making {}", own.display()))?;
        Ok(Self {
            requirements: workspace.join("infra/local/requirements.txt"),
            debug_builds: own.join("lambda"),
            release_builds: target.join("lambda"),
            own,
            workspace,
        })
    }
}

async fn start_issuer(existing: &Existing) -> anyhow::Result<(Issuer, String)> {
    let listener = listen(existing.listen, existing.issuer_port).await?;
    let url = advertised(existing.issuer_url.as_ref(), &listener)?;
    Ok((Issuer::start(listener, url.clone(), AUDIENCE)?, url))
}

async fn start_twin(existing: &Existing) -> anyhow::Result<(Twin, String)> {
    let listener = listen(existing.listen, existing.stripe_port).await?;
    let url = advertised(existing.stripe_url.as_ref(), &listener)?;
    let config = TwinConfig { api_key: API_KEY.to_owned(), ..TwinConfig::default() };
    Ok((stripe_twin::serve(listener, config)?, url))
}

async fn listen(address: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((address, port)).await;
    listener.with_context(|| format!("listening on {address}:{port}"))
}

/// How others reach what listens here; without a slash at the end.
fn advertised(given: Option<&Url>, listener: &TcpListener) -> anyhow::Result<String> {
    Ok(match given {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", listener.local_addr()?),
    })
}

/// The queue's name as the template's outputs spell it.
fn output_name(queue: Queue) -> &'static str {
    match queue {
        Queue::PaymentAuthorization => "PaymentAuthorization",
        Queue::Rating => "Rating",
        Queue::Capture => "Capture",
        Queue::Cdr => "Cdr",
        Queue::Accounting => "Accounting",
        Queue::ChargerCalls => "ChargerCalls",
        Queue::Standing => "Standing",
        Queue::CreditNotes => "CreditNotes",
        Queue::Receipts => "Receipts",
        Queue::Reconciliations => "Reconciliations",
    }
}
