//! What the tests build schedules from.

use chrono::NaiveDate;
use chrono_tz::Tz;
use ocpi::Tariff;
use plans::{
    Finding, Schedule,
    schedule::{DateRule, DayKind, DayPrices, PricePeriod, Season},
};
use rust_decimal::Decimal;

pub(crate) const ZONE: Tz = Tz::America__Toronto;

pub(crate) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A tariff that only charges for starting.
pub(crate) fn around() -> Tariff {
    let text = r#"{"country_code":"CA","party_id":"TWT","id":"TOU","currency":"CAD","elements":[
        {"price_components":[{"type":"FLAT","price":1.00,"step_size":1}]}],
        "last_updated":"2026-01-01T00:00:00Z"}"#;
    serde_json::from_str(text).unwrap()
}

pub(crate) fn period(name: &str, from: &str, to: &str, cents: i64) -> PricePeriod {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    PricePeriod { name: name.to_owned(), from, to, price: Decimal::new(cents, 2) }
}

pub(crate) fn all_day(on: Vec<DayKind>, cents: i64) -> DayPrices {
    DayPrices { on, periods: vec![period("all day", "00:00", "24:00", cents)] }
}

pub(crate) fn season(name: &str, from: &str, to: &str, days: Vec<DayPrices>) -> Season {
    let rule = |day: &str| DateRule::Fixed(day.parse().unwrap());
    Season { name: name.to_owned(), from: rule(from), to: rule(to), days }
}

pub(crate) fn schedule(seasons: Vec<Season>) -> Schedule {
    Schedule {
        name: "TOU".to_owned(),
        source: "a utility".to_owned(),
        currency: "CAD".parse().unwrap(),
        time_zone: ZONE,
        seasons,
        holidays: vec![],
        margin: None,
    }
}

pub(crate) fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{}: {}: {}", f.code, f.place, f.message)).collect()
}
