//! What a publisher is told about a plan.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use chrono_tz::Tz;
use network::{Address, Jurisdiction, Site};
use ocpi::Tariff;
use plans::{Finding, Known, Plan, Severity};
use quantities::{Amount, Currency};

fn plan(says: &str) -> Plan {
    let text = format!(
        r#"{{"id":"gold","name":"Gold","currency":"EUR","time_zone":"Europe/Amsterdam",{says}}}"#
    );
    plans::read::plan(&text).unwrap()
}

fn site(id: &str, groups: &[&str]) -> Site {
    Site {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        address: Address {
            street: "Kade 1".to_owned(),
            postal_code: None,
            city: "Utrecht".to_owned(),
            country: "NLD".to_owned(),
            latitude: "52.090700".to_owned(),
            longitude: "5.121400".to_owned(),
        },
        time_zone: Tz::Europe__Amsterdam,
        currency: Currency::EUR,
        jurisdiction: Jurisdiction::taxed(vec![]),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        hold: Amount::new(5000, Currency::EUR),
        hold_rule: None,
        payment: network::PaymentPolicy::default(),
        silent_after_s: 3600,
        release_wait_s: 3600,
    }
}

fn tariff(components: &str) -> Tariff {
    let text = format!(
        r#"{{"id":"T1","currency":"EUR","elements":[{{"price_components":[{components}]}},
            {{"price_components":[{{"type":"FLAT","price":5}}],
              "restrictions":{{"reservation":"RESERVATION"}}}}]}}"#
    );
    ocpi::read::tariff(&text).unwrap()
}

fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
        format!("{severity}: {}: {}: {}", finding.code, finding.place, finding.message)
    };
    findings.iter().map(line).collect()
}

#[test]
fn a_plan_that_cannot_be_meant_is_refused_field_by_field() {
    let plan = plan(
        r#""discounts":[{"dimension":"ENERGY","by":{"percent":100.5}},
                        {"dimension":"ENERGY","by":{"price":-0.1}},
                        {"dimension":"TIME","by":{"amount":-1}},
                        {"dimension":"FLAT","by":{"percent":0}}],
           "waive_start_fee":true,
           "allowances":[{"dimension":"ENERGY","quantity":0,"per":"month"},
                         {"dimension":"ENERGY","quantity":5,"per":"session"},
                         {"dimension":"FLAT","quantity":5,"per":"month"},
                         {"dimension":"PARKING_TIME","quantity":-1,"per":"month"}],
           "spending_cap":{"amount":0,"currency":"USD","per":"month"}"#,
    );
    assert_eq!(
        lines(&plan.validate(&Known::default())),
        [
            "error: cap_of_zero: spending_cap: 0 is no amount that anybody could spend; state more \
             than 0, or block the account",
            "error: currency_mismatch: spending_cap: the cap is in USD, the plan in EUR; use one \
             currency",
            "error: percent_out_of_range: discounts[0].by: 100.5 % is not from 0 to 100; at 100 \
             ENERGY is free",
            "error: discount_twice: discounts[1]: ENERGY has a discount already; leave one of them",
            "error: negative_price: discounts[1].by: a price of -0.1 is below zero; state 0 or more",
            "error: negative_amount: discounts[2].by: -1 off would be a surcharge; state 0 or more",
            "warning: waived_already: discounts[3]: the start fee is waived already; remove the \
             discount, or waive_start_fee",
            "warning: discount_of_zero: discounts[3].by: it takes nothing off; remove the discount",
            "error: allowance_of_zero: allowances[0].quantity: 0 kWh are none; state more, or \
             remove the allowance",
            "error: allowance_twice: allowances[1]: ENERGY has an allowance already; leave one of \
             them",
            "error: allowance_of_starts: allowances[2].dimension: a start has no quantity; use \
             waive_start_fee",
            "error: allowance_of_zero: allowances[3].quantity: -1 minutes are none; state more, or \
             remove the allowance",
        ]
    );
}

