//! What goes wrong with a file: one change at a time, so that a failure shrinks to the changes that
//! matter.

use std::iter;

use proptest::{collection::vec, prelude::*, sample::Index, sample::select};

use crate::json::Json;

/// One change to a text.
#[derive(Debug, Clone)]
pub(crate) enum Mutation {
    /// A value is gone.
    Remove(Index),
    /// A value is another one, which may not even be JSON.
    Replace(Index, String),
    /// A field has another name.
    Rename(Index, String),
    /// A field comes twice, with another value the second time.
    Twice(Index, String),
    /// Two values change places.
    Swap(Index, Index),
    /// One value is a copy of another.
    Copy(Index, Index),
    /// An item of a list comes this many times.
    Repeat(Index, usize),
    /// A value is this deep in lists.
    Nest(Index, usize),
    /// The text ends early.
    Truncate(Index),
    /// A part of the text comes twice.
    Stutter(Index, Index),
    /// These bytes are in between.
    Insert(Index, Vec<u8>),
}

/// Values that programs stumble over.
const LEAVES: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "[null]",
    "0",
    "-0",
    "-0.0",
    "1",
    "-1",
    "0.1",
    "1e2",
    "1E+2",
    "1e-9",
    "1e400",
    "-1e400",
    "1e308",
    "5e-324",
    "0.30000000000000004",
    "0.00000000000000000000000000001",
    "1.0000000000000000000000000001",
    "79228162514264337593543950335",
    "79228162514264337593543950336",
    "-79228162514264337593543950335",
    "7922816251426433759354395033.5",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967295",
    "4294967296",
    "2147483647",
    "3600",
    "86400",
    "100",
    "100.1",
    "NaN",
    "Infinity",
    "0x10",
    "01",
    "1.",
    ".5",
    "+1",
    "--1",
    "1e",
    "tru",
    "'a'",
    "\"",
    "\"\\",
    "\"\\ud800\"",
    "\"\"",
    "\" \"",
    "\"0.25\"",
    "\"1e5\"",
    "\"null\"",
    "\"#NA\"",
    "\"a\\nb\"",
    "\"\\u0000\"",
    "\"\\u001b[2J\"",
    "\"\\u202e\\u2028\"",
    "\"é\"",
    "\"👍\"",
    "\"EUR\"",
    "\"eur\"",
    "\"JPY\"",
    "\"KWD\"",
    "\"CLF\"",
    "\"XXX\"",
    "\"XAU\"",
    "\"EURO\"",
    "\"ENERGY\"",
    "\"TIME\"",
    "\"PARKING_TIME\"",
    "\"FLAT\"",
    "\"RESERVATION\"",
    "\"RESERVATION_EXPIRES\"",
    "\"energy\"",
    "\"YES\"",
    "\"NO\"",
    "\"N/A\"",
    "\"MONDAY\"",
    "\"SUNDAY\"",
    "\"Charging\"",
    "\"Faulted\"",
    "\"00:00\"",
    "\"24:00\"",
    "\"23:59\"",
    "\"02:30\"",
    "\"2:30\"",
    "\"25:61\"",
    "\"02:30:00\"",
    "\"0000-00-00\"",
    "\"0001-01-01\"",
    "\"2026-02-29\"",
    "\"2026-03-29\"",
    "\"2026-10-25\"",
    "\"9999-12-31\"",
    "\"10000-01-01\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"1969-12-31T23:59:59Z\"",
    "\"1970-01-01T00:00:00Z\"",
    "\"2016-12-31T23:59:60Z\"",
    "\"2026-03-02T10:30:00Z\"",
    "\"2026-03-29T01:00:00Z\"",
    "\"2026-10-25T02:30:00\"",
    "\"2026-10-25T02:30:00+14:00\"",
    "\"2026-10-25T02:30:00-25:00\"",
    "\"2026-10-25T02:30:00.0004Z\"",
    "\"9999-12-31T23:59:59Z\"",
    "\"+262142-12-31T23:59:59Z\"",
    "\"-262143-01-01T00:00:00Z\"",
    "\"2026-13-01T00:00:00Z\"",
];

