//! From a priced session to a CDR.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use network::{Charger, Payer, RoamingPartner, Site};
use ocpi::{
    AuthMethod, Cdr, CdrDimension, CdrDimensionType, CdrLocation, CdrToken, ChargingPeriod,
    GeoLocation, Price, SignedData, SignedValue, Tariff, TaxIncluded, TokenType,
};
use quantities::MoneyError;
use rust_decimal::Decimal;
use session::{Route, Session, SignedReadings, SignedRecord};

use crate::{Cost, Item, PricedSession, RatingError, Segment, SegmentKind, TariffVersion};

/// What OCPI writes where there is nothing to say (2.2.1, `transport_and_format`).
const NOT_AVAILABLE: &str = "#NA";

/// All that a CDR is made from.
#[derive(Debug, Clone, Copy)]
pub struct CdrInput<'a> {
    /// The session.
    pub session: &'a Session,
    /// Its price.
    pub priced: &'a PricedSession,
    /// The tariff version it was priced with.
    pub tariff: &'a TariffVersion,
    /// Where it took place.
    pub site: &'a Site,
    /// At which charger.
    pub charger: &'a Charger,
    /// The eMSP, when the payer is a roaming one.
    pub partner: Option<&'a RoamingPartner>,
    /// Our own OCPI `country_code`.
    pub country_code: &'a str,
    /// Our own OCPI `party_id`.
    pub party_id: &'a str,
    /// When the CDR is made.
    pub now: DateTime<Utc>,
}

/// The OCPI 2.2.1 CDR of a priced session. It prices to the same totals with [`super::price`]: it
/// has a period for every segment, and its tariff states the tax that applied. Time that is not
/// billed (grace, quiet hours, the charger's own faults) is in periods that state no time.
///
/// What a plan or the cap on idle fees takes off is in no OCPI tariff. Its totals are what is paid,
/// each dimension's cost less what is taken off it, so that they add up to `total_cost` as far as
/// no minimum or maximum price changes that; `remark` says how much, and only there does the CDR
/// differ from what its tariff asks.
///
/// # Errors
///
/// [`RatingError`] when a quantity does not fit.
pub fn build(input: &CdrInput<'_>) -> Result<Cdr, RatingError> {
    let CdrInput { session, priced, .. } = input;
    let end = priced.segments.last().map_or(session.started_at, |segment| segment.end);
    let start = priced.segments.first().map_or(session.started_at, |segment| segment.start);
    let tariff = restated(input)?;
    let id = &tariff.id;
    let totals = &priced.totals;
    let cost = |items: &[Item], cost: Cost| {
        let billed = priced.lines.iter().any(|line| items.contains(&line.item));
        billed.then(|| Price::from(cost))
    };
    Ok(Cdr {
        country_code: input.country_code.to_owned(),
        party_id: input.party_id.to_owned(),
        id: session.id.to_string(),
        start_date_time: start,
        end_date_time: end,
        session_id: Some(session.id.to_string()),
        cdr_token: token(input),
        auth_method: if is_from_app(session) { AuthMethod::Command } else { AuthMethod::Whitelist },
        authorization_reference: None,
        cdr_location: location(input),
        meter_id: None,
        currency: priced.currency.code().to_owned(),
        charging_periods: priced.segments.iter().map(|segment| period(segment, id)).collect(),
        tariffs: vec![tariff],
        signed_data: priced.signed.as_ref().and_then(signed_data),
        total_cost: totals.total.into(),
        total_fixed_cost: cost(&[Item::Flat], totals.fixed),
        total_energy: priced.total_energy.kwh(),
        total_energy_cost: cost(&[Item::Energy], totals.energy),
        total_time: hours(priced.total_time_s),
        total_time_cost: cost(&[Item::Time], totals.time),
        total_parking_time: Some(hours(priced.total_parking_time_s)),
        total_parking_cost: cost(&[Item::ParkingTime], totals.parking),
        total_reservation_cost: cost(
            &[Item::ReservationFlat, Item::ReservationTime],
            totals.reservation,
        ),
        remark: remark(input)?,
        invoice_reference_id: None,
        credit: None,
        credit_reference_id: None,
        home_charging_compensation: None,
        last_updated: input.now,
    })
}

/// Why the session ended; and what its tariff does not tell, for OCPI has no words for it: that the
/// costs are less what the driver's plan and the cap on idle fees take off, or are nobody's to pay.
fn remark(input: &CdrInput<'_>) -> Result<Option<String>, MoneyError> {
    let mut remarks: Vec<String> = input.session.stop_reason.iter().cloned().collect();
    let priced = input.priced;
    let mut off = Cost::zero(priced.currency);
    let beside = [Item::StartFeeWaived, Item::Allowance, Item::Discount, Item::IdleCap, Item::Free];
    for line in priced.lines.iter().filter(|line| beside.contains(&line.item)) {
        off = off.checked_add(line.amount)?;
    }
    if off != Cost::zero(priced.currency) {
        let plan = priced.plan.as_ref().map(|plan| format!("plan {}: ", plan.reference));
        let plan = plan.unwrap_or_default();
        remarks.push(format!("{plan}{} without tax beside the tariff", off.excl_vat));
    }
    Ok((!remarks.is_empty()).then(|| fit(&remarks.join("; "), 255)))
}

/// The most characters that OCPI has for a signed value.
const SIGNED_MAX: usize = 5000;

