//! Who may charge, at which tier, and who pays: the record that Authorize reads.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use quantities::{
    AccountId, Amount, ChargePointId, ConnectorId, DriverId, IdError, IdTag, PartnerId, PlanId,
    SessionId, TariffRef,
};
use serde::{Deserialize, Serialize};

use crate::{Owed, Subscription};

macro_rules! stripe_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

stripe_id!(
    /// A Stripe Customer (`cus_…`).
    StripeCustomerId
);
stripe_id!(
    /// A Stripe PaymentMethod (`pm_…`).
    StripePaymentMethodId
);
stripe_id!(
    /// A Stripe PaymentIntent (`pi_…`).
    StripePaymentIntentId
);
stripe_id!(
    /// A subscription at the platform that bills memberships: at Stripe `sub_…`.
    SubscriptionId
);

stripe_id!(
    /// A card reader at Stripe Terminal (`tmr_…`).
    StripeReaderId
);

/// A price group that offers are made to: `retail`, or a membership tier such as `gold`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tier(String);

impl Tier {
    /// Everybody without a membership.
    #[must_use]
    pub fn retail() -> Self {
        Self("retail".to_owned())
    }

    /// The tier's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tier {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=36).contains(&text.len()) && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let rule = "1 to 36 small letters, digits or -";
        Err(IdError { kind: "Tier", value: text.to_owned(), rule })
    }
}

impl TryFrom<String> for Tier {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Tier> for String {
    fn from(tier: Tier) -> Self {
        tier.0
    }
}

/// OCPP 1.6 `AuthorizationStatus`, as far as a record can say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntitlementStatus {
    /// May charge.
    Accepted,
    /// May not.
    Blocked,
    /// May no longer.
    Expired,
}

/// One idTag's entry in the entitlement cache: all that Authorize and StartTransaction need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// The tag.
    pub id_tag: IdTag,
    /// Whether it may charge.
    pub status: EntitlementStatus,
    /// The group it belongs to (OCPP `parentIdTag`): one member may stop another's transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id_tag: Option<IdTag>,
    /// Until when it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// The driver who sees its sessions in the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_id: Option<DriverId>,
    /// The price group while the membership holds.
    pub tier: Tier,
    /// The plan that applies beside the tariff while the membership holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanMembership>,
    /// The membership behind the tier, if a subscription pays for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// Who pays.
    pub payer: Payer,
    /// Set on the one-time tag of a start from the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_start: Option<AppStart>,
    /// What its driver owes, and what is owed for sessions of its own; written by crate `standing`
    /// only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owes: Vec<Owed>,
    /// Who last made or changed it by hand; none, if nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
    /// Counts the writes of the whole entry and of its subscription: whoever writes either says
    /// over which it does.
    #[serde(default)]
    pub revision: u64,
}

impl Entitlement {
    /// The status at `now`: its expiry considered, and whether what is known of the subscription
    /// is fresh enough to charge at all.
    #[must_use]
    pub fn status_at(&self, now: DateTime<Utc>) -> EntitlementStatus {
        if self.status != EntitlementStatus::Accepted {
            return self.status;
        }
        if self.expires_at.is_some_and(|expiry| expiry <= now) {
            return EntitlementStatus::Expired;
        }
        let stale = self.subscription.as_ref().is_some_and(|paid| paid.blocks_at(now));
        if stale { EntitlementStatus::Blocked } else { EntitlementStatus::Accepted }
    }

    /// Whether a start at `now` is refused because the driver owes money: where their own card
    /// would pay. What an account, a partner or nobody pays for is not theirs to answer for; nor
    /// is a start from before the debt.
    #[must_use]
    pub fn is_barred_at(&self, now: DateTime<Utc>) -> bool {
        matches!(self.payer, Payer::Card { .. }) && self.owes.iter().any(|owed| owed.since <= now)
    }

