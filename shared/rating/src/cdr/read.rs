//! From a CDR's charging periods to stretches.

use arrayvec::ArrayVec;
use chrono::{DateTime, Utc};
use ocpi::{Cdr, CdrDimension, CdrDimensionType, ChargingPeriod};
use quantities::MoneyError;
use rust_decimal::Decimal;

use crate::{
    FindingCode, RatingError, SegmentKind,
    compile::Bounds,
    course::still,
    exact::{MS_PER_HOUR, Reading, hours_to_ms, power_kw, power_of_ten, scaled_integer, trim},
    stretch::{Course, Findings, Powers, Stretch},
};

/// The course that a CDR's periods describe.
///
/// A period's stated time is billed. Where it says the same as the period's own start and end to
/// the digits it has (`0.6667` hours for 40 minutes), start and end are meant. Charging comes
/// before parking in a period that states both; time it does not state is not billed.
pub(crate) fn course(cdr: &Cdr, asks_power: bool) -> Result<Course, RatingError> {
    let mut reader = Reader {
        uwh: 0,
        some_name_a_tariff: cdr.charging_periods.iter().any(|period| period.tariff_id.is_some()),
        asks_power,
        stretches: Vec::with_capacity(cdr.charging_periods.len()),
        findings: Findings::default(),
    };
    let end_ms = cdr.end_date_time.timestamp_millis();
    let mut periods = cdr.charging_periods.iter().enumerate().peekable();
    let starts = |period: &ChargingPeriod| period.start_date_time.timestamp_millis();
    let mut start_ms = periods.peek().map_or(end_ms, |(_, period)| starts(period));
    while let Some((index, period)) = periods.next() {
        let end_ms = periods.peek().map_or(end_ms, |(_, next)| starts(next));
        reader.period(index, period, start_ms, end_ms)?;
        start_ms = end_ms;
    }
    if micro_wh_of(cdr.total_energy) != Some(reader.uwh) {
        let detail = "total_energy is not the sum of the periods; the periods are billed";
        reader.findings.note(FindingCode::TotalDiffers, cdr.start_date_time, detail);
    }
    let in_session = |stretch: &&Stretch| stretch.kind != SegmentKind::Reservation;
    let session = reader.stretches.iter().find(in_session);
    let is_reserved = reader.stretches.iter().any(|s| s.kind == SegmentKind::Reservation);
    let start_ms = cdr.start_date_time.timestamp_millis();
    Ok(Course {
        session_start_ms: session.map_or(start_ms, |stretch| stretch.start_ms),
        reservation_expired: is_reserved && session.is_none(),
        stated: true,
        stretches: reader.stretches,
        findings: reader.findings,
    })
}

/// The most energy of a period that is believed: a million kWh, in millionths of a Wh.
const UWH_MAX: i64 = 1_000_000_000_000_000;
/// The most time of a period that is believed: a leap year, in milliseconds.
const MS_MAX: i64 = 366 * 24 * MS_PER_HOUR;

struct Reader {
    /// The energy of the periods so far, in millionths of a Wh.
    uwh: i64,
    some_name_a_tariff: bool,
    asks_power: bool,
    stretches: Vec<Stretch>,
    findings: Findings,
}

/// Decimals of a kWh in a count of millionths of a Wh.
const KWH_DECIMALS: u32 = 9;

fn micro_wh_of(kwh: Decimal) -> Option<i64> {
    scaled_integer(kwh, KWH_DECIMALS)
}

/// A time in milliseconds that a period states.
type Part = (SegmentKind, i64);
/// Reservation, charging and parking.
const PARTS_MAX: usize = 3;

/// Where in its period a part is.
struct Span {
    kind: SegmentKind,
    /// What it states.
    time_ms: i64,
    from_ms: i64,
    to_ms: i64,
}

/// What a period states, each dimension once: the first counts.
#[derive(Default)]
struct Volumes {
    /// In millionths of a Wh.
    uwh: Option<i64>,
    /// In milliseconds and as stated, in the order of [`TIMES`].
    times: [Option<(i64, Decimal)>; PARTS_MAX],
    /// Only where the tariff asks for them.
    powers: Option<Box<Powers>>,
}

/// The times that a period states, in the order in which they are taken to happen.
const TIMES: [SegmentKind; PARTS_MAX] =
    [SegmentKind::Reservation, SegmentKind::Charging, SegmentKind::Idle];

