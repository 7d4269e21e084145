//! How a driver can pay a start from the app, and which way is taken.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use http_api::{Problem, ProblemType};
use network::{AccountKind, Entitlement, EntitlementStatus, Payer, Tier, Wallet};
use quantities::{AccountId, IdError};
use serde::Serialize;
use session::Route;
use utoipa::ToSchema;

/// What stands before an account's id in the name of a way.
const ACCOUNT: &str = "account:";

/// The name of a way to pay: `card`, `account:…` or `free`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PayWith {
    /// The driver's own card.
    Card,
    /// An account that is billed by invoice.
    Account(AccountId),
    /// Nobody pays.
    Free,
}

impl PayWith {
    /// The name of the way in which `payer` pays; none where the app cannot choose it.
    pub(crate) fn of(payer: &Payer) -> Option<Self> {
        match payer {
            Payer::Card { .. } => Some(Self::Card),
            Payer::Account { account, .. } => Some(Self::Account(account.clone())),
            Payer::Free => Some(Self::Free),
            Payer::Roaming { .. } | Payer::Reader | Payer::Unknown => None,
        }
    }
}

impl fmt::Display for PayWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card => f.write_str("card"),
            Self::Account(account) => write!(f, "{ACCOUNT}{account}"),
            Self::Free => f.write_str("free"),
        }
    }
}

impl FromStr for PayWith {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            "card" => Ok(Self::Card),
            "free" => Ok(Self::Free),
            other => match other.strip_prefix(ACCOUNT) {
                Some(account) => account.parse().map(Self::Account),
                None => Err(IdError {
                    kind: "PayWith",
                    value: text.to_owned(),
                    rule: "`card`, `account:` and the account's id, or `free`",
                }),
            },
        }
    }
}

/// One way in which a driver can pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Means {
    pub(crate) pay_with: PayWith,
    pub(crate) payer: Payer,
    /// The entry whose price group and plan go with it; none: they pay what everybody pays.
    pub(crate) entitlement: Option<Entitlement>,
}

/// A way to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WayToPay)]
pub(crate) struct MeansView {
    /// Its name; give it with a price or a start to choose it.
    #[schema(example = "account:fleet-17")]
    pay_with: String,
    /// Which way a session is paid then: `app_wallet`, `fleet`, `contract` or `free`.
    #[schema(example = "fleet")]
    route: String,
}

impl Means {
    pub(crate) fn view(&self) -> MeansView {
        MeansView {
            pay_with: self.pay_with.to_string(),
            route: Route::of(&self.payer, true).as_str().to_owned(),
        }
    }
}

/// What a driver of whom `entitlements` and `wallet` are known can pay with from the app, in the
/// order in which it is taken: their own card, then the account of a fleet, then one by contract,
/// then nobody. Nobody else is charged, and nothing given away, for what the driver has a card for,
/// unless they choose it. Of several entries that pay the same way, a membership goes before
/// retail, then the tag decides: the same one every time.
///
/// The card is the one that they chose for the app, or else the one of a tag of theirs. The price
/// group and plan beside it are those of an entry of their own; what somebody else pays for is no
/// price for the driver's card. A roaming partner's driver starts in the partner's app.
pub(crate) fn means(
    entitlements: &[Entitlement],
    wallet: &Wallet,
    now: DateTime<Utc>,
) -> Vec<Means> {
    let own = own(entitlements, now);
    let chosen = wallet.customer.clone().zip(wallet.default_method.clone());
    let chosen = chosen.map(|(customer, payment_method)| Payer::Card { customer, payment_method });
    let of_tag = || own.map(|known| known.payer.clone());
    let card = chosen.or_else(of_tag).filter(|payer| matches!(payer, Payer::Card { .. }));
    let card = card.map(|payer| (payer, own));
    let others = usable(entitlements, now, |payer| match payer {
        Payer::Account { kind: AccountKind::Fleet, .. } => Some(0),
        Payer::Account { kind: AccountKind::Contract, .. } => Some(1),
        Payer::Free => Some(2),
        _ => None,
    });
    let others = others.into_iter().map(|known| (known.payer.clone(), Some(known)));
    let mut means: Vec<Means> = Vec::new();
    for (payer, entitlement) in card.into_iter().chain(others) {
        let Some(pay_with) = PayWith::of(&payer) else { continue };
        if means.iter().all(|known| known.pay_with != pay_with) {
            means.push(Means { pay_with, payer, entitlement: entitlement.cloned() });
        }
    }
    means
}

/// The entry whose price group and plan a driver has beside their own card: with a card before
/// one without.
pub(crate) fn own(entitlements: &[Entitlement], now: DateTime<Utc>) -> Option<&Entitlement> {
    let rank = |payer: &Payer| match payer {
        Payer::Card { .. } => Some(0),
        Payer::Unknown => Some(1),
        _ => None,
    };
    usable(entitlements, now, rank).into_iter().next()
}

