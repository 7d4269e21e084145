//! Several taxes at once, prices with tax in them, and who sells.

use anyhow::{Context as _, ensure};
use quantities::SessionId;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{
    harness::{Charge, Suite, World, is_captured},
    plans::sale,
};

/// 20 kWh in an hour.
const CHARGE: Charge = Charge { hour: 16, minutes: 60, start_wh: 5_000, wh: 20_000 };

/// A tariff that sells energy alone; `more` adds to it.
async fn energy_tariff(world: &World, id: &str, price: Value, more: Value) -> anyhow::Result<()> {
    let component = json!({ "type": "ENERGY", "price": price, "step_size": 1 });
    let mut tariff = json!({ "id": id, "elements": [{ "price_components": [component] }] });
    let fields = tariff.as_object_mut().context("no object")?;
    fields.extend(more.as_object().context("no object")?.clone());
    let body = json!({ "tariff": tariff });
    world.operator(Method::POST, &format!("/tariffs/{id}/versions"), Some(&body)).await?;
    Ok(())
}

/// Charges at a site and gives the session once its money is taken.
async fn charged(
    world: &World,
    site: &str,
    station: &str,
    driver: &str,
) -> anyhow::Result<(SessionId, Value)> {
    let tag = format!("{station}-TAG");
    world.paying_tag(&tag, driver).await?;
    let mut station = world.station_at(site, station).await?;
    let (session, number) = station.start(&tag, CHARGE).await?;
    station.half(number, CHARGE).await?;
    station.stop(number, CHARGE).await?;
    Ok((session, world.file_when(session, "the capture", is_captured).await?))
}

/// The receipt as JSON and as a page.
async fn receipt(
    world: &World,
    driver: &str,
    session: SessionId,
) -> anyhow::Result<(Value, String)> {
    let path = format!("/sessions/{session}/receipt");
    let (status, receipt) = world.driver(driver, Method::GET, &path).await?;
    assert_eq!(status, 200, "{receipt:#}");
    let url = format!("{}/driver{path}", world.platform.http_url()?);
    let token = world.platform.token(driver, &[])?;
    let page = Client::builder().no_proxy().build()?.get(url).bearer_auth(token);
    let page = page.header("accept", "text/html").send().await?.text().await?;
    Ok((receipt, page))
}

/// Quebec: 5 % GST and 9.975 % QST, each on the price before taxes, which is what is shown.
pub(crate) async fn two_taxes_are_named_booked_and_owed_one_by_one(
    suite: &Suite,
) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let quebec = json!({
        "name": "Marché Jean-Talon", "time_zone": "America/Toronto", "currency": "CAD",
        "hold": { "minor": 4000, "currency": "CAD" },
        "jurisdiction": {
            "per_kwh_allowed": true,
            "taxes": [
                { "name": "GST", "percent": "5", "account_number": "123456789 RT0001" },
                { "name": "QST", "percent": "9.975", "account_number": "1234567890 TQ0001" },
            ],
            "prices_include_tax": false,
            "seller": {
                "name": "Tallywatt Québec inc.",
                "address": "7070 avenue Henri-Julien, Montréal QC H2S 3S3",
                "company_number": "1170000000",
            },
        },
    });
    world.site("QC-01", quebec).await?;
    energy_tariff(world, "QC-RETAIL", json!(0.45), json!({ "currency": "CAD" })).await?;
    world.offer("QC-01", "QC-RETAIL").await?;
    let driver = "driver-quebec";
    let (session, file) = charged(world, "QC-01", "QC-STATION", driver).await?;

    // 20 × 0.45 = 9.00; GST 0.45, QST 0.897 75: 10.347 75.
    assert_eq!(file["payment"]["captured"], json!({ "minor": 1035, "currency": "CAD" }));
    let lines = sale(&file)?["lines"].as_array().context("no journal")?;
    let owed: Vec<_> = lines.iter().filter(|line| line["account"] == "tax_payable").collect();
    let [gst, qst] = owed.as_slice() else { anyhow::bail!("{lines:#?}") };
    assert_eq!((&gst["tax"]["name"], &gst["amount"]["minor"]), (&json!("GST"), &json!(45)));
    assert_eq!((&qst["tax"]["name"], &qst["amount"]["minor"]), (&json!("QST"), &json!(90)));
    assert_eq!(qst["tax"]["account_number"], "1234567890 TQ0001", "{qst:#}");
    assert_eq!(sale(&file)?["seller"], "Tallywatt Québec inc.", "{:#}", file["journal"]);

    let (receipt, page) = receipt(world, driver, session).await?;
    assert_eq!(receipt["seller"]["name"], "Tallywatt Québec inc.", "{receipt:#}");
    assert_eq!(receipt["prices_include_tax"], false, "{receipt:#}");
    let taxes = receipt["taxes"].as_array().context("no taxes")?;
    let named: Vec<_> = taxes.iter().map(|tax| (&tax["name"], &tax["tax"]["minor"])).collect();
    assert_eq!(named, [(&json!("GST"), &json!(45)), (&json!("QST"), &json!(90))], "{receipt:#}");
    a_partner_is_told_of_both(world).await?;
    for text in ["GST 5 %", "QST 9.975 %", "123456789 RT0001", "Tallywatt Québec inc.", "10.35"] {
        ensure!(page.contains(text), "{text} is not on {page}");
    }
    Ok(())
}

