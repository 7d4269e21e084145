//! Which taxes apply to what, and that limits and caps carry the right ones.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod support;

use chrono_tz::Tz;
use network::Tax;
use ocpi::{Price, PriceComponent, TariffDimensionType, TariffElement, TaxIncluded};
use quantities::{Rounding, RoundingMode, RoundingScope};
use rating::{FindingCode, IdleTerms, Item, PricedSession, Rules, TariffVersion, Terms, rate};
use rust_decimal::Decimal;
use session::Timeline;
use support::{tax, version};

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn component(dimension: TariffDimensionType, price: &str, vat: Option<&str>) -> PriceComponent {
    PriceComponent { dimension, price: number(price), vat: vat.map(number), step_size: 1 }
}

fn tariff(price_components: Vec<PriceComponent>) -> TariffVersion {
    version(vec![TariffElement { price_components, restrictions: None }], 0)
}

/// A fee of 5.00 with 10 % of its own, and 0.50 per kWh.
fn of_two_rates() -> TariffVersion {
    tariff(vec![
        component(TariffDimensionType::Flat, "5.00", Some("10")),
        component(TariffDimensionType::Energy, "0.50", None),
    ])
}

/// One hour with 10 kWh, and one idle hour after it.
fn timeline() -> Timeline {
    let text = r#"{"started_at":"2026-03-02T10:00:00Z","ended_at":"2026-03-02T11:00:00Z",
        "released_at":"2026-03-02T12:00:00Z","meter_start":"0","meter_stop":"10000","samples":[],
        "statuses":[{"at":"2026-03-02T10:00:00Z","status":"Charging"},
            {"at":"2026-03-02T11:00:00Z","status":"Finishing"}]}"#;
    serde_json::from_str(text).unwrap()
}

fn priced(tariff: &TariffVersion, taxes: Option<&[Tax]>) -> PricedSession {
    rate(tariff, &timeline(), &Rules { taxes, ..Rules::unknown(Tz::UTC) }).unwrap()
}

fn numbered(name: &str, percent: &str) -> Tax {
    let account_number = Some(format!("{name} 1"));
    Tax { name: name.to_owned(), account_number, ..tax(percent) }
}

/// Name, percent, base and amount of every tax, the amounts in minor units.
fn taxes(priced: &PricedSession) -> Vec<(&str, String, i64, i64)> {
    let shown = |tax: &rating::TaxTotal| tax.percent.percent().normalize().to_string();
    priced
        .taxes
        .iter()
        .map(|tax| (&*tax.name, shown(tax), tax.base.minor, tax.amount.minor))
        .collect()
}

#[test]
fn a_components_vat_takes_the_place_of_all_the_jurisdictions_taxes() {
    let jurisdiction = [numbered("GST", "5"), numbered("QST", "9.975")];
    let priced = priced(&of_two_rates(), Some(&jurisdiction));
    assert_eq!(
        taxes(&priced),
        [
            ("GST", "5".to_owned(), 500, 25),
            ("QST", "9.975".to_owned(), 500, 50),
            ("GST", "10".to_owned(), 500, 50),
        ]
    );
}

#[test]
fn a_vat_that_is_the_jurisdictions_own_is_the_same_tax() {
    let tariff = tariff(vec![
        component(TariffDimensionType::Flat, "5.00", Some("21.0")),
        component(TariffDimensionType::Energy, "0.50", None),
    ]);
    let priced = priced(&tariff, Some(&[numbered("BTW", "21")]));
    assert_eq!(taxes(&priced), [("BTW", "21".to_owned(), 1000, 210)]);
    assert_eq!(priced.taxes[0].account_number.as_deref(), Some("BTW 1"));
}

