//! Authorize and StartTransaction: may this tag charge here, and what is pinned when it does.

use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use network::{AppStart, Entitlement, EntitlementStatus, Offers, Payer, Site};
use ocpp::{AuthorizationStatus, IdTagInfo, StartTransactionRequest};
use quantities::{ChargePointId, SessionId, TransactionId};

use crate::{Resolved, Session, SessionState, StartIdentity, resolve};

/// How long after its connection a charger is believed to be telling what it queued before.
const QUEUE_TOLD_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// What we say of a tag at a charger at `at`.
///
/// A driver who owes money is blocked until it is settled, where their own card would pay.
/// A start from the app is good at the charger it was made for, until a session has used it.
#[must_use]
pub fn authorize(
    entitlement: Option<&Entitlement>,
    charge_point_id: &ChargePointId,
    at: DateTime<Utc>,
) -> IdTagInfo {
    judge(entitlement, charge_point_id, (at, at))
}

/// As [`authorize`], with what is owed at `barred_at`.
fn judge(
    entitlement: Option<&Entitlement>,
    charge_point_id: &ChargePointId,
    (at, barred_at): (DateTime<Utc>, DateTime<Utc>),
) -> IdTagInfo {
    let Some(entitlement) = entitlement else {
        return IdTagInfo::of(AuthorizationStatus::Invalid);
    };
    let elsewhere =
        |start: &AppStart| start.used_by.is_some() || start.charge_point_id != *charge_point_id;
    let status = match entitlement.status_at(at) {
        EntitlementStatus::Accepted if entitlement.app_start.as_ref().is_some_and(elsewhere) => {
            AuthorizationStatus::Invalid
        }
        EntitlementStatus::Accepted if entitlement.is_barred_at(barred_at) => {
            AuthorizationStatus::Blocked
        }
        EntitlementStatus::Accepted => AuthorizationStatus::Accepted,
        EntitlementStatus::Blocked => AuthorizationStatus::Blocked,
        EntitlementStatus::Expired => AuthorizationStatus::Expired,
    };
    IdTagInfo {
        status,
        expiry_date: entitlement.expires_at,
        parent_id_tag: entitlement.parent_id_tag.clone(),
    }
}

/// All that a StartTransaction is decided from.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The charger.
    pub charge_point_id: &'a ChargePointId,
    /// The site's time zone, as the connection knows it.
    pub time_zone: Tz,
    /// What it said.
    pub request: &'a StartTransactionRequest,
    /// The frame as it came.
    pub frame: &'a str,
    /// Since when the charger has been connected.
    pub connected_at: DateTime<Utc>,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// The charger's site.
    pub site: &'a Site,
    /// What the site offers.
    pub offers: &'a Offers,
    /// The tag's entry in the entitlement cache.
    pub entitlement: Option<&'a Entitlement>,
}

impl<'a> Start<'a> {
    /// The session that this start opens at the given attempt for a transactionId, and what the
    /// charger is told of the tag.
    ///
    /// A tag that may not charge still opens a session, for the energy may flow all the same (a
    /// charger that was offline, or does not stop on refusal); nobody is billed for it without a
    /// person's word. Status, tier and offer are those at the charger's timestamp, so that a start
    /// which was queued offline is judged by its own time; what bars a driver counts until the start
    /// arrives, unless it was queued.
    #[must_use]
    pub fn open(&self, attempt: u32) -> (Session, IdTagInfo) {
        let transaction_id = self.identity().transaction_id(attempt);
        let id = SessionId::of(self.charge_point_id, transaction_id);
        let id_tag_info = self.judge(id);
        let accepted = id_tag_info.status == AuthorizationStatus::Accepted;
        let entitlement = self.entitlement.filter(|_| accepted);
        (self.session(id, transaction_id, entitlement), id_tag_info)
    }

    /// The same session, for nobody: the start from the app behind the tag was spent.
    #[must_use]
    pub fn open_for_nobody(&self, attempt: u32) -> (Session, IdTagInfo) {
        Self { entitlement: None, ..*self }.open(attempt)
    }

    /// Whether `session` is the one that this start opened, sent before.
    #[must_use]
    pub fn opened(&self, session: &Session) -> bool {
        let of_session = StartIdentity {
            charge_point_id: &session.charge_point_id,
            connector_id: session.connector_id,
            id_tag: &session.id_tag,
            started_at: session.started_at,
            meter_start: session.meter_start,
        };
        of_session == self.identity()
    }

