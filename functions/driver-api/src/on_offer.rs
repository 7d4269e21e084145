//! What is on offer to a driver at a charger now, and how they would pay.

use chrono::{DateTime, Utc};
use http_api::{Problem, ProblemType};
use network::{Charger, Entitlement, EntitlementStatus, Payer, Site, Tier, Wallet};
use quantities::{ChargePointId, DriverId, TariffRef};
use rating::{Rules, TariffVersion};
use store::PlanState;
use tokio::try_join;

use crate::api::Api;

/// What is on offer to a driver.
#[derive(Debug, Clone)]
pub(crate) struct OnOffer {
    pub(crate) charger: Charger,
    pub(crate) site: Site,
    /// The entry whose price group and plan they have; none: they pay what everybody pays.
    pub(crate) entitlement: Option<Entitlement>,
    /// What they pay with from the app, and what they owe.
    pub(crate) wallet: Wallet,
    /// The price group at the moment asked for.
    pub(crate) tier: Tier,
    /// The tariff version that this price group is offered then.
    pub(crate) tariff: TariffRef,
}

impl OnOffer {
    /// Who pays a start from the app: what the driver chose to pay with, or else the card of their
    /// tag. None: nothing is on file.
    pub(crate) fn payer(&self) -> Option<Payer> {
        let of_tag = self.entitlement.as_ref().map(|known| known.payer.clone());
        let Wallet { customer, default_method, .. } = &self.wallet;
        let chosen = customer.clone().zip(default_method.clone());
        let chosen =
            chosen.map(|(customer, payment_method)| Payer::Card { customer, payment_method });
        chosen.or(of_tag).filter(|payer| matches!(payer, Payer::Card { .. }))
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
        Rules::of(site.time_zone, &site.jurisdiction).with_plan(plan.map(PlanState::in_force))
    }
}

pub(crate) async fn on_offer(
    api: &Api,
    driver: &DriverId,
    charge_point_id: &ChargePointId,
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
    let entitlement = choose(entitlements, now);
    let tier = entitlement.as_ref().map_or_else(Tier::retail, |known| known.tier_at(now));
    let nothing = || Problem::new(ProblemType::Conflict, "Nothing is on offer at this site now.");
    let tariff = offers.at(&tier, now).cloned().ok_or_else(nothing)?;
    Ok(OnOffer { charger, site, entitlement, wallet, tier, tariff })
}

/// The entry that a driver charges as from the app: one that may charge, with a card before one
/// without, a membership before retail; the same one every time. What an account, a partner or
/// nobody pays for is not the driver's own: their price is not for the driver's card.
fn choose(entitlements: Vec<Entitlement>, now: DateTime<Utc>) -> Option<Entitlement> {
    let mut usable: Vec<_> = entitlements
        .into_iter()
        .filter(|known| known.app_start.is_none())
        .filter(|known| matches!(known.payer, Payer::Card { .. } | Payer::Unknown))
        .filter(|known| known.status_at(now) == EntitlementStatus::Accepted)
        .collect();
    usable.sort_by_key(|known| {
        let card = matches!(known.payer, Payer::Card { .. });
        let member = known.tier_at(now) != Tier::retail();
        (!card, !member, known.id_tag.clone())
    });
    usable.into_iter().next()
}

#[cfg(test)]
mod tests {
    use network::{
        AppStart, StripeCustomerId, StripePaymentMethodId, Subscription, SubscriptionId,
        SubscriptionStatus, WhenStale,
    };
    use quantities::{Amount, ConnectorId, Currency};

    use super::*;

    fn card() -> Payer {
        Payer::Card {
            customer: StripeCustomerId("cus_1".to_owned()),
            payment_method: StripePaymentMethodId("pm_1".to_owned()),
        }
    }

    fn entitlement(tag: &str, tier: &str, payer: Payer) -> Entitlement {
        Entitlement {
            id_tag: tag.parse().unwrap(),
            status: EntitlementStatus::Accepted,
            parent_id_tag: None,
            expires_at: None,
            driver_id: Some("driver-1".parse().unwrap()),
            tier: tier.parse().unwrap(),
            plan: None,
            subscription: None,
            payer,
            app_start: None,
            revision: 0,
            owes: Vec::new(),
        }
    }

    fn chosen(entitlements: Vec<Entitlement>) -> Option<String> {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        choose(entitlements, now).map(|known| known.id_tag.as_str().to_owned())
    }

    #[test]
    fn a_driver_pays_with_their_card_and_as_the_member_they_are() {
        let retail = entitlement("A1", "retail", card());
        let gold = entitlement("B1", "gold", card());
        let unpaid = entitlement("C1", "gold", Payer::Unknown);
        assert_eq!(chosen(vec![unpaid.clone(), retail, gold]), Some("B1".to_owned()));
        assert_eq!(chosen(vec![unpaid]), Some("C1".to_owned()));
        assert_eq!(chosen(vec![]), None);
    }

    #[test]
    fn what_an_account_pays_for_is_no_price_for_the_drivers_own_card() {
        let account = "fleet-17".parse().unwrap();
        let fleet = Payer::Account { account, kind: network::AccountKind::Fleet };
        assert_eq!(chosen(vec![entitlement("A1", "fleet", fleet)]), None);
        assert_eq!(chosen(vec![entitlement("A1", "free", Payer::Free)]), None);
    }

    #[test]
    fn a_membership_that_has_lapsed_is_not_preferred() {
        let mut lapsed = entitlement("B1", "gold", card());
        lapsed.subscription = Some(Subscription {
            id: SubscriptionId("sub_1".to_owned()),
            status: SubscriptionStatus::Canceled,
            invoice: None,
            tier: None,
            current_period_end: "2026-04-01T00:00:00Z".parse().unwrap(),
            ends_at: None,
            as_of: "2026-02-01T00:00:00Z".parse().unwrap(),
            stale_after: None,
            when_stale: WhenStale::Retail,
        });
        let retail = entitlement("A1", "retail", card());
        assert_eq!(chosen(vec![lapsed, retail]), Some("A1".to_owned()));
    }

    #[test]
    fn neither_a_blocked_tag_nor_the_tag_of_an_earlier_start_is_charged_with() {
        let mut blocked = entitlement("A1", "gold", card());
        blocked.status = EntitlementStatus::Blocked;
        let mut start = entitlement("B1", "gold", card());
        start.app_start = Some(AppStart {
            charge_point_id: "CP1".parse().unwrap(),
            connector_id: ConnectorId(1),
            tariff: TariffRef { id: "T1".parse().unwrap(), version: 1 },
            amount: Amount::new(3000, Currency::EUR),
            hold: None,
            used_by: None,
        });
        assert_eq!(chosen(vec![blocked, start]), None);
    }
}