    /// The tier at `now`: retail as soon as the subscription behind it no longer gives one.
    #[must_use]
    pub fn tier_at(&self, now: DateTime<Utc>) -> Tier {
        match &self.subscription {
            Some(paid) if !paid.gives_at(now) => Tier::retail(),
            Some(paid) => paid.tier.as_ref().unwrap_or(&self.tier).clone(),
            None => self.tier.clone(),
        }
    }

    /// The plan at `now`: none as soon as the subscription behind the tier no longer gives one, or
    /// gives another tier than the one that the plan was entered with.
    #[must_use]
    pub fn plan_at(&self, now: DateTime<Utc>) -> Option<&PlanMembership> {
        let is_paid_for = self.subscription.as_ref().is_none_or(|paid| {
            paid.gives_at(now) && paid.tier.as_ref().is_none_or(|tier| *tier == self.tier)
        });
        self.plan.as_ref().filter(|_| is_paid_for)
    }
}

/// A change of an entry by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// By whom: the subject of their token.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A tag's part in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanMembership {
    /// The plan; which version of it is decided at the start.
    pub plan: PlanId,
    /// With whom allowances and the spending cap are shared.
    pub account: AccountId,
    /// What the account's books call it; the plan's own, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_centre: Option<String>,
}

/// Who pays for a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Payer {
    /// A card saved at Stripe, charged off session.
    Card {
        /// Whose card.
        customer: StripeCustomerId,
        /// Which card.
        payment_method: StripePaymentMethodId,
    },
    /// A roaming partner, by CDR.
    Roaming {
        /// The eMSP.
        partner_id: PartnerId,
        /// OCPI `CdrToken.uid`.
        token_uid: String,
        /// OCPI `CdrToken.contract_id`.
        contract_id: String,
    },
    /// Whoever presents a card at the charger's reader: nobody, until a card is matched.
    Reader,
    /// An account that is billed by invoice: nothing is held and nothing captured.
    Account {
        /// Which account.
        account: AccountId,
        /// What binds it to us.
        #[serde(rename = "account_kind")]
        kind: AccountKind,
    },
    /// Nobody: the session is priced, and all of it taken off again by name.
    Free,
    /// Nobody known: the session is kept for a person, never billed silently.
    Unknown,
}

/// Why an account is billed by invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// It pays for the vehicles of a fleet.
    Fleet,
    /// It has a contract with the operator: a tenant, a business, a town.
    Contract,
}

impl Payer {
    /// Whether it is settled who bears the price, be it that nobody does.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Reader)
    }
}

/// A start from the driver app: the price is pinned and, where a card pays, the hold placed, if
/// Stripe answers, before the charger starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStart {
    /// Where the driver wants to charge.
    pub charge_point_id: ChargePointId,
    /// At which connector.
    pub connector_id: ConnectorId,
    /// The version the driver saw.
    pub tariff: TariffRef,
    /// What it was to hold on their card; none where no card pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The hold; none where no card pays, and when Stripe did not answer and the site lets charge
    /// all the same: then the session asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldRef>,
    /// The session that used it: a start is good for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<SessionId>,
}

/// A hold at Stripe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRef {
    /// The PaymentIntent, with `capture_method=manual`.
    pub payment_intent: StripePaymentIntentId,
    /// What it holds.
    pub amount: Amount,
    /// The most that can be captured; what it holds, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<Amount>,
    /// When it runs out, if Stripe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_before: Option<DateTime<Utc>>,
    /// Whether it can be raised.
    #[serde(default)]
    pub raisable: bool,
}

impl HoldRef {
    /// A hold of which nothing else is known.
    #[must_use]
    pub const fn plain(payment_intent: StripePaymentIntentId, amount: Amount) -> Self {
        Self { payment_intent, amount, most: None, capture_before: None, raisable: false }
    }
}

/// A hold as it is asked for: the same on every attempt, because Stripe takes an idempotency key
/// with the same parameters only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRequest {
    /// Whose card.
    pub customer: StripeCustomerId,
    /// Which card.
    pub payment_method: StripePaymentMethodId,
    /// How much.
    pub amount: Amount,
    /// When it was first intended, by our clock.
    pub requested_at: DateTime<Utc>,
}