/// Whether a driver may not charge: one of their tags is blocked now, and none of the others is any
/// good. Whoever has no tag has none that is blocked.
pub(crate) fn are_blocked(entitlements: &[Entitlement], now: DateTime<Utc>) -> bool {
    let lasting = entitlements.iter().filter(|known| known.app_start.is_none());
    let statuses: Vec<_> = lasting.map(|known| known.status_at(now)).collect();
    statuses.contains(&EntitlementStatus::Blocked)
        && !statuses.contains(&EntitlementStatus::Accepted)
}

/// The lasting entries that may charge now and whose payer has a rank, in its order.
fn usable(
    entitlements: &[Entitlement],
    now: DateTime<Utc>,
    rank: impl Fn(&Payer) -> Option<u8>,
) -> Vec<&Entitlement> {
    let ranked = entitlements.iter().filter_map(|known| Some((rank(&known.payer)?, known)));
    let mut usable: Vec<_> = ranked
        .filter(|(_, known)| known.app_start.is_none())
        .filter(|(_, known)| known.status_at(now) == EntitlementStatus::Accepted)
        .collect();
    usable.sort_by_key(|(rank, known)| {
        let member = known.tier_at(now) != Tier::retail();
        (*rank, !member, known.id_tag.clone())
    });
    usable.into_iter().map(|(_, known)| known).collect()
}

/// The way that is taken: the one named, or else the first. None: nothing is on file, or nothing
/// was named that is.
///
/// # Errors
///
/// [`ProblemType::NoPaymentMethod`]: the driver cannot pay with what they named.
pub(crate) fn choose(
    means: &[Means],
    pay_with: Option<&PayWith>,
) -> Result<Option<Means>, Problem> {
    let Some(named) = pay_with else { return Ok(means.first().cloned()) };
    let found = means.iter().find(|known| known.pay_with == *named).cloned();
    found.map(Some).ok_or_else(|| {
        let detail =
            "You cannot pay with that. Choose one of the ways to pay that the price names.";
        Problem::new(ProblemType::NoPaymentMethod, detail)
    })
}

#[cfg(test)]
mod tests {
    use network::{
        AppStart, StripeCustomerId, StripePaymentMethodId, Subscription, SubscriptionId,
        SubscriptionStatus, WhenStale,
    };
    use quantities::{ConnectorId, TariffRef};

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn card(method: &str) -> Payer {
        Payer::Card {
            customer: StripeCustomerId("cus_1".to_owned()),
            payment_method: StripePaymentMethodId(method.to_owned()),
        }
    }

