//! The evidence of a dispute, built from the session: what was sold at which price that the driver
//! was shown, the receipt, what the meter said and when, and the charger's own messages.
//!
//! Everything is text: of Stripe's fields for files (`receipt`, `service_documentation`) none takes
//! it, and a bank reads the text as well.
//! <https://docs.stripe.com/api/disputes/evidence_object>

use std::{collections::BTreeMap, fmt::Write as _};

use chrono::{DateTime, Utc};
use ocpi::TariffElement;
use rating::TariffVersion;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session::{Route, Session, Timeline};

use crate::{
    Receipt,
    words::{moment, short_rate},
};

/// The most characters that Stripe takes in one field.
pub const FIELD_MAX: usize = 20_000;
/// The most characters that Stripe takes in all fields together.
pub const TOTAL_MAX: usize = 150_000;

/// What is known of a disputed session.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Its receipt.
    pub receipt: &'a Receipt,
    /// The tariff version that the driver was shown.
    pub tariff: &'a TariffVersion,
    /// What happened at the connector.
    pub timeline: &'a Timeline,
    /// MeterValues messages as they came, each with its time of arrival.
    pub meter_values: &'a [(DateTime<Utc>, String)],
}

/// Fields of Stripe's `dispute.evidence`, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Evidence(pub BTreeMap<String, String>);

/// The evidence of `case`: at most [`FIELD_MAX`] characters a field and, with four fields, less
/// than [`TOTAL_MAX`] in all. What is too long loses its middle, and says so.
///
/// Tags are left out of the charger's messages: they open accounts.
#[must_use]
pub fn evidence(case: &Case<'_>) -> Evidence {
    let session = &case.receipt.session;
    let sold_on = session.started_at.with_timezone(&session.time_zone).format("%Y-%m-%d");
    let fields = [
        ("product_description", fit(&description(case))),
        ("service_date", sold_on.to_string()),
        ("access_activity_log", fit(&activity(case))),
        ("uncategorized_text", fit(&frames(case))),
    ];
    Evidence(fields.map(|(name, text)| (name.to_owned(), text)).into())
}

/// What was sold, the price that was shown, the receipt.
fn description(case: &Case<'_>) -> Vec<String> {
    let Receipt { session, site, price, .. } = case.receipt;
    let mut lines = vec![
        format!(
            "Electricity for an electric vehicle: {} at {}, {}, {}.",
            price.total_energy, site.name, site.address.street, site.address.city
        ),
        "It was delivered into the vehicle at the charger, on the spot; nothing was shipped."
            .to_owned(),
    ];
    lines.push(begun(session).to_owned());
    lines.push(String::new());
    let (id, version) = (&price.tariff.id, price.tariff.version);
    lines.push(format!("PRICE SHOWN AT THE START (tariff {id}, version {version})"));
    let including = if price.rates_include_tax { "taxes included" } else { "without taxes" };
    lines.push(format!("In {}, {including}; per kWh, per hour, or once.", price.currency));
    lines.extend(case.tariff.tariff.elements.iter().flat_map(element));
    lines.push(String::new());
    lines.push("RECEIPT".to_owned());
    lines.extend(case.receipt.text().lines().map(str::to_owned));
    lines
}

/// How the driver began the session, and agreed to its price.
fn begun(session: &Session) -> &'static str {
    let is_held = session.placed_hold.is_some();
    match session.route {
        Route::AppWallet if is_held => {
            "The driver started the session in the app, which shows the price and asks to confirm \
             it; the card was authorized before the charger started."
        }
        Route::AppWallet => {
            "The driver started the session in the app, which shows the price and asks to confirm it."
        }
        Route::Reader => {
            "The driver presented the card itself to the payment terminal at the charger, which \
             authorized it."
        }
        Route::SavedCard
        | Route::Fleet
        | Route::Contract
        | Route::Roaming
        | Route::Free
        | Route::None => {
            "The driver started the session at the charger with their own card or tag, under a \
             contract that names the prices."
        }
    }
}

