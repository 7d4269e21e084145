//! Why something cannot be priced. Never a zero instead.

use chrono::{DateTime, Utc};
use plans::UsageError;
use quantities::{IdError, MoneyError, QuantityError, TaxOutOfRange, UnknownCurrency, WattHours};
use rust_decimal::Decimal;

/// Why a session cannot be priced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    /// The tariff has a restriction that this engine does not know.
    #[error("tariff element {element}: the restriction `{restriction}` is not supported")]
    UnsupportedRestriction {
        /// Index of the element.
        element: usize,
        /// Name of the restriction.
        restriction: String,
    },
    /// The tariff says something that cannot be read.
    #[error("tariff element {element}: `{field}` is `{value}`, not {expected}")]
    InvalidTariff {
        /// Index of the element.
        element: usize,
        /// The field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it should say.
        expected: &'static str,
    },
    /// A price depends on the power or the current, and nobody knows it.
    #[error("tariff element {element} depends on the {what}, which is not known at {at}")]
    Unknown {
        /// Index of the element.
        element: usize,
        /// What is not known.
        what: &'static str,
        /// When.
        at: DateTime<Utc>,
    },
    /// A charge of one tariff is priced by another: a mistake in this crate, not in its input.
    #[error("the tariff has no price component {component}")]
    NoComponent {
        /// Which, counted through all elements.
        component: usize,
    },
    /// More than a year: not a charging session.
    #[error("the session from {started_at} to {ended_at} lasts longer than a year")]
    TooLong {
        /// The start.
        started_at: DateTime<Utc>,
        /// The end.
        ended_at: DateTime<Utc>,
    },
    /// The session ends before it starts.
    #[error("the session ends at {ended_at}, before its start at {started_at}")]
    EndsBeforeStart {
        /// The start.
        started_at: DateTime<Utc>,
        /// The end.
        ended_at: DateTime<Utc>,
    },
    /// A moment that no charger has seen.
    #[error("{at} is not in the years 1970 to 9999")]
    OutsideCalendar {
        /// The moment.
        at: DateTime<Utc>,
    },
    /// The register at the end is below the register at the start.
    #[error("the register runs backwards, from {start} to {stop}")]
    MeterBackwards {
        /// At the start.
        start: WattHours,
        /// At the end.
        stop: WattHours,
    },
    /// The CDR's periods are not in order of time, or outside the session.
    #[error("charging period {period} starts at {start}, out of order or outside the session")]
    PeriodOutOfOrder {
        /// Index of the period.
        period: usize,
        /// Its start.
        start: DateTime<Utc>,
    },
    /// A CDR's period states a volume that nobody can have consumed.
    #[error("charging period {period} states a {dimension} volume of {volume}, which cannot be")]
    InvalidVolume {
        /// Index of the period.
        period: usize,
        /// The dimension.
        dimension: &'static str,
        /// What it states.
        volume: Decimal,
    },
    /// More prices than anybody sells by.
    #[error(
        "the tariff is too large: prices can change {changes} times in the session, and up to \
         {components} elements have to be looked at each time"
    )]
    TooManyPrices {
        /// How often a price can change.
        changes: usize,
        /// How many components may apply at one moment.
        components: usize,
    },
    /// The tariff has no id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// An amount.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A currency.
    #[error(transparent)]
    Currency(#[from] UnknownCurrency),
    /// A tax.
    #[error(transparent)]
    Tax(#[from] TaxOutOfRange),
    /// What a plan's account has used.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Energy or time.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
}
