//! `tallywatt budget`: how many requests each OCPP message and a whole session make, measured.
//!
//! The local platform writes a line for every AWS request of a function and for every invocation.
//! What Lambda itself asks of queues and streams is not the functions' and not counted; nor are
//! requests to Stripe, to partners and to subscribers.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    ops::AddAssign,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    floor::{self, Floor},
    inbox::Inbox,
    network::Network,
    platform::{Options, Platform, Progress, TestSwitches, workspace},
    scenario::{Case, Manner, Played, play_all},
};

/// Starts the processes and fills their caches, unmeasured.
const WARM_UP: &str = "member";
/// What is measured: a session that a card pays, one that a partner pays, and one whose vehicle
/// stays when it is full.
pub const MEASURED: [&str; 3] = ["retail-time-of-use", "roaming", "idle-after-full"];
const SETTLED_WITHIN: Duration = Duration::from_mins(2);

const DOCUMENT: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- budget:begin -->";
const END: &str = "<!-- budget:end -->";

/// Measures the requests of each OCPP message and of a whole session.
#[derive(Debug, Clone, clap::Args)]
pub struct BudgetArgs {
    /// Put the tables into ARCHITECTURE.md.
    #[arg(long)]
    write: bool,
    /// The binary of an earlier `ocpp-authorize`, to be measured beside the present one.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
}

/// Starts a platform, plays, and prints the tables.
///
/// # Errors
///
/// When the platform does not start or a charger cannot play.
pub async fn run(args: BudgetArgs, json: bool) -> anyhow::Result<ExitCode> {
    let progress = Progress::visible();
    let folder = tempfile::tempdir().context("making a folder for the log")?;
    let log = RequestLog::new(folder.path().join("requests.jsonl"));
    let switches =
        TestSwitches { request_log: Some(log.path().to_owned()), ..TestSwitches::default() };
    let options = Options { switches, progress: progress.clone(), ..Options::default() };
    let platform = Platform::start(options).await?;
    let inbox = Inbox::start(IpAddr::V4(Ipv4Addr::LOCALHOST)).await?;
    let read = |name: &str| Case::read(&workspace().join("events/ocpp").join(name));
    let measured = MEASURED.iter().map(|name| read(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let warm_up = read(WARM_UP)?;
    let cases: Vec<_> = measured.iter().chain([&warm_up]).cloned().collect();
    let network = Network::seed(&platform, &inbox, &cases).await?;

    let step = progress.begin("played and measured");
    measure(&platform, &network, &log, warm_up).await?;
    let mut all = Vec::new();
    for case in measured {
        all.push(measure(&platform, &network, &log, case).await?.0);
    }
    let mut budget = Budget::of(all);
    step.done();
    let step = progress.begin("measured Authorize beside the floor");
    let before = args.before.as_deref();
    budget.authorize = Some(floor::measure(&platform, &network, &log, before).await?);
    step.done();

    let mut out = std::io::stdout();
    if args.write {
        let file = workspace().join(DOCUMENT);
        replace(&file, &budget.markdown())?;
        progress.say(&format!("wrote {}", file.display()));
    }
    let text = if json { serde_json::to_string_pretty(&budget)? } else { budget.markdown() };
    writeln!(out, "{text}").context("printing the tables")?;
    Ok(ExitCode::SUCCESS)
}

/// Plays one case alone and gives what it asked, and what came of it.
///
/// # Errors
///
/// When it cannot be played, or the log cannot be read.
pub async fn measure(
    platform: &Platform,
    network: &Network,
    log: &RequestLog,
    case: Case,
) -> anyhow::Result<(Measured, Vec<Played>)> {
    platform.settled(SETTLED_WITHIN).await?;
    let from = log.length()?;
    let name = case.name.clone();
    let played = play_all(platform, network, &[case], Manner::default(), |_| {}).await?;
    platform.settled(SETTLED_WITHIN).await?;
    let functions = log.since(from)?;
    ensure!(!functions.is_empty(), "{name} asked nothing: the log is not written");
    Ok((Measured { case: name, functions }, played))
}

/// The file that the local platform writes requests to.
#[derive(Debug, Clone)]
pub struct RequestLog {
    path: PathBuf,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    Request { function: String, service: String, operation: String, targets: Vec<String> },
    Invocation { function: String, records: u32 },
}

/// What one case asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// The case.
    pub case: String,
    /// What each function asked.
    pub functions: BTreeMap<String, Usage>,
}

/// Requests, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Lambda invocations.
    pub invocations: u32,
    /// Messages of a queue, or records of a stream, that these were given.
    pub records: u32,
    /// DynamoDB: `GetItem`, `BatchGetItem`, `Query`.
    pub reads: u32,
    /// Items that these looked up by key; a query counts as one.
    pub read_items: u32,
    /// DynamoDB: `PutItem`, `UpdateItem`, `DeleteItem`.
    pub writes: u32,
    /// DynamoDB: `TransactWriteItems`.
    pub transactions: u32,
    /// Items in these.
    pub transaction_items: u32,
    /// SQS: requests that send or receive.
    pub queue_requests: u32,
    /// Anything else: Secrets Manager, `@connections`.
    pub other: u32,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.invocations += other.invocations;
        self.records += other.records;
        self.reads += other.reads;
        self.read_items += other.read_items;
        self.writes += other.writes;
        self.transactions += other.transactions;
        self.transaction_items += other.transaction_items;
        self.queue_requests += other.queue_requests;
        self.other += other.other;
    }
}

