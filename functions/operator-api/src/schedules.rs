//! A utility's schedule of time-of-use prices, published as the energy prices of a tariff.

use chrono::NaiveDate;
use http_api::{Problem, ProblemType, Violation};
use ocpi::{Tariff, read};
use plans::{Finding, schedule::Span};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A utility's schedule that gives the tariff its prices of energy.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleBody {
    /// The first day that it is compiled for. Dates of holidays differ from year to year.
    from: NaiveDate,
    /// The day after the last. The tariff is valid in between.
    until: NaiveDate,
    /// What it says: `name`, `source`, `currency`, `time_zone`, `seasons` with `days` and their
    /// `periods`, `holidays`, `margin`.
    #[schema(value_type = Object)]
    prices: Map<String, Value>,
}

impl ScheduleBody {
    /// `around` with the schedule's prices of energy.
    pub(crate) fn compile(self, around: &Tariff) -> Result<Tariff, Problem> {
        let Self { from, until, prices } = self;
        let schedule = plans::read::schedule(&Value::Object(prices).to_string());
        let unread = |problem: read::Problem| violation(&problem.path, problem.message, None);
        let schedule = schedule.map_err(|problems| refused(problems, unread))?;
        let refuses =
            |finding: Finding| violation(&finding.place, finding.message, Some(finding.code));
        let compiled = schedule.compile(Span { from, until }, schedule.time_zone, around);
        compiled.map_err(|findings| refused(findings, refuses))
    }
}

fn refused<T>(wrong: Vec<T>, violation: impl Fn(T) -> Violation) -> Problem {
    Problem::invalid(ProblemType::InvalidTariff, wrong.into_iter().map(violation).collect())
}

/// A place such as `seasons[0].days` as a JSON pointer into the request.
fn violation(place: &str, detail: String, code: Option<String>) -> Violation {
    let place = place.replace(['.', '['], "/").replace(']', "");
    let pointer = format!("/schedule/prices/{place}");
    Violation { pointer: pointer.trim_end_matches('/').to_owned(), detail, code }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(on: &str) -> Result<Tariff, Problem> {
        let period = json!({ "name": "all", "from": "00:00", "to": "24:00", "price": 0.23 });
        let body: ScheduleBody = serde_json::from_value(json!({
            "from": "2026-01-01", "until": "2027-01-01",
            "prices": {
                "name": "Flat", "source": "the utility", "currency": "USD",
                "time_zone": "America/Los_Angeles",
                "seasons": [{ "name": "year", "from": "01-01", "to": "12-31", "days": [
                    { "on": [on], "periods": [period] },
                ] }],
                "margin": { "percent": 20, "per_kwh": 0.05, "decimals": 3 },
            },
        }))
        .unwrap();
        let around = json!({ "id": "TOU", "currency": "USD", "elements": [
            { "price_components": [{ "type": "FLAT", "price": 1.00, "step_size": 1 }] },
        ] });
        body.compile(&read::tariff(&around.to_string()).unwrap())
    }

    #[test]
    fn a_schedule_becomes_prices_of_energy_before_the_rest_of_the_tariff() {
        let tariff = compiled("every_day").unwrap();
        let prices = tariff.elements.iter().map(|element| element.price_components[0].price);
        let prices: Vec<_> = prices.map(|price| price.normalize().to_string()).collect();
        assert_eq!(prices, ["0.326", "1"]);
    }

    #[test]
    fn what_is_wrong_with_a_schedule_is_told_with_its_place() {
        let problem = compiled("weekdays").unwrap_err();
        let pointers: Vec<_> = problem.errors().iter().map(|error| &*error.pointer).collect();
        assert!(pointers.iter().all(|at| at.starts_with("/schedule/prices/")), "{pointers:?}");
        assert!(!pointers.is_empty());
    }
}
