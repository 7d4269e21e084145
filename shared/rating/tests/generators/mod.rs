//! Tariffs, sessions and places of every sort, for what has to hold for all of them.

#![allow(dead_code, reason = "every test file uses its own part of it")]

pub(crate) mod plans;
pub(crate) mod sessions;
pub(crate) mod tariffs;

use chrono_tz::Tz;
use network::Tax;
use proptest::{collection::vec, prelude::*, sample::select};
use quantities::TaxPercent;
use rust_decimal::Decimal;

/// Zones whose clocks do different things: an hour at 02:00 or at midnight, half an hour, none, and
/// offsets that are not whole hours.
pub(crate) fn zone() -> impl Strategy<Value = Tz> {
    select(vec![
        Tz::UTC,
        Tz::Europe__Amsterdam,
        Tz::Europe__London,
        Tz::America__New_York,
        Tz::America__St_Johns,
        Tz::America__Havana,
        Tz::America__Santiago,
        Tz::Asia__Kolkata,
        Tz::Asia__Beirut,
        Tz::Africa__Casablanca,
        Tz::Australia__Lord_Howe,
        Tz::Pacific__Chatham,
        Tz::Pacific__Kiritimati,
    ])
}

/// Currencies with 2, 0, 3 and 4 decimals.
pub(crate) fn currency() -> impl Strategy<Value = &'static str> {
    select(vec!["EUR", "EUR", "USD", "JPY", "KWD", "CLF"])
}

/// A rate in percent, with up to three decimals.
pub(crate) fn percent() -> impl Strategy<Value = Decimal> {
    let usual = select(vec!["0", "5", "5.2", "7", "9.975", "10", "19", "21", "25", "100"]);
    let usual = usual.prop_map(|percent| percent.parse::<Decimal>().unwrap());
    prop_oneof![4 => usual, 1 => (0_i64..=100_000).prop_map(|percent| Decimal::new(percent, 3))]
}

/// Up to three taxes at once.
pub(crate) fn taxes() -> impl Strategy<Value = Vec<Tax>> {
    vec(percent(), 0..=3).prop_map(|percents| {
        let names = ["VAT", "GST", "Sales tax"];
        percents.into_iter().zip(names).map(|(percent, name)| tax(name, percent)).collect()
    })
}

/// One tax.
pub(crate) fn tax(name: &str, percent: Decimal) -> Tax {
    let percent = TaxPercent::try_from(percent).unwrap();
    Tax { name: name.to_owned(), percent, account_number: None }
}