impl Volumes {
    /// Takes what `period` states.
    fn take(
        &mut self,
        index: usize,
        period: &ChargingPeriod,
        asks_power: bool,
    ) -> Result<(), RatingError> {
        for stated in &period.dimensions {
            let volume = stated.volume;
            let [reservation, charging, idle] = &mut self.times;
            let (name, time) = match stated.dimension {
                CdrDimensionType::Energy => {
                    if self.uwh.is_none() {
                        let uwh = micro_wh_of(volume);
                        self.uwh = Some(check(index, "ENERGY", volume, uwh, UWH_MAX)?);
                    }
                    continue;
                }
                CdrDimensionType::ReservationTime => ("RESERVATION_TIME", reservation),
                CdrDimensionType::Time => ("TIME", charging),
                CdrDimensionType::ParkingTime => ("PARKING_TIME", idle),
                _ => {
                    if asks_power {
                        self.note_power(stated);
                    }
                    continue;
                }
            };
            if time.is_none() {
                *time = Some((check(index, name, volume, hours_to_ms(volume), MS_MAX)?, volume));
            }
        }
        Ok(())
    }

    fn note_power(&mut self, stated: &CdrDimension) {
        let powers = self.powers.get_or_insert_default();
        let bound = match stated.dimension {
            CdrDimensionType::MinPower => &mut powers.power_kw.low,
            CdrDimensionType::MaxPower => &mut powers.power_kw.high,
            CdrDimensionType::MinCurrent => &mut powers.current_a.low,
            CdrDimensionType::MaxCurrent => &mut powers.current_a.high,
            _ => return,
        };
        bound.get_or_insert(stated.volume);
    }
}

/// `count`, what `volume` comes to, if it can have been consumed.
fn check(
    period: usize,
    dimension: &'static str,
    volume: Decimal,
    count: Option<i64>,
    most: i64,
) -> Result<i64, RatingError> {
    match count.filter(|count| (0..=most).contains(count)) {
        Some(count) if count > 0 || !volume.is_sign_negative() || volume.is_zero() => Ok(count),
        _ => Err(RatingError::InvalidVolume { period, dimension, volume }),
    }
}

