//! What a plan takes off, and what it leaves alone.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod generators;
mod support;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use generators::{
    sessions::timeline,
    tariffs::{ON_ALL, elements},
    taxes, zone,
};
use ocpi::TariffDimensionType::{self, Energy, Flat, ParkingTime, Time};
use ocpi::{PriceComponent, TariffElement};
use plans::{Allowance, Discount, Month, Period, Plan, PlanVersion, Reduction, Scope, Usage};
use proptest::{option, prelude::*};
use quantities::{Amount, Currency, PlanRef, Rounding, RoundingScope, WattHours};
use rating::{
    FindingCode, Item, PlanInForce, PricedSession, Pricer, RatingError, Rules, TariffVersion, rate,
};
use rust_decimal::Decimal;
use session::Timeline;
use support::{rules, version};

const ZONE: Tz = Tz::Europe__Amsterdam;

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn tariff(prices: &[(TariffDimensionType, &str)]) -> TariffVersion {
    let component = |(dimension, price): &(TariffDimensionType, &str)| PriceComponent {
        dimension: *dimension,
        price: number(price),
        vat: None,
        step_size: 1,
    };
    let price_components = prices.iter().map(component).collect();
    version(vec![TariffElement { price_components, restrictions: None }], 0)
}

fn hour(wh: i64) -> Timeline {
    Timeline {
        started_at: at("2026-03-02T10:00:00Z"),
        ended_at: at("2026-03-02T11:00:00Z"),
        meter_stop: WattHours::from(wh),
        ..empty()
    }
}

fn empty() -> Timeline {
    let text = r#"{"started_at":"2026-03-02T10:00:00Z","ended_at":"2026-03-02T10:00:00Z",
        "released_at":null,"meter_start":"0","meter_stop":"0","samples":[],"statuses":[]}"#;
    serde_json::from_str(text).unwrap()
}

fn plan() -> Plan {
    Plan {
        id: "GOLD".parse().unwrap(),
        name: "Gold".to_owned(),
        currency: Currency::EUR,
        time_zone: ZONE,
        sites: Scope::All,
        discounts: vec![],
        waive_start_fee: false,
        allowances: vec![],
        spending_cap: None,
        cost_centre: None,
    }
}

fn published(plan: Plan) -> PlanVersion {
    let reference = PlanRef { id: plan.id.clone(), version: 2 };
    PlanVersion { reference, from: DateTime::UNIX_EPOCH, plan }
}

fn march() -> Usage {
    Usage::none("2026-03".parse().unwrap(), Currency::EUR)
}

fn priced(
    tariff: &TariffVersion,
    timeline: &Timeline,
    plan: Plan,
    used: &Usage,
) -> Result<PricedSession, RatingError> {
    let plan = published(plan);
    let in_force = PlanInForce { plan: &plan, used };
    rate(tariff, timeline, &rules(ZONE, "21").with_plan(Some(in_force)))
}

fn discount(dimension: TariffDimensionType, by: Reduction) -> Vec<Discount> {
    vec![Discount { dimension, by }]
}

fn allowance(dimension: TariffDimensionType, quantity: i64, per: Period) -> Vec<Allowance> {
    vec![Allowance { dimension, quantity: Decimal::from(quantity), per }]
}

#[test]
fn a_plan_in_another_currency_is_not_applied_and_the_result_says_so() {
    let plan = Plan { currency: Currency::USD, waive_start_fee: true, ..plan() };
    let used = Usage::none("2026-03".parse().unwrap(), Currency::USD);
    let priced = priced(&tariff(&[(Flat, "1.00")]), &hour(1000), plan, &used).unwrap();
    assert_eq!(priced.net().to_string(), "1.00 EUR");
    assert_eq!(priced.plan, None);
    assert_eq!(priced.findings[0].code, FindingCode::PlanNotApplied);
}

