//! The state diagram in `ARCHITECTURE.md`, held to what walks do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use super::super::{News, Outcome, Payment, Step};

/// A change of state: from, to, by what.
pub(super) type Edge = (String, String, String);

/// News, or the answer to a call on that hold.
const HOLD_LOST: &str = "hold lost";
/// News, or the answer to another call on that hold.
const TAKEN: &str = "taken at Stripe";
/// What a person decides about a debt.
pub(super) const FORGIVEN: &str = "waived or written off";

/// Where a payment stands, in the words of the diagram.
fn state(payment: &Payment) -> &'static str {
    let holds = payment.hold.is_some() || !payment.to_release.is_empty();
    let nothing_owed = payment.owed.is_zero();
    match (payment.total, &payment.debt) {
        (None, _) if !payment.to_release.is_empty() => "Replacing",
        (None, _) if holds => "Held",
        (None, _) => "Unheld",
        (Some(_), _) if nothing_owed && holds => "Releasing",
        (Some(_), _) if nothing_owed => "Settled",
        (Some(_), _) if holds => "Priced",
        (Some(_), None) => "Owed",
        (Some(_), Some(_)) if payment.open_link().is_some() => "Linked",
        (Some(_), Some(_)) => "Debt",
    }
}

/// How a payment begins.
pub(super) fn first(payment: &Payment) -> Edge {
    let why = if payment.hold.is_some() { "held before it starts" } else { "session starts" };
    ("[*]".to_owned(), state(payment).to_owned(), why.to_owned())
}

/// What changed between two records, if the state did. Forgiveness waits for a call in progress or
/// a page to be over: then it is what the change is by.
pub(super) fn edge(before: &Payment, after: &Payment, why: &str) -> Option<Edge> {
    let (from, to) = (state(before), state(after));
    let forgiven = |payment: &Payment| payment.waived.minor + payment.written_off.minor;
    let why = if forgiven(after) > forgiven(before) { FORGIVEN } else { why };
    (from != to).then(|| (from.to_owned(), to.to_owned(), why.to_owned()))
}

/// A step and its answer, in the words of the diagram.
pub(super) fn answer(step: &Step, outcome: &Outcome) -> String {
    let debug = format!("{step:?}");
    let step = debug.split([' ', '{']).next().unwrap_or_default();
    match outcome {
        Outcome::Refused { .. } => format!("{step} refused"),
        Outcome::HoldLost => HOLD_LOST.to_owned(),
        Outcome::Captured { .. } if step != "Capture" => TAKEN.to_owned(),
        Outcome::LinkPaid { .. } => format!("{step} finds it paid"),
        _ => step.to_owned(),
    }
}

/// News, in the words of the diagram.
pub(super) const fn told(news: &News) -> &'static str {
    match news {
        News::HoldLost { .. } => HOLD_LOST,
        News::LinkPaid { .. } => "the driver pays",
        News::LinkExpired { .. } => "page closes",
        News::Taken { .. } => TAKEN,
        News::Refund { .. } => "news of a refund",
        News::Dispute(_) => "news of a dispute",
    }
}

/// Stops with what the diagram would have to be, if it is not.
pub(super) fn must_be(seen: &BTreeSet<Edge>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let drawn = text.split("stateDiagram-v2").nth(1).and_then(|rest| rest.split("```").next());
    let drawn: BTreeSet<Edge> = drawn.unwrap_or_default().lines().flat_map(edges).collect();
    assert!(drawn == *seen, "the walks go otherwise than ARCHITECTURE.md says:\n{}", draw(seen));
}

/// The edges of a line `From --> To: this, that`.
fn edges(line: &str) -> Vec<Edge> {
    let parts = line.split_once(" --> ").and_then(|(from, rest)| {
        let (to, labels) = rest.split_once(": ")?;
        Some((from.trim(), to.trim(), labels))
    });
    let Some((from, to, labels)) = parts else { return Vec::new() };
    let edge = |label: &str| (from.to_owned(), to.to_owned(), label.trim().to_owned());
    labels.split(',').map(edge).collect()
}

fn draw(edges: &BTreeSet<Edge>) -> String {
    let mut lines: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (from, to, why) in edges {
        lines.entry((from, to)).or_default().push(why);
    }
    let mut drawn = String::new();
    for ((from, to), labels) in lines {
        let _ = writeln!(drawn, "    {from} --> {to}: {}", labels.join(", "));
    }
    drawn
}
