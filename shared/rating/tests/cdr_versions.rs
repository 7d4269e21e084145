//! The CDR of a priced session, as OCPI 2.2.1 and 2.3.0 write it.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod support;

use std::{fs, path::Path};

use chrono_tz::Tz;
use network::Tax;
use ocpi::{
    PriceComponent, TariffDimensionType, TariffElement, TaxIncluded, Version, read, schema,
    v2_3_0::{self, TaxAmount},
    write,
};
use quantities::{TaxPercent, WattHours};
use rating::{
    Rules, TariffVersion,
    cdr::{price, taxes},
    rate,
};
use rust_decimal::Decimal;
use session::Timeline;
use support::{cdr_of, session_of, site, version};

const ZONE: Tz = Tz::America__Toronto;

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn tax(name: &str, percent: &str, account: Option<&str>) -> Tax {
    let percent = TaxPercent::try_from(number(percent)).unwrap();
    Tax { name: name.to_owned(), percent, account_number: account.map(str::to_owned) }
}

fn component(dimension: TariffDimensionType, price: &str) -> PriceComponent {
    PriceComponent { dimension, price: number(price), vat: None, step_size: 1 }
}

/// Two hours, 20.01 kWh.
fn timeline() -> Timeline {
    Timeline {
        started_at: "2026-03-02T10:00:00Z".parse().unwrap(),
        ended_at: "2026-03-02T12:00:00Z".parse().unwrap(),
        meter_stop: WattHours::from(20_010),
        ..Timeline::default()
    }
}

fn amount(name: &str, percentage: &str, amount: &str, account: Option<&str>) -> TaxAmount {
    TaxAmount {
        name: name.to_owned(),
        account_number: account.map(str::to_owned),
        percentage: Some(number(percentage)),
        amount: number(amount),
    }
}

#[test]
fn a_cdr_of_2_3_0_names_every_tax_of_every_price_and_2_2_1_their_sum() {
    let components = vec![
        component(TariffDimensionType::Flat, "1"),
        component(TariffDimensionType::Energy, "0.25"),
    ];
    let element = TariffElement { price_components: components, restrictions: None };
    let tariff = version(vec![element], 0);
    let local = [tax("GST", "5", Some("R100")), tax("QST", "9.975", None)];
    let rules = Rules { taxes: Some(&local), ..Rules::unknown(ZONE) };
    let priced = rate(&tariff, &timeline(), &rules).unwrap();
    // 1.00 + 5.0025 = 6.0025; GST 0.300125, QST 0.59874...
    let named = taxes(&priced).unwrap();
    assert_eq!(
        named.total,
        [amount("GST", "5", "0.30", Some("R100")), amount("QST", "9.975", "0.60", None)]
    );
    assert_eq!(
        named.fixed,
        [amount("GST", "5", "0.05", Some("R100")), amount("QST", "9.975", "0.10", None)]
    );
    assert!(named.time.is_empty() && named.parking.is_empty() && named.reservation.is_empty());

    let mut site = site(ZONE);
    site.jurisdiction.taxes = local.to_vec();
    let mut session = session_of(&timeline());
    session.jurisdiction.taxes = local.to_vec();
    let cdr = cdr_of(&priced, &tariff, &session, &site);
    for version in [Version::V2_2_1, Version::V2_3_0] {
        assert_eq!(schema::cdr(&cdr, version), [], "{version}");
        let written = write::cdr(&cdr, named.clone(), version).unwrap();
        assert_eq!(written.left_out, [], "{version}");
        let received = read::cdr_as(&written.json.to_string(), None).unwrap();
        assert_eq!(received.version, version);
        let again = price(&received.value.tariffs[0], &received.value, &rules).unwrap();
        assert_eq!(again.totals, priced.totals, "{version}");
    }
    let written = write::cdr(&cdr, named.clone(), Version::V2_3_0).unwrap();
    let typed: v2_3_0::Cdr = serde_json::from_value(written.json).unwrap();
    assert_eq!(typed.total_cost.taxes, named.total);
    assert_eq!(typed.total_energy_cost.unwrap().taxes, named.energy);
    assert_eq!(typed.total_time_cost, None);
}

#[test]
fn a_tax_of_nothing_is_named_and_no_tax_is_not() {
    let element = TariffElement {
        price_components: vec![component(TariffDimensionType::Energy, "0.25")],
        restrictions: None,
    };
    let tariff = version(vec![element], 0);
    for (local, named) in
        [(vec![tax("VAT", "0", None)], vec![amount("VAT", "0", "0.00", None)]), (vec![], vec![])]
    {
        let rules = Rules { taxes: Some(&local), ..Rules::unknown(ZONE) };
        let priced = rate(&tariff, &timeline(), &rules).unwrap();
        let taxes = taxes(&priced).unwrap();
        assert_eq!((&taxes.total, &taxes.energy), (&named, &named));
    }
}

