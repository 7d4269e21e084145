//! Reads plans and schedules that people wrote: all that is wrong is told at once, each with its place
//! and what belongs there. What cannot be right whatever the network looks like is refused here;
//! what depends on sites and tariffs is told by [`crate::Plan::validate`] and
//! [`crate::Schedule::validate`].

mod node;
mod schedule;

use std::cell::RefCell;

use ocpi::{TariffDimensionType, json, read::Problem};
use quantities::{Currency, Money};

use crate::{Allowance, Discount, Period, Plan, Reduction, Schedule, Scope, SpendingCap};
use node::Node;

/// Reads a [`Plan`].
///
/// # Errors
///
/// Every problem found.
pub fn plan(text: &str) -> Result<Plan, Vec<Problem>> {
    read(text, plan_at)
}

/// Reads a [`Schedule`].
///
/// # Errors
///
/// Every problem found.
pub fn schedule(text: &str) -> Result<Schedule, Vec<Problem>> {
    read(text, schedule::schedule_at)
}

fn read<T>(text: &str, read: impl FnOnce(&Node) -> Option<T>) -> Result<T, Vec<Problem>> {
    let value = json::parse(text)?;
    let problems = RefCell::default();
    let read = read(&Node::root(&value, &problems));
    let problems = problems.into_inner();
    read.filter(|_| problems.is_empty()).ok_or(problems)
}

const DIMENSIONS: [(&str, TariffDimensionType); 4] = [
    ("ENERGY", TariffDimensionType::Energy),
    ("FLAT", TariffDimensionType::Flat),
    ("PARKING_TIME", TariffDimensionType::ParkingTime),
    ("TIME", TariffDimensionType::Time),
];

fn plan_at(node: &Node) -> Option<Plan> {
    let known = [
        "id",
        "name",
        "currency",
        "time_zone",
        "sites",
        "discounts",
        "waive_start_fee",
        "allowances",
        "spending_cap",
        "cost_centre",
    ];
    if !node.fields(&known) {
        return None;
    }
    let id = node.field("id").parsed("1 to 36 letters, digits or -_.:*|");
    let name = node.field("name").text();
    let currency = currency_at(&node.field("currency"));
    let time_zone = node.field("time_zone").parsed("an IANA time zone such as Europe/Amsterdam");
    let sites = sites_at(node);
    let discounts = node.field("discounts").list();
    let discounts = discounts.iter().filter_map(discount_at).collect();
    let waive = node.present("waive_start_fee").map(|waive| waive.flag());
    let allowances = node.field("allowances").list();
    let allowances = allowances.iter().filter_map(allowance_at).collect();
    let spending_cap = node.present("spending_cap").map(|cap| cap_at(&cap, currency));
    let cost_centre = node.present("cost_centre").map(|centre| centre.text());
    Some(Plan {
        id: id?,
        name: name?,
        currency: currency?,
        time_zone: time_zone?,
        sites: sites?,
        discounts,
        waive_start_fee: waive.unwrap_or(Some(false))?,
        allowances,
        spending_cap: spending_cap.unwrap_or_default(),
        cost_centre: cost_centre.unwrap_or_default(),
    })
}

fn currency_at(node: &Node) -> Option<Currency> {
    node.parsed("an ISO 4217 currency code such as EUR")
}

/// Without a word on sites it is for all. A `null` may be a name that a template did not fill in.
fn sites_at(node: &Node) -> Option<Scope> {
    if node.is_null("sites") {
        node.field("sites").problem("null; write \"all\", or leave it out for every site");
        return None;
    }
    node.present("sites").map_or(Some(Scope::All), |sites| scope_at(&sites))
}

