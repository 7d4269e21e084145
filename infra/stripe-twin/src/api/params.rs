//! Request parameters: form-encoded, nested with brackets, and none that nobody asked for.
//!
//! <https://docs.stripe.com/api> ("form-encoded request bodies") and
//! <https://docs.stripe.com/error-codes#parameter-unknown>.

use std::collections::BTreeMap;

use super::error::{Answer, ApiError};

/// The parameters of one request. An endpoint takes those it knows; [`Params::finish`] refuses the
/// rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Parses a form-encoded body or query.
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(encoded);
        Self { pairs: pairs.map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// The same parameters in one order, to compare two requests.
    pub(crate) fn fingerprint(&self) -> Vec<(String, String)> {
        let mut pairs = self.pairs.clone();
        pairs.sort();
        pairs
    }

    /// A text; an empty one counts as not given.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.pairs.remove(at);
        (!value.is_empty()).then_some(value)
    }

    /// Whether `name` was given and empty: how Stripe takes a value away.
    pub(crate) fn is_emptied(&mut self, name: &str) -> bool {
        let before = self.pairs.len();
        self.pairs.retain(|(key, value)| key != name || !value.is_empty());
        self.pairs.len() < before
    }

    /// A text that must be there.
    pub(crate) fn required(&mut self, name: &str) -> Answer<String> {
        self.text(name).ok_or_else(|| missing(name))
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, name: &str) -> Answer<Option<i64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            let message = format!("Invalid integer: {text}");
            ApiError::invalid(Some("parameter_invalid_integer"), Some(name), message)
        })?;
        Ok(Some(number))
    }

    /// A whole number that must be there.
    pub(crate) fn required_integer(&mut self, name: &str) -> Answer<i64> {
        self.integer(name)?.ok_or_else(|| missing(name))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &str) -> Answer<Option<bool>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(ApiError::invalid(None, Some(name), format!("Invalid boolean: {text}"))),
        }
    }

    /// One of `allowed`.
    pub(crate) fn one_of(&mut self, name: &str, allowed: &[&str]) -> Answer<Option<String>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if allowed.contains(&text.as_str()) {
            return Ok(Some(text));
        }
        let message = format!("Invalid {name}: must be one of {}", allowed.join(", "));
        Err(ApiError::invalid(None, Some(name), message))
    }

    /// A list: `name[]=…` or `name[0]=…`.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let (mine, rest) = std::mem::take(&mut self.pairs).into_iter().partition(|(key, _)| {
            let index = key.strip_prefix(name).and_then(|key| key.strip_prefix('['));
            let index = index.and_then(|key| key.strip_suffix(']'));
            index.is_some_and(|index| index.chars().all(|c| c.is_ascii_digit()))
        });
        self.pairs = rest;
        let mine: Vec<(String, String)> = mine;
        mine.into_iter().map(|(_, value)| value).collect()
    }

    /// A map: `name[key]=value`.
    ///
    /// Limits: <https://docs.stripe.com/metadata> (50 keys, names up to 40 characters, values 500).
    pub(crate) fn metadata(&mut self) -> Answer<BTreeMap<String, String>> {
        let map: BTreeMap<_, _> = self.nested("metadata").pairs.into_iter().collect();
        let fits = |(key, value): (&String, &String)| key.len() <= 40 && value.len() <= 500;
        if map.len() <= 50 && map.iter().all(fits) {
            return Ok(map);
        }
        let message = "Metadata can have 50 keys of 40 characters, with values of 500 characters.";
        Err(ApiError::invalid(None, Some("metadata"), message))
    }

    /// The parameters below `name`: `name[a][b]=…` becomes `a[b]=…`.
    pub(crate) fn nested(&mut self, name: &str) -> Self {
        let mut inner = Vec::new();
        self.pairs.retain(|(key, value)| {
            let below = key.strip_prefix(name).and_then(|key| key.strip_prefix('['));
            let Some((first, rest)) = below.and_then(|key| key.split_once(']')) else {
                return true;
            };
            inner.push((format!("{first}{rest}"), value.clone()));
            false
        });
        Self { pairs: inner }
    }

    /// The elements of a list of objects: `name[0][a]=…`.
    pub(crate) fn objects(&mut self, name: &str) -> Vec<Self> {
        let mut inner = self.nested(name);
        let mut objects = Vec::new();
        for index in 0.. {
            let object = inner.nested(&index.to_string());
            if object.pairs.is_empty() {
                break;
            }
            objects.push(object);
        }
        // Whatever is left is no element; give it back for `finish` to refuse.
        self.pairs.extend(inner.pairs);
        objects
    }

    /// Refuses what was not taken.
    pub(crate) fn finish(self) -> Answer<()> {
        let Some((name, _)) = self.pairs.first() else { return Ok(()) };
        let message = format!("Received unknown parameter: {name}");
        Err(ApiError::invalid(Some("parameter_unknown"), Some(name), message))
    }
}

fn missing(name: &str) -> Box<ApiError> {
    let message = format!("Missing required param: {name}.");
    ApiError::invalid(Some("parameter_missing"), Some(name), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_nest_and_what_nobody_takes_is_refused() {
        let mut params = Params::parse(
            b"metadata%5Ba%5D=1&expand[0]=x&expand[]=y&items[0][price]=p&items[1][price]=q&b=2",
        );
        assert_eq!(params.metadata().unwrap().get("a").map(String::as_str), Some("1"));
        assert_eq!(params.list("expand"), ["x", "y"]);
        let prices = params.objects("items").into_iter().map(|mut item| item.text("price"));
        assert_eq!(prices.collect::<Vec<_>>(), [Some("p".into()), Some("q".into())]);
        let refused = params.finish().unwrap_err();
        assert_eq!(refused.code.as_deref(), Some("parameter_unknown"));
        assert_eq!(refused.param.as_deref(), Some("b"));
    }

    #[test]
    fn an_amount_that_is_no_integer_is_refused() {
        let mut params = Params::parse(b"amount=10.50");
        let refused = params.integer("amount").unwrap_err();
        assert_eq!(refused.code.as_deref(), Some("parameter_invalid_integer"));
    }
}
