//! The price at a charger now, before starting.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use http_api::{AmountView, Driver, Log, Param, Problem, TariffRefView};
use ocpi::{Price, Tariff, TariffDimensionType};
use quantities::{ChargePointId, ConnectorId, Currency};
use rating::{PriceInForce, Rules, TariffVersion, Unit, quote};
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::Api,
    on_offer::{OnOffer, on_offer},
};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get))
}

/// What a session that starts now pays.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Price)]
struct PriceView {
    /// The charger.
    charge_point_id: String,
    /// The connector.
    connector_id: u32,
    /// The site.
    site_id: String,
    /// What the site is called.
    site_name: String,
    /// The driver's price group: `retail`, or their membership.
    tier: String,
    /// The tariff version; give it with the start to be told if it has changed.
    tariff: TariffRefView,
    /// ISO 4217 code of all prices.
    #[schema(example = "EUR")]
    currency: String,
    /// The moment this is the price of.
    at: DateTime<Utc>,
    /// When the first of these prices changes with the time of day; none within a week.
    valid_until: Option<DateTime<Utc>>,
    /// What is paid for, in this order: kWh, hour, idle hour, session.
    components: Vec<ComponentView>,
    /// Idle seconds that cost nothing.
    idle_grace_s: u32,
    /// A session costs at least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_price: Option<LimitView>,
    /// A session costs at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_price: Option<LimitView>,
    /// What is held on the card until the session is paid.
    hold: AmountView,
    /// The whole tariff as an OCPI 2.2.1 Tariff object.
    #[schema(value_type = Object)]
    ocpi_tariff: Tariff,
}

/// One component of the price in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PriceComponent)]
struct ComponentView {
    /// The price in words.
    #[schema(example = "0.484 EUR per kWh, 21 % tax included")]
    text: String,
    /// OCPI `TariffDimensionType`.
    #[schema(value_type = String, example = "ENERGY")]
    dimension: TariffDimensionType,
    /// Major units without tax per `unit`.
    excl_tax: Decimal,
    /// Major units with tax per `unit`, exact.
    incl_tax: Decimal,
    /// What the price is for one of: `kWh`, `h`, `session`.
    #[schema(value_type = String, example = "kWh")]
    unit: Unit,
    /// Tax in percent.
    tax_percent: Decimal,
    /// Billed in blocks of this many Wh or seconds.
    step_size: u32,
    /// Whether it applies only at certain powers of the session to come.
    depends_on_power: bool,
}

/// The least or most that a session costs, in major units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PriceLimit)]
struct LimitView {
    /// Without tax.
    excl_tax: Decimal,
    /// With tax, where the tariff states it.
    incl_tax: Option<Decimal>,
}

/// Gets the price of a session that this driver starts now.
#[utoipa::path(get, operation_id = "get_price", tag = "prices",
    path = "/driver/chargers/{charge_point_id}/connectors/{connector_id}/price",
    params(("charge_point_id" = String, Path), ("connector_id" = u32, Path)),
    security(("jwt" = [])),
    responses((status = 200, body = PriceView)))]
async fn get(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    Param((charge_point_id, connector_id)): Param<(ChargePointId, ConnectorId)>,
) -> Result<Json<PriceView>, Problem> {
    let on_offer = on_offer(&api, &driver.id, &charge_point_id, log.now()).await?;
    let version = api.store.tariff(&on_offer.tariff).await?;
    Ok(Json(view(&on_offer, connector_id, version, log.now())?))
}

fn view(
    on_offer: &OnOffer,
    connector_id: ConnectorId,
    version: TariffVersion,
    at: DateTime<Utc>,
) -> Result<PriceView, Problem> {
    let OnOffer { charger, site, tier, .. } = on_offer;
    let quote = quote(&version, at, &Rules::of(site.time_zone, &site.jurisdiction));
    let quote = quote.map_err(anyhow::Error::from)?;
    let component = |price: &PriceInForce| component(price, quote.currency);
    Ok(PriceView {
        charge_point_id: charger.id.to_string(),
        connector_id: connector_id.0,
        site_id: site.id.to_string(),
        site_name: site.name.clone(),
        tier: tier.as_str().to_owned(),
        tariff: (&quote.tariff).into(),
        currency: quote.currency.code().to_owned(),
        at,
        valid_until: quote.valid_until,
        components: quote.prices.iter().map(component).collect(),
        idle_grace_s: quote.idle_grace_s,
        min_price: version.tariff.min_price.map(limit),
        max_price: version.tariff.max_price.map(limit),
        hold: site.hold.into(),
        ocpi_tariff: version.tariff,
    })
}

fn limit(price: Price) -> LimitView {
    LimitView { excl_tax: price.excl_vat, incl_tax: price.incl_vat }
}

fn component(price: &PriceInForce, currency: Currency) -> ComponentView {
    let per = match price.dimension {
        TariffDimensionType::Energy => "per kWh",
        TariffDimensionType::Time => "per hour of charging",
        TariffDimensionType::ParkingTime => "per hour of standing idle",
        TariffDimensionType::Flat => "per session",
    };
    let tax = price.tax_percent.percent().normalize();
    let incl = price.incl_vat.normalize();
    let condition = if price.depends_on_power { ", at certain powers" } else { "" };
    ComponentView {
        text: format!("{incl} {currency} {per}{condition}, {tax} % tax included"),
        dimension: price.dimension,
        excl_tax: price.excl_vat.normalize(),
        incl_tax: incl,
        unit: price.unit,
        tax_percent: tax,
        step_size: price.step_size,
        depends_on_power: price.depends_on_power,
    }
}

#[cfg(test)]
mod tests {
    use quantities::TaxPercent;

    use super::*;

    #[test]
    fn a_price_is_told_in_words_with_its_tax() {
        let price = PriceInForce {
            dimension: TariffDimensionType::Energy,
            element: 0,
            component: 0,
            listed: Decimal::new(4000, 4),
            excl_vat: Decimal::new(4000, 4),
            incl_vat: Decimal::new(4840, 4),
            unit: Unit::KilowattHour,
            tax_percent: TaxPercent::try_from(Decimal::from(21)).unwrap(),
            taxes: vec![],
            step_size: 1,
            depends_on_power: false,
            conditions: String::new(),
        };
        let view = component(&price, Currency::EUR);
        assert_eq!(view.text, "0.484 EUR per kWh, 21 % tax included");
        assert_eq!(view.excl_tax.to_string(), "0.4");
        let fast = component(&PriceInForce { depends_on_power: true, ..price }, Currency::EUR);
        assert!(fast.text.contains("at certain powers"), "{}", fast.text);
    }
}
