//! The sessions that are timed.

use anyhow::{Result, ensure};
use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use ocpi::{
    Cdr, CdrDimension, CdrDimensionType, ChargingPeriod, PriceComponent, Tariff,
    TariffDimensionType, TariffElement, TariffRestrictions,
};
use quantities::WattHours;
use rating::PricedSession;
use rust_decimal::Decimal;
use session::{ConnectorStatus, MeterSample, StatusChange, Timeline};

use crate::{
    difference::{Outcome, compare},
    generate::{Pair, empty_cdr, empty_tariff, sessions},
    ours,
    reference::Reference,
};

/// One hour, read every five minutes: an energy price, a start fee and an idle fee.
///
/// # Errors
///
/// The two engines disagree.
pub fn an_hour(reference: &mut Reference) -> Result<Pair> {
    let flat = component(TariffDimensionType::Flat, 35);
    let energy = component(TariffDimensionType::Energy, 49);
    let idle = component(TariffDimensionType::ParkingTime, 600);
    let tariff = tariff(vec![element(vec![flat, energy, idle], None)]);
    checked(readings(tariff, "2026-06-12T08:00:00Z", 300, 12)?, reference)
}

/// Ten hours overnight, read every minute: four times of use.
///
/// # Errors
///
/// The two engines disagree.
pub fn a_night(reference: &mut Reference) -> Result<Pair> {
    checked(overnight(60, 600)?, reference)
}

/// Ten hours overnight, read `count` times.
///
/// # Errors
///
/// A time that is none.
pub fn a_night_of(count: i64) -> Result<Pair> {
    overnight(36_000 / count, count)
}

/// Random tariffs, and random sessions for each of them that both engines price alike.
pub struct Mixed {
    sessions: usize,
    tried: u64,
}

impl Mixed {
    /// So many `sessions` for every tariff.
    #[must_use]
    pub const fn new(sessions: usize) -> Self {
        Self { sessions, tried: 0 }
    }

    /// How many tariffs were tried so far.
    #[must_use]
    pub const fn tried(&self) -> u64 {
        self.tried
    }

    /// The sessions of the next tariff. One on which the two disagree more often than one time in
    /// ten is passed over.
    ///
    /// # Errors
    ///
    /// They disagree for reasons that are not known.
    pub fn next(&mut self, reference: &mut Reference) -> Result<Vec<Pair>> {
        loop {
            let agreed = self.of_seed(self.tried, reference)?;
            self.tried += 1;
            if let Some(agreed) = agreed {
                return Ok(agreed);
            }
        }
    }

    fn of_seed(&self, seed: u64, reference: &mut Reference) -> Result<Option<Vec<Pair>>> {
        let mut agreed = Vec::with_capacity(self.sessions);
        let mut differ = 0;
        for pair in sessions(seed) {
            match compare(&pair, reference)? {
                Outcome::Agree => agreed.push(pair),
                Outcome::Differ(_) => differ += 1,
                Outcome::Unexplained(why) => anyhow::bail!("{why}"),
            }
            if agreed.len() == self.sessions {
                return Ok(Some(agreed));
            }
            if differ * 10 > self.sessions {
                break;
            }
        }
        Ok(None)
    }
}

fn overnight(every_s: i64, count: i64) -> Result<Pair> {
    let window = |start: &str, end: &str, cents| {
        let restrictions = TariffRestrictions {
            start_time: Some(start.to_owned()),
            end_time: Some(end.to_owned()),
            ..TariffRestrictions::default()
        };
        element(vec![component(TariffDimensionType::Energy, cents)], Some(restrictions))
    };
    let tariff = tariff(vec![
        window("17:00", "21:00", 59),
        window("21:00", "23:00", 45),
        window("23:00", "05:00", 29),
        window("05:00", "17:00", 49),
    ]);
    // From 20:30 to 06:30 in Amsterdam: through all four.
    readings(tariff, "2026-06-12T18:30:00Z", every_s, count)
}

fn tariff(elements: Vec<TariffElement>) -> Tariff {
    Tariff { elements, ..empty_tariff() }
}

const fn element(
    price_components: Vec<PriceComponent>,
    restrictions: Option<TariffRestrictions>,
) -> TariffElement {
    TariffElement { price_components, restrictions }
}

