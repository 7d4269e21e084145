//! The price at a charger now, before starting.

use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use http_api::{AmountView, Check, Driver, Log, Param, Params, Problem, TariffRefView};
use network::Site;
use ocpi::{Price, Tariff, TariffDimensionType};
use quantities::{ChargePointId, ConnectorId, Currency, WattHours};
use rating::{
    Expected, Free, PriceChange, PriceInForce, PriceTax, Pricer, RatingError, Rules, TariffVersion,
    Unit, hold,
};
use receipts::short_rate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::Api,
    means::{Means, MeansView, PayWith},
    on_offer::{OnOffer, on_offer},
    views::BillView,
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
    /// Whether prices are shown with tax at this site: `text` does so.
    prices_include_tax: bool,
    /// The moment this is the price of.
    at: DateTime<Utc>,
    /// When the first of these prices changes with the time of day; none in the hours asked for.
    valid_until: Option<DateTime<Utc>>,
    /// What is paid for, in this order: kWh, hour, idle hour, session. With what the driver's plan
    /// takes off.
    components: Vec<ComponentView>,
    /// What is paid for from some energy or duration of the session on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    later: Vec<ComponentView>,
    /// Every change of these prices in the hours asked for.
    changes: Vec<ChangeView>,
    /// What the driver's plan still has for nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    free: Vec<FreeView>,
    /// Idle seconds that cost nothing.
    idle_grace_s: u32,
    /// The most that all idle time of a session costs, in major units, as the tariff's prices are.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_cap: Option<Decimal>,
    /// A session costs at least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_price: Option<LimitView>,
    /// A session costs at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_price: Option<LimitView>,
    /// What the expected session would cost, where `kwh` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<BillView>,
    /// What pays a start unless it names another way: what this is the price of. None: nothing is
    /// on file, and the driver has to add a card.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "card")]
    pay_with: Option<String>,
    /// Every way in which the driver can pay here.
    ways_to_pay: Vec<MeansView>,
    /// What is held on the card until the session is paid; absent where no card pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<AmountView>,
    /// The whole tariff as an OCPI Tariff object.
    #[schema(value_type = Object)]
    ocpi_tariff: Tariff,
}

/// One component of the price in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PriceComponent)]
struct ComponentView {
    /// The price in words, to six decimals.
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
    /// At which energy, duration or power of the session it applies, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    conditions: String,
}

/// New prices from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PriceChange)]
struct ChangeView {
    /// The moment.
    at: DateTime<Utc>,
    /// The prices of a session that starts then.
    components: Vec<ComponentView>,
}

/// A quantity that costs the driver nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FreeQuantity)]
struct FreeView {
    /// OCPI `TariffDimensionType`.
    #[schema(value_type = String, example = "ENERGY")]
    dimension: TariffDimensionType,
    /// How much is left.
    left: Decimal,
    /// `kWh` or `min`.
    unit: String,
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

/// What else is asked of the price.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct QuoteParams {
    /// For how many hours ahead changes are told, 1 to 168; 24 if not given.
    hours: Option<u32>,
    /// Asks for an estimate: so many whole kWh, 1 to 500.
    kwh: Option<u32>,
    /// Minutes of charging for the estimate, 1 to 2880; 60 if not given.
    minutes: Option<u32>,
    /// Minutes of standing idle afterwards for the estimate, at most 2880; none if not given.
    idle_minutes: Option<u32>,
    /// The way to pay whose price it is: `card`, `account:` and the account's id, or `free`.
    pay_with: Option<String>,
}

/// Gets the price of a session that this driver starts now: with their plan, how it changes in the
/// hours to come, what an expected session would cost, and what is held on the card.
#[utoipa::path(get, operation_id = "get_price", tag = "prices",
    path = "/driver/chargers/{charge_point_id}/connectors/{connector_id}/price",
    params(("charge_point_id" = String, Path), ("connector_id" = u32, Path), QuoteParams),
    security(("jwt" = [])),
    responses((status = 200, body = PriceView)))]
async fn get(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    Param((charge_point_id, connector_id)): Param<(ChargePointId, ConnectorId)>,
    Params(params): Params<QuoteParams>,
) -> Result<Json<PriceView>, Problem> {
    let Asked { ahead, expected, pay_with } = asked(&params)?;
    let pay_with = pay_with.as_ref();
    let on_offer = on_offer(&api, &driver.id, &charge_point_id, pay_with, log.now()).await?;
    let (version, plan) = on_offer.priced_by(&api, log.now()).await?;
    let priced = Priced {
        on_offer: &on_offer,
        rules: on_offer.rules(plan.as_ref()),
        version,
        at: log.now(),
    };
    Ok(Json(priced.view(connector_id, ahead, expected)?))
}

