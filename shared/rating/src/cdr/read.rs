//! From a CDR's charging periods to stretches.

use arrayvec::ArrayVec;
use chrono::{DateTime, NaiveDate, NaiveTime, Timelike, Utc};
use ocpi::{Cdr, CdrDimensionType, ChargingPeriod};
use quantities::MoneyError;
use rust_decimal::Decimal;

use crate::{
    FindingCode, RatingError, SegmentKind,
    compile::{Bounds, Compiled},
    course::still,
    exact::{MS_PER_HOUR, Reading, decimals, hours_to_ms, power_kw, scaled_integer},
    stretch::{Course, Findings, Powers, Stretch, moment},
};

/// The course that a CDR's periods describe, for pricing with `tariff`.
///
/// A period's stated time is billed. Where it says the same as the period's own start and end to
/// the digits it has (`0.6667` hours for 40 minutes), start and end are meant. Charging comes
/// before parking in a period that states both; time it does not state is not billed.
pub(crate) fn course(cdr: &Cdr, tariff: &Compiled) -> Result<Course, RatingError> {
    let mut reader = Reader::new(&cdr.charging_periods, tariff);
    let mut clock = Clock::default();
    let end_ms = clock.ms(cdr.end_date_time);
    let mut starts = cdr.charging_periods.iter().map(|period| period.start_date_time);
    let mut start_ms = starts.next().map_or(end_ms, |start| clock.ms(start));
    for (index, period) in cdr.charging_periods.iter().enumerate() {
        let end_ms = starts.next().map_or(end_ms, |next| clock.ms(next));
        reader.period(index, period, start_ms, end_ms)?;
        start_ms = end_ms;
    }
    if micro_wh_of(cdr.total_energy) != Some(reader.uwh) {
        let detail = "total_energy is not the sum of the periods; the periods are billed";
        reader.findings.note(FindingCode::TotalDiffers, cdr.start_date_time, detail);
    }
    let in_session = |stretch: &&Stretch| stretch.kind != SegmentKind::Reservation;
    let session = reader.stretches.iter().find(in_session);
    let start_ms = cdr.start_date_time.timestamp_millis();
    let session_start_ms = session.map_or(start_ms, |stretch| stretch.start_ms);
    let reservation_expired = session.is_none() && !reader.stretches.is_empty();
    if reader.names_another {
        let detail = "the CDR names another tariff than the one it is priced with";
        reader.findings.note(FindingCode::OtherTariff, moment(session_start_ms), detail);
    }
    let Reader { stretches, findings, .. } = reader;
    Ok(Course { stretches, session_start_ms, reservation_expired, stated: true, findings })
}

/// Milliseconds since 1970, quick for one moment after another of the same day.
#[derive(Default)]
struct Clock {
    day: NaiveDate,
    midnight_ms: i64,
}

impl Clock {
    #[inline]
    fn ms(&mut self, at: DateTime<Utc>) -> i64 {
        let at = at.naive_utc();
        if at.date() != self.day {
            self.day = at.date();
            self.midnight_ms = at.date().and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        }
        let seconds = i64::from(at.time().num_seconds_from_midnight());
        self.midnight_ms + seconds * 1000 + i64::from(at.time().nanosecond() / 1_000_000)
    }
}

/// The most energy of a period that is believed: a million kWh, in millionths of a Wh.
const UWH_MAX: i64 = 1_000_000_000_000_000;
/// The most time of a period that is believed: a leap year, in milliseconds.
const MS_MAX: i64 = 366 * 24 * MS_PER_HOUR;

/// Decimals of a kWh in a count of millionths of a Wh.
const KWH_DECIMALS: u32 = 9;

fn micro_wh_of(kwh: Decimal) -> Option<i64> {
    scaled_integer(kwh, KWH_DECIMALS)
}

