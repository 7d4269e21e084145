//! Entitlements: who may charge with a tag, at which tier, and who pays.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use http_api::{Body, Check, Log, Operator, Param, Problem, ProblemType, WriteEntitlements};
use network::{
    AccountKind, Changed, Entitlement, EntitlementStatus, InvoiceState, Payer, PlanMembership,
    Reader, StripeCustomerId, StripePaymentMethodId, Subscription, SubscriptionId,
    SubscriptionStatus, Trust, WhenStale,
};
use plans::PlanVersion;
use quantities::{DriverId, IdTag, PartnerId, PlanId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get, put, delete))
}

/// What a tag opens, and who pays.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EntitlementBody {
    /// Whether it may charge.
    status: StatusView,
    /// The group it belongs to: one member may stop another's transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_id_tag: Option<String>,
    /// Until when it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    /// The driver who sees its sessions in the app: the subject of their token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    driver_id: Option<String>,
    /// The price group.
    #[serde(default = "retail")]
    #[schema(example = "retail")]
    tier: String,
    /// The membership behind the tier, if a Stripe Subscription pays for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subscription: Option<SubscriptionBody>,
    /// The plan that applies beside the tier's tariff, while the membership holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<MembershipBody>,
    /// Who pays.
    payer: PayerBody,
    /// Who last made or changed it by hand. Ignored in a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<ChangedBody>,
}

/// A change by hand.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = EntitlementChanged)]
struct ChangedBody {
    /// By whom: the subject of their token.
    by: String,
    /// When.
    at: DateTime<Utc>,
}

/// A tag's part in a plan.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlanMembership)]
struct MembershipBody {
    /// The plan. A session has the version that is in force when it starts.
    #[schema(example = "GOLD")]
    plan: String,
    /// The version in force now; none before the first begins. Ignored in a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    /// With whom allowances and the spending cap are shared: a driver's own account, or a fleet's.
    #[schema(example = "fleet-17")]
    account: String,
    /// What accounting files its sessions under; the plan's own, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_centre: Option<String>,
}

/// OCPP 1.6 `AuthorizationStatus`, as far as a record can say it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = EntitlementStatus)]
enum StatusView {
    /// May charge.
    Accepted,
    /// May not.
    Blocked,
    /// May no longer.
    Expired,
}

/// The Stripe Subscription behind a tier. What Stripe itself has said of it stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Subscription)]
struct SubscriptionBody {
    /// Its id at Stripe.
    #[schema(example = "sub_1MowQVLkdIwHu7ixeRlqHVzs")]
    id: String,
    /// Its status: `active`, `trialing`, `past_due`, …
    #[schema(example = "active")]
    status: String,
    /// End of the paid period.
    current_period_end: DateTime<Utc>,
    /// What else is known of it. Ignored in a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known: Option<KnownBody>,
}

/// What is known of a subscription, and for how long it is gone by.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = KnownOfSubscription)]
struct KnownBody {
    /// What became of its latest invoice: `settled`, `due` or `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invoice: Option<String>,
    /// The tier that is paid for, if the platform names one: it outranks the entitlement's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// When it ends for certain, if it was canceled for a later day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<DateTime<Utc>>,
    /// When the platform last said so; absent if it is an operator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    as_of: Option<DateTime<Utc>>,
    /// From when on this is too old to go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stale_after: Option<DateTime<Utc>>,
    /// What then: `retail`, `block` (the tag may not charge) or `keep` (the tier).
    when_stale: String,
}

/// Who pays for a session.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Payer)]
enum PayerBody {
    /// A card saved at Stripe.
    Card {
        /// The Stripe Customer (`cus_…`).
        customer: String,
        /// The Stripe PaymentMethod (`pm_…`).
        payment_method: String,
    },
    /// A roaming partner, by CDR.
    Roaming {
        /// The partner.
        partner_id: String,
        /// OCPI `CdrToken.uid`.
        token_uid: String,
        /// OCPI `CdrToken.contract_id`.
        contract_id: String,
    },
    /// Whoever presents a card at the charger's reader.
    Reader,
    /// An account that is billed by invoice; no card is asked.
    Account {
        /// The account.
        #[schema(example = "fleet-17")]
        account: String,
        /// What binds it to us.
        account_kind: AccountKindView,
    },
    /// Nobody: the session is free of charge.
    Free,
    /// Nobody known: the session is kept for a person.
    Unknown,
}

