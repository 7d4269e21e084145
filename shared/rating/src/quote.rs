//! The price at a charger now.

use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use ocpi::TariffDimensionType;
use quantities::{Currency, TariffRef, TaxPercent};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    RatingError, Rules, TariffVersion, Unit,
    compile::{Bounds, Compiled, Component, Moment},
    exact::Exact,
    local::{check_calendar, local, moments},
};

/// What a session that starts now pays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// The tariff version.
    pub tariff: TariffRef,
    /// The currency of the prices.
    pub currency: Currency,
    /// The components in force, in the order of AFIR: kWh, hour, idle hour, session.
    pub prices: Vec<PriceInForce>,
    /// When the first of these prices changes with the time of day or date; none within a week.
    pub valid_until: Option<DateTime<Utc>>,
    /// Idle seconds that cost nothing.
    pub idle_grace_s: u32,
}

/// One component in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceInForce {
    /// What it prices.
    pub dimension: TariffDimensionType,
    /// Index of the tariff element it comes from.
    pub element: usize,
    /// Price without tax per `unit`.
    pub excl_vat: Decimal,
    /// Price with tax per `unit`, exact.
    pub incl_vat: Decimal,
    /// What the price is for one of.
    pub unit: Unit,
    /// Tax in percent.
    pub tax_percent: TaxPercent,
    /// Billed in blocks of this many Wh or seconds.
    pub step_size: u32,
    /// Whether it applies only at certain powers or currents of the session to come.
    pub depends_on_power: bool,
}

/// The components in force at `at` for a session that starts then.
///
/// # Errors
///
/// [`RatingError`].
pub fn quote(
    tariff: &TariffVersion,
    at: DateTime<Utc>,
    rules: &Rules<'_>,
) -> Result<Quote, RatingError> {
    check_calendar(at)?;
    let zone = rules.zone;
    let taxes = rules.taxes.unwrap_or_default().iter().map(|tax| tax.percent.percent());
    let tax = TaxPercent::try_from(taxes.sum::<Decimal>())?;
    let compiled = Compiled::new(&tariff.tariff)?;
    let prices = |at: DateTime<Utc>| -> Result<Vec<PriceInForce>, RatingError> {
        let moment = start_of_session(local(zone, at));
        let lists = [&compiled.energy, &compiled.time, &compiled.parking, &compiled.flat];
        let found = lists.into_iter().flat_map(|list| in_force(&compiled, list, &moment));
        found.map(|component| price(component, tax)).collect()
    };
    let now = prices(at)?;
    let mut changes = Vec::new();
    if compiled.is_local() {
        moments(zone, at, at + HORIZON, &compiled.local_times, &mut changes);
    }
    changes.retain(|change| *change > at);
    changes.sort_unstable();
    let mut valid_until = None;
    for change in changes {
        if prices(change)? != now {
            valid_until = Some(change);
            break;
        }
    }
    Ok(Quote {
        tariff: tariff.reference.clone(),
        currency: compiled.currency,
        prices: now,
        valid_until,
        idle_grace_s: tariff.terms.idle.grace_s,
    })
}

/// How far ahead a quote looks for the next change.
const HORIZON: Duration = Duration::days(7);

fn start_of_session(local: NaiveDateTime) -> Moment {
    Moment {
        local,
        elapsed_ms: 0,
        energy_wh: Decimal::ZERO,
        power_kw: Bounds::default(),
        current_a: Bounds::default(),
        reservation_expired: false,
    }
}

/// The first component of `list` that applies, preceded by those that apply at certain powers.
fn in_force<'a>(
    tariff: &'a Compiled,
    list: &[usize],
    moment: &Moment,
) -> impl Iterator<Item = &'a Component> {
    let mut decided = false;
    let components = list.iter().filter_map(|index| tariff.components.get(*index));
    let found = components.filter(move |component| {
        let applies = !decided && component.rule.holds_apart_from_power(moment);
        decided |= applies && !component.rule.depends_on_power();
        applies
    });
    found.collect::<Vec<_>>().into_iter()
}

fn price(component: &Component, tax: TaxPercent) -> Result<PriceInForce, RatingError> {
    let tax_percent = component.vat.unwrap_or(tax);
    let incl_vat = Exact::for_once(component.price)?.plus_percent(tax_percent.percent())?;
    let unit = match component.dimension {
        TariffDimensionType::Energy => Unit::KilowattHour,
        TariffDimensionType::Flat => Unit::Session,
        TariffDimensionType::ParkingTime | TariffDimensionType::Time => Unit::Hour,
    };
    Ok(PriceInForce {
        dimension: component.dimension,
        element: component.element,
        excl_vat: component.price,
        incl_vat: incl_vat.major()?.normalize(),
        unit,
        tax_percent,
        step_size: component.step_size,
        depends_on_power: component.rule.depends_on_power(),
    })
}
