//! The command. What it does is in the library; here are its arguments and exit codes.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tallywatt::{
    budget::{self, BudgetArgs},
    charger::{self, ChargerArgs},
    demo::{self, DemoArgs},
    lint::{self, LintArgs},
    price::{self, PriceArgs},
    quote::{self, QuoteArgs},
    schedule::{self, ScheduleArgs},
    storm::{self, StormArgs},
    up::{self, UpArgs},
};
use tokio::signal::unix::{SignalKind, signal};

/// Ended by Ctrl-C or SIGTERM, as shells have it.
const ENDED: u8 = 130;

/// EV charging sessions become money.
///
/// Exit codes: 0 all is well; 1 something failed or a check does not hold; 2 bad input.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Print JSON on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(DemoArgs),
    Up(UpArgs),
    Price(PriceArgs),
    Quote(QuoteArgs),
    Lint(LintArgs),
    Schedule(ScheduleArgs),
    Budget(BudgetArgs),
    Charger(ChargerArgs),
    Storm(StormArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let run = async {
        match cli.command {
            Command::Demo(args) => demo::run(&args, cli.json).await,
            Command::Up(args) => up::run(&args, cli.json).await,
            Command::Price(mut args) => {
                args.json |= cli.json;
                price::run(&args)
            }
            Command::Lint(mut args) => {
                args.json |= cli.json;
                lint::run(&args)
            }
            Command::Quote(mut args) => {
                args.json |= cli.json;
                quote::run(&args)
            }
            Command::Schedule(args) => schedule::run(&args),
            Command::Budget(args) => budget::run(args, cli.json).await,
            Command::Storm(args) => storm::run(&args, cli.json).await,
            Command::Charger(mut args) => {
                args.json |= cli.json;
                charger::run(args).await.map(|()| ExitCode::SUCCESS)
            }
        }
    };
    // Whatever runs is dropped at the end, and ends what it started.
    let result = tokio::select! {
        result = run => result,
        () = ended() => return ExitCode::from(ENDED),
    };
    result.unwrap_or_else(|error| {
        // Standard error may be closed; the exit code says it all the same.
        let _ = writeln!(io::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn ended() {
    let interrupted = async { tokio::signal::ctrl_c().await.is_ok() };
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => terminated.recv().await.is_some(),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupted => {}
        _ = terminated => {}
    }
}
