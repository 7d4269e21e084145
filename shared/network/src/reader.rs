//! Card readers: one in a charger, or one beside several.

use quantities::{ChargePointId, ConnectorId, IdTag, ReaderId, SiteId};
use serde::{Deserialize, Serialize};

use crate::StripeReaderId;

/// A card reader of Stripe Terminal that a server drives, and the connectors that are paid at it.
/// <https://docs.stripe.com/terminal/payments/setup-integration?terminal-sdk-platform=server-driven>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// Its id.
    pub id: ReaderId,
    /// Its id at Stripe.
    pub stripe_reader: StripeReaderId,
    /// The site it stands on.
    pub site_id: SiteId,
    /// What is paid at it: one connector for a reader in a charger, several for one beside them. No
    /// connector is paid at two readers.
    pub connectors: Vec<Connector>,
    /// The tag that its sessions start with. Its entitlement says
    /// [`Payer::Reader`](crate::Payer::Reader).
    pub id_tag: IdTag,
    /// Whether the charger is told to start once the card is held; if not, it starts by itself.
    pub starts_charger: bool,
    /// How far apart card and session may arrive, in seconds.
    pub window_s: u32,
}

/// A connector of a charger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connector {
    /// The charger.
    pub charge_point_id: ChargePointId,
    /// Its connector, from 1.
    pub connector_id: ConnectorId,
}

impl Reader {
    /// Whether sessions at this connector are paid at it.
    #[must_use]
    pub fn serves(&self, charge_point_id: &ChargePointId, connector_id: ConnectorId) -> bool {
        self.connectors.iter().any(|connector| {
            connector.charge_point_id == *charge_point_id && connector.connector_id == connector_id
        })
    }
}
