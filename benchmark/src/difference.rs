//! Where Tallywatt and `ocpi-tariffs` disagree, and why.
//!
//! A disagreement is explained by restating the pair: every class rewrites what it is about into
//! words that both engines read alike, the way Tallywatt reads them. Tallywatt's price must not
//! change by it, and the reference's must become Tallywatt's, to the cent. What is left unexplained
//! is a failure.

mod amounts;
mod restate;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use ocpi::{Cdr, Tariff};
use rating::{PricedSession, RatingError};

use crate::{
    generate::Pair,
    ours,
    reference::{Answer, Reference},
};

/// A kind of disagreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The tariff is not valid at the session's start.
    NotValid,
    /// An element from a time of day to the same time of day.
    WholeDay,
    /// Elements and periods of a reservation.
    Reservation,
    /// A period that names no tariff while others do.
    PeriodWithoutTariff,
    /// A volume of 0.
    ZeroVolume,
    /// A period in which a price changes, or which states charging and parking time.
    UnsplitPeriod,
    /// Hours that four decimals cannot hold.
    RoundedHours,
    /// Power or current not stated, or by one bound only.
    PowerNotStated,
    /// Power or current that crosses a limit within a period.
    PowerRange,
    /// `step_size` where charging follows parking.
    StepAfterParking,
    /// `step_size` where some of the volume has no price.
    StepUnpriced,
    /// `min_price` and `max_price`.
    Limits,
    /// Rounded to four decimals before it is rounded to the cent.
    RoundedTwice,
}

impl Class {
    /// All of them, in the order in which a pair is restated.
    pub const ALL: [Self; 13] = [
        Self::NotValid,
        Self::WholeDay,
        Self::Reservation,
        Self::PeriodWithoutTariff,
        Self::ZeroVolume,
        Self::UnsplitPeriod,
        Self::RoundedHours,
        Self::PowerNotStated,
        Self::PowerRange,
        Self::StepAfterParking,
        Self::StepUnpriced,
        Self::Limits,
        Self::RoundedTwice,
    ];
}

/// What came of comparing a pair.
#[derive(Debug)]
pub enum Outcome {
    /// Both say the same, to the cent.
    Agree,
    /// They disagree for known reasons.
    Differ(BTreeSet<Class>),
    /// They disagree, and nobody knows why.
    Unexplained(String),
}

/// A pair on its way to being restated.
#[derive(Debug, Clone)]
pub(crate) struct Stated {
    pub(crate) tariff: Tariff,
    pub(crate) cdr: Cdr,
}

/// Compares the two engines on `pair`.
///
/// # Errors
///
/// The reference has ended.
pub fn compare(pair: &Pair, reference: &mut Reference) -> Result<Outcome> {
    let theirs = reference.price(&pair.tariff, &pair.cdr, pair.zone)?;
    let stated = Stated { tariff: pair.tariff.clone(), cdr: pair.cdr.clone() };
    let ours = match ours::price(&pair.tariff, &pair.cdr, pair.zone) {
        Ok(ours) => ours,
        Err(RatingError::Unknown { .. }) if restate::leaves_power_open(&stated) => {
            return Ok(Outcome::Differ(BTreeSet::from([Class::PowerNotStated])));
        }
        Err(error) => return Ok(Outcome::Unexplained(format!("refused: {error}"))),
    };
    if amounts::same(&ours, &theirs) {
        return Ok(Outcome::Agree);
    }
    let (classes, slight) = (BTreeSet::new(), BTreeSet::new());
    let explained = Explainer { pair, reference, stated, ours, theirs, classes, slight };
    Ok(match explained.explain() {
        Ok(classes) => Outcome::Differ(classes),
        Err(error) => Outcome::Unexplained(format!("{error:#}")),
    })
}

struct Explainer<'a> {
    pair: &'a Pair,
    reference: &'a mut Reference,
    stated: Stated,
    ours: PricedSession,
    theirs: Answer,
    classes: BTreeSet<Class>,
    /// Those that change the reference's price by less than a minor unit.
    slight: BTreeSet<Class>,
}

impl Explainer<'_> {
    fn explain(mut self) -> Result<BTreeSet<Class>> {
        for class in Class::ALL {
            if let Some(stated) = restate::restate(class, &self.stated, &self.ours) {
                self.take(class, stated)?;
            }
        }
        if self.stated.cdr.charging_periods.is_empty() {
            // A reservation and nothing else: only Tallywatt prices it.
            return Ok(self.classes);
        }
        if let Some(why) = &self.theirs.refused {
            bail!("the reference refuses: {why}");
        }
        let expected = amounts::limited(self.theirs.exact, &self.pair.tariff, &self.ours);
        let Some(expected) = expected else { bail!("no amount: {:?}", self.theirs) };
        amounts::check_theirs(&self.theirs, &self.stated.tariff)?;
        expected.check(&self.ours)?;
        if expected.is_theirs_another {
            self.classes.insert(Class::Limits);
        }
        if expected.rounded_twice(self.ours.currency) {
            self.classes.insert(Class::RoundedTwice);
        }
        if self.classes.is_empty() {
            self.classes = self.slight;
        }
        if self.classes.is_empty() {
            bail!("no class applies: {:?}", self.theirs);
        }
        Ok(self.classes)
    }

    /// Goes on with the pair as `class` restates it.
    fn take(&mut self, class: Class, stated: Stated) -> Result<()> {
        let theirs = self.reference.price(&stated.tariff, &stated.cdr, self.pair.zone)?;
        let currency = self.ours.currency;
        if amounts::cents(&theirs, currency) != amounts::cents(&self.theirs, currency) {
            self.classes.insert(class);
        } else if theirs != self.theirs {
            self.slight.insert(class);
        }
        if !restate::is_for_the_reference(class) {
            let ours = ours::price(&stated.tariff, &stated.cdr, self.pair.zone)?;
            // What a reservation costs only Tallywatt tells: it is taken out on both sides.
            if class != Class::Reservation && ours.totals.total != self.ours.totals.total {
                let (before, after) = (self.ours.totals.total, ours.totals.total);
                bail!("{class:?} restated changes our price: {before:?} to {after:?}");
            }
            self.ours = ours;
        }
        (self.theirs, self.stated) = (theirs, stated);
        Ok(())
    }
}