/// Why an account is billed by invoice.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AccountKind)]
enum AccountKindView {
    /// It pays for the vehicles of a fleet.
    Fleet,
    /// It has a contract with the operator.
    Contract,
}

/// One tag's entry in the entitlement cache.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Entitlement)]
struct EntitlementView {
    /// The tag, in capitals.
    id_tag: String,
    #[serde(flatten)]
    entitlement: EntitlementBody,
}

fn retail() -> String {
    network::Tier::retail().into()
}

impl From<Subscription> for SubscriptionBody {
    fn from(known: Subscription) -> Self {
        let invoice = known.invoice.map(|invoice| match invoice {
            InvoiceState::Settled => "settled",
            InvoiceState::Due => "due",
            InvoiceState::Failed => "failed",
        });
        let when_stale = match known.when_stale {
            WhenStale::Retail => "retail",
            WhenStale::Block => "block",
            WhenStale::Keep => "keep",
        };
        Self {
            status: known.status.as_str().to_owned(),
            current_period_end: known.current_period_end,
            known: Some(KnownBody {
                invoice: invoice.map(str::to_owned),
                as_of: known.is_platforms().then_some(known.as_of),
                tier: known.tier.map(String::from),
                ends_at: known.ends_at,
                stale_after: known.stale_after,
                when_stale: when_stale.to_owned(),
            }),
            id: known.id.0,
        }
    }
}

impl EntitlementView {
    /// With the version of its plan, of which these `versions` are published, that is in force.
    fn of(known: Entitlement, versions: &[PlanVersion], now: DateTime<Utc>) -> Self {
        let mut view = Self::from(known);
        if let Some(member) = &mut view.entitlement.plan {
            let in_force = plans::in_force(versions, now);
            member.version = in_force.map(|version| version.reference.version);
        }
        view
    }
}

impl From<Entitlement> for EntitlementView {
    fn from(known: Entitlement) -> Self {
        let subscription = known.subscription.map(SubscriptionBody::from);
        let entitlement = EntitlementBody {
            status: match known.status {
                EntitlementStatus::Accepted => StatusView::Accepted,
                EntitlementStatus::Blocked => StatusView::Blocked,
                EntitlementStatus::Expired => StatusView::Expired,
            },
            parent_id_tag: known.parent_id_tag.map(String::from),
            expires_at: known.expires_at,
            driver_id: known.driver_id.map(String::from),
            tier: known.tier.into(),
            subscription,
            plan: known.plan.map(|member| MembershipBody {
                plan: member.plan.into(),
                version: None,
                account: member.account.into(),
                cost_centre: member.cost_centre,
            }),
            payer: match known.payer {
                Payer::Card { customer, payment_method } => {
                    PayerBody::Card { customer: customer.0, payment_method: payment_method.0 }
                }
                Payer::Roaming { partner_id, token_uid, contract_id } => {
                    PayerBody::Roaming { partner_id: partner_id.into(), token_uid, contract_id }
                }
                Payer::Reader => PayerBody::Reader,
                Payer::Account { account, kind } => PayerBody::Account {
                    account: account.into(),
                    account_kind: match kind {
                        AccountKind::Fleet => AccountKindView::Fleet,
                        AccountKind::Contract => AccountKindView::Contract,
                    },
                },
                Payer::Free => PayerBody::Free,
                Payer::Unknown => PayerBody::Unknown,
            },
            changed: known.changed.map(|Changed { by, at }| ChangedBody { by, at }),
        };
        Self { id_tag: known.id_tag.into(), entitlement }
    }
}

/// Gets what a tag opens.
#[utoipa::path(get, path = "/operator/entitlements/{id_tag}",
    tag = "entitlements", operation_id = "get_entitlement",
    params(("id_tag" = String, Path)),
    security(("jwt" = ["admin", "support"])),
    responses((status = 200, body = EntitlementView)))]
