//! Every anomaly of the table at [`FindingCode`] that concerns start, end, clock and register.

use chrono::{DateTime, TimeDelta, Utc};
use network::Charger;
use proptest::prelude::*;
use quantities::WattHours;
use rust_decimal::Decimal;

use crate::{
    Ends, FindingCode, Findings, MeterSample, Session, StopTransactionEffect, Timeline, settle,
    test_readings::{at, codes, ended, reading, running, wh},
    timeline,
};

type Frames = [(DateTime<Utc>, String)];

fn read(session: &Session, frames: &Frames) -> Timeline {
    timeline(session, frames, &[], at("16:30"), None)
}

fn found(session: &Session, frames: &Frames) -> Vec<FindingCode> {
    codes(&read(session, frames).findings)
}

/// A session from 16:00 to 17:00 with these registers.
fn of(start: i64, stop: i64) -> Session {
    Session { meter_start: start.into(), meter_stop: Some(stop.into()), ..ended() }
}

/// The same reading, but it came at `arrived`.
fn arrived(time: &str, reading: (DateTime<Utc>, String)) -> (DateTime<Utc>, String) {
    (at(time), reading.1)
}

fn charger(max_electric_power: Option<u32>) -> Charger {
    Charger {
        id: "CP1".parse().unwrap(),
        site_id: "S1".parse().unwrap(),
        time_zone: chrono_tz::UTC,
        password_hash: String::new(),
        evse_id: String::new(),
        power_type: "AC_3_PHASE".to_owned(),
        standard: "IEC_62196_T2".to_owned(),
        max_electric_power,
        meter_public_keys: vec![],
    }
}

#[test]
fn a_register_that_is_reset_and_counts_on_is_held_wherever_it_ends() {
    // 8 kWh until the reset and 3 after it: neither 2 nor 11 is proven.
    let frames = [wh("16:10", 5000), wh("16:20", 9000), wh("16:30", 0), wh("16:40", 2000)];
    assert!(found(&of(1000, 3000), &frames).contains(&FindingCode::RegisterReset));
    // The same when the count has passed the old one by the end.
    let frames = [wh("16:20", 9000), wh("16:30", 0), wh("16:40", 500), wh("16:50", 900)];
    assert!(found(&of(1000, 12_000), &frames).contains(&FindingCode::RegisterReset));
    // While it runs, there is nothing to hold but a reason to look.
    assert!(found(&running(), &frames).contains(&FindingCode::RegisterReset));
    assert!(FindingCode::RegisterReset.holds_billing());
}

#[test]
fn two_readings_in_a_row_are_a_count_and_one_is_a_slip() {
    let count = [wh("16:10", 9000), wh("16:20", 9500), wh("16:30", 2000)];
    assert!(found(&of(1000, 3000), &count).contains(&FindingCode::RegisterReset));
    let slip = [wh("16:10", 9000), wh("16:20", 1500), wh("16:30", 2000)];
    assert_eq!(found(&of(1000, 3000), &slip), [FindingCode::AboveStop]);
    // No charger delivers 90 MWh, however often it says so.
    let nonsense = [wh("16:10", 90_000_000), wh("16:20", 90_000_000), wh("16:30", 2000)];
    assert_eq!(found(&of(1000, 3000), &nonsense), [FindingCode::AboveStop]);
}

#[test]
fn readings_outside_are_told_unless_the_register_rests() {
    let outside = [FindingCode::OutsideTransaction];
    assert_eq!(found(&ended(), &[wh("15:50", 1002)]), outside);
    assert_eq!(found(&ended(), &[wh("15:50", 900)]), []);
    assert_eq!(found(&ended(), &[wh("17:10", 21_002)]), outside);
    assert_eq!(found(&ended(), &[wh("17:10", 20_998)]), outside);
    assert_eq!(found(&ended(), &[wh("17:10", 21_001)]), []);
    // At the moments themselves start and stop have the word; a 0 is a begin of 0.
    assert_eq!(found(&ended(), &[wh("16:00", 1200), wh("17:00", 20_900)]), []);
    assert_eq!(found(&ended(), &[wh("16:00", 0)]), [FindingCode::BeginZero]);
}