/// What a period states, each dimension once: the first counts.
#[derive(Default)]
struct Volumes {
    /// In millionths of a Wh.
    uwh: Option<i64>,
    times: ArrayVec<Time, TIMES_MAX>,
}

/// A time that a period states.
#[derive(Clone, Copy)]
struct Time {
    kind: SegmentKind,
    ms: i64,
    /// As they are stated.
    hours: Decimal,
}

impl Time {
    /// Less than a millisecond is something.
    const fn is_zero(self) -> bool {
        self.hours.is_zero()
    }

    /// One unit of the last digit of its hours in milliseconds, rounded up. A number with fewer than
    /// two decimals is taken to have had three, such as `0.500` written `0.5`.
    fn last_digit_ms(self) -> i64 {
        match decimals(self.hours) {
            2 => 36_000,
            0 | 1 | 3 => 3_600,
            4 => 360,
            5 => 36,
            6 => 4,
            _ => 1,
        }
    }
}

/// The energy of `period`, in millionths of a Wh, and its time, where it states these two and
/// nothing is odd about them: the usual case, and the quick one.
#[inline]
fn plain(period: &ChargingPeriod) -> Option<(i64, Time)> {
    let [energy, time] = period.dimensions.as_slice() else { return None };
    let kind = match (energy.dimension, time.dimension) {
        (CdrDimensionType::Energy, CdrDimensionType::Time) => SegmentKind::Charging,
        (CdrDimensionType::Energy, CdrDimensionType::ParkingTime) => SegmentKind::Idle,
        _ => return None,
    };
    let uwh = micro_wh_of(energy.volume).filter(|uwh| (1..=UWH_MAX).contains(uwh))?;
    let hours = time.volume;
    let ms = hours_to_ms(hours).filter(|ms| (1..=MS_MAX).contains(ms))?;
    Some((uwh, Time { kind, ms, hours }))
}

/// Reservation, charging and parking.
const TIMES_MAX: usize = 3;

impl Volumes {
    /// Takes what `period`, the one at `index`, states.
    fn take(&mut self, index: usize, period: &ChargingPeriod) -> Result<(), RatingError> {
        for stated in &period.dimensions {
            let volume = stated.volume;
            let (name, kind) = match stated.dimension {
                CdrDimensionType::Energy => {
                    if self.uwh.is_none() {
                        let uwh = micro_wh_of(volume);
                        self.uwh = Some(check(index, "ENERGY", volume, uwh, UWH_MAX)?);
                    }
                    continue;
                }
                CdrDimensionType::ReservationTime => ("RESERVATION_TIME", SegmentKind::Reservation),
                CdrDimensionType::Time => ("TIME", SegmentKind::Charging),
                CdrDimensionType::ParkingTime => ("PARKING_TIME", SegmentKind::Idle),
                _ => continue,
            };
            if self.times.iter().all(|time| time.kind != kind) {
                let ms = check(index, name, volume, hours_to_ms(volume), MS_MAX)?;
                self.times.push(Time { kind, ms, hours: volume });
            }
        }
        match self.times.as_slice() {
            [] => {}
            [time] if !time.is_zero() => {}
            _ => self.tidy(),
        }
        Ok(())
    }

    /// Puts the times in order, and leaves out those of nothing.
    fn tidy(&mut self) {
        self.times.sort_unstable_by_key(|time| order(time.kind));
        self.times.retain(|time| !time.is_zero());
    }
}

/// The power and current that `period` states, each bound once: the first counts.
fn powers(period: &ChargingPeriod) -> Powers {
    let mut powers = Powers::default();
    for stated in &period.dimensions {
        let bound = match stated.dimension {
            CdrDimensionType::MinPower => &mut powers.power_kw.low,
            CdrDimensionType::MaxPower => &mut powers.power_kw.high,
            CdrDimensionType::MinCurrent => &mut powers.current_a.low,
            CdrDimensionType::MaxCurrent => &mut powers.current_a.high,
            _ => continue,
        };
        bound.get_or_insert(stated.volume);
    }
    powers
}

