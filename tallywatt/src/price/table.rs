//! The answer as a person reads it: a table of the lines, what happened, and why each is there.

use std::fmt::Write;

use quantities::Currency;
use rating::{Item, ReportLine, Unit};
use rust_decimal::Decimal;

use super::{
    Answer,
    layout::{columns, wrap},
};

/// The lines, the totals, the taxes, what was untidy, and why.
pub(super) fn render(answer: &Answer) -> String {
    let mut text = columns(&rows(answer));
    taxes(answer, &mut text);
    happened(answer, &mut text);
    noted(answer, &mut text);
    explained(answer, &mut text);
    text
}

/// Why each line is there, how its amount came about, and which rule came before which.
fn explained(answer: &Answer, text: &mut String) {
    let report = &answer.report;
    text.push_str("\nWhy\n");
    for (number, line) in (1..).zip(&report.lines) {
        let why = &line.why;
        text.push_str(&wrap(&format!("{number:>2}  {}", line.description), 0, 4));
        let over = [&why.over].into_iter().chain(&why.step);
        let price = [&why.price].into_iter().chain(&why.taxes);
        for sentence in [why.reason.clone(), joined(over), joined(price), why.rounding.clone()] {
            text.push_str(&wrap(&sentence, 4, 6));
        }
    }
    text.push_str("\nRules, each on what those before it have left\n");
    for (number, rule) in (1..).zip(report.precedence) {
        text.push_str(&wrap(&format!("{number:>2}  {rule}"), 0, 4));
    }
    let method = &report.method;
    text.push_str(&wrap(&format!("Energy: {}", method.interpolation), 0, 4));
    text.push_str(&wrap(&format!("Rounding: {}", method.rounding), 0, 4));
}

