use super::*;

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn everything_that_is_wrong_with_a_tariff_is_told_at_once() {
    let text = r#"{"currency":"EURO","elements":[
        {"price_components":[{"type":"ENERGY","price":"0.25","step_size":1},
                             {"type":"KWH","price":0.1,"vat":120}],
         "restrictions":{"start_time":"9:00","max_duration":-1,"day_of_week":["FUNDAY"]}},
        {"price_components":[]}]}"#;
    assert_eq!(
        lines(&tariff(text).unwrap_err()),
        [
            "currency: `EURO` is not an ISO 4217 currency code",
            "elements[0].price_components[0].price: \"0.25\" is not a number",
            "elements[0].price_components[1].type: `KWH` is not ENERGY, FLAT, PARKING_TIME or TIME",
            "elements[0].price_components[1].vat: 120 is not a percentage from 0 to 100",
            "elements[0].restrictions.start_time: `9:00` is not a time of day such as 19:45",
            "elements[0].restrictions.max_duration: -1 is not a whole number from 0 on",
            "elements[0].restrictions.day_of_week[0]: `FUNDAY` is not MONDAY to SUNDAY",
            "elements[1].price_components: empty; an element has at least one price component",
        ]
    );
}

#[test]
fn everything_that_is_wrong_with_a_cdr_is_told_at_once() {
    let text = r#"{"start_date_time":"2026-01-01T10:00:00Z","end_date_time":"yesterday",
        "charging_periods":[{"start_date_time":"2026-01-01T10:00:00Z",
                             "dimensions":[{"type":"ENERGY","volume":-1}]},
                            {"start_date_time":"2026-01-01T09:00:00Z"}]}"#;
    assert_eq!(
        lines(&cdr(text).unwrap_err()),
        [
            "end_date_time: `yesterday` is not a date and time such as 2015-06-29T20:39:09Z",
            "currency: missing",
            "charging_periods: the CDR ends before it starts",
            "charging_periods[0].dimensions[0].volume: -1 is negative",
            "charging_periods[1].start_date_time: starts before the period in front of it",
            "charging_periods[1].dimensions: missing",
        ]
    );
}

#[test]
fn what_no_price_depends_on_may_be_missing() {
    let text = r#"{"currency":"EUR","elements":[
        {"price_components":[{"type":"FLAT","price":0.00}]}]}"#;
    assert_eq!(tariff(text).unwrap().party_id, "#NA");
}

#[test]
fn a_restriction_of_another_version_is_kept_for_pricing_to_refuse() {
    let text = r#"{"currency":"EUR","elements":[{"price_components":[{"type":"FLAT","price":1}],
        "restrictions":{"max_soc":80,"min_kwh":null}}]}"#;
    let reading = tariff_as(text, None).unwrap();
    assert_eq!(reading.left_out, []);
    let restrictions = reading.value.elements[0].restrictions.clone().unwrap();
    assert_eq!(restrictions.other.keys().collect::<Vec<_>>(), ["max_soc"]);
}

