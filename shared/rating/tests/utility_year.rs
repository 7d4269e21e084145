//! A year of a real utility's time-of-use prices: `events/rating/utility-ontario`.
//!
//! Its schedule is compiled to a tariff; a session for each hour of the year, and sessions that
//! were priced by hand, are then priced with it. `UPDATE_EXPECT=1` rewrites `tariff.json` only.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use chrono::{
    DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use network::Tax;
use ocpi::{Price, Tariff};
use plans::schedule::Span;
use quantities::{Currency, Money, Rounding, TariffRef, WattHours};
use rating::{FindingCode, Place, PricedSession, Pricer, Rules, TariffVersion, Terms};
use rust_decimal::Decimal;
use serde::Deserialize;
use session::Timeline;

const ZONE: Tz = Tz::America__Toronto;

/// The holidays of the year that are not on a weekend, from the published lists.
const HOLIDAYS: [&str; 10] = [
    "2022-12-26",
    "2022-12-27",
    "2023-01-02",
    "2023-02-20",
    "2023-04-07",
    "2023-05-22",
    "2023-07-03",
    "2023-08-07",
    "2023-09-04",
    "2023-10-09",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    from: DateTime<FixedOffset>,
    to: DateTime<FixedOffset>,
    kwh: i64,
    working: String,
    stated: Price,
}

fn file(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/rating/utility-ontario");
    [folder, name].iter().collect()
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The tariff of the year, made from the schedule.
fn compiled() -> Tariff {
    let schedule = plans::read::schedule(&text("schedule.json")).unwrap();
    assert_eq!(schedule.validate(), []);
    let around = ocpi::read::tariff(&text("around.json")).unwrap();
    let span = Span { from: date("2022-11-01"), until: date("2023-11-01") };
    schedule.compile(span, ZONE, &around).unwrap()
}

fn version() -> TariffVersion {
    let tariff = compiled();
    let reference = TariffRef { id: tariff.id.parse().unwrap(), version: 1 };
    TariffVersion { reference, tariff, terms: Terms::default() }
}

fn pricer() -> Pricer {
    Pricer::new(&version()).unwrap()
}

/// A session of even power.
fn session(from: DateTime<Utc>, to: DateTime<Utc>, wh: i64) -> Timeline {
    Timeline {
        started_at: from,
        ended_at: to,
        meter_stop: WattHours::from(wh),
        ..Timeline::default()
    }
}

fn price(pricer: &Pricer, timeline: &Timeline) -> PricedSession {
    let percent = Decimal::from(13).try_into().unwrap();
    let taxes = [Tax { name: "HST".to_owned(), percent, account_number: None }];
    let taxes = Some(taxes.as_slice());
    let rules =
        Rules { zone: ZONE, taxes, rounding: Rounding::default(), plan: None, is_free: false };
    pricer.rate(timeline, &rules).unwrap()
}

/// What a kWh is sold at when the clocks show `local`, in hundredths of a cent: 0.074, 0.102 and
/// 0.151 with a quarter and 0.10 on top.
fn sold_at(local: NaiveDateTime, holidays: &[NaiveDate]) -> i64 {
    let (off_peak, mid_peak, on_peak) = (1925, 2275, 2888);
    let weekend = matches!(local.weekday(), chrono::Weekday::Sat | chrono::Weekday::Sun);
    let holiday = holidays.contains(&local.date());
    let summer = (5..=10).contains(&local.month());
    match local.hour() {
        _ if weekend || holiday => off_peak,
        7..11 | 17..19 => {
            if summer {
                mid_peak
            } else {
                on_peak
            }
        }
        11..17 => {
            if summer {
                on_peak
            } else {
                mid_peak
            }
        }
        _ => off_peak,
    }
}

#[test]
fn the_tariff_is_the_one_that_was_read_by_a_person() {
    let tariff = serde_json::to_string_pretty(&compiled()).unwrap() + "\n";
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(file("tariff.json"), &tariff).unwrap();
    }
    assert_eq!(tariff, text("tariff.json"));
    // Nothing in it is unreachable or missing, and what is there for sessions that are still running
    // when it is no longer valid (winter's hours from 1 November on) is not remarked on.
    let place = Place { zone: Some(ZONE), ..Place::anywhere() };
    assert_eq!(version().validate(&place), []);
    let (from, until) = (compiled().start_date_time.unwrap(), compiled().end_date_time.unwrap());
    assert_eq!((until - from).num_hours(), 8760);
}

#[test]
fn every_hour_of_the_year_costs_what_its_minutes_cost() {
    let tariff = pricer();
    let midnight = |text| ZONE.from_local_datetime(&date(text).and_hms_opt(0, 0, 0).unwrap());
    let [from, until] = ["2022-11-01", "2023-11-01"].map(|day| midnight(day).unwrap().to_utc());
    let holidays = HOLIDAYS.map(date);
    let mut hours_of: BTreeMap<NaiveDate, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for hour in 0..(until - from).num_hours() {
        let of_year = from + TimeDelta::hours(hour);
        *hours_of.entry(of_year.with_timezone(&ZONE).date_naive()).or_default() += 1;
        // At another minute of every hour, so that prices change in the middle of sessions.
        let start = of_year + TimeDelta::minutes(hour * 37 % 60);
        let priced = price(&tariff, &session(start, start + TimeDelta::hours(1), 7200));
        // 120 Wh a minute, and 1.00 for the start.
        let minutes = (0..60).map(|minute| start + TimeDelta::minutes(minute));
        let sum: i64 =
            minutes.map(|at| sold_at(at.with_timezone(&ZONE).naive_local(), &holidays)).sum();
        let net = Decimal::new(sum * 12, 6) + Decimal::ONE;
        let amount = |value| Money::new(value, "CAD".parse::<Currency>().unwrap());
        let expected = [net, net * Decimal::new(113, 2)]
            .map(|value| amount(value).round(Rounding::default().mode).unwrap());
        if [priced.net(), priced.gross()] != expected {
            wrong.push(format!("{start}: {} for {}", priced.net(), expected[0]));
        }
        assert!(priced.findings.iter().all(|finding| finding.code != FindingCode::TariffNotValid));
    }
    assert!(wrong.is_empty(), "{} hours, among them {:?}", wrong.len(), wrong.first());
    assert_eq!(hours_of.values().sum::<u32>(), 8760);
    let unusual: Vec<_> = hours_of.iter().filter(|(_, hours)| **hours != 24).collect();
    assert_eq!(unusual, [(&date("2022-11-06"), &25), (&date("2023-03-12"), &23)]);
}

#[test]
fn sessions_that_were_priced_by_hand_cost_the_same_here() {
    let tariff = pricer();
    let cases: Vec<Case> = serde_json::from_str(&text("cases.json")).unwrap();
    assert!(!cases.is_empty(), "no cases: this test proved nothing");
    for Case { about, from, to, kwh, working, stated } in cases {
        for at in [from, to] {
            let local = at.with_timezone(&ZONE);
            assert_eq!(local.naive_local(), at.naive_local(), "{about}: {at} is not local time");
        }
        let priced = price(&tariff, &session(from.to_utc(), to.to_utc(), kwh * 1000));
        let ours = [priced.net(), priced.gross()].map(|amount| amount.to_money().value);
        let stated = [stated.excl_vat, stated.incl_vat.unwrap()];
        assert_eq!(ours, stated, "{about}: {working}");
    }
}
