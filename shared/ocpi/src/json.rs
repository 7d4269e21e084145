//! JSON in which every key of an object is written once.
//!
//! `serde_json` keeps the last of two equal keys and drops the first without a word; RFC 8259,
//! section 4, calls what readers make of it unpredictable. What prices money is read here first.

use std::{cell::RefCell, collections::BTreeSet, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess};
use serde_json::{Map, Number, Value};

use crate::read::Problem;

/// Keys written twice that are told; whoever has more of them has one mistake, not so many.
const TOLD_MAX: usize = 20;

/// Reads `text` as `serde_json` reads a [`Value`], down to the last digit.
///
/// # Errors
///
/// It is not JSON, or a key is written twice in one object: each such key once, by its path.
pub fn parse(text: &str) -> Result<Value, Vec<Problem>> {
    let repeated = Repeated::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let place = Place { key: Key::Root, within: None };
    let read = Reader { place: &place, repeated: &repeated }.deserialize(&mut json);
    let whole = read.and_then(|value| json.end().map(|()| value));
    let value = whole.map_err(|error| {
        vec![Problem { path: String::new(), message: format!("not JSON: {error}") }]
    })?;
    let repeated = repeated.into_problems();
    if repeated.is_empty() { Ok(value) } else { Err(repeated) }
}

/// The paths of the keys that are written more than once.
#[derive(Default)]
struct Repeated(RefCell<BTreeSet<String>>);

impl Repeated {
    fn note(&self, place: &Place) {
        let mut paths = self.0.borrow_mut();
        if paths.len() < TOLD_MAX {
            paths.insert(place.to_string());
        }
    }

    fn into_problems(self) -> Vec<Problem> {
        let message = || "written more than once; keep one of them".to_owned();
        self.0.into_inner().into_iter().map(|path| Problem { path, message: message() }).collect()
    }
}

/// Where in the text we are. Its path is only written out where there is something to tell.
struct Place<'a> {
    key: Key<'a>,
    within: Option<&'a Place<'a>>,
}

#[derive(Clone, Copy)]
enum Key<'a> {
    Root,
    Field(&'a str),
    Item(usize),
}

/// The most of a key that is shown, in characters.
const SHOWN_MAX: usize = 80;

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(within) = self.within {
            within.fmt(f)?;
        }
        let first = self.within.is_none_or(|within| matches!(within.key, Key::Root));
        match self.key {
            Key::Root => Ok(()),
            Key::Item(index) => write!(f, "[{index}]"),
            Key::Field(name) => write!(f, "{}{name:.SHOWN_MAX$}", if first { "" } else { "." }),
        }
    }
}

/// Reads the value at a place.
#[derive(Clone, Copy)]
struct Reader<'a> {
    place: &'a Place<'a>,
    repeated: &'a Repeated,
}

impl Reader<'_> {
    /// Hands a reader of what is at `key` in this place to `read`.
    fn within<T>(self, key: Key, read: impl FnOnce(Reader) -> T) -> T {
        let place = Place { key, within: Some(self.place) };
        read(Reader { place: &place, repeated: self.repeated })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Value, E> {
        Ok(Value::Number(integer.into()))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Value, E> {
        Ok(Value::Number(integer.into()))
    }

    fn visit_f64<E>(self, double: f64) -> Result<Value, E> {
        Ok(Number::from_f64(double).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) =
            self.within(Key::Item(items.len()), |reader| list.next_element_seed(reader))?
        {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = self.within(Key::Field(&name), |reader| {
                if fields.contains_key(&name) {
                    reader.repeated.note(reader.place);
                }
                object.next_value_seed(reader)
            })?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<String> {
        parse(text).unwrap_err().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn a_key_twice_is_told_wherever_it_is_and_once_however_often() {
        let text = r#"{"a": [{"b": 1, "b": 1}, {"c": {"d": 1, "d": 2, "d": 3}}],
                       "e\n": 1, "\u0065\n": 2, "b": {"a": 1}}"#;
        let twice = "written more than once; keep one of them";
        let paths = ["a[0].b", "a[1].c.d", "e\\n"];
        assert_eq!(lines(text), paths.map(|path| format!("{path}: {twice}")));
        assert_eq!(lines(r#"[{"":1,"":2}]"#), [format!("[0].: {twice}")]);
    }

    #[test]
    fn what_is_no_json_is_told_as_serde_json_tells_it() {
        for text in ["", "{", r#"{"a":1,}"#, "{} {}", "1e999", &"[".repeat(10_000)] {
            let expected = serde_json::from_str::<Value>(text).unwrap_err();
            assert_eq!(lines(text), [format!("not JSON: {expected}")]);
        }
    }

    #[test]
    fn a_text_full_of_keys_that_are_there_twice_is_told_in_a_few_short_lines() {
        let name = "x".repeat(100_000);
        let fields: Vec<String> = (0..1000).map(|n| format!(r#""{n}":1,"{n}":2"#)).collect();
        let told = lines(&format!(r#"{{"{name}":{{{}}}}}"#, fields.join(",")));
        assert_eq!(told.len(), TOLD_MAX);
        assert!(told.iter().all(|line| line.len() < 200), "{told:?}");
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".{0,3}", inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_has_every_key_once_is_read_as_serde_json_reads_it(value in json()) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(parse(&text), Ok(serde_json::from_str::<Value>(&text).unwrap()));
        }

        #[test]
        fn a_number_is_the_double_that_serde_json_makes_of_it(
            text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?",
        ) {
            prop_assert_eq!(parse(&text), Ok(serde_json::from_str::<Value>(&text).unwrap()));
        }
    }
}
