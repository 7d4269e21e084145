//! Restates a pair in words that both engines read alike.

use ocpi::{
    Cdr, CdrDimension, CdrDimensionType, ChargingPeriod, Tariff, TariffDimensionType,
    TariffRestrictions,
};
use rating::{FindingCode, Item, PricedSession, Segment, SegmentKind};
use rust_decimal::Decimal;

use super::{Class, Stated};

/// `stated` with what `class` is about put as Tallywatt reads it. None where there is nothing of it.
pub(super) fn restate(class: Class, stated: &Stated, ours: &PricedSession) -> Option<Stated> {
    match class {
        Class::NotValid => not_valid(stated, ours),
        Class::WholeDay => whole_day(stated),
        Class::Reservation => reservation(stated),
        Class::PeriodWithoutTariff => period_without_tariff(stated),
        Class::ZeroVolume => zero_volume(stated),
        Class::UnsplitPeriod => unsplit_period(stated, ours),
        Class::RoundedHours => rounded_hours(stated),
        Class::PowerNotStated => power_not_stated(stated),
        Class::PowerRange => power_range(stated),
        Class::StepAfterParking => step_after_parking(stated, ours),
        Class::StepUnpriced => step_unpriced(stated, ours),
        // These are about amounts, not about the pair.
        Class::Limits | Class::RoundedTwice => None,
    }
}

/// Whether only the reference understands `class` restated: it is put in the terms of what the
/// reference makes of bounds and steps.
pub(super) const fn is_for_the_reference(class: Class) -> bool {
    matches!(class, Class::PowerRange | Class::StepAfterParking | Class::StepUnpriced)
}

/// The tariff that was offered applies, whatever its dates.
fn not_valid(stated: &Stated, ours: &PricedSession) -> Option<Stated> {
    let found = ours.findings.iter().any(|finding| finding.code == FindingCode::TariffNotValid);
    found.then(|| {
        let mut stated = stated.clone();
        stated.tariff.start_date_time = None;
        stated.tariff.end_date_time = None;
        stated
    })
}

fn restrictions(tariff: &Tariff) -> impl Iterator<Item = &TariffRestrictions> {
    tariff.elements.iter().filter_map(|element| element.restrictions.as_ref())
}

/// A window that ends where it starts is the whole day: no restriction.
fn whole_day(stated: &Stated) -> Option<Stated> {
    let is_whole = |restrictions: &TariffRestrictions| {
        let start = restrictions.start_time.as_deref().unwrap_or("00:00");
        let end = restrictions.end_time.as_deref().unwrap_or("00:00");
        let is_set = restrictions.start_time.is_some() || restrictions.end_time.is_some();
        is_set && start == end
    };
    restrictions(&stated.tariff).any(is_whole).then(|| {
        let mut stated = stated.clone();
        for element in &mut stated.tariff.elements {
            let whole = element.restrictions.as_mut().filter(|stated| is_whole(stated));
            if let Some(restrictions) = whole {
                (restrictions.start_time, restrictions.end_time) = (None, None);
            }
        }
        stated
    })
}

/// The session alone: a reservation's elements and periods are no part of it.
fn reservation(stated: &Stated) -> Option<Stated> {
    let is_reservation = |restrictions: &TariffRestrictions| restrictions.reservation.is_some();
    restrictions(&stated.tariff).any(is_reservation).then(|| {
        let mut stated = stated.clone();
        let elements = &mut stated.tariff.elements;
        elements.retain(|element| !element.restrictions.as_ref().is_some_and(is_reservation));
        stated
            .cdr
            .charging_periods
            .retain(|period| period.volume(CdrDimensionType::ReservationTime).is_none());
        if let Some(first) = stated.cdr.charging_periods.first() {
            stated.cdr.start_date_time = first.start_date_time;
        }
        stated
    })
}

/// Periods that name no tariff, while others do, are not billed: without them the bill is the same.
fn period_without_tariff(stated: &Stated) -> Option<Stated> {
    let periods = &stated.cdr.charging_periods;
    let named = periods.iter().filter(|period| period.tariff_id.is_some()).count();
    (named > 0 && named < periods.len()).then(|| {
        let mut stated = stated.clone();
        stated.cdr.charging_periods.retain(|period| period.tariff_id.is_some());
        stated
    })
}

/// A volume of 0 is no volume.
fn zero_volume(stated: &Stated) -> Option<Stated> {
    let counts = |dimension: &CdrDimension| {
        let (what, volume) = (dimension.dimension, dimension.volume);
        !volume.is_zero() || !is_consumed(what)
    };
    let mut periods = stated.cdr.charging_periods.iter();
    (!periods.all(|period| period.dimensions.iter().all(counts))).then(|| {
        let mut stated = stated.clone();
        for period in &mut stated.cdr.charging_periods {
            period.dimensions.retain(counts);
        }
        stated
    })
}

