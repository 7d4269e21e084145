//! A tariff made ready for pricing: restrictions parsed, components sorted by what they price.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc, Weekday};
use ocpi::{
    Price, PriceComponent, ReservationRestrictionType, Tariff, TariffDimensionType,
    TariffRestrictions, TaxIncluded,
};
use quantities::{Currency, TaxPercent};
use rust_decimal::Decimal;

use crate::{
    RatingError,
    candidates::List,
    exact::{WH_PER_KWH, micro_wh, to_wh},
    label,
};

/// A tariff in the form that pricing reads. Made once, used for any number of sessions.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    /// The tariff's own id, as it spells it.
    pub(crate) id: String,
    pub(crate) currency: Currency,
    pub(crate) tax_included: TaxIncluded,
    pub(crate) min_price: Option<Price>,
    pub(crate) max_price: Option<Price>,
    pub(crate) valid_from: Option<DateTime<Utc>>,
    pub(crate) valid_until: Option<DateTime<Utc>>,
    pub(crate) components: Vec<Component>,
    pub(crate) energy: List,
    pub(crate) time: List,
    pub(crate) parking: List,
    pub(crate) flat: List,
    pub(crate) reservation_time: List,
    pub(crate) reservation_flat: List,
    /// Local times of day at which a price can change; empty when none does.
    pub(crate) local_times: Vec<NaiveTime>,
    /// Durations at which a price can change, in seconds.
    pub(crate) durations_s: Vec<u32>,
    /// Energies at which a price can change, in millionths of a Wh, ascending.
    pub(crate) energies_uwh: Vec<i64>,
    /// Powers at which a price can change, in kW, ascending.
    pub(crate) powers_kw: Vec<Decimal>,
    /// Whether any price depends on power or current.
    pub(crate) depends_on_power: bool,
}

/// One price component with the restrictions of its element.
#[derive(Debug, Clone)]
pub(crate) struct Component {
    pub(crate) element: usize,
    /// Its place among the components of its element.
    pub(crate) position: usize,
    pub(crate) dimension: TariffDimensionType,
    pub(crate) price: Decimal,
    pub(crate) vat: Option<TaxPercent>,
    pub(crate) step_size: u32,
    pub(crate) rule: Rule,
    /// Whether the rule asks about nothing, so that it holds at every moment.
    pub(crate) always: bool,
    /// What it prices, in words.
    pub(crate) description: Arc<str>,
    /// The rule in words; empty when it always holds.
    pub(crate) conditions: Arc<str>,
}

/// Parsed restrictions. `None` everywhere: always active.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rule {
    pub(crate) time: Option<(NaiveTime, NaiveTime)>,
    pub(crate) start_date: Option<NaiveDate>,
    pub(crate) end_date: Option<NaiveDate>,
    pub(crate) days: Option<Days>,
    pub(crate) min_wh: Option<Decimal>,
    pub(crate) max_wh: Option<Decimal>,
    pub(crate) min_s: Option<u32>,
    pub(crate) max_s: Option<u32>,
    pub(crate) power: Limits,
    pub(crate) current: Limits,
    pub(crate) reservation: Option<ReservationRestrictionType>,
}

/// A half-open range of power or current.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) min: Option<Decimal>,
    pub(crate) max: Option<Decimal>,
}

/// The lowest and the highest value of a stretch, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) low: Option<Decimal>,
    pub(crate) high: Option<Decimal>,
}

impl Bounds {
    pub(crate) const fn exactly(value: Decimal) -> Self {
        Self { low: Some(value), high: Some(value) }
    }

    pub(crate) const fn is_known(self) -> bool {
        self.low.is_some() || self.high.is_some()
    }
}

impl Limits {
    pub(crate) const fn is_set(self) -> bool {
        self.min.is_some() || self.max.is_some()
    }

