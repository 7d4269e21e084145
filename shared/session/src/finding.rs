//! What can be doubtful about a session's readings, and what is done about each doubt.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Something about a session's readings that a person may want to know; once for each code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What, for machines.
    pub code: FindingCode,
    /// When the first reading that shows it was taken, when it is about readings.
    pub at: Option<DateTime<Utc>>,
    /// How often it was found.
    pub count: u32,
    /// What the first one is, for people. No personal data.
    pub detail: String,
}

/// What a [`Finding`] is about, and the one treatment that goes with it. The names are stable.
///
/// The register of StartTransaction and that of StopTransaction are what is billed; readings in
/// between only tell when the energy flowed. So a doubtful reading in between is set aside and
/// named, and costs nobody anything; only doubt about the start, the end or the clock is a reason
/// to hold the session until a person has decided. *Near* is 1 Wh (OCPP's registers are whole
/// watt-hours, readings are not), *far* is 1 kWh, *impossible* is more power than the charger
/// gives (its rated power and a tenth; 4 MW where that is not known), with a minute added to every
/// span because chargers' times are often whole minutes.
///
/// | code | recognised by | treatment | held |
/// |---|---|---|---|
/// | `frame_unreadable` | a stored frame that is no OCPP message | left out | no |
/// | `value_unreadable` | a part of a frame, or a register that is not a number | left out | no |
/// | `time_without_offset` | a time that states no offset | read as UTC | no |
/// | `unknown_unit` | a register in another unit than Wh and kWh (`kvarh`, `MWh`, …) | left out | no |
/// | `sum_of_phases` | a register of each phase and none of all together | added up | no |
/// | `other_location` | no register at the outlet, but one at cable, body or inlet | used; one at the vehicle (`EV`) is not | no |
/// | `from_intervals` | `Energy.Active.Import.Interval` and no register at all in between | added up from the start register | no |
/// | `repeated` | the same reading in two MeterValues messages | counted once | no |
/// | `out_of_order` | a reading that came after a later one | put in order of time | no |
/// | `conflicting` | two readings of one moment, both credible | the lower one is used | no |
/// | `outside_transaction` | a reading before the start or after the end, with the register not at rest | set aside | no |
/// | `clock_ahead` | a message stamped more than 5 minutes after it came | the charger's time is used | no |
/// | `clock_step` | the register rises from message to message while their times fall by more than 5 minutes; or start and end are off by more than 5 minutes from each other and one is ahead | none: how long it took is not known | yes |
/// | `clock_wrong` | a start or end before 2020 (a clock that was never set) or more than 20 minutes after it came | none: when it was is not known | yes |
/// | `end_before_start` | an end before the start | none | yes |
/// | `begin_zero` | `Transaction.Begin` is 0, `meterStart` is not (after an offline period) | `meterStart` is billed from | no |
/// | `begin_differs` | `Transaction.Begin` is not near `meterStart`, nor far from it | `meterStart` is billed from | no |
/// | `begin_contradicts` | `Transaction.Begin` is far from `meterStart` | none | yes |
/// | `start_zero` | `meterStart` is 0; `Transaction.Begin` is far from it, or the first reading is impossibly so | none | yes |
/// | `start_missing` | `meterStart` is negative: no reading | `Transaction.Begin` stands in, else the first reading | yes |
/// | `register_backwards` | a reading below the start or below an earlier one; as few as possible | set aside | no |
/// | `above_stop` | a reading above `meterStop` | set aside | no |
/// | `implausible_jump` | a reading that is impossible after the one before it | set aside | no |
/// | `reading_gap` | more than an hour between two readings with more than 1 kWh in it | interpolated linearly, as everywhere; a person knows no better | no |
/// | `register_reset` | the register falls and counts on from below: two rising readings below the start, or two in a row far above `meterStop` before others below it | none: what was counted before is lost | yes |
/// | `register_rollover` | `meterStop` is below `meterStart`, which is so near the end of its digits (five of kWh or more) that 400 kW, or the rated power, could get there | the energy across the end of the digits is billed | no |
/// | `stop_missing` | `meterStop` is absent or negative: no reading | `Transaction.End` stands in, else the last reading | yes |
/// | `stop_below_start` | `meterStop` is below `meterStart` in any other way | none | yes |
/// | `stop_below_last` | the last reading is far above `meterStop` | none | yes |
/// | `end_differs` | `Transaction.End` is not near `meterStop`, nor far from it | `meterStop` is billed to | no |
/// | `end_contradicts` | `Transaction.End` is far from `meterStop` | none | yes |
/// | `implausible_energy` | `meterStop` is impossible after the last credible reading | none | yes |
/// | `signed_verified` | signed readings, all good by the meter's known key | billed as they say | no |
/// | `signed_own_key` | signed readings, good by a key that came with them: unaltered, but nobody says whose | billed | no |
/// | `signed_key_unknown` | signed readings and no key | kept, billed | no |
/// | `signed_unchecked` | signed data in another format than OCMF, or an algorithm that is not known here | kept, billed | no |
/// | `signed_incomplete` | signed readings without one of the begin or without one of the end | what there is, is compared | no |
/// | `signed_missing` | the meter's key is known and nothing signed came | billed | no |
/// | `signature_invalid` | a signature that the key contradicts, or that is none | kept | yes |
/// | `signed_energy_differs` | the signed begin or end is not what is billed, by more than the last digit it states | kept | yes |
/// | `signed_meter_fault` | the signed begin or end says itself that the meter was at fault | kept | yes |
///
/// A StartTransaction without `meterStart` is refused and kept for a person as the exception
/// `unreadable_message`; a session that never stops is closed by the sweep at its last reading and
/// held as `silent_charger`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// A stored frame could not be read.
    FrameUnreadable,
    /// A part of a frame could not be read.
    ValueUnreadable,
    /// A time without offset.
    TimeWithoutOffset,
    /// A register in a unit that is not one of energy.
    UnknownUnit,
    /// No total was sent: the phases were added up.
    SumOfPhases,
    /// A register that was not measured at the outlet.
    OtherLocation,
    /// No register was sent: the intervals were added up.
    FromIntervals,
    /// The same reading came more than once.
    Repeated,
    /// A reading came after a later one.
    OutOfOrder,
    /// Two different readings of one moment.
    Conflicting,
    /// A reading from before the start or after the end.
    OutsideTransaction,
    /// The charger's clock runs ahead of ours.
    ClockAhead,
    /// The charger's clock was set while the session ran.
    ClockStep,
    /// The charger's clock cannot be right at the start or the end.
    ClockWrong,
    /// The transaction ends before it starts.
    EndBeforeStart,
    /// `Transaction.Begin` is 0 while the transaction started at another reading.
    BeginZero,
    /// `Transaction.Begin` is not quite the reading the transaction started with.
    BeginDiffers,
    /// `Transaction.Begin` is another reading than the transaction started with.
    BeginContradicts,
    /// The transaction started at 0 and the register was not at 0.
    StartZero,
    /// The transaction started without a reading.
    StartMissing,
    /// A reading is below an earlier one.
    RegisterBackwards,
    /// A reading is above the one the transaction stopped with.
    AboveStop,
    /// A reading rises faster than the charger delivers.
    ImplausibleJump,
    /// A long time without a reading, with energy in it.
    ReadingGap,
    /// The register began again from below.
    RegisterReset,
    /// The register came to the end of its digits.
    RegisterRollover,
    /// The transaction stopped without a reading.
    StopMissing,
    /// The stop reading is below the start reading.
    StopBelowStart,
    /// The stop reading is below the last reading.
    StopBelowLast,
    /// `Transaction.End` is not quite the reading the transaction stopped with.
    EndDiffers,
    /// `Transaction.End` is another reading than the transaction stopped with.
    EndContradicts,
    /// More energy than the charger delivers in the time.
    ImplausibleEnergy,
    /// Signed readings that the meter's known key confirms.
    SignedVerified,
    /// Signed readings that their own key confirms.
    SignedOwnKey,
    /// Signed readings of a meter whose key is not known.
    SignedKeyUnknown,
    /// Signed readings that cannot be checked here.
    SignedUnchecked,
    /// Signed readings that lack the begin or the end.
    SignedIncomplete,
    /// No signed readings from a meter that signs.
    SignedMissing,
    /// A signature that is not the meter's.
    SignatureInvalid,
    /// Signed readings that are not those billed.
    SignedEnergyDiffers,
    /// Signed readings of a meter that says it was at fault.
    SignedMeterFault,
}