    fn account(account: &str, kind: AccountKind) -> Payer {
        Payer::Account { account: account.parse().unwrap(), kind }
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
            changed: None,
        }
    }

    fn empty() -> Wallet {
        Wallet::empty("driver-1".parse().unwrap())
    }

    /// What a driver with these entries can pay with, and as which tag.
    fn ways(entitlements: &[Entitlement], wallet: &Wallet) -> Vec<(String, Option<String>)> {
        let tag = |known: &Entitlement| known.id_tag.as_str().to_owned();
        let way = |known: &Means| (known.pay_with.to_string(), known.entitlement.as_ref().map(tag));
        means(entitlements, wallet, now()).iter().map(way).collect()
    }

    fn way(pay_with: &str, tag: &str) -> (String, Option<String>) {
        (pay_with.to_owned(), Some(tag.to_owned()))
    }

    #[test]
    fn a_driver_pays_with_their_card_and_as_the_member_they_are() {
        let retail = entitlement("A1", "retail", card("pm_1"));
        let gold = entitlement("B1", "gold", card("pm_2"));
        let unpaid = entitlement("C1", "gold", Payer::Unknown);
        let all = [unpaid.clone(), retail, gold];
        assert_eq!(ways(&all, &empty()), [way("card", "B1")]);
        // Nobody pays for it: there is a price, and no way to pay it.
        assert_eq!(ways(std::slice::from_ref(&unpaid), &empty()), []);
        assert_eq!(own(std::slice::from_ref(&unpaid), now()), Some(&unpaid));
        assert_eq!(ways(&[], &empty()), []);
    }

    #[test]
    fn a_card_that_was_chosen_in_the_app_goes_before_that_of_a_tag() {
        let chosen = Wallet {
            customer: Some(StripeCustomerId("cus_1".to_owned())),
            default_method: Some(StripePaymentMethodId("pm_9".to_owned())),
            ..empty()
        };
        assert_eq!(ways(&[], &chosen), [("card".to_owned(), None)]);
        let gold = [entitlement("B1", "gold", card("pm_2"))];
        let found = means(&gold, &chosen, now());
        assert_eq!(
            (&found[0].payer, &found[0].entitlement),
            (&card("pm_9"), &Some(gold[0].clone()))
        );
    }

    #[test]
    fn what_somebody_else_pays_for_comes_after_the_drivers_own_card_and_has_its_own_price() {
        let fleet = entitlement("D1", "fleet", account("fleet-17", AccountKind::Fleet));
        let second = entitlement("E1", "retail", account("fleet-17", AccountKind::Fleet));
        let town = entitlement("A1", "retail", account("town", AccountKind::Contract));
        let free = entitlement("B1", "retail", Payer::Free);
        let own = entitlement("C1", "retail", card("pm_1"));
        let all = [second, town, free, own, fleet];
        let in_order = [
            way("card", "C1"),
            way("account:fleet-17", "D1"),
            way("account:town", "A1"),
            way("free", "B1"),
        ];
        assert_eq!(ways(&all, &empty()), in_order);
        let found = means(&all, &empty(), now());
        assert_eq!(choose(&found, None).unwrap().unwrap().pay_with, PayWith::Card);
        let named = choose(&found, Some(&PayWith::Free)).unwrap().unwrap();
        assert_eq!((named.view().route.as_str(), named.payer), ("free", Payer::Free));
        let elses = "account:fleet-18".parse().unwrap();
        assert_eq!(choose(&found, Some(&elses)).unwrap_err().status().as_u16(), 409);
        // Without a card of their own, the fleet's price is theirs.
        assert_eq!(ways(&all[4..], &empty()), [way("account:fleet-17", "D1")]);
    }

    #[test]
    fn partners_readers_and_nobody_known_pay_nothing_from_the_app() {
        let roaming = Payer::Roaming {
            partner_id: "P1".parse().unwrap(),
            token_uid: "04A1".to_owned(),
            contract_id: "C1".to_owned(),
        };
        for payer in [roaming, Payer::Reader, Payer::Unknown] {
            assert_eq!(ways(&[entitlement("A1", "retail", payer)], &empty()), []);
        }
    }

    #[test]
    fn a_membership_that_has_lapsed_is_not_preferred() {
        let mut lapsed = entitlement("A1", "gold", card("pm_1"));
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
        let silver = entitlement("B1", "silver", card("pm_1"));
        assert_eq!(ways(&[lapsed, silver], &empty()), [way("card", "B1")]);
    }

    #[test]
    fn neither_a_blocked_tag_nor_the_tag_of_an_earlier_start_is_charged_with() {
        let mut blocked = entitlement("A1", "gold", account("fleet-17", AccountKind::Fleet));
        blocked.status = EntitlementStatus::Blocked;
        let mut start = entitlement("B1", "gold", card("pm_1"));
        start.app_start = Some(AppStart {
            charge_point_id: "CP1".parse().unwrap(),
            connector_id: ConnectorId(1),
            tariff: TariffRef { id: "T1".parse().unwrap(), version: 1 },
            amount: None,
            hold: None,
            used_by: None,
        });
        assert_eq!(ways(&[blocked, start], &empty()), []);
    }

    #[test]
    fn a_driver_all_of_whose_tags_are_blocked_may_not_charge_and_one_without_any_may() {
        let good = entitlement("A1", "retail", card("pm_1"));
        let blocked = Entitlement { status: EntitlementStatus::Blocked, ..good.clone() };
        let expired = Entitlement { expires_at: Some(now()), ..good.clone() };
        // A member of whom nothing fresh is known, where the policy is to block.
        let mut stale = entitlement("B1", "gold", card("pm_1"));
        stale.subscription = Some(Subscription {
            id: SubscriptionId("sub_1".to_owned()),
            status: SubscriptionStatus::Active,
            invoice: None,
            tier: None,
            current_period_end: "2026-04-01T00:00:00Z".parse().unwrap(),
            ends_at: None,
            as_of: "2026-02-01T00:00:00Z".parse().unwrap(),
            stale_after: Some(now()),
            when_stale: WhenStale::Block,
        });
        for (tags, is_so) in [
            (vec![], false),
            (vec![good.clone()], false),
            (vec![blocked.clone()], true),
            (vec![stale.clone()], true),
            (vec![blocked.clone(), stale, expired.clone()], true),
            (vec![blocked, good], false),
            (vec![expired], false),
        ] {
            assert_eq!(are_blocked(&tags, now()), is_so, "{tags:?}");
        }
    }

    #[test]
    fn a_way_is_named_as_it_is_read() {
        for name in ["card", "account:fleet-17", "account:card", "free"] {
            assert_eq!(name.parse::<PayWith>().unwrap().to_string(), name);
        }
        for wrong in ["", "Card", "account:", "fleet-17"] {
            assert!(wrong.parse::<PayWith>().is_err(), "{wrong}");
        }
    }
}
