//! The sites, chargers, readers and drivers of a storm, made in fair weather.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use quantities::ChargePointId;
use reqwest::Method;
use serde_json::{Value, json};
use stripe_twin::DeclineRule;

use super::{
    kind::{HOLD_SITE, Kind, READER_SITE, TERMINAL_SITE},
    plan::{Station, Visit},
    scene::{Equipment, Scene},
};
use crate::{
    network::{self, Network},
    platform::Platform,
};

/// How many are made at once.
const AT_ONCE: usize = 8;
/// How far apart card and session may arrive at a reader, in seconds: as far as may be, as both
/// wait for Stripe.
const WINDOW_S: u32 = 900;
/// What the accounts are called that pay by invoice.
pub(super) const FLEET: &str = "storm-fleet";
pub(super) const CONTRACT: &str = "storm-town";

/// Makes everything and everybody that the visits need.
///
/// # Errors
///
/// When somebody refuses.
pub(super) async fn invite<'a>(
    platform: &'a Platform,
    network: &'a Network,
    stations: &[Station],
) -> anyhow::Result<Scene<'a>> {
    let mut scene = Scene::new(platform, network);
    let operator: Arc<str> = platform.token("operator", &["admin", "support", "finance"])?.into();
    for id in [HOLD_SITE, READER_SITE, TERMINAL_SITE] {
        site(&scene, &operator, id).await?;
    }
    // Holds of cards of the great brands can be raised then.
    scene.stripe.control("account", &json!({ "ic_plus": true })).await?;
    let made = stations.iter().map(|station| equip(&scene, operator.clone(), station));
    let equipment = stream::iter(made).buffer_unordered(AT_ONCE).try_collect().await?;

    let mut seen = BTreeSet::new();
    let visits = stations.iter().flat_map(|station| &station.visits);
    let known = visits.filter(|visit| !visit.kind.at_reader());
    let first = known.filter(|visit| seen.insert(visit.id_tag.as_str()));
    let drivers = first.map(|visit| driver(&scene, operator.clone(), visit));
    stream::iter(drivers).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    scene.equipment = equipment;
    Ok(scene)
}

/// A site that sells what `AMS-01` sells.
async fn site(scene: &Scene<'_>, operator: &str, id: &str) -> anyhow::Result<()> {
    let (hold, payment) = if id == HOLD_SITE {
        let watched = json!({
            "raise": true, "beyond": "new_hold", "holds_max": 2,
            "watch_at_least_s": 2, "watch_at_most_s": 10,
        });
        (1_000, watched)
    } else {
        (3_000, json!({}))
    };
    let site = json!({
        "name": id,
        "address": {
            "street": "Gustav Mahlerplein 1", "postal_code": "1082 MA", "city": "Amsterdam",
            "country": "NLD", "latitude": "52.337700", "longitude": "4.873900",
        },
        "time_zone": "Europe/Amsterdam",
        "currency": "EUR",
        "jurisdiction": {
            "per_kwh_allowed": true,
            "taxes": [{ "name": "VAT", "percent": "21" }],
            "prices_include_tax": true,
        },
        "hold": { "minor": hold, "currency": "EUR" },
        "payment": payment,
        "silent_after_s": 3_600,
        "release_wait_s": 86_400,
    });
    let path = format!("/operator/sites/{id}");
    scene.http().ask(operator, Method::PUT, &path, Some(&site)).await?;
    let tariff = json!({ "id": "AMS-RETAIL", "version": scene.network.version("AMS-RETAIL")? });
    let offer = json!({ "tier": "retail", "tariff": tariff, "from": "2026-01-01T00:00:00Z" });
    let path = format!("{path}/offers");
    scene.http().ask(operator, Method::PUT, &path, Some(&offer)).await.map(drop)
}

/// A charger, with a reader where cards are presented.
async fn equip(
    scene: &Scene<'_>,
    operator: Arc<str>,
    station: &Station,
) -> anyhow::Result<(ChargePointId, Equipment)> {
    let Station { id, site, .. } = station;
    let http = scene.http();
    let path = format!("/operator/chargers/{id}");
    http.ask(&operator, Method::PUT, &path, Some(&network::charger(id, site))).await?;
    let answer = http.ask(&operator, Method::POST, &format!("{path}/password"), None).await?;
    let password = answer.get("password").and_then(Value::as_str);
    let password = password.context("no password came back")?.to_owned();
    let mut device = None;
    if [READER_SITE, TERMINAL_SITE].contains(&site.as_str()) {
        let made = scene.stripe.reader(id.as_str()).await?;
        let reader = json!({
            "stripe_reader": made,
            "site_id": site,
            "connectors": [{ "charge_point_id": id, "connector_id": 1 }],
            "id_tag": station.reader_tag.as_str(),
            "starts_charger": site.as_str() == READER_SITE,
            "window_s": WINDOW_S,
        });
        let path = format!("/operator/readers/{id}");
        http.ask(&operator, Method::PUT, &path, Some(&reader)).await?;
        device = Some(made);
    }
    Ok((id.clone(), Equipment { password, device }))
}

async fn driver(scene: &Scene<'_>, operator: Arc<str>, visit: &Visit) -> anyhow::Result<()> {
    let Visit { kind, driver, id_tag, .. } = visit;
    let mut body = json!({ "status": "Accepted", "tier": kind.tier() });
    if *kind != Kind::Roaming {
        body["driver_id"] = driver.as_str().into();
    }
    body["payer"] = match kind {
        Kind::Roaming => json!({
            "kind": "roaming",
            "partner_id": scene.network.partner(),
            "token_uid": id_tag.as_str(),
            "contract_id": "DE-EMP-C0001234-5",
        }),
        Kind::Fleet => json!({ "kind": "account", "account": FLEET, "account_kind": "fleet" }),
        Kind::Contract => {
            json!({ "kind": "account", "account": CONTRACT, "account_kind": "contract" })
        }
        _ => card(scene, visit).await?,
    };
    let path = format!("/operator/entitlements/{}", id_tag.as_str());
    scene.http().ask(&operator, Method::PUT, &path, Some(&body)).await.map(drop)
}

/// A saved card as its visits need it.
async fn card(scene: &Scene<'_>, visit: &Visit) -> anyhow::Result<Value> {
    let kind = visit.kind;
    let (customer, card) = scene.stripe.customer(visit.driver.as_str(), kind.card()).await?;
    if let Some((code, decline_code)) = kind.refuses_difference() {
        scene.platform.stripe().decline(DeclineRule {
            payment_method: card.clone(),
            capture_method: Some("automatic".to_owned()),
            above: 0,
            code: code.to_owned(),
            decline_code: decline_code.map(str::to_owned),
        });
    }
    Ok(json!({ "kind": "card", "customer": customer, "payment_method": card }))
}
