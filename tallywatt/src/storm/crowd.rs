//! The chargers and drivers of a storm, made in fair weather.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use quantities::ChargePointId;
use reqwest::Method;
use serde_json::{Value, json};
use stripe_twin::DeclineRule;

use super::plan::{Station, Visit};
use crate::{
    network::{self, Http, Network, Stripe},
    platform::Platform,
};

/// How many are made at once.
const AT_ONCE: usize = 8;

/// Makes every charger and every driver of the visits; gives the chargers' passwords.
///
/// # Errors
///
/// When somebody refuses.
pub(super) async fn invite(
    platform: &Platform,
    network: &Network,
    stations: &[Station],
) -> anyhow::Result<BTreeMap<ChargePointId, String>> {
    let http = network.http();
    let operator: Arc<str> = platform.token("operator", &["admin", "support", "finance"])?.into();
    let chargers = stations.iter().map(|station| charger(http, operator.clone(), station));
    let passwords = stream::iter(chargers).buffer_unordered(AT_ONCE).try_collect().await?;

    let stripe = Stripe::new(platform);
    let mut seen = BTreeSet::new();
    let visits = stations.iter().flat_map(|station| &station.visits);
    let first = visits.filter(|visit| seen.insert(visit.id_tag.as_str()));
    let drivers = first.map(|visit| driver(platform, network, &stripe, operator.clone(), visit));
    stream::iter(drivers).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(passwords)
}

async fn charger(
    http: &Http,
    operator: Arc<str>,
    Station { id, site, .. }: &Station,
) -> anyhow::Result<(ChargePointId, String)> {
    let path = format!("/operator/chargers/{id}");
    http.ask(&operator, Method::PUT, &path, Some(&network::charger(id, site))).await?;
    let answer = http.ask(&operator, Method::POST, &format!("{path}/password"), None).await?;
    let password = answer.get("password").and_then(Value::as_str);
    Ok((id.clone(), password.context("no password came back")?.to_owned()))
}

async fn driver(
    platform: &Platform,
    network: &Network,
    stripe: &Stripe,
    operator: Arc<str>,
    visit: &Visit,
) -> anyhow::Result<()> {
    let Visit { kind, driver, id_tag, .. } = visit;
    let mut body = json!({ "status": "Accepted", "tier": kind.tier() });
    if kind.pays_by_card() {
        let (customer, card) = stripe.customer(driver.as_str(), kind.card()).await?;
        if let Some((code, decline_code)) = kind.refuses_difference() {
            platform.stripe().decline(DeclineRule {
                payment_method: card.clone(),
                capture_method: Some("automatic".to_owned()),
                above: 0,
                code: code.to_owned(),
                decline_code: decline_code.map(str::to_owned),
            });
        }
        body["driver_id"] = driver.as_str().into();
        body["payer"] = json!({ "kind": "card", "customer": customer, "payment_method": card });
    } else {
        body["payer"] = json!({
            "kind": "roaming",
            "partner_id": network.partner(),
            "token_uid": id_tag.as_str(),
            "contract_id": "DE-EMP-C0001234-5",
        });
    }
    let path = format!("/operator/entitlements/{}", id_tag.as_str());
    network.http().ask(&operator, Method::PUT, &path, Some(&body)).await.map(drop)
}
