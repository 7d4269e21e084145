//! Reads schedules.

use ocpi::DayOfWeek;

use super::{currency_at, node::Node};
use crate::schedule::{
    DateRule, DayKind, DayPrices, Holiday, Margin, Observed, PricePeriod, Schedule, Season,
};

const CLOCK: &str = "a time of day such as 07:00, at most 24:00";
const MONTH_DAY: &str = "a month and a day such as 12-25";

const WEEKDAYS: [(&str, DayOfWeek); 7] = [
    ("MONDAY", DayOfWeek::Monday),
    ("TUESDAY", DayOfWeek::Tuesday),
    ("WEDNESDAY", DayOfWeek::Wednesday),
    ("THURSDAY", DayOfWeek::Thursday),
    ("FRIDAY", DayOfWeek::Friday),
    ("SATURDAY", DayOfWeek::Saturday),
    ("SUNDAY", DayOfWeek::Sunday),
];

const OBSERVED: [(&str, Observed); 4] = [
    ("same_day", Observed::SameDay),
    ("sunday_to_monday", Observed::SundayToMonday),
    ("nearest_weekday", Observed::NearestWeekday),
    ("next_free_weekday", Observed::NextFreeWeekday),
];

pub(super) fn schedule_at(node: &Node) -> Option<Schedule> {
    let known = ["name", "source", "currency", "time_zone", "seasons", "holidays", "margin"];
    if !node.fields(&known) {
        return None;
    }
    let name = node.field("name").text();
    let source = node.field("source").text();
    let currency = currency_at(&node.field("currency"));
    let time_zone = node.field("time_zone").parsed("an IANA time zone such as America/Toronto");
    let seasons = some(&node.field("seasons"), season_at);
    let holidays = node.field("holidays").list().iter().filter_map(holiday_at).collect();
    let margin = node.present("margin").map(|margin| margin_at(&margin));
    Some(Schedule {
        name: name?,
        source: source?,
        currency: currency?,
        time_zone: time_zone?,
        seasons,
        holidays,
        margin: margin.unwrap_or_default(),
    })
}

/// The items of a list that must have some.
fn some<T>(node: &Node, read: fn(&Node) -> Option<T>) -> Vec<T> {
    let items = node.list();
    if node.is_empty() {
        node.problem("missing or empty; state at least one");
    }
    items.iter().filter_map(read).collect()
}

fn season_at(node: &Node) -> Option<Season> {
    if !node.fields(&["name", "from", "to", "days"]) {
        return None;
    }
    let name = node.field("name").text();
    let from = rule_at(&node.field("from"));
    let to = rule_at(&node.field("to"));
    let days = some(&node.field("days"), day_prices_at);
    Some(Season { name: name?, from: from?, to: to?, days })
}

fn day_prices_at(node: &Node) -> Option<DayPrices> {
    if !node.fields(&["on", "periods"]) {
        return None;
    }
    let on = some(&node.field("on"), |kind| kind.choice(&DayKind::ALL));
    let periods = some(&node.field("periods"), period_at);
    Some(DayPrices { on, periods })
}

fn period_at(node: &Node) -> Option<PricePeriod> {
    if !node.fields(&["name", "from", "to", "price"]) {
        return None;
    }
    let name = node.field("name").text();
    let from = node.field("from").parsed(CLOCK);
    let to = node.field("to").parsed(CLOCK);
    let price = node.field("price").number();
    Some(PricePeriod { name: name?, from: from?, to: to?, price: price? })
}

fn holiday_at(node: &Node) -> Option<Holiday> {
    if !node.fields(&["name", "on", "observed"]) {
        return None;
    }
    let name = node.field("name").text();
    let on = rule_at(&node.field("on"));
    let observed = node.present("observed").map(|observed| observed.choice(&OBSERVED));
    Some(Holiday { name: name?, on: on?, observed: observed.unwrap_or(Some(Observed::SameDay))? })
}

