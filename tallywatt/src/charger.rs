//! A simulated charger: connects as a real one does and plays a recorded session.
//!
//! It keeps to OCPP-J 1.6: one call outstanding at a time, the subprotocol negotiated, transaction
//! messages sent again until they are answered. Numbers that only the central system can give (the
//! transactionId, the tag of a start from the app) are put in place of the recorded ones.

mod connection;
mod player;
mod recording;
mod report;
#[cfg(test)]
mod test_player;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;

pub use connection::{Connection, Received, Refused};
pub use player::{Charger, Pace, PlayOptions, play};
pub use recording::{Recording, Step};
pub use report::{Exchange, PlayReport, PlayedTransaction};

/// Plays a recorded session against a central system.
#[derive(Debug, clap::Args)]
pub struct ChargerArgs {
    /// WebSocket endpoint without the charge point's identity, such as `ws://127.0.0.1:4566/ocpp`
    #[arg(long)]
    pub url: String,
    /// Identity of the charge point.
    #[arg(long)]
    pub id: String,
    /// Its password (HTTP Basic authentication, Security Profile 1 or 2).
    #[arg(long)]
    pub password: String,
    /// The recording: a frames.jsonl, or the folder it is in.
    #[arg(long, value_name = "FILE")]
    pub play: PathBuf,
    /// Send every call this many times and require equal answers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub repeat: u8,
    /// As fast as the answers come (this is the default).
    #[arg(long, conflicts_with_all = ["real_time", "pause_ms"])]
    pub fast: bool,
    /// Keep to the recorded times.
    #[arg(long, conflicts_with = "pause_ms")]
    pub real_time: bool,
    /// Wait this many milliseconds before each call.
    #[arg(long)]
    pub pause_ms: Option<u64>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Plays the recording and prints what was exchanged.
///
/// # Errors
///
/// When the recording cannot be read, the charger is refused, or an answer is missing or differs.
pub async fn run(args: ChargerArgs) -> anyhow::Result<()> {
    let recording = Recording::read(&args.play)?;
    let pace = match (args.real_time, args.pause_ms) {
        (true, _) => Pace::RealTime,
        (false, Some(pause)) => Pace::Pause(Duration::from_millis(pause)),
        (false, None) => Pace::Fast,
    };
    let mut options = PlayOptions::new(&args.url, &args.id, &args.password, recording);
    options.repeat = args.repeat;
    options.pace = pace;
    let report = play(options).await?;
    if args.json {
        let text = serde_json::to_string_pretty(&report).context("the report is not JSON")?;
        println!("{text}");
    } else {
        print!("{report}");
    }
    anyhow::ensure!(report.ok(), "the session was not played as recorded");
    Ok(())
}