fn joined<'a>(parts: impl Iterator<Item = &'a String>) -> String {
    parts.map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// Columns: what, how much, at which rate, tax, cost without and with it.
fn rows(answer: &Answer) -> Vec<Vec<String>> {
    let report = &answer.report;
    let money = |value| money(value, &report.currency);
    let mut names = report.taxes.iter().map(|tax| tax.name.as_str());
    // A name that would make a wide column is told with its tax below.
    let name = names.next().filter(|name| name.chars().count() <= 8);
    let tax = name.filter(|name| names.all(|other| other == *name)).unwrap_or("Tax").to_owned();
    let (excl, incl) = (format!("Excl. {tax}"), format!("Incl. {tax}"));
    let (quantity, rate) = ("Quantity".to_owned(), "Rate".to_owned());
    let mut rows = vec![vec![report.currency.clone(), quantity, rate, tax, excl, incl]];
    for line in &report.lines {
        rows.push(vec![
            line.description.to_string(),
            quantity_of(line),
            rate_of(line, &report.currency),
            line.vat.map_or_else(|| "-".to_owned(), |vat| format!("{vat} %")),
            money(line.cost.excl_vat),
            money(line.cost.incl_vat.unwrap_or(line.cost.excl_vat)),
        ]);
    }
    let total = report.total_cost;
    let blank = String::new;
    let incl = money(total.incl_vat.unwrap_or(total.excl_vat));
    rows.push(vec!["Total".into(), blank(), blank(), blank(), money(total.excl_vat), incl]);
    rows
}

/// Several taxes one by one: each is owed to somebody else.
fn taxes(answer: &Answer, text: &mut String) {
    let report = &answer.report;
    let money = |value| money(value, &report.currency);
    for tax in report.taxes.iter().filter(|_| report.taxes.len() > 1) {
        let account = tax.account_number.as_ref().map(|number| format!(", account {number}"));
        let (name, percent) = (&tax.name, tax.percentage);
        let (base, amount) = (money(tax.base), money(tax.amount));
        let line = format!("{name} {percent} % on {base}: {amount}{}", account.unwrap_or_default());
        text.push_str(&wrap(&line, 0, 2));
    }
}

fn happened(answer: &Answer, text: &mut String) {
    let report = &answer.report;
    let (energy, time) = (report.total_energy, report.total_time);
    let mut line = format!("{energy} kWh in {time} h");
    if !report.total_parking_time.is_zero() {
        // Writing to a String cannot fail.
        let _ = write!(line, ", {} h of it not charging", report.total_parking_time);
    }
    if let Some(plan) = &report.plan {
        let _ = write!(line, "; plan {} version {}", plan.id, plan.version);
        if plan.spending_cap_reached {
            line.push_str(", its spending cap reached");
        }
    }
    if let Some(zone) = answer.time_zone {
        let _ = write!(line, "; local time of {zone}");
    }
    text.push('\n');
    text.push_str(&wrap(&line, 0, 0));
    let stated = answer.stated_total_cost.filter(|stated| !stated.excl_vat.is_zero());
    if let Some(stated) = stated {
        let (stated, ours) = (stated.excl_vat, report.total_cost.excl_vat);
        let verdict = if stated == ours { "the same" } else { "not the same" };
        let stated = money(stated, &report.currency);
        text.push_str(&wrap(&format!("The CDR states {stated} without tax: {verdict}"), 0, 0));
    }
}

fn noted(answer: &Answer, text: &mut String) {
    for finding in &answer.report.findings {
        let (detail, at, count) = (&finding.detail, finding.first_at, finding.count);
        let at = at.format("%Y-%m-%d %H:%M:%S UTC");
        let times =
            if count > 1 { format!("{count} times, first at {at}") } else { format!("at {at}") };
        text.push_str(&wrap(&format!("Note: {detail} ({times})"), 0, 6));
    }
    for note in &answer.notes {
        text.push_str(&wrap(&format!("Note: {note}"), 0, 6));
    }
}

/// As many decimals as the currency has, so that columns line up; more where there are more.
pub(crate) fn money(value: Decimal, currency: &str) -> String {
    let digits = currency.parse().map_or(2, Currency::minor_digits);
    let mut value = value.normalize();
    value.rescale(digits.max(value.scale()));
    value.to_string()
}

fn quantity_of(line: &ReportLine) -> String {
    amount_of(line.quantity, line.unit)
}

/// `quantity` as a person says it.
pub(super) fn amount_of(quantity: Decimal, unit: Unit) -> String {
    match unit {
        Unit::KilowattHour => format!("{quantity} kWh"),
        Unit::Second => duration(quantity),
        Unit::Hour => format!("{quantity} h"),
        Unit::Session => quantity.to_string(),
    }
}

/// `1 h 05 min`, with seconds where there are any.
fn duration(seconds: Decimal) -> String {
    let (hour, minute) = (Decimal::from(3600), Decimal::from(60));
    let sign = if seconds.is_sign_negative() { "-" } else { "" };
    let seconds = seconds.abs();
    let hours = (seconds / hour).floor();
    let minutes = ((seconds - hours * hour) / minute).floor();
    let rest = (seconds - hours * hour - minutes * minute).normalize();
    let mut text = sign.to_owned();
    if !hours.is_zero() {
        let _ = write!(text, "{hours} h ");
    }
    if hours.is_zero() && minutes.is_zero() && !rest.is_zero() {
        let _ = write!(text, "{rest} s");
        return text;
    }
    let _ = write!(text, "{minutes} min");
    if !rest.is_zero() {
        let _ = write!(text, " {rest} s");
    }
    text
}

/// The rate; nothing where a line only changes the sum of others.
fn rate_of(line: &ReportLine, currency: &str) -> String {
    match line.item {
        Item::MinPrice | Item::MaxPrice | Item::Free | Item::IdleCap => String::new(),
        _ => rate_with_unit(line.rate, line.rate_unit, currency),
    }
}

/// A rate with all its decimals, at least as many as the currency has.
pub(super) fn rate_with_unit(rate: Decimal, unit: Unit, currency: &str) -> String {
    let unit = match unit {
        Unit::KilowattHour => "/kWh",
        Unit::Second => "/s",
        Unit::Hour => "/h",
        Unit::Session => "",
    };
    format!("{}{unit}", money(rate, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_in_the_units_that_it_has() {
        for (seconds, said) in
            [("0", "0 min"), ("7.5", "7.5 s"), ("60", "1 min"), ("3661", "1 h 1 min 1 s")]
        {
            assert_eq!(duration(seconds.parse().unwrap()), said);
        }
        assert_eq!(duration(Decimal::from(-90)), "-1 min 30 s");
    }
}