/// `"all"`, or `{"only": {"sites": […], "groups": […]}}`.
fn scope_at(node: &Node) -> Option<Scope> {
    if node.is_text() {
        node.parsed::<All>("all, or an object with only")?;
        return Some(Scope::All);
    }
    if !node.fields(&["only"]) {
        return None;
    }
    let only = node.field("only");
    if !only.fields(&["sites", "groups"]) {
        return None;
    }
    let sites = only.field("sites").list();
    let groups = only.field("groups").list();
    if sites.is_empty() && groups.is_empty() {
        only.problem("names no site and no group; name one, or write \"sites\": \"all\"");
    }
    let sites = sites.iter().filter_map(|site| site.parsed("a site's id")).collect();
    let groups = groups.iter().filter_map(Node::text).collect();
    Some(Scope::Only { sites, groups })
}

/// The word `all`.
struct All;

impl std::str::FromStr for All {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "all" { Ok(Self) } else { Err(()) }
    }
}

fn discount_at(node: &Node) -> Option<Discount> {
    if !node.fields(&["dimension", "by"]) {
        return None;
    }
    let dimension = node.field("dimension").choice(&DIMENSIONS);
    let by = reduction_at(&node.field("by"));
    Some(Discount { dimension: dimension?, by: by? })
}

fn reduction_at(node: &Node) -> Option<Reduction> {
    if !node.fields(&["percent", "amount", "price"]) {
        return None;
    }
    let stated = |name| node.present(name).map(|field| field.number());
    match (stated("percent"), stated("amount"), stated("price")) {
        (Some(percent), None, None) => percent.map(Reduction::Percent),
        (None, Some(amount), None) => amount.map(Reduction::Amount),
        (None, None, Some(price)) => price.map(Reduction::Price),
        _ => {
            node.problem("not exactly one of percent, amount, price");
            None
        }
    }
}

fn allowance_at(node: &Node) -> Option<Allowance> {
    if !node.fields(&["dimension", "quantity", "per"]) {
        return None;
    }
    let dimension = node.field("dimension").choice(&DIMENSIONS);
    let quantity = node.field("quantity").number();
    let per = period_at(&node.field("per"));
    Some(Allowance { dimension: dimension?, quantity: quantity?, per: per? })
}

fn period_at(node: &Node) -> Option<Period> {
    node.choice(&[("session", Period::Session), ("month", Period::Month)])
}

