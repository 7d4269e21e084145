//! A session as it happened, in ticks of 9 seconds and tenths of a Wh, so that every time in hours
//! and every energy in kWh has four decimals, the most that an OCPI number states.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use ocpi::{Cdr, CdrDimension, CdrDimensionType, ChargingPeriod, Tariff, TariffRestrictions};
use quantities::WattHours;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use session::{ConnectorStatus, MeterSample, StatusChange, Timeline};

use super::Quirk;

/// Seconds of a tick: 0.0025 hours.
pub(super) const TICK_S: i64 = 9;
/// Ticks of a quarter of an hour: clocks change, and tariffs count, in these.
const QUARTER: i64 = 100;

/// A session as it happened.
#[derive(Debug, Clone)]
pub struct Course {
    /// When it was reserved, or plugged in.
    pub start: DateTime<Utc>,
    /// How long it was reserved before.
    pub reserved_ticks: i64,
    /// What happened then.
    pub pieces: Vec<Piece>,
}

/// A part of a session with one power.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// How long.
    pub ticks: i64,
    /// Tenths of a Wh a tick; a tenth is 40 W. Nothing: the vehicle asks for no power.
    pub power: i64,
}

/// A period in the making: ticks after the start, and what it states.
#[derive(Debug, Clone)]
struct Period {
    from: i64,
    to: i64,
    piece: usize,
    kind: CdrDimensionType,
    energy: i64,
    power: i64,
    /// Parking time after the charging, in the same period.
    parking: i64,
}

impl Course {
    /// A session of some minutes or many hours, often around a change of the clocks.
    pub(super) fn random(random: &mut StdRng, quirks: &BTreeSet<Quirk>) -> Self {
        let days = ["2026-03-28", "2026-03-07", "2026-10-24", "2026-10-31", "2026-06-12"];
        let day = days.choose(random).map_or("2026-01-01", |day| day);
        let midnight = format!("{day}T00:00:00Z").parse::<DateTime<Utc>>().unwrap_or_default();
        let start = midnight + Duration::seconds(TICK_S * random.random_range(0..19_200));
        let mut pieces = Vec::new();
        for _ in 0..random.random_range(1..=3) {
            pieces.push(Piece {
                ticks: random.random_range(33..1_600),
                power: random.random_range(30..1_300),
            });
            if random.random_bool(0.4) {
                pieces.push(Piece { ticks: random.random_range(10..1_600), power: 0 });
            }
        }
        let mut reserved_ticks = 0;
        if quirks.contains(&Quirk::Reservation) {
            reserved_ticks = random.random_range(20..600);
            if random.random_bool(0.2) {
                pieces.clear();
            }
        }
        Self { start, reserved_ticks, pieces }
    }

    /// How long it lasted, without its reservation.
    pub(super) fn ticks(&self) -> i64 {
        self.pieces.iter().map(|piece| piece.ticks).sum()
    }

    /// Its energy in tenths of a Wh, as far as no threshold is in the way.
    pub(super) fn energy(&self) -> i64 {
        self.pieces.iter().map(|piece| piece.ticks * piece.power).sum()
    }

    fn at(&self, tick: i64) -> DateTime<Utc> {
        self.start + Duration::seconds(tick * TICK_S)
    }

    /// The CDR: a period for every change of price and, now and then, one more.
    pub(super) fn cdr(
        &self,
        random: &mut StdRng,
        tariff: &Tariff,
        zone: Tz,
        quirks: &BTreeSet<Quirk>,
    ) -> Cdr {
        let restrictions: Vec<_> =
            tariff.elements.iter().filter_map(|element| element.restrictions.as_ref()).collect();
        let stops = self.stops(random, &restrictions, zone);
        let mut periods = self.reserved(&stops);
        self.charge(&mut periods, &stops, &energies(&restrictions));
        if quirks.contains(&Quirk::UnsplitPeriods) {
            merge(random, &mut periods, false);
        }
        if quirks.contains(&Quirk::MixedPeriod) {
            merge(random, &mut periods, true);
        }
        let mut states =
            States { random, quirks, all_power: uses_power(&restrictions), seconds: 0 };
        let mut cdr = super::tariff::empty_cdr();
        tariff.currency.clone_into(&mut cdr.currency);
        cdr.start_date_time = self.start;
        let end = periods.last().map_or(0, |period| period.to);
        cdr.charging_periods =
            periods.iter().map(|period| states.period(self, period, &stops, &tariff.id)).collect();
        cdr.end_date_time = self.at(end) + Duration::seconds(states.seconds);
        states.finish(&mut cdr);
        cdr
    }

