//! The network that demo and tests play on (`events/network/network.json`), made through the
//! operator's HTTP surface like any other, with customers and cards at Stripe.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, bail, ensure};
use quantities::{ChargePointId, SiteId};
use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    inbox::Inbox,
    platform::{Platform, workspace},
    scenario::Case,
};

/// The network that was made, and what is needed to play on it.
#[derive(Debug)]
pub struct Network {
    passwords: BTreeMap<ChargePointId, String>,
    partner: String,
    versions: BTreeMap<String, Value>,
    silence: Duration,
    http: Http,
}

/// The HTTP surfaces, as somebody with a token.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    base: String,
}

#[derive(Deserialize)]
struct Plan {
    sites: Vec<Map<String, Value>>,
    tariffs: Vec<Map<String, Value>>,
    offers: Vec<Offer>,
    partner: Map<String, Value>,
}

#[derive(Deserialize)]
struct Offer {
    site: String,
    tier: String,
    tariff: String,
    from: String,
}

impl Network {
    /// Makes the network, with a charger and a driver for each of `cases`.
    ///
    /// # Errors
    ///
    /// When a request is refused; the error carries the answer.
    pub async fn seed(platform: &Platform, inbox: &Inbox, cases: &[Case]) -> anyhow::Result<Self> {
        let path = workspace().join("events/network/network.json");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let plan: Plan = serde_json::from_str(&text).context("reading the network's plan")?;
        let http = Http::new(platform)?;
        let operator = platform.token("operator", &["admin", "support", "finance"])?;
        let put = async |path: String, body: Value| {
            http.ask(&operator, Method::PUT, &path, Some(&body)).await
        };

        for site in &plan.sites {
            let (id, body) = split(site)?;
            put(format!("/operator/sites/{id}"), body).await?;
        }
        let mut versions = BTreeMap::new();
        for tariff in &plan.tariffs {
            let (id, body) = split(tariff)?;
            let path = format!("/operator/tariffs/{id}/versions");
            let published = http.ask(&operator, Method::POST, &path, Some(&body)).await?;
            let version = published.pointer("/reference/version").cloned();
            versions.insert(id, version.context("a tariff was published without a version")?);
        }
        for offer in &plan.offers {
            let version = versions.get(&offer.tariff).context("an offer of an unknown tariff")?;
            let body = json!({
                "tier": offer.tier,
                "tariff": { "id": offer.tariff, "version": version },
                "from": offer.from,
            });
            put(format!("/operator/sites/{}/offers", offer.site), body).await?;
        }
        let (partner, mut body) = split(&plan.partner)?;
        body["cdrs_url"] = inbox.cdrs_url().into();
        body["token"] = inbox.partner_token().into();
        put(format!("/operator/partners/{partner}"), body).await?;
        let subscriber = json!({
            "url": inbox.accounting_url(),
            "signing_secret": inbox.webhook_secret(),
            "event_types": [],
        });
        put("/operator/subscribers/accounting".to_owned(), subscriber).await?;

        let stripe = Stripe::new(platform);
        let mut passwords = BTreeMap::new();
        for case in cases {
            let id = &case.charge_point_id;
            put(format!("/operator/chargers/{id}"), charger(id, &case.site)).await?;
            let path = format!("/operator/chargers/{id}/password");
            let answer = http.ask(&operator, Method::POST, &path, None).await?;
            let password = answer.get("password").and_then(Value::as_str);
            passwords.insert(id.clone(), password.context("no password came back")?.to_owned());
            let entitlement = entitlement(case, &partner, &stripe).await?;
            put(format!("/operator/entitlements/{}", case.id_tag.as_str()), entitlement).await?;
        }
        let silences = plan.sites.iter().filter_map(|site| site.get("silent_after_s")?.as_u64());
        let silence = Duration::from_secs(silences.min().unwrap_or_default());
        Ok(Self { passwords, partner, versions, silence, http })
    }

    /// The password of a charger.
    ///
    /// # Errors
    ///
    /// When it is no charger of the network.
    pub fn password(&self, id: &ChargePointId) -> anyhow::Result<&str> {
        let password = self.passwords.get(id).map(String::as_str);
        password.with_context(|| format!("{id} is no charger of the network"))
    }

    /// The roaming partner's id.
    #[must_use]
    pub fn partner(&self) -> &str {
        &self.partner
    }

    /// The version of a tariff that was published with the network.
    ///
    /// # Errors
    ///
    /// When it is no tariff of the network.
    pub(crate) fn version(&self, tariff: &str) -> anyhow::Result<&Value> {
        self.versions.get(tariff).with_context(|| format!("{tariff} is no tariff of the network"))
    }

