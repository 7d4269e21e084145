//! Inputs of a size that nobody sends by mistake: they end too, and soon.

use std::{fmt::Write as _, fs, path::PathBuf};

use serde_json::{Value, json};
use tallywatt::price::{self, Answer, PriceArgs, RuleArgs};

use crate::engine;

/// A folder with a tariff and what happened.
struct Files {
    folder: tempfile::TempDir,
    bytes: usize,
}

impl Files {
    fn new(tariff: &str, happened: &str) -> Self {
        let files =
            Self { folder: tempfile::tempdir().unwrap(), bytes: tariff.len() + happened.len() };
        fs::write(files.path("tariff.json"), tariff).unwrap();
        fs::write(files.path("happened.json"), happened).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn answer(&self, what: &str, args: PriceArgs) -> Result<Answer, Vec<String>> {
        let args = PriceArgs {
            tariff: self.path("tariff.json"),
            rules: RuleArgs {
                timezone: Some("Europe/Amsterdam".to_owned()),
                ..RuleArgs::default()
            },
            ..args
        };
        engine::timed(what, self.bytes, || price::answer(&args)).unwrap()
    }

    fn of_timeline(&self, what: &str) -> Result<Answer, Vec<String>> {
        let timeline = Some(self.path("happened.json"));
        self.answer(what, PriceArgs { timeline, ..PriceArgs::default() })
    }

    fn of_cdr(&self, what: &str) -> Result<Answer, Vec<String>> {
        let cdr = Some(self.path("happened.json"));
        self.answer(what, PriceArgs { cdr, ..PriceArgs::default() })
    }
}

fn tariff(elements: &[Value]) -> String {
    json!({"country_code": "NL", "party_id": "TWT", "id": "T1", "currency": "EUR",
        "elements": elements, "last_updated": "2026-01-01T00:00:00Z"})
    .to_string()
}

fn element(restrictions: &Value) -> Value {
    json!({"price_components": [
        {"type": "ENERGY", "price": 0.25, "step_size": 1},
        {"type": "TIME", "price": 1.2, "step_size": 1},
    ], "restrictions": restrictions})
}

/// A year with 100 `MWh`; `samples` as JSON.
fn year(samples: &str) -> String {
    format!(
        r#"{{"started_at":"2026-01-01T00:00:00Z","ended_at":"2027-01-01T00:00:00Z",
            "released_at":null,"meter_start":"0","meter_stop":"100000000",
            "samples":[{samples}],"statuses":[]}}"#
    )
}

fn cost(answer: &Result<Answer, Vec<String>>) -> String {
    let answer = answer.as_ref().unwrap_or_else(|problems| panic!("{problems:?}"));
    serde_json::to_value(answer).unwrap()["total_energy_cost"]["excl_vat"].to_string()
}

#[test]
fn a_year_with_a_price_for_every_minute_of_the_day_is_priced() {
    // Half a million changes of price: 1440 elements, one a minute, all of one price.
    let clock = |minute: u32| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let minutes = (0..1440).map(|minute| {
        element(&json!({"start_time": clock(minute), "end_time": clock(minute + 1)}))
    });
    let files = Files::new(&tariff(&minutes.collect::<Vec<_>>()), &year(""));
    assert_eq!(cost(&files.of_timeline("a price a minute")), "25000");
}

#[test]
fn a_hundred_thousand_readings_in_any_order_are_priced() {
    let mut samples = String::new();
    for n in 0_u32..100_000 {
        // Each minute once, in an order that is none; a tenth of them contradict the others.
        let minute = n * 7919 % 100_000;
        let wh = if n % 10 == 0 { minute * 3 } else { minute * 190 };
        let (day, hour, minute) = (minute / 1440, minute / 60 % 24, minute % 60);
        let (month, day) = (day / 28 + 1, day % 28 + 1);
        let comma = if n == 0 { "" } else { "," };
        write!(
            samples,
            r#"{comma}{{"at":"2026-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z","energy":"{wh}"}}"#
        )
        .unwrap();
    }
    let files = Files::new(&tariff(&[element(&json!({}))]), &year(&samples));
    assert_eq!(cost(&files.of_timeline("readings in disorder")), "25000");
}

#[test]
fn a_cdr_of_a_hundred_thousand_periods_is_priced() {
    let period = |n: u32| {
        let (hour, minute, second) = (n / 3600, n / 60 % 60, n % 60);
        let (day, hour) = (hour / 24 + 1, hour % 24);
        json!({"start_date_time": format!("2026-05-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
        "dimensions": [
            {"type": "ENERGY", "volume": 0.001}, {"type": "TIME", "volume": 0.0003},
        ]})
    };
    let periods: Vec<Value> = (0..100_000).map(period).collect();
    let cdr = json!({"start_date_time": "2026-05-01T00:00:00Z",
        "end_date_time": "2026-05-02T03:46:40Z",
        "currency": "EUR", "charging_periods": periods, "total_energy": 100});
    let night = element(&json!({"start_time": "23:00", "end_time": "07:00"}));
    let files = Files::new(&tariff(&[night, element(&json!({}))]), &cdr.to_string());
    assert_eq!(cost(&files.of_cdr("periods")), "25");
}

#[test]
fn a_tariff_of_a_hundred_thousand_elements_is_priced() {
    let steps = (0..100_000).map(|n| {
        let mut element = element(&json!({"min_duration": n * 316, "max_duration": (n + 1) * 316}));
        // Energy alone, or it would share its cents with the time.
        element["price_components"] = json!([{"type": "ENERGY", "price": 0.25, "step_size": 1}]);
        element
    });
    let files = Files::new(&tariff(&steps.collect::<Vec<_>>()), &year(""));
    assert_eq!(cost(&files.of_timeline("elements")), "25000");
}

/// Nobody can say where these prices change without asking all of them each time.
#[test]
fn a_tariff_that_would_take_minutes_is_refused() {
    let nested = (0..50_000).map(|n| {
        element(
            &json!({"min_duration": n * 300, "max_duration": 31_536_000 - n, "min_power": 1000}),
        )
    });
    let files = Files::new(&tariff(&nested.collect::<Vec<_>>()), &year(""));
    let problems = files.of_timeline("nested").unwrap_err();
    assert!(problems[0].starts_with("the tariff is too large"), "{problems:?}");
}

#[test]
fn a_file_of_anything_is_refused_at_once() {
    let long = format!("\"{}\"", "x".repeat(10_000_000));
    let digits = "9".repeat(1_000_000);
    let deep = "[".repeat(1_000_000);
    for text in [long, digits, deep, "{\"a\":".repeat(100_000)] {
        let problems = Files::new(&text, &text).of_cdr("anything").unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.len() < 400), "{problems:?}");
    }
}

#[test]
fn of_very_many_problems_the_first_are_told_and_how_many_there_are() {
    let periods: Vec<Value> = (0..10_000).map(|_| json!({"start_date_time": 7})).collect();
    let cdr = json!({"start_date_time": "2026-05-01T00:00:00Z",
        "end_date_time": "2026-05-02T03:46:40Z",
        "currency": "EUR", "charging_periods": periods});
    let files = Files::new(&tariff(&[element(&json!({}))]), &cdr.to_string());
    let problems = files.of_cdr("problems").unwrap_err();
    assert_eq!(problems.len(), 101);
    assert!(problems[100].ends_with("more problems"), "{}", problems[100]);
}