const fn is_consumed(dimension: CdrDimensionType) -> bool {
    matches!(
        dimension,
        CdrDimensionType::Energy | CdrDimensionType::Time | CdrDimensionType::ParkingTime
    )
}

/// A period for every segment, wherever the price changed within a period or it stated both kinds
/// of time.
fn unsplit_period(stated: &Stated, ours: &PricedSession) -> Option<Stated> {
    let split = ours.findings.iter().any(|finding| finding.code == FindingCode::PeriodSplit);
    let is_mixed = |period: &ChargingPeriod| {
        let stated = |what| period.volume(what).is_some_and(|volume| !volume.is_zero());
        stated(CdrDimensionType::Time) && stated(CdrDimensionType::ParkingTime)
    };
    (split || stated.cdr.charging_periods.iter().any(is_mixed)).then(|| {
        let periods = ours.segments.iter().filter_map(|segment| {
            let period = period_at(&stated.cdr, segment)?;
            Some(period_of(&stated.cdr.charging_periods[period], segment))
        });
        let charging_periods = periods.collect();
        Stated { cdr: Cdr { charging_periods, ..stated.cdr.clone() }, ..stated.clone() }
    })
}

/// The period in which `segment` starts.
fn period_at(cdr: &Cdr, segment: &Segment) -> Option<usize> {
    cdr.charging_periods.iter().rposition(|period| period.start_date_time <= segment.start)
}

/// `segment` as a period that states the power that `period` does.
fn period_of(period: &ChargingPeriod, segment: &Segment) -> ChargingPeriod {
    let mut dimensions = Vec::new();
    let mut state = |dimension, volume| dimensions.push(CdrDimension { dimension, volume });
    if !segment.energy.wh().is_zero() {
        state(CdrDimensionType::Energy, segment.energy.kwh());
    }
    let time = match segment.kind {
        SegmentKind::Charging => Some(CdrDimensionType::Time),
        SegmentKind::Idle => Some(CdrDimensionType::ParkingTime),
        _ => None,
    };
    if let Some(time) = time {
        state(time, hours((segment.end - segment.start).num_milliseconds()));
    }
    dimensions.extend(period.dimensions.iter().filter(|stated| !is_consumed(stated.dimension)));
    ChargingPeriod {
        start_date_time: segment.start,
        dimensions,
        tariff_id: period.tariff_id.clone(),
    }
}

/// Hours, as exact as a JSON number of up to 99 of them can be.
fn hours(ms: i64) -> Decimal {
    (Decimal::from(ms) / Decimal::from(3_600_000)).round_dp(12).normalize()
}

/// Each period with its end: the start of the next one.
fn ends(cdr: &Cdr) -> Vec<chrono::DateTime<chrono::Utc>> {
    let starts = cdr.charging_periods.iter().skip(1).map(|period| period.start_date_time);
    starts.chain([cdr.end_date_time]).collect()
}

/// Where the stated hours are the period's own to four decimals, the period's own are meant.
fn rounded_hours(stated: &Stated) -> Option<Stated> {
    let mut restated = stated.clone();
    let mut found = false;
    let ends = ends(&stated.cdr);
    for (period, end) in restated.cdr.charging_periods.iter_mut().zip(ends) {
        let exact = hours((end - period.start_date_time).num_milliseconds());
        let times = [CdrDimensionType::Time, CdrDimensionType::ParkingTime];
        for stated in period.dimensions.iter_mut().filter(|d| times.contains(&d.dimension)) {
            let rounded = stated.volume == exact.round_dp(4) && stated.volume != exact;
            found |= rounded;
            stated.volume = if rounded { exact } else { stated.volume };
        }
    }
    found.then_some(restated)
}

/// Whether a tariff asks for power or current that some period does not state at all.
pub(super) fn leaves_power_open(stated: &Stated) -> bool {
    let asks = restrictions(&stated.tariff).any(|r| {
        [r.min_power, r.max_power, r.min_current, r.max_current].iter().any(Option::is_some)
    });
    asks && stated.cdr.charging_periods.iter().any(|period| {
        bounds(period, POWER) == (None, None) || bounds(period, CURRENT) == (None, None)
    })
}

const POWER: [CdrDimensionType; 2] = [CdrDimensionType::MinPower, CdrDimensionType::MaxPower];
const CURRENT: [CdrDimensionType; 2] = [CdrDimensionType::MinCurrent, CdrDimensionType::MaxCurrent];

fn bounds(
    period: &ChargingPeriod,
    [low, high]: [CdrDimensionType; 2],
) -> (Option<Decimal>, Option<Decimal>) {
    (period.volume(low), period.volume(high))
}

fn state_bounds(
    period: &mut ChargingPeriod,
    [low, high]: [CdrDimensionType; 2],
    (low_volume, high_volume): (Decimal, Decimal),
) {
    period.dimensions.retain(|stated| stated.dimension != low && stated.dimension != high);
    period.dimensions.extend([
        CdrDimension { dimension: low, volume: low_volume },
        CdrDimension { dimension: high, volume: high_volume },
    ]);
}

