//! A block of moments in words: `on Sunday 02:00-06:00, from 10 kWh on`.

use std::fmt::Display;

use chrono::{NaiveDate, Weekday};
use rust_decimal::Decimal;

use super::{
    cover::{Axis, Block, Cells},
    space::{Day, Scale, Space},
};
use crate::exact::WH_PER_KWH;

/// What `block` is, as far as it says less than all of `domain`.
pub(super) fn describe(space: &Space, block: &Block, domain: &Block) -> String {
    let limits = |axis| {
        let cells = block.cells(axis)?;
        (Some(cells) != domain.cells(axis)).then_some(cells)
    };
    let mut parts = Vec::new();
    let days = limits(Axis::Day).zip(domain.cells(Axis::Day));
    let day = days.map(|(cells, all)| days_in_words(&space.days, cells, all));
    let time = limits(Axis::Time).map(|cells| times_in_words(space, cells));
    parts.extend(match (day, time) {
        (Some(day), Some(time)) => Some(format!("{day} {time}")),
        (day, time) => day.or(time),
    });
    let number = |number: Decimal| number.normalize().to_string();
    let kwh = |wh: Decimal| wh.checked_div(WH_PER_KWH).unwrap_or(wh).normalize().to_string();
    parts.extend(limits(Axis::Energy).map(|cells| ranges(&space.energies_wh, cells, kwh, "kWh")));
    parts.extend(limits(Axis::Duration).map(|cells| {
        let words = ranges(&space.durations_s, cells, |seconds| seconds.to_string(), "s");
        format!("{words} of the session")
    }));
    parts.extend(limits(Axis::Power).map(|cells| ranges(&space.powers_kw, cells, number, "kW")));
    parts.extend(limits(Axis::Current).map(|cells| ranges(&space.currents_a, cells, number, "A")));
    if limits(Axis::Expired).is_some_and(|cells| !cells.contains(1)) {
        parts.push("while the reservation has not expired".to_owned());
    }
    if parts.is_empty() { "at any time".to_owned() } else { parts.join(", ") }
}

/// Index ranges `from..until` of neighbouring cells.
fn runs(cells: &Cells, count: usize) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for cell in (0..count).filter(|cell| cells.contains(*cell)) {
        match runs.last_mut() {
            Some((_, until)) if *until == cell => *until = cell + 1,
            _ => runs.push((cell, cell + 1)),
        }
    }
    runs
}

fn times_in_words(space: &Space, cells: &Cells) -> String {
    let starts = &space.times.starts;
    let clock = |cell: usize| match starts.get(cell) {
        Some(time) => time.format("%H:%M").to_string(),
        None => "24:00".to_owned(),
    };
    let runs = runs(cells, starts.len());
    let runs = runs.into_iter().map(|(from, until)| format!("{}-{}", clock(from), clock(until)));
    list(&runs.collect::<Vec<_>>())
}

fn ranges<T: Copy>(
    scale: &Scale<T>,
    cells: &Cells,
    number: impl Fn(T) -> String,
    unit: &str,
) -> String {
    let value = |cell: usize| scale.starts.get(cell).map(|value| number(*value));
    let range = |(from, until): (usize, usize)| match (value(from), value(until)) {
        (_, Some(until)) if from == 0 => format!("below {until} {unit}"),
        (Some(from), Some(until)) => format!("from {from} to {until} {unit}"),
        (Some(from), None) => format!("from {from} {unit} on"),
        (None, _) => format!("at no {unit}"),
    };
    list(&runs(cells, scale.starts.len()).into_iter().map(range).collect::<Vec<_>>())
}

/// A span of dates, with the weekdays in it that are meant and those that are not.
struct Span {
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
    meant: Vec<Weekday>,
    others: Vec<Weekday>,
}

impl Span {
    /// Whether one set of weekdays says what is meant in both.
    fn agrees(&self, next: &Self) -> bool {
        let disagree = |a: &[Weekday], b: &[Weekday]| a.iter().any(|day| b.contains(day));
        !disagree(&self.meant, &next.others) && !disagree(&self.others, &next.meant)
    }

    fn extend(&mut self, next: Self) {
        self.until = next.until;
        self.meant.extend(next.meant);
        self.others.extend(next.others);
    }
}

fn days_in_words(days: &[Day], cells: &Cells, all: &Cells) -> String {
    let mut spans = spans(days, cells, all);
    spans.retain(|span| !span.meant.is_empty());
    list(&spans.iter().map(span_in_words).collect::<Vec<_>>())
}

/// Neighbouring spans that agree, as one; the ends of the domain are open.
fn spans(days: &[Day], cells: &Cells, all: &Cells) -> Vec<Span> {
    let in_domain = days.iter().enumerate().filter(|(cell, _)| all.contains(*cell));
    let mut own: Vec<Span> = Vec::new();
    for (cell, day) in in_domain {
        let is_next = own.last().is_none_or(|last| last.from != day.from);
        if is_next {
            let (meant, others) = (Vec::new(), Vec::new());
            own.push(Span { from: day.from, until: day.until, meant, others });
        }
        let Some(span) = own.last_mut() else { continue };
        let list = if cells.contains(cell) { &mut span.meant } else { &mut span.others };
        list.push(day.weekday);
    }
    if let Some(first) = own.first_mut() {
        first.from = None;
    }
    if let Some(last) = own.last_mut() {
        last.until = None;
    }
    let mut spans: Vec<Span> = Vec::new();
    for span in own {
        match spans.last_mut().filter(|before| before.agrees(&span)) {
            Some(before) => before.extend(span),
            None => spans.push(span),
        }
    }
    spans
}

fn span_in_words(span: &Span) -> String {
    let last = span.until.map(|until| until.pred_opt().unwrap_or(until));
    let dates = match (span.from, last) {
        (Some(from), Some(last)) if from == last => return format!("on {from}"),
        (Some(from), Some(last)) => Some(format!("from {from} to {last}")),
        (Some(from), None) => Some(format!("from {from} on")),
        (None, Some(last)) => Some(format!("until {last}")),
        (None, None) => None,
    };
    let weekdays = weekdays_in_words(&span.meant);
    match dates {
        Some(dates) if span.others.is_empty() => dates,
        Some(dates) => format!("{weekdays} {dates}"),
        None => format!("on {weekdays}"),
    }
}

/// `Monday to Friday`, `Saturday and Sunday`.
fn weekdays_in_words(weekdays: &[Weekday]) -> String {
    let mut runs: Vec<Vec<Weekday>> = Vec::new();
    let mut sorted = weekdays.to_vec();
    sorted.sort_by_key(Weekday::num_days_from_monday);
    sorted.dedup();
    for day in sorted {
        match runs.last_mut().filter(|run| run.last().map(Weekday::succ) == Some(day)) {
            Some(run) => run.push(day),
            None => runs.push(vec![day]),
        }
    }
    let mut words = Vec::new();
    for run in runs {
        match run.as_slice() {
            [first, _, .., last] => words.push(format!("{} to {}", name(*first), name(*last))),
            few => words.extend(few.iter().map(|day| name(*day).to_owned())),
        }
    }
    list(&words)
}

const fn name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list<T: Display>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [only] => only.to_string(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(T::to_string).collect();
            format!("{} and {last}", first.join(", "))
        }
    }
}
