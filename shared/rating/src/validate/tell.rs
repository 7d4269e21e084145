//! What elements say together, in findings.

use ocpi::Tariff;

use super::{
    At, Findings, Place,
    limits::validity,
    reach::{Dead, Domain, Gap, Priced, by_element, powers, survey},
    space::Space,
    words::{describe, list},
};
use crate::compile::Compiled;

/// More gaps of one dimension than this are counted, not named.
const GAPS_NAMED_MAX: usize = 4;

pub(super) fn check(tariff: &Tariff, compiled: &Compiled, place: &Place, findings: &mut Findings) {
    let (from, until) = validity(tariff, place).certain;
    let also: Vec<_> = from.into_iter().chain(until).collect();
    let space = Space::new(compiled, &also);
    let domain =
        Domain { days: space.between(from, until), powers: powers(&space, place.max_power_kw) };
    let survey = survey(compiled, &space, &domain);
    unreachable(compiled, &survey.dead, findings);
    gaps(&space, &survey.gaps, findings);
    for priced in &survey.unknown {
        let name = name(*priced);
        let message = format!(
            "{name} has so many different restrictions that unreachable elements and gaps were \
             not looked for; simplify them, or check by hand"
        );
        findings.warning(At::Tariff, "too_many_combinations", message);
    }
}

fn name(priced: Priced) -> String {
    let of = if priced.of_reservation { " of a reservation" } else { "" };
    format!("{}{of}", priced.dimension.as_str())
}

fn unreachable(compiled: &Compiled, dead: &[Dead], findings: &mut Findings) {
    for (element, (dead, is_whole)) in by_element(dead, compiled) {
        if is_whole {
            let mut by: Vec<usize> = dead.iter().flat_map(|dead| dead.by.iter().copied()).collect();
            by.sort_unstable();
            by.dedup();
            let reason = reason(dead.iter().all(|dead| dead.once), &by);
            let message = format!(
                "element {element} never applies: {reason}; move it to the front, or remove it"
            );
            findings.warning(At::Element(element), "unreachable_element", message);
            continue;
        }
        for Dead { position, priced, by, once, .. } in &dead {
            let at = At::Component(element, *position);
            let message = format!(
                "element {element}: its price for {} never applies: {}; move it to the \
                 front, or remove it",
                name(*priced),
                reason(*once, by)
            );
            findings.warning(at, "unreachable_component", message);
        }
    }
}

fn reason(once: bool, by: &[usize]) -> String {
    let (elements, have, apply) = match by {
        [only] => (format!("element {only}"), "has", "applies"),
        several => (format!("elements {}", list(several)), "have", "apply"),
    };
    if once {
        format!("a session fee is due once, and {elements} {have} one for the start of any session")
    } else {
        format!("whenever it could, {elements} in front of it {apply}")
    }
}

fn gaps(space: &Space, mut gaps: &[Gap], findings: &mut Findings) {
    while let Some(first) = gaps.first() {
        let count = gaps.partition_point(|gap| gap.priced == first.priced);
        let (own, others) = gaps.split_at(count);
        gaps = others;
        for gap in own.iter().take(GAPS_NAMED_MAX) {
            let message = format!(
                "{} has no price {}: it is free then; price it, with 0.00 if that is meant",
                name(gap.priced),
                describe(space, &gap.block, &gap.among)
            );
            findings.warning(At::Tariff, "gap", message);
        }
        if let Some(more) = count.checked_sub(GAPS_NAMED_MAX).filter(|more| *more > 0) {
            let message = format!(
                "{} has no price in {more} more cases; an element without restrictions at the \
                 end would price them all",
                name(first.priced)
            );
            findings.warning(At::Tariff, "gap", message);
        }
    }
}