impl FindingCode {
    /// Whether the session's energy or time itself is in doubt, so that a person has to decide
    /// before it is billed. All others concern single readings in between.
    #[must_use]
    pub const fn holds_billing(self) -> bool {
        matches!(
            self,
            Self::ClockStep
                | Self::ClockWrong
                | Self::EndBeforeStart
                | Self::BeginContradicts
                | Self::StartZero
                | Self::StartMissing
                | Self::RegisterReset
                | Self::StopMissing
                | Self::StopBelowStart
                | Self::StopBelowLast
                | Self::EndContradicts
                | Self::ImplausibleEnergy
                | Self::SignatureInvalid
                | Self::SignedEnergyDiffers
                | Self::SignedMeterFault
        )
    }
}

impl fmt::Display for FindingCode {
    /// As JSON spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Findings by code, each once with a count: a long session repeats what is odd about its charger
/// with every reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Notes one more occurrence of `code`, at `at` when it is about a reading.
    pub fn note(
        &mut self,
        code: FindingCode,
        at: impl Into<Option<DateTime<Utc>>>,
        detail: impl Into<String>,
    ) {
        let at = at.into();
        let Some(first) = self.0.iter_mut().find(|finding| finding.code == code) else {
            self.0.push(Finding { code, at, count: 1, detail: detail.into() });
            return;
        };
        first.count = first.count.saturating_add(1);
        // Of one moment the lesser detail, so that the order of messages changes nothing.
        let detail = detail.into();
        if (at, &detail) < (first.at, &first.detail) {
            first.at = at;
            first.detail = detail;
        }
    }

