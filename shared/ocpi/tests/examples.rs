//! Every OCPI object in `events` is read, written in its own version, and compared with the file.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use ocpi::{
    Cdr, CdrDimensionType, Tariff, TaxIncluded, Version, read, schema,
    v2_3_0::{self, Taxes},
    write,
};
use serde_json::Value;

/// The JSON files in the folders of `folder` whose name starts with `start`, at least one.
fn files(folder: &str, start: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(folder);
    let cases = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for case in cases.filter(|path| path.is_dir()) {
        found.extend(fs::read_dir(&case).unwrap().map(|entry| entry.unwrap().path()).filter(
            |path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with(start) && name.ends_with(".json")
            },
        ));
    }
    found.sort();
    assert!(!found.is_empty(), "no {start}* in {}: this test proved nothing", root.display());
    found
}

/// The value with every number as a decimal text, and without what says nothing: 2.00 is 2, and an
/// empty list is as good as none.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let decimal = ocpi::number::deserialize(number).unwrap();
            Value::String(format!("number {}", decimal.normalize()))
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::Object(fields) => {
            let stated = fields.iter().filter(|(_, value)| {
                !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
            });
            Value::Object(stated.map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        other => other.clone(),
    }
}

fn assert_same(path: &Path, ours: &Value, file: &Value) {
    assert_eq!(plain(ours), plain(file), "{}", path.display());
}

#[test]
fn every_tariff_is_the_same_when_it_is_read_and_written_again() {
    let mut seen = Vec::new();
    for path in files("ocpi-examples", "tariff").into_iter().chain(files("rating", "tariff.json")) {
        let text = fs::read_to_string(&path).unwrap();
        let reading = read::tariff_as(&text, None).unwrap();
        assert_eq!(reading.left_out, [], "{}", path.display());
        seen.push(reading.version);
        let tariff = reading.value;
        let stored: Tariff =
            serde_json::from_value(serde_json::to_value(&tariff).unwrap()).unwrap();
        assert_eq!(stored, tariff, "{}", path.display());
        let given: Value = serde_json::from_str(&text).unwrap();
        if reading.version == Version::V2_1_1 {
            let mut ours = serde_json::to_value(&tariff).unwrap();
            for unknown in ["country_code", "party_id"] {
                assert_eq!(ours.as_object_mut().unwrap().remove(unknown).unwrap(), "#NA");
            }
            assert_same(&path, &ours, &given);
            continue;
        }
        assert_eq!(schema::tariff(&tariff, reading.version), [], "{}", path.display());
        let written = write::tariff(&tariff, reading.version).unwrap();
        assert_same(&path, &written.json, &given);
        assert_eq!(written.left_out, [], "{}", path.display());
        in_the_other_version(&path, &tariff, reading.version);
    }
    assert!(Version::ALL.iter().all(|version| seen.contains(version)), "not every version");
}

/// What a tariff says survives the way through the other version.
fn in_the_other_version(path: &Path, tariff: &Tariff, version: Version) {
    let other = if version == Version::V2_2_1 { Version::V2_3_0 } else { Version::V2_2_1 };
    let written = write::tariff(tariff, other);
    if other == Version::V2_2_1 && tariff.tax_included() == TaxIncluded::Yes {
        assert!(written.is_err(), "{}", path.display());
        return;
    }
    let written = written.unwrap();
    let back = read::tariff_as(&written.json.to_string(), Some(other)).unwrap().value;
    let mut expected = tariff.clone();
    expected.tax_included = (other == Version::V2_3_0).then_some(tariff.tax_included());
    if other == Version::V2_2_1 {
        let named = expected.preauthorize_amount.take().is_some();
        assert_eq!(written.left_out.len(), usize::from(named), "{}", path.display());
    }
    assert_eq!(back, expected, "{}", path.display());
}

