//! Whatever a tariff says, looking at it and quoting it end, and with an answer or an error.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod support;

use std::time::{Duration as Elapsed, Instant};

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use network::Jurisdiction;
use ocpi::{Price, PriceComponent, TariffDimensionType, TariffElement, TariffRestrictions};
use proptest::{collection::vec, option, prelude::*, sample::select};
use quantities::WattHours;
use rating::{Expected, Place, Pricer, Rules, TariffVersion, hold};
use rust_decimal::Decimal;
use support::{site, tax, version};

fn number() -> impl Strategy<Value = Decimal> {
    let near = (-1_000_i64..1_000_000).prop_map(|n| Decimal::new(n, 4));
    let far = [Decimal::MAX, Decimal::MIN, Decimal::new(1, 28), Decimal::from(u64::MAX)];
    prop_oneof![3 => near, 1 => select(far.to_vec())]
}

fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    let near = (0_i64..100_000_000).prop_map(|s| at("2026-01-01T00:00:00Z") + Duration::seconds(s));
    let far = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, at("9999-12-31T23:59:59Z")];
    prop_oneof![3 => near, 1 => select(far.to_vec())]
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn restrictions() -> impl Strategy<Value = TariffRestrictions> {
    let time = prop_oneof![
        20 => select(vec!["00:00", "02:30", "08:00", "23:59"]),
        1 => select(vec!["24:00", "9:00", "", "-1:00"]),
    ];
    let dates = prop_oneof![
        20 => select(vec!["0001-01-01", "9999-12-31", "2026-03-29", "2026-10-25"]),
        1 => select(vec!["2026-02-29", "+262142-12-31", "x"]),
    ];
    let text = |text: Option<&str>| text.map(str::to_owned);
    let numbers = [(); 4].map(|()| option::weighted(0.3, number()));
    let seconds = || option::weighted(0.3, select(vec![0, 1, 3600, u32::MAX]));
    let date = || option::weighted(0.3, dates.clone());
    (option::of(time.clone()), option::of(time), date(), date(), numbers, seconds(), seconds())
        .prop_map(
            move |(start, end, from, until, [min_kwh, max_kwh, min_power, max_power], s, t)| {
                TariffRestrictions {
                    start_time: text(start),
                    end_time: text(end),
                    start_date: text(from),
                    end_date: text(until),
                    min_kwh,
                    max_kwh,
                    min_power,
                    max_power,
                    min_duration: s,
                    max_duration: t,
                    ..TariffRestrictions::default()
                }
            },
        )
}

fn tariff() -> impl Strategy<Value = TariffVersion> {
    use TariffDimensionType::{Energy, Flat, ParkingTime, Time};
    let dimension = select(vec![Energy, Flat, ParkingTime, Time]);
    let component = (dimension, number(), option::weighted(0.2, number()), any::<u32>());
    let component = component.prop_map(|(dimension, price, vat, step_size)| PriceComponent {
        dimension,
        price,
        vat,
        step_size,
    });
    let element = (vec(component, 0..4), option::of(restrictions()));
    let element = element.prop_map(|(price_components, restrictions)| TariffElement {
        price_components,
        restrictions,
    });
    let price = || {
        let price = (number(), option::of(number()));
        option::of(price.prop_map(|(excl_vat, incl_vat)| Price { excl_vat, incl_vat }))
    };
    let currency = prop_oneof![9 => select(vec!["EUR", "JPY"]), 1 => select(vec!["XXX", "", "€"])];
    let ends = (option::of(moment()), option::of(moment()), moment());
    (vec(element, 0..6), price(), price(), ends, currency, option::of(number())).prop_map(
        |(elements, min_price, max_price, (from, until, last_updated), currency, amount)| {
            let mut version = version(elements, u32::MAX);
            version.tariff.min_price = min_price;
            version.tariff.max_price = max_price;
            version.tariff.start_date_time = from;
            version.tariff.end_date_time = until;
            version.tariff.last_updated = last_updated;
            currency.clone_into(&mut version.tariff.currency);
            version.tariff.preauthorize_amount = amount;
            version.terms.idle.cap = amount;
            version
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_it_says_it_is_looked_at_and_quoted_without_a_panic(
        tariff in tariff(), now in moment(), wh in number(), seconds in any::<u32>(),
    ) {
        let jurisdiction =
            Jurisdiction { afir: true, per_time_allowed: false, ..Jurisdiction::taxed(vec![tax("21")]) };
        let site = network::Site { jurisdiction, ..site(Tz::America__New_York) };
        let anywhere = tariff.validate(&Place::anywhere());
        let here = tariff.validate(&Place::at(&site));
        let rules = Rules::of(site.time_zone, &site.jurisdiction);
        let refused = |finding: &rating::TariffFinding| finding.severity == rating::Severity::Error;
        match Pricer::new(&tariff) {
            // What pricing refuses is never published.
            Err(_) => prop_assert!(anywhere.iter().any(refused) && here.iter().any(refused)),
            Ok(pricer) => {
                let _ = pricer.quote(now, Duration::days(3), &rules);
                let expected =
                    Expected { energy: WattHours::new(wh), charging_s: seconds, idle_s: seconds };
                let _ = pricer.estimate(now, &expected, &rules);
            }
        }
        let _ = hold(&tariff, now, &site, &rules);
    }
}

#[test]
fn a_tariff_of_thousands_of_elements_is_looked_at_in_seconds() {
    let element = |index: u32| {
        let restrictions = TariffRestrictions {
            start_time: Some(format!("{:02}:{:02}", index % 24, index * 7 % 60)),
            end_time: Some(format!("{:02}:{:02}", index * 5 % 24, index * 11 % 60)),
            min_kwh: Some(Decimal::from(index * 7 % 1001)),
            max_kwh: Some(Decimal::from(index * 7 % 1001 + 13)),
            min_duration: Some(index * 17 % 10_007),
            ..TariffRestrictions::default()
        };
        let component = PriceComponent {
            dimension: TariffDimensionType::Energy,
            price: Decimal::ONE,
            vat: None,
            step_size: 1,
        };
        TariffElement { price_components: vec![component], restrictions: Some(restrictions) }
    };
    let begun = Instant::now();
    for count in [900, 5_000] {
        let version = version((0..count).map(element).collect(), 0);
        let findings = version.validate(&Place::anywhere());
        assert!(findings.iter().any(|finding| finding.code == "too_many_combinations"));
    }
    assert!(begun.elapsed() < Elapsed::from_secs(20), "{:?}", begun.elapsed());
}