#[test]
fn what_a_price_may_depend_on_is_never_left_out() {
    let of = |version: Version, names: &str| {
        format!("{names}: not a field of OCPI {version}, and a price may depend on it")
    };
    let text = |extra: &str, component: &str, element: &str| {
        format!(
            r#"{{"currency":"EUR",{extra}"elements":[{{"price_components":[
                {{"type":"ENERGY","price":1{component}}}]{element}}}]}}"#
        )
    };
    let refused = |text: &str, version| lines(&tariff_as(text, Some(version)).unwrap_err());
    let misspelt = text("", r#","vta":21"#, r#","restriction":{"max_kwh":5}"#);
    for version in Version::ALL {
        let names = ["elements[0].restriction", "elements[0].price_components[0].vta"];
        assert_eq!(refused(&misspelt, version), names.map(|name| of(version, name)));
    }
    let early = Version::V2_1_1;
    let later =
        text(r#""min_price":{"excl_vat":1},"max_price":{"excl_vat":9},"#, r#","vat":21"#, "");
    let names = ["elements[0].price_components[0].vat", "min_price", "max_price"];
    assert_eq!(refused(&later, early), names.map(|name| of(early, name)));
    assert!(tariff_as(&later, Some(Version::V2_2_1)).is_ok());
    for version in [early, Version::V2_2_1] {
        for stated in ["YES", "N/A"] {
            let taxed = text(&format!(r#""tax_included":"{stated}","#), "", "");
            assert_eq!(refused(&taxed, version), [of(version, "tax_included")]);
        }
        let net = text(r#""tax_included":"NO","#, "", "");
        assert!(tariff_as(&net, Some(version)).is_ok());
    }
}

#[test]
fn what_is_left_out_is_named() {
    let text = r#"{"currency":"EUR","party_id":7,"tariff_alt_text":"2 euro","owner":{"name":"x"},
        "tax_included":"NO","last_updated":"yesterday",
        "elements":[{"price_components":[{"type":"FLAT","price":1,"unit":null}],"note":null}]}"#;
    let reading = tariff_as(text, None).unwrap();
    assert_eq!(reading.version, Version::V2_3_0);
    let mut left_out = lines(&reading.left_out);
    left_out.sort();
    assert_eq!(
        left_out,
        [
            "last_updated: not a date and time",
            "owner: not a field of OCPI 2.3.0 that is kept",
            "party_id: not a text",
            "tariff_alt_text: invalid type: string \"2 euro\", expected a sequence",
        ]
    );
}

#[test]
fn a_bad_tariff_in_a_cdr_is_left_out_and_does_not_stop_it() {
    let text = r#"{"start_date_time":"2026-01-01T10:00:00Z","end_date_time":"2026-01-01T11:00:00Z",
        "currency":"EUR","total_cost":{"incl_vat":4},
        "charging_periods":[{"start_date_time":"2026-01-01T10:00:00Z","dimensions":[]}],
        "tariffs":[{"currency":"EUR","elements":[]},
                   {"id":"B","currency":"EUR",
                    "elements":[{"price_components":[{"type":"FLAT","price":1}]}]}]}"#;
    let reading = cdr_as(text, None).unwrap();
    assert_eq!(reading.value.tariffs.len(), 1);
    assert_eq!(reading.value.tariffs[0].id, "B");
    assert_eq!(
        lines(&reading.left_out),
        [
            "tariffs[0].elements: empty; a tariff has at least one element",
            "total_cost.excl_vat: missing",
        ]
    );
}

#[test]
fn a_tariff_says_in_which_words_it_wants_to_be_read() {
    let tariff = |limit: &str| {
        let text = format!(
            r#"{{"currency":"EUR","tax_included":"YES","min_price":{limit},
            "elements":[{{"price_components":[{{"type":"FLAT","price":1}}]}}]}}"#
        );
        tariff_as(&text, None)
    };
    let read = tariff(r#"{"before_taxes":0.5,"after_taxes":0.55}"#).unwrap().value;
    assert_eq!(read.tax_included, Some(crate::TaxIncluded::Yes));
    let price = read.min_price.unwrap();
    assert_eq!(
        (price.excl_vat.to_string(), price.incl_vat.unwrap().to_string()),
        ("0.5".to_owned(), "0.55".to_owned())
    );
    let old = tariff(r#"{"excl_vat":0.5}"#).unwrap_err();
    assert_eq!(lines(&old), ["min_price.before_taxes: missing"]);
}

#[test]
fn taxes_of_a_total_add_up_to_its_price_with_taxes() {
    let text = |taxes: &str| {
        format!(
            r#"{{"start_date_time":"2026-01-01T10:00:00Z","end_date_time":"2026-01-01T11:00:00Z",
            "currency":"CAD","total_cost":{{"before_taxes":5{taxes}}},
            "charging_periods":[{{"start_date_time":"2026-01-01T10:00:00Z","dimensions":[]}}]}}"#
        )
    };
    let with = |taxes: &str| cdr_as(&text(taxes), None).unwrap();
    let taxed = with(
        r#","taxes":[{"name":"GST","amount":0.25,"percentage":5,"account_number":"R1"},
                     {"name":"QST","amount":0.4988,"percentage":9.975}]"#,
    );
    assert_eq!(taxed.version, Version::V2_3_0);
    assert_eq!(taxed.value.total_cost.incl_vat.unwrap().to_string(), "5.7488");
    let named = "not a field of OCPI 2.3.0 that is kept";
    assert_eq!(
        lines(&taxed.left_out),
        [
            format!("total_cost.taxes[0].account_number: {named}"),
            format!("total_cost.taxes[0].name: {named}, 2 times"),
            format!("total_cost.taxes[0].percentage: {named}, 2 times"),
        ]
    );
    assert_eq!(with("").value.total_cost.incl_vat, None);
    assert_eq!(with(r#","taxes":[]"#).value.total_cost.incl_vat, None);
}

/// A CDR as OCPI 2.1.1 has it; in the form of the chapter's example, with other words.
const EARLY_CDR: &str = r#"{"id":"C1","start_date_time":"2026-01-01T10:00:00Z",
    "stop_date_time":"2026-01-01T12:00:00Z","auth_id":"DE8ACC12E46L89","auth_method":"WHITELIST",
    "location":{"id":"L1","type":"ON_STREET","address":"Kade 1","city":"Utrecht","country":"NLD",
        "postal_code":"3500 AA","coordinates":{"latitude":"52.1","longitude":"5.1"},
        "evses":[{"uid":"E1","evse_id":"NL*TWT*E1","status":"AVAILABLE","connectors":[
            {"id":"1","standard":"IEC_62196_T2","format":"SOCKET","power_type":"AC_3_PHASE",
             "voltage":230}]}]},
    "currency":"EUR","tariffs":[{"id":"T1","currency":"EUR","elements":[
        {"price_components":[{"type":"TIME","price":"2.00","step_size":300}],
         "restrictions":{"min_current":6}}]}],
    "charging_periods":[{"start_date_time":"2026-01-01T10:00:00Z","dimensions":[
        {"type":"TIME","volume":1.973},{"type":"FLAT","volume":1}]}],
    "total_cost":4.00,"total_energy":15.342,"total_time":1.973}"#;

