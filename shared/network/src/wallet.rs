//! What a driver pays with from the app, what they owe, and where their receipts go.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use quantities::{Amount, DriverId, IdTag, SessionId};
use serde::{Deserialize, Serialize};

use crate::{EmailAddress, Entitlement, Payer, StripeCustomerId, StripePaymentMethodId};

/// One driver's record, whatever tags they have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    /// The driver.
    pub driver_id: DriverId,
    /// Their customer at Stripe, made with their first payment method and never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<StripeCustomerId>,
    /// The payment method that they pay with unless they say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_method: Option<StripePaymentMethodId>,
    /// What they owe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owes: Vec<Owed>,
    /// Where their receipts are mailed, if they want that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts_to: Option<EmailAddress>,
    /// Every tag that was ever made theirs: which of them still are, their entries say. Those from
    /// before wallets listed them are only in the index by driver.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub id_tags: BTreeSet<IdTag>,
}

/// What is owed for one session after its charge was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// The session.
    pub session_id: SessionId,
    /// How much.
    pub amount: Amount,
    /// Since when it is a debt.
    pub since: DateTime<Utc>,
    /// Who owes it. None: the session had no driver, and it is for whoever has its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_id: Option<DriverId>,
}

impl Wallet {
    /// The record of a driver of whom nothing is known yet.
    #[must_use]
    pub const fn empty(driver_id: DriverId) -> Self {
        Self {
            driver_id,
            customer: None,
            default_method: None,
            owes: Vec::new(),
            receipts_to: None,
            id_tags: BTreeSet::new(),
        }
    }

    /// The driver's customer at Stripe: their wallet's, or else the one that the operator has
    /// entered with the card of a tag of theirs, the same one every time.
    #[must_use]
    pub fn customer_among(&self, tags: &[Entitlement]) -> Option<StripeCustomerId> {
        let of_tags = || {
            let cards = tags.iter().filter_map(|known| match &known.payer {
                Payer::Card { customer, .. } => Some((&known.id_tag, customer)),
                _ => None,
            });
            cards.min_by_key(|(tag, _)| *tag).map(|(_, customer)| customer.clone())
        };
        self.customer.clone().or_else(of_tags)
    }
}

/// `owes` with what is owed for `session_id` now, if anything. A debt keeps the moment since which
/// it is one.
#[must_use]
pub fn owes_now(owes: &[Owed], session_id: SessionId, now: Option<&Owed>) -> Vec<Owed> {
    let before = owes.iter().find(|owed| owed.session_id == session_id);
    let others = owes.iter().filter(|owed| owed.session_id != session_id).cloned();
    let since = |now: &Owed| before.map_or(now.since, |before| before.since.min(now.since));
    let now = now.map(|now| Owed { since: since(now), ..now.clone() });
    let mut owes: Vec<_> = others.chain(now).collect();
    owes.sort_by_key(|owed| (owed.since, owed.session_id));
    owes
}

#[cfg(test)]
mod tests {
    use quantities::{Currency, TransactionId};

    use super::*;

    fn owed(transaction: i32, minor: i64, since: &str) -> Owed {
        Owed {
            session_id: SessionId::of(&"CP1".parse().unwrap(), TransactionId(transaction)),
            amount: Amount::new(minor, Currency::EUR),
            since: since.parse().unwrap(),
            driver_id: None,
        }
    }

    #[test]
    fn a_debt_is_noted_once_keeps_its_beginning_and_goes_when_it_is_paid() {
        let first = owed(1, 250, "2026-03-01T12:00:00Z");
        let other = owed(2, 900, "2026-03-01T11:00:00Z");
        let owes = owes_now(&[], first.session_id, Some(&first));
        assert_eq!(owes, std::slice::from_ref(&first));
        let owes = owes_now(&owes, other.session_id, Some(&other));
        assert_eq!(owes, [other.clone(), first.clone()]);
        // Tried again a day later, in vain.
        let again = owed(1, 250, "2026-03-02T12:00:00Z");
        let owes = owes_now(&owes, again.session_id, Some(&again));
        assert_eq!(owes, [other.clone(), first.clone()]);
        assert_eq!(owes_now(&owes, first.session_id, None), [other]);
    }
}
