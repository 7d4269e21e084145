//! Payments, messages and operators in any order: what tags say once all is through.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use chrono::{DateTime, TimeDelta, Utc};
use network::{Entitlement, Owed, Wallet};
use proptest::prelude::*;
use quantities::{Amount, Currency, DriverId, IdTag, SessionId, TransactionId};
use serde_json::json;
use store::{Debtor, Saved, StoreError};

use crate::{Debt, Records, note, put};

/// The tags there may be.
const TAGS: [&str; 3] = ["TAG-A", "TAG-B", "TAG-C"];
/// The drivers there are.
const DRIVERS: [&str; 2] = ["anna", "ben"];

fn tag(name: &str) -> IdTag {
    name.parse().unwrap()
}

fn driver(name: &str) -> DriverId {
    name.parse().unwrap()
}

/// A session: its driver, if it had one, and the tag that it was started with.
#[derive(Debug, Clone, Copy)]
struct Charged {
    driver: Option<&'static str>,
    tag: &'static str,
}

/// One of a driver's, and one of a tag that nobody had.
const SESSIONS: [Charged; 2] =
    [Charged { driver: Some("anna"), tag: "TAG-A" }, Charged { driver: None, tag: "TAG-B" }];

fn session(number: usize) -> SessionId {
    let number = i32::try_from(number).unwrap() + 1;
    SessionId::of(&"CP1".parse().unwrap(), TransactionId(number))
}

fn entry(name: &str, of: Option<&str>) -> Entitlement {
    let row = json!({
        "id_tag": name, "status": "Accepted", "tier": "retail", "driver_id": of,
        "payer": { "kind": "card", "customer": "cus_1", "payment_method": "pm_1" },
    });
    serde_json::from_value(row).unwrap()
}

/// Ready the second time it is looked at: others may come between.
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

#[derive(Debug, Default)]
struct State {
    debts: BTreeMap<SessionId, Debt>,
    wallets: BTreeMap<DriverId, Wallet>,
    tags: BTreeMap<IdTag, Entitlement>,
    /// What the index knew before anything happened: it lags for ever.
    indexed: Vec<Entitlement>,
}

impl State {
    fn wallet(&self, driver: &DriverId) -> Wallet {
        self.wallets.get(driver).cloned().unwrap_or_else(|| Wallet::empty(driver.clone()))
    }
}

/// The store in memory: each write is one transaction, as DynamoDB's are.
#[derive(Debug, Default)]
struct Memory(Mutex<State>);

impl Memory {
    /// `anna` has a tag that her wallet does not list, as it was before wallets listed any, and one
    /// tag is nobody's.
    fn new() -> Self {
        let memory = Self::default();
        let mut state = memory.lock();
        for number in 0..SESSIONS.len() {
            let session_id = session(number);
            state.debts.insert(session_id, Debt { session_id, version: 1, owed: None });
        }
        state.indexed = vec![entry("TAG-A", Some("anna"))];
        for known in [entry("TAG-A", Some("anna")), entry("TAG-B", None)] {
            state.tags.insert(known.id_tag.clone(), known);
        }
        drop(state);
        memory
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The charge of a session is refused, or its debt is settled; other news of it move it, too.
    fn change(&self, number: usize, owes: bool, at: DateTime<Utc>) {
        let session_id = session(number);
        let mut state = self.lock();
        let debt = state.debts.get_mut(&session_id).unwrap();
        debt.version += 1;
        let amount = Amount::new(250, Currency::EUR);
        debt.owed = owes.then_some(Owed { session_id, amount, since: at, driver_id: None });
    }
}

impl Records for Memory {
    async fn debt(&self, session_id: SessionId) -> Result<Option<Debt>, StoreError> {
        step().await;
        Ok(self.lock().debts.get(&session_id).cloned())
    }

    async fn wallet(&self, driver: &DriverId) -> Result<Wallet, StoreError> {
        step().await;
        Ok(self.lock().wallet(driver))
    }

    async fn entitlement(&self, id_tag: &IdTag) -> Result<Option<Entitlement>, StoreError> {
        step().await;
        Ok(self.lock().tags.get(id_tag).cloned())
    }

    async fn indexed_tags(&self, driver: &DriverId) -> Result<Vec<IdTag>, StoreError> {
        step().await;
        let state = self.lock();
        let of = state.indexed.iter().filter(|known| known.driver_id.as_ref() == Some(driver));
        Ok(of.map(|known| known.id_tag.clone()).collect())
    }

