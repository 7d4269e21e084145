//! Looks at a session that runs: whether what is held is still enough.
//!
//! Looks form a chain: each is counted in the record, and the record says when the next is due, so
//! the message that brings a look is told with the change that counts the one before. A look that
//! comes twice finds that it is done; one that never came is told again once it is overdue.

use chrono::{DateTime, TimeDelta, Utc};
use network::{Beyond, PaymentPolicy};
use quantities::Amount;

use super::record::Payment;

/// How long after its time a look is taken for lost.
const LOST_AFTER: TimeDelta = TimeDelta::minutes(3);

/// What a look at a running session found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The how manieth, from 1.
    pub number: u32,
    /// What the session will have cost when it can next be acted upon, if it goes on as now;
    /// `None` when nobody can tell.
    pub expected: Option<Amount>,
    /// The most that may be held for it, if its plan says so.
    pub most: Option<Amount>,
    /// When the next look is due; `None`: never, it is over.
    pub next_at: Option<DateTime<Utc>>,
}

/// The record after a look; a look that was counted before changes nothing.
///
/// What is wanted held grows in few and large steps, for each of them asks the card's issuer: by
/// half at least.
#[must_use]
pub fn look(payment: Payment, look: Look) -> Payment {
    if payment.total.is_some() || look.number != payment.looks.saturating_add(1) {
        return payment;
    }
    let mut next = Payment { looks: look.number, look_at: look.next_at, ..payment };
    next.hold_max = [next.policy.hold_max, look.most].into_iter().flatten().min_by_key(|a| a.minor);
    let Some(expected) = look.expected else { return next };
    let held = next.hold.as_ref().map_or(next.wanted, |hold| hold.terms.amount);
    if expected.currency != held.currency || expected.minor <= held.minor {
        return next;
    }
    let step = held.minor.saturating_add(held.minor / 2);
    // A step beyond what may be held is no step; what is expected is told all the same, so that
    // it is seen that no hold covers it.
    let step = next.hold_max.map_or(step, |most| step.min(most.minor));
    super::expect(next, Amount::new(expected.minor.max(step), held.currency))
}

/// The record of a session that is to be watched from now on, or whose next look is overdue and is
/// to be told again; that of a session with its price is watched no more.
#[must_use]
pub fn watched(payment: Payment, now: DateTime<Utc>) -> Payment {
    let look_at = match payment.look_at {
        _ if payment.total.is_some() => None,
        Some(at) if at + LOST_AFTER <= now => Some(now),
        Some(at) => Some(at),
        None if payment.looks == 0 && payment.hold.is_some() && acts(&payment.policy) => {
            Some(now + TimeDelta::seconds(payment.policy.watch_at_least_s.into()))
        }
        None => None,
    };
    Payment { look_at, ..payment }
}

/// Whether anything can come of a look.
const fn acts(policy: &PaymentPolicy) -> bool {
    policy.raise || !matches!(policy.beyond, Beyond::GoOn)
}

/// When a look that is due would be missed.
pub(super) fn missed_at(payment: &Payment) -> Option<DateTime<Utc>> {
    payment.look_at.map(|at| at + LOST_AFTER)
}

#[cfg(test)]
mod tests {
    use quantities::{SessionId, TransactionId};

    use super::{
        super::{
            Hold, HoldTerms, Outcome, apply, look_again_at, must_stop, next_step, request,
            tests::saved, walk::eur,
        },
        *,
    };

    fn at(second: i64) -> DateTime<Utc> {
        "2026-03-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(second)
    }

    /// 50.00 are held and can be raised.
    fn held(policy: PaymentPolicy) -> Payment {
        let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
        let payment = Payment::new(session, saved("pm_1"), eur(5000), policy);
        let payment_intent = network::StripePaymentIntentId("pi_1".to_owned());
        let terms = HoldTerms { raisable: true, ..HoldTerms::plain(eur(5000)) };
        let hold = Some(Hold::new(1, payment_intent, terms));
        watched(Payment { hold, holds_asked: 1, ..payment }, at(0))
    }

    fn raising() -> PaymentPolicy {
        PaymentPolicy { raise: true, beyond: Beyond::Stop, ..PaymentPolicy::default() }
    }

    fn seen(number: u32, expected: i64) -> Look {
        Look { number, expected: Some(eur(expected)), most: None, next_at: Some(at(900)) }
    }

