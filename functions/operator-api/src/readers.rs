//! Card readers and the connectors that are paid at them.

use axum::{Json, extract::State, http::StatusCode};
use http_api::{Body, Check, Operator, Param, Problem, ProblemType, ReadNetwork, WriteNetwork};
use network::{Connector, Entitlement, EntitlementStatus, Payer, Reader, StripeReaderId, Tier};
use quantities::{ConnectorId, IdTag, ReaderId, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

/// A shorter window would part what belongs together, a longer one hold a card for nothing.
const WINDOW_S: std::ops::RangeInclusive<u32> = 10..=900;
/// A kiosk with more connectors than this would be several.
const CONNECTORS_MAX: usize = 64;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put))
}

/// A card reader of Stripe Terminal.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReaderBody {
    /// Its id at Stripe.
    #[schema(example = "tmr_FDOt2wlRZEdpd7")]
    stripe_reader: String,
    /// The site it stands on.
    site_id: String,
    /// What is paid at it: one connector for a reader in a charger, several for a kiosk. No
    /// connector is paid at two readers.
    connectors: Vec<ConnectorBody>,
    /// The tag that its sessions start with; one is made up for a reader without. A tag without
    /// entitlement gets one with the payer `reader`.
    #[serde(default)]
    id_tag: Option<String>,
    /// Whether the charger is told to start once a card is held; if not, it starts by itself.
    #[serde(default = "yes")]
    #[schema(required = false)]
    starts_charger: bool,
    /// How far apart card and session may arrive, in seconds: 10 to 900.
    #[serde(default = "window_s")]
    #[schema(required = false, example = 120)]
    window_s: u32,
}

/// A connector of a charger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Connector)]
struct ConnectorBody {
    /// The charger.
    charge_point_id: String,
    /// Its connector, from 1.
    connector_id: u32,
}

const fn yes() -> bool {
    true
}

const fn window_s() -> u32 {
    120
}

/// A card reader.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Reader)]
struct ReaderView {
    /// Its id.
    id: String,
    #[serde(flatten)]
    reader: ReaderBody,
}

impl From<Reader> for ReaderView {
    fn from(reader: Reader) -> Self {
        let connectors = reader.connectors.into_iter().map(|connector| ConnectorBody {
            charge_point_id: connector.charge_point_id.into(),
            connector_id: connector.connector_id.0,
        });
        Self {
            id: reader.id.into(),
            reader: ReaderBody {
                stripe_reader: reader.stripe_reader.0,
                site_id: reader.site_id.into(),
                connectors: connectors.collect(),
                id_tag: Some(reader.id_tag.into()),
                starts_charger: reader.starts_charger,
                window_s: reader.window_s,
            },
        }
    }
}

/// Lists the card readers.
#[utoipa::path(get, path = "/operator/readers", tag = "readers", operation_id = "list_readers",
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = Vec<ReaderView>)))]
async fn list(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
) -> Result<Json<Vec<ReaderView>>, Problem> {
    Ok(Json(api.store.readers().await?.into_iter().map(ReaderView::from).collect()))
}

/// Gets a card reader.
#[utoipa::path(get, path = "/operator/readers/{id}", tag = "readers", operation_id = "get_reader",
    params(("id" = String, Path)),
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = ReaderView)))]
async fn get(
    _: Operator<ReadNetwork>,
    State(api): State<Api>,
    Param(id): Param<ReaderId>,
) -> Result<Json<ReaderView>, Problem> {
    Ok(Json(known(&api, &id).await?.into()))
}

/// Creates or changes a card reader. A tag that has no entitlement gets one.
#[utoipa::path(put, path = "/operator/readers/{id}", tag = "readers", operation_id = "put_reader",
    params(("id" = String, Path)),
    request_body = ReaderBody,
    security(("jwt" = ["admin"])),
    responses((status = 200, body = ReaderView), (status = 201, body = ReaderView)))]
async fn put(
    _: Operator<WriteNetwork>,
    State(api): State<Api>,
    Param(id): Param<ReaderId>,
    Body(body): Body<ReaderBody>,
) -> Result<(StatusCode, Json<ReaderView>), Problem> {
    let others = api.store.readers().await?;
    let before = others.iter().find(|other| other.id == id).cloned();
    let reader = read(id, body, before.as_ref(), &others)?;
    stand_there(&api, &reader).await?;
    // The tag first: a reader that is known can start sessions.
    match api.store.entitlement(&reader.id_tag).await? {
        None => {
            let of_nobody = entitlement(reader.id_tag.clone());
            api.store.put_entitlement(&of_nobody, None).await?;
        }
        Some(standing) if standing.payer == Payer::Reader => {}
        Some(_) => {
            let detail = "The tag is somebody's who pays: a reader needs one of its own.";
            return Err(Problem::new(ProblemType::Conflict, detail));
        }
    }
    api.store.put_reader(&reader).await?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(reader.into())))
}

pub(crate) async fn known(api: &Api, id: &ReaderId) -> Result<Reader, Problem> {
    api.store.reader(id).await?.ok_or_else(|| Problem::not_found("reader"))
}