impl RequestLog {
    /// The log at `path`, as given to the platform in [`TestSwitches::request_log`].
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length now, in bytes.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn length(&self) -> anyhow::Result<usize> {
        Ok(self.read()?.len())
    }

    /// What each function asked since the log was `from` bytes long. The sweep is left out: it
    /// runs every minute, sessions or none.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn since(&self, from: usize) -> anyhow::Result<BTreeMap<String, Usage>> {
        let text = self.read()?;
        let mut functions: BTreeMap<String, Usage> = BTreeMap::new();
        for line in text.get(from..).unwrap_or_default().lines() {
            let line: Line = serde_json::from_str(line).context("reading the request log")?;
            let (name, usage) = line.usage();
            if name != "sweep-sessions" {
                *functions.entry(name).or_default() += usage;
            }
        }
        Ok(functions)
    }

    fn read(&self) -> anyhow::Result<String> {
        let text = fs::read_to_string(&self.path);
        text.with_context(|| format!("reading {}", self.path.display()))
    }
}

impl Line {
    fn usage(self) -> (String, Usage) {
        let mut usage = Usage::default();
        let (function, service, operation, targets) = match self {
            Self::Invocation { function, records } => {
                usage.invocations = 1;
                usage.records = records;
                return (function, usage);
            }
            Self::Request { function, service, operation, targets } => {
                (function, service, operation, targets)
            }
        };
        let items = u32::try_from(targets.len()).unwrap_or(u32::MAX);
        match (service.as_str(), operation.as_str()) {
            ("DynamoDB", "GetItem" | "BatchGetItem" | "Query" | "Scan") => {
                usage.reads = 1;
                usage.read_items = items;
            }
            ("DynamoDB", "TransactWriteItems") => {
                usage.transactions = 1;
                usage.transaction_items = items;
            }
            ("DynamoDB", _) => usage.writes = 1,
            ("AmazonSQS", _) => usage.queue_requests = 1,
            _ => usage.other = 1,
        }
        // Only one function posts to connections; such requests come without a name.
        let function = if function.is_empty() { "call-charger".to_owned() } else { function };
        (function, usage)
    }
}

/// The tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// What each OCPP message asks.
    pub messages: Vec<MessageBudget>,
    /// What the sessions ask, from the handshake to the last webhook.
    pub sessions: Vec<Measured>,
    /// How long Authorize takes, if that was measured.
    pub authorize: Option<Floor>,
}

/// What the messages of one kind asked together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageBudget {
    /// The OCPP action, or the step of the handshake.
    pub message: &'static str,
    /// The function that takes it.
    pub function: &'static str,
    /// What they asked; `invocations` is how many they were.
    pub usage: Usage,
}

/// OCPP messages and handshake steps, and the function that takes them.
const MESSAGES: [(&str, &str); 9] = [
    ("handshake, checked", "authorize-connection"),
    ("handshake, accepted", "connect-charger"),
    ("BootNotification", "ocpp-boot-notification"),
    ("StatusNotification", "ocpp-status-notification"),
    ("Authorize", "ocpp-authorize"),
    ("StartTransaction", "ocpp-start-transaction"),
    ("MeterValues", "ocpp-meter-values"),
    ("StopTransaction", "ocpp-stop-transaction"),
    ("Heartbeat", "ocpp-heartbeat"),
];

impl Budget {
    /// Adds up what was measured.
    #[must_use]
    pub fn of(sessions: Vec<Measured>) -> Self {
        let mut messages = Vec::new();
        for (message, function) in MESSAGES {
            let mut usage = Usage::default();
            for session in &sessions {
                usage += session.functions.get(function).copied().unwrap_or_default();
            }
            if usage.invocations > 0 {
                messages.push(MessageBudget { message, function, usage });
            }
        }
        Self { messages, sessions, authorize: None }
    }

    /// What the messages of one kind asked.
    #[must_use]
    pub fn message(&self, message: &str) -> Option<Usage> {
        let found = self.messages.iter().find(|budget| budget.message == message);
        found.map(|budget| budget.usage)
    }