impl Reader {
    fn period(
        &mut self,
        index: usize,
        period: &ChargingPeriod,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<(), RatingError> {
        let start = period.start_date_time;
        if end_ms < start_ms {
            return Err(RatingError::PeriodOutOfOrder { period: index, start });
        }
        let billable = period.tariff_id.is_some() || !self.some_name_a_tariff;
        if !billable {
            let detail = "a period that names no tariff, while others do, is not billed";
            self.findings.note(FindingCode::PeriodWithoutTariff, start, detail);
        }
        let mut volumes = Volumes::default();
        volumes.take(index, period, self.asks_power)?;
        let before = self.uwh;
        let energy = volumes.uwh.unwrap_or_default();
        let after = before.checked_add(energy).ok_or(MoneyError::Overflow)?;
        self.uwh = after;
        let parts = self.stated(&volumes, start, end_ms - start_ms)?;
        let from = Reading { at_ms: start_ms, uwh: before };
        let to = Reading { at_ms: end_ms, uwh: after };
        match *parts.as_slice() {
            // It states its time: the usual case, and the quick one.
            [(kind, time_ms)] if time_ms == end_ms - start_ms && !self.asks_power => {
                self.stretches.push(Stretch::between(from, to, kind, time_ms, billable));
                Ok(())
            }
            _ => self.split(&parts, &volumes, from, to, billable),
        }
    }

    /// Adds the `parts` of a period that goes from one reading to another.
    fn split(
        &mut self,
        parts: &[Part],
        volumes: &Volumes,
        start: Reading,
        end: Reading,
        billable: bool,
    ) -> Result<(), RatingError> {
        let (before, after) = (start.uwh, end.uwh);
        let spans = spans(parts, end.at_ms - start.at_ms);
        // Energy flows while the vehicle charges, or all along where nothing says when.
        let charges = |span: &&Span| span.kind == SegmentKind::Charging;
        let flows = spans.iter().find(charges).or(spans.first()).map_or(0, |span| span.from_ms);
        for span in &spans {
            let (from_ms, to_ms) = (start.at_ms + span.from_ms, start.at_ms + span.to_ms);
            let from =
                Reading { at_ms: from_ms, uwh: if span.from_ms <= flows { before } else { after } };
            let to =
                Reading { at_ms: to_ms, uwh: if span.from_ms < flows { before } else { after } };
            self.stretches.push(Stretch {
                start_ms: from_ms,
                end_ms: to_ms,
                kind: span.kind,
                time_ms: span.time_ms,
                from,
                to,
                power: self.powers(volumes, span.kind, from, to)?,
                billable,
            });
        }
        Ok(())
    }

    /// The times that a period states.
    fn stated(
        &mut self,
        volumes: &Volumes,
        at: DateTime<Utc>,
        lasts_ms: i64,
    ) -> Result<ArrayVec<Part, PARTS_MAX>, RatingError> {
        let mut parts = ArrayVec::new();
        let mut off_ms = lasts_ms;
        for (kind, stated) in TIMES.iter().zip(&volumes.times) {
            let Some((ms, hours)) = *stated else { continue };
            if hours.is_zero() {
                continue;
            }
            off_ms = off_ms.checked_sub(ms).ok_or(MoneyError::Overflow)?;
            parts.push((*kind, ms));
        }
        match parts.last_mut() {
            None if lasts_ms > 0 => {
                let detail = "a period that states no time is billed for no time";
                self.findings.note(FindingCode::PeriodWithoutTime, at, detail);
            }
            _ if off_ms == 0 => {}
            None => {}
            // The digits end where start and end go on, rounded or cut off: these are meant.
            Some((_, part_ms)) if off_ms.abs() < tolerance_ms(&volumes.times) => {
                *part_ms = (*part_ms + off_ms).max(0);
            }
            Some(_) => {
                let detail = "a period's stated time differs from its duration; it is billed";
                self.findings.note(FindingCode::PeriodTimeDiffers, at, detail);
            }
        }
        Ok(parts)
    }

    fn powers(
        &self,
        volumes: &Volumes,
        kind: SegmentKind,
        from: Reading,
        to: Reading,
    ) -> Result<Option<Box<Powers>>, MoneyError> {
        if !self.asks_power {
            return Ok(None);
        }
        let stated = volumes.powers.as_deref().copied().unwrap_or_default();
        let (power, current) = (stated.power_kw, stated.current_a);
        let power_kw = if power.is_known() {
            power
        } else {
            power_kw(from, to)?.map(Bounds::exactly).unwrap_or_default()
        };
        let current_a = if current.is_known() { current } else { still(kind) };
        Ok(Some(Box::new(Powers { power_kw, current_a })))
    }
}

/// One unit of the last digit of every number of hours, in milliseconds.
fn tolerance_ms(times: &[Option<(i64, Decimal)>; PARTS_MAX]) -> i64 {
    let hours = times.iter().flatten().map(|(_, hours)| *hours);
    hours.filter(|hours| !hours.is_zero()).map(last_digit_ms).sum()
}

/// One unit of the last digit of a number of hours, in milliseconds. A number with fewer than two
/// decimals is taken to have had three, such as `0.500` written `0.5`.
fn last_digit_ms(hours: Decimal) -> i64 {
    let decimals = trim(hours).scale();
    let units = power_of_ten(if decimals < 2 { 3 } else { decimals });
    // Rounded up.
    units.map_or(1, |units| (MS_PER_HOUR - 1) / units + 1)
}

/// Where in a period that lasts `lasts_ms` its parts are: one after the other, squeezed to fit
/// where they state more time than there is; what is left over is unstated.
fn spans(parts: &[Part], lasts_ms: i64) -> ArrayVec<Span, { PARTS_MAX + 1 }> {
    let sum_ms: i64 = parts.iter().map(|(_, ms)| ms).sum();
    let mut spans = ArrayVec::new();
    let (mut from_ms, mut stated_ms) = (0, 0);
    for (kind, time_ms) in parts.iter().copied() {
        stated_ms += time_ms;
        let to_ms = if sum_ms <= lasts_ms {
            stated_ms
        } else {
            let squeezed = i128::from(stated_ms) * i128::from(lasts_ms) / i128::from(sum_ms);
            i64::try_from(squeezed).unwrap_or(lasts_ms)
        };
        spans.push(Span { kind, time_ms, from_ms, to_ms });
        from_ms = to_ms;
    }
    if from_ms < lasts_ms || spans.is_empty() {
        let time_ms = lasts_ms - from_ms;
        spans.push(Span { kind: SegmentKind::Unstated, time_ms, from_ms, to_ms: lasts_ms });
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The charging time, in milliseconds, of a period of `lasts_s` that states `volume` hours.
    fn billed_ms(volume: &str, lasts_s: i64) -> i64 {
        let start_date_time = chrono::DateTime::UNIX_EPOCH;
        let volume = volume.parse().unwrap();
        let dimensions = vec![CdrDimension { dimension: CdrDimensionType::Time, volume }];
        let period = ChargingPeriod { start_date_time, dimensions, tariff_id: None };
        let mut reader = Reader {
            uwh: 0,
            some_name_a_tariff: false,
            asks_power: false,
            stretches: Vec::new(),
            findings: Findings::default(),
        };
        reader.period(0, &period, 0, lasts_s * 1000).unwrap();
        reader.stretches[0].time_ms
    }

    #[test]
    fn hours_that_are_the_period_rounded_or_cut_off_mean_the_period() {
        assert_eq!(billed_ms("0.6667", 2400), 2_400_000);
        assert_eq!(billed_ms("0.6666", 2400), 2_400_000);
        assert_eq!(billed_ms("0.66", 2400), 2_400_000);
    }

    #[test]
    fn hours_that_are_another_number_of_that_many_digits_are_billed() {
        // 0.02 hours are 72 seconds.
        assert_eq!(billed_ms("0.01", 72), 36_000);
        assert_eq!(billed_ms("0.0199", 72), 71_640);
        assert_eq!(billed_ms("0.5", 2400), 1_800_000);
    }
}