    async fn note_owed(
        &self,
        debt: &Debt,
        debtor: Debtor<'_>,
        owes: &[Owed],
    ) -> Result<Saved, StoreError> {
        step().await;
        let mut state = self.lock();
        if state.debts[&debt.session_id].version != debt.version {
            return Ok(Saved::Duplicate);
        }
        match debtor {
            Debtor::Driver { driver, seen } => {
                let mut wallet = state.wallet(driver);
                if wallet.owes != seen {
                    return Ok(Saved::Duplicate);
                }
                wallet.owes = owes.to_vec();
                state.wallets.insert(driver.clone(), wallet);
            }
            Debtor::Tag { id_tag, revision } => {
                let known = state.tags.get_mut(id_tag).filter(|known| known.revision == revision);
                let Some(known) = known else { return Ok(Saved::Duplicate) };
                (known.owes, known.revision) = (owes.to_vec(), revision + 1);
            }
        }
        Ok(Saved::New)
    }

    async fn put(
        &self,
        entitlement: &Entitlement,
        wallet: Option<&Wallet>,
    ) -> Result<Saved, StoreError> {
        step().await;
        let mut state = self.lock();
        let standing = state.tags.get(&entitlement.id_tag).map_or(0, |known| known.revision);
        if standing != entitlement.revision {
            return Err(StoreError::Stale { what: "entitlement" });
        }
        if let Some(seen) = wallet {
            let mut wallet = state.wallet(&seen.driver_id);
            if wallet.owes != seen.owes {
                return Ok(Saved::Duplicate);
            }
            wallet.id_tags.insert(entitlement.id_tag.clone());
            state.wallets.insert(seen.driver_id.clone(), wallet);
        }
        let next = Entitlement { revision: standing + 1, ..entitlement.clone() };
        state.tags.insert(next.id_tag.clone(), next);
        Ok(Saved::New)
    }
}

/// What may happen next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// A payment moves, and a message of it sets out.
    Change { number: usize, owes: bool },
    /// One of the messages on their way arrives; `again`: it comes once more later.
    Deliver { which: usize, again: bool },
    /// An operator begins to make a tag or to change whose it is.
    Put { tag: usize, driver: Option<usize> },
    /// Somebody goes a step further.
    Poll { which: usize },
    /// Somebody dies; a message comes again, an operator does not.
    Die { which: usize },
}

fn next() -> impl Strategy<Value = Next> {
    let session = 0..SESSIONS.len();
    let driver = prop::option::weighted(0.8, 0..DRIVERS.len());
    prop_oneof![
        2 => (session, any::<bool>()).prop_map(|(number, owes)| Next::Change { number, owes }),
        3 => (any::<usize>(), prop::bool::weighted(0.2))
            .prop_map(|(which, again)| Next::Deliver { which, again }),
        2 => (0..TAGS.len(), driver).prop_map(|(tag, driver)| Next::Put { tag, driver }),
        16 => any::<usize>().prop_map(|which| Next::Poll { which }),
        1 => any::<usize>().prop_map(|which| Next::Die { which }),
    ]
}

type Running<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;

/// Hears of a session's payment; says whether it got through.
fn hears(memory: &Memory, number: usize) -> Running<'_> {
    Box::pin(async move {
        let Charged { driver: of, tag: id_tag } = SESSIONS[number];
        let of = of.map(driver);
        note(memory, session(number), of.as_ref(), &tag(id_tag)).await.is_ok()
    })
}

/// Reads an entry and writes it with its new driver.
fn puts<'a>(memory: &'a Memory, name: &'a str, of: Option<&'a str>) -> Running<'a> {
    Box::pin(async move {
        let before = memory.entitlement(&tag(name)).await.unwrap();
        let revision = before.as_ref().map_or(0, |before| before.revision);
        let after = Entitlement { revision, ..entry(name, of) };
        put(memory, after, before.as_ref()).await.is_ok()
    })
}

