//! The Stripe twin on a port of its own.

use std::{error::Error, net::SocketAddr};

use clap::Parser;
use stripe_twin::{TwinConfig, serve};
use tokio::net::TcpListener;

/// A strict stand-in for the part of Stripe that Tallywatt uses.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:12111")]
    listen: SocketAddr,
    /// The one secret key it accepts.
    #[arg(long, default_value = "sk_test_tallywatt")]
    api_key: String,
    /// Makes ids and chances the same on every run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen).await?;
    let Arguments { api_key, seed, .. } = arguments;
    let twin = serve(listener, TwinConfig { api_key, seed, ..TwinConfig::default() })?;
    println!("{}", twin.url());
    tokio::select! {
        () = twin.wait() => Ok(()),
        stopped = tokio::signal::ctrl_c() => Ok(stopped?),
    }
}
