//! Plans of any sort, and what was used of them.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ocpi::TariffDimensionType;
use plans::{Allowance, Discount, Month, Period, Plan, PlanVersion, Reduction, Scope, Usage};
use proptest::{collection::vec, option, prelude::*, sample::select};
use quantities::{Amount, PlanRef};
use rust_decimal::Decimal;

/// A plan, and what its account has used before.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) plan: PlanVersion,
    pub(crate) used: Usage,
}

impl Account {
    /// As pricing asks for it.
    pub(crate) fn in_force(&self) -> rating::PlanInForce<'_> {
        rating::PlanInForce { plan: &self.plan, used: &self.used }
    }

    /// The same for a session that starts `at` and is priced in `currency`.
    pub(crate) fn of(mut self, currency: &str, at: DateTime<Utc>) -> Self {
        self.plan.plan.currency = currency.parse().unwrap();
        self.used.spent = Amount::new(self.used.spent.minor, self.plan.plan.currency);
        self.used.month = Month::of(at, self.plan.plan.time_zone);
        self
    }
}

fn cheaper() -> impl Strategy<Value = Reduction> {
    prop_oneof![
        (0_i64..=1_000).prop_map(|tenths| Reduction::Percent(Decimal::new(tenths, 1))),
        (0_i64..30_000).prop_map(|amount| Reduction::Amount(Decimal::new(amount, 4))),
    ]
}

fn reduction(only_cheaper: bool) -> BoxedStrategy<Reduction> {
    if only_cheaper {
        return cheaper().boxed();
    }
    let price = (0_i64..20_000).prop_map(|price| Reduction::Price(Decimal::new(price, 4)));
    prop_oneof![2 => cheaper(), 1 => price].boxed()
}

fn discounts(only_cheaper: bool) -> impl Strategy<Value = Vec<Discount>> {
    let by = move || option::of(reduction(only_cheaper));
    (by(), by(), by(), by()).prop_map(|(energy, time, parking, flat)| {
        let dimensions = [
            (TariffDimensionType::Energy, energy),
            (TariffDimensionType::Time, time),
            (TariffDimensionType::ParkingTime, parking),
            (TariffDimensionType::Flat, flat),
        ];
        let discount =
            |(dimension, by): (_, Option<Reduction>)| Some(Discount { dimension, by: by? });
        dimensions.into_iter().filter_map(discount).collect()
    })
}

fn allowances() -> impl Strategy<Value = Vec<Allowance>> {
    let allowance = (0_i64..40_000, any::<bool>());
    vec(option::of(allowance), 3).prop_map(|allowances| {
        let dimensions = [
            TariffDimensionType::Energy,
            TariffDimensionType::Time,
            TariffDimensionType::ParkingTime,
        ];
        let allowance = |(dimension, stated): (_, Option<(i64, bool)>)| {
            let (quantity, monthly) = stated?;
            let per = if monthly { Period::Month } else { Period::Session };
            Some(Allowance { dimension, quantity: Decimal::new(quantity, 3), per })
        };
        dimensions.into_iter().zip(allowances).filter_map(allowance).collect()
    })
}

/// Any plan in euros; `only_cheaper`: one without prices of its own, which may be higher.
pub(crate) fn account(only_cheaper: bool) -> impl Strategy<Value = Account> {
    let used = (0_i64..300_000, 0_i64..20_000_000, 0_i64..5_000_000, 0_i64..10_000);
    let zone = select(vec![Tz::UTC, Tz::Europe__Amsterdam, Tz::Pacific__Kiritimati]);
    (discounts(only_cheaper), allowances(), any::<bool>(), used, zone).prop_map(
        |(discounts, allowances, waive_start_fee, used, time_zone)| {
            let currency = "EUR".parse().unwrap();
            let plan = Plan {
                id: "M1".parse().unwrap(),
                name: "Member".to_owned(),
                currency,
                time_zone,
                sites: Scope::All,
                discounts,
                waive_start_fee,
                allowances,
                spending_cap: None,
                cost_centre: None,
            };
            let reference = PlanRef { id: plan.id.clone(), version: 2 };
            let from = "2026-01-01T00:00:00Z".parse().unwrap();
            let month: Month = "2026-10".parse().unwrap();
            let used = Usage {
                month,
                energy_wh: Decimal::new(used.0, 1),
                time_ms: used.1,
                parking_ms: used.2,
                spent: Amount::new(used.3, currency),
            };
            Account { plan: PlanVersion { reference, from, plan }, used }
        },
    )
}