/// Germany: what the driver sees is what the driver pays, and the tax is in it.
pub(crate) async fn a_price_with_tax_in_it_is_what_is_paid(suite: &Suite) -> anyhow::Result<()> {
    let world = &*suite.shared().await?;
    let germany = json!({
        "name": "Alexanderplatz", "time_zone": "Europe/Berlin",
        "jurisdiction": {
            "per_kwh_allowed": true,
            "taxes": [{ "name": "USt", "percent": "19" }],
            "prices_include_tax": true,
        },
    });
    world.site("BER-01", germany).await?;
    let with_tax = json!({ "currency": "EUR", "tax_included": "YES" });
    energy_tariff(world, "BER-RETAIL", json!(0.59), with_tax).await?;
    world.offer("BER-01", "BER-RETAIL").await?;
    let driver = "driver-berlin";
    let (session, file) = charged(world, "BER-01", "BER-STATION", driver).await?;

    // 20 × 0.59 = 11.80, of which 11.80 / 1.19 = 9.915 966… without tax.
    assert_eq!(file["payment"]["captured"]["minor"], 1180, "{:#}", file["priced"]);
    assert_eq!(file["priced"]["totals"]["total"]["excl_vat"]["minor"], 992);
    let (receipt, page) = receipt(world, driver, session).await?;
    assert_eq!(receipt["prices_include_tax"], true, "{receipt:#}");
    let tax = &receipt["taxes"][0];
    assert_eq!((&tax["name"], &tax["tax"]["minor"]), (&json!("USt"), &json!(188)), "{receipt:#}");
    for text in ["0.59 EUR/kWh", "11.80 EUR", "1.88 EUR", "USt 19 %"] {
        ensure!(page.contains(text), "{text} is not on {page}");
    }
    Ok(())
}

/// A partner with OCPI 2.3.0 gets the same charge with its taxes by name.
async fn a_partner_is_told_of_both(world: &World) -> anyhow::Result<()> {
    let partner = json!({
        "name": "Newer eMSP", "country_code": "CA", "party_id": "NEW", "version": "2.3.0",
        "cdrs_url": world.inbox.newer_cdrs_url(), "token": world.inbox.partner_token(),
    });
    world.operator(Method::PUT, "/partners/CA-NEW", Some(&partner)).await?;
    let tag = "QC-ROAMING-TAG";
    let payer = json!({
        "kind": "roaming", "partner_id": "CA-NEW", "token_uid": tag,
        "contract_id": "CA-NEW-C0001234-5",
    });
    let entitlement = json!({ "status": "Accepted", "tier": "retail", "payer": payer });
    world.operator(Method::PUT, &format!("/entitlements/{tag}"), Some(&entitlement)).await?;
    let mut station = world.station_at("QC-01", "QC-ROAMING").await?;
    let (session, number) = station.start(tag, CHARGE).await?;
    station.stop(number, CHARGE).await?;
    let posted = |file: &Value| {
        let deliveries = file["deliveries"].as_array().into_iter().flatten();
        deliveries.filter(|one| one["recipient"] == "CA-NEW").any(|one| one["last_status"] == 201)
    };
    let file = world.file_when(session, "the partner's CDR", posted).await?;
    let received = world.inbox.received();
    let id = file["cdr"]["id"].as_str().context("a CDR without id")?;
    let cdr = received.newer_cdrs.get(id).context("the partner has no such CDR")?;
    assert_eq!(cdr["total_cost"]["before_taxes"], json!(9), "{cdr:#}");
    let taxes = cdr["total_cost"]["taxes"].as_array().context("no taxes")?;
    let named: Vec<_> = taxes.iter().map(|tax| (&tax["name"], &tax["amount"])).collect();
    let expected = [(&json!("GST"), &json!(0.45)), (&json!("QST"), &json!(0.9))];
    assert_eq!(named, expected, "{cdr:#}");
    assert_eq!(cdr["tariffs"][0]["tax_included"], "NO", "{cdr:#}");
    Ok(())
}
