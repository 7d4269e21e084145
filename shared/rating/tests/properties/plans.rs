//! What a plan takes off, it takes off what is there.

use proptest::{collection::vec, prelude::*};
use rating::{Item, PricedSession, Rules};
use rust_decimal::Decimal;

use crate::{
    generators::{
        plans::account,
        sessions::{read_more_often, timeline},
        tariffs::{ON_ALL, elements, tariff, version},
        taxes, zone,
    },
    net_and_gross, uncounted,
};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_is_reduced_below_nothing(
        mut tariff in tariff(), account in account(false), timeline in timeline(), zone in zone(),
        taxes in taxes(),
    ) {
        tariff.tariff.min_price = None;
        tariff.tariff.max_price = None;
        let account = account.of(&tariff.tariff.currency, timeline.started_at);
        let rules = Rules { taxes: Some(&taxes), ..Rules::unknown(zone) };
        let rules = rules.with_plan(Some(account.in_force()));
        let priced = rating::rate(&tariff, &timeline, &rules).unwrap();
        for (place, line) in priced.lines.iter().enumerate() {
            if line.why.reduces.is_some() || line.item == Item::IdleCap {
                continue;
            }
            let of_it = || priced.lines.iter().filter(|other| other.why.reduces == Some(place));
            let excl = line.why.exact_excl_vat;
            let off: Decimal = of_it().map(|other| other.why.exact_excl_vat).sum();
            let excl = excl + off;
            // A price with tax and one without are the same to the 28 digits that a decimal has.
            let nothing = Decimal::new(-1, 20);
            prop_assert!(excl >= nothing, "{excl}: {:?}", line);
        }
        let (net, gross) = net_and_gross(&priced);
        prop_assert!(net >= 0 && gross >= 0, "{net} {gross}");
        let lines: i64 = priced.lines.iter().map(|line| line.amount.incl_vat.minor).sum();
        prop_assert_eq!(lines, gross);
    }

    /// Where a plan has no price of its own, which the tariff's could be below.
    #[test]
    fn a_plan_never_makes_a_session_dearer(
        elements in elements(ON_ALL), account in account(true), timeline in timeline(),
        zone in zone(), taxes in taxes(),
    ) {
        let tariff = version(elements, "EUR", 0);
        let account = account.of("EUR", timeline.started_at);
        let rules = Rules { taxes: Some(&taxes), ..Rules::unknown(zone) };
        let without = net_and_gross(&rating::rate(&tariff, &timeline, &rules).unwrap());
        let rules = rules.with_plan(Some(account.in_force()));
        let with = net_and_gross(&rating::rate(&tariff, &timeline, &rules).unwrap());
        prop_assert!(with.0 <= without.0 && with.1 <= without.1, "{:?} then {:?}", without, with);
    }

    #[test]
    fn the_list_price_is_the_same_with_a_plan_and_without(
        tariff in tariff(), account in account(false), timeline in timeline(), zone in zone(),
    ) {
        let account = account.of(&tariff.tariff.currency, timeline.started_at);
        let rules = Rules { taxes: Some(&[]), ..Rules::unknown(zone) };
        let listed = |priced: &PricedSession| -> Vec<_> {
            let listed = priced.lines.iter().filter(|line| line.element.is_some());
            let listed = listed.filter(|line| line.why.reduces.is_none());
            listed.map(|line| (line.item, line.element, line.quantity, line.rate)).collect()
        };
        let without = rating::rate(&tariff, &timeline, &rules).unwrap();
        let rules = rules.with_plan(Some(account.in_force()));
        let with = rating::rate(&tariff, &timeline, &rules).unwrap();
        prop_assert_eq!(listed(&with), listed(&without));
        prop_assert_eq!(with.segments, without.segments);
    }

    #[test]
    fn readings_on_the_line_between_others_change_nothing_with_a_plan_either(
        tariff in tariff(), account in account(false), timeline in timeline(), zone in zone(),
        taxes in taxes(), parts in vec(vec(0_u16..=1000, 0..6), 16),
    ) {
        let account = account.of(&tariff.tariff.currency, timeline.started_at);
        let rules = Rules { taxes: Some(&taxes), ..Rules::unknown(zone) };
        let rules = rules.with_plan(Some(account.in_force()));
        let finer = read_more_often(&timeline, &parts);
        let price = |timeline| uncounted(rating::rate(&tariff, timeline, &rules).unwrap());
        prop_assert_eq!(price(&timeline), price(&finer));
    }
}