#[test]
fn usage_of_another_month_is_refused() {
    // 23:30 UTC on the last of March is April in Amsterdam.
    let mut timeline = hour(1000);
    timeline.started_at = at("2026-03-31T22:30:00Z");
    timeline.ended_at = at("2026-03-31T23:30:00Z");
    let refused = priced(&tariff(&[(Energy, "0.40")]), &timeline, plan(), &march()).unwrap_err();
    assert!(matches!(refused, RatingError::Usage(_)), "{refused}");
}

#[test]
fn a_fixed_price_stands_even_where_the_tariff_is_cheaper() {
    let plan = Plan { discounts: discount(Energy, Reduction::Price(number("0.35"))), ..plan() };
    let priced = priced(&tariff(&[(Energy, "0.30")]), &hour(10_000), plan, &march()).unwrap();
    assert_eq!(priced.net().to_string(), "3.50 EUR");
    assert_eq!(priced.lines[1].amount.excl_vat.to_string(), "0.50 EUR");
}

#[test]
fn an_amount_off_never_takes_a_price_below_zero() {
    let plan = Plan { discounts: discount(Energy, Reduction::Amount(number("0.50"))), ..plan() };
    let priced = priced(&tariff(&[(Energy, "0.30")]), &hour(10_000), plan, &march()).unwrap();
    assert!(priced.net().is_zero() && priced.gross().is_zero());
    assert_eq!(priced.lines[1].rate, number("-0.30"));
}

#[test]
fn what_is_free_stays_free_and_uses_up_no_allowance() {
    let plan = Plan {
        discounts: discount(Energy, Reduction::Price(number("0.35"))),
        allowances: allowance(Energy, 5, Period::Month),
        ..plan()
    };
    let priced = priced(&tariff(&[(Energy, "0.00")]), &hour(10_000), plan, &march()).unwrap();
    assert!(priced.net().is_zero());
    assert_eq!(priced.plan.unwrap().usage.energy_wh, Decimal::ZERO);
}

#[test]
fn what_is_all_taken_off_costs_nothing_where_every_line_is_rounded() {
    let allowances =
        vec![Allowance { dimension: Energy, quantity: number("10.02"), per: Period::Session }];
    let discounts = discount(Energy, Reduction::Percent(Decimal::ONE_HUNDRED));
    let plan = published(Plan { allowances, discounts, ..plan() });
    let rounding = Rounding { scope: RoundingScope::Line, ..Rounding::default() };
    for wh in (10_021..14_000).step_by(50) {
        let used = march();
        let rules = Rules { rounding, ..rules(ZONE, "19") };
        let rules = rules.with_plan(Some(PlanInForce { plan: &plan, used: &used }));
        let priced = rate(&tariff(&[(Energy, "0.25")]), &hour(wh), &rules).unwrap();
        assert_eq!((priced.net().minor, priced.gross().minor), (0, 0), "{wh} Wh");
    }
}

#[test]
fn sessions_of_an_account_use_its_allowance_up_one_after_the_other() {
    // 15 kWh a month: 10 of the first session's, 5 of the second's, none of the third's.
    let tariff = tariff(&[(Energy, "0.40")]);
    let plan = Plan { allowances: allowance(Energy, 15, Period::Month), ..plan() };
    let mut used = march();
    let mut paid = Vec::new();
    for _ in 0..3 {
        let priced = priced(&tariff, &hour(10_000), plan.clone(), &used).unwrap();
        used = used.checked_add(&priced.plan.as_ref().unwrap().usage).unwrap();
        paid.push(priced.net().minor);
    }
    assert_eq!(paid, [0, 200, 400]);
    assert_eq!(used.energy_wh, Decimal::from(30_000));
    assert_eq!(used.spent, Amount::new(242 + 484, Currency::EUR));
}

#[test]
fn minutes_of_charging_are_included_to_the_millisecond() {
    let plan = Plan { allowances: allowance(Time, 45, Period::Session), ..plan() };
    let priced = priced(&tariff(&[(Time, "6.00")]), &hour(1000), plan, &march()).unwrap();
    assert_eq!(priced.net().to_string(), "1.50 EUR");
    let line = &priced.lines[1];
    assert_eq!((line.item, line.quantity), (Item::Allowance, Decimal::from(2700)));
}