/// Names of fields that mean something.
const NAMES: &[&str] = &[
    "",
    "id",
    "ID",
    "type",
    "Type",
    "price",
    "vat",
    "taxes",
    "name",
    "percentage",
    "step_size",
    "elements",
    "price_components",
    "restrictions",
    "min_price",
    "max_price",
    "excl_vat",
    "incl_vat",
    "before_taxes",
    "tax_included",
    "currency",
    "min_kwh",
    "max_kwh",
    "min_current",
    "max_power",
    "min_duration",
    "max_duration",
    "start_time",
    "end_time",
    "start_date",
    "end_date",
    "day_of_week",
    "reservation",
    "start_date_time",
    "end_date_time",
    "charging_periods",
    "dimensions",
    "volume",
    "tariff_id",
    "total_energy",
    "total_cost",
    "tariffs",
    "max_soc",
    "energy",
    "samples",
    "statuses",
    "status",
    "at",
    "power",
    "started_at",
    "ended_at",
    "released_at",
    "meter_start",
    "meter_stop",
    "a\u{7}b",
    "a.b[0]",
];

/// Bytes that a file may have in it.
const BYTES: &[&[u8]] = &[
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\0",
    b"\n",
    b"\x1b[31m",
    b"//",
    b"/* */",
    b",",
    b"}",
    b"]",
    b"{",
    b"[",
    b"\"",
    b"\\",
    b"1e999999999",
    b"99999999999999999999999999999999999",
];

fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(LEAVES).prop_map(str::to_owned),
        // A number with any number of digits before and after the point.
        3 => (any::<i64>(), 0_i32..40).prop_map(|(digits, places)| format!("{digits}e-{places}")),
        2 => (-10_000_i64..10_000, 0_u32..5).prop_map(|(n, scale)| {
            rust_decimal::Decimal::new(n, scale).to_string()
        }),
        1 => (1_usize..12).prop_map(|zeros| format!("1{}", "0".repeat(zeros * 3))),
        1 => "[ -~]{0,12}".prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => "\\PC{0,6}".prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => (2000_i64..2040, 1_u32..13, 1_u32..32, 0_u32..24, 0_u32..60).prop_map(
            |(year, month, day, hour, minute)| {
                format!("\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z\"")
            }
        ),
        1 => (0_u32..24, 0_u32..60).prop_map(|(hour, minute)| format!("\"{hour:02}:{minute:02}\"")),
        1 => (1_usize..12).prop_map(|power| {
            serde_json::Value::from("x".repeat(1 << power)).to_string()
        }),
    ]
}

impl Mutation {
    /// Any change.
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let index = any::<Index>;
        prop_oneof![
            4 => index().prop_map(Self::Remove),
            12 => (index(), leaf()).prop_map(|(at, leaf)| Self::Replace(at, leaf)),
            2 => (index(), select(NAMES)).prop_map(|(at, name)| Self::Rename(at, name.to_owned())),
            1 => (index(), leaf()).prop_map(|(at, leaf)| Self::Twice(at, leaf)),
            4 => (index(), index()).prop_map(|(left, right)| Self::Swap(left, right)),
            4 => (index(), index()).prop_map(|(to, from)| Self::Copy(to, from)),
            2 => (index(), 2_usize..40).prop_map(|(at, times)| Self::Repeat(at, times)),
            1 => (index(), select(vec![1_usize, 2, 120, 130, 10_000])).prop_map(|(at, depth)| {
                Self::Nest(at, depth)
            }),
            1 => index().prop_map(Self::Truncate),
            1 => (index(), index()).prop_map(|(from, to)| Self::Stutter(from, to)),
            1 => (index(), select(BYTES)).prop_map(|(at, bytes)| Self::Insert(at, bytes.to_vec())),
        ]
    }

    /// Some changes, mostly few.
    pub(crate) fn some() -> impl Strategy<Value = Vec<Self>> {
        prop_oneof![6 => vec(Self::any(), 1..4), 1 => vec(Self::any(), 0..16)]
    }
}

