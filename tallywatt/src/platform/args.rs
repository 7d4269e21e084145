//! The platform's command line.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use clap::Args;
use url::Url;

use super::{Existing, Options, Progress, Target, TestSwitches};

/// Where the platform runs. Nothing given: here, on MiniStack.
#[derive(Debug, Clone, Args)]
pub struct PlatformArgs {
    /// Deploy to an AWS that is already there: an emulator's address, or `aws` for AWS itself.
    /// Credentials and region come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN` and `AWS_REGION`; the functions from target/lambda, as
    /// `cargo lambda build --release` leaves them.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Name of the stack.
    #[arg(long, value_name = "NAME", default_value = "tallywatt")]
    stack: String,
    /// Template parameter to set otherwise than usual.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Address that the Stripe twin and the issuer listen on; functions must be able to reach it.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), requires = "endpoint_url")]
    listen: IpAddr,
    /// Port of the issuer of tokens; 0 is any.
    #[arg(long, value_name = "PORT", default_value_t = 0, requires = "endpoint_url")]
    issuer_port: u16,
    /// Port of the Stripe twin; 0 is any.
    #[arg(long, value_name = "PORT", default_value_t = 0, requires = "endpoint_url")]
    stripe_port: u16,
    /// How API Gateway reaches the issuer, if not by address and port. AWS wants https.
    #[arg(long, value_name = "URL", requires = "endpoint_url")]
    issuer_url: Option<Url>,
    /// How functions reach the Stripe twin, if not by address and port.
    #[arg(long, value_name = "URL", requires = "endpoint_url")]
    stripe_url: Option<Url>,
    /// Write one JSON line per AWS request of a function and per invocation to this file.
    #[arg(long, value_name = "FILE", conflicts_with = "endpoint_url")]
    request_log: Option<PathBuf>,
    /// Deliver every SQS message twice to its consumer.
    #[arg(long, conflicts_with = "endpoint_url")]
    deliver_twice: bool,
}

impl PlatformArgs {
    /// The address to listen on for what functions are to reach.
    #[must_use]
    pub const fn listen(&self) -> IpAddr {
        self.listen
    }

    /// The options that the arguments mean.
    ///
    /// # Errors
    ///
    /// When the endpoint is no URL.
    pub fn options(&self, progress: Progress) -> anyhow::Result<Options> {
        let target = match self.endpoint_url.as_deref() {
            None => Target::Local,
            Some(endpoint) => Target::Existing(Box::new(Existing {
                endpoint: (endpoint != "aws").then(|| endpoint.parse()).transpose()?,
                listen: self.listen,
                issuer_port: self.issuer_port,
                stripe_port: self.stripe_port,
                issuer_url: self.issuer_url.clone(),
                stripe_url: self.stripe_url.clone(),
            })),
        };
        let request_log = self.request_log.as_deref().map(std::path::absolute).transpose()?;
        Ok(Options {
            target,
            stack: self.stack.clone(),
            parameters: self.parameters.iter().cloned().collect(),
            switches: TestSwitches { deliver_twice: self.deliver_twice, request_log },
            progress,
        })
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("a parameter is NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}