/// The taxes that a CDR of 2.3.0 names.
fn taxes(cdr: &v2_3_0::Cdr) -> Taxes {
    let of = |price: &Option<v2_3_0::Price>| {
        price.as_ref().map(|price| price.taxes.clone()).unwrap_or_default()
    };
    Taxes {
        total: cdr.total_cost.taxes.clone(),
        fixed: of(&cdr.total_fixed_cost),
        energy: of(&cdr.total_energy_cost),
        time: of(&cdr.total_time_cost),
        parking: of(&cdr.total_parking_cost),
        reservation: of(&cdr.total_reservation_cost),
    }
}

#[test]
fn every_cdr_is_the_same_when_it_is_read_and_written_again() {
    let mut seen = Vec::new();
    for path in files("ocpi-examples", "cdr").into_iter().chain(files("rating", "cdr.json")) {
        let text = fs::read_to_string(&path).unwrap();
        let reading = read::cdr_as(&text, None).unwrap();
        seen.push(reading.version);
        let cdr = reading.value;
        let stored: Cdr = serde_json::from_value(serde_json::to_value(&cdr).unwrap()).unwrap();
        assert_eq!(stored, cdr, "{}", path.display());
        let given: Value = serde_json::from_str(&text).unwrap();
        let taxes = match reading.version {
            // What is read of it has a test of its own.
            Version::V2_1_1 => continue,
            Version::V2_2_1 => {
                assert_eq!(reading.left_out, [], "{}", path.display());
                Taxes::default()
            }
            Version::V2_3_0 => {
                let other = |left: &read::Problem| !left.path.contains(".taxes[");
                assert!(!reading.left_out.iter().any(other), "{}", path.display());
                let typed: v2_3_0::Cdr = serde_json::from_str(&text).unwrap();
                assert_same(&path, &serde_json::to_value(&typed).unwrap(), &given);
                taxes(&typed)
            }
        };
        let written = write::cdr(&cdr, taxes, reading.version).unwrap();
        assert_same(&path, &written.json, &given);
        assert_eq!(written.left_out, [], "{}", path.display());
    }
    assert!(Version::ALL.iter().all(|version| seen.contains(version)), "not every version");
}

#[test]
fn a_cdr_of_2_1_1_says_all_that_ours_can_hold() {
    let all = files("ocpi-examples", "cdr");
    let path = all.iter().find(|path| path.parent().unwrap().ends_with("2.1.1")).unwrap();
    let reading = read::cdr_as(&fs::read_to_string(path).unwrap(), None).unwrap();
    let cdr = reading.value;
    assert_eq!(cdr.end_date_time.to_rfc3339(), "2026-03-02T14:00:00+00:00");
    assert_eq!(cdr.cdr_token.contract_id, "DE-TNM-C00012345-X");
    assert_eq!(cdr.cdr_location.evse_id, "NL*TWT*E1*1");
    assert_eq!(cdr.total_cost.excl_vat, 4.into());
    assert_eq!(cdr.tariffs[0].elements[0].price_components[0].price, 2.into());
    let stated: Vec<_> = cdr.charging_periods[0].dimensions.iter().map(|d| d.dimension).collect();
    let expected = [
        CdrDimensionType::Energy,
        CdrDimensionType::Time,
        CdrDimensionType::MinCurrent,
        CdrDimensionType::MaxCurrent,
    ];
    assert_eq!(stated, expected);
    let mut left_out: Vec<_> = reading.left_out.iter().map(|left| left.path.as_str()).collect();
    left_out.sort_unstable();
    assert_eq!(
        left_out,
        [
            "charging_periods[0].dimensions[0].type",
            "location.evses[0].connectors[0].amperage",
            "location.evses[0].connectors[0].last_updated",
            "location.evses[0].connectors[0].tariff_id",
            "location.evses[0].connectors[0].voltage",
            "location.evses[0].last_updated",
            "location.evses[0].status",
            "location.last_updated",
            "location.time_zone",
            "location.type",
        ]
    );
}
