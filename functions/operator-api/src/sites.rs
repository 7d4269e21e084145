//! Sites.

use axum::{Json, extract::State, http::StatusCode};
use chrono_tz::Tz;
use http_api::{
    AmountView, Body, Check, Operator, Param, Problem, ProblemType, ReadNetwork, WriteNetwork,
};
use network::{Address, HoldRule, PaymentPolicy, Site};
use quantities::{Amount, Currency, SiteId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::Api,
    hold::HoldRuleBody,
    jurisdiction::{self, JurisdictionBody},
    payment_policy::{self, PaymentPolicyBody},
};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put))
}

/// A place with chargers: one time zone, one currency, one jurisdiction.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SiteBody)]
struct SiteBody {
    /// What drivers call it.
    name: String,
    /// Where it is.
    address: AddressBody,
    /// IANA time zone: every local time of a tariff is read in it.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// ISO 4217 code of what its tariffs are priced in. Fixed once the site has offers. Stripe must
    /// charge it to the minor unit: BHD, JOD, KWD, OMR, TND and MGA it does not.
    #[schema(example = "EUR")]
    currency: String,
    /// What law says about selling here.
    jurisdiction: JurisdictionBody,
    /// Groups of sites that it belongs to, by name: a plan can be limited to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    /// What is held on a card when a session starts, in the site's currency.
    hold: AmountView,
    /// How much of that a start from the app holds, by what a session is expected to cost; all of
    /// it without a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HoldRuleBody>)]
    hold_rule: Option<HoldRule>,
    /// What is done with a driver's money where there is a choice.
    #[serde(default)]
    #[schema(value_type = PaymentPolicyBody, required = false)]
    payment: PaymentPolicy,
    /// A running session not heard of for this many seconds is closed and held for a person.
    silent_after_s: u32,
    /// An ended session whose connector is not free after this many seconds stops waiting for it.
    release_wait_s: u32,
}

/// A postal address and position, as the CDR's location needs it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Address)]
struct AddressBody {
    /// Street and number, at most 45 characters.
    street: String,
    /// Postal code, at most 10 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    /// City, at most 45 characters.
    city: String,
    /// ISO 3166-1 alpha-3 code.
    #[schema(example = "DEU")]
    country: String,
    /// Degrees north.
    #[schema(example = "52.520008")]
    latitude: String,
    /// Degrees east.
    #[schema(example = "13.404954")]
    longitude: String,
}

/// A site.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Site)]
struct SiteView {
    /// Its id.
    id: String,
    #[serde(flatten)]
    site: SiteBody,
}

impl From<Site> for SiteView {
    fn from(site: Site) -> Self {
        let Address { street, postal_code, city, country, latitude, longitude } = site.address;
        Self {
            id: site.id.to_string(),
            site: SiteBody {
                name: site.name,
                address: AddressBody { street, postal_code, city, country, latitude, longitude },
                time_zone: site.time_zone.name().to_owned(),
                currency: site.currency.code().to_owned(),
                jurisdiction: site.jurisdiction.into(),
                groups: site.groups,
                hold: site.hold.into(),
                hold_rule: site.hold_rule,
                payment: site.payment,
                silent_after_s: site.silent_after_s,
                release_wait_s: site.release_wait_s,
            },
        }
    }
}

/// Lists the sites.
#[utoipa::path(get, path = "/operator/sites",
    tag = "sites", operation_id = "list_sites",
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = Vec<SiteView>)))]
async fn list(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
) -> Result<Json<Vec<SiteView>>, Problem> {
    let sites = api.store.sites().await?;
    Ok(Json(sites.into_iter().map(SiteView::from).collect()))
}

/// Gets a site.
#[utoipa::path(get, path = "/operator/sites/{id}",
    tag = "sites", operation_id = "get_site",
    params(("id" = String, Path)),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = SiteView)))]
async fn get(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Param(id): Param<SiteId>,
) -> Result<Json<SiteView>, Problem> {
    Ok(Json(known(&api, &id).await?.into()))
}