    /// How long a charger must be silent for the sweep to close its session, at the least patient
    /// site.
    #[must_use]
    pub const fn silence(&self) -> Duration {
        self.silence
    }

    /// The HTTP surfaces.
    #[must_use]
    pub const fn http(&self) -> &Http {
        &self.http
    }

    /// Starts the `app-start` case from the driver app, if it is among the cases, as soon as its
    /// charger is connected; and stops it from there once it runs.
    ///
    /// # Errors
    ///
    /// When the app is refused, or the session does not start in time.
    pub async fn start_from_app(&self, platform: &Platform, cases: &[Case]) -> anyhow::Result<()> {
        let Some(case) = cases.iter().find(|case| case.name == APP_CASE) else { return Ok(()) };
        let driver = platform.token(&driver_id(case), &[])?;
        let body = json!({ "charge_point_id": case.charge_point_id, "connector_id": 1 });
        let started = self.http.post_once(&driver, "/driver/starts", "demo-start", &body).await?;
        let id = started.get("id").and_then(Value::as_str).context("a start without id")?;
        let session = self.session_of_start(&driver, id).await?;
        self.wait_until_steady(&driver, &session).await?;
        let path = format!("/driver/sessions/{session}/stop");
        self.http.ask(&driver, Method::POST, &path, None).await.map(drop)
    }

    /// The session that a start from the app became.
    async fn session_of_start(&self, driver: &str, id: &str) -> anyhow::Result<String> {
        let path = format!("/driver/starts/{id}");
        for _ in 0..POLLS_MAX {
            let start = self.http.ask(driver, Method::GET, &path, None).await?;
            if let Some(session) = start.get("session_id").and_then(Value::as_str) {
                return Ok(session.to_owned());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("the session that the app started did not begin")
    }

    /// Watches the running energy in the app until it stays as it is: then the charger waits.
    async fn wait_until_steady(&self, driver: &str, session: &str) -> anyhow::Result<()> {
        let path = format!("/driver/sessions/{session}");
        let (mut seen, mut same) = (Value::Null, 0);
        for _ in 0..POLLS_MAX {
            let live = self.http.ask(driver, Method::GET, &path, None).await?;
            let energy = live.get("energy_kwh").cloned().unwrap_or_default();
            same = if energy == seen { same + 1 } else { 0 };
            if same >= STEADY_POLLS && seen != Value::Null {
                return Ok(());
            }
            seen = energy;
            tokio::time::sleep(POLL).await;
        }
        bail!("the running session never came to a halt")
    }
}

/// How often the app asks, and how often at the most.
const POLL: Duration = Duration::from_millis(200);
const POLLS_MAX: u32 = 300;

/// This many answers alike mean that the charger waits for a word.
const STEADY_POLLS: u32 = 8;

/// The case that is started from the app.
const APP_CASE: &str = "app-start";

/// The driver of a case, as the subject of their token.
#[must_use]
pub fn driver_id(case: &Case) -> String {
    format!("driver-{}", case.name)
}

impl Http {
    fn new(platform: &Platform) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { client, base: platform.http_url()?.to_owned() })
    }

    /// Asks, and gives the answer's JSON.
    ///
    /// # Errors
    ///
    /// When the answer is not a success; the error carries it.
    pub async fn ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let (status, answer) = self.try_ask(token, method.clone(), path, body).await?;
        if !(200..300).contains(&status) {
            bail!("{method} {path} was answered with {status}: {answer}");
        }
        Ok(answer)
    }

    /// Asks, and gives the status and the answer's JSON, whatever they are.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn try_ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        request = request.bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        answered(request, path).await
    }

    /// Posts with an idempotency key.
    ///
    /// # Errors
    ///
    /// When the answer is not a success; the error carries it.
    pub async fn post_once(
        &self,
        token: &str,
        path: &str,
        key: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let (status, answer) = self.try_post_once(token, path, key, body).await?;
        if !(200..300).contains(&status) {
            bail!("POST {path} was answered with {status}: {answer}");
        }
        Ok(answer)
    }

    /// Posts with an idempotency key, and gives the status and the answer's JSON, whatever they
    /// are.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn try_post_once(
        &self,
        token: &str,
        path: &str,
        key: &str,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(token);
        let request = request.header("Idempotency-Key", key).json(body);
        answered(request, path).await
    }
}

