//! What rating refuses, what it quotes, and what it tells a publisher.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod support;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use network::{Jurisdiction, Site};
use ocpi::{PriceComponent, TariffDimensionType, TariffElement, TariffRestrictions};
use quantities::{Currency, MoneyError, WattHours};
use rating::{FindingCode, Item, Place, RatingError, Severity, TariffVersion, quote, rate};
use rust_decimal::Decimal;
use session::{ConnectorStatus, MeterSample, StatusChange, Timeline};
use support::{cdr_of, rules, session_of, site, tax, version};

const ZONE: Tz = Tz::Europe__Amsterdam;

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn component(dimension: TariffDimensionType, price: &str) -> PriceComponent {
    PriceComponent { dimension, price: number(price), vat: None, step_size: 1 }
}

fn element(dimension: TariffDimensionType, price: &str) -> TariffElement {
    TariffElement { price_components: vec![component(dimension, price)], restrictions: None }
}

fn restricted(
    dimension: TariffDimensionType,
    price: &str,
    restrictions: TariffRestrictions,
) -> TariffElement {
    TariffElement { restrictions: Some(restrictions), ..element(dimension, price) }
}

fn evening() -> TariffRestrictions {
    TariffRestrictions {
        start_time: Some("16:00".to_owned()),
        end_time: Some("21:00".to_owned()),
        ..TariffRestrictions::default()
    }
}

fn time_of_use() -> TariffVersion {
    let dear = restricted(TariffDimensionType::Energy, "0.52", evening());
    version(vec![dear, element(TariffDimensionType::Energy, "0.34")], 0)
}

/// One hour from 10:00 UTC with `wh` watt-hours.
fn hour(wh: i64) -> Timeline {
    Timeline {
        started_at: at("2026-03-02T10:00:00Z"),
        ended_at: at("2026-03-02T11:00:00Z"),
        meter_stop: WattHours::from(wh),
        ..Timeline::default()
    }
}

#[test]
fn one_hour_costs_the_same_on_the_screen_and_in_the_cdr() {
    // Seen in the field: 22.50 on the session, 25.20 and 30.24 on the CDR of the same hour.
    let tariff = version(vec![element(TariffDimensionType::Energy, "0.45")], 0);
    let priced = rate(&tariff, &hour(50_000), &rules(ZONE, "0")).unwrap();
    assert_eq!(priced.net().to_string(), "22.50 EUR");
    let cdr = cdr_of(&priced, &tariff, &session_of(&hour(50_000)), &site(ZONE));
    assert_eq!(cdr.total_cost.excl_vat, number("22.50"));
    assert_eq!(cdr.total_energy_cost.unwrap().excl_vat, number("22.50"));
}

#[test]
fn a_cdr_has_a_period_for_every_price_and_says_which_tax_applied() {
    let mut timeline = hour(12_000);
    timeline.started_at = at("2026-07-01T13:30:00Z");
    timeline.ended_at = at("2026-07-01T14:30:00Z");
    let priced = rate(&time_of_use(), &timeline, &rules(ZONE, "21")).unwrap();
    let cdr = cdr_of(&priced, &time_of_use(), &session_of(&timeline), &site(ZONE));
    let periods: Vec<_> = cdr
        .charging_periods
        .iter()
        .map(|p| (p.start_date_time, p.volume(ocpi::CdrDimensionType::Energy).unwrap()))
        .collect();
    let six = Decimal::from(6);
    assert_eq!(periods, [(timeline.started_at, six), (at("2026-07-01T14:00:00Z"), six)]);
    let vat = cdr.tariffs[0].elements[0].price_components[0].vat;
    assert_eq!(vat, Some(number("21")));
    assert_eq!(cdr.total_time, Decimal::ONE);
    assert_eq!(cdr.cdr_location.evse_id, "NL*TWT*E1*1");
}

#[test]
fn a_restriction_that_we_do_not_know_is_refused_by_its_name() {
    let other = [("max_soc".to_owned(), serde_json::json!(80))].into();
    let restrictions = TariffRestrictions { other, ..TariffRestrictions::default() };
    let tariff = version(vec![restricted(TariffDimensionType::Energy, "0.10", restrictions)], 0);
    let refused = rate(&tariff, &hour(1000), &rules(ZONE, "21")).unwrap_err();
    let restriction = "max_soc".to_owned();
    assert_eq!(refused, RatingError::UnsupportedRestriction { element: 0, restriction });
}