#[test]
fn no_tax_is_known_to_be_none_and_an_unknown_one_is_said_to_be_missing() {
    let tariff = tariff(vec![component(TariffDimensionType::Energy, "0.50", None)]);
    let none = priced(&tariff, Some(&[]));
    assert_eq!((none.gross().minor, none.findings.len()), (500, 0));
    let unknown = priced(&tariff, None);
    assert_eq!(unknown.gross().minor, 500);
    assert_eq!(unknown.findings[0].code, FindingCode::VatNotStated);
}

#[test]
fn a_tariff_that_no_tax_applies_to_has_none_whatever_the_jurisdiction_says() {
    let mut tariff = of_two_rates();
    tariff.tariff.tax_included = Some(TaxIncluded::NotApplicable);
    let priced = priced(&tariff, Some(&[tax("21")]));
    assert_eq!((priced.net().minor, priced.gross().minor), (1000, 1000));
    assert!(priced.taxes.is_empty() && priced.findings.is_empty());
}

#[test]
fn a_maximum_over_two_rates_takes_off_each_in_proportion() {
    // 5.00 at 10 % and 5.00 at 21 % are 10.00 and 11.55; 6.00 at most is 2.00 less of each.
    let mut tariff = of_two_rates();
    tariff.tariff.max_price = Some(Price { excl_vat: number("6.00"), incl_vat: None });
    let priced = priced(&tariff, Some(&[tax("21")]));
    assert_eq!((priced.net().minor, priced.gross().minor), (600, 693));
    let off: Vec<_> = priced
        .lines
        .iter()
        .filter(|line| line.item == Item::MaxPrice)
        .map(|line| (line.amount.excl_vat.minor, line.amount.incl_vat.minor))
        .collect();
    assert_eq!(off, [(-200, -220), (-200, -242)]);
    let taxes = taxes(&priced);
    assert!(taxes.contains(&("VAT", "21".to_owned(), 300, 63)), "{taxes:?}");
    assert!(taxes.contains(&("VAT", "10".to_owned(), 300, 30)), "{taxes:?}");
}

#[test]
fn a_cap_on_idle_fees_is_with_tax_where_prices_are() {
    // 12.10 for the idle hour, tax included; the cap of 6.05 is 5.00 and 1.05 of tax.
    let mut tariff = tariff(vec![component(TariffDimensionType::ParkingTime, "12.10", None)]);
    tariff.tariff.tax_included = Some(TaxIncluded::Yes);
    tariff.terms = Terms { idle: IdleTerms { cap: Some(number("6.05")), ..IdleTerms::default() } };
    let priced = priced(&tariff, Some(&[tax("21")]));
    assert_eq!((priced.net().minor, priced.gross().minor), (500, 605));
    assert_eq!(priced.totals.parking.incl_vat.minor, 605);
    assert!(priced.rates_include_tax);
}

#[test]
fn a_maximum_holds_where_every_line_is_rounded() {
    // 0.335 and 0.335 are 0.34 each when rounded by themselves; 0.60 is the most all the same.
    let mut tariff = tariff(vec![
        component(TariffDimensionType::Flat, "0.335", None),
        component(TariffDimensionType::Energy, "0.0335", None),
    ]);
    tariff.tariff.max_price = Some(Price { excl_vat: number("0.60"), incl_vat: None });
    let rounding = Rounding { scope: RoundingScope::Line, ..Rounding::default() };
    let rules = Rules { taxes: Some(&[]), rounding, ..Rules::unknown(Tz::UTC) };
    let priced = rate(&tariff, &timeline(), &rules).unwrap();
    let lines: Vec<_> = priced.lines.iter().map(|line| line.amount.excl_vat.minor).collect();
    assert_eq!((lines, priced.net().minor), (vec![34, 34, -8], 60));
}

/// One hour from 10:00 with `wh` watt-hours.
fn hour(wh: i64) -> Timeline {
    let mut timeline = timeline();
    timeline.released_at = None;
    timeline.meter_stop = wh.into();
    timeline
}

