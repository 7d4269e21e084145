//! What an expected session would cost, and how much of it to reserve.

use chrono::{DateTime, Duration, Utc};
use network::{ExpectedEnergy, HoldRule, Site};
use quantities::{Amount, Currency, Money, WattHours};
use rust_decimal::Decimal;
use session::{ConnectorStatus, MeterSample, StatusChange, Timeline};

use crate::{PricedSession, Pricer, RatingError, Rules, TariffVersion};

/// A session that has not taken place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Energy that flows, evenly while the vehicle charges.
    pub energy: WattHours,
    /// How long the vehicle charges, in seconds.
    pub charging_s: u32,
    /// How long it stands there afterwards, in seconds.
    pub idle_s: u32,
}

impl Expected {
    /// What `rule` expects.
    #[must_use]
    pub fn by(rule: &HoldRule) -> Self {
        let (minutes, minutes_per_hour) = (u64::from(rule.minutes), Decimal::from(60));
        let wh = match rule.energy {
            ExpectedEnergy::Kwh(kwh) => Decimal::from(u64::from(kwh) * 1000),
            ExpectedEnergy::PowerKw(kw) => {
                Decimal::from(u64::from(kw) * 1000) * Decimal::from(minutes) / minutes_per_hour
            }
        };
        Self {
            energy: WattHours::new(wh.round_dp(1)),
            charging_s: rule.minutes.saturating_mul(60),
            idle_s: rule.idle_minutes.saturating_mul(60),
        }
    }

    /// The timeline of such a session that starts at `at`.
    fn timeline(&self, at: DateTime<Utc>) -> Result<Timeline, RatingError> {
        let after = |seconds: u32, at: DateTime<Utc>| {
            let later = at.checked_add_signed(Duration::seconds(i64::from(seconds)));
            later.ok_or(RatingError::OutsideCalendar { at })
        };
        let charged_at = after(self.charging_s, at)?;
        let mut statuses = vec![StatusChange { at, status: ConnectorStatus::Charging }];
        if self.idle_s > 0 {
            let status = ConnectorStatus::SuspendedEV;
            statuses.push(StatusChange { at: charged_at, status });
        }
        Ok(Timeline {
            started_at: at,
            ended_at: after(self.idle_s, charged_at)?,
            released_at: None,
            meter_start: WattHours::ZERO,
            meter_stop: self.energy,
            samples: vec![MeterSample { at: charged_at, energy: self.energy, power: None }],
            statuses,
            findings: vec![],
            signed: None,
        })
    }
}

impl Pricer {
    /// What a session that starts at `at` and goes as `expected` would cost: the rating of just
    /// that session, with the driver's plan, taxes and rounding.
    ///
    /// # Errors
    ///
    /// [`RatingError`].
    pub fn estimate(
        &self,
        at: DateTime<Utc>,
        expected: &Expected,
        rules: &Rules<'_>,
    ) -> Result<PricedSession, RatingError> {
        self.rate(&expected.timeline(at)?, rules)
    }
}

/// What to hold on a card for a session that starts at `at` at `site`: the first of these that
/// there is, never more than the site's fixed hold.
///
/// 1. The tariff's `preauthorize_amount` (OCPI 2.3.0): its publisher has said so.
/// 2. By the site's [`HoldRule`], what the expected session would cost by the very same rating as
///    the bill, with the rule's margin on top, rounded up to the minor unit; at least what the rule
///    says. A tariff that cannot price it in advance, because it asks for something that only a
///    real session has, leaves the fixed hold.
/// 3. The site's fixed hold.
///
/// The fixed hold is also what a tariff in another currency than the site's leaves, for its numbers
/// say nothing about that currency, and what takes the place of an amount of nothing or less: no
/// card can be asked for that, and the session that follows may cost more than was expected.
///
/// # Errors
///
/// [`RatingError`].
pub fn hold(
    tariff: &TariffVersion,
    at: DateTime<Utc>,
    site: &Site,
    rules: &Rules<'_>,
) -> Result<Amount, RatingError> {
    let currency: Result<Currency, _> = tariff.tariff.currency.parse();
    if currency.is_ok_and(|currency| currency != site.hold.currency) {
        return Ok(site.hold);
    }
    let enough = match (tariff.tariff.preauthorize_amount, &site.hold_rule) {
        (Some(stated), _) => Money::new(stated, site.hold.currency).round_up()?,
        (None, Some(rule)) => match by_rule(tariff, at, rule, rules)? {
            Some(enough) => enough,
            None => return Ok(site.hold),
        },
        (None, None) => return Ok(site.hold),
    };
    Ok(if enough.minor > 0 { enough.min(site.hold)? } else { site.hold })
}

/// What `rule` says; none if the tariff cannot price the session in advance.
fn by_rule(
    tariff: &TariffVersion,
    at: DateTime<Utc>,
    rule: &HoldRule,
    rules: &Rules<'_>,
) -> Result<Option<Amount>, RatingError> {
    let priced = match Pricer::new(tariff)?.estimate(at, &Expected::by(rule), rules) {
        Ok(priced) => priced,
        Err(RatingError::Unknown { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let percent = Decimal::from(100_u64 + u64::from(rule.margin_percent));
    let with_margin = priced.gross().to_money().checked_mul(percent / Decimal::ONE_HUNDRED)?;
    let expected = with_margin.round_up()?;
    let least = rule.at_least.unwrap_or(Amount::zero(expected.currency));
    Ok(Some(if expected.min(least)? == expected { least } else { expected }))
}
