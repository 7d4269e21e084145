//! Reads single fields of a payload: what is required stops the message, what is not only warns.

use std::{collections::BTreeMap, str::FromStr};

use chrono::{DateTime, NaiveDateTime, Utc};
use quantities::{IdTag, WattHours};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::ErrorCode;

/// Why a payload cannot be used at all. It names the field, never its value: a value may be a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The payload is not a JSON object.
    #[error("the payload is not a JSON object")]
    NotAnObject,
    /// A field that the message cannot do without is absent or null.
    #[error("`{field}` is missing")]
    MissingField {
        /// Where it should be.
        field: String,
    },
    /// A field has a JSON type that cannot be what it should be.
    #[error("`{field}` is not {expected}")]
    WrongType {
        /// Where it is.
        field: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A field has the right type and an impossible value.
    #[error("`{field}` is not valid: {rule}")]
    InvalidValue {
        /// Where it is.
        field: String,
        /// What is allowed.
        rule: &'static str,
    },
}

impl PayloadError {
    /// The code OCPP-J 1.6 (4.2.3, table 7) has for it.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        match self {
            Self::NotAnObject => ErrorCode::FormationViolation,
            Self::MissingField { .. } => ErrorCode::OccurenceConstraintViolation,
            Self::WrongType { .. } => ErrorCode::TypeConstraintViolation,
            Self::InvalidValue { .. } => ErrorCode::PropertyConstraintViolation,
        }
    }
}

/// What was untidy in a message that could be used all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where: `meterValue[0].timestamp`.
    pub field: String,
    /// What.
    pub code: WarningCode,
}

/// What can be untidy about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WarningCode {
    /// The specification requires it and it is absent.
    Missing,
    /// It is there and makes no sense; it was left out.
    Unreadable,
    /// A time without an offset; it was read as UTC.
    TimeWithoutOffset,
}

impl WarningCode {
    /// The code in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "field_missing",
            Self::Unreadable => "field_unreadable",
            Self::TimeWithoutOffset => "time_without_offset",
        }
    }
}

/// Why one value could not be read.
pub(crate) enum Unreadable {
    Type(&'static str),
    Value(&'static str),
}

pub(crate) type Reading<T> = Result<T, Unreadable>;

/// The fields of one JSON object, and what was found untidy while reading them.
pub struct Fields<'a> {
    values: BTreeMap<String, &'a RawValue>,
    path: String,
    warnings: Vec<Warning>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(object: &'a RawValue, path: &str) -> Result<Self, PayloadError> {
        let values = serde_json::from_str(object.get()).map_err(|_| PayloadError::NotAnObject)?;
        Ok(Self { values, path: path.to_owned(), warnings: Vec::new() })
    }

    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }

    fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    fn warn(&mut self, field: &str, code: WarningCode) {
        let field = self.name(field);
        self.warnings.push(Warning { field, code });
    }

    /// The raw text of `field`; a null counts as absent.
    fn raw(&self, field: &str) -> Option<&'a RawValue> {
        self.values.get(field).copied().filter(|raw| raw.get() != "null")
    }

    pub(crate) fn required<T>(
        &mut self,
        field: &'static str,
        read: impl Fn(&RawValue) -> Reading<T>,
    ) -> Result<T, PayloadError> {
        let Some(raw) = self.raw(field) else {
            return Err(PayloadError::MissingField { field: self.name(field) });
        };
        read(raw).map_err(|unreadable| match unreadable {
            Unreadable::Type(expected) => {
                PayloadError::WrongType { field: self.name(field), expected }
            }
            Unreadable::Value(rule) => PayloadError::InvalidValue { field: self.name(field), rule },
        })
    }

    pub(crate) fn optional<T>(
        &mut self,
        field: &'static str,
        read: impl Fn(&RawValue) -> Reading<T>,
    ) -> Option<T> {
        let value = read(self.raw(field)?);
        if value.is_err() {
            self.warn(field, WarningCode::Unreadable);
        }
        value.ok()
    }

    /// A field the specification requires and we can do without.
    pub(crate) fn expected<T>(
        &mut self,
        field: &'static str,
        read: impl Fn(&RawValue) -> Reading<T>,
    ) -> Option<T> {
        if self.raw(field).is_none() {
            self.warn(field, WarningCode::Missing);
        }
        self.optional(field, read)
    }

    pub(crate) fn required_time(
        &mut self,
        field: &'static str,
    ) -> Result<DateTime<Utc>, PayloadError> {
        let (at, has_offset) = self.required(field, timestamp)?;
        if !has_offset {
            self.warn(field, WarningCode::TimeWithoutOffset);
        }
        Ok(at)
    }

    pub(crate) fn optional_time(&mut self, field: &'static str) -> Option<DateTime<Utc>> {
        let (at, has_offset) = self.optional(field, timestamp)?;
        if !has_offset {
            self.warn(field, WarningCode::TimeWithoutOffset);
        }
        Some(at)
    }

    /// The objects of an array that can be read; each other one only warns.
    pub(crate) fn objects<T>(
        &mut self,
        field: &'static str,
        read: impl Fn(&mut Fields<'_>) -> Result<T, PayloadError>,
    ) -> Vec<T> {
        let Some(raw) = self.raw(field) else { return Vec::new() };
        // One object where a list belongs: some chargers leave the brackets out.
        let elements = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or(vec![raw]);
        let mut objects = Vec::new();
        for (index, element) in elements.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.name(field));
            let object = Fields::of(element, &path).and_then(|mut fields| {
                let object = read(&mut fields)?;
                self.warnings.append(&mut fields.warnings);
                Ok(object)
            });
            match object {
                Ok(object) => objects.push(object),
                Err(_) => {
                    self.warnings.push(Warning { field: path, code: WarningCode::Unreadable });
                }
            }
        }
        objects
    }
}