/// What a start from the driver app pins when it is asked for, whoever pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartTerms {
    /// The one-time tag that it gets.
    pub id_tag: IdTag,
    /// The group of the tag that the driver charges with otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id_tag: Option<IdTag>,
    /// Who starts.
    pub driver_id: DriverId,
    /// Their price group when they asked.
    pub tier: Tier,
    /// Their plan when they asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanMembership>,
    /// Where they want to charge.
    pub charge_point_id: ChargePointId,
    /// At which connector.
    pub connector_id: ConnectorId,
    /// The version on offer when they asked.
    pub tariff: TariffRef,
}

/// A start from the driver app that a card pays, as it was first asked for: stored before its hold
/// is placed, so that whatever happens somebody knows of the hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartIntent {
    /// The start.
    pub start_id: String,
    /// What it pins.
    #[serde(flatten)]
    pub terms: StartTerms,
    /// The hold.
    pub hold: HoldRequest,
    /// How far it got.
    pub state: StartState,
}

/// How far the hold of a start got. Only [`StartState::Requested`] is left again, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum StartState {
    /// The hold is being placed: it may or may not have reached Stripe.
    Requested,
    /// The card was refused.
    Refused {
        /// Stripe's error code.
        code: String,
        /// The issuer's reason, if it gave one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decline_code: Option<String>,
    },
    /// The money is held, and the one-time tag stored: it says how the start goes on.
    Begun,
    /// Nobody went on with it; a hold that may have been placed is released.
    Abandoned,
}

impl StartTerms {
    /// The one-time entry of a start that no card pays, good until `expires_at`.
    #[must_use]
    pub fn entitlement(&self, payer: Payer, expires_at: DateTime<Utc>) -> Entitlement {
        Entitlement {
            id_tag: self.id_tag.clone(),
            status: EntitlementStatus::Accepted,
            parent_id_tag: self.parent_id_tag.clone(),
            expires_at: Some(expires_at),
            driver_id: Some(self.driver_id.clone()),
            tier: self.tier.clone(),
            plan: self.plan.clone(),
            // The price is pinned: what becomes of the membership meanwhile does not matter.
            subscription: None,
            payer,
            app_start: Some(AppStart {
                charge_point_id: self.charge_point_id.clone(),
                connector_id: self.connector_id,
                tariff: self.tariff.clone(),
                amount: None,
                hold: None,
                used_by: None,
            }),
            revision: 0,
            // Whether they owe was looked at when they asked.
            owes: Vec::new(),
            changed: None,
        }
    }
}

impl StartIntent {
    /// The one-time entry of this start, good until `expires_at`, now that `hold` is placed, or that
    /// it goes on without.
    #[must_use]
    pub fn entitlement(&self, hold: Option<HoldRef>, expires_at: DateTime<Utc>) -> Entitlement {
        let HoldRequest { customer, payment_method, amount, .. } = self.hold.clone();
        let payer = Payer::Card { customer, payment_method };
        let mut entitlement = self.terms.entitlement(payer, expires_at);
        if let Some(start) = &mut entitlement.app_start {
            (start.amount, start.hold) = (Some(amount), hold);
        }
        entitlement
    }
}

#[cfg(test)]
mod tests {
    use quantities::Currency;

    use super::*;
    use crate::{SubscriptionStatus, WhenStale};

    fn member(status: SubscriptionStatus) -> Entitlement {
        Entitlement {
            id_tag: "TAG1".parse().unwrap(),
            status: EntitlementStatus::Accepted,
            parent_id_tag: None,
            expires_at: Some("2027-01-01T00:00:00Z".parse().unwrap()),
            driver_id: None,
            tier: "gold".parse().unwrap(),
            plan: Some(PlanMembership {
                plan: "GOLD".parse().unwrap(),
                account: "driver-1".parse().unwrap(),
                cost_centre: None,
            }),
            subscription: Some(Subscription {
                id: SubscriptionId("sub_1".to_owned()),
                status,
                invoice: None,
                tier: None,
                current_period_end: "2026-04-01T00:00:00Z".parse().unwrap(),
                ends_at: None,
                as_of: "2026-03-01T00:00:00Z".parse().unwrap(),
                stale_after: None,
                when_stale: WhenStale::Retail,
            }),
            payer: Payer::Unknown,
            app_start: None,
            revision: 0,
            owes: Vec::new(),
            changed: None,
        }
    }

