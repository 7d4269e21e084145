//! What others send is read or refused, never panicked over: every OCPI object in `events`, with
//! something in it replaced, left out or added, read as each version.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

use std::{fs, path::Path, sync::LazyLock};

use ocpi::{
    Version, read,
    read::{Problem, Reading},
    v2_3_0::Taxes,
    write,
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;

/// Every tariff and CDR in `events`.
static OBJECTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let mut objects = Vec::new();
    for folder in ["ocpi-examples", "rating"] {
        for case in fs::read_dir(events.join(folder)).unwrap().map(|case| case.unwrap().path()) {
            let files = if case.is_dir() { fs::read_dir(case).unwrap() } else { continue };
            for file in files.map(|file| file.unwrap().path()) {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                if name.starts_with("tariff") || name.starts_with("cdr") {
                    let text = fs::read_to_string(&file).unwrap();
                    objects.push(serde_json::from_str(&text).unwrap());
                }
            }
        }
    }
    assert!(objects.len() > 50, "too few objects to prove anything");
    objects
});

fn hostile() -> impl Strategy<Value = Value> {
    let texts =
        ["", "#NA", "N/A", "24:00", "2026-02-30", "9999-12-31T23:59:59Z", "EUR\nEUR", "🔌", "TIME"];
    let numbers =
        ["0", "-1", "1e400", "1e-400", "79228162514264337593543950335.5", "0.1", "4294967296"];
    let number = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(numbers.map(number).to_vec()),
        select(texts.map(Value::from).to_vec()),
        Just(serde_json::json!([])),
        Just(serde_json::json!({})),
        Just(serde_json::json!([{}, null, [[]]])),
    ]
}

/// Replaces, removes or adds something at a place that `way` leads to.
fn spoil(value: &mut Value, way: &[u8], with: Value) {
    let step = usize::from(way.first().copied().unwrap_or_default());
    match value {
        Value::Object(fields) if way.len() > 1 && !fields.is_empty() => {
            let name = fields.keys().nth(step % fields.len()).unwrap().clone();
            if step >= 250 {
                fields.remove(&name);
            } else if step >= 240 {
                fields.insert("more\r\n".to_owned(), with);
            } else {
                spoil(&mut fields[&name], &way[1..], with);
            }
        }
        Value::Array(items) if way.len() > 1 && !items.is_empty() => {
            let index = step % items.len();
            spoil(&mut items[index], &way[1..], with);
        }
        place => *place = with,
    }
}

/// A refusal says why, one line a problem.
fn lines(problems: &[Problem]) -> bool {
    problems
        .iter()
        .all(|problem| !problem.message.is_empty() && !problem.to_string().contains(['\n', '\r']))
}

fn told<T>(result: &Result<Reading<T>, Vec<Problem>>) -> bool {
    match result {
        Ok(reading) => lines(&reading.left_out),
        Err(problems) => !problems.is_empty() && lines(problems),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_object_is_read_or_refused_with_its_reasons(
        index in any::<prop::sample::Index>(),
        spoils in vec((vec(any::<u8>(), 1..7), hostile()), 1..4),
        version in select(vec![None, Some(Version::V2_1_1), Some(Version::V2_2_1), Some(Version::V2_3_0)]),
    ) {
        let mut object = index.get(&OBJECTS[..]).clone();
        for (way, with) in spoils {
            spoil(&mut object, &way, with);
        }
        let text = object.to_string();
        let tariff = read::tariff_as(&text, version);
        prop_assert!(told(&tariff), "{tariff:?}");
        let cdr = read::cdr_as(&text, version);
        prop_assert!(told(&cdr), "{cdr:?}");
        for version in Version::ALL {
            if let Ok(reading) = &tariff {
                let written = write::tariff(&reading.value, version);
                prop_assert!(written.is_ok() || written.is_err_and(|problems| lines(&problems)));
            }
            if let Ok(reading) = &cdr {
                let written = write::cdr(&reading.value, Taxes::default(), version);
                prop_assert!(written.is_ok() || written.is_err_and(|problems| lines(&problems)));
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused_with_its_reasons(text in "\\PC*") {
        prop_assert!(told(&read::tariff_as(&text, None)));
        prop_assert!(told(&read::cdr_as(&text, None)));
    }
}