/// Creates or changes a site. Sessions that run keep what was pinned when they started.
#[utoipa::path(put, path = "/operator/sites/{id}",
    tag = "sites", operation_id = "put_site",
    params(("id" = String, Path)),
    request_body = SiteBody,
    security(("jwt" = ["admin"])),
    responses((status = 200, body = SiteView), (status = 201, body = SiteView)))]
async fn put(
    _: Operator<WriteNetwork>,
    State(api): State<Api>,
    Param(id): Param<SiteId>,
    Body(body): Body<SiteBody>,
) -> Result<(StatusCode, Json<SiteView>), Problem> {
    let site = read(id, &body)?;
    let before = api.store.site(&site.id).await?;
    if let Some(before) = &before {
        keep_currency(&api, before, &site).await?;
    }
    api.store.put_site(&site).await?;
    if before.as_ref().is_some_and(|before| before.time_zone != site.time_zone) {
        for charger in api.store.chargers_of(&site.id).await? {
            let charger = network::Charger { time_zone: site.time_zone, ..charger };
            api.store.put_charger(&charger).await?;
        }
    }
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(site.into())))
}

/// The site, or the problem that there is none.
pub(crate) async fn known(api: &Api, id: &SiteId) -> Result<Site, Problem> {
    api.store.site(id).await?.ok_or_else(|| Problem::not_found("site"))
}

/// An offer in another currency than its site's would be a price that nobody can be charged.
async fn keep_currency(api: &Api, before: &Site, site: &Site) -> Result<(), Problem> {
    if before.currency == site.currency || api.store.offers(&site.id).await?.by_tier.is_empty() {
        return Ok(());
    }
    let currency = before.currency;
    let detail =
        format!("The site has offers in {currency}. Make a new site for another currency.");
    Err(Problem::new(ProblemType::Conflict, detail))
}

fn read(id: SiteId, body: &SiteBody) -> Result<Site, Problem> {
    let mut check = Check::default();
    let name = check.text("/name", &body.name, 255);
    let address = address(&mut check, &body.address);
    let time_zone = check.parse::<Tz>("/time_zone", &body.time_zone);
    let currency = check.parse::<Currency>("/currency", &body.currency);
    let charged = currency.is_none_or(payments::stripe::charges_exactly);
    let rule = "must be one that Stripe charges to the minor unit, as it is billed";
    check.that("/currency", charged, rule);
    let jurisdiction = jurisdiction::read(&mut check, &body.jurisdiction);
    let groups = body.groups.iter().enumerate();
    let groups: Vec<_> =
        groups.map(|(index, group)| check.text(&format!("/groups/{index}"), group, 36)).collect();
    check.that("/hold/minor", body.hold.minor > 0, "must be more than 0");
    let hold_currency = check.parse::<Currency>("/hold/currency", &body.hold.currency);
    let same = hold_currency.zip(currency).is_none_or(|(hold, site)| hold == site);
    check.that("/hold/currency", same, "must be the site's currency");
    let least = body.hold_rule.and_then(|rule| rule.at_least).map(|least| least.currency);
    let same = least.zip(currency).is_none_or(|(least, site)| least == site);
    check.that("/hold_rule/at_least/currency", same, "must be the site's currency");
    payment_policy::check(&mut check, &body.payment);
    let covers = |most: Amount| most.minor >= body.hold.minor && Some(most.currency) == currency;
    let fits = body.payment.hold_max.is_none_or(covers);
    check.that("/payment/hold_max", fits, "must be in the site's currency and cover its hold");
    check.that("/silent_after_s", body.silent_after_s > 0, "must be more than 0");
    check.finish(|| {
        let currency = currency?;
        Some(Site {
            id,
            name: name?,
            address: address?,
            time_zone: time_zone?,
            currency,
            jurisdiction: jurisdiction?,
            groups: groups.into_iter().collect::<Option<_>>()?,
            hold: Amount::new(body.hold.minor, currency),
            hold_rule: body.hold_rule,
            payment: body.payment.clone(),
            silent_after_s: body.silent_after_s,
            release_wait_s: body.release_wait_s,
        })
    })
}