    #[test]
    fn a_lapsed_member_is_a_retail_customer() {
        let march = "2026-03-15T00:00:00Z".parse().unwrap();
        let april = "2026-04-01T00:00:00Z".parse().unwrap();
        let (active, past_due) =
            (member(SubscriptionStatus::Active), member(SubscriptionStatus::PastDue));
        assert_eq!(active.tier_at(march).as_str(), "gold");
        assert_eq!(past_due.tier_at(march), Tier::retail());
        assert_eq!(active.tier_at(april), Tier::retail());
        assert_eq!(active.plan_at(march), active.plan.as_ref());
        assert_eq!(past_due.plan_at(march), None);
        assert_eq!(active.plan_at(april), None);
        assert_eq!(past_due.status_at(march), EntitlementStatus::Accepted);
    }

    #[test]
    fn the_tier_that_is_paid_for_outranks_the_one_that_was_entered() {
        let march = "2026-03-15T00:00:00Z".parse().unwrap();
        let mut moved = member(SubscriptionStatus::Active);
        moved.subscription.as_mut().unwrap().tier = Some("silver".parse().unwrap());
        assert_eq!(moved.tier_at(march).as_str(), "silver");
        assert_eq!(moved.plan_at(march), None, "the plan goes with gold, which nobody pays for");
        moved.subscription.as_mut().unwrap().tier = Some(moved.tier.clone());
        assert_eq!(moved.plan_at(march), moved.plan.as_ref());
        moved.subscription.as_mut().unwrap().status = SubscriptionStatus::Canceled;
        assert_eq!(moved.tier_at(march), Tier::retail());
    }

    #[test]
    fn a_membership_of_which_nothing_fresh_is_known_blocks_only_if_that_is_the_policy() {
        let april = "2026-04-01T00:00:00Z".parse().unwrap();
        let mut stale = member(SubscriptionStatus::Active);
        assert_eq!(stale.status_at(april), EntitlementStatus::Accepted);
        stale.subscription.as_mut().unwrap().when_stale = WhenStale::Block;
        assert_eq!(stale.status_at(april), EntitlementStatus::Blocked);
        stale.subscription.as_mut().unwrap().when_stale = WhenStale::Keep;
        assert_eq!(stale.status_at(april), EntitlementStatus::Accepted);
        assert_eq!(stale.tier_at(april).as_str(), "gold");
        assert_eq!(stale.plan_at(april), stale.plan.as_ref());
    }

    #[test]
    fn an_expired_tag_is_expired_and_a_blocked_one_stays_blocked() {
        let late = "2027-01-01T00:00:00Z".parse().unwrap();
        let mut tag = member(SubscriptionStatus::Active);
        assert_eq!(tag.status_at(late), EntitlementStatus::Expired);
        tag.status = EntitlementStatus::Blocked;
        assert_eq!(tag.status_at(late), EntitlementStatus::Blocked);
    }

