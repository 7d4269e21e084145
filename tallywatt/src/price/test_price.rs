//! The command on the repository's own data.

use std::{fs, path::Path};

use rust_decimal::Decimal;

use super::*;

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

fn args(tariff: PathBuf) -> PriceArgs {
    PriceArgs { tariff, ..PriceArgs::default() }
}

fn case(name: &str) -> PriceArgs {
    let folder = events().join("rating").join(name);
    PriceArgs { cdr: Some(folder.join("cdr.json")), ..args(folder.join("tariff.json")) }
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_time_zone_is_told_by_the_country_where_it_has_one() {
    let answer = answer(&case("spec-step-size-then-free")).unwrap();
    assert_eq!(answer.time_zone, Some("Europe/Amsterdam"));
    assert_eq!(answer.report.total_cost.excl_vat, "0.73".parse().unwrap());
}

#[test]
fn json_has_every_ocpi_total_as_a_price() {
    let answer = answer(&case("spec-parking")).unwrap();
    let json: serde_json::Value = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["currency"], "EUR");
    for (total, excl, incl) in [
        ("total_cost", 7.0, 7.9),
        ("total_fixed_cost", 0.5, 0.6),
        ("total_energy_cost", 5.0, 5.5),
        ("total_time_cost", 0.0, 0.0),
        ("total_parking_cost", 1.5, 1.8),
        ("total_reservation_cost", 0.0, 0.0),
    ] {
        assert_eq!(json[total]["excl_vat"].as_f64(), Some(excl), "{total}");
        assert_eq!(json[total]["incl_vat"].as_f64(), Some(incl), "{total}");
    }
    assert_eq!(json["lines"].as_array().unwrap().len(), 3);
}

#[test]
fn people_get_a_table() {
    let text = answer(&case("spec-parking")).unwrap().to_string();
    assert_eq!(
        text,
        "\
EUR          Quantity      Rate   VAT  Excl. VAT  Incl. VAT
Session fee         1      0.50  20 %       0.50       0.60
Energy         20 kWh  0.25/kWh  10 %       5.00       5.50
Idle time      45 min    2.00/h  20 %       1.50       1.80
Total                                       7.00       7.90
VAT 20 % on 2.00: 0.40
VAT 10 % on 5.00: 0.50

20 kWh in 2.6667 h, 0.6667 h of it not charging

Why
 1  Session fee
    elements[0].price_components[0]: the first with FLAT that applied; it has no restrictions
    once, from 2026-03-02 13:00:00 CET to 2026-03-02 15:00:00 CET
    0.50 EUR, without tax; VAT 20 %: 0.10 EUR
    0.5 without tax and 0.6 with it exactly, 0.50 EUR and 0.60 EUR billed
 2  Energy
    elements[0].price_components[1]: the first with ENERGY that applied; it has no restrictions
    20 kWh, from 2026-03-02 13:00:00 CET to 2026-03-02 15:00:00 CET
    0.25 EUR per kWh, without tax; VAT 10 %: 0.50 EUR
    5 without tax and 5.5 with it exactly, 5.00 EUR and 5.50 EUR billed
 3  Idle time
    elements[0].price_components[2]: the first with PARKING_TIME that applied; it has no
      restrictions
    45 min, from 2026-03-02 15:00:00 CET to 2026-03-02 15:40:00 CET; measured 40 min; the dimension
      is billed in steps of 900 s
    2.00 EUR per h, without tax; VAT 20 %: 0.30 EUR
    1.5 without tax and 1.8 with it exactly, 1.50 EUR and 1.80 EUR billed

Rules, each on what those before it have left
 1  the tariff on offer to the driver's tier at the start, whatever is published later
 2  per dimension the first tariff element whose restrictions all hold
 3  of standing time: the operator's is never idle time; then quiet hours, then grace
 4  step_size, once a dimension, on the component used last
 5  the plan: the start fee waived
 6  the plan: allowances, earliest use first
 7  the plan: discounts on what no allowance covers
 8  the cap on idle fees
 9  min_price, then max_price
10  taxes, each on the price before taxes
11  rounding, once
Energy: linear between readings, to 0.1 Wh at a boundary
Rounding: exact until the total; total half away from zero to the minor unit; lines by largest
    remainder so that they add up to it
"
    );
}

