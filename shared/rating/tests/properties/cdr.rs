//! What is billed can be sent: the CDR of a priced session prices to the same.

use chrono::{DateTime, Duration, Utc};
use ocpi::{Cdr, CdrDimension, CdrDimensionType, ChargingPeriod, TariffRestrictions};
use proptest::{collection::vec, option, prelude::*, sample::select};
use rating::{PricedSession, Rules, TariffVersion};
use rust_decimal::Decimal;

use crate::{
    generators::{
        percent,
        sessions::{at, timeline},
        tariffs::{elements, tariff, version},
        tax, taxes, zone,
    },
    net_and_gross, rate,
    support::{self, session_of, site},
};

fn extreme_time() -> impl Strategy<Value = DateTime<Utc>> {
    let near = (0_i64..100_000).prop_map(|s| at("2026-03-28T12:00:00Z") + Duration::seconds(s));
    let far = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, at("9999-12-31T23:59:59Z")];
    prop_oneof![8 => near, 1 => select(far.to_vec())]
}

fn extreme_number() -> impl Strategy<Value = Decimal> {
    let any = (any::<i64>(), 0_u32..19).prop_map(|(digits, scale)| Decimal::new(digits, scale));
    let edge = [
        Decimal::ZERO,
        Decimal::NEGATIVE_ONE,
        Decimal::MAX,
        Decimal::MIN,
        Decimal::new(1, 28),
        Decimal::new(8784, 0),
        Decimal::new(1_000_000, 0),
    ];
    let usual = (0_i64..100_000).prop_map(|n| Decimal::new(n, 4));
    prop_oneof![4 => usual, 2 => any, 1 => select(edge.to_vec())]
}

fn extreme_dimension() -> impl Strategy<Value = CdrDimensionType> {
    select(vec![
        CdrDimensionType::Energy,
        CdrDimensionType::Time,
        CdrDimensionType::ParkingTime,
        CdrDimensionType::ReservationTime,
        CdrDimensionType::MinPower,
        CdrDimensionType::MaxCurrent,
    ])
}

