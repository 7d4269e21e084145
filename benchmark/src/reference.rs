//! ocpi-tariffs, in a process of its own.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use chrono_tz::Tz;
use ocpi::{Cdr, Tariff};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The running process.
pub struct Reference {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    line: String,
}

/// What it takes: JSON texts.
#[derive(Debug, Clone, Serialize)]
pub struct Session {
    /// IANA name.
    pub zone: String,
    /// An OCPI 2.2.1 Tariff.
    pub tariff: String,
    /// An OCPI 2.2.1 CDR.
    pub cdr: String,
}

impl Session {
    /// As JSON.
    ///
    /// # Errors
    ///
    /// A number that JSON cannot carry.
    pub fn new(tariff: &Tariff, cdr: &Cdr, zone: Tz) -> Result<Self> {
        let (tariff, cdr) = (serde_json::to_string(tariff)?, serde_json::to_string(cdr)?);
        Ok(Self { zone: zone.name().to_owned(), tariff, cdr })
    }
}

/// What it says a session costs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Answer {
    /// Rounded to four decimals; none where nothing has a price.
    pub total: Option<Amounts>,
    /// Neither rounded nor limited by a minimum or maximum price.
    pub exact: Option<Amounts>,
    /// Why it does not price.
    pub refused: Option<String>,
}

/// Both views of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Amounts {
    /// Without VAT.
    pub excl_vat: Decimal,
    /// With VAT, where it is known.
    pub incl_vat: Option<Decimal>,
}

/// Where a timed round starts.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// From JSON texts.
    Json,
    /// From its own parsed trees.
    Parsed,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Request<'a> {
    Price(&'a Session),
    Load(&'a [Session]),
    Time { from: From, rounds: usize },
}

impl Reference {
    /// Builds it, where that is not done yet, and starts it.
    ///
    /// # Errors
    ///
    /// cargo cannot be started.
    pub fn start() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/Cargo.toml");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut child = Command::new(cargo)
            .args(["run", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(manifest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cargo cannot be started")?;
        let requests = child.stdin.take().context("no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, requests, answers, line: String::new() })
    }

    /// Prices one session.
    ///
    /// # Errors
    ///
    /// The process has ended, or could not read the session.
    pub fn price(&mut self, tariff: &Tariff, cdr: &Cdr, zone: Tz) -> Result<Answer> {
        self.ask(&Request::Price(&Session::new(tariff, cdr, zone)?))?;
        self.answer()
    }

    /// Gives it the sessions to time.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub fn load(&mut self, sessions: &[Session]) -> Result<()> {
        self.ask(&Request::Load(sessions))
    }

    /// Prices the loaded sessions `rounds` times. Nanoseconds of each round.
    ///
    /// # Errors
    ///
    /// The process has ended, or refused a session.
    pub fn time(&mut self, from: From, rounds: usize) -> Result<Vec<u64>> {
        self.ask(&Request::Time { from, rounds })?;
        self.answer()
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.requests, request)?;
        self.requests.write_all(b"\n")?;
        self.requests.flush().map_err(Into::into)
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.line.clear();
        ensure!(self.answers.read_line(&mut self.line)? > 0, "the reference has ended");
        Ok(serde_json::from_str(&self.line)?)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It ends by itself when nobody asks any more; a process that has ended cannot be killed,
        // which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
