//! The receipt: what was billed and how it was paid, for machines and for people.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use http_api::{AmountView, Driver, Log, Param, PlanRefView, Problem, ProblemType, TariffRefView};
use network::LegalEntity;
use quantities::SessionId;
use rating::TaxTotal;
use receipts::{CreditNote, CreditedTax, Mail, Mailing, Receipt};
use rust_decimal::Decimal;
use serde::Serialize;
use session::{Route, SessionState, SignedFormat, SignedReadings, Verification};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::Api,
    sessions::file,
    views::{BillView, PaymentView},
};

/// The page loads nothing and runs nothing.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'");

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get))
}

/// A receipt.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Receipt)]
struct ReceiptView {
    /// The session.
    session_id: String,
    /// Where it was.
    site: SiteView,
    /// The charger.
    charge_point_id: String,
    /// The connector.
    connector_id: u32,
    /// When it began.
    started_at: DateTime<Utc>,
    /// When it ended.
    ended_at: Option<DateTime<Utc>>,
    /// When the connector was free again, where standing idle costs something.
    #[serde(skip_serializing_if = "Option::is_none")]
    released_at: Option<DateTime<Utc>>,
    /// The meter's register at the start, in kWh.
    meter_start_kwh: Decimal,
    /// The meter's register at the end, in kWh.
    meter_stop_kwh: Option<Decimal>,
    /// Energy in kWh.
    energy_kwh: Decimal,
    /// Which way it is paid: `app_wallet`, `saved_card`, `reader`, `fleet`, `contract`, `roaming`,
    /// `free` or `none`.
    #[schema(value_type = String, example = "app_wallet")]
    route: Route,
    /// The driver's price group.
    tier: String,
    /// The tariff version that it was priced with.
    tariff: TariffRefView,
    /// The plan version that applied beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanRefView>,
    /// What was billed.
    bill: BillView,
    /// Who sold it, and owes the taxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    seller: Option<SellerView>,
    /// Whether prices are shown with tax here.
    prices_include_tax: bool,
    /// The taxes in it, one by one.
    taxes: Vec<TaxView>,
    /// What the meter signed of the energy, where it signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<SignedView>,
    /// How it was paid.
    payment: PaymentView,
    /// What was credited of it since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credit_notes: Vec<CreditNoteView>,
    /// When it was mailed to the driver, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    mailed_at: Option<DateTime<Utc>>,
}

/// A credit note.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CreditNote)]
struct CreditNoteView {
    /// Its number.
    #[schema(example = "CN-9F3A2C-000001")]
    number: String,
    /// When it was issued.
    issued_at: DateTime<Utc>,
    /// Why.
    reason: String,
    /// The taxes in it, one by one.
    taxes: Vec<TaxView>,
    /// What it credits without tax.
    excl_tax: AmountView,
    /// What it credits with tax.
    incl_tax: AmountView,
}

/// What the meter signed, for whoever wants to check the energy with their own software.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReceiptSigned)]
struct SignedView {
    /// The records' format: `OCMF`.
    #[schema(value_type = String, example = "OCMF")]
    format: SignedFormat,
    /// What checking the signatures led to: `verified`, `own_key`, `key_unknown`, `unchecked`,
    /// `invalid`.
    #[schema(value_type = String, example = "verified")]
    verification: Verification,
    /// The key that they were checked with: base64 of its `SubjectPublicKeyInfo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// The records as the meter wrote them, in order of time.
    records: Vec<String>,
}

/// The site of a receipt.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReceiptSite)]
struct SiteView {
    /// Its id.
    id: String,
    /// What it is called.
    name: String,
    /// Street and number.
    street: String,
    /// Postal code.
    postal_code: Option<String>,
    /// City.
    city: String,
    /// ISO 3166-1 alpha-3 code.
    country: String,
    /// Its IANA time zone.
    time_zone: String,
}

/// Who sold it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReceiptSeller)]
struct SellerView {
    /// Its name as registered.
    name: String,
    /// Its address, in one line.
    address: String,
    /// Its number in the register of companies.
    #[serde(skip_serializing_if = "Option::is_none")]
    company_number: Option<String>,
}

/// One of the taxes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReceiptTax)]
struct TaxView {
    /// What it is called.
    #[schema(example = "VAT")]
    name: String,
    /// Percent.
    percent: Decimal,
    /// The seller's account with the authority that it is paid to.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_number: Option<String>,
    /// What it is on.
    excl_tax: AmountView,
    /// The tax.
    tax: AmountView,
}

/// Gets the receipt of a session that has its price: as JSON, or, with `Accept: text/html`, as a
/// page to read and print.
#[utoipa::path(get, path = "/driver/sessions/{session_id}/receipt", tag = "sessions",
    operation_id = "get_receipt",
    params(("session_id" = String, Path)),
    security(("jwt" = [])),
    responses((status = 200, description = "The receipt", content(
        (ReceiptView = "application/json"), (String = "text/html")))))]
