use ledger::JournalEntry;
use network::{
    HoldRef, PaymentPolicy, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId,
};
use payments::{
    Refusal,
    money::{Card, Forgiven, Outcome, apply, forgive, request},
};
use quantities::{Amount, Currency};
use serde_json::json;
use session::Session;

use super::*;

const TOTAL: i64 = 3_250;

fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::EUR)
}

fn session(payer: &serde_json::Value) -> Session {
    serde_json::from_value(json!({
        "id": "7a113a77-0000-5000-8000-0cb10badcafe",
        "state": "rated",
        "charge_point_id": "CP1",
        "connector_id": 1,
        "transaction_id": 7,
        "site_id": "S1",
        "time_zone": "Europe/Berlin",
        "id_tag": "04A1",
        "driver_id": "driver-1",
        "payer": payer,
        "tariff": { "id": "T1", "version": 1 },
        "jurisdiction": { "per_kwh_allowed": true, "taxes": [] },
        "hold": { "minor": 3000, "currency": "EUR" },
        "placed_hold": null,
        "silent_after_s": 3600,
        "release_wait_s": 3600,
        "started_at": "2026-03-01T12:00:00Z",
        "received_at": "2026-03-01T12:00:01Z",
        "meter_start": "10000",
        "ended_at": "2026-03-01T13:00:00Z",
        "end_received_at": null,
        "meter_stop": "20000",
        "stop_reason": null,
        "released_at": null,
        "start_frame": "[]",
        "stop_frame": null,
    }))
    .unwrap()
}

fn price(minor: i64) -> PricedSession {
    let amount = json!({ "minor": minor, "currency": "EUR" });
    let cost = json!({ "excl_vat": amount, "incl_vat": amount });
    serde_json::from_value(json!({
        "tariff": { "id": "T1", "version": 1 },
        "currency": "EUR",
        "lines": [],
        "segments": [],
        "totals": {
            "total": cost, "fixed": cost, "energy": cost, "time": cost, "parking": cost,
            "reservation": cost,
        },
        "taxes": [],
        "total_energy": "10000",
        "total_time_s": "3600",
        "total_parking_time_s": "0",
        "findings": [],
        "method": { "interpolation": "", "rounding": "" },
    }))
    .unwrap()
}

/// A priced session that a card with a hold of 30.00 EUR pays.
fn file(total: i64, payment: Option<Payment>) -> SessionFile {
    let card = json!({ "kind": "card", "customer": "cus_1", "payment_method": "pm_1" });
    SessionFile {
        session: session(&card),
        meter_values: vec![],
        rated: Some(price(total)),
        payment,
        cdr: None,
        credit_cdr: None,
        journal: vec![],
        decisions: vec![],
        credit_notes: vec![],
        mails: vec![],
    }
}

fn held() -> Payment {
    let card = Card::Saved {
        customer: StripeCustomerId("cus_1".to_owned()),
        payment_method: StripePaymentMethodId("pm_1".to_owned()),
    };
    let hold = HoldRef::plain(StripePaymentIntentId("pi_1".to_owned()), eur(3_000));
    let session_id = file(TOTAL, None).session.id;
    Payment::with_placed_hold(session_id, card, hold, PaymentPolicy::default())
}

fn priced() -> Payment {
    held().with_total(eur(TOTAL)).unwrap()
}

/// After the next step, which Stripe answered with `outcome`.
fn after(payment: Payment, outcome: Outcome) -> Payment {
    let now = file(TOTAL, None).session.started_at;
    let (requested, step) = request(payment, now).unwrap();
    apply(requested, &step, outcome, now).unwrap()
}

fn refused() -> Outcome {
    let decline_code = Some("insufficient_funds".to_owned());
    Outcome::Refused { refusal: Refusal { code: "card_declined".to_owned(), decline_code } }
}

fn charged() -> Outcome {
    Outcome::Charged { payment_intent: StripePaymentIntentId("pi_2".to_owned()) }
}

/// What the driver is mailed, whichever of these events comes.
fn mailed(file: &SessionFile) -> Option<Mailing> {
    let session_id = file.session.id;
    let events = [
        Event::PaymentOwed { session_id, amount: eur(250), code: String::new() },
        Event::PaymentCleared { session_id },
        Event::PaymentWaived { session_id, amount: eur(250) },
    ];
    let said: Vec<_> = events.iter().map(|event| due(event, file)).collect();
    assert!(said.iter().all(|one| *one == said[0]), "the file decides, not the event: {said:?}");
    said[0].clone()
}

