//! Signed readings (OCMF): kept as they came, checked, and bound to the energy that is billed.
//!
//! The signature covers the bytes of the record as the meter wrote them, so nothing here changes
//! them. What is checked: that the meter's key signed every record, that the meter says it was
//! well, and that the begin and end that it signed are those that are billed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ocmf::{Curve, PublicKey, Record, VerifyError, encoding};
use ocpp::ReadingContext;
use quantities::WattHours;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    FindingCode, Findings, Session,
    sampled::SignedText,
    settle::{NEAR_WH, is_above},
};

/// The signed readings of a session, for whoever wants to check what is billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReadings {
    /// The records' format, by the name that OCPI has for it.
    pub format: SignedFormat,
    /// What became of checking the signatures; of several records, the worst.
    pub verification: Verification,
    /// The key that the signatures were checked with, as base64 of its `SubjectPublicKeyInfo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The begin of the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<SignedReading>,
    /// Its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<SignedReading>,
    /// The records that the begin and the end are in; where neither was signed, the first and the
    /// last. All others are checked as well, and stay in their frames.
    pub records: Vec<SignedRecord>,
}

/// Whether `text` is a public key that signed readings can be checked with: hex or base64 of a
/// `SubjectPublicKeyInfo`, or the Open Charge Alliance's `oca:` form of one. It names its curve.
#[must_use]
pub fn is_meter_key(text: &str) -> bool {
    PublicKey::from_text(text, None).is_ok()
}

/// How signed readings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignedFormat {
    /// Open Charge Metering Format, of S.A.F.E. e.V.
    #[serde(rename = "OCMF")]
    Ocmf,
}

/// What checking signatures led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// A key that is known of the charger's meters made them.
    Verified,
    /// The key that came with them made them: nobody has changed them since, but whose they are
    /// is not proven.
    OwnKey,
    /// No key is known.
    KeyUnknown,
    /// They cannot be checked here: the algorithm is not supported, or the key cannot be read.
    Unchecked,
    /// No key that is known made them.
    Invalid,
}

/// One end of the transaction as the meter signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReading {
    /// The meter's time; `None` when it states none that can be read.
    pub at: Option<DateTime<Utc>>,
    /// The register.
    pub energy: WattHours,
    /// SHA-256 of the record that it is in, as in [`SignedRecord::sha256`].
    pub sha256: String,
}

/// A record as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRecord {
    /// What it is of, in OCPI's words (`SignedValue.nature`).
    pub nature: Nature,
    /// The record, untouched.
    pub text: String,
    /// SHA-256 of what the signature covers, in hex: the same for the same readings, however the
    /// signature is written.
    pub sha256: String,
}

/// What a signed record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Nature {
    /// The begin of the transaction.
    Start,
    /// Neither.
    Intermediate,
    /// Its end, be it with the begin or without.
    End,
}

impl Nature {
    /// OCPI's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Intermediate => "Intermediate",
            Self::End => "End",
        }
    }
}

impl SignedFormat {
    /// OCPI's name (`SignedData.encoding_method`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ocmf => "OCMF",
        }
    }
}

/// A record that could be taken out of the message that carried it.
struct Found {
    at: DateTime<Utc>,
    context: ReadingContext,
    text: String,
    /// A key that came beside it.
    key: Option<String>,
}

impl Found {
    fn rank(&self) -> (DateTime<Utc>, &str, &str, Option<&str>) {
        (self.at, &self.text, self.context.as_str(), self.key.as_deref())
    }
}

/// A reading in a record.
struct Point {
    at: Option<DateTime<Utc>>,
    energy: WattHours,
    /// One of the last digit it states.
    resolution: Decimal,
    is_faulty: bool,
    /// Whether its register counts only this transaction.
    of_transaction: bool,
    sha256: String,
}

/// The begin and the end that one register of the meter has.
#[derive(Default)]
struct Series {
    begin: Option<Point>,
    end: Option<Point>,
}

