//! The session record and what StopTransaction does to it.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use network::{HoldRef, Jurisdiction, Payer, PaymentPolicy, PlanMembership, Tier};
use ocpp::StopTransactionRequest;
use quantities::{
    Amount, ChargePointId, ConnectorId, DriverId, IdTag, SessionId, SiteId, TariffRef,
    TransactionId, WattHours,
};
use serde::{Deserialize, Serialize};

use crate::{Route, payload_digest};

/// Where a session is on its way to money. Payment has its own record and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// The transaction runs.
    Active,
    /// The transaction ended; rating has it.
    Ended,
    /// The transaction ended and the idle fee runs until the connector is free.
    AwaitingRelease,
    /// An exception holds it for a person.
    Held,
    /// Priced; this never changes again.
    Rated,
    /// A person decided that nothing is billed.
    Waived,
}

/// One charging session, from StartTransaction on. Everything that its price depends on is pinned
/// here when it starts; later changes to site, tariff or membership do not reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Where it is on its way.
    pub state: SessionState,
    /// The charger.
    pub charge_point_id: ChargePointId,
    /// The connector.
    pub connector_id: ConnectorId,
    /// The number we gave the transaction.
    pub transaction_id: TransactionId,
    /// The site.
    pub site_id: SiteId,
    /// The site's time zone.
    pub time_zone: Tz,
    /// The tag that started it.
    pub id_tag: IdTag,
    /// The driver who sees it in the app, when known.
    pub driver_id: Option<DriverId>,
    /// Which way it is paid.
    #[serde(default)]
    pub route: Route,
    /// Who pays.
    pub payer: Payer,
    /// The price group that the driver started in.
    #[serde(default = "Tier::retail")]
    pub tier: Tier,
    /// The tariff version that the driver was offered. `None`: nothing was on offer.
    pub tariff: Option<TariffRef>,
    /// The site's jurisdiction: its taxes, its rounding, and who sells.
    pub jurisdiction: Jurisdiction,
    /// The plan beside the tariff, if the tag has one. Which version of it applies is decided by
    /// `started_at`.
    #[serde(default)]
    pub plan: Option<PlanMembership>,
    /// Groups that the site belongs to: a plan can be limited to them.
    #[serde(default)]
    pub site_groups: Vec<String>,
    /// Whether it was started from the app, whoever pays: by a start that it has used up.
    #[serde(default)]
    pub from_app: bool,
    /// What is to be held on the card.
    pub hold: Amount,
    /// A hold that was not asked for after the start: from the app before it, or at a reader.
    pub placed_hold: Option<HoldRef>,
    /// What the site wants done with the driver's money where there is a choice.
    #[serde(default)]
    pub payment_policy: PaymentPolicy,
    /// The site's limit for silence, in seconds.
    pub silent_after_s: u32,
    /// The site's limit for waiting until the connector is free, in seconds.
    pub release_wait_s: u32,
    /// StartTransaction's timestamp.
    pub started_at: DateTime<Utc>,
    /// When StartTransaction arrived.
    pub received_at: DateTime<Utc>,
    /// Register at the start.
    pub meter_start: WattHours,
    /// StopTransaction's timestamp.
    pub ended_at: Option<DateTime<Utc>>,
    /// When the end was stored, by our clock.
    pub end_received_at: Option<DateTime<Utc>>,
    /// Register at the end.
    pub meter_stop: Option<WattHours>,
    /// Whether a person has decided how it is billed: what held it then holds it no longer.
    #[serde(default)]
    pub billed_by_person: bool,
    /// OCPP `Reason` of the stop, as sent.
    pub stop_reason: Option<String>,
    /// When the connector was free again.
    pub released_at: Option<DateTime<Utc>>,
    /// StartTransaction as it came, for audit.
    pub start_frame: String,
    /// StopTransaction as it came, for audit; also holds its `transactionData`.
    pub stop_frame: Option<String>,
}

/// What a StopTransaction for a known session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopTransactionEffect {
    /// The session ends and goes to rating.
    End,
    /// The session ends and is held: its stop reading is below its start reading.
    HoldMeterBackwards,
    /// The same StopTransaction came before: nothing changes, the answer is the same.
    Repeat,
    /// The session has ended already, with other values: nothing changes, a person looks.
    Conflict,
}

impl Session {
    /// Whether it is settled who bears the price: with a reader's tag that is whoever has presented
    /// a card.
    #[must_use]
    pub const fn has_payer(&self) -> bool {
        self.payer.is_settled() || self.placed_hold.is_some()
    }

    /// Whether a card is still to be presented for it at its connector's reader.
    #[must_use]
    pub fn waits_for_card(&self) -> bool {
        let open = matches!(self.state, SessionState::Active | SessionState::Ended);
        open && self.payer == Payer::Reader && self.placed_hold.is_none()
    }

    /// Decides what a StopTransaction with `meter_stop` does that came as `frame`.
    ///
    /// A session that the sweep has closed is still open to the charger's own word: the charger
    /// may come back and say how it really ended, until a person has decided.
    #[must_use]
    pub fn on_stop(&self, meter_stop: WattHours, frame: &str) -> StopTransactionEffect {
        let open = matches!(self.state, SessionState::Active | SessionState::Held);
        match &self.stop_frame {
            None if open && self.is_backwards(meter_stop, frame) => {
                StopTransactionEffect::HoldMeterBackwards
            }
            None if open => StopTransactionEffect::End,
            Some(first) if payload_digest(first) == payload_digest(frame) => {
                StopTransactionEffect::Repeat
            }
            _ => StopTransactionEffect::Conflict,
        }
    }
    /// A register that came to the end of its digits is no step back.
    fn is_backwards(&self, meter_stop: WattHours, frame: &str) -> bool {
        let rolled_over = || {
            let stop = ocpp::read_call::<StopTransactionRequest>(frame).ok();
            stop.is_some_and(|call| self.rolled_over(meter_stop, call.request.timestamp))
        };
        meter_stop < self.meter_start && !rolled_over()
    }
}