#[test]
fn a_cdr_of_2_1_1_becomes_one_of_ours_and_what_has_no_place_is_named() {
    let reading = cdr_as(EARLY_CDR, None).unwrap();
    assert_eq!(reading.version, Version::V2_1_1);
    let cdr = reading.value;
    assert_eq!(cdr.end_date_time.to_rfc3339(), "2026-01-01T12:00:00+00:00");
    assert_eq!(cdr.cdr_token.contract_id, "DE8ACC12E46L89");
    assert_eq!(cdr.total_cost, crate::Price { excl_vat: 4.into(), incl_vat: None });
    assert_eq!(cdr.cdr_location.evse_uid, "E1");
    assert_eq!(cdr.cdr_location.connector_power_type, "AC_3_PHASE");
    assert_eq!(cdr.charging_periods[0].dimensions.len(), 1);
    let element = &cdr.tariffs[0].elements[0];
    assert_eq!(element.price_components[0].price, 2.into());
    assert_eq!(element.price_components[0].vat, None);
    let other = &element.restrictions.as_ref().unwrap().other;
    assert_eq!(other.keys().collect::<Vec<_>>(), ["min_current"]);
    let paths: Vec<_> = reading.left_out.iter().map(|left| left.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "charging_periods[0].dimensions[1].type",
            "location.evses[0].connectors[0].voltage",
            "location.evses[0].status",
            "location.type",
        ]
    );
}

#[test]
fn a_problem_is_one_line_of_readable_length_whatever_is_in_it() {
    let long = "EUR\\n".repeat(100);
    let text = format!(
        r#"{{"currency":"{long}","elements":[{{"price_components":[
            {{"type":{{"a":"{long}"}},"price":["{long}"],"step_size":"{long}"}}]}}]}}"#
    );
    let lines = lines(&tariff(&text).unwrap_err());
    assert_eq!(lines.len(), 4);
    for line in lines {
        assert!(line.chars().count() < 200 && !line.contains('\n'), "{line}");
    }
}

#[test]
fn what_is_not_json_is_one_problem() {
    assert!(lines(&tariff("{").unwrap_err())[0].starts_with("not JSON: "));
    assert_eq!(lines(&tariff("[]").unwrap_err()), ["not a JSON object"]);
}

#[test]
fn a_key_that_is_written_twice_is_a_problem_in_every_version() {
    let twice = "written more than once; keep one of them";
    let tariff = r#"{"id":"T1","currency":"EUR","currency":"USD","elements":[
        {"price_components":[{"type":"ENERGY","price":0.25,"price":25}]}]}"#;
    let cdr = r#"{"id":"C1","total_cost":4,"charging_periods":[{"tariff_id":"A","tariff_id":"B"}],
        "total_cost":40}"#;
    let versions = Version::ALL.into_iter().map(Some).chain([None]);
    for version in versions {
        let problems = tariff_as(tariff, version).unwrap_err();
        let paths = ["currency", "elements[0].price_components[0].price"];
        assert_eq!(lines(&problems), paths.map(|path| format!("{path}: {twice}")));
        let problems = cdr_as(cdr, version).unwrap_err();
        let paths = ["charging_periods[0].tariff_id", "total_cost"];
        assert_eq!(lines(&problems), paths.map(|path| format!("{path}: {twice}")));
    }
}