impl SignedReadings {
    /// What `texts` prove of `session`, with the keys that are known of the charger's meters.
    /// `None` when nothing that can be read was signed.
    pub(crate) fn of(
        texts: &[SignedText],
        keys: &[String],
        session: &Session,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut found: Vec<Found> = Vec::new();
        for signed in texts {
            match found_in(signed) {
                Some(record) => found.push(record),
                None => {
                    let detail = "signed data that is not OCMF is kept in its frame";
                    findings.note(FindingCode::SignedUnchecked, signed.at, detail);
                }
            }
        }
        if texts.is_empty() && !keys.is_empty() && session.stop_frame.is_some() {
            let detail = "the charger's meters sign, and nothing signed came";
            findings.note(FindingCode::SignedMissing, session.ended_at, detail);
        }
        // In an order that no order of messages changes.
        found.sort_by(|a, b| a.rank().cmp(&b.rank()));
        let mut signed = Self {
            format: SignedFormat::Ocmf,
            verification: Verification::Verified,
            public_key: None,
            begin: None,
            end: None,
            records: Vec::new(),
        };
        let mut registers: BTreeMap<String, Series> = BTreeMap::new();
        for found in &found {
            // `found_in` has parsed it.
            let Ok(record) = Record::parse(&found.text) else { continue };
            signed.add(found, &record, keys, &mut registers);
        }
        if signed.records.is_empty() {
            return None;
        }
        signed.note_verification(session, findings);
        signed.bind(registers, session, findings);
        signed.keep_ends();
        Some(signed)
    }

    /// A charger may sign every reading of a long session; the begin and the end prove the energy.
    fn keep_ends(&mut self) {
        let ends = [&self.begin, &self.end].map(|end| end.as_ref().map(|end| end.sha256.clone()));
        if ends.iter().any(Option::is_some) {
            self.records.retain(|record| ends.iter().flatten().any(|end| *end == record.sha256));
        } else if self.records.len() > 2 {
            self.records.drain(1..self.records.len() - 1);
        }
    }

    fn add(
        &mut self,
        found: &Found,
        record: &Record<'_>,
        keys: &[String],
        registers: &mut BTreeMap<String, Series>,
    ) {
        let sha256 = hex::encode(record.payload_digest());
        if self.records.iter().any(|known| known.sha256 == sha256) {
            return;
        }
        let (verification, key) = verify(found, record, keys);
        self.verification = self.verification.max(verification);
        let spki = key.map(|key| encoding::base64_encode(&key.to_spki()));
        self.public_key = self.public_key.take().or(spki);
        let payload = record.payload();
        let context = &found.context;
        // The message says only what the record does not.
        let is_marked = payload.readings().iter().any(|reading| reading.transaction().is_some());
        let is = |end: ReadingContext| !is_marked && *context == end;
        let begins = payload.marks_transaction_begin() || is(ReadingContext::TransactionBegin);
        let ends = payload.marks_transaction_end() || is(ReadingContext::TransactionEnd);
        let nature = match (begins, ends) {
            (_, true) => Nature::End,
            (true, false) => Nature::Start,
            (false, false) => Nature::Intermediate,
        };
        for reading in payload.readings() {
            add_reading(reading, context, &sha256, registers);
        }
        self.records.push(SignedRecord { nature, text: found.text.clone(), sha256 });
    }

    fn note_verification(&self, session: &Session, findings: &mut Findings) {
        let (code, detail) = match self.verification {
            Verification::Verified => {
                (FindingCode::SignedVerified, "the meter's key made all signatures")
            }
            Verification::OwnKey => {
                (FindingCode::SignedOwnKey, "the key that came with the readings made them")
            }
            Verification::KeyUnknown => {
                (FindingCode::SignedKeyUnknown, "no key is known that could have made them")
            }
            Verification::Unchecked => {
                (FindingCode::SignedUnchecked, "the signature's algorithm or key cannot be used")
            }
            Verification::Invalid => {
                (FindingCode::SignatureInvalid, "a signature is not that of the meter's key")
            }
        };
        findings.note(code, session.ended_at, detail);
    }

