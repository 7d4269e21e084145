use super::*;
use crate::{read, v2_3_0::Taxes, write};

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

/// The tariff of `text`, beside an owner and one fee.
fn tariff_with(text: &str) -> Tariff {
    let json = format!(
        r#"{{"country_code":"NL","party_id":"TWT","id":"T1","currency":"EUR",{text}
        "elements":[{{"price_components":[{{"type":"FLAT","price":1,"step_size":1}}]}}]}}"#
    );
    read::tariff(&json).unwrap()
}

fn cdr_with(text: &str) -> Cdr {
    let json = format!(
        r#"{{"country_code":"NL","party_id":"TWT","id":"C1","currency":"EUR",
        "start_date_time":"2026-01-01T10:00:00Z","end_date_time":"2026-01-01T11:00:00Z",
        "cdr_token":{{"country_code":"DE","party_id":"TNM","uid":"012345678","type":"RFID",
            "contract_id":"DE8ACC12E46L89"}},
        "cdr_location":{{"id":"L1","address":"Kade 1","city":"Utrecht","country":"NLD",
            "coordinates":{{"latitude":"52.090700","longitude":"5.121400"}},"evse_uid":"E1",
            "evse_id":"NL*TWT*E1","connector_id":"1","connector_standard":"IEC_62196_T2",
            "connector_format":"SOCKET","connector_power_type":"AC_3_PHASE"}},{text}
        "charging_periods":[{{"start_date_time":"2026-01-01T10:00:00Z","dimensions":[
            {{"type":"ENERGY","volume":20}}]}}]}}"#
    );
    read::cdr(&json).unwrap()
}

