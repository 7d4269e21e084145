//! Every amount adds up, and every amount is what the tariff says.

use ocpi::TaxIncluded;
use proptest::{prelude::*, sample::select};
use quantities::{Amount, Rounding, RoundingMode, RoundingScope};
use rating::{Item, Line, PricedSession, Rules, TariffVersion, Unit};
use rust_decimal::Decimal;

use crate::{
    generators::{
        currency,
        plans::account,
        sessions::timeline,
        tariffs::{ON_ALL, elements, tariff, version},
        taxes, zone,
    },
    net_and_gross, rate,
};

fn rounding() -> impl Strategy<Value = Rounding> {
    let modes = select(vec![RoundingMode::HalfUp, RoundingMode::HalfEven, RoundingMode::Down]);
    let scopes = select(vec![RoundingScope::Total, RoundingScope::Line]);
    (modes, scopes).prop_map(|(mode, scope)| Rounding { mode, scope })
}

fn tax_included() -> impl Strategy<Value = Option<TaxIncluded>> {
    select(vec![
        None,
        Some(TaxIncluded::No),
        Some(TaxIncluded::Yes),
        Some(TaxIncluded::NotApplicable),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_and_taxes_add_up_to_the_total_however_it_is_rounded(
        mut tariff in tariff(), included in tax_included(), timeline in timeline(), zone in zone(),
        taxes in proptest::option::of(taxes()), rounding in rounding(),
    ) {
        tariff.tariff.tax_included = included;
        let rules = Rules { taxes: taxes.as_deref(), rounding, ..Rules::unknown(zone) };
        let priced = rating::rate(&tariff, &timeline, &rules).unwrap();
        adds_up(&priced)?;
    }

    /// Whatever is taken off or limited, and however it is rounded: the books take no sale below
    /// nothing, and no tax either.
    #[test]
    fn no_bill_and_no_tax_on_it_is_below_nothing(
        mut tariff in tariff(), included in tax_included(), timeline in timeline(), zone in zone(),
        taxes in taxes(), rounding in rounding(), account in proptest::option::of(account(false)),
    ) {
        tariff.tariff.tax_included = included;
        let account = account.map(|it| it.of(&tariff.tariff.currency, timeline.started_at));
        let rules = Rules { taxes: Some(&taxes), rounding, ..Rules::unknown(zone) };
        let rules = rules.with_plan(account.as_ref().map(|account| account.in_force()));
        let priced = rating::rate(&tariff, &timeline, &rules).unwrap();
        let (net, gross) = net_and_gross(&priced);
        prop_assert!(net >= 0 && gross >= net, "{net} {gross}");
        for tax in &priced.taxes {
            prop_assert!(tax.amount.minor >= 0, "{:?}", tax);
        }
        adds_up(&priced)?;
    }

    /// Whatever the tariff, the plan, the taxes and the rounding: nothing is left, of no tax either,
    /// and what was taken off is what it would have cost.
    #[test]
    fn what_is_free_is_priced_and_costs_nothing(
        mut tariff in tariff(), included in tax_included(), timeline in timeline(), zone in zone(),
        taxes in proptest::option::of(taxes()), rounding in rounding(),
        account in proptest::option::of(account(false)),
    ) {
        tariff.tariff.tax_included = included;
        let account = account.map(|it| it.of(&tariff.tariff.currency, timeline.started_at));
        let rules = Rules { taxes: taxes.as_deref(), rounding, ..Rules::unknown(zone) };
        let rules = rules.with_plan(account.as_ref().map(|account| account.in_force()));
        let paid = rating::rate(&tariff, &timeline, &rules).unwrap();
        let free = Rules { is_free: true, ..rules };
        let free = rating::rate(&tariff, &timeline, &free).unwrap();
        prop_assert_eq!(net_and_gross(&free), (0, 0));
        for tax in &free.taxes {
            prop_assert!(tax.amount.is_zero() && tax.base.is_zero(), "{:?}", tax);
        }
        adds_up(&free)?;
        let off = free.lines.iter().filter(|line| line.item == Item::Free);
        let off: i64 = off.map(|line| line.amount.incl_vat.minor).sum();
        // Lines and taxes may each be rounded by themselves, or by what is left of the total.
        let rounded = i64::try_from(paid.lines.len() + paid.taxes.len()).unwrap();
        prop_assert!((off + paid.gross().minor).abs() <= rounded, "{off} of {}", paid.gross());
    }

    /// Against arithmetic of its own: quantity times price, and the taxes on it. The total without
    /// tax is right to half a minor unit.
    #[test]
    fn every_line_costs_its_quantity_at_its_price_to_a_minor_unit(
        elements in elements(ON_ALL), currency in currency(), timeline in timeline(),
        zone in zone(), taxes in taxes(),
    ) {
        let priced = rate(&version(elements, currency, 0), &timeline, zone, &taxes);
        let mut exact_net = Decimal::ZERO;
        for line in &priced.lines {
            let exact = exact(line);
            exact_net += exact;
            let part = |amount: Amount| amount.to_money().value * Decimal::from(3600);
            let unit = part(Amount::new(1, priced.currency));
            let percent: Decimal =
                line.taxes.iter().map(|tax| priced.taxes[tax.tax].percent.percent()).sum();
            let gross = exact * (Decimal::ONE_HUNDRED + percent) / Decimal::ONE_HUNDRED;
            // Where there are several taxes each of them is rounded, and all lines share in that.
            let several = if priced.taxes.len() > 1 { priced.taxes.len() } else { 0 };
            let most = unit * Decimal::from(1 + several);
            prop_assert!((part(line.amount.incl_vat) - gross).abs() < most, "{:?}", line);
            for tax in &line.taxes {
                let percent = priced.taxes[tax.tax].percent.percent();
                let exact = exact * percent / Decimal::ONE_HUNDRED;
                prop_assert!((part(tax.amount) - exact).abs() < unit, "{:?}", line);
            }
        }
        let unit = Decimal::new(1, priced.currency.minor_digits());
        let off = priced.net().to_money().value - exact_net / Decimal::from(3600);
        prop_assert!(off.abs() * Decimal::TWO <= unit, "{} is off by {off}", priced.net());
    }

    /// A tariff with its prices before taxes, and the same with the taxes in its prices.
    #[test]
    fn prices_with_tax_and_prices_without_bill_the_same_to_the_minor_unit(
        elements in elements(ON_ALL), currency in currency(), timeline in timeline(),
        zone in zone(), taxes in taxes(),
    ) {
        let without = version(elements, currency, 0);
        let with = with_taxes_in_the_prices(&without, &taxes);
        let without = rate(&without, &timeline, zone, &taxes);
        let with = rate(&with, &timeline, zone, &taxes);
        let (left, right) = (net_and_gross(&without), net_and_gross(&with));
        // What is rounded: without tax the net amount, with tax what is paid, and every tax.
        let units = i64::try_from(with.taxes.len().max(1)).unwrap();
        prop_assert!((left.0 - right.0).abs() <= units, "{:?} and {:?}", left, right);
        let units = if taxes.len() > 1 { units } else { 0 };
        prop_assert!((left.1 - right.1).abs() <= units, "{:?} and {:?}", left, right);
        adds_up(&with)?;
    }
}

/// A line's price without tax in 3600ths of the major unit, which has no recurring decimals.
fn exact(line: &Line) -> Decimal {
    let price = line.rate * line.quantity;
    if line.unit == Unit::Second { price } else { price * Decimal::from(3600) }
}

fn with_taxes_in_the_prices(tariff: &TariffVersion, taxes: &[network::Tax]) -> TariffVersion {
    let all: Decimal = taxes.iter().map(|tax| tax.percent.percent()).sum();
    let mut with = tariff.clone();
    with.tariff.tax_included = Some(TaxIncluded::Yes);
    for component in with.tariff.elements.iter_mut().flat_map(|e| &mut e.price_components) {
        let percent = component.vat.unwrap_or(all);
        component.price *= (Decimal::ONE_HUNDRED + percent) * Decimal::new(1, 2);
    }
    with
}

/// Lines are the total, taxes are the difference between both views, groups are the total but for
/// a minimum or maximum.
fn adds_up(priced: &PricedSession) -> Result<(), TestCaseError> {
    let sum = |amounts: &mut dyn Iterator<Item = Amount>| -> i64 { amounts.map(|a| a.minor).sum() };
    let (net, gross) = net_and_gross(priced);
    prop_assert_eq!(sum(&mut priced.lines.iter().map(|line| line.amount.incl_vat)), gross);
    prop_assert_eq!(sum(&mut priced.lines.iter().map(|line| line.amount.excl_vat)), net);
    prop_assert_eq!(sum(&mut priced.taxes.iter().map(|tax| tax.amount)), gross - net);
    for line in &priced.lines {
        let tax = line.amount.incl_vat.minor - line.amount.excl_vat.minor;
        prop_assert_eq!(sum(&mut line.taxes.iter().map(|tax| tax.amount)), tax, "{:?}", line);
    }
    for (index, tax) in priced.taxes.iter().enumerate() {
        let parts = || {
            let of_line = |line: &'_ Line| {
                line.taxes
                    .iter()
                    .find(|part| part.tax == index)
                    .map(|part| (part.amount, line.amount))
            };
            priced.lines.iter().filter_map(of_line)
        };
        prop_assert_eq!(sum(&mut parts().map(|(tax, _)| tax)), tax.amount.minor);
        prop_assert_eq!(sum(&mut parts().map(|(_, line)| line.excl_vat)), tax.base.minor);
    }
    let totals = &priced.totals;
    let groups = [totals.fixed, totals.energy, totals.time, totals.parking, totals.reservation];
    let limits = priced.lines.iter();
    let beside = [Item::MinPrice, Item::MaxPrice, Item::Free];
    let limits = limits.filter(|line| beside.contains(&line.item));
    let limits: i64 = limits.map(|line| line.amount.incl_vat.minor).sum();
    prop_assert_eq!(sum(&mut groups.iter().map(|cost| cost.incl_vat)) + limits, gross);
    Ok(())
}
