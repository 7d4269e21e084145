//! A tariff version compiled once, for any number of sessions.

use std::borrow::Cow;

use ocpi::{Cdr, Tariff};
use quantities::{MoneyError, TariffRef};
use rust_decimal::Decimal;
use session::Timeline;

use crate::{
    FindingCode, PricedSession, RatingError, Rules, TariffVersion, Terms,
    bill::Bill,
    cdr::read,
    compile::Compiled,
    course::course,
    foreign_reference,
    stretch::{Course, moment},
    terms::Idle,
    walk::walk,
};

/// How charging is told from idle in what a charger reports; part of the result.
const ACTIVITY: &str = "by the connector's status; without one, idle is less than 100 W";

/// A tariff version made ready for pricing. Reading it costs more than pricing a session with it:
/// make it once, and share it between threads.
#[derive(Debug, Clone)]
pub struct Pricer {
    pub(crate) reference: TariffRef,
    pub(crate) compiled: Compiled,
    pub(crate) terms: Terms,
}

/// Prices `timeline` with `tariff` by `rules`: both steps of [`Pricer`].
///
/// # Errors
///
/// [`RatingError`]: an input that cannot be priced is never priced at zero or at a guess.
pub fn rate(
    tariff: &TariffVersion,
    timeline: &Timeline,
    rules: &Rules<'_>,
) -> Result<PricedSession, RatingError> {
    Pricer::new(tariff)?.rate(timeline, rules)
}

impl Pricer {
    /// Reads `tariff`.
    ///
    /// # Errors
    ///
    /// [`RatingError`] when it says something that cannot be priced.
    pub fn new(tariff: &TariffVersion) -> Result<Self, RatingError> {
        let (reference, terms) = (tariff.reference.clone(), tariff.terms.clone());
        Ok(Self { reference, compiled: Compiled::new(&tariff.tariff)?, terms })
    }

    /// Reads a tariff that somebody else wrote: see [`foreign_reference`]. It has no terms of ours.
    ///
    /// # Errors
    ///
    /// [`RatingError`] when it has no id, or says something that cannot be priced.
    pub fn foreign(tariff: &Tariff) -> Result<Self, RatingError> {
        let (reference, terms) = (foreign_reference(tariff)?, Terms::default());
        Ok(Self { reference, compiled: Compiled::new(tariff)?, terms })
    }

    /// Prices what a charger reported.
    ///
    /// # Errors
    ///
    /// [`RatingError`]: an input that cannot be priced is never priced at zero or at a guess.
    pub fn rate(
        &self,
        timeline: &Timeline,
        rules: &Rules<'_>,
    ) -> Result<PricedSession, RatingError> {
        let course = course(timeline, self.compiled.depends_on_power)?;
        let idle = &self.terms.idle;
        let mut priced = self.price(course, rules, &Idle::of(idle), idle.cap)?;
        priced.signed.clone_from(&timeline.signed);
        priced.method.activity = Some(Cow::Borrowed(ACTIVITY));
        Ok(priced)
    }

    /// Prices the charging periods of a CDR. Only its start, end, currency and charging periods
    /// count; what it says it costs is not looked at, and neither are the terms beside the tariff,
    /// for its periods say already which time is billed.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub fn price_cdr(&self, cdr: &Cdr, rules: &Rules<'_>) -> Result<PricedSession, RatingError> {
        if !cdr.currency.eq_ignore_ascii_case(self.compiled.currency.code()) {
            let (left, right) = (cdr.currency.parse()?, self.compiled.currency);
            return Err(MoneyError::CurrencyMismatch { left, right }.into());
        }
        let course = read::course(cdr, &self.compiled)?;
        self.price(course, rules, &Idle::default(), None)
    }

    fn price(
        &self,
        mut course: Course,
        rules: &Rules<'_>,
        idle: &Idle<'_>,
        idle_cap: Option<Decimal>,
    ) -> Result<PricedSession, RatingError> {
        self.note_validity(&mut course);
        let runs = walk(&self.compiled, &mut course, rules.zone, idle)?;
        let bill = Bill {
            compiled: &self.compiled,
            reference: &self.reference,
            runs: &runs,
            rules,
            idle_cap,
        };
        bill.write(course.findings)
    }

    /// The tariff offered at the start applies throughout; that it was not valid then is worth a
    /// note.
    fn note_validity(&self, course: &mut Course) {
        if self.compiled.valid_from.or(self.compiled.valid_until).is_none() {
            return;
        }
        let start = moment(course.session_start_ms);
        let too_early = self.compiled.valid_from.is_some_and(|from| start < from);
        let too_late = self.compiled.valid_until.is_some_and(|until| start >= until);
        if too_early || too_late {
            let detail = "the tariff was not valid at the start; it applies because it was offered";
            course.findings.note(FindingCode::TariffNotValid, start, detail);
        }
    }
}
