//! A platform and a cache in memory, whose every answer comes a step later: so that followers can be
//! interleaved in any way, and the order be proved rather than hoped for.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::{Pin, pin},
    sync::{Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use chrono::{DateTime, TimeDelta, Utc};
use network::{
    Entitlement, EntitlementStatus, InvoiceState, Payer, Subscription, SubscriptionId,
    SubscriptionStatus, Trust, WhenStale,
};
use proptest::prelude::*;
use quantities::IdTag;
use store::{IndexKey, StoreError};

use crate::{
    Cache, Cursor, Entries, Followed, Page, ReconcileError, Source, SourceError, UnreadableEvent,
    follow, reconcile,
};

const TRUST: Trust = Trust { lasts: TimeDelta::hours(72), then: WhenStale::Retail };

fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn id(number: usize) -> SubscriptionId {
    SubscriptionId(format!("sub_{number}"))
}

fn said(number: usize, status: SubscriptionStatus, period: i64) -> Subscription {
    Subscription {
        id: id(number),
        status,
        invoice: Some(InvoiceState::Settled),
        tier: None,
        current_period_end: now() + TimeDelta::days(period),
        ends_at: None,
        as_of: DateTime::UNIX_EPOCH,
        stale_after: None,
        when_stale: WhenStale::Retail,
    }
}

fn member(tag: &str, known: Subscription) -> Entitlement {
    Entitlement {
        id_tag: tag.parse().unwrap(),
        status: EntitlementStatus::Accepted,
        parent_id_tag: None,
        expires_at: None,
        driver_id: None,
        tier: "gold".parse().unwrap(),
        plan: None,
        subscription: Some(known),
        payer: Payer::Unknown,
        app_start: None,
        owes: Vec::new(),
        changed: None,
        revision: 0,
    }
}

/// Ready the second time it is looked at.
struct Step(bool);

impl Future for Step {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

fn step() -> Step {
    Step(false)
}

#[derive(Default)]
struct Platform {
    now: Mutex<BTreeMap<String, Subscription>>,
    /// Of which it says what nobody can read.
    odd: BTreeSet<String>,
}

impl Platform {
    fn of(subscriptions: impl IntoIterator<Item = Subscription>) -> Self {
        let platform = Self::default();
        subscriptions.into_iter().for_each(|subscription| platform.set(subscription));
        platform
    }

    fn set(&self, subscription: Subscription) {
        self.now.lock().unwrap().insert(subscription.id.0.clone(), subscription);
    }

    fn read(&self, said: Subscription) -> Result<Subscription, SourceError> {
        if self.odd.contains(&said.id.0) { Err(SourceError("odd".into())) } else { Ok(said) }
    }
}

impl Source for Platform {
    fn subscription_of(
        &self,
        _: &str,
        object: &str,
    ) -> Result<Option<SubscriptionId>, UnreadableEvent> {
        Ok(Some(SubscriptionId(object.to_owned())))
    }

    async fn fetch(&self, id: &SubscriptionId) -> Result<Option<Subscription>, SourceError> {
        // On its way there, and on its way back: what it says may be old when it arrives.
        step().await;
        let found = self.now.lock().unwrap().get(&id.0).cloned();
        step().await;
        found.map(|said| self.read(said)).transpose()
    }

    /// One to a page.
    async fn page(&self, after: Option<&Cursor>) -> Result<Page, SourceError> {
        step().await;
        let all = self.now.lock().unwrap();
        let mut rest = all.values().filter(|s| s.status != SubscriptionStatus::Canceled);
        let found = match after {
            Some(Cursor(last)) => rest.find(|s| s.id.0 > *last),
            None => rest.next(),
        };
        let next = found.map(|found| Cursor(found.id.0.clone()));
        let read = |said: Subscription| (said.id.clone(), self.read(said));
        Ok(Page { subscriptions: found.cloned().map(read).into_iter().collect(), next })
    }
}

#[derive(Default)]
struct Memory {
    entries: Mutex<BTreeMap<String, Entitlement>>,
}

impl Memory {
    fn of(entries: impl IntoIterator<Item = Entitlement>) -> Self {
        let named = entries.into_iter().map(|entry| (entry.id_tag.as_str().to_owned(), entry));
        Self { entries: Mutex::new(named.collect()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entitlement>> {
        self.entries.lock().unwrap()
    }

    fn known(&self, tag: &str) -> Subscription {
        self.lock()[tag].subscription.clone().unwrap()
    }
}

impl Cache for Memory {
    async fn members(&self, id: &SubscriptionId) -> Result<Vec<Entitlement>, StoreError> {
        step().await;
        let entries = self.lock();
        let of = |entry: &&Entitlement| entry.subscription.as_ref().is_some_and(|s| s.id == *id);
        Ok(entries.values().filter(of).cloned().collect())
    }

    async fn write(
        &self,
        id_tag: &IdTag,
        revision: u64,
        known: &Subscription,
    ) -> Result<bool, StoreError> {
        step().await;
        let mut entries = self.lock();
        let entry = entries.get_mut(id_tag.as_str()).unwrap();
        if entry.revision != revision {
            return Ok(false);
        }
        entry.revision += 1;
        entry.subscription = Some(known.clone());
        Ok(true)
    }
}

impl Entries for Memory {
    async fn entries(
        &self,
        _: Option<IndexKey>,
    ) -> Result<(Vec<Entitlement>, Option<IndexKey>), StoreError> {
        step().await;
        Ok((self.lock().values().cloned().collect(), None))
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
}

/// What may happen next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// The subscription changes at the platform, and an event of it sets out.
    Change,
    /// One of the events on their way arrives; `again`: it comes once more later.
    Deliver { again: bool },
    /// One of the followers goes a step further.
    Poll { which: usize },
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        1 => Just(Next::Change),
        2 => prop::bool::weighted(0.2).prop_map(|again| Next::Deliver { again }),
        8 => any::<usize>().prop_map(|which| Next::Poll { which }),
    ]
}

/// Plays `course`, then lets everything arrive and finish; gives what stands, and what the platform
/// said last.
fn play(statuses: &[SubscriptionStatus], course: &[Next]) -> (Subscription, Subscription) {
    let mut coming = statuses.iter().enumerate().map(|(n, status)| {
        let period = i64::try_from(n).unwrap() + 1;
        said(1, *status, period)
    });
    let the_id = id(1);
    let platform = Platform::of(coming.next());
    let memory = Memory::of([member("TAG1", said(1, SubscriptionStatus::Incomplete, 0))]);
    let mut under_way = 1;
    let mut followers = Vec::new();
    let start = || Box::pin(follow(&memory, &platform, &the_id, TRUST, now()));
    let mut context = Context::from_waker(Waker::noop());
    let mut stored = Vec::new();
    for next in course {
        match *next {
            Next::Change => {
                if let Some(changed) = coming.next() {
                    platform.set(changed);
                    under_way += 1;
                }
            }
            Next::Deliver { again } if under_way > 0 => {
                under_way -= usize::from(!again);
                followers.push(start());
            }
            Next::Poll { which } if !followers.is_empty() => {
                let which = which % followers.len();
                if followers[which].as_mut().poll(&mut context).is_ready() {
                    drop(followers.swap_remove(which));
                }
            }
            Next::Deliver { .. } | Next::Poll { .. } => {}
        }
        stored.push(memory.known("TAG1").current_period_end);
    }
    for changed in coming {
        platform.set(changed);
        under_way += 1;
    }
    followers.extend((0..under_way).map(|_| start()));
    while let Some(mut follower) = followers.pop() {
        // Those that were busy too long would be sent again.
        while follower.as_mut().poll(&mut context).is_pending() {}
    }
    // Each change has a later period: what is stored never goes back to an earlier one.
    assert!(stored.is_sorted(), "{stored:?}");
    let last = platform.now.lock().unwrap()[&the_id.0].clone();
    (memory.known("TAG1"), last)
}

fn any_status() -> impl Strategy<Value = SubscriptionStatus> {
    prop::sample::select(SubscriptionStatus::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_platforms_last_word_stands_whatever_comes_when(
        statuses in prop::collection::vec(any_status(), 1..6),
        course in prop::collection::vec(next(), 0..120),
    ) {
        let (known, last) = play(&statuses, &course);
        prop_assert!(known.agrees_with(&last), "{known:?} is not {last:?}");
    }
}

/// Every way to interleave `a`, `b` and `c` things.
fn interleavings(left: [usize; 3], course: &mut Vec<usize>, each: &mut impl FnMut(&[usize])) {
    if left == [0; 3] {
        each(course);
    }
    for kind in 0..3 {
        if left[kind] > 0 {
            let mut left = left;
            left[kind] -= 1;
            course.push(kind);
            interleavings(left, course, each);
            course.pop();
        }
    }
}

/// One follower for the state before a change and one that starts with the change: every way that
/// their steps and the change can fall, for every pair of statuses.
#[test]
fn two_followers_and_a_change_between_them_end_with_the_last_word_in_every_order() {
    let mut courses = Vec::new();
    interleavings([6, 6, 1], &mut Vec::new(), &mut |course| courses.push(course.to_vec()));
    assert_eq!(courses.len(), 12_012);
    let all = SubscriptionStatus::ALL;
    for (n, course) in courses.iter().enumerate() {
        let before = said(1, all[n % all.len()], 1);
        let after = said(1, all[n / all.len() % all.len()], 2);
        let platform = Platform::of([before]);
        let memory = Memory::of([member("TAG1", said(1, SubscriptionStatus::Incomplete, 0))]);
        let id = id(1);
        let mut context = Context::from_waker(Waker::noop());
        let start = || Some(Box::pin(follow(&memory, &platform, &id, TRUST, now())));
        let mut followers = [start(), None];
        for kind in course {
            if *kind == 2 {
                platform.set(after.clone());
                followers[1] = start();
            } else if let Some(running) = &mut followers[*kind]
                && running.as_mut().poll(&mut context).is_ready()
            {
                followers[*kind] = None;
            }
        }
        for mut running in followers.into_iter().flatten() {
            while running.as_mut().poll(&mut context).is_pending() {}
        }
        let known = memory.known("TAG1");
        assert!(known.agrees_with(&after), "{course:?}: {known:?} is not {after:?}");
    }
}

#[test]
fn all_who_depend_on_a_subscription_follow_it_and_nobody_else() {
    let active = said(1, SubscriptionStatus::Active, 10);
    let family = [member("TAG1", active.clone()), member("TAG2", active)];
    let stranger = member("TAG3", said(2, SubscriptionStatus::Active, 10));
    let memory = Memory::of(family.into_iter().chain([stranger]));
    let platform = Platform::of([said(1, SubscriptionStatus::Canceled, 10)]);
    let followed = at_once(follow(&memory, &platform, &id(1), TRUST, now())).unwrap();
    let Followed::Stored { entries: 2, changed: 2, heard_of: true, said: stored } = followed else {
        panic!("{followed:?}");
    };
    assert_eq!((stored.as_of, stored.stale_after), (now(), Some(now() + TRUST.lasts)));
    assert_eq!(memory.known("TAG1"), stored);
    assert_eq!(memory.known("TAG2"), stored);
    assert_eq!(memory.known("TAG3").status, SubscriptionStatus::Active);
    let nobody = at_once(follow(&memory, &platform, &id(9), TRUST, now())).unwrap();
    assert_eq!(nobody, Followed::Nobody);
}

#[test]
fn a_night_confirms_what_agrees_repairs_what_does_not_and_names_both_ways() {
    use SubscriptionStatus::{Active, Canceled};
    let heard = |known: Subscription| known.trusted(now() - TimeDelta::days(1), TRUST);
    let memory = Memory::of([
        member("AGREES", heard(said(1, Active, 10))),
        member("LAPSED", heard(said(2, Active, 10))),
        member("RENEWED", heard(said(3, Active, 1))),
        member("PAST", heard(said(4, Canceled, -30))),
        member("INVENTED", said(5, Active, 10)),
    ]);
    let platform = Platform::of([
        said(1, Active, 10),
        said(2, Canceled, 10),
        said(3, Active, 31),
        said(4, Canceled, -30),
        said(6, Active, 10),
    ]);
    let report = at_once(reconcile(&memory, &platform, TRUST, now())).unwrap();
    assert_eq!((report.listed, report.entries), (3, 5));
    assert_eq!((report.confirmed, report.repaired), (2, 3));
    let drifts: Vec<_> = report.drifts.iter().map(|d| (d.subscription.0.as_str(), d.is)).collect();
    for expected in [("sub_2", Canceled), ("sub_3", Active), ("sub_5", Canceled)] {
        assert!(drifts.contains(&expected), "{drifts:?}");
    }
    assert_eq!(report.unheard_of, [id(5)]);
    assert_eq!((report.unclaimed, report.unclaimed_ids), (1, vec![id(6)]));
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(memory.known("AGREES").as_of, now());
    assert!(!memory.known("LAPSED").gives_at(now()));
    assert!(memory.known("RENEWED").gives_at(now() + TimeDelta::days(2)));
    assert!(!memory.known("INVENTED").gives_at(now()));

    let later = now() + TimeDelta::days(1);
    let again = at_once(reconcile(&memory, &platform, TRUST, later)).unwrap();
    assert_eq!((again.confirmed, again.repaired), (5, 0), "{again:?}");
}

#[test]
fn one_subscription_that_cannot_be_read_keeps_nobody_else_from_being_confirmed() {
    use SubscriptionStatus::Active;
    let heard = |known: Subscription| known.trusted(now() - TimeDelta::days(1), TRUST);
    let memory = Memory::of([
        member("AGREES", heard(said(1, Active, 10))),
        member("ODD", heard(said(2, Active, 10))),
        member("RENEWED", heard(said(4, Active, 1))),
    ]);
    // The third is odd, too, and no entry has it.
    let all = [said(1, Active, 10), said(2, Active, 10), said(3, Active, 10), said(4, Active, 31)];
    let odd = [id(2).0, id(3).0].into();
    let platform = Platform { odd, ..Platform::of(all) };
    let report = at_once(reconcile(&memory, &platform, TRUST, now())).unwrap();
    assert_eq!((report.listed, report.entries), (4, 3));
    assert_eq!((report.confirmed, report.repaired), (1, 1));
    assert_eq!((report.unclaimed, report.unclaimed_ids), (1, vec![id(3)]));
    let named = |number| report.failures.iter().filter(|f| f.starts_with(&id(number).0)).count();
    assert_eq!([1, 2, 3, 4].map(named), [0, 1, 1, 0], "{:?}", report.failures);
    assert_eq!(memory.known("AGREES").as_of, now());
    assert_eq!(memory.known("ODD").as_of, now() - TimeDelta::days(1), "nothing new is known");
    // A price that is mended is followed, and the rest stays confirmed.
    let mended = Platform { odd: BTreeSet::new(), ..platform };
    let report = at_once(reconcile(&memory, &mended, TRUST, now())).unwrap();
    assert_eq!((report.confirmed, report.failures), (3, Vec::new()));
}

#[test]
fn a_platform_that_lists_nothing_ends_no_membership() {
    let memory = Memory::of([member("TAG1", said(1, SubscriptionStatus::Active, 10))]);
    let refused = at_once(reconcile(&memory, &Platform::default(), TRUST, now()));
    assert!(matches!(refused, Err(ReconcileError::NothingListed)), "{refused:?}");
    assert!(memory.known("TAG1").gives_at(now()));
}