/// The case's tariff and what happened, if a charger reported it.
fn recorded(dir: &Path) -> Option<(ocpi::Tariff, Timeline)> {
    let timeline = fs::read_to_string(dir.join("timeline.json")).ok()?;
    let tariff = fs::read_to_string(dir.join("tariff.json")).unwrap();
    Some((read::tariff(&tariff).unwrap(), serde_json::from_str(&timeline).unwrap()))
}

/// Writes the CDR of `timeline` in both versions; whoever gets it prices it as we did.
fn is_sent_and_priced_again(tariff: &TariffVersion, timeline: &Timeline, local: &[Tax]) {
    let rules = Rules { taxes: Some(local), ..Rules::unknown(ZONE) };
    let priced = rate(tariff, timeline, &rules).unwrap();
    let mut session = session_of(timeline);
    session.jurisdiction.taxes = local.to_vec();
    let cdr = cdr_of(&priced, tariff, &session, &site(ZONE));
    for version in [Version::V2_2_1, Version::V2_3_0] {
        let written = write::cdr(&cdr, taxes(&priced).unwrap(), version).unwrap();
        let received = read::cdr(&written.json.to_string()).unwrap();
        assert_eq!(received.total_cost.excl_vat, cdr.total_cost.excl_vat);
        let included = tariff.tariff.tax_included() == TaxIncluded::Yes;
        assert_eq!(received.tariffs.is_empty(), included && version == Version::V2_2_1);
        for tariff in &received.tariffs {
            // All that a receiver knows of taxes is what the tariff states.
            let again = price(tariff, &received, &Rules::unknown(ZONE)).unwrap();
            let off = again.gross().minor - priced.gross().minor;
            // Every tax is rounded by itself, and `vat` can only state their sum.
            let off_max = i64::try_from(local.len().saturating_sub(1)).unwrap();
            assert!(off.abs() <= off_max, "{off}, {version}, {tariff:?}");
            if !included {
                assert_eq!(again.net(), priced.net(), "{version}, {tariff:?}");
            }
        }
    }
}

/// `mod_cdrs.asciidoc`, "Credit CDRs": all the data of the original, its total negative.
#[test]
fn a_credit_cdr_has_a_negative_total_and_is_else_the_one_that_it_takes_back() {
    let element = TariffElement {
        price_components: vec![component(TariffDimensionType::Energy, "0.25")],
        restrictions: None,
    };
    let tariff = version(vec![element], 0);
    let local = [tax("GST", "5", Some("R100")), tax("QST", "9.975", None)];
    let rules = Rules { taxes: Some(&local), ..Rules::unknown(ZONE) };
    let priced = rate(&tariff, &timeline(), &rules).unwrap();
    let mut session = session_of(&timeline());
    session.jurisdiction.taxes = local.to_vec();
    let cdr = cdr_of(&priced, &tariff, &session, &site(ZONE));
    let credit = cdr.credited("2026-03-05T08:00:00Z".parse().unwrap());
    for version in [Version::V2_2_1, Version::V2_3_0] {
        let named = taxes(&priced).unwrap();
        let original = write::cdr(&cdr, named.clone(), version).unwrap().json;
        let mut credit = write::cdr(&credit, named.credited(), version).unwrap().json;
        assert_eq!(schema::cdr(&cdr.credited(cdr.last_updated), version), [], "{version}");
        assert_eq!(credit["credit"], true);
        assert_eq!(credit["credit_reference_id"], original["id"]);
        assert_eq!(credit["id"], format!("{}-C", original["id"].as_str().unwrap()));
        // 20.01 kWh at 0.25: 5.0025; with GST 0.25 and QST 0.50: 5.75.
        let total = credit["total_cost"].to_string();
        let stated = match version {
            Version::V2_3_0 => [r#""before_taxes":-5,"#, r#""amount":-0.25"#, r#""amount":-0.5,"#],
            _ => [r#""excl_vat":-5,"#, r#""incl_vat":-5.75"#, ""],
        };
        assert!(stated.iter().all(|part| total.contains(part)), "{version}: {total}");
        for field in ["id", "total_cost", "last_updated"] {
            credit[field] = original[field].clone();
        }
        let fields = credit.as_object_mut().unwrap();
        assert!(
            fields.remove("credit").is_some() && fields.remove("credit_reference_id").is_some()
        );
        assert_eq!(credit, original, "{version}");
    }
}

#[test]
fn every_recorded_session_is_sent_in_both_versions_and_priced_the_same() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/rating");
    let dirs = fs::read_dir(&cases).unwrap().map(|dir| dir.unwrap().path());
    let mut count = 0;
    for (tariff, timeline) in dirs.filter_map(|dir| recorded(&dir)) {
        for included in [None, Some(TaxIncluded::Yes), Some(TaxIncluded::NotApplicable)] {
            let mut version = version(vec![], 600);
            version.tariff = ocpi::Tariff { tax_included: included, ..tariff.clone() };
            let local = [tax("GST", "5", None), tax("QST", "9.975", None)];
            is_sent_and_priced_again(&version, &timeline, &local[..1]);
            is_sent_and_priced_again(&version, &timeline, &local);
            count += 1;
        }
    }
    assert!(count > 30, "{count}: too few to prove anything");
}
