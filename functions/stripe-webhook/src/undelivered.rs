//! What Stripe could not deliver is taken from its list: the oldest first, and each run goes on
//! where the one before has stopped. <https://docs.stripe.com/webhooks/process-undelivered-events>
//!
//! Stripe gives up after three days and lists for thirty; what was taken stays on the list, and so
//! does what other endpoints of the account have not taken.

use std::time::{Duration, Instant};

use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use http_api::{Log, Problem};
use payments::{StripeClient, stripe::Undelivered, webhook::listed_event};
use runtime::{Invocation, Metric};
use store::UndeliveredProgress;

use crate::{
    api::Api,
    receive::{Signed, follow, keep},
};

/// For how long Stripe lists an event.
const LISTED_FOR: TimeDelta = TimeDelta::days(30);
/// So many events are taken before it is stored how far the list is worked through.
const AT_ONCE: usize = 100;
/// What was created before this is on the list, if it will ever be: clocks differ.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// A run begins nothing more after this: the template gives the function five minutes.
const RUN_FOR: Duration = Duration::from_mins(4);
/// When so many fail in one run it is not the events: the run ends.
const FAILED_MAX: usize = 100;

/// On a schedule, and not reachable from outside: API Gateway has no such route.
pub(crate) async fn take_undelivered(
    State(api): State<Api>,
    log: Log,
) -> Result<StatusCode, Problem> {
    let mut missed = 0;
    let taken = match Run::begin(&api, &log).await {
        Ok(mut run) => {
            let taken = run.take().await;
            missed = run.progress.failed.len();
            taken.and_then(|()| run.failure.map_or(Ok(()), Err))
        }
        Err(problem) => Err(problem),
    };
    // A person is alarmed until nothing is left that fails, the list included.
    let missed = missed.max(usize::from(taken.is_err()));
    log.count(Metric::UnhandledEvents, i64::try_from(missed).unwrap_or(i64::MAX));
    taken.map(|()| StatusCode::OK)
}

struct Run<'a> {
    api: &'a Api,
    log: &'a Invocation,
    stripe: StripeClient,
    began: Instant,
    progress: UndeliveredProgress,
    /// How many failed in this run for the first time.
    failed: usize,
    /// What went wrong last.
    failure: Option<Problem>,
}

impl<'a> Run<'a> {
    async fn begin(api: &'a Api, log: &'a Invocation) -> Result<Self, Problem> {
        let stripe = api.stripe().await?;
        let from_the_first =
            || UndeliveredProgress { taken_until: log.now() - LISTED_FOR, failed: Vec::new() };
        let progress = api.store.undelivered_progress().await?.unwrap_or_else(from_the_first);
        Ok(Self { api, log, stripe, began: Instant::now(), progress, failed: 0, failure: None })
    }

    /// Takes what there is time for.
    async fn take(&mut self) -> Result<(), Problem> {
        self.try_again().await?;
        let mut stretch = Stretch::new(self.progress.taken_until, self.log.now());
        'stretches: while self.goes_on() {
            let (before, most) = (stretch.before(), stretch.most());
            let page = self.stripe.undelivered_events(stretch.from, before, most).await;
            let Undelivered::All(events) = page.map_err(Problem::unavailable)? else {
                stretch = stretch.halved();
                continue;
            };
            self.log.field("listed", events.len());
            for (id, body) in &events {
                if !self.goes_on() {
                    break 'stretches;
                }
                // What failed before was tried first.
                if !self.progress.failed.contains(id) {
                    self.take_one(id, body).await?;
                    self.failed += usize::from(self.progress.failed.contains(id));
                }
            }
            let next = stretch.next();
            let certain = self.log.now() - OVERLAP;
            let taken_until = next.as_ref().map_or(certain, |next| next.from.min(certain));
            self.progress.taken_until = self.progress.taken_until.max(taken_until);
            self.api.store.keep_undelivered_progress(&self.progress).await?;
            let Some(next) = next else { return Ok(()) };
            stretch = next;
        }
        self.log.outcome("goes on in the next run");
        // What failed in a stretch that was not finished.
        self.api.store.keep_undelivered_progress(&self.progress).await?;
        Ok(())
    }

    fn goes_on(&self) -> bool {
        self.began.elapsed() < RUN_FOR && self.failed < FAILED_MAX
    }

    /// What failed before; it is kept here, whether Stripe still lists it or not.
    async fn try_again(&mut self) -> Result<(), Problem> {
        for id in std::mem::take(&mut self.progress.failed) {
            if self.began.elapsed() >= RUN_FOR {
                self.progress.failed.push(id);
            } else if let Some(row) = self.api.store.stripe_event(&id).await? {
                self.take_one(&id, &row.body).await?;
            }
        }
        self.api.store.keep_undelivered_progress(&self.progress).await?;
        Ok(())
    }

    /// One that fails stops no other. One that cannot even be stored ends the run, which then has
    /// not got beyond it.
    async fn take_one(&mut self, id: &str, body: &str) -> Result<(), Problem> {
        let event = listed_event(body);
        let event_type = event.as_ref().map(|event| event.event_type.clone());
        let event_type = event_type.unwrap_or_default();
        let signed = Signed { id: id.to_owned(), event_type, event };
        if keep(self.api, &signed, body, self.log).await?
            && let Err(problem) = follow(self.api, signed, self.log).await
        {
            self.log.field("failed_event", id);
            self.failure = Some(problem);
            self.progress.failed.push(id.to_owned());
        }
        Ok(())
    }
}