/// The order in which the times of a period are taken to happen.
const fn order(kind: SegmentKind) -> u8 {
    match kind {
        SegmentKind::Reservation => 0,
        SegmentKind::Charging => 1,
        _ => 2,
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

struct Reader<'a> {
    /// What it is priced with.
    tariff: &'a Compiled,
    /// Whether a price can change within a period.
    can_change: bool,
    some_name_a_tariff: bool,
    names_another: bool,
    /// The energy of the periods so far, in millionths of a Wh.
    uwh: i64,
    stretches: Vec<Stretch>,
    findings: Findings,
}

impl<'a> Reader<'a> {
    fn new(periods: &[ChargingPeriod], tariff: &'a Compiled) -> Self {
        Self {
            tariff,
            can_change: tariff.can_change(),
            some_name_a_tariff: periods.iter().any(|period| period.tariff_id.is_some()),
            names_another: false,
            uwh: 0,
            stretches: Vec::with_capacity(periods.len()),
            findings: Findings::default(),
        }
    }

    /// Adds the period at `index`, which lasts from `start_ms` to `end_ms`.
    fn period(
        &mut self,
        index: usize,
        period: &ChargingPeriod,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<(), RatingError> {
        if end_ms < start_ms {
            let start = period.start_date_time;
            return Err(RatingError::PeriodOutOfOrder { period: index, start });
        }
        let billable = self.is_billable(period);
        let from = Reading { at_ms: start_ms, uwh: self.uwh };
        let lasts_ms = end_ms - start_ms;
        if !self.tariff.depends_on_power
            && let Some((uwh, time)) = plain(period)
            && (lasts_ms - time.ms).abs() < time.last_digit_ms()
        {
            self.uwh = self.uwh.checked_add(uwh).ok_or(MoneyError::Overflow)?;
            let to = Reading { at_ms: end_ms, uwh: self.uwh };
            self.add(Stretch::between(from, to, time.kind, lasts_ms, billable));
            return Ok(());
        }
        let mut volumes = Volumes::default();
        volumes.take(index, period)?;
        let energy = volumes.uwh.unwrap_or_default();
        self.uwh = self.uwh.checked_add(energy).ok_or(MoneyError::Overflow)?;
        let to = Reading { at_ms: end_ms, uwh: self.uwh };
        self.set_straight(&mut volumes.times, period, lasts_ms);
        self.split(period, &volumes.times, from, to, billable)
    }

    /// Adds `stretch`. Where no price can change within, it is one with the last that is like it.
    fn add(&mut self, stretch: Stretch) {
        let consumes = |stretch: &Stretch| {
            stretch.billable && stretch.time_ms > 0 && stretch.from.uwh < stretch.to.uwh
        };
        match self.stretches.last_mut() {
            Some(last)
                if !self.can_change
                    && last.kind == stretch.kind
                    && consumes(last)
                    && consumes(&stretch) =>
            {
                last.time_ms += stretch.time_ms;
                (last.end_ms, last.to) = (stretch.end_ms, stretch.to);
            }
            _ => self.stretches.push(stretch),
        }
    }

    /// Whether a tariff is relevant in `period`, whichever it names.
    fn is_billable(&mut self, period: &ChargingPeriod) -> bool {
        let Some(named) = &period.tariff_id else {
            if self.some_name_a_tariff {
                let detail = "a period that names no tariff, while others do, is not billed";
                let start = period.start_date_time;
                self.findings.note(FindingCode::PeriodWithoutTariff, start, detail);
            }
            return !self.some_name_a_tariff;
        };
        if *named != self.tariff.id && !named.eq_ignore_ascii_case(&self.tariff.id) {
            self.names_another = true;
        }
        true
    }

    /// Sets the `times` of `period` straight, which lasts `lasts_ms`.
    fn set_straight(&mut self, times: &mut [Time], period: &ChargingPeriod, lasts_ms: i64) {
        let off_ms = lasts_ms - sum_ms(times);
        if off_ms == 0 {
            return;
        }
        // The digits end where start and end go on, rounded or cut off: these are meant.
        let is_meant = off_ms.abs() < times.iter().copied().map(Time::last_digit_ms).sum();
        let (code, detail) = match times.last_mut() {
            Some(last) if is_meant => {
                last.ms = (last.ms + off_ms).max(0);
                return;
            }
            Some(_) => {
                let detail = "a period's stated time differs from its duration; it is billed";
                (FindingCode::PeriodTimeDiffers, detail)
            }
            None => {
                let detail = "a period that states no time is billed for no time";
                (FindingCode::PeriodWithoutTime, detail)
            }
        };
        self.findings.note(code, period.start_date_time, detail);
    }

    /// Adds the parts of `period`, whose `times` are set straight, from one reading to another.
    fn split(
        &mut self,
        period: &ChargingPeriod,
        times: &[Time],
        start: Reading,
        end: Reading,
        billable: bool,
    ) -> Result<(), RatingError> {
        let (before, after) = (start.uwh, end.uwh);
        let spans = spans(times, end.at_ms - start.at_ms);
        let stated = self.tariff.depends_on_power.then(|| powers(period));
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
                power: match stated {
                    Some(stated) => Some(Box::new(known(stated, span.kind, from, to)?)),
                    None => None,
                },
                ..Stretch::between(from, to, span.kind, span.time_ms, billable)
            });
        }
        Ok(())
    }
}