    /// Whether all of `bounds` lies within. A bound that is not known is taken from the other:
    /// whoever wrote the period had to start a new one where it crossed the limit.
    fn hold(self, bounds: Bounds) -> bool {
        let low = bounds.low.or(bounds.high);
        let high = bounds.high.or(bounds.low);
        self.min.is_none_or(|min| low.is_some_and(|low| low >= min))
            && self.max.is_none_or(|max| high.is_some_and(|high| high < max))
    }
}

/// A set of weekdays, one bit each from Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Days(u8);

impl Days {
    pub(crate) fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for day in (0..7).filter_map(|day| Weekday::try_from(day).ok()) {
            if self.contains(day) {
                write!(f, "{separator}{day}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

/// All that a restriction can ask about a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) local: NaiveDateTime,
    pub(crate) elapsed_ms: i64,
    pub(crate) energy_wh: Decimal,
    pub(crate) power_kw: Bounds,
    pub(crate) current_a: Bounds,
    pub(crate) reservation_expired: bool,
}

/// Whether a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    No,
    /// It depends on something that is not known.
    Unknown(&'static str),
}

impl Rule {
    /// Whether the rule needs local time.
    pub(crate) const fn is_local(&self) -> bool {
        self.time.is_some()
            || self.start_date.is_some()
            || self.end_date.is_some()
            || self.days.is_some()
    }

    /// Whether the rule asks about power or current.
    pub(crate) const fn depends_on_power(&self) -> bool {
        self.power.is_set() || self.current.is_set()
    }

    /// Whether the rule holds for as long as power and current do not matter.
    pub(crate) fn holds_apart_from_power(&self, moment: &Moment) -> bool {
        let date = moment.local.date();
        self.time.is_none_or(|window| in_window(window, moment.local.time()))
            && self.start_date.is_none_or(|start| date >= start)
            && self.end_date.is_none_or(|end| date < end)
            && self.days.is_none_or(|days| days.contains(date.weekday()))
            && self.min_wh.is_none_or(|min| moment.energy_wh >= min)
            && self.max_wh.is_none_or(|max| moment.energy_wh < max)
            && self.min_s.is_none_or(|min| moment.elapsed_ms >= i64::from(min) * 1000)
            && self.max_s.is_none_or(|max| moment.elapsed_ms < i64::from(max) * 1000)
            && (self.reservation != Some(ReservationRestrictionType::ReservationExpires)
                || moment.reservation_expired)
    }

    /// Whether the rule holds.
    pub(crate) fn holds(&self, moment: &Moment) -> Holds {
        if !self.holds_apart_from_power(moment) {
            return Holds::No;
        }
        for (limits, bounds, name) in
            [(self.power, moment.power_kw, "power"), (self.current, moment.current_a, "current")]
        {
            if limits.is_set() && !bounds.is_known() {
                return Holds::Unknown(name);
            }
            if limits.is_set() && !limits.hold(bounds) {
                return Holds::No;
            }
        }
        Holds::Yes
    }
}

/// The first whole millionth of a Wh that is `wh` or more.
fn reached_at(wh: Decimal) -> Option<i64> {
    let near = micro_wh(wh)?;
    if to_wh(near) < wh { near.checked_add(1) } else { Some(near) }
}

/// A window that ends at or before its start goes over midnight; 00:00 to 00:00 is the whole day.
fn in_window((start, end): (NaiveTime, NaiveTime), time: NaiveTime) -> bool {
    if start < end { start <= time && time < end } else { time >= start || time < end }
}

impl Compiled {
    /// Makes `tariff` ready for pricing.
    ///
    /// # Errors
    ///
    /// [`RatingError`] when it says something that cannot be priced.
    pub(crate) fn new(tariff: &Tariff) -> Result<Self, RatingError> {
        let mut compiled = Self {
            id: tariff.id.clone(),
            currency: tariff.currency.parse()?,
            tax_included: tariff.tax_included(),
            min_price: tariff.min_price,
            max_price: tariff.max_price,
            valid_from: tariff.start_date_time,
            valid_until: tariff.end_date_time,
            components: Vec::new(),
            energy: List::default(),
            time: List::default(),
            parking: List::default(),
            flat: List::default(),
            reservation_time: List::default(),
            reservation_flat: List::default(),
            local_times: Vec::new(),
            durations_s: Vec::new(),
            energies_uwh: Vec::new(),
            powers_kw: Vec::new(),
            depends_on_power: false,
        };
        for (index, element) in tariff.elements.iter().enumerate() {
            let rule = match &element.restrictions {
                Some(restrictions) => parse_rule(index, restrictions)?,
                None => Rule::default(),
            };
            compiled.note_boundaries(&rule);
            let conditions: Arc<str> = label::conditions(&rule).into();
            for (position, component) in element.price_components.iter().enumerate() {
                compiled.add((index, position), component, &rule, &conditions)?;
            }
        }
        compiled.expired_first();
        compiled.index();
        compiled.local_times.sort_unstable();
        compiled.local_times.dedup();
        compiled.durations_s.sort_unstable();
        compiled.durations_s.dedup();
        compiled.energies_uwh.sort_unstable();
        compiled.energies_uwh.dedup();
        compiled.powers_kw.sort_unstable();
        compiled.powers_kw.dedup();
        Ok(compiled)
    }

    /// Whether any price depends on the power.
    pub(crate) fn uses_power(&self) -> bool {
        !self.powers_kw.is_empty()
    }

    /// Between which of the powers that matter `power` is: two powers of one band are one to every
    /// rule.
    pub(crate) fn power_band(&self, power: Bounds) -> (usize, usize) {
        let band = |kw: Option<Decimal>| {
            kw.map_or(0, |kw| self.powers_kw.partition_point(|threshold| *threshold <= kw))
        };
        (band(power.low), band(power.high))
    }

    /// Whether a price can change while what the vehicle does stays the same.
    pub(crate) fn can_change(&self) -> bool {
        self.is_local()
            || self.depends_on_power
            || !self.durations_s.is_empty()
            || !self.energies_uwh.is_empty()
    }

    /// Whether any price depends on local time.
    pub(crate) fn is_local(&self) -> bool {
        !self.local_times.is_empty()
    }

    fn note_boundaries(&mut self, rule: &Rule) {
        if rule.is_local() {
            self.local_times.push(NaiveTime::MIN);
        }
        if let Some((start, end)) = rule.time {
            self.local_times.extend([start, end]);
        }
        self.durations_s.extend(rule.min_s.into_iter().chain(rule.max_s));
        // One that is more than a meter shows is never reached.
        let energies = rule.min_wh.into_iter().chain(rule.max_wh);
        self.energies_uwh.extend(energies.filter_map(reached_at));
        self.depends_on_power |= rule.depends_on_power();
        self.powers_kw.extend(rule.power.min.into_iter().chain(rule.power.max));
    }

    fn add(
        &mut self,
        (element, position): (usize, usize),
        component: &PriceComponent,
        rule: &Rule,
        conditions: &Arc<str>,
    ) -> Result<(), RatingError> {
        use TariffDimensionType::{Energy, Flat, ParkingTime, Time};
        let list = match (component.dimension, rule.reservation) {
            (Energy, None) => &mut self.energy,
            (Time, None) => &mut self.time,
            (ParkingTime, None) => &mut self.parking,
            (Flat, None) => &mut self.flat,
            (Time, Some(_)) => &mut self.reservation_time,
            (Flat, Some(_)) => &mut self.reservation_flat,
            // A reservation has no energy and no parking (mod_tariffs, TariffRestrictions).
            (Energy | ParkingTime, Some(_)) => return Ok(()),
        };
        list.push(self.components.len());
        self.components.push(Component {
            element,
            position,
            dimension: component.dimension,
            price: component.price,
            vat: component.vat.map(TaxPercent::try_from).transpose()?,
            step_size: component.step_size,
            rule: rule.clone(),
            always: *rule == Rule::default(),
            description: label::describe(component.dimension, rule.reservation, conditions),
            conditions: Arc::clone(conditions),
        });
        Ok(())
    }

    fn index(&mut self) {
        for list in [
            &mut self.energy,
            &mut self.time,
            &mut self.parking,
            &mut self.flat,
            &mut self.reservation_time,
            &mut self.reservation_flat,
        ] {
            list.index(&self.components);
        }
    }

    /// The most components of one dimension that are asked at once.
    pub(crate) fn most_candidates(&self) -> usize {
        let lists = [&self.energy, &self.time, &self.parking, &self.flat];
        let reservation = [&self.reservation_time, &self.reservation_flat];
        lists.into_iter().chain(reservation).map(List::most_candidates).max().unwrap_or_default()
    }

    /// An expired reservation is priced by its `RESERVATION_EXPIRES` elements first, wherever they
    /// stand (`mod_tariffs`, `ReservationRestrictionType`).
    fn expired_first(&mut self) {
        let components = &self.components;
        let rank = |index: &usize| {
            let reservation = components.get(*index).and_then(|c| c.rule.reservation);
            reservation != Some(ReservationRestrictionType::ReservationExpires)
        };
        self.reservation_time.sort_by_key(rank);
        self.reservation_flat.sort_by_key(rank);
    }
}

fn parse_rule(element: usize, stated: &TariffRestrictions) -> Result<Rule, RatingError> {
    if let Some((name, _)) = stated.other.iter().find(|(_, value)| !value.is_null()) {
        let restriction = name.clone();
        return Err(RatingError::UnsupportedRestriction { element, restriction });
    }
    let time = |field, text: &Option<String>| {
        text.as_deref().map(|text| parse_time(element, field, text)).transpose()
    };
    let date = |field, text: &Option<String>| {
        text.as_deref().map(|text| parse_date(element, field, text)).transpose()
    };
    let start = time("start_time", &stated.start_time)?;
    let end = time("end_time", &stated.end_time)?;
    let window = (start.unwrap_or(NaiveTime::MIN), end.unwrap_or(NaiveTime::MIN));
    let to_wh = |kwh: Decimal| kwh.checked_mul(WH_PER_KWH).ok_or(quantities::MoneyError::Overflow);
    Ok(Rule {
        time: (start.is_some() || end.is_some()).then_some(window),
        start_date: date("start_date", &stated.start_date)?,
        end_date: date("end_date", &stated.end_date)?,
        days: (!stated.day_of_week.is_empty()).then(|| {
            let bit = |day: &ocpi::DayOfWeek| 1 << Weekday::from(*day).num_days_from_monday();
            Days(stated.day_of_week.iter().map(bit).fold(0, |days, bit: u8| days | bit))
        }),
        min_wh: stated.min_kwh.map(to_wh).transpose()?,
        max_wh: stated.max_kwh.map(to_wh).transpose()?,
        min_s: stated.min_duration,
        max_s: stated.max_duration,
        power: Limits { min: stated.min_power, max: stated.max_power },
        current: Limits { min: stated.min_current, max: stated.max_current },
        reservation: stated.reservation,
    })
}

fn parse_time(element: usize, field: &'static str, text: &str) -> Result<NaiveTime, RatingError> {
    let well_formed = text.len() == 5;
    let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| well_formed);
    time.ok_or_else(|| RatingError::InvalidTariff {
        element,
        field,
        value: text.to_owned(),
        expected: "a time of day such as 19:45",
    })
}

fn parse_date(element: usize, field: &'static str, text: &str) -> Result<NaiveDate, RatingError> {
    let well_formed = text.len() == 10;
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| well_formed);
    date.ok_or_else(|| RatingError::InvalidTariff {
        element,
        field,
        value: text.to_owned(),
        expected: "a date such as 2015-12-24",
    })
}