#[test]
fn a_meter_that_does_not_answer_for_a_while_is_no_reset() {
    // Chargers report 0 when the meter does not answer.
    let frames = [wh("16:10", 5000), wh("16:20", 0), wh("16:30", 0), wh("16:40", 13_000)];
    assert_eq!(found(&ended(), &frames), [FindingCode::RegisterBackwards]);
}

#[test]
fn a_register_at_the_end_of_its_digits_goes_on_from_zero() {
    // Six digits of kWh: 999,998.5 to 1.5 are 3 kWh.
    let session = of(999_998_500, 1500);
    let frames = [wh("16:20", 999_999_500), wh("16:40", 500), wh("16:50", 1000)];
    let timeline = read(&session, &frames);
    assert_eq!(codes(&timeline.findings), [FindingCode::RegisterRollover]);
    assert_eq!(timeline.meter_stop.checked_sub(timeline.meter_start), Ok(WattHours::from(3000)));
    let energies: Vec<_> = timeline.samples.iter().map(|sample| sample.energy).collect();
    assert_eq!(energies, [999_999_500, 1_000_000_500, 1_000_001_000].map(WattHours::from));
    assert!(!FindingCode::RegisterRollover.holds_billing());
    // A running one is unrolled by its readings.
    let running = Session { meter_start: WattHours::from(999_998_500), ..running() };
    let timeline = read(&running, &frames);
    assert_eq!(timeline.meter_stop, WattHours::from(1_000_001_000));
}

#[test]
fn a_fall_that_no_charger_could_bridge_is_no_rollover() {
    // 99,000 kWh to 100 kWh in an hour would be 1,100 kWh across the end.
    assert_eq!(found(&of(99_000_000, 100_000), &[]), [FindingCode::StopBelowStart]);
    // Fewer digits than a billing meter has.
    assert_eq!(found(&of(9_999_900, 100), &[]), [FindingCode::StopBelowStart]);
    // 300 kWh are possible, but not for this charger.
    let session = of(99_900_000, 200_000);
    assert_eq!(found(&session, &[]), [FindingCode::RegisterRollover]);
    let slow = timeline(&session, &[], &[], at("17:00"), Some(&charger(Some(22_000))));
    assert_eq!(codes(&slow.findings), [FindingCode::StopBelowStart]);
}

#[test]
fn a_stop_across_the_end_of_the_digits_is_not_held_as_backwards() {
    let stop = |meter_stop: i64| {
        let session = Session { meter_start: WattHours::from(99_999_000), ..running() };
        let frame = format!(
            r#"[2,"9","StopTransaction",{{"transactionId":7,"meterStop":{meter_stop},
                "timestamp":"2026-03-10T17:00:00Z"}}]"#
        );
        session.on_stop(meter_stop.into(), &frame)
    };
    assert_eq!(stop(4000), StopTransactionEffect::End);
    assert_eq!(stop(4_000_000), StopTransactionEffect::HoldMeterBackwards);
    assert_eq!(stop(-1), StopTransactionEffect::HoldMeterBackwards);
}

#[test]
fn a_stop_below_the_last_reading_is_held_and_one_wrong_reading_is_not() {
    // A charger that reports 1 Wh at the end of 20 kWh would charge for nothing.
    let frames = [wh("16:20", 9000), wh("16:40", 15_000), wh("16:50", 21_000)];
    assert!(found(&of(1000, 1001), &frames).contains(&FindingCode::StopBelowLast));
    let frames = [wh("16:20", 9000), wh("16:40", 400_000), wh("16:50", 19_000)];
    assert_eq!(found(&of(1000, 21_000), &frames), [FindingCode::AboveStop]);
    // Rounding is no contradiction.
    assert_eq!(found(&of(1000, 21_000), &[wh("16:59", 21_400)]), [FindingCode::AboveStop]);
}

