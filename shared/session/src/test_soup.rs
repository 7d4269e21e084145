//! Whatever a charger sends: nothing panics, what is believed is straight, and the energy is that
//! of the registers or the session is held.

use chrono::{DateTime, TimeDelta, Utc};
use network::Charger;
use proptest::{collection::vec, option, prelude::*, sample::select};
use quantities::WattHours;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::{
    Session, Timeline,
    test_readings::{at, ended},
    timeline,
};

/// Values as meters write them, and as they do not.
fn value() -> impl Strategy<Value = String> {
    let number =
        (-10_i64..60_000, 0_u32..4).prop_map(|(n, scale)| Decimal::new(n, scale).to_string());
    let odd = [
        "",
        "n/a",
        "1e3",
        "1e400",
        "-1",
        "79228162514264337593543950335",
        "0.0000000000000000000001",
        "1,5",
        "OCMF|{}|{}",
        "OCMF|",
        "{\"signedMeterData\":\"T0NNRnx7fXx7fQ==\"}",
        "{",
        "ÄÖ|",
        "OCMF|{\"RD\":[{\"TX\":\"B\",\"RV\":1,\"RI\":\"1-b:1.8.0\",\"RU\":\"kWh\"}]}|{\"SD\":\"00\"}",
    ];
    prop_oneof![6 => number, 1 => select(odd.to_vec()).prop_map(str::to_owned)]
}

fn field(
    name: &'static str,
    texts: &'static [&'static str],
) -> impl Strategy<Value = Option<(String, Value)>> {
    option::weighted(0.3, select(texts))
        .prop_map(move |text| text.map(|text| (name.to_owned(), json!(text))))
}

fn sampled_value() -> impl Strategy<Value = Value> {
    let fields = (
        field("context", &["Transaction.Begin", "Transaction.End", "Sample.Clock", "Trigger", "?"]),
        field("format", &["Raw", "SignedData"]),
        field(
            "measurand",
            &[
                "Energy.Active.Import.Register",
                "Energy.Active.Import.Interval",
                "Energy.Reactive.Import.Register",
                "Power.Active.Import",
                "SoC",
            ],
        ),
        field("phase", &["L1", "L2", "L3", "L1-N", "L1-L2", "N"]),
        field("location", &["Outlet", "Inlet", "Cable", "EV", "Body", "?"]),
        field("unit", &["Wh", "kWh", "W", "kW", "kvarh", "MWh", "KWH"]),
    );
    (value(), fields).prop_map(|(value, (context, format, measurand, phase, location, unit))| {
        let mut sampled: Map<String, Value> =
            [context, format, measurand, phase, location, unit].into_iter().flatten().collect();
        sampled.insert("value".to_owned(), json!(value));
        Value::Object(sampled)
    })
}

/// When a message says that its values were read: mostly in the session.
fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    let near = (-40_i64..120).prop_map(|minutes| at("16:00") + TimeDelta::minutes(minutes));
    let far = ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-0001-01-01T00:00:00Z"];
    let far = far.iter().filter_map(|text| text.parse().ok()).collect::<Vec<_>>();
    prop_oneof![20 => near, 1 => select(far)]
}

fn meter_values() -> impl Strategy<Value = Vec<(DateTime<Utc>, String)>> {
    let message =
        (moment(), moment(), vec(sampled_value(), 0..4)).prop_map(|(arrived, at, values)| {
            let frame = json!([2, "1", "MeterValues", {"connectorId": 1, "transactionId": 7,
            "meterValue": [{"timestamp": at.to_rfc3339(), "sampledValue": values}]}]);
            (arrived, frame.to_string())
        });
    vec(message, 0..12)
}

fn charger() -> impl Strategy<Value = Option<Charger>> {
    let key = "3059301306072A8648CE3D020106082A8648CE3D030107034200043AEEB45C392357820A58FDFB\
               0857BD77ADA31585C61C430531DFA53B440AFBFDD95AC887C658EA55260F808F55CA948DF235C2\
               108A0D6DC7D4AB1A5E1A7955BE";
    let keys = select(vec![vec![], vec![key.to_owned()], vec!["?".to_owned()]]);
    let charger = (option::of(0_u32..500_000), keys).prop_map(|(power, keys)| Charger {
        id: "CP1".parse().unwrap(),
        site_id: "S1".parse().unwrap(),
        time_zone: chrono_tz::UTC,
        password_hash: String::new(),
        evse_id: String::new(),
        power_type: "AC_3_PHASE".to_owned(),
        standard: "IEC_62196_T2".to_owned(),
        max_electric_power: power,
        meter_public_keys: keys,
    });
    option::of(charger)
}