fn read(
    id: ReaderId,
    body: ReaderBody,
    before: Option<&Reader>,
    others: &[Reader],
) -> Result<Reader, Problem> {
    let mut check = Check::default();
    let is_reader = body.stripe_reader.starts_with("tmr_");
    check.that("/stripe_reader", is_reader, "must be `tmr_…`");
    let site_id = check.parse::<SiteId>("/site_id", &body.site_id);
    check.that("/window_s", WINDOW_S.contains(&body.window_s), "must be 10 to 900");
    let fits = (1..=CONNECTORS_MAX).contains(&body.connectors.len());
    check.that("/connectors", fits, "must be 1 to 64");
    let mut connectors = Vec::new();
    for (index, connector) in body.connectors.iter().enumerate() {
        let pointer = format!("/connectors/{index}");
        let charger = format!("{pointer}/charge_point_id");
        let charge_point_id = check.parse(&charger, &connector.charge_point_id);
        check.that(&pointer, connector.connector_id > 0, "the connector must be 1 or more");
        let is_twice = body.connectors.iter().take(index).any(|other| other == connector);
        check.that(&pointer, !is_twice, "is named twice");
        let Some(charge_point_id) = charge_point_id else { continue };
        let connector_id = ConnectorId(connector.connector_id);
        let elsewhere =
            |other: &&Reader| other.id != id && other.serves(&charge_point_id, connector_id);
        let elsewhere = others.iter().find(elsewhere).map(|other| other.id.to_string());
        let detail = format!("is paid at reader {}", elsewhere.as_deref().unwrap_or_default());
        check.that(&pointer, elsewhere.is_none(), &detail);
        connectors.push(Connector { charge_point_id, connector_id });
    }
    let id_tag = match (&body.id_tag, before) {
        (Some(id_tag), _) => check.parse("/id_tag", id_tag),
        (None, Some(before)) => Some(before.id_tag.clone()),
        (None, None) => check.parse("/id_tag", &made_up_tag(&id)),
    };
    check.finish(|| {
        Some(Reader {
            id,
            stripe_reader: StripeReaderId(body.stripe_reader),
            site_id: site_id?,
            connectors,
            id_tag: id_tag?,
            starts_charger: body.starts_charger,
            window_s: body.window_s,
        })
    })
}

/// 20 characters; no card has such a tag: theirs are hexadecimal.
fn made_up_tag(id: &ReaderId) -> String {
    format!("RDR-{}", session::digest(&format!("reader/{id}")))
}

/// Its chargers must be there, on its site: what is held is by the site's rule.
async fn stand_there(api: &Api, reader: &Reader) -> Result<(), Problem> {
    let mut check = Check::default();
    let site = api.store.site(&reader.site_id).await?;
    check.that("/site_id", site.is_some(), "there is no such site");
    for (index, connector) in reader.connectors.iter().enumerate() {
        let charger = api.store.charger(&connector.charge_point_id).await?;
        let there = charger.is_some_and(|charger| charger.site_id == reader.site_id);
        let pointer = format!("/connectors/{index}/charge_point_id");
        check.that(&pointer, there, "there is no such charger on the site");
    }
    check.finish(|| Some(()))
}

fn entitlement(id_tag: IdTag) -> Entitlement {
    Entitlement {
        id_tag,
        status: EntitlementStatus::Accepted,
        parent_id_tag: None,
        expires_at: None,
        driver_id: None,
        tier: Tier::retail(),
        plan: None,
        subscription: None,
        payer: Payer::Reader,
        app_start: None,
        owes: Vec::new(),
        changed: None,
        revision: 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(connectors: &Value) -> ReaderBody {
        serde_json::from_value(json!({
            "stripe_reader": "tmr_1", "site_id": "AMS-01", "connectors": connectors,
        }))
        .unwrap()
    }

    fn one(charger: &str, connector: u32) -> Value {
        json!({ "charge_point_id": charger, "connector_id": connector })
    }

    fn wrong(body: ReaderBody, others: &[Reader]) -> Vec<String> {
        let problem = read("R2".parse().unwrap(), body, None, others).unwrap_err();
        problem.errors().iter().map(|error| error.pointer.clone()).collect()
    }

    #[test]
    fn a_reader_without_a_tag_gets_one_that_fits_ocpp_and_keeps_it() {
        let id = || "R1".parse().unwrap();
        let made = read(id(), body(&json!([one("CP1", 1)])), None, &[]).unwrap();
        assert_eq!(made.id_tag.as_str().len(), 20);
        assert!(made.id_tag.as_str().starts_with("RDR-"));
        let chosen = Reader { id_tag: "KIOSK".parse().unwrap(), ..made.clone() };
        let again = read(id(), body(&json!([one("CP1", 1)])), Some(&chosen), &[made]).unwrap();
        assert_eq!(again, chosen);
    }

    #[test]
    fn a_connector_is_paid_at_one_reader() {
        let first = read("R1".parse().unwrap(), body(&json!([one("CP1", 1)])), None, &[]).unwrap();
        let others = [first];
        assert_eq!(wrong(body(&json!([one("CP1", 1)])), &others), ["/connectors/0"]);
        assert_eq!(wrong(body(&json!([one("CP2", 1), one("CP2", 1)])), &others), ["/connectors/1"]);
        assert!(read("R2".parse().unwrap(), body(&json!([one("CP1", 2)])), None, &others).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_reader_is_told_at_once() {
        let body = ReaderBody {
            stripe_reader: "rdr_1".to_owned(),
            window_s: 5,
            connectors: vec![],
            ..body(&json!([]))
        };
        assert_eq!(wrong(body, &[]), ["/stripe_reader", "/window_s", "/connectors"]);
    }
}
