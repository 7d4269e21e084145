//! The subscription behind a tier: what is known of it, and whether it gives its tier.
//!
//! Nothing here knows which platform bills it; a source adapter puts that platform's words into
//! these.

use chrono::{DateTime, TimeDelta, Utc};
use quantities::IdError;
use serde::{Deserialize, Serialize};

use crate::{SubscriptionId, Tier};

/// What is known of the subscription behind a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id at the platform that bills it.
    pub id: SubscriptionId,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// What became of its latest invoice; none if it has none, or none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<InvoiceState>,
    /// The tier that its price is for, when the platform says one: it outranks the entitlement's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// End of the paid period, or of the trial; after it, word from the platform is needed again.
    pub current_period_end: DateTime<Utc>,
    /// When it ends for certain, if it was canceled for a later day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<DateTime<Utc>>,
    /// When the platform was asked for this, by our clock. The epoch if it never was: then it is
    /// an operator's word.
    pub as_of: DateTime<Utc>,
    /// From when on this is too old to go by; never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<DateTime<Utc>>,
    /// What then.
    #[serde(default)]
    pub when_stale: WhenStale,
}

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// In its trial.
    Trialing,
    /// Running.
    Active,
    /// Its latest invoice was not paid; the platform goes on trying.
    PastDue,
    /// Its invoices are not paid; the platform has given up trying.
    Unpaid,
    /// Interrupted: nothing is billed and nothing is given.
    Paused,
    /// Its first invoice is not paid yet.
    Incomplete,
    /// Over.
    Canceled,
    /// The platform says something that nobody here knows.
    #[serde(other)]
    Unknown,
}

/// What became of a subscription's latest invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    /// Paid, or the platform's owner wants nothing for it.
    Settled,
    /// Not tried yet, or not due yet.
    Due,
    /// Tried and not paid.
    Failed,
}

/// What Authorize and StartTransaction do when what is known of a subscription is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenStale {
    /// The member charges as everybody does.
    #[default]
    Retail,
    /// The tag may not charge.
    Block,
    /// The member charges as a member.
    Keep,
}

/// How long what a platform said of a subscription is gone by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// From when the platform was asked.
    pub lasts: TimeDelta,
    /// What then.
    pub then: WhenStale,
}

/// Whether a subscription gives its tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Holds,
    /// It does not.
    Lapsed,
    /// It did, and what is known is too old: the policy decides.
    Stale,
}

impl Trust {
    /// The policy as a deployment states it: whole hours, and `retail`, `block` or `keep`.
    ///
    /// # Errors
    ///
    /// [`IdError`]: it is not that.
    pub fn parse(hours: &str, then: &str) -> Result<Self, IdError> {
        let rule = |value: &str, rule| IdError { kind: "Trust", value: value.to_owned(), rule };
        let lasts = hours.parse().ok().filter(|hours| (1..=24 * 365).contains(hours));
        let lasts = lasts.and_then(TimeDelta::try_hours);
        Ok(Self {
            lasts: lasts.ok_or_else(|| rule(hours, "1 hour to a year, in hours"))?,
            then: match then {
                "retail" => WhenStale::Retail,
                "block" => WhenStale::Block,
                "keep" => WhenStale::Keep,
                other => return Err(rule(other, "retail, block or keep")),
            },
        })
    }
}

impl SubscriptionStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Trialing,
        Self::Active,
        Self::PastDue,
        Self::Unpaid,
        Self::Paused,
        Self::Incomplete,
        Self::Canceled,
        Self::Unknown,
    ];

    /// Its name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Incomplete => "incomplete",
            Self::Canceled => "canceled",
            Self::Unknown => "unknown",
        }
    }
}

