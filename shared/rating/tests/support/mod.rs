//! A site, a charger and a session to price at.

#![allow(dead_code, reason = "every test file uses its own part of it")]
#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use chrono_tz::Tz;
use network::{Address, Charger, Jurisdiction, Payer, Site, Tax};
use ocpi::{Cdr, Tariff, TariffElement};
use quantities::{Amount, ConnectorId, Currency, SessionId, TariffRef, TaxPercent, TransactionId};
use rating::{
    Finding, FindingCode, IdleTerms, PricedSession, Rules, TariffVersion, Terms,
    cdr::{CdrInput, build},
};
use session::{Session, SessionState, Timeline};

/// `percent` % VAT.
pub(crate) fn tax(percent: &str) -> Tax {
    let percent = TaxPercent::try_from(percent.parse::<rust_decimal::Decimal>().unwrap());
    Tax { name: "VAT".to_owned(), percent: percent.unwrap(), account_number: None }
}

/// The rules of a site in `zone` with `percent` % VAT.
pub(crate) fn rules(zone: Tz, percent: &str) -> Rules<'static> {
    // A test ends before this matters.
    let taxes: &[Tax] = vec![tax(percent)].leak();
    Rules { taxes: Some(taxes), ..Rules::unknown(zone) }
}

/// A tariff version of `elements` in euros.
pub(crate) fn version(elements: Vec<TariffElement>, idle_grace_s: u32) -> TariffVersion {
    TariffVersion {
        reference: TariffRef { id: "T1".parse().unwrap(), version: 3 },
        tariff: Tariff {
            country_code: "NL".to_owned(),
            party_id: "TWT".to_owned(),
            id: "T1".to_owned(),
            currency: "EUR".to_owned(),
            tariff_type: None,
            tariff_alt_text: vec![],
            tariff_alt_url: None,
            tax_included: None,
            preauthorize_amount: None,
            min_price: None,
            max_price: None,
            elements,
            start_date_time: None,
            end_date_time: None,
            energy_mix: None,
            last_updated: "2026-01-01T00:00:00Z".parse().unwrap(),
        },
        terms: Terms { idle: IdleTerms { grace_s: idle_grace_s, ..IdleTerms::default() } },
    }
}

/// A site with 21 % VAT.
pub(crate) fn site(zone: Tz) -> Site {
    Site {
        id: "S1".parse().unwrap(),
        name: "Kade".to_owned(),
        address: Address {
            street: "Kade 1".to_owned(),
            postal_code: Some("3500 AA".to_owned()),
            city: "Utrecht".to_owned(),
            country: "NLD".to_owned(),
            latitude: "52.090700".to_owned(),
            longitude: "5.121400".to_owned(),
        },
        time_zone: zone,
        currency: Currency::EUR,
        jurisdiction: Jurisdiction::taxed(vec![tax("21")]),
        groups: vec![],
        hold: Amount::new(5000, Currency::EUR),
        hold_rule: None,
        payment: network::PaymentPolicy::default(),
        silent_after_s: 3600,
        release_wait_s: 3600,
    }
}

/// The session that `timeline` is of, at site S1.
pub(crate) fn session_of(timeline: &Timeline) -> Session {
    let charge_point_id = "CP1".parse().unwrap();
    Session {
        id: SessionId::of(&charge_point_id, TransactionId(7)),
        state: SessionState::Ended,
        charge_point_id,
        connector_id: ConnectorId(1),
        transaction_id: TransactionId(7),
        site_id: "S1".parse().unwrap(),
        time_zone: Tz::UTC,
        id_tag: "TAG1".parse().unwrap(),
        driver_id: None,
        route: session::Route::None,
        payer: Payer::Unknown,
        tier: network::Tier::retail(),
        tariff: None,
        jurisdiction: Jurisdiction::taxed(vec![tax("21")]),
        plan: None,
        site_groups: vec![],
        from_app: false,
        hold: Amount::new(5000, Currency::EUR),
        placed_hold: None,
        payment_policy: network::PaymentPolicy::default(),
        silent_after_s: 3600,
        release_wait_s: 3600,
        started_at: timeline.started_at,
        received_at: timeline.started_at,
        meter_start: timeline.meter_start,
        ended_at: Some(timeline.ended_at),
        end_received_at: Some(timeline.ended_at),
        meter_stop: Some(timeline.meter_stop),
        billed_by_person: false,
        stop_reason: Some("EVDisconnected".to_owned()),
        released_at: timeline.released_at,
        start_frame: String::new(),
        stop_frame: None,
    }
}

/// Charger CP1 at site S1.
pub(crate) fn charger() -> Charger {
    Charger {
        id: "CP1".parse().unwrap(),
        site_id: "S1".parse().unwrap(),
        time_zone: Tz::UTC,
        password_hash: String::new(),
        evse_id: "NL*TWT*E1*{connector}".to_owned(),
        power_type: "AC_3_PHASE".to_owned(),
        standard: "IEC_62196_T2".to_owned(),
        max_electric_power: None,
        meter_public_keys: vec![],
    }
}

/// The CDR of a session at charger CP1.
pub(crate) fn cdr_of(
    priced: &PricedSession,
    tariff: &TariffVersion,
    session: &Session,
    site: &Site,
) -> Cdr {
    let now = session.ended_at.unwrap();
    let (country_code, party_id, partner) = ("NL", "TWT", None);
    let charger = &charger();
    build(&CdrInput {
        session,
        priced,
        tariff,
        site,
        charger,
        partner,
        country_code,
        party_id,
        now,
    })
    .unwrap()
}

/// Of the findings those that a CDR with grace or the operator's time has by nature.
pub(crate) fn unbilled_time(priced: &PricedSession) -> Vec<Finding> {
    let by_nature = |finding: &&Finding| finding.code == FindingCode::PeriodWithoutTime;
    priced.findings.iter().filter(by_nature).cloned().collect()
}

/// A CDR that says as little as possible.
pub(crate) fn empty_cdr() -> Cdr {
    let text = r#"{"start_date_time":"2026-03-28T12:00:00Z","end_date_time":"2026-03-28T12:00:00Z",
        "currency":"EUR","charging_periods":[
            {"start_date_time":"2026-03-28T12:00:00Z","dimensions":[]}]}"#;
    ocpi::read::cdr(text).unwrap()
}