    /// Compares what was signed with what is billed. A meter may sign several registers (before
    /// and after the cable's losses, of its life and of the transaction): one that says the same
    /// is enough.
    fn bind(
        &mut self,
        registers: BTreeMap<String, Series>,
        session: &Session,
        findings: &mut Findings,
    ) {
        let is_whole = |series: &Series| series.begin.is_some() && series.end.is_some();
        let mut series: Vec<Series> = registers.into_values().collect();
        // The whole ones first, and of these the ones that agree.
        series.sort_by_key(|series| (!is_whole(series), !series.agrees(session)));
        let Some(best) = series.into_iter().next() else {
            let detail = "no reading of energy import was signed";
            findings.note(FindingCode::SignedIncomplete, session.ended_at, detail);
            return;
        };
        if !is_whole(&best) && session.ended_at.is_some() {
            let detail = "the begin or the end was not signed";
            findings.note(FindingCode::SignedIncomplete, session.ended_at, detail);
        }
        if !best.agrees(session) {
            let shown = |point: &Option<Point>| {
                point.as_ref().map_or_else(|| "none".to_owned(), |point| point.energy.to_string())
            };
            let (begin, end) = (shown(&best.begin), shown(&best.end));
            let detail = format!("signed are {begin} and {end}, other readings are billed");
            findings.note(FindingCode::SignedEnergyDiffers, session.ended_at, detail);
        }
        if best.points().any(|point| point.is_faulty) {
            let detail = "the meter states a fault of its own";
            findings.note(FindingCode::SignedMeterFault, session.ended_at, detail);
        }
        self.begin = best.begin.map(SignedReading::from);
        self.end = best.end.map(SignedReading::from);
    }
}

impl From<Point> for SignedReading {
    fn from(point: Point) -> Self {
        Self { at: point.at, energy: point.energy, sha256: point.sha256 }
    }
}

impl Series {
    fn points(&self) -> impl Iterator<Item = &Point> {
        self.begin.iter().chain(&self.end)
    }

    /// Whether it says what is billed: both ends do, or their difference where the register
    /// counts the transaction only.
    fn agrees(&self, session: &Session) -> bool {
        let (start, stop) = (session.meter_start, session.meter_stop);
        if let (Some(begin), Some(end), Some(stop)) = (&self.begin, &self.end, stop)
            && (begin.of_transaction || begin.energy == WattHours::ZERO)
        {
            let signed = end.energy.checked_sub(begin.energy);
            let billed = stop.checked_sub(start);
            let allowed = begin.allows().checked_add(end.allows());
            return match (signed, billed, allowed) {
                (Ok(signed), Ok(billed), Some(allowed)) => are_within(signed, billed, allowed),
                _ => false,
            };
        }
        let is = |point: &Option<Point>, billed: Option<WattHours>| match (point, billed) {
            (Some(point), Some(billed)) => are_within(point.energy, billed, point.allows()),
            _ => true,
        };
        is(&self.begin, Some(start)) && is(&self.end, stop)
    }
}

impl Point {
    /// How far OCPP's whole watt-hours and a reading of so many digits may be apart.
    fn allows(&self) -> Decimal {
        self.resolution.max(NEAR_WH)
    }
}

fn are_within(one: WattHours, other: WattHours, by: Decimal) -> bool {
    !is_above(one, other, by) && !is_above(other, one, by)
}

/// The record in a `SampledValue` of format `SignedData`. Chargers send it as it is, as base64 or
/// hex of it, or in OCPP 2.0.1's `SignedMeterValueType` written as JSON, which is what the Open
/// Charge Alliance's note on signed meter values has for OCPP 1.6.
fn found_in(signed: &SignedText) -> Option<Found> {
    let value = signed.text.trim();
    let (text, key) = match value.strip_prefix('{') {
        Some(_) => {
            let container: Container = serde_json::from_str(value).ok()?;
            let key = container.public_key.filter(|key| !key.trim().is_empty());
            (plain(&container.signed_meter_data)?, key)
        }
        None => (plain(value)?, None),
    };
    Record::parse(&text).ok()?;
    Some(Found { at: signed.at, context: signed.context.clone(), text, key })
}