#[test]
fn every_problem_of_both_files_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let tariff = file(&folder, "t.json", r#"{"currency":"EUR","elements":[]}"#);
    let cdr = file(&folder, "c.json", r#"{"currency":"EUR","charging_periods":[]}"#);
    let mut args = PriceArgs { cdr: Some(cdr), ..args(tariff) };
    args.rules.timezone = Some("Mars/Olympus".to_owned());
    args.rules.vat = Some(Decimal::from(210));
    let problems = answer(&args).unwrap_err();
    let ends = [
        "t.json: elements: empty; a tariff has at least one element",
        "`Mars/Olympus` is not an IANA time zone such as Europe/Amsterdam",
        "--vat: a tax of 210 % is outside 0 to 100",
        "c.json: start_date_time: missing",
        "c.json: end_date_time: missing",
        "c.json: charging_periods: empty; a CDR has at least one charging period",
    ];
    assert_eq!(problems.len(), ends.len(), "{problems:#?}");
    for (problem, end) in problems.iter().zip(ends) {
        assert!(problem.ends_with(end), "{problem}");
    }
}

#[test]
fn a_tariff_with_local_times_needs_a_time_zone_and_one_without_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let dutch = fs::read_to_string(case("spec-step-size-then-free").cdr.unwrap()).unwrap();
    let cdr = file(&folder, "c.json", &dutch.replace("NLD", "USA"));
    let mut local = PriceArgs { cdr: Some(cdr.clone()), ..case("spec-step-size-then-free") };
    assert!(answer(&local).unwrap_err()[0].ends_with("give --timezone"));
    local.rules.timezone = Some("America/New_York".to_owned());
    assert_eq!(answer(&local).unwrap().time_zone, Some("America/New_York"));
    let anywhere = PriceArgs { cdr: Some(cdr), ..case("spec-time-and-parking") };
    assert_eq!(answer(&anywhere).unwrap().time_zone, None);
}

#[test]
fn a_recorded_session_is_priced_in_the_time_of_its_site() {
    // 18 kWh, 9 of them before 21:00 local, the boundary of this tariff: 9 x 0.52 + 9 x 0.34.
    let folder = events().join("ocpp/retail-time-of-use");
    let tariff = events().join("rating/retail-time-of-use/tariff.json");
    let mut args = PriceArgs { session: Some(folder), ..args(tariff) };
    args.rules.vat = Some(Decimal::from(21));
    let answer = answer(&args).unwrap();
    assert_eq!(answer.time_zone, Some("Europe/Amsterdam"));
    assert_eq!(answer.report.total_energy_cost.excl_vat, "7.74".parse().unwrap());
}

#[test]
fn a_recording_without_a_start_has_nothing_to_price() {
    let tariff = events().join("rating/spec-energy/tariff.json");
    let folder = events().join("ocpp/unknown-transaction");
    let problems = answer(&PriceArgs { session: Some(folder), ..args(tariff) }).unwrap_err();
    assert!(problems[0].contains("no StartTransaction"), "{problems:?}");
}