/// What is asked of the price.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// How far ahead changes are told.
    ahead: TimeDelta,
    /// The session to estimate.
    expected: Option<Expected>,
    pay_with: Option<PayWith>,
}

fn asked(params: &QuoteParams) -> Result<Asked, Problem> {
    let hours = params.hours.unwrap_or(24);
    let (minutes, idle) = (params.minutes.unwrap_or(60), params.idle_minutes.unwrap_or(0));
    let mut check = Check::default();
    check.that("/hours", (1..=168).contains(&hours), "must be from 1 to 168");
    let kwh_fits = params.kwh.is_none_or(|kwh| (1..=500).contains(&kwh));
    check.that("/kwh", kwh_fits, "must be from 1 to 500");
    check.that("/minutes", (1..=2880).contains(&minutes), "must be from 1 to 2880");
    check.that("/idle_minutes", idle <= 2880, "must be at most 2880");
    let pay_with = params.pay_with.as_ref().map(|name| check.parse("/pay_with", name));
    check.finish(|| {
        let expected = params.kwh.map(|kwh| Expected {
            energy: WattHours::from(i64::from(kwh) * 1000),
            charging_s: minutes * 60,
            idle_s: idle * 60,
        });
        let ahead = TimeDelta::hours(hours.into());
        Some(Asked { ahead, expected, pay_with: pay_with.flatten() })
    })
}

/// All that a price is told from.
struct Priced<'a> {
    on_offer: &'a OnOffer,
    rules: Rules<'a>,
    version: TariffVersion,
    at: DateTime<Utc>,
}

impl Priced<'_> {
    fn view(
        self,
        connector_id: ConnectorId,
        ahead: TimeDelta,
        expected: Option<Expected>,
    ) -> Result<PriceView, Problem> {
        let Self { on_offer, rules, version, at } = self;
        let OnOffer { charger, site, tier, means, payer, .. } = on_offer;
        let wrong = |error: RatingError| Problem::from(anyhow::Error::from(error));
        let pricer = Pricer::new(&version).map_err(wrong)?;
        let quote = pricer.quote(at, ahead, &rules).map_err(wrong)?;
        let estimate = expected.map(|expected| pricer.estimate(at, &expected, &rules));
        let estimate = estimate.transpose().map_err(wrong)?;
        let hold = hold(&version, at, site, &rules).map_err(wrong)?;
        let shown = Shown { currency: quote.currency, site };
        Ok(PriceView {
            charge_point_id: charger.id.to_string(),
            connector_id: connector_id.0,
            site_id: site.id.to_string(),
            site_name: site.name.clone(),
            tier: tier.as_str().to_owned(),
            tariff: (&quote.tariff).into(),
            currency: quote.currency.code().to_owned(),
            prices_include_tax: site.jurisdiction.prices_include_tax,
            at,
            valid_until: quote.valid_until,
            components: shown.components(&quote.prices),
            later: shown.components(&quote.later),
            changes: quote.changes.iter().map(|change| shown.change(change)).collect(),
            free: quote.free.iter().map(free).collect(),
            idle_grace_s: quote.idle_grace_s,
            idle_cap: quote.idle_cap,
            min_price: version.tariff.min_price.map(limit),
            max_price: version.tariff.max_price.map(limit),
            estimate: estimate
                .map(|price| BillView::of(&price, false, site.time_zone))
                .transpose()?,
            pay_with: payer.as_ref().and_then(PayWith::of).map(|name| name.to_string()),
            ways_to_pay: means.iter().map(Means::view).collect(),
            hold: on_offer.is_held().then(|| hold.into()),
            ocpi_tariff: version.tariff,
        })
    }
}

fn free(free: &Free) -> FreeView {
    let is_energy = free.dimension == TariffDimensionType::Energy;
    let unit = if is_energy { "kWh" } else { "min" };
    FreeView { dimension: free.dimension, left: free.left.normalize(), unit: unit.to_owned() }
}

fn limit(price: Price) -> LimitView {
    LimitView { excl_tax: price.excl_vat, incl_tax: price.incl_vat }
}

/// How prices are shown at a site.
struct Shown<'a> {
    currency: Currency,
    site: &'a Site,
}

