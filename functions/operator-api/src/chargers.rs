//! Chargers and their passwords.

use axum::{Json, extract::State, http::StatusCode};
use http_api::{Body, Check, Operator, Param, Params, Problem, ReadNetwork, WriteNetwork};
use network::Charger;
use quantities::{ChargePointId, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{api::Api, secret};

/// OCPI 2.2.1 `PowerType`.
const POWER_TYPES: [&str; 5] = ["AC_1_PHASE", "AC_2_PHASE", "AC_2_PHASE_SPLIT", "AC_3_PHASE", "DC"];

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put))
        .routes(routes!(new_password))
}

/// A charge point that may connect.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChargerBody {
    /// The site it stands on.
    site_id: String,
    /// OCPI EVSE id (eMI3); a `{connector}` in it stands for the connector's number.
    #[schema(example = "DE*TWT*E1001*{connector}")]
    evse_id: String,
    /// OCPI `PowerType`.
    #[schema(example = "AC_3_PHASE")]
    power_type: String,
    /// OCPI `ConnectorType`.
    #[schema(example = "IEC_62196_T2")]
    standard: String,
    /// What a connector delivers at most, in watts (OCPI `max_electric_power`): readings that would
    /// need more are not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 22000)]
    max_electric_power: Option<u32>,
    /// The public keys that its meters sign readings with, one for each meter it has or had: a
    /// `SubjectPublicKeyInfo` in hex or base64. With any, readings of other keys are held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    meter_public_keys: Vec<String>,
    /// Its Basic authentication password (OCPP `AuthorizationKey`), 16 to 40 characters. Left out,
    /// it stays as it is; a new charger without one gets one.
    #[serde(default, skip_serializing_if = "secret::is_told_once")]
    #[schema(write_only)]
    password: Option<String>,
}

/// A charge point.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Charger)]
struct ChargerView {
    /// Its identity: the last part of the URL it connects to.
    id: String,
    #[serde(flatten)]
    charger: ChargerBody,
    /// A password that was made for it just now. It is told once; only its hash is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_password: Option<String>,
}

/// A new password. It is told once; only its hash is kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct NewPassword {
    /// The password.
    password: String,
}

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfSite {
    /// The site.
    #[param(value_type = String)]
    site_id: SiteId,
}

fn view(charger: &Charger, new_password: Option<String>) -> ChargerView {
    ChargerView {
        id: charger.id.to_string(),
        charger: ChargerBody {
            site_id: charger.site_id.to_string(),
            evse_id: charger.evse_id.clone(),
            power_type: charger.power_type.clone(),
            standard: charger.standard.clone(),
            max_electric_power: charger.max_electric_power,
            meter_public_keys: charger.meter_public_keys.clone(),
            password: None,
        },
        new_password,
    }
}

/// Lists the chargers of a site.
#[utoipa::path(get, path = "/operator/chargers",
    tag = "chargers", operation_id = "list_chargers",
    params(OfSite),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = Vec<ChargerView>)))]
async fn list(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Params(of): Params<OfSite>,
) -> Result<Json<Vec<ChargerView>>, Problem> {
    let chargers = api.store.chargers_of(&of.site_id).await?;
    Ok(Json(chargers.iter().map(|charger| view(charger, None)).collect()))
}

/// Gets a charger.
#[utoipa::path(get, path = "/operator/chargers/{id}",
    tag = "chargers", operation_id = "get_charger",
    params(("id" = String, Path)),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = ChargerView)))]
async fn get(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Param(id): Param<ChargePointId>,
) -> Result<Json<ChargerView>, Problem> {
    Ok(Json(view(&known(&api, &id).await?, None)))
}

/// Creates or changes a charger.
#[utoipa::path(put, path = "/operator/chargers/{id}",
    tag = "chargers", operation_id = "put_charger",
    params(("id" = String, Path)),
    request_body = ChargerBody,
    security(("jwt" = ["admin"])),
    responses((status = 200, body = ChargerView), (status = 201, body = ChargerView)))]
async fn put(
    _: Operator<WriteNetwork>,
    State(api): State<Api>,
    Param(id): Param<ChargePointId>,
    Body(body): Body<ChargerBody>,
) -> Result<(StatusCode, Json<ChargerView>), Problem> {
    let mut check = Check::default();
    let site_id = check.parse::<SiteId>("/site_id", &body.site_id);
    let site = match &site_id {
        Some(id) => api.store.site(id).await?,
        None => None,
    };
    check.that("/site_id", site_id.is_none() || site.is_some(), "there is no such site");
    examine(&mut check, &id, &body);
    let site = check.finish(|| site)?;

    let before = api.store.charger(&id).await?;
    let mut new_password = None;
    let password_hash = match (&body.password, &before) {
        (Some(password), _) => secret::hash(password)?,
        (None, Some(before)) => before.password_hash.clone(),
        (None, None) => secret::hash(new_password.insert(secret::charger_password()))?,
    };
    let charger = Charger {
        id,
        site_id: site.id,
        time_zone: site.time_zone,
        password_hash,
        evse_id: body.evse_id,
        power_type: body.power_type,
        standard: body.standard,
        max_electric_power: body.max_electric_power,
        meter_public_keys: body.meter_public_keys,
    };
    api.store.put_charger(&charger).await?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(view(&charger, new_password))))
}

/// Gives a charger a new random password. The old one is no longer good for new connections.
#[utoipa::path(post, path = "/operator/chargers/{id}/password",
    tag = "chargers", operation_id = "set_charger_password",
    params(("id" = String, Path)),
    security(("jwt" = ["admin"])),
    responses((status = 200, body = NewPassword)))]