fn rule_at(node: &Node) -> Option<DateRule> {
    if node.is_text() {
        return node.parsed(MONTH_DAY).map(DateRule::Fixed);
    }
    let stated: Vec<&str> = ["nth", "last", "before", "easter", "dates"]
        .into_iter()
        .filter(|name| node.has(name))
        .collect();
    // A field of another rule would be passed over: it may be the one that is meant.
    let known: &[&str] = match *stated.as_slice() {
        ["nth"] => &["nth", "weekday", "month"],
        ["last"] => &["last", "month"],
        ["before"] => &["weekday", "before"],
        ["easter"] => &["easter"],
        ["dates"] => &["dates"],
        _ => &["nth", "weekday", "month", "last", "before", "easter", "dates"],
    };
    if !node.fields(known) {
        return None;
    }
    match *stated.as_slice() {
        ["nth"] => {
            let nth = node.field("nth").integer(1, 5).and_then(|nth| u8::try_from(nth).ok());
            let (weekday, month) = (weekday_at(&node.field("weekday")), month_at(node));
            Some(DateRule::Nth { nth: nth?, weekday: weekday?, month: month? })
        }
        ["last"] => {
            let (last, month) = (weekday_at(&node.field("last")), month_at(node));
            Some(DateRule::Last { last: last?, month: month? })
        }
        ["before"] => {
            let weekday = weekday_at(&node.field("weekday"));
            let before = node.field("before").parsed(MONTH_DAY);
            Some(DateRule::Before { weekday: weekday?, before: before? })
        }
        ["easter"] => {
            let easter = node.field("easter").integer(-100, 250)?;
            Some(DateRule::Easter { easter: i32::try_from(easter).ok()? })
        }
        ["dates"] => {
            let dates = node.field("dates").list();
            let dates = dates.iter().filter_map(|date| date.parsed("a date such as 2026-11-03"));
            Some(DateRule::Dates { dates: dates.collect() })
        }
        _ => {
            node.problem(
                "not one rule; use 12-25, nth with weekday and month, last with month, \
                 before with weekday, easter, or dates",
            );
            None
        }
    }
}

fn weekday_at(node: &Node) -> Option<DayOfWeek> {
    node.choice(&WEEKDAYS)
}

fn month_at(node: &Node) -> Option<u32> {
    node.field("month").integer(1, 12).and_then(|month| u32::try_from(month).ok())
}

fn margin_at(node: &Node) -> Option<Margin> {
    if !node.fields(&["percent", "per_kwh", "decimals"]) {
        return None;
    }
    let number = |name| node.present(name).map_or(Some(0.into()), |field| field.number());
    let percent = number("percent");
    let per_kwh = number("per_kwh");
    let decimals = node.field("decimals").integer(0, 8).and_then(|n| u32::try_from(n).ok());
    Some(Margin { percent: percent?, per_kwh: per_kwh?, decimals: decimals? })
}

#[cfg(test)]
mod tests {
    use ocpi::read::Problem;