    /// The ticks at which a price can change because of time alone, and some for no reason.
    fn stops(
        &self,
        random: &mut StdRng,
        restrictions: &[&TariffRestrictions],
        zone: Tz,
    ) -> BTreeSet<i64> {
        let end = self.reserved_ticks + self.ticks();
        let mut stops = BTreeSet::new();
        let times = times(restrictions);
        let local = |tick: i64| zone.from_utc_datetime(&self.at(tick).naive_utc());
        let first = self.start.timestamp() / TICK_S;
        let mut before = local(0).offset().fix();
        for tick in (0..=end).filter(|tick| (first + tick) % QUARTER == 0) {
            let now = local(tick);
            if times.contains(&now.time()) || now.offset().fix() != before {
                stops.insert(tick);
            }
            before = now.offset().fix();
        }
        for seconds in restrictions.iter().flat_map(|r| [r.min_duration, r.max_duration]).flatten()
        {
            stops.insert(self.reserved_ticks + i64::from(seconds) / TICK_S);
        }
        for _ in 0..random.random_range(0..4) {
            stops.insert(random.random_range(0..=end));
        }
        stops
    }

    fn reserved(&self, stops: &BTreeSet<i64>) -> Vec<Period> {
        let mut periods = Vec::new();
        let mut from = 0;
        let cuts = stops.range(1..self.reserved_ticks.max(1)).copied();
        for to in cuts.chain([self.reserved_ticks]).filter(|to| *to > 0) {
            periods.push(Period {
                from,
                to,
                piece: usize::MAX,
                kind: CdrDimensionType::ReservationTime,
                energy: 0,
                power: 0,
                parking: 0,
            });
            from = to;
        }
        periods
    }

    /// Cuts the pieces at `stops` and wherever the session's energy reaches one of `energies`.
    fn charge(&self, periods: &mut Vec<Period>, stops: &BTreeSet<i64>, energies: &BTreeSet<i64>) {
        let mut at = self.reserved_ticks;
        let mut total = 0;
        for (index, piece) in self.pieces.iter().enumerate() {
            let end = at + piece.ticks;
            while at < end {
                let mut to = stops.range(at + 1..end).next().copied().unwrap_or(end);
                let mut energy = (to - at) * piece.power;
                let threshold = energies.range(total + 1..).next();
                if let Some(threshold) = threshold.filter(|wh| **wh < total + energy) {
                    // The tick within which it is reached ends there.
                    energy = threshold - total;
                    to = at + (energy + piece.power - 1) / piece.power;
                }
                let kind = match piece.power {
                    0 => CdrDimensionType::ParkingTime,
                    _ => CdrDimensionType::Time,
                };
                let power = piece.power;
                periods.push(Period {
                    from: at,
                    to,
                    piece: index,
                    kind,
                    energy,
                    power,
                    parking: 0,
                });
                total += energy;
                at = to;
            }
        }
    }

    /// The session as the meter of `cdr` tells it: a reading wherever a period ends.
    pub(super) fn timeline(&self, cdr: &Cdr) -> Timeline {
        let started_at = self.at(self.reserved_ticks);
        let meter_start = Decimal::from(1_234_567);
        let mut register = meter_start;
        let mut samples = Vec::new();
        let mut statuses = Vec::new();
        for period in cdr.charging_periods.iter().filter(|p| p.start_date_time >= started_at) {
            let at = period.start_date_time;
            samples.push(MeterSample { at, energy: WattHours::new(register), power: None });
            let charges = period.volume(CdrDimensionType::Time).is_some();
            let status =
                if charges { ConnectorStatus::Charging } else { ConnectorStatus::SuspendedEV };
            statuses.push(StatusChange { at, status });
            let kwh = period.volume(CdrDimensionType::Energy).unwrap_or_default();
            register += kwh * Decimal::ONE_THOUSAND;
        }
        Timeline {
            started_at,
            ended_at: cdr.end_date_time,
            meter_start: WattHours::new(meter_start),
            meter_stop: WattHours::new(register),
            samples,
            statuses,
            ..Timeline::default()
        }
    }
}

/// Turns periods in the making into what a CDR says.
struct States<'a> {
    random: &'a mut StdRng,
    quirks: &'a BTreeSet<Quirk>,
    all_power: bool,
    /// How many seconds the end of the period before is late.
    seconds: i64,
}