impl Shown<'_> {
    fn components(&self, prices: &[PriceInForce]) -> Vec<ComponentView> {
        prices.iter().map(|price| self.component(price)).collect()
    }

    fn change(&self, change: &PriceChange) -> ChangeView {
        ChangeView { at: change.at, components: self.components(&change.prices) }
    }

    fn component(&self, price: &PriceInForce) -> ComponentView {
        ComponentView {
            text: self.text(price),
            dimension: price.dimension,
            excl_tax: price.excl_vat.normalize(),
            incl_tax: price.incl_vat.normalize(),
            unit: price.unit,
            tax_percent: price.tax_percent.percent().normalize(),
            step_size: price.step_size,
            depends_on_power: price.depends_on_power,
            conditions: price.conditions.clone(),
        }
    }

    /// The price in words, with tax or without as the site shows prices.
    fn text(&self, price: &PriceInForce) -> String {
        let per = match price.dimension {
            TariffDimensionType::Energy => "per kWh",
            TariffDimensionType::Time => "per hour of charging",
            TariffDimensionType::ParkingTime => "per hour of standing idle",
            TariffDimensionType::Flat => "per session",
        };
        let condition = if price.depends_on_power { ", at certain powers" } else { "" };
        let currency = self.currency;
        if self.site.jurisdiction.prices_include_tax {
            let (amount, tax) = (short_rate(price.incl_vat), price.tax_percent.percent());
            let tax = tax.normalize();
            return format!("{amount} {currency} {per}{condition}, {tax} % tax included");
        }
        let named =
            |tax: &PriceTax| format!("{} % {}", tax.percent.percent().normalize(), tax.name);
        let taxes: Vec<_> = price.taxes.iter().map(named).collect();
        let amount = short_rate(price.excl_vat);
        if taxes.is_empty() {
            return format!("{amount} {currency} {per}{condition}");
        }
        format!("{amount} {currency} {per}{condition}, plus {}", taxes.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use quantities::TaxPercent;

    use super::*;
    use crate::receipt::tests::receipt;

    fn percent(percent: i64, scale: u32) -> TaxPercent {
        TaxPercent::try_from(Decimal::new(percent, scale)).unwrap()
    }

    fn told(includes_tax: bool, price: &PriceInForce) -> ComponentView {
        let mut site = receipt().site;
        site.jurisdiction.prices_include_tax = includes_tax;
        Shown { currency: Currency::EUR, site: &site }.component(price)
    }

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
            tax_percent: percent(21, 0),
            taxes: vec![PriceTax { name: "VAT".to_owned(), percent: percent(21, 0) }],
            step_size: 1,
            depends_on_power: false,
            conditions: String::new(),
        };
        let view = told(true, &price);
        assert_eq!(view.text, "0.484 EUR per kWh, 21 % tax included");
        assert_eq!(view.excl_tax.to_string(), "0.4");
        let gst = PriceTax { name: "GST".to_owned(), percent: percent(5, 0) };
        let qst = PriceTax { name: "QST".to_owned(), percent: percent(9975, 3) };
        let fast = PriceInForce { depends_on_power: true, taxes: vec![gst, qst], ..price };
        let words = "0.4 EUR per kWh, at certain powers, plus 5 % GST and 9.975 % QST";
        assert_eq!(told(false, &fast).text, words);
        let net = Decimal::new(5, 1) / Decimal::new(121, 2);
        let words = "0.413223 EUR per kWh, at certain powers, plus 5 % GST and 9.975 % QST";
        assert_eq!(told(false, &PriceInForce { excl_vat: net, ..fast }).text, words);
    }

    #[test]
    fn an_estimate_of_nothing_or_for_ever_is_refused() {
        let none = QuoteParams::default();
        let nothing = Asked { ahead: TimeDelta::hours(24), expected: None, pay_with: None };
        assert_eq!(asked(&none).unwrap(), nothing);
        let some = QuoteParams { kwh: Some(20), minutes: Some(30), ..none };
        let (energy, charging_s) = (WattHours::from(20_000), 1800);
        let expected = Some(Expected { energy, charging_s, idle_s: 0 });
        assert_eq!(asked(&some).unwrap(), Asked { expected, ..nothing });
        let wrong = QuoteParams {
            hours: Some(0),
            kwh: Some(0),
            minutes: Some(0),
            idle_minutes: Some(9999),
            pay_with: Some("gold".to_owned()),
        };
        assert_eq!(asked(&wrong).unwrap_err().errors().len(), 5);
    }
}
