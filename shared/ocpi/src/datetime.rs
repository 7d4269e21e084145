//! OCPI `DateTime`: RFC 3339 in UTC, string(25); without a designator it means UTC too.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, SubsecRound, Utc};
use serde::{Deserialize, Deserializer, Serializer, de};

/// Reads an OCPI `DateTime` (2.2.1, `types.asciidoc`). An offset is tolerated and converted.
#[must_use]
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    zoned.or_else(|_| text.parse::<NaiveDateTime>().map(|at| at.and_utc())).ok()
}

/// Writes to the millisecond, the most that string(25) holds.
pub(crate) fn serialize<S: Serializer>(
    at: &DateTime<Utc>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = at.trunc_subsecs(3).to_rfc3339_opts(SecondsFormat::AutoSi, true);
    serializer.serialize_str(&text)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| de::Error::custom(format_args!("`{text}` is not an OCPI DateTime")))
}

pub(crate) mod option {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct At(#[serde(with = "super")] DateTime<Utc>);

    #[expect(clippy::ref_option, reason = "serde's `with` gives a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(
        at: &Option<DateTime<Utc>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        Ok(Option::<At>::deserialize(deserializer)?.map(|at| at.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_ocpi_allows_is_read_as_utc() {
        let whole = "2015-06-29T20:39:09Z".parse::<DateTime<Utc>>().unwrap();
        for text in ["2015-06-29T20:39:09Z", "2015-06-29T20:39:09", "2015-06-29T22:39:09+02:00"] {
            assert_eq!(parse(text), Some(whole), "{text}");
        }
        assert_eq!(parse("2018-01-01T01:08:01.123").unwrap().timestamp_subsec_millis(), 123);
        assert_eq!(parse("2018-01-01"), None);
    }
}