    /// The findings in the order of their codes.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.code);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table above is what people read: it has every code, in order, and says of each whether
    /// it holds.
    #[test]
    fn the_table_says_of_every_code_what_the_code_does() {
        let (before, after) =
            include_str!("finding.rs").split_once("pub enum FindingCode").unwrap();
        let rows = before.lines().filter_map(|line| line.strip_prefix("/// | `"));
        let rows: Vec<(FindingCode, bool)> = rows
            .map(|row| {
                let (code, rest) = row.split_once('`').unwrap();
                let code: FindingCode = serde_json::from_value(code.into()).unwrap();
                assert!(row.starts_with(&code.to_string()));
                let held = rest.trim_end().strip_suffix('|').unwrap().rsplit('|').next().unwrap();
                (code, held.trim() == "yes")
            })
            .collect();
        let variants = after.split_once("\n}").unwrap().0.lines();
        let variants = variants.filter(|line| line.ends_with(',')).count();
        assert_eq!(rows.len(), variants);
        let mut codes: Vec<_> = rows.iter().map(|(code, _)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), variants, "a code is twice in the table");
        for (code, held) in rows {
            assert_eq!(code.holds_billing(), held, "{code:?}");
        }
    }

    #[test]
    fn what_is_found_again_is_counted_and_the_first_one_told() {
        let at = |minute: u32| -> DateTime<Utc> {
            format!("2026-03-01T12:{minute:02}:00Z").parse().unwrap()
        };
        let mut findings = Findings::default();
        findings.note(FindingCode::AboveStop, at(10), "second");
        findings.note(FindingCode::AboveStop, at(5), "first");
        findings.note(FindingCode::FrameUnreadable, None, "frame");
        let found = findings.into_sorted();
        assert_eq!(found[0].code, FindingCode::FrameUnreadable);
        assert_eq!(
            (found[1].count, found[1].at, found[1].detail.as_str()),
            (2, Some(at(5)), "first")
        );
    }
}
