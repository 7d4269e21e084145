//! The result of rating: what running cost, capture, receipt, CDR and journal are all made from.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Utc};
use ocpi::Price;
use plans::{Period, Reduction, Usage};
use quantities::{Amount, Currency, MoneyError, PlanRef, TariffRef, TaxPercent, WattHours};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use session::SignedReadings;
use smallvec::SmallVec;

/// A priced session. Its lines add up to its total, always.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PricedSession {
    /// The tariff version that priced it.
    pub tariff: TariffRef,
    /// The currency of every amount in it.
    pub currency: Currency,
    /// What is billed.
    pub lines: Vec<Line>,
    /// What happened, in order of time and without holes: one segment for every change of price
    /// or of what the vehicle does. Their energy adds up to `total_energy`.
    pub segments: Vec<Segment>,
    /// The sums of the lines.
    pub totals: Totals,
    /// The taxes in the total. They add up to the total with tax less the total without.
    pub taxes: Vec<TaxTotal>,
    /// Whether the rates of the lines are with tax (OCPI 2.3.0 `tax_included`).
    #[serde(default)]
    pub rates_include_tax: bool,
    /// The plan that was applied, and what the session adds to its account's usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanApplied>,
    /// Register at the end less register at the start.
    pub total_energy: WattHours,
    /// Seconds from the start until the connector was free, charging and not.
    pub total_time_s: Decimal,
    /// Seconds of these in which the vehicle did not charge, whoever was to blame.
    pub total_parking_time_s: Decimal,
    /// What was untidy about the input, and how it was treated.
    pub findings: Vec<Finding>,
    /// What the meter signed, for whoever wants to check the energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedReadings>,
    /// How boundaries were interpolated and amounts rounded.
    pub method: Method,
}

impl PricedSession {
    /// What is paid, tax included.
    #[must_use]
    pub const fn gross(&self) -> Amount {
        self.totals.total.incl_vat
    }

    /// What is earned, without tax.
    #[must_use]
    pub const fn net(&self) -> Amount {
        self.totals.total.excl_vat
    }

    /// The taxes on `line` in percent, all together; none where none is stated.
    #[must_use]
    pub fn tax_percent(&self, line: &Line) -> Option<Decimal> {
        let percents = line.taxes.iter().filter_map(|tax| Some(self.taxes.get(tax.tax)?.percent));
        (!line.taxes.is_empty()).then(|| percents.map(TaxPercent::percent).sum())
    }

    /// The tax in it.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub fn tax(&self) -> Result<Amount, MoneyError> {
        self.gross().checked_sub(self.net())
    }
}

/// An amount without and with tax, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Without tax.
    pub excl_vat: Amount,
    /// With tax; the same as without where no tax is stated.
    pub incl_vat: Amount,
}

impl Cost {
    /// Nothing.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { excl_vat: Amount::zero(currency), incl_vat: Amount::zero(currency) }
    }

    /// The sum of both.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        Ok(Self {
            excl_vat: self.excl_vat.checked_add(other.excl_vat)?,
            incl_vat: self.incl_vat.checked_add(other.incl_vat)?,
        })
    }
}

impl From<Cost> for Price {
    fn from(cost: Cost) -> Self {
        Self {
            excl_vat: cost.excl_vat.to_money().value,
            incl_vat: Some(cost.incl_vat.to_money().value),
        }
    }
}

/// The sums of the lines, as a CDR groups them. What a plan or a cap takes off counts where the
/// line counts that it reduces; what a minimum or maximum price adds or takes away is in `total`
/// only, as is what nobody pays, so that the other sums say what was consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Everything.
    pub total: Cost,
    /// Flat fees (OCPI `total_fixed_cost`).
    pub fixed: Cost,
    /// Energy.
    pub energy: Cost,
    /// Charging time.
    pub time: Cost,
    /// Idle time.
    pub parking: Cost,
    /// Reservation, its flat fee included.
    pub reservation: Cost,
}

/// A plan that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanApplied {
    /// Which plan, and which version of it.
    pub reference: PlanRef,
    /// What this session adds to its account's usage: what the tariff has a price for, as billed,
    /// whether or not an allowance covers it; and the price with tax.
    pub usage: Usage,
    /// Whether the account has reached its spending cap with this session, so that it starts no
    /// other one in the month.
    pub spending_cap_reached: bool,
}

/// A tax in the total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxTotal {
    /// What the receipt calls it: `VAT`, `GST`.
    pub name: Cow<'static, str>,
    /// Its rate.
    pub percent: TaxPercent,
    /// The seller's account with the authority that it is paid to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
    /// What it is on, without tax: the sum of the lines that carry it.
    pub base: Amount,
    /// The tax: the sum of the lines' parts of it.
    pub amount: Amount,
}

