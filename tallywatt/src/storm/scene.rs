//! What everybody in a storm acts on: the platform, its HTTP surfaces, Stripe.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use payments::Payment;
use quantities::{ChargePointId, SessionId};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    charger::Charger,
    network::{Http, Network, Stripe},
    platform::{Platform, Service},
};

/// How long anything may be waited for that the weather only delays: an app that shows an error, a
/// card that is asked for, a start that was promised.
pub(super) const WAIT_MAX: Duration = Duration::from_mins(15);
/// How long a driver stays for a hold to be there, or to grow: Stripe is asked a few times in it.
pub(super) const HOLD_WAIT_MAX: Duration = Duration::from_mins(5);
/// How often somebody looks whether it has come.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where visits happen.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) platform: &'a Platform,
    pub(super) network: &'a Network,
    pub(super) stripe: Stripe,
    /// By charger.
    pub(super) equipment: BTreeMap<ChargePointId, Equipment>,
}

/// What belongs to a charger.
#[derive(Debug, Clone)]
pub(super) struct Equipment {
    pub(super) password: String,
    /// Its reader at Stripe, where cards are presented.
    pub(super) device: Option<String>,
}

impl<'a> Scene<'a> {
    /// An empty one.
    pub(super) fn new(platform: &'a Platform, network: &'a Network) -> Self {
        let stripe = Stripe::new(platform);
        Self { platform, network, stripe, equipment: BTreeMap::new() }
    }

    pub(super) const fn http(&self) -> &Http {
        self.network.http()
    }

    pub(super) fn equipment(&self, id: &ChargePointId) -> anyhow::Result<&Equipment> {
        self.equipment.get(id).with_context(|| format!("{id} is no charger of the storm"))
    }

    /// What is known of a session's payment by card.
    pub(super) async fn payment(&self, session: SessionId) -> anyhow::Result<Option<Payment>> {
        let key = json!({ "pk": { "S": format!("SESSION#{session}") }, "sk": { "S": "PAYMENT" } });
        let table = self.platform.output("SessionsTable")?;
        let get = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
        let found = self.platform.aws().call(Service::DynamoDb, "GetItem", &get).await?;
        let payment = found.pointer("/Item/doc/S").and_then(Value::as_str);
        payment.map(serde_json::from_str).transpose().context("reading a payment")
    }

    /// Posts what may be posted again until it is answered: `None` while it is not, or while what
    /// it is about is being worked on.
    pub(super) async fn try_post(
        &self,
        token: &str,
        path: &str,
        key: &str,
        body: &Value,
    ) -> anyhow::Result<Option<Value>> {
        match self.http().try_post_once(token, path, key, body).await {
            Ok((200..300, answer)) => Ok(Some(answer)),
            Ok((status @ (400..=408 | 410..500), answer)) => {
                anyhow::bail!("POST {path} was answered with {status}: {answer}")
            }
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// Gets what may not be there yet.
    pub(super) async fn try_get(&self, token: &str, path: &str) -> Option<Value> {
        let answer = self.http().try_ask(token, Method::GET, path, None).await;
        answer.ok().filter(|(status, _)| *status == 200).map(|(_, answer)| answer)
    }
}

/// Has the charger listen, and somebody look, until they say what came of it. `None` when it does
/// not come for so long.
pub(super) async fn meanwhile<T>(
    charger: &mut Charger,
    patience: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if let Some(seen) = look().await? {
            return Ok(Some(seen));
        }
        charger.listen(LOOK_EVERY).await?;
    }
    Ok(None)
}