/// `text` with `mutations`.
pub(crate) fn mutate(text: &str, mutations: &[Mutation]) -> Vec<u8> {
    let mut json = Json::parse(text).unwrap();
    for mutation in mutations {
        change(&mut json, mutation);
    }
    bytes(json.to_string(), mutations)
}

/// The same for a text of which every line is JSON.
pub(crate) fn mutate_lines(text: &str, mutations: &[Mutation]) -> Vec<u8> {
    let mut lines = Json::List(text.lines().map(|line| Json::parse(line).unwrap()).collect());
    for mutation in mutations {
        change(&mut lines, mutation);
    }
    let lines = match lines {
        Json::List(lines) => lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    };
    bytes(lines, mutations)
}

fn bytes(text: String, mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    for mutation in mutations {
        change_bytes(&mut bytes, mutation);
    }
    bytes
}

fn change(json: &mut Json, mutation: &Mutation) {
    let paths = json.paths();
    let path = |index: &Index| index.get(&paths).clone();
    match mutation {
        Mutation::Replace(at, leaf) => set(json, &path(at), Json::Leaf(leaf.clone())),
        Mutation::Swap(left, right) => {
            let (left, right) = (path(left), path(right));
            // A container cannot change places with what is in it.
            if left.starts_with(&right) || right.starts_with(&left) {
                return;
            }
            let (Some(a), Some(b)) = (json.at(&left).cloned(), json.at(&right).cloned()) else {
                return;
            };
            set(json, &left, b);
            set(json, &right, a);
        }
        Mutation::Copy(to, from) => {
            if let Some(value) = json.at(&path(from)).cloned() {
                set(json, &path(to), value);
            }
        }
        Mutation::Nest(at, depth) => {
            let path = path(at);
            if let Some(value) = json.at(&path).cloned() {
                let nested = format!("{}{value}{}", "[".repeat(*depth), "]".repeat(*depth));
                set(json, &path, Json::Leaf(nested));
            }
        }
        Mutation::Remove(at)
        | Mutation::Rename(at, _)
        | Mutation::Twice(at, _)
        | Mutation::Repeat(at, _) => change_child(json, &path(at), mutation),
        Mutation::Truncate(_) | Mutation::Stutter(..) | Mutation::Insert(..) => {}
    }
}

fn set(json: &mut Json, path: &[usize], value: Json) {
    if let Some(place) = json.at(path) {
        *place = value;
    }
}

/// A change to the container of the value at `path`.
fn change_child(json: &mut Json, path: &[usize], mutation: &Mutation) {
    let Some((&position, container)) = path.split_last() else { return };
    match (json.at(container), mutation) {
        (Some(Json::List(items)), Mutation::Remove(_)) => {
            items.remove(position);
        }
        (Some(Json::Object(fields)), Mutation::Remove(_)) => {
            fields.remove(position);
        }
        (Some(Json::Object(fields)), Mutation::Rename(_, name)) => {
            fields[position].0.clone_from(name);
        }
        (Some(Json::Object(fields)), Mutation::Twice(_, leaf)) => {
            let name = fields[position].0.clone();
            fields.push((name, Json::Leaf(leaf.clone())));
        }
        (Some(Json::List(items)), Mutation::Repeat(_, times)) => {
            let item = items[position].clone();
            items.splice(position..position, iter::repeat_n(item, *times));
        }
        _ => {}
    }
}

fn change_bytes(bytes: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Truncate(at) => bytes.truncate(at.index(bytes.len() + 1)),
        Mutation::Insert(at, inserted) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, inserted.iter().copied());
        }
        Mutation::Stutter(from, to) => {
            let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(from..from, part);
        }
        _ => {}
    }
}
