//! JSON that may be wrong: keys may come twice, and a leaf is any text at all.

use std::fmt;

use serde_json::Value;

/// A JSON text as a tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// A number, text, true, false or null as it is written; or whatever is there instead.
    Leaf(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// Where a value is: the position within each container on the way.
type Path = Vec<usize>;

impl Json {
    /// Reads a text that is JSON.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(Self::from(&serde_json::from_str::<Value>(text)?))
    }

    /// The paths of all values, the root first.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        self.walk(&mut Vec::new(), &mut paths);
        paths
    }

    fn walk(&self, here: &mut Path, paths: &mut Vec<Path>) {
        paths.push(here.clone());
        let mut child = |position, child: &Self| {
            here.push(position);
            child.walk(here, paths);
            here.pop();
        };
        match self {
            Self::Leaf(_) => {}
            Self::List(items) => items.iter().enumerate().for_each(|(n, item)| child(n, item)),
            Self::Object(fields) => {
                fields.iter().enumerate().for_each(|(n, (_, value))| child(n, value));
            }
        }
    }

    /// The value at `path`.
    pub(crate) fn at(&mut self, path: &[usize]) -> Option<&mut Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let child = match self {
            Self::Leaf(_) => None,
            Self::List(items) => items.get_mut(*first),
            Self::Object(fields) => fields.get_mut(*first).map(|(_, value)| value),
        };
        child?.at(rest)
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| (name.clone(), Self::from(value));
                Self::Object(fields.iter().map(field).collect())
            }
            leaf => Self::Leaf(leaf.to_string()),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (position, item) in items.iter().enumerate() {
                    let comma = if position == 0 { "" } else { "," };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (position, (name, value)) in fields.iter().enumerate() {
                    let comma = if position == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", Value::from(name.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}
