//! The eMSP's CDRs receiver (OCPI 2.2.1, 10.2.2 and `transport_and_format`; 2.3.0 alike).

use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use network::RoamingPartner;
use quantities::SessionId;
use runtime::Secrets;
use serde::Deserialize;
use serde_json::Value;

/// Well below the function's timeout and the queue's visibility.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Partners {
    client: reqwest::Client,
    secrets: Secrets,
    stack: String,
    country_code: String,
    party_id: String,
}

/// OCPI's own status, inside the HTTP answer.
#[derive(Deserialize)]
struct Answer {
    status_code: u32,
}

impl Partners {
    pub(crate) fn new(
        secrets: Secrets,
        stack: String,
        (country_code, party_id): (String, String),
    ) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { client, secrets, stack, country_code, party_id })
    }

    /// Posts a CDR, written in the partner's version; gives the HTTP status of a success.
    pub(crate) async fn post(
        &self,
        partner: &RoamingPartner,
        cdr: &Value,
        session_id: SessionId,
    ) -> anyhow::Result<u16> {
        let name = RoamingPartner::secret_name(&partner.id, &self.stack);
        let token = self.secrets.text(&name).await?;
        let request = self
            .client
            .post(&partner.cdrs_url)
            .header("Authorization", format!("Token {}", STANDARD.encode(token)))
            .header("X-Request-ID", session_id.to_string())
            .header("X-Correlation-ID", session_id.to_string())
            .header("OCPI-from-country-code", &self.country_code)
            .header("OCPI-from-party-id", &self.party_id)
            .header("OCPI-to-country-code", &partner.country_code)
            .header("OCPI-to-party-id", &partner.party_id)
            .json(cdr);
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let response = response.context("posting the CDR")?;
        let status = response.status();
        if !status.is_success() {
            bail!("the partner answered the CDR with HTTP {status}");
        }
        let answer: Answer = response.json().await.context("the partner's answer is not OCPI")?;
        if !(1000..2000).contains(&answer.status_code) {
            bail!("the partner answered the CDR with OCPI status {}", answer.status_code);
        }
        Ok(status.as_u16())
    }
}
