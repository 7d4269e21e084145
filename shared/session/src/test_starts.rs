//! What bars a start, by which clock, and what a charger hears that asks again.

use chrono::{DateTime, TimeDelta, Utc};
use network::{Entitlement, Offer, Offers, Payer, Site};
use ocpp::{AuthorizationStatus, IdTagInfo, StartTransactionRequest};
use quantities::{ChargePointId, ConnectorId, TariffRef, WattHours};
use serde_json::{Value, json};

use crate::{Route, Session, Start};

/// When the charger connected; everything else is told in minutes after that.
fn at(minutes: i64) -> DateTime<Utc> {
    let connected: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    connected + TimeDelta::minutes(minutes)
}

fn site() -> Site {
    let site = json!({
        "id": "S1", "name": "S1", "time_zone": "Europe/Amsterdam", "currency": "EUR",
        "address": {
            "street": "Herengracht 1", "postal_code": "1015 BA", "city": "Amsterdam",
            "country": "NLD", "latitude": "52.378000", "longitude": "4.889900",
        },
        "jurisdiction": { "per_kwh_allowed": true, "taxes": [] },
        "hold": { "minor": 3000, "currency": "EUR" },
        "silent_after_s": 3600, "release_wait_s": 86400,
    });
    serde_json::from_value(site).unwrap()
}

fn offers() -> Offers {
    let mut offers = Offers::default();
    let tariff = TariffRef { id: "T1".parse().unwrap(), version: 1 };
    let from = "2026-01-01T00:00:00Z".parse().unwrap();
    offers.add("retail".parse().unwrap(), Offer { from, tariff });
    offers
}

fn tag(payer: &Value, more: &Value) -> Entitlement {
    let mut row =
        json!({ "id_tag": "04A1", "status": "Accepted", "tier": "retail", "payer": payer });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

fn card() -> Value {
    json!({ "kind": "card", "customer": "cus_1", "payment_method": "pm_1" })
}

/// A tag whose driver has owed since `minutes`.
fn debtor(minutes: i64) -> Entitlement {
    let owed = json!({
        "session_id": "0190f3a0-0000-7000-8000-000000000001",
        "amount": { "minor": 250, "currency": "EUR" }, "since": at(minutes),
    });
    tag(&card(), &json!({ "owes": [owed] }))
}

/// Opens a session with `tag`, dated and received at these minutes.
fn open(tag: &Entitlement, dated: i64, received: i64) -> (Session, IdTagInfo) {
    let request = StartTransactionRequest {
        connector_id: ConnectorId(1),
        id_tag: tag.id_tag.clone(),
        meter_start: WattHours::from(1_000),
        timestamp: at(dated),
        reservation_id: None,
    };
    let charge_point_id: ChargePointId = "CP1".parse().unwrap();
    let start = Start {
        charge_point_id: &charge_point_id,
        time_zone: chrono_tz::Europe::Amsterdam,
        request: &request,
        frame: "[]",
        connected_at: at(0),
        received_at: at(received),
        site: &site(),
        offers: &offers(),
        entitlement: Some(tag),
    };
    start.open(0)
}

fn status(tag: &Entitlement, dated: i64, received: i64) -> AuthorizationStatus {
    open(tag, dated, received).1.status
}

#[test]
fn a_start_that_was_queued_offline_is_judged_by_what_was_owed_then() {
    use AuthorizationStatus::{Accepted, Blocked};
    let debtor = debtor(-30);
    assert_eq!(status(&debtor, -31, 1), Accepted, "the debt is younger than the start");
    assert_eq!(status(&debtor, -29, 1), Blocked, "the debt is older than the start");
    let (session, _) = open(&debtor, -31, 10);
    assert_eq!((session.route, session.started_at), (Route::SavedCard, at(-31)));
}

#[test]
fn no_timestamp_leads_a_start_that_was_not_queued_past_a_debt() {
    use AuthorizationStatus::{Accepted, Blocked};
    let debtor = debtor(30);
    // Connected all the while: it would have been told when it happened.
    assert_eq!(status(&debtor, 29, 31), Blocked);
    // Dated before the connection, and told long after it: a clock that is behind.
    assert_eq!(status(&debtor, -1, 31), Blocked);
    assert_eq!(status(&self::debtor(5), -1, 10), Accepted, "told within the time for a queue");
    assert_eq!(status(&self::debtor(5), -1, 11), Blocked);
    assert_eq!(status(&debtor, 29, 29), Accepted, "nothing is owed yet");
    // Nor does a clock that is ahead bar anybody before their debt.
    assert_eq!(status(&debtor, 90, 29), Accepted);
    let (session, _) = open(&debtor, 29, 31);
    assert_eq!((session.route, session.payer), (Route::None, Payer::Unknown));
}

#[test]
fn what_somebody_else_pays_for_is_not_barred() {
    let fleet = json!({ "kind": "account", "account": "fleet-17", "account_kind": "fleet" });
    let barred = debtor(-30);
    let of_fleet = Entitlement { owes: barred.owes, ..tag(&fleet, &json!({})) };
    assert_eq!(status(&of_fleet, 10, 10), AuthorizationStatus::Accepted);
}

#[test]
fn a_start_told_again_hears_what_it_heard_first() {
    let paying = tag(&card(), &json!({}));
    let (standing, first) = open(&paying, 10, 10);
    // A debt of another session came between: this one began before it, and goes on.
    let (again, now) = open(&debtor(11), 10, 12);
    assert_eq!(now.status, AuthorizationStatus::Blocked);
    assert_eq!(Start::told_before(&standing, &again, now), first);
    // The other way round: what was refused is not accepted because the debt was paid meanwhile.
    let (standing, first) = open(&debtor(5), 10, 10);
    let (again, now) = open(&paying, 10, 12);
    assert_eq!(now.status, AuthorizationStatus::Accepted);
    assert_eq!(Start::told_before(&standing, &again, now).status, first.status);
    // A tag whose payer nobody knows is accepted, and stays so.
    let unknown = tag(&json!({ "kind": "unknown" }), &json!({}));
    let (standing, first) = open(&unknown, 10, 10);
    let (again, now) = open(&unknown, 10, 12);
    assert_eq!(Start::told_before(&standing, &again, now), first);
}

#[test]
fn a_start_from_the_app_is_one_whoever_pays_and_holds_what_it_was_to_hold() {
    let start = |amount: Value| {
        json!({ "app_start": {
            "charge_point_id": "CP1", "connector_id": 1,
            "tariff": { "id": "SHOWN", "version": 1 }, "amount": amount,
        } })
    };
    let (session, _) = open(&tag(&json!({ "kind": "free" }), &start(Value::Null)), 10, 10);
    assert_eq!((session.route, session.from_app), (Route::Free, true));
    assert_eq!((session.hold, session.placed_hold), (site().hold, None));
    let held = json!({ "minor": 1053, "currency": "EUR" });
    let (session, _) = open(&tag(&card(), &start(held)), 10, 10);
    assert_eq!((session.route, session.from_app), (Route::AppWallet, true));
    assert_eq!(session.hold.minor, 1053);
    assert!(!open(&tag(&card(), &json!({})), 10, 10).0.from_app);
}
