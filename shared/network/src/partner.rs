//! Who else is told: roaming partners and webhook subscribers. Their secrets are kept apart, in
//! Secrets Manager under a name made from their id.

use ocpi::Version;
use quantities::{PartnerId, SubscriberId};
use serde::{Deserialize, Serialize};

/// A roaming partner (eMSP) that gets CDRs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoamingPartner {
    /// Its id.
    pub id: PartnerId,
    /// What people call it.
    pub name: String,
    /// OCPI `country_code`, ISO 3166-1 alpha-2.
    pub country_code: String,
    /// OCPI `party_id`, ISO 15118: three characters.
    pub party_id: String,
    /// Their CDRs receiver endpoint; a CDR is posted there (OCPI 2.2.1, 10.2.2).
    pub cdrs_url: String,
    /// The version of OCPI that they are sent.
    #[serde(default = "version_2_2_1")]
    pub version: Version,
}

/// What partners were sent before they could choose.
const fn version_2_2_1() -> Version {
    Version::V2_2_1
}

impl RoamingPartner {
    /// Name of the secret with the OCPI credentials token we send them.
    #[must_use]
    pub fn secret_name(id: &PartnerId, stack: &str) -> String {
        format!("{stack}/partners/{id}")
    }
}

/// A system that gets session and payment events as signed webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSubscriber {
    /// Its id.
    pub id: SubscriberId,
    /// Where events are posted.
    pub url: String,
    /// Which events it wants (`session.rated`, …); empty means all.
    #[serde(default)]
    pub event_types: Vec<String>,
}

impl WebhookSubscriber {
    /// Whether it wants events of `event_type`.
    #[must_use]
    pub fn wants(&self, event_type: &str) -> bool {
        self.event_types.is_empty() || self.event_types.iter().any(|wanted| wanted == event_type)
    }

    /// Name of the secret its webhooks are signed with.
    #[must_use]
    pub fn secret_name(id: &SubscriberId, stack: &str) -> String {
        format!("{stack}/webhooks/{id}")
    }
}
