//! Sets readings straight: in order, once each, never falling, none impossible.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use quantities::{Power, WattHours};
use rust_decimal::Decimal;

use crate::{FindingCode, Findings, MeterSample};

/// As far apart as rounding puts a whole number of watt-hours and a reading.
pub(crate) const NEAR_WH: Decimal = Decimal::ONE;

/// Two registers that should be the same and are so far apart are a matter for a person.
pub(crate) const FAR_WH: Decimal = Decimal::ONE_THOUSAND;

/// The registers that are billed and what the charger can deliver: what readings are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// When the transaction started, and its register then.
    pub start: (DateTime<Utc>, WattHours),
    /// When it stopped, and its register then; `None` while it runs.
    pub stop: Option<(DateTime<Utc>, WattHours)>,
    /// More than the connector delivers. `None`: no reading is too high.
    pub power_max: Option<Power>,
}

/// The readings of `samples` that can be believed, in order of time, at most one for each
/// millisecond between start and stop, never falling. What is set aside is noted in `findings`;
/// see [`FindingCode`] for every rule. The order of `samples`, and repeats among them, change
/// nothing; what is straight already is returned as it is, with nothing to note.
#[must_use]
pub fn settle<'a>(
    samples: &'a [MeterSample],
    ends: &Ends,
    findings: &mut Findings,
) -> Cow<'a, [MeterSample]> {
    if are_straight(samples, ends) {
        return Cow::Borrowed(samples);
    }
    let mut samples = samples.to_vec();
    samples.sort_unstable_by_key(|sample| (ms(sample.at), sample.energy, sample.power));
    samples.dedup_by(|later, earlier| {
        let repeats = ms(later.at) == ms(earlier.at) && later.energy == earlier.energy;
        if repeats {
            // None sorts first: the highest power that was told of the moment.
            earlier.power = later.power;
        }
        repeats
    });
    samples.retain(|sample| is_within(sample, ends, findings));
    doubt_register(&samples, ends, findings);
    samples.retain(|sample| is_in_range(sample, ends, findings));
    let mut samples = believable(samples, ends, findings);
    // The moments of start and stop have readings of their own.
    let start_ms = ms(ends.start.0);
    let stop_ms = ends.stop.map(|(at, _)| ms(at));
    samples.retain(|sample| ms(sample.at) > start_ms && Some(ms(sample.at)) != stop_ms);
    Cow::Owned(samples)
}

/// Whether nothing has to be done: most sessions are so.
fn are_straight(samples: &[MeterSample], ends: &Ends) -> bool {
    let mut last = ends.start;
    let follows = |sample: &MeterSample| {
        let here = (sample.at, sample.energy);
        let is_next = ms(here.0) > ms(last.0) && here.1 >= last.1 && !ends.jumps(last, here);
        last = here;
        is_next
    };
    samples.iter().all(follows)
        && ends
            .stop
            .is_none_or(|(at, stop)| samples.is_empty() || ms(last.0) < ms(at) && last.1 <= stop)
}

impl Ends {
    /// Whether the register rises faster from one reading to another than the charger delivers.
    /// Chargers' times are whole seconds, often minutes apart from their readings, so a minute is
    /// added.
    pub(crate) fn jumps(
        &self,
        from: (DateTime<Utc>, WattHours),
        to: (DateTime<Utc>, WattHours),
    ) -> bool {
        self.power_max.is_some_and(|most| !reaches(from, to, most.watts()))
    }
}

/// Whether `most_w` watts suffice for the rise from one reading to another, a minute added.
pub(crate) fn reaches(
    from: (DateTime<Utc>, WattHours),
    to: (DateTime<Utc>, WattHours),
    most_w: Decimal,
) -> bool {
    let seconds = (to.0 - from.0).num_seconds().max(0).saturating_add(60);
    let most = most_w.checked_mul(Decimal::from(seconds));
    let risen = to.1.checked_sub(from.1).ok();
    let watt_seconds = risen.and_then(|risen| risen.wh().checked_mul(Decimal::from(3_600)));
    match (watt_seconds, most) {
        (Some(risen), Some(most)) => risen <= most,
        _ => false,
    }
}

/// Whether `high` is above `low` by more than `by` watt-hours.
pub(crate) fn is_above(high: WattHours, low: WattHours, by: Decimal) -> bool {
    high > low && high.checked_sub(low).map_or(true, |apart| apart.wh() > by)
}

