//! The one resolver of payments: which way a session is paid, by whom, and by which fees.

use chrono::{DateTime, Utc};
use network::{AccountKind, Entitlement, Offers, Payer, PlanMembership, Tier};
use quantities::TariffRef;
use serde::{Deserialize, Serialize};

/// The way a session is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// From the app: a card, Apple Pay or Google Pay, held before the charger started.
    AppWallet,
    /// A tag with a payment method saved at Stripe.
    SavedCard,
    /// A card at a reader.
    Reader,
    /// The account of a fleet, by invoice.
    Fleet,
    /// A contract with the operator, by invoice.
    Contract,
    /// A roaming partner, by CDR.
    Roaming,
    /// Nobody pays, and that is meant.
    Free,
    /// Nobody is known to pay: a person decides.
    #[default]
    None,
}

/// How a session is paid and what it is priced by: what is pinned when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The way.
    pub route: Route,
    /// Who.
    pub payer: Payer,
    /// The price group.
    pub tier: Tier,
    /// The tariff version. `None`: nothing was on offer.
    pub tariff: Option<TariffRef>,
    /// The plan beside the tariff.
    pub plan: Option<PlanMembership>,
}

/// Resolves a start at `at` at a site with `offers`, by a tag that may charge there; `None`: by one
/// that may not, or that nobody knows.
///
/// A start from the app has the tariff that the driver was shown; everybody else has what is on
/// offer to their tier at that moment, and who is nobody has what everybody pays.
#[must_use]
pub fn resolve(entitlement: Option<&Entitlement>, offers: &Offers, at: DateTime<Utc>) -> Resolved {
    let tier = entitlement.map_or_else(Tier::retail, |known| known.tier_at(at));
    let payer = entitlement.map_or(Payer::Unknown, |known| known.payer.clone());
    let app_start = entitlement.and_then(|known| known.app_start.as_ref());
    let shown = app_start.map(|start| start.tariff.clone());
    Resolved {
        route: Route::of(&payer, app_start.is_some()),
        tariff: shown.or_else(|| offers.at(&tier, at).cloned()),
        plan: entitlement.and_then(|known| known.plan_at(at)).cloned(),
        payer,
        tier,
    }
}

impl Route {
    /// The way that `payer` pays a session which was started from the app, or was not.
    #[must_use]
    pub const fn of(payer: &Payer, from_app: bool) -> Self {
        match payer {
            Payer::Card { .. } if from_app => Self::AppWallet,
            Payer::Card { .. } => Self::SavedCard,
            Payer::Reader => Self::Reader,
            Payer::Account { kind: AccountKind::Fleet, .. } => Self::Fleet,
            Payer::Account { kind: AccountKind::Contract, .. } => Self::Contract,
            Payer::Roaming { .. } => Self::Roaming,
            Payer::Free => Self::Free,
            Payer::Unknown => Self::None,
        }
    }

    /// Its name in records and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AppWallet => "app_wallet",
            Self::SavedCard => "saved_card",
            Self::Reader => "reader",
            Self::Fleet => "fleet",
            Self::Contract => "contract",
            Self::Roaming => "roaming",
            Self::Free => "free",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AT: &str = "2026-03-01T12:00:00Z";

    fn tariff(id: &str) -> TariffRef {
        TariffRef { id: id.parse().unwrap(), version: 1 }
    }

    fn offers() -> Offers {
        let mut offers = Offers::default();
        for (tier, id) in [("retail", "RETAIL"), ("gold", "GOLD"), ("fleet", "FLEET")] {
            let from = "2026-01-01T00:00:00Z".parse().unwrap();
            offers.add(tier.parse().unwrap(), network::Offer { from, tariff: tariff(id) });
        }
        offers
    }

    fn entitlement(tier: &str, payer: &Value, more: &Value) -> Entitlement {
        let mut row = json!({
            "id_tag": "04A1", "status": "Accepted", "tier": tier, "payer": payer,
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    /// Every way of paying, with the fees that go with it.
    #[test]
    fn every_start_has_its_route_and_its_fees() {
        let card = json!({ "kind": "card", "customer": "cus_1", "payment_method": "pm_1" });
        let account = |kind| json!({ "kind": "account", "account": "A1", "account_kind": kind });
        let roaming = json!({
            "kind": "roaming", "partner_id": "P1", "token_uid": "04A1", "contract_id": "C1",
        });
        let (reader, free) = (json!({ "kind": "reader" }), json!({ "kind": "free" }));
        let unknown = json!({ "kind": "unknown" });
        let from_app = json!({ "app_start": {
            "charge_point_id": "CP1", "connector_id": 1,
            "tariff": { "id": "SHOWN", "version": 1 },
            "amount": { "minor": 3000, "currency": "EUR" },
            "hold": {
                "payment_intent": "pi_1", "amount": { "minor": 3000, "currency": "EUR" },
            },
        } });
        let shown = json!({ "app_start": {
            "charge_point_id": "CP1", "connector_id": 1,
            "tariff": { "id": "SHOWN", "version": 1 },
        } });
        let member = json!({ "plan": { "plan": "GOLD", "account": "driver-1" } });
        let fleet_plan = json!({ "plan": { "plan": "VANS", "account": "A1" } });
        let nothing = json!({});
        let cases = [
            ("retail", &card, &from_app, Route::AppWallet, "SHOWN", None),
            ("gold", &card, &from_app, Route::AppWallet, "SHOWN", None),
            ("retail", &card, &nothing, Route::SavedCard, "RETAIL", None),
            ("gold", &card, &member, Route::SavedCard, "GOLD", Some("GOLD")),
            ("retail", &reader, &nothing, Route::Reader, "RETAIL", None),
            ("fleet", &account("fleet"), &fleet_plan, Route::Fleet, "FLEET", Some("VANS")),
            ("retail", &account("contract"), &nothing, Route::Contract, "RETAIL", None),
            ("fleet", &account("fleet"), &shown, Route::Fleet, "SHOWN", None),
            ("retail", &account("contract"), &shown, Route::Contract, "SHOWN", None),
            ("retail", &free, &shown, Route::Free, "SHOWN", None),
            ("retail", &roaming, &nothing, Route::Roaming, "RETAIL", None),
            ("retail", &free, &nothing, Route::Free, "RETAIL", None),
            ("silver", &unknown, &nothing, Route::None, "RETAIL", None),
        ];
        for (tier, payer, more, route, id, plan) in cases {
            let known = entitlement(tier, payer, more);
            let resolved = resolve(Some(&known), &offers(), AT.parse().unwrap());
            assert_eq!(resolved.route, route);
            assert_eq!(resolved.payer, known.payer, "{route:?}");
            assert_eq!(resolved.tier.as_str(), tier, "{route:?}");
            assert_eq!(resolved.tariff, Some(tariff(id)), "{route:?}");
            let named = resolved.plan.map(|member| member.plan);
            assert_eq!(named, plan.map(|plan| plan.parse().unwrap()), "{route:?}");
            assert_eq!(serde_json::to_value(route).unwrap(), route.as_str());
        }
    }

    #[test]
    fn who_is_nobody_has_the_price_of_everybody_and_no_route() {
        let resolved = resolve(None, &offers(), AT.parse().unwrap());
        assert_eq!((resolved.route, resolved.payer), (Route::None, Payer::Unknown));
        assert_eq!((resolved.tier, resolved.tariff), (Tier::retail(), Some(tariff("RETAIL"))));
        let before = "2025-12-31T00:00:00Z".parse().unwrap();
        assert_eq!(resolve(None, &offers(), before).tariff, None);
    }
}