/// The prices of a tariff element, each with what restricts it.
fn element(element: &TariffElement) -> Vec<String> {
    let restrictions = element.restrictions.as_ref();
    let restrictions = restrictions.and_then(|only| serde_json::to_string(only).ok());
    let only = restrictions.map(|only| format!(", only {only}")).unwrap_or_default();
    let components = element.price_components.iter();
    components.map(|c| format!("{:?}: {}{only}", c.dimension, short_rate(c.price))).collect()
}

/// What the meter said, what the connector did, and what was doubtful about it.
fn activity(case: &Case<'_>) -> Vec<String> {
    let Receipt { session, .. } = case.receipt;
    let at = |moment: DateTime<Utc>| self::moment(moment, session.time_zone);
    let timeline = case.timeline;
    let mut told: Vec<(DateTime<Utc>, String)> = Vec::new();
    let started =
        format!("transaction {} started, meter {}", session.transaction_id, timeline.meter_start);
    told.push((timeline.started_at, started));
    told.extend(timeline.samples.iter().map(|sample| {
        let power = sample.power.map(|power| format!(", {} W", power.watts())).unwrap_or_default();
        (sample.at, format!("meter {}{power}", sample.energy))
    }));
    told.extend(
        timeline
            .statuses
            .iter()
            .map(|change| (change.at, format!("connector {:?}", change.status))),
    );
    told.push((timeline.ended_at, format!("transaction ended, meter {}", timeline.meter_stop)));
    told.sort_by_key(|(moment, _)| *moment);
    let mut lines = vec![format!(
        "Charger {}, connector {}, authenticated by its password; times by its clock.",
        session.charge_point_id, session.connector_id
    )];
    lines.extend(told.into_iter().map(|(moment, what)| format!("{}  {what}", at(moment))));
    lines.push(String::new());
    let findings = &timeline.findings;
    if findings.is_empty() {
        lines.push("No reading was doubtful.".to_owned());
    }
    lines.extend(findings.iter().map(|finding| format!("{}: {}", finding.code, finding.detail)));
    lines
}

/// The charger's messages, as they came.
fn frames(case: &Case<'_>) -> Vec<String> {
    let session = &case.receipt.session;
    let mut lines = vec![
        "Messages of the charger as they came (OCPP 1.6), each with the time of its arrival in UTC. \
         Tags are withheld: they open accounts."
            .to_owned(),
    ];
    let mut line = |at: DateTime<Utc>, frame: &str| {
        lines.push(format!("{}  {}", at.format("%Y-%m-%dT%H:%M:%SZ"), without_tags(frame)));
    };
    line(session.received_at, &session.start_frame);
    case.meter_values.iter().for_each(|(at, frame)| line(*at, frame));
    if let Some((at, frame)) = session.end_received_at.zip(session.stop_frame.as_deref()) {
        line(at, frame);
    }
    lines
}

/// The frame with every value of a tag withheld: whoever stops a session may do so with another
/// tag than it was started with. What is no JSON cannot be told apart, and is withheld as a whole.
fn without_tags(frame: &str) -> String {
    match serde_json::from_str(frame) {
        Ok(mut message) => {
            withhold(&mut message);
            message.to_string()
        }
        Err(_) => "[a message that cannot be read]".to_owned(),
    }
}

/// The fields of OCPP 1.6 that hold a tag.
const TAG_FIELDS: [&str; 2] = ["idtag", "parentidtag"];