#[test]
fn a_line_that_costs_nothing_is_billed_nothing_however_many_taxes_there_are() {
    // 1.42 kWh at 0.25 are 0.355: 0.36, 0.02 of GST and 0.04 of QST.
    let tariff = tariff(vec![
        component(TariffDimensionType::Flat, "0.00", None),
        component(TariffDimensionType::Energy, "0.25", None),
    ]);
    let taxes = [numbered("GST", "5"), numbered("QST", "9.975")];
    let rules = Rules { taxes: Some(&taxes), ..Rules::unknown(Tz::UTC) };
    let priced = rate(&tariff, &hour(1420), &rules).unwrap();
    let lines: Vec<_> = priced
        .lines
        .iter()
        .map(|line| (line.amount.excl_vat.minor, line.amount.incl_vat.minor))
        .collect();
    assert_eq!(lines, [(0, 0), (36, 42)]);
}

#[test]
fn no_line_is_rounded_to_the_other_side_of_zero() {
    let tariff = tariff(vec![
        component(TariffDimensionType::Flat, "0.50", None),
        component(TariffDimensionType::Energy, "0.25", None),
        component(TariffDimensionType::Time, "0.006", None),
    ]);
    let one = [numbered("VAT", "19")];
    let three = [numbered("A", "5"), numbered("B", "7"), numbered("C", "1.25")];
    for taxes in [one.as_slice(), three.as_slice()] {
        for included in [TaxIncluded::Yes, TaxIncluded::No] {
            let mut tariff = tariff.clone();
            tariff.tariff.tax_included = Some(included);
            for mode in [RoundingMode::HalfUp, RoundingMode::HalfEven, RoundingMode::Down] {
                let rounding = Rounding { mode, ..Rounding::default() };
                let rules = Rules { taxes: Some(taxes), rounding, ..Rules::unknown(Tz::UTC) };
                for wh in 0..400 {
                    let priced = rate(&tariff, &hour(wh), &rules).unwrap();
                    let amounts = priced.lines.iter().flat_map(|line| {
                        let taxes = line.taxes.iter().map(|tax| tax.amount);
                        taxes.chain([line.amount.excl_vat, line.amount.incl_vat])
                    });
                    let least = amounts.map(|amount| amount.minor).min();
                    assert!(least >= Some(0), "{wh} Wh, {included:?}, {mode:?}: {priced:?}");
                }
            }
        }
    }
}

#[test]
fn a_maximum_with_tax_holds_though_each_tax_is_rounded_by_itself() {
    // 8.7719… and twice 0.6140… are 10.00; rounded one by one they would be 8.77, 0.61 and 0.61.
    let mut tariff = tariff(vec![component(TariffDimensionType::Flat, "9.01", None)]);
    tariff.tariff.max_price =
        Some(Price { excl_vat: number("9.50"), incl_vat: Some(number("10.00")) });
    for scope in [RoundingScope::Total, RoundingScope::Line] {
        let rounding = Rounding { scope, ..Rounding::default() };
        let taxes = [numbered("PST", "7"), numbered("GST", "7")];
        let rules = Rules { taxes: Some(&taxes), rounding, ..Rules::unknown(Tz::UTC) };
        let priced = rate(&tariff, &timeline(), &rules).unwrap();
        assert_eq!(priced.gross().minor, 1000, "{scope:?}");
    }
}

#[test]
fn a_cap_on_idle_fees_holds_to_the_cent_over_several_rates() {
    let at_night = |vat, until: &str| TariffElement {
        price_components: vec![component(TariffDimensionType::ParkingTime, "7.77", Some(vat))],
        restrictions: Some(ocpi::TariffRestrictions {
            end_time: Some(until.to_owned()),
            ..ocpi::TariffRestrictions::default()
        }),
    };
    let day = component(TariffDimensionType::ParkingTime, "9.99", Some("6"));
    let day = TariffElement { price_components: vec![day], restrictions: None };
    let mut tariff = version(vec![at_night("21", "11:11"), at_night("9", "11:37"), day], 0);
    tariff.tariff.tax_included = Some(TaxIncluded::Yes);
    tariff.terms.idle.cap = Some(number("2.50"));
    for scope in [RoundingScope::Total, RoundingScope::Line] {
        let rounding = Rounding { scope, ..Rounding::default() };
        let rules = Rules { taxes: Some(&[]), rounding, ..Rules::unknown(Tz::UTC) };
        for minute in 25..60 {
            let mut timeline = timeline();
            timeline.released_at = Some(format!("2026-03-02T11:{minute}:13Z").parse().unwrap());
            let priced = rate(&tariff, &timeline, &rules).unwrap();
            assert_eq!(priced.totals.parking.incl_vat.minor, 250, "{scope:?}, {minute}");
        }
    }
}