impl Subscription {
    /// Whether it gives its tier at `now`.
    ///
    /// A trial does; a running subscription does unless its latest invoice was tried and not
    /// paid; any other does not, and none does from the day it was canceled for. What was true
    /// until the end of a period is not known after it.
    #[must_use]
    pub fn standing_at(&self, now: DateTime<Utc>) -> Standing {
        let gives = match self.status {
            SubscriptionStatus::Trialing => true,
            SubscriptionStatus::Active => self.invoice != Some(InvoiceState::Failed),
            _ => false,
        };
        let is_past = |moment: Option<DateTime<Utc>>| moment.is_some_and(|at| at <= now);
        if !gives || is_past(self.ends_at) {
            return Standing::Lapsed;
        }
        if is_past(Some(self.current_period_end)) || is_past(self.stale_after) {
            return Standing::Stale;
        }
        Standing::Holds
    }

    /// Whether the member is one at `now`, the policy considered.
    #[must_use]
    pub fn gives_at(&self, now: DateTime<Utc>) -> bool {
        match self.standing_at(now) {
            Standing::Holds => true,
            Standing::Lapsed => false,
            Standing::Stale => self.when_stale == WhenStale::Keep,
        }
    }

    /// Whether the tag behind it may not charge at `now`.
    #[must_use]
    pub fn blocks_at(&self, now: DateTime<Utc>) -> bool {
        self.when_stale == WhenStale::Block && self.standing_at(now) == Standing::Stale
    }

    /// Whether the platform has ever been asked: its word outweighs an operator's.
    #[must_use]
    pub fn is_platforms(&self) -> bool {
        self.as_of > DateTime::UNIX_EPOCH
    }

    /// The same, said at `as_of` and gone by as `trust` allows.
    #[must_use]
    pub fn trusted(self, as_of: DateTime<Utc>, trust: Trust) -> Self {
        let stale_after = as_of.checked_add_signed(trust.lasts);
        Self { as_of, stale_after, when_stale: trust.then, ..self }
    }

