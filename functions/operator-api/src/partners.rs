//! Roaming partners and the tokens we send them.

use axum::{Json, extract::State, http::StatusCode};
use http_api::{Body, Check, Operator, Param, Problem, WritePartners};
use network::RoamingPartner;
use ocpi::Version;
use quantities::PartnerId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put))
}

/// A roaming partner (eMSP) that gets CDRs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PartnerBody {
    /// What people call it.
    name: String,
    /// OCPI `country_code`, ISO 3166-1 alpha-2.
    #[schema(example = "NL")]
    country_code: String,
    /// OCPI `party_id`: three characters.
    #[schema(example = "EMP")]
    party_id: String,
    /// Their CDRs receiver endpoint (OCPI 2.2.1, 10.2.2).
    #[schema(example = "https://emsp.example/ocpi/2.2.1/cdrs")]
    cdrs_url: String,
    /// The version of OCPI that they are sent: `2.2.1` or `2.3.0`.
    #[serde(default = "version_2_2_1")]
    #[schema(example = "2.2.1")]
    version: String,
    /// The OCPI credentials token we send them, as they gave it. Left out, it stays as it is.
    #[serde(default, skip_serializing_if = "crate::secret::is_told_once")]
    #[schema(write_only)]
    token: Option<String>,
}

fn version_2_2_1() -> String {
    Version::V2_2_1.to_string()
}

/// A roaming partner.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RoamingPartner)]
struct PartnerView {
    /// Its id.
    id: String,
    #[serde(flatten)]
    partner: PartnerBody,
}

impl From<RoamingPartner> for PartnerView {
    fn from(partner: RoamingPartner) -> Self {
        let RoamingPartner { id, name, country_code, party_id, cdrs_url, version } = partner;
        let version = version.to_string();
        let partner = PartnerBody { name, country_code, party_id, cdrs_url, version, token: None };
        Self { id: id.into(), partner }
    }
}

/// Lists the roaming partners.
#[utoipa::path(get, path = "/operator/partners",
    tag = "partners", operation_id = "list_partners",
    security(("jwt" = ["admin"])),
    responses((status = 200, body = Vec<PartnerView>)))]
async fn list(
    _: Operator<WritePartners>,
    State(api): State<Api>,
) -> Result<Json<Vec<PartnerView>>, Problem> {
    let partners = api.store.partners().await?;
    Ok(Json(partners.into_iter().map(PartnerView::from).collect()))
}

/// Gets a roaming partner.
#[utoipa::path(get, path = "/operator/partners/{id}",
    tag = "partners", operation_id = "get_partner",
    params(("id" = String, Path)),
    security(("jwt" = ["admin"])),
    responses((status = 200, body = PartnerView)))]
async fn get(
    _: Operator<WritePartners>,
    State(api): State<Api>,
    Param(id): Param<PartnerId>,
) -> Result<Json<PartnerView>, Problem> {
    let partner = api.store.partner(&id).await?;
    Ok(Json(partner.ok_or_else(|| Problem::not_found("partner"))?.into()))
}

/// Creates or changes a roaming partner. A new one needs its token.
#[utoipa::path(put, path = "/operator/partners/{id}",
    tag = "partners", operation_id = "put_partner",
    params(("id" = String, Path)),
    request_body = PartnerBody,
    security(("jwt" = ["admin"])),
    responses((status = 200, body = PartnerView), (status = 201, body = PartnerView)))]
async fn put(
    _: Operator<WritePartners>,
    State(api): State<Api>,
    Param(id): Param<PartnerId>,
    Body(body): Body<PartnerBody>,
) -> Result<(StatusCode, Json<PartnerView>), Problem> {
    let is_new = api.store.partner(&id).await?.is_none();
    let token = body.token.clone();
    let partner = read(id, body, is_new)?;
    // The secret first: a partner that is known can always be called.
    if let Some(token) = token {
        let name = RoamingPartner::secret_name(&partner.id, &api.stack);
        api.secrets.put(&name, &token).await.map_err(Problem::unavailable)?;
    }
    api.store.put_partner(&partner).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(partner.into())))
}

fn read(id: PartnerId, body: PartnerBody, is_new: bool) -> Result<RoamingPartner, Problem> {
    let mut check = Check::default();
    let name = check.text("/name", &body.name, 255);
    let is_country =
        body.country_code.len() == 2 && body.country_code.chars().all(|c| c.is_ascii_uppercase());
    check.that("/country_code", is_country, "must be an ISO 3166-1 alpha-2 code such as NL");
    let letters_or_digits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let is_party = body.party_id.len() == 3 && body.party_id.chars().all(letters_or_digits);
    check.that("/party_id", is_party, "must have three capitals or digits");
    is_url(&mut check, "/cdrs_url", &body.cdrs_url);
    let version = body.version.parse().ok().filter(|version| *version != Version::V2_1_1);
    check.that("/version", version.is_some(), "must be 2.2.1 or 2.3.0");
    match &body.token {
        Some(token) => {
            let fits =
                (1..=64).contains(&token.len()) && token.chars().all(|c| c.is_ascii_graphic());
            check.that(
                "/token",
                fits,
                "must have 1 to 64 printable ASCII characters (OCPI, 7.2.2)",
            );
        }
        None => check.that("/token", !is_new, "a new partner needs the token we send it"),
    }
    check.finish(|| {
        Some(RoamingPartner {
            id,
            name: name?,
            country_code: body.country_code,
            party_id: body.party_id,
            cdrs_url: body.cdrs_url,
            version: version?,
        })
    })
}

/// Notes what is wrong with a URL that we are to post to.
pub(crate) fn is_url(check: &mut Check, pointer: &str, url: &str) {
    let is_url = url.parse::<axum::http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some()
    });
    check.that(pointer, is_url && url.len() <= 255, "must be a URL, at most 255 characters long");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_partner_without_token_or_a_proper_address_is_refused() {
        let body = PartnerBody {
            name: "Example eMSP".to_owned(),
            country_code: "NL".to_owned(),
            party_id: "emp".to_owned(),
            cdrs_url: "emsp.example/cdrs".to_owned(),
            version: "2.1.1".to_owned(),
            token: None,
        };
        let refused = read("emp".parse().unwrap(), body.clone(), true).unwrap_err();
        let pointers: Vec<_> = refused.errors().iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["/party_id", "/cdrs_url", "/version", "/token"]);
        let better = PartnerBody {
            party_id: "EMP".to_owned(),
            cdrs_url: "https://emsp.example/cdrs".to_owned(),
            version: "2.3.0".to_owned(),
            ..body
        };
        assert!(read("emp".parse().unwrap(), better, false).is_ok());
    }
}