    #[test]
    fn a_session_is_watched_from_its_hold_on_where_something_can_come_of_it() {
        assert_eq!(held(raising()).look_at, Some(at(60)));
        assert_eq!(held(PaymentPolicy::default()).look_at, None);
        let priced = held(raising()).with_total(eur(100)).unwrap();
        assert_eq!(watched(priced, at(1)).look_at, None, "it is over");
    }

    #[test]
    fn a_look_counts_once_and_names_the_next() {
        let first = look(held(raising()), seen(1, 3000));
        assert_eq!((first.looks, first.look_at, first.wanted), (1, Some(at(900)), eur(5000)));
        assert_eq!(look(first.clone(), seen(1, 9000)), first, "it came twice");
        assert_eq!(look(first.clone(), seen(3, 9000)), first, "one is missing");
        let last = look(first, Look { next_at: None, ..seen(2, 3000) });
        assert_eq!((last.looks, last.look_at), (2, None));
        assert_eq!(watched(last, at(5000)).look_at, None, "it ended for good");
    }

    #[test]
    fn a_look_that_never_came_is_found_by_its_time_and_told_again() {
        let waiting = look(held(raising()), seen(1, 3000));
        assert_eq!(look_again_at(&waiting, at(0)), Some(at(900 + 180)));
        assert_eq!(watched(waiting.clone(), at(1000)), waiting, "it may only be late");
        assert_eq!(watched(waiting, at(1080)).look_at, Some(at(1080)));
    }

    #[test]
    fn a_hold_grows_by_half_or_by_what_is_needed_and_not_above_what_may_be_held() {
        let wanted = |policy, most, expected| {
            let look_one = Look { most, ..seen(1, expected) };
            look(held(policy), look_one)
        };
        let step = |payment: &Payment| next_step(payment, at(60)).map(|step| step.purpose());
        let enough = wanted(raising(), None, 5000);
        assert_eq!((enough.wanted, step(&enough)), (eur(5000), None));
        let near = wanted(raising(), None, 5001);
        assert_eq!((near.wanted, step(&near).as_deref()), (eur(7500), Some("hold/1/raise/1")));
        assert_eq!(wanted(raising(), None, 9000).wanted, eur(9000));
        // The site's limit, the plan's, and the smaller of both.
        let limited = PaymentPolicy { hold_max: Some(eur(7000)), ..raising() };
        assert_eq!(wanted(limited.clone(), None, 5001).wanted, eur(7000));
        assert_eq!(wanted(limited.clone(), Some(eur(6000)), 5001).wanted, eur(6000));
        // Beyond it the session is uncovered, and is stopped once no more can be held.
        let beyond = wanted(limited, None, 8000);
        let Some((asked, raise)) = request(beyond, at(60)) else { panic!("no step") };
        let terms = HoldTerms { raisable: true, ..HoldTerms::plain(eur(7000)) };
        let raised = apply(asked, &raise, Outcome::Raised { terms }, at(60)).unwrap();
        assert_eq!(raised.hold.as_ref().unwrap().terms.amount, eur(7000));
        assert!(next_step(&raised, at(60)).is_none() && must_stop(&raised, at(60)));
    }

    #[test]
    fn a_hold_is_raised_ten_times_at_most() {
        let mut payment = look(held(raising()), seen(1, 5001));
        payment.hold.as_mut().unwrap().raises = 9;
        assert!(next_step(&payment, at(60)).is_some());
        payment.hold.as_mut().unwrap().raises = 10;
        assert!(next_step(&payment, at(60)).is_none() && must_stop(&payment, at(60)));
    }

    #[test]
    fn an_outage_stops_a_session_only_where_the_site_wants_it_and_not_at_once() {
        use network::OnOutage::{Charge, Stop};
        let stops = |on_outage, tries: u32| {
            let policy = PaymentPolicy { on_outage, ..PaymentPolicy::default() };
            let session = SessionId::of(&"CP1".parse().unwrap(), TransactionId(1));
            let mut payment = Payment::new(session, saved("pm_1"), eur(5000), policy);
            for _ in 0..tries {
                payment = request(payment, at(0)).unwrap().0;
            }
            must_stop(&payment, at(0))
        };
        assert_eq!(
            [0, 1, 2, 3, 9].map(|tries| stops(Stop, tries)),
            [false, false, false, true, true]
        );
        assert_eq!([0, 1, 3, 9].map(|tries| stops(Charge, tries)), [false; 4]);
    }
}
