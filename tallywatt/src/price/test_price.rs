//! The command on the repository's own data.

use std::path::{Path, PathBuf};

use super::*;

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

fn args(tariff: PathBuf) -> PriceArgs {
    PriceArgs {
        tariff,
        cdr: None,
        session: None,
        timezone: None,
        vat: None,
        idle_grace_s: 0,
        json: false,
    }
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
    let text = table::render(&answer(&case("spec-parking")).unwrap());
    assert_eq!(
        text,
        "\
EUR          Quantity      Rate   VAT  Excl. VAT  Incl. VAT
Session fee         1      0.50  20 %       0.50       0.60
Energy         20 kWh  0.25/kWh  10 %       5.00       5.50
Idle time      45 min    2.00/h  20 %       1.50       1.80
Total                                       7.00       7.90

20 kWh in 2.6667 h, 0.6667 h of it not charging
"
    );
}

#[test]
fn every_problem_of_both_files_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let tariff = file(&folder, "t.json", r#"{"currency":"EUR","elements":[]}"#);
    let cdr = file(&folder, "c.json", r#"{"currency":"EUR","charging_periods":[]}"#);
    let mut args = PriceArgs { cdr: Some(cdr), ..args(tariff) };
    args.timezone = Some("Mars/Olympus".to_owned());
    args.vat = Some(Decimal::from(210));
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
    local.timezone = Some("America/New_York".to_owned());
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
    args.vat = Some(Decimal::from(21));
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