impl States<'_> {
    fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    fn period(
        &mut self,
        course: &Course,
        period: &Period,
        stops: &BTreeSet<i64>,
        tariff_id: &str,
    ) -> ChargingPeriod {
        let start_date_time = course.at(period.from) + Duration::seconds(self.seconds);
        let before = self.seconds;
        // A period may end late where no price changes.
        let may_be_late = !stops.contains(&period.to);
        let late = self.has(Quirk::RoundedHours) && may_be_late;
        self.seconds = if late { self.random.random_range(0..TICK_S) } else { 0 };
        let lasts = (period.to - period.from) * TICK_S + self.seconds - before;
        let mut dimensions = Vec::new();
        let mut state = |dimension, volume| dimensions.push(CdrDimension { dimension, volume });
        if period.energy > 0 || self.has(Quirk::ZeroVolume) {
            state(CdrDimensionType::Energy, Decimal::new(period.energy, 4));
        }
        let mut time = hours(lasts - period.parking * TICK_S);
        if self.has(Quirk::OtherTime) && self.random.random_bool(0.5) {
            time = (time * Decimal::new(5, 1)).round_dp(4);
        }
        state(period.kind, time);
        if period.parking > 0 {
            state(CdrDimensionType::ParkingTime, hours(period.parking * TICK_S));
        } else if self.has(Quirk::ZeroVolume) && period.kind == CdrDimensionType::Time {
            state(CdrDimensionType::ParkingTime, Decimal::ZERO);
        }
        let powered = self.all_power && period.kind != CdrDimensionType::ReservationTime;
        dimensions.extend(powered.then(|| self.power(period)).into_iter().flatten());
        let named = !(self.has(Quirk::PeriodWithoutTariff) && self.random.random_bool(0.3));
        let tariff_id = named.then(|| tariff_id.to_owned());
        ChargingPeriod { start_date_time, dimensions, tariff_id }
    }

    /// Power in kW and current in A (at 400 V) of `period`.
    fn power(&mut self, period: &Period) -> Vec<CdrDimension> {
        let power = Decimal::new(period.power * 4, 2);
        let current = Decimal::new(period.power, 1);
        let (mut low, mut high) = (Decimal::ONE, Decimal::ONE);
        if self.has(Quirk::PowerRange) {
            (low, high) = (Decimal::new(5, 1), Decimal::new(15, 1));
        }
        let mut stated = vec![
            (CdrDimensionType::MinPower, power * low),
            (CdrDimensionType::MaxPower, power * high),
            (CdrDimensionType::MinCurrent, current * low),
            (CdrDimensionType::MaxCurrent, current * high),
        ];
        if self.has(Quirk::PowerUnstated) {
            stated.retain(|_| self.random.random_bool(0.5));
        }
        let dimension = |(dimension, volume)| CdrDimension { dimension, volume };
        stated.into_iter().map(dimension).collect()
    }

    /// What a CDR says as a whole.
    fn finish(&mut self, cdr: &mut Cdr) {
        let sum = |kind| -> Decimal {
            cdr.charging_periods.iter().filter_map(|period| period.volume(kind)).sum()
        };
        cdr.total_energy = sum(CdrDimensionType::Energy);
        let parked = sum(CdrDimensionType::ParkingTime);
        cdr.total_time = sum(CdrDimensionType::Time) + parked;
        cdr.total_parking_time = Some(parked);
        let names_any = cdr.charging_periods.iter().any(|period| period.tariff_id.is_some());
        let names_none = !self.has(Quirk::PeriodWithoutTariff) && self.random.random_bool(0.3);
        if names_any && names_none {
            for period in &mut cdr.charging_periods {
                period.tariff_id = None;
            }
        }
    }
}

/// Joins neighbours of one piece or, for `mixed` ones, charging and the parking after it.
fn merge(random: &mut StdRng, periods: &mut Vec<Period>, mixed: bool) {
    let mut merged: Vec<Period> = Vec::with_capacity(periods.len());
    for period in periods.drain(..) {
        if let Some(last) = merged.last_mut()
            && random.random_bool(0.5)
            && last.parking == 0
        {
            let parks = period.kind == CdrDimensionType::ParkingTime;
            if mixed && last.kind == CdrDimensionType::Time && parks {
                last.to = period.to;
                last.parking = period.to - period.from;
                continue;
            }
            if !mixed && last.piece == period.piece {
                last.to = period.to;
                last.energy += period.energy;
                continue;
            }
        }
        merged.push(period);
    }
    *periods = merged;
}

/// Hours to four decimals.
fn hours(seconds: i64) -> Decimal {
    (Decimal::from(seconds) / Decimal::from(3600)).round_dp(4).normalize()
}

/// The local times of day that matter.
fn times(restrictions: &[&TariffRestrictions]) -> BTreeSet<NaiveTime> {
    let mut times = BTreeSet::new();
    for restriction in restrictions {
        let stated = [&restriction.start_time, &restriction.end_time];
        let of_day = stated.into_iter().flatten();
        times.extend(of_day.filter_map(|time| NaiveTime::parse_from_str(time, "%H:%M").ok()));
        let dates = restriction.start_date.is_some() || restriction.end_date.is_some();
        if dates || !times.is_empty() || !restriction.day_of_week.is_empty() {
            times.insert(NaiveTime::MIN);
        }
    }
    times
}

/// The energies that matter, in tenths of a Wh.
fn energies(restrictions: &[&TariffRestrictions]) -> BTreeSet<i64> {
    let stated = restrictions.iter().flat_map(|r| [r.min_kwh, r.max_kwh]).flatten();
    stated.filter_map(|kwh| (kwh * Decimal::from(10_000)).to_i64()).collect()
}

/// Whether power or current matter.
fn uses_power(restrictions: &[&TariffRestrictions]) -> bool {
    restrictions.iter().any(|r| {
        [r.min_power, r.max_power, r.min_current, r.max_current].iter().any(Option::is_some)
    })
}