async fn answered(request: RequestBuilder, path: &str) -> anyhow::Result<(u16, Value)> {
    let response = request.send().await.with_context(|| format!("asking {path}"))?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

/// Customers and cards at Stripe.
#[derive(Debug, Clone)]
pub(crate) struct Stripe {
    client: Client,
    base: String,
    key: String,
}

impl Stripe {
    pub(crate) fn new(platform: &Platform) -> Self {
        let key = platform.stripe().api_key().to_owned();
        Self { client: Client::new(), base: platform.stripe_url().to_owned(), key }
    }

    /// # Errors
    ///
    /// When the answer is not a success; the error carries it.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form.iter().copied())
            .finish();
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.key);
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body(body);
        Self::answered(request, path).await
    }

    /// # Errors
    ///
    /// As [`Stripe::post`].
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.key);
        Self::answered(request, path).await
    }

    /// What nobody but the twin can do: be a person, or an issuer.
    ///
    /// # Errors
    ///
    /// As [`Stripe::post`].
    pub(crate) async fn control(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let request = self.client.post(format!("{}/_twin/{path}", self.base)).json(body);
        let response = request.send().await?;
        let status = response.status();
        ensure!(status.is_success(), "the twin answered {path} with {}", response.text().await?);
        Ok(())
    }

    async fn answered(request: RequestBuilder, path: &str) -> anyhow::Result<Value> {
        let response = request.send().await?;
        let status = response.status();
        let answer: Value = response.json().await.context("Stripe's answer is not JSON")?;
        ensure!(status.is_success(), "Stripe answered {path} with {answer}");
        Ok(answer)
    }

    /// A simulated reader of a location of its own; its id.
    ///
    /// # Errors
    ///
    /// As [`Stripe::post`].
    pub(crate) async fn reader(&self, name: &str) -> anyhow::Result<String> {
        let form = [("display_name", name), ("address[line1]", "1"), ("address[country]", "NL")];
        let location = id_of(&self.post("/v1/terminal/locations", &form).await?)?;
        let form = [("registration_code", "simulated-wpe"), ("location", location.as_str())];
        id_of(&self.post("/v1/terminal/readers", &form).await?)
    }

    /// A customer with one of Stripe's test cards; their ids.
    pub(crate) async fn customer(
        &self,
        driver: &str,
        card: &str,
    ) -> anyhow::Result<(String, String)> {
        let customer = id_of(&self.post("/v1/customers", &[("description", driver)]).await?)?;
        let form = [("customer", customer.as_str())];
        let path = format!("/v1/payment_methods/{card}/attach");
        let attached = self.post(&path, &form).await?;
        Ok((customer, id_of(&attached)?))
    }
}

fn id_of(answer: &Value) -> anyhow::Result<String> {
    let id = answer.get("id").and_then(Value::as_str).map(str::to_owned);
    id.context("Stripe gave no id")
}

pub(crate) fn charger(id: &ChargePointId, site: &SiteId) -> Value {
    let dc = id.as_str().contains("-DC-");
    json!({
        "site_id": site,
        "evse_id": format!("NL*TWT*E{}", id.as_str().replace('-', "")),
        "power_type": if dc { "DC" } else { "AC_3_PHASE" },
        "standard": if dc { "IEC_62196_T2_COMBO" } else { "IEC_62196_T2" },
    })
}

async fn entitlement(case: &Case, partner: &str, stripe: &Stripe) -> anyhow::Result<Value> {
    let tier = case.tier.as_deref().unwrap_or("retail");
    if case.payer.as_deref() == Some("roaming") {
        let payer = json!({
            "kind": "roaming",
            "partner_id": partner,
            "token_uid": case.id_tag.as_str(),
            "contract_id": "DE-EMP-C0001234-5",
        });
        return Ok(json!({ "status": "Accepted", "tier": tier, "payer": payer }));
    }
    let driver = driver_id(case);
    let (customer, payment_method) = stripe.customer(&driver, "pm_card_visa").await?;
    let payer = json!({ "kind": "card", "customer": customer, "payment_method": payment_method });
    Ok(json!({ "status": "Accepted", "tier": tier, "driver_id": driver, "payer": payer }))
}

/// A plan's entry as its id and the body that goes under it.
fn split(entry: &Map<String, Value>) -> anyhow::Result<(String, Value)> {
    let mut body = entry.clone();
    let id = body.remove("id").and_then(|id| id.as_str().map(str::to_owned));
    Ok((id.context("an entry of the plan has no id")?, Value::Object(body)))
}