/// Plays `course`, and lets everything arrive and finish.
fn play(memory: &Memory, course: &[Next]) {
    let mut context = Context::from_waker(Waker::noop());
    let mut under_way: Vec<usize> = Vec::new();
    let mut running: Vec<(Option<usize>, Running<'_>)> = Vec::new();
    let begin: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    for (at, next) in course.iter().enumerate() {
        match *next {
            Next::Change { number, owes } => {
                memory.change(number, owes, begin + TimeDelta::seconds(at.try_into().unwrap()));
                under_way.push(number);
            }
            Next::Deliver { which, again } if !under_way.is_empty() => {
                let which = which % under_way.len();
                let number = under_way[which];
                running.push((Some(number), hears(memory, number)));
                if !again {
                    under_way.swap_remove(which);
                }
            }
            Next::Put { tag, driver } => {
                let of = driver.map(|driver| DRIVERS[driver]);
                running.push((None, puts(memory, TAGS[tag], of)));
            }
            Next::Poll { which } if !running.is_empty() => {
                let which = which % running.len();
                if let Poll::Ready(through) = running[which].1.as_mut().poll(&mut context) {
                    let (message, _) = running.swap_remove(which);
                    under_way.extend(message.filter(|_| !through));
                }
            }
            Next::Die { which } if !running.is_empty() => {
                let (message, _) = running.swap_remove(which % running.len());
                under_way.extend(message);
            }
            Next::Deliver { .. } | Next::Poll { .. } | Next::Die { .. } => {}
        }
    }
    running.extend(under_way.into_iter().map(|number| (Some(number), hears(memory, number))));
    while let Some((message, mut last)) = running.pop() {
        let through = loop {
            if let Poll::Ready(through) = last.as_mut().poll(&mut context) {
                break through;
            }
        };
        running.extend(message.filter(|_| !through).map(|n| (Some(n), hears(memory, n))));
    }
}

/// What is owed for, as records have it.
fn owed_for(owes: &[Owed]) -> BTreeSet<SessionId> {
    owes.iter().map(|owed| owed.session_id).collect()
}

/// Every wallet and every tag says what payments say; a tag that is its driver's, what its driver
/// owes, and what is its own.
fn holds(memory: &Memory) -> Result<(), TestCaseError> {
    let state = memory.lock();
    let is_owed = |number: usize| state.debts[&session(number)].owed.is_some();
    let all = || SESSIONS.iter().enumerate().filter(|(number, _)| is_owed(*number));
    for name in DRIVERS {
        let owes = all().filter(|(_, charged)| charged.driver == Some(name));
        let owes: BTreeSet<_> = owes.map(|(number, _)| session(number)).collect();
        let wallet = state.wallet(&driver(name));
        prop_assert_eq!(owed_for(&wallet.owes), owes, "{}'s wallet", name);
    }
    for known in state.tags.values() {
        let of = known.driver_id.as_ref().map(DriverId::as_str);
        let owes = all().filter(|(_, charged)| match charged.driver {
            Some(driver) => of == Some(driver),
            None => known.id_tag == tag(charged.tag),
        });
        let owes: BTreeSet<_> = owes.map(|(number, _)| session(number)).collect();
        prop_assert_eq!(owed_for(&known.owes), owes, "{:?} of {:?}", known.id_tag, of);
        prop_assert_eq!(known.owes.len(), owed_for(&known.owes).len(), "nothing is noted twice");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_tag_says_what_is_owed_whatever_came_when(
        course in prop::collection::vec(next(), 0..160),
    ) {
        let memory = Memory::new();
        play(&memory, &course);
        holds(&memory)?;
    }
}

/// Every way in which the steps of one message and of one operator, who makes a tag, can fall: with
/// the death of either after each of its steps.
#[test]
fn a_tag_made_while_a_debt_is_noted_has_it_wherever_either_dies() {
    for owes in [true, false] {
        // A message that is heard alone takes 8 steps, an operator 4 or, once begun anew, 6.
        for course in 0_u32..1 << 14 {
            let memory = Memory::new();
            if !owes {
                memory.change(0, true, DateTime::UNIX_EPOCH);
                play(&memory, &[]);
            }
            memory.change(0, owes, DateTime::UNIX_EPOCH);
            let mut context = Context::from_waker(Waker::noop());
            let mut message = Some(hears(&memory, 0));
            let mut operator = Some(puts(&memory, "TAG-C", Some("anna")));
            for turn in 0..14 {
                let actor = if course >> turn & 1 == 0 { &mut message } else { &mut operator };
                if actor.as_mut().is_some_and(|one| one.as_mut().poll(&mut context).is_ready()) {
                    *actor = None;
                }
            }
            // The operator does not come again; the message does, if it did not get through.
            drop(operator);
            if message.take().is_some() {
                let mut again = hears(&memory, 0);
                while again.as_mut().poll(&mut context).is_pending() {}
            }
            holds(&memory).unwrap();
        }
    }
}
