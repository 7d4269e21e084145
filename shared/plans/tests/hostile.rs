//! Plans and schedules with anything in them: each is read, or refused in one line a problem; none
//! makes reading, checking or compiling panic or hang.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use std::fs;

use chrono::NaiveDate;
use ocpi::read::Problem;
use plans::{Finding, Known, schedule::Span};
use proptest::prelude::*;
use serde_json::{Value, json};

const PLAN: &str = r#"{"id":"fleet","name":"Fleet","currency":"EUR","time_zone":"Europe/Berlin",
    "sites":{"only":{"sites":["S1"],"groups":["depots"]}},
    "discounts":[{"dimension":"ENERGY","by":{"price":0.35}},
                 {"dimension":"TIME","by":{"percent":12.5}}],
    "waive_start_fee":true,
    "allowances":[{"dimension":"PARKING_TIME","quantity":60,"per":"session"}],
    "spending_cap":{"amount":5000,"currency":"EUR","per":"month"},"cost_centre":"4711"}"#;

fn ontario() -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/rating/utility-ontario");
    let text = fs::read_to_string(format!("{folder}/schedule.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Every place in `value`, from the root on.
fn places(value: &Value, path: &str, into: &mut Vec<String>) {
    into.push(path.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{path}/{index}"), into);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                places(field, &format!("{path}/{name}"), into);
            }
        }
        _ => {}
    }
}

fn hostile() -> impl Strategy<Value = Value> {
    let odd = vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1e-28),
        json!(1e28),
        json!(1e300),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.1),
        json!(""),
        json!("all"),
        json!("a\nb\u{0}"),
        json!("x".repeat(5000)),
        json!("02-29"),
        json!("24:00"),
        json!("00:00"),
        json!("12:00"),
        json!("Africa/Casablanca"),
        json!("JPY"),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!(vec![1; 501]),
        json!({"nth": 5, "weekday": "MONDAY", "month": 2}),
        json!({"easter": 250}),
        json!({"weekday": "SUNDAY", "before": "01-01"}),
        json!({"dates": ["-262142-01-01", "+262142-12-31", "9999-12-31"]}),
        json!({"percent": 1e28}),
        json!({"only": {}}),
        json!(["every_day"]),
        json!(["holidays", "holidays"]),
    ];
    prop::sample::select(odd)
}

/// `value` with something odd in up to three of its places.
fn spoilt(value: Value) -> impl Strategy<Value = String> {
    let mut paths = Vec::new();
    places(&value, "", &mut paths);
    let changes = prop::collection::vec((prop::sample::select(paths), hostile()), 1..4);
    changes.prop_map(move |changes| {
        let mut value = value.clone();
        for (path, odd) in changes {
            if let Some(place) = value.pointer_mut(&path) {
                *place = odd;
            }
        }
        value.to_string()
    })
}

fn span() -> impl Strategy<Value = Span> {
    let dates = ["2022-11-01", "2023-11-01", "1970-01-01", "9990-12-31", "2024-02-29"];
    let dates = dates.into_iter().map(|date| date.parse().unwrap());
    let dates: Vec<NaiveDate> = dates.chain([NaiveDate::MIN, NaiveDate::MAX]).collect();
    let date = || prop::sample::select(dates.clone());
    (date(), date()).prop_map(|(from, until)| Span { from, until })
}

fn one_line_each(problems: &[Problem]) -> bool {
    let lines = problems.iter().map(Problem::to_string);
    !problems.is_empty() && lines.into_iter().all(|line| !line.contains('\n') && line.len() < 400)
}

fn is_one_line(finding: &Finding) -> bool {
    !finding.message.contains('\n') && !finding.message.is_empty()
}

proptest! {
    #[test]
    fn a_spoilt_plan_is_read_or_refused(text in spoilt(serde_json::from_str(PLAN).unwrap())) {
        match plans::read::plan(&text) {
            Err(problems) => prop_assert!(one_line_each(&problems), "{:?}", problems),
            Ok(plan) => {
                let known = Known { sites: Some(&[]), tariffs: Some(&[]) };
                prop_assert!(plan.validate(&known).iter().all(is_one_line));
                if let Ok(written) = plans::write(&plan) {
                    prop_assert_eq!(plans::read::plan(&written).unwrap(), plan);
                }
            }
        }
    }

    #[test]
    fn a_spoilt_schedule_is_read_or_refused(text in spoilt(ontario()), span in span()) {
        match plans::read::schedule(&text) {
            Err(problems) => prop_assert!(one_line_each(&problems), "{:?}", problems),
            Ok(schedule) => {
                let around = r#"{"id":"T1","currency":"CAD","elements":[
                    {"price_components":[{"type":"FLAT","price":1}]}]}"#;
                let around = ocpi::read::tariff(around).unwrap();
                let tariff = schedule.compile(span, schedule.time_zone, &around);
                match tariff {
                    Err(findings) => prop_assert!(findings.iter().all(is_one_line)),
                    // Whatever compiles can be written.
                    Ok(tariff) => prop_assert!(serde_json::to_string(&tariff).is_ok()),
                }
                if let Ok(written) = plans::write(&schedule) {
                    prop_assert_eq!(plans::read::schedule(&written).unwrap(), schedule);
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:0-9a-z ]{0,40}") {
        prop_assert!(plans::read::plan(&text).is_err_and(|problems| one_line_each(&problems)));
        prop_assert!(plans::read::schedule(&text).is_err_and(|problems| one_line_each(&problems)));
    }
}