    /// What the charger is told when `standing` was opened by this start before and `again` is what
    /// it would open now: the same as then, whatever has become of the tag meanwhile. A session
    /// that stands for somebody was accepted, and one for nobody, where somebody would pay now, was
    /// not.
    #[must_use]
    pub fn told_before(standing: &Session, again: &Session, now: IdTagInfo) -> IdTagInfo {
        let for_nobody = |session: &Session| session.payer == Payer::Unknown;
        match (for_nobody(standing), for_nobody(again)) {
            (true, false) => IdTagInfo::of(AuthorizationStatus::Blocked),
            (false, true) => IdTagInfo { status: AuthorizationStatus::Accepted, ..now },
            _ => now,
        }
    }

    /// From when to when nothing may bar the driver: a start that was queued is judged by its own
    /// time alone, for the energy has flowed. Any other begins as it arrives, whatever its
    /// timestamp says.
    #[must_use]
    pub fn must_be_free(&self) -> RangeInclusive<DateTime<Utc>> {
        let judged_at = self.judged_at();
        let until = if self.may_have_been_queued() { judged_at } else { self.received_at };
        judged_at..=until
    }

    /// Whether the charger may have queued it while it was offline: it is from before the
    /// connection, and came soon after. A clock that is behind says the first at any time.
    fn may_have_been_queued(&self) -> bool {
        let is_from_before = self.request.timestamp < self.connected_at;
        is_from_before && self.received_at - self.connected_at <= QUEUE_TOLD_WITHIN
    }

    const fn identity(&self) -> StartIdentity<'a> {
        StartIdentity {
            charge_point_id: self.charge_point_id,
            connector_id: self.request.connector_id,
            id_tag: &self.request.id_tag,
            started_at: self.request.timestamp,
            meter_start: self.request.meter_start,
        }
    }

    /// The moment that tag and offer are judged by: the charger's word, but never the future, into
    /// which only a wrong clock can lead.
    fn judged_at(&self) -> DateTime<Utc> {
        self.request.timestamp.min(self.received_at)
    }

    /// As [`authorize`], but the session that has used a start is no stranger to it.
    fn judge(&self, id: SessionId) -> IdTagInfo {
        let mut entitlement = self.entitlement.cloned();
        if let Some(start) = entitlement.as_mut().and_then(|known| known.app_start.as_mut()) {
            start.used_by = start.used_by.filter(|user| *user != id);
        }
        let free = self.must_be_free();
        judge(entitlement.as_ref(), self.charge_point_id, (*free.start(), *free.end()))
    }

    fn session(
        &self,
        id: SessionId,
        transaction_id: TransactionId,
        entitlement: Option<&Entitlement>,
    ) -> Session {
        let (started_at, judged_at) = (self.request.timestamp, self.judged_at());
        let app_start = entitlement.and_then(|known| known.app_start.as_ref());
        let Resolved { route, payer, tier, tariff, plan } =
            resolve(entitlement, self.offers, judged_at);
        Session {
            id,
            state: SessionState::Active,
            charge_point_id: self.charge_point_id.clone(),
            connector_id: self.request.connector_id,
            transaction_id,
            site_id: self.site.id.clone(),
            time_zone: self.time_zone,
            id_tag: self.request.id_tag.clone(),
            driver_id: entitlement.and_then(|known| known.driver_id.clone()),
            route,
            payer,
            tier,
            tariff,
            jurisdiction: self.site.jurisdiction.clone(),
            plan,
            site_groups: self.site.groups.clone(),
            from_app: app_start.is_some(),
            hold: app_start.and_then(|start| start.amount).unwrap_or(self.site.hold),
            placed_hold: app_start.and_then(|start| start.hold.clone()),
            payment_policy: self.site.payment.clone(),
            silent_after_s: self.site.silent_after_s,
            release_wait_s: self.site.release_wait_s,
            started_at,
            received_at: self.received_at,
            meter_start: self.request.meter_start,
            ended_at: None,
            end_received_at: None,
            meter_stop: None,
            billed_by_person: false,
            stop_reason: None,
            released_at: None,
            start_frame: self.frame.to_owned(),
            stop_frame: None,
        }
    }
}