#[test]
fn a_price_that_hangs_on_an_unknown_current_is_refused_and_not_guessed() {
    let restrictions = TariffRestrictions {
        min_current: Some(Decimal::from(32)),
        ..TariffRestrictions::default()
    };
    let dear = restricted(TariffDimensionType::Energy, "0.90", restrictions);
    let tariff = version(vec![dear, element(TariffDimensionType::Energy, "0.30")], 0);
    let refused = rate(&tariff, &hour(1000), &rules(ZONE, "21")).unwrap_err();
    assert!(matches!(refused, RatingError::Unknown { element: 0, what: "current", .. }));
    // Without energy nothing hangs on it.
    assert!(rate(&tariff, &hour(0), &rules(ZONE, "21")).is_ok());
}

#[test]
fn a_session_that_cannot_have_happened_is_refused() {
    let tariff = time_of_use();
    let mut backwards = hour(1000);
    backwards.meter_start = WattHours::from(2000);
    let refused = rate(&tariff, &backwards, &rules(ZONE, "21")).unwrap_err();
    assert!(matches!(refused, RatingError::MeterBackwards { .. }));
    let mut early = hour(1000);
    early.ended_at = at("2026-03-02T09:59:59Z");
    let refused = rate(&tariff, &early, &rules(ZONE, "21")).unwrap_err();
    assert!(matches!(refused, RatingError::EndsBeforeStart { .. }));
    let mut endless = hour(1000);
    endless.ended_at = at("2036-03-02T10:00:00Z");
    let refused = rate(&tariff, &endless, &rules(ZONE, "21")).unwrap_err();
    assert!(matches!(refused, RatingError::TooLong { .. }));
}

#[test]
fn an_overflow_is_an_error_and_never_a_zero() {
    let huge =
        PriceComponent { price: Decimal::MAX, ..component(TariffDimensionType::Energy, "1") };
    let element = TariffElement { price_components: vec![huge], restrictions: None };
    let refused = rate(&version(vec![element], 0), &hour(1000), &rules(ZONE, "21")).unwrap_err();
    assert_eq!(refused, RatingError::Money(MoneyError::Overflow));
}

#[test]
fn a_session_without_duration_still_bills_its_energy_and_its_fee() {
    let flat = element(TariffDimensionType::Flat, "1.00");
    let tariff = version(vec![flat, element(TariffDimensionType::Energy, "0.50")], 0);
    let mut timeline = hour(2000);
    timeline.ended_at = timeline.started_at;
    let priced = rate(&tariff, &timeline, &rules(ZONE, "0")).unwrap();
    assert_eq!(priced.net().to_string(), "2.00 EUR");
}

#[test]
fn idle_time_is_billed_until_the_connector_is_free_and_faults_are_not() {
    let tariff = version(vec![element(TariffDimensionType::ParkingTime, "6.00")], 0);
    assert!(tariff.has_idle_fee());
    let mut timeline = hour(5000);
    timeline.statuses = vec![
        StatusChange { at: at("2026-03-02T10:00:01Z"), status: ConnectorStatus::Charging },
        StatusChange { at: at("2026-03-02T11:00:00Z"), status: ConnectorStatus::Finishing },
        StatusChange { at: at("2026-03-02T11:30:00Z"), status: ConnectorStatus::Faulted },
    ];
    timeline.released_at = Some(at("2026-03-02T12:00:00Z"));
    let priced = rate(&tariff, &timeline, &rules(ZONE, "0")).unwrap();
    assert_eq!(priced.net().to_string(), "3.00 EUR");
    assert_eq!(priced.total_parking_time_s, Decimal::from(3600));
    assert_eq!(priced.lines[0].item, Item::ParkingTime);
}

#[test]
fn after_an_offline_session_nobody_stood_idle_until_the_chargers_next_start() {
    // The charger was offline: no Finishing, no Available at the end; its next status comes with
    // its next start, two hours later. At 6.00 an hour that would be 12.00 for nothing known.
    let tariff = version(vec![element(TariffDimensionType::ParkingTime, "6.00")], 0);
    let mut timeline = hour(10_000);
    timeline.released_at = Some(at("2026-03-02T13:00:00Z"));
    let status = |time, status| StatusChange { at: at(time), status };
    timeline.statuses = vec![status("2026-03-02T10:00:01Z", ConnectorStatus::Charging)];
    assert!(rate(&tariff, &timeline, &rules(ZONE, "0")).unwrap().net().is_zero());
    // Nor after the battery was full: only the ten minutes until the stop are known.
    timeline.statuses.push(status("2026-03-02T10:50:00Z", ConnectorStatus::SuspendedEV));
    let priced = rate(&tariff, &timeline, &rules(ZONE, "0")).unwrap();
    assert_eq!(priced.net().to_string(), "1.00 EUR");
}