/// A text; a number or boolean is taken by its own text.
pub(crate) fn text(raw: &RawValue) -> Reading<String> {
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.get()).map_err(|_| Unreadable::Type("a text")),
        Some(b'{' | b'[') | None => Err(Unreadable::Type("a text")),
        Some(_) => Ok(raw.get().to_owned()),
    }
}

/// Any value: a text as it is, anything else by its JSON.
pub(crate) fn any(raw: &RawValue) -> Reading<String> {
    text(raw).or_else(|_| Ok(raw.get().to_owned()))
}

/// An enumeration of ours, which knows every text.
pub(crate) fn open<T: From<String>>(raw: &RawValue) -> Reading<T> {
    text(raw).map(T::from)
}

pub(crate) fn id_tag(raw: &RawValue) -> Reading<IdTag> {
    let tag = text(raw)?;
    IdTag::from_str(tag.trim()).map_err(|_| Unreadable::Value("1 to 20 printable ASCII characters"))
}

/// A number written as a number or as a text.
fn decimal(raw: &RawValue) -> Reading<Decimal> {
    let written = raw.get();
    if matches!(written.as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9')) {
        return decimal_of(&text(raw)?).ok_or(Unreadable::Type("a number"));
    }
    Err(Unreadable::Type("a number"))
}

pub(crate) fn watt_hours(raw: &RawValue) -> Reading<WattHours> {
    decimal(raw).map(WattHours::new)
}

/// A whole number; `3.0` and `"3"` are 3.
pub(crate) fn integer<T: TryFrom<i64>>(raw: &RawValue) -> Reading<T> {
    let number = decimal(raw)?.normalize();
    if number.scale() != 0 {
        return Err(Unreadable::Type("a whole number"));
    }
    let whole = i64::try_from(number.mantissa()).ok();
    whole.and_then(|n| T::try_from(n).ok()).ok_or(Unreadable::Value("out of range"))
}

fn timestamp(raw: &RawValue) -> Reading<(DateTime<Utc>, bool)> {
    if !raw.get().starts_with('"') {
        return Err(Unreadable::Type("a date and time"));
    }
    timestamp_of(&text(raw)?).ok_or(Unreadable::Value("a date and time as in RFC 3339"))
}

/// The exact number that `text` writes: `12.5`, ` 12 `, `+1`, `1e3`. `None` when it is none.
///
/// A comma is not read as a decimal point: `1,234` may as well be a thousand and more.
#[must_use]
pub fn decimal_of(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let text = text.strip_prefix('+').filter(|rest| !rest.starts_with('-')).unwrap_or(text);
    // The library would take `1_000`.
    if !text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) {
        return None;
    }
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    // More digits than fit are rounded at the 28th, far below what any meter shows.
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_str(text)).ok()
}

/// The moment that `text` writes, and whether it states its offset from UTC.
///
/// OCPP 1.6 (3.12) wants RFC 3339. Without an offset the time is read as UTC, as OCPP advises
/// charge points to keep it.
#[must_use]
pub fn timestamp_of(text: &str) -> Option<(DateTime<Utc>, bool)> {
    let text = text.trim();
    // A space for the `T` is allowed by RFC 3339; an offset without colon is ISO 8601.
    let with_offset = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%z"));
    if let Ok(at) = with_offset {
        return Some((at.to_utc(), true));
    }
    let without = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"));
    without.ok().map(|at| (at.and_utc(), false))
}