#[test]
fn a_percentage_that_was_meant_as_a_fraction_is_remarked_on() {
    let findings = |percent: &str| {
        let discount =
            format!(r#""discounts":[{{"dimension":"ENERGY","by":{{"percent":{percent}}}}}]"#);
        lines(&plan(&discount).validate(&Known::default()))
    };
    assert_eq!(
        findings("0.10"),
        ["warning: percent_below_one: discounts[0].by: 0.1 is less than one percent; for ten \
          percent write 10, not 0.10"]
    );
    assert_eq!(findings("1"), [""; 0]);
}

#[test]
fn a_plan_that_changes_nothing_says_so() {
    let plan = plan(r#""cost_centre":"4711""#);
    assert_eq!(
        lines(&plan.validate(&Known::default())),
        ["warning: changes_nothing: : it changes no price; add a discount, an allowance or a \
          spending cap"]
    );
}

#[test]
fn a_plan_is_held_against_the_sites_that_it_covers() {
    let mut sites = vec![site("S1", &["city"]), site("S2", &[]), site("S3", &["city"])];
    sites[0].jurisdiction.per_kwh_allowed = false;
    sites[1].jurisdiction.per_kwh_allowed = false;
    sites[2].currency = Currency::USD;
    let price = r#""discounts":[{"dimension":"TIME","by":{"percent":5}},
                                {"dimension":"ENERGY","by":{"price":0.35}}]"#;
    let known = Known { sites: Some(&sites), ..Known::default() };
    let limited =
        format!(r#""sites":{{"only":{{"sites":["S9"],"groups":["city","country"]}}}},{price}"#);
    assert_eq!(
        lines(&plan(&limited).validate(&known)),
        [
            "error: unknown_site: sites.only.sites[0]: there is no site `S9`; correct or remove it",
            "error: unknown_group: sites.only.groups[1]: no site belongs to `country`; correct or \
             remove it",
            "error: price_not_allowed: discounts[1].by.price: charging may not be sold per kWh at \
             site `S1`; state a percentage, or limit the plan to other sites",
            "error: currency_mismatch: sites: site `S3` sells in USD, the plan is in EUR; limit the \
             plan to other sites",
        ]
    );
    // For all sites: S2 has the same law; what does not apply for its currency is only a warning.
    let codes = |plan: Plan| -> Vec<(Severity, String)> {
        plan.validate(&known).into_iter().map(|f| (f.severity, f.code)).collect()
    };
    let not_allowed = (Severity::Error, "price_not_allowed".to_owned());
    let mismatch = (Severity::Warning, "currency_mismatch".to_owned());
    assert_eq!(codes(plan(price)), [not_allowed.clone(), not_allowed, mismatch.clone()]);
    let percent = r#""discounts":[{"dimension":"ENERGY","by":{"percent":10}}]"#;
    assert_eq!(codes(plan(percent)), [mismatch]);
}

#[test]
fn a_plan_is_held_against_the_tariffs_on_offer() {
    let tariffs = [
        tariff(r#"{"type":"ENERGY","price":0.45},{"type":"PARKING_TIME","price":0}"#),
        tariff(r#"{"type":"ENERGY","price":0.30},{"type":"TIME","price":2}"#),
    ];
    let known = Known { tariffs: Some(&tariffs), ..Known::default() };
    let says = r#""discounts":[{"dimension":"ENERGY","by":{"amount":0.46}},
                               {"dimension":"TIME","by":{"price":2.5}},
                               {"dimension":"FLAT","by":{"amount":1}}],
                  "allowances":[{"dimension":"PARKING_TIME","quantity":60,"per":"month"}]"#;
    assert_eq!(
        lines(&plan(says).validate(&known)),
        [
            "error: amount_above_price: discounts[0].by: 0.46 is more than the highest price, \
             0.45; to make it free state 100 percent",
            "warning: price_above_price: discounts[1].by: 2.5 is more than the lowest price on \
             offer, 2; there the plan is dearer than none",
            "warning: not_priced: discounts[2]: no tariff on offer has a price for FLAT; remove \
             it, or offer one",
            "warning: not_priced: allowances[0]: no tariff on offer has a price for PARKING_TIME; \
             remove it, or offer one",
        ]
    );
    // As much as the price makes it free, which may be meant; the fee of a reservation is no
    // start fee.
    let says = r#""discounts":[{"dimension":"ENERGY","by":{"amount":0.45}},
                               {"dimension":"TIME","by":{"price":2}}],"waive_start_fee":true"#;
    assert_eq!(
        lines(&plan(says).validate(&known)),
        ["warning: not_priced: waive_start_fee: no tariff on offer has a price for FLAT; remove \
          it, or offer one"]
    );
    let none = Known { tariffs: Some(&[]), ..Known::default() };
    assert_eq!(plan(says).validate(&none)[0].code, "no_tariff");
}