    #[test]
    fn everything_that_is_wrong_with_a_schedule_is_told_at_once() {
        let text = r#"{"name":"TOU","source":"utility.example","currency":"CAD","time_zone":"EDT",
            "seasons":[{"name":"winter","from":"11-31","to":{"nth":6,"weekday":"MONDAY","month":4},
                        "days":[{"on":["workdays"],"periods":[
                            {"name":"off","from":"7:00","to":"25:00","price":"0.1","until":"24:00"}]},
                            {"periods":{}}]}, {"name":"summer","from":{},"to":{"easter":1,"dates":[]},"days":[]}],
            "holidays":[{"name":"Family Day","on":{"last":"FUNDAY","month":13},"observed":"monday"},
                        {"name":"Election","on":{"dates":["3 November"]}}],
            "margin":{"percent":"15"}}"#;
        let problems = crate::read::schedule(text).unwrap_err();
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        let rules = "not one rule; use 12-25, nth with weekday and month, last with month, \
                     before with weekday, easter, or dates";
        let weekdays = "MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY";
        assert_eq!(
            lines,
            [
                "time_zone: \"EDT\" is not an IANA time zone such as America/Toronto",
                "seasons[0].from: \"11-31\" is not a month and a day such as 12-25",
                "seasons[0].to.nth: 6 is not a whole number from 1 to 5",
                "seasons[0].days[0].on[0]: \"workdays\" is not every_day, weekdays, weekends, \
                 holidays, monday, tuesday, wednesday, thursday, friday, saturday, sunday",
                "seasons[0].days[0].periods[0].until: unknown; use name, from, to, price",
                "seasons[0].days[0].periods[0].from: \"7:00\" is not a time of day such as 07:00, \
                 at most 24:00",
                "seasons[0].days[0].periods[0].to: \"25:00\" is not a time of day such as 07:00, \
                 at most 24:00",
                "seasons[0].days[0].periods[0].price: \"0.1\" is not a number",
                "seasons[0].days[1].on: missing or empty; state at least one",
                "seasons[0].days[1].periods: {} is not a list",
                &format!("seasons[1].from: {rules}"),
                &format!("seasons[1].to: {rules}"),
                "seasons[1].days: missing or empty; state at least one",
                &format!("holidays[0].on.last: \"FUNDAY\" is not {weekdays}"),
                "holidays[0].on.month: 13 is not a whole number from 1 to 12",
                "holidays[0].observed: \"monday\" is not same_day, sunday_to_monday, \
                 nearest_weekday, next_free_weekday",
                "holidays[1].on.dates[0]: \"3 November\" is not a date such as 2026-11-03",
                "margin.percent: \"15\" is not a number",
                "margin.decimals: missing",
            ]
        );
    }

    #[test]
    fn a_rule_takes_its_own_fields_only() {
        for (rule, problem) in [
            (
                r#"{"last":"MONDAY","month":5,"weekday":"TUESDAY"}"#,
                "weekday: unknown; use last, month",
            ),
            (r#"{"easter":1,"month":5}"#, "month: unknown; use easter"),
            (
                r#"{"weekday":"MONDAY","before":"05-25","month":6}"#,
                "month: unknown; use weekday, before",
            ),
            (r#"{"dates":["2026-11-03"],"month":3}"#, "month: unknown; use dates"),
            (
                r#"{"nth":1,"weekday":"MONDAY","month":9,"day":1}"#,
                "day: unknown; use nth, weekday, month",
            ),
        ] {
            let text = format!(
                r#"{{"name":"TOU","source":"utility.example","currency":"CAD",
                "time_zone":"America/Toronto","seasons":[{{"name":"all","from":"01-01",
                "to":"12-31","days":[{{"on":["every_day"],"periods":[{{"name":"flat",
                "from":"00:00","to":"24:00","price":0.1}}]}}]}}],
                "holidays":[{{"name":"a","on":{rule}}}]}}"#
            );
            let problems = crate::read::schedule(&text).unwrap_err();
            let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
            assert_eq!(lines, [format!("holidays[0].on.{problem}")]);
        }
    }

    #[test]
    fn every_rule_is_read_as_it_is_written() {
        let text = r#"{"name":"TOU","source":"utility.example","currency":"CAD","time_zone":"America/Toronto","seasons":[{"name":"all year","from":"01-01","to":"12-31","days":[{"on":["weekdays","sunday"],"periods":[{"name":"flat","from":"00:00","to":"24:00","price":0.1}]}]}],"holidays":[{"name":"a","on":"12-25","observed":"same_day"},{"name":"b","on":{"nth":3,"weekday":"MONDAY","month":2},"observed":"next_free_weekday"},{"name":"c","on":{"last":"MONDAY","month":5},"observed":"nearest_weekday"},{"name":"d","on":{"weekday":"MONDAY","before":"05-25"},"observed":"sunday_to_monday"},{"name":"e","on":{"easter":-2},"observed":"same_day"},{"name":"f","on":{"dates":["2026-11-03"]},"observed":"same_day"}],"margin":{"percent":15,"per_kwh":0.05,"decimals":4}}"#;
        let schedule = crate::read::schedule(text).unwrap();
        assert_eq!(serde_json::to_string(&schedule).unwrap(), text);
        let stored: crate::Schedule = serde_json::from_str(text).unwrap();
        assert_eq!(stored, schedule);
    }
}