    /// Whether `other` says the same of the subscription, whenever it was said.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let Self { as_of, stale_after, when_stale, .. } = *self;
        *self == Self { as_of, stale_after, when_stale, ..other.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD_END: &str = "2026-04-01T00:00:00Z";
    const STALE_AFTER: &str = "2026-03-20T00:00:00Z";

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn subscription(status: SubscriptionStatus, invoice: Option<InvoiceState>) -> Subscription {
        Subscription {
            id: SubscriptionId("sub_1".to_owned()),
            status,
            invoice,
            tier: None,
            current_period_end: at(PERIOD_END),
            ends_at: None,
            as_of: at("2026-03-01T00:00:00Z"),
            stale_after: None,
            when_stale: WhenStale::Retail,
        }
    }

    #[test]
    fn every_status_with_every_invoice_gives_the_tier_or_does_not() {
        use InvoiceState::{Due, Failed, Settled};
        use SubscriptionStatus::{
            Active, Canceled, Incomplete, PastDue, Paused, Trialing, Unknown, Unpaid,
        };
        // Without an invoice, settled, due, failed.
        let table = [
            (Trialing, [true, true, true, true]),
            (Active, [true, true, true, false]),
            (PastDue, [false; 4]),
            (Unpaid, [false; 4]),
            (Paused, [false; 4]),
            (Incomplete, [false; 4]),
            (Canceled, [false; 4]),
            (Unknown, [false; 4]),
        ];
        assert_eq!(table.map(|(status, _)| status), SubscriptionStatus::ALL);
        let now = at("2026-03-15T00:00:00Z");
        for (status, expected) in table {
            let invoices = [None, Some(Settled), Some(Due), Some(Failed)];
            for (invoice, gives) in invoices.into_iter().zip(expected) {
                let known = subscription(status, invoice);
                assert_eq!(known.gives_at(now), gives, "{status:?} {invoice:?}");
                let standing = if gives { Standing::Holds } else { Standing::Lapsed };
                assert_eq!(known.standing_at(now), standing, "{status:?} {invoice:?}");
            }
        }
    }

    #[test]
    fn what_is_too_old_is_decided_by_the_policy() {
        for (when_stale, gives, blocks) in [
            (WhenStale::Retail, false, false),
            (WhenStale::Block, false, true),
            (WhenStale::Keep, true, false),
        ] {
            let trusted = Subscription {
                stale_after: Some(at(STALE_AFTER)),
                when_stale,
                ..subscription(SubscriptionStatus::Active, None)
            };
            let before = at("2026-03-19T23:59:59Z");
            assert_eq!((trusted.gives_at(before), trusted.blocks_at(before)), (true, false));
            for too_late in [at(STALE_AFTER), at(PERIOD_END)] {
                let is_so = (trusted.gives_at(too_late), trusted.blocks_at(too_late));
                assert_eq!(is_so, (gives, blocks), "{when_stale:?} at {too_late}");
            }
            // Without an age limit, the end of the paid period is the limit.
            let untimed = Subscription { stale_after: None, ..trusted };
            assert_eq!(untimed.standing_at(at(STALE_AFTER)), Standing::Holds);
            assert_eq!(untimed.standing_at(at(PERIOD_END)), Standing::Stale);
        }
    }

    #[test]
    fn what_was_canceled_for_a_day_ends_on_it_whatever_the_policy() {
        for when_stale in [WhenStale::Retail, WhenStale::Block, WhenStale::Keep] {
            let known = Subscription {
                ends_at: Some(at(PERIOD_END)),
                stale_after: Some(at(STALE_AFTER)),
                when_stale,
                ..subscription(SubscriptionStatus::Active, Some(InvoiceState::Settled))
            };
            assert_eq!(known.standing_at(at("2026-03-15T00:00:00Z")), Standing::Holds);
            assert_eq!(known.standing_at(at(PERIOD_END)), Standing::Lapsed);
            assert!(!known.blocks_at(at(PERIOD_END)));
        }
    }

    #[test]
    fn no_policy_gives_a_lapsed_member_anything_or_blocks_them() {
        let late = at("2026-05-01T00:00:00Z");
        for status in SubscriptionStatus::ALL {
            let known = Subscription {
                stale_after: Some(at(STALE_AFTER)),
                when_stale: WhenStale::Keep,
                ..subscription(status, Some(InvoiceState::Failed))
            };
            let gives = status == SubscriptionStatus::Trialing;
            assert_eq!(known.gives_at(late), gives, "{status:?}");
            let blocking = Subscription { when_stale: WhenStale::Block, ..known };
            assert_eq!(blocking.blocks_at(late), gives, "{status:?}");
        }
    }

    #[test]
    fn a_policy_is_read_or_refused() {
        let expected = Trust { lasts: TimeDelta::hours(72), then: WhenStale::Block };
        assert_eq!(Trust::parse("72", "block").unwrap(), expected);
        for (hours, then) in [("a day", "keep"), ("72", "forgive"), ("0", "keep"), ("8761", "keep")]
        {
            assert!(Trust::parse(hours, then).is_err(), "{hours} {then}");
        }
    }

    #[test]
    fn an_unknown_word_of_the_platform_is_read_and_gives_nothing() {
        let text = r#"{"id":"sub_1","status":"resting","current_period_end":"2026-04-01T00:00:00Z",
            "as_of":"2026-03-01T00:00:00Z"}"#;
        let known: Subscription = serde_json::from_str(text).unwrap();
        assert_eq!(known.status, SubscriptionStatus::Unknown);
        assert!(!known.gives_at(at("2026-03-15T00:00:00Z")));
    }

    #[test]
    fn every_status_is_written_by_its_name() {
        for status in SubscriptionStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    #[test]
    fn the_same_word_again_agrees_and_another_does_not() {
        let known = subscription(SubscriptionStatus::Active, None);
        let trust = Trust { lasts: TimeDelta::hours(72), then: WhenStale::Block };
        let again = known.clone().trusted(at("2026-03-10T00:00:00Z"), trust);
        assert_eq!(again.stale_after, Some(at("2026-03-13T00:00:00Z")));
        assert!(again.agrees_with(&known) && known.agrees_with(&again));
        let later = Subscription { current_period_end: at("2026-05-01T00:00:00Z"), ..known };
        assert!(!later.agrees_with(&again));
    }
}
