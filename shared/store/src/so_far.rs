//! What the cost of a session so far is computed from.

use chrono::{DateTime, TimeDelta, Utc};
use network::Charger;
use rating::{PricedSession, Pricer, RatingError, Rules, TariffVersion};
use session::{Session, SessionState, Timeline, so_far};

use crate::{PlanState, SessionFile, Store, StoreError};

/// How long before the start the connector's status may have been reported.
const STATUS_LEAD: TimeDelta = TimeDelta::minutes(10);

/// How far a charger's clock may be ahead of ours for its statuses to be seen.
const STATUS_AHEAD: TimeDelta = TimeDelta::days(1);

/// A session that is not priced yet, as far as it has come.
#[derive(Debug, Clone)]
pub struct SoFar {
    /// What has happened.
    pub timeline: Timeline,
    /// Where, if the charger is still configured.
    pub charger: Option<Charger>,
    /// What it is priced with; `None` when it has no cost to tell: nothing was on offer, or a
    /// person has to look at it, or has waived it.
    pub priced_with: Option<PricedWith>,
}

/// What a session is priced with.
#[derive(Debug, Clone)]
pub struct PricedWith {
    /// The tariff version that it has pinned.
    pub tariff: TariffVersion,
    /// Its plan, and what the account has used so far: another vehicle of the account may yet be
    /// priced before this one.
    pub plan: Option<PlanState>,
}

impl PricedWith {
    /// The rules beside the tariff.
    #[must_use]
    pub fn rules<'a>(&'a self, session: &'a Session) -> Rules<'a> {
        Rules::pinned(session).with_plan(self.plan.as_ref().map(PlanState::in_force))
    }

    /// What `session` has cost at the end of `timeline`.
    ///
    /// # Errors
    ///
    /// [`RatingError`]: rating will hold it for a person.
    pub fn cost(
        &self,
        session: &Session,
        timeline: &Timeline,
    ) -> Result<PricedSession, RatingError> {
        Pricer::new(&self.tariff)?.rate(timeline, &self.rules(session))
    }
}

impl Store {
    /// How far a session has come at `now`, by our clock, and what it is priced with. Three to six
    /// reads.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn so_far(
        &self,
        file: &SessionFile,
        now: DateTime<Utc>,
    ) -> Result<SoFar, StoreError> {
        let session = &file.session;
        let (id, connector) = (&session.charge_point_id, session.connector_id);
        let (from, to) = (session.started_at - STATUS_LEAD, now + STATUS_AHEAD);
        let statuses = self.statuses(id, connector, from, to).await?;
        let charger = self.charger(id).await?;
        let priced_with = match session.tariff.as_ref().filter(|_| has_running_cost(session)) {
            Some(reference) => {
                let tariff = self.tariff(reference).await?;
                Some(PricedWith { tariff, plan: self.plan_state(session).await? })
            }
            None => None,
        };
        let has_idle_fee = priced_with.as_ref().is_some_and(|with| with.tariff.has_idle_fee());
        let (frames, known) = (&file.meter_values, charger.as_ref());
        let timeline = so_far(session, frames, &statuses, now, has_idle_fee, known);
        Ok(SoFar { timeline, charger, priced_with })
    }
}

/// A session that a person has to look at, or has waived, has no cost to tell.
const fn has_running_cost(session: &Session) -> bool {
    match session.state {
        SessionState::Active | SessionState::Ended | SessionState::AwaitingRelease => true,
        SessionState::Held | SessionState::Rated | SessionState::Waived => false,
    }
}