#[test]
fn a_stop_without_a_reading_takes_transaction_end_and_else_the_last_reading() {
    let end = reading("17:00", r#"{"value":"20.5","unit":"kWh","context":"Transaction.End"}"#);
    let frames = [wh("16:40", 15_000), end, wh("17:10", 90_000)];
    let timeline = read(&of(1000, -1), &frames);
    assert_eq!(timeline.meter_stop, WattHours::from(20_500));
    assert!(codes(&timeline.findings).contains(&FindingCode::StopMissing));
    let earlier = reading("16:59", r#"{"value":"20400","context":"Transaction.End"}"#);
    let both = [frames[1].clone(), earlier];
    assert_eq!(read(&of(1000, -1), &both).meter_stop, WattHours::from(20_500));
    assert_eq!(read(&of(1000, -1), &frames[..1]).meter_stop, WattHours::from(15_000));
    assert_eq!(read(&of(1000, -1), &frames[2..]).meter_stop, WattHours::from(1000));
}

#[test]
fn a_stop_that_says_nothing_of_the_register_is_held_with_the_end_it_names() {
    let frame = r#"[2,"9","StopTransaction",{"transactionId":7,
        "timestamp":"2026-03-10T17:00:00Z","transactionData":[
        {"timestamp":"2026-03-10T16:50:00Z","sampledValue":[{"value":"15000"}]}]}]"#;
    let call = ocpp::read_call::<ocpp::StopTransactionRequest>(frame).unwrap();
    let effect = running().on_stop(call.request.meter_stop, frame);
    assert_eq!(effect, StopTransactionEffect::HoldMeterBackwards);
    let stopped = Session {
        meter_stop: Some(call.request.meter_stop),
        stop_frame: Some(frame.to_owned()),
        ..ended()
    };
    let timeline = read(&stopped, &[]);
    assert_eq!(timeline.ended_at, at("17:00"));
    assert_eq!(timeline.meter_stop, WattHours::from(15_000));
    let found = codes(&timeline.findings);
    assert_eq!(found, [FindingCode::ValueUnreadable, FindingCode::StopMissing]);
}

