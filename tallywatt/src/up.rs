//! `tallywatt up`: the platform, until Ctrl-C.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Value, json};

use crate::platform::{Platform, PlatformArgs, Progress};

/// What the printed token may do.
const OPERATOR_ROLES: [&str; 3] = ["admin", "support", "finance"];

/// Runs the platform until Ctrl-C.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Starts the platform, says where everything is, and waits to be ended.
///
/// # Errors
///
/// When the platform does not start.
pub async fn run(args: &UpArgs, json: bool) -> anyhow::Result<ExitCode> {
    let platform = Platform::start(args.platform.options(Progress::visible())?).await?;
    linger(&platform, json).await
}

/// Says where everything is, and leaves it running until Ctrl-C.
///
/// # Errors
///
/// When an output of the stack is missing or nothing can be written.
pub async fn linger(platform: &Platform, json: bool) -> anyhow::Result<ExitCode> {
    let places = places(platform)?;
    let mut out = io::stdout();
    if json {
        writeln!(out, "{places}")?;
    } else {
        for (name, value) in places.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            writeln!(out, "{name:16} {value}")?;
        }
        writeln!(out, "Ctrl-C ends it.")?;
    }
    out.flush()?;
    // Ctrl-C drops this future, and the platform with it.
    std::future::pending().await
}

/// Where everything is, and a token to get in with.
fn places(platform: &Platform) -> anyhow::Result<Value> {
    Ok(json!({
        "chargers": format!("{}/{{chargePointId}}", platform.charger_url()?),
        "http": platform.http_url()?,
        "stripe": platform.stripe_url(),
        "aws": platform.aws().endpoint(),
        "operator_token": platform.token("operator", &OPERATOR_ROLES)?,
    }))
}