fn ms(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

/// A register at rest before the start and after the end says nothing new.
fn is_within(sample: &MeterSample, ends: &Ends, findings: &mut Findings) -> bool {
    let (start_at, start) = ends.start;
    let before = ms(sample.at) < ms(start_at);
    let after = ends.stop.is_some_and(|(stop_at, _)| ms(sample.at) > ms(stop_at));
    let rests_before = before && sample.energy <= start;
    let rests_after = after
        && ends.stop.is_some_and(|(_, stop)| {
            !is_above(sample.energy, stop, NEAR_WH) && !is_above(stop, sample.energy, NEAR_WH)
        });
    if (before && !rests_before) || (after && !rests_after) {
        let detail = format!("a reading of {} from before or after was set aside", sample.energy);
        findings.note(FindingCode::OutsideTransaction, sample.at, detail);
    }
    !before && !after
}

/// Whether the readings, in order of time, show that the start or stop register is not of the
/// count that they are of.
fn doubt_register(samples: &[MeterSample], ends: &Ends, findings: &mut Findings) {
    let start = ends.start.1;
    let (mut last, mut lowest) = (ends.start, None);
    let (mut was_high, mut is_reset) = (false, None);
    for sample in samples {
        let here = (sample.at, sample.energy);
        let is_low = is_above(start, sample.energy, NEAR_WH);
        let is_high = ends.stop.is_some_and(|(_, stop)| is_above(sample.energy, stop, FAR_WH));
        // One reading far above is a wrong one; two in a row, or one before the fall, are a count.
        let counts_high = is_high && !ends.jumps(last, here);
        let counts_low = is_low && lowest.is_some_and(|lowest| sample.energy > lowest);
        if counts_low || (was_high && (is_low || counts_high)) {
            is_reset = is_reset.or(Some(sample));
        }
        if is_low {
            lowest = Some(sample.energy);
        } else if counts_high || !is_high {
            last = here;
        }
        was_high = counts_high;
    }
    let stop_is_below_start = ends.stop.is_some_and(|(_, stop)| stop < start);
    match (samples.last(), is_reset) {
        // That is doubt enough, and says the same.
        _ if stop_is_below_start => {}
        (Some(sample), _) if was_high => {
            let detail = format!("the last reading is {}, above the stop", sample.energy);
            findings.note(FindingCode::StopBelowLast, sample.at, detail);
        }
        (_, Some(sample)) => {
            let detail = format!("the register began again and is at {}", sample.energy);
            findings.note(FindingCode::RegisterReset, sample.at, detail);
        }
        _ => {}
    }
}

fn is_in_range(sample: &MeterSample, ends: &Ends, findings: &mut Findings) -> bool {
    let (start_at, start) = ends.start;
    // A stop below the start is no measure of anything; what the readings say is worth keeping.
    let stop = ends.stop.filter(|(_, stop)| *stop >= start);
    let detail = || format!("a reading of {} was set aside", sample.energy);
    if sample.energy < start {
        let at_start = sample.at == start_at && sample.energy == WattHours::ZERO;
        let code = if at_start { FindingCode::BeginZero } else { FindingCode::RegisterBackwards };
        findings.note(code, sample.at, detail());
        return false;
    }
    let is_above = stop.is_some_and(|(_, stop)| sample.energy > stop);
    if is_above {
        findings.note(FindingCode::AboveStop, sample.at, detail());
    }
    !is_above
}

/// Sets aside as few readings as possible so that the rest never falls: one wrong reading cannot
/// take the right ones after it with it. Where the choice is open, the earlier readings stay.
fn never_falling(
    samples: Vec<MeterSample>,
    mut note: impl FnMut(FindingCode, &MeterSample),
) -> Vec<MeterSample> {
    if samples.is_sorted_by_key(|sample| sample.energy) {
        return samples;
    }
    // How many readings from each on can be kept, itself included: the longest run that never
    // falls, found from the end. `heads[n]` is the highest start of a run of n + 1 readings.
    let mut heads: Vec<WattHours> = Vec::new();
    let mut lengths = vec![0_usize; samples.len()];
    for (sample, length) in samples.iter().zip(&mut lengths).rev() {
        let shorter = heads.partition_point(|head| *head >= sample.energy);
        match heads.get_mut(shorter) {
            Some(head) => *head = sample.energy,
            None => heads.push(sample.energy),
        }
        *length = shorter + 1;
    }
    let mut missing = heads.len();
    let mut highest = None;
    let mut lengths = lengths.into_iter();
    let kept = samples.into_iter().filter(|sample| {
        let length = lengths.next().unwrap_or_default();
        let keep = length == missing && missing > 0 && Some(sample.energy) >= highest;
        if keep {
            missing -= 1;
            highest = Some(sample.energy);
        } else {
            note(FindingCode::RegisterBackwards, sample);
        }
        keep
    });
    kept.collect()
}

/// Without readings that cannot be after the start, without those that fall, with one for each
/// moment, and then without those that cannot be after the one before them.
fn believable(
    mut samples: Vec<MeterSample>,
    ends: &Ends,
    findings: &mut Findings,
) -> Vec<MeterSample> {
    let set_aside = |findings: &mut Findings, code, sample: &MeterSample| {
        findings.note(code, sample.at, format!("a reading of {} was set aside", sample.energy));
    };
    let mut is_first = true;
    samples.retain(|sample| {
        let jumps = ends.jumps(ends.start, (sample.at, sample.energy));
        if jumps && is_first && ends.start.1 == WattHours::ZERO {
            set_aside(findings, FindingCode::StartZero, sample);
        }
        if jumps {
            set_aside(findings, FindingCode::ImplausibleJump, sample);
        }
        is_first = false;
        !jumps
    });
    let mut samples = never_falling(samples, |code, sample| set_aside(findings, code, sample));
    // Before the rest is compared with the one before it: that has to be one that stays.
    samples.dedup_by(|later, earlier| {
        let conflict = ms(later.at) == ms(earlier.at);
        if conflict {
            let detail = "of two readings of one moment the lower one is used";
            findings.note(FindingCode::Conflicting, later.at, detail);
        }
        conflict
    });
    let mut last = ends.start;
    samples.retain(|sample| {
        let here = (sample.at, sample.energy);
        let jumps = ends.jumps(last, here);
        if jumps {
            set_aside(findings, FindingCode::ImplausibleJump, sample);
        } else {
            last = here;
        }
        !jumps
    });
    samples
}
