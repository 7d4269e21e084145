//! What is shown before a session is what is billed after it.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod support;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use network::{ExpectedEnergy, HoldRule, Site};
use ocpi::TariffDimensionType::{self, Energy, Flat, ParkingTime, Time};
use plans::{Month, PlanVersion, Usage};
use proptest::{collection::vec, option, prelude::*, sample::select};
use quantities::{Amount, Currency, Money, RoundingMode, WattHours};
use rating::{
    Expected, Item, PlanInForce, PriceInForce, PricedSession, Pricer, Quote, Rules, TariffVersion,
    hold, rate,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use session::{ConnectorStatus, StatusChange, Timeline};
use support::{rules, site, version};

const ZONE: Tz = Tz::Europe__Amsterdam;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A tariff of elements in JSON, each `(dimension, price, restrictions)`.
fn tariff(elements: &[(&str, f64, Value)], idle: Value) -> TariffVersion {
    let element = |(dimension, price, restrictions): &(&str, f64, Value)| {
        json!({
            "price_components": [{ "type": dimension, "price": price, "step_size": 1 }],
            "restrictions": restrictions,
        })
    };
    let elements: Vec<Value> = elements.iter().map(element).collect();
    let mut version = version(serde_json::from_value(elements.into()).unwrap(), 0);
    version.terms.idle = serde_json::from_value(idle).unwrap();
    version
}

fn evening() -> Value {
    json!({ "start_time": "16:00", "end_time": "21:00" })
}

/// 0.34 a kWh, 0.52 from 16:00 to 21:00, and 6.00 an hour of standing idle.
fn time_of_use() -> TariffVersion {
    let elements = [
        ("ENERGY", 0.52, evening()),
        ("ENERGY", 0.34, json!({})),
        ("PARKING_TIME", 6.0, json!({})),
    ];
    tariff(&elements, json!({ "grace_s": 600 }))
}

fn quoted(tariff: &TariffVersion, at: DateTime<Utc>, horizon: Duration) -> Quote {
    Pricer::new(tariff).unwrap().quote(at, horizon, &rules(ZONE, "21")).unwrap()
}

fn listed(prices: &[PriceInForce]) -> Vec<(TariffDimensionType, String)> {
    prices.iter().map(|price| (price.dimension, price.listed.to_string())).collect()
}

#[test]
fn prices_come_in_the_order_of_the_regulation_whatever_the_order_of_the_tariff() {
    let elements = [
        ("FLAT", 1.0, json!({})),
        ("PARKING_TIME", 6.0, json!({})),
        ("TIME", 3.0, json!({})),
        ("ENERGY", 0.4, json!({})),
    ];
    let quote =
        quoted(&tariff(&elements, json!({})), at("2026-07-01T12:00:00Z"), Duration::days(1));
    let order: Vec<_> = quote.prices.iter().map(|price| price.dimension).collect();
    assert_eq!(order, [Energy, Time, ParkingTime, Flat]);
    let minutes: Vec<_> = quote.prices.iter().map(PriceInForce::per_minute).collect();
    let [three, six] = [("0.05", "0.0605"), ("0.1", "0.121")];
    let minute = |(excl, incl)| Some((number(excl), number(incl)));
    assert_eq!(minutes, [None, minute(three), minute(six), None]);
    assert_eq!((quote.changes, quote.valid_until), (vec![], None));
}

#[test]
fn the_hours_to_come_have_their_prices() {
    // 14:00 in Amsterdam; the evening is from 14:00 to 19:00 UTC.
    let now = at("2026-07-01T12:00:00Z");
    let quote = quoted(&time_of_use(), now, Duration::hours(24));
    let changes: Vec<_> =
        quote.changes.iter().map(|c| (c.at, c.prices[0].listed.to_string())).collect();
    assert_eq!(
        changes,
        [
            (at("2026-07-01T14:00:00Z"), "0.52".to_owned()),
            (at("2026-07-01T19:00:00Z"), "0.34".to_owned()),
        ]
    );
    assert_eq!(quote.valid_until, Some(at("2026-07-01T14:00:00Z")));
    assert_eq!(quote.prices[0].incl_vat, number("0.4114"));
}

#[test]
fn a_change_at_half_past_two_comes_twice_when_the_clocks_go_back() {
    let night = json!({ "start_time": "02:30", "end_time": "06:00" });
    let elements = [("ENERGY", 0.2, night), ("ENERGY", 0.4, json!({}))];
    let quote =
        quoted(&tariff(&elements, json!({})), at("2026-10-24T22:00:00Z"), Duration::hours(12));
    let changes: Vec<_> = quote.changes.iter().map(|c| c.at.format("%H:%M").to_string()).collect();
    // Clocks show 02:30 at 00:30 UTC, 02:00 again at 01:00, 02:30 again at 01:30, 06:00 at 05:00.
    assert_eq!(changes, ["00:30", "01:00", "01:30", "05:00"]);
}

#[test]
fn prices_that_come_with_energy_or_duration_are_told_apart_from_those_at_the_start() {
    let elements = [
        ("ENERGY", 0.4, json!({ "max_kwh": 20 })),
        ("ENERGY", 0.5, json!({})),
        ("TIME", 3.0, json!({ "min_duration": 7200 })),
        ("FLAT", 1.0, json!({ "max_duration": 60 })),
        ("FLAT", 2.0, json!({})),
    ];
    let quote =
        quoted(&tariff(&elements, json!({})), at("2026-07-01T12:00:00Z"), Duration::days(1));
    let told = |prices: &[PriceInForce]| -> Vec<_> {
        prices.iter().map(|p| (p.element, p.conditions.clone())).collect()
    };
    let (now, later) = (told(&quote.prices), told(&quote.later));
    assert_eq!(now, [(0, "up to 20 kWh".to_owned()), (3, "up to 1 min".to_owned())]);
    assert_eq!(later, [(1, String::new()), (2, "from 120 min".to_owned())]);
}

#[test]
fn in_quiet_hours_standing_idle_has_no_price() {
    let quiet = json!({ "quiet_hours": [{ "start": "22:00", "end": "07:00" }], "cap": 20 });
    let elements = [("ENERGY", 0.4, json!({})), ("PARKING_TIME", 6.0, json!({}))];
    // 21:00 in Amsterdam.
    let quote = quoted(&tariff(&elements, quiet), at("2026-07-01T19:00:00Z"), Duration::hours(12));
    assert_eq!(listed(&quote.prices), [(Energy, "0.4".to_owned()), (ParkingTime, "6".to_owned())]);
    let changes: Vec<_> = quote.changes.iter().map(|c| (c.at, c.prices.len())).collect();
    assert_eq!(changes, [(at("2026-07-01T20:00:00Z"), 1), (at("2026-07-02T05:00:00Z"), 2)]);
    assert_eq!(quote.idle_cap, Some(Decimal::from(20)));
}

#[test]
fn taxes_that_are_in_the_price_come_out_of_it() {
    let mut version = tariff(&[("ENERGY", 0.605, json!({}))], json!({}));
    version.tariff.tax_included = Some(ocpi::TaxIncluded::Yes);
    let quote = quoted(&version, at("2026-07-01T12:00:00Z"), Duration::days(1));
    let [energy] = quote.prices.as_slice() else { panic!("{:?}", quote.prices) };
    assert_eq!((energy.excl_vat, energy.incl_vat), (number("0.5"), number("0.605")));
    assert_eq!(energy.taxes[0].name, "VAT");
}

fn plan(fields: &Value) -> PlanVersion {
    let mut plan = json!({
        "id": "GOLD", "name": "Gold", "currency": "EUR", "time_zone": "Europe/Amsterdam",
    });
    for (name, value) in fields.as_object().unwrap() {
        plan[name] = value.clone();
    }
    serde_json::from_value(json!({
        "reference": { "id": "GOLD", "version": 1 }, "from": "2026-01-01T00:00:00Z", "plan": plan,
    }))
    .unwrap()
}

#[test]
fn a_member_sees_the_member_price_and_what_is_still_free() {
    let gold = plan(&json!({
        "waive_start_fee": true,
        "discounts": [{ "dimension": "ENERGY", "by": { "percent": 10 } }],
        "allowances": [{ "dimension": "ENERGY", "quantity": 20, "per": "month" }],
    }));
    let now = at("2026-07-01T12:00:00Z");
    let month = Month::of(now, ZONE);
    let used = Usage { energy_wh: Decimal::from(12_500), ..Usage::none(month, Currency::EUR) };
    let rules = rules(ZONE, "21").with_plan(Some(PlanInForce { plan: &gold, used: &used }));
    let elements = [("ENERGY", 0.5, json!({})), ("FLAT", 1.0, json!({}))];
    let pricer = Pricer::new(&tariff(&elements, json!({}))).unwrap();
    let quote = pricer.quote(now, Duration::days(1), &rules).unwrap();
    let [energy, flat] = quote.prices.as_slice() else { panic!("{:?}", quote.prices) };
    assert_eq!((energy.listed, energy.excl_vat), (number("0.5"), number("0.45")));
    assert_eq!((flat.listed, flat.excl_vat), (number("1"), Decimal::ZERO));
    assert_eq!((quote.free[0].dimension, quote.free[0].left), (Energy, number("7.5")));
    // 7.5 kWh are free, 2.5 kWh cost 0.45: 1.125 and 21 %, together 1.36125.
    let expected = Expected { energy: WattHours::from(10_000), charging_s: 3600, idle_s: 0 };
    let estimate = pricer.estimate(now, &expected, &rules).unwrap();
    assert_eq!(estimate.gross().to_string(), "1.36 EUR");
}

/// 30 kWh in an hour from 15:30, half of it before 16:00: 15 × 0.34 + 15 × 0.52 = 12.90. Then half
/// an hour idle, 10 minutes of it free: 20 min × 6.00/h = 2.00. With 21 %: 18.029.
const EXPECTED: Expected = Expected {
    energy: WattHours::new(Decimal::from_parts(30_000, 0, 0, false, 0)),
    charging_s: 3600,
    idle_s: 1800,
};

#[test]
fn an_estimate_is_the_rating_of_the_session_that_is_expected() {
    let pricer = Pricer::new(&time_of_use()).unwrap();
    let start = at("2026-07-01T13:30:00Z");
    let estimate = pricer.estimate(start, &EXPECTED, &rules(ZONE, "21")).unwrap();
    assert_eq!(estimate.net().to_string(), "14.90 EUR");
    assert_eq!(estimate.gross().to_string(), "18.03 EUR");
    assert_eq!(estimate.findings, []);
}

#[test]
fn a_hold_is_what_the_site_says_as_far_as_it_goes() {
    let start = at("2026-07-01T13:30:00Z");
    let rule = HoldRule {
        energy: ExpectedEnergy::Kwh(30),
        minutes: 60,
        idle_minutes: 30,
        margin_percent: 25,
        at_least: None,
    };
    let eur = |minor| Amount::new(minor, Currency::EUR);
    let held = |tariff: &TariffVersion, most, hold_rule| {
        let site = Site { hold: eur(most), hold_rule, ..site(ZONE) };
        hold(tariff, start, &site, &Rules::of(ZONE, &site.jurisdiction)).unwrap().to_string()
    };
    let tariff = time_of_use();
    assert_eq!(held(&tariff, 5000, None), "50.00 EUR", "without a rule it is fixed");
    // 18.03 × 1.25 = 22.5375, rounded up.
    assert_eq!(held(&tariff, 5000, Some(rule)), "22.54 EUR");
    assert_eq!(held(&tariff, 2000, Some(rule)), "20.00 EUR", "the fixed hold is the most");
    let at_least = HoldRule { at_least: Some(eur(3000)), ..rule };
    assert_eq!(held(&tariff, 5000, Some(at_least)), "30.00 EUR");
    // 11 kW for an hour, half of it before 16:00: 11 × 0.43 = 4.73, with 21 % 5.72.
    let slow = HoldRule { energy: ExpectedEnergy::PowerKw(11), idle_minutes: 0, ..rule };
    assert_eq!(held(&tariff, 5000, Some(HoldRule { margin_percent: 0, ..slow })), "5.72 EUR");
    let mut stated = tariff.clone();
    stated.tariff.preauthorize_amount = Some(number("35"));
    assert_eq!(held(&stated, 5000, Some(rule)), "35.00 EUR", "the tariff's publisher has said so");
    assert_eq!(held(&stated, 3000, Some(rule)), "30.00 EUR");
    let by_current = self::tariff(&[("ENERGY", 0.4, json!({ "min_current": 16 }))], json!({}));
    assert_eq!(held(&by_current, 5000, Some(rule)), "50.00 EUR", "nobody knows the current");
}

#[test]
fn a_hold_of_nothing_or_in_another_currency_is_the_fixed_one() {
    let start = at("2026-07-01T13:30:00Z");
    let rule = HoldRule {
        energy: ExpectedEnergy::Kwh(30),
        minutes: 60,
        idle_minutes: 0,
        margin_percent: 25,
        at_least: None,
    };
    let held = |tariff: &TariffVersion, hold_rule| {
        let site = Site { hold: Amount::new(5000, Currency::EUR), hold_rule, ..site(ZONE) };
        hold(tariff, start, &site, &Rules::of(ZONE, &site.jurisdiction)).unwrap().to_string()
    };
    let free = tariff(&[("ENERGY", 0.0, json!({}))], json!({}));
    assert_eq!(held(&free, Some(rule)), "50.00 EUR", "a card cannot be asked for nothing");
    let mut stated = time_of_use();
    for (preauthorized, expected) in [("0", "50.00 EUR"), ("-20", "50.00 EUR"), ("20", "20.00 EUR")]
    {
        stated.tariff.preauthorize_amount = Some(number(preauthorized));
        assert_eq!(held(&stated, Some(rule)), expected, "{preauthorized}");
    }
    stated.tariff.currency = "USD".to_owned();
    assert_eq!(held(&stated, Some(rule)), "50.00 EUR", "20 dollars are not 20 euros");
    stated.tariff.preauthorize_amount = None;
    assert_eq!(held(&stated, Some(rule)), "50.00 EUR");
}

fn clock() -> impl Strategy<Value = Option<String>> {
    let time =
        (0_u32..24, select(vec![0_u32, 0, 15, 30])).prop_map(|(h, m)| format!("{h:02}:{m:02}"));
    option::weighted(0.5, time)
}

/// Restrictions of the clock, and of the session where `thresholds` says so.
fn restrictions(thresholds: bool) -> impl Strategy<Value = Value> {
    let week = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    let days = prop::sample::subsequence(week.to_vec(), 0..7);
    let dates = || option::weighted(0.2, select(vec!["2026-10-24", "2026-10-25", "2026-10-27"]));
    let kwh = option::weighted(0.3, 0_u32..20);
    (clock(), clock(), days, dates(), dates(), kwh).prop_map(
        move |(start_time, end_time, day_of_week, start_date, end_date, kwh)| {
            let min_kwh = kwh.filter(|_| thresholds);
            json!({
                "start_time": start_time, "end_time": end_time, "day_of_week": day_of_week,
                "start_date": start_date, "end_date": end_date, "min_kwh": min_kwh,
            })
        },
    )
}

/// A JSON number.
fn price(cents: u32) -> Value {
    serde_json::from_str(&format!("{}.{:02}", cents / 100, cents % 100)).unwrap()
}

fn any_tariff(thresholds: bool) -> impl Strategy<Value = TariffVersion> {
    let vat = option::weighted(0.3, select(vec![0.0, 5.2, 21.0]));
    let dimension = select(vec!["ENERGY", "TIME", "PARKING_TIME", "FLAT"]);
    let component = (dimension, 0_u32..200, vat).prop_map(|(dimension, cents, vat)| {
        json!({ "type": dimension, "price": price(cents), "vat": vat, "step_size": 1 })
    });
    let element = (vec(component, 1..4), restrictions(thresholds)).prop_map(
        |(price_components, restrictions)| {
            json!({ "price_components": price_components, "restrictions": restrictions })
        },
    );
    let quiet = option::weighted(0.3, (0_u32..24, 0_u32..24));
    (vec(element, 1..7), any::<bool>(), quiet).prop_map(|(elements, included, quiet)| {
        let mut version = version(serde_json::from_value(elements.into()).unwrap(), 0);
        version.tariff.tax_included = included.then_some(ocpi::TaxIncluded::Yes);
        let hours = |(start, end)| json!({ "start": format!("{start:02}:00"), "end": format!("{end:02}:00") });
        let hours: Vec<Value> = quiet.into_iter().map(hours).collect();
        version.terms.idle = serde_json::from_value(json!({ "quiet_hours": hours })).unwrap();
        version
    })
}

/// A session of one second from `start` with `wh` Wh, in one status.
fn second(start: DateTime<Utc>, wh: i64, status: ConnectorStatus) -> Timeline {
    Timeline {
        started_at: start,
        ended_at: start + Duration::seconds(1),
        released_at: None,
        meter_start: WattHours::ZERO,
        meter_stop: WattHours::from(wh),
        samples: vec![],
        statuses: vec![StatusChange { at: start, status }],
        findings: vec![],
        signed: None,
    }
}

fn billed(priced: &PricedSession, item: Item) -> Option<Decimal> {
    priced.lines.iter().find(|line| line.item == item).map(|line| line.rate)
}

fn shown(quote: &Quote, dimension: TariffDimensionType) -> Option<&PriceInForce> {
    quote.prices.iter().find(|price| price.dimension == dimension)
}

/// What a second of charging with `wh` Wh costs by the quote, without and with tax.
fn by_quote(quote: &Quote, wh: i64) -> (Amount, Amount) {
    let parts = [
        (Energy, Decimal::new(wh, 3)),
        (Time, Decimal::ONE / Decimal::from(3600)),
        (Flat, Decimal::ONE),
    ];
    let sum = |per_unit: fn(&PriceInForce) -> Decimal| {
        let costs = parts.iter().filter_map(|(dimension, quantity)| {
            shown(quote, *dimension).map(|shown| per_unit(shown) * *quantity)
        });
        Money::new(costs.sum(), quote.currency).round(RoundingMode::HalfUp).unwrap()
    };
    (sum(|shown| shown.excl_vat), sum(|shown| shown.incl_vat))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_quoted_is_what_a_session_that_starts_then_is_billed(
        tariff in any_tariff(false), seconds in 0_i64..7 * 86_400,
        zone in select(vec![ZONE, Tz::America__New_York, Tz::Asia__Kolkata]),
    ) {
        // A million Wh in a second make every digit of a price count.
        let start = at("2026-10-22T00:00:00Z") + Duration::seconds(seconds);
        let rules = rules(zone, "19");
        let quote = Pricer::new(&tariff).unwrap().quote(start, Duration::zero(), &rules).unwrap();
        let charged = second(start, 1_000_000, ConnectorStatus::Charging);
        let priced = rate(&tariff, &charged, &rules).unwrap();
        for (dimension, item) in [(Energy, Item::Energy), (Time, Item::Time), (Flat, Item::Flat)] {
            let mut shown = quote.prices.iter().filter(|price| price.dimension == dimension);
            prop_assert_eq!(shown.next().map(|price| price.listed), billed(&priced, item));
            prop_assert_eq!(shown.next(), None, "nothing depends on power, so one price applies");
        }
        let (net, gross) = by_quote(&quote, 1_000_000);
        prop_assert!((priced.net().minor - net.minor).abs() <= 1, "{} {net}", priced.net());
        prop_assert!((priced.gross().minor - gross.minor).abs() <= 1, "{} {gross}", priced.gross());
        let idle = second(start, 0, ConnectorStatus::SuspendedEV);
        let priced = rate(&tariff, &idle, &rules).unwrap();
        let listed = shown(&quote, ParkingTime).map(|price| price.listed);
        prop_assert_eq!(listed, billed(&priced, Item::ParkingTime));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 8,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_changes_of_a_week_are_those_that_looking_every_minute_finds(
        tariff in any_tariff(true), zone in select(vec![ZONE, Tz::America__New_York]),
        offset in 0_i64..10_000,
    ) {
        // Clocks go back on 25 October in Amsterdam and on 1 November in New York.
        let now = at("2026-10-22T00:00:00Z") + Duration::minutes(offset);
        let rules = rules(zone, "21");
        let pricer = Pricer::new(&tariff).unwrap();
        let week = pricer.quote(now, Duration::days(7), &rules).unwrap();
        let mut found = Vec::new();
        let mut before = (week.prices.clone(), week.later.clone());
        for minute in 1..=7 * 24 * 60 {
            let then = now + Duration::minutes(minute);
            let quote = pricer.quote(then, Duration::zero(), &rules).unwrap();
            if (&quote.prices, &quote.later) != (&before.0, &before.1) {
                before = (quote.prices, quote.later);
                found.push((then, before.clone()));
            }
        }
        let changes: Vec<_> =
            week.changes.into_iter().map(|c| (c.at, (c.prices, c.later))).collect();
        prop_assert_eq!(changes, found);
    }
}
