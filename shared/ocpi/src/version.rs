//! The versions of OCPI, and how to tell them apart.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A version of OCPI. Objects of different versions differ; nothing in them says which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// 2.1.1: no VAT, no least and most price, no reservations. Read, not written.
    #[serde(rename = "2.1.1")]
    V2_1_1,
    /// 2.2.1: prices without VAT.
    #[serde(rename = "2.2.1")]
    V2_2_1,
    /// 2.3.0: any number of taxes, which may be in a tariff's prices.
    #[serde(rename = "2.3.0")]
    V2_3_0,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::V2_1_1, Self::V2_2_1, Self::V2_3_0];

    /// The number as OCPI's version endpoint spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2_1_1 => "2.1.1",
            Self::V2_2_1 => "2.2.1",
            Self::V2_3_0 => "2.3.0",
        }
    }

    /// The version that a _Tariff_ object is written in: 2.3.0 if it has a field that only 2.3.0
    /// knows, 2.1.1 if it names no owner and has no field that 2.1.1 does not know.
    #[must_use]
    pub fn of_tariff(tariff: &Value) -> Self {
        let limits = ["min_price", "max_price"];
        if has_any(tariff, &["tax_included", "preauthorize_amount"])
            || limits.iter().any(|limit| is_2_3_0_price(tariff.get(limit)))
        {
            return Self::V2_3_0;
        }
        let later =
            ["country_code", "party_id", "type", "min_price", "max_price", "start_date_time"];
        let vat = |element: &Value| {
            let components = element.get("price_components").and_then(Value::as_array);
            components.is_some_and(|list| list.iter().any(|component| has_any(component, &["vat"])))
        };
        let restricted = |element: &Value| {
            let later = ["min_current", "max_current", "reservation"];
            element.get("restrictions").is_some_and(|restrictions| has_any(restrictions, &later))
        };
        let elements = tariff.get("elements").and_then(Value::as_array);
        let later_element = elements
            .is_some_and(|list| list.iter().any(|element| vat(element) || restricted(element)));
        let early = has_any(tariff, &["id"]) && !has_any(tariff, &later) && !later_element;
        if early && !has_any(tariff, &["end_date_time"]) { Self::V2_1_1 } else { Self::V2_2_1 }
    }

    /// The version that a _CDR_ object is written in, by the fields that only one version has.
    #[must_use]
    pub fn of_cdr(cdr: &Value) -> Self {
        let costs = [
            "total_cost",
            "total_fixed_cost",
            "total_energy_cost",
            "total_time_cost",
            "total_parking_cost",
            "total_reservation_cost",
        ];
        if has_any(cdr, &["stop_date_time", "auth_id", "location"])
            || cdr.get("total_cost").is_some_and(Value::is_number)
        {
            return Self::V2_1_1;
        }
        let tariffs = cdr.get("tariffs").and_then(Value::as_array);
        let taxed = |tariff: &Value| has_any(tariff, &["tax_included"]);
        if costs.iter().any(|cost| is_2_3_0_price(cdr.get(cost)))
            || tariffs.is_some_and(|tariffs| tariffs.iter().any(taxed))
        {
            return Self::V2_3_0;
        }
        Self::V2_2_1
    }
}

fn has_any(value: &Value, names: &[&str]) -> bool {
    names.iter().any(|name| value.get(name).is_some_and(|value| !value.is_null()))
}

fn is_2_3_0_price(price: Option<&Value>) -> bool {
    price.is_some_and(|price| has_any(price, &["before_taxes", "after_taxes"]))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|version| version.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is not 2.1.1, 2.2.1 or 2.3.0"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tariff_tells_its_version_by_the_fields_that_only_one_has() {
        let elements = json!([{"price_components": [{"type": "FLAT", "price": 0}]}]);
        let plain = json!({"id": "12", "currency": "EUR", "elements": elements});
        assert_eq!(Version::of_tariff(&plain), Version::V2_1_1);
        for (name, value, version) in [
            ("country_code", json!("NL"), Version::V2_2_1),
            ("min_price", json!({"excl_vat": 1}), Version::V2_2_1),
            ("end_date_time", json!("2026-01-01T00:00:00Z"), Version::V2_2_1),
            ("tax_included", json!("NO"), Version::V2_3_0),
            ("max_price", json!({"before_taxes": 1}), Version::V2_3_0),
            ("preauthorize_amount", json!(50), Version::V2_3_0),
            ("tax_included", json!(null), Version::V2_1_1),
        ] {
            let mut tariff = plain.clone();
            tariff[name] = value;
            assert_eq!(Version::of_tariff(&tariff), version, "{tariff}");
        }
        let mut taxed = plain.clone();
        taxed["elements"][0]["price_components"][0]["vat"] = json!(20);
        assert_eq!(Version::of_tariff(&taxed), Version::V2_2_1);
        let mut reserved = plain;
        reserved["elements"][0]["restrictions"] = json!({"reservation": "RESERVATION"});
        assert_eq!(Version::of_tariff(&reserved), Version::V2_2_1);
    }

    #[test]
    fn a_cdr_tells_its_version_by_the_fields_that_only_one_has() {
        for (cdr, version) in [
            (json!({"total_cost": 4.00}), Version::V2_1_1),
            (json!({"stop_date_time": "2026-01-01T00:00:00Z"}), Version::V2_1_1),
            (json!({"total_cost": {"excl_vat": 4}}), Version::V2_2_1),
            (json!({}), Version::V2_2_1),
            (json!({"total_time_cost": {"before_taxes": 4}}), Version::V2_3_0),
            (json!({"tariffs": [{"tax_included": "YES"}]}), Version::V2_3_0),
        ] {
            assert_eq!(Version::of_cdr(&cdr), version, "{cdr}");
        }
    }

    #[test]
    fn a_version_is_spelled_as_the_version_endpoint_spells_it() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
            assert_eq!(serde_json::to_value(version).unwrap(), json!(version.as_str()));
        }
        assert!("2.2".parse::<Version>().is_err());
    }
}