#[test]
fn a_start_without_a_reading_takes_transaction_begin_and_else_the_first_reading() {
    let begin = reading("16:00", r#"{"value":"1000","context":"Transaction.Begin"}"#);
    let frames = [wh("16:40", 15_000), wh("16:10", 3000), begin];
    let timeline = read(&of(-1, 21_000), &frames);
    assert_eq!(timeline.meter_start, WattHours::from(1000));
    assert_eq!(codes(&timeline.findings), [FindingCode::StartMissing]);
    assert_eq!(read(&of(-1, 21_000), &frames[..2]).meter_start, WattHours::from(3000));
}

#[test]
fn a_begin_that_is_another_count_is_held_and_one_that_is_rounded_is_not() {
    let begin = |wh: &str| {
        let value = format!(r#"{{"value":"{wh}","context":"Transaction.Begin"}}"#);
        [reading("16:00", &value)]
    };
    assert_eq!(found(&ended(), &begin("1000.9")), []);
    assert_eq!(found(&ended(), &begin("990")), [FindingCode::BeginDiffers]);
    assert_eq!(found(&ended(), &begin("5000")), [FindingCode::BeginContradicts]);
    assert_eq!(found(&ended(), &begin("0")), [FindingCode::BeginZero]);
}

#[test]
fn more_than_the_charger_can_deliver_is_not_believed() {
    let frames = [wh("16:10", 9000), wh("16:20", 12_000)];
    let session = of(1000, 21_000);
    let with = |power| {
        let charger = charger(power);
        codes(&timeline(&session, &frames, &[], at("17:00"), Some(&charger)).findings)
    };
    // 8 kWh in eleven minutes are 43.6 kW.
    assert_eq!(with(None), []);
    assert_eq!(with(Some(50_000)), []);
    assert_eq!(with(Some(22_000)), [FindingCode::ImplausibleJump]);
    // The rated power and a tenth.
    assert_eq!(with(Some(39_700)), []);
    assert_eq!(with(Some(39_600)), [FindingCode::ImplausibleJump]);
    // 20 kWh in an hour are too much for 11 kW, however it is spread.
    assert!(with(Some(11_000)).contains(&FindingCode::ImplausibleEnergy));
}

#[test]
fn an_hour_without_a_reading_is_named_and_interpolated() {
    let session = Session { ended_at: Some(at("19:00")), ..of(1000, 21_000) };
    let gap = [wh("16:30", 5000), wh("18:00", 18_000), wh("18:30", 19_000)];
    assert_eq!(found(&session, &gap), [FindingCode::ReadingGap]);
    // Nothing flowed: nothing to place.
    assert_eq!(found(&session, &[wh("16:30", 5000), wh("17:00", 20_500)]), []);
    assert!(!FindingCode::ReadingGap.holds_billing());
}

#[test]
fn readings_that_come_late_twice_or_in_disorder_are_named_and_change_nothing() {
    let tidy = read(&ended(), &[wh("16:10", 5000), wh("16:20", 9000), wh("16:30", 13_000)]);
    let frames = [
        arrived("16:45", wh("16:10", 5000)),
        wh("16:20", 9000),
        arrived("16:46", wh("16:20", 9000)),
        wh("16:30", 13_000),
    ];
    let untidy = read(&ended(), &frames);
    assert_eq!(codes(&untidy.findings), [FindingCode::Repeated, FindingCode::OutOfOrder]);
    assert_eq!(untidy.samples, tidy.samples);
    // What is stored is not in order of arrival.
    let shuffled: Vec<_> = frames.iter().rev().cloned().collect();
    assert_eq!(read(&ended(), &shuffled), untidy);
}

#[test]
fn of_two_readings_of_one_moment_the_lower_one_is_used() {
    let timeline = read(&ended(), &[wh("16:10", 5010), wh("16:10", 5000), wh("16:20", 9000)]);
    assert_eq!(codes(&timeline.findings), [FindingCode::Conflicting]);
    assert_eq!(timeline.samples[0].energy, WattHours::from(5000));
    // One that cannot be does not take the other with it.
    let timeline = read(&ended(), &[wh("16:10", 0), wh("16:10", 5000)]);
    assert_eq!(timeline.samples[0].energy, WattHours::from(5000));
}

#[test]
fn a_clock_that_is_set_back_while_the_register_rises_is_held() {
    let frames = [
        arrived("16:10", wh("16:10", 5000)),
        arrived("16:40", wh("16:40", 13_000)),
        // An hour back.
        arrived("16:50", wh("15:50", 17_000)),
    ];
    assert!(found(&ended(), &frames).contains(&FindingCode::ClockStep));
    assert!(FindingCode::ClockStep.holds_billing());
}

#[test]
fn a_queue_that_is_sent_after_newer_readings_is_no_clock_step() {
    let frames = [
        arrived("16:40", wh("16:40", 13_000)),
        arrived("16:42", wh("16:10", 5000)),
        arrived("16:42", wh("16:20", 9000)),
    ];
    assert_eq!(found(&ended(), &frames), [FindingCode::OutOfOrder]);
}

/// Stopped at 17:00 by its own clock.
fn stopped(received_at: &str) -> Session {
    let stop = r#"[2,"9","StopTransaction",{"transactionId":7,"meterStop":21000,
        "timestamp":"2026-03-10T17:00:00Z"}]"#;
    let end_received_at = Some(at(received_at));
    Session { stop_frame: Some(stop.to_owned()), end_received_at, ..ended() }
}

#[test]
fn a_clock_that_moved_from_start_to_end_is_held_and_one_that_was_offline_is_not() {
    assert_eq!(found(&stopped("17:00"), &[]), []);
    assert_eq!(found(&stopped("22:00"), &[]), [], "queued for five hours");
    // The stop came twenty minutes before its time; the start did not.
    assert_eq!(found(&stopped("16:40"), &[]), [FindingCode::ClockAhead, FindingCode::ClockStep]);
    // Both are twenty minutes ahead: how long it took is right.
    let ahead = Session { received_at: at("15:40"), ..stopped("16:40") };
    assert_eq!(found(&ahead, &[]), [FindingCode::ClockAhead]);
    assert!(!FindingCode::ClockAhead.holds_billing());
}

#[test]
fn a_start_of_1970_or_an_end_in_the_future_is_held() {
    let unset = Session { started_at: DateTime::UNIX_EPOCH, ..stopped("17:00") };
    assert!(found(&unset, &[]).contains(&FindingCode::ClockWrong));
    let future = Session { received_at: at("14:00"), ..stopped("15:00") };
    assert_eq!(found(&future, &[]), [FindingCode::ClockAhead, FindingCode::ClockWrong]);
    // Local time in Amsterdam's winter, sent as UTC: the prices of another hour.
    let zone = Session { received_at: at("15:01"), ..stopped("16:01") };
    assert!(found(&zone, &[]).contains(&FindingCode::ClockWrong));
    // A person has decided when it ended.
    let decided = Session { billed_by_person: true, ..stopped("15:00") };
    assert_eq!(found(&decided, &[]), []);
}

