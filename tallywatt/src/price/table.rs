//! The answer as a table that a person reads.

use std::fmt::Write;

use rating::{Item, ReportLine, Unit};
use rust_decimal::Decimal;

use super::Answer;

/// Columns: what, how much, at which rate, tax, cost without and with it.
type Row = [String; 6];

/// The lines, the totals, and what was untidy.
pub(super) fn render(answer: &Answer) -> String {
    let report = &answer.report;
    let amount = |value: Decimal| amount(value, &report.currency);
    let mut rows = vec![head(&report.currency)];
    for line in &report.lines {
        let incl = line.cost.incl_vat.unwrap_or(line.cost.excl_vat);
        rows.push([
            line.description.to_string(),
            quantity(line),
            rate(line, &report.currency),
            line.vat.map_or_else(|| "-".to_owned(), |vat| format!("{vat} %")),
            amount(line.cost.excl_vat),
            amount(incl),
        ]);
    }
    let total = report.total_cost;
    let blank = String::new;
    let incl = amount(total.incl_vat.unwrap_or(total.excl_vat));
    rows.push(["Total".into(), blank(), blank(), blank(), amount(total.excl_vat), incl]);
    let mut text = columns(&rows);
    let (energy, time) = (report.total_energy, report.total_time);
    // Writing to a String cannot fail.
    let _ = write!(text, "\n{energy} kWh in {time} h");
    if !report.total_parking_time.is_zero() {
        let _ = write!(text, ", {} h of it not charging", report.total_parking_time);
    }
    if let Some(zone) = answer.time_zone {
        let _ = write!(text, "; local time of {zone}");
    }
    text.push('\n');
    if let Some(stated) = answer.stated_total_cost.filter(|stated| !stated.excl_vat.is_zero()) {
        let verdict = if stated.excl_vat == total.excl_vat { "the same" } else { "not the same" };
        let _ = writeln!(text, "The CDR states {} without VAT: {verdict}", amount(stated.excl_vat));
    }
    for finding in &report.findings {
        let (detail, at, count) = (&finding.detail, finding.first_at, finding.count);
        let _ = writeln!(text, "Note: {detail} ({count}, first at {at})");
    }
    for note in &answer.notes {
        let _ = writeln!(text, "Note: {note}");
    }
    text
}

fn head(currency: &str) -> Row {
    let columns = ["", "Quantity", "Rate", "VAT", "Excl. VAT", "Incl. VAT"].map(str::to_owned);
    let [_, quantity, rate, vat, excl, incl] = columns;
    [currency.to_owned(), quantity, rate, vat, excl, incl]
}

/// As many decimals as the currency has, so that columns line up.
fn amount(value: Decimal, currency: &str) -> String {
    let digits = currency.parse().map_or(2, quantities::Currency::minor_digits);
    let mut value = value;
    value.rescale(digits);
    value.to_string()
}

fn quantity(line: &ReportLine) -> String {
    match line.unit {
        Unit::KilowattHour => format!("{} kWh", line.quantity),
        Unit::Second => duration(line.quantity),
        Unit::Hour => format!("{} h", line.quantity),
        Unit::Session => "1".to_owned(),
    }
}

/// `1 h 05 min`, with seconds where there are any.
fn duration(seconds: Decimal) -> String {
    let (hour, minute) = (Decimal::from(3600), Decimal::from(60));
    let hours = (seconds / hour).floor();
    let minutes = ((seconds - hours * hour) / minute).floor();
    let rest = (seconds - hours * hour - minutes * minute).normalize();
    let mut text = String::new();
    if !hours.is_zero() {
        let _ = write!(text, "{hours} h ");
    }
    let _ = write!(text, "{minutes} min");
    if !rest.is_zero() {
        let _ = write!(text, " {rest} s");
    }
    text
}

/// The rate with all its decimals, at least as many as the currency has.
fn rate(line: &ReportLine, currency: &str) -> String {
    let unit = match line.rate_unit {
        Unit::KilowattHour => "/kWh",
        Unit::Second => "/s",
        Unit::Hour => "/h",
        Unit::Session => "",
    };
    if matches!(line.item, Item::MinPrice | Item::MaxPrice) {
        return String::new();
    }
    let digits = currency.parse().map_or(2, quantities::Currency::minor_digits);
    let mut rate = line.rate;
    rate.rescale(digits.max(rate.scale()));
    format!("{rate}{unit}")
}

/// The first column to the left, the others to the right.
fn columns(rows: &[Row]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            let _ = match column {
                0 => write!(text, "{cell}{padding}"),
                _ => write!(text, "  {padding}{cell}"),
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
