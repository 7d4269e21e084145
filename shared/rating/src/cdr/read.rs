//! From a CDR's charging periods to stretches.

use ocpi::{Cdr, CdrDimensionType, ChargingPeriod};
use quantities::MoneyError;
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    FindingCode, RatingError, SegmentKind,
    compile::Bounds,
    course::still,
    exact::{MS_PER_HOUR, Reading, WH_PER_KWH, power_kw},
    stretch::{Course, Findings, Stretch},
};

/// The course that a CDR's periods describe.
///
/// A period's stated time is billed. Where it says the same as the period's own start and end to
/// the digits it has (`0.6667` hours for 40 minutes), start and end are meant. Charging comes
/// before parking in a period that states both; time it does not state is not billed.
pub(crate) fn course(cdr: &Cdr, uses_power: bool) -> Result<Course, RatingError> {
    let mut reader = Reader {
        energy_wh: Decimal::ZERO,
        some_name_a_tariff: cdr.charging_periods.iter().any(|period| period.tariff_id.is_some()),
        uses_power,
        stretches: Vec::with_capacity(cdr.charging_periods.len()),
        findings: Findings::default(),
    };
    let end_ms = cdr.end_date_time.timestamp_millis();
    let starts = cdr.charging_periods.iter().map(|p| p.start_date_time.timestamp_millis());
    let ends = starts.skip(1).chain([end_ms]);
    for (index, (period, end_ms)) in cdr.charging_periods.iter().zip(ends).enumerate() {
        reader.period(index, period, end_ms)?;
    }
    let energy = cdr.total_energy.checked_mul(WH_PER_KWH).ok_or(MoneyError::Overflow)?;
    if energy != reader.energy_wh {
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

/// The most energy of a period that is believed, in kWh.
const MOST_KWH: u32 = 1_000_000;
/// The most time of a period that is believed, in hours: a leap year.
const MOST_HOURS: u32 = 366 * 24;

struct Reader {
    energy_wh: Decimal,
    some_name_a_tariff: bool,
    uses_power: bool,
    stretches: Vec<Stretch>,
    findings: Findings,
}

/// A time in milliseconds that a period states.
type Part = (SegmentKind, i64);

/// Where in its period a part is.
struct Span {
    kind: SegmentKind,
    /// What it states.
    time_ms: i64,
    from_ms: i64,
    to_ms: i64,
}

impl Reader {
    fn period(
        &mut self,
        index: usize,
        period: &ChargingPeriod,
        end_ms: i64,
    ) -> Result<(), RatingError> {
        let start = period.start_date_time;
        let start_ms = start.timestamp_millis();
        if end_ms < start_ms {
            return Err(RatingError::PeriodOutOfOrder { period: index, start });
        }
        let billable = period.tariff_id.is_some() || !self.some_name_a_tariff;
        if !billable {
            let detail = "a period that names no tariff, while others do, is not billed";
            self.findings.note(FindingCode::PeriodWithoutTariff, start, detail);
        }
        let energy = volume(index, period, CdrDimensionType::Energy)?.unwrap_or_default();
        let wh = energy.checked_mul(WH_PER_KWH).ok_or(MoneyError::Overflow)?;
        let before = self.energy_wh;
        let after = before.checked_add(wh).ok_or(MoneyError::Overflow)?;
        self.energy_wh = after;
        let parts = self.stated(index, period, end_ms - start_ms)?;
        let spans = spans(&parts, end_ms - start_ms);
        // Energy flows while the vehicle charges, or all along where nothing says when.
        let charges = |span: &&Span| span.kind == SegmentKind::Charging;
        let flows = spans.iter().find(charges).or(spans.first()).map_or(0, |span| span.from_ms);
        for span in &spans {
            let (from_ms, to_ms) = (start_ms + span.from_ms, start_ms + span.to_ms);
            let from =
                Reading { at_ms: from_ms, wh: if span.from_ms <= flows { before } else { after } };
            let to =
                Reading { at_ms: to_ms, wh: if span.from_ms < flows { before } else { after } };
            self.stretches.push(Stretch {
                start_ms: from_ms,
                end_ms: to_ms,
                kind: span.kind,
                time_ms: span.time_ms,
                from,
                to,
                power_kw: self.power(period, from, to)?,
                current_a: current(period, span.kind),
                billable,
            });
        }
        Ok(())
    }

    /// The times that `period` states.
    fn stated(
        &mut self,
        index: usize,
        period: &ChargingPeriod,
        lasts_ms: i64,
    ) -> Result<Vec<Part>, RatingError> {
        let mut parts = Vec::new();
        let mut tolerance_ms = 0;
        for (dimension, kind) in [
            (CdrDimensionType::ReservationTime, SegmentKind::Reservation),
            (CdrDimensionType::Time, SegmentKind::Charging),
            (CdrDimensionType::ParkingTime, SegmentKind::Idle),
        ] {
            let hours = volume(index, period, dimension)?.unwrap_or_default();
            if hours.is_zero() {
                continue;
            }
            let ms = hours.checked_mul(Decimal::from(MS_PER_HOUR)).ok_or(MoneyError::Overflow)?;
            parts.push((kind, ms.round().to_i64().ok_or(MoneyError::Overflow)?));
            tolerance_ms += last_digit_ms(hours);
        }
        let sum_ms = parts.iter().try_fold(0_i64, |sum, (_, ms)| sum.checked_add(*ms));
        let off_ms = lasts_ms - sum_ms.ok_or(MoneyError::Overflow)?;
        let at = period.start_date_time;
        match parts.last_mut() {
            None if lasts_ms > 0 => {
                let detail = "a period that states no time is billed for no time";
                self.findings.note(FindingCode::PeriodWithoutTime, at, detail);
            }
            None => {}
            // The digits end where start and end go on, rounded or cut off: these are meant.
            Some((_, part_ms)) if off_ms.abs() < tolerance_ms => {
                *part_ms = (*part_ms + off_ms).max(0);
            }
            Some(_) => {
                let detail = "a period's stated time differs from its duration; it is billed";
                self.findings.note(FindingCode::PeriodTimeDiffers, at, detail);
            }
        }
        Ok(parts)
    }

    fn power(
        &self,
        period: &ChargingPeriod,
        from: Reading,
        to: Reading,
    ) -> Result<Bounds, MoneyError> {
        let low = period.volume(CdrDimensionType::MinPower);
        let high = period.volume(CdrDimensionType::MaxPower);
        if !self.uses_power || low.is_some() || high.is_some() {
            return Ok(Bounds { low, high });
        }
        Ok(power_kw(from, to)?.map(Bounds::exactly).unwrap_or_default())
    }
}

fn current(period: &ChargingPeriod, kind: SegmentKind) -> Bounds {
    let low = period.volume(CdrDimensionType::MinCurrent);
    let high = period.volume(CdrDimensionType::MaxCurrent);
    let stated = Bounds { low, high };
    if stated.is_known() { stated } else { still(kind) }
}

fn volume(
    index: usize,
    period: &ChargingPeriod,
    dimension: CdrDimensionType,
) -> Result<Option<Decimal>, RatingError> {
    let volume = period.volume(dimension);
    let (name, most) = match dimension {
        CdrDimensionType::Energy => ("ENERGY", Decimal::from(MOST_KWH)),
        CdrDimensionType::Time => ("TIME", Decimal::from(MOST_HOURS)),
        CdrDimensionType::ParkingTime => ("PARKING_TIME", Decimal::from(MOST_HOURS)),
        _ => ("RESERVATION_TIME", Decimal::from(MOST_HOURS)),
    };
    if let Some(volume) = volume.filter(|volume| !(Decimal::ZERO..=most).contains(volume)) {
        return Err(RatingError::InvalidVolume { period: index, dimension: name, volume });
    }
    Ok(volume)
}

/// One unit of the last digit of a number of hours, in milliseconds. A number with fewer than two
/// decimals is taken to have had three, such as `0.500` written `0.5`.
fn last_digit_ms(hours: Decimal) -> i64 {
    let decimals = hours.normalize().scale();
    let unit = Decimal::new(1, if decimals < 2 { 3 } else { decimals });
    let ms = (unit * Decimal::from(MS_PER_HOUR)).ceil();
    ms.to_i64().unwrap_or_default()
}

/// Where in a period that lasts `lasts_ms` its parts are: one after the other, squeezed to fit
/// where they state more time than there is; what is left over is unstated.
fn spans(parts: &[Part], lasts_ms: i64) -> Vec<Span> {
    let sum_ms: i64 = parts.iter().map(|(_, ms)| ms).sum();
    let mut spans = Vec::with_capacity(parts.len() + 1);
    let (mut from_ms, mut stated_ms) = (0, 0);
    for (kind, time_ms) in parts.iter().copied() {
        stated_ms += time_ms;
        let squeezed = i128::from(stated_ms) * i128::from(lasts_ms) / i128::from(sum_ms.max(1));
        let fits = sum_ms <= lasts_ms;
        let to_ms = if fits { stated_ms } else { i64::try_from(squeezed).unwrap_or(lasts_ms) };
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
    use ocpi::CdrDimension;

    /// The charging time, in milliseconds, of a period of `lasts_s` that states `volume` hours.
    fn billed_ms(volume: &str, lasts_s: i64) -> i64 {
        let start_date_time = chrono::DateTime::UNIX_EPOCH;
        let volume = volume.parse().unwrap();
        let dimensions = vec![CdrDimension { dimension: CdrDimensionType::Time, volume }];
        let period = ChargingPeriod { start_date_time, dimensions, tariff_id: None };
        let mut reader = Reader {
            energy_wh: Decimal::ZERO,
            some_name_a_tariff: false,
            uses_power: false,
            stretches: Vec::new(),
            findings: Findings::default(),
        };
        reader.period(0, &period, lasts_s * 1000).unwrap();
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
