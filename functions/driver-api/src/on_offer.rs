//! What is on offer to a driver at a charger now, and how they would pay.

use chrono::{DateTime, Utc};
use http_api::{Problem, ProblemType};
use network::{Charger, Entitlement, Payer, Site, Tier, Wallet};
use quantities::{ChargePointId, DriverId, TariffRef};
use rating::{Rules, TariffVersion};
use store::PlanState;
use tokio::try_join;

use crate::{
    api::Api,
    means::{Means, PayWith, are_blocked, choose, means, own},
};

/// What is on offer to a driver.
#[derive(Debug, Clone)]
pub(crate) struct OnOffer {
    pub(crate) charger: Charger,
    pub(crate) site: Site,
    /// The ways in which they can pay, the one first that is taken unless they name another.
    pub(crate) means: Vec<Means>,
    /// Who pays. None: nothing is on file.
    pub(crate) payer: Option<Payer>,
    /// The entry whose price group and plan they have; none: they pay what everybody pays.
    pub(crate) entitlement: Option<Entitlement>,
    /// Whether they may not charge at all, whoever pays.
    pub(crate) are_blocked: bool,
    /// What they owe, among other things.
    pub(crate) wallet: Wallet,
    /// The price group at the moment asked for.
    pub(crate) tier: Tier,
    /// The tariff version that this price group is offered then.
    pub(crate) tariff: TariffRef,
}

impl OnOffer {
    /// Whether a card is asked for money before the start: also where there is none yet, for it is
    /// what a driver without any other way needs.
    pub(crate) const fn is_held(&self) -> bool {
        matches!(self.payer, Some(Payer::Card { .. }) | None)
    }

    /// The tariff version on offer, and the driver's plan beside it with what is used of it.
    pub(crate) async fn priced_by(
        &self,
        api: &Api,
        now: DateTime<Utc>,
    ) -> Result<(TariffVersion, Option<PlanState>), Problem> {
        let member = self.entitlement.as_ref().and_then(|known| known.plan_at(now));
        let plan = api.store.plan_state_at(member, &self.site, now);
        Ok(try_join!(api.store.tariff(&self.tariff), plan)?)
    }

    /// What a session here is priced by, besides its tariff.
    pub(crate) fn rules<'a>(&'a self, plan: Option<&'a PlanState>) -> Rules<'a> {
        let site = &self.site;
        let is_free = self.payer == Some(Payer::Free);
        let rules = Rules { is_free, ..Rules::of(site.time_zone, &site.jurisdiction) };
        rules.with_plan(plan.map(PlanState::in_force))
    }
}

/// What is on offer at a charger to a driver who pays as they named, or as comes first.
pub(crate) async fn on_offer(
    api: &Api,
    driver: &DriverId,
    charge_point_id: &ChargePointId,
    pay_with: Option<&PayWith>,
    now: DateTime<Utc>,
) -> Result<OnOffer, Problem> {
    let (charger, entitlements, wallet) = try_join!(
        api.store.charger(charge_point_id),
        api.store.entitlements_of(driver),
        api.store.wallet(driver),
    )?;
    let charger = charger.ok_or_else(|| Problem::not_found("charger"))?;
    let (site, offers) =
        try_join!(api.store.site(&charger.site_id), api.store.offers(&charger.site_id))?;
    let site = site.ok_or_else(|| anyhow::anyhow!("the charger's site is not configured"))?;
    let means = means(&entitlements, &wallet, now);
    let (payer, entitlement) = match choose(&means, pay_with)? {
        Some(Means { payer, entitlement, .. }) => (Some(payer), entitlement),
        None => (None, own(&entitlements, now).cloned()),
    };
    let are_blocked = are_blocked(&entitlements, now);
    let tier = entitlement.as_ref().map_or_else(Tier::retail, |known| known.tier_at(now));
    let nothing = || Problem::new(ProblemType::Conflict, "Nothing is on offer at this site now.");
    let tariff = offers.at(&tier, now).cloned().ok_or_else(nothing)?;
    Ok(OnOffer { charger, site, means, payer, entitlement, are_blocked, wallet, tier, tariff })
}