#[test]
fn what_is_as_the_schema_says_may_be_sent() {
    for version in [Version::V2_2_1, Version::V2_3_0] {
        assert_eq!(tariff(&tariff_with(r#""type":"REGULAR","#), version), []);
        assert_eq!(cdr(&cdr_with(""), version), []);
    }
}

#[test]
fn everything_that_the_schema_forbids_of_a_tariff_is_told_at_once() {
    let mut bad = tariff_with(r#""tax_included":"YES","#);
    bad.country_code = "#NA".to_owned();
    bad.party_id = "TWTT".to_owned();
    bad.id = "\u{e9}".repeat(37);
    bad.tariff_type = Some("CHEAP".to_owned());
    bad.tariff_alt_text =
        vec![crate::DisplayText { language: "eng".to_owned(), text: "a\nb".to_owned() }];
    let mut restrictions = TariffRestrictions {
        start_time: Some("24:00".to_owned()),
        end_date: Some("2026-1-1".to_owned()),
        ..TariffRestrictions::default()
    };
    restrictions.other.insert("max_soc".to_owned(), 80.into());
    bad.elements.push(TariffElement { price_components: vec![], restrictions: Some(restrictions) });
    let two = [
        "country_code: `#NA` is not a code of 2 characters (ISO 3166-1 alpha-2)",
        "party_id: `TWTT` is not a code of 3 characters (ISO 15118)",
        "id: 37 characters; at most 36 are allowed",
        "id: has characters that are not printable ASCII",
        "type: `CHEAP` is not one of AD_HOC_PAYMENT, PROFILE_CHEAP, PROFILE_FAST, PROFILE_GREEN, \
         REGULAR",
        "tariff_alt_text[0].language: `eng` is not a code of 2 characters (ISO 639-1)",
        "tariff_alt_text[0].text: has characters that cannot be printed",
        "tax_included: OCPI 2.2.1 has no prices with taxes; state them without",
        "elements[1].price_components: empty; at least one is needed",
        "elements[1].restrictions.start_time: `24:00` is not a time of day such as 19:45",
        "elements[1].restrictions.end_date: `2026-1-1` is not a date such as 2015-12-24",
        "elements[1].restrictions.max_soc: no restriction of OCPI",
    ];
    assert_eq!(lines(&tariff(&bad, Version::V2_2_1)), two);
    let three: Vec<_> = two.into_iter().filter(|line| !line.starts_with("tax_included")).collect();
    assert_eq!(lines(&tariff(&bad, Version::V2_3_0)), three);
}

#[test]
fn everything_that_the_schema_forbids_of_a_cdr_is_told_at_once() {
    let mut bad = cdr_with(r#""credit":true,"#);
    bad.id = "C".repeat(40);
    bad.cdr_location.address = "x".repeat(46);
    bad.cdr_location.coordinates.latitude = "52.09".to_owned();
    bad.cdr_location.connector_power_type = "AC".to_owned();
    bad.charging_periods[0].dimensions[0].dimension = CdrDimensionType::StateOfCharge;
    bad.tariffs = vec![tariff_with("")];
    bad.tariffs[0].id = String::new();
    assert_eq!(
        lines(&cdr(&bad, Version::V2_3_0)),
        [
            "id: 40 characters; at most 39 are allowed",
            "credit_reference_id: missing; a credit CDR names the CDR it takes back",
            "cdr_location.address: 46 characters; at most 45 are allowed",
            "cdr_location.coordinates.latitude: `52.09` is not decimal degrees with 5 to 7 \
             decimals such as 50.770774",
            "cdr_location.connector_power_type: `AC` is not one of AC_1_PHASE, AC_2_PHASE, \
             AC_2_PHASE_SPLIT, AC_3_PHASE, DC",
            "tariffs[0].id: empty",
            "charging_periods[0].dimensions[0].type: for sessions, not for CDRs",
        ]
    );
}

#[test]
fn a_tariff_that_2_2_1_cannot_say_is_refused_and_what_it_does_not_know_is_named() {
    let refused = write::tariff(&tariff_with(r#""tax_included":"YES","#), Version::V2_2_1);
    assert_eq!(
        lines(&refused.unwrap_err()),
        ["tax_included: OCPI 2.2.1 has no prices with taxes; state them without"]
    );
    let given = tariff_with(r#""tax_included":"N/A","preauthorize_amount":50,"#);
    let written = write::tariff(&given, Version::V2_2_1).unwrap();
    assert_eq!(lines(&written.left_out), ["preauthorize_amount: OCPI 2.2.1 has no such field"]);
    assert!(written.json.get("tax_included").is_none());
    let mut taxed = given.clone();
    taxed.elements[0].price_components[0].vat = Some(21.into());
    assert_eq!(write::tariff(&taxed, Version::V2_2_1).unwrap().json, written.json);
    let written = write::tariff(&given, Version::V2_3_0).unwrap();
    assert_eq!((written.json["tax_included"].as_str(), written.left_out), (Some("N/A"), vec![]));
    assert!(write::tariff(&given, Version::V2_1_1).is_err());
}

#[test]
fn a_cdr_is_written_with_its_taxes_and_without_the_tariff_that_a_version_cannot_say() {
    let mut cdr = cdr_with(r#""total_cost":{"excl_vat":5,"incl_vat":5.7488},"#);
    cdr.tariffs = vec![tariff_with(r#""tax_included":"YES","#)];
    let tax = |name: &str, amount: &str| crate::v2_3_0::TaxAmount {
        name: name.to_owned(),
        account_number: None,
        percentage: None,
        amount: amount.parse().unwrap(),
    };
    let taxes = Taxes { total: vec![tax("GST", "0.25"), tax("QST", "0.4988")], ..Taxes::default() };
    let new = write::cdr(&cdr, taxes.clone(), Version::V2_3_0).unwrap();
    assert_eq!(new.json["total_cost"]["taxes"][1]["amount"], 0.4988);
    assert_eq!(new.json["tariffs"][0]["tax_included"], "YES");
    let read_back = read::cdr_as(&new.json.to_string(), None).unwrap();
    assert_eq!((read_back.version, &read_back.value), (Version::V2_3_0, &cdr));

    let old = write::cdr(&cdr, taxes.clone(), Version::V2_2_1).unwrap();
    assert_eq!(old.json["total_cost"]["incl_vat"], 5.7488);
    assert_eq!(lines(&old.left_out), ["tariffs[0]: OCPI 2.2.1 has no prices with taxes"]);

    cdr.total_cost.incl_vat = Some("5.75".parse().unwrap());
    let wrong = write::cdr(&cdr, Taxes { time: vec![tax("GST", "1")], ..taxes }, Version::V2_3_0);
    assert_eq!(
        lines(&wrong.unwrap_err()),
        [
            "total_cost.taxes: do not add up to the difference of the price with and without VAT",
            "total_time_cost.taxes: taxes of a price that is not stated",
        ]
    );
    let plain = write::cdr(&cdr, Taxes::default(), Version::V2_3_0).unwrap();
    assert_eq!(plain.json["total_cost"]["taxes"][0]["name"], "VAT");
    assert_eq!(plain.json["total_cost"]["taxes"][0]["amount"], 0.75);
}
