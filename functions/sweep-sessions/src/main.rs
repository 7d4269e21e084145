//! `sweep-sessions`: every minute, looks for what will not finish by itself.
//!
//! A session whose charger went silent is closed from its last reading and held; one whose
//! connector is never reported free is held; one that waits too long for its price is counted; a
//! start from the app that no charger took up is given up, and its hold released; a payment whose
//! time has come is told to be due, and so is one that has no price for long. Each is one
//! conditional write, so a sweep may stop anywhere and the next goes on; what fails stops nothing
//! else, and is an alarm.

mod sweep;

use anyhow::bail;
use lambda_runtime::Error;
use runtime::{Function, Invocation};
use serde_json::Value;
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("sweep-sessions").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |_: Value, invocation: &Invocation| {
        let failures = sweep::sweep(&store, invocation).await;
        if !failures.is_empty() {
            bail!("{} could not be swept: {}", failures.len(), failures.join("; "));
        }
        Ok(())
    };
    function.serve(handler).await
}
