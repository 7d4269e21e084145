//! Money, energy, tax and ids as types, so that a mix-up is a compile error.
//!
//! Invariant: nothing here performs I/O or reads a clock. Money becomes minor units in one module of
//! the whole system: by [`Money::round`] what is billed, by [`Money::round_up`] what is held.

mod energy;
mod ids;
mod money;

pub use energy::{Power, QuantityError, WattHours};
pub use ids::{
    AccountId, ChargePointId, ConnectorId, DriverId, ExceptionId, IdError, IdTag, PartnerId,
    PlanId, PlanRef, ReaderId, SessionId, SiteId, SubscriberId, TapId, TariffId, TariffRef,
    TransactionId,
};
pub use money::{
    Amount, Currency, Money, MoneyError, Rounding, RoundingMode, RoundingScope, TaxOutOfRange,
    TaxPercent, UnknownCurrency,
};