/// What the meter signed, to the byte: it is evidence. A record that OCPI has no room for is left
/// out, for a part of it would prove nothing.
fn signed_data(signed: &SignedReadings) -> Option<SignedData> {
    let value = |record: &SignedRecord| SignedValue {
        nature: record.nature.as_str().to_owned(),
        plain_data: record.text.clone(),
        signed_data: STANDARD.encode(&record.text),
    };
    let values = signed.records.iter().map(value);
    let values: Vec<_> = values.filter(|value| value.signed_data.len() <= SIGNED_MAX).collect();
    (!values.is_empty()).then(|| SignedData {
        encoding_method: signed.format.as_str().to_owned(),
        encoding_method_version: None,
        public_key: signed.public_key.clone(),
        signed_values: values,
        url: None,
    })
}

/// The tariff with the tax that applied written out, so that the CDR explains itself. Of several
/// taxes at once `vat` can only say the sum; where no tax applies it says nothing.
fn restated(input: &CdrInput<'_>) -> Result<Tariff, MoneyError> {
    let mut tariff = input.tariff.tariff.clone();
    if tariff.tax_included() == TaxIncluded::NotApplicable {
        return Ok(tariff);
    }
    let taxes = &input.session.jurisdiction.taxes;
    if taxes.is_empty() {
        return Ok(tariff);
    }
    let percent = taxes.iter().try_fold(Decimal::ZERO, |sum, tax| {
        sum.checked_add(tax.percent.percent()).ok_or(MoneyError::Overflow)
    })?;
    for component in tariff.elements.iter_mut().flat_map(|element| &mut element.price_components) {
        component.vat = component.vat.or(Some(percent));
    }
    Ok(tariff)
}

fn period(segment: &Segment, tariff_id: &str) -> ChargingPeriod {
    let seconds = Decimal::new((segment.end - segment.start).num_milliseconds(), 3);
    let time = match segment.kind {
        SegmentKind::Charging => Some(CdrDimensionType::Time),
        SegmentKind::Idle => Some(CdrDimensionType::ParkingTime),
        SegmentKind::Reservation => Some(CdrDimensionType::ReservationTime),
        SegmentKind::Grace | SegmentKind::Quiet | SegmentKind::Operator | SegmentKind::Unstated => {
            None
        }
    };
    let stated = |dimension, volume| CdrDimension { dimension, volume };
    let mut dimensions = vec![stated(CdrDimensionType::Energy, segment.energy.kwh())];
    // A time that rounds to nothing would say that there was none; the reader takes the least that
    // can be said for the period's own.
    let least = if seconds.is_zero() { Decimal::ZERO } else { Decimal::new(1, 4) };
    dimensions.extend(time.map(|time| stated(time, hours(seconds).max(least))));
    let power = [
        (CdrDimensionType::MinPower, segment.min_power_kw),
        (CdrDimensionType::MaxPower, segment.max_power_kw),
    ];
    dimensions.extend(power.into_iter().filter_map(|(kind, kw)| Some(stated(kind, kw?))));
    ChargingPeriod {
        start_date_time: segment.start,
        dimensions,
        tariff_id: Some(tariff_id.to_owned()),
    }
}

/// Hours to the four decimals that an OCPI number has.
fn hours(seconds: Decimal) -> Decimal {
    (seconds / Decimal::from(3600)).round_dp(4).normalize()
}

/// Sessions from before they said so themselves say it by their route.
fn is_from_app(session: &Session) -> bool {
    session.from_app || session.route == Route::AppWallet
}

fn token(input: &CdrInput<'_>) -> CdrToken {
    let session = input.session;
    let token_type = if is_from_app(session) { TokenType::AdHocUser } else { TokenType::Rfid };
    match &session.payer {
        Payer::Roaming { token_uid, contract_id, .. } => CdrToken {
            country_code: input.partner.map_or(NOT_AVAILABLE, |p| &p.country_code).to_owned(),
            party_id: input.partner.map_or(NOT_AVAILABLE, |p| &p.party_id).to_owned(),
            uid: token_uid.clone(),
            token_type,
            contract_id: contract_id.clone(),
        },
        Payer::Card { .. }
        | Payer::Reader
        | Payer::Account { .. }
        | Payer::Free
        | Payer::Unknown => CdrToken {
            country_code: input.country_code.to_owned(),
            party_id: input.party_id.to_owned(),
            uid: session.id_tag.as_str().to_owned(),
            token_type,
            contract_id: match &session.driver_id {
                Some(driver) if driver.as_str().len() <= 36 => driver.to_string(),
                _ => NOT_AVAILABLE.to_owned(),
            },
        },
    }
}

fn location(input: &CdrInput<'_>) -> CdrLocation {
    let CdrInput { session, site, charger, .. } = input;
    let connector = session.connector_id.to_string();
    let address = &site.address;
    let is_dc = charger.power_type.starts_with("DC");
    CdrLocation {
        id: site.id.to_string(),
        name: Some(fit(&site.name, 255)),
        address: fit(&address.street, 45),
        city: fit(&address.city, 45),
        postal_code: address.postal_code.as_deref().map(|code| fit(code, 10)),
        state: None,
        country: address.country.clone(),
        coordinates: GeoLocation {
            latitude: address.latitude.clone(),
            longitude: address.longitude.clone(),
        },
        evse_uid: fit(&format!("{}*{connector}", charger.id), 36),
        evse_id: fit(&charger.evse_id.replace("{connector}", &connector), 48),
        connector_id: connector,
        connector_standard: charger.standard.clone(),
        connector_format: if is_dc { "CABLE" } else { "SOCKET" }.to_owned(),
        connector_power_type: charger.power_type.clone(),
    }
}

/// The first `length` characters, the most that OCPI allows.
fn fit(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}