#[test]
fn a_minimum_without_vat_carries_the_vat_of_the_bill() {
    let mut tariff = time_of_use();
    tariff.tariff.min_price = Some(ocpi::Price { excl_vat: number("2.00"), incl_vat: None });
    let priced = rate(&tariff, &hour(1000), &rules(ZONE, "21")).unwrap();
    assert_eq!((priced.net().minor, priced.gross().minor), (200, 242));
    let last = priced.lines.last().unwrap();
    assert_eq!((last.item, last.amount.excl_vat.minor), (Item::MinPrice, 166));
}

#[test]
fn one_wrong_reading_does_not_take_the_right_ones_with_it() {
    let mut timeline = hour(10_000);
    let sample = |minute: u32, wh: i64| MeterSample {
        at: at(&format!("2026-03-02T10:{minute:02}:00Z")),
        energy: WattHours::from(wh),
        power: None,
    };
    timeline.samples = vec![sample(5, 9000), sample(10, 1000), sample(20, 2000), sample(40, 4000)];
    let priced = rate(&time_of_use(), &timeline, &rules(ZONE, "21")).unwrap();
    let [finding] = priced.findings.as_slice() else { panic!("{:?}", priced.findings) };
    assert_eq!(
        (finding.code, finding.count),
        (FindingCode::Reading(session::FindingCode::RegisterBackwards), 1)
    );
    assert_eq!(finding.first_at, at("2026-03-02T10:05:00Z"));
}

#[test]
fn a_quote_says_the_price_now_and_when_it_changes() {
    let now = at("2026-07-01T12:00:00Z");
    let quote_now = quote(&time_of_use(), now, &rules(ZONE, "21")).unwrap();
    let [energy] = quote_now.prices.as_slice() else { panic!("{:?}", quote_now.prices) };
    assert_eq!((energy.excl_vat, energy.incl_vat), (number("0.34"), number("0.4114")));
    assert_eq!(quote_now.valid_until, Some(at("2026-07-01T14:00:00Z")));
    let evening = quote(&time_of_use(), at("2026-07-01T14:00:00Z"), &rules(ZONE, "21")).unwrap();
    assert_eq!(evening.prices[0].excl_vat, number("0.52"));
    assert_eq!(evening.valid_until, Some(at("2026-07-01T19:00:00Z")));
}

#[test]
fn a_quote_shows_the_prices_that_depend_on_power_too() {
    let fast =
        TariffRestrictions { min_power: Some(Decimal::from(50)), ..TariffRestrictions::default() };
    let dear = restricted(TariffDimensionType::Energy, "0.79", fast);
    let tariff = version(vec![dear, element(TariffDimensionType::Energy, "0.59")], 0);
    let quoted = quote(&tariff, at("2026-07-01T12:00:00Z"), &rules(ZONE, "21")).unwrap();
    let prices: Vec<_> = quoted.prices.iter().map(|p| (p.excl_vat, p.depends_on_power)).collect();
    assert_eq!(prices, [(number("0.79"), true), (number("0.59"), false)]);
    assert_eq!(quoted.valid_until, None);
}

#[test]
fn a_publisher_is_told_which_element_is_wrong_and_what_to_do() {
    let other = [("max_soc".to_owned(), serde_json::json!(80))].into();
    let restrictions = TariffRestrictions {
        min_kwh: Some(Decimal::TEN),
        max_kwh: Some(Decimal::ONE),
        other,
        ..TariffRestrictions::default()
    };
    let empty = TariffElement { price_components: vec![], restrictions: None };
    let tariff =
        version(vec![empty, restricted(TariffDimensionType::Energy, "-0.10", restrictions)], 0);
    let jurisdiction =
        Jurisdiction { per_kwh_allowed: false, ..Jurisdiction::taxed(vec![tax("21")]) };
    let site = Site { currency: Currency::USD, jurisdiction, ..site(ZONE) };
    let findings = tariff.validate(&Place::at(&site));
    let found: Vec<_> = findings.iter().map(|f| (f.element, f.code.as_str())).collect();
    assert_eq!(
        found,
        [
            (None, "currency_mismatch"),
            (Some(0), "no_price_component"),
            (Some(1), "unsupported_restriction"),
            (Some(1), "contradictory_restrictions"),
            (Some(1), "negative_price"),
            (Some(1), "energy_not_allowed"),
        ]
    );
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
}