#[test]
fn a_limit_with_tax_has_none_where_no_tax_applies() {
    let mut tariff = tariff(vec![component(TariffDimensionType::Energy, "0.25", None)]);
    tariff.tariff.tax_included = Some(TaxIncluded::NotApplicable);
    tariff.tariff.min_price =
        Some(Price { excl_vat: number("2.60"), incl_vat: Some(number("3.00")) });
    for scope in [RoundingScope::Total, RoundingScope::Line] {
        let rounding = Rounding { scope, ..Rounding::default() };
        let rules = Rules { taxes: Some(&[]), rounding, ..Rules::unknown(Tz::UTC) };
        let priced = rate(&tariff, &timeline(), &rules).unwrap();
        assert_eq!((priced.net().minor, priced.gross().minor), (260, 260), "{scope:?}");
    }
}

#[test]
fn a_tax_that_only_a_limit_tells_of_is_on_all_of_the_bill() {
    let mut tariff = tariff(vec![component(TariffDimensionType::Energy, "0.25", None)]);
    tariff.tariff.min_price =
        Some(Price { excl_vat: number("3.00"), incl_vat: Some(number("3.63")) });
    for scope in [RoundingScope::Total, RoundingScope::Line] {
        let rounding = Rounding { scope, ..Rounding::default() };
        let rules = Rules { rounding, ..Rules::unknown(Tz::UTC) };
        let priced = rate(&tariff, &timeline(), &rules).unwrap();
        assert_eq!(taxes(&priced), [("VAT", "21".to_owned(), 300, 63)], "{scope:?}");
    }
}

#[test]
fn of_limits_that_contradict_each_other_both_hold() {
    let mut tariff = tariff(vec![component(TariffDimensionType::Energy, "0.25", None)]);
    tariff.tariff.max_price =
        Some(Price { excl_vat: number("5.00"), incl_vat: Some(number("2.00")) });
    let priced = priced(&tariff, None);
    assert_eq!((priced.net().minor, priced.gross().minor), (200, 200));
}

#[test]
fn a_limit_of_another_tax_does_not_change_what_tax_is_owed() {
    let limit = |excl, incl| Price { excl_vat: number(excl), incl_vat: Some(number(incl)) };
    let bill = |price, vat, min: Option<Price>, max: Option<Price>| {
        let mut tariff = tariff(vec![component(TariffDimensionType::Flat, price, vat)]);
        (tariff.tariff.min_price, tariff.tariff.max_price) = (min, max);
        let priced = priced(&tariff, Some(&[]));
        (priced.net().minor, priced.gross().minor)
    };
    // Limits at 21 %, a bill at 9 %: within both of them, and the tax is 9 %.
    assert_eq!(bill("12.00", Some("9"), None, Some(limit("10.00", "12.10"))), (1000, 1090));
    assert_eq!(bill("0.60", Some("9"), Some(limit("2.00", "2.42")), None), (222, 242));
    // Limits at 19 %, a bill at 16 %.
    assert_eq!(bill("20.00", Some("16"), None, Some(limit("10.00", "11.90"))), (1000, 1160));
    // A limit in whole cents is the bill's own tax all the same.
    assert_eq!(bill("20.00", Some("21"), None, Some(limit("8.26", "10.00"))), (826, 1000));
}