#[test]
fn a_reservation_is_not_part_of_a_plan() {
    let mut tariff = tariff(&[(Flat, "2.00"), (Time, "3.00")]);
    let reserved = r#"{"reservation":"RESERVATION"}"#;
    tariff.tariff.elements[0].restrictions = Some(serde_json::from_str(reserved).unwrap());
    let mut cdr = support::empty_cdr();
    cdr.start_date_time = at("2026-03-02T10:00:00Z");
    cdr.end_date_time = at("2026-03-02T11:00:00Z");
    let period = r#"{"start_date_time":"2026-03-02T10:00:00Z",
        "dimensions":[{"type":"RESERVATION_TIME","volume":1}]}"#;
    cdr.charging_periods = vec![serde_json::from_str(period).unwrap()];
    let plan = published(Plan {
        waive_start_fee: true,
        discounts: discount(Time, Reduction::Percent(Decimal::ONE_HUNDRED)),
        ..plan()
    });
    let used = march();
    let rules = rules(ZONE, "0").with_plan(Some(PlanInForce { plan: &plan, used: &used }));
    let priced = rating::cdr::price(&tariff.tariff, &cdr, &rules).unwrap();
    assert_eq!(priced.net().to_string(), "5.00 EUR");
}

#[test]
fn a_minimum_price_counts_after_what_the_plan_takes_off() {
    let mut tariff = tariff(&[(Energy, "0.40")]);
    tariff.tariff.min_price = Some(ocpi::Price { excl_vat: number("2.00"), incl_vat: None });
    let plan =
        Plan { discounts: discount(Energy, Reduction::Percent(Decimal::from(75))), ..plan() };
    let priced = priced(&tariff, &hour(10_000), plan, &march()).unwrap();
    let lines: Vec<_> =
        priced.lines.iter().map(|line| (line.item, line.amount.excl_vat.minor)).collect();
    assert_eq!(lines, [(Item::Energy, 400), (Item::Discount, -300), (Item::MinPrice, 100)]);
    assert_eq!(priced.totals.energy.excl_vat.minor, 100);
}

#[test]
fn the_remark_of_a_cdr_says_what_is_beside_its_tariff() {
    let tariff = tariff(&[(Energy, "0.40")]);
    let plan = Plan { discounts: discount(Energy, Reduction::Percent(Decimal::TEN)), ..plan() };
    let timeline = hour(10_000);
    let priced = priced(&tariff, &timeline, plan, &march()).unwrap();
    let session = support::session_of(&timeline);
    let cdr = support::cdr_of(&priced, &tariff, &session, &support::site(ZONE));
    assert_eq!(cdr.total_energy_cost, Some(cdr.total_cost));
    assert_eq!(cdr.total_cost.excl_vat, number("3.60"));
    let remark = cdr.remark.unwrap();
    assert!(remark.ends_with("plan GOLD@2: -0.40 EUR without tax beside the tariff"), "{remark}");
}

#[test]
fn a_pricer_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let pricer = Pricer::new(&tariff(&[(Energy, "0.40")])).unwrap();
    shared(&pricer);
    let rules = rules(ZONE, "21");
    let alone = pricer.rate(&hour(1000), &rules).unwrap();
    assert_eq!(alone, rate(&tariff(&[(Energy, "0.40")]), &hour(1000), &rules).unwrap());
}