async fn get(
    _: Operator<WriteEntitlements>,
    State(api): State<Api>,
    Param(id_tag): Param<IdTag>,
    log: Log,
) -> Result<Json<EntitlementView>, Problem> {
    let known = api.store.entitlement(&id_tag).await?;
    let known = known.ok_or_else(|| Problem::not_found("entitlement"))?;
    let versions = match &known.plan {
        Some(member) => api.store.plan_versions(&member.plan).await?,
        None => Vec::new(),
    };
    Ok(Json(EntitlementView::of(known, &versions, log.now())))
}

/// Creates or changes what a tag opens. Sessions that run keep their tier and payer. A card
/// reader's tag cannot be changed as long as the reader has it.
#[utoipa::path(put, path = "/operator/entitlements/{id_tag}",
    tag = "entitlements", operation_id = "put_entitlement",
    params(("id_tag" = String, Path)),
    request_body = EntitlementBody,
    security(("jwt" = ["admin", "support"])),
    responses((status = 200, body = EntitlementView), (status = 201, body = EntitlementView)))]
async fn put(
    operator: Operator<WriteEntitlements>,
    State(api): State<Api>,
    Param(id_tag): Param<IdTag>,
    log: Log,
    Body(body): Body<EntitlementBody>,
) -> Result<(StatusCode, Json<EntitlementView>), Problem> {
    log.field("changed_by", operator.subject.as_str());
    let before = api.store.entitlement(&id_tag).await?;
    refuse_app_start(before.as_ref())?;
    refuse_readers(&id_tag, &api.store.readers().await?)?;
    let standing = before.as_ref().and_then(|before| before.subscription.as_ref());
    let standing = Standing {
        subscription: standing,
        revision: before.as_ref().map_or(0, |before| before.revision),
        trust: api.trust,
        by: &operator.subject,
        now: log.now(),
    };
    let mut check = Check::default();
    if let PayerBody::Roaming { partner_id, .. } = &body.payer
        && let Some(partner_id) = check.parse::<PartnerId>("/payer/partner_id", partner_id)
    {
        let is_known = api.store.partner(&partner_id).await?.is_some();
        check.that("/payer/partner_id", is_known, "there is no such partner");
    }
    let mut versions = Vec::new();
    if let Some(plan) = body.plan.as_ref().and_then(|member| member.plan.parse::<PlanId>().ok()) {
        versions = api.store.plan_versions(&plan).await?;
        let rule = "there is no such plan; publish it first";
        check.that("/plan/plan", !versions.is_empty(), rule);
    }
    let entitlement = read(check, id_tag, body, standing)?;
    let entitlement = standing::put(&api.store, entitlement, before.as_ref()).await?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(EntitlementView::of(entitlement, &versions, log.now()))))
}

/// Removes a tag: it opens nothing from now on. One that owes something of its own has to stay
/// until that is settled, and a card reader's as long as the reader has it.
#[utoipa::path(delete, path = "/operator/entitlements/{id_tag}",
    tag = "entitlements", operation_id = "delete_entitlement",
    params(("id_tag" = String, Path)),
    security(("jwt" = ["admin", "support"])),
    responses((status = 204)))]