async fn get(
    driver: Driver,
    State(api): State<Api>,
    log: Log,
    headers: HeaderMap,
    Param(id): Param<SessionId>,
) -> Result<Response, Problem> {
    let file = file(&api, &driver, id, &log).await?;
    let Some(price) = file.rated else { return Err(no_price(file.session.state)) };
    let site = api.store.site(&file.session.site_id).await?;
    let site = site.ok_or_else(|| anyhow::anyhow!("the session's site is not configured"))?;
    let payment = PaymentView::of(&file.session, file.payment.as_ref());
    let paid = payment.sentences();
    let mailed_at = mailed_at(&file.mails);
    let credit_notes = file.credit_notes.into_iter().map(|(_, note)| note).collect();
    let receipt = Receipt { session: file.session, site, price, paid, credit_notes };
    let vary = (header::VARY, HeaderValue::from_static("accept"));
    if wants_page(&headers) {
        let policy: (HeaderName, _) = (header::CONTENT_SECURITY_POLICY, POLICY);
        return Ok(([vary, policy], Html(receipt.page())).into_response());
    }
    Ok(([vary], Json(view(&receipt, payment, mailed_at)?)).into_response())
}

fn no_price(state: SessionState) -> Problem {
    let detail = match state {
        SessionState::Waived => "Nothing is charged for this session, so there is no receipt.",
        SessionState::Held => "A person is looking at this session; it has no price yet.",
        SessionState::AwaitingRelease => "The session has its price when the vehicle has left.",
        _ => "The session has its price shortly after it has ended.",
    };
    Problem::new(ProblemType::NotPriced, detail)
}

/// When the receipt was mailed as the driver wished. Whoever else got it is not theirs to know.
fn mailed_at(mails: &[(String, Mail)]) -> Option<DateTime<Utc>> {
    let key = Mailing::Receipt.key();
    mails.iter().find(|(known, _)| *known == key).and_then(|(_, mail)| mail.sent_at())
}

fn view(
    receipt: &Receipt,
    payment: PaymentView,
    mailed_at: Option<DateTime<Utc>>,
) -> Result<ReceiptView, Problem> {
    let Receipt { session, site, price, .. } = receipt;
    let tax = |sum: &TaxTotal| TaxView {
        name: sum.name.clone().into_owned(),
        percent: sum.percent.percent().normalize(),
        account_number: sum.account_number.clone(),
        excl_tax: sum.base.into(),
        tax: sum.amount.into(),
    };
    Ok(ReceiptView {
        session_id: session.id.to_string(),
        site: SiteView {
            id: site.id.to_string(),
            name: site.name.clone(),
            street: site.address.street.clone(),
            postal_code: site.address.postal_code.clone(),
            city: site.address.city.clone(),
            country: site.address.country.clone(),
            time_zone: session.time_zone.name().to_owned(),
        },
        charge_point_id: session.charge_point_id.to_string(),
        connector_id: session.connector_id.0,
        started_at: session.started_at,
        ended_at: session.ended_at,
        released_at: session.released_at,
        meter_start_kwh: session.meter_start.kwh(),
        meter_stop_kwh: session.meter_stop.map(quantities::WattHours::kwh),
        energy_kwh: price.total_energy.kwh(),
        route: session.route,
        tier: session.tier.as_str().to_owned(),
        tariff: (&price.tariff).into(),
        plan: price.plan.as_ref().map(|plan| (&plan.reference).into()),
        bill: BillView::of(price, true, session.time_zone)?,
        seller: session.jurisdiction.seller.clone().map(seller),
        prices_include_tax: session.jurisdiction.prices_include_tax,
        taxes: price.taxes.iter().map(tax).collect(),
        signed: price.signed.as_ref().map(signed),
        payment,
        credit_notes: receipt.credit_notes.iter().map(credit_note).collect(),
        mailed_at,
    })
}

fn credit_note(note: &CreditNote) -> CreditNoteView {
    let tax = |credited: &CreditedTax| TaxView {
        name: credited.tax.name.clone(),
        percent: credited.tax.percent.percent().normalize(),
        account_number: credited.tax.account_number.clone(),
        excl_tax: credited.base.into(),
        tax: credited.amount.into(),
    };
    CreditNoteView {
        number: note.number.clone(),
        issued_at: note.issued_at,
        reason: note.reason.clone(),
        taxes: note.credited.taxes.iter().map(tax).collect(),
        excl_tax: note.credited.excl_tax.into(),
        incl_tax: note.credited.incl_tax.into(),
    }
}

fn signed(readings: &SignedReadings) -> SignedView {
    SignedView {
        format: readings.format,
        verification: readings.verification,
        public_key: readings.public_key.clone(),
        records: readings.records.iter().map(|record| record.text.clone()).collect(),
    }
}

fn seller(seller: LegalEntity) -> SellerView {
    let LegalEntity { name, address, company_number } = seller;
    SellerView { name, address, company_number }
}

/// Whether HTML is preferred to JSON (RFC 9110, 12.5.1): named, and ranked higher.
fn wants_page(headers: &HeaderMap) -> bool {
    let accept =
        headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let (mut html, mut json) = (Decimal::ZERO, Decimal::ZERO);
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let quality = quality.map_or(Ok(Decimal::ONE), str::parse).unwrap_or(Decimal::ZERO);
        match kind.as_str() {
            "text/html" => html = html.max(quality),
            "application/json" | "application/*" | "*/*" => json = json.max(quality),
            _ => {}
        }
    }
    html > json
}

