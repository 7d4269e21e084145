//! Money, energy, tax and ids as types, so that a mix-up is a compile error.
//!
//! Invariant: nothing here performs I/O or reads a clock. [`Money::round`] is the only place in the
//! whole system where an amount that is billed is rounded; [`Money::round_up`] is for holds.

mod energy;
mod ids;
mod money;

pub use energy::{Power, QuantityError, WattHours};
pub use ids::{
    AccountId, ChargePointId, ConnectorId, DriverId, ExceptionId, IdError, IdTag, PartnerId,
    PlanId, PlanRef, SessionId, SiteId, SubscriberId, TariffId, TariffRef, TransactionId,
};
pub use money::{
    Amount, Currency, Money, MoneyError, Rounding, RoundingMode, RoundingScope, TaxPercent,
};