/// A bound that is not stated is the other one. Where neither is, power is the period's energy by
/// its time, and a vehicle that does not charge draws no current.
fn power_not_stated(stated: &Stated) -> Option<Stated> {
    let mut restated = stated.clone();
    let ends = ends(&stated.cdr);
    for (period, end) in restated.cdr.charging_periods.iter_mut().zip(ends) {
        let lasts = (end - period.start_date_time).num_milliseconds();
        let energy = period.volume(CdrDimensionType::Energy).unwrap_or_default();
        let mean = (lasts > 0).then(|| energy * Decimal::from(3_600_000) / Decimal::from(lasts));
        let mean = mean.map(|kw| kw.round_dp(4).normalize());
        let parks = period.volume(CdrDimensionType::ParkingTime).is_some();
        for (names, otherwise) in [(POWER, mean), (CURRENT, parks.then_some(Decimal::ZERO))] {
            let (low, high) = bounds(period, names);
            let both = (low.or(high).or(otherwise), high.or(low).or(otherwise));
            if let (Some(low), Some(high)) = both {
                state_bounds(period, names, (low, high));
            }
        }
    }
    (restated.cdr != stated.cdr).then_some(restated)
}

/// An element applies while all of the period is within its limits. The reference asks whether any
/// of it is: with the bounds put the other way round it asks the same.
fn power_range(stated: &Stated) -> Option<Stated> {
    let mut restated = stated.clone();
    for period in &mut restated.cdr.charging_periods {
        for names in [POWER, CURRENT] {
            if let (Some(low), Some(high)) = bounds(period, names) {
                state_bounds(period, names, (high, low));
            }
        }
    }
    (restated.cdr != stated.cdr).then_some(restated)
}

/// Where the last time that has a price is charging time, and parking time before it had one, the
/// step is charging's.
fn step_after_parking(stated: &Stated, ours: &PricedSession) -> Option<Stated> {
    let last = |item| {
        let lines = ours.lines.iter().filter(move |line| line.item == item);
        lines.map(|line| line.to).max()
    };
    let after = last(Item::Time) > last(Item::ParkingTime) && last(Item::ParkingTime).is_some();
    after.then(|| step(stated, ours, &[Item::Time, Item::ParkingTime])).flatten()
}

/// Only what has a price is rounded up to a step.
fn step_unpriced(stated: &Stated, ours: &PricedSession) -> Option<Stated> {
    let unpriced = |item: &Item| {
        let lines = ours.lines.iter().filter(|line| line.item == *item);
        let priced: Decimal = lines.map(|line| line.measured).sum();
        let (dimension, unit) = match item {
            Item::Energy => (CdrDimensionType::Energy, Decimal::ONE),
            Item::Time => (CdrDimensionType::Time, Decimal::from(3600)),
            _ => (CdrDimensionType::ParkingTime, Decimal::from(3600)),
        };
        let periods = stated.cdr.charging_periods.iter();
        let consumed: Decimal = periods.filter_map(|period| period.volume(dimension)).sum();
        (consumed * unit).round_dp(6) > priced.round_dp(6)
    };
    let items = [Item::Energy, Item::Time, Item::ParkingTime].into_iter().filter(unpriced);
    step(stated, ours, &items.collect::<Vec<_>>())
}

/// What the steps of `items` add, stated as volumes; and no steps any more.
fn step(stated: &Stated, ours: &PricedSession, items: &[Item]) -> Option<Stated> {
    let mut restated = stated.clone();
    for item in items {
        let (priced, stated, unit) = match item {
            Item::Energy => (TariffDimensionType::Energy, CdrDimensionType::Energy, 1),
            Item::Time => (TariffDimensionType::Time, CdrDimensionType::Time, 3600),
            _ => (TariffDimensionType::ParkingTime, CdrDimensionType::ParkingTime, 3600),
        };
        let elements = restated.tariff.elements.iter_mut();
        let components = elements.flat_map(|element| &mut element.price_components);
        let mut stepped = false;
        for component in components.filter(|component| component.dimension == priced) {
            stepped |= component.step_size != 0;
            component.step_size = 0;
        }
        for line in ours.lines.iter().filter(|line| stepped && line.item == *item) {
            let segment = line.segments.last().and_then(|index| ours.segments.get(*index))?;
            let last = restated.cdr.charging_periods.iter_mut();
            let mut last = last.filter(|period| period.start_date_time < segment.end);
            let more = (line.quantity - line.measured) / Decimal::from(unit);
            let period = last.rfind(|period| period.volume(stated).is_some())?;
            let mut dimensions = period.dimensions.iter_mut();
            dimensions.find(|d| d.dimension == stated)?.volume += more.round_dp(12).normalize();
        }
    }
    (restated.tariff != stated.tariff).then_some(restated)
}