async fn new_password(
    _: Operator<WriteNetwork>,
    State(api): State<Api>,
    Param(id): Param<ChargePointId>,
) -> Result<Json<NewPassword>, Problem> {
    let charger = known(&api, &id).await?;
    let password = secret::charger_password();
    let password_hash = secret::hash(&password)?;
    api.store.put_charger(&Charger { password_hash, ..charger }).await?;
    Ok(Json(NewPassword { password }))
}

async fn known(api: &Api, id: &ChargePointId) -> Result<Charger, Problem> {
    api.store.charger(id).await?.ok_or_else(|| Problem::not_found("charger"))
}

fn examine(check: &mut Check, id: &ChargePointId, body: &ChargerBody) {
    let is_user_name = !id.as_str().contains(':');
    check.that("", is_user_name, "the charger's id is its HTTP user name: no colon in it");
    let evse_id = body.evse_id.replace("{connector}", "1");
    let is_evse_id = "must be an eMI3 EVSE id such as DE*TWT*E1001*{connector}";
    check.that("/evse_id", is_emi3(&evse_id), is_evse_id);
    let is_power_type = POWER_TYPES.contains(&body.power_type.as_str());
    check.that("/power_type", is_power_type, &format!("must be one of {}", POWER_TYPES.join(", ")));
    let is_standard = !body.standard.is_empty()
        && body.standard.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    check.that("/standard", is_standard, "must be an OCPI ConnectorType such as IEC_62196_T2");
    let delivers = body.max_electric_power != Some(0);
    check.that("/max_electric_power", delivers, "must be the watts that a connector delivers");
    for (index, key) in body.meter_public_keys.iter().enumerate() {
        let is_key = "must be a SubjectPublicKeyInfo in hex or base64, as the meter has it";
        let path = format!("/meter_public_keys/{index}");
        check.that(&path, session::is_meter_key(key), is_key);
    }
    let fits = body.password.as_ref().is_none_or(|password| {
        (16..=40).contains(&password.len()) && password.chars().all(|c| c.is_ascii_graphic())
    });
    check.that("/password", fits, "must have 16 to 40 printable ASCII characters, no spaces");
}

/// eMI3 EVSE id: country, party, `E` and the rest; the stars between may be left out.
fn is_emi3(id: &str) -> bool {
    let plain = id.replace('*', "");
    let Some((owner, rest)) = plain.split_at_checked(5) else { return false };
    let (country, party) = owner.split_at(2);
    let letters_or_digits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    id.len() <= 48
        && country.chars().all(|c| c.is_ascii_uppercase())
        && party.chars().chain(rest.chars()).all(letters_or_digits)
        && rest.len() > 1
        && rest.starts_with('E')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evse_id_names_country_party_and_power_outlet() {
        assert!(is_emi3("DE*TWT*E1001*1"));
        assert!(is_emi3("DETWTE10011"));
        assert!(!is_emi3("DE*TWT*1001"));
        assert!(!is_emi3("de*twt*E1001"));
        assert!(!is_emi3("DE*TÜT*E1001"));
        assert!(!is_emi3(""));
    }

    #[test]
    fn a_meters_key_must_be_one_and_its_power_some() {
        let body = |keys: &[&str], max_electric_power| ChargerBody {
            site_id: "S1".to_owned(),
            evse_id: "DE*TWT*E1".to_owned(),
            power_type: "DC".to_owned(),
            standard: "IEC_62196_T2_COMBO".to_owned(),
            max_electric_power,
            meter_public_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            password: None,
        };
        let problems = |body: &ChargerBody| {
            let mut check = Check::default();
            examine(&mut check, &"CP1".parse().unwrap(), body);
            let problem = check.finish(|| Some(())).err();
            let errors = problem.iter().flat_map(Problem::errors);
            errors.map(|error| error.pointer.clone()).collect::<Vec<_>>()
        };
        // Of KEBA's published example (S.A.F.E. Transparenzsoftware).
        let key = "3059301306072A8648CE3D020106082A8648CE3D030107034200043AEEB45C392357820A58FDFB\
                   0857BD77ADA31585C61C430531DFA53B440AFBFDD95AC887C658EA55260F808F55CA948DF235C2\
                   108A0D6DC7D4AB1A5E1A7955BE";
        assert_eq!(problems(&body(&[key], Some(50_000))), Vec::<String>::new());
        let wrong = body(&[key, "secret"], Some(0));
        assert_eq!(problems(&wrong), ["/max_electric_power", "/meter_public_keys/1"]);
    }

    #[test]
    fn a_short_password_is_refused_and_never_repeated() {
        let body = ChargerBody {
            site_id: "S1".to_owned(),
            evse_id: "DE*TWT*E1".to_owned(),
            power_type: "DC".to_owned(),
            standard: "IEC_62196_T2_COMBO".to_owned(),
            max_electric_power: None,
            meter_public_keys: vec![],
            password: Some("tooshort".to_owned()),
        };
        let mut check = Check::default();
        examine(&mut check, &"CP1".parse().unwrap(), &body);
        let problem = check.finish(|| Some(())).unwrap_err();
        assert_eq!(problem.errors()[0].pointer, "/password");
        assert_eq!(problem.errors().len(), 1);
        assert!(!format!("{problem:?}").contains("tooshort"));
        assert!(!serde_json::to_string(&body).unwrap().contains("tooshort"));
    }
}