/// A line's part of a tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTax {
    /// Index of the tax in [`PricedSession::taxes`].
    pub tax: usize,
    /// How much of it is in the line.
    pub amount: Amount,
}

impl Totals {
    /// The sums of `lines`.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    pub(crate) fn of(lines: &[Line], currency: Currency) -> Result<Self, MoneyError> {
        let zero = Cost::zero(currency);
        let mut totals = Self {
            total: zero,
            fixed: zero,
            energy: zero,
            time: zero,
            parking: zero,
            reservation: zero,
        };
        for line in lines {
            totals.total = totals.total.checked_add(line.amount)?;
            let reduced = line.why.reduces.and_then(|reduced| lines.get(reduced));
            let group = match reduced.unwrap_or(line).item {
                Item::Flat | Item::StartFeeWaived => &mut totals.fixed,
                Item::Energy => &mut totals.energy,
                Item::Time => &mut totals.time,
                Item::ParkingTime | Item::IdleCap => &mut totals.parking,
                Item::ReservationFlat | Item::ReservationTime => &mut totals.reservation,
                Item::MinPrice | Item::MaxPrice | Item::Free | Item::Allowance | Item::Discount => {
                    continue;
                }
            };
            *group = group.checked_add(line.amount)?;
        }
        Ok(totals)
    }
}

/// A line's parts of the taxes; one needs no memory of its own.
pub type LineTaxes = SmallVec<[LineTax; 1]>;

/// Indexes of a few segments; two need no memory of their own.
pub type Indexes = SmallVec<[usize; 2]>;

/// One line of the bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What is billed.
    pub item: Item,
    /// The same in words, for a receipt.
    pub description: Arc<str>,
    /// Index of the tariff element it comes from; none for what changes the sum of others.
    pub element: Option<usize>,
    /// How much is billed, in `unit`.
    pub quantity: Decimal,
    /// How much was measured, before `step_size` rounded it up.
    pub measured: Decimal,
    /// Unit of both quantities.
    pub unit: Unit,
    /// Price per `rate_unit`, as the tariff states it: with tax or without, see
    /// [`PricedSession::rates_include_tax`].
    pub rate: Decimal,
    /// What `rate` is for one of.
    pub rate_unit: Unit,
    /// The taxes on it, each on the amount before taxes. Empty: none is stated.
    pub taxes: LineTaxes,
    /// What it costs, rounded so that the lines add up to the total.
    pub amount: Cost,
    /// Start of the first segment it comes from.
    pub from: DateTime<Utc>,
    /// End of the last segment it comes from.
    pub to: DateTime<Utc>,
    /// Energy of these segments.
    pub energy: WattHours,
    /// Indexes of these segments in [`PricedSession::segments`].
    pub segments: Indexes,
    /// Why it is there, and what it was before rounding.
    #[serde(default)]
    pub why: Why,
}

/// Why a line is there: what its explanation is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Why {
    /// Index of the price component in its element; none for what changes the sum of others.
    pub component: Option<usize>,
    /// The restrictions of the element, which all held, in words. Empty: it has none.
    pub conditions: Arc<str>,
    /// The component's `step_size` in Wh or seconds.
    pub step_size: u32,
    /// Without tax in major units, before rounding.
    pub exact_excl_vat: Decimal,
    /// With tax in major units, before rounding.
    pub exact_incl_vat: Decimal,
    /// Index of the line that this one reduces.
    pub reduces: Option<usize>,
    /// What the plan says, on a line that it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanRule>,
}

/// The rule of a plan that makes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanRule {
    /// Starting a session costs nothing.
    NoStartFee,
    /// So much is included.
    Allowance {
        /// kWh of energy, minutes of time.
        quantity: Decimal,
        /// How often it is given anew.
        per: Period,
    },
    /// A lower price.
    Discount(Reduction),
}

impl Line {
    /// A line of `item` about nothing yet.
    pub(crate) fn blank(item: Item, currency: Currency) -> Self {
        Self {
            item,
            description: Arc::default(),
            element: None,
            quantity: Decimal::ONE,
            measured: Decimal::ONE,
            unit: Unit::Session,
            rate: Decimal::ZERO,
            rate_unit: Unit::Session,
            taxes: LineTaxes::new(),
            amount: Cost::zero(currency),
            from: DateTime::UNIX_EPOCH,
            to: DateTime::UNIX_EPOCH,
            energy: WattHours::ZERO,
            segments: Indexes::new(),
            why: Why::default(),
        }
    }
}