/// Without a currency of its own, a cap is in the plan's.
fn cap_at(node: &Node, plan: Option<Currency>) -> Option<SpendingCap> {
    if !node.fields(&["amount", "currency", "per"]) {
        return None;
    }
    let amount = node.field("amount").number();
    let currency = node.present("currency").map_or(plan, |currency| currency_at(&currency));
    node.field("per").choice(&[("month", Period::Month)]);
    Some(SpendingCap { amount: Money::new(amount?, currency?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines<T: std::fmt::Debug>(read: Result<T, Vec<Problem>>) -> Vec<String> {
        read.unwrap_err().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn everything_that_is_wrong_with_a_plan_is_told_at_once() {
        let text = r#"{"id":"a/b","name":7,"currency":"EURO","time_zone":"Amsterdam",
            "sites":"some","discount":[],
            "discounts":[{"dimension":"KWH","by":{"percent":"10"}},
                         {"dimension":"ENERGY","by":{"percent":10,"price":0.3}},
                         {"dimension":"ENERGY"}, 5],
            "waive_start_fee":"yes",
            "allowances":[{"dimension":"ENERGY","quantity":null,"per":"year"}],
            "spending_cap":{"amount":100,"currency":"USD","per":"session"}}"#;
        assert_eq!(
            lines(plan(text)),
            [
                "discount: unknown; use id, name, currency, time_zone, sites, discounts, \
                 waive_start_fee, allowances, spending_cap, cost_centre",
                "id: \"a/b\" is not 1 to 36 letters, digits or -_.:*|",
                "name: 7 is not one line of text",
                "currency: \"EURO\" is not an ISO 4217 currency code such as EUR",
                "time_zone: \"Amsterdam\" is not an IANA time zone such as Europe/Amsterdam",
                "sites: \"some\" is not all, or an object with only",
                "discounts[0].dimension: \"KWH\" is not ENERGY, FLAT, PARKING_TIME, TIME",
                "discounts[0].by.percent: \"10\" is not a number",
                "discounts[1].by: not exactly one of percent, amount, price",
                "discounts[2].by: missing",
                "discounts[3]: 5 is not an object with dimension, by",
                "waive_start_fee: \"yes\" is not true or false",
                "allowances[0].quantity: missing",
                "allowances[0].per: \"year\" is not session, month",
                "spending_cap.per: \"session\" is not month",
            ]
        );
        assert!(lines(plan("{"))[0].starts_with("not JSON: "));
        assert_eq!(lines(plan("[]"))[0].split(" with ").next(), Some("[] is not an object"));
    }

    #[test]
    fn a_plan_without_a_word_too_many_is_read() {
        let text = r#"{"id":"p","name":"P","currency":"JPY","time_zone":"Asia/Tokyo",
            "spending_cap":{"amount":100.5,"per":"month"}}"#;
        let plan = plan(text).unwrap();
        assert!(!plan.waive_start_fee && plan.discounts.is_empty() && plan.allowances.is_empty());
        let cap = plan.spending_cap.unwrap().amount;
        assert_eq!((cap.value.to_string(), cap.currency.code()), ("100.5".to_owned(), "JPY"));
    }

    #[test]
    fn a_scope_of_nothing_is_not_everywhere() {
        let text = r#"{"id":"p","name":"P","currency":"EUR","time_zone":"Europe/Berlin",
            "sites":{"only":{}}}"#;
        assert_eq!(
            lines(plan(text)),
            ["sites.only: names no site and no group; name one, or write \"sites\": \"all\""]
        );
    }

    #[test]
    fn sites_that_nobody_filled_in_are_not_everywhere() {
        let text = r#"{"id":"p","name":"P","currency":"EUR","time_zone":"Europe/Berlin",
            "sites":null}"#;
        assert_eq!(
            lines(plan(text)),
            ["sites: null; write \"all\", or leave it out for every site"]
        );
    }

    #[test]
    fn what_is_written_twice_is_told_not_chosen_from() {
        let text = r#"{"id":"p","name":"P","currency":"EUR","time_zone":"Europe/Berlin",
            "discounts":[{"dimension":"ENERGY","by":{"percent":10,"percent":1}}],"discounts":[],
            "currency":"USD"}"#;
        let twice = ["currency", "discounts", "discounts[0].by.percent"]
            .map(|path| format!("{path}: written more than once; keep one of them"));
        assert_eq!(lines(plan(text)), twice);
        let text = r#"{"margin":{"percent":15,"percent":1.5}}"#;
        assert_eq!(
            lines(schedule(text)),
            ["margin.percent: written more than once; keep one of them"]
        );
    }

    #[test]
    fn a_number_is_read_only_if_it_can_be_written_back_as_it_was() {
        let with = |number: &str| {
            plan(&format!(
                r#"{{"id":"p","name":"P","currency":"EUR","time_zone":"Europe/Berlin",
                "allowances":[{{"dimension":"ENERGY","quantity":{number},"per":"month"}}]}}"#
            ))
        };
        for number in ["0.12345678901234567890", "1234567890123456.5", "1e20", "1e-30", "1.5e-28"] {
            let problems = lines(with(number));
            let says = "is not a number of at most 15 digits";
            assert!(problems.len() == 1 && problems[0].ends_with(says), "{problems:?}");
        }
        for number in ["0.123456789012345", "999999999999999", "-0.25", "0.0", "250.00", "1e3"] {
            let plan = with(number).unwrap();
            assert_eq!(self::plan(&crate::write(&plan).unwrap()), Ok(plan), "{number}");
        }
    }

    #[test]
    fn a_wrong_value_is_shown_in_one_line_however_long_it_is() {
        let text = format!(r#"{{"id":"p\n{}"}}"#, "x".repeat(1000));
        let problem = &lines(plan(&text))[0];
        assert!(problem.len() < 150 && !problem.contains('\n'), "{problem}");
        let text = format!(r#"{{"p\n{}":1}}"#, "x".repeat(1000));
        let problem = &lines(plan(&text))[0];
        assert!(problem.len() < 250 && !problem.contains('\n'), "{problem}");
    }
}