#[test]
fn intervals_are_added_up_where_no_register_is_sent() {
    let interval = |time: &str, wh: u32| {
        let value = format!(r#"{{"value":"{wh}","measurand":"Energy.Active.Import.Interval"}}"#);
        reading(time, &value)
    };
    let frames = [interval("16:20", 6000), interval("16:10", 4000), interval("16:10", 4000)];
    let timeline = read(&ended(), &frames);
    assert_eq!(codes(&timeline.findings), [FindingCode::FromIntervals]);
    let shown: Vec<_> = timeline.samples.iter().map(|s| (s.at, s.energy)).collect();
    assert_eq!(shown, [(at("16:10"), 5000.into()), (at("16:20"), 11_000.into())]);
    // One register is better than any interval.
    let timeline = read(&ended(), &[frames[0].clone(), wh("16:10", 5000)]);
    assert_eq!((timeline.samples.len(), timeline.findings.len()), (1, 0));
}

#[test]
fn power_is_that_of_the_moment_be_it_told_in_another_message() {
    let power = |time, unit| {
        reading(time, &format!(r#"{{"value":"7","measurand":"Power.Active.Import",{unit}}}"#))
    };
    let frames = [
        power("16:10", r#""unit":"W""#),
        power("16:10", r#""unit":"kW""#),
        power("16:10", r#""unit":"W""#),
        wh("16:10", 5000),
        wh("16:20", 9000),
        power("16:30", r#""phase":"L1""#),
        power("16:30", r#""phase":"L1""#),
        reading(
            "16:30",
            r#"{"value":"13000"},
            {"value":"1000","measurand":"Power.Active.Import","phase":"L1"},
            {"value":"1000","measurand":"Power.Active.Import","phase":"L2-N"},
            {"value":"1.5","measurand":"Power.Active.Import","phase":"L3","unit":"kW"}"#,
        ),
    ];
    let timeline = read(&ended(), &frames);
    let watts: Vec<_> =
        timeline.samples.iter().map(|s| s.power.map(|p| p.watts().normalize())).collect();
    assert_eq!(watts, [Some(Decimal::from(7000)), None, Some(Decimal::from(3500))]);
}

#[test]
fn what_a_finding_quotes_can_be_printed() {
    let frames = [reading("16:10", r#"{"value":"5","unit":"\u0000\u202eW"}"#)];
    let timeline = read(&ended(), &frames);
    let details: Vec<_> = timeline.findings.iter().map(|finding| &finding.detail).collect();
    assert_eq!(details, [r"a register in `\0\u{202e}W` was left out"]);
}

#[test]
fn reactive_energy_is_no_energy_to_sell() {
    let frames = [
        reading("16:10", r#"{"value":"5","unit":"kvarh"}"#),
        reading("16:10", r#"{"value":"5000","measurand":"Energy.Reactive.Import.Register"}"#),
    ];
    let timeline = read(&ended(), &frames);
    assert_eq!(codes(&timeline.findings), [FindingCode::UnknownUnit]);
    assert_eq!(timeline.samples, []);
}

fn sample(seconds: i64, wh: i64) -> MeterSample {
    MeterSample { at: at("16:00") + TimeDelta::seconds(seconds), energy: wh.into(), power: None }
}

#[test]
fn the_power_of_a_reading_is_kept_when_it_is_told_again_without() {
    let power = Some(quantities::Power::new(Decimal::from(7000)));
    let ends = Ends { start: (at("16:00"), WattHours::ZERO), stop: None, power_max: None };
    let told = MeterSample { power, ..sample(60, 100) };
    assert_eq!(settled(&[told, sample(60, 100)], &ends).0, [told]);
    assert_eq!(settled(&[sample(60, 100), told], &ends).0, [told]);
}

/// Of two readings of one moment only the one that stays says what can come after it: 6,911 Wh in
/// 29 s (a minute added) are more than 167 kW deliver.
#[test]
fn a_reading_is_compared_with_the_one_that_was_kept_before_it() {
    let power_max = Some(quantities::Power::new(Decimal::from(167_000)));
    let ends = Ends { start: (at("16:00"), 1_000.into()), stop: None, power_max };
    let (kept, findings) =
        settled(&[sample(1_893, 9_689), sample(1_864, 5_561), sample(1_864, 2_778)], &ends);
    assert_eq!(kept, [sample(1_864, 2_778)]);
    let noted = codes(&findings.into_sorted());
    assert_eq!(noted, [FindingCode::Conflicting, FindingCode::ImplausibleJump]);
    assert_eq!(settled(&kept, &ends), (kept.clone(), Findings::default()));
}

fn settled(samples: &[MeterSample], ends: &Ends) -> (Vec<MeterSample>, Findings) {
    let mut findings = Findings::default();
    let samples = settle(samples, ends, &mut findings).into_owned();
    (samples, findings)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Any soup: in order, within the registers, and settling again finds nothing.
    #[test]
    fn what_is_settled_is_straight_and_stays_so(
        soup in proptest::collection::vec((-600_i64..4_200, -2_000_i64..30_000), 0..40),
        stop in proptest::option::of(-2_000_i64..30_000),
        power_kw in proptest::option::of(1_i64..400),
    ) {
        let stop = stop.map(|wh| (at("17:00"), WattHours::from(wh)));
        let power_max = power_kw.map(|kw| quantities::Power::new(Decimal::from(kw * 1000)));
        let ends = Ends { start: (at("16:00"), WattHours::from(1000)), stop, power_max };
        let soup: Vec<_> = soup.into_iter().map(|(s, wh)| sample(s, wh)).collect();
        let (straight, _) = settled(&soup, &ends);
        let mut last = ends.start;
        for sample in &straight {
            prop_assert!(sample.at > last.0 && sample.energy >= last.1);
            last = (sample.at, sample.energy);
        }
        if let Some(stop) = stop.filter(|stop| stop.1 >= ends.start.1) {
            prop_assert!(last.0 < stop.0 && last.1 <= stop.1);
        }
        let (again, findings) = settled(&straight, &ends);
        prop_assert_eq!(again, straight);
        prop_assert_eq!(findings, Findings::default());
    }

    /// The order of messages and their number change nothing.
    #[test]
    fn permuted_or_repeated_samples_settle_to_the_same(
        soup in proptest::collection::vec((0_i64..3_600, 0_i64..30_000, any::<bool>()), 1..30),
        turn in any::<prop::sample::Index>(),
    ) {
        let stop = Some((at("17:00"), WattHours::from(21_000)));
        let ends = Ends { start: (at("16:00"), WattHours::from(1000)), stop, power_max: None };
        let power = |told: bool| told.then(|| quantities::Power::new(Decimal::from(7000)));
        let soup: Vec<_> = soup
            .into_iter()
            .map(|(s, wh, told)| MeterSample { power: power(told), ..sample(s, wh) })
            .collect();
        let mut other: Vec<_> = soup.iter().rev().chain(&soup).copied().collect();
        other.rotate_left(turn.index(soup.len()));
        prop_assert_eq!(settled(&soup, &ends), settled(&other, &ends));
    }

    /// However a charger's frames are mixed: the energy is that of the registers, or the session
    /// is held.
    #[test]
    fn no_more_is_billed_than_the_registers_allow(
        readings in proptest::collection::vec((0_u32..24, 0_u32..60, -5_000_i64..60_000), 0..15),
        start in -1_i64..3_000,
        stop in -1_i64..60_000,
    ) {
        let frames: Vec<_> =
            readings.iter().map(|(h, m, e)| wh(&format!("{h:02}:{m:02}"), *e)).collect();
        let timeline = read(&of(start, stop), &frames);
        let is_held = timeline.findings.iter().any(|finding| finding.code.holds_billing());
        let energy = timeline.meter_stop.checked_sub(timeline.meter_start).unwrap();
        prop_assert!(is_held || energy == WattHours::from(stop - start));
        prop_assert!(is_held || start >= 0 && stop >= start);
        let mut last = timeline.meter_start;
        for sample in &timeline.samples {
            prop_assert!(sample.energy >= last);
            last = sample.energy;
        }
        let mut turned = frames.clone();
        turned.reverse();
        prop_assert_eq!(read(&of(start, stop), &turned), timeline);
    }
}
