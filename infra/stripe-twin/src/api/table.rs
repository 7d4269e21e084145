//! Objects by id, in the order they were made.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Answer, ApiError, Params};

/// All objects of one kind.
#[derive(Debug)]
pub(crate) struct Table<T> {
    what: &'static str,
    param: &'static str,
    order: Vec<String>,
    rows: HashMap<String, T>,
}

impl<T> Table<T> {
    /// An empty table; Stripe's errors call its objects `what` and their URL parameter `param`.
    pub(crate) fn new(what: &'static str, param: &'static str) -> Self {
        Self { what, param, order: Vec::new(), rows: HashMap::new() }
    }

    pub(crate) fn insert(&mut self, id: &str, row: T) {
        if self.rows.insert(id.to_owned(), row).is_none() {
            self.order.push(id.to_owned());
        }
    }

    /// The object of a URL.
    pub(crate) fn get(&self, id: &str) -> Answer<&T> {
        self.rows.get(id).ok_or_else(|| ApiError::not_found(self.what, id, self.param))
    }

    /// The object of a URL, to change it.
    pub(crate) fn get_mut(&mut self, id: &str) -> Answer<&mut T> {
        let missing = || ApiError::not_found(self.what, id, self.param);
        self.rows.get_mut(id).ok_or_else(missing)
    }

    /// The object that the parameter `param` names.
    pub(crate) fn referenced(&self, id: &str, param: &str) -> Answer<&T> {
        self.rows.get(id).ok_or_else(|| ApiError::missing_reference(self.what, id, param))
    }

    pub(crate) fn find(&self, id: &str) -> Option<&T> {
        self.rows.get(id)
    }

    /// In the order they were made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.order.iter().filter_map(|id| self.rows.get(id))
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.order.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// A page of a list, newest first. <https://docs.stripe.com/api/pagination>
    pub(crate) fn page(
        &self,
        mut params: Params,
        url: &str,
        keep: impl Fn(&T) -> bool,
        render: impl Fn(&T) -> Value,
    ) -> Answer<Value> {
        let limit = params.integer("limit")?.unwrap_or(10);
        let (after, before) = (params.text("starting_after"), params.text("ending_before"));
        params.finish()?;
        if !(1..=100).contains(&limit) {
            return Err(ApiError::invalid(None, Some("limit"), "limit is 1 to 100"));
        }
        let limit = usize::try_from(limit).unwrap_or(10);
        let newest_first = self.order.iter().rev();
        let kept = newest_first.filter(|id| self.rows.get(*id).is_some_and(&keep));
        let mut ids: Vec<&String> = kept.collect();
        if let Some(after) = after {
            let at = ids.iter().position(|id| **id == after);
            let at =
                at.ok_or_else(|| ApiError::missing_reference(self.what, &after, "starting_after"))?;
            ids.drain(..=at);
        }
        let mut has_more = ids.len() > limit;
        if let Some(before) = before {
            let at = ids.iter().position(|id| **id == before);
            let at =
                at.ok_or_else(|| ApiError::missing_reference(self.what, &before, "ending_before"))?;
            ids.truncate(at);
            has_more = ids.len() > limit;
            ids.drain(..ids.len().saturating_sub(limit));
        }
        ids.truncate(limit);
        let rows = ids.into_iter().filter_map(|id| self.rows.get(id));
        let data: Vec<Value> = rows.map(render).collect();
        Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": data }))
    }
}