fn session() -> impl Strategy<Value = Session> {
    let register = prop_oneof![
        8 => -2_i64..60_000,
        1 => 99_990_000_i64..100_000_000,
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
    ];
    let stop = option::of((register.clone(), moment()));
    (register, stop, any::<bool>()).prop_map(|(start, stop, by_charger)| {
        let frame = r#"[2,"9","StopTransaction",{"transactionId":7,"meterStop":1,
            "timestamp":"2026-03-10T17:00:00Z"}]"#;
        Session {
            meter_start: WattHours::from(start),
            meter_stop: stop.map(|(wh, _)| WattHours::from(wh)),
            ended_at: stop.map(|(_, at)| at),
            end_received_at: stop.map(|(_, at)| at),
            stop_frame: stop.filter(|_| by_charger).map(|_| frame.to_owned()),
            ..ended()
        }
    })
}

fn read(
    session: &Session,
    frames: &[(DateTime<Utc>, String)],
    charger: Option<&Charger>,
) -> Timeline {
    timeline(session, frames, &[], at("16:30"), charger)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_soup_of_messages_is_read_straight_or_held(
        session in session(), frames in meter_values(), charger in charger(),
    ) {
        let timeline = read(&session, &frames, charger.as_ref());
        let is_held = timeline.findings.iter().any(|finding| finding.code.holds_billing());
        let mut last = (timeline.started_at, timeline.meter_start);
        for sample in &timeline.samples {
            prop_assert!(sample.at > last.0 && sample.energy >= last.1);
            last = (sample.at, sample.energy);
        }
        if !is_held {
            prop_assert!(timeline.meter_start == session.meter_start);
            prop_assert!(last.1 <= timeline.meter_stop && last.0 <= timeline.ended_at);
            // Only across the end of a register's digits is more billed than the difference.
            let energy = timeline.meter_stop.checked_sub(timeline.meter_start).unwrap();
            prop_assert!(energy >= WattHours::ZERO);
            if let Some(stop) = session.meter_stop.filter(|stop| *stop >= session.meter_start) {
                prop_assert_eq!(energy, stop.checked_sub(session.meter_start).unwrap());
            }
        }
        let written = serde_json::to_string(&timeline).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timeline>(&written).unwrap(), timeline);
    }

    #[test]
    fn the_order_in_which_messages_are_stored_changes_nothing(
        session in session(), frames in meter_values(), charger in charger(),
        turn in any::<prop::sample::Index>(),
    ) {
        let mut turned = frames.clone();
        turned.reverse();
        if !turned.is_empty() {
            turned.rotate_left(turn.index(frames.len()));
        }
        let charger = charger.as_ref();
        prop_assert_eq!(read(&session, &frames, charger), read(&session, &turned, charger));
    }

    /// Told twice is told once, but for the note of it.
    #[test]
    fn messages_that_come_again_change_nothing(
        session in session(), frames in meter_values(), charger in charger(),
    ) {
        let twice: Vec<_> = frames.iter().chain(&frames).cloned().collect();
        let once = read(&session, &frames, charger.as_ref());
        let again = read(&session, &twice, charger.as_ref());
        prop_assert_eq!(&again.samples, &once.samples);
        prop_assert_eq!((again.meter_start, again.meter_stop), (once.meter_start, once.meter_stop));
        prop_assert_eq!((again.ended_at, &again.signed), (once.ended_at, &once.signed));
        let holds = |timeline: &Timeline| -> Vec<_> {
            let codes = timeline.findings.iter().map(|finding| finding.code);
            codes.filter(|code| code.holds_billing()).collect()
        };
        prop_assert_eq!(holds(&again), holds(&once));
    }
}
