//! OCPI `number`: a JSON number, held as a [`Decimal`].
//!
//! serde hands a fractional JSON number over as the nearest double. A decimal of up to 15
//! significant digits survives that way exactly: it is the shortest decimal that reads back as the
//! same double, and the shortest is what is taken here (`float_roundtrip` makes `serde_json` pick
//! the nearest double for every text). OCPI numbers have 4 decimals (2.2.1, `types.asciidoc`), so
//! 15 digits reach to 99,999,999,999.9999. A longer text is read as its nearest double says; a
//! longer [`Decimal`] that a double cannot hold is refused when it is written, never bent.
//!
//! `serde_json`'s `arbitrary_precision` would keep any number of digits, but it is a switch for
//! the whole build and breaks numbers inside internally tagged enums and in stored items.

use std::fmt;

use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{
    Deserializer, Serializer,
    de::{self, Unexpected},
    ser,
};

/// Decimals of an OCPI number (`types.asciidoc`).
pub const DECIMALS: u32 = 4;

/// Writes `value` as a JSON number.
///
/// # Errors
///
/// The serializer's own, or that `value` has more digits than a JSON number read back holds.
pub fn serialize<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    if let Some(integer) = value.is_integer().then(|| value.to_i64()).flatten() {
        return serializer.serialize_i64(integer);
    }
    match value.to_string().parse::<f64>() {
        Ok(double) if from_double(double) == Some(*value) => serializer.serialize_f64(double),
        _ => Err(ser::Error::custom(format_args!("{value} has too many digits for a number"))),
    }
}

/// Reads a JSON number.
///
/// # Errors
///
/// The value is not a number, or is beyond what a [`Decimal`] holds: too great, or so small that it
/// would be read as 0.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    deserializer.deserialize_any(NumberVisitor)
}

/// The decimal that a double's shortest text stands for; none for one so small that it would be 0.
pub(crate) fn from_double(double: f64) -> Option<Decimal> {
    let text = double.to_string();
    let decimal: Option<Decimal> = text.parse().or_else(|_| Decimal::from_scientific(&text)).ok();
    // Too small for a decimal is not nothing.
    decimal.filter(|decimal| !decimal.is_zero() || double == 0.0).map(|decimal| decimal.normalize())
}

struct NumberVisitor;

impl de::Visitor<'_> for NumberVisitor {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: de::Error>(self, integer: i64) -> Result<Decimal, E> {
        Ok(Decimal::from(integer))
    }

    fn visit_u64<E: de::Error>(self, integer: u64) -> Result<Decimal, E> {
        Ok(Decimal::from(integer))
    }

    fn visit_f64<E: de::Error>(self, double: f64) -> Result<Decimal, E> {
        from_double(double).ok_or_else(|| E::invalid_value(Unexpected::Float(double), &self))
    }
}

/// The same for a number that may be absent or null.
pub mod option {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Number(#[serde(with = "super")] Decimal);

    /// Writes a JSON number or null.
    ///
    /// # Errors
    ///
    /// As [`super::serialize`].
    pub fn serialize<S: Serializer>(
        value: &Option<Decimal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a JSON number or null.
    ///
    /// # Errors
    ///
    /// As [`super::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Decimal>, D::Error> {
        Ok(Option::<Number>::deserialize(deserializer)?.map(|number| number.0))
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Priced {
        #[serde(with = "super")]
        price: Decimal,
        #[serde(default, with = "super::option", skip_serializing_if = "Option::is_none")]
        vat: Option<Decimal>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Priced(Priced),
    }

    fn priced(price: &str, vat: Option<&str>) -> Priced {
        Priced { price: price.parse().unwrap(), vat: vat.map(|vat| vat.parse().unwrap()) }
    }

    #[test]
    fn a_price_is_a_json_number_on_the_wire_and_the_same_decimal_when_read() {
        for price in ["0.25", "0.1", "67.6", "0.3333", "99999999999.9999", "0.0001", "-4.4", "12"] {
            let json = serde_json::to_string(&priced(price, Some("5.2"))).unwrap();
            assert_eq!(json, format!(r#"{{"price":{price},"vat":5.2}}"#));
            let read: Priced = serde_json::from_str(&json).unwrap();
            assert_eq!(read, priced(price, Some("5.2")));
        }
    }

    #[test]
    fn numbers_survive_a_value_and_an_internally_tagged_enum() {
        let tagged = Tagged::Priced(priced("0.1", None));
        let json = serde_json::to_string(&tagged).unwrap();
        assert_eq!(json, r#"{"kind":"Priced","price":0.1}"#);
        assert_eq!(serde_json::from_str::<Tagged>(&json).unwrap(), tagged);
        let value = serde_json::to_value(&tagged).unwrap();
        assert_eq!(serde_json::from_value::<Tagged>(value).unwrap(), tagged);
    }

    #[test]
    fn null_and_absent_are_no_number_and_a_string_is_none_either() {
        let read = serde_json::from_str::<Priced>(r#"{"price":1e-3,"vat":null}"#).unwrap();
        assert_eq!(read, priced("0.001", None));
        assert!(serde_json::from_str::<Priced>(r#"{"price":"0.25"}"#).is_err());
        assert!(serde_json::from_str::<Priced>(r#"{"price":1e300}"#).is_err());
        for small in ["1e-30", "-1e-30", "0.00000000000000000000000000000001"] {
            assert!(serde_json::from_str::<Priced>(&format!(r#"{{"price":{small}}}"#)).is_err());
        }
        for zero in ["0", "0.0", "-0.0", "0e-30"] {
            let read = serde_json::from_str::<Priced>(&format!(r#"{{"price":{zero}}}"#)).unwrap();
            assert!(read.price.is_zero());
        }
    }

    #[test]
    fn a_number_that_would_be_bent_is_refused() {
        let third = Decimal::ONE / Decimal::from(3);
        assert!(serde_json::to_string(&Priced { price: third, vat: None }).is_err());
    }
}