#[cfg(test)]
pub(crate) mod tests {
    use network::{Address, Site};
    use quantities::{Amount, Currency, TaxPercent, WattHours};
    use rating::{Cost, Item, Line, LineTax, Method, PricedSession, Totals, Unit, Why};

    use session::Session;

    use super::*;
    use crate::sessions::tests::{at, session};

    fn cost(excl: i64, incl: i64) -> Cost {
        let eur = |minor| Amount::new(minor, Currency::EUR);
        Cost { excl_vat: eur(excl), incl_vat: eur(incl) }
    }

    fn line(item: Item, is_taxed: bool, amount: Cost) -> Line {
        let tax = amount.incl_vat.checked_sub(amount.excl_vat).unwrap();
        let (quantity, unit, rate_unit) = match item {
            Item::Energy => (Decimal::new(10_500, 3), Unit::KilowattHour, Unit::KilowattHour),
            _ => (Decimal::from(3_900), Unit::Second, Unit::Hour),
        };
        Line {
            item,
            description: format!("{item:?} <b>").into(),
            element: Some(0),
            quantity,
            measured: quantity,
            unit,
            rate: Decimal::new(4, 1),
            rate_unit,
            taxes: is_taxed.then_some(LineTax { tax: 0, amount: tax }).into_iter().collect(),
            amount,
            from: at(0),
            to: at(30),
            energy: WattHours::from(10_500),
            segments: vec![0].into(),
            why: Why::default(),
        }
    }

    pub(crate) fn receipt() -> Receipt {
        let lines = vec![
            line(Item::Energy, true, cost(420, 508)),
            line(Item::ParkingTime, true, cost(100, 121)),
            line(Item::Flat, false, cost(50, 50)),
        ];
        let none = cost(0, 0);
        let price = PricedSession {
            tariff: quantities::TariffRef { id: "AMS-RETAIL".parse().unwrap(), version: 3 },
            currency: Currency::EUR,
            lines,
            segments: vec![],
            totals: Totals {
                total: cost(570, 679),
                fixed: cost(50, 50),
                energy: cost(420, 508),
                time: none,
                parking: cost(100, 121),
                reservation: none,
            },
            // 21 %: 4.20 + 1.00 without tax, 0.88 + 0.21 of tax; nothing stated on the flat 0.50.
            taxes: vec![TaxTotal {
                name: "VAT".into(),
                percent: TaxPercent::try_from(Decimal::from(21)).unwrap(),
                account_number: None,
                base: Amount::new(520, Currency::EUR),
                amount: Amount::new(109, Currency::EUR),
            }],
            rates_include_tax: false,
            plan: None,
            total_energy: WattHours::from(10_500),
            total_time_s: Decimal::from(1_800),
            total_parking_time_s: Decimal::ZERO,
            findings: vec![],
            signed: None,
            method: Method {
                activity: None,
                interpolation: "".into(),
                rounding: "".into(),
                minor_digits: 2,
            },
        };
        let session = Session { ended_at: Some(at(30)), ..session() };
        let site = Site {
            id: session.site_id.clone(),
            name: "Zuid & <script>alert(1)</script>".to_owned(),
            address: Address {
                street: "Strawinskylaan 1".to_owned(),
                postal_code: Some("1077 XW".to_owned()),
                city: "Amsterdam".to_owned(),
                country: "NLD".to_owned(),
                latitude: "52.339300".to_owned(),
                longitude: "4.873100".to_owned(),
            },
            time_zone: session.time_zone,
            currency: Currency::EUR,
            jurisdiction: session.jurisdiction.clone(),
            groups: vec![],
            hold: session.hold,
            hold_rule: None,
            payment: network::PaymentPolicy::default(),
            silent_after_s: 3600,
            release_wait_s: 3600,
        };
        Receipt { session, site, price, paid: vec![], credit_notes: vec![] }
    }

    #[test]
    fn a_receipt_as_json_adds_up() {
        let receipt = receipt();
        let payment = PaymentView::of(&receipt.session, None);
        let view = serde_json::to_value(view(&receipt, payment, None).unwrap()).unwrap();
        assert_eq!(view["bill"]["total_incl_tax"]["minor"], 679);
        assert_eq!(view["bill"]["total_tax"]["minor"], 109);
        assert_eq!(view["taxes"][0]["excl_tax"]["minor"], 520);
        assert_eq!(view["energy_kwh"], "10.5");
        assert_eq!(view["bill"]["lines"][0]["rate"], "0.4");
    }

    fn page_for(accept: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        wants_page(&headers)
    }

    #[test]
    fn a_browser_gets_a_page_and_everybody_else_json() {
        assert!(page_for("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(page_for("text/html"));
        assert!(!page_for("*/*"));
        assert!(!page_for("application/json, text/html;q=0.9"));
        assert!(!page_for("text/html;q=0"));
        assert!(!wants_page(&HeaderMap::new()));
    }
}