/// OCPP 2.0.1, `SignedMeterValueType`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    /// One large backend documents another name for it.
    #[serde(alias = "signedMeterValue")]
    signed_meter_data: String,
    public_key: Option<String>,
}

fn plain(value: &str) -> Option<String> {
    let is_record = |text: &str| text.starts_with(ocmf::HEADER);
    if is_record(value) {
        return Some(value.to_owned());
    }
    let decoded = [encoding::hex_decode(value), encoding::base64_decode(value)];
    let texts = decoded.into_iter().flatten().filter_map(|bytes| String::from_utf8(bytes).ok());
    texts.into_iter().find(|text| is_record(text))
}

/// Checks one record with the known keys; without any, with the key that came with it.
fn verify(
    found: &Found,
    record: &Record<'_>,
    keys: &[String],
) -> (Verification, Option<PublicKey>) {
    let curve = record.signature().curve();
    let own = found.key.as_deref().or_else(|| record.embedded_public_key());
    let (keys, good): (Vec<&str>, _) = if keys.is_empty() {
        (own.into_iter().collect(), Verification::OwnKey)
    } else {
        (keys.iter().map(String::as_str).collect(), Verification::Verified)
    };
    if keys.is_empty() {
        return (Verification::KeyUnknown, None);
    }
    let mut worst = None;
    for key in keys {
        match verified_by(record, key, curve) {
            Ok(key) => return (good, Some(key)),
            // A key that cannot be used says nothing; one that can, and did not sign, does.
            Err(error) => {
                let is_no = !matches!(
                    error,
                    VerifyError::Unsupported { .. }
                        | VerifyError::UnknownAlgorithm { .. }
                        | VerifyError::KeyNotOnCurve { .. }
                        | VerifyError::Key(_)
                );
                let says = if is_no { Verification::Invalid } else { Verification::Unchecked };
                worst = worst.max(Some(says));
            }
        }
    }
    (worst.unwrap_or(Verification::KeyUnknown), None)
}

fn verified_by(
    record: &Record<'_>,
    key: &str,
    curve: Option<Curve>,
) -> Result<PublicKey, VerifyError> {
    let key = PublicKey::from_text(key, curve)?;
    ocmf::verify(record, &key)?;
    Ok(key)
}

/// Adds a reading to the register it is of, if it is one of the begin or the end.
fn add_reading(
    reading: &ocmf::Reading<'_>,
    context: &ReadingContext,
    sha256: &str,
    registers: &mut BTreeMap<String, Series>,
) {
    let obis = reading.obis();
    let kind = obis.map(ocmf::ObisCode::register);
    let is_import = kind.and_then(ocmf::Register::is_import).unwrap_or(true);
    let unit = reading.unit().and_then(|unit| unit.watt_hours_scale());
    let (Some(value), Some(unit), true) = (reading.value(), unit, is_import) else { return };
    let unit = Decimal::from(unit);
    let Some(wh) = value.value().checked_mul(unit) else { return };
    let resolution = Decimal::new(1, value.scale()).checked_mul(unit).unwrap_or(unit);
    let (begins, ends) = reading.transaction().map_or_else(
        || {
            let is = |end| *context == end;
            (is(ReadingContext::TransactionBegin), is(ReadingContext::TransactionEnd))
        },
        |marker| (marker.is_begin(), marker.is_end()),
    );
    if !begins && !ends {
        return;
    }
    let at = reading.time().and_then(|at| DateTime::from_timestamp_millis(at.unix_millis()));
    let point = Point {
        at,
        energy: WattHours::new(wh),
        resolution,
        is_faulty: reading.error_flags().any()
            || reading.state().is_some_and(|state| !state.is_ok()),
        of_transaction: kind.and_then(ocmf::Register::is_transaction_scoped) == Some(true),
        sha256: sha256.to_owned(),
    };
    let series = registers.entry(obis.map(ocmf::ObisCode::canonical).unwrap_or_default());
    let series = series.or_default();
    if begins {
        // The first begin and the last end.
        series.begin.get_or_insert(point);
    } else {
        series.end = Some(point);
    }
}