/// A price in cents with 21 % VAT.
fn component(dimension: TariffDimensionType, cents: i64) -> PriceComponent {
    let (price, vat) = (Decimal::new(cents, 2), Some(Decimal::from(21)));
    PriceComponent { dimension, price, vat, step_size: 1 }
}

/// A session of `count` readings, the last of them its end; the CDR has a period for each.
fn readings(tariff: Tariff, start: &str, every_s: i64, count: i64) -> Result<Pair> {
    let start: DateTime<Utc> = start.parse()?;
    let at = |index: i64| start + Duration::seconds(index * every_s);
    let meter_start = Decimal::from(1_234_567);
    let mut register = meter_start;
    let mut samples = Vec::new();
    let mut periods = Vec::new();
    for index in 0..count {
        // About 11 kW, never quite the same.
        let wh = Decimal::new(every_s * 30 + index % 7, 1);
        register += wh;
        let energy = WattHours::new(register);
        samples.push(MeterSample { at: at(index + 1), energy, power: None });
        periods.push(period(at(index), wh / Decimal::ONE_THOUSAND, every_s, &tariff.id));
    }
    let timeline = Timeline {
        started_at: start,
        ended_at: at(count),
        meter_start: WattHours::new(meter_start),
        meter_stop: WattHours::new(register),
        samples,
        statuses: vec![StatusChange { at: start, status: ConnectorStatus::Charging }],
        ..Timeline::default()
    };
    let cdr = cdr(periods, at(count));
    Ok(Pair { zone: Tz::Europe__Amsterdam, tariff, cdr, timeline, quirks: [].into() })
}

fn period(start_date_time: DateTime<Utc>, kwh: Decimal, s: i64, tariff: &str) -> ChargingPeriod {
    let hours = (Decimal::from(s) / Decimal::from(3600)).round_dp(4).normalize();
    let dimensions = vec![
        CdrDimension { dimension: CdrDimensionType::Energy, volume: kwh.normalize() },
        CdrDimension { dimension: CdrDimensionType::Time, volume: hours },
    ];
    ChargingPeriod { start_date_time, dimensions, tariff_id: Some(tariff.to_owned()) }
}

fn cdr(charging_periods: Vec<ChargingPeriod>, end_date_time: DateTime<Utc>) -> Cdr {
    let sum = |what| charging_periods.iter().filter_map(|period| period.volume(what)).sum();
    let (total_energy, total_time) = (sum(CdrDimensionType::Energy), sum(CdrDimensionType::Time));
    let start_date_time = charging_periods.first().map_or(end_date_time, |p| p.start_date_time);
    Cdr {
        start_date_time,
        end_date_time,
        total_energy,
        total_time,
        charging_periods,
        ..empty_cdr()
    }
}

/// The same session as a CDR of as few periods as its price needs.
///
/// # Errors
///
/// It cannot be priced, or has another price.
pub fn shortest(pair: &Pair, reference: &mut Reference) -> Result<Pair> {
    let priced: PricedSession = ours::price(&pair.tariff, &pair.cdr, pair.zone)?;
    let periods = priced.segments.iter().map(|segment| {
        let seconds = (segment.end - segment.start).num_seconds();
        period(segment.start, segment.energy.kwh(), seconds, &pair.tariff.id)
    });
    let cdr = cdr(periods.collect(), pair.cdr.end_date_time);
    let shorter = checked(Pair { cdr, ..pair.clone() }, reference)?;
    let again = ours::price(&shorter.tariff, &shorter.cdr, shorter.zone)?;
    ensure!(again.totals == priced.totals, "the shorter CDR has another price");
    Ok(shorter)
}

/// `pair`, of which both engines say the same.
fn checked(pair: Pair, reference: &mut Reference) -> Result<Pair> {
    let outcome = compare(&pair, reference)?;
    ensure!(matches!(outcome, Outcome::Agree), "not the same price: {outcome:?}");
    let priced = ours::price(&pair.tariff, &pair.cdr, pair.zone)?;
    ensure!(priced.gross().minor > 0, "it costs nothing");
    let read = ours::Pricer::new(&pair.tariff)?.rate(&pair.timeline, pair.zone)?;
    ensure!(read.totals == priced.totals, "the readings have another price than the CDR");
    Ok(pair)
}
