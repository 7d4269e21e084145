//! What a session is priced by besides its tariff: the site's time, its taxes and its rounding.

use chrono_tz::Tz;
use network::{Jurisdiction, Payer, Tax};
use quantities::Rounding;
use session::Session;

use crate::PlanInForce;

/// What applies besides the tariff and what happened.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The site's time zone: every local time of the tariff is read in it.
    pub zone: Tz,
    /// The taxes where a price component states no VAT: all at once, each on the price before
    /// taxes. Empty: there are none. `None`: they are not known; then nothing is added, and the
    /// result says so ([`FindingCode::VatNotStated`](crate::FindingCode::VatNotStated)).
    pub taxes: Option<&'a [Tax]>,
    /// How amounts are rounded.
    pub rounding: Rounding,
    /// The plan beside the tariff; none, too, where it does not cover the site.
    pub plan: Option<PlanInForce<'a>>,
    /// Whether nobody pays: the session has its price, and a line takes all of it off.
    pub is_free: bool,
}

impl<'a> Rules<'a> {
    /// The rules of `jurisdiction`, for somebody without a plan.
    #[must_use]
    pub fn of(zone: Tz, jurisdiction: &'a Jurisdiction) -> Self {
        let (taxes, rounding) = (Some(jurisdiction.taxes.as_slice()), jurisdiction.rounding);
        Self { zone, taxes, rounding, plan: None, is_free: false }
    }

    /// The rules that `session` has pinned, its plan aside.
    #[must_use]
    pub fn pinned(session: &'a Session) -> Self {
        let is_free = session.payer == Payer::Free;
        Self { is_free, ..Self::of(session.time_zone, &session.jurisdiction) }
    }

    /// These rules, for somebody with `plan`.
    #[must_use]
    pub fn with_plan(self, plan: Option<PlanInForce<'a>>) -> Self {
        Self { plan, ..self }
    }

    /// The rules of nowhere: no tax is known, and rounding is commercial.
    #[must_use]
    pub fn unknown(zone: Tz) -> Self {
        Self { zone, taxes: None, rounding: Rounding::default(), plan: None, is_free: false }
    }
}
