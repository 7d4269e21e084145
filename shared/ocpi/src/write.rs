//! Writes tariffs and CDRs for others, in 2.2.1 and 2.3.0: nothing that the schema forbids leaves,
//! and what a version cannot say is named.

use serde::Serialize;
use serde_json::Value;

use crate::{
    Cdr, Tariff, TaxIncluded, TokenType, Version,
    read::Problem,
    schema,
    v2_3_0::{self, Taxes},
};

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Writing {
    /// The object.
    pub json: Value,
    /// What of it is not in `json`, and why.
    pub left_out: Vec<Problem>,
}

/// Writes a _Tariff_ object in `version`.
///
/// # Errors
///
/// Everything that the version's schema forbids. 2.2.1 has no words for prices with taxes, and
/// 2.1.1 is not written.
pub fn tariff(tariff: &Tariff, version: Version) -> Result<Writing, Vec<Problem>> {
    written(version)?;
    let problems = schema::tariff(tariff, version);
    if !problems.is_empty() {
        return Err(problems);
    }
    if version >= Version::V2_3_0 {
        let json = json(&v2_3_0::Tariff::from(tariff.clone()))?;
        return Ok(Writing { json, left_out: Vec::new() });
    }
    let (tariff, left_out) = in_2_2_1(tariff.clone(), "");
    Ok(Writing { json: json(&tariff)?, left_out })
}

/// Writes a _CDR_ object in `version`, its prices with `taxes` where the version names them.
///
/// # Errors
///
/// Everything that the version's schema forbids, and taxes that do not add up; 2.1.1 is not written.
pub fn cdr(cdr: &Cdr, taxes: Taxes, version: Version) -> Result<Writing, Vec<Problem>> {
    written(version)?;
    let mut cdr = cdr.clone();
    let mut left_out = Vec::new();
    if version < Version::V2_3_0 {
        cdr.tariffs = tariffs_in_2_2_1(cdr.tariffs, &mut left_out);
        if cdr.cdr_token.token_type == TokenType::Emaid {
            cdr.cdr_token.token_type = TokenType::Other;
            left_out.push(says("cdr_token.type", "OCPI 2.2.1 has no EMAID; written as OTHER"));
        }
    }
    let problems = schema::cdr(&cdr, version);
    if !problems.is_empty() {
        return Err(problems);
    }
    if version >= Version::V2_3_0 {
        return Ok(Writing { json: json(&v2_3_0::cdr(cdr, taxes)?)?, left_out });
    }
    Ok(Writing { json: json(&cdr)?, left_out })
}

fn written(version: Version) -> Result<(), Vec<Problem>> {
    match version {
        Version::V2_1_1 => Err(vec![says("", "OCPI 2.1.1 is read, not written")]),
        Version::V2_2_1 | Version::V2_3_0 => Ok(()),
    }
}

fn json<T: Serialize>(object: &T) -> Result<Value, Vec<Problem>> {
    serde_json::to_value(object).map_err(|error| vec![says("", &error.to_string())])
}

fn says(path: &str, message: &str) -> Problem {
    Problem { path: path.to_owned(), message: message.to_owned() }
}

/// The tariff without the fields that 2.2.1 does not know. That no taxes apply is said by stating no
/// VAT; prices with taxes are for the caller to refuse.
fn in_2_2_1(mut tariff: Tariff, path: &str) -> (Tariff, Vec<Problem>) {
    if tariff.tax_included.take() == Some(TaxIncluded::NotApplicable) {
        let elements = tariff.elements.iter_mut();
        for component in elements.flat_map(|element| &mut element.price_components) {
            component.vat = None;
        }
    }
    let preauthorize = tariff.preauthorize_amount.take();
    let path = format!("{path}preauthorize_amount");
    let left_out = preauthorize.map(|_| says(&path, "OCPI 2.2.1 has no such field"));
    (tariff, left_out.into_iter().collect())
}

/// The tariffs that 2.2.1 can say. A CDR may be without them.
fn tariffs_in_2_2_1(tariffs: Vec<Tariff>, left_out: &mut Vec<Problem>) -> Vec<Tariff> {
    let mut kept = Vec::with_capacity(tariffs.len());
    for (index, tariff) in tariffs.into_iter().enumerate() {
        let path = format!("tariffs[{index}]");
        if tariff.tax_included() == TaxIncluded::Yes {
            left_out.push(says(&path, "OCPI 2.2.1 has no prices with taxes"));
            continue;
        }
        let (tariff, of_it) = in_2_2_1(tariff, &format!("{path}."));
        left_out.extend(of_it);
        kept.push(tariff);
    }
    kept
}