/// What a line bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Item {
    /// The fee of a reservation.
    ReservationFlat,
    /// The time of a reservation.
    ReservationTime,
    /// A flat fee, once a session (OCPI `FLAT`).
    Flat,
    /// Energy (OCPI `ENERGY`).
    Energy,
    /// Charging time (OCPI `TIME`).
    Time,
    /// Idle time (OCPI `PARKING_TIME`).
    ParkingTime,
    /// A flat fee that a plan waives; negative.
    StartFeeWaived,
    /// What a plan's allowance covers; negative.
    Allowance,
    /// What a plan's discount takes off; negative.
    Discount,
    /// What exceeds the cap on idle fees; negative.
    IdleCap,
    /// What is missing to the tariff's `min_price`.
    MinPrice,
    /// What exceeds the tariff's `max_price`; negative.
    MaxPrice,
    /// All of it, where nobody pays; negative.
    Free,
}

/// A unit of quantity or rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Kilowatt-hour.
    #[serde(rename = "kWh")]
    KilowattHour,
    /// Second.
    #[serde(rename = "s")]
    Second,
    /// Hour.
    #[serde(rename = "h")]
    Hour,
    /// Once a session.
    #[serde(rename = "session")]
    Session,
}

/// A stretch of the session in which neither the price nor what the vehicle does changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its start.
    pub start: DateTime<Utc>,
    /// Its end; the next one's start.
    pub end: DateTime<Utc>,
    /// Energy that flowed in it.
    pub energy: WattHours,
    /// What it was.
    pub kind: SegmentKind,
    /// Lowest average power between two readings in it, in kW; only where the tariff asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_power_kw: Option<Decimal>,
    /// Highest average power between two readings in it, in kW; only where the tariff asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_power_kw: Option<Decimal>,
}

/// What happened in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentKind {
    /// The vehicle charged: billed as `TIME`.
    Charging,
    /// The vehicle was connected and did not want energy: billed as `PARKING_TIME`.
    Idle,
    /// Idle, within the grace period: no time is billed.
    Grace,
    /// Idle, in hours that the idle fee leaves out: no time is billed.
    Quiet,
    /// The charger did not offer energy, was broken, or had nobody at it: no time is billed.
    Operator,
    /// Reserved, before the session: billed as reservation.
    Reservation,
    /// A CDR's period that states no time: no time is billed.
    Unstated,
}

/// Something untidy about the input. Stable codes, so that a machine can count them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub code: FindingCode,
    /// How often it occurred.
    pub count: u32,
    /// Where it occurred first.
    pub first_at: DateTime<Utc>,
    /// What was seen and how it was treated, in a sentence. No personal data.
    pub detail: String,
}

/// What was untidy. The code names the treatment's rule too; see each value. What is about the
/// readings themselves has the code that the session gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// No status was known, so idle time was told by the energy: less than 100 W between two
    /// readings.
    IdleFromEnergy,
    /// No status was known, so idle time was told by the power in the readings: less than 100 W.
    IdleFromPower,
    /// The connector was reported free before the end: the session ends at its end.
    ReleasedBeforeEnd,
    /// The tariff was not valid at the start: it applies all the same, because it was offered.
    TariffNotValid,
    /// A CDR's period states no time although it lasts: no time is billed for it.
    PeriodWithoutTime,
    /// A CDR's period states another time than it lasts: what it states is billed.
    PeriodTimeDiffers,
    /// A CDR's period names no tariff although others do: it is not billed.
    PeriodWithoutTariff,
    /// A price changes within a CDR's period: the period is split, its volumes in proportion.
    PeriodSplit,
    /// A CDR's total is not the sum of its periods: the periods are billed.
    TotalDiffers,
    /// A CDR names another tariff than the one it is priced with.
    OtherTariff,
    /// A component states no VAT: none is added.
    VatNotStated,
    /// The driver's plan is in another currency than the tariff: it is not applied.
    PlanNotApplied,
    /// The account has reached its spending cap with this session: it is billed in full.
    SpendingCapReached,
    /// What is doubtful about the readings, by the session's own table of treatments.
    #[serde(untagged)]
    Reading(session::FindingCode),
}

/// How the result was computed, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// How charging is told from idle; `None` where a CDR's periods say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Cow<'static, str>>,
    /// How energy is found between two readings.
    pub interpolation: Cow<'static, str>,
    /// How amounts are rounded.
    pub rounding: Cow<'static, str>,
    /// Decimals of the currency's minor unit, which is rounded to: 0, 2, 3, …
    #[serde(default)]
    pub minor_digits: u32,
}