async fn delete(
    operator: Operator<WriteEntitlements>,
    State(api): State<Api>,
    Param(id_tag): Param<IdTag>,
    log: Log,
) -> Result<StatusCode, Problem> {
    log.field("changed_by", operator.subject.as_str());
    if let Some(known) = api.store.entitlement(&id_tag).await? {
        refuse_app_start(Some(&known))?;
        refuse_readers(&id_tag, &api.store.readers().await?)?;
        refuse_debtor(&known)?;
        api.store.delete_entitlement(&known).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The one-time tag of a start from the app knows of a hold on a card, which nobody would release
/// if the tag were changed by hand.
fn refuse_app_start(known: Option<&Entitlement>) -> Result<(), Problem> {
    if known.is_none_or(|known| known.app_start.is_none()) {
        return Ok(());
    }
    let detail = "The tag belongs to a start from the app; it ends with that start.";
    Err(Problem::new(ProblemType::Conflict, detail))
}

/// Whoever pays at a reader presents a card there: with another payer, all of them would charge at
/// one's expense, and without an entry nobody would.
fn refuse_readers(id_tag: &IdTag, readers: &[Reader]) -> Result<(), Problem> {
    let Some(reader) = readers.iter().find(|reader| reader.id_tag == *id_tag) else {
        return Ok(());
    };
    let detail = format!("The tag is that of reader {}. Give the reader another first.", reader.id);
    Err(Problem::new(ProblemType::Conflict, detail))
}

/// What a driver owes stands in their wallet, too; what a tag owes of its own, nowhere else.
fn refuse_debtor(known: &Entitlement) -> Result<(), Problem> {
    if known.owes.iter().all(|owed| owed.driver_id.is_some()) {
        return Ok(());
    }
    let detail = "Something is owed for a session of the tag. Block it until that is settled.";
    Err(Problem::new(ProblemType::Conflict, detail))
}

/// What an entry is written over, by whom and when.
#[derive(Clone, Copy)]
struct Standing<'a> {
    subscription: Option<&'a Subscription>,
    revision: u64,
    trust: Trust,
    by: &'a str,
    now: DateTime<Utc>,
}

fn read(
    mut check: Check,
    id_tag: IdTag,
    body: EntitlementBody,
    standing: Standing<'_>,
) -> Result<Entitlement, Problem> {
    let parent_id_tag = body.parent_id_tag.map(|tag| check.parse::<IdTag>("/parent_id_tag", &tag));
    let driver_id = body.driver_id.map(|id| check.parse::<DriverId>("/driver_id", &id));
    let tier = check.parse("/tier", &body.tier);
    let subscription = body.subscription.map(|body| {
        check.that("/subscription/id", body.id.starts_with("sub_"), "must be `sub_…`");
        subscription(&mut check, body, standing)
    });
    let is_free = matches!(body.payer, PayerBody::Free);
    check.that("/plan", !is_free || body.plan.is_none(), "has no part in what is free of charge");
    let plan = body.plan.map(|member| membership(&mut check, member));
    let payer = payer(&mut check, body.payer);
    check.finish(|| {
        Some(Entitlement {
            id_tag,
            status: match body.status {
                StatusView::Accepted => EntitlementStatus::Accepted,
                StatusView::Blocked => EntitlementStatus::Blocked,
                StatusView::Expired => EntitlementStatus::Expired,
            },
            parent_id_tag: parent_id_tag.flatten(),
            expires_at: body.expires_at,
            driver_id: driver_id.flatten(),
            tier: tier?,
            plan: plan.flatten(),
            subscription: subscription.flatten(),
            payer: payer?,
            app_start: None,
            revision: standing.revision,
            owes: Vec::new(),
            changed: Some(Changed { by: standing.by.to_owned(), at: standing.now }),
        })
    })
}

fn membership(check: &mut Check, body: MembershipBody) -> Option<PlanMembership> {
    let plan = check.parse("/plan/plan", &body.plan);
    let account = check.parse("/plan/account", &body.account);
    let cost_centre = body.cost_centre.map(|text| check.text("/plan/cost_centre", &text, 64));
    Some(PlanMembership { plan: plan?, account: account?, cost_centre: cost_centre.flatten() })
}

/// What Stripe said of a subscription outweighs what is entered by hand, then and later; what is
/// entered by hand is gone by as long as if Stripe had said it.
fn subscription(
    check: &mut Check,
    body: SubscriptionBody,
    standing: Standing<'_>,
) -> Option<Subscription> {
    let id = SubscriptionId(body.id);
    let said = standing.subscription.filter(|said| said.id == id && said.is_platforms());
    if let Some(said) = said {
        return Some(said.clone());
    }
    let named = |status: &&SubscriptionStatus| status.as_str() == body.status;
    let status = SubscriptionStatus::ALL.iter().find(named);
    let rule = "one of trialing, active, past_due, unpaid, paused, incomplete, canceled";
    check.that("/subscription/status", status.is_some(), rule);
    let by_hand = Subscription {
        id,
        status: *status?,
        invoice: None,
        tier: None,
        current_period_end: body.current_period_end,
        ends_at: None,
        as_of: DateTime::UNIX_EPOCH,
        stale_after: None,
        when_stale: WhenStale::default(),
    };
    let trusted = by_hand.trusted(standing.now, standing.trust);
    Some(Subscription { as_of: DateTime::UNIX_EPOCH, ..trusted })
}

fn payer(check: &mut Check, body: PayerBody) -> Option<Payer> {
    match body {
        PayerBody::Card { customer, payment_method } => {
            check.that("/payer/customer", customer.starts_with("cus_"), "must be `cus_…`");
            let is_method = payment_method.starts_with("pm_");
            check.that("/payer/payment_method", is_method, "must be `pm_…`");
            Some(Payer::Card {
                customer: StripeCustomerId(customer),
                payment_method: StripePaymentMethodId(payment_method),
            })
        }
        PayerBody::Roaming { partner_id, token_uid, contract_id } => {
            let token_uid = check.text("/payer/token_uid", &token_uid, 36);
            let contract_id = check.text("/payer/contract_id", &contract_id, 36);
            Some(Payer::Roaming {
                partner_id: partner_id.parse().ok()?,
                token_uid: token_uid?,
                contract_id: contract_id?,
            })
        }
        PayerBody::Reader => Some(Payer::Reader),
        PayerBody::Account { account, account_kind } => {
            let kind = match account_kind {
                AccountKindView::Fleet => AccountKind::Fleet,
                AccountKindView::Contract => AccountKind::Contract,
            };
            Some(Payer::Account { account: check.parse("/payer/account", &account)?, kind })
        }
        PayerBody::Free => Some(Payer::Free),
        PayerBody::Unknown => Some(Payer::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use network::Owed;
    use quantities::{Amount, Currency, SessionId, TransactionId};
    use serde_json::json;

    use super::*;

    fn over(subscription: Option<&Subscription>) -> Standing<'_> {
        let trust = Trust::parse("72", "block").unwrap();
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        Standing { subscription, revision: 7, trust, by: "support-1", now }
    }

    fn member(standing: Option<&Subscription>) -> Entitlement {
        let body = serde_json::from_value(json!({
            "status": "Accepted",
            "tier": "gold",
            "driver_id": "driver-1",
            "plan": { "plan": "GOLD", "account": "driver-1", "cost_centre": "4711" },
            "subscription": {
                "id": "sub_1", "status": "active", "current_period_end": "2026-04-01T00:00:00Z",
            },
            "payer": { "kind": "card", "customer": "cus_1", "payment_method": "pm_1" },
        }));
        read(Check::default(), "04A1".parse().unwrap(), body.unwrap(), over(standing)).unwrap()
    }

    #[test]
    fn what_stripe_said_of_a_subscription_is_not_undone_by_hand() {
        let entered = member(None).subscription.unwrap();
        assert_eq!(entered.status, SubscriptionStatus::Active);
        assert_eq!(entered.stale_after, Some("2026-03-04T12:00:00Z".parse().unwrap()));
        assert_eq!((entered.when_stale, entered.is_platforms()), (WhenStale::Block, false));
        let said = Subscription {
            status: SubscriptionStatus::Canceled,
            as_of: "2026-03-01T00:00:00Z".parse().unwrap(),
            ..entered.clone()
        };
        assert_eq!(member(Some(&said)).subscription.unwrap(), said);
        let other = Subscription { id: SubscriptionId("sub_0".to_owned()), ..said };
        assert_eq!(member(Some(&other)).subscription.unwrap(), entered);
    }

    fn paid_by(payer: &serde_json::Value, plan: Option<&str>) -> Result<Entitlement, Problem> {
        let plan = plan.map(|plan| json!({ "plan": plan, "account": "fleet-17" }));
        let body = json!({ "status": "Accepted", "payer": payer, "plan": plan });
        let body = serde_json::from_value(body).unwrap();
        read(Check::default(), "04A1".parse().unwrap(), body, over(None))
    }

    #[test]
    fn a_status_that_no_subscription_has_is_refused() {
        let body = json!({
            "status": "Accepted",
            "subscription": {
                "id": "sub_1", "status": "fine", "current_period_end": "2026-04-01T00:00:00Z",
            },
            "payer": { "kind": "free" },
        });
        let body = serde_json::from_value(body).unwrap();
        let refused = read(Check::default(), "04A1".parse().unwrap(), body, over(None));
        assert_eq!(refused.unwrap_err().status().as_u16(), 422);
    }

    #[test]
    fn the_tag_of_a_reader_is_given_no_payer_by_hand() {
        let reader: Reader = serde_json::from_value(json!({
            "id": "R1", "stripe_reader": "tmr_1", "site_id": "AMS-01", "connectors": [],
            "id_tag": "RDR-1", "starts_charger": true, "window_s": 60,
        }))
        .unwrap();
        let readers = [reader];
        let refused = refuse_readers(&"RDR-1".parse().unwrap(), &readers).unwrap_err();
        assert_eq!(refused.status().as_u16(), 409);
        assert!(refuse_readers(&"RDR-2".parse().unwrap(), &readers).is_ok());
        assert!(refuse_readers(&"RDR-1".parse().unwrap(), &[]).is_ok());
    }

    #[test]
    fn a_tag_stays_as_long_as_it_owes_what_stands_nowhere_else() {
        let owed = |driver: Option<&str>| Owed {
            session_id: SessionId::of(&"CP1".parse().unwrap(), TransactionId(1)),
            amount: Amount::new(3000, Currency::EUR),
            since: "2026-03-01T12:00:00Z".parse().unwrap(),
            driver_id: driver.map(|driver| driver.parse().unwrap()),
        };
        let debtor = |owes: Vec<Owed>| Entitlement { owes, ..member(None) };
        assert!(refuse_debtor(&debtor(vec![])).is_ok());
        assert!(refuse_debtor(&debtor(vec![owed(Some("driver-1"))])).is_ok());
        let both = debtor(vec![owed(Some("driver-1")), owed(None)]);
        assert_eq!(refuse_debtor(&both).unwrap_err().status().as_u16(), 409);
    }

    #[test]
    fn every_payer_reads_back_as_it_was_put() {
        for payer in [
            json!({ "kind": "account", "account": "fleet-17", "account_kind": "fleet" }),
            json!({ "kind": "account", "account": "town", "account_kind": "contract" }),
            json!({ "kind": "reader" }),
            json!({ "kind": "free" }),
            json!({ "kind": "unknown" }),
        ] {
            let view = EntitlementView::from(paid_by(&payer, None).unwrap());
            assert_eq!(serde_json::to_value(view).unwrap()["payer"], payer);
        }
    }

    #[test]
    fn an_account_needs_a_name_and_what_is_free_needs_no_plan() {
        let nameless = json!({ "kind": "account", "account": "", "account_kind": "fleet" });
        assert_eq!(paid_by(&nameless, None).unwrap_err().status().as_u16(), 422);
        let free = json!({ "kind": "free" });
        assert_eq!(paid_by(&free, Some("GOLD")).unwrap_err().status().as_u16(), 422);
    }

    #[test]
    fn an_entitlement_reads_back_as_it_was_put() {
        let view = serde_json::to_value(EntitlementView::from(member(None))).unwrap();
        assert_eq!(view["id_tag"], "04A1");
        assert_eq!(view["payer"]["kind"], "card");
        assert_eq!(view["subscription"]["id"], "sub_1");
        assert_eq!(view["subscription"]["known"]["when_stale"], "block");
        assert_eq!(member(None).revision, 7);
        let changed = json!({ "by": "support-1", "at": "2026-03-01T12:00:00Z" });
        assert_eq!(view["changed"], changed);
        assert_eq!(view["plan"]["plan"], "GOLD");
        assert_eq!(view["plan"]["cost_centre"], "4711");
    }
}