/// What is known of power and current from one reading to another: what is `stated`, or follows.
fn known(
    stated: Powers,
    kind: SegmentKind,
    from: Reading,
    to: Reading,
) -> Result<Powers, MoneyError> {
    let (power, current) = (stated.power_kw, stated.current_a);
    let power_kw = if power.is_known() {
        power
    } else {
        power_kw(from, to)?.map(Bounds::exactly).unwrap_or_default()
    };
    let current_a = if current.is_known() { current } else { still(kind) };
    Ok(Powers { power_kw, current_a })
}

/// All of `times`, each of which is checked.
fn sum_ms(times: &[Time]) -> i64 {
    times.iter().map(|time| time.ms).sum()
}

/// Where in its period a time is.
struct Span {
    kind: SegmentKind,
    /// What it states.
    time_ms: i64,
    from_ms: i64,
    to_ms: i64,
}

/// Where in a period that lasts `lasts_ms` its times are: one after the other, squeezed to fit
/// where they are more time than there is; what is left over is unstated.
fn spans(times: &[Time], lasts_ms: i64) -> ArrayVec<Span, { TIMES_MAX + 1 }> {
    let sum_ms = sum_ms(times);
    let mut spans = ArrayVec::new();
    let (mut from_ms, mut stated_ms) = (0, 0);
    for &Time { kind, ms: time_ms, .. } in times {
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
    use ocpi::CdrDimension;

    use super::*;

    /// The charging time, in milliseconds, of a period of `lasts_s` that states `volume` hours.
    fn billed_ms(volume: &str, lasts_s: i64) -> i64 {
        let start_date_time = chrono::DateTime::UNIX_EPOCH;
        let volume = volume.parse().unwrap();
        let dimensions = vec![CdrDimension { dimension: CdrDimensionType::Time, volume }];
        let period = ChargingPeriod { start_date_time, dimensions, tariff_id: None };
        let periods = [period];
        let text = r#"{"id":"T","currency":"EUR","elements":[
            {"price_components":[{"type":"TIME","price":1}]}]}"#;
        let tariff = Compiled::new(&ocpi::read::tariff(text).unwrap()).unwrap();
        let mut reader = Reader::new(&periods, &tariff);
        reader.period(0, &periods[0], 0, lasts_s * 1000).unwrap();
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
