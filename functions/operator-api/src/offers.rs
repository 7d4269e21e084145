//! What a site offers: a tariff version per tier, each from a moment on.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use http_api::{
    Body, Check, Operator, Param, Problem, ProblemType, ReadNetwork, TariffRefView, WriteNetwork,
};
use network::{Offer, Offers, Tier};
use quantities::{SiteId, TariffRef};
use rating::Place;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::Api,
    sites::known,
    tariffs::{FindingView, refuse_errors},
};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get, put))
}

/// One tariff version to put on offer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OfferBody {
    /// To whom: `retail`, or a membership tier.
    #[schema(example = "retail")]
    tier: String,
    /// What.
    tariff: TariffRefView,
    /// From when on, until the tier's next offer begins. One from the same moment is replaced.
    from: DateTime<Utc>,
}

/// What a site offers, and offered before.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Offers)]
struct OffersView {
    /// The offers of each tier, oldest first. A tier without an offer pays what `retail` pays.
    by_tier: BTreeMap<String, Vec<OfferView>>,
    /// What is to be known about the tariff that was put on offer just now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<FindingView>,
}

/// One tariff version on offer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Offer)]
struct OfferView {
    /// From when on.
    from: DateTime<Utc>,
    /// What.
    tariff: TariffRefView,
}

fn view(offers: &Offers, findings: Vec<FindingView>) -> OffersView {
    let of_tier = |offers: &Vec<Offer>| {
        let view = |offer: &Offer| OfferView { from: offer.from, tariff: (&offer.tariff).into() };
        offers.iter().map(view).collect()
    };
    let by_tier = offers.by_tier.iter();
    let by_tier = by_tier.map(|(tier, offers)| (tier.as_str().to_owned(), of_tier(offers)));
    OffersView { by_tier: by_tier.collect(), findings }
}

/// Gets what a site offers.
#[utoipa::path(get, path = "/operator/sites/{id}/offers",
    tag = "sites", operation_id = "get_offers",
    params(("id" = String, Path)),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = OffersView)))]
async fn get(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Param(id): Param<SiteId>,
) -> Result<Json<OffersView>, Problem> {
    known(&api, &id).await?;
    Ok(Json(view(&api.store.offers(&id).await?, vec![])))
}

/// Puts a tariff version on offer. It must be in the site's currency and lawful there.
#[utoipa::path(put, path = "/operator/sites/{id}/offers",
    tag = "sites", operation_id = "put_offer",
    params(("id" = String, Path)),
    request_body = OfferBody,
    security(("jwt" = ["admin"])),
    responses((status = 200, body = OffersView)))]
async fn put(
    _: Operator<WriteNetwork>,
    State(api): State<Api>,
    Param(id): Param<SiteId>,
    Body(body): Body<OfferBody>,
) -> Result<Json<OffersView>, Problem> {
    let mut check = Check::default();
    let tier = check.parse::<Tier>("/tier", &body.tier);
    let tariff_id = check.parse("/tariff/id", &body.tariff.id);
    let (tier, tariff) = check
        .finish(|| Some((tier?, TariffRef { id: tariff_id?, version: body.tariff.version })))?;
    let site = known(&api, &id).await?;
    let version = match api.store.tariff(&tariff).await {
        Err(store::StoreError::NotFound { .. }) => {
            let mut check = Check::default();
            check.wrong("/tariff", format!("{tariff} is not published"));
            return check.finish(|| None);
        }
        read => read?,
    };
    let chargers = api.store.chargers_of(&id).await?;
    let findings = version.validate(&Place::at(&site).with_chargers(&chargers));
    let findings = refuse_errors(ProblemType::InvalidTariff, findings)?;
    let offer = Offer { from: body.from, tariff };
    let offers = api.store.add_offer(&id, &tier, &offer).await?;
    Ok(Json(view(&offers, findings)))
}