#[test]
fn several_taxes_are_told_one_by_one() {
    // 8.09 before taxes: 5 % are 0.4045, 9.975 % are 0.8069775; each is rounded by itself.
    let folder = events().join("ocpp/retail-time-of-use");
    let mut args = args(events().join("rating/retail-time-of-use/tariff.json"));
    args.session = Some(folder);
    args.rules.tax = vec!["GST=5,123456".parse().unwrap(), "QST=9.975".parse().unwrap()];
    let text = answer(&args).unwrap().to_string();
    assert!(
        text.contains("GST 5 % on 8.09: 0.40, account 123456\nQST 9.975 % on 8.09: 0.81\n"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn a_plan_and_what_was_used_of_it_come_off_the_tariff() {
    let folder = tempfile::tempdir().unwrap();
    let plan = r#"{"id":"M1","name":"Member","currency":"EUR","time_zone":"Europe/Amsterdam",
        "waive_start_fee":true,"allowances":[{"dimension":"ENERGY","quantity":10,"per":"month"}],
        "discounts":[{"dimension":"ENERGY","by":{"percent":50}}]}"#;
    let mut args = args(events().join("rating/spec-parking/tariff.json"));
    args.cdr = Some(events().join("rating/spec-parking/cdr.json"));
    args.rules.plan = Some(file(&folder, "plan.json", plan));
    args.rules.used = Some("kwh=4".parse().unwrap());
    let answer = answer(&args).unwrap();
    // 6 of 20 kWh are left of the allowance; 14 at half of 0.25 are 1.75, and no start fee.
    let energy = answer.report.lines.iter();
    let energy = energy.filter(|line| line.unit == rating::Unit::KilowattHour);
    let energy: Decimal = energy.map(|line| line.cost.excl_vat).sum();
    assert_eq!(energy, "1.75".parse().unwrap(), "{answer}");
    let start = answer.report.lines.iter().filter(|line| line.unit == rating::Unit::Session);
    assert_eq!(start.map(|line| line.cost.excl_vat).sum::<Decimal>(), Decimal::ZERO, "{answer}");
    assert!("kwh=-1".parse::<StatedUse>().is_err() && "kw=1".parse::<StatedUse>().is_err());
}

#[test]
fn what_a_file_says_never_breaks_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let currency = format!("E\\nUR\\u001b[2J{}", "x".repeat(5_000));
    let text =
        format!(r#"{{"id":"T","currency":"{currency}","elements":[{{"price_components":[]}}]}}"#);
    let args = PriceArgs { tariff: file(&folder, "t.json", &text), ..case("spec-parking") };
    let problems = answer(&args).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|told| told.len() < 500 && !told.contains(char::is_control)));
}

#[test]
fn a_timeline_tells_all_that_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let timeline = r#"{"started_at":"yesterday","meter_start":{},"meter_stop":"7",
        "samples":[{"at":"2026-03-02T10:30:00Z","energy":"x"}],"statuses":7}"#;
    let mut args = args(events().join("rating/spec-energy/tariff.json"));
    args.timeline = Some(file(&folder, "s.json", timeline));
    let problems = answer(&args).unwrap_err();
    let ends = [
        "s.json: started_at: \"yesterday\" is not a date and time such as 2026-03-02T10:30:00Z",
        "s.json: ended_at: missing",
        "s.json: meter_start: an object is not a register reading in Wh such as \"90994.8\"",
        "s.json: samples[0].energy: \"x\" is not a register reading in Wh such as \"90994.8\"",
        "s.json: statuses: not a list",
    ];
    assert_eq!(problems.len(), ends.len(), "{problems:#?}");
    for (problem, end) in problems.iter().zip(ends) {
        assert!(problem.ends_with(end), "{problem}");
    }
}

#[test]
fn quiet_hours_are_in_the_time_of_the_site_even_where_no_price_is() {
    // Idle from 19:30 to 20:30 in UTC; from 21:00 in Amsterdam, 20:00 in UTC, it is quiet.
    let folder = tempfile::tempdir().unwrap();
    let timeline = r#"{"started_at":"2026-03-02T19:00:00Z","ended_at":"2026-03-02T20:30:00Z",
        "meter_start":"0","meter_stop":"5000",
        "samples":[{"at":"2026-03-02T19:30:00Z","energy":"5000"}],
        "statuses":[{"at":"2026-03-02T19:00:00Z","status":"Charging"},
            {"at":"2026-03-02T19:30:00Z","status":"SuspendedEV"}]}"#;
    let tariff = r#"{"id":"T","currency":"EUR","elements":[
        {"price_components":[{"type":"PARKING_TIME","price":6}]}]}"#;
    let mut args = args(file(&folder, "t.json", tariff));
    args.timeline = Some(file(&folder, "s.json", timeline));
    let terms = r#"{"idle":{"quiet_hours":[{"start":"21:00","end":"07:00"}]}}"#;
    args.rules.terms = Some(file(&folder, "terms.json", terms));
    assert!(answer(&args).unwrap_err()[0].ends_with("give --timezone"));
    args.rules.timezone = Some("Europe/Amsterdam".to_owned());
    let answer = answer(&args).unwrap();
    assert_eq!(answer.report.total_cost.excl_vat, Decimal::from(3), "{answer}");
}