#[test]
fn a_sound_tariff_has_no_findings() {
    assert_eq!(time_of_use().validate(&Place::at(&site(ZONE))), []);
}

#[test]
fn a_time_that_cannot_be_read_is_refused_at_publication_and_at_pricing() {
    let restrictions =
        TariffRestrictions { start_time: Some("9:00".to_owned()), ..TariffRestrictions::default() };
    let tariff = version(vec![restricted(TariffDimensionType::Energy, "0.1", restrictions)], 0);
    assert_eq!(tariff.validate(&Place::at(&site(ZONE)))[0].code, "time_invalid");
    assert!(rate(&tariff, &hour(1000), &rules(ZONE, "21")).is_err());
}

#[test]
fn a_meter_that_reports_absurdly_many_decimals_still_gets_a_cdr() {
    let mut timeline = hour(0);
    timeline.meter_stop = WattHours::new(number("12345.678901234567890"));
    let tariff = version(vec![element(TariffDimensionType::Energy, "0.30")], 0);
    let priced = rate(&tariff, &timeline, &rules(ZONE, "21")).unwrap();
    let cdr = cdr_of(&priced, &tariff, &session_of(&timeline), &site(ZONE));
    assert!(serde_json::to_string(&cdr).unwrap().contains(r#""total_energy":12.345678901"#));
}

#[test]
fn an_idle_time_of_a_tenth_of_a_second_is_in_the_cdr_too() {
    // The idle block of 15 minutes at 10.00 is 2.50; a period of 0.0000 hours would not ask for it.
    let idle =
        PriceComponent { step_size: 900, ..component(TariffDimensionType::ParkingTime, "10.00") };
    let idle = TariffElement { price_components: vec![idle], restrictions: None };
    let tariff = version(vec![idle], 0);
    let mut timeline = hour(1000);
    let status = |time, status| StatusChange { at: at(time), status };
    timeline.statuses = vec![
        status("2026-03-02T10:00:00Z", ConnectorStatus::Charging),
        status("2026-03-02T10:59:59.900Z", ConnectorStatus::SuspendedEV),
    ];
    let priced = rate(&tariff, &timeline, &rules(ZONE, "21")).unwrap();
    assert_eq!(priced.net().to_string(), "2.50 EUR");
    let cdr = cdr_of(&priced, &tariff, &session_of(&timeline), &site(ZONE));
    let again = rating::cdr::price(&tariff.tariff, &cdr, &rules(ZONE, "21")).unwrap();
    assert_eq!(again.totals, priced.totals);
}

#[test]
fn how_long_a_reservation_lasts_does_not_depend_on_what_follows() {
    // The first ten minutes of a reservation are free, the other 15 are at 6.00: 1.50.
    let reserved = |max_duration| TariffRestrictions {
        max_duration,
        reservation: Some(ocpi::ReservationRestrictionType::Reservation),
        ..TariffRestrictions::default()
    };
    let free = restricted(TariffDimensionType::Time, "0.00", reserved(Some(600)));
    let dear = restricted(TariffDimensionType::Time, "6.00", reserved(None));
    let tariff = version(vec![free, dear], 0).tariff;
    let period = |start: &str, dimension: &str| -> ocpi::ChargingPeriod {
        let dimensions = serde_json::json!([{ "type": dimension, "volume": 0.4167 }]);
        let period = serde_json::json!({ "start_date_time": start, "dimensions": dimensions });
        serde_json::from_value(period).unwrap()
    };
    let mut cdr = support::empty_cdr();
    cdr.start_date_time = at("2026-03-02T10:00:00Z");
    cdr.end_date_time = at("2026-03-02T10:25:00Z");
    cdr.charging_periods = vec![period("2026-03-02T10:00:00Z", "RESERVATION_TIME")];
    let rules = rules(ZONE, "0");
    let expired = rating::cdr::price(&tariff, &cdr, &rules).unwrap();
    cdr.end_date_time = at("2026-03-02T10:50:00Z");
    cdr.charging_periods.push(period("2026-03-02T10:25:00Z", "TIME"));
    let followed = rating::cdr::price(&tariff, &cdr, &rules).unwrap();
    assert_eq!((expired.net().minor, followed.net().minor), (150, 150));
}
