//! Registers that come to the end of their digits and go on from 0.

use chrono::{DateTime, Utc};
use quantities::{Power, WattHours};
use rust_decimal::Decimal;

use crate::settle::reaches;

/// Five digits of kWh, in watt-hours. The Measuring Instruments Directive (2014/32/EU, annex V)
/// wants a register that 4000 hours at full load do not bring back to where it was: for 22 kW that
/// is five digits, so fewer mean a reset.
const REGISTER_MIN: i64 = 100_000_000;

/// Thirteen digits of watt-hours, more than any meter has.
const REGISTER_MAX: i64 = 1_000_000_000_000;

/// The most that is believed of a rollover where the charger's power is not known: what large
/// chargers deliver. That is stricter than for a reading, for here a wrong guess is billed.
const POWER_MAX_W: i64 = 400_000;

/// The size of the register, if it came to its end between `from` and the lower reading `to`: it
/// has as few digits as `from` needs, and the charger could deliver the energy across its end.
pub(crate) fn register_of(
    from: (DateTime<Utc>, WattHours),
    to: (DateTime<Utc>, WattHours),
    power_max: Option<Power>,
) -> Option<WattHours> {
    if to.1 >= from.1 || to.1 < WattHours::ZERO {
        return None;
    }
    let mut size = REGISTER_MIN;
    while WattHours::from(size) <= from.1 {
        size = size.checked_mul(10).filter(|size| *size <= REGISTER_MAX)?;
    }
    let size = WattHours::from(size);
    let most_w = power_max.map_or(Decimal::from(POWER_MAX_W), Power::watts);
    let across = to.1.checked_add(size).ok()?;
    reaches(from, (to.0, across), most_w).then_some(size)
}