/// A stretch of the time in which events were created. Many events make it shorter, few longer, so
/// that a list of any length is worked through from its old end, without a place in it that Stripe
/// would have to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Stretch {
    /// All of it.
    fn new(from: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let end = now.max(from + TimeDelta::seconds(1));
        Self { from, to: end, end }
    }

    /// Where it ends; the last is open, for Stripe's clock may be ahead.
    fn before(&self) -> Option<DateTime<Utc>> {
        (self.to < self.end).then_some(self.to)
    }

    /// Stripe tells time to the second: what was created in one is taken at once.
    fn most(&self) -> usize {
        if self.to - self.from <= TimeDelta::seconds(1) { usize::MAX } else { AT_ONCE }
    }

    fn halved(self) -> Self {
        let half = (self.to - self.from).num_seconds() / 2;
        Self { to: self.from + TimeDelta::seconds(half.max(1)), ..self }
    }

    /// The one after it, if there is one.
    fn next(self) -> Option<Self> {
        let longer = (self.to - self.from) * 2;
        let next = Self { from: self.to, to: (self.to + longer).min(self.end), end: self.end };
        (next.from < next.end).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_366_400 + seconds, 0).unwrap()
    }

    /// Works through events that were created at these seconds, as a run does; gives them in the
    /// order they were taken, and how many requests that took.
    fn worked_through(created: &[i64], end: i64) -> (Vec<i64>, usize) {
        let (mut taken, mut requests) = (Vec::new(), 0);
        let mut stretch = Some(Stretch::new(at(0), at(end)));
        while let Some(now) = stretch {
            requests += 1;
            let before = now.before();
            let within = |seconds: &&i64| {
                at(**seconds) >= now.from && before.is_none_or(|before| at(**seconds) < before)
            };
            let found: Vec<i64> = created.iter().filter(within).copied().collect();
            stretch = if found.len() > now.most() {
                Some(now.halved())
            } else {
                taken.extend(found);
                now.next()
            };
        }
        (taken, requests)
    }

    #[test]
    fn a_short_list_is_one_request_and_a_long_one_is_taken_from_its_old_end() {
        let few: Vec<i64> = (0..100).map(|number| number * 3_600).collect();
        assert_eq!(worked_through(&few, 30 * 86_400), (few, 1));
        // Five thousand events of an outage of an hour, in a month without others.
        let many: Vec<i64> = (0..5_000).map(|number| 1_000_000 + number * 3_600 / 5_000).collect();
        let (taken, requests) = worked_through(&many, 30 * 86_400);
        assert_eq!(taken, many);
        assert!(requests < 250, "{requests}");
    }

    #[test]
    fn what_was_created_in_one_second_is_taken_at_once() {
        let crowd = vec![7; 5_000];
        assert_eq!(worked_through(&crowd, 10).0, crowd);
        // Also in the last, and by a clock that is ahead of ours.
        let ahead = vec![70; 5_000];
        assert_eq!(worked_through(&ahead, 10).0, ahead);
    }
}