fn address(check: &mut Check, body: &AddressBody) -> Option<Address> {
    let street = check.text("/address/street", &body.street, 45);
    let postal_code = body.postal_code.as_deref();
    let postal_code = postal_code.map(|code| check.text("/address/postal_code", code, 10));
    let city = check.text("/address/city", &body.city, 45);
    let is_country =
        body.country.len() == 3 && body.country.chars().all(|c| c.is_ascii_uppercase());
    check.that("/address/country", is_country, "must be an ISO 3166-1 alpha-3 code such as DEU");
    let latitude = degrees(check, "/address/latitude", &body.latitude, 90);
    let longitude = degrees(check, "/address/longitude", &body.longitude, 180);
    Some(Address {
        street: street?,
        postal_code: match postal_code {
            Some(code) => Some(code?),
            None => None,
        },
        city: city?,
        country: body.country.clone(),
        latitude: latitude?,
        longitude: longitude?,
    })
}

/// Degrees as OCPI 2.2.1 writes them (`GeoLocation`): with 5 to 7 decimals.
fn degrees(check: &mut Check, pointer: &str, text: &str, most: i64) -> Option<String> {
    let mut degrees: Decimal = check.parse(pointer, text)?;
    if degrees.abs() > Decimal::from(most) {
        check.wrong(pointer, format!("must be from -{most} to {most}"));
        return None;
    }
    degrees.rescale(degrees.scale().clamp(5, 7));
    Some(degrees.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> SiteBody {
        serde_json::from_value(serde_json::json!({
            "name": "Stadtwerke Garage",
            "address": {
                "street": "Alexanderplatz 1", "postal_code": "10178", "city": "Berlin",
                "country": "DEU", "latitude": "52.52", "longitude": "13.4049542",
            },
            "time_zone": "Europe/Berlin",
            "currency": "EUR",
            "jurisdiction": {
                "per_kwh_allowed": true,
                "taxes": [{ "name": "VAT", "percent": "19" }],
            },
            "hold": { "minor": 5000, "currency": "EUR" },
            "silent_after_s": 3600,
            "release_wait_s": 7200,
        }))
        .unwrap()
    }

    #[test]
    fn a_site_reads_back_as_it_was_put() {
        let site = read("S1".parse().unwrap(), &body()).unwrap();
        assert_eq!(site.address.latitude, "52.52000", "OCPI wants five decimals");
        assert_eq!(site.hold, Amount::new(5000, Currency::EUR));
        let view = serde_json::to_value(SiteView::from(site)).unwrap();
        assert_eq!(view["time_zone"], "Europe/Berlin");
        assert_eq!(view["payment"]["beyond"], "go_on");
        assert_eq!(view["jurisdiction"]["taxes"][0]["percent"], "19");
    }

    #[test]
    fn a_currency_that_stripe_charges_more_coarsely_than_it_is_billed_is_refused() {
        // Of 5.124 KWD Stripe charges 5.120 or 5.130; ISK it counts otherwise, and exactly.
        for (code, wrong) in [("KWD", 1), ("MGA", 1), ("ISK", 0), ("JPY", 0)] {
            let mut body = body();
            body.currency = code.to_owned();
            body.hold = AmountView { minor: 5000, currency: code.to_owned() };
            let read = read("S1".parse().unwrap(), &body);
            let found = read.map_or_else(|problem| problem.errors().len(), |_| 0);
            assert_eq!(found, wrong, "{code}");
        }
    }

    #[test]
    fn all_that_is_wrong_with_a_site_is_told_at_once() {
        let mut body = body();
        body.time_zone = "Berlin".to_owned();
        body.address.latitude = "152".to_owned();
        body.jurisdiction.taxes[0].percent = Decimal::from(190);
        body.hold = AmountView { minor: 0, currency: "USD".to_owned() };
        body.payment.holds_max = 0;
        let problem = read("S1".parse().unwrap(), &body).unwrap_err();
        assert_eq!(problem.errors().len(), 6, "{problem:?}");
    }
}