/// Periods one after the other: a start and what each states, and the end.
fn periods() -> impl Strategy<Value = (Vec<ChargingPeriod>, DateTime<Utc>)> {
    let stated = select(vec![CdrDimensionType::Time, CdrDimensionType::ParkingTime]);
    let off_s = prop_oneof![8 => Just(0_i64), 1 => -40_i64..40];
    let named = option::weighted(0.9, Just("T1".to_owned()));
    let period = (0_i64..4_000, off_s, 0_u32..7, stated, 0_i64..30_000, named);
    (vec(period, 1..12), 0_i64..3_000).prop_map(|(periods, ms)| {
        let mut start = at("2026-03-28T21:00:00Z") + Duration::milliseconds(ms);
        let mut stated = Vec::new();
        for (lasts_s, off_s, digits, dimension, wh, tariff_id) in periods {
            let hours = Decimal::new((lasts_s + off_s).max(0), 0) / Decimal::from(3_600);
            let energy = (CdrDimensionType::Energy, Decimal::new(wh, 3));
            let dimensions = [energy, (dimension, hours.round_dp(digits))]
                .map(|(dimension, volume)| CdrDimension { dimension, volume })
                .to_vec();
            stated.push(ChargingPeriod { start_date_time: start, dimensions, tariff_id });
            start += Duration::seconds(lasts_s);
        }
        (stated, start)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cdr_prices_to_what_was_billed(
        mut tariff in tariff(), timeline in timeline(), zone in zone(), taxes in taxes(),
    ) {
        // More than doubling a price is not a VAT that a tariff of 2.2.1 can state.
        let all: Decimal = taxes.iter().map(|tax| tax.percent.percent()).sum();
        prop_assume!(all <= Decimal::ONE_HUNDRED);
        // OCPI has no words for it; the CDR's remark tells.
        tariff.terms.idle.cap = None;
        let priced = rate(&tariff, &timeline, zone, &taxes);
        let mut session = session_of(&timeline);
        session.jurisdiction.taxes.clone_from(&taxes);
        let cdr = support::cdr_of(&priced, &tariff, &session, &site(zone));
        let sent = serde_json::to_string(&cdr).unwrap();
        let received = ocpi::read::cdr(&sent).unwrap();
        prop_assert_eq!(&received, &cdr);
        let rules = Rules { taxes: Some(&taxes), ..Rules::unknown(zone) };
        let again = rating::cdr::price(&cdr.tariffs[0], &received, &rules).unwrap();
        prop_assert_eq!(&again.findings, &support::unbilled_time(&again));
        let (billed, again_billed) = (net_and_gross(&priced), net_and_gross(&again));
        prop_assert_eq!(again_billed.0, billed.0);
        // A tariff of 2.2.1 states several taxes as one, which is rounded once, not each by itself.
        let units = if taxes.len() > 1 { i64::try_from(taxes.len()).unwrap() } else { 0 };
        prop_assert!((again_billed.1 - billed.1).abs() <= units);
        // That there is no tax, and that there is one of 0 %, are one in 2.2.1 and two to a limit.
        if taxes.len() == 1 {
            prop_assert_eq!(again.totals, priced.totals);
            let amounts = |priced: &PricedSession| -> Vec<_> {
                priced.lines.iter().map(|line| (line.item, line.quantity, line.amount)).collect()
            };
            prop_assert_eq!(amounts(&again), amounts(&priced));
        }
    }

    #[test]
    fn the_order_of_what_a_period_states_and_prices_that_never_apply_change_nothing(
        elements in elements(&[]), (periods, end_date_time) in periods(), reversed: u16,
        taxes in taxes(), zone in zone(),
    ) {
        let tariff = version(elements, "EUR", 0).tariff;
        let mut cdr = Cdr { end_date_time, charging_periods: periods, ..support::empty_cdr() };
        cdr.start_date_time = cdr.charging_periods[0].start_date_time;
        let rules = Rules { taxes: Some(&taxes), ..Rules::unknown(zone) };
        let priced = rating::cdr::price(&tariff, &cdr, &rules).unwrap();

        let mut longer = tariff.clone();
        let mut never = tariff.elements[0].clone();
        never.restrictions = Some(TariffRestrictions {
            min_duration: Some(86_400),
            ..TariffRestrictions::default()
        });
        longer.elements.push(never);
        prop_assert_eq!(&rating::cdr::price(&longer, &cdr, &rules).unwrap(), &priced);

        for (index, period) in cdr.charging_periods.iter_mut().enumerate() {
            if reversed >> index & 1 == 1 {
                period.dimensions.reverse();
            }
        }
        prop_assert_eq!(rating::cdr::price(&tariff, &cdr, &rules).unwrap(), priced);
    }

    #[test]
    fn nothing_that_a_cdr_or_a_tariff_can_say_stops_the_program(
        tariff in tariff(),
        periods in vec((extreme_time(), vec((extreme_dimension(), extreme_number()), 0..4)), 0..5),
        ends in extreme_time(),
        extreme_price in extreme_number(),
        zone in zone(),
    ) {
        let mut tariff = tariff.tariff;
        tariff.elements[0].price_components[0].price = extreme_price;
        tariff.max_price = Some(ocpi::Price { excl_vat: extreme_price, incl_vat: None });
        let charging_periods = periods.into_iter().map(|(start_date_time, dimensions)| {
            let dimension = |(dimension, volume)| CdrDimension { dimension, volume };
            let dimensions = dimensions.into_iter().map(dimension).collect();
            ChargingPeriod { start_date_time, dimensions, tariff_id: None }
        });
        let mut cdr = support::empty_cdr();
        cdr.currency.clone_from(&tariff.currency);
        cdr.charging_periods = charging_periods.collect();
        cdr.end_date_time = ends;
        let taxes = [tax("VAT", Decimal::from(21))];
        let rules = Rules { taxes: Some(&taxes), ..Rules::unknown(zone) };
        if let Ok(priced) = rating::cdr::price(&tariff, &cdr, &rules) {
            let lines: i64 = priced.lines.iter().map(|line| line.amount.incl_vat.minor).sum();
            prop_assert_eq!(lines, priced.gross().minor);
        }
    }

    #[test]
    fn what_is_stored_is_read_back_the_same(
        tariff in tariff(), timeline in timeline(), zone in zone(), percent in percent(),
    ) {
        let priced = rate(&tariff, &timeline, zone, &[tax("VAT", percent)]);
        let stored = serde_json::to_string(&priced).unwrap();
        prop_assert_eq!(serde_json::from_str::<PricedSession>(&stored).unwrap(), priced);
        let stored = serde_json::to_string(&tariff).unwrap();
        prop_assert_eq!(serde_json::from_str::<TariffVersion>(&stored).unwrap(), tariff);
    }
}