    #[test]
    fn who_owes_starts_nothing_that_their_own_card_would_pay() {
        let noon: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
        let card = Payer::Card {
            customer: StripeCustomerId("cus_1".to_owned()),
            payment_method: StripePaymentMethodId("pm_1".to_owned()),
        };
        let owed = Owed {
            session_id: SessionId::of(&"CP1".parse().unwrap(), quantities::TransactionId(1)),
            amount: Amount::new(250, Currency::EUR),
            since: noon,
            driver_id: None,
        };
        let debtor =
            Entitlement { payer: card, owes: vec![owed], ..member(SubscriptionStatus::Active) };
        assert!(debtor.is_barred_at(noon));
        assert!(!debtor.is_barred_at(noon - chrono::TimeDelta::seconds(1)));
        assert!(!Entitlement { owes: vec![], ..debtor.clone() }.is_barred_at(noon));
        let account = "fleet-17".parse().unwrap();
        let fleet = Payer::Account { account, kind: AccountKind::Fleet };
        for payer in [fleet, Payer::Free, Payer::Unknown, Payer::Reader] {
            assert!(!Entitlement { payer, ..debtor.clone() }.is_barred_at(noon));
        }
    }

    #[test]
    fn a_payer_is_stored_under_a_name_of_its_own() {
        let stored = |payer: Payer| serde_json::to_value(payer).unwrap();
        let account = "fleet-17".parse().unwrap();
        let fleet = Payer::Account { account, kind: AccountKind::Fleet };
        let row = r#"{"kind":"account","account":"fleet-17","account_kind":"fleet"}"#;
        assert_eq!(serde_json::from_str::<Payer>(row).unwrap(), fleet);
        assert_eq!(stored(fleet)["account_kind"], "fleet");
        for (payer, kind) in
            [(Payer::Reader, "reader"), (Payer::Free, "free"), (Payer::Unknown, "unknown")]
        {
            assert_eq!(stored(payer)["kind"], kind);
        }
    }

    #[test]
    fn a_start_goes_on_with_the_price_and_the_card_that_it_was_asked_for_with() {
        let intent = StartIntent {
            start_id: "s1".to_owned(),
            terms: StartTerms {
                id_tag: "APP-1".parse().unwrap(),
                parent_id_tag: None,
                driver_id: "driver-1".parse().unwrap(),
                tier: "gold".parse().unwrap(),
                plan: None,
                charge_point_id: "CP1".parse().unwrap(),
                connector_id: ConnectorId(2),
                tariff: TariffRef { id: "T1".parse().unwrap(), version: 3 },
            },
            hold: HoldRequest {
                customer: StripeCustomerId("cus_1".to_owned()),
                payment_method: StripePaymentMethodId("pm_1".to_owned()),
                amount: Amount::new(3000, Currency::EUR),
                requested_at: "2026-03-01T12:00:00Z".parse().unwrap(),
            },
            state: StartState::Requested,
        };
        let text = serde_json::to_string(&intent).unwrap();
        assert_eq!(serde_json::from_str::<StartIntent>(&text).unwrap(), intent);

        let payment_intent = StripePaymentIntentId("pi_1".to_owned());
        let placed = Some(HoldRef::plain(payment_intent, intent.hold.amount));
        let expires_at = "2026-03-01T12:10:00Z".parse().unwrap();
        let entitlement = intent.entitlement(placed.clone(), expires_at);
        assert_eq!(entitlement.status_at(expires_at), EntitlementStatus::Expired);
        assert_eq!(entitlement.driver_id.as_ref(), Some(&intent.terms.driver_id));
        let Payer::Card { customer, payment_method } = entitlement.payer else { panic!() };
        assert_eq!((customer, payment_method), (intent.hold.customer, intent.hold.payment_method));
        let start = entitlement.app_start.unwrap();
        assert_eq!((&start.tariff, start.hold), (&intent.terms.tariff, placed));
        assert_eq!(start.amount, Some(intent.hold.amount));
        assert_eq!(start.used_by, None);

        // Whoever else pays: the same price, and nothing is held.
        let account = "fleet-17".parse().unwrap();
        let fleet = Payer::Account { account, kind: AccountKind::Fleet };
        let entitlement = intent.terms.entitlement(fleet.clone(), expires_at);
        assert_eq!((entitlement.payer, entitlement.tier), (fleet, intent.terms.tier));
        let start = entitlement.app_start.unwrap();
        assert_eq!((start.tariff, start.amount, start.hold), (intent.terms.tariff, None, None));
    }
}
