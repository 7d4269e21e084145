//! Tallywatt's rating engine beside `ocpi-tariffs`.

use anyhow::Result;
use benchmark::{
    difference::compare,
    generate, ours,
    reference::Reference,
    speed::{self, Effort},
};
use clap::{Parser, Subcommand};

/// Tallywatt's rating engine beside ocpi-tariffs.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// How fast, as two tables.
    Speed {
        /// A hundredth of the sessions: does it work at all?
        #[arg(long)]
        quick: bool,
    },
    /// One pair of the differential test, as both see it.
    Pair {
        /// Which.
        seed: u64,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Speed { quick: true } => {
            speed::run(&Effort { turns: 1, repeats: 20, tariffs: 10, sessions: 100 })
        }
        Command::Speed { quick: false } => {
            speed::run(&Effort { turns: 25, repeats: 200, tariffs: 100, sessions: 1_000 })
        }
        Command::Pair { seed } => pair(seed),
    }
}

fn pair(seed: u64) -> Result<()> {
    let pair = generate::pair(seed);
    println!("{:?} in {}", pair.quirks, pair.zone);
    println!("{}", serde_json::to_string_pretty(&pair.tariff)?);
    for period in &pair.cdr.charging_periods {
        println!("{}", serde_json::to_string(period)?);
    }
    println!("until {}", pair.cdr.end_date_time);
    match ours::price(&pair.tariff, &pair.cdr, pair.zone) {
        Ok(priced) => println!("{}", serde_json::to_string_pretty(&priced)?),
        Err(error) => println!("refused: {error}"),
    }
    let mut reference = Reference::start()?;
    println!("{:?}", reference.price(&pair.tariff, &pair.cdr, pair.zone)?);
    println!("{:?}", compare(&pair, &mut reference)?);
    Ok(())
}