prop_compose! {
    /// A plan that only takes off.
    fn kind_plan()(
        percent in option::of(0_i64..=100), amount in option::of(0_i64..5000),
        energy in option::of(0_i64..40), time in option::of(0_i64..400),
        parking in option::of(0_i64..400), waive in any::<bool>(),
    ) -> Plan {
        let mut plan = Plan { waive_start_fee: waive, ..plan() };
        let percent = percent.map(|percent| Reduction::Percent(Decimal::from(percent)));
        let amount = amount.map(|amount| Reduction::Amount(Decimal::new(amount, 4)));
        plan.discounts.extend(percent.map(|by| Discount { dimension: Energy, by }));
        plan.discounts.extend(amount.map(|by| Discount { dimension: Time, by }));
        plan.allowances.extend(energy.map(|kwh| allowance(Energy, kwh, Period::Month)[0]));
        plan.allowances.extend(time.map(|min| allowance(Time, min, Period::Month)[0]));
        plan.allowances.extend(parking.map(|min| allowance(ParkingTime, min, Period::Session)[0]));
        plan
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_that_takes_off_never_makes_a_session_dearer_nor_pays_for_it(
        elements in elements(ON_ALL), timeline in timeline(), zone in zone(), taxes in taxes(),
        plan in kind_plan(), used_wh in 0_i64..30_000, by_line in any::<bool>(),
    ) {
        let tariff = generators::tariffs::version(elements, "EUR", 0);
        let scope = if by_line { RoundingScope::Line } else { RoundingScope::Total };
        let rounding = Rounding { scope, ..Rounding::default() };
        let rules = Rules { taxes: Some(&taxes), rounding, ..Rules::unknown(zone) };
        let without = rate(&tariff, &timeline, &rules).unwrap();
        let month = Month::of(timeline.started_at, plan.time_zone);
        let used = Usage { energy_wh: used_wh.into(), ..Usage::none(month, Currency::EUR) };
        let plan = published(plan);
        let in_force = PlanInForce { plan: &plan, used: &used };
        let with = rate(&tariff, &timeline, &rules.with_plan(Some(in_force))).unwrap();
        // Rounded lines may each be off by half a unit.
        let slack = if by_line { i64::try_from(with.lines.len()).unwrap() } else { 0 };
        prop_assert!(with.gross().minor <= without.gross().minor + slack);
        prop_assert!(with.net().minor >= -slack && with.gross().minor >= -slack);
        let lines: i64 = with.lines.iter().map(|line| line.amount.incl_vat.minor).sum();
        prop_assert_eq!(lines, with.gross().minor);
        let taxes: i64 = with.taxes.iter().map(|tax| tax.amount.minor).sum();
        prop_assert_eq!(taxes, with.gross().minor - with.net().minor);
        for line in with.lines.iter().filter(|line| line.why.reduces.is_some()) {
            let reduced = &with.lines[line.why.reduces.unwrap()];
            let parts = |line: &rating::Line| line.taxes.iter().map(|t| t.tax).collect::<Vec<_>>();
            prop_assert_eq!(parts(line), parts(reduced));
            prop_assert!(line.quantity <= reduced.quantity);
            prop_assert!(line.segments.iter().all(|index| reduced.segments.contains(index)));
        }
    }

    #[test]
    fn what_allowances_cover_is_what_they_give_and_no_more(
        elements in elements(ON_ALL), timeline in timeline(), zone in zone(),
        kwh in 0_i64..40, used_wh in 0_i64..30_000,
    ) {
        let tariff = generators::tariffs::version(elements, "EUR", 0);
        let plan = published(Plan { allowances: allowance(Energy, kwh, Period::Month), ..plan() });
        let month = Month::of(timeline.started_at, ZONE);
        let used = Usage { energy_wh: used_wh.into(), ..Usage::none(month, Currency::EUR) };
        let in_force = PlanInForce { plan: &plan, used: &used };
        let rules = Rules { plan: Some(in_force), ..Rules::unknown(zone) };
        let priced = rate(&tariff, &timeline, &rules).unwrap();
        let of = |item: Item| -> Decimal {
            priced.lines.iter().filter(|line| line.item == item && !line.rate.is_zero())
                .map(|line| line.quantity).sum()
        };
        let left = (Decimal::from(kwh) - Decimal::new(used_wh, 3)).max(Decimal::ZERO);
        prop_assert_eq!(of(Item::Allowance), left.min(of(Item::Energy)));
        let usage = priced.plan.unwrap().usage;
        prop_assert_eq!(usage.energy_wh, of(Item::Energy) * Decimal::ONE_THOUSAND);
    }
}