    /// The tables as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = "Per OCPP message, on average over the sessions below. A transaction with \
                        n items costs 2 n writes.\n\n"
            .to_owned();
        text += &header("message");
        for MessageBudget { message, function, usage } in &self.messages {
            text += &row(&format!("{message} (`{function}`)"), *usage, usage.invocations);
        }
        if let Some(authorize) = &self.authorize {
            text.extend(["\n", &authorize.markdown()]);
        }
        for session in &self.sessions {
            text.extend(["\nThe whole session `", &session.case, "`:\n\n"]);
            text += &header("function");
            let mut total = Usage::default();
            for (function, usage) in &session.functions {
                text += &row(&format!("`{function}`"), *usage, 1);
                total += *usage;
            }
            text += &row("**all**", total, 1);
        }
        text
    }
}

fn header(first: &str) -> String {
    format!(
        "| {first} | Lambda invocations | DynamoDB reads | DynamoDB writes | \
         DynamoDB transactions (items) | SQS requests | other |\n|---|--:|--:|--:|--:|--:|--:|\n"
    )
}

fn row(name: &str, usage: Usage, per: u32) -> String {
    let share = |count: u32| {
        let share = Decimal::from(count).checked_div(Decimal::from(per)).unwrap_or_default();
        if share.is_zero() { "–".to_owned() } else { share.round_dp(2).normalize().to_string() }
    };
    let transactions = if usage.transactions == 0 {
        share(0)
    } else {
        format!("{} ({})", share(usage.transactions), share(usage.transaction_items))
    };
    let cells = [
        name.to_owned(),
        share(usage.invocations),
        share(usage.reads),
        share(usage.writes),
        transactions,
        share(usage.queue_requests),
        share(usage.other),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// Puts `table` between the two comments that mark its place.
fn replace(file: &Path, table: &str) -> anyhow::Result<()> {
    let context = || format!("writing the tables into {}", file.display());
    let text = fs::read_to_string(file).with_context(context)?;
    fs::write(file, between(&text, table).with_context(context)?).with_context(context)
}

fn between(text: &str, table: &str) -> anyhow::Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("no {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no {END} after it"))?;
    Ok(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"at": 1, "kind": "invocation", "function": "ocpp-stop-transaction", "route": "StopTransaction", "ms": 7, "records": 0, "error": false}
{"at": 1, "kind": "request", "function": "ocpp-stop-transaction", "service": "DynamoDB", "operation": "GetItem", "targets": ["sessions"], "status": 200}
{"at": 1, "kind": "request", "function": "ocpp-stop-transaction", "service": "DynamoDB", "operation": "TransactWriteItems", "targets": ["sessions", "outbox"], "status": 200}
{"at": 2, "kind": "invocation", "function": "sweep-sessions", "route": null, "ms": 7, "records": 0, "error": false}
{"at": 2, "kind": "request", "function": "relay-outbox", "service": "AmazonSQS", "operation": "SendMessage", "targets": ["rating"], "status": 200}
"#;

    #[test]
    fn requests_are_counted_by_function_and_kind() {
        let folder = tempfile::tempdir().unwrap();
        let log = RequestLog::new(folder.path().join("log"));
        fs::write(log.path(), LOG).unwrap();
        let functions = log.since(0).unwrap();
        let stop = Usage {
            invocations: 1,
            reads: 1,
            read_items: 1,
            transactions: 1,
            transaction_items: 2,
            ..Usage::default()
        };
        let relay = Usage { queue_requests: 1, ..Usage::default() };
        let expected = [("ocpp-stop-transaction", stop), ("relay-outbox", relay)];
        assert_eq!(functions, expected.map(|(name, usage)| (name.to_owned(), usage)).into());

        let session = Measured { case: "c".to_owned(), functions };
        let budget = Budget::of(vec![session.clone(), session]);
        assert_eq!(budget.message("StopTransaction").unwrap().transaction_items, 4);
        let markdown = budget.markdown();
        let wanted = "| StopTransaction (`ocpp-stop-transaction`) | 1 | 1 | – | 1 (2) | – | – |";
        assert!(markdown.contains(wanted), "{markdown}");
        assert!(markdown.contains("| **all** | 1 | 1 | – | 1 (2) | 1 | – |"), "{markdown}");
    }

    #[test]
    fn the_tables_take_the_place_between_their_comments() {
        let text = "a\n<!-- budget:begin -->\nold\n<!-- budget:end -->\nb\n";
        let new = "a\n<!-- budget:begin -->\nnew\n<!-- budget:end -->\nb\n";
        assert_eq!(between(text, "new\n").unwrap(), new);
        assert!(between("a", "new").is_err());
    }
}