fn withhold(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if TAG_FIELDS.contains(&name.to_ascii_lowercase().as_str()) {
                    *value = "…".into();
                } else {
                    withhold(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(withhold),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The lines as one text of at most [`FIELD_MAX`] characters: as many of the first and of the last
/// as fit, for beginning and end say most.
fn fit(lines: &[String]) -> String {
    let length = |line: &String| line.chars().count() + 1;
    let whole: usize = lines.iter().map(length).sum();
    if whole <= FIELD_MAX {
        return lines.join("\n");
    }
    // Room for the sentence about what is missing.
    let half = (FIELD_MAX - 100) / 2;
    let up_to_half = |lines: &mut dyn Iterator<Item = &String>| {
        let mut used = 0;
        lines
            .take_while(|line| {
                used += length(line);
                used <= half
            })
            .count()
    };
    let first = up_to_half(&mut lines.iter());
    let last = up_to_half(&mut lines.iter().rev()).min(lines.len() - first);
    let mut text = String::new();
    for line in lines.iter().take(first) {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "[{} lines left out here]", lines.len() - first - last);
    let tail: Vec<&str> = lines.iter().skip(lines.len() - last).map(String::as_str).collect();
    text + &tail.join("\n")
}

#[cfg(test)]
mod tests {
    use quantities::WattHours;
    use session::MeterSample;

    use super::*;
    use crate::test_support::{at, receipt, tariff};

    fn packet(samples: u32) -> (Evidence, Receipt) {
        let receipt = receipt();
        let samples = (0..samples).map(|minute| MeterSample {
            at: at(i64::from(minute)),
            energy: WattHours::from(i64::from(minute) * 100),
            power: None,
        });
        let timeline = Timeline {
            started_at: receipt.session.started_at,
            ended_at: at(30),
            samples: samples.collect(),
            ..Timeline::default()
        };
        let frame = r#"[2,"1","MeterValues",{"connectorId":1,"idTag":"04a1"}]"#.to_owned();
        let frames: Vec<_> = timeline.samples.iter().map(|s| (s.at, frame.clone())).collect();
        let (tariff, meter_values) = (tariff(), frames.as_slice());
        let case = Case { receipt: &receipt, tariff: &tariff, timeline: &timeline, meter_values };
        (evidence(&case), receipt)
    }

    #[test]
    fn the_evidence_has_the_price_shown_the_receipt_the_samples_and_the_frames() {
        let (Evidence(fields), receipt) = packet(30);
        let description = &fields["product_description"];
        assert!(description.contains("PRICE SHOWN AT THE START (tariff AMS-RETAIL, version 3)"));
        assert!(description.contains("Energy: 0.4"), "{description}");
        assert!(description.contains(&receipt.text().lines().last().unwrap().to_owned()));
        assert!(description.contains("Total: 6.79 EUR"), "{description}");
        assert_eq!(fields["service_date"], "2026-03-01");
        assert!(fields["access_activity_log"].contains("meter 2.9 kWh"), "{fields:?}");
        let frames = &fields["uncategorized_text"];
        assert_eq!(frames.matches("MeterValues").count(), 30);
        assert!(!frames.to_lowercase().contains("04a1"), "the tag is in {frames}");
        assert!(frames.contains(r#""idTag":"…""#));
    }

    #[test]
    fn no_tag_is_in_a_message_whoever_stops_and_however_it_is_written() {
        let stop = r#"[2,"1","StopTransaction",{"idTag":"B\"2","meterStop":142,"transactionData":[
            {"sampledValue":[{"value":"42.10"}]}],"idTagInfo":{"parentIdTag":"42"}}]"#;
        let told = r#"[2,"1","StopTransaction",{"idTag":"…","meterStop":142,"transactionData":[{"sampledValue":[{"value":"42.10"}]}],"idTagInfo":{"parentIdTag":"…"}}]"#;
        let same = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(same(&without_tags(stop)), same(told));
        assert!(!without_tags(r#"[2,"1","StopTransaction",{"idTag":"04A1""#).contains("04A1"));
    }

    #[test]
    fn who_paid_at_a_reader_did_not_start_it_in_the_app() {
        let mut session = receipt().session;
        session.route = Route::Reader;
        assert!(begun(&session).contains("payment terminal"));
        session.route = Route::AppWallet;
        assert!(begun(&session).contains("in the app"));
    }

    #[test]
    fn what_is_too_long_for_stripe_loses_its_middle_and_says_so() {
        let (Evidence(fields), _) = packet(1_000);
        for (name, text) in &fields {
            assert!(text.chars().count() <= FIELD_MAX, "{name}");
        }
        assert!(fields.values().map(|text| text.chars().count()).sum::<usize>() <= TOTAL_MAX);
        let log = &fields["access_activity_log"];
        assert!(log.contains("lines left out here]"));
        assert!(log.contains("transaction 7 started"), "the beginning stays");
        assert!(log.contains("No reading was doubtful."), "the end stays");
    }
}