#[test]
fn a_receipt_is_mailed_when_all_of_it_is_taken_and_not_before() {
    assert_eq!(mailed(&file(TOTAL, None)), None, "the payment is still to come");
    assert_eq!(mailed(&file(TOTAL, Some(held()))), None, "it has not heard of the price");
    assert_eq!(mailed(&file(TOTAL, Some(priced()))), None);
    let captured = after(priced(), Outcome::Captured { amount: eur(3_000) });
    assert_eq!(mailed(&file(TOTAL, Some(captured.clone()))), None, "2.50 are still to be charged");
    let paid = file(TOTAL, Some(after(captured, charged())));
    assert_eq!(mailed(&paid), Some(Mailing::Receipt));
    let price = paid.rated.clone().unwrap();
    assert_eq!(super::paid(&paid, &price), Paid::Taken(eur(TOTAL)));
}

#[test]
fn what_is_owed_is_mailed_when_the_card_was_refused_and_the_receipt_when_it_is_paid() {
    let owed = after(after(priced(), Outcome::Captured { amount: eur(3_000) }), refused());
    let file_of = |payment: &Payment| file(TOTAL, Some(payment.clone()));
    assert_eq!(mailed(&file_of(&owed)), Some(Mailing::Owed));
    let waived = forgive(owed.clone(), Forgiven::Waived).unwrap();
    assert_eq!(mailed(&file_of(&waived)), Some(Mailing::Receipt), "a credit note goes with it");
    let written_off = forgive(owed, Forgiven::WrittenOff).unwrap();
    assert_eq!(mailed(&file_of(&written_off)), None, "nobody has paid");
}

#[test]
fn a_session_that_costs_nothing_waits_for_no_payment() {
    assert_eq!(mailed(&file(0, None)), Some(Mailing::Receipt));
    assert_eq!(mailed(&file(0, Some(held()))), Some(Mailing::Receipt));
    let unpriced = SessionFile { rated: None, ..file(0, None) };
    assert_eq!(mailed(&unpriced), None);
}

#[test]
fn who_pays_by_invoice_gets_a_receipt_and_who_roams_gets_none() {
    let paid_by = |payer: serde_json::Value| {
        let session = session(&payer);
        mailed(&SessionFile { session, ..file(TOTAL, None) })
    };
    let account = json!({ "kind": "account", "account": "fleet-1", "account_kind": "fleet" });
    assert_eq!(paid_by(account), Some(Mailing::Receipt));
    assert_eq!(paid_by(json!({ "kind": "free" })), Some(Mailing::Receipt));
    let roaming = json!({
        "kind": "roaming", "partner_id": "P1", "token_uid": "04A1", "contract_id": "NL-P1-1",
    });
    assert_eq!(paid_by(roaming), None);
    assert_eq!(paid_by(json!({ "kind": "unknown" })), None);
}

#[test]
fn a_credit_note_is_mailed_when_it_is_issued_whatever_is_paid() {
    let file = file(TOTAL, Some(priced()));
    let at = file.session.started_at;
    let event = Event::CreditNoteIssued {
        session_id: file.session.id,
        key: "d1".to_owned(),
        number: "CN-000001".to_owned(),
        amount: eur(100),
        journal: JournalEntry::capture("capture:pi_1".to_owned(), at, eur(100)).unwrap(),
    };
    assert_eq!(due(&event, &file), Some(Mailing::CreditNote { credits: "d1".to_owned() }));
}

#[test]
fn every_event_of_the_queue_is_known_here() {
    let session_id = file(TOTAL, None).session.id;
    let at = file(TOTAL, None).session.started_at;
    let journal = JournalEntry::capture("capture:pi_1".to_owned(), at, eur(1)).unwrap();
    let payment_intent = StripePaymentIntentId("pi_1".to_owned());
    let amount = eur(1);
    let paid = file(0, None);
    for event in [
        Event::SessionRated { session_id, total: amount, journal: journal.clone() },
        Event::PaymentCaptured { session_id, payment_intent, amount, journal },
    ] {
        assert!(event.queues().contains(&messages::Queue::Receipts), "{}", event.event_type());
        assert_eq!(due(&event, &paid), Some(Mailing::Receipt), "{}", event.event_type());
    }
    let other = Event::SessionStarted { session_id };
    assert!(!other.queues().contains(&messages::Queue::Receipts));
    assert_eq!(due(&other, &paid), None);
}
