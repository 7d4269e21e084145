//! What has to be true of every answer.

use std::path::Path;

use proptest::{
    prop_assert, prop_assert_eq,
    test_runner::{TestCaseError, TestCaseResult},
};
use rust_decimal::Decimal;
use serde_json::Value;
use tallywatt::price::Answer;

use crate::program::Ended;

/// The widest line that people get.
const WIDEST: usize = 100;
/// The longest line that says what is wrong, without the folder of its file.
const LONGEST: usize = 300;

/// Amounts below this one are exact in JSON.
const MOST: i64 = 100_000_000_000;

/// A priced session adds up, prints, and prints within its width.
pub(crate) fn answer(answer: &Answer) -> TestCaseResult {
    match answer.to_json() {
        Ok(json) => adds_up(&parsed(&json)?)?,
        Err(problems) => prop_assert!(problems[0].ends_with("too many digits for a number")),
    }
    text(&answer.to_string())
}

fn parsed(json: &str) -> Result<Value, TestCaseError> {
    serde_json::from_str(json).map_err(|error| TestCaseError::fail(error.to_string()))
}

/// What people get fits their terminal, and leaves it as it is.
pub(crate) fn text(text: &str) -> TestCaseResult {
    for line in text.lines() {
        prop_assert!(line.chars().count() <= WIDEST, "too wide: {line}");
        is_printable(line)?;
    }
    Ok(())
}

/// The lines of a report are its total, with tax and without. JSON carries 15 digits; larger sums
/// are left to the properties of `rating`.
fn adds_up(json: &Value) -> TestCaseResult {
    let total = &json["total_cost"];
    for view in ["excl_vat", "incl_vat"] {
        let number = |price: &Value| ocpi::number::deserialize(&price[view]).ok();
        let lines = json["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(total) = number(total).filter(|total| total.abs() < Decimal::from(MOST)) else {
            continue;
        };
        let sum: Option<Decimal> = lines.iter().map(|line| number(&line["cost"])).sum();
        prop_assert_eq!(sum, Some(total), "the lines do not add up {}", view);
    }
    Ok(())
}

/// Every problem is one line that a person can read: which file, where, and what.
pub(crate) fn problems(problems: &[String], folder: &Path) -> TestCaseResult {
    prop_assert!(!problems.is_empty(), "refused without a reason");
    let folder = format!("{}/", folder.display());
    for problem in problems {
        is_printable(problem)?;
        let told = problem.replace(&folder, "");
        prop_assert!(told.chars().count() <= LONGEST, "too long: {told}");
        prop_assert!(
            told.chars().filter(|c| c.is_alphabetic()).count() >= 10,
            "says nothing: {told}"
        );
        prop_assert!(!told.contains(": :") && !told.ends_with(": "), "says nothing: {told}");
    }
    Ok(())
}

fn is_printable(line: &str) -> TestCaseResult {
    let hidden = |c: &char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(c);
    let found = line.chars().find(hidden);
    prop_assert_eq!(found, None, "not printable: {:?}", line);
    Ok(())
}

/// The command says what the library says: the price and nothing else, or the problems and exit
/// code 2.
pub(crate) fn ended(
    ended: &Ended,
    json: &Result<String, Vec<String>>,
    folder: &Path,
) -> TestCaseResult {
    let Ended { code, out, err } = ended;
    match json {
        Ok(json) => {
            prop_assert_eq!((*code, err.as_str()), (Some(0), ""), "priced, and yet");
            prop_assert_eq!(parsed(out)?, parsed(json)?);
        }
        Err(expected) => {
            prop_assert_eq!((*code, out.as_str()), (Some(2), ""), "{}", err);
            let told: Option<Vec<_>> =
                err.lines().map(|line| line.strip_prefix("error: ")).collect();
            let Some(told) = told else {
                return Err(TestCaseError::fail(format!("a line is no error: {err}")));
            };
            prop_assert_eq!(&told, expected);
            let told: Vec<String> = told.into_iter().map(str::to_owned).collect();
            problems(&told, folder)?;
        }
    }
    Ok(())
}
