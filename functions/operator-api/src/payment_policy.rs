//! What a site wants done with a driver's money, as the document describes what
//! [`network::PaymentPolicy`] reads and writes, and what it may say.

use http_api::{AmountView, Check};
use network::{Beyond, PaymentPolicy};
use utoipa::ToSchema;

/// A hold lives about a week: one that is renewed this long before is renewed all the time.
const RENEW_BEFORE_MINUTES_MAX: u32 = 4 * 24 * 60;
/// Holds, links and retries of one session are few.
const TIMES_MAX: u32 = 10;
/// After a month a card is tried again by nobody.
const RETRY_HOURS_MAX: u32 = 30 * 24;
/// A running session is looked at no more often than this.
const WATCH_S_MIN: u32 = 1;
/// SQS delays a message by no more than this.
const WATCH_S_MAX: u32 = 900;

/// What the site wants done with a driver's money where there is a choice.
#[derive(ToSchema)]
#[schema(as = PaymentPolicy)]
#[expect(dead_code, reason = "only describes `network::PaymentPolicy`")]
pub(crate) struct PaymentPolicyBody {
    /// Whether a hold is raised where its charge says that it can be.
    #[schema(required = false)]
    raise: bool,
    /// What happens when a session comes near its hold, and raising is no way.
    #[schema(required = false)]
    beyond: BeyondBody,
    /// The most that is held for one session, however it goes on. Absent: what it needs.
    hold_max: Option<AmountView>,
    /// How many minutes before a hold runs out it is renewed by a new one; a lost one is replaced,
    /// too. Absent: holds run out, and the whole price is charged at the end.
    renew_before_minutes: Option<u32>,
    /// Holds asked for in one session, renewals included; 1 by default.
    #[schema(required = false)]
    holds_max: u32,
    /// After how many hours a refused charge is tried again, counted from each refusal. Then it
    /// stays a debt. Empty by default.
    #[schema(required = false)]
    retry_after_hours: Vec<u32>,
    /// Pay links made in one session; 3 by default.
    #[schema(required = false)]
    links_max: u32,
    /// What happens when a session is to start and Stripe does not answer.
    #[schema(required = false)]
    on_outage: OnOutageBody,
    /// A running session is looked at no more often than every so many seconds; 60 by default.
    #[schema(required = false)]
    watch_at_least_s: u32,
    /// A running session is looked at no less often than every so many seconds; 900 at most, and
    /// by default.
    #[schema(required = false)]
    watch_at_most_s: u32,
}

/// What happens when a session comes near its hold.
#[derive(ToSchema)]
#[schema(as = Beyond, rename_all = "snake_case")]
#[expect(dead_code, reason = "only describes `network::Beyond`")]
pub(crate) enum BeyondBody {
    /// A new, larger hold takes the place of the first.
    NewHold,
    /// The charger is told to stop.
    Stop,
    /// It goes on; the difference is charged at the end. The default.
    GoOn,
}

/// What happens when a session is to start and Stripe does not answer.
#[derive(ToSchema)]
#[schema(as = OnOutage, rename_all = "snake_case")]
#[expect(dead_code, reason = "only describes `network::OnOutage`")]
pub(crate) enum OnOutageBody {
    /// It charges, and is collected later. The default.
    Charge,
    /// It does not start.
    Stop,
}

/// Checks what cannot be meant.
pub(crate) fn check(check: &mut Check, policy: &PaymentPolicy) {
    let renew = policy.renew_before_minutes;
    let fits = renew.is_none_or(|minutes| (1..=RENEW_BEFORE_MINUTES_MAX).contains(&minutes));
    check.that("/payment/renew_before_minutes", fits, "must be from 1 to 5760");
    let replaces = policy.beyond == Beyond::NewHold || renew.is_some();
    let fits = (if replaces { 2 } else { 1 }..=TIMES_MAX).contains(&policy.holds_max);
    let rule = "must be from 1 to 10, and 2 or more where holds are replaced";
    check.that("/payment/holds_max", fits, rule);
    let retries = &policy.retry_after_hours;
    let few = retries.len() <= usize::try_from(TIMES_MAX).unwrap_or(usize::MAX);
    let fits = few && retries.iter().all(|hours| (1..=RETRY_HOURS_MAX).contains(hours));
    check.that("/payment/retry_after_hours", fits, "must be at most 10, each from 1 to 720");
    check.that("/payment/links_max", policy.links_max <= TIMES_MAX, "must be at most 10");
    let (least, most) = (policy.watch_at_least_s, policy.watch_at_most_s);
    let fits = WATCH_S_MIN <= least && least <= most && most <= WATCH_S_MAX;
    let rule = "must be from 1 to watch_at_most_s, which is at most 900";
    check.that("/payment/watch_at_least_s", fits, rule);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wrong(policy: Value) -> usize {
        let policy: PaymentPolicy = serde_json::from_value(policy).unwrap();
        let mut found = Check::default();
        check(&mut found, &policy);
        found.finish(|| Some(())).map_or_else(|problem| problem.errors().len(), |()| 0)
    }

    #[test]
    fn what_is_not_said_is_the_plainest() {
        assert_eq!(wrong(json!({})), 0);
        assert_eq!(serde_json::from_value::<PaymentPolicy>(json!({})).unwrap().links_max, 3);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(wrong(json!({ "beyond": "new_hold" })), 1);
        assert_eq!(wrong(json!({ "beyond": "new_hold", "holds_max": 2 })), 0);
        assert_eq!(wrong(json!({ "renew_before_minutes": 0, "holds_max": 2 })), 1);
        let all = json!({
            "renew_before_minutes": 6000,
            "holds_max": 0,
            "retry_after_hours": [1, 1000],
            "links_max": 11,
            "watch_at_least_s": 800,
            "watch_at_most_s": 700,
        });
        assert_eq!(wrong(all), 5);
    }

    #[test]
    fn a_misspelt_field_is_no_default() {
        assert!(serde_json::from_value::<PaymentPolicy>(json!({ "holdsMax": 2 })).is_err());
    }
}
